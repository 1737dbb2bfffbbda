//! The operator's settings of STUN and TURN.

use std::fmt;
use std::net::{IpAddr, Ipv6Addr, SocketAddr};

use ipnet::IpNet;
use ring::hmac;
use serde::{Deserialize, Deserializer};

use crate::serve::MOST_CONNECTIONS;

/// The port of TURN over TLS (RFC 8656 section 22).
const TLS_PORT: u16 = 5349;

/// The `turn` section of the configuration (`PARLOR_TURN__STUN_LISTEN` and so on).
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Config {
    /// Whether this server relays. Unset: yes, unless `turn_urls` names other relays. STUN is answered in any case.
    pub enabled: Option<bool>,
    /// Where STUN and TURN are served over UDP; `[::]` is IPv4 too. `off` or nothing at all switches it off.
    #[serde(deserialize_with = "address_or_off")]
    pub stun_listen: Option<SocketAddr>,
    /// Where TURN is served over TCP; `auto`: at the address and port of `stun_listen`.
    pub tcp_listen: Listen,
    /// Where TURN is served over TLS, with the certificate of the HTTP side; `auto`: at the address of `stun_listen`, port 5349,
    /// if there is a certificate.
    pub tls_listen: Listen,
    /// The name or address that clients are told for our own relay. Unset: the first announced address of each family, and for TLS
    /// the host of the public URL.
    pub host: Option<String>,
    /// STUN servers told to clients, `stun:host:port`. Empty: our own, at each announced address.
    #[serde(deserialize_with = "list")]
    pub stun_urls: Vec<String>,
    /// Other TURN servers told to clients, `turn:host:port?transport=udp` or `turns:host:port`. Empty: none.
    #[serde(deserialize_with = "list")]
    pub turn_urls: Vec<String>,
    /// The secret shared with the TURN servers (`static-auth-secret` of coturn). Unset: our own relay makes one of the server's
    /// secret.
    pub turn_secret: Option<Secret>,
    /// How long TURN credentials are valid, in seconds.
    pub ttl_s: u32,
    /// What credentials are for, as clients are told.
    pub realm: String,
    /// First and last UDP port that our relay gives out, such as `28000-32767`. Whoever sends from elsewhere than this machine must
    /// reach them; our own calls do without.
    pub relay_ports: PortRange,
    /// Networks that our relay may send to though they are private (CIDRs or addresses).
    #[serde(deserialize_with = "networks")]
    pub allow_peers: Vec<IpNet>,
    /// Our relay sends to public addresses too, and not to this server's media ports alone: for others than Parlor's own calls.
    pub public_peers: bool,
    /// Allocations of all users at once.
    pub max_allocations: u32,
    /// Allocations of one user at once: a browser makes one for each of our addresses and each of its own networks, and keeps the
    /// last call's for a while.
    pub user_allocations: u32,
    /// Bytes a second that one user may relay, both directions together.
    pub user_bytes_per_s: u64,
    /// Allocations of one IPv4 address or IPv6 /64 at once: anybody who enters as a guest is a user.
    pub address_allocations: u32,
    /// Bytes a second of one IPv4 address or IPv6 /64, both directions together.
    pub address_bytes_per_s: u64,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            enabled: None,
            stun_listen: Some(SocketAddr::from((Ipv6Addr::UNSPECIFIED, 3478))),
            tcp_listen: Listen::Auto,
            tls_listen: Listen::Auto,
            host: None,
            stun_urls: Vec::new(),
            turn_urls: Vec::new(),
            turn_secret: None,
            // An hour: a browser asks again for each call, and may keep an allocation that it made in time.
            ttl_s: 3600,
            realm: "parlor".into(),
            // Below the ports that Linux hands out to outgoing connections (32768 and up).
            relay_ports: PortRange { first: 28_000, last: 32_767 },
            allow_peers: Vec::new(),
            // Whoever enters gets credentials: an open relay to anywhere is what no operator wants without saying so.
            public_peers: false,
            max_allocations: 2_000,
            user_allocations: 32,
            // 20 Mbit/s: a camera with three layers, and a page of 25 tiles.
            user_bytes_per_s: 2_500_000,
            // A school or an office behind one address.
            address_allocations: 256,
            // Ten users at their full speed.
            address_bytes_per_s: 25_000_000,
        }
    }
}

