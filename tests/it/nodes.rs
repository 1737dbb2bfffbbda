//! Two nodes on one PostgreSQL and one Redis: one room, wherever somebody is; and what becomes of it when a part fails.

mod calls;
mod clients;
mod ghosts;
mod history;
mod line;
mod logins;
mod ringing;
mod strangers;

use std::time::Duration;

use parlor::config::Config;
use parlor::domain::NodeId;
use reqwest::{Method, StatusCode};
use serde_json::{Value, json};

use crate::harness::{Person, Server, Socket, settings, until};
use crate::postgres;
use crate::redis::Redis;

/// Two servers that share a database and a Redis.
struct House {
    a: Server,
    b: Server,
    redis: Redis,
}

impl House {
    async fn new() -> Self {
        Self::with(|_| {}).await
    }

    async fn with(change: impl Fn(&mut Config)) -> Self {
        let (url, redis) = (postgres::database().await, Redis::start().await);
        let a = node(&url, &redis, &change).await;
        let b = node(&url, &redis, &change).await;
        let house = Self { a, b, redis };
        house.until_they_hear().await;
        house
    }

    async fn until_they_hear(&self) {
        for server in [&self.a, &self.b] {
            until("the nodes hear each other", async || (bus(server).await == "ok").then_some(())).await;
        }
    }
}

/// What `/ready` says of the bus.
async fn bus(server: &Server) -> String {
    server.anonymous().get("/ready").await.json()["bus"].as_str().unwrap_or_default().to_owned()
}

async fn node(url: &str, redis: &Redis, change: &impl Fn(&mut Config)) -> Server {
    let folder = tempfile::tempdir().unwrap();
    let data = settings(&folder).data_dir;
    std::fs::create_dir(&data).unwrap();
    // What one node signs, the other believes.
    std::fs::write(data.join("secret"), [7; 32]).unwrap();
    Server::start_in(folder, |config| {
        config.database_url = Some(url.to_owned());
        config.redis_url = Some(redis.url());
        config.nodes.present_ms = 3_000;
        config.nodes.check_ms = 500;
        config.nodes.lease_ms = 3_000;
        config.hub.seat_kept_ms = 2_000;
        change(config);
    })
    .await
}

/// Says something, and has it acknowledged.
async fn say(socket: &mut Socket, room: &str, id: &str) {
    let reply = socket.say(room, id, id).await;
    assert_eq!(reply["type"], "new_message", "{reply}");
}

/// The client ids and offsets of the next so many messages.
async fn hear(socket: &mut Socket, count: usize) -> Vec<(u64, String)> {
    let mut heard = Vec::new();
    while heard.len() < count {
        let frame = socket.next_of("new_message").await;
        // An answer to one's own message that was told before has no place.
        let id = frame["data"]["message"]["clientId"].as_str().unwrap();
        // Nor does what the server tells of the room.
        if let Some(offset) = frame["offset"].as_u64().filter(|_| !id.starts_with("system:")) {
            heard.push((offset, id.to_owned()));
        }
    }
    heard
}

fn names(state: &Value) -> Vec<&str> {
    let mut names: Vec<_> =
        state["data"]["members"].as_array().unwrap().iter().map(|it| it["nickname"].as_str().unwrap()).collect();
    names.sort_unstable();
    names
}

