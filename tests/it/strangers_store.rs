//! What the store keeps of strangers, and what it does not.

use parlor::domain::{
    CallId, Door, MatchId, Refusal, Room, RoomId, RoomKind, Time, Visibility,
    matching::{AgeBand, MatchMode},
    message::Author,
};
use parlor::store::{Ending, Meeting, Membership, RoomRecord, Store};

use crate::store::{Database, message, on_both_databases, person, recover, send};

on_both_databases!(
    blocks_hold_both_ways_until_they_are_taken_back,
    matches_are_kept_whatever_is_told_first,
    a_room_of_strangers_is_there_while_it_is_open,
    the_age_band_is_what_the_server_recorded,
);

async fn blocks_hold_both_ways_until_they_are_taken_back(database: Database) {
    let (store, _events) = database.open().await;
    let (ada, ben, cleo) = (person(&store, "ada").await, person(&store, "ben").await, person(&store, "cleo").await);
    assert!(store.block(ada.id, ben.id, Time::from_ms(1_000)).await.unwrap());
    assert!(store.block(ada.id, ben.id, Time::from_ms(2_000)).await.unwrap(), "once more changes nothing");
    assert!(store.block(cleo.id, ada.id, Time::from_ms(3_000)).await.unwrap());
    assert!(store.block(ada.id, cleo.id, Time::from_ms(4_000)).await.unwrap());
    let blocks = store.blocks(ada.id).await.unwrap();
    let listed: Vec<_> = blocks.iter().map(|it| (it.nickname.as_str(), it.at.as_ms())).collect();
    assert_eq!(listed, [("cleo", 4_000), ("ben", 1_000)]);
    assert_eq!(store.blocks(ben.id).await.unwrap(), []);
    assert!(store.are_blocked(ben.id, ada.id).await.unwrap() && !store.are_blocked(ben.id, cleo.id).await.unwrap());
    let mut both = store.blocked_either_way(ada.id).await.unwrap();
    both.sort_unstable();
    both.dedup();
    assert_eq!(both, [ben.id, cleo.id]);
    assert_eq!(store.blocked_either_way(ben.id).await.unwrap(), [ada.id]);
    store.unblock(ada.id, cleo.id).await.unwrap();
    assert!(store.are_blocked(ada.id, cleo.id).await.unwrap(), "cleo still does");
    store.unblock(cleo.id, ada.id).await.unwrap();
    assert!(!store.are_blocked(ada.id, cleo.id).await.unwrap());
}

async fn matches_are_kept_whatever_is_told_first(database: Database) {
    let (store, _events) = database.open().await;
    let (ada, ben) = (person(&store, "ada").await, person(&store, "ben").await);
    let met = |started_ms| Meeting {
        id: MatchId::new(),
        mode: MatchMode::Video,
        users: [ada.id, ben.id],
        room: RoomId::new(),
        started_at: Time::from_ms(started_ms),
    };
    let ending = Ending { at: Time::from_ms(9_000), reason: "next", by: Some(ben.id) };
    let (first, second, third) = (met(1_000), met(2_000), met(3_000));
    store.begin_match(&second).await.unwrap();
    store.end_match(&second, ending).await.unwrap();
    store.end_match(&first, ending).await.unwrap();
    store.begin_match(&first).await.unwrap();
    store.begin_match(&third).await.unwrap();
    let ended = Some(("next".to_owned(), Some(ben.id)));
    assert_eq!(store.match_ending(first.id).await.unwrap(), ended);
    assert_eq!(store.match_ending(second.id).await.unwrap(), ended);
    assert_eq!(store.match_ending(third.id).await.unwrap(), None);
    assert_eq!(store.end_lost_matches(Time::from_ms(10_000)).await.unwrap(), 1);
    assert_eq!(store.match_ending(third.id).await.unwrap(), Some(("server_stopped".to_owned(), None)));

    let recent = store.recent_matches(Time::from_ms(2_000)).await.unwrap();
    let times: Vec<_> = recent.iter().map(|(users, at)| (*users, at.as_ms())).collect();
    assert_eq!(times, [([ada.id, ben.id], 2_000), ([ada.id, ben.id], 3_000)]);
    assert_eq!(store.sweep_matches(Time::from_ms(3_000), Time::from_ms(0)).await.unwrap(), 2);
    assert_eq!(store.recent_matches(Time::from_ms(0)).await.unwrap().len(), 1);
}

