//! What somebody looks for in a stranger.

use std::collections::HashSet;

use unicode_normalization::UnicodeNormalization as _;

use super::matcher::Ticket;
use crate::domain::{
    Refusal, TicketId, UserId,
    matching::{AgeBand, Language, MatchMode},
};

/// Interests that one may name.
pub const INTERESTS: usize = 10;
/// The longest interest, in Unicode scalars.
pub const INTEREST_LENGTH: usize = 32;

/// What somebody looks for, as they said it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Wanted {
    /// How to meet.
    pub mode: MatchMode,
    /// What to talk about.
    pub interests: Vec<String>,
    /// In which language, by its primary tag.
    pub language: Option<String>,
    /// Whether to be asked before.
    pub confirm: bool,
    /// Whether anybody will do.
    pub fallback: bool,
}

/// The same in the form that is compared.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Wishes {
    pub(super) mode: MatchMode,
    pub(super) interests: Vec<String>,
    pub(super) language: Option<Language>,
    pub(super) confirm: bool,
    pub(super) fallback: bool,
}

/// What the server knows of somebody who searches, whatever they say.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Standing {
    pub(super) band: AgeBand,
    pub(super) cluster: u16,
    pub(super) low_trust: bool,
    pub(super) blocked: HashSet<UserId>,
}

impl Wishes {
    /// Refuses (`bad_request`, fields `interests` and `language`) what cannot be compared.
    pub(super) fn parse(wanted: &Wanted) -> Result<Self, Refusal> {
        if wanted.interests.len() > INTERESTS {
            return Err(Refusal::bad_request("interests", format!("Name up to {INTERESTS} interests.")));
        }
        let mut interests = Vec::new();
        for interest in &wanted.interests {
            let interest = compared(interest)?;
            if !interests.contains(&interest) {
                interests.push(interest);
            }
        }
        let language = wanted.language.as_deref().map(Language::parse).transpose()?;
        let Wanted { mode, confirm, fallback, .. } = *wanted;
        Ok(Self { mode, interests, language, confirm, fallback })
    }

    /// A search for it.
    pub(super) fn ticket(&self, id: TicketId, user: UserId, standing: &Standing) -> Ticket {
        let Standing { band, cluster, low_trust, blocked } = standing.clone();
        Ticket {
            id,
            user,
            mode: self.mode,
            band,
            cluster,
            low_trust,
            language: self.language,
            interests: self.interests.clone(),
            fallback: self.fallback,
            blocked,
        }
    }
}

/// An interest without case, and without what cannot be seen to differ.
fn compared(interest: &str) -> Result<String, Refusal> {
    let plain: String = interest.trim().nfkc().flat_map(char::to_lowercase).collect();
    let fits = (1..=INTEREST_LENGTH).contains(&plain.chars().count()) && !plain.chars().any(char::is_control);
    if !fits {
        return Err(Refusal::bad_request("interests", format!("An interest has 1 to {INTEREST_LENGTH} characters.")));
    }
    Ok(plain)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn wanted(interests: &[&str], language: Option<&str>) -> Wanted {
        Wanted {
            mode: MatchMode::Text,
            interests: interests.iter().map(|it| (*it).to_owned()).collect(),
            language: language.map(str::to_owned),
            confirm: true,
            fallback: false,
        }
    }

    #[test]
    fn interests_are_compared_without_case() {
        let wishes =
            Wishes::parse(&wanted(&["Chess", " chess ", "ＣＨＥＳＳ", "Ćwiczenia", "GO"], Some("EN"))).unwrap();
        assert_eq!(wishes.interests, ["chess", "ćwiczenia", "go"]);
        assert_eq!(wishes.language, Some(Language::parse("en").unwrap()));
        assert!(wishes.confirm && !wishes.fallback && wishes.mode == MatchMode::Text);
    }

    #[test]
    fn what_cannot_be_compared_is_refused() {
        let field = |interests: &[&str], language| match Wishes::parse(&wanted(interests, language)) {
            Err(Refusal::BadRequest { field, .. }) => field,
            other => panic!("{other:?}"),
        };
        let long = "x".repeat(INTEREST_LENGTH + 1);
        let eleven: Vec<_> = (0..=INTERESTS).map(|number| number.to_string()).collect();
        for bad in [&[""][..], &[" "], &["a\nb"], &[&long], &eleven.iter().map(String::as_str).collect::<Vec<_>>()] {
            assert_eq!(field(bad, None), "interests", "{bad:?}");
        }
        assert_eq!(field(&[], Some("en-GB")), "language");
    }
}
