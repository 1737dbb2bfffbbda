//! From a TCP connection to the router: TLS or not, one task per connection, a stop that lets requests finish.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::http::{HeaderValue, Request, Response, StatusCode, header};
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::server::conn::auto::Builder;
use hyper_util::server::graceful::GracefulShutdown;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tokio_rustls::TlsAcceptor;
use tokio_util::sync::CancellationToken;
use tower::ServiceExt as _;

use crate::config::Http;

/// The first byte of a TLS record that carries a handshake (RFC 8446, section 5.1). No HTTP method begins with it.
const TLS_HANDSHAKE: u8 = 0x16;

/// How a request reached us; every request carries one.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Wire {
    /// The other end of the TCP connection: the client, or the proxy in front of us.
    pub(crate) peer: SocketAddr,
    /// Did it come over our own TLS?
    pub(crate) tls: bool,
}

/// Accepts until `stop`, then waits until open requests are answered, at most `limits.drain_ms`.
pub(crate) async fn serve(
    listener: TcpListener,
    tls: Option<TlsAcceptor>,
    app: Router,
    limits: Http,
    stop: CancellationToken,
) {
    let places = Arc::new(Semaphore::new(limits.max_connections));
    let open = GracefulShutdown::new();
    let server = Arc::new(Server { app, tls, limits });
    loop {
        // No place free: stop accepting, so that the backlog is the kernel's and bounded.
        let place = Arc::clone(&places).acquire_owned();
        let Some(Ok(place)) = stop.run_until_cancelled(place).await else { break };
        let Some(accepted) = stop.run_until_cancelled(listener.accept()).await else { break };
        match accepted {
            Ok((socket, peer)) => {
                let (server, watch) = (Arc::clone(&server), open.watcher());
                tokio::spawn(async move {
                    if let Err(error) = server.connection(socket, peer, watch).await {
                        tracing::debug!(%error, "connection ended");
                    }
                    drop(place);
                });
            }
            Err(error) => {
                // Out of file descriptors, mostly. It passes when others close.
                tracing::warn!(%error, "cannot accept a connection");
                tokio::time::sleep(Duration::from_millis(100)).await;
            }
        }
    }
    drop(listener);
    if tokio::time::timeout(Duration::from_millis(server.limits.drain_ms), open.shutdown()).await.is_err() {
        tracing::warn!("some requests did not end in time");
    }
}

/// What every connection needs.
struct Server {
    app: Router,
    tls: Option<TlsAcceptor>,
    limits: Http,
}

type Watcher = hyper_util::server::graceful::Watcher;
type BoxError = Box<dyn std::error::Error + Send + Sync>;

impl Server {
    async fn connection(&self, socket: TcpStream, peer: SocketAddr, watch: Watcher) -> Result<(), BoxError> {
        // Frames of chat are small and late ones are noticed.
        socket.set_nodelay(true)?;
        let Some(tls) = &self.tls else {
            return self.http(socket, Wire { peer, tls: false }, watch).await;
        };
        let patience = Duration::from_millis(self.limits.head_timeout_ms);
        if tokio::time::timeout(patience, first_byte(&socket)).await?? != TLS_HANDSHAKE {
            return redirect_to_https(socket, patience).await;
        }
        let socket = tokio::time::timeout(patience, tls.accept(socket)).await??;
        self.http(socket, Wire { peer, tls: true }, watch).await
    }

    async fn http<S>(&self, socket: S, wire: Wire, watch: Watcher) -> Result<(), BoxError>
    where
        S: AsyncRead + AsyncWrite + Send + Unpin + 'static,
    {
        let app = self.app.clone();
        let service = service_fn(move |mut request: Request<Incoming>| {
            request.extensions_mut().insert(wire);
            app.clone().oneshot(request.map(Body::new))
        });
        let mut builder = Builder::new(TokioExecutor::new());
        let patience = Duration::from_millis(self.limits.head_timeout_ms);
        builder.http1().timer(TokioTimer::new()).header_read_timeout(patience);
        builder.http2().timer(TokioTimer::new()).max_concurrent_streams(100);
        watch.watch(builder.serve_connection_with_upgrades(TokioIo::new(socket), service).into_owned()).await
    }
}

async fn first_byte(socket: &TcpStream) -> io::Result<u8> {
    let mut byte = [0];
    match socket.peek(&mut byte).await? {
        0 => Err(io::ErrorKind::UnexpectedEof.into()),
        _ => Ok(byte[0]),
    }
}

/// Someone typed the address without `https://`: answers one plain request with the way to the page.
async fn redirect_to_https(socket: TcpStream, patience: Duration) -> Result<(), BoxError> {
    let service = service_fn(|request: Request<Incoming>| async move {
        let mut response = Response::new(Body::empty());
        let host = request.headers().get(header::HOST).and_then(|host| host.to_str().ok()).unwrap_or_default();
        let path = request.uri().path_and_query().map_or("/", |path| path.as_str());
        match HeaderValue::try_from(format!("https://{host}{path}")) {
            Ok(location) if !host.is_empty() => {
                *response.status_mut() = StatusCode::PERMANENT_REDIRECT;
                response.headers_mut().insert(header::LOCATION, location);
            }
            _ => *response.status_mut() = StatusCode::BAD_REQUEST,
        }
        response.headers_mut().insert(header::CONNECTION, HeaderValue::from_static("close"));
        Ok::<_, std::convert::Infallible>(response)
    });
    let mut builder = hyper::server::conn::http1::Builder::new();
    builder.timer(TokioTimer::new()).header_read_timeout(patience).keep_alive(false);
    Ok(builder.serve_connection(TokioIo::new(socket), service).await?)
}
