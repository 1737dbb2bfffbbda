//! Messages that go by themselves, at the time that their senders have settled.

use std::time::Duration;

use super::Chat;
use crate::domain::{Refusal, Time};

/// Messages that are deleted in one go: few enough that what people write meanwhile does not wait.
const BATCH: u32 = 100;
/// How long nobody looks, if nothing is due before: another node may have taken a message and be gone.
const LOOK_EVERY: Duration = Duration::from_secs(30);
/// How long to wait when the database does not answer.
const AFTER_FAILURE: Duration = Duration::from_secs(1);

impl Chat {
    /// Deletes each message whose time is over, for as long as the server runs. What became due before it began goes first.
    pub async fn keep_time(self) {
        loop {
            let wait = match self.expire().await {
                Ok(wait) => wait,
                Err(refusal) => {
                    tracing::warn!(why = ?refusal, "messages whose time is over could not be deleted");
                    AFTER_FAILURE
                }
            };
            tokio::select! {
                () = tokio::time::sleep(wait) => {}
                () = self.0.expiring.notified() => {}
            }
        }
    }

    /// Deletes what is due, and says when to look again.
    async fn expire(&self) -> Result<Duration, Refusal> {
        let due = self.0.store.expired_messages(Time::now(), BATCH).await?;
        let mut failed = None;
        for (room, message, sender) in &due {
            match self.0.store.expire_message(*room, *message, *sender).await {
                // Its room may have been closed meanwhile.
                Ok(_) | Err(Refusal::NotFound) => {}
                Err(refusal) => failed = Some(refusal),
            }
        }
        if let Some(refusal) = failed {
            return Err(refusal);
        }
        let Some(next) = self.0.store.next_expiry().await? else { return Ok(LOOK_EVERY) };
        // A clock that is read a moment too early must not make it spin.
        let left_ms = u64::try_from(next.as_ms() - Time::now().as_ms()).unwrap_or(0).saturating_add(1);
        Ok(Duration::from_millis(left_ms).min(LOOK_EVERY))
    }
}
