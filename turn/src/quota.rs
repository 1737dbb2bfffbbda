//! What one holder, a user or a source address, may have, and how fast.

use std::collections::HashMap;
use std::hash::Hash;
use std::time::{Duration, Instant};

/// How long a holder may send at full speed ahead of the rate: a key frame, or a pause made good.
const BURST: Duration = Duration::from_secs(1);
/// An allocation costs as much as so many bytes, so that nobody makes and drops them for sport.
const ALLOCATION_BYTES: u64 = 16 * 1024;
/// A datagram costs as much as one of so many bytes, however short it is: system calls and headers are paid for empty ones too.
pub const LEAST_BYTES: u64 = 128;
/// What so many datagrams cost that have so many bytes.
pub(crate) fn cost(datagrams: usize, bytes: usize) -> u64 {
    (bytes as u64).max(datagrams as u64 * LEAST_BYTES)
}

/// Somebody with allocations, by the place in the table.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct HolderId(u32);

struct Holder<K> {
    name: K,
    allocations: u32,
    /// When what was sent so far is paid for at the steady rate, in ns since the start.
    paid_ns: u64,
}

/// The holders of now: those with allocations, and for a moment those who sent much.
pub(crate) struct Holders<K> {
    start: Instant,
    most_allocations: u32,
    bytes_per_s: u64,
    names: HashMap<K, u32>,
    places: Vec<Option<Holder<K>>>,
    free: Vec<u32>,
    /// Holders without allocations who are in debt still.
    leaving: Vec<u32>,
}

impl<K: Clone + Eq + Hash> Holders<K> {
    pub(crate) fn new(start: Instant, most_allocations: u32, bytes_per_s: u64) -> Self {
        let (names, places, free, leaving) = (HashMap::new(), Vec::new(), Vec::new(), Vec::new());
        Self { start, most_allocations, bytes_per_s: bytes_per_s.max(1), names, places, free, leaving }
    }

    /// How many allocations somebody has.
    pub(crate) fn allocations(&self, id: HolderId) -> u32 {
        self.places[id.0 as usize].as_ref().map_or(0, |holder| holder.allocations)
    }

    /// Who has most allocations.
    pub(crate) fn greatest(&self) -> Option<HolderId> {
        let held = |at: &u32| self.allocations(HolderId(*at));
        (0..self.places.len() as u32).max_by_key(held).map(HolderId)
    }

    /// One more allocation; `None`: the holder has all there are, or takes them too fast.
    pub(crate) fn enter(&mut self, now: Instant, name: K) -> Option<HolderId> {
        let at = match self.names.get(&name) {
            Some(at) => *at,
            None => self.add(name),
        };
        let holder = self.places[at as usize].as_ref().expect("names lead to holders");
        if holder.allocations >= self.most_allocations || !self.spend(now, HolderId(at), ALLOCATION_BYTES) {
            // Somebody whom the table knew before, or whom it forgets with the next sweep.
            if is_idle(&self.places, at) && !self.leaving.contains(&at) {
                self.leaving.push(at);
            }
            return None;
        }
        if let Some(holder) = &mut self.places[at as usize] {
            holder.allocations += 1;
        }
        self.leaving.retain(|leaving| *leaving != at);
        Some(HolderId(at))
    }

    /// One allocation less.
    pub(crate) fn leave(&mut self, now: Instant, id: HolderId) {
        let Some(holder) = &mut self.places[id.0 as usize] else { return };
        holder.allocations = holder.allocations.saturating_sub(1);
        if holder.allocations == 0 {
            self.leaving.push(id.0);
            self.sweep(now);
        }
    }

    /// Is anything left of the holder's budget?
    pub(crate) fn has(&self, now: Instant, id: HolderId) -> bool {
        let now_ns = self.now_ns(now);
        let holder = self.places[id.0 as usize].as_ref();
        holder.is_some_and(|holder| holder.paid_ns.max(now_ns) - now_ns < BURST.as_nanos() as u64)
    }

