//! Recordings of calls: starting and stopping them, bringing what was written to where files are kept, showing it to those who may
//! see it, and making one file of all.
//!
//! Packets come from the SFU's tap and go to the [`engine`], which writes local files; from there they move to `files` once they are
//! whole. The database says how far each recording is, so that whatever a crash, a full disk or a bucket that does not answer
//! leaves undone is done later, by the same road ([`keep`]).

mod compose;
pub mod engine;
mod follow;
mod keep;
mod link;
mod live;
mod look;
mod speakers;
#[cfg(test)]
mod tests;

use std::collections::{HashMap, HashSet};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use serde::Deserialize;
use tokio::sync::{Notify, mpsc};
use tokio::task::JoinHandle;

use crate::bus::Bus;
use crate::domain::{CallId, FileId, ParticipantId, RecordingId, Refusal, RoomId};
use crate::files::Files;
use crate::rooms::Rooms;
use crate::sfu::{Recorded, Sfu};
use crate::store::Store;
use compose::Composer;
use engine::Engine;
use link::Signer;
use live::Live;
use look::Looks;

pub use compose::missing;
pub use link::{Link, Linked};
pub use look::{Found, Right, Seen};

/// How long a stop waits for files to be brought to where they are kept; the next start goes on with the rest.
const STOP_PATIENCE: Duration = Duration::from_secs(10);
/// How long the last packets of a recording may be on their way: shards hand them over every 50 ms.
const GATHERED: Duration = Duration::from_millis(150);
const MIB: u64 = 1024 * 1024;

/// Settings of recordings (`PARLOR_RECORDING__…`).
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Config {
    /// Whether calls can be recorded at all.
    pub enabled: bool,
    /// How long everybody is told before the first packet is written, in milliseconds.
    pub notice_ms: u64,
    /// Space that stays free on the disk, in MiB: below it recordings stop, and none starts.
    pub min_free_mb: u64,
    /// How often files are tried again that could not be brought to where they are kept, in seconds.
    pub retry_s: u64,
    /// The program that makes one file of all, by name or path; `ffprobe` stands beside it.
    pub ffmpeg: PathBuf,
    /// The font of the names in that file (TTF). Unset: the first that is found of those that Debian has.
    pub font: Option<PathBuf>,
}

impl Default for Config {
    fn default() -> Self {
        Self { enabled: true, notice_ms: 3_000, min_free_mb: 500, retry_s: 30, ffmpeg: "ffmpeg".into(), font: None }
    }
}

impl Config {
    fn min_free_bytes(&self) -> u64 {
        self.min_free_mb.saturating_mul(MIB)
    }
}

/// What recordings stand on.
#[derive(Clone)]
pub struct Ground {
    /// Who is where.
    pub rooms: Rooms,
    /// What lasts.
    pub store: Store,
    /// Where finished files go.
    pub files: Files,
    /// Where packets come from.
    pub sfu: Sfu,
    /// What is told to whom.
    pub bus: Bus,
}

/// The recordings. Clones share them.
#[derive(Clone)]
pub struct Recordings(Arc<Inner>);

struct Inner {
    config: Config,
    /// The folder of what is being written; one in it for each recording.
    folder: PathBuf,
    ground: Ground,
    /// Gone once the server stops.
    engine: Mutex<Option<Engine>>,
    /// The recordings of which the engine still writes something, and those that are about to start.
    live: Mutex<HashMap<RecordingId, Arc<Live>>>,
    /// The recordings whose files are being brought away or deleted: one of both happens at a time.
    keeping: Mutex<HashSet<RecordingId>>,
    /// Something is there to be brought away.
    wake: Notify,
    signer: Signer,
    composer: Composer,
    looks: Looks,
    /// Who was the loudest in a room when that was told last.
    loudest: Mutex<HashMap<RoomId, ParticipantId>>,
    /// What runs by itself.
    tasks: Mutex<Vec<JoinHandle<()>>>,
}

