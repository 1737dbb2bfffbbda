//! A history of two nodes under kills, pauses and partitions, and what has to hold of it, in the manner of Maelstrom's `kafka`
//! workload: nothing acknowledged is lost or doubled, offsets grow by one, everybody sees the same sequence, and whoever
//! missed something is told so.
//!
//! `PARLOR_HISTORY_SEED` repeats one history's order of events; `PARLOR_HISTORY_SECONDS` makes it longer.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use futures_util::{SinkExt as _, StreamExt as _};
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::net::TcpStream;
use tokio::time::{Instant, sleep, timeout};
use tokio_tungstenite::{MaybeTlsStream, WebSocketStream, tungstenite::Message};

use super::line::{End, Line, Way};
use crate::harness::{PATIENCE, Person};
use crate::postgres;
use crate::program::Program;
use crate::redis::Redis;

/// How long an answer may take before a client tries again.
const ANSWER_WITHIN: Duration = Duration::from_secs(4);
/// Those who write, and those who only read.
const WRITERS: usize = 4;
const READERS: usize = 3;

/// xorshift64*: the same seed, the same history of failures.
struct Dice(u64);

impl Dice {
    fn below(&mut self, sides: u64) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        (self.0.wrapping_mul(0x2545_F491_4F6C_DD1D) >> 33) % sides
    }
}

/// One of the two nodes, with the lines to what it rests on.
struct Node {
    program: Option<Program>,
    data: TempDir,
    database: Line,
    bus: Line,
    name: String,
}

impl Node {
    async fn new(url: &str, redis: &Redis) -> Self {
        let data = tempfile::tempdir().unwrap();
        std::fs::write(data.path().join("secret"), [7; 32]).unwrap();
        let permissions = std::os::unix::fs::PermissionsExt::from_mode(0o600);
        std::fs::set_permissions(data.path().join("secret"), permissions).unwrap();
        let database = Line::to(End::Socket(postgres::socket_of(url))).await;
        let bus = Line::to(End::Port(redis.port())).await;
        let name = url.trim_start_matches("postgres:///").split('?').next().unwrap().to_owned();
        let mut node = Self { program: None, data, database, bus, name };
        node.start().await;
        node
    }

    async fn start(&mut self) {
        let settings = [
            ("PARLOR_DATABASE_URL", format!("postgres://parlor@127.0.0.1:{}/{}", self.database.port, self.name)),
            ("PARLOR_REDIS_URL", format!("redis://127.0.0.1:{}", self.bus.port)),
            ("PARLOR_DATA_DIR", self.data.path().to_string_lossy().into_owned()),
            ("PARLOR_NODES__CHECK_MS", "1000".to_owned()),
            ("PARLOR_NODES__PRESENT_MS", "6000".to_owned()),
            ("PARLOR_NODES__LEASE_MS", "6000".to_owned()),
            ("PARLOR_SAMPLE_EVERY_MS", "0".to_owned()),
        ];
        let program = tokio::task::spawn_blocking(move || {
            let settings: Vec<_> = settings.iter().map(|(name, value)| (*name, value.as_str())).collect();
            Program::start(&settings)
        });
        self.program = Some(program.await.unwrap());
    }

    fn kill(&mut self) {
        if let Some(program) = self.program.take() {
            drop(program.kill());
        }
    }
}

/// What clients know of where to go, and whether it is over.
struct Site {
    bases: Mutex<[String; 2]>,
    over: AtomicBool,
}

impl Site {
    fn base(&self, number: u64) -> String {
        self.bases.lock().unwrap()[usize::from(number % 2 == 1)].clone()
    }

    fn is_over(&self) -> bool {
        self.over.load(Ordering::Relaxed)
    }
}

/// A socket that may break at any moment.
struct Wire(WebSocketStream<MaybeTlsStream<TcpStream>>);

impl Wire {
    /// Connects, logs in, and comes into a room; the state of the room.
    async fn open(base: &str, token: &str, room: &str, since: Option<&(String, u64)>) -> Option<(Self, Value)> {
        let url = format!("{}/ws", base.replacen("http", "ws", 1));
        let (stream, _) = timeout(ANSWER_WITHIN, tokio_tungstenite::connect_async(url)).await.ok()?.ok()?;
        let mut wire = Self(stream);
        wire.send(&json!({"type": "authenticate", "id": "in", "data": {"token": token}})).await?;
        wire.answer("in").await.filter(|frame| frame["type"] == "authenticated")?;
        let mut join = json!({"roomId": room});
        if let Some((epoch, offset)) = since {
            (join["epoch"], join["offset"]) = (json!(epoch), json!(offset));
        }
        wire.send(&json!({"type": "join_room", "id": "room", "data": join})).await?;
        let state = wire.answer("room").await.filter(|frame| frame["type"] == "room_state")?;
        Some((wire, state))
    }

