//! Many UDP sockets, read by one thread with as few system calls as there are batches.
//!
//! The subscribers of the server and the sockets that the floor sends to are read by this same code: on loopback the
//! receiving half of the network stack runs inside the sender's system call, so both senders must carry the same one.
//! The sockets do not ask for GRO: a browser's do not either, and it would take half of the stack's work away.

use std::io::{self, IoSliceMut};
use std::net::{Ipv4Addr, SocketAddr, UdpSocket};
use std::os::fd::AsRawFd as _;
use std::sync::Arc;
use std::time::Duration;

use nix::sys::epoll::{Epoll, EpollCreateFlags, EpollEvent, EpollFlags, EpollTimeout};
use nix::sys::socket::sockopt::{RcvBuf, SndBuf};
use nix::sys::socket::{MsgFlags, MultiHeaders, SockaddrIn, recvmmsg, setsockopt};
use nix::time::{ClockId, clock_gettime};

/// Datagrams read by one system call.
const BATCH: usize = 64;
const DATAGRAM_BYTES: usize = 2048;
/// Room for a few bursts of 20 packets, so that a reader that is scheduled late loses nothing.
const SOCKET_BUFFER_BYTES: usize = 1 << 20;

/// Sockets of this process that are read together.
pub(crate) struct Sockets {
    epoll: Epoll,
    sockets: Vec<UdpSocket>,
}

/// What one thread needs to read them.
pub(crate) struct Reader {
    sockets: Arc<Sockets>,
    buffers: Vec<[u8; DATAGRAM_BYTES]>,
    headers: MultiHeaders<SockaddrIn>,
}

impl Sockets {
    /// Binds `count` sockets to free ports of loopback.
    pub(crate) fn bind(count: usize) -> anyhow::Result<Arc<Self>> {
        Self::bind_to(Ipv4Addr::LOCALHOST, count)
    }

    /// The same of all addresses, for a server anywhere.
    pub(crate) fn bind_any(count: usize) -> anyhow::Result<Arc<Self>> {
        Self::bind_to(Ipv4Addr::UNSPECIFIED, count)
    }

    /// The same of one address.
    pub(crate) fn bind_to(address: Ipv4Addr, count: usize) -> anyhow::Result<Arc<Self>> {
        let epoll = Epoll::new(EpollCreateFlags::EPOLL_CLOEXEC)?;
        let mut sockets = Vec::with_capacity(count);
        for index in 0..count {
            let socket = UdpSocket::bind((address, 0))?;
            setsockopt(&socket, RcvBuf, &SOCKET_BUFFER_BYTES)?;
            setsockopt(&socket, SndBuf, &SOCKET_BUFFER_BYTES)?;
            epoll.add(&socket, EpollEvent::new(EpollFlags::EPOLLIN, index as u64))?;
            sockets.push(socket);
        }
        Ok(Arc::new(Self { epoll, sockets }))
    }

    /// The address of each socket.
    pub(crate) fn addresses(&self) -> io::Result<Vec<SocketAddr>> {
        self.sockets.iter().map(UdpSocket::local_addr).collect()
    }

    /// Sends one datagram; a full buffer loses it, as a network would.
    pub(crate) fn send(&self, socket: usize, to: SocketAddr, datagram: &[u8]) {
        let _ = self.sockets[socket].send_to(datagram, to);
    }
}

impl Reader {
    /// A reader; it stays on the thread that makes it.
    pub(crate) fn new(sockets: Arc<Sockets>) -> Self {
        Self { sockets, buffers: vec![[0; DATAGRAM_BYTES]; BATCH], headers: MultiHeaders::preallocate(BATCH, None) }
    }

    /// Waits for datagrams until `timeout` and hands each, with the index of its socket and its sender, to `each`.
    pub(crate) fn read(
        &mut self,
        timeout: Duration,
        mut each: impl FnMut(usize, SocketAddr, &mut [u8]),
    ) -> anyhow::Result<()> {
        let mut events = [EpollEvent::empty(); 64];
        // Rounded up: a timeout of 0 ms would spin.
        let timeout_ms = u16::try_from(timeout.as_micros().div_ceil(1000)).unwrap_or(1000);
        let ready = match self.sockets.epoll.wait(&mut events, EpollTimeout::from(timeout_ms)) {
            Err(nix::errno::Errno::EINTR) => 0,
            ready => ready?,
        };
        for event in &events[..ready] {
            self.read_socket(event.data() as usize, &mut each)?;
        }
        Ok(())
    }

    fn read_socket(&mut self, index: usize, each: &mut impl FnMut(usize, SocketAddr, &mut [u8])) -> anyhow::Result<()> {
        let fd = self.sockets.sockets[index].as_raw_fd();
        let mut received = Vec::with_capacity(BATCH);
        {
            let mut slices: Vec<[IoSliceMut<'_>; 1]> =
                self.buffers.iter_mut().map(|buffer| [IoSliceMut::new(buffer)]).collect();
            match recvmmsg(fd, &mut self.headers, slices.iter_mut(), MsgFlags::MSG_DONTWAIT, None) {
                Ok(messages) => {
                    let source = |from: SockaddrIn| SocketAddr::from((from.ip(), from.port()));
                    received.extend(messages.map(|message| (message.bytes, message.address.map(source))));
                }
                // Nothing there after all, or an ICMP error of an earlier send.
                Err(nix::errno::Errno::EAGAIN | nix::errno::Errno::ECONNREFUSED | nix::errno::Errno::EINTR) => {}
                Err(error) => return Err(error.into()),
            }
        }
        for ((bytes, from), buffer) in received.into_iter().zip(&mut self.buffers) {
            if let Some(from) = from {
                each(index, from, &mut buffer[..bytes]);
            }
        }
        Ok(())
    }
}

/// The machine's monotonic clock in nanoseconds, the same for every process.
pub(crate) fn clock_ns() -> u64 {
    let time = clock_gettime(ClockId::CLOCK_MONOTONIC).expect("every Linux has this clock");
    Duration::from(time).as_nanos() as u64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_datagram_comes_out_with_its_socket_and_sender() {
        let sockets = Sockets::bind(3).unwrap();
        let addresses = sockets.addresses().unwrap();
        let mut reader = Reader::new(sockets);
        let sender = UdpSocket::bind("127.0.0.1:0").unwrap();
        for round in 0..100_u8 {
            for (i, address) in addresses.iter().enumerate() {
                sender.send_to(&[i as u8, round], address).unwrap();
            }
        }
        let mut seen = [0_u8; 3];
        while seen != [100; 3] {
            reader
                .read(Duration::from_secs(5), |socket, from, datagram| {
                    assert_eq!(from, sender.local_addr().unwrap());
                    assert_eq!(datagram, [socket as u8, seen[socket]]);
                    seen[socket] += 1;
                })
                .unwrap();
        }
    }
}
