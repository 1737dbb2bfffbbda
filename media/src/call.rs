//! A call: who is in it, who speaks, and the mapping of its tracks onto everybody's slots.

use crate::allocate::Rank;
use crate::event::{Event, SlotState};
use crate::fault::Step;
use crate::id::{CallId, ParticipantId};
use crate::relay::LinkKey;
use crate::shard::Shard;
use crate::slots::{self, Told};
use crate::speaker::Speakers;
use crate::track::{Kind, PeerKey, SILENT_US, Source, TrackKey};

/// The width that a video is sent in to a client that never says what it shows, in device pixels.
const UNSAID_WIDTH: u16 = 640;
/// Tracks that one `view` may name.
pub(crate) const MOST_VIEWED: usize = 128;

/// One call of a shard.
#[derive(Debug)]
pub(crate) struct Call {
    pub id: CallId,
    /// In the order of joining.
    pub peers: Vec<PeerKey>,
    /// In the order of publishing.
    pub tracks: Vec<TrackKey>,
    /// The microphones.
    pub speakers: Speakers<TrackKey>,
    /// Who spoke when this was last told.
    pub told: Vec<TrackKey>,
    /// Its packets are copied for a recorder.
    pub recorded: bool,
    /// Whom everybody is to see who says nothing of what they want to see.
    pub spotlight: Option<ParticipantId>,
    /// The link to the shard that has the call's hub; none: it is here.
    pub hub: Option<LinkKey>,
    /// The links to the call's other shards.
    pub links: Vec<LinkKey>,
    /// The microphones as the hub has chosen them; empty where the hub is.
    pub voices: Vec<Voice>,
    /// Whom everybody hears is to be told over the links.
    pub chosen_anew: bool,
}

/// A microphone that the hub has chosen, or that speaks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Voice {
    pub track: TrackKey,
    /// In dBov.
    pub level: i8,
    pub chosen: bool,
    pub speaks: bool,
}

impl Call {
    pub fn new(id: CallId, recorded: bool, audio_speakers: usize) -> Call {
        let (peers, tracks, told) = (Vec::new(), Vec::new(), Vec::new());
        let (links, voices) = (Vec::new(), Vec::new());
        Call {
            id,
            peers,
            tracks,
            speakers: Speakers::new(audio_speakers),
            told,
            recorded,
            spotlight: None,
            hub: None,
            links,
            voices,
            chosen_anew: false,
        }
    }

    /// The microphones that everybody gets, loudest speaker first.
    pub fn chosen(&self) -> impl Iterator<Item = TrackKey> + '_ {
        let elsewhere = self.voices.iter().filter(|voice| voice.chosen).map(|voice| voice.track);
        self.speakers.chosen().chain(elsewhere)
    }

    /// Those who speak now, loudest first.
    pub fn speaking(&self) -> impl Iterator<Item = TrackKey> + '_ {
        let elsewhere = self.voices.iter().filter(|voice| voice.speaks).map(|voice| voice.track);
        self.speakers.speaking().map(|(track, _)| track).chain(elsewhere)
    }
}

impl Shard {
    /// Maps tracks onto the slots of one more peer; false when all are settled.
    pub(crate) fn settle_next(&mut self) -> bool {
        let Some(key) = self.unsettled.pop() else { return false };
        if !self.peers.contains(key) || !self.peers[key].ready {
            return true;
        }
        self.work_for_peer(key, Step::Settle);
        self.settle(key, Kind::Audio);
        self.settle(key, Kind::Video);
        if self.has_screen_sound(self.peers[key].call) {
            self.settle(key, Kind::Audio);
        }
        self.aim(key);
        self.untold.note(key);
        true
    }

    fn settle(&mut self, key: PeerKey, kind: Kind) {
        let places: Vec<usize> = slot_places(&self.peers[key].slots, kind);
        let current: Vec<Option<TrackKey>> = places.iter().map(|place| self.peers[key].slots[*place].track).collect();
        let wanted = match kind {
            Kind::Audio => self.wanted_audio(key),
            Kind::Video => self.wanted_video(key),
        };
        let tracks: Vec<TrackKey> = wanted.iter().map(|(track, _)| *track).collect();
        let after = slots::assign(&current, &tracks, |track| self.paired_place(key, kind, track));
        for (at, place) in places.into_iter().enumerate() {
            let stream = &self.peers[key].slots[place].stream;
            let after = after[at].filter(|track| stream.takes(self.tracks[*track].codec));
            if after != current[at] {
                self.remap(key, place, after);
            }
        }
        let mut faces = 0;
        for (place, (track, width)) in wanted.into_iter().enumerate() {
            let screen = self.tracks[track].source == Source::Screen;
            faces += u16::from(!screen);
            let rank = match (screen, faces) {
                (true, _) => Rank::Screen,
                (false, 1) => Rank::First,
                (false, _) => Rank::Other,
            };
            if let Some(slot) = self.peers[key].slots.iter_mut().find(|slot| slot.track == Some(track)) {
                (slot.width, slot.rank) = (width, (rank, place as u16));
            }
        }
    }

