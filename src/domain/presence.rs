//! Whether people are there, and as what they want to be seen.

use serde::{Deserialize, Serialize};

use super::{NodeId, Time, UserId};

/// As what somebody wants to be seen.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, utoipa::ToSchema,
)]
#[cfg_attr(test, derive(ts_rs::TS))]
#[serde(rename_all = "camelCase")]
pub enum Status {
    /// There, but not looking. Of several devices the most present one counts, so this is the least.
    Away,
    /// There, and not to be disturbed.
    Busy,
    /// There.
    #[default]
    Online,
    /// There, and nobody is to know. One such device hides them all.
    Invisible,
}

/// What others see of somebody.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, utoipa::ToSchema)]
#[cfg_attr(test, derive(ts_rs::TS))]
#[serde(rename_all = "camelCase")]
#[schema(as = SeenStatus)]
pub enum Seen {
    /// Not there, or invisible.
    Offline,
    /// There, but not looking.
    Away,
    /// There, and not to be disturbed.
    Busy,
    /// There.
    Online,
}

/// Somebody as others see them.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[cfg_attr(test, derive(ts_rs::TS))]
#[serde(rename_all = "camelCase")]
#[schema(as = ShownPresence)]
pub struct Shown {
    /// Who.
    pub user_id: UserId,
    /// As what.
    pub status: Seen,
    /// What they say of themselves; `null`: nothing, or they are not seen.
    pub text: Option<String>,
    /// Until when they say so; `null`: until they say otherwise.
    pub text_until: Option<Time>,
    /// When they were last there; `null`: they are, or it is not known.
    pub last_seen: Option<LastSeen>,
}

/// When somebody was last there. Coarse on purpose: nobody's day is to be followed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, utoipa::ToSchema)]
#[cfg_attr(test, derive(ts_rs::TS))]
#[serde(rename_all = "camelCase")]
pub enum LastSeen {
    /// On this day or the one before, in UTC.
    Recently,
    /// Within seven days.
    ThisWeek,
    /// Within thirty days.
    ThisMonth,
    /// Earlier.
    LongAgo,
}

/// What somebody wants to be seen as, wherever they come from.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[cfg_attr(test, derive(ts_rs::TS))]
#[serde(rename_all = "camelCase")]
pub struct Wish {
    /// As what. `online` leaves it to their devices.
    pub status: Status,
    /// What they say of themselves.
    pub text: Option<String>,
    /// Until when they say so.
    pub text_until: Option<Time>,
}

/// What one node says of one person: what their devices there come to. Later ones of the same node replace earlier ones.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Announcement {
    /// When it was said, by that node's clock.
    pub at: Time,
    /// Whether they are there, and as what. `None`: the last device has gone.
    pub status: Option<Status>,
    /// Which node.
    pub node: NodeId,
    /// Who.
    pub user: UserId,
}

impl Status {
    /// Every status, for whoever lists or parses them.
    pub const ALL: [Status; 4] = [Status::Away, Status::Busy, Status::Online, Status::Invisible];

    /// The name that the database and the wire use.
    pub const fn as_str(self) -> &'static str {
        match self {
            Status::Away => "away",
            Status::Busy => "busy",
            Status::Online => "online",
            Status::Invisible => "invisible",
        }
    }

    /// The status of that name.
    pub fn parse(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|it| it.as_str() == name)
    }

    /// What others see.
    pub const fn seen(self) -> Seen {
        match self {
            Status::Away => Seen::Away,
            Status::Busy => Seen::Busy,
            Status::Online => Seen::Online,
            Status::Invisible => Seen::Offline,
        }
    }
}

impl Shown {
    /// Somebody of whom nothing is seen.
    pub const fn nothing(user: UserId) -> Self {
        Self { user_id: user, status: Seen::Offline, text: None, text_until: None, last_seen: None }
    }
}

impl LastSeen {
    /// How long ago that was.
    pub fn of(at: Time, now: Time) -> Self {
        const DAY_MS: i64 = 24 * 3600 * 1000;
        match now.as_ms().saturating_sub(at.as_ms()) / DAY_MS {
            ..=1 => Self::Recently,
            2..=7 => Self::ThisWeek,
            8..=30 => Self::ThisMonth,
            _ => Self::LongAgo,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_those_of_the_wire() {
        for status in Status::ALL {
            assert_eq!(serde_json::to_string(&status).unwrap(), format!("\"{}\"", status.as_str()));
            assert_eq!(Status::parse(status.as_str()), Some(status));
        }
    }

    #[test]
    fn nobody_learns_the_hour() {
        let day = |days: i64| Time::from_ms(days * 24 * 3600 * 1000);
        let told = [100, 98, 90, 60].map(|seen| LastSeen::of(day(seen), day(100)));
        assert_eq!(told, [LastSeen::Recently, LastSeen::ThisWeek, LastSeen::ThisMonth, LastSeen::LongAgo]);
    }
}
