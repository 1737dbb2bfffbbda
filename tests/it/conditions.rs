//! Who changes only what they saw: `If-Match` (RFC 9110, section 13.1.1), with one ETag, with several, with a weak one, with `*`.

use reqwest::{Method, StatusCode};
use serde_json::{Value, json};

use crate::harness::{Answer, Person, Server, answer};

/// Changes something with that `If-Match`, if one is named.
async fn change(person: &Person, method: Method, path: &str, tag: Option<&str>, body: Value) -> Answer {
    let request = person.request(method, path).json(&body);
    answer(match tag {
        Some(tag) => request.header("if-match", tag),
        None => request,
    })
    .await
}

/// The ETag of something.
async fn tag_of(person: &Person, path: &str) -> String {
    person.get(path).await.header("etag").to_owned()
}

/// What holds for whatever is changed so: `body` makes a body that changes it, of a number.
async fn changes_what_was_seen(person: &Person, method: Method, path: &str, body: impl Fn(u32) -> Value) {
    let change = async |tag: Option<&str>, number| change(person, method.clone(), path, tag, body(number)).await;
    let first = tag_of(person, path).await;
    assert!(first.starts_with('"') && first.ends_with('"'), "{path}: {first}");
    let changed = change(Some(&first), 1).await;
    assert!(changed.status.is_success(), "{path}: {}", changed.text);
    let second = tag_of(person, path).await;
    assert_ne!(first, second, "{path}");
    assert_eq!(changed.header("etag"), second, "{path}: the answer has the ETag of now");
    let weak = format!("W/{second}");
    let several = format!("\"1234\", {first}");
    for stale in [&first[..], &weak, &several, "1234", "\"", "nonsense", ""] {
        let refused = change(Some(stale), 2).await;
        refused.refused(412, "precondition_failed");
        assert_eq!(refused.header("etag"), second, "{path}, {stale}: what it is now");
    }
    assert_eq!(tag_of(person, path).await, second, "{path}: nothing was changed");
    let both = format!("{first}, {second}");
    assert!(change(Some(&both), 3).await.status.is_success(), "{path}: one of them is it");
    assert_ne!(tag_of(person, path).await, second);
    assert!(change(Some("*"), 4).await.status.is_success(), "{path}: whatever it is");
}

#[tokio::test]
async fn messages_groups_and_what_one_is_seen_as_change_for_who_saw_them() {
    let server = Server::start().await;
    let (ada, ben) = (server.enter("ada").await, server.enter("ben").await);
    let room = ada.create_room("group", "public").await;
    let message = json!({"clientId": "c-1", "content": {"text": "hello"}});
    let written = ada.post(&format!("/rooms/{room}/messages"), message).await.expect(StatusCode::CREATED);
    let message = format!("/rooms/{room}/messages/{}", written["id"].as_str().unwrap());
    let text = |number| json!({"content": {"text": format!("text {number}")}});
    changes_what_was_seen(&ada, Method::PATCH, &message, text).await;

    ben.post(&format!("/rooms/{room}/join"), json!({})).await.expect(StatusCode::OK);
    let group = json!({"name": "Three", "userIds": [ben.id]});
    let made = ada.post("/dms/groups", group).await.expect(StatusCode::CREATED);
    let group = format!("/dms/{}", made["room"]["id"].as_str().unwrap());
    changes_what_was_seen(&ada, Method::PATCH, &group, |number| json!({"name": format!("name {number}")})).await;

    let presence = format!("/users/{}/presence", ada.id);
    let text = |number| json!({"status": "away", "text": format!("text {number}")});
    changes_what_was_seen(&ada, Method::PUT, &presence, text).await;
    assert_eq!(ben.get(&presence).await.header("etag"), "", "what others chose is theirs");

    // Who names nothing changes whatever it is.
    for (method, path, body) in [
        (Method::PATCH, &message, json!({"content": {"text": "last"}})),
        (Method::PATCH, &group, json!({"name": "last"})),
        (Method::PUT, &presence, json!({"status": "online"})),
    ] {
        assert!(change(&ada, method, path, None, body).await.status.is_success(), "{path}");
    }

    let room = format!("/rooms/{room}");
    changes_what_was_seen(&ada, Method::PATCH, &room, |number| json!({"name": format!("name {number}")})).await;
    change(&ada, Method::PATCH, &room, None, json!({"name": "last"})).await.refused(428, "precondition_required");
}
