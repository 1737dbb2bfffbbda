//! Taking part in a room's call.

use std::collections::HashSet;

use super::{
    Rooms,
    call::{Beginning, Newcomer, NoSeat},
    hosted::{Host, Overruled},
    lobby::{LiveRoom, Lobby},
    orders::Orders,
    to_its_end,
};
use crate::domain::{
    Action, CallId, Event, Fact, Origin, ParticipantId, Refusal, RoomId, RoomKind, Seat, SessionId, TrackId,
    TrackSource, View,
    call::{Answer, EndReason, OfferedSource, Participant, Slot, SlotKind, Speaker, StopReason},
    can,
    room::LeftReason,
};
use crate::limit::Rule;
use crate::sfu::{CallEvent, OfferError, OfferedTrack, SlotState};

/// Send lines of one offer: one for each source.
const SOURCES_LIMIT: usize = TrackSource::ALL.len();
/// The longest `a=mid`, in bytes; RFC 9143 gives browsers 16.
const MID_LIMIT: usize = 32;
/// Tracks that one `view` may name: three of everybody in a full room, and some that just left.
const VIEW_LIMIT: usize = 200;

/// An offer to take part in a call.
#[derive(Clone, Debug, PartialEq)]
pub struct Offer {
    /// The SDP.
    pub sdp: String,
    /// What its send lines carry.
    pub sources: Vec<OfferedSource>,
    /// Whether the person agrees to be recorded.
    pub accepts_recording: bool,
}

/// An offer that the media side answered.
pub(super) struct Answered {
    pub(super) call: CallId,
    pub(super) participant: ParticipantId,
    pub(super) sources: Vec<OfferedSource>,
    pub(super) offered: Vec<OfferedTrack>,
    pub(super) answer: Result<crate::sfu::Offered, OfferError>,
}

impl Rooms {
    /// Answers a session's offer to take part in its room's call, or to have more slots. The session gets the answer as an event,
    /// with the request's id, so that nothing that happens in the call afterwards overtakes it.
    ///
    /// # Errors
    /// `forbidden`, `rate_limited`, `bad_request` (`roomId`: no room for calls; `tracks`), `room_full`, `bad_sdp`, `no_ice`,
    /// `no_fingerprint`, `too_many_media`, `unsupported_codecs`, `call_unavailable`, `not_in_room` (left meanwhile),
    /// `recording_consent`, `room_locked`.
    pub async fn offer(&self, seat: &Seat, offer: Offer, request: Option<String>) -> Result<Answer, Refusal> {
        seat.permit(Action::JoinCall)?;
        if offer.sources.iter().any(|it| it.source.is_screen()) {
            seat.permit(Action::ShareScreen)?;
        }
        self.0.limits.check(Rule::Offer, &seat.session.caller)?;
        check_sources(&offer.sources)?;
        let (rooms, seat) = (self.clone(), seat.clone());
        // To its end even if the socket goes meanwhile: whoever resumes finds a call whose two sides agree.
        to_its_end(async move { rooms.answer(&seat, offer, request).await }).await
    }

    /// Answers an offer that was found to be in order.
    pub(super) async fn answer(&self, seat: &Seat, offer: Offer, request: Option<String>) -> Result<Answer, Refusal> {
        let Offer { sdp, sources, accepts_recording } = offer;
        seat.session.caller.cluster.features.demand_sources(&sources)?;
        let (call, participant, offered) = self.begin_call(seat, &sources, accepts_recording)?;
        let answer = self.0.sfu.offer(call, participant, sdp, offered.clone()).await;
        self.take_answer(seat, Answered { call, participant, sources, offered, answer }, request)
    }

