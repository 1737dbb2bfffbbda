//! The AV1 payload format (AV1 RTP specification §4): an aggregation header and OBU elements behind it. Where the dependency
//! descriptor comes with a packet, that says more; else the layers are those of the OBUs' extension headers.

use super::bits::Bits;
use super::{Descriptor, MOST_SPATIAL, MOST_TEMPORAL, Structure, dependency};

/// The flags of the aggregation header.
const CONTINUES: u8 = 0x80;
const GOES_ON: u8 = 0x40;
const NEW_SEQUENCE: u8 = 0x08;
/// Types of OBUs (AV1 bitstream specification §6.2.2).
const SEQUENCE_HEADER: u8 = 1;
const TEMPORAL_DELIMITER: u8 = 2;
const TILE_GROUP: u8 = 4;
const TILE_LIST: u8 = 8;
const PADDING: u8 = 15;
/// The flags of an OBU's header.
const EXTENDED: u8 = 0x04;
const SIZED: u8 = 0x02;

/// A part of a packet: an OBU, or a piece of one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Element<'a> {
    /// It begins in an earlier packet.
    pub continues: bool,
    /// It ends in a later packet.
    pub goes_on: bool,
    /// The piece.
    pub bytes: &'a [u8],
}

/// The elements of a packet, as far as it is whole.
pub fn elements(payload: &[u8]) -> impl Iterator<Item = Element<'_>> {
    let (head, mut rest) = payload.split_first().map_or((0, payload), |(head, rest)| (*head, rest));
    let count = head >> 4 & 0x03;
    let mut nth = 0u8;
    std::iter::from_fn(move || {
        if rest.is_empty() || count != 0 && nth == count {
            return None;
        }
        let sized = count == 0 || nth + 1 < count;
        let (bytes, behind) = if sized {
            let (len, behind) = leb128(rest)?;
            behind.split_at_checked(len)?
        } else {
            (rest, &[][..])
        };
        let (first, last) = (nth == 0, behind.is_empty());
        nth = nth.saturating_add(1).min(4);
        rest = behind;
        Some(Element { continues: first && head & CONTINUES != 0, goes_on: last && head & GOES_ON != 0, bytes })
    })
}

/// A number in the format of §4.10.5 of the bitstream specification: seven bits a byte, lowest first, eight bytes at most.
fn leb128(bytes: &[u8]) -> Option<(usize, &[u8])> {
    let mut value = 0u64;
    for (at, byte) in bytes.iter().take(8).enumerate() {
        value |= u64::from(byte & 0x7f) << (7 * at);
        if byte & 0x80 == 0 {
            return Some((usize::try_from(value).ok()?, &bytes[at + 1..]));
        }
    }
    None
}

fn kind(obu: &[u8]) -> Option<u8> {
    obu.first().map(|head| head >> 3 & 0x0f)
}

/// Reads what a packet says of its frame; `None` when the payload is empty.
pub(super) fn describe(
    payload: &[u8],
    marker: bool,
    dependency: &[u8],
    structure: &mut Structure,
) -> Option<Descriptor> {
    let head = *payload.first()?;
    let known = dependency::describe(dependency, structure);
    let mut descriptor = match known {
        Some(descriptor) => descriptor,
        None => by_obu(payload, dependency),
    };
    descriptor.frame_end |= marker;
    let begins = head & CONTINUES == 0 && (head & NEW_SEQUENCE != 0 || sequence_header(payload).is_some());
    if begins && descriptor.spatial == 0 {
        (descriptor.keyframe_start, descriptor.frame_start, descriptor.spatial_switch) = (true, true, true);
        descriptor.lifts = u8::MAX;
        let size = sequence_header(payload).map(|sequence| (sequence.width, sequence.height));
        descriptor.dimensions = Some(structure.sizes[0]).filter(|_| structure.spatial_layers > 1).or(size);
    }
    if known.is_none() {
        structure.saw(&descriptor);
    }
    Some(descriptor)
}

