//! Creating once, however often the request arrives: the header `Idempotency-Key` (draft-ietf-httpapi-idempotency-key-header-07).

use std::collections::HashSet;
use std::sync::Arc;
use std::time::Duration;

use axum::body::{Body, Bytes, to_bytes};
use axum::extract::{MatchedPath, Request, State};
use axum::http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, header, request};
use axum::middleware::Next;
use axum::response::{IntoResponse as _, Response};
use serde::{Deserialize, Serialize};
use utoipa::openapi::OpenApi as Document;

use super::client::Client;
use super::error::Error;
use super::{MAX_BODY, Shared, access, scopes, tus};
use crate::auth::{Begun, Once};
use crate::domain::Refusal;
use crate::proto::ErrorCode;

/// What names a request.
pub(super) const KEY: HeaderName = HeaderName::from_static("idempotency-key");
/// What an answer carries that was given before.
pub(super) const REPLAYED: HeaderName = HeaderName::from_static("idempotent-replayed");
/// The longest answer that is kept, in bytes; what is made is seldom a tenth of it.
const MAX_ANSWER: usize = 256 * 1024;
/// What makes a request what it is, beside its method, path, query and body.
const TELLING: [HeaderName; 3] = [header::CONTENT_TYPE, tus::UPLOAD_LENGTH, tus::UPLOAD_METADATA];
/// Headers of an answer that say something about what was made.
const KEPT: [HeaderName; 6] = [
    header::CONTENT_TYPE,
    header::LOCATION,
    header::ETAG,
    header::CACHE_CONTROL,
    tus::UPLOAD_OFFSET,
    tus::UPLOAD_EXPIRES,
];
/// Messages have names of their own, `clientId`, by which the same is never written twice. Their answers are not kept: what rooms say
/// that keep nothing must not reach the disk this way.
const MESSAGES: &str = "/rooms/{roomId}/messages";
/// What answers 201 and is done once by itself: nobody is known yet, or what came along works once.
pub(super) const BY_ITSELF: &[&str] = &[
    "/auth/anonymous",
    "/auth/register",
    "/auth/ticket",
    "/auth/passkeys",
    "/rooms/{roomId}/whip",
    "/rooms/{roomId}/whep",
];

/// The routes that make something.
#[derive(Clone, Debug)]
pub(super) struct Creates(Arc<HashSet<String>>);

impl Creates {
    /// Those that the description has the header for.
    pub(super) fn of(document: &Document) -> Self {
        let makes = |path: &str, item: &utoipa::openapi::PathItem| {
            item.post.as_ref().is_some_and(|post| super::answers::makes_something(path, post))
        };
        let paths = document.paths.paths.iter().filter(|(path, item)| makes(path, item));
        Self(Arc::new(paths.map(|(path, _)| path.trim_start_matches("/api/v1").to_owned()).collect()))
    }

    /// Whether that request makes something; the route without its version.
    fn route(&self, request: &Request) -> Option<String> {
        let path = request.extensions().get::<MatchedPath>()?.as_str();
        let route = path.strip_prefix("/api/v1").or_else(|| path.strip_prefix("/api"))?;
        (request.method() == Method::POST && self.0.contains(route)).then(|| route.to_owned())
    }
}

/// An answer, to be given again.
#[derive(Serialize, Deserialize)]
struct Kept {
    status: u16,
    headers: Vec<(String, String)>,
    /// `None`: what does it again answers the same.
    body: Option<String>,
}

