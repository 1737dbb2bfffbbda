//! Chat on the socket: acknowledged after the commit, told to everybody once and in order, taken up again where it was left.

use std::sync::OnceLock;

use parlor::limit::Config as LimitConfig;
use proptest::prelude::*;
use proptest::test_runner::FileFailurePersistence;
use serde_json::{Value, json};
use tokio::runtime::Runtime;

use crate::harness::{Person, Server, Socket, until};

/// What one client knows of a room: the last state, and every event since. Its offsets must have no gap.
#[derive(Default)]
struct Client {
    messages: Vec<Value>,
    epoch: Value,
    offset: u64,
}

impl Client {
    fn joined(state: &Value) -> Self {
        let mut client = Self::default();
        client.apply(state);
        client
    }

    fn apply(&mut self, frame: &Value) {
        if frame["type"] == "room_state" {
            if frame["data"]["recovered"] == true {
                assert_eq!((&frame["epoch"], frame["offset"].as_u64()), (&self.epoch, Some(self.offset)));
                assert_eq!(frame["data"]["messages"], json!([]));
            } else {
                self.messages = frame["data"]["messages"].as_array().unwrap().clone();
                self.epoch = frame["epoch"].clone();
                self.offset = frame["offset"].as_u64().unwrap();
            }
            return;
        }
        let Some(offset) = frame["offset"].as_u64() else { return };
        assert_eq!((offset, &frame["epoch"]), (self.offset + 1, &self.epoch), "no gap, nothing twice: {frame}");
        self.offset = offset;
        let data = &frame["data"];
        match frame["type"].as_str().unwrap() {
            "new_message" => self.messages.push(data["message"].clone()),
            "message_edited" => *self.message(&data["message"]["id"]) = data["message"].clone(),
            "message_deleted" => {
                let message = self.message(&data["messageId"]);
                message["content"] = json!({"text": ""});
                message["deleted"] = true.into();
            }
            other => panic!("{other} has an offset"),
        }
    }

    fn message(&mut self, id: &Value) -> &mut Value {
        self.messages.iter_mut().find(|it| it["id"] == *id).expect("events come after what they are about")
    }

    /// Reads until the event of that offset.
    async fn read_to(&mut self, socket: &mut Socket, offset: u64) {
        while self.offset < offset {
            self.apply(&socket.next().await);
        }
    }

    /// Writes, and applies all that comes up to the acknowledgement.
    async fn say(&mut self, socket: &mut Socket, room: &str, client_id: &str) {
        let data = json!({"roomId": room, "clientId": client_id, "content": {"text": "hello"}});
        socket.send_json(&json!({"type": "send_message", "id": client_id, "data": data})).await;
        loop {
            let frame = socket.next().await;
            self.apply(&frame);
            if frame["id"] == client_id {
                return;
            }
        }
    }

    /// Joins again with its position.
    async fn rejoin(&mut self, socket: &mut Socket, room: &str) -> Value {
        let position = json!({"roomId": room, "epoch": self.epoch, "offset": self.offset});
        let state = socket.ask("join_room", position).await;
        self.apply(&state);
        state["data"]["recovered"].clone()
    }
}

async fn two_in_a_room(server: &Server) -> (Socket, Socket, String) {
    let (ada, ben) = (server.enter("ada").await, server.enter("ben").await);
    let room = ada.create_room("call", "public").await;
    let (mut one, _) = ada.connect_to(&room).await;
    let (two, _) = ben.connect_to(&room).await;
    one.next_of("member_joined").await;
    (one, two, room)
}

#[tokio::test]
async fn the_senders_own_message_is_the_acknowledgement() {
    let server = Server::start().await;
    let (mut ada, mut ben, room) = two_in_a_room(&server).await;
    let own = ada.say(&room, "c-1", "e\u{301} <b>&").await;
    let other = ben.next_of("new_message").await;
    assert_eq!((&own["offset"], &other["offset"], &other["id"]), (&json!(1), &json!(1), &Value::Null));
    assert_eq!(own["data"], other["data"]);
    let message = &own["data"]["message"];
    assert_eq!(message["content"], json!({"text": "é <b>&"}), "NFC, and otherwise as written");
    assert_eq!((&message["sender"]["nickname"], &message["clientId"]), (&json!("ada"), &json!("c-1")));

    let reply = json!({"roomId": room, "clientId": "c-1", "content": {"text": "hi"}, "replyTo": message["id"]});
    let reply = ben.ask("send_message", reply).await;
    assert_eq!((&reply["offset"], &reply["data"]["message"]["replyTo"]), (&json!(2), &message["id"]));
    let elsewhere = json!({"roomId": room, "clientId": "c-2", "content": {"text": "hi"}, "replyTo": room});
    assert_eq!(ben.refused("send_message", elsewhere, "bad_request").await["detail"]["field"], "replyTo");
    for (client_id, text, code) in
        [("", "x", "bad_request"), ("c-3", " \n", "message_empty"), ("c-3", "\0", "bad_request")]
    {
        let frame = json!({"roomId": room, "clientId": client_id, "content": {"text": text}});
        ben.refused("send_message", frame, code).await;
    }
}

