//! The loss-based estimate: which bandwidth, together with a loss that the link has anyway, explains best what was lost of what
//! was sent. So a radio link that loses 5 % whatever is sent is not taken for a full one. Maximum likelihood over a few seconds,
//! as libwebrtc's second loss-based estimator; the first one's thresholds (draft-ietf-rmcat-gcc-02 §6) serve where only
//! receiver reports tell of loss.

use super::{LEAST_BPS, MOST_BPS};

/// Observations kept: five seconds.
const KEPT: usize = 20;
/// An observation takes this long, in time of sending, and has at least so many packets.
const INTERVAL_US: u64 = 250_000;
const FEWEST_PACKETS: u32 = 10;
/// Each observation weighs this much of the one that follows it.
const AGEING: f64 = 0.9;
/// The link's own loss is no more than this, plus a share that shrinks with the bandwidth: narrow links may lose more.
const MOST_INHERENT: f64 = 0.05;
const INHERENT_BPS: f64 = 75_000.0;
const LEAST_INHERENT: f64 = 0.001;
/// Less than this lost limits nothing (draft-ietf-rmcat-gcc-02 §6), and needs no explanation.
const LITTLE: f64 = 0.02;
/// One step of Newton's method goes this far.
const NEWTON: f64 = 0.75;
/// Of two bandwidths that explain the loss the higher is preferred a little, per kbit/s and per its logarithm…
const PREFER: f64 = 0.000_2;
const PREFER_LOG: f64 = 0.02;
/// …until loss reaches this share: then the lower is.
const PREFER_BELOW: f64 = 0.15;
/// So many packets, sent at this share of the limit or above, tell that it is too high.
const FEWEST_TELLING: u32 = 40;
const NEAR: f64 = 0.8;
/// The estimate grows by this factor in an observation at most.
const MOST_GROWTH: f64 = 1.3;
/// After much was lost of what met no queue, so by a policer, it grows by this factor only, for ten seconds: it would grow into
/// the same wall again.
const HELD_GROWTH: f64 = 1.02;
const HELD: u8 = 40;
const MUCH: f64 = 0.9;
const NO_QUEUE_US: u64 = 20_000;
/// Receiver reports: below this share (of 256) the rate may grow, above that share it falls.
const FEW_LOST: u8 = 5;
const MANY_LOST: u8 = 26;

#[derive(Debug, Clone, Copy, Default)]
struct Observation {
    packets: u32,
    lost: u32,
    bytes: u32,
    us: u32,
}

impl Observation {
    fn bps(self) -> f64 {
        f64::from(self.bytes) * 8e6 / f64::from(self.us.max(1))
    }
}

/// The estimator.
#[derive(Debug)]
pub(super) struct Loss {
    window: [Observation; KEPT],
    observed: usize,
    open: Observation,
    open_us: Option<u64>,
    inherent: f64,
    /// None while loss limits nothing.
    limit: Option<f64>,
    /// For so many observations the limit grows slowly.
    held: u8,
}

impl Loss {
    pub fn new() -> Self {
        Loss {
            window: [Observation::default(); KEPT],
            observed: 0,
            open: Observation::default(),
            open_us: None,
            inherent: LEAST_INHERENT,
            limit: None,
            held: 0,
        }
    }

    /// The highest rate that loss allows; None when it allows any.
    pub fn limit(&self) -> Option<f64> {
        self.limit
    }

    /// Whether a policer was met a moment ago.
    pub fn is_held(&self) -> bool {
        self.held > 0
    }

    /// The share lost over the last seconds.
    pub fn share(&self) -> f64 {
        let (mut packets, mut lost) = (0.0, 0.0);
        for (observation, weight) in self.weighed() {
            packets += weight * f64::from(observation.packets);
            lost += weight * f64::from(observation.lost);
        }
        if packets > 0.0 { lost / packets } else { 0.0 }
    }

    /// One packet's fate is known, in the order of sending.
    pub fn count(&mut self, sent_us: u64, bytes: u16, is_lost: bool) {
        let open_us = *self.open_us.get_or_insert(sent_us);
        self.open.us = u32::try_from(sent_us.saturating_sub(open_us)).unwrap_or(u32::MAX).max(self.open.us);
        self.open.packets += 1;
        self.open.lost += u32::from(is_lost);
        self.open.bytes = self.open.bytes.saturating_add(u32::from(bytes));
    }

