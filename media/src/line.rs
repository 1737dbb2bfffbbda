//! A receiver's line: what it bears by its own feedback, and what may leave on it now.

use crate::bwe::{Estimator, Probe};
use crate::outbox::{Outbox, Path};
use crate::pace::Pacer;
use crate::srtp::Sealer;

/// What a line is taken to bear at first, bit/s: enough for a first picture of a small size. Probing corrects it within a second.
const START_BPS: u64 = 600_000;
/// Of what a line bears, this share, in percent, is given to media: packets are sent again, and reports need room too.
const MEDIA_PCT: u64 = 95;
/// A line that bears all that is asked of it is looked at this often; one that is looked at more closely, in each tick.
pub(crate) const CALM_TICK_US: u64 = 50_000;
/// A probe that could not be sent within this time is of no use.
const PROBE_US: u64 = 200_000;

/// A probe that is being sent.
#[derive(Debug, Clone, Copy)]
struct Probing {
    left: usize,
    bps: u64,
    begun_us: u64,
    sent: usize,
}

/// One receiver's line.
#[derive(Debug)]
pub(crate) struct Line {
    pub estimator: Estimator,
    pub pacer: Pacer,
    pacing: bool,
    /// The client tells what arrived packet by packet.
    pub feeds_back: bool,
    probing: Option<Probing>,
    ticked_us: u64,
    /// What the slots were given, bit/s.
    pub allocated_bps: u64,
    /// What they asked for, bit/s.
    pub wanted_bps: u64,
    /// When the slots last followed what the line bears.
    pub followed_us: u64,
}

impl Line {
    pub fn new(pacing: bool, feeds_back: bool) -> Line {
        let mut line = Line {
            estimator: Estimator::new(START_BPS),
            pacer: Pacer::default(),
            pacing,
            feeds_back,
            probing: None,
            ticked_us: 0,
            allocated_bps: 0,
            wanted_bps: 0,
            followed_us: 0,
        };
        line.follow();
        line
    }

    /// The pace follows what the line bears.
    pub fn follow(&mut self) {
        if self.pacing {
            self.pacer.follow(self.estimator.target_bps());
        }
    }

    /// What slots may cost together, bit/s.
    pub fn budget_bps(&self) -> u64 {
        self.estimator.target_bps() * MEDIA_PCT / 100
    }

    /// What must be borne in all for slots that cost so much.
    pub fn gross_bps(&self, slots_bps: u64) -> u64 {
        slots_bps * 100 / MEDIA_PCT
    }

    /// What the slots were given of what they asked for, in percent; `None`: they ask for nothing.
    pub fn share_pct(&self) -> Option<u8> {
        let pct = (self.allocated_bps * 100).checked_div(self.wanted_bps)?;
        Some(pct.min(100) as u8)
    }

    /// Whether it is time to look at the line.
    pub fn is_due(&self, now_us: u64) -> bool {
        now_us >= self.calm_until_us()
    }

    /// Until when nothing needs to be done for the line as it is now; 0: it is looked at in each tick.
    pub fn calm_until_us(&self) -> u64 {
        if self.probing.is_some() || self.estimator.seeks() { 0 } else { self.ticked_us + CALM_TICK_US }
    }

    /// Some times in a second: the estimate ages, and a probe may be due.
    pub fn tick(&mut self, now_us: u64) {
        self.ticked_us = now_us;
        self.estimator.tick(now_us);
        self.follow();
        self.pacer.settle(now_us);
        // Who does not tell what arrived cannot answer a probe.
        if self.probing.is_none() && self.feeds_back {
            self.probing = self.estimator.probe(now_us).map(|Probe { bps, bytes }| Probing {
                left: bytes,
                bps,
                begun_us: now_us,
                sent: 0,
            });
        }
    }

    /// Bytes of the probe that are due now.
    pub fn probe_due(&mut self, now_us: u64) -> usize {
        let Some(probing) = self.probing else { return 0 };
        if now_us > probing.begun_us + PROBE_US || probing.left == 0 {
            self.probing = None;
            return 0;
        }
        // A tick's worth at once, so that a cluster begins with more than one packet.
        let elapsed_us = now_us - probing.begun_us + crate::shard::TICK_US;
        let by_now = (u128::from(probing.bps) * u128::from(elapsed_us) / 8_000_000) as usize;
        by_now.saturating_sub(probing.sent).min(probing.left)
    }

    fn sent(&mut self, bytes: usize, now_us: u64) -> u16 {
        if let Some(probing) = self.probing.as_mut() {
            probing.sent += bytes;
            probing.left = probing.left.saturating_sub(bytes);
        }
        self.pacer.sent(bytes);
        let probe = self.probing.is_some();
        self.estimator.sent(u16::try_from(bytes).unwrap_or(u16::MAX), probe, now_us)
    }
}

/// How packets get to one receiver: sealed, numbered for its feedback, and into the send arena.
pub(crate) struct Way<'a> {
    pub to: Path,
    pub sealer: &'a mut Sealer,
    pub line: Option<&'a mut Line>,
    pub now_us: u64,
    pub out: &'a mut Outbox,
}

impl Way<'_> {
    /// Whether a packet that can wait may leave now.
    pub fn is_open(&self) -> bool {
        self.line.as_ref().is_none_or(|line| line.pacer.is_open())
    }

    /// The number of a packet for the receiver's feedback.
    pub fn number(&mut self, bytes: usize) -> u16 {
        self.line.as_mut().map_or(0, |line| line.sent(bytes, self.now_us))
    }

    /// A packet without a number leaves.
    pub fn passed(&mut self, bytes: usize) {
        if let Some(line) = self.line.as_mut() {
            line.pacer.sent(bytes);
        }
    }
}
