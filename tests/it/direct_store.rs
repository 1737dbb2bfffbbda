//! What the store keeps of direct messages and of calls that rang.

use parlor::domain::{
    CallId, Door, Room, RoomId, RoomKind, Time, UserId, Visibility,
    direct::{DirectFrom, DirectStanding, Stirred},
    message::{Author, System},
    ring::{CallOutcome, CallRecord, CallType, RingState, Rung},
};
use parlor::store::{Invited, Membership, NewMessage, RoomRecord, Store};

use crate::store::{Database, on_both_databases, person, send};

on_both_databases!(
    a_pair_has_one_room_whoever_is_first,
    only_who_has_accepted_is_a_member,
    a_group_has_its_limit,
    lists_go_by_what_was_stirred_last,
    requests_are_counted_until_they_are_accepted,
    what_the_server_tells_is_no_request,
    from_whom_one_takes_messages_is_kept,
    calls_are_kept_as_they_change,
    calls_of_a_server_that_died_are_lost,
);

fn record(kind: RoomKind, by: &Author, made_ms: i64) -> RoomRecord {
    let room = Room { created_at: Time::from_ms(made_ms), ..Room::new(kind, String::new(), Visibility::Private, 10) };
    RoomRecord { room, call: CallId::new(), created_by: by.id, door: Door::default() }
}

fn itself(who: &Author) -> Invited {
    Invited { user: who.id, standing: DirectStanding::Accepted, by: None }
}

fn asked(who: &Author, by: &Author) -> Invited {
    Invited { user: who.id, standing: DirectStanding::Pending, by: Some(by.id) }
}

/// A request of the first to the second.
async fn request(store: &Store, by: &Author, whom: &Author, made_ms: i64) -> RoomId {
    let pair = Some([by.id, whom.id]);
    store.create_direct(&record(RoomKind::Dm, by, made_ms), pair, &[itself(by), asked(whom, by)]).await.unwrap()
}

async fn a_pair_has_one_room_whoever_is_first(database: Database) {
    let (store, _events) = database.open().await;
    let (ada, ben, cleo) = (person(&store, "ada").await, person(&store, "ben").await, person(&store, "cleo").await);
    let (first, second) = tokio::join!(request(&store, &ada, &ben, 1_000), request(&store, &ben, &ada, 1_000));
    assert_eq!(first, second);
    assert_eq!(store.direct_of([ben.id, ada.id]).await.unwrap(), Some(first));
    assert_eq!(store.direct_people(first).await.unwrap().len(), 2, "what came second left nothing");
    assert_eq!(store.direct_of([ada.id, cleo.id]).await.unwrap(), None);
    let other = request(&store, &ada, &cleo, 1_000).await;
    assert_ne!(other, first);
    for _ in 0..2 {
        let group = record(RoomKind::GroupDm, &ada, 1_000);
        assert_eq!(store.create_direct(&group, None, &[itself(&ada)]).await.unwrap(), group.room.id, "groups are many");
    }
}

async fn only_who_has_accepted_is_a_member(database: Database) {
    use DirectStanding::{Accepted, Declined, Left, Pending};
    let (store, _events) = database.open().await;
    let (ada, ben) = (person(&store, "ada").await, person(&store, "ben").await);
    let room = request(&store, &ada, &ben, 1_000).await;
    let is_member = async |who: &Author| matches!(store.membership(room, who.id).await.unwrap(), Membership::Member(_));
    assert!(is_member(&ada).await && !is_member(&ben).await);
    assert!(store.is_request_of(room, ada.id).await.unwrap());
    assert_eq!(store.direct_inviter(room, ben.id).await.unwrap(), Some(ada.id));
    assert!(!store.share_a_room(ada.id, ben.id).await.unwrap(), "a request is no acquaintance");
    let set = async |from: &[DirectStanding], to| {
        store.set_direct_standing(room, ben.id, from, to, Time::from_ms(2_000)).await.unwrap()
    };
    assert!(!set(&[Declined, Left], Accepted).await, "it is pending");
    assert!(set(&[Pending], Declined).await && !set(&[Pending], Accepted).await);
    assert!(!is_member(&ben).await);
    assert!(set(&[Pending, Declined], Accepted).await && is_member(&ben).await);
    assert!(!store.is_request_of(room, ada.id).await.unwrap());
    assert!(store.share_a_room(ben.id, ada.id).await.unwrap());
    assert!(set(&[Accepted], Left).await && !is_member(&ben).await);
    assert_eq!(store.direct_standing(room, ben.id).await.unwrap(), Some(Left));
    let there: Vec<_> = store.direct_people(room).await.unwrap().into_iter().map(|(it, _)| it.nickname).collect();
    assert_eq!(there, ["ada"]);
}

