//! Recording calls: who may, what everybody is told, and what comes of it.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::process::Command;

use reqwest::{Method, StatusCode};
use serde_json::{Value, json};

use crate::film::{Film, Shot};
use crate::harness::{Person, Server, Socket, until};
use crate::program::Program;
use crate::projector::{Projector, Show};

/// Somebody whose picture has one colour and whose voice is a tone, for as long as they are there.
pub(crate) fn colour(colour: &str, hertz: u32) -> Show {
    Show {
        sound: Some(Film::opus(&format!("sine=frequency={hertz}"), 2)),
        picture: Some(Film::vp8(&format!("color=c={colour}:size=320x180"), 20, 2, 20)),
        ..Show::default()
    }
}

/// The call of a room.
pub(crate) async fn call_of(person: &Person, room: &str) -> String {
    let answer = person.get(&format!("/rooms/{room}/call")).await.expect(StatusCode::OK);
    answer["callId"].as_str().expect("a call has an id").to_owned()
}

/// Starts a recording, waits until packets are written, and gives its id.
pub(crate) async fn start(person: &Person, socket: &mut Socket, call: &str) -> String {
    let answer = person.post(&format!("/calls/{call}/recording"), json!({})).await.expect(StatusCode::ACCEPTED);
    assert_eq!(answer["state"], "starting", "{answer}");
    let id = answer["recordingId"].as_str().expect("a recording has an id").to_owned();
    let started = socket.next_of("recording.started").await;
    assert_eq!(started["data"]["recordingId"], id.as_str(), "{started}");
    id
}

pub(crate) async fn stop(person: &Person, call: &str) -> Value {
    person.ask(Method::DELETE, &format!("/calls/{call}/recording"), None).await.expect(StatusCode::OK)
}

pub(crate) async fn show(person: &Person, recording: &str) -> Value {
    person.get(&format!("/recordings/{recording}")).await.expect(StatusCode::OK)
}

/// Waits until a recording's files can be fetched.
pub(crate) async fn ready(person: &Person, recording: &str) -> Value {
    until("the recording is ready", async || {
        let shown = show(person, recording).await;
        assert_ne!(shown["state"], "failed", "{shown}");
        (shown["state"] == "ready").then_some(shown)
    })
    .await
}

/// Waits until so many files have grown beyond so many bytes.
pub(crate) async fn grown(data: &Path, recording: &str, files: usize, bytes: u64) {
    let folder = data.join("recordings").join(recording);
    until("the files grow", async || {
        let entries = std::fs::read_dir(&folder).into_iter().flatten().flatten();
        let sizes = entries.filter(|entry| entry.path().extension().is_some_and(|ending| ending == "part"));
        let grown = sizes.filter(|entry| entry.metadata().is_ok_and(|file| file.len() >= bytes));
        (grown.count() >= files).then_some(())
    })
    .await;
}

/// A file as it is downloaded, in a folder of the test.
pub(crate) async fn download(person: &Person, recording: &Value, file: &Value, folder: &Path) -> PathBuf {
    let (recording, id) = (recording["recordingId"].as_str().unwrap(), file["fileId"].as_str().unwrap());
    let response = person.fetch(&format!("/recordings/{recording}/files/{id}"), &[]).await;
    assert_eq!(response.status(), StatusCode::OK);
    let bytes = response.bytes().await.unwrap();
    assert_eq!(sha256(&bytes), file["sha256"].as_str().unwrap());
    assert_eq!(bytes.len() as u64, file["sizeBytes"].as_u64().unwrap());
    let path = folder.join(id);
    std::fs::write(&path, bytes).unwrap();
    path
}

pub(crate) fn sha256(bytes: &[u8]) -> String {
    let digest = ring::digest::digest(&ring::digest::SHA256, bytes);
    digest.as_ref().iter().map(|byte| format!("{byte:02x}")).collect()
}

/// What ffprobe says of a file.
pub(crate) fn probe(file: &Path, arguments: &[&str]) -> Value {
    let output =
        Command::new("ffprobe").args(["-v", "error", "-of", "json"]).args(arguments).arg(file).output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success() && said.is_empty(), "ffprobe of {}: {said}", file.display());
    serde_json::from_slice(&output.stdout).unwrap()
}

