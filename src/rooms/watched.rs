//! What those ask of calls who watch over them from outside: the review desk and the recorder.

use super::{
    Rooms,
    call::Joined,
    lobby::{LiveRoom, Lobby},
    members::check_reason,
};
use crate::domain::{
    Action, CallId, CallRecording, Event, Fact, ParticipantId, Refusal, RoomId, RoomKind, Standing, TrackId,
    TrackSource, UserId,
    call::{Participant, Track},
    can,
};
use crate::store::Membership;

/// A track, whose it is, and where.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Published {
    /// The call.
    pub call: CallId,
    /// The room that it takes place in.
    pub room: RoomId,
    /// What the room is for.
    pub kind: RoomKind,
    /// Whose track it is.
    pub user: UserId,
    /// The name they chose.
    pub nickname: String,
    /// By which of their connections.
    pub participant: ParticipantId,
    /// The track.
    pub track: TrackId,
    /// From where.
    pub source: TrackSource,
}

impl Rooms {
    /// Whose track it is, as long as it is published.
    pub fn published(&self, call: CallId, track: TrackId) -> Option<Published> {
        let mut lobby = self.lobby();
        let (_, room) = lobby.room_of_call(call)?;
        let at = At::of(room);
        let joined = room.call.of_track(track)?;
        let track = joined.participant.track_mut(track)?.clone();
        let published = at.published(joined, &track);
        Some(room.in_person(published))
    }

    /// The camera and screen tracks that somebody publishes now, anywhere, whether or not packets arrive.
    pub fn tracks_of(&self, user: UserId) -> Vec<Published> {
        let lobby = self.lobby();
        let mut found = Vec::new();
        for room in lobby.rooms.values().filter(|room| room.people.contains_key(&user)) {
            let at = At::of(room);
            for joined in room.call.joined.iter().filter(|it| it.participant.user_id == user) {
                let pictures = joined.participant.tracks.iter().filter(|track| track.source.is_picture());
                found.extend(pictures.map(|track| room.in_person(at.published(joined, track))));
            }
        }
        found
    }

    /// Shows that the server has looked at a track and others may see it, or that they may not now.
    pub fn clear_track(&self, call: CallId, track: TrackId, cleared: bool) {
        let mut lobby = self.lobby();
        let Some((id, room)) = lobby.room_of_call(call) else { return };
        let Some(joined) = room.call.of_track(track) else { return };
        let Some(track) = joined.participant.track_mut(track).filter(|track| track.cleared != cleared) else { return };
        track.cleared = cleared;
        self.0.bus.publish(&Event::ephemeral(id, Fact::CallParticipant(joined.participant.clone())));
    }

    /// Drops a track for as long as the call lasts, and whatever its publisher sends from the same source: from other tabs, and
    /// after coming back. No host can undo it. `false`: there is no such track (any more), and nothing is done.
    pub fn stop_track(&self, call: CallId, track: TrackId) -> bool {
        let mut lobby = self.lobby();
        let Some((_, room)) = lobby.room_of_call(call) else { return false };
        let Some(joined) = room.call.of_track(track) else { return false };
        let user = joined.participant.user_id;
        let Some(source) = joined.participant.track_mut(track).map(|track| track.source) else { return false };
        self.stop_in(&mut lobby, call, user, source);
        true
    }

    /// Drops whatever somebody sends from a source, for as long as the call lasts: also when they send nothing now, or are not there.
    pub fn stop_source(&self, call: CallId, user: UserId, source: TrackSource) {
        self.stop_in(&mut self.lobby(), call, user, source);
    }

    fn stop_in(&self, lobby: &mut Lobby, call: CallId, user: UserId, source: TrackSource) {
        lobby.orders_of(call).stop(user, source);
        if let Some(&id) = lobby.calls.get(&call) {
            self.settle(lobby, id, false);
        }
    }

    /// Puts somebody out of a room for good, by a moderator of the site, who needs no seat in it.
    ///
    /// # Errors
    /// `forbidden` (also for whom one does not outrank), `bad_request` (`reason`), `not_found` (no such room or person), `internal`.
    pub async fn put_out(&self, room: RoomId, user: UserId, by: UserId, reason: Option<String>) -> Result<(), Refusal> {
        const ACTION: Action = Action::RemoveMember;
        check_reason(reason.as_deref())?;
        let store = &self.0.store;
        store.room(room).await?.ok_or(Refusal::NotFound)?;
        let actor = store.user(by).await?.ok_or(Refusal::Forbidden { action: ACTION })?.user.role;
        let actor = Standing::of(None, actor);
        let site = store.user(user).await?.ok_or(Refusal::NotFound)?.user.role;
        let role = match store.membership(room, user).await? {
            Membership::Member(role) => Some(role),
            Membership::None | Membership::Removed => None,
        };
        if !can(actor, ACTION) || !actor.outranks(Standing::of(role, site)) {
            return Err(Refusal::Forbidden { action: ACTION });
        }
        self.expel(room, user, by, reason).await
    }

    /// Shows everybody that a call is recorded, or no more. Whoever comes to it from now on has to agree; whoever is there hears
    /// of it by [`Rooms::tell_call`], and may leave.
    pub fn set_recording(&self, call: CallId, recording: Option<CallRecording>) {
        let mut lobby = self.lobby();
        let room = lobby.calls.get(&call).and_then(|id| lobby.rooms.get(id));
        // Whoever came by a key is not the one in whose name they came.
        let joined = room.into_iter().flat_map(|room| &room.call.joined).filter(|it| !it.is_by_key());
        let present = joined.map(|it| it.participant.user_id);
        let present: Vec<UserId> = present.collect();
        lobby.orders_of(call).set_recording(recording, present.into_iter());
        lobby.orders.forget_if_empty(&call);
    }

    /// Tells everybody in the call's room something. Ephemeral.
    pub fn tell_call(&self, call: CallId, fact: Fact) {
        let lobby = self.lobby();
        if let Some(&id) = lobby.calls.get(&call) {
            self.0.bus.publish(&Event::ephemeral(id, fact));
        }
    }

    /// Everybody in a call, as everybody sees them; nobody, when the call is over.
    pub fn participants(&self, call: CallId) -> Vec<Participant> {
        self.lobby().room_of_call(call).map(|(_, room)| room.call.shown()).unwrap_or_default()
    }
}

impl LiveRoom {
    /// Whoever publishes by a key is called what the key is called; who answers for it has a name of their own.
    fn in_person(&self, mut published: Published) -> Published {
        if let Some(presence) = self.people.get(&published.user) {
            published.nickname.clone_from(&presence.member.nickname);
        }
        published
    }
}

/// Where a track is.
#[derive(Clone, Copy)]
struct At {
    call: CallId,
    room: RoomId,
    kind: RoomKind,
}

impl At {
    fn of(room: &LiveRoom) -> Self {
        Self { call: room.record.call, room: room.record.room.id, kind: room.record.room.kind }
    }

    fn published(self, joined: &Joined, track: &Track) -> Published {
        let participant = &joined.participant;
        Published {
            call: self.call,
            room: self.room,
            kind: self.kind,
            user: participant.user_id,
            nickname: participant.nickname.clone(),
            participant: participant.participant_id,
            track: track.track_id,
            source: track.source,
        }
    }
}
