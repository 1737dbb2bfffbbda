//! What a session missed because the bus lost it, or brought it too late: it is told once somebody has found it in the database.
//! Until then what came after it waits, so that every session hears of a room in one order.

use std::sync::{Arc, PoisonError};

use tokio::sync::mpsc;

use super::{Hub, fan::Fan};
use crate::domain::{Event, Position, RoomId};

impl Hub {
    /// From now on: rooms in which an event was missed. Whoever asks is to bring it by [`Hub::mend`], or to say by
    /// [`Hub::give_up`] that it cannot be found.
    pub fn gaps(&self) -> mpsc::UnboundedReceiver<RoomId> {
        // Unbounded, yet each room is told of only when it has come to miss something.
        let (sender, receiver) = mpsc::unbounded_channel();
        *self.0.gaps.lock().unwrap_or_else(PoisonError::into_inner) = Some(sender);
        receiver
    }

    /// Up to where the sessions know a room that have missed an event; `None`: none has.
    pub fn behind(&self, room: RoomId) -> Option<Position> {
        let fan = self.rooms().get(&room).cloned()?;
        fan.lock().unwrap_or_else(PoisonError::into_inner).behind()
    }

    /// Up to where all sessions know each room that any is in.
    pub fn positions(&self) -> Vec<(RoomId, Position)> {
        let rooms: Vec<_> = self.rooms().iter().map(|(room, fan)| (*room, fan.clone())).collect();
        let known = |(room, fan): (RoomId, Arc<std::sync::Mutex<Fan>>)| {
            Some((room, fan.lock().unwrap_or_else(PoisonError::into_inner).known()?))
        };
        rooms.into_iter().filter_map(known).collect()
    }

    /// Tells a room's events, in order and without gap, to the sessions that do not know them.
    pub fn mend(&self, room: RoomId, missed: Vec<Event>) {
        let missed: Vec<_> = missed.into_iter().map(Arc::new).collect();
        self.with_fan(room, |fan| fan.mend(&missed));
    }

    /// Closes the sockets that miss an event which cannot be found; they may come back, and are told that they missed something.
    pub fn give_up(&self, room: RoomId) {
        self.with_fan(room, |fan| fan.give_up());
    }

    /// Closes the sockets that know a room no further than that; they may come back, as after [`Hub::give_up`].
    pub fn cut_at(&self, room: RoomId, known: Position) {
        self.with_fan(room, |fan| fan.cut_at(known));
    }

    pub(super) fn tell_gap(&self, room: RoomId) {
        if let Some(gaps) = &*self.0.gaps.lock().unwrap_or_else(PoisonError::into_inner) {
            // Without a receiver the sockets go on waiting, and are cut off as slow ones are.
            let _ = gaps.send(room);
        }
    }
}
