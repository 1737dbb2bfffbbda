//! The delay-based estimate: grows while no queue builds up, falls below what arrived when one does
//! (draft-ietf-rmcat-gcc-02 §5.5, with libwebrtc's notion of being near convergence).

use super::trendline::Usage;
use super::{LEAST_BPS, MOST_BPS};

/// On overuse the estimate falls to this share of what arrived; to the first while the queue is still short.
const BACK_OFF_EARLY: f64 = 0.92;
const BACK_OFF: f64 = 0.85;
const SHORT_QUEUE_US: u64 = 40_000;
/// Below this share of the usual rate the recent one shows that the link has changed.
const CHANGED: f64 = 0.7;
/// An estimate below this share of what the link carries lets the queue drain: it does not fall again within a second.
const DRAINS: f64 = 0.95;
const AGAIN_US: u64 = 1_000_000;
/// A probe makes a queue of its own. Up to this delay it is not held against the link.
const PROBE_QUEUE_US: u64 = 100_000;
/// Far from convergence the estimate grows by this share of itself a second.
const GROWTH: f64 = 0.08;
/// And beyond this multiple of what arrived (plus a little for small rates) it does not grow: nothing would bear it out.
const MOST_OVER_ACKED: f64 = 1.5;
const OVER_ACKED_BPS: f64 = 10_000.0;
/// Near convergence the estimate grows by a packet each response time: the round trip and what the detector needs.
const DETECTION_US: f64 = 100_000.0;
const FRAME_RATE: f64 = 30.0;
const PACKET_BITS: f64 = 1_200.0 * 8.0;
const LEAST_GROWTH_BPS: f64 = 4_000.0;
/// Less than this share of the estimate in use is being limited by what there is to send.
const LIMITED: f64 = 0.8;
/// And at this share of it what is sent counts as arriving.
const ARRIVES: f64 = 0.85;

/// What is known of the line at one feedback. Rates in bit/s.
#[derive(Debug, Clone, Copy)]
pub(super) struct Line {
    pub usage: Usage,
    /// What arrived over half a second, and over the last 150 ms.
    pub acked: Option<f64>,
    pub recent: Option<f64>,
    /// What was sent of it, and what is meant to be sent now.
    pub sent: Option<f64>,
    pub allocated: f64,
    pub rtt_us: u64,
    pub queueing_us: u64,
    /// A probe is on its way, or was a moment ago.
    pub is_probed: bool,
    /// A queue builds up so fast that less arrives than is sent.
    pub is_choked: bool,
}

