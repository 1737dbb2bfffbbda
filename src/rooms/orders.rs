//! What holds for a call whoever is in it: moderation's stops, what hosts have settled, and a recording with those who agreed to it.

use std::collections::{HashMap, HashSet};
use std::time::{Duration, Instant};

use super::hosted::{Held, Hosted};
use crate::domain::{
    CallId, CallRecording, Fact, TrackSource, UserId,
    call::{Participant, StopReason},
};

/// How long what hosts have settled outlives the last one's leaving: a call goes on when all have been away for a moment, and nobody
/// is locked out of an empty room for good.
const HOSTED_KEPT: Duration = Duration::from_secs(600);
/// Calls of which something is remembered before those are swept out of which nothing need be.
const SWEEP_FROM: usize = 1024;

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

impl Orders {
    pub(super) fn is_empty(&self) -> bool {
        self.stopped.is_empty() && self.recording.is_none() && !self.write_only && self.hosted.is_empty()
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
        if self.recording.is_some() && agrees {
            self.agreed.insert(user);
        }
        self.recording.is_none() || self.agreed.contains(&user)
    }

    /// Nobody is in the room from now on, or somebody is.
    pub(super) fn set_empty(&mut self, is_empty: bool, now: Instant) {
        self.empty_since = is_empty.then_some(now);
    }

    /// Forgets what hosts settled if the call's life is over.
    pub(super) fn expire(&mut self, now: Instant) {
        let is_over = self.empty_since.is_some_and(|since| now.saturating_duration_since(since) >= HOSTED_KEPT);
        if is_over && !self.hosted.is_anybody_waiting() {
            self.hosted = Hosted::default();
        }
    }
}

/// Makes room among what is remembered of calls, once there is much: what is over is forgotten.
pub(super) fn sweep(orders: &mut HashMap<CallId, Orders>, now: Instant) {
    // At powers of two alone, so that a sweep costs no more than what it follows.
    if orders.len() >= SWEEP_FROM && orders.len().is_power_of_two() {
        orders.retain(|_, it| {
            it.expire(now);
            !it.is_empty()
        });
    }
}
