//! Calls that ring: who calls whom, and what came of it.

use serde::{Deserialize, Serialize};

use super::{CallId, RoomId, Time, UserId, message::Author};

/// With what a call begins. Whoever takes part may switch the camera on later.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, utoipa::ToSchema)]
#[cfg_attr(test, derive(ts_rs::TS))]
#[serde(rename_all = "camelCase")]
pub enum CallType {
    /// They hear each other.
    Voice,
    /// They hear and see each other.
    Video,
}

/// What somebody who is rung has answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, utoipa::ToSchema)]
#[cfg_attr(test, derive(ts_rs::TS))]
#[serde(rename_all = "camelCase")]
pub enum RingState {
    /// Nothing yet.
    Ringing,
    /// Yes.
    Accepted,
    /// No.
    Declined,
    /// They are in another call. Their devices never rang.
    Busy,
    /// They did not answer before the ringing ended.
    Missed,
}

/// What somebody does about a call that rings.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum RingAct {
    /// Say yes.
    Accept,
    /// Say no.
    Decline,
    /// Ring no more.
    Cancel,
}

/// How a call that rang has ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, utoipa::ToSchema)]
#[cfg_attr(test, derive(ts_rs::TS))]
#[serde(rename_all = "camelCase")]
pub enum CallOutcome {
    /// Somebody answered, and later all had gone.
    Answered,
    /// Nobody answered, and somebody declined.
    Declined,
    /// Everybody who was rung was in another call.
    Busy,
    /// Nobody answered in time.
    Missed,
    /// Who called gave it up.
    Canceled,
    /// The server stopped meanwhile.
    Lost,
}

/// Somebody who is rung.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[cfg_attr(test, derive(ts_rs::TS))]
#[serde(rename_all = "camelCase")]
pub struct Rung {
    /// Who.
    pub user_id: UserId,
    /// The name they chose.
    pub nickname: String,
    /// What they have answered.
    pub state: RingState,
}

/// A call that rings, goes on or is over. It is the whole of it each time it is told, so that a later one replaces an earlier one.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[cfg_attr(test, derive(ts_rs::TS))]
#[serde(rename_all = "camelCase")]
pub struct CallRecord {
    /// Its own id: a room has many such calls, one after the other.
    pub call_id: CallId,
    /// Where it takes place.
    pub room_id: RoomId,
    /// Who called.
    pub initiator: Author,
    /// With what it began.
    #[serde(rename = "type")]
    #[cfg_attr(test, ts(rename = "type"))]
    pub kind: CallType,
    /// Whom they rang.
    pub participants: Vec<Rung>,
    /// Since when it rang.
    pub started_at: Time,
    /// When somebody answered first.
    pub answered_at: Option<Time>,
    /// When it was over.
    pub ended_at: Option<Time>,
    /// How it ended; `null` while it rings or goes on.
    pub outcome: Option<CallOutcome>,
}

/// Data of `call_invite`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(ts_rs::TS))]
#[serde(rename_all = "camelCase")]
pub struct CallInvite {
    /// The call that rings.
    pub call_id: CallId,
    /// Where it takes place.
    pub room_id: RoomId,
    /// Who calls.
    pub initiator: Author,
    /// With what it begins.
    #[serde(rename = "type")]
    #[cfg_attr(test, ts(rename = "type"))]
    pub kind: CallType,
    /// Whom they ring.
    pub participants: Vec<Rung>,
    /// How long it still rings.
    pub expires_in_ms: u64,
}

impl CallType {
    /// The name that the database and the wire use.
    pub const fn as_str(self) -> &'static str {
        match self {
            CallType::Voice => "voice",
            CallType::Video => "video",
        }
    }

    /// The type of that name.
    pub fn parse(name: &str) -> Option<Self> {
        [CallType::Voice, CallType::Video].into_iter().find(|it| it.as_str() == name)
    }
}

impl RingState {
    /// The name that the database and the wire use.
    pub const fn as_str(self) -> &'static str {
        match self {
            RingState::Ringing => "ringing",
            RingState::Accepted => "accepted",
            RingState::Declined => "declined",
            RingState::Busy => "busy",
            RingState::Missed => "missed",
        }
    }

    /// The state of that name.
    pub fn parse(name: &str) -> Option<Self> {
        use RingState::{Accepted, Busy, Declined, Missed, Ringing};
        [Ringing, Accepted, Declined, Busy, Missed].into_iter().find(|it| it.as_str() == name)
    }
}

impl CallOutcome {
    /// The name that the database and the wire use.
    pub const fn as_str(self) -> &'static str {
        match self {
            CallOutcome::Answered => "answered",
            CallOutcome::Declined => "declined",
            CallOutcome::Busy => "busy",
            CallOutcome::Missed => "missed",
            CallOutcome::Canceled => "canceled",
            CallOutcome::Lost => "lost",
        }
    }

    /// The outcome of that name.
    pub fn parse(name: &str) -> Option<Self> {
        use CallOutcome::{Answered, Busy, Canceled, Declined, Lost, Missed};
        [Answered, Declined, Busy, Missed, Canceled, Lost].into_iter().find(|it| it.as_str() == name)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_those_of_the_wire() {
        use {CallOutcome as O, RingState as S};
        for kind in [CallType::Voice, CallType::Video] {
            assert_eq!(CallType::parse(kind.as_str()), Some(kind));
            assert_eq!(serde_json::to_string(&kind).unwrap(), format!("\"{}\"", kind.as_str()));
        }
        for state in [S::Ringing, S::Accepted, S::Declined, S::Busy, S::Missed] {
            assert_eq!(RingState::parse(state.as_str()), Some(state));
            assert_eq!(serde_json::to_string(&state).unwrap(), format!("\"{}\"", state.as_str()));
        }
        for outcome in [O::Answered, O::Declined, O::Busy, O::Missed, O::Canceled, O::Lost] {
            assert_eq!(CallOutcome::parse(outcome.as_str()), Some(outcome));
            assert_eq!(serde_json::to_string(&outcome).unwrap(), format!("\"{}\"", outcome.as_str()));
        }
    }
}
