//! A shard's sockets: UDP for IPv4, and for IPv6 where the machine has it, on one port; what is connected to single peers in
//! one-port mode ([`super::lane`]); and the connections of those who come over TCP ([`super::tcp`]).

use std::collections::VecDeque;
use std::io::{self, IoSliceMut};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, UdpSocket};
use std::time::{Duration, Instant};

use mio::{Interest, Registry, Token};
use parlor_media::{Path, Transmit, Via};
use quinn_udp::{BATCH_SIZE, RecvMeta, UdpSocketState};
use socket2::{Domain, Protocol, Socket, Type};

use super::lane::Lanes;
use super::tcp::Connections;

/// The kernel's buffers, bytes. A burst of a large room must fit while the thread is at something else; the system may
/// grant less (`net.core.rmem_max`).
const KERNEL_BUFFER: usize = 8 * 1024 * 1024;
/// Bytes that wait for room in the kernel's buffer at most: a key frame for a large room.
const MOST_BACKLOG_BYTES: usize = 4 * 1024 * 1024;
/// GSO that was lost is tried again this often.
const PROBE_EVERY: Duration = Duration::from_secs(1);
/// Bytes for one received message: GRO merges up to 64 KB of datagrams into one.
const MESSAGE_BYTES: usize = 65_535;
/// Messages taken in one system call: 32 on Linux, where a frame of usual size is read, and leaves, as one.
const MESSAGES: usize = BATCH_SIZE;
const V4: Token = Token(1);
const V6: Token = Token(2);

/// One socket and what the kernel lets it do.
pub(super) struct UdpPort {
    pub socket: mio::net::UdpSocket,
    state: UdpSocketState,
    /// Datagrams that GSO took in one call at first.
    began_with: usize,
    probed: Instant,
    /// What found the kernel's buffer full, to be sent before anything else.
    backlog: VecDeque<Datagrams>,
    backlog_bytes: usize,
    /// The machine has several addresses of this family: answers must leave from the one that was asked.
    choose_source: bool,
    /// Something may have come since the socket was found empty.
    readable: bool,
    /// The poll tells when there is room to send. Only while something waits for it: each packet that leaves makes room.
    told_of_room: bool,
}

impl UdpPort {
    fn open(address: SocketAddr, choose_source: bool, shared: bool) -> io::Result<UdpPort> {
        Self::take(bound(address, shared)?, choose_source, KERNEL_BUFFER)
    }

    /// Makes a port of a socket that is bound. `buffer`: the kernel's buffers, bytes.
    pub fn take(socket: Socket, choose_source: bool, buffer: usize) -> io::Result<UdpPort> {
        let socket: UdpSocket = socket.into();
        let state = UdpSocketState::new((&socket).into())?;
        // Less than asked for is no error: the kernel grants what its limit allows.
        let _ = state.set_recv_buffer_size((&socket).into(), buffer);
        let _ = state.set_send_buffer_size((&socket).into(), buffer);
        let began_with = state.max_gso_segments();
        Ok(UdpPort {
            socket: mio::net::UdpSocket::from_std(socket),
            state,
            began_with,
            probed: Instant::now(),
            backlog: VecDeque::new(),
            backlog_bytes: 0,
            choose_source,
            readable: true,
            told_of_room: false,
        })
    }

