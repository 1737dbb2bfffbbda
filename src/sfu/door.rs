//! The door of those who come over TCP: a thread that takes connections, reads each one's first frame, and hands the connection to
//! the shard that the frame is for. Who shows nothing within a few seconds, or anything else, is sent away; and until then a
//! connection takes nobody's place ([`super::crowd`]).

use std::collections::HashMap;
use std::io::{self, Read, Write};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use mio::net::{TcpListener, TcpStream};
use mio::{Events, Interest, Poll, Token, Waker};
use parlor_media::ice;
use socket2::{Domain, Protocol, SockRef, Socket, Type};

use super::crowd::Crowd;
use super::tcp::{Arrival, HEAD, MOST_FRAME, frame_end};
use super::{Command, ShardHandle};

const WAKE: Token = Token(0);
const LISTENERS: [Token; 2] = [Token(1), Token(2)];
/// Tokens of newcomers begin here.
const FIRST_NEWCOMER: usize = 16;
/// Connections that the kernel keeps until they are taken.
const BACKLOG: i32 = 256;
/// Connections at once that have shown nothing yet: each is an open file. A client shows its check as soon as it is connected.
pub(super) const MOST_NEWCOMERS: usize = 1_024;
/// Bytes that the kernel keeps unsent at most (TCP_NOTSENT_LOWAT): what is queued deeper comes too late to be of use.
const MOST_UNSENT: u32 = 64 * 1024;
/// Data that nobody acknowledges for this long ends a connection.
const MOST_UNACKNOWLEDGED: Duration = Duration::from_secs(30);
/// Plain STUN requests answered on one connection: enough for whoever tries whether the port can be reached.
const MOST_ANSWERS: u8 = 4;
/// How often those who show nothing are looked for.
const LOOK_EVERY: Duration = Duration::from_secs(1);

/// How many may come in.
#[derive(Clone, Copy, Debug)]
pub(super) struct Bounds {
    pub connections: usize,
    pub per_address: usize,
    pub first_check: Duration,
}

/// What happened at the door.
#[derive(Debug, Default)]
pub(super) struct Counts {
    /// Connections handed to shards.
    pub taken: AtomicU64,
    /// Sent away: no place, nothing shown in time, nothing shown before too many others came, something else shown.
    pub full: AtomicU64,
    pub silent: AtomicU64,
    pub crowded: AtomicU64,
    pub strange: AtomicU64,
}

impl Counts {
    /// Who was sent away, by the reason.
    pub fn sent_away(&self) -> [(&'static str, u64); 4] {
        let reasons =
            [("full", &self.full), ("silent", &self.silent), ("crowded", &self.crowded), ("strange", &self.strange)];
        reasons.map(|(reason, count)| (reason, count.load(Ordering::Relaxed)))
    }
}

/// The places for connections that have shown for whom they are.
struct Seats {
    bounds: Bounds,
    taken: Mutex<HashMap<IpAddr, usize>>,
    all: AtomicU64,
}

/// A connection's place; dropping it frees it.
pub(super) struct Seat {
    seats: Arc<Seats>,
    address: IpAddr,
}

impl Seats {
    fn take(self: &Arc<Self>, address: IpAddr) -> Option<Seat> {
        let address = net_of(address);
        let mut taken = self.taken.lock().unwrap_or_else(PoisonError::into_inner);
        if self.all.load(Ordering::Relaxed) >= self.bounds.connections as u64 {
            return None;
        }
        let here = taken.entry(address).or_default();
        if *here >= self.bounds.per_address {
            return None;
        }
        *here += 1;
        self.all.fetch_add(1, Ordering::Relaxed);
        Some(Seat { seats: Arc::clone(self), address })
    }
}

#[cfg(test)]
impl Seat {
    /// A place that takes none from anybody.
    pub fn alone() -> Seat {
        let bounds = Bounds { connections: 1, per_address: 1, first_check: Duration::ZERO };
        let seats = Arc::new(Seats { bounds, taken: Mutex::default(), all: AtomicU64::new(0) });
        seats.take(Ipv4Addr::LOCALHOST.into()).expect("it is the first")
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        let mut taken = self.seats.taken.lock().unwrap_or_else(PoisonError::into_inner);
        self.seats.all.fetch_sub(1, Ordering::Relaxed);
        if let Some(here) = taken.get_mut(&self.address) {
            *here -= 1;
            if *here == 0 {
                taken.remove(&self.address);
            }
        }
    }
}

/// One subscriber of IPv6 has a /64.
pub(super) fn net_of(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V4(address) => address.into(),
        IpAddr::V6(address) => Ipv6Addr::from(u128::from(address) & !u128::from(u64::MAX)).into(),
    }
}

