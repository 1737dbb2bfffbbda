//! Who takes part in one room's call.

use std::collections::{HashMap, HashSet};

use crate::domain::{
    CallId, ParticipantId, SessionId, TrackId, TrackSource, User, UserId,
    call::{AnsweredTrack, Call, OfferedSource, Participant, ParticipantState, Slot, Track},
};
use crate::metrics::PARTICIPANTS;
use crate::sfu::OfferedTrack;

/// The participants of a call, first come first.
#[derive(Default)]
pub(super) struct CallSeats {
    pub(super) joined: Vec<Joined>,
    /// What moderators muted, by person: leaving and coming back does not undo it.
    muted_by_host: HashMap<UserId, HashSet<TrackSource>>,
}

/// One participant.
pub(super) struct Joined {
    pub(super) session: SessionId,
    /// As the others see it.
    pub(super) participant: Participant,
    /// Whether the others see it: not before its offer is answered.
    pub(super) shown: bool,
    /// Whether its media is connected, whatever its socket does.
    connected: bool,
    lost: bool,
    /// What its slots show, by m-line.
    slots: HashMap<String, Slot>,
}

impl CallSeats {
    /// The call as everybody sees it.
    pub(super) fn view(&self, call: CallId) -> Call {
        Call { call_id: call, participants: self.shown() }
    }

    pub(super) fn shown(&self) -> Vec<Participant> {
        self.joined.iter().filter(|it| it.shown).map(|it| it.participant.clone()).collect()
    }

    /// The participant of a session; a new one if it has none and there are fewer than `limit`.
    pub(super) fn join(&mut self, session: SessionId, user: &User, limit: u32) -> Option<&mut Joined> {
        if let Some(place) = self.joined.iter().position(|it| it.session == session) {
            return Some(&mut self.joined[place]);
        }
        if self.joined.len() >= limit as usize {
            return None;
        }
        let participant = Participant {
            participant_id: ParticipantId::new(),
            user_id: user.id,
            nickname: user.nickname.clone(),
            state: ParticipantState::Joining,
            tracks: Vec::new(),
        };
        metrics::gauge!(PARTICIPANTS).increment(1.0);
        self.joined.push(Joined {
            session,
            participant,
            shown: false,
            connected: false,
            lost: false,
            slots: HashMap::new(),
        });
        self.joined.last_mut()
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

    pub(super) fn remember_mute(&mut self, user: UserId, source: TrackSource, muted: bool) {
        let sources = self.muted_by_host.entry(user).or_default();
        if muted {
            sources.insert(source);
        } else {
            sources.remove(&source);
        }
    }

    /// Gives the session's participant the tracks of its answered offer. A moderator's mute of a source holds on.
    pub(super) fn publish(&mut self, session: SessionId, offered: &[OfferedTrack]) -> Option<&Participant> {
        let muted = &self.muted_by_host;
        let joined = self.joined.iter_mut().find(|it| it.session == session)?;
        let muted = muted.get(&joined.participant.user_id);
        let tracks = offered.iter().map(|offer| {
            let known = joined.participant.tracks.iter().find(|track| track.track_id == offer.track).cloned();
            let fresh = Track {
                track_id: offer.track,
                source: offer.source,
                active: false,
                muted: false,
                muted_by_host: muted.is_some_and(|sources| sources.contains(&offer.source)),
            };
            known.unwrap_or(fresh)
        });
        joined.participant.tracks = tracks.collect();
        joined.shown = true;
        Some(&joined.participant)
    }
}

impl Joined {
    /// Names the tracks of an offer: a source keeps the name that it has.
    pub(super) fn name_tracks(&self, sources: &[OfferedSource]) -> Vec<OfferedTrack> {
        let known = |source| self.participant.tracks.iter().find(|track| track.source == source);
        let name = |it: &OfferedSource| OfferedTrack {
            mid: it.mid.clone(),
            source: it.source,
            track: known(it.source).map_or_else(TrackId::new, |track| track.track_id),
        };
        sources.iter().map(name).collect()
    }

    pub(super) fn set_connected(&mut self) {
        self.connected = true;
        self.show_state();
    }

    pub(super) fn set_lost(&mut self, lost: bool) {
        self.lost = lost;
        self.show_state();
    }

    fn show_state(&mut self) {
        self.participant.state = match (self.lost, self.connected) {
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

/// The tracks of an offer as its answer tells them.
pub(super) fn answered(offered: &[OfferedTrack]) -> Vec<AnsweredTrack> {
    offered.iter().map(|it| AnsweredTrack { mid: it.mid.clone(), track_id: it.track }).collect()
}
