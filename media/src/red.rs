//! Redundant audio (RFC 2198): the newest frame of a voice, with older ones in front of it for a receiver that has lost them.
//!
//! A payload is a row of block headers, then the blocks in the same order, the newest — the primary — last. Each header names the
//! block's payload type under the sender's numbers, so a receiver with other numbers needs them rewritten.

/// Blocks of one payload at most. Chromium repeats one older frame by default and nine when asked to.
const MOST_BLOCKS: usize = 16;
/// Header bytes of an older block: a bit that says another one follows, payload type, timestamp offset (14 bits), length (10 bits).
const OLDER_LEN: usize = 4;
/// More headers follow.
const MORE: u8 = 0x80;

/// Where the primary block begins in a payload whose blocks are all of `payload_type`; `None` when its lengths lie, when it holds
/// something else, or when there is no primary block in it.
#[must_use]
pub fn primary_at(payload: &[u8], payload_type: u8) -> Option<usize> {
    let (mut at, mut older) = (0, 0);
    for _ in 0..MOST_BLOCKS {
        let head = *payload.get(at)?;
        if head & !MORE != payload_type {
            return None;
        }
        if head & MORE == 0 {
            let primary = at + 1 + older;
            return (primary < payload.len()).then_some(primary);
        }
        let &[_, _, high, low] = payload.get(at..at + OLDER_LEN)? else { return None };
        older += usize::from(u16::from_be_bytes([high, low]) & 0x03ff);
        at += OLDER_LEN;
    }
    None
}

/// Names another payload type in every block header. The payload is one that [`primary_at`] has found in order.
pub fn rename(payload: &mut [u8], payload_type: u8) {
    let mut at = 0;
    for _ in 0..MOST_BLOCKS {
        let Some(head) = payload.get_mut(at) else { return };
        let more = *head & MORE;
        *head = more | payload_type & !MORE;
        if more == 0 {
            return;
        }
        at += OLDER_LEN;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn payload(older: &[&[u8]], primary: &[u8]) -> Vec<u8> {
        let mut payload = Vec::new();
        for (place, block) in older.iter().enumerate() {
            let offset = 960 * (older.len() - place) as u16;
            payload.extend_from_slice(&[MORE | 111, (offset >> 6) as u8]);
            payload.extend_from_slice(&[((offset << 2) as u8) | (block.len() >> 8) as u8, block.len() as u8]);
        }
        payload.push(111);
        older.iter().for_each(|block| payload.extend_from_slice(block));
        payload.extend_from_slice(primary);
        payload
    }

    #[test]
    fn finds_the_newest_frame_behind_the_older_ones() {
        for older in [&[][..], &[&[1; 300][..]], &[&[1; 20][..], &[2; 1_000]]] {
            let red = payload(older, &[7; 50]);
            let at = primary_at(&red, 111).expect("in order");
            assert_eq!(&red[at..], [7; 50]);
            assert_eq!(primary_at(&red, 109), None, "under another number it is something else");
        }
    }

    #[test]
    fn what_lies_is_refused() {
        assert_eq!(primary_at(&[], 111), None);
        assert_eq!(primary_at(&[111], 111), None, "no primary block");
        assert_eq!(primary_at(&payload(&[&[1; 9]], &[]), 111), None, "an empty primary block");
        let red = payload(&[&[1; 9]], &[2; 9]);
        for len in 0..red.len() - 9 {
            assert_eq!(primary_at(&red[..len], 111), None, "cut after {len} bytes");
        }
        assert_eq!(primary_at(&[MORE | 111, 0, 0, 0].repeat(300), 111), None, "headers without end");
    }

    #[test]
    fn every_block_gets_the_receivers_number() {
        let mut red = payload(&[&[1; 20], &[2; 30]], &[3; 40]);
        let before = primary_at(&red, 111).expect("in order");
        rename(&mut red, 96);
        assert_eq!(primary_at(&red, 96), Some(before));
        assert_eq!(&red[before..], [3; 40], "the frames are untouched");
    }

    proptest! {
        #[test]
        fn no_bytes_make_it_panic(mut bytes in proptest::collection::vec(any::<u8>(), 0..200), payload_type in any::<u8>()) {
            if let Some(at) = primary_at(&bytes, payload_type) {
                prop_assert!(at < bytes.len());
            }
            rename(&mut bytes, payload_type);
        }

        #[test]
        fn what_is_put_in_is_found(blocks in proptest::collection::vec(proptest::collection::vec(any::<u8>(), 0..1_000), 0..9), primary in proptest::collection::vec(any::<u8>(), 1..200)) {
            let older: Vec<&[u8]> = blocks.iter().map(Vec::as_slice).collect();
            let red = payload(&older, &primary);
            let at = primary_at(&red, 111);
            prop_assert_eq!(at.map(|at| &red[at..]), Some(&primary[..]));
        }
    }
}
