//! What rooms keep no longer goes, and nothing else; on both databases.

use std::time::Duration;

use parlor::bus::Bus;
use parlor::chat::Chat;
use parlor::domain::{CallId, Door, Fact, Retention, Room, RoomId, RoomKind, Time, Visibility, message::Author};
use parlor::limit::{self, Limits};
use parlor::store::{RoomRecord, Store};
use sqlx::{Connection as _, PgConnection, SqliteConnection};

use crate::store::{Database, edit, on_both_databases, person, recover, send};

on_both_databases!(
    what_a_room_keeps_no_longer_goes,
    what_was_deleted_before_is_forgotten_too,
    a_long_room_is_swept_in_steps,
    words_of_what_is_gone_are_in_no_index,
);

const HOUR: Duration = Duration::from_secs(3600);

async fn room_that_keeps(store: &Store, owner: &Author, retention: Retention) -> RoomId {
    let mut room = Room::new(RoomKind::Group, "Friday".to_owned(), Visibility::Public, 50);
    room.settings.retention = retention;
    let record = RoomRecord { room, call: CallId::new(), created_by: owner.id, door: Door::default() };
    store.create_room(&record).await.unwrap();
    record.room.id
}

fn chat(store: &Store) -> Chat {
    Chat::new(store.clone(), Bus::local(), Limits::new(limit::Config::default()))
}

async fn what_a_room_keeps_no_longer_goes(database: Database) {
    let (store, mut events) = database.open().await;
    let ada = person(&store, "ada").await;
    let (day, week, always) = (
        room_that_keeps(&store, &ada, Retention::Day).await,
        room_that_keeps(&store, &ada, Retention::Days(7)).await,
        room_that_keeps(&store, &ada, Retention::Forever).await,
    );
    let mut ids = Vec::new();
    for room in [day, week, always] {
        let (id, _) = send(&store, room, &ada, "c-1", "hello").await;
        store.edit_message(room, edit(id, ada.id, "hullo"), None).await.unwrap();
        ids.push((room, id));
    }
    let (now, chat) = (Time::now(), chat(&store));
    assert_eq!(chat.forget_stale(now.after(23 * HOUR)).await, Ok(0));
    assert_eq!(chat.forget_stale(now.after(25 * HOUR)).await, Ok(1));
    assert_eq!(chat.forget_stale(now.after(25 * HOUR)).await, Ok(0), "once");
    for (room, id) in &ids {
        let gone = *room == day;
        let message = store.message(*room, *id).await.unwrap().unwrap();
        assert_eq!((message.deleted, message.content.text.is_empty()), (gone, gone));
        let texts: Vec<_> = store.versions(*room, *id).await.unwrap().unwrap().into_iter().map(|it| it.text).collect();
        if gone {
            assert_eq!(texts, [""]);
        } else {
            assert_eq!(texts, ["hello", "hullo"]);
        }
    }
    let known = recover(&store, day, None).await.position;
    let start = parlor::domain::Position { offset: 0, ..known };
    let told = serde_json::to_string(&recover(&store, day, Some(start)).await.missed).unwrap();
    assert!(!told.contains("hello") && !told.contains("hullo"), "{told}");
    assert_eq!(chat.forget_stale(now.after(24 * 8 * HOUR)).await, Ok(1), "a week is over");
    store.close().await;
    let mut deleted = Vec::new();
    while let Some(event) = events.recv().await {
        deleted.extend(matches!(event.fact, Fact::MessageDeleted { .. }).then_some(event.room));
    }
    assert_eq!(deleted, [day, week], "and those who are there are told");
}

async fn what_was_deleted_before_is_forgotten_too(database: Database) {
    let (store, _events) = database.open().await;
    let ada = person(&store, "ada").await;
    let room = room_that_keeps(&store, &ada, Retention::Day).await;
    let (id, _) = send(&store, room, &ada, "c-1", "hello").await;
    store.delete_message(room, id, ada.id, false, None).await.unwrap();
    let text = async || store.versions(room, id).await.unwrap().unwrap().pop().unwrap().text;
    assert_eq!(text().await, "hello", "for those who judge it");
    chat(&store).forget_stale(Time::now().after(25 * HOUR)).await.unwrap();
    assert_eq!(text().await, "");
}

async fn a_long_room_is_swept_in_steps(database: Database) {
    const MANY: usize = 230;
    let (store, mut events) = database.open().await;
    tokio::spawn(async move { while events.recv().await.is_some() {} });
    let ada = person(&store, "ada").await;
    let room = room_that_keeps(&store, &ada, Retention::Day).await;
    for number in 0..MANY {
        send(&store, room, &ada, &format!("c-{number}"), "hello").await;
    }
    let later = Time::now().after(25 * HOUR);
    assert_eq!(chat(&store).forget_stale(later).await, Ok(MANY as u64));
    assert!(store.stale_messages(room, later, 1).await.unwrap().is_empty(), "none is looked at again");
}

/// All that the index of words holds, as it lies on the disk.
async fn index_of(database: &Database) -> String {
    let url = &database.config.url;
    if url.starts_with("postgres") {
        let mut db = PgConnection::connect(url).await.unwrap();
        let words: Vec<String> =
            sqlx::query_scalar("select words::text from searchable").fetch_all(&mut db).await.unwrap();
        return words.join(" ");
    }
    let mut db = SqliteConnection::connect(&format!("sqlite:{url}")).await.unwrap();
    let pages: Vec<Vec<u8>> =
        sqlx::query_scalar("select block from search_words_data").fetch_all(&mut db).await.unwrap();
    String::from_utf8_lossy(&pages.concat()).into_owned()
}

async fn words_of_what_is_gone_are_in_no_index(database: Database) {
    let (store, mut events) = database.open().await;
    tokio::spawn(async move { while events.recv().await.is_some() {} });
    let ada = person(&store, "ada").await;
    let room = room_that_keeps(&store, &ada, Retention::Forever).await;
    for number in 0..40 {
        send(&store, room, &ada, &format!("c-{number}"), "a word that stays").await;
    }
    let (gone, _) = send(&store, room, &ada, "gone", "xgoneq").await;
    let (changed, _) = send(&store, room, &ada, "changed", "jbeforeq").await;
    let index = index_of(&database).await;
    assert!(index.contains("xgoneq") && index.contains("jbeforeq"), "the test sees the words");
    // What its author deletes, and what a message said before, goes like what is deleted by its age.
    store.delete_message(room, gone, ada.id, false, None).await.unwrap();
    store.edit_message(room, edit(changed, ada.id, "zafterq"), None).await.unwrap();
    chat(&store).forget_stale(Time::now()).await.unwrap();
    let index = index_of(&database).await;
    let holds = ["xgoneq", "jbeforeq", "zafterq", "stays"].map(|word| index.contains(word));
    assert_eq!(holds, [false, false, true, true]);
    assert!(store.forget_some_words(1).await.unwrap(), "nothing is left to forget");
    store.close().await;
}
