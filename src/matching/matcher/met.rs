//! Who met whom lately.

use std::collections::{HashMap, VecDeque};

use crate::domain::UserId;

/// So many of one's last partners are not met again …
pub const PARTNERS: usize = 10;
/// … for so long, in milliseconds.
pub const PARTNERS_FOR_MS: u64 = 30 * 60 * 1000;
/// Meetings that are remembered, two for each match: that many in half an hour is fifty matches a second. Beyond, the oldest are
/// forgotten early. About 100 bytes each.
const MEETINGS: usize = 200_000;

#[derive(Debug, Default)]
pub(super) struct Met {
    /// Each one's last partners, and when they met; the latest last.
    partners: HashMap<UserId, VecDeque<(UserId, u64)>>,
    /// When to look again at whose partners, in order.
    aging: VecDeque<(u64, UserId)>,
}

impl Met {
    pub(super) fn record(&mut self, one: UserId, other: UserId, at_ms: u64) {
        for (user, partner) in [(one, other), (other, one)] {
            let partners = self.partners.entry(user).or_default();
            partners.push_back((partner, at_ms));
            if partners.len() > PARTNERS {
                partners.pop_front();
            }
            self.aging.push_back((at_ms + PARTNERS_FOR_MS, user));
        }
    }

    /// Whom this person is not to meet again now, and until when.
    pub(super) fn of(&self, user: UserId, now_ms: u64) -> Vec<(UserId, u64)> {
        let partners = self.partners.get(&user).into_iter().flatten();
        let until = partners.map(|(partner, at_ms)| (*partner, at_ms + PARTNERS_FOR_MS));
        until.filter(|(_, until_ms)| *until_ms > now_ms).collect()
    }

    /// Forgets the oldest meeting that is too old; of whom. `None`: there is none.
    pub(super) fn forget(&mut self, now_ms: u64) -> Option<UserId> {
        let (at_ms, user) = *self.aging.front()?;
        if at_ms > now_ms && self.aging.len() <= MEETINGS {
            return None;
        }
        self.aging.pop_front();
        if let Some(partners) = self.partners.get_mut(&user) {
            while partners.front().is_some_and(|(_, met_ms)| met_ms + PARTNERS_FOR_MS <= at_ms) {
                partners.pop_front();
            }
            if partners.is_empty() {
                self.partners.remove(&user);
            }
        }
        Some(user)
    }

    /// When the next meeting is too old.
    pub(super) fn next_ms(&self) -> Option<u64> {
        self.aging.front().map(|(at_ms, _)| *at_ms)
    }
}
