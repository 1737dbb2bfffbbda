//! What a browser needs for its `RTCPeerConnection`: `/api/v1/webrtc/ice-servers`.

use std::net::SocketAddr;
use std::time::{SystemTime, UNIX_EPOCH};

use axum::Json;
use axum::extract::State;
use axum::http::header;
use axum::response::{IntoResponse, Response};
use parlor_turn::IceServers;
use serde::Serialize;
use utoipa::ToSchema;

use super::Shared;
use super::access::Known;
use super::error::Problem;

/// STUN and TURN servers. (The shape of `parlor_turn::IceServers`, which knows nothing of OpenAPI.)
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct IceServerList {
    /// STUN first, then TURN.
    ice_servers: Vec<IceServer>,
    /// After so many seconds the credentials are no longer valid.
    ttl_s: u32,
}

/// One entry, in the form of `RTCIceServer`.
#[derive(Serialize, ToSchema)]
pub(crate) struct IceServer {
    /// `stun:…` or `turn:…`.
    urls: Vec<String>,
    /// For TURN only.
    username: Option<String>,
    /// For TURN only.
    credential: Option<String>,
}

/// Get STUN and TURN servers with credentials for a while.
#[utoipa::path(get, path = "/webrtc/ice-servers", tag = "calls", security(("bearer" = [])),
    responses((status = 200, body = IceServerList), (status = "default", body = Problem, content_type = "application/problem+json")))]
pub(crate) async fn ice_servers(State(shared): State<Shared>, known: Known) -> Response {
    let now_s = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs());
    let user = known.caller().user.id.to_string();
    let list = IceServers::make(&shared.ice, &user, now_s);
    ([(header::CACHE_CONTROL, "no-store")], Json(list)).into_response()
}

/// Where media is taken.
#[derive(Serialize, ToSchema)]
pub(crate) struct CandidateList {
    /// Over UDP, `address:port`: each core's port at each announced address.
    udp: Vec<String>,
    /// Over TCP (RFC 6544), for clients whose network blocks UDP.
    tcp: Vec<String>,
}

/// Get the addresses that answers to call offers list, to try whether they are reached.
#[utoipa::path(get, path = "/webrtc/candidates", tag = "calls", security(("bearer" = [])),
    responses((status = 200, body = CandidateList), (status = "default", body = Problem, content_type = "application/problem+json")))]
pub(crate) async fn candidates(State(shared): State<Shared>, _: Known) -> Json<CandidateList> {
    let [udp, tcp] = shared.media.each_ref().map(|list| list.iter().map(SocketAddr::to_string).collect());
    Json(CandidateList { udp, tcp })
}
