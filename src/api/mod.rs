//! The edge: the only module that knows HTTP and WebSocket. A file per resource; handlers parse, call a verb, and answer.

mod abroad;
mod access;
mod accounts;
mod answers;
mod api_keys;
mod auth;
mod bans;
mod blocks;
mod calls;
mod client;
mod clusters;
mod cursor;
mod direct;
mod download;
mod erasure;
mod errands;
mod error;
mod etags;
mod files;
mod form;
mod frames;
mod headers;
mod health;
mod hosting;
mod invites;
mod keeping;
mod listen;
mod marks;
mod matching;
mod members;
mod messages;
mod moderation;
mod once;
mod openapi;
mod pages;
mod passkeys;
mod presence;
mod previews;
mod recordings;
mod relay;
mod reports;
mod ringing;
mod rooms;
mod scopes;
mod search;
mod second;
mod sessions;
mod settings;
mod stream_keys;
mod tls;
mod tus;
mod unread;
mod uploads;
mod webhooks;
mod webrtc;
mod whip;
mod writing;
mod ws;

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use axum::Router;
use axum::extract::{DefaultBodyLimit, MatchedPath, Request, State};
use axum::http::header::ACCEPT_RANGES;
use axum::http::{Extensions, HeaderMap, HeaderName, HeaderValue, Method, StatusCode, Version};
use axum::middleware::{self, Next};
use axum::response::{IntoResponse as _, Response};
use metrics_exporter_prometheus::PrometheusHandle;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tower_http::catch_panic::CatchPanicLayer;
use tower_http::compression::CompressionLayer;
use tower_http::compression::predicate::{DefaultPredicate, Predicate as _};
use uuid::Uuid;

use crate::attachments::Attachments;
use crate::auth::Auth;
use crate::chat::{Chat, Reading};
use crate::clusters::Clusters;
use crate::config::Config;
use crate::domain::Refusal;
use crate::hub::Hub;
use crate::limit::Limits;
use crate::matching::Matching;
use crate::metrics::{HTTP_REQUESTS, HTTP_SECONDS};
use crate::moderation::Moderation;
use crate::nodes::Neighbours;
use crate::presence::Presence;
use crate::previews::Previews;
use crate::recording::Recordings;
use crate::rooms::Rooms;
use crate::webhooks::Webhooks;

pub use openapi::document as openapi;
pub use tls::{Files as TlsFiles, TlsError, relay_tls};

use client::Client;
use error::Error;

/// The longest body of a request, in bytes. The longest message has 10,000 Unicode scalars, which JSON may write as 12 bytes each.
const MAX_BODY: usize = 128 * 1024;
/// What clients are told when the server stops.
const STOP_REASON: &str = "restart";
const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");

/// What the handlers call.
pub struct App {
    /// The settings.
    pub config: Config,
    /// Which cluster a host belongs to.
    pub clusters: Clusters,
    /// Logins.
    pub auth: Auth,
    /// Rooms and their calls.
    pub rooms: Rooms,
    /// Messages.
    pub chat: Chat,
    /// What people have read, and search.
    pub reading: Reading,
    /// Who is there.
    pub presence: Presence,
    /// Recordings.
    pub recordings: Recordings,
    /// What links lead to.
    pub previews: Previews,
    /// Files of messages.
    pub attachments: Attachments,
    /// Who else is told of what happens in rooms.
    pub webhooks: Webhooks,
    /// Strangers.
    pub matching: Matching,
    /// The review desk.
    pub moderation: Moderation,
    /// The sockets of this node.
    pub hub: Hub,
    /// What is done on other nodes, should there be any.
    pub neighbours: Option<Neighbours>,
    /// Rates.
    pub limits: Limits,
    /// STUN and TURN servers, as clients are told.
    pub ice: parlor_turn::Directory,
    /// Where media is taken over UDP, and over TCP, as answers say it.
    pub media: [Vec<SocketAddr>; 2],
    /// Renders the figures.
    pub recorder: PrometheusHandle,
}

/// A server that runs.
#[derive(Debug)]
pub struct Served {
    /// Where it listens.
    pub address: SocketAddr,
    hub: HubOfServed,
    stop: CancellationToken,
    sockets: TaskTracker,
    drain: Duration,
    accepting: tokio::task::JoinHandle<()>,
}

/// The hub has no `Debug`.
struct HubOfServed(Hub);

impl std::fmt::Debug for HubOfServed {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Hub")
    }
}

/// Serves on that listener until [`Served::stop`].
///
/// # Errors
/// When the certificate cannot be used, or the listener has no address.
pub fn serve(app: App, listener: TcpListener) -> anyhow::Result<Served> {
    let stop = CancellationToken::new();
    let sockets = TaskTracker::new();
    let address = listener.local_addr()?;
    let tls = TlsFiles::find(&app.config)?.map(|files| tls::acceptor(files, stop.clone())).transpose()?;
    let (hub, http) = (app.hub.clone(), app.config.http.clone());
    let drain = Duration::from_millis(http.drain_ms);
    let places = listen::Places::new(&app.config);
    let shared = Shared { app: Arc::new(app), sockets: sockets.clone(), stop: stop.clone(), readiness: Arc::default() };
    let router = router(shared.clone());
    errands::serve(&shared, &router);
    let accepting = tokio::spawn(listen::serve(listener, tls, router, places, http, stop.clone()));
    Ok(Served { address, hub: HubOfServed(hub), stop, sockets, drain, accepting })
}

