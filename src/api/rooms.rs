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
use super::etags::tagged;
use super::settings::Change;
use crate::domain::{CallId, Role, Room, RoomId, RoomKind, Visibility};
use crate::rooms::{Listed, NewRoom, Wanted};

/// How many are on a page when the client names no number.
const PAGE: u32 = 50;

/// A room to be made. Beside these, whatever `PATCH /rooms/{roomId}` takes.
#[derive(Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct NewRoomBody {
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
    /// What is to be other than such a room has it.
    settings: Option<Change>,
}

/// What somebody says who joins.
#[derive(Deserialize, ToSchema)]
pub(crate) struct Entry {
    /// The room's PIN, if it has one.
    #[serde(default)]
    pin: Option<String>,
}

/// A room, and how many are inside.
#[derive(Serialize, ToSchema)]
#[schema(as = SeenRoom)]
pub(crate) struct Seen {
    #[serde(flatten)]
    room: Room,
    /// How many are inside now.
    online: u32,
    /// How many belong to it.
    members: u32,
}

impl From<Listed> for Seen {
    fn from(Listed { room, online, members }: Listed) -> Self {
        Self { room, online, members }
    }
}

/// A page of rooms.
#[derive(Serialize, ToSchema)]
pub(crate) struct RoomPage {
    /// Newest first.
    rooms: Vec<Seen>,
    /// The cursor of the next page; `null`: this is the last.
    #[schema(required)]
    next: Option<RoomId>,
}

/// A room of one's own.
#[derive(Serialize, ToSchema)]
pub(crate) struct Mine {
    #[serde(flatten)]
    seen: Seen,
    /// What you may do there.
    role: Role,
}

/// A page of one's own rooms.
#[derive(Serialize, ToSchema)]
pub(crate) struct MinePage {
    /// Newest first.
    items: Vec<Mine>,
    /// The cursor of the next page; `null`: this is the last.
    #[schema(required)]
    next: Option<RoomId>,
}

/// The categories of this server.
#[derive(Serialize, ToSchema)]
pub(crate) struct Categories {
    items: Vec<String>,
}

/// Which rooms.
#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(crate) struct WhichRooms {
    /// Words in their name, slug or description, whatever the case; up to 100 characters.
    query: Option<String>,
    /// Those of this category.
    category: Option<String>,
    /// Those of this kind.
    #[param(inline)]
    kind: Option<RoomKind>,
    /// `next` of the page before.
    cursor: Option<RoomId>,
    /// The same by its older name.
    before: Option<RoomId>,
    /// How many, 1 to 100; 50 when not named.
    limit: Option<u32>,
}

/// Which of one's rooms.
#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(crate) struct WhichOfMine {
    /// `next` of the page before.
    cursor: Option<RoomId>,
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
#[utoipa::path(post, path = "/rooms", tag = "rooms", security(("bearer" = [])), request_body = NewRoomBody,
    responses((status = 201, body = Room), (status = "default", body = Problem, content_type = "application/problem+json")))]
pub(crate) async fn create(
    State(shared): State<Shared>,
    known: Known,
    Body(wanted): Body<NewRoomBody>,
) -> Result<Response, Error> {
    let NewRoomBody { kind, name, visibility, max_participants, settings } = wanted;
    let new = NewRoom { kind, name, visibility, max_participants };
    let room = shared.rooms.create_with(known.caller(), new, settings.unwrap_or_default().into()).await?;
    let place =
        HeaderValue::try_from(format!("/api/v1/rooms/{}", room.id)).expect("an id is made of header characters");
    Ok((StatusCode::CREATED, [(header::LOCATION, place)], tagged(&room, &room)).into_response())
}

/// Find public rooms.
#[utoipa::path(get, path = "/rooms", tag = "rooms", security(("bearer" = [])), params(WhichRooms),
    responses((status = 200, body = RoomPage), (status = "default", body = Problem, content_type = "application/problem+json")))]
pub(crate) async fn list(
    State(shared): State<Shared>,
    known: Known,
    Query(which): Query<WhichRooms>,
) -> Result<Json<RoomPage>, Error> {
    let WhichRooms { query, category, kind, cursor, before, limit } = which;
    let limit = limit.unwrap_or(PAGE);
    let wanted = Wanted { query, category, kind, before: cursor.or(before) };
    let rooms = shared.rooms.directory(known.caller(), wanted, limit).await?;
    let next = rooms.last().filter(|_| rooms.len() >= limit as usize).map(|it| it.room.id);
    Ok(Json(RoomPage { rooms: rooms.into_iter().map(Seen::from).collect(), next }))
}

/// List the rooms that you belong to, also those that are put away.
#[utoipa::path(get, path = "/rooms/mine", tag = "rooms", security(("bearer" = [])), params(WhichOfMine),
    responses((status = 200, body = MinePage), (status = "default", body = Problem, content_type = "application/problem+json")))]
pub(crate) async fn mine(
    State(shared): State<Shared>,
    known: Known,
    Query(WhichOfMine { cursor, limit }): Query<WhichOfMine>,
) -> Result<Json<MinePage>, Error> {
    let limit = limit.unwrap_or(PAGE);
    let rooms = shared.rooms.mine(known.caller(), cursor, limit).await?;
    let next = rooms.last().filter(|_| rooms.len() >= limit as usize).map(|(it, _)| it.room.id);
    let items = rooms.into_iter().map(|(listed, role)| Mine { seen: listed.into(), role });
    Ok(Json(MinePage { items: items.collect(), next }))
}

/// List the categories of this server.
#[utoipa::path(get, path = "/rooms/categories", tag = "rooms", security(("bearer" = [])),
    responses((status = 200, body = Categories), (status = "default", body = Problem, content_type = "application/problem+json")))]
pub(crate) async fn categories(State(shared): State<Shared>, _: Known) -> Json<Categories> {
    Json(Categories { items: shared.rooms.categories().to_vec() })
}

/// Look at one room without going in.
#[utoipa::path(get, path = "/rooms/{roomId}", tag = "rooms", security(("bearer" = [])), params(("roomId" = RoomId, Path)),
    responses((status = 200, body = Seen, headers(("ETag" = String, description = "The room's revision."))),
        (status = "default", body = Problem, content_type = "application/problem+json")))]
pub(crate) async fn show(
    State(shared): State<Shared>,
    known: Known,
    Path(room): Path<RoomId>,
) -> Result<Response, Error> {
    let listed = shared.rooms.look(known.caller(), room).await?;
    let room = listed.room.clone();
    Ok(tagged(&room, Seen::from(listed)))
}

/// Become a member.
#[utoipa::path(post, path = "/rooms/{roomId}/join", tag = "rooms", security(("bearer" = [])), params(("roomId" = RoomId, Path)),
    request_body = Option<Entry>,
    responses((status = 200, body = Seen), (status = "default", body = Problem, content_type = "application/problem+json")))]
pub(crate) async fn join(
    State(shared): State<Shared>,
    known: Known,
    Path(room): Path<RoomId>,
    entry: Option<Body<Entry>>,
) -> Result<Json<Seen>, Error> {
    let pin = entry.and_then(|Body(Entry { pin })| pin);
    Ok(Json(shared.rooms.join_by(known.caller(), room, pin.as_deref()).await?.into()))
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
