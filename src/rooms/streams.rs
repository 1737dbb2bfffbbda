//! Streams: taking part in a call by HTTP alone, as WHIP publishers and WHEP players do.
//!
//! A stream has a session without a socket. It sits in its room like any other, so that whatever puts a person out puts their streams
//! out too; and it lives as long as its part in the call.

use std::sync::{
    Arc,
    atomic::{AtomicBool, Ordering},
};
use std::time::{Duration, Instant};

use super::{Offer, Rooms, Streamer, calls::refusal_of, lobby::Lobby, to_its_end};
use crate::domain::{
    Action, CallId, Event, Fact, ParticipantId, Refusal, Role, RoomId, Session, SessionId, Standing, StreamKey,
    StreamKeyId, StreamKind, Time, TrackSource, UserId,
    call::{EndReason, OfferedSource, Participant},
    can, permit,
    room::LeftReason,
};
use crate::limit::Rule;
use crate::metrics::{STREAMS, STREAMS_STARTED};
use crate::sfu::{Section, sections};
use crate::store::RoomRecord;

/// The longest offer of a stream, in bytes. It is kept for restarts of ICE, by each of thousands of players; Chromium's of two sections
/// with all its codecs has 8 KB.
pub const STREAM_OFFER_LIMIT: usize = 32 * 1024;
/// How long after the handshake a player gets its first packet: Firefox loses what comes before it has taken the keys into use, and
/// with it the first key frame.
const READY_AFTER: Duration = Duration::from_millis(250);
/// How often keys that are over end their streams, and a changed number of viewers is told.
const TICK: Duration = Duration::from_secs(2);
/// How many watch a call by one key at once: each takes a seat of its people, and a key that gets about fills no call. An audience takes
/// none.
const WATCHERS_BY_KEY: u32 = 10;

/// What somebody offers who takes part by HTTP.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StreamOffer {
    /// To publish, or to watch.
    pub kind: StreamKind,
    /// The SDP.
    pub sdp: String,
    /// Whether they agree to be recorded.
    pub accepts_recording: bool,
}

/// A stream whose offer is answered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Streaming {
    /// Its session.
    pub session: SessionId,
    /// The answer.
    pub sdp: String,
    /// Names its ICE session: another one after each restart.
    pub tag: String,
}

/// Which stream somebody means.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct StreamPlace {
    /// In which room.
    pub room: RoomId,
    /// What it does.
    pub kind: StreamKind,
    /// Its session.
    pub session: SessionId,
}

/// A stream that takes part, or is about to.
pub(super) struct Stream {
    room: RoomId,
    kind: StreamKind,
    pub(super) key: Option<StreamKey>,
    session: Arc<Session>,
    over: Arc<AtomicBool>,
    /// What it offered, for a restart of ICE, which brings new credentials alone.
    sdp: String,
    sources: Vec<OfferedSource>,
    tag: String,
}

impl Rooms {
    /// Lets somebody take part in a room's call without a socket. Who publishes by a key takes the place of whoever does so already.
    ///
    /// # Errors
    /// What coming in and offering refuse (`waiting`: nobody waits by HTTP); `bad_request` (`roomId`: no room for streams),
    /// `bad_sdp` (also: a publisher that receives, a player that sends), `not_found` (also: a key of another room), `forbidden`,
    /// `token_invalid` (the key was revoked meanwhile).
    pub async fn stream(&self, by: &Streamer, room: RoomId, offer: StreamOffer) -> Result<Streaming, Refusal> {
        if let Some(key) = &by.key {
            if key.room_id != room {
                return Err(Refusal::NotFound);
            }
            if key.kind != offer.kind {
                return Err(Refusal::Forbidden { action: Action::JoinCall });
            }
        }
        self.limit_streamer(by, Rule::JoinRoom)?;
        self.limit_streamer(by, Rule::Offer)?;
        let sources = sources_of(offer.kind, &sections(&offer.sdp).map_err(refusal_of)?)?;
        let (rooms, by) = (self.clone(), by.clone());
        // To its end even if the client goes meanwhile: a stream that nobody connects to is given up like any connection.
        to_its_end(async move { rooms.begin_stream(&by, room, offer, sources).await }).await
    }

