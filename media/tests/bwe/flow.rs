//! One sender with its estimator and its receiver: voices, layered video that follows the estimate, a pacer, probes.

use std::cmp::Reverse;
use std::collections::{BinaryHeap, VecDeque};

use parlor_media::bwe::{Estimator, Probe};
use parlor_media::client::Arrivals;

use crate::link::{Chance, Link};

/// IP and UDP, which fill the link as the payload does.
const OVERHEAD: u32 = 28;
const PACKET: u32 = 1_200;
/// What the largest tile's layers need, in bit/s, lowest first: three sizes with three frame rates each.
const LAYERS: [f64; 9] = [60e3, 100e3, 150e3, 250e3, 350e3, 500e3, 900e3, 1_250e3, 1_700e3];
/// Tiles are of different sizes, and so are their layers.
const SIZES: [f64; 4] = [1.0, 0.7, 0.5, 0.35];
const FRAME_US: u64 = 33_333;
const VOICE_US: u64 = 20_000;
const VOICE_BYTES: u32 = 120;
/// The pacer sends this much faster than the estimate.
const PACING: f64 = 1.5;
/// Frames that wait longer in the pacer than this are left out.
const MOST_WAIT_US: u64 = 250_000;

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum What {
    Voice,
    Video,
    Padding,
}

/// A packet that arrived, for the statistics.
#[derive(Debug, Clone, Copy)]
pub struct Delivered {
    pub what: What,
    pub sent_us: u64,
    pub arrival_us: u64,
    pub queued_us: u64,
    pub bytes: u32,
}

#[derive(Debug)]
struct Probing {
    probe: Probe,
    begun_us: u64,
    sent: u64,
}

#[derive(Debug)]
pub struct Flow {
    pub estimator: Estimator,
    pub tiles: usize,
    pub voices: usize,
    /// Video is sent only within these times (µs).
    pub muted: std::ops::Range<u64>,
    /// Feedback is lost within these times.
    pub deaf: std::ops::Range<u64>,
    pub starts_us: u64,
    /// Probes leave every 10 ms instead of every 1, and media counts for them.
    pub is_coarse: bool,
    /// From when on (µs) so much video is wanted at most (bit/s).
    pub wants: Vec<(u64, f64)>,
    pub delivered: Vec<Delivered>,
    pub sent: Vec<u64>,
    /// The estimate, each 100 ms.
    pub targets: Vec<(u64, u64)>,
    pub probes: u32,
    chance: Chance,
    queue: VecDeque<(u64, u32)>,
    budget: f64,
    probe: Option<Probing>,
    levels: Vec<usize>,
    next_frame_us: u64,
    next_voice_us: u64,
    arriving: BinaryHeap<Reverse<(u64, u16)>>,
    arrivals: Arrivals,
    next_feedback_us: u64,
    arrived_bytes: u32,
    feedback: VecDeque<(u64, Vec<u8>)>,
}

impl Flow {
    pub fn new(start_bps: u64, seed: u64) -> Self {
        Flow {
            estimator: Estimator::new(start_bps),
            tiles: 4,
            voices: 2,
            muted: 0..0,
            deaf: 0..0,
            starts_us: 0,
            is_coarse: false,
            wants: vec![(0, f64::INFINITY)],
            delivered: Vec::new(),
            sent: Vec::new(),
            targets: Vec::new(),
            probes: 0,
            chance: Chance(seed),
            queue: VecDeque::new(),
            budget: 0.0,
            probe: None,
            levels: Vec::new(),
            next_frame_us: 0,
            next_voice_us: 0,
            arriving: BinaryHeap::new(),
            arrivals: Arrivals::default(),
            next_feedback_us: 0,
            arrived_bytes: 0,
            feedback: VecDeque::new(),
        }
    }

    /// One millisecond.
    pub fn step(&mut self, now_us: u64, there: &mut Link, back: &mut Link) {
        if now_us < self.starts_us {
            return;
        }
        self.hear(now_us, back);
        while let Some((_, part)) = self.feedback.pop_front_if(|(at_us, _)| *at_us <= now_us) {
            self.estimator.feedback(&part, now_us).expect("an honest feedback");
        }
        if now_us.is_multiple_of(10_000) {
            self.estimator.tick(now_us);
            self.allocate(now_us);
        }
        if now_us.is_multiple_of(100_000) {
            self.targets.push((now_us, self.estimator.target_bps()));
        }
        self.speak(now_us, there);
        self.film(now_us);
        self.pace(now_us, there);
    }

