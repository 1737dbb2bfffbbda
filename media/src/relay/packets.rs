//! Packets over links, there and back.

use super::wire::{Media, Of, Record};
use super::{LinkKey, MOST_BATCH, Relaying};
use crate::codec::{self, Descriptor};
use crate::drop::Drop;
use crate::fault::Step;
use crate::layer::SenderReport;
use crate::opus::Sound;
use crate::ring::{MOST_PACKETS, Packet};
use crate::shard::Shard;
use crate::track::{Fresh, Kind, Origin, Source, TrackKey};

/// A payload longer than this did not come in one piece, and could not be sent on in one.
const MOST_PAYLOAD: usize = 1_400;
/// Indexes that carry nothing are left out one by one as far as this; behind more of them a layer begins anew.
const MOST_LEFT_OUT: u32 = 256;
/// An index so far behind is of no packet that came late: what was said before it was wrong, and the layer begins anew.
const MOST_BEHIND: u64 = 1 << 10;
/// A layer may begin anew this often at most: half of what its publisher may do, for links are uneven.
const LAYER_LASTS_US: u64 = 500_000;

impl Shard {
    /// Sends what arrived of a track in this tick over the links behind which somebody wants it.
    pub(crate) fn relay_fresh(&mut self, key: TrackKey) {
        self.work_for_track(key, Step::Forward);
        for at in 0..self.tracks[key].links.len() {
            let track = &self.tracks[key];
            let (link_key, wanted) = (track.links[at].link, track.links[at].wanted);
            let is_video = track.source.kind() == Kind::Video;
            let mut fresh = track.fresh.iter().filter(|fresh| wanted >> fresh.layer & 1 == 1);
            if !self.links.contains(link_key) || fresh.clone().next().is_none() {
                continue;
            }
            // Silence costs nothing: it is told of with what comes after it.
            if is_video || !fresh.all(|fresh| fresh.padding) {
                self.batch(link_key);
            }
            self.relay_over(key, at);
        }
    }

    fn relay_over(&mut self, key: TrackKey, at: usize) {
        let track = &mut self.tracks[key];
        let mut relaying = track.links[at];
        let link = &mut self.links[relaying.link];
        let (name, is_video, wanted) = (track.name(key), track.source.kind() == Kind::Video, relaying.wanted);
        for fresh in track.fresh.iter().filter(|fresh| wanted >> fresh.layer & 1 == 1) {
            let layer = &track.layers[usize::from(fresh.layer)];
            let of = Of { name, layer: fresh.layer, epoch: layer.epoch as u32 };
            if fresh.padding {
                relaying.leave_out(of, fresh.index);
                if is_video {
                    relaying.say_left_out(&mut link.batch);
                }
                continue;
            }
            let Some((packet, _)) = layer.ring.find(fresh.index) else { continue };
            // A key frame that comes late: what belongs to it may have come before anybody wanted it.
            let from = &mut relaying.from[usize::from(fresh.layer)];
            let last = if packet.frame.keyframe_start { fresh.index.max(std::mem::take(from)) } else { fresh.index };
            // What is further ahead than a ring is long is not there; a damaged index may be as far as can be.
            let last = last.min(fresh.index + MOST_PACKETS as u64);
            relaying.say_left_out(&mut link.batch);
            for (packet, payload) in (fresh.index..=last).filter_map(|index| layer.ring.find(index)) {
                if link.batch.len() + payload.len() > MOST_BATCH {
                    self.stats.relay_dropped += 1;
                    continue;
                }
                let media = Media {
                    of,
                    index: packet.index,
                    timestamp: packet.timestamp,
                    marker: packet.marker,
                    level: packet.level,
                    primary_at: packet.primary_at,
                    dependency: layer.ring.dependency(packet.index).unwrap_or_default(),
                    payload,
                };
                Record::Media(media).write(&mut link.batch);
                link.packets += 1;
            }
        }
        track.links[at] = relaying;
    }

