//! How much a subscriber's path bears: congestion control on transport-wide feedback, as draft-ietf-rmcat-gcc-02.
//!
//! Each datagram that leaves gets a number ([`Estimator::sent`]); the receiver tells which numbers arrived, and when
//! ([`Estimator::feedback`]). Three opinions follow, and the lowest holds: whether a queue builds up ([`groups`],
//! [`trendline`], [`aimd`]), what loss says ([`loss`]), and what the receiver itself allows (REMB). Probes ([`probe`]) find out
//! what growth alone would take long to reach. Nothing that a receiver says can raise the estimate beyond what it was sent and
//! could have got: numbers must have been sent, times must be possible, and each packet counts once.

mod acked;
mod aimd;
mod delay;
mod feedback;
mod groups;
mod history;
mod loss;
mod probe;
mod trendline;

use crate::drop::Drop;
use acked::Rate;
use aimd::{Aimd, Line};
use delay::{Offset, Queueing};
use feedback::{Feedback, ReceiverClock, TICK_US, Told};
use groups::Groups;
use history::{Fate, History};
use loss::Loss;
pub use probe::Probe;
use probe::{Prober, Wish};
use trendline::{Trendline, Usage};

/// The estimate never falls below this: a voice, and the packets from which something better is learned.
pub const LEAST_BPS: f64 = 50_000.0;
/// And never rises above this: more than any layout of a call shows, and what the history has room for.
pub const MOST_BPS: f64 = 60_000_000.0;

/// Arrivals that are put in order at once. A feedback with more is read in pieces.
const BATCH: usize = 64;
/// After a pause of this length in what is sent, delays before and after are not compared.
const PAUSE_US: u64 = 2_000_000;
/// Feedback is missed when so many packets went unanswered for this time, or two round trips if they are longer…
const PATIENCE_US: u64 = 500_000;
const UNANSWERED: u32 = 8;
/// …and each time the estimate falls to this share.
const SILENCE: f64 = 0.8;
/// After a drop, or when feedback is late, nobody probes for this long.
const CALM_US: u64 = 1_000_000;
/// What waits in queues beyond this is made to drain: for each second of it, so much less is sent.
const QUEUE_US: u64 = 80_000;
const DRAIN_PER_S: f64 = 1.7;
const LEAST_DRAIN: f64 = 0.4;
/// A queue that stands for longer than this after a drop is not ours.
const DRAIN_US: u64 = 3_000_000;
/// Less than this share of the estimate arrives while a queue builds up: the link is overused, whatever the trend says.
const CHOKED: f64 = 0.75;
/// Where loss limits the estimate a probe goes no higher than this multiple of it.
const LOSSY_PROBE: f64 = 1.3;
/// More than this multiple of what was sent cannot have arrived, but for what had waited.
const MOST_ACKED: f64 = 1.5;
/// A REMB holds this long: receivers repeat it each second.
const REMB_US: u64 = 5_000_000;
/// Weight of one round trip in their running mean.
const RTT_SHARE: u64 = 4;
/// No round trip is longer: what seems so was held back.
const MOST_RTT_US: u64 = 10_000_000;

/// One packet that arrived.
#[derive(Debug, Clone, Copy, Default)]
struct Arrival {
    sent_us: u64,
    arrival_us: i64,
    bytes: u16,
    cluster: u8,
}

/// What one feedback brought.
#[derive(Debug)]
struct News {
    any: bool,
    /// When the packet that arrived last did so, and when it was sent.
    newest: Option<(i64, u64)>,
    offset: Offset,
}

