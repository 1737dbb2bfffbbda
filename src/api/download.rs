//! Files, whole or in part: ranges and conditions of RFC 9110. Those of recordings.

use std::ops::Range;

use axum::body::Body;
use axum::extract::{FromRequestParts as _, Request, State};
use axum::http::header::{
    ACCEPT_RANGES, CACHE_CONTROL, CONTENT_DISPOSITION, CONTENT_LENGTH, CONTENT_RANGE, CONTENT_TYPE, ETAG,
    IF_NONE_MATCH, IF_RANGE, RANGE,
};
use axum::http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode};
use axum::response::{IntoResponse as _, Response};

use super::Shared;
use super::access::Known;
use super::client::Client;
use super::error::{Error, Path, Problem, Query};
use crate::domain::{FileId, RecordingId, Refusal};
use crate::limit::Rule;
use crate::recording::Link;

/// The longest Range header that is read. One range has two numbers of up to 20 digits.
const RANGE_LIMIT: usize = 256;

/// Fetch a file, whole or in part. With a token, or by a link of `…/link`.
#[utoipa::path(get, path = "/recordings/{recordingId}/files/{fileId}", tag = "recordings", security(("bearer" = []), ()),
    params(("recordingId" = RecordingId, Path), ("fileId" = FileId, Path),
        ("Range" = Option<String>, Header, description = "`bytes=…`, one range (RFC 9110, section 14.2)"),
        ("If-Range" = Option<String>, Header, description = "The part is wanted of this ETag's file only; otherwise the whole")),
    responses((status = 200, content_type = "video/webm"), (status = 206, content_type = "video/webm"), (status = 304),
        (status = "default", body = Problem, content_type = "application/problem+json")))]
pub(crate) async fn file(
    State(shared): State<Shared>,
    Path((recording, file)): Path<(RecordingId, FileId)>,
    request: Request,
) -> Result<Response, Error> {
    let (mut parts, _) = request.into_parts();
    let link = Query::<Link>::from_request_parts(&mut parts, &shared).await;
    let Ok(client) = Client::from_request_parts(&mut parts, &shared).await;
    let found = match link {
        Ok(Query(link)) => {
            shared.limits.check_address(Rule::Request, client.address)?;
            shared.recordings.linked(recording, file, &link).await?
        }
        Err(_) => {
            let known = Known::of(&parts, &client, &shared).await?;
            shared.recordings.file(known.caller(), recording, file).await?
        }
    };
    let served = Served {
        size_bytes: found.size_bytes,
        tag: found.sha256.clone(),
        media_type: found.file.container.media_type().to_owned(),
        disposition: format!("attachment; filename=\"{}\"", found.name),
    };
    let read = |range| async { Ok(Body::from_stream(shared.recordings.read(&found, range).await?)) };
    respond(&parts.method, &parts.headers, &served, read).await
}

/// A file as it is handed out.
pub(super) struct Served {
    /// Its size.
    pub(super) size_bytes: u64,
    /// What tells it from any other, in characters that an ETag may have.
    pub(super) tag: String,
    /// Its media type.
    pub(super) media_type: String,
    /// What a browser is to do with it, and by which name.
    pub(super) disposition: String,
}

/// Answers with a file, or the part of it that is wanted.
pub(super) async fn respond<F, R>(
    method: &Method,
    asked: &HeaderMap,
    served: &Served,
    read: F,
) -> Result<Response, Error>
where
    F: FnOnce(Range<u64>) -> R,
    R: Future<Output = Result<Body, Refusal>>,
{
    let tag = format!("\"{}\"", served.tag);
    if has_tag(asked, IF_NONE_MATCH, &tag) {
        return Ok((StatusCode::NOT_MODIFIED, headers(served, &tag)).into_response());
    }
    // Ranges are defined for GET alone, and a part only of the file that the client has the rest of.
    let is_same_file = asked.get(IF_RANGE).is_none_or(|had| had.as_bytes() == tag.as_bytes());
    let wanted = match asked.get(RANGE).filter(|_| method == Method::GET && is_same_file) {
        Some(range) => range_of(range, served.size_bytes),
        None => Wanted::Whole,
    };
    let (status, range) = match wanted {
        Wanted::Whole => (StatusCode::OK, 0..served.size_bytes),
        Wanted::Part(range) => (StatusCode::PARTIAL_CONTENT, range),
        Wanted::Nothing => return Ok(unsatisfiable(served.size_bytes)),
    };
    let body = if method == Method::HEAD { Body::empty() } else { read(range.clone()).await? };
    let mut response = Response::new(body);
    *response.status_mut() = status;
    response.headers_mut().extend(headers(served, &tag));
    response.headers_mut().insert(CONTENT_LENGTH, HeaderValue::from(range.end - range.start));
    if status == StatusCode::PARTIAL_CONTENT {
        let place = format!("bytes {}-{}/{}", range.start, range.end - 1, served.size_bytes);
        response.headers_mut().insert(CONTENT_RANGE, value(place));
    }
    Ok(response)
}

