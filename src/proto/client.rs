use std::borrow::Cow;

use serde::{Deserialize, Serialize};

use super::{
    Admit, Deny, Disable, Empty, ErrorCode, FRAME_LIMIT, LOGIN_FRAME_LIMIT, Lock, MatchConfirm, MatchStart, MuteAll,
    OFFER_FRAME_LIMIT, REQUEST_ID_LIMIT, RemoveFromCall, Spotlight, WaitingRoom,
};
use crate::domain::{
    Epoch, MessageId, Role, RoomId, TrackId, UserId,
    call::{OfferedSource, View},
    message::Content,
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

/// Data of `send_message`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(test, derive(ts_rs::TS))]
#[serde(rename_all = "camelCase")]
pub struct SendMessage {
    /// Where.
    pub room_id: RoomId,
    /// The client's own name for the message.
    pub client_id: String,
    /// What it says.
    pub content: Content,
    /// The message that it answers.
    #[serde(default)]
    #[cfg_attr(test, ts(optional = nullable))]
    pub reply_to: Option<MessageId>,
}

/// Data of `edit_message`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(test, derive(ts_rs::TS))]
#[serde(rename_all = "camelCase")]
pub struct EditMessage {
    /// Where.
    pub room_id: RoomId,
    /// Which.
    pub message_id: MessageId,
    /// What it says from now on.
    pub content: Content,
}

/// Data of `delete_message`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(test, derive(ts_rs::TS))]
#[serde(rename_all = "camelCase")]
pub struct DeleteMessage {
    /// Where.
    pub room_id: RoomId,
    /// Which.
    pub message_id: MessageId,
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
    pub const TYPES: [&str; 29] = [
        "authenticate",
        "ping",
        "join_room",
        "leave_room",
        "send_message",
        "edit_message",
        "delete_message",
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
        "match.start",
        "match.confirm",
        "match.next",
        "match.stop",
    ];
}

#[cfg(test)]
mod tests {
    use super::*;

    const ROOM: &str = "01938a5c-0000-7000-8000-000000000001";

    fn code(text: &str) -> (Option<String>, ErrorCode) {
        match ClientFrame::parse(text, true) {
            Err(BadFrame::Unreadable { id, code, .. }) => (id, code),
            other => panic!("{text}: {other:?}"),
        }
    }

    /// One example of each frame, as a client writes it.
    fn examples() -> Vec<String> {
        let message = "01938a5c-0000-7000-8000-00000000000a";
        let data = |rest: &str| format!(r#"{{"roomId":"{ROOM}"{rest}}}"#);
        let of = |kind: &str, data: String| format!(r#"{{"type":"{kind}","id":"7","data":{data}}}"#);
        vec![
            of("authenticate", r#"{"token":"T","resume":null}"#.to_owned()),
            r#"{"type":"ping"}"#.to_owned(),
            of("join_room", data(r#","epoch":null,"offset":null"#)),
            of("leave_room", data("")),
            of("send_message", data(r#","clientId":"c-1","content":{"text":"hello"},"replyTo":null"#)),
            of("edit_message", data(&format!(r#","messageId":"{message}","content":{{"text":"hullo"}}"#))),
            of("delete_message", data(&format!(r#","messageId":"{message}""#))),
            of("typing", data(r#","typing":true"#)),
            of("remove_member", data(&format!(r#","userId":"{message}","reason":"spam""#))),
            of("set_member_role", data(&format!(r#","userId":"{message}","role":"moderator""#))),
            of(
                "call.offer",
                data(r#","sdp":"v=0","tracks":[{"mid":"0","source":"microphone"}],"acceptRecording":true"#),
            ),
            of("call.ready", data("")),
            of("view", data(&format!(r#","tracks":[{{"trackId":"{message}","width":640,"visible":true}}]"#))),
            of("call.mute", data(&format!(r#","trackId":"{message}","muted":true"#))),
            of("call.mute_track", data(&format!(r#","trackId":"{message}","muted":true"#))),
            of("call.leave", data("")),
            of("call.mute_all", data(r#","muted":true,"mayUnmute":false"#)),
            of("call.disable", data(r#","target":"everybody","source":"camera","disabled":true"#)),
            of("call.spotlight", data(&format!(r#","participantId":"{message}""#))),
            of("call.lock", data(r#","locked":true"#)),
            of("call.waiting_room", data(r#","enabled":true"#)),
            of("call.admit", data(&format!(r#","target":{{"userId":"{message}"}}"#))),
            of("call.deny", data(&format!(r#","userId":"{message}""#))),
            of("call.remove", data(&format!(r#","userId":"{message}","forGood":true,"reason":"spam""#))),
            of("call.end", data("")),
            of(
                "match.start",
                r#"{"mode":"video","interests":["chess"],"language":"en","confirm":false,"fallback":false}"#.to_owned(),
            ),
            of("match.confirm", format!(r#"{{"matchId":"{message}","accept":true}}"#)),
            of("match.next", "{}".to_owned()),
            of("match.stop", "{}".to_owned()),
        ]
    }

    #[test]
    fn every_frame_is_read() {
        let examples = examples();
        assert_eq!(examples.len(), ClientBody::TYPES.len());
        let mut page = Vec::new();
        for (text, kind) in examples.iter().zip(ClientBody::TYPES) {
            let frame = ClientFrame::parse(text, true).unwrap();
            let written = serde_json::to_value(&frame.body).unwrap();
            assert_eq!(written["type"], kind, "TYPES follows the order of ClientBody");
            page.push(format!("{text}\n    {:?}", frame.body));
        }
        insta::assert_snapshot!(page.join("\n"));
    }

    #[test]
    fn optional_fields_may_be_absent_and_unknown_ones_present() {
        let text = format!(r#"{{"data":{{"roomId":"{ROOM}","later":1}},"type":"join_room","more":[]}}"#);
        let frame = ClientFrame::parse(&text, true).unwrap();
        let room_id = ROOM.parse().unwrap();
        assert_eq!(frame.body, ClientBody::JoinRoom(JoinRoom { room_id, epoch: None, offset: None }));
        let ping = ClientFrame::parse(r#"{"type":"ping","id":"1","data":{}}"#, true).unwrap();
        assert_eq!((ping.id.as_deref(), ping.body), (Some("1"), ClientBody::Ping));
    }

    #[test]
    fn what_cannot_be_read_has_its_code() {
        for garbage in ["", "hello", "{", r#"{"type":"ping""#, "\u{0}"] {
            assert_eq!(code(garbage), (None, ErrorCode::BadJson), "{garbage:?}");
        }
        for shape in ["[]", "1", "null", r#"{"id":"1"}"#, r#"{"type":1}"#, r#"{"type":"ping","id":5}"#] {
            assert_eq!(code(shape), (None, ErrorCode::BadFrame), "{shape}");
        }
        assert_eq!(code(r#"{"type":"fly","id":"9"}"#), (Some("9".to_owned()), ErrorCode::UnknownType));
        for data in ["", r#","data":null"#, r#","data":{}"#, r#","data":{"roomId":"x"}"#] {
            let text = format!(r#"{{"type":"leave_room","id":"9"{data}}}"#);
            assert_eq!(code(&text), (Some("9".to_owned()), ErrorCode::BadFrame), "{text}");
        }
        let long = "i".repeat(REQUEST_ID_LIMIT + 1);
        assert_eq!(code(&format!(r#"{{"type":"ping","id":"{long}"}}"#)), (None, ErrorCode::BadFrame));
    }

    #[test]
    fn a_frame_has_the_size_limit_of_its_type() {
        let padded = |kind: &str, size: usize| {
            let head = format!(r#"{{"type":"{kind}","data":{{"roomId":"{ROOM}","tracks":[],"sdp":""#);
            let text = format!("{head}{}\"}}}}", "x".repeat(size - head.len() - 3));
            assert_eq!(text.len(), size);
            text
        };
        let large =
            |kind, size, logged_in| ClientFrame::parse(&padded(kind, size), logged_in) == Err(BadFrame::TooLarge);
        assert!(!large("leave_room", FRAME_LIMIT, true) && large("leave_room", FRAME_LIMIT + 1, true));
        assert!(!large("call.offer", OFFER_FRAME_LIMIT, true) && large("call.offer", OFFER_FRAME_LIMIT + 1, true));
        assert!(!large("leave_room", LOGIN_FRAME_LIMIT, false) && large("leave_room", LOGIN_FRAME_LIMIT + 1, false));
    }
}
