//! What hosts have settled for a call: what holds for all, what for one person, and who may come in.

use std::collections::{HashMap, HashSet};
use std::time::{Duration, Instant};

use crate::domain::{
    Controls, Door, Fact, ParticipantId, Refusal, SessionId, Standing, Time, TrackSource, User, UserId, Waiter,
    Waiting,
    call::{StopReason, Track},
    controls::MutedAll,
};

/// People of whom a call remembers something that concerns them alone. Each costs a host's act; beyond it such acts are refused.
const PEOPLE_LIMIT: usize = 10_000;
/// People that wait for one call at most; whoever comes then is sent away.
pub(super) const WAITING_LIMIT: usize = 200;
/// So many may knock at one door at once; a full waiting room comes with the beginning of a large meeting.
const KNOCKS_AT_ONCE: u32 = 200;
/// And then one in this time, on average: hosts are told of each.
const KNOCK_EVERY: Duration = Duration::from_millis(500);
/// How long somebody who was not let in may not knock.
pub(super) const DENIED_FOR: Duration = Duration::from_secs(60);

/// A host, and where they stood when they did something: who is below them does not undo it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Host {
    pub(super) user: UserId,
    pub(super) standing: Standing,
}

/// Why nothing of a track is let through.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Held {
    pub(super) reason: StopReason,
    /// Which host wants it so.
    pub(super) by: Option<UserId>,
    /// Whether the publisher may open it again.
    pub(super) may_unmute: bool,
}

impl Held {
    /// What the publisher of a track is told.
    pub(super) fn stops(self, track: &Track) -> Fact {
        let Self { reason, by, may_unmute } = self;
        Fact::TrackStopped { track: track.track_id, source: track.source, reason, by, may_unmute }
    }
}

/// What a host did to one source of one person.
#[derive(Clone, Copy, Default)]
struct Hold {
    muted: Option<Host>,
    disabled: Option<Host>,
}

/// Somebody at the door.
struct Knocking {
    waiter: Waiter,
    sessions: HashSet<SessionId>,
}

/// Who waits no more, and by which sessions they did.
#[derive(Default)]
pub(super) struct Freed {
    pub(super) users: Vec<UserId>,
    pub(super) sessions: Vec<SessionId>,
}

/// All of that, for one call.
#[derive(Default)]
pub(super) struct Hosted {
    /// Kept in the database as well.
    door: Door,
    spotlight: Option<ParticipantId>,
    muted_all: Option<(MutedAll, UserId)>,
    /// What nobody may send, and who wants it so.
    disabled: HashMap<TrackSource, UserId>,
    holds: HashMap<(UserId, TrackSource), Hold>,
    /// Who may speak although all are muted: they opened their microphone, or a host did.
    unmuted: HashSet<UserId>,
    /// Whom the waiting room lets pass.
    admitted: HashSet<UserId>,
    /// Whom the lock lets pass, once: they were admitted, and are not in the call yet.
    passes: HashSet<UserId>,
    waiting: Vec<Knocking>,
    denied: HashMap<UserId, Instant>,
    /// When the next knock would be due if they came evenly.
    next_knock: Option<Instant>,
}

impl Hosted {
    /// The call is over; what is left is the door.
    pub(super) fn end_call(&mut self) {
        *self = Self { door: self.door, ..Self::default() };
    }

    /// The door as the database knows it.
    pub(super) fn set_door(&mut self, door: Door) {
        self.door = door;
    }

    /// Whether there is nothing to remember.
    pub(super) fn is_empty(&self) -> bool {
        self.controls() == Controls::default() && self.holds.is_empty() && self.waiting.is_empty()
    }

    /// As everybody sees it.
    pub(super) fn controls(&self) -> Controls {
        Controls {
            locked: self.door.locked,
            waiting_room: self.door.waiting_room,
            spotlight: self.spotlight,
            muted_all: self.muted_all.map(|(how, _)| how),
            disabled: TrackSource::ALL.into_iter().filter(|source| self.disabled.contains_key(source)).collect(),
        }
    }

