//! What the recording engine makes of real pictures and sounds, as `ffprobe` and `ffmpeg` see it.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use parlor::domain::recording::Container;
use parlor::domain::{CallId, ParticipantId, RecordingId, Time, TrackId, TrackSource};
use parlor::recording::engine::{Engine, Event, Failure, Finished, RepairError, repair};
use parlor::sfu::{Codec, Recorded, RecordedEvent, RecordedPacket};
use serde_json::Value;
use tempfile::TempDir;
use tokio::sync::mpsc::Receiver;

use crate::film::{Film, Shot};

/// A picture that turns from black to white after two seconds, for 200 ms, and a tone that sounds while it is white.
const FLASH: &str = "color=c=black:s=320x180,drawbox=c=white:t=fill:enable='between(t,2,2.199)'";
const BEEP: &str = "aevalsrc='if(between(t,2,2.199),sin(2*PI*1000*t),0)':s=48000";

/// A film on its way into a recording.
struct Line {
    film: Film,
    participant: ParticipantId,
    track: TrackId,
    source: TrackSource,
    codec: Codec,
    stream: u64,
    /// When its first frame is captured, after the recording began.
    from_us: i64,
    /// RTP timestamps and sequence numbers begin anywhere.
    first_timestamp: u32,
    first_index: u64,
    /// Of a hundred packets so many come a while later.
    late: u64,
}

impl Line {
    fn new(film: Film, participant: ParticipantId, source: TrackSource, codec: Codec) -> Self {
        let track = TrackId::new();
        let first_timestamp = (track.as_u128() >> 40) as u32;
        let (stream, from_us, first_index, late) = (1, 500_000, u64::from(first_timestamp >> 16), 0);
        Self { film, participant, track, source, codec, stream, from_us, first_timestamp, first_index, late }
    }

    fn begins_key_frame(&self, shot: &Shot) -> bool {
        match self.codec {
            Codec::Opus => false,
            Codec::Vp8 => shot.payload[0] & 0x10 != 0 && shot.payload[4] & 1 == 0,
            Codec::H264 => shot.payload[0] & 0x1f == 7,
            Codec::Vp9 | Codec::Av1 => unreachable!("no film of these tests"),
        }
    }

    /// Its packets with their payloads, on a server whose recording began then.
    fn packets(&self, began_us: i64) -> Vec<(RecordedPacket, Vec<u8>)> {
        let mut dice = 0x9e37_79b9_7f4a_7c15_u64 ^ u64::from(self.first_timestamp);
        let mut packets = Vec::new();
        for (at, shot) in self.film.shots.iter().enumerate() {
            dice ^= dice << 13;
            dice ^= dice >> 7;
            dice ^= dice << 17;
            let captured_us = began_us + self.from_us + shot.at_us as i64;
            let late_us = if at > 20 && dice % 100 < self.late { 60_000 + (dice >> 32) as i64 % 300_000 } else { 0 };
            let packet = RecordedPacket {
                participant: self.participant,
                track: self.track,
                source: self.source,
                codec: self.codec,
                stream: self.stream,
                index: self.first_index + at as u64,
                timestamp: self.first_timestamp.wrapping_add(shot.ticks),
                marker: shot.marker,
                keyframe_start: self.begins_key_frame(shot),
                arrived_us: captured_us + 15_000 + late_us,
                // The publisher's clock is years off; it is the same for its tracks.
                captured_us: Some(captured_us - 100_000_000_000_000),
                payload: 0..0,
            };
            packets.push((packet, shot.payload.clone()));
        }
        packets
    }
}

/// A recording of some lines, and what the engine told of it.
struct Take {
    folder: TempDir,
    events: Vec<Event>,
}

