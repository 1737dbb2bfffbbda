//! Publishing and watching by HTTP: `/api/v1/rooms/{roomId}/whip` (RFC 9725) and `…/whep` (draft-ietf-wish-whep), and the sessions below
//! them. A player offers and the server answers; an answer has all candidates.

use std::fmt::Write as _;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use axum::extract::{FromRequestParts, Request, State};
use axum::http::request::Parts;
use axum::http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, header};
use axum::response::{IntoResponse, Response};
use futures_util::StreamExt as _;
use parlor_turn::IceServers;
use serde::Deserialize;
use utoipa::IntoParams;

use super::Shared;
use super::access::{Known, bearer};
use super::client::Client;
use super::error::{Error, Path, Problem, Query};
use crate::domain::{Refusal, RoomId, SessionId, StreamKind};
use crate::proto::ErrorCode;
use crate::rooms::{STREAM_KEY_PREFIX, STREAM_OFFER_LIMIT, StreamOffer, StreamPlace, Streamer, Streaming};

const SDP: &str = "application/sdp";
/// RFC 8840 §9.
const FRAGMENT: &str = "application/trickle-ice-sdpfrag";
/// The longest fragment, in bytes: some dozens of candidates.
const FRAGMENT_LIMIT: usize = 16 * 1024;
const ACCEPT_POST: HeaderName = HeaderName::from_static("accept-post");
const ACCEPT_PATCH: HeaderName = HeaderName::from_static("accept-patch");

/// Whoever the request's token names: somebody who is logged in, or the maker of a stream key.
pub(crate) struct By(Streamer);

impl FromRequestParts<Shared> for By {
    type Rejection = Error;

    async fn from_request_parts(parts: &mut Parts, shared: &Shared) -> Result<Self, Error> {
        let Ok(client) = Client::from_request_parts(parts, shared).await;
        match bearer(parts) {
            Some(key) if key.starts_with(STREAM_KEY_PREFIX) => {
                Ok(Self(shared.rooms.holder(key, client.address).await?))
            }
            _ => Ok(Self(Streamer::of_login(Known::of(parts, &client, shared).await?.0.caller))),
        }
    }
}

/// What goes along with an offer.
#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Consent {
    /// Whether you agree to be recorded. Without it a call that is recorded answers `recording_consent`.
    #[serde(default)]
    accept_recording: bool,
}

/// Publish into a room's call (WHIP). The body is an SDP offer; a stream key of kind `publish`, or an access token, is the bearer.
#[utoipa::path(post, path = "/rooms/{roomId}/whip", tag = "streams", security(("bearer" = [])),
    params(("roomId" = RoomId, Path), Consent), request_body(content = String, content_type = "application/sdp"),
    responses((status = 201, body = String, content_type = "application/sdp",
        headers(("Location" = String), ("ETag" = String), ("Link" = String), ("Accept-Patch" = String))),
        (status = "default", body = Problem, content_type = "application/problem+json")))]
pub(crate) async fn publish(
    State(shared): State<Shared>,
    by: By,
    Path(room): Path<RoomId>,
    Query(consent): Query<Consent>,
    request: Request,
) -> Result<Response, Error> {
    begin(&shared, &by.0, room, StreamKind::Publish, &consent, request).await
}

/// Watch a room's call (WHEP). The body is an SDP offer that only receives; a stream key of kind `watch`, or an access token, is the bearer.
#[utoipa::path(post, path = "/rooms/{roomId}/whep", tag = "streams", security(("bearer" = [])),
    params(("roomId" = RoomId, Path), Consent), request_body(content = String, content_type = "application/sdp"),
    responses((status = 201, body = String, content_type = "application/sdp",
        headers(("Location" = String), ("ETag" = String), ("Link" = String), ("Accept-Patch" = String))),
        (status = "default", body = Problem, content_type = "application/problem+json")))]
pub(crate) async fn watch(
    State(shared): State<Shared>,
    by: By,
    Path(room): Path<RoomId>,
    Query(consent): Query<Consent>,
    request: Request,
) -> Result<Response, Error> {
    begin(&shared, &by.0, room, StreamKind::Watch, &consent, request).await
}

/// Tell candidates of a publisher, or restart its ICE (`If-Match: *`).
#[utoipa::path(patch, path = "/rooms/{roomId}/whip/{sessionId}", tag = "streams", security(("bearer" = [])),
    params(("roomId" = RoomId, Path), ("sessionId" = SessionId, Path), ("If-Match" = String, Header)),
    request_body(content = String, content_type = "application/trickle-ice-sdpfrag"),
    responses((status = 200, body = String, content_type = "application/trickle-ice-sdpfrag", headers(("ETag" = String))), (status = 204),
        (status = "default", body = Problem, content_type = "application/problem+json")))]
