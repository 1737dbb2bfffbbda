//! Direct messages and calls that ring.

use serde::{Deserialize, Serialize};

use super::{ServerBody, ServerFrame};
use crate::domain::{CallId, RoomId, Told, UserId, ring::CallType};

/// Data of `start_call`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(test, derive(ts_rs::TS))]
#[serde(rename_all = "camelCase")]
pub struct StartCall {
    /// Where the call is to take place.
    pub room_id: RoomId,
    /// With what it begins.
    #[serde(rename = "type")]
    #[cfg_attr(test, ts(rename = "type"))]
    pub kind: CallType,
    /// Whom to ring. In a direct room, when absent: everybody else.
    #[serde(default)]
    #[cfg_attr(test, ts(optional = nullable))]
    pub participants: Option<Vec<UserId>>,
}

/// Data of `call.accept`, `call.decline` and `call.cancel`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(test, derive(ts_rs::TS))]
#[serde(rename_all = "camelCase")]
pub struct OfCall {
    /// The call that rings, as `call_invite` or `call.ring` named it.
    pub call_id: CallId,
}

/// Data of `block`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(test, derive(ts_rs::TS))]
#[serde(rename_all = "camelCase")]
pub struct BlockChanged {
    /// Whom.
    pub user_id: UserId,
    /// Blocked from now on, or no more.
    pub blocked: bool,
}

impl ServerFrame {
    /// What is told of direct messages and of calls that ring. `None`: it is about something else.
    pub(super) fn of_direct(told: &Told) -> Option<Self> {
        let body = match told {
            Told::Direct(direct) => ServerBody::DmRoom(Box::new((**direct).clone())),
            Told::DirectMessage(message) => ServerBody::DmMessage(Box::new((**message).clone())),
            Told::Block { user, blocked } => ServerBody::Block(BlockChanged { user_id: *user, blocked: *blocked }),
            Told::CallInvite(invite) => ServerBody::CallInvite((**invite).clone()),
            Told::CallRing(record) => ServerBody::CallRing((**record).clone()),
            _ => return None,
        };
        Some(Self::new(body))
    }
}
