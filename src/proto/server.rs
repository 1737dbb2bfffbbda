use bytes::Bytes;
use serde::{Deserialize, Serialize};

use super::{
    ControlsChanged, Denied, ErrorBody, Layers, QualityChanged, RecordingComposed, RecordingStarted, RecordingStarting,
    RecordingStopped, Slots, Speakers, TrackStopped,
};
use crate::domain::{
    Epoch, Event, Fact, Member, Message, MessageId, Notice, ParticipantId, Position, Refusal, Role, Room, RoomId,
    SessionId, SiteRole, Time, Told, User, UserId, Waiting,
    call::{Answer, Call, EndReason, Participant},
    matching::{MatchEnded, MatchFound, MatchReady, MatchSearching, MatchTimeout},
    room::LeftReason,
};

/// A frame from the server.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(test, derive(ts_rs::TS))]
#[serde(rename_all = "camelCase")]
pub struct ServerFrame {
    /// What it says.
    #[serde(flatten)]
    pub body: ServerBody,
    /// The room that it is about.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(test, ts(optional))]
    pub room_id: Option<RoomId>,
    /// The stream that its offset belongs to.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(test, ts(optional))]
    pub epoch: Option<Epoch>,
    /// Its place in the room's stream.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(test, ts(optional))]
    pub offset: Option<u64>,
    /// The id of the request that it answers.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(test, ts(optional))]
    pub id: Option<String>,
}

/// What the server says.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(test, derive(ts_rs::TS))]
#[serde(tag = "type", content = "data")]
pub enum ServerBody {
    /// The login holds.
    #[serde(rename = "authenticated")]
    Authenticated(Authenticated),
    /// You are something else on the site from now on.
    #[serde(rename = "site_role")]
    SiteRole(SiteRoleChanged),
    /// The access token expires soon.
    #[serde(rename = "token_expiring")]
    TokenExpiring(TokenExpiring),
    /// To `ping`.
    #[serde(rename = "pong")]
    Pong(Empty),
    /// Done; there is nothing else to say.
    #[serde(rename = "ok")]
    Ok(Empty),
    /// Not done.
    #[serde(rename = "error")]
    Error(ErrorBody),
    /// The room as it is.
    #[serde(rename = "room_state")]
    RoomState(RoomState),
    /// Somebody wrote.
    #[serde(rename = "new_message")]
    NewMessage(MessageBody),
    /// Somebody changed a message.
    #[serde(rename = "message_edited")]
    MessageEdited(MessageBody),
    /// A message is gone.
    #[serde(rename = "message_deleted")]
    MessageDeleted(Deleted),
    /// Somebody types.
    #[serde(rename = "typing")]
    Typing(Typist),
    /// Somebody came in.
    #[serde(rename = "member_joined")]
    MemberJoined(MemberChanged),
    /// Somebody is no longer there.
    #[serde(rename = "member_left")]
    MemberLeft(Left),
    /// Somebody has another role.
    #[serde(rename = "member_role")]
    MemberRole(RoleChanged),
    /// You were removed from the room.
    #[serde(rename = "removed")]
    Removed(Removed),
    /// The answer to an offer.
    #[serde(rename = "call.answer")]
    CallAnswer(Answer),
    /// A participant is new or has changed.
    #[serde(rename = "call.participant")]
    CallParticipant(ParticipantBody),
    /// A participant is gone.
    #[serde(rename = "call.participant_left")]
    CallParticipantLeft(ParticipantLeft),
    /// These slots show something else now.
    #[serde(rename = "slots")]
    Slots(Slots),
    /// Which layers of a track of yours anybody watches.
    #[serde(rename = "call.layers")]
    CallLayers(Layers),
    /// The server lets a track of yours through no more.
    #[serde(rename = "track.stopped")]
    TrackStopped(TrackStopped),
    /// What these participants' lines are like now.
    #[serde(rename = "call.quality")]
    CallQuality(QualityChanged),
    /// Who is heard, loudest first.
    #[serde(rename = "call.speakers")]
    CallSpeakers(Speakers),
    /// How many watch a live room's call now.
    #[serde(rename = "call.viewers")]
    CallViewers(Viewers),
    /// Your part in the call is over.
    #[serde(rename = "call.ended")]
    CallEnded(CallEnded),
    /// A host did something, and this holds from now on.
    #[serde(rename = "call.controls")]
    CallControls(ControlsChanged),
    /// To hosts: who waits to be let in.
    #[serde(rename = "call.waiting")]
    CallWaiting(Waiting),
    /// You are let in: join the room again.
    #[serde(rename = "call.admitted")]
    CallAdmitted(Empty),
    /// You are not let in.
    #[serde(rename = "call.denied")]
    CallDenied(Denied),
    /// The call will be recorded; nothing is written yet.
    #[serde(rename = "recording.starting")]
    RecordingStarting(RecordingStarting),
    /// The call is recorded from now on.
    #[serde(rename = "recording.started")]
    RecordingStarted(RecordingStarted),
    /// The call is recorded no more.
    #[serde(rename = "recording.stopped")]
    RecordingStopped(RecordingStopped),
    /// How far the one file of all is that you asked for.
    #[serde(rename = "recording.composed")]
    RecordingComposed(RecordingComposed),
    /// You search for a stranger.
    #[serde(rename = "match.searching")]
    MatchSearching(MatchSearching),
    /// A stranger was found.
    #[serde(rename = "match.found")]
    MatchFound(MatchFound),
    /// Both have accepted.
    #[serde(rename = "match.ready")]
    MatchReady(MatchReady),
    /// The match is over, or another place of yours searches now.
    #[serde(rename = "match.ended")]
    MatchEnded(MatchEnded),
    /// Nobody was found.
    #[serde(rename = "match.timeout")]
    MatchTimeout(MatchTimeout),
    /// The server stops.
    #[serde(rename = "go_away")]
    GoAway(GoAway),
}

