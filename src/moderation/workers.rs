//! The threads that look: each has an eye of its own, and gets another one when that fails.

use std::collections::BTreeMap;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use tokio::sync::mpsc;

use super::queue::{Job, Queue};
use super::vision::{Classifier, Coding, LookError, ModelError, Seen};
use crate::domain::evidence::{Label, Model};

/// The pause of a worker whose eye failed while it looked; each further failure in a row doubles it, up to the time after which a
/// missing model is looked for again.
const FIRST_PAUSE: Duration = Duration::from_secs(1);

/// What a worker has to tell. They wait for whoever takes it: there are never more than frames in the queue, and some.
pub(super) enum Told {
    /// It has an eye.
    Ready {
        /// Which worker.
        worker: usize,
        /// What looks.
        about: About,
    },
    /// It has none.
    Blind {
        /// Which worker.
        worker: usize,
        /// Why.
        why: Blindness,
    },
    /// It has looked at a frame, or tried.
    Looked {
        /// The frame.
        job: Job,
        /// What was seen.
        result: Result<Seen, LookFailed>,
        /// How long it took, waiting not counted.
        took: Duration,
    },
}

/// Why nothing was seen in a frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum LookFailed {
    /// It cannot be decoded.
    Frame,
    /// The eye failed.
    Eye,
}

/// Why a worker has no eye.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Blindness {
    /// The model or the runtime does not work.
    Model(ModelError),
    /// The code of the model or the runtime panicked.
    Panicked,
}

/// What looks.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct About {
    /// Which model.
    pub(super) model: Model,
    /// From which probabilities on its manifest counts a label.
    pub(super) thresholds: BTreeMap<Label, f32>,
}

/// Looks at one frame.
pub(super) type Look = Box<dyn FnMut(Coding, &[u8]) -> Result<Seen, LookError>>;
/// Makes an eye; told whether one failed before, so that files are read again.
pub(super) type MakeEye = Arc<dyn Fn(bool) -> Result<(Look, About), ModelError> + Send + Sync>;

/// Makes eyes of the model in that folder. It is read once, and again after a failure: an operator may have repaired it.
pub(super) fn eyes_of(models_dir: PathBuf) -> MakeEye {
    let opened: Mutex<Option<Classifier>> = Mutex::default();
    Arc::new(move |again| {
        let mut opened = opened.lock().unwrap_or_else(PoisonError::into_inner);
        if again {
            *opened = None;
        }
        let classifier = match &*opened {
            Some(classifier) => classifier.clone(),
            None => opened.insert(Classifier::open(&models_dir)?).clone(),
        };
        drop(opened);
        let mut eye = classifier.eye()?;
        let about = About { model: classifier.model().clone(), thresholds: classifier.thresholds().clone() };
        Ok((Box::new(move |coding, frame: &[u8]| eye.look(coding, frame)) as Look, about))
    })
}

/// The threads.
pub(super) struct Workers {
    queue: Arc<Queue>,
    threads: Vec<JoinHandle<()>>,
}

impl Workers {
    /// Starts so many. `retry` is the time after which a missing model is looked for again.
    ///
    /// # Errors
    /// When the system gives no threads.
    pub(super) fn start(
        count: usize,
        queue: &Arc<Queue>,
        make: &MakeEye,
        told: &mpsc::Sender<Told>,
        retry: Duration,
    ) -> std::io::Result<Self> {
        let mut workers = Self { queue: queue.clone(), threads: Vec::new() };
        for number in 0..count {
            let worker =
                Worker { number, queue: queue.clone(), make: make.clone(), told: told.clone(), retry, failures: 0 };
            workers.threads.push(thread::Builder::new().name(format!("look-{number}")).spawn(|| worker.work())?);
        }
        Ok(workers)
    }

    /// Ends them; waits until each has finished its frame.
    pub(super) fn stop(self) {
        self.queue.stop();
        for thread in self.threads {
            // A worker catches its panics; if one got out, it is over all the same.
            let _ = thread.join();
        }
    }
}

struct Worker {
    number: usize,
    queue: Arc<Queue>,
    make: MakeEye,
    told: mpsc::Sender<Told>,
    retry: Duration,
    failures: u32,
}

/// Nobody listens any more, or there is nothing to do any more.
struct Over;

impl Worker {
    fn work(mut self) {
        loop {
            let again = self.failures > 0;
            let make = self.make.clone();
            let made = catch_unwind(AssertUnwindSafe(move || make(again)));
            let (why, pause) = match made {
                Ok(Ok((look, about))) => match self.tell(Told::Ready { worker: self.number, about }) {
                    Ok(()) => match self.look_on(look) {
                        Ok(why) => (why, self.pause()),
                        Err(Over) => return,
                    },
                    Err(Over) => return,
                },
                Ok(Err(error)) => (Blindness::Model(error), self.retry),
                Err(_) => (Blindness::Panicked, self.retry),
            };
            self.failures = self.failures.saturating_add(1);
            if self.tell(Told::Blind { worker: self.number, why }).is_err() || !self.queue.rest(pause) {
                return;
            }
        }
    }

    /// Looks at frames until the eye fails; why it did.
    fn look_on(&mut self, mut look: Look) -> Result<Blindness, Over> {
        loop {
            let job = self.queue.pop().ok_or(Over)?;
            let began = std::time::Instant::now();
            // A panic costs this frame and this eye, not the worker.
            let looked = catch_unwind(AssertUnwindSafe(|| look(job.frame.coding, &job.frame.bytes)));
            let (result, failed) = match looked {
                Ok(Ok(seen)) => (Ok(seen), None),
                Ok(Err(LookError::Frame(error))) => {
                    tracing::debug!(%error, "a sampled frame cannot be decoded");
                    (Err(LookFailed::Frame), None)
                }
                Ok(Err(LookError::Model(error))) => (Err(LookFailed::Eye), Some(Blindness::Model(error))),
                // Perhaps it was the frame: three of the same track in a row count as undecodable, whoever is to blame.
                Err(_) => (Err(LookFailed::Frame), Some(Blindness::Panicked)),
            };
            if result.is_ok() {
                self.failures = 0;
            }
            self.tell(Told::Looked { job, result, took: began.elapsed() })?;
            if let Some(failed) = failed {
                return Ok(failed);
            }
        }
    }

    fn tell(&self, told: Told) -> Result<(), Over> {
        self.told.blocking_send(told).map_err(|_| Over)
    }

    fn pause(&self) -> Duration {
        FIRST_PAUSE.saturating_mul(1 << self.failures.min(16)).min(self.retry)
    }
}