    /// What the media side answered becomes the call's, if whom it answered may still have it.
    pub(super) fn take_answer(&self, seat: &Seat, it: Answered, request: Option<String>) -> Result<Answer, Refusal> {
        let Answered { call, participant, sources, offered, answer } = it;
        let mut lobby = self.lobby();
        let joined = lobby.rooms.get_mut(&seat.room).and_then(|room| room.call.of_participant(participant));
        let Some(joined) = joined else {
            // They left while the answer was made.
            self.0.sfu.leave(call, participant);
            return Err(Refusal::NotInRoom);
        };
        let is_lost = joined.end_offer(answer.as_ref().ok().map(|answer| answer.connection));
        let (was_shown, was_listed) = (joined.shown, joined.is_listed());
        if !lobby.may_publish(seat.room, seat.user().id, &sources) {
            // They were made something else while the answer was made, when nobody saw them publish yet.
            self.unpublish(&mut lobby, seat.room, seat.session.id);
            return Err(Refusal::Forbidden { action: Action::PublishLive });
        }
        if is_lost {
            self.lose_connection(&mut lobby, seat.room, seat.session.id, EndReason::IceTimeout);
        }
        let Lobby { rooms, orders, .. } = &mut *lobby;
        let room = rooms.get_mut(&seat.room).ok_or(Refusal::NotInRoom)?;
        let (is_host, user) = (room.is_host(seat.user().id), seat.user().id);
        let (kind, sampled) = (room.record.room.kind, self.0.config.sampled);
        if let Some(orders) = orders.get_mut(&call).filter(|_| answer.is_ok()) {
            orders.hosted.end_pass(user);
        }
        let orders = orders.get(&call);
        let answer = match answer {
            Ok(answer) => answer,
            Err(error) => {
                // A first offer that fails leaves no trace; a later one leaves what was there.
                if !was_shown {
                    room.call.leave(seat.session.id);
                }
                return Err(refusal_of(error));
            }
        };
        // Nobody sees a stranger's picture before the server has.
        let begins = |user, source: TrackSource| Beginning {
            held: orders.and_then(|orders| orders.held(user, source, is_host)),
            muted: orders.is_some_and(|orders| orders.hosted.shuts(user, source, is_host)),
            cleared: !sampled || kind != RoomKind::Match || !source.is_picture(),
        };
        if let Some(presence) = room.people.get_mut(&user) {
            presence.took_part = true;
        }
        if let Some(joined) = room.call.of_participant(participant) {
            joined.participant.disabled = orders.map(|it| it.hosted.disabled_of(user)).unwrap_or_default();
        }
        match room.call.publish(seat.session.id, &offered, answer.fresh, begins) {
            Ok(None) => return Err(Refusal::NotInCall),
            Ok(Some(published)) => {
                let began_muted = |id| offered.iter().any(|it| it.track == id && it.muted);
                for track in &published.tracks {
                    let muted = track.muted || track.muted_by_host;
                    // What was held when it was offered may be held no more.
                    if muted || began_muted(track.track_id) {
                        self.0.sfu.mute(call, track.track_id, muted);
                    }
                }
                self.tell_published(seat.room, published.clone(), was_listed, kind);
                if orders.is_some_and(|orders| orders.hosted.is_in_spotlight(participant)) {
                    // The media side may have begun the call anew.
                    self.0.sfu.spotlight(call, Some(participant));
                }
            }
            Err(strange) => {
                // The media side may have taken them on: nobody gets to see what nobody here knows.
                for track in strange {
                    self.0.sfu.mute(call, track, true);
                }
                return Err(Refusal::bad_request("tracks", "A line carries what it carried before."));
            }
        }
        let tracks = room.call.of_participant(participant).map(|joined| joined.answered()).unwrap_or_default();
        let participants = room.call.shown();
        let controls = orders.map(|orders| orders.hosted.controls()).unwrap_or_default();
        let answer =
            Answer { call_id: call, participant_id: participant, sdp: answer.sdp, tracks, participants, controls };
        let session = seat.session.id;
        let told = Event::to_session(seat.room, session, Fact::CallAnswer(answer.clone()));
        self.0.bus.publish(&Event { origin: Some(Origin { session, request }), ..told });
        let own = answer.participants.iter().find(|it| it.participant_id == participant);
        for stop in orders.zip(own).into_iter().flat_map(|(orders, own)| orders.stops(own, is_host)) {
            self.0.bus.publish(&Event::to_session(seat.room, session, stop));
        }
        Ok(answer)
    }

