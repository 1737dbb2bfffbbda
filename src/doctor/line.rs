//! A line to a server: what is asked over it, and what comes back.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use parlor_turn::Credentials;
use parlor_turn::message::{Class, HEADER_BYTES, Integrity, Message, Method, Writer};
use ring::rand::{SecureRandom as _, SystemRandom};
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio::net::{TcpStream, UdpSocket};
use tokio::time::timeout;
use tokio_rustls::TlsConnector;
use tokio_rustls::rustls::pki_types::ServerName;

use super::trust::Trust;
use super::{Fault, Way};

/// How long an answer may take, over a slow line too.
pub(super) const PATIENCE: Duration = Duration::from_secs(3);
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

/// A stream, with TLS or without.
pub(super) trait Stream: AsyncRead + AsyncWrite + Send + Unpin {}
impl<T: AsyncRead + AsyncWrite + Send + Unpin> Stream for T {}

pub(super) enum Line {
    Udp(UdpSocket),
    Stream {
        stream: Box<dyn Stream>,
        /// As media is (RFC 4571), else as TURN is.
        framed: bool,
        /// What there is to say of its certificate.
        note: Option<String>,
    },
}

impl Line {
    /// Opens a way to an address, `host` by name.
    pub(super) async fn open(way: Way, host: &str, to: SocketAddr, trust: &Trust) -> Result<Self, Fault> {
        if matches!(way, Way::Udp | Way::TurnUdp) {
            let socket = UdpSocket::bind(if to.is_ipv4() { "0.0.0.0:0" } else { "[::]:0" }).await;
            let socket = socket.map_err(Fault::unreached)?;
            socket.connect(to).await.map_err(Fault::unreached)?;
            return Ok(Self::Udp(socket));
        }
        let stream = timeout(PATIENCE, TcpStream::connect(to)).await.map_err(|_| Fault::nobody())?;
        let stream = stream.map_err(Fault::unreached)?;
        if way != Way::TurnTls {
            return Ok(Self::Stream { stream: Box::new(stream), framed: way == Way::Tcp, note: None });
        }
        let name = ServerName::try_from(host.to_owned()).map_err(|_| Fault::refused(format!("{host} is no name")))?;
        let (client, shown) = trust.client().map_err(Fault::refused)?;
        let handshake = TlsConnector::from(Arc::new(client)).connect(name, stream);
        let stream = match timeout(PATIENCE, handshake).await.map_err(|_| Fault::nobody())? {
            Ok(stream) => stream,
            Err(error) => {
                return Err(match shown.fault(&error, host) {
                    Some((why, advice)) => Fault { why, advice: Some(advice) },
                    None => Fault::refused(format!("it speaks no TLS: {error}")),
                });
            }
        };
        Ok(Self::Stream { stream: Box::new(stream), framed: false, note: shown.expiry() })
    }

    /// What there is to say of the line.
    pub(super) fn note(self) -> Option<String> {
        match self {
            Self::Udp(_) => None,
            Self::Stream { note, .. } => note,
        }
    }

    /// What is my address? Whoever answers is reached.
    pub(super) async fn bind(&mut self) -> Result<(), Fault> {
        let mut request = Vec::new();
        Writer::new(&mut request, Class::Request, Method::Binding, &transaction()).add_fingerprint();
        let answer = self.ask(&request).await?;
        let answer = Message::read(&answer).map_err(|_| Fault::refused("the answer is no STUN"))?;
        if answer.class != Class::Success {
            return Err(Fault::refused("somebody else answers"));
        }
        Ok(())
    }

    /// Asks for a relay with the credentials that the server gave, and gives it back.
    pub(super) async fn allocate(&mut self, login: &Credentials) -> Result<(), Fault> {
        let mut request = Vec::new();
        Writer::new(&mut request, Class::Request, Method::Allocate, &transaction()).add(REQUESTED_TRANSPORT, &UDP);
        let answer = self.ask(&request).await?;
        let answer = Message::read(&answer).map_err(|_| Fault::refused("the answer is no STUN"))?;
        let (Some(realm), Some(nonce)) = (answer.attribute(REALM), answer.attribute(NONCE)) else {
            return Err(Fault::refused("it asks for no login"));
        };
        let key = login.key(&String::from_utf8_lossy(realm));
        for (method, attribute, value) in
            [(Method::Allocate, REQUESTED_TRANSPORT, UDP), (Method::Refresh, LIFETIME, [0; 4])]
        {
            let mut request = Vec::new();
            let mut writer = Writer::new(&mut request, Class::Request, method, &transaction());
            writer.add(attribute, &value);
            writer.add(USERNAME, login.username.as_bytes());
            writer.add(REALM, realm);
            writer.add(NONCE, nonce);
            writer.sign(Integrity::Sha1, &key);
            let answer = self.ask(&request).await?;
            if Message::read(&answer).is_ok_and(|answer| answer.class != Class::Success) {
                return Err(Fault::refused("it answers, and refuses the server's own credentials"));
            }
        }
        Ok(())
    }

