//! Who passes over strangers faster than one can look at them waits longer and longer.

use std::collections::HashMap;

use crate::domain::{Refusal, UserId};

/// Leaving a stranger so soon after finding them is a skip, in milliseconds.
pub(super) const SKIP_MS: u64 = 10_000;
/// How long the next search waits after so many skips in a row, in milliseconds: a few are everybody's right, and what only a
/// program does costs a minute each.
const WAITS_MS: [u64; 9] = [0, 0, 0, 2_000, 5_000, 10_000, 20_000, 40_000, 60_000];
/// After so long without one, one skip is forgotten, in milliseconds.
const FORGIVEN_MS: u64 = 60_000;
/// People whose skips are counted before those are swept out who have none any more.
const PEOPLE: usize = 50_000;

#[derive(Debug, Default)]
pub(super) struct Skips(HashMap<UserId, Skip>);

#[derive(Clone, Copy, Debug)]
struct Skip {
    count: usize,
    last_ms: u64,
}

impl Skips {
    /// Somebody has passed over a stranger.
    pub(super) fn count(&mut self, user: UserId, now_ms: u64) {
        if self.0.len() >= PEOPLE {
            self.0.retain(|_, skip| skip.now(now_ms) > 0);
        }
        if self.0.len() >= PEOPLE && !self.0.contains_key(&user) {
            return;
        }
        let skip = self.0.entry(user).or_insert(Skip { count: 0, last_ms: now_ms });
        *skip = Skip { count: (skip.now(now_ms) + 1).min(WAITS_MS.len() - 1), last_ms: now_ms };
    }

    /// Whether somebody may search now.
    ///
    /// # Errors
    /// `rate_limited`.
    pub(super) fn check(&self, user: UserId, now_ms: u64) -> Result<(), Refusal> {
        let Some(skip) = self.0.get(&user) else { return Ok(()) };
        let until_ms = skip.last_ms + WAITS_MS[skip.count];
        if until_ms <= now_ms {
            return Ok(());
        }
        Err(Refusal::RateLimited { limit: "skip", retry_after_ms: until_ms - now_ms })
    }
}

impl Skip {
    fn now(self, now_ms: u64) -> usize {
        let forgiven = now_ms.saturating_sub(self.last_ms) / FORGIVEN_MS;
        self.count.saturating_sub(usize::try_from(forgiven).unwrap_or(usize::MAX))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_skip_costs_more_and_time_forgives() {
        let (mut skips, user) = (Skips::default(), UserId::new());
        let mut now_ms = 0;
        let mut waits = Vec::new();
        for _ in 0..10 {
            skips.count(user, now_ms);
            let wait_ms = match skips.check(user, now_ms) {
                Ok(()) => 0,
                Err(Refusal::RateLimited { limit: "skip", retry_after_ms }) => retry_after_ms,
                other => panic!("{other:?}"),
            };
            waits.push(wait_ms);
            now_ms += wait_ms;
            assert!(skips.check(user, now_ms).is_ok() && skips.check(UserId::new(), now_ms).is_ok());
        }
        // The last ones came a minute after the one before, which was forgiven by then.
        assert_eq!(waits, [0, 0, 2_000, 5_000, 10_000, 20_000, 40_000, 60_000, 60_000, 60_000]);
        now_ms += 5 * FORGIVEN_MS;
        skips.count(user, now_ms);
        assert_eq!(skips.check(user, now_ms), Err(Refusal::RateLimited { limit: "skip", retry_after_ms: 2_000 }));
        now_ms += 60 * FORGIVEN_MS;
        skips.count(user, now_ms);
        assert!(skips.check(user, now_ms).is_ok());
    }
}
