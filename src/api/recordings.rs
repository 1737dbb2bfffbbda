//! Recordings: `/api/v1/calls/{callId}/recording` and `/api/v1/recordings`.

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use super::Shared;
use super::access::Known;
use super::error::{Error, Path, Problem, Query};
use crate::domain::recording::{Composed, Recording};
use crate::domain::{CallId, FileId, RecordingId, Time};
use crate::recording::{Linked, Seen};

/// How many are on a page when the client names no number.
const PAGE: u32 = 50;

/// A recording as you see it.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = ShownRecording)]
pub(crate) struct Shown {
    #[serde(flatten)]
    recording: Recording,
    /// Whether you may delete it and have one file made of all.
    may_manage: bool,
}

impl From<Seen> for Shown {
    fn from(Seen { recording, right }: Seen) -> Self {
        Self { recording, may_manage: right.may_manage() }
    }
}

/// Recordings.
#[derive(Serialize, ToSchema)]
pub(crate) struct RecordingPage {
    /// Newest first.
    recordings: Vec<Shown>,
}

impl From<Vec<Seen>> for RecordingPage {
    fn from(seen: Vec<Seen>) -> Self {
        Self { recordings: seen.into_iter().map(Shown::from).collect() }
    }
}

/// Which page.
#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(crate) struct WhichRecordings {
    /// Recordings older than this one: the last of the page before.
    before: Option<RecordingId>,
    /// How many, 1 to 100; 50 when not named.
    limit: Option<u32>,
}

/// A link to one file.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct FileLink {
    /// Good for this file alone, without a token; a path on this server.
    #[schema(example = "/api/v1/recordings/…/files/…?user=…&expires=…&signature=…")]
    url: String,
    /// Until when.
    expires_at: Time,
}

/// Record a call. Owner and moderators; everybody in the call is told, and three seconds later it begins.
#[utoipa::path(post, path = "/calls/{callId}/recording", tag = "recordings", security(("bearer" = [])), params(("callId" = CallId, Path)),
    responses((status = 202, body = Shown), (status = "default", body = Problem, content_type = "application/problem+json")))]
pub(crate) async fn start(
    State(shared): State<Shared>,
    known: Known,
    Path(call): Path<CallId>,
) -> Result<(StatusCode, Json<Shown>), Error> {
    let recording = shared.recordings.start_recording(known.caller(), call).await?;
    Ok((StatusCode::ACCEPTED, Json(Shown { recording, may_manage: true })))
}

/// Stop recording a call. Owner and moderators; its files are ready a moment later.
#[utoipa::path(delete, path = "/calls/{callId}/recording", tag = "recordings", security(("bearer" = [])), params(("callId" = CallId, Path)),
    responses((status = 200, body = Shown), (status = "default", body = Problem, content_type = "application/problem+json")))]
pub(crate) async fn stop(
    State(shared): State<Shared>,
    known: Known,
    Path(call): Path<CallId>,
) -> Result<Json<Shown>, Error> {
    let recording = shared.recordings.stop_recording(known.caller(), call).await?;
    Ok(Json(Shown { recording, may_manage: true }))
}

/// List a call's recordings, those that you may see.
#[utoipa::path(get, path = "/calls/{callId}/recording", tag = "recordings", security(("bearer" = [])), params(("callId" = CallId, Path)),
    responses((status = 200, body = RecordingPage), (status = "default", body = Problem, content_type = "application/problem+json")))]
pub(crate) async fn of_call(
    State(shared): State<Shared>,
    known: Known,
    Path(call): Path<CallId>,
) -> Result<Json<RecordingPage>, Error> {
    Ok(Json(shared.recordings.of_call(known.caller(), call).await?.into()))
}

/// List all recordings that you may see: those that you are in, and those of rooms in which you keep order.
#[utoipa::path(get, path = "/recordings", tag = "recordings", security(("bearer" = [])), params(WhichRecordings),
    responses((status = 200, body = RecordingPage), (status = "default", body = Problem, content_type = "application/problem+json")))]
pub(crate) async fn list(
    State(shared): State<Shared>,
    known: Known,
    Query(which): Query<WhichRecordings>,
) -> Result<Json<RecordingPage>, Error> {
    let limit = which.limit.unwrap_or(PAGE);
    Ok(Json(shared.recordings.list(known.caller(), which.before, limit).await?.into()))
}

