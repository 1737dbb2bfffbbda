//! This process as one of several: its lease, what it tells the others of its people and hears of theirs, and the search for
//! what the bus did not bring.

mod neighbours;

use std::time::Duration;

use serde::Deserialize;
use tokio::sync::mpsc;
use tokio::task::JoinHandle;
use tokio::time::{MissedTickBehavior, interval, sleep};

use crate::bus::Bus;
use crate::domain::{
    NodeId, RoomId, UserId,
    peer::{PeerWord, Spent},
};
use crate::hub::Hub;
use crate::limit::Limits;
use crate::metrics::BUS_MENDED;
use crate::presence::Presence;
use crate::rooms::Rooms;
use crate::store::Store;

pub use neighbours::{Home, Job, Neighbours, Trip};

/// How long an event may take by another way before it is looked for in the database.
const ANOTHER_WAY: Duration = Duration::from_millis(30);
/// How long to wait before a database that does not answer is asked again; twice as long each time …
const BACK_OFF: Duration = Duration::from_millis(100);
/// … up to this.
const LONGEST: Duration = Duration::from_secs(5);
/// People that one word tells of.
const SHOWN_AT_ONCE: usize = 500;
/// Deeds that one word tells of.
const SPENT_AT_ONCE: usize = 256;
/// How long rows of nodes that are no more are kept, for those who look.
const KEPT: Duration = Duration::from_secs(3600);

/// What several nodes tell each other, and how long they are believed.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Config {
    /// The channel in Redis. Two sites that share one Redis need two.
    pub channel: String,
    /// How long a node is alive that does not say so, in milliseconds; it says so three times as often.
    pub lease_ms: u64,
    /// How long the people of a node are present that does not tell of them, in milliseconds; it tells three times as often.
    pub present_ms: u64,
    /// How often what sessions know is compared with the database, in milliseconds.
    pub check_ms: u64,
}

impl Default for Config {
    fn default() -> Self {
        Self { channel: "parlor".to_owned(), lease_ms: 30_000, present_ms: 60_000, check_ms: 20_000 }
    }
}

/// What a node rests on.
pub struct Ground {
    /// Where nodes find each other, and what the bus has lost.
    pub store: Store,
    /// What they tell each other by.
    pub bus: Bus,
    /// Whom to bring what was missed.
    pub hub: Hub,
    /// Who is where.
    pub rooms: Rooms,
    /// What is counted together.
    pub limits: Limits,
    /// What people show of themselves.
    pub presence: Presence,
    /// What is done on other nodes, should there be any.
    pub neighbours: Option<Neighbours>,
    /// Where to tell who does not want to meet whom.
    pub apart: mpsc::UnboundedSender<PeerWord>,
}

/// This node.
pub struct Nodes {
    node: Option<NodeId>,
    store: Store,
    bus: Bus,
    tasks: Vec<JoinHandle<()>>,
}

impl Nodes {
    /// Begins to say that this node lives, to listen to the others, and to look for what was missed. An only node only does the
    /// last.
    pub fn start(config: &Config, address: String, ground: Ground) -> Self {
        let Ground { store, bus, hub, rooms, limits, presence, neighbours, apart } = ground;
        let mender = Mender { hub: hub.clone(), store: store.clone() };
        let mut tasks = vec![tokio::spawn(mender.clone().mend_gaps(hub.gaps()))];
        let node = bus.node();
        if let Some(node) = node {
            let lease = Duration::from_millis(config.lease_ms);
            let within = Duration::from_millis(config.present_ms);
            let check = Duration::from_millis(config.check_ms);
            tasks.push(tokio::spawn(keep_lease(store.clone(), node, address, lease)));
            tasks.push(tokio::spawn(tell_presence(bus.clone(), rooms.clone(), presence.clone(), within)));
            tasks.push(tokio::spawn(check_positions(mender, bus.clone(), check)));
            tasks.extend(neighbours.clone().map(|them| tokio::spawn(them.tend(lease))));
        }
        if let Some(words) = bus.words() {
            tasks.push(tokio::spawn(tell_spent(bus.clone(), limits.spent())));
            tasks.push(tokio::spawn(listen(words, Ears { hub, rooms, limits, presence, neighbours, apart })));
        }
        Self { node, store, bus, tasks }
    }

    /// Tells the others that nobody is here any more.
    pub async fn stop(&self) {
        for task in &self.tasks {
            task.abort();
        }
        let Some(node) = self.node else { return };
        self.bus.tell_nodes(|| PeerWord::Stopping);
        if let Err(error) = self.store.end_node(node).await {
            tracing::warn!(%error, "this node's lease could not be given up; it ends by itself");
        }
    }
}

/// Renews the lease, three times in its length.
async fn keep_lease(store: Store, node: NodeId, address: String, lease: Duration) {
    let mut turns = interval(lease / 3);
    turns.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        turns.tick().await;
        if let Err(error) = store.renew_node(node, &address, lease).await {
            tracing::warn!(%error, "this node's lease could not be renewed");
            continue;
        }
        if let Err(error) = store.sweep_nodes(KEPT).await {
            tracing::warn!(%error, "old nodes could not be swept");
        }
    }
}

