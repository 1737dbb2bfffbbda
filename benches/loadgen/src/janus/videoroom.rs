//! Janus with its VideoRoom plug-in: started with a configuration of its own, spoken to over its WebSocket.

use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context as _, bail, ensure};
use futures_util::{SinkExt as _, StreamExt as _};
use parlor_media::client::Identity;
use serde_json::{Value, json};
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::client::IntoClientRequest as _;
use tokio_tungstenite::{MaybeTlsStream, WebSocketStream, connect_async};

use crate::drain::Reader;
use crate::peer::{Peer, connect_last};
use crate::publisher::Publisher;
use crate::signal::Signal;

const START: Duration = Duration::from_secs(20);
const PATIENCE: Duration = Duration::from_secs(10);
const ROOM: u64 = 1234;
/// The plug-ins of Debian's package that nobody needs here.
const OTHER_PLUGINS: [&str; 9] =
    ["audiobridge", "duktape", "echotest", "lua", "nosip", "recordplay", "sip", "streaming", "textroom"];

/// A running Janus with one room; dropping it ends it.
pub(super) struct Janus<'a> {
    child: Child,
    folder: tempfile::TempDir,
    signal: &'a Signal,
    stream: WebSocketStream<MaybeTlsStream<TcpStream>>,
    session: u64,
    last: u32,
    address: Ipv4Addr,
}

