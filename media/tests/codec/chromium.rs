//! Beginnings of real streams: the encoder starts with its lowest layers and adds the others as its bandwidth estimate grows.

use parlor_media::Codec;
use parlor_media::codec::{Descriptor, Structure, describe};
use rtc_rtp::codec::vp9::Vp9Packet;
use rtc_rtp::packetizer::Depacketizer as _;

struct Packet {
    timestamp: u32,
    payload: Vec<u8>,
    frame: Descriptor,
    /// Layers that the stream had then.
    layers: (u8, u8),
}

const VP8: &str = include_str!("../../fixtures/packets/vp8-l1t3.txt");
const VP9: &str = include_str!("../../fixtures/packets/vp9-l3t3.txt");
const VP9_KEY: &str = include_str!("../../fixtures/packets/vp9-l3t3-key.txt");
const AV1: &str = include_str!("../../fixtures/packets/av1-l3t3.txt");
const AV1_KEY: &str = include_str!("../../fixtures/packets/av1-l3t3-key.txt");

fn hex(text: &str) -> Vec<u8> {
    text.as_bytes()
        .chunks(2)
        .map(|pair| {
            u8::from_str_radix(std::str::from_utf8(pair).expect("a fixture is text"), 16).expect("in hexadecimal")
        })
        .collect()
}

/// Reads a fixture as the shard would; without `dependencies`, as if that extension had not been negotiated.
fn read(codec: Codec, text: &str, dependencies: bool) -> (Vec<Packet>, Structure) {
    let mut structure = Structure::default();
    let packets = text.lines().filter(|line| !line.starts_with('#')).map(|line| {
        let words: Vec<&str> = line.split(' ').collect();
        let [marker, timestamp, dependency, payload] = words[..] else { panic!("{line}") };
        let dependency = if dependency == "-" || !dependencies { Vec::new() } else { hex(dependency) };
        let payload = hex(payload);
        let frame = describe(codec, marker == "1", &payload, &dependency, &mut structure).expect("a real packet");
        let layers = (structure.spatial_layers, structure.temporal_layers);
        Packet { timestamp: timestamp.parse().expect("a number"), payload, frame, layers }
    });
    (packets.collect(), structure)
}

/// Whether the picture with this timestamp is a key picture.
fn is_key(packets: &[Packet], timestamp: u32) -> bool {
    packets.iter().any(|packet| packet.timestamp == timestamp && packet.frame.keyframe_start)
}

/// In key mode, layers refer to each other in key pictures alone; else a receiver needs all layers up to its own.
fn check_needs(packets: &[Packet], key_mode: bool) {
    for packet in packets {
        let Packet { frame, layers, .. } = packet;
        let key = is_key(packets, packet.timestamp);
        for wanted in 0..layers.0 {
            for rate in 0..3 {
                let below = if key_mode && !key { frame.spatial == wanted } else { frame.spatial <= wanted };
                let expected = below && frame.temporal <= rate;
                assert_eq!(frame.is_needed(wanted, rate), expected, "{frame:?} for {wanted} {rate}");
            }
        }
        // Where all layers refer to each other, the encoder adds one without a key picture.
        let adds = !key_mode && frame.spatial > 0 && frame.frame_start;
        assert!(frame.spatial_switch == (key && frame.frame_start) || adds, "{frame:?}");
    }
}

fn check_frames(packets: &[Packet]) {
    assert!(packets[0].frame.keyframe_start && packets[0].frame.lifts_to(2));
    for pair in packets.windows(2) {
        let (one, next) = (&pair[0].frame, &pair[1].frame);
        assert_eq!(one.frame_end, next.frame_start, "{one:?} {next:?}");
    }
    assert!(packets.iter().any(|packet| packet.frame.temporal == 2));
}

