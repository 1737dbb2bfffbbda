//! Networks that are in the way, each made by its test of network namespaces: a client whose UDP is blocked, one that gets out by a
//! single TLS port, one whose address changes in the middle of a call.
//!
//! Each test runs once more in a process of its own, whose namespaces end with it, however it ends. They need `unshare`, iproute2
//! and nftables; root, or a system that lets users have namespaces.

use std::fs::File;
use std::net::{IpAddr, SocketAddr, TcpStream, UdpSocket};
use std::os::fd::AsFd as _;
use std::process::Command;
use std::sync::{Arc, mpsc};
use std::thread::JoinHandle;

use parlor::config::Config;
use rustix::thread::{LinkNameSpaceType, move_into_link_name_space};
use tokio_rustls::rustls::pki_types::CertificateDer;

use crate::harness::{PATIENCE, Person, Server, until};
use crate::peer::{Caller, Kind, Peer, Way};
use crate::relay::{ice_servers, plain};
use crate::tunnel::Ticket;

/// The server's addresses: the page's and that of media, and the relay's.
const SERVER: &str = "10.77.0.1";
const RELAY: &str = "10.77.0.4";
/// Those that the client has one after the other.
const CLIENT: &str = "10.77.0.2";
const MOVED: &str = "10.77.0.3";
/// Both ends of the wire.
const WIRE: &str = "wire";
/// Says to a test that it is in its own process.
const ALONE: &str = "PARLOR_TEST_ALONE";

/// Runs a test in a process of its own, with a network, and names of networks, that nobody else sees.
fn alone(name: &str, test: impl FnOnce()) {
    if std::env::var_os(ALONE).is_some() {
        return test();
    }
    let mut process = Command::new("unshare");
    process.args(["--net", "--mount"]);
    if !rustix::process::geteuid().is_root() {
        process.arg("--map-root-user");
    }
    let this = std::env::current_exe().expect("a test is a program");
    process.args(["sh", "-c", "mount -t tmpfs tmpfs /run && exec \"$0\" \"$@\""]).arg(this);
    process.args(["--exact", &format!("namespaces::{name}"), "--nocapture"]).env(ALONE, "1");
    let output =
        process.output().unwrap_or_else(|error| panic!("this test needs the Debian package util-linux: {error}"));
    let (said, told) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success() && said.contains("1 passed"), "in its own network:\n{said}\n{told}");
}

/// Runs a program of the system, which must succeed.
fn run(line: &str) {
    let mut words = line.split(' ');
    let output = Command::new(words.next().expect("a line has a word")).args(words).output();
    let output =
        output.unwrap_or_else(|error| panic!("`{line}` needs the Debian packages iproute2 and nftables: {error}"));
    assert!(output.status.success(), "`{line}`: {}", String::from_utf8_lossy(&output.stderr));
}

/// Two namespaces, `server` and `client`, with a wire between them.
struct Land;

impl Land {
    fn new() -> Self {
        for space in ["server", "client"] {
            run(&format!("ip netns add {space}"));
            run(&format!("ip -n {space} link set lo up"));
        }
        run(&format!("ip -n server link add {WIRE} type veth peer name {WIRE} netns client"));
        for (space, address) in [("server", SERVER), ("server", RELAY), ("client", CLIENT)] {
            run(&format!("ip -n {space} address add {address}/24 dev {WIRE}"));
            run(&format!("ip -n {space} link set {WIRE} up"));
        }
        Self
    }

    /// Of what leaves the client by the wire, only this passes.
    fn allow_only(&self, what: &str) {
        let inside = "nsenter --net=/run/netns/client nft";
        run(&format!("{inside} add table inet wall"));
        run(&format!("{inside} add chain inet wall out {{ type filter hook output priority 0 ; }}"));
        run(&format!("{inside} add rule inet wall out oifname lo accept"));
        run(&format!("{inside} add rule inet wall out {what} accept"));
        run(&format!("{inside} add rule inet wall out meta l4proto tcp reject with tcp reset"));
        run(&format!("{inside} add rule inet wall out drop"));
    }

    /// The client has another address from now on.
    fn move_client(&self) {
        run(&format!("ip -n client address del {CLIENT}/24 dev {WIRE}"));
        run(&format!("ip -n client address add {MOVED}/24 dev {WIRE}"));
    }
}

