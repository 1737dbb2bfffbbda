//! Strangers who look for each other.

use std::fmt;

use serde::{Deserialize, Serialize};

use super::{CallId, MatchId, Refusal, RoomId, TicketId, UserId};

/// How strangers meet.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[cfg_attr(test, derive(ts_rs::TS))]
#[serde(rename_all = "camelCase")]
pub enum MatchMode {
    /// They see and hear each other, and write.
    Video,
    /// They write.
    Text,
}

/// What somebody who searches insists on. A later stage accepts all that an earlier one does.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[cfg_attr(test, derive(ts_rs::TS))]
#[serde(rename_all = "camelCase")]
pub enum MatchStage {
    /// The same language and an interest in common.
    Strict,
    /// The interests are given up: the same language.
    Interests,
    /// The language is given up too: anybody.
    Language,
    /// Anybody, from the beginning, and for longer.
    Fallback,
}

/// Why a match, or a search that was taken over, has ended, as one of the two is told.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[cfg_attr(test, derive(ts_rs::TS))]
#[serde(rename_all = "snake_case")]
pub enum MatchEnd {
    /// They stopped.
    Stopped,
    /// They asked for the next one.
    Next,
    /// The other one stopped, or left the room.
    PartnerLeft,
    /// The other one asked for the next one.
    PartnerNext,
    /// The other one's connection was lost, and did not come back in time.
    PartnerLost,
    /// They blocked the other one.
    Blocked,
    /// They reported the other one.
    Reported,
    /// A moderator ended it.
    Violation,
    /// One of the two declined.
    Declined,
    /// One of the two let the time to accept pass.
    Unconfirmed,
    /// They started a search from another place.
    Replaced,
}

/// People of one band meet each other only. The band is what the server recorded at entry, never what a request says.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum AgeBand {
    /// 18 and older: everybody whom today's entry lets in.
    #[default]
    Adult,
    /// Under 18.
    Minor,
}

/// A language by its primary tag (BCP 47, section 2.2.1): 2 to 8 letters, in lower case.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Language([u8; 8]);

/// Data of `match.searching`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(ts_rs::TS))]
#[serde(rename_all = "camelCase")]
pub struct MatchSearching {
    /// The search.
    pub ticket_id: TicketId,
    /// What it insists on from now on.
    pub stage: MatchStage,
    /// When it ends, if nobody is found.
    pub expires_in_ms: u64,
    /// What others waited lately; `null` when nobody was matched lately.
    pub estimated_wait_ms: Option<u64>,
}

/// Data of `match.found`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(ts_rs::TS))]
#[serde(rename_all = "camelCase")]
pub struct MatchFound {
    /// The match.
    pub match_id: MatchId,
    /// How they meet.
    pub mode: MatchMode,
    /// The other one.
    pub partner: Stranger,
    /// What both named, in lower case.
    pub shared_interests: Vec<String>,
    /// Their room; `null` until both have accepted.
    pub room_id: Option<RoomId>,
    /// Their call; `null` until both have accepted.
    pub call_id: Option<CallId>,
    /// How long there is to accept; `null` when that is not needed.
    pub confirm_within_ms: Option<u64>,
}

/// Somebody whom one has just met.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(ts_rs::TS))]
#[serde(rename_all = "camelCase")]
pub struct Stranger {
    /// Who.
    pub user_id: UserId,
    /// The name they chose.
    pub nickname: String,
}

/// Data of `match.ready`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(ts_rs::TS))]
#[serde(rename_all = "camelCase")]
pub struct MatchReady {
    /// The match that both have accepted.
    pub match_id: MatchId,
    /// Their room.
    pub room_id: RoomId,
    /// Their call.
    pub call_id: CallId,
}

/// Data of `match.ended`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(ts_rs::TS))]
#[serde(rename_all = "camelCase")]
pub struct MatchEnded {
    /// The match; `null` for a search that was taken over.
    pub match_id: Option<MatchId>,
    /// Why.
    pub reason: MatchEnd,
}

