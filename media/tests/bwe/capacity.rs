//! The run that the figure `bwe_use_pct` is made of: 3 → 0.6 → 3 Mbit/s, half a minute each, 50 ms base round trip, 1 % loss.

use crate::flow::{self, Flow};
use crate::link::{Link, Shape};

pub const SEEDS: u64 = 20;
const SECOND: u64 = 1_000_000;

/// One seed's run.
pub fn run(seed: u64) -> Flow {
    // The queue is what a home router keeps: 350 ms at 0.6 Mbit/s, 70 ms at 3.
    let mut there = Link::new(3e6, Shape::Queue { bytes: 26_000 }, 25_000, 0.01, seed)
        .then(30 * SECOND, 0.6e6)
        .then(60 * SECOND, 3e6);
    let mut back = Link::new(1e8, Shape::Queue { bytes: 1_000_000 }, 25_000, 0.01, !seed);
    let mut flows = [Flow::new(600_000, seed)];
    flow::run(&mut flows, &mut there, &mut back, 90 * SECOND);
    let [flow] = flows;
    flow
}

/// Share of the link that media used in each phase: when settled in the first two, from ten seconds after the capacity came
/// back in the last.
pub fn uses(flow: &Flow) -> [f64; 3] {
    let within = |from: u64, to: u64, bps: f64| flow.media_bps(from * SECOND..to * SECOND) / bps;
    [within(5, 30, 3e6), within(35, 60, 0.6e6), within(70, 90, 3e6)]
}
