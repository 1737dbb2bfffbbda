//! The last frames of everybody who is seen, in memory alone: what is frozen when somebody is reported.

use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use bytes::Bytes;

use super::vision::Coding;
use crate::domain::evidence::Scores;
use crate::domain::{RoomId, Time, TrackId, UserId, case::Place};

/// Frames of each track. With one every five seconds: the last quarter of a minute.
const OF_TRACK: usize = 3;
/// Bytes of all frames. A frame has 10 to 100 KB, so this is enough for hundreds of tracks; beyond it the oldest go first.
const MOST_BYTES: usize = 128 * 1024 * 1024;
/// How long the frames of a track that is over are kept: a stranger who skips at once can still be reported.
pub(super) const GRACE: Duration = Duration::from_secs(60);
/// How long a track of which nothing is heard any more, not even its end, is kept.
pub(super) const FORGOTTEN: Duration = Duration::from_secs(15 * 60);
/// Frames that one report freezes.
const OF_REPORT: usize = 6;

/// One frame, as it came.
#[derive(Clone, Debug)]
pub(super) struct Frame {
    /// Whose.
    pub(super) user: UserId,
    /// Where.
    pub(super) place: Place,
    /// When it was taken.
    pub(super) taken_at: Time,
    /// What it is coded in.
    pub(super) coding: Coding,
    /// The key frame.
    pub(super) bytes: Bytes,
    /// What the classifier saw in it, once it has looked.
    pub(super) scores: Option<Scores>,
}

/// The frames. Clones share them.
#[derive(Clone, Default)]
pub(super) struct Frames(Arc<Mutex<Kept>>);

#[derive(Default)]
struct Kept {
    tracks: HashMap<TrackId, OfTrack>,
    bytes: usize,
    count: u64,
}

#[derive(Default)]
struct OfTrack {
    /// With the numbers that they were given, the oldest first.
    frames: VecDeque<(u64, Frame)>,
    ended_at: Option<Time>,
}

impl Frames {
    /// Keeps a frame, and forgets what is too much. The number by which [`Frames::saw`] knows it.
    pub(super) fn keep(&self, track: TrackId, frame: Frame) -> u64 {
        let mut kept = self.kept();
        kept.count += 1;
        let number = kept.count;
        kept.bytes += frame.bytes.len();
        let of_track = kept.tracks.entry(track).or_default();
        of_track.ended_at = None;
        of_track.frames.push_back((number, frame));
        if of_track.frames.len() > OF_TRACK {
            kept.drop_oldest_of(track);
        }
        while kept.bytes > MOST_BYTES {
            let oldest = kept.tracks.iter().filter_map(|(id, it)| Some((it.frames.front()?.0, *id))).min();
            let Some((_, oldest)) = oldest else { break };
            kept.drop_oldest_of(oldest);
        }
        number
    }

    /// The classifier has looked at that frame.
    pub(super) fn saw(&self, track: TrackId, number: u64, scores: Scores) {
        let mut kept = self.kept();
        let frames = kept.tracks.get_mut(&track).map(|it| &mut it.frames);
        if let Some((_, frame)) = frames.and_then(|frames| frames.iter_mut().find(|(it, _)| *it == number)) {
            frame.scores = Some(scores);
        }
    }

    /// The last frames of a person, in that room or anywhere, oldest first.
    pub(super) fn of(&self, user: UserId, room: Option<RoomId>) -> Vec<Frame> {
        let kept = self.kept();
        let fits = |frame: &Frame| frame.user == user && (room.is_none() || frame.place.room_id == room);
        let mut found: Vec<(u64, Frame)> =
            kept.tracks.values().flat_map(|it| &it.frames).filter(|(_, frame)| fits(frame)).cloned().collect();
        found.sort_unstable_by_key(|(number, _)| *number);
        let late = found.len().saturating_sub(OF_REPORT);
        found.drain(..late);
        found.into_iter().map(|(_, frame)| frame).collect()
    }