    /// The number of the slot of the other kind that carries the same participant, or the same screen: a browser syncs the two.
    fn paired_place(&self, key: PeerKey, kind: Kind, track: TrackKey) -> Option<usize> {
        let side = |track: TrackKey| {
            let track = &self.tracks[track];
            (track.participant, matches!(track.source, Source::Screen | Source::ScreenAudio))
        };
        let same = |other: TrackKey| side(other) == side(track);
        let slots = &self.peers[key].slots;
        slots.iter().find(|slot| slot.kind != kind && slot.track.is_some_and(same)).map(|slot| slot.number)
    }

    /// The pictures for this peer: what it asked for, else whom all are to see, screens, then the speakers, then who came first.
    fn wanted_video(&self, key: PeerKey) -> Vec<(TrackKey, u16)> {
        let peer = &self.peers[key];
        let call = &self.calls[peer.call];
        let shown = |track: &TrackKey| {
            let track_ref = &self.tracks[*track];
            track_ref.source.kind() == Kind::Video
                && track_ref.participant != peer.participant
                && self.is_on(*track)
                && peer.slots.iter().any(|slot| slot.stream.takes(track_ref.codec))
        };
        if let Some(view) = &peer.view {
            let mut wanted: Vec<(TrackKey, u16)> = Vec::new();
            for view in view.iter().take(MOST_VIEWED).filter(|view| view.visible) {
                let Some(&track) = self.by_track.get(&view.track) else { continue };
                let in_call = self.tracks[track].call == peer.call;
                if in_call && shown(&track) && !wanted.iter().any(|(known, _)| *known == track) {
                    wanted.push((track, view.width));
                }
            }
            return wanted;
        }
        let mut tracks: Vec<TrackKey> = call.tracks.iter().copied().filter(|track| shown(track)).collect();
        let rank = |track: TrackKey| {
            let speaks =
                call.speaking().position(|voice| self.tracks[voice].participant == self.tracks[track].participant);
            let is_aside = Some(self.tracks[track].participant) != call.spotlight;
            (is_aside, self.tracks[track].source != Source::Screen, speaks.unwrap_or(usize::MAX))
        };
        tracks.sort_by_cached_key(|track| rank(*track));
        tracks.into_iter().map(|track| (track, UNSAID_WIDTH)).collect()
    }

    pub(crate) fn is_on(&self, track: TrackKey) -> bool {
        let track = &self.tracks[track];
        track.active && !track.is_muted()
    }

    fn remap(&mut self, key: PeerKey, place: usize, track: Option<TrackKey>) {
        let number = place as u16;
        self.fall_silent(key, place);
        let slot = &mut self.peers[key].slots[place];
        let before = std::mem::replace(&mut slot.track, track);
        (slot.target, slot.given, slot.paused, slot.first_timestamp) = (None, None, false, None);
        let among = slot.among;
        before.into_iter().chain(track).for_each(|track| self.unasked.note(track));
        if let Some(before) = before {
            self.unsubscribe(before, among);
        }
        if let Some(track) = track {
            let subscribers = &mut self.tracks[track].subscribers;
            self.peers[key].slots[place].among = subscribers.len();
            subscribers.push((key, number));
        }
    }

    /// A track has one receiver less: the one at this place, which the last of them takes.
    pub(crate) fn unsubscribe(&mut self, track: TrackKey, among: usize) {
        let Some(track) = self.tracks.get_mut(track) else { return };
        track.subscribers.swap_remove(among);
        if let Some(&(receiver, place)) = track.subscribers.get(among)
            && let Some(receiver) = self.peers.get_mut(receiver)
        {
            receiver.slots[usize::from(place)].among = among;
        }
    }

