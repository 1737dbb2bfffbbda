//! H.264 in RTP (RFC 6184), packetization modes 0 and 1, as Matroska wants it: NAL units behind their lengths, parameter sets in the
//! track's declaration and, since they may change, in the key frames too.

use super::frames::Meta;
use super::webm::{Coding, MOST_PRIVATE, Picture};
use crate::sfu;

/// Types of NAL units (ITU-T H.264 table 7-1) and of aggregates (RFC 6184 table 3).
const IDR: u8 = 5;
const SPS: u8 = 7;
const PPS: u8 = 8;
const DELIMITER: u8 = 9;
const FILLER: u8 = 12;
const STAP_A: u8 = 24;
const FU_A: u8 = 28;
/// A parameter set longer than this is not remembered: two of them fit into the declaration.
const MOST_PARAMETERS: usize = MOST_PRIVATE / 2 - 16;
/// Declared where the parameter sets do not tell; decoders look for themselves.
const UNTOLD_SIZE: (u16, u16) = (640, 360);

/// Reads the packets of one stream in their order.
#[derive(Debug, Default)]
pub struct Parser {
    sps: Vec<u8>,
    pps: Vec<u8>,
    /// The last packet's timestamp, and whether it ended its access unit; `None` after a loss.
    last: Option<(u32, bool)>,
    /// Where the length of the unit stands that fragments are added to.
    fragment_at: Option<usize>,
    unit: AccessUnit,
}

/// What the access unit holds so far.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct AccessUnit {
    /// A slice of a picture.
    pub has_picture: bool,
    /// A picture that decoding can begin with.
    pub is_key: bool,
    /// Both kinds of parameter sets.
    pub has_parameters: bool,
    /// A unit's last fragment did not come.
    pub is_torn: bool,
    has_sps: bool,
}

impl Parser {
    /// Whether an access unit begins with this packet, as far as the one before it tells.
    pub fn begins(&self, meta: &Meta) -> bool {
        self.last.is_some_and(|(timestamp, ended)| ended || timestamp != meta.timestamp)
    }

    /// The packet has been looked at.
    pub fn pass(&mut self, meta: &Meta) {
        self.last = Some((meta.timestamp, meta.marker));
    }

    /// Packets are missing.
    pub fn lose(&mut self) {
        (self.last, self.fragment_at, self.unit) = (None, None, AccessUnit::default());
    }

    /// The first so many of the gathered bytes are gone.
    pub fn shift(&mut self, bytes: usize) {
        self.fragment_at = self.fragment_at.map(|at| at - bytes);
    }

    /// Ends the access unit, and tells what it held.
    pub fn end(&mut self) -> AccessUnit {
        let is_torn = self.fragment_at.take().is_some();
        AccessUnit { is_torn, ..std::mem::take(&mut self.unit) }
    }

    /// Appends a packet's NAL units, each behind its length. False: the payload makes no sense.
    pub fn append(&mut self, payload: &[u8], out: &mut Vec<u8>) -> bool {
        let Some(&first) = payload.first() else { return true };
        match first & 0x1f {
            _ if self.fragment_at.is_some() && first & 0x1f != FU_A => false,
            1..STAP_A => {
                self.append_unit(payload, out);
                true
            }
            STAP_A => self.append_aggregate(&payload[1..], out),
            FU_A => self.append_fragment(payload, out),
            _ => false,
        }
    }

    fn append_unit(&mut self, unit: &[u8], out: &mut Vec<u8>) {
        let Some(&first) = unit.first() else { return };
        if [DELIMITER, FILLER].contains(&(first & 0x1f)) {
            return;
        }
        self.note(first & 0x1f, unit);
        out.extend_from_slice(&(unit.len() as u32).to_be_bytes());
        out.extend_from_slice(unit);
    }

    fn append_aggregate(&mut self, mut rest: &[u8], out: &mut Vec<u8>) -> bool {
        while !rest.is_empty() {
            let Some((size, behind)) = rest.split_first_chunk::<2>() else { return false };
            let Some((unit, behind)) = behind.split_at_checked(usize::from(u16::from_be_bytes(*size))) else {
                return false;
            };
            self.append_unit(unit, out);
            rest = behind;
        }
        true
    }

    fn append_fragment(&mut self, payload: &[u8], out: &mut Vec<u8>) -> bool {
        let &[indicator, header, ref part @ ..] = payload else { return false };
        let (starts, ends) = (header & 0x80 != 0, header & 0x40 != 0);
        if starts == self.fragment_at.is_some() {
            return false;
        }
        let at = *self.fragment_at.get_or_insert(out.len());
        if starts {
            out.extend_from_slice(&[0; 4]);
            out.push(indicator & 0xe0 | header & 0x1f);
        }
        out.extend_from_slice(part);
        if ends {
            self.fragment_at = None;
            let length = (out.len() - at - 4) as u32;
            out[at..at + 4].copy_from_slice(&length.to_be_bytes());
            let kind = header & 0x1f;
            let parameters = if [SPS, PPS].contains(&kind) { out[at + 4..].to_vec() } else { Vec::new() };
            self.note(kind, &parameters);
        }
        true
    }

