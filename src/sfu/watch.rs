//! Whose call broke or stalls a shard, and what becomes of it.
//!
//! A batch of work is measured by the clock on the wall. After one that took too long, every step is measured by the thread's
//! own time for a while, so that a busy machine accuses nobody; a call whose steps are too long again and again is ended.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use rustix::time::{ClockId, clock_gettime};

use crate::domain::CallId;

/// A step for one call that takes the thread longer than this is a stall: a hundred times what a key frame for a large room costs.
const STALL: Duration = Duration::from_millis(100);
/// After a slow batch every step is measured for this long.
const CLOSE_WATCH: Duration = Duration::from_mins(1);
/// What happened longer ago is forgotten.
const MEMORY: Duration = Duration::from_mins(1);
/// A call with this many stalls within [`MEMORY`] is ended.
const MOST_STALLS: usize = 3;
/// A call that broke this often within [`MEMORY`] is refused until that is over: whoever breaks it would only do so again.
const MOST_BREAKS_OF_ONE: usize = 3;
/// When so many calls broke within [`MEMORY`], the cause is not in one of them, and the shard begins anew.
const MOST_BROKEN_CALLS: usize = 8;

/// What to do after a panic in the core.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Remedy {
    /// End this call; the others go on.
    End(CallId),
    /// Nobody knows what condition the core is in.
    BeginAnew,
}

/// What one shard remembers of breakdowns and stalls: a handful of calls in a minute.
#[derive(Debug, Default)]
pub(super) struct Watch {
    breaks: VecDeque<(Instant, CallId)>,
    stalls: VecDeque<(Instant, CallId)>,
    close_until: Option<Instant>,
    /// The thread's own time when the step began.
    step_began: Duration,
    /// Calls to be ended for their stalls.
    condemned: Vec<CallId>,
    /// Calls that were ended because the core panicked in one of their steps.
    pub broken: u64,
    /// Batches, and steps under close watch, that took too long.
    pub stalled: u64,
}

impl Watch {
    /// A batch of steps begins.
    pub fn begin(&mut self, now: Instant) {
        if self.close_until.is_some_and(|until| until <= now) {
            self.close_until = None;
        }
        if self.is_close() {
            self.step_began = own_time();
        }
    }

    /// Every step is measured now.
    pub fn is_close(&self) -> bool {
        self.close_until.is_some()
    }

    /// A step is over. Its call is asked for only when it took too long.
    pub fn step(&mut self, call: impl FnOnce() -> Option<parlor_media::CallId>) {
        if !self.is_close() {
            return;
        }
        let ended = own_time();
        let took = ended.saturating_sub(self.step_began);
        self.step_began = ended;
        if took >= STALL {
            self.stalled_step(Instant::now(), call().map(|call| CallId::from(call.0)), took);
        }
    }

    /// The batch that began at `begun` is over.
    pub fn end(&mut self, begun: Instant) {
        let now = Instant::now();
        let took = now.saturating_duration_since(begun);
        if took >= STALL && !self.is_close() {
            tracing::warn!(took_ms = took.as_millis(), "a batch took a shard too long; its steps are watched");
            self.stalled += 1;
            self.close_until = Some(now + CLOSE_WATCH);
        }
    }

    fn stalled_step(&mut self, now: Instant, call: Option<CallId>, took: Duration) {
        self.stalled += 1;
        self.close_until = Some(now + CLOSE_WATCH);
        tracing::warn!(call = call.map(tracing::field::display), took_ms = took.as_millis(), "a step stalled a shard");
        let Some(call) = call else { return };
        if remember(&mut self.stalls, now, call) >= MOST_STALLS {
            self.stalls.retain(|(_, stalled)| *stalled != call);
            self.condemned.push(call);
        }
    }

    /// The next call to be ended for its stalls.
    pub fn condemned(&mut self) -> Option<CallId> {
        self.condemned.pop()
    }

    /// The core panicked in a step for this call, if anybody knows which.
    pub fn broke(&mut self, now: Instant, call: Option<CallId>) -> Remedy {
        let Some(call) = call else { return Remedy::BeginAnew };
        remember(&mut self.breaks, now, call);
        let mut calls: Vec<CallId> = self.breaks.iter().map(|(_, call)| *call).collect();
        calls.sort_unstable();
        calls.dedup();
        if calls.len() < MOST_BROKEN_CALLS {
            self.broken += 1;
            return Remedy::End(call);
        }
        self.breaks.clear();
        Remedy::BeginAnew
    }

    /// A call that was ended for its stalls counts as broken too.
    pub fn ended(&mut self, now: Instant, call: CallId) {
        self.broken += 1;
        remember(&mut self.breaks, now, call);
    }

    /// The call broke so often that nobody may join it for a while.
    pub fn is_refused(&self, now: Instant, call: CallId) -> bool {
        let recent = |at: &Instant| now.saturating_duration_since(*at) < MEMORY;
        self.breaks.iter().filter(|(at, broken)| *broken == call && recent(at)).count() >= MOST_BREAKS_OF_ONE
    }
}

/// Adds an entry, forgets old ones, and answers how many this call has.
fn remember(entries: &mut VecDeque<(Instant, CallId)>, now: Instant, call: CallId) -> usize {
    entries.retain(|(at, _)| now.saturating_duration_since(*at) < MEMORY);
    entries.push_back((now, call));
    entries.iter().filter(|(_, known)| *known == call).count()
}

/// The processor time of this thread.
fn own_time() -> Duration {
    let time = clock_gettime(ClockId::ThreadCPUTime);
    Duration::new(time.tv_sec.unsigned_abs(), u32::try_from(time.tv_nsec).unwrap_or(0))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_call_breaks_alone_and_is_refused_when_it_does_not_cease() {
        let (mut watch, mut now, call) = (Watch::default(), Instant::now(), CallId::new());
        for _ in 0..MOST_BREAKS_OF_ONE {
            assert!(!watch.is_refused(now, call));
            assert_eq!(watch.broke(now, Some(call)), Remedy::End(call));
            now += Duration::from_secs(1);
        }
        assert!(watch.is_refused(now, call) && !watch.is_refused(now, CallId::new()));
        assert_eq!(watch.broke(now, Some(call)), Remedy::End(call), "one call never costs the others theirs");
        assert!(!watch.is_refused(now + MEMORY, call), "not for ever");
    }

    #[test]
    fn many_calls_that_break_are_no_coincidence() {
        let (mut watch, now) = (Watch::default(), Instant::now());
        for _ in 1..MOST_BROKEN_CALLS {
            assert!(matches!(watch.broke(now, Some(CallId::new())), Remedy::End(_)));
        }
        assert_eq!(watch.broke(now, Some(CallId::new())), Remedy::BeginAnew);
        assert!(matches!(watch.broke(now, Some(CallId::new())), Remedy::End(_)), "the count begins anew with it");
        assert_eq!(watch.broke(now, None), Remedy::BeginAnew);
    }

    #[test]
    fn a_call_that_stalls_again_and_again_is_condemned() {
        let (mut watch, mut now, call) = (Watch::default(), Instant::now(), CallId::new());
        watch.end(now.checked_sub(STALL).expect("the machine has run for a while"));
        assert!(watch.is_close());
        for _ in 0..MOST_STALLS {
            assert_eq!(watch.condemned(), None);
            watch.stalled_step(now, Some(call), STALL);
            watch.stalled_step(now, None, STALL);
            now += Duration::from_secs(10);
        }
        assert_eq!((watch.condemned(), watch.condemned()), (Some(call), None));
        watch.begin(now + 2 * CLOSE_WATCH);
        assert!(!watch.is_close());
    }
}
