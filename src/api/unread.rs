//! What people have read: `/api/v1/rooms/{roomId}/read`, `…/unread`, `…/notifications`, `…/receipts`, and `/api/v1/unread`.

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use super::Shared;
use super::access::Known;
use super::error::{Body, Error, Path, Problem, Query};
use crate::domain::reading::{NotifyLevel, Receipt, Unread};
use crate::domain::{MessageId, RoomId, Time};

/// Rooms on a page when the client names no number.
const PAGE: u32 = 50;

/// Up to where, or from where on.
#[derive(Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Pointer {
    /// Which message.
    message_id: MessageId,
}

/// How to hear of a room.
#[derive(Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Notifications {
    /// What to be told of.
    level: NotifyLevel,
    /// Until when to be told of nothing, up to a year from now.
    #[serde(default)]
    muted_until: Option<Time>,
}

/// Whether others are told.
#[derive(Serialize, Deserialize, ToSchema)]
pub(crate) struct ReceiptsSetting {
    /// Whether nobody is told what you have read.
    private: bool,
}

/// How far others have read.
#[derive(Serialize, ToSchema)]
pub(crate) struct ReceiptList {
    /// One for each member who lets others know; empty in rooms of more than 100 members, and in live, broadcast and forum rooms and calls.
    receipts: Vec<Receipt>,
}

/// A page of what is unread.
#[derive(Serialize, ToSchema)]
pub(crate) struct UnreadPage {
    /// In the order of the rooms' ids.
    items: Vec<Unread>,
    /// The `after` of the next page; `null`: there is none.
    next: Option<RoomId>,
}

/// Which page.
#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(crate) struct WhichRooms {
    /// The `next` of the page before.
    after: Option<RoomId>,
    /// How many, 1 to 50; 50 when not named.
    limit: Option<u32>,
}

/// Say up to where you have read. Your pointer never goes back by this.
#[utoipa::path(put, path = "/rooms/{roomId}/read", tag = "reading", security(("bearer" = [])),
    params(("roomId" = RoomId, Path)), request_body = Pointer,
    responses((status = 200, body = Unread), (status = "default", body = Problem, content_type = "application/problem+json")))]
pub(crate) async fn mark_read(
    State(shared): State<Shared>,
    known: Known,
    Path(room): Path<RoomId>,
    Body(pointer): Body<Pointer>,
) -> Result<Json<Unread>, Error> {
    let seat = shared.rooms.visit(known.caller(), room).await?;
    Ok(Json(shared.reading.mark_read(&seat, pointer.message_id).await?))
}

/// Let a message, and all after it, count as not read.
#[utoipa::path(put, path = "/rooms/{roomId}/unread", tag = "reading", security(("bearer" = [])),
    params(("roomId" = RoomId, Path)), request_body = Pointer,
    responses((status = 200, body = Unread), (status = "default", body = Problem, content_type = "application/problem+json")))]
pub(crate) async fn mark_unread(
    State(shared): State<Shared>,
    known: Known,
    Path(room): Path<RoomId>,
    Body(pointer): Body<Pointer>,
) -> Result<Json<Unread>, Error> {
    let seat = shared.rooms.visit(known.caller(), room).await?;
    Ok(Json(shared.reading.mark_unread(&seat, pointer.message_id).await?))
}

/// What you have not read in a room.
#[utoipa::path(get, path = "/rooms/{roomId}/unread", tag = "reading", security(("bearer" = [])), params(("roomId" = RoomId, Path)),
    responses((status = 200, body = Unread), (status = "default", body = Problem, content_type = "application/problem+json")))]
pub(crate) async fn show(
    State(shared): State<Shared>,
    known: Known,
    Path(room): Path<RoomId>,
) -> Result<Json<Unread>, Error> {
    let seat = shared.rooms.visit(known.caller(), room).await?;
    Ok(Json(shared.reading.unread_here(&seat).await?))
}

/// What you have not read in your rooms.
#[utoipa::path(get, path = "/unread", tag = "reading", security(("bearer" = [])), params(WhichRooms),
    responses((status = 200, body = UnreadPage), (status = "default", body = Problem, content_type = "application/problem+json")))]
pub(crate) async fn list(
    State(shared): State<Shared>,
    known: Known,
    Query(which): Query<WhichRooms>,
) -> Result<Json<UnreadPage>, Error> {
    let limit = which.limit.unwrap_or(PAGE);
    let items = shared.reading.all_unread(known.caller(), which.after, limit).await?;
    let next = items.last().filter(|_| items.len() == limit as usize).map(|last| last.room_id);
    Ok(Json(UnreadPage { items, next }))
}

/// Choose how to hear of a room.
#[utoipa::path(put, path = "/rooms/{roomId}/notifications", tag = "reading", security(("bearer" = [])),
    params(("roomId" = RoomId, Path)), request_body = Notifications,
    responses((status = 200, body = Unread), (status = "default", body = Problem, content_type = "application/problem+json")))]
pub(crate) async fn notifications(
    State(shared): State<Shared>,
    known: Known,
    Path(room): Path<RoomId>,
    Body(wanted): Body<Notifications>,
) -> Result<Json<Unread>, Error> {
    let seat = shared.rooms.visit(known.caller(), room).await?;
    Ok(Json(shared.reading.set_notify(&seat, wanted.level, wanted.muted_until).await?))
}

/// How far others in a small room have read.
#[utoipa::path(get, path = "/rooms/{roomId}/receipts", tag = "reading", security(("bearer" = [])), params(("roomId" = RoomId, Path)),
    responses((status = 200, body = ReceiptList), (status = "default", body = Problem, content_type = "application/problem+json")))]
pub(crate) async fn receipts(
    State(shared): State<Shared>,
    known: Known,
    Path(room): Path<RoomId>,
) -> Result<Json<ReceiptList>, Error> {
    let seat = shared.rooms.visit(known.caller(), room).await?;
    Ok(Json(ReceiptList { receipts: shared.reading.receipts(&seat).await? }))
}

/// Whether others are told what you have read.
#[utoipa::path(get, path = "/users/me/receipts", tag = "reading", security(("bearer" = [])),
    responses((status = 200, body = ReceiptsSetting), (status = "default", body = Problem, content_type = "application/problem+json")))]
pub(crate) async fn setting(State(shared): State<Shared>, known: Known) -> Result<Json<ReceiptsSetting>, Error> {
    Ok(Json(ReceiptsSetting { private: shared.reading.are_receipts_private(known.caller()).await? }))
}

/// Choose whether others are told what you have read.
#[utoipa::path(put, path = "/users/me/receipts", tag = "reading", security(("bearer" = [])), request_body = ReceiptsSetting,
    responses((status = 204), (status = "default", body = Problem, content_type = "application/problem+json")))]
pub(crate) async fn set_setting(
    State(shared): State<Shared>,
    known: Known,
    Body(wanted): Body<ReceiptsSetting>,
) -> Result<StatusCode, Error> {
    shared.reading.keep_receipts_private(known.caller(), wanted.private).await?;
    Ok(StatusCode::NO_CONTENT)
}
