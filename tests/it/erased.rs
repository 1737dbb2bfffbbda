//! Nothing of somebody who had everything deleted is left: every column of every table is looked through, in both databases.

use std::collections::BTreeSet;
use std::time::Duration;

use parlor::auth::{self, Access, Again, Auth};
use parlor::domain::{Caller, FamilyId, Role, SiteRole, Time, User, Visibility, cluster::Tenant};
use parlor::limit::{self, Limits};
use reqwest::{Method, StatusCode};
use serde_json::{Value, json};
use sqlx::{AssertSqlSafe, Connection as _, PgConnection, SqliteConnection};
use tempfile::TempDir;

use crate::accounts::register;
use crate::harness::{Person, Server, Socket};
use crate::store::{Database, on_both_databases, person, room, send};

on_both_databases!(what_came_late_goes_too);

/// A name and a word that stand nowhere by chance.
const NAME: &str = "zyxada";
const WORD: &str = "qwvword";
const PASSWORD: &str = "correct horse battery";

/// What a database holds, column by column, as text; bytes as hexadecimal.
macro_rules! walked {
    ($connection:ty, $url:expr, $catalog:expr, $as_text:expr) => {{
        let mut db = <$connection>::connect($url).await.unwrap();
        let catalog: Vec<(String, String, String)> = sqlx::query_as($catalog).fetch_all(&mut db).await.unwrap();
        let mut found = Vec::new();
        for (table, column, kind) in catalog {
            let as_text: String = $as_text(&column, &kind);
            let sql = format!("select {as_text} from \"{table}\" where \"{column}\" is not null");
            let values: Vec<String> = sqlx::query_scalar(AssertSqlSafe(sql)).fetch_all(&mut db).await.unwrap();
            let place = format!("{table}.{column}");
            found.extend(values.into_iter().map(|value| (place.clone(), value)));
        }
        db.close().await.unwrap();
        found
    }};
}

async fn columns(url: &str) -> Vec<(String, String)> {
    const OF_POSTGRES: &str = "select table_name::text, column_name::text, data_type::text from information_schema.columns \
        where table_schema = 'public' order by 1, 2";
    const OF_SQLITE: &str = "select m.name, c.name, c.type from sqlite_master m, pragma_table_info(m.name) c \
        where m.type = 'table' order by 1, 2";
    if url.starts_with("postgres") {
        return walked!(PgConnection, url, OF_POSTGRES, |column: &str, kind: &str| match kind {
            "bytea" => format!("encode(\"{column}\", 'hex')"),
            _ => format!("\"{column}\"::text"),
        });
    }
    walked!(SqliteConnection, url, OF_SQLITE, |column: &str, _: &str| format!(
        "case typeof(\"{column}\") when 'blob' then lower(hex(\"{column}\")) else cast(\"{column}\" as text) end"
    ))
}

fn hex(text: &str) -> String {
    text.bytes().map(|byte| format!("{byte:02x}")).collect()
}

/// Where one of these stands, whatever its case, as text or as bytes.
fn places(columns: &[(String, String)], needles: &[String]) -> BTreeSet<String> {
    let holds = |value: &str| needles.iter().any(|needle| value.to_lowercase().contains(needle));
    columns.iter().filter(|(_, value)| holds(value)).map(|(place, _)| place.clone()).collect()
}

fn id_of(frame: &Value) -> String {
    frame["data"]["message"]["id"].as_str().unwrap_or_else(|| panic!("{frame}")).to_owned()
}

/// Ada leaves traces wherever a person can.
async fn lives(server: &Server, ada: &Person, bea: &Person) {
    let wanted = json!({"kind": "group", "name": "chess", "visibility": "public"});
    let room = ada.create(wanted).await;
    let (mut hers, _) = ada.connect_to(&room).await;
    let (mut other, _) = bea.connect_to(&room).await;
    let said = id_of(&hers.say(&room, "1", &format!("{WORD} one")).await);
    let second = id_of(&hers.say(&room, "2", &format!("{WORD} two #{WORD}")).await);
    let edit = json!({"roomId": room, "messageId": second, "content": {"text": format!("{WORD} changed")}});
    assert_ne!(hers.ask("edit_message", edit).await["type"], "error");
    let word = id_of(&other.say(&room, "1", "a word of bea's").await);
    let react = json!({"roomId": room, "messageId": word, "emoji": "👍", "on": true});
    assert_ne!(hers.ask("react", react).await["type"], "error");
    let asked = json!({"question": format!("{WORD}?"), "options": [{"text": WORD}, {"text": "no"}]});
    let poll = json!({"roomId": room, "clientId": "p", "content": {"poll": asked}});
    assert_ne!(hers.ask("send_message", poll).await["type"], "error");
    let answer = json!({"roomId": room, "clientId": "a", "content": {"text": "yes"}, "replyTo": said});
    assert_ne!(other.ask("send_message", answer).await["type"], "error");
    // What bea says again, and whom she calls by name, is hers.
    let again = id_of(&hers.say(&room, "3", "to be said again").await);
    let forward =
        json!({"roomId": room, "clientId": "f", "content": {}, "forward": {"roomId": room, "messageId": again}});
    let forwarded = other.ask("send_message", forward).await;
    assert_eq!(forwarded["data"]["message"]["content"]["forwardedFrom"]["sender"]["nickname"], NAME, "{forwarded}");
    ada.ask(Method::PUT, &format!("/users/{}/presence", ada.id), Some(json!({"status": "away", "text": WORD}))).await;
    let report =
        json!({"targetType": "user", "targetId": bea.id, "roomId": room, "reason": "other", "description": WORD});
    ada.post("/reports", report).await.expect(StatusCode::CREATED);
    let direct = ada.post("/dms", json!({"userId": bea.id})).await.expect(StatusCode::CREATED);
    let direct = direct["room"]["id"].as_str().unwrap().to_owned();
    hers.join(&direct).await;
    hers.say(&direct, "d", WORD).await;
    rings(&mut hers, &direct).await;
    ada.post(&format!("/rooms/{room}/invites"), json!({})).await.expect(StatusCode::CREATED);
    let closed = json!({"kind": "group", "name": "closed", "visibility": "public", "settings": {"joinRequests": true}});
    let closed = bea.create(closed).await;
    let asked = ada.post(&format!("/rooms/{closed}/requests"), json!({"note": WORD})).await;
    assert!(asked.status.is_success(), "{}", asked.text);
    bea.ask(Method::PUT, &format!("/users/{}/block", ada.id), None).await.expect(StatusCode::NO_CONTENT);
    server.anonymous().post("/auth/login", json!({"username": NAME, "password": "wrong wrong"})).await;
    // She meets a stranger.
    let mut stranger = server.enter("cy").await.connect().await;
    let wanted = json!({"mode": "text", "interests": [WORD], "fallback": true});
    for socket in [&mut hers, &mut stranger] {
        assert_eq!(socket.ask("match.start", wanted.clone()).await["type"], "match.searching");
    }
    assert_eq!(stranger.next_of("match.found").await["data"]["partner"]["nickname"], NAME);
}

