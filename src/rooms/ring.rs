//! One call that rings, as a machine without a clock: what happens goes in with the time at which it does, and what all are to know
//! comes out. It ends once.

use crate::domain::{
    CallId, Time, UserId,
    ring::{CallInvite, CallOutcome, CallRecord, RingState, Rung},
};

/// How long whoever has answered has to come into the call, in milliseconds: a page asks for the microphone first.
const COME_MS: i64 = 60_000;

/// A call that rings or goes on, or is over.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Ring {
    /// What everybody concerned may know.
    pub(super) record: CallRecord,
    /// The call of its room.
    pub(super) room_call: CallId,
    /// When it stops to ring.
    rings_until: Time,
    /// Those whose devices do not ring and who are told nothing: a block stands between them and the initiator.
    hidden: Vec<UserId>,
    /// Whoever answered has had the time to come. From then on the room's call says when it is over.
    has_come: bool,
}

/// What happens to it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Happening {
    /// Somebody who is rung says yes.
    Accept(UserId),
    /// Somebody who is rung says no.
    Decline(UserId),
    /// Who called rings no more.
    Cancel,
    /// Somebody is not to be rung any more: they left the room, or are kept from each other.
    Drop(UserId),
    /// Time passes. The number is that of the people in the room's call now.
    Tick(usize),
    /// The last one has left the room's call.
    Emptied,
}

/// Somebody wants to answer what does not ring for them, or no more.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct NoRing;

impl Ring {
    /// A call that begins to ring now. Who is busy in `record` is not rung; if that is everybody, it is over at once.
    pub(super) fn new(record: CallRecord, room_call: CallId, ring_ms: u64, hidden: Vec<UserId>) -> Self {
        let now = record.started_at;
        let rings_until = Time::from_ms(now.as_ms().saturating_add(i64::try_from(ring_ms).unwrap_or(i64::MAX)));
        let mut ring = Self { record, room_call, rings_until, hidden, has_come: false };
        ring.settle(now);
        ring
    }

    /// Whether anything is different after this.
    ///
    /// # Errors
    /// An answer to what does not ring for whoever gave it. The same answer once more changes nothing and is none.
    pub(super) fn take(&mut self, happening: Happening, now: Time) -> Result<bool, NoRing> {
        let before = self.record.clone();
        match happening {
            Happening::Accept(user) => self.answer(user, RingState::Accepted, now)?,
            Happening::Decline(user) => self.answer(user, RingState::Declined, now)?,
            Happening::Cancel => self.cancel(now),
            Happening::Drop(user) => self.stop(now, |rung| rung.user_id == user),
            Happening::Tick(in_call) => self.tick(now, in_call),
            Happening::Emptied if self.is_answered() => self.end(CallOutcome::Answered, now),
            Happening::Emptied => {}
        }
        Ok(self.record != before)
    }

    /// Whether it is over.
    pub(super) fn is_over(&self) -> bool {
        self.record.outcome.is_some()
    }

    /// Whether somebody's devices ring.
    pub(super) fn rings(&self) -> bool {
        self.record.participants.iter().any(|rung| rung.state == RingState::Ringing)
    }

    /// When time alone changes it next. `None`: never.
    pub(super) fn due(&self) -> Option<Time> {
        let comes_until = || self.record.answered_at.map(|at| Time::from_ms(at.as_ms().saturating_add(COME_MS)));
        match self.record.outcome {
            Some(_) => None,
            None if self.rings() => Some(self.rings_until),
            None if self.has_come => None,
            None => comes_until(),
        }
    }

    /// Whether somebody is rung, or has called; and is to be told of it.
    pub(super) fn tells(&self, user: UserId) -> bool {
        self.record.initiator.id == user
            || !self.hidden.contains(&user) && self.state_of(user).is_some_and(|state| state != RingState::Busy)
    }

    /// Everybody who is to be told.
    pub(super) fn told(&self) -> Vec<UserId> {
        let rung = self.record.participants.iter().map(|rung| rung.user_id);
        std::iter::once(self.record.initiator.id).chain(rung).filter(|user| self.tells(*user)).collect()
    }

