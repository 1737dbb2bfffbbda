use std::{fmt, str::FromStr};

use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

/// A moment, to the millisecond; written as RFC 3339 in UTC with exactly three decimals (`2026-01-31T09:30:00.123Z`).
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, utoipa::ToSchema)]
#[cfg_attr(test, derive(ts_rs::TS), ts(type = "string"))]
#[schema(value_type = String, format = DateTime)]
pub struct Time(jiff::Timestamp);

impl Time {
    /// The present moment of the machine's clock.
    pub fn now() -> Self {
        Self::from_ms(jiff::Timestamp::now().as_millisecond())
    }

    /// The moment `ms` milliseconds after 1970-01-01T00:00Z; one that no calendar holds becomes the nearest that it does.
    pub fn from_ms(ms: i64) -> Self {
        let edge = if ms < 0 { jiff::Timestamp::MIN } else { jiff::Timestamp::MAX };
        Self(jiff::Timestamp::from_millisecond(ms).unwrap_or(edge))
    }

    /// Milliseconds since 1970-01-01T00:00Z, as the database keeps it.
    pub fn as_ms(self) -> i64 {
        self.0.as_millisecond()
    }

    /// Whole seconds since 1970-01-01T00:00Z, as tokens carry it.
    pub fn as_s(self) -> i64 {
        self.0.as_second()
    }

    /// The moment `span` later.
    #[must_use]
    pub fn after(self, span: std::time::Duration) -> Self {
        Self::from_ms(self.as_ms().saturating_add(i64::try_from(span.as_millis()).unwrap_or(i64::MAX)))
    }

    /// The calendar year in UTC.
    pub fn year(self) -> i16 {
        jiff::tz::Offset::UTC.to_datetime(self.0).year()
    }
}

impl fmt::Display for Time {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:.3}", self.0)
    }
}

impl fmt::Debug for Time {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl FromStr for Time {
    type Err = jiff::Error;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Ok(Self::from_ms(text.parse::<jiff::Timestamp>()?.as_millisecond()))
    }
}

impl Serialize for Time {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Time {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_written_with_three_decimals_in_utc() {
        assert_eq!(Time::from_ms(1_769_851_800_123).to_string(), "2026-01-31T09:30:00.123Z");
        assert_eq!(Time::from_ms(0).to_string(), "1970-01-01T00:00:00.000Z");
        assert_eq!(Time::from_ms(1_769_851_800_120).to_string().parse::<Time>().unwrap().as_ms(), 1_769_851_800_120);
        assert_eq!(Time::from_ms(1_769_851_800_123).year(), 2026);
    }
}
