//! The recording engine: from a call's packets to finished files in a local folder.
//!
//! Packets are put in order ([`reorder`]), made into frames ([`frames`]), dated ([`clock`]) and gathered into clusters of a WebM or
//! Matroska file ([`reel`], [`webm`]). All that is [`take::Take`], which has no clock, file or thread. Around it stand three
//! threads for the whole node, whatever the number of recordings: one puts together, one writes ([`disk`]), one finishes ([`finish`]).
//!
//! A file grows as `FILE_ID.part` by whole clusters. What a dying process has written is made into a playable file by [`repair`].
//! Nothing here knows who may record, where finished files go, or what is told to whom.

mod clock;
mod disk;
mod ebml;
mod finish;
mod frames;
mod h264;
mod layered;
mod opus;
mod reel;
mod reorder;
mod take;
#[cfg(test)]
mod tests;
mod track;
mod vp8;
mod webm;

use std::collections::HashMap;
use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::mpsc::{self, Receiver, Sender, SyncSender, TryRecvError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use crate::domain::recording::{Container, FileKind};
use crate::domain::{CallId, FileId, ParticipantId, RecordingId, Time, TrackId};
use crate::sfu::{Recorded, RecordedEvent};
use disk::{Job, Run, Writer};
use reel::Step;
use take::Take;

pub use disk::free_bytes;
pub use finish::{Finished, RepairError, Repaired, repair};
pub use webm::Label;

/// Bytes of batches that wait to be put together: some seconds of a disk that stands still while a call of fifty is recorded. What
/// comes beyond them is dropped.
const MOST_WAITING: usize = 96 * 1024 * 1024;
/// Clusters that wait to be written. When there are more, nothing is put together until the disk goes on.
const MOST_JOBS: usize = 64;
/// Events that wait to be taken. When there are more, nothing is written until they are.
const MOST_EVENTS: usize = 1024;
/// When so many bytes have been put in order, what they led to is written before more are.
const MOST_AT_ONCE: usize = 4 * 1024 * 1024;
/// How often what has arrived is put together. Waking up for each batch would cost more than the work.
const TICK: Duration = Duration::from_millis(200);
/// Arrivals are dated by a clock that goes on evenly from the start of the server. When the machine's clock has been set since, by
/// more than this, a recording begins by the former.
const CLOCK_SET_US: i64 = 2_000_000;

/// What the engine tells.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Event {
    /// A file begins. There is nothing in it yet.
    Opened {
        /// The recording.
        recording: RecordingId,
        /// The file.
        file: FileId,
        /// Who is in it.
        participant: ParticipantId,
        /// Camera and microphone, or screen.
        kind: FileKind,
        /// WebM, unless H.264 joins later.
        container: Container,
        /// Where it grows.
        path: PathBuf,
        /// Its beginning on the recording's clock.
        starts_at_ms: i64,
    },
    /// A file does not grow any more.
    Closed {
        /// The recording.
        recording: RecordingId,
        /// The file.
        file: FileId,
        /// What it has become; a file that could not be finished may be repaired later.
        outcome: Result<Finished, FinishError>,
    },
    /// Packets were lost; the picture goes on from a key frame.
    WantKeyframe {
        /// The call.
        call: CallId,
        /// The track.
        track: TrackId,
    },
    /// Nothing more is written. The files are finished as they are, and [`Event::Ended`] follows.
    Failed {
        /// The recording.
        recording: RecordingId,
        /// Why.
        failure: Failure,
    },
    /// All files of the recording are closed. It is the last event of it.
    Ended {
        /// The recording.
        recording: RecordingId,
    },
}

/// Why a recording cannot go on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Failure {
    /// Less space than is to be kept free.
    DiskFull,
    /// The disk refuses; for the log.
    Io(String),
}

/// Why a file could not be finished, for the log.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the file could not be finished: {0}")]
pub struct FinishError(String);

/// What all recordings amount to since the start.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Stats {
    /// Packets that were put in order.
    pub packets: u64,
    /// Packets that came again, or too late.
    pub packets_late: u64,
    /// Packets that never came, or that the media side had no room for.
    pub packets_lost: u64,
    /// Batches that came while the engine was behind.
    pub batches_dropped: u64,
    /// Frames that were handed to the writer.
    pub frames: u64,
    /// Frames that came to nothing.
    pub frames_dropped: u64,
    /// Bytes written.
    pub bytes: u64,
}

/// The recordings of this node.
#[derive(Debug)]
pub struct Engine {
    inputs: Sender<Input>,
    shared: Arc<Shared>,
    threads: Vec<JoinHandle<()>>,
}

#[derive(Debug, Default)]
struct Shared {
    waiting: AtomicUsize,
    batches_dropped: AtomicU64,
    packets: AtomicU64,
    late: AtomicU64,
    lost: AtomicU64,
    frames: AtomicU64,
    frames_dropped: AtomicU64,
    bytes: Arc<AtomicU64>,
}

enum Input {
    Open { recording: RecordingId, call: CallId, folder: PathBuf, started_us: i64 },
    Batch(Recorded, Instant),
    Close(RecordingId),
}

