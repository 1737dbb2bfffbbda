//! The sessions of this node that listen to one room.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use bytes::Bytes;

use super::outbox::Lane;
use crate::domain::{Audience, Event, Fact, Position, SessionId, UserId, room::Entered};
use crate::proto::{CloseCode, RoomState, ServerBody, ServerFrame, You};

/// Events that a session which is just coming in may fall behind. More than that in the time of one query: it is too slow.
const JOINING_EVENTS: usize = 1_024;

/// Who listens to a room.
#[derive(Default)]
pub(super) struct Fan {
    ears: HashMap<SessionId, Ear>,
    /// Whose they are, so that what concerns one person is brought to them without a look at all.
    of_users: HashMap<UserId, HashSet<SessionId>>,
    /// Whether somebody has missed an event since it was asked last.
    gap: bool,
}

struct Ear {
    user: UserId,
    lane: Lane,
    /// Tells one attempt to come in from the next one of the same session.
    attempt: u64,
    phase: Phase,
}

enum Phase {
    /// The state of the room is being fetched; what happens meanwhile waits here. `before`: what it knew, when it joins again.
    Joining { waiting: Vec<Arc<Event>>, before: Option<Known> },
    /// Up to date.
    Live(Known),
    /// An event is missing; what comes after it waits here until it is found.
    Behind { waiting: Vec<Arc<Event>>, known: Known },
}

/// What a session knows of the room.
#[derive(Clone, Copy)]
struct Known {
    /// All events up to this one.
    last: Position,
    /// Which of its owner's stays this is.
    stay: u64,
}

/// The room as a session found it: frames, and up to where they go.
pub(super) struct Found {
    known: Known,
    frames: Vec<Bytes>,
}

/// An event and its text, made when the first session needs it and then shared by all.
struct Shared<'a> {
    event: &'a Event,
    text: Option<Bytes>,
}

impl Fan {
    /// From now on nothing that happens is missed.
    pub(super) fn begin(&mut self, session: SessionId, user: UserId, lane: Lane, attempt: u64) {
        let phase = match self.ears.remove(&session).map(|ear| ear.phase) {
            Some(Phase::Live(known)) => Phase::Joining { waiting: Vec::new(), before: Some(known) },
            Some(Phase::Behind { waiting, known }) => Phase::Joining { waiting, before: Some(known) },
            Some(joining) => joining,
            None => Phase::Joining { waiting: Vec::new(), before: None },
        };
        self.ears.insert(session, Ear { user, lane, attempt, phase });
        self.of_users.entry(user).or_default().insert(session);
    }

    /// The attempt failed. Who was in the room before it goes on from there, if they `may_stay`.
    pub(super) fn abandon(&mut self, session: SessionId, attempt: u64, may_stay: bool) {
        let Some(ear) = self.ears.get(&session).filter(|ear| ear.attempt == attempt) else { return };
        match ear.known() {
            Some(before) if may_stay => self.go_on(session, before),
            _ => self.remove(session),
        }
    }

    /// Sends what the session found, and what has happened since.
    pub(super) fn complete(&mut self, session: SessionId, attempt: u64, found: Found) {
        let Some(ear) = self.ears.get_mut(&session).filter(|ear| ear.attempt == attempt) else { return };
        for frame in found.frames {
            ear.lane.push(frame);
        }
        self.go_on(session, found.known);
    }

    /// Tells a session that has been joining, or was behind, what has waited for it.
    fn go_on(&mut self, session: SessionId, known: Known) {
        let Some(ear) = self.ears.get_mut(&session) else { return };
        let waiting = match std::mem::replace(&mut ear.phase, Phase::Live(known)) {
            Phase::Joining { waiting, .. } | Phase::Behind { waiting, .. } => waiting,
            Phase::Live(_) => Vec::new(),
        };
        // Who is put out hears nothing of what came after.
        let stays = waiting.iter().all(|event| ear.tell(session, &mut Shared { event, text: None }, event));
        self.gap |= ear.is_behind();
        if !stays {
            self.remove(session);
        }
    }

    pub(super) fn remove(&mut self, session: SessionId) {
        let Some(ear) = self.ears.remove(&session) else { return };
        if let Some(theirs) = self.of_users.get_mut(&ear.user) {
            theirs.remove(&session);
            if theirs.is_empty() {
                self.of_users.remove(&ear.user);
            }
        }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.ears.is_empty()
    }