    fn note(&mut self, kind: u8, unit: &[u8]) {
        let kept = match kind {
            SPS => &mut self.sps,
            PPS => &mut self.pps,
            1..=IDR => {
                self.unit.has_picture = true;
                self.unit.is_key |= kind == IDR;
                return;
            }
            _ => return,
        };
        if unit.len() <= MOST_PARAMETERS && kept != unit {
            *kept = unit.to_vec();
        }
        self.unit.has_sps |= kind == SPS;
        self.unit.has_parameters |= kind == PPS && self.unit.has_sps;
    }

    /// The track's declaration; `None`: no parameter sets have come.
    pub fn picture(&self) -> Option<Picture> {
        // Version, then profile, constraints and level as the set has them, then lengths of four bytes.
        let &[profile, constraints, level] = self.sps.get(1..4)? else { return None };
        if self.pps.is_empty() {
            return None;
        }
        let mut avc = vec![1, profile, constraints, level, 0xff, 0xe1];
        avc.extend_from_slice(&(self.sps.len() as u16).to_be_bytes());
        avc.extend_from_slice(&self.sps);
        avc.push(1);
        avc.extend_from_slice(&(self.pps.len() as u16).to_be_bytes());
        avc.extend_from_slice(&self.pps);
        Some(Picture { coding: Coding::Avc(avc), size: sfu::h264_dimensions(&self.sps).unwrap_or(UNTOLD_SIZE) })
    }

    /// Puts the parameter sets before the access unit that begins there.
    pub fn insert_parameters(&self, start: usize, out: &mut Vec<u8>) {
        let sets = [&self.sps, &self.pps];
        let bytes =
            sets.into_iter().flat_map(|set| (set.len() as u32).to_be_bytes().into_iter().chain(set.iter().copied()));
        out.splice(start..start, bytes);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const SPS_UNIT: [u8; 5] = [0x67, 0x42, 0xc0, 0x1f, 0x8c];
    const PPS_UNIT: [u8; 3] = [0x68, 0xce, 0x3c];

    #[test]
    fn units_stand_behind_their_lengths() {
        let (mut parser, mut out) = (Parser::default(), Vec::new());
        let aggregate = [&[0x78, 0, 5][..], &SPS_UNIT, &[0, 3], &PPS_UNIT].concat();
        assert!(parser.append(&aggregate, &mut out));
        assert!(parser.append(&[0x7c, 0x85, 1, 2], &mut out));
        assert!(parser.append(&[0x7c, 0x05, 3], &mut out));
        assert!(parser.append(&[0x7c, 0x45, 4], &mut out));
        let expected =
            [&[0, 0, 0, 5][..], &SPS_UNIT, &[0, 0, 0, 3], &PPS_UNIT, &[0, 0, 0, 5, 0x65, 1, 2, 3, 4]].concat();
        assert_eq!(out, expected);
        let unit = parser.end();
        assert!(unit.is_key && unit.has_picture && unit.has_parameters && !unit.is_torn);
        let picture = parser.picture().unwrap();
        let avc = [&[1, 0x42, 0xc0, 0x1f, 0xff, 0xe1, 0, 5][..], &SPS_UNIT, &[1, 0, 3], &PPS_UNIT].concat();
        assert_eq!(picture.coding, Coding::Avc(avc));
        let mut bare = vec![9, 0, 0, 0, 1, 0x65];
        parser.insert_parameters(1, &mut bare);
        assert_eq!(bare[..6], [9, 0, 0, 0, 5, 0x67]);
        assert_eq!(bare[17..], [0, 0, 0, 1, 0x65]);
    }

    #[test]
    fn fragments_out_of_place_are_refused() {
        let mut out = Vec::new();
        // The middle without a beginning, a second beginning, another unit in between, an aggregate that ends too early.
        assert!(!Parser::default().append(&[0x7c, 0x05, 3], &mut out));
        let mut parser = Parser::default();
        assert!(parser.append(&[0x7c, 0x85, 1], &mut out));
        assert!(!parser.append(&[0x7c, 0x85, 1], &mut out));
        assert!(!parser.append(&[0x65, 1], &mut out));
        assert!(parser.end().is_torn);
        assert!(!Parser::default().append(&[0x78, 0, 9, 1], &mut out));
        assert!(!Parser::default().append(&[0x79, 0, 9, 1], &mut out));
    }

    proptest! {
        #[test]
        fn no_bytes_make_it_panic(packets in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..24), 0..8)) {
            let (mut parser, mut out) = (Parser::default(), Vec::new());
            for packet in &packets {
                parser.append(packet, &mut out);
            }
            let _ = (parser.picture(), parser.end());
        }
    }
}
