//! Webhooks: `/api/v1/webhooks`.

use axum::Json;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse as _, Response};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use super::Shared;
use super::access::Known;
use super::error::{Body, Error, Path, Problem, Query};
use super::etags;
use crate::domain::webhook::{Delivery, DeliveryState, DisabledReason, Webhook, WebhookEvent};
use crate::domain::{DeliveryId, Refusal, RoomId, Time, UserId, WebhookId};
use crate::webhooks::{DELIVERIES_LIMIT, NewWebhook, WebhookChange};

/// A webhook to be made.
#[derive(Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct WantedWebhook {
    /// Of which room; of all when none is named.
    #[serde(default)]
    room_id: Option<RoomId>,
    /// Where to: `https`, or `http` to networks that the operator names.
    #[schema(example = "https://example.org/parlor")]
    url: String,
    /// Which events, at least one.
    #[schema(min_items = 1)]
    events: Vec<WebhookEvent>,
}

/// What is to be another of a webhook. What is not named stays.
#[derive(Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct ChangedWebhook {
    /// Where to.
    #[serde(default)]
    url: Option<String>,
    /// Which events, at least one.
    #[serde(default)]
    events: Option<Vec<WebhookEvent>>,
    /// Whether anything is sent. Switched on again, it goes on where it was.
    #[serde(default)]
    enabled: Option<bool>,
}

/// A webhook, without its secret.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct SeenWebhook {
    /// Which.
    webhook_id: WebhookId,
    /// Of which room; `null`: of all.
    room_id: Option<RoomId>,
    /// Where to.
    url: String,
    /// Which events.
    events: Vec<WebhookEvent>,
    /// Who answers for it: who made it, or gave it another address since. Nothing is sent once they may keep it no more.
    created_by: UserId,
    /// Since when.
    created_at: Time,
    /// Whether anything is sent.
    enabled: bool,
    /// Since when nothing is; `null`: it is.
    disabled_at: Option<Time>,
    /// Why nothing is.
    disabled_reason: Option<DisabledReason>,
    /// Since when nothing has arrived; `null`: what was sent last did.
    failing_since: Option<Time>,
}

impl From<Webhook> for SeenWebhook {
    fn from(it: Webhook) -> Self {
        Self {
            webhook_id: it.id,
            room_id: it.room,
            url: it.url,
            events: it.events,
            created_by: it.created_by,
            created_at: it.created_at,
            enabled: it.disabled.is_none(),
            disabled_at: it.disabled.map(|it| it.at),
            disabled_reason: it.disabled.map(|it| it.reason),
            failing_since: it.failing_since,
        }
    }
}

/// A webhook that was just made.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct MadeWebhook {
    #[serde(flatten)]
    webhook: SeenWebhook,
    /// What events are signed with. It is told now and never again.
    #[schema(example = "whsec_C2FVsBQIhrscChlQIMV+b5sSYspob7oD…")]
    secret: String,
}

/// Webhooks.
#[derive(Serialize, ToSchema)]
pub(crate) struct WebhookList {
    /// Oldest first, all of them.
    items: Vec<SeenWebhook>,
}

/// Another secret.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct RotatedSecret {
    /// What events are signed with from now on; for 24 hours with the former one as well.
    secret: String,
}

/// An event that was given up.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct SeenDelivery {
    /// Which.
    delivery_id: DeliveryId,
    /// Where it happened.
    room_id: RoomId,
    /// Its place in that room's stream.
    offset: u64,
    /// What happened.
    event: WebhookEvent,
    /// What became of it.
    state: DeliveryState,
    /// How often it was tried.
    attempts: u32,
    /// What the receiver answered last; `null`: nothing.
    status: Option<u16>,
    /// What went wrong last.
    error: Option<String>,
    /// When it was given up.
    created_at: Time,
    /// When it was tried last.
    updated_at: Time,
}

impl From<Delivery> for SeenDelivery {
    fn from(it: Delivery) -> Self {
        Self {
            delivery_id: it.id,
            room_id: it.room,
            offset: it.offset,
            event: it.event,
            state: it.state,
            attempts: it.attempts,
            status: it.status,
            error: it.error,
            created_at: it.created_at,
            updated_at: it.updated_at,
        }
    }
}

