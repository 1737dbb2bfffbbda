//! Entering, staying and leaving: `/api/v1/auth/…`.

use axum::Json;
use axum::extract::State;
use axum::http::{HeaderValue, StatusCode, header, request};
use axum::response::{IntoResponse, Response};
use axum_extra::extract::cookie::{Cookie, CookieJar, SameSite};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::Shared;
use super::access::{Anyone, Known, bearer, verify};
use super::client::Client;
use super::error::{Body, Error, Problem};
use crate::auth::{Entered, Entry, Whence};
use crate::domain::account::{Proof, ProofChallenge};
use crate::domain::{Refusal, Scope, SiteRole, Time, User};

/// Carries the refresh token for pages: HttpOnly, so that no script sees it; SameSite=Strict and the path, so that it goes to
/// our REST calls from our own pages alone.
const COOKIE: &str = "parlor_refresh";
const COOKIE_PATH: &str = "/api";
/// By what a device is known, so that a ban can bind it: random, and of no use to anybody else.
const DEVICE_COOKIE: &str = "parlor_device";
/// How long a device is known, in seconds: a year.
const DEVICE_LIVES_S: u64 = 365 * 24 * 3600;

/// Who wants to enter.
#[derive(Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Entrance {
    /// 2–50 characters of `a-z A-Z 0-9 _ -`.
    #[schema(example = "ada")]
    nickname: String,
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

/// A login. The access token goes into `Authorization: Bearer …` and into the socket's `authenticate` frame.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Tokens {
    /// Proves who you are.
    access_token: String,
    /// Seconds that it lives.
    expires_in_s: u64,
    /// Gives one new pair, once; `null` when it is in the cookie.
    refresh_token: Option<String>,
    /// You.
    user: User,
    /// The role on the site that rests until this login has passed a second factor.
    #[serde(skip_serializing_if = "Option::is_none")]
    withheld_role: Option<SiteRole>,
    /// Logins of yours that ended because a token of theirs came twice: somebody else may have had it. Told once.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    reused_logins: Vec<ReusedLogin>,
    /// Three or more codes were wrong since the last login: somebody may know the password. Told once.
    #[serde(skip_serializing_if = "Option::is_none")]
    wrong_codes: Option<WrongCodesTold>,
}

/// Codes that were wrong.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct WrongCodesTold {
    /// How many.
    count: u64,
    /// When the last was tried.
    last_at: Time,
}

/// A login that ended because a token came twice.
#[derive(Serialize, ToSchema)]
pub(crate) struct ReusedLogin {
    /// What its device said of itself, in words.
    device: Option<String>,
    /// When.
    at: Time,
}

/// A refresh token, unless it is in the cookie.
#[derive(Default, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Refresh {
    /// The token of the last pair.
    #[serde(default)]
    refresh_token: Option<String>,
}

/// A ticket for the socket.
#[derive(Serialize, ToSchema)]
pub(crate) struct Ticket {
    /// For `/ws?ticket=…`, once, within 60 s.
    ticket: String,
}

/// The secret of the administrator's link.
#[derive(Deserialize, ToSchema)]
#[schema(as = ClaimSecret)]
pub(crate) struct Claim {
    /// What follows `/claim/` in the link.
    secret: String,
}

/// Enter with a nickname.
#[utoipa::path(post, path = "/auth/anonymous", tag = "auth", request_body = Entrance,
    responses((status = 201, body = Tokens), (status = "default", body = Problem, content_type = "application/problem+json")))]
pub(crate) async fn enter(
    State(shared): State<Shared>,
    Anyone(client): Anyone,
    jar: CookieJar,
    Body(entrance): Body<Entrance>,
) -> Result<Response, Error> {
    let Entrance { nickname, birth_year, adult, cookie, proof } = entrance;
    let device = device_of(&jar);
    let entry = Entry { nickname, birth_year, adult, proof };
    let entered = shared.auth.enter_anonymous(entry, whence(&client, device.as_deref())).await?;
    Ok((StatusCode::CREATED, hand_out(entered, cookie, jar, &client)).into_response())
}

/// Get a riddle whose solution lets one enter where many do, or after wrong passwords (proof of work in the manner of ALTCHA).
#[utoipa::path(get, path = "/auth/challenge", tag = "auth",
    responses((status = 200, body = ProofChallenge), (status = "default", body = Problem, content_type = "application/problem+json")))]
pub(crate) async fn challenge(State(shared): State<Shared>, Anyone(_client): Anyone) -> Json<ProofChallenge> {
    Json(shared.auth.challenge())
}

/// Exchange a refresh token for a new pair. The token comes from the body or from the cookie, and the new one goes the same way.
#[utoipa::path(post, path = "/auth/refresh", tag = "auth", request_body = Option<Refresh>,
    responses((status = 200, body = Tokens), (status = "default", body = Problem, content_type = "application/problem+json")))]
