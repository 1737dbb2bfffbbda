//! The TCP connections of all clients: accepted within limits, closed when they have nothing to do here.

use std::collections::{HashMap, VecDeque};
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use mio::net::TcpListener;
use mio::{Interest, Registry, Token};
use rustls::{ServerConfig, ServerConnection};
use socket2::{Domain, Protocol, SockRef, Socket, Type};

use super::connection::Connection;
use super::thread::{LISTENERS, STREAMS};
use crate::budget::{Budgets, USUAL_OF_ONE_SOURCE, source};
use crate::counts::DropReason;

/// Connections at once: twice the allocations that there are by default.
pub(crate) const MOST_CONNECTIONS: usize = 4096;
/// The time a connection has without an allocation. A browser asks for one at once.
pub(super) const PATIENCE: Duration = Duration::from_secs(10);
/// Connections accepted in one turn, so that those that are open are served in between.
pub(super) const MOST_ACCEPTS: usize = 32;
/// Connections a second of all clients: a handshake costs as much as some hundred packets, and those who talk come first. Further
/// ones wait in the backlog. A second's worth may come at once. Only those count that get a place: who comes more often than one source
/// may takes nothing from the others.
const MOST_ACCEPTS_PER_S: u32 = 400;
/// Connections that wait to be accepted.
const BACKLOG: i32 = 1024;
/// The kernel's send buffer of a connection, bytes. A larger one would only make what is in it late: 100 ms at 10 Mbit/s.
const SEND_BUFFER: usize = 128 * 1024;
/// How long nothing is accepted when the system has no more file descriptors, or too many came.
const PAUSE: Duration = Duration::from_millis(200);
/// The bits of a connection's number that say its place.
const PLACE_BITS: u32 = 16;

struct Listener {
    socket: TcpListener,
    tls: Option<Arc<ServerConfig>>,
}

pub(super) struct Streams {
    most: usize,
    /// Connections of one IPv4 address or IPv6 /64: as many as it may have allocations, and 256 in any case. An office shares an address,
    /// and a browser opens a few for each call.
    most_of_source: u32,
    listeners: Vec<Listener>,
    places: Vec<Option<Connection>>,
    free: Vec<usize>,
    accepted: u64,
    open: usize,
    open_tls: usize,
    sources: HashMap<u128, u32>,
    budgets: Budgets,
    /// When the next one is due at the steady rate.
    next: Instant,
    /// Who must have an allocation by when, in order.
    due: VecDeque<(Instant, u64)>,
    paused: Option<Instant>,
    /// In the order of [`DropReason::ALL`].
    pub(super) drops: [u64; DropReason::ALL.len()],
}

impl Streams {
    /// `most`: connections at once; `of_source`: allocations that one source may have.
    pub(super) fn new(most: usize, of_source: u32) -> Self {
        Self {
            most,
            most_of_source: of_source.max(USUAL_OF_ONE_SOURCE),
            listeners: Vec::new(),
            places: Vec::new(),
            free: Vec::new(),
            accepted: 0,
            open: 0,
            open_tls: 0,
            sources: HashMap::new(),
            budgets: Budgets::sized(Instant::now(), of_source),
            next: Instant::now(),
            due: VecDeque::new(),
            paused: None,
            drops: [0; DropReason::ALL.len()],
        }
    }

    pub(super) fn listen(
        &mut self,
        address: SocketAddr,
        tls: Option<&Arc<ServerConfig>>,
        registry: &Registry,
    ) -> io::Result<SocketAddr> {
        let socket = Socket::new(Domain::for_address(address), Type::STREAM, Some(Protocol::TCP))?;
        if address.is_ipv6() {
            socket.set_only_v6(true)?;
        }
        // After a restart the port is still in use by connections of before.
        socket.set_reuse_address(true)?;
        socket.set_nonblocking(true)?;
        socket.bind(&address.into())?;
        socket.listen(BACKLOG)?;
        let mut socket = TcpListener::from_std(socket.into());
        registry.register(&mut socket, Token(LISTENERS + self.listeners.len()), Interest::READABLE)?;
        let address = socket.local_addr()?;
        self.listeners.push(Listener { socket, tls: tls.cloned() });
        Ok(address)
    }

