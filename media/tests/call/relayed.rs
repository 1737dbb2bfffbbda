//! Calls that several shards share: what reaches whom, and how little crosses.

use std::collections::BTreeSet;
use std::time::Duration;

use parlor_media::{Event, ParticipantId, TrackId};

use crate::publisher::Publisher;
use crate::world::{CALL, CLEAN, World};
use crate::{RIDS, secs};

/// A world of so many spokes.
pub fn spread(seed: u64, spokes: usize, sample_every: Option<Duration>) -> World {
    let mut world = World::sampling(seed, sample_every);
    (0..spokes).for_each(|_| world.add_spoke());
    world
}

pub fn join_on(world: &mut World, shard: usize, rids: &[&str]) -> usize {
    world.on = shard;
    world.join(rids, 4, CLEAN)
}

/// A publisher on one shard, and a viewer on each of the others that are named.
pub fn broadcast(world: &mut World, from: usize, layers: usize, to: &[usize]) -> (usize, Vec<usize>) {
    let publisher = join_on(world, from, &RIDS[..if layers == 1 { 0 } else { 3 }]);
    let viewers = to.iter().map(|shard| join_on(world, *shard, &[])).collect();
    world.publish(publisher, Publisher::new(1, layers, world.now));
    (publisher, viewers)
}

fn layer_of(world: &World, place: usize, face: TrackId) -> Option<u8> {
    let video = world.people[place].showing(face)?;
    video.packets.values().next_back()?.content.map(|content| content.layer)
}

fn crossed(world: &World, from: usize, to: usize) -> u64 {
    world.crossed.get(&(from, to)).copied().unwrap_or(0)
}

/// Everybody of these sees and hears the publisher, without a gap.
fn assert_shown(world: &World, publisher: usize, viewers: &[usize], frames: usize) {
    let [voice, face] = world.people[publisher].tracks;
    for place in viewers {
        let video = world.people[*place].showing(face).expect("a slot shows the face");
        assert!(video.complete_frames().len() >= frames, "{place} saw {} frames", video.complete_frames().len());
        video.assert_continuous();
        assert!(video.holes(world.now - Duration::from_millis(200)).is_empty(), "numbers without gaps");
        let audio = world.people[*place].showing(voice).expect("a slot carries the voice");
        assert!(audio.packets.len() >= frames, "{place} heard {} packets", audio.packets.len());
        assert!(audio.holes(world.now - Duration::from_millis(200)).is_empty());
    }
}

#[test]
fn a_publisher_reaches_viewers_of_other_shards() {
    for from in [0, 1] {
        let mut world = spread(501 + from as u64, 2, None);
        let (publisher, viewers) = broadcast(&mut world, from, 3, &[0, 1, 2, 2]);
        world.run(secs(5));
        assert_shown(&world, publisher, &viewers, 130);
        for shard in 0..3 {
            let drops = world.peek(shard).stats().drops;
            let dropped = parlor_media::drop::Drop::ALL.into_iter().filter(|reason| drops[*reason as usize] > 0);
            // What is no more wanted may still be on its way.
            let dropped = dropped.filter(|reason| *reason != parlor_media::drop::Drop::RelayUnwanted);
            let dropped: Vec<_> = dropped.map(|reason| reason.name()).collect();
            assert!(dropped.is_empty(), "shard {shard} dropped {dropped:?}");
        }
        let tracks: Vec<_> = world
            .told
            .iter()
            .filter_map(|event| match event {
                Event::Track { track, active, .. } => Some((*track, *active)),
                _ => None,
            })
            .collect();
        assert_eq!(tracks.len(), 2, "only the shard that has the publisher tells of tracks: {tracks:?}");
    }
}

