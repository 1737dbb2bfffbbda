//! The program as an operator meets it: what it prints, what it logs, how it stops.

use std::io::{BufRead as _, BufReader, Read as _};
use std::os::unix::fs::PermissionsExt as _;
use std::process::{Child, Command, Stdio};

use serde_json::{Value, json};

use crate::harness::{PATIENCE, Person, Socket};

/// The program, serving in a folder of its own.
struct Program {
    child: Child,
    folder: tempfile::TempDir,
    lines: Vec<String>,
    base: String,
}

impl Program {
    fn start(log: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let mut child = Command::new(env!("CARGO_BIN_EXE_parlor"))
            .current_dir(folder.path())
            .env_clear()
            .envs([("PARLOR_LISTEN", "127.0.0.1:0"), ("PARLOR_MEDIA_PORT", "0"), ("PARLOR_TURN__STUN_LISTEN", "off")])
            .env("PARLOR_LOG", log)
            .arg("serve")
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let mut output = BufReader::new(child.stdout.take().unwrap()).lines();
        let lines: Vec<_> = (0..2).map(|_| output.next().expect("it prints two lines").unwrap()).collect();
        let base = lines[0].strip_prefix("Parlor is at ").unwrap().replace("localhost", "127.0.0.1");
        Self { child, folder, lines, base }
    }

    /// Stops by SIGTERM; what was logged.
    fn stop(mut self) -> String {
        let pid = self.child.id().to_string();
        assert!(Command::new("kill").args(["-TERM", &pid]).status().unwrap().success());
        let mut log = String::new();
        self.child.stderr.take().unwrap().read_to_string(&mut log).unwrap();
        assert!(self.child.wait().unwrap().success(), "{log}");
        log
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        // Only a test that failed leaves it running.
        self.child.kill().ok();
        self.child.wait().ok();
    }
}

#[tokio::test]
async fn it_prints_where_it_is_and_stops_when_told() {
    let program = Program::start("json:info");
    let link = program.lines[1].strip_prefix("admin link: ").expect("one line, with this prefix");
    let (page, secret) = link.split_once("/claim/").unwrap();
    assert_eq!(page, program.lines[0].strip_prefix("Parlor is at ").unwrap());
    assert!(secret.len() >= 32);
    let mode = std::fs::metadata(program.folder.path().join("data/secret")).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
    let ada = Person::enter(&program.base, "ada").await;
    let mut socket = ada.connect().await;
    let stopped = tokio::task::spawn_blocking(move || program.stop());
    assert_eq!(socket.closed().await.0, 4503);
    let log = tokio::time::timeout(PATIENCE, stopped).await.expect("it stops in time").unwrap();
    assert!(log.contains("\"stopping\""), "{log}");
}

#[tokio::test]
async fn it_goes_on_when_nobody_reads_its_log() {
    let mut program = Program::start("json:info,parlor=trace");
    drop(program.child.stderr.take());
    let ada = Person::enter(&program.base, "ada").await;
    let room = ada.create_room("call", "public").await;
    let (mut socket, _) = ada.connect_to(&room).await;
    socket.say(&room, "c-1", "hello").await;
}

#[tokio::test]
async fn the_log_is_json_and_tells_nothing_about_people() {
    let program = Program::start("json:info,parlor=trace");
    let secret = program.lines[1].rsplit('/').next().unwrap().to_owned();
    let ada = Person::enter(&program.base, "ada-of-the-log").await;
    let room = ada.create_room("call", "public").await;
    let (mut socket, _) = ada.connect_to(&room).await;
    socket.say(&room, "c-1", "a sentence that nobody logs").await;
    let ticket = ada.post("/auth/ticket", json!({})).await.json()["ticket"].as_str().unwrap().to_owned();
    Socket::open(&program.base, &format!("/ws?ticket={ticket}")).await.next().await;
    ada.get("/rooms?limit=many").await.refused(400, "bad_request");
    socket.send_text("nonsense of ada").await;
    socket.next_of("error").await;
    let private =
        [&secret, &ada.token, &ada.refresh_token, &ada.nickname, &ticket, "a sentence", "nonsense", &room, &ada.id];
    let private: Vec<_> = private.iter().map(ToString::to_string).collect();
    let client = "127.0.0.1";
    let log = tokio::task::spawn_blocking(move || program.stop()).await.unwrap();
    let lines: Vec<Value> = log.lines().map(|line| serde_json::from_str(line).expect("each line is JSON")).collect();
    assert!(lines.iter().any(|line| line["route"] == "/api/v1/rooms"), "{log}");
    for line in &lines {
        let text = line.to_string();
        let own_address = line["message"] == "serving";
        assert!(own_address || !text.contains(client), "an address is logged: {text}");
        assert!(!private.iter().any(|word| text.contains(word)), "something private is logged: {text}");
    }
}