pub(crate) async fn change_publisher(
    State(shared): State<Shared>,
    by: By,
    Path((room, session)): Path<(RoomId, SessionId)>,
    request: Request,
) -> Result<Response, Error> {
    change(&shared, &by.0, StreamPlace { room, kind: StreamKind::Publish, session }, request).await
}

/// Tell candidates of a player, or restart its ICE (`If-Match: *`).
#[utoipa::path(patch, path = "/rooms/{roomId}/whep/{sessionId}", tag = "streams", security(("bearer" = [])),
    params(("roomId" = RoomId, Path), ("sessionId" = SessionId, Path), ("If-Match" = String, Header)),
    request_body(content = String, content_type = "application/trickle-ice-sdpfrag"),
    responses((status = 200, body = String, content_type = "application/trickle-ice-sdpfrag", headers(("ETag" = String))), (status = 204),
        (status = "default", body = Problem, content_type = "application/problem+json")))]
pub(crate) async fn change_player(
    State(shared): State<Shared>,
    by: By,
    Path((room, session)): Path<(RoomId, SessionId)>,
    request: Request,
) -> Result<Response, Error> {
    change(&shared, &by.0, StreamPlace { room, kind: StreamKind::Watch, session }, request).await
}

/// End a publisher's part in the call.
#[utoipa::path(delete, path = "/rooms/{roomId}/whip/{sessionId}", tag = "streams", security(("bearer" = [])),
    params(("roomId" = RoomId, Path), ("sessionId" = SessionId, Path)),
    responses((status = 200), (status = "default", body = Problem, content_type = "application/problem+json")))]
pub(crate) async fn end_publisher(
    State(shared): State<Shared>,
    by: By,
    Path((room, session)): Path<(RoomId, SessionId)>,
) -> Result<StatusCode, Error> {
    shared.rooms.end_stream(&by.0, StreamPlace { room, kind: StreamKind::Publish, session })?;
    Ok(StatusCode::OK)
}

/// End a player's part in the call.
#[utoipa::path(delete, path = "/rooms/{roomId}/whep/{sessionId}", tag = "streams", security(("bearer" = [])),
    params(("roomId" = RoomId, Path), ("sessionId" = SessionId, Path)),
    responses((status = 200), (status = "default", body = Problem, content_type = "application/problem+json")))]
pub(crate) async fn end_player(
    State(shared): State<Shared>,
    by: By,
    Path((room, session)): Path<(RoomId, SessionId)>,
) -> Result<StatusCode, Error> {
    shared.rooms.end_stream(&by.0, StreamPlace { room, kind: StreamKind::Watch, session })?;
    Ok(StatusCode::OK)
}

/// What an endpoint, or a session, does not take (RFC 9725 §4.2 keeps those methods for later).
pub(crate) async fn endpoint_refuses() -> Response {
    refuses("OPTIONS, POST")
}

/// The same for a session.
pub(crate) async fn session_refuses() -> Response {
    refuses("DELETE, OPTIONS, PATCH")
}

fn refuses(allowed: &'static str) -> Response {
    let mut response =
        Error::new(ErrorCode::MethodNotAllowed, "This address does not take that method.").into_response();
    response.headers_mut().insert(header::ALLOW, HeaderValue::from_static(allowed));
    response
}

/// Whether a path is one of these: pages of any origin may use them, since what proves who asks is no cookie.
pub(crate) fn is_stream_path(path: &str) -> bool {
    let mut parts = path.split('/').skip_while(|part| *part != "rooms").skip(2);
    matches!(parts.next(), Some("whip" | "whep")) && parts.count() <= 1
}

/// Says what may be sent there, in the answer to `OPTIONS` (RFC 9725 §4.2).
pub(crate) fn say_what_is_taken(method: &Method, path: &str, headers: &mut HeaderMap) {
    if *method == Method::OPTIONS && is_stream_path(path) {
        let is_endpoint = path.ends_with("/whip") || path.ends_with("/whep");
        let (name, taken) = if is_endpoint { (ACCEPT_POST, SDP) } else { (ACCEPT_PATCH, FRAGMENT) };
        headers.insert(name, HeaderValue::from_static(taken));
    }
}

