//! Those who write and read while a site fails: they come back, ask again, and keep what they were told.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use futures_util::{SinkExt as _, StreamExt as _};
use serde_json::{Value, json};
use tokio::net::TcpStream;
use tokio::time::{sleep, timeout};
use tokio_tungstenite::{MaybeTlsStream, WebSocketStream, tungstenite::Message};

use crate::harness::Person;

/// How long an answer may take before a client tries again.
const ANSWER_WITHIN: Duration = Duration::from_secs(4);

/// xorshift64*: the same seed, the same history of failures.
pub(super) struct Dice(pub(super) u64);

impl Dice {
    pub(super) fn below(&mut self, sides: u64) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        (self.0.wrapping_mul(0x2545_F491_4F6C_DD1D) >> 33) % sides
    }
}

/// What clients know of where to go, and whether it is over.
pub(super) struct Site {
    pub(super) bases: Mutex<[String; 2]>,
    pub(super) over: AtomicBool,
}

impl Site {
    pub(super) fn base(&self, number: u64) -> String {
        self.bases.lock().unwrap()[usize::from(number % 2 == 1)].clone()
    }

    pub(super) fn is_over(&self) -> bool {
        self.over.load(Ordering::Relaxed)
    }
}

/// A socket that may break at any moment.
pub(super) struct Wire(WebSocketStream<MaybeTlsStream<TcpStream>>);

impl Wire {
    /// Connects, logs in, and comes into a room; the state of the room.
    pub(super) async fn open(
        base: &str,
        token: &str,
        room: &str,
        since: Option<&(String, u64)>,
    ) -> Option<(Self, Value)> {
        let url = format!("{}/ws", base.replacen("http", "ws", 1));
        let (stream, _) = timeout(ANSWER_WITHIN, tokio_tungstenite::connect_async(url)).await.ok()?.ok()?;
        let mut wire = Self(stream);
        wire.send(&json!({"type": "authenticate", "id": "in", "data": {"token": token}})).await?;
        wire.answer("in").await.filter(|frame| frame["type"] == "authenticated")?;
        let mut join = json!({"roomId": room});
        if let Some((epoch, offset)) = since {
            (join["epoch"], join["offset"]) = (json!(epoch), json!(offset));
        }
        let state = wire.join(join).await?;
        Some((wire, state))
    }

    /// Comes into all of these rooms.
    pub(super) async fn open_all(base: &str, token: &str, rooms: &[String]) -> Option<Self> {
        let (mut wire, _) = Self::open(base, token, &rooms[0], None).await?;
        for room in &rooms[1..] {
            wire.join(json!({"roomId": room})).await?;
        }
        Some(wire)
    }

    pub(super) async fn join(&mut self, join: Value) -> Option<Value> {
        self.send(&json!({"type": "join_room", "id": "room", "data": join})).await?;
        self.answer("room").await.filter(|frame| frame["type"] == "room_state")
    }

    pub(super) async fn send(&mut self, frame: &Value) -> Option<()> {
        timeout(ANSWER_WITHIN, self.0.send(Message::text(frame.to_string()))).await.ok()?.ok()
    }

    pub(super) async fn next(&mut self) -> Option<Value> {
        loop {
            match self.0.next().await? {
                Ok(Message::Text(text)) => return serde_json::from_str(&text).ok(),
                Ok(Message::Ping(_) | Message::Pong(_)) => {}
                _ => return None,
            }
        }
    }

    pub(super) async fn answer(&mut self, id: &str) -> Option<Value> {
        let look = async {
            loop {
                let frame = self.next().await?;
                if frame["id"] == id {
                    return Some(frame);
                }
            }
        };
        timeout(ANSWER_WITHIN, look).await.ok()?
    }
}

/// A message that was acknowledged, and what was done about it.
pub(super) struct Said {
    pub(super) room: usize,
    pub(super) client_id: String,
    /// What it says at last.
    pub(super) text: String,
    pub(super) reacted: bool,
    pub(super) deleted: bool,
}

/// Somebody who writes: on one socket, until it breaks.
pub(super) struct Writer {
    site: Arc<Site>,
    person: Person,
    rooms: Vec<String>,
    wire: Option<Wire>,
    at: u64,
}

impl Writer {
    /// Asks for something again and again until it is done: also after the last failure. The answer.
    pub(super) async fn bring_to_an_end(&mut self, frame: &Value) -> Value {
        let id = frame["id"].as_str().unwrap();
        loop {
            let Some(live) = &mut self.wire else {
                self.at += 1;
                self.wire = Wire::open_all(&self.site.base(self.at), &self.person.token, &self.rooms).await;
                if self.wire.is_none() {
                    sleep(Duration::from_millis(100)).await;
                }
                continue;
            };
            let answer = if live.send(frame).await.is_some() { live.answer(id).await } else { None };
            match answer {
                Some(answer) if answer["type"] != "error" => return answer,
                Some(answer) => {
                    let code = answer["data"]["code"].as_str().unwrap_or_default();
                    assert!(matches!(code, "internal" | "not_in_room" | "unavailable"), "{answer}");
                    self.wire = None;
                }
                None => self.wire = None,
            }
        }
    }
}