fn batches(call: CallId, lines: &[Line], began_us: i64) -> Vec<Recorded> {
    let mut packets: Vec<_> = lines.iter().flat_map(|line| line.packets(began_us)).collect();
    packets.sort_by_key(|(packet, _)| packet.arrived_us);
    let mut batches: Vec<Recorded> = Vec::new();
    for chunk in packets.chunk_by(|(one, _), (other, _)| one.arrived_us / 50_000 == other.arrived_us / 50_000) {
        let (mut events, mut bytes) = (Vec::new(), Vec::new());
        for (packet, payload) in chunk {
            let start = bytes.len();
            bytes.extend_from_slice(payload);
            events.push(RecordedEvent::Packet(RecordedPacket { payload: start..bytes.len(), ..packet.clone() }));
        }
        batches.push(Recorded { call, events, bytes });
    }
    batches
}

/// Takes events until this recording is over.
fn until_ended(events: &mut Receiver<Event>, recording: RecordingId) -> Vec<Event> {
    let mut taken = Vec::new();
    loop {
        let event = events.blocking_recv().expect("the engine runs");
        let over = event == Event::Ended { recording };
        taken.push(event);
        if over {
            return taken;
        }
    }
}

fn record(lines: &[Line]) -> Take {
    let folder = tempfile::tempdir().unwrap();
    let (engine, mut events) = Engine::start(0).unwrap();
    let (recording, call, started_at) = (RecordingId::new(), CallId::new(), Time::now());
    engine.open(recording, call, folder.path().to_owned(), started_at);
    for batch in batches(call, lines, started_at.as_ms() * 1_000) {
        assert!(engine.push(batch), "the engine is not behind");
    }
    engine.close(recording);
    let taken = until_ended(&mut events, recording);
    let packets: usize = lines.iter().map(|line| line.film.shots.len()).sum();
    assert_eq!(engine.stats().packets, packets as u64);
    engine.stop();
    Take { folder, events: taken }
}

impl Take {
    /// The files in the order in which they began.
    fn files(&self) -> Vec<(PathBuf, Finished)> {
        let mut files = Vec::new();
        for event in &self.events {
            if let Event::Opened { file, path, .. } = event {
                let finished = self.events.iter().find_map(|event| match event {
                    Event::Closed { file: closed, outcome, .. } if closed == file => Some(outcome.clone().unwrap()),
                    _ => None,
                });
                files.push((path.clone(), finished.expect("every file is closed")));
            }
        }
        assert_eq!(fs::read_dir(self.folder.path()).unwrap().count(), files.len());
        files
    }

    fn file(&self) -> (PathBuf, Finished) {
        let files = self.files();
        assert_eq!(files.len(), 1);
        files[0].clone()
    }
}

/// What `ffprobe` says of a file.
fn probe(path: &Path) -> Value {
    let output = Command::new("ffprobe")
        .args(["-v", "error", "-of", "json", "-show_format", "-show_streams", "-show_packets", "-count_frames"])
        .arg(path)
        .output()
        .expect("ffprobe is installed (Debian package ffmpeg)");
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success() && said.is_empty(), "{said}");
    serde_json::from_slice(&output.stdout).unwrap()
}

/// Decodes a file, and answers what `ffmpeg` says of errors, or with these filters of what it finds.
fn decode(path: &Path, level: &str, filters: &[&str]) -> String {
    let output = Command::new("ffmpeg")
        .args(["-nostdin", "-hide_banner", "-v", level, "-i"])
        .arg(path)
        .args(filters)
        .args(["-f", "null", "-"])
        .output()
        .expect("ffmpeg is installed (Debian package ffmpeg)");
    assert!(output.status.success());
    String::from_utf8_lossy(&output.stderr).into_owned()
}

fn number(value: &Value) -> f64 {
    value.as_str().and_then(|text| text.parse().ok()).or_else(|| value.as_f64()).expect("a number")
}

/// The first number behind a word in what a filter says.
fn found(said: &str, word: &str) -> f64 {
    let behind = said.split_once(word).unwrap_or_else(|| panic!("no {word} in {said}")).1.trim_start();
    behind.split(|c: char| c.is_whitespace() || c == '|').next().and_then(|word| word.parse().ok()).expect("a number")
}

