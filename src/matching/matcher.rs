//! Who meets whom: a pure function of tickets and time. No clock, no I/O, no randomness: the same calls give the same pairs.
//!
//! **Who accepts whom.** Each ticket climbs a ladder: first it insists on its language and on an interest in common, then on the
//! language alone, then on nothing. Two tickets may meet when *each* accepts the other at the stage that it has reached itself. The
//! other rule that one could think of, that the more patient of the two is enough, would hand a stranger of another language to
//! somebody who has searched for a second and asked for theirs: giving something up is everybody's own to do. What both accept is
//! symmetric, so the stricter of the two stages decides. Who names no language, or no interests, has no wish there, and
//! accepts and is accepted by all.
//!
//! **Who never meets.** Oneself; who blocked the other, either way; one's last partners; another mode, age band, cluster or trust.
//!
//! **In what order.** The oldest that may have found somebody searches first. It takes whoever shares most interests with it among
//! the oldest few of each of its interests, and the oldest otherwise. The few bound only the preference: if anybody at all
//! will do, somebody is found.
//!
//! **Two steps.** A pair is first *reserved*: both are invisible to others. Then the reservation is committed, or rolled back, or too
//! old; in both other cases each goes back with the age that it has. So a crash between the two steps costs a moment, and nobody is
//! ever in two pairs, or in none without knowing it.

mod entry;
mod met;
mod search;
mod shelves;
#[cfg(test)]
mod tests;
mod waits;

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};

use crate::domain::{
    TicketId, UserId,
    matching::{AgeBand, Language, MatchMode, MatchStage},
};
use entry::{Entries, Entry, Standing};
use met::Met;
pub use met::{PARTNERS, PARTNERS_FOR_MS};
use shelves::{Interests, Place, Shelves};
use waits::Waits;

/// Searches of one tick, so that a flood does not hold up whoever drives the matcher; the rest are due at once.
const SEARCHES: usize = 1_000;

/// How long what is insisted on, and how many at once.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Bounds {
    /// The age up to which a ticket insists on language and interests, in milliseconds.
    pub strict_ms: u64,
    /// The age up to which it insists on the language.
    pub interests_ms: u64,
    /// The age at which it ends.
    pub language_ms: u64,
    /// The age at which a ticket ends that takes anybody.
    pub fallback_ms: u64,
    /// The age at which a reservation goes back by itself.
    pub reserve_ms: u64,
    /// Tickets at once. Who comes when they are all taken is told to come back.
    pub tickets: usize,
    /// Reservations at once. Each is a transaction that somebody has to make; the next ones wait on the shelf.
    pub reservations: usize,
}

impl Default for Bounds {
    fn default() -> Self {
        Self {
            strict_ms: 5_000,
            interests_ms: 12_000,
            language_ms: 20_000,
            fallback_ms: 300_000,
            // Making a room takes milliseconds; this is for a database that hangs.
            reserve_ms: 5_000,
            // Some ten times as many as a busy site has; about 2 kB each.
            tickets: 20_000,
            reservations: 128,
        }
    }
}

/// Somebody's search.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ticket {
    /// Which.
    pub id: TicketId,
    /// Whose. Another ticket of theirs takes the place of this one.
    pub user: UserId,
    /// How they want to meet.
    pub mode: MatchMode,
    /// Whom they may meet, by age.
    pub band: AgeBand,
    /// Of which cluster they are, by its number: clusters do not mix.
    pub cluster: u16,
    /// Whether they only meet others of whom the same is true.
    pub low_trust: bool,
    /// The language they insist on for a while; `None`: they do not.
    pub language: Option<Language>,
    /// The interests of which they insist on one for a while, each once and in the form that is compared; empty: they do not.
    pub interests: Vec<String>,
    /// Whether they take anybody at once, and wait longer.
    pub fallback: bool,
    /// Whom they must not meet, whoever of the two blocked the other.
    pub blocked: HashSet<UserId>,
}

/// Every place is taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Full;

/// A reservation. Later ones are greater.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ReservationId(u64);