pub(crate) async fn refresh(
    State(shared): State<Shared>,
    Anyone(client): Anyone,
    jar: CookieJar,
    body: Option<Body<Refresh>>,
) -> Result<Response, Error> {
    let in_body = body.and_then(|Body(refresh)| refresh.refresh_token);
    let in_cookie = jar.get(COOKIE).map(|cookie| cookie.value().to_owned());
    let by_cookie = in_body.is_none();
    let token = in_body.or(in_cookie).ok_or(Refusal::Unauthenticated)?;
    match shared.auth.refresh(&token, client.address).await {
        Ok(entered) => Ok(hand_out(entered, by_cookie, jar, &client)),
        // A cookie that will never work again is taken back.
        Err(
            refusal @ (Refusal::TokenInvalid | Refusal::TokenExpired | Refusal::TokenReused | Refusal::Banned { .. }),
        ) if by_cookie => {
            Ok((jar.remove(cookie(COOKIE, String::new(), 0, &client)), Error::from(refusal)).into_response())
        }
        Err(refusal) => Err(refusal.into()),
    }
}

/// End this login on every device that shares it: by the refresh token, in the body or the cookie, or by the access token. A token
/// that is over needs no end.
#[utoipa::path(delete, path = "/auth/logout", tag = "auth", security(("bearer" = []), ()), request_body = Option<Refresh>,
    responses((status = 204), (status = "default", body = Problem, content_type = "application/problem+json")))]
pub(crate) async fn logout(
    State(shared): State<Shared>,
    Anyone(client): Anyone,
    jar: CookieJar,
    parts: request::Parts,
    body: Option<Body<Refresh>>,
) -> Result<Response, Error> {
    let in_body = body.and_then(|Body(refresh)| refresh.refresh_token);
    for token in in_body.as_deref().into_iter().chain(jar.get(COOKIE).map(Cookie::value)) {
        shared.auth.logout_by_refresh(token).await?;
    }
    if let Some(token) = bearer(&parts) {
        match verify(token, &client, &shared).await {
            Ok(access) => {
                access.permit(Scope::Account)?;
                shared.auth.logout(&access).await?;
            }
            Err(Refusal::TokenInvalid | Refusal::TokenExpired | Refusal::TokenReused | Refusal::Banned { .. }) => {}
            Err(refusal) => return Err(refusal.into()),
        }
    }
    Ok((jar.remove(cookie(COOKIE, String::new(), 0, &client)), StatusCode::NO_CONTENT).into_response())
}

/// Get a ticket for a socket whose client cannot send a first frame.
#[utoipa::path(post, path = "/auth/ticket", tag = "auth", security(("bearer" = [])),
    responses((status = 201, body = Ticket), (status = "default", body = Problem, content_type = "application/problem+json")))]
pub(crate) async fn ticket(State(shared): State<Shared>, known: Known) -> (StatusCode, Json<Ticket>) {
    (StatusCode::CREATED, Json(Ticket { ticket: shared.auth.ticket(&known.0) }))
}

/// Become the administrator, with the link that the server printed at its start.
#[utoipa::path(post, path = "/auth/claim", tag = "auth", security(("bearer" = [])), request_body = Claim,
    responses((status = 200, body = Claimed), (status = "default", body = Problem, content_type = "application/problem+json")))]
pub(crate) async fn claim(
    State(shared): State<Shared>,
    known: Known,
    Body(claim): Body<Claim>,
) -> Result<Json<Claimed>, Error> {
    let user = shared.auth.claim(known.caller(), &claim.secret).await?;
    Ok(Json(Claimed { user }))
}

/// The new administrator.
#[derive(Serialize, ToSchema)]
pub(crate) struct Claimed {
    /// You, with the new role. The access token stays as it is.
    user: User,
}

/// Answers with the pair, its refresh token in the body or in the cookie.
pub(super) fn hand_out(entered: Entered, by_cookie: bool, jar: CookieJar, client: &Client) -> Response {
    let Entered { access_token, expires_in_s, refresh_token, refresh_expires_in_s, device, user, .. } = entered;
    let Entered { withheld, reused, wrong_codes, .. } = entered;
    let reused_logins = reused.into_iter().map(|it| ReusedLogin { device: it.device_name, at: it.at }).collect();
    let wrong_codes = wrong_codes.map(|it| WrongCodesTold { count: it.count, last_at: it.last_at });
    let (jar, refresh_token) = if by_cookie {
        (jar.add(cookie(COOKIE, refresh_token, refresh_expires_in_s, client)), None)
    } else {
        (jar, Some(refresh_token))
    };
    let tokens =
        Tokens { access_token, expires_in_s, refresh_token, user, withheld_role: withheld, reused_logins, wrong_codes };
    let mut response = (jar, Json(tokens)).into_response();
    let device = device.map(|device| cookie(DEVICE_COOKIE, device, DEVICE_LIVES_S, client).to_string());
    if let Some(Ok(device)) = device.map(HeaderValue::try_from) {
        response.headers_mut().append(header::SET_COOKIE, device);
    }
    response
}

/// What the device is known by, if it is.
pub(super) fn device_of(jar: &CookieJar) -> Option<String> {
    jar.get(DEVICE_COOKIE).map(|cookie| cookie.value().to_owned())
}

/// From where somebody comes.
pub(super) fn whence<'a>(client: &'a Client, device: Option<&'a str>) -> Whence<'a> {
    Whence { address: client.address, device, agent: client.agent.as_deref(), host: client.host.as_deref() }
}

fn cookie(name: &'static str, value: String, lives_s: u64, client: &Client) -> Cookie<'static> {
    let lives = std::time::Duration::from_secs(lives_s);
    Cookie::build((name, value))
        .path(COOKIE_PATH)
        .http_only(true)
        .same_site(SameSite::Strict)
        .secure(client.secure)
        .max_age(lives.try_into().unwrap_or_default())
        .build()
}
