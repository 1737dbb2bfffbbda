//! What was sent under which transport-wide number, until feedback tells its fate. A ring that grows with the rate.

/// A history begins with this many packets: a voice for a second.
const FEWEST: usize = 64;
/// And ends with this many (32 KB): 0.8 s of 60 Mbit/s in packets of 1,500 bytes. More packets in flight push the oldest out: their feedback then says nothing.
const MOST: usize = 4096;
/// Feedback is of no use after this time: a full ring grows only while its oldest packet is younger.
const KEPT_US: u32 = 2_000_000;

/// What became of a packet.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) enum Fate {
    #[default]
    Unknown,
    Lost,
    Arrived,
}

/// One packet, 8 bytes.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Sent {
    /// The low bits of the time it was sent: unambiguous within 71 minutes.
    at_us: u32,
    pub bytes: u16,
    pub fate: Fate,
    /// The probe cluster it belongs to, 0 for none.
    pub cluster: u8,
}

impl Sent {
    /// When it was sent. `now_us` lies less than 71 minutes later.
    pub fn sent_us(self, now_us: u64) -> u64 {
        now_us.saturating_sub(u64::from((now_us as u32).wrapping_sub(self.at_us)))
    }
}

/// The packets of one subscriber, by number.
#[derive(Debug)]
pub(super) struct History {
    ring: Box<[Sent]>,
    /// The oldest number held.
    first: u64,
    /// The number of the packet that comes next. Its low 16 bits are on the wire.
    next: u64,
}

impl History {
    pub fn new() -> Self {
        History { ring: vec![Sent::default(); FEWEST].into(), first: 0, next: 0 }
    }

    /// Keeps a packet; answers its number.
    pub fn push(&mut self, bytes: u16, cluster: u8, now_us: u64) -> u64 {
        let number = self.next;
        if number - self.first == self.ring.len() as u64 {
            self.make_room(now_us);
        }
        let at = self.place(number);
        self.ring[at] = Sent { at_us: now_us as u32, bytes, fate: Fate::Unknown, cluster };
        self.next = number + 1;
        number
    }

    #[inline]
    fn place(&self, number: u64) -> usize {
        // The length is a power of two.
        number as usize & (self.ring.len() - 1)
    }

    fn make_room(&mut self, now_us: u64) {
        let oldest = self.ring[self.place(self.first)];
        if self.ring.len() < MOST && (now_us as u32).wrapping_sub(oldest.at_us) < KEPT_US {
            let mut larger = vec![Sent::default(); 2 * self.ring.len()].into_boxed_slice();
            let mask = larger.len() - 1;
            for number in self.first..self.next {
                larger[number as usize & mask] = self.ring[self.place(number)];
            }
            self.ring = larger;
        } else {
            self.first += 1;
        }
    }

    /// The packet of this number, if it is still known.
    #[inline]
    pub fn find(&self, number: u64) -> Option<&Sent> {
        (number >= self.first && number < self.next).then(|| &self.ring[self.place(number)])
    }

    /// As [`History::find`].
    #[inline]
    pub fn find_mut(&mut self, number: u64) -> Option<&mut Sent> {
        if number < self.first || number >= self.next {
            return None;
        }
        let at = self.place(number);
        Some(&mut self.ring[at])
    }

    /// The number that comes next.
    #[inline]
    pub fn next(&self) -> u64 {
        self.next
    }

    /// The full number behind the 16 bits of a feedback that covers `count` packets from there on. None if any of them was
    /// never sent, or so long ago that nobody tells of it.
    pub fn unwrap(&self, base: u16, count: u16) -> Option<u64> {
        let behind = u64::from((self.next as u16).wrapping_sub(base));
        let is_known = behind <= self.next && behind <= u64::from(u16::MAX / 2) && u64::from(count) <= behind;
        is_known.then(|| self.next - behind)
    }

    /// The oldest number that is still known.
    pub fn first(&self) -> u64 {
        self.first
    }

    /// Bytes on the heap.
    #[cfg(test)]
    pub fn heap(&self) -> usize {
        std::mem::size_of_val(&*self.ring)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_packet_is_eight_bytes_and_a_grown_ring_thirty_two_kilobytes() {
        assert_eq!(size_of::<Sent>(), 8);
        let mut history = History::new();
        assert_eq!(history.heap(), 512);
        // A voice never makes it grow beyond two seconds.
        for packet in 0..1_000 {
            history.push(80, 0, packet * 20_000);
        }
        assert_eq!(history.heap(), 128 * 8);
        for packet in 0..10_000 {
            history.push(1_200, 0, 20_000_000 + packet * 100);
        }
        assert_eq!(history.heap(), 32_768);
        assert_eq!(history.next - history.first, MOST as u64);
    }

    #[test]
    fn growing_forgets_nothing() {
        let mut history = History::new();
        for packet in 0..300u64 {
            assert_eq!(history.push(packet as u16, 0, 1_000 * packet), packet);
        }
        for packet in 0..300u64 {
            let sent = *history.find(packet).expect("is known");
            assert_eq!((u64::from(sent.bytes), sent.sent_us(400_000)), (packet, 1_000 * packet));
        }
        assert!(history.find(300).is_none());
    }

    #[test]
    fn numbers_unwrap_around_what_was_sent() {
        let mut history = History::new();
        assert_eq!(history.unwrap(0, 0), Some(0));
        assert_eq!(history.unwrap(0, 1), None);
        assert_eq!(history.unwrap(65_535, 1), None);
        for packet in 0..65_546 {
            history.push(1, 0, packet);
        }
        assert_eq!(history.unwrap(65_530, 16), Some(65_530));
        assert_eq!(history.unwrap(65_530, 17), None);
        assert_eq!(history.unwrap(9, 1), Some(65_545));
        assert_eq!(history.unwrap(10, 1), None);
        // Half a turn ahead is not known, and neither is half a turn ago.
        assert_eq!(history.unwrap(32_000, 1), None);
    }

    #[test]
    fn times_survive_the_wrap_of_their_low_bits() {
        let mut history = History::new();
        let start_us = u64::from(u32::MAX) - 1_000;
        history.push(1, 0, start_us);
        let sent = *history.find(0).expect("is known");
        assert_eq!(sent.sent_us(start_us + 500_000), start_us);
    }
}