    /// Tells one more peer what changed in its slots; false when all know.
    pub(crate) fn tell_next(&mut self) -> bool {
        let Some(key) = self.untold.pop() else { return false };
        self.work_for_peer(key, Step::Settle);
        let Some(peer) = self.peers.get_mut(key) else { return true };
        let mut changed = Vec::new();
        for slot in &mut peer.slots {
            let video = slot.kind == Kind::Video;
            let layer =
                slot.stream.shown().filter(|(track, _)| video && Some(*track) == slot.track).map(|(_, layer)| layer);
            let paused = slot.paused && slot.track.is_some();
            let now = Told { track: slot.track, layer, timestamp: slot.first_timestamp, paused };
            if slot.told == now {
                continue;
            }
            slot.told = now;
            let source = slot.track.map(|track| (self.tracks[track].participant, self.tracks[track].id));
            changed.push(SlotState {
                mid: slot.mid.clone(),
                kind: slot.kind,
                source,
                layer,
                rtp_timestamp: slot.first_timestamp,
                paused,
            });
        }
        if !changed.is_empty() {
            let call = self.calls[peer.call].id;
            self.events.push_back(Event::Slots { call, participant: peer.participant, slots: changed });
        }
        true
    }

    /// Notices tracks that begin or cease, layers that come or go, and who speaks.
    pub(crate) fn look_after_calls(&mut self, now_us: u64) {
        for call_key in 0..self.calls.capacity() {
            if self.calls.contains(call_key) {
                self.work_for(call_key, Step::LookAfter);
            }
            let Some(call) = self.calls.get_mut(call_key) else { continue };
            let mut changed = call.speakers.rank(now_us);
            let speaking: Vec<TrackKey> = call.speakers.speaking().map(|(track, _)| track).collect();
            let speakers: Vec<_> =
                call.speakers.speaking().map(|(track, level)| (self.tracks[track].participant, level)).collect();
            if changed || call.told != speaking {
                call.told = speaking;
                self.events.push_back(Event::Speakers { call: call.id, speakers });
            }
            for at in 0..self.calls[call_key].tracks.len() {
                let key = self.calls[call_key].tracks[at];
                changed |= self.note_silence(key, now_us);
                self.note_quiet(key, now_us);
                self.tracks[key].layers.iter_mut().for_each(|layer| layer.rates.measure(now_us));
                self.look_after_sampling(key, now_us);
                self.look_after_announced(key, now_us);
                if self.calls[call_key].recorded {
                    self.look_after_recording(key);
                }
            }
            if changed {
                self.unsettle_call(call_key);
            } else {
                for at in 0..self.calls[call_key].peers.len() {
                    let key = self.calls[call_key].peers[at];
                    self.aim(key);
                }
            }
            for at in 0..self.calls[call_key].tracks.len() {
                self.look_after_watching(self.calls[call_key].tracks[at], now_us);
            }
        }
    }

    fn note_silence(&mut self, key: TrackKey, now_us: u64) -> bool {
        let track = &mut self.tracks[key];
        if !track.active || track.link().is_some() || track.last_us() + SILENT_US > now_us {
            return false;
        }
        track.active = false;
        let id = track.id;
        let call = &mut self.calls[track.call];
        call.speakers.leave(key);
        self.events.push_back(Event::Track { call: call.id, track: id, active: false });
        self.announce(key);
        true
    }

    /// The first packet of a track, or the first after a silence.
    pub(crate) fn begin_track(&mut self, key: TrackKey) {
        let track = &mut self.tracks[key];
        track.active = true;
        if let Some(sampling) = track.sampling.as_mut() {
            sampling.hurry(0);
        }
        let (id, call) = (track.id, track.call);
        self.events.push_back(Event::Track { call: self.calls[call].id, track: id, active: true });
        self.announce(key);
        self.unsettle_call(call);
    }

    /// A track is over: it leaves everybody's slots, and whoever knows of it is told.
    pub(crate) fn forget_track(&mut self, key: TrackKey) {
        let track = self.tracks.remove(key);
        self.by_track.remove(&track.id);
        let call = &mut self.calls[track.call];
        call.tracks.retain(|known| *known != key);
        call.voices.retain(|voice| voice.track != key);
        call.speakers.leave(key);
        let (id, recorded, is_hub) = (call.id, call.recorded, call.hub.is_none());
        if track.source.kind() == Kind::Video && is_hub {
            self.events.push_back(Event::Ended { call: id, track: track.id });
        }
        for (receiver, place) in &track.subscribers {
            let slot = &mut self.peers[*receiver].slots[usize::from(*place)];
            (slot.track, slot.first_timestamp) = (None, None);
            self.fall_silent(*receiver, usize::from(*place));
        }
        if recorded {
            self.end_recording(id, track.id);
        }
        self.announce_end(key, &track);
        self.unsettle_call(track.call);
    }
}

/// The places of all slots of one kind, in the order of the offer.
fn slot_places(slots: &[slots::Slot], kind: Kind) -> Vec<usize> {
    slots.iter().enumerate().filter(|(_, slot)| slot.kind == kind).map(|(place, _)| place).collect()
}
