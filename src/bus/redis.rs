//! The way to the other nodes: one channel of a Redis (or Valkey) that all of them publish to and listen on.
//!
//! Nothing waits for it. What finds no room, or was under way when the connection broke, is lost and counted: durable events
//! are in the database, where each node looks for them as soon as it hears again, and what nodes say of themselves they
//! say again. A node listens to its own beats too: when it does not hear them, its line is dead, whatever the system says.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use futures_util::StreamExt as _;
use serde::{Deserialize, Serialize};
use tokio::sync::{mpsc, watch};
use tokio::time::{Instant, MissedTickBehavior, interval, sleep, timeout};

use super::Local;
use crate::domain::{Event, NodeId, Notice, peer::PeerWord};
use crate::metrics::{BUS_CONNECTED, BUS_LOST, BUS_RECEIVED, BUS_SENT};

/// Words that wait for the line; beyond, they are lost.
const WAITING: usize = 16_384;
/// Words that are sent at once.
const BATCH: usize = 256;
/// Words of other nodes that wait for whoever takes them; the reader waits when it is full.
const WORDS: usize = 4_096;
/// How often a node says that it is there.
const BEAT_EVERY: Duration = Duration::from_secs(1);
/// A line on which nothing is heard for so long is dead: five beats of its own are missing.
const SILENCE: Duration = Duration::from_secs(5);
/// How long anything asked of Redis may take.
const PATIENCE: Duration = Duration::from_secs(3);
/// How long to wait before the first new attempt; twice as long each time …
const BACK_OFF: Duration = Duration::from_millis(100);
/// … up to this.
const LONGEST: Duration = Duration::from_secs(3);
/// An ephemeral event that has waited for so long is no news.
const STALE: Duration = Duration::from_secs(5);
/// Nobody waits any more for what one node has asked another so long ago.
const LATE: Duration = Duration::from_secs(3);
/// The longest word of another node, in bytes: a full room's presence, and more than any message.
const LONGEST_WORD: usize = 4 * 1024 * 1024;

/// The end of the line in this process. Clones share it.
#[derive(Clone)]
pub struct Redis(Arc<Line>);

struct Line {
    node: NodeId,
    local: Local,
    out: mpsc::Sender<(Instant, Word)>,
    words: mpsc::Sender<(NodeId, PeerWord)>,
    inbox: std::sync::Mutex<Option<mpsc::Receiver<(NodeId, PeerWord)>>>,
    connected: AtomicBool,
    /// When a beat of this node's own was heard last, or the line began: what comes long after that has waited somewhere.
    beaten: std::sync::Mutex<Instant>,
    /// Counts the times that the line came back.
    returns: watch::Sender<u64>,
    sent: AtomicU64,
}

/// What goes over the line.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
enum Word {
    Beat,
    Event(Event),
    Notice(Notice),
    Peer(PeerWord),
}

#[derive(Serialize)]
struct Sealed<'a> {
    from: NodeId,
    word: &'a Word,
}

#[derive(Deserialize)]
struct Opened {
    from: NodeId,
    word: Word,
}

impl Word {
    /// Whether it is said again when it is not known to have arrived: all of it may be heard twice. What one node does for another
    /// is done once.
    fn is_repeated(&self) -> bool {
        matches!(self, Word::Peer(word) if word.addressee().is_none())
    }

    fn is_stale(&self, since: Instant) -> bool {
        let ephemeral = matches!(self, Word::Event(event) if event.position.is_none() && event.may_be_lost());
        let directed = self.addressee().is_some();
        ephemeral && since.elapsed() > STALE || directed && since.elapsed() > LATE
    }

    fn addressee(&self) -> Option<NodeId> {
        if let Word::Peer(word) = self { word.addressee() } else { None }
    }
}

