//! Whom one does not want to meet: `/api/v1/users/{userId}/block` and `/api/v1/users/me/blocks`.

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use serde::Serialize;
use utoipa::ToSchema;

use super::Shared;
use super::access::Known;
use super::error::{Error, Path, Problem};
use crate::domain::{Time, UserId};

/// Whom one blocks.
#[derive(Serialize, ToSchema)]
pub(crate) struct BlockList {
    /// The latest first, up to 1,000.
    blocks: Vec<Blocked>,
}

/// Somebody whom one blocks.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Blocked {
    /// Whom.
    user_id: UserId,
    /// The name they chose.
    nickname: String,
    /// Since when.
    at: Time,
}

/// Have nothing to do with somebody: no match, no direct message, no call either way. Should they be your partner now, the match is
/// over. They are not told. In rooms that you share your client hides what they write.
#[utoipa::path(put, path = "/users/{userId}/block", tag = "strangers", security(("bearer" = [])), params(("userId" = UserId, Path)),
    responses((status = 204), (status = "default", body = Problem, content_type = "application/problem+json")))]
pub(crate) async fn block(
    State(shared): State<Shared>,
    known: Known,
    Path(user): Path<UserId>,
) -> Result<StatusCode, Error> {
    shared.matching.block(known.caller(), user).await?;
    shared.rooms.part(known.caller().user.id, user).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Take a block back.
#[utoipa::path(delete, path = "/users/{userId}/block", tag = "strangers", security(("bearer" = [])), params(("userId" = UserId, Path)),
    responses((status = 204), (status = "default", body = Problem, content_type = "application/problem+json")))]
pub(crate) async fn unblock(
    State(shared): State<Shared>,
    known: Known,
    Path(user): Path<UserId>,
) -> Result<StatusCode, Error> {
    shared.matching.unblock(known.caller(), user).await?;
    shared.rooms.reconcile(known.caller().user.id, user);
    Ok(StatusCode::NO_CONTENT)
}

/// List whom you block.
#[utoipa::path(get, path = "/users/me/blocks", tag = "strangers", security(("bearer" = [])),
    responses((status = 200, body = BlockList), (status = "default", body = Problem, content_type = "application/problem+json")))]
pub(crate) async fn list(State(shared): State<Shared>, known: Known) -> Result<Json<BlockList>, Error> {
    let blocks = shared.matching.blocks(known.caller()).await?.into_iter();
    let blocks = blocks.map(|it| Blocked { user_id: it.user, nickname: it.nickname, at: it.at }).collect();
    Ok(Json(BlockList { blocks }))
}
