//! The thread that writes, and the one that finishes. A slow disk holds up these two and nobody else.

use std::collections::HashMap;
use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::mpsc::{self, Receiver, RecvTimeoutError, Sender};
use std::time::{Duration, Instant};

use super::finish::{Finished, finish};
use super::reel::Step;
use super::webm::{Head, Index};
use super::{Event, Failure, FinishError, part_path};
use crate::domain::{FileId, RecordingId};

/// What is written reaches the disk itself within this time, or as soon as the disk can: a power failure loses no more.
const SYNC_EVERY: Duration = Duration::from_millis(1_200);
/// How often the thread looks at what is to be synced, while nothing is to be written.
const TICK: Duration = Duration::from_millis(500);
/// How often the free space is looked at.
const LOOK_EVERY: Duration = Duration::from_secs(1);

/// A recording, as those see it who write its files.
#[derive(Debug)]
pub(super) struct Run {
    pub recording: RecordingId,
    pub folder: PathBuf,
    /// Writing failed: nothing more is taken.
    pub failed: AtomicBool,
}

/// What the writing thread is told.
pub(super) enum Job {
    /// A step of a recording.
    Step(Arc<Run>, Step),
    /// The recording is over; files that are still open are closed.
    End(Arc<Run>),
}

/// Files of one node that grow.
pub(super) struct Writer {
    files: HashMap<FileId, Growing>,
    min_free_bytes: u64,
    looked: Option<(PathBuf, Instant)>,
    written_bytes: Arc<AtomicU64>,
    events: tokio::sync::mpsc::Sender<Event>,
    finishing: Sender<Last>,
}

struct Growing {
    run: Arc<Run>,
    file: File,
    head: Head,
    index: Index,
    /// Since when something is written that is not synced.
    dirty: Option<Instant>,
}

/// What the finishing thread is told.
pub(super) enum Last {
    File(FileId, Arc<Run>, Box<(File, Head, Index)>),
    End(RecordingId),
}

impl Writer {
    pub fn new(
        min_free_bytes: u64,
        written_bytes: Arc<AtomicU64>,
        events: tokio::sync::mpsc::Sender<Event>,
    ) -> (Writer, Receiver<Last>) {
        let (finishing, finished) = mpsc::channel();
        let files = HashMap::new();
        (Writer { files, min_free_bytes, looked: None, written_bytes, events, finishing }, finished)
    }

    /// Writes until nobody tells it anything any more.
    pub fn run(mut self, jobs: &Receiver<Job>) {
        loop {
            match jobs.recv_timeout(TICK) {
                Ok(Job::Step(run, step)) => self.step(&run, step),
                Ok(Job::End(run)) => self.end(&run),
                Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => break,
            }
            self.sync_one();
        }
        let open: Vec<_> = self.files.keys().copied().collect();
        open.into_iter().for_each(|file| self.close(file));
    }

    fn step(&mut self, run: &Arc<Run>, step: Step) {
        let outcome = match step {
            Step::Close { file } => {
                self.close(file);
                Ok(())
            }
            _ if run.failed.load(Ordering::Relaxed) => Ok(()),
            Step::Open { file, head } => self.look(run).and_then(|()| self.open(run, file, *head)),
            Step::Redo { file, head } => self.redo(file, *head),
            Step::Append { file, bytes, facts } => self.look(run).and_then(|()| {
                let Some(growing) = self.files.get_mut(&file) else { return Ok(()) };
                growing.file.write_all_at(&bytes, growing.index.end)?;
                growing.index.append(&facts, bytes.len() as u64);
                growing.dirty.get_or_insert_with(Instant::now);
                self.written_bytes.fetch_add(bytes.len() as u64, Ordering::Relaxed);
                Ok(())
            }),
            Step::Keyframe(_) => Ok(()),
        };
        if let Err(error) = outcome {
            self.fail(run, &error);
        }
    }