    /// Whether somebody is taken up by it: their devices ring, they ring others, or they are about to come. Who has come is in the
    /// room's call, which says so itself.
    pub(super) fn occupies(&self, user: UserId, now: Time) -> bool {
        let (calls, state) = (self.record.initiator.id == user, self.state_of(user));
        let comes = || is_to_come(&self.record, now) && (calls || state == Some(RingState::Accepted));
        let rings = || calls && self.rings() || state == Some(RingState::Ringing) && !self.hidden.contains(&user);
        !self.is_over() && (rings() || comes())
    }

    /// The invitation, for somebody whose devices ring.
    pub(super) fn invite(&self, user: UserId, now: Time) -> Option<CallInvite> {
        let rings = self.state_of(user) == Some(RingState::Ringing) && !self.hidden.contains(&user);
        rings.then(|| CallInvite {
            call_id: self.record.call_id,
            room_id: self.record.room_id,
            initiator: self.record.initiator.clone(),
            kind: self.record.kind,
            participants: self.record.participants.clone(),
            expires_in_ms: u64::try_from(self.rings_until.as_ms().saturating_sub(now.as_ms())).unwrap_or(0),
        })
    }

    /// What somebody who is rung has answered. `None`: they are not rung.
    pub(super) fn state_of(&self, user: UserId) -> Option<RingState> {
        self.record.participants.iter().find(|rung| rung.user_id == user).map(|rung| rung.state)
    }

    fn is_answered(&self) -> bool {
        self.record.answered_at.is_some()
    }

    fn answer(&mut self, user: UserId, answer: RingState, now: Time) -> Result<(), NoRing> {
        if self.hidden.contains(&user) {
            return Err(NoRing);
        }
        let rung = self.record.participants.iter_mut().find(|rung| rung.user_id == user).ok_or(NoRing)?;
        match rung.state {
            RingState::Ringing if self.record.outcome.is_none() && now < self.rings_until => rung.state = answer,
            state if state == answer => return Ok(()),
            // Who took part and goes leaves the call, which says so itself.
            _ => return Err(NoRing),
        }
        if answer == RingState::Accepted && self.record.answered_at.is_none() {
            self.record.answered_at = Some(now);
        }
        self.settle(now);
        Ok(())
    }

    fn cancel(&mut self, now: Time) {
        self.stop_ringing(|_| true);
        if !self.is_answered() {
            self.end(CallOutcome::Canceled, now);
        }
    }

    fn stop(&mut self, now: Time, whom: impl Fn(&Rung) -> bool) {
        self.stop_ringing(whom);
        self.settle(now);
    }

    fn stop_ringing(&mut self, whom: impl Fn(&Rung) -> bool) {
        for rung in &mut self.record.participants {
            if rung.state == RingState::Ringing && whom(rung) {
                rung.state = RingState::Missed;
            }
        }
    }

    fn tick(&mut self, now: Time, in_call: usize) {
        if now >= self.rings_until {
            self.stop(now, |_| true);
        }
        let late = self.record.answered_at.is_some_and(|at| now.as_ms().saturating_sub(at.as_ms()) >= COME_MS);
        if late && !self.rings() && !self.is_over() {
            self.has_come = true;
            if in_call == 0 {
                self.end(CallOutcome::Answered, now);
            }
        }
    }

    /// When nobody rings any more and nobody has said yes, it is over.
    fn settle(&mut self, now: Time) {
        if self.rings() || self.is_answered() {
            return;
        }
        let (mut states, people) = (self.record.participants.iter().map(|rung| rung.state), &self.record.participants);
        let outcome = if states.any(|state| state == RingState::Declined) {
            CallOutcome::Declined
        } else if people.iter().all(|rung| rung.state == RingState::Busy) {
            CallOutcome::Busy
        } else {
            CallOutcome::Missed
        };
        self.end(outcome, now);
    }

    fn end(&mut self, outcome: CallOutcome, now: Time) {
        if self.record.outcome.is_none() {
            self.stop_ringing(|_| true);
            self.record.outcome = Some(outcome);
            self.record.ended_at = Some(now);
        }
    }
}

/// Whether whoever has said yes, or called, is still expected in the call.
pub(super) fn is_to_come(record: &CallRecord, now: Time) -> bool {
    record.answered_at.is_some_and(|at| now.as_ms() < at.as_ms().saturating_add(COME_MS))
}
