//! Calls that ring: who hears of what, on which devices, and how each of them ends.

use reqwest::{Method, StatusCode};
use serde_json::{Value, json};

use crate::harness::{Person, Server, Socket, until};

/// People who share a room, and a conversation of all of them.
async fn together(server: &Server, names: &[&str]) -> (Vec<Person>, String) {
    let mut people = Vec::new();
    for name in names {
        people.push(server.enter(name).await);
    }
    let room = people[0].create_room("group", "public").await;
    for person in &people[1..] {
        person.post(&format!("/rooms/{room}/join"), json!({})).await.expect(StatusCode::OK);
    }
    let others: Vec<_> = people[1..].iter().map(|it| it.id.clone()).collect();
    let direct = match &others[..] {
        [other] => people[0].post("/dms", json!({"userId": other})).await,
        _ => people[0].post("/dms/groups", json!({"userIds": others})).await,
    };
    let id = direct.expect(StatusCode::CREATED)["room"]["id"].as_str().unwrap().to_owned();
    (people, id)
}

/// Rings; how it stands.
async fn ring(socket: &mut Socket, room: &str) -> Value {
    let reply = socket.ask("start_call", json!({"roomId": room, "type": "video"})).await;
    assert_eq!(reply["type"], "call.ring", "{reply}");
    reply["data"].clone()
}

/// The next call that rings here.
async fn rung(socket: &mut Socket) -> Value {
    socket.next_of("call_invite").await["data"].clone()
}

/// How the call stands once that holds.
async fn stands(socket: &mut Socket, holds: impl Fn(&Value) -> bool) -> Value {
    loop {
        let record = socket.next_of("call.ring").await["data"].clone();
        if holds(&record) {
            return record;
        }
    }
}

async fn ended(socket: &mut Socket) -> String {
    let record = stands(socket, |record| !record["outcome"].is_null()).await;
    record["outcome"].as_str().unwrap().to_owned()
}

async fn done(socket: &mut Socket, kind: &str, call: &Value) {
    let reply = socket.ask(kind, json!({"callId": call})).await;
    assert_eq!(reply["type"], "ok", "{reply}");
}

/// The record of a call, once it is kept and over.
async fn kept(person: &Person, call: &Value) -> Value {
    let path = format!("/users/{}/calls", person.id);
    until("the call is kept", async || {
        let page = person.get(&path).await.expect(StatusCode::OK);
        page["items"].as_array().unwrap().iter().find(|it| it["callId"] == *call && !it["outcome"].is_null()).cloned()
    })
    .await
}

#[tokio::test]
async fn one_device_answers_and_all_of_them_stop() {
    let server = Server::start().await;
    let (people, room) = together(&server, &["ada", "ben"]).await;
    let [ada, ben] = &people[..] else { unreachable!() };
    let (mut hers, mut phone, mut desk) = (ada.connect().await, ben.connect().await, ben.connect().await);
    let call = ring(&mut hers, &room).await;
    assert_eq!((&call["type"], &call["roomId"], &call["outcome"]), (&json!("video"), &json!(room), &Value::Null));
    for device in [&mut phone, &mut desk] {
        let invite = rung(device).await;
        assert_eq!((&invite["callId"], &invite["roomId"]), (&call["callId"], &json!(room)));
        assert_eq!(invite["initiator"], json!({"id": ada.id, "nickname": "ada"}));
        assert!((1..=45_000).contains(&invite["expiresInMs"].as_u64().unwrap()), "{invite}");
    }
    done(&mut phone, "call.accept", &call["callId"]).await;
    for device in [&mut hers, &mut phone, &mut desk] {
        let record = stands(device, |record| !record["answeredAt"].is_null()).await;
        assert_eq!(record["participants"][0]["state"], "accepted");
    }
    desk.refused("call.decline", json!({"callId": call["callId"]}), "not_found").await;
    hers.refused("call.cancel", json!({"callId": call["callId"]}), "not_found").await;
    let shown = ada.get(&format!("/calls/{}", call["callId"].as_str().unwrap())).await.expect(StatusCode::OK);
    assert_eq!((&shown["record"]["outcome"], &shown["participants"]), (&Value::Null, &json!([])));
    let of_room = ben.get(&format!("/rooms/{room}/call")).await.expect(StatusCode::OK)["callId"].clone();
    assert_ne!(of_room, call["callId"], "the room's own call has its own id");
}

