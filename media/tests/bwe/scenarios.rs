//! What the estimator makes of good links and bad ones. `TRACE=1` prints each half second.

use crate::capacity::{self, SEEDS};
use crate::flow::{Flow, run};
use crate::link::{Chance, Link, Shape};

const SECOND: u64 = 1_000_000;
/// One way: half of 50 ms.
const DELAY_US: u64 = 25_000;
/// What a home router keeps: 350 ms at 0.6 Mbit/s, 70 ms at 3.
const QUEUE: Shape = Shape::Queue { bytes: 26_000 };

fn back(seed: u64) -> Link {
    Link::new(1e8, Shape::Queue { bytes: 1_000_000 }, DELAY_US, 0.01, !seed)
}

/// One flow over a link.
fn alone(start_bps: u64, there: &mut Link, seconds: u64, seed: u64, change: impl FnOnce(&mut Flow)) -> Flow {
    let mut flow = Flow::new(start_bps, seed);
    change(&mut flow);
    let mut flows = [flow];
    run(&mut flows, there, &mut back(seed), seconds * SECOND);
    let [flow] = flows;
    trace(&flow, there, seconds);
    flow
}

fn trace(flow: &Flow, there: &Link, seconds: u64) {
    if std::env::var_os("TRACE").is_none() {
        return;
    }
    for half in 0..2 * seconds {
        let within = half * SECOND / 2..(half + 1) * SECOND / 2;
        let queued: Vec<u64> = flow
            .delivered
            .iter()
            .filter(|delivered| within.contains(&delivered.arrival_us))
            .map(|delivered| delivered.queued_us / 1_000)
            .collect();
        let target = flow.targets.iter().rev().find(|(at_us, _)| *at_us <= within.end).map_or(0, |target| target.1);
        eprintln!(
            "{:6.1} s  link {:5.0}  target {:5}  media {:5.0} kbit/s  queue mean {:4} most {:4} ms",
            within.start as f64 / 1e6,
            there.bps(within.start) / 1e3,
            target / 1_000,
            flow.media_bps(within.clone()) / 1e3,
            queued.iter().sum::<u64>() / queued.len().max(1) as u64,
            queued.iter().max().unwrap_or(&0),
        );
    }
}

/// 3 → 0.6 → 3 Mbit/s, half a minute each.
#[test]
fn capacity_goes_and_comes_back() {
    let mut sums = [0.0; 3];
    for seed in 0..SEEDS {
        let flow = capacity::run(seed);
        let uses = capacity::uses(&flow);
        let back_s = (60..90).find(|second| flow.media_bps(second * SECOND..(second + 1) * SECOND) > 0.85 * 3e6);
        let back_s = back_s.map_or(u64::MAX, |second| second - 60);
        let p95_us = flow.queueing_us(0.95);
        let (slowest_us, silent_us) = flow.voice_us();
        eprintln!(
            "seed {seed}: use {uses:.3?}, back after {back_s} s, queueing p95 {p95_us} µs, \
             voice at most {slowest_us} µs, silent {silent_us} µs, {} probes",
            flow.probes,
        );
        assert!(uses.iter().all(|used| *used > 0.83), "seed {seed}");
        assert!(back_s < 10, "seed {seed}");
        assert!(p95_us <= 150_000, "seed {seed}");
        assert!(slowest_us <= 400_000 && silent_us <= 400_000, "seed {seed}");
        for (sum, used) in sums.iter_mut().zip(uses) {
            *sum += used;
        }
    }
    assert!(sums.iter().all(|sum| sum / SEEDS as f64 > 0.87), "{sums:?}");
}

/// The same with a queue that holds two seconds of the narrow link: nothing is lost, so delay alone must tell.
#[test]
fn a_deep_queue_is_drained() {
    for seed in 0..SEEDS {
        let mut there = Link::new(3e6, Shape::Queue { bytes: 150_000 }, DELAY_US, 0.01, seed)
            .then(30 * SECOND, 0.6e6)
            .then(60 * SECOND, 3e6);
        let flow = alone(600_000, &mut there, 90, seed, |_| {});
        let worst_us = flow.queueing_us(1.0);
        let drained = flow.delivered.iter().filter(|delivered| delivered.sent_us > 33 * SECOND);
        let later_us = drained.map(|delivered| delivered.queued_us).max().unwrap_or(0);
        let p95_us = flow.queueing_us(0.95);
        eprintln!("seed {seed}: p95 {p95_us} µs, worst {worst_us} µs, after 3 s {later_us} µs");
        assert!(p95_us <= 150_000 && later_us <= 250_000 && worst_us <= 1_000_000, "seed {seed}");
    }
}

#[test]
fn a_start_takes_three_seconds() {
    for start_bps in [300_000, 600_000] {
        for seed in 0..SEEDS {
            let mut there = Link::new(3e6, QUEUE, DELAY_US, 0.01, seed);
            let flow = alone(start_bps, &mut there, 6, seed, |_| {});
            let used = flow.media_bps(3 * SECOND..5 * SECOND) / 3e6;
            let queued_us = flow.queueing_us(1.0);
            eprintln!("seed {seed} from {start_bps}: {used:.3}, queueing at most {queued_us} µs");
            assert!(used > 0.7 && queued_us <= 150_000, "seed {seed}");
        }
    }
}