/// Without templates: by the first OBU's extension header, if it has one. A frame is then needed by all layers above it. A frame
/// number that cannot be placed is rewritten all the same.
fn by_obu(payload: &[u8], dependency: &[u8]) -> Descriptor {
    let mut descriptor = Descriptor::EMPTY;
    if let [flags, high, low, ..] = dependency {
        (descriptor.frame_start, descriptor.frame_end) = (flags & 0x80 != 0, flags & 0x40 != 0);
        descriptor.picture_id = u16::from_be_bytes([*high, *low]);
        (descriptor.picture_id_at, descriptor.picture_id_width) = (1, super::Width::Extension);
        return descriptor;
    }
    let mut whole = elements(payload).filter(|element| !element.continues);
    descriptor.frame_start = whole.next().is_some_and(|element| kind(element.bytes) != Some(TILE_GROUP));
    let mut whole = elements(payload).filter(|element| !element.continues);
    if let Some(&[_, layers, ..]) =
        whole.find_map(|element| Some(element.bytes).filter(|obu| obu.first().is_some_and(|head| head & EXTENDED != 0)))
    {
        descriptor.temporal = (layers >> 5).min(MOST_TEMPORAL - 1);
        descriptor.spatial = (layers >> 3 & 0x03).min(MOST_SPATIAL - 1);
        descriptor.needed_from_temporal();
        descriptor.needed &= u16::MAX << (descriptor.spatial * MOST_TEMPORAL);
    }
    descriptor
}

/// What a sequence header says of the stream (AV1 bitstream specification §5.5).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Sequence {
    /// The largest width in pixels.
    pub width: u16,
    /// The largest height in pixels.
    pub height: u16,
    /// Bytes 1 to 3 of an `av1C` box (AV1 in ISOBMFF §2.3): profile, level, tier, depth and subsampling.
    pub configuration: [u8; 3],
}

/// The sequence header in a packet that begins with one.
fn sequence_header(payload: &[u8]) -> Option<Sequence> {
    let first = elements(payload).find(|element| kind(element.bytes) != Some(TEMPORAL_DELIMITER))?;
    (!first.continues).then_some(first.bytes).and_then(sequence)
}

/// Reads a sequence header OBU; `None` when it is another one or none.
#[must_use]
pub fn sequence(obu: &[u8]) -> Option<Sequence> {
    let (&head, mut body) = obu.split_first()?;
    if kind(obu) != Some(SEQUENCE_HEADER) || head & 0x80 != 0 {
        return None;
    }
    if head & EXTENDED != 0 {
        body = body.get(1..)?;
    }
    if head & SIZED != 0 {
        let (len, behind) = leb128(body)?;
        body = behind.get(..len)?;
    }
    let mut bits = Bits::new(body);
    let profile = bits.take(3)?;
    bits.take(1)?;
    let reduced = bits.flag()?;
    let (level, tier) = if reduced { (bits.take(5)?, 0) } else { operating_points(&mut bits)? };
    let (across, down) = (bits.take(4)? + 1, bits.take(4)? + 1);
    let (width, height) = (bits.take(across)? + 1, bits.take(down)? + 1);
    tools(&mut bits, reduced)?;
    let colors = color_configuration(&mut bits, profile)?;
    Some(Sequence {
        width: u16::try_from(width).ok()?,
        height: u16::try_from(height).ok()?,
        configuration: [(profile << 5 | level) as u8, (tier << 7) as u8 | colors, 0],
    })
}

