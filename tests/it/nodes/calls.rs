//! One call, wherever its people are connected: it lives on one node, and media goes there directly.

use reqwest::{Method, StatusCode};
use serde_json::{Value, json};

use super::{House, bus, node};
use crate::harness::{Person, Socket, until};
use crate::peer::{Caller, Kind, Way, meet};
use crate::postgres;
use crate::program::Program;
use crate::redis::Redis;

/// Two in one call that lives on the first one's node.
async fn apart(house: &House) -> (Caller, Caller) {
    let (olga, ben) = (house.a.enter("olga").await, house.b.enter("ben").await);
    let room = olga.create_room("call", "public").await;
    let one = Caller::join(&olga, &room, 1, 4).await;
    let (socket, state) = ben.connect_to(&room).await;
    let there = &state["data"]["call"]["participants"];
    assert_eq!(there[0]["nickname"], "olga", "who comes by the other node sees who takes part: {state}");
    let other = Caller::call(Way::direct(), &ben, socket, &room, 2, 4).await;
    (one, other)
}

/// The socket is closed for its client to come back, and so it does; the socket and the state of the room.
async fn back(caller: &mut Caller) -> (Socket, Value) {
    let resume = caller.socket.resume_token().to_owned();
    assert_eq!(caller.socket.closed().await.0, 4429);
    let mut socket = caller.person.resume(&resume).await;
    assert_eq!(socket.login["resumed"], true, "its session was kept");
    let state = socket.join(&caller.room).await;
    (socket, state)
}