impl Drop for Janus<'_> {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl<'a> Janus<'a> {
    /// Starts it on that address of that device, and makes a room.
    pub(super) fn start(signal: &'a Signal, address: Ipv4Addr, device: &str) -> anyhow::Result<Self> {
        let folder = tempfile::tempdir()?;
        let port = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?.local_addr()?.port();
        write_config(folder.path(), device, port)?;
        let log = std::fs::File::create(folder.path().join("log"))?;
        let mut child = Command::new("janus")
            .arg("--configs-folder")
            .arg(folder.path())
            .stdin(Stdio::null())
            .stdout(log.try_clone()?)
            .stderr(log)
            .spawn()
            .context("janus cannot be started: install the Debian package janus")?;
        let start = Instant::now();
        let stream = loop {
            let mut request = format!("ws://127.0.0.1:{port}").into_client_request()?;
            request.headers_mut().insert("Sec-WebSocket-Protocol", "janus-protocol".parse()?);
            match signal.runtime.block_on(async { timeout(PATIENCE, connect_async(request)).await })? {
                Ok((stream, _)) => break stream,
                Err(error) => ensure!(start.elapsed() < START, "Janus does not answer: {error}"),
            }
            ensure!(child.try_wait()?.is_none(), "Janus has ended");
            std::thread::sleep(Duration::from_millis(50));
        };
        let mut janus = Self { child, folder, signal, stream, session: 0, last: 0, address };
        janus.session = number(&janus.request(json!({"janus": "create"}))?["data"]["id"])?;
        let handle = janus.attach()?;
        // As quick as it can be: no limit of bits, no extensions that nobody reads.
        let room = json!({"request": "create", "room": ROOM, "publishers": 2, "bitrate": 0, "videocodec": "vp8",
            "videoorient_ext": false, "playoutdelay_ext": false, "audiolevel_ext": false, "fir_freq": 0});
        janus.message(handle, &room, None)?;
        Ok(janus)
    }

    pub(super) fn pid(&self) -> u32 {
        self.child.id()
    }

    /// What it has printed so far.
    pub(super) fn log(&self) -> String {
        std::fs::read_to_string(self.folder.path().join("log")).unwrap_or_default()
    }

    /// Somebody who sends, connected, and the number of what they send.
    pub(super) fn publisher(&mut self, identity: &Identity) -> anyhow::Result<(Publisher, u64)> {
        let mut publisher = Publisher::new(identity, self.address)?;
        let peer = &mut publisher.peer;
        let offer = peer.client.offer();
        peer.answers_checks(&offer);
        let handle = self.attach()?;
        let join = json!({"request": "joinandconfigure", "room": ROOM, "ptype": "publisher", "display": "one"});
        let sdp = with_candidate(&spelled_out(&offer), publisher.sockets.addresses()?[0]);
        let reply = self.message(handle, &join, Some(json!({"type": "offer", "sdp": sdp})))?;
        let answer = reply["jsep"]["sdp"].as_str().context("Janus gave no answer")?;
        peer.client.accept(Instant::now(), &spelled_out(answer)).context("Janus's answer cannot be read")?;
        let connected = connect_last(&mut [&mut publisher.peer], &mut Reader::new(Arc::clone(&publisher.sockets)));
        connected.with_context(|| format!("{answer}\n{}", self.log()))?;
        self.await_connected(handle)?;
        Ok((publisher, number(&reply["plugindata"]["data"]["id"])?))
    }

    /// Waits until Janus, too, knows that the connection is there: nobody can watch a feed before.
    fn await_connected(&mut self, handle: u64) -> anyhow::Result<()> {
        let stream = &mut self.stream;
        let told = async {
            while let Some(message) = stream.next().await {
                let Message::Text(text) = message? else { continue };
                let event: Value = serde_json::from_str(&text)?;
                if event["janus"] == "webrtcup" && event["sender"] == handle {
                    return Ok(());
                }
            }
            bail!("Janus closed the socket")
        };
        let told = self.signal.runtime.block_on(async { timeout(PATIENCE, told).await });
        told.context("Janus tells of no connection")?
    }

    /// Somebody who watches: Janus offers, the client answers.
    pub(super) fn subscribe(&mut self, feed: u64, peer: &mut Peer) -> anyhow::Result<()> {
        let handle = self.attach()?;
        let join = json!({"request": "join", "room": ROOM, "ptype": "subscriber", "streams": [{"feed": feed}]});
        let reply = self.message(handle, &join, None)?;
        let offer = reply["jsep"]["sdp"].as_str().context("Janus gave no offer")?;
        let own = peer.client.offer();
        peer.answers_checks(&own);
        let answer = with_candidate(&answer_to(offer, &own), peer.address()?);
        peer.client.accept(Instant::now(), &spelled_out(offer)).context("Janus's offer cannot be read")?;
        let jsep = json!({"type": "answer", "sdp": answer});
        self.message(handle, &json!({"request": "start", "room": ROOM}), Some(jsep))?;
        Ok(())
    }

    fn attach(&mut self) -> anyhow::Result<u64> {
        let attach = json!({"janus": "attach", "session_id": self.session, "plugin": "janus.plugin.videoroom"});
        number(&self.request(attach)?["data"]["id"])
    }

    fn message(&mut self, handle: u64, body: &Value, jsep: Option<Value>) -> anyhow::Result<Value> {
        let mut message = json!({"janus": "message", "session_id": self.session, "handle_id": handle, "body": body});
        if let Some(jsep) = jsep {
            message["jsep"] = jsep;
        }
        let reply = self.request(message)?;
        let data = &reply["plugindata"]["data"];
        ensure!(data["error"].is_null(), "{}: {}", body["request"], data["error"]);
        Ok(reply)
    }

    fn request(&mut self, mut request: Value) -> anyhow::Result<Value> {
        self.last += 1;
        let transaction = self.last.to_string();
        request["transaction"] = json!(transaction);
        let stream = &mut self.stream;
        let exchange = async {
            stream.send(Message::text(request.to_string())).await?;
            while let Some(message) = stream.next().await {
                let Message::Text(text) = message? else { continue };
                let reply: Value = serde_json::from_str(&text)?;
                // What takes its time is acknowledged first, and answered by an event.
                match reply["janus"].as_str() {
                    _ if reply["transaction"] != transaction.as_str() => {}
                    Some("ack") => {}
                    Some("error") => bail!("Janus refused {}: {}", request["janus"], reply["error"]["reason"]),
                    _ => return Ok(reply),
                }
            }
            bail!("Janus closed the socket")
        };
        let reply = self.signal.runtime.block_on(async { timeout(PATIENCE, exchange).await });
        reply.context("Janus does not reply")?
    }
}

fn write_config(folder: &std::path::Path, device: &str, port: u16) -> anyhow::Result<()> {
    let others: Vec<String> = OTHER_PLUGINS.iter().map(|name| format!("libjanus_{name}.so")).collect();
    let others = others.join(",") + ",libjanus_videocall.so,libjanus_voicemail.so";
    let core = format!(
        "general: {{ debug_level = 2; session_timeout = 0 }}\nmedia: {{ ipv6 = false }}\n\
         nat: {{ ice_enforce_list = \"{device}\" }}\nplugins: {{ disable = \"{others}\" }}\n\
         transports: {{ disable = \"libjanus_http.so,libjanus_pfunix.so,libjanus_nanomsg.so,libjanus_mqtt.so\" }}\n"
    );
    let websockets = format!("general: {{ json = \"plain\"; ws = true; ws_port = {port}; ws_ip = \"127.0.0.1\" }}\n");
    std::fs::write(folder.join("janus.jcfg"), core)?;
    std::fs::write(folder.join("janus.transport.websockets.jcfg"), websockets)?;
    std::fs::write(folder.join("janus.plugin.videoroom.jcfg"), "general: { }\n")?;
    Ok(())
}