/// One subscriber's path: what was sent, what came back, how much it bears. Pure; time in µs of the shard's clock. About 1.5 KB,
/// and a history of 0.5 to 32 KB that grows with the rate.
#[derive(Debug)]
pub struct Estimator {
    history: History,
    clock: ReceiverClock,
    offset: Offset,
    offset_us: u64,
    groups: Groups,
    trendline: Trendline,
    acked: Rate,
    sent: Rate,
    aimd: Aimd,
    loss: Loss,
    prober: Prober,
    queueing: Queueing,
    rtt_us: Option<u64>,
    target: f64,
    wanted: Option<u64>,
    allocated: f64,
    remb: Option<(f64, u64)>,
    reported_us: Option<u64>,
    /// Since when how many packets have had no answer.
    unanswered: u32,
    unanswered_us: u64,
    lowered_us: u64,
    last_sent_us: u64,
    is_heard: bool,
}

impl Estimator {
    /// An estimator that begins at a rate (bit/s), before anything is known.
    #[must_use]
    pub fn new(start_bps: u64) -> Self {
        let start = (start_bps as f64).clamp(LEAST_BPS, MOST_BPS);
        Estimator {
            history: History::new(),
            clock: ReceiverClock::default(),
            offset: Offset::ANY,
            offset_us: 0,
            groups: Groups::default(),
            trendline: Trendline::new(),
            acked: Rate::new(),
            sent: Rate::new(),
            aimd: Aimd::new(start),
            loss: Loss::new(),
            prober: Prober::new(),
            queueing: Queueing::new(),
            rtt_us: None,
            target: start,
            wanted: None,
            allocated: 0.0,
            remb: None,
            reported_us: None,
            unanswered: 0,
            unanswered_us: 0,
            lowered_us: 0,
            last_sent_us: 0,
            is_heard: false,
        }
    }

    /// The transport-wide number of a datagram that leaves now with `bytes` of UDP payload. `probe`: it leaves only because
    /// [`Estimator::probe`] asked for it.
    #[inline]
    pub fn sent(&mut self, bytes: u16, probe: bool, now_us: u64) -> u16 {
        let cluster = match self.prober.is_sending() {
            true => self.prober.tag(self.history.next(), bytes, probe, now_us),
            false => 0,
        };
        if self.unanswered == 0 {
            self.unanswered_us = now_us;
        }
        self.unanswered = self.unanswered.saturating_add(1);
        self.history.push(bytes, cluster, now_us) as u16
    }

    /// One transport-cc feedback: the whole RTCP part, header included.
    ///
    /// # Errors
    /// `Feedback` when it cannot be read, tells of packets that were never sent, or of times that cannot be.
    pub fn feedback(&mut self, part: &[u8], now_us: u64) -> Result<(), Drop> {
        let feedback = Feedback::parse(part).ok_or(Drop::Feedback)?;
        let base = self.history.unwrap(feedback.base, feedback.count).ok_or(Drop::Feedback)?;
        let ticks = self.clock.ticks(&feedback);
        let told = self.offset_of(&feedback, base, ticks, now_us);
        if !told.is_possible() {
            return Err(Drop::Feedback);
        }
        let known = self.offset.aged(now_us.saturating_sub(self.offset_us));
        if !known.and(told).is_possible() {
            // The receiver's clock was set, or it lies. What it says next is compared with this.
            self.begin_anew(told, now_us);
            self.clock.accept(&feedback, ticks);
            return Err(Drop::Feedback);
        }
        let news = self.apply(&feedback, base, ticks, now_us);
        if !news.any {
            return Ok(());
        }
        self.clock.accept(&feedback, ticks);
        (self.offset, self.offset_us) = (known.and(told).and(news.offset), now_us);
        self.is_heard = true;
        self.unanswered = 0;
        self.settle(base + u64::from(feedback.count), news.newest, now_us);
        Ok(())
    }