/// Runs a person's part on a thread of that namespace: all that it starts, threads included, is in there too.
fn within<T: Send + 'static>(space: &str, part: impl AsyncFnOnce() -> T + Send + 'static) -> JoinHandle<T> {
    let space = File::open(format!("/run/netns/{space}")).expect("the namespace is there");
    std::thread::spawn(move || {
        move_into_link_name_space(space.as_fd(), Some(LinkNameSpaceType::Network)).expect("it may be entered");
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build();
        runtime.expect("a runtime needs nothing").block_on(part())
    })
}

fn ip(text: &str) -> IpAddr {
    text.parse().expect("an address")
}

fn reachable_from_the_client(config: &mut Config) {
    config.listen = SocketAddr::new(ip(SERVER), 0);
    config.announced_address = vec![ip(SERVER)];
    config.limit_exempt.push("10.77.0.0/24".parse().expect("a network"));
    config.media_tcp_port = None;
}

/// Waits until sound and picture of a publisher arrive that came after this call.
async fn flows(peer: &Peer, publisher: u32) {
    for kind in [Kind::Audio, Kind::Video] {
        let before = peer.latest(kind, publisher).unwrap_or(0);
        let later = async || peer.latest(kind, publisher).filter(|latest| *latest > before + 30);
        until(&format!("{kind:?} of {publisher} goes on"), later).await;
    }
}

/// What the client's side is told of the other: the server's address, a room, and where media is taken.
struct Place {
    address: SocketAddr,
    room: String,
    media: SocketAddr,
}

/// How the client's side ends: it says that all is well, and stays until olga has heard and seen it once more.
struct Farewell {
    finish: mpsc::Sender<()>,
    seen: mpsc::Receiver<()>,
}

impl Farewell {
    async fn say(self) {
        self.finish.send(()).expect("the server's side waits for it");
        let seen = tokio::task::spawn_blocking(move || self.seen.recv_timeout(3 * PATIENCE)).await;
        seen.expect("no panic").expect("olga has seen it");
    }
}

/// What olga was told, and how many people she saw at the end.
struct Seen {
    told: Vec<serde_json::Value>,
    people: usize,
}

/// A server, and olga beside it, who hears and sees the client's side until it is done.
async fn host(
    change: impl FnOnce(&mut Config),
    certificate: Option<CertificateDer<'static>>,
    (tell, done, seen): (mpsc::Sender<Place>, mpsc::Receiver<()>, mpsc::Sender<()>),
) -> Seen {
    let mut server = Server::start_with(|config| {
        reachable_from_the_client(config);
        change(config);
    })
    .await;
    let address = server.running().address;
    if let Some(certificate) = certificate {
        server.base = plain(address, certificate);
    }
    let olga = server.enter("olga").await;
    let room = olga.create_room("call", "public").await;
    let way = Way { from: "10.77.0.1:0", ..Way::direct() };
    let mut olga = Caller::join_by(way, &olga, &room, 1, 2).await;
    let sdp = olga.answer["sdp"].as_str().expect("an answer has SDP");
    let candidate: Vec<&str> = sdp.lines().find(|line| line.contains(" udp ")).expect("one").split(' ').collect();
    let media = SocketAddr::new(ip(candidate[4]), candidate[5].parse().expect("a port"));
    tell.send(Place { address, room: room.clone(), media }).expect("the client waits for it");
    flows(&olga.peer, 2).await;
    tokio::task::spawn_blocking(move || done.recv_timeout(3 * PATIENCE)).await.expect("no panic").expect("all is well");
    flows(&olga.peer, 2).await;
    let state = olga.socket.join(&room).await;
    let people = state["data"]["call"]["participants"].as_array().map_or(0, Vec::len);
    // All that was told before the answer to a request has been read by then.
    olga.done("call.ready", serde_json::json!({})).await;
    while let Some(frame) = olga.socket.early() {
        olga.told.push(frame);
    }
    seen.send(()).expect("the client waits for it");
    Seen { told: olga.told, people }
}

/// The server's side and the client's, each in its namespace; what olga saw.
fn call(
    change: impl FnOnce(&mut Config) + Send + 'static,
    certificate: Option<CertificateDer<'static>>,
    client: impl AsyncFnOnce(Place, Farewell) + Send + 'static,
) -> Seen {
    let ((tell, told), (finish, finished), (saw, seen)) = (mpsc::channel(), mpsc::channel(), mpsc::channel());
    let host = within("server", async move || host(change, certificate, (tell, finished, saw)).await);
    let place = told.recv_timeout(PATIENCE).expect("the server starts");
    let client = within("client", async move || client(place, Farewell { finish, seen }).await);
    client.join().expect("the client's side is well");
    host.join().expect("the server's side is well")
}

