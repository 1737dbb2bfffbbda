//! One recording of one call: packets go in, what is to be done with files comes out. No clock, no file, no thread.

use std::collections::{HashMap, HashSet};

use super::clock::PublisherClock;
use super::frames::Meta;
use super::reel::{Reel, Step, TrackKey};
use super::track::{Counts, Track};
use crate::domain::recording::FileKind;
use crate::domain::{ParticipantId, TrackId, TrackSource};
use crate::sfu::{Codec, Recorded, RecordedEvent, RecordedPacket};

/// Tracks that a recording follows at a time: fifty people's camera, microphone and screen, and as many that are just over.
const MOST_TRACKS: usize = 300;
/// Files that grow at a time. Those who come and go leave files open for some seconds.
const MOST_REELS: usize = 300;
/// People whose clocks are remembered: those who have tracks.
const MOST_PUBLISHERS: usize = 4096;
/// Tracks whose end is remembered, so that a late packet does not begin them anew.
const MOST_ENDED: usize = 4096;

/// A recording in the making.
#[derive(Debug)]
pub struct Take {
    /// When it began, µs since 1970, by the clock that dates arrivals.
    zero_us: i64,
    heard_us: i64,
    now_us: i64,
    publishers: HashMap<ParticipantId, PublisherClock>,
    tracks: HashMap<TrackKey, Track>,
    reels: Vec<Reel>,
    ended: HashSet<TrackKey>,
    /// Packets that were refused: of too many tracks, or without sense.
    refused: u64,
    counts: Counts,
}

impl Take {
    /// A recording that begins then, µs since 1970.
    pub fn new(zero_us: i64) -> Take {
        Take {
            zero_us,
            heard_us: 0,
            now_us: 0,
            publishers: HashMap::new(),
            tracks: HashMap::new(),
            reels: Vec::new(),
            ended: HashSet::new(),
            refused: 0,
            counts: Counts::default(),
        }
    }

    /// Takes what has arrived. What it leads to, [`Take::tick`] says.
    pub fn push(&mut self, recorded: &Recorded) {
        for event in &recorded.events {
            match event {
                RecordedEvent::Packet(packet) => match recorded.bytes.get(packet.payload.clone()) {
                    Some(payload) => self.packet(packet, payload),
                    None => self.refused += 1,
                },
                RecordedEvent::Ended(track) => self.end_track(*track),
                RecordedEvent::Dropped(count) => self.counts.lost += count,
            }
        }
    }

    /// When the last packet came, µs of the recording.
    pub fn heard_us(&self) -> i64 {
        self.heard_us
    }

    /// Time has passed; it is now so late, µs of the recording. Called a few times a second.
    pub fn tick(&mut self, now_us: i64, steps: &mut Vec<Step>) {
        self.now_us = self.now_us.max(now_us);
        for ((id, _), track) in &mut self.tracks {
            if let Some(publisher) = self.publishers.get(&track.participant) {
                track.tick(self.now_us, publisher);
            }
            if track.wants_keyframe(self.now_us) {
                steps.push(Step::Keyframe(*id));
            }
        }
        self.write(false, steps);
    }

    /// The recording is over: everything that is here goes to its file.
    pub fn end(mut self, steps: &mut Vec<Step>) -> Counts {
        let keys: Vec<_> = self.tracks.keys().copied().collect();
        for key in keys {
            self.end_one(key);
        }
        self.write(true, steps);
        steps.extend(self.reels.iter().filter_map(Reel::close));
        self.take_counts()
    }

    /// Bytes that have come and are not in a cluster.
    #[cfg(test)]
    pub fn waiting_bytes(&self) -> usize {
        self.tracks.values().map(Track::waiting_bytes).sum()
    }

    /// What was counted since the last time.
    pub fn take_counts(&mut self) -> Counts {
        let mut sum = std::mem::take(&mut self.counts);
        sum.dropped += std::mem::take(&mut self.refused);
        self.tracks.values_mut().for_each(|track| sum.add(&track.take_counts()));
        sum
    }

