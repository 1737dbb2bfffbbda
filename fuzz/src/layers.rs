//! Pictures in layers: payloads of VP9 and AV1, and the dependency descriptors in front of those.

use parlor_media::Codec;
use parlor_media::codec::{Descriptor, MOST_SPATIAL, MOST_TEMPORAL, Structure, av1, describe, vp9};

/// What holds for everything that was read.
fn check(frame: &Descriptor, structure: &Structure) {
    assert!(frame.spatial < MOST_SPATIAL && frame.temporal < MOST_TEMPORAL);
    assert!((1..=MOST_SPATIAL).contains(&structure.spatial_layers));
    assert!((1..=MOST_TEMPORAL).contains(&structure.temporal_layers));
    assert!(!frame.keyframe_start || frame.frame_start && frame.spatial_switch && frame.lifts_to(0));
}

/// A payload of VP9. Other counters in it change nothing else.
pub fn vp9_payload(data: &[u8]) {
    let mut structure = Structure::default();
    let Some(frame) = describe(Codec::Vp9, false, data, &[], &mut structure) else { return };
    check(&frame, &structure);
    let mut rewritten = data.to_vec();
    frame.rewrite(&mut rewritten, 0x2a2a, 42);
    let again = describe(Codec::Vp9, false, &rewritten, &[], &mut structure).expect("what was written can be read");
    assert_eq!((again.spatial, again.temporal, again.frame_start), (frame.spatial, frame.temporal, frame.frame_start));
    assert_eq!(vp9::frame_of(&rewritten), vp9::frame_of(data), "the frame itself is as it was");
    let _ = vp9::frame_of(data).map(vp9::dimensions);
}

/// Packets of one stream of AV1, each as a length and a dependency descriptor, and a length and a payload.
pub fn av1_stream(data: &[u8]) {
    let (mut structure, mut pictures) = (Structure::default(), av1::Assembly::default());
    let (mut rest, mut bytes) = (data, 0);
    while let Some((dependency, behind)) = piece(rest) {
        let Some((payload, behind)) = piece(behind) else { return };
        rest = behind;
        if let Some(frame) = describe(Codec::Av1, false, payload, dependency, &mut structure) {
            check(&frame, &structure);
            let mut rewritten = dependency.to_vec();
            frame.rewrite_dependency(&mut rewritten, 0x2a2a);
            let again = describe(Codec::Av1, false, payload, &rewritten, &mut structure).expect("a payload still");
            assert_eq!((again.spatial, again.temporal), (frame.spatial, frame.temporal));
            assert!(dependency.len() < 3 || again.picture_id == 0x2a2a);
        }
        bytes += payload.len();
        if !pictures.push(payload) {
            pictures.lose();
        }
        assert!(pictures.len() <= 2 * bytes, "no more than a length is added to each unit");
        let _ = pictures.configuration();
    }
}

fn piece(data: &[u8]) -> Option<(&[u8], &[u8])> {
    let (len, behind) = data.split_first()?;
    behind.split_at_checked(usize::from(*len))
}
