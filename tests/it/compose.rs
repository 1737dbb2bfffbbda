//! One file of all: what it shows, and what becomes of the job that makes it.

use std::path::Path;
use std::process::Command;
use std::time::Duration;

use reqwest::{Method, StatusCode};
use serde_json::{Value, json};

use crate::film::{Film, Shot};
use crate::harness::{Person, Server, Socket, until};
use crate::program::Program;
use crate::projector::{Projector, Show};
use crate::recording::{
    BLUE, RED, by_name, call_of, colour, download, grown, is_about, pixel, probe, ready, show, start, stop,
};

const GREEN: [u8; 3] = [0, 128, 0];
const WHITE: [u8; 3] = [255; 3];
/// The border of whoever speaks.
const BORDER: [u8; 3] = [0x4a, 0xde, 0x80];

/// One film after the other.
fn then(mut first: Film, second: &Film) -> Film {
    let (length_us, ticks) = (first.length_us() + 50_000, first.shots.last().unwrap().ticks + 4_500);
    let later = |shot: &Shot| Shot { at_us: shot.at_us + length_us, ticks: shot.ticks + ticks, ..shot.clone() };
    first.shots.extend(second.shots.iter().map(later));
    first
}

/// A recorded call of three and a screen. One of them speaks, and one has a camera that changes its size.
async fn recorded(base: &str, data: &Path) -> (Person, Value) {
    let (olga, ada, cleo) =
        (Person::enter(base, "olga").await, Person::enter(base, "ada").await, Person::enter(base, "cl-_eo").await);
    let room = olga.create_room("call", "public").await;
    let call = call_of(&olga, &room).await;
    let mut host = Projector::start(&olga, &room, colour("red", 440)).await;
    let quiet = Show { sound: None, ..colour("blue", 880) };
    let _second = Projector::start(&ada, &room, quiet).await;
    let film = |size: &str| Film::vp8(&format!("color=c=green:size={size}"), 20, 1, 20);
    let picture = then(film("320x180"), &film("180x320"));
    let _third = Projector::start(&cleo, &room, Show { picture: Some(picture), sound: None, ..Show::default() }).await;
    let screen = Show { sound: None, source: "screen", ..colour("white", 1) };
    let _screen = Projector::start(&ada, &room, screen).await;
    let id = start(&olga, &mut host.socket, &call).await;
    grown(data, &id, 4, 15_000).await;
    stop(&olga, &call).await;
    let recording = ready(&olga, &id).await;
    (olga, recording)
}

fn path_of(recording: &Value) -> String {
    format!("/recordings/{}/composed", recording["recordingId"].as_str().unwrap())
}

/// ffmpeg runs at a low priority, beside all the other tests: it gets more time than anything else here.
const LONG: Duration = Duration::from_secs(300);

