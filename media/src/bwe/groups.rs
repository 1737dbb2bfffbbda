//! Groups of packets that were sent together, and how much further apart they arrived than they were sent
//! (draft-ietf-rmcat-gcc-02 §5.2 and §5.3).

/// Packets sent within this time of a group's first are one group: what a pacer sends in one go.
const GROUP_US: i64 = 5_000;
/// Packets that arrive this close behind each other, sooner than they were sent, came in a burst: a link that woke up.
const BURST_GAP_US: i64 = 5_000;
/// No burst is longer.
const LONGEST_BURST_US: i64 = 100_000;
/// After this many groups that arrived before their predecessor the grouping begins anew.
const MOST_REORDERED: u8 = 3;

#[derive(Debug, Clone, Copy)]
struct Group {
    first_sent_us: i64,
    sent_us: i64,
    first_arrival_us: i64,
    arrival_us: i64,
}

/// Two groups: how far apart they were sent and arrived.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Spacing {
    pub sent_us: i64,
    pub arrived_us: i64,
    /// When the later one arrived.
    pub at_us: i64,
}

/// The last two groups.
#[derive(Debug, Default)]
pub(super) struct Groups {
    previous: Option<Group>,
    current: Option<Group>,
    reordered: u8,
}

impl Groups {
    /// Takes one packet that arrived, in the order of arrival. Answers the spacing of two groups when it begins a third.
    pub fn add(&mut self, sent_us: u64, arrival_us: i64) -> Option<Spacing> {
        let sent_us = sent_us as i64;
        let begun = Group { first_sent_us: sent_us, sent_us, first_arrival_us: arrival_us, arrival_us };
        let Some(current) = self.current.as_mut() else {
            self.current = Some(begun);
            return None;
        };
        if sent_us < current.first_sent_us {
            return None;
        }
        if sent_us - current.first_sent_us <= GROUP_US || current.is_burst(sent_us, arrival_us) {
            current.sent_us = current.sent_us.max(sent_us);
            current.arrival_us = current.arrival_us.max(arrival_us);
            return None;
        }
        let done = *current;
        let spacing = self.previous.map(|previous| Spacing {
            sent_us: done.sent_us - previous.sent_us,
            arrived_us: done.arrival_us - previous.arrival_us,
            at_us: done.arrival_us,
        });
        if let Some(spacing) = spacing
            && spacing.arrived_us < 0
        {
            self.reordered += 1;
            if self.reordered >= MOST_REORDERED {
                *self = Groups::default();
            }
            return None;
        }
        self.reordered = 0;
        self.previous = Some(done);
        self.current = Some(begun);
        spacing
    }
}

impl Group {
    fn is_burst(&self, sent_us: i64, arrival_us: i64) -> bool {
        let apart_us = arrival_us - self.arrival_us;
        apart_us <= BURST_GAP_US
            && apart_us < sent_us - self.sent_us
            && arrival_us - self.first_arrival_us < LONGEST_BURST_US
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_sent_together_is_one_group() {
        let mut groups = Groups::default();
        let mut spacings = Vec::new();
        for frame in 0..4u64 {
            for packet in 0..3u64 {
                // Each frame takes 2 ms longer than the last.
                let sent_us = 33_000 * frame + 1_000 * packet;
                let arrival_us = (sent_us + 25_000 + 2_000 * frame) as i64;
                spacings.extend(groups.add(sent_us, arrival_us));
            }
        }
        assert_eq!(
            spacings,
            [
                Spacing { sent_us: 33_000, arrived_us: 35_000, at_us: 62_000 },
                Spacing { sent_us: 33_000, arrived_us: 35_000, at_us: 97_000 },
            ]
        );
    }

    #[test]
    fn a_burst_counts_as_one_group() {
        let mut groups = Groups::default();
        groups.add(0, 20_000);
        // The link slept for 80 ms, and what had waited comes at once.
        for packet in 1..8u64 {
            assert_eq!(groups.add(10_000 * packet, 100_000 + 100 * packet as i64), None);
        }
        let spacing = groups.add(100_000, 120_000).expect("two groups are done");
        assert_eq!((spacing.sent_us, spacing.arrived_us), (70_000, 80_700));
    }

    #[test]
    fn a_packet_from_before_is_left_out() {
        let mut groups = Groups::default();
        groups.add(0, 20_000);
        groups.add(10_000, 30_000);
        assert_eq!(groups.add(1_000, 31_000), None);
        assert!(groups.add(20_000, 40_000).is_some_and(|spacing| spacing.sent_us == 10_000));
    }
}