#[tokio::test(flavor = "multi_thread")]
async fn two_on_two_nodes_hear_and_see_each_other() {
    let house = House::new().await;
    let (mut olga, mut ben) = apart(&house).await;
    meet(&olga, &ben).await;
    let (hers, his) = (olga.participant().to_owned(), ben.participant().to_owned());
    olga.sees(&his, |it| it["state"] == "connected").await;
    ben.slot(|slot| slot["participantId"] == hers.as_str()).await;
    // What one asks for from the other node is done, and told to both.
    let track = ben.track(Kind::Audio).to_owned();
    ben.done("call.mute", json!({"trackId": track, "muted": true})).await;
    olga.sees(&his, |it| it["tracks"][0]["muted"] == true).await;
    ben.done("view", json!({"tracks": [{"trackId": olga.track(Kind::Video), "width": 320, "visible": true}]})).await;
    let refused = ben.ask("call.mute_all", json!({"muted": true})).await;
    assert_eq!(refused["data"]["code"], "forbidden", "he is no host there either: {refused}");
    let stopped = ben.track(Kind::Video).to_owned();
    olga.done("call.mute_track", json!({"trackId": stopped, "muted": true})).await;
    assert_eq!(ben.event("track.stopped", |_| true).await["trackId"], stopped.as_str());
    ben.close().await;
    assert_eq!(olga.sees_leave(&his).await, "left");
    olga.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn requests_about_a_call_reach_the_node_where_it_lives() {
    let house = House::new().await;
    let (olga, ben) = apart(&house).await;
    meet(&olga, &ben).await;
    let call = olga.answer["callId"].as_str().unwrap().to_owned();
    let host = olga.person.at(&house.b.base);
    let shown = host.get(&format!("/calls/{call}")).await.expect(StatusCode::OK);
    assert_eq!(shown["participants"].as_array().map(Vec::len), Some(2), "{shown}");
    ben.person
        .post(&format!("/rooms/{}/call/mute-all", ben.room), json!({"muted": true}))
        .await
        .refused(403, "forbidden");
    let muted = host.post(&format!("/rooms/{}/call/mute-all", ben.room), json!({"muted": true})).await;
    assert!(muted.status.is_success(), "{}", muted.text);
    let mut ben = ben;
    ben.event("call.controls", |data| data["controls"]["mutedAll"].is_object()).await;
    let quality = host.get(&format!("/calls/{call}/quality")).await;
    quality.expect(StatusCode::OK);
    let none = ben.person.ask(Method::DELETE, &format!("/calls/{call}/recording"), None).await;
    assert!(none.status.is_client_error(), "{}", none.text);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_lost_socket_of_the_other_node_keeps_its_seat() {
    let house = House::new().await;
    let (mut olga, ben) = apart(&house).await;
    meet(&olga, &ben).await;
    let his = ben.participant().to_owned();
    let Caller { person, room, peer, socket, .. } = ben;
    let resume = socket.resume_token().to_owned();
    socket.lose();
    olga.sees(&his, |it| it["state"] == "lost").await;
    let mut socket = person.resume(&resume).await;
    olga.sees(&his, |it| it["state"] == "connected").await;
    let state = socket.join(&room).await;
    let there = state["data"]["call"]["participants"].as_array().unwrap();
    assert!(there.iter().any(|it| it["participantId"] == his.as_str()), "{state}");
    olga.peer.receives(&peer).await;
    // Whoever does not come back in time is gone.
    socket.lose();
    assert_eq!(olga.sees_leave(&his).await, "lost");
}

#[tokio::test(flavor = "multi_thread")]
async fn whoever_waits_at_the_other_node_is_let_in() {
    let house = House::new().await;
    let (olga, ben) = (house.a.enter("olga").await, house.b.enter("ben").await);
    let room = olga.create_room("call", "public").await;
    for in_call in [false, true] {
        let (mut host, _) = olga.connect_to(&room).await;
        let mut caller = None;
        if in_call {
            caller = Some(Caller::join(&olga, &room, 1, 2).await);
        }
        let done = host.ask("call.waiting_room", json!({"roomId": room, "enabled": true})).await;
        assert_eq!(done["type"], "ok", "{done}");
        let mut knock = ben.connect().await;
        let waits = until("the door is learnt", async || {
            let answer = knock.ask("join_room", json!({"roomId": room})).await;
            if answer["type"] == "room_state" {
                knock.ask("leave_room", json!({"roomId": room})).await;
            }
            (answer["type"] == "error").then_some(answer)
        });
        assert_eq!(waits.await["data"]["code"], "waiting");
        while host.next_of("call.waiting").await["data"]["waiting"][0]["userId"] != ben.id.as_str() {}
        let gone = knock.ask("leave_room", json!({"roomId": room})).await;
        assert_eq!(gone["type"], "ok", "he waits no more: {gone}");
        while host.next_of("call.waiting").await["data"]["gone"][0] != ben.id.as_str() {}
        knock.refused("join_room", json!({"roomId": room}), "waiting").await;
        while host.next_of("call.waiting").await["data"]["waiting"][0]["userId"] != ben.id.as_str() {}
        let done = host.ask("call.admit", json!({"roomId": room, "target": {"userId": ben.id}})).await;
        assert_eq!(done["type"], "ok", "{done}");
        knock.next_of("call.admitted").await;
        let state = knock.join(&room).await;
        assert_eq!(state["type"], "room_state", "{state}");
        assert_eq!(state["data"]["call"]["controls"]["waitingRoom"], true);
        knock.close().await;
        host.ask("call.waiting_room", json!({"roomId": room, "enabled": false})).await;
        host.close().await;
        if let Some(caller) = caller {
            caller.close().await;
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn without_redis_a_call_goes_on_and_what_reaches_nobody_is_said() {
    let house = House::new().await;
    let (olga, mut ben) = apart(&house).await;
    meet(&olga, &ben).await;
    house.redis.pause();
    let track = ben.track(Kind::Audio).to_owned();
    let refused = ben.ask("call.mute", json!({"trackId": track, "muted": true})).await;
    assert_eq!(refused["data"]["code"], "node_unavailable", "{refused}");
    assert!(refused["data"]["retryAfterMs"].as_u64().is_some_and(|ms| ms > 0), "{refused}");
    until("the loss shows", async || (bus(&house.b).await == "away").then_some(())).await;
    let heard = ben.peer.latest(Kind::Audio, olga.peer.tag);
    until("media goes on", async || (ben.peer.latest(Kind::Audio, olga.peer.tag) > heard).then_some(())).await;
    house.redis.go_on();
    let (socket, state) = back(&mut ben).await;
    ben.socket = socket;
    let his = ben.participant().to_owned();
    let there = state["data"]["call"]["participants"].as_array().unwrap();
    assert!(there.iter().any(|it| it["participantId"] == his.as_str()), "his seat was kept: {state}");
    ben.done("call.mute", json!({"trackId": track, "muted": true})).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn when_the_node_of_a_call_stops_it_goes_on_elsewhere() {
    let house = House::new().await;
    let (olga, mut ben) = apart(&house).await;
    meet(&olga, &ben).await;
    let House { a, b, redis } = house;
    let stopped = tokio::spawn(a.stop());
    assert_eq!(ben.event("call.ended", |_| true).await["reason"], "broken");
    go_on(&b.base, olga, ben).await;
    stopped.await.unwrap();
    drop((b, redis));
}

#[tokio::test(flavor = "multi_thread")]
async fn when_the_node_of_a_call_dies_it_goes_on_elsewhere() {
    let (url, redis) = (postgres::database().await, Redis::start().await);
    let b = node(&url, &redis, &|_| {}).await;
    let data = tempfile::tempdir().unwrap();
    std::fs::write(data.path().join("secret"), [7; 32]).unwrap();
    let private = std::os::unix::fs::PermissionsExt::from_mode(0o600);
    std::fs::set_permissions(data.path().join("secret"), private).unwrap();
    let settings = [
        ("PARLOR_DATABASE_URL", url.clone()),
        ("PARLOR_REDIS_URL", redis.url()),
        ("PARLOR_DATA_DIR", data.path().to_string_lossy().into_owned()),
        ("PARLOR_NODES__PRESENT_MS", "3000".to_owned()),
        ("PARLOR_NODES__LEASE_MS", "3000".to_owned()),
        ("PARLOR_SAMPLE_EVERY_MS", "0".to_owned()),
    ];
    let a = tokio::task::spawn_blocking(move || {
        let settings: Vec<_> = settings.iter().map(|(name, value)| (*name, value.as_str())).collect();
        Program::start(&settings)
    });
    let a = a.await.unwrap();
    until("the nodes hear each other", async || (bus(&b).await == "ok").then_some(())).await;
    let (olga, ben) = (Person::enter(&a.base, "olga").await, b.enter("ben").await);
    let room = olga.create_room("call", "public").await;
    let one = Caller::join(&olga, &room, 1, 4).await;
    let mut other = Caller::join(&ben, &room, 2, 4).await;
    meet(&one, &other).await;
    drop(a.kill());
    assert_eq!(other.event("call.ended", |_| true).await["reason"], "broken");
    go_on(&b.base, one, other).await;
    drop((b, redis));
}

/// Both take part again by the node that is left, and meet.
async fn go_on(base: &str, mut olga: Caller, mut ben: Caller) {
    let (socket, state) = back(&mut ben).await;
    assert_eq!(state["data"]["call"]["participants"], json!([]), "nobody is in the new call yet");
    let ben = Caller::call(Way::direct(), &ben.person, socket, &ben.room, 4, 4).await;
    olga.peer.close().await;
    let olga = Caller::join(&olga.person.at(base), &olga.room, 3, 4).await;
    meet(&olga, &ben).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_but_the_door_lets_in_who_waits_at_the_other_node() {
    let house = House::new().await;
    let (olga, ben) = (house.a.enter("olga").await, house.b.enter("ben").await);
    let room = olga.create_room("call", "public").await;
    ben.post(&format!("/rooms/{room}/join"), json!({})).await.expect(StatusCode::OK);
    let (mut host, _) = olga.connect_to(&room).await;
    let done = host.ask("call.waiting_room", json!({"roomId": room, "enabled": true})).await;
    assert_eq!(done["type"], "ok", "{done}");
    let mut knock = ben.connect().await;
    knock.refused("join_room", json!({"roomId": room}), "waiting").await;
    let frames = [
        ("view", json!({"roomId": room, "tracks": []})),
        ("call.ready", json!({"roomId": room})),
        ("call.leave", json!({"roomId": room})),
    ];
    for (kind, data) in frames {
        knock.refused(kind, data, "not_in_room").await;
        knock.refused("join_room", json!({"roomId": room}), "waiting").await;
    }
    let done = host.ask("call.admit", json!({"roomId": room, "target": {"userId": ben.id}})).await;
    assert_eq!(done["type"], "ok", "{done}");
    knock.next_of("call.admitted").await;
    knock.join(&room).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_call_that_another_node_has_taken_is_over_here_and_goes_on_there() {
    let url = postgres::database().await;
    let redis = Redis::start().await;
    let (a, b) = (node(&url, &redis, &|_| {}).await, node(&url, &redis, &|_| {}).await);
    let house = House { a, b, redis };
    house.until_they_hear().await;
    let (mut olga, ben) = apart(&house).await;
    meet(&olga, &ben).await;
    // As it is when a node was away from the database for longer than its lease.
    let (store, _events) =
        parlor::store::Store::open(&parlor::store::Config { url, ..Default::default() }).await.unwrap();
    let thing = format!("call:{}", olga.room);
    let nodes = store.nodes().await.unwrap();
    let mut owner = None;
    for node in &nodes {
        if store.things_of(*node).await.unwrap().contains(&thing) {
            owner = Some(*node);
        }
    }
    let other = nodes.into_iter().find(|node| Some(*node) != owner).unwrap();
    let owner = owner.expect("it lives on one of them");
    until("the other one has it", async || {
        store.leave_seat_of(&thing, owner).await.unwrap();
        (store.take_seat_of(&thing, other).await.unwrap() == other).then_some(())
    })
    .await;
    assert_eq!(olga.event("call.ended", |_| true).await["reason"], "broken");
    let Caller { person, room, mut peer, socket, .. } = olga;
    peer.close().await;
    let mut olga = Caller::call(Way::direct(), &person, socket, &room, 3, 4).await;
    let Caller { person, room, mut peer, socket, .. } = ben;
    peer.close().await;
    let ben = Caller::call(Way::direct(), &person, socket, &room, 4, 4).await;
    meet(&olga, &ben).await;
    let his = ben.participant().to_owned();
    ben.close().await;
    assert_eq!(olga.sees_leave(&his).await, "left");
    store.close().await;
}