/// Where something listens.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Listen {
    /// Where the rest of the configuration lets one expect it.
    #[default]
    Auto,
    /// Nowhere.
    Off,
    /// There.
    At(SocketAddr),
}

impl<'de> Deserialize<'de> for Listen {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        Ok(match Written::deserialize(from)? {
            Written::Switch(true) => Self::Auto,
            Written::Switch(false) => Self::Off,
            Written::Text(text) => match text.trim() {
                "" | "auto" => Self::Auto,
                "off" | "none" => Self::Off,
                address => Self::At(read_address(address).map_err(serde::de::Error::custom)?),
            },
        })
    }
}

/// Ports in a row, both ends included.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PortRange {
    /// The lowest.
    pub first: u16,
    /// The highest.
    pub last: u16,
}

impl<'de> Deserialize<'de> for PortRange {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        let text = String::deserialize(from)?;
        let ends = text.split_once('-').and_then(|(first, last)| {
            Some(Self { first: first.trim().parse().ok()?, last: last.trim().parse().ok()? })
        });
        ends.filter(|range| range.first > 0 && range.first <= range.last)
            .ok_or_else(|| serde::de::Error::custom(format!("{text:?} is no range of ports such as 28000-32767")))
    }
}

/// A setting that contradicts another or cannot be used.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ConfigError {
    /// TURN servers are named, but clients could not log in to them.
    #[error("turn.turn_urls names TURN servers, but turn.turn_secret is not set")]
    NoSecret,
    /// Browsers refuse the whole list of servers for one bad address.
    #[error("{0:?} is not a {1}: address such as {1}:turn.example.org:3478")]
    BadUrl(String, &'static str),
    /// Nobody could be told apart.
    #[error("turn.realm must be 1 to 127 characters without quotes")]
    BadRealm,
    /// A zero that would let nobody relay.
    #[error("turn.{0} is 0; set turn.enabled = false to have no relay")]
    Zero(&'static str),
    /// Too short for a call, or so long that a leaked pair never dies.
    #[error("turn.ttl_s is {0}; it must be between 60 and 604800 (a week)")]
    BadTtl(u32),
}

impl Config {
    /// Checks the settings against each other.
    ///
    /// # Errors
    /// The first [`ConfigError`] found.
    pub fn check(&self) -> Result<(), ConfigError> {
        if !self.turn_urls.is_empty() && self.turn_secret.as_ref().is_none_or(|s| s.as_bytes().is_empty()) {
            return Err(ConfigError::NoSecret);
        }
        if !(60..=604_800).contains(&self.ttl_s) {
            return Err(ConfigError::BadTtl(self.ttl_s));
        }
        // The longest that RFC 8489 allows, in characters.
        if self.realm.is_empty() || self.realm.chars().count() > 127 || self.realm.contains(['"', '\\']) {
            return Err(ConfigError::BadRealm);
        }
        for (value, name) in [
            (u64::from(self.max_allocations), "max_allocations"),
            (u64::from(self.user_allocations), "user_allocations"),
            (self.user_bytes_per_s, "user_bytes_per_s"),
            (u64::from(self.address_allocations), "address_allocations"),
            (self.address_bytes_per_s, "address_bytes_per_s"),
        ] {
            if value == 0 {
                return Err(ConfigError::Zero(name));
            }
        }
        for (urls, scheme) in [(&self.stun_urls, "stun"), (&self.turn_urls, "turn")] {
            if let Some(bad) = urls.iter().find(|url| !is_ice_url(url, scheme)) {
                return Err(ConfigError::BadUrl(bad.clone(), scheme));
            }
        }
        Ok(())
    }

    /// How many files the relay's ports and connections can be at most.
    #[must_use]
    pub fn most_files(&self) -> u64 {
        let listens = [self.stun_listen, self.tcp(), self.tls()].iter().any(Option::is_some);
        if listens && self.relays() { u64::from(self.max_allocations) + MOST_CONNECTIONS as u64 } else { 0 }
    }

    /// Does this server relay?
    #[must_use]
    pub fn relays(&self) -> bool {
        self.enabled.unwrap_or(self.turn_urls.is_empty())
    }

    /// Where TURN over TCP is served.
    pub(crate) fn tcp(&self) -> Option<SocketAddr> {
        match self.tcp_listen {
            Listen::Auto => self.stun_listen,
            Listen::Off => None,
            Listen::At(address) => Some(address),
        }
    }

    /// Where TURN over TLS is served, given a certificate.
    pub(crate) fn tls(&self) -> Option<SocketAddr> {
        match self.tls_listen {
            // Port 0 is what tests ask for.
            Listen::Auto => {
                self.stun_listen.map(|at| SocketAddr::new(at.ip(), if at.port() == 0 { 0 } else { TLS_PORT }))
            }
            Listen::Off => None,
            Listen::At(address) => Some(address),
        }
    }
}

/// `stun:` or `stuns:` and a host (RFC 7064, RFC 7065); the browser parses the rest.
fn is_ice_url(url: &str, scheme: &str) -> bool {
    let Some(rest) = url.strip_prefix(scheme) else { return false };
    let rest = rest.strip_prefix('s').unwrap_or(rest);
    rest.strip_prefix(':').is_some_and(|host| !host.is_empty() && !host.starts_with('/') && !host.contains(' '))
}

/// A text that is never printed: its `Debug` hides it.
#[derive(Clone, PartialEq, Eq, Deserialize)]
#[serde(transparent)]
pub struct Secret(String);

impl Secret {
    /// The bytes that key the HMAC.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8] {
        self.0.as_bytes()
    }
}

