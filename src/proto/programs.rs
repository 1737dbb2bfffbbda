//! What programs act by, and are told by: in the server's frames.

use serde::{Deserialize, Serialize};

use crate::domain::{WebhookId, webhook::DisabledReason};

/// Data of `webhook_disabled`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(test, derive(ts_rs::TS))]
#[serde(rename_all = "camelCase")]
pub struct WebhookDisabled {
    /// Which; without `roomId` beside it, it is for all rooms.
    pub webhook_id: WebhookId,
    /// Why.
    pub reason: DisabledReason,
}