    /// Sends a layer's last sender report over the links that want the layer, or over one that begins to.
    pub(crate) fn relay_report(&mut self, key: TrackKey, layer: usize, only: Option<LinkKey>) {
        let track = &self.tracks[key];
        let Some(report) = track.layers[layer].report else { return };
        let clock_us = self.clock_shift_us(track).map(|shift_us| self.now_us as i64 - shift_us);
        let of = Of { name: track.name(key), layer: layer as u8, epoch: track.layers[layer].epoch as u32 };
        let record = Record::Report { of, ntp: report.ntp, timestamp: report.timestamp, clock_us };
        for at in 0..self.tracks[key].links.len() {
            let relaying = &self.tracks[key].links[at];
            let link = relaying.link;
            if relaying.wanted >> layer & 1 == 1 && only.is_none_or(|only| only == link) {
                self.push(link, &record);
            }
        }
    }

    /// The track and the layer that a record is of; the layer begins anew where the record says so.
    fn stream_of(&mut self, key: LinkKey, of: Of, now_us: u64) -> Result<(TrackKey, usize), Drop> {
        let track_key = *self.links[key].names.get(&of.name).ok_or(Drop::RelayUnknown)?;
        let track = &mut self.tracks[track_key];
        let place = usize::from(of.layer);
        let Origin::Link(elsewhere) = &mut track.origin else { return Err(Drop::RelayUnknown) };
        if elsewhere.asked.0 >> place & 1 == 0 {
            // It was on its way when it was no more wanted.
            return Err(Drop::RelayUnwanted);
        }
        let layer = track.layers.get_mut(place).ok_or(Drop::RelayMalformed)?;
        match elsewhere.epochs[place] {
            Some(epoch) if epoch == of.epoch => return Ok((track_key, place)),
            Some(_) if now_us < layer.begun_us + LAYER_LASTS_US => return Err(Drop::TooManySsrcs),
            _ => {}
        }
        elsewhere.epochs[place] = Some(of.epoch);
        // The same stream goes on behind what did not come of it: its publisher's clock is known.
        let report = layer.report.filter(|_| elsewhere.reported[place] == Some(of.epoch));
        if layer.packets > 0 {
            self.epochs += 1;
            // What it costs is known, and is what it will cost.
            let (rates, temporal_layers) = (std::mem::take(&mut layer.rates), layer.structure.temporal_layers);
            layer.restart(self.epochs);
            (layer.rates, layer.structure.temporal_layers) = (rates, temporal_layers);
            layer.report = report;
            track.fresh.retain(|fresh| fresh.layer != of.layer);
        }
        layer.begun_us = now_us;
        Ok((track_key, place))
    }

    pub(super) fn on_media(&mut self, key: LinkKey, media: &Media<'_>, now_us: u64) -> Result<(), Drop> {
        let (track_key, place) = self.stream_of(key, media.of, now_us)?;
        self.stats.relayed_in += 1;
        let track = &mut self.tracks[track_key];
        if track.is_muted() {
            track.layers[place].receive_padding(media.index, now_us);
            return Err(Drop::Muted);
        }
        if !track.layers[place].awaits(media.index) {
            if media.index + MOST_BEHIND < track.layers[place].highest()
                && let Origin::Link(elsewhere) = &mut track.origin
            {
                elsewhere.epochs[place] = None;
            }
            return Err(Drop::Duplicate);
        }
        if media.payload.len() > MOST_PAYLOAD {
            return Err(Drop::Payload);
        }
        let is_sound = track.source.kind() == Kind::Audio;
        let structure = &mut track.layers[place].structure;
        let frame = codec::describe(track.codec, media.marker, media.payload, media.dependency, structure);
        let frame = frame.ok_or(Drop::Payload)?;
        let mut packet = Packet::new(media.index, media.timestamp, media.marker, frame, now_us);
        if is_sound {
            (packet.level, packet.primary_at) = (media.level, media.primary_at);
        }
        // Its publisher's line lost it first, and it was repaired there.
        track.layers[place].repaired += u64::from(track.layers[place].nacks.is_missing(media.index));
        track.receive_with(place, packet, media.dependency, media.payload);
        let (call, source) = (track.call, track.source);
        if is_sound {
            let sound = Sound::of(&media.payload[usize::from(packet.primary_at)..], Some(media.level));
            let it = &mut self.calls[call];
            let ranks = source == Source::Microphone && it.hub.is_none();
            if ranks && it.speakers.heard(track_key, sound.level, sound.samples, now_us) {
                self.unsettle_call(call);
            }
        } else {
            self.sample(track_key, place, media.index, now_us);
        }
        if self.calls[call].recorded {
            self.copy(track_key, place, media.index);
        }
        self.dirty.note(track_key);
        Ok(())
    }