    async fn begin_stream(
        &self,
        by: &Streamer,
        id: RoomId,
        offer: StreamOffer,
        sources: Vec<OfferedSource>,
    ) -> Result<Streaming, Refusal> {
        let (record, role, is_new) = self.admit(&by.caller, id).await?;
        if !record.room.kind.takes_streams() {
            return Err(Refusal::bad_request("roomId", "This room takes no streams."));
        }
        let muted_until = self.0.store.footing(id, by.caller.user.id).await?.muted_until;
        let standing = Standing { muted_until, ..Standing::of(Some(role), by.caller.user.role) };
        if record.room.archived_at.is_some() {
            return Err(Refusal::RoomArchived);
        }
        // A key is worth what its maker is now.
        let action = if by.key.is_some() { Action::StreamKeys } else { Action::JoinCall };
        permit(standing, action, record.room.settings.permits)?;
        permit(standing, Action::JoinCall, record.room.settings.permits)?;
        self.stream_may_come(&mut self.lobby(), by, &record, role)?;
        if is_new {
            self.0.store.add_member(id, by.caller.user.id, role, Time::now()).await?;
        }
        let StreamOffer { kind, sdp, accepts_recording } = offer;
        let session = self.seat_stream(by, record, role, kind)?;
        let offer = Offer { sdp, sources, accepts_recording };
        let mut begun = self.connect_stream(by, &session, id, offer.clone()).await;
        // In a full call it gets the seat of whom it replaces, and nothing but that.
        if matches!(begun, Err(Refusal::RoomFull { .. })) && self.replace(by, &session, id) {
            begun = self.connect_stream(by, &session, id, offer).await;
        }
        if begun.is_err() {
            self.rise(session.id, id, LeftReason::Left);
        }
        begun
    }

    async fn connect_stream(
        &self,
        by: &Streamer,
        session: &Arc<Session>,
        room: RoomId,
        offer: Offer,
    ) -> Result<Streaming, Refusal> {
        self.settle_role(room, session.caller.user.id).await?;
        // Their role may have changed where they sat already, before this stream was there to be ended.
        let standing = self.lobby().standing_of(room, session.caller.user.id).ok_or(Refusal::Removed)?;
        if by.key.is_some() && !can(standing, Action::StreamKeys) {
            return Err(Refusal::Forbidden { action: Action::StreamKeys });
        }
        let streaming = self.answer_stream(session, room, offer).await?;
        // Once more: whoever revoked the key meanwhile, or banned its maker, has either ended this stream or is seen here.
        self.confirm(by).await?;
        self.replace(by, session, room);
        Ok(streaming)
    }

    /// Who published by the same key goes, now that a stream takes their place. `false`: nobody did.
    fn replace(&self, by: &Streamer, session: &Session, room: RoomId) -> bool {
        let mut lobby = self.lobby();
        let is_there = lobby.streams.contains_key(&session.id);
        let Some(key) = by.key.as_ref().filter(|key| is_there && key.kind == StreamKind::Publish) else { return false };
        let others: Vec<_> = lobby.of_key(key.key_id).filter(|other| *other != session.id).collect();
        for other in &others {
            self.rise_in(&mut lobby, *other, room, LeftReason::Left);
        }
        !others.is_empty()
    }

