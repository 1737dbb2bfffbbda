//! For operators: `/health`, `/ready`, `/metrics`.

use std::time::{Duration, Instant};

use axum::Json;
use axum::extract::State;
use axum::http::request::Parts;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde::Serialize;
use tokio::sync::Mutex;
use utoipa::ToSchema;

use super::Shared;
use super::access::Known;
use super::client::Client;
use super::error::{Error, Problem};
use crate::domain::SiteRole;
use crate::moderation::{Condition, Status};

/// How the server is.
#[derive(Serialize, ToSchema)]
pub(crate) struct Health {
    /// `ok`, or `unavailable`.
    #[schema(example = "ok")]
    status: &'static str,
    /// What is wrong, for operators.
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<String>,
    /// How the sampling of video fares: calls go on without it.
    #[serde(skip_serializing_if = "Option::is_none")]
    moderation: Option<Watching>,
    /// Whether the other nodes can be heard: `ok`, or `away`. Messages go on without. Not told by an only node.
    #[serde(skip_serializing_if = "Option::is_none")]
    bus: Option<&'static str>,
    /// The program's version.
    version: &'static str,
}

/// How the sampling of video fares.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Watching {
    state: Condition,
    /// Why it is not `ok`, in sentences.
    reasons: Vec<String>,
    /// Tracks that nobody knows what they show.
    unsampled_tracks: u64,
}

fn health(status: &'static str, reason: Option<String>, moderation: Option<Watching>) -> Health {
    Health { status, reason, moderation, bus: None, version: env!("CARGO_PKG_VERSION") }
}

/// With what is known of the media's watchers and of the other nodes.
fn readiness(status: &'static str, reason: Option<String>, shared: &Shared) -> Json<Health> {
    let bus = shared.rooms.hears_other_nodes().map(|hears| if hears { "ok" } else { "away" });
    Json(Health { bus, ..health(status, reason, watching(shared)) })
}

fn watching(shared: &Shared) -> Option<Watching> {
    let Status { state, reasons, unsampled_tracks, .. } = shared.moderation.status();
    Some(Watching { state, reasons, unsampled_tracks })
}

/// Does the process live? It answers, so it does: an orchestrator that gets no answer starts another.
#[utoipa::path(get, path = "/health", tag = "operate", responses((status = 200, body = Health)))]
pub(crate) async fn live() -> Json<Health> {
    Json(health("ok", None, None))
}

/// What `/ready` found last, so that many who ask do not make the database work.
#[derive(Default)]
pub(crate) struct Readiness(Mutex<Option<(Instant, Result<(), String>)>>);

/// How long a finding is good.
const GOOD_FOR: Duration = Duration::from_secs(1);

impl Readiness {
    async fn find(&self, shared: &Shared) -> Result<(), String> {
        // Whoever asks meanwhile waits here for the same finding.
        let mut last = self.0.lock().await;
        if let Some((at, found)) = &*last
            && at.elapsed() < GOOD_FOR
        {
            return found.clone();
        }
        let found = shared.rooms.health().await;
        *last = Some((Instant::now(), found.clone()));
        found
    }
}

/// Can it serve? The database answers and the media threads run. That nobody looks at pictures is told, and is no reason to restart.
#[utoipa::path(get, path = "/ready", tag = "operate", responses((status = 200, body = Health), (status = 503, body = Health)))]
pub(crate) async fn ready(State(shared): State<Shared>) -> Response {
    match shared.readiness.find(&shared).await {
        Ok(()) => readiness("ok", None, &shared).into_response(),
        Err(reason) => {
            let body = readiness("unavailable", Some(reason), &shared);
            (StatusCode::SERVICE_UNAVAILABLE, body).into_response()
        }
    }
}

/// Every figure, in Prometheus' text format. For this machine, the networks that the operator names, and moderators.
#[utoipa::path(get, path = "/metrics", tag = "operate", security((), ("bearer" = [])),
    responses((status = 200, body = String, content_type = "text/plain"),
        (status = "default", body = Problem, content_type = "application/problem+json")))]
pub(crate) async fn metrics(State(shared): State<Shared>, client: Client, parts: Parts) -> Result<Response, Error> {
    let from_here = client.is_local || shared.config.metrics_from.iter().any(|net| net.contains(&client.address));
    if !from_here {
        let Known(access) = Known::of(&parts, &client, &shared).await?;
        if access.caller.user.role < SiteRole::Moderator {
            return Err(Error::not_an_operator());
        }
    }
    let kind =
        [(header::CONTENT_TYPE, "text/plain; version=0.0.4; charset=utf-8"), (header::CACHE_CONTROL, "no-store")];
    Ok((kind, shared.recorder.render()).into_response())
}