fn times_ms(probed: &Value, stream: &Value) -> Vec<i64> {
    let packets = probed["packets"].as_array().unwrap().iter();
    let of_stream = packets.filter(|packet| packet["stream_index"] == stream["index"]);
    of_stream.map(|packet| (number(&packet["pts_time"]) * 1_000.0).round() as i64).collect()
}

fn camera_and_microphone(seconds: u32, codec: Codec) -> Vec<Line> {
    let who = ParticipantId::new();
    let picture = match codec {
        Codec::H264 => Film::h264(FLASH, 50, seconds, 100),
        _ => Film::vp8(FLASH, 50, seconds, 100),
    };
    vec![
        Line { late: 3, ..Line::new(picture, who, TrackSource::Camera, codec) },
        Line { late: 3, ..Line::new(Film::opus(BEEP, seconds), who, TrackSource::Microphone, Codec::Opus) },
    ]
}

#[test]
fn recorded_vp8_and_opus_are_a_webm_in_step() {
    let take = record(&camera_and_microphone(6, Codec::Vp8));
    let (path, finished) = take.file();
    let probed = probe(&path);
    let streams = probed["streams"].as_array().unwrap();
    assert_eq!(
        (streams.len(), &streams[0]["codec_name"], &streams[1]["codec_name"]),
        (2, &"vp8".into(), &"opus".into())
    );
    assert_eq!((&streams[0]["width"], &streams[0]["height"]), (&320.into(), &180.into()));
    assert_eq!(streams[0]["nb_read_frames"], "300");
    let sounds = times_ms(&probed, &streams[1]);
    assert!(sounds.len() >= 300 && sounds.windows(2).all(|pair| pair[1] - pair[0] == 20), "{sounds:?}");
    assert!(times_ms(&probed, &streams[0]).windows(2).all(|pair| pair[1] - pair[0] == 20));
    assert!(decode(&path, "error", &[]).is_empty());
    // Three percent of the packets came up to 300 ms late: what was captured together is together.
    let filters = ["-vf", "blackdetect=d=0.1:pix_th=0.2", "-af", "silencedetect=n=-30dB:d=0.1"];
    let said = decode(&path, "info", &filters);
    let (seen_s, heard_s) = (found(&said, "black_end:"), found(&said, "silence_end:"));
    assert!((seen_s - heard_s).abs() <= 0.020, "seen at {seen_s} s, heard at {heard_s} s");
    assert!((seen_s - 2.0).abs() <= 0.025, "seen at {seen_s} s");
    assert_eq!((finished.container, finished.size_bytes as u64), (Container::WebM, fs::metadata(&path).unwrap().len()));
    assert!((5_980..=6_080).contains(&finished.duration_ms), "{} ms", finished.duration_ms);
    assert!((number(&probed["format"]["duration"]) * 1_000.0 - finished.duration_ms as f64).abs() < 2.0);
    let digest = ring::digest::digest(&ring::digest::SHA256, &fs::read(&path).unwrap());
    let hexadecimal: String = digest.as_ref().iter().map(|byte| format!("{byte:02x}")).collect();
    assert_eq!(finished.sha256, hexadecimal);
    let opened = take.events.iter().find_map(|event| match event {
        Event::Opened { starts_at_ms, .. } => Some(*starts_at_ms),
        _ => None,
    });
    assert!((500..=530).contains(&opened.unwrap()), "begins at {opened:?} ms");
}

#[test]
fn recorded_h264_is_matroska() {
    let take = record(&camera_and_microphone(4, Codec::H264));
    let (path, finished) = take.file();
    let probed = probe(&path);
    let streams = probed["streams"].as_array().unwrap();
    assert_eq!((&streams[0]["codec_name"], &streams[1]["codec_name"]), (&"h264".into(), &"opus".into()));
    assert_eq!((&streams[0]["width"], &streams[0]["height"]), (&320.into(), &180.into()));
    assert_eq!(streams[0]["nb_read_frames"], "200");
    assert!(decode(&path, "error", &[]).is_empty());
    let filters = ["-vf", "blackdetect=d=0.1:pix_th=0.2", "-af", "silencedetect=n=-30dB:d=0.1"];
    let said = decode(&path, "info", &filters);
    let (seen_s, heard_s) = (found(&said, "black_end:"), found(&said, "silence_end:"));
    assert!((seen_s - heard_s).abs() <= 0.020, "seen at {seen_s} s, heard at {heard_s} s");
    assert_eq!(finished.container, Container::Matroska);
    // One can jump into the middle.
    let said = decode(&path, "error", &["-ss", "3"]);
    assert!(said.is_empty(), "{said}");
}

