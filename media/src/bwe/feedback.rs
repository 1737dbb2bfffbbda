//! Reads transport-wide feedback (draft-holmer-rmcat-transport-wide-cc-extensions-01 §3.1). The work is bounded by the bytes
//! that arrived: a run of packets is answered as a run.

/// The unit of an arrival delta.
pub(super) const TICK_US: i64 = 250;
/// Ticks in the unit of the reference time.
const REFERENCE_TICKS: i64 = 256;

const TRANSPORT_FEEDBACK: u8 = 205;
const FORMAT: u8 = 15;
/// Header, two SSRCs, base, count, reference time and the feedback's own number.
const HEAD: usize = 20;

/// A feedback whose lengths are right.
#[derive(Debug, Clone, Copy)]
pub(super) struct Feedback<'a> {
    /// The first number it covers, and how many.
    pub base: u16,
    pub count: u16,
    /// 24 bits, in units of 64 ms of the receiver's clock.
    reference: u32,
    chunks: &'a [u8],
    deltas: &'a [u8],
}

/// What a feedback says of packets, by their offset from its base.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Told {
    Missing { offset: u16, len: u16 },
    Arrived { offset: u16, ticks: i64 },
}

/// What one chunk says: so many packets of these symbols.
#[derive(Debug, Clone, Copy)]
enum Chunk {
    Run {
        symbol: u16,
        len: u16,
    },
    /// Symbols of `bits` bits each, the first one highest.
    Vector {
        symbols: u16,
        bits: u16,
    },
}

impl Chunk {
    fn read(word: u16) -> Self {
        match word >> 14 {
            0 | 1 => Chunk::Run { symbol: (word >> 13) & 3, len: word & 0x1fff },
            2 => Chunk::Vector { symbols: word << 2, bits: 1 },
            _ => Chunk::Vector { symbols: word << 2, bits: 2 },
        }
    }

    fn len(self) -> u16 {
        match self {
            Chunk::Run { len, .. } => len,
            Chunk::Vector { bits, .. } => 14 / bits,
        }
    }

    /// The length of the deltas of its first `count` packets; None for the reserved symbol.
    fn delta_bytes(self, count: u16) -> Option<usize> {
        match self {
            Chunk::Run { symbol: 3, .. } => None,
            Chunk::Run { symbol, .. } => Some(usize::from(symbol) * usize::from(count)),
            Chunk::Vector { symbols, bits } => {
                let wanted = if count * bits == 0 { 0 } else { symbols & u16::MAX << (16 - count * bits) };
                // Of two bits, the low one stands for a byte and the high one for two; both are reserved.
                match bits {
                    1 => Some(wanted.count_ones() as usize),
                    _ if wanted & wanted >> 1 & 0x5555 != 0 => None,
                    _ => Some(((wanted & 0x5555).count_ones() + 2 * (wanted & 0xaaaa).count_ones()) as usize),
                }
            }
        }
    }
}

impl<'a> Feedback<'a> {
    /// Reads one RTCP part. None if it is another one, or if its lengths lie.
    pub fn parse(part: &'a [u8]) -> Option<Self> {
        let head = part.first_chunk::<HEAD>()?;
        if head[0] & 0xdf != 0x80 | FORMAT || head[1] != TRANSPORT_FEEDBACK {
            return None;
        }
        let padding = if head[0] & 0x20 == 0 { 0 } else { usize::from(*part.last()?) };
        let body = part.get(HEAD..part.len().checked_sub(padding)?)?;
        let (base, count) = (u16::from_be_bytes([head[12], head[13]]), u16::from_be_bytes([head[14], head[15]]));
        let (mut left, mut at, mut delta_bytes) = (count, 0, 0);
        while left > 0 {
            let chunk = Chunk::read(u16::from_be_bytes([*body.get(at)?, *body.get(at + 1)?]));
            // A run of nothing would be no progress; but it is bounded by the bytes, and harmless.
            let len = chunk.len().min(left);
            delta_bytes += chunk.delta_bytes(len)?;
            left -= len;
            at += 2;
        }
        let (chunks, deltas) = body.split_at(at);
        let deltas = deltas.get(..delta_bytes)?;
        let reference = u32::from_be_bytes([0, head[16], head[17], head[18]]);
        Some(Feedback { base, count, reference, chunks, deltas })
    }

