//! What strangers write is nowhere, ever.

use serde_json::json;
use sqlx::{Connection as _, PgConnection};

use super::together;
use crate::harness::Server;
use crate::postgres::database;

const UNTOLD: &str = "a-sentence-that-nobody-keeps-5f2c";
const CONTROL: &str = "a-sentence-that-is-kept-9d41";

/// Strangers write, change and delete; elsewhere somebody writes what is kept.
async fn write_both(server: &Server) {
    let (mut ada, mut ben) = together(server, "text").await;
    let room = ada.room();
    let said = ada.socket.say(&room, "c-1", UNTOLD).await;
    let message = said["data"]["message"]["id"].clone();
    let edit = json!({"roomId": room, "messageId": message, "content": {"text": format!("{UNTOLD}, edited")}});
    assert_eq!(ada.socket.ask("edit_message", edit).await["type"], "message_edited");
    ben.socket.say(&room, "c-1", &format!("{UNTOLD}, answered")).await;
    let other = ben.socket.say(&room, "c-2", &format!("{UNTOLD}, withdrawn")).await["data"]["message"]["id"].clone();
    let delete = json!({"roomId": room, "messageId": other});
    assert_eq!(ben.socket.ask("delete_message", delete).await["type"], "message_deleted");
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
    write_both(&server).await;
    let kept = files_with(server.folder(), CONTROL);
    assert!(kept.iter().any(|file| file.contains("parlor.db")), "{kept:?}");
    assert_eq!(files_with(server.folder(), UNTOLD), [""; 0], "while it runs: database, WAL, whatever there is");
    let folder = server.stop().await;
    assert_eq!(files_with(folder.path(), UNTOLD), [""; 0]);
    assert!(!files_with(folder.path(), CONTROL).is_empty());
}

#[tokio::test]
async fn no_table_ever_holds_what_strangers_wrote() {
    let url = database().await;
    let server = Server::start_with(|config| config.database_url = Some(url.clone())).await;
    write_both(&server).await;
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
    assert_eq!(kept, [("events", CONTROL), ("messages", CONTROL)]);
    assert_eq!(files_with(server.folder(), UNTOLD), [""; 0]);
}
