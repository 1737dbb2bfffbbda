//! One's logins, by device: `/api/v1/auth/sessions`.

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use serde::Serialize;
use utoipa::ToSchema;

use super::Shared;
use super::access::Known;
use super::error::{Error, Path, Problem};
use crate::domain::{FamilyId, Time};

/// Your logins.
#[derive(Serialize, ToSchema)]
pub(crate) struct LoginList {
    /// The latest first, up to 100.
    sessions: Vec<Login>,
}

/// A login of yours.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Login {
    /// Which.
    session_id: FamilyId,
    /// What its device said of itself, in words: "Firefox on Linux".
    device: Option<String>,
    /// Since when.
    created_at: Time,
    /// When it was last gone on with, to a quarter of an hour.
    last_used_at: Time,
    /// It has passed a second factor.
    second_factor: bool,
    /// It is the one that asks.
    current: bool,
}

/// List your logins.
#[utoipa::path(get, path = "/auth/sessions", tag = "auth", security(("bearer" = [])),
    responses((status = 200, body = LoginList), (status = "default", body = Problem, content_type = "application/problem+json")))]
pub(crate) async fn list(State(shared): State<Shared>, known: Known) -> Result<Json<LoginList>, Error> {
    let this = known.caller().family;
    let sessions = shared.auth.logins(known.caller()).await?.into_iter().map(|it| Login {
        session_id: it.id,
        device: it.device_name,
        created_at: it.created_at,
        last_used_at: it.last_used_at,
        second_factor: it.second_factor,
        current: it.id == this,
    });
    Ok(Json(LoginList { sessions: sessions.collect() }))
}

/// End a login of yours. What it opened closes at once.
#[utoipa::path(delete, path = "/auth/sessions/{sessionId}", tag = "auth", security(("bearer" = [])),
    params(("sessionId" = FamilyId, Path)),
    responses((status = 204), (status = "default", body = Problem, content_type = "application/problem+json")))]
pub(crate) async fn end(
    State(shared): State<Shared>,
    known: Known,
    Path(login): Path<FamilyId>,
) -> Result<StatusCode, Error> {
    shared.auth.end_login(known.caller(), login).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// End all your logins but this one.
#[utoipa::path(delete, path = "/auth/sessions", tag = "auth", security(("bearer" = [])),
    responses((status = 204), (status = "default", body = Problem, content_type = "application/problem+json")))]
pub(crate) async fn end_others(State(shared): State<Shared>, known: Known) -> Result<StatusCode, Error> {
    shared.auth.end_other_logins(known.caller()).await?;
    Ok(StatusCode::NO_CONTENT)
}
