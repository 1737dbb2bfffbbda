//! What a relayed packet costs, beside coturn in the same run: `cargo run --release -p parlor-turn --example cost`.
//!
//! Peers send 1,160-byte datagrams in runs of ten, as the SFU does, to the relay ports of 20 clients with channels. The server is
//! a process of its own; its CPU time is read from the system, and divided by the datagrams that the clients got.

#![expect(clippy::unwrap_used, reason = "a bench stops where it goes wrong")]

use std::io::IoSliceMut;
use std::net::{SocketAddr, UdpSocket};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use md5::{Digest as _, Md5};
use parlor_turn::message::{Class, Integrity, Message, Method, Writer};
use parlor_turn::{Config, Credentials, PortRange, Secret, Surroundings, serve};
use quinn_udp::{BATCH_SIZE, RecvMeta, Transmit, UdpSocketState};

const SECRET: &str = "a-secret-of-this-bench";
const REALM: &str = "bench";
const CLIENTS: usize = 20;
const PAYLOAD: usize = 1160;
const RUN: usize = 10;
const RATE: u64 = 20_000;
const WARM: Duration = Duration::from_secs(1);
const MEASURED: Duration = Duration::from_secs(8);

fn main() {
    if let Some(port) = std::env::args().nth(1) {
        return own_server(port.parse().unwrap());
    }
    let ours = Command::new(std::env::current_exe().unwrap()).arg("34780").stdin(Stdio::null()).spawn().unwrap();
    let ours = Server { child: ours, port: 34780 };
    let own = measure(&ours);
    println!("figure turn_cpu_us_per_packet {own:.2} µs");
    drop(ours);
    let Some(coturn) = coturn(34781) else { return eprintln!("turnserver is not installed: nothing to compare with") };
    let other = measure(&coturn);
    println!("figure coturn_cpu_us_per_packet {other:.2} µs");
    println!("figure coturn_vs_parlor_turn {:.2} ×", other / own);
}

struct Server {
    child: Child,
    port: u16,
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn own_server(port: u16) {
    let config = Config {
        stun_listen: Some(SocketAddr::from(([127, 0, 0, 1], port))),
        relay_ports: PortRange { first: 35_000, last: 35_999 },
        realm: REALM.into(),
        allow_peers: vec!["127.0.0.0/8".parse().unwrap()],
        user_bytes_per_s: 1_000_000_000,
        address_bytes_per_s: 1_000_000_000,
        ..Config::default()
    };
    let surroundings = Surroundings {
        secret: Secret::from(String::from(SECRET)),
        tls: None,
        announced: vec![[127, 0, 0, 1].into()],
        media_ports: Vec::new(),
        machine: Vec::new,
    };
    let _server = serve(&config, &surroundings).unwrap().unwrap();
    loop {
        std::thread::park();
    }
}

fn coturn(port: u16) -> Option<Server> {
    let arguments = [
        "-n",
        "--use-auth-secret",
        "--static-auth-secret",
        SECRET,
        "--realm",
        REALM,
        "--listening-ip",
        "127.0.0.1",
        "--relay-ip",
        "127.0.0.1",
        "--min-port",
        "36000",
        "--max-port",
        "36999",
        "--allow-loopback-peers",
        "--no-tls",
        "--no-dtls",
        "--no-cli",
        "--log-file",
        "/dev/null",
        "--pidfile",
        "/dev/null",
        "--listening-port",
    ];
    let mut command = Command::new("turnserver");
    command.args(arguments).arg(port.to_string()).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    Some(Server { child: command.spawn().ok()?, port })
}

/// CPU time that a process has used.
fn cpu(child: &Child) -> Duration {
    let stat = std::fs::read_to_string(format!("/proc/{}/stat", child.id())).unwrap();
    let fields: Vec<&str> = stat.rsplit(") ").next().unwrap().split(' ').collect();
    let ticks: u64 = fields[11].parse::<u64>().unwrap() + fields[12].parse::<u64>().unwrap();
    Duration::from_millis(ticks * 10)
}

/// A client with an allocation, and a peer on a channel of it.
struct Pair {
    client: UdpSocket,
    client_state: UdpSocketState,
    peer: UdpSocket,
    peer_state: UdpSocketState,
    relayed: SocketAddr,
}

impl Pair {
    fn make(server: SocketAddr) -> Self {
        let client = UdpSocket::bind("127.0.0.1:0").unwrap();
        client.connect(server).unwrap();
        client.set_read_timeout(Some(Duration::from_millis(200))).unwrap();
        let peer = UdpSocket::bind("127.0.0.1:0").unwrap();
        let now_s = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs();
        let pair = Credentials::make(&Secret::from(String::from(SECRET)), "bench", now_s, 3600);
        let key = Md5::digest(format!("{}:{REALM}:{}", pair.username, pair.credential)).to_vec();
        let transport = (0x0019, vec![17, 0, 0, 0]);
        let challenge = ask(&client, Method::Allocate, std::slice::from_ref(&transport), None);
        let nonce = Message::read(&challenge).unwrap().attribute(0x0015).unwrap().to_vec();
        let login = [(0x0006, pair.username.into_bytes()), (0x0014, REALM.into()), (0x0015, nonce)];
        let signed = |method, wanted: &[(u16, Vec<u8>)]| ask(&client, method, &[wanted, &login].concat(), Some(&key));
        let made = signed(Method::Allocate, &[transport]);
        let relayed = Message::read(&made).unwrap().attribute(0x0016).unwrap_or_else(|| panic!("{made:02x?}")).to_vec();
        let port = u16::from_be_bytes([relayed[2], relayed[3]]) ^ 0x2112;
        let peer_port = (peer.local_addr().unwrap().port() ^ 0x2112).to_be_bytes();
        let address = [&[0, 1][..], &peer_port, &[127 ^ 0x21, 0x12, 0xA4, 1 ^ 0x42]].concat();
        let bound = signed(Method::ChannelBind, &[(0x000C, vec![0x40, 0, 0, 0]), (0x0012, address)]);
        assert_eq!(Message::read(&bound).unwrap().class, Class::Success);
        let (client_state, peer_state) =
            (UdpSocketState::new((&client).into()).unwrap(), UdpSocketState::new((&peer).into()).unwrap());
        let _ = client_state.set_recv_buffer_size((&client).into(), 4 * 1024 * 1024);
        Self { client, client_state, peer, peer_state, relayed: SocketAddr::from(([127, 0, 0, 1], port)) }
    }

