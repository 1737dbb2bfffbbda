//! The forwarding path: from a packet in a layer's ring to sealed bytes in the send arena.
//!
//! For each receiver the header is written, the payload copied and the packet sealed where the kernel will read it. Packets of
//! one receiver and one size lie one behind the other as a run, which one system call sends (UDP GSO). Nothing is allocated
//! once the arena has grown to the size of a tick.

use std::net::{IpAddr, SocketAddr};
use std::ops::Range;

use crate::codec::Descriptor;
use crate::opus::Sound;
use crate::red;
use crate::ring::Packet;
use crate::rtp;
use crate::seqmap::SeqMap;
use crate::srtp::Sealer;
use crate::track::{Codec, Kind, Track, TrackKey};

/// Packets in one run: the kernel's limit (UDP_MAX_SEGMENTS is 64 up to Linux 6.8).
const MOST_SEGMENTS: usize = 64;
/// Bytes in one run: a UDP datagram's length field, less the largest IP header.
const MOST_RUN_BYTES: usize = 65_000;
/// Retransmissions remembered per slot, by the low bits of their number, to answer a NACK that is repeated too soon only once.
const RECENT_RTX: usize = 512;
/// An arena that a storm has made larger than this is given back once it is empty.
const CALM_ARENA: usize = 8 * 1024 * 1024;

/// A way to a peer: its address, and the address of ours that it knows us by, where there is a choice.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Path {
    /// The peer's address.
    pub remote: SocketAddr,
    /// Our address to send from; `None` leaves it to the system.
    pub local: Option<IpAddr>,
    /// What carries it.
    pub via: Via,
}

/// What carries the datagrams of a path.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Via {
    /// UDP.
    Udp,
    /// A TCP connection (RFC 6544), by the number that its owner gave it. No number is given twice.
    Tcp(u32),
}

/// What tells one sender from another: UDP and each TCP connection count their ports apart.
pub(crate) type Address = (SocketAddr, Via);

impl Path {
    /// The way over UDP to a peer, from whichever address of ours the system takes.
    #[must_use]
    pub const fn udp(remote: SocketAddr) -> Path {
        Path { remote, local: None, via: Via::Udp }
    }

    pub(crate) fn address(&self) -> Address {
        (self.remote, self.via)
    }
}

/// Datagrams of equal size for one address, one behind the other; the last may be shorter.
#[derive(Debug, Clone)]
pub(crate) struct Run {
    pub to: Path,
    pub segment: usize,
    pub bytes: Range<usize>,
    /// No further datagram may follow: the last one was shorter, or is no media.
    closed: bool,
}

/// The send arena of a shard and the runs in it.
#[derive(Debug, Default)]
pub(crate) struct Outbox {
    arena: Vec<u8>,
    /// Bytes of the arena in use. What lies behind is left from earlier ticks, so that room need not be zeroed first.
    end: usize,
    runs: Vec<Run>,
    taken: usize,
}

impl Outbox {
    /// Appends one datagram that is no media.
    pub fn datagram(&mut self, to: Path, bytes: &[u8]) {
        if bytes.is_empty() {
            return;
        }
        let start = self.reserve(bytes.len());
        self.arena[start..self.end].copy_from_slice(bytes);
        self.runs.push(Run { to, segment: bytes.len(), bytes: start..self.end, closed: true });
    }

    fn reserve(&mut self, len: usize) -> usize {
        let start = self.end;
        self.end += len;
        if self.end > self.arena.len() {
            self.arena.resize(self.end.next_power_of_two(), 0);
        }
        start
    }

    /// Room for one media packet of `len` bytes behind the last one.
    fn packet(&mut self, to: Path, len: usize) -> &mut [u8] {
        let start = self.reserve(len);
        let open = self.taken < self.runs.len();
        match self.runs.last_mut() {
            Some(run)
                if open
                    && !run.closed
                    && run.to == to
                    && len <= run.segment
                    && run.bytes.len() / run.segment < MOST_SEGMENTS
                    && run.bytes.len() + len <= MOST_RUN_BYTES =>
            {
                run.bytes.end += len;
                run.closed = len < run.segment;
            }
            _ => self.runs.push(Run { to, segment: len, bytes: start..start + len, closed: false }),
        }
        &mut self.arena[start..start + len]
    }

