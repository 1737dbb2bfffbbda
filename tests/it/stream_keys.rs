//! Stream keys and the edges of WHIP's HTTP: what is refused, and how.

use parlor::config::Config;
use parlor::domain::{StreamKey, StreamKeyId, StreamKind, Time, Visibility, case::Named};
use reqwest::{Method, StatusCode};
use serde_json::{Value, json};

use crate::harness::{Server, answer};
use crate::peer::Peer;
use crate::store::{Database, house};
use crate::streams::{SDP, key, offer};

const OBS: &str = include_str!("../../media/fixtures/offers/obs-whip.sdp");
const GSTREAMER: &str = include_str!("../../media/fixtures/offers/gstreamer-whip.sdp");

#[tokio::test(flavor = "multi_thread")]
async fn a_key_is_told_once_listed_without_its_secret_and_revoked() {
    let server = Server::start().await;
    let (olga, ada) = (server.enter("olga").await, server.enter("ada").await);
    let room = olga.create_room("live", "public").await;
    let path = format!("/rooms/{room}/stream-keys");
    ada.post(&format!("/rooms/{room}/join"), json!({})).await.expect(StatusCode::OK);
    let wanted = json!({"name": " Studio ", "kind": "publish", "expiresAt": "2999-01-01T00:00:00.000Z"});
    let refused = ada.post(&path, wanted.clone()).await.refused(403, "forbidden");
    assert_eq!(refused["extra"]["action"], "streamKeys");
    ada.get(&path).await.refused(403, "forbidden");

    let made = olga.post(&path, wanted).await;
    assert_eq!(made.header("cache-control"), "no-store");
    let made = made.expect(StatusCode::CREATED);
    let (secret, id) = (made["secret"].as_str().unwrap(), made["keyId"].as_str().unwrap());
    assert!(secret.starts_with("stream_") && secret.len() == 71, "{made}");
    assert_eq!((&made["name"], &made["path"]), (&json!("Studio"), &json!(format!("/api/v1/rooms/{room}/whip"))));
    let listed = olga.get(&path).await.expect(StatusCode::OK);
    assert!(!listed.to_string().contains(secret), "{listed}");
    let shown = &listed["keys"][0];
    assert_eq!((&shown["keyId"], &shown["inUse"], &shown["kind"]), (&json!(id), &json!(0), &json!("publish")));
    assert_eq!(
        (&shown["createdBy"]["userId"], &shown["expiresAt"]),
        (&json!(olga.id), &json!("2999-01-01T00:00:00.000Z"))
    );
    // The state on disk does not have it either.
    for file in std::fs::read_dir(server.folder().join("data")).unwrap().flatten() {
        let bytes = std::fs::read(file.path()).unwrap_or_default();
        assert!(!bytes.windows(secret.len()).any(|it| it == secret.as_bytes()), "{:?}", file.path());
    }

    for (wanted, field) in [
        (json!({"name": " ", "kind": "watch"}), "name"),
        (json!({"name": "x".repeat(51), "kind": "watch"}), "name"),
        (json!({"name": "late", "kind": "watch", "expiresAt": "2001-01-01T00:00:00.000Z"}), "expiresAt"),
    ] {
        assert_eq!(olga.post(&path, wanted).await.refused(400, "bad_request")["extra"]["field"], field);
    }
    let group = olga.create_room("group", "public").await;
    let wrong = olga.post(&format!("/rooms/{group}/stream-keys"), json!({"name": "x", "kind": "watch"})).await;
    assert_eq!(wrong.refused(400, "bad_request")["extra"]["field"], "roomId");

    let revoke = format!("{path}/{id}");
    ada.ask(Method::DELETE, &revoke, None).await.refused(403, "forbidden");
    olga.ask(Method::DELETE, &revoke, None).await.expect(StatusCode::NO_CONTENT);
    olga.ask(Method::DELETE, &revoke, None).await.refused(404, "not_found");
    for _ in 0..50 {
        key(&olga, &room, "watch").await;
    }
    olga.post(&path, json!({"name": "one more", "kind": "watch"})).await.refused(409, "conflict");
}

