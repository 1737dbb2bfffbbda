//! A link to try the estimator on: a bottleneck with a FIFO queue, a delay, loss and jitter. Everything comes from the seed.

use std::collections::VecDeque;

/// Chance from a seed (SplitMix64).
#[derive(Debug, Clone)]
pub struct Chance(pub u64);

impl Chance {
    pub fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    /// From 0 to 1.
    pub fn share(&mut self) -> f64 {
        (self.next() >> 11) as f64 / (1u64 << 53) as f64
    }
}

/// What happens at the bottleneck.
#[derive(Debug, Clone, Copy)]
pub enum Shape {
    /// Packets wait in a queue of so many bytes, and are dropped at its tail.
    Queue { bytes: u32 },
    /// Packets beyond the rate (and a burst of so many bytes) are dropped, none waits.
    Policed { burst: u32 },
    /// As a queue, over a radio that has its turn only now and then: pauses of up to `gap_us`, then everything at once.
    Bursty { bytes: u32, gap_us: u64 },
}

/// One way of a path.
#[derive(Debug)]
pub struct Link {
    /// From when on (µs) it carries how much (bit/s).
    pub capacity: Vec<(u64, f64)>,
    pub shape: Shape,
    pub delay_us: u64,
    pub loss: f64,
    pub chance: Chance,
    waiting: VecDeque<(u64, u32)>,
    backlog: u32,
    free_us: u64,
    credit: f64,
    credited_us: u64,
    turn_us: u64,
}

/// What became of a packet.
#[derive(Debug, Clone, Copy)]
pub struct Crossed {
    pub arrival_us: u64,
    pub queued_us: u64,
}

impl Link {
    pub fn new(bps: f64, shape: Shape, delay_us: u64, loss: f64, seed: u64) -> Self {
        Link {
            capacity: vec![(0, bps)],
            shape,
            delay_us,
            loss,
            chance: Chance(seed),
            waiting: VecDeque::new(),
            backlog: 0,
            free_us: 0,
            credit: 0.0,
            credited_us: 0,
            turn_us: 0,
        }
    }

    pub fn then(mut self, from_us: u64, bps: f64) -> Self {
        self.capacity.push((from_us, bps));
        self
    }

    pub fn bps(&self, now_us: u64) -> f64 {
        self.capacity.iter().rev().find(|(from_us, _)| *from_us <= now_us).map_or(0.0, |(_, bps)| *bps)
    }

    /// A packet enters. None: it is lost.
    pub fn send(&mut self, bytes: u32, now_us: u64) -> Option<Crossed> {
        let done_us = match self.shape {
            Shape::Queue { bytes: room } | Shape::Bursty { bytes: room, .. } => self.queue(bytes, room, now_us)?,
            Shape::Policed { burst } => {
                let passed_s = (now_us - self.credited_us) as f64 / 1e6;
                self.credited_us = now_us;
                self.credit = (self.credit + passed_s * self.bps(now_us) / 8.0).min(f64::from(burst));
                if self.credit < f64::from(bytes) {
                    return None;
                }
                self.credit -= f64::from(bytes);
                now_us
            }
        };
        if self.chance.share() < self.loss {
            return None;
        }
        let through_us = match self.shape {
            Shape::Bursty { gap_us, .. } => {
                while self.turn_us < done_us {
                    self.turn_us += 1 + (self.chance.share() * gap_us as f64) as u64;
                }
                // What was held up leaves back to back, at the radio's own speed.
                self.turn_us += 100;
                self.turn_us
            }
            _ => done_us,
        };
        Some(Crossed { arrival_us: through_us + self.delay_us, queued_us: done_us - now_us })
    }

    fn queue(&mut self, bytes: u32, room: u32, now_us: u64) -> Option<u64> {
        while let Some(&(done_us, bytes)) = self.waiting.front()
            && done_us <= now_us
        {
            self.waiting.pop_front();
            self.backlog -= bytes;
        }
        if self.backlog + bytes > room {
            return None;
        }
        let mut at_us = self.free_us.max(now_us) as f64;
        let mut bits = f64::from(bytes) * 8.0;
        // A packet that is half sent when the capacity changes goes on at the new one.
        while bits > 0.0 {
            let bps = self.bps(at_us as u64);
            let until_us = self.capacity.iter().map(|change| change.0).find(|change| *change as f64 > at_us);
            let here = until_us.map_or(f64::INFINITY, |until_us| (until_us as f64 - at_us) * bps / 1e6);
            if bits <= here {
                at_us += bits * 1e6 / bps;
                bits = 0.0;
            } else {
                bits -= here;
                at_us = until_us.map_or(at_us, |until_us| until_us as f64);
            }
        }
        self.free_us = at_us as u64;
        self.backlog += bytes;
        self.waiting.push_back((self.free_us, bytes));
        Some(self.free_us)
    }
}
