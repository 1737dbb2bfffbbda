//! What hosts do to a call: to everybody in it, to one person, and to its door.

use super::{
    Rooms,
    hosted::{Host, Overruled},
    lobby::Lobby,
    to_its_end,
};
use crate::domain::{
    Action, CallId, Event, Fact, HostAct, ParticipantId, Refusal, RoomId, Seat, TrackSource, UserId, Whom,
    call::EndReason, can, controls::MutedAll, peer::PeerWord, room::LeftReason,
};

/// What one act changes.
struct Act<'a> {
    seat: &'a Seat,
    call: CallId,
    host: Host,
}

impl Rooms {
    /// Does what a host asks for, and tells everybody whom it concerns. What is so already stays so, and nobody is told.
    ///
    /// # Errors
    /// `forbidden` (also for whom one is below, does not outrank where somebody is put out, or whom somebody above holds),
    /// `bad_request` (`roomId`: no room for calls; `userId`: oneself; `reason`), `not_found` (nobody of that name in the room or
    /// call), `internal`.
    pub async fn host(&self, seat: &Seat, act: HostAct) -> Result<(), Refusal> {
        let action = action_of(&act);
        if !can(seat.standing(), action) {
            return Err(Refusal::Forbidden { action });
        }
        if !seat.kind.has_calls() {
            return Err(Refusal::bad_request("roomId", "This room has no calls."));
        }
        if let HostAct::Remove { user_id, for_good: true, reason } = act {
            return self.remove_member(seat, user_id, reason).await;
        }
        let call = self.record(seat.room).await?.call;
        let (rooms, seat) = (self.clone(), seat.clone());
        to_its_end(async move {
            let host = Host { user: seat.user().id, standing: seat.standing() };
            let by = Act { seat: &seat, call, host };
            // One after the other, so that the database and the lobby see doors change in the same order.
            let _turn = if is_of_door(&act) { Some(rooms.0.doors.lock().await) } else { None };
            match act {
                HostAct::Lock { locked } => rooms.0.store.lock_room(seat.room, locked).await?,
                HostAct::WaitingRoom { enabled } => rooms.0.store.set_waiting_room(seat.room, enabled).await?,
                _ => {}
            }
            if is_of_door(&act) {
                rooms.0.bus.tell_nodes(|| PeerWord::Door(seat.room));
            }
            rooms.act(&by, act)
        })
        .await
    }

    fn act(&self, by: &Act<'_>, act: HostAct) -> Result<(), Refusal> {
        let mut lobby = self.lobby();
        let lobby = &mut *lobby;
        lobby.orders_of(by.call);
        let of_door = is_of_door(&act);
        lobby.door_changes += u64::from(of_door);
        let changed = match &act {
            HostAct::MuteAll { muted, may_unmute } => {
                self.mute_all(lobby, by, muted.then_some(MutedAll { may_unmute: *may_unmute }))
            }
            HostAct::Disable { target: Whom::Everybody, source, disabled } => {
                self.disable_all(lobby, by, *source, *disabled)
            }
            HostAct::Disable { target: Whom::UserId(user), source, disabled } => {
                self.disable(lobby, by, *user, *source, *disabled)?
            }
            HostAct::Spotlight { participant_id } => self.set_spotlight(lobby, by, *participant_id)?,
            HostAct::Lock { locked } => {
                let hosted = &mut lobby.orders_of(by.call).hosted;
                let before = hosted.controls();
                hosted.lock(*locked);
                before != hosted.controls()
            }
            HostAct::WaitingRoom { enabled } => self.set_waiting_room(lobby, by.seat.room, by.call, *enabled),
            HostAct::Admit { target } => self.let_in(lobby, by.seat.room, by.call, target.one()),
            HostAct::Deny { user_id } => self.send_away(lobby, by.seat.room, by.call, *user_id),
            HostAct::Remove { user_id, .. } => self.remove_from_call(lobby, by, *user_id)?,
            HostAct::End => self.end_for_all(lobby, by),
        };
        if changed {
            self.announce(lobby, by, act);
        }
        // What is known of a door stays for a while: whoever has read the database before must not know better.
        if !of_door {
            lobby.orders.forget_if_empty(&by.call);
        }
        Ok(())
    }

