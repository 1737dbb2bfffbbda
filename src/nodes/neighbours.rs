//! The other nodes, as the edge uses them: where a call or a room lives, and what is done there for whoever is connected here.
//!
//! A call lives on the node where the first offer (or knock, or act of a host) came, a room of strangers on the one that put them
//! together. What a client asks of them elsewhere becomes an errand, which has an outcome within a bounded time or none. Media
//! goes to the owner directly.

mod guests;
mod trips;

use std::collections::{HashMap, HashSet};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::{mpsc, oneshot};
use tokio::time::{Instant, MissedTickBehavior, interval, timeout};

use self::guests::Guests;
use self::trips::Trips;
use crate::bus::Bus;
use crate::domain::{
    CallId, Event, Fact, NodeId, Refusal, RoomId, SessionChange, SessionId,
    call::EndReason,
    peer::{Errand, MATCHER, Outcome, PeerWord, call_of, room_of, stream_of},
};
use crate::hub::Hub;
use crate::rooms::Rooms;
use crate::store::Store;

pub use self::trips::Trip;

/// How long an errand may take: an offer takes milliseconds, and people wait for it.
const PATIENCE: Duration = Duration::from_secs(3);
/// When whoever found a node silent is to try again, in milliseconds.
const AGAIN_MS: u64 = 1_000;
/// Errands of other nodes that wait to be begun. Beyond, they are lost, and those who asked try again.
const JOBS: usize = 4_096;
/// How often it is looked whether calls that live here are over. One that is found so twice lives nowhere.
const LOOK_EVERY: Duration = Duration::from_secs(10);

/// The other nodes. Clones share them.
#[derive(Clone)]
pub struct Neighbours(Arc<Inner>);

struct Inner {
    node: NodeId,
    store: Store,
    bus: Bus,
    hub: Hub,
    rooms: Rooms,
    number: AtomicU64,
    /// Who waits for the outcome of which errand.
    waiting: Mutex<HashMap<u64, oneshot::Sender<Outcome>>>,
    jobs: mpsc::Sender<Job>,
    inbox: Mutex<Option<mpsc::Receiver<Job>>>,
    /// What sessions of this node do elsewhere.
    trips: Mutex<HashMap<SessionId, Trips>>,
    guests: Mutex<Guests>,
    /// The calls that live here, and whether nothing of them was found at the last look.
    calls: Mutex<HashMap<RoomId, (CallId, bool)>>,
    /// The nodes that lived at the last look.
    living: Mutex<HashSet<NodeId>>,
}

/// An errand of another node.
#[derive(Debug)]
pub struct Job {
    /// Since when it waits here.
    pub since: Instant,
    /// Whose.
    pub from: NodeId,
    /// Its number there.
    pub number: u64,
    /// What is to be done.
    pub errand: Errand,
}

impl Job {
    /// Whether whoever asked has given it up: it is not to be done any more, for they may have asked again.
    pub fn is_late(&self) -> bool {
        self.since.elapsed() > PATIENCE
    }
}

/// Takes an asker off the list, also when it gives up by itself.
struct Asking<'a>(&'a Neighbours, u64);

impl Drop for Asking<'_> {
    fn drop(&mut self) {
        self.0.waiting().remove(&self.1);
    }
}

/// Where something lives.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Home {
    /// Here, or nowhere yet.
    Here,
    /// On another node.
    At(NodeId),
}

impl Neighbours {
    /// The other nodes on this bus; `None`: there are none.
    pub fn new(store: Store, bus: Bus, hub: Hub, rooms: Rooms) -> Option<Self> {
        let node = bus.node()?;
        let (jobs, inbox) = mpsc::channel(JOBS);
        let inbox = Mutex::new(Some(inbox));
        let (waiting, trips, guests, calls, living) = Default::default();
        let number = AtomicU64::new(0);
        let inner = Inner { node, store, bus, hub, rooms, number, waiting, jobs, inbox, trips, guests, calls, living };
        Some(Self(Arc::new(inner)))
    }

    /// Has an errand done on another node.
    ///
    /// # Errors
    /// `node_unavailable`: it does not answer in time.
    pub async fn send(&self, to: NodeId, errand: Errand) -> Result<Outcome, Refusal> {
        let silent = Refusal::NodeUnavailable { retry_after_ms: AGAIN_MS };
        if self.0.bus.hears_others() != Some(true) {
            return Err(silent);
        }
        let number = self.0.number.fetch_add(1, Ordering::Relaxed);
        let (sender, receiver) = oneshot::channel();
        self.waiting().insert(number, sender);
        let _asking = Asking(self, number);
        self.0.bus.tell_nodes(|| PeerWord::Errand { to, number, errand: Box::new(errand) });
        timeout(PATIENCE, receiver).await.ok().and_then(Result::ok).ok_or(silent)
    }

