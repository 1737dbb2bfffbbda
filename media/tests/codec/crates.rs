//! Payloads that another implementation makes and takes apart.

use bytes::Bytes;
use parlor_media::Codec;
use parlor_media::codec::{Structure, av1, describe, vp9};
use proptest::prelude::*;
use rtc_rtp::codec::av1::{Av1Depacketizer, Av1Payloader};
use rtc_rtp::codec::vp9::Vp9Payloader;
use rtc_rtp::packetizer::{Depacketizer as _, Payloader as _};

/// An OBU of this kind without a size, and with one.
fn obu(kind: u8, content: &[u8], sized: bool) -> Vec<u8> {
    let mut obu = vec![kind << 3 | if sized { 2 } else { 0 }];
    if sized {
        let mut left = content.len();
        while left >= 0x80 {
            obu.push(left as u8 | 0x80);
            left >>= 7;
        }
        obu.push(left as u8);
    }
    obu.extend_from_slice(content);
    obu
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn a_picture_of_av1_survives_its_packets(
        contents in proptest::collection::vec(proptest::collection::vec(any::<u8>(), 1..2_000), 1..4),
        mtu in 60usize..1_300,
    ) {
        let picture: Vec<u8> = contents.iter().flat_map(|content| obu(6, content, true)).collect();
        let packets = Av1Payloader::default().payload(mtu, &Bytes::from(picture.clone())).expect("a picture");
        let (mut ours, mut theirs) = (av1::Assembly::default(), Vec::new());
        let mut depacketizer = Av1Depacketizer::default();
        for payload in &packets {
            prop_assert!(describe(Codec::Av1, false, payload, &[], &mut Structure::default()).is_some());
            prop_assert!(ours.push(payload));
            theirs.extend_from_slice(&depacketizer.depacketize(payload).expect("its own packets"));
        }
        let mut whole = Vec::new();
        prop_assert!(ours.take(&mut whole), "all packets came");
        prop_assert_eq!(&whole, &picture);
        prop_assert_eq!(whole, theirs);
    }

    #[test]
    fn a_picture_of_vp9_survives_its_packets(
        content in proptest::collection::vec(any::<u8>(), 1..6_000),
        mtu in 40usize..1_300,
    ) {
        // A key frame of profile 0, 640×480.
        let mut picture = vec![0x82, 0x49, 0x83, 0x42, 0x20, 0x27, 0xf0, 0x1d, 0xf0];
        picture.extend_from_slice(&content);
        let packets = Vp9Payloader::default().payload(mtu, &Bytes::from(picture.clone())).expect("a picture");
        let mut whole = Vec::new();
        for (at, payload) in packets.iter().enumerate() {
            let last = at + 1 == packets.len();
            let frame = describe(Codec::Vp9, last, payload, &[], &mut Structure::default()).expect("a payload");
            prop_assert_eq!((frame.frame_start, frame.frame_end), (at == 0, last));
            if at == 0 {
                prop_assert!(frame.keyframe_start);
                prop_assert_eq!(frame.dimensions, Some((640, 480)));
            }
            whole.extend_from_slice(vp9::frame_of(payload).expect("a payload"));
        }
        prop_assert_eq!(whole, picture);
    }
}