/// Data of a frame that says it all by its type.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[cfg_attr(test, derive(ts_rs::TS), ts(type = "Record<string, never>"))]
pub struct Empty {}

/// Data of `authenticated`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(test, derive(ts_rs::TS))]
#[serde(rename_all = "camelCase")]
pub struct Authenticated {
    /// Who you are.
    pub user: User,
    /// The session.
    pub session_id: SessionId,
    /// What takes the session up on another socket, once, within the time that a seat is kept.
    pub resume_token: String,
    /// Whether a session was taken up.
    pub resumed: bool,
    /// The server's clock.
    pub server_time: Time,
    /// How often the server pings.
    pub ping_every_ms: u64,
}

/// Data of `site_role`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(test, derive(ts_rs::TS))]
pub struct SiteRoleChanged {
    /// From now on.
    pub role: SiteRole,
}

/// Data of `token_expiring`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(test, derive(ts_rs::TS))]
#[serde(rename_all = "camelCase")]
pub struct TokenExpiring {
    /// How long the socket stays open without a new token.
    pub grace_ms: u64,
}

/// Data of `room_state`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(test, derive(ts_rs::TS))]
#[serde(rename_all = "camelCase")]
pub struct RoomState {
    /// The room.
    pub room: Room,
    /// You in it.
    pub you: You,
    /// Who is there, up to 100 of them.
    pub members: Vec<Member>,
    /// How many are there.
    pub online: u32,
    /// The last messages, oldest first; empty when the missed events follow.
    pub messages: Vec<Message>,
    /// Whether the events since the client's position follow; `null` when it named none.
    pub recovered: Option<bool>,
    /// The room's call; `null` in a room that has none.
    pub call: Option<Call>,
}

/// What you are in a room.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(test, derive(ts_rs::TS))]
pub struct You {
    /// Your role.
    pub role: Role,
}

/// Data of `new_message` and `message_edited`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(test, derive(ts_rs::TS))]
pub struct MessageBody {
    /// The message.
    pub message: Message,
}