    /// Answers a stream's offer, its first or one with new credentials.
    async fn answer_stream(&self, session: &Arc<Session>, room: RoomId, offer: Offer) -> Result<Streaming, Refusal> {
        let seat = self.seat(session, room)?;
        let answer = self.answer(&seat, offer.clone(), None).await?;
        let mut lobby = self.lobby();
        let stream = lobby.streams.get_mut(&session.id).ok_or(Refusal::NotFound)?;
        (stream.sdp, stream.sources, stream.tag) = (offer.sdp, offer.sources, tag_of(&answer.sdp));
        Ok(Streaming { session: session.id, sdp: answer.sdp, tag: stream.tag.clone() })
    }

    /// New ICE credentials for a stream (RFC 9725 §4.3.3); its media goes on.
    ///
    /// # Errors
    /// `not_found` (no such stream, or not theirs), `rate_limited`, `bad_sdp`, `call_unavailable`.
    pub async fn restart_stream(
        &self,
        by: &Streamer,
        place: StreamPlace,
        ufrag: &str,
        pwd: &str,
    ) -> Result<Streaming, Refusal> {
        let (session, offer) = self.of_stream(by, place, |stream| {
            let offer = Offer {
                sdp: with_credentials(&stream.sdp, ufrag, pwd),
                sources: stream.sources.clone(),
                accepts_recording: false,
            };
            (stream.session.clone(), offer)
        })?;
        self.limit_streamer(by, Rule::Offer)?;
        let rooms = self.clone();
        to_its_end(async move { rooms.answer_stream(&session, place.room, offer).await }).await
    }

    /// What names a stream's ICE session now.
    ///
    /// # Errors
    /// `not_found` (no such stream, or not theirs).
    pub fn stream_tag(&self, by: &Streamer, place: StreamPlace) -> Result<String, Refusal> {
        self.of_stream(by, place, |stream| stream.tag.clone())
    }

    /// Ends a stream.
    ///
    /// # Errors
    /// `not_found` (no such stream, or not theirs).
    pub fn end_stream(&self, by: &Streamer, place: StreamPlace) -> Result<(), Refusal> {
        self.of_stream(by, place, |_| ())?;
        self.rise(place.session, place.room, LeftReason::Left);
        Ok(())
    }

    /// Ends streams whose key is over and tells how many watch, until it is dropped.
    pub async fn tend_streams(self) {
        loop {
            tokio::time::sleep(TICK).await;
            let (mut lobby, now) = (self.lobby(), Time::now());
            let is_over = |stream: &Stream| stream.key.as_ref().is_some_and(|key| key.is_over(now));
            self.end_streams(&mut lobby, LeftReason::Removed, is_over);
            for (id, room) in &mut lobby.rooms {
                if let Some(viewers) = room.call.viewers_to_tell() {
                    self.0.bus.publish(&Event::ephemeral(*id, Fact::CallViewers(viewers)));
                }
            }
        }
    }

    /// A key is no more: whoever came by it goes.
    pub(super) fn end_streams_of_key(&self, id: StreamKeyId) {
        let is_of_key = |stream: &Stream| stream.key.as_ref().is_some_and(|key| key.key_id == id);
        self.end_streams(&mut self.lobby(), LeftReason::Removed, is_of_key);
    }

    /// Ends the streams for which that holds.
    pub(super) fn end_streams(&self, lobby: &mut Lobby, reason: LeftReason, holds: impl Fn(&Stream) -> bool) {
        let found: Vec<_> =
            lobby.streams.iter().filter(|(_, it)| holds(it)).map(|(session, it)| (*session, it.room)).collect();
        for (session, room) in found {
            self.rise_in(lobby, session, room, reason);
        }
    }

