//! Rooms and who is in them.

use serde::{Deserialize, Serialize};

use super::{Event, Message, Position, Role, RoomId, Rules, Settings, Time, UserId, call::Call, reading::Unread};

/// A room as anybody who may see it sees it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[cfg_attr(test, derive(ts_rs::TS))]
#[serde(rename_all = "camelCase")]
pub struct Room {
    /// Which.
    pub id: RoomId,
    /// What it is for.
    pub kind: RoomKind,
    /// Its name, up to 100 characters.
    pub name: String,
    /// Who finds it and who may come in.
    pub visibility: Visibility,
    /// Its name in addresses, unique on this server; small letters, digits and `-`.
    #[schema(required)]
    pub slug: Option<String>,
    /// How many people may be inside at once.
    pub max_participants: u32,
    /// Since when.
    pub created_at: Time,
    /// Since when it is put away: it is read only and in no list.
    #[schema(required)]
    pub archived_at: Option<Time>,
    /// Grows with every change of what stands here: the `ETag` of the room.
    pub revision: u32,
    /// What its owners have settled.
    pub settings: Settings,
}

/// What a room is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, utoipa::ToSchema)]
#[cfg_attr(test, derive(ts_rs::TS))]
#[serde(rename_all = "camelCase")]
pub enum RoomKind {
    /// Two people write to each other.
    Dm,
    /// A few people write to each other.
    GroupDm,
    /// People write to each other.
    Group,
    /// People discuss.
    Forum,
    /// A few write, many read.
    Broadcast,
    /// A stream that its hosts publish and everybody else watches, and the chat beside it.
    Live,
    /// Two strangers whom the server put together.
    Match,
    /// A group call with its chat.
    Call,
}

/// Who finds a room and who may come in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, utoipa::ToSchema)]
#[cfg_attr(test, derive(ts_rs::TS))]
#[serde(rename_all = "camelCase")]
pub enum Visibility {
    /// Listed; anybody may join.
    Public,
    /// Found and joined by invitation only.
    Private,
    /// Not listed; whoever has the link may join.
    Unlisted,
}

/// Somebody who is in a room now.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[cfg_attr(test, derive(ts_rs::TS))]
#[serde(rename_all = "camelCase")]
pub struct Member {
    /// Who.
    pub user_id: UserId,
    /// The name they chose.
    pub nickname: String,
    /// What they may do in this room.
    pub role: Role,
}

/// Why somebody is no longer in a room or call.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(ts_rs::TS))]
#[serde(rename_all = "snake_case")]
pub enum LeftReason {
    /// They left.
    Left,
    /// Their socket was lost and the seat was kept in vain.
    Lost,
    /// A moderator removed them.
    Removed,
}

/// A room as somebody finds it who comes in.
#[derive(Clone, Debug, PartialEq)]
pub struct Entered {
    /// The room.
    pub room: Room,
    /// What they are in it.
    pub role: Role,
    /// Who is there, up to 100 of them.
    pub members: Vec<Member>,
    /// How many are there.
    pub online: u32,
    /// The room's call, if it has one.
    pub call: Option<Call>,
    /// Up to where `messages` and `missed` go.
    pub position: Position,
    /// Whether `missed` is all that they missed; `None` when they did not say what they know.
    pub recovered: Option<bool>,
    /// The last messages, oldest first; empty when recovered.
    pub messages: Vec<Message>,
    /// The events that they missed, in order.
    pub missed: Vec<Event>,
    /// What concerns them alone and is to be told after that.
    pub then: Vec<Event>,
    /// What they have not read; `None` where nothing is kept of that.
    pub unread: Option<Unread>,
    /// Which of this person's stays it is: stays are numbered in the order of arrival, over all rooms.
    pub stay: u64,
}

impl Room {
    /// A room as it begins, with the settings of its kind.
    pub fn new(kind: RoomKind, name: String, visibility: Visibility, max_participants: u32) -> Self {
        Self {
            id: RoomId::new(),
            kind,
            name,
            visibility,
            slug: None,
            max_participants,
            created_at: Time::now(),
            archived_at: None,
            revision: 1,
            settings: Settings::of(kind),
        }
    }