    /// The session's connection stands: media may come.
    ///
    /// # Errors
    /// `not_in_call`.
    pub fn ready(&self, seat: &Seat) -> Result<(), Refusal> {
        let (call, participant) = self.participant(seat)?;
        self.0.sfu.ready(call, participant);
        Ok(())
    }

    /// What the session wants to see, most important first.
    ///
    /// # Errors
    /// `not_in_call`, `bad_request` (`tracks`).
    pub fn view(&self, seat: &Seat, views: Vec<View>) -> Result<(), Refusal> {
        if views.len() > VIEW_LIMIT {
            return Err(Refusal::bad_request("tracks", format!("A view names up to {VIEW_LIMIT} tracks.")));
        }
        let (call, participant) = self.participant(seat)?;
        self.0.sfu.view(call, participant, views);
        Ok(())
    }

    /// Mutes a track of the session's own, or lets it be heard again.
    ///
    /// # Errors
    /// `not_in_call`, `not_found` (none of one's own tracks), `muted_by_host`, `disabled_by_host` (a host holds it).
    pub fn mute(&self, seat: &Seat, track: TrackId, muted: bool) -> Result<(), Refusal> {
        let mut lobby = self.lobby();
        let Lobby { rooms, orders, .. } = &mut *lobby;
        let room = rooms.get_mut(&seat.room).ok_or(Refusal::NotInCall)?;
        let (call, user, is_host) = (room.record.call, seat.user().id, room.is_host(seat.user().id));
        let joined = room.call.of_session(seat.session.id).ok_or(Refusal::NotInCall)?;
        let own = joined.participant.track_mut(track).ok_or(Refusal::NotFound)?;
        let orders = orders.get_mut(&call);
        let held = orders.as_ref().and_then(|orders| orders.held(user, own.source, is_host)).filter(|_| !muted);
        match held.map(|held| (held.reason, held.may_unmute)) {
            Some((StopReason::MutedByHost, true)) => {
                if let Some(orders) = orders {
                    orders.hosted.may_speak(user);
                }
            }
            Some((StopReason::MutedByHost, false)) => return Err(Refusal::MutedByHost),
            Some((StopReason::DisabledByHost, _)) => return Err(Refusal::DisabledByHost),
            Some((StopReason::Moderation, _)) | None => {}
        }
        own.muted = muted;
        self.0.sfu.mute(call, track, own.muted || own.muted_by_host);
        if held.is_none_or(|held| !held.may_unmute) {
            self.0.bus.publish(&Event::ephemeral(seat.room, Fact::CallParticipant(joined.participant.clone())));
        } else {
            self.settle(&mut lobby, seat.room, false);
        }
        Ok(())
    }

    /// Mutes somebody's track for all, and whatever else they publish from the same source; or lets it be heard again. Nobody can
    /// do that to those above them, nor undo what the site's moderation did.
    ///
    /// # Errors
    /// `forbidden`, `not_found` (no such track in the call).
    pub fn mute_track(&self, seat: &Seat, track: TrackId, muted: bool) -> Result<(), Refusal> {
        const ACTION: Action = Action::MuteTrack;
        let actor = seat.standing();
        if !can(actor, ACTION) {
            return Err(Refusal::Forbidden { action: ACTION });
        }
        let mut lobby = self.lobby();
        let room = lobby.rooms.get_mut(&seat.room).ok_or(Refusal::NotInRoom)?;
        let call = room.record.call;
        let joined = room.call.of_track(track).ok_or(Refusal::NotFound)?;
        let publisher = room.people.get(&joined.participant.user_id).map(|presence| presence.standing);
        if publisher.is_some_and(|publisher| publisher.outranks(actor)) {
            return Err(Refusal::Forbidden { action: ACTION });
        }
        let user = joined.participant.user_id;
        let source = joined.participant.track_mut(track).ok_or(Refusal::NotFound)?.source;
        let host = Host { user: seat.user().id, standing: actor };
        let orders = lobby.orders_of(call);
        let forbidden = Refusal::Forbidden { action: ACTION };
        orders.hosted.mute(user, source, host, muted).map_err(|Overruled| forbidden.clone())?;
        let is_stopped = orders.is_stopped(user, source);
        self.settle(&mut lobby, seat.room, false);
        // What moderation stopped is muted, whatever the host wants.
        if is_stopped && !muted { Err(forbidden) } else { Ok(()) }
    }

