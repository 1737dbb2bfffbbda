//! One file in the making: the frames of its tracks become clusters, in the order of time.

use std::collections::HashMap;

use super::track::{Frame, Track};
use super::webm::{AUDIO, Cluster, ClusterFacts, Head, Label, Picture, VIDEO};
use crate::domain::recording::FileKind;
use crate::domain::{FileId, ParticipantId, TrackId};
use crate::sfu::Codec;

/// How much time a cluster holds at most. Each is one write: what a dying process loses is what has not become a cluster.
pub const SPAN_US: i64 = 500_000;
/// A frame waits so long at most, from its arrival, for others that belong before it. With a look at it every fifth of a second, and
/// batches that come twenty times a second, nothing is further from the disk than two seconds.
pub const DEADLINE_US: i64 = 1_400_000;
/// A file whose tracks are all over stays open for so long: cameras are switched off and on.
const IDLE_US: i64 = 5_000_000;

/// A track of one codec: another codec under the same name is another track to the file.
pub type TrackKey = (TrackId, Codec);

/// What is to be done with files, in order.
#[derive(Debug)]
pub enum Step {
    /// Make a file.
    Open {
        /// Its name.
        file: FileId,
        /// What it begins with.
        head: Box<Head>,
    },
    /// Write another head over the present one.
    Redo {
        /// The file.
        file: FileId,
        /// The head.
        head: Box<Head>,
    },
    /// Append a cluster.
    Append {
        /// The file.
        file: FileId,
        /// The cluster.
        bytes: Vec<u8>,
        /// What is in it.
        facts: ClusterFacts,
    },
    /// Finish the file: nothing follows.
    Close {
        /// The file.
        file: FileId,
    },
    /// Ask for a key frame.
    Keyframe(TrackId),
}

/// A file in the making.
#[derive(Debug)]
pub struct Reel {
    /// Whose file.
    pub participant: ParticipantId,
    /// What of theirs.
    pub kind: FileKind,
    /// Its tracks, those first that came first.
    pub tracks: Vec<TrackKey>,
    /// The codec of its pictures, once there was a track of them.
    pub picture_codec: Option<Codec>,
    file: FileId,
    /// What the head declares.
    picture: Option<Picture>,
    sound: bool,
    /// The file's first moment in the recording, once it has one.
    base_us: Option<i64>,
    /// When the last block of each track is, indexed by its number.
    written_ms: [Option<u64>; 3],
    idle_us: Option<i64>,
}

/// When the next cluster is due, and what belongs into it.
struct Due {
    start_us: i64,
    /// The cluster ends before this.
    cut_us: i64,
}

impl Reel {
    /// A file for this participant.
    pub fn new(participant: ParticipantId, kind: FileKind) -> Reel {
        Reel {
            participant,
            kind,
            tracks: Vec::new(),
            picture_codec: None,
            file: FileId::new(),
            picture: None,
            sound: false,
            base_us: None,
            written_ms: [None; 3],
            idle_us: None,
        }
    }

    /// Writes what is due; with `all`, everything. `zero_us`: when the recording began, since 1970.
    pub fn write(
        &mut self,
        tracks: &mut HashMap<TrackKey, Track>,
        (now_us, zero_us): (i64, i64),
        all: bool,
        steps: &mut Vec<Step>,
    ) {
        while let Some(due) = self.due(tracks, now_us, all) {
            self.declare(tracks, &due, zero_us, steps);
            self.append(tracks, &due, steps);
        }
    }

    /// Whether the file is over: all its tracks have been for a while.
    pub fn is_over(&mut self, now_us: i64) -> bool {
        if !self.tracks.is_empty() {
            self.idle_us = None;
            return false;
        }
        now_us >= *self.idle_us.get_or_insert(now_us) + IDLE_US
    }

    /// The last step, if the file was ever begun.
    pub fn close(&self) -> Option<Step> {
        self.base_us.map(|_| Step::Close { file: self.file })
    }

    fn due(&self, tracks: &HashMap<TrackKey, Track>, now_us: i64, all: bool) -> Option<Due> {
        let (mut start_us, mut oldest_us, mut reached_us, mut full) = (i64::MAX, i64::MAX, i64::MAX, false);
        for track in self.tracks.iter().filter_map(|key| tracks.get(key)) {
            if let Some(frame) = track.placed().next() {
                oldest_us = oldest_us.min(frame.arrived_us);
            }
            start_us = start_us.min(track.placed().find_map(|frame| frame.time_us).unwrap_or(i64::MAX));
            if !track.ended {
                reached_us = reached_us.min(track.placed_until_us().unwrap_or(i64::MIN));
            }
            full |= track.is_full();
        }
        if oldest_us == i64::MAX {
            return None;
        }
        let end_us = start_us.saturating_add(SPAN_US);
        let waited = now_us >= oldest_us.saturating_add(DEADLINE_US);
        if !(all || full || waited || reached_us >= end_us) {
            return None;
        }
        Some(Due { start_us, cut_us: self.key_between(tracks, start_us, end_us).unwrap_or(end_us) })
    }