    /// Takes one batch of messages; `WouldBlock` when there is none.
    pub fn receive<'a>(
        &mut self,
        buffers: &'a mut Buffers,
    ) -> io::Result<impl Iterator<Item = (Path, &'a mut [u8])> + use<'a>> {
        let mut slices: [IoSliceMut<'_>; MESSAGES] = {
            let mut chunks = buffers.bytes.chunks_exact_mut(MESSAGE_BYTES);
            std::array::from_fn(|_| IoSliceMut::new(chunks.next().unwrap_or_default()))
        };
        let mut metas = [RecvMeta::default(); MESSAGES];
        let received = self.state.recv((&self.socket).into(), &mut slices, &mut metas);
        if received.as_ref().is_err_and(|error| error.kind() == io::ErrorKind::WouldBlock) {
            self.readable = false;
        }
        let count = received?;
        let choose_source = self.choose_source;
        // Nobody can be answered at port 0, and the attempt would make the kernel's refusal look like one of GSO.
        let messages = buffers.bytes.chunks_exact_mut(MESSAGE_BYTES).zip(metas).take(count);
        let messages = messages.filter(|(_, meta)| meta.addr.port() != 0);
        Ok(messages.flat_map(move |(bytes, meta)| {
            let local = meta.dst_ip.filter(|_| choose_source);
            let path = Path { remote: meta.addr, local, via: Via::Udp };
            bytes[..meta.len].chunks_mut(meta.stride.max(1)).map(move |datagram| (path, datagram))
        }))
    }

    /// Has the poll tell of room to send from now on if something waits for it, and no more if nothing does.
    fn watch(&mut self, registry: &Registry, token: Token) -> io::Result<()> {
        let waits = !self.backlog.is_empty();
        if waits != self.told_of_room {
            let writable = waits.then_some(Interest::WRITABLE);
            let interest = writable.map_or(Interest::READABLE, |it| it | Interest::READABLE);
            registry.reregister(&mut self.socket, token, interest)?;
            self.told_of_room = waits;
        }
        Ok(())
    }

    /// Sends a run of datagrams in as few system calls as the kernel allows. What it has no room for waits, in order; answers how
    /// many runs were refused.
    fn send(&mut self, transmit: &Transmit<'_>) -> u64 {
        if !self.backlog.is_empty() {
            return self.keep(transmit, 0);
        }
        match self.try_send(transmit) {
            Ok(()) => 0,
            Err((error, sent)) if error.kind() == io::ErrorKind::WouldBlock => self.keep(transmit, sent),
            Err(_) => 1,
        }
    }

    /// Sends until something is refused; answers with the error how many bytes went out before it.
    fn try_send(&mut self, transmit: &Transmit<'_>) -> Result<(), (io::Error, usize)> {
        let most = self.state.max_gso_segments().max(1) * transmit.segment;
        for (at, part) in transmit.bytes.chunks(most).enumerate() {
            let segment_size = (part.len() > transmit.segment).then_some(transmit.segment);
            let part = quinn_udp::Transmit {
                destination: transmit.to.remote,
                ecn: None,
                contents: part,
                segment_size,
                src_ip: transmit.to.local,
            };
            self.state.try_send((&self.socket).into(), &part).map_err(|error| (error, at * most))?;
        }
        Ok(())
    }

    fn keep(&mut self, transmit: &Transmit<'_>, sent: usize) -> u64 {
        let rest = &transmit.bytes[sent..];
        if self.backlog_bytes + rest.len() > MOST_BACKLOG_BYTES {
            return 1;
        }
        self.backlog_bytes += rest.len();
        self.backlog.push_back(Datagrams { to: transmit.to, bytes: rest.to_vec(), segment: transmit.segment });
        0
    }

    /// Sends what waits; answers how many runs were refused for good.
    fn send_backlog(&mut self) -> u64 {
        let mut refused = 0;
        while let Some(mut waiting) = self.backlog.pop_front() {
            let transmit = Transmit { to: waiting.to, bytes: &waiting.bytes, segment: waiting.segment };
            self.backlog_bytes -= waiting.bytes.len();
            match self.try_send(&transmit) {
                Ok(()) => {}
                Err((error, sent)) if error.kind() == io::ErrorKind::WouldBlock => {
                    waiting.bytes.drain(..sent);
                    self.backlog_bytes += waiting.bytes.len();
                    self.backlog.push_front(waiting);
                    break;
                }
                Err(_) => refused += 1,
            }
        }
        self.probe_gso();
        refused
    }

    /// `quinn-udp` takes one refused call for a socket without GSO, for good. One bad route must not slow a shard for life.
    fn probe_gso(&mut self) {
        if self.state.max_gso_segments() < self.began_with && self.probed.elapsed() > PROBE_EVERY {
            self.probed = Instant::now();
            if let Ok(state) = UdpSocketState::new((&self.socket).into()) {
                self.state = state;
            }
        }
    }
}

/// A run of datagrams that waits.
struct Datagrams {
    to: Path,
    bytes: Vec<u8>,
    segment: usize,
}

/// A socket that does not block, on an address of ours. `shared`: several may have it (SO_REUSEPORT).
pub(super) fn bound(address: SocketAddr, shared: bool) -> io::Result<Socket> {
    let socket = Socket::new(Domain::for_address(address), Type::DGRAM, Some(Protocol::UDP))?;
    if address.is_ipv6() {
        socket.set_only_v6(true)?;
    }
    socket.set_reuse_port(shared)?;
    socket.set_nonblocking(true)?;
    socket.bind(&address.into())?;
    Ok(socket)
}

/// Room for one batch of received messages.
pub(super) struct Buffers {
    pub bytes: Vec<u8>,
}

