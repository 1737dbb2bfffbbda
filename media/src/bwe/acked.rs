//! Rates over the last half second, in bins of time.

/// The length of a bin, and how many are kept: a power of two.
const BIN_US: i64 = 50_000;
const BINS: i64 = 16;
/// The window of the usual rate, and of the one that follows a sudden change.
const USUAL_BINS: i64 = 10;
const RECENT_BINS: i64 = 3;
/// Less than this says nothing of a rate.
const LEAST_US: i64 = 100_000;

/// Bytes by time. Times may come slightly out of order; what is older than the window is left out.
#[derive(Debug, Clone)]
pub(super) struct Rate {
    bins: [u32; BINS as usize],
    /// The first and the last time since the last pause.
    first_us: i64,
    last_us: i64,
    /// The last bin, where it begins.
    bin: i64,
    bin_us: i64,
}

impl Rate {
    pub fn new() -> Self {
        Rate { bins: [0; BINS as usize], first_us: 0, last_us: i64::MIN, bin: 0, bin_us: i64::MAX }
    }

    #[inline]
    pub fn add(&mut self, at_us: i64, bytes: u32) {
        let bin = if (0..BIN_US).contains(&at_us.wrapping_sub(self.bin_us)) { self.bin } else { self.turn(at_us) };
        self.last_us = self.last_us.max(at_us);
        let bin = &mut self.bins[(bin & (BINS - 1)) as usize];
        *bin = bin.saturating_add(bytes);
    }

    /// The bin of a time that is not in the last one. What lies further back than all of them is of a clock that was set.
    fn turn(&mut self, at_us: i64) -> i64 {
        let bin = at_us.div_euclid(BIN_US);
        let ahead = if self.last_us == i64::MIN { BINS } else { bin - self.bin };
        if (1 - BINS..0).contains(&ahead) {
            return bin;
        }
        if !(0..BINS).contains(&ahead) {
            self.bins = [0; BINS as usize];
            (self.first_us, self.last_us) = (at_us, at_us);
        } else {
            for skipped in self.bin + 1..=bin {
                self.bins[(skipped & (BINS - 1)) as usize] = 0;
            }
        }
        (self.bin, self.bin_us) = (bin, bin * BIN_US);
        bin
    }

    /// bit/s over half a second, or as much of it as there is.
    pub fn usual(&self) -> Option<f64> {
        self.over(USUAL_BINS)
    }

    /// bit/s over the last 100 to 150 ms.
    pub fn recent(&self) -> Option<f64> {
        self.over(RECENT_BINS)
    }

    fn over(&self, bins: i64) -> Option<f64> {
        let last = self.bin;
        let first_us = ((last - bins + 1).saturating_mul(BIN_US)).max(self.first_us);
        let span_us = self.last_us.saturating_sub(first_us);
        if self.last_us == i64::MIN || span_us < LEAST_US {
            return None;
        }
        let first = first_us.div_euclid(BIN_US);
        let bytes: u64 = (first..=last).map(|bin| u64::from(self.bins[(bin & (BINS - 1)) as usize])).sum();
        Some(bytes as f64 * 8e6 / span_us as f64)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_clock_that_is_set_back_begins_anew() {
        let mut rate = Rate::new();
        rate.add(60_000_000, 1_000);
        for packet in 0..500 {
            rate.add(packet * 4_000, 1_000);
        }
        let bps = rate.usual().expect("two seconds are enough");
        assert!((bps - 2e6).abs() < 1e5, "{bps}");
    }

    #[test]
    fn a_steady_rate_and_a_sudden_change_are_seen() {
        let mut rate = Rate::new();
        assert_eq!(rate.usual(), None);
        // 1,000 bytes each 4 ms: 2 Mbit/s.
        let mut at_us = -3_000_000;
        for _ in 0..1_000 {
            at_us += 4_000;
            rate.add(at_us, 1_000);
        }
        assert!((rate.usual().expect("is known") / 2e6 - 1.0).abs() < 0.03, "{:?}", rate.usual());
        for _ in 0..15 {
            at_us += 16_000;
            rate.add(at_us, 1_000);
        }
        assert!((rate.recent().expect("is known") / 5e5 - 1.0).abs() < 0.2, "{:?}", rate.recent());
        assert!(rate.usual().expect("is known") > 1e6);
    }

    #[test]
    fn a_pause_begins_anew() {
        let mut rate = Rate::new();
        for packet in 0..100 {
            rate.add(packet * 10_000, 1_000);
        }
        rate.add(60_000_000, 1_000);
        assert_eq!(rate.usual(), None);
        for packet in 1..30 {
            rate.add(60_000_000 + packet * 10_000, 1_000);
        }
        // What comes late counts where it belongs.
        rate.add(60_260_000, 1_000);
        rate.add(60_010_000, 1_000);
        assert!((rate.usual().expect("is known") / 8.5e5 - 1.0).abs() < 0.1, "{:?}", rate.usual());
    }
}
