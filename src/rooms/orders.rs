//! What holds for a call whoever is in it: moderation's stops, and a recording with those who agreed to it.

use std::collections::{HashMap, HashSet};

use crate::domain::{
    CallRecording, Fact, TrackSource, UserId,
    call::{Participant, StopReason},
};

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
}

impl Orders {
    pub(super) fn is_empty(&self) -> bool {
        self.stopped.is_empty() && self.recording.is_none() && !self.write_only
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

    /// What a publisher is told of their tracks that are stopped.
    pub(super) fn stops<'a>(&'a self, own: &'a Participant) -> impl Iterator<Item = Fact> + 'a {
        let stopped = own.tracks.iter().filter(|track| self.is_stopped(own.user_id, track.source));
        stopped.map(|track| Fact::TrackStopped {
            track: track.track_id,
            source: track.source,
            reason: StopReason::Moderation,
        })
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
}