/// What a tick brought.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// These two may meet: commit it, or roll it back.
    Reserved {
        /// Which reservation.
        reservation: ReservationId,
        /// The two, the one that searched first.
        tickets: [TicketId; 2],
        /// What both named.
        shared: Vec<String>,
    },
    /// A ticket insists on less from now on.
    Climbed {
        /// Which.
        ticket: TicketId,
        /// On what.
        stage: MatchStage,
    },
    /// A ticket has found nobody. It is gone.
    TimedOut {
        /// Which.
        ticket: TicketId,
    },
}

/// Two who have met. Their tickets are gone.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Pair {
    /// The two, the one that searched first.
    pub tickets: [TicketId; 2],
    /// How long each waited, in milliseconds.
    pub waited_ms: [u64; 2],
}

/// Everybody who searches.
#[derive(Debug)]
pub struct Matcher {
    bounds: Bounds,
    now_ms: u64,
    entries: Entries,
    tickets: HashMap<TicketId, Place>,
    users: HashMap<UserId, Place>,
    searching: [usize; MatchMode::ALL.len()],
    shelves: Shelves,
    interests: Interests,
    /// When each ticket, unless it is reserved, climbs or ends.
    due: BTreeSet<(u64, Place)>,
    /// Those for whom there may be somebody since they last searched.
    changed: BTreeSet<Place>,
    reservations: BTreeMap<ReservationId, Reservation>,
    last_reservation: u64,
    met: Met,
    waits: Waits,
}

#[derive(Clone, Copy, Debug)]
struct Reservation {
    places: [Place; 2],
    made_ms: u64,
}

impl Matcher {
    /// Nobody searches yet.
    pub fn new(bounds: Bounds) -> Self {
        Self {
            bounds,
            now_ms: 0,
            entries: Entries::default(),
            tickets: HashMap::new(),
            users: HashMap::new(),
            searching: [0; MatchMode::ALL.len()],
            shelves: Shelves::default(),
            interests: Interests::default(),
            due: BTreeSet::new(),
            changed: BTreeSet::new(),
            reservations: BTreeMap::new(),
            last_reservation: 0,
            met: Met::default(),
            waits: Waits::default(),
        }
    }

    /// Somebody searches from now on. Times are milliseconds of one clock that does not go back.
    ///
    /// # Errors
    /// [`Full`]; a ticket that takes the place of another one always finds room.
    pub fn add(&mut self, ticket: Ticket, now_ms: u64) -> Result<(), Full> {
        self.now_ms = self.now_ms.max(now_ms);
        if let Some(place) = self.users.get(&ticket.user) {
            let before = self.entries.at(*place).ticket.id;
            self.remove(before);
        }
        if self.tickets.len() >= self.bounds.tickets {
            return Err(Full);
        }
        let place = self.entries.next_place();
        let interests = self.interests.enter(&ticket.interests);
        let met = self.met.of(ticket.user, self.now_ms);
        let stage = if ticket.fallback { MatchStage::Fallback } else { MatchStage::Strict };
        self.tickets.insert(ticket.id, place);
        self.users.insert(ticket.user, place);
        self.searching[ticket.mode as usize] += 1;
        let (since_ms, standing) = (self.now_ms, Standing::Held);
        let entry = Entry { ticket, place, since_ms, stage, standing, interests, met };
        self.due.insert((entry.next_change_ms(&self.bounds), place));
        self.entries.put(entry);
        self.show(place);
        Ok(())
    }

    /// Takes a ticket back, also out of a reservation. `false`: there is none.
    pub fn remove(&mut self, ticket: TicketId) -> bool {
        let Some(place) = self.tickets.get(&ticket).copied() else { return false };
        self.take_out(place);
        self.drop_entry(place);
        true
    }

    /// A ticket's owner is away: it keeps its age, and nobody finds it.
    pub fn hold(&mut self, ticket: TicketId) {
        if let Some(place) = self.tickets.get(&ticket).copied() {
            self.take_out(place);
        }
    }

    /// A ticket's owner is back.
    pub fn release(&mut self, ticket: TicketId) {
        let Some(place) = self.tickets.get(&ticket).copied() else { return };
        if self.entries.at(place).standing == Standing::Held {
            self.show(place);
        }
    }

