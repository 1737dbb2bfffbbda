//! `parlor doctor`: from outside, which ways to media are open.

use std::fs;
use std::net::{SocketAddr, TcpListener};
use std::path::PathBuf;
use std::process::Command;
use std::time::{Duration, SystemTime};

use parlor::config::{Config, Tls};
use parlor::doctor::{Tried, Trust, examine};
use tokio_rustls::rustls::pki_types::CertificateDer;

use crate::harness::Server;

const DAY: Duration = Duration::from_secs(24 * 3600);

async fn said(server: &Server, trust: &Trust) -> Vec<String> {
    let tried = examine(&server.base, trust).await.expect("the server answers");
    tried.iter().map(Tried::to_string).collect()
}

/// A server with a relay on loopback.
async fn relaying(change: impl FnOnce(&mut Config)) -> Server {
    Server::start_with(|config| {
        config.media_tcp_port = None;
        config.turn.stun_listen = Some(SocketAddr::from(([127, 0, 0, 1], 0)));
        change(config);
    })
    .await
}

/// A certificate that is not the page's: both files' paths in a folder, and itself.
struct Pair {
    _folder: tempfile::TempDir,
    cert: PathBuf,
    key: PathBuf,
    certificate: CertificateDer<'static>,
}

impl Pair {
    fn make(names: &[&str], left: Duration) -> Self {
        let folder = tempfile::tempdir().expect("a folder for the certificate");
        let (cert, key) = (folder.path().join("cert.pem"), folder.path().join("key.pem"));
        let names: Vec<String> = names.iter().map(|name| (*name).to_owned()).collect();
        let mut params = rcgen::CertificateParams::new(names).expect("names");
        params.not_before = (SystemTime::now() - DAY).into();
        params.not_after = (SystemTime::now() + left).into();
        let pair = rcgen::KeyPair::generate().expect("a key");
        let made = params.self_signed(&pair).expect("a certificate");
        fs::write(&key, pair.serialize_pem()).expect("the folder is ours");
        fs::write(&cert, made.pem()).expect("the folder is ours");
        Self { _folder: folder, cert, key, certificate: made.der().clone() }
    }

