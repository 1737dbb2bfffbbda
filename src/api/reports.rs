//! Reporting people and messages: `/api/v1/reports`.

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use uuid::Uuid;

use super::Shared;
use super::access::Known;
use super::error::{Body, Error, Problem};
use crate::domain::case::{ReportReason, TargetKind};
use crate::domain::{ReportId, RoomId};
use crate::moderation::Complaint;

/// What you report.
#[derive(Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Reported {
    /// Whether it is about a person or a message.
    target_type: TargetKind,
    /// Which: the id of the person or the message.
    target_id: Uuid,
    /// Where it happened. Needed for a message.
    #[serde(default)]
    room_id: Option<RoomId>,
    /// Why.
    reason: ReportReason,
    /// In your words, up to 500 characters.
    #[serde(default)]
    description: Option<String>,
}

/// Your report.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Filed {
    /// The same when you report the same again before it is decided.
    report_id: ReportId,
}

/// Report a person or a message to the moderators. What they look like now is frozen with it.
#[utoipa::path(post, path = "/reports", tag = "moderation", security(("bearer" = [])), request_body = Reported,
    responses((status = 201, body = Filed), (status = "default", body = Problem, content_type = "application/problem+json")))]
pub(crate) async fn create(
    State(shared): State<Shared>,
    known: Known,
    Body(reported): Body<Reported>,
) -> Result<(StatusCode, Json<Filed>), Error> {
    let Reported { target_type, target_id, room_id, reason, description } = reported;
    let complaint = Complaint { target: target_type, target_id, room: room_id, reason, description };
    let report_id = shared.moderation.report(known.caller(), complaint).await?;
    Ok((StatusCode::CREATED, Json(Filed { report_id })))
}
