//! The words that tests speak: a server, a person, a socket. Everything waits for conditions, and gives up loudly.

use std::net::IpAddr;
use std::time::Duration;

use futures_util::{SinkExt as _, StreamExt as _};
use parlor::config::Config;
use reqwest::{Method, StatusCode};
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::net::TcpStream;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::{MaybeTlsStream, WebSocketStream};

/// How long a test waits for something that ought to happen at once.
pub(crate) const PATIENCE: Duration = Duration::from_secs(60);

/// A server of one test. It goes with its folder when it is dropped.
pub(crate) struct Server {
    running: Option<parlor::Running>,
    folder: TempDir,
    /// `http://127.0.0.1:PORT`
    pub(crate) base: String,
}

impl Server {
    /// A server with nothing special.
    pub(crate) async fn start() -> Self {
        Self::start_with(|_| {}).await
    }

    /// A server with a few settings changed.
    pub(crate) async fn start_with(change: impl FnOnce(&mut Config)) -> Self {
        let folder = tempfile::tempdir().expect("a folder for the test");
        Self::start_in(folder, change).await
    }

    /// A server over the state that another one left.
    pub(crate) async fn start_in(folder: TempDir, change: impl FnOnce(&mut Config)) -> Self {
        let mut config = settings(&folder);
        change(&mut config);
        let scheme = if config.is_tls() { "https" } else { "http" };
        let running = parlor::serve(config).await.expect("the server starts");
        let base = format!("{scheme}://{}", running.address);
        Self { running: Some(running), folder, base }
    }

    /// What the process knows of itself.
    pub(crate) fn running(&self) -> &parlor::Running {
        self.running.as_ref().expect("it runs until it is stopped")
    }

    /// Stops as SIGTERM does, and leaves the state.
    pub(crate) async fn stop(mut self) -> TempDir {
        self.running.take().expect("it runs until it is stopped").stop().await;
        self.folder
    }

    /// The folder of its state.
    pub(crate) fn folder(&self) -> &std::path::Path {
        self.folder.path()
    }

    /// Somebody enters.
    pub(crate) async fn enter(&self, nickname: &str) -> Person {
        Person::enter(&self.base, nickname).await
    }

    /// Somebody without a login.
    pub(crate) fn anonymous(&self) -> Anonymous {
        Anonymous::of(self)
    }

    /// A socket that nobody has logged in on.
    pub(crate) async fn socket(&self) -> Socket {
        Socket::open(&self.base, "/ws").await
    }
}

/// The settings of a test's server.
pub(crate) fn settings(folder: &TempDir) -> Config {
    let mut config = Config {
        listen: ([127, 0, 0, 1], 0).into(),
        data_dir: folder.path().join("data"),
        web_dir: folder.path().join("web"),
        media_port: 0,
        // Who is to come over TCP says so.
        media_tcp_port: Some(0),
        announced_address: vec![IpAddr::from([127, 0, 0, 1])],
        limit_exempt: vec!["127.0.0.0/8".parse().expect("it is a network")],
        ..Config::default()
    };
    config.sfu.shards = 1;
    config.turn.stun_listen = None;
    config
}

fn client() -> reqwest::Client {
    // The first one decides; it is the same for all.
    tokio_rustls::rustls::crypto::ring::default_provider().install_default().ok();
    reqwest::Client::builder()
        .redirect(reqwest::redirect::Policy::none())
        .danger_accept_invalid_certs(true)
        .timeout(PATIENCE)
        .build()
        .expect("a client needs nothing")
}

/// An answer of REST.
pub(crate) struct Answer {
    pub(crate) status: StatusCode,
    pub(crate) headers: reqwest::header::HeaderMap,
    pub(crate) text: String,
}

impl Answer {
    /// The body as JSON (`null` when there is none).
    pub(crate) fn json(&self) -> Value {
        serde_json::from_str(&self.text).unwrap_or_default()
    }

