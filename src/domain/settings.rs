//! What the owners of a room have settled for it.

use std::{fmt, str::FromStr, time::Duration};

use serde::{Deserialize, Deserializer, Serialize, Serializer, de};
use utoipa::openapi::{ObjectBuilder, RefOr, Schema, schema::Type};

use super::{Permits, RoomKind, Trust};

/// The longest that messages of a room are kept by number of days: ten years. Longer is `forever`.
const DAYS_LIMIT: u16 = 3_650;

/// What the owners of a room have settled for it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[cfg_attr(test, derive(ts_rs::TS))]
#[serde(rename_all = "camelCase")]
pub struct Settings {
    /// What it is about, up to 1,000 characters.
    pub description: String,
    /// One of the categories of this server.
    #[schema(required)]
    pub category: Option<String>,
    /// What is shown and said there.
    pub content_level: ContentLevel,
    /// How long messages are kept.
    pub retention: Retention,
    /// Seconds between two messages of one person; 0: no such limit. Who is trusted there, or more, is exempt.
    pub slow_mode_s: u32,
    /// How much trust it takes to become a member.
    pub min_trust_to_join: Trust,
    /// How much trust it takes to write.
    pub min_trust_to_post: Trust,
    /// Whether whoever wants to join asks first, and a moderator of the room lets them in.
    pub join_requests: bool,
    /// Whether it takes a PIN to become a member.
    pub has_pin: bool,
    /// The least role for what may be narrowed.
    pub permits: Permits,
}

/// What of a room's settings its call and its chat go by.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rules {
    /// Seconds between two messages of one person; 0: no such limit.
    pub slow_mode_s: u32,
    /// How much trust it takes to write.
    pub min_trust_to_post: Trust,
    /// The least roles.
    pub permits: Permits,
    /// Whether the room is put away.
    pub archived: bool,
}

/// What is shown and said in a room.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, utoipa::ToSchema,
)]
#[cfg_attr(test, derive(ts_rs::TS))]
#[serde(rename_all = "camelCase")]
pub enum ContentLevel {
    /// Nothing that anybody must be kept from.
    #[default]
    General,
    /// Themes for grown-ups.
    Mature,
    /// Sexual content; whose age is verified.
    Adult,
    /// More than that; whose age is verified.
    Extreme,
}

/// How long messages are kept: `none`, `24h`, `days(n)` or `forever`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[cfg_attr(test, derive(ts_rs::TS), ts(type = "string"))]
pub enum Retention {
    /// Never stored.
    None,
    /// For a day.
    Day,
    /// For so many days.
    Days(u16),
    /// Until somebody deletes them.
    #[default]
    Forever,
}

impl Settings {
    /// What a new room of that kind has.
    pub const fn of(kind: RoomKind) -> Self {
        Self {
            description: String::new(),
            category: None,
            content_level: ContentLevel::General,
            retention: if matches!(kind, RoomKind::Match) { Retention::None } else { Retention::Forever },
            slow_mode_s: 0,
            min_trust_to_join: Trust::New,
            min_trust_to_post: Trust::New,
            join_requests: false,
            has_pin: false,
            permits: Permits::of(kind),
        }
    }
}

impl ContentLevel {
    /// Every level, mildest first.
    pub const ALL: [ContentLevel; 4] =
        [ContentLevel::General, ContentLevel::Mature, ContentLevel::Adult, ContentLevel::Extreme];

    /// The name that the database and the wire use.
    pub const fn as_str(self) -> &'static str {
        match self {
            ContentLevel::General => "general",
            ContentLevel::Mature => "mature",
            ContentLevel::Adult => "adult",
            ContentLevel::Extreme => "extreme",
        }
    }

    /// The level of that name.
    pub fn parse(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|it| it.as_str() == name)
    }

    /// Whether only those see it whose age is verified.
    pub const fn is_for_adults(self) -> bool {
        matches!(self, ContentLevel::Adult | ContentLevel::Extreme)
    }
}

impl Retention {
    /// How long that is. `None`: it has no end, or nothing is stored at all.
    pub const fn span(self) -> Option<Duration> {
        const DAY_S: u64 = 24 * 3600;
        match self {
            Retention::None | Retention::Forever => None,
            Retention::Day => Some(Duration::from_secs(DAY_S)),
            Retention::Days(days) => Some(Duration::from_secs(days as u64 * DAY_S)),
        }
    }
}

impl fmt::Display for Retention {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Retention::None => f.write_str("none"),
            Retention::Day => f.write_str("24h"),
            Retention::Days(days) => write!(f, "days({days})"),
            Retention::Forever => f.write_str("forever"),
        }
    }
}

impl FromStr for Retention {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let days = |text: &str| {
            let days = text.strip_prefix("days(")?.strip_suffix(')')?.parse().ok()?;
            (1..=DAYS_LIMIT).contains(&days).then_some(Retention::Days(days))
        };
        match text {
            "none" => Ok(Retention::None),
            "24h" => Ok(Retention::Day),
            "forever" => Ok(Retention::Forever),
            other => days(other).ok_or_else(|| {
                format!("Messages are kept \"none\", \"24h\", \"days(1)\" to \"days({DAYS_LIMIT})\" or \"forever\".")
            }),
        }
    }
}

impl utoipa::PartialSchema for Retention {
    fn schema() -> RefOr<Schema> {
        let text = ObjectBuilder::new().schema_type(Type::String).description(Some("How long messages are kept."));
        let text = text.pattern(Some(r"^(none|24h|forever|days\([0-9]{1,4}\))$")).examples(["days(30)"]);
        RefOr::T(Schema::Object(text.build()))
    }
}

impl utoipa::ToSchema for Retention {}

impl Serialize for Retention {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Retention {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn retention_is_written_as_it_is_read() {
        for text in ["none", "24h", "days(1)", "days(3650)", "forever"] {
            assert_eq!(text.parse::<Retention>().unwrap().to_string(), text);
        }
        for text in ["", "days(0)", "days(3651)", "days(-1)", "days(7", "12h"] {
            assert!(text.parse::<Retention>().is_err(), "{text}");
        }
        assert!(ContentLevel::ALL.iter().all(|level| ContentLevel::parse(level.as_str()) == Some(*level)));
    }
}
