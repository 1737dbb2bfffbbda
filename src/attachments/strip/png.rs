//! PNG (W3C, third edition): chunks, each with a name and a check sum.

use super::take;

const SIGNATURE: &[u8] = b"\x89PNG\r\n\x1a\n";
/// Chunks that showing a picture, moving or not, needs.
const NEEDED: [&[u8; 4]; 18] = [
    b"IHDR", b"PLTE", b"IDAT", b"IEND", b"tRNS", b"cHRM", b"gAMA", b"iCCP", b"sBIT", b"sRGB", b"cICP", b"mDCV",
    b"cLLI", b"bKGD", b"pHYs", b"acTL", b"fcTL", b"fdAT",
];

pub(super) fn stripped(bytes: &[u8]) -> Option<Vec<u8>> {
    let mut out = Vec::with_capacity(bytes.len());
    out.extend(bytes.strip_prefix(SIGNATURE).map(|_| SIGNATURE)?);
    let mut at = SIGNATURE.len();
    loop {
        let length = u32::from_be_bytes(take(bytes, at, 4)?.try_into().ok()?);
        let chunk = take(bytes, at, usize::try_from(length).ok()?.checked_add(12)?)?;
        let name = take(chunk, 4, 4)?;
        if NEEDED.iter().any(|needed| *needed == name) {
            out.extend(chunk);
        }
        at += chunk.len();
        if name == b"IEND" {
            return Some(out);
        }
    }
}