#[tokio::test]
async fn sending_again_answers_the_sender_alone() {
    let server = Server::start().await;
    let (mut ada, mut ben, room) = two_in_a_room(&server).await;
    let first = ada.say(&room, "c-1", "hello").await;
    let again = ada.say(&room, "c-1", "hello").await;
    assert_eq!(again["data"], first["data"]);
    assert_eq!((&again["type"], &again["offset"]), (&json!("new_message"), &Value::Null), "it is no new event");
    ada.refused("send_message", json!({"roomId": room, "clientId": "c-1", "content": {"text": "other"}}), "conflict")
        .await;
    ada.say(&room, "c-2", "next").await;
    assert_eq!(ben.next_of("new_message").await["offset"], 1);
    assert_eq!(ben.next_of("new_message").await["offset"], 2, "nobody else was told again");
}

#[tokio::test]
async fn messages_are_changed_by_their_authors_and_taken_away_by_moderators() {
    let server = Server::start().await;
    let (mut ada, mut ben, room) = two_in_a_room(&server).await;
    let message = |frame: &Value| frame["data"]["message"]["id"].clone();
    let bens = message(&ben.say(&room, "c-1", "hello").await);
    let adas = message(&ada.say(&room, "c-1", "hi").await);
    let edit = |id: &Value| json!({"roomId": room, "messageId": id, "content": {"text": "hullo"}});
    let delete = |id: &Value| json!({"roomId": room, "messageId": id});
    ada.refused("edit_message", edit(&bens), "not_found").await;
    ben.refused("delete_message", delete(&adas), "not_found").await;
    let edited = ben.ask("edit_message", edit(&bens)).await;
    assert_eq!((&edited["type"], &edited["offset"]), (&json!("message_edited"), &json!(3)));
    assert_eq!(edited["data"]["message"]["content"]["text"], "hullo");
    assert!(edited["data"]["message"]["editedAt"].is_string());
    let deleted = ada.ask("delete_message", delete(&bens)).await;
    assert_eq!((&deleted["type"], &deleted["offset"]), (&json!("message_deleted"), &json!(4)));
    assert_eq!(deleted["data"]["messageId"], bens);
    assert_eq!(ben.ask("delete_message", delete(&bens)).await["type"], "ok", "it was gone already");
    ben.refused("edit_message", edit(&bens), "not_found").await;
    let state = ben.join(&room).await;
    let texts: Vec<_> = state["data"]["messages"].as_array().unwrap().iter().map(|it| &it["content"]["text"]).collect();
    assert_eq!(texts, ["", "hi"]);
}

#[tokio::test]
async fn typing_is_shown_to_the_others_and_never_stored() {
    let server = Server::start().await;
    let (mut ada, mut ben, room) = two_in_a_room(&server).await;
    assert_eq!(ada.ask("typing", json!({"roomId": room, "typing": true})).await["type"], "ok");
    let typing = ben.next_of("typing").await;
    assert_eq!((&typing["data"]["nickname"], &typing["data"]["typing"]), (&json!("ada"), &json!(true)));
    assert_eq!((&typing["offset"], &typing["roomId"]), (&Value::Null, &json!(room)));
    assert_eq!(ada.say(&room, "c-1", "done").await["offset"], 1);
}

#[tokio::test]
async fn nobody_writes_who_is_not_in_the_room() {
    let server = Server::start().await;
    let (ada, mut ben) = (server.enter("ada").await, server.enter("ben").await.connect().await);
    let room = ada.create_room("call", "public").await;
    let message = json!({"roomId": room, "clientId": "c-1", "content": {"text": "hello"}});
    ben.refused("send_message", message.clone(), "not_in_room").await;
    ben.join(&room).await;
    assert_eq!(ben.ask("send_message", message.clone()).await["offset"], 1);
    assert_eq!(ben.ask("leave_room", json!({"roomId": room})).await["type"], "ok");
    ben.refused("send_message", message, "not_in_room").await;
    ben.refused("typing", json!({"roomId": room, "typing": true}), "not_in_room").await;
}