    async fn send(&mut self, frame: &Value) -> Option<()> {
        timeout(ANSWER_WITHIN, self.0.send(Message::text(frame.to_string()))).await.ok()?.ok()
    }

    async fn next(&mut self) -> Option<Value> {
        loop {
            match self.0.next().await? {
                Ok(Message::Text(text)) => return serde_json::from_str(&text).ok(),
                Ok(Message::Ping(_) | Message::Pong(_)) => {}
                _ => return None,
            }
        }
    }

    async fn answer(&mut self, id: &str) -> Option<Value> {
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

/// Writes numbered messages, each again and again until it is acknowledged; what was.
async fn write(site: Arc<Site>, person: Person, number: u64, room: String) -> Vec<String> {
    let (mut acknowledged, mut wire, mut at) = (Vec::new(), None, number);
    while !site.is_over() {
        let id = format!("w{number}-{}", acknowledged.len());
        let data = json!({"roomId": room, "clientId": id, "content": {"text": id}});
        let frame = json!({"type": "send_message", "id": id, "data": data});
        // What has been asked for is brought to an end, also after the last failure.
        loop {
            let Some(live) = &mut wire else {
                at += 1;
                wire = Wire::open(&site.base(at), &person.token, &room, None).await.map(|(wire, _)| wire);
                if wire.is_none() {
                    sleep(Duration::from_millis(100)).await;
                }
                continue;
            };
            let answer = if live.send(&frame).await.is_some() { live.answer(&id).await } else { None };
            match answer {
                Some(answer) if answer["type"] == "new_message" => break,
                Some(answer) => {
                    let code = answer["data"]["code"].as_str().unwrap_or_default();
                    assert!(matches!(code, "internal" | "not_in_room" | "unavailable"), "{answer}");
                    wire = None;
                }
                None => wire = None,
            }
        }
        acknowledged.push(id);
        sleep(Duration::from_millis(10)).await;
    }
    acknowledged
}

/// What one reader has seen, by offset, and how often it was told that it missed something.
#[derive(Default)]
struct Seen {
    events: BTreeMap<u64, String>,
    gaps: usize,
}

/// Reads until it has come to `until`; it comes back by its position each time.
async fn read(site: Arc<Site>, person: Person, number: u64, room: String, until: Arc<Mutex<Option<u64>>>) -> Seen {
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
            let Ok(next) = timeout(Duration::from_millis(500), wire.next()).await else { continue };
            let Some(frame) = next else { break };
            let Some(offset) = frame["offset"].as_u64() else { continue };
            assert_eq!(
                (frame["epoch"].as_str(), offset),
                (Some(epoch.as_str()), last + 1),
                "no gap, no way back: {frame}"
            );
            last = offset;
            known = Some((epoch.clone(), last));
            let id = frame["data"]["message"]["clientId"].as_str().unwrap_or_default().to_owned();
            assert!(seen.events.insert(offset, id).is_none(), "no place is told twice");
        }
    }
}

/// Breaks something, for a while.
async fn fail(dice: &mut Dice, nodes: &mut [Node; 2], redis: &Redis, site: &Site) -> &'static str {
    let which = usize::from(dice.below(2) == 1);
    let for_a_while = Duration::from_millis(500 + dice.below(4_000));
    match dice.below(7) {
        0 | 1 => {
            nodes[which].kill();
            sleep(for_a_while).await;
            nodes[which].start().await;
            site.bases.lock().unwrap()[which] = nodes[which].program.as_ref().unwrap().base.clone();
            "kill"
        }
        2 => {
            redis.pause();
            sleep(for_a_while).await;
            redis.go_on();
            "pause Redis"
        }
        3 => hold(&nodes[which].bus, Way::Held, for_a_while).await,
        4 => hold(&nodes[which].bus, Way::Cut, for_a_while).await,
        5 => hold(&nodes[which].database, Way::Held, for_a_while).await,
        _ => hold(&nodes[which].database, Way::Cut, for_a_while).await,
    }
}

async fn hold(line: &Line, way: Way, for_a_while: Duration) -> &'static str {
    line.set(way);
    sleep(for_a_while).await;
    line.set(Way::Open);
    if way == Way::Held { "hold a line" } else { "cut a line" }
}

