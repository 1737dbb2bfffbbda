//! coturn's own client, which is not ours, against our server: UDP, TCP and TLS, with data to a peer and back.

#![expect(clippy::unwrap_used, reason = "a test stops where it goes wrong")]

#[expect(dead_code, reason = "the other test file needs the rest")]
mod ours;

use std::net::UdpSocket;
use std::process::{Child, Command, Stdio};

use ours::Ours;

/// coturn's echo server.
struct Peer {
    child: Child,
    port: u16,
}

impl Peer {
    fn start() -> Self {
        let port = UdpSocket::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let child = Command::new("turnutils_peer")
            .args(["-L", "127.0.0.1", "-p", &port.to_string()])
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .expect("turnutils_peer cannot be started: install the Debian package coturn (apt install coturn)");
        let peer = Self { child, port };
        let probe = UdpSocket::bind("127.0.0.1:0").unwrap();
        probe.set_read_timeout(Some(std::time::Duration::from_millis(50))).unwrap();
        ours::until("the peer echoes", || {
            let _ = probe.send_to(b"hello", ("127.0.0.1", port));
            probe.recv(&mut [0; 16]).ok()
        });
        peer
    }
}

impl Drop for Peer {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Sends 20 messages for each of 4 sessions and wants all of them back.
fn converse(server: &Ours, port: u16, how: &[&str]) {
    let peer = Peer::start();
    let output = Command::new("turnutils_uclient")
        .args(["-c", "-m", "4", "-n", "20", "-l", "171", "-z", "5", "-e", "127.0.0.1", "-r", &peer.port.to_string()])
        .args(["-u", "ada", "-W", ours::SECRET, "-p", &port.to_string()])
        .args(how)
        .arg("127.0.0.1")
        .output()
        .expect("turnutils_uclient cannot be started: install the Debian package coturn (apt install coturn)");
    let text = String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr);
    assert!(text.contains("tot_send_msgs=80, tot_recv_msgs=80"), "{how:?}\n{text}\n{:?}", server.counts());
    assert!(text.contains("Total lost packets 0"), "{how:?}\n{text}");
    let counts = server.counts();
    assert!(counts.to_peers.packets >= 80 && counts.to_clients.packets >= 80, "{counts:?}");
}

#[test]
fn over_udp() {
    let server = Ours::start();
    let port = server.udp().port();
    converse(&server, port, &[]);
    // Send indications instead of channels, and DONT-FRAGMENT.
    converse(&server, port, &["-s"]);
    converse(&server, port, &["-g"]);
    assert!(server.counts().allocated[0] >= 12);
}

#[test]
fn over_tcp() {
    let server = Ours::start();
    converse(&server, server.tcp().port(), &["-t"]);
    converse(&server, server.tcp().port(), &["-t", "-s"]);
    assert!(server.counts().allocated[1] >= 8);
}

#[test]
fn over_tls() {
    let server = Ours::start();
    converse(&server, server.tls().port(), &["-t", "-S"]);
    assert!(server.counts().allocated[1] >= 4);
}

#[test]
fn over_ipv6() {
    let server = Ours::start();
    let peer = UdpSocket::bind("[::1]:0").unwrap();
    let port = peer.local_addr().unwrap().port();
    let echo = std::thread::spawn(move || {
        let mut buffer = [0; 2048];
        peer.set_read_timeout(Some(ours::PATIENCE)).unwrap();
        for _ in 0..20 {
            let (n, from) = peer.recv_from(&mut buffer).unwrap();
            peer.send_to(&buffer[..n], from).unwrap();
        }
    });
    let output = Command::new("turnutils_uclient")
        .args(["-c", "-x", "-m", "1", "-n", "20", "-z", "5", "-e", "::1", "-r", &port.to_string()])
        .args(["-u", "ada", "-W", ours::SECRET, "-p", &server.udp().port().to_string(), "::1"])
        .output()
        .unwrap();
    let text = String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr);
    assert!(text.contains("tot_send_msgs=20, tot_recv_msgs=20"), "{text}\n{:?}", server.counts());
    echo.join().unwrap();
}

#[test]
fn a_wrong_secret_is_refused() {
    let server = Ours::start();
    let output = Command::new("turnutils_uclient")
        .args(["-c", "-m", "1", "-n", "1", "-e", "127.0.0.1", "-u", "ada", "-W", "another", "-p"])
        .args([&server.udp().port().to_string(), "127.0.0.1"])
        .output()
        .unwrap();
    assert!(!output.status.success());
    let counts = server.counts();
    assert!(counts.refused(parlor_turn::Refusal::Unauthenticated) >= 2 && counts.allocated == [0, 0], "{counts:?}");
}
