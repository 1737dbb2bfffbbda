//! What people have not read, on both databases: counts are what a recount says, whatever happens in between.

use std::collections::BTreeMap;

use parlor::domain::message::{Author, Content, Mentions};
use parlor::domain::presence::{Status, Wish};
use parlor::domain::reading::{NotifyLevel, Receipt};
use parlor::domain::{CallId, Door, MessageId, Refusal, Role, Room, RoomId, RoomKind, Time, UserId, Visibility};
use parlor::store::{EditOf, NewMessage, RoomRecord, Store};
use proptest::prelude::*;
use proptest::strategy::ValueTree as _;
use proptest::test_runner::TestRunner;

use crate::store::{Database, on_both_databases, person};

on_both_databases!(
    counts_are_a_recount_at_any_moment,
    pointers_that_move_at_once_end_at_the_furthest,
    receipts_are_told_in_small_rooms_by_those_who_want,
    notices_of_a_room_are_kept,
    wishes_and_days_are_kept,
);

/// A group of these people.
async fn group(store: &Store, people: &[Author]) -> RoomId {
    let room = Room::new(RoomKind::Group, "Friday".to_owned(), Visibility::Private, 50);
    let record = RoomRecord { room, call: CallId::new(), created_by: people[0].id, door: Door::default() };
    store.create_room(&record).await.unwrap();
    for person in &people[1..] {
        store.add_member(record.room.id, person.id, Role::Member, Time::from_ms(0)).await.unwrap();
    }
    record.room.id
}

async fn trio(database: &Database) -> (Store, Vec<Author>, RoomId) {
    let (store, mut events) = database.open().await;
    tokio::spawn(async move { while events.recv().await.is_some() {} });
    let mut people = Vec::new();
    for name in ["ada", "ben", "cyd"] {
        people.push(person(&store, name).await);
    }
    let room = group(&store, &people).await;
    (store, people, room)
}

/// What somebody does; numbers name people and messages, round and round.
#[derive(Clone, Debug)]
enum Step {
    Send { by: usize, mentions: Option<usize>, room: bool },
    Edit { message: usize, mentions: Option<usize> },
    Delete { message: usize },
    Read { who: usize, message: usize },
    Unread { who: usize, message: usize },
}

fn step() -> impl Strategy<Value = Step> {
    let number = 0_usize..64;
    prop_oneof![
        4 => (0_usize..3, prop::option::of(0_usize..3), prop::bool::weighted(0.2))
            .prop_map(|(by, mentions, room)| Step::Send { by, mentions, room }),
        1 => (number.clone(), prop::option::of(0_usize..3)).prop_map(|(message, mentions)| Step::Edit { message, mentions }),
        1 => number.clone().prop_map(|message| Step::Delete { message }),
        2 => (0_usize..3, number.clone()).prop_map(|(who, message)| Step::Read { who, message }),
        1 => (0_usize..3, number).prop_map(|(who, message)| Step::Unread { who, message }),
    ]
}

/// A message as the recount knows it.
struct Known {
    id: MessageId,
    by: UserId,
    mentions: Mentions,
    deleted: bool,
}

fn mentions(whom: Option<UserId>, room: bool) -> Mentions {
    Mentions { users: whom.into_iter().collect(), here: false, room }
}

async fn counts_are_a_recount_at_any_moment(database: Database) {
    let (store, people, _) = trio(&database).await;
    let mut runner = TestRunner::deterministic();
    for _ in 0..4 {
        // A room of its own for each run, for the counts are of rooms.
        let room = group(&store, &people).await;
        let steps = prop::collection::vec(step(), 30).new_tree(&mut runner).unwrap().current();
        follow(&store, &people, room, &steps).await;
    }
}