    fn open(&mut self, run: &Arc<Run>, file: FileId, head: Head) -> io::Result<()> {
        let path = part_path(&run.folder, file);
        let (label, container) = (head.label.clone(), head.container);
        // Whoever keeps the books hears of the file before there is anything in it.
        let _ = self.events.blocking_send(Event::Opened {
            recording: run.recording,
            file,
            participant: label.participant,
            kind: label.kind,
            container,
            path: path.clone(),
            starts_at_ms: label.starts_at_ms,
        });
        let opened = File::options().read(true).write(true).create_new(true).open(&path).and_then(|opened| {
            opened.write_all_at(&head.encode(None), 0)?;
            // The name must outlive a power failure too.
            File::open(&run.folder)?.sync_all()?;
            Ok(opened)
        });
        match opened {
            Ok(opened) => {
                let growing = Growing {
                    run: run.clone(),
                    file: opened,
                    head,
                    index: Index::default(),
                    dirty: Some(Instant::now()),
                };
                self.files.insert(file, growing);
                Ok(())
            }
            Err(error) => {
                let _ = std::fs::remove_file(&path);
                let outcome = Err(FinishError(error.to_string()));
                let _ = self.events.blocking_send(Event::Closed { recording: run.recording, file, outcome });
                Err(error)
            }
        }
    }

    fn redo(&mut self, file: FileId, head: Head) -> io::Result<()> {
        let Some(growing) = self.files.get_mut(&file) else { return Ok(()) };
        growing.file.write_all_at(&head.encode(None), 0)?;
        growing.head = head;
        growing.dirty.get_or_insert_with(Instant::now);
        Ok(())
    }

    /// Looks now and then whether there is room.
    fn look(&mut self, run: &Run) -> io::Result<()> {
        let fresh = self.looked.as_ref().is_some_and(|(folder, at)| *folder == run.folder && at.elapsed() < LOOK_EVERY);
        if fresh {
            return Ok(());
        }
        let free = free_bytes(&run.folder)?;
        if free < self.min_free_bytes {
            return Err(io::ErrorKind::StorageFull.into());
        }
        self.looked = Some((run.folder.clone(), Instant::now()));
        Ok(())
    }

    fn fail(&mut self, run: &Arc<Run>, error: &io::Error) {
        self.looked = None;
        if run.failed.swap(true, Ordering::Relaxed) {
            return;
        }
        let failure = match error.kind() {
            io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => Failure::DiskFull,
            _ => Failure::Io(error.to_string()),
        };
        tracing::error!(recording = %run.recording, %error, "a recording cannot be written");
        let _ = self.events.blocking_send(Event::Failed { recording: run.recording, failure });
    }

    fn close(&mut self, file: FileId) {
        let Some(Growing { run, file: open, head, index, .. }) = self.files.remove(&file) else { return };
        let _ = self.finishing.send(Last::File(file, run, Box::new((open, head, index))));
    }

    fn end(&mut self, run: &Arc<Run>) {
        let of_run = |(file, growing): (&FileId, &Growing)| Arc::ptr_eq(&growing.run, run).then_some(*file);
        let open: Vec<_> = self.files.iter().filter_map(of_run).collect();
        open.into_iter().for_each(|file| self.close(file));
        let _ = self.finishing.send(Last::End(run.recording));
    }

    /// Syncs the file that has waited for longest, if it has waited for long enough. One at a time: writing goes on between.
    fn sync_one(&mut self) {
        let waiting = self.files.values_mut().filter(|it| it.dirty.is_some_and(|since| since.elapsed() >= SYNC_EVERY));
        let Some(growing) = waiting.min_by_key(|growing| growing.dirty) else { return };
        growing.dirty = None;
        if let Err(error) = growing.file.sync_data() {
            let run = growing.run.clone();
            self.fail(&run, &error);
        }
    }
}

/// Finishes files until nobody brings any. Hashing a long one takes seconds; the others go on being written meanwhile.
pub(super) fn finish_all(last: &Receiver<Last>, events: &tokio::sync::mpsc::Sender<Event>) {
    while let Ok(last) = last.recv() {
        let event = match last {
            Last::End(recording) => Event::Ended { recording },
            Last::File(file, run, whole) => {
                Event::Closed { recording: run.recording, file, outcome: finish_one(file, &run, &whole) }
            }
        };
        let _ = events.blocking_send(event);
    }
}

