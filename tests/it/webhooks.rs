//! Webhooks: what arrives, in which order, how often, and what is left of what does not.

use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Mutex};

use axum::Router;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::HeaderMap;
use axum::response::IntoResponse as _;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use parlor::config::Config;
use reqwest::{Method, StatusCode};
use serde_json::{Value, json};
use tokio::sync::Notify;

use crate::harness::{Person, Server, settings, until};
use crate::postgres;
use crate::program::Program;
use crate::redis::Redis;

/// What came: its headers, and its body as it was.
#[derive(Clone)]
pub(crate) struct Came {
    pub(crate) id: String,
    timestamp: String,
    signature: String,
    body: String,
}

impl Came {
    fn event(&self) -> Value {
        serde_json::from_str(&self.body).unwrap()
    }

    fn text(&self) -> String {
        self.event()["data"]["message"]["content"]["text"].as_str().unwrap_or_default().to_owned()
    }
}

#[derive(Default)]
struct Seen {
    came: Mutex<Vec<Came>>,
    /// What the next requests are answered; 204 when there is nothing left.
    answers: Mutex<VecDeque<u16>>,
    /// While it is set, requests wait here.
    held: Mutex<Option<Arc<Notify>>>,
}

/// Somebody who takes events.
pub(crate) struct Receiver {
    seen: Arc<Seen>,
    pub(crate) url: String,
}

impl Receiver {
    pub(crate) async fn start() -> Self {
        let seen = Arc::<Seen>::default();
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}/hook", listener.local_addr().unwrap());
        let app = Router::new().fallback(take).with_state(seen.clone());
        tokio::spawn(async move { axum::serve(listener, app).await });
        Self { seen, url }
    }

    pub(crate) fn answer(&self, with: &[u16]) {
        self.seen.answers.lock().unwrap().extend(with);
    }

    pub(crate) fn came(&self) -> Vec<Came> {
        self.seen.came.lock().unwrap().clone()
    }

    /// Waits for so many requests.
    pub(crate) async fn until_came(&self, count: usize) -> Vec<Came> {
        until("events come", async || Some(self.came()).filter(|came| came.len() >= count)).await
    }

    pub(crate) fn texts(&self) -> Vec<String> {
        self.came().iter().map(Came::text).collect()
    }
}

async fn take(State(seen): State<Arc<Seen>>, headers: HeaderMap, body: Bytes) -> axum::response::Response {
    let header = |name: &str| headers[name].to_str().unwrap().to_owned();
    seen.came.lock().unwrap().push(Came {
        id: header("webhook-id"),
        timestamp: header("webhook-timestamp"),
        signature: header("webhook-signature"),
        body: String::from_utf8(body.to_vec()).unwrap(),
    });
    let held = seen.held.lock().unwrap().clone();
    if let Some(held) = held {
        held.notified().await;
    }
    let answer = seen.answers.lock().unwrap().pop_front().unwrap_or(204);
    axum::http::StatusCode::from_u16(answer).unwrap().into_response()
}

/// Settings under which this machine may be told, and patience is short.
pub(crate) fn quick(config: &mut Config) {
    config.webhooks.own_networks = vec!["127.0.0.0/8".parse().unwrap()];
    config.webhooks.own_networks_for_all = true;
    config.webhooks.retry_ms = vec![10, 20, 30];
}

/// The signature, calculated without the server's code: HMAC (RFC 2104) by hand over SHA-256.
fn signed(secret: &str, came: &Came) -> String {
    let key = STANDARD.decode(secret.strip_prefix("whsec_").unwrap()).unwrap();
    let sha = |parts: &[&[u8]]| ring::digest::digest(&ring::digest::SHA256, &parts.concat()).as_ref().to_vec();
    let padded = |with: u8| -> Vec<u8> { (0..64).map(|at| key.get(at).copied().unwrap_or(0) ^ with).collect() };
    let said = format!("{}.{}.{}", came.id, came.timestamp, came.body);
    let inner = sha(&[&padded(0x36), said.as_bytes()]);
    format!("v1,{}", STANDARD.encode(sha(&[&padded(0x5c), &inner])))
}