#[tokio::test]
async fn it_ends_by_no_by_giving_up_and_by_time() {
    let server = Server::start_with(|config| config.rooms.ring_ms = 700).await;
    let (people, room) = together(&server, &["ada", "ben"]).await;
    let [ada, ben] = &people[..] else { unreachable!() };
    let (mut hers, mut his) = (ada.connect().await, ben.connect().await);

    let call = ring(&mut hers, &room).await;
    rung(&mut his).await;
    assert_eq!((ended(&mut hers).await, ended(&mut his).await), ("missed".to_owned(), "missed".to_owned()));
    his.refused("call.accept", json!({"callId": call["callId"]}), "not_found").await;
    let record = kept(ben, &call["callId"]).await;
    assert_eq!((&record["outcome"], &record["participants"][0]["state"]), (&json!("missed"), &json!("missed")));
    assert_eq!(kept(ada, &call["callId"]).await, record);

    // Who comes now is not rung.
    let mut late = ben.connect().await;
    assert_eq!(late.ask("ping", json!({})).await["type"], "pong");
    while let Some(frame) = late.early() {
        assert!(!frame["type"].as_str().unwrap().starts_with("call"), "{frame}");
    }
}

#[tokio::test]
async fn it_ends_by_no_and_by_giving_up() {
    let server = Server::start().await;
    let (people, room) = together(&server, &["ada", "ben"]).await;
    let [ada, ben] = &people[..] else { unreachable!() };
    let (mut hers, mut his) = (ada.connect().await, ben.connect().await);

    let call = ring(&mut hers, &room).await;
    assert_eq!(rung(&mut his).await["callId"], call["callId"]);
    hers.refused("start_call", json!({"roomId": room, "type": "voice"}), "conflict").await;
    hers.refused("call.accept", json!({"callId": call["callId"]}), "not_found").await;
    his.refused("call.cancel", json!({"callId": call["callId"]}), "not_found").await;
    done(&mut his, "call.decline", &call["callId"]).await;
    assert_eq!((ended(&mut hers).await, ended(&mut his).await), ("declined".to_owned(), "declined".to_owned()));

    let call = ring(&mut hers, &room).await;
    rung(&mut his).await;
    done(&mut hers, "call.cancel", &call["callId"]).await;
    assert_eq!((ended(&mut hers).await, ended(&mut his).await), ("canceled".to_owned(), "canceled".to_owned()));
    assert_eq!(kept(ben, &call["callId"]).await["outcome"], "canceled");

    // Her last device goes for good.
    ring(&mut hers, &room).await;
    rung(&mut his).await;
    hers.close().await;
    assert_eq!(ended(&mut his).await, "canceled");
}

#[tokio::test]
async fn a_socket_that_comes_back_still_rings() {
    let server = Server::start().await;
    let (people, room) = together(&server, &["ada", "ben"]).await;
    let [ada, ben] = &people[..] else { unreachable!() };
    let (mut hers, mut his) = (ada.connect().await, ben.connect().await);
    let call = ring(&mut hers, &room).await;
    rung(&mut his).await;
    let (her_token, his_token) = (hers.resume_token().to_owned(), his.resume_token().to_owned());
    drop((hers, his));
    let mut his = ben.resume(&his_token).await;
    assert_eq!(rung(&mut his).await["callId"], call["callId"]);
    let mut hers = ada.resume(&her_token).await;
    assert_eq!(stands(&mut hers, |_| true).await["callId"], call["callId"]);
    done(&mut his, "call.accept", &call["callId"]).await;
    stands(&mut hers, |record| !record["answeredAt"].is_null()).await;
}

#[tokio::test]
async fn who_talks_is_busy_and_who_calls_back_at_once_answers() {
    let server = Server::start().await;
    let (people, room) = together(&server, &["ada", "ben"]).await;
    let [ada, ben] = &people[..] else { unreachable!() };
    let cleo = server.enter("cleo").await;
    let (mut hers, mut his, mut cleos) = (ada.connect().await, ben.connect().await, cleo.connect().await);
    let group = cleo.create_room("group", "public").await;
    for person in [ada, ben] {
        person.post(&format!("/rooms/{group}/join"), json!({})).await.expect(StatusCode::OK);
    }
    let call = ring(&mut hers, &room).await;
    rung(&mut his).await;
    let wanted = json!({"roomId": group, "type": "voice", "participants": [ben.id]});
    let busy = cleos.ask("start_call", wanted).await["data"].clone();
    assert_eq!((&busy["outcome"], &busy["participants"][0]["state"]), (&json!("busy"), &json!("busy")));
    assert_eq!(kept(ben, &busy["callId"]).await["outcome"], "busy");

    // He calls her while she calls him.
    let answered = ring(&mut his, &room).await;
    assert_eq!(answered["callId"], call["callId"]);
    assert_eq!(answered["participants"][0]["state"], "accepted");
    stands(&mut hers, |record| !record["answeredAt"].is_null()).await;

    // In a room of many one says whom.
    let nobody = json!({"roomId": group, "type": "voice"});
    cleos.refused("start_call", nobody, "bad_request").await;
    let stranger = server.enter("dora").await;
    let wanted = json!({"roomId": group, "type": "voice", "participants": [stranger.id]});
    cleos.refused("start_call", wanted, "bad_request").await;
    let forum = json!({"roomId": stranger.create_room("live", "public").await, "type": "voice"});
    let mut doras = stranger.connect().await;
    doras.refused("start_call", forum, "bad_request").await;
}