/// Data of `message_deleted`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(test, derive(ts_rs::TS))]
#[serde(rename_all = "camelCase")]
pub struct Deleted {
    /// Which.
    pub message_id: MessageId,
    /// By whom.
    pub by: UserId,
}

/// Data of the server's `typing`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(test, derive(ts_rs::TS))]
#[serde(rename_all = "camelCase")]
pub struct Typist {
    /// Who.
    pub user_id: UserId,
    /// The name they chose.
    pub nickname: String,
    /// Whether they still do.
    pub typing: bool,
}

/// Data of `member_joined`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(test, derive(ts_rs::TS))]
pub struct MemberChanged {
    /// Who.
    pub member: Member,
}

/// Data of `member_left`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(test, derive(ts_rs::TS))]
#[serde(rename_all = "camelCase")]
pub struct Left {
    /// Who.
    pub user_id: UserId,
    /// Why.
    pub reason: LeftReason,
}

/// Data of `member_role`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(test, derive(ts_rs::TS))]
#[serde(rename_all = "camelCase")]
pub struct RoleChanged {
    /// Who.
    pub user_id: UserId,
    /// From now on.
    pub role: Role,
}

/// Data of `removed`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(test, derive(ts_rs::TS))]
#[serde(rename_all = "camelCase")]
pub struct Removed {
    /// From where.
    pub room_id: RoomId,
    /// What the moderator said.
    pub reason: Option<String>,
}

/// Data of `call.participant`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(test, derive(ts_rs::TS))]
pub struct ParticipantBody {
    /// Who, and all they publish.
    pub participant: Participant,
}

/// Data of `call.participant_left`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(test, derive(ts_rs::TS))]
#[serde(rename_all = "camelCase")]
pub struct ParticipantLeft {
    /// Which.
    pub participant_id: ParticipantId,
    /// Whose connection it was.
    pub user_id: UserId,
    /// Why.
    pub reason: LeftReason,
}

/// Data of `call.viewers`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(test, derive(ts_rs::TS))]
pub struct Viewers {
    /// How many.
    pub viewers: u32,
}

/// Data of `call.ended`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(test, derive(ts_rs::TS))]
pub struct CallEnded {
    /// Why.
    pub reason: EndReason,
    /// Which host did it, where one did.
    pub by: Option<UserId>,
}

/// Data of `go_away`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(test, derive(ts_rs::TS))]
#[serde(rename_all = "camelCase")]
pub struct GoAway {
    /// When to connect again, after the socket closed.
    pub reconnect_after_ms: u64,
    /// Why.
    pub reason: String,
}

impl ServerFrame {
    /// A frame about no room, to no request.
    pub fn new(body: ServerBody) -> Self {
        Self { body, room_id: None, epoch: None, offset: None, id: None }
    }

    /// The reply to the request of that id (if it had one).
    pub fn reply(id: Option<String>, body: ServerBody) -> Self {
        Self { id, ..Self::new(body) }
    }

    /// `ok` to the request of that id.
    pub fn ok(id: Option<String>) -> Self {
        Self::reply(id, ServerBody::Ok(Empty {}))
    }

    /// `error` to the request of that id.
    pub fn error(id: Option<String>, error: impl Into<ErrorBody>) -> Self {
        Self::reply(id, ServerBody::Error(error.into()))
    }

    /// The same about a room.
    #[must_use]
    pub fn in_room(self, room: RoomId) -> Self {
        Self { room_id: Some(room), ..self }
    }

    /// The same at a place of the room's stream.
    #[must_use]
    pub fn at(self, position: Position) -> Self {
        Self { epoch: Some(position.epoch), offset: Some(position.offset), ..self }
    }

    /// The text of the frame.
    pub fn encode(&self) -> Bytes {
        serde_json::to_vec(self).expect("frames have string keys and no value that JSON lacks").into()
    }
}

