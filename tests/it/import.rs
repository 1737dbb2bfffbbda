//! What is taken over of SafeStream's files, on both databases: once, in order, and with a line for all that is left out.

use std::path::{Path, PathBuf};

use parlor::config::Config;
use parlor::domain::{RoomId, Visibility};
use parlor::import::{self, Tally};
use parlor::store::Store;
use reqwest::StatusCode;
use serde_json::{Value, json};

use crate::harness::{Server, settings};
use crate::store::{Database, on_both_databases, person, room};

on_both_databases!(
    people_are_taken_over_once,
    logs_are_taken_over_in_order_once,
    lines_of_a_hostile_log_harm_none_but_themselves,
    who_wrote_before_they_had_an_account_gets_it,
);

const PASSWORD: &str = "an old password";

fn config_of(database: &Database, folder: &tempfile::TempDir) -> Config {
    Config { database_url: Some(database.config.url.clone()), ..settings(folder) }
}

fn file(folder: &tempfile::TempDir, name: &str, text: &str) -> PathBuf {
    let path = folder.path().join(name);
    std::fs::write(&path, text).unwrap();
    path
}

/// What a run says: the lines, the last of which is the total.
fn lines(out: &[u8]) -> Vec<Value> {
    String::from_utf8_lossy(out).lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

async fn users(config: &Config, file: &Path, dry: bool) -> (Tally, Vec<Value>) {
    let mut out = Vec::new();
    let tally = import::users(config, file, dry, &mut out).await.unwrap();
    (tally, lines(&out))
}

async fn messages(config: &Config, room: RoomId, files: &[PathBuf], dry: bool) -> (Tally, Vec<Value>) {
    let mut out = Vec::new();
    let tally = import::messages(config, room, files, dry, &mut out).await.unwrap();
    (tally, lines(&out))
}

fn tally(taken: u64, already: u64, skipped: u64) -> Tally {
    Tally { taken, already, skipped }
}

async fn texts(store: &Store, room: RoomId) -> Vec<(String, String, i64)> {
    let mut said = store.messages(room, 100, None).await.unwrap().unwrap();
    said.reverse();
    said.into_iter().map(|it| (it.sender.nickname, it.content.text, it.created_at.as_ms())).collect()
}

async fn people_are_taken_over_once(database: Database) {
    let folder = tempfile::tempdir().unwrap();
    let config = config_of(&database, &folder);
    let (store, _) = database.open().await;
    let hash = bcrypt::hash(PASSWORD, 4).unwrap();
    let people = json!({
        "ada": {"username": "ada", "email": "ada@example.org", "hashed_password": hash, "created_at": "2024-06-01T12:00:00"},
        "mo": {"username": "mo", "hashed_password": hash, "role": "admin"},
        "gone": {"username": "gone", "hashed_password": hash, "disabled": true},
        "AdA": {"username": "AdA", "hashed_password": hash},
        "a b": {"username": "a b", "hashed_password": hash},
        "plain": {"username": "plain", "hashed_password": "secret"},
    });
    let path = file(&folder, "users.json", &people.to_string());
    let (dry, said) = users(&config, &path, true).await;
    assert_eq!(dry, tally(2, 0, 4));
    assert!(said.iter().any(|line| line["result"] == "wouldBeTaken"));
    assert!(store.account_of_name(&"ada".parse_key()).await.unwrap().is_none(), "a dry run keeps nothing");
    let (done, said) = users(&config, &path, false).await;
    assert_eq!((done, said.len()), (tally(2, 0, 4), 7));
    let why =
        |name: &str| said.iter().find(|line| line["user"] == name).unwrap()["why"].as_str().unwrap_or("").to_owned();
    assert!(why("gone").contains("disabled") && why("a b").contains("2 to 50") && why("plain").contains("bcrypt"));
    assert!(why("mo").contains("admin"), "roles are not taken over, and that is said");
    assert_eq!(said.last().unwrap()["total"], json!({"taken": 2, "already": 0, "skipped": 4}));
    let (again, _) = users(&config, &path, false).await;
    assert_eq!(again, tally(0, 2, 4));
    let account = store.account_of_name(&"mo".parse_key()).await.unwrap().unwrap();
    assert_eq!((account.username.as_str(), account.password_hash), ("mo", hash.clone()));
    // Somebody else's name is theirs.
    let other = file(&folder, "others.json", &json!([{"username": "m0", "hashed_password": hash}]).to_string());
    let (taken, said) = users(&config, &other, false).await;
    assert_eq!(taken, tally(0, 0, 1));
    assert!(said[0]["why"].as_str().unwrap().contains("mo is an account here already"), "{said:?}");
}

async fn logs_are_taken_over_in_order_once(database: Database) {
    let folder = tempfile::tempdir().unwrap();
    let config = config_of(&database, &folder);
    let (store, _) = database.open().await;
    let owner = person(&store, "owner").await;
    let into = room(&store, &owner, Visibility::Public).await;
    let first = concat!(
        "{\"user\": \"ada\", \"message\": \"hello\", \"toxic\": false, \"score\": 0.1, \"ts\": 1717243200.5}\n",
        "{\"type\": \"chat\", \"user\": \"Zoë\", \"message\": \"hi\", \"ts\": \"2024-06-01T12:00:01Z\"}\n",
        "not json\n",
        "\n",
        "{\"user\": \"ada\", \"message\": \"hello\", \"ts\": 1717243200.5}\n",
        "{\"type\": \"gift\", \"from\": \"ada\", \"gift_id\": 7, \"ts\": 1717243202}\n",
        "{\"user\": \"ada\", \"message\": \"   \", \"ts\": 1717243202}\n",
        "{\"user\": \"ada\", \"message\": \"when?\"}\n",
    );
    let mut second = String::new();
    for number in 0..600 {
        let line = json!({"user": format!("p{}", number % 7), "message": format!("line {number}"), "ts": 1_717_300_000 + number});
        second.push_str(&format!("{line}\n"));
    }
    // The last line of a log that is still being written has no end.
    second.push_str(r#"{"user": "ada", "message": "last", "ts": 1717400000}"#);
    let paths = [file(&folder, "chat_2024-06-01.jsonl", first), file(&folder, "chat_2024-06-02.jsonl", &second)];
    let (dry, _) = messages(&config, into, &paths, true).await;
    assert_eq!(dry, tally(604, 0, 4));
    assert_eq!(texts(&store, into).await, [], "a dry run keeps nothing");
    let (done, said) = messages(&config, into, &paths, false).await;
    assert_eq!(done, tally(604, 0, 4));
    let skipped: Vec<_> = said.iter().filter_map(|line| line["line"].as_u64()).collect();
    assert_eq!(skipped, [3, 6, 7, 8]);
    assert!(said[0]["file"].as_str().unwrap().ends_with("chat_2024-06-01.jsonl"), "{said:?}");
    let kept = texts(&store, into).await;
    let last: Vec<_> = kept.iter().map(|(_, text, _)| text.clone()).collect();
    let expected: Vec<_> = (501..600).map(|number| format!("line {number}")).chain(["last".to_owned()]).collect();
    assert_eq!(last, expected);
    assert_eq!(kept[0], ("p4".to_owned(), "line 501".to_owned(), 1_717_300_501_000));
    let (again, _) = messages(&config, into, &paths, false).await;
    assert_eq!(again, tally(0, 604, 4));
    assert_eq!(texts(&store, into).await, kept);
    // A log that has grown: what is new in it.
    second.push_str("\n{\"user\": \"ada\", \"message\": \"more\", \"ts\": 1717400001}\n");
    let grown = [file(&folder, "chat_2024-06-02.jsonl", &second)];
    assert_eq!(messages(&config, into, &grown, false).await.0, tally(1, 601, 0));
    let nowhere = import::messages(&config, RoomId::new(), &grown, false, &mut Vec::new()).await;
    assert!(nowhere.unwrap_err().to_string().contains("no such room"));
}

async fn lines_of_a_hostile_log_harm_none_but_themselves(database: Database) {
    let folder = tempfile::tempdir().unwrap();
    let config = config_of(&database, &folder);
    let (store, _) = database.open().await;
    let owner = person(&store, "owner").await;
    let into = room(&store, &owner, Visibility::Public).await;
    let mut log = String::new();
    for line in [
        json!({"user": "ada", "message": "tomorrow", "ts": "2999-01-01T00:00:00Z"}),
        json!({"user": "y".repeat(201), "message": "who?", "ts": 1_717_243_200}),
        // What names none of them is no name.
        json!({"id": null, "user": "ada", "message": "one", "ts": 1_717_243_200}),
        json!({"id": null, "user": "ada", "message": "two", "ts": 1_717_243_201}),
        json!({"id": "", "user": "ada", "message": "three", "ts": 1_717_243_202}),
        json!({"id": {}, "user": "ada", "message": "four", "ts": 1_717_243_203}),
        json!({"id": 7, "user": "ada", "message": "five", "ts": 1_717_243_204}),
        json!({"id": 7, "user": "ada", "message": "not five", "ts": 1_717_243_204}),
    ] {
        log.push_str(&format!("{line}\n"));
    }
    log.push_str(&"[".repeat(100_000));
    let mut bytes = log.into_bytes();
    bytes.extend([b'\n', 0xff, 0xfe, b'\n']);
    let path = folder.path().join("chat.jsonl");
    std::fs::write(&path, bytes).unwrap();
    let paths = [path];
    let (done, said) = messages(&config, into, &paths, false).await;
    assert_eq!(done, tally(5, 0, 5), "{said:?}");
    let lines: std::collections::BTreeSet<_> = said.iter().filter_map(|line| line["line"].as_u64()).collect();
    assert_eq!(lines, std::collections::BTreeSet::from([1, 2, 8, 9, 10]));
    assert!(said[0]["why"].as_str().unwrap().contains("future"), "{said:?}");
    let kept: Vec<_> = texts(&store, into).await.into_iter().map(|(_, text, _)| text).collect();
    assert_eq!(kept, ["one", "two", "three", "four", "five"]);
    assert_eq!(messages(&config, into, &paths, false).await.0, tally(0, 5, 5));
    // The same log may be another room's as well.
    let other = room(&store, &owner, Visibility::Public).await;
    assert_eq!(messages(&config, other, &paths, false).await.0, tally(5, 0, 5));
    let kept: Vec<_> = texts(&store, other).await.into_iter().map(|(_, text, _)| text).collect();
    assert_eq!(kept, ["one", "two", "three", "four", "five"]);
}

async fn who_wrote_before_they_had_an_account_gets_it(database: Database) {
    let folder = tempfile::tempdir().unwrap();
    let config = config_of(&database, &folder);
    let (store, _) = database.open().await;
    let owner = person(&store, "owner").await;
    let into = room(&store, &owner, Visibility::Public).await;
    let log = [file(&folder, "chat.jsonl", "{\"user\": \"ada\", \"message\": \"hello\", \"ts\": 1717243200}\n")];
    assert_eq!(messages(&config, into, &log, false).await.0, tally(1, 0, 0));
    let hash = bcrypt::hash(PASSWORD, 4).unwrap();
    let people = file(&folder, "users.json", &json!({"ada": {"hashed_password": hash}}).to_string());
    assert_eq!(users(&config, &people, false).await.0, tally(1, 0, 0));
    let account = store.account_of_name(&"ada".parse_key()).await.unwrap().unwrap();
    let said = store.messages(into, 1, None).await.unwrap().unwrap();
    assert_eq!(said[0].sender.id, account.user);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_is_taken_over_logs_in_with_the_password_that_they_had() {
    let folder = tempfile::tempdir().unwrap();
    let hash = bcrypt::hash(PASSWORD, 4).unwrap();
    let people = file(&folder, "users.json", &json!({"ada": {"hashed_password": hash}}).to_string());
    let server = Server::start_in(folder, |_| {}).await;
    let folder = server.stop().await;
    assert_eq!(users(&settings(&folder), &people, false).await.0, tally(1, 0, 0));
    let server = Server::start_in(folder, |_| {}).await;
    let login = json!({"username": "ada", "password": PASSWORD});
    for _ in 0..2 {
        // The second time by a hash of ours.
        server.anonymous().post("/auth/login", login.clone()).await.expect(StatusCode::OK);
    }
    let folder = server.stop().await;
    assert_eq!(users(&settings(&folder), &people, false).await.0, tally(0, 1, 0));
}

/// The form in which names are compared.
trait ParseKey {
    fn parse_key(&self) -> String;
}

impl ParseKey for str {
    fn parse_key(&self) -> String {
        parlor::domain::user::Username::parse(self).unwrap().key()
    }
}
