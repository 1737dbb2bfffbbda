//! Batches between shards as nobody of ours writes them.

use std::time::Duration;

use parlor_media::Input;
use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};

use crate::publisher::Publisher;
use crate::relayed::{broadcast, broke, join_on, spread};
use crate::secs;

#[test]
fn hostile_batches_are_dropped_and_counted() {
    let mut random = StdRng::seed_from_u64(7);
    let mut world = spread(621, 1, None);
    let (publisher, viewers) = broadcast(&mut world, 0, 1, &[0, 1]);
    let near = viewers[0];
    world.run(secs(1));
    let now = world.now;
    world.at(0).handle(now, Input::Relay { from: 1, bytes: &[] });
    world.at(0).handle(now, Input::Relay { from: 0, bytes: &[1; 30] });
    for len in 0..400 {
        let mut bytes: Vec<u8> = (0..len).map(|_| random.random()).collect();
        if let Some(version) = bytes.first_mut() {
            *version = 1;
        }
        if bytes.len() > 30 {
            // A link of its own, that begins.
            bytes[22..30].fill(0);
            (bytes[1], bytes[30]) = (0, random.random_range(0..13));
        }
        world.at(0).handle(now, Input::Relay { from: random.random_range(2..64), bytes: &bytes });
    }
    let lost = world.shard.stats().drops.iter().sum::<u64>();
    assert!(lost >= 300, "{lost} of them were counted");
    world.relays_lost = usize::MAX;
    world.run(secs(1));
    let video = world.people[near].showing(world.people[publisher].tracks[1]).expect("still shown");
    assert!(video.packets.values().any(|got| got.at + Duration::from_millis(50) > world.now), "the call goes on");
}

/// Batches of the very links, damaged: whatever they say, the call goes on, and is as it was when they cease.
#[test]
fn damaged_batches_do_no_lasting_harm() {
    for seed in 0..150 {
        let mut world = spread(700 + seed, 2, Some(secs(1)));
        let (publisher, viewers) = broadcast(&mut world, (seed % 3) as usize, 3, &[0, 1, 2]);
        let second = join_on(&mut world, 1, &[]);
        world.publish(second, Publisher::new(2, 1, world.now));
        world.run(secs(1));
        // Payloads are damaged as well.
        (world.damages, world.deaf) = (Some(StdRng::seed_from_u64(seed)), true);
        for round in 0..10 {
            world.view(viewers[1], &[(world.people[publisher].tracks[1], [300, 1280][round % 2])]);
            world.run(Duration::from_millis(300));
        }
        world.damages = None;
        world.run(secs(3));
        world.deaf = false;
        // A spoke may have been told that its hub is gone: its people come again.
        // Everything is told again within ten seconds.
        world.run(secs(12));
        let over = broke(&world);
        let stays = |place: &usize| !over.contains(&world.people[*place].id);
        if !stays(&publisher) {
            continue;
        }
        let face = world.people[publisher].tracks[1];
        for place in viewers.iter().filter(|place| stays(place)) {
            let since = world.now - secs(1);
            let shown = world.people[*place]
                .showing(face)
                .map_or(0, |video| video.packets.values().filter(|got| got.at > since).count());
            assert!(shown >= 25, "seed {seed}: {place} got {shown} packets of the face in the last second");
        }
        world
            .people
            .iter()
            .map(|person| (person.id, person.shard))
            .collect::<Vec<_>>()
            .into_iter()
            .for_each(|(id, shard)| world.at(shard).leave(id));
        world.run(secs(8));
        for shard in 0..3 {
            assert_eq!(world.peek(shard).holdings().places, 0, "seed {seed}: shard {shard} is empty");
        }
    }
}
