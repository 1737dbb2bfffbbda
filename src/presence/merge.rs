//! What all nodes together say of somebody: a pure function of what they announced, in whatever order it came.

use std::collections::BTreeMap;
use std::time::Duration;

use crate::domain::{NodeId, Time, presence::Announcement, presence::Status};

/// How long an announcement holds. A node that goes on says it again in time.
pub const LIVES: Duration = Duration::from_secs(90);

/// As what somebody is there; `None`: they are not. One invisible device hides them; otherwise the most present one counts.
pub fn merge<'a>(announcements: impl IntoIterator<Item = &'a Announcement>, now: Time) -> Option<Status> {
    let mut latest: BTreeMap<NodeId, &Announcement> = BTreeMap::new();
    for announcement in announcements {
        let known = latest.entry(announcement.node).or_insert(announcement);
        *known = (*known).max(announcement);
    }
    latest.into_values().filter(|it| is_alive(it, now)).filter_map(|it| it.status).max()
}

/// Whether an announcement still holds.
pub fn is_alive(announcement: &Announcement, now: Time) -> bool {
    announcement.at.after(LIVES) > now
}

/// The same for the devices of one node.
pub fn merge_devices(devices: impl Iterator<Item = Status>) -> Option<Status> {
    devices.max()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::domain::UserId;

    const NOW_MS: i64 = 1_000_000;

    fn announcement() -> impl Strategy<Value = Announcement> {
        let status = prop::option::of(prop::sample::select(Status::ALL.to_vec()));
        (0_u128..4, status, NOW_MS - 120_000..NOW_MS).prop_map(|(node, status, at)| Announcement {
            at: Time::from_ms(at),
            status,
            node: NodeId::from(node),
            user: UserId::from(1_u128),
        })
    }

    fn said(node: u128, status: Option<Status>, at_ms: i64) -> Announcement {
        Announcement { at: Time::from_ms(at_ms), status, node: NodeId::from(node), user: UserId::from(1_u128) }
    }

    #[test]
    fn the_most_present_device_counts_and_an_invisible_one_hides_all() {
        let now = Time::from_ms(NOW_MS);
        let at = |status| said(1, Some(status), NOW_MS);
        let other = |status| said(2, Some(status), NOW_MS);
        assert_eq!(merge(&[], now), None);
        assert_eq!(merge(&[at(Status::Away), other(Status::Online)], now), Some(Status::Online));
        assert_eq!(merge(&[at(Status::Away), other(Status::Busy)], now), Some(Status::Busy));
        assert_eq!(merge(&[at(Status::Online), other(Status::Invisible)], now), Some(Status::Invisible));
        assert_eq!(merge(&[at(Status::Online), said(1, None, NOW_MS + 1)], now), None, "a later word replaces");
        assert_eq!(merge(&[said(1, Some(Status::Online), NOW_MS - 90_000)], now), None, "a silent node is forgotten");
    }

    proptest! {
        #[test]
        fn the_order_does_not_matter(
            (said, shuffled) in prop::collection::vec(announcement(), 0..12)
                .prop_flat_map(|all| (Just(all.clone()), Just(all).prop_shuffle())),
            cut in 0_usize..12,
        ) {
            let now = Time::from_ms(NOW_MS);
            prop_assert_eq!(merge(&said, now), merge(&shuffled, now));
            // Nor does it matter what is heard twice.
            let twice: Vec<_> = said.iter().chain(shuffled.iter().take(cut)).copied().collect();
            prop_assert_eq!(merge(&twice, now), merge(&said, now));
        }

        #[test]
        fn nobody_is_seen_who_hides_anywhere(said in prop::collection::vec(announcement(), 0..12)) {
            let now = Time::from_ms(NOW_MS);
            let hides = Announcement {
                node: NodeId::from(9_u128), status: Some(Status::Invisible), at: now, user: UserId::from(1_u128),
            };
            let all: Vec<_> = said.iter().chain([&hides]).copied().collect();
            prop_assert_eq!(merge(&all, now), Some(Status::Invisible));
        }
    }
}
