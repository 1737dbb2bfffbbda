//! Telling other programs what happens in rooms.

use serde::{Deserialize, Serialize};

use super::{DeliveryId, Fact, RoomId, Time, UserId, WebhookId};

/// What a webhook can be told of: all that has a place in a room's stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, utoipa::ToSchema)]
pub enum WebhookEvent {
    /// A message was written.
    #[serde(rename = "message.sent")]
    MessageSent,
    /// Its author changed a message.
    #[serde(rename = "message.edited")]
    MessageEdited,
    /// A message was taken back or away.
    #[serde(rename = "message.deleted")]
    MessageDeleted,
    /// Somebody reacted to a message, or took that back.
    #[serde(rename = "message.reacted")]
    MessageReacted,
    /// A message was pinned, or is no more.
    #[serde(rename = "message.pinned")]
    MessagePinned,
    /// Somebody voted in a poll, or took that back.
    #[serde(rename = "poll.voted")]
    PollVoted,
    /// A thread has more or fewer replies, or was locked or unlocked.
    #[serde(rename = "thread.changed")]
    ThreadChanged,
    /// Somebody has another role in the room.
    #[serde(rename = "member.role")]
    MemberRole,
    /// A member has no voice until then, or has one again.
    #[serde(rename = "member.muted")]
    MemberMuted,
    /// The room's settings are others, or it was archived.
    #[serde(rename = "room.updated")]
    RoomUpdated,
    /// The room is somebody else's.
    #[serde(rename = "room.owner")]
    RoomOwner,
}

impl WebhookEvent {
    /// All of them.
    pub const ALL: [WebhookEvent; 11] = [
        WebhookEvent::MessageSent,
        WebhookEvent::MessageEdited,
        WebhookEvent::MessageDeleted,
        WebhookEvent::MessageReacted,
        WebhookEvent::MessagePinned,
        WebhookEvent::PollVoted,
        WebhookEvent::ThreadChanged,
        WebhookEvent::MemberRole,
        WebhookEvent::MemberMuted,
        WebhookEvent::RoomUpdated,
        WebhookEvent::RoomOwner,
    ];

    /// The name that the database and the wire use.
    pub const fn as_str(self) -> &'static str {
        match self {
            WebhookEvent::MessageSent => "message.sent",
            WebhookEvent::MessageEdited => "message.edited",
            WebhookEvent::MessageDeleted => "message.deleted",
            WebhookEvent::MessageReacted => "message.reacted",
            WebhookEvent::MessagePinned => "message.pinned",
            WebhookEvent::PollVoted => "poll.voted",
            WebhookEvent::ThreadChanged => "thread.changed",
            WebhookEvent::MemberRole => "member.role",
            WebhookEvent::MemberMuted => "member.muted",
            WebhookEvent::RoomUpdated => "room.updated",
            WebhookEvent::RoomOwner => "room.owner",
        }
    }

    /// The event of that name.
    pub fn parse(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|it| it.as_str() == name)
    }

    /// What a fact is called here. `None`: it has no place in a stream.
    pub fn of(fact: &Fact) -> Option<Self> {
        Some(match fact {
            Fact::MessageSent(_) => Self::MessageSent,
            Fact::MessageEdited(_) => Self::MessageEdited,
            Fact::MessageDeleted { .. } => Self::MessageDeleted,
            Fact::MessageReacted { .. } => Self::MessageReacted,
            Fact::MessagePinned { .. } => Self::MessagePinned,
            Fact::PollVoted { .. } => Self::PollVoted,
            Fact::ThreadChanged { .. } => Self::ThreadChanged,
            Fact::MemberRole { .. } => Self::MemberRole,
            Fact::MemberMuted { .. } => Self::MemberMuted,
            Fact::RoomUpdated(_) => Self::RoomUpdated,
            Fact::RoomOwner { .. } => Self::RoomOwner,
            _ => return None,
        })
    }
}

/// Where events are sent to, as whoever keeps it sees it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Webhook {
    /// Which.
    pub id: WebhookId,
    /// Of which room; `None`: of all.
    pub room: Option<RoomId>,
    /// Who made it, or answers for it since.
    pub created_by: UserId,
    /// Where to.
    pub url: String,
    /// Which events, in the order of the list, each once.
    pub events: Vec<WebhookEvent>,
    /// Since when.
    pub created_at: Time,
    /// Since when nothing has arrived; `None`: what was sent last did.
    pub failing_since: Option<Time>,
    /// Since when nothing is sent any more.
    pub disabled: Option<Disabled>,
    /// Counts its changes.
    pub revision: u64,
}

/// Nothing is sent any more.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Disabled {
    /// Since when.
    pub at: Time,
    /// Why.
    pub reason: DisabledReason,
}

/// Why nothing is sent to a webhook any more.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[cfg_attr(test, derive(ts_rs::TS))]
#[serde(rename_all = "camelCase")]
pub enum DisabledReason {
    /// Whoever keeps it wanted that.
    Wanted,
    /// Nothing had arrived for days.
    Failing,
    /// The receiver says that it is gone (410).
    Gone,
    /// Whoever made it may keep it no more: the room is another's, or they were put out of it or of the site.
    Barred,
}

impl DisabledReason {
    /// The name that the database and the wire use.
    pub const fn as_str(self) -> &'static str {
        match self {
            DisabledReason::Wanted => "wanted",
            DisabledReason::Failing => "failing",
            DisabledReason::Gone => "gone",
            DisabledReason::Barred => "barred",
        }
    }

    /// The reason of that name.
    pub fn parse(name: &str) -> Option<Self> {
        [Self::Wanted, Self::Failing, Self::Gone, Self::Barred].into_iter().find(|it| it.as_str() == name)
    }
}

/// What became of an event that was given up.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "camelCase")]
pub enum DeliveryState {
    /// Nothing: it waits for a replay.
    Dead,
    /// It has arrived by a replay.
    Delivered,
}

impl DeliveryState {
    /// The name that the database and the wire use.
    pub const fn as_str(self) -> &'static str {
        match self {
            DeliveryState::Dead => "dead",
            DeliveryState::Delivered => "delivered",
        }
    }

    /// The state of that name.
    pub fn parse(name: &str) -> Option<Self> {
        [Self::Dead, Self::Delivered].into_iter().find(|it| it.as_str() == name)
    }
}

/// An event that was given up.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Delivery {
    /// Which.
    pub id: DeliveryId,
    /// Where it happened.
    pub room: RoomId,
    /// Its place in that room's stream.
    pub offset: u64,
    /// What happened.
    pub event: WebhookEvent,
    /// What became of it.
    pub state: DeliveryState,
    /// How often it was tried.
    pub attempts: u32,
    /// What the receiver answered last; `None`: nothing.
    pub status: Option<u16>,
    /// What went wrong last.
    pub error: Option<String>,
    /// When it was given up.
    pub created_at: Time,
    /// When it was tried last.
    pub updated_at: Time,
}
