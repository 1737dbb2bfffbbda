//! What links lead to: `/api/v1/previews`.

use axum::Json;
use axum::extract::State;
use serde::Deserialize;
use utoipa::IntoParams;

use super::Shared;
use super::access::Known;
use super::error::{Error, Problem, Query};
use crate::previews::Preview;

/// Which link.
#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(crate) struct Link {
    /// The address of a page, `http` or `https`.
    url: String,
}

/// See what a link leads to. The server looks, so that no page learns who reads a message. Never ask for links of encrypted rooms.
#[utoipa::path(get, path = "/previews", tag = "messages", security(("bearer" = [])), params(Link),
    responses((status = 200, body = Preview), (status = "default", body = Problem, content_type = "application/problem+json")))]
pub(crate) async fn show(
    State(shared): State<Shared>,
    known: Known,
    Query(link): Query<Link>,
) -> Result<Json<Preview>, Error> {
    Ok(Json(shared.previews.look(known.caller(), &link.url).await?))
}