#[test]
fn two_flows_share_a_link() {
    for seed in 0..SEEDS {
        let mut there = Link::new(3e6, Shape::Queue { bytes: 60_000 }, DELAY_US, 0.005, seed);
        let mut flows = [Flow::new(600_000, seed), Flow::new(600_000, seed + 1_000)];
        flows[1].starts_us = 10 * SECOND;
        run(&mut flows, &mut there, &mut back(seed), 120 * SECOND);
        let rates = flows.each_ref().map(|flow| flow.media_bps(30 * SECOND..120 * SECOND));
        eprintln!("seed {seed}: {rates:.0?}, p95 {} µs", flows[0].queueing_us(0.95));
        assert!(rates[0] < 2.0 * rates[1] && rates[1] < 2.0 * rates[0], "seed {seed}: {rates:?}");
        assert!(rates[0] + rates[1] > 0.75 * 3e6, "seed {seed}: {rates:?}");
        assert!(flows[0].queueing_us(0.95) <= 150_000, "seed {seed}");
    }
}

#[test]
fn a_policed_link_that_loses_besides_is_used() {
    for (inherent, most) in [(0.0, 0.12), (0.05, 0.2)] {
        for seed in 0..SEEDS {
            let mut there = Link::new(2e6, Shape::Policed { burst: 15_000 }, DELAY_US, inherent, seed);
            let flow = alone(600_000, &mut there, 60, seed, |_| {});
            let used = flow.media_bps(10 * SECOND..60 * SECOND) / 2e6;
            let loss = flow.lost(10 * SECOND..60 * SECOND);
            eprintln!("seed {seed}, loss {inherent}: {used:.3}, lost {loss:.3}, {} probes", flow.probes);
            assert!(used > 0.7 && loss < most, "seed {seed}");
        }
    }
}

#[test]
fn loss_alone_is_no_congestion() {
    for (loss, least) in [(0.02, 0.8), (0.05, 0.7), (0.1, 0.4)] {
        for seed in 0..SEEDS {
            let mut there = Link::new(2e6, QUEUE, 100_000, loss, seed);
            let flow = alone(600_000, &mut there, 60, seed, |_| {});
            let used = flow.media_bps(15 * SECOND..60 * SECOND) / 2e6;
            eprintln!("seed {seed}, loss {loss}: {used:.3}");
            assert!(used > least * (1.0 - loss), "seed {seed}, loss {loss}");
        }
    }
}

/// One small picture over a line that loses 5 % both ways: nothing is known of the rest, so nothing is taken away.
#[test]
fn who_needs_little_is_left_alone() {
    for seed in 0..SEEDS {
        let mut there = Link::new(5e6, QUEUE, 20_000, 0.05, seed);
        let flow = alone(600_000, &mut there, 60, seed, |flow| {
            flow.wants = vec![(0, 60e3)];
            flow.voices = 1;
        });
        let least_bps = flow.targets.iter().map(|target| target.1).min().unwrap_or(0);
        eprintln!("seed {seed}: never below {least_bps}");
        assert!(least_bps >= 500_000, "seed {seed}: {least_bps}");
    }
}

/// A probe that leaves in two or three bursts, and for which media counts, finds no more than there is.
#[test]
fn a_coarse_probe_does_not_lie() {
    for (bps, wants) in [(600e3, 520e3), (200e3, 520e3), (600e3, 4e6), (1e6, 700e3)] {
        for seed in 0..SEEDS {
            let room = (bps * 0.4 / 8.0) as u32;
            let mut there = Link::new(bps, Shape::Queue { bytes: room }, DELAY_US, 0.0, seed);
            let flow = alone(600_000, &mut there, 30, seed, |flow| {
                flow.is_coarse = true;
                flow.wants = vec![(0, wants)];
            });
            let late = flow.targets.iter().filter(|(at_us, _)| *at_us > 2 * SECOND);
            let most_bps = late.map(|target| target.1).max().unwrap_or(0);
            eprintln!("seed {seed}, {bps} for {wants}: at most {most_bps}, {} probes", flow.probes);
            assert!(most_bps as f64 <= 1.35 * bps, "seed {seed}");
        }
    }
}

/// A tile is made large: its picture should not have to wait for the next probe's turn.
#[test]
fn what_is_suddenly_wanted_comes_soon() {
    for seed in 0..SEEDS {
        let mut there = Link::new(4e6, QUEUE, DELAY_US, 0.005, seed);
        let flow = alone(600_000, &mut there, 26, seed, |flow| flow.wants = vec![(0, 60e3), (20 * SECOND, 2.5e6)]);
        let soon = (200..260).find(|tenth| flow.media_bps(tenth * SECOND / 10..(tenth + 5) * SECOND / 10) > 2e6);
        let soon_ms = soon.map_or(u64::MAX, |tenth| (tenth - 200) * 100 + 500);
        eprintln!("seed {seed}: after {soon_ms} ms, {} probes", flow.probes);
        assert!(soon_ms <= 2_000, "seed {seed}");
    }
}

