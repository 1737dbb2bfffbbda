//! Maps the sequence numbers of what is forwarded into a slot onto the one series that its receiver sees, and back for NACKs.
//!
//! A gap in the source stays a gap: the receiver asks for what is missing and may get it later. What the forwarder leaves out on
//! purpose leaves none. A switch of source continues the series where it stood.

use std::collections::VecDeque;

/// Segments remembered. A NACK for a packet of an older one finds nothing: it is long past its use. A slot that leaves out each
/// second frame of 30 a second begins 15 segments in it: these are two seconds.
const MOST_SEGMENTS: usize = 32;

/// A source may leap ahead by this many packets at most. Behind a larger hole, which nobody could repair, the receiver sees a
/// small one: a leap of half the number space would cost it the count of rollovers, and with it every packet to come.
const MOST_LEAP: u64 = 2_048;

/// A run of packets of one source whose numbers differ from the receiver's by a constant.
#[derive(Debug, Clone, Copy)]
struct Segment<S> {
    source: S,
    /// The segments between one switch and the next have the same.
    stint: u32,
    from_index: u64,
    from_out: u64,
}

/// The series of one slot. `S` names a source: a layer of a track, and how its counters are continued.
#[derive(Debug)]
pub struct SeqMap<S> {
    segments: VecDeque<Segment<S>>,
    next_out: u64,
}

impl<S: Copy> SeqMap<S> {
    /// A series whose first number will be `first`.
    #[must_use]
    pub fn new(first: u64) -> SeqMap<S> {
        SeqMap { segments: VecDeque::new(), next_out: first }
    }

    /// The number after the highest one given so far.
    #[must_use]
    pub fn next_out(&self) -> u64 {
        self.next_out
    }

    /// From now on the packets of `source` from `index` on continue the series.
    pub fn switch(&mut self, source: S, index: u64) {
        let stint = self.segments.back().map_or(0, |last| last.stint.wrapping_add(1));
        self.begin(Segment { source, stint, from_index: index, from_out: self.next_out });
    }

    /// The number of a packet of the current source, and the source as it was for that packet; `None` when it lies before the
    /// switch to it, or was left out.
    pub fn forward(&mut self, index: u64) -> Option<(u64, S)> {
        let last = *self.segments.back()?;
        if index < last.from_index {
            return self.forward_late(last.stint, index);
        }
        let out = last.from_out + (index - last.from_index);
        if out > self.next_out + MOST_LEAP {
            let from_out = self.next_out + 1;
            self.begin(Segment { from_index: index, from_out, ..last });
            self.next_out = from_out + 1;
            return Some((from_out, last.source));
        }
        self.next_out = self.next_out.max(out + 1);
        Some((out, last.source))
    }

    /// A packet that was overtaken by one behind which a new segment began.
    fn forward_late(&mut self, stint: u32, index: u64) -> Option<(u64, S)> {
        let at = self.segments.iter().rposition(|segment| segment.stint == stint && index >= segment.from_index)?;
        let segment = self.segments[at];
        let out = segment.from_out + (index - segment.from_index);
        // A packet left out on purpose lies between two segments and has no number.
        if self.segments.get(at + 1).is_some_and(|later| out >= later.from_out) {
            return None;
        }
        self.next_out = self.next_out.max(out + 1);
        Some((out, segment.source))
    }

    /// Leaves out the packet `index` of the current source, without a gap if nothing after it has been forwarded; answers
    /// whether it could.
    pub fn leave_out(&mut self, index: u64) -> bool {
        let Some(segment) = self.segments.back().copied() else { return false };
        if index < segment.from_index {
            return false;
        }
        let out = segment.from_out + (index - segment.from_index);
        if out < self.next_out {
            return false;
        }
        if index == segment.from_index {
            // Nothing of this segment has been sent: move its start.
            if let Some(last) = self.segments.back_mut() {
                last.from_index += 1;
            }
            return true;
        }
        self.begin(Segment { from_index: index + 1, from_out: out, ..segment });
        true
    }

