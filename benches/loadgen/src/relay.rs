//! A bad line for a peer whose sockets are not ours: a relay on loopback that loses and delays, in both directions.

use std::collections::VecDeque;
use std::net::SocketAddr;
use std::time::Duration;

use tokio::net::UdpSocket;
use tokio::task::JoinHandle;
use tokio::time::{Instant, sleep_until};

use crate::scenario::Road;
use crate::sources::Random;

/// Packets on the way in one direction; more are lost, as in any queue.
const MOST_ON_THE_WAY: usize = 10_000;

/// The relay; it ends when it is dropped.
pub(crate) struct Relay {
    /// Where the peer finds the server.
    pub entrance: SocketAddr,
    task: JoinHandle<()>,
}

impl Drop for Relay {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Relay {
    /// Relays between whoever comes and a server.
    pub(crate) async fn open(server: SocketAddr, road: Road, seed: u64) -> std::io::Result<Self> {
        let near = UdpSocket::bind("127.0.0.1:0").await?;
        let far = UdpSocket::bind("0.0.0.0:0").await?;
        far.connect(server).await?;
        let entrance = near.local_addr()?;
        Ok(Self { entrance, task: tokio::spawn(carry(near, far, road, Random(seed))) })
    }
}

async fn carry(near: UdpSocket, far: UdpSocket, road: Road, mut random: Random) {
    let (mut outward, mut inward) = ([0; 2048], [0; 2048]);
    let mut on_the_way: VecDeque<(Instant, bool, Vec<u8>)> = VecDeque::new();
    let mut peer = None;
    let mut take = |on_the_way: &mut VecDeque<_>, goes_out: bool, datagram: &[u8]| {
        let is_lost = random.share() * 100.0 < road.loss_percent;
        if !is_lost && on_the_way.len() < MOST_ON_THE_WAY {
            on_the_way.push_back((Instant::now() + Duration::from_millis(road.delay_ms), goes_out, datagram.to_vec()));
        }
    };
    loop {
        let due = on_the_way.front().map(|(due, ..)| *due);
        tokio::select! {
            Ok((len, from)) = near.recv_from(&mut outward) => {
                peer = Some(from);
                take(&mut on_the_way, true, &outward[..len]);
            }
            Ok(len) = far.recv(&mut inward) => take(&mut on_the_way, false, &inward[..len]),
            () = sleep_until(due.unwrap_or_else(Instant::now)), if due.is_some() => {
                let Some((_, goes_out, datagram)) = on_the_way.pop_front() else { continue };
                // What cannot be sent on is lost, as on any road.
                if goes_out {
                    let _ = far.send(&datagram).await;
                } else if let Some(peer) = peer {
                    let _ = near.send_to(&datagram, peer).await;
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn both_ways_take_their_time() {
        let server = UdpSocket::bind("127.0.0.1:0").await.unwrap();
        let road = Road { loss_percent: 0.0, delay_ms: 30 };
        let relay = Relay::open(server.local_addr().unwrap(), road, 1).await.unwrap();
        let peer = UdpSocket::bind("127.0.0.1:0").await.unwrap();
        let start = Instant::now();
        peer.send_to(b"there", relay.entrance).await.unwrap();
        let mut buffer = [0; 100];
        let (len, from) = server.recv_from(&mut buffer).await.unwrap();
        assert_eq!(&buffer[..len], b"there");
        assert!(start.elapsed() >= Duration::from_millis(30));
        server.send_to(b"back", from).await.unwrap();
        let (len, _) = peer.recv_from(&mut buffer).await.unwrap();
        assert_eq!(&buffer[..len], b"back");
        assert!(start.elapsed() >= Duration::from_millis(60));
    }
}