/// The fields up to the operating points: answers the first one's level and tier.
fn operating_points(bits: &mut Bits<'_>) -> Option<(u32, u32)> {
    let mut delay_length = None;
    if bits.flag()? {
        bits.take(32)?;
        bits.take(32)?;
        if bits.flag()? {
            skip_uvlc(bits)?;
        }
        if bits.flag()? {
            delay_length = Some(bits.take(5)? + 1);
            bits.take(32)?;
            bits.take(10)?;
        }
    }
    let has_display_delay = bits.flag()?;
    let mut first = None;
    for _ in 0..=bits.take(5)? {
        bits.take(12)?;
        let level = bits.take(5)?;
        let tier = if level > 7 { bits.take(1)? } else { 0 };
        if let Some(length) = delay_length
            && bits.flag()?
        {
            bits.take(length)?;
            bits.take(length)?;
            bits.take(1)?;
        }
        if has_display_delay && bits.flag()? {
            bits.take(4)?;
        }
        first.get_or_insert((level, tier));
    }
    first
}

/// `uvlc()` of §4.10.3.
fn skip_uvlc(bits: &mut Bits<'_>) -> Option<()> {
    let mut zeros = 0;
    while !bits.flag()? {
        zeros += 1;
        if zeros == 32 {
            return Some(());
        }
    }
    bits.take(zeros).map(|_| ())
}

/// The coding tools between the size and the colors.
fn tools(bits: &mut Bits<'_>, reduced: bool) -> Option<()> {
    if !reduced && bits.flag()? {
        bits.take(7)?;
    }
    bits.take(3)?;
    if !reduced {
        bits.take(4)?;
        let orders = bits.flag()?;
        if orders {
            bits.take(2)?;
        }
        let chooses_content = bits.flag()?;
        let screen_content = chooses_content || bits.flag()?;
        if screen_content && !bits.flag()? {
            bits.take(1)?;
        }
        if orders {
            bits.take(3)?;
        }
    }
    bits.take(3).map(|_| ())
}

/// `color_config()` of §5.5.2 as the low seven bits of the second byte of `av1C`.
fn color_configuration(bits: &mut Bits<'_>, profile: u32) -> Option<u8> {
    let high = bits.take(1)?;
    let twelve = if profile == 2 && high == 1 { bits.take(1)? } else { 0 };
    let mono = if profile == 1 { 0 } else { bits.take(1)? };
    let mut colors = (2, 2, 2);
    if bits.flag()? {
        colors = (bits.take(8)?, bits.take(8)?, bits.take(8)?);
    }
    const SRGB: (u32, u32, u32) = (1, 13, 0);
    let (mut across, mut down, mut position) = (1, 1, 0);
    if mono == 1 {
        bits.take(1)?;
    } else if colors == SRGB {
        (across, down) = (0, 0);
    } else {
        bits.take(1)?;
        (across, down) = match (profile, twelve) {
            (0, _) => (1, 1),
            (1, _) => (0, 0),
            (_, 0) => (1, 0),
            _ => match bits.take(1)? {
                0 => (0, 0),
                _ => (1, bits.take(1)?),
            },
        };
        if (across, down) == (1, 1) {
            position = bits.take(2)?;
        }
    }
    Some((high << 6 | twelve << 5 | mono << 4 | across << 3 | down << 2 | position) as u8)
}

/// Puts pictures together out of their packets: OBUs with their sizes, one behind the other, as files have them (§5.2).
#[derive(Debug, Default)]
pub struct Assembly {
    /// The OBUs that are whole.
    picture: Vec<u8>,
    /// The beginning of one that is not.
    open: Option<Vec<u8>>,
    /// The last sequence header, and what it says.
    sequence: Option<(Sequence, Vec<u8>)>,
}

impl Assembly {
    /// Takes the next packet, none being missed. False when it does not continue what came before.
    pub fn push(&mut self, payload: &[u8]) -> bool {
        for element in elements(payload) {
            if element.continues != self.open.is_some() {
                return false;
            }
            let mut obu = self.open.take().unwrap_or_default();
            obu.extend_from_slice(element.bytes);
            if element.goes_on { self.open = Some(obu) } else { self.append(&obu) }
        }
        !payload.is_empty()
    }