#[tokio::test]
async fn writing_too_fast_is_refused_with_the_time_to_wait() {
    let limit = LimitConfig::default();
    let server = Server::start_with(|config| config.limit_exempt.clear()).await;
    let (_ada, mut ben, room) = two_in_a_room(&server).await;
    // In a call, even somebody new writes as fast as somebody who has been known for long.
    for number in 0..limit.message_established.burst {
        assert_eq!(ben.say(&room, &format!("c-{number}"), "hello").await["type"], "new_message");
    }
    let late = json!({"roomId": room, "clientId": "late", "content": {"text": "hello"}});
    let refused = ben.refused("send_message", late, "rate_limited").await;
    let each_ms = 60_000 / u64::from(limit.message_established.per_minute);
    assert!((1..=each_ms).contains(&refused["retryAfterMs"].as_u64().unwrap()), "{refused}");
}

#[tokio::test]
async fn a_restart_loses_nothing_and_clients_go_on() {
    let server = Server::start().await;
    let ada = server.enter("ada").await;
    let room = ada.create_room("call", "unlisted").await;
    let (mut socket, state) = ada.connect_to(&room).await;
    let mut client = Client::joined(&state);
    for number in 0..5 {
        client.apply(&socket.say(&room, &format!("c-{number}"), "hello").await);
    }
    let last = socket.say(&room, "c-5", "one that the client does not hear of").await;
    let folder = server.stop().await;
    let server = Server::start_in(folder, |_| {}).await;
    let mut socket = Socket::open(&server.base, "/ws").await;
    socket.log_in(&ada.token, None).await;
    assert_eq!(client.rejoin(&mut socket, &room).await, true);
    client.read_to(&mut socket, 6).await;
    assert_eq!(client.messages[5], last["data"]["message"]);
    let again = socket.say(&room, "c-5", "one that the client does not hear of").await;
    assert_eq!(again["data"]["message"], last["data"]["message"]);
}

#[tokio::test]
async fn who_missed_too_much_gets_a_fresh_state() {
    let server = Server::start().await;
    let (mut ada, mut ben, room) = two_in_a_room(&server).await;
    let state = ben.join(&room).await;
    let mut client = Client::joined(&state);
    ben.lose();
    for number in 0..301 {
        ada.say(&room, &format!("c-{number}"), "hello").await;
    }
    let mut back = server.enter("ben").await.connect().await;
    assert_eq!(client.rejoin(&mut back, &room).await, false);
    assert_eq!((client.messages.len(), client.offset), (50, 301));
    client.offset = 1;
    assert_eq!(client.rejoin(&mut back, &room).await, true);
    client.offset = 400;
    assert_eq!(client.rejoin(&mut back, &room).await, false, "nobody can know what is not yet");
    client.epoch = json!(room);
    assert_eq!(client.rejoin(&mut back, &room).await, false);
}

/// Sixty-four people write at once, others come in meanwhile: everybody sees the same stream, from where they came in.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whoever_comes_in_during_a_storm_misses_nothing() {
    const SENDERS: usize = 64;
    const EACH: usize = 5;
    const WATCHERS: usize = 10;
    // The server tells that each of them has joined.
    const ALL: u64 = (SENDERS * EACH + SENDERS + WATCHERS) as u64;
    let server = Server::start().await;
    let owner = server.enter("owner").await;
    let wanted = json!({"kind": "group", "name": "storm", "visibility": "public", "maxParticipants": 100});
    let room = owner.create(wanted).await;
    let mut tasks = tokio::task::JoinSet::new();
    for number in 0..SENDERS {
        let (person, room) = (server.enter(&format!("sender-{number}")).await, room.clone());
        tasks.spawn(async move {
            let (mut socket, state) = person.connect_to(&room).await;
            let mut client = Client::joined(&state);
            for count in 0..EACH {
                client.say(&mut socket, &room, &format!("c-{count}")).await;
            }
            client.read_to(&mut socket, ALL).await;
            client
        });
    }
    let mut watchers = Vec::new();
    for number in 0..WATCHERS {
        let (socket, state) = server.enter(&format!("watcher-{number}")).await.connect_to(&room).await;
        watchers.push((Client::joined(&state), socket));
    }
    let mut clients = tasks.join_all().await;
    for (mut client, mut socket) in watchers {
        client.read_to(&mut socket, ALL).await;
        clients.push(client);
    }
    let last = |client: &Client| client.messages[client.messages.len() - 50..].to_vec();
    let (_, fresh) = owner.connect_to(&room).await;
    let fresh = Client::joined(&fresh);
    assert_eq!(fresh.offset, ALL);
    assert!(clients.iter().all(|it| last(it) == last(&fresh)));
}