    fn hear(&mut self, now_us: u64, back: &mut Link) {
        while let Some(Reverse((at_us, number))) = self.arriving.peek().copied().filter(|next| next.0.0 <= now_us) {
            self.arriving.pop();
            self.arrivals.record(number, at_us);
        }
        if now_us < self.next_feedback_us || self.arrivals.is_empty() {
            return;
        }
        // As Chromium: 5 % of what arrives, within bounds.
        let bps = f64::from(std::mem::take(&mut self.arrived_bytes)) * 8e6 / 50_000.0;
        self.next_feedback_us = now_us + (68.0 * 8e6 / (0.05 * bps.max(1.0))).clamp(50_000.0, 250_000.0) as u64;
        let mut part = Vec::new();
        self.arrivals.feedback(1, 2, &mut part);
        if let Some(crossed) = back.send(part.len() as u32 + OVERHEAD, now_us)
            && !self.deaf.contains(&now_us)
        {
            self.feedback.push_back((crossed.arrival_us, part));
        }
    }

    /// Fills the estimate: voices first, then the lowest tile is raised as long as something fits.
    fn allocate(&mut self, now_us: u64) {
        let voices = self.voices as f64 * f64::from(VOICE_BYTES) * 8e6 / VOICE_US as f64;
        if self.muted.contains(&now_us) {
            self.levels.clear();
            self.queue.clear();
            return self.estimator.wanted(0, voices as u64, now_us);
        }
        let wants = self.wants.iter().rev().find(|(from_us, _)| *from_us <= now_us).map_or(0.0, |wants| wants.1);
        let may = (self.estimator.target_bps() as f64 - voices).min(wants);
        let mut left = may;
        let mut levels = vec![0usize; self.tiles];
        loop {
            let cost = |tile: usize, level: usize| {
                let step = LAYERS.get(level)? - level.checked_sub(1).map_or(0.0, |below| LAYERS[below]);
                Some(step * SIZES[tile])
            };
            let fits = (0..self.tiles).filter(|tile| cost(*tile, levels[*tile]).is_some_and(|cost| cost <= left));
            let Some(tile) = fits.min_by_key(|tile| levels[*tile]) else { break };
            left -= cost(tile, levels[tile]).expect("it fits");
            levels[tile] += 1;
        }
        self.levels = levels;
        let wanted = voices + (SIZES[..self.tiles].iter().sum::<f64>() * LAYERS[8]).min(wants);
        self.estimator.wanted(wanted as u64, (voices + may - left) as u64, now_us);
    }

    fn speak(&mut self, now_us: u64, there: &mut Link) {
        if now_us < self.next_voice_us {
            return;
        }
        self.next_voice_us = now_us + VOICE_US;
        for _ in 0..self.voices {
            self.send(What::Voice, VOICE_BYTES, now_us, there);
        }
    }

    fn film(&mut self, now_us: u64) {
        if now_us < self.next_frame_us {
            return;
        }
        self.next_frame_us = now_us + FRAME_US / self.tiles.max(1) as u64;
        let tile = (now_us / (FRAME_US / self.tiles.max(1) as u64)) as usize % self.tiles.max(1);
        let Some(level) = self.levels.get(tile).and_then(|level| level.checked_sub(1)) else { return };
        let mut left = (LAYERS[level] * SIZES[tile] * FRAME_US as f64 / 8e6 * (0.8 + 0.4 * self.chance.share())) as u32;
        while left > 0 {
            let bytes = left.min(PACKET);
            self.queue.push_back((now_us, bytes.max(60)));
            left -= bytes;
        }
    }