impl Redis {
    /// Begins to listen and to publish. It goes on trying by itself when there is no Redis.
    pub(super) fn start(client: redis::Client, channel: &str, node: NodeId, local: Local) -> Self {
        let (out, outbox) = mpsc::channel(WAITING);
        let (words, inbox) = mpsc::channel(WORDS);
        let (inbox, connected) = (std::sync::Mutex::new(Some(inbox)), AtomicBool::new(false));
        let (returns, sent) = (watch::Sender::new(0), AtomicU64::new(0));
        let beaten = std::sync::Mutex::new(Instant::now());
        let line = Arc::new(Line { node, local, out, words, inbox, connected, beaten, returns, sent });
        metrics::gauge!(BUS_CONNECTED).set(0.0);
        tokio::spawn(write(client.clone(), channel.to_owned(), Arc::downgrade(&line), node, outbox));
        tokio::spawn(read(client, channel.to_owned(), Arc::downgrade(&line)));
        Self(line)
    }

    pub(super) fn node(&self) -> NodeId {
        self.0.node
    }

    pub(super) fn local(&self) -> &Local {
        &self.0.local
    }

    pub(super) fn is_connected(&self) -> bool {
        self.0.connected.load(Ordering::Relaxed)
    }

    pub(super) fn returns(&self) -> watch::Receiver<u64> {
        self.0.returns.subscribe()
    }

    pub(super) fn words(&self) -> Option<mpsc::Receiver<(NodeId, PeerWord)>> {
        self.0.inbox.lock().unwrap_or_else(std::sync::PoisonError::into_inner).take()
    }

    pub(super) fn event(&self, event: Event) {
        self.say(Word::Event(event));
    }

    pub(super) fn notice(&self, notice: Notice) {
        self.say(Word::Notice(notice));
    }

    pub(super) fn peer(&self, word: PeerWord) {
        self.say(Word::Peer(word));
    }

    fn say(&self, word: Word) {
        if self.0.out.try_send((Instant::now(), word)).is_err() {
            metrics::counter!(BUS_LOST).increment(1);
        }
    }
}

impl Line {
    fn set_connected(&self, connected: bool) {
        if self.connected.swap(connected, Ordering::Relaxed) == connected {
            return;
        }
        metrics::gauge!(BUS_CONNECTED).set(if connected { 1.0 } else { 0.0 });
        if connected {
            tracing::info!("the other nodes can be heard (PARLOR_REDIS_URL)");
            self.returns.send_modify(|count| *count += 1);
        } else {
            tracing::warn!("Redis is away: what other nodes say is not heard; messages go on (PARLOR_REDIS_URL)");
        }
    }

    fn beaten(&self) -> std::sync::MutexGuard<'_, Instant> {
        self.beaten.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
    }

    /// Brings what came to whom it concerns.
    async fn take(&self, payload: &[u8]) {
        if payload.len() > LONGEST_WORD {
            tracing::warn!(bytes = payload.len(), "a word of another node is too long");
            return;
        }
        let Opened { from, word } = match serde_json::from_slice(payload) {
            Ok(opened) => opened,
            Err(error) => {
                // A newer version may say what this one does not know.
                tracing::warn!(%error, "a word of another node cannot be read");
                return;
            }
        };
        if from == self.node {
            if word == Word::Beat {
                *self.beaten() = Instant::now();
                self.set_connected(true);
            }
            return;
        }
        metrics::counter!(BUS_RECEIVED).increment(1);
        match word {
            Word::Beat => {}
            Word::Event(event) if event.position.is_some() => self.local.publish_durable(event).await,
            Word::Event(event) => self.local.publish(&event),
            Word::Notice(notice) => self.local.notify(&notice),
            // This node, or the line, was held for a while: whoever asked has been told that nothing was done, and may ask again.
            Word::Peer(PeerWord::Errand { .. }) if self.beaten().elapsed() > LATE => {
                metrics::counter!(BUS_LOST).increment(1);
            }
            Word::Peer(word) => {
                // Without a receiver nobody keeps presence.
                let _ = self.words.send((from, word)).await;
            }
        }
    }
}

/// Where one node alone listens. What one node says on several channels another one hears in that order: it has one connection.
fn channel_of(channel: &str, node: NodeId) -> String {
    format!("{channel}:{node}")
}

