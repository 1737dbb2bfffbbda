//! Brings finished files to where files are kept, and finishes what a crash left: one road for both, taken again until it leads to
//! the end.

use std::path::{Path, PathBuf};
use std::time::Duration;

use super::engine::{self, RepairError, Repaired};
use super::{Recordings, follow::closed, speakers};
use crate::domain::{
    FileId, RecordingId, Time,
    recording::{FileState, RecordedFile, RecordingState, RecordingStop},
};
use crate::files::{self, Key};
use crate::metrics::RECORDINGS;
use crate::store;

/// Why a recording is not at its end yet.
#[derive(Debug, thiserror::Error)]
pub(super) enum NotYet {
    #[error(transparent)]
    Store(#[from] store::Error),
    #[error("the files cannot be reached: {0}")]
    Files(#[from] files::Error),
    #[error("the folder of a recording: {0}")]
    Folder(#[from] std::io::Error),
}

impl Recordings {
    /// Goes on with what waits, whenever something is new and every now and then.
    pub(super) async fn keep_all(self) {
        let sentence = "The server stopped while this was being made.";
        if let Err(error) = self.0.ground.store.fail_composing(sentence).await {
            tracing::error!(%error, "what was being composed could not be ended");
        }
        let pause = Duration::from_secs(self.0.config.retry_s.max(1));
        loop {
            self.keep_once().await;
            tokio::select! {
                () = self.0.wake.notified() => {}
                () = tokio::time::sleep(pause) => {}
            }
        }
    }

    /// Returns once nothing is left that could be brought away; whatever cannot be now is waited for.
    pub(super) async fn settled(&self) {
        loop {
            let is_over = self.live().is_empty();
            match self.0.ground.store.unfinished_recordings().await {
                Ok(left) if left.is_empty() && is_over => return,
                Ok(_) => self.0.wake.notify_one(),
                Err(_) => {}
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }

    pub(super) async fn keep_once(&self) {
        let left = match self.0.ground.store.unfinished_recordings().await {
            Ok(left) => left,
            Err(error) => {
                tracing::error!(%error, "recordings cannot be looked for");
                return;
            }
        };
        let ids = left.into_iter().map(|it| it.recording_id);
        let left: Vec<_> = ids.filter(|id| !self.live().contains_key(id)).collect();
        metrics::gauge!(RECORDINGS, "state" => "finishing").set(left.len() as f64);
        for id in left {
            // Somebody deletes something of it: the next time.
            let Some(_alone) = self.alone(id) else { continue };
            if let Err(error) = self.settle(id).await {
                tracing::warn!(%error, "recorded files wait to be brought to where files are kept");
            }
        }
    }

    /// Takes a recording that nothing writes to any more to its end.
    pub(super) async fn settle(&self, id: RecordingId) -> Result<(), NotYet> {
        let store = &self.0.ground.store;
        // Looked at anew: what was read while it was still written may say of a file that is whole that it is not.
        let Some(recording) = store.recording(id).await? else { return Ok(()) };
        if matches!(recording.state, RecordingState::Ready | RecordingState::Failed) {
            return Ok(());
        }
        let folder = self.local_folder(id);
        if recording.state == RecordingState::Starting {
            store.forget_recording(id).await?;
            return Ok(remove_folder(&folder).await?);
        }
        // First of all: as long as it counts as running, its call cannot be recorded.
        store.abandon_recording(id).await?;
        let (mut files, mut waits) = (recording.files.clone(), None);
        for file in files.iter_mut().filter(|file| file.state == FileState::Recording) {
            match self.finish_left(id, file.clone()).await {
                Ok(finished) => *file = finished,
                // The others need not wait for this one.
                Err(error) => waits = Some(error),
            }
        }
        for orphan in orphans(&folder, &files).await? {
            files.extend(self.adopt(id, orphan).await?);
        }
        for file in files.iter_mut().filter(|file| file.state == FileState::Finishing) {
            file.state = self.bring(id, file).await?;
            store.keep_recorded_file(id, file).await?;
        }
        self.bring_speakers(id, &folder).await?;
        if let Some(error) = waits {
            return Err(error);
        }
        let came_to_nothing = !files.is_empty() && files.iter().all(|file| file.state == FileState::Failed)
            || files.is_empty() && recording.stop_reason == Some(RecordingStop::Failed);
        let state = if came_to_nothing { RecordingState::Failed } else { RecordingState::Ready };
        // Where the server died it ended with the last that was written.
        let last_ms = files.iter().map(|file| file.starts_at_ms + file.duration_ms.unwrap_or_default()).max();
        let ended_at = recording.started_at.zip(last_ms).map(|(at, last)| Time::from_ms(at.as_ms() + last));
        store.end_recording(id, state, ended_at.unwrap_or_else(Time::now)).await?;
        Ok(remove_folder(&folder).await?)
    }

    /// Finishes a file that was being written when the server died.
    async fn finish_left(&self, recording: RecordingId, file: RecordedFile) -> Result<RecordedFile, NotYet> {
        let path = self.local(recording, file.file_id);
        let finished = match repair(&path).await? {
            Some(repaired) => RecordedFile { interrupted: true, ..closed(file, repaired.finished) },
            None => RecordedFile { state: FileState::Failed, ..file },
        };
        self.0.ground.store.keep_recorded_file(recording, &finished).await?;
        Ok(finished)
    }

    /// Takes on a file that the database has never heard of: the server died in the moment in which it began.
    async fn adopt(&self, recording: RecordingId, file: FileId) -> Result<Option<RecordedFile>, NotYet> {
        let Some(Repaired { finished, label }) = repair(&self.local(recording, file)).await? else { return Ok(None) };
        let found = RecordedFile {
            file_id: file,
            kind: label.kind,
            user_id: None,
            nickname: None,
            state: FileState::Recording,
            interrupted: true,
            container: finished.container,
            starts_at_ms: label.starts_at_ms,
            duration_ms: None,
            size_bytes: None,
            sha256: None,
        };
        let found = closed(found, finished);
        self.0.ground.store.keep_recorded_file(recording, &found).await?;
        Ok(Some(found))
    }

    /// Brings a whole file to where files are kept; what has become of it.
    async fn bring(&self, recording: RecordingId, file: &RecordedFile) -> Result<FileState, NotYet> {
        let (key, path) = (Key::Recording(recording, file.file_id), self.local(recording, file.file_id));
        if tokio::fs::try_exists(&path).await? {
            self.0.ground.files.put_file(key, &path).await?;
            return Ok(FileState::Ready);
        }
        // The server died between bringing it and saying so.
        match self.0.ground.files.size(key).await {
            Ok(size) if i64::try_from(size).ok() == file.size_bytes => Ok(FileState::Ready),
            Ok(_) | Err(files::Error::Missing) => Ok(FileState::Failed),
            Err(error) => Err(error.into()),
        }
    }

    async fn bring_speakers(&self, recording: RecordingId, folder: &Path) -> Result<(), NotYet> {
        let path = folder.join(speakers::FILE);
        if tokio::fs::try_exists(&path).await? {
            let spans = tokio::fs::read(&path).await?;
            self.0.ground.files.put(Key::Speakers(recording), spans.into()).await?;
        }
        Ok(())
    }
}

/// Finishes a file; `None`: there is nothing in it, or nothing that can be saved.
async fn repair(path: &Path) -> Result<Option<Repaired>, NotYet> {
    if !tokio::fs::try_exists(path).await? {
        return Ok(None);
    }
    let owned = path.to_owned();
    let repaired = tokio::task::spawn_blocking(move || engine::repair(&owned)).await;
    match repaired.map_err(std::io::Error::other)? {
        Ok(repaired) => Ok(Some(repaired)),
        Err(RepairError::Empty) => {
            tokio::fs::remove_file(path).await?;
            Ok(None)
        }
        Err(RepairError::Io(error)) => Err(error.into()),
        Err(error @ RepairError::Damaged) => {
            // Beside the folder, which goes.
            let aside = path.with_extension("damaged");
            let aside =
                aside.file_name().zip(path.parent().and_then(Path::parent)).map(|(name, folder)| folder.join(name));
            tracing::error!(%error, ?aside, "a recorded file is damaged and is kept aside");
            if let Some(aside) = aside {
                tokio::fs::rename(path, aside).await?;
            }
            Ok(None)
        }
    }
}

/// Files in a recording's folder that the database does not know.
async fn orphans(folder: &Path, known: &[RecordedFile]) -> std::io::Result<Vec<FileId>> {
    let mut found = Vec::new();
    let mut entries = match tokio::fs::read_dir(folder).await {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(found),
        entries => entries?,
    };
    while let Some(entry) = entries.next_entry().await? {
        let path = PathBuf::from(entry.file_name());
        let id = path.file_stem().and_then(|stem| stem.to_str()).and_then(|stem| stem.parse::<FileId>().ok());
        let is_part = path.extension().is_some_and(|ending| ending == "part");
        found.extend(id.filter(|id| is_part && known.iter().all(|file| file.file_id != *id)));
    }
    Ok(found)
}

pub(super) async fn remove_folder(folder: &Path) -> std::io::Result<()> {
    match tokio::fs::remove_dir_all(folder).await {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}