/// A pixel of a file's picture at a time, in red, green and blue.
pub(crate) fn pixel(file: &Path, at_s: f64, [x, y]: [u32; 2]) -> [u8; 3] {
    let filter = format!("crop=2:2:{x}:{y},scale=1:1,format=rgb24");
    let seek = at_s.to_string();
    let output = Command::new("ffmpeg")
        .args(["-v", "error", "-nostdin", "-ss", &seek, "-i"])
        .arg(file)
        .args(["-frames:v", "1", "-vf", &filter, "-f", "rawvideo", "pipe:1"])
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    output.stdout.try_into().unwrap_or_else(|got: Vec<u8>| panic!("no picture at {at_s} s: {got:?}"))
}

/// Is it about that colour?
#[track_caller]
pub(crate) fn is_about(found: [u8; 3], wanted: [u8; 3]) {
    let far = found.iter().zip(wanted).any(|(one, other)| one.abs_diff(other) > 60);
    assert!(!far, "{found:?} is not {wanted:?}");
}

pub(crate) const RED: [u8; 3] = [255, 0, 0];
pub(crate) const BLUE: [u8; 3] = [0, 0, 255];

/// Somebody who keeps order on the whole site.
async fn administrator(server: &Server) -> Person {
    let person = server.enter("mo").await;
    let link = server.running().admin_link.clone().expect("nobody is administrator yet");
    let secret = link.rsplit('/').next().expect("a link ends with its secret").to_owned();
    person.post("/auth/claim", json!({"secret": secret})).await.expect(StatusCode::OK);
    person
}

