//! From a TCP connection to the router: TLS or not, one task per connection, a stop that lets requests finish.

use std::collections::HashMap;
use std::io;
use std::net::{IpAddr, Ipv6Addr, SocketAddr};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::http::{HeaderValue, Request, Response, StatusCode, header};
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::server::conn::auto::Builder;
use hyper_util::server::graceful::GracefulShutdown;
use ipnet::IpNet;
use socket2::{SockRef, TcpKeepalive};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio_rustls::TlsAcceptor;
use tokio_util::sync::CancellationToken;
use tower::ServiceExt as _;

use crate::config::{Config, Http};

/// The first byte of a TLS record that carries a handshake (RFC 8446, section 5.1). No HTTP method begins with it.
const TLS_HANDSHAKE: u8 = 0x16;

/// The time between two signs of life that the kernel asks a silent peer for.
const KEEPALIVE: Duration = Duration::from_secs(60);
/// The time after which the kernel gives up a peer that acknowledges nothing.
const UNANSWERED: Duration = Duration::from_secs(30);

/// How a request reached us; every request carries one.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Wire {
    /// The other end of the TCP connection: the client, or the proxy in front of us.
    pub(crate) peer: SocketAddr,
}

/// Connections by network.
type Counts = Arc<Mutex<HashMap<IpAddr, usize>>>;

/// How many connections there may be, in all and from one network.
pub(crate) struct Places {
    all: Arc<Semaphore>,
    of_networks: Counts,
    per_network: usize,
    /// Load tools, and proxies, which carry everybody's connections.
    exempt: Vec<IpNet>,
}

/// The place of one connection. Every request carries it, and a socket keeps it after the upgrade; it is given back when the
/// last who holds it lets go.
#[derive(Debug)]
pub(crate) struct Place {
    _one_of_all: OwnedSemaphorePermit,
    network: Option<(IpAddr, Counts)>,
}

impl Places {
    pub(crate) fn new(config: &Config) -> Self {
        Self {
            all: Arc::new(Semaphore::new(config.http.max_connections)),
            of_networks: Arc::default(),
            per_network: config.http.max_connections_per_address,
            exempt: config.limit_exempt.iter().chain(&config.trusted_proxies).copied().collect(),
        }
    }

    /// Waits until there is a place for anybody.
    async fn next(&self) -> Option<OwnedSemaphorePermit> {
        Arc::clone(&self.all).acquire_owned().await.ok()
    }

    /// A place for that peer; `None` when its network has taken all of its share.
    fn give(&self, permit: OwnedSemaphorePermit, peer: IpAddr) -> Option<Place> {
        let peer = peer.to_canonical();
        if self.exempt.iter().any(|network| network.contains(&peer)) {
            return Some(Place { _one_of_all: permit, network: None });
        }
        let network = network_of(peer);
        let mut taken = self.of_networks.lock().unwrap_or_else(PoisonError::into_inner);
        let count = taken.entry(network).or_default();
        if *count >= self.per_network {
            return None;
        }
        *count += 1;
        Some(Place { _one_of_all: permit, network: Some((network, Arc::clone(&self.of_networks))) })
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let Some((network, counts)) = self.network.take() else { return };
        let mut counts = counts.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(count) = counts.get_mut(&network) {
            *count -= 1;
            if *count == 0 {
                counts.remove(&network);
            }
        }
    }
}

/// An IPv4 address, or the /64 that an IPv6 customer has.
fn network_of(address: IpAddr) -> IpAddr {
    match address {
        IpAddr::V6(v6) => Ipv6Addr::from_bits(v6.to_bits() & !u128::from(u64::MAX)).into(),
        v4 => v4,
    }
}

/// Accepts until `stop`, then waits until open requests are answered, at most `limits.drain_ms`.
pub(crate) async fn serve(
    listener: TcpListener,
    tls: Option<TlsAcceptor>,
    app: Router,
    places: Places,
    limits: Http,
    stop: CancellationToken,
) {
    let open = GracefulShutdown::new();
    let server = Arc::new(Server { app, tls, limits });
    loop {
        // No place free: stop accepting, so that the backlog is the kernel's and bounded.
        let Some(Some(permit)) = stop.run_until_cancelled(places.next()).await else { break };
        let Some(accepted) = stop.run_until_cancelled(listener.accept()).await else { break };
        match accepted {
            Ok((socket, peer)) => {
                let Some(place) = places.give(permit, peer.ip()) else { continue };
                let (server, watch) = (Arc::clone(&server), open.watcher());
                tokio::spawn(async move {
                    if let Err(error) = server.connection(socket, peer, Arc::new(place), watch).await {
                        tracing::debug!(%error, "connection ended");
                    }
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
    async fn connection(
        &self,
        socket: TcpStream,
        peer: SocketAddr,
        place: Arc<Place>,
        watch: Watcher,
    ) -> Result<(), BoxError> {
        // Frames of chat are small and late ones are noticed.
        socket.set_nodelay(true)?;
        let kernel = SockRef::from(&socket);
        kernel.set_tcp_keepalive(&TcpKeepalive::new().with_time(KEEPALIVE).with_interval(KEEPALIVE))?;
        kernel.set_tcp_user_timeout(Some(UNANSWERED))?;
        let Some(tls) = &self.tls else {
            return self.http(socket, Wire { peer }, place, watch).await;
        };
        let patience = Duration::from_millis(self.limits.head_timeout_ms);
        if tokio::time::timeout(patience, first_byte(&socket)).await?? != TLS_HANDSHAKE {
            return redirect_to_https(socket, patience).await;
        }
        let socket = tokio::time::timeout(patience, tls.accept(socket)).await??;
        self.http(socket, Wire { peer }, place, watch).await
    }

    async fn http<S>(&self, socket: S, wire: Wire, place: Arc<Place>, watch: Watcher) -> Result<(), BoxError>
    where
        S: AsyncRead + AsyncWrite + Send + Unpin + 'static,
    {
        let app = self.app.clone();
        let service = service_fn(move |mut request: Request<Incoming>| {
            request.extensions_mut().insert(wire);
            request.extensions_mut().insert(Arc::clone(&place));
            app.clone().oneshot(request.map(Body::new))
        });
        // HTTP/1.1 only: sockets need it anyway, and it leaves one state machine fewer to strangers.
        let mut builder = Builder::new(TokioExecutor::new()).http1_only();
        let patience = Duration::from_millis(self.limits.head_timeout_ms);
        builder.http1().timer(TokioTimer::new()).header_read_timeout(patience);
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

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_network_has_its_share_and_gives_it_back() {
        let mut config = Config { limit_exempt: vec!["10.0.0.0/8".parse().unwrap()], ..Config::default() };
        config.http.max_connections_per_address = 2;
        let places = Places::new(&config);
        let ask = async |peer: &str| places.give(places.next().await.unwrap(), peer.parse().unwrap());
        let first = ask("2001:db8::1").await;
        let second = ask("2001:db8::2").await;
        assert!(first.is_some() && second.is_some() && ask("2001:db8::3").await.is_none(), "one /64 is one customer");
        assert!(ask("2001:db8:0:1::1").await.is_some());
        drop(first);
        assert!(ask("2001:db8::3").await.is_some());
        let tools = [ask("10.0.0.1").await, ask("10.0.0.1").await, ask("::ffff:10.0.0.1").await];
        assert!(tools.iter().all(Option::is_some));
        drop((second, tools));
        assert!(places.of_networks.lock().unwrap().is_empty());
        assert_eq!(places.all.available_permits(), config.http.max_connections);
    }
}
