//! `parlor doctor URL`: which ways to a server's media are open from where it runs. It asks the server for its addresses as any
//! client does, knocks at each, and says in sentences what to do.

mod line;
mod trust;

use std::net::SocketAddr;
use std::{fmt, io};

use anyhow::{Context as _, bail};
use parlor_turn::Credentials;
use serde_json::{Value, json};
use tokio::time::timeout;
pub use trust::Trust;

use self::line::{Line, PATIENCE};

/// The ports of STUN and TURN, and of both over TLS, where a URL names none (RFC 7064, RFC 7065).
const PORT: u16 = 3478;
const TLS_PORT: u16 = 5349;

/// A way to media.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Way {
    /// Straight to a media port.
    Udp,
    /// To the media port for TCP.
    Tcp,
    /// To the relay over UDP.
    TurnUdp,
    /// To the relay over TCP.
    TurnTcp,
    /// To the relay over TLS.
    TurnTls,
}

/// What came of one way.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tried {
    /// Which way.
    pub way: Way,
    /// Whereto, as the server tells its clients.
    pub address: String,
    /// Why it is closed and what to do; or what there is to say of an open one, if anything.
    pub came: Result<Option<String>, Fault>,
}

impl Tried {
    /// It reaches the server.
    #[must_use]
    pub fn is_open(&self) -> bool {
        self.came.is_ok()
    }
}

/// Why a way is closed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fault {
    /// What happened.
    pub why: String,
    /// What to do; `None`: nobody is reached, so a port is to be opened.
    pub advice: Option<String>,
}

impl Fault {
    fn unreached(error: impl fmt::Display) -> Self {
        Self { why: error.to_string(), advice: None }
    }

    fn nobody() -> Self {
        Self::unreached("nobody answers")
    }

    /// Somebody is reached, who is not what the server told.
    fn refused(why: impl fmt::Display) -> Self {
        let advice = "see whether another program has this port, and what the server's log says of PARLOR_TURN__….";
        Self { why: why.to_string(), advice: Some(advice.to_owned()) }
    }
}

impl fmt::Display for Tried {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { way, address, came } = self;
        let name = match way {
            Way::Udp => "Media over UDP",
            Way::Tcp => "Media over TCP",
            Way::TurnUdp => "The relay (TURN) over UDP",
            Way::TurnTcp => "The relay (TURN) over TCP",
            Way::TurnTls => "The relay (TURN) over TLS",
        };
        match came {
            Ok(None) => write!(f, "{name} reaches {address}."),
            Ok(Some(note)) => write!(f, "{name} reaches {address}; {note}."),
            Err(Fault { why, advice: Some(advice) }) => {
                write!(f, "{name} does not reach {address} ({why}): {advice}")
            }
            Err(Fault { why, advice: None }) => {
                let port = split(address, *way).1;
                let protocol = if matches!(way, Way::Udp | Way::TurnUdp) { "UDP" } else { "TCP" };
                write!(
                    f,
                    "{name} does not reach {address} ({why}): open {protocol} port {port} in the firewall, and forward it if a NAT is in between."
                )
            }
        }
    }
}

/// Looks at a server from outside.
///
/// # Errors
/// When the server itself does not answer as Parlor does.
pub async fn examine(url: &str, trust: &Trust) -> anyhow::Result<Vec<Tried>> {
    let base = format!("{}/api/v1", url.trim_end_matches('/'));
    let http = reqwest::Client::builder().tls_backend_preconfigured(trust.client()?.0).timeout(4 * PATIENCE).build()?;
    let entrance = json!({"nickname": "doctor", "birthYear": 1990, "adult": true}).to_string();
    let entered = http.post(format!("{base}/auth/anonymous")).header("content-type", "application/json").body(entrance);
    let entered = read(entered).await.with_context(|| format!("{url} lets nobody in"))?;
    let token = entered["accessToken"].as_str().context("the server gave no token")?;
    let candidates = read(http.get(format!("{base}/webrtc/candidates")).bearer_auth(token)).await?;
    let servers = read(http.get(format!("{base}/webrtc/ice-servers")).bearer_auth(token)).await?;
    let mut tried = Vec::new();
    for (way, list) in [(Way::Udp, &candidates["udp"]), (Way::Tcp, &candidates["tcp"])] {
        for address in texts(list) {
            tried.push(knock(way, &address, None, trust).await);
        }
    }
    for server in servers["iceServers"].as_array().into_iter().flatten() {
        let (Some(username), Some(credential)) = (server["username"].as_str(), server["credential"].as_str()) else {
            continue;
        };
        let login = Credentials { username: username.to_owned(), credential: credential.to_owned() };
        for url in texts(&server["urls"]) {
            let Some((way, address)) = relay(&url) else { continue };
            tried.push(knock(way, address, Some(&login), trust).await);
        }
    }
    Ok(tried)
}

