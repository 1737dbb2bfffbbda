//! Stream keys: `/api/v1/rooms/{roomId}/stream-keys`.

use axum::Json;
use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse as _, Response};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::Shared;
use super::access::Known;
use super::error::{Body, Error, Path, Problem};
use crate::domain::{RoomId, StreamKey, StreamKeyId, StreamKind, Time};
use crate::rooms::NewStreamKey;

/// A key to be made.
#[derive(Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct WantedKey {
    /// What its publisher is called in the call: 1 to 50 characters.
    #[schema(example = "Studio camera")]
    name: String,
    /// What it lets do.
    kind: StreamKind,
    /// Until when; until it is revoked when it is not named.
    #[serde(default)]
    expires_at: Option<Time>,
}

/// A key, and how many take part by it.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct SeenKey {
    #[serde(flatten)]
    key: StreamKey,
    /// Publishers or players that came by it and are there now.
    in_use: u32,
}

/// A key that was just made.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct NewKey {
    #[serde(flatten)]
    key: StreamKey,
    /// The bearer token to give to the program. It is told now and never again.
    #[schema(example = "stream_5f0c…")]
    secret: String,
    /// Where the program sends its offer: a path on this server.
    #[schema(example = "/api/v1/rooms/0190…/whip")]
    path: String,
}

/// The keys of a room.
#[derive(Serialize, ToSchema)]
pub(crate) struct KeyList {
    /// Oldest first.
    keys: Vec<SeenKey>,
}

/// Make a stream key. Moderators and up; who publishes by it does so in your name.
#[utoipa::path(post, path = "/rooms/{roomId}/stream-keys", tag = "streams", security(("bearer" = [])),
    params(("roomId" = RoomId, Path)), request_body = WantedKey,
    responses((status = 201, body = NewKey), (status = "default", body = Problem, content_type = "application/problem+json")))]
pub(crate) async fn create(
    State(shared): State<Shared>,
    known: Known,
    Path(room): Path<RoomId>,
    Body(WantedKey { name, kind, expires_at }): Body<WantedKey>,
) -> Result<Response, Error> {
    let seat = shared.rooms.visit(known.caller(), room).await?;
    let (key, secret) = shared.rooms.create_stream_key(&seat, NewStreamKey { name, kind, expires_at }).await?;
    let way = if kind == StreamKind::Publish { "whip" } else { "whep" };
    let made = NewKey { key, secret, path: format!("/api/v1/rooms/{room}/{way}") };
    Ok((StatusCode::CREATED, [(header::CACHE_CONTROL, "no-store")], Json(made)).into_response())
}

/// List a room's stream keys, without their secrets. Moderators and up.
#[utoipa::path(get, path = "/rooms/{roomId}/stream-keys", tag = "streams", security(("bearer" = [])),
    params(("roomId" = RoomId, Path)),
    responses((status = 200, body = KeyList), (status = "default", body = Problem, content_type = "application/problem+json")))]
pub(crate) async fn list(
    State(shared): State<Shared>,
    known: Known,
    Path(room): Path<RoomId>,
) -> Result<Json<KeyList>, Error> {
    let seat = shared.rooms.visit(known.caller(), room).await?;
    let keys = shared.rooms.stream_keys(&seat).await?;
    Ok(Json(KeyList { keys: keys.into_iter().map(|(key, in_use)| SeenKey { key, in_use }).collect() }))
}

/// Revoke a stream key: who publishes or watches by it is gone at once. Moderators and up.
#[utoipa::path(delete, path = "/rooms/{roomId}/stream-keys/{keyId}", tag = "streams", security(("bearer" = [])),
    params(("roomId" = RoomId, Path), ("keyId" = StreamKeyId, Path)),
    responses((status = 204), (status = "default", body = Problem, content_type = "application/problem+json")))]
pub(crate) async fn revoke(
    State(shared): State<Shared>,
    known: Known,
    Path((room, key)): Path<(RoomId, StreamKeyId)>,
) -> Result<StatusCode, Error> {
    let seat = shared.rooms.visit(known.caller(), room).await?;
    shared.rooms.revoke_stream_key(&seat, key).await?;
    Ok(StatusCode::NO_CONTENT)
}