    /// Has an errand done whose outcome nobody waits for.
    pub fn send_off(&self, to: NodeId, errand: Errand) {
        let number = self.0.number.fetch_add(1, Ordering::Relaxed);
        self.0.bus.tell_nodes(|| PeerWord::Errand { to, number, errand: Box::new(errand) });
    }

    /// The errands of other nodes, for whoever asks first.
    pub fn jobs(&self) -> Option<mpsc::Receiver<Job>> {
        self.0.inbox.lock().unwrap_or_else(PoisonError::into_inner).take()
    }

    /// Says what became of an errand.
    pub fn report(&self, to: NodeId, number: u64, outcome: Outcome) {
        self.0.bus.tell_nodes(|| PeerWord::Outcome { to, number, outcome: Box::new(outcome) });
    }

    /// Where a room's call lives; here from now on, if it lives nowhere.
    ///
    /// # Errors
    /// `not_found`, `internal`.
    pub async fn claim_call(&self, room: RoomId) -> Result<Home, Refusal> {
        let known = self.calls().contains_key(&room);
        let record = if known { None } else { Some(self.0.store.room(room).await?.ok_or(Refusal::NotFound)?) };
        let home = self.0.store.take_seat_of(&call_of(room), self.0.node).await?;
        let mut calls = self.calls();
        if home != self.0.node {
            let was_here = calls.remove(&room).is_some();
            drop(calls);
            if was_here {
                self.0.rooms.lose_call(room);
            }
            return Ok(Home::At(home));
        }
        if let Some(record) = record {
            calls.entry(room).or_insert((record.call, false));
        }
        if let Some(kept) = calls.get_mut(&room) {
            // Something is about to be done with it.
            kept.1 = false;
        }
        Ok(Home::Here)
    }

    /// Whether a room's call lives here, as far as is known without asking; else it is claimed.
    ///
    /// # Errors
    /// As [`Self::claim_call`].
    pub async fn has_call(&self, room: RoomId) -> Result<bool, Refusal> {
        Ok(self.calls().contains_key(&room) || self.claim_call(room).await? == Home::Here)
    }

    /// Where a room's call lives.
    ///
    /// # Errors
    /// `internal`.
    pub async fn home_of_call(&self, room: RoomId) -> Result<Home, Refusal> {
        self.home_of(&call_of(room)).await
    }

    /// Where a room lives with all that is written in it, which is in memory.
    ///
    /// # Errors
    /// `internal`.
    pub async fn home_of_stream(&self, room: RoomId) -> Result<Home, Refusal> {
        self.home_of(&stream_of(room)).await
    }

    /// Where strangers are put together; here from now on, if that is nowhere.
    ///
    /// # Errors
    /// `internal`.
    pub async fn claim_matcher(&self) -> Result<Home, Refusal> {
        let home = self.0.store.take_seat_of(MATCHER, self.0.node).await?;
        Ok(if home == self.0.node { Home::Here } else { Home::At(home) })
    }

    /// Where something lives that says its node itself. Here, if that is gone: then it is nowhere.
    ///
    /// # Errors
    /// `internal`.
    pub async fn home_at(&self, node: NodeId) -> Result<Home, Refusal> {
        if node == self.0.node {
            return Ok(Home::Here);
        }
        let is_known = self.living().contains(&node);
        // One that has just begun is not known by the last look.
        let lives = is_known || self.0.store.nodes().await?.contains(&node);
        Ok(if lives { Home::At(node) } else { Home::Here })
    }

    async fn home_of(&self, thing: &str) -> Result<Home, Refusal> {
        let home = self.0.store.seat_of(thing).await?;
        Ok(home.filter(|home| *home != self.0.node).map_or(Home::Here, Home::At))
    }

    /// Takes what another node says to this one. `Some`: it is for somebody else.
    pub(super) fn heard(&self, from: NodeId, word: PeerWord) -> Option<PeerWord> {
        match word {
            PeerWord::Errand { number, errand, .. } => {
                // Whoever asked tries again.
                let _ = self.0.jobs.try_send(Job { since: Instant::now(), from, number, errand: *errand });
            }
            PeerWord::Outcome { number, outcome, .. } => {
                if let Some(asker) = self.waiting().remove(&number) {
                    // Who does not wait any more has been told so.
                    let _ = asker.send(*outcome);
                }
            }
            PeerWord::Frames { session, before, frames, .. } => self.bring(from, session, before, frames),
            PeerWord::Guest { change, .. } => self.0.hub.guest_changed(change),
            PeerWord::Known { sessions, .. } => self.tell_over(from, sessions),
            word => return Some(word),
        }
        None
    }

    /// Tells the nodes where a session is a guest what became of its socket, for as long as there are sessions.
    pub async fn follow(self, mut sessions: mpsc::UnboundedReceiver<SessionChange>) {
        while let Some(change) = sessions.recv().await {
            for to in self.hosts_of(change.session()) {
                self.0.bus.tell_nodes(|| PeerWord::Guest { to, change });
            }
            if let SessionChange::Ended(session) = change {
                self.trips().remove(&session);
                self.guests().forget(session);
            }
        }
    }