/// The files of a recording by nickname and kind.
pub(crate) fn by_name(recording: &Value) -> HashMap<String, Value> {
    let files = recording["files"].as_array().expect("a recording has files");
    let name =
        |file: &Value| format!("{}:{}", file["nickname"].as_str().unwrap_or("?"), file["kind"].as_str().unwrap());
    files.iter().map(|file| (name(file), file.clone())).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_call_becomes_files_that_play() {
    let server = Server::start_with(|config| config.recording.notice_ms = 100).await;
    let (olga, ada) = (server.enter("olga").await, server.enter("ada").await);
    let room = olga.create_room("call", "public").await;
    let call = call_of(&olga, &room).await;
    let mut first = Projector::start(&olga, &room, colour("red", 440)).await;
    let _second = Projector::start(&ada, &room, colour("blue", 880)).await;
    let screen = Show { sound: None, source: "screen", ..colour("white", 1) };
    let third = Projector::start(&ada, &room, screen).await;
    let id = start(&olga, &mut first.socket, &call).await;
    grown(&server.folder().join("data"), &id, 3, 20_000).await;
    let stopped = stop(&olga, &call).await;
    assert_eq!((&stopped["state"], &stopped["stopReason"]), (&json!("finishing"), &json!("stopped")), "{stopped}");
    let told = first.socket.next_of("recording.stopped").await;
    assert_eq!(told["data"], json!({"recordingId": id, "reason": "stopped"}));
    drop(third);

    let recording = ready(&olga, &id).await;
    assert_eq!((&recording["roomName"], &recording["mayManage"]), (&json!("olga's call"), &json!(true)));
    let files = by_name(&recording);
    assert_eq!(files.len(), 3, "{recording}");
    let folder = tempfile::tempdir().unwrap();
    for (name, user, streams, colour) in [
        ("olga:participant", Some(&olga), vec!["opus", "vp8"], RED),
        ("ada:participant", Some(&ada), vec!["opus", "vp8"], BLUE),
        ("ada:screen", Some(&ada), vec!["vp8"], [255; 3]),
    ] {
        let file = &files[name];
        assert_eq!((&file["state"], &file["interrupted"]), (&json!("ready"), &json!(false)), "{file}");
        assert_eq!(
            (file["container"].as_str(), file["userId"].as_str()),
            (Some("webm"), user.map(|it| it.id.as_str()))
        );
        let path = download(&olga, &recording, file, folder.path()).await;
        let probed = probe(&path, &["-show_streams", "-show_format"]);
        let mut codecs: Vec<_> =
            probed["streams"].as_array().unwrap().iter().map(|it| it["codec_name"].as_str().unwrap()).collect();
        codecs.sort_unstable();
        assert_eq!(codecs, streams, "{name}");
        let seconds: f64 = probed["format"]["duration"].as_str().unwrap().parse().unwrap();
        let told = file["durationMs"].as_f64().unwrap() / 1000.0;
        assert!((seconds - told).abs() < 0.1 && seconds > 0.3, "{name}: {seconds} s, and {told} s are told");
        is_about(pixel(&path, 0.2, [160, 90]), colour);
    }
    let left = server.folder().join("data/recordings").join(&id);
    until("the local folder is gone", async || (!left.exists()).then_some(())).await;
    // Both were recorded, so both see it; a guest sees nothing.
    assert_eq!(show(&ada, &id).await["mayManage"], false);
    server.enter("cleo").await.get(&format!("/recordings/{id}")).await.refused(404, "not_found");
}

#[tokio::test(flavor = "multi_thread")]
async fn hosts_record_and_nobody_else() {
    let server = Server::start_with(|config| config.recording.notice_ms = 100).await;
    let (olga, ada, cleo) = (server.enter("olga").await, server.enter("ada").await, server.enter("cleo").await);
    let moderator = administrator(&server).await;
    for (visibility, stranger) in [("public", (403, "forbidden")), ("private", (404, "not_found"))] {
        let room = olga.create_room("call", visibility).await;
        let call = call_of(&olga, &room).await;
        let path = format!("/calls/{call}/recording");
        olga.post(&path, json!({})).await.refused(409, "not_in_call");
        let mut host = Projector::start(&olga, &room, colour("red", 440)).await;
        cleo.post(&path, json!({})).await.refused(stranger.0, stranger.1);
        cleo.ask(Method::DELETE, &path, None).await.refused(stranger.0, stranger.1);
        if visibility == "public" {
            ada.post(&format!("/rooms/{room}/join"), json!({})).await.expect(StatusCode::OK);
            ada.post(&path, json!({})).await.refused(403, "forbidden");
            assert_eq!(cleo.get(&path).await.expect(StatusCode::OK), json!({"recordings": []}));
        } else {
            cleo.get(&path).await.refused(404, "not_found");
        }
        olga.ask(Method::DELETE, &path, None).await.refused(404, "not_found");
        start(&olga, &mut host.socket, &call).await;
        let problem = olga.post(&path, json!({})).await.refused(409, "conflict");
        assert_eq!(problem["detail"], "This call is being recorded already.");
        // The site's moderators may, without a seat.
        moderator.post(&path, json!({})).await.refused(409, "conflict");
        stop(&moderator, &call).await;
        moderator.ask(Method::DELETE, &path, None).await.refused(404, "not_found");
        assert_eq!(moderator.get(&path).await.expect(StatusCode::OK)["recordings"].as_array().unwrap().len(), 1);
    }
    let nobody = uuid::Uuid::now_v7();
    olga.post(&format!("/calls/{nobody}/recording"), json!({})).await.refused(404, "not_found");
    olga.post("/calls/..%2f..%2fetc/recording", json!({})).await.refused(404, "not_found");
    assert_eq!(olga.get("/recordings").await.expect(StatusCode::OK)["recordings"].as_array().unwrap().len(), 2);
    assert_eq!(cleo.get("/recordings").await.expect(StatusCode::OK), json!({"recordings": []}));
    olga.get("/recordings?limit=1000").await.refused(400, "bad_request");
}

#[tokio::test(flavor = "multi_thread")]
async fn everybody_is_told_before_anything_is_written() {
    let server = Server::start_with(|config| config.recording.notice_ms = 700).await;
    let (olga, ada, cleo) = (server.enter("olga").await, server.enter("ada").await, server.enter("cleo").await);
    let room = olga.create_room("call", "public").await;
    let call = call_of(&olga, &room).await;
    let mut host = Projector::start(&olga, &room, colour("red", 440)).await;
    let mut guest = Projector::start(&ada, &room, colour("blue", 880)).await;
    let asked = std::time::Instant::now();
    let answer = olga.post(&format!("/calls/{call}/recording"), json!({})).await.expect(StatusCode::ACCEPTED);
    let id = answer["recordingId"].as_str().unwrap().to_owned();
    for socket in [&mut host.socket, &mut guest.socket] {
        let starting = socket.next_of("recording.starting").await;
        assert_eq!(starting["data"], json!({"recordingId": id, "startsInMs": 700, "startedBy": olga.id}));
    }
    assert!(!server.folder().join("data/recordings").join(&id).exists());
    let shown = &ada.get(&format!("/calls/{call}")).await.expect(StatusCode::OK)["recording"];
    assert_eq!((&shown["state"], &shown["startedAt"]), (&json!("starting"), &Value::Null), "{shown}");
    for socket in [&mut host.socket, &mut guest.socket] {
        let started = socket.next_of("recording.started").await;
        assert!(asked.elapsed().as_millis() >= 700);
        assert_eq!(started["data"]["recordingId"], id.as_str());
    }
    // Who comes now has to agree, and sees why.
    let (mut socket, state) = cleo.connect_to(&room).await;
    assert_eq!(state["data"]["call"]["recording"]["state"], "running", "{state}");
    assert_eq!(state["data"]["call"]["recording"]["startedBy"], olga.id.as_str());
    let offer = json!({"roomId": room, "sdp": "v=0", "tracks": []});
    socket.refused("call.offer", offer, "recording_consent").await;
    let _late = Projector::start_on(socket, &room, colour("green", 660)).await;
    grown(&server.folder().join("data"), &id, 3, 10_000).await;
    stop(&olga, &call).await;
    let files = by_name(&ready(&olga, &id).await);
    let late = files["cleo:participant"]["startsAtMs"].as_i64().unwrap();
    let early = files["olga:participant"]["startsAtMs"].as_i64().unwrap();
    assert!((0..late).contains(&early), "{files:?}");
    assert_eq!(ada.get(&format!("/calls/{call}")).await.expect(StatusCode::OK)["recording"], Value::Null);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stop_in_time_leaves_nothing_behind() {
    let server = Server::start_with(|config| config.recording.notice_ms = 60_000).await;
    let olga = server.enter("olga").await;
    let room = olga.create_room("call", "public").await;
    let call = call_of(&olga, &room).await;
    let mut host = Projector::start(&olga, &room, colour("red", 440)).await;
    let path = format!("/calls/{call}/recording");
    let id = olga.post(&path, json!({})).await.expect(StatusCode::ACCEPTED)["recordingId"].as_str().unwrap().to_owned();
    let stopped = stop(&olga, &call).await;
    assert_eq!((&stopped["startedAt"], &stopped["files"]), (&Value::Null, &json!([])), "{stopped}");
    host.socket.next_of("recording.stopped").await;
    assert_eq!(olga.get(&path).await.expect(StatusCode::OK), json!({"recordings": []}));
    olga.get(&format!("/recordings/{id}")).await.refused(404, "not_found");
    assert!(!server.folder().join("data/recordings").join(&id).exists());
    // And another one may be started.
    olga.post(&path, json!({})).await.expect(StatusCode::ACCEPTED);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_recording_ends_when_everybody_has_left() {
    let server = Server::start_with(|config| config.recording.notice_ms = 100).await;
    let olga = server.enter("olga").await;
    let room = olga.create_room("call", "public").await;
    let call = call_of(&olga, &room).await;
    let mut host = Projector::start(&olga, &room, colour("red", 440)).await;
    let id = start(&olga, &mut host.socket, &call).await;
    grown(&server.folder().join("data"), &id, 1, 10_000).await;
    let mut socket = host.stop_playing();
    let left = socket.ask("call.leave", json!({"roomId": room})).await;
    assert_eq!(left["type"], "ok", "{left}");
    assert_eq!(socket.next_of("recording.stopped").await["data"]["reason"], "call_ended");
    let recording = ready(&olga, &id).await;
    assert_eq!((&recording["stopReason"], &recording["files"][0]["state"]), (&json!("call_ended"), &json!("ready")));
}

#[tokio::test(flavor = "multi_thread")]
async fn an_operator_may_do_without() {
    let server = Server::start_with(|config| config.recording.enabled = false).await;
    let olga = server.enter("olga").await;
    let room = olga.create_room("call", "public").await;
    let path = format!("/calls/{}/recording", call_of(&olga, &room).await);
    let problem = olga.post(&path, json!({})).await.refused(403, "feature_off");
    assert_eq!(problem["extra"]["feature"], "recording");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_recording_is_finished_when_the_server_stops() {
    let server = Server::start_with(|config| config.recording.notice_ms = 100).await;
    let olga = server.enter("olga").await;
    let room = olga.create_room("call", "public").await;
    let call = call_of(&olga, &room).await;
    let mut host = Projector::start(&olga, &room, colour("red", 440)).await;
    let id = start(&olga, &mut host.socket, &call).await;
    grown(&server.folder().join("data"), &id, 1, 10_000).await;
    let folder = server.stop().await;
    assert_eq!(host.socket.next_of("recording.stopped").await["data"]["reason"], "server_stopped");
    assert!(!folder.path().join("data/recordings").join(&id).exists(), "it was all done in time");
    let server = Server::start_in(folder, |_| {}).await;
    let recording = show(&olga.at(&server.base), &id).await;
    assert_eq!((&recording["state"], &recording["stopReason"]), (&json!("ready"), &json!("server_stopped")));
    assert_eq!(recording["files"][0]["interrupted"], false, "{recording}");
}

/// When each packet of the file was captured and when it is played, in milliseconds; packets are told apart by what is in them.
fn played(packets: &[Value], stream: u64, captured_ms: &HashMap<String, f64>) -> Vec<(f64, f64)> {
    let of_stream = packets.iter().filter(|packet| packet["stream_index"] == stream);
    let times = of_stream.map(|packet| {
        let hash = packet["data_hash"].as_str().unwrap().strip_prefix("SHA256:").unwrap();
        let captured = captured_ms.get(hash).unwrap_or_else(|| panic!("nobody sent this: {packet}"));
        (*captured, packet["pts_time"].as_str().unwrap().parse::<f64>().unwrap() * 1_000.0)
    });
    times.collect()
}

/// By how much a line is late in the file: the least, the most.
fn lateness(times: &[(f64, f64)]) -> (f64, f64) {
    let late = |(captured, played): &(f64, f64)| played - captured;
    times.iter().map(late).fold((f64::MAX, f64::MIN), |(least, most), late| (least.min(late), most.max(late)))
}

#[tokio::test(flavor = "multi_thread")]
async fn lips_and_voice_stay_together_though_packets_are_lost() {
    let server = Server::start_with(|config| config.recording.notice_ms = 50).await;
    let (olga, ada) = (server.enter("olga").await, server.enter("ada").await);
    let room = olga.create_room("call", "public").await;
    let call = call_of(&olga, &room).await;
    let mut host = Projector::start(&olga, &room, colour("red", 440)).await;
    let id = start(&olga, &mut host.socket, &call).await;
    // Noise and a test picture: no two packets are alike, so each tells when it was captured.
    let sound = Film::opus("anoisesrc=amplitude=0.3:seed=7", 8);
    let picture = Film::vp8("testsrc2=size=320x180", 20, 8, 40);
    let hash = |shots: &[&[u8]]| sha256(&shots.concat());
    let spoken: HashMap<_, _> =
        sound.shots.iter().map(|shot| (hash(&[&shot.payload]), shot.at_us as f64 / 1_000.0)).collect();
    let frames = picture.shots.chunk_by(|one, other| one.at_us == other.at_us);
    let frame = |shots: &[Shot]| -> Vec<u8> { shots.iter().flat_map(|shot| shot.payload[4..].to_vec()).collect() };
    let shown: HashMap<_, _> = frames.map(|shots| (hash(&[&frame(shots)]), shots[0].at_us as f64 / 1_000.0)).collect();
    assert_eq!((sound.shots.len() >= 400, shown.len()), (true, 160));
    let show = Show {
        sound: Some(sound),
        picture: Some(picture),
        loss_pm: 30,
        clock_ahead_us: -5_000_000,
        again: false,
        ..Show::default()
    };
    let guest = Projector::start(&ada, &room, show).await;
    let active = |frame: &Value, wanted: bool| {
        let it = &frame["data"]["participant"];
        it["participantId"] == guest.participant() && (0..2).all(|n| it["tracks"][n]["active"] == wanted)
    };
    for wanted in [true, false] {
        while !active(&host.socket.next_of("call.participant").await, wanted) {}
    }
    stop(&olga, &call).await;
    let recording = ready(&olga, &id).await;
    let folder = tempfile::tempdir().unwrap();
    let path = download(&olga, &recording, &by_name(&recording)["ada:participant"], folder.path()).await;
    let probed = probe(&path, &["-show_packets", "-show_data_hash", "sha256", "-show_streams"]);
    let packets = probed["packets"].as_array().unwrap();
    let stream = |kind: &str| {
        let streams = probed["streams"].as_array().unwrap();
        streams.iter().find(|it| it["codec_type"] == kind).unwrap()["index"].as_u64().unwrap()
    };
    let (lips, voice) = (played(packets, stream("video"), &shown), played(packets, stream("audio"), &spoken));
    // What was lost of the picture was sent again, and nothing is missing; of the voice only what was lost is.
    assert_eq!(lips.len(), 160, "every frame is there");
    assert!(lips.is_sorted() && voice.is_sorted() && voice.len() > 360, "{} packets of the voice", voice.len());
    let (lips, voice) = (lateness(&lips), lateness(&voice));
    println!("lips {lips:?}, voice {voice:?}");
    for (least, most) in [lips, voice] {
        assert!(most - least <= 10.0, "the time does not run evenly: {least} to {most} ms");
    }
    let apart = (lips.0 - voice.1).abs().max((lips.1 - voice.0).abs());
    assert!(apart <= 20.0, "lips {lips:?}, voice {voice:?}");
}

/// What of a recording a sudden death may cost.
const MOST_LOST_MS: i64 = 2_000;

#[tokio::test(flavor = "multi_thread")]
async fn a_killed_server_loses_two_seconds_at_most() {
    let program = Program::start(&[("PARLOR_RECORDING__NOTICE_MS", "100")]);
    let olga = Person::enter(&program.base, "olga").await;
    let room = olga.create_room("call", "public").await;
    let call = call_of(&olga, &room).await;
    let mut host = Projector::start(&olga, &room, colour("red", 440)).await;
    let begun = std::time::Instant::now();
    let id = start(&olga, &mut host.socket, &call).await;
    let started = begun.elapsed();
    grown(&program.data(), &id, 1, 60_000).await;
    let program = program.kill();
    let alive_ms = (begun.elapsed() - started).as_millis() as i64;
    drop(host);
    let part = std::fs::read_dir(program.data().join("recordings").join(&id)).unwrap().flatten();
    assert!(
        part.into_iter().any(|entry| entry.path().extension().is_some_and(|it| it == "part")),
        "it was in the middle"
    );

    let program = program.start_again(&[]);
    let olga = olga.at(&program.base);
    let recording = ready(&olga, &id).await;
    let file = &recording["files"][0];
    assert_eq!(
        (&file["interrupted"], &recording["stopReason"]),
        (&json!(true), &json!("server_stopped")),
        "{recording}"
    );
    let saved_ms = file["startsAtMs"].as_i64().unwrap() + file["durationMs"].as_i64().unwrap();
    assert!(saved_ms >= alive_ms - MOST_LOST_MS, "of {alive_ms} ms only {saved_ms} ms are left");
    let folder = tempfile::tempdir().unwrap();
    let path = download(&olga, &recording, file, folder.path()).await;
    let probed = probe(&path, &["-count_packets", "-show_streams"]);
    assert_eq!(probed["streams"].as_array().unwrap().len(), 2, "{probed}");
    is_about(pixel(&path, saved_ms as f64 / 1000.0 - 1.0, [160, 90]), RED);
    // The unfinished is finished: another start finds nothing to do, and the room can be recorded again.
    let _host = Projector::start(&olga, &room, colour("blue", 880)).await;
    olga.post(&format!("/calls/{call}/recording"), json!({})).await.expect(StatusCode::ACCEPTED);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_full_disk_ends_the_recording_and_not_the_call() {
    let program = Program::start_on_small_disk(
        16,
        &[("PARLOR_RECORDING__NOTICE_MS", "100"), ("PARLOR_RECORDING__MIN_FREE_MB", "4")],
    );
    let olga = Person::enter(&program.base, "olga").await;
    let room = olga.create_room("call", "public").await;
    let call = call_of(&olga, &room).await;
    let mut host = Projector::start(&olga, &room, colour("red", 440)).await;
    let id = start(&olga, &mut host.socket, &call).await;
    grown(&program.data(), &id, 1, 20_000).await;
    program.fill_disk(3);
    assert_eq!(
        host.socket.next_of("recording.stopped").await["data"],
        json!({"recordingId": id, "reason": "disk_full"})
    );
    let problem = olga.post(&format!("/calls/{call}/recording"), json!({})).await.refused(507, "disk_full");
    assert_eq!(problem["detail"], "There is no room on the server's disk for a recording.");
    // The call goes on: somebody else comes, and is seen.
    let ada = Person::enter(&program.base, "ada").await;
    let guest = Projector::start(&ada, &room, colour("blue", 880)).await;
    let came = |frame: &Value| {
        let it = &frame["data"]["participant"];
        it["participantId"] == guest.participant() && it["tracks"][1]["active"] == true
    };
    while !came(&host.socket.next_of("call.participant").await) {}
    let recording = ready(&olga, &id).await;
    let files = by_name(&recording);
    assert_eq!(files["olga:participant"]["state"], "ready", "{recording}");
}