impl Recordings {
    /// Starts to listen to the tap, and to finish what a crash left. `folder` is made if it is not there; `secret` signs links.
    ///
    /// # Errors
    /// When the folder cannot be made, or no thread can be started.
    pub fn start(
        config: Config,
        folder: &Path,
        ground: Ground,
        recorded: mpsc::Receiver<Recorded>,
        secret: &[u8],
    ) -> std::io::Result<Self> {
        std::fs::create_dir_all(folder)?;
        let folder = folder.canonicalize()?;
        let (engine, events) = Engine::start(config.min_free_bytes())?;
        let (composer, jobs) = Composer::new();
        let subscription = ground.bus.subscribe();
        let recordings = Self(Arc::new(Inner {
            config,
            folder,
            ground,
            engine: Mutex::new(Some(engine)),
            live: Mutex::default(),
            keeping: Mutex::default(),
            wake: Notify::new(),
            signer: Signer::new(secret),
            composer,
            looks: Looks::default(),
            loudest: Mutex::default(),
            tasks: Mutex::default(),
        }));
        let tasks = [
            tokio::spawn(recordings.clone().follow_packets(recorded)),
            tokio::spawn(recordings.clone().follow_calls(subscription)),
            tokio::spawn(recordings.clone().follow_engine(events)),
            tokio::spawn(recordings.clone().count()),
            tokio::spawn(recordings.clone().keep_all()),
            tokio::spawn(recordings.clone().compose_all(jobs)),
        ];
        lock(&recordings.0.tasks).extend(tasks);
        Ok(recordings)
    }

    /// Finishes the files of what was stopped by [`Recordings::stop_all`], and brings them to where they are kept, as far as there is
    /// time.
    pub async fn stop(&self) {
        self.stop_all().await;
        self.0.composer.stop();
        if !self.live().is_empty() {
            // Their last packets are on their way.
            tokio::time::sleep(GATHERED).await;
        }
        let engine = lock(&self.0.engine).take();
        if let Some(engine) = engine {
            // It waits for threads, which wait for their events to be taken.
            tokio::task::spawn_blocking(move || engine.stop()).await.ok();
        }
        if tokio::time::timeout(STOP_PATIENCE, self.settled()).await.is_err() {
            tracing::warn!("some recorded files are not where files are kept yet; the next start goes on");
        }
        for task in std::mem::take(&mut *lock(&self.0.tasks)) {
            task.abort();
        }
    }

    /// Where the engine writes a file, and where it waits until it is brought away.
    fn local(&self, recording: RecordingId, file: FileId) -> PathBuf {
        self.local_folder(recording).join(format!("{file}.part"))
    }

    fn local_folder(&self, recording: RecordingId) -> PathBuf {
        self.0.folder.join(recording.to_string())
    }

    fn with_engine(&self, command: impl FnOnce(&Engine)) {
        if let Some(engine) = lock(&self.0.engine).as_ref() {
            command(engine);
        }
    }

    /// Ends a recording's files once the packets are there that the shard had gathered when it was told to stop.
    fn close_soon(&self, id: RecordingId) {
        let recordings = self.clone();
        tokio::spawn(async move {
            tokio::time::sleep(GATHERED).await;
            recordings.with_engine(|engine| engine.close(id));
        });
    }

    /// The sole right to move or delete a recording's files; `None`: somebody has it.
    fn alone(&self, id: RecordingId) -> Option<Alone> {
        let is_free = lock(&self.0.keeping).insert(id);
        is_free.then(|| Alone { recordings: self.clone(), id })
    }

    fn live(&self) -> MutexGuard<'_, HashMap<RecordingId, Arc<Live>>> {
        lock(&self.0.live)
    }

    fn live_of_call(&self, call: CallId) -> Option<Arc<Live>> {
        self.live().values().find(|live| live.call == call && live.is_open()).cloned()
    }

    /// Whether there is room for another recording.
    async fn check_space(&self) -> Result<(), Refusal> {
        let (folder, least) = (self.0.folder.clone(), self.0.config.min_free_bytes());
        let free = tokio::task::spawn_blocking(move || engine::free_bytes(&folder)).await;
        match free.unwrap_or_else(|panic| Err(std::io::Error::other(panic))) {
            Ok(free) if free < least => Err(Refusal::DiskFull),
            Ok(_) => Ok(()),
            Err(error) => Err(Refusal::Internal(format!("the folder of recordings cannot be looked at: {error}"))),
        }
    }
}

/// See [`Recordings::alone`].
struct Alone {
    recordings: Recordings,
    id: RecordingId,
}

impl Drop for Alone {
    fn drop(&mut self) {
        lock(&self.recordings.0.keeping).remove(&self.id);
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
