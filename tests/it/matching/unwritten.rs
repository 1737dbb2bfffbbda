//! What strangers write is nowhere, ever.

use reqwest::{Method, StatusCode};
use serde_json::{Value, json};
use sqlx::{Connection as _, PgConnection};

use super::{Stranger, together_at};
use crate::harness::{Person, Server};
use crate::postgres::database;
use crate::program::Program;
use crate::uploads::{id_of, uploaded};

/// Each is one word of small letters, so that an index of words would hold it as it is.
const UNTOLD: &str = "nobodykeepsthis5f2c";
const CONTROL: &str = "somebodykeepsthis9d41";

/// Asks; the answer, which is no refusal.
async fn ask(stranger: &mut Stranger, kind: &str, data: Value) -> Value {
    let reply = stranger.socket.ask(kind, data).await;
    assert_ne!(reply["type"], "error", "{reply}");
    reply
}

/// Says something whose content is that; the message's id.
async fn say(stranger: &mut Stranger, client_id: &str, content: Value, reply_to: Option<&Value>) -> Value {
    let room = stranger.room();
    let said = json!({"roomId": room, "clientId": client_id, "content": content, "replyTo": reply_to});
    ask(stranger, "send_message", said).await["data"]["message"]["id"].clone()
}

/// Strangers write in all the ways there are, change it and take it away; elsewhere somebody writes what is kept.
async fn write_both(base: &str) {
    let (mut ada, mut ben) = together_at(base, "text").await;
    let (room, untold) = (ada.room(), |what: &str| format!("{UNTOLD}, {what}"));
    ask(&mut ada, "typing", json!({"roomId": room, "typing": true})).await;
    let first = say(&mut ada, UNTOLD, json!({"text": UNTOLD}), None).await;
    let edit = json!({"roomId": room, "messageId": first, "content": {"text": untold("edited")}});
    ask(&mut ada, "edit_message", edit).await;
    let calls = json!({"text": untold("ada"), "mentions": {"users": [ada.person.id]}});
    say(&mut ben, "c-1", calls, Some(&first)).await;
    let thread = json!({"text": format!("{UNTOLD} #{UNTOLD}"), "threadId": first});
    say(&mut ben, "c-2", thread, None).await;
    let asked = json!({"question": untold("or not?"), "options": [{"text": UNTOLD}, {"text": "no"}]});
    let poll = say(&mut ada, "c-2", json!({"poll": asked}), None).await;
    ask(&mut ben, "vote", json!({"roomId": room, "messageId": poll, "options": [0]})).await;
    ask(&mut ben, "react", json!({"roomId": room, "messageId": first, "emoji": format!(":{UNTOLD}:"), "on": true}))
        .await;
    ask(&mut ben, "mark_read", json!({"roomId": room, "messageId": poll})).await;
    let other = say(&mut ben, "c-3", json!({"text": untold("withdrawn")}), None).await;
    ask(&mut ben, "delete_message", json!({"roomId": room, "messageId": other})).await;
    let nothing = say(&mut ada, "c-3", json!({"text": untold("and gone")}), None).await;
    // What is refused is kept no more than what is not.
    let elsewhere = ada.person.create_room("group", "private").await;
    let forward =
        json!({"roomId": elsewhere, "clientId": "f", "content": {}, "forward": {"roomId": room, "messageId": nothing}});
    ada.socket.join(&elsewhere).await;
    ada.socket.refused("send_message", forward, "bad_request").await;
    ada.socket
        .refused("send_message", json!({"roomId": room, "clientId": "c-4", "content": UNTOLD}), "bad_frame")
        .await;
    ada.socket.send_text(format!("{{\"type\": \"{UNTOLD}\"")).await;
    ada.person.get(&format!("/search?q={UNTOLD}")).await.expect(StatusCode::OK);
    ada.person.get(&format!("/previews?url=https%3A%2F%2F{UNTOLD}.invalid%2F")).await;

    let call = ada.person.create_room("call", "public").await;
    let (mut socket, _) = ada.person.connect_to(&call).await;
    socket.say(&call, "c-1", CONTROL).await;
    ada.done("match.stop", json!({})).await;
    assert_eq!(ben.ended().await, "partner_left");
}

/// Which files under a folder contain a text.
fn files_with(folder: &std::path::Path, text: &str) -> Vec<String> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            found.extend(files_with(&path, text));
        } else if let Ok(bytes) = std::fs::read(&path)
            && bytes.windows(text.len()).any(|window| window == text.as_bytes())
        {
            found.push(path.display().to_string());
        }
    }
    found
}

