//! The door of a call: who may come in, who waits, and who is let in.

use std::time::Instant;

use super::{
    Rooms,
    hosted::{DENIED_FOR, Freed},
    lobby::Lobby,
};
use crate::domain::{
    Action, CallId, Caller, Event, Fact, Notice, Refusal, Role, RoomId, Seat, Session, SessionId, Standing, Told,
    UserId, Waiter, Waiting, can,
};
use crate::store::RoomRecord;

/// Calls that one session may wait for at once: a person looks at few pages.
const DOORS_LIMIT: usize = 20;

impl Rooms {
    /// Who waits to be let into a room's call, first come first.
    ///
    /// # Errors
    /// `forbidden`, `internal`.
    pub async fn waiters(&self, seat: &Seat) -> Result<Vec<Waiter>, Refusal> {
        const ACTION: Action = Action::HostCall;
        if !can(seat.standing(), ACTION) {
            return Err(Refusal::Forbidden { action: ACTION });
        }
        let call = self.record(seat.room).await?.call;
        Ok(self.lobby().orders.get(&call).map(|orders| orders.hosted.waiters()).unwrap_or_default())
    }

    /// Whether a session may come in now. If a host lets people in one by one, it waits from now on, and the hosts hear of it.
    ///
    /// # Errors
    /// `room_locked`, `waiting`, `denied`, `rate_limited` (too many knock), `room_full` (too many wait), `bad_request` (`roomId`: it
    /// waits in too many places).
    pub(super) fn knock(
        &self,
        lobby: &mut Lobby,
        session: &Session,
        record: &RoomRecord,
        role: Role,
    ) -> Result<(), Refusal> {
        let (room, call, user) = (record.room.id, record.call, &session.caller.user);
        if lobby.standing_of(room, user.id).is_some() || lobby.elsewhere.is_in(room, user.id) {
            return Ok(());
        }
        let now = Instant::now();
        lobby.know_door(record);
        let Some(orders) = lobby.orders.get_mut(&call) else { return Ok(()) };
        orders.expire(now);
        let hosted = &mut orders.hosted;
        if can(Standing::of(Some(role), user.role), Action::HostCall) {
            hosted.admit(user.id);
            return Ok(());
        }
        if hosted.locks_out(user.id) {
            return Err(Refusal::RoomLocked);
        }
        if !hosted.lets_wait(user.id) {
            return Ok(());
        }
        if lobby.waits.get(&session.id).is_some_and(|it| it.len() >= DOORS_LIMIT && !it.contains_key(&room)) {
            return Err(Refusal::bad_request("roomId", "You wait in too many places."));
        }
        if session.is_over() {
            // Its end has been told already: nobody would take it away.
            return Err(Refusal::NotFound);
        }
        let news = hosted.knock(user, session.id, now)?;
        lobby.waits.entry(session.id).or_default().insert(room, call);
        if let Some(waiter) = news {
            self.tell_waiting(lobby, room, call, vec![waiter], Vec::new());
        }
        Err(Refusal::Waiting)
    }

    /// Whether somebody may see what is going on in a room, without coming in.
    ///
    /// # Errors
    /// `waiting`.
    pub(super) fn look_in(&self, caller: &Caller, record: &RoomRecord, role: Option<Role>) -> Result<(), Refusal> {
        let mut lobby = self.lobby();
        let user = caller.user.id;
        if lobby.standing_of(record.room.id, user).is_some() {
            return Ok(());
        }
        lobby.know_door(record);
        let Some(orders) = lobby.orders.get_mut(&record.call) else { return Ok(()) };
        orders.expire(Instant::now());
        let is_host = can(Standing::of(role, caller.user.role), Action::HostCall);
        if !is_host && orders.hosted.lets_wait(user) { Err(Refusal::Waiting) } else { Ok(()) }
    }

    /// A session is in: whatever else of its owner's waits may come too.
    pub(super) fn has_come_in(&self, lobby: &mut Lobby, room: RoomId, call: CallId, user: UserId) {
        if let Some(orders) = lobby.orders.get_mut(&call) {
            orders.set_empty(false, Instant::now());
            self.let_in(lobby, room, call, Some(user));
        }
    }