    /// What the arrivals say of the receiver's clock, roughly: the first was not before any of these was sent, the last not
    /// after now.
    fn offset_of(&self, feedback: &Feedback<'_>, base: u64, ticks: i64, now_us: u64) -> Offset {
        let (mut first, mut last) = (i64::MAX, i64::MIN);
        feedback.each(ticks, |told| {
            if let Told::Arrived { ticks, .. } = told {
                (first, last) = (first.min(ticks), last.max(ticks));
            }
        });
        let mut offset = Offset::ANY;
        if first <= last {
            // Of what is forgotten only the end is known.
            let sent_us = self.history.find(base).map_or(0, |sent| sent.sent_us(now_us));
            offset.add(sent_us, first.saturating_mul(TICK_US), now_us);
            offset.add(0, last.saturating_mul(TICK_US), now_us);
        }
        offset
    }

    fn begin_anew(&mut self, told: Offset, now_us: u64) {
        (self.offset, self.offset_us) = (told, now_us);
        self.groups = Groups::default();
        self.trendline = Trendline::new();
        self.acked = Rate::new();
        self.queueing.begin_anew();
    }

    /// Notes each packet's fate.
    fn apply(&mut self, feedback: &Feedback<'_>, base: u64, ticks: i64, now_us: u64) -> News {
        let mut batch = [Arrival::default(); BATCH];
        let mut len = 0;
        let mut news = News { any: false, newest: None, offset: Offset::ANY };
        feedback.each(ticks, |told| match told {
            Told::Missing { offset, len } => {
                let from = base + u64::from(offset);
                for number in from.max(self.history.first())..from + u64::from(len) {
                    news.any |= self.lost(number, now_us);
                }
            }
            Told::Arrived { offset, ticks } => {
                let Some(arrival) = self.arrived(base + u64::from(offset), ticks * TICK_US, now_us) else { return };
                news.any = true;
                news.newest = news.newest.max(Some((arrival.arrival_us, arrival.sent_us)));
                news.offset.add(arrival.sent_us, arrival.arrival_us, now_us);
                if len == BATCH {
                    self.take_in(&mut batch);
                    len = 0;
                }
                batch[len] = arrival;
                len += 1;
            }
        });
        self.take_in(&mut batch[..len]);
        news
    }

    fn lost(&mut self, number: u64, now_us: u64) -> bool {
        let Some(sent) = self.history.find_mut(number).filter(|sent| sent.fate == Fate::Unknown) else { return false };
        sent.fate = Fate::Lost;
        let (sent_us, bytes) = (sent.sent_us(now_us), sent.bytes);
        self.sent.add(sent_us as i64, u32::from(bytes));
        self.loss.count(sent_us, bytes, true);
        true
    }

    fn arrived(&mut self, number: u64, arrival_us: i64, now_us: u64) -> Option<Arrival> {
        let sent = self.history.find_mut(number)?;
        let before = std::mem::replace(&mut sent.fate, Fate::Arrived);
        let (sent_us, bytes, cluster) = (sent.sent_us(now_us), sent.bytes, sent.cluster);
        match before {
            Fate::Arrived => return None,
            Fate::Lost => self.loss.found(),
            Fate::Unknown => {
                self.sent.add(sent_us as i64, u32::from(bytes));
                self.loss.count(sent_us, bytes, false);
            }
        }
        Some(Arrival { sent_us, arrival_us, bytes, cluster })
    }

    /// Takes arrivals in, in the order in which they arrived.
    fn take_in(&mut self, batch: &mut [Arrival]) {
        if !batch.is_sorted_by_key(|arrival| arrival.arrival_us) {
            batch.sort_unstable_by_key(|arrival| (arrival.arrival_us, arrival.sent_us));
        }
        for arrival in batch {
            if arrival.sent_us > self.last_sent_us.saturating_add(PAUSE_US) {
                self.groups = Groups::default();
                self.trendline = Trendline::new();
            }
            self.last_sent_us = self.last_sent_us.max(arrival.sent_us);
            if let Some(spacing) = self.groups.add(arrival.sent_us, arrival.arrival_us) {
                self.trendline.add(spacing);
            }
            self.acked.add(arrival.arrival_us, u32::from(arrival.bytes));
            self.queueing.add(arrival.sent_us, arrival.arrival_us);
            if arrival.cluster != 0 {
                self.prober.arrived(arrival.cluster, arrival.bytes, arrival.sent_us, arrival.arrival_us);
            }
        }
    }

