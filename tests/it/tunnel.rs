//! A native client's way to the relay by TLS: datagrams that come to a port on loopback go through a TLS connection to the relay,
//! and from there to the server's media. The client of TURN in it is `rtc-turn`, which is not ours.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::BytesMut;
use parlor_turn::Frames;
use rtc_shared::{TransportContext, TransportMessage, TransportProtocol};
use rtc_turn::client::{Client, ClientConfig, Event};
use sansio::Protocol as _;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpStream, UdpSocket};
use tokio::sync::mpsc;
use tokio::task::JoinHandle;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;
use tokio_rustls::rustls::pki_types::{CertificateDer, ServerName};
use tokio_rustls::rustls::{ClientConfig as TlsConfig, RootCertStore};
use webrtc::peer_connection::RTCIceServer;

use crate::harness::PATIENCE;

/// How often the client looks at its clock.
const TICK: Duration = Duration::from_millis(20);

/// What opens a tunnel: the servers that a person is told, and the certificate that is expected there.
pub(crate) struct Ticket {
    pub(crate) servers: Vec<RTCIceServer>,
    pub(crate) certificate: CertificateDer<'static>,
}

/// An open tunnel. It ends when it is dropped.
pub(crate) struct Tunnel {
    /// Where datagrams for the server go in.
    pub(crate) entrance: SocketAddr,
    carrier: JoinHandle<()>,
}

impl Drop for Tunnel {
    fn drop(&mut self) {
        self.carrier.abort();
    }
}

impl Tunnel {
    /// Opens a tunnel to the media address by the `turns:` server of a list.
    pub(crate) async fn open(ticket: &Ticket, media: SocketAddr) -> Self {
        let (server, address) = tls_server(&ticket.servers);
        let mut end = End::connect(address, &ticket.certificate, server).await;
        let relayed = end.allocate().await;
        end.permit(relayed, media).await;
        let near = UdpSocket::bind("127.0.0.1:0").await.expect("a free port");
        let entrance = near.local_addr().expect("it is bound");
        Self { entrance, carrier: tokio::spawn(end.carry(near, relayed, media)) }
    }
}

/// The server of a list that is reached by TLS, and its address.
pub(crate) fn tls_server(servers: &[RTCIceServer]) -> (&RTCIceServer, SocketAddr) {
    let urls = servers.iter().flat_map(|server| server.urls.iter().map(move |url| (server, url)));
    let (server, url) = urls.into_iter().find(|(_, url)| url.starts_with("turns:")).expect("a relay over TLS is told");
    let address = url.trim_start_matches("turns:").trim_end_matches("?transport=tcp");
    (server, address.parse().expect("the relay is named by its address"))
}

/// A TLS connection to that address, which must show that certificate.
pub(crate) async fn secured(
    address: SocketAddr,
    certificate: &CertificateDer<'static>,
) -> std::io::Result<TlsStream<TcpStream>> {
    let mut roots = RootCertStore::empty();
    roots.add(certificate.clone()).expect("a certificate");
    let provider = Arc::new(tokio_rustls::rustls::crypto::ring::default_provider());
    let config = TlsConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .expect("the provider has them")
        .with_root_certificates(roots)
        .with_no_client_auth();
    let socket = TcpStream::connect(address).await?;
    TlsConnector::from(Arc::new(config)).connect(ServerName::from(address.ip()), socket).await
}

/// The client, and its connection.
struct End {
    client: Client,
    stream: TlsStream<TcpStream>,
    frames: Frames,
    server: SocketAddr,
}

impl End {
    async fn connect(server: SocketAddr, certificate: &CertificateDer<'static>, credentials: &RTCIceServer) -> Self {
        let stream = secured(server, certificate).await.expect("the relay shows its certificate");
        let config = ClientConfig {
            turn_serv_addr: server.to_string(),
            local_addr: own(),
            // It has the framing of datagrams; what a stream needs more is done here.
            transport_protocol: TransportProtocol::UDP,
            username: credentials.username.clone(),
            password: credentials.credential.clone(),
            ..ClientConfig::default()
        };
        let crypto = rtc_crypto::default_provider().expect("there is one");
        let client = Client::new(config, crypto).expect("the address is one");
        Self { client, stream, frames: Frames::default(), server }
    }