/// Writes numbered messages, changes some of them, reacts to some, takes some back; what was acknowledged.
pub(super) async fn write(site: Arc<Site>, person: Person, number: u64, rooms: Vec<String>, seed: u64) -> Vec<Said> {
    let (mut acknowledged, mut dice) = (Vec::new(), Dice(seed));
    let mut writer = Writer { site, person, rooms, wire: None, at: number };
    while !writer.site.is_over() {
        let room = acknowledged.len() % writer.rooms.len();
        let id = format!("w{number}-{}", acknowledged.len());
        let place = writer.rooms[room].clone();
        let data = json!({"roomId": place, "clientId": id, "content": {"text": id}});
        let sent = writer.bring_to_an_end(&json!({"type": "send_message", "id": id, "data": data})).await;
        assert_eq!(sent["type"], "new_message", "{sent}");
        let message = sent["data"]["message"]["id"].clone();
        let mut said = Said { room, client_id: id.clone(), text: id.clone(), reacted: false, deleted: false };
        let about = |more: Value| {
            let mut data = json!({"roomId": place, "messageId": message});
            data.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
            data
        };
        if dice.below(3) == 0 {
            said.text = format!("{id}, changed");
            let data = about(json!({"content": {"text": said.text}}));
            writer.bring_to_an_end(&json!({"type": "edit_message", "id": format!("{id}-e"), "data": data})).await;
        }
        if dice.below(3) == 0 {
            let data = about(json!({"emoji": "👍", "on": true}));
            writer.bring_to_an_end(&json!({"type": "react", "id": format!("{id}-r"), "data": data})).await;
            said.reacted = true;
        }
        if dice.below(8) == 0 {
            let data = about(json!({}));
            writer.bring_to_an_end(&json!({"type": "delete_message", "id": format!("{id}-d"), "data": data})).await;
            said.deleted = true;
        }
        acknowledged.push(said);
        sleep(Duration::from_millis(10)).await;
    }
    acknowledged
}

/// What an event is about, in the same words whenever it is told: a message that was deleted since says nothing any more.
pub(super) fn about(frame: &Value) -> String {
    let data = &frame["data"];
    let message = if data["message"].is_null() { &data["messageId"] } else { &data["message"]["id"] };
    let client_id = data["message"]["clientId"].as_str().unwrap_or_default();
    let kind = frame["type"].as_str().unwrap_or_default();
    format!(
        "{client_id} {kind} {} {}",
        message.as_str().unwrap_or_default(),
        data["emoji"].as_str().unwrap_or_default()
    )
}

/// What one reader has seen, by offset, and how often it was told that it missed something.
#[derive(Default)]
pub(super) struct Seen {
    pub(super) events: BTreeMap<u64, String>,
    pub(super) gaps: usize,
}

/// Reads until it has come to `until`; it comes back by its position each time.
pub(super) async fn read(
    site: Arc<Site>,
    person: Person,
    number: u64,
    room: String,
    until: Arc<Mutex<Option<u64>>>,
) -> Seen {
    let (mut seen, mut known, mut at): (Seen, Option<(String, u64)>, u64) = (Seen::default(), None, number);
    loop {
        at += 1;
        let opened = Wire::open(&site.base(at), &person.token, &room, known.as_ref()).await;
        let Some((mut wire, state)) = opened else {
            sleep(Duration::from_millis(100)).await;
            continue;
        };
        let (epoch, offset) = (state["epoch"].as_str().unwrap().to_owned(), state["offset"].as_u64().unwrap());
        match (&known, state["data"]["recovered"].as_bool()) {
            (None, _) => {}
            (Some((before, last)), Some(true)) => {
                assert_eq!((before, *last), (&epoch, offset), "whoever recovers goes on where they were");
            }
            (Some(_), recovered) => {
                assert_eq!(recovered, Some(false), "whoever missed something is told so");
                seen.gaps += 1;
            }
        }
        let mut last = offset;
        known = Some((epoch.clone(), last));
        loop {
            if until.lock().unwrap().is_some_and(|end| last >= end) {
                return seen;
            }
            // A look at the end now and then.
            let Ok(next) = timeout(Duration::from_millis(500), wire.next()).await else {
                continue;
            };
            let Some(frame) = next else { break };
            let Some(offset) = frame["offset"].as_u64() else {
                continue;
            };
            assert_eq!(
                (frame["epoch"].as_str(), offset),
                (Some(epoch.as_str()), last + 1),
                "no gap, no way back: {frame}"
            );
            last = offset;
            known = Some((epoch.clone(), last));
            assert!(seen.events.insert(offset, about(&frame)).is_none(), "no place is told twice");
        }
    }
}
