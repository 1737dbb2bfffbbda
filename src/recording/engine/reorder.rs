//! Packets in their order again. What is missing is waited for as long as a retransmission may take, and then given up.

use std::collections::BTreeMap;

use super::frames::Meta;

/// How long a missing packet is waited for: repairs come within a second or never.
pub const WAIT_US: i64 = 1_000_000;
/// Packets kept behind a gap: more than 20 Mbit/s bring in a second. One more, and the oldest gap is given up.
const MOST_PACKETS: usize = 2048;
/// Their payload bytes, likewise.
const MOST_BYTES: usize = 3 * 1024 * 1024;
/// A gap wider than this was no loss (the track was muted, the sender jumped): nothing will fill it.
const WIDEST_GAP: u64 = 8192;

/// What becomes of a packet that came.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Arrival {
    /// It is the next one.
    Next,
    /// It is kept until its turn comes.
    Kept,
    /// It was here before, or its turn is over.
    Useless,
}

/// A packet whose turn has come after it was kept.
#[derive(Debug, PartialEq, Eq)]
pub struct Kept {
    /// What it said.
    pub meta: Meta,
    /// Its payload.
    pub payload: Box<[u8]>,
    /// Packets before it never came.
    pub after_loss: bool,
}

/// The packets of one stream.
#[derive(Debug, Default)]
pub struct Reorder {
    next: Option<u64>,
    kept: BTreeMap<u64, Kept>,
    bytes: usize,
    /// When the first packet behind the oldest gap came.
    gap_since_us: i64,
    /// Packets given up.
    pub lost: u64,
}

impl Reorder {
    /// Takes the packet with this index. The stream begins with the first one that comes.
    pub fn offer(&mut self, index: u64, meta: &Meta, payload: &[u8]) -> Arrival {
        let next = *self.next.get_or_insert(index);
        if index == next {
            self.next = Some(next.saturating_add(1));
            self.look_behind();
            return Arrival::Next;
        }
        if index < next || self.kept.contains_key(&index) {
            return Arrival::Useless;
        }
        if self.kept.is_empty() {
            self.gap_since_us = meta.arrived_us;
        }
        self.bytes += payload.len();
        self.kept.insert(index, Kept { meta: *meta, payload: payload.into(), after_loss: false });
        Arrival::Kept
    }

    /// The next kept packet, if nothing is missing before it or what is missing has been waited for long enough.
    pub fn pop(&mut self, now_us: i64) -> Option<Kept> {
        let (&index, _) = self.kept.first_key_value()?;
        let gap = index.saturating_sub(self.next?);
        let hopeless = gap > WIDEST_GAP || self.kept.len() > MOST_PACKETS || self.bytes > MOST_BYTES;
        if gap > 0 && !hopeless && now_us < self.gap_since_us.saturating_add(WAIT_US) {
            return None;
        }
        self.take_first(gap)
    }

    /// The next kept packet, whatever is missing before it.
    pub fn pop_anyway(&mut self) -> Option<Kept> {
        let (&index, _) = self.kept.first_key_value()?;
        self.take_first(index.saturating_sub(self.next?))
    }

    fn take_first(&mut self, gap: u64) -> Option<Kept> {
        let (index, kept) = self.kept.pop_first()?;
        self.bytes -= kept.payload.len();
        self.lost += if gap > WIDEST_GAP { 0 } else { gap };
        self.next = Some(index.saturating_add(1));
        self.look_behind();
        Some(Kept { after_loss: gap > 0, ..kept })
    }

    /// The packet before is gone: if another gap follows, since when is it known?
    fn look_behind(&mut self) {
        let first = self.kept.first_key_value().map(|(index, _)| *index);
        if first.is_some() && first != self.next {
            self.gap_since_us = self.kept.values().map(|kept| kept.meta.arrived_us).min().unwrap_or(self.gap_since_us);
        }
    }

