//! Accounts: `/api/v1/auth/register`, `/login`, `/upgrade`, `/password`, and who one is: `/api/v1/auth/me`.

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::{IntoResponse as _, Response};
use axum_extra::extract::cookie::CookieJar;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::Shared;
use super::access::{Anyone, Known};
use super::auth::{Tokens, device_of, hand_out, whence};
use super::error::{Body, Error, Path, Problem};
use crate::auth::{AccountView, Credentials, Entry, NewPassword, Profile};
use crate::domain::account::Proof;
use crate::domain::user::AgeLevel;
use crate::domain::{SiteRole, User, UserId};

/// Who wants an account.
#[derive(Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Registration {
    /// 2–50 characters of `a-z A-Z 0-9 _ -`; nobody else may have it, nor one that looks like it.
    #[schema(example = "ada")]
    username: String,
    /// 8–128 characters.
    password: String,
    /// Where letters go.
    #[serde(default)]
    email: Option<String>,
    /// The year of birth.
    #[schema(example = 1990)]
    birth_year: i16,
    /// "I am 18 or older."
    #[serde(default)]
    adult: bool,
    /// Keep the refresh token in an HttpOnly cookie instead of the answer.
    #[serde(default)]
    cookie: bool,
    /// The riddle of `proof_required`, solved.
    #[serde(default)]
    proof: Option<Proof>,
}

/// A name and a password.
#[derive(Deserialize, ToSchema)]
pub(crate) struct LoginWanted {
    /// The name; its case does not matter.
    username: String,
    /// The password.
    password: String,
    /// A code at once: of an app, or for recovery.
    #[serde(default)]
    code: Option<String>,
    /// Keep the refresh token in an HttpOnly cookie instead of the answer.
    #[serde(default)]
    cookie: bool,
    /// The riddle of `proof_required`, solved.
    #[serde(default)]
    proof: Option<Proof>,
}

/// The account that somebody wants who has entered without one.
#[derive(Deserialize, ToSchema)]
pub(crate) struct Upgrade {
    /// As at registration.
    username: String,
    /// 8–128 characters.
    password: String,
    /// Where letters go.
    #[serde(default)]
    email: Option<String>,
}

/// Another password.
#[derive(Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct PasswordChange {
    /// The one so far.
    password: String,
    /// From now on.
    new_password: String,
}

/// You, as only you see it.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Me {
    #[serde(flatten)]
    user: User,
    /// The role on the site that rests until this login has passed a second factor.
    #[serde(skip_serializing_if = "Option::is_none")]
    withheld_role: Option<SiteRole>,
    /// By what your age is known.
    age_level: AgeLevel,
    /// Your account, if you have one.
    account: Option<AccountOfMe>,
}

/// Your account.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct AccountOfMe {
    /// The name to log in with.
    username: String,
    /// Where letters go.
    email: Option<String>,
    /// Codes of an app are asked for.
    totp: bool,
    /// Recovery codes that are left.
    recovery_codes_left: u64,
    /// How many passkeys there are.
    passkeys: u64,
}

/// By what somebody's age is known.
#[derive(Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct NewAgeLevel {
    /// From now on.
    age_level: AgeLevel,
}

/// Make an account.
#[utoipa::path(post, path = "/auth/register", tag = "auth", request_body = Registration,
    responses((status = 201, body = Tokens), (status = "default", body = Problem, content_type = "application/problem+json")))]
pub(crate) async fn register(
    State(shared): State<Shared>,
    Anyone(client): Anyone,
    jar: CookieJar,
    Body(wanted): Body<Registration>,
) -> Result<Response, Error> {
    let Registration { username, password, email, birth_year, adult, cookie, proof } = wanted;
    let entry = Entry { nickname: username.clone(), birth_year, adult, proof };
    let device = device_of(&jar);
    let new = NewPassword { username, password, email };
    let entered = shared.auth.register(new, entry, whence(&client, device.as_deref())).await?;
    Ok((StatusCode::CREATED, hand_out(entered, cookie, jar, &client)).into_response())
}

/// Log in with an account. `mfa_required` carries a ticket: go on at `/auth/login/code` or with a passkey.
#[utoipa::path(post, path = "/auth/login", tag = "auth", request_body = LoginWanted,
    responses((status = 200, body = Tokens), (status = "default", body = Problem, content_type = "application/problem+json")))]
pub(crate) async fn log_in(
    State(shared): State<Shared>,
    Anyone(client): Anyone,
    jar: CookieJar,
    Body(wanted): Body<LoginWanted>,
) -> Result<Response, Error> {
    let LoginWanted { username, password, code, cookie, proof } = wanted;
    let device = device_of(&jar);
    let said = Credentials { username, password, code, proof };
    let entered = shared.auth.log_in(said, whence(&client, device.as_deref())).await?;
    Ok(hand_out(entered, cookie, jar, &client))
}

/// Give yourself an account: you stay who you are, with your rooms and messages.
#[utoipa::path(post, path = "/auth/upgrade", tag = "auth", security(("bearer" = [])), request_body = Upgrade,
    responses((status = 200, body = User), (status = "default", body = Problem, content_type = "application/problem+json")))]
pub(crate) async fn upgrade(
    State(shared): State<Shared>,
    known: Known,
    Body(wanted): Body<Upgrade>,
) -> Result<Json<User>, Error> {
    let Upgrade { username, password, email } = wanted;
    Ok(Json(shared.auth.upgrade(known.caller(), NewPassword { username, password, email }).await?))
}

/// Change the password. All other logins end.
#[utoipa::path(put, path = "/auth/password", tag = "auth", security(("bearer" = [])), request_body = PasswordChange,
    responses((status = 204), (status = "default", body = Problem, content_type = "application/problem+json")))]
pub(crate) async fn change_password(
    State(shared): State<Shared>,
    known: Known,
    Body(change): Body<PasswordChange>,
) -> Result<StatusCode, Error> {
    shared.auth.change_password(&known.0, &change.password, &change.new_password).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Who am I?
#[utoipa::path(get, path = "/auth/me", tag = "auth", security(("bearer" = [])),
    responses((status = 200, body = Me), (status = "default", body = Problem, content_type = "application/problem+json")))]
pub(crate) async fn me(State(shared): State<Shared>, known: Known) -> Result<Json<Me>, Error> {
    let Profile { user, withheld, age_level, account } = shared.auth.profile(&known.0).await?;
    let view = |AccountView { username, email, totp, recovery_codes_left, passkeys }| AccountOfMe {
        username,
        email,
        totp,
        recovery_codes_left,
        passkeys,
    };
    Ok(Json(Me { user, withheld_role: withheld, age_level, account: account.map(view) }))
}

/// Say by what somebody's age is known. Moderators of the site.
#[utoipa::path(put, path = "/users/{userId}/age-level", tag = "moderation", security(("bearer" = [])),
    params(("userId" = UserId, Path)), request_body = NewAgeLevel,
    responses((status = 204), (status = "default", body = Problem, content_type = "application/problem+json")))]
pub(crate) async fn set_age_level(
    State(shared): State<Shared>,
    known: Known,
    Path(user): Path<UserId>,
    Body(new): Body<NewAgeLevel>,
) -> Result<StatusCode, Error> {
    shared.auth.set_age_level(known.caller(), user, new.age_level).await?;
    Ok(StatusCode::NO_CONTENT)
}
