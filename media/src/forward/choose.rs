//! Which frames of its source a receiver gets: layers are left out so that it misses nothing.

use super::write::{self, Head};
use super::{Forwarded, Stream, Target};
use crate::line::Way;
use crate::ring::Packet;
use crate::track::Codec;

/// Frames whose decision is remembered: a second of three spatial layers, as long as repairs come.
const REMEMBERED_FRAMES: usize = 96;

/// Whether a frame goes to the receiver: all of it, or nothing, however late its packets come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Decision {
    /// The low bits of the source's epoch: no two within memory share them.
    epoch: u32,
    /// The first of its packets that came.
    index: u64,
    timestamp: u32,
    spatial: u8,
    admitted: bool,
    /// The highest spatial layer of its picture that goes to the receiver.
    top: u8,
}

impl Stream {
    /// Whether the receiver is to have this packet of the current source. It is decided once for each frame; `None` where that was
    /// so many frames ago that nobody knows what was decided.
    pub(super) fn admits(&mut self, packet: &Packet, target: Target) -> Option<bool> {
        let epoch = self.current.map_or(0, |feed| feed.source.epoch);
        if let Some(admitted) = self.decided_of(epoch, packet) {
            return Some(admitted);
        }
        let oldest = self.decisions.front().filter(|_| self.decisions.len() == REMEMBERED_FRAMES);
        // Timestamps may jump, back as well; numbers do not.
        if oldest.is_some_and(|it| it.epoch == epoch as u32 && packet.index < it.index) {
            return None;
        }
        let admitted = self.decides(packet, target);
        if self.decisions.len() == REMEMBERED_FRAMES {
            self.decisions.pop_front();
        }
        let (index, timestamp, spatial, top) = (packet.index, packet.timestamp, packet.frame.spatial, self.spatial);
        self.decisions.push_back(Decision { epoch: epoch as u32, index, timestamp, spatial, admitted, top });
        Some(admitted)
    }

    /// What was decided of a packet's frame, if that is still known.
    pub(super) fn decided_of(&self, epoch: u64, packet: &Packet) -> Option<bool> {
        self.decision_of(epoch, packet).map(|it| it.admitted)
    }

    fn decision_of(&self, epoch: u64, packet: &Packet) -> Option<&Decision> {
        let (epoch, timestamp, spatial) = (epoch as u32, packet.timestamp, packet.frame.spatial);
        let same = |it: &&Decision| it.timestamp == timestamp && it.spatial == spatial && it.epoch == epoch;
        self.decisions.iter().rev().find(same)
    }

    /// Whether a packet is the last of its picture for the receiver: the last one of the highest spatial layer that it has.
    pub(super) fn ends_picture(&self, epoch: u64, packet: &Packet) -> bool {
        let top = || self.decision_of(epoch, packet).map_or(self.spatial, |it| it.top);
        packet.marker || packet.frame.frame_end && packet.frame.spatial == top()
    }

    /// Layers change here: down with the next picture, up where the new layer needs nothing that was left out.
    fn decides(&mut self, packet: &Packet, target: Target) -> bool {
        let frame = &packet.frame;
        // Until the key frame of a smaller picture is there, the larger one is at least slow.
        let falling =
            self.current.is_some_and(|feed| feed.source.layer > target.layer) || self.spatial > target.spatial;
        let temporal = if falling { 0 } else { target.temporal };
        if frame.keyframe_start {
            (self.spatial, self.temporal) = (target.spatial, target.temporal);
        } else if frame.frame_start {
            if packet.timestamp.wrapping_sub(self.decided) as i32 > 0 {
                self.temporal = self.temporal.min(temporal);
                self.decided = packet.timestamp;
            }
            if self.temporal < temporal && frame.spatial == self.spatial && frame.temporal <= temporal {
                let lifted = (self.temporal + 1..=temporal).rev().find(|layer| frame.lifts_to(*layer));
                self.temporal = lifted.unwrap_or(self.temporal);
            }
            if frame.spatial_switch && frame.spatial == self.spatial + 1 && frame.spatial <= target.spatial {
                self.spatial = frame.spatial;
            }
        }
        frame.is_needed(self.spatial, self.temporal)
    }

    /// Leaves a packet of the current source out, so that its receiver misses nothing.
    pub(super) fn omit(&mut self, packet: &Packet, codec: Codec, way: &mut Way<'_>, forwarded: &mut Forwarded) {
        if self.map.leave_out(packet.index) {
            // VP8's picture ids count frames, and a receiver waits for each: those that follow close up. The references of other
            // codecs are differences, or named.
            if codec == Codec::Vp8
                && packet.timestamp != self.omitted
                && let Some(feed) = self.current.as_mut()
            {
                self.omitted = packet.timestamp;
                feed.picture = feed.picture.wrapping_sub(1);
                self.map.amend(*feed);
            }
        } else {
            self.fill(packet.index, Some(packet), way, forwarded);
        }
    }

    /// Fills the place of a packet that is left out too late for others to close up: something must come in it, or the receiver
    /// would ask for it. It has the date of the packet, if that is known: others may come behind it that are older.
    pub(super) fn fill(&mut self, index: u64, packet: Option<&Packet>, way: &mut Way<'_>, forwarded: &mut Forwarded) {
        let Some((index, feed)) = self.map.forward(index) else { return };
        let timestamp = packet.map_or(self.last_timestamp, |packet| feed.timestamp(packet));
        let (payload_type, ssrc) = (feed.payload_type, self.ssrc);
        let head = Head { payload_type, marker: false, index, timestamp, ssrc, original: None };
        forwarded.bytes += write::padding(head, self.extensions, 1, way) as u64;
        forwarded.packets += 1;
    }
}
