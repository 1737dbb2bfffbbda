//! What people do to messages that are there, as clients meet it: by the socket, over REST, and what everybody else hears of it.

use std::time::Duration;

use parlor::domain::Time;
use reqwest::{Method, StatusCode};
use serde_json::{Value, json};

use crate::harness::{Person, Server, Socket, until};

/// A group with its owner, and with a member; both listen.
struct Group {
    server: Server,
    room: String,
    ada: Person,
    ben: Person,
    adas: Socket,
    bens: Socket,
}

impl Group {
    async fn new() -> Self {
        let server = Server::start().await;
        let (ada, ben) = (server.enter("ada").await, server.enter("ben").await);
        let room = ada.create_room("group", "public").await;
        let (adas, _) = ada.connect_to(&room).await;
        let (bens, _) = ben.connect_to(&room).await;
        Self { server, room, ada, ben, adas, bens }
    }

    /// The owner writes; the message's id.
    async fn said(&mut self, client_id: &str) -> String {
        id_of(&self.adas.say(&self.room, client_id, "hello").await)
    }

    fn path(&self, message: &str, what: &str) -> String {
        format!("/rooms/{}/messages/{message}{what}", self.room)
    }

    /// The data of a frame about a message of this room.
    fn about(&self, message: &str, more: Value) -> Value {
        let mut data = json!({"roomId": self.room, "messageId": message});
        let Value::Object(more) = more else { panic!("more fields: {more}") };
        data.as_object_mut().expect("it is one").extend(more);
        data
    }

    /// The data of a message with that content.
    fn written(&self, client_id: &str, content: Value) -> Value {
        let mut data = json!({"roomId": self.room, "clientId": client_id});
        data["content"] = content;
        data
    }
}

fn id_of(acknowledged: &Value) -> String {
    acknowledged["data"]["message"]["id"].as_str().expect("a message has an id").to_owned()
}

async fn put(person: &Person, path: &str, body: Option<Value>) -> Value {
    person.ask(Method::PUT, path, body).await.expect(StatusCode::NO_CONTENT)
}

/// Somebody is refused, and told which field is wrong.
async fn wrong(socket: &mut Socket, kind: &str, data: Value, field: &str) {
    let error = socket.refused(kind, data, "bad_request").await;
    assert_eq!(error["detail"]["field"], field, "{error}");
}

#[tokio::test]
async fn a_reaction_is_told_and_counted() {
    let mut group = Group::new().await;
    let message = group.said("c-1").await;
    let thumb = group.about(&message, json!({"emoji": "👍", "on": true}));
    let told = |by: &Person, added: bool, count: u32| json!({"messageId": message, "emoji": "👍", "userId": by.id, "added": added, "count": count});
    let own = group.bens.ask("react", thumb.clone()).await;
    assert_eq!((&own["type"], &own["data"]), (&json!("reaction"), &told(&group.ben, true, 1)));
    let heard = group.adas.next_of("reaction").await;
    assert_eq!((&heard["data"], &heard["offset"]), (&own["data"], &own["offset"]), "it has its place in the stream");
    assert_eq!(group.bens.ask("react", thumb).await["type"], "ok", "once each");

    let path = group.path(&message, "/reactions/👍");
    put(&group.ada, &path, None).await;
    put(&group.ada, &path, None).await;
    assert_eq!(group.bens.next_of("reaction").await["data"], told(&group.ada, true, 2));
    let page = group.ben.get(&format!("{path}?limit=1")).await.expect(StatusCode::OK);
    assert_eq!((&page["users"][0]["nickname"], &page["next"]), (&json!("ben"), &json!(group.ben.id)));
    let page = group.ben.get(&format!("{path}?limit=5&after={}", group.ben.id)).await.expect(StatusCode::OK);
    assert_eq!(page, json!({"users": [{"id": group.ada.id, "nickname": "ada"}], "next": null}));
    let (_cleo, state) = group.server.enter("cleo").await.connect_to(&group.room).await;
    let found = state["data"]["messages"].as_array().unwrap().iter().find(|it| it["id"] == json!(message)).unwrap();
    assert_eq!(found["reactions"], json!({"👍": 2}), "who comes later sees it too");

    group.ben.ask(Method::DELETE, &path, None).await.expect(StatusCode::NO_CONTENT);
    assert_eq!(group.adas.next_of("reaction").await["data"], told(&group.ada, true, 2));
    assert_eq!(group.adas.next_of("reaction").await["data"], told(&group.ben, false, 1));
    let shown = group.ben.get(&group.path(&message, "")).await.expect(StatusCode::OK);
    assert_eq!(shown["reactions"], json!({"👍": 1}));

    let data = group.about(&message, json!({"emoji": "word", "on": true}));
    wrong(&mut group.bens, "react", data, "emoji").await;
    let word = group.ben.ask(Method::PUT, &group.path(&message, "/reactions/word"), None).await;
    assert_eq!(word.refused(400, "bad_request")["extra"]["field"], "emoji");
    group.ada.ask(Method::DELETE, &group.path(&message, ""), None).await.expect(StatusCode::NO_CONTENT);
    group.ben.ask(Method::PUT, &path, None).await.refused(404, "not_found");
}

