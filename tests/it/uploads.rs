//! Files of messages: uploading by both ways, what is looked at, who may fetch, what goes.

use std::io::Cursor;
use std::net::TcpListener;
use std::process::Command;

use futures_util::stream;
use image::{DynamicImage, ImageFormat, RgbImage};
use parlor::domain::{FileId, MessageId, RoomId};
use parlor::store::{self, Store};
use reqwest::{Body, Method, StatusCode};
use serde_json::{Value, json};
use tokio::io::AsyncWriteExt as _;
use tokio::net::TcpStream;

use crate::clamd;
use crate::film;
use crate::harness::{Answer, Person, Server, answer, until};
use crate::recording::sha256;

const TUS: (&str, &str) = ("tus-resumable", "1.0.0");
const PART: (&str, &str) = ("content-type", "application/offset+octet-stream");

/// A request of that person with headers and bytes.
async fn ask(
    server: &Server,
    person: &Person,
    method: Method,
    path: &str,
    headers: &[(&str, &str)],
    body: Vec<u8>,
) -> Answer {
    let request = server.anonymous().request(method, &format!("/api/v1{path}")).bearer_auth(&person.token).body(body);
    answer(headers.iter().fold(request, |request, (name, value)| request.header(*name, *value))).await
}

/// Sends a file as a form.
pub(crate) async fn form(server: &Server, person: &Person, name: &str, bytes: &[u8]) -> Answer {
    let mut body = format!(
        "--x\r\nContent-Disposition: form-data; name=\"note\"\r\n\r\nhello\r\n\
         --x\r\nContent-Disposition: form-data; name=\"file\"; filename=\"{name}\"\r\nContent-Type: text/x-lie\r\n\r\n"
    )
    .into_bytes();
    body.extend(bytes);
    body.extend(b"\r\n--x--\r\n");
    ask(server, person, Method::POST, "/uploads", &[("content-type", "multipart/form-data; boundary=x")], body).await
}

/// Begins an upload in parts; its path.
async fn begin(server: &Server, person: &Person, name: &str, size: usize) -> String {
    let made = begin_with(server, person, name, &size.to_string()).await;
    assert_eq!(made.status, StatusCode::CREATED, "{}", made.text);
    assert_eq!((made.header("tus-resumable"), made.header("upload-offset")), ("1.0.0", "0"));
    assert!(made.header("upload-expires").ends_with(" GMT"));
    made.header("location").strip_prefix("/api/v1").unwrap().to_owned()
}

async fn begin_with(server: &Server, person: &Person, name: &str, size: &str) -> Answer {
    use base64::Engine as _;
    let metadata = format!("filename {}", base64::engine::general_purpose::STANDARD.encode(name));
    let headers = [TUS, ("upload-length", size), ("upload-metadata", &metadata)];
    ask(server, person, Method::POST, "/uploads", &headers, Vec::new()).await
}

async fn part(server: &Server, person: &Person, path: &str, offset: usize, bytes: &[u8]) -> Answer {
    let headers = [TUS, PART, ("upload-offset", &offset.to_string())];
    ask(server, person, Method::PATCH, path, &headers, bytes.to_vec()).await
}

async fn offset(server: &Server, person: &Person, path: &str) -> usize {
    let head = ask(server, person, Method::HEAD, path, &[TUS], Vec::new()).await;
    assert_eq!((head.status, head.header("cache-control")), (StatusCode::OK, "no-store"));
    head.header("upload-offset").parse().unwrap()
}

/// Waits until a file was looked at.
pub(crate) async fn looked_at(person: &Person, id: &str) -> Value {
    until("somebody looks at the file", async || {
        let shown = person.get(&format!("/uploads/{id}")).await.expect(StatusCode::OK);
        (!matches!(shown["state"].as_str(), Some("scanning" | "uploading"))).then_some(shown)
    })
    .await
}

/// A file of that person that was looked at and is clean.
pub(crate) async fn uploaded(server: &Server, person: &Person, name: &str, bytes: &[u8]) -> Value {
    let made = form(server, person, name, bytes).await.expect(StatusCode::CREATED);
    let shown = looked_at(person, made["fileId"].as_str().unwrap()).await;
    assert_eq!(shown["state"], "clean", "{shown}");
    shown
}

pub(crate) fn id_of(file: &Value) -> &str {
    file["fileId"].as_str().unwrap()
}

/// Bytes that are text, and of which no two places are the same.
pub(crate) fn text(length: usize) -> Vec<u8> {
    (0..length / 8 + 1).flat_map(|n| format!("{n:07}\n").into_bytes()).take(length).collect()
}

