//! The recent packets of one layer, once, for everybody: subscribers' sends, NACKs and retransmissions all read from here.
//!
//! Payloads lie one behind the other in a circular buffer; a table indexed by sequence number finds them. Both start small and
//! double before anything younger than [`HISTORY_US`] is written over, so that a microphone costs a few kilobytes and a
//! 1080p camera gets its second of history.

use crate::codec::Descriptor;

/// How long a packet should stay available for retransmission: longer than a NACK takes on any usable path.
pub const HISTORY_US: u64 = 1_000_000;
/// Payload bytes at first. Doubled by need.
const FIRST_BYTES: usize = 16 * 1024;
/// Payload bytes at most; above it the history is shorter than [`HISTORY_US`].
const MOST_BYTES: usize = 2 * 1024 * 1024;
/// Packets at first. Doubled by need.
const FIRST_PACKETS: usize = 64;
/// Packets at most; above it the history is shorter than [`HISTORY_US`].
pub const MOST_PACKETS: usize = 4096;

/// Parts of the payload buffer that are dated.
const PARTS: usize = 8;

/// A packet in the ring, its payload aside.
#[derive(Debug, Clone, Copy)]
pub struct Packet {
    /// Sequence number with the rollovers counted.
    pub index: u64,
    /// RTP timestamp as published.
    pub timestamp: u32,
    /// Marker bit as published.
    pub marker: bool,
    /// What the payload says of its frame; empty for audio.
    pub frame: Descriptor,
    /// Where the newest frame begins in a payload of redundant audio (RFC 2198); 0 for every other one.
    pub primary_at: u16,
    /// Loudness of sound in −dBov; 0 for pictures.
    pub level: u8,
    /// Arrival, µs of the shard's clock.
    pub arrived_us: u64,
    at: u64,
    len: u16,
    /// Length of the dependency descriptor, which lies in front of the payload.
    dependency: u8,
}

/// No packet has this index: a layer would have to send for two million years.
const EMPTY: u64 = u64::MAX;
const NOTHING: Packet = Packet {
    index: EMPTY,
    timestamp: 0,
    marker: false,
    frame: Descriptor::EMPTY,
    primary_at: 0,
    level: 0,
    arrived_us: 0,
    at: 0,
    len: 0,
    dependency: 0,
};

/// The recent packets of one layer.
#[derive(Debug, Default)]
pub struct Ring {
    table: Vec<Packet>,
    bytes: Vec<u8>,
    /// Bytes ever written; its remainder is the write position.
    head: u64,
    /// When the newest packet in each part of `bytes` came: what must not be written over yet.
    written_us: [u64; PARTS],
}

impl Ring {
    /// Keeps a packet. One already here under the same index is replaced.
    #[cfg(test)]
    pub fn push(&mut self, packet: Packet, payload: &[u8]) {
        self.push_with(packet, &[], payload);
    }

    /// Keeps a packet with the dependency descriptor that it had among its header extensions; empty: none.
    pub fn push_with(&mut self, mut packet: Packet, dependency: &[u8], payload: &[u8]) {
        let whole = dependency.len() + payload.len();
        let (Ok(len), Ok(before)) = (u16::try_from(whole), u8::try_from(dependency.len())) else { return };
        if whole > FIRST_BYTES {
            return;
        }
        if self.table.is_empty() {
            self.table = vec![NOTHING; FIRST_PACKETS];
            self.bytes = vec![0; FIRST_BYTES];
        }
        if !self.make_way(packet.index, packet.arrived_us) {
            return;
        }
        while self.bytes.len() < MOST_BYTES && self.would_lose(whole, packet.arrived_us) {
            self.resize(self.table.len(), self.bytes.len() * 2);
        }
        let at = self.place(whole, packet.arrived_us);
        self.bytes[at..at + dependency.len()].copy_from_slice(dependency);
        self.bytes[at + dependency.len()..at + whole].copy_from_slice(payload);
        packet.at = self.head - whole as u64;
        (packet.len, packet.dependency) = (len, before);
        let slot = self.slot(packet.index);
        self.table[slot] = packet;
    }

    /// The packet with this index and its payload, if it is still here.
    #[must_use]
    pub fn find(&self, index: u64) -> Option<(&Packet, &[u8])> {
        self.whole(index).map(|(packet, bytes)| (packet, &bytes[usize::from(packet.dependency)..]))
    }

    /// The dependency descriptor that a packet came with, if it had one and is still here.
    #[must_use]
    pub fn dependency(&self, index: u64) -> Option<&[u8]> {
        let (packet, bytes) = self.whole(index).filter(|(packet, _)| packet.dependency > 0)?;
        Some(&bytes[..usize::from(packet.dependency)])
    }

    /// A packet, its dependency descriptor and its payload behind that.
    fn whole(&self, index: u64) -> Option<(&Packet, &[u8])> {
        let packet = self.table.get(self.slot(index)).filter(|packet| packet.index == index)?;
        if packet.at + (self.bytes.len() as u64) < self.head {
            return None;
        }
        let at = (packet.at % self.bytes.len() as u64) as usize;
        Some((packet, &self.bytes[at..at + usize::from(packet.len)]))
    }

    /// Bytes that it occupies.
    #[must_use]
    pub fn size(&self) -> usize {
        self.bytes.len() + size_of_val(&self.table[..])
    }

    /// Whether the packet with this index is still here.
    #[must_use]
    pub fn contains(&self, index: u64) -> bool {
        self.find(index).is_some()
    }

