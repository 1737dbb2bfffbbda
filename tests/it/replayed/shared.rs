//! What the server tells and what that comes to, in a file for the client in TypeScript: its tests make the same of the same.

use std::collections::HashMap;
use std::fs;
use std::path::Path;

use parlor::domain::{MessageId, Time};
use parlor::proto::ServerFrame;
use proptest::prelude::*;
use proptest::strategy::ValueTree as _;
use proptest::test_runner::TestRunner;
use serde_json::{Value, json};

use super::{BEGINNING_MS, House, Step, View, step};
use crate::store::{Database, recover};

/// Where it is, from the root.
const FILE: &str = "web/sdk/test/replayed.json";
/// Rooms in it.
const ROOMS: usize = 3;
/// What happens in each of them.
const STEPS: usize = 60;
/// After so many steps somebody comes in.
const COMES_IN: usize = 15;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_file_for_the_page_says_what_the_server_tells() {
    let mut runner = TestRunner::deterministic();
    let mut rooms = Vec::new();
    for _ in 0..ROOMS {
        let steps = prop::collection::vec(step(), STEPS).new_tree(&mut runner).unwrap().current();
        rooms.push(told(steps).await);
    }
    let wanted = format!("[\n{}\n]\n", rooms.join(",\n"));
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(FILE);
    if std::env::var_os("UPDATE_REPLAYED").is_some() {
        fs::write(&path, &wanted).unwrap();
    }
    let found = fs::read_to_string(&path).unwrap_or_default();
    assert!(
        found == wanted,
        "{FILE} is of another server: `UPDATE_REPLAYED=1 cargo test --test it replayed` writes it"
    );
}

/// All that a room tells, one frame a line; and what those get who come in meanwhile, at once and when they come back at the end.
async fn told(steps: Vec<Step>) -> String {
    let database = Database::sqlite();
    let mut house = House::stored(&database).await;
    let (mut view, mut clock) = (View::default(), Clock::default());
    let (mut frames, mut visits) = (Vec::new(), Vec::new());
    for (number, step) in steps.into_iter().enumerate() {
        if number % COMES_IN == 0 {
            let mut found = recover(&house.store, house.room, None).await;
            let mut messages: Vec<_> = found.messages.drain(..).map(|message| json!(message)).collect();
            messages.iter_mut().for_each(|message| clock.date(message));
            visits.push((found.position, messages));
        }
        let known: Vec<MessageId> = view.messages.iter().map(|it| it.id).collect();
        house.play(vec![step], &known).await;
        for event in house.told_since(&view).await {
            let mut frame = json!(ServerFrame::from(&event));
            clock.follow(&mut frame, frames.len());
            frames.push(frame);
            view.apply(event);
        }
    }
    let mut last: Vec<_> = view.messages.iter().map(|message| json!(message)).collect();
    last.iter_mut().for_each(|message| clock.date(message));
    let mut came = Vec::new();
    for (position, messages) in visits {
        let found = recover(&house.store, house.room, Some(position)).await;
        assert_eq!(found.recovered, Some(true));
        let mut missed: Vec<_> = found.missed.iter().map(|event| json!(ServerFrame::from(event))).collect();
        for (frame, live) in missed.iter_mut().zip(&frames[usize::try_from(position.offset).unwrap()..]) {
            clock.date_again(frame, live);
        }
        came.push(format!("{{\"messages\": {},\n\"missed\": {}}}", lines(&messages), lines(&missed)));
    }
    let text = format!(
        "{{\"frames\": {},\n\"visits\": [{}],\n\"messages\": {}}}",
        lines(&frames),
        came.join(",\n"),
        lines(&last)
    );
    house.unnamed(text).await
}

fn lines(values: &[Value]) -> String {
    let lines: Vec<_> = values.iter().map(Value::to_string).collect();
    format!("[\n{}\n]", lines.join(",\n"))
}

impl House {
    /// The ids that are others each time, by others that are not.
    async fn unnamed(&self, mut text: String) -> String {
        let epoch = recover(&self.store, self.room, None).await.position.epoch;
        let ids = self.people.iter().map(|person| person.id.to_string());
        for (number, id) in ids.chain([self.room.to_string(), epoch.to_string()]).enumerate() {
            text = text.replace(&id, &format!("00000000-0000-4000-8000-{number:012}"));
        }
        text
    }
}

/// What the server takes from its clock, by the frame that tells it: so it is the same each time.
#[derive(Default)]
struct Clock {
    edited: HashMap<String, Value>,
    pinned: HashMap<String, Value>,
}

impl Clock {
    fn follow(&mut self, frame: &mut Value, number: usize) {
        let now = json!(Time::from_ms(BEGINNING_MS + 3_600_000 + i64::try_from(number).unwrap()));
        let kind = frame["type"].as_str().unwrap().to_owned();
        let data = &mut frame["data"];
        match kind.as_str() {
            "message_edited" => {
                self.edited.insert(text(&data["message"]["id"]), now);
            }
            "message_pinned" if !data["pinnedAt"].is_null() => {
                data["pinnedAt"] = now.clone();
                self.pinned.insert(text(&data["messageId"]), now);
            }
            _ => {}
        }
        if data["message"].is_object() {
            self.date(&mut data["message"]);
        }
    }

    /// Dates a message as it is now.
    fn date(&self, message: &mut Value) {
        let id = text(&message["id"]);
        for (field, times) in [("editedAt", &self.edited), ("pinnedAt", &self.pinned)] {
            if message.get(field).is_some_and(Value::is_string) {
                message[field] = times[&id].clone();
            }
        }
    }

    /// Dates a frame that is told again. What is told of a deleted message is as it was at its end.
    fn date_again(&self, frame: &mut Value, live: &Value) {
        if frame["data"]["pinnedAt"].is_string() {
            frame["data"]["pinnedAt"] = live["data"]["pinnedAt"].clone();
        }
        let message = &mut frame["data"]["message"];
        if message["deleted"] == true {
            return self.date(message);
        }
        for field in ["editedAt", "pinnedAt"] {
            if message.get(field).is_some_and(Value::is_string) {
                message[field] = live["data"]["message"][field].clone();
            }
        }
    }
}

fn text(value: &Value) -> String {
    value.as_str().unwrap().to_owned()
}