#[test]
fn each_layer_crosses_once_and_only_while_it_is_wanted() {
    let mut world = spread(511, 2, None);
    let (publisher, viewers) = broadcast(&mut world, 0, 3, &[1, 1, 1]);
    let face = world.people[publisher].tracks[1];
    for place in &viewers {
        world.view(*place, &[(face, 320)]);
    }
    world.run(secs(5));
    assert!(viewers.iter().all(|place| layer_of(&world, *place, face) == Some(0)));
    let before = crossed(&world, 0, 1);
    world.run(secs(4));
    // The lowest layer is one packet a frame, and the voice one more, whoever sees it.
    let packets = crossed(&world, 0, 1) - before;
    assert!((230..=250).contains(&packets), "{packets} packets in four seconds");
    assert_eq!(crossed(&world, 0, 2), 0, "nobody is on the other shard");
    assert_eq!(crossed(&world, 1, 0), 0, "nothing goes back");
    world.view(viewers[0], &[]);
    world.view(viewers[1], &[]);
    world.run(secs(1));
    assert!(crossed(&world, 0, 1) - before > 260, "one viewer is left");
    world.view(viewers[2], &[]);
    world.run(secs(1));
    let before = crossed(&world, 0, 1);
    world.run(secs(2));
    let voice = crossed(&world, 0, 1) - before;
    assert!((55..=65).contains(&voice), "the voice alone crosses: {voice} packets in two seconds");
    viewers.iter().for_each(|place| world.leave(*place));
    world.run(Duration::from_millis(100));
    let before = crossed(&world, 0, 1);
    world.run(secs(2));
    assert_eq!(crossed(&world, 0, 1), before);
    assert_eq!(world.spokes[0].stats().calls + world.spokes[0].holdings().places as u64, 0, "the spoke is forgotten");
}

#[test]
fn a_layer_follows_the_tile_on_a_spoke() {
    let mut world = spread(521, 1, None);
    let (publisher, viewers) = broadcast(&mut world, 0, 3, &[1, 1]);
    let face = world.people[publisher].tracks[1];
    world.view(viewers[1], &[(face, 300)]);
    for (width, layer) in [(1280, 2), (300, 0), (640, 1), (1280, 2), (300, 0)] {
        world.view(viewers[0], &[(face, width)]);
        world.run_until("the layer", secs(2), |world| layer_of(world, viewers[0], face) == Some(layer));
        world.run(secs(1));
        assert_eq!(layer_of(&world, viewers[0], face), Some(layer), "it stays");
        assert_eq!(layer_of(&world, viewers[1], face), Some(0), "the other receiver is left alone");
    }
    viewers.iter().for_each(|place| world.people[*place].showing(face).expect("shown").assert_continuous());
    let keyframes = world.people[publisher].publisher.as_ref().expect("it publishes").keyframes;
    assert!(keyframes <= 12, "requests are merged: {keyframes} key frames");
}

/// What a layer costs is known when it is asked for again: a line that bears it, but not what such layers mostly cost, keeps it.
#[test]
fn a_line_on_a_spoke_that_bears_a_layer_keeps_it() {
    let mut world = World::estimating(526);
    world.add_spoke();
    let (publisher, viewers) = broadcast(&mut world, 0, 3, &[1]);
    let face = world.people[publisher].tracks[1];
    world.view(viewers[0], &[(face, 1280)]);
    world.run_until("the largest", secs(10), |world| layer_of(world, viewers[0], face) == Some(2));
    world.people[viewers[0]].capacity_bps = Some(1_600_000);
    world.run(secs(10));
    for _ in 0..3 {
        world.view(viewers[0], &[(face, 300)]);
        world.run(secs(1));
        world.view(viewers[0], &[(face, 1280)]);
        world.run_until("it again", secs(20), |world| layer_of(world, viewers[0], face) == Some(2));
        world.run(secs(5));
        assert_eq!(layer_of(&world, viewers[0], face), Some(2), "it stays");
    }
}