    /// The track is over; its frames stay for a moment.
    pub(super) fn end(&self, track: TrackId, now: Time) {
        if let Some(of_track) = self.kept().tracks.get_mut(&track) {
            of_track.ended_at = Some(now);
        }
    }

    /// Forgets the tracks that have been over for long enough.
    pub(super) fn sweep(&self, now: Time) {
        let mut kept = self.kept();
        let mut freed = 0;
        kept.tracks.retain(|_, it| {
            // Of a track whose end nobody told, the last frame's age says it.
            let newest = it.frames.back().map(|(_, frame)| frame.taken_at);
            let stays = it.ended_at.is_none_or(|ended| now < ended.after(GRACE))
                && newest.is_none_or(|newest| now < newest.after(FORGOTTEN));
            if !stays {
                freed += it.frames.iter().map(|(_, frame)| frame.bytes.len()).sum::<usize>();
            }
            stays
        });
        kept.bytes -= freed;
    }

    fn kept(&self) -> MutexGuard<'_, Kept> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Kept {
    fn drop_oldest_of(&mut self, track: TrackId) {
        let dropped = self.tracks.get_mut(&track).and_then(|it| it.frames.pop_front());
        self.bytes -= dropped.map_or(0, |(_, frame)| frame.bytes.len());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn frame(user: UserId, room: RoomId, taken_ms: i64, len: usize) -> Frame {
        Frame {
            user,
            place: Place { room_id: Some(room), ..Place::default() },
            taken_at: Time::from_ms(taken_ms),
            coding: Coding::Vp8,
            bytes: vec![0; len].into(),
            scores: None,
        }
    }

    fn taken(frames: &[Frame]) -> Vec<i64> {
        frames.iter().map(|frame| frame.taken_at.as_ms()).collect()
    }

    #[test]
    fn the_last_three_of_each_track_are_kept() {
        let (frames, user, room) = (Frames::default(), UserId::new(), RoomId::new());
        let (camera, screen) = (TrackId::new(), TrackId::new());
        for ms in 0..10 {
            frames.keep(camera, frame(user, room, ms, 1));
        }
        frames.keep(screen, frame(user, RoomId::new(), 10, 1));
        let seen = frames.keep(TrackId::new(), frame(UserId::new(), room, 11, 1));
        assert_eq!(taken(&frames.of(user, None)), [7, 8, 9, 10]);
        assert_eq!(taken(&frames.of(user, Some(room))), [7, 8, 9], "elsewhere is elsewhere");
        let scores = Scores::checked([1.0, 0.0, 0.0, 0.0, 0.0]).unwrap();
        frames.saw(screen, seen - 1, scores);
        frames.saw(screen, 1, scores);
        let found = frames.of(user, None);
        assert_eq!(found.iter().map(|it| it.scores).collect::<Vec<_>>(), [None, None, None, Some(scores)]);
        assert_eq!(frames.kept().bytes, 5);
    }

    #[test]
    fn what_is_over_is_forgotten_after_a_moment() {
        let (frames, user, room, track) = (Frames::default(), UserId::new(), RoomId::new(), TrackId::new());
        frames.keep(track, frame(user, room, 0, 7));
        let end = Time::from_ms(1_000);
        frames.end(track, end);
        frames.sweep(end.after(GRACE / 2));
        assert_eq!(frames.of(user, None).len(), 1);
        frames.sweep(end.after(GRACE));
        assert!(frames.of(user, None).is_empty());
        let kept = frames.kept();
        assert_eq!((kept.bytes, kept.tracks.len()), (0, 0));
    }

    #[test]
    fn memory_has_a_bound() {
        let (frames, room) = (Frames::default(), RoomId::new());
        let people: Vec<_> = (0..300).map(|_| UserId::new()).collect();
        for (ms, user) in people.iter().enumerate() {
            frames.keep(TrackId::new(), frame(*user, room, ms as i64, 1 << 20));
        }
        assert!(frames.kept().bytes <= MOST_BYTES);
        assert!(frames.of(people[0], None).is_empty() && frames.of(people[299], None).len() == 1, "the oldest went");
    }
}
