use bytes::Bytes;
use serde::{Deserialize, Serialize};

use super::{
    BlockChanged, ControlsChanged, Deleted, Denied, ErrorBody, JoinAnswered, JoinAsked, Layers, MessageBody,
    MessagePinned, PollVoted, QualityChanged, Reaction, Receipts, RecordingComposed, RecordingStarted,
    RecordingStarting, RecordingStopped, Slots, Speakers, ThreadChanged, TrackStopped, WebhookDisabled,
};
use crate::domain::{
    Epoch, Member, Message, ParticipantId, Position, Role, Room, RoomId, SessionId, SiteRole, Time, User, UserId,
    Waiting,
    attachment::Attachment,
    call::{Answer, Call, EndReason, Participant},
    direct::{Direct, DirectMessage},
    matching::{MatchEnded, MatchFound, MatchReady, MatchSearching, MatchTimeout},
    presence::Shown,
    reading::Unread,
    ring::{CallInvite, CallRecord},
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
    /// A token of another login of yours came twice: that login is over, and somebody may have had it.
    #[serde(rename = "login_reused")]
    LoginReused(LoginReused),
    /// Codes for your account were wrong, again and again: somebody may know the password.
    #[serde(rename = "codes_guessed")]
    CodesGuessed(CodesGuessed),
    /// Nothing is sent any more to a webhook that you keep.
    #[serde(rename = "webhook_disabled")]
    WebhookDisabled(WebhookDisabled),
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
    /// Somebody reacted to a message, or took that back.
    #[serde(rename = "reaction")]
    Reaction(Reaction),
    /// A message was pinned, or is no more.
    #[serde(rename = "message_pinned")]
    MessagePinned(MessagePinned),
    /// Somebody voted in a poll, or took that back.
    #[serde(rename = "poll_voted")]
    PollVoted(PollVoted),
    /// A thread has more or fewer replies, or was locked or unlocked.
    #[serde(rename = "thread_changed")]
    ThreadChanged(ThreadChanged),
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
    /// Somebody has no voice for a time, or has one again.
    #[serde(rename = "member_muted")]
    MemberMuted(MemberMuted),
    /// The room is settled anew.
    #[serde(rename = "room_updated")]
    RoomUpdated(RoomUpdated),
    /// The room is somebody else's.
    #[serde(rename = "room_owner")]
    RoomOwner(RoomOwner),
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
    /// To those who decide: somebody asks to be let into the room.
    #[serde(rename = "join_request")]
    JoinRequest(JoinAsked),
    /// To those who decide: somebody has answered such a request.
    #[serde(rename = "join_answered")]
    JoinAnswered(JoinAnswered),
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
    /// A direct room of yours is new or has changed.
    #[serde(rename = "dm_room")]
    DmRoom(Box<Direct>),
    /// Somebody wrote in a direct room of yours.
    #[serde(rename = "dm_message")]
    DmMessage(Box<DirectMessage>),
    /// You block somebody, by another device, or no more.
    #[serde(rename = "block")]
    Block(BlockChanged),
    /// Somebody rings you.
    #[serde(rename = "call_invite")]
    CallInvite(CallInvite),
    /// How a call stands that you ring or are rung for.
    #[serde(rename = "call.ring")]
    CallRing(CallRecord),
    /// What became of a file that you uploaded.
    #[serde(rename = "file.checked")]
    FileChecked(Attachment),
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
    /// What you have not read in a room is something else now.
    #[serde(rename = "unread")]
    Unread(Unread),
    /// Others have read further.
    #[serde(rename = "receipts")]
    Receipts(Receipts),
    /// Somebody whom you know is seen as something else.
    #[serde(rename = "presence")]
    Presence(Shown),
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

/// Data of `login_reused`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(test, derive(ts_rs::TS))]
#[serde(rename_all = "camelCase")]
pub struct LoginReused {
    /// What that login's device said of itself, in words.
    pub device: Option<String>,
}

/// Data of `codes_guessed`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(test, derive(ts_rs::TS))]
#[serde(rename_all = "camelCase")]
pub struct CodesGuessed {
    /// How many were wrong since the last login.
    #[cfg_attr(test, ts(type = "number"))]
    pub count: u64,
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
    /// What you have not read; `null` where nothing is kept of that.
    pub unread: Option<Unread>,
}

/// What you are in a room.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(test, derive(ts_rs::TS))]
pub struct You {
    /// Your role.
    pub role: Role,
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

/// Data of `member_muted`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(test, derive(ts_rs::TS))]
#[serde(rename_all = "camelCase")]
pub struct MemberMuted {
    /// Who.
    pub user_id: UserId,
    /// Until when; `null`: they have a voice.
    pub until: Option<Time>,
}

/// Data of `room_updated`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(test, derive(ts_rs::TS))]
pub struct RoomUpdated {
    /// The room from now on.
    pub room: Box<Room>,
}

/// Data of `room_owner`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(test, derive(ts_rs::TS))]
#[serde(rename_all = "camelCase")]
pub struct RoomOwner {
    /// Whose it is from now on.
    pub user_id: UserId,
    /// Who is an admin from now on.
    pub former_id: Option<UserId>,
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