    /// Sends what the client has to say.
    async fn write(&mut self) {
        self.stream.write_all(&said(&mut self.client)).await.expect("the relay takes it");
        self.stream.flush().await.expect("the relay takes it");
    }

    /// Takes what came.
    fn read(&mut self, bytes: &[u8]) {
        take(&mut self.client, &mut self.frames, self.server, bytes);
    }

    async fn event(&mut self) -> Event {
        let mut buffer = [0; 4096];
        let wait = async {
            loop {
                self.write().await;
                if let Some(event) = self.client.poll_event() {
                    return event;
                }
                let len = self.stream.read(&mut buffer).await.expect("the relay answers");
                assert!(len > 0, "the relay hangs up");
                self.read(&buffer[..len]);
            }
        };
        tokio::time::timeout(PATIENCE, wait).await.expect("the relay answers in time")
    }

    async fn allocate(&mut self) -> SocketAddr {
        self.client.allocate(Instant::now()).expect("it has none yet");
        match self.event().await {
            Event::AllocateResponse(_, relayed) => relayed,
            Event::AllocateError(_, error) => panic!("no allocation: {error}"),
            _ => panic!("neither an allocation nor a refusal"),
        }
    }

    async fn permit(&mut self, relayed: SocketAddr, media: SocketAddr) {
        let mut relay = self.client.relay(relayed).expect("it is allocated");
        relay.create_permission(Instant::now(), media).expect("it can be asked");
        match self.event().await {
            Event::CreatePermissionResponse(..) => {}
            Event::CreatePermissionError(_, error) => panic!("no permission: {error}"),
            _ => panic!("neither a permission nor a refusal"),
        }
    }

    /// Carries datagrams both ways until the tunnel is dropped.
    async fn carry(self, near: UdpSocket, relayed: SocketAddr, media: SocketAddr) {
        let Self { mut client, stream, mut frames, server } = self;
        let (mut inward, mut outward) = tokio::io::split(stream);
        // A task of its own for the connection: half a read must not be given up for a datagram.
        let (pieces, mut arrived) = mpsc::channel::<Vec<u8>>(64);
        tokio::spawn(async move {
            let mut buffer = vec![0; 16 * 1024];
            while let Ok(len @ 1..) = inward.read(&mut buffer).await {
                if pieces.send(buffer[..len].to_vec()).await.is_err() {
                    return;
                }
            }
        });
        let mut buffer = vec![0; 2048];
        let mut peer = None;
        let mut ticks = tokio::time::interval(TICK);
        loop {
            tokio::select! {
                Ok((len, from)) = near.recv_from(&mut buffer) => {
                    peer = Some(from);
                    let mut relay = client.relay(relayed).expect("it is allocated");
                    let _ = relay.send_to(Instant::now(), &buffer[..len], media);
                }
                piece = arrived.recv() => {
                    let Some(piece) = piece else { return };
                    take(&mut client, &mut frames, server, &piece);
                }
                _ = ticks.tick() => drop(client.handle_timeout(Instant::now())),
            }
            let out = said(&mut client);
            if outward.write_all(&out).await.is_err() || outward.flush().await.is_err() {
                return;
            }
            while let Some(event) = client.poll_event() {
                if let (Event::DataIndicationOrChannelData(_, _, data), Some(peer)) = (event, peer) {
                    let _ = near.send_to(&data, peer).await;
                }
            }
        }
    }
}

/// Messages for the relay, as a stream has them.
fn said(client: &mut Client) -> Vec<u8> {
    let mut out = Vec::new();
    while let Some(transmit) = client.poll_write() {
        out.extend_from_slice(&transmit.message);
        out.resize(out.len().next_multiple_of(4), 0);
    }
    out
}

/// Gives the client what came.
fn take(client: &mut Client, frames: &mut Frames, server: SocketAddr, bytes: &[u8]) {
    frames.push(bytes);
    while let Some(frame) = frames.next_frame().expect("the relay speaks TURN") {
        let transport = TransportContext {
            local_addr: own(),
            peer_addr: server,
            transport_protocol: TransportProtocol::UDP,
            ecn: None,
        };
        let message = TransportMessage { now: Instant::now(), transport, message: BytesMut::from(frame) };
        client.handle_read(message).expect("the relay speaks TURN");
    }
}

/// The client insists on an address of its own, and never uses it.
fn own() -> SocketAddr {
    SocketAddr::from(([127, 0, 0, 1], 9))
}
