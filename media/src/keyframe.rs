//! Key frame requests toward one published track: many wishes become few, rate-limited requests (PLI, RFC 4585 §6.3.1).
//!
//! A request on one simulcast layer makes a key frame on all of them in Chromium, so that the layers share one limit.

/// A request that stays without answer is repeated at this interval, then at twice, four and eight times of it: a publisher that
/// cannot answer is not helped by asking more.
const INTERVAL_US: u64 = 400_000;
/// An answered request is not followed by another one before this: a key frame costs every receiver quality.
const REST_US: u64 = 500_000;
/// A request that was not answered is repeated a little sooner the first time: the request itself may have been lost.
const FIRST_REPEAT_US: u64 = 200_000;

/// Which layers want a key frame, and when each was last asked for.
#[derive(Debug, Default)]
pub struct KeyframeRequests {
    wanted: [bool; crate::track::MOST_LAYERS],
    asked_us: Option<u64>,
    repeats: u32,
    sent: u64,
}

impl KeyframeRequests {
    /// Somebody cannot go on without a key frame of this layer.
    pub fn want(&mut self, layer: usize) {
        if let Some(wanted) = self.wanted.get_mut(layer) {
            *wanted = true;
        }
    }

    /// A key frame of this layer has come.
    pub fn arrived(&mut self, layer: usize) {
        if let Some(wanted) = self.wanted.get_mut(layer) {
            *wanted = false;
        }
        if !self.is_wanted() {
            self.repeats = 0;
        }
    }

    /// The layer is not sent any more: nothing will answer.
    pub fn forget(&mut self, layer: usize) {
        self.arrived(layer);
    }

    /// Whether a request is outstanding or due.
    #[must_use]
    pub fn is_wanted(&self) -> bool {
        self.wanted.contains(&true)
    }

    /// Whether a request is wanted that nobody has sent yet.
    #[must_use]
    pub fn is_new(&self) -> bool {
        self.is_wanted() && self.repeats == 0
    }

    /// Whether a request would go out now.
    #[must_use]
    pub fn is_due(&self, now_us: u64) -> bool {
        self.asked_us.is_none_or(|asked_us| now_us >= asked_us + self.wait_us())
    }

    fn wait_us(&self) -> u64 {
        match self.repeats {
            0 => REST_US,
            1 => FIRST_REPEAT_US,
            repeats => INTERVAL_US << (repeats - 2).min(3),
        }
    }

    /// Requests sent so far.
    #[must_use]
    pub fn sent(&self) -> u64 {
        self.sent
    }

    /// The layers to ask for now.
    pub fn due(&mut self, now_us: u64) -> [bool; crate::track::MOST_LAYERS] {
        if !self.is_wanted() || !self.is_due(now_us) {
            return Default::default();
        }
        self.asked_us = Some(now_us);
        self.repeats += 1;
        self.sent += 1;
        self.wanted
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn many_wishes_are_one_request() {
        let mut requests = KeyframeRequests::default();
        for _ in 0..10 {
            requests.want(1);
        }
        assert_eq!(requests.due(0), [false, true, false]);
        requests.want(2);
        assert_eq!(requests.due(1_000), [false; 3]);
        requests.arrived(1);
        assert_eq!(requests.due(FIRST_REPEAT_US), [false, false, true]);
        assert_eq!(requests.due(FIRST_REPEAT_US + 300_000), [false; 3]);
        assert_eq!(requests.due(FIRST_REPEAT_US + INTERVAL_US), [false, false, true]);
        requests.arrived(2);
        assert!(!requests.is_wanted());
        // After an answer nobody orders the next one at once.
        let answered_us = FIRST_REPEAT_US + INTERVAL_US;
        requests.want(0);
        assert_eq!(requests.due(answered_us + REST_US - 1), [false; 3]);
        assert_eq!(requests.due(answered_us + REST_US), [true, false, false]);
        // Without an answer the intervals grow.
        let asked = (1..100u64).filter(|tenths| requests.due(answered_us + REST_US + tenths * 100_000)[0]).count();
        assert!((4..=7).contains(&asked), "asked {asked} times in ten seconds");
    }
}