/// What the rest of the media side holds of the door.
pub(super) struct DoorHandle {
    stopped: Arc<AtomicBool>,
    waker: Arc<Waker>,
    pub counts: Arc<Counts>,
    pub port: u16,
    pub has_v6: bool,
}

impl DoorHandle {
    /// Ends the thread and closes the port.
    pub fn close(&self) {
        self.stopped.store(true, Ordering::Release);
        // A waker that fails means that the thread has ended already.
        let _ = self.waker.wake();
    }
}

/// Somebody who has shown nothing yet.
struct Newcomer {
    stream: TcpStream,
    remote: SocketAddr,
    since: Instant,
    bytes: Vec<u8>,
    answers: u8,
}

/// The thread's side.
pub(super) struct Door {
    poll: Poll,
    listeners: Vec<TcpListener>,
    newcomers: Crowd<Newcomer>,
    next: usize,
    /// The next connection's number.
    number: u32,
    shards: Vec<ShardHandle>,
    seats: Arc<Seats>,
    counts: Arc<Counts>,
    stopped: Arc<AtomicBool>,
}

/// What a look at a newcomer comes to.
enum Look {
    Waits,
    For(usize),
    Strange,
}

impl Door {
    /// Listens on the port for both families; 0 for any free one.
    ///
    /// # Errors
    /// When the port is taken.
    pub fn open(port: u16, bounds: Bounds) -> io::Result<(Door, DoorHandle)> {
        let poll = Poll::new()?;
        let waker = Arc::new(Waker::new(poll.registry(), WAKE)?);
        let v4 = listen(SocketAddr::from((Ipv4Addr::UNSPECIFIED, port)))?;
        let port = v4.local_addr()?.port();
        // A machine without IPv6 serves IPv4.
        let v6 = listen(SocketAddr::from((Ipv6Addr::UNSPECIFIED, port))).ok();
        let has_v6 = v6.is_some();
        let mut listeners: Vec<TcpListener> = [Some(v4), v6].into_iter().flatten().collect();
        for (listener, token) in listeners.iter_mut().zip(LISTENERS) {
            poll.registry().register(listener, token, Interest::READABLE)?;
        }
        let (stopped, counts) = (Arc::new(AtomicBool::new(false)), Arc::new(Counts::default()));
        let handle = DoorHandle { stopped: Arc::clone(&stopped), waker, counts: Arc::clone(&counts), port, has_v6 };
        let seats = Arc::new(Seats { bounds, taken: Mutex::default(), all: AtomicU64::new(0) });
        let (newcomers, shards) = (Crowd::new(MOST_NEWCOMERS, bounds.per_address), Vec::new());
        let door = Door { poll, listeners, newcomers, next: FIRST_NEWCOMER, number: 0, shards, seats, counts, stopped };
        Ok((door, handle))
    }

    /// Takes connections until the handle closes the door.
    pub fn run(mut self, shards: Vec<ShardHandle>) {
        self.shards = shards;
        let mut events = Events::with_capacity(64);
        while !self.stopped.load(Ordering::Acquire) {
            // Also in case that the system had no file left for the last connection: no edge tells that it has again.
            if let Err(error) = self.poll.poll(&mut events, Some(LOOK_EVERY))
                && error.kind() != io::ErrorKind::Interrupted
            {
                tracing::error!(%error, "the door for media over TCP cannot wait and closes");
                break;
            }
            let woken: Vec<usize> =
                events.iter().map(|event| event.token().0).filter(|token| *token >= FIRST_NEWCOMER).collect();
            for token in woken {
                self.look(token);
            }
            self.let_in();
            self.send_away_silent();
        }
    }

    fn let_in(&mut self) {
        for at in 0..self.listeners.len() {
            loop {
                match self.listeners[at].accept() {
                    Ok((stream, remote)) => self.welcome(stream, remote),
                    Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                    // A connection that was gone before it was taken is no reason to stop; the next round goes on in any case.
                    Err(_) => break,
                }
            }
        }
    }

