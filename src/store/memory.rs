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
    NewMessage, Recovery, STATE_MESSAGES,
    writer::{Change, Committed, Written},
};
use crate::domain::{
    Audience, Epoch, Event, Fact, Message, MessageId, Origin, Position, Refusal, RoomId, Time, UserId,
};
use crate::metrics::MESSAGES;

/// Events, and messages, that a room remembers.
const EVENTS: usize = STATE_MESSAGES as usize;
/// Bytes of text that a room remembers, events and messages together, beyond which it forgets the oldest. The last event always stays.
const BYTES: usize = 64 * 1024;
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

struct Stream {
    last: Position,
    events: VecDeque<Event>,
    messages: VecDeque<Kept>,
    bytes: usize,
}

struct Kept {
    /// With its text, though it be deleted: for those who have to judge it.
    message: Message,
    hash: Vec<u8>,
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
        let last = Position { epoch: Epoch::new(), offset: 0 };
        let stream = Stream { last, events: VecDeque::new(), messages: VecDeque::new(), bytes: 0 };
        self.rooms().open.insert(room, stream);
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
        // The place in the channel first: what has its offset must be told, and in the order of the offsets.
        // Without a receiver (a tool that only writes) there is nobody to tell.
        let place = committed.reserve().await.ok();
        let mut rooms = self.rooms();
        let Some(stream) = rooms.open.get_mut(&room) else { return Some(Err(Refusal::NotFound)) };
        Some(stream.apply(change).map(|applied| match applied {
            Applied::Already(message) => Committed::Already(message),
            Applied::Happened(fact) => {
                let event = stream.append(room, origin.cloned(), fact);
                if matches!(event.fact, Fact::MessageSent(_)) {
                    metrics::counter!(MESSAGES).increment(1);
                }
                if let Some(place) = place {
                    place.send(event);
                }
                Committed::Fresh(stream.last)
            }
        }))
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

    /// Messages, newest first; those before `before`. The outer `None`: the room is not in memory; the inner one: no such message.
    pub(super) fn messages(&self, room: RoomId, limit: u32, before: Option<MessageId>) -> Option<Option<Vec<Message>>> {
        let rooms = self.rooms();
        let messages = &rooms.open.get(&room)?.messages;
        let end = match before {
            Some(before) => messages.iter().position(|kept| kept.message.id == before),
            None => Some(messages.len()),
        };
        Some(end.map(|end| messages.iter().take(end).rev().take(limit as usize).map(Kept::shown).collect()))
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
    fn forget(&mut self) {
        while self.over.len() > OVER || self.over.front().is_some_and(|(since, ..)| since.elapsed() >= AFTERWARDS) {
            self.over.pop_front();
        }
    }
}

enum Applied {
    Happened(Fact),
    Already(Option<Message>),
}

impl Stream {
    fn apply(&mut self, change: &Change) -> Result<Applied, Refusal> {
        match change {
            Change::Send(new) => self.send(new),
            Change::Edit { message, by, text } => self.edit(*message, *by, text),
            Change::Delete { message, by, anybodys } => self.delete(*message, *by, *anybodys),
            // Strangers are equals.
            Change::Role { .. } => Err(Refusal::NotFound),
        }
    }

    fn send(&mut self, new: &NewMessage) -> Result<Applied, Refusal> {
        let is_it = |kept: &&Kept| kept.message.sender.id == new.sender.id && kept.message.client_id == new.client_id;
        if let Some(kept) = self.messages.iter().find(is_it) {
            let is_same = kept.hash == new.content_hash();
            return if is_same { Ok(Applied::Already(Some(kept.shown()))) } else { Err(Refusal::Conflict) };
        }
        let message = new.message();
        self.bytes += message.content.text.len();
        self.messages.push_back(Kept { message: message.clone(), hash: new.content_hash() });
        Ok(Applied::Happened(Fact::MessageSent(message)))
    }

    fn edit(&mut self, id: MessageId, by: UserId, text: &str) -> Result<Applied, Refusal> {
        let kept = self.find(id, |message| message.sender.id == by && !message.deleted)?;
        let before = kept.message.content.text.len();
        text.clone_into(&mut kept.message.content.text);
        kept.message.edited_at = Some(Time::now());
        let edited = kept.message.clone();
        self.bytes = self.bytes + text.len() - before;
        Ok(Applied::Happened(Fact::MessageEdited(edited)))
    }

    fn delete(&mut self, id: MessageId, by: UserId, anybodys: bool) -> Result<Applied, Refusal> {
        let kept = self.find(id, |message| anybodys || message.sender.id == by)?;
        if kept.message.deleted {
            return Ok(Applied::Already(None));
        }
        kept.message.deleted = true;
        // No replay tells the text again.
        for event in &mut self.events {
            let (Fact::MessageSent(message) | Fact::MessageEdited(message)) = &mut event.fact else { continue };
            if message.id == id {
                self.bytes -= message.content.text.len();
                *message = message.clone().emptied();
            }
        }
        Ok(Applied::Happened(Fact::MessageDeleted { message: id, by }))
    }

    fn find(&mut self, id: MessageId, fits: impl Fn(&Message) -> bool) -> Result<&mut Kept, Refusal> {
        let mut messages = self.messages.iter_mut();
        messages.find(|kept| kept.message.id == id && fits(&kept.message)).ok_or(Refusal::NotFound)
    }

    /// Gives a fact its place, and forgets what is too much.
    fn append(&mut self, room: RoomId, origin: Option<Origin>, fact: Fact) -> Event {
        self.last.offset += 1;
        let event = Event { room, to: Audience::Everyone, position: Some(self.last), origin, fact };
        self.bytes += text_of(&event);
        self.events.push_back(Event { origin: None, ..event.clone() });
        while self.events.len() > EVENTS || (self.bytes > BYTES && self.events.len() > 1) {
            self.bytes -= self.events.pop_front().as_ref().map_or(0, text_of);
            self.forget_messages();
        }
        event
    }

    /// Forgets the oldest messages, so that there are never more than events, and none is there whose last event is not.
    fn forget_messages(&mut self) {
        while self.messages.len() > self.events.len() {
            self.bytes -= self.messages.pop_front().map_or(0, |kept| kept.message.content.text.len());
        }
    }

    /// The events after `known`. `None`: they cannot be told.
    fn missed(&self, known: Position) -> Option<Vec<Event>> {
        let count = self.last.offset.checked_sub(known.offset)?;
        let first = self.events.len().checked_sub(usize::try_from(count).ok()?)?;
        (known.epoch == self.last.epoch).then(|| self.events.range(first..).cloned().collect())
    }
}

impl Kept {
    fn shown(&self) -> Message {
        if self.message.deleted { self.message.clone().emptied() } else { self.message.clone() }
    }
}

/// Bytes of text in an event.
fn text_of(event: &Event) -> usize {
    match &event.fact {
        Fact::MessageSent(message) | Fact::MessageEdited(message) => message.content.text.len(),
        _ => 0,
    }
}

#[cfg(test)]
mod tests;