impl Secret {
    /// A secret of our own, made of another one that never leaves this machine.
    #[must_use]
    pub fn derived(from: &[u8]) -> Self {
        let tag = hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, from), b"TURN credentials");
        Self(tag.as_ref().iter().map(|byte| format!("{byte:02x}")).collect())
    }
}

impl From<String> for Secret {
    fn from(text: String) -> Self {
        Self(text)
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(…)")
    }
}

/// A list, or one line with commas: an environment variable has no lists.
fn list<'de, D: Deserializer<'de>>(from: D) -> Result<Vec<String>, D::Error> {
    #[derive(Deserialize)]
    #[serde(untagged)]
    enum List {
        Items(Vec<String>),
        Line(String),
    }
    Ok(match List::deserialize(from)? {
        List::Items(items) => items,
        List::Line(line) => line.split(',').map(str::trim).filter(|s| !s.is_empty()).map(String::from).collect(),
    })
}

/// Networks, or lone addresses.
fn networks<'de, D: Deserializer<'de>>(from: D) -> Result<Vec<IpNet>, D::Error> {
    let read = |text: &String| {
        let lone = || text.parse::<IpAddr>().map(IpNet::from);
        let wrong =
            |_| serde::de::Error::custom(format!("{text:?} is neither an IP address nor a CIDR such as 10.0.0.0/8"));
        text.parse().or_else(|_| lone()).map_err(wrong)
    };
    list(from)?.iter().map(read).collect()
}

/// YAML-like sources and some environment readers turn `off` into a boolean.
#[derive(Deserialize)]
#[serde(untagged)]
enum Written {
    Switch(bool),
    Text(String),
}

fn address_or_off<'de, D: Deserializer<'de>>(from: D) -> Result<Option<SocketAddr>, D::Error> {
    match Option::<Written>::deserialize(from)? {
        None | Some(Written::Switch(false)) => Ok(None),
        Some(Written::Switch(true)) => Ok(Config::default().stun_listen),
        Some(Written::Text(text)) if matches!(text.trim(), "" | "off" | "none") => Ok(None),
        Some(Written::Text(text)) => read_address(text.trim()).map(Some).map_err(serde::de::Error::custom),
    }
}

