//! Gives the server its sockets and its clock: one thread that waits for all of them.

mod connection;
mod ground;
mod lines;
mod streams;
mod thread;
mod udp;

use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Instant, SystemTime, UNIX_EPOCH};

use mio::{Poll, Waker};
use ring::rand::{SecureRandom as _, SystemRandom};
use rustls::ServerConfig;

use self::ground::Watched;
pub(crate) use self::streams::MOST_CONNECTIONS;
use crate::config::{Config, Secret};
use crate::counts::Counts;
use crate::ice_servers::Listening;
use crate::peers::Peers;
use crate::server::{Now, Rules, Server};

/// What the server stands in.
#[derive(Clone, Debug)]
pub struct Surroundings {
    /// What credentials are signed with.
    pub secret: Secret,
    /// TLS with the HTTP side's certificate; `None`: there is none.
    pub tls: Option<Arc<ServerConfig>>,
    /// The addresses at which clients reach this machine.
    pub announced: Vec<IpAddr>,
    /// The UDP ports of media.
    pub media_ports: Vec<u16>,
    /// Reads the addresses of this machine's interfaces: now, and every few seconds, since they change.
    pub machine: fn() -> Vec<IpAddr>,
}

/// A line that could not be opened; often another STUN or TURN server holds its port.
#[derive(Debug, thiserror::Error)]
#[error("{what} cannot be served at {address}: {error}")]
pub struct Unopened {
    /// "STUN and TURN over UDP" or the like.
    pub what: &'static str,
    /// Where.
    pub address: SocketAddr,
    /// Why.
    pub error: io::Error,
}

/// A running server. Dropping it closes its sockets, and with them every allocation.
#[derive(Debug)]
pub struct TurnServer {
    /// Where it listens.
    pub listening: Listening,
    /// What could not be opened. Calls work without it where clients reach the media ports directly, so this is for the log.
    pub unopened: Vec<Unopened>,
    shared: Arc<Shared>,
    thread: Option<std::thread::JoinHandle<()>>,
}

/// What the thread and its handle share.
#[derive(Debug)]
struct Shared {
    stopped: AtomicBool,
    counts: Mutex<Counts>,
    waker: Waker,
}

