//! Streams that are in memory and nowhere else: those of rooms whose text is never stored.
//!
//! They keep the same rules as stored ones: offsets without a gap, one message for a client id, edits by the author alone, and events
//! that leave in order by the same channel. What they do not keep is everything: the last events only, and nothing of a room
//! that is over, except that for a moment it can still be reported.

use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::mpsc;
use tokio::time::Instant;

use super::{
    Recovery,
    changes::Applied,
    messages::Stretch,
    versions::version_of,
    writer::{Change, Committed, Written},
};
use crate::domain::{
    Event, Fact, Message, MessageId, Origin, Position, Refusal, RoomId, Time, UserId, message::Version,
};
use crate::metrics::MESSAGES;
use stream::{Kept, Stream};

mod stream;

/// Events that one change makes at most.
const FACTS: usize = 2;
/// How long what was written in a room that is over can still be reported.
const AFTERWARDS: Duration = Duration::from_secs(120);
/// Rooms that are over and remembered; beyond, the oldest are forgotten.
const OVER: usize = 1_024;

/// The streams in memory. Clones share them.
#[derive(Clone)]
pub(super) struct Memory(Arc<Inner>);

struct Inner {
    rooms: Mutex<Rooms>,
    /// `None` once the store is closed.
    committed: Mutex<Option<mpsc::Sender<Event>>>,
}

#[derive(Default)]
struct Rooms {
    open: HashMap<RoomId, Stream>,
    /// What was written in rooms that are over, and when that was; the oldest first.
    over: VecDeque<(Instant, RoomId, VecDeque<Kept>)>,
}

impl Memory {
    pub(super) fn new(committed: mpsc::Sender<Event>) -> Self {
        Self(Arc::new(Inner { rooms: Mutex::default(), committed: Mutex::new(Some(committed)) }))
    }

    /// Tells nothing more, so that whoever listens comes to an end.
    pub(super) fn stop(&self) {
        self.0.committed.lock().unwrap_or_else(PoisonError::into_inner).take();
    }

    pub(super) fn open(&self, room: RoomId) {
        self.rooms().open.insert(room, Stream::new());
    }

    pub(super) fn close(&self, room: RoomId) {
        let mut rooms = self.rooms();
        if let Some(stream) = rooms.open.remove(&room)
            && !stream.messages.is_empty()
        {
            rooms.over.push_back((Instant::now(), room, stream.messages));
        }
        rooms.forget();
    }

    /// Forgets what can be reported no more.
    pub(super) fn forget(&self) {
        self.rooms().forget();
    }

    pub(super) fn is_open(&self, room: RoomId) -> bool {
        self.rooms().open.contains_key(&room)
    }

    /// Changes a room's stream. `None`: it is not in memory.
    pub(super) async fn change(&self, room: RoomId, origin: Option<&Origin>, change: &Change) -> Option<Written> {
        if !self.is_open(room) {
            return None;
        }
        let committed = self.0.committed.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let Some(committed) = committed else {
            return Some(Err(Refusal::Internal("the store is closed".to_owned())));
        };
        // The places in the channel first: what has its offset must be told, and in the order of the offsets.
        // Without a receiver (a tool that only writes) there is nobody to tell.
        let mut places = committed.reserve_many(FACTS).await.ok();
        let mut rooms = self.rooms();
        let Some(stream) = rooms.open.get_mut(&room) else { return Some(Err(Refusal::NotFound)) };
        let (fact, and) = match stream.apply(change) {
            Ok(Applied::Happened(fact, and)) => (fact, and.map(|it| *it)),
            Ok(Applied::Already(message)) => return Some(Ok(Committed::Already(message))),
            Ok(Applied::Refused(refusal)) | Err(refusal) => return Some(Err(refusal)),
        };
        if matches!(fact, Fact::MessageSent(_)) {
            metrics::counter!(MESSAGES).increment(1);
        }
        let event = stream.append(room, origin.cloned(), fact);
        // Nothing of such a room is kept, so no message takes files.
        let first = event.position.map(|position| Committed::Fresh(position, Vec::new()));
        let more = and.map(|fact| stream.append(room, None, fact));
        for event in [Some(event), more].into_iter().flatten() {
            if let Some(place) = places.as_mut().and_then(Iterator::next) {
                place.send(event);
            }
        }
        first.map(Ok)
    }

    /// The stream as it is now, for somebody who knows it up to `known`. `None`: it is not in memory.
    pub(super) fn recover(&self, room: RoomId, known: Option<Position>) -> Option<Recovery> {
        let rooms = self.rooms();
        let stream = rooms.open.get(&room)?;
        let position = stream.last;
        if let Some(missed) = known.and_then(|known| stream.missed(known)) {
            return Some(Recovery { position, recovered: Some(true), messages: Vec::new(), missed });
        }
        let messages = stream.messages.iter().map(Kept::shown).collect();
        Some(Recovery { position, recovered: known.map(|_| false), messages, missed: Vec::new() })
    }

    /// One message. `None`: the room is not in memory.
    pub(super) fn message(&self, room: RoomId, id: MessageId) -> Option<Option<Message>> {
        let rooms = self.rooms();
        let messages = &rooms.open.get(&room)?.messages;
        Some(messages.iter().find(|kept| kept.message.id == id).map(Kept::shown))
    }

