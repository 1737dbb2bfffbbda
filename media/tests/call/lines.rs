//! What receivers get over lines that bear less than everything: smaller pictures, slower ones, or none, and never a gap.

use std::time::Duration;

use parlor_media::client::{Frame, Layers, Line, Part, Plan, Tag};
use parlor_media::codec::{self, Structure};
use parlor_media::{Codec, Event, Source};

use crate::publisher::Publisher;
use crate::world::{CALL, CLEAN, World};
use crate::{RIDS, secs};

const FRAME_EVERY: Duration = Duration::from_millis(33);

/// The layer of the last packet that somebody got of a face.
fn layer_of(world: &World, place: usize, from: usize) -> Option<u8> {
    let video = world.people[place].showing(world.people[from].tracks[1])?;
    video.packets.values().next_back()?.content.map(|content| content.layer)
}

/// Packets of the last second came this late at most, but for one in twenty.
fn voices_of(world: &World, place: usize, from: usize) -> usize {
    let audio = world.people[place].showing(world.people[from].tracks[0]).expect("a slot carries the voice");
    let since = world.now - secs(1);
    audio.packets.values().filter(|got| got.at >= since).count()
}

#[test]
fn a_picture_follows_what_the_line_bears() {
    let mut world = World::estimating(201);
    let from = world.join(&RIDS, 4, CLEAN);
    let to = world.join(&[], 4, CLEAN);
    world.publish(from, Publisher::new(1, 3, world.now));
    let face = world.people[from].tracks[1];
    world.view(to, &[(face, 1280)]);
    world.run_until("the largest picture", secs(10), |world| layer_of(world, to, from) == Some(2));
    for (capacity_bps, layer) in [(700_000, 1), (250_000, 0), (3_000_000, 2)] {
        world.people[to].capacity_bps = Some(capacity_bps);
        world.run_until("the layer that fits", secs(20), |world| layer_of(world, to, from) == Some(layer));
        // It takes a while until the queue on the way is empty again.
        world.run(secs(3));
        for _ in 0..5 {
            world.run(secs(1));
            let at = layer_of(&world, to, from);
            assert!(at <= Some(layer) && at.is_some(), "{capacity_bps} bit/s carry no layer {at:?}");
            let voices = voices_of(&world, to, from);
            assert!(voices >= 24, "{capacity_bps} bit/s: {voices} packets of the voice in a second");
        }
    }
    world.run_until("the largest picture again", secs(15), |world| layer_of(world, to, from) == Some(2));
    let stats = world.shard.stats();
    assert!(stats.probed > 0, "more was found by probing");
    // Who has room is not touched by who has none.
    assert_eq!(stats.participants, 2);
}

#[test]
fn what_no_line_carries_is_said_to_be_paused() {
    let mut world = World::estimating(202);
    let (one, two) = (world.join(&[], 4, CLEAN), world.join(&[], 4, CLEAN));
    let to = world.join(&[], 4, CLEAN);
    for (place, who) in [(one, 1), (two, 2)] {
        world.publish(place, Publisher::new(who, 1, world.now));
    }
    world.people[to].capacity_bps = Some(150_000);
    let faces = [one, two].map(|place| world.people[place].tracks[1]);
    world.view(to, &[(faces[0], 640), (faces[1], 640)]);
    world.run(secs(10));
    let paused = |world: &World| world.people[to].slots.values().filter(|slot| slot.paused).count();
    world.people[to].capacity_bps = Some(110_000);
    world.run_until("one is paused", secs(20), |world| paused(world) >= 1);
    world.people[to].capacity_bps = None;
    world.run_until("both are there again", secs(20), |world| paused(world) == 0);
    world.run(secs(2));
    for face in faces {
        assert!(world.people[to].showing(face).is_some_and(|video| video.packets.len() > 30), "both are seen");
    }
}