/// Events that were given up.
#[derive(Serialize, ToSchema)]
pub(crate) struct DeliveryList {
    /// The latest first.
    items: Vec<SeenDelivery>,
    /// Where the next page begins; `null`: there is none.
    next: Option<DeliveryId>,
}

/// Whose webhooks.
#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(rename_all = "camelCase")]
pub(crate) struct OfWhere {
    /// Of which room; those of all rooms when none is named.
    room_id: Option<RoomId>,
}

/// Which deliveries.
#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(crate) struct WhichDeliveries {
    /// In which state; `dead` when none is named.
    state: Option<DeliveryState>,
    /// `next` of the page before.
    before: Option<DeliveryId>,
    /// How many at most: 1 to 100.
    #[param(minimum = 1, maximum = 100)]
    limit: Option<u32>,
}

/// Have a room's events sent to an address, or those of all rooms. Owners, for their room; administrators, for all.
#[utoipa::path(post, path = "/webhooks", tag = "programs", security(("bearer" = [])), request_body = WantedWebhook,
    responses((status = 201, body = MadeWebhook), (status = "default", body = Problem, content_type = "application/problem+json")))]
pub(crate) async fn create(
    State(shared): State<Shared>,
    known: Known,
    Body(WantedWebhook { room_id, url, events }): Body<WantedWebhook>,
) -> Result<Response, Error> {
    let (webhook, secret) = shared.webhooks.create(known.caller(), NewWebhook { room: room_id, url, events }).await?;
    let tag = tag(&webhook);
    let made = MadeWebhook { webhook: webhook.into(), secret };
    Ok((StatusCode::CREATED, [(header::CACHE_CONTROL, "no-store".to_owned()), (header::ETAG, tag)], Json(made))
        .into_response())
}

/// List the webhooks of a room, or those of all rooms.
#[utoipa::path(get, path = "/webhooks", tag = "programs", security(("bearer" = [])), params(OfWhere),
    responses((status = 200, body = WebhookList), (status = "default", body = Problem, content_type = "application/problem+json")))]
pub(crate) async fn list(
    State(shared): State<Shared>,
    known: Known,
    Query(of): Query<OfWhere>,
) -> Result<Json<WebhookList>, Error> {
    let found = shared.webhooks.list(known.caller(), of.room_id).await?;
    Ok(Json(WebhookList { items: found.into_iter().map(SeenWebhook::from).collect() }))
}

/// See a webhook.
#[utoipa::path(get, path = "/webhooks/{webhookId}", tag = "programs", security(("bearer" = [])),
    params(("webhookId" = WebhookId, Path)),
    responses((status = 200, body = SeenWebhook, headers(("ETag" = String, description = "The webhook's revision."))),
        (status = "default", body = Problem, content_type = "application/problem+json")))]
pub(crate) async fn show(
    State(shared): State<Shared>,
    known: Known,
    Path(webhook): Path<WebhookId>,
) -> Result<Response, Error> {
    Ok(seen(shared.webhooks.show(known.caller(), webhook).await?))
}

/// Change a webhook. With `If-Match`, only if it is still what you saw.
#[utoipa::path(patch, path = "/webhooks/{webhookId}", tag = "programs", security(("bearer" = [])),
    params(("webhookId" = WebhookId, Path), ("If-Match" = Option<String>, Header, description = "The ETag of what you saw")),
    request_body = ChangedWebhook,
    responses((status = 200, body = SeenWebhook, headers(("ETag" = String, description = "The webhook's revision."))),
        (status = "default", body = Problem, content_type = "application/problem+json")))]