/// A room for the two.
async fn room(store: &Store, users: [&Author; 2]) -> RoomRecord {
    let room = Room {
        created_at: Time::from_ms(1_000),
        ..Room::new(RoomKind::Match, "text".to_owned(), Visibility::Private, 2)
    };
    let record = RoomRecord { room, call: CallId::new(), created_by: users[0].id, door: Door::default() };
    store.create_match_room(&record, users.map(|user| user.id)).await.unwrap();
    record
}

async fn a_room_of_strangers_is_there_while_it_is_open(database: Database) {
    let (store, mut events) = database.open().await;
    let (ada, ben) = (person(&store, "ada").await, person(&store, "ben").await);
    let record = room(&store, [&ada, &ben]).await;
    let (id, call) = (record.room.id, record.call);
    assert_eq!(store.room(id).await.unwrap(), Some(record.clone()));
    assert_eq!(store.room_of_call(call).await.unwrap(), Some(record));
    for user in [&ada, &ben] {
        assert!(matches!(store.membership(id, user.id).await.unwrap(), Membership::Member(_)));
    }
    let (said, position) = send(&store, id, &ada, "c-1", "hello").await;
    assert_eq!(events.recv().await.unwrap().position, Some(position));
    assert_eq!(recover(&store, id, None).await.messages[0].id, said);
    assert_eq!(store.message(id, said).await.unwrap().unwrap().content.text, "hello");
    assert_eq!(store.messages(id, 10, None).await.unwrap().unwrap().len(), 1);
    assert_eq!(store.messages_around(id, said, 10).await.unwrap().unwrap().len(), 1);

    store.close_match_room(id);
    assert_eq!((store.room(id).await.unwrap(), store.room_of_call(call).await.unwrap()), (None, None));
    assert_eq!(store.recover(id, None).await.unwrap(), None);
    assert_eq!(store.message(id, said).await.unwrap(), None);
    assert_eq!(store.messages_around(id, said, 10).await.unwrap().unwrap().len(), 1, "it can be reported yet");
    let late = store.send_message(message(id, &ada, "c-2", "too late"), None).await;
    assert_eq!(late, Err(Refusal::NotFound));
    let before = Time::from_ms(0);
    assert_eq!(store.sweep_matches(before, Time::from_ms(1_000)).await.unwrap(), 0);
    assert_eq!(store.sweep_matches(before, Time::from_ms(1_001)).await.unwrap(), 1);
    assert_eq!(store.membership(id, ada.id).await.unwrap(), Membership::None);

    // A server that died leaves a room without its stream: nobody comes in.
    let left = room(&store, [&ada, &ben]).await;
    store.close().await;
    let (store, _events) = database.open().await;
    assert_eq!(store.room(left.room.id).await.unwrap(), None);
}

async fn the_age_band_is_what_the_server_recorded(database: Database) {
    let (store, _events) = database.open().await;
    let ada = person(&store, "ada").await;
    assert_eq!(store.age_band(ada.id).await.unwrap(), Some(AgeBand::Adult));
    assert!(store.set_age_band(ada.id, AgeBand::Minor).await.unwrap());
    assert_eq!(store.age_band(ada.id).await.unwrap(), Some(AgeBand::Minor));
    let nobody = parlor::domain::UserId::new();
    assert_eq!(store.age_band(nobody).await.unwrap(), None);
    assert!(!store.set_age_band(nobody, AgeBand::Minor).await.unwrap());
}
