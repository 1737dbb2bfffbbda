//! One stream in memory: the rules of stored ones ([`crate::store::changes`]), over what is remembered.

use std::collections::{BTreeMap, HashMap, VecDeque};

use crate::domain::{
    Epoch, Event, Fact, Message, MessageId, Origin, Position, Refusal, RoomId, Time, UserId,
    message::{ContentType, Thread, Version},
};
use crate::store::{
    NewMessage, STATE_MESSAGES,
    changes::{Applied, PINS, continued, is_edit, locked, open_thread, revise, too_many_pins},
    polls::{check_choices, recount},
    reactions::{check_kinds, count},
    versions::{VERSIONS, version_of},
    writer::{Change, EditOf},
};

/// Events, and messages, that a room remembers.
const EVENTS: usize = STATE_MESSAGES as usize;
/// Bytes that a room remembers, events and messages together, beyond which it forgets the oldest. The last event always stays.
pub(super) const BYTES: usize = 64 * 1024;
/// Bytes of what one message has said before that are remembered, beyond which those in the middle go.
const VERSION_BYTES: usize = 16 * 1024;
/// What one person's reaction or choice takes, in bytes.
const MARK: usize = 16;

pub(super) struct Stream {
    pub(super) last: Position,
    events: VecDeque<Event>,
    pub(super) messages: VecDeque<Kept>,
    bytes: usize,
}

pub(super) struct Kept {
    /// With its text, though it be deleted: for those who have to judge it.
    pub(super) message: Message,
    hash: Vec<u8>,
    /// Who reacts with what, first come first.
    pub(super) reactors: BTreeMap<String, Vec<UserId>>,
    /// Who chose what.
    pub(super) votes: HashMap<UserId, Vec<u32>>,
    /// What it said before.
    pub(super) versions: Vec<Version>,
}

impl Stream {
    pub(super) fn new() -> Self {
        let last = Position { epoch: Epoch::new(), offset: 0 };
        Self { last, events: VecDeque::new(), messages: VecDeque::new(), bytes: 0 }
    }

    pub(super) fn apply(&mut self, change: &Change) -> Result<Applied, Refusal> {
        match change {
            Change::Send(new) => self.send(new),
            Change::Delete { message, by, anybodys, erase } => self.delete(*message, *by, *anybodys, *erase),
            Change::Edit(edit) => self.change(edit.message, |kept| kept.edit(edit)),
            Change::React { message, user, emoji, on } => self.change(*message, |kept| kept.react(*user, emoji, *on)),
            Change::Pin { message, by, pinned } => {
                let pins = self.messages.iter().filter(|kept| kept.shown().pinned_at.is_some()).count();
                self.change(*message, |kept| kept.pin(*by, *pinned, pins))
            }
            Change::Vote { message, user, choices } => self.change(*message, |kept| kept.vote(*user, choices)),
            Change::Lock { message, locked } => self.change(*message, |kept| kept.lock(*locked)),
            // Strangers are equals.
            Change::Role { .. } | Change::House(_) => Err(Refusal::NotFound),
        }
    }

    fn send(&mut self, new: &NewMessage) -> Result<Applied, Refusal> {
        let is_it = |kept: &&Kept| kept.message.sender.id == new.sender.id && kept.message.client_id == new.client_id;
        if let Some(kept) = self.messages.iter().find(is_it) {
            let is_same = kept.hash == new.content_hash();
            return if is_same { Ok(Applied::Already(Some(Box::new(kept.shown())))) } else { Err(Refusal::Conflict) };
        }
        if !new.files.is_empty() {
            let why = "Nothing of this room is kept, so no files can come with its messages.";
            return Err(Refusal::bad_request("content.attachments", why));
        }
        let mut and = None;
        if let Some(root) = new.content.thread_id {
            let root = self.messages.iter_mut().find(|kept| kept.message.id == root);
            let shown = open_thread(root.as_ref().map(|kept| kept.shown()), new)?;
            let thread = Some(continued(shown.thread, new.at));
            if let Some(root) = root {
                root.message.thread = thread;
            }
            and = Some(Fact::ThreadChanged { message: shown.id, thread });
        }
        let message = new.message();
        let kept = Kept::new(message.clone(), new.content_hash());
        self.bytes += kept.bytes();
        self.messages.push_back(kept);
        Ok(Applied::Happened(Fact::MessageSent(Box::new(message)), and.map(Box::new)))
    }

