//! Watches what is shown, and keeps the desk where people decide.
//!
//! Frames that the media side samples wait in a queue for [`workers`], who look with an eye of [`vision`] each. What was seen of a
//! track goes through [`verdict`], a pure function; [`watch`] does what follows, and the [`clerk`] writes down what people have to
//! decide. People report ([`Moderation::report`]), and moderators decide ([`Moderation::act`]): what they decide is done here.

mod clerk;
mod desk;
mod frames;
mod health;
mod policy;
mod queue;
mod reports;
#[cfg(test)]
mod tests;
mod verdict;
pub mod vision;
mod watch;
mod workers;

use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use serde::Deserialize;
use tokio::sync::mpsc;
use tokio::task::JoinHandle;

use crate::auth::Auth;
use crate::domain::{Deed, LogEntry, Refusal, Time};
use crate::files::Files;
use crate::limit::Limits;
use crate::matching::Matching;
use crate::rooms::Rooms;
use crate::sfu::{Sampled, Sfu};
use crate::store::Store;
use clerk::{Books, Clerk};
use frames::Frames;
use health::Health;
use queue::Queue;
use watch::{Ears, Known, Order, Watch};
use workers::{MakeEye, Workers, eyes_of};

pub use desk::{Act, Details, History, LIST_LIMIT};
pub use health::{Condition, Status};
pub use policy::{OnHit, Policy, PolicyError};
pub use reports::Complaint;

/// How often evidence whose time is over is deleted.
const SWEEP_EVERY: Duration = Duration::from_secs(600);
/// How long a decision may take to be carried out. One that took longer was cut short by the end of a process.
const CARRIED_OUT_WITHIN: Duration = Duration::from_secs(60);
/// What workers have told and the watch has not heard yet. They wait for it.
const MOST_TOLD: usize = 64;

/// How it is watched (`PARLOR_MODERATION__…`).
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Config {
    /// Threads that look at pictures; 0: one for each core, but two at most. One looks at more than 100 a second.
    pub workers: usize,
    /// The time after which a model that is missing or does not work is tried again, in milliseconds.
    pub retry_ms: u64,
    /// The folder of the model (`PARLOR_MODELS_DIR`).
    #[serde(skip)]
    pub models_dir: PathBuf,
    /// Whether pictures are sampled at all (`PARLOR_SAMPLE_EVERY_MS` is not 0).
    #[serde(skip)]
    pub sampling: bool,
}

impl Default for Config {
    fn default() -> Self {
        Self { workers: 0, retry_ms: 60_000, models_dir: "models".into(), sampling: true }
    }
}

/// The moderation. Clones share it.
#[derive(Clone)]
pub struct Moderation(Arc<Inner>);

struct Inner {
    books: Books,
    rooms: Rooms,
    auth: Auth,
    matching: Matching,
    limits: Limits,
    frames: Frames,
    health: Health,
    /// Unbounded, yet each order costs somebody an act or a request that is limited.
    orders: mpsc::UnboundedSender<Order>,
    workers: Mutex<Option<Workers>>,
    tasks: Mutex<Vec<JoinHandle<()>>>,
}

/// What it stands on.
pub struct Ground {
    /// Where cases are kept.
    pub store: Store,
    /// Where evidence is kept.
    pub files: Files,
    /// Who shows what to whom.
    pub rooms: Rooms,
    /// Who is kept out.
    pub auth: Auth,
    /// Strangers who meet.
    pub matching: Matching,
    /// Where the pictures come from.
    pub sfu: Sfu,
    /// How often somebody may report.
    pub limits: Limits,
}

impl Moderation {
    /// Starts to watch.
    ///
    /// # Errors
    /// When the system gives no threads. A model that is missing is none: it is told in [`Moderation::status`] and tried again.
    pub fn start(
        config: &Config,
        policy: Policy,
        ground: Ground,
        samples: mpsc::Receiver<Sampled>,
    ) -> std::io::Result<Self> {
        Self::start_with(config, policy, ground, samples, &eyes_of(config.models_dir.clone()))
    }

