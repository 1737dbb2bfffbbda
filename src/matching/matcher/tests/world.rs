//! A million random steps, each held against a model that knows the rules and nothing of shelves.

use std::hash::{DefaultHasher, Hash, Hasher};

use super::*;

const PEOPLE: usize = 24;
const WORLDS: u64 = 1_000;
const STEPS: usize = 1_000;
const LANGUAGES: [&str; 3] = ["", "en", "de"];
const TOPICS: [&str; 6] = ["chess", "go", "tea", "opera", "bees", "maps"];

/// SplitMix64: the same numbers for the same seed, everywhere.
struct Chance(u64);

impl Chance {
    fn below(&mut self, bound: usize) -> usize {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        ((mixed ^ (mixed >> 31)) % bound as u64) as usize
    }

    /// Once in so many times.
    fn once_in(&mut self, times: usize) -> bool {
        self.below(times) == 0
    }
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum State {
    Waiting,
    Held,
    Reserved(ReservationId),
}

struct Model {
    ticket: Ticket,
    person: usize,
    since_ms: u64,
    state: State,
}

struct World {
    chance: Chance,
    now_ms: u64,
    matcher: Matcher,
    /// By person: everybody has one ticket at most.
    models: Vec<Option<Model>>,
    blocked: [[bool; PEOPLE]; PEOPLE],
    /// Whom each has met, and when; the latest last.
    met: Vec<Vec<(usize, u64)>>,
    reservations: Vec<(ReservationId, [usize; 2], u64)>,
    tickets: u128,
    pairs: usize,
    /// All that happened, to compare two runs.
    story: DefaultHasher,
}

impl World {
    fn new(seed: u64) -> Self {
        Self {
            chance: Chance(seed),
            now_ms: 0,
            matcher: Matcher::new(Bounds::default()),
            models: (0..PEOPLE).map(|_| None).collect(),
            blocked: [[false; PEOPLE]; PEOPLE],
            met: vec![Vec::new(); PEOPLE],
            reservations: Vec::new(),
            tickets: 0,
            pairs: 0,
            story: DefaultHasher::new(),
        }
    }

    fn step(&mut self) {
        let person = self.chance.below(PEOPLE);
        match self.chance.below(100) {
            0..35 => self.start(person),
            35..40 => self.cancel(person),
            40..44 => self.lose(person),
            44..50 => self.come_back(person),
            50..52 => self.block(person),
            52..55 => self.unblock(person),
            55..65 => self.commit(),
            65..68 => self.roll_back(),
            _ => self.pass(),
        }
    }

    fn start(&mut self, person: usize) {
        if matches!(&self.models[person], Some(model) if !self.chance.once_in(20) || model.state == State::Held) {
            return;
        }
        self.unreserve(person);
        self.tickets += 1;
        let chance = &mut self.chance;
        let topics = chance.below(4);
        let interests: BTreeSet<_> = (0..topics).map(|_| TOPICS[chance.below(TOPICS.len())].to_owned()).collect();
        let ticket = Ticket {
            id: TicketId::from(self.tickets),
            user: user(person),
            mode: if chance.once_in(10) { MatchMode::Text } else { MatchMode::Video },
            band: if person == 0 { AgeBand::Minor } else { AgeBand::Adult },
            low_trust: person % 8 == 1,
            interests: interests.into_iter().collect(),
            fallback: chance.once_in(10),
            blocked: (0..PEOPLE).filter(|other| self.is_blocked(person, *other)).map(user).collect(),
            ..super::ticket(0, LANGUAGES[self.chance.below(3)], &[])
        };
        self.matcher.add(ticket.clone(), self.now_ms).unwrap();
        self.models[person] = Some(Model { ticket, person, since_ms: self.now_ms, state: State::Waiting });
    }

    fn cancel(&mut self, person: usize) {
        self.unreserve(person);
        if let Some(model) = self.models[person].take() {
            assert!(self.matcher.remove(model.ticket.id));
            assert!(!self.matcher.remove(model.ticket.id));
        }
    }

    fn lose(&mut self, person: usize) {
        self.unreserve(person);
        if let Some(model) = &mut self.models[person] {
            model.state = State::Held;
            self.matcher.hold(model.ticket.id);
        }
    }

    fn come_back(&mut self, person: usize) {
        if let Some(model) = &mut self.models[person] {
            self.matcher.release(model.ticket.id);
            if model.state == State::Held {
                model.state = State::Waiting;
            }
        }
    }