    pub(super) fn on_left_out(
        &mut self,
        key: LinkKey,
        of: Of,
        (first, count): (u64, u32),
        now_us: u64,
    ) -> Result<(), Drop> {
        let (track_key, place) = self.stream_of(key, of, now_us)?;
        let track = &mut self.tracks[track_key];
        if count > MOST_LEFT_OUT {
            if let Origin::Link(elsewhere) = &mut track.origin {
                elsewhere.epochs[place] = None;
            }
            return Ok(());
        }
        for index in first..first + u64::from(count) {
            if !track.layers[place].awaits(index) {
                continue;
            }
            track.layers[place].receive_padding(index, now_us);
            track.fresh.push(Fresh { layer: of.layer, padding: true, index });
        }
        if self.calls[track.call].recorded {
            for index in first..first + u64::from(count) {
                let padding = Packet::new(index, 0, false, Descriptor::EMPTY, now_us);
                self.copy_padding(track_key, place, &padding);
            }
        }
        self.dirty.note(track_key);
        Ok(())
    }

    pub(super) fn on_report(
        &mut self,
        key: LinkKey,
        of: Of,
        (ntp, timestamp, clock_us): (u64, u32, Option<i64>),
        now_us: u64,
    ) -> Result<(), Drop> {
        let (track_key, place) = self.stream_of(key, of, now_us)?;
        let participant = self.tracks[track_key].participant;
        // One shift for all tracks of a publisher: their sync to each other is what matters.
        let call = &self.calls[self.links[key].call];
        let shift_of = |track: &TrackKey| match &self.tracks[*track].origin {
            Origin::Link(elsewhere) if self.tracks[*track].participant == participant => elsewhere.shift_us,
            _ => None,
        };
        let shift_us = call.tracks.iter().find_map(shift_of);
        let shift_us = shift_us.or_else(|| Some((now_us as i64).saturating_sub(clock_us?)));
        let track = &mut self.tracks[track_key];
        track.layers[place].report = Some(SenderReport { ntp, timestamp, arrived_us: now_us });
        if let Origin::Link(elsewhere) = &mut track.origin {
            (elsewhere.shift_us, elsewhere.reported[place]) = (shift_us, Some(of.epoch));
        }
        self.relay_report(track_key, place, None);
        Ok(())
    }
}

impl Relaying {
    /// An index carries nothing: it is told with others, and with what is missing between them, which is silence as well.
    fn leave_out(&mut self, of: Of, index: u64) {
        match self.left_out.as_mut() {
            Some((known, first, count)) if *known == of => {
                *count = (index.saturating_sub(*first) + 1).max(u64::from(*count)).min(u64::from(u32::MAX)) as u32;
            }
            _ => self.left_out = Some((of, index, 1)),
        }
    }

    fn say_left_out(&mut self, batch: &mut Vec<u8>) {
        if let Some((of, first, count)) = self.left_out.take() {
            Record::LeftOut { of, first, count }.write(batch);
        }
    }
}
