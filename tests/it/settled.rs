//! What reviews have found in the chat, held by tests: words that are said again, slow mode, files in conversations, the pace of marks, and
//! searches that nobody waits for.

use parlor::domain::search::Query;
use parlor::domain::{Position, RoomId, Visibility};
use parlor::store::{NewMessage, Sought, Store};
use reqwest::{Method, StatusCode};
use serde_json::{Value, json};

use crate::harness::{Person, Server, Socket, answer};
use crate::store::{Database, house, on_both_databases, person, room};
use crate::uploads::uploaded;

on_both_databases!(
    a_search_that_nobody_waits_for_harms_no_other,
    writers_who_count_for_the_same_people_never_wait_in_a_circle
);

async fn join(person: &Person, room: &str) {
    person.post(&format!("/rooms/{room}/join"), json!({})).await.expect(StatusCode::OK);
}

async fn forward(socket: &mut Socket, room: &str, client_id: &str, from: &str, message: &Value) -> Value {
    let forward = json!({"roomId": from, "messageId": message});
    let data = json!({"roomId": room, "clientId": client_id, "content": {}, "forward": forward});
    let reply = socket.ask("send_message", data).await;
    assert_eq!(reply["type"], "new_message", "{reply}");
    reply["data"]["message"].clone()
}

#[tokio::test]
async fn a_private_room_stays_unnamed_however_often_its_words_are_said_again() {
    let server = Server::start().await;
    let ada = server.enter("ada").await;
    let (secret, second, public) = (
        ada.create_room("group", "private").await,
        ada.create_room("group", "private").await,
        ada.create_room("group", "public").await,
    );
    let mut socket = ada.connect().await;
    for room in [&secret, &second, &public] {
        socket.join(room).await;
    }
    let said = socket.say(&secret, "c-1", "hush").await["data"]["message"]["id"].clone();
    let within = forward(&mut socket, &secret, "c-2", &secret, &said).await;
    assert_eq!(within["content"]["forwardedFrom"]["roomId"], json!(secret), "there it may be named");
    for (number, room) in [&second, &public].into_iter().enumerate() {
        let again = forward(&mut socket, room, &format!("f-{number}"), &secret, &within["id"]).await;
        let from = &again["content"]["forwardedFrom"];
        assert_eq!((&from["roomId"], &from["messageId"]), (&Value::Null, &Value::Null), "{again}");
        assert_eq!(from["sender"]["id"], json!(ada.id));
    }
}