/// Tells the others who is here, three times in the length of their patience and when they can be heard again; forgets whom
/// nobody tells of.
async fn tell_presence(bus: Bus, rooms: Rooms, presence: Presence, within: Duration) {
    let mut turns = interval(within / 3);
    turns.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let Some(mut returns) = bus.returns() else { return };
    loop {
        tokio::select! {
            _ = turns.tick() => {}
            Ok(()) = returns.changed() => {
                // What they have wished by other nodes meanwhile nobody could tell.
                let (rooms, presence) = (rooms.clone(), presence.clone());
                tokio::spawn(async move {
                    for user in presence.here() {
                        learn_wish(rooms.clone(), presence.clone(), user).await;
                    }
                });
            }
        }
        for word in rooms.present() {
            bus.tell_nodes(|| word);
        }
        for part in presence.announcements().chunks(SHOWN_AT_ONCE) {
            bus.tell_nodes(|| PeerWord::Shown(part.to_vec()));
        }
        rooms.forget_silent(within);
    }
}

/// Tells the others what was let through here, so that limits hold across nodes.
async fn tell_spent(bus: Bus, mut spent: mpsc::Receiver<Spent>) {
    let mut batch = Vec::with_capacity(SPENT_AT_ONCE);
    while spent.recv_many(&mut batch, SPENT_AT_ONCE).await > 0 {
        bus.tell_nodes(|| PeerWord::Spent(std::mem::take(&mut batch)));
    }
}

/// Who hears what other nodes tell.
struct Ears {
    hub: Hub,
    rooms: Rooms,
    limits: Limits,
    presence: Presence,
    neighbours: Option<Neighbours>,
    apart: mpsc::UnboundedSender<PeerWord>,
}

async fn listen(mut words: mpsc::Receiver<(NodeId, PeerWord)>, ears: Ears) {
    let Ears { hub, rooms, limits, presence, neighbours, apart } = ears;
    while let Some((from, word)) = words.recv().await {
        let word = match &neighbours {
            Some(neighbours) => neighbours.heard(from, word),
            None => Some(word),
        };
        let Some(word) = word else { continue };
        match word {
            PeerWord::Login(change) => {
                // Rooms first, as for a change of our own.
                rooms.login_changed(&change);
                hub.login_changed(&change);
            }
            PeerWord::Shown(announcements) => {
                for announcement in announcements {
                    rooms.hide(announcement.user, presence.hear(announcement));
                }
            }
            PeerWord::Wished(user) => {
                tokio::spawn(learn_wish(rooms.clone(), presence.clone(), user));
            }
            PeerWord::Stopping => {
                rooms.heard(from, PeerWord::Stopping);
                if let Some(neighbours) = neighbours.clone() {
                    tokio::spawn(async move { neighbours.stops(from).await });
                }
            }
            word @ (PeerWord::Apart { .. } | PeerWord::Reconciled(_)) => {
                // Without a receiver nobody puts strangers together.
                let _ = apart.send(word);
            }
            PeerWord::Spent(batch) => batch.into_iter().for_each(|spent| limits.count_elsewhere(spent)),
            word => rooms.heard(from, word),
        }
    }
}

/// Takes what somebody wants to be seen as from the database; another node has written it there.
async fn learn_wish(rooms: Rooms, presence: Presence, user: UserId) {
    match presence.learn_wish(user).await {
        Ok(Some(is_invisible)) => rooms.hide(user, is_invisible),
        Ok(None) => {}
        Err(refusal) => tracing::warn!(%refusal, "what somebody wants to be seen as could not be read"),
    }
}

/// Compares what sessions know with the database, now and then and when the others can be heard again.
async fn check_positions(mender: Mender, bus: Bus, every: Duration) {
    let mut turns = interval(every);
    turns.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let Some(mut returns) = bus.returns() else { return };
    loop {
        tokio::select! {
            _ = turns.tick() => {}
            Ok(()) = returns.changed() => {}
        }
        mender.check().await;
    }
}

/// Finds in the database what the bus did not bring.
#[derive(Clone)]
struct Mender {
    hub: Hub,
    store: Store,
}

impl Mender {
    async fn mend_gaps(self, mut gaps: mpsc::UnboundedReceiver<RoomId>) {
        while let Some(room) = gaps.recv().await {
            // One room's search does not keep another waiting.
            tokio::spawn(self.clone().mend_gap(room));
        }
    }

    async fn mend_gap(self, room: RoomId) {
        sleep(ANOTHER_WAY).await;
        let mut wait = BACK_OFF;
        while let Some(known) = self.hub.behind(room) {
            match self.store.recover(room, Some(known)).await {
                Ok(Some(found)) if found.recovered == Some(true) && !found.missed.is_empty() => {
                    metrics::counter!(BUS_MENDED).increment(found.missed.len() as u64);
                    self.hub.mend(room, found.missed);
                }
                Ok(_) => return self.hub.give_up(room),
                Err(error) => {
                    tracing::warn!(%error, "what was missed in a room could not be looked for");
                    sleep(wait).await;
                    wait = (wait * 2).min(LONGEST);
                }
            }
        }
    }

    /// One look at all rooms that sessions are in.
    async fn check(&self) {
        let known = self.hub.positions();
        let rooms: Vec<RoomId> = known.iter().map(|(room, _)| *room).collect();
        let stored = match self.store.positions(&rooms).await {
            Ok(stored) => stored.into_iter().collect::<std::collections::HashMap<_, _>>(),
            Err(error) => {
                tracing::warn!(%error, "the positions of rooms could not be compared");
                return;
            }
        };
        for (room, known) in known {
            let Some(last) = stored.get(&room) else { continue };
            if last.epoch != known.epoch || last.offset <= known.offset {
                continue;
            }
            match self.store.recover(room, Some(known)).await {
                Ok(Some(found)) if found.recovered == Some(true) => {
                    metrics::counter!(BUS_MENDED).increment(found.missed.len() as u64);
                    self.hub.mend(room, found.missed);
                }
                Ok(_) => self.hub.cut_at(room, known),
                Err(error) => tracing::warn!(%error, "what was missed in a room could not be looked for"),
            }
        }
    }
}
