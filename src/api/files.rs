//! Files of messages, as they are fetched: `/api/v1/files`.

use std::fmt::Write as _;

use axum::body::Body;
use axum::extract::{Request, State};
use axum::http::{HeaderValue, header};
use axum::response::Response;

use super::Shared;
use super::download::{Served, respond};
use super::error::{Error, Path, Problem};
use super::uploads::known_by;
use crate::attachments::{Found, Part};
use crate::domain::FileId;
use crate::limit::Rule;

/// Whatever a file says, a browser runs nothing of it, loads nothing for it, and takes it for nothing of ours.
const SANDBOX: HeaderValue = HeaderValue::from_static("default-src 'none'; style-src 'unsafe-inline'; sandbox");
const RESOURCE_POLICY: header::HeaderName = header::HeaderName::from_static("cross-origin-resource-policy");

/// Fetch a file, whole or in part: your own, or one of a message that you may read.
#[utoipa::path(get, path = "/files/{fileId}", tag = "files", security(("bearer" = [])),
    params(("fileId" = FileId, Path),
        ("Range" = Option<String>, Header, description = "`bytes=…`, one range (RFC 9110, section 14.2)"),
        ("If-Range" = Option<String>, Header, description = "The part is wanted of this ETag's file only; otherwise the whole"),
        ("If-None-Match" = Option<String>, Header, description = "Nothing is wanted if the file is the one of this ETag")),
    responses((status = 200, content_type = "*/*", description = "The file, with its own type"),
        (status = 206, content_type = "*/*", description = "That part of it"),
        (status = 304), (status = "default", body = Problem, content_type = "application/problem+json")))]
pub(crate) async fn file(
    State(shared): State<Shared>,
    Path(file): Path<FileId>,
    request: Request,
) -> Result<Response, Error> {
    hand_out(&shared, file, Part::Whole, request).await
}

/// Fetch the small picture of a file (JPEG). `not_found` where there is none.
#[utoipa::path(get, path = "/files/{fileId}/thumbnail", tag = "files", security(("bearer" = [])),
    params(("fileId" = FileId, Path),
        ("Range" = Option<String>, Header, description = "`bytes=…`, one range (RFC 9110, section 14.2)"),
        ("If-Range" = Option<String>, Header, description = "The part is wanted of this ETag's file only; otherwise the whole"),
        ("If-None-Match" = Option<String>, Header, description = "Nothing is wanted if the file is the one of this ETag")),
    responses((status = 200, content_type = "image/jpeg"), (status = 206, content_type = "image/jpeg"),
        (status = 304), (status = "default", body = Problem, content_type = "application/problem+json")))]
pub(crate) async fn thumbnail(
    State(shared): State<Shared>,
    Path(file): Path<FileId>,
    request: Request,
) -> Result<Response, Error> {
    hand_out(&shared, file, Part::Thumbnail, request).await
}

async fn hand_out(shared: &Shared, file: FileId, part: Part, request: Request) -> Result<Response, Error> {
    let (mut parts, _) = request.into_parts();
    let known = known_by(Rule::Download, &mut parts, shared).await?;
    let found = shared.attachments.file(known.caller(), file, part).await?;
    let served = Served {
        size_bytes: found.size_bytes,
        tag: found.tag(),
        media_type: found.media_type().to_owned(),
        disposition: disposition(&found),
    };
    let read = |range| async { Ok(Body::from_stream(shared.attachments.read(&found, range).await?)) };
    let mut response = respond(&parts.method, &parts.headers, &served, read).await?;
    response.headers_mut().insert(header::CONTENT_SECURITY_POLICY, SANDBOX);
    response.headers_mut().insert(RESOURCE_POLICY, HeaderValue::from_static("same-site"));
    Ok(response)
}

/// How a browser is to take it (RFC 6266): the name twice, for those who know UTF-8 and for those who do not.
fn disposition(found: &Found) -> String {
    let how = if found.is_shown() { "inline" } else { "attachment" };
    let name = &found.attachment.name;
    let plain: String =
        name.chars().map(|c| if c.is_ascii_alphanumeric() || "-_. ()".contains(c) { c } else { '_' }).collect();
    let mut encoded = String::new();
    for byte in name.bytes() {
        // attr-char of RFC 8187, section 3.2.1.
        if byte.is_ascii_alphanumeric() || b"!#$&+-.^_`|~".contains(&byte) {
            encoded.push(char::from(byte));
        } else {
            let _ = write!(encoded, "%{byte:02X}");
        }
    }
    format!("{how}; filename=\"{plain}\"; filename*=UTF-8''{encoded}")
}