    /// Bytes of the picture so far.
    #[must_use]
    pub fn len(&self) -> usize {
        self.picture.len() + self.open.as_ref().map_or(0, Vec::len)
    }

    /// Whether there is nothing of a picture.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The sequence header that pictures belong to; key frames have one.
    #[must_use]
    pub fn sequence(&self) -> Option<Sequence> {
        self.sequence.as_ref().map(|(sequence, _)| *sequence)
    }

    /// The content of an `av1C` box (AV1 in ISOBMFF §2.3), which is also what Matroska wants.
    #[must_use]
    pub fn configuration(&self) -> Option<Vec<u8>> {
        let (sequence, obu) = self.sequence.as_ref()?;
        Some([&[0x81][..], &sequence.configuration, obu].concat())
    }

    /// The picture is over: its bytes are appended to `out`. False when its last OBU is not whole or there is none.
    pub fn take(&mut self, out: &mut Vec<u8>) -> bool {
        let whole = self.open.is_none() && !self.picture.is_empty();
        if whole {
            out.extend_from_slice(&self.picture);
        }
        self.lose();
        whole
    }

    /// Packets are missing: the picture comes to nothing.
    pub fn lose(&mut self) {
        self.picture.clear();
        self.open = None;
    }

    fn append(&mut self, obu: &[u8]) {
        let Some((&head, body)) = obu.split_first() else { return };
        if matches!(head >> 3 & 0x0f, TEMPORAL_DELIMITER | TILE_LIST | PADDING) {
            return;
        }
        let start = self.picture.len();
        if head & SIZED != 0 {
            self.picture.extend_from_slice(obu);
        } else {
            self.append_sized(head, body);
        }
        if let Some(sequence) = sequence(obu) {
            self.sequence = Some((sequence, self.picture[start..].to_vec()));
        }
    }

