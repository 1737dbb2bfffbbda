//! Whole calls through the media core, in simulated time over a seeded network. What lies on the wire is real: STUN, DTLS, SRTP.

mod audio;
mod damaged;
mod h264;
mod hostile;
mod large;
mod lines;
mod publisher;
mod quality;
mod receiver;
mod relayed;
mod shards;
mod taps;
mod world;

use std::time::Duration;

use parlor_media::{Event, TrackId};
use publisher::Publisher;
use world::{CALL, CLEAN, Link, World};

const RIDS: [&str; 3] = ["q", "h", "f"];

fn secs(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

/// A publisher of so many layers, who has sent for a second, and who else is there.
fn one_to(world: &mut World, layers: usize, receivers: usize, link: Link) -> (usize, Vec<usize>) {
    let from = world.join(&RIDS[..if layers == 1 { 0 } else { 3 }], 4, link);
    let to = (0..receivers).map(|_| world.join(&[], 4, link)).collect();
    let publisher = Publisher::new(1, layers, world.now);
    world.publish(from, publisher);
    (from, to)
}

#[test]
fn two_peers_hear_and_see_each_other() {
    let mut world = World::new(1);
    let (a, others) = one_to(&mut world, 3, 1, CLEAN);
    let b = others[0];
    world.publish(b, Publisher::new(2, 1, world.now));
    world.run(secs(2));
    for (me, other, who) in [(a, b, 2), (b, a, 1)] {
        let [voice, face] = world.people[other].tracks;
        let video = world.people[me].showing(face).expect("a slot shows the other");
        assert!(video.complete_frames().len() > 40, "frames came: {}", video.complete_frames().len());
        video.assert_continuous();
        let audio = world.people[me].showing(voice).expect("a slot carries the other's voice");
        assert!(audio.packets.len() > 40);
        assert!(audio.packets.values().all(|got| got.who == who));
    }
    assert_eq!(world.shard.stats().drops.iter().sum::<u64>(), 0, "nothing was dropped");
}

#[test]
fn five_percent_loss_is_repaired() {
    for (seed, layers) in [(11, 1), (12, 3), (13, 3)] {
        let mut world = World::new(seed);
        let link = Link { loss_pm: 50, delay: Duration::from_millis(25), jitter: Duration::from_millis(12) };
        let (from, to) = one_to(&mut world, layers, 2, link);
        let face = world.people[from].tracks[1];
        world.view(to[0], &[(face, 1280)]);
        world.view(to[1], &[(face, 320)]);
        world.run(secs(20));
        let until = world.now - secs(1);
        let repaired_up = world.shard.stats().repaired;
        assert!(repaired_up > 20, "publishers repaired {repaired_up} packets by retransmission");
        for place in to {
            let video = world.people[place].showing(face).expect("shown");
            assert!(video.repaired > 5, "receivers were repaired: {}", video.repaired);
            let (holes, frames) = (video.holes(until).len(), video.complete_frames().len());
            assert!(
                holes * 500 <= video.packets.len(),
                "seed {seed}: {holes} holes in {} packets",
                video.packets.len()
            );
            assert!(frames > 560, "seed {seed}: {frames} of about 600 frames are whole");
            video.assert_continuous();
        }
    }
}

#[test]
fn joins_and_leaves_disturb_nobody() {
    let mut world = World::new(21);
    let (from, to) = one_to(&mut world, 1, 2, CLEAN);
    let face = world.people[from].tracks[1];
    world.run(secs(1));
    for round in 0..4 {
        let guest = world.join(&[], 4, CLEAN);
        world.publish(guest, Publisher::new(50 + round, 1, world.now));
        world.run(secs(1));
        world.leave(guest);
        world.run(Duration::from_millis(300));
    }
    for place in to {
        let video = world.people[place].showing(face).expect("still shown in its slot");
        video.assert_continuous();
        assert!(
            video.packets.values().all(|got| got.content.is_some_and(|content| content.who == 1)),
            "nobody else came into the slot"
        );
        let gaps = video.packets.values().zip(video.packets.values().skip(1)).map(|(one, next)| next.at - one.at).max();
        assert!(gaps.expect("packets") < Duration::from_millis(60), "no pause: {gaps:?}");
    }
    assert_eq!(world.shard.stats().participants, 3);
}

#[test]
fn a_layer_follows_the_tile_and_changes_on_key_frames_only() {
    let mut world = World::new(31);
    let (from, to) = one_to(&mut world, 3, 2, CLEAN);
    let face = world.people[from].tracks[1];
    let layer_of = |world: &World, place: usize| {
        let last = world.people[place].showing(face).and_then(|video| video.packets.values().next_back().cloned());
        last.and_then(|got| got.content).map(|content| content.layer)
    };
    world.view(to[1], &[(face, 300)]);
    for (width, layer) in [(1280, 2), (300, 0), (640, 1), (1280, 2), (300, 0)] {
        world.view(to[0], &[(face, width)]);
        world.run_until("the layer", secs(2), |world| layer_of(world, to[0]) == Some(layer));
        world.run(secs(1));
        assert_eq!(layer_of(&world, to[0]), Some(layer), "it stays");
        assert_eq!(layer_of(&world, to[1]), Some(0), "the other receiver is left alone");
    }
    world.people[to[0]].showing(face).expect("shown").assert_continuous();
    world.people[to[1]].showing(face).expect("shown").assert_continuous();
    let keyframes = world.people[from].publisher.as_ref().expect("it publishes").keyframes;
    assert!(keyframes <= 12, "requests are merged: {keyframes} key frames");
}

#[test]
fn a_layer_that_ceases_is_replaced_by_the_nearest() {
    let mut world = World::new(32);
    let (from, to) = one_to(&mut world, 3, 1, CLEAN);
    let face = world.people[from].tracks[1];
    world.view(to[0], &[(face, 1280)]);
    world.run(secs(2));
    world.people[from].publisher.as_mut().expect("it publishes").layers = 2;
    world.run(secs(4));
    let video = world.people[to[0]].showing(face).expect("shown");
    let last = video.packets.values().next_back().and_then(|got| got.content).expect("video");
    assert_eq!(last.layer, 1);
    video.assert_continuous();
}

#[test]
fn a_slot_goes_over_to_another_publisher() {
    for seed in 41..45 {
        let mut world = World::new(seed);
        let watcher = world.join(&[], 1, CLEAN);
        let faces: Vec<TrackId> = (1..=3u8)
            .map(|who| {
                let place = world.join(&[], 1, CLEAN);
                let mut publisher = Publisher::new(who, 1, world.now);
                publisher.frames = u32::from(who) * 1_000;
                world.publish(place, publisher);
                world.people[place].tracks[1]
            })
            .collect();
        world.run(secs(1));
        for round in 0..9 {
            world.view(watcher, &[(faces[round % 3], 640)]);
            world.run(Duration::from_millis(700));
        }
        let video = world.people[watcher].video().next().expect("its one slot");
        video.assert_continuous();
        let seen: std::collections::BTreeSet<u8> =
            video.packets.values().filter_map(|got| got.content).map(|content| content.who).collect();
        assert_eq!(seen.len(), 3, "each was shown in the slot");
    }
}

#[test]
fn a_picture_whose_clock_is_set_back_goes_on() {
    let mut world = World::new(46);
    let (from, to) = one_to(&mut world, 3, 1, CLEAN);
    let face = world.people[from].tracks[1];
    world.run(secs(5));
    world.people[from].publisher.as_mut().expect("it publishes").late_ms = 60_000;
    world.run(secs(5));
    let since = world.now - secs(1);
    let video = world.people[to[0]].showing(face).expect("shown");
    let shown = video.packets.values().filter(|got| got.at > since).count();
    assert!(shown >= 25, "{shown} packets in the last second");
}

#[test]
fn the_slot_is_told_with_its_first_timestamp() {
    let mut world = World::new(51);
    let (from, to) = one_to(&mut world, 1, 1, CLEAN);
    let face = world.people[from].tracks[1];
    world.run(secs(1));
    let me = &world.people[to[0]];
    let told: Vec<_> = world
        .told
        .iter()
        .filter_map(|event| match event {
            Event::Slots { participant, slots, .. } if *participant == me.id => Some(slots),
            _ => None,
        })
        .flatten()
        .filter(|slot| slot.source.is_some_and(|(_, track)| track == face))
        .map(|slot| slot.rtp_timestamp)
        .collect();
    let first = me.showing(face).expect("shown").packets.values().next().expect("packets").timestamp;
    assert_eq!(told, [None, Some(first)]);
}

#[test]
fn a_muted_track_is_dropped_and_comes_back() {
    let mut world = World::new(61);
    let (from, to) = one_to(&mut world, 1, 1, CLEAN);
    let [voice, face] = world.people[from].tracks;
    world.run(secs(1));
    world.shard.mute(voice, true);
    world.shard.mute(face, true);
    world.run(Duration::from_millis(100));
    let before: usize = world.people[to[0]].receivers.values().map(|receiver| receiver.packets.len()).sum();
    world.run(secs(1));
    let after: usize = world.people[to[0]].receivers.values().map(|receiver| receiver.packets.len()).sum();
    assert_eq!(before, after, "nothing of a muted track passes");
    assert!(world.people[to[0]].showing(face).is_none(), "its slot is free");
    world.shard.mute(face, false);
    world.run(secs(1));
    let video = world.people[to[0]].showing(face).expect("shown again");
    video.assert_continuous();
    assert!(video.packets.len() > 50);
}

#[test]
fn voices_take_slots_by_loudness() {
    let mut world = World::new(71);
    let listener = world.join(&[], 1, CLEAN);
    let people: Vec<usize> = (1..=5u8)
        .map(|who| {
            let place = world.join(&[], 1, CLEAN);
            let mut publisher = Publisher::new(who, 1, world.now);
            publisher.audio_level = 120;
            world.publish(place, publisher);
            place
        })
        .collect();
    world.run(secs(1));
    for loud in [4, 3] {
        for place in &people {
            world.people[*place].publisher.as_mut().expect("it publishes").audio_level = 120;
        }
        world.people[people[loud]].publisher.as_mut().expect("it publishes").audio_level = 20;
        world.run(secs(3));
        let voice = world.people[people[loud]].tracks[0];
        assert!(world.people[listener].showing(voice).is_some(), "the loud voice has one of three slots");
        let speaking = world.told.iter().rev().find_map(|event| match event {
            Event::Speakers { call, speakers } if *call == CALL => Some(speakers.clone()),
            _ => None,
        });
        assert_eq!(speaking.expect("told").first().map(|(who, _)| *who), Some(world.people[people[loud]].id));
    }
}

#[test]
fn of_a_track_that_begins_muted_not_one_packet_passes() {
    let mut world = World::new(82);
    world.joins_muted = true;
    let (from, to) = one_to(&mut world, 3, 1, CLEAN);
    let [voice, face] = world.people[from].tracks;
    world.run(secs(2));
    assert!(world.people[to[0]].receivers.values().all(|receiver| receiver.packets.is_empty()), "nothing passed");
    assert!(!world.told.iter().any(|event| matches!(event, Event::Track { .. })), "nothing was told of it");
    for track in [voice, face] {
        world.shard.mute(track, false);
    }
    world.run(secs(1));
    for track in [voice, face] {
        let shown = world.people[to[0]].showing(track).expect("a slot carries it");
        assert!(shown.packets.len() > 20, "it is heard and seen");
    }
}

#[test]
fn whose_client_hangs_up_is_told_at_once_and_lost_later() {
    let mut world = World::new(83);
    let (from, _) = one_to(&mut world, 1, 1, CLEAN);
    let gone = world.people[from].id;
    world.run(secs(1));
    world.people[from].publisher = None;
    let now = world.now;
    world.people[from].client.close(now);
    let closed = |event: &Event| matches!(event, Event::Closed { participant, .. } if *participant == gone);
    let lost = |event: &Event| matches!(event, Event::Lost { participant, .. } if *participant == gone);
    world.run_until("its end", secs(1), |world| world.told.iter().any(closed));
    assert!(!world.told.iter().any(lost), "its seat waits");
    world.run_until("its loss", secs(20), |world| world.told.iter().any(lost));
    assert_eq!(world.told.iter().filter(|event| closed(event)).count(), 1);
}

#[test]
fn who_falls_silent_is_given_up_and_forgotten() {
    let mut world = World::new(81);
    let (from, to) = one_to(&mut world, 1, 1, CLEAN);
    let lost = world.people[from].id;
    world.run(secs(1));
    // The cable is pulled.
    world.people[from].link.delay = secs(100_000);
    world.run(secs(25));
    assert!(world.told.iter().any(|event| matches!(event, Event::Lost { participant, .. } if *participant == lost)));
    assert_eq!(world.shard.stats().participants, 1);
    world.leave(to[0]);
    assert_eq!((world.shard.stats().calls, world.shard.stats().participants), (0, 0));
    world.run(Duration::from_millis(1));
    assert_eq!(world.shard.poll_timeout(), None, "an empty shard sleeps");
}