    /// Ends the current run: what follows belongs to something else.
    pub fn close_run(&mut self) {
        if let Some(run) = self.runs.last_mut() {
            run.closed = true;
        }
    }

    /// The next run; once all are taken the arena is empty again.
    pub fn take(&mut self) -> Option<Run> {
        let run = self.runs.get(self.taken).cloned();
        match run {
            Some(_) => self.taken += 1,
            None => {
                self.end = 0;
                if self.arena.len() > CALM_ARENA {
                    self.arena = Vec::new();
                }
                self.runs.clear();
                self.taken = 0;
            }
        }
        run
    }

    /// Forgets the runs that were not taken.
    pub fn discard(&mut self) {
        self.runs.truncate(self.taken);
    }

    pub fn bytes(&self, range: Range<usize>) -> &[u8] {
        &self.arena[range]
    }
}

/// A layer of a track, as the source of a slot.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct SourceLayer {
    pub track: TrackKey,
    pub layer: u8,
    /// The layer's epoch: the place of a track is used again by other tracks, and a layer may begin anew.
    pub epoch: u64,
}

/// A source, and what is added to its counters to continue the receiver's series.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Feed {
    source: SourceLayer,
    timestamp: u32,
    picture: u16,
    tl0: u8,
    payload_type: u8,
    rtx_payload_type: Option<u8>,
    red_payload_type: Option<u8>,
}

impl Feed {
    fn timestamp(&self, packet: &Packet) -> u32 {
        packet.timestamp.wrapping_add(self.timestamp)
    }

    fn picture(&self, packet: &Packet) -> u16 {
        packet.frame.picture_id.wrapping_add(self.picture) & 0x7fff
    }

    fn tl0(&self, packet: &Packet) -> u8 {
        packet.frame.tl0.wrapping_add(self.tl0)
    }
}

/// A codec under the receiver's numbers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Format {
    pub codec: Codec,
    pub payload_type: u8,
    pub rtx_payload_type: Option<u8>,
    /// Redundant audio, where the receiver takes it (RFC 2198).
    pub red_payload_type: Option<u8>,
}

/// What a receiver can take in a slot.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Formats(Vec<Format>);

impl Formats {
    /// The formats of a slot, of which there is one at least.
    pub fn new(formats: Vec<Format>) -> Option<Formats> {
        (!formats.is_empty()).then_some(Formats(formats))
    }

    fn of(&self, codec: Codec) -> Option<Format> {
        self.0.iter().find(|format| format.codec == codec).copied()
    }
}

/// The wire side of a slot: one outbound stream, continuous over all changes of what feeds it.
#[derive(Debug)]
pub(crate) struct Stream {
    pub ssrc: u32,
    /// SSRC of the retransmission stream, for video.
    pub rtx_ssrc: Option<u32>,
    formats: Formats,
    pub packets: u32,
    pub octets: u32,
    kind: Kind,
    map: SeqMap<Feed>,
    current: Option<Feed>,
    last_timestamp: u32,
    last_source_timestamp: u32,
    last_picture: u16,
    last_tl0: u8,
    last_us: u64,
    /// What ends the sound that was passed on last, and the duration of its last packet; none after a pause.
    ending: Option<([u8; 1], u32)>,
    /// When the last key frame was passed on.
    pub keyframe_us: u64,
    rtx_next: u64,
    rtx_recent: Vec<(u16, u32)>,
}

/// Seeds of a stream's counters, so that they start where nobody can guess.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Seeds {
    pub sequence: u16,
    pub rtx_sequence: u16,
    pub timestamp: u32,
}

/// What forwarding a tick's packets to one receiver came to.
#[derive(Debug, Default, Clone, Copy)]
pub(crate) struct Forwarded {
    pub packets: u64,
    pub bytes: u64,
    /// The stream changed over to another layer or track, and this is the first timestamp of it.
    pub switched: Option<u32>,
}