    /// Accepts who waits; `true`: there may be more.
    pub(super) fn accept(&mut self, now: Instant, listener: usize, registry: &Registry) -> bool {
        // After a pause all listeners are looked at again ([`Streams::resume`]), those too whose edge came in it.
        if self.paused.is_some() {
            return false;
        }
        for _ in 0..MOST_ACCEPTS {
            if self.next > now + Duration::from_secs(1) {
                self.paused = Some(now + PAUSE);
                return false;
            }
            let Some(Listener { socket, tls }) = self.listeners.get(listener) else { return false };
            let tls = tls.clone();
            match socket.accept() {
                Ok((stream, remote)) => {
                    self.take(now, stream, remote, tls, registry);
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return false,
                // Somebody who hung up before.
                Err(error) if error.kind() == io::ErrorKind::ConnectionAborted => {}
                Err(_) => {
                    self.count(DropReason::NotAccepted);
                    self.paused = Some(now + PAUSE);
                    return false;
                }
            }
        }
        true
    }

    /// When accepting goes on after the system had no room, or a connection's patience ends.
    pub(super) fn poll_timeout(&self) -> Option<Instant> {
        self.paused.into_iter().chain(self.due.front().map(|(at, _)| *at)).min()
    }

    /// How many listeners there are to look at again, once a pause is over.
    pub(super) fn resume(&mut self, now: Instant) -> usize {
        if self.paused.is_some_and(|until| until <= now) {
            self.paused = None;
            return self.listeners.len();
        }
        0
    }

    fn take(
        &mut self,
        now: Instant,
        stream: mio::net::TcpStream,
        remote: SocketAddr,
        tls: Option<Arc<ServerConfig>>,
        registry: &Registry,
    ) {
        let of_source = self.sources.get(&source(remote.ip())).copied().unwrap_or(0);
        let has_room = self.open < self.most && of_source < self.most_of_source;
        if !has_room || !self.budgets.take(now, remote.ip()) {
            return self.count(DropReason::TooManyConnections);
        }
        self.next = self.next.max(now) + Duration::from_secs(1) / MOST_ACCEPTS_PER_S;
        let Ok(tls) = tls.map(ServerConnection::new).transpose() else { return self.count(DropReason::BadTls) };
        let tls = tls.map(|mut tls| {
            tls.set_buffer_limit(None);
            Box::new(tls)
        });
        // Without them it is only slower.
        let _ = stream.set_nodelay(true);
        let _ = SockRef::from(&stream).set_send_buffer_size(SEND_BUFFER);
        let place = self.free.pop().unwrap_or_else(|| {
            self.places.push(None);
            self.places.len() - 1
        });
        self.accepted += 1;
        let number = (self.accepted << PLACE_BITS) | place as u64;
        let mut connection = Connection::new(number, remote, stream, tls);
        let interest = Interest::READABLE | Interest::WRITABLE;
        if registry.register(&mut connection.stream, Token(STREAMS + place), interest).is_err() {
            self.free.push(place);
            return self.count(DropReason::TooManyConnections);
        }
        self.open += 1;
        self.open_tls += usize::from(connection.tls.is_some());
        *self.sources.entry(source(remote.ip())).or_default() += 1;
        self.due.push_back((now + PATIENCE, number));
        self.places[place] = Some(connection);
    }

    /// There is no place for each that one turn may accept: the connection that has waited longest for an allocation, or had one when it was looked at last. Each is
    /// named once.
    pub(super) fn oldest_waiting(&mut self) -> Option<usize> {
        while self.open + MOST_ACCEPTS > self.most {
            let (_, number) = self.due.pop_front()?;
            let place = place_of(number);
            if self.places[place].as_ref().is_some_and(|connection| connection.number == number) {
                return Some(place);
            }
        }
        None
    }

    /// Takes a connection out, to read from it; [`Streams::put_back`] or [`Streams::close`] follows.
    pub(super) fn take_out(&mut self, place: usize) -> Option<Connection> {
        self.places.get_mut(place)?.take()
    }

    pub(super) fn put_back(&mut self, connection: Connection) {
        let place = place_of(connection.number);
        self.places[place] = Some(connection);
    }

    /// Closes what was taken out.
    pub(super) fn close(&mut self, connection: Connection) {
        self.open -= 1;
        self.open_tls -= usize::from(connection.tls.is_some());
        self.free.push(place_of(connection.number));
        let key = source(connection.remote.ip());
        if let Some(count) = self.sources.get_mut(&key) {
            *count -= 1;
            if *count == 0 {
                self.sources.remove(&key);
            }
        }
        drop(connection);
    }

    /// Brings messages to a client; `false`: it is too slow, or gone.
    pub(super) fn send(&mut self, number: u64, bytes: &[u8]) -> bool {
        let connection = self.places.get_mut(place_of(number)).and_then(Option::as_mut);
        connection.filter(|known| known.number == number).is_some_and(|connection| connection.send(bytes).is_ok())
    }

    /// The allocation of this connection has ended: it may make another one.
    pub(super) fn wait_again(&mut self, now: Instant, number: u64) {
        self.due.push_back((now + PATIENCE, number));
    }

    /// The next connection whose time is over.
    pub(super) fn poll_due(&mut self, now: Instant) -> Option<usize> {
        while self.due.front().is_some_and(|(at, _)| *at <= now) {
            let (_, number) = self.due.pop_front()?;
            let place = place_of(number);
            if self.places[place].as_ref().is_some_and(|connection| connection.number == number) {
                return Some(place);
            }
        }
        None
    }

    pub(super) fn count(&mut self, reason: DropReason) {
        self.drops[reason.index()] += 1;
    }

    /// Connections, and those with TLS among them.
    pub(super) fn open(&self) -> (u64, u64) {
        (self.open as u64, self.open_tls as u64)
    }
}

fn place_of(number: u64) -> usize {
    (number & ((1 << PLACE_BITS) - 1)) as usize
}

#[cfg(test)]
mod tests {
    use std::net::TcpStream;

