//! What hosts of a call may do, and what holds by it.

use serde::{Deserialize, Serialize};

use super::{ParticipantId, Time, TrackSource, UserId};

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
        /// Whose; `null`: everybody's but for hosts'.
        user_id: Option<UserId>,
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
        /// Whom; `null`: all.
        user_id: Option<UserId>,
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
