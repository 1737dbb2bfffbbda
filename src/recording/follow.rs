//! What the taps, the bus and the engine tell.

use std::time::Duration;

use tokio::sync::mpsc;

use super::engine::{Event, Failure, Finished};
use super::{Recordings, lock};
use crate::bus::{News, Subscription};
use crate::domain::{
    Event as RoomEvent, Fact, FileId, ParticipantId, RecordingId, RoomId, Time,
    recording::{FileState, RecordedFile, RecordingStop},
};
use crate::metrics::{RECORDING_BYTES, RECORDING_FRAMES, RECORDING_PACKETS, RECORDINGS};
use crate::sfu::Recorded;

/// How often figures are read.
const COUNT_EVERY: Duration = Duration::from_secs(5);
/// Rooms whose loudest is remembered. When there are more, all are forgotten: the next change is told anyway.
const LOUDEST_LIMIT: usize = 10_000;

impl Recordings {
    /// Hands packets to the engine, which never makes anybody wait.
    pub(super) async fn follow_packets(self, mut recorded: mpsc::Receiver<Recorded>) {
        while let Some(batch) = recorded.recv().await {
            // What it is too slow for, it drops and counts.
            self.with_engine(|engine| {
                let _ = engine.push(batch);
            });
        }
    }

    /// Keeps the figures up to date.
    pub(super) async fn count(self) {
        let mut turns = tokio::time::interval(COUNT_EVERY);
        loop {
            turns.tick().await;
            let written = self.live().values().filter(|live| live.since().is_some()).count();
            metrics::gauge!(RECORDINGS, "state" => "running").set(written as f64);
            self.with_engine(|engine| {
                let stats = engine.stats();
                metrics::counter!(RECORDING_BYTES).absolute(stats.bytes);
                for (result, count) in
                    [("ordered", stats.packets), ("late", stats.packets_late), ("lost", stats.packets_lost)]
                {
                    metrics::counter!(RECORDING_PACKETS, "result" => result).absolute(count);
                }
                for (result, count) in [("written", stats.frames), ("dropped", stats.frames_dropped)] {
                    metrics::counter!(RECORDING_FRAMES, "result" => result).absolute(count);
                }
            });
        }
    }

    /// Learns from the bus who takes part in recorded calls, and who speaks.
    pub(super) async fn follow_calls(self, mut subscription: Subscription) {
        while let Some(news) = subscription.next().await {
            if let News::Event(event) = news {
                self.call_told(&event);
            }
        }
    }

    fn call_told(&self, event: &RoomEvent) {
        match &event.fact {
            Fact::CallParticipant(participant) => {
                let (id, user) = (participant.participant_id, participant.user_id);
                self.each_live(event.room, |live| live.meet(id, user, &participant.nickname));
            }
            Fact::CallSpeakers(speakers) => {
                let loudest = speakers.first().map(|speaker| speaker.participant_id);
                self.remember_loudest(event.room, loudest);
                self.each_live(event.room, |live| {
                    let Some(since) = live.since() else { return };
                    let person = |id: ParticipantId| live.person(id).map(|(user, _)| (id, user));
                    lock(&live.speakers).change(loudest.and_then(person), Time::now().as_ms() - since.as_ms());
                });
            }
            _ => {}
        }
    }

    /// Speakers are told when they change, so a recording that begins in the middle of a sentence has to know who was told last.
    fn remember_loudest(&self, room: RoomId, loudest: Option<ParticipantId>) {
        let mut known = lock(&self.0.loudest);
        if known.len() >= LOUDEST_LIMIT {
            known.clear();
        }
        match loudest {
            Some(participant) => known.insert(room, participant),
            None => known.remove(&room),
        };
    }

    fn each_live(&self, room: RoomId, tell: impl Fn(&super::Live)) {
        for live in self.live().values().filter(|live| live.room == room) {
            tell(live);
        }
    }

    /// Keeps in the database what becomes of files. Should that fail, a file is found again by whoever finishes what was left.
    pub(super) async fn follow_engine(self, mut events: mpsc::Receiver<Event>) {
        while let Some(event) = events.recv().await {
            self.engine_told(event).await;
        }
    }

    pub(super) async fn engine_told(&self, event: Event) {
        match event {
            Event::Opened { recording, file, participant, kind, container, starts_at_ms, .. } => {
                let live = self.live().get(&recording).cloned();
                let (user_id, nickname) = live.and_then(|live| live.person(participant)).unzip();
                let opened = RecordedFile {
                    file_id: file,
                    kind,
                    user_id,
                    nickname,
                    state: FileState::Recording,
                    interrupted: false,
                    container,
                    starts_at_ms,
                    duration_ms: None,
                    size_bytes: None,
                    sha256: None,
                };
                self.keep_file(recording, &opened).await;
            }
            Event::Closed { recording, file, outcome: Ok(finished) } => {
                self.file_closed(recording, file, finished).await;
            }
            Event::Closed { file, outcome: Err(error), .. } => {
                // It stays where it is, to be looked at again once the recording is over.
                tracing::warn!(%error, %file, "a recorded file could not be finished");
            }
            Event::WantKeyframe { call, track } => self.0.ground.sfu.keyframe(call, track),
            Event::Failed { recording, failure } => {
                let live = self.live().get(&recording).cloned();
                let reason = match &failure {
                    Failure::DiskFull => RecordingStop::DiskFull,
                    Failure::Io(error) => {
                        tracing::error!(error, "a recording failed");
                        RecordingStop::Failed
                    }
                };
                if let Some(live) = live {
                    self.halt(&live, reason).await.ok();
                }
            }
            Event::Ended { recording } => {
                // Whoever stops it may still be writing down why.
                let live = self.live().get(&recording).cloned();
                if live.is_none_or(|live| live.engine_is_done()) {
                    self.let_go(recording);
                }
            }
        }
    }

    async fn file_closed(&self, recording: RecordingId, file: FileId, finished: Finished) {
        let known = match self.0.ground.store.recording(recording).await {
            Ok(known) => known.and_then(|it| it.files.into_iter().find(|known| known.file_id == file)),
            Err(error) => {
                tracing::error!(%error, "what became of a recorded file could not be kept");
                return;
            }
        };
        if let Some(known) = known {
            self.keep_file(recording, &closed(known, finished)).await;
        }
    }

    async fn keep_file(&self, recording: RecordingId, file: &RecordedFile) {
        if let Err(error) = self.0.ground.store.keep_recorded_file(recording, file).await {
            tracing::error!(%error, "what became of a recorded file could not be kept");
        }
    }
}

/// The file, whole, and waiting to be brought to where files are kept.
pub(super) fn closed(file: RecordedFile, finished: Finished) -> RecordedFile {
    RecordedFile {
        state: FileState::Finishing,
        container: finished.container,
        duration_ms: Some(finished.duration_ms),
        size_bytes: Some(finished.size_bytes),
        sha256: Some(finished.sha256),
        ..file
    }
}
