//! Direct messages: `/api/v1/dms`. What is written in them goes by the room, `/api/v1/rooms/{roomId}/messages` and the socket.

use axum::Json;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use axum::response::Response;
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use super::Shared;
use super::access::Known;
use super::error::{Body, Error, Path, Problem, Query};
use super::etags;
use crate::domain::case::{ReportReason, TargetKind};
use crate::domain::direct::{Direct, DirectFrom, DirectRequest, Stirred};
use crate::domain::{Refusal, RoomId, UserId};
use crate::moderation::Complaint;

/// How many are on a page when the client names no number.
const PAGE: u32 = 50;

/// To whom you want to write.
#[derive(Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct ToWhom {
    user_id: UserId,
}

/// A group to be made.
#[derive(Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct WantedGroup {
    /// Up to 100 characters; without one it goes by its people.
    #[serde(default)]
    name: Option<String>,
    /// 1 to 9 others.
    user_ids: Vec<UserId>,
}

/// A group's name.
#[derive(Deserialize, ToSchema)]
pub(crate) struct GroupName {
    /// Up to 100 characters; an empty one: it goes by its people.
    name: String,
}

/// From whom you take direct messages.
#[derive(Deserialize, Serialize, ToSchema)]
pub(crate) struct TakenFrom {
    from: DirectFrom,
}

/// What is to become of a request, beyond that it is declined.
#[derive(Deserialize, ToSchema)]
pub(crate) struct Declining {
    /// Whether to block whoever asked.
    #[serde(default)]
    block: bool,
    /// Why to report them, if they are to be.
    #[serde(default)]
    report: Option<Reporting>,
}

/// Why somebody is reported.
#[derive(Deserialize, ToSchema)]
pub(crate) struct Reporting {
    /// Why.
    reason: ReportReason,
    /// In your words, up to 500 characters.
    #[serde(default)]
    description: Option<String>,
}

/// How many were declined.
#[derive(Serialize, ToSchema)]
pub(crate) struct Declined {
    declined: u64,
}

/// A page of conversations.
#[derive(Serialize, ToSchema)]
pub(crate) struct DirectPage {
    /// Stirred last first.
    items: Vec<Direct>,
    /// Where the next page begins; `null`: there is none.
    #[schema(required)]
    next: Option<String>,
}

/// A page of message requests.
#[derive(Serialize, ToSchema)]
#[schema(as = DirectRequestPage)]
pub(crate) struct RequestPage {
    /// Stirred last first.
    items: Vec<DirectRequest>,
    /// Where the next page begins; `null`: there is none.
    #[schema(required)]
    next: Option<String>,
}

/// Which page.
#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(crate) struct WhichDirects {
    /// The `next` of the page before.
    #[param(value_type = Option<String>)]
    after: Option<Stirred>,
    /// How many, 1 to 100; 50 when not named.
    #[param(minimum = 1, maximum = 100)]
    limit: Option<u32>,
}

/// Write to somebody: the conversation of you two. Who shares no room with you gets it as a request. Whoever may not be written to,
/// for whatever reason, is not found.
#[utoipa::path(post, path = "/dms", tag = "direct", security(("bearer" = [])), request_body = ToWhom,
    responses((status = 201, description = "Made", body = Direct), (status = 200, description = "Was there before", body = Direct),
        (status = "default", body = Problem, content_type = "application/problem+json")))]
pub(crate) async fn open(
    State(shared): State<Shared>,
    known: Known,
    Body(whom): Body<ToWhom>,
) -> Result<(StatusCode, Json<Direct>), Error> {
    let (direct, is_new) = shared.rooms.open_direct(known.caller(), whom.user_id).await?;
    Ok((if is_new { StatusCode::CREATED } else { StatusCode::OK }, Json(direct)))
}

/// Make a group of up to 10 people, you included. Who shares no room with you is asked first.
#[utoipa::path(post, path = "/dms/groups", tag = "direct", security(("bearer" = [])), request_body = WantedGroup,
    responses((status = 201, body = Direct), (status = "default", body = Problem, content_type = "application/problem+json")))]
