//! Who is in which room at this moment.

use std::collections::{BTreeSet, HashMap, HashSet};
use std::sync::Arc;
use std::time::Instant;

use tokio::sync::mpsc;

use super::{
    Listed,
    call::{CallSeats, HeldChange},
    elsewhere::Elsewhere,
    orders::{AllOrders, Orders},
    quality::Qualities,
    strangers::Leaving,
    streams::Stream,
};
use crate::domain::{
    Action, CallId, Caller, Controls, Door, Member, Refusal, Role, Room, RoomId, Seat, Session, SessionId, SiteRole,
    Standing, User, UserId, call::Call, can, trust::Earned,
};
use crate::metrics::{ROOMS, SEATS};
use crate::store::RoomRecord;

/// Members that the state of a room names; a larger room only has a number.
pub(super) const NAMED: usize = 100;

/// Everybody who is in a room. Empty rooms are not here.
#[derive(Default)]
pub(super) struct Lobby {
    pub(super) rooms: HashMap<RoomId, LiveRoom>,
    /// Who is there by other nodes.
    pub(super) elsewhere: Elsewhere,
    /// Where each session sits, so that its end finds all its seats.
    pub(super) seats: HashMap<SessionId, HashSet<RoomId>>,
    /// Where each call takes place.
    pub(super) calls: HashMap<CallId, RoomId>,
    /// What holds for calls, also for those that nobody is in now.
    pub(super) orders: AllOrders,
    /// At which doors each session waits, so that its end finds them.
    pub(super) waits: HashMap<SessionId, HashMap<RoomId, CallId>>,
    /// The sessions that are streams.
    pub(super) streams: HashMap<SessionId, Stream>,
    /// Where to tell who leaves a room of strangers.
    pub(super) leavings: Option<mpsc::UnboundedSender<Leaving>>,
    /// Sessions whose socket is gone.
    pub(super) lost: HashSet<SessionId>,
    /// People of whom nobody is to know.
    pub(super) hidden: HashSet<UserId>,
    /// What is known of the lines of calls.
    pub(super) qualities: Qualities,
    /// Counts the times that somebody came into a room.
    stays: u64,
    /// Counts the changes of roles, in rooms and on the site: whoever applies a role that they read before must see that none came
    /// in between.
    pub(super) role_changes: u64,
    /// The same for the doors of rooms.
    pub(super) door_changes: u64,
}

/// A room with somebody inside.
pub(super) struct LiveRoom {
    pub(super) record: RoomRecord,
    pub(super) people: HashMap<UserId, Presence>,
    /// Order of arrival, for the list of members.
    order: BTreeSet<(u64, UserId)>,
    /// Whose each session is, so that nobody's end needs a look at all.
    owners: HashMap<SessionId, UserId>,
    /// Those of the people of whom nobody is to know.
    hidden: HashSet<UserId>,
    /// How many of the people are here by other nodes too.
    pub(super) twice: usize,
    pub(super) call: CallSeats,
}

/// Somebody who is there, in one or more tabs.
pub(super) struct Presence {
    pub(super) member: Member,
    pub(super) standing: Standing,
    pub(super) sessions: HashSet<SessionId>,
    /// What they have earned on the site, as it was when they came in or showed a fresh token.
    pub(super) earned: Earned,
    /// Whether they have taken part in the call and not left it: a lock does not keep them from it.
    pub(super) took_part: bool,
    /// Which stay this is, of all that anybody had anywhere.
    pub(super) stay: u64,
}

/// What a session that rises leaves behind.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Risen {
    /// Its owner is still there, in another tab.
    Stays,
    /// Nobody: that stay of theirs is over.
    Gone { user: UserId, stay: u64 },
}