impl Line {
    /// What the link carries while it is full: what arrived of late if that is much less than before, else the better of two
    /// measurements, since the longer one also saw times when there was less to send.
    fn carried(&self) -> Option<f64> {
        match (self.acked, self.recent) {
            (Some(usual), Some(recent)) if recent < CHANGED * usual => Some(recent),
            (Some(usual), Some(recent)) => Some(usual.max(recent)),
            (usual, recent) => usual.or(recent),
        }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Phase {
    Hold,
    Increase,
}

/// The rate at which the link was last overused: mean and spread, in kbit/s.
#[derive(Debug)]
struct Capacity {
    mean: Option<f64>,
    variance: f64,
}

impl Capacity {
    fn overused_at(&mut self, bps: f64) {
        let sample = bps / 1_000.0;
        let mean = self.mean.map_or(sample, |mean| 0.95 * mean + 0.05 * sample);
        let off = mean - sample;
        self.variance = (0.95 * self.variance + 0.05 * off * off / mean.max(1.0)).clamp(0.4, 2.5);
        self.mean = Some(mean);
    }

    /// Three standard deviations around the mean, in bit/s.
    fn bounds(&self) -> Option<(f64, f64)> {
        let mean = self.mean?;
        let spread = 3.0 * (self.variance * mean).sqrt();
        Some(((mean - spread).max(0.0) * 1_000.0, (mean + spread) * 1_000.0))
    }
}

/// The controller.
#[derive(Debug)]
pub(super) struct Aimd {
    target: f64,
    phase: Phase,
    changed_us: u64,
    decreased_us: Option<u64>,
    capacity: Capacity,
}

impl Aimd {
    pub fn new(start_bps: f64) -> Self {
        Aimd {
            target: start_bps,
            phase: Phase::Hold,
            changed_us: 0,
            decreased_us: None,
            capacity: Capacity { mean: None, variance: 0.4 },
        }
    }

    pub fn bps(&self) -> f64 {
        self.target
    }

    /// When the link was last found overused.
    pub fn decreased_us(&self) -> Option<u64> {
        self.decreased_us
    }

    /// One feedback's news.
    pub fn update(&mut self, line: Line, now_us: u64) {
        match line.usage {
            Usage::Over if line.is_probed && line.queueing_us < PROBE_QUEUE_US => self.phase = Phase::Hold,
            Usage::Over => self.decrease(line, now_us),
            // A queue empties: whatever grows now would keep it.
            Usage::Under => self.phase = Phase::Hold,
            Usage::Normal if self.phase == Phase::Hold => {
                self.phase = Phase::Increase;
                self.changed_us = now_us;
            }
            Usage::Normal => self.increase(line, now_us),
        }
    }

    fn increase(&mut self, line: Line, now_us: u64) {
        let seconds = (now_us.saturating_sub(self.changed_us) as f64 / 1e6).min(1.0);
        self.changed_us = now_us;
        // Without a measured rate nothing bears growth out.
        let Some(acked) = line.acked else { return };
        if self.capacity.bounds().is_some_and(|(_, high)| acked > high) {
            self.capacity.mean = None;
        }
        let grown = if self.capacity.mean.is_some() {
            let frame_bits = self.target / FRAME_RATE;
            let packet_bits = frame_bits / (frame_bits / PACKET_BITS).ceil().max(1.0);
            let response_s = (line.rtt_us as f64 + DETECTION_US) / 1e6;
            self.target + seconds * (packet_bits / response_s).max(LEAST_GROWTH_BPS)
        } else {
            self.target * (1.0 + GROWTH * seconds)
        };
        let most = (MOST_OVER_ACKED * acked + OVER_ACKED_BPS).max(self.target);
        self.set(grown.min(most));
    }

    fn decrease(&mut self, line: Line, now_us: u64) {
        self.phase = Phase::Hold;
        let acked = line.carried();
        let back_off = if line.queueing_us < SHORT_QUEUE_US { BACK_OFF_EARLY } else { BACK_OFF };
        let interval_us = line.rtt_us.clamp(10_000, 200_000);
        let is_due = self.decreased_us.is_none_or(|at_us| now_us >= at_us + interval_us);
        let is_far_off = !self.is_limited(line) && acked.is_some_and(|acked| acked < self.target / 2.0);
        let again = self.decreased_us.is_some_and(|at_us| now_us < at_us + AGAIN_US);
        if again && acked.is_some_and(|acked| self.target < DRAINS * acked) {
            return;
        }
        if !is_due && !is_far_off {
            return;
        }
        let Some(acked) = acked else {
            self.set(self.target * BACK_OFF);
            self.decreased(now_us);
            return;
        };
        let mut lower = back_off * acked;
        if lower > self.target
            && let Some(mean) = self.capacity.mean
        {
            lower = back_off * mean * 1_000.0;
        }
        // What is sent arrives, and is far less than the estimate: of what nobody uses a part goes each time, until it is used.
        if self.is_limited(line) && !line.is_choked && line.sent.is_some_and(|sent| acked >= ARRIVES * sent) {
            lower = lower.max(BACK_OFF * self.target);
        } else {
            if self.capacity.bounds().is_some_and(|(low, _)| acked < low) {
                self.capacity.mean = None;
            }
            self.capacity.overused_at(acked);
        }
        self.set(lower.min(self.target));
        self.decreased(now_us);
    }

    fn decreased(&mut self, now_us: u64) {
        self.changed_us = now_us;
        self.decreased_us = Some(now_us);
    }

    /// Whether less is sent than the estimate allows.
    fn is_limited(&self, line: Line) -> bool {
        line.allocated < LIMITED * self.target && line.sent.is_some_and(|sent| sent < LIMITED * self.target)
    }

    /// A probe found this much. Only ever up: a probe that was squeezed says nothing of the rest.
    pub fn raise(&mut self, bps: f64, now_us: u64) {
        if bps > self.target {
            self.set(bps);
            self.changed_us = now_us;
            if self.capacity.bounds().is_some_and(|(_, high)| bps > high) {
                self.capacity.mean = None;
            }
        }
    }

    /// Takes part of the estimate away, for reasons that are not delay.
    pub fn lower(&mut self, bps: f64, now_us: u64) {
        if bps < self.target {
            self.set(bps);
            self.changed_us = now_us;
        }
    }

    fn set(&mut self, bps: f64) {
        self.target = bps.clamp(LEAST_BPS, MOST_BPS);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line(usage: Usage, bps: f64) -> Line {
        Line {
            usage,
            acked: Some(bps),
            recent: Some(bps),
            sent: Some(bps),
            allocated: bps,
            rtt_us: 50_000,
            queueing_us: 100_000,
            is_probed: false,
            is_choked: false,
        }
    }

    #[test]
    fn grows_by_eight_percent_a_second_and_backs_off_below_what_arrived() {
        let mut aimd = Aimd::new(1e6);
        let mut now_us = 0;
        for _ in 0..=20 {
            now_us += 50_000;
            aimd.update(line(Usage::Normal, aimd.bps()), now_us);
        }
        assert!((aimd.bps() / 1.08e6 - 1.0).abs() < 0.01, "{}", aimd.bps());
        aimd.update(line(Usage::Over, 1e6), now_us + 50_000);
        assert_eq!(aimd.bps(), 850_000.0);
        // Near convergence it grows by packets, not by percent.
        let before = aimd.bps();
        for _ in 0..=20 {
            now_us += 50_000;
            aimd.update(line(Usage::Normal, aimd.bps()), now_us);
        }
        assert!((40_000.0..70_000.0).contains(&(aimd.bps() - before)), "{}", aimd.bps() - before);
    }

    #[test]
    fn does_not_grow_beyond_what_is_borne_out() {
        let mut aimd = Aimd::new(1e6);
        for round in 0..1_000 {
            aimd.update(line(Usage::Normal, 500_000.0), 50_000 * round);
        }
        assert_eq!(aimd.bps(), 1e6);
        aimd.raise(2e6, 60_000_000);
        assert_eq!(aimd.bps(), 2e6);
        aimd.raise(1e6, 60_000_000);
        assert_eq!(aimd.bps(), 2e6);
    }

    #[test]
    fn who_sends_little_keeps_it() {
        let mut aimd = Aimd::new(2e6);
        let mut now_us = 1_000_000;
        aimd.update(line(Usage::Over, 500_000.0), now_us);
        assert_eq!(aimd.bps(), 1.7e6);
        // Again and again, until what is sent is all that there is; then less than what arrives, so that the queue drains.
        let mut least = f64::INFINITY;
        for _ in 0..20 {
            now_us += 200_000;
            aimd.update(line(Usage::Over, 500_000.0), now_us);
            least = least.min(aimd.bps());
        }
        assert_eq!(least, 425_000.0);
        // A link that has become too narrow is another matter.
        let mut aimd = Aimd::new(2e6);
        aimd.update(Line { is_choked: true, ..line(Usage::Over, 300_000.0) }, 1_000_000);
        assert_eq!(aimd.bps(), 255_000.0);
    }
}