impl Stream {
    pub fn new(kind: Kind, (ssrc, rtx_ssrc): (u32, Option<u32>), formats: Formats, seeds: Seeds) -> Stream {
        // Sequence numbers start in the lower half, so that the first rollover cannot be missed (RFC 3711 §3.3.1).
        let first = u64::from(seeds.sequence & 0x7fff) + 1;
        Stream {
            ssrc,
            rtx_ssrc,
            formats,
            packets: 0,
            octets: 0,
            kind,
            map: SeqMap::new(first),
            current: None,
            last_timestamp: seeds.timestamp,
            last_source_timestamp: 0,
            last_picture: 0,
            last_tl0: 0,
            last_us: 0,
            ending: None,
            keyframe_us: 0,
            rtx_next: u64::from(seeds.rtx_sequence & 0x7fff) + 1,
            rtx_recent: Vec::new(),
        }
    }

    /// Whether the receiver can take this codec here.
    pub fn takes(&self, codec: Codec) -> bool {
        self.formats.of(codec).is_some()
    }

    /// The layer that feeds the stream now.
    pub fn current(&self) -> Option<SourceLayer> {
        self.current.map(|feed| feed.source)
    }

    /// Nothing feeds the stream from now on.
    pub fn stop(&mut self) {
        self.current = None;
    }

    /// Nothing feeds the stream from now on, and a receiver of sound hears a pause: it makes comfort noise where it would else
    /// conceal what it takes for lost.
    pub fn hush(&mut self, sealer: &mut Sealer, to: Path, out: &mut Outbox) {
        let (Some(feed), Some((pause, samples))) = (self.current.take(), self.ending.take()) else { return };
        self.last_timestamp = self.last_timestamp.wrapping_add(samples);
        self.last_us += u64::from(samples) * 1_000_000 / u64::from(Kind::Audio.clock_hz());
        let timestamp = self.last_timestamp.wrapping_sub(feed.timestamp);
        let packet = Packet::new(0, timestamp, false, Descriptor::EMPTY, self.last_us);
        self.map.switch(feed, packet.index);
        let mut forwarded = Forwarded::default();
        self.pass(&packet, &pause, sealer, to, out, &mut forwarded);
        out.close_run();
        self.packets = self.packets.wrapping_add(forwarded.packets as u32);
    }

    /// Whether its receiver waits for more sound.
    pub fn sounds(&self) -> bool {
        self.current.is_some() && self.ending.is_some()
    }

    /// Forwards what arrived of `track` in this tick. The stream follows `target` as soon as it can.
    pub fn forward(
        &mut self,
        key: TrackKey,
        track: &Track,
        target: u8,
        sealer: &mut Sealer,
        to: Path,
        out: &mut Outbox,
    ) -> Forwarded {
        let mut forwarded = Forwarded::default();
        // Packets up to this index were forwarded with a late key frame.
        let mut caught_up = 0;
        for fresh in &track.fresh {
            let layer = &track.layers[usize::from(fresh.layer)];
            let source = SourceLayer { track: key, layer: fresh.layer, epoch: layer.epoch };
            let fed = self.current() == Some(source);
            if fed && fresh.index <= caught_up {
                continue;
            }
            if !fed && (fresh.layer != target || fresh.padding) {
                continue;
            }
            if fresh.padding {
                self.map.leave_out(fresh.index);
                continue;
            }
            let Some((packet, payload)) = layer.ring.find(fresh.index) else { continue };
            if !fed {
                if self.kind == Kind::Video && !packet.frame.keyframe_start {
                    continue;
                }
                let feed = self.switch(source, track, packet);
                forwarded.switched = Some(feed.timestamp(packet));
                // A repaired key frame comes after packets that were passed over for want of it.
                caught_up = layer.highest();
                for (packet, payload) in (fresh.index..=caught_up).filter_map(|index| layer.ring.find(index)) {
                    self.pass(packet, payload, sealer, to, out, &mut forwarded);
                }
            } else {
                self.pass(packet, payload, sealer, to, out, &mut forwarded);
            }
        }
        self.packets = self.packets.wrapping_add(forwarded.packets as u32);
        forwarded
    }

