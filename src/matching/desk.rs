//! Who searches, by which session, and what became of it.

use std::collections::{BTreeSet, HashMap, HashSet};
use std::time::Duration;

use super::Matching;
use super::matcher::{Matcher, Outcome};
use super::meeting::Meeting;
use super::opening::Opening;
use super::skips::Skips;
use super::wishes::{Standing, Wishes};
use crate::domain::{
    MatchId, Notice, RoomId, Session, SessionId, TicketId, Told, UserId,
    matching::{MatchMode, MatchNews, MatchSearching, MatchTimeout},
};
use crate::metrics::MATCH_WAITING;

/// Everybody who searches or has found somebody.
pub(super) struct Desk {
    pub(super) matcher: Matcher,
    pub(super) people: HashMap<UserId, Person>,
    sessions: HashMap<SessionId, UserId>,
    tickets: HashMap<TicketId, UserId>,
    pub(super) meetings: HashMap<MatchId, Meeting>,
    pub(super) rooms: HashMap<RoomId, MatchId>,
    /// When it is looked whether both have accepted, or have come.
    deadlines: BTreeSet<(u64, MatchId)>,
    /// Sessions whose socket is gone.
    pub(super) lost: HashSet<SessionId>,
    pub(super) skips: Skips,
}

/// Somebody, by the one session that searches for them.
pub(super) struct Person {
    pub(super) session: SessionId,
    pub(super) nickname: String,
    pub(super) wishes: Wishes,
    pub(super) standing: Standing,
    pub(super) doing: Doing,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Doing {
    /// By that ticket, which may be reserved: they are not told before it is certain.
    Searching(TicketId),
    /// They have found somebody.
    Meeting(MatchId),
    /// Nothing any more, and that is what they are told when their socket is back.
    Over(MatchNews),
}

impl Person {
    pub(super) fn new(session: SessionId, nickname: String, wishes: Wishes, standing: Standing) -> Self {
        // The ticket that nobody has: the search begins at once.
        let doing = Doing::Searching(TicketId::new());
        Self { session, nickname, wishes, standing, doing }
    }
}

impl Desk {
    pub(super) fn new(matcher: Matcher) -> Self {
        Self {
            matcher,
            people: HashMap::new(),
            sessions: HashMap::new(),
            tickets: HashMap::new(),
            meetings: HashMap::new(),
            rooms: HashMap::new(),
            deadlines: BTreeSet::new(),
            lost: HashSet::new(),
            skips: Skips::default(),
        }
    }

    pub(super) fn admit(&mut self, user: UserId, person: Person) {
        self.sessions.insert(person.session, user);
        self.people.insert(user, person);
    }

    /// Forgets somebody, and takes their ticket back. Not for those who meet: the other one must hear of it.
    pub(super) fn dismiss(&mut self, user: UserId) {
        let Some(person) = self.people.remove(&user) else { return };
        self.sessions.remove(&person.session);
        if let Doing::Searching(ticket) = person.doing {
            self.tickets.remove(&ticket);
            self.matcher.remove(ticket);
        }
    }

    pub(super) fn person_of(&self, session: SessionId) -> Option<(UserId, &Person)> {
        let user = *self.sessions.get(&session)?;
        Some((user, self.people.get(&user)?))
    }

    /// What a session's person does, if it is by this session.
    pub(super) fn doing_of(&self, session: &Session) -> Option<Doing> {
        self.person_of(session.id).map(|(_, person)| person.doing.clone())
    }

    pub(super) fn meeting_of(&self, session: &Session) -> Option<MatchId> {
        match self.doing_of(session)? {
            Doing::Meeting(id) => Some(id),
            Doing::Searching(_) | Doing::Over(_) => None,
        }
    }

    pub(super) fn meeting_between(&self, one: UserId, other: UserId) -> Option<MatchId> {
        let Doing::Meeting(id) = self.people.get(&one)?.doing else { return None };
        self.meetings.get(&id)?.users.contains(&other).then_some(id)
    }

    /// When a match is to be looked after next. Replaces what was set before.
    pub(super) fn set_deadline(&mut self, id: MatchId, at_ms: Option<u64>) {
        let Some(meeting) = self.meetings.get_mut(&id) else { return };
        if let Some(before_ms) = std::mem::replace(&mut meeting.deadline_ms, at_ms) {
            self.deadlines.remove(&(before_ms, id));
        }
        if let Some(at_ms) = at_ms {
            self.deadlines.insert((at_ms, id));
        }
    }