    /// A packet that counted as lost only came late.
    pub fn found(&mut self) {
        if self.open.lost > 0 {
            self.open.lost -= 1;
        } else if let Some(at) = self.observed.checked_sub(1) {
            let last = &mut self.window[at % KEPT];
            last.lost = last.lost.saturating_sub(1);
        }
    }

    /// Closes an observation when it is long enough and looks for what explains all of them. `delay_bps` is what the
    /// delay-based estimate allows, `acked` what arrives, `queueing_us` what it waited.
    pub fn settle(&mut self, delay_bps: f64, acked: Option<f64>, queueing_us: u64) {
        if u64::from(self.open.us) < INTERVAL_US || self.open.packets < FEWEST_PACKETS {
            return;
        }
        self.window[self.observed % KEPT] = std::mem::take(&mut self.open);
        self.open_us = None;
        self.observed += 1;
        let share = self.share();
        if share < LITTLE {
            self.limit = None;
            self.inherent = share.max(LEAST_INHERENT);
            self.held = 0;
            return;
        }
        let now = self.limit.unwrap_or(delay_bps).min(delay_bps);
        self.held = self.held.saturating_sub(1);
        let most = delay_bps.min(now * if self.held > 0 { HELD_GROWTH } else { MOST_GROWTH });
        let prefer = (PREFER_BELOW - share) / (0.002 + (PREFER_BELOW - share).abs());
        // What was lost of far less than the limit says nothing of the limit, unless it was a lot.
        let least = if self.is_telling(now, share) { LEAST_BPS } else { now.min(most) };
        let candidates = [now * 1.02, now, now * 0.95, acked.unwrap_or(now).min(now), delay_bps];
        let mut best = (f64::NEG_INFINITY, now.min(most), self.inherent);
        for candidate in candidates {
            let bandwidth = candidate.max(least).clamp(LEAST_BPS, most.max(LEAST_BPS));
            let inherent = self.inherent_at(bandwidth);
            let fits = self.fits(bandwidth, inherent, prefer);
            if fits > best.0 {
                best = (fits, bandwidth, inherent);
            }
        }
        self.inherent = best.2;
        if best.1 < MUCH * now && queueing_us < NO_QUEUE_US {
            self.held = HELD;
        }
        self.limit = (best.1 < delay_bps * 0.999).then_some(best.1);
    }

    /// A probe came through at this rate.
    pub fn raise(&mut self, bps: f64) {
        if let Some(limit) = self.limit.as_mut() {
            *limit = limit.max(bps);
        }
    }

    /// A receiver report's share of loss, in 256ths, where no other feedback comes. `most_bps` bounds growth, which is faster
    /// towards a rate that the receiver itself named.
    pub fn reported(&mut self, fraction: u8, now_bps: f64, most_bps: Option<f64>, seconds: f64) -> f64 {
        let share = f64::from(fraction) / 256.0;
        self.open = Observation { packets: 256, lost: u32::from(fraction), bytes: 0, us: 0 };
        self.window[self.observed % KEPT] = std::mem::take(&mut self.open);
        self.observed += 1;
        let next = match fraction {
            0..=FEW_LOST => now_bps * if most_bps.is_some() { 1.3f64 } else { 1.08 }.powf(seconds.min(1.0)),
            MANY_LOST.. => now_bps * (1.0 - 0.5 * share),
            _ => now_bps,
        };
        next.min(most_bps.unwrap_or(MOST_BPS)).clamp(LEAST_BPS, MOST_BPS)
    }

    /// Whether the observations can lower a limit: enough packets, at rates near it or lost in great number.
    fn is_telling(&self, limit: f64, share: f64) -> bool {
        let (mut packets, mut bps) = (0, 0.0f64);
        for (observation, _) in self.weighed() {
            packets += observation.packets;
            bps = bps.max(observation.bps());
        }
        packets >= FEWEST_TELLING && (share > PREFER_BELOW || bps > NEAR * limit)
    }