fn setting(name: &str, default: u64) -> u64 {
    std::env::var(name).ok().and_then(|text| text.parse().ok()).unwrap_or(default)
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_acknowledged_is_lost_or_doubled_whatever_fails() {
    let seed = setting("PARLOR_HISTORY_SEED", u64::from(std::process::id()) + 1);
    let length = Duration::from_secs(setting("PARLOR_HISTORY_SECONDS", 40));
    println!("PARLOR_HISTORY_SEED={seed}");
    let mut dice = Dice(seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1);
    let (url, redis) = (postgres::database().await, Redis::start().await);
    let mut nodes = [Node::new(&url, &redis).await, Node::new(&url, &redis).await];
    let bases = [0, 1].map(|which: usize| nodes[which].program.as_ref().unwrap().base.clone());
    let host = Person::enter(&bases[0], "host").await;
    let room = host.create_room("group", "public").await;
    let mut people = Vec::new();
    for number in 0..WRITERS + READERS {
        people.push(Person::enter(&bases[number % 2], &format!("p{number}")).await);
    }
    let site = Arc::new(Site { bases: Mutex::new(bases), over: AtomicBool::new(false) });
    let until = Arc::new(Mutex::new(None));
    let readers: Vec<_> = (0..READERS as u64)
        .map(|it| tokio::spawn(read(site.clone(), people[it as usize].clone(), it, room.clone(), until.clone())))
        .collect();
    let writers: Vec<_> = (0..WRITERS as u64)
        .map(|it| tokio::spawn(write(site.clone(), people[READERS + it as usize].clone(), it, room.clone())))
        .collect();

    let end = Instant::now() + length;
    while Instant::now() < end {
        sleep(Duration::from_millis(dice.below(1_500))).await;
        println!("{}", fail(&mut dice, &mut nodes, &redis, &site).await);
    }
    site.over.store(true, Ordering::Relaxed);
    let mut acknowledged = Vec::new();
    for writer in writers {
        acknowledged.push(timeout(2 * PATIENCE, writer).await.expect("whoever writes comes to an end").unwrap());
    }
    let (_, state) = Wire::open(&site.base(0), &host.token, &room, None).await.expect("the site has healed");
    *until.lock().unwrap() = state["offset"].as_u64();
    let mut sequence: BTreeMap<u64, String> = BTreeMap::new();
    let mut gaps = 0;
    for reader in readers {
        let seen = timeout(2 * PATIENCE, reader).await.expect("whoever reads comes to the end").unwrap();
        gaps += seen.gaps;
        for (offset, id) in seen.events {
            let other = sequence.insert(offset, id.clone());
            assert!(other.as_ref().is_none_or(|other| *other == id), "at {offset} everybody sees the same");
        }
    }
    check(&host.at(&site.base(0)), &room, &acknowledged, &sequence).await;
    let count: usize = acknowledged.iter().map(Vec::len).sum();
    println!("{count} acknowledged, {} places seen, {gaps} times too late", sequence.len());
    assert!(count > 100, "they came to write: {count}");
}

/// What is stored is what was acknowledged, once each, in the order of each writer.
async fn check(host: &Person, room: &str, acknowledged: &[Vec<String>], sequence: &BTreeMap<u64, String>) {
    let (mut stored, mut before) = (Vec::new(), String::new());
    loop {
        let page = host.get(&format!("/rooms/{room}/messages?limit=100{before}")).await.json();
        let messages = page["messages"].as_array().or(page["items"].as_array()).expect("a page of messages").clone();
        let Some(last) = messages.last() else { break };
        before = format!("&before={}", last["id"].as_str().unwrap());
        stored.extend(messages.iter().map(|it| it["clientId"].as_str().unwrap().to_owned()));
    }
    stored.reverse();
    let places: HashMap<&String, usize> = stored.iter().enumerate().map(|(place, id)| (id, place)).collect();
    assert_eq!(places.len(), stored.len(), "nothing is there twice");
    for theirs in acknowledged {
        let places: Vec<usize> =
            theirs.iter().map(|id| *places.get(id).unwrap_or_else(|| panic!("{id} is lost"))).collect();
        assert!(places.windows(2).all(|two| two[0] < two[1]), "what one writes stays in order");
    }
    let seen: Vec<&String> = sequence.values().filter(|id| id.starts_with('w')).collect();
    let distinct: HashSet<_> = seen.iter().collect();
    assert_eq!(distinct.len(), seen.len(), "nothing is told twice");
    let places: Vec<usize> = seen.iter().map(|id| places[*id]).collect();
    assert!(places.windows(2).all(|two| two[0] < two[1]), "it is told in the order in which it is stored");
}