async fn follow(store: &Store, people: &[Author], room: RoomId, steps: &[Step]) {
    let (mut known, mut read): (Vec<Known>, BTreeMap<UserId, usize>) = (Vec::new(), BTreeMap::new());
    for (number, step) in steps.iter().enumerate() {
        let length = known.len();
        let at = |message: &usize| message % length;
        match step {
            Step::Send { by, mentions: whom, room: all } => {
                let mentions = mentions(whom.map(|who| people[who].id), *all);
                let content = Content { mentions: mentions.clone(), ..Content::text("hello") };
                let new =
                    NewMessage { content, ..NewMessage::plain(room, people[*by].clone(), &format!("c-{number}"), "") };
                known.push(Known { id: new.id, by: new.sender.id, mentions, deleted: false });
                store.send_message(new, None).await.unwrap();
            }
            _ if known.is_empty() => continue,
            Step::Edit { message, mentions: whom } => {
                let message = &mut known[at(message)];
                let mentions = mentions(whom.map(|who| people[who].id), false);
                let edit = EditOf {
                    message: message.id,
                    by: message.by,
                    text: format!("edited {number}"),
                    mentions: mentions.clone(),
                    hashtags: Vec::new(),
                    seen: None,
                };
                if store.edit_message(room, edit, None).await.is_ok() {
                    message.mentions = mentions;
                }
            }
            Step::Delete { message } => {
                let message = &mut known[at(message)];
                store.delete_message(room, message.id, message.by, false, None).await.unwrap();
                message.deleted = true;
            }
            Step::Read { who, message } => {
                let (user, place) = (people[*who].id, at(message));
                let moved = store.mark_read(room, user, known[place].id, Time::now()).await.unwrap();
                let before = read.get(&user).copied();
                assert_eq!(moved, before.is_none_or(|before| before < place + 1), "step {number}");
                read.insert(user, before.unwrap_or(0).max(place + 1));
            }
            Step::Unread { who, message } => {
                let (user, place) = (people[*who].id, at(message));
                store.mark_unread(room, user, known[place].id, Time::now()).await.unwrap();
                read.insert(user, place);
            }
        }
        for person in people {
            let unread = store.unread(room, person.id).await.unwrap().unwrap();
            let after = known.iter().skip(read.get(&person.id).copied().unwrap_or(0));
            let counted: Vec<_> = after.filter(|it| it.by != person.id && !it.deleted).collect();
            let calls = |it: &&&Known| it.mentions.room || it.mentions.users.contains(&person.id);
            let recount = (counted.len(), counted.iter().filter(calls).count());
            assert_eq!((unread.unread as usize, unread.mentions as usize), recount, "step {number}: {step:?}");
            let up_to = read.get(&person.id).and_then(|place| place.checked_sub(1)).map(|place| known[place].id);
            assert_eq!(unread.read_up_to, up_to, "step {number}: {step:?}");
        }
    }
}

async fn pointers_that_move_at_once_end_at_the_furthest(database: Database) {
    let (store, people, room) = trio(&database).await;
    let mut ids = Vec::new();
    for number in 0..20 {
        let new = NewMessage::plain(room, people[0].clone(), &format!("c-{number}"), "hello");
        ids.push(new.id);
        store.send_message(new, None).await.unwrap();
    }
    let marks = ids.iter().rev().flat_map(|id| people.iter().map(move |person| (*id, person.id)));
    let marks: Vec<_> = marks
        .map(|(id, user)| {
            let store = store.clone();
            tokio::spawn(async move { store.mark_read(room, user, id, Time::now()).await.unwrap() })
        })
        .collect();
    for mark in marks {
        mark.await.unwrap();
    }
    for person in &people {
        let unread = store.unread(room, person.id).await.unwrap().unwrap();
        assert_eq!((unread.unread, unread.read_up_to), (0, ids.last().copied()));
    }
    let strange = store.mark_read(room, people[1].id, MessageId::new(), Time::now()).await;
    assert_eq!(strange, Err(Refusal::NotFound));
    assert_eq!(store.unread(room, UserId::new()).await.unwrap(), None, "who is no member has nothing to read");
    let all = store.all_unread(people[1].id, false, None, 50).await.unwrap();
    assert_eq!(all.iter().map(|it| it.room_id).collect::<Vec<_>>(), [room]);
    assert_eq!(store.all_unread(people[1].id, false, Some(room), 50).await.unwrap(), []);
}

