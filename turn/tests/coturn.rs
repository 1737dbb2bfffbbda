//! Our credentials and our STUN responder against coturn, which is not ours: the shipped configuration is run, changed only
//! where a test on one machine must differ (port, loopback peers, no TLS).

#![expect(clippy::unwrap_used, reason = "a test stops where it goes wrong")]

use std::fs;
use std::net::{SocketAddr, UdpSocket};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use bytes::BytesMut;
use parlor_turn::{Config, Credentials, Secret, Surroundings, serve};
use rtc_shared::{TransportContext, TransportMessage, TransportProtocol};
use rtc_turn::client::{Client, ClientConfig, Event};
use sansio::Protocol;

const SECRET: &str = "a-secret-of-this-test";
const SHIPPED: &str = include_str!("../coturn/turnserver.conf");
/// No answer in this time fails the test; nothing here takes longer than a few milliseconds.
const PATIENCE: Duration = Duration::from_secs(10);

struct Coturn {
    child: Child,
    address: SocketAddr,
    folder: tempfile::TempDir,
}

impl Coturn {
    fn start() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let address = UdpSocket::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
        let file = folder.path().join("turnserver.conf");
        fs::write(&file, configuration(address, folder.path().to_str().unwrap())).unwrap();
        let log = fs::File::create(folder.path().join("log")).unwrap();
        let child = Command::new("turnserver")
            .arg("-c")
            .arg(&file)
            .stdin(Stdio::null())
            .stdout(log.try_clone().unwrap())
            .stderr(log)
            .spawn()
            .expect("turnserver cannot be started: install the Debian package coturn (apt install coturn)");
        let mut coturn = Self { child, address, folder };
        coturn.wait_until_it_answers();
        coturn
    }

    fn wait_until_it_answers(&mut self) {
        let probe = UdpSocket::bind("127.0.0.1:0").unwrap();
        probe.set_read_timeout(Some(Duration::from_millis(50))).unwrap();
        let binding = [&[0, 1, 0, 0, 0x21, 0x12, 0xA4, 0x42][..], &[7; 12]].concat();
        let start = Instant::now();
        while start.elapsed() < PATIENCE {
            assert!(self.child.try_wait().unwrap().is_none(), "coturn ended:\n{}", self.log());
            let _ = probe.send_to(&binding, self.address);
            if probe.recv(&mut [0; 200]).is_ok() {
                return;
            }
        }
        panic!("coturn does not answer:\n{}", self.log());
    }

    fn log(&self) -> String {
        fs::read_to_string(self.folder.path().join("log")).unwrap_or_default()
    }
}

impl Drop for Coturn {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// The shipped file with the lines that a test on loopback must change.
fn configuration(address: SocketAddr, folder: &str) -> String {
    let changed =
        ["listening-port", "tls-listening-port", "static-auth-secret", "external-ip", "no-stdout-log", "syslog"];
    let kept = SHIPPED.lines().filter(|line| {
        let key = line.split('=').next().unwrap_or_default();
        !changed.contains(&key) && *line != "denied-peer-ip=127.0.0.0-127.255.255.255"
    });
    let ours = [
        format!("listening-port={}", address.port()),
        format!("listening-ip={}", address.ip()),
        format!("relay-ip={}", address.ip()),
        format!("static-auth-secret={SECRET}"),
        format!("userdb={folder}/turndb"),
        format!("pidfile={folder}/pid"),
        "log-file=stdout".into(),
        "allow-loopback-peers".into(),
        "no-tls".into(),
    ];
    kept.map(String::from).chain(ours).collect::<Vec<_>>().join("\n") + "\n"
}

/// rtc-turn's client on a socket.
struct Turn {
    client: Client,
    socket: UdpSocket,
}

impl Turn {
    fn connect(server: SocketAddr, credentials: Credentials) -> Self {
        let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
        let config = ClientConfig {
            stun_serv_addr: String::new(),
            turn_serv_addr: server.to_string(),
            local_addr: socket.local_addr().unwrap(),
            transport_protocol: TransportProtocol::UDP,
            username: credentials.username,
            password: credentials.credential,
            realm: String::new(),
            software: String::new(),
            rto_in_ms: 0,
            allocation_refresh_interval_cap: None,
        };
        let client = Client::new(config, rtc_crypto::default_provider().unwrap()).unwrap();
        Self { client, socket }
    }