    /// How many people listen.
    #[cfg(test)]
    pub(super) fn people(&self) -> usize {
        self.of_users.len()
    }

    /// Tells an event to whom it concerns. The sessions for which the room is over by it.
    pub(super) fn tell(&mut self, event: &Arc<Event>) -> Vec<SessionId> {
        let mut shared = Shared { event, text: None };
        let (mut over, mut gap) = (Vec::new(), false);
        let mut tell = |session: &SessionId, ear: &mut Ear| {
            if !ear.tell(*session, &mut shared, event) {
                over.push(*session);
            }
            gap |= ear.is_behind();
        };
        match event.to {
            Audience::Everyone => self.ears.iter_mut().for_each(|(session, ear)| tell(session, ear)),
            Audience::User(user) => {
                for session in self.of_users.get(&user).into_iter().flatten() {
                    self.ears.get_mut(session).into_iter().for_each(|ear| tell(session, ear));
                }
            }
            Audience::Session(one) => self.ears.get_mut(&one).into_iter().for_each(|ear| tell(&one, ear)),
        }
        self.gap |= gap;
        for session in &over {
            self.remove(*session);
        }
        over
    }

    /// Whether somebody has missed an event since this was asked last.
    pub(super) fn take_gap(&mut self) -> bool {
        std::mem::take(&mut self.gap)
    }

    /// Up to where everybody knows the room who has missed an event; `None`: nobody has.
    pub(super) fn behind(&self) -> Option<Position> {
        let behind = self.ears.values().filter_map(|ear| match &ear.phase {
            Phase::Behind { known, .. } => Some(known.last),
            Phase::Joining { .. } | Phase::Live(_) => None,
        });
        behind.min_by_key(|last| last.offset)
    }

    /// Up to where everybody knows the room who is in it.
    pub(super) fn known(&self) -> Option<Position> {
        let known = self.ears.values().filter_map(|ear| match &ear.phase {
            Phase::Behind { known, .. } | Phase::Live(known) => Some(known.last),
            Phase::Joining { .. } => None,
        });
        known.min_by_key(|last| last.offset)
    }

    /// Tells events that were missed, in order, to whoever does not know them, and then what has waited for them.
    pub(super) fn mend(&mut self, missed: &[Arc<Event>]) {
        let sessions: Vec<SessionId> = self.ears.keys().copied().collect();
        for session in sessions {
            let Some(ear) = self.ears.get_mut(&session) else { continue };
            let mut waiting = Vec::new();
            match &mut ear.phase {
                Phase::Joining { .. } => continue,
                Phase::Live(_) => {}
                Phase::Behind { waiting: later, known } => {
                    waiting = std::mem::take(later);
                    ear.phase = Phase::Live(*known);
                }
            }
            let mut events = missed.iter().chain(&waiting);
            let stays = events.all(|event| ear.tell(session, &mut Shared { event, text: None }, event));
            self.gap |= ear.is_behind();
            if !stays {
                self.remove(session);
            }
        }
    }

    /// What came after that cannot be found: whoever knows no more is to come in anew.
    pub(super) fn cut_at(&mut self, last: Position) {
        let knows_no_more = |ear: &&Ear| ear.known().is_some_and(|known| known.last.offset <= last.offset);
        for ear in self.ears.values().filter(knows_no_more) {
            ear.lane.cut(CloseCode::TooSlow);
        }
    }

    /// What was missed cannot be found: whoever misses it is to come in anew.
    pub(super) fn give_up(&mut self) {
        for ear in self.ears.values().filter(|ear| ear.is_behind()) {
            ear.lane.cut(CloseCode::TooSlow);
        }
    }
}

impl Ear {
    fn known(&self) -> Option<Known> {
        match self.phase {
            Phase::Joining { before, .. } => before,
            Phase::Live(known) | Phase::Behind { known, .. } => Some(known),
        }
    }

    fn is_behind(&self) -> bool {
        matches!(self.phase, Phase::Behind { .. })
    }