/// Does what is asked under a name once. Whatever has none goes its way.
pub(super) async fn once(
    State((shared, creates)): State<(Shared, Creates)>,
    request: Request,
    next: Next,
) -> Result<Response, Error> {
    let Some(route) = creates.route(&request) else { return Ok(next.run(request).await) };
    let Some(name) = name_of(request.headers())? else { return Ok(next.run(request).await) };
    let (parts, body) = request.into_parts();
    let client = parts.extensions.get::<Client>().cloned().unwrap_or_else(|| Client::of(&parts, &shared.config));
    let Some(token) = access::bearer(&parts) else {
        return Ok(next.run(Request::from_parts(parts, body)).await);
    };
    let known = access::verify(token, &client, &shared).await?;
    scopes::permit(&parts, &known)?;
    let user = known.caller.user.id;
    let body = whole(body, Duration::from_millis(shared.config.http.body_timeout_ms)).await?;
    let asked = asked(&parts, &route, &body);
    let asked: Vec<&[u8]> = asked.iter().map(Vec::as_slice).collect();
    let request = Request::from_parts(parts, Body::from(body));
    match shared.auth.begin_once(user, &name, &asked).await? {
        Begun::Again(answer) => again(&answer, request, next).await,
        // To its end, even if whoever asked does not wait for it: they ask again, and are answered then.
        Begun::First(begun) => {
            let doing = tokio::spawn(async move { first(&shared, *begun, &route, next.run(request).await).await });
            doing.await.unwrap_or_else(|ended| match ended.try_into_panic() {
                Ok(panic) => std::panic::resume_unwind(panic),
                Err(_) => Err(Refusal::Internal("a request was given up".to_owned()).into()),
            })
        }
    }
}

/// The name in the header: a string as RFC 9651, section 3.3.3, writes it, or without its quotes.
fn name_of(headers: &HeaderMap) -> Result<Option<String>, Error> {
    let Some(value) = headers.get(KEY) else { return Ok(None) };
    let bad = || Refusal::bad_request("Idempotency-Key", "A request's name has 1 to 255 visible ASCII characters.");
    let name = value.to_str().map_err(|_| bad())?.trim();
    let quoted = name.strip_prefix('"').and_then(|name| name.strip_suffix('"'));
    Ok(Some(quoted.unwrap_or(name).to_owned()))
}

async fn whole(body: Body, patience: Duration) -> Result<Bytes, Error> {
    match tokio::time::timeout(patience, to_bytes(body, MAX_BODY)).await {
        Ok(Ok(body)) => Ok(body),
        Ok(Err(_)) => {
            let why = format!(
                "Under an Idempotency-Key a body has up to {MAX_BODY} bytes. Create a larger upload first, and send its bytes then."
            );
            Err(Error::new(ErrorCode::TooLarge, why))
        }
        Err(_) => Err(Refusal::bad_request("body", "The body of this request came too slowly.").into()),
    }
}

/// All that makes a request what it is.
fn asked(parts: &request::Parts, route: &str, body: &Bytes) -> Vec<Vec<u8>> {
    let path = parts.uri.path();
    let path = path.strip_prefix("/api/v1").or_else(|| path.strip_prefix("/api")).unwrap_or(path);
    let mut asked = vec![route.as_bytes().to_vec(), path.as_bytes().to_vec()];
    asked.push(parts.uri.query().unwrap_or_default().as_bytes().to_vec());
    let value = |name: HeaderName| parts.headers.get(name).map(HeaderValue::as_bytes).unwrap_or_default();
    // Up to its parameters: a form's boundary is new with every form.
    asked.extend(
        TELLING.into_iter().map(|name| value(name).split(|byte| *byte == b';').next().unwrap_or_default().to_vec()),
    );
    match boundary_of(value(header::CONTENT_TYPE)) {
        Some(boundary) => asked.extend(parts_between(body, &boundary)),
        None => asked.push(body.to_vec()),
    }
    asked
}

fn boundary_of(media_type: &[u8]) -> Option<Vec<u8>> {
    let media_type = std::str::from_utf8(media_type).ok()?;
    multer::parse_boundary(media_type).ok().map(String::into_bytes).filter(|boundary| !boundary.is_empty())
}

fn parts_between(body: &[u8], boundary: &[u8]) -> Vec<Vec<u8>> {
    let (mut found, mut begin, mut at) = (Vec::new(), 0, 0);
    while at + boundary.len() <= body.len() {
        if body[at..].starts_with(boundary) {
            found.push(body[begin..at].to_vec());
            at += boundary.len();
            begin = at;
        } else {
            at += 1;
        }
    }
    found.push(body[begin..].to_vec());
    found
}

