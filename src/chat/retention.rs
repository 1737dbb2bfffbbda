//! Messages that their rooms keep no longer, by what the owners have settled.

use std::time::Duration;

use super::Chat;
use crate::domain::{Refusal, RoomId, Time};

/// How often it is looked for them. Retention counts in days, so nobody misses minutes.
const SWEEP_EVERY: Duration = Duration::from_secs(600);
/// Rooms that are looked up in one go.
const ROOMS: u32 = 100;
/// Messages that are deleted in one go: few enough that what people write meanwhile does not wait.
const BATCH: u32 = 100;
/// Steps in which the index of words forgets those of what is gone, of 400 KB each: 32 MB in ten minutes, so that an index of a gigabyte
/// has forgotten them within six hours, and a usual one at once.
const MERGES: u32 = 80;

impl Chat {
    /// Deletes what rooms keep no longer, for as long as the server runs.
    pub async fn keep_retention(self) {
        loop {
            tokio::time::sleep(SWEEP_EVERY).await;
            match self.forget_stale(Time::now()).await {
                Ok(0) => {}
                Ok(count) => tracing::info!(count, "messages were deleted that their rooms keep no longer"),
                Err(refusal) => {
                    tracing::warn!(why = ?refusal, "messages that rooms keep no longer could not be deleted");
                }
            }
        }
    }

    /// Deletes each message that its room keeps no longer at that time, with its files, what it said before and where it is found; and
    /// the words of whatever was deleted otherwise. How many were there. A room whose messages cannot be deleted keeps those of others
    /// from nothing.
    ///
    /// # Errors
    /// `internal`.
    pub async fn forget_stale(&self, now: Time) -> Result<u64, Refusal> {
        let count = self.forget_in_all(now).await?;
        self.0.store.forget_some_words(MERGES).await?;
        Ok(count)
    }

    async fn forget_in_all(&self, now: Time) -> Result<u64, Refusal> {
        let (mut after, mut count) = (None, 0);
        loop {
            let rooms = self.0.store.forgetful_rooms(after, ROOMS).await?;
            let Some((last, _)) = rooms.last() else { return Ok(count) };
            after = Some(*last);
            for (room, span) in rooms {
                let span_ms = i64::try_from(span.as_millis()).unwrap_or(i64::MAX);
                let before = Time::from_ms(now.as_ms().saturating_sub(span_ms));
                match self.forget_before(room, before).await {
                    Ok(gone) => count += gone,
                    Err(refusal) => tracing::warn!(%room, why = ?refusal, "a room's old messages could not be deleted"),
                }
            }
        }
    }

    async fn forget_before(&self, room: RoomId, before: Time) -> Result<u64, Refusal> {
        let mut count = 0;
        loop {
            let stale = self.0.store.stale_messages(room, before, BATCH).await?;
            let Some(last) = stale.last() else { return Ok(count) };
            for it in &stale {
                match self.0.store.expire_message(room, it.message, it.sender).await {
                    Ok(_) => count += 1,
                    // The room may have been deleted meanwhile.
                    Err(Refusal::NotFound) => {}
                    Err(refusal) => return Err(refusal),
                }
            }
            self.0.store.keep_swept(room, last.offset).await?;
        }
    }
}
