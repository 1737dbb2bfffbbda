//! What waits for a receiver's line: references into the layers' rings, in the order in which it leaves.

use super::{Forwarded, SourceLayer, Stream, Target};
use crate::layer::Layer;
use crate::line::Way;
use crate::track::{Fresh, Kind, Track, TrackKey};

/// Packets that may wait for a receiver's line: some key frames' worth. With more, only a new key frame helps.
const MOST_WAITING: usize = 1_024;
/// What waits leaves faster than the line bears from here on …
const PATIENT_US: u64 = 300_000;
/// … and what has waited this long is forgotten: the ring keeps a second.
const LONGEST_WAIT_US: u64 = 900_000;

impl Stream {
    /// Forwards what arrived of `track` in this tick, as far as the receiver's line is open; the rest waits. The stream follows
    /// `target` as soon as it can.
    pub fn forward(&mut self, key: TrackKey, track: &Track, target: Target, way: &mut Way<'_>) -> Forwarded {
        let mut forwarded = Forwarded::default();
        // Packets up to this index came behind a key frame, and left or wait with it.
        let mut caught_up = None;
        for fresh in &track.fresh {
            let goes_on = caught_up.is_some_and(|(layer, index)| fresh.layer == layer && fresh.index <= index);
            if goes_on || !self.concerns(key, track, fresh, target) {
                continue;
            }
            if self.kind == Kind::Video && (!self.waiting.is_empty() || !way.is_open()) {
                if self.waiting.len() == MOST_WAITING {
                    forwarded.overrun = true;
                    break;
                }
                self.waiting.push_back(*fresh);
                continue;
            }
            if let Some(up_to) = self.take(key, track, fresh, target, way, &mut forwarded) {
                caught_up = Some(up_to);
                self.flow((key, track), target, 0, way, &mut forwarded);
            }
            if forwarded.overrun {
                break;
            }
        }
        self.packets = self.packets.wrapping_add(forwarded.packets as u32);
        forwarded
    }

    /// Forwards what waits, as far as the receiver's line is open.
    pub fn release(&mut self, key: TrackKey, track: &Track, target: Target, way: &mut Way<'_>) -> Forwarded {
        let mut forwarded = Forwarded::default();
        let late = self.late(track, way.now_us);
        self.flow((key, track), target, late, way, &mut forwarded);
        self.packets = self.packets.wrapping_add(forwarded.packets as u32);
        forwarded
    }

    /// The same; so many packets leave even if it is not open.
    fn flow(
        &mut self,
        (key, track): (TrackKey, &Track),
        target: Target,
        mut late: usize,
        way: &mut Way<'_>,
        forwarded: &mut Forwarded,
    ) {
        while !forwarded.overrun && (way.is_open() || late > 0) {
            late = late.saturating_sub(1);
            let Some(fresh) = self.waiting.pop_front() else { return };
            if !self.concerns(key, track, &fresh, target) {
                continue;
            }
            let arrived_us = track.layers[usize::from(fresh.layer)].ring.find(fresh.index).map(|it| it.0.arrived_us);
            if arrived_us.is_some_and(|arrived_us| way.now_us > arrived_us + LONGEST_WAIT_US) {
                forwarded.overrun = true;
                return;
            }
            self.take(key, track, &fresh, target, way, forwarded);
        }
    }

    /// What came behind a key frame before it came itself waits right behind it, in order. False: it is more than may wait.
    pub(super) fn catch_up(&mut self, keyframe: &Fresh, layer: &Layer) -> bool {
        self.waiting.retain(|waiting| waiting.layer != keyframe.layer);
        // What is missing still is forwarded when it comes.
        let came = (keyframe.index + 1..=layer.highest()).filter_map(|index| {
            let padding = layer.is_padding(index);
            (padding || layer.ring.contains(index)).then_some(Fresh { layer: keyframe.layer, padding, index })
        });
        for fresh in came.rev() {
            if self.waiting.len() == MOST_WAITING {
                return false;
            }
            self.waiting.push_front(fresh);
        }
        true
    }