fn headers(served: &Served, tag: &str) -> HeaderMap {
    let all: [(HeaderName, HeaderValue); 5] = [
        (CONTENT_TYPE, value(served.media_type.clone())),
        (CONTENT_DISPOSITION, value(served.disposition.clone())),
        (ETAG, value(tag.to_owned())),
        (ACCEPT_RANGES, HeaderValue::from_static("bytes")),
        // Whoever is deleted or put out is to find nothing in a cache; the tag makes asking again cheap.
        (CACHE_CONTROL, HeaderValue::from_static("private, no-cache")),
    ];
    all.into_iter().collect()
}

fn value(text: String) -> HeaderValue {
    HeaderValue::try_from(text).expect("it is made of digits, letters and punctuation of ours")
}

/// None of the ranges is in the file (RFC 9110, section 15.5.17).
fn unsatisfiable(size_bytes: u64) -> Response {
    let mut response = Error::from(Refusal::RangeNotSatisfiable { size_bytes }).into_response();
    response.headers_mut().insert(CONTENT_RANGE, value(format!("bytes */{size_bytes}")));
    response
}

/// Whether a list of tags names this one, or any (`*`). The weak comparison of RFC 9110, section 8.8.3.2, is the same here: our
/// tags are strong.
fn has_tag(asked: &HeaderMap, name: HeaderName, tag: &str) -> bool {
    let lists = asked.get_all(name);
    let mut named = lists.iter().filter_map(|list| list.to_str().ok()).flat_map(|list| list.split(','));
    named.any(|named| matches!(named.trim(), "*") || named.trim().trim_start_matches("W/") == tag)
}

/// What of a file is wanted.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Wanted {
    Whole,
    /// From here to before there; at least one byte, all within the file.
    Part(Range<u64>),
    /// A range that can be read and lies outside of the file.
    Nothing,
}

/// Reads a Range header (RFC 9110, section 14.2). What is not understood is as if it were not there, and so is a list of ranges: the
/// whole file is a right answer to it, and cheaper than parts of parts.
fn range_of(header: &HeaderValue, size: u64) -> Wanted {
    let read = || {
        let text = header.to_str().ok().filter(|text| text.len() <= RANGE_LIMIT)?;
        let (unit, set) = text.split_once('=')?;
        if !unit.eq_ignore_ascii_case("bytes") {
            return None;
        }
        let (first, last) = set.trim_matches([' ', '\t']).split_once('-')?;
        match (first, last) {
            ("", length) => Some(part(size.saturating_sub(number(length)?)..size, size)),
            (first, "") => Some(part(number(first)?..size, size)),
            (first, last) => {
                let (first, last) = (number(first)?, number(last)?);
                // The wrong way round is no range at all.
                (first <= last).then(|| part(first..last.saturating_add(1).min(size), size))
            }
        }
    };
    read().unwrap_or(Wanted::Whole)
}

fn part(range: Range<u64>, size: u64) -> Wanted {
    if range.start < size && !range.is_empty() { Wanted::Part(range) } else { Wanted::Nothing }
}

/// Digits and nothing else; more than a number holds is the largest.
fn number(digits: &str) -> Option<u64> {
    let plain = !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit());
    plain.then(|| digits.parse().unwrap_or(u64::MAX))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn wanted(header: &str) -> Wanted {
        range_of(&HeaderValue::from_str(header).unwrap(), 1_000)
    }

    #[test]
    fn ranges_are_read_as_the_standard_says() {
        use Wanted::{Nothing, Part, Whole};
        let huge = u128::MAX;
        for (header, part) in [
            ("bytes=0-0", Part(0..1)),
            ("bytes=0-", Part(0..1_000)),
            ("bytes=500-599", Part(500..600)),
            ("BYTES=999-999", Part(999..1_000)),
            ("bytes=500-5000", Part(500..1_000)),
            ("bytes=-1", Part(999..1_000)),
            ("bytes=-1000", Part(0..1_000)),
            ("bytes=-5000", Part(0..1_000)),
            ("bytes= 1-2 ", Part(1..3)),
            (&format!("bytes=0-{huge}"), Part(0..1_000)),
            (&format!("bytes=-{huge}"), Part(0..1_000)),
            ("bytes=1000-", Nothing),
            ("bytes=1000-1001", Nothing),
            ("bytes=-0", Nothing),
            (&format!("bytes={huge}-"), Nothing),
            ("", Whole),
            ("bytes", Whole),
            ("bytes=", Whole),
            ("bytes=-", Whole),
            ("bytes=5-4", Whole),
            ("bytes=a-b", Whole),
            ("bytes=0x1-2", Whole),
            ("bytes=+1-2", Whole),
            ("bytes=1 - 2", Whole),
            ("bytes=1--2", Whole),
            ("bytes=--1", Whole),
            ("bytes=0-1,5-6", Whole),
            ("bytes=0-,", Whole),
            ("lines=0-1", Whole),
            ("0-1", Whole),
            (&format!("bytes=0-1{}", " ".repeat(300)), Whole),
        ] {
            assert_eq!(wanted(header), part, "{header}");
        }
        assert_eq!(range_of(&HeaderValue::from_bytes(b"bytes=\xff-1").unwrap(), 1_000), Whole);
        assert_eq!(range_of(&HeaderValue::from_static("bytes=0-"), 0), Nothing);
    }
}
