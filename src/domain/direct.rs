//! Direct messages: rooms of two or a few people, which nobody else finds.

use std::{fmt, str::FromStr};

use serde::{Deserialize, Deserializer, Serialize, de};

use super::{Message, Room, RoomId, RoomKind, Time, UserId};

/// Messages that can be written in a direct room before anybody else has accepted it.
pub const REQUEST_MESSAGES: u32 = 5;

/// From whom somebody takes direct messages.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "camelCase")]
pub enum DirectFrom {
    /// From everybody; from strangers as a request.
    #[default]
    Everyone,
    /// From those with whom they share a room.
    SharesRoom,
    /// From nobody who has not written with them before.
    Nobody,
}

/// What somebody is to a direct room.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum DirectStanding {
    /// They take part.
    Accepted,
    /// They have been asked to and have not answered.
    Pending,
    /// They said no. Nobody else learns of it.
    Declined,
    /// They left a group.
    Left,
}

/// Somebody in a direct room.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[cfg_attr(test, derive(ts_rs::TS))]
#[serde(rename_all = "camelCase")]
pub struct DirectPerson {
    /// Who.
    pub user_id: UserId,
    /// The name they chose.
    pub nickname: String,
    /// Whether they take part; until then they have been asked to.
    pub accepted: bool,
}

/// A direct room as one of its people sees it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[cfg_attr(test, derive(ts_rs::TS))]
#[serde(rename_all = "camelCase")]
pub struct Direct {
    /// The room.
    pub room: Room,
    /// Everybody in it, oneself too, by name.
    pub people: Vec<DirectPerson>,
    /// Whether it is a request that one has not answered.
    pub request: bool,
    /// What was written last.
    pub last_message: Option<Message>,
    /// When something was written last, or the room was made.
    pub stirred_at: Time,
}

/// Data of `dm_message`: somebody wrote in a direct room. It is told to all that concern it, wherever they are; the message itself
/// comes to whoever is in the room by its stream.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(ts_rs::TS))]
#[serde(rename_all = "camelCase")]
pub struct DirectMessage {
    /// Where.
    pub room_id: RoomId,
    /// A conversation of two, or a group.
    pub kind: RoomKind,
    /// Whether it is a request that one has not answered.
    pub request: bool,
    /// What was written.
    pub message: Message,
}

/// A message request.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct DirectRequest {
    /// The room.
    pub room: Room,
    /// Who asks.
    pub from: UserId,
    /// Everybody in it.
    pub people: Vec<DirectPerson>,
    /// What they have written so far, newest first.
    pub messages: Vec<Message>,
    /// When something was written last, or the request was made.
    pub stirred_at: Time,
}

/// A direct room in somebody's list, and when it was stirred last: its place in the list.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Stirred {
    /// When something was written last, or the room was made.
    pub at: Time,
    /// Which.
    pub room: RoomId,
}

impl fmt::Display for Stirred {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.at.as_ms(), self.room)
    }
}

impl FromStr for Stirred {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let parse = || {
            let (at, room) = text.split_once('.')?;
            Some(Self { at: Time::from_ms(at.parse().ok()?), room: room.parse().ok()? })
        };
        parse().ok_or("this is no place in the list")
    }
}

impl<'de> Deserialize<'de> for Stirred {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(de::Error::custom)
    }
}

impl DirectFrom {
    /// The name that the database and the wire use.
    pub const fn as_str(self) -> &'static str {
        match self {
            DirectFrom::Everyone => "everyone",
            DirectFrom::SharesRoom => "sharesRoom",
            DirectFrom::Nobody => "nobody",
        }
    }

    /// The setting of that name.
    pub fn parse(name: &str) -> Option<Self> {
        [DirectFrom::Everyone, DirectFrom::SharesRoom, DirectFrom::Nobody].into_iter().find(|it| it.as_str() == name)
    }
}

impl DirectStanding {
    /// The name that the database uses.
    pub const fn as_str(self) -> &'static str {
        match self {
            DirectStanding::Accepted => "accepted",
            DirectStanding::Pending => "pending",
            DirectStanding::Declined => "declined",
            DirectStanding::Left => "left",
        }
    }

    /// The standing of that name.
    pub fn parse(name: &str) -> Option<Self> {
        use DirectStanding::{Accepted, Declined, Left, Pending};
        [Accepted, Pending, Declined, Left].into_iter().find(|it| it.as_str() == name)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_come_back() {
        let place = Stirred { at: Time::from_ms(1_700_000_000_123), room: RoomId::from(7) };
        assert_eq!(place.to_string().parse(), Ok(place));
        for garbage in ["", ".", "7", "x.y", "1.2"] {
            assert!(garbage.parse::<Stirred>().is_err(), "{garbage}");
        }
    }

    #[test]
    fn names_come_back() {
        use DirectStanding::{Accepted, Declined, Left, Pending};
        for standing in [Accepted, Pending, Declined, Left] {
            assert_eq!(DirectStanding::parse(standing.as_str()), Some(standing));
        }
        for from in [DirectFrom::Everyone, DirectFrom::SharesRoom, DirectFrom::Nobody] {
            assert_eq!(DirectFrom::parse(from.as_str()), Some(from));
            assert_eq!(serde_json::to_string(&from).unwrap(), format!("\"{}\"", from.as_str()));
        }
    }
}