impl Lobby {
    /// Gives a session its seat. Somebody who is there already needs no other one. Whether they are new to the room.
    pub(super) fn sit(&mut self, session: &Session, record: RoomRecord, role: Role) -> Result<bool, Refusal> {
        if session.is_over() {
            // Its end has been told already, and would not be told again.
            return Err(Refusal::NotFound);
        }
        let (id, user) = (record.room.id, &session.caller.user);
        let (limit, call) = (record.room.max_participants, record.call);
        let is_open = self.rooms.contains_key(&id);
        let room = self.rooms.entry(id).or_insert_with(|| LiveRoom::new(record));
        let is_elsewhere = self.elsewhere.is_in(id, user.id);
        let is_new = !room.people.contains_key(&user.id) && !is_elsewhere;
        if is_new && room.people.len() + self.elsewhere.number_besides(id, Some(room)) >= limit as usize {
            return Err(Refusal::RoomFull { limit });
        }
        if !is_open {
            self.calls.insert(call, id);
            metrics::gauge!(ROOMS).increment(1.0);
        }
        self.stays += 1;
        let is_new = room.arrive(session, role, self.stays);
        room.twice += usize::from(is_new && is_elsewhere);
        room.set_hidden(user.id, self.hidden.contains(&user.id));
        self.seats.entry(session.id).or_default().insert(id);
        Ok(is_new)
    }

    /// Takes a session's seat away. `None`: it had none.
    pub(super) fn rise(&mut self, session: SessionId, id: RoomId) -> Option<Risen> {
        let seats = self.seats.get_mut(&session)?;
        if !seats.remove(&id) {
            return None;
        }
        if seats.is_empty() {
            self.seats.remove(&session);
        }
        let room = self.rooms.get_mut(&id)?;
        let left = room.depart(session)?;
        if let Risen::Gone { user, .. } = left
            && self.elsewhere.is_in(id, user)
        {
            room.twice = room.twice.saturating_sub(1);
        }
        if room.people.is_empty()
            && let Some(room) = self.rooms.remove(&id)
        {
            self.calls.remove(&room.record.call);
            if let Some(orders) = self.orders.get_mut(&room.record.call) {
                orders.set_empty(true, Instant::now());
            }
            metrics::gauge!(ROOMS).decrement(1.0);
        }
        Some(left)
    }

    /// Proof that a session is in a room.
    pub(super) fn seat(&self, session: &Arc<Session>, id: RoomId) -> Option<Seat> {
        let room = self.rooms.get(&id)?;
        let presence = room.people.get(&session.caller.user.id)?;
        if !presence.sessions.contains(&session.id) {
            return None;
        }
        // The socket's own idea of its owner is as old as its token; what the site says now is here.
        let session = if session.caller.user.role == presence.standing.site {
            session.clone()
        } else {
            let user = User { role: presence.standing.site, ..session.caller.user.clone() };
            Arc::new(session.renewed(Caller { user, ..session.caller.clone() }))
        };
        Some(Seat {
            session,
            room: id,
            kind: room.record.room.kind,
            role: Some(presence.member.role),
            online: self.online(id),
            rules: room.record.room.rules(),
            earned: presence.earned,
            muted_until: presence.standing.muted_until,
        })
    }

    /// The sessions of one person in a room.
    pub(super) fn sessions_of(&self, id: RoomId, user: UserId) -> Vec<SessionId> {
        let presence = self.rooms.get(&id).and_then(|room| room.people.get(&user));
        presence.map(|presence| presence.sessions.iter().copied().collect()).unwrap_or_default()
    }

    /// All seats of one person, in all rooms.
    pub(super) fn seats_of(&self, user: UserId) -> Vec<(SessionId, RoomId)> {
        let theirs = self.rooms.iter().filter_map(|(id, room)| Some((*id, room.people.get(&user)?)));
        theirs.flat_map(|(id, presence)| presence.sessions.iter().map(move |session| (*session, id))).collect()
    }

    pub(super) fn listed(&self, room: Room, members: u32) -> Listed {
        let online = self.online(room.id);
        Listed { room, online, members }
    }