pub(crate) async fn create_group(
    State(shared): State<Shared>,
    known: Known,
    Body(wanted): Body<WantedGroup>,
) -> Result<(StatusCode, Json<Direct>), Error> {
    let direct = shared.rooms.create_group(known.caller(), wanted.name, wanted.user_ids).await?;
    Ok((StatusCode::CREATED, Json(direct)))
}

/// List your conversations.
#[utoipa::path(get, path = "/dms", tag = "direct", security(("bearer" = [])), params(WhichDirects),
    responses((status = 200, body = DirectPage), (status = "default", body = Problem, content_type = "application/problem+json")))]
pub(crate) async fn list(
    State(shared): State<Shared>,
    known: Known,
    Query(which): Query<WhichDirects>,
) -> Result<Json<DirectPage>, Error> {
    let limit = which.limit.unwrap_or(PAGE);
    let (items, next) = shared.rooms.directs(known.caller(), which.after, limit).await?;
    Ok(Json(DirectPage { items, next: next.map(|next| next.to_string()) }))
}

/// Look at one conversation.
#[utoipa::path(get, path = "/dms/{roomId}", tag = "direct", security(("bearer" = [])), params(("roomId" = RoomId, Path)),
    responses((status = 200, body = Direct, headers(("ETag" = String, description = "The room's revision."))),
        (status = "default", body = Problem, content_type = "application/problem+json")))]
pub(crate) async fn show(
    State(shared): State<Shared>,
    known: Known,
    Path(room): Path<RoomId>,
) -> Result<Response, Error> {
    let direct = shared.rooms.direct(known.caller(), room).await?;
    Ok(etags::tagged(&direct.room, &direct))
}

/// Give a group another name; with `If-Match`, only while it has the one that you saw. Anybody in it may.
#[utoipa::path(patch, path = "/dms/{roomId}", tag = "direct", security(("bearer" = [])),
    params(("roomId" = RoomId, Path), ("If-Match" = Option<String>, Header)), request_body = GroupName,
    responses((status = 200, body = Direct, headers(("ETag" = String, description = "The room's revision."))),
        (status = "default", body = Problem, content_type = "application/problem+json")))]
pub(crate) async fn rename(
    State(shared): State<Shared>,
    known: Known,
    Path(room): Path<RoomId>,
    headers: HeaderMap,
    Body(new): Body<GroupName>,
) -> Result<Response, Error> {
    let now = async || Ok(i64::from(shared.rooms.direct(known.caller(), room).await?.room.revision));
    let renamed = async {
        let seen = etags::seen(&headers, now()).await?.map(u32::try_from);
        let seen = seen.transpose().map_err(|_| Refusal::Outdated)?;
        shared.rooms.rename_group(known.caller(), room, &new.name, seen).await
    };
    match renamed.await {
        Ok(direct) => Ok(etags::tagged(&direct.room, &direct)),
        Err(Refusal::Outdated) => Ok(etags::outdated(etags::quoted(now().await?))),
        Err(refusal) => Err(refusal.into()),
    }
}

/// Bring somebody into a group. Anybody in it may.
#[utoipa::path(post, path = "/dms/{roomId}/people", tag = "direct", security(("bearer" = [])), params(("roomId" = RoomId, Path)),
    request_body = ToWhom,
    responses((status = 200, body = Direct), (status = "default", body = Problem, content_type = "application/problem+json")))]
pub(crate) async fn add(
    State(shared): State<Shared>,
    known: Known,
    Path(room): Path<RoomId>,
    Body(whom): Body<ToWhom>,
) -> Result<Json<Direct>, Error> {
    Ok(Json(shared.rooms.add_to_group(known.caller(), room, whom.user_id).await?))
}

/// Leave a group. A conversation of two cannot be left: block whom you want to hear no more of.
#[utoipa::path(post, path = "/dms/{roomId}/leave", tag = "direct", security(("bearer" = [])), params(("roomId" = RoomId, Path)),
    responses((status = 204), (status = "default", body = Problem, content_type = "application/problem+json")))]