    /// A session waits for a room no more. `false`: it did not.
    pub(super) fn give_up(&self, lobby: &mut Lobby, session: SessionId, room: RoomId) -> bool {
        let Some(call) = lobby.waits_no_more(session, room) else { return false };
        let hosted = lobby.orders.get_mut(&call).map(|orders| &mut orders.hosted);
        if let Some(user) = hosted.and_then(|hosted| hosted.give_up(session)) {
            self.tell_waiting(lobby, room, call, Vec::new(), vec![user]);
        }
        true
    }

    /// A session is over.
    pub(super) fn give_up_all(&self, lobby: &mut Lobby, session: SessionId) {
        let rooms: Vec<RoomId> = lobby.waits.get(&session).into_iter().flat_map(|it| it.keys().copied()).collect();
        for room in rooms {
            self.give_up(lobby, session, room);
        }
    }

    /// Somebody is kept out for good, and so waits no more.
    pub(super) fn keep_out(&self, lobby: &mut Lobby, room: RoomId, call: CallId, user: UserId) {
        let Some(orders) = lobby.orders.get_mut(&call) else { return };
        let freed = orders.hosted.put_out(user);
        self.wait_is_over(lobby, room, call, freed, || Told::Denied { room, retry_after_ms: denied_ms() });
    }

    /// Lets people in one by one from now on, or all at once again, and whoever waits now too. Whether it was otherwise before.
    pub(super) fn set_waiting_room(&self, lobby: &mut Lobby, room: RoomId, call: CallId, enabled: bool) -> bool {
        let present: Vec<UserId> =
            lobby.rooms.get(&room).into_iter().flat_map(|it| it.people.keys().copied()).collect();
        let besides = lobby.elsewhere.besides(room, lobby.rooms.get(&room)).map(|member| member.user_id);
        let present: Vec<UserId> = present.into_iter().chain(besides).collect();
        let hosted = &mut lobby.orders_of(call).hosted;
        if hosted.controls().waiting_room == enabled {
            return false;
        }
        if !enabled {
            self.let_in(lobby, room, call, None);
        }
        lobby.orders_of(call).hosted.set_waiting_room(enabled, present.into_iter());
        true
    }

    /// Lets in one who waits, or all. Whether anybody did.
    pub(super) fn let_in(&self, lobby: &mut Lobby, room: RoomId, call: CallId, user: Option<UserId>) -> bool {
        let Some(orders) = lobby.orders.get_mut(&call) else { return false };
        let freed = orders.hosted.let_in(user);
        self.wait_is_over(lobby, room, call, freed, || Told::Admitted { room })
    }

    /// Sends one away who waits. Whether they did.
    pub(super) fn send_away(&self, lobby: &mut Lobby, room: RoomId, call: CallId, user: UserId) -> bool {
        let Some(orders) = lobby.orders.get_mut(&call) else { return false };
        let freed = orders.hosted.deny(user, Instant::now());
        self.wait_is_over(lobby, room, call, freed, || Told::Denied { room, retry_after_ms: denied_ms() })
    }

    fn wait_is_over(
        &self,
        lobby: &mut Lobby,
        room: RoomId,
        call: CallId,
        freed: Freed,
        told: impl Fn() -> Told,
    ) -> bool {
        if freed.users.is_empty() {
            return false;
        }
        for session in freed.sessions {
            lobby.waits_no_more(session, room);
            self.0.bus.notify(&Notice::to_session(session, told()));
        }
        self.tell_waiting(lobby, room, call, Vec::new(), freed.users);
        true
    }

    /// Tells the hosts in a room who waits now and did not before, and who waits no more.
    fn tell_waiting(&self, lobby: &Lobby, room: RoomId, call: CallId, waiting: Vec<Waiter>, gone: Vec<UserId>) {
        let count = lobby.orders.get(&call).map_or(0, |orders| orders.hosted.waiter_count());
        let change = Fact::CallWaiting(Waiting { whole: false, waiting, gone, count });
        for host in lobby.hosts_of(room) {
            self.0.bus.publish(&Event::to_user(room, host, change.clone()));
        }
    }

    /// Tells one who is a host from now on all who wait.
    pub(super) fn tell_all_waiting(&self, lobby: &Lobby, room: RoomId, call: CallId, host: UserId) {
        if let Some(waiting) = lobby.orders.get(&call).and_then(|orders| orders.hosted.all_waiting()) {
            self.0.bus.publish(&Event::to_user(room, host, Fact::CallWaiting(waiting)));
        }
    }
}

fn denied_ms() -> u64 {
    u64::try_from(DENIED_FOR.as_millis()).unwrap_or(u64::MAX)
}
