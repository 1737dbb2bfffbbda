//! Reading, searching and being there, by socket and REST.

use reqwest::{Method, StatusCode};
use serde_json::{Value, json};

use crate::harness::{Person, Server, Socket, until};

async fn pair(server: &Server) -> (Person, Person, String) {
    let (ada, ben) = (server.enter("ada").await, server.enter("ben").await);
    let room = ada.create_room("group", "public").await;
    ben.post(&format!("/rooms/{room}/join"), json!({})).await.expect(StatusCode::OK);
    (ada, ben, room)
}

fn id_of(acknowledged: &Value) -> String {
    acknowledged["data"]["message"]["id"].as_str().expect("a message has an id").to_owned()
}

async fn put(person: &Person, path: &str, body: Value) -> Value {
    person.ask(Method::PUT, path, Some(body)).await.expect(StatusCode::OK)
}

/// Everything that was sent to a socket before it asked.
async fn so_far(socket: &mut Socket) -> Vec<Value> {
    assert_eq!(socket.ask("ping", json!({})).await["type"], "pong");
    let mut frames = Vec::new();
    while let Some(frame) = socket.early() {
        frames.push(frame);
    }
    frames
}

#[tokio::test]
async fn unread_is_told_on_entering_and_to_the_other_devices() {
    let server = Server::start().await;
    let (ada, ben, room) = pair(&server).await;
    let (mut ada_socket, state) = ada.connect_to(&room).await;
    assert_eq!(state["data"]["unread"]["unread"], 0);
    let first = id_of(&ada_socket.say(&room, "c-1", "one").await);
    let mentions = json!({"users": [ben.id]});
    let content = json!({"text": "two, ben", "mentions": mentions});
    let second = ada_socket.ask("send_message", json!({"roomId": room, "clientId": "c-2", "content": content})).await;
    let second = id_of(&second);

    let mut phone = ben.connect().await;
    let (mut desk, state) = ben.connect_to(&room).await;
    let unread = &state["data"]["unread"];
    assert_eq!((&unread["unread"], &unread["mentions"], &unread["readUpTo"]), (&json!(2), &json!(1), &Value::Null));
    assert_eq!(desk.ask("mark_read", json!({"roomId": room, "messageId": second})).await["type"], "ok");
    let told = phone.next_of("unread").await;
    assert_eq!((&told["data"]["roomId"], &told["data"]["unread"]), (&json!(room), &json!(0)));
    assert_eq!(told["data"]["readUpTo"], json!(second));
    let receipts = ada_socket.next_of("receipts").await;
    assert_eq!(receipts["data"]["receipts"][0]["userId"], json!(ben.id));
    assert_eq!(receipts["data"]["receipts"][0]["messageId"], json!(second));

    let back = put(&ben, &format!("/rooms/{room}/unread"), json!({"messageId": first})).await;
    assert_eq!((&back["unread"], &back["mentions"]), (&json!(2), &json!(1)));
    let ahead = put(&ben, &format!("/rooms/{room}/read"), json!({"messageId": first})).await;
    assert_eq!(ahead["unread"], 1);
    let listed = ben.get("/unread").await.expect(StatusCode::OK);
    assert_eq!((&listed["items"][0]["unread"], &listed["next"]), (&json!(1), &Value::Null));
    let until = "2026-12-31T00:00:00.000Z";
    let notifications = format!("/rooms/{room}/notifications");
    let chosen = ben.ask(Method::PUT, &notifications, Some(json!({"level": "mentions", "mutedUntil": until})));
    assert_eq!(chosen.await.expect(StatusCode::OK)["level"], "mentions");
    let strange = json!({"messageId": "01938a5c-0000-7000-8000-00000000000a"});
    let answer = ben.ask(Method::PUT, &format!("/rooms/{room}/read"), Some(strange)).await;
    assert_eq!(answer.refused(400, "bad_request")["extra"]["field"], "messageId");
    let cyd = server.enter("cyd").await;
    cyd.get(&format!("/rooms/{room}/unread")).await.refused(409, "not_in_room");
}

