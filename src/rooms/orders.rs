//! What holds for a call whoever is in it: moderation's stops, what hosts have settled, and a recording with those who agreed to it.

use std::collections::{HashMap, HashSet};
use std::time::{Duration, Instant};

use super::hosted::{Held, Hosted};
use crate::domain::{
    CallId, CallRecording, Fact, TrackSource, UserId,
    call::{Participant, StopReason},
};

/// How long a call outlives the last one's leaving, and with it what hosts have settled for it: it goes on when all have been away
/// for a moment. The room's door is no part of it: that is in the database until a host changes it.
const CALL_KEPT: Duration = Duration::from_secs(600);
/// How long what moderation stopped outlives the last one's leaving: nobody shakes it off by waiting outside for a while.
const STOPS_KEPT: Duration = Duration::from_secs(24 * 3600);
/// Calls of which something is remembered before those are swept out of which nothing need be.
pub(super) const SWEEP_FROM: usize = 1024;
/// People whose consent to one recording is remembered; who comes beyond them says it with each offer.
const AGREED_LIMIT: usize = 10_000;

/// They outlive the last one's leaving: nobody shakes them off by coming back. Each stop costs a moderator's act and a recording is
/// ended by who began it, so there are few.
#[derive(Default)]
pub(super) struct Orders {
    /// What moderation stopped, by person.
    stopped: HashMap<UserId, HashSet<TrackSource>>,
    recording: Option<CallRecording>,
    /// Who was there when the recording was announced, or has agreed since.
    agreed: HashSet<UserId>,
    /// Whether no tracks may be published.
    write_only: bool,
    /// What its hosts have settled.
    pub(super) hosted: Hosted,
    /// Since when nobody has been in the room.
    empty_since: Option<Instant>,
}

/// What is remembered of calls, also of those that nobody is in now. It grows with those of which something must be, and is at most
/// twice as large.
pub(super) struct AllOrders {
    of: HashMap<CallId, Orders>,
    /// How many there may be before the next sweep: twice as many as the last one has left, so that sweeps cost no more than what
    /// they follow.
    sweep_at: usize,
}

impl Default for AllOrders {
    fn default() -> Self {
        Self { of: HashMap::new(), sweep_at: SWEEP_FROM }
    }
}

impl AllOrders {
    pub(super) fn get(&self, call: &CallId) -> Option<&Orders> {
        self.of.get(call)
    }

    pub(super) fn get_mut(&mut self, call: &CallId) -> Option<&mut Orders> {
        self.of.get_mut(call)
    }

    pub(super) fn contains(&self, call: &CallId) -> bool {
        self.of.contains_key(call)
    }

    pub(super) fn remove(&mut self, call: &CallId) {
        self.of.remove(call);
    }

    #[cfg(test)]
    pub(super) fn len(&self) -> usize {
        self.of.len()
    }

    /// What holds for a call, to be changed. `is_empty`: nobody is in its room.
    pub(super) fn of(&mut self, call: CallId, is_empty: bool, now: Instant) -> &mut Orders {
        if self.of.len() >= self.sweep_at && !self.of.contains_key(&call) {
            self.sweep(now);
        }
        self.of.entry(call).or_insert_with(|| {
            let mut orders = Orders::default();
            orders.set_empty(is_empty, now);
            orders
        })
    }

    /// Forgets a call of which nothing need be remembered.
    pub(super) fn forget_if_empty(&mut self, call: &CallId) {
        if self.of.get(call).is_some_and(Orders::is_empty) {
            self.of.remove(call);
        }
    }

    /// Forgets what is over.
    fn sweep(&mut self, now: Instant) {
        self.of.retain(|_, orders| {
            orders.expire(now);
            orders.must_stay(now)
        });
        self.of.shrink_to(SWEEP_FROM);
        self.sweep_at = (2 * self.of.len()).max(SWEEP_FROM);
    }
}