    /// The body, if the status is that.
    #[track_caller]
    pub(crate) fn expect(&self, status: StatusCode) -> Value {
        assert_eq!(self.status, status, "{}", self.text);
        self.json()
    }

    /// It is a problem document with that status and code.
    #[track_caller]
    pub(crate) fn refused(&self, status: u16, code: &str) -> Value {
        let problem = self.json();
        assert_eq!((self.status.as_u16(), problem["code"].as_str()), (status, Some(code)), "{}", self.text);
        assert_eq!(self.header("content-type"), "application/problem+json");
        assert_eq!(problem["status"], status);
        problem
    }

    /// A header, or nothing.
    pub(crate) fn header(&self, name: &str) -> &str {
        self.headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default()
    }
}

/// Somebody who is not logged in.
pub(crate) struct Anonymous {
    base: String,
    http: reqwest::Client,
}

impl Anonymous {
    pub(crate) fn of(server: &Server) -> Self {
        Self { base: server.base.clone(), http: client() }
    }

    pub(crate) fn request(&self, method: Method, path: &str) -> reqwest::RequestBuilder {
        self.http.request(method, format!("{}{path}", self.base))
    }

    /// GET of a full path.
    pub(crate) async fn get(&self, path: &str) -> Answer {
        answer(self.request(Method::GET, path)).await
    }

    /// POST of a path under `/api/v1`.
    pub(crate) async fn post(&self, path: &str, body: Value) -> Answer {
        answer(self.request(Method::POST, &format!("/api/v1{path}")).json(&body)).await
    }
}

/// Sends a request.
pub(crate) async fn answer(request: reqwest::RequestBuilder) -> Answer {
    let (client, request) = request.build_split();
    let request = request.expect("a test says what can be sent");
    let (method, url) = (request.method().clone(), request.url().clone());
    let response = client.execute(request).await.expect("the server answers");
    let (status, headers) = (response.status(), response.headers().clone());
    crate::described::is_described(&method, &url, status);
    Answer { status, headers, text: response.text().await.expect("the answer has an end") }
}

/// Somebody who has entered.
#[derive(Clone)]
pub(crate) struct Person {
    base: String,
    http: reqwest::Client,
    pub(crate) id: String,
    pub(crate) nickname: String,
    pub(crate) token: String,
    pub(crate) refresh_token: String,
}

impl Person {
    /// Enters a server at that address.
    pub(crate) async fn enter(base: &str, nickname: &str) -> Self {
        let entrance = json!({"nickname": nickname, "birthYear": 1990, "adult": true});
        let http = client();
        let answer = answer(http.post(format!("{base}/api/v1/auth/anonymous")).json(&entrance)).await;
        let body = answer.expect(StatusCode::CREATED);
        Self {
            base: base.to_owned(),
            http,
            id: body["user"]["id"].as_str().expect("the answer names the user").to_owned(),
            nickname: nickname.to_owned(),
            token: body["accessToken"].as_str().expect("the answer has a token").to_owned(),
            refresh_token: body["refreshToken"].as_str().unwrap_or_default().to_owned(),
        }
    }

    /// A request to a path under `/api/v1`.
    pub(crate) async fn ask(&self, method: Method, path: &str, body: Option<Value>) -> Answer {
        let request = self.http.request(method, format!("{}/api/v1{path}", self.base)).bearer_auth(&self.token);
        answer(match body {
            Some(body) => request.json(&body),
            None => request,
        })
        .await
    }

    /// The same, still to be sent.
    pub(crate) fn request(&self, method: Method, path: &str) -> reqwest::RequestBuilder {
        self.http.request(method, format!("{}/api/v1{path}", self.base)).bearer_auth(&self.token)
    }

    pub(crate) async fn get(&self, path: &str) -> Answer {
        self.ask(Method::GET, path, None).await
    }

    pub(crate) async fn post(&self, path: &str, body: Value) -> Answer {
        self.ask(Method::POST, path, Some(body)).await
    }

