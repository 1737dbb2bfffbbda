//! Deleting what is due: the rows that say so are the queue, and go last.

use std::time::Duration;

use super::Attachments;
use crate::domain::{FileId, Time};
use crate::files::{self, Key};
use crate::store;

/// The longest time between two sweeps.
const SWEEP_EVERY: Duration = Duration::from_secs(600);
/// Files of one step, so that a large deletion does not hold anything for long.
const STEP: u32 = 100;

/// Why a file is not deleted yet.
#[derive(Debug, thiserror::Error)]
pub(super) enum NotYet {
    #[error(transparent)]
    Store(#[from] store::Error),
    #[error("the files cannot be reached: {0}")]
    Files(#[from] files::Error),
}

impl Attachments {
    /// Deletes what is due, whenever something is new and every now and then.
    pub(super) async fn sweep(self) {
        loop {
            let pause = match self.sweep_once().await {
                Ok(true) => SWEEP_EVERY.min(self.retry().max(Duration::from_secs(60))),
                Ok(false) => self.retry(),
                Err(error) => {
                    tracing::error!(%error, "files that are to be deleted cannot be looked for");
                    self.retry()
                }
            };
            tokio::select! {
                () = self.0.doomed.notified() => {}
                () = tokio::time::sleep(pause) => {}
            }
        }
    }

    /// Deletes what is due now. `false`: something could not be deleted.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn sweep_once(&self) -> Result<bool, store::Error> {
        let store = &self.0.ground.store;
        store.doom_due_attachments(Time::now()).await?;
        let (mut after, mut is_done) = (None, true);
        loop {
            let doomed = store.doomed_attachments(after, STEP).await?;
            let Some(last) = doomed.last().copied() else { break };
            for id in doomed {
                if let Err(error) = self.delete_all_of(id).await {
                    tracing::warn!(file = %id, %error, "a file waits to be deleted");
                    is_done = false;
                }
            }
            after = Some(last);
        }
        for id in store.leftover_pieces(STEP).await? {
            is_done &= self.delete_pieces(id).await.is_ok();
        }
        Ok(is_done)
    }

    async fn delete_all_of(&self, id: FileId) -> Result<(), NotYet> {
        let files = &self.0.ground.files;
        self.delete_pieces(id).await?;
        files.delete(Key::Thumbnail(id)).await?;
        files.delete(Key::Attachment(id)).await?;
        Ok(self.0.ground.store.forget_attachment(id).await?)
    }

    pub(super) async fn delete_pieces(&self, id: FileId) -> Result<(), NotYet> {
        let (store, files) = (&self.0.ground.store, &self.0.ground.files);
        for (piece, ..) in store.pieces(id).await? {
            files.delete(Key::Piece(id, piece)).await?;
            store.forget_piece(piece).await?;
        }
        Ok(())
    }
}