async fn begin(
    shared: &Shared,
    by: &Streamer,
    room: RoomId,
    kind: StreamKind,
    consent: &Consent,
    request: Request,
) -> Result<Response, Error> {
    if !accepts_sdp(request.headers()) {
        return Err(Error::new(ErrorCode::NotAcceptable, "The answer is application/sdp."));
    }
    let sdp = body_of(shared, request, SDP, STREAM_OFFER_LIMIT).await?;
    let offer = StreamOffer { kind, sdp, accepts_recording: consent.accept_recording };
    let Streaming { session, sdp, tag } = shared.rooms.stream(by, room, offer).await?;
    if by.is_login()
        && let Err(refusal) = shared.auth.confirm(&by.caller).await
    {
        // The login ended while the stream began: who ended it has not found it.
        shared.rooms.end_stream(by, StreamPlace { room, kind, session }).ok();
        return Err(refusal.into());
    }
    let way = if kind == StreamKind::Publish { "whip" } else { "whep" };
    let mut response = (StatusCode::CREATED, [(header::CONTENT_TYPE, SDP)], sdp).into_response();
    let headers = response.headers_mut();
    let location = format!("/api/v1/rooms/{room}/{way}/{session}");
    headers.insert(header::LOCATION, header_of(&location));
    headers.insert(header::ETAG, header_of(&format!("\"{tag}\"")));
    headers.insert(ACCEPT_PATCH, HeaderValue::from_static(FRAGMENT));
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    for link in ice_links(shared, &by.relayed_as(session)) {
        headers.append(header::LINK, header_of(&link));
    }
    Ok(response)
}

async fn change(shared: &Shared, by: &Streamer, place: StreamPlace, request: Request) -> Result<Response, Error> {
    let tag = shared.rooms.stream_tag(by, place)?;
    let meant = request.headers().get(header::IF_MATCH).and_then(|it| it.to_str().ok()).map(str::to_owned);
    let fragment = body_of(shared, request, FRAGMENT, FRAGMENT_LIMIT).await?;
    let meant = meant.ok_or(Error::new(
        ErrorCode::PreconditionRequired,
        "Say with If-Match which ICE session is meant: its ETag, or * for a new one.",
    ))?;
    let attribute = |name: &str| fragment.lines().find_map(|line| line.trim_end().strip_prefix(name));
    if meant.trim() == "*" {
        let (Some(ufrag), Some(pwd)) = (attribute("a=ice-ufrag:"), attribute("a=ice-pwd:")) else {
            return Err(Refusal::NoIce.into());
        };
        let Streaming { sdp, tag, .. } = shared.rooms.restart_stream(by, place, ufrag, pwd).await?;
        let headers = [(header::CONTENT_TYPE, FRAGMENT.to_owned()), (header::ETAG, format!("\"{tag}\""))];
        return Ok((headers, fragment_of(&sdp)).into_response());
    }
    let names_it = meant.split(',').any(|it| it.trim().trim_matches('"') == tag);
    if !names_it {
        return Err(Error::new(ErrorCode::PreconditionFailed, "This ICE session has been replaced."));
    }
    // The server is ICE-lite: it sends no checks, so it needs no candidates.
    Ok(StatusCode::NO_CONTENT.into_response())
}

/// What of an answer belongs to ICE (RFC 8840 §4.4).
fn fragment_of(answer: &str) -> String {
    const SESSION: [&str; 2] = ["a=ice-lite", "a=group:"];
    const MEDIA: [&str; 5] = ["a=mid:", "a=ice-ufrag:", "a=ice-pwd:", "a=candidate:", "a=end-of-candidates"];
    let is_one = |line: &str, of: &[&str]| of.iter().any(|start| line.starts_with(start));
    let (mut fragment, mut sections) = (String::new(), 0);
    for line in answer.lines() {
        let is_media = line.starts_with("m=");
        // All sections share one transport; the first that is not refused has it.
        sections += usize::from(is_media && !line.contains(" 0 "));
        let is_told = match sections {
            0 => is_one(line, &SESSION),
            1 => is_media || is_one(line, &MEDIA),
            _ => false,
        };
        if is_told {
            fragment.push_str(line);
            fragment.push_str("\r\n");
        }
    }
    fragment
}

