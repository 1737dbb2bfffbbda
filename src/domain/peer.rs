//! What the nodes of one site tell each other, beside events and notices.

use serde::{Deserialize, Serialize};

use super::{
    CallId, Caller, Event, LoginChange, Member, NodeId, RoomId, SessionChange, SessionId, UserId, call::Call,
    presence::Announcement, ring::RingAct, room::LeftReason,
};

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
    /// Nobody takes part any more in the call of a room, which lives there.
    Emptied(RoomId),
    /// What became of logins.
    Login(LoginChange),
    /// What people of that node show of themselves.
    Shown(Vec<Announcement>),
    /// Somebody wants to be seen as something else: the database says as what.
    Wished(UserId),
    /// What was let through there, of what is limited across nodes.
    Spent(Vec<Spent>),
    /// One node is to do something for a session or request of another.
    Errand {
        /// Who is to do it.
        to: NodeId,
        /// Which errand of the asking node's it is.
        number: u64,
        /// What.
        errand: Box<Errand>,
    },
    /// What became of an errand.
    Outcome {
        /// Who asked.
        to: NodeId,
        /// Which it was.
        number: u64,
        /// What became of it.
        outcome: Box<Outcome>,
    },
    /// One node tells a session of another, which is its guest, these frames.
    Frames {
        /// Where the session is at home.
        to: NodeId,
        /// Which session.
        session: SessionId,
        /// How many were told it before these: what was lost on the way shows by that.
        before: u64,
        /// The texts.
        frames: Vec<String>,
    },
    /// What became of a session's socket, for a node where it is a guest.
    Guest {
        /// Where it is one.
        to: NodeId,
        /// What.
        change: SessionChange,
    },
    /// These sessions are guests there: what is over of them is to be said again, should that word have been lost.
    Known {
        /// Where they are at home.
        to: NodeId,
        /// Which.
        sessions: Vec<SessionId>,
    },
    /// Two do not want to meet from now on: one has blocked the other, or reported them.
    Apart {
        /// Who did.
        by: UserId,
        /// Whom.
        whom: UserId,
        /// Whether they are blocked, and not only reported.
        blocked: bool,
    },
    /// One blocks the other no more, and neither does the other.
    Reconciled([UserId; 2]),
}

impl PeerWord {
    /// The node that it is for; `None`: all of them.
    pub fn addressee(&self) -> Option<NodeId> {
        match self {
            Self::Errand { to, .. }
            | Self::Outcome { to, .. }
            | Self::Frames { to, .. }
            | Self::Guest { to, .. }
            | Self::Known { to, .. } => Some(*to),
            _ => None,
        }
    }
}

/// The name by which nodes know where a room's call lives.
pub fn call_of(room: RoomId) -> String {
    format!("{CALL_OF}{room}")
}

/// The room whose call has that name.
pub fn room_of(thing: &str) -> Option<RoomId> {
    thing.strip_prefix(CALL_OF)?.parse().ok()
}

/// The name by which nodes know where a room lives with all that is written in it.
pub fn stream_of(room: RoomId) -> String {
    format!("stream:{room}")
}

/// The name by which nodes know where strangers are put together.
pub const MATCHER: &str = "matcher";
const CALL_OF: &str = "call:";

/// A session of another node.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Visitor {
    /// Which.
    pub session: SessionId,
    /// Whose, as its own node knows them.
    pub caller: Caller,
}

/// What one node does for another.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Errand {
    /// Do what this frame of a session asks for.
    Frame {
        /// Whose.
        visitor: Visitor,
        /// In which room's call it needs a seat for that. `None`: it sits where its own frames have brought it.
        call_of: Option<RoomId>,
        /// The frame.
        text: String,
    },
    /// May this session come into the room whose call lives there, and how is that call?
    Knock {
        /// Who.
        visitor: Visitor,
        /// Where.
        room: RoomId,
        /// The id of the client's request, should it be refused.
        request: Option<String>,
    },
    /// Answer a request of HTTP.
    Request(Exchange),
}

impl Errand {
    /// For which session it is; `None`: for a request of HTTP.
    pub fn session(&self) -> Option<SessionId> {
        match self {
            Self::Frame { visitor, .. } | Self::Knock { visitor, .. } => Some(visitor.session),
            Self::Request(_) => None,
        }
    }
}

/// What became of an errand.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Outcome {
    /// It is done, or refused; whom it concerns has been told by frames.
    Done,
    /// They may come in, and so the call is.
    Open {
        /// The call.
        call: Box<Call>,
        /// What concerns them alone.
        then: Vec<Event>,
    },
    /// What it was for does not live there.
    Elsewhere,
    /// The answer to a request of HTTP: `target` is its status.
    Answer(Exchange),
}

/// A request of HTTP, or the answer to one.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Exchange {
    /// Method and target, or the status.
    pub line: [String; 2],
    /// From where it was asked, as the edge saw it.
    pub address: std::net::IpAddr,
    /// The headers that say something at the other end.
    pub headers: Vec<(String, String)>,
    /// The body.
    pub body: String,
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
