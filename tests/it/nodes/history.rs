//! A history of two nodes under kills, pauses and partitions, and what has to hold of it, in the manner of Maelstrom's `kafka`
//! workload: nothing acknowledged is lost or doubled, offsets grow by one, everybody sees the same sequence, and whoever
//! missed something is told so.
//!
//! `PARLOR_HISTORY_SEED` repeats one history's order of events; `PARLOR_HISTORY_SECONDS` makes it longer.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::time::{Instant, sleep, timeout};

use super::clients::{Dice, Said, Site, Wire, read, write};
use super::line::{End, Line, Way};
use crate::harness::{PATIENCE, Person};
use crate::postgres;
use crate::program::Program;
use crate::redis::Redis;

/// Those who write, and those who only read; rooms in which they do, each writer in all of them, each reader in one.
const WRITERS: usize = 4;
const READERS: usize = 4;
const ROOMS: usize = 2;
/// Events that a client may miss and still get one by one.
const RESUMED: u64 = 300;

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
    let mut rooms = Vec::new();
    for _ in 0..ROOMS {
        rooms.push(host.create_room("group", "public").await);
    }
    let mut people = Vec::new();
    for number in 0..WRITERS + READERS {
        people.push(Person::enter(&bases[number % 2], &format!("p{number}")).await);
    }
    let site = Arc::new(Site { bases: Mutex::new(bases), over: AtomicBool::new(false) });
    let until: Vec<_> = rooms.iter().map(|_| Arc::new(Mutex::new(None))).collect();
    let readers: Vec<_> = (0..READERS)
        .map(|it| {
            let (room, until) = (rooms[it % ROOMS].clone(), until[it % ROOMS].clone());
            tokio::spawn(read(site.clone(), people[it].clone(), it as u64, room, until))
        })
        .collect();
    let writers: Vec<_> = (0..WRITERS as u64)
        .map(|it| {
            let (person, seed) = (people[READERS + it as usize].clone(), dice.below(u64::MAX) | 1);
            tokio::spawn(write(site.clone(), person, it, rooms.clone(), seed))
        })
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
    for (room, until) in rooms.iter().zip(&until) {
        let (_, state) = Wire::open(&site.base(0), &host.token, room, None).await.expect("the site has healed");
        *until.lock().unwrap() = state["offset"].as_u64();
        come_back_to(&site, &host, room, &state).await;
    }
    let mut sequences: Vec<BTreeMap<u64, String>> = vec![BTreeMap::new(); ROOMS];
    let mut gaps = 0;
    for (number, reader) in readers.into_iter().enumerate() {
        let seen = timeout(2 * PATIENCE, reader).await.expect("whoever reads comes to the end").unwrap();
        gaps += seen.gaps;
        for (offset, event) in seen.events {
            let other = sequences[number % ROOMS].insert(offset, event.clone());
            assert!(other.as_ref().is_none_or(|other| *other == event), "at {offset} everybody sees the same");
        }
    }
    let host = host.at(&site.base(0));
    for (number, room) in rooms.iter().enumerate() {
        let acknowledged = acknowledged.iter().map(|all| all.iter().filter(|it| it.room == number).collect());
        check(&host, room, &acknowledged.collect::<Vec<_>>(), &sequences[number]).await;
    }
    let count: usize = acknowledged.iter().map(Vec::len).sum();
    let places: usize = sequences.iter().map(BTreeMap::len).sum();
    println!("{count} acknowledged, {places} places seen, {gaps} times too late");
    assert!(count > 100, "they came to write: {count}");
}

/// Whoever comes back gets each event that they missed, or is told that there are too many, or that it is another stream.
async fn come_back_to(site: &Site, host: &Person, room: &str, state: &Value) {
    let (epoch, end) = (state["epoch"].as_str().unwrap().to_owned(), state["offset"].as_u64().unwrap());
    for missed in [end.min(20), RESUMED + 1] {
        let Some(since) = end.checked_sub(missed) else { continue };
        let known = (epoch.clone(), since);
        let (mut wire, state) =
            Wire::open(&site.base(1), &host.token, room, Some(&known)).await.expect("it has healed");
        assert_eq!(state["data"]["recovered"], json!(missed <= RESUMED), "{missed} of {end} were missed");
        if missed > RESUMED {
            assert_eq!(state["offset"], json!(end));
            continue;
        }
        for place in since + 1..=end {
            let next = async {
                loop {
                    let frame = wire.next().await.expect("the socket lives");
                    if !frame["offset"].is_null() {
                        return frame;
                    }
                }
            };
            let frame = timeout(PATIENCE, next).await.expect("what was missed comes");
            assert_eq!(frame["offset"], json!(place));
        }
    }
    let known = ("0193bd14-0000-7000-8000-000000000000".to_owned(), end);
    let (_, state) = Wire::open(&site.base(0), &host.token, room, Some(&known)).await.expect("it has healed");
    assert_eq!(state["data"]["recovered"], false, "another stream");
}

/// What is stored is what was acknowledged, once each, in the order of each writer, and as it was changed.
async fn check(host: &Person, room: &str, acknowledged: &[Vec<&Said>], sequence: &BTreeMap<u64, String>) {
    let (mut stored, mut before) = (Vec::new(), String::new());
    loop {
        let page = host.get(&format!("/rooms/{room}/messages?limit=100{before}")).await.json();
        let messages = page["messages"].as_array().expect("a page of messages").clone();
        let Some(last) = messages.last() else { break };
        before = format!("&before={}", last["id"].as_str().unwrap());
        stored.extend(messages);
    }
    stored.reverse();
    let ids: Vec<&str> = stored.iter().map(|it| it["clientId"].as_str().unwrap()).collect();
    let places: HashMap<&str, usize> = ids.iter().enumerate().map(|(place, id)| (*id, place)).collect();
    assert_eq!(places.len(), stored.len(), "nothing is there twice");
    for theirs in acknowledged {
        let mut last = None;
        for said in theirs {
            let id = said.client_id.as_str();
            let place = *places.get(id).unwrap_or_else(|| panic!("{id} is lost"));
            assert!(last.is_none_or(|last| last < place), "what one writes stays in order");
            last = Some(place);
            let message = &stored[place];
            let text = if said.deleted { "" } else { &said.text };
            assert_eq!(
                (&message["deleted"], &message["content"]["text"]),
                (&json!(said.deleted), &json!(text)),
                "{id}"
            );
            let reactions = if said.reacted && !said.deleted { json!({"👍": 1}) } else { Value::Null };
            assert_eq!(message["reactions"], reactions, "{id}");
        }
    }
    // Each of these writers sends, changes, reacts to and deletes a message once.
    let seen: Vec<&String> = sequence.values().filter(|event| !event.starts_with("system:")).collect();
    let distinct: HashSet<_> = seen.iter().collect();
    assert_eq!(distinct.len(), seen.len(), "nothing is told twice");
    let sent = sequence.values().filter_map(|event| event.split_once(" new_message ")).map(|(id, _)| id);
    let places: Vec<usize> = sent.filter(|id| id.starts_with('w')).map(|id| places[id]).collect();
    assert!(places.windows(2).all(|two| two[0] < two[1]), "it is told in the order in which it is stored");
}
