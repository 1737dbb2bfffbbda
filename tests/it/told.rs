//! What happens to a room is told by messages of the server: where, of whom, how often, and to what end.

use reqwest::{Method, StatusCode};
use serde_json::{Value, json};

use crate::harness::{Person, Server, Socket, until};

/// What the server has told a room, the first first: who did it, and what.
async fn told(person: &Person, room: &str) -> Vec<(String, Value)> {
    let page = person.get(&format!("/rooms/{room}/messages?limit=100")).await.expect(StatusCode::OK);
    let of = |it: &Value| (it["sender"]["nickname"].as_str().unwrap().to_owned(), it["content"]["system"].clone());
    page["messages"].as_array().unwrap().iter().rev().filter(|it| it["content"]["type"] == "system").map(of).collect()
}

async fn kinds(person: &Person, room: &str) -> Vec<String> {
    told(person, room).await.into_iter().map(|(by, what)| format!("{by} {}", what["kind"].as_str().unwrap())).collect()
}

async fn join(person: &Person, room: &str) {
    person.post(&format!("/rooms/{room}/join"), json!({})).await.expect(StatusCode::OK);
}

async fn done(person: &Person, method: Method, path: &str, body: Value) {
    let answer = person.ask(method, path, Some(body)).await;
    assert!(answer.status.is_success(), "{}", answer.text);
}

async fn rename(person: &Person, room: &str, name: &str) {
    let path = format!("/rooms/{room}");
    let tag = person.get(&path).await.header("etag").to_owned();
    let request = person.request(Method::PATCH, &path).header("if-match", tag).json(&json!({"name": name}));
    assert_eq!(crate::harness::answer(request).await.status, StatusCode::OK);
}

#[tokio::test]
async fn what_happens_in_a_room_stands_in_it() {
    let server = Server::start().await;
    let (ada, ben, cleo) = (server.enter("ada").await, server.enter("ben").await, server.enter("cleo").await);
    let room = ada.create_room("group", "public").await;
    let (mut socket, _) = ada.connect_to(&room).await;
    let (_his, _) = ben.connect_to(&room).await;
    // Live, as an event of the stream, with words for clients that know nothing of it.
    let event = socket.next_of("new_message").await;
    let message = &event["data"]["message"];
    assert_eq!((&event["offset"], &message["content"]["text"]), (&json!(1), &json!("ben has joined.")));
    assert_eq!((&message["content"]["type"], &message["sender"]["id"]), (&json!("system"), &json!(ben.id)));
    // Who is a member comes and goes untold.
    ben.connect_to(&room).await.0.close().await;
    join(&ben, &room).await;
    join(&cleo, &room).await;

    let members = format!("/rooms/{room}/members");
    for role in ["moderator", "moderator"] {
        done(&ada, Method::PUT, &format!("{members}/{}/role", ben.id), json!({"role": role})).await;
    }
    rename(&ada, &room, "Saturday").await;
    rename(&ada, &room, "Saturday").await;
    done(&ben, Method::POST, &format!("{members}/{}/kick", cleo.id), json!({})).await;
    join(&cleo, &room).await;
    done(&cleo, Method::POST, &format!("/rooms/{room}/leave"), json!({})).await;
    join(&cleo, &room).await;
    done(&ada, Method::PUT, &format!("/rooms/{room}/bans/{}", cleo.id), json!({"reason": "spam"})).await;
    let said = socket.say(&room, "c-1", "hello").await["data"]["message"]["id"].clone();
    done(&ada, Method::PUT, &format!("/rooms/{room}/messages/{}/pin", said.as_str().unwrap()), json!({})).await;
    done(&ada, Method::PUT, &format!("/rooms/{room}/owner"), json!({"userId": ben.id})).await;

    let name = |person: &Person| json!({"id": person.id, "nickname": person.nickname});
    let expected = [
        ("ben", json!({"kind": "joined"})),
        ("cleo", json!({"kind": "joined"})),
        ("ada", json!({"kind": "roleChanged", "user": name(&ben), "role": "moderator"})),
        ("ada", json!({"kind": "renamed", "name": "Saturday"})),
        ("ben", json!({"kind": "kicked", "user": name(&cleo)})),
        ("cleo", json!({"kind": "joined"})),
        ("cleo", json!({"kind": "left"})),
        ("cleo", json!({"kind": "joined"})),
        ("ada", json!({"kind": "banned", "user": name(&cleo)})),
        ("ada", json!({"kind": "pinned", "messageId": said})),
        ("ada", json!({"kind": "ownerChanged", "user": name(&ben)})),
    ];
    let found = told(&ada, &room).await;
    let found: Vec<_> = found.iter().map(|(by, what)| (by.as_str(), what.clone())).collect();
    assert_eq!(found, expected);

    // They are no messages of people: not counted as unread, not found, and not theirs to change.
    let unread = ben.get(&format!("/rooms/{room}/unread")).await.expect(StatusCode::OK);
    assert_eq!(unread["unread"], 1);
    for query in ["joined", "from:cleo", "has%20put"] {
        let found = ada.get(&format!("/search?q={query}")).await.expect(StatusCode::OK);
        assert_eq!(found["items"], json!([]), "{query}");
    }
    let trust = ben.get("/users/me/trust").await.expect(StatusCode::OK);
    assert_eq!(trust["messages"], 0);
    let own = message["id"].as_str().unwrap();
    let edit = json!({"roomId": room, "messageId": own, "content": {"text": "never"}});
    ben.connect_to(&room).await.0.refused("edit_message", edit, "not_found").await;
}

