//! Coming into a room and leaving it.

use std::sync::Arc;

use super::{
    Rooms,
    lobby::{Lobby, Risen},
    telling::author,
    visiting::FoundCall,
};
use crate::domain::{
    Event, Fact, LoginChange, Origin, Position, Refusal, Role, RoomId, Seat, Session, SessionChange, SessionId,
    SiteRole, Time, UserId,
    message::System,
    peer::PeerWord,
    room::{Entered, LeftReason},
};
use crate::limit::Rule;
use crate::store::{Footing, Membership, RoomRecord};

impl Rooms {
    /// Gives a session a seat and finds the room as it is. `known` is up to where the client knows the room's stream. The
    /// caller listens to the room already, so that nothing is missed in between.
    ///
    /// # Errors
    /// `rate_limited`, `not_found`, `room_private`, `room_full`, `room_locked`, `waiting`, `denied`, `removed`, `internal`.
    pub async fn enter(&self, session: Arc<Session>, id: RoomId, known: Option<Position>) -> Result<Entered, Refusal> {
        self.enter_by(session, id, known, None).await
    }

    /// The same. `found`: the room's call lives on another node, which lets the session in.
    ///
    /// # Errors
    /// As [`Self::enter`].
    pub async fn enter_by(
        &self,
        session: Arc<Session>,
        id: RoomId,
        known: Option<Position>,
        found: Option<FoundCall>,
    ) -> Result<Entered, Refusal> {
        let caller = &session.caller;
        self.0.limits.check(Rule::JoinRoom, caller)?;
        let (record, role, is_new) = self.admit(caller, id).await?;
        let knocks = found.is_none();
        if knocks {
            self.knock(&mut self.lobby(), &session, &record, role)?;
        }
        if is_new && self.0.store.add_member(id, caller.user.id, role, Time::now()).await? {
            self.tell_of_member(id, record.room.kind, author(&caller.user), System::Joined).await;
        }
        let had_seat = self.lobby().seat(&session, id).is_some();
        self.sit(&session, record, role, knocks)?;
        let entered = self.find(&session, id, known).await;
        if entered.is_err() && !had_seat {
            self.rise(session.id, id, LeftReason::Left);
        }
        match (entered, found) {
            (Ok(entered), Some(FoundCall { call, then })) => Ok(Entered { call: Some(call), then, ..entered }),
            (entered, _) => entered,
        }
    }

    /// Gives a session's seat up.
    ///
    /// # Errors
    /// `not_in_room`.
    pub fn leave(&self, session: &Session, room: RoomId) -> Result<(), Refusal> {
        let mut lobby = self.lobby();
        let waited = self.give_up(&mut lobby, session.id, room);
        let left = self.rise_in(&mut lobby, session.id, room, LeftReason::Left);
        if left || waited { Ok(()) } else { Err(Refusal::NotInRoom) }
    }

    /// Proof that a session is in a room, and as what.
    ///
    /// # Errors
    /// `not_in_room`.
    pub fn seat(&self, session: &Arc<Session>, room: RoomId) -> Result<Seat, Refusal> {
        self.lobby().seat(session, room).ok_or(Refusal::NotInRoom)
    }

    pub(super) fn sit(&self, session: &Session, record: RoomRecord, role: Role, knocks: bool) -> Result<(), Refusal> {
        let mut lobby = self.lobby();
        if knocks {
            self.knock(&mut lobby, session, &record, role)?;
        }
        lobby.lost.remove(&session.id);
        self.take_seat(&mut lobby, session, record, role)
    }

