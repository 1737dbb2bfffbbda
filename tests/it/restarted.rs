//! PostgreSQL goes away in the middle of what people write, and comes back: nothing acknowledged is lost or doubled, and nobody has to do
//! anything about it.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use reqwest::StatusCode;
use serde_json::json;

use crate::harness::{Person, Server, until};
use crate::postgres::own;

const WRITERS: usize = 4;
/// Messages of each writer between two restarts.
const BETWEEN: usize = 12;
const RESTARTS: usize = 2;

/// Writes so many messages, each again and again under its name until it is acknowledged; the places that they were given.
async fn write(person: Person, room: String, count: usize, done: Arc<AtomicUsize>) -> Vec<(String, u64)> {
    let (mut socket, _) = person.connect_to(&room).await;
    let mut acknowledged = Vec::new();
    for number in 0..count {
        let id = format!("{}-{number}", person.nickname);
        loop {
            let reply = socket.say(&room, &id, &id).await;
            if reply["type"] == "new_message" {
                // What had been stored by a try whose answer was lost comes without a place.
                acknowledged.push((id, reply["offset"].as_u64().unwrap_or(0)));
                break;
            }
            assert_eq!(reply["data"]["code"], "internal", "{reply}");
        }
        done.fetch_add(1, Ordering::Relaxed);
    }
    acknowledged
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_acknowledged_is_lost_or_doubled_when_the_database_comes_back() {
    let mut postgres = own().await;
    let url = postgres.url();
    let server = Server::start_with(|config| config.database_url = Some(url)).await;
    let host = server.enter("host").await;
    let room = host.create_room("call", "public").await;
    let (mut reader, state) = host.connect_to(&room).await;
    let epoch = state["epoch"].clone();
    let (done, count) = (Arc::new(AtomicUsize::new(0)), BETWEEN * (RESTARTS + 1));
    let mut writers = Vec::new();
    for number in 0..WRITERS {
        let person = server.enter(&format!("writer-{number}")).await;
        writers.push(tokio::spawn(write(person, room.clone(), count, done.clone())));
    }
    for restart in 1..=RESTARTS {
        let wanted = restart * BETWEEN * WRITERS / 2;
        until("they write", async || (done.load(Ordering::Relaxed) >= wanted).then_some(())).await;
        postgres = postgres.restart().await;
    }
    let mut acknowledged = BTreeMap::new();
    for writer in writers {
        acknowledged.extend(writer.await.unwrap());
    }
    assert_eq!(acknowledged.len(), WRITERS * count);

    // Whoever was there all the time sees one sequence without a gap; should one be there, they are told what they missed.
    let (mut sequence, mut last) = (Vec::new(), 0);
    while sequence.len() < acknowledged.len() {
        let frame = reader.next_of("new_message").await;
        let offset = frame["offset"].as_u64().unwrap();
        if offset == last + 1 {
            last = offset;
            sequence.push(frame["data"]["message"]["clientId"].as_str().unwrap().to_owned());
        } else if offset > last {
            let since = json!({"roomId": room, "epoch": epoch, "offset": last});
            let state = reader.ask("join_room", since).await;
            assert_eq!(state["data"]["recovered"], true, "{state}");
        }
    }
    for (place, id) in sequence.iter().enumerate() {
        let acknowledged = acknowledged.get(id).expect("what is told was acknowledged");
        assert!(*acknowledged == 0 || *acknowledged == place as u64 + 1, "{id} is at {place}");
    }
    // And so it is stored: each once.
    let (mut stored, mut before) = (Vec::new(), String::new());
    loop {
        let page = host.get(&format!("/rooms/{room}/messages?limit=100{before}")).await.expect(StatusCode::OK);
        let messages = page["messages"].as_array().unwrap();
        let Some(oldest) = messages.last() else { break };
        before = format!("&before={}", oldest["id"].as_str().unwrap());
        stored.extend(messages.iter().map(|it| it["clientId"].as_str().unwrap().to_owned()));
    }
    stored.reverse();
    assert_eq!(stored, sequence);
}
