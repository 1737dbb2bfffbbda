//! Joins and leaves without end: nothing may be left of those who went.

use std::time::Duration;

use parlor_media::{Config, Holdings};
use peak_alloc::PeakAlloc;
use rand::RngExt;

use crate::guest::Tag;
use crate::network::Line;
use crate::world::{Offer, World};

/// People who come and go, again and again, and calls that they do it in.
const PEOPLE: usize = 24;
const CALLS: usize = 4;

/// People who come and go.
fn world(seed: u64) -> World {
    let mut world = World::new(seed, Config::default());
    for place in 0..PEOPLE {
        let offer = some(world.random.random());
        world.join(place % CALLS, offer);
    }
    world
}

/// Lets people come and go at 2 % of loss until they have joined so often, and then sends them all home; calls `at` after each join.
fn churn(world: &mut World, joins: u64, mut at: impl FnMut(&World)) {
    while world.account.joins < joins {
        let place = world.random.random_range(0..PEOPLE);
        let present = world.guests[place].seat.is_some() && !world.guests[place].silent;
        match (present, world.random.random_range(0..20)) {
            (true, 0..14) => world.leave(place),
            (true, 14..17) => {
                // The page is closed without a word.
                world.guests[place].silent = true;
                world.guests[place].outbox.clear();
            }
            (true, _) => {
                let now = world.now;
                world.guests[place].client.close(now);
                world.guests[place].drain(Tag::Other);
                if let Some(seat) = world.guests[place].seat.as_mut() {
                    seat.closed_at = Some(now);
                }
            }
            (false, _) => {
                let offer = some(world.random.random());
                world.rejoin(place, offer);
                let mut line = Line::clean();
                line.loss_pm = 20;
                (world.guests[place].up, world.guests[place].down) = (line.clone(), line);
                at(world);
            }
        }
        let pause = world.random.random_range(5..60);
        world.run(Duration::from_millis(pause));
    }
    // Who went without a word is given up.
    for place in 0..PEOPLE {
        world.leave(place);
    }
    world.run(Duration::from_secs(1));
}

fn some(random: u64) -> Offer {
    let layers = if random.is_multiple_of(2) { 3 } else { 1 };
    Offer { layers, screen: random.is_multiple_of(5), video_slots: (random % 4) as usize }
}

/// Counts what is allocated: what the system gives this process says little of that, and differs from run to run by a tenth.
#[global_allocator]
static HEAP: PeakAlloc = PeakAlloc;

#[test]
fn three_hundred_joins_leave_nothing() {
    crate::hush();
    let mut world = world(301);
    churn(&mut world, 300, |_| {});
    assert_eq!(world.shard.holdings(), Holdings::default());
    assert_eq!(world.shard.poll_timeout(), None);
}

/// The simulated half of `make soak`.
#[test]
#[ignore = "takes minutes: make soak"]
fn ten_thousand_joins_and_leaves_leave_memory_flat() {
    crate::hush();
    let (joins, mut most) = (crate::number("SOAK_JOINS", 10_000), 0);
    // What the shard holds once everybody has gone, after a fifth of the joins and after all of them. Everything else here is the
    // guests' and the network's.
    let mut held = |joins| {
        let mut world = world(302);
        churn(&mut world, joins, |world| most = most.max(world.shard.holdings().names));
        assert_eq!(world.shard.holdings(), Holdings::default());
        let (packets, World { shard, .. }) = (world.account.forwarded, world);
        let before = HEAP.current_usage();
        drop(shard);
        let bytes = before - HEAP.current_usage();
        println!("{joins} joins: {} kB in the shard", bytes / 1024);
        (bytes as f64, packets)
    };
    let ((early, _), (late, packets)) = (held(joins / 5), held(joins));
    // Each of 24 people has a name, two user names at most, up to eight addresses and three tracks.
    assert!(most <= PEOPLE * 15 + CALLS, "{most} names at once");
    let growth = 100.0 * (late / early - 1.0);
    println!("{joins} joins, {packets} packets; what the empty shard holds grew by {growth:.1} %");
    assert!(growth <= 5.0, "what the empty shard holds grew by {growth:.1} %");
}
