//! Who is in which room at this moment.

use std::collections::{BTreeSet, HashMap, HashSet};
use std::sync::Arc;

use super::{Listed, call::CallSeats};
use crate::domain::{
    CallId, Member, Refusal, Role, Room, RoomId, RoomKind, Seat, Session, SessionId, Standing, UserId,
};
use crate::metrics::{ROOMS, SEATS};
use crate::store::RoomRecord;

/// Members that the state of a room names; a larger room only has a number.
const NAMED: usize = 100;

/// Everybody who is in a room. Empty rooms are not here.
#[derive(Default)]
pub(super) struct Lobby {
    pub(super) rooms: HashMap<RoomId, LiveRoom>,
    /// Where each session sits, so that its end finds all its seats.
    pub(super) seats: HashMap<SessionId, HashSet<RoomId>>,
    /// Where each call takes place.
    pub(super) calls: HashMap<CallId, RoomId>,
    /// Sessions whose socket is gone.
    pub(super) lost: HashSet<SessionId>,
}

/// A room with somebody inside.
pub(super) struct LiveRoom {
    pub(super) record: RoomRecord,
    pub(super) people: HashMap<UserId, Presence>,
    /// Arrival order, for the list of members.
    order: BTreeSet<(u64, UserId)>,
    arrivals: u64,
    pub(super) call: CallSeats,
}

/// Somebody who is there, in one or more tabs.
pub(super) struct Presence {
    pub(super) member: Member,
    pub(super) standing: Standing,
    pub(super) sessions: HashSet<SessionId>,
    arrival: u64,
}

/// Whether somebody's coming or going is news to the room.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum News {
    /// It is: this was their first or last session there.
    Yes,
    /// It is not.
    No,
}

impl Lobby {
    /// Gives a session its seat. Somebody who is there already needs no other one.
    pub(super) fn sit(&mut self, session: &Session, record: RoomRecord, role: Role) -> Result<News, Refusal> {
        let (id, user) = (record.room.id, &session.caller.user);
        let (limit, call) = (record.room.max_participants, record.call);
        let is_open = self.rooms.contains_key(&id);
        let room = self.rooms.entry(id).or_insert_with(|| LiveRoom::new(record));
        if !room.people.contains_key(&user.id) && room.people.len() >= limit as usize {
            return Err(Refusal::RoomFull { limit });
        }
        if !is_open {
            self.calls.insert(call, id);
            metrics::gauge!(ROOMS).increment(1.0);
        }
        let news = room.arrive(session, role);
        self.seats.entry(session.id).or_default().insert(id);
        Ok(news)
    }

    /// Takes a session's seat away. `None`: it had none.
    pub(super) fn rise(&mut self, session: SessionId, id: RoomId) -> Option<(UserId, News)> {
        let seats = self.seats.get_mut(&session)?;
        if !seats.remove(&id) {
            return None;
        }
        if seats.is_empty() {
            self.seats.remove(&session);
        }
        let room = self.rooms.get_mut(&id)?;
        let left = room.depart(session)?;
        if room.people.is_empty()
            && let Some(room) = self.rooms.remove(&id)
        {
            self.calls.remove(&room.record.call);
            metrics::gauge!(ROOMS).decrement(1.0);
        }
        Some(left)
    }

    /// Proof that a session is in a room.
    pub(super) fn seat(&self, session: &Arc<Session>, id: RoomId) -> Option<Seat> {
        let room = self.rooms.get(&id)?;
        let presence = room.people.get(&session.caller.user.id)?;
        presence.sessions.contains(&session.id).then(|| Seat {
            session: session.clone(),
            room: id,
            kind: room.record.room.kind,
            role: Some(presence.member.role),
            online: room.online(),
        })
    }

    /// The sessions of one person in a room.
    pub(super) fn sessions_of(&self, id: RoomId, user: UserId) -> Vec<SessionId> {
        let presence = self.rooms.get(&id).and_then(|room| room.people.get(&user));
        presence.map(|presence| presence.sessions.iter().copied().collect()).unwrap_or_default()
    }

    pub(super) fn listed(&self, room: Room) -> Listed {
        let online = self.rooms.get(&room.id).map_or(0, LiveRoom::online);
        Listed { room, online }
    }

    /// The room in which that call takes place now.
    pub(super) fn room_of_call(&mut self, call: CallId) -> Option<(RoomId, &mut LiveRoom)> {
        let id = *self.calls.get(&call)?;
        Some((id, self.rooms.get_mut(&id)?))
    }
}

impl LiveRoom {
    fn new(record: RoomRecord) -> Self {
        Self { record, people: HashMap::new(), order: BTreeSet::new(), arrivals: 0, call: CallSeats::default() }
    }

    fn arrive(&mut self, session: &Session, role: Role) -> News {
        let user = &session.caller.user;
        let standing = Standing { room: Some(role), site: user.role };
        if let Some(presence) = self.people.get_mut(&user.id) {
            presence.standing.site = user.role;
            presence.sessions.insert(session.id);
            return News::No;
        }
        self.arrivals += 1;
        let arrival = self.arrivals;
        let member = Member { user_id: user.id, nickname: user.nickname.clone(), role };
        let sessions = HashSet::from([session.id]);
        self.people.insert(user.id, Presence { member, standing, sessions, arrival });
        self.order.insert((arrival, user.id));
        metrics::gauge!(SEATS).increment(1.0);
        News::Yes
    }

    fn depart(&mut self, session: SessionId) -> Option<(UserId, News)> {
        let (user, presence) = self.people.iter_mut().find(|(_, presence)| presence.sessions.contains(&session))?;
        let user = *user;
        presence.sessions.remove(&session);
        if !presence.sessions.is_empty() {
            return Some((user, News::No));
        }
        let arrival = presence.arrival;
        self.people.remove(&user);
        self.order.remove(&(arrival, user));
        metrics::gauge!(SEATS).decrement(1.0);
        Some((user, News::Yes))
    }

    pub(super) fn online(&self) -> u32 {
        u32::try_from(self.people.len()).unwrap_or(u32::MAX)
    }

    /// The first to come, up to 100.
    pub(super) fn members(&self) -> Vec<Member> {
        let named = self.order.iter().take(NAMED);
        named.filter_map(|(_, user)| self.people.get(user)).map(|it| it.member.clone()).collect()
    }

    pub(super) fn has_calls(&self) -> bool {
        self.record.room.kind == RoomKind::Call
    }
}