async fn a_group_has_its_limit(database: Database) {
    let (store, _events) = database.open().await;
    let ada = person(&store, "ada").await;
    let group = record(RoomKind::GroupDm, &ada, 1_000);
    let room = store.create_direct(&group, None, &[itself(&ada)]).await.unwrap();
    let mut others = Vec::new();
    for name in ["ben", "cleo", "dora", "emil"] {
        others.push(person(&store, name).await);
    }
    let add = |who: &Author| {
        let (store, new) = (store.clone(), asked(who, &ada));
        async move { store.add_to_direct(room, new, 3, Time::from_ms(2_000)).await.unwrap() }
    };
    let (one, two, three) = tokio::join!(add(&others[0]), add(&others[1]), add(&others[2]));
    let added = [one, two, three];
    assert_eq!(added.iter().filter(|it| **it == Some(true)).count(), 2, "{added:?}");
    assert_eq!(added.iter().filter(|it| it.is_none()).count(), 1, "{added:?}");
    assert_eq!(store.direct_people(room).await.unwrap().len(), 3);
    // Who is in it is in it; who left makes room, and is asked again.
    let inside = added.iter().position(|it| *it == Some(true)).unwrap();
    assert_eq!(add(&others[inside]).await, Some(false));
    let pending = [DirectStanding::Pending];
    let at = Time::from_ms(3_000);
    assert!(store.set_direct_standing(room, others[inside].id, &pending, DirectStanding::Left, at).await.unwrap());
    assert_eq!(add(&others[3]).await, Some(true));
    assert_eq!(add(&others[inside]).await, None);
    assert!(store.rename_direct(room, "Friday", Some(1)).await.unwrap());
    assert!(!store.rename_direct(room, "Sunday", Some(1)).await.unwrap(), "it has changed since");
    assert_eq!(store.room(room).await.unwrap().unwrap().room.name, "Friday");
}

async fn lists_go_by_what_was_stirred_last(database: Database) {
    let (store, _events) = database.open().await;
    let ada = person(&store, "ada").await;
    let mut rooms = Vec::new();
    for (name, made_ms) in [("ben", 1_000), ("cleo", 2_000), ("dora", 2_000)] {
        let other = person(&store, name).await;
        rooms.push(request(&store, &ada, &other, made_ms).await);
    }
    let listed = async |after: Option<Stirred>, limit| {
        store.directs(ada.id, DirectStanding::Accepted, after, limit).await.unwrap()
    };
    // Two of the same moment go by their ids.
    let expected = [rooms[1].max(rooms[2]), rooms[1].min(rooms[2]), rooms[0]];
    let all = listed(None, 10).await;
    assert_eq!(all.iter().map(|it| it.room).collect::<Vec<_>>(), expected);
    let mut paged = listed(None, 2).await;
    paged.extend(listed(paged.last().copied(), 2).await);
    assert_eq!(paged, all);
    send(&store, rooms[0], &ada, "c-1", "hello").await;
    let first = listed(None, 1).await[0];
    assert_eq!((first.room, first.at > Time::from_ms(2_000)), (rooms[0], true));
    assert_eq!(store.count_messages_of(rooms[0], ada.id, "c-2", 5).await.unwrap(), 1);
    assert_eq!(store.count_messages_of(rooms[0], ada.id, "c-1", 5).await.unwrap(), 0, "the same once more");
    assert_eq!(store.directs(ada.id, DirectStanding::Pending, None, 10).await.unwrap(), []);
}

async fn requests_are_counted_until_they_are_accepted(database: Database) {
    let (store, _events) = database.open().await;
    let (ada, ben, cleo) = (person(&store, "ada").await, person(&store, "ben").await, person(&store, "cleo").await);
    request(&store, &ada, &ben, 1_000).await;
    let second = request(&store, &ada, &cleo, 2_000).await;
    let since = async |ms| store.requests_since(ada.id, Time::from_ms(ms)).await.unwrap();
    assert_eq!(since(0).await, (2, Some(Time::from_ms(1_000))));
    assert_eq!(since(1_000).await, (1, Some(Time::from_ms(2_000))));
    assert_eq!(since(2_000).await, (0, None));
    assert_eq!(store.decline_all(ben.id, Time::from_ms(3_000)).await.unwrap(), 1);
    assert_eq!(store.decline_all(ben.id, Time::from_ms(3_000)).await.unwrap(), 0);
    assert_eq!(since(0).await.0, 2, "a request that was declined was one");
    let pending = [DirectStanding::Pending];
    let at = Time::from_ms(4_000);
    assert!(store.set_direct_standing(second, cleo.id, &pending, DirectStanding::Accepted, at).await.unwrap());
    assert_eq!(since(0).await.0, 1);
}

async fn what_the_server_tells_is_no_request(database: Database) {
    let (store, _events) = database.open().await;
    let (ada, ben) = (person(&store, "ada").await, person(&store, "ben").await);
    let group = record(RoomKind::GroupDm, &ada, 1_000);
    let room = store.create_direct(&group, None, &[itself(&ada), asked(&ben, &ada)]).await.unwrap();
    let told = NewMessage::system(room, ada.clone(), System::Renamed { name: "us".to_owned() });
    store.send_message(told, None).await.unwrap();
    assert_eq!(store.count_messages_of(room, ada.id, "c-1", 5).await.unwrap(), 0);
    send(&store, room, &ada, "c-0", "hello").await;
    assert_eq!(store.count_messages_of(room, ada.id, "c-1", 5).await.unwrap(), 1);
}