    /// Gives a session its seat and tells the room.
    pub(super) fn take_seat(
        &self,
        lobby: &mut Lobby,
        session: &Session,
        record: RoomRecord,
        role: Role,
    ) -> Result<(), Refusal> {
        let (id, call, user) = (record.room.id, record.call, session.caller.user.id);
        if lobby.sit(session, record, role)?
            && let Some(room) = lobby.rooms.get(&id)
            && let Some(presence) = room.people.get(&user)
        {
            let member = &presence.member;
            if !lobby.hidden.contains(&user) {
                self.0.bus.tell_nodes(|| PeerWord::Came { room: id, member: member.clone() });
            }
            if room.tells_of(user) && !lobby.elsewhere.is_in(id, user) {
                let origin = Some(Origin { session: session.id, request: None });
                let joined = Event::ephemeral(id, Fact::MemberJoined(member.clone()));
                self.0.bus.publish_here(&Event { origin, ..joined });
            }
        }
        self.has_come_in(lobby, id, call, user);
        Ok(())
    }

    /// The room as it is, for a session that has its seat.
    async fn find(&self, session: &Arc<Session>, id: RoomId, known: Option<Position>) -> Result<Entered, Refusal> {
        let user = session.caller.user.id;
        self.settle_role(id, user).await?;
        let recovery = self.0.store.recover(id, known).await?.ok_or(Refusal::NotFound)?;
        let lobby = self.lobby();
        let seat = lobby.seat(session, id).ok_or(Refusal::Removed)?;
        let role = seat.role.ok_or(Refusal::Removed)?;
        let room = lobby.rooms.get(&id).ok_or(Refusal::Removed)?;
        let then = lobby.told_alone(id, room.record.call, session.id, room.is_host(user));
        let stay = room.people.get(&user).ok_or(Refusal::Removed)?.stay;
        Ok(Entered {
            room: room.record.room.clone(),
            role,
            members: lobby.members(id),
            online: lobby.online(id),
            call: room.has_calls().then(|| lobby.call(id, room.record.call)),
            position: recovery.position,
            recovered: recovery.recovered,
            messages: recovery.messages,
            missed: recovery.missed,
            unread: None,
            stay,
            then,
        })
    }

    /// Looks at somebody's membership again, now that they have a seat: a removal in the meantime has either taken the seat away or
    /// is seen here, and a change of role has either changed the seat or is applied here.
    pub(super) async fn settle_role(&self, id: RoomId, user: UserId) -> Result<(), Refusal> {
        loop {
            let seen = self.lobby().role_changes;
            let site = self.0.store.user(user).await?.ok_or(Refusal::NotFound)?.user.role;
            let Footing { muted_until, conduct } = self.0.store.footing(id, user).await?;
            let role = match self.0.store.membership(id, user).await? {
                Membership::Removed => return Err(Refusal::Removed),
                Membership::None => return Err(Refusal::NotInRoom),
                Membership::Member(role) => role,
            };
            let mut lobby = self.lobby();
            if lobby.role_changes == seen {
                let presence = lobby.rooms.get_mut(&id).and_then(|room| room.people.get_mut(&user));
                if let Some(presence) = presence {
                    presence.earned = conduct.earned(Time::now());
                    presence.standing.muted_until = muted_until;
                    if presence.member.role != role || presence.standing.site != site {
                        presence.set_role(role);
                        presence.standing.site = site;
                        self.role_has_changed(&mut lobby, id, user);
                    } else if muted_until.is_some() {
                        // It may have been muted on another node.
                        self.end_what_they_may_not(&mut lobby, id, user);
                    }
                }
                return Ok(());
            }
        }
    }

    /// Takes a session's seat away and tells the room. `false`: it had none.
    pub(super) fn rise(&self, session: SessionId, id: RoomId, reason: LeftReason) -> bool {
        self.rise_in(&mut self.lobby(), session, id, reason)
    }

