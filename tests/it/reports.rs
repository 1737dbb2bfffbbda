//! Reporting people and messages.

use reqwest::StatusCode;
use serde_json::{Value, json};

use crate::harness::Server;
use crate::moderation::{Desk, act};

#[tokio::test]
async fn a_report_freezes_the_message_and_those_around_it() {
    let desk = Desk::open().await;
    let mut ids = Vec::new();
    for number in 0..15 {
        let by = if number % 2 == 0 { &desk.ada } else { &desk.bob };
        ids.push(desk.write(by, &format!("text {number}")).await);
    }
    let filed = desk.ada.post("/reports", desk.about_message(&ids[7], "harassment")).await.expect(StatusCode::CREATED);
    assert!(filed["reportId"].is_string());
    let message = format!("/rooms/{}/messages/{}", desk.room, ids[7]);
    desk.bob.ask(reqwest::Method::DELETE, &message, None).await;
    let (path, case) = desk.case().await;
    assert_eq!((&case["source"], &case["label"]), (&json!("report"), &json!("harassment")));
    assert_eq!((&case["subject"]["nickname"], &case["messageId"]), (&json!("bob"), &json!(ids[7])));
    let details = desk.mo.get(&path).await.expect(StatusCode::OK);
    assert_eq!(details["reports"][0]["reporter"]["nickname"], "ada");
    let evidence = details["evidence"][0]["evidenceId"].as_str().unwrap();
    let frozen = desk.mo.get(&format!("/moderation/evidence/{evidence}")).await.expect(StatusCode::OK);
    let texts: Vec<_> =
        frozen["messages"].as_array().unwrap().iter().map(|it| it["content"]["text"].as_str().unwrap()).collect();
    let expected: Vec<_> = (2..=12).map(|number| format!("text {number}")).collect();
    assert_eq!(texts, expected, "taken back or not");
    assert_eq!(frozen["reportedId"], ids[7].as_str());
}

#[tokio::test]
async fn one_reports_whom_and_what_one_can_see() {
    let desk = Desk::open().await;
    let message = desk.write(&desk.bob, "hello").await;
    let cyd = desk.server.enter("cyd").await;
    cyd.post("/reports", desk.about_message(&message, "spam")).await.refused(404, "not_found");
    cyd.post("/reports", desk.about(&desk.bob, "spam")).await.refused(404, "not_found");
    let anywhere = |person: &str| json!({"targetType": "user", "targetId": person, "reason": "spam"});
    cyd.post("/reports", anywhere(&desk.bob.id)).await.refused(404, "not_found");
    desk.bob.post("/reports", anywhere(&cyd.id)).await.refused(404, "not_found");
    desk.bob.post("/reports", anywhere(&desk.ada.id)).await.expect(StatusCode::CREATED);
    let (_, case) = desk.case().await;
    assert_eq!(case["roomId"], desk.room.as_str(), "the room that they share");

    let bad = |field: &'static str, body: Value| (field, body);
    let long = "x".repeat(501);
    let mut no_room = desk.about_message(&message, "spam");
    no_room["roomId"] = Value::Null;
    let mut wordy = desk.about(&desk.bob, "other");
    wordy["description"] = json!(long);
    for (field, body) in [
        bad("targetId", desk.about(&desk.ada, "spam")),
        bad("targetId", desk.about_message(&desk.write(&desk.ada, "mine").await, "spam")),
        bad("roomId", no_room),
        bad("description", wordy),
    ] {
        let problem = desk.ada.post("/reports", body).await.refused(400, "bad_request");
        assert_eq!(problem["extra"]["field"], field);
    }
    desk.ada.post("/reports", desk.about(&desk.bob, "boring")).await.refused(400, "bad_request");
    desk.ada.post("/reports", desk.about_message(&desk.bob.id, "spam")).await.refused(404, "not_found");
    desk.server.anonymous().post("/reports", desk.about(&desk.bob, "spam")).await.refused(401, "unauthenticated");
}

#[tokio::test]
async fn many_reports_are_one_case_that_presses_more() {
    let desk = Desk::open().await;
    let report = desk.about(&desk.bob, "harassment");
    let first = desk.ada.post("/reports", report.clone()).await.expect(StatusCode::CREATED);
    let again = desk.ada.post("/reports", report.clone()).await.expect(StatusCode::CREATED);
    assert_eq!(first["reportId"], again["reportId"], "answered the same way");
    let (path, case) = desk.case().await;
    assert_eq!((&case["reportCount"], &case["priority"]), (&json!(1), &json!("medium")));
    for name in ["cyd", "dot"] {
        let person = desk.server.enter(name).await;
        person.post(&format!("/rooms/{}/join", desk.room), json!({})).await.expect(StatusCode::OK);
        person.post("/reports", report.clone()).await.expect(StatusCode::CREATED);
    }
    let (same, case) = desk.case().await;
    assert_eq!((&same, &case["reportCount"], &case["priority"]), (&path, &json!(3), &json!("high")));
    desk.mo.post(&format!("{path}/actions"), act("dismiss")).await.expect(StatusCode::OK);
    desk.ada.post("/reports", report).await.expect(StatusCode::CREATED);
    let (other, case) = desk.case().await;
    assert!(other != path && case["reportCount"] == 1, "what is decided is over");
    let history = desk.mo.get(&other).await.expect(StatusCode::OK)["history"].clone();
    assert_eq!(history["cases"][0]["status"], "dismissed");
    assert_eq!(history["reportsAgainst"], 4);
}

#[tokio::test]
async fn who_has_left_is_reported_all_the_same() {
    let desk = Desk::open().await;
    desk.write(&desk.bob, "something bad").await;
    desk.bob.post(&format!("/rooms/{}/leave", desk.room), json!({})).await.expect(StatusCode::NO_CONTENT);
    desk.ada.post("/reports", desk.about(&desk.bob, "harassment")).await.expect(StatusCode::CREATED);
    let (path, _) = desk.case().await;
    let details = desk.mo.get(&path).await.expect(StatusCode::OK);
    assert_eq!(details["evidence"][0]["kind"], "messages", "no picture, so what they wrote last");
    desk.write(&desk.ada, "more").await;
    desk.ada.post("/reports", desk.about(&desk.bob, "harassment")).await.expect(StatusCode::CREATED);
    let details = desk.mo.get(&path).await.expect(StatusCode::OK);
    assert_eq!(details["evidence"].as_array().map(Vec::len), Some(1), "one person's word is frozen once");
}

#[tokio::test]
async fn what_is_critical_is_never_throttled() {
    let server = Server::start_with(|config| {
        config.limit_exempt.clear();
        config.limit.register.burst = 100;
        // Everything else that the test does is not what it is about.
        config.limit.request.burst = 1000;
        config.limit.frame.burst = 1000;
    })
    .await;
    let desk = Desk::of(server).await;
    let spam = desk.about(&desk.bob, "spam");
    for _ in 0..5 {
        desk.ada.post("/reports", spam.clone()).await.expect(StatusCode::CREATED);
    }
    let problem = desk.ada.post("/reports", spam).await.refused(429, "rate_limited");
    assert_eq!((&problem["extra"]["limit"], problem["retryAfterMs"].is_u64()), (&json!("report"), true));
    for reason in ["csam", "underage", "threats"] {
        for _ in 0..3 {
            desk.ada.post("/reports", desk.about(&desk.bob, reason)).await.expect(StatusCode::CREATED);
        }
    }
    let (_, case) = desk.case().await;
    assert_eq!((&case["priority"], &case["reportCount"]), (&json!("critical"), &json!(1)));
}