    /// Somebody is something else in a room now: their keys may be worth nothing any more, and before an audience they may publish
    /// no longer.
    pub(super) fn end_what_they_may_not(&self, lobby: &mut Lobby, room: RoomId, user: UserId) {
        let Some(standing) = lobby.standing_of(room, user) else { return };
        if !can(standing, Action::StreamKeys) {
            let is_theirs =
                |it: &Stream| it.room == room && it.key.as_ref().is_some_and(|key| key.created_by.user_id == user);
            self.end_streams(lobby, LeftReason::Removed, is_theirs);
        }
        let Some(live) = lobby.rooms.get(&room) else { return };
        let (record, permits) = (&live.record.room, live.record.room.settings.permits);
        let may = |action| permit(standing, action, permits).is_ok();
        let takes_part = record.archived_at.is_none() && may(Action::JoinCall);
        let (shares, publishes) =
            (may(Action::ShareScreen), !record.kind.is_for_an_audience() || may(Action::PublishLive));
        let may_stay = |participant: &Participant| {
            let screens = participant.tracks.iter().any(|track| track.source.is_screen());
            takes_part && (shares || !screens) && (publishes || participant.tracks.is_empty())
        };
        let theirs = live.call.joined.iter().filter(|it| it.participant.user_id == user);
        let sessions: Vec<_> = theirs.filter(|it| !may_stay(&it.participant)).map(|it| it.session).collect();
        for session in sessions {
            self.unpublish(lobby, room, session);
        }
    }

    /// Takes somebody out of a call who may not publish in it any more; they may come back to watch.
    pub(super) fn unpublish(&self, lobby: &mut Lobby, room: RoomId, session: SessionId) {
        let ended = Fact::CallEnded { reason: EndReason::RemovedByHost, by: None };
        self.0.bus.publish(&Event::to_session(room, session, ended));
        self.leave_call_in(lobby, session, room, LeftReason::Removed);
    }

    /// A connection stands. Who has a socket says themselves when they can take media; for a player it is said here.
    pub(super) fn stream_connected(&self, lobby: &Lobby, session: SessionId, call: CallId, participant: ParticipantId) {
        if lobby.streams.get(&session).is_some_and(|stream| stream.kind == StreamKind::Watch) {
            let sfu = self.0.sfu.clone();
            tokio::spawn(async move {
                tokio::time::sleep(READY_AFTER).await;
                sfu.ready(call, participant);
            });
        }
    }

    /// Whether a stream may come in now. Nobody waits by HTTP: who would have to is refused. A lock keeps keys out too, but for who
    /// takes the place of itself; at a waiting room a key passes, for the host who made it has let it in by that.
    fn stream_may_come(
        &self,
        lobby: &mut Lobby,
        by: &Streamer,
        record: &RoomRecord,
        role: Role,
    ) -> Result<(), Refusal> {
        let (room, call, user) = (record.room.id, record.call, &by.caller.user);
        let is_there = match &by.key {
            Some(key) => key.kind == StreamKind::Publish && lobby.of_key(key.key_id).next().is_some(),
            None => lobby.standing_of(room, user.id).is_some(),
        };
        let Some(orders) = lobby.orders.get_mut(&call).filter(|_| !is_there) else { return Ok(()) };
        orders.expire(Instant::now());
        let (hosted, by_key) = (&mut orders.hosted, by.key.is_some());
        if by_key {
            return if hosted.controls().locked { Err(Refusal::RoomLocked) } else { Ok(()) };
        }
        if can(Standing::of(Some(role), user.role), Action::HostCall) {
            hosted.admit(user.id);
            return Ok(());
        }
        match () {
            () if hosted.locks_out(user.id) => Err(Refusal::RoomLocked),
            () if hosted.lets_wait(user.id) => Err(Refusal::Waiting),
            () => Ok(()),
        }
    }

