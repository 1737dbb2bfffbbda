//! Messages over REST, for clients without a socket: `/api/v1/rooms/{roomId}/messages`. Whoever has a socket sees them there too.

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use super::Shared;
use super::access::Known;
use super::error::{Body, Error, Path, Problem, Query};
use crate::chat::{Draft, Sent};
use crate::domain::message::Content;
use crate::domain::{Message, MessageId, RoomId};

/// How many are on a page when the client names no number.
const PAGE: u32 = 50;

/// A message to be written.
#[derive(Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Written {
    /// Your own name for it, 1–64 characters: the same name with the same content again is the same message.
    #[schema(example = "c-1")]
    client_id: String,
    /// What it says.
    content: Content,
    /// The message that it answers.
    #[serde(default)]
    reply_to: Option<MessageId>,
}

/// What a message says from now on.
#[derive(Deserialize, ToSchema)]
pub(crate) struct Edited {
    content: Content,
}

/// A page of history.
#[derive(Serialize, ToSchema)]
pub(crate) struct MessagePage {
    /// Newest first.
    messages: Vec<Message>,
}

/// Which page.
#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(crate) struct WhichMessages {
    /// Messages older than this one: the last of the page before.
    before: Option<MessageId>,
    /// How many, 1 to 100; 50 when not named.
    limit: Option<u32>,
}

/// Read the history backwards.
#[utoipa::path(get, path = "/rooms/{roomId}/messages", tag = "messages", security(("bearer" = [])),
    params(("roomId" = RoomId, Path), WhichMessages),
    responses((status = 200, body = MessagePage), (status = "default", body = Problem, content_type = "application/problem+json")))]
pub(crate) async fn list(
    State(shared): State<Shared>,
    known: Known,
    Path(room): Path<RoomId>,
    Query(which): Query<WhichMessages>,
) -> Result<Json<MessagePage>, Error> {
    let limit = which.limit.unwrap_or(PAGE);
    let messages = shared.chat.history(known.caller(), room, limit, which.before).await?;
    // Who has to wait at the door of a call reads nothing of what is said in it.
    shared.rooms.visit(known.caller(), room).await?;
    Ok(Json(MessagePage { messages }))
}

/// Write.
#[utoipa::path(post, path = "/rooms/{roomId}/messages", tag = "messages", security(("bearer" = [])),
    params(("roomId" = RoomId, Path)), request_body = Written,
    responses((status = 201, description = "Written", body = Message), (status = 200, description = "Was written before", body = Message),
        (status = "default", body = Problem, content_type = "application/problem+json")))]
pub(crate) async fn send(
    State(shared): State<Shared>,
    known: Known,
    Path(room): Path<RoomId>,
    Body(written): Body<Written>,
) -> Result<(StatusCode, Json<Message>), Error> {
    let seat = shared.rooms.visit(known.caller(), room).await?;
    let Written { client_id, content: Content { text }, reply_to } = written;
    Ok(match shared.chat.send(&seat, Draft { client_id, text, reply_to }, None).await? {
        Sent::Fresh(message) => (StatusCode::CREATED, Json(*message)),
        Sent::Again(message) => (StatusCode::OK, Json(*message)),
    })
}

/// Change a message of yours.
#[utoipa::path(patch, path = "/rooms/{roomId}/messages/{messageId}", tag = "messages", security(("bearer" = [])),
    params(("roomId" = RoomId, Path), ("messageId" = MessageId, Path)), request_body = Edited,
    responses((status = 204), (status = "default", body = Problem, content_type = "application/problem+json")))]
pub(crate) async fn edit(
    State(shared): State<Shared>,
    known: Known,
    Path((room, message)): Path<(RoomId, MessageId)>,
    Body(edited): Body<Edited>,
) -> Result<StatusCode, Error> {
    let seat = shared.rooms.visit(known.caller(), room).await?;
    shared.chat.edit(&seat, message, &edited.content.text, None).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Take a message back, or, as a moderator, away.
#[utoipa::path(delete, path = "/rooms/{roomId}/messages/{messageId}", tag = "messages", security(("bearer" = [])),
    params(("roomId" = RoomId, Path), ("messageId" = MessageId, Path)),
    responses((status = 204), (status = "default", body = Problem, content_type = "application/problem+json")))]
pub(crate) async fn delete(
    State(shared): State<Shared>,
    known: Known,
    Path((room, message)): Path<(RoomId, MessageId)>,
) -> Result<StatusCode, Error> {
    let seat = shared.rooms.visit(known.caller(), room).await?;
    shared.chat.delete(&seat, message, None).await?;
    Ok(StatusCode::NO_CONTENT)
}
