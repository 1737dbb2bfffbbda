//! Finds what is missing of an inbound layer and says when to ask for it (generic NACK, RFC 4585 §6.2.1).

use std::collections::VecDeque;

/// Missing packets followed at once. A larger hole is no loss but an outage: only a key frame helps.
const MOST_MISSING: usize = 256;
/// A packet may come this late out of order before it is asked for.
const REORDER_US: u64 = 8_000;
/// A packet is asked for this often at most.
const MOST_TRIES: u8 = 8;
/// After this long a missing packet is of no use to anybody.
const USELESS_US: u64 = 1_000_000;
/// Wait at least this long for an answer before asking again.
const SHORTEST_RETRY_US: u64 = 20_000;

#[derive(Debug, Clone, Copy)]
struct Missing {
    index: u64,
    since_us: u64,
    asked_us: u64,
    tries: u8,
}

/// What is missing of one layer.
#[derive(Debug, Default)]
pub struct Nacks {
    highest: Option<u64>,
    missing: VecDeque<Missing>,
    lost_for_good: bool,
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
                    asked_us: 0,
                    tries: 0,
                }));
            }
            self.highest = Some(index);
        } else if let Ok(at) = self.missing.binary_search_by_key(&index, |missing| missing.index) {
            self.missing.remove(at);
        }
    }

    /// Whether this packet is missing.
    #[must_use]
    pub fn is_missing(&self, index: u64) -> bool {
        self.missing.binary_search_by_key(&index, |missing| missing.index).is_ok()
    }

    /// Whether anything is missing.
    #[must_use]
    pub fn is_idle(&self) -> bool {
        self.missing.is_empty() && !self.lost_for_good
    }

    /// Calls `ask` for each packet that is due now. Answers whether something was given up since the last call, so
    /// that only a key frame repairs the picture.
    pub fn due(&mut self, now_us: u64, rtt_us: u64, mut ask: impl FnMut(u16)) -> bool {
        let retry_us = (rtt_us + rtt_us / 4).max(SHORTEST_RETRY_US);
        let mut given_up = std::mem::take(&mut self.lost_for_good);
        self.missing.retain_mut(|missing| {
            if missing.tries >= MOST_TRIES && now_us >= missing.asked_us + retry_us
                || now_us >= missing.since_us + USELESS_US
            {
                given_up = true;
                return false;
            }
            let due_us = if missing.tries == 0 { missing.since_us + REORDER_US } else { missing.asked_us + retry_us };
            if now_us >= due_us && missing.tries < MOST_TRIES {
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
        assert_eq!(asked(&mut nacks, 30_000), [0u16; 0]);
        nacks.arrived(12, 31_000);
        assert_eq!(asked(&mut nacks, 80_000), [13]);
        nacks.arrived(13, 81_000);
        assert!(nacks.is_idle());
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
