//! A call whose participants reach the server through coturn alone, with credentials that the server made.

use std::fs;
use std::net::{SocketAddr, TcpListener, UdpSocket};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use reqwest::StatusCode;
use tempfile::TempDir;
use webrtc::peer_connection::RTCIceServer;

use crate::harness::{Person, Server, until};
use crate::peer::{Caller, Kind, Way, meet};

const SECRET: &str = "a-secret-of-this-test";
/// What operators get.
const SHIPPED: &str = include_str!("../../turn/coturn/turnserver.conf");

/// coturn on loopback. It ends when it is dropped.
struct Coturn {
    child: Child,
    address: SocketAddr,
    folder: TempDir,
}

impl Coturn {
    async fn start() -> Self {
        let folder = tempfile::tempdir().expect("a folder for coturn");
        let address = free_address();
        let file = folder.path().join("turnserver.conf");
        fs::write(&file, configuration(address, &folder)).expect("the folder is ours");
        let log = fs::File::create(folder.path().join("log")).expect("the folder is ours");
        let child = Command::new("turnserver")
            .arg("-c")
            .arg(&file)
            .stdin(Stdio::null())
            .stdout(log.try_clone().expect("a file has two ends"))
            .stderr(log)
            .spawn()
            .expect("turnserver cannot be started: install the Debian package coturn (apt install coturn)");
        let coturn = Self { child, address, folder };
        coturn.answers().await;
        coturn
    }

    /// Waits until it answers a binding request.
    async fn answers(&self) {
        let probe = UdpSocket::bind("127.0.0.1:0").expect("a free port");
        probe.set_read_timeout(Some(Duration::from_millis(50))).expect("it is no zero");
        let binding = [&[0, 1, 0, 0, 0x21, 0x12, 0xa4, 0x42][..], &[7; 12]].concat();
        let answered = async || {
            // Nobody listens yet: the error of the last datagram may come with this one.
            let _ = probe.send_to(&binding, self.address);
            probe.recv(&mut [0; 200]).ok()
        };
        until("coturn answers", answered).await;
    }

    fn log(&self) -> String {
        fs::read_to_string(self.folder.path().join("log")).unwrap_or_default()
    }
}

impl Drop for Coturn {
    fn drop(&mut self) {
        // Ended already, or ended now.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A free port below those that the system hands out: between here and coturn's start nobody else takes it.
fn free_address() -> SocketAddr {
    let first = 20_000 + std::process::id() as u16 % 10_000;
    let addresses = (first..first + 1_000).map(|port| SocketAddr::from(([127, 0, 0, 1], port)));
    let is_free = |at: &SocketAddr| UdpSocket::bind(at).is_ok() && TcpListener::bind(at).is_ok();
    addresses.into_iter().find(is_free).expect("one of a thousand ports is free")
}

/// The shipped file with the lines that a test on loopback must change.
fn configuration(address: SocketAddr, folder: &TempDir) -> String {
    let changed =
        ["listening-port", "tls-listening-port", "static-auth-secret", "external-ip", "no-stdout-log", "syslog"];
    let kept = SHIPPED.lines().filter(|line| {
        let key = line.split('=').next().unwrap_or_default();
        !changed.contains(&key) && *line != "denied-peer-ip=127.0.0.0-127.255.255.255"
    });
    let folder = folder.path().display();
    let ours = [
        format!("listening-port={}", address.port()),
        format!("listening-ip={}", address.ip()),
        format!("relay-ip={}", address.ip()),
        format!("static-auth-secret={SECRET}"),
        format!("userdb={folder}/turndb"),
        format!("pidfile={folder}/pid"),
        "log-file=stdout".to_owned(),
        "verbose".to_owned(),
        "allow-loopback-peers".to_owned(),
        "no-tls".to_owned(),
    ];
    kept.map(str::to_owned).chain(ours).collect::<Vec<_>>().join("\n") + "\n"
}

/// The ICE servers that the server names to somebody.
async fn ice_servers(person: &Person) -> Vec<RTCIceServer> {
    let answer = person.get("/webrtc/ice-servers").await.expect(StatusCode::OK);
    let text = |value: &serde_json::Value| value.as_str().unwrap_or_default().to_owned();
    let server = |entry: &serde_json::Value| RTCIceServer {
        urls: entry["urls"].as_array().into_iter().flatten().map(text).collect(),
        username: text(&entry["username"]),
        credential: text(&entry["credential"]),
    };
    answer["iceServers"].as_array().expect("a list").iter().map(server).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_call_goes_through_a_relay() {
    let coturn = Coturn::start().await;
    let turn = format!("turn:{}?transport=udp", coturn.address);
    let server = Server::start_with(|config| {
        config.turn.turn_urls = vec![turn.clone()];
        config.turn.turn_secret = Some(SECRET.to_owned().into());
    })
    .await;
    let (olga, ada) = (server.enter("olga").await, server.enter("ada").await);
    let room = olga.create_room("call", "public").await;
    let mut callers = Vec::new();
    for (tag, person) in [(1, &olga), (2, &ada)] {
        let servers = ice_servers(person).await;
        assert_eq!(servers[0].urls, [turn.as_str()]);
        assert!(servers[0].username.ends_with(&format!(":{}", person.id)), "the credential names its user");
        let way = Way { servers, relay_only: true, ..Way::direct() };
        callers.push(Caller::join_by(way, person, &room, tag, 2).await);
    }
    let [olga, ada] = &callers[..] else { unreachable!("two joined") };
    meet(olga, ada).await;
    for caller in [olga, ada] {
        let all = caller.peer.candidates().await;
        assert!(all.iter().all(|candidate| candidate.kind == "relay"), "nothing but the relay was tried: {all:?}");
        assert!(all.iter().any(|candidate| candidate.selected), "and it carries the media: {all:?}");
        assert!(coturn.log().contains(&caller.person.id), "coturn knows who relays:\n{}", coturn.log());
        let ours = caller.peer.arrivals(Kind::Audio, 3 - caller.peer.tag);
        let gaps = ours.windows(2).filter(|pair| pair[1].counter != pair[0].counter + 1).count();
        assert_eq!(gaps, 0, "nothing is lost on the way");
    }
}