impl TurnServer {
    /// What was counted up to a moment ago. It also asks for a newer reading, which the next call gives.
    #[must_use]
    pub fn counts(&self) -> Counts {
        // A waker that fails means that the thread has ended; its last counts stay.
        let _ = self.shared.waker.wake();
        *self.shared.counts.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Does its thread run?
    #[must_use]
    pub fn is_alive(&self) -> bool {
        self.thread.as_ref().is_some_and(|thread| !thread.is_finished())
    }
}

impl Drop for TurnServer {
    fn drop(&mut self) {
        self.shared.stopped.store(true, Ordering::Release);
        if self.shared.waker.wake().is_ok()
            && let Some(thread) = self.thread.take()
        {
            // If it panicked it has said so.
            let _ = thread.join();
        }
    }
}

/// Opens the lines of the configuration and starts the thread; `None` when all of them are switched off.
///
/// # Errors
/// When the system gives no thread, no random numbers, or not one of the lines. Calls work without, so the caller may say so
/// and go on.
pub fn serve(config: &Config, surroundings: &Surroundings) -> io::Result<Option<TurnServer>> {
    let poll = Poll::new()?;
    let mut lines = lines::Lines::new(poll.registry().try_clone()?, config.address_allocations);
    let relays = config.relays();
    let (mut listening, mut unopened) = open(config, surroundings.tls.is_some(), surroundings.tls.as_ref(), &mut lines);
    if [listening.udp, listening.tcp, listening.tls].iter().all(Option::is_none) {
        return unopened.pop().map_or(Ok(None), |unopened| Err(io::Error::other(unopened)));
    }
    let ground = Watched::new(config, surroundings);
    let rules = relays.then(|| rules(config, surroundings, ground.peers()));
    listening.relays = rules.as_ref().is_some_and(|rules| rules.relay_v4.is_some() || rules.relay_v6.is_some());
    let mut seed = [0; 32];
    SystemRandom::new().fill(&mut seed).map_err(|_| io::Error::other("the system gives no random numbers"))?;
    let core = Server::new(rules, Instant::now(), &seed);
    let waker = Waker::new(poll.registry(), thread::WAKER)?;
    let shared = Arc::new(Shared { stopped: AtomicBool::new(false), counts: Mutex::default(), waker });
    let thread = thread::Thread::new(poll, core, lines, ground, Arc::clone(&shared));
    let thread = std::thread::Builder::new().name("turn".into()).spawn(move || thread.run())?;
    Ok(Some(TurnServer { listening, unopened, shared, thread: Some(thread) }))
}

/// What could not be served now: opens each line of the configuration, and closes it again. TLS is tried with a certificate only.
///
/// # Errors
/// When the system gives nothing to wait for sockets with.
pub fn unopened(config: &Config, has_certificate: bool) -> io::Result<Vec<Unopened>> {
    let mut lines = lines::Lines::new(Poll::new()?.registry().try_clone()?, config.address_allocations);
    Ok(open(config, has_certificate, None, &mut lines).1)
}

/// Opens what the configuration says, each line for itself.
fn open(
    config: &Config,
    has_certificate: bool,
    tls: Option<&Arc<ServerConfig>>,
    lines: &mut lines::Lines,
) -> (Listening, Vec<Unopened>) {
    let (mut listening, mut unopened) = (Listening::default(), Vec::new());
    let mut open = |what, at: Option<SocketAddr>, open: &mut dyn FnMut(SocketAddr) -> io::Result<SocketAddr>| {
        let address = at?;
        open(address).map_err(|error| unopened.push(Unopened { what, address, error })).ok()
    };
    listening.udp = open("STUN and TURN over UDP", config.stun_listen, &mut |at| lines.listen_udp(at));
    if config.relays() {
        listening.tcp = open("TURN over TCP", config.tcp(), &mut |at| lines.listen_tcp(at, None));
        if has_certificate {
            listening.tls = open("TURN over TLS", config.tls(), &mut |at| lines.listen_tcp(at, tls));
        }
    }
    (listening, unopened)
}

fn rules(config: &Config, surroundings: &Surroundings, peers: Peers) -> Rules {
    let Surroundings { secret, announced, .. } = surroundings;
    let first = |is_v4: bool| announced.iter().copied().find(|ip| ip.is_ipv4() == is_v4);
    // A machine may have been given the name of an IPv6 address that it does not have.
    let has_v6 = std::net::UdpSocket::bind((Ipv6Addr::UNSPECIFIED, 0)).is_ok();
    Rules {
        secret: secret.clone(),
        realm: config.realm.clone(),
        relay_v4: first(true),
        relay_v6: first(false).filter(|_| has_v6),
        ports: (config.relay_ports.first, config.relay_ports.last),
        peers,
        most_allocations: config.max_allocations as usize,
        user_allocations: config.user_allocations,
        user_bytes_per_s: config.user_bytes_per_s,
        address_allocations: config.address_allocations,
        address_bytes_per_s: config.address_bytes_per_s,
    }
}

/// The addresses behind one setting: `[::]` is every address of both families, each with a socket of its own.
fn families(listen: SocketAddr) -> Vec<SocketAddr> {
    if listen.ip() == IpAddr::V6(Ipv6Addr::UNSPECIFIED) {
        vec![SocketAddr::from((Ipv4Addr::UNSPECIFIED, listen.port())), listen]
    } else {
        vec![listen]
    }
}

impl Now {
    fn read() -> Self {
        let unix_s = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs());
        Self { instant: Instant::now(), unix_s }
    }
}
