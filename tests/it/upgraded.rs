//! Tables that an earlier version left: they are brought up to date, nothing of them is lost, and what was written then is found.

use std::path::Path;

use parlor::domain::search::Query;
use parlor::domain::{MessageId, RoomId, UserId, message::Author};
use parlor::store::{Config, Sought, Store};
use sqlx::migrate::Migrator;
use sqlx::{Connection as _, Executor as _, PgConnection, SqliteConnection};
use tokio::process::Command;
use uuid::Uuid;

use crate::postgres::database;
use crate::store::{Database, edit, on_both_databases, send};

on_both_databases!(what_was_written_before_the_index_is_found, tables_of_an_earlier_version_go_on);

/// The last migration before messages were indexed.
const BEFORE_THE_INDEX: i64 = 13;
/// The tables of the version before this one.
const EARLIER: i64 = 16;

/// What an earlier version has stored.
struct Left {
    ada: Author,
    room: RoomId,
    /// The oldest first.
    messages: Vec<MessageId>,
}

/// The migrations up to that number.
async fn migrations(own: &str, last: i64) -> Migrator {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("migrations");
    let (shared, own) = (Migrator::new(root.clone()).await.unwrap(), Migrator::new(root.join(own)).await.unwrap());
    let all = shared.iter().chain(own.iter()).filter(|it| it.version <= last).cloned();
    Migrator::with_migrations(all.collect())
}

/// Leaves a database as an earlier version did: a room with that many messages, each second one of them deleted.
async fn leave(config: &Config, last: i64, count: i64) -> Left {
    let left = Left {
        ada: Author { id: UserId::new(), nickname: "ada".to_owned() },
        room: RoomId::new(),
        messages: (0..count).map(|_| MessageId::new()).collect(),
    };
    if config.url.starts_with("postgres") {
        let mut connection = PgConnection::connect(&config.url).await.unwrap();
        migrations("postgres", last).await.run_direct(None, &mut connection, false).await.unwrap();
        connection.execute(sqlx::AssertSqlSafe(rows(&left, |id| format!("'{id}'"), "'\\x00'"))).await.unwrap();
        connection.close().await.unwrap();
    } else {
        let options = sqlx::sqlite::SqliteConnectOptions::new().filename(&config.url).create_if_missing(true);
        let mut connection = SqliteConnection::connect_with(&options).await.unwrap();
        migrations("sqlite", last).await.run_direct(None, &mut connection, false).await.unwrap();
        let rows = rows(&left, |id| format!("x'{}'", id.simple()), "x'00'");
        connection.execute(sqlx::AssertSqlSafe(rows)).await.unwrap();
        connection.close().await.unwrap();
    }
    left
}

/// The statements that store it, in columns that were there from the beginning.
fn rows(left: &Left, id: impl Fn(Uuid) -> String, hash: &str) -> String {
    let (ada, room) = (id(left.ada.id.as_uuid()), id(left.room.as_uuid()));
    let (call, epoch, count) = (id(Uuid::now_v7()), id(Uuid::now_v7()), left.messages.len());
    let mut all = format!(
        "insert into users (id, nickname, site_role, created_at) values ({ada}, 'ada', 'member', 1);
        insert into rooms (id, kind, name, visibility, max_participants, call_id, created_by, created_at)
            values ({room}, 'group', 'Friday', 'public', 50, {call}, {ada}, 1);
        insert into members (room_id, user_id, role, joined_at) values ({room}, {ada}, 'owner', 1);
        insert into room_streams (room_id, epoch, last_offset) values ({room}, {epoch}, {count});"
    );
    for (number, message) in left.messages.iter().enumerate() {
        let (message, place) = (id(message.as_uuid()), number + 1);
        let deleted = if number % 2 == 1 { "5" } else { "null" };
        all += &format!(
            "insert into messages (id, room_id, sender_id, sender_nickname, client_id, content_hash, text, event_offset,
                created_at, deleted_at) values ({message}, {room}, {ada}, 'ada', 'c-{number}', {hash}, 'word {number}', {place},
                {place}, {deleted});"
        );
    }
    all
}

