//! The VP9 payload descriptor (RFC 9628 §4.2). All spatial layers of a stream come under one SSRC; a picture is a frame of each.

use super::bits::Bits;
use super::{Descriptor, MOST_SPATIAL, MOST_TEMPORAL, Structure, Width};

/// The flags of the first byte.
const PICTURE_ID: u8 = 0x80;
const INTER_PICTURE: u8 = 0x40;
const LAYERS: u8 = 0x20;
const FLEXIBLE: u8 = 0x10;
const BEGINS: u8 = 0x08;
const ENDS: u8 = 0x04;
const STRUCTURE: u8 = 0x02;
const NOT_FOR_UPPER: u8 = 0x01;

/// The part of the frame that a packet carries; `None` when the payload is too short to be VP9.
#[must_use]
pub fn frame_of(payload: &[u8]) -> Option<&[u8]> {
    read(payload).map(|(_, _, frame)| frame)
}

/// The width and height in pixels of a key frame of profile 0, by its uncompressed header (VP9 bitstream specification §6.2);
/// `None` of other frames.
#[must_use]
pub fn dimensions(frame: &[u8]) -> Option<(u16, u16)> {
    let mut bits = Bits::new(frame);
    let (marker, profile, shows_existing, frame_type) = (bits.take(2)?, bits.take(2)?, bits.take(1)?, bits.take(1)?);
    // Shown and error resilient or not: neither matters.
    bits.take(2)?;
    if (marker, profile, shows_existing, frame_type, bits.take(24)?) != (2, 0, 0, 0, 0x49_8342) {
        return None;
    }
    const RGB: u32 = 7;
    if bits.take(3)? == RGB {
        return None;
    }
    bits.take(1)?;
    Some((side(bits.take(16)?)?, side(bits.take(16)?)?))
}

fn side(minus_one: u32) -> Option<u16> {
    u16::try_from(minus_one + 1).ok()
}

/// Reads the descriptor of a packet's payload; `None` when the payload is too short to be VP9.
pub(super) fn describe(payload: &[u8], marker: bool, structure: &mut Structure) -> Option<Descriptor> {
    let (mut descriptor, announced, frame) = read(payload)?;
    descriptor.frame_end |= marker;
    if let Some(announced) = announced {
        structure.sizes = announced.sizes.unwrap_or(structure.sizes);
        structure.spatial_layers = announced.spatial_layers;
        structure.temporal_layers = announced.temporal_layers.unwrap_or(structure.temporal_layers);
        descriptor.dimensions = announced.sizes.map(|sizes| sizes[usize::from(descriptor.spatial)]);
    } else if descriptor.keyframe_start {
        structure.spatial_layers = 1;
    }
    if descriptor.keyframe_start && descriptor.dimensions.is_none() {
        descriptor.dimensions = dimensions(frame);
    }
    structure.saw(&descriptor);
    Some(descriptor)
}

/// What a scalability structure says (RFC 9628 §4.2.1).
struct Announced {
    spatial_layers: u8,
    sizes: Option<[(u16, u16); MOST_SPATIAL as usize]>,
    /// As many as the group of pictures has; `None` when it is not described.
    temporal_layers: Option<u8>,
}

