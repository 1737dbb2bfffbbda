//! Keeping order in a room: who belongs to it at `/api/v1/rooms/{roomId}/roster`, kicks, mutes, bans.

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use super::Shared;
use super::access::Known;
use super::cursor::Place;
use super::error::{Body, Error, Path, Problem, Query};
use crate::domain::{Role, RoomId, Time, UserId, trust::Earned};

/// How many are on a page when the client names no number.
const PAGE: u32 = 50;

/// Somebody who belongs to a room.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(super) struct Belonging {
    /// Who.
    user_id: UserId,
    /// The name they chose.
    nickname: String,
    /// What they may do.
    role: Role,
    /// Since when.
    joined_at: Time,
    /// Until when they have no voice; `null`: they have one.
    #[schema(required)]
    muted_until: Option<Time>,
    /// Whether they are there now.
    online: bool,
}

/// Who belongs to a room.
#[derive(Serialize, ToSchema)]
pub(super) struct Roster {
    /// In the order in which they joined.
    items: Vec<Belonging>,
    /// The cursor of the next page; `null`: this is the last.
    #[schema(required)]
    next: Option<Place>,
}

/// Somebody who may not come back.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(super) struct Outcast {
    /// Who.
    user_id: UserId,
    /// The name they chose.
    nickname: String,
    /// Who decided it.
    banned_by: UserId,
    /// What they said.
    #[schema(required)]
    reason: Option<String>,
    /// Since when.
    created_at: Time,
    /// Until when; `null`: for good.
    #[schema(required)]
    until: Option<Time>,
}

/// Who may not come back.
#[derive(Serialize, ToSchema)]
pub(super) struct Outcasts {
    /// The last first.
    items: Vec<Outcast>,
    /// The cursor of the next page; `null`: this is the last.
    #[schema(required)]
    next: Option<Place>,
}

/// Which page.
#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(super) struct Which {
    /// `next` of the page before.
    cursor: Option<Place>,
    /// How many, 1 to 100; 50 when not named.
    limit: Option<u32>,
}

/// Why somebody is put out.
#[derive(Default, Deserialize, ToSchema)]
pub(super) struct Kick {
    /// What they are told, up to 500 characters.
    reason: Option<String>,
}

/// Until when somebody has no voice.
#[derive(Deserialize, ToSchema)]
pub(super) struct Mute {
    /// Within four weeks; `null`: they have a voice again.
    #[schema(required)]
    until: Option<Time>,
}

/// Why and until when somebody is kept out.
#[derive(Default, Deserialize, ToSchema)]
pub(super) struct RoomBan {
    /// What they are told, up to 500 characters.
    reason: Option<String>,
    /// Until when; for good when not named.
    until: Option<Time>,
}

/// List who belongs to a room, there or not. Its members.
#[utoipa::path(get, path = "/rooms/{roomId}/roster", tag = "members", security(("bearer" = [])),
    params(("roomId" = RoomId, Path), Which),
    responses((status = 200, body = Roster), (status = "default", body = Problem, content_type = "application/problem+json")))]
pub(super) async fn roster(
    State(shared): State<Shared>,
    known: Known,
    Path(room): Path<RoomId>,
    Query(which): Query<Which>,
) -> Result<Json<Roster>, Error> {
    let seat = shared.rooms.visit(known.caller(), room).await?;
    let limit = which.limit.unwrap_or(PAGE);
    let found = shared.rooms.roster(&seat, which.cursor.map(Place::after), limit).await?;
    let next = Place::next(&found, limit, |(it, _)| (it.joined_at, it.user));
    let now = Time::now();
    let items = found.into_iter().map(|(it, online)| Belonging {
        user_id: it.user,
        nickname: it.nickname,
        role: it.role,
        joined_at: it.joined_at,
        muted_until: it.muted_until.filter(|until| *until > now),
        online,
    });
    Ok(Json(Roster { items: items.collect(), next }))
}

/// Put somebody out of the room, who may come back. Moderators and up.
#[utoipa::path(post, path = "/rooms/{roomId}/members/{userId}/kick", tag = "members", security(("bearer" = [])),
    params(("roomId" = RoomId, Path), ("userId" = UserId, Path)), request_body = Kick,
    responses((status = 204), (status = "default", body = Problem, content_type = "application/problem+json")))]
