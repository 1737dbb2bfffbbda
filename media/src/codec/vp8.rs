//! The VP8 payload descriptor (RFC 7741 §4.2): what a forwarder must know of a frame, and the two counters it must rewrite
//! so that a receiver sees one continuous stream after a switch of layer or of publisher.

use super::{Descriptor, Width};

/// The part of the frame that a packet carries; `None` when the payload is too short to be VP8.
#[must_use]
pub fn frame_of(payload: &[u8]) -> Option<&[u8]> {
    extent(payload).and_then(|at| payload.get(at..))
}

/// The length of a payload's descriptor.
fn extent(payload: &[u8]) -> Option<usize> {
    if payload.first()? & 0x80 == 0 {
        return Some(1);
    }
    let extensions = *payload.get(1)?;
    let wide = extensions & 0x80 != 0 && payload.get(2)? & 0x80 != 0;
    let bytes = [extensions & 0x80 != 0, wide, extensions & 0x40 != 0, extensions & 0x30 != 0];
    Some(2 + bytes.into_iter().filter(|there| *there).count())
}

/// Reads the descriptor of a packet's payload; `None` when the payload is too short to be VP8.
#[must_use]
pub fn describe(payload: &[u8]) -> Option<Descriptor> {
    let first = *payload.first()?;
    let mut descriptor = Descriptor::EMPTY;
    let mut at = 1;
    let mut synchronises = false;
    if first & 0x80 != 0 {
        let extensions = *payload.get(1)?;
        at = 2;
        if extensions & 0x80 != 0 {
            let high = *payload.get(at)?;
            descriptor.picture_id_at = 2;
            if high & 0x80 != 0 {
                descriptor.picture_id_width = Width::Bits15;
                descriptor.picture_id = u16::from_be_bytes([high & 0x7f, *payload.get(at + 1)?]);
                at += 2;
            } else {
                descriptor.picture_id_width = Width::Bits7;
                descriptor.picture_id = u16::from(high);
                at += 1;
            }
        }
        if extensions & 0x40 != 0 {
            descriptor.tl0_at = u8::try_from(at).ok()?;
            descriptor.tl0 = *payload.get(at)?;
            at += 1;
        }
        if extensions & 0x30 != 0 {
            let layers = *payload.get(at)?;
            if extensions & 0x20 != 0 {
                descriptor.temporal = layers >> 6;
                synchronises = layers & 0x20 != 0;
            }
            at += 1;
        }
    }
    descriptor.needed_from_temporal();
    // S = 1 and partition 0: the frame's own header follows, whose lowest bit is 0 for a key frame.
    descriptor.frame_start = first & 0x10 != 0 && first & 0x07 == 0;
    let frame = payload.get(at..)?;
    if descriptor.frame_start && frame.first().is_some_and(|head| head & 1 == 0) {
        (descriptor.keyframe_start, descriptor.spatial_switch) = (true, true);
        descriptor.lifts = u8::MAX;
        if frame.len() >= 10 && frame[3..6] == [0x9d, 0x01, 0x2a] {
            let side = |low: u8, high: u8| u16::from_le_bytes([low, high]) & 0x3fff;
            descriptor.dimensions = Some((side(frame[6], frame[7]), side(frame[8], frame[9])));
        }
    } else if synchronises {
        // The frame depends on the base layer alone (RFC 7741 §4.2, Y). Of other layers between that says nothing.
        descriptor.lifts = 1 << descriptor.temporal;
    }
    Some(descriptor)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn keyframe() -> Vec<u8> {
        // X, S; I, L, T; 15-bit picture id 0x1234; TL0PICIDX 7; TID 1; then a key frame of 320×180.
        let mut payload = vec![0x90, 0xe0, 0x92, 0x34, 7, 0x40];
        payload.extend_from_slice(&[0x10, 0, 0, 0x9d, 0x01, 0x2a, 0x40, 0x01, 0xb4, 0x00, 1, 2, 3]);
        payload
    }

    #[test]
    fn reads_and_rewrites_counters() {
        let mut payload = keyframe();
        let descriptor = describe(&payload).unwrap();
        assert!(descriptor.keyframe_start);
        assert_eq!(descriptor.dimensions, Some((320, 180)));
        assert_eq!((descriptor.picture_id, descriptor.tl0, descriptor.temporal), (0x1234, 7, 1));
        descriptor.rewrite(&mut payload, 0x7fff, 200);
        let again = describe(&payload).unwrap();
        assert_eq!((again.picture_id, again.tl0), (0x7fff, 200));
        assert_eq!(&payload[5..], &keyframe()[5..]);
        assert_eq!(frame_of(&payload), Some(&keyframe()[6..]));
        assert_eq!(frame_of(&[0x10, 1, 2]), Some(&[1, 2][..]));
        assert_eq!(frame_of(&[0x90]), None);
    }

    #[test]
    fn an_interframe_is_no_keyframe() {
        let mut payload = keyframe();
        payload[6] |= 1;
        assert!(!describe(&payload).unwrap().keyframe_start);
        // A later packet of a key frame does not start it.
        let mut payload = keyframe();
        payload[0] &= !0x10;
        assert!(!describe(&payload).unwrap().keyframe_start);
    }

    #[test]
    fn temporal_layers_are_left_out_from_above() {
        let packet = |layers: u8| describe(&[0x90, 0xe0, 0x80, 1, 7, layers, 0x11, 0]).unwrap();
        let (base, middle, sync) = (packet(0), packet(0x40), packet(0x80 | 0x20));
        assert!(base.is_needed(0, 0) && base.is_needed(0, 2) && !base.lifts_to(1));
        assert!(!middle.is_needed(0, 0) && middle.is_needed(0, 1) && middle.is_needed(0, 2));
        assert!(!sync.is_needed(0, 1) && sync.is_needed(0, 2) && sync.lifts_to(2) && !sync.lifts_to(1));
        assert!((0..4).all(|temporal| describe(&keyframe()).unwrap().lifts_to(temporal)));
    }

    proptest! {
        #[test]
        fn no_bytes_make_it_panic(mut bytes in proptest::collection::vec(any::<u8>(), 0..24), pid in any::<u16>(), tl0 in any::<u8>()) {
            if let Some(descriptor) = describe(&bytes) {
                descriptor.rewrite(&mut bytes, pid, tl0);
            }
        }
    }
}