    /// What the answer to this request is, or something that is no STUN at all. Answers to earlier ones are passed over.
    async fn ask(&mut self, request: &[u8]) -> Result<Vec<u8>, Fault> {
        match self {
            Self::Udp(socket) => {
                for _ in 0..TRIES {
                    socket.send(request).await.map_err(Fault::unreached)?;
                    if let Ok(answer) = timeout(PATIENCE / TRIES as u32, hear(socket, request)).await {
                        return answer.map_err(Fault::unreached);
                    }
                }
                Err(Fault::nobody())
            }
            Self::Stream { stream, framed, .. } => {
                let exchange = exchange(stream, *framed, request);
                timeout(PATIENCE, exchange).await.map_err(|_| Fault::nobody())?.map_err(Fault::unreached)
            }
        }
    }
}

/// A request that was sent twice is answered twice, and the second answer comes when something else was asked.
fn is_of_another(answer: &[u8], request: &[u8]) -> bool {
    let other = Message::read(answer).ok().map(|answer| answer.transaction);
    other.is_some_and(|other| Message::read(request).is_ok_and(|request| request.transaction != other))
}

async fn hear(socket: &UdpSocket, request: &[u8]) -> std::io::Result<Vec<u8>> {
    loop {
        let mut answer = vec![0; MOST_ANSWER];
        let len = socket.recv(&mut answer).await?;
        answer.truncate(len);
        if !is_of_another(&answer, request) {
            return Ok(answer);
        }
    }
}

async fn exchange(stream: &mut Box<dyn Stream>, framed: bool, request: &[u8]) -> std::io::Result<Vec<u8>> {
    let head = (request.len() as u16).to_be_bytes();
    let framed_request = if framed { [&head[..], request].concat() } else { request.to_vec() };
    stream.write_all(&framed_request).await?;
    stream.flush().await?;
    loop {
        let answer = read_one(stream, framed).await?;
        if !is_of_another(&answer, request) {
            return Ok(answer);
        }
    }
}

async fn read_one(stream: &mut Box<dyn Stream>, framed: bool) -> std::io::Result<Vec<u8>> {
    let mut answer = vec![0; if framed { 2 } else { HEADER_BYTES }];
    stream.read_exact(&mut answer).await?;
    let len = if framed { 0 } else { 2 };
    let len = usize::from(u16::from_be_bytes([answer[len], answer[len + 1]])).min(MOST_ANSWER);
    if framed {
        answer.clear();
    }
    let from = answer.len();
    answer.resize(from + len, 0);
    stream.read_exact(&mut answer[from..]).await?;
    Ok(answer)
}

/// A system without random numbers gives zeros: nobody else is asked on the same line.
fn transaction() -> [u8; 12] {
    let mut transaction = [0; 12];
    let _ = SystemRandom::new().fill(&mut transaction);
    transaction
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What a relay answers: whoever shows no login is asked for one, and everybody else has what they want.
    fn answer(request: &[u8]) -> Vec<u8> {
        let request = Message::read(request).unwrap();
        let (method, mut answer) = (request.method.unwrap(), Vec::new());
        if request.attribute(USERNAME).is_some() {
            Writer::new(&mut answer, Class::Success, method, &request.transaction).add_fingerprint();
        } else {
            let mut writer = Writer::new(&mut answer, Class::Error, method, &request.transaction);
            writer.add_error(401, "");
            writer.add(REALM, b"parlor");
            writer.add(NONCE, b"nonce");
        }
        answer
    }

    #[tokio::test]
    async fn an_answer_that_comes_twice_is_no_answer_to_what_is_asked_next() {
        let login = Credentials { username: "1:ada".to_owned(), credential: "secret".to_owned() };
        let relay = UdpSocket::bind("127.0.0.1:0").await.unwrap();
        let socket = UdpSocket::bind("127.0.0.1:0").await.unwrap();
        socket.connect(relay.local_addr().unwrap()).await.unwrap();
        let serves = tokio::spawn(async move {
            let mut request = [0; MOST_ANSWER];
            while let Ok((len, from)) = relay.recv_from(&mut request).await {
                let answer = answer(&request[..len]);
                for _ in 0..2 {
                    relay.send_to(&answer, from).await.unwrap();
                }
            }
        });
        Line::Udp(socket).allocate(&login).await.expect("over UDP");
        serves.abort();

        let (near, far) = tokio::io::duplex(MOST_ANSWER);
        let mut far: Box<dyn Stream> = Box::new(far);
        let serves = tokio::spawn(async move {
            while let Ok(request) = read_one(&mut far, false).await {
                far.write_all(&answer(&request).repeat(2)).await.unwrap();
            }
        });
        let mut line = Line::Stream { stream: Box::new(near), framed: false, note: None };
        line.allocate(&login).await.expect("over TCP");
        drop(line);
        serves.await.unwrap();
    }
}