async fn from_whom_one_takes_messages_is_kept(database: Database) {
    let (store, _events) = database.open().await;
    let ada = person(&store, "ada").await;
    assert_eq!(store.direct_from(ada.id).await.unwrap(), Some(DirectFrom::Everyone));
    store.set_direct_from(ada.id, DirectFrom::Nobody).await.unwrap();
    assert_eq!(store.direct_from(ada.id).await.unwrap(), Some(DirectFrom::Nobody));
    assert_eq!(store.direct_from(UserId::new()).await.unwrap(), None);
}

fn call(room: RoomId, by: &Author, whom: &[&Author], started_ms: i64) -> CallRecord {
    let rung = |who: &&Author| Rung { user_id: who.id, nickname: who.nickname.clone(), state: RingState::Ringing };
    CallRecord {
        call_id: CallId::new(),
        room_id: room,
        initiator: by.clone(),
        kind: CallType::Video,
        participants: whom.iter().map(rung).collect(),
        started_at: Time::from_ms(started_ms),
        answered_at: None,
        ended_at: None,
        outcome: None,
    }
}

async fn calls_are_kept_as_they_change(database: Database) {
    let (store, _events) = database.open().await;
    let (ada, ben, cleo) = (person(&store, "ada").await, person(&store, "ben").await, person(&store, "cleo").await);
    let room = request(&store, &ada, &ben, 1_000).await;
    let mut first = call(room, &ada, &[&ben, &cleo], 1_000);
    let keep = async |record: &CallRecord| store.keep_call(record, CallId::new(), Time::from_ms(1_000)).await.unwrap();
    keep(&first).await;
    assert_eq!(store.call_record(first.call_id).await.unwrap().as_ref(), Some(&first));
    first.participants[0].state = RingState::Accepted;
    first.participants[1].state = RingState::Missed;
    (first.answered_at, first.ended_at) = (Some(Time::from_ms(2_000)), Some(Time::from_ms(9_000)));
    first.outcome = Some(CallOutcome::Answered);
    keep(&first).await;
    assert_eq!(store.call_record(first.call_id).await.unwrap().as_ref(), Some(&first));
    let second = call(room, &ben, &[&ada], 3_000);
    keep(&second).await;
    let of = async |who: &Author, before, limit| store.calls_of(who.id, before, limit).await.unwrap();
    assert_eq!(of(&ada, None, 10).await, [second.clone(), first.clone()]);
    assert_eq!(of(&ada, None, 1).await, std::slice::from_ref(&second));
    assert_eq!(of(&ada, Some(second.call_id), 1).await, [first.clone()]);
    assert_eq!(of(&cleo, None, 10).await, [first.clone()]);
    store.block(cleo.id, ada.id, Time::now()).await.unwrap();
    assert_eq!(of(&cleo, None, 10).await, []);
    assert_eq!(of(&ada, None, 10).await.len(), 2, "one's own calls stay");
    assert_eq!(store.calls_since(ada.id, Time::from_ms(0)).await.unwrap(), (1, Some(Time::from_ms(1_000))));
    assert_eq!(store.calls_since(ada.id, Time::from_ms(1_000)).await.unwrap(), (0, None));
    assert_eq!(store.sweep_calls(Time::from_ms(9_001)).await.unwrap(), 1, "what goes on stays");
    assert_eq!(store.call_record(first.call_id).await.unwrap(), None);
}

async fn calls_of_a_server_that_died_are_lost(database: Database) {
    let (store, _events) = database.open().await;
    let (ada, ben) = (person(&store, "ada").await, person(&store, "ben").await);
    let room = request(&store, &ada, &ben, 1_000).await;
    let (lost, alive) = (call(room, &ada, &[&ben], 1_000), call(room, &ben, &[&ada], 1_000));
    for record in [&lost, &alive] {
        store.keep_call(record, CallId::new(), Time::from_ms(1_000)).await.unwrap();
    }
    store.calls_seen(&[alive.call_id], Time::from_ms(5_000)).await.unwrap();
    let over = store.end_lost_calls(Time::from_ms(5_000), Time::from_ms(6_000)).await.unwrap();
    assert_eq!(
        over.iter().map(|it| (it.call_id, it.outcome)).collect::<Vec<_>>(),
        [(lost.call_id, Some(CallOutcome::Lost))]
    );
    assert_eq!(store.end_lost_calls(Time::from_ms(5_000), Time::from_ms(6_000)).await.unwrap(), []);
    let ended = store.call_record(lost.call_id).await.unwrap().unwrap();
    assert_eq!((ended.outcome, ended.ended_at), (Some(CallOutcome::Lost), Some(Time::from_ms(6_000))));
    assert_eq!(ended.participants[0].state, RingState::Missed);
    assert_eq!(store.call_record(alive.call_id).await.unwrap(), Some(alive));
}
