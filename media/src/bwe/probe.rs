//! Probes: short clusters of padding or repeats at a rate above the estimate, and what their arrival says. At the start rates
//! grow by factors, later whenever more is wanted than the estimate bears, and once after a drop, since a drop may have been a
//! moment's (libwebrtc's ProbeController and ProbeBitrateEstimator in spirit).

use super::MOST_BPS;

/// A probe lasts this long at its rate, and has at least so many bytes: ten packets of padding.
const PROBE_US: f64 = 20_000.0;
const LEAST_BYTES: f64 = 2_500.0;
/// But it takes no longer than this.
const LONGEST_PROBE_US: f64 = 100_000.0;
/// The first probe, and each that follows one that came through, are this much above what is known.
const FIRST: f64 = 3.0;
const FURTHER: f64 = 2.0;
/// A probe came through when it found this share of its rate.
const CAME_THROUGH: f64 = 0.7;
/// While more is wanted, a probe as often as this: 1 % of what is sent.
const INTERVAL_US: u64 = 4_000_000;
/// Sooner while less than half of the line is used, as the next picture takes more than the rest; doubled twice if nothing is found.
const IDLE_INTERVAL_US: u64 = 1_000_000;
const MOST_DOUBLED: u8 = 2;
const IDLE: f64 = 0.5;
/// A probe that was asked for is sent, and answered, within these times.
const SENDING_US: u64 = 300_000;
const ANSWER_US: u64 = 1_000_000;
/// What it put into queues is gone this long after its answer.
const FELT_US: u64 = 200_000;
/// So many unanswered probes in a row, and it is left to others until feedback comes.
const MOST_UNANSWERED: u8 = 3;
/// A probe that was spoilt is tried again so often, after this time.
const MOST_RETRIES: u8 = 2;
const RETRY_US: u64 = 300_000;
/// A drop below this share is worth a look, this long afterwards, at this share of the rate before it.
const DROP: f64 = 0.66;
const RECOVERY_US: u64 = 1_000_000;
const RECOVERY: f64 = 0.85;
/// Drops within this time are one.
const ONE_DROP_US: u64 = 5_000_000;
/// Less than this above the estimate is not worth a probe.
const WORTHWHILE: f64 = 1.05;
/// What is wanted is probed for with this much to spare, so that the estimate can bear it.
const TO_SPARE: f64 = 1.1;
/// A result needs this many packets, and this share of what was sent.
const FEWEST_PACKETS: u32 = 4;
const LEAST_SHARE: f64 = 0.8;
/// Arriving this much faster than sent, packets were held up together somewhere, and say nothing.
const MOST_COMPRESSED: f64 = 2.0;
/// Arriving slower than this share of the sending rate the link is full: then a little less than what arrived is right.
const SATURATED: f64 = 0.9;
const BELOW_FULL: f64 = 0.95;
/// A cluster that took longer says nothing.
const LONGEST_US: i64 = 1_000_000;

/// A probe to send now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Probe {
    /// At this rate, in bit/s.
    pub bps: u64,
    /// So many bytes, in ten packets or more.
    pub bytes: usize,
}

/// Packets of a cluster that arrived.
#[derive(Debug, Clone, Copy)]
struct Came {
    packets: u32,
    bytes: u32,
    first_sent_us: i64,
    last_sent_us: i64,
    /// Sent at the last moment, and arrived at the first: not part of the spans.
    last_sent_bytes: u32,
    first_arrival_us: i64,
    last_arrival_us: i64,
    first_arrived_bytes: u32,
}

impl Came {
    const NONE: Self = Came {
        packets: 0,
        bytes: 0,
        first_sent_us: i64::MAX,
        last_sent_us: i64::MIN,
        last_sent_bytes: 0,
        first_arrival_us: i64::MAX,
        last_arrival_us: i64::MIN,
        first_arrived_bytes: 0,
    };