/// What may happen to a room and to a client that watches it.
#[derive(Clone, Debug)]
enum Step {
    Say {
        person: usize,
    },
    Edit {
        person: usize,
        message: usize,
    },
    Delete {
        person: usize,
        message: usize,
    },
    /// The watcher's socket dies.
    Lose,
    /// The watcher comes back and joins with its position.
    Return,
    /// The watcher, still there, joins again with a position that is a little old.
    Rejoin,
}

fn step() -> impl Strategy<Value = Step> {
    let (person, message) = (0..3_usize, 0..40_usize);
    prop_oneof![
        6 => person.clone().prop_map(|person| Step::Say { person }),
        3 => (person.clone(), message.clone()).prop_map(|(person, message)| Step::Edit { person, message }),
        2 => (person, message).prop_map(|(person, message)| Step::Delete { person, message }),
        2 => Just(Step::Lose),
        2 => Just(Step::Return),
        1 => Just(Step::Rejoin),
    ]
}

/// One server for all runs of the property.
fn house() -> &'static (Runtime, Server) {
    static HOUSE: OnceLock<(Runtime, Server)> = OnceLock::new();
    HOUSE.get_or_init(|| {
        let runtime = Runtime::new().unwrap();
        let server = runtime.block_on(Server::start());
        (runtime, server)
    })
}

async fn play(server: &Server, steps: Vec<Step>) {
    let owner = server.enter("owner").await;
    let room = owner.create_room("call", "public").await;
    let mut people = vec![owner.connect_to(&room).await.0];
    for name in ["ada", "ben"] {
        people.push(server.enter(name).await.connect_to(&room).await.0);
    }
    let watcher: Person = server.enter("watcher").await;
    let (socket, state) = watcher.connect_to(&room).await;
    let (mut client, mut socket, mut resume) = (Client::joined(&state), Some(socket), String::new());
    let (mut ids, mut last): (Vec<Value>, u64) = (Vec::new(), 0);
    for (number, step) in steps.into_iter().enumerate() {
        let target = |message: usize| ids.get(message % ids.len().max(1)).cloned().unwrap_or(json!(room));
        let reply = match step {
            Step::Say { person } => people[person].say(&room, &format!("c-{number}"), &format!("text {number}")).await,
            Step::Edit { person, message } => {
                let text = json!({"text": format!("edited {number}")});
                let frame = json!({"roomId": room, "messageId": target(message), "content": text});
                people[person].ask("edit_message", frame).await
            }
            Step::Delete { person, message } => {
                let frame = json!({"roomId": room, "messageId": target(message)});
                people[person].ask("delete_message", frame).await
            }
            Step::Lose => {
                if let Some(lost) = socket.take() {
                    resume = lost.resume_token().to_owned();
                    lost.lose();
                }
                continue;
            }
            Step::Return if socket.is_none() => {
                let mut back = watcher.resume(&resume).await;
                assert_eq!(client.rejoin(&mut back, &room).await, true);
                socket = Some(back);
                continue;
            }
            Step::Rejoin => {
                if let Some(socket) = &mut socket {
                    client.read_to(socket, last).await;
                    assert_eq!(client.rejoin(socket, &room).await, true);
                }
                continue;
            }
            Step::Return => continue,
        };
        if reply["type"] == "new_message" {
            ids.push(reply["data"]["message"]["id"].clone());
        }
        last = reply["offset"].as_u64().unwrap_or(last);
    }
    let mut socket = match socket {
        Some(socket) => socket,
        None => {
            let mut back = watcher.resume(&resume).await;
            client.rejoin(&mut back, &room).await;
            back
        }
    };
    client.read_to(&mut socket, last).await;
    let fresh = Client::joined(&people[0].join(&room).await);
    assert_eq!((client.offset, &client.epoch), (fresh.offset, &fresh.epoch));
    // An event tells a deleted message without its text from the start; everything else is the same, field by field.
    assert_eq!(client.messages, fresh.messages);
}

