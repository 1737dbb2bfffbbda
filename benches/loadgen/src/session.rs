//! One person's REST calls and WebSocket (`docs/protocol.md`), for any server at a URL.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context as _, anyhow, bail, ensure};
use futures_util::{SinkExt as _, StreamExt as _};
use serde_json::{Value, json};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_rustls::TlsConnector;
use tokio_rustls::rustls::pki_types::ServerName;
use tokio_rustls::rustls::{ClientConfig, RootCertStore};
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::{WebSocketStream, client_async};

use crate::trust::Anybody;

/// An answer that takes longer than this has gone wrong.
pub(crate) const PATIENCE: Duration = Duration::from_secs(15);
/// Events kept while a reply is waited for. More are dropped, oldest first: a load generator needs the latest.
const MOST_EVENTS: usize = 4096;

/// A server, and how it is reached.
#[derive(Clone)]
pub(crate) struct Server {
    http: reqwest::Client,
    /// `http://HOST:PORT` or `https://…`, without a slash at the end.
    pub base: String,
    tls: Option<TlsConnector>,
}

trait Stream: AsyncRead + AsyncWrite + Send + Unpin {}
impl<T: AsyncRead + AsyncWrite + Send + Unpin> Stream for T {}

/// A person who has entered, with an open WebSocket.
pub(crate) struct Session {
    stream: WebSocketStream<Box<dyn Stream>>,
    last_id: u32,
    events: VecDeque<Value>,
    /// The access token.
    pub token: String,
}

impl Server {
    /// A server at a URL. `insecure` takes any certificate.
    ///
    /// # Errors
    /// When it is no URL of HTTP.
    pub(crate) fn at(url: &str, insecure: bool) -> anyhow::Result<Self> {
        // Two libraries of TLS are in the tree; one has to be named.
        tokio_rustls::rustls::crypto::ring::default_provider().install_default().ok();
        let base = url.trim_end_matches('/').to_owned();
        let http = reqwest::Client::builder().timeout(PATIENCE);
        let (http, tls) = if base.starts_with("https://") {
            let config = tls_config(insecure)?;
            (http.tls_danger_accept_invalid_certs(insecure), Some(TlsConnector::from(Arc::new(config))))
        } else {
            ensure!(base.starts_with("http://"), "--server {url} is no URL: it begins with http:// or https://");
            (http, None)
        };
        Ok(Self { http: http.build()?, base, tls })
    }

    /// It answers, and is ready.
    ///
    /// # Errors
    /// Says what is the matter.
    pub(crate) async fn is_ready(&self) -> anyhow::Result<()> {
        let answer = self.http.get(format!("{}/ready", self.base)).send().await;
        let answer = answer.with_context(|| format!("nobody answers at {}", self.base))?;
        ensure!(answer.status().is_success(), "{} is not ready: it answers {}", self.base, answer.status());
        Ok(())
    }

    /// What is there, as it is.
    pub(crate) async fn text(&self, path: &str) -> anyhow::Result<String> {
        let answer = self.http.get(format!("{}{path}", self.base)).send().await?.error_for_status()?;
        Ok(answer.text().await?)
    }

    /// Posts to a path under `/api/v1`.
    pub(crate) async fn post(&self, path: &str, token: Option<&str>, body: &Value) -> anyhow::Result<Value> {
        let mut request = self.http.post(format!("{}/api/v1{path}", self.base)).json(body);
        if let Some(token) = token {
            request = request.bearer_auth(token);
        }
        let answer = request.send().await?;
        let (status, text) = (answer.status(), answer.text().await?);
        if status.is_success() {
            return Ok(serde_json::from_str(&text)?);
        }
        let problem: Value = serde_json::from_str(&text).unwrap_or_default();
        Err(refused(&format!("POST {path}"), &problem).unwrap_or_else(|| anyhow!("POST {path}: {status}: {text}")))
    }

    /// Enters under a nickname and opens the WebSocket.
    pub(crate) async fn enter(&self, nickname: &str) -> anyhow::Result<Session> {
        let person = json!({"nickname": nickname, "birthYear": 1990, "adult": true});
        let answer = self.post("/auth/anonymous", None, &person).await?;
        let token = answer["accessToken"].as_str().context("the server gave no access token")?.to_owned();
        let stream = timeout(PATIENCE, self.open()).await.context("the WebSocket does not open")??;
        let mut session = Session { stream, last_id: 0, events: VecDeque::new(), token };
        let login = json!({"token": session.token, "resume": null});
        session.request("authenticate", &login).await?;
        Ok(session)
    }