impl From<&Event> for ServerFrame {
    fn from(event: &Event) -> Self {
        let frame = Self::new(body_of(event)).in_room(event.room);
        match event.position {
            Some(position) => frame.at(position),
            None => frame,
        }
    }
}

impl From<&Notice> for ServerFrame {
    fn from(notice: &Notice) -> Self {
        match notice.told.clone() {
            Told::Banned { reason, until } => Self::error(None, &Refusal::Banned { reason, until }),
            Told::RecordingComposed { recording: recording_id, composed } => {
                Self::new(ServerBody::RecordingComposed(RecordingComposed { recording_id, composed }))
            }
            Told::SiteRole { role } => Self::new(ServerBody::SiteRole(SiteRoleChanged { role })),
            Told::Admitted { room } => Self::new(ServerBody::CallAdmitted(Empty {})).in_room(room),
            Told::Denied { room, retry_after_ms } => {
                Self::new(ServerBody::CallDenied(Denied { retry_after_ms })).in_room(room)
            }
            Told::Match(news) => news.into(),
        }
    }
}

fn body_of(event: &Event) -> ServerBody {
    match event.fact.clone() {
        Fact::MessageSent(message) => ServerBody::NewMessage(MessageBody { message }),
        Fact::MessageEdited(message) => ServerBody::MessageEdited(MessageBody { message }),
        Fact::MessageDeleted { message: message_id, by } => ServerBody::MessageDeleted(Deleted { message_id, by }),
        Fact::MemberRole { user: user_id, role } => ServerBody::MemberRole(RoleChanged { user_id, role }),
        Fact::MemberJoined(member) => ServerBody::MemberJoined(MemberChanged { member }),
        Fact::MemberLeft { user: user_id, reason, .. } => ServerBody::MemberLeft(Left { user_id, reason }),
        Fact::Typing { user: user_id, nickname, typing } => ServerBody::Typing(Typist { user_id, nickname, typing }),
        Fact::Removed { reason } => ServerBody::Removed(Removed { room_id: event.room, reason }),
        Fact::CallParticipant(participant) => ServerBody::CallParticipant(ParticipantBody { participant }),
        Fact::CallParticipantLeft { participant: participant_id, user: user_id, reason } => {
            ServerBody::CallParticipantLeft(ParticipantLeft { participant_id, user_id, reason })
        }
        Fact::CallAnswer(answer) => ServerBody::CallAnswer(answer),
        Fact::CallSlots(slots) => ServerBody::Slots(Slots { slots }),
        Fact::CallLayers { track: track_id, layers } => ServerBody::CallLayers(Layers { track_id, layers }),
        Fact::CallViewers(viewers) => ServerBody::CallViewers(Viewers { viewers }),
        Fact::CallQuality(participants) => ServerBody::CallQuality(QualityChanged { participants }),
        Fact::CallSpeakers(speakers) => ServerBody::CallSpeakers(Speakers { speakers }),
        Fact::TrackStopped { track: track_id, source, reason, by, may_unmute } => {
            ServerBody::TrackStopped(TrackStopped { track_id, source, reason, by, may_unmute })
        }
        Fact::CallEnded { reason, by } => ServerBody::CallEnded(CallEnded { reason, by }),
        Fact::CallControls { controls, by, act } => ServerBody::CallControls(ControlsChanged { controls, by, act }),
        Fact::CallWaiting(waiting) => ServerBody::CallWaiting(waiting),
        Fact::RecordingStarting { recording: recording_id, starts_in_ms, by: started_by } => {
            ServerBody::RecordingStarting(RecordingStarting { recording_id, starts_in_ms, started_by })
        }
        Fact::RecordingStarted { recording: recording_id, at: started_at } => {
            ServerBody::RecordingStarted(RecordingStarted { recording_id, started_at })
        }
        Fact::RecordingStopped { recording: recording_id, reason } => {
            ServerBody::RecordingStopped(RecordingStopped { recording_id, reason })
        }
    }
}
