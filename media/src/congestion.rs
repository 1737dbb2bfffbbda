//! What each receiver's line carries: the shares of its slots, what waits for it, and probes of what more it could bear.

use crate::allocate::{self, Demand};
use crate::event::Event;
use crate::fault::Step;
use crate::forward::{SourceLayer, Target};
use crate::ladder::Ladder;
use crate::line::Way;
use crate::quality::Direction;
use crate::shard::Shard;
use crate::track::{Kind, PeerKey, TrackKey};

/// What waits for a line is looked at this often.
pub(crate) const PACE_US: u64 = 5_000;
/// What a voice needs beyond its payload, bit/s: 50 packets a second with headers of RTP, SRTP, UDP and IP.
const VOICE_HEADERS_BPS: u64 = 26_000;
/// Pictures are given this much at least, bit/s, whatever voices need: what a small one takes.
const LEAST_PICTURE_BPS: u64 = 60_000;

/// More than the slots ask for is looked for on the line, in percent: they climb with air above them, which must be found first.
const SOUGHT_PCT: u64 = 130;
/// Packets of one probe in one tick: of padding alone, which has 255 bytes at most (RFC 3550 §5.1), 60 Mbit/s.
const MOST_PROBE_PACKETS: usize = 270;

impl Shard {
    /// Chooses what each video slot of a peer shows, by the sizes of its tiles and what its line carries.
    pub(crate) fn aim(&mut self, key: PeerKey) {
        let (now_us, voices_bps) = (self.now_us, self.voices_bps(key));
        let budget_bps = match &self.peers[key].line {
            // Who says nothing of the line gets what there is.
            None => u64::MAX,
            Some(line) => line.budget_bps().saturating_sub(voices_bps).max(LEAST_PICTURE_BPS),
        };
        let mut order: Vec<(usize, Ladder)> = Vec::new();
        for (place, slot) in self.peers[key].slots.iter().enumerate() {
            if let (Some(track), Kind::Video) = (slot.track, slot.kind) {
                order.push((place, self.tracks[track].ladder(slot.width)));
            }
        }
        let peer = &self.peers[key];
        order.sort_by_key(|(place, _)| peer.slots[*place].rank);
        let demands = order.iter().map(|(place, ladder)| {
            let slot = &peer.slots[*place];
            let stands = slot.given.and_then(|given| ladder.place_of(given));
            let resting = slot.fell_us != 0 && now_us < slot.fell_us + allocate::REST_AFTER_FALL_US;
            Demand { rank: slot.rank.0, ladder: ladder.rungs(), stands, resting, returns: slot.paused }
        });
        let demands: Vec<Demand<'_>> = demands.collect();
        let mut given = Vec::new();
        allocate::allocate(budget_bps, &demands, &mut given);
        let allocated_bps = allocate::cost_bps(&demands, &given);
        let wanted_bps: u64 =
            demands.iter().filter_map(|demand| demand.ladder.last()).map(|rung| u64::from(rung.bps)).sum();
        let fell: Vec<bool> = demands.iter().zip(&given).map(|(demand, given)| *given < demand.stands).collect();
        for (((place, ladder), given), fell) in order.iter().zip(given).zip(fell) {
            self.give(key, *place, ladder, given, fell);
        }
        if let Some(line) = self.peers[key].line.as_deref_mut() {
            (line.allocated_bps, line.wanted_bps) = (allocated_bps, wanted_bps);
            let wanted_bps = wanted_bps * SOUGHT_PCT / 100;
            line.estimator.wanted(
                line.gross_bps(wanted_bps + voices_bps),
                line.gross_bps(allocated_bps + voices_bps),
                now_us,
            );
        }
    }

    /// What the voices of a peer need.
    fn voices_bps(&self, key: PeerKey) -> u64 {
        let slots = self.peers[key].slots.iter().filter(|slot| slot.kind == Kind::Audio);
        let voices = slots.filter_map(|slot| self.tracks.get(slot.stream.current()?.track));
        voices.map(|track| u64::from(track.layers[0].rates.up_to(0, 0)) + VOICE_HEADERS_BPS).sum()
    }