    fn add(&mut self, bytes: u32, sent_us: i64, arrival_us: i64) {
        self.packets += 1;
        self.bytes = self.bytes.saturating_add(bytes);
        self.first_sent_us = self.first_sent_us.min(sent_us);
        if sent_us > self.last_sent_us {
            self.last_sent_us = sent_us;
            self.last_sent_bytes = 0;
        }
        if sent_us == self.last_sent_us {
            self.last_sent_bytes += bytes;
        }
        self.last_arrival_us = self.last_arrival_us.max(arrival_us);
        if arrival_us < self.first_arrival_us {
            self.first_arrival_us = arrival_us;
            self.first_arrived_bytes = 0;
        }
        if arrival_us == self.first_arrival_us {
            self.first_arrived_bytes += bytes;
        }
    }

    /// The rate that the link bore, in bit/s.
    fn bore(&self) -> Option<f64> {
        let sent_us = self.last_sent_us.checked_sub(self.first_sent_us)?;
        let arrived_us = self.last_arrival_us.checked_sub(self.first_arrival_us)?;
        if !(1..=LONGEST_US).contains(&sent_us) || !(1..=LONGEST_US).contains(&arrived_us) {
            return None;
        }
        let sent_bps = f64::from(self.bytes - self.last_sent_bytes) * 8e6 / sent_us as f64;
        let arrived_bps = f64::from(self.bytes - self.first_arrived_bytes) * 8e6 / arrived_us as f64;
        if arrived_bps > MOST_COMPRESSED * sent_bps {
            return None;
        }
        Some(if arrived_bps < SATURATED * sent_bps { BELOW_FULL * arrived_bps } else { arrived_bps.min(sent_bps) })
    }
}

#[derive(Debug)]
struct Cluster {
    id: u8,
    bps: f64,
    /// The estimate when it began.
    known: f64,
    budget: u32,
    asked_us: u64,
    /// When its first packet was sent.
    begun_us: Option<u64>,
    /// Its packets, with the media between them: both fill the link.
    packets: u32,
    probe_bytes: u32,
    last_number: u64,
    came: Came,
}

/// What the estimator knows when it asks for a probe.
#[derive(Debug, Clone, Copy)]
pub(super) struct Wish {
    pub target: f64,
    /// What the allocator would send; None if it never said.
    pub wanted: Option<f64>,
    /// What it sends now.
    pub allocated: f64,
    /// No queue, no drop, no silence just now.
    pub is_calm: bool,
    /// Feedback comes at all.
    pub is_heard: bool,
}

/// Decides when to probe, at what rate, and reads the results.
#[derive(Debug)]
pub(super) struct Prober {
    active: Option<Cluster>,
    is_sending: bool,
    last_id: u8,
    has_started: bool,
    unanswered: u8,
    failures: u8,
    is_hurried: bool,
    /// The next probe and when it is due, and the rate of the last that came through.
    pending: Option<(f64, u64)>,
    came_through: f64,
    next_us: u64,
    /// Probes in a row that found no more than was known.
    vain: u8,
    ended_us: Option<u64>,
    before_drop: f64,
    dropped_us: Option<u64>,
}

impl Prober {
    pub fn new() -> Self {
        Prober {
            active: None,
            is_sending: false,
            last_id: 0,
            has_started: false,
            unanswered: 0,
            failures: 0,
            is_hurried: false,
            pending: None,
            came_through: 0.0,
            next_us: 0,
            vain: 0,
            ended_us: None,
            before_drop: 0.0,
            dropped_us: None,
        }
    }

    /// Whether packets that are sent now may belong to a cluster.
    #[inline]
    pub fn is_sending(&self) -> bool {
        self.is_sending
    }

    /// Whether a probe may still stand in queues.
    pub fn is_felt(&self, now_us: u64) -> bool {
        self.active.is_some() || self.ended_us.is_some_and(|at_us| now_us < at_us + FELT_US)
    }

