//! The few REST calls and frames that a peer of the load generator needs (`docs/protocol.md`).

use std::time::Duration;

use anyhow::{Context as _, bail};
use futures_util::{SinkExt as _, StreamExt as _};
use serde_json::{Value, json};
use tokio::net::TcpStream;
use tokio::runtime::Runtime;
use tokio::task::JoinHandle;
use tokio::time::timeout;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::{MaybeTlsStream, WebSocketStream, connect_async};

/// An answer that takes longer than this has gone wrong.
const PATIENCE: Duration = Duration::from_secs(10);

/// The asynchronous half of the load generator: media threads call it and wait.
pub(crate) struct Signal {
    pub runtime: Runtime,
    http: reqwest::Client,
}

/// A person who has entered, with an open WebSocket.
pub(crate) struct Socket<'a> {
    signal: &'a Signal,
    stream: WebSocketStream<MaybeTlsStream<TcpStream>>,
    last_id: u32,
}

/// A socket that only stays open; dropping it closes it.
pub(crate) struct OpenSocket(JoinHandle<()>);

impl Drop for OpenSocket {
    fn drop(&mut self) {
        self.0.abort();
    }
}

impl Signal {
    pub(crate) fn new() -> anyhow::Result<Self> {
        // The server's own client has TLS, and cargo builds one client for both: it wants a provider, although nothing here is sealed.
        tokio_rustls::rustls::crypto::ring::default_provider().install_default().ok();
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build()?;
        Ok(Self { runtime, http: reqwest::Client::builder().timeout(PATIENCE).build()? })
    }

    pub(crate) fn is_ready(&self, server: &str) -> bool {
        let answer = self.runtime.block_on(async { self.http.get(format!("http://{server}/ready")).send().await });
        answer.is_ok_and(|answer| answer.status().is_success())
    }

    /// Enters under a nickname and opens the WebSocket.
    pub(crate) fn enter(&self, server: &str, nickname: &str) -> anyhow::Result<(Socket<'_>, String)> {
        let person = json!({"nickname": nickname, "birthYear": 1990, "adult": true});
        let answer = self.post(&format!("http://{server}/api/v1/auth/anonymous"), None, &person)?;
        let token = answer["accessToken"].as_str().context("no access token")?.to_owned();
        let connect = async { timeout(PATIENCE, connect_async(format!("ws://{server}/ws"))).await };
        let (stream, _) = self.runtime.block_on(connect).context("the WebSocket does not open")??;
        let mut socket = Socket { signal: self, stream, last_id: 0 };
        socket.request("authenticate", &json!({"token": token, "resume": null}))?;
        Ok((socket, token))
    }

    /// Creates a public call room with room for `max_participants` and gives its id.
    pub(crate) fn create_room(&self, server: &str, token: &str, max_participants: usize) -> anyhow::Result<String> {
        let room =
            json!({"kind": "call", "name": "bench", "visibility": "public", "maxParticipants": max_participants});
        let answer = self.post(&format!("http://{server}/api/v1/rooms"), Some(token), &room)?;
        let id = answer.get("id").or_else(|| answer.pointer("/room/id"));
        Ok(id.and_then(Value::as_str).context("the new room has no id")?.to_owned())
    }

    /// What is there, as it is.
    pub(crate) fn text(&self, url: &str) -> anyhow::Result<String> {
        self.runtime.block_on(async { Ok(self.http.get(url).send().await?.error_for_status()?.text().await?) })
    }

    pub(crate) fn get(&self, url: &str, token: &str) -> anyhow::Result<Value> {
        self.runtime.block_on(async {
            let answer = self.http.get(url).bearer_auth(token).send().await?.error_for_status()?;
            Ok(answer.json().await?)
        })
    }

    pub(crate) fn post(&self, url: &str, token: Option<&str>, body: &Value) -> anyhow::Result<Value> {
        let mut request = self.http.post(url).json(body);
        if let Some(token) = token {
            request = request.bearer_auth(token);
        }
        self.runtime.block_on(async {
            let answer = request.send().await?;
            let status = answer.status();
            let text = answer.text().await?;
            if !status.is_success() {
                bail!("POST {url}: {status}: {text}");
            }
            Ok(serde_json::from_str(&text)?)
        })
    }
}

impl Socket<'_> {
    /// Sends a frame and gives the data of its reply; other frames that arrive meanwhile are dropped.
    pub(crate) fn request(&mut self, kind: &str, data: &Value) -> anyhow::Result<Value> {
        self.last_id += 1;
        let id = self.last_id.to_string();
        let frame = json!({"type": kind, "id": id, "data": data}).to_string();
        let exchange = async {
            self.stream.send(Message::text(frame)).await?;
            while let Some(message) = self.stream.next().await {
                let Message::Text(text) = message? else { continue };
                let mut reply: Value = serde_json::from_str(&text)?;
                if reply["id"] != id.as_str() {
                    continue;
                }
                if reply["type"] == "error" {
                    bail!("{kind}: {}", reply["data"]);
                }
                return Ok(reply["data"].take());
            }
            bail!("{kind}: the server closed the socket")
        };
        let answer = self.signal.runtime.block_on(async { timeout(PATIENCE, exchange).await });
        answer.with_context(|| format!("{kind}: no reply"))?
    }

    /// Leaves the socket open and answers its pings until the result is dropped.
    pub(crate) fn keep_open(self) -> OpenSocket {
        let mut stream = self.stream;
        // Reading is what answers pings; what else comes is of no interest here.
        OpenSocket(self.signal.runtime.spawn(async move { while let Some(Ok(_)) = stream.next().await {} }))
    }
}