#[tokio::test]
async fn crowds_are_told_nothing_and_nobody_fills_a_room_by_coming_and_going() {
    let server = Server::start().await;
    let (ada, ben) = (server.enter("ada").await, server.enter("ben").await);
    for kind in ["live", "broadcast", "call"] {
        let room = ada.create_room(kind, "public").await;
        let (_socket, _) = ben.connect_to(&room).await;
        done(&ada, Method::POST, &format!("/rooms/{room}/members/{}/kick", ben.id), json!({})).await;
        rename(&ada, &room, "Saturday").await;
        assert_eq!(told(&ada, &room).await, [], "{kind}");
    }
    let room = ada.create_room("group", "public").await;
    for _ in 0..5 {
        join(&ben, &room).await;
        done(&ben, Method::POST, &format!("/rooms/{room}/leave"), json!({})).await;
    }
    assert_eq!(kinds(&ada, &room).await, ["ben joined", "ben left", "ben joined", "ben left"]);
}

#[tokio::test]
async fn groups_and_calls_are_told_where_people_write_to_each_other() {
    let server = Server::start().await;
    let (ada, ben) = (server.enter("ada").await, server.enter("ben").await);
    let (cleo, dora) = (server.enter("cleo").await, server.enter("dora").await);
    let shared = ada.create_room("group", "public").await;
    for person in [&ben, &cleo] {
        join(person, &shared).await;
    }
    let group = ada.post("/dms/groups", json!({"userIds": [ben.id]})).await.expect(StatusCode::CREATED);
    let group = group["room"]["id"].as_str().unwrap().to_owned();
    done(&ada, Method::POST, &format!("/dms/{group}/people"), json!({"userId": cleo.id})).await;
    // Who does not know her is asked, and tells it by coming.
    done(&ada, Method::POST, &format!("/dms/{group}/people"), json!({"userId": dora.id})).await;
    done(&dora, Method::POST, &format!("/dms/requests/{group}/accept"), json!({})).await;
    done(&ben, Method::PATCH, &format!("/dms/{group}"), json!({"name": "us"})).await;
    done(&cleo, Method::POST, &format!("/dms/{group}/leave"), json!({})).await;
    assert_eq!(kinds(&ada, &group).await, ["ada added", "dora joined", "ben renamed", "cleo left"]);

    let direct = ada.post("/dms", json!({"userId": ben.id})).await.expect(StatusCode::CREATED);
    let direct = direct["room"]["id"].as_str().unwrap().to_owned();
    let (mut hers, mut his) = (ada.connect().await, ben.connect().await);
    let call = hers.ask("start_call", json!({"roomId": direct, "type": "voice"})).await["data"]["callId"].clone();
    his.next_of("call_invite").await;
    assert_eq!(his.ask("call.decline", json!({"callId": call})).await["type"], "ok");
    let found = until("the call is told", async || {
        let found = told(&ben, &direct).await;
        (found.len() == 2).then_some(found)
    })
    .await;
    let started = json!({"kind": "callStarted", "callId": call, "type": "voice"});
    let ended = json!({"kind": "callEnded", "callId": call, "type": "voice", "outcome": "declined", "durationS": 0});
    assert_eq!(found, [("ada".to_owned(), started), ("ada".to_owned(), ended)]);
}