#[test]
fn publishers_hear_which_layers_nobody_watches() {
    let mut world = World::new(203);
    let from = world.join(&RIDS, 4, CLEAN);
    let to = world.join(&[], 4, CLEAN);
    world.publish(from, Publisher::new(1, 3, world.now));
    let face = world.people[from].tracks[1];
    world.view(to, &[(face, 300)]);
    let told = |world: &World| {
        world.told.iter().rev().find_map(|event| match event {
            Event::Watched { track, layers, .. } if *track == face => Some(layers.clone()),
            _ => None,
        })
    };
    world.run_until("only the smallest is watched", secs(8), |world| told(world) == Some(vec![true, false, false]));
    world.people[from].publisher.as_mut().expect("it publishes").layers = 1;
    world.run(secs(3));
    // A larger tile asks for a layer that rests, and gets it once it comes.
    world.view(to, &[(face, 1280)]);
    world.run_until("the largest is asked for", secs(1), |world| told(world) == Some(vec![true, false, true]));
    world.people[from].publisher.as_mut().expect("it publishes").layers = 3;
    world.run_until("it comes", secs(2), |world| layer_of(world, to, from) == Some(2));
    world.people[to].showing(face).expect("shown").assert_continuous();
}

/// A packet's number, what it is of, its picture id, marker and timestamp.
type Seen = (u64, Tag, u16, bool, u32);

/// Numbers between two packets that did not come: no more of them than were lost on the way.
fn assert_no_gaps(seen: &[Seen], lost: usize) {
    let holes = seen.windows(2).filter(|pair| pair[1].0 != pair[0].0 + 1).count();
    assert!(holes <= lost, "{holes} gaps, where {lost} packets were lost");
}

/// Somebody's camera sends a packet.
fn send(world: &mut World, from: usize, timestamp: u32, part: &Part) {
    let (marker, payload, dependency) = (part.marker, &part.payload[..], &part.dependency[..]);
    let frame = Frame { timestamp, marker, payload, dependency, ..Frame::default() };
    world.people[from].client.send_rtp(1, 0, frame).expect("connected");
}

/// Somebody sends pictures in layers to two others, one of whom has a narrow line.
fn in_layers(codec: Codec, seed: u64, narrow_bps: u64) -> [(Vec<Seen>, usize); 2] {
    let mut world = World::estimating(seed);
    let line = match codec {
        Codec::Vp9 => Line::Vp9,
        Codec::Av1 => Line::Av1,
        _ => Line::video(),
    };
    let plan = Plan { lines: vec![Line::Audio, line], sees_layers: true, history: 512, ..Plan::default() };
    let from = world.join_planned(CALL, plan.clone(), [Source::Microphone, Source::Camera], CLEAN);
    let to = [(); 2].map(|()| world.join_planned(CALL, plan.clone(), [Source::Microphone, Source::Camera], CLEAN));
    world.people[to[1]].capacity_bps = Some(narrow_bps);
    let face = world.people[from].tracks[1];
    to.iter().for_each(|place| world.view(*place, &[(face, 1280)]));
    let mut layers = Layers::new(codec, 3, 3);
    let mut asked = 0;
    for frame in 0..900u32 {
        let plis = world.shard.stats().plis_out;
        let key = frame == 0 || plis > asked;
        asked = plis;
        for mut part in layers.next(key, 2, 0) {
            // 90, 240 and 520 kbit/s, for pictures of spatial layers; those of one size have 340.
            let bytes = if codec == Codec::Vp8 { 700 } else { [200, 500, 1_100][usize::from(part.tag.spatial)] };
            part.payload.resize(bytes, 0);
            send(&mut world, from, frame * 2_970, &part);
        }
        world.run(FRAME_EVERY);
    }
    to.map(|place| {
        let lost = world.people[place].lost;
        let video = world.people[place].showing(face).expect("a slot shows it");
        let mut structure = Structure::default();
        let seen = video.packets.iter().filter_map(|(number, got)| {
            let frame = codec::describe(codec, got.marker, &got.sound, &[], &mut structure)?;
            Some((*number, got.tag?, frame.picture_id, got.marker, got.timestamp))
        });
        (seen.collect(), lost)
    })
}