    /// Messages, newest first. The outer `None`: the room is not in memory; the inner one: there is none to start from.
    pub(super) fn messages(
        &self,
        room: RoomId,
        limit: u32,
        stretch: Stretch,
        thread: Option<MessageId>,
    ) -> Option<Option<Vec<Message>>> {
        let rooms = self.rooms();
        let messages = &rooms.open.get(&room)?.messages;
        let place = match stretch.from() {
            Some(from) => match messages.iter().position(|kept| kept.message.id == from) {
                Some(place) => place,
                None => return Some(None),
            },
            None => messages.len(),
        };
        let is_wanted = |kept: &&Kept| thread.is_none() || kept.message.content.thread_id == thread;
        let older = |end: usize, limit: usize| messages.iter().take(end).rev().filter(is_wanted).take(limit);
        let newer = |limit: usize| messages.iter().skip(place + 1).filter(is_wanted).take(limit).collect::<Vec<_>>();
        let limit = limit as usize;
        let found: Vec<&Kept> = match stretch {
            Stretch::Newest | Stretch::Before(_) => older(place, limit).collect(),
            Stretch::After(_) => newer(limit).into_iter().rev().collect(),
            Stretch::Around(_) => {
                let after = newer(limit / 2);
                let rest = limit - after.len();
                after.into_iter().rev().chain(older(place + 1, rest)).collect()
            }
        };
        Some(Some(found.into_iter().map(Kept::shown).collect()))
    }

    /// Pinned messages, the last pinned first. `None`: the room is not in memory.
    pub(super) fn pinned(&self, room: RoomId) -> Option<Vec<Message>> {
        let rooms = self.rooms();
        let mut pinned: Vec<_> = rooms.open.get(&room)?.messages.iter().map(Kept::shown).collect();
        pinned.retain(|message| message.pinned_at.is_some());
        pinned.sort_by_key(|message| std::cmp::Reverse((message.pinned_at, message.id)));
        Some(pinned)
    }

    /// Who reacts to a message with an emoji, first come first. `None`: the room is not in memory.
    pub(super) fn reactors(&self, room: RoomId, id: MessageId, emoji: &str) -> Option<Vec<UserId>> {
        let rooms = self.rooms();
        let kept = rooms.open.get(&room)?.messages.iter().find(|kept| kept.message.id == id);
        Some(kept.and_then(|kept| kept.reactors.get(emoji)).cloned().unwrap_or_default())
    }

    /// What somebody chose in a poll. `None`: the room is not in memory.
    pub(super) fn choices(&self, room: RoomId, id: MessageId, user: UserId) -> Option<Vec<u32>> {
        let rooms = self.rooms();
        let kept = rooms.open.get(&room)?.messages.iter().find(|kept| kept.message.id == id);
        Some(kept.and_then(|kept| kept.votes.get(&user)).cloned().unwrap_or_default())
    }

    /// All that a message has said, oldest first. `None`: no such message here.
    pub(super) fn versions(&self, room: RoomId, id: MessageId) -> Option<Vec<Version>> {
        let rooms = self.rooms();
        let kept = rooms.open.get(&room)?.messages.iter().find(|kept| kept.message.id == id)?;
        Some(kept.versions.iter().cloned().chain([version_of(&kept.message)]).collect())
    }

    /// Messages whose time is over, and whose they are.
    pub(super) fn expired(&self, now: Time) -> Vec<(RoomId, MessageId, UserId)> {
        let rooms = self.rooms();
        let expiring = rooms.expiring().filter(|(_, _, expires_at)| *expires_at <= now);
        expiring.map(|(room, message, _)| (room, message.id, message.sender.id)).collect()
    }

    /// When the next message's time is over.
    pub(super) fn next_expiry(&self) -> Option<Time> {
        self.rooms().expiring().map(|(_, _, expires_at)| expires_at).min()
    }

    /// A message and up to `around` others before and as many after it, in order; deleted ones with their text. Also of a room
    /// that has just been closed. `None`: no such message here.
    pub(super) fn around(&self, room: RoomId, id: MessageId, around: u32) -> Option<Vec<Message>> {
        let mut rooms = self.rooms();
        rooms.forget();
        let over = || rooms.over.iter().find(|(_, it, _)| *it == room).map(|(_, _, messages)| messages);
        let messages = rooms.open.get(&room).map(|stream| &stream.messages).or_else(over)?;
        let at = messages.iter().position(|kept| kept.message.id == id)?;
        let first = at.saturating_sub(around as usize);
        let last = at.saturating_add(around as usize);
        Some(messages.iter().take(last.saturating_add(1)).skip(first).map(|kept| kept.message.clone()).collect())
    }

    fn rooms(&self) -> MutexGuard<'_, Rooms> {
        self.0.rooms.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Rooms {
    /// Messages that go by themselves.
    fn expiring(&self) -> impl Iterator<Item = (RoomId, &Message, Time)> {
        let messages =
            self.open.iter().flat_map(|(room, stream)| stream.messages.iter().map(|kept| (*room, &kept.message)));
        let messages = messages.filter(|(_, message)| !message.deleted);
        messages.filter_map(|(room, message)| Some((room, message, message.expires_at?)))
    }

    fn forget(&mut self) {
        while self.over.len() > OVER || self.over.front().is_some_and(|(since, ..)| since.elapsed() >= AFTERWARDS) {
            self.over.pop_front();
        }
    }
}

#[cfg(test)]
mod tests;