#[tokio::test]
async fn strangers_are_told_nothing_but_what_was_written_to_them() {
    let server = Server::start().await;
    let (ada, ben) = (server.enter("ada").await, server.enter("ben").await);
    let group = ada.post("/dms/groups", json!({"userIds": [ben.id]})).await.expect(StatusCode::CREATED);
    let group = group["room"]["id"].as_str().unwrap().to_owned();
    let rename = async |name: String| done(&ada, Method::PATCH, &format!("/dms/{group}"), json!({"name": name})).await;
    rename("buy this".to_owned()).await;
    ada.connect_to(&group).await.0.say(&group, "c-1", "hello").await;
    let requests = ben.get("/dms/requests").await.expect(StatusCode::OK);
    let messages = requests["items"][0]["messages"].as_array().unwrap();
    let texts: Vec<_> = messages.iter().map(|it| it["content"]["text"].as_str().unwrap()).collect();
    assert_eq!(texts, ["hello"]);
    // Once somebody has accepted it is told; but nobody fills a room by one thing done over and over.
    done(&ben, Method::POST, &format!("/dms/requests/{group}/accept"), json!({})).await;
    for number in 0..25 {
        rename(format!("name {number}")).await;
    }
    assert_eq!(kinds(&ada, &group).await.iter().filter(|it| *it == "ada renamed").count(), 20);
}

#[tokio::test]
async fn who_was_never_there_is_not_named() {
    let server = Server::start().await;
    let (ada, ben) = (server.enter("ada").await, server.enter("ben").await);
    let room = ada.create_room("group", "public").await;
    done(&ada, Method::PUT, &format!("/rooms/{room}/bans/{}", ben.id), json!({})).await;
    assert_eq!(told(&ada, &room).await, []);
    ben.post(&format!("/rooms/{room}/join"), json!({})).await.refused(403, "removed");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_names_somebody_goes_with_them() {
    let server = Server::start().await;
    let (ada, ben) = (server.enter("ada").await, server.enter("ben").await);
    let room = ada.create_room("group", "public").await;
    join(&ben, &room).await;
    done(&ada, Method::PUT, &format!("/rooms/{room}/members/{}/role", ben.id), json!({"role": "trusted"})).await;
    assert_eq!(kinds(&ada, &room).await, ["ben joined", "ada roleChanged"]);
    let (mut socket, _) = ada.connect_to(&room).await;
    ben.ask(Method::DELETE, "/auth/me", None).await.expect(StatusCode::OK);
    for _ in 0..2 {
        socket.next_of("message_deleted").await;
    }
    let history = ada.get(&format!("/rooms/{room}/messages")).await.expect(StatusCode::OK).to_string();
    assert!(!history.contains("ben"), "{history}");
    assert_eq!(told(&ada, &room).await, []);
}

/// Everything that was sent to a socket before it asked.
async fn so_far(socket: &mut Socket) -> Vec<Value> {
    assert_eq!(socket.ask("ping", json!({})).await["type"], "pong");
    std::iter::from_fn(|| socket.early()).collect()
}

#[tokio::test]
async fn who_decides_hears_of_those_who_ask() {
    let server = Server::start().await;
    let (ada, ben, cleo) = (server.enter("ada").await, server.enter("ben").await, server.enter("cleo").await);
    let wanted = json!({"kind": "group", "name": "Friday", "visibility": "public", "settings": {"joinRequests": true}});
    let room = ada.create(wanted).await;
    let (mut desk, mut phone, mut his, mut hers) =
        (ada.connect().await, ada.connect().await, ben.connect().await, cleo.connect().await);
    for person in [&ben, &cleo] {
        let note = json!({"note": format!("it is {}", person.nickname)});
        done(person, Method::POST, &format!("/rooms/{room}/requests"), note).await;
        for device in [&mut desk, &mut phone] {
            let asked = device.next_of("join_request").await;
            let request = &asked["data"]["request"];
            assert_eq!((&asked["roomId"], &request["user"]["userId"]), (&json!(room), &json!(person.id)));
            assert_eq!(request["note"], format!("it is {}", person.nickname));
        }
    }
    let answer = async |who: &Person, how: &str| {
        done(&ada, Method::POST, &format!("/rooms/{room}/requests/{}/{how}", who.id), json!({})).await;
    };
    answer(&ben, "approve").await;
    answer(&cleo, "deny").await;
    assert_eq!(his.next_of("call.admitted").await["roomId"], json!(room));
    assert!(hers.next_of("call.denied").await["data"]["retryAfterMs"].as_u64().unwrap() > 0);
    for device in [&mut desk, &mut phone] {
        for (person, lets_in) in [(&ben, true), (&cleo, false)] {
            let told = device.next_of("join_answered").await["data"].clone();
            assert_eq!(told, json!({"userId": person.id, "by": ada.id, "letsIn": lets_in}));
        }
    }
    assert_eq!(kinds(&ada, &room).await, ["ben joined"]);
    // Nobody else hears of it.
    for socket in [&mut his, &mut hers] {
        let frames = so_far(socket).await;
        assert!(frames.iter().all(|it| !it["type"].as_str().unwrap().starts_with("join_")), "{frames:?}");
    }
}
