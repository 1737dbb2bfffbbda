//! Messages over REST, for clients without a socket: `/api/v1/rooms/{roomId}/messages`. Whoever has a socket sees them there too.
//! What people do to messages that are there is in [`super::marks`].

use axum::Json;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse as _, Response};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use super::Shared;
use super::access::Known;
use super::error::{Body, Error, Path, Problem, Query};
use super::etags::{changed_at, message_number, outdated, quoted, seen, tagged_message, with_tag};
use crate::chat::{Draft, Sent, Stretch};
use crate::domain::message::{Forward, NewContent, Version};
use crate::domain::{Message, MessageId, Refusal, RoomId};

/// How many are on a page when the client names no number.
const PAGE: u32 = 50;

/// A message to be written.
#[derive(Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Written {
    /// Your own name for it, 1–64 characters: the same name with the same content again is the same message.
    #[schema(example = "c-1")]
    client_id: String,
    /// What it says; left out when it says another one again.
    #[serde(default)]
    content: NewContent,
    /// The message that it answers.
    #[serde(default)]
    reply_to: Option<MessageId>,
    /// The message that it says again, in the place of a content of its own.
    #[serde(default)]
    forward: Option<Forward>,
    /// After how many seconds the server deletes it.
    #[serde(default)]
    #[schema(minimum = 5, maximum = 2_592_000)]
    expires_in_s: Option<u32>,
}

/// What a message says from now on: its text and whom it calls. The rest of it stays as it is.
#[derive(Deserialize, ToSchema)]
pub(crate) struct Edited {
    content: NewContent,
}

/// A page of history.
#[derive(Serialize, ToSchema)]
pub(crate) struct MessagePage {
    /// Newest first.
    messages: Vec<Message>,
    /// Ask with this message as `before` (or as `after`, if that was asked) for the page behind; `null`: there is none.
    #[schema(required)]
    next: Option<MessageId>,
}

/// Which page. Name one of `before`, `after` and `around`, or none for the newest.
#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(crate) struct WhichMessages {
    /// Messages just older than this one.
    before: Option<MessageId>,
    /// Messages just newer than this one.
    after: Option<MessageId>,
    /// This message in the middle of others.
    around: Option<MessageId>,
    /// Those alone that belong to the thread that begins with this message.
    thread: Option<MessageId>,
    /// How many, 1 to 100; 50 when not named.
    limit: Option<u32>,
}

/// What a message has said.
#[derive(Serialize, ToSchema)]
pub(crate) struct Versions {
    /// Oldest first; the last is what it says, or said when it was deleted. Of many, the first and the latest are kept.
    versions: Vec<Version>,
}

/// Messages to be taken away.
#[derive(Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Doomed {
    /// 1 to 100 of them.
    #[schema(min_items = 1, max_items = 100)]
    message_ids: Vec<MessageId>,
}

/// Messages that were taken away.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct TakenAway {
    /// Those that were there until now.
    message_ids: Vec<MessageId>,
}

impl WhichMessages {
    fn stretch(&self) -> Result<Stretch, Refusal> {
        match (self.before, self.after, self.around) {
            (None, None, None) => Ok(Stretch::Newest),
            (Some(before), None, None) => Ok(Stretch::Before(before)),
            (None, Some(after), None) => Ok(Stretch::After(after)),
            (None, None, Some(around)) => Ok(Stretch::Around(around)),
            (before, ..) => {
                let field = if before.is_some() { "before" } else { "after" };
                Err(Refusal::bad_request(field, "Name one of `before`, `after` and `around`."))
            }
        }
    }
}

/// Read the history.
#[utoipa::path(get, path = "/rooms/{roomId}/messages", tag = "messages", security(("bearer" = [])),
    params(("roomId" = RoomId, Path), WhichMessages),
    responses((status = 200, body = MessagePage), (status = "default", body = Problem, content_type = "application/problem+json")))]
