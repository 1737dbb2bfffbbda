//! Which simulcast layers of a track anybody watches: its publisher is told, and spares itself the others.
//!
//! A layer that is wanted is asked for at once; one that is not is let go after a while, so that a window that is moved
//! costs nothing. The lowest layer is always on: it is what newcomers see first, and what the sampler looks at.

use crate::track::MOST_LAYERS;

/// A layer that nobody watches goes on for this long.
const KEPT_US: u64 = 3_000_000;
/// A layer that was asked for and has not come after this long is not reckoned with: the publisher has no bandwidth for it, or
/// its picture is too small.
const AWAITED_US: u64 = 4_000_000;
/// And it is not asked for again before this, then twice, four, eight times of it.
const MISSED_US: u64 = 30_000_000;
const MOST_DOUBLED: u8 = 3;

/// What is watched of one track.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Watch {
    /// The layers that the publisher was told to send, a bit each.
    told: u8,
    /// When each layer was watched last.
    watched_us: [u64; MOST_LAYERS],
    /// When each layer was asked for again, and how often it did not come since it was last seen.
    asked_us: [u64; MOST_LAYERS],
    missed: [u8; MOST_LAYERS],
    now_us: u64,
}

impl Default for Watch {
    fn default() -> Self {
        Watch {
            told: u8::MAX,
            watched_us: [0; MOST_LAYERS],
            asked_us: [0; MOST_LAYERS],
            missed: [0; MOST_LAYERS],
            now_us: 0,
        }
    }
}

impl Watch {
    /// Whether a layer that is not sent may be on its way, or only waits to be asked for.
    pub fn could_come(&self, level: u8) -> bool {
        let at = usize::from(level);
        let (Some(&asked_us), Some(&missed)) = (self.asked_us.get(at), self.missed.get(at)) else { return false };
        let rests = self.told >> level & 1 == 0;
        match missed.checked_sub(1) {
            // It did not come when it was asked for: not again before a while.
            Some(times) => rests && self.now_us >= asked_us + (MISSED_US << times.min(MOST_DOUBLED)),
            None => rests || asked_us != 0 && self.now_us < asked_us + AWAITED_US,
        }
    }

    /// Whether a layer was asked for, did not come, and is not reckoned with for now.
    pub fn stays_away(&self, level: u8) -> bool {
        self.missed.get(usize::from(level)).is_some_and(|missed| *missed > 0) && !self.could_come(level)
    }

    /// Takes note of the layers that are watched now and of those that are sent (a bit each, of `layers` that there are); answers
    /// what the publisher must be told, if anything.
    pub fn note(&mut self, watched: u8, sent: u8, layers: usize, now_us: u64) -> Option<u8> {
        self.now_us = now_us;
        for at in 0..MOST_LAYERS {
            if sent >> at & 1 == 1 {
                (self.missed[at], self.asked_us[at]) = (0, 0);
            } else if self.told >> at & 1 == 1 && self.asked_us[at] != 0 && now_us >= self.asked_us[at] + AWAITED_US {
                self.missed[at] = self.missed[at].saturating_add(1);
                self.asked_us[at] = now_us;
            }
        }
        let all = (1u8 << layers.min(MOST_LAYERS)) - 1;
        let watched = (watched | 1) & all;
        let mut wanted = watched;
        for (at, last_us) in self.watched_us.iter_mut().enumerate() {
            if watched >> at & 1 == 1 || *last_us == 0 {
                *last_us = now_us.max(1);
            }
            if now_us < *last_us + KEPT_US {
                wanted |= self.told & 1 << at;
            }
        }
        let wanted = wanted & all;
        if wanted == self.told & all {
            return None;
        }
        for at in 0..MOST_LAYERS {
            if wanted & !self.told & 1 << at != 0 {
                self.asked_us[at] = now_us;
            }
        }
        self.told = wanted;
        Some(wanted)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn layers_are_let_go_late_and_asked_for_at_once() {
        let mut watch = Watch::default();
        assert_eq!(watch.note(0b001, 0b111, 3, 1_000), None);
        assert_eq!(watch.note(0b001, 0b111, 3, 1_000 + KEPT_US), Some(0b001));
        assert_eq!(watch.note(0b001, 0b001, 3, 2_000 + KEPT_US), None);
        assert!(watch.could_come(2) && !watch.could_come(0));
        let later_us = 2 * KEPT_US;
        assert_eq!(watch.note(0b100, 0b001, 3, later_us), Some(0b101));
        assert!(watch.could_come(2));
        // The lowest is always on, whoever watches.
        assert_eq!(watch.note(0, 0b101, 3, later_us + AWAITED_US), Some(0b001));
    }

    #[test]
    fn a_layer_that_does_not_come_is_not_asked_for_all_the_time() {
        let mut watch = Watch::default();
        watch.note(0b001, 0b001, 3, 1_000);
        assert_eq!(watch.note(0b001, 0b001, 3, 1_000 + KEPT_US), Some(0b001));
        let (mut asked, mut reckoned) = (0, 0);
        for quarter in 0..400u64 {
            let now_us = 2 * KEPT_US + quarter * 250_000;
            // A wide tile asks for it whenever it might come.
            let watched = if watch.could_come(2) { 0b101 } else { 0b001 };
            reckoned += u32::from(watched == 0b101);
            asked += u32::from(watch.note(watched, 0b001, 3, now_us).is_some_and(|told| told == 0b101));
        }
        assert!((2..=4).contains(&asked), "asked {asked} times in 100 s");
        assert!(reckoned < 80, "and reckoned with for {} s of them", reckoned / 4);
        // It stays away for as long as that holds, and not for good because nobody asks again.
        assert!(watch.stays_away(2) && !watch.stays_away(0));
        let much_later_us = 2 * KEPT_US + 400 * 250_000 + (MISSED_US << MOST_DOUBLED);
        watch.note(0b001, 0b001, 3, much_later_us);
        watch.note(0b001, 0b001, 3, much_later_us + KEPT_US);
        assert!(!watch.stays_away(2));
        // Once it is there it counts again.
        watch.note(0b101, 0b101, 3, much_later_us + 90_000_000);
        watch.note(0b001, 0b101, 3, much_later_us + 91_000_000);
        watch.note(0b001, 0b001, 3, much_later_us + 100_000_000);
        assert!(watch.could_come(2));
    }

    #[test]
    fn a_single_layer_is_never_let_go() {
        let mut watch = Watch::default();
        assert_eq!(watch.note(0, 1, 1, 1), None);
        assert_eq!(watch.note(0, 1, 1, 10 * KEPT_US), None);
    }
}
