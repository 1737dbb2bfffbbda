//! Uploads: `/api/v1/uploads`, by tus 1.0 or as one form.

use std::time::Duration;

use axum::Json;
use axum::body::Body;
use axum::extract::{FromRequestParts as _, Request, State};
use axum::http::request::Parts;
use axum::http::{HeaderMap, HeaderValue, Method, StatusCode, header};
use axum::response::{IntoResponse, Response};
use futures_util::{StreamExt as _, TryStreamExt as _};
use serde::Serialize;
use tokio::time::Instant;
use utoipa::ToSchema;

use super::Shared;
use super::access::{Known, bearer, verify};
use super::client::Client;
use super::error::{Error, Path, Problem};
use super::form::{self, AtFile, FORM_BYTES};
use super::scopes;
use super::tus;
use crate::attachments::{Arriving, Broken, Progress, Wanted};
use crate::domain::attachment::Attachment;
use crate::domain::{Caller, FileId, Refusal, Time};
use crate::limit::Rule;
use crate::proto::ErrorCode;

/// How long a request that carries a file may take; how long it may be silent is a setting.
const PATIENCE: Duration = Duration::from_secs(3_600);
/// The field of a form that has the file.
const FIELD: &str = "file";

/// A file whose upload goes on, or is finished.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Upload {
    #[serde(flatten)]
    file: Attachment,
    /// How much of it has arrived, in bytes.
    received_bytes: u64,
    /// When it goes, unless a message takes it.
    expires_at: Time,
}

/// A form with a file.
#[derive(ToSchema)]
#[expect(dead_code, reason = "it describes the body; the body is read as it arrives")]
pub(crate) struct Form {
    /// The file, with its name.
    #[schema(value_type = String, format = Binary)]
    file: Vec<u8>,
}

impl From<Progress> for Upload {
    fn from(progress: Progress) -> Self {
        let Progress { attachment: file, received_bytes, expires_at } = progress;
        Self { file, received_bytes, expires_at }
    }
}

/// Upload a file: all of it as a form, or, with `Upload-Length`, in parts that may break off (tus 1.0).
#[utoipa::path(post, path = "/uploads", tag = "files", security(("bearer" = [])),
    params(("Tus-Resumable" = Option<String>, Header, description = "`1.0.0`, for an upload in parts"),
        ("Upload-Length" = Option<u64>, Header, description = "The file's size in bytes, for an upload in parts"),
        ("Upload-Metadata" = Option<String>, Header, description = "`filename` and `filetype`, their values in base64")),
    request_body(content((Form = "multipart/form-data"), (Vec<u8> = "application/offset+octet-stream"))),
    responses((status = 201, body = Upload, headers(("Location" = String, description = "The upload"),
            ("Upload-Offset" = u64, description = "How much has arrived"), ("Upload-Expires" = String, description = "When it goes"))),
        (status = "default", body = Problem, content_type = "application/problem+json")))]
pub(crate) async fn create(State(shared): State<Shared>, known: Known, request: Request) -> Response {
    let is_tus = request.headers().contains_key(tus::RESUMABLE) || request.headers().contains_key(tus::UPLOAD_LENGTH);
    let made = if is_tus {
        create_in_parts(&shared, known.caller(), request).await
    } else {
        create_of_form(&shared, known.caller(), request).await
    };
    answer(made.map(|progress| {
        let location = format!("/api/v1/uploads/{}", progress.attachment.file_id);
        let mut headers = HeaderMap::new();
        tus::say_progress(&mut headers, progress.received_bytes, Some(progress.expires_at));
        if let Ok(location) = HeaderValue::try_from(location) {
            headers.insert(header::LOCATION, location);
        }
        (StatusCode::CREATED, headers, Json(Upload::from(progress))).into_response()
    }))
}

