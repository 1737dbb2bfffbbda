//! One-port mode: all shards share one UDP port (SO_REUSEPORT), and a peer gets a socket of its own, connected to its address on
//! the shard that owns it, as soon as it has shown its credentials. The kernel then delivers the peer's packets there.
//!
//! Only what comes before that may land on the wrong shard. It is a connectivity check, whose user name says which shard it is
//! for, and it is handed over once. Lanes only receive: what is sent leaves by the shared socket, from the same port.

use std::collections::HashMap;
use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, UdpSocket};
use std::time::{Duration, Instant};

use mio::{Interest, Registry, Token};
use parlor_media::Path;
use socket2::SockRef;

use super::socket::{UdpPort, bound};

/// Tokens of lanes begin here, above those of everything else.
pub(super) const FIRST_TOKEN: usize = 1 << 40;
/// Lanes of one shard at most: each is an open file. Whoever finds no room is reached by TCP.
const MOST_LANES: usize = 4096;
/// The kernel's buffer of one lane, bytes: a second of three layers.
const KERNEL_BUFFER: usize = 512 * 1024;
/// How often lanes of those who have left are closed.
const SWEEP_EVERY: Duration = Duration::from_secs(2);
/// Time that a trial packet has to arrive on loopback.
const TRIAL_PATIENCE: Duration = Duration::from_millis(500);

/// A datagram that landed on another shard than its own.
pub(super) struct Stray {
    pub path: Path,
    pub bytes: Vec<u8>,
}

/// The sockets of a shard that are connected to single peers.
pub(super) struct Lanes {
    port: u16,
    by_token: HashMap<usize, (Path, UdpPort)>,
    by_path: HashMap<Path, usize>,
    /// Lanes with something to read.
    ready: Vec<usize>,
    next: usize,
    swept: Instant,
    /// Peers that no socket could be connected to.
    pub refused: u64,
}

impl Lanes {
    pub fn new(port: u16) -> Lanes {
        Lanes {
            port,
            by_token: HashMap::new(),
            by_path: HashMap::new(),
            ready: Vec::new(),
            next: FIRST_TOKEN,
            swept: Instant::now(),
            refused: 0,
        }
    }

    /// Gives a path a lane, unless it has one.
    pub fn open(&mut self, path: Path, registry: &Registry) {
        if self.by_path.contains_key(&path) {
            return;
        }
        let opened = if self.by_token.len() < MOST_LANES {
            self.connect(&path, registry)
        } else {
            Err(io::ErrorKind::QuotaExceeded.into())
        };
        match opened {
            Ok(lane) => {
                self.by_path.insert(path, self.next);
                self.by_token.insert(self.next, (path, lane));
                // What came between bind and connect has made no edge that anybody saw.
                self.ready.push(self.next);
                self.next += 1;
            }
            Err(error) => {
                if self.refused == 0 {
                    tracing::warn!(%error, "a peer gets no socket of its own; with PARLOR_MEDIA_ONE_PORT this needs open files");
                }
                self.refused += 1;
            }
        }
    }

    fn connect(&self, path: &Path, registry: &Registry) -> io::Result<UdpPort> {
        let anywhere =
            if path.remote.is_ipv4() { IpAddr::from(Ipv4Addr::UNSPECIFIED) } else { Ipv6Addr::UNSPECIFIED.into() };
        let mut socket = bound(SocketAddr::new(anywhere, self.port), true)?;
        socket.connect(&path.remote.into())?;
        let ours = socket.local_addr()?.as_socket().map(|address| address.ip());
        if let Some(local) = path.local
            && ours != Some(local)
        {
            // The peer knows us by another address than the one that the system would answer from.
            socket = bound(SocketAddr::new(local, self.port), true)?;
            socket.connect(&path.remote.into())?;
        }
        let mut lane = UdpPort::take(socket, true, KERNEL_BUFFER)?;
        registry.register(&mut lane.socket, Token(self.next), Interest::READABLE)?;
        Ok(lane)
    }

    /// Something can be read.
    pub fn wake(&mut self, token: Token) {
        self.ready.push(token.0);
    }

    /// A lane with something to read.
    pub fn next_ready(&mut self) -> Option<usize> {
        self.ready.pop()
    }

    pub fn lane(&self, token: usize) -> Option<&UdpPort> {
        self.by_token.get(&token).map(|(_, lane)| lane)
    }

    pub fn len(&self) -> usize {
        self.by_token.len()
    }

    /// When lanes are looked through next; `None` while there are none.
    pub fn due(&self) -> Option<Instant> {
        (!self.by_token.is_empty()).then(|| self.swept + SWEEP_EVERY)
    }

    /// Closes the lanes of paths that nobody holds any more, when it is time to look.
    pub fn sweep(&mut self, registry: &Registry, held: impl Fn(&Path) -> bool) {
        if self.swept.elapsed() < SWEEP_EVERY {
            return;
        }
        self.swept = Instant::now();
        for (token, (path, mut lane)) in self.by_token.extract_if(|_, (path, _)| !held(path)) {
            self.by_path.remove(&path);
            self.ready.retain(|ready| *ready != token);
            // Closing ends the registration as well.
            let _ = registry.deregister(&mut lane.socket);
        }
    }
}

/// Whether this system delivers a peer's packets to the socket that is connected to it, whatever else is bound to the port.
pub(super) fn works() -> bool {
    let tried = || -> io::Result<bool> {
        let peer = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0))?;
        let shared: UdpSocket = bound(SocketAddr::from((Ipv4Addr::UNSPECIFIED, 0)), true)?.into();
        let port = shared.local_addr()?.port();
        let other: UdpSocket = bound(SocketAddr::from((Ipv4Addr::UNSPECIFIED, port)), true)?.into();
        let lane: UdpSocket = bound(SocketAddr::from((Ipv4Addr::UNSPECIFIED, port)), true)?.into();
        SockRef::from(&lane).connect(&peer.local_addr()?.into())?;
        lane.set_nonblocking(false)?;
        lane.set_read_timeout(Some(TRIAL_PATIENCE))?;
        peer.send_to(b"trial", (Ipv4Addr::LOCALHOST, port))?;
        let arrived = lane.recv(&mut [0; 16]).is_ok();
        let astray = [shared, other].iter().any(|socket| socket.recv(&mut [0; 16]).is_ok());
        Ok(arrived && !astray)
    };
    tried().unwrap_or(false)
}