    /// Passes one packet of the current source on.
    fn pass(
        &mut self,
        packet: &Packet,
        payload: &[u8],
        sealer: &mut Sealer,
        to: Path,
        out: &mut Outbox,
        forwarded: &mut Forwarded,
    ) {
        let Some((index, feed)) = self.map.forward(packet.index) else { return };
        if index + 1 == self.map.next_out() {
            self.remember(&feed, packet);
        }
        if packet.frame.keyframe_start {
            self.keyframe_us = packet.arrived_us;
        }
        if self.kind == Kind::Audio {
            self.ending = Sound::ending(&payload[usize::from(packet.primary_at)..]);
        }
        let numbers = (feed.payload_type, index, self.ssrc);
        forwarded.bytes += write(&feed, self.kind, numbers, None, packet, payload, sealer, to, out) as u64;
        forwarded.packets += 1;
        self.octets = self.octets.wrapping_add(payload.len() as u32);
    }

    /// Continues the series of numbers, timestamps and picture ids with another source.
    fn switch(&mut self, source: SourceLayer, track: &Track, packet: &Packet) -> Feed {
        let timestamp = if self.last_us == 0 {
            self.last_timestamp
        } else {
            let captured_us = track.layers[usize::from(source.layer)].captured_us(packet.timestamp);
            let elapsed_us = self.elapsed_us(source, track, captured_us, packet.arrived_us);
            let ticks = (elapsed_us * u64::from(self.kind.clock_hz()) / 1_000_000) as u32;
            self.last_timestamp.wrapping_add(ticks.max(1))
        };
        let format = self.formats.of(track.codec).unwrap_or(self.formats.0[0]);
        let feed = Feed {
            source,
            timestamp: timestamp.wrapping_sub(packet.timestamp),
            picture: self.last_picture.wrapping_add(1).wrapping_sub(packet.frame.picture_id),
            tl0: self.last_tl0.wrapping_add(1).wrapping_sub(packet.frame.tl0),
            payload_type: format.payload_type,
            rtx_payload_type: format.rtx_payload_type,
            red_payload_type: format.red_payload_type,
        };
        self.map.switch(feed, packet.index);
        self.current = Some(feed);
        feed
    }

    /// Time between the last frame sent and the first of the new source: by capture time between layers of one track whose
    /// sender reports are known, else by arrival.
    fn elapsed_us(&self, source: SourceLayer, track: &Track, captured_us: Option<i64>, arrived_us: u64) -> u64 {
        let by_arrival = arrived_us.saturating_sub(self.last_us);
        let Some(old) = self.current().filter(|old| old.track == source.track) else { return by_arrival };
        let old = track.layers.get(usize::from(old.layer)).filter(|layer| layer.epoch == old.epoch);
        match (old.and_then(|layer| layer.captured_us(self.last_source_timestamp)), captured_us) {
            (Some(before_us), Some(captured_us)) => {
                let by_capture = captured_us - before_us;
                // A report that lies must not throw the receiver's clock off.
                if (0..=by_arrival as i64 + 1_000_000).contains(&by_capture) { by_capture as u64 } else { by_arrival }
            }
            _ => by_arrival,
        }
    }

    fn remember(&mut self, feed: &Feed, packet: &Packet) {
        self.last_timestamp = feed.timestamp(packet);
        self.last_source_timestamp = packet.timestamp;
        self.last_us = packet.arrived_us;
        self.last_picture = feed.picture(packet);
        self.last_tl0 = feed.tl0(packet);
    }