impl Engine {
    /// Starts the engine. It stops writing when fewer than `min_free_bytes` are left. Someone must take the events.
    ///
    /// # Errors
    /// A thread cannot be started.
    pub fn start(min_free_bytes: u64) -> io::Result<(Engine, tokio::sync::mpsc::Receiver<Event>)> {
        let (events, taken) = tokio::sync::mpsc::channel(MOST_EVENTS);
        let (inputs, arriving) = mpsc::channel();
        let (jobs, to_write) = mpsc::sync_channel(MOST_JOBS);
        let shared = Arc::new(Shared::default());
        let (writer, to_finish) = Writer::new(min_free_bytes, shared.bytes.clone(), events.clone());
        let desk = Desk {
            takes: HashMap::new(),
            jobs,
            events: events.clone(),
            shared: shared.clone(),
            steps: Vec::new(),
            taken: 0,
        };
        let spawn = |name: &str, work: Box<dyn FnOnce() + Send>| {
            std::thread::Builder::new().name(format!("recording-{name}")).spawn(work)
        };
        let threads = vec![
            spawn("frames", Box::new(move || desk.run(&arriving)))?,
            spawn("writer", Box::new(move || writer.run(&to_write)))?,
            spawn("finisher", Box::new(move || disk::finish_all(&to_finish, &events)))?,
        ];
        Ok((Engine { inputs, shared, threads }, taken))
    }

    /// Begins to record a call into a folder that exists. What arrived before `started_at` is not taken. A recording of the same
    /// call that is still open is closed.
    pub fn open(&self, recording: RecordingId, call: CallId, folder: PathBuf, started_at: Time) {
        let started_us = started_at.as_ms().saturating_mul(1_000);
        self.order(Input::Open { recording, call, folder, started_us });
    }

    /// Takes packets of any call; those of calls that are not recorded are thrown away. Never blocks: false when the engine is
    /// behind and the batch is dropped, which is counted.
    pub fn push(&self, recorded: Recorded) -> bool {
        let weight = weight(&recorded);
        if self.shared.waiting.fetch_add(weight, Ordering::Relaxed) >= MOST_WAITING {
            self.shared.waiting.fetch_sub(weight, Ordering::Relaxed);
            self.shared.batches_dropped.fetch_add(1, Ordering::Relaxed);
            return false;
        }
        self.inputs.send(Input::Batch(recorded, Instant::now())).is_ok()
    }

    /// Ends a recording after everything that was pushed before.
    pub fn close(&self, recording: RecordingId) {
        self.order(Input::Close(recording));
    }

    /// Says something that does not wait for the next look.
    fn order(&self, input: Input) {
        let _ = self.inputs.send(input);
        if let Some(desk) = self.threads.first() {
            desk.thread().unpark();
        }
    }

    /// What was done since the start.
    pub fn stats(&self) -> Stats {
        let read = |count: &AtomicU64| count.load(Ordering::Relaxed);
        Stats {
            packets: read(&self.shared.packets),
            packets_late: read(&self.shared.late),
            packets_lost: read(&self.shared.lost),
            batches_dropped: read(&self.shared.batches_dropped),
            frames: read(&self.shared.frames),
            frames_dropped: read(&self.shared.frames_dropped),
            bytes: read(&self.shared.bytes),
        }
    }

    /// Closes all recordings and waits until their files are finished. Blocks; the events must go on being taken meanwhile.
    pub fn stop(self) {
        let Engine { inputs, threads, .. } = self;
        drop(inputs);
        if let Some(desk) = threads.first() {
            desk.thread().unpark();
        }
        for thread in threads {
            let _ = thread.join();
        }
    }
}

/// The thread that puts together.
struct Desk {
    takes: HashMap<CallId, Open>,
    jobs: SyncSender<Job>,
    events: tokio::sync::mpsc::Sender<Event>,
    shared: Arc<Shared>,
    steps: Vec<Step>,
    /// Bytes that were put in order since the last look.
    taken: usize,
}

/// A recording that runs.
struct Open {
    run: Arc<Run>,
    started_us: i64,
    /// `None` until the first packets show what their clock says.
    take: Option<Take>,
    /// When the last batch was taken in.
    heard: Instant,
}

impl Desk {
    fn run(mut self, inputs: &Receiver<Input>) {
        loop {
            // An order wakes it up sooner; waking up in vain does no harm.
            std::thread::park_timeout(TICK);
            let alive = loop {
                match inputs.try_recv() {
                    Ok(input) => self.take_in(input),
                    Err(TryRecvError::Empty) => break true,
                    Err(TryRecvError::Disconnected) => break false,
                }
            };
            self.tick();
            if !alive {
                break;
            }
        }
        for (_, open) in std::mem::take(&mut self.takes) {
            self.end(open);
        }
    }