    /// A packet is sent: the cluster that it belongs to, 0 for none.
    pub fn tag(&mut self, number: u64, bytes: u16, is_probe: bool, now_us: u64) -> u8 {
        let Some(cluster) = self.active.as_mut().filter(|cluster| is_probe || cluster.begun_us.is_some()) else {
            return 0;
        };
        let begun_us = *cluster.begun_us.get_or_insert(now_us);
        if now_us > begun_us + SENDING_US {
            self.is_sending = false;
            return 0;
        }
        cluster.packets += 1;
        cluster.last_number = number;
        if is_probe {
            cluster.probe_bytes += u32::from(bytes);
            self.is_sending = cluster.probe_bytes < cluster.budget;
        }
        cluster.id
    }

    /// A packet of a cluster arrived.
    pub fn arrived(&mut self, id: u8, bytes: u16, sent_us: u64, arrival_us: i64) {
        if let Some(cluster) = self.active.as_mut().filter(|cluster| cluster.id == id) {
            cluster.came.add(u32::from(bytes), sent_us as i64, arrival_us);
        }
    }

    /// Feedback covered everything up to this number: the rate that a cluster found, if it is through.
    pub fn settle(&mut self, covered: u64, now_us: u64) -> Option<f64> {
        self.unanswered = 0;
        let cluster = self.active.as_ref().filter(|cluster| !self.is_sending && cluster.begun_us.is_some())?;
        if covered < cluster.last_number {
            return None;
        }
        let cluster = self.active.take()?;
        self.ended_us = Some(now_us);
        self.wait(now_us);
        let enough = cluster.came.packets >= FEWEST_PACKETS
            && f64::from(cluster.came.packets) >= LEAST_SHARE * f64::from(cluster.packets);
        let Some(found) = cluster.came.bore().filter(|_| enough) else {
            self.fail(cluster.bps, now_us);
            return None;
        };
        self.failures = 0;
        self.came_through = 0.0;
        self.vain = if found > cluster.known { 0 } else { self.vain.saturating_add(1) };
        if found >= CAME_THROUGH * cluster.bps {
            self.came_through = cluster.bps;
            self.pending = Some((FURTHER * found, now_us));
        }
        Some(found.min(FURTHER * cluster.bps))
    }

    /// A probe says nothing, since too much of it was lost: another try, before one waits for the next turn.
    fn fail(&mut self, bps: f64, now_us: u64) {
        self.failures += 1;
        if self.failures <= MOST_RETRIES {
            self.pending.get_or_insert((bps, now_us + RETRY_US));
        } else {
            self.failures = 0;
        }
    }

    /// The estimate fell.
    pub fn dropped(&mut self, before: f64, after: f64, now_us: u64) {
        if self.dropped_us.is_none_or(|at_us| now_us > at_us + ONE_DROP_US) {
            self.before_drop = before;
        }
        self.dropped_us = Some(now_us);
        self.pending = (after < DROP * self.before_drop).then(|| (RECOVERY * self.before_drop, now_us + RECOVERY_US));
    }

    /// More is wanted all of a sudden, and somebody waits for it: the next probe goes at once, or after the one on its way.
    pub fn hurry(&mut self) {
        self.next_us = 0;
        self.is_hurried = true;
    }

    fn wait(&mut self, now_us: u64) {
        self.next_us = now_us + if std::mem::take(&mut self.is_hurried) { RETRY_US } else { INTERVAL_US };
    }

    /// When the next probe is due that follows from none before it.
    fn due_us(&self, wish: Wish) -> u64 {
        match self.ended_us {
            Some(ended_us) if wish.allocated < IDLE * wish.target => {
                self.next_us.min(ended_us + (IDLE_INTERVAL_US << self.vain.min(MOST_DOUBLED)))
            }
            _ => self.next_us,
        }
    }

    /// Time passes: gives up what is not sent or not answered.
    pub fn tick(&mut self, now_us: u64) {
        let Some(cluster) = &self.active else { return };
        if self.is_sending && now_us > cluster.begun_us.unwrap_or(cluster.asked_us) + SENDING_US {
            self.is_sending = false;
        }
        let is_over = cluster.begun_us.is_none() && !self.is_sending;
        if is_over || now_us > cluster.asked_us + ANSWER_US {
            self.unanswered = self.unanswered.saturating_add(1);
            self.active = None;
            self.is_sending = false;
            self.wait(now_us);
        }
    }

