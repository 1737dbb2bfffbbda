//! Spreads what goes to one receiver over time, so that a key frame does not overrun the queues on its way
//! (draft-ietf-rmcat-gcc-02 §4: the pacer).
//!
//! A debt grows by what is sent and shrinks at the pace, a multiple of the estimate. As long as it is small, packets pass at
//! once; else they wait as references into their layers' rings, and cost nothing but that.

/// The pace is this many times the estimate, in percent. A frame of usual size leaves at once.
const PACE_PCT: u64 = 250;
/// What may leave at once: so much time's worth of the pace, so that a picture of usual size leaves in one system call (half of what
/// Chromium's own pacer lets pass) …
const BURST_US: u64 = 20_000;
/// … and at least so many bytes, whatever the estimate is: ten packets, as a connection may begin with (RFC 6928, RFC 9002 §7.2).
const LEAST_BURST: u64 = 12_000;
/// Once that is used up, nothing leaves before this share of it, in percent, may: packets that wait leave in runs, a system call each.
const RUN_PCT: u64 = 50;
/// Slower than this nobody is served: an estimate that is lower would never see its own correction.
const SLOWEST_BPS: u64 = 100_000;
/// Faster than this nobody is served: it keeps the sums within 64 bits.
const MOST_BPS: u64 = 10_000_000_000;

/// One receiver's debt.
#[derive(Debug, Default, Clone, Copy)]
pub(crate) struct Pacer {
    debt_bits: u64,
    settled_us: u64,
    pace_bps: u64,
    /// A burst was used up, and not enough of it paid since.
    closed: bool,
}

impl Pacer {
    /// From now on this is what the line bears.
    pub fn follow(&mut self, estimate_bps: u64) {
        self.pace_bps = (estimate_bps * PACE_PCT / 100).max(SLOWEST_BPS);
    }

    /// So much time's worth of debt is paid.
    pub fn settle(&mut self, now_us: u64) {
        let elapsed_us = now_us.saturating_sub(self.settled_us);
        self.settled_us = now_us;
        // A second pays every debt there can be.
        let paid_bits = elapsed_us.min(1_000_000) * self.pace_bps.min(MOST_BPS) / 1_000_000;
        self.debt_bits = self.debt_bits.saturating_sub(paid_bits);
        if self.debt_bits <= self.burst_bits() * (100 - RUN_PCT) / 100 {
            self.closed = false;
        }
    }

    fn burst_bits(&self) -> u64 {
        (self.pace_bps * BURST_US / 1_000_000).max(8 * LEAST_BURST)
    }

    /// Whether a packet may leave now. A pacer that follows nothing lets everything pass.
    pub fn is_open(&self) -> bool {
        self.pace_bps == 0 || !self.closed
    }

    /// A packet left.
    pub fn sent(&mut self, bytes: usize) {
        self.debt_bits += 8 * bytes as u64;
        self.closed |= self.debt_bits >= self.burst_bits();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_leaves_keeps_to_the_pace() {
        let mut pacer = Pacer::default();
        assert!(pacer.is_open());
        pacer.follow(1_000_000);
        let mut sent = 0u64;
        for tick in 0..200 {
            pacer.settle(tick * 5_000);
            while pacer.is_open() {
                pacer.sent(1_200);
                sent += 1_200;
            }
        }
        let bps = sent * 8;
        assert!((2_400_000..2_700_000).contains(&bps), "one second carried {bps} bit/s of 2.5 Mbit/s");
    }

    #[test]
    fn a_few_packets_always_pass_at_once() {
        let mut pacer = Pacer::default();
        pacer.follow(50_000);
        pacer.settle(1);
        let burst = std::iter::repeat_with(|| {
            let open = pacer.is_open();
            pacer.sent(1_200);
            open
        });
        assert_eq!(burst.take_while(|open| *open).count(), 10);
    }

    #[test]
    fn what_waits_leaves_in_runs() {
        let mut pacer = Pacer::default();
        pacer.follow(1_000_000);
        let (mut runs, mut packets) = (0, 0);
        for tick in 1..=200 {
            pacer.settle(tick * 5_000);
            let before = packets;
            while pacer.is_open() {
                pacer.sent(1_200);
                packets += 1;
            }
            runs += u32::from(packets > before);
        }
        assert!(packets >= 4 * runs, "{packets} packets in {runs} runs");
    }
}
