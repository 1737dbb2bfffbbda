//! What arrival times say of the path, and whether they can be true.

/// Clocks may drift apart by this share.
const DRIFT: u64 = 500;
/// And be read this roughly: ticks of 250 µs, timestamps taken late.
const SLACK_US: i64 = 20_000;
/// The least delay is remembered for one to two of these.
const BASE_US: u64 = 10_000_000;
/// A queue of this length that grew by so much with each of the last feedbacks is a link that has become far too narrow.
const BUILT_US: u64 = 50_000;
const STEP_US: u64 = 10_000;
const STEPS: u8 = 2;

/// Where the receiver's clock stands against ours. A packet cannot arrive before it was sent, nor after its arrival was told:
/// each feedback bounds the offset (ours minus theirs) from both sides.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Offset {
    pub low_us: i64,
    pub high_us: i64,
}

impl Offset {
    /// Nothing known.
    pub const ANY: Self = Offset { low_us: i64::MIN, high_us: i64::MAX };

    /// A packet arrived, and the arrival is told of now.
    pub fn add(&mut self, sent_us: u64, arrival_us: i64, now_us: u64) {
        self.low_us = self.low_us.max((sent_us as i64).saturating_sub(arrival_us));
        self.high_us = self.high_us.min((now_us as i64).saturating_sub(arrival_us));
    }

    /// Whether there is an offset that explains every arrival.
    pub fn is_possible(self) -> bool {
        self.low_us <= self.high_us.saturating_add(SLACK_US)
    }

    /// Both at once. What is possible each by itself may not be together: then one of the clocks was set.
    pub fn and(self, other: Self) -> Self {
        Offset { low_us: self.low_us.max(other.low_us), high_us: self.high_us.min(other.high_us) }
    }

    /// After some time clocks have drifted.
    pub fn aged(self, passed_us: u64) -> Self {
        let drift_us = (passed_us / DRIFT) as i64;
        Offset { low_us: self.low_us.saturating_sub(drift_us), high_us: self.high_us.saturating_add(drift_us) }
    }
}

/// One-way delay beyond the least of the last 10 to 20 s, which is what waits in queues.
#[derive(Debug)]
pub(super) struct Queueing {
    least_us: i64,
    least_before_us: i64,
    since_us: u64,
    sum_us: i64,
    packets: i64,
    last_us: u64,
    steps: u8,
}

impl Queueing {
    pub fn new() -> Self {
        Queueing {
            least_us: i64::MAX,
            least_before_us: i64::MAX,
            since_us: 0,
            sum_us: 0,
            packets: 0,
            last_us: 0,
            steps: 0,
        }
    }

    /// One packet of a feedback. Its delay is off by the clocks' offset, as everybody's is.
    pub fn add(&mut self, sent_us: u64, arrival_us: i64) {
        let delay_us = arrival_us.saturating_sub(sent_us as i64);
        self.least_us = self.least_us.min(delay_us);
        self.sum_us = self.sum_us.saturating_add(delay_us);
        self.packets += 1;
    }

    /// The receiver's clock was set: delays before and after are not compared. What is known of the queue stays.
    pub fn begin_anew(&mut self) {
        *self = Queueing { last_us: self.last_us, ..Queueing::new() };
    }

    /// The feedback is read: its mean.
    pub fn settle(&mut self, now_us: u64) {
        if self.packets > 0 {
            let least_us = self.least_us.min(self.least_before_us);
            let us = u64::try_from((self.sum_us / self.packets).saturating_sub(least_us)).unwrap_or(0);
            self.steps = if us >= self.last_us + STEP_US { self.steps.saturating_add(1) } else { 0 };
            self.last_us = us;
            (self.sum_us, self.packets) = (0, 0);
        }
        if now_us > self.since_us.saturating_add(BASE_US) {
            self.since_us = now_us;
            self.least_before_us = self.least_us;
            self.least_us = i64::MAX;
        }
    }

    pub fn us(&self) -> u64 {
        self.last_us
    }

    /// Whether a queue builds up so fast that no line need be drawn through it.
    pub fn is_building(&self) -> bool {
        self.last_us >= BUILT_US && self.steps >= STEPS
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn arrivals_that_cannot_be_are_seen() {
        let mut offset = Offset::ANY;
        assert!(offset.is_possible());
        offset.add(1_000_000, 5_025_000, 1_050_000);
        offset.add(1_010_000, 5_035_000, 1_050_000);
        assert!(offset.is_possible());
        // Two packets 10 ms apart cannot arrive 200 ms apart and both be told of 40 ms later.
        let mut absurd = offset;
        absurd.add(1_020_000, 5_235_000, 1_060_000);
        assert!(!absurd.is_possible());
        // Nor can the clock go back.
        let mut back = Offset::ANY;
        back.add(1_100_000, 4_025_000, 1_150_000);
        assert!(back.is_possible() && !offset.aged(100_000).and(back).is_possible());
    }

    #[test]
    fn queueing_is_what_exceeds_the_least_delay() {
        let mut queueing = Queueing::new();
        for packet in 0..100u64 {
            queueing.add(packet * 10_000, packet as i64 * 10_000 - 3_000_000);
        }
        queueing.settle(1_000_000);
        assert_eq!(queueing.us(), 0);
        queueing.add(1_000_000, 1_080_000 - 3_000_000);
        queueing.settle(1_100_000);
        assert_eq!(queueing.us(), 80_000);
        // A longer way is the new normal after a while.
        for second in 2..40u64 {
            queueing.add(second * 1_000_000, (second * 1_000_000 + 80_000) as i64 - 3_000_000);
            queueing.settle(second * 1_000_000 + 50_000);
        }
        assert_eq!(queueing.us(), 0);
    }
}
