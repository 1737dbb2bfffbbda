//! Sessions of other nodes that are guests here.

use std::collections::{HashMap, HashSet};
use std::sync::{Arc, MutexGuard, PoisonError};

use tokio::task::JoinHandle;

use super::Neighbours;
use crate::domain::{
    NodeId, Session, SessionId,
    peer::{PeerWord, Visitor},
};
use crate::hub::{Outbox, Outgoing};

/// Frames that are brought home at once …
const AT_ONCE: usize = 64;
/// … and bytes, but for a frame that is longer by itself: a word has a bound.
const BYTES_AT_ONCE: usize = 256 * 1024;
/// Guests that one word asks for.
const ASKED_AT_ONCE: usize = 500;

/// Where guests are at home, and who brings them what they are told.
#[derive(Default)]
pub(super) struct Guests(HashMap<SessionId, (NodeId, JoinHandle<()>)>);

impl Guests {
    /// A node is gone: its people are as good as lost, and have as long to come back as others have.
    pub(super) fn leave_with(&mut self, node: NodeId) {
        self.0.retain(|_, (home, carrier)| {
            if *home == node {
                // Nobody empties the queue any more, which tells the hub.
                carrier.abort();
            }
            *home != node
        });
    }

    pub(super) fn forget(&mut self, session: SessionId) {
        self.0.remove(&session);
    }

    /// Who is at home where.
    fn by_home(&self) -> HashMap<NodeId, Vec<SessionId>> {
        let mut found: HashMap<NodeId, Vec<SessionId>> = HashMap::new();
        for (session, (home, _)) in &self.0 {
            found.entry(*home).or_default().push(*session);
        }
        found
    }
}

impl Neighbours {
    /// A session of another node for whom something is to be done here. `None`: it is none of another node.
    pub fn welcome(&self, home: NodeId, visitor: Visitor) -> Option<Arc<Session>> {
        let id = visitor.session;
        // Under the lock, so that no carrier replaces a newer one.
        let mut guests = self.guests();
        let visit = self.0.hub.receive(id, visitor.caller)?;
        if let Some(outbox) = visit.outbox {
            let carrier = tokio::spawn(self.clone().carry(home, id, outbox));
            guests.0.insert(id, (home, carrier));
        }
        drop(guests);
        Some(visit.session)
    }

    /// Brings a guest home what it is told here.
    async fn carry(self, to: NodeId, session: SessionId, mut outbox: Outbox) {
        let mut before = 0;
        loop {
            let (mut frames, mut bytes, mut is_over) = (Vec::new(), 0, false);
            let mut next = Some(outbox.next().await);
            while let Some(out) = next {
                match out {
                    Outgoing::Frame(text) => {
                        bytes += text.len();
                        frames.push(String::from_utf8_lossy(&text).into_owned());
                    }
                    Outgoing::Close(_) => is_over = true,
                }
                let is_full = frames.len() >= AT_ONCE || bytes >= BYTES_AT_ONCE;
                next = if is_over || is_full { None } else { outbox.take() };
            }
            let count = frames.len() as u64;
            if count > 0 {
                self.0.bus.tell_nodes(|| PeerWord::Frames { to, session, before, frames });
            }
            before += count;
            if is_over {
                // What it has missed it finds by coming back.
                let before = before + 1;
                self.0.bus.tell_nodes(|| PeerWord::Frames { to, session, before, frames: Vec::new() });
                return;
            }
        }
    }

    /// Asks the other nodes which of their sessions that are guests here are over: the word that says so may have been lost, or
    /// have come before the errand that made them guests. Those of nodes that do not live are over with them.
    pub(super) fn ask_for_guests(&self, living: &HashSet<NodeId>) {
        let by_home = self.guests().by_home();
        for (to, guests) in by_home {
            if !living.contains(&to) {
                self.guests().leave_with(to);
                continue;
            }
            for part in guests.chunks(ASKED_AT_ONCE) {
                self.0.bus.tell_nodes(|| PeerWord::Known { to, sessions: part.to_vec() });
            }
        }
    }

    pub(super) fn guests(&self) -> MutexGuard<'_, Guests> {
        self.0.guests.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
