//! Payloads that look like Opus and VP8 as far as a forwarder looks, and end with a mark that names publisher and packet.

use bytes::Bytes;

/// Tells our payloads from anything else.
const MAGIC: [u8; 4] = *b"PRLR";
/// As long as a small packet of a real encoder.
const BODY: usize = 120;

/// The end of a payload.
pub(super) type Mark = [u8; 12];

pub(super) fn mark(publisher: u32, counter: u32) -> Mark {
    let mut mark = [0; 12];
    mark[..4].copy_from_slice(&MAGIC);
    mark[4..8].copy_from_slice(&publisher.to_be_bytes());
    mark[8..].copy_from_slice(&counter.to_be_bytes());
    mark
}

/// The publisher and the counter in a payload.
pub(super) fn read(payload: &[u8]) -> Option<(u32, u32)> {
    let (_, mark) = payload.split_last_chunk::<12>()?;
    let number = |bytes: &[u8]| bytes.try_into().ok().map(u32::from_be_bytes);
    if mark[..4] == MAGIC { number(&mark[4..8]).zip(number(&mark[8..])) } else { None }
}

/// A packet of 20 ms (RFC 6716: configuration 31, one frame).
pub(super) fn opus(mark: &Mark) -> Bytes {
    [&[0xf8][..], &[0x55; BODY], mark].concat().into()
}

/// A packet of a picture of 320 × 180, with a picture id of 15 bits (RFC 7741).
pub(super) fn vp8(picture: u16, keyframe: bool, first: bool, mark: &Mark) -> Bytes {
    let [high, low] = picture.to_be_bytes();
    let descriptor = [if first { 0x90 } else { 0x80 }, 0x80, 0x80 | high, low];
    let head: &[u8] = match (first, keyframe) {
        (true, true) => &[0x10, 0, 0, 0x9d, 0x01, 0x2a, 0x40, 0x01, 0xb4, 0x00],
        (true, false) => &[0x11, 0, 0],
        (false, _) => &[],
    };
    [&descriptor[..], head, &[0x55; BODY], mark].concat().into()
}

/// The start code of a key frame behind the descriptor that [`vp8`] writes.
pub(super) fn starts_keyframe(payload: &[u8]) -> bool {
    payload.len() > 10 && payload[0] == 0x90 && payload[7..10] == [0x9d, 0x01, 0x2a]
}
