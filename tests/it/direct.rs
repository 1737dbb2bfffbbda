//! Direct messages: conversations of two and groups, requests of strangers, and what a block does to all of it.

use reqwest::{Method, StatusCode};
use serde_json::{Value, json};

use crate::harness::{Person, Server, Socket};

/// The room of an answer.
fn room_of(direct: &Value) -> String {
    direct["room"]["id"].as_str().unwrap().to_owned()
}

/// Ada's conversation with Ben, whom she meets in a room.
async fn acquainted(server: &Server) -> (Person, Person, String) {
    let (ada, ben) = (server.enter("ada").await, server.enter("ben").await);
    meet(&ada, &ben).await;
    let direct = ada.post("/dms", json!({"userId": ben.id})).await.expect(StatusCode::CREATED);
    (ada, ben, room_of(&direct))
}

/// The two share a room from now on.
async fn meet(one: &Person, other: &Person) {
    let room = one.create_room("group", "public").await;
    other.post(&format!("/rooms/{room}/join"), json!({})).await.expect(StatusCode::OK);
}

/// The request of one to a stranger; the room.
async fn request(by: &Person, to: &Person) -> String {
    room_of(&by.post("/dms", json!({"userId": to.id})).await.expect(StatusCode::CREATED))
}

async fn items(person: &Person, path: &str) -> Vec<Value> {
    person.get(path).await.expect(StatusCode::OK)["items"].as_array().unwrap().clone()
}

async fn written(socket: &mut Socket, room: &str, client_id: &str, text: &str) -> String {
    let said = socket.say(room, client_id, text).await;
    assert_eq!(said["type"], "new_message", "{said}");
    said["data"]["message"]["id"].as_str().unwrap().to_owned()
}

#[tokio::test]
async fn two_who_know_each_other_have_one_conversation() {
    let server = Server::start().await;
    let (ada, ben, room) = acquainted(&server).await;
    let again = ben.post("/dms", json!({"userId": ada.id})).await.expect(StatusCode::OK);
    assert_eq!(room_of(&again), room);
    assert_eq!((&again["room"]["kind"], &again["room"]["visibility"]), (&json!("dm"), &json!("private")));
    assert_eq!((&again["request"], &again["lastMessage"]), (&json!(false), &Value::Null));
    let people: Vec<_> =
        again["people"].as_array().unwrap().iter().map(|it| (&it["nickname"], &it["accepted"])).collect();
    assert_eq!(people, [(&json!("ada"), &json!(true)), (&json!("ben"), &json!(true))]);

    // Ben hears of it on all his devices, though the room is open on none.
    let (mut phone, mut desk) = (ben.connect().await, ben.connect().await);
    let (mut socket, _) = ada.connect_to(&room).await;
    written(&mut socket, &room, "c-1", "hello").await;
    for device in [&mut phone, &mut desk] {
        let told = device.next_of("dm_message").await["data"].clone();
        assert_eq!((&told["roomId"], &told["kind"], &told["request"]), (&json!(room), &json!("dm"), &json!(false)));
        assert_eq!(told["message"]["content"]["text"], "hello");
    }
    assert_eq!(phone.join(&room).await["data"]["messages"][0]["content"]["text"], "hello");
    let listed = items(&ben, "/dms").await;
    assert_eq!((listed.len(), &listed[0]["lastMessage"]["content"]["text"]), (1, &json!("hello")));

    // Nobody else finds it, and nobody leaves it.
    let cleo = server.enter("cleo").await;
    let mut stranger = cleo.connect().await;
    stranger.refused("join_room", json!({"roomId": room}), "not_found").await;
    for path in [format!("/rooms/{room}"), format!("/dms/{room}"), format!("/rooms/{room}/messages")] {
        cleo.get(&path).await.refused(404, "not_found");
    }
    cleo.post(&format!("/rooms/{room}/join"), json!({})).await.refused(404, "not_found");
    ada.post(&format!("/rooms/{room}/leave"), json!({})).await.refused(400, "bad_request");
    ada.post(&format!("/dms/{room}/leave"), json!({})).await.refused(400, "bad_request");
    ada.post("/rooms", json!({"kind": "dm", "name": "x", "visibility": "private"})).await.refused(400, "bad_request");
    ada.post("/dms", json!({"userId": ada.id})).await.refused(400, "bad_request");
    ada.post("/dms", json!({"userId": room})).await.refused(404, "not_found");
}

