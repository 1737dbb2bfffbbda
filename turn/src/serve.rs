//! The STUN responder on a UDP socket.

use std::io::{self, IoSliceMut};
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant;

use quinn_udp::{RecvMeta, Transmit, UdpSocketState};
use tokio::io::Interest;
use tokio::net::UdpSocket;
use tokio::task::JoinHandle;

use crate::config::Config;
use crate::stun::{DropReason, Responder};

/// A running STUN responder. Dropping it closes the socket.
pub struct StunServer {
    /// The address it listens on, with the real port where the configuration said 0.
    pub local_addr: SocketAddr,
    counts: Arc<Counts>,
    task: JoinHandle<()>,
}

#[derive(Default)]
struct Counts {
    answered: AtomicU64,
    dropped: [AtomicU64; DropReason::ALL.len()],
}

impl StunServer {
    /// Requests answered so far.
    #[must_use]
    pub fn answered(&self) -> u64 {
        self.counts.answered.load(Ordering::Relaxed)
    }

    /// Datagrams dropped so far for this reason.
    #[must_use]
    pub fn dropped(&self, reason: DropReason) -> u64 {
        self.counts.dropped[reason.index()].load(Ordering::Relaxed)
    }
}

impl Drop for StunServer {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// Starts the responder as a task of the current tokio runtime; `None` when it is switched off.
///
/// # Errors
/// The address cannot be bound: often another STUN or TURN server holds port 3478. Calls work without a responder, so the
/// caller may say so and go on.
pub fn serve_stun(config: &Config) -> io::Result<Option<StunServer>> {
    let Some(listen) = config.stun_listen else { return Ok(None) };
    let socket = std::net::UdpSocket::bind(listen)?;
    // It also makes the socket non-blocking, and asks for the address that each datagram was sent to.
    let state = UdpSocketState::new((&socket).into())?;
    let socket = UdpSocket::from_std(socket)?;
    let local_addr = socket.local_addr()?;
    let counts = Arc::new(Counts::default());
    let task = tokio::spawn(answer_all(socket, state, Arc::clone(&counts)));
    Ok(Some(StunServer { local_addr, counts, task }))
}

async fn answer_all(socket: UdpSocket, state: UdpSocketState, counts: Arc<Counts>) {
    let mut responder = Responder::new(Instant::now());
    // The kernel may hand over several datagrams of one sender as one (GRO), 64 KiB at most.
    let mut buffer = vec![0; 64 * 1024];
    loop {
        let mut meta = [RecvMeta::default()];
        let read = socket
            .async_io(Interest::READABLE, || {
                state.recv((&socket).into(), &mut [IoSliceMut::new(&mut buffer)], &mut meta)
            })
            .await;
        // An ICMP error of an earlier answer is reported on the next read; it concerns nobody here.
        if read.is_err() {
            tokio::task::yield_now().await;
            continue;
        }
        let [meta] = meta;
        for datagram in buffer[..meta.len].chunks(meta.stride.max(1)) {
            match responder.answer(Instant::now(), meta.addr, datagram) {
                Err(reason) => {
                    counts.dropped[reason.index()].fetch_add(1, Ordering::Relaxed);
                }
                Ok(answer) => {
                    counts.answered.fetch_add(1, Ordering::Relaxed);
                    // On a machine with several addresses the answer must leave from the one that was asked. A full
                    // socket drops the answer: the client asks again.
                    let transmit = Transmit {
                        destination: meta.addr,
                        ecn: None,
                        contents: &answer,
                        segment_size: None,
                        src_ip: meta.dst_ip,
                    };
                    let _ = state.try_send((&socket).into(), &transmit);
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rtc_stun::message::{BINDING_REQUEST, Getter, Message, TransactionId};
    use rtc_stun::xoraddr::XorMappedAddress;

    async fn ask(server: SocketAddr, bind: &str) -> (SocketAddr, SocketAddr) {
        let client = UdpSocket::bind(bind).await.unwrap();
        let mut message = Message::new();
        message.build(&[Box::new(BINDING_REQUEST), Box::new(TransactionId::new())]).unwrap();
        client.send_to(b"nonsense", server).await.unwrap();
        client.send_to(&message.raw, server).await.unwrap();
        let mut buffer = [0; 200];
        let (n, from) = client.recv_from(&mut buffer).await.unwrap();
        assert_eq!(from.port(), server.port());
        assert_eq!(from.ip(), server.ip(), "answers come from the address that was asked");
        let mut answer = Message::new();
        answer.unmarshal_binary(&buffer[..n]).unwrap();
        let mut mapped = XorMappedAddress::default();
        mapped.get_from(&answer).unwrap();
        (SocketAddr::new(mapped.ip, mapped.port), client.local_addr().unwrap())
    }

    #[tokio::test]
    async fn answers_both_families_and_counts_the_rest() {
        let config = Config { stun_listen: Some("[::]:0".parse().unwrap()), ..Config::default() };
        let server = serve_stun(&config).unwrap().unwrap();
        let port = server.local_addr.port();
        // 127.0.0.2 is an address of this machine, but not the one the kernel would answer from by itself.
        for (to, bind) in [("127.0.0.2", "127.0.0.1:0"), ("::1", "[::1]:0")] {
            let (mapped, own) = ask(SocketAddr::new(to.parse().unwrap(), port), bind).await;
            assert_eq!(mapped, own);
        }
        assert_eq!((server.answered(), server.dropped(DropReason::Malformed)), (2, 2));
    }

    #[tokio::test]
    async fn off_is_off_and_a_taken_port_is_an_error() {
        assert!(serve_stun(&Config { stun_listen: None, ..Config::default() }).unwrap().is_none());
        let taken = UdpSocket::bind("127.0.0.1:0").await.unwrap();
        let config = Config { stun_listen: Some(taken.local_addr().unwrap()), ..Config::default() };
        assert!(serve_stun(&config).is_err());
    }
}