#[tokio::test]
async fn a_pin_is_told_and_stands_in_the_room() {
    let mut group = Group::new().await;
    let (first, second) = (group.said("c-1").await, group.said("c-2").await);
    let pin = |group: &Group, message: &str, pinned: bool| group.about(message, json!({"pinned": pinned}));
    group.bens.refused("pin_message", pin(&group, &first, true), "forbidden").await;
    group.ben.ask(Method::PUT, &group.path(&first, "/pin"), None).await.refused(403, "forbidden");

    let own = group.adas.ask("pin_message", pin(&group, &first, true)).await;
    assert_eq!((&own["type"], &own["data"]["by"]), (&json!("message_pinned"), &json!(group.ada.id)), "{own}");
    assert!(own["data"]["pinnedAt"].is_string(), "{own}");
    assert_eq!(group.bens.next_of("message_pinned").await["data"], own["data"]);
    let system = group.bens.next_of("new_message").await["data"]["message"].clone();
    assert_eq!(system["content"]["type"], "system");
    assert_eq!(system["content"]["system"], json!({"kind": "pinned", "messageId": first}));
    assert_eq!(system["content"]["text"], "ada has pinned a message.");
    assert_eq!(group.adas.ask("pin_message", pin(&group, &first, true)).await["type"], "ok", "it is pinned already");

    put(&group.ada, &group.path(&second, "/pin"), None).await;
    let pins = async |person: &Person| {
        let pins = person.get(&format!("/rooms/{}/pins", group.room)).await.expect(StatusCode::OK);
        pins["messages"].as_array().unwrap().iter().map(|it| it["id"].clone()).collect::<Vec<_>>()
    };
    assert_eq!(pins(&group.ben).await, [json!(second), json!(first)]);
    group.ada.ask(Method::DELETE, &group.path(&first, "/pin"), None).await.expect(StatusCode::NO_CONTENT);
    assert_eq!(group.bens.next_of("message_pinned").await["data"]["messageId"], json!(second));
    let unpinned = group.bens.next_of("message_pinned").await;
    assert_eq!((&unpinned["data"]["messageId"], &unpinned["data"]["pinnedAt"]), (&json!(first), &Value::Null));
    assert_eq!(pins(&group.ben).await, [json!(second)]);
}

