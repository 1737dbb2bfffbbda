//! Bans: `/api/v1/moderation/bans`. They begin with what is decided about a case.

use axum::Json;
use axum::extract::State;
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use super::Shared;
use super::access::Known;
use super::error::{Body, Error, Path, Problem, Query};
use crate::domain::BanId;
use crate::domain::ban::Ban;

/// Which bans.
#[derive(Deserialize, IntoParams)]
#[serde(rename_all = "camelCase")]
#[into_params(parameter_in = Query)]
pub(crate) struct Page {
    /// So many at most (1–100).
    #[serde(default = "fifty")]
    limit: u32,
    /// Those that are older than this one.
    before: Option<BanId>,
}

fn fifty() -> u32 {
    50
}

/// Bans in force.
#[derive(Serialize, ToSchema)]
pub(crate) struct BanList {
    /// Newest first.
    bans: Vec<Ban>,
}

/// Why a ban is lifted.
#[derive(Deserialize, ToSchema)]
pub(crate) struct Lifting {
    /// For the log.
    reason: String,
}

/// List the bans in force. Moderators of the site.
#[utoipa::path(get, path = "/moderation/bans", tag = "moderation", security(("bearer" = [])), params(Page),
    responses((status = 200, body = BanList), (status = "default", body = Problem, content_type = "application/problem+json")))]
pub(crate) async fn list(
    State(shared): State<Shared>,
    known: Known,
    Query(page): Query<Page>,
) -> Result<Json<BanList>, Error> {
    Ok(Json(BanList { bans: shared.auth.bans(known.caller(), page.limit, page.before).await? }))
}

/// Lift a ban before its time. Moderators of the site; an administrator's ban, administrators.
#[utoipa::path(delete, path = "/moderation/bans/{banId}", tag = "moderation", security(("bearer" = [])),
    params(("banId" = BanId, Path)), request_body = Lifting,
    responses((status = 200, body = Ban), (status = "default", body = Problem, content_type = "application/problem+json")))]
pub(crate) async fn lift(
    State(shared): State<Shared>,
    known: Known,
    Path(ban): Path<BanId>,
    Body(lifting): Body<Lifting>,
) -> Result<Json<Ban>, Error> {
    Ok(Json(shared.auth.lift_ban(known.caller(), ban, &lifting.reason).await?))
}