    /// Makes the table large enough for what is young. A packet that was repaired late takes no newer one's place: then it comes
    /// too late itself.
    fn make_way(&mut self, index: u64, now_us: u64) -> bool {
        loop {
            let other = &self.table[self.slot(index)];
            if other.index == EMPTY || other.index == index {
                return true;
            }
            let is_needed = other.index > index || now_us < other.arrived_us + HISTORY_US;
            if !is_needed || self.table.len() == MOST_PACKETS {
                return other.index < index;
            }
            self.resize(self.table.len() * 2, self.bytes.len());
        }
    }

    /// Whether `len` bytes more would be written over what came within [`HISTORY_US`].
    fn would_lose(&self, len: usize, now_us: u64) -> bool {
        let size = self.bytes.len();
        let at = (self.head % size as u64) as usize;
        let (at, entered) = if at + len > size { (0, true) } else { (at, at.is_multiple_of(size / PARTS)) };
        let (first, last) = (at * PARTS / size, (at + len.max(1) - 1) * PARTS / size);
        // The part that is being filled was looked at when it was entered.
        let first = if entered { first } else { first + 1 };
        (first..=last).any(|part| self.written_us[part] != 0 && now_us < self.written_us[part] + HISTORY_US)
    }

    fn slot(&self, index: u64) -> usize {
        // The table's length is a power of two.
        (index as usize) & self.table.len().wrapping_sub(1)
    }

    /// Reserves `len` bytes in one piece and answers where they start.
    fn place(&mut self, len: usize, now_us: u64) -> usize {
        let size = self.bytes.len();
        let mut at = (self.head % size as u64) as usize;
        if at + len > size {
            self.head += (size - at) as u64;
            at = 0;
        }
        self.written_us[at * PARTS / size..=(at + len.max(1) - 1) * PARTS / size].fill(now_us);
        self.head += len as u64;
        at
    }

    /// Moves what is still here into a larger ring, oldest first.
    fn resize(&mut self, packets: usize, bytes: usize) {
        let mut old = std::mem::take(self);
        let mut live: Vec<u64> =
            old.table.iter().filter(|packet| packet.index != EMPTY).map(|packet| packet.index).collect();
        live.retain(|index| old.contains(*index));
        live.sort_unstable_by_key(|index| old.find(*index).map_or(0, |(packet, _)| packet.at));
        self.table = vec![NOTHING; packets];
        self.bytes = vec![0; bytes];
        for index in live {
            let Some((packet, bytes)) = old.whole(index) else { continue };
            let mut packet = *packet;
            let at = self.place(bytes.len(), packet.arrived_us);
            self.bytes[at..at + bytes.len()].copy_from_slice(bytes);
            packet.at = self.head - bytes.len() as u64;
            let slot = self.slot(index);
            self.table[slot] = packet;
        }
        old.table.clear();
    }
}

impl Packet {
    /// A packet to keep; its place in the ring is given by [`Ring::push`].
    #[must_use]
    pub fn new(index: u64, timestamp: u32, marker: bool, frame: Descriptor, arrived_us: u64) -> Packet {
        Packet { index, timestamp, marker, frame, primary_at: 0, level: 0, arrived_us, at: 0, len: 0, dependency: 0 }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn packet(index: u64, now_us: u64) -> Packet {
        Packet::new(index, index as u32, false, Descriptor::EMPTY, now_us)
    }

    #[test]
    fn a_second_of_a_fast_layer_stays_available() {
        let mut ring = Ring::default();
        // 1,000 packets of 1,000 bytes a second: 1 MB a second.
        for index in 0..5_000u64 {
            ring.push(packet(index, index * 1_000), &[index as u8; 1_000]);
        }
        for index in 4_100..5_000 {
            let (found, payload) = ring.find(index).expect("younger than a second");
            assert_eq!((found.index, payload[0]), (index, index as u8));
        }
        assert!(!ring.contains(10));
    }

    #[test]
    fn a_packet_that_comes_late_pushes_no_newer_one_out() {
        let mut ring = Ring::default();
        let at = |index: u64| index * 2_000;
        for index in (0..40).chain(140..150).chain(40..140) {
            ring.push(packet(index, at(150)), &[index as u8; 100]);
        }
        assert!((40..150).all(|index| ring.contains(index)));
    }

    #[test]
    fn a_burst_after_a_long_pause_is_kept_whole() {
        let mut ring = Ring::default();
        for index in 0..10u64 {
            ring.push(packet(index, index * 1_000_000), &[1; 700]);
        }
        for index in 10..210u64 {
            ring.push(packet(index, 60_000_000), &[index as u8; 1_000]);
        }
        assert!((10..210).all(|index| ring.contains(index)));
    }

    #[test]
    fn a_microphone_stays_small() {
        let mut ring = Ring::default();
        for index in 0..10_000u64 {
            ring.push(packet(index, index * 20_000), &[1; 80]);
        }
        assert_eq!((ring.table.len(), ring.bytes.len()), (FIRST_PACKETS, FIRST_BYTES));
    }

    proptest! {
        /// Whatever order packets come in, what the ring finds is what was put there.
        #[test]
        fn finds_only_what_was_pushed(steps in proptest::collection::vec((0u64..3_000, 0usize..1_500), 1..400)) {
            let mut ring = Ring::default();
            let mut pushed = std::collections::HashMap::new();
            for (step, (index, len)) in steps.into_iter().enumerate() {
                let payload = vec![step as u8; len];
                let dependency = &[step as u8; 40][..step % 40];
                ring.push_with(packet(index, step as u64 * 300), dependency, &payload);
                pushed.insert(index, (dependency.to_vec(), payload));
                prop_assert!(ring.contains(index));
            }
            for (index, (dependency, payload)) in &pushed {
                if let Some((found, bytes)) = ring.find(*index) {
                    prop_assert_eq!(found.index, *index);
                    prop_assert_eq!(bytes, &payload[..]);
                    prop_assert_eq!(ring.dependency(*index).unwrap_or_default(), &dependency[..]);
                }
            }
        }
    }
}
