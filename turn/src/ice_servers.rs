//! The list of ICE servers that a client puts into its `RTCPeerConnection`.

use std::net::{IpAddr, SocketAddr};

use serde::Serialize;

use crate::config::{Config, Secret};
use crate::credentials::Credentials;

/// Everything a client needs to know of STUN and TURN; serialises as the answer of `GET /api/v1/webrtc/ice-servers`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct IceServers {
    /// STUN first, then TURN; at most one of each.
    pub ice_servers: Vec<IceServer>,
    /// After so many seconds the credentials are no longer valid.
    pub ttl_s: u32,
}

/// One entry, in the form of `RTCIceServer`.
#[derive(Clone, PartialEq, Eq, Serialize)]
pub struct IceServer {
    /// Addresses of the same kind, `stun:…` or `turn:…`.
    pub urls: Vec<String>,
    /// For TURN only.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub username: Option<String>,
    /// For TURN only.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub credential: Option<String>,
}

impl std::fmt::Debug for IceServer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("IceServer").field("urls", &self.urls).finish_non_exhaustive()
    }
}

/// Where our own server listens, with the real ports where the configuration said 0. [`SocketAddr::ip`] `::` is both families
/// where the machine has both.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Listening {
    /// STUN and TURN over UDP.
    pub udp: Option<SocketAddr>,
    /// TURN over TCP.
    pub tcp: Option<SocketAddr>,
    /// TURN over TLS.
    pub tls: Option<SocketAddr>,
    /// It relays, and does not answer STUN alone.
    pub relays: bool,
}

/// What clients are told: made once, when it is known what listens where.
#[derive(Clone, Debug)]
pub struct Directory {
    stun: Vec<String>,
    turn: Vec<String>,
    secret: Secret,
    ttl_s: u32,
}

impl Directory {
    /// The directory of a configuration. `announced` are the addresses at which clients reach this server, `tls_host` is the name
    /// in its certificate, if that is known. `secret` is what our own relay knows, and any other that `turn_urls` names.
    #[must_use]
    pub fn new(
        config: &Config,
        listening: &Listening,
        announced: &[IpAddr],
        tls_host: Option<&str>,
        secret: Secret,
    ) -> Self {
        let stun = match (listening.udp, config.stun_urls.is_empty()) {
            (Some(udp), true) => {
                reached(udp, announced).map(|ip| format!("stun:{}", SocketAddr::new(ip, udp.port()))).collect()
            }
            _ => config.stun_urls.clone(),
        };
        let mut turn = Vec::new();
        if listening.relays {
            let lines = [
                (listening.udp, "turn", "udp", None),
                (listening.tcp, "turn", "tcp", None),
                // A browser compares the name with the certificate's.
                (listening.tls, "turns", "tcp", tls_host),
            ];
            for (at, scheme, transport, name) in lines {
                let Some(at) = at else { continue };
                let hosts = match config.host.as_deref().or(name) {
                    Some(host) => vec![host.to_owned()],
                    None => first_of_each(reached(at, announced)).map(bracketed).collect(),
                };
                let port = at.port();
                turn.extend(hosts.iter().map(|host| format!("{scheme}:{host}:{port}?transport={transport}")));
            }
        }
        turn.extend(config.turn_urls.iter().cloned());
        Self { stun, turn, secret, ttl_s: config.ttl_s }
    }
}

impl IceServers {
    /// The list for one user.
    #[must_use]
    pub fn make(directory: &Directory, user: &str, now_unix_s: u64) -> Self {
        let Directory { stun, turn, secret, ttl_s } = directory;
        let mut ice_servers = Vec::with_capacity(2);
        if !stun.is_empty() {
            ice_servers.push(IceServer { urls: stun.clone(), username: None, credential: None });
        }
        if !turn.is_empty() {
            let Credentials { username, credential } = Credentials::make(secret, user, now_unix_s, *ttl_s);
            ice_servers.push(IceServer { urls: turn.clone(), username: Some(username), credential: Some(credential) });
        }
        Self { ice_servers, ttl_s: *ttl_s }
    }
}

