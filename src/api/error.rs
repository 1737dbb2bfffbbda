//! Errors of REST: the one place that turns a code into an HTTP status and a problem document (RFC 9457).

use std::time::Duration;

use axum::Json;
use axum::extract::rejection::{JsonRejection, PathRejection, QueryRejection};
use axum::extract::{FromRequest, FromRequestParts, OptionalFromRequest, Request, rejection};
use axum::http::{HeaderValue, StatusCode, header, request};
use axum::response::{IntoResponse, Response};
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::{Map, Value};
use utoipa::ToSchema;
use uuid::Uuid;

use super::Shared;
use crate::domain::Refusal;
use crate::metrics::REFUSALS;
use crate::proto::{ErrorBody, ErrorCode};

/// What a handler answers when it does not do what was asked.
#[derive(Debug)]
pub(crate) struct Error(ErrorBody);

/// A problem document: the body of every answer that is an error.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Problem {
    /// A name for the kind of problem: `urn:parlor:problem:` and the code.
    #[serde(rename = "type")]
    #[schema(example = "urn:parlor:problem:room_full")]
    kind: String,
    /// The HTTP status in words.
    #[schema(example = "Conflict")]
    title: &'static str,
    /// The HTTP status.
    #[schema(example = 409)]
    status: u16,
    /// What is wrong, as a sentence for people.
    #[schema(example = "This room is full: it has 50 seats.")]
    detail: String,
    /// What is wrong, for programs. A code never changes its meaning.
    code: ErrorCode,
    /// How long to wait, where waiting helps.
    #[serde(skip_serializing_if = "Option::is_none")]
    retry_after_ms: Option<u64>,
    /// Numbers and names that go with the code.
    #[serde(skip_serializing_if = "Map::is_empty")]
    #[schema(value_type = Object, example = json!({"limit": 50}))]
    extra: Map<String, Value>,
}

impl From<Refusal> for Error {
    fn from(refusal: Refusal) -> Self {
        Self(body_of(&refusal))
    }
}

impl Error {
    /// A browser came from a page that is not ours and that the operator did not name.
    pub(crate) fn foreign_origin() -> Self {
        Self(
            ErrorBody::new(ErrorCode::Forbidden, "Pages of this origin may not use this server.")
                .with("action", "origin"),
        )
    }
}

impl Error {
    /// What only HTTP knows of.
    pub(crate) fn new(code: ErrorCode, message: impl Into<String>) -> Self {
        Self(ErrorBody::new(code, message))
    }

    /// Only operators may.
    pub(crate) fn not_an_operator() -> Self {
        Self(ErrorBody::new(ErrorCode::Forbidden, "Only operators may see this.").with("action", "readMetrics"))
    }
}

/// The error that a frame or an answer carries. What went wrong on our side is written to the log alone, and found there by
/// the id that the other side is told.
pub(crate) fn body_of(refusal: &Refusal) -> ErrorBody {
    let body = ErrorBody::from(refusal);
    metrics::counter!(REFUSALS, "code" => name_of(body.code)).increment(1);
    let Refusal::Internal(why) = refusal else { return body };
    let request_id = Uuid::now_v7().to_string();
    tracing::error!(%request_id, why, "a request failed");
    body.with("requestId", request_id)
}

/// A code as the wire spells it.
fn name_of(code: ErrorCode) -> String {
    serde_json::to_value(code).ok().and_then(|name| name.as_str().map(str::to_owned)).unwrap_or_default()
}