#[tokio::test]
async fn no_file_ever_holds_what_strangers_wrote() {
    let server = Server::start().await;
    write_both(&server.base).await;
    let kept = files_with(server.folder(), CONTROL);
    assert!(kept.iter().any(|file| file.contains("parlor.db")), "{kept:?}");
    assert_eq!(files_with(server.folder(), UNTOLD), [""; 0], "while it runs: database, WAL, whatever there is");
    let folder = server.stop().await;
    assert_eq!(files_with(folder.path(), UNTOLD), [""; 0]);
    assert!(!files_with(folder.path(), CONTROL).is_empty());
}

#[tokio::test]
async fn no_file_holds_it_when_the_program_is_killed() {
    let program = tokio::task::spawn_blocking(|| Program::start(&[("PARLOR_LOG", "parlor=trace")])).await.unwrap();
    write_both(&program.base).await;
    // The same sentence is found where it is to be: what would find it, works.
    let cleo = Person::enter(&program.base, "cleo").await;
    let room = cleo.create_room("group", "public").await;
    let program = program.kill();
    assert_eq!(files_with(&program.data(), UNTOLD), [""; 0], "database, WAL, whatever there is");
    let program = tokio::task::spawn_blocking(move || program.start_again(&[])).await.unwrap();
    let cleo = cleo.at(&program.base);
    cleo.connect_to(&room).await.0.say(&room, "c-1", UNTOLD).await;
    let program = program.kill();
    assert!(!files_with(&program.data(), UNTOLD).is_empty());
}

#[tokio::test]
async fn no_table_ever_holds_what_strangers_wrote() {
    let url = database().await;
    let server = Server::start_with(|config| config.database_url = Some(url.clone())).await;
    write_both(&server.base).await;
    let mut connection = PgConnection::connect(&url).await.unwrap();
    let tables: Vec<String> = sqlx::query_scalar(
        "select table_name::text from information_schema.tables where table_schema = 'public' order by 1",
    )
    .fetch_all(&mut connection)
    .await
    .unwrap();
    assert!(tables.len() > 15, "{tables:?}");
    let mut kept = Vec::new();
    for table in &tables {
        for text in [UNTOLD, CONTROL] {
            let count = format!("select count(*) from {table} as it where it::text like '%{text}%'");
            let count: i64 = sqlx::query_scalar(sqlx::AssertSqlSafe(count)).fetch_one(&mut connection).await.unwrap();
            kept.extend((count > 0).then_some((table.as_str(), text)));
        }
    }
    assert_eq!(kept, [("events", CONTROL), ("messages", CONTROL), ("searchable", CONTROL)]);
    assert_eq!(files_with(server.folder(), UNTOLD), [""; 0]);
}

#[tokio::test]
async fn strangers_send_each_other_no_files_and_are_told_nowhere_else() {
    let server = Server::start().await;
    let (mut ada, mut ben) = together_at(&server.base, "text").await;
    let room = ada.room();
    let mut device = ben.person.connect().await;
    let file = uploaded(&server, &ada.person, "notes.txt", b"not for strangers").await;
    let attached = json!([{"fileId": id_of(&file)}]);
    let with = json!({"roomId": room, "clientId": "f", "content": {"text": "look", "attachments": attached}});
    let refusal = ada.socket.ask("send_message", with).await;
    assert_eq!(refusal["type"], "error", "{refusal}");
    // It is hers as it was: nobody has taken it, and she can delete it.
    let path = format!("/uploads/{}", id_of(&file));
    ben.person.get(&path).await.refused(404, "not_found");
    ada.person.ask(Method::DELETE, &path, None).await.expect(StatusCode::NO_CONTENT);

    let calls = json!({"text": "hello", "mentions": {"users": [ben.person.id]}});
    let said = say(&mut ada, "c-1", calls, None).await;
    let heard = ben.socket.next_of("new_message").await;
    assert_eq!(heard["data"]["message"]["id"], said);
    device.send_json(&json!({"type": "ping", "id": "over", "data": {}})).await;
    loop {
        let frame = device.next().await;
        let kind = frame["type"].as_str().unwrap();
        assert!(!["new_message", "direct_message", "unread", "call_invite"].contains(&kind), "{frame}");
        if kind == "pong" {
            break;
        }
    }
    for path in ["/dms", "/dms/requests"] {
        assert_eq!(ben.person.get(path).await.expect(StatusCode::OK)["items"], json!([]), "{path}");
    }
    let unread = ben.person.get("/unread").await.expect(StatusCode::OK);
    let counts: Vec<_> = unread["items"].as_array().unwrap().iter().map(|it| it["unread"].clone()).collect();
    assert!(counts.iter().all(|count| *count == 0), "{unread}");
}