async fn read(request: reqwest::RequestBuilder) -> anyhow::Result<Value> {
    let answer = request.send().await?;
    let (status, text) = (answer.status(), answer.text().await?);
    if !status.is_success() {
        bail!("it answers {status}: {text}");
    }
    Ok(serde_json::from_str(&text)?)
}

fn texts(list: &Value) -> Vec<String> {
    list.as_array().into_iter().flatten().filter_map(Value::as_str).map(str::to_owned).collect()
}

/// The way that a URL of a relay names, and its address (RFC 7065).
fn relay(url: &str) -> Option<(Way, &str)> {
    let (scheme, rest) = url.split_once(':')?;
    let (address, transport) = rest.split_once("?transport=").unwrap_or((rest, "udp"));
    match (scheme, transport) {
        ("turns", _) => Some((Way::TurnTls, address)),
        ("turn", "tcp") => Some((Way::TurnTcp, address)),
        ("turn", _) => Some((Way::TurnUdp, address)),
        _ => None,
    }
}

/// Host and port of an address, the host without brackets.
fn split(address: &str, way: Way) -> (&str, u16) {
    let usual = if way == Way::TurnTls { TLS_PORT } else { PORT };
    let after = address.rfind(']').map_or(0, |end| end + 1);
    let (host, port) = match address[after..].rfind(':') {
        Some(at) => (&address[..after + at], address[after + at + 1..].parse().unwrap_or(usual)),
        None => (address, usual),
    };
    (host.trim_start_matches('[').trim_end_matches(']'), port)
}

async fn knock(way: Way, address: &str, login: Option<&Credentials>, trust: &Trust) -> Tried {
    let reached = async {
        let (host, port) = split(address, way);
        let to = first_of(tokio::net::lookup_host((host, port))).await?;
        let mut line = Line::open(way, host, to, trust).await?;
        match login {
            None => line.bind().await?,
            Some(login) => line.allocate(login).await?,
        }
        Ok(line.note())
    };
    Tried { way, address: address.to_owned(), came: reached.await }
}

/// The first address that a name is found to have.
async fn first_of<A: Iterator<Item = SocketAddr>>(
    lookup: impl Future<Output = io::Result<A>>,
) -> Result<SocketAddr, Fault> {
    let unknown = |why: String| Fault { why, advice: Some("see to the name's entry in the DNS.".to_owned()) };
    let found =
        timeout(PATIENCE, lookup).await.map_err(|_| unknown("nobody says what address the name has".to_owned()))?;
    let found = found.map_err(|error| unknown(format!("the name is not known: {error}")))?.next();
    found.ok_or_else(|| unknown("the name has no address".to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_name_that_nobody_answers_for_is_a_fault_of_its_line() {
        let never = std::future::pending::<io::Result<std::iter::Empty<SocketAddr>>>();
        let fault = first_of(never).await.expect_err("nobody answers");
        assert!(fault.advice.is_some_and(|advice| advice.contains("DNS")), "{}", fault.why);
        let known = "192.0.2.7:1".parse().unwrap();
        assert_eq!(first_of(async { Ok([known].into_iter()) }).await, Ok(known));
    }

    #[test]
    fn addresses_of_relays_are_read() {
        for (url, way, host, port) in [
            ("turn:203.0.113.7:3479?transport=udp", Way::TurnUdp, "203.0.113.7", 3479),
            ("turn:[2001:db8::7]:3478?transport=tcp", Way::TurnTcp, "2001:db8::7", 3478),
            ("turns:turn.example?transport=tcp", Way::TurnTls, "turn.example", 5349),
            ("turns:[2001:db8::7]", Way::TurnTls, "2001:db8::7", 5349),
            ("turn:turn.example", Way::TurnUdp, "turn.example", 3478),
        ] {
            let (found, address) = relay(url).unwrap();
            assert_eq!((found, split(address, found)), (way, (host, port)), "{url}");
        }
        assert!(relay("stun:turn.example").is_none() && relay("").is_none());
    }
}