pub(crate) async fn hook(owner: &Person, room: Option<&str>, url: &str, events: &[&str]) -> Value {
    let wanted = json!({"roomId": room, "url": url, "events": events});
    owner.post("/webhooks", wanted).await.expect(StatusCode::CREATED)
}

pub(crate) async fn say(person: &Person, room: &str, name: &str, text: &str) -> Value {
    let said = json!({"clientId": name, "content": {"text": text}});
    person.post(&format!("/rooms/{room}/messages"), said).await.expect(StatusCode::CREATED)
}

pub(crate) fn path_of(webhook: &Value) -> String {
    format!("/webhooks/{}", webhook["webhookId"].as_str().unwrap())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_happens_in_a_room_arrives_signed_and_in_order() {
    let server = Server::start_with(quick).await;
    let receiver = Receiver::start().await;
    let ada = server.enter("ada").await;
    let (room, other) = (ada.create_room("group", "public").await, ada.create_room("group", "public").await);
    say(&ada, &room, "before", "before").await;
    let made = hook(&ada, Some(&room), &receiver.url, &["message.deleted", "message.sent", "message.edited"]).await;
    assert_eq!(made["events"], json!(["message.sent", "message.edited", "message.deleted"]));
    let first = say(&ada, &room, "1", "one").await;
    say(&ada, &other, "1", "elsewhere").await;
    let path = format!("/rooms/{room}/messages/{}", first["id"].as_str().unwrap());
    ada.ask(Method::PATCH, &path, Some(json!({"content": {"text": "uno"}}))).await.expect(StatusCode::NO_CONTENT);
    // Nobody wants to know of it.
    ada.ask(Method::PUT, &format!("{path}/reactions/%F0%9F%91%8D"), None).await;
    say(&ada, &room, "2", "two").await;
    let came = receiver.until_came(3).await;
    let told: Vec<_> = came.iter().map(|it| (it.event()["type"].clone(), it.text())).collect();
    let expected = [("message.sent", "one"), ("message.edited", "uno"), ("message.sent", "two")];
    assert_eq!(told, expected.map(|(kind, text)| (json!(kind), text.to_owned())));
    let secret = made["secret"].as_str().unwrap();
    for it in &came {
        assert_eq!(it.signature, signed(secret, it));
        assert!(it.id.starts_with("evt_") && !it.id.contains('.'));
        assert_eq!(it.event()["roomId"], room.as_str());
    }
    assert_eq!(came[0].event()["timestamp"], first["createdAt"]);
    // A secret is told once; for a day the former one signs as well.
    let seen = ada.get(&path_of(&made)).await.expect(StatusCode::OK);
    assert_eq!((&seen["enabled"], &seen["secret"]), (&json!(true), &Value::Null));
    let rotated = ada.post(&format!("{}/secret", path_of(&made)), json!({})).await.expect(StatusCode::OK);
    say(&ada, &room, "3", "three").await;
    let last = receiver.until_came(4).await.pop().unwrap();
    let both = format!("{} {}", signed(rotated["secret"].as_str().unwrap(), &last), signed(secret, &last));
    assert_eq!(last.signature, both);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_does_not_arrive_is_tried_again_and_nothing_overtakes_it() {
    let server = Server::start_with(quick).await;
    let receiver = Receiver::start().await;
    let ada = server.enter("ada").await;
    let room = ada.create_room("group", "public").await;
    let made = hook(&ada, Some(&room), &receiver.url, &["message.sent"]).await;
    receiver.answer(&[500, 302, 429]);
    for (name, text) in [("1", "one"), ("2", "two"), ("3", "three")] {
        say(&ada, &room, name, text).await;
    }
    let came = receiver.until_came(6).await;
    assert_eq!(receiver.texts(), ["one", "one", "one", "one", "two", "three"]);
    assert!(came[..4].iter().all(|it| it.id == came[0].id && it.body == came[0].body), "the same each time");
    until("it is well again", async || {
        let seen = ada.get(&path_of(&made)).await.expect(StatusCode::OK);
        seen["failingSince"].is_null().then_some(())
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_given_up_is_kept_and_can_be_sent_again() {
    let server = Server::start_with(quick).await;
    let receiver = Receiver::start().await;
    let ada = server.enter("ada").await;
    let room = ada.create_room("group", "public").await;
    let made = hook(&ada, Some(&room), &receiver.url, &["message.sent"]).await;
    let list = format!("{}/deliveries?state=dead", path_of(&made));
    assert_eq!(ada.get(&list).await.expect(StatusCode::OK), json!({"items": [], "next": null}));
    receiver.answer(&[500, 500, 500, 503]);
    say(&ada, &room, "1", "one").await;
    say(&ada, &room, "2", "two").await;
    receiver.until_came(5).await;
    assert_eq!(receiver.texts(), ["one", "one", "one", "one", "two"]);
    let dead = ada.get(&list).await.expect(StatusCode::OK)["items"].clone();
    assert_eq!(dead.as_array().unwrap().len(), 1);
    let one = &dead[0];
    assert_eq!((&one["attempts"], &one["status"], &one["event"]), (&json!(4), &json!(503), &json!("message.sent")));
    let replay = format!("{}/deliveries/{}/replay", path_of(&made), one["deliveryId"].as_str().unwrap());
    receiver.answer(&[500]);
    let again = ada.post(&replay, json!({})).await.expect(StatusCode::OK);
    assert_eq!((&again["state"], &again["attempts"]), (&json!("dead"), &json!(5)));
    let again = ada.post(&replay, json!({})).await.expect(StatusCode::OK);
    assert_eq!((&again["state"], &again["status"]), (&json!("delivered"), &Value::Null));
    let came = receiver.came();
    assert_eq!((came.len(), &came[6].id), (7, &came[0].id), "it has the name that it had");
    assert_eq!(ada.get(&list).await.json()["items"], json!([]));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_stop_in_the_middle_loses_nothing() {
    let server = Server::start_with(quick).await;
    let receiver = Receiver::start().await;
    let held = Arc::new(Notify::new());
    *receiver.seen.held.lock().unwrap() = Some(held.clone());
    let ada = server.enter("ada").await;
    let room = ada.create_room("group", "public").await;
    hook(&ada, Some(&room), &receiver.url, &["message.sent"]).await;
    for name in ["1", "2", "3"] {
        say(&ada, &room, name, name).await;
    }
    // The first is on its way, and nobody has answered, when the server stops.
    receiver.until_came(1).await;
    let folder = server.stop().await;
    *receiver.seen.held.lock().unwrap() = None;
    held.notify_waiters();
    let server = Server::start_in(folder, quick).await;
    let ada = ada.at(&server.base);
    say(&ada, &room, "4", "4").await;
    until("all have come", async || (receiver.texts().last()? == "4").then_some(())).await;
    let mut texts = receiver.texts();
    texts.dedup();
    assert_eq!(texts, ["1", "2", "3", "4"], "at least once, and in order");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn rooms_wait_for_themselves_alone() {
    let server = Server::start_with(|config| {
        quick(config);
        config.webhooks.retry_ms = vec![600_000];
    })
    .await;
    let receiver = Receiver::start().await;
    let chief = server.enter("chief").await;
    let link = server.running().admin_link.clone().unwrap();
    chief.post("/auth/claim", json!({"secret": link.rsplit('/').next().unwrap()})).await.expect(StatusCode::OK);
    let ada = server.enter("ada").await;
    let stuck = ada.create_room("group", "public").await;
    let made = hook(&chief, None, &receiver.url, &["message.sent"]).await;
    let fresh = ada.create_room("group", "private").await;
    receiver.answer(&[500]);
    say(&ada, &stuck, "1", "stuck").await;
    receiver.until_came(1).await;
    say(&ada, &stuck, "2", "behind").await;
    say(&ada, &fresh, "1", "fresh").await;
    receiver.until_came(2).await;
    assert_eq!(receiver.texts(), ["stuck", "fresh"]);
    // Whoever changes it wants to know now.
    let path = path_of(&made);
    let tag = chief.get(&path).await.header("etag").to_owned();
    let with = |tag: &str| chief.request(Method::PATCH, &path).header("if-match", tag).json(&json!({"enabled": true}));
    crate::harness::answer(with("\"77\"")).await.refused(412, "precondition_failed");
    crate::harness::answer(with(&tag)).await.expect(StatusCode::OK);
    receiver.until_came(4).await;
    assert_eq!(receiver.texts(), ["stuck", "fresh", "stuck", "behind"]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_receiver_that_is_gone_is_left_alone_until_somebody_wants_it() {
    let server = Server::start_with(|config| {
        quick(config);
        config.webhooks.disable_after_ms = 0;
    })
    .await;
    let receiver = Receiver::start().await;
    let ada = server.enter("ada").await;
    let room = ada.create_room("group", "public").await;
    let made = hook(&ada, Some(&room), &receiver.url, &["message.sent"]).await;
    let mut device = ada.connect().await;
    let off = async |reason: &str| {
        until("it is switched off", async || {
            let seen = ada.get(&path_of(&made)).await.expect(StatusCode::OK);
            (seen["disabledReason"] == reason && seen["enabled"] == false).then_some(())
        })
        .await;
    };
    let on = json!({"enabled": true});
    receiver.answer(&[410]);
    say(&ada, &room, "1", "one").await;
    off("gone").await;
    let told = device.next_of("webhook_disabled").await;
    assert_eq!(told["data"], json!({"webhookId": made["webhookId"], "reason": "gone"}));
    assert_eq!(told["roomId"], room.as_str());
    receiver.answer(&[500]);
    ada.ask(Method::PATCH, &path_of(&made), Some(on.clone())).await.expect(StatusCode::OK);
    off("failing").await;
    assert_eq!(device.next_of("webhook_disabled").await["data"]["reason"], "failing");
    say(&ada, &room, "2", "two").await;
    ada.ask(Method::PATCH, &path_of(&made), Some(on)).await.expect(StatusCode::OK);
    receiver.until_came(4).await;
    assert_eq!(receiver.texts(), ["one", "one", "one", "two"], "it goes on where it was");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn webhooks_are_made_by_owners_and_lead_to_nobodys_own_network() {
    let server = Server::start().await;
    let (ada, bea) = (server.enter("ada").await, server.enter("bea").await);
    let room = ada.create_room("group", "public").await;
    bea.post(&format!("/rooms/{room}/join"), json!({})).await.expect(StatusCode::OK);
    let wanted = |room: Option<&str>, url: &str| json!({"roomId": room, "url": url, "events": ["message.sent"]});
    let good = "https://example.org/hook";
    bea.post("/webhooks", wanted(Some(&room), good)).await.refused(403, "forbidden");
    ada.post("/webhooks", wanted(None, good)).await.refused(403, "forbidden");
    for bad in ["http://example.org/", "https://127.0.0.1/", "https://10.1.2.3/", "https://[::1]:8443/x", "nothing"] {
        let problem = ada.post("/webhooks", wanted(Some(&room), bad)).await.refused(400, "bad_request");
        assert_eq!(problem["extra"]["field"], "url", "{bad}");
    }
    let none = json!({"roomId": room, "url": good, "events": []});
    ada.post("/webhooks", none).await.refused(400, "bad_request");
    let made = ada.post("/webhooks", wanted(Some(&room), good)).await.expect(StatusCode::CREATED);
    let path = path_of(&made);
    bea.get(&path).await.refused(404, "not_found");
    bea.ask(Method::DELETE, &path, None).await.refused(404, "not_found");
    bea.get(&format!("/webhooks?roomId={room}")).await.refused(403, "forbidden");
    let list = ada.get(&format!("/webhooks?roomId={room}")).await.expect(StatusCode::OK);
    assert_eq!(list["items"][0]["webhookId"], made["webhookId"]);
    for _ in 1..10 {
        ada.post("/webhooks", wanted(Some(&room), good)).await.expect(StatusCode::CREATED);
    }
    ada.post("/webhooks", wanted(Some(&room), good)).await.refused(409, "too_many");
    ada.ask(Method::DELETE, &path, None).await.expect(StatusCode::NO_CONTENT);
    ada.get(&path).await.refused(404, "not_found");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn conversations_and_what_is_kept_nowhere_do_not_leave() {
    let server = Server::start_with(quick).await;
    let receiver = Receiver::start().await;
    let chief = server.enter("chief").await;
    let link = server.running().admin_link.clone().unwrap();
    chief.post("/auth/claim", json!({"secret": link.rsplit('/').next().unwrap()})).await.expect(StatusCode::OK);
    let (ada, bea) = (server.enter("ada").await, server.enter("bea").await);
    let opened = ada.post("/dms", json!({"userId": bea.id})).await;
    assert!(opened.status.is_success(), "{}", opened.text);
    let direct = opened.json();
    let direct = direct["room"]["id"].as_str().or(direct["roomId"].as_str()).unwrap_or_else(|| panic!("{direct}"));
    hook(&chief, None, &receiver.url, &["message.sent"]).await;
    say(&ada, direct, "1", "secret").await;
    let room = ada.create_room("group", "public").await;
    say(&ada, &room, "1", "open").await;
    say(&ada, direct, "2", "secret").await;
    say(&ada, &room, "2", "end").await;
    receiver.until_came(2).await;
    assert_eq!(receiver.texts(), ["open", "end"]);
    let by_room: HashMap<String, usize> = receiver.came().iter().fold(HashMap::new(), |mut all, it| {
        *all.entry(it.event()["roomId"].as_str().unwrap().to_owned()).or_default() += 1;
        all
    });
    assert_eq!(by_room, HashMap::from([(room, 2)]));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_kill_in_the_middle_loses_nothing() {
    let network = [("PARLOR_WEBHOOKS__OWN_NETWORKS", "127.0.0.0/8"), ("PARLOR_WEBHOOKS__OWN_NETWORKS_FOR_ALL", "true")];
    let program = Program::start(&network);
    let receiver = Receiver::start().await;
    let held = Arc::new(Notify::new());
    *receiver.seen.held.lock().unwrap() = Some(held.clone());
    let ada = Person::enter(&program.base, "ada").await;
    let room = ada.create_room("group", "public").await;
    hook(&ada, Some(&room), &receiver.url, &["message.sent"]).await;
    for name in ["1", "2", "3"] {
        say(&ada, &room, name, name).await;
    }
    receiver.until_came(1).await;
    let killed = program.kill();
    *receiver.seen.held.lock().unwrap() = None;
    held.notify_waiters();
    let program = killed.start_again(&network);
    say(&ada.at(&program.base), &room, "4", "4").await;
    until("all have come", async || (receiver.texts().last()? == "4").then_some(())).await;
    let mut texts = receiver.texts();
    texts.dedup();
    assert_eq!(texts, ["1", "2", "3", "4"], "at least once, and in order");
}

/// One of several nodes.
async fn node(url: &str, redis: &Redis) -> Server {
    let folder = tempfile::tempdir().unwrap();
    let data = settings(&folder).data_dir;
    std::fs::create_dir(&data).unwrap();
    // What one node signs, the other believes.
    std::fs::write(data.join("secret"), [7; 32]).unwrap();
    Server::start_in(folder, |config| {
        quick(config);
        config.database_url = Some(url.to_owned());
        config.redis_url = Some(redis.url());
    })
    .await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_two_nodes_one_sends_and_another_goes_on_for_it() {
    let (url, redis) = (postgres::database().await, Redis::start().await);
    let (a, b) = (node(&url, &redis).await, node(&url, &redis).await);
    let receiver = Receiver::start().await;
    let ada = a.enter("ada").await;
    let room = ada.create_room("group", "public").await;
    let made = hook(&ada, Some(&room), &receiver.url, &["message.sent"]).await;
    let names: Vec<_> = (1..=12).map(|number| number.to_string()).collect();
    for (at, name) in names.iter().enumerate() {
        let base = if at % 2 == 0 { &a.base } else { &b.base };
        say(&ada.at(base), &room, name, name).await;
    }
    let came = receiver.until_came(12).await;
    assert_eq!(came.iter().map(Came::text).collect::<Vec<_>>(), names, "each once, in order");
    let secret = made["secret"].as_str().unwrap();
    assert!(came.iter().all(|it| it.signature == signed(secret, it)));
    // Whichever of them it was: it stops, and the other has its seat.
    a.stop().await;
    let ada = ada.at(&b.base);
    receiver.answer(&[500, 500, 500, 500]);
    say(&ada, &room, "13", "13").await;
    say(&ada, &room, "14", "14").await;
    until("the rest comes", async || (receiver.texts().last()? == "14").then_some(())).await;
    let list = ada.get(&format!("{}/deliveries", path_of(&made))).await.expect(StatusCode::OK);
    assert_eq!(list["items"].as_array().unwrap().len(), 1, "{list}");
}
