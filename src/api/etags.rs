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
    quoted(message_number(message))
}

/// The number of that.
pub(super) fn message_number(message: &Message) -> i64 {
    message.edited_at.map_or(0, Time::as_ms)
}

/// The ETag of that number.
pub(super) fn quoted(number: i64) -> HeaderValue {
    HeaderValue::try_from(format!("\"{number}\"")).expect("a number is made of header characters")
}

/// What `If-Match` asks for.
#[derive(Debug, PartialEq, Eq)]
enum Wanted {
    /// It is not there.
    Nothing,
    /// `*`: whatever it is now, so long as it is.
    Anything,
    /// One of these. Weak ETags are never the same as another (RFC 9110, section 8.8.3.2), and what is none of ours names nothing.
    OneOf(Vec<i64>),
}

fn wanted(headers: &HeaderMap) -> Wanted {
    if !headers.contains_key(header::IF_MATCH) {
        return Wanted::Nothing;
    }
    let lines = headers.get_all(header::IF_MATCH).iter().filter_map(|line| line.to_str().ok());
    // Ours are numbers: a comma within quotes makes two that are none of ours.
    let tags: Vec<&str> = lines.flat_map(|line| line.split(',')).map(str::trim).collect();
    if tags == ["*"] {
        return Wanted::Anything;
    }
    let number = |tag: &&str| tag.strip_prefix('"')?.strip_suffix('"')?.parse().ok();
    Wanted::OneOf(tags.iter().filter_map(number).collect())
}

/// The number that `If-Match` wants something to have; `None`: it may have any. `now` says which it has, where that has to be known.
///
/// # Errors
/// `precondition_failed`; what `now` refuses.
pub(super) async fn seen(
    headers: &HeaderMap,
    now: impl Future<Output = Result<i64, Refusal>>,
) -> Result<Option<i64>, Refusal> {
    match wanted(headers) {
        Wanted::Nothing | Wanted::Anything => Ok(None),
        Wanted::OneOf(numbers) => match numbers[..] {
            [] => Err(Refusal::Outdated),
            [number] => Ok(Some(number)),
            _ => match now.await? {
                number if numbers.contains(&number) => Ok(Some(number)),
                _ => Err(Refusal::Outdated),
            },
        },
    }
}

/// Refuses a change that does not say with `If-Match` of what.
///
/// # Errors
/// `precondition_required`.
pub(super) fn demand(headers: &HeaderMap) -> Result<(), Error> {
    if wanted(headers) == Wanted::Nothing {
        let why = "Say with If-Match which state of this you change: its ETag.";
        return Err(Error::new(ErrorCode::PreconditionRequired, why));
    }
    Ok(())
}

/// When a message was changed last whose ETag has that number; `None`: it never was.
pub(super) fn changed_at(number: i64) -> Option<Time> {
    (number != 0).then(|| Time::from_ms(number))
}

/// Refuses to change what has changed meanwhile, and says what it is now.
pub(super) fn outdated(now: HeaderValue) -> Response {
    with_tag(now, Error::from(Refusal::Outdated).into_response())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(lines: &[&str]) -> HeaderMap {
        let lines = lines.iter().map(|line| (header::IF_MATCH, HeaderValue::from_bytes(line.as_bytes()).unwrap()));
        let mut headers = HeaderMap::new();
        for (name, line) in lines {
            headers.append(name, line);
        }
        headers
    }

    #[test]
    fn tags_are_read_as_the_rfc_has_them() {
        let of = |lines: &[&str]| wanted(&headers(lines));
        assert_eq!(of(&[]), Wanted::Nothing);
        assert_eq!(of(&["*"]), Wanted::Anything);
        assert_eq!(of(&[" \"7\" "]), Wanted::OneOf(vec![7]));
        assert_eq!(of(&["\"7\", \"8\",,W/\"9\"", "\"10\""]), Wanted::OneOf(vec![7, 8, 10]));
        for none in ["W/\"7\"", "7", "\"7", "", "\"x\"", "\"*\"", "*, *", "\"99999999999999999999\"", "é"] {
            assert_eq!(of(&[none]), Wanted::OneOf(vec![]), "{none}");
        }
    }

    #[tokio::test]
    async fn what_is_now_is_looked_at_where_it_has_to_be() {
        let seen = async |lines: &[&str]| seen(&headers(lines), async { Ok(8) }).await;
        assert_eq!((seen(&[]).await, seen(&["*"]).await), (Ok(None), Ok(None)));
        assert_eq!(seen(&["\"7\""]).await, Ok(Some(7)), "whether that is so is seen when it is changed");
        assert_eq!(seen(&["\"7\", \"8\""]).await, Ok(Some(8)));
        assert_eq!(seen(&["\"7\", \"9\""]).await, Err(Refusal::Outdated));
        assert_eq!(seen(&["W/\"8\""]).await, Err(Refusal::Outdated));
        assert!(demand(&headers(&[])).is_err() && demand(&headers(&["*"])).is_ok());
    }
}