    fn pace(&mut self, now_us: u64, there: &mut Link) {
        let target = self.estimator.target_bps() as f64;
        self.budget = (self.budget + PACING * target / 8_000.0).min(PACING * target * 0.005 / 8.0).max(0.0);
        while self.queue.pop_front_if(|(at_us, _)| *at_us + MOST_WAIT_US < now_us).is_some() {}
        while self.budget > 0.0
            && let Some((_, bytes)) = self.queue.pop_front()
        {
            self.budget -= f64::from(bytes);
            self.send(What::Video, bytes, now_us, there);
        }
        if self.probe.is_none()
            && let Some(probe) = self.estimator.probe(now_us)
        {
            self.probes += 1;
            self.probe = Some(Probing { probe, begun_us: now_us, sent: 0 });
        }
        let tick_us = if self.is_coarse { 10_000 } else { 1_000 };
        if let Some(probing) = &mut self.probe
            && now_us.is_multiple_of(tick_us)
        {
            let Probe { bps, bytes } = probing.probe;
            let due = (bps * (now_us - probing.begun_us + tick_us) / 8_000_000).min(bytes as u64);
            let packet = (bytes as u64 / 10).min(u64::from(PACKET));
            let mut packets = Vec::new();
            while probing.sent < due {
                probing.sent += packet;
                packets.push(packet as u32);
            }
            let is_over = probing.sent >= bytes as u64;
            for packet in packets {
                self.send(What::Padding, packet, now_us, there);
            }
            if is_over {
                self.probe = None;
            }
        }
    }

    fn send(&mut self, what: What, bytes: u32, now_us: u64, there: &mut Link) {
        let mut is_probe = what == What::Padding;
        if let Some(probing) = self.probe.as_mut().filter(|_| self.is_coarse && what != What::Padding) {
            probing.sent += u64::from(bytes);
            is_probe = true;
        }
        let number = self.estimator.sent(bytes as u16, is_probe, now_us);
        self.sent.push(now_us);
        if let Some(crossed) = there.send(bytes + OVERHEAD, now_us) {
            self.arriving.push(Reverse((crossed.arrival_us, number)));
            self.arrived_bytes += bytes;
            self.delivered.push(Delivered {
                what,
                sent_us: now_us,
                arrival_us: crossed.arrival_us,
                queued_us: crossed.queued_us,
                bytes: bytes + OVERHEAD,
            });
        }
    }

    /// Media (no padding) that arrived within some time, in bit/s on the link.
    pub fn media_bps(&self, within: std::ops::Range<u64>) -> f64 {
        let bytes: u64 = self
            .delivered
            .iter()
            .filter(|delivered| delivered.what != What::Padding && within.contains(&delivered.arrival_us))
            .map(|delivered| u64::from(delivered.bytes))
            .sum();
        bytes as f64 * 8e6 / (within.end - within.start) as f64
    }

    /// The share of all packets sent within some time that was lost.
    pub fn lost(&self, within: std::ops::Range<u64>) -> f64 {
        let sent = self.sent.iter().filter(|at_us| within.contains(at_us)).count();
        let came = self.delivered.iter().filter(|delivered| within.contains(&delivered.sent_us)).count();
        1.0 - came as f64 / sent.max(1) as f64
    }

    /// The queueing delay that this share of packets stayed below, in µs.
    pub fn queueing_us(&self, share: f64) -> u64 {
        let mut queued: Vec<u64> = self.delivered.iter().map(|delivered| delivered.queued_us).collect();
        queued.sort_unstable();
        queued[((queued.len() - 1) as f64 * share) as usize]
    }

    /// The longest that a voice took, and the longest that nothing of any voice arrived, in µs.
    pub fn voice_us(&self) -> (u64, u64) {
        let voices = || self.delivered.iter().filter(|delivered| delivered.what == What::Voice);
        let slowest = voices().map(|voice| voice.arrival_us - voice.sent_us).max().unwrap_or(u64::MAX);
        let mut arrivals: Vec<u64> = voices().map(|voice| voice.arrival_us).collect();
        arrivals.sort_unstable();
        (slowest, arrivals.windows(2).map(|pair| pair[1] - pair[0]).max().unwrap_or(u64::MAX))
    }
}

/// Runs flows over one link there and a free one back.
pub fn run(flows: &mut [Flow], there: &mut Link, back: &mut Link, until_us: u64) {
    for now_us in (0..until_us).step_by(1_000) {
        for flow in flows.iter_mut() {
            flow.step(now_us, there, back);
        }
    }
}
