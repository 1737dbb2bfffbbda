//! The review desk, for the site's moderators: `/api/v1/moderation`. Bans are in a file of their own.

use axum::Json;
use axum::extract::State;
use axum::http::{HeaderValue, header};
use axum::response::{IntoResponse as _, Response};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use super::Shared;
use super::access::Known;
use super::error::{Body, Error, Path, Problem, Query};
use crate::domain::case::{Case, CaseFilter, Measure};
use crate::domain::deed::Logged;
use crate::domain::{CaseId, EvidenceId, LogId};
use crate::moderation::{Act, Details, Status};

/// How many are on a page when the client names no number.
const PAGE: u32 = 50;

/// Which cases.
#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(crate) struct WhichCases {
    /// How far they have come; `open` when not named: all that wait for a decision.
    #[param(inline)]
    status: Option<CaseFilter>,
    /// Those behind this one: the last of the page before.
    before: Option<CaseId>,
    /// How many, 1 to 100; 50 when not named.
    limit: Option<u32>,
}

/// A page of cases.
#[derive(Serialize, ToSchema)]
pub(crate) struct CasePage {
    /// What presses most first, then what has waited longest.
    cases: Vec<Case>,
    /// How many wait for a decision in all.
    open: u64,
}

/// What you do about a case.
#[derive(Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Decided {
    /// What.
    action: Measure,
    /// Why: 1 to 500 characters.
    #[schema(example = "Shows what nobody asked for")]
    reason: String,
    /// For how long, in seconds: for a ban. Not named: for good.
    #[serde(default)]
    duration_s: Option<u64>,
}

/// Which lines.
#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(crate) struct WhichEntries {
    /// Lines older than this one: the last of the page before.
    before: Option<LogId>,
    /// How many, 1 to 100; 50 when not named.
    limit: Option<u32>,
}

/// A page of the log.
#[derive(Serialize, ToSchema)]
pub(crate) struct EntryPage {
    /// Newest first.
    entries: Vec<Logged>,
}

/// List cases.
#[utoipa::path(get, path = "/moderation/cases", tag = "moderation", security(("bearer" = [])), params(WhichCases),
    responses((status = 200, body = CasePage), (status = "default", body = Problem, content_type = "application/problem+json")))]
pub(crate) async fn list(
    State(shared): State<Shared>,
    known: Known,
    Query(which): Query<WhichCases>,
) -> Result<Json<CasePage>, Error> {
    let filter = which.status.unwrap_or(CaseFilter::Open);
    let limit = which.limit.unwrap_or(PAGE);
    let (cases, open) = shared.moderation.cases(known.caller(), filter, limit, which.before).await?;
    Ok(Json(CasePage { cases, open }))
}

/// Look at one case, and at what else is known of the person.
#[utoipa::path(get, path = "/moderation/cases/{caseId}", tag = "moderation", security(("bearer" = [])), params(("caseId" = CaseId, Path)),
    responses((status = 200, body = Details), (status = "default", body = Problem, content_type = "application/problem+json")))]
pub(crate) async fn show(
    State(shared): State<Shared>,
    known: Known,
    Path(case): Path<CaseId>,
) -> Result<Json<Details>, Error> {
    Ok(Json(shared.moderation.case(known.caller(), case).await?))
}

/// Take a case for five minutes, or keep it for five more.
#[utoipa::path(post, path = "/moderation/cases/{caseId}/claim", tag = "moderation", security(("bearer" = [])),
    params(("caseId" = CaseId, Path)),
    responses((status = 200, body = Case), (status = "default", body = Problem, content_type = "application/problem+json")))]
pub(crate) async fn claim(
    State(shared): State<Shared>,
    known: Known,
    Path(case): Path<CaseId>,
) -> Result<Json<Case>, Error> {
    Ok(Json(shared.moderation.claim(known.caller(), case).await?))
}

/// Give a case back.
#[utoipa::path(delete, path = "/moderation/cases/{caseId}/claim", tag = "moderation", security(("bearer" = [])),
    params(("caseId" = CaseId, Path)),
    responses((status = 200, body = Case), (status = "default", body = Problem, content_type = "application/problem+json")))]
pub(crate) async fn release(
    State(shared): State<Shared>,
    known: Known,
    Path(case): Path<CaseId>,
) -> Result<Json<Case>, Error> {
    Ok(Json(shared.moderation.release(known.caller(), case).await?))
}

/// Decide a case. What you decide is done at once.
#[utoipa::path(post, path = "/moderation/cases/{caseId}/actions", tag = "moderation", security(("bearer" = [])),
    params(("caseId" = CaseId, Path)), request_body = Decided,
    responses((status = 200, body = Case), (status = "default", body = Problem, content_type = "application/problem+json")))]
pub(crate) async fn act(
    State(shared): State<Shared>,
    known: Known,
    Path(case): Path<CaseId>,
    Body(decided): Body<Decided>,
) -> Result<Json<Case>, Error> {
    let Decided { action, reason, duration_s } = decided;
    Ok(Json(shared.moderation.act(known.caller(), case, Act { action, reason, duration_s }).await?))
}

/// Look at evidence: a picture, or messages. It is logged.
#[utoipa::path(get, path = "/moderation/evidence/{evidenceId}", tag = "moderation", security(("bearer" = [])),
    params(("evidenceId" = EvidenceId, Path)),
    responses((status = 200, body = [u8], content_type = "image/webp"),
        (status = "default", body = Problem, content_type = "application/problem+json")))]
pub(crate) async fn evidence(
    State(shared): State<Shared>,
    known: Known,
    Path(id): Path<EvidenceId>,
) -> Result<Response, Error> {
    let (evidence, bytes) = shared.moderation.look(known.caller(), id).await?;
    let kind = HeaderValue::try_from(evidence.media_type).expect("it is one of ours");
    // Each look is logged, so no copy may stay behind that nobody would see being looked at.
    let headers = [
        (header::CONTENT_TYPE, kind),
        (header::CACHE_CONTROL, HeaderValue::from_static("no-store")),
        (header::CONTENT_DISPOSITION, HeaderValue::from_static("inline")),
    ];
    Ok((headers, bytes).into_response())
}

/// Read what moderators did, and what the server did in their place.
#[utoipa::path(get, path = "/moderation/log", tag = "moderation", security(("bearer" = [])), params(WhichEntries),
    responses((status = 200, body = EntryPage), (status = "default", body = Problem, content_type = "application/problem+json")))]
pub(crate) async fn log(
    State(shared): State<Shared>,
    known: Known,
    Query(which): Query<WhichEntries>,
) -> Result<Json<EntryPage>, Error> {
    let limit = which.limit.unwrap_or(PAGE);
    Ok(Json(EntryPage { entries: shared.moderation.log(known.caller(), limit, which.before).await? }))
}

/// See how the sampling of video fares.
#[utoipa::path(get, path = "/moderation/status", tag = "moderation", security(("bearer" = [])),
    responses((status = 200, body = Status), (status = "default", body = Problem, content_type = "application/problem+json")))]
pub(crate) async fn status(State(shared): State<Shared>, known: Known) -> Result<Json<Status>, Error> {
    Ok(Json(shared.moderation.status_for(known.caller())?))
}
