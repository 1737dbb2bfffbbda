//! People.

use serde::{Deserialize, Serialize};

use unicode_normalization::UnicodeNormalization as _;

use super::{Refusal, SiteRole, UserId};

pub use super::trust::Trust;

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
    /// A program, not a person. Left out of those who are none.
    #[serde(default, skip_serializing_if = "is_false")]
    #[schema(required = false)]
    #[cfg_attr(test, ts(optional, as = "Option<bool>"))]
    pub bot: bool,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde's signature")]
fn is_false(flag: &bool) -> bool {
    !flag
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

/// The name of an account: a nickname that nobody else's account has, nor one that looks like it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Username(Nickname);

impl Username {
    /// Refuses (`bad_request`, field `username`) what is no such name. Wide and otherwise dressed-up letters count as the plain
    /// ones (Unicode NFKC).
    pub fn parse(text: &str) -> Result<Self, Refusal> {
        // Longer than any name that could come of it: not worth the work.
        let plain = if text.len() <= 400 { text.nfkc().collect() } else { String::new() };
        let why = "A username has 2 to 50 letters, digits, _ or -.";
        Nickname::parse(&plain).map(Self).map_err(|_| Refusal::bad_request("username", why))
    }

    /// The name itself.
    pub fn as_str(&self) -> &str {
        self.0.as_str()
    }

    /// The name as people take it for another: without case, and with letters that look alike made one.
    pub fn key(&self) -> String {
        let lower = self.as_str().to_ascii_lowercase();
        let alike = lower.chars().map(|letter| match letter {
            '0' => 'o',
            '1' | 'i' => 'l',
            '5' => 's',
            '-' => '_',
            other => other,
        });
        alike.collect::<String>().replace("rn", "m").replace("vv", "w")
    }
}

/// By what a person's age is known.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "camelCase")]
pub enum AgeLevel {
    /// By nothing.
    None,
    /// They gave a year of birth and attest to be 18 or older.
    SelfDeclared,
    /// Somebody whom the operator trusts has seen a proof.
    Verified,
}

impl AgeLevel {
    /// The name that the database and the wire use.
    pub const fn as_str(self) -> &'static str {
        match self {
            AgeLevel::None => "none",
            AgeLevel::SelfDeclared => "selfDeclared",
            AgeLevel::Verified => "verified",
        }
    }

    /// The level of that name.
    pub fn parse(name: &str) -> Option<Self> {
        [AgeLevel::None, AgeLevel::SelfDeclared, AgeLevel::Verified].into_iter().find(|it| it.as_str() == name)
    }
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
    fn names_that_look_alike_are_one() {
        let key = |name: &str| Username::parse(name).unwrap().key();
        assert_eq!(Username::parse("ａｄａ").unwrap().as_str(), "ada");
        for (one, other) in [("Ada", "aDA"), ("paul", "pau1"), ("Ian", "lan"), ("bob_1", "b0b-l"), ("modern", "modem")]
        {
            assert_eq!(key(one), key(other));
        }
        assert_ne!(key("ada"), key("adam"));
        for bad in ["", "a", "а".repeat(3).as_str(), &"x".repeat(51), &"ａ".repeat(1_000)] {
            assert!(Username::parse(bad).is_err(), "{bad:?}");
        }
    }

    #[test]
    fn under_eighteen_is_who_does_not_turn_eighteen_this_year() {
        assert!(is_adult(2008, 2026));
        assert!(!is_adult(2009, 2026));
        assert!(!is_adult(i16::MAX, 2026));
    }
}
