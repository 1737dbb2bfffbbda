//! The door of a room: a setting that stays; and what is remembered of calls, which does not grow without bound.

use std::time::{Duration, Instant};

use proptest::prelude::*;

use super::hosting::call;
use super::*;
use crate::domain::{HostAct, controls::MutedAll};
use crate::rooms::orders::{AllOrders, SWEEP_FROM};

impl House {
    /// The same rooms after the server began anew: all is forgotten that is not in the database.
    fn anew(&self) -> Rooms {
        let Inner { config, store, bus, sfu, limits, .. } = &*self.rooms.0;
        Rooms::new(config.clone(), store.clone(), bus.clone(), sfu.clone(), limits.clone())
    }
}

#[tokio::test]
async fn a_door_stays_as_hosts_leave_it() {
    let (mut house, ada, ben, room) = call().await;
    let call = house.rooms.call_id(&ada.caller, room).await.unwrap();
    house.act(&ada, room, HostAct::Lock { locked: true }).await.unwrap();
    house.act(&ada, room, HostAct::WaitingRoom { enabled: true }).await.unwrap();
    house.act(&ada, room, HostAct::MuteAll { muted: true, may_unmute: false }).await.unwrap();
    for person in [&ada, &ben] {
        house.rooms.leave(person, room).unwrap();
    }
    let later = Instant::now() + Duration::from_secs(3600);
    house.rooms.lobby().orders.get_mut(&call).unwrap().expire(later);
    let controls = house.rooms.lobby().controls(call);
    assert!(controls.locked && controls.waiting_room && controls.muted_all.is_none(), "{controls:?}");
    assert_eq!(house.enter(&ben, room).await, Err(Refusal::RoomLocked));

    house.rooms = house.anew();
    assert_eq!(house.enter(&ben, room).await, Err(Refusal::RoomLocked));
    let shown = house.enter(&ada, room).await.unwrap().call.unwrap().controls;
    assert!(shown.locked && shown.waiting_room, "{shown:?}");
    house.act(&ada, room, HostAct::Lock { locked: false }).await.unwrap();
    assert_eq!(house.enter(&ben, room).await, Err(Refusal::Waiting));
    // Asked by REST first: whoever waits is not told of those who are in.
    house.rooms = house.anew();
    assert_eq!(house.rooms.call(&ben.caller, call).await.unwrap_err(), Refusal::Waiting);
    assert_eq!(house.rooms.visit(&ben.caller, room).await.unwrap_err(), Refusal::Waiting);
    house.enter(&ada, room).await.unwrap();
    house.act(&ada, room, HostAct::WaitingRoom { enabled: false }).await.unwrap();
    house.rooms = house.anew();
    house.enter(&ben, room).await.unwrap();
}

#[tokio::test]
async fn whoever_comes_while_a_door_opens_leaves_it_open() {
    let (house, ada, ben, room) = call().await;
    house.rooms.leave(&ben, room).unwrap();
    for _ in 0..20 {
        house.act(&ada, room, HostAct::Lock { locked: true }).await.unwrap();
        let _ = tokio::join!(house.enter(&ben, room), house.act(&ada, room, HostAct::Lock { locked: false }));
        house.enter(&ben, room).await.unwrap();
        assert!(!house.controls(room).locked);
        house.rooms.leave(&ben, room).unwrap();
    }
}

/// What happens to the calls of a server, one after the other.
#[derive(Clone, Copy, Debug)]
enum Step {
    /// A host settles something in a room with people.
    Settle,
    /// A moderator stops a track.
    Stop,
    /// The room that was opened so many rooms ago becomes empty.
    Empty(usize),
    /// Time passes.
    Wait(u64),
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let step = prop_oneof![
        8 => Just(Step::Settle),
        1 => Just(Step::Stop),
        8 => (0_usize..200).prop_map(Step::Empty),
        1 => (0_u64..120).prop_map(Step::Wait),
    ];
    proptest::collection::vec(step, 5_000..20_000)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, ..ProptestConfig::default() })]

    /// However many rooms come and go, at most twice as many calls are remembered as have to be, and none of those is forgotten.
    #[test]
    fn what_is_remembered_of_calls_is_bounded(steps in steps()) {
        let (mut all, begun) = (AllOrders::default(), Instant::now());
        let (mut now, mut rooms, mut most_needed) = (begun, Vec::<(CallId, bool, Option<Instant>)>::new(), 0);
        let needed = |rooms: &[(CallId, bool, Option<Instant>)], now: Instant| {
            let is_needed = |(_, stopped, empty): &&(CallId, bool, Option<Instant>)| {
                let kept = if *stopped { 24 * 3600 } else { 600 };
                empty.is_none_or(|since| now - since < Duration::from_secs(kept))
            };
            rooms.iter().filter(is_needed).map(|(call, ..)| *call).collect::<Vec<_>>()
        };
        for (number, step) in steps.into_iter().enumerate() {
            match step {
                Step::Settle => {
                    let call = CallId::new();
                    let hosted = &mut all.of(call, false, now).hosted;
                    hosted.mute_all(UserId::new(), Some(MutedAll { may_unmute: true }));
                    hosted.lock(number % 2 == 0);
                    rooms.push((call, false, None));
                }
                Step::Stop => {
                    let call = CallId::new();
                    all.of(call, false, now).stop(UserId::new(), TrackSource::Camera);
                    rooms.push((call, true, None));
                }
                Step::Empty(ago) => {
                    let at = rooms.len().checked_sub(1 + ago);
                    if let Some((call, _, empty @ None)) = at.and_then(|at| rooms.get_mut(at)) {
                        *empty = Some(now);
                        all.get_mut(call).unwrap().set_empty(true, now);
                    }
                }
                Step::Wait(seconds) => now += Duration::from_secs(seconds),
            }
            if number % 64 == 0 {
                let needed = needed(&rooms, now);
                most_needed = most_needed.max(needed.len() + 64);
                prop_assert!(all.len() <= SWEEP_FROM.max(2 * most_needed), "{} of {}", all.len(), most_needed);
                prop_assert!(needed.iter().all(|call| all.contains(call)));
            }
        }
    }
}
