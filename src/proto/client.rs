use std::borrow::Cow;

use serde::{Deserialize, Serialize};

use super::{
    Admit, DeleteMessage, Deny, Disable, EditMessage, Empty, ErrorCode, FRAME_LIMIT, LOGIN_FRAME_LIMIT, Lock,
    LockThread, MarkRead, MatchConfirm, MatchStart, MuteAll, OFFER_FRAME_LIMIT, OfCall, PinMessage, REQUEST_ID_LIMIT,
    React, RemoveFromCall, SendMessage, ShowPresence, Spotlight, StartCall, Vote, WaitingRoom,
};
use crate::domain::{
    Epoch, Role, RoomId, TrackId, UserId,
    call::{OfferedSource, View},
};

/// A frame from a client.
#[derive(Clone, Debug, PartialEq)]
pub struct ClientFrame {
    /// The client's own name for this request; the reply carries it.
    pub id: Option<String>,
    /// What it wants.
    pub body: ClientBody,
}

/// What a client may say.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(test, derive(ts_rs::TS))]
#[serde(tag = "type", content = "data")]
pub enum ClientBody {
    /// Log in, or renew the login of a live socket.
    #[serde(rename = "authenticate")]
    Authenticate(Authenticate),
    /// Ask for a `pong`.
    #[serde(rename = "ping")]
    Ping,
    /// Come into a room, or say up to where its events are known.
    #[serde(rename = "join_room")]
    JoinRoom(JoinRoom),
    /// Leave a room.
    #[serde(rename = "leave_room")]
    LeaveRoom(InRoom),
    /// Write.
    #[serde(rename = "send_message")]
    SendMessage(SendMessage),
    /// Change a message of one's own.
    #[serde(rename = "edit_message")]
    EditMessage(EditMessage),
    /// Take a message back, or away.
    #[serde(rename = "delete_message")]
    DeleteMessage(DeleteMessage),
    /// React to a message, or take that back.
    #[serde(rename = "react")]
    React(React),
    /// Choose answers of a poll.
    #[serde(rename = "vote")]
    Vote(Vote),
    /// Pin a message, or no more.
    #[serde(rename = "pin_message")]
    PinMessage(PinMessage),
    /// Let nobody write in a thread any more, or again.
    #[serde(rename = "lock_thread")]
    LockThread(LockThread),
    /// Show that one is typing.
    #[serde(rename = "typing")]
    Typing(Typing),
    /// Put somebody out of the room.
    #[serde(rename = "remove_member")]
    RemoveMember(RemoveMember),
    /// Give somebody a role in the room.
    #[serde(rename = "set_member_role")]
    SetMemberRole(SetMemberRole),
    /// Set up one's connection to the call.
    #[serde(rename = "call.offer")]
    CallOffer(CallOffer),
    /// Say that the connection stands.
    #[serde(rename = "call.ready")]
    CallReady(InRoom),
    /// Say what one wants to see.
    #[serde(rename = "view")]
    View(ViewTracks),
    /// Mute a track of one's own.
    #[serde(rename = "call.mute")]
    CallMute(MuteTrack),
    /// Mute somebody else's track.
    #[serde(rename = "call.mute_track")]
    CallMuteTrack(MuteTrack),
    /// Leave the call, but not the room.
    #[serde(rename = "call.leave")]
    CallLeave(InRoom),
    /// Mute everybody, or end that.
    #[serde(rename = "call.mute_all")]
    CallMuteAll(MuteAll),
    /// Let nothing of a source through, or again.
    #[serde(rename = "call.disable")]
    CallDisable(Disable),
    /// Show one participant to everybody.
    #[serde(rename = "call.spotlight")]
    CallSpotlight(Spotlight),
    /// Let nobody new in, or again.
    #[serde(rename = "call.lock")]
    CallLock(Lock),
    /// Let people in one by one, or all at once again.
    #[serde(rename = "call.waiting_room")]
    CallWaitingRoom(WaitingRoom),
    /// Let in who waits.
    #[serde(rename = "call.admit")]
    CallAdmit(Admit),
    /// Send away who waits.
    #[serde(rename = "call.deny")]
    CallDeny(Deny),
    /// Put somebody out of the call.
    #[serde(rename = "call.remove")]
    CallRemove(RemoveFromCall),
    /// End the call for everybody.
    #[serde(rename = "call.end")]
    CallEnd(InRoom),
    /// Ring people, so that they come into the room's call.
    #[serde(rename = "start_call")]
    StartCall(StartCall),
    /// Say yes to a call that rings.
    #[serde(rename = "call.accept")]
    CallAccept(OfCall),
    /// Say no to a call that rings.
    #[serde(rename = "call.decline")]
    CallDecline(OfCall),
    /// Ring no more.
    #[serde(rename = "call.cancel")]
    CallCancel(OfCall),
    /// Search for a stranger.
    #[serde(rename = "match.start")]
    MatchStart(MatchStart),
    /// Say yes or no to a stranger.
    #[serde(rename = "match.confirm")]
    MatchConfirm(MatchConfirm),
    /// Leave this stranger and search for the next one.
    #[serde(rename = "match.next")]
    MatchNext(Empty),
    /// End the match or the search.
    #[serde(rename = "match.stop")]
    MatchStop(Empty),
    /// Say up to where one has read.
    #[serde(rename = "mark_read")]
    MarkRead(MarkRead),
    /// Let a message, and all after it, count as not read.
    #[serde(rename = "mark_unread")]
    MarkUnread(MarkRead),
    /// Say what this device shows of one's presence.
    #[serde(rename = "presence")]
    Presence(ShowPresence),
}

