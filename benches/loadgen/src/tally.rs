//! Counting: what arrived of what was sent, and how long it took. Bounded memory, however long a run is.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use serde::Serialize;

/// Buckets of one power of two; a value is known to one part in so many.
const FINE: u64 = 64;
const FINE_BITS: u32 = FINE.trailing_zeros();
/// Values up to 2⁴⁰ ns, eighteen minutes.
const BUCKETS: usize = (40 * FINE) as usize;

/// A histogram of durations, exact to 1.6 %.
#[derive(Clone)]
pub(crate) struct Durations {
    buckets: Vec<u32>,
    count: u64,
    max_ns: u64,
}

impl Default for Durations {
    fn default() -> Self {
        Self { buckets: vec![0; BUCKETS], count: 0, max_ns: 0 }
    }
}

impl Durations {
    pub(crate) fn add_ns(&mut self, ns: u64) {
        self.buckets[bucket(ns)] += 1;
        self.count += 1;
        self.max_ns = self.max_ns.max(ns);
    }

    pub(crate) fn add(&mut self, duration: Duration) {
        self.add_ns(u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX));
    }

    pub(crate) fn count(&self) -> u64 {
        self.count
    }

    /// The value that so many of a hundred do not exceed, in µs. `None` of nothing.
    pub(crate) fn percentile_us(&self, percent: f64) -> Option<f64> {
        let rank = ((self.count as f64 * percent / 100.0).ceil() as u64).max(1);
        let mut seen = 0;
        let at = self.buckets.iter().position(|count| {
            seen += u64::from(*count);
            seen >= rank
        })?;
        Some((upper_ns(at).min(self.max_ns) as f64 / 1000.0).round())
    }

    /// The usual percentiles, in µs.
    pub(crate) fn summary(&self) -> Summary {
        let at = |percent| self.percentile_us(percent);
        Summary {
            count: self.count,
            p50: at(50.0),
            p90: at(90.0),
            p99: at(99.0),
            p999: at(99.9),
            max: (self.count > 0).then_some((self.max_ns as f64 / 1000.0).round()),
        }
    }
}

/// Percentiles of durations in µs; `null` of nothing.
#[derive(Clone, Copy, Debug, Serialize)]
pub(crate) struct Summary {
    pub count: u64,
    pub p50: Option<f64>,
    pub p90: Option<f64>,
    pub p99: Option<f64>,
    pub p999: Option<f64>,
    pub max: Option<f64>,
}

fn bucket(ns: u64) -> usize {
    if ns < FINE {
        return ns as usize;
    }
    let power = ns.ilog2();
    let fine = (ns >> (power - FINE_BITS)) - FINE;
    ((u64::from(power - FINE_BITS + 1) * FINE + fine) as usize).min(BUCKETS - 1)
}

/// The largest value of a bucket.
fn upper_ns(bucket: usize) -> u64 {
    let bucket = bucket as u64;
    if bucket < FINE {
        return bucket;
    }
    let power = bucket / FINE - 1;
    ((bucket % FINE + FINE + 1) << power) - 1
}

/// What was counted, of all peers together.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Counts {
    pub sent: u64,
    /// Packets that came, repairs of lost ones included.
    pub received: u64,
    /// Sequence numbers that should have come.
    pub expected: u64,
    /// Of those received: by retransmission.
    pub recovered: u64,
    /// Of those received: decrypted.
    pub opened: u64,
    /// Of the opened ones: those that could not be.
    pub forged: u64,
    /// Packets that were asked for again.
    pub asked_again: u64,
    pub keyframe_requests: u64,
    pub bytes_received: u64,
    /// Of the expected and of the received ones: sound, which nobody asks for again.
    pub sound: (u64, u64),
}