    /// The probe to send now, if there is one.
    pub fn poll(&mut self, wish: Wish, now_us: u64) -> Option<Probe> {
        self.tick(now_us);
        if self.active.is_some() || !wish.is_calm || !wish.is_heard && self.unanswered >= MOST_UNANSWERED {
            return None;
        }
        // What a line bears is worth knowing from the beginning, even if little is wanted as yet.
        let is_idle = wish.wanted == Some(0.0);
        if !self.has_started && (!is_idle || wish.allocated > 0.0) {
            self.has_started = true;
            return Some(self.begin((FIRST * wish.target).min(MOST_BPS), wish.target, now_us));
        }
        if is_idle {
            return None;
        }
        let most = wish.wanted.map_or(MOST_BPS, |wanted| (TO_SPARE * wanted).min(MOST_BPS));
        let is_due = now_us >= self.due_us(wish) && wish.wanted.is_some_and(|wanted| wanted > wish.target);
        let bps = match self.pending {
            // No further than there is to want: the same rate again finds nothing new, until more is wanted.
            Some((bps, _)) if bps.min(most) <= WORTHWHILE * self.came_through.max(wish.target) => {
                if !is_due {
                    return None;
                }
                FURTHER * wish.target
            }
            Some((bps, due_us)) if now_us >= due_us => {
                if bps * RECOVERY <= self.before_drop {
                    self.before_drop = wish.target;
                }
                bps
            }
            None if is_due => FURTHER * wish.target,
            _ => return None,
        };
        let bps = bps.min(most);
        if bps <= WORTHWHILE * wish.target {
            return None;
        }
        self.pending = None;
        Some(self.begin(bps, wish.target, now_us))
    }