async fn online(person: &Person, room: &str) -> u64 {
    person.get(&format!("/rooms/{room}")).await.json()["online"].as_u64().unwrap_or_default()
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_said_on_both_nodes_everybody_hears_in_one_order() {
    const EACH: usize = 60;
    let house = House::new().await;
    let (ada, ben) = (house.a.enter("ada").await, house.b.enter("ben").await);
    let room = ada.create_room("group", "public").await;
    let (mut one, _) = ada.connect_to(&room).await;
    let (mut other, _) = ben.connect_to(&room).await;
    let (mut ear, _) = house.a.enter("cy").await.connect_to(&room).await;
    let (mut far_ear, _) = house.b.enter("dee").await.connect_to(&room).await;
    let talk = |mut socket: Socket, who: &'static str, room: String| async move {
        for number in 0..EACH {
            say(&mut socket, &room, &format!("{who}{number}")).await;
        }
        socket
    };
    (one, other) = tokio::join!(talk(one, "a", room.clone()), talk(other, "b", room.clone()));
    let heard = hear(&mut ear, 2 * EACH).await;
    assert_eq!(hear(&mut far_ear, 2 * EACH).await, heard, "everybody hears the same");
    let offsets: Vec<u64> = heard.iter().map(|(offset, _)| *offset).collect();
    assert!(offsets.windows(2).all(|two| two[1] == two[0] + 1), "{offsets:?}");
    for who in ["a", "b"] {
        let theirs: Vec<_> = heard.iter().filter(|(_, id)| id.starts_with(who)).map(|(_, id)| id.clone()).collect();
        assert_eq!(theirs, (0..EACH).map(|number| format!("{who}{number}")).collect::<Vec<_>>());
    }
    one.close().await;
    other.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn who_is_there_is_known_on_both_nodes() {
    let house = House::new().await;
    let (ada, ben) = (house.a.enter("ada").await, house.b.enter("ben").await);
    let room = ada.create_room("group", "public").await;
    let (mut one, _) = ada.connect_to(&room).await;
    until("the other node knows of her", async || (online(&ben, &room).await == 1).then_some(())).await;
    let (mut other, state) = ben.connect_to(&room).await;
    assert_eq!((names(&state), state["data"]["online"].as_u64()), (vec!["ada", "ben"], Some(2)));
    assert_eq!(one.next_of("member_joined").await["data"]["member"]["nickname"], "ben");
    until("both are counted", async || (online(&ada, &room).await == 2).then_some(())).await;

    // Typing crosses over, and so do roles and removals.
    other.send_json(&json!({"type": "typing", "data": {"roomId": room, "typing": true}})).await;
    assert_eq!(one.next_of("typing").await["data"]["nickname"], "ben");
    let changed = one.ask("set_member_role", json!({"roomId": room, "userId": ben.id, "role": "moderator"})).await;
    assert_eq!(changed["type"], "ok", "{changed}");
    assert_eq!(other.next_of("member_role").await["data"]["role"], "moderator");
    let removed = one.ask("remove_member", json!({"roomId": room, "userId": ben.id, "reason": "spam"})).await;
    assert_eq!(removed["type"], "ok", "{removed}");
    assert_eq!(other.next_of("removed").await["data"]["reason"], "spam");
    assert_eq!(one.next_of("member_left").await["data"]["userId"], ben.id.as_str());
    let refused = other.ask("send_message", json!({"roomId": room, "clientId": "x", "content": {"text": "x"}})).await;
    assert_eq!(refused["type"], "error");
    assert_eq!(online(&ada, &room).await, 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn whoever_resumes_on_the_other_node_has_missed_nothing_and_has_not_left() {
    let house = House::new().await;
    let (ada, ben) = (house.a.enter("ada").await, house.b.enter("ben").await);
    let room = ada.create_room("group", "public").await;
    let (mut stays, _) = ada.connect_to(&room).await;
    let (mut goes, state) = ben.connect_to(&room).await;
    stays.next_of("member_joined").await;
    say(&mut stays, &room, "before").await;
    let heard = goes.next_of("new_message").await;
    let (probe, _) = house.b.enter("cy").await.connect_to(&room).await;
    stays.next_of("member_joined").await;
    goes.lose();
    probe.lose();
    for number in 0..5 {
        say(&mut stays, &room, &format!("meanwhile{number}")).await;
    }
    let mut back = ben.at(&house.a.base).connect().await;
    let since = json!({"roomId": room, "epoch": state["epoch"], "offset": heard["offset"]});
    let again = back.ask("join_room", since).await;
    assert_eq!((&again["type"], &again["data"]["recovered"]), (&"room_state".into(), &true.into()), "{again}");
    let missed = hear(&mut back, 5).await;
    assert_eq!(
        missed.iter().map(|(_, id)| id.as_str()).collect::<Vec<_>>(),
        ["meanwhile0", "meanwhile1", "meanwhile2", "meanwhile3", "meanwhile4"]
    );
    // The old node gives both seats up after a while. That he left nobody is told, for he did not.
    loop {
        let frame = stays.next().await;
        assert_ne!(frame["type"], "member_joined", "{frame}");
        if frame["type"] == "member_left" {
            assert_ne!(frame["data"]["userId"], ben.id.as_str(), "{frame}");
            break;
        }
    }
    say(&mut back, &room, "after").await;
    loop {
        let frame = stays.next().await;
        assert!(frame["type"] != "member_left" && frame["type"] != "member_joined", "{frame}");
        if frame["data"]["message"]["clientId"] == "after" {
            break;
        }
    }
    assert_eq!(online(&ada, &room).await, 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn without_redis_each_node_goes_on_and_afterwards_nothing_is_missing() {
    let mut house = House::new().await;
    let (ada, ben) = (house.a.enter("ada").await, house.b.enter("ben").await);
    let room = ada.create_room("group", "public").await;
    let (mut one, _) = ada.connect_to(&room).await;
    let (mut other, _) = ben.connect_to(&room).await;
    say(&mut one, &room, "before").await;
    assert_eq!(hear(&mut other, 1).await[0].1, "before");
    for way in ["paused", "killed"] {
        if way == "paused" {
            house.redis.pause();
        } else {
            house.redis.kill();
        }
        for number in 0..10 {
            say(&mut one, &room, &format!("{way}-a{number}")).await;
            say(&mut other, &room, &format!("{way}-b{number}")).await;
        }
        until("the loss shows", async || (bus(&house.a).await == "away").then_some(())).await;
        if way == "paused" {
            house.redis.go_on();
        } else {
            house.redis.start_again();
        }
        house.until_they_hear().await;
        let (mut far, mut near) = (Vec::new(), Vec::new());
        while far.iter().filter(|id: &&String| id.contains("-a")).count() < 10 {
            far.push(hear(&mut other, 1).await[0].1.clone());
        }
        while near.iter().filter(|id: &&String| id.contains("-b")).count() < 10 {
            near.push(hear(&mut one, 1).await[0].1.clone());
        }
        let of = |heard: &[String], who: &str| {
            heard.iter().filter(|id| id.starts_with(&format!("{way}-{who}"))).cloned().collect::<Vec<_>>()
        };
        let said = |who: &str| (0..10).map(|number| format!("{way}-{who}{number}")).collect::<Vec<_>>();
        assert_eq!((of(&far, "a"), of(&near, "b")), (said("a"), said("b")));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_people_of_a_node_that_stops_or_falls_silent_are_gone() {
    let house = House::new().await;
    let (ada, ben) = (house.a.enter("ada").await, house.b.enter("ben").await);
    let room = ada.create_room("group", "public").await;
    let (mut stays, _) = ada.connect_to(&room).await;
    let (_held, _) = ben.connect_to(&room).await;
    stays.next_of("member_joined").await;
    // Nothing is heard of the other node any more, nor of the own one: whoever is not told of is gone after a while.
    house.redis.pause();
    let left = stays.next_of("member_left").await;
    assert_eq!((&left["data"]["userId"], &left["data"]["reason"]), (&ben.id.as_str().into(), &"lost".into()));
    house.redis.go_on();
    assert_eq!(stays.next_of("member_joined").await["data"]["member"]["nickname"], "ben");
    let House { b, redis, a } = house;
    let stopped = tokio::spawn(b.stop());
    assert_eq!(stays.next_of("member_left").await["data"]["userId"], ben.id.as_str());
    tokio::time::timeout(Duration::from_secs(60), stopped).await.unwrap().unwrap();
    drop((a, redis));
}

#[tokio::test(flavor = "multi_thread")]
async fn the_end_of_a_login_reaches_sockets_of_the_other_node() {
    let house = House::new().await;
    let ben = house.b.enter("ben").await;
    let mut socket = ben.connect().await;
    let out = ben.at(&house.a.base).ask(Method::DELETE, "/auth/logout", None).await;
    assert!(out.status.is_success(), "{}", out.text);
    assert_eq!(socket.closed().await.0, 4401);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_ban_reaches_the_other_node() {
    let house = House::new().await;
    // The link of the one that started last counts.
    let admin = house.b.administrator("admin").await;
    let (ada, eve) = (house.b.enter("ada").await, house.a.enter("eve").await);
    let room = ada.create_room("group", "public").await;
    let (mut watching, _) = ada.connect_to(&room).await;
    let (mut socket, _) = eve.connect_to(&room).await;
    watching.next_of("member_joined").await;
    house.b.ban(&admin, &eve.id, None).await.unwrap();
    let (code, error) = socket.closed().await;
    assert_eq!((code, &error.expect("she is told why")["code"]), (4403, &json!("banned")));
    let left = watching.next_of("member_left").await;
    assert_eq!(left["data"], json!({"userId": eve.id, "reason": "removed"}));
    for server in [&house.a, &house.b] {
        eve.at(&server.base).get("/auth/me").await.refused(403, "banned");
        let mut again = server.socket().await;
        again.send_json(&json!({"type": "authenticate", "data": {"token": eve.token}})).await;
        assert_eq!(again.closed().await.0, 4403);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_changed_door_reaches_the_other_node() {
    let house = House::new().await;
    let (ada, ben) = (house.a.enter("ada").await, house.b.enter("ben").await);
    let room = ada.create_room("call", "public").await;
    let (mut host, _) = ada.connect_to(&room).await;
    let (mut inside, _) = ben.connect_to(&room).await;
    let mut knocks = [house.a.enter("cleo").await.connect().await, house.b.enter("dee").await.connect().await];
    let here = json!({"roomId": room});
    for locked in [true, false, true] {
        // By the socket on one node, over REST on the other.
        if locked {
            let done = host.ask("call.lock", json!({"roomId": room, "locked": true})).await;
            assert_eq!(done["type"], "ok", "{done}");
        } else {
            let open = ada.at(&house.b.base).post(&format!("/rooms/{room}/call/lock"), json!({"locked": false})).await;
            open.expect(StatusCode::NO_CONTENT);
        }
        for socket in [&mut host, &mut inside] {
            assert_eq!(socket.next_of("call.controls").await["data"]["controls"]["locked"], json!(locked));
        }
        for knock in &mut knocks {
            let answer = until("the door is learnt", async || {
                let answer = knock.ask("join_room", here.clone()).await;
                if answer["type"] == "room_state" {
                    assert_eq!(knock.ask("leave_room", here.clone()).await["type"], "ok");
                }
                ((answer["type"] == "error") == locked).then_some(answer)
            });
            let answer = answer.await;
            assert_eq!(answer["data"]["code"] == "room_locked", locked, "{answer}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_somebody_chooses_by_another_node_to_be_seen_as_they_are_seen_as() {
    let house = House::new().await;
    let (ada, ben, cleo) = (house.a.enter("ada").await, house.a.enter("ben").await, house.b.enter("cleo").await);
    let room = ben.create_room("group", "public").await;
    let (mut near, _) = ben.connect_to(&room).await;
    let (mut far, _) = cleo.connect_to(&room).await;
    let (_held, _) = ada.connect_to(&room).await;
    for socket in [&mut near, &mut far] {
        while socket.next_of("member_joined").await["data"]["member"]["userId"] != json!(ada.id) {}
    }
    // All her devices are at one node; what she chooses is taken by the other.
    let path = format!("/users/{}/presence", ada.id);
    let choose =
        async |wish: Value| ada.at(&house.b.base).ask(Method::PUT, &path, Some(wish)).await.expect(StatusCode::OK);
    assert_eq!(choose(json!({"status": "invisible"})).await["status"], "offline");
    for socket in [&mut near, &mut far] {
        assert_eq!(socket.next_of("member_left").await["data"]["userId"], json!(ada.id));
    }
    for person in [&ben, &cleo] {
        until("she is counted no more", async || (online(person, &room).await == 2).then_some(())).await;
        assert_eq!(person.get(&path).await.expect(StatusCode::OK)["status"], "offline");
    }
    choose(json!({"status": "online"})).await;
    for socket in [&mut near, &mut far] {
        assert_eq!(socket.next_of("member_joined").await["data"]["member"]["userId"], json!(ada.id));
    }
    choose(json!({"status": "busy", "text": "one"})).await;
    for socket in [&mut near, &mut far] {
        while socket.next_of("presence").await["data"]["text"] != "one" {}
    }
    choose(json!({"status": "away", "text": "two"})).await;
    for socket in [&mut near, &mut far] {
        let told = socket.next_of("presence").await["data"].clone();
        assert_eq!((&told["status"], &told["text"]), (&json!("away"), &json!("two")), "each is told once, by one node");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn two_that_start_at_once_migrate_once() {
    let url = postgres::database().await;
    let config = parlor::store::Config { url, ..Default::default() };
    let open = || {
        let config = config.clone();
        tokio::spawn(async move { parlor::store::Store::open(&config).await.map(|(store, _)| store) })
    };
    let (one, other) = tokio::join!(open(), open());
    for store in [one, other] {
        let store = store.unwrap().unwrap();
        store.ping().await.unwrap();
        store.close().await;
    }
}

#[tokio::test]
async fn what_lives_on_a_node_is_anybodys_once_its_lease_is_over() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("parlor.db").to_string_lossy().into_owned();
    for url in [file, postgres::database().await] {
        let config = parlor::store::Config { url, ..Default::default() };
        let (store, _events) = parlor::store::Store::open(&config).await.unwrap();
        let (one, other) = (NodeId::new(), NodeId::new());
        let long = Duration::from_secs(600);
        store.renew_node(one, "one", long).await.unwrap();
        store.renew_node(other, "other", long).await.unwrap();
        assert_eq!(store.take_seat_of("matcher", one).await.unwrap(), one);
        assert_eq!(store.take_seat_of("matcher", other).await.unwrap(), one, "it is there while its lease runs");
        store.renew_node(one, "one", Duration::ZERO).await.unwrap();
        assert_eq!(store.nodes().await.unwrap(), [other]);
        assert_eq!(store.take_seat_of("matcher", other).await.unwrap(), other);
        store.leave_seat_of("matcher", other).await.unwrap();
        store.renew_node(one, "one", long).await.unwrap();
        assert_eq!(store.take_seat_of("matcher", one).await.unwrap(), one, "whoever leaves it leaves it to all");
        store.end_node(one).await.unwrap();
        assert_eq!(store.nodes().await.unwrap(), [other]);
        store.close().await;
    }
}
