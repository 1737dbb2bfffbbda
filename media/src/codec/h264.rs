//! The H.264 payload format (RFC 6184), packetization modes 0 and 1: single NAL units, STAP-A and FU-A. What a forwarder must know
//! is where a key frame begins; what a sampler wants is the frame in Annex B.

use super::Descriptor;

/// Types of NAL units (ITU-T H.264 table 7-1) and of aggregates (RFC 6184 table 3).
const SPS: u8 = 7;
const STAP_A: u8 = 24;
const FU_A: u8 = 28;
/// What stands between NAL units in a byte stream (ITU-T H.264 annex B).
const START_CODE: [u8; 4] = [0, 0, 0, 1];

/// What a forwarder must know of a packet. H.264 has no counters that would have to be rewritten, and says nothing of temporal
/// layers (RFC 6184 has none): everything is one layer.
pub(crate) fn describe(payload: &[u8]) -> Descriptor {
    let mut descriptor = Descriptor::EMPTY;
    if is_keyframe_start(payload) {
        (descriptor.keyframe_start, descriptor.spatial_switch) = (true, true);
        (descriptor.lifts, descriptor.dimensions) = (u8::MAX, dimensions(payload));
    }
    // A fragment that is not the first continues its frame; anything else may begin one.
    descriptor.frame_start = descriptor.keyframe_start
        || !matches!(payload, [first, header, ..] if first & 0x1f == FU_A && header & 0x80 == 0);
    descriptor
}

/// Whether a packet begins a key frame. Encoders for calls repeat their parameter sets with each one, and without them no
/// receiver could begin there: so it is the sequence parameter set that is looked for.
#[must_use]
pub fn is_keyframe_start(payload: &[u8]) -> bool {
    match payload.first().map(|first| first & 0x1f) {
        Some(SPS) => true,
        Some(STAP_A) => units(&payload[1..]).any(|unit| unit.first().is_some_and(|first| first & 0x1f == SPS)),
        _ => false,
    }
}

/// The picture's width and height in a packet that begins a key frame; `None` when it has no parameter set that can be read.
#[must_use]
pub fn dimensions(payload: &[u8]) -> Option<(u16, u16)> {
    match payload.first()? & 0x1f {
        SPS => sps_dimensions(payload),
        STAP_A => units(&payload[1..])
            .find(|unit| unit.first().is_some_and(|first| first & 0x1f == SPS))
            .and_then(sps_dimensions),
        _ => None,
    }
}

/// Appends a packet's NAL units to a byte stream. False when the payload is none that we know.
pub fn append_annex_b(payload: &[u8], stream: &mut Vec<u8>) -> bool {
    let Some(&first) = payload.first() else { return false };
    match first & 0x1f {
        1..=23 => {
            stream.extend_from_slice(&START_CODE);
            stream.extend_from_slice(payload);
            true
        }
        STAP_A => {
            for unit in units(&payload[1..]) {
                stream.extend_from_slice(&START_CODE);
                stream.extend_from_slice(unit);
            }
            true
        }
        FU_A => {
            let Some(&header) = payload.get(1) else { return false };
            if header & 0x80 != 0 {
                stream.extend_from_slice(&START_CODE);
                stream.push(first & 0xe0 | header & 0x1f);
            }
            stream.extend_from_slice(&payload[2..]);
            true
        }
        _ => false,
    }
}

/// The units of an aggregate, as far as it is whole.
fn units(mut rest: &[u8]) -> impl Iterator<Item = &[u8]> {
    std::iter::from_fn(move || {
        let (size, behind) = rest.split_first_chunk::<2>()?;
        let (unit, behind) = behind.split_at_checked(usize::from(u16::from_be_bytes(*size)))?;
        rest = behind;
        Some(unit)
    })
}

/// Reads a sequence parameter set up to its picture size (ITU-T H.264 §7.3.2.1.1).
fn sps_dimensions(unit: &[u8]) -> Option<(u16, u16)> {
    let mut bits = Bits { bytes: unit.get(1..)?, at: 0, zeros: 0 };
    let profile = bits.take(8)?;
    bits.take(16)?;
    bits.exp_golomb()?;
    let mut chroma = 1;
    if [100, 110, 122, 244, 44, 83, 86, 118, 128, 138, 139, 134, 135].contains(&profile) {
        chroma = bits.exp_golomb()?;
        if chroma == 3 {
            bits.take(1)?;
        }
        bits.exp_golomb()?;
        bits.exp_golomb()?;
        bits.take(1)?;
        if bits.take(1)? == 1 {
            // Scaling matrices: no encoder for calls sends them.
            return None;
        }
    }
    bits.exp_golomb()?;
    match bits.exp_golomb()? {
        0 => {
            bits.exp_golomb()?;
        }
        1 => return None,
        _ => {}
    }
    bits.exp_golomb()?;
    bits.take(1)?;
    let width = bits.exp_golomb()?.checked_add(1)?.checked_mul(16)?;
    let map_height = bits.exp_golomb()?.checked_add(1)?.checked_mul(16)?;
    let frames_only = bits.take(1)?;
    if frames_only == 0 {
        bits.take(1)?;
    }
    bits.take(1)?;
    let height = map_height.checked_mul(2 - frames_only)?;
    let (mut across, mut down) = (0, 0);
    if bits.take(1)? == 1 {
        let (unit_x, unit_y) = match chroma {
            1 => (2, 2 * (2 - frames_only)),
            2 => (2, 2 - frames_only),
            _ => (1, 2 - frames_only),
        };
        across = bits.exp_golomb()?.checked_add(bits.exp_golomb()?)?.checked_mul(unit_x)?;
        down = bits.exp_golomb()?.checked_add(bits.exp_golomb()?)?.checked_mul(unit_y)?;
    }
    let side = |whole: u32, cut: u32| u16::try_from(whole.checked_sub(cut)?).ok();
    Some((side(width, across)?, side(height, down)?))
}