    fn append_sized(&mut self, head: u8, body: &[u8]) {
        self.picture.push(head | SIZED);
        let extension = usize::from(head & EXTENDED != 0).min(body.len());
        self.picture.extend_from_slice(&body[..extension]);
        let mut left = body.len() - extension;
        while left >= 0x80 {
            self.picture.push(left as u8 | 0x80);
            left >>= 7;
        }
        self.picture.push(left as u8);
        self.picture.extend_from_slice(&body[extension..]);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// 640×360, profile 0, level 2.1, 8 bits, 4:2:0, as libaom writes it.
    fn sequence_obu(extended: bool) -> Vec<u8> {
        let mut obu = vec![SEQUENCE_HEADER << 3 | if extended { EXTENDED } else { 0 }];
        if extended {
            obu.push(0);
        }
        obu.extend_from_slice(&[0, 0, 0, 0x0c, 0xc4, 0xff, 0x67, 0x36, 0xbe, 0x40, 0x10]);
        obu
    }

    fn of(payload: &[u8], dependency: &[u8]) -> Descriptor {
        describe(payload, false, dependency, &mut Structure::default()).expect("a payload of the test")
    }

    #[test]
    fn elements_come_with_or_without_a_count() {
        let whole = |bytes| Element { continues: false, goes_on: false, bytes };
        let counted: Vec<_> = elements(&[0x20, 2, 1, 2, 3]).collect();
        assert_eq!(counted, [whole(&[1, 2][..]), whole(&[3])]);
        let sized: Vec<_> = elements(&[0xc0, 1, 9, 2, 1, 2]).collect();
        let (first, last) = (Element { continues: true, ..whole(&[9]) }, Element { goes_on: true, ..whole(&[1, 2]) });
        assert_eq!(sized, [first, last]);
        assert_eq!(elements(&[0x20, 200, 1]).count(), 0, "a length that lies");
        assert_eq!(elements(&[]).count() + elements(&[0x10]).count(), 0);
    }

    #[test]
    fn a_new_sequence_begins_with_its_header() {
        let mut payload = vec![0x20 | NEW_SEQUENCE, 12];
        payload.extend_from_slice(&sequence_obu(false));
        payload.extend_from_slice(&[6 << 3, 1, 2]);
        let key = of(&payload, &[]);
        assert!(key.keyframe_start && key.frame_start && key.spatial_switch && key.lifts_to(2));
        payload[0] &= !NEW_SEQUENCE;
        assert!(of(&payload, &[]).keyframe_start, "by the header alone");
        payload[0] |= CONTINUES;
        assert!(!of(&payload, &[]).keyframe_start);
        assert!(!of(&[0x10, 6 << 3, 1], &[]).keyframe_start);
    }

    #[test]
    fn a_sequence_header_tells_size_and_configuration() {
        // As ffmpeg puts it into the `av1C` box of a file.
        let expected = Sequence { width: 640, height: 360, configuration: [1, 0x0c, 0] };
        assert_eq!(sequence(&sequence_obu(false)), Some(expected));
        assert_eq!(sequence(&sequence_obu(true)), Some(expected));
        assert_eq!(sequence(&sequence_obu(true)[..9]), None);
    }

    #[test]
    fn layers_are_read_from_the_obu_where_nothing_else_tells() {
        let frame = of(&[0x10, 6 << 3 | EXTENDED, 1 << 5 | 1 << 3, 7], &[]);
        assert_eq!((frame.temporal, frame.spatial), (1, 1));
        assert!(!frame.is_needed(0, 3) && !frame.is_needed(1, 0) && frame.is_needed(1, 1) && frame.is_needed(2, 2));
        let unplaced = of(&[0x10, 6 << 3, 7], &[0x80, 0x12, 0x34]);
        assert_eq!((unplaced.picture_id, unplaced.is_needed(0, 0)), (0x1234, true));
        let mut dependency = [0x80, 0x12, 0x34];
        unplaced.rewrite_dependency(&mut dependency, 0xfedc);
        assert_eq!(dependency, [0x80, 0xfe, 0xdc]);
    }

    #[test]
    fn a_picture_is_put_together_with_sizes() {
        let mut assembly = Assembly::default();
        assert!(assembly.push(&[0x60, 2, 6 << 3, 1, 3 << 3 | EXTENDED, 0]));
        assert!(assembly.push(&[CONTINUES | 0x10, 5, 6]));
        assert!(assembly.push(&[0x10, 3 << 3 | SIZED, 1, 7]));
        let expected = [6 << 3 | SIZED, 1, 1, 3 << 3 | EXTENDED | SIZED, 0, 2, 5, 6, 3 << 3 | SIZED, 1, 7];
        let mut picture = Vec::new();
        assert!(assembly.take(&mut picture) && assembly.is_empty());
        assert_eq!(picture, expected);
        assert!(!Assembly::default().push(&[CONTINUES | 0x10, 5]), "nothing that it would continue");
        let mut torn = Assembly::default();
        assert!(torn.push(&[GOES_ON | 0x10, 6 << 3]) && !torn.take(&mut picture));
    }

    #[test]
    fn an_element_may_be_empty() {
        let frame = of(&[0x20, 0, 6 << 3 | EXTENDED], &[]);
        assert_eq!((frame.temporal, frame.spatial), (0, 0));
        assert!(Assembly::default().push(&[0x20, 0, 6 << 3]));
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(4_096))]

        #[test]
        fn no_bytes_make_it_panic(
            packets in proptest::collection::vec(proptest::collection::vec(any::<u8>(), 0..60), 0..6),
            dependency in proptest::collection::vec(any::<u8>(), 0..40),
        ) {
            let (mut structure, mut assembly) = (Structure::default(), Assembly::default());
            for payload in packets {
                let _ = describe(&payload, false, &dependency, &mut structure);
                let _ = sequence(&payload);
                assembly.push(&payload);
            }
        }
    }
}