/// Publishes what is said, in order, until nobody can say anything any more.
async fn write(
    client: redis::Client,
    channel: String,
    line: std::sync::Weak<Line>,
    node: NodeId,
    mut outbox: mpsc::Receiver<(Instant, Word)>,
) {
    let mut wait = BACK_OFF;
    let mut batch: Vec<(Instant, Word)> = Vec::with_capacity(BATCH);
    while line.strong_count() > 0 {
        let connecting = client.get_multiplexed_async_connection();
        let Ok(Ok(mut connection)) = timeout(PATIENCE, connecting).await else {
            sleep(wait).await;
            wait = (wait * 2).min(LONGEST);
            continue;
        };
        let mut beats = interval(BEAT_EVERY);
        beats.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            if batch.is_empty() {
                tokio::select! {
                    count = outbox.recv_many(&mut batch, BATCH) => if count == 0 { return },
                    _ = beats.tick() => batch.push((Instant::now(), Word::Beat)),
                }
            }
            batch.retain(|(since, word)| !word.is_stale(*since));
            let mut pipe = redis::pipe();
            for (_, word) in &batch {
                match serde_json::to_vec(&Sealed { from: node, word }) {
                    Ok(text) => {
                        let of_node = word.addressee().map(|node| channel_of(&channel, node));
                        pipe.cmd("PUBLISH").arg(of_node.as_ref().unwrap_or(&channel)).arg(text).ignore();
                    }
                    Err(error) => tracing::error!(%error, "a word for the other nodes cannot be written"),
                }
            }
            match timeout(PATIENCE, pipe.query_async::<()>(&mut connection)).await {
                Ok(Ok(())) => {
                    wait = BACK_OFF;
                    metrics::counter!(BUS_SENT).increment(batch.len() as u64);
                    if let Some(line) = line.upgrade() {
                        line.sent.fetch_add(batch.len() as u64, Ordering::Relaxed);
                    }
                    batch.clear();
                }
                Ok(Err(_)) | Err(_) => {
                    let before = batch.len();
                    batch.retain(|(_, word)| word.is_repeated());
                    metrics::counter!(BUS_LOST).increment((before - batch.len()) as u64);
                    break;
                }
            }
        }
        sleep(wait).await;
        wait = (wait * 2).min(LONGEST);
    }
}

