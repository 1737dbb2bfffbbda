//! Frames of strangers who look for each other.

use serde::{Deserialize, Serialize};

use super::{ServerBody, ServerFrame};
use crate::domain::{
    MatchId,
    matching::{MatchMode, MatchNews},
};

/// Data of `match.start`. What it says beyond this (an age, say) is not read.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(test, derive(ts_rs::TS))]
#[serde(rename_all = "camelCase")]
pub struct MatchStart {
    /// How to meet.
    pub mode: MatchMode,
    /// What to talk about: up to 10, of up to 32 characters; compared without case.
    #[serde(default)]
    #[cfg_attr(test, ts(optional, as = "Option<Vec<String>>"))]
    pub interests: Vec<String>,
    /// The primary tag (BCP 47) of the language to talk in; `null`: any.
    #[serde(default)]
    #[cfg_attr(test, ts(optional = nullable))]
    pub language: Option<String>,
    /// Whether both are asked before they meet.
    #[serde(default)]
    #[cfg_attr(test, ts(optional, as = "Option<bool>"))]
    pub confirm: bool,
    /// Whether anybody will do, for longer.
    #[serde(default)]
    #[cfg_attr(test, ts(optional, as = "Option<bool>"))]
    pub fallback: bool,
}

/// Data of `match.confirm`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(test, derive(ts_rs::TS))]
#[serde(rename_all = "camelCase")]
pub struct MatchConfirm {
    /// Which.
    pub match_id: MatchId,
    /// Yes or no.
    pub accept: bool,
}

impl From<MatchNews> for ServerFrame {
    fn from(news: MatchNews) -> Self {
        match news {
            MatchNews::Searching(request, searching) => Self::reply(request, ServerBody::MatchSearching(searching)),
            MatchNews::Found(found) => Self::new(ServerBody::MatchFound(found)),
            MatchNews::Ready(ready) => Self::new(ServerBody::MatchReady(ready)),
            MatchNews::Ended(ended) => Self::new(ServerBody::MatchEnded(ended)),
            MatchNews::Timeout(timeout) => Self::new(ServerBody::MatchTimeout(timeout)),
        }
    }
}
