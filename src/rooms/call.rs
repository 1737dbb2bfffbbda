//! Who takes part in one room's call.

use std::collections::{HashMap, HashSet};

use super::{hosted::Held, orders::Orders};
use crate::domain::{
    ParticipantId, SessionId, TrackId, TrackSource, User, UserId,
    call::{AnsweredTrack, OfferedSource, Participant, ParticipantState, Slot, Track},
};
use crate::metrics::PARTICIPANTS;
use crate::sfu::OfferedTrack;

/// From how many places (tabs, devices) one person can take part.
const PLACES_LIMIT: usize = 3;

/// The participants of a call, first come first.
#[derive(Default)]
pub(super) struct CallSeats {
    pub(super) joined: Vec<Joined>,
    /// Whether who only watches is counted and not named: there may be thousands.
    quiet: bool,
    /// How many viewers the room was told of last.
    told_viewers: u32,
}

/// Who wants to take part.
#[derive(Clone, Copy, Debug)]
pub(super) struct Newcomer<'a> {
    pub(super) session: SessionId,
    pub(super) user: &'a User,
    /// The name of the key that let them in, if it was one: each such is somebody of its own.
    pub(super) key: Option<&'a str>,
    /// Whether anything is offered.
    pub(super) sends: bool,
}

/// One participant.
pub(super) struct Joined {
    pub(super) session: SessionId,
    /// As the others see it.
    pub(super) participant: Participant,
    /// Whether the others see it: not before its offer is answered.
    pub(super) shown: bool,
    /// Its media connection, by the number that the SFU gave with the last answer.
    pub(super) connection: Option<u64>,
    /// Whether an offer waits for its answer: until then it is open whether a loss concerns the connection that is to come.
    offering: bool,
    /// The connection whose loss was told while an offer waited.
    lost_meanwhile: Option<u64>,
    /// What the connection's send lines carry, by m-line.
    lines: HashMap<String, (TrackSource, TrackId)>,
    /// Whether its media is connected, whatever its socket does.
    connected: bool,
    lost: bool,
    /// Whether its client has closed its connection; it may offer another one for a while.
    closed: bool,
    /// Whether a key let it in, and not a login.
    by_key: bool,
    /// Whether it is named only as long as it publishes.
    quiet: bool,
    /// Why nothing of its tracks is let through, where that is so.
    held: HashMap<TrackId, Held>,
    /// What its slots show, by m-line.
    slots: HashMap<String, Slot>,
}

/// How a track begins.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Beginning {
    /// Why nothing of it is let through.
    pub(super) held: Option<Held>,
    /// Its publisher is muted together with all others.
    pub(super) muted: bool,
    /// It may be seen.
    pub(super) cleared: bool,
}

/// What is held of a participant now, and was not before; or the other way round.
pub(super) struct HeldChange {
    pub(super) session: SessionId,
    pub(super) participant: Participant,
    /// The tracks, and why nothing of them is let through.
    pub(super) tracks: Vec<(Track, Option<Held>)>,
}

/// Why nobody else can take part.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum NoSeat {
    /// The call has as many people as the room has seats.
    Full,
    /// This person takes part from too many places.
    TooManyOfOne,
}

impl CallSeats {
    /// A call whose watchers are counted and not named (`quiet`), or one where everybody is named.
    pub(super) fn new(quiet: bool) -> Self {
        Self { joined: Vec::new(), quiet, told_viewers: 0 }
    }

    /// How many watch, if the room has been told another number.
    pub(super) fn viewers_to_tell(&mut self) -> Option<u32> {
        let viewers = if self.quiet { self.viewers() } else { 0 };
        (std::mem::replace(&mut self.told_viewers, viewers) != viewers).then_some(viewers)
    }

    /// How many take part and are not named.
    pub(super) fn viewers(&self) -> u32 {
        let unnamed = self.joined.iter().filter(|it| it.shown && !it.is_listed()).count();
        u32::try_from(unnamed).unwrap_or(u32::MAX)
    }

