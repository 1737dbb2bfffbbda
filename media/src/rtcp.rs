//! RTCP (RFC 3550 §6, RFC 4585): reading compounds part by part, and answering what they ask.
//!
//! A compound is read to its end whatever its parts are: a key frame request often stands behind an empty report. A part that
//! lies about its length ends the reading; a part that is only unknown does not.

use crate::drop::Drop;
use crate::fault::Step;
use crate::layer::SenderReport;
use crate::line::Way;
use crate::outbox::Address;
use crate::shard::Shard;
use crate::track::PeerKey;

/// Packets sent again for one compound at most. A compound can name 6,000; nobody misses that many and lives.
const MOST_RESENDS: usize = 256;

/// Beyond the round trip, a key frame takes this long to be noticed.
const KEYFRAME_ON_ITS_WAY_US: u64 = 300_000;

const SENDER_REPORT: u8 = 200;
const RECEIVER_REPORT: u8 = 201;
const TRANSPORT_FEEDBACK: u8 = 205;
const PAYLOAD_FEEDBACK: u8 = 206;
const GENERIC_NACK: u8 = 1;
const TRANSPORT_WIDE: u8 = 15;
const PICTURE_LOSS: u8 = 1;
const FULL_INTRA_REQUEST: u8 = 4;
const APPLICATION_LAYER: u8 = 15;

/// One part of a compound.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Part<'a> {
    /// A sender report: who, NTP time, RTP timestamp.
    SenderReport {
        /// The stream it reports.
        ssrc: u32,
        /// The sender's clock, NTP 32.32.
        ntp: u64,
        /// The stream's timestamp at that moment.
        timestamp: u32,
    },
    /// One block of a sender or receiver report.
    Block {
        /// The stream it is about.
        ssrc: u32,
        /// Share lost since the last report, in 256ths.
        fraction_lost: u8,
        /// Interarrival jitter, in units of the stream's timestamps.
        jitter: u32,
        /// The middle of the NTP time of the last sender report seen, 0 for none.
        last_report: u32,
        /// Time since then in 65,536ths of a second.
        delay: u32,
    },
    /// Packets asked for again.
    Nack {
        /// The stream.
        ssrc: u32,
        /// Pairs of a sequence number and a bit mask of the 16 that follow, 4 bytes each.
        pairs: &'a [u8],
    },
    /// A key frame asked for.
    KeyframeRequest {
        /// The stream.
        ssrc: u32,
    },
    /// Transport-wide feedback (draft-holmer-rmcat-transport-wide-cc-extensions-01), for [`crate::bwe::Estimator::feedback`].
    TransportFeedback {
        /// The whole part, header included.
        part: &'a [u8],
    },
    /// Receiver estimated maximum bitrate (draft-alvestrand-rmcat-remb-03 §2.2).
    Remb {
        /// In bit/s, over all streams that it names.
        bps: u64,
        /// The streams, 4 bytes each.
        ssrcs: &'a [u8],
    },
}

fn u32_at(bytes: &[u8], at: usize) -> Option<u32> {
    bytes.get(at..at + 4).map(|word| u32::from_be_bytes([word[0], word[1], word[2], word[3]]))
}

/// Reads a decrypted compound, calling `each` for every part that is understood.
///
/// # Errors
/// `RtcpMalformed` when a length lies; the parts before it have been read.
pub fn read<'a>(compound: &'a [u8], mut each: impl FnMut(Part<'a>)) -> Result<(), Drop> {
    let mut rest = compound;
    while !rest.is_empty() {
        let [first, packet_type, high, low, ..] = *rest else { return Err(Drop::RtcpMalformed) };
        let len = 4 * (usize::from(u16::from_be_bytes([high, low])) + 1);
        if first >> 6 != 2 || len > rest.len() {
            return Err(Drop::RtcpMalformed);
        }
        let (part, tail) = rest.split_at(len);
        read_part(first & 0x1f, packet_type, part, &mut each);
        rest = tail;
    }
    Ok(())
}

