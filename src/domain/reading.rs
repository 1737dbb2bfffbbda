//! How far people have read, and how they want to hear of the rest.

use serde::{Deserialize, Serialize};

use super::{MessageId, RoomId, Time, UserId};

/// What somebody has not read in a room, and how they want to hear of it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[cfg_attr(test, derive(ts_rs::TS))]
#[serde(rename_all = "camelCase")]
pub struct Unread {
    /// Where.
    pub room_id: RoomId,
    /// Messages of others that they have not read, counted among the newest 1,000.
    pub unread: u32,
    /// Those of them that mention this person, or everybody in the room.
    pub mentions: u32,
    /// The last message that they have read; `null`: none since they joined.
    pub read_up_to: Option<MessageId>,
    /// What they want to be told of.
    pub level: NotifyLevel,
    /// Until when they want to be told of nothing; `null`: not muted.
    pub muted_until: Option<Time>,
}

/// What somebody wants to be told of in a room.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize, utoipa::ToSchema)]
#[cfg_attr(test, derive(ts_rs::TS))]
#[serde(rename_all = "camelCase")]
pub enum NotifyLevel {
    /// Every message.
    #[default]
    All,
    /// Messages that mention them.
    Mentions,
    /// Nothing.
    None,
}

/// Up to where somebody has read, for others.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[cfg_attr(test, derive(ts_rs::TS))]
#[serde(rename_all = "camelCase")]
pub struct Receipt {
    /// Who.
    pub user_id: UserId,
    /// The last message that they have read.
    pub message_id: MessageId,
    /// When they said so.
    pub at: Time,
}

impl NotifyLevel {
    /// Every level, for whoever lists or parses them.
    pub const ALL: [NotifyLevel; 3] = [NotifyLevel::All, NotifyLevel::Mentions, NotifyLevel::None];

    /// The name that the database and the wire use.
    pub const fn as_str(self) -> &'static str {
        match self {
            NotifyLevel::All => "all",
            NotifyLevel::Mentions => "mentions",
            NotifyLevel::None => "none",
        }
    }

    /// The level of that name.
    pub fn parse(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|it| it.as_str() == name)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_those_of_the_wire() {
        for level in NotifyLevel::ALL {
            assert_eq!(serde_json::to_string(&level).unwrap(), format!("\"{}\"", level.as_str()));
            assert_eq!(NotifyLevel::parse(level.as_str()), Some(level));
        }
    }
}