#[tokio::test]
async fn a_thread_is_counted_and_can_be_locked() {
    let mut group = Group::new().await;
    let root = group.said("c-1").await;
    let reply = |group: &Group, client_id: &str| group.written(client_id, json!({"text": "in it", "threadId": root}));
    let first = group.bens.ask("send_message", reply(&group, "t-1")).await;
    assert_eq!(first["data"]["message"]["content"]["threadId"], json!(root), "{first}");
    for socket in [&mut group.adas, &mut group.bens] {
        let thread = socket.next_of("thread_changed").await["data"].clone();
        assert_eq!((&thread["messageId"], &thread["thread"]["replies"]), (&json!(root), &json!(1)));
        assert_eq!(thread["thread"]["lastReplyAt"], first["data"]["message"]["createdAt"]);
    }
    let deeper = group.written("t-2", json!({"text": "deeper", "threadId": id_of(&first)}));
    wrong(&mut group.bens, "send_message", deeper, "content.threadId").await;
    let listed = format!("/rooms/{}/messages?thread={root}", group.room);
    let listed = group.ben.get(&listed).await.expect(StatusCode::OK);
    let ids: Vec<_> = listed["messages"].as_array().unwrap().iter().map(|it| it["id"].clone()).collect();
    assert_eq!(ids, [json!(id_of(&first))], "its replies alone");

    let lock = group.about(&root, json!({"locked": true}));
    group.bens.refused("lock_thread", lock, "forbidden").await;
    let path = group.path(&root, "/thread/lock");
    group.ben.ask(Method::PUT, &path, Some(json!({"locked": true}))).await.refused(403, "forbidden");
    put(&group.ada, &path, Some(json!({"locked": true}))).await;
    let thread = group.bens.next_of("thread_changed").await["data"]["thread"].clone();
    assert_eq!((&thread["locked"], &thread["replies"]), (&json!(true), &json!(1)));
    group.bens.refused("send_message", reply(&group, "t-3"), "thread_locked").await;
    let by_rest = json!({"clientId": "t-3", "content": {"text": "in it", "threadId": root}});
    group.ben.post(&format!("/rooms/{}/messages", group.room), by_rest).await.refused(403, "thread_locked");
    assert_eq!(group.bens.say(&group.room, "c-2", "beside it").await["type"], "new_message");
    assert_eq!(group.adas.ask("send_message", reply(&group, "t-4")).await["type"], "new_message", "who can open it");

    let open = group.adas.ask("lock_thread", group.about(&root, json!({"locked": false}))).await;
    assert_eq!((&open["type"], &open["data"]["thread"]["locked"]), (&json!("thread_changed"), &json!(false)));
    assert_eq!(group.bens.ask("send_message", reply(&group, "t-5")).await["type"], "new_message");
    let shown = group.ben.get(&group.path(&root, "")).await.expect(StatusCode::OK);
    assert_eq!((&shown["thread"]["replies"], &shown["thread"]["locked"]), (&json!(3), &json!(false)));
}

#[tokio::test]
async fn a_poll_counts_what_each_chose_last() {
    let mut group = Group::new().await;
    let poll = json!({"question": "Tea?", "options": [{"text": "yes"}, {"text": "no"}]});
    let asked = group.adas.ask("send_message", group.written("c-1", json!({"poll": poll}))).await;
    let content = &asked["data"]["message"]["content"];
    assert_eq!((&content["type"], &content["text"]), (&json!("poll"), &json!("Tea?")));
    let shown = |votes: [u32; 2], voters: u32| {
        let options = json!([{"text": "yes", "votes": votes[0]}, {"text": "no", "votes": votes[1]}]);
        json!({"question": "Tea?", "options": options, "multiple": false, "closesAt": null, "voters": voters})
    };
    assert_eq!(content["poll"], shown([0, 0], 0));
    let id = id_of(&asked);

    let vote = |group: &Group, options: Value| group.about(&id, json!({"options": options}));
    let own = group.bens.ask("vote", vote(&group, json!([0]))).await;
    assert_eq!(own["data"], json!({"messageId": id, "votes": [1, 0], "voters": 1}), "{own}");
    assert_eq!(group.adas.next_of("poll_voted").await["data"], own["data"]);
    assert_eq!(group.bens.ask("vote", vote(&group, json!([0]))).await["type"], "ok", "he chose that already");
    let votes = group.path(&id, "/votes");
    put(&group.ben, &votes, Some(json!({"options": [1]}))).await;
    assert_eq!(group.adas.next_of("poll_voted").await["data"]["votes"], json!([0, 1]), "in the place of the other");
    let seen = group.ben.get(&votes).await.expect(StatusCode::OK);
    assert_eq!(seen, json!({"poll": shown([0, 1], 1), "options": [1]}));
    assert_eq!(group.ada.get(&votes).await.expect(StatusCode::OK)["options"], json!([]), "nobody sees who chose what");
    for options in [json!([0, 1]), json!([7])] {
        let data = vote(&group, options);
        wrong(&mut group.bens, "vote", data, "options").await;
    }
    put(&group.ben, &votes, Some(json!({"options": []}))).await;
    assert_eq!(group.adas.next_of("poll_voted").await["data"]["voters"], 0);

    let plain = group.said("c-2").await;
    let no_poll = group.ben.ask(Method::PUT, &group.path(&plain, "/votes"), Some(json!({"options": [0]}))).await;
    assert_eq!(no_poll.refused(400, "bad_request")["extra"]["field"], "messageId");
    for (poll, field) in [
        (json!({"question": "Tea?", "options": [{"text": "yes"}]}), "content.poll.options"),
        (json!({"question": "Tea?", "options": [{"text": "yes"}, {"text": " yes"}]}), "content.poll.options"),
        (json!({"question": " ", "options": [{"text": "yes"}, {"text": "no"}]}), "content.poll.question"),
    ] {
        let data = group.written("c-3", json!({"poll": poll}));
        wrong(&mut group.adas, "send_message", data, field).await;
    }
}

