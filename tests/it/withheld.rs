//! What somebody may not read any more is not found, not counted, and calls nobody; on both databases.

use parlor::domain::message::{Author, Content, Mentions};
use parlor::domain::search::Query;
use parlor::domain::{ContentLevel, Role, RoomId, Time};
use parlor::store::{NewMessage, Pin, Sought, Store};

use crate::store::{Database, house, on_both_databases, person};

on_both_databases!(what_may_not_be_read_is_not_found_nor_counted, blocks_hide_what_is_written_from_who_blocks);

/// What somebody finds, has not read, and is called by.
async fn reach(store: &Store, who: &Author, all_levels: bool) -> (usize, u32, u32) {
    let rooms = store.searched_rooms(who.id, all_levels, 10).await.unwrap().into_iter().map(|it| it.0).collect();
    let terms = Query::parse("secret").unwrap().terms;
    let sought = Sought { rooms, terms, blocks_of: Some(who.id), ..Sought::default() };
    let found = store.search(&sought, i64::MAX, 50).await.unwrap().expect("it does not take long").len();
    let unread = store.all_unread(who.id, all_levels, None, 50).await.unwrap();
    (found, unread.iter().map(|it| it.unread).sum(), unread.iter().map(|it| it.mentions).sum())
}

/// Ada calls Ben, who was there before.
async fn called(database: &Database) -> (Store, Author, Author, RoomId) {
    let (store, mut events, ada, room) = house(database).await;
    tokio::spawn(async move { while events.recv().await.is_some() {} });
    let ben = person(&store, "ben").await;
    assert!(store.add_member(room, ben.id, Role::Member, Time::from_ms(0)).await.unwrap());
    let mentions = Mentions { users: vec![ben.id], ..Mentions::default() };
    let content = Content { mentions, ..Content::text("a secret, ben") };
    store.send_message(NewMessage { content, ..NewMessage::plain(room, ada.clone(), "c-1", "") }, None).await.unwrap();
    assert_eq!(reach(&store, &ben, false).await, (1, 1, 1));
    (store, ada, ben, room)
}

async fn what_may_not_be_read_is_not_found_nor_counted(database: Database) {
    let (store, ada, ben, room) = called(&database).await;
    let mut adult = store.room(room).await.unwrap().unwrap().room;
    adult.settings.content_level = ContentLevel::Adult;
    store.settle_room(adult, Pin::Same, None).await.unwrap();
    assert_eq!(reach(&store, &ben, false).await, (0, 0, 0), "it is for adults now");
    assert_eq!(reach(&store, &ben, true).await, (1, 1, 1));
    assert!(store.end_membership(room, ben.id).await.unwrap());
    assert!(!store.end_membership(room, ben.id).await.unwrap());
    assert_eq!(reach(&store, &ben, true).await, (0, 0, 0), "he has left");
    assert!(store.add_member(room, ben.id, Role::Member, Time::from_ms(0)).await.unwrap());
    assert_eq!(reach(&store, &ben, true).await, (1, 1, 1), "and is back");
    store.ban_member(room, ben.id, ada.id, None, Time::now(), None).await.unwrap();
    assert_eq!(reach(&store, &ben, true).await, (0, 0, 0), "he is banned");
}

async fn blocks_hide_what_is_written_from_who_blocks(database: Database) {
    let (store, ada, ben, _) = called(&database).await;
    store.block(ada.id, ben.id, Time::now()).await.unwrap();
    assert_eq!(reach(&store, &ben, false).await, (1, 1, 1), "for others nothing changes");
    store.block(ben.id, ada.id, Time::now()).await.unwrap();
    assert_eq!(reach(&store, &ben, false).await, (0, 0, 0));
    store.unblock(ben.id, ada.id).await.unwrap();
    assert_eq!(reach(&store, &ben, false).await, (1, 1, 1));
}