    /// Continues the counters of what comes after a packet that was left out in another way.
    pub fn amend(&mut self, source: S) {
        if let Some(last) = self.segments.back_mut() {
            last.source = source;
        }
    }

    /// What the receiver knows under the low 16 bits of a number: the source and its packet's index.
    #[must_use]
    pub fn source_of(&self, sequence: u16) -> Option<(S, u64, u64)> {
        let last = self.next_out.checked_sub(1)?;
        // The newest number not after the last one with these low bits.
        let back = (last as u16).wrapping_sub(sequence);
        if back >= 0x8000 {
            return None;
        }
        let out = last.checked_sub(u64::from(back))?;
        let segment = self.segments.iter().rev().find(|segment| out >= segment.from_out)?;
        Some((segment.source, segment.from_index + (out - segment.from_out), out))
    }

    fn begin(&mut self, segment: Segment<S>) {
        if self.segments.len() == MOST_SEGMENTS {
            self.segments.pop_front();
        }
        self.segments.push_back(segment);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn keeps_gaps_and_continues_over_a_switch() {
        let mut map = SeqMap::new(100);
        map.switch('a', 7);
        assert_eq!(map.forward(7), Some((100, 'a')));
        assert_eq!(map.forward(9), Some((102, 'a')));
        assert_eq!(map.forward(8), Some((101, 'a')));
        assert_eq!(map.forward(6), None);
        map.switch('b', 5_000);
        assert_eq!(map.forward(5_000), Some((103, 'b')));
        assert_eq!(map.source_of(101), Some(('a', 8, 101)));
        assert_eq!(map.source_of(103), Some(('b', 5_000, 103)));
        assert_eq!(map.source_of(104), None);
    }

    #[test]
    fn what_is_left_out_leaves_no_gap() {
        let mut map = SeqMap::new(10);
        map.switch('a', 0);
        assert_eq!(map.forward(0), Some((10, 'a')));
        map.leave_out(1);
        assert_eq!(map.forward(2), Some((11, 'a')));
        map.leave_out(3);
        map.leave_out(4);
        assert_eq!(map.forward(5), Some((12, 'a')));
        assert_eq!(map.forward(1), None);
        assert_eq!(map.forward(3), None);
        // What comes after a frame that was left out is continued in another way; what came before it is not.
        assert_eq!(map.forward(7), Some((14, 'a')));
        assert!(map.leave_out(8));
        map.amend('b');
        assert_eq!(map.forward(9), Some((15, 'b')));
        assert_eq!(map.forward(6), Some((13, 'a')));
        assert!(!map.leave_out(9));
    }

    #[test]
    fn a_leap_of_the_source_becomes_a_small_hole() {
        let mut map = SeqMap::new(10);
        map.switch('a', 0);
        assert_eq!(map.forward(0), Some((10, 'a')));
        assert_eq!(map.forward(40_000), Some((12, 'a')));
        assert_eq!(map.forward(40_001), Some((13, 'a')));
        assert_eq!(map.forward(39_999), None);
    }

    proptest! {
        /// Numbers never repeat, and each finds its way back to the packet it was given to.
        #[test]
        fn numbers_are_unique_and_reversible(steps in proptest::collection::vec((0u8..10, 0u64..4), 1..300)) {
            let mut map = SeqMap::new(65_500);
            let (mut source, mut index) = (0u32, 1_000u64);
            map.switch(source, index);
            let mut given = std::collections::HashMap::new();
            for (kind, skip) in steps {
                match kind {
                    0 => { source += 1; index += 10_000; map.switch(source, index); }
                    1 => { index += 1; map.leave_out(index); }
                    _ => {
                        index += 1 + skip;
                        if let Some((out, found)) = map.forward(index) {
                            prop_assert_eq!(found, source);
                            prop_assert!(given.insert(out, (source, index)).is_none());
                            prop_assert_eq!(map.source_of(out as u16), Some((source, index, out)));
                        }
                    }
                }
            }
        }
    }
}