    /// Changes a message that is not deleted.
    fn change(
        &mut self,
        id: MessageId,
        change: impl FnOnce(&mut Kept) -> Result<Option<Fact>, Refusal>,
    ) -> Result<Applied, Refusal> {
        let kept = self.messages.iter_mut().find(|kept| kept.message.id == id && !kept.message.deleted);
        let kept = kept.ok_or(Refusal::NotFound)?;
        let before = kept.bytes();
        let fact = change(kept)?;
        self.bytes = self.bytes + kept.bytes() - before;
        Ok(match fact {
            Some(fact) => Applied::Happened(fact, None),
            None => Applied::Already(Some(Box::new(kept.shown()))),
        })
    }

    fn delete(&mut self, id: MessageId, by: UserId, anybodys: bool, erase: bool) -> Result<Applied, Refusal> {
        let kept = self.messages.iter_mut().find(|kept| kept.message.id == id).ok_or(Refusal::NotFound)?;
        let is_own = kept.message.sender.id == by && kept.message.content.kind != ContentType::System;
        if !anybodys && !is_own {
            return Err(Refusal::NotFound);
        }
        if kept.message.deleted {
            return Ok(Applied::Already(None));
        }
        let before = kept.bytes();
        kept.message.deleted = true;
        kept.reactors.clear();
        kept.votes.clear();
        if erase {
            kept.message = kept.message.clone().emptied();
            kept.versions.clear();
        }
        self.bytes = self.bytes + kept.bytes() - before;
        let root = kept.message.content.thread_id;
        // No replay tells the text again.
        for event in &mut self.events {
            let before = text_of(event);
            let (Fact::MessageSent(message) | Fact::MessageEdited(message)) = &mut event.fact else { continue };
            if message.id == id {
                self.bytes -= before;
                **message = message.as_ref().clone().emptied();
            }
        }
        let and = root.and_then(|root| self.shorten(root));
        Ok(Applied::Happened(Fact::MessageDeleted { message: id, by }, and.map(Box::new)))
    }

    /// A thread has one reply less.
    fn shorten(&mut self, root: MessageId) -> Option<Fact> {
        let root = self.messages.iter_mut().find(|kept| kept.message.id == root)?;
        let thread = root.message.thread?;
        root.message.thread = Some(Thread { replies: thread.replies.saturating_sub(1), ..thread });
        Some(Fact::ThreadChanged { message: root.message.id, thread: root.message.thread })
    }

    /// Gives a fact its place, and forgets what is too much.
    pub(super) fn append(&mut self, room: RoomId, origin: Option<Origin>, fact: Fact) -> Event {
        self.last.offset += 1;
        let event = Event { position: Some(self.last), origin, ..Event::ephemeral(room, fact) };
        self.bytes += text_of(&event);
        self.events.push_back(Event { origin: None, ..event.clone() });
        while self.events.len() > EVENTS || (self.bytes > BYTES && self.events.len() > 1) {
            self.bytes -= self.events.pop_front().as_ref().map_or(0, text_of);
            self.forget_messages();
        }
        event
    }

    /// Forgets the oldest messages, so that there are never more than events.
    fn forget_messages(&mut self) {
        while self.messages.len() > self.events.len() {
            self.bytes -= self.messages.pop_front().map_or(0, |kept| kept.bytes());
        }
    }

    /// What it says it takes, and what it takes.
    #[cfg(test)]
    pub(super) fn counted(&self) -> usize {
        self.bytes
    }

    #[cfg(test)]
    pub(super) fn recounted(&self) -> usize {
        self.events.iter().map(text_of).sum::<usize>() + self.messages.iter().map(Kept::bytes).sum::<usize>()
    }

    /// The events after `known`. `None`: they cannot be told.
    pub(super) fn missed(&self, known: Position) -> Option<Vec<Event>> {
        let count = self.last.offset.checked_sub(known.offset)?;
        let first = self.events.len().checked_sub(usize::try_from(count).ok()?)?;
        (known.epoch == self.last.epoch).then(|| self.events.range(first..).cloned().collect())
    }
}

impl Kept {
    fn new(message: Message, hash: Vec<u8>) -> Self {
        Self { message, hash, reactors: BTreeMap::new(), votes: HashMap::new(), versions: Vec::new() }
    }