/// Which HTTP status a code stands for.
fn status_of(code: ErrorCode) -> StatusCode {
    match code {
        ErrorCode::BadJson | ErrorCode::BadFrame | ErrorCode::UnknownType | ErrorCode::BadRequest => {
            StatusCode::BAD_REQUEST
        }
        ErrorCode::Unauthenticated
        | ErrorCode::TokenInvalid
        | ErrorCode::TokenExpired
        | ErrorCode::TokenReused
        | ErrorCode::BadCredentials => StatusCode::UNAUTHORIZED,
        ErrorCode::Forbidden
        | ErrorCode::Underage
        | ErrorCode::RoomPrivate
        | ErrorCode::Removed
        | ErrorCode::FeatureOff
        | ErrorCode::ThreadLocked
        | ErrorCode::Denied
        | ErrorCode::MfaRequired
        | ErrorCode::ProofRequired
        | ErrorCode::ScopeMissing
        | ErrorCode::Muted
        | ErrorCode::TrustTooLow
        | ErrorCode::AgeUnverified
        | ErrorCode::PinRequired
        | ErrorCode::PinWrong
        | ErrorCode::ApprovalRequired
        | ErrorCode::RequestPending
        | ErrorCode::MutedByHost
        | ErrorCode::DisabledByHost
        | ErrorCode::Banned => StatusCode::FORBIDDEN,
        ErrorCode::NotFound => StatusCode::NOT_FOUND,
        ErrorCode::InviteOver => StatusCode::GONE,
        ErrorCode::GeoBlocked => StatusCode::UNAVAILABLE_FOR_LEGAL_REASONS,
        ErrorCode::RoomFull
        | ErrorCode::RoomLocked
        | ErrorCode::RoomArchived
        | ErrorCode::Waiting
        | ErrorCode::NotInRoom
        | ErrorCode::NotInCall
        | ErrorCode::NotInMatch
        | ErrorCode::TooMany
        | ErrorCode::Conflict
        | ErrorCode::IdempotencyInProgress
        | ErrorCode::UsernameTaken
        | ErrorCode::RecordingConsent => StatusCode::CONFLICT,
        ErrorCode::MessageTooLong
        | ErrorCode::MessageEmpty
        | ErrorCode::PasswordWeak
        | ErrorCode::IdempotencyMismatch
        | ErrorCode::BadSdp
        | ErrorCode::NoIce
        | ErrorCode::NoFingerprint
        | ErrorCode::TooManyMedia
        | ErrorCode::UnsupportedCodecs => StatusCode::UNPROCESSABLE_ENTITY,
        ErrorCode::RateLimited => StatusCode::TOO_MANY_REQUESTS,
        ErrorCode::TooLarge | ErrorCode::QuotaFull => StatusCode::PAYLOAD_TOO_LARGE,
        ErrorCode::MethodNotAllowed => StatusCode::METHOD_NOT_ALLOWED,
        ErrorCode::NotAcceptable => StatusCode::NOT_ACCEPTABLE,
        ErrorCode::UnsupportedMediaType => StatusCode::UNSUPPORTED_MEDIA_TYPE,
        ErrorCode::PreconditionFailed => StatusCode::PRECONDITION_FAILED,
        ErrorCode::PreconditionRequired => StatusCode::PRECONDITION_REQUIRED,
        ErrorCode::CallUnavailable | ErrorCode::Unavailable | ErrorCode::NodeUnavailable => {
            StatusCode::SERVICE_UNAVAILABLE
        }
        ErrorCode::FfmpegMissing => StatusCode::NOT_IMPLEMENTED,
        ErrorCode::DiskFull => StatusCode::INSUFFICIENT_STORAGE,
        ErrorCode::RangeNotSatisfiable => StatusCode::RANGE_NOT_SATISFIABLE,
        ErrorCode::Internal => StatusCode::INTERNAL_SERVER_ERROR,
    }
}

impl IntoResponse for Error {
    fn into_response(self) -> Response {
        let ErrorBody { code, message, retry_after_ms, detail } = self.0;
        let status = status_of(code);
        let problem = Problem {
            kind: format!("urn:parlor:problem:{}", name_of(code)),
            title: status.canonical_reason().unwrap_or("Error"),
            status: status.as_u16(),
            detail: message,
            code,
            retry_after_ms,
            extra: detail,
        };
        let mut response = (status, Json(problem)).into_response();
        response.extensions_mut().insert(code);
        let headers = response.headers_mut();
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/problem+json"));
        headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
        if let Some(wait_ms) = retry_after_ms {
            headers.insert(header::RETRY_AFTER, HeaderValue::from(wait_ms.div_ceil(1000)));
        }
        if status == StatusCode::UNAUTHORIZED {
            headers.insert(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
        }
        response
    }
}

/// A JSON body of that shape; anything else is a problem document rather than axum's plain text.
#[derive(Debug)]
pub(crate) struct Body<T>(pub(crate) T);

impl<T: DeserializeOwned> FromRequest<Shared> for Body<T> {
    type Rejection = Error;

