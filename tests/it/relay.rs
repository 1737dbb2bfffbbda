//! Calls whose participants reach the server through a relay alone: the server's own, and coturn, with credentials that the server
//! made.

use std::fs;
use std::net::{SocketAddr, TcpListener, UdpSocket};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use parlor::config::Tls;
use reqwest::StatusCode;
use tempfile::TempDir;
use tokio_rustls::rustls::pki_types::CertificateDer;
use tokio_rustls::rustls::pki_types::pem::PemObject as _;
use webrtc::peer_connection::RTCIceServer;

use crate::harness::{Person, Server, until};
use crate::peer::{Caller, Kind, Way, meet};
use crate::tunnel::{Ticket, secured, tls_server};

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
pub(crate) async fn ice_servers(person: &Person) -> Vec<RTCIceServer> {
    let answer = person.get("/webrtc/ice-servers").await.expect(StatusCode::OK);
    let text = |value: &serde_json::Value| value.as_str().unwrap_or_default().to_owned();
    let server = |entry: &serde_json::Value| RTCIceServer {
        urls: entry["urls"].as_array().into_iter().flatten().map(text).collect(),
        username: text(&entry["username"]),
        credential: text(&entry["credential"]),
    };
    answer["iceServers"].as_array().expect("a list").iter().map(server).collect()
}

/// A server with a relay of its own on loopback.
async fn relaying(change: impl FnOnce(&mut parlor::config::Config)) -> Server {
    Server::start_with(|config| {
        config.turn.stun_listen = Some(SocketAddr::from(([127, 0, 0, 1], 0)));
        change(config);
    })
    .await
}

/// A call whose participants have these servers.
async fn call_by(server: &Server, way: impl AsyncFn(&Person) -> Way) -> [Caller; 2] {
    let (olga, ada) = (server.enter("olga").await, server.enter("ada").await);
    let room = olga.create_room("call", "public").await;
    let olga = Caller::join_by(way(&olga).await, &olga, &room, 1, 2).await;
    let ada = Caller::join_by(way(&ada).await, &ada, &room, 2, 2).await;
    meet(&olga, &ada).await;
    [olga, ada]
}

/// Waits for a figure of at least that.
async fn counted(server: &Server, name: &str, least: f64) {
    let read = async || {
        let text = server.anonymous().get("/metrics").await.text;
        let value = text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' ')?.parse::<f64>().ok());
        value.filter(|value| *value >= least)
    };
    until(name, read).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_call_goes_through_the_servers_own_relay() {
    let server = relaying(|_| {}).await;
    let callers = call_by(&server, async |person| {
        let mut servers = ice_servers(person).await;
        servers.retain_mut(|server| {
            // `webrtc` has no TURN over TCP.
            server.urls.retain(|url| url.starts_with("turn:") && url.ends_with("udp"));
            !server.urls.is_empty()
        });
        assert_eq!(servers.len(), 1, "the own relay is told");
        Way { servers, relay_only: true, ..Way::direct() }
    })
    .await;
    for caller in &callers {
        let all = caller.peer.candidates().await;
        assert!(all.iter().all(|candidate| candidate.kind == "relay"), "nothing but the relay was tried: {all:?}");
        assert!(all.iter().any(|candidate| candidate.selected), "and it carries the media: {all:?}");
        let heard = caller.peer.arrivals(Kind::Audio, 3 - caller.peer.tag);
        let gaps = heard.windows(2).filter(|pair| pair[1].counter != pair[0].counter + 1).count();
        assert_eq!(gaps, 0, "nothing is lost on the way");
    }
    counted(&server, "parlor_turn_allocations", 2.0).await;
    for direction in ["to_peers", "to_clients"] {
        counted(&server, &format!("parlor_turn_packets_total{{direction=\"{direction}\"}}"), 50.0).await;
    }
    // Each began with a challenge.
    counted(&server, "parlor_turn_refusals_total{code=\"401\"}", 2.0).await;
}

/// The server's own certificate.
fn own_certificate(server: &Server) -> CertificateDer<'static> {
    let pem = fs::read(server.folder().join("data/self-signed.crt")).expect("it was made at the start");
    CertificateDer::from_pem_slice(&pem).expect("it is PEM")
}