    fn start_with(
        config: &Config,
        policy: Policy,
        ground: Ground,
        samples: mpsc::Receiver<Sampled>,
        make: &MakeEye,
    ) -> std::io::Result<Self> {
        let Ground { store, files, rooms, auth, matching, sfu, limits } = ground;
        let books = Books { store, files, evidence_life: policy.evidence_life() };
        let (queue, frames, health) = (Arc::<Queue>::default(), Frames::default(), Health::default());
        let (orders, orders_taken) = mpsc::unbounded_channel();
        let (tell, told) = mpsc::channel(MOST_TOLD);
        let (clerk, clerks_work) = Clerk::new(books.clone());
        let workers = if config.sampling {
            let retry = Duration::from_millis(config.retry_ms.max(1));
            Some(Workers::start(config.workers(), &queue, make, &tell, retry)?)
        } else {
            None
        };
        let known = Known::nothing(!config.sampling);
        let watch = Watch {
            rooms: rooms.clone(),
            sfu,
            policy,
            clerk,
            frames: frames.clone(),
            queue,
            health: health.clone(),
            known,
        };
        let moderation = Self(Arc::new(Inner {
            books,
            rooms,
            auth,
            matching,
            limits,
            frames,
            health,
            orders,
            workers: Mutex::new(workers),
            tasks: Mutex::default(),
        }));
        let tasks = vec![
            tokio::spawn(watch.keep(Ears { samples, told, orders: orders_taken })),
            tokio::spawn(clerks_work),
            tokio::spawn(moderation.clone().keep_sweeping()),
        ];
        *moderation.0.tasks.lock().unwrap_or_else(PoisonError::into_inner) = tasks;
        Ok(moderation)
    }

    /// Stops to watch. It waits for the frames that are looked at.
    pub async fn stop(&self) {
        let workers = self.0.workers.lock().unwrap_or_else(PoisonError::into_inner).take();
        let tasks = std::mem::take(&mut *self.0.tasks.lock().unwrap_or_else(PoisonError::into_inner));
        // First those whom workers talk to: a worker that waits to be heard goes home when nobody listens.
        for task in tasks {
            task.abort();
        }
        if let Some(workers) = workers {
            tokio::task::spawn_blocking(move || workers.stop()).await.ok();
        }
    }

    /// How the sampling fares.
    pub fn status(&self) -> Status {
        self.0.health.status()
    }

    async fn keep_sweeping(self) {
        let mut turns = tokio::time::interval(SWEEP_EVERY);
        loop {
            turns.tick().await;
            if let Err(refusal) = self.sweep(Time::now()).await {
                tracing::warn!(?refusal, "old evidence could not be swept");
            }
        }
    }

    /// Deletes evidence whose time is over, and lets cases wait again whose decisions a crash kept from being carried out.
    async fn sweep(&self, now: Time) -> Result<(), Refusal> {
        let swept = self.0.books.sweep(now).await?;
        if swept > 0 {
            tracing::info!(swept, "evidence has expired");
        }
        let late = i64::try_from(CARRIED_OUT_WITHIN.as_millis()).unwrap_or(i64::MAX);
        let store = &self.0.books.store;
        for case in store.unapplied_cases(Time::from_ms(now.as_ms().saturating_sub(late))).await? {
            let entry = LogEntry::by_server(Deed::Reopened).in_case(case).because("the server stopped in the middle");
            if store.reopen_case(case, now, &entry).await? {
                tracing::warn!(%case, "what was decided was never carried out; the case waits again");
            }
        }
        Ok(())
    }
}

impl Config {
    fn workers(&self) -> usize {
        match self.workers {
            0 => std::thread::available_parallelism().map_or(1, |cores| cores.get().min(2)),
            named => named,
        }
    }
}
