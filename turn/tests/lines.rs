//! The server on real sockets: a client that is not ours (rtc-turn) over UDP, TCP and TLS, and connections that mean no good.

#![expect(clippy::unwrap_used, reason = "a test stops where it goes wrong")]

mod ours;

use std::io::{ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpStream, UdpSocket};
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::BytesMut;
use ours::{Ours, PATIENCE, credentials, until};
use parlor_turn::{Config, DropReason, Frames, Surroundings, Unopened, serve};
use rtc_shared::{TransportContext, TransportMessage, TransportProtocol};
use rtc_turn::client::{Client, ClientConfig, Event};
use rustls::pki_types::ServerName;
use rustls::{ClientConfig as TlsConfig, ClientConnection, RootCertStore, StreamOwned};
use sansio::Protocol;

/// What carries a client's messages.
enum Line {
    Datagrams(UdpSocket),
    Stream(Box<dyn ReadWrite>, Frames),
}

trait ReadWrite: Read + Write + Send {}
impl<T: Read + Write + Send> ReadWrite for T {}

impl Line {
    fn send(&mut self, message: &[u8]) {
        match self {
            Self::Datagrams(socket) => drop(socket.send(message).unwrap()),
            Self::Stream(stream, _) => {
                let padding =
                    if message[0] & 0xC0 == 0x40 { message.len().next_multiple_of(4) - message.len() } else { 0 };
                stream.write_all(&[message, &[0; 3][..padding]].concat()).unwrap();
                stream.flush().unwrap();
            }
        }
    }

    /// The next message, if it comes soon.
    fn receive(&mut self) -> Option<Vec<u8>> {
        let mut buffer = [0; 4096];
        match self {
            Self::Datagrams(socket) => socket.recv(&mut buffer).ok().map(|n| buffer[..n].to_vec()),
            Self::Stream(stream, frames) => {
                if let Some(frame) = frames.next_frame().unwrap() {
                    return Some(frame.to_vec());
                }
                let n = stream.read(&mut buffer).ok()?;
                frames.push(&buffer[..n]);
                frames.next_frame().unwrap().map(<[u8]>::to_vec)
            }
        }
    }
}

/// rtc-turn's client on a line.
struct Turn {
    client: Client,
    line: Line,
    own: SocketAddr,
    server: SocketAddr,
}

const SOON: Duration = Duration::from_millis(20);

impl Turn {
    fn by(server: SocketAddr, line: Line) -> Self {
        let credentials = credentials("ada");
        let own = "127.0.0.1:9".parse().unwrap();
        let config = ClientConfig {
            turn_serv_addr: server.to_string(),
            local_addr: own,
            transport_protocol: TransportProtocol::UDP,
            username: credentials.username,
            password: credentials.credential,
            ..ClientConfig::default()
        };
        let client = Client::new(config, rtc_crypto::default_provider().unwrap()).unwrap();
        Self { client, line, own, server }
    }

    fn over_udp(server: &Ours) -> Self {
        let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
        socket.connect(server.udp()).unwrap();
        socket.set_read_timeout(Some(SOON)).unwrap();
        Self::by(server.udp(), Line::Datagrams(socket))
    }

    fn over_tcp(server: &Ours) -> Self {
        let stream = connect(server.tcp());
        Self::by(server.tcp(), Line::Stream(Box::new(stream), Frames::default()))
    }

    fn over_tls(server: &Ours) -> Self {
        let mut roots = RootCertStore::empty();
        roots.add(server.certificate.clone()).unwrap();
        let config = TlsConfig::builder_with_provider(Arc::new(rustls::crypto::ring::default_provider()))
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_root_certificates(roots)
            .with_no_client_auth();
        let name = ServerName::try_from("127.0.0.1").unwrap();
        let connection = ClientConnection::new(Arc::new(config), name).unwrap();
        let stream = StreamOwned::new(connection, connect(server.tls()));
        Self::by(server.tls(), Line::Stream(Box::new(stream), Frames::default()))
    }

    fn write(&mut self) {
        while let Some(transmit) = self.client.poll_write() {
            self.line.send(&transmit.message);
        }
    }

