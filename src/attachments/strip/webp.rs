//! WebP (RFC 9649): RIFF chunks.

use super::take;

/// Flags of the extended header that announce Exif and XMP.
const NOTES: u8 = 0x08 | 0x04;
/// Chunks that showing a picture, moving or not, needs.
const NEEDED: [&[u8; 4]; 7] = [b"VP8 ", b"VP8L", b"VP8X", b"ANIM", b"ANMF", b"ALPH", b"ICCP"];

pub(super) fn stripped(bytes: &[u8]) -> Option<Vec<u8>> {
    let head = take(bytes, 0, 12)?;
    if &head[..4] != b"RIFF" || &head[8..] != b"WEBP" {
        return None;
    }
    let size = usize::try_from(u32::from_le_bytes(head[4..8].try_into().ok()?)).ok()?;
    // What follows the end that is named here is no part of the picture.
    let bytes = take(bytes, 0, size.checked_add(8)?)?;
    let (mut out, mut at) = (Vec::with_capacity(bytes.len()), 12);
    out.extend(head);
    while at < bytes.len() {
        let length = usize::try_from(u32::from_le_bytes(take(bytes, at + 4, 4)?.try_into().ok()?)).ok()?;
        let chunk = take(bytes, at, length.checked_add(8)?)?;
        let name = &chunk[..4];
        if NEEDED.iter().any(|needed| *needed == name) {
            let start = out.len();
            out.extend(chunk);
            if name == b"VP8X" {
                *out.get_mut(start + 8)? &= !NOTES;
            }
            if length % 2 == 1 {
                out.push(0);
            }
        }
        at += chunk.len() + length % 2;
    }
    let size = u32::try_from(out.len() - 8).ok()?;
    out[4..8].copy_from_slice(&size.to_le_bytes());
    Some(out)
}