async fn receipts_are_told_in_small_rooms_by_those_who_want(database: Database) {
    let (store, people, room) = trio(&database).await;
    let new = NewMessage::plain(room, people[0].clone(), "c-1", "hello");
    let id = new.id;
    store.send_message(new, None).await.unwrap();
    let at = Time::from_ms(1_000);
    for person in &people[1..] {
        assert!(store.mark_read(room, person.id, id, at).await.unwrap());
        assert!(!store.mark_read(room, person.id, id, Time::now()).await.unwrap(), "they are there already");
    }
    store.keep_receipts_private(people[2].id, true).await.unwrap();
    let told = vec![Receipt { user_id: people[1].id, message_id: id, at }];
    assert_eq!(store.receipts(room, 3).await.unwrap(), Some(told));
    let hidden = Wish { status: Status::Invisible, ..Wish::default() };
    store.keep_wish(people[1].id, &hidden).await.unwrap();
    assert_eq!(store.receipts(room, 3).await.unwrap(), Some(Vec::new()), "also while they are not there");
    assert_eq!(store.receipts(room, 2).await.unwrap(), None, "the room is too large for that");
}

async fn notices_of_a_room_are_kept(database: Database) {
    let (store, people, room) = trio(&database).await;
    let until = Time::from_ms(Time::now().as_ms() + 60_000);
    store.set_notify(room, people[1].id, NotifyLevel::Mentions, Some(until), Time::now()).await.unwrap();
    let new = NewMessage::plain(room, people[0].clone(), "c-1", "hello");
    let id = new.id;
    store.send_message(new, None).await.unwrap();
    store.mark_read(room, people[1].id, id, Time::now()).await.unwrap();
    let unread = store.unread(room, people[1].id).await.unwrap().unwrap();
    assert_eq!((unread.level, unread.muted_until, unread.unread), (NotifyLevel::Mentions, Some(until), 0));
    store.set_notify(room, people[1].id, NotifyLevel::None, None, Time::now()).await.unwrap();
    let unread = store.unread(room, people[1].id).await.unwrap().unwrap();
    assert_eq!((unread.level, unread.muted_until, unread.read_up_to), (NotifyLevel::None, None, Some(id)));
}

async fn wishes_and_days_are_kept(database: Database) {
    let (store, people, room) = trio(&database).await;
    let (ada, ben) = (people[0].id, people[1].id);
    let wish = Wish { status: Status::Busy, text: Some("in a meeting".to_owned()), text_until: Some(Time::from_ms(9)) };
    store.keep_wish(ada, &wish).await.unwrap();
    store.keep_last_seen(ada, Time::from_ms(5)).await.unwrap();
    store.keep_last_seen(ada, Time::from_ms(4)).await.unwrap();
    store.keep_last_seen(UserId::new(), Time::from_ms(4)).await.unwrap();
    let kept = store.presence(ada).await.unwrap();
    assert_eq!((kept.wish, kept.last_seen, kept.private_receipts), (wish, Some(Time::from_ms(5)), false));
    let stranger = person(&store, "dot").await.id;
    assert!(store.know_each_other(ada, ben).await.unwrap());
    assert!(!store.know_each_other(ada, stranger).await.unwrap());
    assert_eq!(store.acquaintances(ada, 3, 10).await.unwrap().len(), 2);
    assert_eq!(store.acquaintances(ada, 2, 10).await.unwrap(), [], "the room is too large for that");
    store.block(ben, ada, Time::now()).await.unwrap();
    assert!(!store.know_each_other(ada, ben).await.unwrap());
    assert_eq!(store.acquaintances(ada, 3, 10).await.unwrap(), [people[2].id]);
    for (one, other) in [(ada, ben), (ben, ada)] {
        assert_eq!(store.blocked_in(room, one).await.unwrap(), [other]);
    }
    assert_eq!(store.blocked_in(room, people[2].id).await.unwrap(), []);
}