    fn event(&mut self) -> Event {
        let start = Instant::now();
        while start.elapsed() < PATIENCE {
            self.write();
            if let Some(event) = self.client.poll_event() {
                return event;
            }
            if let Some(message) = self.line.receive() {
                let transport = TransportContext {
                    local_addr: self.own,
                    peer_addr: self.server,
                    transport_protocol: TransportProtocol::UDP,
                    ecn: None,
                };
                let (now, message) = (Instant::now(), BytesMut::from(&message[..]));
                self.client.handle_read(TransportMessage { now, transport, message }).unwrap();
            }
            self.client.handle_timeout(Instant::now()).unwrap();
        }
        panic!("no event of the TURN client");
    }

    fn allocate(&mut self) -> SocketAddr {
        self.client.allocate(Instant::now()).unwrap();
        match self.event() {
            Event::AllocateResponse(_, relayed) => relayed,
            Event::AllocateError(_, error) => panic!("{error}"),
            _ => panic!("neither an allocation nor a refusal"),
        }
    }

    fn permit(&mut self, relayed: SocketAddr, peer: SocketAddr) -> Result<(), String> {
        self.client.relay(relayed).unwrap().create_permission(Instant::now(), peer).unwrap();
        match self.event() {
            Event::CreatePermissionResponse(..) => Ok(()),
            Event::CreatePermissionError(_, error) => Err(error.to_string()),
            _ => panic!("neither a permission nor a refusal"),
        }
    }

    fn send(&mut self, relayed: SocketAddr, peer: SocketAddr, data: &[u8]) {
        self.client.relay(relayed).unwrap().send_to(Instant::now(), data, peer).unwrap();
        self.write();
    }

    fn data(&mut self) -> (SocketAddr, Vec<u8>) {
        loop {
            if let Event::DataIndicationOrChannelData(_, from, data) = self.event() {
                return (from, data.to_vec());
            }
        }
    }
}

fn connect(to: SocketAddr) -> TcpStream {
    let stream = TcpStream::connect(to).unwrap();
    stream.set_read_timeout(Some(SOON)).unwrap();
    stream
}

fn peer() -> UdpSocket {
    let peer = UdpSocket::bind("127.0.0.1:0").unwrap();
    peer.set_read_timeout(Some(PATIENCE)).unwrap();
    peer
}

/// Data of every length goes there and back.
fn converse(turn: &mut Turn) {
    let relayed = turn.allocate();
    let peer = peer();
    let address = peer.local_addr().unwrap();
    turn.permit(relayed, address).unwrap();
    let mut buffer = [0; 2048];
    for len in [1, 2, 3, 4, 100, 1200, 1200, 1201, 1400, 7] {
        let data: Vec<u8> = (0..len).map(|at| at as u8).collect();
        turn.send(relayed, address, &data);
        let (n, from) = peer.recv_from(&mut buffer).unwrap();
        assert_eq!((&buffer[..n], from), (&data[..], relayed));
        peer.send_to(&data, relayed).unwrap();
        assert_eq!(turn.data(), (address, data));
    }
}

#[test]
fn another_client_talks_over_udp() {
    converse(&mut Turn::over_udp(&Ours::start()));
}

#[test]
fn another_client_talks_over_tcp() {
    let server = Ours::start();
    let mut turn = Turn::over_tcp(&server);
    converse(&mut turn);
    assert_eq!((server.counts().allocations, server.counts().connections), (1, 1));
    drop(turn);
    until("a closed connection takes its allocation along", || {
        (server.counts().allocations == 0 && server.counts().connections == 0).then_some(())
    });
}

#[test]
fn another_client_talks_over_tls() {
    let server = Ours::start();
    let mut turn = Turn::over_tls(&server);
    converse(&mut turn);
    assert_eq!((server.counts().connections, server.counts().tls_connections), (1, 1));
}