    /// A GET under `/api/v1` whose answer is not text.
    pub(crate) async fn fetch(&self, path: &str, headers: &[(&str, &str)]) -> reqwest::Response {
        let request = self.http.get(format!("{}/api/v1{path}", self.base)).bearer_auth(&self.token);
        let with = |request: reqwest::RequestBuilder, (name, value): &(&str, &str)| request.header(*name, *value);
        headers.iter().fold(request, with).send().await.expect("the server answers")
    }

    /// The same login at another address: the server has moved, its state has not.
    pub(crate) fn at(&self, base: &str) -> Self {
        Self { base: base.to_owned(), ..self.clone() }
    }

    /// Waits until the access token has ended; the refusal.
    pub(crate) async fn until_expired(&self) -> Answer {
        until("the token ends", async || {
            let answer = self.get("/auth/me").await;
            (answer.status != StatusCode::OK).then_some(answer)
        })
        .await
    }

    /// Makes a room; its id.
    pub(crate) async fn create_room(&self, kind: &str, visibility: &str) -> String {
        let wanted = json!({"kind": kind, "name": format!("{}'s {kind}", self.nickname), "visibility": visibility});
        self.create(wanted).await
    }

    /// Makes a room as wanted; its id.
    pub(crate) async fn create(&self, wanted: Value) -> String {
        let room = self.post("/rooms", wanted).await.expect(StatusCode::CREATED);
        room["id"].as_str().expect("a room has an id").to_owned()
    }

    /// A logged-in socket.
    pub(crate) async fn connect(&self) -> Socket {
        let mut socket = Socket::open(&self.base, "/ws").await;
        socket.log_in(&self.token, None).await;
        socket
    }

    /// A logged-in socket that takes up a lost one.
    pub(crate) async fn resume(&self, resume_token: &str) -> Socket {
        let mut socket = Socket::open(&self.base, "/ws").await;
        socket.log_in(&self.token, Some(resume_token)).await;
        socket
    }

    /// A socket that is in a room, and the `room_state` that it got.
    pub(crate) async fn connect_to(&self, room: &str) -> (Socket, Value) {
        let mut socket = self.connect().await;
        let state = socket.join(room).await;
        (socket, state)
    }
}

/// A WebSocket.
pub(crate) struct Socket {
    stream: WebSocketStream<MaybeTlsStream<TcpStream>>,
    requests: u64,
    /// Frames that came while the test waited for another.
    early: std::collections::VecDeque<Value>,
    /// The data of `authenticated`.
    pub(crate) login: Value,
}

impl Socket {
    pub(crate) async fn open(base: &str, path: &str) -> Self {
        let url = format!("{}{path}", base.replacen("http", "ws", 1));
        let (stream, _) = tokio_tungstenite::connect_async(url).await.expect("the server takes sockets");
        Self { stream, requests: 0, early: [].into(), login: Value::Null }
    }

    /// Logs in, and keeps what the server said.
    pub(crate) async fn log_in(&mut self, token: &str, resume: Option<&str>) {
        let reply = self.ask("authenticate", json!({"token": token, "resume": resume})).await;
        assert_eq!(reply["type"], "authenticated", "{reply}");
        self.login = reply["data"].clone();
    }

    /// What takes this session up on another socket.
    pub(crate) fn resume_token(&self) -> &str {
        self.login["resumeToken"].as_str().expect("it is logged in")
    }

    /// Comes into a room; the `room_state`.
    pub(crate) async fn join(&mut self, room: &str) -> Value {
        let state = self.ask("join_room", json!({"roomId": room})).await;
        assert_eq!(state["type"], "room_state", "{state}");
        state
    }

    /// Writes; the acknowledgement.
    pub(crate) async fn say(&mut self, room: &str, client_id: &str, text: &str) -> Value {
        self.ask("send_message", json!({"roomId": room, "clientId": client_id, "content": {"text": text}})).await
    }

