//! Rooms: making and finding them, who is in them now, and their calls.
//!
//! What lasts (rooms, memberships, removals) is in the store; who is there at this moment is in the [`lobby`], and dies with the
//! process.

mod call;
mod calls;
mod direct;
mod elsewhere;
mod hidden;
mod hosted;
mod hosting;
mod invites;
mod keeping;
mod keys;
mod lobby;
mod members;
mod orders;
mod pins;
mod quality;
mod ring;
mod ringing;
mod rung;
mod seats;
mod settings;
mod strangers;
mod streams;
mod telling;
#[cfg(test)]
mod tests;
mod visiting;
mod waiting;
mod watched;

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use serde::Deserialize;
use tokio::sync::mpsc;

use crate::bus::Bus;
use crate::clusters::Clusters;
use crate::domain::{
    CallId, Caller, Door, Refusal, Role, Room, RoomId, RoomKind, SessionChange, Visibility, call::Call,
};
use crate::limit::Limits;
use crate::sfu::{CallEvent, Sfu};
use crate::store::{Membership, RoomRecord, Store};
use invites::Key;
use lobby::Lobby;

pub use crate::store::Wanted;
pub use calls::Offer;
pub use direct::DIRECTS_LIMIT;
pub use keys::{NewStreamKey, STREAM_KEY_PREFIX, Streamer};
pub use ringing::Calling;
pub use rung::CALLS_LIMIT;
pub use settings::RoomChange;
pub use strangers::Leaving;
pub use streams::{STREAM_OFFER_LIMIT, StreamOffer, StreamPlace, Streaming};
pub use visiting::FoundCall;
pub use watched::Published;

/// The longest name of a room, in characters.
const NAME_LIMIT: usize = 100;
/// Rooms that one page of the list has at most.
pub const LIST_LIMIT: u32 = 100;

/// How large rooms may be.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Config {
    /// People in a call room at once, and what such a room has unless its maker asks for less.
    pub max_participants: u32,
    /// People in any other room at once.
    pub max_present: u32,
    /// How long a call rings, in milliseconds.
    pub ring_ms: u64,
    /// Calls that one person may start in an hour.
    pub calls_per_hour: u32,
    /// What rooms are sorted by in the directory.
    pub categories: Vec<String>,
    /// Whether the server looks at pictures (`PARLOR_SAMPLE_EVERY_MS`). If not, strangers' pictures wait for nothing.
    #[serde(skip)]
    pub sampled: bool,
    /// Whose rooms they are (`PARLOR_CLUSTERS_FILE`).
    #[serde(skip)]
    pub clusters: Clusters,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            max_participants: 50,
            max_present: 10_000,
            ring_ms: 45_000,
            calls_per_hour: 10,
            categories: categories(),
            sampled: true,
            clusters: Clusters::default(),
        }
    }
}

/// What rooms are sorted by where the operator names nothing else.
fn categories() -> Vec<String> {
    ["social", "gaming", "music", "art", "sports", "technology", "learning", "languages", "support", "dating", "other"]
        .map(str::to_owned)
        .to_vec()
}

/// The rooms. Clones share them.
#[derive(Clone)]
pub struct Rooms(Arc<Inner>);

struct Inner {
    config: Config,
    store: Store,
    bus: Bus,
    sfu: Sfu,
    limits: Limits,
    lobby: Mutex<Lobby>,
    /// Held while the door of a room changes.
    doors: tokio::sync::Mutex<()>,
    /// Locked after the lobby, never before it.
    rings: ringing::Rings,
}

/// A room that somebody wants to make.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewRoom {
    /// What for.
    pub kind: RoomKind,
    /// Its name.
    pub name: String,
    /// Who finds it and who may come in.
    pub visibility: Visibility,
    /// How many people at once; `None`: as many as such a room may hold.
    pub max_participants: Option<u32>,
}

/// A room as a list shows it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Listed {
    /// The room.
    pub room: Room,
    /// How many are there now.
    pub online: u32,
    /// How many belong to it.
    pub members: u32,
}

impl Rooms {
    /// Rooms over this store and bus, with their calls on this SFU.
    pub fn new(config: Config, store: Store, bus: Bus, sfu: Sfu, limits: Limits) -> Self {
        let (lobby, doors) = (Mutex::default(), tokio::sync::Mutex::default());
        Self(Arc::new(Inner { config, store, bus, sfu, limits, lobby, doors, rings: ringing::Rings::default() }))
    }

    /// Follows what becomes of sessions and calls until both channels close.
    pub async fn follow(
        self,
        mut sessions: mpsc::UnboundedReceiver<SessionChange>,
        mut calls: mpsc::Receiver<CallEvent>,
    ) {
        let mut turns = tokio::time::interval(quality::TELL_EVERY);
        turns.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        let is_over = |sessions: &mpsc::UnboundedReceiver<_>, calls: &mpsc::Receiver<_>| {
            sessions.is_closed() && sessions.is_empty() && calls.is_closed() && calls.is_empty()
        };
        while !is_over(&sessions, &calls) {
            tokio::select! {
                Some(change) = sessions.recv() => self.session_changed(change),
                Some(event) = calls.recv() => self.call_changed(event),
                _ = turns.tick() => self.tell_quality(),
            }
        }
    }