#[test]
fn runs_of_datagrams_keep_their_order_and_their_ends() {
    let server = Ours::start();
    for mut turn in [Turn::over_udp(&server), Turn::over_tcp(&server), Turn::over_tls(&server)] {
        let relayed = turn.allocate();
        let peer = peer();
        let address = peer.local_addr().unwrap();
        turn.permit(relayed, address).unwrap();
        for number in 0..50_u8 {
            turn.send(relayed, address, &vec![number; 1000 + usize::from(number % 3)]);
        }
        let mut buffer = [0; 2048];
        for number in 0..50_u8 {
            let n = peer.recv(&mut buffer).unwrap();
            assert_eq!(buffer[..n], vec![number; 1000 + usize::from(number % 3)]);
        }
        for number in 0..50_u8 {
            peer.send_to(&vec![number; 1000 + usize::from(number % 3)], relayed).unwrap();
        }
        for number in 0..50_u8 {
            assert_eq!(turn.data().1, vec![number; 1000 + usize::from(number % 3)]);
        }
    }
}

#[test]
fn media_of_the_server_is_reached_at_the_address_that_clients_know() {
    // Clients know the server by an address that this machine does not have, as behind a 1:1 NAT.
    let media = UdpSocket::bind("0.0.0.0:0").unwrap();
    media.set_read_timeout(Some(PATIENCE)).unwrap();
    let port = media.local_addr().unwrap().port();
    let server = Ours::start_with(|_, surroundings| {
        surroundings.announced = vec!["203.0.113.5".parse().unwrap()];
        surroundings.media_ports = vec![port];
    });
    let mut turn = Turn::over_udp(&server);
    let relayed = turn.allocate();
    assert_eq!(relayed.ip().to_string(), "203.0.113.5");
    let told = SocketAddr::from(([203, 0, 113, 5], port));
    turn.permit(relayed, told).unwrap();
    turn.send(relayed, told, b"a check");
    let mut buffer = [0; 100];
    let (n, from) = media.recv_from(&mut buffer).unwrap();
    assert_eq!(&buffer[..n], b"a check");
    media.send_to(b"an answer", from).unwrap();
    assert_eq!(turn.data(), (told, b"an answer".to_vec()));
    let refused = turn.permit(relayed, SocketAddr::from(([127, 0, 0, 1], port)));
    assert!(refused.as_ref().is_err_and(|error| error.contains("403")), "{refused:?}");
}

/// Waits until the server hangs up.
fn hung_up(stream: &mut TcpStream) {
    until("the server hangs up", || match stream.read(&mut [0; 2048]) {
        Ok(0) => Some(()),
        Ok(_) => None,
        Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => None,
        Err(_) => Some(()),
    });
}

#[test]
fn connections_that_speak_something_else_are_closed() {
    let server = Ours::start();
    let mut oversized = vec![0x40, 0, 0xFF, 0xFF];
    oversized.extend([0; 100]);
    for (to, bytes) in [
        (server.tcp(), b"GET / HTTP/1.1\r\nHost: a\r\n\r\n".to_vec()),
        (server.tcp(), vec![0x16, 3, 1, 0, 200, 1, 0, 0, 196]),
        (server.tcp(), vec![0xFF; 64]),
        (server.tcp(), oversized),
    ] {
        let mut stream = connect(to);
        stream.write_all(&bytes).unwrap();
        hung_up(&mut stream);
    }
    assert_eq!(server.counts().dropped(DropReason::Malformed), 4);
    for garbage in [b"GET / HTTP/1.1\r\n\r\n".to_vec(), vec![0x16; 400], vec![0; 100]] {
        let mut stream = connect(server.tls());
        stream.write_all(&garbage).unwrap();
        hung_up(&mut stream);
    }
    assert_eq!(server.counts().dropped(DropReason::BadTls), 3);
    assert_eq!(server.counts().connections, 0);
}

