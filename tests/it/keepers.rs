//! Whose webhooks are: who may keep them, who reaches what, and that nobody's hold up those of others.

use parlor::domain::{
    DeliveryId, RoomId, Time, UserId, Visibility, WebhookId,
    webhook::{Delivery, DeliveryState, Webhook, WebhookEvent},
};
use reqwest::{Method, StatusCode};
use serde_json::json;

use crate::harness::{Server, until};
use crate::store::{Database, on_both_databases, person, room, send};
use crate::webhooks::{Receiver, hook, path_of, quick, say};

on_both_databases!(webhooks_take_turns, a_place_only_goes_on);

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_gives_the_room_away_is_told_no_more_of_it() {
    let server = Server::start_with(quick).await;
    let receiver = Receiver::start().await;
    let (ada, bea) = (server.enter("ada").await, server.enter("bea").await);
    let room = ada.create_room("group", "private").await;
    let made = hook(&ada, Some(&room), &receiver.url, &["message.sent"]).await;
    let path = path_of(&made);
    say(&ada, &room, "1", "one").await;
    receiver.until_came(1).await;
    let invite = ada.post(&format!("/rooms/{room}/invites"), json!({})).await.expect(StatusCode::CREATED);
    let accept = format!("/invites/{}/accept", invite["code"].as_str().unwrap());
    bea.post(&accept, json!({})).await.expect(StatusCode::OK);
    let mut device = bea.connect().await;
    let given = json!({"userId": bea.id});
    ada.ask(Method::PUT, &format!("/rooms/{room}/owner"), Some(given)).await.expect(StatusCode::NO_CONTENT);
    say(&bea, &room, "2", "two").await;
    let told = device.next_of("webhook_disabled").await;
    assert_eq!(told["data"], json!({"webhookId": made["webhookId"], "reason": "barred"}), "to whose room it is");
    let seen = bea.get(&path).await.expect(StatusCode::OK);
    assert_eq!((&seen["enabled"], &seen["disabledReason"]), (&json!(false), &json!("barred")));
    ada.get(&path).await.refused(404, "not_found");
    ada.ask(Method::PATCH, &path, Some(json!({"enabled": true}))).await.refused(404, "not_found");
    // Whoever switches it on again answers for it.
    let on = bea.ask(Method::PATCH, &path, Some(json!({"enabled": true}))).await.expect(StatusCode::OK);
    assert_eq!(on["createdBy"], bea.id.as_str());
    until("the rest comes", async || (receiver.texts().last()? == "two").then_some(())).await;
    // What the room itself says goes out as well; nothing is missing, and nothing comes twice.
    assert_eq!(receiver.texts(), ["one", "bea has joined.", "ada has given the room to bea.", "two"]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_is_banned_from_the_site_is_told_no_more() {
    let server = Server::start_with(quick).await;
    let receiver = Receiver::start().await;
    let (chief, ada, bea) = (server.administrator("chief").await, server.enter("ada").await, server.enter("bea").await);
    let room = ada.create_room("group", "public").await;
    bea.post(&format!("/rooms/{room}/join"), json!({})).await.expect(StatusCode::OK);
    let made = hook(&ada, Some(&room), &receiver.url, &["message.sent"]).await;
    server.ban(&chief, &ada.id, None).await.unwrap();
    say(&bea, &room, "1", "one").await;
    until("it is switched off", async || {
        let seen = chief.get(&path_of(&made)).await.expect(StatusCode::OK);
        (seen["disabledReason"] == "barred").then_some(())
    })
    .await;
    assert!(receiver.came().is_empty());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn ones_own_networks_are_the_administrators() {
    let server = Server::start_with(|config| {
        quick(config);
        config.webhooks.own_networks_for_all = false;
    })
    .await;
    let receiver = Receiver::start().await;
    let (chief, ada) = (server.administrator("chief").await, server.enter("ada").await);
    let room = ada.create_room("group", "public").await;
    let wanted = json!({"roomId": room, "url": receiver.url, "events": ["message.sent"]});
    let problem = ada.post("/webhooks", wanted).await.refused(400, "bad_request");
    assert_eq!(problem["extra"]["field"], "url");
    hook(&chief, Some(&room), &receiver.url, &["message.sent"]).await;
    say(&ada, &room, "1", "one").await;
    receiver.until_came(1).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_nobody_wants_holds_up_nothing() {
    let server = Server::start_with(quick).await;
    let receiver = Receiver::start().await;
    let ada = server.enter("ada").await;
    let room = ada.create_room("group", "public").await;
    let made = hook(&ada, Some(&room), &receiver.url, &["message.deleted"]).await;
    // More than are read at once.
    let mut last = json!(null);
    for number in 0..40 {
        last = say(&ada, &room, &number.to_string(), "not wanted").await;
    }
    receiver.answer(&[500]);
    let path = format!("/rooms/{room}/messages/{}", last["id"].as_str().unwrap());
    ada.ask(Method::DELETE, &path, None).await.expect(StatusCode::NO_CONTENT);
    let came = receiver.until_came(2).await;
    assert_eq!(came[0].id, came[1].id);
    let both = json!({"events": ["message.deleted", "message.sent"]});
    ada.ask(Method::PATCH, &path_of(&made), Some(both)).await.expect(StatusCode::OK);
    say(&ada, &room, "end", "wanted").await;
    until("the next comes", async || (receiver.texts().last()? == "wanted").then_some(())).await;
    assert_eq!(receiver.came().len(), 3, "what was passed over stays so");
}

fn webhook(room: Option<RoomId>, maker: UserId) -> Webhook {
    Webhook {
        id: WebhookId::new(),
        room,
        created_by: maker,
        url: "https://example.org/".to_owned(),
        events: vec![WebhookEvent::MessageSent],
        created_at: Time::now(),
        failing_since: None,
        disabled: None,
        revision: 1,
    }
}

async fn webhooks_take_turns(database: Database) {
    let (store, _) = database.open().await;
    let ada = person(&store, "ada").await;
    let mut rooms = Vec::new();
    for _ in 0..6 {
        rooms.push(room(&store, &ada, Visibility::Public).await);
    }
    let (all, one, ill) = (webhook(None, ada.id), webhook(Some(rooms[5]), ada.id), webhook(Some(rooms[4]), ada.id));
    for it in [&all, &one, &ill] {
        assert!(store.add_webhook(it, b"sealed").await.unwrap());
    }
    for room in &rooms {
        send(&store, *room, &ada, "1", "one").await;
    }
    let now = Time::now();
    let due = store.due_webhooks(now, 100).await.unwrap();
    assert_eq!(due.len(), 8);
    assert!(due.iter().all(|due| due.maker == ada.id && !due.failing));
    // However many rooms one of them has, each other one is among the first.
    let first: std::collections::HashSet<_> = due[..3].iter().map(|due| due.webhook).collect();
    assert_eq!(first, std::collections::HashSet::from([all.id, one.id, ill.id]));
    // One whose receiver fails, and whose next try is due already, comes behind those that are well.
    let its = *due.iter().find(|due| due.webhook == ill.id).unwrap();
    store.fail_webhook(&its, now, now, now).await.unwrap();
    let due = store.due_webhooks(now, 100).await.unwrap();
    let last = due.last().unwrap();
    assert_eq!((due.len(), last.webhook, last.failing, last.attempts), (8, ill.id, true, 1));
    assert_eq!(store.due_webhooks(now, 2).await.unwrap().len(), 2);
}

async fn a_place_only_goes_on(database: Database) {
    let (store, _) = database.open().await;
    let ada = person(&store, "ada").await;
    let all = webhook(None, ada.id);
    assert!(store.add_webhook(&all, b"sealed").await.unwrap());
    // A room that was made later: nothing is known of it yet.
    let fresh = room(&store, &ada, Visibility::Public).await;
    send(&store, fresh, &ada, "1", "one").await;
    let (_, second) = send(&store, fresh, &ada, "2", "two").await;
    let first = store.due_webhooks(Time::now(), 10).await.unwrap()[0];
    assert_eq!((first.room, first.offset), (fresh, 0));
    let now = Time::now();
    let dead = Delivery {
        id: DeliveryId::new(),
        room: fresh,
        offset: second.offset - 1,
        event: WebhookEvent::MessageSent,
        state: DeliveryState::Dead,
        attempts: 1,
        status: None,
        error: None,
        created_at: now,
        updated_at: now,
    };
    store.bury_delivery(&first, &dead).await.unwrap();
    let next = store.due_webhooks(now, 10).await.unwrap()[0];
    assert_eq!(next.offset, second.offset - 1, "what was given up is behind it, though it was never tried before");
    store.place_webhook(&next, second.offset, false).await.unwrap();
    store.place_webhook(&next, 1, false).await.unwrap();
    assert_eq!(store.due_webhooks(now, 10).await.unwrap(), []);
}