#[tokio::test]
async fn receipts_of_whoever_keeps_them_are_told_to_nobody() {
    let server = Server::start().await;
    let (ada, ben, room) = pair(&server).await;
    let cyd = server.enter("cyd").await;
    cyd.post(&format!("/rooms/{room}/join"), json!({})).await.expect(StatusCode::OK);
    let (mut socket, _) = ada.connect_to(&room).await;
    let message = id_of(&socket.say(&room, "c-1", "one").await);
    ben.ask(Method::PUT, "/users/me/receipts", Some(json!({"private": true}))).await.expect(StatusCode::NO_CONTENT);
    assert_eq!(ben.get("/users/me/receipts").await.expect(StatusCode::OK)["private"], true);
    put(&ben, &format!("/rooms/{room}/read"), json!({"messageId": message})).await;
    put(&cyd, &format!("/rooms/{room}/read"), json!({"messageId": message})).await;
    let told = socket.next_of("receipts").await;
    let who: Vec<_> = told["data"]["receipts"].as_array().unwrap().iter().map(|it| it["userId"].clone()).collect();
    assert_eq!(who, [json!(cyd.id)], "they are told together, and ben's is not among them");
    let listed = ada.get(&format!("/rooms/{room}/receipts")).await.expect(StatusCode::OK);
    assert_eq!(listed["receipts"].as_array().unwrap().len(), 1);
}

#[tokio::test]
async fn between_whom_there_is_a_block_neither_sees_the_other_type_or_read() {
    let server = Server::start().await;
    let (ada, ben, room) = pair(&server).await;
    let (cyd, dot) = (server.enter("cyd").await, server.enter("dot").await);
    let (mut adas, _) = ada.connect_to(&room).await;
    let (mut bens, _) = ben.connect_to(&room).await;
    let (mut cyds, _) = cyd.connect_to(&room).await;
    let (mut dots, _) = dot.connect_to(&room).await;
    ada.ask(Method::PUT, &format!("/users/{}/block", ben.id), None).await.expect(StatusCode::NO_CONTENT);
    let message = id_of(&dots.say(&room, "c-1", "one").await);
    // What the other one does, and then what cyd does: that is told to all in the same order.
    for user in [&ben, &ada] {
        let (by, unseen_by) = if user.id == ben.id { (&mut bens, &mut adas) } else { (&mut adas, &mut bens) };
        for socket in [&mut *by, &mut cyds] {
            assert_eq!(socket.ask("typing", json!({"roomId": room, "typing": true})).await["type"], "ok");
            assert_eq!(socket.ask("typing", json!({"roomId": room, "typing": false})).await["type"], "ok");
        }
        for socket in [&mut *by, unseen_by] {
            for typing in [true, false] {
                let told = socket.next_of("typing").await["data"].clone();
                assert_eq!((&told["userId"], &told["typing"]), (&json!(cyd.id), &json!(typing)));
            }
        }
        assert_eq!(dots.next_of("typing").await["data"]["userId"], json!(user.id));
        while dots.next_of("typing").await["data"]["typing"] != json!(false) {}
        assert_eq!(dots.next_of("typing").await["data"]["userId"], json!(cyd.id));
        assert_eq!(dots.next_of("typing").await["data"]["typing"], json!(false));
    }
    put(&ben, &format!("/rooms/{room}/read"), json!({"messageId": message})).await;
    while dots.next_of("receipts").await["data"]["receipts"][0]["userId"] != json!(ben.id) {}
    put(&cyd, &format!("/rooms/{room}/read"), json!({"messageId": message})).await;
    let told = adas.next_of("receipts").await;
    assert_eq!(told["data"]["receipts"][0]["userId"], json!(cyd.id), "{told}");
}

