//! Our server on loopback, for tests.

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use parlor_turn::{Config, Counts, Credentials, Listen, PortRange, Secret, Surroundings, TurnServer, serve};
use rustls::ServerConfig;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};

pub const SECRET: &str = "a-secret-of-this-test";
/// What does not happen in this time fails the test; nothing here takes longer than a few milliseconds.
pub const PATIENCE: Duration = Duration::from_secs(10);

/// Waits until that gives something.
pub fn until<T>(what: &str, mut attempt: impl FnMut() -> Option<T>) -> T {
    let start = Instant::now();
    while start.elapsed() < PATIENCE {
        if let Some(found) = attempt() {
            return found;
        }
        std::thread::sleep(Duration::from_millis(5));
    }
    panic!("it does not come to this: {what}");
}

pub struct Ours {
    server: TurnServer,
    pub certificate: CertificateDer<'static>,
}

impl Ours {
    /// With loopback peers allowed.
    pub fn start() -> Self {
        Self::start_with(|config, _| {
            config.allow_peers = vec!["127.0.0.0/8".parse().unwrap(), "::1/128".parse().unwrap()];
        })
    }

    pub fn start_with(change: impl FnOnce(&mut Config, &mut Surroundings)) -> Self {
        let made = rcgen::generate_simple_self_signed(vec!["localhost".into(), "127.0.0.1".into()]).unwrap();
        let certificate = made.cert.der().clone();
        let key = PrivateKeyDer::try_from(made.signing_key.serialize_der()).unwrap();
        let tls = ServerConfig::builder_with_provider(Arc::new(rustls::crypto::ring::default_provider()))
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_no_client_auth()
            .with_single_cert(vec![certificate.clone()], key)
            .unwrap();
        let mut config = Config {
            stun_listen: Some("[::]:0".parse().unwrap()),
            tls_listen: Listen::At("127.0.0.1:0".parse().unwrap()),
            relay_ports: PortRange { first: 20_000, last: 29_999 },
            ..Config::default()
        };
        let mut surroundings = Surroundings {
            secret: Secret::from(String::from(SECRET)),
            tls: Some(Arc::new(tls)),
            announced: vec![IpAddr::from([127, 0, 0, 1]), "::1".parse().unwrap()],
            media_ports: Vec::new(),
            machine: Vec::new,
        };
        change(&mut config, &mut surroundings);
        config.check().unwrap();
        let server = serve(&config, &surroundings).unwrap().expect("it is switched on");
        assert!(server.unopened.is_empty(), "{:?}", server.unopened);
        Self { server, certificate }
    }

    pub fn udp(&self) -> SocketAddr {
        on_loopback(self.server.listening.udp)
    }

    pub fn tcp(&self) -> SocketAddr {
        on_loopback(self.server.listening.tcp)
    }

    pub fn tls(&self) -> SocketAddr {
        on_loopback(self.server.listening.tls)
    }

    /// What is counted from now on at the latest.
    pub fn counts(&self) -> Counts {
        let _ = self.server.counts();
        // Each reading asks for the next one; the second that differs in nothing is of now.
        let mut last = self.server.counts();
        until("the counts stand still", || {
            std::thread::sleep(Duration::from_millis(20));
            let now = self.server.counts();
            (std::mem::replace(&mut last, now) == now).then_some(now)
        })
    }
}

fn on_loopback(at: Option<SocketAddr>) -> SocketAddr {
    SocketAddr::from(([127, 0, 0, 1], at.expect("it listens").port()))
}

pub fn now_unix_s() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs()
}

pub fn credentials(user: &str) -> Credentials {
    Credentials::make(&Secret::from(String::from(SECRET)), user, now_unix_s(), 600)
}
