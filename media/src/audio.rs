//! Sound: what comes of a microphone or a screen's sound, who gets it, and how it ends.
//!
//! The voices of a call are the same few for everybody ([`crate::speaker`]), without one's own: who is among them hears the others
//! of them. The sound of a shared screen is no voice: whoever sees the screen hears it.

use crate::codec::Descriptor;
use crate::drop::Drop;
use crate::line::Way;
use crate::opus::{self, Passing, Sound};
use crate::red;
use crate::ring::Packet;
use crate::shard::Shard;
use crate::track::{Fresh, Kind, PeerKey, Source, TrackKey};

/// A sound counts as ended after this long without a packet: longer than what a path delays, and than an encoder's pauses (400 ms).
const QUIET_US: u64 = 500_000;

/// One packet of sound, authenticated and new.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Heard<'a> {
    pub index: u64,
    pub timestamp: u32,
    pub marker: bool,
    /// The payload, and whether it is redundant audio.
    pub payload: &'a [u8],
    pub red: bool,
    /// The publisher's payload type of Opus.
    pub payload_type: u8,
    /// As the header extension tells it (RFC 6464 §3).
    pub level: Option<u8>,
}

impl Shard {
    /// Keeps a packet of sound, ranks its speaker, and leaves out what is silent.
    ///
    /// # Errors
    /// `Payload` when redundant audio cannot be read.
    pub(crate) fn hear(&mut self, key: TrackKey, heard: Heard<'_>, now_us: u64) -> Result<(), Drop> {
        let primary_at = match heard.red {
            true => red::primary_at(heard.payload, heard.payload_type).ok_or(Drop::Payload)?,
            false => 0,
        };
        let frame = &heard.payload[primary_at..];
        let sound = Sound::of(frame, heard.level);
        let track = &mut self.tracks[key];
        let call = track.call;
        let passing = track.gate.pass(sound);
        let resumes = passing == Passing::Whole { resumes: true };
        let mut packet = Packet::new(heard.index, heard.timestamp, heard.marker || resumes, Descriptor::EMPTY, now_us);
        packet.level = sound.level;
        match passing {
            Passing::Pause => track.receive(0, packet, &opus::pause(frame[0])),
            Passing::Whole { .. } => {
                packet.primary_at = primary_at as u16;
                track.receive(0, packet, heard.payload);
            }
            Passing::Nothing => {
                // Recorded, and left out of everybody's series.
                packet.primary_at = primary_at as u16;
                track.layers[0].receive(packet, heard.payload);
                track.fresh.push(Fresh { layer: 0, padding: true, index: heard.index });
            }
        }
        let begins = !track.active;
        let speaks = track.source == Source::Microphone
            && self.calls[call].hub.is_none()
            && self.calls[call].speakers.heard(key, sound.level, sound.samples, now_us);
        if begins {
            self.begin_track(key);
        } else if speaks {
            self.unsettle_call(call);
        }
        if self.calls[call].recorded {
            self.copy(key, 0, heard.index);
        }
        Ok(())
    }

    /// The sounds for this peer: the call's voices without its own, and after the first of them those of the screens it sees.
    pub(crate) fn wanted_audio(&self, key: PeerKey) -> Vec<(TrackKey, u16)> {
        let peer = &self.peers[key];
        let call = &self.calls[peer.call];
        let is_on = |track: &TrackKey| self.is_on(*track) && self.tracks[*track].participant != peer.participant;
        let mut wanted: Vec<TrackKey> = call.chosen().filter(is_on).collect();
        let screens = call.tracks.iter().copied().filter(|track| {
            self.tracks[*track].source == Source::ScreenAudio && is_on(track) && self.sees_screen_of(key, *track)
        });
        let after_the_first = wanted.len().min(1);
        wanted.splice(after_the_first..after_the_first, screens.collect::<Vec<_>>());
        wanted.into_iter().map(|track| (track, 0)).collect()
    }

    /// Whether one of the peer's slots carries the screen that this sound is of.
    fn sees_screen_of(&self, key: PeerKey, sound: TrackKey) -> bool {
        let publisher = self.tracks[sound].participant;
        let mut shown = self.peers[key].slots.iter().filter_map(|slot| slot.track);
        shown.any(|track| self.tracks[track].source == Source::Screen && self.tracks[track].participant == publisher)
    }

    /// Whether a call has sounds of screens, which follow what is seen.
    pub(crate) fn has_screen_sound(&self, call: usize) -> bool {
        self.calls[call].tracks.iter().any(|track| self.tracks[*track].source == Source::ScreenAudio)
    }

    /// Ends the sound of a track that nothing comes of: its device is gone, or the path to it.
    pub(crate) fn note_quiet(&mut self, key: TrackKey, now_us: u64) {
        let track = &self.tracks[key];
        if track.source.kind() != Kind::Audio || !track.active || track.last_us() + QUIET_US > now_us {
            return;
        }
        for at in 0..self.tracks[key].subscribers.len() {
            let (peer, place) = self.tracks[key].subscribers[at];
            if self.peers[peer].slots[usize::from(place)].stream.sounds() {
                self.fall_silent(peer, usize::from(place));
            }
        }
    }

    /// Nothing feeds a slot from now on. One that carried sound ends it with a pause, so that its receiver conceals nothing.
    pub(crate) fn fall_silent(&mut self, key: PeerKey, place: usize) {
        let peer = &mut *self.peers[key];
        let slot = &mut peer.slots[place];
        match (slot.kind, peer.addr, peer.sealer.as_mut()) {
            (Kind::Audio, Some(to), Some(sealer)) => {
                let (line, now_us) = (peer.line.as_deref_mut(), self.now_us);
                slot.stream.hush(&mut Way { to, sealer, line, now_us, out: &mut self.out });
            }
            _ => slot.stream.stop(),
        }
    }
}
