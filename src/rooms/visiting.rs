//! A room's call for sessions of other nodes: the call lives on one node, and whoever came into the room by another one is a guest.

use std::sync::Arc;

use super::{Rooms, lobby::Lobby};
use crate::domain::{
    Action, CallId, Event, Fact, Refusal, RoomId, Session, SessionId, Standing,
    call::{Call, EndReason},
    can,
    room::LeftReason,
};

/// A call as somebody finds it who comes into its room.
#[derive(Clone, Debug, PartialEq)]
pub struct FoundCall {
    /// The call.
    pub call: Call,
    /// What concerns them alone and is to be told after that.
    pub then: Vec<Event>,
}

impl Rooms {
    /// Asks the door of a call that lives here for a session that comes into the room by another node.
    ///
    /// # Errors
    /// As [`Self::enter`].
    pub async fn open_call_to(&self, session: &Arc<Session>, id: RoomId) -> Result<FoundCall, Refusal> {
        let caller = &session.caller;
        let (record, role, _) = self.admit(caller, id).await?;
        let mut lobby = self.lobby();
        self.knock(&mut lobby, session, &record, role)?;
        let is_host = can(Standing::of(Some(role), caller.user.role), Action::HostCall);
        let then = lobby.told_alone(id, record.call, session.id, is_host);
        Ok(FoundCall { call: lobby.call(id, record.call), then })
    }

    /// Gives a session that came into the room by another node the seat here that its part in the call needs.
    ///
    /// # Errors
    /// As [`Self::enter`]; `not_in_room` (no member); `waiting` (it is still to be let in).
    pub async fn seat_guest(&self, session: &Arc<Session>, id: RoomId) -> Result<(), Refusal> {
        {
            let lobby = self.lobby();
            if lobby.seat(session, id).is_some() {
                return Ok(());
            }
            // Its own node has not let it in either, and asks for nothing of the kind.
            if lobby.waits.get(&session.id).is_some_and(|rooms| rooms.contains_key(&id)) {
                return Err(Refusal::Waiting);
            }
        }
        let user = session.caller.user.id;
        let (record, role, is_new) = self.admit(&session.caller, id).await?;
        if is_new {
            return Err(Refusal::NotInRoom);
        }
        self.sit(session, record, role, false)?;
        let settled = self.settle_role(id, user).await;
        if settled.is_err() {
            self.rise(session.id, id, LeftReason::Left);
        }
        settled
    }

    /// Whether anything of a call is here that would be lost if it lived elsewhere from now on.
    pub fn keeps_call(&self, room: RoomId, call: CallId) -> bool {
        let lobby = self.lobby();
        lobby.rooms.get(&room).is_some_and(|room| !room.call.joined.is_empty()) || lobby.orders.contains(&call)
    }

    /// A call that was here lives on another node: that took it when this one's lease was over. Whoever still takes part here is
    /// told that it is broken, and offers anew, there.
    pub fn lose_call(&self, room: RoomId) {
        let mut lobby = self.lobby();
        let seats = lobby.rooms.get(&room).map(|room| &room.call.joined);
        let sessions: Vec<SessionId> = seats.into_iter().flatten().map(|joined| joined.session).collect();
        for session in sessions {
            self.lose_connection(&mut lobby, room, session, EndReason::Broken);
        }
    }

    /// The room of a call, and the call of a room.
    ///
    /// # Errors
    /// `internal`.
    pub async fn room_of_call(&self, call: CallId) -> Result<Option<RoomId>, Refusal> {
        Ok(self.0.store.room_of_call(call).await?.map(|record| record.room.id))
    }
}

impl Lobby {
    /// What of a call a session is to be told when it comes: slots are told when they change, and stops when they begin, and whoever
    /// comes back needs them all.
    pub(super) fn told_alone(&self, id: RoomId, call: CallId, session: SessionId, is_host: bool) -> Vec<Event> {
        let seats = self.rooms.get(&id).map(|room| &room.call);
        let own = seats.and_then(|seats| seats.joined.iter().find(|it| it.session == session));
        let orders = self.orders.get(&call);
        let stops = orders.zip(own).into_iter().flat_map(|(orders, own)| orders.stops(&own.participant, is_host));
        let waiting = orders.and_then(|orders| orders.hosted.all_waiting()).filter(|_| is_host);
        let slots = seats.and_then(|seats| seats.slots_of(session)).map(Fact::CallSlots);
        let facts = slots.into_iter().chain(stops).chain(waiting.map(Fact::CallWaiting));
        facts.map(|fact| Event::to_session(id, session, fact)).collect()
    }
}