    pub(super) fn shown(&self) -> Message {
        if self.message.deleted { self.message.clone().emptied() } else { self.message.clone() }
    }

    /// What it takes, about.
    fn bytes(&self) -> usize {
        let reactors: usize = self.reactors.iter().map(|(emoji, users)| emoji.len() + users.len() * MARK).sum();
        bytes_of(&self.message) + self.versions_bytes() + reactors + self.votes.len() * 2 * MARK
    }

    fn versions_bytes(&self) -> usize {
        self.versions.iter().map(|version| version.text.len()).sum()
    }

    fn edit(&mut self, edit: &EditOf) -> Result<Option<Fact>, Refusal> {
        if !is_edit(&self.message, edit)? {
            return Ok(None);
        }
        self.versions.push(version_of(&self.message));
        while self.versions.len() > VERSIONS as usize
            || (self.versions.len() > 1 && self.versions_bytes() > VERSION_BYTES)
        {
            self.versions.remove(1);
        }
        revise(&mut self.message, edit);
        Ok(Some(Fact::MessageEdited(Box::new(self.message.clone()))))
    }

    fn react(&mut self, user: UserId, emoji: &str, on: bool) -> Result<Option<Fact>, Refusal> {
        let reacts = self.reactors.get(emoji).is_some_and(|users| users.contains(&user));
        if reacts == on {
            return Ok(None);
        }
        if on {
            check_kinds(&self.message.reactions, emoji)?;
            self.reactors.entry(emoji.to_owned()).or_default().push(user);
        } else if let Some(users) = self.reactors.get_mut(emoji) {
            users.retain(|it| *it != user);
        }
        let count = count(&mut self.message.reactions, emoji, on);
        if count == 0 {
            self.reactors.remove(emoji);
        }
        let (message, emoji) = (self.message.id, emoji.to_owned());
        Ok(Some(Fact::MessageReacted { message, emoji, user, added: on, count }))
    }

    fn pin(&mut self, by: UserId, pinned: bool, pins: usize) -> Result<Option<Fact>, Refusal> {
        if self.message.pinned_at.is_some() == pinned {
            return Ok(None);
        }
        if pinned && pins >= PINS as usize {
            return Err(too_many_pins());
        }
        self.message.pinned_at = pinned.then(Time::now);
        Ok(Some(Fact::MessagePinned { message: self.message.id, pinned_at: self.message.pinned_at, by }))
    }

    fn vote(&mut self, user: UserId, choices: &[u32]) -> Result<Option<Fact>, Refusal> {
        let choices = check_choices(&self.message.content, choices, Time::now())?;
        let before = self.votes.get(&user).cloned().unwrap_or_default();
        let Some(poll) = self.message.content.poll.as_mut().filter(|_| before != choices) else { return Ok(None) };
        recount(poll, &before, &choices);
        if choices.is_empty() {
            self.votes.remove(&user);
        } else {
            self.votes.insert(user, choices);
        }
        let votes = poll.options.iter().map(|option| option.votes).collect();
        Ok(Some(Fact::PollVoted { message: self.message.id, votes, voters: poll.voters }))
    }

    fn lock(&mut self, locks: bool) -> Result<Option<Fact>, Refusal> {
        let Some((_, shown)) = locked(&self.message, locks)? else { return Ok(None) };
        self.message.thread = shown;
        Ok(Some(Fact::ThreadChanged { message: self.message.id, thread: shown }))
    }
}

/// Bytes of text in an event.
fn text_of(event: &Event) -> usize {
    match &event.fact {
        Fact::MessageSent(message) | Fact::MessageEdited(message) => bytes_of(message),
        Fact::MessageReacted { emoji, .. } => emoji.len(),
        _ => 0,
    }
}

/// Bytes of text in a message. One that is deleted counts as long as its text is kept.
fn bytes_of(message: &Message) -> usize {
    let content = &message.content;
    let poll = content
        .poll
        .iter()
        .map(|poll| poll.question.len() + poll.options.iter().map(|option| option.text.len() + MARK).sum::<usize>());
    let hashtags: usize = content.hashtags.iter().map(String::len).sum();
    let reactions: usize = message.reactions.keys().map(String::len).sum();
    content.text.len() + poll.sum::<usize>() + hashtags + reactions + content.mentions.users.len() * MARK
}