    fn use_in(&self, config: &mut Config) {
        (config.tls_cert, config.tls_key) = (Some(self.cert.clone()), Some(self.key.clone()));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn all_ways_are_tried() {
    let server = relaying(|config| config.tls = Tls::SelfSigned).await;
    let said = said(&server, &Trust::Any).await;
    let begins = [
        "Media over UDP reaches 127.0.0.1:",
        "Media over TCP reaches 127.0.0.1:",
        "The relay (TURN) over UDP reaches 127.0.0.1:",
        "The relay (TURN) over TCP reaches 127.0.0.1:",
        "The relay (TURN) over TLS reaches 127.0.0.1:",
    ];
    assert_eq!(said.len(), begins.len(), "{said:?}");
    assert!(said.iter().zip(begins).all(|(said, begin)| said.starts_with(begin)), "{said:?}");
    // For whoever trusts it, until when.
    assert!(said[4].contains("; its certificate is good until 20") && said[4].ends_with(" 823 more days."), "{said:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn who_is_not_reached_is_told_what_to_open() {
    // Nobody is at an address for documentation (RFC 5737), whatever this machine's network makes of it.
    let nowhere = Server::start_with(|config| config.announced_address = vec!["192.0.2.1".parse().unwrap()]).await;
    let tried = examine(&nowhere.base, &Trust::System).await.expect("the server answers");
    let [udp] = &tried[..] else { panic!("{tried:?}") };
    assert!(!udp.is_open() && udp.to_string().contains("open UDP port"), "{udp}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_relays_certificate_is_looked_at_as_browsers_do() {
    let pair = Pair::make(&["127.0.0.1"], 90 * DAY);
    let server = relaying(|config| pair.use_in(config)).await;
    let trusted = Trust::Also(vec![pair.certificate.clone()]);
    let tls = said(&server, &trusted).await.pop().expect("TLS is tried last");
    assert!(tls.contains("over TLS reaches") && tls.contains("for 89 more days"), "{tls}");
    // Whom this system does not believe, it does not let in.
    let error = examine(&server.base, &Trust::System).await.expect_err("nobody signed it");
    assert!(format!("{error:#}").contains("lets nobody in"), "{error:#}");

    let server = relaying(|config| {
        pair.use_in(config);
        config.turn.host = Some("localhost".to_owned());
    })
    .await;
    let tls = said(&server, &trusted).await.pop().expect("TLS is tried last");
    let expected = "(its certificate is for 127.0.0.1, and clients are told localhost): set PARLOR_TURN__HOST";
    assert!(tls.contains("does not reach localhost:") && tls.contains(expected), "{tls}");

    let soon = Pair::make(&["127.0.0.1"], 5 * DAY);
    let server = relaying(|config| soon.use_in(config)).await;
    let tls = said(&server, &Trust::Also(vec![soon.certificate.clone()])).await.pop().expect("TLS is tried last");
    assert!(tls.contains("for 4 more days: renew it now"), "{tls}");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_exit_code_says_whether_calls_work() {
    let program = |arguments: Vec<String>| async move {
        let run = move || Command::new(env!("CARGO_BIN_EXE_parlor")).arg("doctor").args(arguments).output();
        let output = tokio::task::spawn_blocking(run).await.expect("no panic").expect("the program is built");
        (output.status.code(), String::from_utf8_lossy(&output.stdout).into_owned())
    };
    let pair = Pair::make(&["127.0.0.1"], 90 * DAY);
    let good = relaying(|config| pair.use_in(config)).await;
    let (code, told) =
        program(vec!["--ca".to_owned(), pair.cert.to_string_lossy().into_owned(), good.base.clone()]).await;
    assert_eq!(code, Some(0), "{told}");
    let some = relaying(|config| config.turn.host = Some("name.invalid".to_owned())).await;
    let (code, told) = program(vec![some.base.clone()]).await;
    assert_eq!(code, Some(3), "{told}");
    assert!(told.contains("see to the name's entry in the DNS"), "{told}");
    let none = Server::start_with(|config| config.announced_address = vec!["192.0.2.1".parse().unwrap()]).await;
    let (code, told) = program(vec![none.base.clone()]).await;
    assert_eq!(code, Some(1), "{told}");
    assert!(told.ends_with("calls do not work from here.\n"), "{told}");
    let free = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let (code, _) = program(vec![format!("http://{free}")]).await;
    assert_eq!(code, Some(1), "nobody is there at all");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_system_without_authorities_is_a_matter_of_tls_alone() {
    let folder = tempfile::tempdir().expect("a folder without certificates");
    let pair = Pair::make(&["127.0.0.1"], 90 * DAY);
    let relay = relaying(|config| pair.use_in(config)).await;
    let tried = examine(&relay.base, &Trust::Any).await.expect("the server answers").pop().expect("TLS is tried last");
    // The page has no TLS, and the relay that it tells of has.
    let server = Server::start_with(|config| {
        config.turn.turn_urls = vec![format!("turns:{}", tried.address)];
        config.turn.turn_secret = Some("a secret of both".to_owned().into());
    })
    .await;
    let (base, empty) = (server.base.clone(), folder.path().to_owned());
    let run = move || {
        let mut program = Command::new(env!("CARGO_BIN_EXE_parlor"));
        program
            .env("SSL_CERT_FILE", empty.join("none.pem"))
            .env("SSL_CERT_DIR", &empty)
            .args(["doctor", &base])
            .output()
    };
    let output = tokio::task::spawn_blocking(run).await.expect("no panic").expect("the program is built");
    let told = String::from_utf8_lossy(&output.stdout);
    assert!(told.contains("Media over UDP reaches"), "{told} {}", String::from_utf8_lossy(&output.stderr));
    let tls = told.lines().find(|line| line.contains("over TLS")).expect("TLS is tried");
    assert!(tls.contains("does not reach") && tls.contains("ca-certificates"), "{tls}");
    assert_eq!(output.status.code(), Some(3), "{told}");
}