    /// What holds for a source of somebody's; `is_host`: what holds for all does not concern them.
    pub(super) fn held(&self, user: UserId, source: TrackSource, is_host: bool) -> Option<Held> {
        let hold = self.holds.get(&(user, source)).copied().unwrap_or_default();
        let disabled_for = |source| {
            let hold = self.holds.get(&(user, source)).and_then(|hold| hold.disabled).map(|host| host.user);
            hold.or_else(|| self.disabled.get(&source).copied().filter(|_| !is_host))
        };
        // The sound of a screen goes with the screen.
        let with_screen = || (source == TrackSource::ScreenAudio).then(|| disabled_for(TrackSource::Screen)).flatten();
        // And it is no way around what holds for the microphone: whoever may not speak could speak by it.
        let of_sound = source == TrackSource::ScreenAudio;
        let with_microphone = || of_sound.then(|| disabled_for(TrackSource::Microphone)).flatten();
        let disabled = disabled_for(source).or_else(with_screen).or_else(with_microphone);
        let microphone = self.holds.get(&(user, TrackSource::Microphone)).filter(|_| of_sound);
        let held = |reason, by| Held { reason, by: Some(by), may_unmute: false };
        if let Some(by) = disabled {
            return Some(held(StopReason::DisabledByHost, by));
        }
        if let Some(host) = hold.muted.or_else(|| microphone.and_then(|it| it.muted)) {
            return Some(held(StopReason::MutedByHost, host.user));
        }
        let (how, by) = self.muted_all.filter(|_| self.mutes(user, source, is_host))?;
        Some(Held { may_unmute: how.may_unmute, ..held(StopReason::MutedByHost, by) })
    }

    /// Whether muting all concerns a source of somebody's. The sound of a screen is no way around it.
    fn mutes(&self, user: UserId, source: TrackSource, is_host: bool) -> bool {
        let is_heard = matches!(source, TrackSource::Microphone | TrackSource::ScreenAudio);
        self.muted_all.is_some() && is_heard && !is_host && !self.unmuted.contains(&user)
    }

    /// Whether somebody counts as having muted that themselves, since all are muted.
    pub(super) fn shuts(&self, user: UserId, source: TrackSource, is_host: bool) -> bool {
        source == TrackSource::Microphone && self.mutes(user, source, is_host)
    }

    /// What a host does not let this person alone send.
    pub(super) fn disabled_of(&self, user: UserId) -> Vec<TrackSource> {
        let is_disabled =
            |source: &TrackSource| self.holds.get(&(user, *source)).is_some_and(|it| it.disabled.is_some());
        TrackSource::ALL.into_iter().filter(is_disabled).collect()
    }

    /// A host's mute of one person's source, or its end. `Err`: somebody above that host wants it otherwise.
    pub(super) fn mute(&mut self, user: UserId, source: TrackSource, host: Host, muted: bool) -> Result<(), Overruled> {
        self.change(user, source, |hold| set(&mut hold.muted, host, muted))?;
        if !muted && source == TrackSource::Microphone && self.muted_all.is_some() {
            self.may_speak(user);
        }
        Ok(())
    }

    /// The same for letting nothing through at all.
    pub(super) fn disable(
        &mut self,
        user: UserId,
        source: TrackSource,
        host: Host,
        disabled: bool,
    ) -> Result<(), Overruled> {
        self.change(user, source, |hold| set(&mut hold.disabled, host, disabled))
    }

    fn change(
        &mut self,
        user: UserId,
        source: TrackSource,
        change: impl FnOnce(&mut Hold) -> Result<(), Overruled>,
    ) -> Result<(), Overruled> {
        let key = (user, source);
        if !self.holds.contains_key(&key) && self.holds.len() >= PEOPLE_LIMIT * TrackSource::ALL.len() {
            return Err(Overruled);
        }
        let hold = self.holds.entry(key).or_default();
        let changed = change(hold);
        if hold.muted.is_none() && hold.disabled.is_none() {
            self.holds.remove(&key);
        }
        changed
    }