#[test]
fn layers_that_no_shard_watches_are_let_go_and_come_back() {
    for from in [0, 1] {
        let mut world = spread(531, 2, None);
        let (publisher, viewers) = broadcast(&mut world, from, 3, &[2]);
        let face = world.people[publisher].tracks[1];
        let watched = |world: &World| {
            world.told.iter().rev().find_map(|event| match event {
                Event::Watched { track, layers, .. } if *track == face => Some(layers.clone()),
                _ => None,
            })
        };
        world.view(viewers[0], &[(face, 1280)]);
        world.run_until("the largest", secs(5), |world| layer_of(world, viewers[0], face) == Some(2));
        world.view(viewers[0], &[(face, 300)]);
        world.run_until("the others to be let go", secs(10), |world| watched(world) == Some(vec![true, false, false]));
        // A browser obeys.
        world.people[publisher].publisher.as_mut().expect("it publishes").layers = 1;
        world.run(secs(4));
        world.view(viewers[0], &[(face, 1280)]);
        world.run_until("the largest to be asked for", secs(2), |world| watched(world).is_some_and(|layers| layers[2]));
        world.people[publisher].publisher.as_mut().expect("it publishes").layers = 3;
        world.run_until("the largest again", secs(3), |world| layer_of(world, viewers[0], face) == Some(2));
        world.leave(viewers[0]);
        world.run_until("all but the lowest to be let go", secs(10), |world| {
            watched(world) == Some(vec![true, false, false])
        });
        let told_by = |events: &[Event]| events.iter().filter(|it| matches!(it, Event::Watched { .. })).count();
        assert_eq!(told_by(&world.told_by_spokes) == 0, from == 0, "the publisher's shard tells, nobody else");
    }
}

#[test]
fn who_comes_late_to_a_spoke_has_a_picture_after_one_request() {
    let mut world = spread(541, 2, None);
    let (publisher, _) = broadcast(&mut world, 1, 1, &[0]);
    let face = world.people[publisher].tracks[1];
    world.run(secs(3));
    let count = |world: &World| world.people[publisher].publisher.as_ref().expect("it publishes").keyframes;
    let before = count(&world);
    let late = join_on(&mut world, 2, &[]);
    world.run_until("a picture", secs(1), |world| {
        world.people[late].showing(face).is_some_and(|it| !it.packets.is_empty())
    });
    world.run(secs(2));
    assert_eq!(count(&world) - before, 1);
    assert_shown(&world, publisher, &[late], 55);
}

#[test]
fn the_same_speak_everywhere_and_nobody_hears_himself() {
    let mut world = spread(551, 2, None);
    let people: Vec<usize> = [0, 1, 2, 1, 2].into_iter().map(|shard| join_on(&mut world, shard, &[])).collect();
    for (who, place) in people.iter().enumerate() {
        let mut publisher = Publisher::new(who as u8 + 1, 1, world.now);
        publisher.audio_level = 60;
        world.publish(*place, publisher);
    }
    for loud in [4, 1, 0] {
        for place in &people {
            world.people[*place].publisher.as_mut().expect("it publishes").audio_level = 70;
        }
        world.people[people[loud]].publisher.as_mut().expect("it publishes").audio_level = 20;
        world.run(secs(3));
        let voice = world.people[people[loud]].tracks[0];
        for (at, place) in people.iter().enumerate() {
            let heard = world.people[*place].showing(voice);
            assert_eq!(heard.is_some(), at != loud, "{at} hears {loud}");
            let recent = |got: &crate::receiver::Got| got.at + secs(1) > world.now;
            let packets = heard.map_or(0, |audio| audio.packets.values().filter(|got| recent(got)).count());
            assert!(at == loud || packets >= 28, "{at} got {packets} packets of {loud} in a second");
        }
        let speakers = world.told.iter().rev().find_map(|event| match event {
            Event::Speakers { call, speakers } if *call == CALL => Some(speakers.clone()),
            _ => None,
        });
        assert_eq!(speakers.expect("told").first().map(|(who, _)| *who), Some(world.people[people[loud]].id));
    }
    assert!(!world.told_by_spokes.iter().any(|event| matches!(event, Event::Speakers { .. })));
    for place in &people {
        let own = place + 1;
        let mut sounds = world.people[*place].receivers.values().filter(|receiver| !receiver.video);
        assert!(sounds.all(|sound| sound.packets.values().all(|got| usize::from(got.who) != own)));
    }
}