    fn take_in(&mut self, input: Input) {
        match input {
            Input::Open { recording, call, folder, started_us } => {
                let run = Arc::new(Run { recording, folder, failed: AtomicBool::new(false) });
                let open = Open { run, started_us, take: None, heard: Instant::now() };
                if let Some(old) = self.takes.insert(call, open) {
                    self.end(old);
                }
            }
            Input::Batch(recorded, pushed) => {
                let weight = weight(&recorded);
                self.shared.waiting.fetch_sub(weight, Ordering::Relaxed);
                self.batch(&recorded, pushed);
                self.taken += weight;
                if self.taken > MOST_AT_ONCE {
                    self.tick();
                }
            }
            Input::Close(recording) => {
                let call = self.takes.iter().find(|(_, open)| open.run.recording == recording).map(|(call, _)| *call);
                if let Some(open) = call.and_then(|call| self.takes.remove(&call)) {
                    self.end(open);
                }
            }
        }
    }

    fn batch(&mut self, recorded: &Recorded, pushed: Instant) {
        let Some(open) = self.takes.get_mut(&recorded.call) else { return };
        open.heard = Instant::now();
        if open.take.is_none() {
            let first_us = first_arrival_us(recorded);
            open.take = first_us.map(|arrived_us| Take::new(zero_us(open.started_us, arrived_us, pushed)));
        }
        self.with(recorded.call, |take, _| take.push(recorded));
    }

    fn tick(&mut self) {
        self.taken = 0;
        let calls: Vec<_> = self.takes.keys().copied().collect();
        for call in calls {
            let open = &self.takes[&call];
            if open.run.failed.load(Ordering::Relaxed) {
                self.give_up(call);
                continue;
            }
            let quiet_us = open.heard.elapsed().as_micros() as i64;
            self.with(call, |take, steps| take.tick(take.heard_us().saturating_add(quiet_us), steps));
        }
    }

    /// Lets a take do something, and does what it says. A defect in it costs this recording and no other.
    fn with(&mut self, call: CallId, work: impl FnOnce(&mut Take, &mut Vec<Step>)) {
        let Some(open) = self.takes.get_mut(&call) else { return };
        let Some(take) = open.take.as_mut() else { return };
        let steps = &mut self.steps;
        if catch_unwind(AssertUnwindSafe(|| work(take, steps))).is_err() {
            self.steps.clear();
            self.give_up(call);
            return;
        }
        let counts = take.take_counts();
        let run = open.run.clone();
        self.count(&counts);
        self.carry_out(call, &run);
    }

    fn give_up(&mut self, call: CallId) {
        let Some(open) = self.takes.remove(&call) else { return };
        if !open.run.failed.swap(true, Ordering::Relaxed) {
            tracing::error!(recording = %open.run.recording, "a recording has met a defect and is given up");
            let failure = Failure::Io("a defect in the recorder".to_owned());
            let _ = self.events.blocking_send(Event::Failed { recording: open.run.recording, failure });
        }
        let _ = self.jobs.send(Job::End(open.run));
    }

    fn end(&mut self, open: Open) {
        let Open { run, take, .. } = open;
        if let Some(take) = take {
            let mut steps = std::mem::take(&mut self.steps);
            match catch_unwind(AssertUnwindSafe(|| take.end(&mut steps))) {
                Ok(counts) => self.count(&counts),
                Err(_) => tracing::error!(recording = %run.recording, "the end of a recording has met a defect"),
            }
            for step in steps.drain(..) {
                let _ = self.jobs.send(Job::Step(run.clone(), step));
            }
            self.steps = steps;
        }
        let _ = self.jobs.send(Job::End(run));
    }

    fn carry_out(&mut self, call: CallId, run: &Arc<Run>) {
        for step in self.steps.drain(..) {
            match step {
                // One that finds no room is asked for again.
                Step::Keyframe(track) => drop(self.events.try_send(Event::WantKeyframe { call, track })),
                step => drop(self.jobs.send(Job::Step(run.clone(), step))),
            }
        }
    }

    fn count(&self, counts: &track::Counts) {
        let add = |count: &AtomicU64, more| {
            count.fetch_add(more, Ordering::Relaxed);
        };
        add(&self.shared.packets, counts.packets);
        add(&self.shared.late, counts.late);
        add(&self.shared.lost, counts.lost);
        add(&self.shared.frames, counts.frames);
        add(&self.shared.frames_dropped, counts.dropped);
    }
}

/// What a batch counts for while it waits.
fn weight(recorded: &Recorded) -> usize {
    recorded.bytes.len() + recorded.events.len() * size_of::<RecordedEvent>() + size_of::<Recorded>()
}

fn first_arrival_us(recorded: &Recorded) -> Option<i64> {
    recorded.events.iter().find_map(|event| match event {
        RecordedEvent::Packet(packet) => Some(packet.arrived_us),
        _ => None,
    })
}

/// When a recording began, by the clock of its arrivals, of which one was from just before it was pushed.
fn zero_us(started_us: i64, arrived_us: i64, pushed: Instant) -> i64 {
    let pushed_us = Time::now().as_ms() * 1_000 - pushed.elapsed().as_micros() as i64;
    let set_us = arrived_us.saturating_sub(pushed_us);
    if set_us.abs() > CLOCK_SET_US { started_us.saturating_add(set_us) } else { started_us }
}

/// Where a file grows.
fn part_path(folder: &Path, file: FileId) -> PathBuf {
    folder.join(format!("{file}.part"))
}
