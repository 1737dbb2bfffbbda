//! How strangers meet.

use parlor::domain::UserId;
use serde_json::{Value, json};

use super::{Stranger, text, together};
use crate::harness::Server;
use crate::peer::{Caller, Peer, Way, meet};

#[tokio::test(flavor = "multi_thread")]
async fn two_strangers_meet_write_and_call() {
    let server = Server::start().await;
    let wishes = |interests: &[&str]| json!({"mode": "video", "interests": interests, "language": "EN", "age": 99});
    let mut ada = Stranger::search(&server, "ada", wishes(&["Chess", "tea"])).await;
    let mut ben = Stranger::search(&server, "ben", wishes(&["go", "chess"])).await;
    assert_eq!((ada.find().await.as_str(), ben.find().await.as_str()), ("ben", "ada"));
    assert_eq!(ada.found["sharedInterests"], json!(["chess"]));
    assert_eq!((&ada.found["mode"], &ada.found["confirmWithinMs"]), (&json!("video"), &Value::Null));
    assert_eq!(ada.found["partner"], json!({"userId": ben.person.id, "nickname": "ben"}));
    for field in ["matchId", "roomId", "callId"] {
        assert!(ada.found[field].is_string() && ada.found[field] == ben.found[field], "{field}");
    }
    let state = ada.join().await;
    assert_eq!(state["data"]["room"]["kind"], "match");
    assert_eq!(
        (&state["data"]["room"]["maxParticipants"], &state["data"]["you"]["role"]),
        (&json!(2), &json!("member"))
    );
    assert_eq!(state["data"]["call"]["callId"], ada.found["callId"]);
    ben.join().await;
    let room = ada.room();
    let said = ada.socket.say(&room, "c-1", "hello, stranger").await;
    assert_eq!((&said["type"], &said["offset"]), (&json!("new_message"), &json!(1)), "{said}");
    assert_eq!(ben.told("new_message").await["message"]["content"]["text"], "hello, stranger");
    let long = json!({"roomId": room, "clientId": "c-2", "content": {"text": "x".repeat(1_001)}});
    ada.socket.refused("send_message", long, "message_too_long").await;

    let (one, other) = (ada.person.clone(), ben.person.clone());
    let ada_in_call = Caller::call(Way::direct(), &one, ada.socket, &room, 1, 1).await;
    let ben_in_call = Caller::call(Way::direct(), &other, ben.socket, &room, 2, 1).await;
    meet(&ada_in_call, &ben_in_call).await;

    // Nobody else finds it or comes in.
    let cleo = server.enter("cleo").await;
    let mut socket = cleo.connect().await;
    socket.refused("join_room", json!({"roomId": room}), "room_private").await;
    cleo.post(&format!("/rooms/{room}/join"), json!({})).await.refused(403, "room_private");
    for path in [format!("/rooms/{room}"), format!("/rooms/{room}/members"), format!("/rooms/{room}/messages")] {
        cleo.get(&path).await.refused(404, "not_found");
    }
    assert_eq!(cleo.get("/rooms").await.json()["rooms"], json!([]));
    cleo.post("/rooms", json!({"kind": "match", "name": "x", "visibility": "public"}))
        .await
        .refused(400, "bad_request");
}

#[tokio::test]
async fn what_was_written_is_replayed_from_memory_while_they_are_together() {
    let server = Server::start().await;
    let (mut ada, mut ben) = together(&server, "text").await;
    let room = ada.room();
    let first = ada.socket.say(&room, "c-1", "one").await;
    let again = ada.socket.say(&room, "c-1", "one").await;
    assert_eq!((&again["data"], &again["offset"]), (&first["data"], &Value::Null));
    let other = json!({"roomId": room, "clientId": "c-1", "content": {"text": "other"}});
    ada.socket.refused("send_message", other, "conflict").await;
    let message = &first["data"]["message"]["id"];
    let reply = json!({"roomId": room, "clientId": "c-1", "content": {"text": "two"}, "replyTo": message});
    assert_eq!(ben.socket.ask("send_message", reply).await["offset"], 2);
    let edit = json!({"roomId": room, "messageId": message, "content": {"text": "ONE"}});
    assert_eq!(ada.socket.ask("edit_message", edit.clone()).await["type"], "message_edited");
    ben.socket.refused("edit_message", edit, "not_found").await;
    let position = json!({"roomId": room, "epoch": first["epoch"], "offset": 1});
    let state = ben.socket.ask("join_room", position).await;
    assert_eq!((&state["data"]["recovered"], &state["data"]["messages"]), (&json!(true), &json!([])));
    let fresh = ben.join().await;
    assert_eq!((&fresh["offset"], &fresh["data"]["messages"][0]["content"]["text"]), (&json!(3), &json!("ONE")));
    let history = ben.person.get(&format!("/rooms/{room}/messages?limit=1")).await.json();
    assert_eq!(history["messages"][0]["content"]["text"], "two");
    // In writing means without tracks.
    let offer = json!({"roomId": room, "sdp": Peer::new(1, 1).await.offer().await, "tracks": [{"mid": "0", "source": "camera"}]});
    assert_eq!(ada.socket.refused("call.offer", offer, "bad_request").await["detail"]["field"], "tracks");

    ben.done("match.stop", json!({})).await;
    assert_eq!(ada.ended().await, "partner_left");
    assert_eq!(ada.told("removed").await, json!({"roomId": room, "reason": null}));
    for stranger in [&mut ada, &mut ben] {
        stranger.socket.refused("join_room", json!({"roomId": room}), "not_found").await;
        let late = json!({"roomId": room, "clientId": "c-9", "content": {"text": "late"}});
        stranger.socket.refused("send_message", late, "not_in_room").await;
        stranger.person.get(&format!("/rooms/{room}/messages")).await.refused(404, "not_found");
        stranger
            .person
            .get(&format!("/calls/{}", stranger.found["callId"].as_str().unwrap()))
            .await
            .refused(404, "not_found");
    }
}