async fn create_in_parts(shared: &Shared, caller: &Caller, request: Request) -> Result<Progress, Error> {
    let (parts, body) = request.into_parts();
    let headers = &parts.headers;
    tus::check_version(headers)?;
    let size = tus::number(headers, &tus::UPLOAD_LENGTH, "Upload-Length")?;
    let size =
        size.ok_or_else(|| Refusal::bad_request("Upload-Length", "Say the file's size when the upload begins."))?;
    let wanted = Wanted {
        name: tus::metadata(headers, &["filename", "name"]).unwrap_or_default(),
        media_type: tus::metadata(headers, &["filetype", "type"]),
        size_bytes: Some(size),
    };
    let made = shared.attachments.create(caller, &wanted).await?;
    if headers.get(header::CONTENT_TYPE).is_none_or(|it| it != tus::PART) {
        return Ok(made);
    }
    Ok(shared.attachments.append(caller, made.attachment.file_id, 0, arriving(body)).await?)
}

async fn create_of_form(shared: &Shared, caller: &Caller, request: Request) -> Result<Progress, Error> {
    // Nothing is read for those who may send nothing.
    shared.attachments.may_upload(caller).await?;
    let (parts, body) = request.into_parts();
    let kind = parts.headers.get(header::CONTENT_TYPE).and_then(|it| it.to_str().ok()).unwrap_or_default();
    let boundary = multer::parse_boundary(kind).map_err(|_| {
        Error::new(ErrorCode::UnsupportedMediaType, "Send a form (multipart/form-data), or name Upload-Length.")
    })?;
    let announced = tus::number(&parts.headers, &header::CONTENT_LENGTH, "Content-Length")?;
    let most_bytes = shared.config.files.most_bytes_of_all();
    if announced.is_some_and(|announced| announced > most_bytes + FORM_BYTES) {
        return Err(Refusal::TooLarge { limit_bytes: most_bytes }.into());
    }
    let at_file = AtFile::default();
    let body = form::Body::new(arriving(body), most_bytes + FORM_BYTES, at_file.clone());
    let mut form = multer::Multipart::new(body, boundary);
    let until = Instant::now() + Duration::from_millis(shared.config.http.body_timeout_ms);
    let no_file =
        || Refusal::bad_request(FIELD, "The form has no file in its field `file`, or too much in front of it.");
    loop {
        let next = tokio::time::timeout_at(until, form.next_field()).await;
        let Ok(Ok(Some(field))) = next else { return Err(no_file().into()) };
        if field.name() != Some(FIELD) {
            continue;
        }
        at_file.reached();
        let media_type = field.content_type().map(|it| it.essence_str().to_owned());
        let mut wanted =
            Wanted { name: field.file_name().unwrap_or_default().to_owned(), media_type, size_bytes: None };
        // The file is a little smaller than the form: what is announced is enough to reserve.
        let kind_limit = shared.attachments.limit_of(wanted.media_type.as_deref());
        wanted.size_bytes = announced.filter(|announced| *announced <= kind_limit);
        let made = shared.attachments.create(caller, &wanted).await?;
        let body = field.map_err(|_| Broken).boxed();
        return Ok(shared.attachments.fill(caller, made.attachment.file_id, body).await?);
    }
}

/// See what has become of an upload of yours.
#[utoipa::path(get, path = "/uploads/{fileId}", tag = "files", security(("bearer" = [])), params(("fileId" = FileId, Path)),
    responses((status = 200, body = Upload), (status = "default", body = Problem, content_type = "application/problem+json")))]
pub(crate) async fn show(
    State(shared): State<Shared>,
    known: Known,
    Path(file): Path<FileId>,
) -> Result<Json<Upload>, Error> {
    Ok(Json(shared.attachments.progress(known.caller(), file).await?.into()))
}

/// Ask how far an upload of yours is (tus 1.0).
#[utoipa::path(head, path = "/uploads/{fileId}", tag = "files", security(("bearer" = [])), params(("fileId" = FileId, Path)),
    responses((status = 200, headers(("Upload-Offset" = u64, description = "How much has arrived"),
            ("Upload-Length" = u64, description = "The file's size"), ("Upload-Expires" = String, description = "When it goes"))),
        (status = "default", description = "As for GET, without a body")))]
pub(crate) async fn offset(State(shared): State<Shared>, known: Known, Path(file): Path<FileId>) -> Response {
    let found = shared.attachments.progress(known.caller(), file).await;
    answer(found.map_err(Error::from).map(|progress| {
        let mut headers = HeaderMap::from_iter([(header::CACHE_CONTROL, HeaderValue::from_static("no-store"))]);
        tus::say_progress(&mut headers, progress.received_bytes, Some(progress.expires_at));
        // What is kept may be smaller than what was sent.
        let length = progress.attachment.size_bytes.max(progress.received_bytes);
        headers.insert(tus::UPLOAD_LENGTH, HeaderValue::from(length));
        (StatusCode::OK, headers).into_response()
    }))
}

