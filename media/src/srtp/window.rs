//! Which packets may still come.

use crate::drop::Drop;

/// Sequence numbers of one incoming SSRC: the rollover counter (RFC 3711 §3.3.1) and the replay window (§3.3.2), 1,024
/// packets wide, because a retransmission on the original SSRC may come late.
#[derive(Debug, Clone)]
pub struct RolloverWindow {
    /// The highest index accepted, `None` before the first packet.
    highest: Option<u64>,
    /// Bit `index % 1024`, valid for the last 1,024 indices up to `highest`.
    seen: [u64; WINDOW_WORDS],
}

const WINDOW_WORDS: usize = 16;
const WINDOW: u64 = WINDOW_WORDS as u64 * 64;

impl Default for RolloverWindow {
    fn default() -> Self {
        Self { highest: None, seen: [0; WINDOW_WORDS] }
    }
}

impl RolloverWindow {
    /// The 48-bit packet index (rollover counter · 2¹⁶ + sequence number) closest to the highest one seen.
    #[must_use]
    pub fn estimate(&self, seq: u16) -> u64 {
        let Some(highest) = self.highest else { return u64::from(seq) };
        let roc = highest >> 16;
        let ahead = i64::from(seq) - (highest & 0xffff) as i64;
        let roc = if ahead > 0x8000 {
            // Before the first wrap there is no round to go back to.
            roc.saturating_sub(1)
        } else if ahead < -0x8000 {
            roc + 1
        } else {
            roc
        };
        roc << 16 | u64::from(seq)
    }

    /// Whether a packet with this index may still come.
    ///
    /// # Errors
    ///
    /// [`Drop::SrtpReplay`] when it came already or is older than the window.
    pub fn check(&self, index: u64) -> Result<(), Drop> {
        let Some(highest) = self.highest else { return Ok(()) };
        if index > highest {
            return Ok(());
        }
        if highest - index >= WINDOW || self.seen[word_of(index)] & bit_of(index) != 0 {
            return Err(Drop::SrtpReplay);
        }
        Ok(())
    }

    /// Notes an index that passed [`Self::check`] and whose packet was authentic.
    pub fn accept(&mut self, index: u64) {
        match self.highest {
            Some(highest) if index <= highest => {}
            Some(highest) if index - highest < WINDOW => {
                for skipped in highest + 1..=index {
                    self.seen[word_of(skipped)] &= !bit_of(skipped);
                }
                self.highest = Some(index);
            }
            _ => {
                self.seen = [0; WINDOW_WORDS];
                self.highest = Some(index);
            }
        }
        self.seen[word_of(index)] |= bit_of(index);
    }

    /// The highest index accepted so far.
    #[must_use]
    pub fn highest(&self) -> Option<u64> {
        self.highest
    }
}

fn word_of(index: u64) -> usize {
    (index % WINDOW / 64) as usize
}

fn bit_of(index: u64) -> u64 {
    1 << (index % 64)
}

/// The replay window of one SRTCP sender, 64 packets wide.
#[derive(Default)]
pub(super) struct RtcpWindow {
    highest: u32,
    /// Bit n: index `highest - n` came.
    seen: u64,
}

impl RtcpWindow {
    pub(super) fn check(&self, index: u32) -> Result<(), Drop> {
        if index > self.highest || self.seen == 0 {
            return Ok(());
        }
        let age = self.highest - index;
        if age >= 64 || self.seen >> age & 1 == 1 { Err(Drop::SrtpReplay) } else { Ok(()) }
    }

    pub(super) fn accept(&mut self, index: u32) {
        if index > self.highest || self.seen == 0 {
            let ahead = index - self.highest;
            self.seen = if self.seen == 0 || ahead >= 64 { 0 } else { self.seen << ahead };
            self.highest = index;
        }
        self.seen |= 1 << (self.highest - index);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_index_follows_the_sequence_number_over_its_wrap() {
        let mut window = RolloverWindow::default();
        assert_eq!(window.estimate(65_000), 65_000);
        window.accept(65_000);
        assert_eq!(window.estimate(100), 65_536 + 100);
        window.accept(65_536 + 100);
        assert_eq!(window.estimate(65_535), 65_535, "late from before the wrap");
        assert_eq!(window.estimate(101), 65_536 + 101);

        let mut early = RolloverWindow::default();
        early.accept(3);
        assert_eq!(early.estimate(65_000), 65_000, "there is no round before the first");
    }

    #[test]
    fn an_index_is_accepted_once_and_only_within_the_window() {
        let mut window = RolloverWindow::default();
        for index in [5_000, 5_002, 6_000] {
            assert_eq!(window.check(index), Ok(()));
            window.accept(index);
            assert_eq!(window.check(index), Err(Drop::SrtpReplay));
        }
        assert_eq!(window.check(5_001), Ok(()), "late, but never seen");
        window.accept(5_001);
        assert_eq!(window.check(5_001), Err(Drop::SrtpReplay));
        assert_eq!(window.check(6_000 - WINDOW), Err(Drop::SrtpReplay), "older than the window");
        window.accept(60_000);
        assert_eq!(window.check(60_000 - 1), Ok(()), "a jump leaves no stale marks");
        assert_eq!(window.highest(), Some(60_000));
    }

    #[test]
    fn an_rtcp_index_is_accepted_once() {
        let mut window = RtcpWindow::default();
        for index in [0, 1, 70, 69, 133] {
            assert_eq!(window.check(index), Ok(()), "{index}");
            window.accept(index);
            assert_eq!(window.check(index), Err(Drop::SrtpReplay), "{index}");
        }
        assert_eq!(window.check(69), Err(Drop::SrtpReplay));
        assert_eq!(window.check(71), Ok(()));
    }
}
