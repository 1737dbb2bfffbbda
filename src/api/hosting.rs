//! What hosts do to a room's call: `/api/v1/rooms/{roomId}/call/…`, each the same as the frame of that name.

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::Shared;
use super::access::Known;
use super::error::{Body, Error, Path, Problem};
use crate::domain::{HostAct, ParticipantId, RoomId, TrackSource, UserId, Waiter, Whom};

/// Whether everybody is muted.
#[derive(Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct MuteAll {
    /// From now on.
    muted: bool,
    /// Whether they may open their own microphone again; they may, unless this says otherwise.
    #[serde(default = "yes")]
    may_unmute: bool,
}

/// Whether a source is let through.
#[derive(Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Disable {
    /// Whose; everybody's but for hosts'.
    #[schema(required)]
    target: Option<Whom>,
    /// Which.
    source: TrackSource,
    /// From now on.
    disabled: bool,
}

/// Whom everybody is to see.
#[derive(Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Spotlight {
    /// `null`: nobody any more.
    participant_id: Option<ParticipantId>,
}

/// Whether anybody new comes in.
#[derive(Deserialize, ToSchema)]
pub(crate) struct Lock {
    /// From now on.
    locked: bool,
}

/// Whether people are let in one by one.
#[derive(Deserialize, ToSchema)]
pub(crate) struct WaitingRoom {
    /// From now on.
    enabled: bool,
}

/// Who is let in.
#[derive(Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Admit {
    /// Everybody who waits, or one person.
    #[schema(required)]
    target: Option<Whom>,
}

/// Who is not let in.
#[derive(Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Deny {
    /// Who.
    user_id: UserId,
}

/// Who is put out.
#[derive(Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct RemoveFromCall {
    /// Who.
    user_id: UserId,
    /// Whether they may not come back.
    #[serde(default)]
    for_good: bool,
    /// What they are told, if it is for good.
    #[serde(default)]
    reason: Option<String>,
}

/// Who waits to be let in.
#[derive(Serialize, ToSchema)]
pub(crate) struct Waiting {
    /// First come first.
    waiting: Vec<Waiter>,
}

const fn yes() -> bool {
    true
}

async fn act(shared: &Shared, known: &Known, room: RoomId, act: HostAct) -> Result<StatusCode, Error> {
    let seat = shared.rooms.visit(known.caller(), room).await?;
    shared.rooms.host(&seat, act).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Mute everybody but hosts, or end that. Moderators and up; the server drops the packets.
#[utoipa::path(post, path = "/rooms/{roomId}/call/mute-all", tag = "calls", security(("bearer" = [])),
    params(("roomId" = RoomId, Path)), request_body = MuteAll,
    responses((status = 204), (status = "default", body = Problem, content_type = "application/problem+json")))]
pub(crate) async fn mute_all(
    State(shared): State<Shared>,
    known: Known,
    Path(room): Path<RoomId>,
    Body(MuteAll { muted, may_unmute }): Body<MuteAll>,
) -> Result<StatusCode, Error> {
    act(&shared, &known, room, HostAct::MuteAll { muted, may_unmute }).await
}

/// Let nothing of a source through, or let it through again. Moderators and up.
#[utoipa::path(post, path = "/rooms/{roomId}/call/disable", tag = "calls", security(("bearer" = [])),
    params(("roomId" = RoomId, Path)), request_body = Disable,
    responses((status = 204), (status = "default", body = Problem, content_type = "application/problem+json")))]
pub(crate) async fn disable(
    State(shared): State<Shared>,
    known: Known,
    Path(room): Path<RoomId>,
    Body(Disable { target, source, disabled }): Body<Disable>,
) -> Result<StatusCode, Error> {
    act(&shared, &known, room, HostAct::Disable { target: Whom::said(target)?, source, disabled }).await
}

/// Show one participant to everybody. Moderators and up.
#[utoipa::path(post, path = "/rooms/{roomId}/call/spotlight", tag = "calls", security(("bearer" = [])),
    params(("roomId" = RoomId, Path)), request_body = Spotlight,
    responses((status = 204), (status = "default", body = Problem, content_type = "application/problem+json")))]
pub(crate) async fn spotlight(
    State(shared): State<Shared>,
    known: Known,
    Path(room): Path<RoomId>,
    Body(Spotlight { participant_id }): Body<Spotlight>,
) -> Result<StatusCode, Error> {
    act(&shared, &known, room, HostAct::Spotlight { participant_id }).await
}

