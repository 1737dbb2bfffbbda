//! Calls: `/api/v1/calls/{callId}`. Taking part in one needs the socket; this is for looking, and for the host's mute.

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use serde::Deserialize;
use utoipa::{IntoParams, ToSchema};

use super::Shared;
use super::access::Known;
use super::error::{Body, Error, Path, Problem, Query};
use crate::domain::call::Call;
use crate::domain::quality::History;
use crate::domain::{CallId, ParticipantId, Time, TrackId};

/// Whether a track is silenced.
#[derive(Deserialize, ToSchema)]
pub(crate) struct Muted {
    /// From now on.
    muted: bool,
}

/// See who takes part and what they publish.
#[utoipa::path(get, path = "/calls/{callId}", tag = "calls", security(("bearer" = [])), params(("callId" = CallId, Path)),
    responses((status = 200, body = Call), (status = "default", body = Problem, content_type = "application/problem+json")))]
pub(crate) async fn show(
    State(shared): State<Shared>,
    known: Known,
    Path(call): Path<CallId>,
) -> Result<Json<Call>, Error> {
    let (_, call) = shared.rooms.call(known.caller(), call).await?;
    Ok(Json(call))
}

/// Which part of a call's history.
#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(rename_all = "camelCase")]
pub(crate) struct WhichPoints {
    /// This participant's line alone.
    participant_id: Option<ParticipantId>,
    /// Points after this moment alone.
    since: Option<Time>,
}

/// See what participants' lines were like, while the call runs and for ten minutes after: everybody's for moderators and up, one's own
/// for everybody else.
#[utoipa::path(get, path = "/calls/{callId}/quality", tag = "calls", security(("bearer" = [])),
    params(("callId" = CallId, Path), WhichPoints),
    responses((status = 200, body = History), (status = "default", body = Problem, content_type = "application/problem+json")))]
pub(crate) async fn quality(
    State(shared): State<Shared>,
    known: Known,
    Path(call): Path<CallId>,
    Query(WhichPoints { participant_id, since }): Query<WhichPoints>,
) -> Result<Json<History>, Error> {
    Ok(Json(shared.rooms.quality(known.caller(), call, participant_id, since).await?))
}

/// Silence somebody's track, or let it through again. Moderators and up; the server drops its packets.
#[utoipa::path(put, path = "/calls/{callId}/tracks/{trackId}/muted", tag = "calls", security(("bearer" = [])),
    params(("callId" = CallId, Path), ("trackId" = TrackId, Path)), request_body = Muted,
    responses((status = 204), (status = "default", body = Problem, content_type = "application/problem+json")))]
pub(crate) async fn mute_track(
    State(shared): State<Shared>,
    known: Known,
    Path((call, track)): Path<(CallId, TrackId)>,
    Body(new): Body<Muted>,
) -> Result<StatusCode, Error> {
    let (room, _) = shared.rooms.call(known.caller(), call).await?;
    let seat = shared.rooms.visit(known.caller(), room).await?;
    shared.rooms.mute_track(&seat, track, new.muted)?;
    Ok(StatusCode::NO_CONTENT)
}