/// Data of `authenticate`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(test, derive(ts_rs::TS))]
pub struct Authenticate {
    /// The access token.
    pub token: String,
    /// The resume token of the socket that was lost.
    #[serde(default)]
    #[cfg_attr(test, ts(optional = nullable))]
    pub resume: Option<String>,
}

/// Data of the frames that name a room and nothing else.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(test, derive(ts_rs::TS))]
#[serde(rename_all = "camelCase")]
pub struct InRoom {
    /// Which.
    pub room_id: RoomId,
}

/// Data of `join_room`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(test, derive(ts_rs::TS))]
#[serde(rename_all = "camelCase")]
pub struct JoinRoom {
    /// Which.
    pub room_id: RoomId,
    /// The epoch of the last event that the client has seen.
    #[serde(default)]
    #[cfg_attr(test, ts(optional = nullable))]
    pub epoch: Option<Epoch>,
    /// The offset of the last event that the client has seen.
    #[serde(default)]
    #[cfg_attr(test, ts(optional = nullable))]
    pub offset: Option<u64>,
}

/// Data of `typing`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(test, derive(ts_rs::TS))]
#[serde(rename_all = "camelCase")]
pub struct Typing {
    /// Where.
    pub room_id: RoomId,
    /// Whether one types or has stopped.
    pub typing: bool,
}

/// Data of `remove_member`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(test, derive(ts_rs::TS))]
#[serde(rename_all = "camelCase")]
pub struct RemoveMember {
    /// Where.
    pub room_id: RoomId,
    /// Whom.
    pub user_id: UserId,
    /// What they are told.
    #[serde(default)]
    #[cfg_attr(test, ts(optional = nullable))]
    pub reason: Option<String>,
}

/// Data of `set_member_role`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(test, derive(ts_rs::TS))]
#[serde(rename_all = "camelCase")]
pub struct SetMemberRole {
    /// Where.
    pub room_id: RoomId,
    /// Whom.
    pub user_id: UserId,
    /// What they are from now on.
    pub role: Role,
}

/// Data of `call.offer`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(test, derive(ts_rs::TS))]
#[serde(rename_all = "camelCase")]
pub struct CallOffer {
    /// Where.
    pub room_id: RoomId,
    /// The SDP offer.
    pub sdp: String,
    /// What its send lines carry.
    pub tracks: Vec<OfferedSource>,
    /// Whether the person agrees to be recorded; needed where the call is.
    #[serde(default)]
    #[cfg_attr(test, ts(optional, as = "Option<bool>"))]
    pub accept_recording: bool,
}

