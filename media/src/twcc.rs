//! Transport-wide congestion control feedback to a publisher (draft-holmer-rmcat-transport-wide-cc-extensions-01 §3.1):
//! which packets arrived, and when, so that the browser's estimator can do its work.

/// Packets remembered between two feedbacks. More are dropped from the feedback, oldest first.
const MOST_PACKETS: usize = 2048;
/// A feedback spans this many sequence numbers at most.
const MOST_SPAN: i64 = 4096;
/// The unit of an arrival delta.
const DELTA_US: i64 = 250;
/// The unit of the reference time.
const REFERENCE_US: i64 = 64_000;

/// The arrivals of one publisher's packets since the last feedback.
#[derive(Debug, Default)]
pub struct Arrivals {
    packets: Vec<(i64, u64)>,
    newest: Option<i64>,
    next_base: Option<i64>,
    feedback_count: u8,
}

impl Arrivals {
    /// A packet with this transport-wide number arrived.
    pub fn record(&mut self, sequence: u16, now_us: u64) {
        let unwrapped = match self.newest {
            None => i64::from(sequence),
            Some(newest) => newest + i64::from(sequence.wrapping_sub(newest as u16) as i16),
        };
        self.newest = Some(self.newest.map_or(unwrapped, |newest| newest.max(unwrapped)));
        if self.packets.len() == MOST_PACKETS {
            self.packets.remove(0);
        }
        self.packets.push((unwrapped, now_us));
    }

    /// Whether there is anything to feed back.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.packets.is_empty()
    }

    /// Appends one feedback packet to `out` and forgets what it covers.
    pub fn feedback(&mut self, sender_ssrc: u32, media_ssrc: u32, out: &mut Vec<u8>) {
        self.packets.sort_unstable();
        self.packets.dedup_by_key(|packet| packet.0);
        let Some(&(first, first_us)) = self.packets.first() else { return };
        // Start where the last feedback ended, so that losses between the two are reported.
        let base = self.next_base.filter(|base| *base <= first && first - base < MOST_SPAN).unwrap_or(first);
        let reference = first_us as i64 / REFERENCE_US;
        let mut symbols: Vec<u8> = Vec::with_capacity(self.packets.len());
        let mut deltas: Vec<u8> = Vec::with_capacity(2 * self.packets.len());
        let mut clock_us = reference * REFERENCE_US;
        let mut next = base;
        let mut covered = 0;
        for &(sequence, at_us) in &self.packets {
            let delta = (at_us as i64 - clock_us).div_euclid(DELTA_US);
            if sequence - base >= MOST_SPAN || i16::try_from(delta).is_err() {
                break;
            }
            symbols.extend((next..sequence).map(|_| 0));
            match u8::try_from(delta) {
                Ok(small) => {
                    symbols.push(1);
                    deltas.push(small);
                }
                Err(_) => {
                    symbols.push(2);
                    deltas.extend_from_slice(&(delta as i16).to_be_bytes());
                }
            }
            clock_us += delta * DELTA_US;
            next = sequence + 1;
            covered += 1;
        }
        self.packets.drain(..covered);
        self.next_base = Some(self.next_base.map_or(next, |base| base.max(next)));

        let start = out.len();
        out.extend_from_slice(&[0x80 | 15, 205, 0, 0]);
        out.extend_from_slice(&sender_ssrc.to_be_bytes());
        out.extend_from_slice(&media_ssrc.to_be_bytes());
        out.extend_from_slice(&(base as u16).to_be_bytes());
        out.extend_from_slice(&(symbols.len() as u16).to_be_bytes());
        out.extend_from_slice(&(reference as u32).to_be_bytes()[1..]);
        out.push(self.feedback_count);
        self.feedback_count = self.feedback_count.wrapping_add(1);
        write_chunks(&symbols, out);
        out.extend_from_slice(&deltas);
        finish(out, start);
    }
}