    fn send(&self, run: &[u8]) {
        let transmit =
            Transmit { destination: self.relayed, ecn: None, contents: run, segment_size: Some(PAYLOAD), src_ip: None };
        let _ = self.peer_state.try_send((&self.peer).into(), &transmit);
    }

    fn receive(&self, buffers: &mut [Vec<u8>]) -> u64 {
        let mut packets = 0;
        loop {
            let mut metas = [RecvMeta::default(); BATCH_SIZE];
            let mut slices: Vec<IoSliceMut<'_>> = buffers.iter_mut().map(|buffer| IoSliceMut::new(buffer)).collect();
            let Ok(count) = self.client_state.recv((&self.client).into(), &mut slices, &mut metas) else {
                return packets;
            };
            packets += metas[..count].iter().map(|meta| meta.len.div_ceil(meta.stride.max(1)) as u64).sum::<u64>();
        }
    }
}

/// Asks until there is an answer: the server may not be there yet.
fn ask(client: &UdpSocket, method: Method, attributes: &[(u16, Vec<u8>)], key: Option<&[u8]>) -> Vec<u8> {
    let mut bytes = Vec::new();
    let transaction = u128::from(Instant::now().elapsed().subsec_nanos()) ^ (bytes.as_ptr() as u128) << 32;
    let mut message =
        Writer::new(&mut bytes, Class::Request, method, &transaction.to_be_bytes()[4..].try_into().unwrap());
    for (kind, value) in attributes {
        message.add(*kind, value);
    }
    if let Some(key) = key {
        message.sign(Integrity::Sha1, key);
    }
    let mut buffer = [0; 1500];
    for _ in 0..100 {
        let _ = client.send(&bytes);
        if let Ok(len) = client.recv(&mut buffer) {
            return buffer[..len].to_vec();
        }
        std::thread::sleep(Duration::from_millis(20));
    }
    panic!("no answer")
}

/// CPU µs of the server for each datagram that arrived.
fn measure(server: &Server) -> f64 {
    let address = SocketAddr::from(([127, 0, 0, 1], server.port));
    let pairs: Vec<Pair> = (0..CLIENTS).map(|_| Pair::make(address)).collect();
    let mut buffers: Vec<Vec<u8>> = (0..BATCH_SIZE).map(|_| vec![0; 65_535]).collect();
    let run = vec![7; PAYLOAD * RUN];
    let (start, mut sent, mut counted) = (Instant::now(), 0_u64, None);
    let mut arrived = 0_u64;
    while start.elapsed() < WARM + MEASURED {
        let due = start.elapsed().as_micros() as u64 * RATE / 1_000_000;
        while sent < due {
            pairs[(sent / RUN as u64) as usize % CLIENTS].send(&run);
            sent += RUN as u64;
        }
        arrived += pairs.iter().map(|pair| pair.receive(&mut buffers)).sum::<u64>();
        if counted.is_none() && start.elapsed() > WARM {
            counted = Some((cpu(&server.child), arrived, sent));
        }
        std::thread::sleep(Duration::from_micros(500));
    }
    let (cpu_before, arrived_before, sent_before) = counted.unwrap();
    let (used, packets) = (cpu(&server.child) - cpu_before, arrived - arrived_before);
    eprintln!("{packets} of {} datagrams arrived, {used:?} of CPU", sent - sent_before);
    used.as_secs_f64() * 1e6 / packets as f64
}
