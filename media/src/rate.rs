//! How many bits a second a layer sends for a receiver of each of its spatial and temporal layers: what an allocation reckons
//! with.

use crate::codec::{Descriptor, MOST_SPATIAL, MOST_TEMPORAL};

const SPATIAL: usize = MOST_SPATIAL as usize;
const TEMPORAL: usize = MOST_TEMPORAL as usize;
/// The weight of the newest measurement, as a power of two: with four in a second, a mean over about a second.
const SMOOTHING: u32 = 2;

/// The rates of one encoding.
#[derive(Debug, Clone, Default)]
pub(crate) struct Rates {
    bytes: [[u32; TEMPORAL]; SPATIAL],
    bps: [[u32; TEMPORAL]; SPATIAL],
    measured_us: u64,
}

impl Rates {
    /// A packet came. Who has a spatial layer does not always need the ones below it.
    pub fn took(&mut self, frame: &Descriptor, bytes: usize) {
        for (spatial, row) in (0u8..).zip(&mut self.bytes) {
            for (temporal, sum) in (0u8..).zip(row) {
                if frame.is_needed(spatial, temporal) {
                    *sum = sum.saturating_add(bytes as u32);
                }
            }
        }
    }

    /// Measures what came since the last call. While nothing comes at all, what was known holds: it is what will come again.
    pub fn measure(&mut self, now_us: u64) {
        if self.measured_us == 0 {
            // Nobody knows when the first packets began to come.
            self.bytes = Default::default();
            self.measured_us = now_us.max(1);
            return;
        }
        let elapsed_us = now_us.saturating_sub(self.measured_us);
        if self.bytes.iter().flatten().all(|bytes| *bytes == 0) {
            self.measured_us = now_us;
            return;
        }
        if elapsed_us < 100_000 {
            return;
        }
        let first = self.bps.iter().flatten().all(|bps| *bps == 0);
        self.measured_us = now_us;
        for (bytes, bps) in self.bytes.iter_mut().flatten().zip(self.bps.iter_mut().flatten()) {
            let bits = u64::from(std::mem::take(bytes)) * 8;
            let now_bps = u32::try_from(bits * 1_000_000 / elapsed_us).unwrap_or(u32::MAX);
            *bps = if first { now_bps } else { *bps - (*bps >> SMOOTHING) + (now_bps >> SMOOTHING) };
        }
    }

    /// What another shard has measured, where nothing comes that could be measured here.
    pub fn suppose(&mut self, bps: [u32; TEMPORAL]) {
        self.bps = [bps; SPATIAL];
    }

    /// What a receiver of the layers up to these gets, bit/s; 0 as long as it is not known.
    pub fn up_to(&self, spatial: u8, temporal: u8) -> u32 {
        let spatial = usize::from(spatial).min(SPATIAL - 1);
        self.bps[spatial][usize::from(temporal).min(TEMPORAL - 1)]
    }

    /// A rate as if it had been measured.
    #[cfg(test)]
    pub fn pretend(&mut self, spatial: u8, temporal: u8, bps: u32) {
        self.bps[usize::from(spatial)][usize::from(temporal)] = bps;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(temporal: u8) -> Descriptor {
        // S, X and T: the payload descriptor of an interframe of that temporal layer, and its first byte.
        crate::codec::vp8::describe(&[0x90, 0x20, temporal << 6, 0x01]).expect("a descriptor")
    }

    #[test]
    fn rates_are_measured_by_layer_and_held_over_a_pause() {
        let mut rates = Rates::default();
        rates.measure(1);
        for quarter in 1..=20u64 {
            rates.took(&of(0), 5_000);
            rates.took(&of(1), 2_500);
            rates.measure(quarter * 250_000);
        }
        let near = |bps: u32, want: u32| assert!(bps.abs_diff(want) < want / 50, "{bps} instead of {want}");
        near(rates.up_to(0, 0), 160_000);
        near(rates.up_to(0, 3), 240_000);
        rates.measure(60_000_000);
        near(rates.up_to(0, 3), 240_000);
        // After the pause the rate is not reckoned over all of it.
        rates.took(&of(0), 5_000);
        rates.measure(60_250_000);
        assert!(rates.up_to(0, 0) > 100_000);
    }
}
