//! For operators: `/health`, `/ready`, `/metrics`.

use axum::Json;
use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde::Serialize;
use utoipa::ToSchema;

use super::Shared;

/// How the server is.
#[derive(Serialize, ToSchema)]
pub(crate) struct Health {
    /// `ok`, or `unavailable`.
    #[schema(example = "ok")]
    status: &'static str,
    /// What is wrong, for operators.
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<String>,
    /// The program's version.
    version: &'static str,
}

fn health(status: &'static str, reason: Option<String>) -> Json<Health> {
    Json(Health { status, reason, version: env!("CARGO_PKG_VERSION") })
}

/// Does the process live? It answers, so it does: an orchestrator that gets no answer starts another.
#[utoipa::path(get, path = "/health", tag = "operate", responses((status = 200, body = Health)))]
pub(crate) async fn live() -> Json<Health> {
    health("ok", None)
}

/// Can it serve? The database answers and the media threads run.
#[utoipa::path(get, path = "/ready", tag = "operate", responses((status = 200, body = Health), (status = 503, body = Health)))]
pub(crate) async fn ready(State(shared): State<Shared>) -> Response {
    match shared.rooms.health().await {
        Ok(()) => health("ok", None).into_response(),
        Err(reason) => (StatusCode::SERVICE_UNAVAILABLE, health("unavailable", Some(reason))).into_response(),
    }
}

/// Every figure, in Prometheus' text format.
#[utoipa::path(get, path = "/metrics", tag = "operate", responses((status = 200, body = String, content_type = "text/plain")))]
pub(crate) async fn metrics(State(shared): State<Shared>) -> Response {
    let kind =
        [(header::CONTENT_TYPE, "text/plain; version=0.0.4; charset=utf-8"), (header::CACHE_CONTROL, "no-store")];
    (kind, shared.recorder.render()).into_response()
}
