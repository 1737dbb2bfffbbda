//! `parlor doctor URL`: which ways to a server's media are open from where it runs. It asks the server for its addresses as any
//! client does, knocks at each, and says in sentences what to open.

use std::fmt;
use std::net::SocketAddr;
use std::time::Duration;

use anyhow::{Context as _, bail};
use parlor_turn::Credentials;
use parlor_turn::message::{Class, HEADER_BYTES, Integrity, Message, Method, Writer};
use ring::rand::{SecureRandom as _, SystemRandom};
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpStream, UdpSocket};
use tokio::time::timeout;

/// How long an answer may take, over a slow line too.
const PATIENCE: Duration = Duration::from_secs(3);
/// A datagram is sent this often before nobody is believed to be there.
const TRIES: usize = 3;
/// The longest answer that is read.
const MOST_ANSWER: usize = 2_048;
const USERNAME: u16 = 0x0006;
const LIFETIME: u16 = 0x000D;
const REALM: u16 = 0x0014;
const NONCE: u16 = 0x0015;
const REQUESTED_TRANSPORT: u16 = 0x0019;
/// The number of UDP in REQUESTED-TRANSPORT (RFC 8656 §18.8).
const UDP: [u8; 4] = [17, 0, 0, 0];

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
}

/// What came of one way.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tried {
    /// Which way.
    pub way: Way,
    /// Whereto, as the server tells its clients.
    pub address: String,
    /// Why it is closed, if it is.
    pub closed: Option<String>,
}

impl fmt::Display for Tried {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { way, address, closed } = self;
        let name = match way {
            Way::Udp => "Media over UDP",
            Way::Tcp => "Media over TCP",
            Way::TurnUdp => "The relay (TURN) over UDP",
            Way::TurnTcp => "The relay (TURN) over TCP",
        };
        let port = address.rsplit(':').next().unwrap_or_default();
        let protocol = if matches!(way, Way::Udp | Way::TurnUdp) { "UDP" } else { "TCP" };
        match closed {
            None => write!(f, "{name} reaches {address}."),
            Some(why) => write!(
                f,
                "{name} does not reach {address} ({why}): open {protocol} port {port} in the firewall, and forward it if a NAT is in between."
            ),
        }
    }
}