    /// Payload bytes that wait.
    #[cfg(test)]
    pub fn bytes(&self) -> usize {
        self.bytes
    }

    /// Forgets everything: another stream begins.
    pub fn begin_anew(&mut self) {
        *self = Reorder { lost: self.lost, ..Reorder::default() };
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn meta(arrived_us: i64) -> Meta {
        Meta { timestamp: 0, marker: false, keyframe_start: false, arrived_us, captured_us: None }
    }

    #[test]
    fn a_gap_is_waited_for_and_then_given_up() {
        let mut reorder = Reorder::default();
        assert_eq!(reorder.offer(10, &meta(0), b"a"), Arrival::Next);
        assert_eq!(reorder.offer(12, &meta(1_000), b"c"), Arrival::Kept);
        assert_eq!(reorder.offer(12, &meta(1_000), b"c"), Arrival::Useless);
        assert_eq!(reorder.offer(9, &meta(1_000), b"z"), Arrival::Useless);
        assert_eq!(reorder.pop(WAIT_US + 999), None);
        assert_eq!(reorder.offer(11, &meta(900_000), b"b"), Arrival::Next);
        let kept = reorder.pop(900_000).unwrap();
        assert_eq!((&kept.payload[..], kept.after_loss), (&b"c"[..], false));
        assert_eq!(reorder.offer(14, &meta(1_000_000), b"e"), Arrival::Kept);
        assert_eq!(reorder.offer(16, &meta(1_900_000), b"g"), Arrival::Kept);
        let kept = reorder.pop(2_000_000).unwrap();
        assert_eq!((&kept.payload[..], kept.after_loss), (&b"e"[..], true));
        // The second gap has its own time.
        assert_eq!(reorder.pop(2_000_000), None);
        assert!(reorder.pop(2_900_000).unwrap().after_loss);
        assert_eq!(reorder.lost, 2);
        assert_eq!(reorder.offer(13, &meta(3_000_000), b"d"), Arrival::Useless);
    }

    #[test]
    fn what_is_kept_has_an_end() {
        let mut reorder = Reorder::default();
        reorder.offer(0, &meta(0), b"");
        let mut most = 0;
        for index in 2..10_000 {
            reorder.offer(index, &meta(0), &[0; 1400]);
            while reorder.pop(0).is_some() {}
            most = most.max(reorder.kept.len());
        }
        assert!(most <= MOST_PACKETS + 1, "{most} packets were kept");
        assert!(reorder.pop(0).is_none() && reorder.lost == 1);
        // A sender that jumps is not waited for.
        reorder.offer(100_000, &meta(0), b"far");
        assert!(reorder.pop(0).unwrap().after_loss);
    }

    proptest! {
        /// Whatever comes in whatever order: what goes out is in order, each once, and a loss is said where there is one.
        #[test]
        fn out_in_order(arrivals in prop::collection::vec((0u64..200, 0i64..3_000), 1..400)) {
            let mut reorder = Reorder::default();
            let (mut now_us, mut last) = (0, None::<u64>);
            let mut take = |index: u64, after_loss: bool| {
                let goes_on = last.is_none_or(|last| index == last + 1);
                assert!(last.is_none_or(|last| index > last) && goes_on != after_loss, "{last:?} {index} {after_loss}");
                last = Some(index);
            };
            for (index, passed_us) in arrivals {
                now_us += passed_us * 100;
                if reorder.offer(index, &meta(now_us), &index.to_be_bytes()) == Arrival::Next {
                    take(index, false);
                }
                while let Some(kept) = reorder.pop(now_us) {
                    take(u64::from_be_bytes(kept.payload[..].try_into().unwrap()), kept.after_loss);
                }
                prop_assert_eq!(reorder.bytes, reorder.kept.len() * 8);
            }
            while let Some(kept) = reorder.pop_anyway() {
                take(u64::from_be_bytes(kept.payload[..].try_into().unwrap()), kept.after_loss);
            }
        }
    }
}
