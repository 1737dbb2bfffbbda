//! What a client sends: numbering, header extensions, and a few packets kept to send again.

use std::collections::VecDeque;

use super::offer::Line;
use super::{Random, numbers};
use crate::rtp::{self, FIXED_LEN};

/// Packets at the beginning of a stream that name their section and layer. Browsers stop when the receiver has reported.
const NAMED_PACKETS: u32 = 50;

/// One packet to send.
#[derive(Debug, Clone, Copy, Default)]
pub struct Frame<'a> {
    /// The RTP timestamp.
    pub timestamp: u32,
    /// Last packet of its picture, or first after silence.
    pub marker: bool,
    /// RFC 6464: 0 (loudest) to 127, and whether it is voice. For audio.
    pub audio_level: Option<(u8, bool)>,
    /// The payload, with the codec's descriptor.
    pub payload: &'a [u8],
    /// The dependency descriptor; empty where the codec has none.
    pub dependency: &'a [u8],
}

/// How a packet was numbered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Sent {
    /// Its SSRC.
    pub ssrc: u32,
    /// Its sequence number.
    pub sequence: u16,
    /// Its transport-wide sequence number.
    pub transport_sequence: u16,
    pub(super) header_len: usize,
    pub(super) roc: u32,
}

pub(super) struct SendStream {
    pub(super) ssrc: u32,
    pub(super) rtx_ssrc: Option<u32>,
    pub(super) mid: String,
    pub(super) rid: Option<String>,
    payload_type: u8,
    next: u64,
    next_rtx: u64,
    named: u32,
    /// The retransmissions are a stream of their own and name themselves too.
    named_rtx: u32,
    history: VecDeque<Kept>,
}

struct Kept {
    sequence: u16,
    timestamp: u32,
    marker: bool,
    payload: Vec<u8>,
    dependency: Vec<u8>,
}

/// The streams of a line of the plan: one, or one per layer.
pub(super) fn of(at: usize, line: &Line, random: &mut Random) -> Vec<SendStream> {
    let mut stream = |rid: Option<&String>, payload_type: u8, rtx: bool| SendStream {
        ssrc: random.next() as u32,
        rtx_ssrc: rtx.then(|| random.next() as u32),
        mid: at.to_string(),
        rid: rid.cloned(),
        payload_type,
        // Below 2¹⁵, so that the receiver cannot mistake the first round (RFC 3711 §3.3.1).
        next: random.next() % (1 << 15),
        next_rtx: random.next() % (1 << 15),
        named: 0,
        named_rtx: 0,
        history: VecDeque::new(),
    };
    match line {
        Line::Audio => vec![stream(None, numbers::OPUS, false)],
        Line::Redundant => vec![stream(None, numbers::RED, false)],
        Line::H264 => vec![stream(None, numbers::H264, true)],
        Line::Vp9 => vec![stream(None, numbers::VP9, true)],
        Line::Av1 => vec![stream(None, numbers::AV1, true)],
        Line::Video { rids } if rids.is_empty() => vec![stream(None, numbers::VP8, true)],
        Line::Video { rids } => rids.iter().map(|rid| stream(Some(rid), numbers::VP8, true)).collect(),
    }
}

/// What a packet says in its header, besides its names.
#[derive(Clone, Copy)]
struct Said<'a> {
    level: Option<(u8, bool)>,
    dependency: &'a [u8],
}

