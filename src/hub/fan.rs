//! The sessions of this node that listen to one room.

use std::collections::HashMap;
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
}

struct Ear {
    user: UserId,
    lane: Lane,
    /// Tells one attempt to come in from the next one of the same session.
    attempt: u64,
    phase: Phase,
}

enum Phase {
    /// The state of the room is being fetched; what happens meanwhile waits here.
    Joining(Vec<Arc<Event>>),
    /// Up to date.
    Live(Position),
}

/// The room as a session found it: frames, and up to where they go.
pub(super) struct Found {
    position: Position,
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
        self.ears.insert(session, Ear { user, lane, attempt, phase: Phase::Joining(Vec::new()) });
    }

    /// The attempt failed.
    pub(super) fn abandon(&mut self, session: SessionId, attempt: u64) {
        if self.ears.get(&session).is_some_and(|ear| ear.attempt == attempt) {
            self.ears.remove(&session);
        }
    }

    /// Sends what the session found, and what has happened since.
    pub(super) fn complete(&mut self, session: SessionId, attempt: u64, found: Found) {
        let Some(ear) = self.ears.get_mut(&session).filter(|ear| ear.attempt == attempt) else {
            return;
        };
        let Phase::Joining(waiting) = std::mem::replace(&mut ear.phase, Phase::Live(found.position)) else {
            return;
        };
        for frame in found.frames {
            ear.lane.push(frame);
        }
        let mut stays = true;
        for event in waiting {
            stays &= ear.hear(session, &mut Shared { event: &event, text: None });
        }
        if !stays {
            self.ears.remove(&session);
        }
    }

    pub(super) fn remove(&mut self, session: SessionId) {
        self.ears.remove(&session);
    }

    pub(super) fn is_empty(&self) -> bool {
        self.ears.is_empty()
    }

    /// Tells an event to whom it concerns. The sessions for which the room is over by it.
    pub(super) fn tell(&mut self, event: &Arc<Event>) -> Vec<SessionId> {
        let mut shared = Shared { event, text: None };
        let mut over = Vec::new();
        for (session, ear) in &mut self.ears {
            let concerned = match event.to {
                Audience::Everyone => true,
                Audience::User(user) => user == ear.user,
                Audience::Session(one) => one == *session,
            };
            if !concerned {
                continue;
            }
            match &mut ear.phase {
                Phase::Joining(waiting) if waiting.len() < JOINING_EVENTS => waiting.push(event.clone()),
                Phase::Joining(_) => ear.lane.cut(CloseCode::TooSlow),
                Phase::Live(_) => {
                    if !ear.hear(*session, &mut shared) {
                        over.push(*session);
                    }
                }
            }
        }
        for session in &over {
            self.ears.remove(session);
        }
        over
    }
}

impl Ear {
    /// Queues an event unless the session knows it. `false`: the room is over for this session.
    fn hear(&mut self, session: SessionId, shared: &mut Shared<'_>) -> bool {
        let event = shared.event;
        let own = event.origin.as_ref().filter(|origin| origin.session == session);
        if let (Some(at), Phase::Live(last)) = (event.position, &mut self.phase) {
            if at.epoch == last.epoch && at.offset <= last.offset {
                // The state that it was given contains this event already; only an answer is still owed.
                if let Some(request) = own.and_then(|origin| origin.request.clone()) {
                    let frame = ServerFrame { id: Some(request), epoch: None, offset: None, ..event.into() };
                    self.lane.push(frame.encode());
                }
                return true;
            }
            *last = at;
        }
        match own {
            // Nobody is told what they know: that they came (the state of the room says it), and that they type.
            Some(_) if matches!(event.fact, Fact::MemberJoined(_) | Fact::Typing { .. }) => {}
            Some(origin) if origin.request.is_some() => {
                self.lane.push(ServerFrame { id: origin.request.clone(), ..event.into() }.encode());
            }
            _ => self.lane.push(shared.text()),
        }
        match event.fact {
            Fact::Removed { .. } => false,
            // Whoever leaves by other means than this socket (another tab, REST) leaves with all sockets.
            Fact::MemberLeft { user, .. } => user != self.user,
            _ => true,
        }
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
        };
        let state = ServerFrame::reply(request, ServerBody::RoomState(state)).in_room(room).at(shown);
        let events = entered.missed.iter().chain(&entered.then);
        let frames = std::iter::once(state.encode()).chain(events.map(|event| ServerFrame::from(event).encode()));
        Self { position, frames: frames.collect() }
    }
}