/// The announced addresses of the families that are listened on.
fn reached(listen: SocketAddr, announced: &[IpAddr]) -> impl Iterator<Item = IpAddr> {
    let reaches = move |ip: &IpAddr| match listen.ip() {
        IpAddr::V4(own) if own.is_unspecified() => ip.is_ipv4(),
        IpAddr::V6(own) if own.is_unspecified() => true,
        // Behind a 1:1 NAT the announced address is not the one listened on; the family is all there is to compare.
        own => own.is_ipv4() == ip.is_ipv4(),
    };
    announced.iter().copied().filter(reaches)
}

/// One of each family is enough: a browser allocates at every address that it is told, from each of its networks.
fn first_of_each(ips: impl Iterator<Item = IpAddr>) -> impl Iterator<Item = IpAddr> {
    let mut found = [false; 2];
    ips.filter(move |ip| !std::mem::replace(&mut found[usize::from(ip.is_ipv6())], true))
}

fn bracketed(ip: IpAddr) -> String {
    match ip {
        IpAddr::V4(ip) => ip.to_string(),
        IpAddr::V6(ip) => format!("[{ip}]"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(text: &str) -> Option<SocketAddr> {
        Some(text.parse().unwrap())
    }

    fn make(config: &Config, listening: &Listening, tls_host: Option<&str>) -> IceServers {
        let announced = ["192.0.2.7", "192.0.2.8", "2001:db8::7"].map(|ip| ip.parse().unwrap());
        let secret = config.turn_secret.clone().unwrap_or_else(|| String::from("north").into());
        IceServers::make(&Directory::new(config, listening, &announced, tls_host, secret), "ada", 1000)
    }

    #[test]
    fn our_own_responder_is_announced_where_it_listens() {
        let json = |listening: &Listening| serde_json::to_string(&make(&Config::default(), listening, None)).unwrap();
        let v4 = Listening { udp: at("0.0.0.0:3478"), ..Listening::default() };
        let expected = r#"{"iceServers":[{"urls":["stun:192.0.2.7:3478","stun:192.0.2.8:3478"]}],"ttlS":3600}"#;
        assert_eq!(json(&v4), expected);
        let both = make(&Config::default(), &Listening { udp: at("[::]:5000"), ..Listening::default() }, None);
        assert_eq!(both.ice_servers[0].urls[2], "stun:[2001:db8::7]:5000");
        assert_eq!(json(&Listening::default()), r#"{"iceServers":[],"ttlS":3600}"#);
    }

    #[test]
    fn our_own_relay_is_announced_on_every_line() {
        let listening = Listening { udp: at("[::]:3478"), tcp: at("[::]:3478"), tls: at("0.0.0.0:5349"), relays: true };
        let list = make(&Config::default(), &listening, Some("call.example"));
        assert_eq!(
            list.ice_servers[1].urls,
            [
                "turn:192.0.2.7:3478?transport=udp",
                "turn:[2001:db8::7]:3478?transport=udp",
                "turn:192.0.2.7:3478?transport=tcp",
                "turn:[2001:db8::7]:3478?transport=tcp",
                "turns:call.example:5349?transport=tcp",
            ]
        );
        assert_eq!(list.ice_servers[1].username.as_deref(), Some("4600:ada"));
        let named = Config { host: Some("turn.example".into()), ..Config::default() };
        let list = make(&named, &Listening { tcp: None, ..listening }, Some("call.example"));
        assert_eq!(
            list.ice_servers[1].urls,
            ["turn:turn.example:3478?transport=udp", "turns:turn.example:5349?transport=tcp"]
        );
    }

    #[test]
    fn others_are_announced_with_credentials() {
        let config = Config {
            stun_urls: vec!["stun:stun.example.org".into()],
            turn_urls: vec!["turn:turn.example.org:3478?transport=udp".into()],
            turn_secret: Some(String::from("south").into()),
            ..Config::default()
        };
        let announced = make(&config, &Listening { udp: at("0.0.0.0:3478"), ..Listening::default() }, None);
        assert_eq!(announced.ice_servers[0].urls, ["stun:stun.example.org"]);
        assert_eq!(announced.ice_servers[1].urls, config.turn_urls);
        assert_eq!(announced.ice_servers[1].username.as_deref(), Some("4600:ada"));
        let pair = Credentials::make(config.turn_secret.as_ref().unwrap(), "ada", 1000, 3600);
        assert_eq!(announced.ice_servers[1].credential, Some(pair.credential));
        assert!(!format!("{announced:?}").contains("4600"), "logs carry no credentials");
    }
}
