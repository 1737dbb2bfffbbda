//! What is copied out of a call: key frames to look at, packets to record.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use parlor_media::{Codec, Event, RecordedEvent, RecordedPacket, TrackId};

use crate::publisher::Publisher;
use crate::relayed::{broadcast, spread};
use crate::world::{CALL, CLEAN, Link, World};
use crate::{one_to, secs};

const EVERY: Duration = Duration::from_secs(5);
const LOSSY: Link = Link { loss_pm: 30, delay: Duration::from_millis(25), jitter: Duration::from_millis(12) };

/// Layer and frame of each sample of a track.
fn samples(world: &World, of: TrackId) -> Vec<(u8, &[u8])> {
    world
        .told
        .iter()
        .filter_map(|event| match event {
            Event::Sampled { track, layer, frame, codec, .. } if *track == of && *codec == Codec::Vp8 => {
                Some((*layer, frame.as_slice()))
            }
            _ => None,
        })
        .collect()
}

fn is_unsampled(world: &World, of: TrackId) -> bool {
    world.told.iter().any(|event| matches!(event, Event::Unsampled { track, .. } if *track == of))
}

/// A whole key frame of the test's publisher: all its parts, in order, of one frame of that layer.
fn assert_whole(layer: u8, frame: &[u8]) {
    assert_eq!(frame[..6], [0x10, 0, 0, 0x9d, 0x01, 0x2a], "a key frame begins the sample");
    let parts = usize::from(frame[10 + 7]);
    let part_len = frame.len() / parts;
    assert_eq!(frame.len(), parts * part_len, "all parts are there");
    for (part, bytes) in frame.chunks(part_len).enumerate() {
        assert_eq!((bytes[11], usize::from(bytes[16])), (layer, part), "part {part} is in its place");
        assert_eq!(bytes[12..16], frame[12..16], "all parts are of one frame");
    }
}

#[test]
fn the_first_picture_is_looked_at_at_once_and_then_one_in_each_interval() {
    let mut world = World::sampling(1, Some(EVERY));
    let (from, _) = one_to(&mut world, 1, 1, CLEAN);
    let face = world.people[from].tracks[1];
    world.run(Duration::from_millis(300));
    assert_eq!(samples(&world, face).len(), 1, "the stream's own first key frame is taken");
    world.run(secs(60));
    let count = samples(&world, face).len();
    assert!((11..=14).contains(&count), "{count} samples in a minute");
    for (layer, frame) in samples(&world, face) {
        assert_whole(layer, frame);
    }
    assert!(!is_unsampled(&world, face));
}

#[test]
fn nobody_looks_where_that_is_switched_off() {
    let mut world = World::new(2);
    let (from, _) = one_to(&mut world, 3, 1, CLEAN);
    world.run(secs(20));
    assert!(samples(&world, world.people[from].tracks[1]).is_empty());
}

#[test]
fn mostly_the_lowest_layer_and_sometimes_the_highest_forwarded_is_looked_at() {
    let mut world = World::sampling(3, Some(secs(1)));
    let (from, to) = one_to(&mut world, 3, 1, CLEAN);
    let face = world.people[from].tracks[1];
    world.view(to[0], &[(face, 640)]);
    world.run(secs(200));
    let mut layers = BTreeMap::<u8, usize>::new();
    for (layer, frame) in samples(&world, face).into_iter().skip(1) {
        assert_whole(layer, frame);
        *layers.entry(layer).or_default() += 1;
    }
    let (lowest, forwarded) = (layers[&0], layers[&1]);
    assert_eq!(layers.len(), 2, "the top layer is sent, but nobody gets it: {layers:?}");
    assert!(forwarded * 2 < lowest && forwarded * 8 > lowest, "about one in four: {layers:?}");
}

#[test]
fn key_frames_that_come_anyway_cost_no_request() {
    let mut world = World::sampling(4, Some(EVERY));
    let (from, _) = one_to(&mut world, 1, 1, CLEAN);
    let face = world.people[from].tracks[1];
    world.run(secs(2));
    let asked = world.shard.stats().plis_out;
    for _ in 0..60 {
        world.people[from].publisher.as_mut().expect("it publishes").begin_anew();
        world.run(Duration::from_millis(500));
    }
    assert_eq!(world.shard.stats().plis_out, asked, "none was asked for");
    assert!(samples(&world, face).len() >= 6);
}

#[test]
fn samples_are_whole_on_a_lossy_network() {
    for seed in [5, 6, 7] {
        let mut world = World::sampling(seed, Some(secs(1)));
        let (from, to) = one_to(&mut world, 3, 1, LOSSY);
        let face = world.people[from].tracks[1];
        world.view(to[0], &[(face, 1280)]);
        world.run(secs(60));
        let samples = samples(&world, face);
        assert!(samples.len() > 40, "seed {seed}: {} samples", samples.len());
        for (layer, frame) in samples {
            assert_whole(layer, frame);
        }
        assert!(!is_unsampled(&world, face), "seed {seed}");
    }
}

