//! Tracks over links: which there are, which of their layers are wanted where, and whom everybody hears.

use super::wire::{self, Announced, LayerFigures, RATES, Record, Voiced};
use super::{LinkKey, MOST_TRACKS, Relaying};
use crate::call::Voice;
use crate::drop::Drop;
use crate::fault::Step;
use crate::shard::Shard;
use crate::track::{Elsewhere, Kind, MOST_LAYERS, Origin, Source, Track, TrackKey};

impl Shard {
    /// Tells the other shards of the call what a track is now, but for the one that it came from.
    pub(crate) fn announce(&mut self, key: TrackKey) {
        let track = &self.tracks[key];
        let links = &self.calls[track.call].links;
        if links.is_empty() {
            return;
        }
        let announced = track.announced(key);
        self.tracks[key].told = (announced.sent, announced.offered);
        for at in 0..self.calls[self.tracks[key].call].links.len() {
            let link = self.calls[self.tracks[key].call].links[at];
            if self.tracks[key].link() != Some(link) {
                self.push(link, &Record::Track(announced));
            }
        }
    }

    /// A track is no more: the other shards of its call are told.
    pub(crate) fn announce_end(&mut self, key: TrackKey, track: &Track) {
        if let Origin::Link(elsewhere) = &track.origin
            && let Some(link) = self.links.get_mut(elsewhere.link)
        {
            link.names.retain(|_, known| *known != key);
        }
        for at in 0..self.calls[track.call].links.len() {
            let link = self.calls[track.call].links[at];
            if track.link() != Some(link) {
                self.push(link, &Record::Gone(track.name(key)));
            }
        }
    }

    /// Several times a second: whether a track is still what the others were told.
    pub(crate) fn look_after_announced(&mut self, key: TrackKey, now_us: u64) {
        let track = &mut self.tracks[key];
        if self.calls[track.call].links.is_empty() {
            return;
        }
        let due = track.source.kind() == Kind::Video && now_us >= track.told_us + crate::shard::SECOND_US;
        if due || track.told != (track.sent(), track.offered()) {
            track.told_us = now_us;
            self.announce(key);
        }
        // What is sampled, or recorded, changes with time.
        self.unasked.note(key);
    }

    /// Tells the other end of a link all that there is to tell.
    pub(super) fn tell_everything(&mut self, key: LinkKey) {
        self.links[key].told = 0;
        self.push(key, &Record::Begin);
        let call = self.links[key].call;
        for at in 0..self.calls[call].tracks.len() {
            let track_key = self.calls[call].tracks[at];
            let track = &self.tracks[track_key];
            if track.link() != Some(key) {
                let announced = track.announced(track_key);
                self.push(key, &Record::Track(announced));
            } else if let Origin::Link(elsewhere) = &track.origin {
                let (name, (layers, watched)) = (elsewhere.name, elsewhere.asked);
                self.push(key, &Record::Wanted { name, layers, watched });
            }
        }
        self.push(key, &Record::End);
        self.note_choice(call);
    }

    /// Tells the other end of a link whom everybody hears.
    pub(super) fn tell_choice(&mut self, key: LinkKey) {
        let call = &self.calls[self.links[key].call];
        let speaking: Vec<(TrackKey, i8)> = call.speakers.speaking().collect();
        let chosen: Vec<TrackKey> = call.speakers.chosen().collect();
        let silent = chosen.iter().filter(|track| !speaking.iter().any(|(other, _)| other == *track));
        let all = speaking.iter().map(|(track, level)| (*track, *level, true));
        let all = all.chain(silent.map(|track| (*track, i8::MIN, false)));
        let voiced = all.map(|(track, level, speaks)| {
            let chosen = chosen.contains(&track);
            Voiced { track: self.tracks[track].id, level, chosen, speaks }
        });
        let (mut scratch, spotlight) = (std::mem::take(&mut self.sealed), call.spotlight);
        let voices = wire::voices(&mut scratch, voiced);
        self.push(key, &Record::Choice { spotlight, voices });
        self.sealed = scratch;
    }

