use serde::{Deserialize, Serialize};

use crate::domain::{
    Message, MessageId, RoomId, Time, UserId,
    message::{Forward, NewContent, Thread},
};

/// Data of `send_message`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(test, derive(ts_rs::TS))]
#[serde(rename_all = "camelCase")]
pub struct SendMessage {
    /// Where.
    pub room_id: RoomId,
    /// The client's own name for the message.
    pub client_id: String,
    /// What it says; empty when it says another one again.
    #[serde(default)]
    pub content: NewContent,
    /// The message that it answers.
    #[serde(default)]
    #[cfg_attr(test, ts(optional = nullable))]
    pub reply_to: Option<MessageId>,
    /// The message that it says again, in the place of a content of its own.
    #[serde(default)]
    #[cfg_attr(test, ts(optional = nullable))]
    pub forward: Option<Forward>,
    /// After how many seconds the server deletes it, 5 to 2,592,000.
    #[serde(default)]
    #[cfg_attr(test, ts(optional = nullable))]
    pub expires_in_s: Option<u32>,
}

/// Data of `edit_message`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(test, derive(ts_rs::TS))]
#[serde(rename_all = "camelCase")]
pub struct EditMessage {
    /// Where.
    pub room_id: RoomId,
    /// Which.
    pub message_id: MessageId,
    /// What it says from now on.
    pub content: NewContent,
}

/// Data of `delete_message`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(test, derive(ts_rs::TS))]
#[serde(rename_all = "camelCase")]
pub struct DeleteMessage {
    /// Where.
    pub room_id: RoomId,
    /// Which.
    pub message_id: MessageId,
}

/// Data of `react`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(test, derive(ts_rs::TS))]
#[serde(rename_all = "camelCase")]
pub struct React {
    /// Where.
    pub room_id: RoomId,
    /// To which message.
    pub message_id: MessageId,
    /// With what.
    pub emoji: String,
    /// Whether one does, or takes it back.
    pub on: bool,
}

/// Data of `vote`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(test, derive(ts_rs::TS))]
#[serde(rename_all = "camelCase")]
pub struct Vote {
    /// Where.
    pub room_id: RoomId,
    /// The message that asks.
    pub message_id: MessageId,
    /// Which answers, counted from 0; none takes a vote back.
    pub options: Vec<u32>,
}

/// Data of `pin_message`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(test, derive(ts_rs::TS))]
#[serde(rename_all = "camelCase")]
pub struct PinMessage {
    /// Where.
    pub room_id: RoomId,
    /// Which.
    pub message_id: MessageId,
    /// Pinned from now on, or no more.
    pub pinned: bool,
}

/// Data of `lock_thread`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(test, derive(ts_rs::TS))]
#[serde(rename_all = "camelCase")]
pub struct LockThread {
    /// Where.
    pub room_id: RoomId,
    /// The message with which the thread begins.
    pub message_id: MessageId,
    /// Locked from now on, or no more.
    pub locked: bool,
}

/// Data of `reaction`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(test, derive(ts_rs::TS))]
#[serde(rename_all = "camelCase")]
pub struct Reaction {
    /// To which message.
    pub message_id: MessageId,
    /// With what.
    pub emoji: String,
    /// Who.
    pub user_id: UserId,
    /// Whether they did, or took it back.
    pub added: bool,
    /// How many react so now.
    pub count: u32,
}

/// Data of `message_pinned`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(test, derive(ts_rs::TS))]
#[serde(rename_all = "camelCase")]
pub struct MessagePinned {
    /// Which.
    pub message_id: MessageId,
    /// Since when; `null`: no more.
    pub pinned_at: Option<Time>,
    /// By whom.
    pub by: UserId,
}

/// Data of `poll_voted`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(test, derive(ts_rs::TS))]
#[serde(rename_all = "camelCase")]
pub struct PollVoted {
    /// The message that asks.
    pub message_id: MessageId,
    /// How many chose each answer now, in their order.
    pub votes: Vec<u32>,
    /// How many have voted.
    pub voters: u32,
}

/// Data of `thread_changed`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(test, derive(ts_rs::TS))]
#[serde(rename_all = "camelCase")]
pub struct ThreadChanged {
    /// The message with which it begins.
    pub message_id: MessageId,
    /// The thread as it is now; `null`: there is none any more.
    pub thread: Option<Thread>,
}

/// Data of `new_message` and `message_edited`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(test, derive(ts_rs::TS))]
pub struct MessageBody {
    /// The message.
    pub message: Message,
}

/// Data of `message_deleted`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(test, derive(ts_rs::TS))]
#[serde(rename_all = "camelCase")]
pub struct Deleted {
    /// Which.
    pub message_id: MessageId,
    /// By whom.
    pub by: UserId,
}