    pub(super) fn shown(&self) -> Vec<Participant> {
        self.joined.iter().filter(|it| it.is_listed()).map(|it| it.participant.clone()).collect()
    }

    /// The participant of a session; a new one if it has none and there is a seat. `limit` counts people, and each that came by a
    /// key; before an audience it counts those who publish.
    pub(super) fn join(&mut self, new: Newcomer<'_>, limit: u32) -> Result<&mut Joined, NoSeat> {
        let place = self.joined.iter().position(|it| it.session == new.session);
        let publishes = place.is_some_and(|at| !self.joined[at].participant.tracks.is_empty());
        if self.quiet && new.sends && !publishes {
            let publishing = self.joined.iter().filter(|it| !it.participant.tracks.is_empty()).count();
            if publishing >= limit as usize {
                return Err(NoSeat::Full);
            }
        }
        if let Some(place) = place {
            return Ok(&mut self.joined[place]);
        }
        let is_there = new.key.is_none() && self.of_login(new.user.id).next().is_some();
        if !self.quiet && !is_there && self.people() >= limit as usize {
            return Err(NoSeat::Full);
        }
        if new.key.is_none() && self.of_login(new.user.id).count() >= PLACES_LIMIT {
            return Err(NoSeat::TooManyOfOne);
        }
        metrics::gauge!(PARTICIPANTS).increment(1.0);
        self.joined.push(Joined::new(new, self.quiet));
        self.joined.last_mut().ok_or(NoSeat::Full)
    }

    /// The participants of a person who came by a login.
    fn of_login(&self, user: UserId) -> impl Iterator<Item = &Joined> {
        self.joined.iter().filter(move |it| !it.by_key && it.participant.user_id == user)
    }

    /// Who takes part: people, and each that came by a key.
    fn people(&self) -> usize {
        let (by_key, people): (Vec<_>, Vec<_>) = self.joined.iter().partition(|it| it.by_key);
        let people: HashSet<UserId> = people.into_iter().map(|it| it.participant.user_id).collect();
        people.len() + by_key.len()
    }

    pub(super) fn of_session(&mut self, session: SessionId) -> Option<&mut Joined> {
        self.joined.iter_mut().find(|it| it.session == session)
    }

    pub(super) fn of_participant(&mut self, id: ParticipantId) -> Option<&mut Joined> {
        self.joined.iter_mut().find(|it| it.participant.participant_id == id)
    }

    pub(super) fn of_track(&mut self, id: TrackId) -> Option<&mut Joined> {
        self.joined.iter_mut().find(|it| it.participant.tracks.iter().any(|track| track.track_id == id))
    }

    pub(super) fn leave(&mut self, session: SessionId) -> Option<Joined> {
        let place = self.joined.iter().position(|it| it.session == session)?;
        metrics::gauge!(PARTICIPANTS).decrement(1.0);
        Some(self.joined.remove(place))
    }

    /// All that the slots of a session show, if it takes part and anything is known.
    pub(super) fn slots_of(&self, session: SessionId) -> Option<Vec<Slot>> {
        let joined = self.joined.iter().find(|it| it.session == session)?;
        let mut slots: Vec<Slot> = joined.slots.values().cloned().collect();
        slots.sort_by(|one, other| one.mid.cmp(&other.mid));
        (!slots.is_empty()).then_some(slots)
    }

    /// Shows for everybody's tracks whether they are held; the participants that changed. `shuts`: who is muted together with all
    /// has muted themselves.
    pub(super) fn show_held(
        &mut self,
        orders: Option<&Orders>,
        is_host: impl Fn(UserId) -> bool,
        shuts: bool,
    ) -> Vec<HeldChange> {
        self.joined.iter_mut().filter_map(|joined| joined.show_held(orders, &is_host, shuts)).collect()
    }