/// Packs status symbols into run-length chunks and two-bit vectors (§3.1.3, §3.1.4).
fn write_chunks(symbols: &[u8], out: &mut Vec<u8>) {
    let mut rest = symbols;
    while let Some(&first) = rest.first() {
        let run = rest.iter().take_while(|symbol| **symbol == first).count().min(0x1fff);
        if run >= 7 {
            out.extend_from_slice(&(u16::from(first) << 13 | run as u16).to_be_bytes());
            rest = &rest[run..];
        } else {
            let take = rest.len().min(7);
            let mut chunk = 0xc000u16;
            for (at, symbol) in rest[..take].iter().enumerate() {
                chunk |= u16::from(*symbol) << (12 - 2 * at);
            }
            out.extend_from_slice(&chunk.to_be_bytes());
            rest = &rest[take..];
        }
    }
}

/// Pads the RTCP packet that begins at `start` to 32 bits and writes its length.
fn finish(out: &mut Vec<u8>, start: usize) {
    let padding = (4 - (out.len() - start) % 4) % 4;
    if padding != 0 {
        out.extend(std::iter::repeat_n(0, padding - 1));
        out.push(padding as u8);
        out[start] |= 0x20;
    }
    let words = ((out.len() - start) / 4 - 1) as u16;
    out[start + 2..start + 4].copy_from_slice(&words.to_be_bytes());
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use rtc_rtcp::transport_feedbacks::transport_layer_cc::{PacketStatusChunk, SymbolTypeTcc, TransportLayerCc};
    use rtc_shared::marshal::Unmarshal;

    /// Reads a feedback with the protocol crate: which numbers arrived, and when in µs.
    fn read(bytes: &[u8]) -> Vec<(u16, i64)> {
        let feedback = TransportLayerCc::unmarshal(&mut &bytes[..]).expect("a readable feedback");
        let mut arrivals = Vec::new();
        let mut sequence = feedback.base_sequence_number;
        let mut clock_us = i64::from(feedback.reference_time) * REFERENCE_US;
        let mut deltas = feedback.recv_deltas.iter();
        let mut left = feedback.packet_status_count;
        for chunk in &feedback.packet_chunks {
            let symbols = match chunk {
                PacketStatusChunk::RunLengthChunk(run) => vec![run.packet_status_symbol; usize::from(run.run_length)],
                PacketStatusChunk::StatusVectorChunk(vector) => vector.symbol_list.clone(),
            };
            for symbol in symbols {
                if left == 0 {
                    break;
                }
                left -= 1;
                if symbol != SymbolTypeTcc::PacketNotReceived {
                    clock_us += deltas.next().expect("a delta for each arrival").delta;
                    arrivals.push((sequence, clock_us));
                }
                sequence = sequence.wrapping_add(1);
            }
        }
        arrivals
    }

    proptest! {
        /// What the protocol crate reads is what arrived, over losses, reordering and the wrap of numbers.
        #[test]
        fn another_implementation_reads_what_arrived(
            start in any::<u16>(),
            steps in proptest::collection::vec((1u16..40, 0u64..30_000), 1..200),
        ) {
            let mut arrivals = Arrivals::default();
            let (mut sequence, mut now_us) = (start, 1_000_000);
            let mut sent = Vec::new();
            for (skip, wait_us) in steps {
                sequence = sequence.wrapping_add(skip);
                now_us += wait_us;
                arrivals.record(sequence, now_us);
                sent.push((sequence, now_us as i64));
            }
            let mut read_back = Vec::new();
            while !arrivals.is_empty() {
                let mut bytes = Vec::new();
                arrivals.feedback(1, 2, &mut bytes);
                read_back.extend(read(&bytes));
            }
            prop_assert_eq!(read_back.len(), sent.len());
            for ((got, at_us), (want, sent_us)) in read_back.into_iter().zip(sent) {
                prop_assert_eq!(got, want);
                prop_assert!((at_us - sent_us).abs() <= DELTA_US);
            }
        }
    }
}