#[tokio::test]
async fn search_finds_in_rooms_of_ones_own() {
    let server = Server::start().await;
    let (ada, ben, room) = pair(&server).await;
    let secret = ada.create_room("group", "private").await;
    let (mut socket, _) = ada.connect_to(&room).await;
    socket.join(&secret).await;
    socket.say(&room, "c-1", "the Crème brûlée").await;
    socket.say(&secret, "c-2", "secret creme").await;
    let found = async |person: &Person, query: &str| {
        let answer = person.get(&format!("/search?q={query}")).await.expect(StatusCode::OK);
        let texts = answer["items"].as_array().unwrap().iter().map(|it| it["message"]["content"]["text"].clone());
        (texts.collect::<Vec<_>>(), answer)
    };
    assert_eq!(found(&ada, "creme").await.0, [json!("secret creme"), json!("the Crème brûlée")]);
    let (texts, answer) = found(&ben, "creme").await;
    assert_eq!(texts, [json!("the Crème brûlée")], "the private room is not his");
    assert_eq!(answer["items"][0]["snippet"]["hits"], json!([{"start": 4, "length": 5}]));
    assert_eq!(found(&ben, &format!("creme+in:{secret}")).await.0, Vec::<Value>::new());
    assert_eq!(found(&ben, "from:ada+br*").await.0.len(), 1);
    assert_eq!(found(&ben, "from:me").await.0.len(), 0);
    let (texts, answer) = found(&ada, "creme&order=rank&limit=1").await;
    assert_eq!((texts.len(), &answer["next"]), (1, &json!("1")));
    assert_eq!(found(&ada, "creme&order=rank&limit=1&cursor=1").await.0.len(), 1);
    let (_, page) = found(&ada, "creme&limit=1").await;
    let next = page["next"].as_str().unwrap();
    assert_eq!(found(&ada, &format!("creme&limit=1&cursor={next}")).await.0, [json!("the Crème brûlée")]);
    for wrong in
        ["/search?q=", "/search?q=has:cheese", "/search?q=x&cursor=y", "/search?q=x&limit=0", "/search?q=x&limit=51"]
    {
        ada.get(wrong).await.refused(400, "bad_request");
    }
    ben.post(&format!("/rooms/{room}/leave"), json!({})).await;
    until("he reads no more what he has left", async || found(&ben, "creme").await.0.is_empty().then_some(())).await;
}

#[tokio::test]
async fn presence_is_told_to_those_who_share_a_small_room() {
    let server = Server::start().await;
    let (ada, ben, _room) = pair(&server).await;
    let stranger = server.enter("cyd").await;
    let mut watcher = ben.connect().await;
    let mut socket = ada.connect().await;
    let seen = watcher.next_of("presence").await;
    assert_eq!((&seen["data"]["userId"], &seen["data"]["status"]), (&json!(ada.id), &json!("online")));
    socket.ask("presence", json!({"status": "away"})).await;
    assert_eq!(watcher.next_of("presence").await["data"]["status"], "away");
    let second = ada.connect().await;
    assert_eq!(watcher.next_of("presence").await["data"]["status"], "online", "the most present device counts");
    let path = format!("/users/{}/presence", ada.id);
    let busy = put(&ada, &path, json!({"status": "busy", "text": " in a meeting "})).await;
    assert_eq!((&busy["status"], &busy["wish"]["text"]), (&json!("busy"), &json!("in a meeting")));
    let seen = watcher.next_of("presence").await;
    assert_eq!((&seen["data"]["status"], &seen["data"]["text"]), (&json!("busy"), &json!("in a meeting")));
    let shown = ben.get(&path).await.expect(StatusCode::OK);
    assert_eq!((&shown["status"], shown.get("wish")), (&json!("busy"), None));
    stranger.get(&path).await.refused(404, "not_found");
    ben.ask(Method::PUT, &path, Some(json!({"status": "online"}))).await.refused(404, "not_found");
    for wrong in [
        json!({"status": "online", "text": "x".repeat(101)}),
        json!({"status": "online", "textUntil": "2020-01-01T00:00:00Z"}),
    ] {
        ada.ask(Method::PUT, &path, Some(wrong)).await.refused(400, "bad_request");
    }
    second.close().await;
    socket.close().await;
    let gone = watcher.next_of("presence").await;
    assert_eq!((&gone["data"]["status"], &gone["data"]["lastSeen"]), (&json!("offline"), &json!("recently")));
    assert_eq!(gone["data"]["text"], Value::Null);
}

