//! Carries what happened from whoever knows it to whoever tells it on.
//!
//! Two lanes. Durable events have offsets and wait for room in theirs. Ephemeral ones never wait: those that nobody misses
//! (typing, speaking) are dropped, and counted, when their lane is long; the others (somebody left, was removed, a slot shows
//! somebody else) are not.
//!
//! With several nodes everything also goes over a Redis to the others ([`redis`]); a node's own sockets never wait for that.

mod redis;

use std::sync::{
    Arc, Mutex, PoisonError,
    atomic::{AtomicUsize, Ordering},
};

use tokio::sync::{mpsc, watch};

use crate::domain::{Event, NodeId, Notice, peer::PeerWord};
use crate::metrics::BUS_LOST;

/// Durable events that wait for a subscriber. The publisher waits when it is full.
const DURABLE: usize = 4_096;
/// Ephemeral events that wait for a subscriber, beyond which those are dropped that nobody misses. The lane itself has no bound:
/// what must not be lost is published under a lock and cannot wait, each costs its cause a request that is limited, and
/// subscribers never wait for anything themselves.
const LONG: usize = 16_384;

/// The bus.
#[derive(Clone)]
pub enum Bus {
    /// Within this process.
    Local(Local),
    /// Within this process, and to the other nodes.
    Redis(redis::Redis),
}

/// A bus within one process.
#[derive(Clone, Default)]
pub struct Local(Arc<Mutex<Vec<Lanes>>>);

#[derive(Clone)]
struct Lanes {
    durable: mpsc::Sender<Event>,
    ephemeral: mpsc::UnboundedSender<News>,
    waiting: Arc<AtomicUsize>,
}

/// Something that a subscriber gets.
#[derive(Clone, Debug, PartialEq)]
pub enum News {
    /// Something happened in a room.
    Event(Event),
    /// Somebody is to be told something that concerns no room.
    Notice(Notice),
}

/// What a subscriber gets: each lane in the order of publishing.
pub struct Subscription {
    durable: mpsc::Receiver<Event>,
    ephemeral: mpsc::UnboundedReceiver<News>,
    waiting: Arc<AtomicUsize>,
}

impl Bus {
    /// A bus within this process.
    pub fn local() -> Self {
        Self::Local(Local::default())
    }

    /// A bus to all nodes that listen on the same channel of that Redis (`redis://host:6379`). It connects by itself, also
    /// later; until then it is one within this process.
    ///
    /// # Errors
    /// The address is none; the text says why.
    pub fn redis(url: &str, channel: &str, node: NodeId) -> Result<Self, String> {
        let client = ::redis::Client::open(url).map_err(|error| error.to_string())?;
        Ok(Self::Redis(redis::Redis::start(client, channel, node, Local::default())))
    }

    /// Everything that is published from now on.
    pub fn subscribe(&self) -> Subscription {
        let (durable, durable_receiver) = mpsc::channel(DURABLE);
        let (ephemeral, ephemeral_receiver) = mpsc::unbounded_channel();
        let waiting = Arc::<AtomicUsize>::default();
        self.here().lanes().push(Lanes { durable, ephemeral, waiting: waiting.clone() });
        Subscription { durable: durable_receiver, ephemeral: ephemeral_receiver, waiting }
    }

    /// Publishes an event of a room's stream; waits while a subscriber's lane is full, and never for other nodes.
    pub async fn publish_durable(&self, event: Event) {
        if let Self::Redis(others) = self {
            others.event(event.clone());
        }
        self.here().publish_durable(event).await;
    }

    /// Publishes an ephemeral event, at once. Callers that hold a lock while they do keep their events in order.
    pub fn publish(&self, event: &Event) {
        self.publish_here(event);
        if let Self::Redis(others) = self {
            others.event(event.clone());
        }
    }

    /// The same for this node's own sessions alone: the other nodes know it by themselves.
    pub fn publish_here(&self, event: &Event) {
        self.here().publish(event);
    }

    /// Publishes a notice, at once, in one order with the ephemeral events.
    pub fn notify(&self, notice: &Notice) {
        self.here().notify(notice);
        if let Self::Redis(others) = self {
            others.notice(notice.clone());
        }
    }

    /// Tells the other nodes something, should there be any.
    pub fn tell_nodes(&self, word: impl FnOnce() -> PeerWord) {
        if let Self::Redis(others) = self {
            others.peer(word());
        }
    }

    /// What the other nodes tell, for whoever asks first. `None`: there are none, or somebody listens already.
    pub fn words(&self) -> Option<mpsc::Receiver<(NodeId, PeerWord)>> {
        match self {
            Self::Local(_) => None,
            Self::Redis(others) => others.words(),
        }
    }

    /// Changes whenever the others can be heard again. `None`: there are none.
    pub fn returns(&self) -> Option<watch::Receiver<u64>> {
        match self {
            Self::Local(_) => None,
            Self::Redis(others) => Some(others.returns()),
        }
    }