/// Data of `view`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(test, derive(ts_rs::TS))]
#[serde(rename_all = "camelCase")]
pub struct ViewTracks {
    /// Where.
    pub room_id: RoomId,
    /// What, most important first.
    pub tracks: Vec<View>,
}

/// Data of `call.mute` and `call.mute_track`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(test, derive(ts_rs::TS))]
#[serde(rename_all = "camelCase")]
pub struct MuteTrack {
    /// Where.
    pub room_id: RoomId,
    /// Which.
    pub track_id: TrackId,
    /// Muted from now on, or no more.
    pub muted: bool,
}

/// Why a frame could not be taken.
#[derive(Clone, Debug, PartialEq)]
pub enum BadFrame {
    /// Over its limit: the socket closes with 1009.
    TooLarge,
    /// Answered by an `error`; the socket stays open.
    Unreadable {
        /// The request's id, where that much could be read.
        id: Option<String>,
        /// `bad_json`, `bad_frame` or `unknown_type`.
        code: ErrorCode,
        /// What is wrong with it, for the client's programmer.
        why: String,
    },
}

/// The part of a frame that every frame has.
#[derive(Deserialize)]
struct Envelope<'a> {
    #[serde(borrow, rename = "type")]
    kind: Cow<'a, str>,
    #[serde(default, borrow)]
    id: Option<Cow<'a, str>>,
}

impl ClientFrame {
    /// Reads one text frame. `logged_in` decides which size is allowed.
    ///
    /// # Errors
    /// [`BadFrame`] tells whether to answer or to close.
    pub fn parse(text: &str, logged_in: bool) -> Result<Self, BadFrame> {
        let limit = if logged_in { OFFER_FRAME_LIMIT } else { LOGIN_FRAME_LIMIT };
        if text.len() > limit {
            return Err(BadFrame::TooLarge);
        }
        let unreadable = |id, code, why: String| Err(BadFrame::Unreadable { id, code, why });
        let envelope: Envelope<'_> = match serde_json::from_str(text) {
            Ok(envelope) => envelope,
            Err(error) if error.is_data() => return unreadable(None, ErrorCode::BadFrame, error.to_string()),
            Err(error) => return unreadable(None, ErrorCode::BadJson, error.to_string()),
        };
        if text.len() > FRAME_LIMIT && envelope.kind != "call.offer" {
            return Err(BadFrame::TooLarge);
        }
        let id = envelope.id.map(Cow::into_owned);
        if id.as_ref().is_some_and(|id| id.chars().count() > REQUEST_ID_LIMIT) {
            let why = format!("`id` has more than {REQUEST_ID_LIMIT} characters");
            return unreadable(None, ErrorCode::BadFrame, why);
        }
        if envelope.kind == "ping" {
            return Ok(Self { id, body: ClientBody::Ping });
        }
        if !ClientBody::TYPES.contains(&envelope.kind.as_ref()) {
            return unreadable(id, ErrorCode::UnknownType, "no frame has this type".to_owned());
        }
        match serde_json::from_str(text) {
            Ok(body) => Ok(Self { id, body }),
            Err(error) => unreadable(id, ErrorCode::BadFrame, error.to_string()),
        }
    }
}

impl ClientBody {
    /// Every type that a client's frame may have.
    pub const TYPES: [&str; 40] = [
        "authenticate",
        "ping",
        "join_room",
        "leave_room",
        "send_message",
        "edit_message",
        "delete_message",
        "react",
        "vote",
        "pin_message",
        "lock_thread",
        "typing",
        "remove_member",
        "set_member_role",
        "call.offer",
        "call.ready",
        "view",
        "call.mute",
        "call.mute_track",
        "call.leave",
        "call.mute_all",
        "call.disable",
        "call.spotlight",
        "call.lock",
        "call.waiting_room",
        "call.admit",
        "call.deny",
        "call.remove",
        "call.end",
        "start_call",
        "call.accept",
        "call.decline",
        "call.cancel",
        "match.start",
        "match.confirm",
        "match.next",
        "match.stop",
        "mark_read",
        "mark_unread",
        "presence",
    ];
}

#[cfg(test)]
mod tests;
