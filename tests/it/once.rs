//! Creating once: `Idempotency-Key`, over REST and in the store on both databases.

use std::time::Duration;

use parlor::domain::{Time, UserId};
use parlor::store::{OnceFound, OnceRow};
use reqwest::{Method, StatusCode};
use serde_json::{Value, json};

use crate::harness::{Answer, Person, Server, answer, until};
use crate::store::{Database, on_both_databases, person};

on_both_databases!(
    one_of_many_begins_a_request,
    an_answer_is_kept_over_a_restart,
    what_is_left_or_old_counts_no_more,
    a_request_of_somebody_is_nobody_elses,
);

const DAY: Duration = Duration::from_secs(24 * 3600);

fn row(user: UserId, key: &str, request: &str, begun_at: Time) -> OnceRow {
    OnceRow { user, key_hash: key.into(), request_hash: request.into(), begun_at }
}

fn ago(span: Duration) -> Time {
    Time::from_ms(Time::now().as_ms() - span.as_millis() as i64)
}

async fn one_of_many_begins_a_request(database: Database) {
    let (store, _events) = database.open().await;
    let ada = person(&store, "ada").await;
    let asking = (0..8).map(|_| {
        let (store, row) = (store.clone(), row(ada.id, "k", "rooms", Time::now()));
        tokio::spawn(async move { store.begin_once(&row, ago(DAY), ago(DAY)).await.unwrap() })
    });
    let mut found = Vec::new();
    for asked in asking.collect::<Vec<_>>() {
        found.push(asked.await.unwrap());
    }
    let begun = found.iter().filter(|found| **found == OnceFound::New).count();
    let waiting = found.iter().filter(|found| **found == OnceFound::Begun { same: true }).count();
    assert_eq!((begun, waiting), (1, 7), "{found:?}");
}

async fn an_answer_is_kept_over_a_restart(database: Database) {
    let (store, events) = database.open().await;
    let ada = person(&store, "ada").await;
    let first = row(ada.id, "k", "rooms", Time::now());
    assert_eq!(store.begin_once(&first, ago(DAY), ago(DAY)).await.unwrap(), OnceFound::New);
    store.finish_once(&first, b"sealed").await.unwrap();
    drop((store, events));
    let (store, _events) = database.open().await;
    let again = |request: &'static str| row(ada.id, "k", request, Time::now());
    let found = store.begin_once(&again("rooms"), ago(DAY), ago(DAY)).await.unwrap();
    assert_eq!(found, OnceFound::Done { same: true, answer: b"sealed".to_vec() });
    let other = store.begin_once(&again("other rooms"), ago(DAY), ago(DAY)).await.unwrap();
    assert!(matches!(other, OnceFound::Done { same: false, .. }), "{other:?}");
    // What is done is neither done nor forgotten by anybody else.
    store.finish_once(&first, b"another").await.unwrap();
    store.forget_once(&first).await.unwrap();
    assert_eq!(store.begin_once(&again("rooms"), ago(DAY), ago(DAY)).await.unwrap(), found);
}

async fn what_is_left_or_old_counts_no_more(database: Database) {
    let (store, _events) = database.open().await;
    let ada = person(&store, "ada").await;
    let minute = Duration::from_secs(60);
    let left = row(ada.id, "left", "rooms", ago(5 * minute));
    let old = row(ada.id, "old", "rooms", ago(2 * DAY));
    for row in [&left, &old] {
        assert_eq!(store.begin_once(row, ago(3 * DAY), ago(3 * DAY)).await.unwrap(), OnceFound::New);
    }
    store.finish_once(&old, b"sealed").await.unwrap();
    let next = row(ada.id, "left", "rooms", Time::now());
    assert_eq!(store.begin_once(&next, ago(DAY), ago(minute)).await.unwrap(), OnceFound::New);
    // Who left it comes too late.
    store.finish_once(&left, b"late").await.unwrap();
    store.forget_once(&left).await.unwrap();
    assert_eq!(store.begin_once(&next, ago(DAY), ago(minute)).await.unwrap(), OnceFound::Begun { same: true });
    let newer = row(ada.id, "old", "other rooms", Time::now());
    assert_eq!(store.begin_once(&newer, ago(DAY), ago(minute)).await.unwrap(), OnceFound::New);
    assert_eq!(
        (store.sweep_once(ago(DAY)).await.unwrap(), store.sweep_once(Time::now().after(minute)).await.unwrap()),
        (0, 2)
    );
    assert_eq!(store.begin_once(&next, ago(DAY), ago(minute)).await.unwrap(), OnceFound::New);
    store.forget_once(&next).await.unwrap();
    assert_eq!(store.begin_once(&next, ago(DAY), ago(minute)).await.unwrap(), OnceFound::New);
}

async fn a_request_of_somebody_is_nobody_elses(database: Database) {
    let (store, _events) = database.open().await;
    for name in ["ada", "bob"] {
        let person = person(&store, name).await;
        let row = row(person.id, "k", "rooms", Time::now());
        assert_eq!(store.begin_once(&row, ago(DAY), ago(DAY)).await.unwrap(), OnceFound::New, "{name}");
    }
}

async fn named(person: &Person, name: &str, path: &str, body: Value) -> Answer {
    answer(person.request(Method::POST, path).header("idempotency-key", name).json(&body)).await
}

fn friday() -> Value {
    json!({"kind": "group", "name": "Friday", "visibility": "public"})
}

