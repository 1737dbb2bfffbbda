//! What each participant's line is judged by: the layers that it sends, and what it reports of its slots.

use super::Direction;
use crate::event::Event;
use crate::shard::Shard;
use crate::track::{Kind, PeerKey};

/// A receiver asks for a key frame because of what its publisher's line lost, if that was given up so shortly before.
const BLAMED_US: u64 = 2_000_000;

impl Shard {
    /// Several times a second: judges the peer's line when its slice is over.
    pub(crate) fn look_after_quality(&mut self, key: PeerKey, now_us: u64) {
        let peer = &mut *self.peers[key];
        let over = peer.closed_us.is_some();
        if !peer.quality.is_due(now_us) || !peer.connected && !over {
            return;
        }
        let (mut heard_us, mut talks) = (peer.checked_us.max(peer.told_us), false);
        for section in &peer.sections {
            let track = &mut self.tracks[section.track];
            heard_us = heard_us.max(track.last_us());
            let counts = track.active && !track.muted;
            talks |= counts;
            for at in 0..track.layers.len() {
                let away = track.watch.stays_away(at as u8) && track.layers[at].packets > 0;
                let layer = &mut track.layers[at];
                let (expected, lost, repaired) = layer.progress(now_us);
                if !counts {
                    continue;
                }
                peer.quality.counted(Direction::Up, section.kind, expected, (lost, repaired));
                if expected > 0 {
                    peer.quality.jittered(Direction::Up, section.kind, layer.jitter_us());
                }
                if away {
                    peer.quality.stays_away();
                }
            }
        }
        let share_pct = peer.line.as_ref().and_then(|line| line.share_pct());
        let paused = peer.slots.iter().any(|slot| slot.paused && slot.track.is_some());
        peer.quality.bears(share_pct, paused);
        // A connection that its client has ended is not heard again.
        let silent_us = if over { u64::MAX } else { now_us.saturating_sub(heard_us) };
        if let Some(report) = peer.quality.judge(now_us, silent_us, talks) {
            let (call, participant) = (self.calls[peer.call].id, peer.participant);
            self.events.push_back(Event::Quality { call, participant, report });
        }
    }

    /// What a receiver report says of one slot. What the slot's source had lost already is not the receiver's loss, nor is its
    /// jitter.
    pub(crate) fn on_reception(&mut self, key: PeerKey, ssrc: u32, fraction_lost: u8, jitter: u32) {
        let peer = &mut *self.peers[key];
        let Some(slot) = peer.slots.iter_mut().find(|slot| slot.stream.ssrc == ssrc) else { return };
        let source = slot.stream.current().and_then(|source| source.layer_in(&self.tracks));
        let (from_source_us, repaired) = source.map_or((0, 0), |layer| (layer.jitter_us(), layer.repaired));
        let (numbered, sent) = slot.stream.progress();
        let before = slot.reported.replace((numbered, sent, repaired));
        let Some((numbered_before, sent_before, repaired_before)) = before else { return };
        let (numbered, sent) = (numbered.wrapping_sub(numbered_before), sent.wrapping_sub(sent_before));
        if sent == 0 {
            return;
        }
        let missed = u64::from(numbered) * u64::from(fraction_lost) / 256;
        let lost = (missed as u32).saturating_sub(numbered.saturating_sub(sent)).min(sent);
        // Pictures are repaired; what could not be shows by the key frames that the receiver asks for.
        let outcome = if slot.kind == Kind::Audio { (lost, 0) } else { (0, lost) };
        peer.quality.counted(Direction::Down, slot.kind, sent, outcome);
        // What was repaired on its way here comes late to everybody: some receivers take that for jitter of theirs.
        if repaired != repaired_before {
            return;
        }
        let jitter_us = u64::from(jitter) * 1_000_000 / u64::from(slot.kind.clock_hz());
        peer.quality.jittered(Direction::Down, slot.kind, jitter_us.saturating_sub(from_source_us));
    }

    /// A receiver asks for a key frame in the middle of a picture: it stands still, on its own line unless its publisher's broke.
    pub(crate) fn note_freeze(&mut self, key: PeerKey, place: usize) {
        let peer = &mut *self.peers[key];
        let slot = &peer.slots[place];
        let source = slot.stream.current().and_then(|source| source.layer_in(&self.tracks));
        let broke = source.is_none_or(|layer| layer.broke_us != 0 && self.now_us < layer.broke_us + BLAMED_US);
        if slot.first_timestamp.is_some() && !broke {
            self.stats.freezes[1] += 1;
            peer.quality.froze(Direction::Down);
        }
    }
}
