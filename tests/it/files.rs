//! Recorded files as they are fetched, and where they are kept: in a folder, or in a bucket of an S3 server.

use std::io::{BufRead as _, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};

use bytes::Bytes;
use futures_util::TryStreamExt as _;
use parlor::config::Config;
use parlor::domain::{FileId, RecordingId};
use parlor::files::{self, Error, Files, Key};
use reqwest::{Method, StatusCode};
use serde_json::{Value, json};
use uuid::Uuid;

use crate::harness::{Person, Server, until};
use crate::projector::Projector;
use crate::recording::{call_of, colour, download, grown, ready, sha256, show, start, stop};
use crate::uploads::{id_of, text, uploaded};

/// A recording of one person, ready.
async fn recorded(server: &Server, person: &Person) -> Value {
    let room = person.create(json!({"kind": "call", "name": "Frîday/../\"x\"", "visibility": "public"})).await;
    let call = call_of(person, &room).await;
    let mut host = Projector::start(person, &room, colour("red", 440)).await;
    let id = start(person, &mut host.socket, &call).await;
    grown(&server.folder().join("data"), &id, 1, 20_000).await;
    stop(person, &call).await;
    ready(person, &id).await
}

fn soon(config: &mut Config) {
    config.recording.notice_ms = 50;
    config.recording.retry_s = 1;
}