    async fn from_request(request: Request, shared: &Shared) -> Result<Self, Error> {
        let patience = Duration::from_millis(shared.config.http.body_timeout_ms);
        let reading = <Json<T> as FromRequest<Shared>>::from_request(request, shared);
        match tokio::time::timeout(patience, reading).await {
            Ok(Ok(Json(body))) => Ok(Self(body)),
            Ok(Err(rejection)) => Err(unreadable_body(&rejection)),
            Err(_) => Err(Refusal::bad_request("body", "The body of this request came too slowly.").into()),
        }
    }
}

impl<T: DeserializeOwned> OptionalFromRequest<Shared> for Body<T> {
    type Rejection = Error;

    /// No body at all is `None`.
    async fn from_request(request: Request, shared: &Shared) -> Result<Option<Self>, Error> {
        use axum::body::HttpBody as _;
        if request.body().size_hint().exact() == Some(0) || request.body().is_end_stream() {
            return Ok(None);
        }
        <Self as FromRequest<Shared>>::from_request(request, shared).await.map(Some)
    }
}

fn unreadable_body(rejection: &JsonRejection) -> Error {
    let text = rejection.body_text();
    let is_too_large = rejection.status() == StatusCode::PAYLOAD_TOO_LARGE;
    let code = match rejection {
        _ if is_too_large => ErrorCode::TooLarge,
        JsonRejection::JsonDataError(_) | JsonRejection::MissingJsonContentType(_) => ErrorCode::BadRequest,
        _ => ErrorCode::BadJson,
    };
    Error(ErrorBody::new(code, text))
}

/// The ids in a path. What is no id names nothing.
#[derive(Debug)]
pub(crate) struct Path<T>(pub(crate) T);

impl<T: DeserializeOwned + Send, S: Send + Sync> FromRequestParts<S> for Path<T> {
    type Rejection = Error;

    async fn from_request_parts(parts: &mut request::Parts, state: &S) -> Result<Self, Error> {
        let found: Result<axum::extract::Path<T>, PathRejection> =
            axum::extract::Path::from_request_parts(parts, state).await;
        found.map(|axum::extract::Path(ids)| Self(ids)).map_err(|_| Refusal::NotFound.into())
    }
}

/// The query of that shape.
#[derive(Debug)]
pub(crate) struct Query<T>(pub(crate) T);

impl<T: DeserializeOwned, S: Send + Sync> FromRequestParts<S> for Query<T> {
    type Rejection = Error;

