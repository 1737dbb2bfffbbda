//! Frames of reading and of presence.

use serde::{Deserialize, Serialize};

use crate::domain::{MessageId, RoomId, presence::Status, reading::Receipt};

/// Data of `mark_read` and `mark_unread`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(test, derive(ts_rs::TS))]
#[serde(rename_all = "camelCase")]
pub struct MarkRead {
    /// Where.
    pub room_id: RoomId,
    /// Up to which message, or from which on.
    pub message_id: MessageId,
}

/// Data of the client's `presence`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(test, derive(ts_rs::TS))]
pub struct ShowPresence {
    /// What this device shows from now on.
    pub status: Status,
}

/// Data of `receipts`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(test, derive(ts_rs::TS))]
pub struct Receipts {
    /// Who has read further.
    pub receipts: Vec<Receipt>,
}