fn read_part<'a>(count: u8, packet_type: u8, part: &'a [u8], each: &mut impl FnMut(Part<'a>)) {
    match (packet_type, count) {
        (SENDER_REPORT, count) => {
            if let (Some(ssrc), Some(high), Some(low), Some(timestamp)) =
                (u32_at(part, 4), u32_at(part, 8), u32_at(part, 12), u32_at(part, 16))
            {
                each(Part::SenderReport { ssrc, ntp: u64::from(high) << 32 | u64::from(low), timestamp });
                read_blocks(count, part.get(28..).unwrap_or_default(), each);
            }
        }
        (RECEIVER_REPORT, count) => read_blocks(count, part.get(8..).unwrap_or_default(), each),
        (TRANSPORT_FEEDBACK, GENERIC_NACK) => {
            if let (Some(ssrc), Some(pairs)) = (u32_at(part, 8), part.get(12..)) {
                each(Part::Nack { ssrc, pairs });
            }
        }
        (TRANSPORT_FEEDBACK, TRANSPORT_WIDE) => each(Part::TransportFeedback { part }),
        (PAYLOAD_FEEDBACK, APPLICATION_LAYER) => {
            if let Some(remb) = read_remb(part) {
                each(remb);
            }
        }
        (PAYLOAD_FEEDBACK, PICTURE_LOSS) => {
            if let Some(ssrc) = u32_at(part, 8) {
                each(Part::KeyframeRequest { ssrc });
            }
        }
        (PAYLOAD_FEEDBACK, FULL_INTRA_REQUEST) => {
            for entry in part.get(12..).unwrap_or_default().chunks_exact(8) {
                if let Some(ssrc) = u32_at(entry, 0) {
                    each(Part::KeyframeRequest { ssrc });
                }
            }
        }
        _ => {}
    }
}

fn read_blocks<'a>(count: u8, blocks: &[u8], each: &mut impl FnMut(Part<'a>)) {
    for block in blocks.chunks_exact(24).take(usize::from(count)) {
        if let (Some(ssrc), Some(jitter), Some(last_report), Some(delay)) =
            (u32_at(block, 0), u32_at(block, 12), u32_at(block, 16), u32_at(block, 20))
        {
            each(Part::Block { ssrc, fraction_lost: block[4], jitter, last_report, delay });
        }
    }
}

/// The draft's "REMB", the count of streams, and a mantissa of 18 bits behind an exponent of 6.
fn read_remb(part: &[u8]) -> Option<Part<'_>> {
    let (name, word) = (part.get(12..16)?, u32_at(part, 16)?);
    let ssrcs = part.get(20..20 + 4 * (word >> 24) as usize)?;
    let (exponent, mantissa) = ((word >> 18) & 0x3f, u64::from(word & 0x3_ffff));
    // What no number of bits per second can be is as much as there is.
    let bps = if mantissa.leading_zeros() < exponent { u64::MAX } else { mantissa << exponent };
    (name == b"REMB").then_some(Part::Remb { bps, ssrcs })
}

/// The sequence numbers that one NACK names.
pub fn sequences(pairs: &[u8]) -> impl Iterator<Item = u16> + '_ {
    pairs.chunks_exact(4).flat_map(|pair| {
        let first = u16::from_be_bytes([pair[0], pair[1]]);
        let mask = u16::from_be_bytes([pair[2], pair[3]]);
        std::iter::once(first)
            .chain((0..16u16).filter(move |bit| mask >> bit & 1 == 1).map(move |bit| first.wrapping_add(bit + 1)))
    })
}

impl Shard {
    pub(crate) fn on_rtcp(&mut self, now_us: u64, from: Address, bytes: &[u8]) -> Result<(), Drop> {
        let key = self.by_address.get(&from).copied().ok_or(Drop::UnknownAddress)?;
        self.work_for_peer(key, Step::Packet);
        let opener = self.peers[key].opener.as_mut().ok_or(Drop::NoKeys)?;
        let mut compound = std::mem::take(&mut self.sealed);
        compound.clear();
        let result = opener.open_rtcp(bytes, &mut compound).and_then(|()| {
            self.peers[key].told_us = now_us;
            let mut resends = 0;
            #[cfg(feature = "faults")]
            self.plan_fault(key, &compound)?;
            read(&compound, |part| self.on_part(key, part, now_us, &mut resends))
        });
        self.sealed = compound;
        result
    }

    fn on_part(&mut self, key: PeerKey, part: Part<'_>, now_us: u64, resends: &mut usize) {
        match part {
            Part::SenderReport { ssrc, ntp, timestamp } => self.on_sender_report(key, ssrc, ntp, timestamp, now_us),
            Part::Block { ssrc, fraction_lost, jitter, last_report, delay } => {
                self.measure_rtt(key, last_report, delay, now_us);
                self.on_loss_report(key, fraction_lost, now_us);
                self.on_reception(key, ssrc, fraction_lost, jitter);
            }
            Part::Nack { ssrc, pairs } => self.on_nack(key, ssrc, pairs, now_us, resends),
            Part::KeyframeRequest { ssrc } => self.on_keyframe_request(key, ssrc, now_us),
            Part::TransportFeedback { part } => self.on_transport_feedback(key, part, now_us),
            Part::Remb { bps, .. } => self.on_remb(key, bps, now_us),
        }
    }