#[test]
fn recorded_sound_alone_and_a_screen_are_files_of_their_own() {
    let who = ParticipantId::new();
    let mut first = Line::new(Film::vp8("testsrc2=size=640x360", 10, 2, 20), who, TrackSource::Screen, Codec::Vp8);
    // The window that is shared is made smaller: another key frame of another size, in another stream.
    let mut second = Line::new(Film::vp8("testsrc2=size=320x180", 10, 2, 20), who, TrackSource::Screen, Codec::Vp8);
    (first.track, second.stream, second.from_us) = (second.track, 2, 2_600_000);
    let microphone = Line::new(Film::opus("sine=frequency=440", 3), who, TrackSource::Microphone, Codec::Opus);
    let take = record(&[microphone, first, second]);
    let mut probed: Vec<_> = take.files().iter().map(|(path, _)| (probe(path), decode(path, "error", &[]))).collect();
    probed.sort_by_key(|(probed, _)| probed["streams"][0]["codec_name"].to_string());
    let [(sound, said), (screen, said_too)] = &probed[..] else { panic!("two files") };
    assert!(said.is_empty() && said_too.is_empty(), "{said} {said_too}");
    assert_eq!((sound["streams"].as_array().unwrap().len(), screen["streams"].as_array().unwrap().len()), (1, 1));
    assert_eq!(sound["streams"][0]["codec_name"], "opus");
    assert_eq!(
        (&screen["streams"][0]["codec_name"], &screen["streams"][0]["nb_read_frames"]),
        (&"vp8".into(), &"40".into())
    );
    let times = times_ms(screen, &screen["streams"][0]);
    assert!(times.windows(2).all(|pair| pair[1] > pair[0]) && times[20] - times[0] == 2_100, "{times:?}");
}

#[test]
fn recorded_files_survive_a_dying_process() {
    let take = record(&camera_and_microphone(5, Codec::Vp8));
    let (path, finished) = take.file();
    let whole = fs::read(&path).unwrap();
    let broken = take.folder.path().join("broken.part");
    for part in [30, 50, 70, 90, 99] {
        let cut = whole.len() * part / 100;
        fs::write(&broken, &whole[..cut]).unwrap();
        let repaired = repair(&broken).unwrap();
        let probed = probe(&broken);
        assert!(decode(&broken, "error", &[]).is_empty());
        let seconds = number(&probed["format"]["duration"]);
        assert!((seconds * 1_000.0 - repaired.finished.duration_ms as f64).abs() < 2.0);
        assert_eq!(repaired.finished.size_bytes as u64, fs::metadata(&broken).unwrap().len());
        let frames = number(&probed["streams"][0]["nb_read_frames"]);
        assert!((frames / 50.0 - seconds).abs() < 0.3, "{frames} pictures in {seconds} s");
    }
    // What was finished before the process died comes out as it was.
    assert_eq!(repair(&path).unwrap().finished, finished);
    assert_eq!(fs::read(&path).unwrap(), whole);
    fs::write(&broken, b"").unwrap();
    assert!(matches!(repair(&broken), Err(RepairError::Empty)));
}

