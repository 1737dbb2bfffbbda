//! Films: real pictures and sounds, encoded by `ffmpeg` and cut into RTP payloads, each with its time.

use std::path::Path;
use std::process::{Command, Stdio};

/// Payload bytes of one packet.
const PACKET: usize = 1_000;

/// A packet of a film.
#[derive(Clone, Debug)]
pub(crate) struct Shot {
    /// When it is shown, from the beginning of the film, in microseconds.
    pub(crate) at_us: u64,
    /// The same in RTP ticks.
    pub(crate) ticks: u32,
    pub(crate) marker: bool,
    pub(crate) payload: Vec<u8>,
}

/// What one line of a call sends.
#[derive(Clone, Debug)]
pub(crate) struct Film {
    pub(crate) shots: Vec<Shot>,
    /// Ticks in a second.
    pub(crate) clock_hz: u32,
}

impl Film {
    /// VP8 of an `ffmpeg` source (`-f lavfi`), with a key frame every so many frames.
    pub(crate) fn vp8(source: &str, fps: u32, seconds: u32, key_every: u32) -> Self {
        let key = key_every.to_string();
        let codec = ["-c:v", "libvpx", "-deadline", "realtime", "-cpu-used", "8", "-b:v", "600k", "-auto-alt-ref", "0"];
        let ivf = encode(source, fps, seconds, &[&codec[..], &["-g", &key, "-keyint_min", &key, "-f", "ivf"]].concat());
        let mut shots = Vec::new();
        // A header of 32 bytes; then for each frame its length, its number, and itself.
        let mut rest = &ivf[32..];
        for number in 0_u16.. {
            let Some((header, behind)) = rest.split_at_checked(12) else { break };
            let length = u32::from_le_bytes(header[..4].try_into().expect("four bytes")) as usize;
            let (frame, behind) = behind.split_at(length);
            rest = behind;
            let parts = frame.chunks(PACKET).enumerate().map(|(at, part)| {
                let start = if at == 0 { 0x10 } else { 0 };
                // A picture id of 15 bits (RFC 7741 §4.2).
                [&[0x80 | start, 0x80, 0x80 | (number >> 8) as u8, number as u8], part].concat()
            });
            push_frame(&mut shots, u32::from(number), fps, parts.collect());
        }
        Self { shots, clock_hz: 90_000 }
    }

    /// H.264, baseline, as single NAL units and FU-A (RFC 6184).
    pub(crate) fn h264(source: &str, fps: u32, seconds: u32, key_every: u32) -> Self {
        let parameters = format!("keyint={key_every}:min-keyint={key_every}:scenecut=0:aud=1:repeat-headers=1");
        let codec = ["-c:v", "libx264", "-profile:v", "baseline", "-pix_fmt", "yuv420p", "-tune", "zerolatency"];
        let rest = ["-preset", "ultrafast", "-x264-params", &parameters, "-bsf:v", "h264_mp4toannexb", "-f", "h264"];
        let stream = encode(source, fps, seconds, &[&codec[..], &rest].concat());
        let (mut shots, mut frame, mut number) = (Vec::new(), Vec::new(), 0);
        for unit in annex_b(&stream) {
            // An access unit delimiter stands before each picture.
            if unit[0] & 0x1f == 9 {
                if !frame.is_empty() {
                    push_frame(&mut shots, number, fps, std::mem::take(&mut frame));
                    number += 1;
                }
            } else if unit.len() <= PACKET {
                frame.push(unit.to_vec());
            } else {
                let last = unit[1..].chunks(PACKET).count() - 1;
                frame.extend(unit[1..].chunks(PACKET).enumerate().map(|(at, part)| {
                    let edge = if at == 0 { 0x80 } else { 0 } | if at == last { 0x40 } else { 0 };
                    [&[unit[0] & 0xe0 | 28, edge | unit[0] & 0x1f], part].concat()
                }));
            }
        }
        push_frame(&mut shots, number, fps, frame);
        Self { shots, clock_hz: 90_000 }
    }

    /// Opus of an `ffmpeg` source, in packets of 20 ms.
    pub(crate) fn opus(source: &str, seconds: u32) -> Self {
        let ogg = run(source, seconds, &["-c:a", "libopus", "-b:a", "48k", "-frame_duration", "20", "-f", "ogg"]);
        // The first two packets are headers (RFC 7845 §3).
        let shots = ogg_packets(&ogg).into_iter().skip(2).enumerate().map(|(number, payload)| Shot {
            at_us: number as u64 * 20_000,
            ticks: number as u32 * 960,
            marker: number == 0,
            payload,
        });
        Self { shots: shots.collect(), clock_hz: 48_000 }
    }

    /// For how long it plays, in microseconds.
    pub(crate) fn length_us(&self) -> u64 {
        self.shots.last().map_or(0, |shot| shot.at_us)
    }
}

fn push_frame(shots: &mut Vec<Shot>, number: u32, fps: u32, parts: Vec<Vec<u8>>) {
    let last = parts.len() - 1;
    shots.extend(parts.into_iter().enumerate().map(|(at, payload)| Shot {
        at_us: u64::from(number) * 1_000_000 / u64::from(fps),
        ticks: number * (90_000 / fps),
        marker: at == last,
        payload,
    }));
}

