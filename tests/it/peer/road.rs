//! A stretch of network between a peer and the server that loses packets, or meddles with them.

use std::net::SocketAddr;
use std::sync::Arc;

use tokio::net::UdpSocket;
use tokio::task::JoinHandle;

use crate::tunnel::{Ticket, Tunnel};

/// What happens to media on the way. Connectivity checks and the handshake pass.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Mischief {
    /// That many in a hundred packets are lost, in both directions.
    Loses(u32),
    /// What the peer sends arrives, and with it come copies: replayed, cut off, forged, with lying lengths.
    Meddles,
}

/// A socket for each side, and the tasks that carry between them.
pub(super) struct Road {
    by: By,
    /// Where the peer finds the server, once an answer has said where that is.
    entrance: Option<SocketAddr>,
    carriers: Vec<JoinHandle<()>>,
    tunnel: Option<Tunnel>,
}

enum By {
    Mischief(Mischief),
    Tls(Ticket),
}

impl Road {
    pub(super) fn new(mischief: Mischief) -> Self {
        Self { by: By::Mischief(mischief), entrance: None, carriers: Vec::new(), tunnel: None }
    }

    /// By the relay, over TLS.
    pub(super) fn by_tls(ticket: Ticket) -> Self {
        Self { by: By::Tls(ticket), entrance: None, carriers: Vec::new(), tunnel: None }
    }

    /// The answer with the road's entrance in place of the server's address.
    pub(super) async fn lead(&mut self, answer: &str) -> String {
        let candidate =
            answer.lines().find(|line| line.starts_with("a=candidate:")).expect("an answer has a candidate");
        let words: Vec<&str> = candidate.split(' ').collect();
        let server = SocketAddr::new(words[4].parse().expect("an address"), words[5].parse().expect("a port"));
        let entrance = match self.entrance {
            Some(entrance) => entrance,
            None => self.open(server).await,
        };
        answer.replace(&format!("{} {}", words[4], words[5]), &format!("{} {}", entrance.ip(), entrance.port()))
    }

    async fn open(&mut self, server: SocketAddr) -> SocketAddr {
        let mischief = match &self.by {
            By::Mischief(mischief) => *mischief,
            By::Tls(ticket) => {
                let tunnel = Tunnel::open(ticket, server).await;
                self.entrance = Some(tunnel.entrance);
                return self.tunnel.insert(tunnel).entrance;
            }
        };
        let near = Arc::new(UdpSocket::bind("127.0.0.1:0").await.expect("a free port"));
        let far = Arc::new(UdpSocket::bind("127.0.0.1:0").await.expect("a free port"));
        far.connect(server).await.expect("it is an address");
        let entrance = near.local_addr().expect("it is bound");
        let carrier = carry(near, far, mischief);
        self.carriers.push(tokio::spawn(carrier));
        self.entrance = Some(entrance);
        entrance
    }
}

impl Drop for Road {
    fn drop(&mut self) {
        for carrier in &self.carriers {
            carrier.abort();
        }
    }
}

/// The first byte of RTP and RTCP (RFC 7983).
fn is_media(datagram: &[u8]) -> bool {
    datagram.first().is_some_and(|first| (128..=191).contains(first))
}

async fn carry(near: Arc<UdpSocket>, far: Arc<UdpSocket>, mischief: Mischief) {
    let (mut outward, mut inward) = ([0; 2048], [0; 2048]);
    let mut peer = None;
    let mut luck = Luck(1);
    loop {
        // A datagram that cannot be sent on is lost, as on any road.
        tokio::select! {
            Ok((len, from)) = near.recv_from(&mut outward) => {
                peer = Some(from);
                let datagram = &outward[..len];
                if is_media(datagram) && luck.loses(mischief) {
                    continue;
                }
                let _ = far.send(datagram).await;
                if is_media(datagram) && matches!(mischief, Mischief::Meddles) {
                    for copy in copies(datagram, luck.next()) {
                        let _ = far.send(&copy).await;
                    }
                }
            }
            Ok(len) = far.recv(&mut inward) => {
                let datagram = &inward[..len];
                if let Some(peer) = peer && !(is_media(datagram) && luck.loses(mischief)) {
                    let _ = near.send_to(datagram, peer).await;
                }
            }
        }
    }
}

/// What a meddler makes of a packet.
fn copies(datagram: &[u8], random: u32) -> Vec<Vec<u8>> {
    let replayed = datagram.to_vec();
    let cut = datagram[..random as usize % datagram.len()].to_vec();
    let mut forged = datagram.to_vec();
    let at = random as usize % datagram.len();
    forged[at] ^= 1 << (random % 7);
    // Fifteen contributing sources and an extension, far beyond the end.
    let mut lying = datagram.to_vec();
    lying[0] |= 0x1f;
    lying.truncate(40);
    vec![replayed, cut, forged, lying]
}

/// The same numbers in every run (Knuth's MMIX).
struct Luck(u64);

impl Luck {
    fn next(&mut self) -> u32 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) as u32
    }

    fn loses(&mut self, mischief: Mischief) -> bool {
        matches!(mischief, Mischief::Loses(percent) if self.next() % 100 < percent)
    }
}
