//! What happens, as one value that travels from the store over the bus to the sessions.

use std::fmt;

use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::{
    Controls, HostAct, Member, Message, MessageId, ParticipantId, RecordingId, Role, Room, RoomId, SessionId, Time,
    TrackId, UserId, Waiting,
    call::{Answer, EndReason, Participant, Slot, Speaker, StopReason, TrackSource},
    message::Thread,
    quality::Rated,
    reading::Receipt,
    recording::RecordingStop,
    room::LeftReason,
};

/// Something that happened in a room.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Event {
    /// Where.
    pub room: RoomId,
    /// Whom it concerns.
    pub to: Audience,
    /// Its place in the room's durable stream. `None`: ephemeral, never stored and never replayed.
    pub position: Option<Position>,
    /// Whose request caused it.
    pub origin: Option<Origin>,
    /// Who of them is not told: they and whoever it tells of have a block between them. In order, and only in ephemeral events: what
    /// has a place in the stream everybody knows.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub unseen_by: Vec<UserId>,
    /// What.
    pub fact: Fact,
}

/// Whom an event concerns.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Audience {
    /// Everybody in the room.
    Everyone,
    /// All sessions of one person in the room.
    User(UserId),
    /// One session.
    Session(SessionId),
}

/// The request that caused an event, so that its sender's copy can carry the request's id.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Origin {
    /// Who asked.
    pub session: SessionId,
    /// The id that the client gave the request.
    pub request: Option<String>,
}

/// A place in a room's stream. Offsets of one epoch grow by one, from 1, without gap; 0 is before the first event.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Position {
    /// Which stream.
    pub epoch: Epoch,
    /// Which event of it.
    pub offset: u64,
}

/// One unbroken stream of a room: another epoch means that offsets cannot be compared.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[cfg_attr(test, derive(ts_rs::TS), ts(type = "string"))]
#[serde(transparent)]
pub struct Epoch(Uuid);

impl Epoch {
    /// A new stream.
    #[expect(clippy::new_without_default, reason = "each call makes another value, which Default does not suggest")]
    pub fn new() -> Self {
        Self(Uuid::now_v7())
    }

    /// The epoch that the database or the wire named.
    pub const fn from_uuid(uuid: Uuid) -> Self {
        Self(uuid)
    }

    /// The epoch as the database takes it.
    pub const fn as_uuid(self) -> Uuid {
        self.0
    }
}

impl fmt::Display for Epoch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl fmt::Debug for Epoch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Epoch({})", self.0)
    }
}