/// Keeps what was answered. What was refused may be asked again.
async fn first(shared: &Shared, begun: Once, route: &str, response: Response) -> Result<Response, Error> {
    if !response.status().is_success() {
        shared.auth.forget_once(&begun).await?;
        return Ok(response);
    }
    let (parts, body) = response.into_parts();
    let body = to_bytes(body, MAX_ANSWER).await.map_err(|_| Refusal::Internal("an answer is too long".to_owned()))?;
    let headers = KEPT.into_iter().filter_map(|name| {
        let value = parts.headers.get(&name)?.to_str().ok()?;
        Some((name.as_str().to_owned(), value.to_owned()))
    });
    let text = (route != MESSAGES).then(|| String::from_utf8_lossy(&body).into_owned());
    let kept = Kept { status: parts.status.as_u16(), headers: headers.collect(), body: text };
    let kept = serde_json::to_vec(&kept).map_err(|error| Refusal::Internal(error.to_string()))?;
    if let Err(refusal) = shared.auth.finish_once(&begun, &kept).await {
        // It is done: whoever asks again within two minutes is told to wait, and no more can be said.
        tracing::error!(%refusal, "what a request was answered could not be kept");
    }
    Ok(Response::from_parts(parts, Body::from(body)))
}

async fn again(answer: &[u8], request: Request, next: Next) -> Result<Response, Error> {
    let kept: Kept = serde_json::from_slice(answer).map_err(|error| Refusal::Internal(error.to_string()))?;
    let status = StatusCode::from_u16(kept.status).unwrap_or(StatusCode::OK);
    let mut response = match kept.body {
        Some(body) => body.into_response(),
        None => next.run(request).await,
    };
    if !response.status().is_success() {
        // What was done is no more, or is not theirs to see any more: nothing is told of it.
        return Ok(response);
    }
    *response.status_mut() = status;
    for (name, value) in kept.headers {
        if let (Ok(name), Ok(value)) = (HeaderName::try_from(name), HeaderValue::try_from(value)) {
            response.headers_mut().insert(name, value);
        }
    }
    response.headers_mut().insert(REPLAYED, HeaderValue::from_static("true"));
    Ok(response)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_form_is_the_same_with_another_boundary() {
        let form = |boundary: &str, text: &str| {
            let body = format!("--{boundary}\r\nContent-Disposition: form-data\r\n\r\n{text}\r\n--{boundary}--\r\n");
            let media_type = format!("multipart/form-data; boundary={boundary}");
            let request = Request::post("/api/v1/uploads").header(header::CONTENT_TYPE, media_type);
            let (parts, ()) = request.body(()).unwrap().into_parts();
            asked(&parts, "/uploads", &Bytes::from(body))
        };
        assert_eq!(form("a1", "hello"), form("b23", "hello"));
        assert_ne!(form("a1", "hello"), form("a1", "hullo"));
    }

    #[test]
    fn what_is_done_once_by_itself_is_there() {
        let (_, document) = super::super::openapi::router();
        let creates = Creates::of(&document);
        for route in ["/rooms", MESSAGES, "/rooms/{roomId}/invites", "/rooms/{roomId}/stream-keys", "/reports", "/dms"]
        {
            assert!(creates.0.contains(route), "{route} makes something");
        }
        for route in BY_ITSELF {
            assert!(document.paths.paths.contains_key(&format!("/api/v1{route}")), "{route}");
            assert!(!creates.0.contains(*route), "{route}");
        }
    }

    #[test]
    fn names_have_quotes_or_none() {
        let name = |value: &str| name_of(&HeaderMap::from_iter([(KEY, value.parse().unwrap())])).unwrap().unwrap();
        assert_eq!((name("\"k-1\"").as_str(), name(" k-1 ").as_str(), name("\"").as_str()), ("k-1", "k-1", "\""));
        assert!(name_of(&HeaderMap::new()).unwrap().is_none());
    }
}
