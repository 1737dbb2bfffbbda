//! How much a person has shown of themselves: trust is earned by age and behaviour, and never given.

use serde::{Deserialize, Serialize};

use super::Time;

const DAY_MS: i64 = 24 * 3600 * 1000;
/// For how long something upheld against a person keeps them from the highest level, in days.
const CLEAN_DAYS: i64 = 90;

/// How much a person has shown of themselves; it sets how fast they may write, and which rooms let them in. A later level may do
/// all that an earlier one may.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, utoipa::ToSchema,
)]
#[cfg_attr(test, derive(ts_rs::TS))]
#[serde(rename_all = "camelCase")]
pub enum Trust {
    /// Anybody.
    #[default]
    New,
    /// Known for 7 days, with 10 messages.
    Established,
    /// Known for 30 days, with 200 messages, and nothing upheld against them in 90 days.
    Trusted,
}

/// What trust is computed from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Conduct {
    /// Since when the server knows them.
    pub known_since: Time,
    /// How many messages they have written.
    pub messages: u64,
    /// When a moderator last did something about them.
    pub upheld_at: Option<Time>,
}

/// What somebody has earned, and what is missing for more.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[cfg_attr(test, derive(ts_rs::TS))]
#[serde(rename_all = "camelCase")]
pub struct Earned {
    /// Their level.
    pub level: Trust,
    /// For how many whole days the server knows them.
    pub age_days: u32,
    /// How many messages they have written.
    pub messages: u64,
    /// The level above, and what is missing for it; `null` at the highest.
    #[schema(required)]
    pub next: Option<Missing>,
}

/// What is missing for a level.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[cfg_attr(test, derive(ts_rs::TS))]
#[serde(rename_all = "camelCase")]
pub struct Missing {
    /// Which.
    pub level: Trust,
    /// Days to wait.
    pub days: u32,
    /// Messages to write.
    pub messages: u64,
    /// Until when what a moderator did stands in the way; `null`: nothing does.
    #[schema(required)]
    pub clean_at: Option<Time>,
}

/// What a level asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Needs {
    /// Which.
    pub level: Trust,
    /// Days to be known for.
    pub age_days: u32,
    /// Messages to have written.
    pub messages: u64,
}

impl Trust {
    /// Every level, lowest first.
    pub const ALL: [Trust; 3] = [Trust::New, Trust::Established, Trust::Trusted];

    /// The name that the database and the wire use.
    pub const fn as_str(self) -> &'static str {
        match self {
            Trust::New => "new",
            Trust::Established => "established",
            Trust::Trusted => "trusted",
        }
    }

    /// The level of that name.
    pub fn parse(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|it| it.as_str() == name)
    }

    /// What it asks for.
    pub const fn needs(self) -> Needs {
        let (age_days, messages) = match self {
            Trust::New => (0, 0),
            Trust::Established => (7, 10),
            Trust::Trusted => (30, 200),
        };
        Needs { level: self, age_days, messages }
    }
}

impl Conduct {
    /// What it has earned by now.
    pub fn earned(self, now: Time) -> Earned {
        let age_ms = (now.as_ms() - self.known_since.as_ms()).max(0);
        let age_days = u32::try_from(age_ms / DAY_MS).unwrap_or(u32::MAX);
        let missing = |level: Trust| {
            let needs = level.needs();
            let clean_at = self.upheld_at.filter(|_| level == Trust::Trusted);
            let clean_at = clean_at.map(|at| Time::from_ms(at.as_ms() + CLEAN_DAYS * DAY_MS)).filter(|at| *at > now);
            let days = needs.age_days.saturating_sub(age_days);
            let messages = needs.messages.saturating_sub(self.messages);
            Missing { level, days, messages, clean_at }
        };
        let has = |level: &Trust| {
            let missing = missing(*level);
            missing.days == 0 && missing.messages == 0 && missing.clean_at.is_none()
        };
        let level = Trust::ALL.into_iter().take_while(has).last().unwrap_or_default();
        let next = Trust::ALL.into_iter().find(|it| *it > level).map(missing);
        Earned { level, age_days, messages: self.messages, next }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn earned(days: i64, messages: u64, upheld_days_ago: Option<i64>) -> Earned {
        let now = Time::from_ms(1_000 * DAY_MS);
        let ago = |days: i64| Time::from_ms(now.as_ms() - days * DAY_MS);
        Conduct { known_since: ago(days), messages, upheld_at: upheld_days_ago.map(ago) }.earned(now)
    }

    #[test]
    fn age_alone_is_not_enough_and_neither_is_talk() {
        assert_eq!(earned(0, 0, None).level, Trust::New);
        assert_eq!(earned(400, 9, None).level, Trust::New);
        assert_eq!(earned(6, 5_000, None).level, Trust::New);
        assert_eq!(earned(7, 10, None).level, Trust::Established);
        assert_eq!(earned(30, 199, None).level, Trust::Established);
        assert_eq!(earned(30, 200, None).level, Trust::Trusted);
    }

    #[test]
    fn what_was_upheld_weighs_for_ninety_days() {
        assert_eq!(earned(300, 1_000, Some(89)).level, Trust::Established);
        assert_eq!(earned(300, 1_000, Some(90)).level, Trust::Trusted);
        let next = earned(300, 1_000, Some(89)).next.unwrap();
        assert_eq!((next.days, next.messages, next.clean_at), (0, 0, Some(Time::from_ms(1_001 * DAY_MS))));
    }

    #[test]
    fn what_is_missing_is_said() {
        let new = earned(2, 3, None);
        assert_eq!((new.age_days, new.messages), (2, 3));
        let next = Missing { level: Trust::Established, days: 5, messages: 7, clean_at: None };
        assert_eq!(new.next, Some(next));
        assert_eq!(earned(30, 200, None).next, None);
        assert!(Trust::ALL.iter().all(|level| Trust::parse(level.as_str()) == Some(*level)));
    }
}
