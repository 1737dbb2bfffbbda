//! Messages.

use serde::{Deserialize, Serialize};

use super::{MessageId, RoomId, Time, UserId};

/// A message as everybody in its room sees it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[cfg_attr(test, derive(ts_rs::TS))]
#[serde(rename_all = "camelCase")]
pub struct Message {
    /// Which.
    pub id: MessageId,
    /// Where.
    pub room_id: RoomId,
    /// Who wrote it, by the name they had.
    pub sender: Author,
    /// The sender's own name for it, unique for a sender in a room.
    pub client_id: String,
    /// What it says; empty once deleted.
    pub content: Content,
    /// The message of the same room that it answers.
    pub reply_to: Option<MessageId>,
    /// When it was written.
    pub created_at: Time,
    /// When its author last changed it.
    pub edited_at: Option<Time>,
    /// Whether it was taken back or away.
    pub deleted: bool,
}

/// Who wrote a message.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[cfg_attr(test, derive(ts_rs::TS))]
pub struct Author {
    /// Who.
    pub id: UserId,
    /// The name they had then.
    pub nickname: String,
}

/// What a message says.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[cfg_attr(test, derive(ts_rs::TS))]
pub struct Content {
    /// Text as written, after Unicode NFC. Never HTML.
    pub text: String,
}

impl Message {
    /// The message as it looks once deleted: its place stays, its text is gone.
    #[must_use]
    pub fn emptied(mut self) -> Self {
        self.content = Content::default();
        self.deleted = true;
        self
    }
}
