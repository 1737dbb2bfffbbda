//! Files that people put into messages: taking them in, looking at them before anybody sees them, handing them out, deleting them.
//!
//! What arrives goes piece by piece to where files are kept, so that an upload goes on wherever it is asked, on any node and after
//! any crash. Once all is there, a worker puts the pieces together, has them scanned, and looks at what they are (`work`); until
//! then nobody sees anything. The database says how far each file is, and which are to be deleted (`sweep`).

mod clamd;
mod film;
mod intake;
mod look;
mod name;
mod picture;
mod sniff;
mod strip;
mod sweep;
mod turns;
mod work;

use std::collections::HashSet;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::sync::{Notify, OnceCell, Semaphore};
use tokio::task::JoinHandle;
use uuid::Uuid;

use crate::bus::Bus;
use crate::domain::{
    Caller, Notice, Refusal,
    attachment::{Attachment, AttachmentKind, AttachmentRecord, AttachmentState},
    feature::Feature,
    notice::Told,
};
use crate::files::{self, Files};
use crate::limit::Limits;
use crate::metrics::UPLOADS;
use crate::store::Store;
use clamd::Clamd;
use turns::Turns;

pub use intake::{Arriving, Broken, Progress, Wanted};
pub use look::{Found, Part};

/// Files that are looked at at once: a slow scan does not keep the next from being made small.
const WORKERS: usize = 2;

/// What attachments stand on.
#[derive(Clone)]
pub struct Ground {
    /// What lasts.
    pub store: Store,
    /// Where files go.
    pub files: Files,
    /// What is told to whom.
    pub bus: Bus,
    /// How fast anybody may.
    pub limits: Limits,
}

/// The files of messages. Clones share them.
#[derive(Clone)]
pub struct Attachments(Arc<Inner>);

struct Inner {
    config: files::Config,
    /// Where this node puts together what it looks at, and holds what is arriving right now. Nothing in it is needed after a crash.
    folder: PathBuf,
    ffmpeg: PathBuf,
    /// Whether it is there, once that is known.
    has_ffmpeg: OnceCell<bool>,
    clamd: Option<Clamd>,
    ground: Ground,
    turns: Turns,
    /// Pictures are decoded one at a time: each may take hundreds of megabytes.
    decoding: Semaphore,
    /// Something is there to be looked at.
    arrived: Notify,
    /// Something is there to be deleted.
    doomed: Notify,
    /// What this process has claimed.
    claims: Mutex<HashSet<Uuid>>,
    tasks: Mutex<Vec<JoinHandle<()>>>,
}

impl Attachments {
    /// Starts to look at what waits, and to delete what is due. `folder` is this process's own: it is emptied.
    ///
    /// # Errors
    /// When the folder cannot be made.
    pub fn start(config: &files::Config, ffmpeg: &Path, folder: &Path, ground: Ground) -> std::io::Result<Self> {
        let attachments = Self::resting(config, ffmpeg, folder, ground)?;
        let workers = (0..WORKERS).map(|_| tokio::spawn(attachments.clone().work()));
        let tasks = workers.chain([tokio::spawn(attachments.clone().sweep())]).collect();
        *attachments.0.tasks.lock().unwrap_or_else(PoisonError::into_inner) = tasks;
        Ok(attachments)
    }

    /// Attachments at which nobody works.
    fn resting(config: &files::Config, ffmpeg: &Path, folder: &Path, ground: Ground) -> std::io::Result<Self> {
        // What a crash left there is in the database's hands.
        match std::fs::remove_dir_all(folder) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => return Err(error),
            _ => {}
        }
        std::fs::create_dir_all(folder)?;
        Ok(Self(Arc::new(Inner {
            config: config.clone(),
            folder: folder.canonicalize()?,
            ffmpeg: ffmpeg.to_owned(),
            has_ffmpeg: OnceCell::new(),
            clamd: config.clamd.as_deref().filter(|it| !it.is_empty()).map(Clamd::parse),
            ground,
            turns: Turns::default(),
            decoding: Semaphore::new(1),
            arrived: Notify::new(),
            doomed: Notify::new(),
            claims: Mutex::default(),
            tasks: Mutex::default(),
        })))
    }

    /// Stops. What is not finished goes on at the next start, or on another node.
    pub async fn stop(&self) {
        let tasks = std::mem::take(&mut *self.0.tasks.lock().unwrap_or_else(PoisonError::into_inner));
        for task in &tasks {
            task.abort();
        }
        for task in tasks {
            task.await.ok();
        }
        let claims = std::mem::take(&mut *self.0.claims.lock().unwrap_or_else(PoisonError::into_inner));
        for claim in claims {
            if let Err(error) = self.0.ground.store.release_scans(claim).await {
                tracing::warn!(%error, "files that wait to be looked at stay claimed for a minute");
            }
        }
    }

    /// Whether that person may upload anything at all.
    ///
    /// # Errors
    /// `feature_off`, `internal`.
    pub async fn may_upload(&self, caller: &Caller) -> Result<(), Refusal> {
        let mut permitted = Ok(());
        for kind in [AttachmentKind::File, AttachmentKind::Image, AttachmentKind::Audio, AttachmentKind::Video] {
            permitted = self.permit(caller, kind).await;
            if permitted.is_ok() {
                break;
            }
        }
        permitted
    }

    /// Whether that person may upload files of that kind.
    async fn permit(&self, caller: &Caller, kind: AttachmentKind) -> Result<(), Refusal> {
        let config = &self.0.config;
        if !config.uploads {
            return Err(Refusal::FeatureOff { feature: "files" });
        }
        caller.demand(Feature::Files)?;
        let is_for_all = config.anonymous_kinds.iter().any(|it| it == kind.as_str());
        if is_for_all || self.0.ground.store.account(caller.user.id).await?.is_some() {
            return Ok(());
        }
        Err(Refusal::FeatureOff {
            feature: match kind {
                AttachmentKind::Image => "images",
                AttachmentKind::Video => "videos",
                AttachmentKind::Audio => "sounds",
                AttachmentKind::File => "files",
            },
        })
    }

    /// Bytes that a file of which that is said may have.
    pub fn limit_of(&self, media_type: Option<&str>) -> u64 {
        self.0.config.most_bytes(AttachmentKind::of(media_type.unwrap_or_default()))
    }

    /// Tells a file's uploader what has become of it.
    fn tell(&self, record: &AttachmentRecord) {
        let Some(uploader) = record.uploader else { return };
        let told = Told::File(Box::new(record.attachment.clone()));
        self.0.ground.bus.notify(&Notice::to_user(uploader, told));
    }

    fn retry(&self) -> Duration {
        Duration::from_secs(self.0.config.retry_s.max(1))
    }
}

/// Counts a file that has come to that.
fn count(state: AttachmentState) {
    metrics::counter!(UPLOADS, "state" => state.as_str()).increment(1);
}

/// Whether the scanner of that setting answers.
///
/// # Errors
/// Why it does not.
pub async fn try_scanner(setting: &str) -> std::io::Result<()> {
    Clamd::parse(setting).try_out().await
}

impl From<AttachmentRecord> for Attachment {
    fn from(record: AttachmentRecord) -> Self {
        record.attachment
    }
}
