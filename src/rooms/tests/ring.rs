//! A call that rings, by itself: any order of answers, cancels and time.

use proptest::prelude::*;

use super::super::ring::{Happening, NoRing, Ring};
use crate::domain::{
    CallId, RoomId, Time, UserId,
    message::Author,
    ring::{CallOutcome, CallRecord, CallType, RingState, Rung},
};

const RING_MS: u64 = 45_000;

fn user(number: u128) -> UserId {
    UserId::from(number)
}

/// A call by nobody of those whom it rings: they are 1, 2, …
fn ring(states: &[RingState], hidden: &[u128]) -> Ring {
    let rung = |(at, state): (usize, &RingState)| Rung {
        user_id: user(at as u128 + 1),
        nickname: format!("p{at}"),
        state: *state,
    };
    let record = CallRecord {
        call_id: CallId::from(1),
        room_id: RoomId::from(2),
        initiator: Author { id: user(0), nickname: "ada".to_owned() },
        kind: CallType::Voice,
        participants: states.iter().enumerate().map(rung).collect(),
        started_at: Time::from_ms(0),
        answered_at: None,
        ended_at: None,
        outcome: None,
    };
    Ring::new(record, CallId::from(3), RING_MS, hidden.iter().copied().map(user).collect())
}

fn at(ms: i64) -> Time {
    Time::from_ms(ms)
}

#[test]
fn the_first_yes_answers_and_the_last_to_leave_ends() {
    let mut ring = ring(&[RingState::Ringing; 2], &[]);
    assert_eq!((ring.due(), ring.is_over()), (Some(at(45_000)), false));
    assert_eq!(ring.take(Happening::Accept(user(1)), at(5_000)), Ok(true));
    assert_eq!(ring.take(Happening::Accept(user(1)), at(5_001)), Ok(false), "another device of theirs");
    assert_eq!(ring.take(Happening::Decline(user(1)), at(5_002)), Err(NoRing));
    assert_eq!((ring.record.answered_at, ring.rings()), (Some(at(5_000)), true), "the other one still rings");
    assert_eq!(ring.take(Happening::Decline(user(2)), at(6_000)), Ok(true));
    assert_eq!(ring.due(), Some(at(65_000)));
    assert_eq!(ring.take(Happening::Tick(2), at(65_000)), Ok(false), "they are in the call");
    assert_eq!(ring.due(), None, "time alone changes nothing any more");
    assert_eq!(ring.take(Happening::Emptied, at(90_000)), Ok(true));
    assert_eq!((ring.record.outcome, ring.record.ended_at), (Some(CallOutcome::Answered), Some(at(90_000))));
}

#[test]
fn each_end_has_its_name() {
    use RingState::{Busy, Ringing};
    let outcome = |states: &[RingState], happenings: &[(Happening, i64)]| {
        let mut ring = ring(states, &[]);
        for (happening, ms) in happenings {
            ring.take(*happening, at(*ms)).unwrap();
        }
        ring.record.outcome
    };
    let (no, yes) = (Happening::Decline(user(1)), Happening::Accept(user(1)));
    assert_eq!(outcome(&[Ringing], &[(no, 1)]), Some(CallOutcome::Declined));
    assert_eq!(outcome(&[Ringing, Ringing], &[(no, 1)]), None);
    assert_eq!(outcome(&[Ringing, Ringing], &[(no, 1), (Happening::Tick(0), 45_000)]), Some(CallOutcome::Declined));
    assert_eq!(outcome(&[Busy, Busy], &[]), Some(CallOutcome::Busy));
    assert_eq!(outcome(&[Ringing, Busy], &[(Happening::Tick(0), 44_999)]), None);
    assert_eq!(outcome(&[Ringing, Busy], &[(Happening::Tick(0), 45_000)]), Some(CallOutcome::Missed));
    assert_eq!(outcome(&[Ringing], &[(Happening::Drop(user(1)), 1)]), Some(CallOutcome::Missed));
    assert_eq!(outcome(&[Ringing], &[(Happening::Emptied, 1)]), None, "who called has looked away for a moment");
    assert_eq!(outcome(&[Ringing], &[(Happening::Cancel, 1)]), Some(CallOutcome::Canceled));
    assert_eq!(outcome(&[Ringing], &[(yes, 1), (Happening::Cancel, 2)]), None, "it was answered");
    assert_eq!(outcome(&[Ringing], &[(yes, 1), (Happening::Tick(0), 60_001)]), Some(CallOutcome::Answered));
}