/// Listens until this end of the line is gone.
async fn read(client: redis::Client, channel: String, line: std::sync::Weak<Line>) {
    let mut wait = BACK_OFF;
    while line.strong_count() > 0 {
        if let Ok(Ok(mut listening)) = timeout(PATIENCE, client.get_async_pubsub()).await
            && let Some(node) = line.upgrade().map(|line| line.node)
            && let Ok(Ok(())) =
                timeout(PATIENCE, listening.subscribe(&[channel.clone(), channel_of(&channel, node)])).await
        {
            if let Some(line) = line.upgrade() {
                // Nothing waits on a new line.
                *line.beaten() = Instant::now();
            }
            let mut messages = listening.on_message();
            while let Ok(Some(message)) = timeout(SILENCE, messages.next()).await {
                let Some(line) = line.upgrade() else { return };
                wait = BACK_OFF;
                line.take(message.get_payload_bytes()).await;
            }
        }
        let Some(ours) = line.upgrade() else { return };
        ours.set_connected(false);
        drop(ours);
        sleep(wait).await;
        wait = (wait * 2).min(LONGEST);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::{Fact, RoomId, SessionId, UserId, peer::Spent};

    #[tokio::test]
    async fn strange_bytes_harm_nobody() {
        let client = redis::Client::open("redis://127.0.0.1:1").unwrap();
        let line = Redis::start(client, "parlor", NodeId::new(), Local::default());
        let mut words = line.words().unwrap();
        let (room, user, from) = (RoomId::new(), UserId::new(), NodeId::new());
        let said = [
            Word::Beat,
            Word::Event(Event::ephemeral(room, Fact::Typing { user, nickname: "ada".to_owned(), typing: true })),
            Word::Peer(PeerWord::Frames {
                to: from,
                session: SessionId::new(),
                before: 3,
                frames: vec!["{}".to_owned()],
            }),
            Word::Peer(PeerWord::Spent(vec![Spent { key: serde_json::json!([1, {"a": null}]), cost_ns: u64::MAX }])),
            Word::Peer(PeerWord::Known { to: from, sessions: vec![SessionId::new()] }),
            Word::Peer(PeerWord::Stopping),
        ];
        let said = said.map(|word| serde_json::to_vec(&Sealed { from, word: &word }).unwrap());
        // Knuth's generator (The Art of Computer Programming, 3.3.4): the same bytes each time.
        let mut dice = 1_u64;
        let mut throw = |sides: usize| {
            dice = dice.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            usize::try_from(dice >> 33).unwrap() % sides
        };
        for number in 0..20_000 {
            let mut text = said[number % said.len()].clone();
            for _ in 0..=throw(4) {
                let at = throw(text.len());
                match throw(4) {
                    0 => text.truncate(at + 1),
                    1 => text[at] = u8::try_from(throw(256)).unwrap(),
                    2 => text.insert(at, b"{}[]\",:0-9e\\\xff"[throw(13)]),
                    _ => drop(text.remove(at)),
                }
                if text.is_empty() {
                    text.push(b'0');
                }
            }
            line.0.take(&text).await;
            while words.try_recv().is_ok() {}
        }
        line.0.take("[".repeat(1_000_000).as_bytes()).await;
        line.0.take(&vec![b' '; LONGEST_WORD + 1]).await;
        assert!(words.try_recv().is_err(), "none of that says anything");
        line.0.take(said.last().unwrap()).await;
        assert_eq!(words.try_recv().unwrap(), (from, PeerWord::Stopping), "and the next word is heard");
    }

    #[tokio::test(start_paused = true)]
    async fn what_was_asked_before_a_pause_is_not_done_after_it() {
        let client = redis::Client::open("redis://127.0.0.1:1").unwrap();
        let (here, there) = (NodeId::new(), NodeId::new());
        let line = Redis::start(client, "parlor", here, Local::default());
        let mut words = line.words().unwrap();
        let said = |from, word: Word| serde_json::to_vec(&Sealed { from, word: &word }).unwrap();
        let asked = crate::domain::peer::Exchange {
            line: ["POST".to_owned(), "/".to_owned()],
            address: std::net::Ipv4Addr::LOCALHOST.into(),
            headers: Vec::new(),
            body: String::new(),
        };
        let errand = Box::new(crate::domain::peer::Errand::Request(asked));
        let errand = said(there, Word::Peer(PeerWord::Errand { to: here, number: 1, errand }));
        line.0.take(&errand).await;
        assert!(matches!(words.try_recv(), Ok((_, PeerWord::Errand { .. }))));
        tokio::time::advance(LATE + Duration::from_millis(1)).await;
        line.0.take(&errand).await;
        line.0.take(&said(there, Word::Peer(PeerWord::Stopping))).await;
        assert_eq!(words.try_recv().unwrap().1, PeerWord::Stopping, "how things are is true however late");
        line.0.take(&said(here, Word::Beat)).await;
        line.0.take(&errand).await;
        assert!(
            matches!(words.try_recv(), Ok((_, PeerWord::Errand { .. }))),
            "its own beat says that the line is quick"
        );
    }

    #[test]
    fn what_is_said_is_heard_as_it_was() {
        let room = RoomId::new();
        let typing = Fact::Typing { user: UserId::new(), nickname: "ada".to_owned(), typing: true };
        let words = [
            Word::Beat,
            Word::Event(Event::ephemeral(room, typing)),
            Word::Peer(PeerWord::Present(vec![(room, Vec::new())])),
            Word::Peer(PeerWord::Stopping),
        ];
        let node = NodeId::new();
        for word in words {
            let text = serde_json::to_vec(&Sealed { from: node, word: &word }).unwrap();
            let opened: Opened = serde_json::from_slice(&text).unwrap();
            assert_eq!((opened.from, opened.word), (node, word));
        }
    }
}