#[test]
fn connections_that_do_nothing_are_closed_and_hold_nobody_up() {
    let server = Ours::start();
    let start = Instant::now();
    let mut idle: Vec<TcpStream> = (0..20).map(|_| connect(server.tcp())).collect();
    idle.extend((0..20).map(|_| connect(server.tls())));
    // Half a request, a byte at a time.
    let mut slow = connect(server.tcp());
    let request = [0, 1, 0, 0, 0x21, 0x12, 0xA4, 0x42, 1, 2];
    let mut turn = Turn::over_tcp(&server);
    converse(&mut turn);
    let mut bytes = request.iter();
    let mut fed = || {
        if let Some(byte) = bytes.next() {
            let _ = slow.write_all(&[*byte]);
        }
        slow.read(&mut [0; 10]).is_ok_and(|n| n == 0)
    };
    while !fed() {
        assert!(start.elapsed() < 2 * PATIENCE, "a slow request keeps no connection");
        std::thread::sleep(Duration::from_millis(500));
    }
    assert!(start.elapsed() >= Duration::from_secs(9));
    for stream in &mut idle {
        hung_up(stream);
    }
    let counts = server.counts();
    assert_eq!((counts.dropped(DropReason::IdleConnection), counts.connections), (41, 1));
    // Whoever has an allocation stays.
    assert_eq!(server.counts().allocations, 1);
}

#[test]
fn one_address_has_a_share_of_connections() {
    let server = Ours::start();
    let streams: Vec<TcpStream> = (0..200).map(|_| connect(server.tcp())).collect();
    let counts = until("all are looked at", || {
        let counts = server.counts();
        (counts.connections + counts.dropped(DropReason::TooManyConnections) == 200).then_some(counts)
    });
    // A hundred at once, and a few a second.
    assert!((100..150).contains(&counts.connections), "{counts:?}");
    drop(streams);
    until("they go", || (server.counts().connections == 0).then_some(()));
    // More than are accepted in a second wait, and are looked at in their turn.
    let streams: Vec<TcpStream> = (0..600).map(|_| connect(server.tcp())).collect();
    let before = counts.dropped(DropReason::TooManyConnections);
    until("all are looked at", || {
        let counts = server.counts();
        (counts.connections + counts.dropped(DropReason::TooManyConnections) == before + 600).then_some(())
    });
    drop(streams);
}

#[test]
fn a_client_that_does_not_read_loses_packets_and_holds_nobody_up() {
    let server = Ours::start();
    let mut turn = Turn::over_tcp(&server);
    let relayed = turn.allocate();
    let peer = peer();
    turn.permit(relayed, peer.local_addr().unwrap()).unwrap();
    // Within the quota, but more than the kernel's buffers of both ends.
    until("the line is full", || {
        for _ in 0..50 {
            peer.send_to(&[7; 1200], relayed).unwrap();
        }
        (server.counts().dropped(DropReason::SlowClient) > 0).then_some(())
    });
    let mut other = Turn::over_udp(&server);
    converse(&mut other);
}

#[test]
fn a_line_that_is_taken_is_named_and_the_others_serve() {
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let at = taken.local_addr().unwrap();
    let config = Config {
        stun_listen: Some("127.0.0.1:0".parse().unwrap()),
        tcp_listen: parlor_turn::Listen::At(at),
        ..Config::default()
    };
    let names = |unopened: &[Unopened]| unopened.iter().map(|line| (line.what, line.address)).collect::<Vec<_>>();
    assert_eq!(names(&parlor_turn::unopened(&config, false).unwrap()), [("TURN over TCP", at)]);
    let surroundings = Surroundings {
        secret: String::from("north").into(),
        tls: None,
        announced: vec![[127, 0, 0, 1].into()],
        media_ports: Vec::new(),
        machine: Vec::new,
    };
    let server = serve(&config, &surroundings).unwrap().unwrap();
    assert_eq!(names(&server.unopened), [("TURN over TCP", at)]);
    assert!(server.listening.udp.is_some() && server.listening.tcp.is_none() && server.listening.relays);
    let nothing = Config { stun_listen: None, ..Config::default() };
    assert!(serve(&nothing, &surroundings).unwrap().is_none());
    let all_taken = Config { stun_listen: None, tcp_listen: parlor_turn::Listen::At(at), ..Config::default() };
    assert!(serve(&all_taken, &surroundings).is_err());
}

#[test]
fn stopping_closes_everything() {
    let server = Ours::start();
    let (udp, tcp) = (server.udp(), server.tcp());
    let mut stream = connect(tcp);
    drop(server);
    hung_up(&mut stream);
    assert!(TcpStream::connect(tcp).is_err());
    UdpSocket::bind(udp).expect("the port is free again");
}