    /// Calls `tell` for each packet that arrived and for runs of those that did not, in the order of numbers. The reference time
    /// is at `reference_ticks` of the receiver's clock.
    pub fn each(&self, reference_ticks: i64, mut tell: impl FnMut(Told)) {
        let mut deltas = self.deltas;
        let mut ticks = reference_ticks;
        let mut delta = move |symbol: u16| {
            // The lengths were checked when the deltas were cut out.
            if symbol == 1 {
                if let [small, rest @ ..] = deltas {
                    ticks += i64::from(*small);
                    deltas = rest;
                }
            } else if let [high, low, rest @ ..] = deltas {
                ticks += i64::from(i16::from_be_bytes([*high, *low]));
                deltas = rest;
            }
            ticks
        };
        let mut offset = 0;
        for word in self.chunks.chunks_exact(2) {
            let chunk = Chunk::read(u16::from_be_bytes([word[0], word[1]]));
            let len = chunk.len().min(self.count - offset);
            match chunk {
                Chunk::Run { symbol: 0, .. } => tell(Told::Missing { offset, len }),
                Chunk::Run { symbol, .. } => {
                    for at in 0..len {
                        tell(Told::Arrived { offset: offset + at, ticks: delta(symbol) });
                    }
                }
                Chunk::Vector { mut symbols, bits } => {
                    for at in 0..len {
                        let symbol = symbols >> (16 - bits);
                        symbols <<= bits;
                        tell(match symbol {
                            0 => Told::Missing { offset: offset + at, len: 1 },
                            _ => Told::Arrived { offset: offset + at, ticks: delta(symbol) },
                        });
                    }
                }
            }
            offset += len;
        }
    }
}

/// The receiver's clock, unwrapped from the 24 bits of reference times.
#[derive(Debug, Default)]
pub(super) struct ReceiverClock {
    last: Option<(u32, i64)>,
}

impl ReceiverClock {
    /// The reference time of a feedback in ticks. Feedback that comes out of order goes back.
    pub fn ticks(&self, feedback: &Feedback<'_>) -> i64 {
        let Some((reference, ticks)) = self.last else { return i64::from(feedback.reference) * REFERENCE_TICKS };
        let turned = (feedback.reference.wrapping_sub(reference) << 8) as i32 >> 8;
        ticks + i64::from(turned) * REFERENCE_TICKS
    }