    use mio::Poll;

    use super::*;

    #[test]
    fn after_a_pause_every_listener_is_looked_at_again() {
        let (poll, mut streams, now) = (Poll::new().unwrap(), Streams::new(MOST_CONNECTIONS, 0), Instant::now());
        let mut listen = || streams.listen(SocketAddr::from(([127, 0, 0, 1], 0)), None, poll.registry()).unwrap();
        let addresses = [listen(), listen()];
        let waiting = addresses.map(|address| TcpStream::connect(address).unwrap());
        let until = now + PAUSE;
        streams.paused = Some(until);
        // The first one's edge comes in the pause, the second one's right after it: neither is lost.
        assert!(!streams.accept(now, 0, poll.registry()) && !streams.accept(until, 1, poll.registry()));
        assert_eq!((streams.open().0, streams.poll_timeout()), (0, Some(until)));
        for listener in 0..streams.resume(until) {
            assert!(!streams.accept(until, listener, poll.registry()), "nobody else waits");
        }
        assert_eq!(streams.open().0, 2);
        drop(waiting);
    }

    /// A connection from an address of this machine.
    fn connect(from: [u8; 4], to: SocketAddr) -> Socket {
        let socket = Socket::new(Domain::IPV4, Type::STREAM, Some(Protocol::TCP)).unwrap();
        socket.bind(&SocketAddr::from((from, 0)).into()).unwrap();
        socket.connect(&to.into()).unwrap();
        socket
    }

    #[test]
    fn who_comes_too_often_uses_up_nobody_elses_pace() {
        let (poll, mut streams, now) = (Poll::new().unwrap(), Streams::new(MOST_CONNECTIONS, 0), Instant::now());
        let address = streams.listen(SocketAddr::from(([127, 0, 0, 1], 0)), None, poll.registry()).unwrap();
        while streams.budgets.take(now, [127, 0, 0, 1].into()) {}
        // A few more, and all would have to wait.
        streams.next = now + Duration::from_millis(990);
        let refused: Vec<_> = (0..2 * MOST_ACCEPTS).map(|_| connect([127, 0, 0, 1], address)).collect();
        let other = connect([127, 0, 0, 2], address);
        for _ in 0..2 {
            assert!(streams.accept(now, 0, poll.registry()), "a loop accepts so many and no more, refused ones too");
            assert_eq!(streams.open().0, 0);
        }
        assert!(!streams.accept(now, 0, poll.registry()));
        assert_eq!(
            (streams.open().0, streams.poll_timeout()),
            (1, Some(now + PATIENCE)),
            "somebody else is let in at once"
        );
        assert_eq!(streams.drops[DropReason::TooManyConnections.index()], refused.len() as u64);
        // Those who are let in have to keep the pace of all.
        let more: Vec<_> = (3..9).map(|last| connect([127, 0, 0, last], address)).collect();
        assert!(!streams.accept(now, 0, poll.registry()));
        assert!(streams.open().0 < 1 + more.len() as u64 && streams.paused == Some(now + PAUSE), "the others wait");
        drop(other);
    }

    #[test]
    fn an_address_that_may_have_more_allocations_may_have_more_connections() {
        for (allocations, most, at_once) in [(1, 256, 100), (256, 256, 100), (1_024, 1_024, 400)] {
            let mut streams = Streams::new(MOST_CONNECTIONS, allocations);
            let now = Instant::now();
            let taken = (0..2_000).take_while(|_| streams.budgets.take(now, [192, 0, 2, 1].into())).count();
            assert_eq!((streams.most_of_source, taken), (most, at_once), "{allocations}");
        }
    }

    #[test]
    fn who_has_waited_longest_is_named_when_all_places_are_taken() {
        let (poll, mut streams, now) = (Poll::new().unwrap(), Streams::new(1 + MOST_ACCEPTS, 0), Instant::now());
        let address = streams.listen(SocketAddr::from(([127, 0, 0, 1], 0)), None, poll.registry()).unwrap();
        let first = TcpStream::connect(address).unwrap();
        streams.accept(now, 0, poll.registry());
        assert_eq!(streams.oldest_waiting(), None, "there is room");
        let second = TcpStream::connect(address).unwrap();
        streams.accept(now, 0, poll.registry());
        let named = [streams.oldest_waiting().unwrap(), streams.oldest_waiting().unwrap()];
        let remote = |place: usize| streams.places[place].as_ref().unwrap().remote;
        assert_eq!(named.map(remote), [&first, &second].map(|stream| stream.local_addr().unwrap()));
        assert_eq!(streams.oldest_waiting(), None, "each once");
        let connection = streams.take_out(named[0]).unwrap();
        streams.close(connection);
        assert_eq!((streams.oldest_waiting(), streams.open().0), (None, 1));
    }
}