fn picture(width: u32, height: u32, format: ImageFormat) -> Vec<u8> {
    let picture = RgbImage::from_fn(width, height, |x, y| image::Rgb([x as u8, y as u8, 80]));
    let mut bytes = Cursor::new(Vec::new());
    DynamicImage::from(picture).write_to(&mut bytes, format).unwrap();
    bytes.into_inner()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_form_is_taken_and_its_file_fetched() {
    let server = Server::start().await;
    let ada = server.enter("ada").await;
    let mut socket = ada.connect().await;
    let content = text(100_000);
    let file = uploaded(&server, &ada, "..\\..\\Gr\u{fc}\u{df}e/notes.html", &content).await;
    let id = id_of(&file);
    assert_eq!(
        (&file["name"], &file["mediaType"], &file["kind"]),
        (&json!("notes.html.txt"), &json!("text/plain"), &json!("file"))
    );
    assert_eq!((&file["sizeBytes"], &file["receivedBytes"]), (&json!(100_000), &json!(100_000)));
    assert_eq!(file["sha256"], sha256(&content));
    let told = socket.next_of("file.checked").await;
    assert_eq!((&told["data"]["fileId"], &told["data"]["state"]), (&file["fileId"], &json!("clean")));

    let path = format!("/files/{id}");
    let whole = ada.fetch(&path, &[("accept-encoding", "gzip")]).await;
    let tag = format!("\"{}\"", sha256(&content));
    for (name, value) in [
        ("content-type", "text/plain"),
        ("content-disposition", "attachment; filename=\"notes.html.txt\"; filename*=UTF-8''notes.html.txt"),
        ("x-content-type-options", "nosniff"),
        ("accept-ranges", "bytes"),
        ("etag", &tag),
    ] {
        assert_eq!(whole.headers()[name], value, "{name}");
    }
    assert!(whole.headers()["content-security-policy"].to_str().unwrap().contains("sandbox"));
    let some = ada.fetch(&path, &[("range", "bytes=8-15")]).await;
    assert_eq!((some.status(), &some.bytes().await.unwrap()[..]), (StatusCode::PARTIAL_CONTENT, &b"0000001\n"[..]));
    assert_eq!(ada.fetch(&path, &[("if-none-match", &tag)]).await.status(), StatusCode::NOT_MODIFIED);
    ada.get(&format!("{path}/thumbnail")).await.refused(404, "not_found");

    let bob = server.enter("bob").await;
    bob.get(&path).await.refused(404, "not_found");
    bob.get(&format!("/uploads/{id}")).await.refused(404, "not_found");
    bob.ask(Method::DELETE, &format!("/uploads/{id}"), None).await.refused(404, "not_found");
    server.anonymous().get(&format!("/api/v1{path}")).await.refused(401, "unauthenticated");
    for climbing in ["..%2f..%2fsecret", "%2e%2e", "a%00b"] {
        ada.get(&format!("/files/{climbing}")).await.refused(404, "not_found");
    }
    ada.ask(Method::DELETE, &format!("/uploads/{id}"), None).await.expect(StatusCode::NO_CONTENT);
    ada.get(&path).await.refused(404, "not_found");
    let stored = server.folder().join("data/files");
    until("nothing of it is left", async || {
        let left = [stored.join("attachments").join(id), stored.join("uploads").join(id)];
        left.iter().all(|it| !it.is_file() && std::fs::read_dir(it).into_iter().flatten().count() == 0).then_some(())
    })
    .await;
}

/// Sends the head of a PATCH and some of its body, and no more.
async fn broken_part(
    server: &Server,
    person: &Person,
    path: &str,
    offset: usize,
    announced: usize,
    sent: &[u8],
) -> TcpStream {
    let mut stream = TcpStream::connect(server.running().address).await.unwrap();
    let head = format!(
        "PATCH /api/v1{path} HTTP/1.1\r\nhost: x\r\nauthorization: Bearer {}\r\ntus-resumable: 1.0.0\r\n\
         content-type: application/offset+octet-stream\r\nupload-offset: {offset}\r\ncontent-length: {announced}\r\n\r\n",
        person.token
    );
    stream.write_all(head.as_bytes()).await.unwrap();
    stream.write_all(sent).await.unwrap();
    stream
}

#[tokio::test(flavor = "multi_thread")]
async fn an_upload_goes_on_where_it_broke_off() {
    let server = Server::start().await;
    let ada = server.enter("ada").await;
    let content = text(50_000);
    let path = begin(&server, &ada, "long.txt", content.len()).await;
    drop(broken_part(&server, &ada, &path, 0, 50_000, &content[..9_001]).await);
    until("what came is kept", async || (offset(&server, &ada, &path).await == 9_001).then_some(())).await;
    part(&server, &ada, &path, 9_000, &content[9_000..]).await.refused(409, "conflict");
    part(&server, &ada, &path, 50_000, b"x").await.refused(409, "conflict");
    let more = part(&server, &ada, &path, 9_001, &content[9_001..20_000]).await;
    assert_eq!((more.status, more.header("upload-offset")), (StatusCode::NO_CONTENT, "20000"));
    // A restart in the middle is one more break.
    let folder = server.stop().await;
    let server = Server::start_in(folder, |_| {}).await;
    let ada = ada.at(&server.base);
    assert_eq!(offset(&server, &ada, &path).await, 20_000);
    let bob = server.enter("bob").await;
    part(&server, &bob, &path, 20_000, b"x").await.refused(404, "not_found");
    // Nobody sees what is not there yet.
    let id = path.rsplit('/').next().unwrap();
    ada.get(&format!("/files/{id}")).await.refused(409, "conflict");
    assert_eq!(part(&server, &ada, &path, 20_000, &content[20_000..]).await.status, StatusCode::NO_CONTENT);
    assert_eq!(looked_at(&ada, id).await["sha256"], sha256(&content));
    let fetched = ada.fetch(&format!("/files/{id}"), &[]).await.bytes().await.unwrap();
    assert_eq!(&fetched[..], &content[..]);
    part(&server, &ada, &path, 50_000, b"x").await.refused(409, "conflict");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_newest_of_two_writers_wins() {
    let server = Server::start().await;
    let ada = server.enter("ada").await;
    let content = text(30_000);
    let path = begin(&server, &ada, "two.txt", content.len()).await;
    // The first hangs: its connection stays open and says nothing more.
    let first = broken_part(&server, &ada, &path, 0, 30_000, &content[..5_000]).await;
    let mut stands = 0;
    until("the second gets its turn", async || {
        let answer = part(&server, &ada, &path, stands, &content[stands..]).await;
        stands = offset(&server, &ada, &path).await;
        (answer.status == StatusCode::NO_CONTENT && stands == 30_000).then_some(())
    })
    .await;
    drop(first);
    let id = path.rsplit('/').next().unwrap();
    assert_eq!(looked_at(&ada, id).await["sha256"], sha256(&content));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_silent_body_ends_its_part() {
    let server = Server::start_with(|config| config.files.upload_idle_ms = 50).await;
    let ada = server.enter("ada").await;
    let path = begin(&server, &ada, "slow.txt", 1_000).await;
    let _held = broken_part(&server, &ada, &path, 0, 1_000, &text(300)).await;
    until("what came is kept", async || (offset(&server, &ada, &path).await == 300).then_some(())).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_not_taken_is_told() {
    let server = Server::start_with(|config| {
        config.files.max_file_bytes = 10_000;
        config.files.user_quota_bytes = 25_000;
        config.files.unfinished_uploads = 2;
    })
    .await;
    let ada = server.enter("ada").await;
    for (name, bytes, status, code) in [
        ("a.jpg", &b"<!doctype html><script>alert(1)</script>"[..], 415, "unsupported_media_type"),
        ("a.png", b"<svg onload='alert(1)'/>", 415, "unsupported_media_type"),
        ("a.txt", b"MZ\x90\0\x03\0\0\0\x04\0\0\0\xff\xff", 415, "unsupported_media_type"),
        ("a.txt", b"#!/bin/sh\nrm -rf /\n", 415, "unsupported_media_type"),
        ("a.txt", b"\0\x01\x02\x03", 415, "unsupported_media_type"),
        ("a.txt", &picture(4, 4, ImageFormat::Png), 403, "feature_off"),
        ("a.txt", b"\0\0\0\x18ftypmp42\0\0\0\0mp42isom", 403, "feature_off"),
        ("a.txt", b"", 400, "bad_request"),
        ("a.txt", &text(10_001), 413, "too_large"),
    ] {
        form(&server, &ada, name, bytes).await.refused(status, code);
    }
    // A form that breaks off leaves nothing; one without a file is none.
    let kind = [("content-type", "multipart/form-data; boundary=x")];
    let half = b"--x\r\nContent-Disposition: form-data; name=\"file\"; filename=\"a\"\r\n\r\nhalf".to_vec();
    ask(&server, &ada, Method::POST, "/uploads", &kind, half).await.refused(400, "bad_request");
    ask(&server, &ada, Method::POST, "/uploads", &kind, b"--x--\r\n".to_vec()).await.refused(400, "bad_request");
    ask(&server, &ada, Method::POST, "/uploads", &[], b"x".to_vec()).await.refused(415, "unsupported_media_type");

    for (size, status, code) in
        [("0", 400, "bad_request"), ("-1", 400, "bad_request"), ("10001", 413, "too_large"), ("x", 400, "bad_request")]
    {
        begin_with(&server, &ada, "a.txt", size).await.refused(status, code);
    }
    let other = [("tus-resumable", "0.2.2"), ("upload-length", "10")];
    let refused = ask(&server, &ada, Method::POST, "/uploads", &other, Vec::new()).await;
    refused.refused(412, "precondition_failed");
    assert_eq!(refused.header("tus-resumable"), "1.0.0");
    ask(&server, &ada, Method::POST, "/uploads", &[TUS], Vec::new()).await.refused(400, "bad_request");

    let first = begin(&server, &ada, "a.txt", 10_000).await;
    part(&server, &ada, &first, 0, &text(10_001)).await.refused(413, "too_large");
    ask(&server, &ada, Method::HEAD, &first, &[TUS], Vec::new()).await;
    let first = begin(&server, &ada, "a.txt", 10_000).await;
    let headers = [TUS, ("upload-offset", "0"), ("content-type", "text/plain")];
    ask(&server, &ada, Method::PATCH, &first, &headers, text(10)).await.refused(415, "unsupported_media_type");
    ask(&server, &ada, Method::PATCH, &first, &[TUS, PART], text(10)).await.refused(400, "bad_request");
    begin(&server, &ada, "b.txt", 10_000).await;
    let told = begin_with(&server, &ada, "c.txt", "1").await.refused(413, "quota_full");
    assert_eq!(told["extra"], json!({"what": "unfinishedUploads", "limit": 2}));
    ask(&server, &ada, Method::DELETE, &first, &[TUS], Vec::new()).await.expect(StatusCode::NO_CONTENT);
    ask(&server, &ada, Method::DELETE, &first, &[TUS], Vec::new()).await.refused(404, "not_found");
    uploaded(&server, &ada, "c.txt", &text(9_000)).await;
    let told = begin_with(&server, &ada, "d.txt", "6001").await.refused(413, "quota_full");
    assert_eq!(told["extra"], json!({"what": "bytes", "limit": 25_000}));

    let taken = ask(&server, &ada, Method::OPTIONS, "/uploads", &[], Vec::new()).await;
    assert_eq!((taken.header("tus-version"), taken.header("tus-max-size")), ("1.0.0", "104857600"));
    assert!(taken.header("tus-extension").contains("termination"));
}

#[tokio::test(flavor = "multi_thread")]
async fn uploads_are_counted_by_the_hour_and_may_be_off() {
    let server = Server::start_with(|config| {
        config.limit_exempt.clear();
        config.limit.upload.burst = 2;
    })
    .await;
    let ada = server.enter("ada").await;
    for _ in 0..2 {
        form(&server, &ada, "a.txt", b"hello").await.expect(StatusCode::CREATED);
    }
    let refused = form(&server, &ada, "a.txt", b"hello").await.refused(429, "rate_limited");
    assert_eq!(refused["extra"]["limit"], "upload");
    assert!((100_000..=180_000).contains(&refused["retryAfterMs"].as_u64().unwrap()), "{refused}");
    let off = Server::start_with(|config| config.files.uploads = false).await;
    let bob = off.enter("bob").await;
    let told = form(&off, &bob, "a.txt", b"hello").await.refused(403, "feature_off");
    assert_eq!(told["extra"]["feature"], "files");
    // That is said before anything of a body is read.
    let endless = Body::wrap_stream(stream::pending::<Result<Vec<u8>, std::io::Error>>());
    let request = off.anonymous().request(Method::POST, "/api/v1/uploads").bearer_auth(&bob.token).body(endless);
    answer(request.header("content-type", "multipart/form-data; boundary=x")).await.refused(403, "feature_off");
}

fn with_media(config: &mut parlor::config::Config) {
    config.files.anonymous_kinds.extend(["image".to_owned(), "video".to_owned()]);
    config.files.max_pixels = 1_000_000;
}

#[tokio::test(flavor = "multi_thread")]
async fn pictures_lose_their_notes_and_get_small_ones() {
    let server = Server::start_with(with_media).await;
    let ada = server.enter("ada").await;
    let plain = picture(800, 600, ImageFormat::Jpeg);
    let mut noted = vec![0xff, 0xd8, 0xff, 0xfe, 0, 10];
    noted.extend(b"GPS-NOTE");
    noted.extend(&plain[2..]);
    noted.extend(b"behind the end: GPS-NOTE");
    let file = uploaded(&server, &ada, "cat.png", &noted).await;
    assert_eq!(
        (&file["name"], &file["mediaType"], &file["kind"]),
        (&json!("cat.png.jpg"), &json!("image/jpeg"), &json!("image"))
    );
    assert_eq!((&file["width"], &file["height"], &file["thumbnail"]), (&json!(800), &json!(600), &json!(true)));
    let path = format!("/files/{}", id_of(&file));
    let fetched = ada.fetch(&path, &[]).await;
    assert!(fetched.headers()["content-disposition"].to_str().unwrap().starts_with("inline; "));
    let fetched = fetched.bytes().await.unwrap();
    assert!(!fetched.windows(8).any(|it| it == b"GPS-NOTE"));
    assert_eq!(file["sha256"], sha256(&fetched));
    assert_eq!(file["sizeBytes"], fetched.len());
    let small = ada.fetch(&format!("{path}/thumbnail"), &[]).await;
    assert_eq!(small.headers()["content-type"], "image/jpeg");
    let small = image::load_from_memory(&small.bytes().await.unwrap()).unwrap();
    assert_eq!((small.width(), small.height()), (400, 300));

    for (bytes, fault) in [
        (picture(1_100, 1_000, ImageFormat::Gif), "tooManyPixels"),
        (plain[..300].to_vec(), "unreadable"),
        (b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR<script>".to_vec(), "unreadable"),
    ] {
        let made = form(&server, &ada, "bad", &bytes).await.expect(StatusCode::CREATED);
        let shown = looked_at(&ada, id_of(&made)).await;
        assert_eq!((&shown["state"], &shown["fault"]), (&json!("failed"), &json!(fault)));
        ada.get(&format!("/files/{}", id_of(&made))).await.refused(404, "not_found");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn films_are_looked_into_and_lose_their_notes() {
    let server = Server::start_with(with_media).await;
    let ada = server.enter("ada").await;
    let made = server.folder().join("film.webm");
    let source = ["-v", "error", "-f", "lavfi", "-i", "testsrc=d=1:s=320x180:r=10", "-metadata", "title=GPS-NOTE"];
    let done = Command::new("ffmpeg").args(source).args(["-c:v", "libvpx"]).arg(&made).status().unwrap();
    assert!(done.success());
    let film = std::fs::read(&made).unwrap();
    assert!(film.windows(8).any(|it| it == b"GPS-NOTE"));
    let file = uploaded(&server, &ada, "film.webm", &film).await;
    assert_eq!(
        (&file["kind"], &file["mediaType"], &file["durationMs"]),
        (&json!("video"), &json!("video/webm"), &json!(1_000))
    );
    assert_eq!((&file["width"], &file["height"], &file["thumbnail"]), (&json!(320), &json!(180), &json!(true)));
    let path = format!("/files/{}", id_of(&file));
    let kept = ada.fetch(&path, &[]).await.bytes().await.unwrap();
    assert!(!kept.windows(8).any(|it| it == b"GPS-NOTE"));
    let small = ada.fetch(&format!("{path}/thumbnail"), &[]).await.bytes().await.unwrap();
    assert_eq!(image::load_from_memory(&small).unwrap().width(), 320);
    // A beginning alone makes no film.
    let mut broken = film[..200].to_vec();
    broken.extend([0; 500]);
    let made = form(&server, &ada, "film.webm", &broken).await.expect(StatusCode::CREATED);
    assert_eq!(looked_at(&ada, id_of(&made)).await["state"], "failed");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_small_film_does_not_become_a_large_one() {
    let server = Server::start_with(with_media).await;
    let ada = server.enter("ada").await;
    let picture = picture(320, 180, ImageFormat::Jpeg);
    for (times, state, fault) in [(10, "clean", json!(null)), (2_000, "failed", json!("tooLarge"))] {
        let film = film::repeating(&picture, times);
        let made = form(&server, &ada, "film.mov", &film).await.expect(StatusCode::CREATED);
        let shown = looked_at(&ada, id_of(&made)).await;
        assert_eq!((&shown["state"], &shown["fault"]), (&json!(state), &fault), "{times} times: {shown}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn whoever_reads_the_message_fetches_its_file() {
    let server = Server::start().await;
    let (ada, bob, cyd) = (server.enter("ada").await, server.enter("bob").await, server.enter("cyd").await);
    let room = ada.create_room("group", "public").await;
    let (_seat, _) = bob.connect_to(&room).await;
    let file = uploaded(&server, &ada, "a.txt", b"for the room").await;
    let path = format!("/files/{}", id_of(&file));
    bob.get(&path).await.refused(404, "not_found");
    let draft = json!({"clientId": "c-1", "content": {"text": "look"}});
    let sent = ada.post(&format!("/rooms/{room}/messages"), draft).await.expect(StatusCode::CREATED);
    let message: MessageId = sent["id"].as_str().unwrap().parse().unwrap();
    let (store, _events) = Store::open(&database_of(&server)).await.unwrap();
    let ids: [FileId; 1] = [id_of(&file).parse().unwrap()];
    let room_id: RoomId = room.parse().unwrap();
    store.attach(&ids, ada.id.parse().unwrap(), room_id, message).await.unwrap().unwrap();
    assert_eq!(bob.fetch(&path, &[]).await.bytes().await.unwrap(), "for the room");
    cyd.get(&path).await.refused(404, "not_found");
    ada.ask(Method::DELETE, &format!("/uploads/{}", id_of(&file)), None).await.refused(409, "conflict");
    ada.ask(Method::DELETE, &format!("/rooms/{room}/members/{}", bob.id), None).await;
    bob.get(&path).await.refused(404, "not_found");
    ada.ask(Method::DELETE, &format!("/rooms/{room}/messages/{message}"), None).await.expect(StatusCode::NO_CONTENT);
    ada.get(&path).await.refused(404, "not_found");
    // The bytes go with the next sweep, which a deletion brings about.
    let other = form(&server, &ada, "b.txt", b"another").await.expect(StatusCode::CREATED);
    ada.ask(Method::DELETE, &format!("/uploads/{}", id_of(&other)), None).await.expect(StatusCode::NO_CONTENT);
    let stored = server.folder().join("data/files/attachments").join(id_of(&file));
    until("its bytes are gone", async || (!stored.exists()).then_some(())).await;
}

fn database_of(server: &Server) -> store::Config {
    let url = server.folder().join("data/parlor.db").to_str().unwrap().to_owned();
    store::Config { url, ..store::Config::default() }
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_is_seen_before_its_scan_ends() {
    // A port that nobody listens on, for the time being.
    let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let with_scanner = move |config: &mut parlor::config::Config| {
        config.files.clamd = Some(format!("127.0.0.1:{port}"));
        config.files.retry_s = 1;
    };
    let server = Server::start_with(with_scanner).await;
    let ada = server.enter("ada").await;
    let held = form(&server, &ada, "held.txt", b"nothing bad").await.expect(StatusCode::CREATED);
    let bad = [b"so harmless: ", clamd::VIRUS].concat();
    let bad = form(&server, &ada, "bad.txt", &bad).await.expect(StatusCode::CREATED);
    assert_eq!(held["state"], "scanning");
    let store = Store::open(&database_of(&server)).await.unwrap().0;
    let held_id: FileId = id_of(&held).parse().unwrap();
    until("it was tried in vain", async || (store.attachment_tries(held_id).await.unwrap() > 0).then_some(())).await;
    ada.get(&format!("/files/{}", id_of(&held))).await.refused(409, "conflict");

    // It waits beyond the end of the server.
    let folder = server.stop().await;
    clamd::serve(TcpListener::bind(("127.0.0.1", port)).unwrap());
    let server = Server::start_in(folder, with_scanner).await;
    let ada = ada.at(&server.base);
    assert_eq!(looked_at(&ada, id_of(&held)).await["state"], "clean");
    assert_eq!(ada.fetch(&format!("/files/{}", id_of(&held)), &[]).await.bytes().await.unwrap(), "nothing bad");
    assert_eq!(looked_at(&ada, id_of(&bad)).await["state"], "infected");
    ada.get(&format!("/files/{}", id_of(&bad))).await.refused(404, "not_found");
    let pieces = server.folder().join("data/files/uploads").join(id_of(&bad));
    until("its bytes are gone", async || (std::fs::read_dir(&pieces).into_iter().flatten().count() == 0).then_some(()))
        .await;
}
