//! Ways into a room: links at `/api/v1/rooms/{roomId}/invites` and `/api/v1/invites/{code}`, requests at
//! `/api/v1/rooms/{roomId}/requests`.

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use super::Shared;
use super::access::Known;
use super::cursor::Place;
use super::error::{Body, Error, Path, Problem, Query};
use super::rooms::Seen;
use crate::domain::{
    InviteId, RoomId, Time, UserId,
    invite::{Invite, JoinRequest},
};

/// How many are on a page when the client names no number.
const PAGE: u32 = 50;

/// A link to be made.
#[derive(Default, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(super) struct NewInvite {
    /// Until when, within a year; until it is revoked when not named.
    expires_at: Option<Time>,
    /// For how many people; for as many as there are when not named.
    max_uses: Option<u32>,
}

/// A link that was made.
#[derive(Serialize, ToSchema)]
pub(super) struct Made {
    #[serde(flatten)]
    invite: Invite,
    /// Told now and never again: for `POST /invites/{code}/accept`.
    code: String,
}

/// The links of a room.
#[derive(Serialize, ToSchema)]
pub(super) struct InviteList {
    /// Newest first.
    items: Vec<Invite>,
}

/// What somebody says who asks to be let in.
#[derive(Default, Deserialize, ToSchema)]
pub(super) struct Note {
    /// Up to 300 characters.
    note: Option<String>,
}

/// Who asks to be let in.
#[derive(Serialize, ToSchema)]
#[schema(as = JoinRequestPage)]
pub(super) struct RequestPage {
    /// First come first.
    items: Vec<JoinRequest>,
    /// The cursor of the next page; `null`: this is the last.
    #[schema(required)]
    next: Option<Place>,
}

/// Which page.
#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(super) struct Which {
    /// `next` of the page before.
    cursor: Option<Place>,
    /// How many, 1 to 100; 50 when not named.
    limit: Option<u32>,
}

/// Make a link by which others come in. Whom the room lets invite; moderators and up see all of them.
#[utoipa::path(post, path = "/rooms/{roomId}/invites", tag = "rooms", security(("bearer" = [])),
    params(("roomId" = RoomId, Path)), request_body = NewInvite,
    responses((status = 201, body = Made), (status = "default", body = Problem, content_type = "application/problem+json")))]
pub(super) async fn create(
    State(shared): State<Shared>,
    known: Known,
    Path(room): Path<RoomId>,
    Body(new): Body<NewInvite>,
) -> Result<(StatusCode, Json<Made>), Error> {
    let seat = shared.rooms.visit(known.caller(), room).await?;
    let (invite, code) = shared.rooms.invite(&seat, new.expires_at, new.max_uses).await?;
    Ok((StatusCode::CREATED, Json(Made { invite, code })))
}

/// List the links of a room: yours, or everybody's for moderators and up.
#[utoipa::path(get, path = "/rooms/{roomId}/invites", tag = "rooms", security(("bearer" = [])),
    params(("roomId" = RoomId, Path)),
    responses((status = 200, body = InviteList), (status = "default", body = Problem, content_type = "application/problem+json")))]
pub(super) async fn list(
    State(shared): State<Shared>,
    known: Known,
    Path(room): Path<RoomId>,
) -> Result<Json<InviteList>, Error> {
    let seat = shared.rooms.visit(known.caller(), room).await?;
    Ok(Json(InviteList { items: shared.rooms.invites(&seat).await? }))
}

/// Revoke a link. Who came by it stays.
#[utoipa::path(delete, path = "/rooms/{roomId}/invites/{inviteId}", tag = "rooms", security(("bearer" = [])),
    params(("roomId" = RoomId, Path), ("inviteId" = InviteId, Path)),
    responses((status = 204), (status = "default", body = Problem, content_type = "application/problem+json")))]
pub(super) async fn revoke(
    State(shared): State<Shared>,
    known: Known,
    Path((room, invite)): Path<(RoomId, InviteId)>,
) -> Result<StatusCode, Error> {
    let seat = shared.rooms.visit(known.caller(), room).await?;
    shared.rooms.revoke_invite(&seat, invite).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Become a member by a link.
#[utoipa::path(post, path = "/invites/{code}/accept", tag = "rooms", security(("bearer" = [])),
    params(("code" = String, Path)),
    responses((status = 200, body = Seen), (status = "default", body = Problem, content_type = "application/problem+json")))]
pub(super) async fn accept(
    State(shared): State<Shared>,
    known: Known,
    Path(code): Path<String>,
) -> Result<Json<Seen>, Error> {
    Ok(Json(shared.rooms.accept_invite(known.caller(), &code).await?.into()))
}

/// Ask to be let into a room whose members decide that.
#[utoipa::path(post, path = "/rooms/{roomId}/requests", tag = "rooms", security(("bearer" = [])),
    params(("roomId" = RoomId, Path)), request_body = Note,
    responses((status = 202), (status = "default", body = Problem, content_type = "application/problem+json")))]
pub(super) async fn ask(
    State(shared): State<Shared>,
    known: Known,
    Path(room): Path<RoomId>,
    Body(Note { note }): Body<Note>,
) -> Result<StatusCode, Error> {
    shared.rooms.ask_to_join(known.caller(), room, note).await?;
    Ok(StatusCode::ACCEPTED)
}

/// List who asks to be let in. Moderators and up.
#[utoipa::path(get, path = "/rooms/{roomId}/requests", tag = "rooms", security(("bearer" = [])),
    params(("roomId" = RoomId, Path), Which),
    responses((status = 200, body = RequestPage), (status = "default", body = Problem, content_type = "application/problem+json")))]
pub(super) async fn requests(
    State(shared): State<Shared>,
    known: Known,
    Path(room): Path<RoomId>,
    Query(which): Query<Which>,
) -> Result<Json<RequestPage>, Error> {
    let seat = shared.rooms.visit(known.caller(), room).await?;
    let limit = which.limit.unwrap_or(PAGE);
    let items = shared.rooms.join_requests(&seat, which.cursor.map(Place::after), limit).await?;
    let next = Place::next(&items, limit, |it| (it.created_at, it.user.user_id));
    Ok(Json(RequestPage { items, next }))
}

/// Let in who asked. Moderators and up.
#[utoipa::path(post, path = "/rooms/{roomId}/requests/{userId}/approve", tag = "rooms", security(("bearer" = [])),
    params(("roomId" = RoomId, Path), ("userId" = UserId, Path)),
    responses((status = 204), (status = "default", body = Problem, content_type = "application/problem+json")))]
pub(super) async fn approve(
    State(shared): State<Shared>,
    known: Known,
    Path((room, user)): Path<(RoomId, UserId)>,
) -> Result<StatusCode, Error> {
    let seat = shared.rooms.visit(known.caller(), room).await?;
    shared.rooms.answer_request(&seat, user, true).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Do not let in who asked; they may ask again after a day. Moderators and up.
#[utoipa::path(post, path = "/rooms/{roomId}/requests/{userId}/deny", tag = "rooms", security(("bearer" = [])),
    params(("roomId" = RoomId, Path), ("userId" = UserId, Path)),
    responses((status = 204), (status = "default", body = Problem, content_type = "application/problem+json")))]
pub(super) async fn deny(
    State(shared): State<Shared>,
    known: Known,
    Path((room, user)): Path<(RoomId, UserId)>,
) -> Result<StatusCode, Error> {
    let seat = shared.rooms.visit(known.caller(), room).await?;
    shared.rooms.answer_request(&seat, user, false).await?;
    Ok(StatusCode::NO_CONTENT)
}