pub(super) async fn kick(
    State(shared): State<Shared>,
    known: Known,
    Path((room, user)): Path<(RoomId, UserId)>,
    Body(Kick { reason }): Body<Kick>,
) -> Result<StatusCode, Error> {
    let seat = shared.rooms.visit(known.caller(), room).await?;
    shared.rooms.kick(&seat, user, reason).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Take somebody's voice in the room for a time, or give it back. Moderators and up.
#[utoipa::path(put, path = "/rooms/{roomId}/members/{userId}/mute", tag = "members", security(("bearer" = [])),
    params(("roomId" = RoomId, Path), ("userId" = UserId, Path)), request_body = Mute,
    responses((status = 204), (status = "default", body = Problem, content_type = "application/problem+json")))]
pub(super) async fn mute(
    State(shared): State<Shared>,
    known: Known,
    Path((room, user)): Path<(RoomId, UserId)>,
    Body(Mute { until }): Body<Mute>,
) -> Result<StatusCode, Error> {
    let seat = shared.rooms.visit(known.caller(), room).await?;
    shared.rooms.mute_member(&seat, user, until).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Keep somebody out of the room, for a time or for good. Moderators and up.
#[utoipa::path(put, path = "/rooms/{roomId}/bans/{userId}", tag = "members", security(("bearer" = [])),
    params(("roomId" = RoomId, Path), ("userId" = UserId, Path)), request_body = RoomBan,
    responses((status = 204), (status = "default", body = Problem, content_type = "application/problem+json")))]
pub(super) async fn ban(
    State(shared): State<Shared>,
    known: Known,
    Path((room, user)): Path<(RoomId, UserId)>,
    Body(RoomBan { reason, until }): Body<RoomBan>,
) -> Result<StatusCode, Error> {
    let seat = shared.rooms.visit(known.caller(), room).await?;
    shared.rooms.ban_member(&seat, user, reason, until).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Let somebody come back. Moderators and up.
#[utoipa::path(delete, path = "/rooms/{roomId}/bans/{userId}", tag = "members", security(("bearer" = [])),
    params(("roomId" = RoomId, Path), ("userId" = UserId, Path)),
    responses((status = 204), (status = "default", body = Problem, content_type = "application/problem+json")))]
pub(super) async fn unban(
    State(shared): State<Shared>,
    known: Known,
    Path((room, user)): Path<(RoomId, UserId)>,
) -> Result<StatusCode, Error> {
    let seat = shared.rooms.visit(known.caller(), room).await?;
    shared.rooms.readmit(&seat, user).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// List who is kept out of the room. Moderators and up.
#[utoipa::path(get, path = "/rooms/{roomId}/bans", tag = "members", security(("bearer" = [])),
    params(("roomId" = RoomId, Path), Which),
    responses((status = 200, body = Outcasts), (status = "default", body = Problem, content_type = "application/problem+json")))]
pub(super) async fn bans(
    State(shared): State<Shared>,
    known: Known,
    Path(room): Path<RoomId>,
    Query(which): Query<Which>,
) -> Result<Json<Outcasts>, Error> {
    let seat = shared.rooms.visit(known.caller(), room).await?;
    let limit = which.limit.unwrap_or(PAGE);
    let found = shared.rooms.outcasts(&seat, which.cursor.map(Place::after), limit).await?;
    let next = Place::next(&found, limit, |it| (it.at, it.user));
    let items = found.into_iter().map(|it| Outcast {
        user_id: it.user,
        nickname: it.nickname,
        banned_by: it.by,
        reason: it.reason,
        created_at: it.at,
        until: it.until,
    });
    Ok(Json(Outcasts { items: items.collect(), next }))
}

/// What you have shown of yourself, and what is missing for more.
#[utoipa::path(get, path = "/users/me/trust", tag = "members", security(("bearer" = [])),
    responses((status = 200, body = Earned), (status = "default", body = Problem, content_type = "application/problem+json")))]
pub(super) async fn trust(State(shared): State<Shared>, known: Known) -> Result<Json<Earned>, Error> {
    Ok(Json(shared.rooms.earned(known.caller().user.id).await?))
}