#[tokio::test]
async fn nobody_knows_of_somebody_invisible() {
    let server = Server::start().await;
    let (ada, ben, room) = pair(&server).await;
    let (mut watcher, _) = ben.connect_to(&room).await;
    let (mut socket, _) = ada.connect_to(&room).await;
    watcher.next_of("member_joined").await;
    let path = format!("/users/{}/presence", ada.id);
    let hidden = put(&ada, &path, json!({"status": "invisible"})).await;
    assert_eq!((&hidden["status"], &hidden["wish"]["status"]), (&json!("offline"), &json!("invisible")));
    assert_eq!(watcher.next_of("member_left").await["data"]["userId"], json!(ada.id));
    assert_eq!(watcher.next_of("presence").await["data"]["status"], "offline");
    assert_eq!(ben.get(&path).await.expect(StatusCode::OK)["status"], "offline");
    let members = ben.get(&format!("/rooms/{room}/members")).await.expect(StatusCode::OK);
    assert_eq!(members["members"].as_array().unwrap().len(), 1);
    let shown = ben.get(&format!("/rooms/{room}")).await.expect(StatusCode::OK);
    assert_eq!(shown["online"], 1);

    // She is still there, hears, reads and types; of the latter two nobody is told.
    let message = id_of(&watcher.say(&room, "c-1", "are you there?").await);
    assert_eq!(socket.next_of("new_message").await["data"]["message"]["id"], json!(message));
    assert_eq!(socket.ask("typing", json!({"roomId": room, "typing": true})).await["type"], "ok");
    assert_eq!(socket.ask("mark_read", json!({"roomId": room, "messageId": message})).await["type"], "ok");
    let receipts = ben.get(&format!("/rooms/{room}/receipts")).await.expect(StatusCode::OK);
    assert_eq!(receipts["receipts"], json!([]));
    // Another device of hers, her coming back and her going: nothing of it is told either.
    let (other, _) = ada.connect_to(&room).await;
    other.close().await;
    let told: Vec<_> = so_far(&mut watcher).await.into_iter().map(|frame| frame["type"].clone()).collect();
    assert_eq!(told, Vec::<Value>::new());
    let (late, state) = server.enter("cyd").await.connect_to(&room).await;
    assert_eq!((state["data"]["members"].as_array().unwrap().len(), &state["data"]["online"]), (2, &json!(2)));
    late.close().await;

    put(&ada, &path, json!({"status": "online"})).await;
    let back = loop {
        let frame = watcher.next_of("member_joined").await;
        if frame["data"]["member"]["userId"] == json!(ada.id) {
            break frame;
        }
    };
    assert_eq!(back["data"]["member"]["nickname"], "ada");
    // Who is invisible when they come is never seen.
    put(&ada, &path, json!({"status": "invisible"})).await;
    watcher.next_of("member_left").await;
    socket.close().await;
    let (_again, _) = ada.connect_to(&room).await;
    let kinds = ["member_joined", "member_left", "typing", "receipts"];
    let told = so_far(&mut watcher).await.into_iter().filter(|frame| {
        frame["data"]["userId"] == json!(ada.id) && kinds.contains(&frame["type"].as_str().unwrap_or_default())
    });
    assert_eq!(told.count(), 0);
}