    /// A feedback is read: what follows from it.
    fn settle(&mut self, covered: u64, newest: Option<(i64, u64)>, now_us: u64) {
        if let Some((_, sent_us)) = newest {
            let rtt_us = now_us.saturating_sub(sent_us).min(MOST_RTT_US);
            self.rtt_us = Some(self.rtt_us.map_or(rtt_us, |mean| (mean * (RTT_SHARE - 1) + rtt_us) / RTT_SHARE));
        }
        self.queueing.settle(now_us);
        let line = self.line(now_us);
        let before = self.aimd.bps();
        self.aimd.update(line, now_us);
        self.loss.settle(self.aimd.bps(), line.acked, self.queueing.us());
        if self.aimd.bps() < before {
            self.prober.dropped(before, self.aimd.bps(), now_us);
        }
        if let Some(found) = self.prober.settle(covered.saturating_sub(1), now_us) {
            self.aimd.raise(found, now_us);
            self.loss.raise(found);
        }
        self.set_target(now_us);
    }

    fn line(&self, now_us: u64) -> Line {
        let sent = self.sent.usual();
        let bounded = |rate: Option<f64>| match (rate, sent) {
            (Some(rate), Some(sent)) => Some(rate.min(MOST_ACKED * sent)),
            _ => None,
        };
        let recent = bounded(self.acked.recent());
        let is_choked = self.queueing.is_building() && recent.is_some_and(|bps| bps < CHOKED * self.aimd.bps());
        Line {
            usage: if is_choked { Usage::Over } else { self.trendline.usage() },
            acked: bounded(self.acked.usual()),
            recent,
            sent,
            allocated: self.allocated,
            rtt_us: self.rtt_us.unwrap_or(PATIENCE_US),
            queueing_us: self.queueing.us(),
            is_probed: self.prober.is_felt(now_us),
            is_choked,
        }
    }

    fn set_target(&mut self, now_us: u64) {
        let mut target = self.aimd.bps();
        if let Some(limit) = self.loss.limit() {
            target = target.min(limit);
        }
        let drains = self.aimd.decreased_us().is_some_and(|at_us| now_us < at_us + DRAIN_US);
        if drains && self.queueing.us() > QUEUE_US {
            let waits_s = (self.queueing.us() - QUEUE_US) as f64 / 1e6;
            target *= (1.0 - DRAIN_PER_S * waits_s).max(LEAST_DRAIN);
        }
        if let Some((allowed, _)) = self.remb {
            target = target.min(allowed);
        }
        self.target = target.clamp(LEAST_BPS, MOST_BPS);
    }

    /// What the receiver says it can take at most (draft-alvestrand-rmcat-remb-03), for clients without transport-cc. It holds
    /// for five seconds, and never stops everything: 0 says nothing.
    pub fn remb(&mut self, bps: u64, now_us: u64) {
        if bps == 0 {
            return;
        }
        self.remb = Some(((bps as f64).clamp(LEAST_BPS, MOST_BPS), now_us));
        self.set_target(now_us);
    }

    /// Share lost (256ths) of a report block and the round trip, for clients without transport-cc. From others it is no news.
    pub fn reported(&mut self, fraction_lost: u8, rtt_us: u64, now_us: u64) {
        if self.is_heard {
            return;
        }
        let last_us = self.reported_us.replace(now_us).unwrap_or(now_us);
        let seconds = now_us.saturating_sub(last_us) as f64 / 1e6;
        self.rtt_us = Some(rtt_us.min(MOST_RTT_US));
        let most = self.remb.map(|(bps, _)| bps);
        let next = self.loss.reported(fraction_lost, self.aimd.bps(), most, seconds);
        self.aimd.raise(next, now_us);
        self.aimd.lower(next, now_us);
        self.set_target(now_us);
    }