/// A reader of bits that leaves out emulation prevention bytes (ITU-T H.264 §7.4.1).
struct Bits<'a> {
    bytes: &'a [u8],
    at: usize,
    zeros: u8,
}

impl Bits<'_> {
    fn take(&mut self, count: u32) -> Option<u32> {
        let mut value = 0;
        for _ in 0..count {
            if self.at.is_multiple_of(8) {
                self.skip_prevention();
            }
            let byte = *self.bytes.get(self.at / 8)?;
            value = value << 1 | u32::from(byte >> (7 - self.at % 8) & 1);
            self.at += 1;
        }
        Some(value)
    }

    fn skip_prevention(&mut self) {
        let byte = self.bytes.get(self.at / 8).copied();
        if self.zeros >= 2 && byte == Some(3) {
            self.at += 8;
            self.zeros = 0;
        }
        let byte = self.bytes.get(self.at / 8).copied();
        self.zeros = if byte == Some(0) { self.zeros + 1 } else { 0 };
    }

    fn exp_golomb(&mut self) -> Option<u32> {
        let mut zeros = 0;
        while self.take(1)? == 0 {
            zeros += 1;
            if zeros > 31 {
                return None;
            }
        }
        Some((1u32 << zeros) - 1 + self.take(zeros)?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Constrained baseline, level 3.1, 640×480.
    const SPS_VGA: [u8; 13] = [0x67, 0x42, 0xc0, 0x1f, 0x8c, 0x8d, 0x40, 0x50, 0x1e, 0xd0, 0x0f, 0x08, 0x84];

    #[test]
    fn parameter_sets_begin_key_frames() {
        let mut aggregate = vec![STAP_A, 0, 13];
        aggregate.extend_from_slice(&SPS_VGA);
        aggregate.extend_from_slice(&[0, 2, 0x68, 0xce]);
        assert!(is_keyframe_start(&SPS_VGA) && is_keyframe_start(&aggregate));
        assert!(!is_keyframe_start(&[0x41, 1, 2]) && !is_keyframe_start(&[FU_A, 0x85]) && !is_keyframe_start(&[]));
        assert!(!is_keyframe_start(&[STAP_A, 0, 200, 0x67]), "a unit that lies about its length is none");
        assert_eq!(dimensions(&SPS_VGA), Some((640, 480)));
        assert_eq!(dimensions(&aggregate), Some((640, 480)));
    }

    #[test]
    fn units_become_a_byte_stream() {
        let mut stream = Vec::new();
        assert!(append_annex_b(&[0x65, 1, 2], &mut stream));
        assert!(append_annex_b(&[0x7c, 0x85, 3], &mut stream));
        assert!(append_annex_b(&[0x7c, 0x45, 4], &mut stream));
        assert!(append_annex_b(&[STAP_A, 0, 1, 0x67, 0, 2, 0x68, 9], &mut stream));
        assert!(!append_annex_b(&[], &mut stream) && !append_annex_b(&[0x1e, 0], &mut stream));
        assert!(!append_annex_b(&[FU_A], &mut stream));
        let expected =
            [&[0, 0, 0, 1, 0x65, 1, 2][..], &[0, 0, 0, 1, 0x65, 3, 4], &[0, 0, 0, 1, 0x67], &[0, 0, 0, 1, 0x68, 9]];
        assert_eq!(stream, expected.concat());
    }

    #[test]
    fn nonsense_has_no_size() {
        for len in 0..SPS_VGA.len() {
            let _ = dimensions(&SPS_VGA[..len]);
        }
        assert_eq!(dimensions(&[0x67; 40]).map(|(width, _)| width > 0), dimensions(&[0x67; 40]).map(|_| true));
        assert_eq!(dimensions(&[0x67, 0x42, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0]), None);
    }
}
