//! What comes back of what is lost, in time and at what price; and how few key frames are asked for.

use std::time::Duration;

use parlor_media::{Config, View};

use crate::recovery::{Recovery, run};
use crate::world::{Offer, World};

#[test]
fn ten_percent_of_loss_are_made_good_in_time_and_at_a_fair_price() {
    crate::hush();
    for (layers, bursts) in [(1, false), (3, false), (1, true), (3, true)] {
        let mut recovery = Recovery::default();
        for seed in [7, 8] {
            recovery.add(&run(seed, layers, bursts, Duration::from_secs(20)));
        }
        let (pct, ratio) = (recovery.complete_pct(), recovery.retransmit_ratio());
        println!("layers {layers}, bursts {bursts}: {pct:.2} % in time, ratio {ratio:.2}: {recovery:?}");
        assert!(recovery.frames > 1_500, "frames flowed: {recovery:?}");
        assert!(pct >= 99.0, "{layers} layers, bursts {bursts}: {pct:.2} % of frames are whole in time: {recovery:?}");
        assert!(ratio <= 1.3, "{layers} layers, bursts {bursts}: {ratio:.2} times what was lost: {recovery:?}");
    }
}

#[test]
fn fifty_receivers_that_all_want_key_frames_are_few_requests() {
    let mut world = World::new(8, Config { estimation: false, ..Config::default() });
    let from = world.join(0, Offer { layers: 3, screen: false, video_slots: 0 });
    let watchers: Vec<usize> =
        (0..50).map(|_| world.join(0, Offer { layers: 1, screen: false, video_slots: 1 })).collect();
    for place in &watchers {
        world.guests[*place].encoder.camera = false;
        let track = world.guests[from].tracks[1];
        world.view(*place, vec![View { track, width: 640, visible: true }]);
    }
    world.run(Duration::from_secs(3));
    let before = world.guests[from].plis_got;
    for _ in 0..100 {
        for place in &watchers {
            world.guests[*place].want_keyframes();
        }
        world.run(Duration::from_millis(100));
    }
    let asked = world.guests[from].plis_got - before;
    // 5,000 wishes in ten seconds: an answered request rests for half a second.
    assert!((5..=21).contains(&asked), "{asked} requests in ten seconds");
}