/// Waits long until a condition holds.
async fn finally<T>(what: &str, mut condition: impl AsyncFnMut() -> Option<T>) -> T {
    let waiting = async {
        loop {
            if let Some(found) = condition().await {
                return found;
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    };
    tokio::time::timeout(LONG, waiting).await.unwrap_or_else(|_| panic!("waited in vain: {what}"))
}

fn is_over(composed: &Value) -> bool {
    !matches!(composed["state"].as_str(), Some("queued" | "running"))
}

/// Waits until the job has ended; how, as whoever asked for it was told on this socket, and the progress before.
async fn ended(person: &Person, recording: &Value, socket: &mut Socket) -> (Value, Vec<f64>) {
    let mut progress = Vec::new();
    // The socket is read all the while: one that answers no ping is closed.
    let told = tokio::time::timeout(LONG, async {
        loop {
            let told = socket.next_of("recording.composed").await["data"].clone();
            progress.push(told["progress"].as_f64().unwrap());
            if is_over(&told) {
                return told;
            }
        }
    });
    let told = told.await.expect("the file is made");
    let state = person.get(&path_of(recording)).await.expect(StatusCode::OK);
    assert_eq!(state["state"], told["state"]);
    (told, progress)
}

#[tokio::test(flavor = "multi_thread")]
async fn the_composed_file_shows_everybody() {
    let server = Server::start_with(|config| config.recording.notice_ms = 50).await;
    let (olga, recording) = recorded(&server.base, &server.folder().join("data")).await;
    let id = recording["recordingId"].as_str().unwrap();
    let mut socket = olga.connect().await;
    olga.get(&path_of(&recording)).await.refused(404, "not_found");
    let queued = olga.post(&path_of(&recording), json!({})).await.expect(StatusCode::ACCEPTED);
    assert_eq!(queued, json!({"state": "queued", "progress": 0.0, "error": null}));
    olga.post(&path_of(&recording), json!({})).await.refused(409, "conflict");
    let (told, progress) = ended(&olga, &recording, &mut socket).await;
    assert_eq!(told, json!({"recordingId": id, "state": "done", "progress": 1.0, "error": null}));
    assert!(progress.is_sorted() && progress[0] < 0.1, "{progress:?}");

    let recording = show(&olga, id).await;
    assert_eq!(recording["composed"], json!({"state": "done", "progress": 1.0, "error": null}));
    let files = by_name(&recording);
    let file = &files["?:composed"];
    assert_eq!((&file["userId"], &file["container"], &file["state"]), (&Value::Null, &json!("webm"), &json!("ready")));
    let folder = tempfile::tempdir().unwrap();
    let path = download(&olga, &recording, file, folder.path()).await;
    let probed = probe(&path, &["-show_streams", "-show_format"]);
    let streams = probed["streams"].as_array().unwrap();
    let codecs: Vec<_> = streams.iter().map(|stream| stream["codec_name"].as_str().unwrap()).collect();
    assert_eq!(codecs, ["vp8", "opus"]);
    assert_eq!((&streams[0]["width"], &streams[0]["height"]), (&json!(1280), &json!(720)));
    let seconds: f64 = probed["format"]["duration"].as_str().unwrap().parse().unwrap();
    let wanted = file["durationMs"].as_f64().unwrap() / 1000.0;
    assert!((seconds - wanted).abs() < 0.2, "{seconds} s, {wanted} s are told");

    // Four tiles of 640 × 360: the screen, then everybody in the order in which they came.
    let late = recording["files"]
        .as_array()
        .unwrap()
        .iter()
        .filter_map(|file| file["startsAtMs"].as_f64())
        .fold(0.0, f64::max);
    let at = late / 1000.0 + 0.3;
    let order: Vec<_> = ["olga", "ada", "cl-_eo"]
        .iter()
        .map(|name| files[&format!("{name}:participant")]["startsAtMs"].as_i64())
        .collect();
    assert!(order.iter().all(Option::is_some));
    let mut people = [("olga", RED), ("ada", BLUE), ("cl-_eo", GREEN)];
    people.sort_by_key(|(name, _)| files[&format!("{name}:participant")]["startsAtMs"].as_i64());
    let centres = [[320, 180], [960, 180], [320, 540], [960, 540]];
    is_about(pixel(&path, at, centres[0]), WHITE);
    for ((name, colour), centre) in people.iter().zip(&centres[1..]) {
        println!("{name} at {centre:?}");
        is_about(pixel(&path, at, *centre), *colour);
        // Each has a name in the corner, white on a dark ground.
        assert!(has_text(&path, at, [centre[0] - 320, centre[1] - 180]), "{name} has no name");
    }
    // Olga speaks, Ada is silent: one has a border, the other has not.
    let corner = |name: &str| {
        let place = people.iter().position(|(it, _)| *it == name).unwrap();
        [centres[place + 1][0] - 320 + 2, centres[place + 1][1] - 180 + 2]
    };
    is_about(pixel(&path, at, corner("olga")), BORDER);
    is_about(pixel(&path, at, corner("ada")), BLUE);
    assert!(loudness(&path) > -40.0, "voices are heard");

    // Another one takes its place.
    olga.post(&path_of(&recording), json!({})).await.expect(StatusCode::ACCEPTED);
    assert_eq!(ended(&olga, &recording, &mut socket).await.0["state"], "done");
    let again = by_name(&show(&olga, id).await);
    assert_eq!(again.len(), 5);
    assert_ne!(again["?:composed"]["fileId"], file["fileId"]);
    let left = std::fs::read_dir(server.folder().join("data/files/recordings").join(id)).unwrap().count();
    assert_eq!(left, 6, "four files, the composed one, and who spoke");
    assert!(!server.folder().join("data/recordings/composing").exists());
}

/// Whether there is something white on something dark in the lower left corner of a tile.
fn has_text(file: &Path, at_s: f64, [x, y]: [u32; 2]) -> bool {
    let filter = format!("crop=60:50:{}:{},format=gray", x + 10, y + 310);
    let seek = at_s.to_string();
    let output = Command::new("ffmpeg")
        .args(["-v", "error", "-nostdin", "-ss", &seek, "-i"])
        .arg(file)
        .args(["-frames:v", "1", "-vf", &filter, "-f", "rawvideo", "pipe:1"])
        .output()
        .unwrap();
    output.stdout.iter().filter(|light| **light > 200).count() > 20
}

/// The mean volume, in dB.
fn loudness(file: &Path) -> f64 {
    let output = Command::new("ffmpeg")
        .args(["-nostdin", "-hide_banner", "-i"])
        .arg(file)
        .args(["-vn", "-af", "volumedetect", "-f", "null", "-"])
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    let line = said.lines().find_map(|line| line.split_once("mean_volume: ")).expect("ffmpeg measures").1.to_owned();
    line.trim_end_matches(" dB").parse().unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn only_hosts_compose_and_only_what_is_there() {
    let server = Server::start_with(|config| config.recording.notice_ms = 50).await;
    let (olga, recording) = recorded(&server.base, &server.folder().join("data")).await;
    let path = path_of(&recording);
    let cleo = server.enter("cleo").await;
    cleo.post(&path, json!({})).await.refused(404, "not_found");
    cleo.get(&path).await.refused(404, "not_found");
    olga.ask(Method::DELETE, &path, None).await.refused(404, "not_found");
    for file in recording["files"].as_array().unwrap() {
        let file = format!("{}/files/{}", path.trim_end_matches("/composed"), file["fileId"].as_str().unwrap());
        olga.ask(Method::DELETE, &file, None).await.expect(StatusCode::NO_CONTENT);
    }
    let problem = olga.post(&path, json!({})).await.refused(409, "conflict");
    assert_eq!(problem["detail"], "This recording has no files that one could be made of.");
}

#[tokio::test(flavor = "multi_thread")]
async fn without_ffmpeg_it_is_said_and_without_a_font_there_are_no_names() {
    let server = Server::start_with(|config| config.recording.notice_ms = 50).await;
    let (olga, recording) = recorded(&server.base, &server.folder().join("data")).await;
    let folder = server.stop().await;
    let missing = |config: &mut parlor::config::Config| config.recording.ffmpeg = "/nowhere/ffmpeg".into();
    let server = Server::start_in(folder, missing).await;
    let person = olga.at(&server.base);
    person.post(&path_of(&recording), json!({})).await.refused(501, "ffmpeg_missing");
    let folder = server.stop().await;

    // An ffmpeg that cannot write names stands for a machine without a font.
    let tools = tempfile::tempdir().unwrap();
    let script = "#!/bin/sh\ncase \"$*\" in *-filters*) echo none; exit 0;; esac\nexec ffmpeg \"$@\"\n";
    for (name, text) in [("ffmpeg", script), ("ffprobe", "#!/bin/sh\nexec ffprobe \"$@\"\n")] {
        program(&tools.path().join(name), text);
    }
    let server = Server::start_in(folder, |config| config.recording.ffmpeg = tools.path().join("ffmpeg")).await;
    let person = olga.at(&server.base);
    let mut socket = person.connect().await;
    person.post(&path_of(&recording), json!({})).await.expect(StatusCode::ACCEPTED);
    let (told, _) = ended(&person, &recording, &mut socket).await;
    assert_eq!(told["state"], "done", "{told}");
    assert_eq!(told["error"], "There is no font on the server, so the file shows no names.");
}

/// Writes a program.
fn program(path: &Path, text: &str) {
    use std::os::unix::fs::PermissionsExt as _;
    std::fs::write(path, text).unwrap();
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o755)).unwrap();
}

/// Programs of which the one that makes the file never ends.
fn endless(folder: &Path) -> std::path::PathBuf {
    let script = "#!/bin/sh\ncase \"$*\" in *-filter_complex*) echo $$ > \"$0.pid\"; exec sleep 1000;; esac\nexec ffmpeg \"$@\"\n";
    program(&folder.join("ffmpeg"), script);
    program(&folder.join("ffprobe"), "#!/bin/sh\nexec ffprobe \"$@\"\n");
    folder.join("ffmpeg")
}

/// Waits until that program makes a file; the number of its process.
async fn running(ffmpeg: &Path) -> String {
    let pid = ffmpeg.with_extension("pid");
    let read = async || std::fs::read_to_string(&pid).ok().map(|it| it.trim().to_owned()).filter(|it| !it.is_empty());
    let pid = finally("ffmpeg runs", read).await;
    assert!(is_alive(&pid));
    pid
}

fn is_alive(pid: &str) -> bool {
    let state = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    state.rsplit(") ").next().is_some_and(|rest| !rest.is_empty() && !rest.starts_with('Z'))
}

#[tokio::test(flavor = "multi_thread")]
async fn a_job_that_is_cancelled_ends_its_program() {
    let tools = tempfile::tempdir().unwrap();
    let ffmpeg = endless(tools.path());
    let server = Server::start_with(|config| {
        config.recording.notice_ms = 50;
        config.recording.ffmpeg.clone_from(&ffmpeg);
    })
    .await;
    let (olga, recording) = recorded(&server.base, &server.folder().join("data")).await;
    let (path, mut socket) = (path_of(&recording), olga.connect().await);
    olga.post(&path, json!({})).await.expect(StatusCode::ACCEPTED);
    let pid = running(&ffmpeg).await;
    assert_eq!(olga.get(&path).await.expect(StatusCode::OK)["state"], "running");
    olga.ask(Method::DELETE, &path, None).await.expect(StatusCode::NO_CONTENT);
    assert_eq!(ended(&olga, &recording, &mut socket).await.0["state"], "cancelled");
    until("ffmpeg is gone", async || (!is_alive(&pid)).then_some(())).await;
    let shown = show(&olga, recording["recordingId"].as_str().unwrap()).await;
    assert_eq!((&shown["composed"]["state"], shown["files"].as_array().unwrap().len()), (&json!("cancelled"), 4));
    // A recording that is deleted takes its job along.
    std::fs::remove_file(ffmpeg.with_extension("pid")).unwrap();
    olga.post(&path, json!({})).await.expect(StatusCode::ACCEPTED);
    let pid = running(&ffmpeg).await;
    olga.ask(Method::DELETE, path.trim_end_matches("/composed"), None).await.expect(StatusCode::NO_CONTENT);
    until("ffmpeg is gone", async || (!is_alive(&pid)).then_some(())).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_job_that_the_servers_death_interrupts_has_failed() {
    let tools = tempfile::tempdir().unwrap();
    let ffmpeg = endless(tools.path());
    let path = std::env::var("PATH").unwrap();
    let settings = [
        ("PARLOR_RECORDING__NOTICE_MS", "50"),
        ("PARLOR_RECORDING__FFMPEG", ffmpeg.to_str().unwrap()),
        ("PATH", path.as_str()),
    ];
    let server = Program::start(&settings);
    let (olga, recording) = recorded(&server.base, &server.data()).await;
    olga.post(&path_of(&recording), json!({})).await.expect(StatusCode::ACCEPTED);
    let pid = running(&ffmpeg).await;
    let server = server.kill();
    Command::new("kill").arg(&pid).status().unwrap();
    let server = server.start_again(&settings[..1]);
    let olga = olga.at(&server.base);
    let failed = olga.get(&path_of(&recording)).await.expect(StatusCode::OK);
    assert_eq!(
        (failed["state"].as_str(), failed["error"].as_str()),
        (Some("failed"), Some("The server stopped while this was being made."))
    );
    until("its folder is gone", async || (!server.data().join("recordings/composing").exists()).then_some(())).await;
    let mut socket = olga.connect().await;
    olga.post(&path_of(&recording), json!({})).await.expect(StatusCode::ACCEPTED);
    assert_eq!(ended(&olga, &recording, &mut socket).await.0["state"], "done");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_ffmpeg_says_of_a_failure_is_told() {
    let tools = tempfile::tempdir().unwrap();
    let script = "#!/bin/sh\ncase \"$*\" in *-filter_complex*) echo 'the moon is in the way' >&2; exit 1;; esac\nexec ffmpeg \"$@\"\n";
    program(&tools.path().join("ffmpeg"), script);
    program(&tools.path().join("ffprobe"), "#!/bin/sh\nexec ffprobe \"$@\"\n");
    let server = Server::start_with(|config| {
        config.recording.notice_ms = 50;
        config.recording.ffmpeg = tools.path().join("ffmpeg");
    })
    .await;
    let (olga, recording) = recorded(&server.base, &server.folder().join("data")).await;
    let mut socket = olga.connect().await;
    olga.post(&path_of(&recording), json!({})).await.expect(StatusCode::ACCEPTED);
    let (told, _) = ended(&olga, &recording, &mut socket).await;
    assert_eq!(
        (told["state"].as_str(), told["error"].as_str()),
        (Some("failed"), Some("ffmpeg failed: the moon is in the way."))
    );
}
