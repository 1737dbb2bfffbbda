//! Who is in a room, and the host's rights: `/api/v1/rooms/{roomId}/members`; roles on the site: `/api/v1/users/{userId}/role`.

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use super::Shared;
use super::access::Known;
use super::error::{Body, Error, Path, Problem, Query};
use crate::domain::{Member, Role, RoomId, SiteRole, User, UserId};

/// Who is in a room.
#[derive(Serialize, ToSchema)]
pub(crate) struct MemberList {
    members: Vec<Member>,
}

/// A role in a room.
#[derive(Deserialize, ToSchema)]
pub(crate) struct NewRole {
    /// From now on.
    role: Role,
}

/// A role on the site.
#[derive(Deserialize, ToSchema)]
pub(crate) struct NewSiteRole {
    /// From now on.
    role: SiteRole,
}

/// Why somebody is removed.
#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(crate) struct Why {
    /// What they are told.
    reason: Option<String>,
}

/// List the members.
#[utoipa::path(get, path = "/rooms/{roomId}/members", tag = "members", security(("bearer" = [])), params(("roomId" = RoomId, Path)),
    responses((status = 200, body = MemberList), (status = "default", body = Problem, content_type = "application/problem+json")))]
pub(crate) async fn list(
    State(shared): State<Shared>,
    known: Known,
    Path(room): Path<RoomId>,
) -> Result<Json<MemberList>, Error> {
    Ok(Json(MemberList { members: shared.rooms.members(known.caller(), room).await? }))
}

/// Put somebody out of the room. Moderators and up.
#[utoipa::path(delete, path = "/rooms/{roomId}/members/{userId}", tag = "members", security(("bearer" = [])),
    params(("roomId" = RoomId, Path), ("userId" = UserId, Path), Why),
    responses((status = 204), (status = "default", body = Problem, content_type = "application/problem+json")))]
pub(crate) async fn remove(
    State(shared): State<Shared>,
    known: Known,
    Path((room, user)): Path<(RoomId, UserId)>,
    Query(why): Query<Why>,
) -> Result<StatusCode, Error> {
    let seat = shared.rooms.visit(known.caller(), room).await?;
    shared.rooms.remove_member(&seat, user, why.reason).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Give somebody a role in the room. Owner and admins.
#[utoipa::path(put, path = "/rooms/{roomId}/members/{userId}/role", tag = "members", security(("bearer" = [])),
    params(("roomId" = RoomId, Path), ("userId" = UserId, Path)), request_body = NewRole,
    responses((status = 204), (status = "default", body = Problem, content_type = "application/problem+json")))]
pub(crate) async fn set_role(
    State(shared): State<Shared>,
    known: Known,
    Path((room, user)): Path<(RoomId, UserId)>,
    Body(new): Body<NewRole>,
) -> Result<StatusCode, Error> {
    let seat = shared.rooms.visit(known.caller(), room).await?;
    shared.rooms.set_member_role(&seat, user, new.role).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Give somebody a role on the whole site. Administrators.
#[utoipa::path(put, path = "/users/{userId}/role", tag = "members", security(("bearer" = [])),
    params(("userId" = UserId, Path)), request_body = NewSiteRole,
    responses((status = 200, body = User), (status = "default", body = Problem, content_type = "application/problem+json")))]
pub(crate) async fn set_site_role(
    State(shared): State<Shared>,
    known: Known,
    Path(user): Path<UserId>,
    Body(new): Body<NewSiteRole>,
) -> Result<Json<User>, Error> {
    Ok(Json(shared.auth.set_site_role(known.caller(), user, new.role).await?))
}