    async fn open(&self) -> anyhow::Result<WebSocketStream<Box<dyn Stream>>> {
        let url = reqwest::Url::parse(&self.base)?;
        let host = url.host_str().context("the URL has no host")?.trim_matches(['[', ']']).to_owned();
        let port = url.port_or_known_default().context("the URL has no port")?;
        let tcp = TcpStream::connect((host.as_str(), port)).await?;
        tcp.set_nodelay(true)?;
        let stream: Box<dyn Stream> = match &self.tls {
            Some(tls) => Box::new(tls.connect(ServerName::try_from(host)?, tcp).await?),
            None => Box::new(tcp),
        };
        // The scheme only chooses TLS, which is there already.
        let address = format!("ws{}/ws", self.base.strip_prefix("http").unwrap_or_default());
        Ok(client_async(address, stream).await?.0)
    }

    /// Creates a public room for calls and gives its id.
    pub(crate) async fn create_room(&self, token: &str, seats: usize) -> anyhow::Result<String> {
        let room = json!({"kind": "call", "name": "load", "visibility": "public", "maxParticipants": seats});
        let answer = self.post("/rooms", Some(token), &room).await.with_context(|| {
            format!("a room for {seats} people cannot be made (PARLOR_ROOMS__MAX_PARTICIPANTS is the most)")
        })?;
        let id = answer.get("id").or_else(|| answer.pointer("/room/id"));
        Ok(id.and_then(Value::as_str).context("the new room has no id")?.to_owned())
    }
}

impl Session {
    /// Sends a frame and gives the data of its reply; events that arrive meanwhile are kept for [`Self::event`].
    pub(crate) async fn request(&mut self, kind: &str, data: &Value) -> anyhow::Result<Value> {
        self.last_id += 1;
        let id = self.last_id.to_string();
        let frame = json!({"type": kind, "id": id, "data": data}).to_string();
        let exchange = async {
            self.stream.send(Message::text(frame)).await?;
            loop {
                let mut reply = next(&mut self.stream).await.with_context(|| kind.to_owned())?;
                if reply["id"] != id.as_str() {
                    keep(&mut self.events, reply);
                } else if reply["type"] == "error" {
                    return Err(refused(kind, &reply["data"]).unwrap_or_else(|| anyhow!("{kind}: {}", reply["data"])));
                } else {
                    return Ok(reply["data"].take());
                }
            }
        };
        timeout(PATIENCE, exchange).await.with_context(|| format!("{kind}: no reply"))?
    }

    /// The next event. Dropping the future loses none.
    pub(crate) async fn event(&mut self) -> anyhow::Result<Value> {
        match self.events.pop_front() {
            Some(event) => Ok(event),
            None => next(&mut self.stream).await,
        }
    }

    /// Says goodbye.
    pub(crate) async fn close(mut self) {
        // Gone already is as good.
        let _ = timeout(PATIENCE, self.stream.close(None)).await;
    }
}

async fn next(stream: &mut WebSocketStream<Box<dyn Stream>>) -> anyhow::Result<Value> {
    loop {
        match stream.next().await {
            Some(Ok(Message::Text(text))) => return Ok(serde_json::from_str(&text)?),
            Some(Ok(Message::Close(close))) => {
                let why =
                    close.map_or_else(String::new, |close| format!(" ({}: {})", u16::from(close.code), close.reason));
                bail!("the server closed the socket{why}");
            }
            Some(Ok(_)) => {}
            Some(Err(error)) => return Err(error.into()),
            None => bail!("the server closed the socket"),
        }
    }
}

fn keep(events: &mut VecDeque<Value>, event: Value) {
    if events.len() == MOST_EVENTS {
        events.pop_front();
    }
    events.push_back(event);
}

/// A refusal in a sentence that says what to do about it, by its code.
fn refused(what: &str, problem: &Value) -> Option<anyhow::Error> {
    let code = problem["code"].as_str()?;
    let advice = match code {
        "rate_limited" | "proof_required" => {
            ": the server limits this machine; put its address into the server's PARLOR_LIMIT_EXEMPT"
        }
        "room_full" => ": the room has too few seats; raise PARLOR_ROOMS__MAX_PARTICIPANTS",
        _ => "",
    };
    let says = problem["detail"].as_str().or_else(|| problem["message"].as_str()).unwrap_or_default();
    Some(anyhow!("{what} was refused with {code}{advice} ({says})"))
}

fn tls_config(insecure: bool) -> anyhow::Result<ClientConfig> {
    if insecure {
        let config = ClientConfig::builder().dangerous().with_custom_certificate_verifier(Arc::new(Anybody::new()));
        return Ok(config.with_no_client_auth());
    }
    let mut roots = RootCertStore::empty();
    roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
    ensure!(!roots.is_empty(), "this machine has no certificates of authorities; install ca-certificates");
    Ok(ClientConfig::builder().with_root_certificates(roots).with_no_client_auth())
}