proptest! {
    #![proptest_config(ProptestConfig {
        cases: 32,
        failure_persistence: Some(Box::new(FileFailurePersistence::Direct("tests/it/chat.seeds"))),
        ..ProptestConfig::default()
    })]

    #[test]
    fn what_events_tell_is_what_a_fresh_state_tells(steps in prop::collection::vec(step(), 1..40)) {
        let (runtime, server) = house();
        runtime.block_on(play(server, steps));
    }
}

#[tokio::test]
async fn the_removed_hear_and_say_nothing_more() {
    let server = Server::start().await;
    let (ada, ben) = (server.enter("ada").await, server.enter("ben").await);
    let room = ada.create_room("call", "public").await;
    let (mut owner, _) = ada.connect_to(&room).await;
    let (mut guest, _) = ben.connect_to(&room).await;
    let removal = json!({"roomId": room, "userId": ben.id, "reason": "spam"});
    guest.refused("remove_member", removal.clone(), "forbidden").await;
    assert_eq!(owner.ask("remove_member", removal).await["type"], "ok");
    let removed = guest.next_of("removed").await;
    assert_eq!(removed["data"], json!({"roomId": room, "reason": "spam"}));
    assert_eq!(owner.next_of("member_left").await["data"], json!({"userId": ben.id, "reason": "removed"}));
    owner.say(&room, "c-1", "they are gone").await;
    guest.refused("join_room", json!({"roomId": room}), "removed").await;
    guest
        .refused("send_message", json!({"roomId": room, "clientId": "c", "content": {"text": "x"}}), "not_in_room")
        .await;
    let listed = ada.get(&format!("/rooms/{room}")).await.json();
    assert_eq!(listed["online"], 1);
}

#[tokio::test]
async fn a_closed_socket_leaves_at_once_and_a_lost_one_later() {
    let server = Server::start_with(|config| config.hub.seat_kept_ms = 300).await;
    let (mut ada, ben, room) = two_in_a_room(&server).await;
    ben.close().await;
    assert_eq!(ada.next_of("member_left").await["data"]["reason"], "left");
    let cleo = server.enter("cleo").await;
    let (socket, _) = cleo.connect_to(&room).await;
    socket.lose();
    let left = ada.next_of("member_left").await;
    assert_eq!(left["data"], json!({"userId": cleo.id, "reason": "lost"}));
    let online = || async { cleo.get(&format!("/rooms/{room}")).await.json()["online"].as_u64() };
    until("one is left", async || (online().await == Some(1)).then_some(())).await;
}

#[tokio::test]
async fn leaving_and_coming_back_at_once_is_heard_as_that() {
    let server = Server::start().await;
    let (mut ada, mut ben, room) = two_in_a_room(&server).await;
    for round in 0..20 {
        // Without a pause: that they left is told while they come in.
        let data = json!({"roomId": room});
        ben.send_json(&json!({"type": "leave_room", "data": data})).await;
        ben.send_json(&json!({"type": "join_room", "id": format!("j-{round}"), "data": data})).await;
        while ben.next().await["id"] != format!("j-{round}") {}
        let said = ada.say(&room, &format!("c-{round}"), "still there?").await;
        assert_eq!(ben.next().await["offset"], said["offset"], "and nothing in between");
    }
}

#[tokio::test]
async fn a_logout_closes_the_sockets_of_that_login() {
    let server = Server::start().await;
    let (mut ada, _ben, room) = two_in_a_room(&server).await;
    let cleo = server.enter("cleo").await;
    let (mut socket, _) = cleo.connect_to(&room).await;
    cleo.ask(reqwest::Method::DELETE, "/auth/logout", None).await.expect(reqwest::StatusCode::NO_CONTENT);
    assert_eq!(socket.closed().await.0, 4401);
    assert_eq!(ada.next_of("member_left").await["data"]["userId"], cleo.id);

    // A refresh token that comes twice is an alarm: whoever is in by that login is out.
    let dan = server.enter("dan").await;
    let (mut socket, _) = dan.connect_to(&room).await;
    let refresh = json!({"refreshToken": dan.refresh_token});
    let anybody = server.anonymous();
    anybody.post("/auth/refresh", refresh.clone()).await.expect(reqwest::StatusCode::OK);
    anybody.post("/auth/refresh", refresh).await.refused(401, "token_reused");
    assert_eq!(socket.closed().await.0, 4401);
}
