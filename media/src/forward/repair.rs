//! What is sent once more: because it was lost, or to find out what the line bears.

use slab::Slab;

use super::write::{self, Head};
use super::{SourceLayer, Stream};
use crate::layer::Layer;
use crate::line::Way;
use crate::ring::Packet;
use crate::track::{Kind, Track};

/// Retransmissions remembered per slot, by the low bits of their number, to answer a NACK that is repeated too soon only once.
pub(super) const RECENT_RTX: usize = 512;
/// So many of the last packets are sent once more by a probe, over and over: they are in the ring for sure.
const PROBED: u64 = 16;

impl SourceLayer {
    /// The layer itself, as long as it is the one that was meant, and of a track that is not muted: nothing of it leaves any more,
    /// not even what left before.
    pub fn layer_in(self, tracks: &Slab<Track>) -> Option<&Layer> {
        let layer = tracks.get(self.track).filter(|track| !track.is_muted())?.layers.get(usize::from(self.layer))?;
        (layer.epoch == self.epoch).then_some(layer)
    }
}

impl Stream {
    /// Where to find the packet that a NACK asks for, unless it was sent again a moment ago.
    pub fn asked_for(&mut self, sequence: u16, now_us: u64, rtt_us: u64) -> Option<(SourceLayer, u64)> {
        // No answer negotiates NACK for audio: what is lost is concealed, and what comes again would only be a replay.
        if self.kind == Kind::Audio {
            return None;
        }
        let (feed, index, _) = self.map.source_of(sequence)?;
        let now_ms = (now_us / 1_000) as u32;
        // What asks sooner than an answer can be missed was asked before the answer came.
        let again_ms = (rtt_us * 7 / 8_000).clamp(10, 500) as u32;
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

    /// Sends a packet again on the retransmission stream (RFC 4588).
    pub fn resend(
        &mut self,
        sequence: u16,
        packet: &Packet,
        (dependency, payload): (&[u8], &[u8]),
        way: &mut Way<'_>,
    ) -> usize {
        let Some((feed, _, index)) = self.map.source_of(sequence) else { return 0 };
        way.out.close_run();
        if self.decided_of(feed.source.epoch, packet) != Some(true) {
            // Its place was filled, or it has just come and nobody has decided about it yet.
            return 0;
        }
        // The same number means the same nonce, and the number for feedback alone would make it another packet: who has no
        // stream for retransmissions gets key frames.
        let Some((ssrc, payload_type)) = self.rtx_ssrc.zip(feed.rtx_payload_type) else { return 0 };
        self.rtx_next += 1;
        let head = self.head(&feed, index, packet);
        let head = Head { payload_type, index: self.rtx_next, ssrc, original: Some(sequence), ..head };
        self.write(&feed, head, packet, (dependency, payload), way)
    }

    /// The numbers of the last packets that were sent, latest first, and where to find each: what a probe sends once more.
    pub fn latest(&self) -> impl Iterator<Item = (u16, SourceLayer, u64)> + '_ {
        let last = self.map.next_out();
        (1..=PROBED).filter_map(move |back| {
            let sequence = last.checked_sub(back)? as u16;
            let (feed, index, _) = self.map.source_of(sequence)?;
            Some((sequence, feed.source, index))
        })
    }

    /// Whether retransmissions have a stream of their own: only there may a probe send something that nobody asked for.
    pub fn can_probe(&self) -> bool {
        self.rtx_ssrc.is_some() && self.rtx_payload_type().is_some()
    }

    fn rtx_payload_type(&self) -> Option<u8> {
        match self.current {
            Some(feed) => feed.rtx_payload_type,
            None => self.formats.0[0].rtx_payload_type,
        }
    }

    /// Sends a packet of nothing but padding on the stream of retransmissions; answers its length.
    pub fn pad(&mut self, way: &mut Way<'_>) -> usize {
        let Some((ssrc, payload_type)) = self.rtx_ssrc.zip(self.rtx_payload_type()) else { return 0 };
        self.rtx_next += 1;
        let (index, timestamp) = (self.rtx_next, self.last_timestamp);
        let head = Head { payload_type, marker: false, index, timestamp, ssrc, original: None };
        write::padding(head, self.extensions, u8::MAX, way)
    }
}
