//! From a reservation to a match.

use super::Matching;
use super::desk::Desk;
use super::matcher::{Pair, ReservationId};
use super::meeting::{Act, After, Meeting, Phase};
use crate::domain::{
    MatchId, Time, UserId,
    matching::{MatchEnd, MatchMode, MatchNews, MatchReady},
};
use crate::metrics::{MATCH_WAIT_SECONDS, MATCHES};

/// Two whom the matcher has reserved for each other.
pub(super) struct Opening {
    pub(super) reservation: ReservationId,
    pub(super) users: [UserId; 2],
    pub(super) shared: Vec<String>,
}

impl Matching {
    /// Makes sure that the two may meet, makes their room, and puts them together. If anything goes wrong, the reservation goes
    /// back by itself, after a moment that spares a database in trouble.
    pub(super) async fn meet(self, opening: Opening) {
        let [one, other] = opening.users;
        match self.0.store.are_blocked(one, other).await {
            Ok(false) => {}
            // The block came while one of the two was on the way into the search.
            Ok(true) => {
                let mut desk = self.desk();
                desk.matcher.forbid(one, other);
                return self.turn(&mut desk);
            }
            Err(error) => return tracing::warn!(%error, "two strangers wait: whether they may meet is not known"),
        }
        let Some((mode, asks)) = self.desk().agreement(opening.users) else { return };
        let id = MatchId::new();
        if asks {
            let phase = Phase::Confirming { accepted: [false; 2] };
            let mut desk = self.desk();
            if let Some(pair) = desk.matcher.commit(opening.reservation) {
                self.settle(&mut desk, id, mode, pair, opening, phase);
            }
            return self.turn(&mut desk);
        }
        let (room, call) = match self.0.rooms.create_match(mode, opening.users).await {
            Ok(made) => made,
            Err(refusal) => return tracing::warn!(?refusal, "two strangers wait: their room could not be made"),
        };
        let users = opening.users;
        let mut desk = self.desk();
        match desk.matcher.commit(opening.reservation) {
            Some(pair) => {
                let phase = Phase::Together { room, call, started_at: Time::now() };
                self.settle(&mut desk, id, mode, pair, opening, phase);
            }
            // One of the two has gone meanwhile.
            None => self.0.rooms.close_match(room, call, users),
        }
        self.turn(&mut desk);
    }

    /// Both have accepted: makes their room, and lets them in.
    pub(super) async fn prepare(self, id: MatchId) {
        let Some((mode, users)) = self.desk().meetings.get(&id).map(|it| (it.mode, it.users)) else { return };
        let made = self.0.rooms.create_match(mode, users).await;
        let now_ms = self.now_ms();
        let mut desk = self.desk();
        let meeting = desk.meetings.get_mut(&id);
        match (made, meeting) {
            (Ok((room_id, call_id)), Some(meeting)) => {
                meeting.phase = Phase::Together { room: room_id, call: call_id, started_at: Time::now() };
                meeting.found_ms = now_ms;
                self.together(&mut desk, id, room_id);
                for user in users {
                    self.tell(&desk, user, MatchNews::Ready(MatchReady { match_id: id, room_id, call_id }));
                }
            }
            // One of the two has gone meanwhile.
            (Ok((room, call)), None) => self.0.rooms.close_match(room, call, users),
            (Err(refusal), _) => {
                tracing::warn!(?refusal, "the room of two strangers could not be made");
                let end = |user| (user, MatchEnd::Unconfirmed, After::SearchesOn(None));
                self.end(&mut desk, id, users.map(end), Act::Silent, None);
            }
        }
        self.turn(&mut desk);
    }

    fn settle(&self, desk: &mut Desk, id: MatchId, mode: MatchMode, pair: Pair, opening: Opening, phase: Phase) {
        for (ticket, waited_ms) in pair.tickets.into_iter().zip(pair.waited_ms) {
            desk.forget_ticket(ticket);
            let waited_s = waited_ms as f64 / 1000.0;
            metrics::histogram!(MATCH_WAIT_SECONDS, "mode" => mode.as_str()).record(waited_s);
        }
        metrics::counter!(MATCHES, "mode" => mode.as_str()).increment(1);
        let Opening { users, shared, .. } = opening;
        let meeting = Meeting { users, mode, shared, found_ms: self.now_ms(), phase, deadline_ms: None };
        self.introduce(desk, id, meeting);
    }
}

impl Desk {
    /// How these two want to meet, and whether one of them wants to be asked before.
    fn agreement(&self, users: [UserId; 2]) -> Option<(MatchMode, bool)> {
        let [one, other] = users.map(|user| self.people.get(&user).map(|person| &person.wishes));
        let (one, other) = one.zip(other)?;
        Some((one.mode, one.confirm || other.confirm))
    }
}
