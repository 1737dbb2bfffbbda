//! EBML (RFC 8794): as much as a writer of Matroska needs, and a reader for what that writer made.

/// Longest element identifier, with its length marker.
const MOST_ID_BYTES: usize = 4;
/// Longest element size.
const MOST_SIZE_BYTES: usize = 8;

/// Appends an element's identifier; identifiers are written with their length marker.
pub fn id(id: u32, out: &mut Vec<u8>) {
    let bytes = id.to_be_bytes();
    out.extend_from_slice(&bytes[id.leading_zeros() as usize / 8..]);
}

/// Appends a size in its shortest form (RFC 8794 §4).
pub fn size(size: u64, out: &mut Vec<u8>) {
    let mut bytes = 1;
    // All ones means "unknown", so a form ends one earlier.
    while bytes < MOST_SIZE_BYTES && size >= (1 << (7 * bytes)) - 1 {
        bytes += 1;
    }
    let marked = size | 1 << (7 * bytes);
    out.extend_from_slice(&marked.to_be_bytes()[8 - bytes..]);
}

/// A size in eight bytes: what is patched later, or may be long.
pub fn wide_size(size: u64) -> [u8; 8] {
    (size | 1 << 56).to_be_bytes()
}

/// The size of an element that goes on until the file ends, in eight bytes.
pub const UNKNOWN_SIZE: [u8; 8] = [0x01, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff];

/// Appends an element of bytes.
pub fn binary(name: u32, value: &[u8], out: &mut Vec<u8>) {
    id(name, out);
    size(value.len() as u64, out);
    out.extend_from_slice(value);
}

/// Appends an element of text.
pub fn text(name: u32, value: &str, out: &mut Vec<u8>) {
    binary(name, value.as_bytes(), out);
}

/// Appends an unsigned number in as few bytes as it needs.
pub fn uint(name: u32, value: u64, out: &mut Vec<u8>) {
    let bytes = value.to_be_bytes();
    binary(name, &bytes[(value.leading_zeros() as usize / 8).min(7)..], out);
}

/// Appends a signed number in eight bytes.
pub fn int(name: u32, value: i64, out: &mut Vec<u8>) {
    binary(name, &value.to_be_bytes(), out);
}

/// Appends a floating point number in eight bytes.
pub fn float(name: u32, value: f64, out: &mut Vec<u8>) {
    binary(name, &value.to_be_bytes(), out);
}

/// Appends an element of elements.
pub fn master(name: u32, out: &mut Vec<u8>, fill: impl FnOnce(&mut Vec<u8>)) {
    let mut inside = Vec::new();
    fill(&mut inside);
    binary(name, &inside, out);
}

/// What stands before an element's content.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Opening {
    /// The identifier, with its length marker.
    pub id: u32,
    /// Bytes of identifier and size.
    pub bytes: usize,
    /// Bytes of the content; `None`: until the file ends.
    pub size: Option<u64>,
}

/// Reads what an element begins with; `None`: no element begins here, or not all of its opening is there.
pub fn opening(bytes: &[u8]) -> Option<Opening> {
    let first = *bytes.first()?;
    let id_bytes = first.leading_zeros() as usize + 1;
    if id_bytes > MOST_ID_BYTES {
        return None;
    }
    let id = bytes.get(..id_bytes)?.iter().fold(0, |id, byte| id << 8 | u32::from(*byte));
    let first = *bytes.get(id_bytes)?;
    let size_bytes = first.leading_zeros() as usize + 1;
    if size_bytes > MOST_SIZE_BYTES {
        return None;
    }
    let marked = bytes.get(id_bytes..id_bytes + size_bytes)?.iter().fold(0, |size, byte| size << 8 | u64::from(*byte));
    let size = marked & ((1 << (7 * size_bytes)) - 1);
    let unknown = size == (1 << (7 * size_bytes)) - 1;
    Some(Opening { id, bytes: id_bytes + size_bytes, size: (!unknown).then_some(size) })
}

/// The elements that stand one after another: identifier and content. `None` in their row: what follows is none, and the row ends.
pub fn elements(mut rest: &[u8]) -> impl Iterator<Item = Option<(u32, &[u8])>> {
    std::iter::from_fn(move || {
        if rest.is_empty() {
            return None;
        }
        let element = opening(rest).and_then(|opening| {
            let size = usize::try_from(opening.size?).ok()?;
            let (content, behind) = rest[opening.bytes..].split_at_checked(size)?;
            rest = behind;
            Some((opening.id, content))
        });
        if element.is_none() {
            rest = &[];
        }
        Some(element)
    })
}

/// The content of the first element with this identifier.
pub fn find(name: u32, elements_of: &[u8]) -> Option<&[u8]> {
    elements(elements_of).flatten().find(|(id, _)| *id == name).map(|(_, content)| content)
}

/// An unsigned number of up to eight bytes.
pub fn as_uint(content: &[u8]) -> Option<u64> {
    (content.len() <= 8).then(|| content.iter().fold(0, |value, byte| value << 8 | u64::from(*byte)))
}

/// A signed number in eight bytes.
pub fn as_int(content: &[u8]) -> Option<i64> {
    content.try_into().ok().map(i64::from_be_bytes)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn sizes_take_their_shortest_form() {
        let written = |value| {
            let mut out = Vec::new();
            size(value, &mut out);
            out
        };
        assert_eq!(written(0), [0x80]);
        assert_eq!(written(126), [0xfe]);
        assert_eq!(written(127), [0x40, 0x7f]);
        assert_eq!(written(16_382), [0x7f, 0xfe]);
        assert_eq!(written(16_383), [0x20, 0x3f, 0xff]);
        assert_eq!(wide_size(5), [1, 0, 0, 0, 0, 0, 0, 5]);
    }

    #[test]
    fn numbers_survive() {
        let mut out = Vec::new();
        uint(0xe7, 0, &mut out);
        uint(0xe7, 256, &mut out);
        int(0x4461, -5, &mut out);
        assert_eq!(out[..6], [0xe7, 0x81, 0, 0xe7, 0x82, 1]);
        let read: Vec<_> = elements(&out).map(|element| element.unwrap()).collect();
        assert_eq!(read.len(), 3);
        assert_eq!(as_uint(read[1].1), Some(256));
        assert_eq!(as_int(read[2].1), Some(-5));
    }

    proptest! {
        #[test]
        fn what_is_written_is_read(name in prop::sample::select(vec![0xec_u32, 0x4286, 0x2a_d7b1, 0x1a45_dfa3]), value in prop::collection::vec(any::<u8>(), 0..300)) {
            let mut out = Vec::new();
            binary(name, &value, &mut out);
            prop_assert_eq!(elements(&out).collect::<Vec<_>>(), [Some((name, &value[..]))]);
            prop_assert_eq!(find(name, &out), Some(&value[..]));
        }

        #[test]
        fn no_bytes_make_it_panic(bytes in prop::collection::vec(any::<u8>(), 0..64)) {
            prop_assert!(elements(&bytes).count() <= bytes.len());
            let _ = (opening(&bytes), as_uint(&bytes), as_int(&bytes));
        }
    }
}