    /// Tells what was done and what holds now. Who was let in or sent away is told to hosts alone.
    fn announce(&self, lobby: &Lobby, by: &Act<'_>, act: HostAct) {
        let room = by.seat.room;
        let controls = lobby.controls(by.call);
        let is_for_hosts = matches!(act, HostAct::Admit { .. } | HostAct::Deny { .. });
        let fact = Fact::CallControls { controls, by: Some(by.host.user), act: Some(act) };
        if is_for_hosts {
            for host in lobby.hosts_of(room) {
                self.0.bus.publish(&Event::to_user(room, host, fact.clone()));
            }
        } else {
            self.0.bus.publish(&Event::ephemeral(room, fact));
        }
    }

    fn mute_all(&self, lobby: &mut Lobby, by: &Act<'_>, how: Option<MutedAll>) -> bool {
        let hosted = &mut lobby.orders_of(by.call).hosted;
        let before = hosted.controls();
        hosted.mute_all(by.host.user, how);
        let is_other = before != hosted.controls();
        self.settle(lobby, by.seat.room, how.is_some()) || is_other
    }

    fn disable_all(&self, lobby: &mut Lobby, by: &Act<'_>, source: TrackSource, disabled: bool) -> bool {
        let hosted = &mut lobby.orders_of(by.call).hosted;
        let before = hosted.controls();
        hosted.disable_all(by.host.user, source, disabled);
        let is_other = before != hosted.controls();
        self.settle(lobby, by.seat.room, false);
        is_other
    }

    fn disable(
        &self,
        lobby: &mut Lobby,
        by: &Act<'_>,
        user: UserId,
        source: TrackSource,
        disabled: bool,
    ) -> Result<bool, Refusal> {
        let room = by.seat.room;
        match lobby.standing_of(room, user) {
            Some(theirs) if theirs.outranks(by.host.standing) => return Err(forbidden()),
            // Who has left meanwhile can still be let off.
            None if disabled => return Err(Refusal::NotFound),
            _ => {}
        }
        let hosted = &mut lobby.orders_of(by.call).hosted;
        let before = hosted.disabled_of(user);
        hosted.disable(user, source, by.host, disabled).map_err(|Overruled| forbidden())?;
        let is_other = before != hosted.disabled_of(user);
        self.settle(lobby, room, false);
        Ok(is_other)
    }

    fn set_spotlight(
        &self,
        lobby: &mut Lobby,
        by: &Act<'_>,
        participant: Option<ParticipantId>,
    ) -> Result<bool, Refusal> {
        let room = by.seat.room;
        if let Some(id) = participant {
            let joined = lobby.rooms.get_mut(&room).and_then(|room| room.call.of_participant(id));
            joined.filter(|joined| joined.shown).ok_or(Refusal::NotFound)?;
        }
        let hosted = &mut lobby.orders_of(by.call).hosted;
        let before = hosted.controls();
        hosted.spotlight(participant);
        let is_other = before != hosted.controls();
        if is_other {
            self.0.sfu.spotlight(by.call, participant);
        }
        Ok(is_other)
    }

    /// Puts somebody out of the room, with all their tabs. They may come back as anybody else may.
    fn remove_from_call(&self, lobby: &mut Lobby, by: &Act<'_>, user: UserId) -> Result<bool, Refusal> {
        let (room, host) = (by.seat.room, by.host);
        if user == host.user {
            return Err(Refusal::bad_request("userId", "You cannot do this to yourself."));
        }
        let theirs = lobby.standing_of(room, user).ok_or(Refusal::NotFound)?;
        if !host.standing.outranks(theirs) {
            return Err(forbidden());
        }
        self.end_calls_of(lobby, room, Some(user), EndReason::RemovedByHost, host.user);
        for session in lobby.sessions_of(room, user) {
            self.rise_in(lobby, session, room, LeftReason::Removed);
        }
        self.0.bus.tell_nodes(|| PeerWord::PutOut { room, user, reason: LeftReason::Removed });
        // Whatever let them in does so no more.
        lobby.orders_of(by.call).hosted.put_out(user);
        Ok(true)
    }

