//! One file of all: a grid of everybody, who speaks, all voices. Made by `ffmpeg`, one at a time, in the background.

mod ffmpeg;
mod job;
mod mix;
mod plan;

use std::collections::HashMap;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use super::{Config, Recordings, lock};
use crate::domain::{
    Action, Caller, Notice, RecordingId, Refusal, Told, UserId,
    recording::{Composed, ComposedState, FileKind, FileState, Recording, RecordingState},
};
use crate::metrics::COMPOSED;

/// Jobs that wait at most. More are refused: they would wait for hours.
const QUEUE: usize = 16;
/// How often whoever asked is told of the progress.
const TELL_EVERY: Duration = Duration::from_secs(1);

/// The jobs of this process.
pub(super) struct Composer {
    queue: mpsc::Sender<Job>,
    jobs: Mutex<HashMap<RecordingId, Job>>,
    stop: CancellationToken,
}

/// A file that is asked for.
#[derive(Clone)]
pub(super) struct Job {
    recording: RecordingId,
    by: UserId,
    cancel: CancellationToken,
    now: Arc<Mutex<Now>>,
}

/// How far a job is.
struct Now {
    composed: Composed,
    told: Option<Instant>,
}

/// How a job ended, other than well.
enum Ending {
    /// Somebody stopped it, or the recording is gone.
    Cancelled,
    /// It cannot be; a sentence.
    Failed(String),
}

impl Composer {
    pub(super) fn new() -> (Self, mpsc::Receiver<Job>) {
        let (queue, jobs) = mpsc::channel(QUEUE);
        (Self { queue, jobs: Mutex::default(), stop: CancellationToken::new() }, jobs)
    }

    /// Ends what is being made, when the server stops.
    pub(super) fn stop(&self) {
        self.stop.cancel();
    }

    /// Cancels a recording's job. `false`: it has none.
    pub(super) fn cancel(&self, recording: RecordingId) -> bool {
        let job = lock(&self.jobs).get(&recording).cloned();
        job.inspect(|job| job.cancel.cancel()).is_some()
    }

    /// Shows how far a recording's job is: the database knows only where it began and how it ended.
    pub(super) fn refresh(&self, recording: &mut Recording) {
        if let Some(job) = lock(&self.jobs).get(&recording.recording_id) {
            recording.composed = Some(lock(&job.now).composed.clone());
        }
    }
}

/// What one file of all needs and does not find on this machine: a sentence each.
pub async fn missing(config: &Config) -> Vec<String> {
    let mut missing = Vec::new();
    let ffmpeg = ffmpeg::Ffmpeg::new(&config.ffmpeg);
    if !ffmpeg.is_there().await {
        missing.push("One file of all participants cannot be made, because ffmpeg and ffprobe are missing: install Debian's ffmpeg, or set PARLOR_RECORDING__FFMPEG.".to_owned());
    } else if job::font(config).is_none() || !ffmpeg.can("-filters", "drawtext").await {
        missing.push("Composed files will show no names, because there is no font: install Debian's fonts-dejavu-core, or set PARLOR_RECORDING__FONT.".to_owned());
    }
    missing
}

