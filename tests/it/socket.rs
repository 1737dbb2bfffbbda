//! The socket at `/ws`: login, and what it does with clients that misbehave.

use std::time::Duration;

use reqwest::StatusCode;
use serde_json::json;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::client::IntoClientRequest as _;

use crate::harness::{Server, Socket, until};

const UNKNOWN_ROOM: &str = "01938a5c-0000-7000-8000-000000000001";

#[tokio::test]
async fn a_login_is_answered_with_who_you_are() {
    let server = Server::start().await;
    let ada = server.enter("ada").await;
    let socket = ada.connect().await;
    assert_eq!(socket.login["user"], json!({"id": ada.id, "nickname": "ada", "role": "member"}));
    assert_eq!(socket.login["resumed"], false);
    assert_eq!(socket.login["pingEveryMs"], 25_000);
    assert!(!socket.resume_token().is_empty());
}

#[tokio::test]
async fn a_ticket_logs_in_once() {
    let server = Server::start().await;
    let ada = server.enter("ada").await;
    let ticket = ada.post("/auth/ticket", json!({})).await.expect(StatusCode::CREATED);
    let path = format!("/ws?ticket={}", ticket["ticket"].as_str().unwrap());
    let greeting = Socket::open(&server.base, &path).await.next().await;
    assert_eq!((&greeting["type"], &greeting["data"]["user"]["id"]), (&json!("authenticated"), &json!(ada.id)));
    let (code, error) = Socket::open(&server.base, &path).await.closed().await;
    assert_eq!((code, &error.unwrap()["code"]), (4401, &json!("token_invalid")));
}

#[tokio::test]
async fn nobody_stays_without_a_login() {
    let server = Server::start_with(|config| config.http.login_timeout_ms = 100).await;
    let (code, _) = server.socket().await.closed().await;
    assert_eq!(code, 4401);
}

#[tokio::test]
async fn the_first_frame_is_a_login() {
    let server = Server::start().await;
    let mut socket = server.socket().await;
    socket.send_json(&json!({"type": "join_room", "id": "1", "data": {"roomId": UNKNOWN_ROOM}})).await;
    let (code, error) = socket.closed().await;
    assert_eq!((code, &error.unwrap()["code"]), (4401, &json!("unauthenticated")));
}

#[tokio::test]
async fn bad_tokens_are_told_and_closed() {
    let server = Server::start_with(|config| config.auth.access_token_s = 1).await;
    let elsewhere = Server::start().await;
    let ada = server.enter("ada").await;
    ada.until_expired().await;
    let (expired, foreign) = (ada.token, elsewhere.enter("ada").await.token);
    let forged = {
        let mut parts: Vec<_> = foreign.split('.').map(str::to_owned).collect();
        parts[1].insert(5, 'A');
        parts.join(".")
    };
    for (token, code, close) in [
        (expired.as_str(), "token_expired", 4402),
        (foreign.as_str(), "token_invalid", 4401),
        (forged.as_str(), "token_invalid", 4401),
        ("nonsense", "token_invalid", 4401),
    ] {
        let mut socket = server.socket().await;
        socket.send_json(&json!({"type": "authenticate", "id": "1", "data": {"token": token}})).await;
        let (closed, error) = socket.closed().await;
        assert_eq!((closed, &error.unwrap()["code"]), (close, &json!(code)), "{token}");
    }
}

