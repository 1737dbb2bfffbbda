//! Finds what is missing of an inbound layer and says when to ask for it (generic NACK, RFC 4585 §6.2.1).
//!
//! A request is repeated when its answer is overdue, and how long answers take is measured here, on the stream itself: a publisher
//! that receives nothing has no round trip in its reports. What only came out of order is waited for as long as it was late before.

use std::collections::VecDeque;

/// Missing packets followed at once. A larger hole is no loss but an outage: only a key frame helps.
const MOST_MISSING: usize = 256;
/// A packet may come at least this late out of order before it is asked for, and at most so late where packets often are.
const REORDER_US: u64 = 8_000;
const MOST_REORDER_US: u64 = 60_000;
/// A packet is asked for this often at most.
const MOST_TRIES: u8 = 8;
/// After this long a missing packet is of no use to anybody.
const USELESS_US: u64 = 1_000_000;
/// Wait at least this long for an answer before asking again, and at most so long; so long before any answer was measured.
const SHORTEST_RETRY_US: u64 = 20_000;
const LONGEST_RETRY_US: u64 = 500_000;
const FIRST_RETRY_US: u64 = 300_000;

#[derive(Debug, Clone, Copy)]
struct Missing {
    index: u64,
    since_us: u64,
    first_asked_us: u64,
    asked_us: u64,
    tries: u8,
    /// What is about to be noted is its retransmission.
    answered: bool,
}

/// What is missing of one layer.
#[derive(Debug, Default)]
pub struct Nacks {
    highest: Option<u64>,
    missing: VecDeque<Missing>,
    lost_for_good: bool,
    /// How long an answer takes, and how much that varies, smoothed like TCP's round trip (RFC 6298 §2); 0 before the first.
    answer_us: u64,
    answer_spread_us: u64,
    /// How late packets came that were not asked for, decaying.
    late_us: u64,
}

impl Nacks {
    /// Takes note of a packet that arrived, in whatever way.
    pub fn arrived(&mut self, index: u64, now_us: u64) {
        let Some(highest) = self.highest else {
            self.highest = Some(index);
            return;
        };
        if index > highest {
            let gap = index - highest - 1;
            if gap as usize > MOST_MISSING - self.missing.len().min(MOST_MISSING) {
                self.missing.clear();
                self.lost_for_good = true;
            } else {
                self.missing.extend((highest + 1..index).map(|index| Missing {
                    index,
                    since_us: now_us,
                    first_asked_us: 0,
                    asked_us: 0,
                    tries: 0,
                    answered: false,
                }));
            }
            self.highest = Some(index);
        } else if let Ok(at) = self.missing.binary_search_by_key(&index, |missing| missing.index)
            && let Some(missing) = self.missing.remove(at)
        {
            self.learn(&missing, now_us);
        }
    }

    /// What is missing now is of no use any more.
    pub fn forget(&mut self) {
        self.missing.clear();
    }

    /// What arrives next is the retransmission of this packet.
    pub fn answered(&mut self, index: u64) {
        if let Ok(at) = self.missing.binary_search_by_key(&index, |missing| missing.index) {
            self.missing[at].answered = true;
        }
    }

    /// What a packet that came late says of the path.
    fn learn(&mut self, missing: &Missing, now_us: u64) {
        if !missing.answered {
            // It was on its way when it was missed.
            let late_us = now_us.saturating_sub(missing.since_us) + SHORTEST_RETRY_US / 8;
            self.late_us = self.late_us.max(late_us.min(MOST_REORDER_US));
        } else if missing.tries == 1 {
            let answer_us = now_us.saturating_sub(missing.asked_us);
            let spread_us = answer_us.abs_diff(self.answer_us);
            if self.answer_us == 0 {
                (self.answer_us, self.answer_spread_us) = (answer_us, answer_us / 4);
            } else {
                self.answer_spread_us = (3 * self.answer_spread_us + spread_us) / 4;
                self.answer_us = (7 * self.answer_us + answer_us) / 8;
            }
        } else if self.answer_us == 0 {
            // Which request was answered nobody knows (Karn); the first one is the safe guess.
            let answer_us = now_us.saturating_sub(missing.first_asked_us).min(LONGEST_RETRY_US);
            (self.answer_us, self.answer_spread_us) = (answer_us, answer_us / 8);
        }
    }

    /// Whether this packet is missing.
    #[must_use]
    pub fn is_missing(&self, index: u64) -> bool {
        self.missing.binary_search_by_key(&index, |missing| missing.index).is_ok()
    }

    /// Packets that are missing and may still come.
    #[must_use]
    pub fn pending(&self, now_us: u64) -> u64 {
        self.missing.iter().rev().take_while(|missing| now_us < missing.since_us + USELESS_US).count() as u64
    }

    /// Whether anything is missing.
    #[must_use]
    pub fn is_idle(&self) -> bool {
        self.missing.is_empty() && !self.lost_for_good
    }