#[tokio::test]
async fn slow_mode_takes_no_turn_for_what_is_repeated_or_refused() {
    let server = Server::start_with(|config| config.limit_exempt.clear()).await;
    let (ada, ben) = (server.enter("ada").await, server.enter("ben").await);
    let room = ada.create_room("group", "public").await;
    let tag = ada.get(&format!("/rooms/{room}")).await.header("etag").to_owned();
    let slow = ada.request(Method::PATCH, &format!("/rooms/{room}")).header("if-match", tag);
    answer(slow.json(&json!({"slowModeS": 21_600}))).await.expect(StatusCode::OK);
    let (mut socket, _) = ben.connect_to(&room).await;
    let message =
        |client_id: &str, text: &str| json!({"roomId": room, "clientId": client_id, "content": {"text": text}});
    socket.refused("send_message", message("c-1", "  "), "message_empty").await;
    let first = socket.ask("send_message", message("c-1", "hello")).await;
    assert_eq!(first["type"], "new_message", "{first}");
    let again = socket.ask("send_message", message("c-1", "hello")).await;
    assert_eq!(again["data"]["message"]["id"], first["data"]["message"]["id"]);
    let refusal = socket.refused("send_message", message("c-2", "more"), "rate_limited").await;
    assert_eq!(refusal["detail"]["limit"], "slowMode");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn files_are_told_with_the_message_that_brings_them() {
    let server = Server::start().await;
    let (ada, ben) = (server.enter("ada").await, server.enter("ben").await);
    let shared = ada.create_room("group", "public").await;
    join(&ben, &shared).await;
    let direct = ada.post("/dms", json!({"userId": ben.id})).await.expect(StatusCode::CREATED);
    let room = direct["room"]["id"].as_str().unwrap();
    let mut phone = ben.connect().await;
    let file = uploaded(&server, &ada, "notes.txt", b"what ada noted").await;
    let content = json!({"text": "here", "attachments": [{"fileId": file["fileId"]}]});
    let sent = ada.post(&format!("/rooms/{room}/messages"), json!({"clientId": "c-1", "content": content})).await;
    let sent = sent.expect(StatusCode::CREATED);
    let shown = if sent["message"].is_null() { &sent } else { &sent["message"] };
    assert_eq!(shown["content"]["attachments"][0]["fileId"], file["fileId"]);
    let told = phone.next_of("dm_message").await;
    assert_eq!(told["data"]["message"]["content"]["attachments"][0]["name"], "notes.txt");
}

#[tokio::test]
async fn marks_have_a_pace_of_their_own() {
    let server = Server::start_with(|config| config.limit_exempt.clear()).await;
    let (ada, ben) = (server.enter("ada").await, server.enter("ben").await);
    let room = ada.create_room("group", "public").await;
    join(&ben, &room).await;
    let (mut hers, _) = ada.connect_to(&room).await;
    let said = hers.say(&room, "c-1", "hello").await["data"]["message"]["id"].clone();
    let (mut socket, _) = ben.connect_to(&room).await;
    let mut refused = None;
    for number in 0..200 {
        let mark = json!({"roomId": room, "messageId": said, "emoji": "👍", "on": number % 2 == 0});
        let reply = socket.ask("react", mark).await;
        if reply["type"] == "error" {
            refused = Some(reply["data"].clone());
            break;
        }
    }
    let refused = refused.expect("nobody reacts two hundred times at once");
    assert_eq!((&refused["code"], &refused["detail"]["limit"]), (&json!("rate_limited"), &json!("mark")));
    // To write, there is a pace for itself.
    assert_eq!(socket.say(&room, "c-2", "still here").await["type"], "new_message");
}

async fn a_search_that_nobody_waits_for_harms_no_other(database: Database) {
    const WORDS: usize = 64;
    let (store, mut events, ada, room) = house(&database).await;
    tokio::spawn(async move { while events.recv().await.is_some() {} });
    for number in 0..WORDS {
        let text = format!("word {number}");
        store.send_message(NewMessage::plain(room, ada.clone(), &format!("c-{number}"), &text), None).await.unwrap();
    }
    let sought = Sought { rooms: vec![room], terms: Query::parse("wo*").unwrap().terms, ..Sought::default() };
    for _ in 0..64 {
        let (store, sought) = (store.clone(), sought.clone());
        let search = tokio::spawn(async move { store.search(&sought, i64::MAX, 50).await.unwrap() });
        tokio::task::yield_now().await;
        search.abort();
    }
    // Every connection that they had still does what it is asked, more often than there are connections.
    let mut all = tokio::task::JoinSet::new();
    for _ in 0..32 {
        let (store, sought) = (store.clone(), sought.clone());
        all.spawn(async move {
            let found = store.search(&sought, i64::MAX, 100).await.unwrap().expect("it does not take long").len();
            (found, store.messages(room, 100, None).await.unwrap().unwrap().len())
        });
    }
    assert!(all.join_all().await.into_iter().all(|it| it == (WORDS, WORDS)));
}

/// Two stores, as of two nodes, count messages of the same people in rooms of their own, in any order.
async fn writers_who_count_for_the_same_people_never_wait_in_a_circle(database: Database) {
    const EACH: usize = 60;
    let (store, mut events, ada, first) = house(&database).await;
    let (other, mut others) = database.open().await;
    tokio::spawn(async move { while events.recv().await.is_some() {} });
    tokio::spawn(async move { while others.recv().await.is_some() {} });
    let mut people = vec![ada.clone()];
    for number in 0..7 {
        people.push(person(&store, &format!("person-{number}")).await);
    }
    let second = room(&store, &ada, Visibility::Public).await;
    let mut all = tokio::task::JoinSet::new();
    for (which, (store, room)) in [(store.clone(), first), (other.clone(), second)].into_iter().enumerate() {
        for number in 0..EACH * people.len() {
            // The two go through the people in opposite directions.
            let at = if which == 0 { number } else { usize::MAX - number };
            let (store, by) = (store.clone(), people[at % people.len()].clone());
            let new = NewMessage::plain(room, by, &format!("c-{number}"), "hello");
            all.spawn(async move { store.send_message(new, None).await.map(drop) });
        }
    }
    let sent = all.len() as u64;
    assert!(all.join_all().await.into_iter().all(|it| it.is_ok()), "none is refused");
    let last =
        async |store: &Store, room: RoomId| -> Position { crate::store::recover(store, room, None).await.position };
    assert_eq!(last(&store, first).await.offset + last(&other, second).await.offset, sent);
    let mut counted = 0;
    for person in &people {
        counted += store.conduct(person.id).await.unwrap().unwrap().messages;
    }
    assert_eq!(counted, sent);
}