/// What happened.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Fact {
    /// A message was written. Durable.
    MessageSent(Box<Message>),
    /// Its author changed a message. Durable.
    MessageEdited(Box<Message>),
    /// A message was taken back or away. Durable.
    MessageDeleted {
        /// Which.
        message: MessageId,
        /// By whom.
        by: UserId,
    },
    /// Somebody reacted to a message, or took that back. Durable.
    MessageReacted {
        /// To which.
        message: MessageId,
        /// With what.
        emoji: String,
        /// Who.
        user: UserId,
        /// Whether they did or took it back.
        added: bool,
        /// How many react so now.
        count: u32,
    },
    /// A message was pinned, or is no more. Durable.
    MessagePinned {
        /// Which.
        message: MessageId,
        /// Since when; `None`: no more.
        pinned_at: Option<Time>,
        /// By whom.
        by: UserId,
    },
    /// Somebody voted in a poll, or took that back. Durable.
    PollVoted {
        /// The message that asks.
        message: MessageId,
        /// How many chose each answer now, in their order.
        votes: Vec<u32>,
        /// How many have voted.
        voters: u32,
    },
    /// A thread has more or fewer replies, or was locked or unlocked. Durable.
    ThreadChanged {
        /// The message with which it begins.
        message: MessageId,
        /// The thread as it is now; `None`: there is none any more.
        thread: Option<Thread>,
    },
    /// Somebody has another role in the room. Durable.
    MemberRole {
        /// Who.
        user: UserId,
        /// From now on.
        role: Role,
    },
    /// A member has no voice until then, or has one again. Durable.
    MemberMuted {
        /// Who.
        user: UserId,
        /// Until when; `None`: they have one.
        until: Option<Time>,
    },
    /// The room's owners have settled something else, have put it away or taken it out again. Durable.
    RoomUpdated(Box<Room>),
    /// The room is somebody else's. Durable.
    RoomOwner {
        /// Whose from now on.
        user: UserId,
        /// Who is an admin from now on; `None`: nobody had it.
        former: Option<UserId>,
    },
    /// Somebody came in.
    MemberJoined(Member),
    /// Somebody is no longer there.
    MemberLeft {
        /// Who.
        user: UserId,
        /// Why.
        reason: LeftReason,
        /// Which of their stays is over: who came back meanwhile has a later one.
        #[serde(skip)]
        stay: u64,
    },
    /// Somebody types, or stopped. May be lost.
    Typing {
        /// Who.
        user: UserId,
        /// The name they chose.
        nickname: String,
        /// Whether they still do.
        typing: bool,
    },
    /// So far these people have read now. May be lost.
    Receipts(Vec<Receipt>),
    /// To the person who was removed: the room is over for them.
    Removed {
        /// What the moderator said.
        reason: Option<String>,
    },
    /// A participant is new in the call or has changed.
    CallParticipant(Participant),
    /// A participant is no longer in the call.
    CallParticipantLeft {
        /// Which.
        participant: ParticipantId,
        /// Whose connection it was.
        user: UserId,
        /// Why.
        reason: LeftReason,
    },
    /// So many watch a live room's call now. May be lost.
    CallViewers(u32),
    /// To one session: the answer to its offer, in its place among what is told of the call.
    CallAnswer(Answer),
    /// To one session: these slots show something else now.
    CallSlots(Vec<Slot>),
    /// To the publisher: which layers of its track anybody watches, lowest first.
    CallLayers {
        /// Which.
        track: TrackId,
        /// Whether the layer is watched.
        layers: Vec<bool>,
    },
    /// Participants whose line is another than it was.
    CallQuality(Vec<Rated>),
    /// Who is heard, loudest first. May be lost.
    CallSpeakers(Vec<Speaker>),
    /// To the publisher: the server lets this track through no more.
    TrackStopped {
        /// Which.
        track: TrackId,
        /// From where.
        source: TrackSource,
        /// Why.
        reason: StopReason,
        /// Which host did it.
        by: Option<UserId>,
        /// Whether the publisher may open it again.
        may_unmute: bool,
    },
    /// To one session: its part in the call is over.
    CallEnded {
        /// Why.
        reason: EndReason,
        /// Which host did it.
        by: Option<UserId>,
    },
    /// A host did something; this holds for the call from now on.
    CallControls {
        /// All of it.
        controls: Controls,
        /// Who did it; `None`: nobody, the one whom all were to see has left.
        by: Option<UserId>,
        /// What they did.
        act: Option<HostAct>,
    },
    /// To the hosts: who waits to be let in, or how that has changed.
    CallWaiting(Waiting),
    /// The call will be recorded; nothing is written yet.
    RecordingStarting {
        /// Which recording.
        recording: RecordingId,
        /// How long until something is written, in milliseconds.
        starts_in_ms: u64,
        /// Who wanted it.
        by: UserId,
    },
    /// The call is recorded from now on.
    RecordingStarted {
        /// Which recording.
        recording: RecordingId,
        /// When it began.
        at: Time,
    },
    /// The call is recorded no more.
    RecordingStopped {
        /// Which recording.
        recording: RecordingId,
        /// Why.
        reason: RecordingStop,
    },
}

impl Event {
    /// An ephemeral event for everybody in the room.
    pub fn ephemeral(room: RoomId, fact: Fact) -> Self {
        Self { room, to: Audience::Everyone, position: None, origin: None, unseen_by: Vec::new(), fact }
    }

    /// An ephemeral event for one session.
    pub fn to_session(room: RoomId, session: SessionId, fact: Fact) -> Self {
        Self { to: Audience::Session(session), ..Self::ephemeral(room, fact) }
    }

    /// An ephemeral event for all sessions of one person in the room.
    pub fn to_user(room: RoomId, user: UserId, fact: Fact) -> Self {
        Self { to: Audience::User(user), ..Self::ephemeral(room, fact) }
    }

    /// Whether nobody is harmed when this event is lost, because the next one of its kind says it all again.
    pub fn may_be_lost(&self) -> bool {
        matches!(self.fact, Fact::Typing { .. } | Fact::Receipts(_) | Fact::CallSpeakers(_) | Fact::CallViewers(_))
    }
}