#[test]
fn recorded_data_is_in_the_file_before_the_end() {
    let folder = tempfile::tempdir().unwrap();
    let (engine, mut events) = Engine::start(0).unwrap();
    let (recording, call, started_at) = (RecordingId::new(), CallId::new(), Time::now());
    engine.open(recording, call, folder.path().to_owned(), started_at);
    for batch in batches(call, &camera_and_microphone(5, Codec::Vp8), started_at.as_ms() * 1_000) {
        assert!(engine.push(batch));
    }
    // Nothing ends it: time alone brings the rest to the disk.
    let path = loop {
        if let Event::Opened { path, .. } = events.blocking_recv().unwrap() {
            break path;
        }
    };
    let copy = folder.path().join("copy.part");
    loop {
        fs::copy(&path, &copy).unwrap_or_default();
        let whole = repair(&copy).is_ok_and(|repaired| repaired.finished.duration_ms >= 4_980);
        if whole {
            break;
        }
        std::thread::yield_now();
    }
    assert!(decode(&copy, "error", &[]).is_empty());
    // Leaving without a word finishes the files, too.
    engine.stop();
    let rest: Vec<_> = std::iter::from_fn(|| events.blocking_recv()).collect();
    assert!(matches!(&rest[..], [Event::Closed { outcome: Ok(_), .. }, Event::Ended { .. }]), "{rest:?}");
}

#[test]
fn recorded_nothing_on_a_full_or_missing_disk() {
    for (min_free_bytes, there) in [(u64::MAX, true), (0, false)] {
        let folder = tempfile::tempdir().unwrap();
        let (engine, mut events) = Engine::start(min_free_bytes).unwrap();
        let (recording, call, started_at) = (RecordingId::new(), CallId::new(), Time::now());
        let place = if there { folder.path().to_owned() } else { folder.path().join("gone") };
        engine.open(recording, call, place, started_at);
        let film = Film::opus("sine=frequency=440", 2);
        let line = Line::new(film, ParticipantId::new(), TrackSource::Microphone, Codec::Opus);
        for batch in batches(call, &[line], started_at.as_ms() * 1_000) {
            engine.push(batch);
        }
        let taken = until_ended(&mut events, recording);
        let failures: Vec<_> = taken
            .iter()
            .filter_map(|event| match event {
                Event::Failed { failure, .. } => Some(failure.clone()),
                _ => None,
            })
            .collect();
        assert_eq!(failures.len(), 1, "{taken:?}");
        assert_eq!(failures[0] == Failure::DiskFull, there, "{failures:?}");
        assert!(!taken.iter().any(|event| matches!(event, Event::Closed { outcome: Ok(_), .. })));
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 0);
        // Closing what is over is no harm, and another recording may begin.
        engine.close(recording);
        engine.stop();
    }
}

#[test]
fn recorded_calls_do_not_mix() {
    let folder = tempfile::tempdir().unwrap();
    let (engine, mut events) = Engine::start(0).unwrap();
    let started_at = Time::now();
    let film = Film::opus("sine=frequency=440", 1);
    let (first, second, call) = (RecordingId::new(), RecordingId::new(), CallId::new());
    let line = |from_us| Line {
        from_us,
        ..Line::new(film.clone(), ParticipantId::new(), TrackSource::Microphone, Codec::Opus)
    };
    engine.open(first, call, folder.path().to_owned(), started_at);
    for batch in batches(call, &[line(0)], started_at.as_ms() * 1_000) {
        engine.push(batch);
    }
    // Packets of a call that nobody records are thrown away; a second recording of the call ends the first.
    for batch in batches(CallId::new(), &[line(0)], started_at.as_ms() * 1_000) {
        engine.push(batch);
    }
    engine.open(second, call, folder.path().to_owned(), started_at);
    for batch in batches(call, &[line(1_000_000)], started_at.as_ms() * 1_000) {
        engine.push(batch);
    }
    let mut taken = until_ended(&mut events, first);
    engine.close(second);
    taken.extend(until_ended(&mut events, second));
    let of = |wanted: RecordingId| {
        let files = taken
            .iter()
            .filter(|event| matches!(event, Event::Closed { recording, outcome: Ok(_), .. } if *recording == wanted));
        files.count()
    };
    assert_eq!((of(first), of(second)), (1, 1));
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 2);
    engine.stop();
}