    /// Gives a stream a session and its seat.
    fn seat_stream(
        &self,
        by: &Streamer,
        record: RoomRecord,
        role: Role,
        kind: StreamKind,
    ) -> Result<Arc<Session>, Refusal> {
        let over = Arc::new(AtomicBool::new(false));
        let session = Arc::new(Session::new(SessionId::new(), 0, by.caller.clone(), over.clone()));
        let id = record.room.id;
        let mut lobby = self.lobby();
        self.stream_may_come(&mut lobby, by, &record, role)?;
        let takes_a_seat = kind == StreamKind::Watch && !record.room.kind.is_for_an_audience();
        if let Some(key) = by.key.as_ref().filter(|_| takes_a_seat)
            && lobby.of_key(key.key_id).count() >= WATCHERS_BY_KEY as usize
        {
            return Err(Refusal::RoomFull { limit: WATCHERS_BY_KEY });
        }
        self.take_seat(&mut lobby, &session, record, role)?;
        let (session_of, key) = (session.clone(), by.key.clone());
        let stream = Stream {
            room: id,
            kind,
            key,
            session: session_of,
            over,
            sdp: String::new(),
            sources: Vec::new(),
            tag: String::new(),
        };
        lobby.streams.insert(session.id, stream);
        metrics::gauge!(STREAMS, "kind" => kind.as_str()).increment(1.0);
        metrics::counter!(STREAMS_STARTED, "kind" => kind.as_str()).increment(1);
        Ok(session)
    }

    /// Reads something of a stream that is this streamer's: of the same person, and of the same key if it came by one.
    fn of_stream<T>(&self, by: &Streamer, place: StreamPlace, read: impl FnOnce(&Stream) -> T) -> Result<T, Refusal> {
        let lobby = self.lobby();
        let stream = lobby.streams.get(&place.session).ok_or(Refusal::NotFound)?;
        let key = |key: &Option<StreamKey>| key.as_ref().map(|key| key.key_id);
        let is_theirs = stream.session.caller.user.id == by.caller.user.id && key(&stream.key) == key(&by.key);
        let is_there = stream.room == place.room && stream.kind == place.kind;
        if is_theirs && is_there { Ok(read(stream)) } else { Err(Refusal::NotFound) }
    }
}

impl Stream {
    /// Whether that login opened it.
    pub(super) fn is_of_login(&self, family: crate::domain::FamilyId) -> bool {
        self.key.is_none() && self.session.caller.family == family
    }

    /// Whether it came by a key of that person's.
    pub(super) fn is_by_key_of(&self, user: UserId) -> bool {
        self.key.as_ref().is_some_and(|key| key.created_by.user_id == user)
    }
}

impl Lobby {
    /// Whether somebody in a room may publish that as what they are there now: before an audience not everybody may.
    pub(super) fn may_publish(&self, room: RoomId, user: UserId, sources: &[OfferedSource]) -> bool {
        let is_live = self.rooms.get(&room).is_some_and(|it| it.record.room.kind.is_for_an_audience());
        let standing = self.standing_of(room, user);
        !is_live || sources.is_empty() || standing.is_some_and(|it| can(it, Action::PublishLive))
    }

    /// A session is no stream any more.
    pub(super) fn forget_stream(&mut self, session: SessionId) {
        if let Some(stream) = self.streams.remove(&session) {
            stream.over.store(true, Ordering::Release);
            metrics::gauge!(STREAMS, "kind" => stream.kind.as_str()).decrement(1.0);
        }
    }

    /// The sessions that came by a key.
    fn of_key(&self, id: StreamKeyId) -> impl Iterator<Item = SessionId> {
        let is_it = move |it: &Stream| it.key.as_ref().is_some_and(|key| key.key_id == id);
        self.streams.iter().filter(move |(_, stream)| is_it(stream)).map(|(session, _)| *session)
    }
}