    /// Gives the session's participant the tracks of its answered offer, as `begins` tells. One's own mute holds on.
    ///
    /// # Errors
    /// The tracks of the offer that nobody knew before, when one of them cannot be: a line of a connection that goes on carries what
    /// it carried before, and a source has one line.
    pub(super) fn publish(
        &mut self,
        session: SessionId,
        offered: &[OfferedTrack],
        fresh: bool,
        begins: impl Fn(UserId, TrackSource) -> Beginning,
    ) -> Result<Option<&Participant>, Vec<TrackId>> {
        let Some(joined) = self.joined.iter_mut().find(|it| it.session == session) else { return Ok(None) };
        let user = joined.participant.user_id;
        let begins = |source| begins(user, source);
        if fresh {
            joined.begin_connection();
        }
        if !offered.iter().all(|it| joined.can_carry(it)) {
            let is_strange = |it: &&OfferedTrack| joined.lines.values().all(|(_, known)| *known != it.track);
            return Err(offered.iter().filter(is_strange).map(|it| it.track).collect());
        }
        let mut old = std::mem::take(&mut joined.participant.tracks);
        for offer in offered {
            joined.lines.insert(offer.mid.clone(), (offer.source, offer.track));
        }
        if fresh {
            // Tracks of the connection that is gone: only whether they were muted lives on.
            let own = |source| old.iter().any(|track| track.source == source && track.muted);
            let tracks = offered.iter().map(|offer| track_of(offer, own(offer.source), begins(offer.source)));
            old = tracks.collect();
        } else {
            for offer in offered {
                if old.iter().all(|track| track.track_id != offer.track) {
                    old.push(track_of(offer, false, begins(offer.source)));
                }
            }
        }
        let held = |track: &Track| Some((track.track_id, begins(track.source).held?));
        joined.held = old.iter().filter_map(held).collect();
        joined.participant.tracks = old;
        joined.shown = true;
        Ok(Some(&joined.participant))
    }
}

fn track_of(offer: &OfferedTrack, muted: bool, begins: Beginning) -> Track {
    let Beginning { held, muted: with_all, cleared } = begins;
    Track {
        track_id: offer.track,
        source: offer.source,
        active: false,
        muted: muted || with_all,
        muted_by_host: held.is_some(),
        cleared,
    }
}

impl Joined {
    fn new(new: Newcomer<'_>, quiet: bool) -> Self {
        let Newcomer { session, user, key, .. } = new;
        Self {
            session,
            participant: Participant {
                participant_id: ParticipantId::new(),
                user_id: user.id,
                nickname: key.map_or_else(|| user.nickname.clone(), str::to_owned),
                state: ParticipantState::Joining,
                tracks: Vec::new(),
                disabled: Vec::new(),
                quality: None,
            },
            shown: false,
            connection: None,
            offering: false,
            lost_meanwhile: None,
            lines: HashMap::new(),
            connected: false,
            closed: false,
            lost: false,
            by_key: key.is_some(),
            quiet,
            held: HashMap::new(),
            slots: HashMap::new(),
        }
    }

    /// Shows whether its tracks are held now. `None`: as before.
    fn show_held(
        &mut self,
        orders: Option<&Orders>,
        is_host: &impl Fn(UserId) -> bool,
        shuts: bool,
    ) -> Option<HeldChange> {
        let user = self.participant.user_id;
        let is_host = is_host(user);
        let disabled = orders.map(|orders| orders.hosted.disabled_of(user)).unwrap_or_default();
        let mut has_changed = std::mem::replace(&mut self.participant.disabled, disabled) != self.participant.disabled;
        let mut tracks = Vec::new();
        for track in &mut self.participant.tracks {
            let held = orders.and_then(|orders| orders.held(user, track.source, is_host));
            let shut = shuts && orders.is_some_and(|orders| orders.hosted.shuts(user, track.source, is_host));
            has_changed |= shut && !track.muted;
            track.muted |= shut;
            let before = match held {
                Some(held) => self.held.insert(track.track_id, held),
                None => self.held.remove(&track.track_id),
            };
            if before != held {
                track.muted_by_host = held.is_some();
                tracks.push((track.clone(), held));
            }
        }
        let has_changed = (has_changed || !tracks.is_empty()) && self.is_listed();
        has_changed.then(|| HeldChange { session: self.session, participant: self.participant.clone(), tracks })
    }

