//! What lies between a guest and the server: loss at random and in bursts, delay, jitter, duplication, a bottleneck with a queue, and
//! outages in one direction. All of it is drawn from the world's seed.

use std::time::{Duration, Instant};

use rand::RngExt;
use rand::rngs::StdRng;

/// One direction of a guest's line.
#[derive(Debug, Clone)]
pub struct Line {
    /// Share lost while the line is in its good condition, in thousandths.
    pub loss_pm: u32,
    /// The chance in thousandths, per datagram, that a burst begins (Gilbert–Elliott: everything is lost in the bad condition).
    pub burst_pm: u32,
    /// The mean length of a burst, in datagrams.
    pub burst_len: u32,
    pub delay: Duration,
    /// Added at random, so that datagrams overtake each other.
    pub jitter: Duration,
    /// Share that arrives twice, in thousandths.
    pub twice_pm: u32,
    /// Bits a second; none: no bottleneck.
    pub capacity_bps: Option<u64>,
    /// What waits at the bottleneck at most; the rest is lost.
    pub queue: Duration,
    /// Nothing passes until then.
    pub down_until: Option<Instant>,
    /// Handshakes and checks pass: what is tested lies behind them.
    pub spares_control: bool,
    bad: bool,
    free_at: Option<Instant>,
}

impl Line {
    pub fn clean() -> Line {
        Line {
            loss_pm: 0,
            burst_pm: 0,
            burst_len: 3,
            delay: Duration::from_millis(20),
            jitter: Duration::ZERO,
            twice_pm: 0,
            capacity_bps: None,
            queue: Duration::from_millis(300),
            down_until: None,
            spares_control: false,
            bad: false,
            free_at: None,
        }
    }

    /// A line as people have them: most are good, some are not.
    pub fn some(random: &mut StdRng) -> Line {
        let mut line = Line::clean();
        line.delay = Duration::from_millis(random.random_range(2..120));
        if random.random_ratio(1, 2) {
            line.jitter = Duration::from_millis(random.random_range(1..40));
        }
        if random.random_ratio(1, 2) {
            line.loss_pm = random.random_range(1..60);
        }
        if random.random_ratio(1, 4) {
            (line.burst_pm, line.burst_len) = (random.random_range(1..15), random.random_range(2..12));
        }
        if random.random_ratio(1, 5) {
            line.twice_pm = random.random_range(1..50);
        }
        if random.random_ratio(1, 6) {
            line.capacity_bps = Some(random.random_range(300_000..4_000_000));
        }
        line
    }

    /// When a datagram of so many bytes arrives: not at all, once or twice.
    pub fn pass(&mut self, now: Instant, bytes: &[u8], random: &mut StdRng) -> [Option<Instant>; 2] {
        let is_media = bytes.first().is_some_and(|first| *first >= 128);
        // The sizes of a handshake's messages differ from run to run, and nothing else may.
        let len = if is_media { bytes.len() } else { 200 };
        let draws: [f64; 4] = std::array::from_fn(|_| random.random());
        if self.down_until.is_some_and(|until| now < until) {
            return [None; 2];
        }
        let chance = |draw: f64, per_mille: u32| draw * 1_000.0 < f64::from(per_mille);
        if is_media || !self.spares_control {
            let turns = if self.bad { 1_000 / self.burst_len.max(1) } else { self.burst_pm };
            self.bad ^= chance(draws[0], turns);
            if self.bad || chance(draws[1], self.loss_pm) {
                return [None; 2];
            }
        }
        let mut leaves = now;
        if let Some(capacity_bps) = self.capacity_bps {
            let begins = self.free_at.map_or(now, |free_at| free_at.max(now));
            if begins > now + self.queue {
                return [None; 2];
            }
            leaves = begins + Duration::from_nanos(len as u64 * 8 * 1_000_000_000 / capacity_bps);
            self.free_at = Some(leaves);
        }
        let arrives = leaves + self.delay + self.jitter.mul_f64(draws[2]);
        let again = chance(draws[3], self.twice_pm).then(|| arrives + self.jitter + Duration::from_millis(3));
        [Some(arrives), again]
    }
}

#[cfg(test)]
mod tests {
    use rand::SeedableRng;

    use super::*;

    fn origin() -> Instant {
        #[expect(clippy::disallowed_methods, reason = "an Instant cannot be made otherwise")]
        Instant::now()
    }

    #[test]
    fn bursts_have_the_length_and_share_that_they_should() {
        let mut random = StdRng::seed_from_u64(1);
        let mut line = Line { burst_pm: 10, burst_len: 3, ..Line::clean() };
        let now = origin();
        let lost: Vec<bool> = (0..100_000).map(|_| line.pass(now, &[0x80; 100], &mut random)[0].is_none()).collect();
        let bursts = lost.windows(2).filter(|pair| !pair[0] && pair[1]).count();
        let share = lost.iter().filter(|lost| **lost).count() as f64 / lost.len() as f64;
        let mean = share * lost.len() as f64 / bursts as f64;
        assert!((2.7..3.3).contains(&mean), "bursts of {mean}");
        assert!((0.025..0.033).contains(&share), "{share} lost");
    }

    #[test]
    fn a_bottleneck_delays_and_then_loses() {
        let mut random = StdRng::seed_from_u64(1);
        let mut line = Line { capacity_bps: Some(800_000), delay: Duration::ZERO, ..Line::clean() };
        let now = origin();
        let arrivals: Vec<_> = (0..100).filter_map(|_| line.pass(now, &[0x80; 1_000], &mut random)[0]).collect();
        assert_eq!(arrivals[0] - now, Duration::from_millis(10));
        assert_eq!(arrivals.len(), 31, "300 ms of queue and the one that is being sent");
    }
}
