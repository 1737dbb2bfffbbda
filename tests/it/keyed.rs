//! Whom a stream key binds: its maker's devices and logins, but not their consent, their share of a relay, or all the seats of a call.

use reqwest::{Method, StatusCode};
use serde_json::json;

use crate::bans::device_of;
use crate::harness::{Person, Server, until};
use crate::peer::{Caller, Kind, Peer};
use crate::recording;
use crate::streams::{Stream, key, offer};

/// Somebody else, from the device with that cookie.
async fn from_device(server: &Server, nickname: &str, cookie: &str) -> Person {
    let entered = server.knock(nickname, None, Some(cookie)).await.expect(StatusCode::CREATED);
    let mut person = server.enter(nickname).await;
    person.id = entered["user"]["id"].as_str().unwrap().to_owned();
    person.token = entered["accessToken"].as_str().unwrap().to_owned();
    person
}

#[tokio::test(flavor = "multi_thread")]
async fn a_ban_reaches_the_keys_of_whoever_came_from_the_same_device() {
    let server = Server::start().await;
    let admin = server.administrator("admin").await;
    let entered = server.knock("eve", None, None).await;
    let eve = entered.expect(StatusCode::CREATED)["user"]["id"].as_str().unwrap().to_owned();
    let second = from_device(&server, "second", &device_of(&entered)).await;
    let guard = from_device(&server, "guard", &device_of(&entered)).await;
    let role = format!("/users/{}/role", guard.id);
    admin.ask(Method::PUT, &role, Some(json!({"role": "moderator"}))).await.expect(StatusCode::OK);

    let (room, other) = (second.create_room("live", "public").await, guard.create_room("live", "public").await);
    let (_, secret) = key(&second, &room, "publish").await;
    let (_, of_guard) = key(&guard, &other, "publish").await;
    let stream = Stream::publish(&server, &room, &secret, 1).await;
    let kept = Stream::publish(&server, &other, &of_guard, 2).await;
    // Whoever leaves before is reached all the same.
    second.ask(Method::DELETE, "/auth/logout", None).await;
    server.ban(&admin, &eve, None).await.unwrap();
    stream.is_over(&server).await;
    let sdp = Peer::new(3, 0).await.offer().await;
    offer(&server, &format!("/rooms/{room}/whip"), &secret, sdp).await.refused(403, "banned");
    // Who keeps order keeps theirs.
    kept.ask(&server, Method::DELETE, &[], "").await.expect(StatusCode::OK);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stream_ends_with_the_login_that_nobody_refreshed() {
    let server = Server::start_with(|config| config.auth.refresh_idle_s = 1).await;
    let (olga, ada) = (server.enter("olga").await, server.enter("ada").await);
    let room = olga.create_room("call", "public").await;
    let call = recording::call_of(&olga, &room).await.parse().unwrap();
    let _stream = Stream::publish(&server, &room, &ada.token, 1).await;
    let core = server.running().core();
    assert_eq!(core.rooms.participants(call).len(), 1);
    until("nobody is there by it", async || {
        core.auth.sweep().await.unwrap();
        core.rooms.participants(call).is_empty().then_some(())
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn each_session_by_a_key_has_its_own_share_of_a_relay() {
    let server = Server::start_with(|config| {
        config.turn.turn_urls = vec!["turn:turn.example:3478".into()];
        config.turn.turn_secret = Some("north".to_owned().into());
    })
    .await;
    let olga = server.enter("olga").await;
    let room = olga.create_room("call", "public").await;
    let (id, secret) = key(&olga, &room, "watch").await;
    let (path, sdp) = (format!("/rooms/{room}/whep"), Peer::watching(1).await.offer().await);
    let link = async |token: &str| {
        let answered = offer(&server, &path, token, sdp.clone()).await;
        answered.expect(StatusCode::CREATED);
        let session = answered.header("location").rsplit('/').next().unwrap().to_owned();
        (answered.header("link").to_owned(), session)
    };
    for _ in 0..2 {
        let (link, session) = link(&secret).await;
        assert!(link.contains(&format!(":{id}.{session}\"")), "{link}");
    }
    assert!(
        link(&olga.token).await.0.contains(&format!(":{}\"", olga.id)),
        "who is logged in has the share of all their tabs"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn nobody_agrees_to_a_recording_for_whoever_made_the_key() {
    let server = Server::start_with(|config| config.recording.notice_ms = 100).await;
    let (olga, mo) = (server.enter("olga").await, server.enter("mo").await);
    let room = olga.create_room("call", "public").await;
    let mut olga = Caller::join(&olga, &room, 1, 3).await;
    mo.post(&format!("/rooms/{room}/join"), json!({})).await.expect(StatusCode::OK);
    olga.done("set_member_role", json!({"userId": mo.id, "role": "moderator"})).await;
    let ((_, of_olga), (_, of_mo), (_, earlier)) =
        (key(&olga.person, &room, "publish").await, key(&mo, &room, "publish").await, key(&mo, &room, "publish").await);
    let earlier = Stream::publish(&server, &room, &earlier, 2).await;
    let call = recording::call_of(&olga.person, &room).await;
    recording::start(&olga.person, &mut olga.socket, &call).await;

    let path = format!("/rooms/{room}/whip");
    let sdp = Peer::new(3, 0).await.offer().await;
    // She was there when it was announced; whoever has her key was not.
    offer(&server, &path, &of_olga, sdp.clone()).await.refused(409, "recording_consent");
    let agreed = format!("{path}?acceptRecording=true");
    let _recorded = Stream::connect(&server, &agreed, &of_mo, Peer::new(4, 0).await).await;
    // Who was there before goes on under other credentials.
    let headers = [("content-type", "application/trickle-ice-sdpfrag"), ("if-match", "*")];
    let fragment = "a=ice-ufrag:another\r\na=ice-pwd:anotherpasswordofthesame\r\n";
    earlier.ask(&server, Method::PATCH, &headers, fragment).await.expect(StatusCode::OK);
    // Neither that nor the stream that was there before is his word.
    let (mut socket, _) = mo.connect_to(&room).await;
    let tracks = json!([{"mid": "0", "source": "microphone"}, {"mid": "1", "source": "camera"}]);
    let wanted = json!({"roomId": room, "sdp": sdp, "tracks": tracks});
    socket.refused("call.offer", wanted, "recording_consent").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_that_gets_about_fills_no_call() {
    let server = Server::start().await;
    let olga = server.enter("olga").await;
    let sdp = Peer::watching(1).await.offer().await;
    for (kind, most) in [("call", 10), ("live", 12)] {
        let room = olga.create_room(kind, "public").await;
        let (path, (_, secret)) = (format!("/rooms/{room}/whep"), key(&olga, &room, "watch").await);
        for _ in 0..most {
            offer(&server, &path, &secret, sdp.clone()).await.expect(StatusCode::CREATED);
        }
        if kind == "call" {
            let refused = offer(&server, &path, &secret, sdp.clone()).await.refused(409, "room_full");
            assert_eq!(refused["extra"]["limit"], 10, "{refused}");
            let (_, another) = key(&olga, &room, "watch").await;
            offer(&server, &path, &another, sdp.clone()).await.expect(StatusCode::CREATED);
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_site_moderator_makes_no_key_of_a_room_that_they_may_not_enter() {
    let server = Server::start().await;
    let (admin, olga) = (server.administrator("admin").await, server.enter("olga").await);
    let room = olga.create_room("call", "private").await;
    let wanted = json!({"name": "OBS", "kind": "publish"});
    admin.post(&format!("/rooms/{room}/stream-keys"), wanted).await.refused(403, "room_private");
    key(&olga, &room, "publish").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_publisher_stays_until_whoever_replaces_it_is_answered() {
    let server = Server::start().await;
    let olga = server.enter("olga").await;
    let wanted = json!({"kind": "call", "name": "for two", "visibility": "public", "maxParticipants": 2});
    let room = olga.create(wanted).await;
    let olga = Caller::join(&olga, &room, 1, 3).await;
    let (_, secret) = key(&olga.person, &room, "publish").await;
    let stream = Stream::publish(&server, &room, &secret, 2).await;
    olga.peer.receives(&stream.peer).await;
    let sdp = Peer::new(3, 0).await.offer().await;
    let strange = sdp.replace("opus/48000/2", "PCMU/8000").replace("VP8/90000", "H265/90000");
    let path = format!("/rooms/{room}/whip");
    offer(&server, &path, &secret, strange).await;
    let before = olga.peer.latest(Kind::Video, 2);
    until("it goes on", async || (olga.peer.latest(Kind::Video, 2) > before).then_some(())).await;
    // The call is full, and the new one takes the seat of the old one.
    let again = Stream::publish(&server, &room, &secret, 4).await;
    stream.is_over(&server).await;
    olga.peer.receives(&again.peer).await;
}