    /// How many packets must leave now whatever the line bears, so that a key frame that is large for it is there before its
    /// packets are forgotten.
    fn late(&self, track: &Track, now_us: u64) -> usize {
        let oldest = self.waiting.front().and_then(|fresh| {
            let layer = track.layers.get(usize::from(fresh.layer))?;
            layer.ring.find(fresh.index).map(|(packet, _)| packet.arrived_us)
        });
        match oldest {
            Some(arrived_us) if now_us > arrived_us + PATIENT_US => {
                let turns = (LONGEST_WAIT_US - PATIENT_US) / crate::congestion::PACE_US / 2;
                self.waiting.len() / turns as usize + 1
            }
            _ => 0,
        }
    }

    /// Whether packets wait for the line.
    pub fn is_waiting(&self) -> bool {
        !self.waiting.is_empty()
    }

    /// Whether a packet belongs to what feeds the stream, or to what is to feed it.
    fn concerns(&self, key: TrackKey, track: &Track, fresh: &Fresh, target: Target) -> bool {
        let Some(layer) = track.layers.get(usize::from(fresh.layer)) else { return false };
        let source = SourceLayer { track: key, layer: fresh.layer, epoch: layer.epoch };
        self.current() == Some(source) || fresh.layer == target.layer && !fresh.padding
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::codec::Descriptor;
    use crate::forward::{Extensions, Format, Formats, Seeds};
    use crate::id::{ParticipantId, TrackId};
    use crate::line::Line;
    use crate::outbox::{Outbox, Path};
    use crate::ring::Packet;
    use crate::srtp::{Keys, Profile, Sealer};
    use crate::track::{Codec, Origin, Source};

    fn packet(index: u64, arrived_us: u64) -> Packet {
        let mut frame = Descriptor::EMPTY;
        (frame.keyframe_start, frame.frame_start) = (index == 10, true);
        Packet::new(index, index as u32 * 3_000, true, frame, arrived_us)
    }

    #[test]
    fn what_came_before_its_key_frame_waits_for_the_line_like_everything_else() {
        let keys = Keys {
            profile: Profile::AeadAes128Gcm,
            local_key: [1; 16],
            local_salt: [2; 14],
            remote_key: [3; 16],
            remote_salt: [4; 14],
        };
        let (mut sealer, mut line, mut out) = (Sealer::new(&keys), Line::new(true, true), Outbox::default());
        let format = Format { codec: Codec::Vp8, payload_type: 96, rtx_payload_type: None, red_payload_type: None };
        let formats = Formats::new(vec![format]).expect("one format");
        let extensions = Extensions { transport_cc: Some(3), dependency: None };
        let seeds = Seeds { sequence: 1, rtx_sequence: 1, timestamp: 1 };
        let mut stream = Stream::new(Kind::Video, (7, None), formats, extensions, seeds);
        let origin = (0, Origin::Peer(0));
        let mut track = Track::new(TrackId(1), ParticipantId(1), origin, Source::Camera, Codec::Vp8, 1, 1);
        // The key frame is repaired after forty packets that came behind it; one of them is missing still, one has no content.
        track.receive(0, packet(9, 1), &[0; 1_000]);
        for index in (11..=50).filter(|index| *index != 20 && *index != 30) {
            track.receive(0, packet(index, 1_000), &[0; 1_000]);
        }
        track.layers[0].receive_padding(30, 1_000);
        track.fresh.clear();
        track.receive(0, packet(10, 50_000), &[0; 1_000]);
        let (mut now_us, mut packets, mut first) = (50_000, 0, true);
        for _ in 0..200 {
            line.pacer.settle(now_us);
            let to = Path::udp("192.0.2.1:9".parse().expect("an address"));
            let mut way = Way { to, sealer: &mut sealer, line: Some(&mut line), now_us, out: &mut out };
            let target = Target::default();
            let forwarded = match first {
                true => stream.forward(0, &track, target, &mut way),
                false => stream.release(0, &track, target, &mut way),
            };
            assert!(forwarded.packets < 20, "{} packets left at once", forwarded.packets);
            assert!(!forwarded.overrun);
            (first, packets, now_us) = (false, packets + forwarded.packets, now_us + 5_000);
            if !stream.is_waiting() {
                break;
            }
        }
        assert_eq!(packets, 39, "all that came behind the key frame");
        let sequences: Vec<(u16, u64)> = stream.latest().map(|(sequence, _, index)| (sequence, index)).collect();
        assert!(sequences.windows(2).all(|pair| pair[0].0 == pair[1].0 + 1), "numbers without a gap");
        assert_eq!(sequences.first(), Some(&(41, 50)), "a number for what is missing, none for what is empty");
    }
}
