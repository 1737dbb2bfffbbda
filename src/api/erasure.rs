//! All that is one's own, to take along or to have deleted: `/api/v1/auth/me`.

use std::convert::Infallible;

use axum::Json;
use axum::body::Body as Stream;
use axum::extract::State;
use axum::http::header;
use axum::response::{IntoResponse as _, Response};
use bytes::Bytes;
use futures_util::StreamExt as _;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::Shared;
use super::access::Known;
use super::error::{Body, Error, Problem};
use crate::auth::{Again, Receipt};

/// Who you are, once more. Without an account nothing is asked for.
#[derive(Default, Deserialize, ToSchema)]
pub(crate) struct OnceMore {
    /// The account's password.
    #[serde(default)]
    password: Option<String>,
    /// Or a code: of an app, or for recovery.
    #[serde(default)]
    code: Option<String>,
}

/// A receipt that can be verified.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct SignedReceipt {
    /// What it says.
    receipt: Receipt,
    /// The same, letter by letter as it was signed.
    signed: String,
    /// Ed25519 (RFC 8032) over the bytes of `signed`, in hexadecimal.
    signature: String,
    /// With what it is verified, in hexadecimal: the same as of `/auth/receipt-key`.
    public_key: String,
}

/// With what receipts are verified.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct ReceiptKey {
    /// An Ed25519 key in hexadecimal.
    public_key: String,
}

/// Have everything of yours deleted: account, messages, files, keys, blocks, logins. Rooms that you own go to their next admin, or can
/// only be read from then on. What a case of moderation rests on stays until its own end, and the receipt says so.
#[utoipa::path(delete, path = "/auth/me", tag = "auth", security(("bearer" = [])), request_body = Option<OnceMore>,
    responses((status = 200, body = SignedReceipt), (status = "default", body = Problem, content_type = "application/problem+json")))]
pub(crate) async fn erase(
    State(shared): State<Shared>,
    known: Known,
    body: Option<Body<OnceMore>>,
) -> Result<Json<SignedReceipt>, Error> {
    let OnceMore { password, code } = body.map(|Body(said)| said).unwrap_or_default();
    let done = shared.auth.erase(&known.0, Again { password, code }).await?;
    let (receipt, signed, signature, public_key) = (done.receipt, done.signed, done.signature, done.public_key);
    Ok(Json(SignedReceipt { receipt, signed, signature, public_key }))
}

/// Get all that the server has of you, as one JSON document: who you are, logins, blocks, rooms and messages.
#[utoipa::path(get, path = "/auth/me/export", tag = "auth", security(("bearer" = [])),
    responses((status = 200, body = Object, content_type = "application/json"),
        (status = "default", body = Problem, content_type = "application/problem+json")))]
pub(crate) async fn export(State(shared): State<Shared>, known: Known) -> Result<Response, Error> {
    let pieces = shared.auth.export(&known.0).await?;
    let stream = futures_util::stream::unfold(pieces, async |mut pieces| {
        let piece = pieces.recv().await?;
        Some((Ok::<_, Infallible>(Bytes::from(piece)), pieces))
    });
    // Whoever compresses it asks once more after its end.
    let stream = stream.fuse();
    let headers = [
        (header::CONTENT_TYPE, "application/json"),
        (header::CONTENT_DISPOSITION, "attachment; filename=\"parlor.json\""),
        (header::CACHE_CONTROL, "no-store"),
    ];
    Ok((headers, Stream::from_stream(stream)).into_response())
}

/// Get the key with which receipts of deletions are verified.
#[utoipa::path(get, path = "/auth/receipt-key", tag = "auth",
    responses((status = 200, body = ReceiptKey), (status = "default", body = Problem, content_type = "application/problem+json")))]
pub(crate) async fn receipt_key(State(shared): State<Shared>) -> Json<ReceiptKey> {
    Json(ReceiptKey { public_key: shared.auth.receipt_key() })
}