impl Counts {
    pub(crate) fn since(self, before: Self) -> Self {
        let minus = u64::saturating_sub;
        Self {
            sent: minus(self.sent, before.sent),
            received: minus(self.received, before.received),
            expected: minus(self.expected, before.expected),
            recovered: minus(self.recovered, before.recovered),
            opened: minus(self.opened, before.opened),
            forged: minus(self.forged, before.forged),
            asked_again: minus(self.asked_again, before.asked_again),
            keyframe_requests: minus(self.keyframe_requests, before.keyframe_requests),
            bytes_received: minus(self.bytes_received, before.bytes_received),
            sound: (minus(self.sound.0, before.sound.0), minus(self.sound.1, before.sound.1)),
        }
    }

    pub(crate) fn plus(self, other: Self) -> Self {
        Self {
            sent: self.sent + other.sent,
            received: self.received + other.received,
            expected: self.expected + other.expected,
            recovered: self.recovered + other.recovered,
            opened: self.opened + other.opened,
            forged: self.forged + other.forged,
            asked_again: self.asked_again + other.asked_again,
            keyframe_requests: self.keyframe_requests + other.keyframe_requests,
            bytes_received: self.bytes_received + other.bytes_received,
            sound: (self.sound.0 + other.sound.0, self.sound.1 + other.sound.1),
        }
    }

    /// So many of a stream were expected, and so many came.
    pub(crate) fn came(&mut self, is_sound: bool, expected: u64, received: u64) {
        self.expected += expected;
        self.received += received;
        if is_sound {
            self.sound = (self.sound.0 + expected, self.sound.1 + received);
        }
    }

    pub(crate) fn lost(self) -> u64 {
        self.expected.saturating_sub(self.received)
    }

    /// Of a hundred packets of sound, and of pictures.
    pub(crate) fn loss_percents(self) -> (f64, f64) {
        let percent =
            |expected: u64, received: u64| 100.0 * expected.saturating_sub(received) as f64 / expected.max(1) as f64;
        let (expected, received) = self.sound;
        (percent(expected, received), percent(self.expected - expected, self.received - received))
    }
}

/// Gaps that are remembered of one stream. Beyond it the oldest are given up: a stream that lost so much is not repaired.
const MOST_GAPS: usize = 512;
/// A jump of sequence numbers that is no loss but another beginning.
const MOST_JUMP: u64 = 3000;
/// A packet is asked for so often.
const MOST_ASKS: u8 = 10;

/// The sequence numbers of one received stream.
#[derive(Debug, Default)]
pub(crate) struct Sequence {
    highest: Option<u64>,
    gaps: BTreeMap<u64, Gap>,
}

#[derive(Debug, Clone, Copy)]
struct Gap {
    asks: u8,
    due: Instant,
}

/// What a packet was to its stream.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Arrived {
    /// New; so many numbers were expected by it, itself included.
    New(u64),
    /// One that had been missing.
    Late,
    /// One that had come already, or that nobody waits for any more.
    Known,
}

impl Sequence {
    /// Takes a packet's number. Numbers that it skipped are missing from now on.
    pub(crate) fn take(&mut self, sequence: u16, now: Instant) -> Arrived {
        let Some(highest) = self.highest else {
            self.highest = Some(u64::from(sequence) + (1 << 16));
            return Arrived::New(1);
        };
        let ahead = i64::from(sequence.wrapping_sub(highest as u16) as i16);
        let number = highest.wrapping_add_signed(ahead);
        if ahead <= 0 {
            return if self.gaps.remove(&number).is_some() { Arrived::Late } else { Arrived::Known };
        }
        self.highest = Some(number);
        if number - highest > MOST_JUMP {
            self.gaps.clear();
            return Arrived::New(1);
        }
        for missing in highest + 1..number {
            if self.gaps.len() == MOST_GAPS {
                self.gaps.pop_first();
            }
            self.gaps.insert(missing, Gap { asks: 0, due: now });
        }
        Arrived::New(number - highest)
    }

    /// The highest number with its rollovers, as reports want it.
    pub(crate) fn highest(&self) -> Option<u64> {
        self.highest
    }

