//! People of a Parlor server: logins by the hundred, and their sockets.

use anyhow::Context as _;
use futures_util::{StreamExt as _, TryStreamExt as _, stream};
use serde_json::{Value, json};

use super::line::Line;
use crate::session::Server;

/// Logins that are made at once.
const AT_ONCE: usize = 32;

/// That many people enter; their access tokens.
pub(crate) async fn enter(server: &Server, count: usize) -> anyhow::Result<Vec<String>> {
    let enter = |number: usize| async move {
        let person = json!({"nickname": format!("bench-{number}"), "birthYear": 1990, "adult": true});
        let answer = server.post("/auth/anonymous", None, &person).await?;
        anyhow::Ok(answer["accessToken"].as_str().context("no access token")?.to_owned())
    };
    stream::iter(0..count).map(enter).buffer_unordered(AT_ONCE).try_collect().await
}

/// Makes a public room for calls with that many seats.
pub(crate) async fn room(server: &Server, kind: &str, token: &str, seats: usize) -> anyhow::Result<String> {
    let room = json!({"kind": kind, "name": "bench", "visibility": "public", "maxParticipants": seats});
    let answer = server.post("/rooms", Some(token), &room).await?;
    let id = answer.get("id").or_else(|| answer.pointer("/room/id"));
    Ok(id.and_then(Value::as_str).context("the new room has no id")?.to_owned())
}

/// A socket that has logged in.
pub(crate) async fn log_in(address: &str, token: &str) -> anyhow::Result<Line> {
    let mut line = Line::open(address, "/ws").await?;
    line.say(&json!({"type": "authenticate", "id": "a", "data": {"token": token}}).to_string()).await?;
    answered(&mut line, "authenticated").await?;
    Ok(line)
}

/// The same in a room.
pub(crate) async fn join(address: &str, token: &str, room: &str) -> anyhow::Result<Line> {
    let mut line = log_in(address, token).await?;
    line.say(&json!({"type": "join_room", "id": "j", "data": {"roomId": room}}).to_string()).await?;
    answered(&mut line, "room_state").await?;
    Ok(line)
}

async fn answered(line: &mut Line, kind: &str) -> anyhow::Result<()> {
    let wanted = format!("{{\"type\":\"{kind}\"");
    line.read(|text| {
        if text.starts_with(wanted.as_bytes()) {
            return Some(Ok(()));
        }
        text.starts_with(b"{\"type\":\"error\"").then(|| Err(anyhow::anyhow!("{}", String::from_utf8_lossy(text))))
    })
    .await?
}