impl SendStream {
    pub(super) fn write(
        &mut self,
        frame: Frame<'_>,
        transport_sequence: &mut u16,
        history: usize,
        packet: &mut Vec<u8>,
    ) -> Sent {
        let index = self.next;
        self.next += 1;
        let sequence = index as u16;
        packet.clear();
        packet.resize(FIXED_LEN, 0);
        rtp::write_header(packet, self.payload_type, frame.marker, sequence, frame.timestamp, self.ssrc);
        let said = Said { level: frame.audio_level, dependency: frame.dependency };
        let header_len = self.extend(packet, numbers::RID, said, *transport_sequence);
        packet.extend_from_slice(frame.payload);
        if history > 0 {
            if self.history.len() == history {
                self.history.pop_front();
            }
            let (timestamp, marker, payload) = (frame.timestamp, frame.marker, frame.payload.to_vec());
            let dependency = frame.dependency.to_vec();
            self.history.push_back(Kept { sequence, timestamp, marker, payload, dependency });
        }
        let sent = Sent {
            ssrc: self.ssrc,
            sequence,
            transport_sequence: *transport_sequence,
            header_len,
            roc: (index >> 16) as u32,
        };
        *transport_sequence = transport_sequence.wrapping_add(1);
        sent
    }

    /// RFC 4588 §4: another SSRC and payload type, and the original sequence number before the payload.
    pub(super) fn rewrite(
        &mut self,
        sequence: u16,
        transport_sequence: &mut u16,
        packet: &mut Vec<u8>,
    ) -> Option<Sent> {
        let ssrc = self.rtx_ssrc?;
        let kept = self.history.iter().position(|kept| kept.sequence == sequence)?;
        let index = self.next_rtx;
        self.next_rtx += 1;
        packet.clear();
        packet.resize(FIXED_LEN, 0);
        let Kept { timestamp, marker, .. } = self.history[kept];
        let number = match self.payload_type {
            numbers::H264 => numbers::H264_RTX,
            numbers::VP9 => numbers::VP9_RTX,
            numbers::AV1 => numbers::AV1_RTX,
            _ => numbers::RTX,
        };
        rtp::write_header(packet, number, marker, index as u16, timestamp, ssrc);
        let dependency = std::mem::take(&mut self.history[kept].dependency);
        let said = Said { level: None, dependency: &dependency };
        let header_len = self.extend(packet, numbers::REPAIRED_RID, said, *transport_sequence);
        self.history[kept].dependency = dependency;
        packet.extend_from_slice(&sequence.to_be_bytes());
        packet.extend_from_slice(&self.history[kept].payload);
        let sent = Sent {
            ssrc,
            sequence: index as u16,
            transport_sequence: *transport_sequence,
            header_len,
            roc: (index >> 16) as u32,
        };
        *transport_sequence = transport_sequence.wrapping_add(1);
        Some(sent)
    }

    /// Appends the header extensions (RFC 8285), in the two-byte form where one is too long for the other, and returns the whole
    /// header's length.
    fn extend(&mut self, packet: &mut Vec<u8>, rid_id: u8, said: Said<'_>, transport_sequence: u16) -> usize {
        let long = said.dependency.len() > 16;
        packet[0] |= 0x10;
        packet.extend_from_slice(if long { &[0x10, 0, 0, 0] } else { &[0xbe, 0xde, 0, 0] });
        let start = packet.len();
        let mut element = |id: u8, value: &[u8]| {
            if long {
                packet.extend_from_slice(&[id, value.len() as u8]);
            } else {
                packet.push(id << 4 | (value.len() - 1) as u8);
            }
            packet.extend_from_slice(value);
        };
        element(numbers::TRANSPORT_CC, &transport_sequence.to_be_bytes());
        if !said.dependency.is_empty() {
            element(numbers::DEPENDENCY_DESCRIPTOR, said.dependency);
        }
        if let Some((level, voice)) = said.level {
            element(numbers::AUDIO_LEVEL, &[level & 0x7f | u8::from(voice) << 7]);
        }
        let named = if rid_id == numbers::REPAIRED_RID { &mut self.named_rtx } else { &mut self.named };
        if *named < NAMED_PACKETS {
            *named += 1;
            element(numbers::MID, self.mid.as_bytes());
            if let Some(rid) = &self.rid {
                element(rid_id, rid.as_bytes());
            }
        }
        packet.resize(start + (packet.len() - start).next_multiple_of(4), 0);
        let words = ((packet.len() - start) / 4) as u16;
        packet[start - 2..start].copy_from_slice(&words.to_be_bytes());
        packet.len()
    }
}
