//! Frames that wait for a worker. The threads of workers wait here too.

use std::collections::VecDeque;
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use super::frames::Frame;
use crate::domain::TrackId;

/// Frames that wait: about a second's work of one worker. What is older is not worth looking at.
const MOST_WAITING: usize = 128;
/// Bytes of them.
const MOST_BYTES: usize = 32 * 1024 * 1024;

/// A frame that is to be looked at.
#[derive(Clone, Debug)]
pub(super) struct Job {
    /// Of which track.
    pub(super) track: TrackId,
    /// Its number among the frames that are kept.
    pub(super) number: u64,
    /// The frame.
    pub(super) frame: Frame,
}

/// The queue.
#[derive(Default)]
pub(super) struct Queue {
    waiting: Mutex<Waiting>,
    /// There is a frame, or the work is over.
    filled: Condvar,
    /// The work is over.
    over: Condvar,
}

#[derive(Default)]
struct Waiting {
    jobs: VecDeque<Job>,
    bytes: usize,
    stopped: bool,
}

impl Queue {
    /// Lets a frame wait. When there is no room, the oldest frame of the same track goes, or else the oldest of all; what went is
    /// returned.
    pub(super) fn push(&self, job: Job) -> Vec<Job> {
        let mut waiting = self.waiting();
        let mut gone = Vec::new();
        while waiting.jobs.len() >= MOST_WAITING || waiting.bytes + job.frame.bytes.len() > MOST_BYTES {
            let own = waiting.jobs.iter().position(|other| other.track == job.track);
            let Some(dropped) = waiting.take(own.unwrap_or(0)) else { break };
            gone.push(dropped);
        }
        waiting.bytes += job.frame.bytes.len();
        waiting.jobs.push_back(job);
        drop(waiting);
        self.filled.notify_one();
        gone
    }

    /// Waits for the next frame. `None`: there will be none, the work is over.
    pub(super) fn pop(&self) -> Option<Job> {
        let mut waiting = self.waiting();
        loop {
            if waiting.stopped {
                return None;
            }
            if let Some(job) = waiting.take(0) {
                return Some(job);
            }
            waiting = self.filled.wait(waiting).unwrap_or_else(PoisonError::into_inner);
        }
    }

    /// Takes all that wait: nobody will look at them.
    pub(super) fn drain(&self) -> Vec<Job> {
        let mut waiting = self.waiting();
        waiting.bytes = 0;
        waiting.jobs.drain(..).collect()
    }

    /// Lets a worker rest. `false`: the work is over.
    pub(super) fn rest(&self, span: Duration) -> bool {
        let end = Instant::now() + span;
        let mut waiting = self.waiting();
        while !waiting.stopped {
            let left = end.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return true;
            }
            waiting = self.over.wait_timeout(waiting, left).unwrap_or_else(PoisonError::into_inner).0;
        }
        false
    }

    /// Sends the workers home.
    pub(super) fn stop(&self) {
        self.waiting().stopped = true;
        self.filled.notify_all();
        self.over.notify_all();
    }

    fn waiting(&self) -> MutexGuard<'_, Waiting> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Waiting {
    fn take(&mut self, place: usize) -> Option<Job> {
        let job = self.jobs.remove(place)?;
        self.bytes -= job.frame.bytes.len();
        Some(job)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::{Time, UserId, case::Place};
    use crate::moderation::vision::Coding;

    fn job(track: TrackId, number: u64, len: usize) -> Job {
        let frame = Frame {
            user: UserId::new(),
            place: Place::default(),
            taken_at: Time::from_ms(0),
            coding: Coding::Vp8,
            bytes: vec![0; len].into(),
            scores: None,
        };
        Job { track, number, frame }
    }

    #[test]
    fn the_oldest_of_the_same_track_goes_first() {
        let queue = Queue::default();
        let (busy, other, late) = (TrackId::new(), TrackId::new(), TrackId::new());
        assert!(queue.push(job(other, 0, 1)).is_empty());
        for number in 1..MOST_WAITING as u64 {
            assert!(queue.push(job(busy, number, 1)).is_empty());
        }
        let gone = queue.push(job(busy, 1000, 1));
        assert_eq!(gone.iter().map(|it| (it.track, it.number)).collect::<Vec<_>>(), [(busy, 1)]);
        let gone = queue.push(job(late, 1001, 1));
        assert_eq!(gone.iter().map(|it| it.track).collect::<Vec<_>>(), [other], "of others, the oldest");
        assert_eq!(queue.pop().map(|it| it.number), Some(2), "in the order in which they came");
        assert_eq!(queue.drain().len(), MOST_WAITING - 1);
    }

    #[test]
    fn bytes_have_a_bound_too() {
        let queue = Queue::default();
        for number in 0..40 {
            queue.push(job(TrackId::new(), number, 1 << 20));
        }
        let waiting = queue.waiting();
        assert_eq!((waiting.jobs.len(), waiting.bytes), (32, MOST_BYTES));
    }

    #[test]
    fn a_stop_wakes_everybody() {
        let queue = std::sync::Arc::new(Queue::default());
        let of = |work: fn(&Queue) -> bool| {
            let queue = queue.clone();
            std::thread::spawn(move || work(&queue))
        };
        let (waits, rests) = (of(|queue| queue.pop().is_none()), of(|queue| !queue.rest(Duration::from_secs(3600))));
        queue.stop();
        assert!(waits.join().unwrap() && rests.join().unwrap());
        queue.push(job(TrackId::new(), 1, 1));
        assert!(queue.pop().is_none());
    }
}
