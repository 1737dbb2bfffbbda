//! Whether delay grows: the slope of a line through the last groups' delays, against a threshold that adapts to the link
//! (draft-ietf-rmcat-gcc-02 §5.4 with the trendline filter that took the Kalman filter's place in libwebrtc).

use super::groups::Spacing;

/// Groups that the line goes through.
const WINDOW: usize = 20;
/// Weight of the past in the smoothed delay.
const SMOOTHING: f32 = 0.9;
/// The slope is scaled by this and by the number of groups seen, up to the cap, before it meets the threshold.
const GAIN: f32 = 4.0;
const MOST_GROUPS: u16 = 60;
/// The threshold in ms, at first and within which bounds it adapts.
const START_THRESHOLD: f32 = 12.5;
const LEAST_THRESHOLD: f32 = 6.0;
const MOST_THRESHOLD: f32 = 600.0;
/// The threshold follows growth slowly (so that a queue is seen) and falls fast.
const RISE_PER_MS: f32 = 0.0087;
const FALL_PER_MS: f32 = 0.039;
/// What exceeds the threshold by more than this (ms) is an outlier, which does not move it.
const OUTLIER_MS: f32 = 15.0;
/// One group moves the threshold by no more time than this.
const LONGEST_STEP_MS: f32 = 100.0;
/// Delay must have grown for this long (ms) before the link counts as overused.
const OVERUSE_MS: f32 = 10.0;

/// How the link fares.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) enum Usage {
    /// A queue builds up.
    Over,
    #[default]
    Normal,
    /// A queue empties.
    Under,
}

/// The filter and the detector.
#[derive(Debug)]
pub(super) struct Trendline {
    /// Arrival (the low bits of µs) and smoothed delay (ms) of the last groups, as a ring.
    arrivals: [u32; WINDOW],
    delays: [f32; WINDOW],
    sums: Sums,
    groups: u16,
    at: usize,
    last_us: i64,
    delay_ms: f32,
    smoothed_ms: f32,
    slope: f32,
    threshold_ms: f32,
    over_ms: Option<f32>,
    over_groups: u8,
    usage: Usage,
}

impl Trendline {
    pub fn new() -> Self {
        Trendline {
            arrivals: [0; WINDOW],
            delays: [0.0; WINDOW],
            sums: Sums::default(),
            groups: 0,
            at: 0,
            last_us: 0,
            delay_ms: 0.0,
            smoothed_ms: 0.0,
            slope: 0.0,
            threshold_ms: START_THRESHOLD,
            over_ms: None,
            over_groups: 0,
            usage: Usage::Normal,
        }
    }

    pub fn usage(&self) -> Usage {
        self.usage
    }

    /// Two groups arrived this far apart.
    pub fn add(&mut self, spacing: Spacing) {
        let sent_ms = spacing.sent_us as f32 / 1_000.0;
        if self.groups == 0 {
            self.last_us = spacing.at_us;
        }
        self.groups = self.groups.saturating_add(1);
        self.delay_ms += (spacing.arrived_us - spacing.sent_us) as f32 / 1_000.0;
        self.smoothed_ms = SMOOTHING * self.smoothed_ms + (1.0 - SMOOTHING) * self.delay_ms;
        self.sums.add(self.arrivals[self.at], self.delays[self.at], -1.0);
        self.arrivals[self.at] = spacing.at_us as u32;
        self.delays[self.at] = self.smoothed_ms;
        self.sums.add(self.arrivals[self.at], self.delays[self.at], 1.0);
        self.at += 1;
        if self.at == WINDOW {
            // Sums that are only ever amended drift, and times grow: once around, they are made anew.
            self.at = 0;
            self.sums = Sums::of(&self.arrivals, &self.delays);
        }
        let before = self.slope;
        if usize::from(self.groups) >= WINDOW {
            self.slope = self.sums.slope().unwrap_or(self.slope);
        }
        self.detect(before, sent_ms);
        self.adapt(spacing.at_us);
    }

    fn scaled(&self) -> f32 {
        f32::from(self.groups.min(MOST_GROUPS)) * self.slope * GAIN
    }

    fn detect(&mut self, before: f32, sent_ms: f32) {
        let scaled = self.scaled();
        if scaled > self.threshold_ms {
            let over_ms = self.over_ms.map_or(sent_ms / 2.0, |over_ms| over_ms + sent_ms);
            self.over_ms = Some(over_ms);
            self.over_groups = self.over_groups.saturating_add(1);
            if over_ms > OVERUSE_MS && self.over_groups > 1 && self.slope >= before {
                self.over_ms = Some(0.0);
                self.over_groups = 0;
                self.usage = Usage::Over;
            }
            return;
        }
        self.over_ms = None;
        self.over_groups = 0;
        self.usage = if scaled < -self.threshold_ms { Usage::Under } else { Usage::Normal };
    }