    /// A key frame begins a cluster.
    fn key_between(&self, tracks: &HashMap<TrackKey, Track>, start_us: i64, end_us: i64) -> Option<i64> {
        let pictures = self.tracks.iter().filter_map(|key| tracks.get(key)).filter(|track| track.number() == VIDEO);
        let keys = pictures.flat_map(Track::placed).filter(|frame| frame.key).filter_map(|frame| frame.time_us);
        keys.filter(|time_us| start_us < *time_us && *time_us < end_us).min()
    }

    /// Makes sure that the head declares every track of the next cluster.
    fn declare(&mut self, tracks: &HashMap<TrackKey, Track>, due: &Due, zero_us: i64, steps: &mut Vec<Step>) {
        let mut new = false;
        for track in self.tracks.iter().filter_map(|key| tracks.get(key)) {
            let has_frames = track.placed().any(|frame| due.takes(frame) && frame.time_us.is_some());
            if !has_frames {
                continue;
            }
            if track.number() == AUDIO {
                new |= !std::mem::replace(&mut self.sound, true);
            } else if self.picture.is_none() {
                self.picture = track.picture().cloned();
                new |= self.picture.is_some();
            }
        }
        if !new {
            return;
        }
        let (file, begins) = (self.file, self.base_us.is_none());
        let base_us = *self.base_us.get_or_insert(due.start_us);
        let starts_at_ms = to_ms(base_us);
        let label = Label { participant: self.participant, kind: self.kind, starts_at_ms };
        let head = Box::new(Head::new(label, zero_us.saturating_add(base_us), self.picture.as_ref(), self.sound));
        steps.push(if begins { Step::Open { file, head } } else { Step::Redo { file, head } });
    }

    fn append(&mut self, tracks: &mut HashMap<TrackKey, Track>, due: &Due, steps: &mut Vec<Step>) {
        let base_us = self.base_us.unwrap_or(due.start_us);
        let mut blocks: Vec<(u64, u8, bool, &[u8])> = Vec::new();
        let mut taken = Vec::with_capacity(self.tracks.len());
        for key in &self.tracks {
            let Some(track) = tracks.get(key) else { continue };
            let number = track.number();
            let declared = if number == AUDIO { self.sound } else { self.picture.is_some() };
            let last_ms = &mut self.written_ms[usize::from(number)];
            let mut count = 0;
            for (frame, bytes) in track.placed_bytes().take_while(|(frame, _)| due.takes(frame)) {
                count += 1;
                let Some(time_us) = frame.time_us.filter(|_| declared) else { continue };
                let time_ms = u64::try_from(to_ms(time_us - base_us)).unwrap_or(0);
                // Only what is older than the file's beginning could be pushed here.
                let time_ms = last_ms.map_or(time_ms, |last_ms| time_ms.max(last_ms + 1));
                *last_ms = Some(time_ms);
                blocks.push((time_ms, number, frame.key, bytes));
            }
            taken.push((*key, count));
        }
        blocks.sort_by_key(|(time_ms, number, ..)| (*time_ms, *number));
        if let Some(&(begins_ms, ..)) = blocks.first() {
            let bytes = blocks.iter().map(|(.., frame)| frame.len()).sum();
            let mut cluster = Cluster::begin(begins_ms, blocks.len(), bytes);
            for (time_ms, number, key, frame) in blocks {
                cluster.block(number, time_ms, key, frame);
            }
            let (bytes, facts) = cluster.end();
            steps.push(Step::Append { file: self.file, bytes, facts });
        }
        for (key, count) in taken {
            if let Some(track) = tracks.get_mut(&key) {
                track.drop_front(count);
            }
        }
    }
}

impl Due {
    fn takes(&self, frame: &Frame) -> bool {
        frame.time_us.is_none_or(|time_us| time_us < self.cut_us)
    }
}

/// Rounded to the nearest millisecond.
fn to_ms(us: i64) -> i64 {
    (us + 500).div_euclid(1_000)
}
