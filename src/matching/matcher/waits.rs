//! How long those waited who met lately.

use std::collections::VecDeque;

use crate::domain::matching::MatchMode;

/// So many of the last waits count: enough for a steady mean, few enough to follow the evening.
const WAITS: usize = 32;
/// Waits that are older than this say nothing about now, in milliseconds.
const FRESH_MS: u64 = 10 * 60 * 1000;

#[derive(Debug, Default)]
pub(super) struct Waits([VecDeque<Wait>; MatchMode::ALL.len()]);

#[derive(Clone, Copy, Debug)]
struct Wait {
    waited_ms: u64,
    at_ms: u64,
}

impl Waits {
    pub(super) fn record(&mut self, mode: MatchMode, waited_ms: u64, at_ms: u64) {
        let waits = &mut self.0[mode as usize];
        waits.push_back(Wait { waited_ms, at_ms });
        if waits.len() > WAITS {
            waits.pop_front();
        }
    }

    /// Their mean, in milliseconds. `None`: nobody met lately.
    pub(super) fn estimate_ms(&self, mode: MatchMode, now_ms: u64) -> Option<u64> {
        let fresh = self.0[mode as usize].iter().filter(|wait| wait.at_ms + FRESH_MS > now_ms);
        let (count, sum) = fresh.fold((0, 0), |(count, sum), wait| (count + 1, sum + wait.waited_ms));
        (count > 0).then(|| sum / count)
    }
}