fn read(payload: &[u8]) -> Option<(Descriptor, Option<Announced>, &[u8])> {
    let flags = *payload.first()?;
    let mut descriptor = Descriptor::EMPTY;
    let mut at = 1;
    if flags & PICTURE_ID != 0 {
        let high = *payload.get(at)?;
        descriptor.picture_id_at = 1;
        if high & 0x80 != 0 {
            descriptor.picture_id_width = Width::Bits15;
            descriptor.picture_id = u16::from_be_bytes([high & 0x7f, *payload.get(at + 1)?]);
            at += 2;
        } else {
            descriptor.picture_id_width = Width::Bits7;
            descriptor.picture_id = u16::from(high);
            at += 1;
        }
    }
    let mut goes_up = false;
    if flags & LAYERS != 0 {
        let layers = *payload.get(at)?;
        at += 1;
        descriptor.temporal = (layers >> 5).min(MOST_TEMPORAL - 1);
        descriptor.spatial = (layers >> 1 & 0x07).min(MOST_SPATIAL - 1);
        goes_up = layers & 0x10 != 0;
        if flags & FLEXIBLE == 0 {
            (descriptor.tl0_at, descriptor.tl0) = (at as u8, *payload.get(at)?);
            at += 1;
        }
    }
    if flags & FLEXIBLE != 0 && flags & INTER_PICTURE != 0 {
        // Three references at most, the last of them without the bit that says that one more follows.
        for nth in 0..3 {
            let difference = *payload.get(at)?;
            at += 1;
            if difference & 1 == 0 {
                break;
            }
            if nth == 2 {
                return None;
            }
        }
    }
    let mut announced = None;
    if flags & STRUCTURE != 0 {
        let (structure, len) = scalability(payload.get(at..)?)?;
        announced = Some(structure);
        at += len;
    }
    descriptor.frame_start = flags & BEGINS != 0;
    descriptor.frame_end = flags & ENDS != 0;
    let intra = descriptor.frame_start && flags & INTER_PICTURE == 0;
    descriptor.spatial_switch = intra;
    descriptor.keyframe_start = intra && descriptor.spatial == 0;
    descriptor.lifts = match (intra, goes_up) {
        (true, _) => u8::MAX,
        // No later picture of a higher layer refers to anything before this one but its layer and those below.
        (false, true) => u8::MAX << descriptor.temporal,
        (false, false) => 0,
    };
    needed(&mut descriptor, flags & NOT_FOR_UPPER != 0);
    Some((descriptor, announced, payload.get(at..)?))
}

/// Who wants a higher spatial layer needs the frame unless the descriptor says that nothing above refers to it.
fn needed(descriptor: &mut Descriptor, not_for_upper: bool) {
    descriptor.needed_from_temporal();
    let own = descriptor.spatial * MOST_TEMPORAL;
    let rows = if not_for_upper { 0x000f << own } else { u16::MAX << own };
    descriptor.needed &= rows;
}

