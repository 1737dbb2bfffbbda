//! The VP8 payload descriptor (RFC 7741 §4.2): what a forwarder must know of a frame, and the two counters it must rewrite
//! so that a receiver sees one continuous stream after a switch of layer or of publisher.

/// The part of the frame that a packet carries; `None` when the payload is too short to be VP8.
#[must_use]
pub fn frame_of(payload: &[u8]) -> Option<&[u8]> {
    Descriptor::extent(payload).and_then(|at| payload.get(at..))
}

/// What one packet's descriptor says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Descriptor {
    /// The first packet of a key frame.
    pub keyframe_start: bool,
    /// Offset of the picture id in the payload, 0 when there is none.
    picture_id_at: u8,
    /// The picture id has 15 bits rather than 7.
    picture_id_wide: bool,
    /// Offset of TL0PICIDX in the payload, 0 when there is none.
    tl0_at: u8,
    /// The picture id as sent.
    pub picture_id: u16,
    /// The index of the last frame of the temporal base layer, as sent.
    pub tl0: u8,
    /// Temporal layer, 0 when not given.
    pub temporal_id: u8,
    /// Width and height in pixels, in the first packet of a key frame.
    pub dimensions: Option<(u16, u16)>,
}

impl Descriptor {
    /// The descriptor of a packet that has none, such as an audio packet.
    pub const EMPTY: Descriptor = Descriptor {
        keyframe_start: false,
        picture_id_at: 0,
        picture_id_wide: false,
        tl0_at: 0,
        picture_id: 0,
        tl0: 0,
        temporal_id: 0,
        dimensions: None,
    };

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
    pub fn parse(payload: &[u8]) -> Option<Descriptor> {
        let first = *payload.first()?;
        let mut descriptor = Descriptor::EMPTY;
        let mut at = 1;
        if first & 0x80 != 0 {
            let extensions = *payload.get(1)?;
            at = 2;
            if extensions & 0x80 != 0 {
                let high = *payload.get(at)?;
                descriptor.picture_id_at = u8::try_from(at).ok()?;
                descriptor.picture_id_wide = high & 0x80 != 0;
                if descriptor.picture_id_wide {
                    descriptor.picture_id = u16::from_be_bytes([high & 0x7f, *payload.get(at + 1)?]);
                    at += 2;
                } else {
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
                    descriptor.temporal_id = layers >> 6;
                }
                at += 1;
            }
        }
        // S = 1 and partition 0: the frame's own header follows, whose lowest bit is 0 for a key frame.
        let starts_frame = first & 0x10 != 0 && first & 0x07 == 0;
        let frame = payload.get(at..)?;
        if starts_frame && frame.first().is_some_and(|head| head & 1 == 0) {
            descriptor.keyframe_start = true;
            if frame.len() >= 10 && frame[3..6] == [0x9d, 0x01, 0x2a] {
                let side = |low: u8, high: u8| u16::from_le_bytes([low, high]) & 0x3fff;
                descriptor.dimensions = Some((side(frame[6], frame[7]), side(frame[8], frame[9])));
            }
        }
        Some(descriptor)
    }

    /// Writes the counters that the receiver of a slot expects into a copy of the payload.
    pub fn rewrite(&self, payload: &mut [u8], picture_id: u16, tl0: u8) {
        let at = usize::from(self.picture_id_at);
        if at != 0 {
            if self.picture_id_wide {
                payload[at] = 0x80 | (picture_id >> 8) as u8 & 0x7f;
                payload[at + 1] = picture_id as u8;
            } else {
                payload[at] = picture_id as u8 & 0x7f;
            }
        }
        if self.tl0_at != 0 {
            payload[usize::from(self.tl0_at)] = tl0;
        }
    }
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
        let descriptor = Descriptor::parse(&payload).unwrap();
        assert!(descriptor.keyframe_start);
        assert_eq!(descriptor.dimensions, Some((320, 180)));
        assert_eq!((descriptor.picture_id, descriptor.tl0, descriptor.temporal_id), (0x1234, 7, 1));
        descriptor.rewrite(&mut payload, 0x7fff, 200);
        let again = Descriptor::parse(&payload).unwrap();
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
        assert!(!Descriptor::parse(&payload).unwrap().keyframe_start);
        // A later packet of a key frame does not start it.
        let mut payload = keyframe();
        payload[0] &= !0x10;
        assert!(!Descriptor::parse(&payload).unwrap().keyframe_start);
    }

    proptest! {
        #[test]
        fn no_bytes_make_it_panic(mut bytes in proptest::collection::vec(any::<u8>(), 0..24), pid in any::<u16>(), tl0 in any::<u8>()) {
            if let Some(descriptor) = Descriptor::parse(&bytes) {
                descriptor.rewrite(&mut bytes, pid, tl0);
            }
        }
    }
}