    /// A match that is to be looked after now; its deadline is over by that.
    pub(super) fn due(&mut self, now_ms: u64) -> Option<MatchId> {
        let (at_ms, id) = *self.deadlines.first()?;
        if at_ms > now_ms {
            return None;
        }
        self.set_deadline(id, None);
        Some(id)
    }

    /// Whose a ticket was that is gone from the matcher.
    pub(super) fn forget_ticket(&mut self, ticket: TicketId) -> Option<UserId> {
        self.tickets.remove(&ticket)
    }

    fn owner(&self, ticket: TicketId) -> Option<UserId> {
        self.tickets.get(&ticket).copied()
    }
}

impl Matching {
    /// Gives somebody, who does nothing else, a ticket; they are told. When the house is full, their search is over.
    pub(super) fn search(&self, desk: &mut Desk, user: UserId, request: Option<String>) {
        let Some(person) = desk.people.get_mut(&user) else { return };
        let id = TicketId::new();
        let (ticket, away) = (person.wishes.ticket(id, user, &person.standing), desk.lost.contains(&person.session));
        person.doing = Doing::Searching(id);
        desk.tickets.insert(id, user);
        if desk.matcher.add(ticket, self.now_ms()).is_err() {
            return self.time_out(desk, id);
        }
        if away {
            desk.matcher.hold(id);
        }
        self.tell_searching(desk, user, request);
    }

    /// Lets the matcher do what there is to do now. To be called after each change.
    pub(super) fn turn(&self, desk: &mut Desk) {
        for outcome in desk.matcher.tick(self.now_ms()) {
            match outcome {
                Outcome::Climbed { ticket, .. } => {
                    if let Some(user) = desk.owner(ticket) {
                        self.tell_searching(desk, user, None);
                    }
                }
                Outcome::TimedOut { ticket } => self.time_out(desk, ticket),
                Outcome::Reserved { reservation, tickets, shared } => {
                    let users = tickets.map(|ticket| desk.owner(ticket));
                    let [Some(one), Some(other)] = users else { continue };
                    tokio::spawn(self.clone().meet(Opening { reservation, users: [one, other], shared }));
                }
            }
        }
        for mode in MatchMode::ALL {
            metrics::gauge!(MATCH_WAITING, "mode" => mode.as_str()).set(desk.matcher.searching(mode) as f64);
        }
        self.0.stirred.notify_one();
    }

    fn time_out(&self, desk: &mut Desk, ticket_id: TicketId) {
        let Some(user) = desk.forget_ticket(ticket_id) else { return };
        self.finish(desk, user, MatchNews::Timeout(MatchTimeout { ticket_id }));
    }

    pub(super) fn tell_searching(&self, desk: &Desk, user: UserId, request: Option<String>) {
        let Some(Person { doing: Doing::Searching(ticket_id), wishes, .. }) = desk.people.get(&user) else { return };
        let Some((stage, expires_in_ms)) = desk.matcher.progress(*ticket_id) else { return };
        let estimated_wait_ms = desk.matcher.estimated_wait_ms(wishes.mode);
        let searching = MatchSearching { ticket_id: *ticket_id, stage, expires_in_ms, estimated_wait_ms };
        self.tell(desk, user, MatchNews::Searching(request, searching));
    }

    /// Tells somebody the last that there is to tell, and forgets them: once they are back, if they are away.
    pub(super) fn finish(&self, desk: &mut Desk, user: UserId, news: MatchNews) {
        let Some(person) = desk.people.get_mut(&user) else { return };
        if desk.lost.contains(&person.session) {
            person.doing = Doing::Over(news);
        } else {
            self.tell(desk, user, news);
            desk.dismiss(user);
        }
    }

    /// Tells somebody's session. Who is away is told where they stand when they are back.
    pub(super) fn tell(&self, desk: &Desk, user: UserId, news: MatchNews) {
        if let Some(person) = desk.people.get(&user)
            && !desk.lost.contains(&person.session)
        {
            self.0.bus.notify(&Notice::to_session(person.session, Told::Match(news)));
        }
    }

    /// How long until something happens by itself; `None`: not before somebody does something.
    pub(super) fn next_due(&self, desk: &Desk) -> Option<Duration> {
        let deadline = desk.deadlines.first().map(|(at_ms, _)| *at_ms);
        let at_ms = [desk.matcher.next_due_ms(), deadline].into_iter().flatten().min()?;
        Some(Duration::from_millis(at_ms.saturating_sub(self.now_ms())))
    }
}