    fn begin(&mut self, bps: f64, known: f64, now_us: u64) -> Probe {
        let bytes = (bps * PROBE_US / 8e6).max(LEAST_BYTES.min(bps * LONGEST_PROBE_US / 8e6));
        self.is_hurried = false;
        // 0 is for packets of no cluster.
        self.last_id = self.last_id.checked_add(1).unwrap_or(1);
        self.is_sending = true;
        self.active = Some(Cluster {
            id: self.last_id,
            bps,
            known,
            budget: bytes as u32,
            asked_us: now_us,
            begun_us: None,
            packets: 0,
            probe_bytes: 0,
            last_number: 0,
            came: Came::NONE,
        });
        Probe { bps: bps as u64, bytes: bytes as usize }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const WISH: Wish =
        Wish { target: 500_000.0, wanted: Some(4e6), allocated: 400_000.0, is_calm: true, is_heard: true };

    /// Sends a probe in packets of 250 bytes over a link of a capacity; answers what was found.
    fn send(prober: &mut Prober, probe: Probe, from_us: u64, capacity_bps: u64, lost: usize) -> Option<f64> {
        let (mut sent_us, mut free_us, mut number) = (from_us, from_us, 0);
        let mut arrivals = Vec::new();
        let mut left = probe.bytes as i64;
        while left > 0 {
            let id = prober.tag(number, 250, true, sent_us);
            free_us = free_us.max(sent_us) + 250 * 8_000_000 / capacity_bps;
            arrivals.push((id, sent_us, free_us as i64 + 25_000));
            sent_us += 250 * 8_000_000 / probe.bps;
            number += 1;
            left -= 250;
        }
        for (id, sent_us, arrival_us) in arrivals.into_iter().skip(lost) {
            prober.arrived(id, 250, sent_us, arrival_us);
        }
        prober.settle(number - 1, sent_us)
    }

    #[test]
    fn rates_grow_by_factors_until_the_link_is_full() {
        let mut prober = Prober::new();
        let mut wish = WISH;
        let mut rates = Vec::new();
        let mut now_us = 0;
        while let Some(probe) = prober.poll(wish, now_us) {
            let found = send(&mut prober, probe, now_us, 3_000_000, 0).expect("a result");
            wish.target = wish.target.max(found);
            rates.push(found);
            now_us += 100_000;
        }
        assert_eq!(rates.len(), 3, "{rates:?}");
        assert!((1.4e6..1.6e6).contains(&rates[0]), "{rates:?}");
        assert!((2.8e6..3.0e6).contains(&rates[2]), "{rates:?}");
        // And from time to time again.
        wish.allocated = 0.6 * wish.target;
        assert!(prober.poll(wish, now_us + 1_000_000).is_none() && prober.poll(wish, now_us + 6_000_000).is_some());
    }

    #[test]
    fn what_is_wanted_more_and_more_is_probed_for_at_once() {
        let mut prober = Prober::new();
        let mut wish = Wish { target: 600_000.0, wanted: Some(3e6), allocated: 0.0, ..WISH };
        let mut now_us = 0;
        // A publisher begins: what its picture takes is known better with each quarter of a second.
        for quarter in 0..12u32 {
            wish.wanted = Some(f64::from(quarter + 1) * 2e6);
            while let Some(probe) = prober.poll(wish, now_us) {
                let found = send(&mut prober, probe, now_us, 100_000_000, 0).expect("a result");
                wish.target = wish.target.max(found);
                now_us += 30_000;
            }
            now_us += 250_000;
        }
        assert!(wish.target > 20e6, "{}", wish.target);
    }

    #[test]
    fn who_sees_nothing_is_probed_for_sooner_and_not_for_ever() {
        let mut prober = Prober::new();
        let wish = Wish { target: 600_000.0, wanted: Some(4e6), allocated: 40_000.0, ..WISH };
        let mut at_us = Vec::new();
        for now_us in (0..20_000_000u64).step_by(10_000) {
            if let Some(probe) = prober.poll(wish, now_us) {
                send(&mut prober, probe, now_us, 600_000, 0);
                at_us.push(now_us);
            }
        }
        let gaps: Vec<u64> = at_us.windows(2).map(|pair| (pair[1] - pair[0]) / 1_000_000).collect();
        assert_eq!(gaps[..3], [2, 4, 4], "{at_us:?}");
    }

    #[test]
    fn a_tenth_may_be_lost_and_a_third_may_not() {
        let mut prober = Prober::new();
        let probe = prober.poll(WISH, 0).expect("the first probe");
        let packets = probe.bytes.div_ceil(250);
        assert!(send(&mut prober, probe, 0, 10_000_000, packets / 10).is_some());
        let mut prober = Prober::new();
        let probe = prober.poll(WISH, 0).expect("the first probe");
        assert!(send(&mut prober, probe, 0, 10_000_000, packets / 3).is_none());
    }

    #[test]
    fn who_is_content_or_never_answers_is_not_probed() {
        let mut prober = Prober::new();
        assert_eq!(prober.poll(Wish { wanted: Some(0.0), allocated: 0.0, ..WISH }, 0), None);
        assert_eq!(prober.poll(Wish { is_calm: false, ..WISH }, 0), None);
        let mut probes = 0;
        for tick in 0..6_000 {
            let probe = prober.poll(Wish { is_heard: false, ..WISH }, tick * 10_000);
            if probe.is_some() {
                prober.tag(tick, 2_500, true, tick * 10_000);
                probes += 1;
            }
        }
        assert_eq!(probes, u32::from(MOST_UNANSWERED));
    }

    #[test]
    fn a_drop_is_looked_at_once() {
        let mut prober = Prober::new();
        prober.has_started = true;
        prober.next_us = u64::MAX;
        prober.dropped(3e6, 2.5e6, 0);
        assert_eq!(prober.poll(WISH, 2_000_000), None);
        prober.dropped(2.5e6, 0.5e6, 200_000);
        assert_eq!(prober.poll(WISH, 1_100_000), None);
        let probe = prober.poll(WISH, 1_300_000).expect("the look");
        assert_eq!(probe.bps, 2_550_000);
        send(&mut prober, probe, 1_300_000, 600_000, 0);
        prober.next_us = u64::MAX;
        assert_eq!(prober.poll(WISH, 3_000_000), None);
    }
}
