//! Asking to be let into a room, and what becomes of it.

use serde::{Deserialize, Serialize};

use crate::domain::{UserId, invite::JoinRequest};

/// Data of `join_request`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(test, derive(ts_rs::TS))]
#[serde(rename_all = "camelCase")]
pub struct JoinAsked {
    /// Who asks, and with what words.
    pub request: JoinRequest,
}

/// Data of `join_answered`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(test, derive(ts_rs::TS))]
#[serde(rename_all = "camelCase")]
pub struct JoinAnswered {
    /// Who asked.
    pub user_id: UserId,
    /// Who answered.
    pub by: UserId,
    /// Whether they are let in.
    pub lets_in: bool,
}