    /// Everybody is muted from now on, also who opened their microphone since the last time; or nobody is any more.
    pub(super) fn mute_all(&mut self, by: UserId, how: Option<MutedAll>) {
        self.unmuted.clear();
        self.muted_all = how.map(|how| (how, by));
    }

    /// Somebody speaks although all are muted. A forgotten one is muted again, at worst.
    pub(super) fn may_speak(&mut self, user: UserId) {
        if self.unmuted.len() < PEOPLE_LIMIT {
            self.unmuted.insert(user);
        }
    }

    pub(super) fn disable_all(&mut self, by: UserId, source: TrackSource, disabled: bool) {
        if !disabled {
            self.disabled.remove(&source);
        } else {
            self.disabled.entry(source).or_insert(by);
        }
    }

    pub(super) fn spotlight(&mut self, participant: Option<ParticipantId>) {
        self.spotlight = participant;
    }

    pub(super) fn is_in_spotlight(&self, participant: ParticipantId) -> bool {
        self.spotlight == Some(participant)
    }

    pub(super) fn lock(&mut self, locked: bool) {
        self.door.locked = locked;
        if !locked {
            self.passes.clear();
        }
    }

    /// Whether the lock keeps this person out.
    pub(super) fn locks_out(&self, user: UserId) -> bool {
        self.door.locked && !self.passes.contains(&user)
    }

    /// Whether the waiting room keeps this person out.
    pub(super) fn lets_wait(&self, user: UserId) -> bool {
        self.door.waiting_room && !self.admitted.contains(&user)
    }

    /// People wait from now on, but for those who are `present`; or no more.
    pub(super) fn set_waiting_room(&mut self, enabled: bool, present: impl Iterator<Item = UserId>) {
        self.door.waiting_room = enabled;
        self.admitted = if enabled { present.collect() } else { HashSet::new() };
        self.denied.clear();
    }

    /// The waiting room lets somebody pass for the call's life.
    pub(super) fn admit(&mut self, user: UserId) {
        if self.door.waiting_room && self.admitted.len() < PEOPLE_LIMIT {
            self.admitted.insert(user);
        }
    }

    /// An admission has done its work: somebody is in the call, or has left the room.
    pub(super) fn end_pass(&mut self, user: UserId) {
        self.passes.remove(&user);
    }

    /// Somebody is put out: whatever let them in does so no more.
    pub(super) fn put_out(&mut self, user: UserId) -> Freed {
        self.admitted.remove(&user);
        self.passes.remove(&user);
        self.take(user)
    }

    /// Lets somebody wait. Who, if that is news.
    ///
    /// # Errors
    /// `room_full`: too many wait already; `denied`; `rate_limited`: too many knock.
    pub(super) fn knock(&mut self, user: &User, session: SessionId, now: Instant) -> Result<Option<Waiter>, Refusal> {
        if let Some(until) = self.denied.get(&user.id).filter(|until| **until > now) {
            let retry_after_ms = u64::try_from((*until - now).as_millis()).unwrap_or(u64::MAX).max(1);
            return Err(Refusal::Denied { retry_after_ms });
        }
        if let Some(knocking) = self.waiting.iter_mut().find(|it| it.waiter.user_id == user.id) {
            knocking.sessions.insert(session);
            return Ok(None);
        }
        if self.waiting.len() >= WAITING_LIMIT {
            return Err(Refusal::WaitingRoomFull { limit: WAITING_LIMIT as u32 });
        }
        self.count_knock(now)?;
        let waiter = Waiter { user_id: user.id, nickname: user.nickname.clone(), since: Time::now() };
        self.waiting.push(Knocking { waiter: waiter.clone(), sessions: HashSet::from([session]) });
        Ok(Some(waiter))
    }