#[tokio::test]
async fn a_stranger_asks_and_learns_nothing() {
    let server = Server::start().await;
    let (ada, ben) = (server.enter("ada").await, server.enter("ben").await);
    let mut device = ben.connect().await;
    let room = request(&ada, &ben).await;
    let (mut socket, state) = ada.connect_to(&room).await;
    assert_eq!(state["data"]["online"], 1);
    for number in 1..=5 {
        written(&mut socket, &room, &format!("c-{number}"), "hello?").await;
        assert_eq!(device.next_of("dm_message").await["data"]["request"], true);
    }
    let more = json!({"roomId": room, "clientId": "c-6", "content": {"text": "and?"}});
    assert_eq!(socket.refused("send_message", more, "request_pending").await["detail"]["limit"], 5);
    let same = socket.say(&room, "c-5", "hello?").await;
    assert_eq!(same["type"], "new_message", "what was sent is sent: {same}");
    let ring = json!({"roomId": room, "type": "voice"});
    socket.refused("start_call", ring.clone(), "bad_request").await;

    // Ben sees it without being seen.
    let asked = items(&ben, "/dms/requests").await;
    assert_eq!((asked.len(), &asked[0]["from"]), (1, &json!(ada.id)));
    assert_eq!(asked[0]["messages"].as_array().unwrap().len(), 5);
    assert_eq!(items(&ben, "/dms").await.len(), 0);
    device.refused("join_room", json!({"roomId": room}), "not_found").await;
    device.refused("start_call", ring, "not_found").await;
    ben.get(&format!("/rooms/{room}/messages")).await.refused(404, "not_found");
    assert_eq!(items(&ada, "/dms").await[0]["people"][1]["accepted"], false);

    let accepted = ben.post(&format!("/dms/requests/{room}/accept"), json!({})).await.expect(StatusCode::OK);
    assert_eq!((&accepted["request"], accepted["people"][1]["accepted"].as_bool()), (&json!(false), Some(true)));
    assert_eq!(socket.next_of("dm_room").await["data"]["people"][1]["accepted"], true);
    assert_eq!(items(&ben, "/dms/requests").await.len(), 0);
    written(&mut socket, &room, "c-6", "there you are").await;
    device.join(&room).await;
    assert_eq!(socket.next_of("member_joined").await["data"]["member"]["nickname"], "ben");
    ben.post(&format!("/dms/requests/{room}/accept"), json!({})).await.refused(404, "not_found");
}

#[tokio::test]
async fn what_is_declined_stays_silent() {
    let server = Server::start().await;
    let (ada, ben, cleo) = (server.enter("ada").await, server.enter("ben").await, server.enter("cleo").await);
    let mut device = ben.connect().await;
    let room = request(&ada, &ben).await;
    let (mut socket, _) = ada.connect_to(&room).await;
    written(&mut socket, &room, "c-1", "hello?").await;
    assert_eq!(device.next_of("dm_message").await["data"]["roomId"], json!(room));
    let decline = |room: &str| format!("/dms/requests/{room}/decline");
    ada.post(&decline(&room), json!({})).await.refused(404, "not_found");
    ben.post(&decline(&room), json!({})).await.expect(StatusCode::NO_CONTENT);
    ben.post(&decline(&room), json!({})).await.refused(404, "not_found");
    assert_eq!(items(&ada, "/dms").await[0]["people"][1]["accepted"], false, "as before");
    written(&mut socket, &room, "c-2", "hello??").await;
    // Somebody else's request comes, and nothing of Ada's before it.
    let second = request(&cleo, &ben).await;
    let (mut other, _) = cleo.connect_to(&second).await;
    written(&mut other, &second, "c-1", "hi").await;
    assert_eq!(device.next_of("dm_message").await["data"]["roomId"], json!(second));
    // Ben may write to her yet.
    let opened = ben.post("/dms", json!({"userId": ada.id})).await.expect(StatusCode::OK);
    assert_eq!(room_of(&opened), room);

    // All at once; with a report and a block.
    let dora = server.enter("dora").await;
    let third = request(&dora, &ben).await;
    let (mut hers, _) = dora.connect_to(&third).await;
    written(&mut hers, &third, "c-1", "buy this").await;
    let with = json!({"block": true, "report": {"reason": "spam", "description": "an advertisement"}});
    ben.post(&decline(&third), with).await.expect(StatusCode::NO_CONTENT);
    let blocked = ben.get("/users/me/blocks").await.expect(StatusCode::OK);
    assert_eq!(blocked["blocks"][0]["nickname"], "dora");
    dora.post("/dms", json!({"userId": ben.id})).await.refused(404, "not_found");
    let declined = ben.post("/dms/requests/decline", json!({})).await.expect(StatusCode::OK);
    assert_eq!(declined["declined"], 1);
    assert_eq!(items(&ben, "/dms/requests").await.len(), 0);
}