/// Takes TLS off the page's port, which the sockets of these tests do not speak; the address without it.
pub(crate) fn plain(address: SocketAddr, certificate: CertificateDer<'static>) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let base = format!("http://{}", listener.local_addr().expect("it is bound"));
    listener.set_nonblocking(true).expect("it can be");
    let listener = tokio::net::TcpListener::from_std(listener).expect("there is a runtime");
    tokio::spawn(async move {
        while let Ok((mut near, _)) = listener.accept().await {
            let certificate = certificate.clone();
            tokio::spawn(async move {
                let mut far = secured(address, &certificate).await.expect("the server shows its certificate");
                // Either side may hang up as it likes.
                let _ = tokio::io::copy_bidirectional(&mut near, &mut far).await;
            });
        }
    });
    base
}

#[tokio::test(flavor = "multi_thread")]
async fn a_native_client_comes_by_tls() {
    let mut server = relaying(|config| config.tls = Tls::SelfSigned).await;
    let certificate = own_certificate(&server);
    server.base = plain(server.running().address, certificate.clone());
    let callers = call_by(&server, async |person| {
        let ticket = Ticket { servers: ice_servers(person).await, certificate: certificate.clone() };
        Way { tls: Some(ticket), ..Way::direct() }
    })
    .await;
    for caller in &callers {
        let heard = caller.peer.arrivals(Kind::Audio, 3 - caller.peer.tag);
        assert!(heard.windows(2).all(|pair| pair[1].counter == pair[0].counter + 1), "nothing is lost on the way");
    }
    counted(&server, "parlor_turn_connections{line=\"tls\"}", 2.0).await;
    counted(&server, "parlor_turn_packets_total{direction=\"to_clients\"}", 50.0).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_relays_certificate_is_replaced_when_its_file_is() {
    let folder = tempfile::tempdir().expect("a folder for the certificate");
    let (cert, key) = (folder.path().join("cert.pem"), folder.path().join("key.pem"));
    let renew = || {
        let pair = rcgen::generate_simple_self_signed(["127.0.0.1".to_owned()]).expect("a pair");
        fs::write(&key, pair.signing_key.serialize_pem()).expect("the folder is ours");
        fs::write(&cert, pair.cert.pem()).expect("the folder is ours");
        pair.cert.der().clone()
    };
    let first = renew();
    let server = relaying(|config| (config.tls_cert, config.tls_key) = (Some(cert.clone()), Some(key.clone()))).await;
    let servers = ice_servers(&server.enter("ada").await).await;
    let (_, address) = tls_server(&servers);
    secured(address, &first).await.expect("the first one is shown");
    let second = renew();
    until("the second one is shown", async || secured(address, &second).await.ok()).await;
    assert!(secured(address, &first).await.is_err());
}

#[tokio::test]
async fn the_servers_own_relay_is_told_with_credentials_and_steps_back_for_others() {
    let server = relaying(|config| config.tls = Tls::SelfSigned).await;
    let ada = server.enter("ada").await;
    let list = ice_servers(&ada).await;
    let urls: Vec<&str> = list[1].urls.iter().map(|url| url.split(':').next().expect("a scheme")).collect();
    assert_eq!(urls, ["turn", "turn", "turns"]);
    assert!(list[1].urls[0].ends_with("?transport=udp") && list[1].urls[1].ends_with("?transport=tcp"));
    assert!(list[1].username.ends_with(&format!(":{}", ada.id)) && !list[1].credential.is_empty());
    let again = Server::start_in(server.stop().await, |config| {
        config.turn.stun_listen = Some(SocketAddr::from(([127, 0, 0, 1], 0)));
        config.turn.turn_urls = vec!["turn:turn.example:3478".to_owned()];
        config.turn.turn_secret = Some(SECRET.to_owned().into());
    })
    .await;
    let list = ice_servers(&again.enter("bob").await).await;
    assert_eq!(list[1].urls, ["turn:turn.example:3478"]);
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
