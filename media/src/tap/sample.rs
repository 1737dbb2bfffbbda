//! Sampling: a key frame of each camera and screen every few seconds, for whoever looks at what is shown.
//!
//! Key frames that come anyway are taken first; if none has come when a sample is due, one is asked for, together with whatever
//! receivers ask. Nobody is to know which picture is looked at: it is mostly the lowest layer and sometimes the highest that is
//! forwarded, and the interval varies.

use rand::RngExt;

use super::append_frame;
use crate::event::Event;
use crate::shard::{SECOND_US, Shard};
use crate::track::{Kind, Track, TrackKey};

/// The longest key frame that is looked at: a 4K frame at high quality has less.
const MOST_FRAME: usize = 1024 * 1024;
/// A frame whose packets do not all come within this time is given up: repairs take less.
const ASSEMBLY_US: u64 = SECOND_US;
/// A track that has been asked this often, and has then been silent for [`PATIENCE_US`], goes unsampled.
const REQUESTS: u64 = 3;
/// The time that a publisher has for the last of [`REQUESTS`].
const PATIENCE_US: u64 = 2 * SECOND_US;
/// One sample in so many is of the highest layer that is forwarded, the others of the lowest that is sent.
const HIGHEST_ONE_IN: u32 = 4;
/// A key frame that comes of itself in the last so-manyth part of the interval is taken; the interval varies by as much.
const EARLY_PART: u64 = 8;

/// Which layer is looked at next.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Choice {
    /// The first of a track: whichever comes first.
    Any,
    Lowest,
    HighestForwarded,
}

/// A key frame whose packets are being waited for.
#[derive(Debug)]
struct Assembly {
    layer: usize,
    epoch: u64,
    /// The frame's first packet, and the first that has not come yet.
    first: u64,
    next: u64,
    timestamp: u32,
    bytes: usize,
    begun_us: u64,
}

/// When a track is looked at, and what is known of its next sample.
#[derive(Debug)]
pub(crate) struct Sampling {
    /// The interval that was asked for this track; else the shard's own.
    every_us: Option<u64>,
    due_us: u64,
    choice: Choice,
    assembly: Option<Assembly>,
    /// The number of requests that had been sent when the sample became due.
    asked_at: Option<u64>,
    /// How long the track has been shown since the last of [`REQUESTS`] was sent: time in which it is muted does not count.
    waited_us: u64,
    /// When that was last looked at.
    looked_us: Option<u64>,
    /// It has been told that nothing comes.
    unsampled: bool,
}

/// What the packets of a frame amount to so far.
enum Progress {
    Waits,
    Whole,
    Useless,
}

impl Sampling {
    /// A track that has not been looked at: its first sample is due.
    pub fn new() -> Sampling {
        Sampling {
            every_us: None,
            due_us: 0,
            choice: Choice::Any,
            assembly: None,
            asked_at: None,
            waited_us: 0,
            looked_us: None,
            unsampled: false,
        }
    }

    /// The next sample is due now.
    pub fn hurry(&mut self, now_us: u64) {
        self.due_us = self.due_us.min(now_us);
    }

    /// Nothing comes that could be looked at, and rightly so: the track is muted or silent. The requests that it owes an answer to
    /// stay, and whatever comes first afterwards is looked at: nobody gets out of it by muting again and again.
    pub fn rest(&mut self) {
        (self.assembly, self.looked_us, self.choice) = (None, None, Choice::Any);
    }

    fn is_open(&self, now_us: u64, every_us: u64) -> bool {
        now_us + every_us / EARLY_PART >= self.due_us
    }

    /// Whether the publisher has left all its requests without an answer; once.
    fn is_in_vain(&mut self, sent: u64, now_us: u64) -> bool {
        let asked_at = *self.asked_at.get_or_insert(sent);
        if sent >= asked_at + REQUESTS {
            self.waited_us += self.looked_us.map_or(0, |looked_us| now_us - looked_us);
            self.looked_us = Some(now_us);
        }
        let in_vain = !self.unsampled && self.waited_us >= PATIENCE_US;
        self.unsampled |= in_vain;
        in_vain
    }
}

