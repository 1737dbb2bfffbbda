//! Clients that have no VP8: their pictures go to those who can see them.

use std::time::Duration;

use parlor_media::client::{Frame, Line, numbers};
use parlor_media::{Codec, Event, RecordedEvent};

use crate::secs;
use crate::world::{CALL, CLEAN, Link, World};

/// A parameter set of 640×480 and a picture parameter set, aggregated.
const PARAMETERS: [u8; 21] =
    [24, 0, 13, 0x67, 0x42, 0xc0, 0x1f, 0x8c, 0x8d, 0x40, 0x50, 0x1e, 0xd0, 0x0f, 0x08, 0x84, 0, 3, 0x68, 0xce, 0x3c];

/// Sends a second of pictures, the first of them a key frame, and answers NACKs and key frame requests as it goes.
fn film(world: &mut World, from: usize, picture: &mut u32, pictures: u32) {
    for at in 0..pictures {
        let key = at == 0;
        let client = &mut world.people[from].client;
        let mut send = |payload: &[u8], marker: bool| {
            let frame = Frame { timestamp: *picture * 3_000, marker, payload, ..Frame::default() };
            client.send_rtp(1, 0, frame).expect("connected");
        };
        if key {
            send(&PARAMETERS, false);
            send(&[0x7c, 0x85, 1, 2, 3], false);
            send(&[0x7c, 0x45, 4, 5, 6], true);
        } else {
            send(&[0x41, *picture as u8, 7], true);
        }
        *picture += 1;
        world.run(Duration::from_millis(33));
    }
}

fn cast(link: Link, seed: u64) -> (World, [usize; 3]) {
    let mut world = World::sampling(seed, Some(secs(1)));
    let from = world.join_with(CALL, Line::H264, false, 2, link);
    let sees = world.join_with(CALL, Line::video(), true, 2, link);
    let blind = world.join_with(CALL, Line::video(), false, 2, link);
    (world, [from, sees, blind])
}

#[test]
fn h264_goes_to_those_who_can_see_it() {
    let (mut world, [from, sees, blind]) = cast(CLEAN, 1);
    world.shard.record(CALL, true);
    let face = world.people[from].tracks[1];
    let mut picture = 0;
    film(&mut world, from, &mut picture, 30);
    film(&mut world, from, &mut picture, 30);
    film(&mut world, from, &mut picture, 30);
    let shown = world.people[sees].showing(face).expect("a slot shows it");
    assert!(shown.packets.len() > 60, "{} packets", shown.packets.len());
    assert!(shown.packets.values().all(|got| got.payload_type == numbers::H264), "under the receiver's number");
    assert!(world.people[blind].showing(face).is_none(), "who has no H.264 is shown nothing");
    let sample = world.told.iter().find_map(|event| match event {
        Event::Sampled { track, codec: Codec::H264, frame, .. } if *track == face => Some(frame.clone()),
        _ => None,
    });
    let set = &PARAMETERS[3..16];
    let expected =
        [&[0, 0, 0, 1], set, &[0, 0, 0, 1, 0x68, 0xce, 0x3c], &[0, 0, 0, 1, 0x65, 1, 2, 3, 4, 5, 6]].concat();
    assert_eq!(sample.as_deref(), Some(&expected[..]), "samples are whole, in Annex B");
    let recorded = world.recorded.iter().filter_map(|event| match event {
        RecordedEvent::Packet(packet) if packet.track == face => Some(packet),
        _ => None,
    });
    let recorded: Vec<_> = recorded.collect();
    assert!(recorded[0].keyframe_start && recorded.iter().all(|packet| packet.codec == Codec::H264));
    assert_eq!(recorded.len(), 3 * 32);
}

#[test]
fn a_slot_changes_between_codecs_without_a_break() {
    let (mut world, [from, sees, other]) = cast(CLEAN, 2);
    let [face, second] = [from, other].map(|place| world.people[place].tracks[1]);
    let publisher = crate::publisher::Publisher::new(9, 1, world.now);
    world.publish(other, publisher);
    let mut picture = 0;
    film(&mut world, from, &mut picture, 10);
    for (track, number) in [(face, numbers::H264), (second, numbers::VP8), (face, numbers::H264)] {
        world.view(sees, &[(track, 640)]);
        film(&mut world, from, &mut picture, 30);
        film(&mut world, from, &mut picture, 10);
        let got = world.people[sees].showing(track).expect("the slot follows");
        assert_eq!(got.packets.values().next_back().map(|got| got.payload_type), Some(number));
    }
    for receiver in world.people[sees].video() {
        let numbers: Vec<u64> = receiver.packets.keys().copied().collect();
        assert!(numbers.windows(2).all(|two| two[1] == two[0] + 1), "no number is left out");
    }
}

#[test]
fn an_operator_who_cannot_look_at_h264_gets_none() {
    use parlor_media::sdp::{CodecName, Offer, SdpError};
    let mut world = World::new(3);
    let place = world.join_with(CALL, Line::H264, true, 2, CLEAN);
    let offer = Offer::parse(&world.people[place].client.offer()).expect("a good offer");
    assert!(offer.media[1].codec().is_some());
    let without = offer.allowing(&[CodecName::Vp8]).expect("voices are left");
    assert!(without.media[1].codec().is_none());
    assert!(without.slots().all(|(_, slot)| slot.codecs.iter().all(|codec| codec.name != CodecName::H264)));
    let lone = "v=0\r\no=- 1 1 IN IP4 0.0.0.0\r\ns=-\r\nt=0 0\r\na=group:BUNDLE 0\r\na=ice-ufrag:abcd\r\n\
        a=ice-pwd:abcdefghijklmnopqrstuvwx\r\nm=video 9 UDP/TLS/RTP/SAVPF 100\r\na=mid:0\r\na=rtcp-mux\r\na=sendonly\r\n\
        a=rtpmap:100 H264/90000\r\na=fmtp:100 packetization-mode=1;profile-level-id=42E01F\r\n";
    let fingerprint = format!("a=fingerprint:sha-256 {}\r\n", ["AB"; 32].join(":"));
    let lone = lone.replace("m=video", &format!("{fingerprint}m=video"));
    let offer = Offer::parse(&lone).expect("H.264 alone is an offer");
    assert_eq!(offer.media[0].codec().map(|codec| codec.fmtp.as_str()), Some("42E01F"));
    assert_eq!(offer.allowing(&[CodecName::Vp8]), Err(SdpError::UnsupportedCodecs));
    for unfit in ["packetization-mode=0;profile-level-id=42E01F", "packetization-mode=1;profile-level-id=640032"] {
        let text = lone.replace("packetization-mode=1;profile-level-id=42E01F", unfit);
        assert_eq!(Offer::parse(&text), Err(SdpError::UnsupportedCodecs), "{unfit}");
    }
}
