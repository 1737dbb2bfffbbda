//! One-port mode: all shards share one UDP port (SO_REUSEPORT), and a peer gets a socket of its own, connected to its address on
//! the shard that owns it, as soon as it has shown its credentials. The kernel then delivers the peer's packets there.
//!
//! Only what comes before that may land on the wrong shard. It is a connectivity check, whose user name says which shard it is
//! for, and it is handed over once. Lanes only receive: what is sent leaves by the shared socket, from the same port.

use std::collections::{HashMap, VecDeque};
use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, UdpSocket};
use std::time::{Duration, Instant};

use mio::{Interest, Registry, Token};
use parlor_media::{ParticipantId, Path};
use socket2::SockRef;

use super::socket::{UdpPort, bound};

/// Tokens of lanes begin here, above those of everything else.
pub(super) const FIRST_TOKEN: usize = 1 << 40;
/// Lanes of one shard at most: each is an open file. Whoever finds no room is reached by TCP.
pub(super) const MOST_LANES: usize = 4096;
/// Lanes of one participant: the core keeps as many addresses of one. A device has two or three networks, and some are reached by a
/// relay as well.
const MOST_OF_ONE: usize = 8;
/// Who has all that one may have gets another one in place of an old one this often: a socket costs as much as some hundred packets.
const REPLACE_EVERY: Duration = Duration::from_millis(250);
/// The kernel's buffer of one lane, bytes: a second of three layers.
const KERNEL_BUFFER: usize = 512 * 1024;
/// How often lanes of those who have left are closed.
const SWEEP_EVERY: Duration = Duration::from_secs(2);
/// Time that a trial packet has to arrive on loopback.
const TRIAL_PATIENCE: Duration = Duration::from_millis(500);

struct Lane {
    path: Path,
    holder: ParticipantId,
    port: UdpPort,
}

/// The lanes of one participant.
struct Held {
    /// Oldest first.
    lanes: VecDeque<usize>,
    /// When the last one was opened.
    opened: Instant,
}

/// The sockets of a shard that are connected to single peers.
pub(super) struct Lanes {
    port: u16,
    by_token: HashMap<usize, Lane>,
    by_holder: HashMap<ParticipantId, Held>,
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
            by_holder: HashMap::new(),
            by_path: HashMap::new(),
            ready: Vec::new(),
            next: FIRST_TOKEN,
            swept: Instant::now(),
            refused: 0,
        }
    }

    /// Gives a participant's path a lane, unless it has one. Who has all that one may have loses the one that is not `held` any
    /// more, or the oldest; and not too often.
    pub fn open(
        &mut self,
        now: Instant,
        (path, holder): (Path, ParticipantId),
        registry: &Registry,
        held: impl Fn(&Path) -> bool,
    ) {
        if self.by_path.contains_key(&path) {
            return;
        }
        if let Some(all) = self.by_holder.get(&holder).filter(|all| all.lanes.len() >= MOST_OF_ONE) {
            if now.saturating_duration_since(all.opened) < REPLACE_EVERY {
                self.refused += 1;
                return;
            }
            let is_left = |token: &&usize| self.by_token.get(token).is_some_and(|lane| !held(&lane.path));
            if let Some(token) = all.lanes.iter().find(is_left).or(all.lanes.front()).copied() {
                self.close(token, registry);
            }
        }
        let opened = if self.by_token.len() < MOST_LANES {
            self.connect(&path, registry)
        } else {
            Err(io::ErrorKind::QuotaExceeded.into())
        };
        match opened {
            Ok(port) => {
                self.by_path.insert(path, self.next);
                let all = self.by_holder.entry(holder).or_insert_with(|| Held { lanes: VecDeque::new(), opened: now });
                all.lanes.push_back(self.next);
                all.opened = now;
                self.by_token.insert(self.next, Lane { path, holder, port });
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

    pub fn lane(&mut self, token: usize) -> Option<&mut UdpPort> {
        self.by_token.get_mut(&token).map(|lane| &mut lane.port)
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
        let left: Vec<usize> =
            self.by_token.iter().filter(|(_, lane)| !held(&lane.path)).map(|(token, _)| *token).collect();
        left.into_iter().for_each(|token| self.close(token, registry));
    }

    fn close(&mut self, token: usize, registry: &Registry) {
        let Some(mut lane) = self.by_token.remove(&token) else { return };
        self.by_path.remove(&lane.path);
        self.ready.retain(|ready| *ready != token);
        if let Some(all) = self.by_holder.get_mut(&lane.holder) {
            all.lanes.retain(|of| *of != token);
            if all.lanes.is_empty() {
                self.by_holder.remove(&lane.holder);
            }
        }
        // Closing ends the registration as well.
        let _ = registry.deregister(&mut lane.port.socket);
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

#[cfg(test)]
mod tests {
    use parlor_media::Via;

    use super::*;

    #[test]
    fn one_participant_has_few_lanes_however_many_addresses_it_shows() {
        let shared = bound(SocketAddr::from((Ipv4Addr::LOCALHOST, 0)), true).unwrap();
        let port = shared.local_addr().unwrap().as_socket().unwrap().port();
        let (poll, mut lanes) = (mio::Poll::new().unwrap(), Lanes::new(port));
        let path = |remote: u16| Path { remote: ([127, 0, 0, 1], remote).into(), local: None, via: Via::Udp };
        let (eve, ada) = (ParticipantId(1), ParticipantId(2));
        let mut now = Instant::now();
        lanes.open(now, (path(20_000), ada), poll.registry(), |_| true);
        for remote in 20_001..20_101 {
            lanes.open(now, (path(remote), eve), poll.registry(), |_| true);
        }
        // Sockets are not opened and closed as fast as somebody can invent addresses.
        assert_eq!((lanes.len(), lanes.refused), (1 + MOST_OF_ONE, 100 - MOST_OF_ONE as u64));
        assert!(lanes.by_path.contains_key(&path(20_000)), "nobody else lost theirs");
        now += REPLACE_EVERY;
        lanes.open(now, (path(20_101), eve), poll.registry(), |_| true);
        assert!(lanes.by_path.contains_key(&path(20_101)) && !lanes.by_path.contains_key(&path(20_001)), "the oldest");
        // One that the core has forgotten goes before an older one that is in use.
        now += REPLACE_EVERY;
        lanes.open(now, (path(20_102), eve), poll.registry(), |path| path.remote.port() != 20_007);
        assert!(!lanes.by_path.contains_key(&path(20_007)) && lanes.by_path.contains_key(&path(20_002)));
        assert_eq!(lanes.len(), 1 + MOST_OF_ONE);
        lanes.swept = Instant::now().checked_sub(SWEEP_EVERY).unwrap();
        lanes.sweep(poll.registry(), |path| path.remote.port() == 20_000);
        assert_eq!((lanes.len(), lanes.by_path.len(), lanes.by_holder.len(), lanes.ready.len()), (1, 1, 1, 1));
    }
}