/// STUN and TURN servers as WHIP names them (RFC 9725 §4.6).
fn ice_links(shared: &Shared, user: &str) -> Vec<String> {
    let now_s = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs());
    let list = IceServers::make(&shared.ice, user, now_s);
    let mut links = Vec::new();
    for server in &list.ice_servers {
        for url in &server.urls {
            let mut link = format!("<{url}>; rel=\"ice-server\"");
            if let (Some(username), Some(credential)) = (&server.username, &server.credential) {
                write!(link, "; username=\"{username}\"; credential=\"{credential}\"; credential-type=\"password\"")
                    .expect("a String takes all text");
            }
            links.push(link);
        }
    }
    links
}

/// The text of a body, which has to be of that type and no longer than that.
async fn body_of(shared: &Shared, request: Request, media_type: &str, limit: usize) -> Result<String, Error> {
    let given = request.headers().get(header::CONTENT_TYPE).and_then(|it| it.to_str().ok()).unwrap_or_default();
    let given = given.split(';').next().unwrap_or_default().trim();
    if !given.eq_ignore_ascii_case(media_type) {
        return Err(Error::new(ErrorCode::UnsupportedMediaType, format!("The body has to be {media_type}.")));
    }
    let patience = Duration::from_millis(shared.config.http.body_timeout_ms);
    let reading = async {
        let (mut pieces, mut body) = (request.into_body().into_data_stream(), Vec::new());
        while let Some(piece) = pieces.next().await {
            let piece = piece.map_err(|_| Refusal::bad_request("body", "The body of this request broke off."))?;
            if body.len() + piece.len() > limit {
                return Err(Error::new(ErrorCode::TooLarge, format!("The body may have {limit} bytes.")));
            }
            body.extend_from_slice(&piece);
        }
        Ok(body)
    };
    let body = tokio::time::timeout(patience, reading)
        .await
        .map_err(|_| Refusal::bad_request("body", "The body of this request came too slowly."))??;
    String::from_utf8(body).map_err(|_| Refusal::BadSdp("it is not UTF-8".to_owned()).into())
}

/// Whether `Accept` lets the answer be SDP. Without the header anything goes.
fn accepts_sdp(headers: &HeaderMap) -> bool {
    let mut named = headers.get_all(header::ACCEPT).iter().filter_map(|it| it.to_str().ok()).peekable();
    let is_it =
        |range: &str| matches!(range.split(';').next().unwrap_or_default().trim(), "*/*" | "application/*" | SDP);
    named.peek().is_none() || named.flat_map(|list| list.split(',')).any(is_it)
}

fn header_of(text: &str) -> HeaderValue {
    HeaderValue::try_from(text).expect("ids, addresses and credentials are header characters")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn streams_are_known_by_their_path() {
        for path in ["/api/v1/rooms/x/whip", "/api/rooms/x/whep", "/api/v1/rooms/x/whip/y"] {
            assert!(is_stream_path(path), "{path}");
        }
        for path in ["/api/v1/rooms/x/call", "/api/v1/rooms/whip", "/api/v1/rooms/x/whip/y/z", "/whip"] {
            assert!(!is_stream_path(path), "{path}");
        }
    }

    #[test]
    fn a_fragment_has_what_ice_needs() {
        let answer = "v=0\r\no=- 1 2 IN IP4 0.0.0.0\r\na=ice-lite\r\na=group:BUNDLE 1\r\nm=audio 0 UDP/TLS/RTP/SAVPF 0\r\na=mid:0\r\n\
            m=video 9 UDP/TLS/RTP/SAVPF 96\r\na=candidate:1 1 udp 1 192.0.2.1 1 typ host\r\na=end-of-candidates\r\na=ice-ufrag:u\r\n\
            a=ice-pwd:p\r\na=fingerprint:sha-256 AB\r\na=mid:1\r\nm=audio 9 X 1\r\na=mid:2\r\n";
        let fragment = "a=ice-lite\r\na=group:BUNDLE 1\r\nm=video 9 UDP/TLS/RTP/SAVPF 96\r\na=candidate:1 1 udp 1 192.0.2.1 1 typ host\r\n\
            a=end-of-candidates\r\na=ice-ufrag:u\r\na=ice-pwd:p\r\na=mid:1\r\n";
        assert_eq!(fragment_of(answer), fragment);
    }

    #[test]
    fn an_answer_is_sdp() {
        let accepts = |value: &'static str| {
            accepts_sdp(&HeaderMap::from_iter([(header::ACCEPT, HeaderValue::from_static(value))]))
        };
        assert!(accepts("*/*") && accepts("text/html, application/sdp;q=0.5") && accepts_sdp(&HeaderMap::new()));
        assert!(!accepts("application/json"));
    }
}
