//! How fast strangers are put together when ten thousand wait, and how well, beside a matcher that looks at everybody.

use std::cmp::Reverse;
use std::collections::HashSet;
use std::time::Duration;

use anyhow::{Context as _, ensure};
use nix::time::{ClockId, clock_gettime};
use parlor::domain::matching::{AgeBand, Language, MatchMode, MatchStage};
use parlor::domain::{TicketId, UserId};
use parlor::matching::matcher::{Bounds, Matcher, Outcome, Ticket};

use crate::bench::{Figure, Options};
use crate::signal::Signal;

/// How many wait at once.
const CROWD: usize = 10_000;
/// Crowds that both matchers serve, one after the other.
const CROWDS: u64 = 5;
/// Interests that people have; some are far more popular than others.
const TOPICS: usize = 300;
/// Languages, and how many of a hundred speak each; the rest names none.
const LANGUAGES: [(&str, usize); 6] = [("en", 50), ("es", 15), ("de", 10), ("fr", 5), ("pt", 5), ("pl", 2)];

/// Both matchers serve the same crowds. A third has just come, a third insists on the language alone, a third on nothing.
pub(crate) fn measure(_options: &Options, _signal: &Signal) -> anyhow::Result<Vec<Figure>> {
    let (mut ours, mut brute) = (Served::default(), Served::default());
    for seed in 0..CROWDS {
        let crowd = crowd(CROWD, seed);
        ours.add(&crowd, || pairs_of(&crowd))?;
        brute.add(&crowd, || pairs_by_brute_force(&crowd))?;
    }
    let quality_pct = 100.0 * ours.quality() / brute.quality();
    eprintln!(
        "strangers: {} pairs, {:.1} % with a shared interest; by brute force {} and {:.1} %",
        ours.pairs,
        100.0 * ours.quality(),
        brute.pairs,
        100.0 * brute.quality()
    );
    Ok(vec![
        Figure::new("match_pairs_per_s", ours.pairs_per_s(), "1/s"),
        Figure::new("match_pairs_per_s_brute", brute.pairs_per_s(), "1/s"),
        Figure::new("match_quality_pct", quality_pct, "%"),
    ])
}

/// Somebody who waits, and when they came.
struct Waiting {
    ticket: Ticket,
    /// Its interests as numbers: comparing words is not what is measured.
    topics: Vec<usize>,
    since_ms: u64,
}

/// What a matcher has done.
#[derive(Default)]
struct Served {
    pairs: usize,
    sharing: usize,
    time: Duration,
}

impl Served {
    fn add(&mut self, crowd: &[Waiting], pairs: impl FnOnce() -> Vec<[usize; 2]>) -> anyhow::Result<()> {
        let start = thread_time()?;
        let pairs = pairs();
        self.time += thread_time()? - start;
        ensure!(!pairs.is_empty(), "nobody has met");
        self.pairs += pairs.len();
        self.sharing += pairs.iter().filter(|[one, other]| shared(&crowd[*one], &crowd[*other]) > 0).count();
        Ok(())
    }

    fn pairs_per_s(&self) -> f64 {
        self.pairs as f64 / self.time.as_secs_f64()
    }

    /// The share of pairs that have an interest in common.
    fn quality(&self) -> f64 {
        self.sharing as f64 / self.pairs as f64
    }
}

/// The moment at which everybody is served, in milliseconds.
const NOW_MS: u64 = 13_000;

/// People who have come one after the other, in three waves.
fn crowd(people: usize, seed: u64) -> Vec<Waiting> {
    let mut chance = Chance(seed);
    let person = |number: usize| {
        let mut spoken = chance.below(100);
        let language = LANGUAGES.iter().find(|(_, of_hundred)| match spoken.checked_sub(*of_hundred) {
            Some(rest) => {
                spoken = rest;
                false
            }
            None => true,
        });
        let topics: HashSet<usize> = (0..chance.below(6)).map(|_| chance.topic()).collect();
        let ticket = Ticket {
            id: TicketId::from(number as u128),
            user: UserId::from(number as u128),
            mode: MatchMode::Video,
            band: AgeBand::Adult,
            low_trust: false,
            cluster: 0,
            language: language.map(|(tag, _)| Language::parse(tag).expect("these are tags")),
            interests: topics.iter().map(|topic| format!("topic-{topic}")).collect(),
            fallback: false,
            blocked: HashSet::new(),
        };
        Waiting { ticket, topics: topics.into_iter().collect(), since_ms: [0, 6_000, NOW_MS][number * 3 / people] }
    };
    (0..people).map(person).collect()
}