impl Assembly {
    /// Looks for the frame's packets as far as they have come.
    fn advance(&mut self, track: &Track) -> Progress {
        let Some(layer) = track.layers.get(self.layer).filter(|layer| layer.epoch == self.epoch) else {
            return Progress::Useless;
        };
        while let Some((packet, payload)) = layer.ring.find(self.next) {
            if packet.timestamp != self.timestamp {
                return Progress::Whole;
            }
            self.bytes += payload.len();
            if self.bytes > MOST_FRAME {
                return Progress::Useless;
            }
            self.next += 1;
            if packet.marker {
                return Progress::Whole;
            }
        }
        Progress::Waits
    }

    fn frame(&self, track: &Track) -> Option<Vec<u8>> {
        let mut frame = Vec::with_capacity(self.bytes);
        for index in self.first..self.next {
            let (_, payload) = track.layers[self.layer].ring.find(index)?;
            if !append_frame(track.codec, payload, &mut frame) {
                return None;
            }
        }
        Some(frame)
    }
}

impl Shard {
    /// A packet of a video track has been kept: is it one that is waited for?
    pub(crate) fn sample(&mut self, key: TrackKey, place: usize, index: u64, now_us: u64) {
        let Some(shards_us) = self.config.sample_every.map(|every| every.as_micros() as u64) else { return };
        let track = &self.tracks[key];
        let Some(sampling) = track.sampling.as_ref() else { return };
        if sampling.assembly.is_none() {
            let every_us = sampling.every_us.unwrap_or(shards_us);
            if !sampling.is_open(now_us, every_us) {
                return;
            }
            let Some((packet, _)) = track.layers[place].ring.find(index).filter(|(it, _)| it.frame.keyframe_start)
            else {
                return;
            };
            let (epoch, timestamp) = (track.layers[place].epoch, packet.timestamp);
            if sampling.choice != Choice::Any && self.sampled_layer(key) != Some(place) {
                return;
            }
            let assembly =
                Assembly { layer: place, epoch, first: index, next: index, timestamp, bytes: 0, begun_us: now_us };
            self.sampling(key).assembly = Some(assembly);
        } else if sampling.assembly.as_ref().is_some_and(|assembly| assembly.layer != place) {
            return;
        }
        let Some(mut assembly) = self.sampling(key).assembly.take() else { return };
        match assembly.advance(&self.tracks[key]) {
            Progress::Waits => self.sampling(key).assembly = Some(assembly),
            Progress::Whole => self.tell_sample(key, &assembly, shards_us, now_us),
            Progress::Useless => {}
        }
    }

    fn sampling(&mut self, key: TrackKey) -> &mut Sampling {
        self.tracks[key].sampling.get_or_insert_with(Sampling::new)
    }

    fn tell_sample(&mut self, key: TrackKey, assembly: &Assembly, shards_us: u64, now_us: u64) {
        let track = &self.tracks[key];
        let Some(frame) = assembly.frame(track) else { return };
        let call = self.calls[track.call].id;
        self.events.push_back(Event::Sampled {
            call,
            participant: track.participant,
            track: track.id,
            layer: assembly.layer as u8,
            codec: track.codec,
            frame,
        });
        self.stats.sampled += 1;
        let choice = if self.rng.random_ratio(1, HIGHEST_ONE_IN) { Choice::HighestForwarded } else { Choice::Lowest };
        let every_us = self.sampling(key).every_us.unwrap_or(shards_us);
        let spread_us = every_us / EARLY_PART;
        let due_us = now_us + every_us - spread_us / 2 + self.rng.random_range(0..=spread_us);
        let sampling = self.sampling(key);
        *sampling = Sampling { every_us: sampling.every_us, due_us, choice, ..Sampling::new() };
    }

