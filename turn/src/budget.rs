//! What a source of datagrams may ask before it has shown who it is.

use std::hash::{BuildHasher, RandomState};
use std::net::IpAddr;
use std::time::{Duration, Instant};

/// Answers that a source gets at once: a few hundred people behind one NAT may open the page in the same minute.
pub const BURST: u32 = 100;
/// Answers a second that a source gets after its burst. A forged victim receives less than 4 kB/s.
pub const ANSWERS_PER_S: u32 = 20;
/// How long a source that used up its burst waits until it has all of it back.
pub const REFILL: Duration = Duration::from_secs(BURST as u64 / ANSWERS_PER_S as u64);

/// Allocations of one source for which [`BURST`] is meant, which are also those that it may have unless the operator says otherwise.
pub(crate) const USUAL_OF_ONE_SOURCE: u32 = 256;
/// Allocations of one source beyond which its burst grows no more: an office of thousands.
const MOST_OF_ONE_SOURCE: u32 = 4_096;
/// 32 KiB. With a full house of 1,000 sources within five seconds, one in five shares its budget with another.
const PLACES: usize = 4096;

/// A leaky bucket per source (GCRA) in a table of fixed size: sources that fall on the same place share a budget, and no
/// flood makes the table grow.
pub struct Budgets {
    start: Instant,
    hash: RandomState,
    /// Between two answers at the steady rate, µs.
    step_us: u64,
    /// How far ahead of that rate a source may be, µs.
    ahead_us: u64,
    /// For each place, when its next answer would be due at the steady rate, in µs since `start`.
    due_us: Box<[u64; PLACES]>,
}

impl Budgets {
    /// Full budgets for everybody.
    #[must_use]
    pub fn new(start: Instant) -> Self {
        Self::with_burst(start, BURST)
    }

    /// Full budgets for everybody, of a size for sources that may have so many allocations. Only where nobody can forge their
    /// address: what a source is answered grows with it.
    #[must_use]
    pub fn sized(start: Instant, allocations: u32) -> Self {
        let times = allocations.clamp(USUAL_OF_ONE_SOURCE, MOST_OF_ONE_SOURCE);
        Self::with_burst(start, BURST * times / USUAL_OF_ONE_SOURCE)
    }

    fn with_burst(start: Instant, burst: u32) -> Self {
        let burst = u64::from(burst);
        let step_us = REFILL.as_micros() as u64 / burst;
        Self {
            start,
            hash: RandomState::new(),
            step_us,
            ahead_us: step_us * (burst - 1),
            due_us: Box::new([0; PLACES]),
        }
    }

    /// Has this source anything left?
    #[must_use]
    pub fn has(&self, now: Instant, ip: IpAddr) -> bool {
        let (place, now_us) = (self.place(ip), self.now_us(now));
        self.due_us[place].max(now_us) - now_us <= self.ahead_us
    }

    /// Takes one answer out of this source's budget, if there is one.
    pub fn take(&mut self, now: Instant, ip: IpAddr) -> bool {
        let has = self.has(now, ip);
        if has {
            let (place, now_us) = (self.place(ip), self.now_us(now));
            self.due_us[place] = self.due_us[place].max(now_us) + self.step_us;
        }
        has
    }

    fn now_us(&self, now: Instant) -> u64 {
        u64::try_from(now.saturating_duration_since(self.start).as_micros()).unwrap_or(u64::MAX / 2)
    }

    fn place(&self, ip: IpAddr) -> usize {
        self.hash.hash_one(source(ip)) as usize % PLACES
    }
}

/// Who counts as one source: an IPv4 address, or an IPv6 /64, which is what one household or one machine gets.
#[must_use]
pub fn source(ip: IpAddr) -> u128 {
    match ip {
        IpAddr::V4(ip) => u128::from(u32::from(ip)),
        IpAddr::V6(ip) => u128::from(ip) >> 64 << 64,
    }
}