    /// Something is missing that is worth asking for.
    pub(crate) fn has_gaps(&self) -> bool {
        !self.gaps.is_empty()
    }

    /// Nothing has come yet.
    pub(crate) fn is_new(&self) -> bool {
        self.highest.is_none()
    }

    /// The missing numbers that are to be asked for now, and again after `again`.
    pub(crate) fn ask(&mut self, now: Instant, again: Duration) -> Vec<u16> {
        let mut asks = Vec::new();
        self.gaps.retain(|number, gap| {
            if gap.due <= now {
                asks.push(*number as u16);
                gap.asks += 1;
                gap.due = now + again;
            }
            gap.asks < MOST_ASKS
        });
        asks
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percentiles_are_exact_to_two_percent() {
        let mut durations = Durations::default();
        for us in 1..=10_000_u64 {
            durations.add_ns(us * 1000);
        }
        for (percent, us) in [(50.0, 5000.0), (90.0, 9000.0), (99.0, 9900.0), (100.0, 10_000.0)] {
            let seen = durations.percentile_us(percent).unwrap();
            assert!((seen / us - 1.0).abs() < 0.02, "{percent}: {seen}");
        }
        let summary = durations.summary();
        assert_eq!((summary.count, summary.max), (10_000, Some(10_000.0)));
        assert!(Durations::default().summary().p99.is_none());
    }

    #[test]
    fn every_duration_has_its_bucket() {
        let mut last = 0;
        for ns in (0..2000).chain((11..63).map(|power| 1 << power)).chain([u64::MAX]) {
            let bucket = bucket(ns);
            assert!(bucket >= last && bucket < BUCKETS, "{ns}");
            assert!(bucket == BUCKETS - 1 || upper_ns(bucket) >= ns, "{ns}: {}", upper_ns(bucket));
            last = bucket;
        }
    }

    #[test]
    fn gaps_are_expected_and_repairs_are_not() {
        let mut sequence = Sequence::default();
        let now = Instant::now();
        assert_eq!(sequence.take(65_534, now), Arrived::New(1));
        assert_eq!(sequence.take(1, now), Arrived::New(3), "over the wrap, with two missing");
        assert_eq!(sequence.take(65_535, now), Arrived::Late);
        assert_eq!(sequence.take(65_535, now), Arrived::Known);
        assert_eq!(sequence.ask(now, Duration::from_millis(100)), [0]);
        assert_eq!(sequence.ask(now, Duration::from_millis(100)), [0_u16; 0], "not yet again");
        assert_eq!(sequence.ask(now + Duration::from_millis(100), Duration::ZERO), [0]);
        assert_eq!(sequence.take(0, now), Arrived::Late);
        assert_eq!(sequence.highest(), Some(0x1_0000 + 65_537));
    }

    #[test]
    fn what_never_comes_is_given_up() {
        let mut sequence = Sequence::default();
        let now = Instant::now();
        sequence.take(0, now);
        assert_eq!(sequence.take(2000, now), Arrived::New(2000));
        assert_eq!(sequence.gaps.len(), MOST_GAPS);
        for _ in 0..MOST_ASKS {
            assert_eq!(sequence.ask(now, Duration::ZERO).len(), MOST_GAPS);
        }
        assert!(sequence.ask(now, Duration::ZERO).is_empty());
        assert_eq!(sequence.take(9000, now), Arrived::New(1), "another beginning");
    }

    #[test]
    fn counts_of_a_window_are_differences() {
        let before = Counts { sent: 5, received: 7, expected: 9, ..Counts::default() };
        let after = Counts { sent: 6, received: 17, expected: 20, ..Counts::default() };
        let window = after.since(before);
        assert_eq!((window.sent, window.received, window.expected, window.lost()), (1, 10, 11, 1));
        assert_eq!(before.plus(window), after);
        let mut both = Counts::default();
        both.came(true, 10, 9);
        both.came(false, 100, 98);
        assert_eq!((both.lost(), both.loss_percents()), (3, (10.0, 2.0)));
    }
}
