//! What one user may hold, and how fast.

use std::collections::HashMap;
use std::time::{Duration, Instant};

/// How long a user may send at full speed ahead of the rate: a key frame, or a pause made good.
const BURST: Duration = Duration::from_secs(1);
/// An allocation costs as much as so many bytes, so that nobody makes and drops them for sport.
const ALLOCATION_BYTES: u64 = 16 * 1024;

/// A user with allocations, by its place in the table.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct UserId(u32);

struct User {
    name: Box<str>,
    allocations: u32,
    /// When what was sent so far is paid for at the steady rate, in ns since the start.
    paid_ns: u64,
}

/// The users of now: those with allocations, and for a moment those who sent much.
pub(crate) struct Users {
    start: Instant,
    most_allocations: u32,
    bytes_per_s: u64,
    names: HashMap<Box<str>, u32>,
    places: Vec<Option<User>>,
    free: Vec<u32>,
    /// Users without allocations who are in debt still.
    leaving: Vec<u32>,
}

impl Users {
    pub(crate) fn new(start: Instant, most_allocations: u32, bytes_per_s: u64) -> Self {
        let (names, places, free, leaving) = (HashMap::new(), Vec::new(), Vec::new(), Vec::new());
        Self { start, most_allocations, bytes_per_s: bytes_per_s.max(1), names, places, free, leaving }
    }

    /// One more allocation; `None`: the user has all there are, or takes them too fast.
    pub(crate) fn enter(&mut self, now: Instant, name: &str) -> Option<UserId> {
        let at = match self.names.get(name) {
            Some(at) => *at,
            None => self.add(name),
        };
        let user = self.places[at as usize].as_ref().expect("names lead to users");
        if user.allocations >= self.most_allocations || !self.spend(now, UserId(at), ALLOCATION_BYTES) {
            // Somebody whom the table knew before, or whom it forgets with the next sweep.
            if user_is_idle(&self.places, at) && !self.leaving.contains(&at) {
                self.leaving.push(at);
            }
            return None;
        }
        if let Some(user) = &mut self.places[at as usize] {
            user.allocations += 1;
        }
        self.leaving.retain(|leaving| *leaving != at);
        Some(UserId(at))
    }

    /// One allocation less.
    pub(crate) fn leave(&mut self, now: Instant, id: UserId) {
        let Some(user) = &mut self.places[id.0 as usize] else { return };
        user.allocations = user.allocations.saturating_sub(1);
        if user.allocations == 0 {
            self.leaving.push(id.0);
            self.sweep(now);
        }
    }

    /// Takes so many bytes out of the user's budget, if they are there.
    pub(crate) fn spend(&mut self, now: Instant, id: UserId, bytes: u64) -> bool {
        let now_ns = self.now_ns(now);
        let cost_ns = bytes.saturating_mul(1_000_000_000) / self.bytes_per_s;
        let Some(user) = &mut self.places[id.0 as usize] else { return false };
        let paid_ns = user.paid_ns.max(now_ns);
        let has = paid_ns - now_ns < BURST.as_nanos() as u64;
        if has {
            user.paid_ns = paid_ns + cost_ns;
        }
        has
    }

    /// Forgets whoever has nothing and owes nothing.
    pub(crate) fn sweep(&mut self, now: Instant) {
        let now_ns = self.now_ns(now);
        let mut leaving = std::mem::take(&mut self.leaving);
        leaving.retain(|at| {
            let place = &mut self.places[*at as usize];
            let owes = place.as_ref().is_some_and(|user| user.paid_ns > now_ns);
            if !owes && let Some(user) = place.take() {
                self.names.remove(&user.name);
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

    fn add(&mut self, name: &str) -> u32 {
        let user = User { name: name.into(), allocations: 0, paid_ns: 0 };
        let at = self.free.pop().unwrap_or_else(|| {
            self.places.push(None);
            self.places.len() as u32 - 1
        });
        self.places[at as usize] = Some(user);
        self.names.insert(name.into(), at);
        at
    }

    fn now_ns(&self, now: Instant) -> u64 {
        u64::try_from(now.saturating_duration_since(self.start).as_nanos()).unwrap_or(u64::MAX / 2)
    }
}

fn user_is_idle(places: &[Option<User>], at: u32) -> bool {
    places[at as usize].as_ref().is_some_and(|user| user.allocations == 0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_user_has_a_share_and_others_keep_theirs() {
        let start = Instant::now();
        let mut users = Users::new(start, 2, 1_000_000);
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
        let mut users = Users::new(start, 2, 1_000_000);
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
        let mut users = Users::new(start, 100, 1_000_000);
        let made = (0..1000).take_while(|_| users.enter(start, "ada").map(|ada| users.leave(start, ada)).is_some());
        let made = made.count();
        assert!((50..=70).contains(&made), "{made}");
        assert_eq!(users.len(), 1);
        users.sweep(start + Duration::from_secs(2));
        assert_eq!(users.len(), 0);
    }
}