impl Served {
    /// Stops: no new connections, clients are told when to come back, open requests are answered. Takes at most the time that
    /// the settings give it.
    pub async fn stop(self) {
        self.stop.cancel();
        self.sockets.close();
        let orderly = async {
            self.hub.0.go_away(STOP_REASON);
            self.sockets.wait().await;
            self.accepting.await.ok();
        };
        if tokio::time::timeout(self.drain, orderly).await.is_err() {
            tracing::warn!("some clients were cut off: they did not go in time");
        }
    }
}

/// What every handler gets.
#[derive(Clone)]
struct Shared {
    app: Arc<App>,
    /// The tasks of open sockets, so that a stop can wait for them.
    sockets: TaskTracker,
    /// Cancelled when the server stops.
    stop: CancellationToken,
    /// What `/ready` found last.
    readiness: Arc<health::Readiness>,
}

impl std::ops::Deref for Shared {
    type Target = App;

    fn deref(&self) -> &App {
        &self.app
    }
}

/// Everything under one roof: REST, the socket, the page.
fn router(shared: Shared) -> Router {
    let (rest, document) = openapi::router();
    // A part of a file must stay that part.
    let is_no_file =
        |_: StatusCode, _: Version, headers: &HeaderMap, _: &Extensions| !headers.contains_key(ACCEPT_RANGES);
    let worth_it = DefaultPredicate::new().and(is_no_file);
    let once = once::Creates::of(&document);
    let rest = rest.layer(middleware::from_fn_with_state((shared.clone(), once), once::once));
    let rest = rest.layer(DefaultBodyLimit::max(MAX_BODY)).layer(CompressionLayer::new().compress_when(worth_it));
    let pages = pages::router(&shared.config.web_dir).layer(CompressionLayer::new());
    let rest = rest.layer(middleware::from_fn_with_state(shared.clone(), relay::answer));
    Router::new()
        .merge(rest)
        .merge(openapi::page(document))
        .route("/ws", axum::routing::any(ws::upgrade))
        .method_not_allowed_fallback(async || Error::from(Refusal::NotFound))
        .merge(pages)
        .layer(CatchPanicLayer::custom(on_panic))
        .layer(headers::cors(&shared.config))
        .layer(middleware::from_fn_with_state(shared.clone(), around))
        .with_state(shared)
}

/// What every request goes through: who asks, headers of the answer, a line in the log, a figure. The line names the route,
/// not the path, and no address: paths hold ids of people, queries hold tickets.
async fn around(State(shared): State<Shared>, request: Request, next: Next) -> Response {
    let started = Instant::now();
    let (mut parts, body) = request.into_parts();
    let client = Client::of(&parts, &shared.config);
    parts.extensions.insert(client.clone());
    let method = name_of(&parts.method);
    let route = parts.extensions.get::<MatchedPath>().map_or("page".to_owned(), |path| path.as_str().to_owned());
    let (asked, path) = (parts.method.clone(), parts.uri.path().to_owned());
    let request_id = Uuid::now_v7().to_string();
    let usual = Duration::from_millis(shared.config.http.request_timeout_ms);
    let patience = uploads::patience(&asked, &path).unwrap_or(usual);
    let resting = access::Resting::default();
    parts.extensions.insert(resting.clone());
    let mut response = tokio::time::timeout(patience, next.run(Request::from_parts(parts, body)))
        .await
        .unwrap_or_else(|_| Error::from(Refusal::Internal("a request took too long".to_owned())).into_response());
    if resting.explains(&response) {
        response = Error::from(Refusal::MfaRequired { ticket: None }).into_response();
    }
    let (status, seconds) = (response.status().as_u16(), started.elapsed().as_secs_f64());
    tracing::debug!(method, route, status, seconds, request_id, "request");
    metrics::histogram!(HTTP_SECONDS, "method" => method, "path" => route.clone()).record(seconds);
    metrics::counter!(HTTP_REQUESTS, "method" => method, "path" => route, "status" => status.to_string()).increment(1);
    if let Ok(request_id) = HeaderValue::try_from(request_id) {
        response.headers_mut().insert(REQUEST_ID, request_id);
    }
    whip::say_what_is_taken(&asked, &path, response.headers_mut());
    tus::say_what_is_taken(&asked, &path, shared.config.files.most_bytes_of_all(), response.headers_mut());
    headers::secure(response.headers_mut(), &client);
    response
}

/// A method's name for logs and figures. A client may invent others, and each would be a new time series.
fn name_of(method: &Method) -> &'static str {
    const KNOWN: [&str; 7] = ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"];
    KNOWN.into_iter().find(|known| method.as_str() == *known).unwrap_or("other")
}

/// A bug in a handler ends one request, not the server.
#[expect(clippy::needless_pass_by_value, reason = "the layer's signature")]
fn on_panic(panic: Box<dyn std::any::Any + Send>) -> Response {
    let text = panic.downcast_ref::<String>().map(String::as_str).or_else(|| panic.downcast_ref::<&str>().copied());
    Error::from(Refusal::Internal(text.unwrap_or("a handler panicked").to_owned())).into_response()
}