/// Let nobody new in, or again. Moderators and up.
#[utoipa::path(post, path = "/rooms/{roomId}/call/lock", tag = "calls", security(("bearer" = [])),
    params(("roomId" = RoomId, Path)), request_body = Lock,
    responses((status = 204), (status = "default", body = Problem, content_type = "application/problem+json")))]
pub(crate) async fn lock(
    State(shared): State<Shared>,
    known: Known,
    Path(room): Path<RoomId>,
    Body(Lock { locked }): Body<Lock>,
) -> Result<StatusCode, Error> {
    act(&shared, &known, room, HostAct::Lock { locked }).await
}

/// Let people in one by one, or all at once again. Moderators and up.
#[utoipa::path(post, path = "/rooms/{roomId}/call/waiting-room", tag = "calls", security(("bearer" = [])),
    params(("roomId" = RoomId, Path)), request_body = WaitingRoom,
    responses((status = 204), (status = "default", body = Problem, content_type = "application/problem+json")))]
pub(crate) async fn waiting_room(
    State(shared): State<Shared>,
    known: Known,
    Path(room): Path<RoomId>,
    Body(WaitingRoom { enabled }): Body<WaitingRoom>,
) -> Result<StatusCode, Error> {
    act(&shared, &known, room, HostAct::WaitingRoom { enabled }).await
}

/// List who waits to be let in. Moderators and up.
#[utoipa::path(get, path = "/rooms/{roomId}/call/waiting", tag = "calls", security(("bearer" = [])),
    params(("roomId" = RoomId, Path)),
    responses((status = 200, body = Waiting), (status = "default", body = Problem, content_type = "application/problem+json")))]
pub(crate) async fn waiting(
    State(shared): State<Shared>,
    known: Known,
    Path(room): Path<RoomId>,
) -> Result<Json<Waiting>, Error> {
    let seat = shared.rooms.visit(known.caller(), room).await?;
    Ok(Json(Waiting { waiting: shared.rooms.waiters(&seat).await? }))
}

/// Let in who waits. Moderators and up.
#[utoipa::path(post, path = "/rooms/{roomId}/call/admit", tag = "calls", security(("bearer" = [])),
    params(("roomId" = RoomId, Path)), request_body = Admit,
    responses((status = 204), (status = "default", body = Problem, content_type = "application/problem+json")))]
pub(crate) async fn admit(
    State(shared): State<Shared>,
    known: Known,
    Path(room): Path<RoomId>,
    Body(Admit { target }): Body<Admit>,
) -> Result<StatusCode, Error> {
    act(&shared, &known, room, HostAct::Admit { target: Whom::said(target)? }).await
}

/// Send away who waits. Moderators and up.
#[utoipa::path(post, path = "/rooms/{roomId}/call/deny", tag = "calls", security(("bearer" = [])),
    params(("roomId" = RoomId, Path)), request_body = Deny,
    responses((status = 204), (status = "default", body = Problem, content_type = "application/problem+json")))]
pub(crate) async fn deny(
    State(shared): State<Shared>,
    known: Known,
    Path(room): Path<RoomId>,
    Body(Deny { user_id }): Body<Deny>,
) -> Result<StatusCode, Error> {
    act(&shared, &known, room, HostAct::Deny { user_id }).await
}

/// Put somebody out of the call. Moderators and up, and only whom one outranks.
#[utoipa::path(post, path = "/rooms/{roomId}/call/remove", tag = "calls", security(("bearer" = [])),
    params(("roomId" = RoomId, Path)), request_body = RemoveFromCall,
    responses((status = 204), (status = "default", body = Problem, content_type = "application/problem+json")))]
pub(crate) async fn remove(
    State(shared): State<Shared>,
    known: Known,
    Path(room): Path<RoomId>,
    Body(RemoveFromCall { user_id, for_good, reason }): Body<RemoveFromCall>,
) -> Result<StatusCode, Error> {
    act(&shared, &known, room, HostAct::Remove { user_id, for_good, reason }).await
}

/// End the call for everybody. Admins and the owner.
#[utoipa::path(post, path = "/rooms/{roomId}/call/end", tag = "calls", security(("bearer" = [])),
    params(("roomId" = RoomId, Path)),
    responses((status = 204), (status = "default", body = Problem, content_type = "application/problem+json")))]
pub(crate) async fn end(
    State(shared): State<Shared>,
    known: Known,
    Path(room): Path<RoomId>,
) -> Result<StatusCode, Error> {
    act(&shared, &known, room, HostAct::End).await
}