async fn rings(socket: &mut Socket, room: &str) {
    let rung = socket.ask("start_call", json!({"roomId": room, "type": "voice"})).await;
    assert_ne!(rung["type"], "error", "{rung}");
}

async fn nothing_is_left(url: Option<String>) {
    let folder = TempDir::new().unwrap();
    let server = Server::start_in(folder, |config| config.database_url.clone_from(&url)).await;
    let (ada, bea) = (register(&server, NAME).await, server.enter("bea").await);
    lives(&server, &ada, &bea).await;
    let erased = ada.ask(Method::DELETE, "/auth/me", Some(json!({"password": PASSWORD}))).await.expect(StatusCode::OK);
    let kept: BTreeSet<_> = erased["receipt"]["kept"]["idIn"]
        .as_array()
        .unwrap()
        .iter()
        .map(|it| it.as_str().unwrap().to_owned())
        .collect();
    let folder = server.stop().await;
    let url = url.unwrap_or_else(|| format!("sqlite:{}", folder.path().join("data/parlor.db").display()));
    let columns = columns(&url).await;
    let of_bea = places(&columns, &["a word of bea's".to_owned()]);
    assert!(
        of_bea.contains("messages.text") && of_bea.contains("events.body"),
        "the walk sees what there is: {of_bea:?}"
    );

    let forms = |text: &str| [text.to_owned(), hex(text)];
    assert_eq!(places(&columns, &forms(NAME)), BTreeSet::new(), "the name");
    assert_eq!(places(&columns, &forms(WORD)), BTreeSet::new(), "the words");
    let left = places(&columns, &[ada.id.clone(), ada.id.replace('-', "")]);
    let is_kept = |place: &&String| !kept.contains(*place) && !kept.contains(place.split('.').next().unwrap());
    let unnamed: Vec<_> = left.iter().filter(is_kept).collect();
    assert!(unnamed.is_empty(), "the receipt does not name {unnamed:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_is_left_in_sqlite() {
    nothing_is_left(None).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_is_left_in_postgresql() {
    nothing_is_left(Some(crate::postgres::database().await)).await;
}

/// A message that was on its way while its writer's logins ended, perhaps on another node.
async fn what_came_late_goes_too(database: Database) {
    let (store, mut events) = database.open().await;
    tokio::spawn(async move { while events.recv().await.is_some() {} });
    let (ada, bea) = (person(&store, "ada").await, person(&store, "bea").await);
    let place = room(&store, &bea, Visibility::Public).await;
    let (limits, secret) = (Limits::new(limit::Config::default()), b"a secret that is long enough for a test");
    let (auth, _changes) = Auth::new(store.clone(), limits, &auth::Config::default(), secret);
    let user = User { id: ada.id, nickname: "ada".to_owned(), role: SiteRole::Member, bot: false };
    let (now, address, cluster) = (Time::now(), [192, 0, 2, 1].into(), Tenant::default());
    let caller = Caller { user, known_since: now, family: FamilyId::new(), address, cluster };
    let access = Access { caller, expires_at: now, second_factor: false, withheld: None, scopes: None };
    auth.erase(&access, Again::default()).await.unwrap();
    let (late, _) = send(&store, place, &ada, "late", "said too late").await;
    assert!(store.add_member(place, ada.id, Role::Member, Time::now()).await.unwrap());
    auth.sweep_at(now).await.unwrap();
    assert_eq!(store.own_messages(ada.id, None, 10).await.unwrap().len(), 1, "more may be on its way");
    auth.sweep_at(now.after(Duration::from_secs(11 * 60))).await.unwrap();
    assert_eq!(store.own_messages(ada.id, None, 10).await.unwrap(), []);
    assert!(store.message(place, late).await.unwrap().is_none_or(|message| message.deleted));
    assert_eq!(store.own_rooms(ada.id, None, 10).await.unwrap(), []);
    let later = now.after(Duration::from_secs(3600));
    assert_eq!(store.unfinished_erasures(later, 10).await.unwrap(), [], "nothing comes any more");
    store.close().await;
}