    /// How long to wait for an answer.
    fn retry_us(&self, rtt_us: u64) -> u64 {
        let retry_us = match self.answer_us {
            0 => (2 * rtt_us).max(FIRST_RETRY_US),
            // Requests leave on a tick of 10 ms, and so do answers: less spread than that is luck.
            answer_us => answer_us + (4 * self.answer_spread_us).max(10_000),
        };
        retry_us.clamp(SHORTEST_RETRY_US, LONGEST_RETRY_US)
    }

    /// Calls `ask` for each packet that is due now. Answers whether something was given up since the last call, so
    /// that only a key frame repairs the picture.
    pub fn due(&mut self, now_us: u64, rtt_us: u64, mut ask: impl FnMut(u16)) -> bool {
        let (retry_us, reorder_us) = (self.retry_us(rtt_us), self.late_us.max(REORDER_US));
        // Back to the least within some seconds of ticks.
        self.late_us -= self.late_us / 512;
        let mut given_up = std::mem::take(&mut self.lost_for_good);
        self.missing.retain_mut(|missing| {
            if missing.tries >= MOST_TRIES && now_us >= missing.asked_us + retry_us
                || now_us >= missing.since_us + USELESS_US
            {
                given_up = true;
                return false;
            }
            let due_us = if missing.tries == 0 { missing.since_us + reorder_us } else { missing.asked_us + retry_us };
            if now_us >= due_us && missing.tries < MOST_TRIES {
                if missing.tries == 0 {
                    missing.first_asked_us = now_us;
                }
                missing.tries += 1;
                missing.asked_us = now_us;
                ask(missing.index as u16);
            }
            true
        });
        given_up
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn asked(nacks: &mut Nacks, now_us: u64) -> Vec<u16> {
        let mut asked = Vec::new();
        nacks.due(now_us, 50_000, |sequence| asked.push(sequence));
        asked
    }

    #[test]
    fn asks_for_a_hole_until_it_is_filled() {
        let mut nacks = Nacks::default();
        for index in [10, 11, 14, 15] {
            nacks.arrived(index, 0);
        }
        assert_eq!(asked(&mut nacks, 1_000), [0u16; 0]);
        assert_eq!(asked(&mut nacks, 9_000), [12, 13]);
        // Nobody knows yet how long an answer takes.
        assert_eq!(asked(&mut nacks, 109_000), [0u16; 0]);
        nacks.answered(12);
        nacks.arrived(12, 110_000);
        // Now it is known: 101 ms, give or take 25.
        assert_eq!(asked(&mut nacks, 120_000), [0u16; 0]);
        assert_eq!(asked(&mut nacks, 215_000), [13]);
        nacks.arrived(13, 316_000);
        assert!(nacks.is_idle());
    }

    #[test]
    fn what_only_overtakes_is_waited_for() {
        let mut nacks = Nacks::default();
        let mut wanted = 0;
        for round in 0..200u64 {
            let now_us = round * 100_000;
            // The second packet of three comes 25 ms after the third.
            nacks.arrived(3 * round, now_us);
            nacks.arrived(3 * round + 2, now_us);
            for late in [10_000, 20_000] {
                wanted += asked(&mut nacks, now_us + late).len();
            }
            nacks.arrived(3 * round + 1, now_us + 25_000);
        }
        assert!(wanted <= 4, "{wanted} packets were asked for that were on their way");
    }

    #[test]
    fn a_slow_path_is_not_asked_twice() {
        let mut nacks = Nacks::default();
        let (mut wanted, answer_us) = (0, 250_000);
        let mut answers: VecDeque<(u64, u64)> = VecDeque::new();
        let mut index = 0;
        for tick in 0..6_000u64 {
            let now_us = tick * 10_000;
            index += 1;
            // Every tenth packet is lost once.
            if index % 10 != 5 {
                nacks.arrived(index, now_us);
            }
            nacks.due(now_us, 100_000, |sequence| {
                wanted += 1;
                answers.push_back((now_us + answer_us, u64::from(sequence)));
            });
            while answers.front().is_some_and(|(due_us, _)| *due_us <= now_us) {
                let (_, index) = answers.pop_front().expect("there is one");
                nacks.answered(index);
                nacks.arrived(index, now_us);
            }
        }
        let lost = index / 10;
        assert!(wanted <= lost + 2, "{wanted} requests for {lost} packets");
    }

    #[test]
    fn gives_up_and_says_so() {
        let mut nacks = Nacks::default();
        nacks.arrived(1, 0);
        nacks.arrived(3, 0);
        assert!(!nacks.due(10_000, 0, |_| {}));
        assert!(nacks.due(USELESS_US, 0, |_| {}));
        assert!(!nacks.due(USELESS_US + 1, 0, |_| {}));
        // An outage is given up at once.
        nacks.arrived(3_000, USELESS_US + 2);
        assert!(nacks.due(USELESS_US + 3, 0, |_| {}));
        assert!(nacks.is_idle());
    }
}
