//! A recording from its announcement to its stop.

use std::collections::HashMap;
use std::path::Path;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio_util::sync::CancellationToken;

use super::{Recordings, Right, keep, lock, speakers::Speakers};
use crate::domain::{
    Action, CallId, CallRecording, Caller, Fact, ParticipantId, RecordingId, Refusal, Room, RoomId, RoomKind, Time,
    UserId, Visibility,
    call::RecordingPhase,
    deed::Deed,
    feature::Feature,
    recording::{Recording, RecordingState, RecordingStop},
};
use crate::store::Membership;

/// How often a recording looks whether anybody is still there.
const LOOK_EVERY: Duration = Duration::from_secs(1);
/// Looks in a row that find nobody before the recording is over: a page that is loaded again comes back within them.
const EMPTY_LOOKS: u32 = 5;
/// Looks between two times that the list of speakers is written: a crash costs as much of it.
const SPEAKERS_EVERY: u32 = 10;
/// People whom a recording remembers at most, beyond any room's size, for those who come and go.
const PEOPLE_LIMIT: usize = 10_000;

/// A recording of which something may still be written.
pub(super) struct Live {
    pub(super) id: RecordingId,
    pub(super) call: CallId,
    pub(super) room: RoomId,
    by: UserId,
    phase: Mutex<Phase>,
    /// Cancelled with the stop.
    stopped: CancellationToken,
    /// Whose connections there were.
    people: Mutex<HashMap<ParticipantId, (UserId, String)>>,
    pub(super) speakers: Mutex<Speakers>,
    /// Who is done with it: the engine, and whoever stopped it.
    done: Mutex<Done>,
}

#[derive(Clone, Copy, Debug, Default)]
struct Done {
    engine: bool,
    stop: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Phase {
    /// Nobody knows of it: the database has not said yet whether it may be.
    Announcing,
    Starting,
    Running(Time),
    Stopped,
}

impl Live {
    /// One that nobody knows of yet.
    pub(super) fn new(recording: &Recording) -> Self {
        Self {
            id: recording.recording_id,
            call: recording.call_id,
            room: recording.room_id,
            by: recording.started_by,
            phase: Mutex::new(Phase::Announcing),
            stopped: CancellationToken::new(),
            people: Mutex::default(),
            speakers: Mutex::default(),
            done: Mutex::default(),
        }
    }

    /// Whether it can be stopped.
    pub(super) fn is_open(&self) -> bool {
        matches!(*lock(&self.phase), Phase::Starting | Phase::Running(_))
    }

    /// The engine has closed its files. Whether that was all.
    pub(super) fn engine_is_done(&self) -> bool {
        let mut done = lock(&self.done);
        done.engine = true;
        done.stop
    }

    /// Its stop is written down. Whether that was all.
    pub(super) fn stop_is_done(&self) -> bool {
        let mut done = lock(&self.done);
        done.stop = true;
        done.engine
    }

    /// Since when packets are written.
    pub(super) fn since(&self) -> Option<Time> {
        match *lock(&self.phase) {
            Phase::Running(at) => Some(at),
            Phase::Announcing | Phase::Starting | Phase::Stopped => None,
        }
    }

    pub(super) fn meet(&self, participant: ParticipantId, user: UserId, nickname: &str) {
        let mut people = lock(&self.people);
        if people.len() < PEOPLE_LIMIT {
            people.insert(participant, (user, nickname.to_owned()));
        }
    }

    pub(super) fn person(&self, participant: ParticipantId) -> Option<(UserId, String)> {
        lock(&self.people).get(&participant).cloned()
    }
}

impl Recordings {
    /// Announces a recording of a call; it begins by itself a moment later.
    ///
    /// # Errors
    /// `feature_off`, `not_found` (no such call, or one in a private room of others), `forbidden`, `not_in_call` (nobody is in
    /// the call), `conflict` (it is being recorded), `disk_full`, `internal`.
    pub async fn start_recording(&self, caller: &Caller, call: CallId) -> Result<Recording, Refusal> {
        if !self.0.config.enabled {
            return Err(Refusal::FeatureOff { feature: "recording" });
        }
        caller.demand(Feature::Recording)?;
        let room = self.0.ground.store.room_of_call(call).await?.ok_or(Refusal::NotFound)?.room;
        let right = self.permit(caller, &room).await?;
        if room.archived_at.is_some() {
            return Err(Refusal::RoomArchived);
        }
        if room.kind == RoomKind::Match {
            return Err(Refusal::FeatureOff { feature: "recording of strangers" });
        }
        let present = self.0.ground.rooms.participants(call);
        if present.is_empty() {
            return Err(Refusal::NotInCall);
        }
        self.check_space().await?;
        let recording = Recording {
            recording_id: RecordingId::new(),
            call_id: call,
            room_id: room.id,
            room_name: room.name,
            state: RecordingState::Starting,
            started_at: None,
            ended_at: None,
            started_by: caller.user.id,
            stop_reason: None,
            files: Vec::new(),
            composed: None,
        };
        let live = Live::new(&recording);
        for participant in &present {
            live.meet(participant.participant_id, participant.user_id, &participant.nickname);
        }
        let (recordings, live, new) = (self.clone(), Arc::new(live), recording.clone());
        // To its end even if whoever asked goes away: row and announcement must agree.
        let announced = tokio::spawn(async move { recordings.announce(&live, &new).await });
        announced.await.unwrap_or_else(|panic| Err(Refusal::Internal(panic.to_string())))?;
        if right == Right::Site {
            self.log(caller, Deed::StartRecording, &recording).await?;
        }
        Ok(recording)
    }