    fn adapt(&mut self, at_us: i64) {
        let scaled = self.scaled().abs();
        let passed_ms = ((at_us - self.last_us) as f32 / 1_000.0).clamp(0.0, LONGEST_STEP_MS);
        self.last_us = at_us;
        if scaled > self.threshold_ms + OUTLIER_MS {
            return;
        }
        let gain = if scaled < self.threshold_ms { FALL_PER_MS } else { RISE_PER_MS };
        let threshold = self.threshold_ms + gain * (scaled - self.threshold_ms) * passed_ms;
        self.threshold_ms = threshold.clamp(LEAST_THRESHOLD, MOST_THRESHOLD);
    }
}

/// What the line of least squares needs to know of its points: times in ms from an origin, delays in ms.
#[derive(Debug, Default)]
struct Sums {
    /// The low bits of µs.
    origin: u32,
    times: f64,
    delays: f64,
    products: f64,
    squares: f64,
}

impl Sums {
    fn of(arrivals: &[u32; WINDOW], delays: &[f32; WINDOW]) -> Self {
        let mut sums = Sums { origin: arrivals[0], ..Sums::default() };
        for (arrival, delay) in arrivals.iter().zip(delays) {
            sums.add(*arrival, *delay, 1.0);
        }
        sums
    }

    /// A point comes (1) or goes (-1).
    #[inline]
    fn add(&mut self, arrival: u32, delay: f32, times: f64) {
        let time = f64::from(arrival.wrapping_sub(self.origin) as i32) / 1_000.0;
        let delay = f64::from(delay);
        self.times += times * time;
        self.delays += times * delay;
        self.products += times * time * delay;
        self.squares += times * time * time;
    }

    /// The slope in ms per ms. None if all times are one.
    fn slope(&self) -> Option<f32> {
        let across = WINDOW as f64 * self.squares - self.times * self.times;
        (across > 1e-3).then(|| ((WINDOW as f64 * self.products - self.times * self.delays) / across) as f32)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Groups every 10 ms, each delayed by `growth_us` more than the last.
    fn run(trendline: &mut Trendline, from_us: i64, groups: i64, growth_us: i64) -> (i64, bool) {
        let (mut at_us, mut over) = (from_us, false);
        for _ in 0..groups {
            at_us += 10_000 + growth_us;
            trendline.add(Spacing { sent_us: 10_000, arrived_us: 10_000 + growth_us, at_us });
            over |= trendline.usage() == Usage::Over;
        }
        (at_us, over)
    }

    #[test]
    fn a_queue_that_grows_is_seen_and_one_that_empties_too() {
        let mut trendline = Trendline::new();
        let (at_us, over) = run(&mut trendline, 0, 100, 0);
        assert!(!over);
        let (at_us, over) = run(&mut trendline, at_us, 12, 5_000);
        assert!(over, "60 ms in 12 groups");
        run(&mut trendline, at_us, 30, -5_000);
        assert_eq!(trendline.usage(), Usage::Under);
    }

    #[test]
    fn the_slope_is_that_of_the_line_through_the_last_points() {
        let mut trendline = Trendline::new();
        let mut chance = 1u64;
        let mut at_us = i64::from(u32::MAX) - 3_000_000;
        for group in 0..2_000 {
            chance = chance.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            let arrived_us = 5_000 + (chance >> 33) as i64 % 12_000;
            at_us += arrived_us;
            trendline.add(Spacing { sent_us: 11_000, arrived_us, at_us });
            if group >= WINDOW {
                let sums = Sums::of(&trendline.arrivals, &trendline.delays);
                let slope = sums.slope().expect("times differ");
                assert!((slope - trendline.slope).abs() < 1e-4, "{slope} {}", trendline.slope);
            }
        }
        let sums = Sums::of(&[9; WINDOW], &[1.0; WINDOW]);
        assert_eq!(sums.slope(), None);
        let arrivals = std::array::from_fn(|group| u32::MAX - 50_000 + 10_000 * (group as u32 % 5));
        let delays = std::array::from_fn(|group| 3.0 + 0.5 * (group % 5) as f32);
        assert!((Sums::of(&arrivals, &delays).slope().expect("times differ") - 0.05).abs() < 1e-5);
    }

    #[test]
    fn a_clock_that_drifts_and_a_delay_that_jitters_are_no_queue() {
        let mut trendline = Trendline::new();
        let (mut at_us, over) = run(&mut trendline, 0, 1_000, 5);
        assert!(!over, "500 ppm");
        for group in 0..1_000 {
            let growth_us = if group % 2 == 0 { 4_000 } else { -4_000 };
            let (next_us, over) = run(&mut trendline, at_us, 1, growth_us);
            assert!(!over, "group {group}");
            at_us = next_us;
        }
    }
}