    /// Somebody has another role on the site from now on. The rooms that they are in.
    pub(super) fn set_site_role(&mut self, user: UserId, role: SiteRole) -> Vec<RoomId> {
        let mut changed = Vec::new();
        for (id, room) in &mut self.rooms {
            if let Some(presence) = room.people.get_mut(&user).filter(|presence| presence.standing.site != role) {
                presence.standing.site = role;
                changed.push(*id);
            }
        }
        changed
    }

    /// Somebody has earned that by now.
    pub(super) fn set_earned(&mut self, user: UserId, earned: Earned) {
        for room in self.rooms.values_mut() {
            if let Some(presence) = room.people.get_mut(&user) {
                presence.earned = earned;
            }
        }
    }

    /// A room's call as everybody sees it.
    pub(super) fn call(&self, room: RoomId, call: CallId) -> Call {
        let live = self.rooms.get(&room);
        let participants = live.map(|room| room.call.shown()).unwrap_or_default();
        let viewers = live.map(|room| room.call.viewers()).unwrap_or_default();
        let recording = self.orders.get(&call).and_then(Orders::recording).cloned();
        Call { call_id: call, participants, viewers, recording, controls: self.controls(call) }
    }

    /// What the hosts of a call have settled.
    pub(super) fn controls(&self, call: CallId) -> Controls {
        self.orders.get(&call).map(|orders| orders.hosted.controls()).unwrap_or_default()
    }

    /// What holds for a call, to be changed.
    pub(super) fn orders_of(&mut self, call: CallId) -> &mut Orders {
        self.orders.of(call, !self.calls.contains_key(&call), Instant::now())
    }

    /// Sees to it that the door of a room stands as the database says. What is known here is never older.
    pub(super) fn know_door(&mut self, record: &RoomRecord) {
        if record.door != Door::default() && !self.orders.contains(&record.call) {
            self.orders_of(record.call).hosted.set_door(record.door);
        }
    }

    /// What somebody is who is in a room.
    pub(super) fn standing_of(&self, room: RoomId, user: UserId) -> Option<Standing> {
        Some(self.rooms.get(&room)?.people.get(&user)?.standing)
    }

    /// Whether somebody in a room is a host of its call.
    pub(super) fn is_host(&self, room: RoomId, user: UserId) -> bool {
        self.rooms.get(&room).is_some_and(|room| room.is_host(user))
    }

    /// Whether the room is told when the owner of this session comes or goes.
    pub(super) fn tells_of(&self, session: SessionId, room: RoomId) -> bool {
        let Some(room) = self.rooms.get(&room) else { return false };
        room.owners.get(&session).is_some_and(|user| room.tells_of(*user))
    }

    /// The hosts that are in a room, by whatever node: of those elsewhere, who is one by their role in the room.
    pub(super) fn hosts_of(&self, id: RoomId) -> Vec<UserId> {
        let room = self.rooms.get(&id);
        let here = room.into_iter().flat_map(|room| room.people.keys().copied().filter(|user| room.is_host(*user)));
        let hosts = |member: &&Member| can(Standing::of(Some(member.role), SiteRole::Member), Action::HostCall);
        here.chain(self.elsewhere.besides(id, room).filter(hosts).map(|member| member.user_id)).collect()
    }

    /// A session waits at a door no more. Whose door it was; `None`: it did not wait there.
    pub(super) fn waits_no_more(&mut self, session: SessionId, room: RoomId) -> Option<CallId> {
        let rooms = self.waits.get_mut(&session)?;
        let call = rooms.remove(&room);
        if rooms.is_empty() {
            self.waits.remove(&session);
        }
        call
    }

    /// The room in which that call takes place now.
    pub(super) fn room_of_call(&mut self, call: CallId) -> Option<(RoomId, &mut LiveRoom)> {
        let id = *self.calls.get(&call)?;
        Some((id, self.rooms.get_mut(&id)?))
    }
}

impl Presence {
    pub(super) fn set_role(&mut self, role: Role) {
        self.member.role = role;
        self.standing.room = Some(role);
    }
}