    fn on_keyframe_request(&mut self, key: PeerKey, ssrc: u32, now_us: u64) {
        self.stats.plis_in += 1;
        let peer = &mut *self.peers[key];
        let Some(place) = peer.slots.iter().position(|slot| slot.stream.ssrc == ssrc) else { return };
        let slot = &mut peer.slots[place];
        // A key frame is on its way already.
        let sent_us = slot.stream.keyframe_us;
        if sent_us != 0 && now_us < sent_us + peer.rtt_us + KEYFRAME_ON_ITS_WAY_US {
            return;
        }
        if !slot.requests.pass(now_us) {
            self.stats.drops[Drop::TooManyRequests as usize] += 1;
            return;
        }
        if let Some(source) = slot.stream.current()
            && let Some(track) = self.tracks.get_mut(source.track)
        {
            track.keyframes.want(usize::from(source.layer));
        }
        self.note_freeze(key, place);
    }

    fn on_sender_report(&mut self, key: PeerKey, ssrc: u32, ntp: u64, timestamp: u32, now_us: u64) {
        let peer = &mut *self.peers[key];
        let Some(inbound) = peer.inbound.iter().find(|inbound| inbound.ssrc == ssrc && !inbound.rtx) else { return };
        let layer = &mut self.tracks[inbound.track].layers[usize::from(inbound.layer)];
        layer.report = Some(SenderReport { ntp, timestamp, arrived_us: now_us });
        // One shift for all tracks of a publisher: their sync to each other is what matters.
        peer.clock_shift_us.get_or_insert(now_us as i64 - crate::layer::ntp_to_us(ntp));
        let (track, layer) = (inbound.track, usize::from(inbound.layer));
        self.relay_report(track, layer, None);
    }

    fn measure_rtt(&mut self, key: PeerKey, last_report: u32, delay: u32, now_us: u64) {
        if last_report == 0 {
            return;
        }
        let now = (crate::reports::ntp_at(now_us) >> 16) as u32;
        let rtt = now.wrapping_sub(last_report).wrapping_sub(delay);
        // A negative or absurd figure is a lie or a stale report.
        if rtt < 10 * 65_536 {
            let rtt_us = u64::from(rtt) * 1_000_000 / 65_536;
            let peer = &mut *self.peers[key];
            peer.rtt_us = (peer.rtt_us * 3 + rtt_us) / 4;
            peer.quality.returned(rtt_us);
        }
    }

