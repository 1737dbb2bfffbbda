//! Calls: `/api/v1/calls/{callId}`. Taking part in one needs the socket; this is for looking, and for the host's mute.

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use super::Shared;
use super::access::Known;
use super::error::{Body, Error, Path, Problem, Query};
use crate::domain::call::Call;
use crate::domain::quality::History;
use crate::domain::ring::CallRecord;
use crate::domain::{CallId, ParticipantId, Time, TrackId, UserId};

/// How many are on a page when the client names no number.
const PAGE: u32 = 50;

/// Whether a track is silenced.
#[derive(Deserialize, ToSchema)]
pub(crate) struct Muted {
    /// From now on.
    muted: bool,
}

/// A call, and what came of it where it rang.
#[derive(Serialize, ToSchema)]
#[schema(as = ShownCall)]
pub(crate) struct Shown {
    #[serde(flatten)]
    call: Call,
    /// The call that rang, if it is asked for by its own id; `null` for the call of a room.
    #[schema(required)]
    record: Option<CallRecord>,
}

/// A page of calls that rang.
#[derive(Serialize, ToSchema)]
pub(crate) struct CallPage {
    /// The latest first.
    items: Vec<CallRecord>,
    /// Where the next page begins; `null`: there is none.
    #[schema(required)]
    next: Option<CallId>,
}

/// Which page.
#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(crate) struct WhichCalls {
    /// Calls before this one: the `next` of the page before.
    before: Option<CallId>,
    /// How many, 1 to 100; 50 when not named.
    #[param(minimum = 1, maximum = 100)]
    limit: Option<u32>,
}

/// See who takes part and what they publish; by the id of a call that rang also whom it rang and what came of it. Such a call is
/// for whoever called or was rung, and for moderators.
#[utoipa::path(get, path = "/calls/{callId}", tag = "calls", security(("bearer" = [])), params(("callId" = CallId, Path)),
    responses((status = 200, body = Shown), (status = "default", body = Problem, content_type = "application/problem+json")))]
pub(crate) async fn show(
    State(shared): State<Shared>,
    known: Known,
    Path(call): Path<CallId>,
) -> Result<Json<Shown>, Error> {
    let caller = known.caller();
    let Some(record) = shared.rooms.call_record(caller, call).await? else {
        let (_, call) = shared.rooms.call(caller, call).await?;
        return Ok(Json(Shown { call, record: None }));
    };
    let call = shared.rooms.call_of_record(caller, &record).await?;
    Ok(Json(Shown { call, record: Some(record) }))
}

/// List the calls that somebody made or was rung for: your own, or as a moderator anybody's.
#[utoipa::path(get, path = "/users/{userId}/calls", tag = "calls", security(("bearer" = [])),
    params(("userId" = UserId, Path), WhichCalls),
    responses((status = 200, body = CallPage), (status = "default", body = Problem, content_type = "application/problem+json")))]
pub(crate) async fn of_user(
    State(shared): State<Shared>,
    known: Known,
    Path(user): Path<UserId>,
    Query(which): Query<WhichCalls>,
) -> Result<Json<CallPage>, Error> {
    let limit = which.limit.unwrap_or(PAGE);
    let items = shared.rooms.calls_of(known.caller(), user, which.before, limit).await?;
    let next = items.last().map(|last| last.call_id).filter(|_| items.len() == limit as usize);
    Ok(Json(CallPage { items, next }))
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