    async fn announce(&self, live: &Arc<Live>, new: &Recording) -> Result<(), Refusal> {
        // Before the row: whoever finishes what crashes left takes a row without this for one of those.
        self.live().insert(live.id, live.clone());
        match self.0.ground.store.create_recording(new, Time::now()).await {
            Ok(true) => {}
            Ok(false) => {
                self.live().remove(&live.id);
                return Err(Refusal::Taken("This call is being recorded already."));
            }
            Err(error) => {
                self.live().remove(&live.id);
                return Err(error.into());
            }
        }
        if !self.show_starting(live) {
            // The server is about to stop.
            self.live().remove(&live.id);
            self.0.ground.store.forget_recording(live.id).await?;
            return Err(Refusal::Unavailable { what: "recording" });
        }
        tokio::spawn(self.clone().run(live.clone()));
        Ok(())
    }

    /// Tells everybody that it begins soon, and lets it be stopped from now on. `false`: it was stopped before it began.
    fn show_starting(&self, live: &Live) -> bool {
        let mut phase = lock(&live.phase);
        if *phase != Phase::Announcing {
            return false;
        }
        *phase = Phase::Starting;
        self.mark(live, RecordingPhase::Starting, None);
        let starts_in_ms = self.0.config.notice_ms;
        let fact = Fact::RecordingStarting { recording: live.id, starts_in_ms, by: live.by };
        self.0.ground.rooms.tell_call(live.call, fact);
        true
    }

    fn mark(&self, live: &Live, state: RecordingPhase, started_at: Option<Time>) {
        let shown = CallRecording { recording_id: live.id, state, started_at, started_by: live.by };
        self.0.ground.rooms.set_recording(live.call, Some(shown));
    }

    /// Waits out the notice, then keeps an eye on the recording until it is stopped.
    async fn run(self, live: Arc<Live>) {
        let notice = Duration::from_millis(self.0.config.notice_ms);
        tokio::select! {
            () = live.stopped.cancelled() => return,
            () = tokio::time::sleep(notice) => {}
        }
        if let Err(error) = self.begin(&live).await {
            tracing::error!(%error, "a recording could not begin");
            self.halt(&live, RecordingStop::Failed).await.ok();
            return;
        }
        let mut looks = tokio::time::interval(LOOK_EVERY);
        looks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        let mut empty = 0;
        for look in 0_u32.. {
            tokio::select! {
                () = live.stopped.cancelled() => return,
                _ = looks.tick() => {}
            }
            empty = if self.0.ground.rooms.participants(live.call).is_empty() { empty + 1 } else { 0 };
            if empty >= EMPTY_LOOKS {
                self.halt(&live, RecordingStop::CallEnded).await.ok();
                return;
            }
            if look % SPEAKERS_EVERY == SPEAKERS_EVERY - 1 {
                self.write_speakers(&live).await;
            }
        }
    }

    /// The notice is over: from now on packets are written, unless somebody stopped it meanwhile.
    async fn begin(&self, live: &Live) -> Result<(), Refusal> {
        let folder = self.local_folder(live.id);
        let made = tokio::fs::create_dir_all(&folder).await;
        made.map_err(|error| Refusal::Internal(format!("a recording's folder cannot be made: {error}")))?;
        let at = Time::now();
        self.0.ground.store.run_recording(live.id, at).await?;
        if self.run_now(live, at, &folder) {
            return Ok(());
        }
        // It was stopped meanwhile, and leaves nothing behind.
        let gone = keep::remove_folder(&folder).await;
        gone.map_err(|error| Refusal::Internal(format!("a recording's folder cannot be removed: {error}")))
    }