pub(crate) async fn list(
    State(shared): State<Shared>,
    known: Known,
    Path(room): Path<RoomId>,
    Query(which): Query<WhichMessages>,
) -> Result<Json<MessagePage>, Error> {
    let (limit, stretch) = (which.limit.unwrap_or(PAGE), which.stretch()?);
    let messages = shared.chat.history(known.caller(), room, limit, stretch, which.thread).await?;
    // Who has to wait at the door of a call reads nothing of what is said in it.
    shared.rooms.visit(known.caller(), room).await?;
    let is_full = u32::try_from(messages.len()).is_ok_and(|count| count == limit);
    let last = match stretch {
        Stretch::After(_) => messages.first(),
        _ => messages.last(),
    };
    let next = last.filter(|_| is_full).map(|message| message.id);
    Ok(Json(MessagePage { messages, next }))
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
    let Written { client_id, content, reply_to, forward, expires_in_s } = written;
    if let Some(forward) = forward {
        shared.rooms.visit(known.caller(), forward.room_id).await?;
    }
    let draft = Draft { client_id, content, reply_to, forward, expires_in_s };
    Ok(match shared.chat.send(&seat, draft, None).await? {
        Sent::Fresh(message) => (StatusCode::CREATED, Json(*message)),
        Sent::Again(message) => (StatusCode::OK, Json(*message)),
    })
}

/// Look at one message.
#[utoipa::path(get, path = "/rooms/{roomId}/messages/{messageId}", tag = "messages", security(("bearer" = [])),
    params(("roomId" = RoomId, Path), ("messageId" = MessageId, Path)),
    responses((status = 200, body = Message, headers(("ETag" = String, description = "Its text's."))),
        (status = "default", body = Problem, content_type = "application/problem+json")))]
pub(crate) async fn show(
    State(shared): State<Shared>,
    known: Known,
    Path((room, message)): Path<(RoomId, MessageId)>,
) -> Result<Response, Error> {
    shared.rooms.visit(known.caller(), room).await?;
    Ok(tagged_message(&shared.chat.message(known.caller(), room, message).await?))
}

/// Change a message of yours; with `If-Match`, only while it says what you saw: the `ETag` of that.
#[utoipa::path(patch, path = "/rooms/{roomId}/messages/{messageId}", tag = "messages", security(("bearer" = [])),
    params(("roomId" = RoomId, Path), ("messageId" = MessageId, Path), ("If-Match" = Option<String>, Header)),
    request_body = Edited,
    responses((status = 204, headers(("ETag" = String, description = "Its text's."))), (status = "default", body = Problem, content_type = "application/problem+json")))]
pub(crate) async fn edit(
    State(shared): State<Shared>,
    known: Known,
    Path((room, message)): Path<(RoomId, MessageId)>,
    headers: HeaderMap,
    Body(edited): Body<Edited>,
) -> Result<Response, Error> {
    let seat = shared.rooms.visit(known.caller(), room).await?;
    let now = async || Ok(message_number(&shared.chat.message(known.caller(), room, message).await?));
    let edited = async {
        let seen = seen(&headers, now()).await?.map(changed_at);
        shared.chat.edit(&seat, message, edited.content, seen, None).await
    };
    match edited.await {
        Ok(_) => Ok(with_tag(quoted(now().await?), StatusCode::NO_CONTENT.into_response())),
        Err(Refusal::Outdated) => Ok(outdated(quoted(now().await?))),
        Err(refusal) => Err(refusal.into()),
    }
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

/// Take many messages away, as a moderator. Each is written into the moderation log.
#[utoipa::path(post, path = "/rooms/{roomId}/messages/delete", tag = "messages", security(("bearer" = [])),
    params(("roomId" = RoomId, Path)), request_body = Doomed,
    responses((status = 200, body = TakenAway), (status = "default", body = Problem, content_type = "application/problem+json")))]
pub(crate) async fn delete_many(
    State(shared): State<Shared>,
    known: Known,
    Path(room): Path<RoomId>,
    Body(doomed): Body<Doomed>,
) -> Result<Json<TakenAway>, Error> {
    let seat = shared.rooms.visit(known.caller(), room).await?;
    let message_ids = shared.chat.delete_many(&seat, doomed.message_ids).await?;
    Ok(Json(TakenAway { message_ids }))
}

/// See what a message has said, as a moderator.
#[utoipa::path(get, path = "/rooms/{roomId}/messages/{messageId}/history", tag = "messages", security(("bearer" = [])),
    params(("roomId" = RoomId, Path), ("messageId" = MessageId, Path)),
    responses((status = 200, body = Versions), (status = "default", body = Problem, content_type = "application/problem+json")))]
pub(crate) async fn versions(
    State(shared): State<Shared>,
    known: Known,
    Path((room, message)): Path<(RoomId, MessageId)>,
) -> Result<Json<Versions>, Error> {
    let seat = shared.rooms.visit(known.caller(), room).await?;
    Ok(Json(Versions { versions: shared.chat.versions(&seat, message).await? }))
}
