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
        of("react", data(&format!(r#","messageId":"{message}","emoji":"👍","on":true"#))),
        of("vote", data(&format!(r#","messageId":"{message}","options":[0,2]"#))),
        of("pin_message", data(&format!(r#","messageId":"{message}","pinned":true"#))),
        of("lock_thread", data(&format!(r#","messageId":"{message}","locked":true"#))),
        of("typing", data(r#","typing":true"#)),
        of("remove_member", data(&format!(r#","userId":"{message}","reason":"spam""#))),
        of("set_member_role", data(&format!(r#","userId":"{message}","role":"moderator""#))),
        of("call.offer", data(r#","sdp":"v=0","tracks":[{"mid":"0","source":"microphone"}],"acceptRecording":true"#)),
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
        of("start_call", data(&format!(r#","type":"video","participants":["{message}"]"#))),
        of("call.accept", format!(r#"{{"callId":"{message}"}}"#)),
        of("call.decline", format!(r#"{{"callId":"{message}"}}"#)),
        of("call.cancel", format!(r#"{{"callId":"{message}"}}"#)),
        of(
            "match.start",
            r#"{"mode":"video","interests":["chess"],"language":"en","confirm":false,"fallback":false}"#.to_owned(),
        ),
        of("match.confirm", format!(r#"{{"matchId":"{message}","accept":true}}"#)),
        of("match.next", "{}".to_owned()),
        of("match.stop", "{}".to_owned()),
        of("mark_read", data(&format!(r#","messageId":"{message}""#))),
        of("mark_unread", data(&format!(r#","messageId":"{message}""#))),
        of("presence", r#"{"status":"away"}"#.to_owned()),
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
    let large = |kind, size, logged_in| ClientFrame::parse(&padded(kind, size), logged_in) == Err(BadFrame::TooLarge);
    assert!(!large("leave_room", FRAME_LIMIT, true) && large("leave_room", FRAME_LIMIT + 1, true));
    assert!(!large("call.offer", OFFER_FRAME_LIMIT, true) && large("call.offer", OFFER_FRAME_LIMIT + 1, true));
    assert!(!large("leave_room", LOGIN_FRAME_LIMIT, false) && large("leave_room", LOGIN_FRAME_LIMIT + 1, false));
}