#[test]
fn silence_does_not_cross() {
    let mut world = spread(556, 1, None);
    let (publisher, viewers) = broadcast(&mut world, 1, 1, &[0]);
    world.view(viewers[0], &[]);
    world.run(secs(3));
    world.people[publisher].publisher.as_mut().expect("it publishes").audio_level = 127;
    world.run(secs(1));
    let before = crossed(&world, 1, 0);
    world.run(secs(3));
    assert_eq!(crossed(&world, 1, 0), before);
    world.people[publisher].publisher.as_mut().expect("it publishes").audio_level = 30;
    world.run(secs(2));
    assert!(crossed(&world, 1, 0) > before + 50);
    let audio = world.people[viewers[0]].showing(world.people[publisher].tracks[0]).expect("heard again");
    assert!(audio.holes(world.now - Duration::from_millis(200)).is_empty(), "silence leaves no gap");
}

#[test]
fn a_muted_track_does_not_cross_and_comes_back() {
    for (from, to) in [(0, 1), (1, 0)] {
        let mut world = spread(561, 1, None);
        let (publisher, viewers) = broadcast(&mut world, from, 1, &[to]);
        let tracks = world.people[publisher].tracks;
        world.run(secs(2));
        (0..=1).for_each(|shard| tracks.iter().for_each(|track| world.at(shard).mute(*track, true)));
        world.run(Duration::from_millis(100));
        let before = crossed(&world, from, to);
        world.run(secs(2));
        assert_eq!(crossed(&world, from, to), before);
        assert!(world.people[viewers[0]].showing(tracks[1]).is_none(), "its slot is free");
        // Who comes now is not shown it either.
        let late = join_on(&mut world, to, &[]);
        world.run(secs(1));
        assert!(world.people[late].showing(tracks[1]).is_none());
        (0..=1).for_each(|shard| tracks.iter().for_each(|track| world.at(shard).mute(*track, false)));
        world.run(secs(2));
        assert_shown(&world, publisher, &[viewers[0], late], 40);
    }
}

#[test]
fn a_publisher_that_leaves_is_gone_everywhere() {
    for from in 0..3 {
        let mut world = spread(571 + from as u64, 2, None);
        let others: Vec<usize> = (0..3).filter(|shard| *shard != from).collect();
        let (publisher, viewers) = broadcast(&mut world, from, 1, &others);
        let face = world.people[publisher].tracks[1];
        world.run(secs(2));
        world.leave(publisher);
        world.run(Duration::from_millis(100));
        assert!(viewers.iter().all(|place| world.people[*place].showing(face).is_none()));
        let ended = world.told.iter().filter(|event| matches!(event, Event::Ended { track, .. } if *track == face));
        assert!(ended.count() >= 1);
        viewers.iter().for_each(|place| world.leave(*place));
        world.run(secs(1));
        for shard in 0..3 {
            assert_eq!(world.peek(shard).holdings().places, 0, "shard {shard} is empty");
        }
    }
}

#[test]
fn a_layer_that_begins_anew_does_so_everywhere() {
    let mut world = spread(576, 1, None);
    let (publisher, viewers) = broadcast(&mut world, 0, 1, &[1]);
    world.run(secs(2));
    for _ in 0..3 {
        // The encoder is made anew: another SSRC, another series, another clock.
        world.people[publisher].client.restart_streams(1);
        world.people[publisher].publisher.as_mut().expect("it publishes").begin_anew();
        world.run(secs(2));
    }
    assert_shown(&world, publisher, &viewers, 220);
}

