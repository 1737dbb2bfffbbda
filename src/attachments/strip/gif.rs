//! GIF (89a): blocks, whose data comes in parts of up to 255 bytes.

use super::take;

const EXTENSION: u8 = 0x21;
const IMAGE: u8 = 0x2c;
const END: u8 = 0x3b;
/// When and how a picture is shown.
const CONTROL: u8 = 0xf9;
const APPLICATION: u8 = 0xff;
/// How often a moving picture is repeated.
const LOOPS: [&[u8]; 2] = [b"\x0bNETSCAPE2.0", b"\x0bANIMEXTS1.0"];

pub(super) fn stripped(bytes: &[u8]) -> Option<Vec<u8>> {
    let head = take(bytes, 0, 13)?;
    if !head.starts_with(b"GIF87a") && !head.starts_with(b"GIF89a") {
        return None;
    }
    let mut at = 13 + table_bytes(head[10]);
    let mut out = Vec::with_capacity(bytes.len());
    out.extend(take(bytes, 0, at)?);
    loop {
        let start = at;
        match *bytes.get(at)? {
            END => {
                out.push(END);
                return Some(out);
            }
            EXTENSION => {
                let label = *bytes.get(at + 1)?;
                at = end_of_parts(bytes, at + 2)?;
                let is_loop = || LOOPS.iter().any(|name| bytes[start + 2..].starts_with(name));
                if label == CONTROL || label == APPLICATION && is_loop() {
                    out.extend(&bytes[start..at]);
                }
            }
            IMAGE => {
                let flags = take(bytes, at, 10)?[9];
                // Behind the table stands the size of its codes.
                at = end_of_parts(bytes, at + 10 + table_bytes(flags) + 1)?;
                out.extend(&bytes[start..at]);
            }
            _ => return None,
        }
    }
}

/// The size of the colour table that these flags announce.
fn table_bytes(flags: u8) -> usize {
    if flags & 0x80 == 0 { 0 } else { 3 << ((flags & 7) + 1) }
}

/// Where the parts end that begin there; the last is empty.
fn end_of_parts(bytes: &[u8], mut at: usize) -> Option<usize> {
    loop {
        let length = usize::from(*bytes.get(at)?);
        at += 1 + length;
        if length == 0 {
            return Some(at);
        }
    }
}