    /// Where to find the packet that a NACK asks for, unless it was sent again a moment ago.
    pub fn asked_for(&mut self, sequence: u16, now_us: u64, rtt_us: u64) -> Option<(SourceLayer, u64)> {
        // No answer negotiates NACK for audio: what is lost is concealed, and what comes again would only be a replay.
        if self.kind == Kind::Audio {
            return None;
        }
        let (feed, index, _) = self.map.source_of(sequence)?;
        let now_ms = (now_us / 1_000) as u32;
        let again_ms = (rtt_us / 2_000).clamp(10, 200) as u32;
        if self.rtx_recent.is_empty() {
            // Entries that no number of their place can match.
            self.rtx_recent = (0..RECENT_RTX as u16).map(|place| (place.wrapping_add(1), 0)).collect();
        }
        let recent = &mut self.rtx_recent[usize::from(sequence) % RECENT_RTX];
        if recent.0 == sequence && now_ms.wrapping_sub(recent.1) < again_ms {
            return None;
        }
        *recent = (sequence, now_ms);
        Some((feed.source, index))
    }

    /// Sends a packet again: on the retransmission stream (RFC 4588) where there is one, else as it was.
    pub fn resend(
        &mut self,
        sequence: u16,
        packet: &Packet,
        payload: &[u8],
        sealer: &mut Sealer,
        to: Path,
        out: &mut Outbox,
    ) {
        let Some((feed, _, index)) = self.map.source_of(sequence) else { return };
        out.close_run();
        let (numbers, original) = match self.rtx_ssrc.zip(feed.rtx_payload_type) {
            Some((ssrc, payload_type)) => {
                self.rtx_next += 1;
                ((payload_type, self.rtx_next, ssrc), Some(sequence))
            }
            None => ((feed.payload_type, index, self.ssrc), None),
        };
        write(&feed, self.kind, numbers, original, packet, payload, sealer, to, out);
    }

    /// The timestamp that the stream has at this moment, for a sender report: extrapolated from the last packet.
    pub fn timestamp_at(&self, now_us: u64) -> Option<u32> {
        if self.last_us == 0 {
            return None;
        }
        let ticks = (now_us.saturating_sub(self.last_us) as u128 * u128::from(self.kind.clock_hz()) / 1_000_000) as u32;
        Some(self.last_timestamp.wrapping_add(ticks))
    }

    /// A source's timestamp as the receiver sees it.
    pub fn rewritten(&self, timestamp: u32) -> u32 {
        self.current.map_or(timestamp, |feed| timestamp.wrapping_add(feed.timestamp))
    }
}

/// Writes one sealed packet into the arena: payload type, index and SSRC as given, the original sequence number in front of the
/// payload for a retransmission. Answers its length.
#[expect(clippy::too_many_arguments, reason = "the innermost step: a struct would be taken apart again at once")]
fn write(
    feed: &Feed,
    kind: Kind,
    (payload_type, index, ssrc): (u8, u64, u32),
    original: Option<u16>,
    packet: &Packet,
    payload: &[u8],
    sealer: &mut Sealer,
    to: Path,
    out: &mut Outbox,
) -> usize {
    // Redundant audio goes to who can take it, its newest frame alone to everybody else.
    let (payload_type, payload) = match (usize::from(packet.primary_at), feed.red_payload_type) {
        (0, _) => (payload_type, payload),
        (_, Some(red)) => (red, payload),
        (primary_at, None) => (payload_type, &payload[primary_at..]),
    };
    let body = rtp::FIXED_LEN + if original.is_some() { 2 } else { 0 };
    let len = body + payload.len() + sealer.tag_len();
    let room = out.packet(to, len);
    rtp::write_header(room, payload_type, packet.marker, index as u16, feed.timestamp(packet), ssrc);
    if let Some(original) = original {
        room[rtp::FIXED_LEN..body].copy_from_slice(&original.to_be_bytes());
    }
    let copy = &mut room[body..body + payload.len()];
    copy.copy_from_slice(payload);
    if kind == Kind::Video {
        packet.frame.rewrite(copy, feed.picture(packet), feed.tl0(packet));
    } else if feed.red_payload_type == Some(payload_type) {
        red::rename(copy, feed.payload_type);
    }
    sealer.seal_rtp(room, rtp::FIXED_LEN, (index >> 16) as u32);
    len
}