#[tokio::test]
async fn everybody_says_from_whom_they_take_messages() {
    let server = Server::start().await;
    let (ada, ben) = (server.enter("ada").await, server.enter("ben").await);
    let take = async |from: &str| {
        let answer = ben.ask(Method::PUT, "/users/me/direct", Some(json!({"from": from}))).await;
        assert_eq!(answer.expect(StatusCode::OK)["from"], from);
    };
    let open = async || ada.post("/dms", json!({"userId": ben.id})).await;
    assert_eq!(ben.get("/users/me/direct").await.expect(StatusCode::OK)["from"], "everyone");
    take("nobody").await;
    open().await.refused(404, "not_found");
    ada.post("/dms/groups", json!({"userIds": [ben.id]})).await.refused(404, "not_found");
    take("sharesRoom").await;
    open().await.refused(404, "not_found");
    meet(&ada, &ben).await;
    let direct = open().await.expect(StatusCode::CREATED);
    assert_eq!(direct["people"][1]["accepted"], true);
    take("nobody").await;
    assert_eq!(room_of(&open().await.expect(StatusCode::OK)), room_of(&direct), "what was accepted stays");
    ben.ask(Method::PUT, "/users/me/direct", Some(json!({"from": "friends"}))).await.refused(400, "bad_request");
}

#[tokio::test]
async fn new_people_ask_few_strangers_a_day() {
    let server = Server::start_with(|config| {
        config.limit_exempt.clear();
        config.auth.ask_proof = parlor::auth::AskProof::Never;
        config.limit.create_room = parlor::limit::Rate { per_minute: 600, burst: 100 };
    })
    .await;
    let ada = server.enter("ada").await;
    for number in 0..5 {
        let other = server.enter(&format!("p{number}")).await;
        request(&ada, &other).await;
    }
    let last = server.enter("last").await;
    let problem = ada.post("/dms", json!({"userId": last.id})).await.refused(429, "rate_limited");
    assert_eq!(problem["extra"]["limit"], "messageRequest", "{problem}");
}

#[tokio::test]
async fn a_block_ends_all_of_it_both_ways_and_tells_nothing() {
    let server = Server::start().await;
    let (ada, ben, room) = acquainted(&server).await;
    let (mut hers, _) = ada.connect_to(&room).await;
    let (mut his, _) = ben.connect_to(&room).await;
    let hello = written(&mut hers, &room, "c-1", "hello").await;
    let mut other_device = ben.connect().await;
    let block = format!("/users/{}/block", ada.id);
    ben.ask(Method::PUT, &block, None).await.expect(StatusCode::NO_CONTENT);
    let told = other_device.next_of("block").await;
    assert_eq!(told["data"], json!({"userId": ada.id, "blocked": true}));
    let write = json!({"roomId": room, "clientId": "c-2", "content": {"text": "still there?"}});
    for (person, socket, other) in [(&ada, &mut hers, &ben), (&ben, &mut his, &ada)] {
        // Both have been put out, as if they had left.
        assert_eq!(socket.refused("send_message", write.clone(), "not_in_room").await["code"], "not_in_room");
        socket.refused("join_room", json!({"roomId": room}), "not_found").await;
        socket.refused("start_call", json!({"roomId": room, "type": "voice"}), "not_found").await;
        let rest = json!({"clientId": "c-3", "content": {"text": "hello?"}});
        person.post(&format!("/rooms/{room}/messages"), rest).await.refused(404, "not_found");
        let at = format!("/rooms/{room}/messages/{hello}");
        let other_text = json!({"content": {"text": "hello??"}});
        person.ask(Method::PATCH, &at, Some(other_text)).await.refused(404, "not_found");
        person.ask(Method::PUT, &format!("{at}/reactions/%F0%9F%91%8D"), None).await.refused(404, "not_found");
        person.ask(Method::PUT, &format!("{at}/votes"), Some(json!({"options": [0]}))).await.refused(404, "not_found");
        person.post("/dms", json!({"userId": other.id})).await.refused(404, "not_found");
        person.post("/dms/groups", json!({"userIds": [other.id]})).await.refused(404, "not_found");
        assert_eq!(items(person, "/dms").await.len(), 1, "what was written stays one's own");
    }
    ben.ask(Method::DELETE, &block, None).await.expect(StatusCode::NO_CONTENT);
    assert_eq!(other_device.next_of("block").await["data"]["blocked"], false);
    let thumb = format!("/rooms/{room}/messages/{hello}/reactions/%F0%9F%91%8D");
    ben.ask(Method::PUT, &thumb, None).await.expect(StatusCode::NO_CONTENT);
    hers.join(&room).await;
    written(&mut hers, &room, "c-2", "again").await;
}