#[test]
fn svc_in_av1_is_needed_as_its_dependency_descriptors_say() {
    for (text, key_mode) in [(AV1, false), (AV1_KEY, true)] {
        let (packets, structure) = read(Codec::Av1, text, true);
        check_frames(&packets);
        check_needs(&packets, key_mode);
        assert_eq!((structure.spatial_layers, structure.temporal_layers), (3, 3));
        assert_eq!(structure.sizes[..3], [(320, 180), (640, 360), (1280, 720)]);
        let numbers: Vec<u16> =
            packets.iter().filter(|packet| packet.frame.frame_start).map(|packet| packet.frame.picture_id).collect();
        assert!(numbers.windows(2).all(|two| two[1] == two[0] + 1), "{numbers:?}");
        // Whoever has the base layer may go up with each of its frames.
        assert!(packets.iter().filter(|packet| packet.frame.temporal == 0).all(|packet| packet.frame.lifts_to(2)));
    }
}

#[test]
fn svc_in_av1_is_understood_without_that_extension() {
    let (packets, structure) = read(Codec::Av1, AV1, false);
    let (described, _) = read(Codec::Av1, AV1, true);
    for (packet, described) in packets.iter().zip(&described) {
        let (plain, told) = (&packet.frame, &described.frame);
        assert_eq!(plain.keyframe_start, told.keyframe_start);
        if plain.frame_start {
            assert!(told.frame_start && (plain.spatial, plain.temporal) == (told.spatial, told.temporal));
        }
    }
    assert_eq!((structure.spatial_layers, structure.temporal_layers), (3, 3));
}

#[test]
fn svc_in_vp9_is_needed_as_its_flags_say() {
    for (text, key_mode) in [(VP9, false), (VP9_KEY, true)] {
        let (packets, structure) = read(Codec::Vp9, text, false);
        check_frames(&packets);
        check_needs(&packets, key_mode);
        assert_eq!((structure.spatial_layers, structure.temporal_layers), (3, 3));
        assert_eq!(structure.sizes[..3], [(320, 180), (640, 360), (1280, 720)]);
    }
}

#[test]
fn no_frame_of_vp9_that_is_passed_on_refers_to_one_that_is_not() {
    for text in [VP9, VP9_KEY] {
        let (packets, _) = read(Codec::Vp9, text, false);
        for wanted in 0..3u8 {
            for rate in 0..3u8 {
                let mut passed = Vec::new();
                for packet in packets.iter().filter(|packet| packet.frame.is_needed(wanted, rate)) {
                    let mut read = Vp9Packet::default();
                    read.depacketize(&packet.payload.clone().into()).expect("another implementation reads it");
                    let (frame, id) = (&packet.frame, packet.frame.picture_id);
                    assert_eq!((read.picture_id, read.tid, read.sid), (id, frame.temporal, frame.spatial));
                    if !frame.frame_start {
                        continue;
                    }
                    for difference in &read.pdiff {
                        assert!(passed.contains(&(id - u16::from(*difference), frame.spatial)), "{frame:?}");
                    }
                    assert_eq!(frame.spatial_switch, read.pdiff.is_empty(), "{frame:?}");
                    if read.d {
                        assert!(passed.contains(&(id, frame.spatial - 1)), "{frame:?}");
                    }
                    passed.push((id, frame.spatial));
                }
            }
        }
    }
}

#[test]
fn temporal_layers_of_vp8_are_as_they_say() {
    let (packets, structure) = read(Codec::Vp8, VP8, false);
    assert_eq!((structure.spatial_layers, structure.temporal_layers), (1, 3));
    assert_eq!(packets[0].frame.dimensions, Some((320, 180)));
    for Packet { frame, .. } in &packets {
        for rate in 0..3 {
            assert_eq!(frame.is_needed(0, rate), frame.temporal <= rate, "{frame:?}");
        }
        assert!(!frame.keyframe_start || frame.lifts_to(2));
    }
    assert!(packets[1..].iter().any(|packet| packet.frame.temporal == 1 && packet.frame.lifts_to(1)));
}