#[test]
fn what_gets_lost_between_shards_heals() {
    let mut world = spread(581, 1, None);
    let (publisher, viewers) = broadcast(&mut world, 0, 3, &[1]);
    let face = world.people[publisher].tracks[1];
    world.view(viewers[0], &[(face, 1280)]);
    for lost in [1, 3, 20] {
        world.run(secs(3));
        world.relays_lost = lost;
        world.run(secs(3));
    }
    // A track that begins and one that ends while nothing passes.
    world.relays_lost = 40;
    let second = join_on(&mut world, 0, &[]);
    world.publish(second, Publisher::new(2, 1, world.now));
    world.leave(publisher);
    world.view(viewers[0], &[(face, 1280), (world.people[second].tracks[1], 640)]);
    world.run(secs(5));
    assert_eq!(world.relays_lost, 0);
    assert!(world.spokes[0].stats().relay_lost > 20, "it was counted");
    assert!(world.people[viewers[0]].showing(face).is_none());
    let video = world.people[viewers[0]].showing(world.people[second].tracks[1]).expect("shown");
    let since = world.now - secs(1);
    assert!(video.packets.values().filter(|got| got.at > since).count() > 25);
    world.run(secs(3));
    let until = world.now - secs(1);
    let recent = |index: &u64| {
        let video = world.people[viewers[0]].showing(world.people[second].tracks[1]).expect("shown");
        video.packets.range(..index).next_back().is_some_and(|(_, got)| got.at + secs(2) > world.now)
    };
    let holes = world.people[viewers[0]].showing(world.people[second].tracks[1]).expect("shown").holes(until);
    assert!(!holes.iter().any(recent), "nothing is missing any more");
}

/// When the sound and the picture of one frame were captured, by the sender reports of their slots, in µs.
fn captured_us(world: &World, place: usize, publisher: usize) -> [Vec<(u32, i64)>; 2] {
    let person = &world.people[place];
    let [voice, face] = world.people[publisher].tracks.map(|track| person.showing(track).expect("shown"));
    let time = |ssrc: u32, timestamp: u32, hz: i64| {
        let (ntp, at) = person.reports.get(&ssrc).expect("a report of the slot came");
        let ticks = i64::from(timestamp.wrapping_sub(*at) as i32);
        ((u128::from(*ntp) * 1_000_000) >> 32) as i64 + ticks * 1_000_000 / hz
    };
    let sounds = voice.packets.values().map(|got| {
        let frame = u32::from(got.sound[1]) << 8 | u32::from(got.sound[2]);
        (frame, time(voice.ssrc, got.timestamp, 48_000))
    });
    let pictures = face.packets.values().filter_map(|got| {
        let content = got.content.filter(|content| content.part == 0)?;
        Some((content.frame, time(face.ssrc, got.timestamp, 90_000)))
    });
    [sounds.collect(), pictures.collect()]
}

#[test]
fn sound_and_picture_keep_in_step_on_every_shard() {
    for from in [0, 1] {
        let mut world = spread(631, 2, None);
        // Shards have clocks of their own.
        world.run(secs(3));
        world.add_spoke();
        let (publisher, viewers) = broadcast(&mut world, from, 3, &[0, 2, 3]);
        // Who went by when they arrive would have them in step.
        world.people[publisher].publisher.as_mut().expect("it publishes").late_ms = 150;
        world.run(secs(8));
        for place in viewers {
            let [sounds, pictures] = captured_us(&world, place, publisher);
            // Of late, when reports had come.
            for (frame, shown_us) in &pictures[pictures.len() - 30..] {
                let (_, heard_us) = sounds.iter().find(|(heard, _)| heard == frame).expect("its sound came");
                let apart_us = shown_us + 150_000 - heard_us;
                assert!(apart_us.abs() < 2_000, "from {from} to {place}: frame {frame} is {apart_us} µs apart");
            }
        }
    }
}

pub fn broke(world: &World) -> BTreeSet<ParticipantId> {
    world
        .told
        .iter()
        .filter_map(|event| match event {
            Event::Broke { participant, .. } => Some(*participant),
            _ => None,
        })
        .collect()
}

#[test]
fn what_ends_at_the_hub_ends_everywhere() {
    for anew in [false, true] {
        let mut world = spread(591, 2, None);
        let (_, viewers) = broadcast(&mut world, 0, 1, &[1, 2]);
        world.run(secs(1));
        if anew {
            world.begin_anew(0);
        } else {
            world.shard.break_off(CALL);
        }
        world.run(secs(1));
        assert_eq!(broke(&world), viewers.iter().map(|place| world.people[*place].id).collect());
        assert!((0..3).all(|shard| world.peek(shard).holdings().places == 0));
    }
}

