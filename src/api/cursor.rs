//! Cursors of pages that are ordered by time.

use std::fmt;

use serde::{Deserialize, Deserializer, Serialize, Serializer, de};
use utoipa::openapi::{ObjectBuilder, RefOr, Schema, schema::Type};

use crate::domain::{Time, UserId};

/// The place of the last entry of a page. Clients give it back as it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Place(Time, UserId);

impl Place {
    /// The place as the lists take it.
    pub(super) fn after(self) -> (Time, UserId) {
        (self.0, self.1)
    }

    /// The place of the last entry, if the page is full.
    pub(super) fn next<T>(items: &[T], limit: u32, of: impl Fn(&T) -> (Time, UserId)) -> Option<Self> {
        let last = items.last().filter(|_| items.len() >= limit as usize)?;
        let (at, user) = of(last);
        Some(Self(at, user))
    }

    fn parse(text: &str) -> Option<Self> {
        let (at, user) = text.split_once('.')?;
        Some(Self(Time::from_ms(at.parse().ok()?), user.parse().ok()?))
    }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.0.as_ms(), self.1)
    }
}

impl Serialize for Place {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Place {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        Self::parse(&text).ok_or_else(|| de::Error::custom("this is no cursor of ours"))
    }
}

impl utoipa::PartialSchema for Place {
    fn schema() -> RefOr<Schema> {
        let text = ObjectBuilder::new().schema_type(Type::String);
        RefOr::T(Schema::Object(text.description(Some("A place in a list; give it back as it is.")).build()))
    }
}

impl utoipa::ToSchema for Place {}
