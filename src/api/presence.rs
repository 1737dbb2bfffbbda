//! Who is there: `/api/v1/users/{userId}/presence`.

use axum::Json;
use axum::extract::State;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::Shared;
use super::access::Known;
use super::error::{Body, Error, Path, Problem};
use crate::domain::presence::{Shown, Status, Wish};
use crate::domain::{Refusal, Time, UserId};

/// Somebody as you see them.
#[derive(Serialize, ToSchema)]
pub(crate) struct PresenceOf {
    #[serde(flatten)]
    shown: Shown,
    /// What you want to be seen as; only of yourself.
    #[serde(skip_serializing_if = "Option::is_none")]
    wish: Option<Wish>,
}

/// What you want to be seen as.
#[derive(Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct NewWish {
    /// As what; `online` leaves it to your devices.
    status: Status,
    /// What you say of yourself, up to 100 characters.
    #[serde(default)]
    text: Option<String>,
    /// Until when you say so.
    #[serde(default)]
    text_until: Option<Time>,
}

/// See whether somebody is there with whom you share a room.
#[utoipa::path(get, path = "/users/{userId}/presence", tag = "reading", security(("bearer" = [])), params(("userId" = UserId, Path)),
    responses((status = 200, body = PresenceOf), (status = "default", body = Problem, content_type = "application/problem+json")))]
pub(crate) async fn show(
    State(shared): State<Shared>,
    known: Known,
    Path(user): Path<UserId>,
) -> Result<Json<PresenceOf>, Error> {
    let (shown, wish) = shared.presence.look(known.caller(), user).await?;
    Ok(Json(PresenceOf { shown, wish }))
}

/// Choose what you are seen as, on all your devices.
#[utoipa::path(put, path = "/users/{userId}/presence", tag = "reading", security(("bearer" = [])),
    params(("userId" = UserId, Path)), request_body = NewWish,
    responses((status = 200, body = PresenceOf), (status = "default", body = Problem, content_type = "application/problem+json")))]
pub(crate) async fn choose(
    State(shared): State<Shared>,
    known: Known,
    Path(user): Path<UserId>,
    Body(new): Body<NewWish>,
) -> Result<Json<PresenceOf>, Error> {
    let caller = known.caller();
    if caller.user.id != user {
        return Err(Refusal::NotFound.into());
    }
    let wish = Wish { status: new.status, text: new.text, text_until: new.text_until };
    let is_invisible = shared.presence.wish(caller, wish).await?;
    shared.rooms.hide(user, is_invisible);
    let (shown, wish) = shared.presence.look(caller, user).await?;
    Ok(Json(PresenceOf { shown, wish }))
}