#[test]
fn a_publisher_that_ignores_requests_goes_unsampled_and_is_sampled_once_it_obeys() {
    let mut world = World::sampling(8, Some(EVERY));
    let (from, to) = one_to(&mut world, 3, 1, CLEAN);
    let face = world.people[from].tracks[1];
    world.view(to[0], &[(face, 320)]);
    world.run(secs(1));
    world.people[from].publisher.as_mut().expect("it publishes").obeys = false;
    world.run(secs(5) + Duration::from_millis(500));
    assert!(!is_unsampled(&world, face), "it has some time to answer");
    world.run(secs(3));
    assert!(is_unsampled(&world, face));
    let (before, asked) = (samples(&world, face).len(), world.shard.stats().plis_out);
    world.run(secs(60));
    let told = world.told.iter().filter(|event| matches!(event, Event::Unsampled { .. })).count();
    assert_eq!(told, 1, "it is told once");
    assert!(world.shard.stats().plis_out > asked, "it is still asked");
    world.people[from].publisher.as_mut().expect("it publishes").obeys = true;
    world.run(secs(5));
    assert!(samples(&world, face).len() > before, "and looked at as soon as it answers");
}

#[test]
fn nobody_gets_out_of_it_by_muting_again_and_again() {
    // Key frames of the top layer only, and a mute every two seconds: what viewers get is looked at all the same.
    let mut world = World::sampling(31, Some(secs(1)));
    let (from, to) = one_to(&mut world, 3, 1, CLEAN);
    let face = world.people[from].tracks[1];
    world.view(to[0], &[(face, 1280)]);
    world.run(secs(2));
    let before = samples(&world, face).len();
    for _ in 0..20 {
        let publisher = world.people[from].publisher.as_mut().expect("it publishes");
        (publisher.obeys, publisher.top_keyframes_only) = (true, true);
        world.run(secs(2));
        world.shard.mute(face, true);
        world.run(Duration::from_millis(100));
        world.shard.mute(face, false);
    }
    assert!(samples(&world, face).len() >= before + 8, "{} samples", samples(&world, face).len() - before);
    // No key frames at all: it is told, though no single stretch is long enough for three requests and two seconds.
    let mut world = World::sampling(32, Some(secs(1)));
    let (from, to) = one_to(&mut world, 1, 1, CLEAN);
    let face = world.people[from].tracks[1];
    world.view(to[0], &[(face, 320)]);
    world.run(secs(1));
    world.people[from].publisher.as_mut().expect("it publishes").obeys = false;
    for _ in 0..10 {
        world.run(secs(2));
        world.shard.mute(face, true);
        world.run(Duration::from_millis(100));
        world.shard.mute(face, false);
    }
    assert!(is_unsampled(&world, face));
}

#[test]
fn a_track_is_looked_at_as_soon_as_it_is_heard_of_again() {
    let mut world = World::sampling(9, Some(secs(30)));
    let (from, _) = one_to(&mut world, 1, 1, CLEAN);
    let face = world.people[from].tracks[1];
    world.run(secs(2));
    world.shard.mute(face, true);
    world.run(secs(2));
    assert_eq!(samples(&world, face).len(), 1, "nothing is looked at that nobody is shown");
    world.shard.mute(face, false);
    world.run(secs(2));
    assert_eq!(samples(&world, face).len(), 2);
    let now = world.now;
    world.shard.sample_now(now, face);
    world.run(secs(2));
    assert_eq!(samples(&world, face).len(), 3, "or when somebody asks");
    world.shard.sample_every(now, face, Some(secs(1)));
    world.run(secs(10));
    assert!(samples(&world, face).len() >= 10, "or more often");
    world.leave(from);
    world.run(secs(1));
    assert!(world.told.iter().any(|event| matches!(event, Event::Ended { track, .. } if *track == face)));
}

fn packets(world: &World, of: TrackId) -> Vec<&RecordedPacket> {
    let packets = world.recorded.iter().filter_map(|event| match event {
        RecordedEvent::Packet(packet) if packet.track == of => Some(packet),
        _ => None,
    });
    packets.collect()
}

