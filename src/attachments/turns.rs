//! Who writes to an upload on this node: one at a time, and the newest wins. A client that comes back must not wait for the
//! connection that it has lost.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::sync::OwnedMutexGuard;
use tokio_util::sync::CancellationToken;

use crate::domain::{FileId, Refusal};

/// How long whoever wrote before has to put away what it holds.
const PATIENCE: Duration = Duration::from_secs(10);

#[derive(Clone, Default)]
pub(super) struct Turns(Arc<Mutex<HashMap<FileId, Writer>>>);

struct Writer {
    /// Whose turn is over when it is cancelled.
    over: CancellationToken,
    lock: Arc<tokio::sync::Mutex<()>>,
    /// Those who have it or wait for it.
    holders: usize,
}

/// The right to write to an upload.
pub(super) struct Turn {
    /// Somebody else wants it.
    pub(super) over: CancellationToken,
    _lock: OwnedMutexGuard<()>,
    _place: Place,
}

/// Counts one who has a turn or waits for it.
struct Place {
    turns: Turns,
    upload: FileId,
}

impl Turns {
    /// Waits for one's turn.
    ///
    /// # Errors
    /// `conflict`: whoever writes does not end.
    pub(super) async fn take(&self, upload: FileId) -> Result<Turn, Refusal> {
        let (over, lock, place) = {
            let mut writers = self.0.lock().unwrap_or_else(PoisonError::into_inner);
            let writer = writers.entry(upload).or_insert_with(|| Writer {
                over: CancellationToken::new(),
                lock: Arc::default(),
                holders: 0,
            });
            writer.over.cancel();
            writer.over = CancellationToken::new();
            writer.holders += 1;
            (writer.over.clone(), writer.lock.clone(), Place { turns: self.clone(), upload })
        };
        let lock = tokio::time::timeout(PATIENCE, lock.lock_owned()).await;
        let lock = lock.map_err(|_| Refusal::Taken("Somebody else writes to this upload."))?;
        Ok(Turn { over, _lock: lock, _place: place })
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut writers = self.turns.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(writer) = writers.get_mut(&self.upload) {
            writer.holders -= 1;
            if writer.holders == 0 {
                writers.remove(&self.upload);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn the_newest_wins_and_nothing_stays() {
        let (turns, upload) = (Turns::default(), FileId::new());
        let first = turns.take(upload).await.unwrap();
        let second = tokio::spawn({
            let turns = turns.clone();
            async move { turns.take(upload).await.unwrap() }
        });
        first.over.cancelled().await;
        assert!(!second.is_finished(), "it waits until the first has put away what it holds");
        drop(first);
        let second = second.await.unwrap();
        assert!(!second.over.is_cancelled());
        drop(second);
        assert!(turns.0.lock().unwrap().is_empty());
    }
}
