//! Rooms of two strangers whom the server put together: nobody else comes in, and nothing that is written there is stored.

use tokio::sync::mpsc;

use super::{Rooms, lobby::Lobby};
use crate::domain::{
    CallId, Door, Event, Fact, Refusal, Room, RoomId, RoomKind, UserId, Visibility, matching::MatchMode,
    peer::stream_of, room::LeftReason,
};
use crate::store::RoomRecord;

/// Seats of such a room.
const STRANGERS: u32 = 2;

/// Somebody has left a room of strangers for good, with all their tabs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Leaving {
    /// Which.
    pub room: RoomId,
    /// Who.
    pub user: UserId,
    /// Why.
    pub reason: LeftReason,
}

impl Rooms {
    /// Makes a room for two strangers, of which both are members. In text mode its call carries no tracks.
    ///
    /// # Errors
    /// `internal`.
    pub async fn create_match(&self, mode: MatchMode, users: [UserId; 2]) -> Result<(RoomId, CallId), Refusal> {
        let room = Room::new(RoomKind::Match, mode.as_str().to_owned(), Visibility::Private, STRANGERS);
        let record = RoomRecord { room, call: CallId::new(), created_by: users[0], door: Door::default() };
        if let Some(node) = self.0.bus.node() {
            // First, so that whoever is told of the room finds it.
            self.0.store.take_seat_of(&stream_of(record.room.id), node).await?;
        }
        self.0.store.create_match_room(&record, users).await?;
        if mode == MatchMode::Text {
            self.lobby().orders_of(record.call).write_only();
        }
        Ok((record.room.id, record.call))
    }

    /// Two strangers part: whoever is still in their room is put out, and from now on there is no such room.
    pub fn close_match(&self, room: RoomId, call: CallId, users: [UserId; 2]) {
        // First of all nobody comes in any more: whoever is about to finds no stream, and rises again.
        self.0.store.close_match_room(room);
        let mut lobby = self.lobby();
        for user in users {
            self.0.bus.publish(&Event::to_user(room, user, Fact::Removed { reason: None }));
            for session in lobby.sessions_of(room, user) {
                self.rise_in(&mut lobby, session, room, LeftReason::Removed);
            }
        }
        lobby.orders.remove(&call);
        drop(lobby);
        if let Some(node) = self.0.bus.node() {
            let store = self.0.store.clone();
            tokio::spawn(async move {
                if let Err(error) = store.leave_seat_of(&stream_of(room), node).await {
                    tracing::warn!(%error, "that a room of strangers is over could not be written down");
                }
            });
        }
    }

    /// Whether somebody is in a room now.
    pub fn is_in(&self, room: RoomId, user: UserId) -> bool {
        !self.lobby().sessions_of(room, user).is_empty()
    }

    /// From now on: who leaves a room of strangers. Whoever asks last is told.
    pub fn leavings(&self) -> mpsc::UnboundedReceiver<Leaving> {
        // Unbounded, yet each leaving ends a match, and a match costs two searches that are limited.
        let (sender, receiver) = mpsc::unbounded_channel();
        self.lobby().leavings = Some(sender);
        receiver
    }
}

impl Lobby {
    /// Whether a room is one of strangers.
    pub(super) fn is_of_strangers(&self, room: RoomId) -> bool {
        self.rooms.get(&room).is_some_and(|room| room.record.room.kind == RoomKind::Match)
    }

    pub(super) fn tell_leaving(&self, room: RoomId, user: UserId, reason: LeftReason) {
        if let Some(leavings) = &self.leavings {
            // Without a receiver nobody puts strangers together.
            let _ = leavings.send(Leaving { room, user, reason });
        }
    }
}