/// Reads a scalability structure; answers its length too.
fn scalability(bytes: &[u8]) -> Option<(Announced, usize)> {
    let head = *bytes.first()?;
    let layers = (head >> 5) + 1;
    let mut at = 1;
    let mut sizes = None;
    if head & 0x10 != 0 {
        let known = sizes.insert([(0, 0); MOST_SPATIAL as usize]);
        for layer in 0..usize::from(layers) {
            let size = bytes.get(at..at + 4)?;
            at += 4;
            if let Some(place) = known.get_mut(layer) {
                *place = (u16::from_be_bytes([size[0], size[1]]), u16::from_be_bytes([size[2], size[3]]));
            }
        }
    }
    let mut temporal_layers = None;
    if head & 0x08 != 0 {
        let pictures = *bytes.get(at)?;
        at += 1;
        for _ in 0..pictures {
            let picture = *bytes.get(at)?;
            let highest = (picture >> 5).min(MOST_TEMPORAL - 1);
            temporal_layers = temporal_layers.max(Some(highest + 1));
            at += 1 + usize::from(picture >> 2 & 0x03);
        }
    }
    Some((Announced { spatial_layers: layers.min(MOST_SPATIAL), sizes, temporal_layers }, at))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// Flags, picture id, layers, TL0PICIDX and one byte of frame.
    fn packet(flags: u8, layers: u8) -> Vec<u8> {
        vec![PICTURE_ID | LAYERS | flags, 0x92, 0x34, layers, 7, 0xaa]
    }

    fn of(payload: &[u8]) -> Descriptor {
        describe(payload, false, &mut Structure::default()).expect("a payload of the test")
    }

    #[test]
    fn reads_and_rewrites_counters() {
        let mut payload = packet(INTER_PICTURE | BEGINS, 1 << 5 | 1 << 1);
        let descriptor = of(&payload);
        assert_eq!((descriptor.picture_id, descriptor.tl0), (0x1234, 7));
        assert_eq!((descriptor.temporal, descriptor.spatial), (1, 1));
        descriptor.rewrite(&mut payload, 0x7fff, 200);
        assert_eq!((of(&payload).picture_id, of(&payload).tl0), (0x7fff, 200));
        assert_eq!((payload[3], frame_of(&payload)), (0x22, Some(&[0xaa][..])));
    }

    #[test]
    fn a_key_picture_begins_with_its_lowest_layer() {
        let (lowest, upper) = (of(&packet(BEGINS, 0)), of(&packet(BEGINS, 1 << 1 | 1)));
        assert!(lowest.keyframe_start && lowest.spatial_switch && lowest.lifts_to(2));
        assert!(!upper.keyframe_start && upper.spatial_switch && upper.spatial == 1);
        assert!(!of(&packet(0, 0)).keyframe_start, "a later packet of it does not begin it");
        let predicted = of(&packet(INTER_PICTURE | BEGINS, 1 << 1 | 1));
        assert!(!predicted.spatial_switch && !predicted.lifts_to(0));
    }

    #[test]
    fn layers_are_needed_by_those_above_unless_it_says_otherwise() {
        let lowest = of(&packet(INTER_PICTURE, 0));
        assert!(lowest.is_needed(0, 0) && lowest.is_needed(2, 2));
        let middle = of(&packet(INTER_PICTURE, 1 << 5 | 1 << 1));
        assert!(!middle.is_needed(0, 2) && !middle.is_needed(1, 0) && middle.is_needed(1, 1) && middle.is_needed(2, 1));
        let alone = of(&packet(INTER_PICTURE | NOT_FOR_UPPER, 1 << 1));
        assert!(!alone.is_needed(0, 0) && alone.is_needed(1, 0) && !alone.is_needed(2, 0));
    }

    #[test]
    fn an_up_switch_opens_all_layers_above() {
        let switch = of(&packet(INTER_PICTURE, 1 << 5 | 0x10));
        assert!(!switch.lifts_to(0) && switch.lifts_to(1) && switch.lifts_to(2));
    }

    #[test]
    fn a_structure_tells_layers_and_sizes() {
        let mut payload = packet(BEGINS | STRUCTURE, 0);
        payload.pop();
        payload.push(2 << 5 | 0x10 | 0x08);
        for (width, height) in [(320u16, 180u16), (640, 360), (1280, 720)] {
            payload.extend_from_slice(&width.to_be_bytes());
            payload.extend_from_slice(&height.to_be_bytes());
        }
        // Four pictures: T0 T2 T1 T2, with one reference but the last with two.
        payload.extend_from_slice(&[4, 0x04, 4, 2 << 5 | 0x04, 1, 1 << 5 | 0x04, 2, 2 << 5 | 0x08, 1, 2, 0xaa]);
        let mut structure = Structure::default();
        let descriptor = describe(&payload, false, &mut structure).unwrap();
        assert_eq!((structure.spatial_layers, structure.temporal_layers), (3, 3));
        assert_eq!(structure.sizes[..3], [(320, 180), (640, 360), (1280, 720)]);
        assert_eq!((descriptor.dimensions, frame_of(&payload)), (Some((320, 180)), Some(&[0xaa][..])));
    }

    #[test]
    fn flexible_mode_has_references_and_no_tl0() {
        let flags = PICTURE_ID | LAYERS | FLEXIBLE | INTER_PICTURE;
        let payload = [flags, 5, 1 << 1, 2 << 1 | 1, 4 << 1, 0xaa];
        let descriptor = of(&payload);
        assert_eq!((descriptor.picture_id, descriptor.tl0_at, descriptor.spatial), (5, 0, 1));
        assert_eq!(frame_of(&payload), Some(&[0xaa][..]));
        assert_eq!(frame_of(&[flags, 5, 2, 3, 5, 7, 9]), None, "four references are one too many");
    }

    #[test]
    fn a_key_frame_tells_its_size() {
        let frame = [0x82, 0x49, 0x83, 0x42, 0x20, 0x27, 0xf0, 0x1d, 0xf0];
        assert_eq!(dimensions(&frame), Some((640, 480)));
        assert_eq!(dimensions(&[0x86, 0x49, 0x83, 0x42, 0x20, 0x27, 0xf0, 0x1d, 0xf0]), None);
        assert_eq!(dimensions(&frame[..7]), None);
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(4_096))]

        #[test]
        fn no_bytes_make_it_panic(mut bytes in proptest::collection::vec(any::<u8>(), 0..80), pid in any::<u16>(), tl0 in any::<u8>()) {
            let _ = frame_of(&bytes);
            let _ = dimensions(&bytes);
            if let Some(descriptor) = describe(&bytes, false, &mut Structure::default()) {
                descriptor.rewrite(&mut bytes, pid, tl0);
            }
        }
    }
}
