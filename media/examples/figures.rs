//! Figures of the simulation, as `make bench` prints them: `figure NAME VALUE UNIT`. An argument names one.

#[path = "../tests/bwe/capacity.rs"]
mod capacity;
#[path = "../tests/sim/content.rs"]
mod content;
#[expect(dead_code, reason = "the simulation's tests need more of it")]
#[path = "../tests/sim/encoder.rs"]
mod encoder;
#[expect(dead_code, reason = "the estimator's tests need more of it")]
#[path = "../tests/bwe/flow.rs"]
mod flow;
#[expect(dead_code, reason = "the simulation's tests need more of it")]
#[path = "../tests/sim/guest.rs"]
mod guest;
#[expect(dead_code, reason = "the simulation's tests need more of it")]
#[path = "../tests/sim/law.rs"]
mod law;
#[expect(dead_code, reason = "the estimator's tests need more of it")]
#[path = "../tests/bwe/link.rs"]
mod link;
#[expect(dead_code, reason = "the simulation's tests need more of it")]
#[path = "../tests/sim/network.rs"]
mod network;
#[path = "../tests/sim/observe.rs"]
mod observe;
#[path = "../tests/sim/receiver.rs"]
mod receiver;
#[path = "../tests/sim/recovery.rs"]
mod recovery;
#[expect(dead_code, reason = "the simulation's tests need more of it")]
#[path = "../tests/sim/shards.rs"]
mod shards;
#[expect(dead_code, reason = "the simulation's tests need more of it")]
#[path = "../tests/sim/world.rs"]
mod world;

use std::time::Duration;

use recovery::Recovery;

/// One and three layers, loss at random and in bursts, three seeds each, a minute each.
fn recovery() {
    let (mut least_pct, mut most_ratio) = (100.0f64, 0.0f64);
    for (layers, bursts) in [(1, false), (3, false), (1, true), (3, true)] {
        let mut all = Recovery::default();
        for seed in 1..=3 {
            all.add(&recovery::run(seed, layers, bursts, Duration::from_secs(60)));
        }
        least_pct = least_pct.min(all.complete_pct());
        most_ratio = most_ratio.max(all.retransmit_ratio());
        eprintln!(
            "layers {layers}, bursts {bursts}: {:.2} %, {:.2}: {all:?}",
            all.complete_pct(),
            all.retransmit_ratio()
        );
    }
    println!("figure frames_complete_10loss_pct {least_pct:.2} %");
    println!("figure retransmit_ratio {most_ratio:.2} ×");
}

/// 3 → 0.6 → 3 Mbit/s, twenty seeds: what media used of the link, and how long its packets waited.
fn capacity() {
    let (mut used, mut waited_us) = (0.0, 0u64);
    for seed in 0..capacity::SEEDS {
        let flow = capacity::run(seed);
        let uses = capacity::uses(&flow);
        used += uses.iter().sum::<f64>() / (uses.len() as f64 * capacity::SEEDS as f64);
        waited_us = waited_us.max(flow.queueing_us(0.95));
        eprintln!("seed {seed}: use {uses:.3?}, queueing p95 {} µs", flow.queueing_us(0.95));
    }
    println!("figure bwe_use_pct {:.2} %", 100.0 * used);
    println!("figure bwe_queueing_p95_ms {:.1} ms", waited_us as f64 / 1_000.0);
}

fn main() {
    let only = std::env::args().nth(1);
    let asked = |name: &str| only.as_deref().is_none_or(|only| only == name);
    if asked("frames_complete_10loss_pct") || asked("retransmit_ratio") {
        recovery();
    }
    if asked("bwe_use_pct") || asked("bwe_queueing_p95_ms") {
        capacity();
    }
}