impl Orders {
    pub(super) fn is_empty(&self) -> bool {
        self.stopped.is_empty() && self.recording.is_none() && !self.write_only && self.hosted.is_empty()
    }

    /// Whether something would be lost by forgetting it. When the call is over, nothing is left of what hosts settled but the door,
    /// which is in the database.
    fn must_stay(&self, now: Instant) -> bool {
        let hosted = !self.hosted.is_empty() && !self.is_over(now);
        hosted || !self.stopped.is_empty() || self.recording.is_some() || self.write_only
    }

    /// Whether the call's life is over.
    fn is_over(&self, now: Instant) -> bool {
        self.empty_for(now).is_some_and(|it| it >= CALL_KEPT) && !self.hosted.is_anybody_waiting()
    }

    fn empty_for(&self, now: Instant) -> Option<Duration> {
        self.empty_since.map(|since| now.saturating_duration_since(since))
    }

    /// No tracks may be published.
    pub(super) fn write_only(&mut self) {
        self.write_only = true;
    }

    pub(super) fn is_write_only(&self) -> bool {
        self.write_only
    }

    /// Nothing that this person sends from there is let through any more.
    pub(super) fn stop(&mut self, user: UserId, source: TrackSource) {
        self.stopped.entry(user).or_default().insert(source);
    }

    pub(super) fn is_stopped(&self, user: UserId, source: TrackSource) -> bool {
        self.stopped.get(&user).is_some_and(|sources| sources.contains(&source))
    }

    /// Why nothing is let through that this person sends from there; moderation's word comes first.
    pub(super) fn held(&self, user: UserId, source: TrackSource, is_host: bool) -> Option<Held> {
        if self.is_stopped(user, source) {
            return Some(Held { reason: StopReason::Moderation, by: None, may_unmute: false });
        }
        self.hosted.held(user, source, is_host)
    }

    /// What a publisher is told of their tracks that are held.
    pub(super) fn stops<'a>(&'a self, own: &'a Participant, is_host: bool) -> impl Iterator<Item = Fact> + 'a {
        own.tracks.iter().filter_map(move |track| Some(self.held(own.user_id, track.source, is_host)?.stops(track)))
    }

    pub(super) fn recording(&self) -> Option<&CallRecording> {
        self.recording.as_ref()
    }

    /// Shows a recording, or that there is none. `present`: who hears of it now.
    pub(super) fn set_recording(&mut self, recording: Option<CallRecording>, present: impl Iterator<Item = UserId>) {
        let id = |it: &Option<CallRecording>| it.as_ref().map(|it| it.recording_id);
        if id(&recording) != id(&self.recording) {
            self.agreed.clear();
            if recording.is_some() {
                self.agreed.extend(present);
            }
        }
        self.recording = recording;
    }

    /// Whether this person may come to the call; `agrees` is what they say about its recording.
    pub(super) fn admit(&mut self, user: UserId, agrees: bool) -> bool {
        if self.recording.is_some() && agrees && self.agreed.len() < AGREED_LIMIT {
            self.agreed.insert(user);
        }
        self.recording.is_none() || agrees || self.agreed.contains(&user)
    }

    /// Whether somebody may come to the call by a key; `agrees` is what they say about its recording. The key's maker has agreed for
    /// themselves alone, and nobody agrees for them.
    pub(super) fn admits_by_key(&self, agrees: bool) -> bool {
        self.recording.is_none() || agrees
    }

    /// Nobody is in the room from now on, or somebody is.
    pub(super) fn set_empty(&mut self, is_empty: bool, now: Instant) {
        self.empty_since = is_empty.then_some(now);
    }

    /// Forgets what hosts settled if the call's life is over, and later what moderation stopped.
    pub(super) fn expire(&mut self, now: Instant) {
        if self.is_over(now) {
            self.hosted.end_call();
        }
        if self.empty_for(now).is_some_and(|it| it >= STOPS_KEPT) {
            self.stopped.clear();
        }
    }
}
