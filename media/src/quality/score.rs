//! The scores: what loss, lateness, freezes and want of bandwidth cost.

use super::{Flow, Level, Reason};

/// The score of a line on which nothing is wrong: G.107's default of R, with all of its parameters at their defaults.
pub(super) const BEST: f64 = 93.2;
/// From here on all are satisfied, or nearly (R of 80: G.109 table 1, "high" quality) …
const EXCELLENT: f64 = 80.0;
/// … and from here on not yet nearly all dissatisfied (R of 60: G.109 table 1, "low").
const GOOD: f64 = 60.0;
/// How well concealment hides single losses (G.107's Bpl): that of G.711 with concealment (G.113 table I.4). Opus hides better.
const CONCEALS: f64 = 25.1;
/// Beyond this one-way delay people begin to talk at the same time, ms (Cole and Rosenbluth, Voice over IP performance monitoring,
/// 2001, §3: the G.107 curve as two lines).
const TALKS_OVER_MS: f64 = 177.3;
/// Sound is packed and played in pieces of 20 ms.
const PIECE_MS: f64 = 20.0;
/// A large frame's packets are spread over the time between frames: so much jitter of pictures is their sender's, ms.
const SPREAD_MS: f64 = 30.0;
/// A stream of fewer packets in a window is judged as if it had so many: one lost of a dozen says nothing.
const LEAST_PACKETS: u32 = 100;
/// What a percent of lost packets costs of a picture: when they are repaired, and when they are not.
const REPAIRED_COST: f64 = 1.0;
const UNREPAIRED_COST: f64 = 8.0;
/// What one freeze in a window costs: two of them make a poor line.
const FREEZE_COST: f64 = 20.0;
/// What it costs when nothing is left of what tiles ask for but the smallest picture, and when one of them is paused.
pub(super) const NARROW_COST: f64 = 30.0;
pub(super) const PAUSED_COST: f64 = 35.0;
/// What each size of a picture costs that its publisher sent before and does not when it is asked for.
pub(super) const AWAY_COST: f64 = 20.0;

/// Packets of one kind in one direction.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Count {
    pub expected: u32,
    pub lost: u32,
    pub repaired: u32,
}

impl Count {
    pub fn add(&mut self, other: Count) {
        self.expected = self.expected.saturating_add(other.expected);
        self.lost = self.lost.saturating_add(other.lost);
        self.repaired = self.repaired.saturating_add(other.repaired);
    }

    fn percent(self, packets: u32) -> f64 {
        f64::from(packets) * 100.0 / f64::from(self.expected.max(LEAST_PACKETS))
    }
}

/// One direction of one slice; sound first, then pictures.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Passed {
    pub packets: [Count; 2],
    pub jitter_ms: [u16; 2],
    pub freezes: u16,
}

impl Passed {
    pub fn with(mut self, other: Passed) -> Passed {
        for at in 0..2 {
            self.packets[at].add(other.packets[at]);
            self.jitter_ms[at] = self.jitter_ms[at].max(other.jitter_ms[at]);
        }
        self.freezes = self.freezes.saturating_add(other.freezes);
        self
    }

    pub fn flow(&self) -> Flow {
        let [mut all, pictures] = self.packets;
        all.add(pictures);
        let lost = u64::from(all.lost) + u64::from(all.repaired);
        let loss_pm = (lost * 1_000).checked_div(u64::from(all.expected)).map(|share| share.min(1_000) as u16);
        Flow { loss_pm, jitter_ms: self.jitter_ms[0].max(self.jitter_ms[1]), freezes: self.freezes }
    }
}

pub(super) fn level_of(score: f64) -> Level {
    match score {
        EXCELLENT.. => Level::Excellent,
        GOOD.. => Level::Good,
        _ => Level::Poor,
    }
}

/// What is taken off a score, and what for.
pub(super) type Costs = [(Reason, f64); 5];

/// What lateness costs (G.107's Id, as Cole and Rosenbluth have it), split by what it comes of: the way, and the receiver's
/// buffer, which is taken to hold back twice the jitter.
fn lateness(rtt_ms: f64, jitter_ms: f64) -> (f64, f64) {
    let (way_ms, buffer_ms) = (rtt_ms / 2.0 + PIECE_MS, 2.0 * jitter_ms);
    let whole_ms = way_ms + buffer_ms;
    let cost = 0.024 * whole_ms + 0.11 * (whole_ms - TALKS_OVER_MS).max(0.0);
    (cost * way_ms / whole_ms, cost * buffer_ms / whole_ms)
}

/// The E-model's impairments by loss (G.107 formula 7-29, with Ie of 0 and random loss) and by delay.
pub(super) fn sound(passed: &Passed, rtt_ms: f64) -> Costs {
    let count = passed.packets[0];
    let lost_pct = count.percent(count.lost).min(100.0);
    let loss = 95.0 * lost_pct / (lost_pct + CONCEALS);
    let (way, buffer) = lateness(rtt_ms, f64::from(passed.jitter_ms[0]));
    [
        (Reason::Loss, loss),
        (Reason::Jitter, buffer),
        (Reason::Rtt, way),
        (Reason::Freezes, 0.0),
        (Reason::Bandwidth, 0.0),
    ]
}

/// The same scale for pictures, of our own making: no standard scores one from packets alone without knowing its codec's bits.
pub(super) fn pictures(passed: &Passed, rtt_ms: f64, narrow: f64) -> Costs {
    let count = passed.packets[1];
    let loss = REPAIRED_COST * count.percent(count.repaired) + UNREPAIRED_COST * count.percent(count.lost);
    let (way, buffer) = lateness(rtt_ms, (f64::from(passed.jitter_ms[1]) - SPREAD_MS).max(0.0));
    [
        (Reason::Loss, loss),
        (Reason::Jitter, buffer),
        (Reason::Rtt, way),
        (Reason::Freezes, FREEZE_COST * f64::from(passed.freezes)),
        (Reason::Bandwidth, narrow),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_scale_is_that_of_the_e_model() {
        let score = |loss: u32, rtt_ms: f64, jitter_ms: u16| {
            let mut passed = Passed::default();
            passed.packets[0] = Count { expected: 1_000, lost: loss, repaired: 0 };
            passed.jitter_ms[0] = jitter_ms;
            (BEST - sound(&passed, rtt_ms).iter().map(|(_, cost)| cost).sum::<f64>()).round() as i32
        };
        // 1 %, 5 %, 15 % and 50 % of loss; round trips of 200, 500 and 800 ms; jitter of 50 and 200 ms.
        assert_eq!([0, 10, 50, 150, 500].map(|lost| score(lost, 0.0, 0)), [93, 89, 77, 57, 29]);
        assert_eq!([200.0, 500.0, 800.0].map(|rtt_ms| score(0, rtt_ms, 0)), [90, 77, 56]);
        assert_eq!([50, 200].map(|jitter_ms| score(0, 0.0, jitter_ms)), [90, 56]);
    }
}