    fn end_for_all(&self, lobby: &mut Lobby, by: &Act<'_>) -> bool {
        let room = by.seat.room;
        let sessions = self.end_calls_of(lobby, room, None, EndReason::EndedByHost, by.host.user);
        for session in &sessions {
            self.leave_call_in(lobby, *session, room, LeftReason::Left);
        }
        !sessions.is_empty()
    }

    /// Tells the sessions that take part, or those of one person, that they do no more. Which they are.
    fn end_calls_of(
        &self,
        lobby: &Lobby,
        id: RoomId,
        user: Option<UserId>,
        reason: EndReason,
        by: UserId,
    ) -> Vec<crate::domain::SessionId> {
        let Some(room) = lobby.rooms.get(&id) else { return Vec::new() };
        let concerned = room.call.joined.iter().filter(|it| user.is_none_or(|user| it.participant.user_id == user));
        let sessions: Vec<_> = concerned.map(|joined| joined.session).collect();
        for session in &sessions {
            let ended = Fact::CallEnded { reason, by: Some(by) };
            self.0.bus.publish(&Event::to_session(id, *session, ended));
        }
        sessions
    }

    /// Enforces what is held and what is not, and tells what has changed by that. `shuts`: who is muted with all has muted
    /// themselves, so that the end of it opens no microphone. Whether anything has changed.
    pub(super) fn settle(&self, lobby: &mut Lobby, id: RoomId, shuts: bool) -> bool {
        let Lobby { rooms, orders, .. } = lobby;
        let Some(room) = rooms.get_mut(&id) else { return false };
        let call = room.record.call;
        let changes = room.show_held(orders.get(&call), shuts);
        for change in &changes {
            self.0.bus.publish(&Event::ephemeral(id, Fact::CallParticipant(change.participant.clone())));
            for (track, held) in &change.tracks {
                self.0.sfu.mute(call, track.track_id, track.muted || track.muted_by_host);
                if let Some(held) = held {
                    let stopped = held.stops(track);
                    self.0.bus.publish(&Event::to_session(id, change.session, stopped));
                }
            }
        }
        !changes.is_empty()
    }

    /// Somebody has another role here from now on: what holds for all but hosts holds for them, or no more.
    pub(super) fn role_has_changed(&self, lobby: &mut Lobby, room: RoomId, user: UserId) {
        let Some(call) = lobby.rooms.get(&room).map(|room| room.record.call) else { return };
        self.settle(lobby, room, false);
        self.end_what_they_may_not(lobby, room, user);
        if let Some(orders) = lobby.orders.get_mut(&call) {
            // They are in already.
            orders.hosted.admit(user);
            if lobby.is_host(room, user) {
                self.tell_all_waiting(lobby, room, call, user);
            }
        }
    }

    /// Somebody leaves the call: if all were to see them, they are no more.
    pub(super) fn leave_spotlight(&self, lobby: &mut Lobby, room: RoomId, call: CallId, participant: ParticipantId) {
        let Some(orders) = lobby.orders.get_mut(&call) else { return };
        if orders.hosted.is_in_spotlight(participant) {
            orders.hosted.spotlight(None);
            self.0.sfu.spotlight(call, None);
            let controls = orders.hosted.controls();
            self.0.bus.publish(&Event::ephemeral(room, Fact::CallControls { controls, by: None, act: None }));
        }
    }
}

/// Whether it changes who may come in, which holds until a host changes it again.
const fn is_of_door(act: &HostAct) -> bool {
    matches!(act, HostAct::Lock { .. } | HostAct::WaitingRoom { .. })
}

const fn forbidden() -> Refusal {
    Refusal::Forbidden { action: Action::HostCall }
}

/// What one has to be allowed for that.
const fn action_of(act: &HostAct) -> Action {
    match act {
        HostAct::MuteAll { .. } => Action::MuteTrack,
        HostAct::Remove { for_good: true, .. } => Action::RemoveMember,
        HostAct::End => Action::EndCall,
        HostAct::Disable { .. }
        | HostAct::Spotlight { .. }
        | HostAct::Lock { .. }
        | HostAct::WaitingRoom { .. }
        | HostAct::Admit { .. }
        | HostAct::Deny { .. }
        | HostAct::Remove { .. } => Action::HostCall,
    }
}