#[tokio::test(flavor = "multi_thread")]
async fn programs_that_are_no_browsers_are_answered() {
    let server = Server::start().await;
    let olga = server.enter("olga").await;
    let room = olga.create_room("call", "public").await;
    let path = format!("/rooms/{room}/whip");
    let mut call = Value::Null;
    for (name, sdp, tracks) in [("obs", OBS, 2), ("gstreamer", GSTREAMER, 2)] {
        let (_, secret) = key(&olga, &room, "publish").await;
        let answered = offer(&server, &path, &secret, sdp.replace('\n', "\r\n")).await;
        answered.expect(StatusCode::CREATED);
        let sections = answered.text.lines().filter(|line| line.starts_with("m=")).count();
        assert_eq!(sections, tracks, "{name}: {}", answered.text);
        assert_eq!(answered.text.matches("a=recvonly").count(), tracks, "{name}: {}", answered.text);
        assert!(answered.text.contains("a=candidate:") && answered.text.contains("a=end-of-candidates"), "{name}");
        assert!(!answered.text.contains("m=video 0") && !answered.text.contains("m=audio 0"), "{name}");
        let id = crate::recording::call_of(&olga, &room).await;
        call = olga.get(&format!("/calls/{id}")).await.expect(StatusCode::OK);
    }
    let sources: Vec<Vec<_>> = call["participants"]
        .as_array()
        .unwrap()
        .iter()
        .map(|it| it["tracks"].as_array().unwrap().iter().map(|it| it["source"].as_str().unwrap()).collect())
        .collect();
    assert_eq!(sources, [["microphone", "camera"], ["camera", "microphone"]], "{call}");

    // One section without a name needs no bundle; two without names cannot share a way.
    let lone = |sdp: &str| {
        let (session, media) = sdp.split_once("m=audio").unwrap();
        let audio = media.split("m=video").next().unwrap().replace("a=mid:0\n", "");
        let session: Vec<_> = session.lines().filter(|line| !line.starts_with("a=group")).collect();
        format!("{}\r\nm=audio{}", session.join("\r\n"), audio.replace('\n', "\r\n"))
    };
    let (_, secret) = key(&olga, &room, "publish").await;
    let answered = offer(&server, &path, &secret, lone(OBS)).await;
    answered.expect(StatusCode::CREATED);
    assert!(!answered.text.contains("a=mid") && !answered.text.contains("a=group"), "{}", answered.text);
    let unnamed = OBS.lines().filter(|line| !line.starts_with("a=mid")).collect::<Vec<_>>().join("\r\n");
    offer(&server, &path, &secret, unnamed).await.refused(422, "bad_sdp");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_no_good_offer_is_told_why() {
    let server = Server::start().await;
    let olga = server.enter("olga").await;
    let room = olga.create_room("call", "public").await;
    let (whip, whep) = (format!("/rooms/{room}/whip"), format!("/rooms/{room}/whep"));
    let (publisher, player) = (Peer::new(1, 0).await.offer().await, Peer::watching(1).await.offer().await);
    let both = Peer::new(1, 1).await.offer().await;
    for (path, sdp, status, code) in [
        (&whip, "v=0 nonsense".to_owned(), 422, "bad_sdp"),
        (&whip, player.clone(), 422, "bad_sdp"),
        (&whip, both.clone(), 422, "bad_sdp"),
        (&whep, publisher.clone(), 422, "bad_sdp"),
        (&whep, both, 422, "bad_sdp"),
        (&whep, String::new(), 422, "bad_sdp"),
        (&whip, "v=0\r\n".repeat(8_000), 413, "too_large"),
        (&whip, publisher.replace("a=ice-ufrag", "a=x"), 422, "no_ice"),
        (&whip, publisher.replace("a=fingerprint", "a=x"), 422, "no_fingerprint"),
        (
            &whip,
            publisher.replace("opus/48000/2", "PCMU/8000").replace("VP8/90000", "H265/90000"),
            422,
            "unsupported_codecs",
        ),
    ] {
        offer(&server, path, &olga.token, sdp).await.refused(status, code);
    }
    let group = olga.create_room("group", "public").await;
    let wrong = offer(&server, &format!("/rooms/{group}/whip"), &olga.token, publisher.clone()).await;
    assert_eq!(wrong.refused(400, "bad_request")["extra"]["field"], "roomId");
    let nowhere = format!("/rooms/{}/whip", uuid::Uuid::now_v7());
    offer(&server, &nowhere, &olga.token, publisher.clone()).await.refused(404, "not_found");

    let anonymous = server.anonymous();
    let post = |accept: &str, kind: &str| {
        let request = anonymous.request(Method::POST, &format!("/api/v1{whip}")).bearer_auth(&olga.token);
        request.header("accept", accept).header("content-type", kind).body(publisher.clone())
    };
    answer(post("application/json", SDP)).await.refused(406, "not_acceptable");
    answer(post("*/*", "application/json")).await.refused(415, "unsupported_media_type");
    let without = anonymous.request(Method::POST, &format!("/api/v1{whip}")).header("content-type", SDP);
    let without = answer(without.body(publisher.clone())).await;
    without.refused(401, "unauthenticated");
    assert_eq!(without.header("www-authenticate"), "Bearer");
    for method in [Method::GET, Method::PUT, Method::PATCH, Method::DELETE] {
        let refused = answer(anonymous.request(method, &format!("/api/v1{whep}"))).await;
        refused.refused(405, "method_not_allowed");
        assert_eq!(refused.header("allow"), "OPTIONS, POST");
    }
    // Nothing of all that is in the call.
    let id = crate::recording::call_of(&olga, &room).await;
    assert_eq!(olga.get(&format!("/calls/{id}")).await.expect(StatusCode::OK)["participants"], json!([]));
}

#[tokio::test(flavor = "multi_thread")]
async fn pages_anywhere_may_use_it_and_are_told_what_it_takes() {
    let server = Server::start().await;
    let room = server.enter("olga").await.create_room("call", "public").await;
    let ask = |path: String| {
        let request = server.anonymous().request(Method::OPTIONS, &path).header("origin", "https://studio.example");
        answer(
            request
                .header("access-control-request-method", "POST")
                .header("access-control-request-headers", "authorization"),
        )
    };
    for way in ["whip", "whep"] {
        let told = ask(format!("/api/v1/rooms/{room}/{way}")).await;
        assert!(told.status.is_success());
        assert_eq!(told.header("accept-post"), SDP);
        assert_eq!(told.header("access-control-allow-origin"), "https://studio.example");
        assert!(told.header("access-control-allow-methods").contains("PATCH"));
        assert!(told.header("access-control-allow-headers").contains("if-match"));
    }
    let session = ask(format!("/api/v1/rooms/{room}/whip/{}", uuid::Uuid::now_v7())).await;
    assert_eq!(session.header("accept-patch"), "application/trickle-ice-sdpfrag");
    let elsewhere = ask(format!("/api/v1/rooms/{room}")).await;
    assert_eq!((elsewhere.header("access-control-allow-origin"), elsewhere.header("accept-post")), ("", ""));
}

#[tokio::test(flavor = "multi_thread")]
async fn keys_that_nobody_made_are_limited_by_address() {
    let server = Server::start_with(|config: &mut Config| config.limit_exempt = Vec::new()).await;
    let olga = server.enter("olga").await;
    let room = olga.create_room("call", "public").await;
    let (path, sdp) = (format!("/rooms/{room}/whip"), Peer::new(1, 0).await.offer().await);
    let mut refused = 0;
    for guess in 0..30 {
        let answered = offer(&server, &path, &format!("stream_{guess:064x}"), sdp.clone()).await;
        match answered.status.as_u16() {
            401 => {}
            429 => {
                refused += 1;
                assert!(answered.json()["retryAfterMs"].as_u64().is_some_and(|wait| wait > 0));
            }
            other => panic!("{other}: {}", answered.text),
        }
    }
    assert!(refused >= 15, "{refused} of 30 guesses were refused");
}

async fn keys_are_kept_found_by_their_hash_and_forgotten(database: Database) {
    let (store, _events, ada, room) = house(&database).await;
    let other = crate::store::room(&store, &ada, Visibility::Public).await;
    let by = Named { user_id: ada.id, nickname: "ada".to_owned() };
    let key = |room, kind, expires_at| StreamKey {
        key_id: StreamKeyId::new(),
        room_id: room,
        name: "Studio ☀".to_owned(),
        kind,
        created_by: by.clone(),
        created_at: Time::from_ms(1_000),
        expires_at,
    };
    let first = key(room, StreamKind::Publish, None);
    let second = key(room, StreamKind::Watch, Some(Time::from_ms(5_000)));
    let elsewhere = key(other, StreamKind::Watch, None);
    for (key, hash) in [(&first, [1; 32]), (&second, [2; 32]), (&elsewhere, [3; 32])] {
        assert!(store.add_stream_key(key, &hash).await.unwrap());
    }
    assert!(
        store.add_stream_key(&key(room, StreamKind::Watch, None), &[1; 32]).await.is_err(),
        "a secret is of one key"
    );
    assert_eq!(store.stream_keys(room).await.unwrap(), [first.clone(), second.clone()]);
    assert_eq!(store.stream_key(&[2; 32]).await.unwrap(), Some(second.clone()));
    assert_eq!(store.stream_key(&[9; 32]).await.unwrap(), None);
    assert!(second.is_over(Time::from_ms(5_000)) && !second.is_over(Time::from_ms(4_999)));
    assert!(!store.remove_stream_key(other, first.key_id).await.unwrap(), "it is not of that room");
    assert!(store.remove_stream_key(room, first.key_id).await.unwrap());
    assert!(!store.has_stream_key(first.key_id).await.unwrap() && store.has_stream_key(second.key_id).await.unwrap());
    assert_eq!(store.stream_key(&[1; 32]).await.unwrap(), None);
    store.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn keys_are_kept_in_sqlite() {
    keys_are_kept_found_by_their_hash_and_forgotten(Database::sqlite()).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn keys_are_kept_in_postgres() {
    keys_are_kept_found_by_their_hash_and_forgotten(Database::postgres().await).await;
}