    /// Drives the client until it has something to say.
    fn event(&mut self) -> Event {
        let start = Instant::now();
        let mut buffer = [0; 2048];
        while start.elapsed() < PATIENCE {
            while let Some(transmit) = self.client.poll_write() {
                self.socket.send_to(&transmit.message, transmit.transport.peer_addr).unwrap();
            }
            if let Some(event) = self.client.poll_event() {
                return event;
            }
            let wait = self.client.poll_timeout().map_or(PATIENCE, |at| at.saturating_duration_since(Instant::now()));
            self.socket.set_read_timeout(Some(wait.clamp(Duration::from_millis(1), PATIENCE))).unwrap();
            let now = Instant::now();
            if let Ok((n, peer_addr)) = self.socket.recv_from(&mut buffer) {
                let local_addr = self.socket.local_addr().unwrap();
                let transport =
                    TransportContext { local_addr, peer_addr, transport_protocol: TransportProtocol::UDP, ecn: None };
                self.client
                    .handle_read(TransportMessage { now, transport, message: BytesMut::from(&buffer[..n]) })
                    .unwrap();
            }
            self.client.handle_timeout(Instant::now()).unwrap();
        }
        panic!("no event of the TURN client");
    }

    fn allocate(&mut self) -> Result<SocketAddr, String> {
        self.client.allocate(Instant::now()).unwrap();
        match self.event() {
            Event::AllocateResponse(_, relayed) => Ok(relayed),
            Event::AllocateError(_, error) => Err(error.to_string()),
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
}

fn now_unix_s() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs()
}

fn credentials(secret: &str, now_unix_s: u64) -> Credentials {
    Credentials::make(&Secret::from(String::from(secret)), "0197-ada", now_unix_s, 600)
}

#[test]
fn our_credentials_open_a_relay_that_carries_data_both_ways() {
    let coturn = Coturn::start();
    let mut turn = Turn::connect(coturn.address, credentials(SECRET, now_unix_s()));
    let relayed = turn.allocate().unwrap_or_else(|e| panic!("{e}\n{}", coturn.log()));

    let peer = UdpSocket::bind("127.0.0.1:0").unwrap();
    peer.set_read_timeout(Some(PATIENCE)).unwrap();
    turn.permit(relayed, peer.local_addr().unwrap()).unwrap_or_else(|e| panic!("{e}\n{}", coturn.log()));
    peer.send_to(b"hello from outside", relayed).unwrap();
    let Event::DataIndicationOrChannelData(_, from, data) = turn.event() else { panic!("no data") };
    assert_eq!((&data[..], from), (&b"hello from outside"[..], peer.local_addr().unwrap()));

    turn.client.relay(relayed).unwrap().send_to(Instant::now(), b"hello from inside", from).unwrap();
    while let Some(transmit) = turn.client.poll_write() {
        turn.socket.send_to(&transmit.message, transmit.transport.peer_addr).unwrap();
    }
    let mut buffer = [0; 100];
    let (n, from) = peer.recv_from(&mut buffer).unwrap();
    assert_eq!((&buffer[..n], from), (&b"hello from inside"[..], relayed));
}

#[test]
fn expired_and_forged_credentials_are_refused() {
    let coturn = Coturn::start();
    let refused = [
        ("expired", credentials(SECRET, now_unix_s() - 601)),
        ("signed with another secret", credentials("not-the-secret", now_unix_s())),
        ("prolonged", {
            let old = credentials(SECRET, now_unix_s() - 601);
            Credentials { username: credentials(SECRET, now_unix_s()).username, ..old }
        }),
    ];
    for (what, pair) in refused {
        let answer = Turn::connect(coturn.address, pair).allocate();
        assert!(answer.as_ref().is_err_and(|e| e.contains("401")), "{what}: {answer:?}\n{}", coturn.log());
    }
}

#[test]
fn the_shipped_configuration_denies_private_peers_and_no_others() {
    let coturn = Coturn::start();
    let mut turn = Turn::connect(coturn.address, credentials(SECRET, now_unix_s()));
    let relayed = turn.allocate().unwrap();
    for private in ["10.0.0.1:80", "169.254.169.254:80", "192.168.1.1:80", "172.20.0.1:80", "100.64.0.1:80"] {
        let answer = turn.permit(relayed, private.parse().unwrap());
        assert!(answer.as_ref().is_err_and(|e| e.contains("403")), "{private}: {answer:?}");
    }
    // A permission sends nothing to the peer.
    for public in ["8.8.8.8:53", "100.128.0.1:80", "223.255.255.1:80"] {
        assert_eq!(turn.permit(relayed, public.parse().unwrap()), Ok(()), "{public}\n{}", coturn.log());
    }
}

#[test]
fn our_server_answers_coturns_stun_client() {
    let config =
        Config { stun_listen: Some("127.0.0.1:0".parse().unwrap()), enabled: Some(false), ..Config::default() };
    let surroundings = Surroundings {
        secret: String::from(SECRET).into(),
        tls: None,
        announced: Vec::new(),
        media_ports: Vec::new(),
        machine: Vec::new,
    };
    let server = serve(&config, &surroundings).unwrap().expect("it is switched on");
    let port = server.listening.udp.expect("it listens").port().to_string();
    let output = Command::new("turnutils_stunclient")
        .args(["-p", &port, "127.0.0.1"])
        .output()
        .expect("turnutils_stunclient cannot be started: install the Debian package coturn (apt install coturn)");
    let text = String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr);
    assert!(text.contains("UDP reflexive addr: 127.0.0.1:"), "{text}");
}
