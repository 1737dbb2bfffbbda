//! Who changes what they saw: `ETag` and `If-Match` (RFC 9110, sections 8.8.3 and 13.1.1).

use axum::Json;
use axum::http::{HeaderMap, HeaderValue, header};
use axum::response::{IntoResponse as _, Response};

use super::error::Error;
use crate::domain::{Message, Refusal, Room, Time};
use crate::proto::ErrorCode;

/// A room with its `ETag`.
pub(super) fn tagged(room: &Room, body: impl serde::Serialize) -> Response {
    with_tag(room_tag(room), Json(body).into_response())
}

/// A message with its `ETag`.
pub(super) fn tagged_message(message: &Message) -> Response {
    with_tag(message_tag(message), Json(message).into_response())
}

/// An answer with that `ETag`.
pub(super) fn with_tag(tag: HeaderValue, mut response: Response) -> Response {
    response.headers_mut().insert(header::ETAG, tag);
    response
}

/// What tells one state of a room from another.
pub(super) fn room_tag(room: &Room) -> HeaderValue {
    quoted(i64::from(room.revision))
}

/// What tells one text of a message from another: when it was changed last, in milliseconds; 0: never.
pub(super) fn message_tag(message: &Message) -> HeaderValue {
    quoted(message.edited_at.map_or(0, Time::as_ms))
}

fn quoted(number: i64) -> HeaderValue {
    HeaderValue::try_from(format!("\"{number}\"")).expect("a number is made of header characters")
}

/// The revision of a room that `If-Match` has to name.
pub(super) fn revision(headers: &HeaderMap) -> Result<u32, Error> {
    if !headers.contains_key(header::IF_MATCH) {
        let why = "Say with If-Match which state of the room you change: its ETag.";
        return Err(Error::new(ErrorCode::PreconditionRequired, why));
    }
    // What is no ETag of ours is that of no revision.
    Ok(number(headers).and_then(|number| u32::try_from(number).ok()).ok_or(Refusal::Outdated)?)
}

/// When the message was changed last whose text `If-Match` names, if it names any.
pub(super) fn seen(headers: &HeaderMap) -> Result<Option<Option<Time>>, Refusal> {
    let any = headers.get(header::IF_MATCH).is_none_or(|tag| tag.as_bytes() == b"*");
    if any {
        return Ok(None);
    }
    let number = number(headers).ok_or(Refusal::Outdated)?;
    Ok(Some((number != 0).then(|| Time::from_ms(number))))
}

fn number(headers: &HeaderMap) -> Option<i64> {
    let tag = headers.get(header::IF_MATCH)?.to_str().ok()?;
    tag.trim().strip_prefix('"')?.strip_suffix('"')?.parse().ok()
}

/// Refuses to change what has changed meanwhile, and says what it is now.
pub(super) fn outdated(now: HeaderValue) -> Response {
    with_tag(now, Error::from(Refusal::Outdated).into_response())
}