/// Data of `match.timeout`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(ts_rs::TS))]
#[serde(rename_all = "camelCase")]
pub struct MatchTimeout {
    /// The search that found nobody.
    pub ticket_id: TicketId,
}

/// What somebody is told of their search or match.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum MatchNews {
    /// They search. It answers the request of that id, if one is named.
    Searching(Option<String>, MatchSearching),
    /// Somebody was found.
    Found(MatchFound),
    /// Both have accepted.
    Ready(MatchReady),
    /// It is over.
    Ended(MatchEnded),
    /// Nobody was found.
    Timeout(MatchTimeout),
}

impl MatchMode {
    /// Both, for whoever lists them.
    pub const ALL: [MatchMode; 2] = [MatchMode::Video, MatchMode::Text];

    /// The name that the database, the wire and the figures use.
    pub const fn as_str(self) -> &'static str {
        match self {
            MatchMode::Video => "video",
            MatchMode::Text => "text",
        }
    }
}

impl MatchEnd {
    /// The name that the database uses.
    pub const fn as_str(self) -> &'static str {
        match self {
            MatchEnd::Stopped => "stopped",
            MatchEnd::Next => "next",
            MatchEnd::PartnerLeft => "partner_left",
            MatchEnd::PartnerNext => "partner_next",
            MatchEnd::PartnerLost => "partner_lost",
            MatchEnd::Blocked => "blocked",
            MatchEnd::Reported => "reported",
            MatchEnd::Violation => "violation",
            MatchEnd::Declined => "declined",
            MatchEnd::Unconfirmed => "unconfirmed",
            MatchEnd::Replaced => "replaced",
        }
    }
}

impl AgeBand {
    /// The name that the database uses.
    pub const fn as_str(self) -> &'static str {
        match self {
            AgeBand::Adult => "adult",
            AgeBand::Minor => "minor",
        }
    }

    /// The band of that name.
    pub fn parse(name: &str) -> Option<Self> {
        [AgeBand::Adult, AgeBand::Minor].into_iter().find(|it| it.as_str() == name)
    }
}

impl Language {
    /// Refuses (`bad_request`, field `language`) what is no primary tag.
    pub fn parse(text: &str) -> Result<Self, Refusal> {
        let fits = (2..=8).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_alphabetic());
        if !fits {
            return Err(Refusal::bad_request("language", "A language is named by its primary tag, such as \"en\"."));
        }
        let mut tag = [0; 8];
        for (place, byte) in tag.iter_mut().zip(text.bytes()) {
            *place = byte.to_ascii_lowercase();
        }
        Ok(Self(tag))
    }
}

impl fmt::Debug for Language {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let letters = self.0.iter().take_while(|byte| **byte != 0);
        letters.into_iter().try_for_each(|byte| write!(f, "{}", char::from(*byte)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_language_is_a_primary_tag() {
        assert_eq!(Language::parse("EN").unwrap(), Language::parse("en").unwrap());
        assert_eq!(format!("{:?}", Language::parse("Yue").unwrap()), "yue");
        assert_ne!(Language::parse("de").unwrap(), Language::parse("den").unwrap());
        for bad in ["", "e", "en-GB", "e1", "日本", "languages"] {
            assert!(Language::parse(bad).is_err(), "{bad:?}");
        }
    }

    #[test]
    fn names_are_those_of_the_wire() {
        for mode in MatchMode::ALL {
            assert_eq!(serde_json::to_string(&mode).unwrap(), format!("\"{}\"", mode.as_str()));
        }
        for end in [MatchEnd::PartnerLost, MatchEnd::Replaced, MatchEnd::Next] {
            assert_eq!(serde_json::to_string(&end).unwrap(), format!("\"{}\"", end.as_str()));
        }
        assert_eq!(AgeBand::parse("minor"), Some(AgeBand::Minor));
    }
}