    /// Sends a request with an id, and waits for the frame that answers it; what comes before it is kept for [`Self::next`].
    pub(crate) async fn ask(&mut self, kind: &str, data: Value) -> Value {
        self.requests += 1;
        let id = format!("r{}", self.requests);
        self.send_json(&json!({"type": kind, "id": id, "data": data})).await;
        loop {
            let frame = self.read().await;
            if frame["id"] == id.as_str() {
                return frame;
            }
            self.early.push_back(frame);
        }
    }

    /// Asks, and expects to be refused with that code; the error's data.
    pub(crate) async fn refused(&mut self, kind: &str, data: Value, code: &str) -> Value {
        let reply = self.ask(kind, data).await;
        assert_eq!((reply["type"].as_str(), reply["data"]["code"].as_str()), (Some("error"), Some(code)), "{reply}");
        reply["data"].clone()
    }

    pub(crate) async fn send_json(&mut self, frame: &Value) {
        self.send_text(frame.to_string()).await;
    }

    pub(crate) async fn send_text(&mut self, text: impl Into<String>) {
        self.send_raw(Message::text(text.into())).await;
    }

    pub(crate) async fn send_raw(&mut self, message: Message) {
        // A server that has closed already makes this fail; what the test wants to see comes with the next read.
        let _ = self.stream.send(message).await;
    }

    /// The next frame.
    pub(crate) async fn next(&mut self) -> Value {
        match self.early.pop_front() {
            Some(frame) => frame,
            None => self.read().await,
        }
    }

    /// A frame that came while the test waited for another.
    pub(crate) fn early(&mut self) -> Option<Value> {
        self.early.pop_front()
    }

    /// The next frame of a type; others before it are dropped.
    pub(crate) async fn next_of(&mut self, kind: &str) -> Value {
        loop {
            let frame = self.next().await;
            if frame["type"] == kind {
                return frame;
            }
        }
    }

    async fn read(&mut self) -> Value {
        match self.read_message().await {
            Some(Message::Text(text)) => serde_json::from_str(&text).expect("frames are JSON"),
            other => panic!("a frame was due, not {other:?}"),
        }
    }

    /// The next message that is no ping.
    async fn read_message(&mut self) -> Option<Message> {
        loop {
            let message = tokio::time::timeout(PATIENCE, self.stream.next()).await.expect("something comes in time");
            match message {
                Some(Ok(Message::Ping(_) | Message::Pong(_))) => {}
                Some(Ok(message)) => return Some(message),
                Some(Err(_)) | None => return None,
            }
        }
    }

    /// Waits until the server closes; the code, and the error frame before it, if there was one.
    pub(crate) async fn closed(&mut self) -> (u16, Option<Value>) {
        let mut error = None;
        loop {
            match self.read_message().await {
                Some(Message::Text(text)) => {
                    let frame: Value = serde_json::from_str(&text).expect("frames are JSON");
                    if frame["type"] == "error" {
                        error = Some(frame["data"].clone());
                    }
                }
                Some(Message::Close(Some(close))) => return (close.code.into(), error),
                other => panic!("a close with a code was due, not {other:?}"),
            }
        }
    }

    /// Closes as a browser does when the page ends the connection on purpose.
    pub(crate) async fn close(mut self) {
        let _ = self
            .stream
            .close(Some(tokio_tungstenite::tungstenite::protocol::CloseFrame { code: 1000.into(), reason: "".into() }))
            .await;
        // To its end: a connection that is dropped with frames unread is reset, and the server may never read the goodbye.
        while self.read_message().await.is_some() {}
    }

    /// Loses the connection: no close frame, just the end.
    pub(crate) fn lose(self) {
        drop(self);
    }
}

/// Waits until a condition holds.
pub(crate) async fn until<T>(what: &str, mut condition: impl AsyncFnMut() -> Option<T>) -> T {
    let deadline = tokio::time::Instant::now() + PATIENCE;
    loop {
        if let Some(found) = condition().await {
            return found;
        }
        assert!(tokio::time::Instant::now() < deadline, "waited in vain: {what}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}