/// The path of a recording's first file.
fn path_of(recording: &Value) -> String {
    let file = &recording["files"][0];
    format!("/recordings/{}/files/{}", recording["recordingId"].as_str().unwrap(), file["fileId"].as_str().unwrap())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_file_is_fetched_whole_in_parts_and_only_if_it_is_the_same() {
    let server = Server::start_with(soon).await;
    let olga = server.enter("olga").await;
    let recording = recorded(&server, &olga).await;
    let (path, file) = (path_of(&recording), &recording["files"][0]);
    let (size, hash) = (file["sizeBytes"].as_u64().unwrap(), file["sha256"].as_str().unwrap().to_owned());
    let tag = format!("\"{hash}\"");
    let get = async |headers: &[(&str, &str)]| {
        let response = olga.fetch(&path, headers).await;
        let header = |name: &str| response.headers().get(name).map(|it| it.to_str().unwrap().to_owned());
        let told = (response.status().as_u16(), header("content-range"), header("content-length"));
        assert!(response.headers().get("content-encoding").is_none());
        (told, response.bytes().await.unwrap())
    };
    let whole = olga.fetch(&path, &[("accept-encoding", "gzip")]).await;
    for (name, value) in [
        ("content-type", "video/webm"),
        ("etag", tag.as_str()),
        ("accept-ranges", "bytes"),
        ("cache-control", "private, no-cache"),
        ("x-content-type-options", "nosniff"),
        ("content-length", &size.to_string()),
    ] {
        assert_eq!(whole.headers()[name], value, "{name}");
    }
    let disposition = whole.headers()["content-disposition"].to_str().unwrap().to_owned();
    let name = disposition.strip_prefix("attachment; filename=\"").and_then(|it| it.strip_suffix('"')).unwrap();
    let is_plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_');
    let (stem, ending) = name.split_once('.').unwrap();
    assert!(stem.starts_with("Fr-day----") && stem.ends_with("-olga") && stem.chars().all(is_plain), "{name}");
    assert_eq!(ending, "webm");
    let whole = whole.bytes().await.unwrap();
    assert_eq!(sha256(&whole), hash);

    // A download that broke off goes on where it was.
    let half = size / 2;
    let (told, first) = get(&[("range", &format!("bytes=0-{}", half - 1))]).await;
    assert_eq!(told, (206, Some(format!("bytes 0-{}/{size}", half - 1)), Some(half.to_string())));
    let (told, second) = get(&[("range", &format!("bytes={half}-")), ("if-range", &tag)]).await;
    assert_eq!(told, (206, Some(format!("bytes {half}-{}/{size}", size - 1)), Some((size - half).to_string())));
    assert_eq!(sha256(&[first, second].concat()), hash);
    assert_eq!(get(&[("range", "bytes=-7")]).await.1, whole.slice(whole.len() - 7..));
    // Of another file the rest is of no use: the whole is sent.
    for other in ["\"another\"", &format!("W/{tag}"), "Fri, 20 Nov 2026 10:00:00 GMT"] {
        let (told, bytes) = get(&[("range", "bytes=5-"), ("if-range", other)]).await;
        assert_eq!((told.0, bytes.len() as u64), (200, size), "{other}");
    }
    for senseless in ["bytes=9-5", "bytes=a-b", "bytes=", "lines=1-2", "bytes=0-1,3-4", "bytes=1-2-3", "nonsense"] {
        let (told, bytes) = get(&[("range", senseless)]).await;
        assert_eq!((told.0, bytes.len() as u64), (200, size), "{senseless}");
    }
    for beyond in [format!("bytes={size}-"), "bytes=99999999999999999999999-".to_owned(), "bytes=-0".to_owned()] {
        let (told, body) = get(&[("range", &beyond)]).await;
        assert_eq!((told.0, told.1), (416, Some(format!("bytes */{size}"))), "{beyond}");
        let problem: Value = serde_json::from_slice(&body).unwrap();
        assert_eq!((&problem["code"], &problem["extra"]["sizeBytes"]), (&json!("range_not_satisfiable"), &json!(size)));
    }
    let (told, body) = get(&[("if-none-match", &format!("\"x\", W/{tag}"))]).await;
    assert_eq!((told.0, body.len()), (304, 0));
    let head = olga.ask(Method::HEAD, &path, None).await;
    assert_eq!(
        (head.status, head.header("content-length"), head.header("etag")),
        (StatusCode::OK, &*size.to_string(), &*tag)
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_file_is_for_those_who_are_in_it_and_for_hosts() {
    let server = Server::start_with(soon).await;
    let (olga, cleo) = (server.enter("olga").await, server.enter("cleo").await);
    let recording = recorded(&server, &olga).await;
    let (path, id) = (path_of(&recording), recording["recordingId"].as_str().unwrap());
    server.anonymous().get(&format!("/api/v1{path}")).await.refused(401, "unauthenticated");
    for path in [path.clone(), format!("/recordings/{id}"), format!("/recordings/{id}/composed")] {
        cleo.get(&path).await.refused(404, "not_found");
    }
    cleo.post(&format!("{path}/link"), json!({})).await.refused(404, "not_found");
    cleo.ask(Method::DELETE, &path, None).await.refused(404, "not_found");
    cleo.ask(Method::DELETE, &format!("/recordings/{id}"), None).await.refused(404, "not_found");
    for climbing in ["..%2f..%2f..%2fetc%2fpasswd", "%2e%2e", "..%5c..", "a%00b", "files"] {
        olga.get(&format!("/recordings/{id}/files/{climbing}")).await.refused(404, "not_found");
        olga.get(&format!("/recordings/{climbing}/files/{id}")).await.refused(404, "not_found");
    }
    olga.get(&format!("/recordings/{id}/files/{}", Uuid::now_v7())).await.refused(404, "not_found");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_link_opens_one_file_for_an_hour() {
    let server = Server::start_with(soon).await;
    let olga = server.enter("olga").await;
    let recording = recorded(&server, &olga).await;
    let path = path_of(&recording);
    let link = olga.post(&format!("{path}/link"), json!({})).await.expect(StatusCode::OK);
    let (url, expires_at) = (link["url"].as_str().unwrap(), link["expiresAt"].as_str().unwrap());
    let left_s = expires_at.parse::<parlor::domain::Time>().unwrap().as_s() - parlor::domain::Time::now().as_s();
    assert!((3_500..=3_600).contains(&left_s), "{expires_at}");
    let anybody = server.anonymous();
    let part = anybody.request(Method::GET, url).header("range", "bytes=0-9").send().await.unwrap();
    assert_eq!((part.status(), part.bytes().await.unwrap().len()), (StatusCode::PARTIAL_CONTENT, 10));
    // Nothing in it can be changed.
    let change = |from: &str, to: &str| url.replacen(from, to, 1);
    let other = Uuid::now_v7().to_string();
    let id = recording["recordingId"].as_str().unwrap();
    for (wrong, code) in [
        (change(recording["files"][0]["fileId"].as_str().unwrap(), &other), "token_invalid"),
        (change(id, &other), "token_invalid"),
        (change(&olga.id, &other), "token_invalid"),
        (change("expires=1", "expires=2"), "token_invalid"),
        (format!("{url}0"), "token_invalid"),
        (url.split("&signature").next().unwrap().to_owned(), "unauthenticated"),
    ] {
        anybody.get(&wrong).await.refused(401, code);
    }
    // It opens no other door, and dies with the file.
    anybody.get(&url.replace(&path, &format!("{path}/link"))).await.refused(404, "not_found");
    olga.ask(Method::DELETE, &path, None).await.expect(StatusCode::NO_CONTENT);
    anybody.get(url).await.refused(404, "not_found");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_deleted_is_gone() {
    let server = Server::start_with(soon).await;
    let olga = server.enter("olga").await;
    let recording = recorded(&server, &olga).await;
    let (path, id) = (path_of(&recording), recording["recordingId"].as_str().unwrap());
    let stored = server.folder().join("data/files/recordings").join(id);
    assert!(stored.join(recording["files"][0]["fileId"].as_str().unwrap()).exists());
    olga.ask(Method::DELETE, &path, None).await.expect(StatusCode::NO_CONTENT);
    olga.get(&path).await.refused(404, "not_found");
    olga.ask(Method::DELETE, &path, None).await.refused(404, "not_found");
    assert_eq!(show(&olga, id).await["files"], json!([]));
    olga.ask(Method::DELETE, &format!("/recordings/{id}"), None).await.expect(StatusCode::NO_CONTENT);
    olga.get(&format!("/recordings/{id}")).await.refused(404, "not_found");
    let left = std::fs::read_dir(&stored).into_iter().flatten().count();
    assert_eq!(left, 0, "nothing of it is left");
    // What runs is not deleted.
    let room = olga.create_room("call", "public").await;
    let call = call_of(&olga, &room).await;
    let mut host = Projector::start(&olga, &room, colour("red", 440)).await;
    let id = start(&olga, &mut host.socket, &call).await;
    olga.ask(Method::DELETE, &format!("/recordings/{id}"), None).await.refused(409, "conflict");
    grown(&server.folder().join("data"), &id, 1, 1_000).await;
    let growing = show(&olga, &id).await;
    let path = path_of(&growing);
    olga.ask(Method::DELETE, &path, None).await.refused(409, "conflict");
    olga.get(&path).await.refused(503, "unavailable");
}

/// An S3 server on a free port, with one bucket, until it is dropped.
struct S3 {
    server: Child,
    port: u16,
}

impl S3 {
    async fn start(port: u16) -> Self {
        let program = Path::new(env!("CARGO_MANIFEST_DIR")).join("tools/s3/bin/moto_server");
        assert!(program.exists(), "the S3 server is missing: run scripts/setup test");
        let mut server = Command::new(program)
            .args(["-H", "127.0.0.1", "-p", &port.to_string()])
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        // It says where it is, and then a line for each request, which somebody has to take.
        let mut lines = BufReader::new(server.stderr.take().unwrap()).lines();
        let place =
            lines.by_ref().find_map(|line| line.unwrap().split_once("http://127.0.0.1:").map(|(_, it)| it.to_owned()));
        let port = place.expect("it says where it is").trim().parse().unwrap();
        std::thread::spawn(move || lines.for_each(drop));
        let made = reqwest_put(&format!("http://127.0.0.1:{port}/parlor")).await;
        assert_eq!(made, StatusCode::OK);
        Self { server, port }
    }

    fn settings(&self) -> files::Config {
        files::Config {
            bucket: Some("parlor".into()),
            endpoint: Some(format!("http://127.0.0.1:{}", self.port)),
            access_key: Some("a-key".into()),
            secret_key: Some("hush".into()),
            allow_http: true,
            prefix: "rooms/".into(),
            ..files::Config::default()
        }
    }
}

impl Drop for S3 {
    fn drop(&mut self) {
        self.server.kill().ok();
        self.server.wait().ok();
    }
}

async fn reqwest_put(url: &str) -> StatusCode {
    tokio_rustls::rustls::crypto::ring::default_provider().install_default().ok();
    reqwest::Client::new().put(url).send().await.unwrap().status()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_bucket_keeps_what_a_folder_keeps() {
    let s3 = S3::start(0).await;
    let folder = tempfile::tempdir().unwrap();
    let files = Files::open(&s3.settings(), folder.path()).unwrap();
    files.check().await.unwrap();
    // Evidence: small, in one piece.
    let evidence = Key::Evidence(Uuid::now_v7());
    files.put(evidence, Bytes::from_static(b"0123456789")).await.unwrap();
    assert_eq!(files.bytes(evidence).await.unwrap(), "0123456789");
    assert_eq!(files.size(evidence).await.unwrap(), 10);
    // A recording: in parts of 8 MiB.
    let recording = Key::Recording(RecordingId::new(), FileId::new());
    let content: Vec<u8> = (0..5_000_000_u32).flat_map(u32::to_be_bytes).collect();
    let from = folder.path().join("a.part");
    std::fs::write(&from, &content).unwrap();
    files.put_file(recording, &from).await.unwrap();
    assert!(!from.exists() && files.path(recording).is_none());
    let pieces: Vec<Bytes> =
        files.read_range(recording, 9_000_001..19_999_999).await.unwrap().try_collect().await.unwrap();
    assert_eq!(pieces.concat(), content[9_000_001..19_999_999]);
    files.fetch(recording, &from).await.unwrap();
    assert_eq!(std::fs::read(&from).unwrap(), content);
    for key in [evidence, recording] {
        files.delete(key).await.unwrap();
        files.delete(key).await.unwrap();
        assert!(matches!(files.size(key).await, Err(Error::Missing)));
        assert!(matches!(files.read_range(key, 0..1).await, Err(Error::Missing)));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_recording_goes_to_the_bucket_once_it_answers() {
    // A port that nobody listens on, for the time being.
    let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let nowhere = S3 { server: Command::new("true").spawn().unwrap(), port };
    let settings = nowhere.settings();
    let server = Server::start_with(|config| {
        soon(config);
        config.files = settings.clone();
    })
    .await;
    let olga = server.enter("olga").await;
    let room = olga.create_room("call", "public").await;
    let call = call_of(&olga, &room).await;
    let mut host = Projector::start(&olga, &room, colour("red", 440)).await;
    let id = start(&olga, &mut host.socket, &call).await;
    let data = server.folder().join("data");
    grown(&data, &id, 1, 20_000).await;
    stop(&olga, &call).await;
    let finished = until("the file is whole, and waits", async || {
        let shown = show(&olga, &id).await;
        assert_eq!(shown["state"], "finishing", "{shown}");
        (shown["files"][0]["state"] == "finishing").then_some(shown)
    })
    .await;
    olga.get(&path_of(&finished)).await.refused(503, "unavailable");
    grown(&data, &id, 1, finished["files"][0]["sizeBytes"].as_u64().unwrap()).await;

    let _s3 = S3::start(port).await;
    let recording = ready(&olga, &id).await;
    let folder = tempfile::tempdir().unwrap();
    download(&olga, &recording, &recording["files"][0], folder.path()).await;
    let part = olga.fetch(&path_of(&recording), &[("range", "bytes=100-199")]).await;
    assert_eq!((part.status(), part.bytes().await.unwrap().len()), (StatusCode::PARTIAL_CONTENT, 100));
    until("nothing is left here", async || (!data.join("recordings").join(&id).exists()).then_some(())).await;
    assert!(!data.join("files").exists());
    olga.ask(Method::DELETE, &format!("/recordings/{id}"), None).await.expect(StatusCode::NO_CONTENT);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_people_send_goes_to_the_bucket() {
    let s3 = S3::start(0).await;
    let settings = s3.settings();
    let server = Server::start_with(|config| config.files = settings.clone()).await;
    let ada = server.enter("ada").await;
    // More than one piece, and more than S3 takes at once.
    let content = text(9_000_000);
    let file = uploaded(&server, &ada, "long.txt", &content).await;
    assert_eq!(file["sha256"], sha256(&content));
    let path = format!("/files/{}", id_of(&file));
    let part = ada.fetch(&path, &[("range", "bytes=8500000-8500099")]).await;
    assert_eq!(part.status(), StatusCode::PARTIAL_CONTENT);
    assert_eq!(part.bytes().await.unwrap(), content[8_500_000..8_500_100]);
    assert_eq!(sha256(&ada.fetch(&path, &[]).await.bytes().await.unwrap()), sha256(&content));
    assert!(!server.folder().join("data/files").exists());
    let (folder, id) = (tempfile::tempdir().unwrap(), id_of(&file).parse().unwrap());
    let files = Files::open(&settings, folder.path()).unwrap();
    assert_eq!(files.size(Key::Attachment(id)).await.unwrap(), 9_000_000);
    ada.ask(Method::DELETE, &format!("/uploads/{id}"), None).await.expect(StatusCode::NO_CONTENT);
    until("its bytes are gone", async || files.size(Key::Attachment(id)).await.is_err().then_some(())).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_check_says_that_a_bucket_does_not_answer() {
    let folder = tempfile::tempdir().unwrap();
    let mut config = crate::harness::settings(&folder);
    std::fs::create_dir_all(&config.web_dir).unwrap();
    std::fs::write(config.web_dir.join("index.html"), "page").unwrap();
    let s3 = S3::start(0).await;
    config.files = s3.settings();
    let said = |found: Vec<parlor::check::Finding>| found.iter().map(ToString::to_string).collect::<Vec<_>>();
    assert_eq!(said(parlor::check::findings(&config).await), [""; 0]);
    config.files.bucket = Some("another".into());
    let findings = said(parlor::check::findings(&config).await);
    assert!(findings.len() == 1 && findings[0].starts_with("The bucket for files (PARLOR_FILES__…) does not work: "));
    config.files.secret_key = None;
    let missing = "Files cannot be kept: a bucket needs PARLOR_FILES__ACCESS_KEY and PARLOR_FILES__SECRET_KEY.";
    assert_eq!(said(parlor::check::findings(&config).await), [missing]);
}