    /// Does what one record says.
    pub(super) fn take_record(&mut self, key: LinkKey, record: Record<'_>, now_us: u64) -> Result<(), Drop> {
        match record {
            Record::Track(announced) => self.on_announced(key, &announced),
            Record::Gone(name) => {
                if let Some(track) = self.links[key].names.remove(&name) {
                    self.forget_track(track);
                }
                Ok(())
            }
            Record::Wanted { name, layers, watched } => self.on_wanted(key, name, (layers, watched)),
            Record::Keyframe { name, layers } => self.on_wish(key, name, layers),
            Record::Media(media) => self.on_media(key, &media, now_us),
            Record::LeftOut { of, first, count } => self.on_left_out(key, of, (first, count), now_us),
            Record::Report { of, ntp, timestamp, clock_us } => {
                self.on_report(key, of, (ntp, timestamp, clock_us), now_us)
            }
            Record::Choice { spotlight, voices } => {
                let call = self.links[key].call;
                if self.calls[call].hub != Some(key) {
                    return Err(Drop::RelayMalformed);
                }
                let voices = voices.iter().filter_map(|voiced| {
                    let track = *self.by_track.get(&voiced.track)?;
                    (self.tracks[track].call == call).then_some(Voice {
                        track,
                        level: voiced.level,
                        chosen: voiced.chosen,
                        speaks: voiced.speaks,
                    })
                });
                let voices: Vec<Voice> = voices.collect();
                let it = &mut self.calls[call];
                if (&it.voices, it.spotlight) != (&voices, spotlight) {
                    (it.voices, it.spotlight) = (voices, spotlight);
                    self.unsettle_call(call);
                }
                Ok(())
            }
            Record::Refresh => {
                self.tell_everything(key);
                Ok(())
            }
            Record::Begin => {
                let link = &mut self.links[key];
                link.telling = link.telling.wrapping_add(1);
                Ok(())
            }
            Record::End => {
                self.end_telling(key);
                Ok(())
            }
        }
    }

    /// Everything has been told: what was not named is no more.
    fn end_telling(&mut self, key: LinkKey) {
        let link = &mut self.links[key];
        link.unsure_us = None;
        let (telling, call) = (link.telling, link.call);
        for at in 0..self.calls[call].tracks.len() {
            let track = self.calls[call].tracks[at];
            self.tracks[track].links.retain(|relaying| relaying.link != key || relaying.telling == telling);
            self.unasked.note(track);
        }
        let old = |track: &TrackKey| match &self.tracks[*track].origin {
            Origin::Link(elsewhere) => elsewhere.telling != telling,
            Origin::Peer(_) => false,
        };
        let gone: Vec<TrackKey> = self.links[key].names.values().copied().filter(old).collect();
        for track in gone {
            self.forget_track(track);
        }
    }

    fn on_announced(&mut self, key: LinkKey, announced: &Announced) -> Result<(), Drop> {
        let (telling, call) = (self.links[key].telling, self.links[key].call);
        let known = self.links[key].names.get(&announced.name).copied();
        let track_key = match known {
            Some(known) if self.tracks[known].is_as(announced) => known,
            // It was told wrongly, then or now: who is right is said again soon, and it begins anew with either.
            Some(known) => {
                self.forget_track(known);
                self.take_in(key, announced)?
            }
            None => self.take_in(key, announced)?,
        };
        let track = &mut self.tracks[track_key];
        let is_video = track.source.kind() == Kind::Video;
        let Origin::Link(elsewhere) = &mut track.origin else { return Err(Drop::RelayUnknown) };
        elsewhere.telling = telling;
        let before = (track.active, elsewhere.muted, elsewhere.sent, elsewhere.offered);
        (elsewhere.muted, elsewhere.sent, elsewhere.offered) = (announced.muted, announced.sent, announced.offered);
        let asked = elsewhere.asked.0;
        track.active = announced.active;
        for (at, (layer, figures)) in track.layers.iter_mut().zip(&announced.figures).enumerate().filter(|_| is_video) {
            // What comes is measured here.
            if asked >> at & 1 == 0 || layer.packets == 0 {
                layer.width = figures.width;
                layer.structure.temporal_layers = figures.temporal_layers.clamp(1, crate::codec::MOST_TEMPORAL);
                layer.rates.suppose(figures.bps);
            }
        }
        let after = (announced.active, announced.muted, announced.sent, announced.offered);
        if before == after {
            return Ok(());
        }
        if !announced.active || announced.muted {
            track.copying = None;
            self.calls[call].speakers.leave(track_key);
        }
        if announced.active
            && !before.0
            && let Some(sampling) = track.sampling.as_mut()
        {
            sampling.hurry(0);
        }
        self.announce(track_key);
        self.unasked.note(track_key);
        self.unsettle_call(call);
        Ok(())
    }