#[tokio::test]
async fn a_group_is_made_named_joined_and_left() {
    let server = Server::start().await;
    let (ada, ben, cleo) = (server.enter("ada").await, server.enter("ben").await, server.enter("cleo").await);
    meet(&ada, &ben).await;
    let mut bens = ben.connect().await;
    let wanted = json!({"name": " Chess ", "userIds": [ben.id, cleo.id, ada.id]});
    let group = ada.post("/dms/groups", wanted).await.expect(StatusCode::CREATED);
    let room = room_of(&group);
    assert_eq!((&group["room"]["kind"], &group["room"]["name"]), (&json!("groupDm"), &json!("Chess")));
    let accepted: Vec<_> = group["people"].as_array().unwrap().iter().map(|it| it["accepted"] == true).collect();
    assert_eq!(accepted, [true, true, false], "cleo does not know ada");
    assert_eq!(bens.next_of("dm_room").await["data"]["room"]["id"], json!(room));
    assert_eq!(items(&cleo, "/dms/requests").await[0]["room"]["id"], json!(room));
    cleo.post(&format!("/dms/requests/{room}/accept"), json!({})).await.expect(StatusCode::OK);

    let renamed = ben.ask(Method::PATCH, &format!("/dms/{room}"), Some(json!({"name": "Go"}))).await;
    assert_eq!(renamed.expect(StatusCode::OK)["room"]["name"], "Go");
    let dora = server.enter("dora").await;
    dora.ask(Method::PATCH, &format!("/dms/{room}"), Some(json!({"name": "x"}))).await.refused(404, "not_found");
    let added = cleo.post(&format!("/dms/{room}/people"), json!({"userId": dora.id})).await.expect(StatusCode::OK);
    assert_eq!(added["people"].as_array().unwrap().len(), 4);
    let (mut socket, _) = ben.connect_to(&room).await;
    ben.post(&format!("/dms/{room}/leave"), json!({})).await.expect(StatusCode::NO_CONTENT);
    assert_eq!(socket.next_of("member_left").await["data"]["userId"], json!(ben.id));
    socket.refused("join_room", json!({"roomId": room}), "not_found").await;
    assert_eq!(items(&ben, "/dms").await.len(), 0);
    let seen = ada.get(&format!("/dms/{room}")).await.expect(StatusCode::OK);
    assert_eq!(seen["people"].as_array().unwrap().len(), 3);
    // Who has left is asked before they are back.
    let again = ada.post(&format!("/dms/{room}/people"), json!({"userId": ben.id})).await.expect(StatusCode::OK);
    assert_eq!(again["people"][1], json!({"userId": ben.id, "nickname": "ben", "accepted": false}));

    for wrong in [json!([]), json!([ada.id])] {
        ada.post("/dms/groups", json!({"userIds": wrong})).await.refused(400, "bad_request");
    }
    let mut many = Vec::new();
    for number in 0..10 {
        many.push(server.enter(&format!("m{number}")).await.id);
    }
    ada.post("/dms/groups", json!({"userIds": many})).await.refused(400, "bad_request");
    let full = ada.post("/dms/groups", json!({"userIds": many[..9]})).await.expect(StatusCode::CREATED);
    let one_more = format!("/dms/{}/people", room_of(&full));
    ada.post(&one_more, json!({"userId": ben.id})).await.refused(400, "bad_request");
}

#[tokio::test]
async fn lists_have_pages() {
    let server = Server::start().await;
    let ada = server.enter("ada").await;
    for number in 0..5 {
        let other = server.enter(&format!("p{number}")).await;
        request(&ada, &other).await;
    }
    let (mut seen, mut path) = (Vec::new(), "/dms?limit=2".to_owned());
    loop {
        let page = ada.get(&path).await.expect(StatusCode::OK);
        seen.extend(page["items"].as_array().unwrap().iter().map(room_of));
        let Some(next) = page["next"].as_str() else { break };
        path = format!("/dms?limit=2&after={next}");
    }
    assert_eq!(seen.len(), 5);
    seen.sort();
    seen.dedup();
    assert_eq!(seen.len(), 5);
    ada.get("/dms?limit=0").await.refused(400, "bad_request");
    ada.get("/dms?after=yesterday").await.refused(400, "bad_request");
}