/// The server's matcher: everything that it does for a pair, from the tickets to the commit.
fn pairs_of(crowd: &[Waiting]) -> Vec<[usize; 2]> {
    let mut matcher = Matcher::new(Bounds { reservations: usize::MAX, ..Bounds::default() });
    for waiting in crowd {
        // They come without a tick between: that is how ten thousand come to wait at once.
        matcher.add(waiting.ticket.clone(), waiting.since_ms).expect("there is room for all");
    }
    let mut pairs = Vec::with_capacity(crowd.len() / 2);
    loop {
        let before = pairs.len();
        for outcome in matcher.tick(NOW_MS) {
            if let Outcome::Reserved { reservation, tickets, .. } = outcome {
                matcher.commit(reservation).expect("nobody has taken it back");
                pairs.push(tickets.map(|ticket| ticket.as_u128() as usize));
            }
        }
        if pairs.len() == before && matcher.next_due_ms() != Some(NOW_MS) {
            return pairs;
        }
    }
}

/// The oldest first; of all who may be met, who shares most interests, and then the oldest.
fn pairs_by_brute_force(crowd: &[Waiting]) -> Vec<[usize; 2]> {
    let mut taken = vec![false; crowd.len()];
    let mut pairs = Vec::with_capacity(crowd.len() / 2);
    for seeker in 0..crowd.len() {
        if taken[seeker] {
            continue;
        }
        let others = (0..crowd.len()).filter(|other| *other != seeker && !taken[*other]);
        let rated = others.filter_map(|other| {
            let shared = may_meet(&crowd[seeker], &crowd[other])?;
            Some((Reverse(shared), other))
        });
        if let Some((_, partner)) = rated.min() {
            (taken[seeker], taken[partner]) = (true, true);
            pairs.push([seeker, partner]);
        }
    }
    pairs
}

/// How many interests two share who may meet.
fn may_meet(one: &Waiting, other: &Waiting) -> Option<usize> {
    let shared = shared(one, other);
    let (a, b) = (&one.ticket, &other.ticket);
    let language = a.language.is_none() || b.language.is_none() || a.language == b.language;
    let interests = shared > 0 || one.topics.is_empty() || other.topics.is_empty();
    let fits = match stage(one).min(stage(other)) {
        MatchStage::Strict => language && interests,
        MatchStage::Interests => language,
        MatchStage::Language | MatchStage::Fallback => true,
    };
    let allowed = a.mode == b.mode
        && a.band == b.band
        && a.low_trust == b.low_trust
        && !a.blocked.contains(&b.user)
        && !b.blocked.contains(&a.user);
    (fits && allowed).then_some(shared)
}

fn stage(waiting: &Waiting) -> MatchStage {
    match NOW_MS - waiting.since_ms {
        0..5_000 => MatchStage::Strict,
        5_000..12_000 => MatchStage::Interests,
        _ => MatchStage::Language,
    }
}

fn shared(one: &Waiting, other: &Waiting) -> usize {
    one.topics.iter().filter(|topic| other.topics.contains(topic)).count()
}

/// SplitMix64: the same crowds everywhere.
struct Chance(u64);

impl Chance {
    fn below(&mut self, bound: usize) -> usize {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        ((mixed ^ (mixed >> 31)) % bound as u64) as usize
    }

    /// The first topics are everybody's, the last ones hardly anybody's.
    fn topic(&mut self) -> usize {
        let bound = 1 + self.below(TOPICS);
        self.below(bound)
    }
}

/// CPU time of this thread, so that whatever else the machine does falls on neither.
fn thread_time() -> anyhow::Result<Duration> {
    clock_gettime(ClockId::CLOCK_THREAD_CPUTIME_ID).map(Duration::from).context("no clock of the thread's CPU time")
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Every pair is one that both accept, nobody is in two, and nobody who is left over could have met somebody who is.
    fn check(crowd: &[Waiting], pairs: &[[usize; 2]]) {
        let mut met = HashSet::new();
        for [one, other] in pairs {
            assert!(may_meet(&crowd[*one], &crowd[*other]).is_some(), "{one} and {other}");
            assert!(met.insert(*one) && met.insert(*other));
        }
        let left: Vec<_> = (0..crowd.len()).filter(|person| !met.contains(person)).collect();
        for (number, one) in left.iter().enumerate() {
            let could = left[number + 1..].iter().find(|other| may_meet(&crowd[*one], &crowd[**other]).is_some());
            assert_eq!(could, None, "{one} is left over");
        }
    }

    #[test]
    fn both_matchers_keep_the_rules_and_ours_is_as_good() {
        let (mut ours, mut brute) = (Served::default(), Served::default());
        for seed in 0..5 {
            let crowd = crowd(600, seed);
            let (fast, slow) = (pairs_of(&crowd), pairs_by_brute_force(&crowd));
            check(&crowd, &fast);
            check(&crowd, &slow);
            ours.add(&crowd, || fast).unwrap();
            brute.add(&crowd, || slow).unwrap();
        }
        assert!(ours.quality() >= 0.95 * brute.quality(), "{} and {}", ours.quality(), brute.quality());
        assert!(brute.quality() < 0.99, "too easy a crowd says nothing");
    }
}
