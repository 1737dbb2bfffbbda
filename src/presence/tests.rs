//! Who tells what of somebody who is there by two nodes.

use super::*;

const ADA: u128 = 1;

/// What two nodes know of somebody.
struct Two([Person; 2]);

impl Two {
    fn node(index: usize) -> NodeId {
        NodeId::from(index as u128 + 1)
    }

    /// The person's devices at a node are that many from now on; both nodes know of it.
    fn have(&mut self, index: usize, devices: u128, at_ms: i64) {
        let (at, node) = (Time::from_ms(at_ms), Self::node(index));
        let here = &mut self.0[index];
        here.devices = (0..devices).map(|id| (SessionId::from(id), Status::Online)).collect();
        here.left = here.devices.is_empty().then_some(at);
        let said = Announcement { at, status: here.here(), node, user: UserId::from(ADA) };
        self.0[1 - index].elsewhere.insert(node, said);
    }

    /// What each node tells.
    fn tell(&mut self, at_ms: i64) -> [Option<(Seen, Option<String>)>; 2] {
        let now = Time::from_ms(at_ms);
        [0, 1].map(|index| {
            let news = self.0[index].news(UserId::from(ADA), Self::node(index), now);
            news.map(|news| (news.shown.status, news.shown.text))
        })
    }

    fn wish(&mut self, status: Status, text: Option<&str>) {
        for person in self.0.iter_mut().filter(|person| !person.devices.is_empty()) {
            person.wish = Wish { status, text: text.map(str::to_owned), text_until: None };
        }
    }
}

fn online() -> Option<(Seen, Option<String>)> {
    Some((Seen::Online, None))
}

fn offline() -> Option<(Seen, Option<String>)> {
    Some((Seen::Offline, None))
}

#[test]
fn one_node_tells_of_somebody_and_it_has_devices_of_theirs() {
    let mut two = Two(Default::default());
    two.have(1, 1, 1);
    assert_eq!(two.tell(1), [None, online()]);
    two.wish(Status::Busy, Some("in a meeting"));
    two.have(1, 1, 2);
    let busy = || Some((Seen::Busy, Some("in a meeting".to_owned())));
    assert_eq!(two.tell(2), [None, busy()], "who has no device of theirs does not know what they say");
    assert_eq!(two.tell(3), [None, None], "nothing has changed");
    two.have(0, 1, 4);
    two.wish(Status::Busy, Some("in a meeting"));
    assert_eq!(two.tell(4), [busy(), None], "of two, the first");
    two.wish(Status::Away, None);
    assert_eq!(two.tell(5), [Some((Seen::Away, None)), None], "though the other has said nothing of it yet");
    two.have(0, 0, 6);
    assert_eq!(two.tell(6), [None, Some((Seen::Away, None))], "the other takes it over");
    two.have(1, 0, 7);
    assert_eq!(two.tell(7), [None, offline()]);
    assert_eq!(two.tell(8), [None, None]);
}

#[test]
fn that_somebody_went_is_told_once_though_both_nodes_saw_the_last_device_go() {
    for at_ms in [[2, 3], [3, 2], [2, 2]] {
        let mut two = Two(Default::default());
        two.have(0, 1, 1);
        two.have(1, 1, 1);
        two.tell(1);
        two.have(0, 0, at_ms[0]);
        two.have(1, 0, at_ms[1]);
        let told = two.tell(4);
        assert_eq!(told.iter().flatten().count(), 1, "{told:?}");
    }
}

#[test]
fn of_whom_a_silent_node_had_the_others_tell_that_they_went() {
    let mut two = Two(Default::default());
    two.have(0, 1, 1);
    assert_eq!(two.tell(1), [online(), None]);
    two.0[1].elsewhere.clear();
    assert_eq!(two.tell(2)[1], offline());
}

#[test]
fn nothing_is_told_of_somebody_invisible() {
    let mut two = Two(Default::default());
    two.0[0].wish.status = Status::Invisible;
    two.have(0, 1, 1);
    assert_eq!(two.tell(1), [None, None]);
    two.have(1, 1, 2);
    assert_eq!(two.tell(2), [None, None], "one that hides, hides all");
    two.have(0, 0, 3);
    two.0[1].wish.status = Status::Invisible;
    two.have(1, 1, 3);
    assert_eq!(two.tell(3), [None, None]);
    two.have(1, 0, 4);
    assert_eq!(two.tell(4), [None, None]);
}