fn finish_one(file: FileId, run: &Run, (open, head, index): &(File, Head, Index)) -> Result<Finished, FinishError> {
    if index.is_empty() {
        // The disk took the head and nothing else.
        let _ = std::fs::remove_file(part_path(&run.folder, file));
        return Err(FinishError("nothing could be written".to_owned()));
    }
    finish(open, head, index).map_err(|error| FinishError(error.to_string()))
}

/// The bytes that may still be written into a folder.
///
/// # Errors
/// The folder is not there.
pub fn free_bytes(folder: &Path) -> io::Result<u64> {
    let space = rustix::fs::statvfs(folder)?;
    Ok(space.f_bavail.saturating_mul(space.f_frsize))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::ParticipantId;
    use crate::domain::recording::FileKind;
    use crate::recording::engine::webm::{AUDIO, Cluster, Label};

    fn cluster(file: FileId, at_ms: u64) -> Step {
        let mut cluster = Cluster::begin(at_ms, 1, 3);
        cluster.block(AUDIO, at_ms, true, &[0xfc, 1, 2]);
        let (bytes, facts) = cluster.end();
        Step::Append { file, bytes, facts }
    }

    #[test]
    fn a_disk_that_refuses_keeps_what_it_has() {
        let folder = tempfile::tempdir().unwrap();
        let (events, mut told) = tokio::sync::mpsc::channel(16);
        let (mut writer, last) = Writer::new(0, Arc::default(), events.clone());
        let recording = RecordingId::new();
        let run = Arc::new(Run { recording, folder: folder.path().to_owned(), failed: AtomicBool::new(false) });
        let file = FileId::new();
        let label = Label { participant: ParticipantId::new(), kind: FileKind::Participant, starts_at_ms: 0 };
        writer.step(&run, Step::Open { file, head: Box::new(Head::new(label, 0, None, true)) });
        writer.step(&run, cluster(file, 0));
        // The next write comes half way, and is refused.
        let path = part_path(folder.path(), file);
        let open = std::mem::replace(&mut writer.files.get_mut(&file).unwrap().file, File::open(&path).unwrap());
        let end = writer.files[&file].index.end;
        open.write_all_at(b"half a cluster", end).unwrap();
        writer.step(&run, cluster(file, 500));
        writer.step(&run, cluster(file, 1_000));
        writer.files.get_mut(&file).unwrap().file = open;
        // What still comes is not taken: there would be a hole.
        writer.step(&run, cluster(file, 1_500));
        writer.end(&run);
        drop(writer);
        finish_all(&last, &events);
        drop(events);
        let told: Vec<_> = std::iter::from_fn(|| told.blocking_recv()).collect();
        let [
            Event::Opened { .. },
            Event::Failed { failure: Failure::Io(_), .. },
            Event::Closed { outcome: Ok(finished), .. },
            Event::Ended { .. },
        ] = &told[..]
        else {
            panic!("{told:?}")
        };
        assert_eq!(finished.duration_ms, 20);
        assert_eq!(crate::recording::engine::repair(&path).unwrap().finished, *finished);
    }

    #[test]
    fn a_full_disk_is_told_as_such() {
        for kind in [io::ErrorKind::StorageFull, io::ErrorKind::QuotaExceeded] {
            let (events, mut told) = tokio::sync::mpsc::channel(16);
            let (mut writer, _last) = Writer::new(0, Arc::default(), events);
            let recording = RecordingId::new();
            let run = Arc::new(Run { recording, folder: PathBuf::new(), failed: AtomicBool::new(false) });
            writer.fail(&run, &kind.into());
            writer.fail(&run, &kind.into());
            drop(writer);
            assert_eq!(told.blocking_recv(), Some(Event::Failed { recording, failure: Failure::DiskFull }));
            assert_eq!(told.blocking_recv(), None, "it is told once");
        }
        assert!(free_bytes(Path::new("/")).unwrap() > 0);
        assert!(free_bytes(Path::new("/nowhere")).is_err());
    }
}
