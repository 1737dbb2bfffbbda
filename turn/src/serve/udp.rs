//! One UDP port: the one that clients send to, or the relay port of an allocation.

use std::io::{self, IoSliceMut};
use std::net::{IpAddr, SocketAddr};

use mio::{Interest, Registry, Token};
use quinn_udp::{BATCH_SIZE, RecvMeta, Transmit, UdpSocketState};
use socket2::{Domain, Protocol, Socket, Type};

/// Bytes for one received message: the kernel merges up to 64 KB of one sender's datagrams into one (GRO).
const MESSAGE_BYTES: usize = 65_535;
/// Messages taken in one system call.
const MESSAGES: usize = if BATCH_SIZE < 16 { BATCH_SIZE } else { 16 };
/// The longest run that the kernel takes in one call, in bytes.
const MOST_RUN_BYTES: usize = 60_000;

/// Where messages are received, for all ports alike: they are read one after the other.
pub(super) struct Buffers {
    bytes: Vec<u8>,
    metas: [RecvMeta; MESSAGES],
}

/// Datagrams of one sender, each as long as the first; the last may be shorter.
pub(super) struct Datagrams<'a> {
    pub(super) from: SocketAddr,
    /// Which of our addresses they were sent to.
    pub(super) to: Option<IpAddr>,
    pub(super) bytes: &'a [u8],
    pub(super) stride: usize,
}

impl Buffers {
    pub(super) fn new() -> Self {
        Self { bytes: vec![0; MESSAGES * MESSAGE_BYTES], metas: [RecvMeta::default(); MESSAGES] }
    }

    /// What [`UdpPort::receive`] put there.
    pub(super) fn received(&self, count: usize) -> impl Iterator<Item = Datagrams<'_>> {
        self.bytes.chunks_exact(MESSAGE_BYTES).zip(&self.metas).take(count).map(|(bytes, meta)| Datagrams {
            from: meta.addr,
            to: meta.dst_ip,
            bytes: &bytes[..meta.len],
            stride: meta.stride.max(1),
        })
    }
}

/// A socket, and what the kernel lets it do.
pub(super) struct UdpPort {
    pub(super) is_v4: bool,
    socket: mio::net::UdpSocket,
    state: UdpSocketState,
}

impl UdpPort {
    /// Opens it. The kernel grants less than `buffer` bytes where its limit says so.
    pub(super) fn open(address: SocketAddr, buffer: usize, registry: &Registry, token: Token) -> io::Result<Self> {
        let socket = Socket::new(Domain::for_address(address), Type::DGRAM, Some(Protocol::UDP))?;
        if address.is_ipv6() {
            socket.set_only_v6(true)?;
        }
        socket.set_nonblocking(true)?;
        socket.bind(&address.into())?;
        let socket: std::net::UdpSocket = socket.into();
        let state = UdpSocketState::new((&socket).into())?;
        let _ = state.set_recv_buffer_size((&socket).into(), buffer);
        let _ = state.set_send_buffer_size((&socket).into(), buffer);
        let mut socket = mio::net::UdpSocket::from_std(socket);
        registry.register(&mut socket, token, Interest::READABLE)?;
        Ok(Self { is_v4: address.is_ipv4(), socket, state })
    }

    pub(super) fn address(&self) -> io::Result<SocketAddr> {
        self.socket.local_addr()
    }

    /// Takes one batch; `WouldBlock` when there is none.
    pub(super) fn receive(&self, buffers: &mut Buffers) -> io::Result<usize> {
        let mut chunks = buffers.bytes.chunks_exact_mut(MESSAGE_BYTES);
        let mut slices: [IoSliceMut<'_>; MESSAGES] =
            std::array::from_fn(|_| IoSliceMut::new(chunks.next().unwrap_or_default()));
        self.state.recv((&self.socket).into(), &mut slices, &mut buffers.metas)
    }

    /// Sends a run of datagrams, all of one length but perhaps the last; answers how many the kernel did not take. They are not
    /// kept: what is late is of no use to a call.
    pub(super) fn send(&self, to: SocketAddr, from: Option<IpAddr>, segment: usize, bytes: &[u8]) -> usize {
        let segment = segment.max(1);
        let most = self.state.max_gso_segments().min(MOST_RUN_BYTES / segment).max(1) * segment;
        let mut unsent = 0;
        for part in bytes.chunks(most) {
            let segment_size = (part.len() > segment).then_some(segment);
            let transmit = Transmit { destination: to, ecn: None, contents: part, segment_size, src_ip: from };
            if self.state.try_send((&self.socket).into(), &transmit).is_err() {
                unsent += part.len().div_ceil(segment);
            }
        }
        unsent
    }

    /// Sends a datagram without bytes; answers whether the kernel did not take it, as 1 or 0.
    pub(super) fn send_empty(&self, to: SocketAddr) -> usize {
        usize::from(self.socket.send_to(&[], to).is_err())
    }
}
