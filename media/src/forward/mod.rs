//! The forwarding path: from a packet in a layer's ring to sealed bytes in the send arena.
//!
//! For each receiver the header is written, the payload copied and the packet sealed where the kernel will read it. What the
//! receiver's line cannot take at once waits as a reference into its layer's ring.

mod choose;
mod queue;
mod repair;
mod write;

use std::collections::VecDeque;

use self::choose::Decision;
pub(crate) use self::write::Extensions;
use self::write::Head;
use crate::codec::Descriptor;
use crate::line::Way;
use crate::opus::Sound;
use crate::red;
use crate::ring::Packet;
use crate::seqmap::SeqMap;
use crate::track::{Codec, Fresh, Kind, Track, TrackKey};

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
        packet.frame.picture_id.wrapping_add(self.picture)
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
    extensions: Extensions,
    /// The highest layers of the current source that the receiver has.
    spatial: u8,
    temporal: u8,
    /// Timestamp of the picture with which layers were changed last, and of the last one that was left out.
    decided: u32,
    omitted: u32,
    /// What was decided of the last frames, the latest last.
    decisions: VecDeque<Decision>,
    /// What the line has no room for yet.
    waiting: VecDeque<Fresh>,
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
    /// More waits than the line will ever carry in time.
    pub overrun: bool,
}

/// What of its track a slot should show.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Target {
    /// The simulcast layer.
    pub layer: u8,
    /// The highest spatial layer in it.
    pub spatial: u8,
    /// The highest temporal layer in it.
    pub temporal: u8,
}