    async fn from_request_parts(parts: &mut request::Parts, state: &S) -> Result<Self, Error> {
        let found: Result<axum::extract::Query<T>, QueryRejection> =
            axum::extract::Query::from_request_parts(parts, state).await;
        let bad = |why: rejection::QueryRejection| Error(ErrorBody::new(ErrorCode::BadRequest, why.body_text()));
        found.map(|axum::extract::Query(query)| Self(query)).map_err(bad)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_code_has_its_status() {
        use ErrorCode as C;
        let codes = [
            C::BadJson,
            C::BadFrame,
            C::UnknownType,
            C::BadRequest,
            C::Unauthenticated,
            C::TokenInvalid,
            C::TokenExpired,
            C::TokenReused,
            C::BadCredentials,
            C::UsernameTaken,
            C::PasswordWeak,
            C::MfaRequired,
            C::ProofRequired,
            C::Forbidden,
            C::ScopeMissing,
            C::Muted,
            C::TrustTooLow,
            C::AgeUnverified,
            C::RoomArchived,
            C::PinRequired,
            C::PinWrong,
            C::ApprovalRequired,
            C::InviteOver,
            C::NotFound,
            C::Underage,
            C::GeoBlocked,
            C::RoomFull,
            C::RoomLocked,
            C::Waiting,
            C::Denied,
            C::MutedByHost,
            C::DisabledByHost,
            C::RoomPrivate,
            C::Removed,
            C::NotInRoom,
            C::NotInCall,
            C::NotInMatch,
            C::MessageTooLong,
            C::MessageEmpty,
            C::RequestPending,
            C::Conflict,
            C::IdempotencyMismatch,
            C::IdempotencyInProgress,
            C::RateLimited,
            C::TooLarge,
            C::MethodNotAllowed,
            C::NotAcceptable,
            C::UnsupportedMediaType,
            C::PreconditionFailed,
            C::PreconditionRequired,
            C::BadSdp,
            C::NoIce,
            C::NoFingerprint,
            C::TooManyMedia,
            C::UnsupportedCodecs,
            C::CallUnavailable,
            C::RecordingConsent,
            C::Banned,
            C::FeatureOff,
            C::QuotaFull,
            C::DiskFull,
            C::FfmpegMissing,
            C::Unavailable,
            C::NodeUnavailable,
            C::RangeNotSatisfiable,
            C::Internal,
        ];
        let line = |code: &ErrorCode| format!("{} {}", status_of(*code).as_u16(), name_of(*code));
        insta::assert_snapshot!(codes.iter().map(line).collect::<Vec<_>>().join("\n"));
    }

    #[tokio::test]
    async fn a_problem_document_says_it_to_people_and_to_programs() {
        let refusal = Refusal::RateLimited { limit: "message", retry_after_ms: 2_500 };
        let response = Error::from(refusal).into_response();
        assert_eq!(response.headers()[header::RETRY_AFTER], "3");
        let body = axum::body::to_bytes(response.into_body(), 10_000).await.unwrap();
        insta::assert_snapshot!(String::from_utf8_lossy(&body));
    }

    #[tokio::test]
    async fn every_limit_says_which_it_is_and_how_long_to_wait() {
        use crate::domain::UserId;
        use crate::limit::{Limits, tests::RULES};
        use crate::proto::ServerFrame;
        let (limits, address) = (Limits::new(crate::limit::Config::default()), "192.0.2.1".parse().unwrap());
        for rule in RULES {
            let user = UserId::new();
            let refusal =
                (0..10_000).find_map(|_| limits.check_person(rule, user, address).err()).expect("it has an end");
            let frame = serde_json::to_value(ServerFrame::error(None, body_of(&refusal))).unwrap();
            let response = Error::from(refusal).into_response();
            assert_eq!(response.status(), StatusCode::TOO_MANY_REQUESTS, "{rule:?}");
            let wait_s: u64 = response.headers()[header::RETRY_AFTER].to_str().unwrap().parse().unwrap();
            let body = axum::body::to_bytes(response.into_body(), 10_000).await.unwrap();
            let problem: Value = serde_json::from_slice(&body).unwrap();
            assert_eq!(
                (&problem["code"], &problem["extra"]["limit"]),
                (&Value::from("rate_limited"), &Value::from(rule.name()))
            );
            let wait_ms = problem["retryAfterMs"].as_u64().unwrap();
            assert!(wait_ms > 0 && wait_s == wait_ms.div_ceil(1000), "{rule:?}: {problem}");
            let told = &frame["data"];
            assert_eq!(
                (&told["code"], &told["detail"]["limit"], &told["retryAfterMs"]),
                (&problem["code"], &problem["extra"]["limit"], &problem["retryAfterMs"]),
                "the socket says the same"
            );
        }
    }

    #[tokio::test]
    async fn what_went_wrong_inside_is_not_told() {
        let response = Error::from(Refusal::Internal("disk on fire".to_owned())).into_response();
        let body = axum::body::to_bytes(response.into_body(), 10_000).await.unwrap();
        let problem: Value = serde_json::from_slice(&body).unwrap();
        assert_eq!(problem["detail"], "Something went wrong on our side.");
        assert!(problem["extra"]["requestId"].is_string() && !problem.to_string().contains("fire"));
    }
}