#[test]
fn frames_are_left_out_without_a_gap() {
    for seed in [204, 205, 206] {
        // 1,400 bytes 30 times a second are 340 kbit/s.
        let [wide, narrow] = in_layers(Codec::Vp8, seed, 300_000);
        let share = |seen: &[Seen], temporal| {
            let late = &seen[seen.len() / 2..];
            late.iter().filter(|(_, tag, ..)| tag.temporal == temporal).count() * 100 / late.len()
        };
        assert!((45..=55).contains(&share(&wide.0, 2)), "who has room gets every frame: {}", share(&wide.0, 2));
        assert!(share(&narrow.0, 2) < 25, "who has none gets fewer: {}", share(&narrow.0, 2));
        for (seen, lost) in [wide, narrow] {
            assert_no_gaps(&seen, lost);
            for pair in seen.windows(2).filter(|pair| pair[1].0 == pair[0].0 + 1) {
                let [(_, tag, id, _, before), (_, next, next_id, _, timestamp)] = [pair[0], pair[1]];
                let frames = u16::from(next.picture != tag.picture);
                assert_eq!(
                    next_id.wrapping_sub(id) & 0x7fff,
                    frames,
                    "picture ids count what is sent: {tag:?} {next:?}"
                );
                assert!((timestamp.wrapping_sub(before) as i32) >= 0, "time goes on");
            }
        }
    }
}

#[test]
fn spatial_layers_are_left_out_without_a_gap() {
    for codec in [Codec::Vp9, Codec::Av1] {
        let [wide, narrow] = in_layers(codec, 207, 200_000);
        let top = |seen: &[Seen]| {
            let late = &seen[seen.len() * 3 / 4..];
            late.iter().map(|(_, tag, ..)| tag.spatial).max().unwrap_or(9)
        };
        assert_eq!(top(&wide.0), 2, "{codec:?}: who has room gets the largest");
        assert!(top(&narrow.0) < 2, "{codec:?}: who has none gets a smaller one");
        for (seen, lost) in [wide, narrow] {
            assert_no_gaps(&seen, lost);
            for pair in seen.windows(2).filter(|pair| pair[1].0 == pair[0].0 + 1) {
                let [(_, _, _, marker, time), (_, _, _, _, next_time)] = [pair[0], pair[1]];
                assert_eq!(marker, time != next_time, "{codec:?}: the last packet of a picture is marked");
            }
        }
    }
}

#[test]
fn a_large_picture_without_layers_is_there_soon() {
    let mut world = World::estimating(208);
    let plan = Plan { lines: vec![Line::Audio, Line::video()], history: 512, ..Plan::default() };
    let from = world.join_planned(CALL, plan.clone(), [Source::Microphone, Source::Camera], CLEAN);
    let to = world.join_planned(CALL, plan, [Source::Microphone, Source::Camera], CLEAN);
    let face = world.people[from].tracks[1];
    world.view(to, &[(face, 1280)]);
    let mut layers = Layers::new(Codec::Vp8, 1, 1);
    let mut got = Vec::new();
    let (mut asked, mut shown) = (0, 0);
    for frame in 0..300u32 {
        let plis = world.shard.stats().plis_out;
        let key = frame == 0 || plis > asked;
        asked = plis;
        // 13 packets of 1,160 bytes, 30 times a second: 3.6 Mbit/s.
        for part in layers.next(key, 13, 1_160) {
            send(&mut world, from, frame * 2_970, &part);
        }
        world.run(FRAME_EVERY);
        let packets = world.people[to].showing(face).map_or(0, |video| video.packets.len());
        got.push(packets - shown);
        shown = packets;
    }
    let late = &got[got.len() / 2..];
    assert!(late.iter().sum::<usize>() >= late.len() * 12, "{late:?}");
}