    /// The observations, newest first, with their weights.
    fn weighed(&self) -> impl Iterator<Item = (Observation, f64)> + '_ {
        let newest = self.observed;
        let mut weight = 1.0;
        (1..=newest.min(KEPT)).map(move |back| {
            let weighed = (self.window[(newest - back) % KEPT], weight);
            weight *= AGEING;
            weighed
        })
    }

    /// One Newton step from the loss believed in towards the likeliest one, given a bandwidth.
    fn inherent_at(&self, bandwidth: f64) -> f64 {
        let most = (MOST_INHERENT + INHERENT_BPS / bandwidth).min(1.0);
        let inherent = self.inherent.clamp(LEAST_INHERENT, most);
        let (mut first, mut second) = (0.0, 0.0);
        for (observation, weight) in self.weighed() {
            let lost = f64::from(observation.lost);
            let came = f64::from(observation.packets.saturating_sub(observation.lost));
            let chance = chance_of_loss(inherent, bandwidth, observation.bps());
            first += weight * (lost / chance - came / (1.0 - chance));
            second -= weight * (lost / (chance * chance) + came / ((1.0 - chance) * (1.0 - chance)));
        }
        if second < 0.0 { (inherent - NEWTON * first / second).clamp(LEAST_INHERENT, most) } else { inherent }
    }

    /// The logarithm of how likely the observations are, and the preference.
    fn fits(&self, bandwidth: f64, inherent: f64, prefer: f64) -> f64 {
        let kbps = bandwidth / 1_000.0;
        let preference = prefer * (PREFER * kbps + PREFER_LOG * kbps.ln_1p());
        let mut sum = 0.0;
        for (observation, weight) in self.weighed() {
            let lost = f64::from(observation.lost);
            let packets = f64::from(observation.packets);
            let chance = chance_of_loss(inherent, bandwidth, observation.bps());
            sum +=
                weight * (lost * chance.ln() + (packets - lost).max(0.0) * (1.0 - chance).ln() + preference * packets);
        }
        sum
    }
}

/// The chance that a packet is lost when `sent` bit/s go over a link of a bandwidth and a loss of its own.
fn chance_of_loss(inherent: f64, bandwidth: f64, sent: f64) -> f64 {
    let over = if sent > bandwidth { (1.0 - inherent) * (sent - bandwidth) / sent } else { 0.0 };
    (inherent + over).clamp(1e-6, 1.0 - 1e-6)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Sends at a rate for some seconds over a policed link that loses a share besides; the loss is evenly spread.
    fn run(loss: &mut Loss, from_us: u64, seconds: u64, policed_bps: f64, inherent: f64, delay_bps: f64) -> (u64, f64) {
        let (mut now_us, mut credit, mut due) = (from_us, 0.0, 0.0);
        let mut bps = loss.limit().unwrap_or(delay_bps).min(delay_bps);
        while now_us < from_us + seconds * 1_000_000 {
            now_us += (1_200.0 * 8e6 / bps) as u64;
            credit = f64::min(credit + policed_bps / bps, 5.0);
            due += inherent;
            let is_lost = if due >= 1.0 {
                due -= 1.0;
                true
            } else if credit >= 1.0 {
                credit -= 1.0;
                false
            } else {
                true
            };
            loss.count(now_us, 1_200, is_lost);
            loss.settle(delay_bps, Some(bps.min(policed_bps) * (1.0 - inherent)), 0);
            bps = loss.limit().unwrap_or(delay_bps).min(delay_bps);
        }
        (now_us, bps)
    }

    #[test]
    fn loss_that_a_link_has_anyway_limits_nothing() {
        for inherent in [0.0, 0.01, 0.02, 0.05] {
            let mut loss = Loss::new();
            let (_, bps) = run(&mut loss, 0, 30, 1e9, inherent, 2e6);
            assert!(bps > 1.9e6, "{inherent}: {bps}");
            assert!((loss.share() - inherent).abs() < 0.01);
        }
    }

    #[test]
    fn a_policed_link_is_found_and_left_again() {
        for inherent in [0.0, 0.03, 0.05] {
            let mut loss = Loss::new();
            let (now_us, _) = run(&mut loss, 0, 10, 1e9, inherent, 3e6);
            let (now_us, bps) = run(&mut loss, now_us, 20, 1.5e6, inherent, 3e6);
            // A part of what the policer takes passes for the link's own loss.
            assert!((0.8e6..2.0e6).contains(&bps), "{inherent}: {bps}");
            let (_, bps) = run(&mut loss, now_us, 20, 1e9, inherent, 3e6);
            assert!(bps > 2.8e6, "{inherent}: {bps}");
        }
    }

    #[test]
    fn reports_alone_steer_too() {
        let mut loss = Loss::new();
        assert_eq!(loss.reported(0, 1e6, None, 1.0), 1.08e6);
        assert_eq!(loss.reported(0, 1e6, Some(1.2e6), 1.0), 1.2e6);
        assert_eq!(loss.reported(13, 1e6, None, 1.0), 1e6);
        assert_eq!(loss.reported(128, 1e6, None, 1.0), 0.75e6);
    }
}