#[test]
fn what_breaks_on_a_spoke_leaves_the_others_alone() {
    for anew in [false, true] {
        let mut world = spread(596, 2, None);
        let (publisher, viewers) = broadcast(&mut world, 1, 1, &[0, 2, 1]);
        let second = join_on(&mut world, 0, &[]);
        world.publish(second, Publisher::new(2, 1, world.now));
        world.run(secs(2));
        if anew {
            world.begin_anew(1);
        } else {
            world.at(1).break_off(CALL);
        }
        world.run(secs(2));
        assert!(!world.told_by_spokes.iter().any(|it| matches!(it, Event::Ended { .. })), "the hub tells of tracks");
        assert!(broke(&world).is_empty(), "who was on the spoke is told by its thread, the others are not concerned");
        let face = world.people[publisher].tracks[1];
        assert!(viewers[..2].iter().all(|place| world.people[*place].showing(face).is_none()));
        assert_shown(&world, second, &viewers[..2], 100);
        // The spoke is used again.
        let late = join_on(&mut world, 1, &[]);
        world.run(secs(2));
        assert_shown(&world, second, &[late], 50);
    }
}

#[test]
fn a_spoke_without_its_hub_gives_up() {
    let mut world = spread(599, 1, None);
    let (_, viewers) = broadcast(&mut world, 0, 1, &[1]);
    world.run(secs(1));
    world.relays_lost = usize::MAX;
    world.run_until("it to be told", secs(7), |world| broke(world).contains(&world.people[viewers[0]].id));
    assert_eq!(world.spokes[0].holdings().places, 0);
    world.run(secs(7));
    assert_eq!(world.shard.stats().participants, 1, "the hub goes on");
}

#[test]
fn the_hub_samples_and_records_who_publishes_on_a_spoke() {
    let mut world = spread(601, 1, Some(secs(2)));
    world.shard.record(CALL, true);
    world.on = 1;
    let publisher = world.join(&RIDS, 4, CLEAN);
    world.publish(publisher, Publisher::new(1, 3, world.now));
    world.run(secs(20));
    let [voice, face] = world.people[publisher].tracks;
    let samples = world.told.iter().filter(|it| matches!(it, Event::Sampled { track, .. } if *track == face)).count();
    assert!((8..=14).contains(&samples), "{samples} samples");
    assert!(!world.told.iter().any(|it| matches!(it, Event::Unsampled { .. })));
    assert!(!world.told_by_spokes.iter().any(|it| matches!(it, Event::Sampled { .. } | Event::Ended { .. })));
    let packets = |of: TrackId| {
        let packets = world.recorded.iter().filter_map(|event| match event {
            parlor_media::RecordedEvent::Packet(packet) if packet.track == of => Some(packet),
            _ => None,
        });
        packets.collect::<Vec<_>>()
    };
    assert!(packets(voice).len() > 550, "{} packets of the voice", packets(voice).len());
    // The highest layer has four packets a frame.
    assert!(packets(face).len() > 2_200, "{} packets of the picture", packets(face).len());
    assert!(packets(face)[200..].iter().all(|packet| packet.captured_us.is_some()), "sender reports cross");
    let pairs = packets(face);
    let numbers: Vec<u64> = pairs[pairs.len() - 500..].iter().map(|packet| packet.index).collect();
    assert!(numbers.windows(2).all(|pair| pair[1] == pair[0] + 1), "none is missing");
}

#[test]
fn the_sound_of_a_screen_goes_where_it_is_seen() {
    let mut world = spread(611, 1, None);
    let sharing = world.join_sharing(CLEAN);
    let viewer = join_on(&mut world, 1, &[]);
    world.publish(sharing, Publisher::new(1, 1, world.now));
    world.run(secs(3));
    let [sound, screen] = world.people[sharing].tracks;
    assert!(world.people[viewer].showing(screen).is_some());
    assert!(world.people[viewer].showing(sound).is_some_and(|sound| sound.packets.len() > 50));
}
