//! What sessions of this node do on others.

use std::collections::{HashMap, HashSet};
use std::sync::{MutexGuard, PoisonError};

use super::Neighbours;
use crate::domain::{NodeId, RoomId, SessionChange, SessionId, peer::PeerWord};

/// What one session does elsewhere.
#[derive(Default)]
pub(super) struct Trips {
    rooms: HashMap<RoomId, Trip>,
    /// Where it searches for a stranger, or has found one.
    matcher: Option<NodeId>,
    /// All nodes that know of it, …
    hosts: HashSet<NodeId>,
    /// … and how many frames of each have come.
    heard: HashMap<NodeId, u64>,
}

/// What a session does in a room that lives elsewhere.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Trip {
    /// It takes part in the call there; all else of the room is here.
    Call(NodeId),
    /// All of the room is there.
    Room(NodeId),
}

/// What a session has lost with a node.
pub(super) struct Lost {
    /// Its parts in calls.
    pub(super) calls: Vec<RoomId>,
    /// All that it has there, which nothing brings back.
    pub(super) is_all: bool,
}

impl Neighbours {
    /// What a session does in a room that lives elsewhere.
    pub fn trip(&self, session: SessionId, room: RoomId) -> Option<Trip> {
        self.trips().get(&session)?.rooms.get(&room).copied()
    }

    /// Whether a session does anything in rooms that live elsewhere.
    pub fn travels(&self, session: SessionId) -> bool {
        self.trips().get(&session).is_some_and(|its| !its.rooms.is_empty())
    }

    /// A session does that from now on.
    pub fn set_out(&self, session: SessionId, room: RoomId, trip: Trip) {
        let (Trip::Call(node) | Trip::Room(node)) = trip;
        let mut trips = self.trips();
        let its = trips.entry(session).or_default();
        its.hosts.insert(node);
        its.rooms.insert(room, trip);
    }

    /// A session does nothing any more in a room that lives elsewhere; what it did.
    pub fn come_back(&self, session: SessionId, room: RoomId) -> Option<Trip> {
        self.trips().get_mut(&session)?.rooms.remove(&room)
    }

    /// Where a session searches for a stranger, if elsewhere.
    pub fn matcher_of(&self, session: SessionId) -> Option<NodeId> {
        self.trips().get(&session)?.matcher
    }

    /// A session searches there from now on. `None`: here.
    pub fn set_matcher_of(&self, session: SessionId, node: Option<NodeId>) {
        let mut trips = self.trips();
        if let Some(node) = node {
            let its = trips.entry(session).or_default();
            its.hosts.insert(node);
            its.matcher = Some(node);
        } else if let Some(its) = trips.get_mut(&session) {
            its.matcher = None;
        }
    }

    /// The nodes that know of a session.
    pub(super) fn hosts_of(&self, session: SessionId) -> Vec<NodeId> {
        self.trips().get(&session).map(|its| its.hosts.iter().copied().collect()).unwrap_or_default()
    }

    /// Tells a node which of these sessions, guests there, have ended, or have nothing there that is known of.
    pub(super) fn tell_over(&self, to: NodeId, sessions: Vec<SessionId>) {
        for session in sessions.into_iter().filter(|session| !self.hosts_of(*session).contains(&to)) {
            self.0.bus.tell_nodes(|| PeerWord::Guest { to, change: SessionChange::Ended(session) });
        }
    }

    /// Forgets what sessions do elsewhere that have ended while they were about to.
    pub(super) fn forget_ended(&self) {
        self.trips().retain(|session, _| self.0.hub.is_at_home(*session));
    }

    /// The sessions that are somewhere else.
    pub(super) fn travellers(&self) -> Vec<SessionId> {
        self.trips().keys().copied().collect()
    }

    /// Takes what sessions had on a node that is gone.
    pub(super) fn trips_to(&self, node: NodeId) -> Vec<(SessionId, Lost)> {
        let mut found = Vec::new();
        for (session, its) in self.trips().iter_mut() {
            if !its.hosts.remove(&node) {
                continue;
            }
            its.heard.remove(&node);
            let searched = its.matcher.take_if(|matcher| *matcher == node).is_some();
            let mut lost = Lost { calls: Vec::new(), is_all: searched };
            its.rooms.retain(|room, trip| {
                match trip {
                    Trip::Call(home) if *home == node => lost.calls.push(*room),
                    Trip::Room(home) if *home == node => lost.is_all = true,
                    Trip::Call(_) | Trip::Room(_) => return true,
                }
                false
            });
            found.push((*session, lost));
        }
        found
    }

    /// Brings a session what it is told elsewhere. What was lost on the way shows by the number, and the session begins over.
    pub(super) fn bring(&self, from: NodeId, session: SessionId, before: u64, frames: Vec<String>) {
        {
            let mut trips = self.trips();
            // Whoever has been there has an entry until the session ends, or the node is taken for dead: what such a one still says
            // is of what has ended here.
            let Some(its) = trips.get_mut(&session).filter(|its| its.hosts.contains(&from)) else {
                drop(trips);
                return self.tell_over(from, vec![session]);
            };
            let heard = its.heard.entry(from).or_default();
            let missed = before != 0 && before != *heard;
            *heard = before.saturating_add(frames.len() as u64);
            if missed {
                drop(trips);
                return self.0.hub.send_back(session);
            }
        }
        self.0.hub.bring(session, frames);
    }

    pub(super) fn trips(&self) -> MutexGuard<'_, HashMap<SessionId, Trips>> {
        self.0.trips.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