    /// A leaky bucket of knocks (GCRA): hosts are told of each.
    fn count_knock(&mut self, now: Instant) -> Result<(), Refusal> {
        let due = self.next_knock.map_or(now, |due| due.max(now)) + KNOCK_EVERY;
        let ahead = due.saturating_duration_since(now);
        if ahead > KNOCK_EVERY * KNOCKS_AT_ONCE {
            let wait = ahead - KNOCK_EVERY * KNOCKS_AT_ONCE;
            let retry_after_ms = u64::try_from(wait.as_millis()).unwrap_or(u64::MAX).max(1);
            return Err(Refusal::RateLimited { limit: "knock", retry_after_ms });
        }
        self.next_knock = Some(due);
        Ok(())
    }

    /// A session waits no more. Who does not either by that.
    pub(super) fn give_up(&mut self, session: SessionId) -> Option<UserId> {
        let at = self.waiting.iter().position(|it| it.sessions.contains(&session))?;
        let knocking = &mut self.waiting[at];
        knocking.sessions.remove(&session);
        knocking.sessions.is_empty().then(|| self.waiting.remove(at).waiter.user_id)
    }

    /// Lets in who waits: one, or all.
    pub(super) fn let_in(&mut self, user: Option<UserId>) -> Freed {
        let mut freed = Freed::default();
        let waiting = std::mem::take(&mut self.waiting);
        for knocking in waiting {
            let id = knocking.waiter.user_id;
            if user.is_some_and(|user| user != id) {
                self.waiting.push(knocking);
                continue;
            }
            self.admit(id);
            if self.door.locked && self.passes.len() < PEOPLE_LIMIT {
                self.passes.insert(id);
            }
            freed.users.push(id);
            freed.sessions.extend(knocking.sessions);
        }
        freed
    }

    /// Sends somebody away who waits.
    pub(super) fn deny(&mut self, user: UserId, now: Instant) -> Freed {
        let freed = self.take(user);
        if !freed.users.is_empty() {
            self.denied.retain(|_, until| *until > now);
            if self.denied.len() < PEOPLE_LIMIT {
                self.denied.insert(user, now + DENIED_FOR);
            }
        }
        freed
    }

    fn take(&mut self, user: UserId) -> Freed {
        let at = self.waiting.iter().position(|it| it.waiter.user_id == user);
        let Some(knocking) = at.map(|at| self.waiting.remove(at)) else { return Freed::default() };
        Freed { users: vec![user], sessions: knocking.sessions.into_iter().collect() }
    }

    /// Who waits, first come first.
    pub(super) fn waiters(&self) -> Vec<Waiter> {
        self.waiting.iter().map(|it| it.waiter.clone()).collect()
    }

    pub(super) fn waiter_count(&self) -> u32 {
        u32::try_from(self.waiting.len()).unwrap_or(u32::MAX)
    }

    /// All who wait, for whoever knows nothing of it yet; `None`: nobody.
    pub(super) fn all_waiting(&self) -> Option<Waiting> {
        let (waiting, count) = (self.waiters(), self.waiter_count());
        (count > 0).then(|| Waiting { whole: true, waiting, gone: Vec::new(), count })
    }

    pub(super) fn is_anybody_waiting(&self) -> bool {
        !self.waiting.is_empty()
    }
}

/// Somebody above wants it otherwise.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Overruled;

fn set(what: &mut Option<Host>, host: Host, on: bool) -> Result<(), Overruled> {
    match what {
        // Who wanted it first stands for it, unless somebody above them wants it too.
        Some(before) if on && !host.standing.outranks(before.standing) => Ok(()),
        Some(before) if !on && before.standing.outranks(host.standing) => Err(Overruled),
        _ => {
            *what = on.then_some(host);
            Ok(())
        }
    }
}