/// Send the next part of a file (tus 1.0). What arrived of a part that breaks off is kept.
#[utoipa::path(patch, path = "/uploads/{fileId}", tag = "files", security(("bearer" = [])),
    params(("fileId" = FileId, Path), ("Upload-Offset" = u64, Header, description = "Where the part begins: how much has arrived"),
        ("Tus-Resumable" = Option<String>, Header, description = "`1.0.0`")),
    request_body(content = Vec<u8>, content_type = "application/offset+octet-stream"),
    responses((status = 204, headers(("Upload-Offset" = u64, description = "How much has arrived"),
            ("Upload-Expires" = String, description = "When it goes"))),
        (status = "default", body = Problem, content_type = "application/problem+json")))]
pub(crate) async fn append(State(shared): State<Shared>, Path(file): Path<FileId>, request: Request) -> Response {
    let (mut parts, body) = request.into_parts();
    let taken = match known_by(Rule::UploadPart, &mut parts, &shared).await {
        Ok(known) => take_part(&shared, known.caller(), file, &parts.headers, body).await,
        Err(error) => Err(error),
    };
    answer(taken.map(|progress| {
        let mut headers = HeaderMap::new();
        tus::say_progress(&mut headers, progress.received_bytes, Some(progress.expires_at));
        (StatusCode::NO_CONTENT, headers).into_response()
    }))
}

/// Whoever the request's token names. Requests of which one deed takes many count by a rule of their own.
pub(super) async fn known_by(rule: Rule, parts: &mut Parts, shared: &Shared) -> Result<Known, Error> {
    let Ok(client) = Client::from_request_parts(parts, shared).await;
    let Some(token) = bearer(parts) else { return Known::of(parts, &client, shared).await };
    let access = verify(token, &client, shared).await?;
    scopes::permit(parts, &access)?;
    shared.limits.check(rule, &access.caller)?;
    Ok(Known(access))
}

async fn take_part(
    shared: &Shared,
    caller: &Caller,
    file: FileId,
    headers: &HeaderMap,
    body: Body,
) -> Result<Progress, Error> {
    tus::check_version(headers)?;
    if headers.get(header::CONTENT_TYPE).is_none_or(|it| it != tus::PART) {
        return Err(Error::new(ErrorCode::UnsupportedMediaType, format!("Parts of files are {}.", tus::PART)));
    }
    let offset = tus::number(headers, &tus::UPLOAD_OFFSET, "Upload-Offset")?;
    let offset = offset.ok_or_else(|| Refusal::bad_request("Upload-Offset", "Say where this part begins."))?;
    Ok(shared.attachments.append(caller, file, offset, arriving(body)).await?)
}

/// Give an upload up, or delete a file that no message has taken.
#[utoipa::path(delete, path = "/uploads/{fileId}", tag = "files", security(("bearer" = [])), params(("fileId" = FileId, Path)),
    responses((status = 204), (status = "default", body = Problem, content_type = "application/problem+json")))]
pub(crate) async fn give_up(State(shared): State<Shared>, known: Known, Path(file): Path<FileId>) -> Response {
    let given_up = shared.attachments.give_up(known.caller(), file).await;
    answer(given_up.map_err(Error::from).map(|()| StatusCode::NO_CONTENT.into_response()))
}

/// How long a request may take; those that carry files take as long as their line needs.
pub(super) fn patience(method: &Method, path: &str) -> Option<Duration> {
    (matches!(*method, Method::POST | Method::PATCH) && tus::is_upload_path(path)).then_some(PATIENCE)
}

fn arriving(body: Body) -> Arriving {
    body.into_data_stream().map_err(|_| Broken).boxed()
}

fn answer(answered: Result<Response, Error>) -> Response {
    let mut response = answered.unwrap_or_else(IntoResponse::into_response);
    tus::say_version(response.headers_mut());
    response
}