impl LiveRoom {
    fn new(record: RoomRecord) -> Self {
        let call = CallSeats::new(record.room.kind.is_for_an_audience());
        let (people, order, owners, hidden) = Default::default();
        Self { record, people, order, owners, hidden, twice: 0, call }
    }

    fn arrive(&mut self, session: &Session, role: Role, stay: u64) -> bool {
        let user = &session.caller.user;
        let standing = Standing::of(Some(role), user.role);
        self.owners.insert(session.id, user.id);
        if let Some(presence) = self.people.get_mut(&user.id) {
            presence.standing.site = user.role;
            presence.sessions.insert(session.id);
            return false;
        }
        let member = Member { user_id: user.id, nickname: user.nickname.clone(), role };
        let sessions = HashSet::from([session.id]);
        let earned = Earned::default();
        self.people.insert(user.id, Presence { member, standing, sessions, earned, took_part: false, stay });
        self.order.insert((stay, user.id));
        metrics::gauge!(SEATS).increment(1.0);
        true
    }

    fn depart(&mut self, session: SessionId) -> Option<Risen> {
        let user = self.owners.remove(&session)?;
        let presence = self.people.get_mut(&user)?;
        presence.sessions.remove(&session);
        if !presence.sessions.is_empty() {
            return Some(Risen::Stays);
        }
        let stay = presence.stay;
        self.people.remove(&user);
        self.order.remove(&(stay, user));
        self.hidden.remove(&user);
        metrics::gauge!(SEATS).decrement(1.0);
        Some(Risen::Gone { user, stay })
    }

    /// How many are there, without those of whom nobody is to know.
    pub(super) fn online(&self) -> u32 {
        u32::try_from(self.people.len().saturating_sub(self.hidden.len())).unwrap_or(u32::MAX)
    }

    /// Whether somebody is here and others may know of it.
    pub(super) fn sees(&self, user: UserId) -> bool {
        self.people.contains_key(&user) && !self.hidden.contains(&user)
    }

    /// Those of whom others may know.
    pub(super) fn seen(&self) -> impl Iterator<Item = &Presence> {
        self.people.values().filter(|presence| !self.hidden.contains(&presence.member.user_id))
    }

    /// The first to come, up to 100; of an audience its hosts.
    pub(super) fn members(&self) -> Vec<Member> {
        let named = self.order.iter().filter(|(_, user)| self.tells_of(*user)).take(NAMED);
        named.filter_map(|(_, user)| self.people.get(user)).map(|it| it.member.clone()).collect()
    }

    /// Whether somebody here is a host of the call.
    pub(super) fn is_host(&self, user: UserId) -> bool {
        self.people.get(&user).is_some_and(|presence| can(presence.standing, Action::HostCall))
    }

    /// Shows what of everybody's tracks is held now, and what no more; what has changed by that.
    pub(super) fn show_held(&mut self, orders: Option<&Orders>, shuts: bool) -> Vec<HeldChange> {
        let people = &self.people;
        let is_host = |user| people.get(&user).is_some_and(|it: &Presence| can(it.standing, Action::HostCall));
        self.call.show_held(orders, is_host, shuts)
    }

    /// Whether the room is told when this person comes or goes: of an audience only when they are a host, and of nobody who hides.
    pub(super) fn tells_of(&self, user: UserId) -> bool {
        let is_of_audience = self.record.room.kind.is_for_an_audience() && !self.is_host(user);
        !is_of_audience && !self.hidden.contains(&user)
    }

    /// Nobody is to know of somebody who is here, or everybody again.
    pub(super) fn set_hidden(&mut self, user: UserId, hidden: bool) {
        if hidden && self.people.contains_key(&user) {
            self.hidden.insert(user);
        } else {
            self.hidden.remove(&user);
        }
    }

    pub(super) fn has_calls(&self) -> bool {
        self.record.room.kind.has_calls()
    }
}