#[tokio::test]
async fn both_say_yes_before_they_meet() {
    let server = Server::start().await;
    let asks = json!({"mode": "text", "language": "en", "confirm": true});
    let mut ada = Stranger::search(&server, "ada", asks.clone()).await;
    let mut ben = Stranger::search(&server, "ben", text(&[])).await;
    assert_eq!((ada.find().await.as_str(), ben.find().await.as_str()), ("ben", "ada"));
    for stranger in [&ada, &ben] {
        assert_eq!((&stranger.found["roomId"], &stranger.found["callId"]), (&Value::Null, &Value::Null));
        assert!((1..=15_000).contains(&stranger.found["confirmWithinMs"].as_u64().unwrap()), "{}", stranger.found);
    }
    ada.confirm(true).await;
    ada.confirm(true).await;
    let elsewhere = json!({"matchId": UserId::new(), "accept": true});
    ben.socket.refused("match.confirm", elsewhere, "not_in_match").await;
    ben.confirm(true).await;
    let ready = [ada.told("match.ready").await, ben.told("match.ready").await];
    assert_eq!(ready[0], ready[1]);
    assert_eq!(ready[0]["matchId"], ada.found["matchId"]);
    let room = ready[0]["roomId"].as_str().unwrap().to_owned();
    assert_eq!(ada.socket.join(&room).await["data"]["call"]["callId"], ready[0]["callId"]);
    ben.socket.join(&room).await;
    let too_late = json!({"matchId": ada.found["matchId"], "accept": true});
    ada.socket.refused("match.confirm", too_late, "not_in_match").await;
    ada.done("match.stop", json!({})).await;
    assert_eq!((ada.ended().await.as_str(), ben.ended().await.as_str()), ("stopped", "partner_left"));

    // No is no, whether the other one has answered or not; the other one searches on.
    let mut cleo = Stranger::search(&server, "cleo", asks.clone()).await;
    let mut dora = Stranger::search(&server, "dora", asks.clone()).await;
    cleo.find().await;
    dora.find().await;
    dora.confirm(true).await;
    cleo.confirm(false).await;
    assert_eq!((cleo.ended().await.as_str(), dora.ended().await.as_str()), ("declined", "declined"));
    assert_eq!(dora.told("match.searching").await["stage"], "strict");
    cleo.socket.refused("match.next", json!({}), "not_in_match").await;
    let mut emil = Stranger::search(&server, "emil", asks).await;
    assert_eq!((emil.find().await.as_str(), dora.find().await.as_str()), ("dora", "emil"));
    emil.socket.close().await;
    assert_eq!(dora.ended().await, "declined");
    dora.told("match.searching").await;
}

#[tokio::test]
async fn who_does_not_answer_in_time_is_out() {
    let server = Server::start_with(|config| config.matching.confirm_ms = 300).await;
    let asks = json!({"mode": "text", "language": "en", "confirm": true});
    let mut ada = Stranger::search(&server, "ada", asks.clone()).await;
    let mut ben = Stranger::search(&server, "ben", asks.clone()).await;
    ada.find().await;
    ben.find().await;
    ada.confirm(true).await;
    assert_eq!((ada.ended().await.as_str(), ben.ended().await.as_str()), ("unconfirmed", "unconfirmed"));
    ada.told("match.searching").await;
    let mut cleo = Stranger::search(&server, "cleo", asks).await;
    assert_eq!((cleo.find().await.as_str(), ada.find().await.as_str()), ("ada", "cleo"), "not ben");
}

#[tokio::test]
async fn who_does_not_come_leaves_nobody_waiting() {
    let server = Server::start_with(|config| config.matching.come_ms = 1_500).await;
    let mut ada = Stranger::search(&server, "ada", text(&[])).await;
    let mut ben = Stranger::search(&server, "ben", text(&[])).await;
    ada.find().await;
    ben.find().await;
    ada.join().await;
    assert_eq!((ada.ended().await.as_str(), ben.ended().await.as_str()), ("partner_lost", "unconfirmed"));
    // Who has come stays.
    let (mut cleo, dora) = {
        let mut cleo = Stranger::search(&server, "cleo", text(&[])).await;
        let mut dora = Stranger::search(&server, "dora", text(&[])).await;
        cleo.find().await;
        dora.find().await;
        cleo.join().await;
        dora.join().await;
        (cleo, dora)
    };
    let mut emil = Stranger::search(&server, "emil", text(&["opera"])).await;
    let mut finn = Stranger::search(&server, "finn", text(&["opera"])).await;
    emil.find().await;
    finn.find().await;
    emil.join().await;
    assert_eq!(emil.ended().await, "partner_lost", "that is later than cleo's and dora's time");
    let room = cleo.room();
    assert_eq!(cleo.socket.say(&room, "c-1", "still here").await["type"], "new_message");
    drop(dora);
}
