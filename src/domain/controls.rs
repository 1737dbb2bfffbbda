//! What hosts of a call may do, and what holds by it.

use serde::{Deserialize, Serialize};

use super::{ParticipantId, Refusal, Time, TrackSource, UserId};

/// What hosts have settled for a whole call.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[cfg_attr(test, derive(ts_rs::TS))]
#[serde(rename_all = "camelCase")]
pub struct Controls {
    /// Nobody new comes in, but for hosts.
    pub locked: bool,
    /// Who is no host waits until a host lets them in.
    pub waiting_room: bool,
    /// Whom everybody is to see.
    pub spotlight: Option<ParticipantId>,
    /// Everybody's microphone is muted, but for hosts'.
    pub muted_all: Option<MutedAll>,
    /// What nobody may send, but for hosts.
    pub disabled: Vec<TrackSource>,
}

/// Who may come into a room at all. It is the room's, and stays until a host changes it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Door {
    /// Nobody new comes in, but for hosts.
    pub locked: bool,
    /// Who is no host waits until a host lets them in.
    pub waiting_room: bool,
}

/// Whom an act concerns that may concern everybody. It is always said: nothing befalls everybody because a field was forgotten.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[cfg_attr(test, derive(ts_rs::TS))]
#[serde(rename_all = "camelCase")]
pub enum Whom {
    /// All.
    Everybody,
    /// One person.
    UserId(UserId),
}

/// How everybody is muted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[cfg_attr(test, derive(ts_rs::TS))]
#[serde(rename_all = "camelCase")]
pub struct MutedAll {
    /// Whether they may open their own microphone again.
    pub may_unmute: bool,
}

/// Something that a host does to a call.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(ts_rs::TS))]
#[serde(tag = "type", rename_all = "snake_case", rename_all_fields = "camelCase")]
pub enum HostAct {
    /// Mutes everybody but hosts, those to come too; or ends that, which opens nobody's microphone.
    MuteAll {
        /// From now on.
        muted: bool,
        /// Whether they may open their own microphone again.
        may_unmute: bool,
    },
    /// Lets nothing of a source through, or lets it through again.
    Disable {
        /// Whose; everybody's, but for hosts'.
        target: Whom,
        /// Which source.
        source: TrackSource,
        /// From now on.
        disabled: bool,
    },
    /// Shows one participant to everybody.
    Spotlight {
        /// Whom; `null`: nobody any more.
        participant_id: Option<ParticipantId>,
    },
    /// Lets nobody new in, or again.
    Lock {
        /// From now on.
        locked: bool,
    },
    /// Lets people in one by one, or all at once again.
    WaitingRoom {
        /// From now on.
        enabled: bool,
    },
    /// Lets in who waits.
    Admit {
        /// Whom; everybody.
        target: Whom,
    },
    /// Sends away who waits.
    Deny {
        /// Whom.
        user_id: UserId,
    },
    /// Puts somebody out of call and room.
    Remove {
        /// Whom.
        user_id: UserId,
        /// They may not come back.
        for_good: bool,
        /// What they are told.
        reason: Option<String>,
    },
    /// Ends everybody's part in the call.
    End,
}

/// Somebody who waits to be let in.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[cfg_attr(test, derive(ts_rs::TS))]
#[serde(rename_all = "camelCase")]
pub struct Waiter {
    /// Who.
    pub user_id: UserId,
    /// The name they chose.
    pub nickname: String,
    /// Since when.
    pub since: Time,
}

/// Who waits to be let in: all of them, or what has changed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(ts_rs::TS))]
#[serde(rename_all = "camelCase")]
pub struct Waiting {
    /// `waiting` is the whole list; else it names who waits now and did not before.
    pub whole: bool,
    /// First come first.
    pub waiting: Vec<Waiter>,
    /// Who waits no more.
    pub gone: Vec<UserId>,
    /// How many wait now.
    pub count: u32,
}

impl Whom {
    /// What a request says.
    ///
    /// # Errors
    /// `bad_request` (`target`): nothing.
    pub fn said(target: Option<Whom>) -> Result<Whom, Refusal> {
        target.ok_or_else(|| Refusal::bad_request("target", "Say whom: \"everybody\", or {\"userId\": \"…\"}."))
    }

    /// The person; `None`: everybody.
    pub const fn one(self) -> Option<UserId> {
        match self {
            Whom::Everybody => None,
            Whom::UserId(user) => Some(user),
        }
    }
}