#[tokio::test]
async fn unreadable_frames_are_told_and_forgiven() {
    let server = Server::start().await;
    let ada = server.enter("ada").await;
    let mut socket = ada.connect().await;
    for (text, code) in [
        ("not json", "bad_json"),
        ("", "bad_json"),
        (r#"{"type":"#, "bad_json"),
        (r#"{"type":"sing","id":"7"}"#, "unknown_type"),
        (r#"{"type":7}"#, "bad_frame"),
        (r#"[1,2]"#, "bad_frame"),
        (r#"{"type":"join_room","id":"7"}"#, "bad_frame"),
        (r#"{"type":"join_room","id":"7","data":{"roomId":"not an id"}}"#, "bad_frame"),
    ] {
        socket.send_text(text).await;
        let frame = socket.next().await;
        assert_eq!((&frame["type"], &frame["data"]["code"]), (&json!("error"), &json!(code)), "{text}: {frame}");
    }
    socket.send_raw(Message::binary(vec![1, 2, 3])).await;
    assert_eq!(socket.next().await["data"]["code"], "bad_frame");
    assert_eq!(socket.ask("ping", json!({})).await["type"], "pong");
}

#[tokio::test]
async fn an_error_names_its_request() {
    let server = Server::start().await;
    let mut socket = server.enter("ada").await.connect().await;
    let error = socket.refused("join_room", json!({"roomId": UNKNOWN_ROOM}), "not_found").await;
    assert!(error["message"].as_str().unwrap().ends_with('.'));
    socket
        .refused(
            "send_message",
            json!({"roomId": UNKNOWN_ROOM, "clientId": "c", "content": {"text": "x"}}),
            "not_in_room",
        )
        .await;
}

#[tokio::test]
async fn twenty_bad_frames_in_a_row_close() {
    let server = Server::start().await;
    let ada = server.enter("ada").await;
    let mut socket = ada.connect().await;
    for _ in 0..19 {
        socket.send_text("nonsense").await;
    }
    // One good frame, and the count begins anew.
    assert_eq!(socket.ask("ping", json!({})).await["type"], "pong");
    for _ in 0..20 {
        socket.send_text("nonsense").await;
    }
    assert_eq!(socket.closed().await.0, 4400);
    let mut stranger = server.socket().await;
    for _ in 0..20 {
        stranger.send_text("nonsense").await;
    }
    assert_eq!(stranger.closed().await.0, 4400);
}

#[tokio::test]
async fn frames_over_their_limit_close() {
    const KIB: usize = 1024;
    let server = Server::start().await;
    let ada = server.enter("ada").await;
    let padded = |kind: &str, length: usize| {
        let frame =
            json!({"type": kind, "id": "1", "data": {"roomId": UNKNOWN_ROOM, "sdp": "", "tracks": [], "pad": ""}})
                .to_string();
        frame.replace(r#""pad":"""#, &format!(r#""pad":"{}""#, "x".repeat(length - frame.len())))
    };
    // At the limit a frame is read; what it says is another matter.
    for (kind, limit) in [("leave_room", 64 * KIB), ("call.offer", 256 * KIB)] {
        let mut socket = ada.connect().await;
        socket.send_text(padded(kind, limit)).await;
        assert_eq!(socket.next().await["id"], "1", "{kind}");
        socket.send_text(padded(kind, limit + 1)).await;
        assert_eq!(socket.closed().await.0, 1009, "{kind}");
    }
    for size in [64 * KIB + 1, 1024 * KIB] {
        let mut socket = ada.connect().await;
        socket.send_raw(Message::binary(vec![0; size])).await;
        assert_eq!(socket.closed().await.0, 1009, "{size} bytes");
    }
    for message in [Message::text(padded("authenticate", 4 * KIB + 1)), Message::binary(vec![0; 4 * KIB + 1])] {
        let mut stranger = server.socket().await;
        stranger.send_raw(message).await;
        assert_eq!(stranger.closed().await.0, 1009);
    }
    // The others notice nothing.
    assert_eq!(ada.connect().await.ask("ping", json!({})).await["type"], "pong");
}

#[tokio::test]
async fn a_message_over_its_limit_is_refused_with_both_numbers() {
    let server = Server::start().await;
    let ada = server.enter("ada").await;
    let room = ada.create_room("call", "public").await;
    let (mut socket, _) = ada.connect_to(&room).await;
    let say = |text: String| json!({"roomId": room, "clientId": "c-1", "content": {"text": text}});
    let error = socket.refused("send_message", say("ä".repeat(4_001)), "message_too_long").await;
    assert_eq!(error["detail"], json!({"limit": 4_000, "length": 4_001}));
    socket.refused("send_message", say(" \n".to_owned()), "message_empty").await;
    let ack = socket.ask("send_message", say("ä".repeat(4_000))).await;
    assert_eq!(ack["type"], "new_message");
}

#[tokio::test]
async fn an_idle_socket_is_closed_and_a_lively_one_is_not() {
    let server = Server::start_with(|config| config.http.idle_timeout_ms = 300).await;
    let ada = server.enter("ada").await;
    let mut idle = ada.connect().await;
    let mut lively = ada.connect().await;
    let mut closed = tokio::spawn(async move { idle.closed().await.0 });
    let code = loop {
        tokio::select! {
            code = &mut closed => break code.unwrap(),
            () = tokio::time::sleep(Duration::from_millis(50)) => {}
        }
        assert_eq!(lively.ask("ping", json!({})).await["type"], "pong");
    };
    assert_eq!(code, 4408);
}

#[tokio::test]
async fn a_socket_asks_for_a_new_token_before_the_old_one_ends() {
    // Less than the minute of warning: the question comes at once.
    let server = Server::start_with(|config| config.auth.access_token_s = 50).await;
    let ada = server.enter("ada").await;
    let mut socket = ada.connect().await;
    let asked = socket.next_of("token_expiring").await;
    let grace_ms = asked["data"]["graceMs"].as_u64().unwrap();
    assert!((75_000..=80_000).contains(&grace_ms), "{grace_ms}");
    let fresh = server.anonymous().post("/auth/refresh", json!({"refreshToken": ada.refresh_token})).await;
    let fresh = fresh.expect(StatusCode::OK)["accessToken"].as_str().unwrap().to_owned();
    let reply = socket.ask("authenticate", json!({"token": fresh})).await;
    assert_eq!((&reply["type"], &reply["data"]["sessionId"]), (&json!("authenticated"), &socket.login["sessionId"]));
    // Somebody else's token is no renewal.
    let bob = server.enter("bob").await;
    socket.refused("authenticate", json!({"token": bob.token}), "token_invalid").await;
    assert_eq!(socket.closed().await.0, 4401);
}

#[tokio::test]
async fn a_lost_socket_is_taken_up() {
    let server = Server::start().await;
    let ada = server.enter("ada").await;
    let room = ada.create_room("call", "public").await;
    let (socket, _) = ada.connect_to(&room).await;
    let (token, session) = (socket.resume_token().to_owned(), socket.login["sessionId"].clone());
    socket.lose();
    let mut again = ada.resume(&token).await;
    assert_eq!((&again.login["resumed"], &again.login["sessionId"]), (&json!(true), &session));
    // The seat is still there; joining again brings the events.
    again.join(&room).await;
    assert_eq!(again.say(&room, "c-1", "back").await["type"], "new_message");
    // A resume token works once.
    assert_eq!(ada.resume(&token).await.login["resumed"], false);
}

#[tokio::test]
async fn the_same_session_has_one_socket() {
    let server = Server::start().await;
    let ada = server.enter("ada").await;
    let mut first = ada.connect().await;
    let second = ada.resume(first.resume_token()).await;
    assert_eq!(second.login["resumed"], true);
    assert_eq!(first.closed().await.0, 4409);
}

#[tokio::test]
async fn a_stop_tells_everybody_when_to_come_back() {
    let server = Server::start().await;
    let ada = server.enter("ada").await;
    let mut socket = ada.connect().await;
    let stopping = tokio::spawn(server.stop());
    let away = socket.next_of("go_away").await;
    assert_eq!(away["data"]["reason"], "restart");
    assert!(away["data"]["reconnectAfterMs"].is_u64());
    assert_eq!(socket.closed().await.0, 4503);
    stopping.await.unwrap();
}

#[tokio::test]
async fn a_stop_tells_those_too_who_have_not_logged_in() {
    let server = Server::start().await;
    let mut socket = server.socket().await;
    let stopping = tokio::spawn(server.stop());
    assert_eq!(socket.next().await["type"], "go_away");
    assert_eq!(socket.closed().await.0, 4503);
    stopping.await.unwrap();
}

#[tokio::test]
async fn one_address_has_its_share_of_connections() {
    let server = Server::start_with(|config| {
        config.limit_exempt.clear();
        config.http.max_connections_per_address = 2;
    })
    .await;
    let url = format!("{}/ws", server.base.replacen("http", "ws", 1));
    let open = async || tokio_tungstenite::connect_async(&url).await;
    let (first, _second) = (open().await.unwrap(), open().await.unwrap());
    // Sockets count for as long as they live, not only until the upgrade.
    assert!(open().await.is_err());
    drop(first);
    until("the place is free", async || open().await.ok()).await;
}

#[tokio::test]
async fn frames_have_a_limit_of_their_own() {
    let server = Server::start_with(|config| {
        config.limit_exempt.clear();
        config.limit.frame.burst = 10;
    })
    .await;
    let mut socket = server.enter("ada").await.connect().await;
    for _ in 0..50 {
        let reply = socket.ask("ping", json!({})).await;
        if reply["type"] == "error" {
            assert_eq!(reply["data"]["code"], "rate_limited");
            assert!(reply["data"]["retryAfterMs"].as_u64().unwrap() > 0);
            return;
        }
    }
    panic!("nothing limits frames");
}

#[tokio::test]
async fn pages_of_other_origins_get_no_socket() {
    let server = Server::start_with(|config| config.allowed_origins = vec!["https://chat.example".into()]).await;
    let own = server.base.clone();
    for (origin, status) in [("https://evil.example", 403), ("https://chat.example", 101), (own.as_str(), 101)] {
        let mut request = format!("{}/ws", server.base.replacen("http", "ws", 1)).into_client_request().unwrap();
        request.headers_mut().insert("origin", origin.parse().unwrap());
        let seen = match tokio_tungstenite::connect_async(request).await {
            Ok((_, response)) => response.status(),
            Err(tokio_tungstenite::tungstenite::Error::Http(response)) => response.status(),
            Err(error) => panic!("{error}"),
        };
        assert_eq!(seen.as_u16(), status, "{origin}");
    }
}

#[tokio::test]
async fn a_full_room_and_a_private_one_have_no_seat() {
    let server = Server::start().await;
    let (ada, bob) = (server.enter("ada").await, server.enter("bob").await);
    let small = ada.create(json!({"kind": "call", "name": "two", "visibility": "public", "maxParticipants": 2})).await;
    let (_first, _) = ada.connect_to(&small).await;
    let (second, _) = bob.connect_to(&small).await;
    let mut late = server.enter("cyd").await.connect().await;
    let error = late.refused("join_room", json!({"roomId": small}), "room_full").await;
    assert_eq!(error["detail"]["limit"], 2);
    // A seat that is given back can be taken.
    second.close().await;
    until("the seat is free", async || {
        let reply = late.ask("join_room", json!({"roomId": small})).await;
        (reply["type"] == "room_state").then_some(())
    })
    .await;
    let private = ada.create_room("call", "private").await;
    late.refused("join_room", json!({"roomId": private}), "room_private").await;
}

#[tokio::test]
async fn the_fifty_first_finds_the_room_full() {
    let server = Server::start().await;
    let room = server.enter("owner").await.create_room("call", "public").await;
    let mut seats = Vec::new();
    for n in 0..50 {
        seats.push(server.enter(&format!("guest-{n}")).await.connect_to(&room).await);
    }
    let mut late = server.enter("late").await.connect().await;
    let error = late.refused("join_room", json!({"roomId": room}), "room_full").await;
    assert_eq!(error["detail"]["limit"], 50);
}

#[tokio::test]
async fn plain_requests_to_the_socket_are_refused() {
    let server = Server::start().await;
    server.anonymous().get("/ws").await.refused(400, "bad_request");
}