    /// A track of the other end that was not known.
    fn take_in(&mut self, key: LinkKey, announced: &Announced) -> Result<TrackKey, Drop> {
        let call = self.links[key].call;
        if self.links[key].names.len() >= MOST_TRACKS {
            return Err(Drop::RelayUnknown);
        }
        if let Some(&known) = self.by_track.get(&announced.track) {
            // Its publisher is here, or in another call: it is not the one to believe. Else it has moved.
            if self.tracks[known].link().is_none() || self.tracks[known].call != call {
                // It may be about to move: it is asked for again.
                return Err(Drop::RelayUnknown);
            }
            self.forget_track(known);
        }
        let epoch = self.epochs + 1;
        self.epochs += MOST_LAYERS as u64;
        let origin = Origin::Link(Box::new(Elsewhere::new(key, announced.name)));
        let (id, participant, layers) = (announced.track, announced.participant, usize::from(announced.layers));
        let track = Track::new(id, participant, (call, origin), announced.source, announced.codec, layers, epoch);
        let track = self.tracks.insert(track);
        self.by_track.insert(id, track);
        self.calls[call].tracks.push(track);
        self.links[key].names.insert(announced.name, track);
        self.unasked.note(track);
        // Those behind the other links learn of it even if nothing comes of it yet.
        self.announce(track);
        Ok(track)
    }

    /// A track of this shard by the name that it announced it under, unless it is from the very link that names it.
    fn named_here(&self, key: LinkKey, name: u64) -> Result<TrackKey, Drop> {
        let at = (name >> 32) as usize;
        let call = self.links[key].call;
        let found = self.tracks.get(at).filter(|track| track.name(at) == name && track.call == call);
        found.filter(|track| track.link() != Some(key)).map(|_| at).ok_or(Drop::RelayUnknown)
    }

    fn on_wanted(&mut self, key: LinkKey, name: u64, (wanted, watched): (u8, u8)) -> Result<(), Drop> {
        let track_key = self.named_here(key, name)?;
        let telling = self.links[key].telling;
        let track = &mut self.tracks[track_key];
        let all = (1u8 << track.layers.len()) - 1;
        let (wanted, watched) = (wanted & all, watched & all);
        let at = track.links.iter().position(|relaying| relaying.link == key);
        let before = at.map_or(0, |at| track.links[at].wanted);
        match at {
            Some(at) if wanted | watched == 0 => {
                track.links.swap_remove(at);
            }
            Some(at) => {
                let relaying = &mut track.links[at];
                (relaying.wanted, relaying.watched, relaying.telling) = (wanted, watched, telling);
            }
            None if wanted | watched == 0 => {}
            None => {
                let from = [0; MOST_LAYERS];
                track.links.push(Relaying { link: key, wanted, watched, from, left_out: None, telling });
            }
        }
        let begins = |layer: &usize| wanted & !before & 1 << layer != 0;
        if let Some(relaying) = track.links.iter_mut().find(|relaying| relaying.link == key) {
            for layer in (0..track.layers.len()).filter(begins) {
                relaying.from[layer] = track.layers[layer].highest();
            }
        }
        for layer in (0..track.layers.len()).filter(begins) {
            self.relay_report(track_key, layer, Some(key));
        }
        self.unasked.note(track_key);
        Ok(())
    }

    fn on_wish(&mut self, key: LinkKey, name: u64, layers: u8) -> Result<(), Drop> {
        let track_key = self.named_here(key, name)?;
        let track = &mut self.tracks[track_key];
        for layer in (0..track.layers.len()).filter(|layer| layers >> layer & 1 == 1) {
            track.keyframes.want(layer);
        }
        if track.keyframes.is_new() && track.keyframes.is_due(self.now_us) {
            self.tick_us = 0;
        }
        Ok(())
    }

    /// The layers of a track that are needed here and behind its links, and those that somebody watches.
    pub(crate) fn wanted_of(&self, key: TrackKey) -> (u8, u8) {
        let track = &self.tracks[key];
        let call = &self.calls[track.call];
        let is_hub = call.hub.is_none();
        let behind = track.links.iter().fold((0, 0), |sum, it| (sum.0 | it.wanted, sum.1 | it.watched));
        if track.source.kind() == Kind::Audio {
            // Whom everybody hears is chosen among all microphones.
            let here = !track.subscribers.is_empty() || call.recorded || is_hub && track.source == Source::Microphone;
            return if here || behind.0 != 0 { (1, 1) } else { (0, 0) };
        }
        let mut wanted = 0u8;
        for (peer, place) in &track.subscribers {
            let slot = &self.peers[*peer].slots[usize::from(*place)];
            let shown = slot.stream.current().filter(|source| source.track == key).map(|source| source.layer);
            let asked = [slot.given.map(|rung| rung.layer), slot.target.map(|target| target.layer), shown];
            wanted = asked.into_iter().flatten().fold(wanted, |bits, layer| bits | 1 << layer);
        }
        let sampled = if is_hub { self.sampled_soon(key) } else { None };
        wanted |= sampled.map_or(0, |layer| 1 << layer);
        let mut watched = wanted;
        if call.recorded {
            // The highest that comes is recorded: nobody knows which that will be.
            watched = u8::MAX;
            wanted |= track.highest_sent().map_or(0, |layer| 1 << layer);
        }
        (wanted | behind.0, watched | behind.1)
    }