    /// These two must not meet from now on. Should they be reserved for each other, they are not any more.
    pub fn forbid(&mut self, one: UserId, other: UserId) {
        let places = [self.users.get(&one).copied(), self.users.get(&other).copied()];
        for (place, whom) in places.into_iter().zip([other, one]) {
            if let Some(place) = place {
                self.entries.at_mut(place).ticket.blocked.insert(whom);
            }
        }
        if let [Some(one), Some(other)] = places
            && let Standing::Reserved(reservation) = self.entries.at(one).standing
            && self.entries.at(other).standing == Standing::Reserved(reservation)
        {
            self.roll_back(reservation);
        }
    }

    /// Nobody of these two blocks the other any more.
    pub fn permit(&mut self, one: UserId, other: UserId) {
        for (user, whom) in [(one, other), (other, one)] {
            let Some(place) = self.users.get(&user).copied() else { continue };
            let entry = self.entries.at_mut(place);
            entry.ticket.blocked.remove(&whom);
            if entry.standing == Standing::Waiting {
                self.changed.insert(place);
            }
        }
    }

    /// These two met at that moment, as was kept elsewhere.
    pub fn remember(&mut self, one: UserId, other: UserId, at_ms: u64) {
        self.met.record(one, other, at_ms);
    }

    /// The two meet. `None`: the reservation is no more, and nobody meets by it.
    pub fn commit(&mut self, reservation: ReservationId) -> Option<Pair> {
        let Reservation { places, made_ms } = self.reservations.remove(&reservation)?;
        let pair = places.map(|place| {
            let Entry { ticket, since_ms, .. } = self.entries.at(place);
            (ticket.id, ticket.user, ticket.mode, made_ms.saturating_sub(*since_ms))
        });
        for ((_, _, mode, waited_ms), place) in pair.into_iter().zip(places) {
            self.waits.record(mode, waited_ms, self.now_ms);
            self.drop_entry(place);
        }
        let [(one, one_user, _, one_waited), (other, other_user, _, other_waited)] = pair;
        self.met.record(one_user, other_user, self.now_ms);
        Some(Pair { tickets: [one, other], waited_ms: [one_waited, other_waited] })
    }

    /// The two do not meet: both search on, as old as they are.
    pub fn roll_back(&mut self, reservation: ReservationId) {
        let Some(Reservation { places, .. }) = self.reservations.remove(&reservation) else { return };
        for place in places {
            self.take_in(place);
            self.show(place);
        }
    }

    /// Lets time pass: reservations that nobody committed go back, tickets climb and end, and whoever may have found somebody
    /// searches.
    pub fn tick(&mut self, now_ms: u64) -> Vec<Outcome> {
        self.now_ms = self.now_ms.max(now_ms);
        let mut outcomes = Vec::new();
        while let Some((id, made)) = self.reservations.first_key_value()
            && made.made_ms + self.bounds.reserve_ms <= self.now_ms
        {
            self.roll_back(*id);
        }
        while let Some(user) = self.met.forget(self.now_ms) {
            if let Some(place) = self.users.get(&user).copied()
                && self.entries.at(place).standing == Standing::Waiting
            {
                self.changed.insert(place);
            }
        }
        self.climb(&mut outcomes);
        self.search(&mut outcomes);
        outcomes
    }

    /// When [`Self::tick`] has something to do. `None`: when somebody comes.
    pub fn next_due_ms(&self) -> Option<u64> {
        if !self.changed.is_empty() && self.reservations.len() < self.bounds.reservations {
            return Some(self.now_ms);
        }
        let back = self.reservations.first_key_value().map(|(_, made)| made.made_ms + self.bounds.reserve_ms);
        let climbs = self.due.first().map(|(at_ms, _)| *at_ms);
        // Partners are forgotten when there is another reason to look, or with this one.
        let forgets = if self.tickets.is_empty() { None } else { self.met.next_ms() };
        [back, climbs, forgets].into_iter().flatten().min()
    }

    /// What a ticket insists on, and in how many milliseconds it ends.
    pub fn progress(&self, ticket: TicketId) -> Option<(MatchStage, u64)> {
        let entry = self.entries.at(*self.tickets.get(&ticket)?);
        Some((entry.stage, (entry.since_ms + entry.limit_ms(&self.bounds)).saturating_sub(self.now_ms)))
    }