fn number(value: &Value) -> anyhow::Result<u64> {
    value.as_u64().with_context(|| format!("{value} is no number"))
}

/// The same with the session's credentials in each section, where the client looks for them.
fn spelled_out(sdp: &str) -> String {
    let names = ["a=ice-ufrag:", "a=ice-pwd:", "a=fingerprint:", "a=setup:"];
    let session = sdp.lines().take_while(|line| !line.starts_with("m="));
    let shared: Vec<&str> = session.filter(|line| names.iter().any(|name| line.starts_with(name))).collect();
    let mut out = String::new();
    for line in sdp.lines() {
        out.push_str(line);
        out.push_str("\r\n");
        if line.starts_with("m=") {
            shared.iter().for_each(|line| out.extend([*line, "\r\n"]));
        }
    }
    out
}

/// The same with an address in each section.
fn with_candidate(sdp: &str, address: SocketAddr) -> String {
    let candidate = format!(
        "a=candidate:1 1 udp 2130706431 {} {} typ host\r\na=end-of-candidates\r\n",
        address.ip(),
        address.port()
    );
    let mut out = String::new();
    for line in sdp.lines() {
        out.push_str(line);
        out.push_str("\r\n");
        if line.starts_with("c=") {
            out.push_str(&candidate);
        }
    }
    out
}

/// A receive-only answer that takes whatever is offered, with the credentials of the client's own offer.
fn answer_to(offer: &str, own: &str) -> String {
    let own = |name: &str| own.lines().find(|line| line.starts_with(name)).unwrap_or_default();
    let mut answer = String::from("v=0\r\no=- 1 1 IN IP4 127.0.0.1\r\ns=-\r\nt=0 0\r\n");
    let mut is_media = false;
    for line in offer.lines() {
        is_media |= line.starts_with("m=");
        let kept = ["m=", "a=mid:", "a=rtpmap:", "a=fmtp:", "a=rtcp-fb:", "a=extmap:", "a=rtcp-mux"];
        let is_kept = is_media && kept.iter().any(|name| line.starts_with(name));
        if is_kept || line.starts_with("a=group:") {
            answer.push_str(line);
            answer.push_str("\r\n");
        }
        if line.starts_with("m=") {
            answer.push_str("c=IN IP4 0.0.0.0\r\na=recvonly\r\na=setup:active\r\n");
            for name in ["a=ice-ufrag:", "a=ice-pwd:", "a=fingerprint:"] {
                answer.push_str(own(name));
                answer.push_str("\r\n");
            }
        }
    }
    answer
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_holds_for_all_sections_stands_in_each() {
        let sdp = "v=0\r\na=fingerprint:sha-256 00\r\nm=video 9 X 96\r\na=mid:0\r\n";
        let section = spelled_out(sdp).split("m=video").nth(1).unwrap().to_owned();
        assert!(section.contains("a=fingerprint:sha-256 00\r\n"), "{section}");
    }

    #[test]
    fn an_answer_takes_what_is_offered_under_its_own_name() {
        let offer = "v=0\r\na=group:BUNDLE 0\r\na=ice-lite\r\nm=video 9 UDP/TLS/RTP/SAVPF 96 97\r\na=mid:0\r\n\
                     a=sendonly\r\na=rtpmap:96 VP8/90000\r\na=ice-ufrag:janus\r\na=ssrc:1 cname:janus\r\n";
        let own = "v=0\r\na=ice-ufrag:mine\r\na=ice-pwd:secret\r\na=fingerprint:sha-256 00\r\n";
        let answer = with_candidate(&answer_to(offer, own), "10.0.0.1:5".parse().unwrap());
        for wanted in
            ["a=group:BUNDLE 0", "a=mid:0", "a=recvonly", "a=ice-ufrag:mine", "a=setup:active", "10.0.0.1 5 typ host"]
        {
            assert!(answer.contains(wanted), "{wanted}\n{answer}");
        }
        for refused in ["a=ice-lite", "a=sendonly", "a=ssrc", "ufrag:janus"] {
            assert!(!answer.contains(refused), "{refused}\n{answer}");
        }
    }
}