    /// Ends the session's part in the call; its seat in the room stays.
    ///
    /// # Errors
    /// `not_in_call`.
    pub fn leave_call(&self, seat: &Seat) -> Result<(), Refusal> {
        let mut lobby = self.lobby();
        let left = self.leave_call_in(&mut lobby, seat.session.id, seat.room, LeftReason::Left);
        if left { Ok(()) } else { Err(Refusal::NotInCall) }
    }

    /// Takes a session out of a room's call and tells the others. `false`: it had no part.
    pub(super) fn leave_call_in(&self, lobby: &mut Lobby, session: SessionId, id: RoomId, reason: LeftReason) -> bool {
        let Some(room) = lobby.rooms.get_mut(&id) else { return false };
        let Some(left) = room.call.leave(session) else { return false };
        if room.call.joined.is_empty() {
            self.call_is_empty(id);
        }
        let (participant, user) = (left.participant.participant_id, left.participant.user_id);
        let call = room.record.call;
        let is_elsewhere = room.call.joined.iter().any(|it| it.participant.user_id == user);
        if let Some(presence) = room.people.get_mut(&user) {
            presence.took_part &= is_elsewhere || reason == LeftReason::Lost;
        }
        self.0.sfu.leave(call, participant);
        self.leave_spotlight(lobby, id, call, participant);
        if left.is_listed() {
            self.0.bus.publish(&Event::ephemeral(id, Fact::CallParticipantLeft { participant, user, reason }));
        }
        if lobby.streams.contains_key(&session) {
            // It is there for the call alone.
            self.rise_in(lobby, session, id, reason);
        }
        true
    }

    /// Shows the others that a participant's socket is gone, or is back.
    pub(super) fn show_lost(&self, lobby: &mut Lobby, session: SessionId, id: RoomId, lost: bool) {
        let joined = lobby.rooms.get_mut(&id).and_then(|room| room.call.of_session(session));
        if let Some(joined) = joined {
            joined.set_lost(lost);
            if joined.is_listed() {
                self.0.bus.publish(&Event::ephemeral(id, Fact::CallParticipant(joined.participant.clone())));
            }
        }
    }