async fn find(store: &Store, room: RoomId, below: i64, limit: u32) -> Vec<(i64, MessageId)> {
    let sought = Sought { rooms: vec![room], terms: Query::parse("word").unwrap().terms, ..Sought::default() };
    let found = store.search(&sought, below, limit).await.unwrap().expect("it does not take long");
    found.into_iter().map(|it| (it.place, it.message)).collect()
}

async fn what_was_written_before_the_index_is_found(database: Database) {
    let left = leave(&database.config, BEFORE_THE_INDEX, 20).await;
    let (store, _events) = database.open().await;
    let (new, _) = send(&store, left.room, &left.ada, "new", "word, new").await;
    assert_eq!(find(&store, left.room, i64::MAX, 50).await.len(), 1, "the old ones are not there yet");
    assert!(store.index_older(6).await.unwrap());
    // What is changed before it is its turn is found as it is then; a stop in the middle loses nothing, nor does a second one at work.
    let oldest = left.messages[0];
    store.edit_message(left.room, edit(oldest, left.ada.id, "word, changed"), None).await.unwrap();
    store.delete_message(left.room, left.messages[2], left.ada.id, false, None).await.unwrap();
    store.close().await;
    let ((store, _events), (other, _others)) = (database.open().await, database.open().await);
    let work = async |store: &Store| {
        // On PostgreSQL the two may be at the same rows, and one of them fails.
        while !matches!(store.index_older(3).await, Ok(false)) {}
    };
    tokio::join!(work(&store), work(&other));
    let kept = left.messages.iter().enumerate().filter(|(number, _)| number % 2 == 0 && *number != 2);
    let mut expected: Vec<MessageId> = kept.map(|(_, id)| *id).chain([new]).collect();
    expected.reverse();
    let found = find(&store, left.room, i64::MAX, 50).await;
    assert_eq!(found.iter().map(|it| it.1).collect::<Vec<_>>(), expected, "the newest first, each once");
    // Page by page it is the same.
    let (mut pages, mut below) = (Vec::new(), i64::MAX);
    while let Some((place, last)) = find(&store, left.room, below, 1).await.pop() {
        pages.push(last);
        below = place;
    }
    assert_eq!(pages, expected);
    let changed = Sought { rooms: vec![left.room], terms: Query::parse("changed").unwrap().terms, ..Sought::default() };
    assert_eq!(store.search(&changed, i64::MAX, 5).await.unwrap().unwrap()[0].message, oldest);
    assert!(!store.index_older(3).await.unwrap(), "once");
    other.close().await;
    store.close().await;
}

async fn tables_of_an_earlier_version_go_on(database: Database) {
    let left = leave(&database.config, EARLIER, 4).await;
    let (store, _events) = database.open().await;
    let page = store.messages(left.room, 10, None).await.unwrap().unwrap();
    let texts: Vec<_> = page.iter().map(|it| (it.deleted, it.content.text.as_str())).collect();
    assert_eq!(texts, [(true, ""), (false, "word 2"), (true, ""), (false, "word 0")]);
    // The stream goes on where it was.
    assert_eq!(send(&store, left.room, &left.ada, "new", "word, new").await.1.offset, 5);
    store.close().await;
}

/// Two programs that migrate at once.
#[tokio::test]
async fn two_programs_migrate_once() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("parlor.db").to_string_lossy().into_owned();
    for url in [database().await, file] {
        let left = leave(&Config { url: url.clone(), ..Config::default() }, EARLIER, 2).await;
        let migrate = || {
            let mut program = Command::new(env!("CARGO_BIN_EXE_parlor"));
            program.env_clear().env("PARLOR_DATABASE_URL", &url).env("PARLOR_DATA_DIR", folder.path()).arg("migrate");
            program.output()
        };
        let (one, other, third) = tokio::join!(migrate(), migrate(), migrate());
        for done in [one, other, third] {
            let done = done.unwrap();
            assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
        }
        let (store, _events) = Store::open(&Config { url, ..Config::default() }).await.unwrap();
        assert_eq!(store.messages(left.room, 10, None).await.unwrap().unwrap().len(), 2);
        store.close().await;
    }
}