/// What a stream's sections carry: the first sound is a microphone and the first picture a camera, the second ones a screen with its
/// sound.
fn sources_of(kind: StreamKind, sections: &[Section]) -> Result<Vec<OfferedSource>, Refusal> {
    let (sends, receives) = (|it: &Section| it.sends, |it: &Section| it.receives && !it.sends);
    if kind == StreamKind::Watch {
        return match (sections.iter().any(sends), sections.iter().any(receives)) {
            (false, true) => Ok(Vec::new()),
            (true, _) => Err(Refusal::BadSdp("whoever watches sends nothing: its sections are recvonly".to_owned())),
            (false, false) => Err(Refusal::BadSdp("no section is recvonly".to_owned())),
        };
    }
    if sections.iter().any(receives) {
        return Err(Refusal::BadSdp("whoever publishes receives nothing: its sections are sendonly".to_owned()));
    }
    let mut sounds = [TrackSource::Microphone, TrackSource::ScreenAudio].into_iter();
    let mut pictures = [TrackSource::Camera, TrackSource::Screen].into_iter();
    let mut sources = Vec::new();
    for section in sections.iter().filter(|it| it.sends) {
        let source = if section.audio { sounds.next() } else { pictures.next() };
        let source = source.ok_or(Refusal::TooManyMedia)?;
        sources.push(OfferedSource { mid: section.mid.clone(), source });
    }
    if sources.is_empty() { Err(Refusal::BadSdp("no section is sendonly".to_owned())) } else { Ok(sources) }
}

/// The same offer with other ICE credentials.
fn with_credentials(sdp: &str, ufrag: &str, pwd: &str) -> String {
    let mut renewed = String::with_capacity(sdp.len() + 64);
    for line in sdp.lines() {
        match line {
            _ if line.starts_with("a=ice-ufrag:") => renewed.extend(["a=ice-ufrag:", ufrag]),
            _ if line.starts_with("a=ice-pwd:") => renewed.extend(["a=ice-pwd:", pwd]),
            _ => renewed.push_str(line),
        }
        renewed.push_str("\r\n");
    }
    renewed
}

/// The server's own ICE user name is new with each ICE session.
fn tag_of(answer: &str) -> String {
    answer.lines().find_map(|line| line.strip_prefix("a=ice-ufrag:")).unwrap_or_default().to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn section(audio: bool, sends: bool, receives: bool) -> Section {
        Section { mid: if audio { "a" } else { "v" }.to_owned(), audio, sends, receives }
    }

    #[test]
    fn the_first_picture_is_a_camera_and_the_second_a_screen() {
        let offered = [section(false, true, false), section(true, true, true), section(false, true, false)];
        let sources = sources_of(StreamKind::Publish, &offered).unwrap();
        let sources: Vec<_> = sources.into_iter().map(|it| it.source).collect();
        assert_eq!(sources, [TrackSource::Camera, TrackSource::Microphone, TrackSource::Screen]);
        let three = vec![section(false, true, false); 3];
        assert_eq!(sources_of(StreamKind::Publish, &three), Err(Refusal::TooManyMedia));
    }

    #[test]
    fn publishers_send_and_players_receive() {
        let (send, receive, neither) =
            (section(true, true, false), section(true, false, true), section(true, false, false));
        assert_eq!(sources_of(StreamKind::Watch, std::slice::from_ref(&receive)), Ok(Vec::new()));
        for (kind, wrong) in [
            (StreamKind::Publish, vec![send.clone(), receive.clone()]),
            (StreamKind::Publish, vec![neither.clone()]),
            (StreamKind::Watch, vec![receive, send]),
            (StreamKind::Watch, vec![neither]),
        ] {
            assert!(matches!(sources_of(kind, &wrong), Err(Refusal::BadSdp(_))), "{kind:?} {wrong:?}");
        }
    }

    #[test]
    fn a_restart_changes_all_credentials_and_nothing_else() {
        let sdp = "v=0\r\na=ice-ufrag:old\r\na=ice-pwd:older\r\nm=audio 9\r\na=ice-ufrag:old\r\na=mid:0\r\n";
        let renewed = "v=0\r\na=ice-ufrag:new\r\na=ice-pwd:newer\r\nm=audio 9\r\na=ice-ufrag:new\r\na=mid:0\r\n";
        assert_eq!(with_credentials(sdp, "new", "newer"), renewed);
    }
}
