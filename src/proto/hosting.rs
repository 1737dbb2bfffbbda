//! What hosts of a call say, and what is said of it.

use serde::{Deserialize, Serialize};

use super::ClientBody;
use crate::domain::{Controls, HostAct, ParticipantId, Refusal, RoomId, TrackSource, UserId, Whom};

/// Data of `call.mute_all`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(test, derive(ts_rs::TS))]
#[serde(rename_all = "camelCase")]
pub struct MuteAll {
    /// Where.
    pub room_id: RoomId,
    /// Muted from now on, or no more.
    pub muted: bool,
    /// Whether people may open their own microphone again; they may, unless this says otherwise.
    #[serde(default = "yes")]
    #[cfg_attr(test, ts(optional, as = "Option<bool>"))]
    pub may_unmute: bool,
}

/// Data of `call.disable`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(test, derive(ts_rs::TS))]
#[serde(rename_all = "camelCase")]
pub struct Disable {
    /// Where.
    pub room_id: RoomId,
    /// Whose; everybody's but for hosts'. Without it the frame is refused.
    #[serde(default)]
    #[cfg_attr(test, ts(as = "Whom"))]
    pub target: Option<Whom>,
    /// What.
    pub source: TrackSource,
    /// Disabled from now on, or no more.
    pub disabled: bool,
}

/// Data of `call.spotlight`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(test, derive(ts_rs::TS))]
#[serde(rename_all = "camelCase")]
pub struct Spotlight {
    /// Where.
    pub room_id: RoomId,
    /// Whom everybody is to see; `null`: nobody any more.
    pub participant_id: Option<ParticipantId>,
}

/// Data of `call.lock`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(test, derive(ts_rs::TS))]
#[serde(rename_all = "camelCase")]
pub struct Lock {
    /// Which room.
    pub room_id: RoomId,
    /// Locked from now on, or no more.
    pub locked: bool,
}

/// Data of `call.waiting_room`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(test, derive(ts_rs::TS))]
#[serde(rename_all = "camelCase")]
pub struct WaitingRoom {
    /// Where.
    pub room_id: RoomId,
    /// People wait from now on, or no more.
    pub enabled: bool,
}

/// Data of `call.admit`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(test, derive(ts_rs::TS))]
#[serde(rename_all = "camelCase")]
pub struct Admit {
    /// Where.
    pub room_id: RoomId,
    /// Whom; everybody who waits. Without it the frame is refused.
    #[serde(default)]
    #[cfg_attr(test, ts(as = "Whom"))]
    pub target: Option<Whom>,
}

/// Data of `call.deny`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(test, derive(ts_rs::TS))]
#[serde(rename_all = "camelCase")]
pub struct Deny {
    /// Where.
    pub room_id: RoomId,
    /// Whom.
    pub user_id: UserId,
}

/// Data of `call.remove`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(test, derive(ts_rs::TS))]
#[serde(rename_all = "camelCase")]
pub struct RemoveFromCall {
    /// Where.
    pub room_id: RoomId,
    /// Whom.
    pub user_id: UserId,
    /// Whether they may not come back.
    #[serde(default)]
    #[cfg_attr(test, ts(optional, as = "Option<bool>"))]
    pub for_good: bool,
    /// What they are told, if it is for good.
    #[serde(default)]
    #[cfg_attr(test, ts(optional = nullable))]
    pub reason: Option<String>,
}

/// Data of `call.controls`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(test, derive(ts_rs::TS))]
pub struct ControlsChanged {
    /// What holds from now on.
    pub controls: Controls,
    /// Who did it; `null`: nobody, the one whom all were to see has left.
    pub by: Option<UserId>,
    /// What they did.
    pub act: Option<HostAct>,
}

/// Data of `call.denied`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(test, derive(ts_rs::TS))]
#[serde(rename_all = "camelCase")]
pub struct Denied {
    /// When one may knock again, from now.
    pub retry_after_ms: u64,
}

/// Mute-all leaves people the choice, unless the host says otherwise.
const fn yes() -> bool {
    true
}

impl ClientBody {
    /// What a frame of a host does, and where; `None`: it is another frame.
    ///
    /// # Errors
    /// `bad_request` (`target`): it does not say whom it concerns.
    pub fn host_act(&self) -> Result<Option<(RoomId, HostAct)>, Refusal> {
        Ok(Some(match self.clone() {
            Self::CallMuteAll(it) => (it.room_id, HostAct::MuteAll { muted: it.muted, may_unmute: it.may_unmute }),
            Self::CallDisable(Disable { room_id, target, source, disabled }) => {
                (room_id, HostAct::Disable { target: Whom::said(target)?, source, disabled })
            }
            Self::CallSpotlight(it) => (it.room_id, HostAct::Spotlight { participant_id: it.participant_id }),
            Self::CallLock(it) => (it.room_id, HostAct::Lock { locked: it.locked }),
            Self::CallWaitingRoom(it) => (it.room_id, HostAct::WaitingRoom { enabled: it.enabled }),
            Self::CallAdmit(it) => (it.room_id, HostAct::Admit { target: Whom::said(it.target)? }),
            Self::CallDeny(it) => (it.room_id, HostAct::Deny { user_id: it.user_id }),
            Self::CallRemove(RemoveFromCall { room_id, user_id, for_good, reason }) => {
                (room_id, HostAct::Remove { user_id, for_good, reason })
            }
            Self::CallEnd(it) => (it.room_id, HostAct::End),
            _ => return Ok(None),
        }))
    }
}
