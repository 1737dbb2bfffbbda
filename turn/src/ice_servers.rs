//! The list of ICE servers that a client puts into its `RTCPeerConnection`.

use std::net::{IpAddr, SocketAddr};

use serde::Serialize;

use crate::config::Config;
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

impl IceServers {
    /// The list for one user. `announced` are the addresses at which clients reach this server; they carry our own STUN
    /// responder when the operator names no other.
    #[must_use]
    pub fn make(config: &Config, announced: &[IpAddr], user: &str, now_unix_s: u64) -> Self {
        let mut ice_servers = Vec::with_capacity(2);
        let stun = if config.stun_urls.is_empty() { own_stun(config, announced) } else { config.stun_urls.clone() };
        if !stun.is_empty() {
            ice_servers.push(IceServer { urls: stun, username: None, credential: None });
        }
        if let (false, Some(secret)) = (config.turn_urls.is_empty(), &config.turn_secret) {
            let Credentials { username, credential } = Credentials::make(secret, user, now_unix_s, config.ttl_s);
            let urls = config.turn_urls.clone();
            ice_servers.push(IceServer { urls, username: Some(username), credential: Some(credential) });
        }
        Self { ice_servers, ttl_s: config.ttl_s }
    }
}

/// `stun:` URLs of our own responder: the announced addresses of the family it listens on.
fn own_stun(config: &Config, announced: &[IpAddr]) -> Vec<String> {
    let Some(listen) = config.stun_listen else { return Vec::new() };
    let reaches = |ip: &&IpAddr| match listen.ip() {
        IpAddr::V4(own) if own.is_unspecified() => ip.is_ipv4(),
        // A dual-stack socket.
        IpAddr::V6(own) if own.is_unspecified() => true,
        // Behind a 1:1 NAT the announced address is not the one listened on; the family is all there is to compare.
        own => own.is_ipv4() == ip.is_ipv4(),
    };
    announced.iter().filter(reaches).map(|ip| format!("stun:{}", SocketAddr::new(*ip, listen.port()))).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn make(config: &Config) -> String {
        let announced = ["192.0.2.7".parse().unwrap(), "2001:db8::7".parse().unwrap()];
        serde_json::to_string(&IceServers::make(config, &announced, "ada", 1000)).unwrap()
    }

    #[test]
    fn our_own_responder_is_announced_by_default() {
        assert_eq!(make(&Config::default()), r#"{"iceServers":[{"urls":["stun:192.0.2.7:3478"]}],"ttlS":3600}"#);
        let both = Config { stun_listen: Some("[::]:5000".parse().unwrap()), ..Config::default() };
        let expected = r#"{"iceServers":[{"urls":["stun:192.0.2.7:5000","stun:[2001:db8::7]:5000"]}],"ttlS":3600}"#;
        assert_eq!(make(&both), expected);
        assert_eq!(make(&Config { stun_listen: None, ..Config::default() }), r#"{"iceServers":[],"ttlS":3600}"#);
    }

    #[test]
    fn turn_comes_with_credentials() {
        let config = Config {
            stun_urls: vec!["stun:stun.example.org".into()],
            turn_urls: vec!["turn:turn.example.org:3478?transport=udp".into()],
            turn_secret: Some(String::from("north").into()),
            ..Config::default()
        };
        let announced = IceServers::make(&config, &[], "ada", 1000);
        assert_eq!(announced.ice_servers[0].urls, ["stun:stun.example.org"]);
        assert_eq!(announced.ice_servers[1].username.as_deref(), Some("4600:ada"));
        let pair = Credentials::make(config.turn_secret.as_ref().unwrap(), "ada", 1000, 3600);
        assert_eq!(announced.ice_servers[1].credential, Some(pair.credential));
        assert!(!format!("{announced:?}").contains("4600"), "logs carry no credentials");
    }
}