    /// Whether the other nodes can be heard. `None`: there are none.
    pub fn hears_others(&self) -> Option<bool> {
        match self {
            Self::Local(_) => None,
            Self::Redis(others) => Some(others.is_connected()),
        }
    }

    /// Which node this is. `None`: the only one.
    pub fn node(&self) -> Option<NodeId> {
        match self {
            Self::Local(_) => None,
            Self::Redis(others) => Some(others.node()),
        }
    }

    fn here(&self) -> &Local {
        match self {
            Self::Local(local) => local,
            Self::Redis(others) => others.local(),
        }
    }
}

impl Lanes {
    fn push(&self, news: News) {
        self.waiting.fetch_add(1, Ordering::Relaxed);
        // A subscriber that is gone needs nothing.
        let _ = self.ephemeral.send(news);
    }
}

impl Local {
    async fn publish_durable(&self, event: Event) {
        let subscribers = self.lanes().clone();
        for lanes in subscribers {
            // A subscriber that is gone needs nothing.
            let _ = lanes.durable.send(event.clone()).await;
        }
    }

    fn publish(&self, event: &Event) {
        for lanes in self.lanes().iter() {
            if event.may_be_lost() && lanes.waiting.load(Ordering::Relaxed) >= LONG {
                metrics::counter!(BUS_LOST).increment(1);
                continue;
            }
            lanes.push(News::Event(event.clone()));
        }
    }

    fn notify(&self, notice: &Notice) {
        for lanes in self.lanes().iter() {
            lanes.push(News::Notice(notice.clone()));
        }
    }

    fn lanes(&self) -> std::sync::MutexGuard<'_, Vec<Lanes>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Subscription {
    /// The next event or notice; `None` when the bus is gone. Cancel safe.
    pub async fn next(&mut self) -> Option<News> {
        tokio::select! {
            Some(event) = self.durable.recv() => Some(News::Event(event)),
            Some(news) = self.ephemeral.recv() => {
                self.waiting.fetch_sub(1, Ordering::Relaxed);
                Some(news)
            }
            else => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::{Fact, Member, Position, Role, RoomId, Told, UserId, event::Epoch, room::LeftReason};

    fn typing(room: RoomId) -> Event {
        Event::ephemeral(room, Fact::Typing { user: UserId::new(), nickname: "ada".to_owned(), typing: true })
    }

    #[tokio::test]
    async fn every_subscriber_gets_everything_in_order() {
        let (bus, room) = (Bus::local(), RoomId::new());
        let (mut one, mut two) = (bus.subscribe(), bus.subscribe());
        let member = Member { user_id: UserId::new(), nickname: "ada".to_owned(), role: Role::Member };
        let joined = Event::ephemeral(room, Fact::MemberJoined(member.clone()));
        let left = Event::ephemeral(room, Fact::MemberLeft { user: member.user_id, reason: LeftReason::Left, stay: 1 });
        let notice = Notice::to_user(member.user_id, Told::Banned { reason: "spam".to_owned(), until: None });
        bus.publish(&joined);
        bus.notify(&notice);
        bus.publish(&left);
        for subscription in [&mut one, &mut two] {
            assert_eq!(subscription.next().await, Some(News::Event(joined.clone())));
            assert_eq!(subscription.next().await, Some(News::Notice(notice.clone())));
            assert_eq!(subscription.next().await, Some(News::Event(left.clone())));
        }
    }

    #[tokio::test]
    async fn typing_gives_way_before_anything_else_and_durable_events_wait() {
        let (bus, room) = (Bus::local(), RoomId::new());
        let mut subscription = bus.subscribe();
        for _ in 0..2 * LONG {
            bus.publish(&typing(room));
        }
        assert_eq!(subscription.ephemeral.len(), LONG);
        for _ in 0..LONG {
            bus.publish(&Event::ephemeral(room, Fact::Removed { reason: None }));
        }
        assert_eq!(subscription.ephemeral.len(), 2 * LONG, "nobody escapes a removal");
        for _ in 0..2 * LONG {
            subscription.next().await.unwrap();
        }
        bus.publish(&typing(room));
        assert_eq!(subscription.ephemeral.len(), 1);

        let publisher = tokio::spawn(async move {
            for offset in 1..=DURABLE as u64 + 10 {
                let position = Some(Position { epoch: Epoch::new(), offset });
                bus.publish_durable(Event { position, ..typing(room) }).await;
            }
        });
        let mut offsets = Vec::new();
        while let Some(event) = subscription.durable.recv().await {
            offsets.push(event.position.unwrap().offset);
        }
        publisher.await.unwrap();
        assert_eq!(offsets, (1..=DURABLE as u64 + 10).collect::<Vec<_>>());
    }
}
