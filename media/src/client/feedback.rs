//! What a client tells of what arrived in its slots.

use std::time::{Duration, Instant};

use super::numbers;
use crate::rtp::Header;
use crate::twcc::Arrivals;

/// Browsers tell every 50 to 250 ms.
const EVERY: Duration = Duration::from_millis(50);

/// Whether a client tells the server which packets arrived in its slots, and when (transport-wide feedback).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Feedback {
    /// It does not offer to.
    None,
    /// It offers to, and whoever drives it sends the feedback.
    ByCaller,
    /// It does, every 50 ms.
    Automatic,
}

/// Arrivals that are still to be told.
#[derive(Debug, Default)]
pub(super) struct Telling {
    arrivals: Arrivals,
    begun: Option<Instant>,
    /// When they are told.
    pub(super) due: Option<Instant>,
}

impl Telling {
    pub(super) fn note(&mut self, now: Instant, header: &Header, packet: &[u8]) {
        let Some(&[high, low]) = header.extension(packet, numbers::TRANSPORT_CC) else { return };
        let begun = *self.begun.get_or_insert(now);
        self.arrivals.record(u16::from_be_bytes([high, low]), now.duration_since(begun).as_micros() as u64);
        self.due.get_or_insert(now + EVERY);
    }

    /// The next feedback to send; none when all is told.
    pub(super) fn next(&mut self) -> Option<Vec<u8>> {
        self.due = None;
        if self.arrivals.is_empty() {
            return None;
        }
        let mut feedback = Vec::new();
        self.arrivals.feedback(1, 0, &mut feedback);
        Some(feedback)
    }
}
