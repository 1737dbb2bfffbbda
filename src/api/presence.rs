//! Who is there: `/api/v1/users/{userId}/presence`.

use axum::Json;
use axum::extract::State;
use axum::http::HeaderMap;
use axum::response::{IntoResponse as _, Response};
use ring::digest;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::Shared;
use super::access::Known;
use super::error::{Body, Error, Path, Problem};
use super::etags;
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
    responses((status = 200, body = PresenceOf, headers(("ETag" = String, description = "Of what you chose; only of yourself."))),
        (status = "default", body = Problem, content_type = "application/problem+json")))]
pub(crate) async fn show(
    State(shared): State<Shared>,
    known: Known,
    Path(user): Path<UserId>,
) -> Result<Response, Error> {
    let (shown, wish) = shared.presence.look(known.caller(), user).await?;
    Ok(tagged(PresenceOf { shown, wish }))
}

/// Choose what you are seen as, on all your devices; with `If-Match`, only while you are seen as what you saw.
#[utoipa::path(put, path = "/users/{userId}/presence", tag = "reading", security(("bearer" = [])),
    params(("userId" = UserId, Path), ("If-Match" = Option<String>, Header)), request_body = NewWish,
    responses((status = 200, body = PresenceOf, headers(("ETag" = String, description = "Of what you chose."))),
        (status = "default", body = Problem, content_type = "application/problem+json")))]
pub(crate) async fn choose(
    State(shared): State<Shared>,
    known: Known,
    Path(user): Path<UserId>,
    headers: HeaderMap,
    Body(new): Body<NewWish>,
) -> Result<Response, Error> {
    let caller = known.caller();
    if caller.user.id != user {
        return Err(Refusal::NotFound.into());
    }
    let wish = Wish { status: new.status, text: new.text, text_until: new.text_until };
    let known = async || Ok::<Wish, Refusal>(shared.presence.look(caller, user).await?.1.unwrap_or_default());
    let chosen = async {
        let before = known().await?;
        let seen = etags::seen(&headers, std::future::ready(Ok(number_of(&before)))).await?;
        if seen.is_some_and(|seen| seen != number_of(&before)) {
            return Err(Refusal::Outdated);
        }
        shared.presence.wish(caller, wish, seen.map(|_| &before)).await
    };
    let is_invisible = match chosen.await {
        Ok(is_invisible) => is_invisible,
        Err(Refusal::Outdated) => return Ok(etags::outdated(etags::quoted(number_of(&known().await?)))),
        Err(refusal) => return Err(refusal.into()),
    };
    shared.rooms.hide(user, is_invisible);
    let (shown, wish) = shared.presence.look(caller, user).await?;
    Ok(tagged(PresenceOf { shown, wish }))
}

fn tagged(presence: PresenceOf) -> Response {
    let number = presence.wish.as_ref().map(number_of);
    let response = Json(presence).into_response();
    match number {
        Some(number) => etags::with_tag(etags::quoted(number), response),
        None => response,
    }
}

/// What tells one wish from another.
fn number_of(wish: &Wish) -> i64 {
    let said = serde_json::to_vec(wish).expect("a wish is JSON");
    let hash = digest::digest(&digest::SHA256, &said);
    hash.as_ref()[..7].iter().fold(0, |number, byte| number << 8 | i64::from(*byte))
}