/// Look at one recording.
#[utoipa::path(get, path = "/recordings/{recordingId}", tag = "recordings", security(("bearer" = [])), params(("recordingId" = RecordingId, Path)),
    responses((status = 200, body = Shown), (status = "default", body = Problem, content_type = "application/problem+json")))]
pub(crate) async fn show(
    State(shared): State<Shared>,
    known: Known,
    Path(recording): Path<RecordingId>,
) -> Result<Json<Shown>, Error> {
    Ok(Json(shared.recordings.show(known.caller(), recording).await?.into()))
}

/// Delete a recording and all its files. Owner and moderators.
#[utoipa::path(delete, path = "/recordings/{recordingId}", tag = "recordings", security(("bearer" = [])), params(("recordingId" = RecordingId, Path)),
    responses((status = 204), (status = "default", body = Problem, content_type = "application/problem+json")))]
pub(crate) async fn delete(
    State(shared): State<Shared>,
    known: Known,
    Path(recording): Path<RecordingId>,
) -> Result<StatusCode, Error> {
    shared.recordings.delete(known.caller(), recording).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Delete one file of a recording. Owner and moderators.
#[utoipa::path(delete, path = "/recordings/{recordingId}/files/{fileId}", tag = "recordings", security(("bearer" = [])),
    params(("recordingId" = RecordingId, Path), ("fileId" = FileId, Path)),
    responses((status = 204), (status = "default", body = Problem, content_type = "application/problem+json")))]
pub(crate) async fn delete_file(
    State(shared): State<Shared>,
    known: Known,
    Path((recording, file)): Path<(RecordingId, FileId)>,
) -> Result<StatusCode, Error> {
    shared.recordings.delete_file(known.caller(), recording, file).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Get a link to a file, for players that cannot send a token. Good for an hour.
#[utoipa::path(post, path = "/recordings/{recordingId}/files/{fileId}/link", tag = "recordings", security(("bearer" = [])),
    params(("recordingId" = RecordingId, Path), ("fileId" = FileId, Path)),
    responses((status = 200, body = FileLink), (status = "default", body = Problem, content_type = "application/problem+json")))]
pub(crate) async fn link(
    State(shared): State<Shared>,
    known: Known,
    Path((recording, file)): Path<(RecordingId, FileId)>,
) -> Result<Json<FileLink>, Error> {
    let Linked { link, expires_at } = shared.recordings.link(known.caller(), recording, file).await?;
    let query = format!("user={}&expires={}&signature={}", link.user, link.expires, link.signature);
    Ok(Json(FileLink { url: format!("/api/v1/recordings/{recording}/files/{file}?{query}"), expires_at }))
}

/// Have one file made of all: a grid with names, who speaks, all voices. Owner and moderators; you are told of the progress by
/// `recording.composed`.
#[utoipa::path(post, path = "/recordings/{recordingId}/composed", tag = "recordings", security(("bearer" = [])), params(("recordingId" = RecordingId, Path)),
    responses((status = 202, body = Composed), (status = "default", body = Problem, content_type = "application/problem+json")))]
pub(crate) async fn compose(
    State(shared): State<Shared>,
    known: Known,
    Path(recording): Path<RecordingId>,
) -> Result<(StatusCode, Json<Composed>), Error> {
    Ok((StatusCode::ACCEPTED, Json(shared.recordings.compose(known.caller(), recording).await?)))
}

/// See how far the one file of all is.
#[utoipa::path(get, path = "/recordings/{recordingId}/composed", tag = "recordings", security(("bearer" = [])), params(("recordingId" = RecordingId, Path)),
    responses((status = 200, body = Composed), (status = "default", body = Problem, content_type = "application/problem+json")))]
pub(crate) async fn composed(
    State(shared): State<Shared>,
    known: Known,
    Path(recording): Path<RecordingId>,
) -> Result<Json<Composed>, Error> {
    Ok(Json(shared.recordings.composed(known.caller(), recording).await?))
}

/// Stop the making of the one file of all. Owner and moderators.
#[utoipa::path(delete, path = "/recordings/{recordingId}/composed", tag = "recordings", security(("bearer" = [])), params(("recordingId" = RecordingId, Path)),
    responses((status = 204), (status = "default", body = Problem, content_type = "application/problem+json")))]
pub(crate) async fn cancel(
    State(shared): State<Shared>,
    known: Known,
    Path(recording): Path<RecordingId>,
) -> Result<StatusCode, Error> {
    shared.recordings.cancel_composing(known.caller(), recording).await?;
    Ok(StatusCode::NO_CONTENT)
}