impl Default for Buffers {
    fn default() -> Self {
        Self { bytes: vec![0; MESSAGES * MESSAGE_BYTES] }
    }
}

/// A shard's sockets.
pub(super) struct Sockets {
    pub v4: UdpPort,
    pub v6: Option<UdpPort>,
    /// Those of single peers, in one-port mode.
    pub lanes: Option<Lanes>,
    /// Those who came over TCP.
    pub tcp: Connections,
    port: u16,
}

impl Sockets {
    /// Opens `port` for both families; 0 for any free one. `shared`: with other shards, which is one-port mode.
    pub fn open(port: u16, shared: bool) -> io::Result<Sockets> {
        let addresses = all_addresses()?;
        // A lane needs to know which address of ours it belongs to.
        let several = |v4: bool| shared || addresses.iter().filter(|address| address.is_ipv4() == v4).count() > 2;
        let v4 = UdpPort::open(SocketAddr::from((Ipv4Addr::UNSPECIFIED, port)), several(true), shared)?;
        let port = v4.socket.local_addr()?.port();
        // A machine without IPv6, or with the port taken in that family alone, serves IPv4.
        let v6 = UdpPort::open(SocketAddr::from((Ipv6Addr::UNSPECIFIED, port)), several(false), shared).ok();
        Ok(Sockets { v4, v6, lanes: shared.then(|| Lanes::new(port)), tcp: Connections::default(), port })
    }

    /// Has the poll tell of what comes.
    pub fn register(&mut self, registry: &Registry) -> io::Result<()> {
        registry.register(&mut self.v4.socket, V4, Interest::READABLE)?;
        self.v6.as_mut().map_or(Ok(()), |v6| registry.register(&mut v6.socket, V6, Interest::READABLE))
    }

    /// Has the poll tell of room to send while something waits for it.
    pub fn watch(&mut self, registry: &Registry) -> io::Result<()> {
        self.v4.watch(registry, V4)?;
        self.v6.as_mut().map_or(Ok(()), |v6| v6.watch(registry, V6))
    }

    /// The poll told of a socket.
    pub fn wake(&mut self, token: Token) {
        match (token, self.v6.as_mut()) {
            (V4, _) => self.v4.readable = true,
            (V6, Some(v6)) => v6.readable = true,
            _ => {}
        }
    }

    /// Whatever the poll told is forgotten: every socket may have something.
    pub fn wake_all(&mut self) {
        [V4, V6].into_iter().for_each(|token| self.wake(token));
    }

    /// The port of a family, if it may have something.
    pub fn readable(&mut self, v4: bool) -> Option<&mut UdpPort> {
        let port = if v4 { Some(&mut self.v4) } else { self.v6.as_mut() };
        port.filter(|port| port.readable)
    }

    pub fn port(&self) -> u16 {
        self.port
    }

    pub fn has_v6(&self) -> bool {
        self.v6.is_some()
    }

    /// Sends; answers how many runs were refused. A family that is not there is unreachable. What no connection takes is counted
    /// there.
    pub fn send(&mut self, transmit: &Transmit<'_>) -> u64 {
        if let Via::Tcp(number) = transmit.to.via {
            self.tcp.send(number, transmit);
            return 0;
        }
        let port = if transmit.to.remote.is_ipv4() { Some(&mut self.v4) } else { self.v6.as_mut() };
        port.map_or(1, |port| port.send(transmit))
    }

    /// Sends what waits for room in the kernel; answers how many runs were refused for good.
    pub fn send_backlog(&mut self) -> u64 {
        self.v4.send_backlog() + self.v6.as_mut().map_or(0, UdpPort::send_backlog)
    }
}

fn all_addresses() -> io::Result<VecDeque<IpAddr>> {
    Ok(if_addrs::get_if_addrs()?.into_iter().map(|interface| interface.ip()).collect())
}

/// The addresses at which this machine can be reached: all but loopback and link-local ones, or loopback when it has no other.
pub(super) fn own_addresses() -> io::Result<Vec<IpAddr>> {
    let mut addresses = all_addresses()?;
    let outside = |address: &IpAddr| match address {
        IpAddr::V4(address) => !address.is_loopback() && !address.is_link_local(),
        IpAddr::V6(address) => !address.is_loopback() && !address.is_unicast_link_local(),
    };
    let mut found: Vec<IpAddr> = addresses.iter().copied().filter(outside).collect();
    if found.is_empty() {
        found.extend(addresses.pop_front());
    }
    found.dedup();
    Ok(found)
}
