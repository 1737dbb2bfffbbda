//! Sessions of other nodes that are guests here, and what other nodes tell those of this one.

use std::sync::{Arc, atomic::Ordering};

use bytes::Bytes;

use super::{Hub, Live, Outbox, outbox::Lane};
use crate::domain::{Caller, Event, RoomId, Session, SessionChange, SessionId};
use crate::metrics::SOCKETS;
use crate::proto::CloseCode;

/// A guest.
pub struct Visit {
    /// Its session here.
    pub session: Arc<Session>,
    /// What is to be brought to its own node, for whoever takes it there; with each guest that is new.
    pub outbox: Option<Outbox>,
}

impl Hub {
    /// A session of another node, as a guest: it is told what its frames bring, and no notices, which its own node tells it. `None`:
    /// it is at home here.
    pub fn receive(&self, id: SessionId, caller: Caller) -> Option<Visit> {
        let mut sessions = self.sessions();
        let is_known = sessions.all.contains_key(&id);
        let live = sessions.all.entry(id).or_insert_with(|| Live { is_guest: true, ..Live::new(&caller) });
        if !live.is_guest {
            return None;
        }
        (live.family, live.role) = (caller.family, caller.user.role);
        let outbox = if live.lane.is_some() {
            None
        } else {
            live.socket += 1;
            let (lane, outbox) = Lane::new(self.clone(), id, live.socket);
            live.lane = Some(lane);
            metrics::gauge!(SOCKETS).increment(1.0);
            Some(outbox)
        };
        let session = Arc::new(Session::new(id, live.socket, caller, live.over.clone()));
        if is_known && outbox.is_some() {
            metrics::gauge!(crate::metrics::SESSIONS_LOST).decrement(1.0);
            self.changed(SessionChange::Resumed(id));
        }
        drop(sessions);
        Some(Visit { session, outbox })
    }

    /// What became of a guest's socket, as its own node tells.
    pub fn guest_changed(&self, change: SessionChange) {
        let sessions = self.sessions();
        let Some(live) = sessions.all.get(&change.session()).filter(|live| live.is_guest) else { return };
        let socket = live.socket;
        match change {
            SessionChange::Ended(id) => self.end_in(sessions, id, socket),
            SessionChange::Lost(_) | SessionChange::Resumed(_) if live.over.load(Ordering::Acquire) => {}
            SessionChange::Lost(_) | SessionChange::Resumed(_) => self.changed(change),
        }
    }

    /// Tells a session of this node what another node has for it.
    pub fn bring(&self, session: SessionId, frames: Vec<String>) {
        let lane = self.lane_of(session);
        for frame in frames.into_iter().filter(|_| lane.is_some()) {
            if let Some(lane) = &lane {
                lane.push(Bytes::from(frame));
            }
        }
    }

    /// Tells an event at once, before anything else that is done to whom it concerns.
    pub fn tell_now(&self, event: &Event) {
        self.tell(&Arc::new(event.clone()));
    }

    /// Closes a session's socket, so that its client comes back at once and takes up everything as it is by then.
    pub fn send_back(&self, session: SessionId) {
        if let Some(lane) = self.lane_of(session) {
            lane.close(CloseCode::TooSlow);
        }
    }

    /// The same for all who listen to a room.
    pub fn send_back_all_of(&self, room: RoomId) {
        let inside = |(id, live): (&SessionId, &Live)| live.rooms.contains(&room).then_some(*id);
        let sessions: Vec<SessionId> = self.sessions().all.iter().filter_map(inside).collect();
        for session in sessions {
            self.send_back(session);
        }
    }

    /// Ends a session whose part elsewhere is lost: its client begins a new one.
    pub fn begin_anew(&self, session: SessionId) {
        let sessions = self.sessions();
        let Some(live) = sessions.all.get(&session).filter(|live| !live.is_guest) else { return };
        if let Some(lane) = &live.lane {
            lane.close(CloseCode::TooSlow);
        }
        let socket = live.socket;
        self.end_in(sessions, session, socket);
    }

    /// Whether a session is at home here.
    pub fn is_at_home(&self, session: SessionId) -> bool {
        self.sessions().all.get(&session).is_some_and(|live| !live.is_guest)
    }

    fn lane_of(&self, session: SessionId) -> Option<Lane> {
        self.sessions().all.get(&session).filter(|live| !live.is_guest)?.lane.clone()
    }
}
