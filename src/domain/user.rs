//! People.

use serde::{Deserialize, Serialize};

use super::{Refusal, SiteRole, UserId};

/// A person as others and they themselves see them.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[cfg_attr(test, derive(ts_rs::TS))]
pub struct User {
    /// Who.
    pub id: UserId,
    /// The name they chose.
    pub nickname: String,
    /// What they may do on the whole site.
    pub role: SiteRole,
}

/// A name a person may go by: 2–50 characters of `a-z A-Z 0-9 _ -`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Nickname(String);

impl Nickname {
    /// Refuses (`bad_request`, field `nickname`) what is no such name.
    pub fn parse(text: &str) -> Result<Self, Refusal> {
        let fits = (2..=50).contains(&text.len())
            && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_' || byte == b'-');
        if !fits {
            return Err(Refusal::bad_request("nickname", "A nickname has 2 to 50 letters, digits, _ or -."));
        }
        Ok(Self(text.to_owned()))
    }

    /// The name itself.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// How much a person has shown of themselves; it sets how fast they may write.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Trust {
    /// Seen for the first time less than seven days ago.
    New,
    /// Known for seven days or more.
    Established,
    /// Trusted by a room.
    Trusted,
}

/// Whether someone born in `birth_year` may count as an adult in `year`: under 18 is whoever does not turn 18 by its end.
/// The attestation that goes with the year covers the months that a year alone cannot tell.
pub fn is_adult(birth_year: i16, year: i16) -> bool {
    i32::from(year) - i32::from(birth_year) >= 18
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nicknames_are_two_to_fifty_plain_characters() {
        for good in ["ab", "Ada_L-1", &"x".repeat(50)] {
            assert_eq!(Nickname::parse(good).unwrap().as_str(), good);
        }
        for bad in ["", "a", "ad a", "adä", "a\n", &"x".repeat(51)] {
            assert!(Nickname::parse(bad).is_err(), "{bad:?}");
        }
    }

    #[test]
    fn under_eighteen_is_who_does_not_turn_eighteen_this_year() {
        assert!(is_adult(2008, 2026));
        assert!(!is_adult(2009, 2026));
        assert!(!is_adult(i16::MAX, 2026));
    }
}