fn read_address(text: &str) -> Result<SocketAddr, String> {
    text.parse().map_err(|_| format!("{text:?} is neither an address such as 0.0.0.0:3478 nor off"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(json: &str) -> Result<Config, serde_json::Error> {
        serde_json::from_str(json)
    }

    #[test]
    fn nothing_written_is_the_default() {
        let config = read("{}").unwrap();
        assert_eq!(config, Config::default());
        assert_eq!(config.stun_listen, Some("[::]:3478".parse().unwrap()));
        assert_eq!(config.check(), Ok(()));
    }

    #[test]
    fn the_responder_can_be_switched_off() {
        for off in [r#""off""#, r#""""#, "null", "false"] {
            assert_eq!(read(&format!(r#"{{"stun_listen":{off}}}"#)).unwrap().stun_listen, None, "{off}");
        }
        assert!(read(r#"{"stun_listen":"nowhere"}"#).is_err());
    }

    #[test]
    fn lists_come_as_lists_or_with_commas() {
        let config = read(r#"{"turn_urls":"turn:a:3478, turns:a:5349","stun_urls":["stun:b"]}"#).unwrap();
        assert_eq!(config.turn_urls, ["turn:a:3478", "turns:a:5349"]);
        assert_eq!(config.stun_urls, ["stun:b"]);
    }

    #[test]
    fn contradictions_are_named() {
        assert_eq!(read(r#"{"turn_urls":"turn:a"}"#).unwrap().check(), Err(ConfigError::NoSecret));
        assert_eq!(read(r#"{"turn_urls":"turn:a","turn_secret":""}"#).unwrap().check(), Err(ConfigError::NoSecret));
        assert_eq!(read(r#"{"user_allocations":0}"#).unwrap().check(), Err(ConfigError::Zero("user_allocations")));
        assert_eq!(read(r#"{"realm":""}"#).unwrap().check(), Err(ConfigError::BadRealm));
        assert_eq!(read(r#"{"ttl_s":5}"#).unwrap().check(), Err(ConfigError::BadTtl(5)));
        let bad = read(r#"{"stun_urls":"http://b"}"#).unwrap().check();
        assert_eq!(bad, Err(ConfigError::BadUrl("http://b".into(), "stun")));
    }

    #[test]
    fn the_relay_listens_beside_stun_and_steps_back_for_others() {
        let config = read("{}").unwrap();
        assert!(config.relays());
        assert_eq!((config.tcp(), config.tls()), (config.stun_listen, Some("[::]:5349".parse().unwrap())));
        let off = read(r#"{"stun_listen":"off"}"#).unwrap();
        assert_eq!((off.tcp(), off.tls()), (None, None));
        let tls_alone = read(r#"{"stun_listen":"off","tls_listen":"0.0.0.0:443"}"#).unwrap();
        assert_eq!((tls_alone.tcp(), tls_alone.tls()), (None, Some("0.0.0.0:443".parse().unwrap())));
        let others = r#"{"turn_urls":"turn:a","turn_secret":"s"}"#;
        assert!(!read(others).unwrap().relays());
        assert!(read(&others.replace('{', r#"{"enabled":true,"#)).unwrap().relays());
        assert!(read(r#"{"tcp_listen":"nowhere"}"#).is_err());
    }

    #[test]
    fn ranges_and_networks_are_read() {
        let config = read(r#"{"relay_ports":"40000-40009","allow_peers":"10.0.0.0/8, fd00::1"}"#).unwrap();
        assert_eq!(config.relay_ports, PortRange { first: 40_000, last: 40_009 });
        assert_eq!(config.allow_peers, ["10.0.0.0/8".parse().unwrap(), "fd00::1/128".parse().unwrap()]);
        for bad in
            [r#"{"relay_ports":"5-4"}"#, r#"{"relay_ports":"0-9"}"#, r#"{"relay_ports":"9"}"#, r#"{"allow_peers":"x"}"#]
        {
            assert!(read(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn the_secret_is_never_printed() {
        let config = read(r#"{"turn_secret":"north-wind"}"#).unwrap();
        assert!(!format!("{config:?}").contains("north"));
    }
}