    /// Takes so many bytes out of the holder's budget, if they are there.
    pub(crate) fn spend(&mut self, now: Instant, id: HolderId, bytes: u64) -> bool {
        let has = self.has(now, id);
        let now_ns = self.now_ns(now);
        let cost_ns = bytes.saturating_mul(1_000_000_000) / self.bytes_per_s;
        if has && let Some(holder) = &mut self.places[id.0 as usize] {
            holder.paid_ns = holder.paid_ns.max(now_ns) + cost_ns;
        }
        has
    }

    /// Forgets whoever has nothing and owes nothing.
    pub(crate) fn sweep(&mut self, now: Instant) {
        let now_ns = self.now_ns(now);
        let mut leaving = std::mem::take(&mut self.leaving);
        leaving.retain(|at| {
            let place = &mut self.places[*at as usize];
            let owes = place.as_ref().is_some_and(|holder| holder.paid_ns > now_ns);
            if !owes && let Some(holder) = place.take() {
                self.names.remove(&holder.name);
                self.free.push(*at);
            }
            owes
        });
        self.leaving = leaving;
    }

    /// Somebody is in debt who has nothing else here: sweep in a while.
    pub(crate) fn wants_sweep(&self) -> bool {
        !self.leaving.is_empty()
    }

    #[cfg(test)]
    pub(crate) fn len(&self) -> usize {
        self.names.len()
    }

    fn add(&mut self, name: K) -> u32 {
        let holder = Holder { name: name.clone(), allocations: 0, paid_ns: 0 };
        let at = self.free.pop().unwrap_or_else(|| {
            self.places.push(None);
            self.places.len() as u32 - 1
        });
        self.places[at as usize] = Some(holder);
        self.names.insert(name, at);
        at
    }

    fn now_ns(&self, now: Instant) -> u64 {
        u64::try_from(now.saturating_duration_since(self.start).as_nanos()).unwrap_or(u64::MAX / 2)
    }
}

fn is_idle<K>(places: &[Option<Holder<K>>], at: u32) -> bool {
    places[at as usize].as_ref().is_some_and(|holder| holder.allocations == 0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_user_has_a_share_and_others_keep_theirs() {
        let start = Instant::now();
        let mut users = Holders::new(start, 2, 1_000_000);
        let ada = users.enter(start, "ada").unwrap();
        assert_eq!(users.enter(start, "ada"), Some(ada));
        assert_eq!(users.enter(start, "ada"), None);
        let bob = users.enter(start, "bob").unwrap();
        let mut sent = 0;
        while users.spend(start, ada, 1000) {
            sent += 1000;
        }
        assert!((950_000..=1_000_000).contains(&sent), "{sent}");
        assert!(users.spend(start, bob, 1000));
        let later = start + Duration::from_millis(500);
        assert!((0..500).all(|_| users.spend(later, ada, 1000)), "half a second brings half a megabyte");
        assert!(!(0..100).all(|_| users.spend(later, ada, 1000)));
    }

    #[test]
    fn who_has_nothing_and_owes_nothing_is_forgotten() {
        let start = Instant::now();
        let mut users = Holders::new(start, 2, 1_000_000);
        let ada = users.enter(start, "ada").unwrap();
        users.spend(start, ada, 500_000);
        users.leave(start, ada);
        assert_eq!(users.len(), 1, "leaving does not pay the debt");
        let later = start + Duration::from_secs(1);
        users.sweep(later);
        assert_eq!((users.len(), users.wants_sweep()), (0, false));
    }

    #[test]
    fn allocations_in_a_hurry_are_refused() {
        let start = Instant::now();
        let mut users = Holders::new(start, 100, 1_000_000);
        let made = (0..1000).take_while(|_| users.enter(start, "ada").map(|ada| users.leave(start, ada)).is_some());
        let made = made.count();
        assert!((50..=70).contains(&made), "{made}");
        assert_eq!(users.len(), 1);
        users.sweep(start + Duration::from_secs(2));
        assert_eq!(users.len(), 0);
    }

    #[test]
    fn nothing_is_free_of_charge() {
        assert_eq!((cost(1, 0), cost(3, 10), cost(2, 5_000)), (LEAST_BYTES, 3 * LEAST_BYTES, 5_000));
    }
}
