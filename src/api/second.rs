//! Codes as second factor: `/api/v1/auth/login/code`, `/api/v1/auth/second-factor` and `/api/v1/auth/totp`.

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;
use axum_extra::extract::cookie::CookieJar;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::Shared;
use super::access::{Anyone, Known};
use super::auth::{Tokens, device_of, hand_out, whence};
use super::error::{Body, Error, Problem};

/// A code for a login that waits.
#[derive(Deserialize, ToSchema)]
pub(crate) struct TicketAndCode {
    /// Of `mfa_required`.
    ticket: String,
    /// Of an app, or for recovery.
    code: String,
    /// Keep the refresh token in an HttpOnly cookie instead of the answer.
    #[serde(default)]
    cookie: bool,
}

/// A code.
#[derive(Deserialize, ToSchema)]
pub(crate) struct Code {
    /// Of an app, or for recovery.
    code: String,
}

/// The account's password, once more.
#[derive(Deserialize, ToSchema)]
pub(crate) struct Password {
    /// The password.
    pub(super) password: String,
}

/// What an app needs to make codes.
#[derive(Serialize, ToSchema)]
pub(crate) struct TotpWanted {
    /// To be typed (base32).
    secret: String,
    /// To be shown as a QR code.
    url: String,
}

/// What is told once.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct RecoveryCodes {
    /// Each is good once, in the place of an app's code or a passkey. To be kept on paper.
    recovery_codes: Vec<String>,
}

/// Go on with a login by a code.
#[utoipa::path(post, path = "/auth/login/code", tag = "auth", request_body = TicketAndCode,
    responses((status = 200, body = Tokens), (status = "default", body = Problem, content_type = "application/problem+json")))]
pub(crate) async fn log_in(
    State(shared): State<Shared>,
    Anyone(client): Anyone,
    jar: CookieJar,
    Body(said): Body<TicketAndCode>,
) -> Result<Response, Error> {
    let device = device_of(&jar);
    let entered = shared.auth.second_factor(&said.ticket, &said.code, whence(&client, device.as_deref())).await?;
    Ok(hand_out(entered, said.cookie, jar, &client))
}

/// Show a second factor for the login that you have. A role on the site that rested holds from the next request on; on an open
/// socket, from the next `authenticate` on.
#[utoipa::path(post, path = "/auth/second-factor", tag = "auth", security(("bearer" = [])), request_body = Code,
    responses((status = 204), (status = "default", body = Problem, content_type = "application/problem+json")))]
pub(crate) async fn step_up(
    State(shared): State<Shared>,
    known: Known,
    Body(said): Body<Code>,
) -> Result<StatusCode, Error> {
    shared.auth.step_up(known.caller(), &said.code).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Get a secret for an app that makes codes (TOTP, RFC 6238: SHA-1, six digits, 30 s).
#[utoipa::path(post, path = "/auth/totp", tag = "auth", security(("bearer" = [])), request_body = Password,
    responses((status = 200, body = TotpWanted), (status = "default", body = Problem, content_type = "application/problem+json")))]
pub(crate) async fn want(
    State(shared): State<Shared>,
    known: Known,
    Body(said): Body<Password>,
) -> Result<Json<TotpWanted>, Error> {
    let wanted = shared.auth.want_totp(&known.0, &said.password).await?;
    Ok(Json(TotpWanted { secret: wanted.secret, url: wanted.url }))
}

/// Show the first code: from now on a login asks for one. The recovery codes are told here and never again.
#[utoipa::path(post, path = "/auth/totp/confirm", tag = "auth", security(("bearer" = [])), request_body = Code,
    responses((status = 200, body = RecoveryCodes), (status = "default", body = Problem, content_type = "application/problem+json")))]
pub(crate) async fn confirm(
    State(shared): State<Shared>,
    known: Known,
    Body(said): Body<Code>,
) -> Result<Json<RecoveryCodes>, Error> {
    let recovery_codes = shared.auth.begin_totp(&known.0, &said.code).await?;
    Ok(Json(RecoveryCodes { recovery_codes }))
}

/// Be asked for codes no more. The recovery codes go with them.
#[utoipa::path(delete, path = "/auth/totp", tag = "auth", security(("bearer" = [])), request_body = Password,
    responses((status = 204), (status = "default", body = Problem, content_type = "application/problem+json")))]
pub(crate) async fn end(
    State(shared): State<Shared>,
    known: Known,
    Body(said): Body<Password>,
) -> Result<StatusCode, Error> {
    shared.auth.end_totp(&known.0, &said.password).await?;
    Ok(StatusCode::NO_CONTENT)
}