#[tokio::test]
async fn whom_a_block_keeps_away_is_not_rung_and_seems_not_to_answer() {
    let server = Server::start_with(|config| config.rooms.ring_ms = 1_500).await;
    let (people, room) = together(&server, &["ada", "ben", "cleo"]).await;
    let [ada, ben, cleo] = &people[..] else { unreachable!() };
    ben.ask(Method::PUT, &format!("/users/{}/block", ada.id), None).await.expect(StatusCode::NO_CONTENT);
    let (mut hers, mut his, mut cleos) = (ada.connect().await, ben.connect().await, cleo.connect().await);
    let call = ring(&mut hers, &room).await;
    let states = |record: &Value| -> Vec<String> {
        let people = record["participants"].as_array().unwrap();
        people.iter().map(|it| it["state"].as_str().unwrap().to_owned()).collect()
    };
    assert_eq!(states(&call), ["ringing", "ringing"]);
    rung(&mut cleos).await;
    done(&mut cleos, "call.decline", &call["callId"]).await;
    let over = stands(&mut hers, |record| !record["outcome"].is_null()).await;
    assert_eq!(
        (states(&over), &over["outcome"]),
        (vec!["missed".to_owned(), "declined".to_owned()], &json!("declined"))
    );
    assert_eq!(his.ask("ping", json!({})).await["type"], "pong");
    while let Some(frame) = his.early() {
        assert!(!frame["type"].as_str().unwrap().starts_with("call"), "nothing of it came: {frame}");
    }
    kept(ada, &call["callId"]).await;
    let path = format!("/calls/{}", call["callId"].as_str().unwrap());
    ben.get(&path).await.refused(404, "not_found");
    assert_eq!(ben.get(&format!("/users/{}/calls", ben.id)).await.expect(StatusCode::OK)["items"], json!([]));
    ben.get(&format!("/users/{}/calls", cleo.id)).await.refused(404, "not_found");
    server.enter("dora").await.get(&path).await.refused(404, "not_found");
}

#[tokio::test]
async fn ten_calls_an_hour() {
    let server = Server::start_with(|config| {
        config.limit_exempt.clear();
        config.rooms.calls_per_hour = 2;
    })
    .await;
    let (people, room) = together(&server, &["ada", "ben"]).await;
    let mut hers = people[0].connect().await;
    for _ in 0..2 {
        let call = ring(&mut hers, &room).await;
        done(&mut hers, "call.cancel", &call["callId"]).await;
        kept(&people[0], &call["callId"]).await;
    }
    let refused = hers.refused("start_call", json!({"roomId": room, "type": "voice"}), "rate_limited").await;
    assert_eq!(refused["detail"]["limit"], "call");
    assert!((1..=3_600_000).contains(&refused["retryAfterMs"].as_u64().unwrap()), "{refused}");
}

#[tokio::test]
async fn a_call_that_was_answered_ends_with_the_last_one_in_it() {
    let server = Server::start().await;
    let (people, room) = together(&server, &["ada", "ben"]).await;
    let [ada, ben] = &people[..] else { unreachable!() };
    let (mut hers, _) = ada.connect_to(&room).await;
    let (mut his, _) = ben.connect_to(&room).await;
    let call = ring(&mut hers, &room).await;
    rung(&mut his).await;
    done(&mut his, "call.accept", &call["callId"]).await;
    let offer = |sdp: String| json!({"roomId": room, "sdp": sdp, "tracks": []});
    for socket in [&mut hers, &mut his] {
        let sdp = crate::peer::Peer::new(1, 1).await.offer().await;
        let reply = socket.ask("call.offer", offer(sdp.to_string())).await;
        assert_eq!(reply["type"], "call.answer", "{reply}");
    }
    let shown = ada.get(&format!("/calls/{}", call["callId"].as_str().unwrap())).await.expect(StatusCode::OK);
    assert_eq!(shown["participants"].as_array().unwrap().len(), 2);
    for socket in [&mut hers, &mut his] {
        assert_eq!(socket.ask("call.leave", json!({"roomId": room})).await["type"], "ok");
    }
    assert_eq!(ended(&mut his).await, "answered");
    let record = kept(ada, &call["callId"]).await;
    assert!(record["answeredAt"].is_string() && record["endedAt"].is_string(), "{record}");
}