/// No UDP leaves, not even for the port of media.
fn no_udp_leaves(media: SocketAddr) {
    let socket = UdpSocket::bind("0.0.0.0:0").expect("a free port");
    assert!(socket.send_to(b"out", media).is_err(), "no UDP leaves");
}

#[test]
fn a_call_goes_over_tcp_where_udp_is_blocked() {
    alone("a_call_goes_over_tcp_where_udp_is_blocked", || {
        let land = Land::new();
        land.allow_only("meta l4proto tcp");
        let seen = call(
            |_| {},
            None,
            async |place, farewell| {
                no_udp_leaves(place.media);
                let ada = Person::enter(&format!("http://{}", place.address), "ada").await;
                let way = Way { from: "10.77.0.2:0", ..Way::tcp() };
                let ada = Caller::join_by(way, &ada, &place.room, 2, 2).await;
                flows(&ada.peer, 1).await;
                farewell.say().await;
            },
        );
        assert_eq!(seen.people, 2);
    });
}

#[test]
fn a_call_goes_by_tls_where_nothing_but_one_port_is_open() {
    alone("a_call_goes_by_tls_where_nothing_but_one_port_is_open", || {
        let land = Land::new();
        land.allow_only("tcp dport 443");
        let folder = tempfile::tempdir().expect("a folder for the certificate");
        let (cert, key) = (folder.path().join("cert.pem"), folder.path().join("key.pem"));
        let pair = rcgen::generate_simple_self_signed([SERVER.to_owned(), RELAY.to_owned()]).expect("a pair");
        std::fs::write(&key, pair.signing_key.serialize_pem()).expect("the folder is ours");
        std::fs::write(&cert, pair.cert.pem()).expect("the folder is ours");
        let certificate = pair.cert.der().clone();
        // As the documentation says it: the page on port 443, the relay on the same port of another address.
        let settings = |config: &mut Config| {
            (config.tls_cert, config.tls_key) = (Some(cert), Some(key));
            config.listen = SocketAddr::new(ip(SERVER), 443);
            config.turn.tls_listen = parlor_turn::Listen::At(SocketAddr::new(ip(RELAY), 443));
            config.turn.host = Some(RELAY.to_owned());
        };
        let shown = certificate.clone();
        let seen = call(settings, Some(certificate), async move |place, farewell| {
            no_udp_leaves(place.media);
            assert!(TcpStream::connect(place.media).is_err(), "media's own TCP port is closed as well");
            let ada = Person::enter(&plain(place.address, shown.clone()), "ada").await;
            let ticket = Ticket { servers: ice_servers(&ada).await, certificate: shown };
            let way = Way { tls: Some(ticket), ..Way::direct() };
            let ada = Caller::join_by(way, &ada, &place.room, 2, 2).await;
            flows(&ada.peer, 1).await;
            farewell.say().await;
        });
        assert_eq!(seen.people, 2);
    });
}

#[test]
fn a_call_goes_on_from_another_address() {
    alone("a_call_goes_on_from_another_address", || {
        let land = Arc::new(Land::new());
        let seen = call(
            |_| {},
            None,
            async move |place, farewell| {
                let ada = Person::enter(&format!("http://{}", place.address), "ada").await;
                let way = Way { from: "0.0.0.0:0", ..Way::direct() };
                let mut ada = Caller::join_by(way, &ada, &place.room, 2, 2).await;
                flows(&ada.peer, 1).await;
                assert_eq!(ada.peer.selected().await.address, CLIENT);
                let (participant, token) = (ada.participant().to_owned(), ada.socket.resume_token().to_owned());
                land.move_client();
                // The socket is dead with the address: the session is taken up on another one, as a browser's page does.
                ada.socket = ada.person.resume(&token).await;
                assert_eq!(ada.socket.login["resumed"], true);
                ada.socket.join(&place.room).await;
                ada.peer.restart_ice().await;
                ada.offer().await;
                assert_eq!(ada.participant(), participant, "nobody new");
                flows(&ada.peer, 1).await;
                assert_eq!(ada.peer.selected().await.address, MOVED);
                farewell.say().await;
            },
        );
        assert_eq!(seen.people, 2, "nobody twice");
        let left = seen.told.iter().filter(|frame| frame["type"] == "call.participant_left");
        assert_eq!(left.count(), 0, "nobody left: {:?}", seen.told);
    });
}