#[test]
fn every_packet_of_the_highest_layer_and_the_voice_is_recorded_under_loss() {
    for seed in [11, 12, 13] {
        let mut world = World::new(seed);
        let (from, to) = one_to(&mut world, 3, 1, LOSSY);
        let [voice, face] = world.people[from].tracks;
        world.view(to[0], &[(face, 320)]);
        world.run(secs(1));
        world.shard.record(CALL, true);
        world.run(secs(20));
        world.shard.record(CALL, false);
        world.run(secs(2));
        let video = packets(&world, face);
        let first = video[0];
        assert!(first.keyframe_start, "seed {seed}: it begins with a key frame");
        assert!(video.iter().all(|packet| packet.stream == first.stream), "and stays in its layer");
        let layers: BTreeSet<u8> = video.iter().map(|packet| world.recorded_bytes[packet.payload.start + 17]).collect();
        assert_eq!(layers, BTreeSet::from([2]), "the highest one, though a lower one is watched");
        let last = video.iter().map(|packet| packet.index).max().expect("there are some");
        let indexes: BTreeSet<u64> = video.iter().map(|packet| packet.index).collect();
        assert_eq!(indexes.len(), video.len(), "each packet comes once");
        let settled = last - 200;
        let missing = (first.index..settled).filter(|index| !indexes.contains(index)).count();
        assert!(missing <= 2, "seed {seed}: {missing} of {} packets are missing", settled - first.index);
        assert!(video.len() > 1_800, "twenty seconds of four packets a frame");
        let heard = packets(&world, voice);
        assert!(heard.len() > 540, "{} voice packets", heard.len());
        assert!(heard.iter().all(|packet| packet.codec == Codec::Opus && packet.payload.len() == 3));
        // Both are on the publisher's clock: the same moment has the same time.
        let clock = |packet: &RecordedPacket, hz: i64, origin: u32| {
            let ms = i64::from(packet.timestamp.wrapping_sub(origin)) * 1_000 / hz;
            packet.captured_us.map(|captured_us| captured_us - ms * 1_000)
        };
        let [seen, sounded] =
            [clock(video[900], 90_000, 3_000_000), clock(heard[300], 48_000, 0)].map(|it| it.expect("reports came"));
        assert!((seen - sounded).abs() < 2_000, "seed {seed}: {} µs apart", seen - sounded);
    }
}

#[test]
fn a_recording_follows_the_layers_and_the_people() {
    let mut world = World::new(21);
    world.shard.record(CALL, true);
    let (from, _) = one_to(&mut world, 3, 1, CLEAN);
    let face = world.people[from].tracks[1];
    world.run(secs(3));
    world.people[from].publisher.as_mut().expect("it publishes").layers = 2;
    world.run(secs(4));
    world.people[from].publisher.as_mut().expect("it publishes").layers = 3;
    world.run(secs(4));
    let video = packets(&world, face);
    let mut streams: Vec<u64> = video.iter().map(|packet| packet.stream).collect();
    streams.dedup();
    // The layers' first packets come one after the other, lowest first: each is the highest for a moment.
    let streams = streams.split_off(2);
    assert_eq!(streams.len(), 3, "down and up again");
    for stream in &streams {
        let first = video.iter().find(|packet| packet.stream == *stream).expect("it has packets");
        assert!(first.keyframe_start);
    }
    assert_eq!(streams.iter().collect::<BTreeSet<_>>().len(), 3, "each time it is another stream");
    let guest = world.join(&[], 2, CLEAN);
    world.publish(guest, Publisher::new(9, 1, world.now));
    world.run(secs(1));
    let theirs = world.people[guest].tracks[1];
    assert!(packets(&world, theirs)[0].keyframe_start, "who comes later is recorded too");
    world.shard.mute(theirs, true);
    world.run(secs(1));
    let muted = packets(&world, theirs).len();
    world.run(secs(1));
    assert_eq!(packets(&world, theirs).len(), muted, "who is muted is not");
    world.leave(guest);
    world.run(Duration::from_millis(100));
    assert!(world.recorded.contains(&RecordedEvent::Ended(theirs)));
    world.shard.record(CALL, false);
    let count = world.recorded.len();
    world.run(secs(1));
    assert_eq!(world.recorded.len(), count, "it is over");
}

#[test]
fn a_recorder_that_takes_nothing_is_told_what_it_missed() {
    let mut world = World::new(22);
    world.shard.record(CALL, true);
    let (from, _) = one_to(&mut world, 3, 1, CLEAN);
    world.nobody_takes = true;
    world.run(secs(60));
    assert!(world.shard.recorded_bytes().is_some_and(|bytes| bytes <= 4 * 1024 * 1024), "memory has an end");
    world.nobody_takes = false;
    world.run(secs(1));
    let dropped = world.recorded.iter().find_map(|event| match event {
        RecordedEvent::Dropped(count) => Some(*count),
        _ => None,
    });
    assert!(dropped.is_some_and(|count| count > 100), "{dropped:?}");
    assert!(!packets(&world, world.people[from].tracks[1]).is_empty());
}

/// Whoever was silent for long goes on in step: the publisher's clock is known over links, too.
#[test]
fn sound_after_a_long_silence_on_a_spoke_is_dated_at_once() {
    let mut world = spread(641, 1, None);
    world.shard.record(CALL, true);
    let (publisher, _) = broadcast(&mut world, 1, 1, &[0]);
    world.run(secs(3));
    let publishes = |world: &mut World, level: u8| {
        world.people[publisher].publisher.as_mut().expect("it publishes").audio_level = level;
    };
    publishes(&mut world, 127);
    world.run(Duration::from_millis(12_300));
    let before = world.recorded.len();
    publishes(&mut world, 30);
    world.run(secs(2));
    let voice = world.people[publisher].tracks[0];
    let heard: Vec<bool> = world.recorded[before..]
        .iter()
        .filter_map(|event| match event {
            RecordedEvent::Packet(packet) if packet.track == voice => Some(packet.captured_us.is_some()),
            _ => None,
        })
        .collect();
    assert!(heard.len() > 40, "{} packets of sound", heard.len());
    assert!(heard.iter().all(|dated| *dated), "{} of them are dated", heard.iter().filter(|dated| **dated).count());
}