    /// What of a beginning must not wait. `false`: it was stopped before.
    fn run_now(&self, live: &Live, at: Time, folder: &Path) -> bool {
        let mut phase = lock(&live.phase);
        if *phase == Phase::Stopped {
            return false;
        }
        *phase = Phase::Running(at);
        let loudest = lock(&self.0.loudest).get(&live.room).copied();
        let person = loudest.and_then(|id| live.person(id).map(|(user, _)| (id, user)));
        lock(&live.speakers).change(person, 0);
        self.with_engine(|engine| engine.open(live.id, live.call, folder.to_owned(), at));
        self.0.ground.sfu.record(live.call, true);
        self.mark(live, RecordingPhase::Running, Some(at));
        self.0.ground.rooms.tell_call(live.call, Fact::RecordingStarted { recording: live.id, at });
        true
    }

    /// Stops the recording of a call.
    ///
    /// # Errors
    /// `not_found` (no such call, one in a private room of others, or it is not being recorded), `forbidden`, `internal`.
    pub async fn stop_recording(&self, caller: &Caller, call: CallId) -> Result<Recording, Refusal> {
        let room = self.0.ground.store.room_of_call(call).await?.ok_or(Refusal::NotFound)?.room;
        let right = self.permit(caller, &room).await?;
        let live = self.live_of_call(call).ok_or(Refusal::NotFound)?;
        let (recordings, live) = (self.clone(), live.clone());
        let halted = tokio::spawn(async move { recordings.halt(&live, RecordingStop::Stopped).await });
        let halted = halted.await.unwrap_or_else(|panic| Err(Refusal::Internal(panic.to_string())))?;
        if right == Right::Site {
            self.log(caller, Deed::StopRecording, &halted).await?;
        }
        Ok(halted)
    }

    /// Stops a recording and tells everybody; its files are finished after that. One that has not begun leaves nothing behind.
    ///
    /// # Errors
    /// `not_found` (it was stopped before), `internal`.
    pub(super) async fn halt(&self, live: &Live, reason: RecordingStop) -> Result<Recording, Refusal> {
        let was = self.halt_now(live, reason).ok_or(Refusal::NotFound)?;
        let store = &self.0.ground.store;
        if was == Phase::Starting {
            self.live().remove(&live.id);
            let stopped = store.recording(live.id).await?.ok_or(Refusal::NotFound)?;
            store.forget_recording(live.id).await?;
            let (state, ended_at) = (RecordingState::Ready, Some(Time::now()));
            return Ok(Recording { state, ended_at, stop_reason: Some(reason), ..stopped });
        }
        self.write_speakers(live).await;
        let stopped = store.stop_recording(live.id, reason, Time::now()).await;
        if live.stop_is_done() {
            self.let_go(live.id);
        }
        stopped?;
        store.recording(live.id).await?.ok_or(Refusal::NotFound)
    }

    /// Nothing writes to it any more: its files go on their way.
    pub(super) fn let_go(&self, id: RecordingId) {
        self.live().remove(&id);
        self.0.wake.notify_one();
    }

    /// What of a stop must not wait. What it was before; `None`: it was stopped already.
    fn halt_now(&self, live: &Live, reason: RecordingStop) -> Option<Phase> {
        let mut phase = lock(&live.phase);
        let was = std::mem::replace(&mut *phase, Phase::Stopped);
        if matches!(was, Phase::Announcing | Phase::Stopped) {
            return None;
        }
        live.stopped.cancel();
        if let Phase::Running(since) = was {
            lock(&live.speakers).stop(since);
            self.0.ground.sfu.record(live.call, false);
            self.close_soon(live.id);
        }
        self.0.ground.rooms.set_recording(live.call, None);
        self.0.ground.rooms.tell_call(live.call, Fact::RecordingStopped { recording: live.id, reason });
        Some(was)
    }

    /// Stops them all, and tells everybody: the server is about to stop.
    pub async fn stop_all(&self) {
        let all: Vec<_> = self.live().values().cloned().collect();
        for live in all {
            if let Err(error) = self.halt(&live, RecordingStop::ServerStopped).await
                && error != Refusal::NotFound
            {
                tracing::error!(%error, "a recording was stopped, but the database does not know");
            }
        }
    }

    /// By what right somebody records in a room.
    async fn permit(&self, caller: &Caller, room: &Room) -> Result<Right, Refusal> {
        const ACTION: Action = Action::Record;
        let membership = self.0.ground.store.membership(room.id, caller.user.id).await?;
        let role = match membership {
            Membership::Member(role) => Some(role),
            Membership::None | Membership::Removed => None,
        };
        // The room may want more of a role than the table does.
        let narrowed = role.filter(|role| *role >= room.settings.permits.record);
        if let Some(right) = Right::to_record(narrowed, caller.user.role) {
            return Ok(right);
        }
        // Who may not see the room is not told that there is a call.
        let is_hidden = role.is_none() && room.visibility == Visibility::Private;
        Err(if is_hidden { Refusal::NotFound } else { Refusal::Forbidden { action: ACTION } })
    }
}
