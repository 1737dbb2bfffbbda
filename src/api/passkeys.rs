//! Passkeys: `/api/v1/auth/passkeys` and logging in by one.

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;
use axum_extra::extract::cookie::CookieJar;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use utoipa::ToSchema;

use super::Shared;
use super::access::{Anyone, Known};
use super::auth::{Tokens, device_of, hand_out, whence};
use super::client::Client;
use super::error::{Body, Error, Path, Problem};
use super::second::Password;
use crate::auth::PasskeyView;
use crate::domain::{PasskeyId, Time};

/// What a browser is asked.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Asked {
    /// Goes back with the answer, once and within 5 minutes.
    challenge_id: String,
    /// The argument of `navigator.credentials.create` or `.get` (Web Authentication, section 5.1; JSON).
    #[schema(value_type = Object)]
    options: Value,
}

/// A passkey that a browser made.
#[derive(Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct NewPasskey {
    /// Of the question.
    challenge_id: String,
    /// What you call it: 1–50 characters.
    name: String,
    /// The browser's answer (`RegistrationResponseJSON`).
    #[schema(value_type = Object)]
    credential: Value,
}

/// For which login a passkey is asked.
#[derive(Default, Deserialize, ToSchema)]
pub(crate) struct TicketOnly {
    /// Of `mfa_required`; without one, for whosever passkey it is.
    #[serde(default)]
    ticket: Option<String>,
}

/// A browser's answer.
#[derive(Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct ByPasskey {
    /// Of the question.
    challenge_id: String,
    /// The browser's answer (`AuthenticationResponseJSON`).
    #[schema(value_type = Object)]
    credential: Value,
    /// Keep the refresh token in an HttpOnly cookie instead of the answer.
    #[serde(default)]
    cookie: bool,
}

/// A passkey of yours.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Passkey {
    /// Which.
    passkey_id: PasskeyId,
    /// What you call it.
    name: String,
    /// Since when.
    created_at: Time,
    /// When somebody last came by it.
    last_used_at: Option<Time>,
}

/// A passkey that was just made.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct AddedPasskey {
    #[serde(flatten)]
    passkey: Passkey,
    /// With the first second factor: each of them logs in once, should the device be lost. They are told now and never again.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    recovery_codes: Vec<String>,
}

/// Your passkeys.
#[derive(Serialize, ToSchema)]
pub(crate) struct PasskeyList {
    /// The oldest first, up to 20.
    passkeys: Vec<Passkey>,
}

impl From<PasskeyView> for Passkey {
    fn from(it: PasskeyView) -> Self {
        Self { passkey_id: it.id, name: it.name, created_at: it.created_at, last_used_at: it.last_used_at }
    }
}

/// List your passkeys.
#[utoipa::path(get, path = "/auth/passkeys", tag = "auth", security(("bearer" = [])),
    responses((status = 200, body = PasskeyList), (status = "default", body = Problem, content_type = "application/problem+json")))]
pub(crate) async fn list(State(shared): State<Shared>, known: Known) -> Result<Json<PasskeyList>, Error> {
    let passkeys = shared.auth.passkeys(known.caller()).await?;
    Ok(Json(PasskeyList { passkeys: passkeys.into_iter().map(Passkey::from).collect() }))
}

/// Get what a browser is asked to make a passkey. Passkeys are bound to the host of a cluster, of `PARLOR_PUBLIC_URL`, or else to the one
/// that the request names; browsers know none for a bare address.
#[utoipa::path(post, path = "/auth/passkeys/options", tag = "auth", security(("bearer" = [])), request_body = Password,
    responses((status = 200, body = Asked), (status = "default", body = Problem, content_type = "application/problem+json")))]
pub(crate) async fn want(
    State(shared): State<Shared>,
    client: Client,
    known: Known,
    Body(said): Body<Password>,
) -> Result<Json<Asked>, Error> {
    let asked =
        shared.auth.want_passkey(&known.0, &said.password, &client.site(&shared.config, &shared.clusters)).await?;
    Ok(Json(Asked { challenge_id: asked.challenge_id, options: asked.options }))
}

/// Keep the passkey that a browser made.
#[utoipa::path(post, path = "/auth/passkeys", tag = "auth", security(("bearer" = [])), request_body = NewPasskey,
    responses((status = 201, body = AddedPasskey), (status = "default", body = Problem, content_type = "application/problem+json")))]
pub(crate) async fn add(
    State(shared): State<Shared>,
    client: Client,
    known: Known,
    Body(new): Body<NewPasskey>,
) -> Result<(StatusCode, Json<AddedPasskey>), Error> {
    let NewPasskey { challenge_id, name, credential } = new;
    let site = client.site(&shared.config, &shared.clusters);
    let (added, recovery_codes) =
        shared.auth.add_passkey(known.caller(), &challenge_id, &name, credential, &site).await?;
    Ok((StatusCode::CREATED, Json(AddedPasskey { passkey: added.into(), recovery_codes })))
}

/// Forget a passkey.
#[utoipa::path(delete, path = "/auth/passkeys/{passkeyId}", tag = "auth", security(("bearer" = [])),
    params(("passkeyId" = PasskeyId, Path)), request_body = Password,
    responses((status = 204), (status = "default", body = Problem, content_type = "application/problem+json")))]
pub(crate) async fn remove(
    State(shared): State<Shared>,
    known: Known,
    Path(passkey): Path<PasskeyId>,
    Body(said): Body<Password>,
) -> Result<StatusCode, Error> {
    shared.auth.remove_passkey(&known.0, &said.password, passkey).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Get what a browser is asked to show a passkey: with the ticket of `mfa_required` as second factor, without one in the place of name
/// and password. A ticket is used up by this.
#[utoipa::path(post, path = "/auth/login/passkey/options", tag = "auth", request_body = TicketOnly,
    responses((status = 200, body = Asked), (status = "default", body = Problem, content_type = "application/problem+json")))]
pub(crate) async fn ask(
    State(shared): State<Shared>,
    Anyone(client): Anyone,
    Body(login): Body<TicketOnly>,
) -> Result<Json<Asked>, Error> {
    let site = client.site(&shared.config, &shared.clusters);
    let asked = shared.auth.ask_passkey(login.ticket.as_deref(), &site, whence(&client, None)).await?;
    Ok(Json(Asked { challenge_id: asked.challenge_id, options: asked.options }))
}

/// Log in by a passkey.
#[utoipa::path(post, path = "/auth/login/passkey", tag = "auth", request_body = ByPasskey,
    responses((status = 200, body = Tokens), (status = "default", body = Problem, content_type = "application/problem+json")))]
pub(crate) async fn log_in(
    State(shared): State<Shared>,
    Anyone(client): Anyone,
    jar: CookieJar,
    Body(said): Body<ByPasskey>,
) -> Result<Response, Error> {
    let ByPasskey { challenge_id, credential, cookie } = said;
    let (device, site) = (device_of(&jar), client.site(&shared.config, &shared.clusters));
    let whence = whence(&client, device.as_deref());
    let entered = shared.auth.log_in_by_passkey(&challenge_id, credential, &site, whence).await?;
    Ok(hand_out(entered, cookie, jar, &client))
}