    /// Tells what the SFU found.
    pub(super) fn call_changed(&self, event: CallEvent) {
        let mut lobby = self.lobby();
        match event {
            CallEvent::Connected { call, participant, connection } => {
                let Some((id, room)) = lobby.room_of_call(call) else { return };
                let joined = room.call.of_participant(participant).filter(|joined| joined.is_connection(connection));
                if let Some(joined) = joined {
                    joined.set_connected();
                    if joined.is_listed() {
                        let shown = Fact::CallParticipant(joined.participant.clone());
                        self.0.bus.publish(&Event::ephemeral(id, shown));
                    }
                    let session = joined.session;
                    self.stream_connected(&lobby, session, call, participant);
                }
            }
            CallEvent::Closed { call, participant, connection } => {
                let Some((id, room)) = lobby.room_of_call(call) else { return };
                let joined = room.call.of_participant(participant).filter(|joined| joined.is_connection(connection));
                let Some(session) = joined.as_ref().map(|joined| joined.session) else { return };
                if lobby.streams.contains_key(&session) {
                    // It has no other way to offer another connection than to begin anew.
                    self.leave_call_in(&mut lobby, session, id, LeftReason::Lost);
                    return;
                }
                let Some((_, room)) = lobby.room_of_call(call) else { return };
                if let Some(joined) = room.call.of_participant(participant) {
                    joined.set_closed();
                    if joined.is_listed() {
                        self.0.bus.publish(&Event::ephemeral(id, Fact::CallParticipant(joined.participant.clone())));
                    }
                }
            }
            CallEvent::Lost { call, participant, connection } => {
                let Some((id, room)) = lobby.room_of_call(call) else { return };
                let Some(joined) = room.call.of_participant(participant) else { return };
                if joined.is_lost_by(connection) {
                    let session = joined.session;
                    self.lose_connection(&mut lobby, id, session, EndReason::IceTimeout);
                }
            }
            CallEvent::Broke { call, participant, connection } => {
                let Some((id, room)) = lobby.room_of_call(call) else { return };
                let Some(joined) = room.call.of_participant(participant) else { return };
                if joined.is_lost_by(connection) {
                    let session = joined.session;
                    self.lose_connection(&mut lobby, id, session, EndReason::Broken);
                }
            }
            CallEvent::Slots { call, participant, slots } => {
                let Some((id, room)) = lobby.room_of_call(call) else { return };
                if let Some(joined) = room.call.of_participant(participant) {
                    let slots: Vec<Slot> = slots.into_iter().map(slot_of).collect();
                    joined.keep_slots(&slots);
                    self.0.bus.publish(&Event::to_session(id, joined.session, Fact::CallSlots(slots)));
                }
            }
            CallEvent::Track { call, track, active } => {
                let Some((id, room)) = lobby.room_of_call(call) else { return };
                if let Some(joined) = room.call.of_track(track) {
                    if let Some(track) = joined.participant.track_mut(track) {
                        track.active = active;
                    }
                    self.0.bus.publish(&Event::ephemeral(id, Fact::CallParticipant(joined.participant.clone())));
                }
            }
            CallEvent::Watched { call, track, layers } => {
                let Some((id, room)) = lobby.room_of_call(call) else { return };
                if let Some(joined) = room.call.of_track(track) {
                    let session = joined.session;
                    self.0.bus.publish(&Event::to_session(id, session, Fact::CallLayers { track, layers }));
                }
            }
            CallEvent::Quality { call, participant, report } => {
                self.quality_reported(&mut lobby, call, participant, &report);
            }
            CallEvent::Speakers { call, speakers } => {
                let Some((id, _)) = lobby.room_of_call(call) else { return };
                let speaker = |(participant_id, level)| Speaker { participant_id, level };
                let speakers = speakers.into_iter().map(speaker).collect();
                self.0.bus.publish(&Event::ephemeral(id, Fact::CallSpeakers(speakers)));
            }
        }
    }

    /// Tells the others what somebody publishes now; before an audience, whether they do at all.
    fn tell_published(&self, room: RoomId, published: Participant, was_listed: bool, kind: RoomKind) {
        let fact = if !kind.is_for_an_audience() || !published.tracks.is_empty() {
            Fact::CallParticipant(published)
        } else if was_listed {
            let Participant { participant_id: participant, user_id: user, .. } = published;
            Fact::CallParticipantLeft { participant, user, reason: LeftReason::Left }
        } else {
            return;
        };
        self.0.bus.publish(&Event::ephemeral(room, fact));
    }

    /// A session's media connection is given up: its part in the call is over, and it may offer again.
    pub(super) fn lose_connection(&self, lobby: &mut Lobby, id: RoomId, session: SessionId, reason: EndReason) {
        self.0.bus.publish(&Event::to_session(id, session, Fact::CallEnded { reason, by: None }));
        self.leave_call_in(lobby, session, id, LeftReason::Lost);
    }

