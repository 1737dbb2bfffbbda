//! Publishing and watching by HTTP alone (WHIP, WHEP), seen by everybody else in the call, and all the ways in which it ends.

use reqwest::{Method, StatusCode};
use serde_json::{Value, json};

use crate::harness::{Answer, Person, Server, answer, until};
use crate::looked_at;
use crate::peer::{Caller, Kind, Peer};
use crate::projector::{Playing, Show};
use crate::recording;

pub(crate) const SDP: &str = "application/sdp";
const FRAGMENT: &str = "application/trickle-ice-sdpfrag";

/// Sends an offer to an endpoint of a room.
pub(crate) async fn offer(server: &Server, path: &str, token: &str, sdp: String) -> Answer {
    let request = server.anonymous().request(Method::POST, &format!("/api/v1{path}"));
    answer(request.bearer_auth(token).header("content-type", SDP).body(sdp)).await
}

/// A key of a room; its id and its secret.
pub(crate) async fn key(person: &Person, room: &str, kind: &str) -> (String, String) {
    let wanted = json!({"name": "OBS", "kind": kind});
    let made = person.post(&format!("/rooms/{room}/stream-keys"), wanted).await.expect(StatusCode::CREATED);
    let text = |name: &str| made[name].as_str().expect("it is told").to_owned();
    (text("keyId"), text("secret"))
}

/// A stream that is connected.
pub(crate) struct Stream {
    pub(crate) peer: Peer,
    pub(crate) token: String,
    pub(crate) location: String,
    tag: String,
    answer: String,
}

impl Stream {
    /// Publishes sound and picture with that number in them.
    pub(crate) async fn publish(server: &Server, room: &str, token: &str, tag: u32) -> Self {
        let mut stream = Self::connect(server, &format!("/rooms/{room}/whip"), token, Peer::new(tag, 0).await).await;
        stream.peer.publish();
        stream
    }

    /// Watches: as many slots as people publish.
    pub(crate) async fn watch(server: &Server, room: &str, token: &str) -> Self {
        Self::connect(server, &format!("/rooms/{room}/whep"), token, Peer::watching(3).await).await
    }

    pub(crate) async fn connect(server: &Server, path: &str, token: &str, mut peer: Peer) -> Self {
        let answered = offer(server, path, token, peer.offer().await).await;
        answered.expect(StatusCode::CREATED);
        assert_eq!(answered.header("content-type"), SDP);
        assert_eq!(answered.header("accept-patch"), FRAGMENT);
        peer.accept(&answered.text).await;
        peer.connected().await;
        let (location, tag) = (answered.header("location").to_owned(), answered.header("etag").to_owned());
        let endpoint = path.split('?').next().expect("a path is there");
        assert!(location.starts_with(&format!("/api/v1{endpoint}/")) && tag.starts_with('"'), "{location} {tag}");
        Self { peer, token: token.to_owned(), location, tag, answer: answered.text }
    }

    /// Asks its session for something.
    pub(crate) async fn ask(&self, server: &Server, method: Method, headers: &[(&str, &str)], body: &str) -> Answer {
        let mut request = server.anonymous().request(method, &self.location).bearer_auth(&self.token);
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        answer(request.body(body.to_owned())).await
    }

    /// Its session is no more.
    pub(crate) async fn is_over(&self, server: &Server) {
        until("the stream's session is over", async || {
            let asked = self.ask(server, Method::DELETE, &[], "").await;
            // Who may not come any more is told that first.
            let gone = [StatusCode::NOT_FOUND, StatusCode::UNAUTHORIZED, StatusCode::FORBIDDEN];
            assert!(gone.contains(&asked.status), "it was still there: {}", asked.status);
            Some(())
        })
        .await;
    }
}

