//! https and wss on the one port.

use std::fs;
use std::path::Path;
use std::sync::Arc;

use parlor::config::Tls;
use reqwest::StatusCode;
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::rustls::pki_types::{CertificateDer, ServerName};
use tokio_rustls::rustls::{ClientConfig, RootCertStore};

use crate::harness::{Server, until};

/// Writes a certificate for localhost and its key; the certificate.
fn make_pair(cert: &Path, key: &Path) -> CertificateDer<'static> {
    let pair = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
    fs::write(key, pair.signing_key.serialize_pem()).unwrap();
    fs::write(cert, pair.cert.pem()).unwrap();
    pair.cert.der().clone()
}

/// Does the server show this certificate?
async fn shows(server: &Server, certificate: &CertificateDer<'static>) -> bool {
    let mut roots = RootCertStore::empty();
    roots.add(certificate.clone()).unwrap();
    let provider = Arc::new(tokio_rustls::rustls::crypto::ring::default_provider());
    let config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(roots)
        .with_no_client_auth();
    let socket = TcpStream::connect(server.running().address).await.unwrap();
    let name = ServerName::try_from("localhost").unwrap();
    TlsConnector::from(Arc::new(config)).connect(name, socket).await.is_ok()
}

#[tokio::test]
async fn a_certificate_of_its_own_is_kept() {
    let server = Server::start_with(|config| config.tls = Tls::SelfSigned).await;
    assert!(server.base.starts_with("https://"));
    let health = server.anonymous().get("/health").await;
    assert_eq!(health.status, StatusCode::OK);
    assert_eq!(health.header("strict-transport-security"), "max-age=31536000");
    let entrance = serde_json::json!({"nickname": "ada", "birthYear": 1990, "adult": true, "cookie": true});
    let entered = server.anonymous().post("/auth/anonymous", entrance).await;
    assert!(entered.header("set-cookie").contains("Secure"));
    let file = server.folder().join("data/self-signed.crt");
    let first = fs::read(&file).unwrap();
    let server = Server::start_in(server.stop().await, |config| config.tls = Tls::SelfSigned).await;
    assert_eq!(
        fs::read(server.folder().join("data/self-signed.crt")).unwrap(),
        first,
        "browsers were told to trust this one"
    );
}

#[tokio::test]
async fn wss_is_on_the_same_port() {
    let folder = tempfile::tempdir().unwrap();
    let (cert, key) = (folder.path().join("cert.pem"), folder.path().join("key.pem"));
    let certificate = make_pair(&cert, &key);
    let server = Server::start_in(folder, |config| (config.tls_cert, config.tls_key) = (Some(cert), Some(key))).await;
    let mut roots = RootCertStore::empty();
    roots.add(certificate).unwrap();
    let provider = Arc::new(tokio_rustls::rustls::crypto::ring::default_provider());
    let config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(roots)
        .with_no_client_auth();
    let socket = TcpStream::connect(server.running().address).await.unwrap();
    let name = ServerName::try_from("localhost").unwrap();
    let tls = TlsConnector::from(Arc::new(config)).connect(name, socket).await.unwrap();
    let (_, response) = tokio_tungstenite::client_async("wss://localhost/ws", tls).await.unwrap();
    assert_eq!(response.status(), 101);
}

#[tokio::test]
async fn plain_http_is_shown_the_way() {
    let server = Server::start_with(|config| config.tls = Tls::SelfSigned).await;
    let host = server.base.trim_start_matches("https://").to_owned();
    let plain = reqwest::Client::builder().redirect(reqwest::redirect::Policy::none()).build().unwrap();
    let answer = plain.get(format!("http://{host}/rooms/1?x=2")).send().await.unwrap();
    assert_eq!(answer.status(), StatusCode::PERMANENT_REDIRECT);
    assert_eq!(answer.headers()["location"], format!("https://{host}/rooms/1?x=2").as_str());
}

#[tokio::test]
async fn a_changed_certificate_is_taken_over_and_a_broken_one_is_not() {
    let folder = tempfile::tempdir().unwrap();
    let (cert, key) = (folder.path().join("cert.pem"), folder.path().join("key.pem"));
    let first = make_pair(&cert, &key);
    let server = Server::start_in(folder, |config| {
        (config.tls_cert, config.tls_key) = (Some(cert.clone()), Some(key.clone()));
    })
    .await;
    assert!(shows(&server, &first).await);
    fs::write(&cert, "half written").unwrap();
    assert!(shows(&server, &first).await);
    let second = make_pair(&cert, &key);
    until("the new certificate is shown", async || shows(&server, &second).await.then_some(())).await;
    assert!(!shows(&server, &first).await);
}