    /// From here on the clock is read relative to this feedback.
    pub fn accept(&mut self, feedback: &Feedback<'_>, ticks: i64) {
        self.last = Some((feedback.reference, ticks));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use rtc_rtcp::transport_feedbacks::transport_layer_cc::{
        PacketStatusChunk, RecvDelta, RunLengthChunk, StatusChunkTypeTcc, StatusVectorChunk, SymbolSizeTypeTcc,
        SymbolTypeTcc, TransportLayerCc,
    };
    use rtc_shared::marshal::{Marshal, Unmarshal};

    fn symbols(part: &[u8]) -> Option<Vec<(u16, Option<i64>)>> {
        let feedback = Feedback::parse(part)?;
        let mut all = Vec::new();
        feedback.each(0, |told| match told {
            Told::Missing { offset, len } => all.extend((offset..offset + len).map(|offset| (offset, None))),
            Told::Arrived { offset, ticks } => all.push((offset, Some(ticks))),
        });
        Some(all)
    }

    fn marshalled(count: u16, packet_chunks: Vec<PacketStatusChunk>, recv_deltas: Vec<RecvDelta>) -> Vec<u8> {
        let feedback = TransportLayerCc {
            sender_ssrc: 1,
            media_ssrc: 2,
            base_sequence_number: 65_530,
            packet_status_count: count,
            reference_time: 7,
            fb_pkt_count: 3,
            packet_chunks,
            recv_deltas,
        };
        feedback.marshal().expect("marshals").to_vec()
    }

    fn run(packet_status_symbol: SymbolTypeTcc, run_length: u16) -> PacketStatusChunk {
        let type_tcc = StatusChunkTypeTcc::RunLengthChunk;
        PacketStatusChunk::RunLengthChunk(RunLengthChunk { type_tcc, packet_status_symbol, run_length })
    }

    fn vector(symbol_size: SymbolSizeTypeTcc, symbol_list: Vec<SymbolTypeTcc>) -> PacketStatusChunk {
        let type_tcc = StatusChunkTypeTcc::StatusVectorChunk;
        PacketStatusChunk::StatusVectorChunk(StatusVectorChunk { type_tcc, symbol_size, symbol_list })
    }

    #[test]
    fn reads_every_kind_of_chunk_that_another_implementation_wrote() {
        use SymbolTypeTcc::{
            PacketNotReceived as No, PacketReceivedLargeDelta as Large, PacketReceivedSmallDelta as Small,
        };
        let delta = |type_tcc_packet, delta| RecvDelta { type_tcc_packet, delta };
        let one_bit = vec![Small, No, No, Small, No, No, No, No, No, No, No, No, No, Small];
        let part = marshalled(
            27,
            vec![
                run(Small, 2),
                run(No, 3),
                vector(SymbolSizeTypeTcc::OneBit, one_bit),
                vector(SymbolSizeTypeTcc::TwoBit, vec![Large, No, Small, Large, No, No, No]),
                run(Large, 1),
            ],
            vec![
                delta(Small, 250),
                delta(Small, 500),
                delta(Small, 0),
                delta(Small, 63_750),
                delta(Small, 250),
                delta(Large, -1_000),
                delta(Small, 250),
                delta(Large, 8_000_000),
                delta(Large, -250),
            ],
        );
        let read = symbols(&part).expect("is well");
        assert_eq!(read.len(), 27);
        assert!(read.iter().enumerate().all(|(at, symbol)| usize::from(symbol.0) == at));
        let arrived: Vec<(u16, i64)> = read.into_iter().filter_map(|(at, ticks)| Some((at, ticks?))).collect();
        let ticks = [1, 3, 3, 258, 259, 255, 256, 32_256, 32_255];
        let offsets = [0, 1, 5, 8, 18, 19, 21, 22, 26];
        assert_eq!(arrived, offsets.into_iter().zip(ticks).collect::<Vec<_>>());
    }

    #[test]
    fn the_last_chunk_may_be_longer_than_what_it_covers() {
        let part = marshalled(3, vec![run(SymbolTypeTcc::PacketNotReceived, 8191)], vec![]);
        assert_eq!(symbols(&part).expect("is well").len(), 3);
    }

    #[test]
    fn lengths_that_lie_are_refused() {
        let good = marshalled(
            2,
            vec![run(SymbolTypeTcc::PacketReceivedSmallDelta, 2)],
            vec![
                RecvDelta { type_tcc_packet: SymbolTypeTcc::PacketReceivedSmallDelta, delta: 250 },
                RecvDelta { type_tcc_packet: SymbolTypeTcc::PacketReceivedSmallDelta, delta: 250 },
            ],
        );
        assert!(Feedback::parse(&good).is_some());
        for len in 0..good.len() {
            // The crate pads to 32 bits: 20 + 2 + 2 bytes need no padding.
            assert!(Feedback::parse(&good[..len]).is_none(), "{len}");
        }
        let mut reserved = good.clone();
        reserved[20] |= 0x60;
        assert!(Feedback::parse(&reserved).is_none());
        let mut padding = good;
        padding[0] |= 0x20;
        *padding.last_mut().expect("is not empty") = 200;
        assert!(Feedback::parse(&padding).is_none());
    }

    #[test]
    fn the_reference_time_turns_around() {
        let at = |reference| Feedback { base: 0, count: 0, reference, chunks: &[], deltas: &[] };
        let mut clock = ReceiverClock::default();
        let before = at(0xff_ffff);
        let ticks = clock.ticks(&before);
        clock.accept(&before, ticks);
        assert_eq!(clock.ticks(&at(1)) - ticks, 2 * REFERENCE_TICKS);
        assert_eq!(clock.ticks(&at(0xff_fffe)) - ticks, -REFERENCE_TICKS);
    }

    proptest! {
        #[test]
        fn no_bytes_make_it_panic(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
            let _ = symbols(&bytes);
        }

        /// Behind a good head, nonsense of every kind; what is read covers the count, in order.
        #[test]
        fn no_body_makes_it_panic(count in 0u16..2000, body in proptest::collection::vec(any::<u8>(), 0..1200)) {
            let mut part = vec![0x8f, 205, 0, 0, 0, 0, 0, 1, 0, 0, 0, 2, 0, 0];
            part.extend_from_slice(&count.to_be_bytes());
            part.extend_from_slice(&[0, 0, 0, 0]);
            part.extend_from_slice(&body);
            if let Some(read) = symbols(&part) {
                prop_assert_eq!(read.len(), usize::from(count));
                prop_assert!(read.iter().enumerate().all(|(at, symbol)| usize::from(symbol.0) == at));
            }
        }

        /// What our own writer (`twcc`) says is read the same by us and by the protocol crate.
        #[test]
        fn agrees_with_another_implementation(steps in proptest::collection::vec((1u16..40, 0u64..30_000), 1..200)) {
            let mut arrivals = crate::twcc::Arrivals::default();
            let (mut sequence, mut now_us) = (0u16, 1_000_000);
            for (skip, wait_us) in steps {
                sequence = sequence.wrapping_add(skip);
                now_us += wait_us;
                arrivals.record(sequence, now_us);
            }
            let mut part = Vec::new();
            arrivals.feedback(1, 2, &mut part);
            let theirs = TransportLayerCc::unmarshal(&mut &part[..]).expect("is well");
            let ours = symbols(&part).expect("is well");
            let mut ticks = 0;
            let their_ticks: Vec<i64> =
                theirs.recv_deltas.iter().map(|delta| { ticks += delta.delta / TICK_US; ticks }).collect();
            prop_assert_eq!(ours.iter().filter_map(|symbol| symbol.1).collect::<Vec<_>>(), their_ticks);
        }
    }
}
