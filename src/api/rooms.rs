//! Rooms: `/api/v1/rooms`.

use axum::Json;
use axum::extract::State;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use super::Shared;
use super::access::Known;
use super::error::{Body, Error, Path, Problem, Query};
use crate::domain::{CallId, Room, RoomId, RoomKind, Visibility};
use crate::rooms::{Listed, NewRoom};

/// How many are on a page when the client names no number.
const PAGE: u32 = 50;

/// A room to be made.
#[derive(Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Wanted {
    /// What for.
    kind: RoomKind,
    /// Up to 100 characters.
    #[schema(example = "Friday")]
    name: String,
    /// Who finds it and who may come in.
    visibility: Visibility,
    /// How many people may be inside at once; the most that the operator allows when it is not named.
    #[serde(default)]
    max_participants: Option<u32>,
}

/// A room, and how many are inside.
#[derive(Serialize, ToSchema)]
pub(crate) struct Seen {
    #[serde(flatten)]
    room: Room,
    /// How many are inside now.
    online: u32,
}

impl From<Listed> for Seen {
    fn from(Listed { room, online }: Listed) -> Self {
        Self { room, online }
    }
}

/// A page of rooms.
#[derive(Serialize, ToSchema)]
pub(crate) struct RoomPage {
    /// Newest first.
    rooms: Vec<Seen>,
}

/// Which page.
#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(crate) struct WhichRooms {
    /// Rooms older than this one: the last of the page before.
    before: Option<RoomId>,
    /// How many, 1 to 100; 50 when not named.
    limit: Option<u32>,
}

/// A room's call.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct CallOfRoom {
    /// It stays the same for the room's life.
    call_id: CallId,
}

/// Make a room; you are its owner.
#[utoipa::path(post, path = "/rooms", tag = "rooms", security(("bearer" = [])), request_body = Wanted,
    responses((status = 201, body = Room), (status = "default", body = Problem, content_type = "application/problem+json")))]
pub(crate) async fn create(
    State(shared): State<Shared>,
    known: Known,
    Body(wanted): Body<Wanted>,
) -> Result<Response, Error> {
    let Wanted { kind, name, visibility, max_participants } = wanted;
    let room = shared.rooms.create(known.caller(), NewRoom { kind, name, visibility, max_participants }).await?;
    let place =
        HeaderValue::try_from(format!("/api/v1/rooms/{}", room.id)).expect("an id is made of header characters");
    Ok((StatusCode::CREATED, [(header::LOCATION, place)], Json(room)).into_response())
}

/// List the public rooms.
#[utoipa::path(get, path = "/rooms", tag = "rooms", security(("bearer" = [])), params(WhichRooms),
    responses((status = 200, body = RoomPage), (status = "default", body = Problem, content_type = "application/problem+json")))]
pub(crate) async fn list(
    State(shared): State<Shared>,
    _: Known,
    Query(which): Query<WhichRooms>,
) -> Result<Json<RoomPage>, Error> {
    let limit = which.limit.unwrap_or(PAGE);
    let rooms = shared.rooms.public(which.before, limit).await?;
    Ok(Json(RoomPage { rooms: rooms.into_iter().map(Seen::from).collect() }))
}

/// Look at one room without going in.
#[utoipa::path(get, path = "/rooms/{roomId}", tag = "rooms", security(("bearer" = [])), params(("roomId" = RoomId, Path)),
    responses((status = 200, body = Seen), (status = "default", body = Problem, content_type = "application/problem+json")))]
pub(crate) async fn show(
    State(shared): State<Shared>,
    known: Known,
    Path(room): Path<RoomId>,
) -> Result<Json<Seen>, Error> {
    Ok(Json(shared.rooms.look(known.caller(), room).await?.into()))
}

/// Become a member.
#[utoipa::path(post, path = "/rooms/{roomId}/join", tag = "rooms", security(("bearer" = [])), params(("roomId" = RoomId, Path)),
    responses((status = 200, body = Seen), (status = "default", body = Problem, content_type = "application/problem+json")))]
pub(crate) async fn join(
    State(shared): State<Shared>,
    known: Known,
    Path(room): Path<RoomId>,
) -> Result<Json<Seen>, Error> {
    Ok(Json(shared.rooms.join(known.caller(), room).await?.into()))
}

/// Stop being a member; open sockets of yours leave the room too.
#[utoipa::path(post, path = "/rooms/{roomId}/leave", tag = "rooms", security(("bearer" = [])), params(("roomId" = RoomId, Path)),
    responses((status = 204), (status = "default", body = Problem, content_type = "application/problem+json")))]
pub(crate) async fn leave(
    State(shared): State<Shared>,
    known: Known,
    Path(room): Path<RoomId>,
) -> Result<StatusCode, Error> {
    shared.rooms.quit(known.caller(), room).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Find the room's call.
#[utoipa::path(get, path = "/rooms/{roomId}/call", tag = "calls", security(("bearer" = [])), params(("roomId" = RoomId, Path)),
    responses((status = 200, body = CallOfRoom), (status = "default", body = Problem, content_type = "application/problem+json")))]
pub(crate) async fn call(
    State(shared): State<Shared>,
    known: Known,
    Path(room): Path<RoomId>,
) -> Result<Json<CallOfRoom>, Error> {
    Ok(Json(CallOfRoom { call_id: shared.rooms.call_id(known.caller(), room).await? }))
}