    fn on_nack(&mut self, key: PeerKey, ssrc: u32, pairs: &[u8], now_us: u64, resends: &mut usize) {
        let peer = &mut *self.peers[key];
        peer.renew_credit(now_us);
        let rtt_us = peer.rtt_us;
        let (Some(to), Some(sealer)) = (peer.addr, peer.sealer.as_mut()) else { return };
        let Some(slot) = peer.slots.iter_mut().find(|slot| slot.stream.ssrc == ssrc) else { return };
        let line = peer.line.as_deref_mut();
        let mut way = Way { to, sealer, line, now_us, out: &mut self.out };
        for sequence in sequences(pairs) {
            self.stats.nacks_in += 1;
            if *resends == MOST_RESENDS || peer.resend_credit == 0 {
                continue;
            }
            let Some((source, index)) = slot.stream.asked_for(sequence, now_us, rtt_us) else { continue };
            let Some(layer) = source.layer_in(&self.tracks) else { continue };
            let Some((packet, payload)) = layer.ring.find(index) else { continue };
            let dependency = layer.ring.dependency(index).unwrap_or_default();
            slot.stream.resend(sequence, packet, (dependency, payload), &mut way);
            *resends += 1;
            peer.resend_credit -= 1;
            self.stats.resent += 1;
        }
        self.out.close_run();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use rtc_rtcp::payload_feedbacks::picture_loss_indication::PictureLossIndication;
    use rtc_rtcp::payload_feedbacks::receiver_estimated_maximum_bitrate::ReceiverEstimatedMaximumBitrate;
    use rtc_rtcp::receiver_report::ReceiverReport;
    use rtc_rtcp::reception_report::ReceptionReport;
    use rtc_rtcp::sender_report::SenderReport as CrateSenderReport;
    use rtc_rtcp::transport_feedbacks::transport_layer_cc::TransportLayerCc;
    use rtc_rtcp::transport_feedbacks::transport_layer_nack::{TransportLayerNack, nack_pairs_from_sequence_numbers};

    #[test]
    fn reads_what_another_implementation_wrote() {
        let (last_sender_report, delay) = (11, 12);
        let block =
            ReceptionReport { ssrc: 7, fraction_lost: 3, jitter: 5, last_sender_report, delay, ..Default::default() };
        let compound = rtc_rtcp::packet::marshal(&[
            Box::new(CrateSenderReport {
                ssrc: 1,
                ntp_time: 5 << 32,
                rtp_time: 90,
                reports: vec![block.clone()],
                ..Default::default()
            }),
            Box::new(ReceiverReport { ssrc: 2, reports: vec![block], ..Default::default() }),
            Box::new(PictureLossIndication { sender_ssrc: 1, media_ssrc: 9 }),
            Box::new(TransportLayerNack {
                sender_ssrc: 1,
                media_ssrc: 8,
                nacks: nack_pairs_from_sequence_numbers(&[65_534, 1, 40]),
            }),
        ])
        .expect("marshals");
        let mut parts = Vec::new();
        let mut asked = Vec::new();
        read(&compound, |part| match part {
            Part::Nack { ssrc, pairs } => asked.push((ssrc, sequences(pairs).collect::<Vec<_>>())),
            part => parts.push(part),
        })
        .expect("a good compound");
        let block = Part::Block { ssrc: 7, fraction_lost: 3, jitter: 5, last_report: 11, delay: 12 };
        assert_eq!(
            parts,
            [
                Part::SenderReport { ssrc: 1, ntp: 5 << 32, timestamp: 90 },
                block,
                block,
                Part::KeyframeRequest { ssrc: 9 }
            ]
        );
        assert_eq!(asked, [(8, vec![65_534, 1, 40])]);
    }

    #[test]
    fn reads_what_another_implementation_says_of_the_line() {
        let feedback = TransportLayerCc { base_sequence_number: 9, ..Default::default() };
        for (bitrate, bps) in
            [(0.0, 0), (250_000.0, 250_000), (3_000_000.0, 3_000_000), (274_876_858_368.0, 0x3_ffff << 20)]
        {
            let remb = ReceiverEstimatedMaximumBitrate { sender_ssrc: 1, bitrate, ssrcs: vec![7, 8] };
            let compound = rtc_rtcp::packet::marshal(&[Box::new(feedback.clone()), Box::new(remb)]).expect("marshals");
            let mut parts = Vec::new();
            read(&compound, |part| parts.push(part)).expect("a good compound");
            let ssrcs = &[0, 0, 0, 7, 0, 0, 0, 8];
            assert_eq!(parts, [Part::TransportFeedback { part: &compound[..20] }, Part::Remb { bps, ssrcs }]);
        }
    }

    #[test]
    fn a_remb_that_lies_is_none_and_one_without_bounds_is_endless() {
        let remb = |name: &[u8; 4], word: u32| {
            let mut bytes = vec![0x8f, 206, 0, 4, 0, 0, 0, 1, 0, 0, 0, 0];
            bytes.extend_from_slice(name);
            bytes.extend_from_slice(&word.to_be_bytes());
            let mut parts = Vec::new();
            read(&bytes, |part| {
                if let Part::Remb { bps, .. } = part {
                    parts.push(bps);
                }
            })
            .expect("its length is right");
            parts
        };
        assert_eq!(remb(b"REMB", 0x00ff_ffff), [u64::MAX]);
        assert_eq!(remb(b"REMB", 0x0100_0001), [0u64; 0]);
        assert_eq!(remb(b"BREM", 0x0000_0001), [0u64; 0]);
    }

    proptest! {
        #[test]
        fn no_bytes_make_it_panic(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
            let _ = read(&bytes, |part| if let Part::Nack { pairs, .. } = part { sequences(pairs).for_each(drop) });
        }

        /// Behind a good head, nonsense of every kind.
        #[test]
        fn no_body_makes_it_panic(kind in 199u8..=208, count in 0u8..32, body in proptest::collection::vec(any::<u8>(), 0..40)) {
            let words = body.len() / 4;
            let mut bytes = vec![0x80 | count, kind, 0, words as u8];
            bytes.extend_from_slice(&body[..words * 4]);
            prop_assert_eq!(read(&bytes, drop), Ok(()));
        }
    }
}