    fn write(&mut self, all: bool, steps: &mut Vec<Step>) {
        let now = (self.now_us, self.zero_us);
        for reel in &mut self.reels {
            reel.write(&mut self.tracks, now, all, steps);
        }
        let counts = &mut self.counts;
        self.tracks.retain(|_, track| {
            let over = track.is_over();
            if over {
                counts.add(&track.take_counts());
            }
            !over
        });
        let tracks = &self.tracks;
        if self.publishers.len() > tracks.len() {
            let present: HashSet<_> = tracks.values().map(|track| track.participant).collect();
            self.publishers.retain(|participant, _| present.contains(participant));
        }
        self.reels.retain_mut(|reel| {
            reel.tracks.retain(|key| tracks.contains_key(key));
            let over = reel.is_over(now.0);
            steps.extend(reel.close().filter(|_| over));
            !over
        });
    }

    fn packet(&mut self, packet: &RecordedPacket, payload: &[u8]) {
        let meta = Meta::of(packet, self.zero_us);
        if meta.arrived_us < 0 {
            return;
        }
        self.heard_us = self.heard_us.max(meta.arrived_us);
        self.now_us = self.now_us.max(meta.arrived_us);
        let key = (packet.track, packet.codec);
        let mut track = self.tracks.get_mut(&key);
        if track.is_none() {
            self.admit(key, packet);
            track = self.tracks.get_mut(&key);
        }
        let publisher = self.publishers.get_mut(&packet.participant);
        match (track, publisher) {
            (Some(track), Some(publisher)) => track.take(packet, meta, payload, publisher),
            _ => self.refused += 1,
        }
    }

    /// Makes room for a track that has not been seen, if there is any.
    fn admit(&mut self, key: TrackKey, packet: &RecordedPacket) {
        let known = self.publishers.contains_key(&packet.participant);
        if self.ended.contains(&key)
            || self.tracks.len() >= MOST_TRACKS
            || !known && self.publishers.len() >= MOST_PUBLISHERS
            || (packet.codec == Codec::Opus) == packet.source.is_picture()
        {
            return;
        }
        // One camera, one microphone and one screen a participant: another one takes the place of the first.
        let same =
            |track: &Track| (track.participant, track.source) == (packet.participant, packet.source) && !track.ended;
        if let Some((&other, _)) = self.tracks.iter().find(|(_, track)| same(track)) {
            self.end_one(other);
        }
        // A screen and its sound are one file, a face and its voice another.
        let kind = match packet.source {
            TrackSource::Screen | TrackSource::ScreenAudio => FileKind::Screen,
            TrackSource::Microphone | TrackSource::Camera => FileKind::Participant,
        };
        let fits = |reel: &&mut Reel| {
            (reel.participant, reel.kind) == (packet.participant, kind)
                && (packet.codec == Codec::Opus || reel.picture_codec.is_none_or(|codec| codec == packet.codec))
        };
        if self.reels.iter_mut().find(fits).is_none() {
            if self.reels.len() >= MOST_REELS {
                return;
            }
            self.reels.push(Reel::new(packet.participant, kind));
        }
        let Some(reel) = self.reels.iter_mut().find(fits) else { return };
        reel.tracks.push(key);
        if packet.codec != Codec::Opus {
            reel.picture_codec = Some(packet.codec);
        }
        self.publishers.entry(packet.participant).or_default();
        self.tracks.insert(key, Track::new(packet, self.now_us));
    }

    fn end_track(&mut self, track: TrackId) {
        for codec in [Codec::Opus, Codec::Vp8, Codec::Vp9, Codec::H264, Codec::Av1] {
            self.end_one((track, codec));
        }
    }

    fn end_one(&mut self, key: TrackKey) {
        let Some(track) = self.tracks.get_mut(&key).filter(|track| !track.ended) else { return };
        if let Some(publisher) = self.publishers.get(&track.participant) {
            track.end(self.now_us, publisher);
        }
        if self.ended.len() >= MOST_ENDED {
            self.ended.clear();
        }
        self.ended.insert(key);
    }
}

impl Counts {
    /// Adds other counts to these.
    pub fn add(&mut self, other: &Counts) {
        self.packets += other.packets;
        self.late += other.late;
        self.lost += other.lost;
        self.frames += other.frames;
        self.dropped += other.dropped;
    }
}