    fn give(&mut self, key: PeerKey, place: usize, ladder: &Ladder, given: Option<usize>, fell: bool) {
        let slot = &mut self.peers[key].slots[place];
        let Some(track_key) = slot.track else { return };
        // Where it comes from another shard, that one is to know before it is asked for key frames.
        self.unasked.note(track_key);
        let track = &mut self.tracks[track_key];
        let paused = given.is_none() && !ladder.rungs().is_empty();
        if fell {
            slot.fell_us = self.now_us;
        }
        slot.given = given.map(|at| ladder.rungs()[at]);
        // Until a layer that was asked for again is there, the highest below it serves.
        let rungs = ladder.rungs().get(..given.map_or(0, |at| at + 1)).unwrap_or_default();
        let there = rungs.iter().rev().find(|rung| track.is_sent(usize::from(rung.layer)));
        let there = there.map(|rung| Target { layer: rung.layer, spatial: rung.spatial, temporal: rung.temporal });
        // What is on its way goes on as long as nothing else is there.
        slot.target = there.or(slot.target.filter(|_| !paused));
        if slot.paused != paused {
            slot.paused = paused;
            if paused {
                slot.stream.stop();
            }
            self.untold.note(key);
        }
        let Some(target) = slot.target else { return };
        let epoch = track.layers[usize::from(target.layer)].epoch;
        let source = SourceLayer { track: track_key, layer: target.layer, epoch };
        if !slot.stream.follows(source, target) {
            track.keyframes.want(usize::from(target.layer));
            // Somebody waits for a picture: do not wait for the tick as well.
            if track.keyframes.is_new() && track.keyframes.is_due(self.now_us) {
                self.tick_us = 0;
            }
        }
    }

    /// The peer told which packets arrived, and when.
    pub(crate) fn on_transport_feedback(&mut self, key: PeerKey, part: &[u8], now_us: u64) {
        let Some(line) = self.peers[key].line.as_deref_mut().filter(|line| line.feeds_back) else { return };
        match line.estimator.feedback(part, now_us) {
            Ok(()) => self.follow_line(key),
            Err(reason) => self.stats.drops[reason as usize] += 1,
        }
    }

    /// The peer told what it bears in all (draft-alvestrand-rmcat-remb).
    pub(crate) fn on_remb(&mut self, key: PeerKey, bps: u64, now_us: u64) {
        let Some(line) = self.peers[key].line.as_deref_mut() else { return };
        line.estimator.remb(bps, now_us);
        self.follow_line(key);
    }

    /// The share of a stream that was lost, in 256ths: all that is known of the line of who gives no other feedback.
    pub(crate) fn on_loss_report(&mut self, key: PeerKey, fraction_lost: u8, now_us: u64) {
        let peer = &mut *self.peers[key];
        let Some(line) = peer.line.as_deref_mut().filter(|line| !line.feeds_back) else { return };
        line.estimator.reported(fraction_lost, peer.rtt_us, now_us);
        self.follow_line(key);
    }

    /// The slots follow the line at once where it bears less than they were given.
    fn follow_line(&mut self, key: PeerKey) {
        let Some(line) = self.peers[key].line.as_deref_mut() else { return };
        line.follow();
        // Once in a tick is enough, whatever a peer says how often.
        let falls = line.budget_bps().max(LEAST_PICTURE_BPS) < line.allocated_bps;
        if falls && self.now_us >= line.followed_us + crate::shard::TICK_US {
            line.followed_us = self.now_us;
            self.aim(key);
        }
    }

    /// Each tick: lines age, probes are sent.
    pub(crate) fn look_after_line(&mut self, key: PeerKey, now_us: u64) {
        let Some(line) = self.peers[key].line.as_deref_mut() else { return };
        line.tick(now_us);
        let due = line.probe_due(now_us);
        if due > 0 {
            self.probe(key, due);
        }
    }

    /// Sends so many bytes that nobody needs: recent packets once more, or padding.
    fn probe(&mut self, key: PeerKey, bytes: usize) {
        let peer = &mut *self.peers[key];
        let (Some(to), Some(sealer)) = (peer.addr, peer.sealer.as_mut()) else { return };
        // What is shown makes better probes than padding.
        let shows = peer.slots.iter().position(|slot| slot.stream.can_probe() && slot.stream.current().is_some());
        let place = shows.or_else(|| peer.slots.iter().position(|slot| slot.stream.can_probe()));
        let Some(slot) = place.map(|place| &mut peer.slots[place]) else { return };
        let line = peer.line.as_deref_mut();
        let mut way = Way { to, sealer, line, now_us: self.now_us, out: &mut self.out };
        let latest: Vec<(u16, SourceLayer, u64)> = slot.stream.latest().collect();
        let mut sent = 0;
        for (sequence, source, index) in latest.into_iter().cycle().take(MOST_PROBE_PACKETS) {
            if sent >= bytes {
                break;
            }
            let layer = source.layer_in(&self.tracks);
            let found = layer.and_then(|layer| layer.ring.find(index).map(|found| (layer, found)));
            sent += match found {
                Some((layer, (packet, payload))) => {
                    let dependency = layer.ring.dependency(index).unwrap_or_default();
                    slot.stream.resend(sequence, packet, (dependency, payload), &mut way)
                }
                None => slot.stream.pad(&mut way),
            };
        }
        for _ in 0..MOST_PROBE_PACKETS {
            if sent >= bytes {
                break;
            }
            sent += slot.stream.pad(&mut way).max(1);
        }
        self.stats.probed += sent as u64;
        self.out.close_run();
    }

