//! Slots: the receive streams that a subscriber offered once, and which track each of them carries.

use crate::allocate::{Rank, Rung};
use crate::forward::{Stream, Target};
use crate::track::{Kind, TrackKey};

/// One receive slot of a subscriber.
#[derive(Debug)]
pub(crate) struct Slot {
    /// The section of the offer that the slot is.
    pub mid: String,
    pub kind: Kind,
    /// Its number among the slots of its kind: audio slot n and video slot n share one media stream in the browser.
    pub number: usize,
    pub stream: Stream,
    /// The track that the slot carries.
    pub track: Option<TrackKey>,
    /// Its place among the receivers of that track.
    pub among: usize,
    /// What its receiver should get of the track; none when its line does not carry it.
    pub target: Option<Target>,
    /// What the allocation gave it: the target once its layer is there.
    pub given: Option<Rung>,
    /// The line does not carry it.
    pub paused: bool,
    /// How often its receiver may ask for key frames.
    pub requests: Requests,
    /// When the allocation took something from it; 0 for never.
    pub fell_us: u64,
    /// How important the track is to the receiver, and its place among those of the same rank.
    pub rank: (Rank, u16),
    /// The width of the tile it is shown in, device pixels.
    pub width: u16,
    /// What the receiver has been told.
    pub told: Told,
    /// First timestamp of the track that the slot carries now.
    pub first_timestamp: Option<u32>,
    /// As of its receiver's last report: numbers given, packets sent, and packets that the source had repaired.
    pub reported: Option<(u32, u32, u64)>,
}

/// Key frame requests of one receiver for one slot: each makes everybody's picture worse.
#[derive(Debug, Default)]
pub(crate) struct Requests {
    used_us: u64,
}

/// A receiver may ask for a key frame this often in the long run …
const REQUEST_EVERY_US: u64 = 2_000_000;
/// … and this many times sooner than that.
const MOST_REQUESTS: u64 = 5;

impl Requests {
    /// Whether a request passes now (a leaky bucket, as in the generic cell rate algorithm).
    pub fn pass(&mut self, now_us: u64) -> bool {
        let used_us = self.used_us.max(now_us);
        if used_us >= now_us + MOST_REQUESTS * REQUEST_EVERY_US {
            return false;
        }
        self.used_us = used_us + REQUEST_EVERY_US;
        true
    }
}

/// What a receiver has been told of a slot.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Told {
    pub track: Option<TrackKey>,
    /// The size that flows.
    pub layer: Option<u8>,
    /// The first timestamp of the track.
    pub timestamp: Option<u32>,
    /// The line does not carry it.
    pub paused: bool,
}

/// Gives wanted tracks to slots: who has a slot keeps it, who is not wanted leaves, newcomers take what is free, if possible the
/// place that `pair` names. `wanted` is in order of importance.
pub(crate) fn assign(
    current: &[Option<TrackKey>],
    wanted: &[TrackKey],
    pair: impl Fn(TrackKey) -> Option<usize>,
) -> Vec<Option<TrackKey>> {
    let wanted = &wanted[..wanted.len().min(current.len())];
    let mut slots: Vec<Option<TrackKey>> =
        current.iter().map(|track| track.filter(|track| wanted.contains(track))).collect();
    let newcomers = || wanted.iter().copied().filter(|track| !current.contains(&Some(*track)));
    let mut unpaired = Vec::new();
    for track in newcomers() {
        match pair(track).filter(|place| slots.get(*place) == Some(&None)) {
            Some(place) => slots[place] = Some(track),
            None => unpaired.push(track),
        }
    }
    for track in unpaired {
        if let Some(free) = slots.iter_mut().find(|slot| slot.is_none()) {
            *free = Some(track);
        }
    }
    slots
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn who_has_a_slot_keeps_it() {
        assert_eq!(assign(&[Some(1), None, Some(2)], &[3, 2, 1], |_| None), [Some(1), Some(3), Some(2)]);
        assert_eq!(assign(&[Some(1), Some(2)], &[3, 2], |_| None), [Some(3), Some(2)]);
        assert_eq!(assign(&[Some(1), Some(2)], &[2, 3, 1], |_| None), [Some(3), Some(2)]);
        assert_eq!(assign(&[None, None, None], &[7, 8], |track| (track == 8).then_some(2)), [Some(7), None, Some(8)]);
    }

    proptest! {
        /// The most important tracks are all there, each once, and nobody is moved.
        #[test]
        fn the_most_important_are_shown_once(
            current in proptest::collection::vec(proptest::option::of(0usize..12), 0..8),
            wanted in proptest::sample::subsequence((0usize..12).collect::<Vec<_>>(), 0..12).prop_shuffle(),
        ) {
            let mut seen = std::collections::HashSet::new();
            let current: Vec<_> = current.into_iter().map(|track| track.filter(|track| seen.insert(*track))).collect();
            let after = assign(&current, &wanted, |track| Some(track % 8));
            prop_assert_eq!(after.len(), current.len());
            for track in wanted.iter().take(current.len()) {
                prop_assert_eq!(after.iter().filter(|slot| **slot == Some(*track)).count(), 1);
                if let Some(place) = current.iter().position(|slot| *slot == Some(*track)) {
                    prop_assert_eq!(after[place], Some(*track));
                }
            }
            prop_assert_eq!(after.iter().flatten().count(), wanted.len().min(current.len()));
        }
    }
}