    pub(super) fn rise_in(&self, lobby: &mut Lobby, session: SessionId, id: RoomId, reason: LeftReason) -> bool {
        lobby.forget_stream(session);
        self.leave_call_in(lobby, session, id, reason);
        let (of_strangers, tells) = (lobby.is_of_strangers(id), lobby.tells_of(session, id));
        let call = lobby.rooms.get(&id).map(|room| room.record.call);
        match lobby.rise(session, id) {
            None => false,
            Some(Risen::Stays) => true,
            Some(Risen::Gone { user, stay }) => {
                // Their own sockets are told in any case: the room is over for them.
                let left = Fact::MemberLeft { user, reason, stay };
                let tells = tells && !lobby.elsewhere.is_in(id, user);
                let told = if tells { Event::ephemeral(id, left) } else { Event::to_user(id, user, left) };
                self.0.bus.publish_here(&told);
                self.0.bus.tell_nodes(|| PeerWord::Went { room: id, user, reason });
                if let Some(orders) = call.and_then(|call| lobby.orders.get_mut(&call)) {
                    orders.hosted.end_pass(user);
                }
                if of_strangers {
                    lobby.tell_leaving(id, user, reason);
                }
                true
            }
        }
    }

    /// A session's owner has shown a fresh token: what the site says of them now holds in all rooms.
    ///
    /// # Errors
    /// `not_found` (nobody of that name), `internal`.
    pub async fn renew(&self, user: UserId) -> Result<(), Refusal> {
        loop {
            let seen = self.lobby().role_changes;
            let role = self.0.store.user(user).await?.ok_or(Refusal::NotFound)?.user.role;
            let earned = self.0.store.conduct(user).await?.ok_or(Refusal::NotFound)?.earned(Time::now());
            let mut lobby = self.lobby();
            if lobby.role_changes == seen {
                lobby.set_earned(user, earned);
                self.set_site_role(&mut lobby, user, role);
                return Ok(());
            }
        }
    }

    fn set_site_role(&self, lobby: &mut Lobby, user: UserId, role: SiteRole) {
        for room in lobby.set_site_role(user, role) {
            self.role_has_changed(lobby, room, user);
        }
    }

    /// Roles on the site hold at once, and so do bans.
    pub fn login_changed(&self, change: &LoginChange) {
        match change {
            LoginChange::SiteRole(user, role) => {
                let mut lobby = self.lobby();
                lobby.role_changes += 1;
                self.set_site_role(&mut lobby, *user, *role);
            }
            LoginChange::Banned { user, .. } => {
                let mut lobby = self.lobby();
                for (session, room) in lobby.seats_of(*user) {
                    self.rise_in(&mut lobby, session, room, LeftReason::Removed);
                }
            }
            LoginChange::Revoked(family) => {
                let mut lobby = self.lobby();
                self.end_streams(&mut lobby, LeftReason::Removed, |stream| stream.is_of_login(*family));
            }
            // The login's end is told for itself.
            LoginChange::Reused { .. } | LoginChange::Guessed { .. } => {}
            LoginChange::Reached(user) => {
                let mut lobby = self.lobby();
                self.end_streams(&mut lobby, LeftReason::Removed, |stream| stream.is_by_key_of(*user));
            }
        }
    }

    /// Seats follow their sessions.
    pub(super) fn session_changed(&self, change: SessionChange) {
        let mut lobby = self.lobby();
        let rooms = |lobby: &Lobby, session| lobby.seats.get(&session).cloned().unwrap_or_default();
        match change {
            SessionChange::Lost(session) => {
                let rooms = rooms(&lobby, session);
                if !rooms.is_empty() {
                    lobby.lost.insert(session);
                }
                for room in rooms {
                    self.show_lost(&mut lobby, session, room, true);
                }
            }
            SessionChange::Resumed(session) => {
                lobby.lost.remove(&session);
                for room in rooms(&lobby, session) {
                    self.show_lost(&mut lobby, session, room, false);
                }
            }
            SessionChange::Ended(session) => {
                // Without a loss before, the client closed its socket with intent.
                self.starter_is_gone(session);
                let reason = if lobby.lost.remove(&session) { LeftReason::Lost } else { LeftReason::Left };
                self.give_up_all(&mut lobby, session);
                for room in rooms(&lobby, session) {
                    self.rise_in(&mut lobby, session, room, reason);
                }
            }
        }
    }
}