pub(crate) async fn change(
    State(shared): State<Shared>,
    known: Known,
    Path(webhook): Path<WebhookId>,
    headers: HeaderMap,
    Body(ChangedWebhook { url, events, enabled }): Body<ChangedWebhook>,
) -> Result<Response, Error> {
    let now = async || {
        let revision = shared.webhooks.show(known.caller(), webhook).await?.revision;
        Ok(i64::try_from(revision).unwrap_or(i64::MAX))
    };
    let change = WebhookChange { url, events, enabled };
    let changed = async {
        let revision = etags::seen(&headers, now()).await?.map(u64::try_from);
        let revision = revision.transpose().map_err(|_| Refusal::Outdated)?;
        shared.webhooks.change(known.caller(), webhook, change, revision).await
    };
    match changed.await {
        Ok(webhook) => Ok(seen(webhook)),
        Err(Refusal::Outdated) => Ok(etags::outdated(etags::quoted(now().await?))),
        Err(refusal) => Err(refusal.into()),
    }
}

/// Make another secret for a webhook. For 24 hours events are signed with both.
#[utoipa::path(post, path = "/webhooks/{webhookId}/secret", tag = "programs", security(("bearer" = [])),
    params(("webhookId" = WebhookId, Path)),
    responses((status = 200, body = RotatedSecret), (status = "default", body = Problem, content_type = "application/problem+json")))]
pub(crate) async fn rotate(
    State(shared): State<Shared>,
    known: Known,
    Path(webhook): Path<WebhookId>,
) -> Result<Response, Error> {
    let secret = shared.webhooks.rotate(known.caller(), webhook).await?;
    Ok(([(header::CACHE_CONTROL, "no-store")], Json(RotatedSecret { secret })).into_response())
}

/// Delete a webhook. Nothing more is sent.
#[utoipa::path(delete, path = "/webhooks/{webhookId}", tag = "programs", security(("bearer" = [])),
    params(("webhookId" = WebhookId, Path)),
    responses((status = 204), (status = "default", body = Problem, content_type = "application/problem+json")))]
pub(crate) async fn remove(
    State(shared): State<Shared>,
    known: Known,
    Path(webhook): Path<WebhookId>,
) -> Result<StatusCode, Error> {
    shared.webhooks.remove(known.caller(), webhook).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// List the events of a webhook that were given up, the latest first. They are kept for 30 days.
#[utoipa::path(get, path = "/webhooks/{webhookId}/deliveries", tag = "programs", security(("bearer" = [])),
    params(("webhookId" = WebhookId, Path), WhichDeliveries),
    responses((status = 200, body = DeliveryList), (status = "default", body = Problem, content_type = "application/problem+json")))]
pub(crate) async fn deliveries(
    State(shared): State<Shared>,
    known: Known,
    Path(webhook): Path<WebhookId>,
    Query(WhichDeliveries { state, before, limit }): Query<WhichDeliveries>,
) -> Result<Json<DeliveryList>, Error> {
    let limit = limit.unwrap_or(DELIVERIES_LIMIT).clamp(1, DELIVERIES_LIMIT);
    let state = state.unwrap_or(DeliveryState::Dead);
    let found = shared.webhooks.deliveries(known.caller(), webhook, state, before, limit).await?;
    let next = found.last().filter(|_| found.len() >= limit as usize).map(|it| it.id);
    Ok(Json(DeliveryList { items: found.into_iter().map(SeenDelivery::from).collect(), next }))
}

/// Send an event once more that was given up. It goes at once, whatever else is on its way; the answer says what came of it.
#[utoipa::path(post, path = "/webhooks/{webhookId}/deliveries/{deliveryId}/replay", tag = "programs", security(("bearer" = [])),
    params(("webhookId" = WebhookId, Path), ("deliveryId" = DeliveryId, Path)),
    responses((status = 200, body = SeenDelivery), (status = "default", body = Problem, content_type = "application/problem+json")))]
pub(crate) async fn replay(
    State(shared): State<Shared>,
    known: Known,
    Path((webhook, delivery)): Path<(WebhookId, DeliveryId)>,
) -> Result<Json<SeenDelivery>, Error> {
    Ok(Json(shared.webhooks.replay(known.caller(), webhook, delivery).await?.into()))
}

fn seen(webhook: Webhook) -> Response {
    let tag = tag(&webhook);
    ([(header::ETAG, tag)], Json(SeenWebhook::from(webhook))).into_response()
}

fn tag(webhook: &Webhook) -> String {
    format!("\"{}\"", webhook.revision)
}