pub(crate) async fn leave(
    State(shared): State<Shared>,
    known: Known,
    Path(room): Path<RoomId>,
) -> Result<StatusCode, Error> {
    shared.rooms.leave_group(known.caller(), room).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// List the message requests that you have not answered, with what they say. Whoever asks does not see that you look.
#[utoipa::path(get, path = "/dms/requests", tag = "direct", security(("bearer" = [])), params(WhichDirects),
    responses((status = 200, body = RequestPage), (status = "default", body = Problem, content_type = "application/problem+json")))]
pub(crate) async fn requests(
    State(shared): State<Shared>,
    known: Known,
    Query(which): Query<WhichDirects>,
) -> Result<Json<RequestPage>, Error> {
    let limit = which.limit.unwrap_or(PAGE);
    let (items, next) = shared.rooms.requests(known.caller(), which.after, limit).await?;
    Ok(Json(RequestPage { items, next: next.map(|next| next.to_string()) }))
}

/// Accept a message request.
#[utoipa::path(post, path = "/dms/requests/{roomId}/accept", tag = "direct", security(("bearer" = [])),
    params(("roomId" = RoomId, Path)),
    responses((status = 200, body = Direct), (status = "default", body = Problem, content_type = "application/problem+json")))]
pub(crate) async fn accept(
    State(shared): State<Shared>,
    known: Known,
    Path(room): Path<RoomId>,
) -> Result<Json<Direct>, Error> {
    Ok(Json(shared.rooms.accept_request(known.caller(), room).await?))
}

/// Decline a message request; with it, if you want, block and report whoever asks. They are told nothing.
#[utoipa::path(post, path = "/dms/requests/{roomId}/decline", tag = "direct", security(("bearer" = [])),
    params(("roomId" = RoomId, Path)), request_body = Declining,
    responses((status = 204), (status = "default", body = Problem, content_type = "application/problem+json")))]
pub(crate) async fn decline(
    State(shared): State<Shared>,
    known: Known,
    Path(room): Path<RoomId>,
    Body(declining): Body<Declining>,
) -> Result<StatusCode, Error> {
    let caller = known.caller();
    let from = shared.rooms.asks(caller, room).await?;
    // The report first: should it be refused, the request is still there.
    if let Some(Reporting { reason, description }) = declining.report {
        let (target, target_id, room) = (TargetKind::User, from.as_uuid(), Some(room));
        let complaint = Complaint { target, target_id, room, reason, description };
        shared.moderation.report(caller, complaint).await?;
    }
    shared.rooms.decline_request(caller, room).await?;
    if declining.block {
        shared.matching.block(caller, from).await?;
        shared.rooms.part(caller.user.id, from).await?;
    }
    Ok(StatusCode::NO_CONTENT)
}

/// Decline all message requests that you have.
#[utoipa::path(post, path = "/dms/requests/decline", tag = "direct", security(("bearer" = [])),
    responses((status = 200, body = Declined), (status = "default", body = Problem, content_type = "application/problem+json")))]
pub(crate) async fn decline_all(State(shared): State<Shared>, known: Known) -> Result<Json<Declined>, Error> {
    Ok(Json(Declined { declined: shared.rooms.decline_all(known.caller()).await? }))
}

/// From whom you take direct messages.
#[utoipa::path(get, path = "/users/me/direct", tag = "direct", security(("bearer" = [])),
    responses((status = 200, body = TakenFrom), (status = "default", body = Problem, content_type = "application/problem+json")))]
pub(crate) async fn taken_from(State(shared): State<Shared>, known: Known) -> Result<Json<TakenFrom>, Error> {
    Ok(Json(TakenFrom { from: shared.rooms.direct_from(known.caller()).await? }))
}

/// Say from whom you take direct messages. What you have accepted stays.
#[utoipa::path(put, path = "/users/me/direct", tag = "direct", security(("bearer" = [])), request_body = TakenFrom,
    responses((status = 200, body = TakenFrom), (status = "default", body = Problem, content_type = "application/problem+json")))]
pub(crate) async fn take_from(
    State(shared): State<Shared>,
    known: Known,
    Body(new): Body<TakenFrom>,
) -> Result<Json<TakenFrom>, Error> {
    shared.rooms.set_direct_from(known.caller(), new.from).await?;
    Ok(Json(new))
}