    /// What those waited who met lately, in milliseconds. `None`: nobody did.
    pub fn estimated_wait_ms(&self, mode: MatchMode) -> Option<u64> {
        self.waits.estimate_ms(mode, self.now_ms)
    }

    /// How many search.
    pub fn searching(&self, mode: MatchMode) -> usize {
        self.searching[mode as usize]
    }

    /// Whether another ticket finds room.
    pub fn has_room(&self) -> bool {
        self.tickets.len() < self.bounds.tickets
    }

    fn climb(&mut self, outcomes: &mut Vec<Outcome>) {
        while let Some((at_ms, place)) = self.due.first().copied()
            && at_ms <= self.now_ms
        {
            self.due.pop_first();
            let entry = self.entries.at(place);
            let (ticket, before, waits) = (entry.ticket.id, entry.stage, entry.standing == Standing::Waiting);
            let Some(stage) = entry.stage_at(self.now_ms, &self.bounds) else {
                outcomes.push(Outcome::TimedOut { ticket });
                self.remove(ticket);
                continue;
            };
            let entry = self.entries.at_mut(place);
            entry.stage = stage;
            self.due.insert((entry.next_change_ms(&self.bounds), place));
            if stage == before {
                continue;
            }
            if waits {
                entry.each_shelf(Some(before), |shelf| self.shelves.put(shelf, place));
                self.changed.insert(place);
            }
            outcomes.push(Outcome::Climbed { ticket, stage });
        }
    }

    fn search(&mut self, outcomes: &mut Vec<Outcome>) {
        for _ in 0..SEARCHES {
            if self.reservations.len() >= self.bounds.reservations {
                return;
            }
            let Some(place) = self.changed.pop_first() else { return };
            if let Some(partner) = self.partner_of(place) {
                outcomes.push(self.reserve([place, partner]));
            }
        }
    }

    fn reserve(&mut self, places: [Place; 2]) -> Outcome {
        self.last_reservation += 1;
        let reservation = ReservationId(self.last_reservation);
        for place in places {
            self.hide(place);
            let entry = self.entries.at_mut(place);
            entry.standing = Standing::Reserved(reservation);
            self.due.remove(&(entry.next_change_ms(&self.bounds), place));
        }
        self.reservations.insert(reservation, Reservation { places, made_ms: self.now_ms });
        let [one, other] = places.map(|place| self.entries.at(place));
        let names = one.shared(other).map(|number| self.interests.name(number).to_owned());
        let mut shared: Vec<_> = names.collect();
        shared.sort();
        Outcome::Reserved { reservation, tickets: [one.ticket.id, other.ticket.id], shared }
    }

    /// Makes a ticket held, whatever it was. A partner that was reserved for it searches on.
    fn take_out(&mut self, place: Place) {
        match self.entries.at(place).standing {
            Standing::Held => {}
            Standing::Waiting => {
                self.hide(place);
                self.entries.at_mut(place).standing = Standing::Held;
            }
            Standing::Reserved(reservation) => {
                self.roll_back(reservation);
                self.take_out(place);
            }
        }
    }

    /// Makes a ticket of a reservation that is over held.
    fn take_in(&mut self, place: Place) {
        let entry = self.entries.at_mut(place);
        entry.standing = Standing::Held;
        self.due.insert((entry.next_change_ms(&self.bounds), place));
    }

    /// Makes a held ticket wait.
    fn show(&mut self, place: Place) {
        let entry = self.entries.at_mut(place);
        entry.standing = Standing::Waiting;
        entry.each_shelf(None, |shelf| self.shelves.put(shelf, place));
        self.changed.insert(place);
    }

    fn hide(&mut self, place: Place) {
        let entry = self.entries.at(place);
        entry.each_shelf(None, |shelf| self.shelves.take(shelf, place));
        self.changed.remove(&place);
    }

    /// Forgets a ticket that is on no shelf.
    fn drop_entry(&mut self, place: Place) {
        let entry = self.entries.take(place);
        self.due.remove(&(entry.next_change_ms(&self.bounds), place));
        self.interests.leave(&entry.interests);
        self.tickets.remove(&entry.ticket.id);
        self.users.remove(&entry.ticket.user);
        self.searching[entry.ticket.mode as usize] -= 1;
    }
}