#[test]
fn video_comes_back_after_a_long_silence() {
    for seed in 0..SEEDS {
        let mut there = Link::new(3e6, QUEUE, DELAY_US, 0.01, seed);
        let flow = alone(600_000, &mut there, 100, seed, |flow| flow.muted = 20 * SECOND..90 * SECOND);
        let used = flow.media_bps(92 * SECOND..100 * SECOND) / 3e6;
        eprintln!("seed {seed}: {used:.3}, p95 {} µs", flow.queueing_us(0.95));
        assert!(used > 0.75 && flow.queueing_us(0.95) <= 150_000, "seed {seed}");
        // While it was silent the link became narrow.
        let mut there = Link::new(3e6, QUEUE, DELAY_US, 0.01, seed).then(60 * SECOND, 0.6e6);
        let flow = alone(600_000, &mut there, 110, seed, |flow| flow.muted = 20 * SECOND..90 * SECOND);
        let used = flow.media_bps(95 * SECOND..110 * SECOND) / 0.6e6;
        let (slowest_us, silent_us) = flow.voice_us();
        eprintln!("seed {seed}, narrow: {used:.3}, voice {slowest_us} µs, silent {silent_us} µs");
        assert!(used > 0.7 && slowest_us <= 400_000 && silent_us <= 500_000, "seed {seed}");
    }
}

#[test]
fn lost_feedback_costs_no_more_than_its_time() {
    for seed in 0..SEEDS {
        let mut there = Link::new(3e6, QUEUE, DELAY_US, 0.01, seed);
        let flow = alone(600_000, &mut there, 40, seed, |flow| flow.deaf = 20 * SECOND..22 * SECOND);
        let least = flow.targets.iter().filter(|(at_us, _)| (20..23).contains(&(at_us / SECOND)));
        let least_bps = least.map(|target| target.1).min().unwrap_or(0);
        let used = flow.media_bps(27 * SECOND..40 * SECOND) / 3e6;
        eprintln!("seed {seed}: down to {least_bps}, then {used:.3}");
        assert!(least_bps < 2_000_000, "seed {seed}: the silence was not noticed");
        assert!(used > 0.75, "seed {seed}");
    }
}

#[test]
fn a_radio_that_takes_turns_is_no_congestion() {
    for seed in 0..SEEDS {
        let shape = Shape::Bursty { bytes: 60_000, gap_us: 30_000 };
        let mut there = Link::new(3e6, shape, DELAY_US, 0.01, seed);
        let flow = alone(600_000, &mut there, 60, seed, |_| {});
        let used = flow.media_bps(10 * SECOND..60 * SECOND) / 3e6;
        eprintln!("seed {seed}: {used:.3}, p95 {} µs", flow.queueing_us(0.95));
        assert!(used > 0.6 && flow.queueing_us(0.95) <= 150_000, "seed {seed}");
    }
}

#[test]
fn a_link_for_voices_alone_carries_them() {
    for seed in 0..SEEDS {
        let mut there = Link::new(180e3, Shape::Queue { bytes: 8_000 }, DELAY_US, 0.01, seed);
        let flow = alone(300_000, &mut there, 60, seed, |_| {});
        let (slowest_us, silent_us) = flow.voice_us();
        let used = flow.media_bps(10 * SECOND..60 * SECOND) / 180e3;
        eprintln!("seed {seed}: {used:.3}, voice {slowest_us} µs, silent {silent_us} µs");
        assert!(slowest_us <= 420_000 && silent_us <= 400_000 && used > 0.6, "seed {seed}");
    }
}

/// A mobile link: every two seconds another capacity between 0.5 and 4 Mbit/s.
#[test]
fn a_link_that_never_stays_is_followed() {
    let (mut used, mut slow_us) = (0.0, 0);
    for seed in 0..SEEDS {
        let mut chance = Chance(seed + 77);
        let mut there = Link::new(2e6, Shape::Queue { bytes: 60_000 }, DELAY_US, 0.005, seed);
        let mut could = 0.0;
        for change in 1..60 {
            let bps = 0.5e6 + 3.5e6 * chance.share();
            could += 2.0 * bps;
            there = there.then(2 * change * SECOND, bps);
        }
        let flow = alone(600_000, &mut there, 120, seed, |_| {});
        let here = flow.media_bps(2 * SECOND..120 * SECOND) * 118.0 / could;
        let p95_us = flow.queueing_us(0.95);
        eprintln!("seed {seed}: {here:.3}, p95 {p95_us} µs");
        assert!(here > 0.3 && p95_us <= 400_000, "seed {seed}");
        used += here;
        slow_us += p95_us;
    }
    eprintln!("mean {:.3}, p95 {} µs", used / SEEDS as f64, slow_us / SEEDS);
}