    fn welcome(&mut self, mut stream: TcpStream, remote: SocketAddr) {
        let socket = SockRef::from(&stream);
        // A connection without them works, only later.
        let _ = socket.set_tcp_nodelay(true);
        let _ = socket.set_tcp_notsent_lowat(MOST_UNSENT);
        let _ = socket.set_tcp_user_timeout(Some(MOST_UNACKNOWLEDGED));
        let token = self.next;
        self.next += 1;
        if self.poll.registry().register(&mut stream, Token(token), Interest::READABLE).is_err() {
            return;
        }
        let newcomer = Newcomer { stream, remote, since: Instant::now(), bytes: Vec::new(), answers: 0 };
        let gone = self.newcomers.admit(token, net_of(remote.ip()), newcomer);
        self.counts.crowded.fetch_add(u64::from(gone.is_some()), Ordering::Relaxed);
        self.look(token);
    }

    fn look(&mut self, token: usize) {
        let Some(newcomer) = self.newcomers.newcomer(token) else { return };
        match newcomer.look() {
            Look::Waits => {}
            Look::Strange => {
                self.counts.strange.fetch_add(1, Ordering::Relaxed);
                self.newcomers.remove(token);
            }
            Look::For(shard) => {
                let Some(mut newcomer) = self.newcomers.remove(token) else { return };
                let Some(seat) = self.seats.take(newcomer.remote.ip()) else {
                    self.counts.full.fetch_add(1, Ordering::Relaxed);
                    return;
                };
                if self.poll.registry().deregister(&mut newcomer.stream).is_err() {
                    return;
                }
                let Newcomer { stream, remote, bytes, .. } = newcomer;
                self.number = self.number.wrapping_add(1);
                let arrival = Arrival { stream, remote, number: self.number, seat, bytes };
                let sent = self.shards.get(shard).is_some_and(|shard| shard.send(Command::Arrive(Box::new(arrival))));
                let count = if sent { &self.counts.taken } else { &self.counts.strange };
                count.fetch_add(1, Ordering::Relaxed);
            }
        }
    }

    fn send_away_silent(&mut self) {
        let patience = self.seats.bounds.first_check;
        let silent = self.newcomers.remove_while(|newcomer| newcomer.since.elapsed() > patience);
        self.counts.silent.fetch_add(silent, Ordering::Relaxed);
    }
}

impl Newcomer {
    /// Reads what came, up to the first check.
    fn look(&mut self) -> Look {
        let mut buffer = [0; HEAD + MOST_FRAME];
        loop {
            // What follows the first check is for the shard, which reads on by itself.
            let room = buffer.len() - self.bytes.len().min(buffer.len());
            match self.stream.read(&mut buffer[..room]) {
                Ok(0) => return Look::Strange,
                Ok(read) => self.bytes.extend_from_slice(&buffer[..read]),
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Look::Waits,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(_) => return Look::Strange,
            }
            loop {
                match frame_end(&self.bytes) {
                    Err(_) => return Look::Strange,
                    Ok(None) => break,
                    Ok(Some(end)) => match ice::shard_of(&self.bytes[HEAD..end]) {
                        Some(shard) => return Look::For(usize::from(shard)),
                        None if self.answer(end) => {}
                        None => return Look::Strange,
                    },
                }
            }
        }
    }

    /// Answers a plain STUN request, so that anybody can find out whether the port is reached.
    fn answer(&mut self, end: usize) -> bool {
        let mut answer = Vec::new();
        let asked = ice::plain_binding_response(self.remote, &self.bytes[HEAD..end], &mut answer);
        self.bytes.drain(..end);
        self.answers += 1;
        if !asked || self.answers > MOST_ANSWERS {
            return false;
        }
        let frame = [&(answer.len() as u16).to_be_bytes()[..], &answer].concat();
        // Nothing else was written before: the kernel has room, or the connection is broken.
        self.stream.write(&frame).is_ok_and(|written| written == frame.len())
    }
}

fn listen(address: SocketAddr) -> io::Result<TcpListener> {
    let socket = Socket::new(Domain::for_address(address), Type::STREAM, Some(Protocol::TCP))?;
    if address.is_ipv6() {
        socket.set_only_v6(true)?;
    }
    // A restart must not wait for the connections of the run before.
    socket.set_reuse_address(true)?;
    socket.set_nonblocking(true)?;
    socket.bind(&address.into())?;
    socket.listen(BACKLOG)?;
    Ok(TcpListener::from_std(socket.into()))
}