    fn block(&mut self, person: usize) {
        let other = self.chance.below(PEOPLE);
        self.blocked[person][other] = true;
        self.matcher.forbid(user(person), user(other));
        if self.reservations.iter().any(|(_, pair, _)| pair.contains(&person) && pair.contains(&other)) {
            self.unreserve(person);
        }
    }

    fn unblock(&mut self, person: usize) {
        let other = self.chance.below(PEOPLE);
        self.blocked[person][other] = false;
        if !self.is_blocked(person, other) {
            self.matcher.permit(user(person), user(other));
        }
    }

    fn commit(&mut self) {
        if self.reservations.is_empty() {
            return;
        }
        let (reservation, people, _) = self.reservations.remove(self.chance.below(self.reservations.len()));
        let pair = self.matcher.commit(reservation).expect("it is there");
        assert_eq!(self.matcher.commit(reservation), None, "each ticket is in one pair");
        let tickets = people.map(|person| self.models[person].take().expect("it is reserved").ticket.id);
        assert_eq!(pair.tickets, tickets);
        for [one, other] in [people, [people[1], people[0]]] {
            self.met[one].push((other, self.now_ms));
        }
        self.pairs += 1;
    }

    fn roll_back(&mut self) {
        if !self.reservations.is_empty() {
            let (reservation, people, _) = self.reservations.remove(self.chance.below(self.reservations.len()));
            self.matcher.roll_back(reservation);
            people.into_iter().for_each(|person| self.set(person, State::Waiting));
        }
    }

    /// The person's reservation, if there is one, comes to nothing.
    fn unreserve(&mut self, person: usize) {
        if let Some(place) = self.reservations.iter().position(|(_, people, _)| people.contains(&person)) {
            let (_, people, _) = self.reservations.remove(place);
            people.into_iter().for_each(|person| self.set(person, State::Waiting));
        }
    }

    fn set(&mut self, person: usize, state: State) {
        self.models[person].as_mut().expect("somebody who searches").state = state;
    }

    fn pass(&mut self) {
        let rare = self.chance.once_in(500);
        self.now_ms += self.chance.below(if rare { 2_000_000 } else { 3_000 }) as u64;
        let (kept, old): (Vec<_>, Vec<_>) =
            self.reservations.iter().partition(|(_, _, made_ms)| made_ms + 5_000 > self.now_ms);
        self.reservations = kept;
        for (_, people, _) in old {
            people.into_iter().for_each(|person| self.set(person, State::Waiting));
        }
        let outcomes = self.matcher.tick(self.now_ms);
        format!("{outcomes:?}").hash(&mut self.story);
        for outcome in outcomes {
            self.follow(outcome);
        }
        for model in self.models.iter().flatten().filter(|model| !matches!(model.state, State::Reserved(_))) {
            assert!(self.now_ms - model.since_ms < limit_ms(model), "{:?} starves", model.ticket);
            let (stage, left_ms) = self.matcher.progress(model.ticket.id).expect("it searches");
            assert_eq!(
                (stage, left_ms),
                (stage_of(model, self.now_ms), model.since_ms + limit_ms(model) - self.now_ms)
            );
        }
        if self.chance.once_in(4) {
            self.nobody_waits_in_vain();
        }
    }

    fn follow(&mut self, outcome: Outcome) {
        match outcome {
            Outcome::Reserved { reservation, tickets, shared } => {
                let people = tickets.map(|ticket| self.person(ticket));
                let [one, other] = people.map(|person| self.models[person].as_ref().expect("it searches"));
                assert!(one.state == State::Waiting && other.state == State::Waiting, "{one:?} {other:?}");
                assert!(self.may_meet(one, other), "{one:?} and {other:?} must not meet");
                let common: Vec<_> =
                    one.ticket.interests.iter().filter(|it| other.ticket.interests.contains(it)).cloned().collect();
                assert_eq!(shared, common);
                people.into_iter().for_each(|person| self.set(person, State::Reserved(reservation)));
                self.reservations.push((reservation, people, self.now_ms));
            }
            Outcome::Climbed { ticket, stage } => {
                let model = self.models[self.person(ticket)].as_ref().expect("it searches");
                assert_eq!(stage, stage_of(model, self.now_ms));
            }
            Outcome::TimedOut { ticket } => {
                let person = self.person(ticket);
                let model = self.models[person].take().expect("it searches");
                assert!(self.now_ms - model.since_ms >= limit_ms(&model), "{model:?} has time left");
            }
        }
    }

