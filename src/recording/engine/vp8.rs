//! VP8 in RTP (RFC 7741): what of a payload belongs to the frame.

/// The part of a frame that a payload carries, and whether the frame begins with it; `None`: the payload is none of VP8.
pub fn part(payload: &[u8]) -> Option<(bool, &[u8])> {
    // The descriptor's first byte: X (extensions), R, N, S (a partition starts), R, the partition's number in three bits.
    let first = *payload.first()?;
    let mut at = 1;
    if first & 0x80 != 0 {
        // I (picture id of one or two bytes), L (TL0PICIDX), T and K (one byte for both).
        let extensions = *payload.get(1)?;
        at = 2;
        if extensions & 0x80 != 0 {
            at += if payload.get(2)? & 0x80 != 0 { 2 } else { 1 };
        }
        at += usize::from(extensions & 0x40 != 0) + usize::from(extensions & 0x30 != 0);
    }
    let part = payload.get(at..).filter(|part| !part.is_empty())?;
    Some((first & 0x17 == 0x10, part))
}

/// Whether a frame that begins like this is a key frame (RFC 6386 §9.1).
pub fn is_key(frame: &[u8]) -> bool {
    frame.first().is_some_and(|first| first & 1 == 0)
}

/// Width and height in pixels that a key frame names; `None`: it is damaged.
pub fn dimensions(frame: &[u8]) -> Option<(u16, u16)> {
    let head = frame.first_chunk::<10>().filter(|head| head[3..6] == [0x9d, 0x01, 0x2a])?;
    let side = |low: u8, high: u8| u16::from_le_bytes([low, high]) & 0x3fff;
    Some((side(head[6], head[7]), side(head[8], head[9]))).filter(|(width, height)| *width > 0 && *height > 0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_descriptor_is_taken_off() {
        // S, partition 0; nothing else.
        assert_eq!(part(&[0x10, 1, 2]), Some((true, &[1, 2][..])));
        // A later partition's start is no frame's start, nor is a continued one.
        assert_eq!(part(&[0x11, 1]), Some((false, &[1][..])));
        assert_eq!(part(&[0x00, 1]), Some((false, &[1][..])));
        // X; I, L, T, K; a picture id of 15 bits.
        assert_eq!(part(&[0x90, 0xf0, 0x92, 0x34, 7, 0x40, 9]), Some((true, &[9][..])));
        // A picture id of 7 bits.
        assert_eq!(part(&[0x90, 0x80, 0x12, 9]), Some((true, &[9][..])));
        for short in [&[][..], &[0x10], &[0x90], &[0x90, 0xf0, 0x92, 0x34, 7, 0x40]] {
            assert_eq!(part(short), None);
        }
    }

    #[test]
    fn a_key_frame_names_its_size() {
        let frame = [0x10, 0, 0, 0x9d, 0x01, 0x2a, 0x40, 0x01, 0xb4, 0x00];
        assert!(is_key(&frame));
        assert_eq!(dimensions(&frame), Some((320, 180)));
        assert_eq!(dimensions(&frame[..9]), None);
        assert_eq!(dimensions(&[0x10, 0, 0, 0x9d, 0x01, 0x2a, 0, 0, 0xb4, 0x00]), None);
        assert!(!is_key(&[0x11]));
    }

    proptest! {
        #[test]
        fn no_bytes_make_it_panic(bytes in prop::collection::vec(any::<u8>(), 0..24)) {
            if let Some((_, part)) = part(&bytes) {
                let _ = (is_key(part), dimensions(part));
            }
        }
    }
}