#[test]
fn whom_a_block_hides_is_told_nothing_and_is_missed() {
    let mut ring = ring(&[RingState::Ringing], &[1]);
    assert_eq!(ring.told(), [user(0)]);
    assert_eq!((ring.invite(user(1), at(1)), ring.occupies(user(1), at(1))), (None, false));
    assert_eq!(ring.take(Happening::Accept(user(1)), at(1)), Err(NoRing));
    assert_eq!(ring.take(Happening::Tick(0), at(45_000)), Ok(true));
    assert_eq!(ring.record.outcome, Some(CallOutcome::Missed));
}

#[test]
fn a_late_answer_is_none() {
    let mut ring = ring(&[RingState::Ringing], &[]);
    assert_eq!(ring.take(Happening::Accept(user(1)), at(45_000)), Err(NoRing), "whether its end was told yet or not");
    ring.take(Happening::Tick(0), at(45_000)).unwrap();
    assert_eq!(ring.take(Happening::Accept(user(1)), at(44_000)), Err(NoRing));
}

fn happening() -> impl Strategy<Value = Happening> {
    let somebody = (0_u128..5).prop_map(user);
    prop_oneof![
        somebody.clone().prop_map(Happening::Accept),
        somebody.clone().prop_map(Happening::Decline),
        somebody.prop_map(Happening::Drop),
        Just(Happening::Cancel),
        (0_usize..3).prop_map(Happening::Tick),
        Just(Happening::Emptied),
    ]
}

fn first_state() -> impl Strategy<Value = RingState> {
    prop_oneof![4 => Just(RingState::Ringing), 1 => Just(RingState::Busy)]
}

proptest! {
    #[test]
    fn it_ends_once_and_all_learn_the_same(
        states in prop::collection::vec(first_state(), 1..4),
        hidden in prop::collection::vec(1_u128..4, 0..2),
        steps in prop::collection::vec((happening(), 0_i64..20_000), 0..60),
    ) {
        let mut ring = ring(&states, &hidden);
        // What each has been told last: the whole record, so that the last one is all that matters.
        let mut told = std::collections::HashMap::new();
        let mut ends = 0;
        let mut now = 0;
        let tell = |ring: &Ring, told: &mut std::collections::HashMap<UserId, CallRecord>| {
            for user in ring.told() {
                told.insert(user, ring.record.clone());
            }
        };
        tell(&ring, &mut told);
        ends += usize::from(ring.is_over());
        let last = [(Happening::Tick(0), 45_000), (Happening::Tick(0), 60_000)];
        for (happening, passes_ms) in steps.into_iter().chain(last) {
            now += passes_ms;
            let before = ring.clone();
            let taken = ring.take(happening, at(now));
            prop_assert_eq!(taken == Ok(true), ring.record != before.record, "what changes is told, and nothing else");
            let is_late = matches!((happening, ring.due()), (Happening::Tick(_), Some(due)) if due <= at(now));
            prop_assert!(!is_late, "what was due has been done");
            if taken == Ok(true) {
                tell(&ring, &mut told);
            }
            if before.is_over() {
                prop_assert_eq!(&ring, &before, "what is over stays as it was");
            } else {
                ends += usize::from(ring.is_over());
            }
            for (was, is) in before.record.participants.iter().zip(&ring.record.participants) {
                prop_assert!(was.state == is.state || was.state == RingState::Ringing, "an answer stands");
            }
            prop_assert!(!(ring.is_over() && ring.rings()), "nothing rings after the end");
            prop_assert_eq!(ring.is_over(), ring.record.ended_at.is_some());
            prop_assert!(!ring.is_over() || ring.due().is_none());
            prop_assert!(!ring.rings() || ring.due().is_some());
        }
        prop_assert!(ring.is_over() && ends == 1);
        let said_yes = ring.record.participants.iter().any(|rung| rung.state == RingState::Accepted);
        prop_assert_eq!(said_yes, ring.record.outcome == Some(CallOutcome::Answered));
        for (user, record) in told {
            prop_assert_eq!(&record, &ring.record, "{:?} knows the end", user);
        }
    }
}
