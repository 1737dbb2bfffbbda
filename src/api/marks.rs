//! What people do to messages that are there: reactions, votes, pins and locked threads, under
//! `/api/v1/rooms/{roomId}/messages/{messageId}` and `/api/v1/rooms/{roomId}/pins`.

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use super::Shared;
use super::access::Known;
use super::error::{Body, Error, Path, Problem, Query};
use crate::domain::message::{Author, Poll};
use crate::domain::{Message, MessageId, Refusal, RoomId, UserId};

/// How many are on a page when the client names no number.
const PAGE: u32 = 50;

/// A page of people who reacted.
#[derive(Serialize, ToSchema)]
pub(crate) struct ReactorPage {
    /// First come first.
    users: Vec<Author>,
    /// Ask with this person as `after` for the next page; `null`: there is none.
    #[schema(required)]
    next: Option<UserId>,
}

/// Which page.
#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(crate) struct WhichReactors {
    /// People who reacted after this one.
    after: Option<UserId>,
    /// How many, 1 to 100; 50 when not named.
    limit: Option<u32>,
}

/// Pinned messages.
#[derive(Serialize, ToSchema)]
pub(crate) struct Pins {
    /// The last pinned first, up to 50.
    messages: Vec<Message>,
}

/// A vote.
#[derive(Deserialize, ToSchema)]
pub(crate) struct Ballot {
    /// Which answers, counted from 0; none takes a vote back.
    options: Vec<u32>,
}

/// A poll, and what one chose in it.
#[derive(Serialize, ToSchema)]
pub(crate) struct Results {
    poll: Poll,
    /// Your answers, counted from 0.
    options: Vec<u32>,
}

/// A thread's lock.
#[derive(Deserialize, ToSchema)]
pub(crate) struct ThreadLock {
    /// Locked from now on, or no more.
    locked: bool,
}

/// React.
#[utoipa::path(put, path = "/rooms/{roomId}/messages/{messageId}/reactions/{emoji}", tag = "messages", security(("bearer" = [])),
    params(("roomId" = RoomId, Path), ("messageId" = MessageId, Path), ("emoji" = String, Path)),
    responses((status = 204), (status = "default", body = Problem, content_type = "application/problem+json")))]
pub(crate) async fn react(
    State(shared): State<Shared>,
    known: Known,
    Path((room, message, emoji)): Path<(RoomId, MessageId, String)>,
) -> Result<StatusCode, Error> {
    let seat = shared.rooms.visit(known.caller(), room).await?;
    shared.chat.react(&seat, message, &emoji, true, None).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Take a reaction of yours back.
#[utoipa::path(delete, path = "/rooms/{roomId}/messages/{messageId}/reactions/{emoji}", tag = "messages", security(("bearer" = [])),
    params(("roomId" = RoomId, Path), ("messageId" = MessageId, Path), ("emoji" = String, Path)),
    responses((status = 204), (status = "default", body = Problem, content_type = "application/problem+json")))]
pub(crate) async fn unreact(
    State(shared): State<Shared>,
    known: Known,
    Path((room, message, emoji)): Path<(RoomId, MessageId, String)>,
) -> Result<StatusCode, Error> {
    let seat = shared.rooms.visit(known.caller(), room).await?;
    shared.chat.react(&seat, message, &emoji, false, None).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// See who reacted so.
#[utoipa::path(get, path = "/rooms/{roomId}/messages/{messageId}/reactions/{emoji}", tag = "messages", security(("bearer" = [])),
    params(("roomId" = RoomId, Path), ("messageId" = MessageId, Path), ("emoji" = String, Path), WhichReactors),
    responses((status = 200, body = ReactorPage), (status = "default", body = Problem, content_type = "application/problem+json")))]
pub(crate) async fn reactors(
    State(shared): State<Shared>,
    known: Known,
    Path((room, message, emoji)): Path<(RoomId, MessageId, String)>,
    Query(which): Query<WhichReactors>,
) -> Result<Json<ReactorPage>, Error> {
    shared.rooms.visit(known.caller(), room).await?;
    let limit = which.limit.unwrap_or(PAGE);
    let users = shared.chat.reactors(known.caller(), room, message, &emoji, which.after, limit).await?;
    let is_full = u32::try_from(users.len()).is_ok_and(|count| count == limit);
    let next = users.last().filter(|_| is_full).map(|user| user.id);
    Ok(Json(ReactorPage { users, next }))
}

