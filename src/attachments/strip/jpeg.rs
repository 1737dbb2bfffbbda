//! JPEG (ITU-T T.81, annex B): segments, each with a marker.

use super::take;

const START: u8 = 0xd8;
const END: u8 = 0xd9;
const SCAN: u8 = 0xda;
/// Bytes of a JFIF segment's data before the small picture that it may have, and where that says its size.
const JFIF_BYTES: usize = 14;

pub(super) fn stripped(bytes: &[u8]) -> Option<Vec<u8>> {
    if take(bytes, 0, 2)? != [0xff, START] {
        return None;
    }
    let (mut out, mut at) = (Vec::with_capacity(bytes.len()), 2);
    out.extend([0xff, START]);
    loop {
        // A marker may have any number of fill bytes in front.
        while take(bytes, at, 2)? == [0xff, 0xff] {
            at += 1;
        }
        let &[0xff, marker] = take(bytes, at, 2)? else { return None };
        at += 2;
        match marker {
            END => {
                out.extend([0xff, END]);
                return Some(out);
            }
            0x01 | 0xd0..=0xd7 => out.extend([0xff, marker]),
            0x00 | START => return None,
            _ => {
                let length = usize::from(u16::from_be_bytes(take(bytes, at, 2)?.try_into().ok()?));
                let data = take(bytes, at, length)?.get(2..)?;
                at += length;
                keep(&mut out, marker, data)?;
            }
        }
        if marker == SCAN {
            let end = scan_end(bytes, at);
            out.extend(&bytes[at..end]);
            at = end;
            if at == bytes.len() {
                // It breaks off in the picture, which decoders show as far as it goes.
                out.extend([0xff, END]);
                return Some(out);
            }
        }
    }
}

/// Copies a segment if the picture needs it.
fn keep(out: &mut Vec<u8>, marker: u8, data: &[u8]) -> Option<()> {
    let jfif;
    let data = match marker {
        // Without the small picture, which may be of what was cut off.
        0xe0 if data.starts_with(b"JFIF\0") && data.len() >= JFIF_BYTES => {
            jfif = [&data[..JFIF_BYTES - 2], &[0, 0]].concat();
            &jfif
        }
        // The colours' meaning: a profile, or that they are CMYK.
        0xe2 if data.starts_with(b"ICC_PROFILE\0") => data,
        0xee if data.starts_with(b"Adobe") => data,
        0xe0..=0xef | 0xfe => return Some(()),
        _ => data,
    };
    out.extend([0xff, marker]);
    out.extend(u16::try_from(data.len() + 2).ok()?.to_be_bytes());
    out.extend(data);
    Some(())
}

/// Where a scan's data ends: at a marker that is none of its own.
fn scan_end(bytes: &[u8], from: usize) -> usize {
    let pairs = bytes[from..].windows(2);
    let is_marker = |pair: &[u8]| pair[0] == 0xff && !matches!(pair[1], 0x00 | 0xff | 0xd0..=0xd7);
    pairs.map(is_marker).position(|it| it).map_or(bytes.len(), |found| from + found)
}