/// Looks at a server from outside.
///
/// # Errors
/// When the server itself does not answer as Parlor does.
pub async fn examine(url: &str, insecure: bool) -> anyhow::Result<Vec<Tried>> {
    tokio_rustls::rustls::crypto::ring::default_provider().install_default().ok();
    let base = format!("{}/api/v1", url.trim_end_matches('/'));
    let http = reqwest::Client::builder().danger_accept_invalid_certs(insecure).timeout(4 * PATIENCE).build()?;
    let entrance = json!({"nickname": "doctor", "birthYear": 1990, "adult": true}).to_string();
    let entered = http.post(format!("{base}/auth/anonymous")).header("content-type", "application/json").body(entrance);
    let entered = read(entered).await.with_context(|| format!("{url} lets nobody in"))?;
    let token = entered["accessToken"].as_str().context("the server gave no token")?;
    let candidates = read(http.get(format!("{base}/webrtc/candidates")).bearer_auth(token)).await?;
    let servers = read(http.get(format!("{base}/webrtc/ice-servers")).bearer_auth(token)).await?;
    let mut tried = Vec::new();
    for (way, list) in [(Way::Udp, &candidates["udp"]), (Way::Tcp, &candidates["tcp"])] {
        for address in texts(list) {
            tried.push(knock(way, &address, None).await);
        }
    }
    for server in servers["iceServers"].as_array().into_iter().flatten() {
        let (Some(username), Some(credential)) = (server["username"].as_str(), server["credential"].as_str()) else {
            continue;
        };
        let login = Credentials { username: username.to_owned(), credential: credential.to_owned() };
        for url in texts(&server["urls"]) {
            // A relay over TLS is tried by name and certificate, which browsers do better.
            let Some(rest) = url.strip_prefix("turn:") else { continue };
            let (address, transport) = rest.split_once("?transport=").unwrap_or((rest, "udp"));
            let way = if transport == "tcp" { Way::TurnTcp } else { Way::TurnUdp };
            tried.push(knock(way, address, Some(&login)).await);
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

async fn knock(way: Way, address: &str, login: Option<&Credentials>) -> Tried {
    let reached = async {
        let found = tokio::net::lookup_host(with_port(address)).await.context("the name is not known")?.next();
        let mut line = Line::open(way, found.context("the name has no address")?).await?;
        match login {
            None => line.bind().await,
            Some(login) => line.allocate(login).await,
        }
    };
    let closed = reached.await.err().map(|error| format!("{error:#}"));
    Tried { way, address: address.to_owned(), closed }
}

/// The port of STUN and TURN, where a URL names none.
fn with_port(address: &str) -> String {
    let after_host = address.rsplit(']').next().unwrap_or_default();
    if after_host.contains(':') { address.to_owned() } else { format!("{address}:3478") }
}

enum Line {
    Udp(UdpSocket),
    /// `framed`: as media is (RFC 4571), else as TURN is.
    Tcp {
        stream: TcpStream,
        framed: bool,
    },
}

impl Line {
    async fn open(way: Way, to: SocketAddr) -> anyhow::Result<Self> {
        if matches!(way, Way::Udp | Way::TurnUdp) {
            let socket = UdpSocket::bind(if to.is_ipv4() { "0.0.0.0:0" } else { "[::]:0" }).await?;
            socket.connect(to).await?;
            return Ok(Self::Udp(socket));
        }
        let stream = timeout(PATIENCE, TcpStream::connect(to)).await.context("nobody answers")??;
        Ok(Self::Tcp { stream, framed: way == Way::Tcp })
    }

    /// What is my address? Whoever answers is reached.
    async fn bind(&mut self) -> anyhow::Result<()> {
        let transaction = transaction()?;
        let mut request = Vec::new();
        Writer::new(&mut request, Class::Request, Method::Binding, &transaction).add_fingerprint();
        let answer = self.ask(&request).await?;
        let answer = Message::read(&answer).ok().context("the answer is no STUN")?;
        if answer.class != Class::Success || answer.transaction != transaction {
            bail!("somebody else answers");
        }
        Ok(())
    }

    /// Asks for a relay with the credentials that the server gave, and gives it back.
    async fn allocate(&mut self, login: &Credentials) -> anyhow::Result<()> {
        let mut request = Vec::new();
        Writer::new(&mut request, Class::Request, Method::Allocate, &transaction()?).add(REQUESTED_TRANSPORT, &UDP);
        let answer = self.ask(&request).await?;
        let answer = Message::read(&answer).ok().context("the answer is no STUN")?;
        let (Some(realm), Some(nonce)) = (answer.attribute(REALM), answer.attribute(NONCE)) else {
            bail!("the relay asks for no login")
        };
        let key = login.key(&String::from_utf8_lossy(realm));
        for (method, attribute, value) in
            [(Method::Allocate, REQUESTED_TRANSPORT, UDP), (Method::Refresh, LIFETIME, [0; 4])]
        {
            let mut request = Vec::new();
            let mut writer = Writer::new(&mut request, Class::Request, method, &transaction()?);
            writer.add(attribute, &value);
            writer.add(USERNAME, login.username.as_bytes());
            writer.add(REALM, realm);
            writer.add(NONCE, nonce);
            writer.sign(Integrity::Sha1, &key);
            let answer = self.ask(&request).await?;
            if Message::read(&answer).is_ok_and(|answer| answer.class != Class::Success) {
                bail!("the relay refuses");
            }
        }
        Ok(())
    }

    async fn ask(&mut self, request: &[u8]) -> anyhow::Result<Vec<u8>> {
        match self {
            Self::Udp(socket) => {
                let mut answer = vec![0; MOST_ANSWER];
                for _ in 0..TRIES {
                    socket.send(request).await?;
                    if let Ok(len) = timeout(PATIENCE / TRIES as u32, socket.recv(&mut answer)).await {
                        answer.truncate(len.context("the port is closed")?);
                        return Ok(answer);
                    }
                }
                bail!("nobody answers")
            }
            Self::Tcp { stream, framed } => {
                let head = (request.len() as u16).to_be_bytes();
                let request = if *framed { [&head[..], request].concat() } else { request.to_vec() };
                let exchange = async {
                    stream.write_all(&request).await?;
                    let mut answer = vec![0; if *framed { 2 } else { HEADER_BYTES }];
                    stream.read_exact(&mut answer).await?;
                    let len = if *framed { 0 } else { 2 };
                    let len = usize::from(u16::from_be_bytes([answer[len], answer[len + 1]])).min(MOST_ANSWER);
                    if *framed {
                        answer.clear();
                    }
                    let from = answer.len();
                    answer.resize(from + len, 0);
                    stream.read_exact(&mut answer[from..]).await?;
                    anyhow::Ok(answer)
                };
                timeout(PATIENCE, exchange).await.context("nobody answers")?
            }
        }
    }
}

fn transaction() -> anyhow::Result<[u8; 12]> {
    let mut transaction = [0; 12];
    SystemRandom::new().fill(&mut transaction).ok().context("the system gives no random numbers")?;
    Ok(transaction)
}