    /// Each 10 to 50 ms. Feedback that stays away lowers the estimate, what is no longer said is forgotten.
    pub fn tick(&mut self, now_us: u64) {
        if self.remb.is_some_and(|(_, at_us)| now_us > at_us + REMB_US) {
            self.remb = None;
        }
        let patience_us = PATIENCE_US.max(2 * self.rtt_us.unwrap_or(0));
        let since_us = self.unanswered_us.max(self.lowered_us);
        if self.is_heard && self.unanswered >= UNANSWERED && now_us > since_us.saturating_add(patience_us) {
            self.lowered_us = now_us;
            let before = self.aimd.bps();
            self.aimd.lower(SILENCE * before, now_us);
            self.prober.dropped(before, self.aimd.bps(), now_us);
        }
        self.prober.tick(now_us);
        self.set_target(now_us);
    }

    /// What the path bears, in bit/s: between [`LEAST_BPS`] and [`MOST_BPS`].
    #[must_use]
    pub fn target_bps(&self) -> u64 {
        self.target as u64
    }

    /// What arrived over the last half second, in bit/s.
    #[must_use]
    pub fn acked_bps(&self) -> Option<u64> {
        self.acked.usual().map(|bps| bps as u64)
    }

    /// Share lost over the last seconds, 0 to 1.
    #[must_use]
    pub fn loss(&self) -> f32 {
        self.loss.share() as f32
    }

    /// The round trip, with the time that the receiver gathers feedback.
    #[must_use]
    pub fn rtt_us(&self) -> Option<u64> {
        self.rtt_us
    }

    /// What packets wait in queues, as of the last feedback: delay beyond the least that was seen.
    #[must_use]
    pub fn queueing_us(&self) -> u64 {
        self.queueing.us()
    }

    /// What the allocator would like to send (0: it is content) and what it sends now, in bit/s.
    pub fn wanted(&mut self, wanted_bps: u64, allocated_bps: u64, _now_us: u64) {
        let before = self.wanted.replace(wanted_bps).unwrap_or(u64::MAX) as f64;
        self.allocated = allocated_bps as f64;
        if before <= self.target && wanted_bps as f64 > self.target {
            self.prober.hurry();
        }
    }

    /// Whether more is wanted than the path is known to bear.
    #[must_use]
    pub fn seeks(&self) -> bool {
        self.wanted.is_none_or(|wanted| wanted as f64 > self.target)
    }

    /// A probe to send now: so many bytes of padding or repeats at this rate, each told to [`Estimator::sent`] as a probe.
    pub fn probe(&mut self, now_us: u64) -> Option<Probe> {
        let wanted = self.wanted.map(|bps| bps as f64);
        // A few packets pass a policer that stops more: where loss limits, one goes up in small steps.
        let may = self.loss.limit().map(|_| LOSSY_PROBE * self.target);
        let wish = Wish {
            target: self.target,
            wanted: wanted.into_iter().chain(may).reduce(f64::min),
            allocated: self.allocated,
            is_calm: self.is_calm(now_us),
            is_heard: self.is_heard,
        };
        self.prober.poll(wish, now_us)
    }

    fn is_calm(&self, now_us: u64) -> bool {
        let is_answered = self.unanswered < UNANSWERED || now_us < self.unanswered_us + CALM_US || !self.is_heard;
        let has_dropped = self.aimd.decreased_us().is_some_and(|at_us| now_us < at_us + CALM_US);
        self.trendline.usage() != Usage::Over && is_answered && !has_dropped && !self.loss.is_held()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_estimator_is_small() {
        // Each subscriber has one; the history beside it has 32 KB at most.
        assert!(size_of::<Estimator>() <= 1_536, "{}", size_of::<Estimator>());
    }
}