    /// What its call and its chat go by.
    pub fn rules(&self) -> Rules {
        let Settings { slow_mode_s, min_trust_to_post, permits, .. } = self.settings;
        Rules { slow_mode_s, min_trust_to_post, permits, archived: self.archived_at.is_some() }
    }
}

impl RoomKind {
    /// Every kind, for whoever lists or parses them.
    pub const ALL: [RoomKind; 8] = [
        RoomKind::Dm,
        RoomKind::GroupDm,
        RoomKind::Group,
        RoomKind::Forum,
        RoomKind::Broadcast,
        RoomKind::Live,
        RoomKind::Match,
        RoomKind::Call,
    ];

    /// The name that the database and the wire use.
    pub const fn as_str(self) -> &'static str {
        match self {
            RoomKind::Dm => "dm",
            RoomKind::GroupDm => "groupDm",
            RoomKind::Group => "group",
            RoomKind::Forum => "forum",
            RoomKind::Broadcast => "broadcast",
            RoomKind::Live => "live",
            RoomKind::Match => "match",
            RoomKind::Call => "call",
        }
    }

    /// The kind of that name.
    pub fn parse(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.as_str() == name)
    }

    /// Whether people make rooms of this kind themselves.
    pub const fn is_made_by_people(self) -> bool {
        matches!(self, RoomKind::Group | RoomKind::Forum | RoomKind::Broadcast | RoomKind::Live | RoomKind::Call)
    }

    /// Whether who joined belongs to it also while they are elsewhere, and may have to ask or know a word to get in.
    pub const fn has_lasting_members(self) -> bool {
        matches!(self, RoomKind::Group | RoomKind::Forum | RoomKind::Broadcast)
    }

    /// Whether people are members of such a room for long, and look there for what has happened: messages of the server tell it.
    pub const fn is_lived_in(self) -> bool {
        matches!(self, RoomKind::Dm | RoomKind::GroupDm | RoomKind::Group | RoomKind::Forum)
    }

    /// Whether such a room has a call.
    pub const fn has_calls(self) -> bool {
        matches!(self, RoomKind::Call | RoomKind::Live | RoomKind::Match) || self.rings()
    }

    /// Whether its members ring each other to come into its call.
    pub const fn rings(self) -> bool {
        matches!(self, RoomKind::Dm | RoomKind::GroupDm | RoomKind::Group | RoomKind::Call)
    }

    /// Whether it is made by writing to somebody, and nobody else finds it.
    pub const fn is_direct(self) -> bool {
        matches!(self, RoomKind::Dm | RoomKind::GroupDm)
    }

    /// Whether programs may publish and watch there by HTTP.
    pub const fn takes_streams(self) -> bool {
        matches!(self, RoomKind::Call | RoomKind::Live)
    }

    /// Whether its hosts publish and everybody else watches: watchers are many, so they are counted and not named.
    pub const fn is_for_an_audience(self) -> bool {
        matches!(self, RoomKind::Live)
    }

    /// The longest message, in Unicode scalars after NFC.
    pub const fn message_limit(self) -> usize {
        match self {
            RoomKind::Match | RoomKind::Live => 1_000,
            RoomKind::Dm | RoomKind::GroupDm | RoomKind::Group | RoomKind::Forum | RoomKind::Call => 4_000,
            RoomKind::Broadcast => 10_000,
        }
    }
}

impl Visibility {
    /// The name that the database and the wire use.
    pub const fn as_str(self) -> &'static str {
        match self {
            Visibility::Public => "public",
            Visibility::Private => "private",
            Visibility::Unlisted => "unlisted",
        }
    }

    /// The visibility of that name.
    pub fn parse(name: &str) -> Option<Self> {
        [Visibility::Public, Visibility::Private, Visibility::Unlisted].into_iter().find(|it| it.as_str() == name)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_those_of_the_wire() {
        for kind in RoomKind::ALL {
            assert_eq!(serde_json::to_string(&kind).unwrap(), format!("\"{}\"", kind.as_str()));
            assert_eq!(RoomKind::parse(kind.as_str()), Some(kind));
        }
        for visibility in [Visibility::Public, Visibility::Private, Visibility::Unlisted] {
            assert_eq!(serde_json::to_string(&visibility).unwrap(), format!("\"{}\"", visibility.as_str()));
            assert_eq!(Visibility::parse(visibility.as_str()), Some(visibility));
        }
    }
}