fn encode(source: &str, fps: u32, seconds: u32, codec: &[&str]) -> Vec<u8> {
    let rate = fps.to_string();
    run(source, seconds, &[&["-r", &rate], codec].concat())
}

fn run(source: &str, seconds: u32, arguments: &[&str]) -> Vec<u8> {
    let length = seconds.to_string();
    // A picture of a file, or one that ffmpeg draws.
    let input = if Path::new(source).exists() { vec!["-loop", "1"] } else { vec!["-f", "lavfi"] };
    let output = Command::new("ffmpeg")
        .args(["-v", "error", "-nostdin"])
        .args(input)
        .args(["-i", source, "-t", &length])
        .args(arguments)
        .arg("pipe:1")
        .stderr(Stdio::inherit())
        .output()
        .expect("ffmpeg is installed (Debian package ffmpeg)");
    assert!(output.status.success(), "ffmpeg made no film of {source}");
    output.stdout
}

/// The NAL units between start codes of three or four bytes.
fn annex_b(stream: &[u8]) -> Vec<&[u8]> {
    let mut starts: Vec<usize> =
        stream.windows(3).enumerate().filter(|(_, three)| *three == [0, 0, 1]).map(|(at, _)| at + 3).collect();
    starts.push(stream.len() + 3);
    starts
        .windows(2)
        .map(|two| stream[two[0]..two[1] - 3].strip_suffix(&[0]).unwrap_or(&stream[two[0]..two[1] - 3]))
        .collect()
}

/// The packets of an Ogg stream (RFC 3533 §6).
fn ogg_packets(mut ogg: &[u8]) -> Vec<Vec<u8>> {
    let (mut packets, mut packet) = (Vec::new(), Vec::new());
    while ogg.len() > 27 && ogg.starts_with(b"OggS") {
        let segments = usize::from(ogg[26]);
        let table = &ogg[27..27 + segments];
        let mut at = 27 + segments;
        for &length in table {
            packet.extend_from_slice(&ogg[at..at + usize::from(length)]);
            at += usize::from(length);
            if length < 255 {
                packets.push(std::mem::take(&mut packet));
            }
        }
        ogg = &ogg[at..];
    }
    packets
}

/// A film whose tables lead to its only picture again and again.
pub(crate) fn repeating(picture: &[u8], times: u32) -> Vec<u8> {
    let numbers = |numbers: &[u32]| numbers.iter().flat_map(|it| it.to_be_bytes()).collect::<Vec<_>>();
    let atom = |name: &[u8], parts: &[&[u8]]| {
        let content = parts.concat();
        [&numbers(&[content.len() as u32 + 8]), name, &content].concat()
    };
    let head = atom(b"ftyp", &[b"qt  ", &[0; 4], b"qt  "]);
    let places = vec![head.len() as u32 + 8; times as usize];
    let side = numbers(&[64 << 16 | 64, 72 << 16, 72 << 16, 0]);
    let form = atom(b"jpeg", &[&[0; 7], &[1], &[0; 16], &side, &[0, 1], &[0; 32], &[0, 24, 255, 255]]);
    let table = atom(
        b"stbl",
        &[
            &atom(b"stsd", &[&numbers(&[0, 1]), &form]),
            &atom(b"stts", &[&numbers(&[0, 1, times, 40])]),
            &atom(b"stsc", &[&numbers(&[0, 1, 1, 1, 1])]),
            &atom(b"stsz", &[&numbers(&[0, picture.len() as u32, times])]),
            &atom(b"stco", &[&numbers(&[0, times]), &numbers(&places)]),
        ],
    );
    let clock = atom(b"mdhd", &[&numbers(&[0, 0, 0, 1000, times * 40, 0])]);
    let kind = atom(b"hdlr", &[&[0; 4], b"mhlrvide", &[0; 13]]);
    let media = atom(b"mdia", &[&clock, &kind, &atom(b"minf", &[&table])]);
    [head, atom(b"mdat", &[picture]), atom(b"moov", &[&atom(b"trak", &[&media])])].concat()
}

#[test]
fn films_have_the_frames_that_were_asked_for() {
    let picture = Film::vp8("testsrc2=size=320x180", 20, 2, 10);
    let frames = |film: &Film| film.shots.iter().filter(|shot| shot.marker).count();
    let keys = picture.shots.iter().filter(|shot| shot.payload[0] & 0x10 != 0 && shot.payload[4] & 1 == 0).count();
    assert_eq!((frames(&picture), keys, picture.length_us()), (40, 4, 1_950_000));
    let other = Film::h264("testsrc2=size=320x180", 20, 2, 10);
    let keys = other.shots.iter().filter(|shot| shot.payload[0] & 0x1f == 7).count();
    assert_eq!((frames(&other), keys), (40, 4));
    let sound = Film::opus("sine=frequency=440", 2);
    assert!((100..=103).contains(&sound.shots.len()), "{} packets", sound.shots.len());
}