impl Recordings {
    /// Asks for one file of all.
    ///
    /// # Errors
    /// `not_found`, `forbidden`, `conflict` (it is being made, or the recording is not ready or has no files), `ffmpeg_missing`,
    /// `unavailable` (too many wait), `internal`.
    pub async fn compose(&self, caller: &Caller, id: RecordingId) -> Result<Composed, Refusal> {
        let (recording, _) = self.manage(caller, id).await?;
        if recording.state != RecordingState::Ready {
            return Err(Refusal::Taken("This recording is not finished yet."));
        }
        let can_be_shown = |kind| kind != FileKind::Composed;
        if !recording.files.iter().any(|file| file.state == FileState::Ready && can_be_shown(file.kind)) {
            return Err(Refusal::Taken("This recording has no files that one could be made of."));
        }
        if !ffmpeg::Ffmpeg::new(&self.0.config.ffmpeg).is_there().await {
            return Err(Refusal::FfmpegMissing);
        }
        let composed = Composed { state: ComposedState::Queued, progress: 0.0, error: None };
        let job = Job {
            recording: id,
            by: caller.user.id,
            cancel: self.0.composer.stop.child_token(),
            now: Arc::new(Mutex::new(Now { composed: composed.clone(), told: None })),
        };
        {
            let mut jobs = lock(&self.0.composer.jobs);
            if jobs.contains_key(&id) {
                return Err(Refusal::Taken("This file is being made already."));
            }
            let queued = self.0.composer.queue.try_send(job.clone());
            queued.map_err(|_| Refusal::Unavailable { what: "Too many such files are waiting to be made; ffmpeg" })?;
            jobs.insert(id, job.clone());
        }
        self.0.ground.store.keep_composed(id, ComposedState::Queued, None, caller.user.id).await?;
        Ok(composed)
    }

    /// How far the one file of all is.
    ///
    /// # Errors
    /// `not_found` (no such recording, not for them, or nobody has asked for the file), `internal`.
    pub async fn composed(&self, caller: &Caller, id: RecordingId) -> Result<Composed, Refusal> {
        self.see(&caller.user, id).await?.recording.composed.ok_or(Refusal::NotFound)
    }

    /// Stops the making of the one file of all.
    ///
    /// # Errors
    /// `not_found` (also when none is being made), `forbidden`, `internal`.
    pub async fn cancel_composing(&self, caller: &Caller, id: RecordingId) -> Result<(), Refusal> {
        if !self.see(&caller.user, id).await?.right.may_manage() {
            return Err(Refusal::Forbidden { action: Action::Record });
        }
        if self.0.composer.cancel(id) { Ok(()) } else { Err(Refusal::NotFound) }
    }

    /// Makes one file after the other.
    pub(super) async fn compose_all(self, mut jobs: mpsc::Receiver<Job>) {
        job::remove_leftovers(&self.0.folder).await;
        while let Some(job) = jobs.recv().await {
            let made = if job.cancel.is_cancelled() { Err(Ending::Cancelled) } else { self.make(&job).await };
            job::remove_leftovers(&self.0.folder).await;
            let (state, error) = match made {
                Ok(note) => (ComposedState::Done, note),
                Err(Ending::Cancelled) => (ComposedState::Cancelled, None),
                Err(Ending::Failed(why)) => (ComposedState::Failed, Some(why)),
            };
            if let Err(failure) =
                self.0.ground.store.keep_composed(job.recording, state, error.as_deref(), job.by).await
            {
                tracing::error!(%failure, "how a composed file ended could not be kept");
            }
            metrics::counter!(COMPOSED, "result" => state.as_str()).increment(1);
            lock(&self.0.composer.jobs).remove(&job.recording);
            let progress = if state == ComposedState::Done { 1.0 } else { lock(&job.now).composed.progress };
            self.tell(&job, Composed { state, progress, error });
        }
    }

    /// Keeps how far a job is, and tells whoever asked, if it is time.
    fn advance(&self, job: &Job, progress: f64) {
        let composed = {
            let mut now = lock(&job.now);
            // Hundredths are enough, and it never goes back.
            let progress = ((progress * 100.0).floor() / 100.0).clamp(now.composed.progress, 1.0);
            now.composed = Composed { state: ComposedState::Running, progress, error: None };
            if now.told.is_some_and(|told| told.elapsed() < TELL_EVERY) {
                return;
            }
            now.told = Some(Instant::now());
            now.composed.clone()
        };
        self.tell(job, composed);
    }

    fn tell(&self, job: &Job, composed: Composed) {
        let told = Told::RecordingComposed { recording: job.recording, composed };
        self.0.ground.bus.notify(&Notice::to_user(job.by, told));
    }
}