impl Stream {
    pub fn new(
        kind: Kind,
        (ssrc, rtx_ssrc): (u32, Option<u32>),
        formats: Formats,
        extensions: Extensions,
        seeds: Seeds,
    ) -> Stream {
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
            extensions,
            spatial: 0,
            temporal: 0,
            decided: 0,
            omitted: 0,
            decisions: VecDeque::new(),
            waiting: VecDeque::new(),
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

    /// What the receiver sees: the track, and which of its sizes.
    pub fn shown(&self) -> Option<(TrackKey, u8)> {
        self.current.map(|feed| (feed.source.track, feed.source.layer.max(self.spatial)))
    }

    /// Whether this layer feeds the stream, in all the size that is wanted: else a key frame is needed.
    pub fn follows(&self, source: SourceLayer, target: Target) -> bool {
        self.current() == Some(source) && self.spatial == target.spatial
    }

    /// Nothing feeds the stream from now on.
    pub fn stop(&mut self) {
        self.current = None;
        self.waiting.clear();
    }

    /// Nothing feeds the stream from now on, and a receiver of sound hears a pause: it makes comfort noise where it would else
    /// conceal what it takes for lost.
    pub fn hush(&mut self, way: &mut Way<'_>) {
        let (Some(feed), Some((pause, samples))) = (self.current.take(), self.ending.take()) else { return };
        self.last_timestamp = self.last_timestamp.wrapping_add(samples);
        self.last_us += u64::from(samples) * 1_000_000 / u64::from(Kind::Audio.clock_hz());
        let timestamp = self.last_timestamp.wrapping_sub(feed.timestamp);
        let packet = Packet::new(0, timestamp, false, Descriptor::EMPTY, self.last_us);
        self.map.switch(feed, packet.index);
        let mut forwarded = Forwarded::default();
        self.pass(&packet, (&[], &pause), way, &mut forwarded);
        way.out.close_run();
        self.packets = self.packets.wrapping_add(forwarded.packets as u32);
    }

    /// Whether its receiver waits for more sound.
    pub fn sounds(&self) -> bool {
        self.current.is_some() && self.ending.is_some()
    }

    /// Forwards one packet; answers the layer and the index up to which a key frame took along what had come behind it.
    fn take(
        &mut self,
        key: TrackKey,
        track: &Track,
        fresh: &Fresh,
        target: Target,
        way: &mut Way<'_>,
        forwarded: &mut Forwarded,
    ) -> Option<(u8, u64)> {
        let layer = &track.layers[usize::from(fresh.layer)];
        let source = SourceLayer { track: key, layer: fresh.layer, epoch: layer.epoch };
        let fed = self.current() == Some(source);
        if fresh.padding {
            if !self.map.leave_out(fresh.index) {
                self.fill(fresh.index, None, way, forwarded);
            }
            return None;
        }
        let (packet, payload) = layer.ring.find(fresh.index)?;
        let mut hand_on = |stream: &mut Stream, packet: &Packet, payload: &[u8]| {
            let admitted = if stream.kind == Kind::Audio { Some(true) } else { stream.admits(packet, target) };
            match admitted {
                Some(true) => {
                    let dependency = layer.ring.dependency(packet.index).unwrap_or_default();
                    stream.pass(packet, (dependency, payload), way, forwarded);
                }
                Some(false) => stream.omit(packet, track.codec, way, forwarded),
                None => {}
            }
        };
        if fed {
            hand_on(self, packet, payload);
            return None;
        }
        if self.kind == Kind::Video && !packet.frame.keyframe_start {
            return None;
        }
        let feed = self.switch(source, track, packet);
        hand_on(self, packet, payload);
        // A repaired key frame comes after packets that were passed over for want of it.
        let caught_up = layer.highest();
        if self.kind == Kind::Audio {
            for (packet, payload) in (fresh.index + 1..=caught_up).filter_map(|index| layer.ring.find(index)) {
                hand_on(self, packet, payload);
            }
        }
        forwarded.switched = Some(feed.timestamp(packet));
        if self.kind == Kind::Video {
            forwarded.overrun |= !self.catch_up(fresh, layer);
        }
        Some((fresh.layer, caught_up))
    }

    fn head(&self, feed: &Feed, index: u64, packet: &Packet) -> Head {
        let video = self.kind == Kind::Video;
        Head {
            payload_type: feed.payload_type,
            marker: if video { self.ends_picture(feed.source.epoch, packet) } else { packet.marker },
            index,
            timestamp: feed.timestamp(packet),
            ssrc: self.ssrc,
            original: None,
        }
    }

    /// Passes one packet of the current source on.
    fn pass(
        &mut self,
        packet: &Packet,
        (dependency, payload): (&[u8], &[u8]),
        way: &mut Way<'_>,
        forwarded: &mut Forwarded,
    ) {
        let Some((index, feed)) = self.map.forward(packet.index) else { return };
        if index + 1 == self.map.next_out() {
            self.remember(&feed, packet);
        } else if !self.rtx_recent.is_empty() {
            // Repaired on its way here, and sent late: who asks for it now has not waited for it.
            let sequence = index as u16;
            let place = usize::from(sequence) % repair::RECENT_RTX;
            self.rtx_recent[place] = (sequence, (packet.arrived_us / 1_000) as u32);
        }
        if packet.frame.keyframe_start {
            self.keyframe_us = packet.arrived_us;
        }
        if self.kind == Kind::Audio {
            self.ending = Sound::ending(&payload[usize::from(packet.primary_at)..]);
        }
        let head = self.head(&feed, index, packet);
        forwarded.bytes += self.write(&feed, head, packet, (dependency, payload), way) as u64;
        forwarded.packets += 1;
        self.octets = self.octets.wrapping_add(payload.len() as u32);
    }

    fn write(
        &self,
        feed: &Feed,
        head: Head,
        packet: &Packet,
        (dependency, payload): (&[u8], &[u8]),
        way: &mut Way<'_>,
    ) -> usize {
        if self.kind == Kind::Audio {
            // Redundant audio goes to who can take it, its newest frame alone to everybody else.
            let (payload_type, payload, red) = match (usize::from(packet.primary_at), feed.red_payload_type) {
                (0, _) => (head.payload_type, payload, false),
                (_, Some(red)) => (red, payload, true),
                (primary_at, None) => (head.payload_type, &payload[primary_at..], false),
            };
            let rename = |_: &mut [u8], copy: &mut [u8]| {
                if red {
                    red::rename(copy, feed.payload_type);
                }
            };
            return write::packet(Head { payload_type, ..head }, self.extensions, (&[], payload), rename, way);
        }
        let (picture, tl0) = (feed.picture(packet), feed.tl0(packet));
        let rewrite = |dependency: &mut [u8], copy: &mut [u8]| {
            packet.frame.rewrite(copy, picture, tl0);
            if !dependency.is_empty() {
                packet.frame.rewrite_dependency(dependency, picture);
            }
        };
        write::packet(head, self.extensions, (dependency, payload), rewrite, way)
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
        self.decided = packet.timestamp;
        self.omitted = packet.timestamp.wrapping_sub(1);
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

    /// Numbers given to packets so far, and packets sent; both wrap. What is missing between them its sources had lost.
    pub fn progress(&self) -> (u32, u32) {
        (self.map.next_out() as u32, self.packets)
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