    /// Asks the other end of a link for what is needed of one more track; false when all are asked for.
    pub(crate) fn ask_next(&mut self) -> bool {
        let Some(key) = self.unasked.pop() else { return false };
        let Some(link) = self.tracks.get(key).and_then(Track::link) else { return true };
        self.work_for_track(key, Step::Settle);
        let wanted = self.wanted_of(key);
        let track = &mut self.tracks[key];
        let Origin::Link(elsewhere) = &mut track.origin else { return true };
        if elsewhere.asked == wanted {
            return true;
        }
        let name = elsewhere.name;
        for layer in (0..track.layers.len()).filter(|layer| wanted.0 & !elsewhere.asked.0 & 1 << layer != 0) {
            // What comes now does not go on with what came before.
            elsewhere.epochs[layer] = None;
        }
        elsewhere.asked = wanted;
        self.push(link, &Record::Wanted { name, layers: wanted.0, watched: wanted.1 });
        true
    }

    /// Each tick: key frames that somebody here waits for, of tracks from other shards.
    pub(crate) fn ask_over_links(&mut self, now_us: u64) {
        for key in 0..self.tracks.capacity() {
            let Some(track) = self.tracks.get_mut(key) else { continue };
            let Origin::Link(elsewhere) = &track.origin else { continue };
            let (link, name, asked) = (elsewhere.link, elsewhere.name, elsewhere.asked.0);
            if track.source.kind() == Kind::Audio {
                continue;
            }
            for at in 0..track.layers.len() {
                // What is missing may still come, repaired; it is not asked for here.
                let gone = !track.layers[at].nacks.is_idle() && track.layers[at].nacks.due(now_us, 0, |_| ());
                if gone && asked >> at & 1 == 1 {
                    track.layers[at].broke_us = now_us;
                    track.keyframes.want(at);
                }
                if !track.is_sent(at) {
                    track.keyframes.forget(at);
                }
            }
            let due = track.keyframes.due(now_us);
            let layers = due.iter().enumerate().fold(0, |bits, (at, asked)| bits | u8::from(*asked) << at);
            if layers != 0 {
                self.work_for_track(key, Step::Repair);
                self.push(link, &Record::Keyframe { name, layers });
            }
        }
    }
}

impl Track {
    /// What the links of this shard call it: its place, and what no other track in that place was called.
    pub fn name(&self, key: TrackKey) -> u64 {
        (key as u64) << 32 | u64::from(self.first_epoch as u32)
    }

    /// The link that it came over.
    pub fn link(&self) -> Option<LinkKey> {
        match &self.origin {
            Origin::Link(elsewhere) => Some(elsewhere.link),
            Origin::Peer(_) => None,
        }
    }

    /// Whether it is the one that is announced: whose it is and what it carries never changes.
    fn is_as(&self, announced: &Announced) -> bool {
        (self.id, self.participant, self.source) == (announced.track, announced.participant, announced.source)
            && (self.codec, self.layers.len()) == (announced.codec, usize::from(announced.layers))
    }

    fn sent(&self) -> u8 {
        (0..self.layers.len()).filter(|layer| self.is_sent(*layer)).fold(0, |bits, layer| bits | 1 << layer)
    }

    fn offered(&self) -> u8 {
        (0..self.layers.len() as u8).filter(|layer| self.offers(*layer)).fold(0, |bits, layer| bits | 1 << layer)
    }

    fn announced(&self, key: TrackKey) -> Announced {
        let mut figures = [LayerFigures::default(); MOST_LAYERS];
        for (figures, layer) in figures.iter_mut().zip(&self.layers) {
            (figures.width, figures.temporal_layers) = (layer.width, layer.structure.temporal_layers);
            for (bps, temporal) in figures.bps.iter_mut().zip(0..RATES as u8) {
                *bps = layer.rates.up_to(0, temporal);
            }
        }
        Announced {
            name: self.name(key),
            track: self.id,
            participant: self.participant,
            source: self.source,
            codec: self.codec,
            active: self.active,
            muted: self.is_muted(),
            sent: self.sent(),
            offered: self.offered(),
            layers: self.layers.len() as u8,
            figures,
        }
    }
}
