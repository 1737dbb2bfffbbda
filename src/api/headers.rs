//! What every answer carries: headers that tell browsers how far to trust the page, and which origins may read.

use std::time::Duration;

use axum::http::{HeaderMap, HeaderName, HeaderValue, Method, header, request};
use tower_http::cors::{AllowOrigin, CorsLayer};

use super::client::Client;
use super::once;
use super::tus;
use super::whip::is_stream_path;
use crate::config::Config;

const PERMISSIONS_POLICY: HeaderName = HeaderName::from_static("permissions-policy");
const OPENER_POLICY: HeaderName = HeaderName::from_static("cross-origin-opener-policy");

/// Adds what keeps a page of ours from doing, or being made to do, what it was not built for.
pub(crate) fn secure(headers: &mut HeaderMap, client: &Client) {
    let mut set = |name: HeaderName, value: &'static str| {
        headers.entry(name).or_insert(HeaderValue::from_static(value));
    };
    set(header::X_CONTENT_TYPE_OPTIONS, "nosniff");
    set(header::REFERRER_POLICY, "no-referrer");
    set(
        PERMISSIONS_POLICY,
        "camera=(self), microphone=(self), display-capture=(self), geolocation=(), payment=(), usb=()",
    );
    set(OPENER_POLICY, "same-origin");
    // Older browsers do not read frame-ancestors.
    set(header::X_FRAME_OPTIONS, "DENY");
    if client.secure {
        set(header::STRICT_TRANSPORT_SECURITY, "max-age=31536000");
    }
    headers.entry(header::CONTENT_SECURITY_POLICY).or_insert_with(|| content_policy(client.host.as_deref()));
}

/// Scripts and styles come from files of ours alone. Safari before 15.4 does not count wss as 'self', hence the host.
fn content_policy(host: Option<&str>) -> HeaderValue {
    let sockets = host.map(|host| format!(" ws://{host} wss://{host}")).unwrap_or_default();
    let policy = format!(
        "default-src 'self'; script-src 'self'; style-src 'self'; img-src 'self' data: blob:; media-src 'self' blob:; \
         connect-src 'self'{sockets}; worker-src 'self' blob:; object-src 'none'; base-uri 'none'; form-action 'self'; \
         frame-ancestors 'none'"
    );
    HeaderValue::try_from(policy).expect("a checked host is made of header characters")
}

/// Lets pages of the named origins read our answers, cookies included; nobody else's.
pub(crate) fn cors(config: &Config) -> CorsLayer {
    let origins = config.allowed_origins.iter().filter_map(|origin| origin.trim_end_matches('/').parse().ok());
    let origins: Vec<HeaderValue> = origins.collect();
    // Publishers and players are pages anywhere, as RFC 9725 §4.2 wants it; they prove who they are by a token alone.
    let may = move |origin: &HeaderValue, parts: &request::Parts| {
        origins.contains(origin) || is_stream_path(parts.uri.path())
    };
    let sent: Vec<HeaderName> =
        [header::AUTHORIZATION, header::CONTENT_TYPE, header::IF_MATCH, header::RANGE, once::KEY]
            .into_iter()
            .chain(tus::SENT)
            .collect();
    let read: Vec<HeaderName> = [
        header::RETRY_AFTER,
        HeaderName::from_static("x-request-id"),
        header::LOCATION,
        header::ETAG,
        header::LINK,
        HeaderName::from_static("accept-patch"),
        header::CONTENT_RANGE,
        header::CONTENT_DISPOSITION,
        once::REPLAYED,
    ]
    .into_iter()
    .chain(tus::READ)
    .collect();
    CorsLayer::new()
        .allow_origin(AllowOrigin::predicate(may))
        .allow_credentials(true)
        .allow_methods([Method::GET, Method::POST, Method::PUT, Method::PATCH, Method::DELETE])
        .allow_headers(sent)
        .expose_headers(read)
        .max_age(Duration::from_secs(600))
}