    fn person(&self, ticket: TicketId) -> usize {
        let mut models = self.models.iter().flatten();
        models.find(|model| model.ticket.id == ticket).expect("somebody's, who has not cancelled").person
    }

    fn nobody_waits_in_vain(&self) {
        let waiting: Vec<_> = self.models.iter().flatten().filter(|model| model.state == State::Waiting).collect();
        for (number, one) in waiting.iter().enumerate() {
            for other in &waiting[number + 1..] {
                assert!(!self.may_meet(one, other), "{one:?} and {other:?} could meet");
            }
        }
    }

    fn is_blocked(&self, one: usize, other: usize) -> bool {
        self.blocked[one][other] || self.blocked[other][one]
    }

    fn may_meet(&self, one: &Model, other: &Model) -> bool {
        let (a, b) = (&one.ticket, &other.ticket);
        let has_met = |one: usize, other| {
            let last = self.met[one].iter().rev().take(PARTNERS);
            last.into_iter().any(|(partner, at_ms)| *partner == other && at_ms + PARTNERS_FOR_MS > self.now_ms)
        };
        let accepts = |model: &Model| {
            let language = a.language.is_none() || b.language.is_none() || a.language == b.language;
            let interests = a.interests.is_empty()
                || b.interests.is_empty()
                || a.interests.iter().any(|interest| b.interests.contains(interest));
            match stage_of(model, self.now_ms) {
                MatchStage::Strict => language && interests,
                MatchStage::Interests => language,
                MatchStage::Language | MatchStage::Fallback => true,
            }
        };
        a.mode == b.mode
            && a.band == b.band
            && a.low_trust == b.low_trust
            && !self.is_blocked(one.person, other.person)
            && accepts(one)
            && accepts(other)
            && !has_met(one.person, other.person)
            && !has_met(other.person, one.person)
    }

    /// Everybody goes; nothing may be left behind.
    fn end(mut self) -> (usize, u64) {
        self.now_ms += 1_000_000;
        self.matcher.tick(self.now_ms);
        assert_eq!(MatchMode::ALL.map(|mode| self.matcher.searching(mode)), [0, 0]);
        let Matcher { entries, tickets, users, shelves, interests, due, changed, reservations, .. } = &self.matcher;
        assert!(entries.is_empty() && tickets.is_empty() && users.is_empty());
        assert!(shelves.is_empty() && interests.is_empty() && due.is_empty());
        assert!(changed.is_empty() && reservations.is_empty());
        (self.pairs, self.story.finish())
    }
}

impl std::fmt::Debug for Model {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Ticket { mode, language, interests, fallback, .. } = &self.ticket;
        write!(f, "{} {:?} since {} ms ", self.person, self.state, self.since_ms)?;
        write!(f, "({mode:?} {language:?} {interests:?} fallback {fallback})")
    }
}

fn user(person: usize) -> UserId {
    UserId::from(person as u128)
}

fn limit_ms(model: &Model) -> u64 {
    if model.ticket.fallback { 300_000 } else { 20_000 }
}

fn stage_of(model: &Model, now_ms: u64) -> MatchStage {
    match now_ms - model.since_ms {
        _ if model.ticket.fallback => MatchStage::Fallback,
        0..5_000 => MatchStage::Strict,
        5_000..12_000 => MatchStage::Interests,
        _ => MatchStage::Language,
    }
}

fn run(seed: u64) -> (usize, u64) {
    let mut world = World::new(seed);
    for _ in 0..STEPS {
        world.step();
    }
    world.end()
}

/// Each ticket is in one pair at most, blocked and cancelled ones are in none, nobody outstays the ladder, nobody waits beside
/// somebody whom they could meet, and a reservation that is lost gives both back.
#[test]
fn a_million_steps_keep_every_promise() {
    let mut pairs = 0;
    for seed in 0..WORLDS {
        let result = std::panic::catch_unwind(|| run(seed));
        let (met, _) = result.unwrap_or_else(|_| panic!("seed {seed} breaks a promise"));
        pairs += met;
    }
    assert!(pairs > 40_000, "only {pairs} pairs: these worlds prove little");
}

#[test]
fn the_same_seed_gives_the_same_story() {
    let stories: BTreeSet<_> = (0..5).map(run).collect();
    assert_eq!(stories, (0..5).map(run).collect());
    assert_eq!(stories.len(), 5);
}