    /// The layer that the next sample of a track is taken of.
    fn sampled_layer(&self, key: TrackKey) -> Option<usize> {
        let track = &self.tracks[key];
        let mut sent = (0..track.layers.len()).filter(|layer| track.is_sent(*layer));
        let lowest = sent.next()?;
        if track.sampling.as_ref()?.choice != Choice::HighestForwarded {
            return Some(lowest);
        }
        let relayed = track.links.iter().fold(0, |bits, relaying| bits | relaying.wanted);
        let targets = track.subscribers.iter().map(|(peer, slot)| self.peers[*peer].slots[usize::from(*slot)].target);
        let targets = targets.flatten().map(|target| usize::from(target.layer));
        let relayed = (0..track.layers.len()).filter(|layer| relayed >> layer & 1 == 1);
        let highest = targets.chain(relayed).filter(|layer| track.is_sent(*layer)).max();
        highest.or_else(|| sent.next_back()).or(Some(lowest))
    }

    /// The layer that is to be looked at now, of a track that comes from another shard.
    pub(crate) fn sampled_soon(&self, key: TrackKey) -> Option<usize> {
        let shards_us = self.config.sample_every?.as_micros() as u64;
        let sampling = self.tracks[key].sampling.as_ref()?;
        if let Some(assembly) = &sampling.assembly {
            return Some(assembly.layer);
        }
        let is_open = sampling.is_open(self.now_us, sampling.every_us.unwrap_or(shards_us));
        is_open.then(|| self.sampled_layer(key)).flatten()
    }

    /// Several times a second: asks for key frames that are due, and tells of tracks that do not give any.
    pub(crate) fn look_after_sampling(&mut self, key: TrackKey, now_us: u64) {
        let track = &mut self.tracks[key];
        // Who has the call's hub looks at its pictures.
        let is_spoke = self.calls[track.call].hub.is_some();
        if self.config.sample_every.is_none() || track.source.kind() != Kind::Video || is_spoke {
            return;
        }
        let is_on = track.active && !track.is_muted();
        let sampling = track.sampling.get_or_insert_with(Sampling::new);
        if !is_on {
            sampling.rest();
            return;
        }
        if sampling.assembly.as_ref().is_some_and(|assembly| now_us > assembly.begun_us + ASSEMBLY_US) {
            sampling.assembly = None;
        }
        if now_us < sampling.due_us || sampling.assembly.is_some() {
            return;
        }
        let Some(layer) = self.sampled_layer(key) else { return };
        let track = &mut self.tracks[key];
        track.keyframes.want(layer);
        let sent = track.keyframes.sent();
        if track.sampling.as_mut().is_some_and(|sampling| sampling.is_in_vain(sent, now_us)) {
            let (participant, call, track) = (track.participant, self.calls[track.call].id, track.id);
            self.events.push_back(Event::Unsampled { call, participant, track });
        }
    }

    /// Looks at a track at another interval from now on; `None`: the shard's own.
    pub fn sample_every(&mut self, now: std::time::Instant, track: crate::TrackId, every: Option<std::time::Duration>) {
        let now_us = self.us(now);
        let Some(shards) = self.config.sample_every else { return };
        let Some(&key) = self.by_track.get(&track) else { return };
        let every_us = every.unwrap_or(shards).as_micros() as u64;
        let sampling = self.sampling(key);
        sampling.every_us = every.map(|_| every_us);
        sampling.due_us = sampling.due_us.min(now_us + every_us);
    }

    /// Looks at a track as soon as it can be.
    pub fn sample_now(&mut self, now: std::time::Instant, track: crate::TrackId) {
        let now_us = self.us(now);
        if let Some(&key) = self.by_track.get(&track) {
            self.sampling(key).hurry(now_us);
        }
    }
}