    /// Names the tracks of an offer that waits for its answer from now on. A line keeps the name that it has; for a new connection,
    /// which nobody knows yet, any name is good. What is held, or was muted before, begins muted: no packet overtakes that.
    pub(super) fn begin_offer(
        &mut self,
        sources: &[OfferedSource],
        is_held: impl Fn(TrackSource) -> bool,
    ) -> Vec<OfferedTrack> {
        self.offering = true;
        let was_muted = |source| self.participant.tracks.iter().any(|track| track.source == source && track.muted);
        let known = |it: &OfferedSource| self.lines.get(&it.mid).filter(|(source, _)| *source == it.source);
        let name = |it: &OfferedSource| OfferedTrack {
            mid: it.mid.clone(),
            source: it.source,
            track: known(it).map_or_else(TrackId::new, |(_, track)| *track),
            muted: was_muted(it.source) || is_held(it.source),
        };
        sources.iter().map(name).collect()
    }

    /// The offer has its answer, or none. Whether the connection that is there now was lost meanwhile.
    pub(super) fn end_offer(&mut self, connection: Option<u64>) -> bool {
        self.offering = false;
        if connection.is_some() {
            self.connection = connection;
        }
        self.lost_meanwhile.take().is_some_and(|lost| self.connection == Some(lost))
    }

    /// Whether a line of the connection can carry that.
    fn can_carry(&self, offer: &OfferedTrack) -> bool {
        match self.lines.get(&offer.mid) {
            Some((source, _)) => *source == offer.source,
            None => self.lines.values().all(|(source, _)| *source != offer.source),
        }
    }

    fn begin_connection(&mut self) {
        self.lines.clear();
        self.slots.clear();
        (self.connected, self.closed) = (false, false);
        self.participant.quality = None;
        self.show_state();
    }

    /// The tracks of its connection, as an answer tells them.
    pub(super) fn answered(&self) -> Vec<AnsweredTrack> {
        let line = |(mid, (_, track)): (&String, &(TrackSource, TrackId))| AnsweredTrack {
            mid: mid.clone(),
            track_id: *track,
        };
        let mut tracks: Vec<_> = self.lines.iter().map(line).collect();
        tracks.sort_by(|one, other| one.mid.cmp(&other.mid));
        tracks
    }

    /// Whether an event of that connection is up to date.
    pub(super) fn is_connection(&self, connection: u64) -> bool {
        self.connection == Some(connection)
    }

    /// Whether the loss of that connection ends its part in the call; while an offer waits, that is open.
    pub(super) fn is_lost_by(&mut self, connection: u64) -> bool {
        if self.offering {
            self.lost_meanwhile = Some(connection);
            return false;
        }
        self.is_connection(connection)
    }

    /// Whether a key let it in, and not a login.
    pub(super) fn is_by_key(&self) -> bool {
        self.by_key
    }

    /// Whether the others see it.
    pub(super) fn is_listed(&self) -> bool {
        self.shown && !(self.quiet && self.participant.tracks.is_empty())
    }

    pub(super) fn set_connected(&mut self) {
        (self.connected, self.closed) = (true, false);
        self.show_state();
    }

    pub(super) fn set_closed(&mut self) {
        (self.connected, self.closed) = (false, true);
        self.show_state();
    }

    pub(super) fn set_lost(&mut self, lost: bool) {
        self.lost = lost;
        self.show_state();
    }

    fn show_state(&mut self) {
        self.participant.state = match (self.lost || self.closed, self.connected) {
            (true, _) => ParticipantState::Lost,
            (false, true) => ParticipantState::Connected,
            (false, false) => ParticipantState::Joining,
        };
    }

    pub(super) fn keep_slots(&mut self, slots: &[Slot]) {
        for slot in slots {
            self.slots.insert(slot.mid.clone(), slot.clone());
        }
    }
}
