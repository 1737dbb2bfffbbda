//! A shard's UDP sockets: one for IPv4, one for IPv6 where the machine has it, on one port.

use std::collections::VecDeque;
use std::io::{self, IoSliceMut};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, UdpSocket};

use parlor_media::{Path, Transmit};
use quinn_udp::{BATCH_SIZE, RecvMeta, UdpSocketState};
use socket2::{Domain, Protocol, Socket, Type};

/// The kernel's buffers, bytes. A burst of a large room must fit while the thread is at something else; the system may
/// grant less (`net.core.rmem_max`).
const KERNEL_BUFFER: usize = 8 * 1024 * 1024;
/// Bytes for one received message: GRO merges up to 64 KB of datagrams into one.
const MESSAGE_BYTES: usize = 65_535;
/// Messages taken in one system call.
const MESSAGES: usize = if BATCH_SIZE < 16 { BATCH_SIZE } else { 16 };

/// One socket and what the kernel lets it do.
pub(super) struct UdpPort {
    pub socket: mio::net::UdpSocket,
    state: UdpSocketState,
    /// The machine has several addresses of this family: answers must leave from the one that was asked.
    choose_source: bool,
}

impl UdpPort {
    fn open(address: SocketAddr, choose_source: bool) -> io::Result<UdpPort> {
        let socket = Socket::new(Domain::for_address(address), Type::DGRAM, Some(Protocol::UDP))?;
        if address.is_ipv6() {
            socket.set_only_v6(true)?;
        }
        socket.set_nonblocking(true)?;
        socket.bind(&address.into())?;
        let socket: UdpSocket = socket.into();
        let state = UdpSocketState::new((&socket).into())?;
        // Less than asked for is no error: the kernel grants what its limit allows.
        let _ = state.set_recv_buffer_size((&socket).into(), KERNEL_BUFFER);
        let _ = state.set_send_buffer_size((&socket).into(), KERNEL_BUFFER);
        Ok(UdpPort { socket: mio::net::UdpSocket::from_std(socket), state, choose_source })
    }

    /// Takes one batch of messages; `WouldBlock` when there is none.
    pub fn receive<'a>(&self, buffers: &'a mut Buffers) -> io::Result<impl Iterator<Item = (Path, &'a mut [u8])>> {
        let mut slices: [IoSliceMut<'_>; MESSAGES] = {
            let mut chunks = buffers.bytes.chunks_exact_mut(MESSAGE_BYTES);
            std::array::from_fn(|_| IoSliceMut::new(chunks.next().unwrap_or_default()))
        };
        let mut metas = [RecvMeta::default(); MESSAGES];
        let count = self.state.recv((&self.socket).into(), &mut slices, &mut metas)?;
        let choose_source = self.choose_source;
        let messages = buffers.bytes.chunks_exact_mut(MESSAGE_BYTES).zip(metas).take(count);
        Ok(messages.flat_map(move |(bytes, meta)| {
            let path = Path { remote: meta.addr, local: meta.dst_ip.filter(|_| choose_source) };
            bytes[..meta.len].chunks_mut(meta.stride.max(1)).map(move |datagram| (path, datagram))
        }))
    }

    /// Sends a run of datagrams, as few system calls as the kernel allows.
    fn send(&self, transmit: &Transmit<'_>) -> io::Result<()> {
        let most = self.state.max_gso_segments().max(1) * transmit.segment;
        for part in transmit.bytes.chunks(most) {
            let segment_size = (part.len() > transmit.segment).then_some(transmit.segment);
            let part = quinn_udp::Transmit {
                destination: transmit.to.remote,
                ecn: None,
                contents: part,
                segment_size,
                src_ip: transmit.to.local,
            };
            self.state.try_send((&self.socket).into(), &part)?;
        }
        Ok(())
    }
}

/// Room for one batch of received messages.
pub(super) struct Buffers {
    bytes: Vec<u8>,
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
    port: u16,
}

impl Sockets {
    /// Opens `port` for both families; 0 for any free one.
    pub fn open(port: u16) -> io::Result<Sockets> {
        let addresses = all_addresses()?;
        let several = |v4: bool| addresses.iter().filter(|address| address.is_ipv4() == v4).count() > 2;
        let v4 = UdpPort::open(SocketAddr::from((Ipv4Addr::UNSPECIFIED, port)), several(true))?;
        let port = v4.socket.local_addr()?.port();
        // A machine without IPv6, or with the port taken in that family alone, serves IPv4.
        let v6 = UdpPort::open(SocketAddr::from((Ipv6Addr::UNSPECIFIED, port)), several(false)).ok();
        Ok(Sockets { v4, v6, port })
    }

    pub fn port(&self) -> u16 {
        self.port
    }

    /// Sends; a family that is not there is unreachable.
    pub fn send(&self, transmit: &Transmit<'_>) -> io::Result<()> {
        let port = if transmit.to.remote.is_ipv4() { Some(&self.v4) } else { self.v6.as_ref() };
        port.ok_or_else(|| io::Error::from(io::ErrorKind::NetworkUnreachable))?.send(transmit)
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