#[tokio::test]
async fn a_room_is_made_once_however_often_it_is_asked_for() {
    let server = Server::start().await;
    let (ada, bob) = (server.enter("ada").await, server.enter("bob").await);
    let first = named(&ada, "\"k-1\"", "/rooms", friday()).await;
    let room = first.expect(StatusCode::CREATED);
    let again = named(&ada, "k-1", "/rooms", friday()).await;
    assert_eq!((again.expect(StatusCode::CREATED), again.header("idempotent-replayed")), (room.clone(), "true"));
    for header in ["location", "etag", "content-type"] {
        assert_eq!(again.header(header), first.header(header), "{header}");
    }
    assert_eq!(first.header("idempotent-replayed"), "");
    // The name is hers, and what she asked for by it stays what it was.
    assert_ne!(named(&bob, "k-1", "/rooms", friday()).await.expect(StatusCode::CREATED)["id"], room["id"]);
    named(&ada, "k-1", "/rooms", json!({"kind": "group", "name": "Saturday", "visibility": "public"}))
        .await
        .refused(422, "idempotency_mismatch");
    named(&ada, "k-1", "/dms", json!({"userId": bob.id})).await.refused(422, "idempotency_mismatch");
    for name in ["a b", "", &"x".repeat(256)] {
        let problem = named(&ada, name, "/rooms", friday()).await.refused(400, "bad_request");
        assert_eq!(problem["extra"]["field"], "Idempotency-Key");
    }
    assert_eq!(ada.get("/rooms/mine").await.json()["items"].as_array().unwrap().len(), 1);
    let server = Server::start_in(server.stop().await, |_| {}).await;
    let after = named(&ada.at(&server.base), "k-1", "/rooms", friday()).await;
    assert_eq!(after.expect(StatusCode::CREATED), room);
}

#[tokio::test]
async fn what_was_refused_may_be_asked_again() {
    let server = Server::start().await;
    let (ada, bob) = (server.enter("ada").await, server.enter("bob").await);
    let room = ada.create_room("group", "public").await;
    let path = format!("/rooms/{room}/messages");
    let body = json!({"clientId": "c-1", "content": {"text": "hello"}});
    named(&bob, "k-1", &path, body.clone()).await.refused(409, "not_in_room");
    bob.post(&format!("/rooms/{room}/join"), json!({})).await.expect(StatusCode::OK);
    let first = named(&bob, "k-1", &path, body.clone()).await.expect(StatusCode::CREATED);
    let again = named(&bob, "k-1", &path, body).await;
    assert_eq!(
        (again.expect(StatusCode::CREATED)["id"].clone(), again.header("idempotent-replayed")),
        (first["id"].clone(), "true")
    );
    let other = json!({"clientId": "c-2", "content": {"text": "hello"}});
    named(&bob, "k-1", &path, other).await.refused(422, "idempotency_mismatch");
    let messages = ada.get(&path).await.json()["messages"].take();
    let said = messages.as_array().unwrap().iter().filter(|message| message["content"]["type"] != "system");
    assert_eq!(said.count(), 1, "beside what the server says of who came");
}

#[tokio::test]
async fn secrets_are_told_again_and_kept_sealed() {
    let server = Server::start().await;
    let ada = server.enter("ada").await;
    let room = ada.create_room("call", "public").await;
    let mut secrets = Vec::new();
    for (path, secret, body) in
        [("invites", "code", json!({})), ("stream-keys", "secret", json!({"name": "Camera", "kind": "publish"}))]
    {
        let path = format!("/rooms/{room}/{path}");
        let first = named(&ada, path.as_str(), &path, body.clone()).await.expect(StatusCode::CREATED);
        let again = named(&ada, path.as_str(), &path, body).await;
        assert_eq!(again.expect(StatusCode::CREATED), first);
        secrets.push(first[secret].as_str().unwrap().to_owned());
    }
    let folder = server.stop().await;
    let mut read = 0;
    for entry in std::fs::read_dir(folder.path().join("data")).unwrap() {
        let path = entry.unwrap().path();
        let Ok(bytes) = std::fs::read(&path) else { continue };
        read += bytes.len();
        for secret in &secrets {
            let found = bytes.windows(secret.len()).any(|part| part == secret.as_bytes());
            assert!(!found, "{} has a secret", path.display());
        }
    }
    assert!(read > 10_000, "the database is there");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_many_who_ask_at_once_one_makes_it() {
    let server = Server::start().await;
    let ada = server.enter("ada").await;
    let asking = (0..8).map(async |_| {
        until("the room is made", async || {
            let said = named(&ada, "k-1", "/rooms", friday()).await;
            if said.status == StatusCode::CREATED {
                return Some(said.json()["id"].clone());
            }
            let problem = said.refused(409, "idempotency_in_progress");
            assert_eq!((&problem["retryAfterMs"], said.header("retry-after")), (&json!(1_000), "1"));
            None
        })
        .await
    });
    let mut rooms = futures_util::future::join_all(asking).await;
    rooms.dedup();
    assert_eq!(rooms.len(), 1, "{rooms:?}");
    assert_eq!(ada.get("/rooms/mine").await.json()["items"].as_array().unwrap().len(), 1);
}

#[tokio::test]
async fn an_upload_is_made_once() {
    let server = Server::start().await;
    let ada = server.enter("ada").await;
    let create = async |length: &str| {
        let request = ada.request(Method::POST, "/uploads").header("tus-resumable", "1.0.0");
        answer(request.header("idempotency-key", "k-1").header("upload-length", length)).await
    };
    let first = create("11").await;
    first.expect(StatusCode::CREATED);
    let again = create("11").await;
    again.expect(StatusCode::CREATED);
    assert!(!first.header("location").is_empty());
    assert_eq!(again.header("location"), first.header("location"));
    create("12").await.refused(422, "idempotency_mismatch");
}