    /// Makes a room with the settings of its kind; its maker is its owner.
    ///
    /// # Errors
    /// As [`Self::create_with`].
    pub async fn create(&self, caller: &Caller, new: NewRoom) -> Result<Room, Refusal> {
        self.create_with(caller, new, RoomChange::default()).await
    }

    /// One room, for whoever may see it.
    ///
    /// # Errors
    /// `not_found` (no such room, or a private one of others), `removed`, `internal`.
    pub async fn look(&self, caller: &Caller, room: RoomId) -> Result<Listed, Refusal> {
        let record = self.visible(caller, room).await?;
        let members = self.0.store.member_count(room).await?;
        Ok(self.lobby().listed(record.room, members))
    }

    /// The call of a room.
    ///
    /// # Errors
    /// `not_found` (no such room, a private one of others, or one without calls), `removed`, `internal`.
    pub async fn call_id(&self, caller: &Caller, room: RoomId) -> Result<CallId, Refusal> {
        let record = self.visible(caller, room).await?;
        if record.room.kind.has_calls() { Ok(record.call) } else { Err(Refusal::NotFound) }
    }

    /// A call, and the room that it takes place in.
    ///
    /// # Errors
    /// `not_found` (no such call, or one in a private room of others), `removed`, `waiting`, `internal`.
    pub async fn call(&self, caller: &Caller, call: CallId) -> Result<(RoomId, Call), Refusal> {
        let record = self.0.store.room_of_call(call).await?.ok_or(Refusal::NotFound)?;
        let record = self.open_to(caller, record.room.id).await?;
        let lobby = self.lobby();
        Ok((record.room.id, lobby.call(record.room.id, call)))
    }

    /// Whether the rooms work: one sentence if not.
    ///
    /// # Errors
    /// The store does not answer, or no shard does.
    pub async fn health(&self) -> Result<(), String> {
        if let Err(error) = self.0.store.ping().await {
            tracing::error!(%error, "the store does not answer");
            return Err("The database does not answer.".to_owned());
        }
        if !self.0.sfu.is_alive() {
            return Err("A media thread has stopped.".to_owned());
        }
        Ok(())
    }

    /// The room, if this person may see it.
    async fn visible(&self, caller: &Caller, room: RoomId) -> Result<RoomRecord, Refusal> {
        self.found(caller, room).await.map(|(record, _)| record)
    }

    /// The room, if this person may see who is there and what they do.
    async fn open_to(&self, caller: &Caller, room: RoomId) -> Result<RoomRecord, Refusal> {
        let (record, role) = self.found(caller, room).await?;
        self.look_in(caller, &record, role)?;
        Ok(record)
    }

    /// The room, if this person may see it, and what they are in it.
    async fn found(&self, caller: &Caller, room: RoomId) -> Result<(RoomRecord, Option<Role>), Refusal> {
        let record = self.record(room).await?;
        self.check_cluster(caller, &record.room).await?;
        match self.0.store.membership(room, caller.user.id).await? {
            Membership::Removed => Err(Refusal::Removed),
            Membership::None if record.room.visibility == Visibility::Private => Err(Refusal::NotFound),
            Membership::None => Ok((record, None)),
            Membership::Member(role) => Ok((record, Some(role))),
        }
    }

    /// Refuses (`not_found`, `feature_off`) a room that is not there for people of the caller's cluster.
    async fn check_cluster(&self, caller: &Caller, room: &Room) -> Result<(), Refusal> {
        let cluster = if self.0.config.clusters.are_named() {
            self.0.store.cluster_of_room(room.id).await?.ok_or(Refusal::NotFound)?
        } else {
            caller.cluster.id.clone()
        };
        caller.cluster.admit(caller.user.role, &cluster, room.kind, room.settings.content_level)
    }

    /// The room, the role that this person has or would have in it, and whether they are new to it.
    async fn admit(&self, caller: &Caller, room: RoomId) -> Result<(RoomRecord, Role, bool), Refusal> {
        self.admit_by(caller, room, Key::Pin(None)).await
    }

    /// A room, and its door known to the lobby. A door that changed while the room was read is read again.
    async fn record(&self, room: RoomId) -> Result<RoomRecord, Refusal> {
        loop {
            let seen = self.lobby().door_changes;
            let record = self.0.store.room(room).await?.ok_or(Refusal::NotFound)?;
            let mut lobby = self.lobby();
            if record.door == Door::default() || lobby.orders.contains(&record.call) || lobby.door_changes == seen {
                lobby.know_door(&record);
                return Ok(record);
            }
        }
    }

    fn lobby(&self) -> MutexGuard<'_, Lobby> {
        self.0.lobby.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Does what changes two sides (store and lobby, lobby and SFU) even if whoever asked goes away in the middle: they must agree.
async fn to_its_end<T: Send + 'static>(
    work: impl Future<Output = Result<T, Refusal>> + Send + 'static,
) -> Result<T, Refusal> {
    tokio::spawn(work).await.unwrap_or_else(|error| Err(Refusal::Internal(error.to_string())))
}