    /// Gives up the calls that are over, sees which nodes have died, and what was lost with the bus.
    pub(super) async fn tend(self, lease: Duration) {
        let (mut looks, mut turns) = (interval(LOOK_EVERY), interval(lease / 3));
        looks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        turns.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let Some(mut returns) = self.0.bus.returns() else { return };
        // The first time that the others are heard nothing was missed.
        returns.mark_unchanged();
        loop {
            tokio::select! {
                _ = looks.tick() => {
                    self.give_up_calls().await;
                    self.keep_calls().await;
                }
                _ = turns.tick() => self.look_for_the_dead().await,
                Ok(()) = returns.changed() => self.travellers().into_iter().for_each(|it| self.0.hub.send_back(it)),
            }
        }
    }

    async fn give_up_calls(&self) {
        let known: Vec<(RoomId, CallId, bool)> =
            self.calls().iter().map(|(room, (call, idle))| (*room, *call, *idle)).collect();
        for (room, call, was_idle) in known {
            let idle = !self.0.rooms.keeps_call(room, call);
            if let Some(kept) = self.calls().get_mut(&room) {
                kept.1 = idle;
            }
            if idle && was_idle {
                self.calls().remove(&room);
                if let Err(error) = self.0.store.leave_seat_of(&call_of(room), self.0.node).await {
                    tracing::warn!(%error, "that a call is over could not be written down");
                }
            }
        }
    }

    /// Sees to it that the calls that are here are written down as this node's: its lease may have been over for a while, and
    /// what another node took meanwhile lives there.
    pub(super) async fn keep_calls(&self) {
        let known: Vec<RoomId> = self.calls().keys().copied().collect();
        if known.is_empty() {
            return;
        }
        let ours: HashSet<RoomId> = match self.0.store.things_of(self.0.node).await {
            Ok(things) => things.iter().filter_map(|thing| room_of(thing)).collect(),
            Err(error) => return tracing::warn!(%error, "what lives on this node could not be looked up"),
        };
        for room in known.into_iter().filter(|room| !ours.contains(room)) {
            match self.0.store.take_seat_of(&call_of(room), self.0.node).await {
                Ok(home) if home == self.0.node => {}
                Ok(home) => {
                    tracing::warn!(%room, %home, "another node has taken a call that was here: this node had no lease");
                    self.calls().remove(&room);
                    self.0.rooms.lose_call(room);
                }
                Err(error) => tracing::warn!(%error, "a call that is here could not be written down"),
            }
        }
    }

    async fn look_for_the_dead(&self) {
        let now: HashSet<NodeId> = match self.0.store.nodes().await {
            Ok(nodes) => nodes.into_iter().filter(|node| *node != self.0.node).collect(),
            Err(error) => return tracing::warn!(%error, "which nodes live could not be looked up"),
        };
        let before = std::mem::replace(&mut *self.living(), now.clone());
        for dead in before.difference(&now) {
            self.is_gone(*dead).await;
        }
        // One that has just begun may be known by frames already.
        self.ask_for_guests(&now.union(&before).copied().collect());
        self.forget_ended();
    }

    /// A node stops, and says so.
    pub(super) async fn stops(&self, node: NodeId) {
        // It does so itself; whoever comes at once is not to wait for that.
        if let Err(error) = self.0.store.end_node(node).await {
            tracing::warn!(%error, "a lease could not be ended; it ends by itself");
        }
        self.living().remove(&node);
        self.is_gone(node).await;
    }

    /// What lived on a node is lost: whom that concerns begins it anew.
    async fn is_gone(&self, node: NodeId) {
        self.guests().leave_with(node);
        for (session, lost) in self.trips_to(node) {
            for room in lost.calls {
                let ended = Fact::CallEnded { reason: EndReason::Broken, by: None };
                self.0.hub.tell_now(&Event::to_session(room, session, ended));
            }
            if lost.is_all {
                self.0.hub.begin_anew(session);
            }
        }
        match self.0.store.things_of(node).await {
            Ok(things) => {
                // Who only watches has a list of people that are there no more.
                for room in things.iter().filter_map(|thing| room_of(thing)) {
                    // Nobody takes part there any more, and nobody there can say so.
                    self.0.rooms.heard(node, PeerWord::Emptied(room));
                    self.0.hub.send_back_all_of(room);
                }
            }
            Err(error) => tracing::warn!(%error, "what lived on a node that is gone could not be looked up"),
        }
    }

    fn waiting(&self) -> MutexGuard<'_, HashMap<u64, oneshot::Sender<Outcome>>> {
        self.0.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn calls(&self) -> MutexGuard<'_, HashMap<RoomId, (CallId, bool)>> {
        self.0.calls.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn living(&self) -> MutexGuard<'_, HashSet<NodeId>> {
        self.0.living.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