#[tokio::test]
async fn a_poll_that_is_closed_takes_no_votes() {
    let mut group = Group::new().await;
    let closes_at = Time::now().after(Duration::from_secs(1));
    let poll = json!({"question": "Tea?", "options": [{"text": "yes"}, {"text": "no"}], "closesAt": closes_at});
    let asked = group.adas.ask("send_message", group.written("c-1", json!({"poll": poll}))).await;
    let votes = group.path(&id_of(&asked), "/votes");
    let refused = until("the poll is closed", async || {
        let answer = group.ben.ask(Method::PUT, &votes, Some(json!({"options": [0]}))).await;
        (answer.status != StatusCode::NO_CONTENT).then_some(answer)
    });
    refused.await.refused(409, "conflict");
    assert!(Time::now() >= closes_at);
}

#[tokio::test]
async fn a_message_goes_by_itself_and_everybody_is_told() {
    let mut group = Group::new().await;
    for seconds in [4, 2_592_001] {
        let mut data = group.written("c-1", json!({"text": "soon gone"}));
        data["expiresInS"] = json!(seconds);
        wrong(&mut group.adas, "send_message", data, "expiresInS").await;
    }
    let mut data = group.written("c-1", json!({"text": "soon gone"}));
    data["expiresInS"] = json!(5);
    let by_socket = group.adas.ask("send_message", data).await;
    assert!(by_socket["data"]["message"]["expiresAt"].is_string(), "{by_socket}");
    let by_rest = json!({"clientId": "c-2", "content": {"text": "soon gone"}, "expiresInS": 5});
    let by_rest = group.ben.post(&format!("/rooms/{}/messages", group.room), by_rest).await.expect(StatusCode::CREATED);
    let ids = [json!(id_of(&by_socket)), by_rest["id"].clone()];
    let stays = group.said("c-3").await;

    let forward = json!({"roomId": group.room, "messageId": ids[0]});
    let again = json!({"roomId": group.room, "clientId": "c-4", "forward": forward});
    wrong(&mut group.bens, "send_message", again, "forward").await;
    for socket in [&mut group.adas, &mut group.bens] {
        let gone = [socket.next_of("message_deleted").await, socket.next_of("message_deleted").await];
        let gone = gone.map(|frame| frame["data"]["messageId"].clone());
        assert!(ids.iter().all(|id| gone.contains(id)), "{gone:?}");
    }
    let listed = group.ben.get(&format!("/rooms/{}/messages", group.room)).await.expect(StatusCode::OK);
    for message in listed["messages"].as_array().unwrap() {
        let is_gone = ids.contains(&message["id"]);
        assert_eq!((&message["deleted"], message["content"]["text"] == ""), (&json!(is_gone), is_gone), "{message}");
    }
    assert_eq!(group.ben.get(&group.path(&stays, "")).await.expect(StatusCode::OK)["deleted"], false);
}
