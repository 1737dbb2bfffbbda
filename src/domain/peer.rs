//! What the nodes of one site tell each other, beside events and notices.

use serde::{Deserialize, Serialize};

use super::{CallId, LoginChange, Member, RoomId, UserId, presence::Announcement, ring::RingAct, room::LeftReason};

/// What one node tells all others. It says how things are, so that to hear it twice, or late, does no harm.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum PeerWord {
    /// Somebody is in a room there now.
    Came {
        /// Where.
        room: RoomId,
        /// Who.
        member: Member,
    },
    /// Somebody is in a room there no more.
    Went {
        /// Where.
        room: RoomId,
        /// Who.
        user: UserId,
        /// Why.
        reason: LeftReason,
    },
    /// These are in rooms there: told again and again, so that whoever is told of no more is gone.
    Present(Vec<(RoomId, Vec<Member>)>),
    /// The node stops: nobody is there any more.
    Stopping,
    /// Somebody has to leave a room, by whatever node they are in it.
    PutOut {
        /// Where.
        room: RoomId,
        /// Who.
        user: UserId,
        /// Why.
        reason: LeftReason,
    },
    /// Somebody has another role in a room.
    Role {
        /// Where.
        room: RoomId,
        /// Who.
        user: UserId,
    },
    /// The door of a room is another one.
    Door(RoomId),
    /// Somebody does something about a call that rings on another node.
    Ring {
        /// Which.
        call: CallId,
        /// Who.
        user: UserId,
        /// What.
        act: RingAct,
    },
    /// What became of logins.
    Login(LoginChange),
    /// What people of that node show of themselves.
    Shown(Vec<Announcement>),
    /// Somebody wants to be seen as something else: the database says as what.
    Wished(UserId),
    /// What was let through there, of what is limited across nodes.
    Spent(Vec<Spent>),
}

/// A deed that one node has let through.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Spent {
    /// Whose, and by which rule, as the meter knows it.
    pub key: serde_json::Value,
    /// How far it puts the meter forward, in nanoseconds.
    pub cost_ns: u64,
}