    /// Writes the packets of this tick for one more receiver; false when there is none left.
    pub(crate) fn forward_next(&mut self) -> bool {
        let Some(key) = self.dirty.last() else { return false };
        let Some(track) = self.tracks.get_mut(key) else {
            self.dirty.pop();
            self.cursor = 0;
            return true;
        };
        if self.cursor == 0 && !track.links.is_empty() {
            self.relay_fresh(key);
        }
        let track = &mut self.tracks[key];
        let Some(&(peer_key, place)) = track.subscribers.get(self.cursor) else {
            track.fresh.clear();
            self.dirty.pop();
            self.cursor = 0;
            return true;
        };
        self.cursor += 1;
        self.work_for_peer(peer_key, Step::Forward);
        self.serve(key, peer_key, usize::from(place), true);
        true
    }

    /// Lets what waits for one line pass as far as it may; every few milliseconds while anything waits.
    pub(crate) fn pace(&mut self) {
        for peer_key in self.pacing.take() {
            if !self.peers.contains(peer_key) {
                continue;
            }
            self.work_for_peer(peer_key, Step::Forward);
            let peer = &self.peers[peer_key];
            let mut places: Vec<usize> =
                (0..peer.slots.len()).filter(|at| peer.slots[*at].stream.is_waiting()).collect();
            places.sort_by_key(|place| peer.slots[*place].rank);
            for place in places {
                if let Some(track) = self.peers[peer_key].slots[place].track {
                    self.serve(track, peer_key, place, false);
                }
            }
        }
    }

    /// Forwards what is new of a track, or what waits of it, into one slot.
    fn serve(&mut self, key: TrackKey, peer_key: PeerKey, place: usize, fresh: bool) {
        let track = &self.tracks[key];
        if track.is_muted() {
            // Its receivers will hear of it in a moment; until then nothing passes.
            return;
        }
        let peer = &mut *self.peers[peer_key];
        let (Some(to), Some(sealer)) = (peer.addr, peer.sealer.as_mut()) else { return };
        let slot = &mut peer.slots[place];
        let target = match slot.kind {
            Kind::Audio => Some(Target::default()),
            Kind::Video => slot.target,
        };
        let Some(target) = target else { return };
        let (before, shown) = (slot.stream.current(), slot.stream.shown());
        let mut line = peer.line.as_deref_mut();
        if let Some(line) = line.as_mut() {
            line.pacer.settle(self.now_us);
        }
        let mut way = Way { to, sealer, line, now_us: self.now_us, out: &mut self.out };
        let forwarded = match fresh {
            true => slot.stream.forward(key, track, target, &mut way),
            false => slot.stream.release(key, track, target, &mut way),
        };
        self.out.close_run();
        self.stats.packets_out += forwarded.packets;
        self.stats.bytes_out += forwarded.bytes;
        if forwarded.overrun {
            // Too much waits to be of use: the picture begins again with the next key frame.
            self.stats.overruns += 1;
            self.stats.freezes[1] += 1;
            peer.quality.froze(Direction::Down);
            slot.stream.stop();
            self.tracks[key].keyframes.want(usize::from(target.layer));
        } else if slot.stream.is_waiting() {
            self.pacing.note(peer_key);
            self.pace_us = self.pace_us.min(self.now_us + PACE_US);
        }
        if let Some(timestamp) = forwarded.switched
            && before.is_none_or(|before| before.track != key)
        {
            slot.first_timestamp = Some(timestamp);
        }
        if forwarded.switched.is_some() || slot.stream.shown() != shown {
            self.untold.note(peer_key);
        }
    }

    /// Several times a second: which layers of a track are watched, for its publisher to know.
    pub(crate) fn look_after_watching(&mut self, key: TrackKey, now_us: u64) {
        let track = &self.tracks[key];
        if track.source.kind() != Kind::Video || !track.is_simulcast() || !track.active || track.link().is_some() {
            return;
        }
        let mut watched = track.links.iter().fold(0, |bits, relaying| bits | relaying.watched);
        for (peer, place) in &track.subscribers {
            let slot = &self.peers[*peer].slots[usize::from(*place)];
            let given = slot.given.map(|rung| rung.layer);
            let shown = slot.stream.current().filter(|source| source.track == key).map(|source| source.layer);
            watched |= [given, shown].into_iter().flatten().fold(0, |bits, layer| bits | 1 << layer);
        }
        let call = track.call;
        if self.calls[call].recorded {
            // The highest that comes is recorded: nobody knows which that will be.
            watched = u8::MAX;
        }
        let (id, layers) = (track.id, track.layers.len());
        let sent = (0..layers).filter(|layer| track.is_sent(*layer)).fold(0, |bits, layer| bits | 1u8 << layer);
        if let Some(told) = self.tracks[key].watch.note(watched, sent, layers, now_us) {
            let layers = (0..layers).map(|layer| told >> layer & 1 == 1).collect();
            self.events.push_back(Event::Watched { call: self.calls[call].id, track: id, layers });
        }
    }
}
