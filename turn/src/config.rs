//! The operator's settings of STUN and TURN.

use std::fmt;
use std::net::{Ipv4Addr, SocketAddr};

use serde::{Deserialize, Deserializer};

/// The `turn` section of the configuration (`PARLOR_TURN__STUN_LISTEN` and so on).
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Config {
    /// Where the STUN responder listens (UDP); `off` or nothing at all switches it off.
    #[serde(deserialize_with = "address_or_off")]
    pub stun_listen: Option<SocketAddr>,
    /// STUN servers told to clients, `stun:host:port`. Empty: our own responder, at each announced address.
    #[serde(deserialize_with = "list")]
    pub stun_urls: Vec<String>,
    /// TURN servers told to clients, `turn:host:port?transport=udp` or `turns:host:port`. Empty: none.
    #[serde(deserialize_with = "list")]
    pub turn_urls: Vec<String>,
    /// The secret shared with the TURN servers (`static-auth-secret` of coturn).
    pub turn_secret: Option<Secret>,
    /// How long TURN credentials are valid, in seconds.
    pub ttl_s: u32,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            stun_listen: Some(SocketAddr::from((Ipv4Addr::UNSPECIFIED, 3478))),
            stun_urls: Vec::new(),
            turn_urls: Vec::new(),
            turn_secret: None,
            // An hour: a browser asks again for each call, and coturn checks the time at allocation and at each refresh.
            ttl_s: 3600,
        }
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
        for (urls, scheme) in [(&self.stun_urls, "stun"), (&self.turn_urls, "turn")] {
            if let Some(bad) = urls.iter().find(|url| !is_ice_url(url, scheme)) {
                return Err(ConfigError::BadUrl(bad.clone(), scheme));
            }
        }
        Ok(())
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

fn address_or_off<'de, D: Deserializer<'de>>(from: D) -> Result<Option<SocketAddr>, D::Error> {
    #[derive(Deserialize)]
    #[serde(untagged)]
    enum Listen {
        // YAML-like sources and some environment readers turn `off` into a boolean.
        Switch(bool),
        Text(String),
    }
    match Option::<Listen>::deserialize(from)? {
        None | Some(Listen::Switch(false)) => Ok(None),
        Some(Listen::Switch(true)) => Ok(Config::default().stun_listen),
        Some(Listen::Text(text)) if matches!(text.trim(), "" | "off" | "none") => Ok(None),
        Some(Listen::Text(text)) => text.trim().parse().map(Some).map_err(|_| {
            serde::de::Error::custom(format!("{text:?} is neither an address such as 0.0.0.0:3478 nor off"))
        }),
    }
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
        assert_eq!(config.stun_listen, Some("0.0.0.0:3478".parse().unwrap()));
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
        assert_eq!(read(r#"{"ttl_s":5}"#).unwrap().check(), Err(ConfigError::BadTtl(5)));
        let bad = read(r#"{"stun_urls":"http://b"}"#).unwrap().check();
        assert_eq!(bad, Err(ConfigError::BadUrl("http://b".into(), "stun")));
    }

    #[test]
    fn the_secret_is_never_printed() {
        let config = read(r#"{"turn_secret":"north-wind"}"#).unwrap();
        assert!(!format!("{config:?}").contains("north"));
    }
}