    /// Takes a place in the call for an offer that is not answered yet, and names its tracks.
    pub(super) fn begin_call(
        &self,
        seat: &Seat,
        sources: &[OfferedSource],
        agrees: bool,
    ) -> Result<(CallId, ParticipantId, Vec<OfferedTrack>), Refusal> {
        let mut lobby = self.lobby();
        let Lobby { rooms, orders, streams, .. } = &mut *lobby;
        let room = rooms.get_mut(&seat.room).ok_or(Refusal::NotInRoom)?;
        if !room.has_calls() {
            return Err(Refusal::bad_request("roomId", "This room has no calls."));
        }
        let (kind, sends) = (room.record.room.kind, !sources.is_empty());
        if kind.is_for_an_audience() && sends && !can(seat.standing(), Action::PublishLive) {
            return Err(Refusal::Forbidden { action: Action::PublishLive });
        }
        // An audience has no bound but the media core's; who publishes before it has that of a call.
        let most = self.0.config.max_participants;
        let limit = if kind.is_for_an_audience() { most } else { room.record.room.max_participants.min(most) };
        let call = room.record.call;
        let user = seat.user().id;
        // Whoever was put out while the offer was on its way has no seat any more.
        if !room.people.get(&user).is_some_and(|presence| presence.sessions.contains(&seat.session.id)) {
            return Err(Refusal::NotInRoom);
        }
        let is_host = room.is_host(user);
        let takes_part = room.people.get(&user).is_some_and(|presence| presence.took_part) || is_host;
        if !takes_part && orders.get(&call).is_some_and(|orders| orders.hosted.locks_out(user)) {
            return Err(Refusal::RoomLocked);
        }
        if !sources.is_empty() && orders.get(&call).is_some_and(Orders::is_write_only) {
            return Err(Refusal::bad_request("tracks", "These two meet in writing: their call carries no tracks."));
        }
        let key = streams.get(&seat.session.id).and_then(|it| it.key.as_ref()).map(|key| key.name.as_str());
        // Who is there already was asked when they came, or has been told.
        let agrees = agrees || key.is_some() && room.call.of_session(seat.session.id).is_some();
        let admits =
            |orders: &mut Orders| if key.is_some() { orders.admits_by_key(agrees) } else { orders.admit(user, agrees) };
        if orders.get_mut(&call).is_some_and(|orders| !admits(orders)) {
            return Err(Refusal::RecordingConsent);
        }
        let new = Newcomer { session: seat.session.id, user: seat.user(), key, sends };
        let joined = room.call.join(new, limit).map_err(|none| match none {
            NoSeat::Full => Refusal::RoomFull { limit },
            NoSeat::TooManyOfOne => Refusal::bad_request("roomId", "You are in this call from too many places."),
        })?;
        let orders = orders.get(&call);
        let is_held = |source| orders.is_some_and(|orders| orders.held(user, source, is_host).is_some());
        Ok((call, joined.participant.participant_id, joined.begin_offer(sources, is_held)))
    }

    fn participant(&self, seat: &Seat) -> Result<(CallId, ParticipantId), Refusal> {
        let mut lobby = self.lobby();
        let room: &mut LiveRoom = lobby.rooms.get_mut(&seat.room).ok_or(Refusal::NotInCall)?;
        let call = room.record.call;
        let joined = room.call.of_session(seat.session.id).ok_or(Refusal::NotInCall)?;
        Ok((call, joined.participant.participant_id))
    }
}

fn check_sources(sources: &[OfferedSource]) -> Result<(), Refusal> {
    let (mut mids, mut kinds) = (HashSet::new(), HashSet::new());
    let fits = sources.len() <= SOURCES_LIMIT
        && sources
            .iter()
            .all(|it| (1..=MID_LIMIT).contains(&it.mid.len()) && mids.insert(&it.mid) && kinds.insert(it.source));
    if fits { Ok(()) } else { Err(Refusal::bad_request("tracks", "Each source has one send line with its own mid.")) }
}

pub(super) fn refusal_of(error: OfferError) -> Refusal {
    match error {
        OfferError::BadSdp(why) => Refusal::BadSdp(why),
        OfferError::NoIce => Refusal::NoIce,
        OfferError::NoFingerprint => Refusal::NoFingerprint,
        OfferError::TooManyMedia => Refusal::TooManyMedia,
        OfferError::UnsupportedCodecs => Refusal::UnsupportedCodecs,
        OfferError::Full(limit) => Refusal::RoomFull { limit },
        OfferError::Unavailable => Refusal::CallUnavailable,
    }
}

fn slot_of(state: SlotState) -> Slot {
    Slot {
        mid: state.mid,
        kind: if state.audio { SlotKind::Audio } else { SlotKind::Video },
        participant_id: state.source.map(|(participant, _)| participant),
        track_id: state.source.map(|(_, track)| track),
        layer: state.layer,
        rtp_timestamp: state.rtp_timestamp,
        paused: state.paused,
    }
}