    /// Queues an event, or keeps it until the session is in, or has what came before. `false`: the room is over for this session.
    fn tell(&mut self, session: SessionId, shared: &mut Shared<'_>, event: &Arc<Event>) -> bool {
        match &mut self.phase {
            Phase::Joining { waiting, .. } if waiting.len() < JOINING_EVENTS => waiting.push(event.clone()),
            Phase::Joining { .. } => self.lane.cut(CloseCode::TooSlow),
            Phase::Live(known) if known.misses_before(event) => {
                self.phase = Phase::Behind { waiting: vec![event.clone()], known: *known };
            }
            Phase::Live(_) => return self.hear(session, shared),
            Phase::Behind { waiting, known } if event.position == Some(known.next()) => {
                // What was missing came by a longer way.
                let later = std::mem::take(waiting);
                self.phase = Phase::Live(*known);
                return self.hear(session, shared)
                    && later.iter().all(|event| self.tell(session, &mut Shared { event, text: None }, event));
            }
            Phase::Behind { waiting, .. } if waiting.len() < JOINING_EVENTS => waiting.push(event.clone()),
            Phase::Behind { .. } => self.lane.cut(CloseCode::TooSlow),
        }
        true
    }

    /// Queues an event unless the session knows it. `false`: the room is over for this session.
    fn hear(&mut self, session: SessionId, shared: &mut Shared<'_>) -> bool {
        let event = shared.event;
        if event.unseen_by.binary_search(&self.user).is_ok() {
            return true;
        }
        let own = event.origin.as_ref().filter(|origin| origin.session == session);
        let Phase::Live(known) = &mut self.phase else { return true };
        if let Some(at) = event.position {
            if at.epoch == known.last.epoch && at.offset <= known.last.offset {
                // The state that it was given contains this event already; only an answer is still owed.
                if let Some(request) = own.and_then(|origin| origin.request.clone()) {
                    let frame = ServerFrame { id: Some(request), epoch: None, offset: None, ..event.into() };
                    self.lane.push(frame.encode());
                }
                return true;
            }
            known.last = at;
        }
        // Whoever leaves by other means than this socket (another tab, REST) leaves with all sockets; but that somebody had left
        // is no news to them once they are back.
        let own_end = match event.fact {
            Fact::MemberLeft { user, stay, .. } if user == self.user => Some(stay >= known.stay),
            _ => None,
        };
        if own_end == Some(false) {
            return true;
        }
        match own {
            // Nobody is told what they know: that they came (the state of the room says it), and that they type.
            Some(_) if matches!(event.fact, Fact::MemberJoined(_) | Fact::Typing { .. }) => {}
            Some(origin) if origin.request.is_some() => {
                self.lane.push(ServerFrame { id: origin.request.clone(), ..event.into() }.encode());
            }
            _ => self.lane.push(shared.text()),
        }
        own_end.is_none() && !matches!(event.fact, Fact::Removed { .. })
    }
}

impl Known {
    /// Whether something between what is known and this event is not known.
    fn misses_before(self, event: &Event) -> bool {
        event.position.is_some_and(|at| at.epoch == self.last.epoch && at.offset > self.last.offset + 1)
    }

    /// The place of the next event.
    fn next(self) -> Position {
        Position { offset: self.last.offset + 1, ..self.last }
    }
}

impl Shared<'_> {
    fn text(&mut self) -> Bytes {
        self.text.get_or_insert_with(|| ServerFrame::from(self.event).encode()).clone()
    }
}

impl Found {
    /// Encodes what somebody found who came in: the state, the events that they missed, what concerns them alone.
    pub(super) fn new(request: Option<String>, entered: Entered) -> Self {
        let (room, position) = (entered.room.id, entered.position);
        let known = Known { last: position, stay: entered.stay };
        // A client that resumes counts on from its own position: the missed events follow with theirs.
        let shown = match entered.missed.first().and_then(|first| first.position) {
            Some(first) => Position { offset: first.offset - 1, ..first },
            None => position,
        };
        let state = RoomState {
            room: entered.room,
            you: You { role: entered.role },
            members: entered.members,
            online: entered.online,
            messages: entered.messages,
            recovered: entered.recovered,
            call: entered.call,
            unread: entered.unread,
        };
        let state = ServerFrame::reply(request, ServerBody::RoomState(state)).in_room(room).at(shown);
        let events = entered.missed.iter().chain(&entered.then);
        let frames = std::iter::once(state.encode()).chain(events.map(|event| ServerFrame::from(event).encode()));
        Self { known, frames: frames.collect() }
    }
}