/// Pin a message.
#[utoipa::path(put, path = "/rooms/{roomId}/messages/{messageId}/pin", tag = "messages", security(("bearer" = [])),
    params(("roomId" = RoomId, Path), ("messageId" = MessageId, Path)),
    responses((status = 204), (status = "default", body = Problem, content_type = "application/problem+json")))]
pub(crate) async fn pin(
    State(shared): State<Shared>,
    known: Known,
    Path((room, message)): Path<(RoomId, MessageId)>,
) -> Result<StatusCode, Error> {
    let seat = shared.rooms.visit(known.caller(), room).await?;
    shared.chat.pin(&seat, message, true, None).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Pin a message no more.
#[utoipa::path(delete, path = "/rooms/{roomId}/messages/{messageId}/pin", tag = "messages", security(("bearer" = [])),
    params(("roomId" = RoomId, Path), ("messageId" = MessageId, Path)),
    responses((status = 204), (status = "default", body = Problem, content_type = "application/problem+json")))]
pub(crate) async fn unpin(
    State(shared): State<Shared>,
    known: Known,
    Path((room, message)): Path<(RoomId, MessageId)>,
) -> Result<StatusCode, Error> {
    let seat = shared.rooms.visit(known.caller(), room).await?;
    shared.chat.pin(&seat, message, false, None).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// List the pinned messages.
#[utoipa::path(get, path = "/rooms/{roomId}/pins", tag = "messages", security(("bearer" = [])), params(("roomId" = RoomId, Path)),
    responses((status = 200, body = Pins), (status = "default", body = Problem, content_type = "application/problem+json")))]
pub(crate) async fn pins(
    State(shared): State<Shared>,
    known: Known,
    Path(room): Path<RoomId>,
) -> Result<Json<Pins>, Error> {
    shared.rooms.visit(known.caller(), room).await?;
    Ok(Json(Pins { messages: shared.chat.pins(known.caller(), room).await? }))
}

/// Vote in a poll, in the place of what you chose before.
#[utoipa::path(put, path = "/rooms/{roomId}/messages/{messageId}/votes", tag = "messages", security(("bearer" = [])),
    params(("roomId" = RoomId, Path), ("messageId" = MessageId, Path)), request_body = Ballot,
    responses((status = 204), (status = "default", body = Problem, content_type = "application/problem+json")))]
pub(crate) async fn vote(
    State(shared): State<Shared>,
    known: Known,
    Path((room, message)): Path<(RoomId, MessageId)>,
    Body(ballot): Body<Ballot>,
) -> Result<StatusCode, Error> {
    let seat = shared.rooms.visit(known.caller(), room).await?;
    shared.chat.vote(&seat, message, ballot.options, None).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// See what was chosen in a poll, and what you chose.
#[utoipa::path(get, path = "/rooms/{roomId}/messages/{messageId}/votes", tag = "messages", security(("bearer" = [])),
    params(("roomId" = RoomId, Path), ("messageId" = MessageId, Path)),
    responses((status = 200, body = Results), (status = "default", body = Problem, content_type = "application/problem+json")))]
pub(crate) async fn votes(
    State(shared): State<Shared>,
    known: Known,
    Path((room, message)): Path<(RoomId, MessageId)>,
) -> Result<Json<Results>, Error> {
    shared.rooms.visit(known.caller(), room).await?;
    let (asked, options) = shared.chat.choices(known.caller(), room, message).await?;
    let poll = asked.content.poll.ok_or(Refusal::NotFound)?;
    Ok(Json(Results { poll, options }))
}

/// Let nobody write in a thread any more, or again. Those who may do this still write there.
#[utoipa::path(put, path = "/rooms/{roomId}/messages/{messageId}/thread/lock", tag = "messages", security(("bearer" = [])),
    params(("roomId" = RoomId, Path), ("messageId" = MessageId, Path)), request_body = ThreadLock,
    responses((status = 204), (status = "default", body = Problem, content_type = "application/problem+json")))]
pub(crate) async fn lock_thread(
    State(shared): State<Shared>,
    known: Known,
    Path((room, message)): Path<(RoomId, MessageId)>,
    Body(ThreadLock { locked }): Body<ThreadLock>,
) -> Result<StatusCode, Error> {
    let seat = shared.rooms.visit(known.caller(), room).await?;
    shared.chat.lock_thread(&seat, message, locked, None).await?;
    Ok(StatusCode::NO_CONTENT)
}