/// The owner in a call of her own, and somebody who publishes into it by a key of hers.
async fn with_publisher(server: &Server, kind: &str) -> (Caller, Stream, String) {
    let olga = server.enter("olga").await;
    let room = olga.create_room(kind, "public").await;
    let mut olga = Caller::join(&olga, &room, 1, 3).await;
    let (id, secret) = key(&olga.person, &room, "publish").await;
    let stream = Stream::publish(server, &room, &secret, 2).await;
    olga.event("call.participant", |data| data["participant"]["nickname"] == "OBS").await;
    olga.peer.receives(&stream.peer).await;
    (olga, stream, id)
}

/// The participant of the stream in what a caller was told.
fn streamer(olga: &Caller) -> Value {
    let of_stream = |frame: &&Value| frame["data"]["participant"]["nickname"] == "OBS";
    olga.told.iter().rev().find(of_stream).expect("they were told")["data"]["participant"].clone()
}

async fn has_left(olga: &mut Caller, stream: &Stream) {
    let id = streamer(olga)["participantId"].as_str().unwrap().to_owned();
    olga.sees_leave(&id).await;
    for kind in [Kind::Audio, Kind::Video] {
        olga.peer.misses(kind, &stream.peer).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_publisher_and_a_player_take_part_like_anybody() {
    let server = Server::start().await;
    let (mut olga, stream, _) = with_publisher(&server, "call").await;
    let shown = streamer(&olga);
    assert_eq!(shown["userId"], olga.person.id.as_str(), "who made the key answers for it: {shown}");
    let sources: Vec<_> = shown["tracks"].as_array().unwrap().iter().map(|track| &track["source"]).collect();
    assert_eq!(sources, ["microphone", "camera"], "{shown}");

    // By a login of one's own, too; the player sees who speaks and who shows something without asking for anything.
    let ada = server.enter("ada").await;
    let player = Stream::watch(&server, &olga.room, &ada.token).await;
    player.peer.receives_kind(Kind::Video, &olga.peer).await;
    let figures = server.anonymous().get("/metrics").await.text;
    // Of all servers of this process together.
    assert!(figures.contains("parlor_streams{kind=\"publish\"} "), "they are counted");
    assert!(figures.contains("parlor_streams{kind=\"watch\"} "));
    let (_, secret) = key(&olga.person, &olga.room, "watch").await;
    let second = Stream::watch(&server, &olga.room, &secret).await;
    second.peer.receives_kind(Kind::Audio, &stream.peer).await;

    // The publisher ends it.
    stream.ask(&server, Method::DELETE, &[], "").await.expect(StatusCode::OK);
    has_left(&mut olga, &stream).await;
    stream.is_over(&server).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn candidates_are_taken_and_ice_begins_anew() {
    let server = Server::start().await;
    let (olga, mut stream, _) = with_publisher(&server, "call").await;
    let trickle = "a=ice-ufrag:x\r\nm=audio 9 RTP/AVP 0\r\na=mid:0\r\na=candidate:1 1 udp 1 192.0.2.1 9 typ host\r\n";
    let of_fragment = ("content-type", FRAGMENT);
    let patch = Method::PATCH;
    let (stream_tag, ask) = (stream.tag.clone(), &stream);
    ask.ask(&server, patch.clone(), &[of_fragment, ("if-match", &stream_tag)], trickle)
        .await
        .expect(StatusCode::NO_CONTENT);
    ask.ask(&server, patch.clone(), &[of_fragment], trickle).await.refused(428, "precondition_required");
    let wrong = ask.ask(&server, patch.clone(), &[of_fragment, ("if-match", "\"other\"")], trickle).await;
    wrong.refused(412, "precondition_failed");
    let json = [("content-type", "application/json"), ("if-match", "*")];
    ask.ask(&server, patch.clone(), &json, "{}").await.refused(415, "unsupported_media_type");
    ask.ask(&server, patch.clone(), &[of_fragment, ("if-match", "*")], "a=mid:0\r\n").await.refused(422, "no_ice");
    for method in [Method::GET, Method::POST, Method::PUT] {
        let refused = ask.ask(&server, method, &[], "").await;
        refused.refused(405, "method_not_allowed");
        assert_eq!(refused.header("allow"), "DELETE, OPTIONS, PATCH");
    }

    // New credentials: media goes on under them.
    stream.peer.restart_ice().await;
    let renewed = stream.peer.offer().await;
    let of_ice = |line: &&str| line.starts_with("a=ice-ufrag:") || line.starts_with("a=ice-pwd:");
    let fragment: String = renewed.lines().filter(of_ice).take(2).map(|line| format!("{line}\r\n")).collect();
    let restarted = stream.ask(&server, patch, &[of_fragment, ("if-match", "*")], &fragment).await;
    restarted.expect(StatusCode::OK);
    assert_eq!(restarted.header("content-type"), FRAGMENT);
    assert_ne!(restarted.header("etag"), stream.tag);
    for line in ["a=ice-lite", "a=group:BUNDLE", "m=audio", "a=mid:", "a=ice-ufrag:", "a=ice-pwd:", "a=candidate:"] {
        assert!(restarted.text.lines().any(|it| it.starts_with(line)), "{line} in {}", restarted.text);
    }
    assert!(!restarted.text.contains("a=rtpmap") && !restarted.text.contains("fingerprint"));
    let told = |name: &str| restarted.text.lines().find(|line| line.starts_with(name)).unwrap().to_owned();
    let line = |line: &str| match line.split_once(':').map(|(name, _)| name) {
        Some(name @ ("a=ice-ufrag" | "a=ice-pwd")) => told(name),
        _ => line.to_owned(),
    };
    let answer: String = stream.answer.lines().map(|it| line(it) + "\r\n").collect();
    stream.peer.accept(&answer).await;
    olga.peer.receives(&stream.peer).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn hosts_mute_disable_and_remove_a_publisher_like_anybody() {
    let server = Server::start().await;
    let olga = server.enter("olga").await;
    let room = olga.create_room("call", "public").await;
    let mut olga = Caller::join(&olga, &room, 1, 3).await;
    let ada = server.enter("ada").await;
    ada.post(&format!("/rooms/{room}/join"), json!({})).await.expect(StatusCode::OK);
    let stream = Stream::publish(&server, &room, &ada.token, 2).await;
    let of_ada = |data: &Value| data["participant"]["userId"] == ada.id.as_str();
    let shown = olga.event("call.participant", of_ada).await["participant"].clone();
    olga.peer.receives(&stream.peer).await;
    let track = |at: usize| shown["tracks"][at]["trackId"].as_str().unwrap().to_owned();
    olga.done("call.mute_track", json!({"trackId": track(0), "muted": true})).await;
    olga.peer.misses(Kind::Audio, &stream.peer).await;
    olga.peer.receives_kind(Kind::Video, &stream.peer).await;
    let rooms = &server.running().core().rooms;
    let call = olga.answer["callId"].as_str().unwrap().parse().unwrap();
    assert!(rooms.stop_track(call, track(1).parse().unwrap()), "moderation stops it");
    olga.peer.misses(Kind::Video, &stream.peer).await;
    // Coming anew is no way around either.
    let again = Stream::publish(&server, &room, &ada.token, 3).await;
    until("both are there", async || (again.peer.sent(Kind::Video) > 100).then_some(())).await;
    for kind in [Kind::Audio, Kind::Video] {
        assert!(olga.peer.arrivals(kind, 3).is_empty(), "nothing of it comes through");
    }

    // Put out of the call both are gone, and may come back; put out for good they may not.
    let url = format!("/rooms/{room}/call/remove");
    olga.person.post(&url, json!({"userId": ada.id})).await.expect(StatusCode::NO_CONTENT);
    stream.is_over(&server).await;
    again.is_over(&server).await;
    let back = Stream::publish(&server, &room, &ada.token, 4).await;
    olga.person.post(&url, json!({"userId": ada.id, "forGood": true})).await.expect(StatusCode::NO_CONTENT);
    back.is_over(&server).await;
    let sdp = Peer::new(5, 0).await.offer().await;
    offer(&server, &format!("/rooms/{room}/whip"), &ada.token, sdp).await.refused(403, "removed");
}

#[tokio::test(flavor = "multi_thread")]
async fn whatever_ends_a_part_in_the_call_ends_the_stream() {
    let server = Server::start().await;
    // The call's end, for all.
    let (mut olga, stream, key_id) = with_publisher(&server, "call").await;
    olga.done("call.end", json!({})).await;
    stream.is_over(&server).await;

    // The key's end.
    let (room, secret) = (olga.room.clone(), stream.token.clone());
    let path = format!("/rooms/{room}/whip");
    let stream = Stream::publish(&server, &room, &secret, 3).await;
    let revoke = format!("/rooms/{room}/stream-keys/{key_id}");
    olga.person.ask(Method::DELETE, &revoke, None).await.expect(StatusCode::NO_CONTENT);
    stream.is_over(&server).await;
    let sdp = Peer::new(9, 0).await.offer().await;
    offer(&server, &path, &secret, sdp.clone()).await.refused(401, "token_invalid");

    // The end of a login that it came by.
    let ada = server.enter("ada").await;
    let stream = Stream::publish(&server, &room, &ada.token, 4).await;
    ada.ask(Method::DELETE, "/auth/logout", None).await;
    until("nobody is there by it", async || {
        let call = olga.person.get(&format!("/rooms/{room}/call")).await.json()["callId"].as_str().unwrap().to_owned();
        let shown = olga.person.get(&format!("/calls/{call}")).await.json();
        shown["participants"].as_array().unwrap().iter().all(|it| it["userId"] != ada.id.as_str()).then_some(())
    })
    .await;
    drop(stream);

    // A host who is one no more has no keys that open anything.
    let mo = server.enter("mo").await;
    mo.post(&format!("/rooms/{room}/join"), json!({})).await.expect(StatusCode::OK);
    let role = |role: &str| json!({"roomId": room, "userId": mo.id, "role": role});
    olga.done("set_member_role", role("moderator")).await;
    let (_, of_mo) = key(&mo, &room, "publish").await;
    let stream = Stream::publish(&server, &room, &of_mo, 5).await;
    olga.done("set_member_role", role("member")).await;
    stream.is_over(&server).await;
    offer(&server, &path, &of_mo, sdp.clone()).await.refused(403, "forbidden");

    // A ban of who made the key.
    olga.done("set_member_role", role("moderator")).await;
    let stream = Stream::publish(&server, &room, &of_mo, 6).await;
    let admin = server.enter("admin").await;
    let link = server.running().admin_link.clone().expect("nobody is administrator yet");
    admin.post("/auth/claim", json!({"secret": link.rsplit('/').next().unwrap()})).await.expect(StatusCode::OK);
    let ban = parlor::auth::NewBan { user: mo.id.parse().unwrap(), reason: "spam".into(), duration: None, case: None };
    let auth = &server.running().core().auth;
    let by = auth.verify(&admin.token, [127, 0, 0, 1].into()).await.unwrap().caller;
    auth.ban(&by, ban).await.unwrap();
    stream.is_over(&server).await;
    offer(&server, &path, &of_mo, sdp).await.refused(403, "banned");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_publisher_that_falls_silent_is_given_up_and_one_that_comes_again_takes_its_place() {
    let server = Server::start().await;
    let (mut olga, mut stream, _) = with_publisher(&server, "call").await;
    let first = streamer(&olga)["participantId"].clone();
    let again = Stream::publish(&server, &olga.room, &stream.token, 3).await;
    let of_second =
        |data: &Value| data["participant"]["nickname"] == "OBS" && data["participant"]["participantId"] != first;
    let second = olga.event("call.participant", of_second).await["participant"]["participantId"].clone();
    let second = second.as_str().unwrap();
    assert_eq!(olga.sees_leave(first.as_str().unwrap()).await, "left");
    // Whose session it was is another's now: the key is the same.
    stream.is_over(&server).await;
    olga.peer.receives(&again.peer).await;
    olga.peer.misses(Kind::Video, &stream.peer).await;
    stream.peer.close().await;
    // The next one is cut off without a word.
    let mut again = again;
    again.peer.close().await;
    assert_eq!(olga.sees_leave(second).await, "lost");
    again.is_over(&server).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn doors_and_recordings_ask_a_stream_what_they_ask_everybody() {
    let server = Server::start_with(|config| config.recording.notice_ms = 100).await;
    let olga = server.enter("olga").await;
    let room = olga.create_room("call", "public").await;
    let mut olga = Caller::join(&olga, &room, 1, 3).await;
    let ada = server.enter("ada").await;
    let (path, sdp) = (format!("/rooms/{room}/whip"), Peer::new(2, 0).await.offer().await);
    let (_, secret) = key(&olga.person, &room, "publish").await;
    let (_, to_watch) = key(&olga.person, &room, "watch").await;

    olga.done("call.lock", json!({"locked": true})).await;
    for token in [&ada.token, &secret] {
        offer(&server, &path, token, sdp.clone()).await.refused(409, "room_locked");
    }
    olga.done("call.lock", json!({"locked": false})).await;
    olga.done("call.waiting_room", json!({"enabled": true})).await;
    offer(&server, &path, &ada.token, sdp.clone()).await.refused(409, "waiting");
    let waiting = olga.person.get(&format!("/rooms/{room}/call/waiting")).await.expect(StatusCode::OK);
    assert_eq!(waiting["waiting"], json!([]), "who comes by HTTP does not wait");
    // A key has been let in by the host who made it.
    let by_key = Stream::publish(&server, &room, &secret, 3).await;
    by_key.ask(&server, Method::DELETE, &[], "").await.expect(StatusCode::OK);
    olga.done("call.waiting_room", json!({"enabled": false})).await;

    // A key of one kind does not do what the other does, nor does it open another room.
    offer(&server, &path, &to_watch, sdp.clone()).await.refused(403, "forbidden");
    let other = olga.person.create_room("call", "public").await;
    offer(&server, &format!("/rooms/{other}/whip"), &secret, sdp.clone()).await.refused(404, "not_found");

    let call = recording::call_of(&olga.person, &room).await;
    let id = recording::start(&olga.person, &mut olga.socket, &call).await;
    offer(&server, &path, &ada.token, sdp.clone()).await.refused(409, "recording_consent");
    let agreed = format!("{path}?acceptRecording=true");
    let mut recorded = Stream::connect(&server, &agreed, &ada.token, Peer::new(4, 0).await).await;
    recorded.peer.publish();
    olga.peer.receives(&recorded.peer).await;
    let data = server.folder().join("data");
    recording::grown(&data, &id, 2, 2_000).await;
    recording::stop(&olga.person, &call).await;
    let files = recording::by_name(&recording::ready(&olga.person, &id).await);
    let file = &files["ada:participant"];
    let folder = tempfile::tempdir().unwrap();
    let shown = recording::show(&olga.person, &id).await;
    let saved = recording::download(&olga.person, &shown, file, folder.path()).await;
    let probed = recording::probe(&saved, &["-show_streams"]);
    assert!(!probed["streams"].as_array().unwrap().is_empty(), "{probed}");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_stream_shows_is_looked_at() {
    let server = looked_at::server().await;
    let (olga, bob) = (looked_at::moderator(&server).await, server.enter("bob").await);
    let room = bob.create_room("call", "public").await;
    let (_, secret) = key(&bob, &room, "publish").await;
    // As OBS sends it: H.264 without slots.
    let show = Show { slots: 0, ..looked_at::picture(looked_at::DRAWING, true) };
    let prepared = Playing::prepare(show);
    let answered = offer(&server, &format!("/rooms/{room}/whip"), &secret, prepared.offer()).await;
    answered.expect(StatusCode::CREATED);
    let _playing = prepared.start(&answered.text).await;
    let case = looked_at::case_about(&olga, &bob.id).await;
    assert_eq!((&case["label"], &case["trackSource"]), (&json!("Drawing"), &json!("camera")), "{case}");
    assert_eq!(case["subject"]["nickname"], "bob", "the case names who answers for it");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_live_room_has_an_audience_that_is_counted_and_not_named() {
    let server = Server::start().await;
    let (mut olga, stream, _) = with_publisher(&server, "live").await;
    let room = olga.room.clone();
    let ada = server.enter("ada").await;
    let (mut socket, state) = ada.connect_to(&room).await;
    assert_eq!(state["data"]["call"]["participants"].as_array().map(Vec::len), Some(2), "{state}");
    assert_eq!(state["data"]["members"].as_array().map(Vec::len), Some(1), "the audience is not named: {state}");
    // Nobody but hosts publishes, by whatever way.
    let peer = Peer::new(7, 1).await;
    let sdp = peer.offer().await;
    let tracks = json!([{"mid": "0", "source": "microphone"}]);
    let refused =
        socket.refused("call.offer", json!({"roomId": room, "sdp": sdp, "tracks": tracks}), "forbidden").await;
    assert_eq!(refused["detail"]["action"], "publishLive");
    let sdp = Peer::new(8, 0).await.offer().await;
    offer(&server, &format!("/rooms/{room}/whip"), &ada.token, sdp).await.refused(403, "forbidden");

    // Everybody watches: by the socket, by a login, by a key.
    let watching = Stream::watch(&server, &room, &ada.token).await;
    watching.peer.receives_kind(Kind::Audio, &stream.peer).await;
    let (_, secret) = key(&olga.person, &room, "watch").await;
    let mut players = Vec::new();
    for _ in 0..4 {
        players.push(Stream::watch(&server, &room, &secret).await);
    }
    for player in &players {
        player.peer.receives_kind(Kind::Audio, &stream.peer).await;
    }
    olga.event("call.viewers", |data| data["viewers"] == 5).await;
    let named = olga.told.iter().filter(|it| it["type"] == "call.participant" || it["type"] == "member_joined");
    assert!(named.clone().all(|it| !it.to_string().contains(&ada.id)), "nobody is told that ada came");
    let call = recording::call_of(&ada, &room).await;
    let seen = ada.get(&format!("/calls/{call}")).await.expect(StatusCode::OK);
    assert_eq!((seen["viewers"].as_u64(), seen["participants"].as_array().map(Vec::len)), (Some(5), Some(2)), "{seen}");
    for player in players {
        player.ask(&server, Method::DELETE, &[], "").await.expect(StatusCode::OK);
    }
    olga.event("call.viewers", |data| data["viewers"] == 1).await;

    // A host who is one no more does not publish any more either.
    let mo = server.enter("mo").await;
    mo.post(&format!("/rooms/{room}/join"), json!({})).await.expect(StatusCode::OK);
    let role = |role: &str| json!({"userId": mo.id, "role": role});
    olga.done("set_member_role", role("moderator")).await;
    let mut mo = Caller::join(&mo, &room, 9, 1).await;
    olga.peer.receives(&mo.peer).await;
    olga.done("set_member_role", role("member")).await;
    assert_eq!(mo.event("call.ended", |_| true).await["reason"], "removed_by_host");
    olga.peer.misses(Kind::Video, &mo.peer).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_full_room_is_full_for_streams_too() {
    let server = Server::start().await;
    let olga = server.enter("olga").await;
    let wanted = json!({"kind": "call", "name": "for two", "visibility": "public", "maxParticipants": 2});
    let room = olga.create(wanted).await;
    let (_, secret) = key(&olga, &room, "watch").await;
    let _olga = Caller::join(&olga, &room, 1, 1).await;
    let _player = Stream::watch(&server, &room, &secret).await;
    let sdp = Peer::watching(1).await.offer().await;
    let refused = offer(&server, &format!("/rooms/{room}/whep"), &secret, sdp).await.refused(409, "room_full");
    assert_eq!(refused["extra"]["limit"], 2, "{refused}");
}
