//! Films and sounds that people send, looked at by the programs `ffprobe` and `ffmpeg` where they are there: children with bounds in
//! time and output. The form is named by us, so that no file makes them open another or the network.

use std::ffi::OsString;
use std::io;
use std::path::Path;
use std::process::Stdio;
use std::time::Duration;

use serde::Deserialize;
use tokio::io::AsyncReadExt as _;
use tokio::process::Command;

use super::picture::THUMBNAIL_SIDE;
use crate::domain::attachment::AttachmentFault;

/// How long a child may run: reading and writing 100 MiB takes a second or two.
const PATIENCE: Duration = Duration::from_secs(60);
/// What is read of its answer, in bytes.
const ANSWER_BYTES: u64 = 1024 * 1024;
/// Streams that a file has at most.
const MOST_STREAMS: usize = 16;
/// In front of each input: more than 8K is no film that people send.
const MAX_PIXELS: [&str; 2] = ["-max_pixels", "40000000"];
/// What a child may take in one piece, in bytes: the tables of a film say how large they are, and need not be true.
const MAX_ALLOC: [&str; 2] = ["-max_alloc", "268435456"];
/// What a copy may have more than its original: new tables, and the frame around each sample, in bytes and in parts of the original.
const COPY_BYTES: u64 = 256 * 1024;
const COPY_PART: u64 = 8;
/// What `nice` answers instead of a program that it cannot start (nice(1)).
const NOT_STARTED: [i32; 2] = [126, 127];

/// What a film or a sound is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Filmed {
    pub(super) has_picture: bool,
    pub(super) dimensions: Option<(u32, u32)>,
    pub(super) duration_ms: Option<u64>,
}

/// The child could not do it, for reasons that are not the file's.
#[derive(Debug, thiserror::Error)]
#[error("ffmpeg could not be run: {0}")]
pub(super) struct NotRun(#[from] io::Error);

#[derive(Deserialize)]
struct Answer {
    #[serde(default)]
    streams: Vec<Stream>,
    format: Option<Format>,
}

#[derive(Deserialize)]
struct Stream {
    codec_type: Option<String>,
    width: Option<u32>,
    height: Option<u32>,
    #[serde(default)]
    disposition: Disposition,
    #[serde(default)]
    side_data_list: Vec<SideData>,
}

#[derive(Default, Deserialize)]
struct Disposition {
    #[serde(default)]
    attached_pic: u8,
}

#[derive(Deserialize)]
struct SideData {
    rotation: Option<f64>,
}

#[derive(Deserialize)]
struct Format {
    duration: Option<String>,
}

/// The demuxer and the muxer of a media type.
fn forms(media_type: &str) -> Option<(&'static str, &'static str)> {
    Some(match media_type {
        "video/mp4" | "audio/mp4" => ("mov", "mp4"),
        "video/quicktime" => ("mov", "mov"),
        "video/webm" | "audio/webm" => ("matroska", "webm"),
        "audio/mpeg" => ("mp3", "mp3"),
        "audio/ogg" => ("ogg", "ogg"),
        "audio/wav" => ("wav", "wav"),
        "audio/flac" => ("flac", "flac"),
        "audio/aac" => ("aac", "adts"),
        _ => return None,
    })
}

/// Whether the programs are there. A machine that cannot start anything now does not know.
pub(super) async fn is_there(ffmpeg: &Path) -> Result<bool, NotRun> {
    for program in [ffmpeg.to_owned(), ffmpeg.with_file_name("ffprobe")] {
        let mut command = Command::new(program);
        command.arg("-version").stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).kill_on_drop(true);
        match command.status().await {
            Ok(status) if status.success() => {}
            Ok(_) => return Ok(false),
            Err(error) if matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::PermissionDenied) => {
                return Ok(false);
            }
            Err(error) => return Err(error.into()),
        }
    }
    Ok(true)
}

/// What is in a file of that type. The inner error is the file's fault.
pub(super) async fn probe(
    ffmpeg: &Path,
    media_type: &str,
    file: &Path,
) -> Result<Result<Filmed, AttachmentFault>, NotRun> {
    let Some((demuxer, _)) = forms(media_type) else { return Ok(Err(AttachmentFault::TypeNotAllowed)) };
    let mut command = nice(&ffmpeg.with_file_name("ffprobe"));
    let entries =
        "stream=codec_type,width,height:stream_disposition=attached_pic:stream_side_data=rotation:format=duration";
    command.args(["-v", "error", "-of", "json", "-show_entries", entries]).args(MAX_ALLOC).args(MAX_PIXELS);
    command.args(["-protocol_whitelist", "file", "-f", demuxer]).arg(input(file));
    let Some(answer) = run(command).await? else { return Ok(Err(AttachmentFault::Unreadable)) };
    Ok(read(&answer))
}

fn read(answer: &[u8]) -> Result<Filmed, AttachmentFault> {
    let answer: Answer = serde_json::from_slice(answer).map_err(|_| AttachmentFault::Unreadable)?;
    if answer.streams.len() > MOST_STREAMS {
        return Err(AttachmentFault::Unreadable);
    }
    let of = |kind: &'static str| answer.streams.iter().filter(move |it| it.codec_type.as_deref() == Some(kind));
    // The cover of a record is no film.
    let picture = of("video").find(|it| it.disposition.attached_pic == 0);
    if picture.is_none() && of("audio").next().is_none() {
        return Err(AttachmentFault::Unreadable);
    }
    let dimensions = picture.and_then(|it| {
        let is_turned = it.side_data_list.iter().filter_map(|it| it.rotation).any(|by| by.abs() % 180.0 == 90.0);
        let (width, height) = (it.width?, it.height?);
        Some(if is_turned { (height, width) } else { (width, height) })
    });
    let seconds =
        answer.format.and_then(|it| it.duration?.parse::<f64>().ok()).filter(|it| it.is_finite() && *it >= 0.0);
    let duration_ms = seconds.map(|seconds| (seconds * 1000.0) as u64);
    Ok(Filmed { has_picture: picture.is_some(), dimensions, duration_ms })
}

/// Copies picture and sound without what was noted beside them (where it was filmed, with what) to another file of that size at
/// most. The inner error is the file's fault: it does not let itself be copied, or says the same again and again, so that a
/// small file becomes a large one.
pub(super) async fn copy(
    ffmpeg: &Path,
    media_type: &str,
    filmed: Filmed,
    (file, to): (&Path, &Path),
    limit_bytes: u64,
) -> Result<Result<(), AttachmentFault>, NotRun> {
    let Some((demuxer, muxer)) = forms(media_type) else { return Ok(Err(AttachmentFault::Unreadable)) };
    let original = tokio::fs::metadata(file).await?.len();
    let most_bytes = limit_bytes.min(original + original / COPY_PART + COPY_BYTES);
    let mut command = quiet(ffmpeg);
    command.args(["-protocol_whitelist", "file", "-f", demuxer, "-i"]).arg(input(file));
    if filmed.has_picture {
        command.args(["-map", "0:V"]);
    }
    command.args(["-map", "0:a?", "-c", "copy", "-map_metadata", "-1", "-map_chapters", "-1", "-fflags", "+bitexact"]);
    command.args(["-flags:v", "+bitexact", "-flags:a", "+bitexact"]);
    if matches!(muxer, "mp4" | "mov") {
        command.args(["-movflags", "+faststart"]);
    }
    // It stops where it has that much, and calls that a success.
    command.args(["-fs", &(most_bytes + 1).to_string(), "-f", muxer]).arg(input(to));
    if run(command).await?.is_none() {
        return Ok(Err(AttachmentFault::Unreadable));
    }
    let is_whole = tokio::fs::metadata(to).await?.len() <= most_bytes;
    Ok(if is_whole { Ok(()) } else { Err(AttachmentFault::TooLarge) })
}

/// A picture of a film's beginning (JPEG). `None`: none can be had.
pub(super) async fn thumbnail(
    ffmpeg: &Path,
    media_type: &str,
    filmed: Filmed,
    file: &Path,
) -> Result<Option<Vec<u8>>, NotRun> {
    let Some((demuxer, _)) = forms(media_type) else { return Ok(None) };
    // Many films begin black.
    let at_ms = filmed.duration_ms.map_or(0, |duration_ms| (duration_ms / 10).min(2_000));
    let mut command = quiet(ffmpeg);
    command.args(["-ss", &format!("{}.{:03}", at_ms / 1000, at_ms % 1000)]).args(MAX_PIXELS);
    command.args(["-protocol_whitelist", "file", "-f", demuxer, "-i"]).arg(input(file));
    let scale =
        format!("scale='min({THUMBNAIL_SIDE},iw)':'min({THUMBNAIL_SIDE},ih)':force_original_aspect_ratio=decrease");
    command.args(["-an", "-frames:v", "1", "-vf", &scale, "-c:v", "mjpeg", "-q:v", "4", "-f", "image2pipe", "pipe:1"]);
    Ok(run(command).await?.filter(|picture| !picture.is_empty()))
}

/// A file as an argument: no name is taken for an option or a protocol.
fn input(file: &Path) -> OsString {
    let mut argument = OsString::from("file:");
    argument.push(file);
    argument
}

fn quiet(ffmpeg: &Path) -> Command {
    let mut command = nice(ffmpeg);
    command.args(["-nostdin", "-hide_banner", "-nostats", "-v", "error", "-y", "-threads", "1"]).args(MAX_ALLOC);
    command
}

/// The program at a low priority, where that can be asked for: calls come first.
fn nice(program: &Path) -> Command {
    let nice = Path::new("/usr/bin/nice");
    if !nice.exists() {
        return Command::new(program);
    }
    let mut command = Command::new(nice);
    command.args(["-n", "10"]).arg(program);
    command
}

/// What a child answers. `None`: it failed, took too long, or answered too much.
async fn run(mut command: Command) -> Result<Option<Vec<u8>>, NotRun> {
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::null()).kill_on_drop(true);
    let mut child = command.spawn()?;
    let Some(output) = child.stdout.take() else { return Err(io::Error::other("a pipe is missing").into()) };
    let work = async {
        let mut answer = Vec::new();
        output.take(ANSWER_BYTES).read_to_end(&mut answer).await?;
        let status = child.wait().await?;
        if status.code().is_some_and(|code| NOT_STARTED.contains(&code)) {
            return Err(io::Error::other("it could not be started"));
        }
        Ok::<_, io::Error>(status.success().then_some(answer))
    };
    match tokio::time::timeout(PATIENCE, work).await {
        Ok(done) => Ok(done?),
        Err(_) => Ok(None),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn what_cannot_be_started_is_not_the_files_fault() {
        let nowhere = Path::new("/nowhere/ffmpeg");
        assert!(!is_there(nowhere).await.unwrap());
        assert!(probe(nowhere, "video/mp4", Path::new("/nowhere/film")).await.is_err());
    }

    #[test]
    fn an_answer_is_read() {
        let film = br#"{"streams":[{"codec_type":"video","width":640,"height":360,"disposition":{"attached_pic":0},
            "side_data_list":[{"rotation":-90}]},{"codec_type":"audio"}],"format":{"duration":"2.040000"}}"#;
        let wanted = Filmed { has_picture: true, dimensions: Some((360, 640)), duration_ms: Some(2_040) };
        assert_eq!(read(film), Ok(wanted));
        let song = br#"{"streams":[{"codec_type":"video","width":9,"height":9,"disposition":{"attached_pic":1}},{"codec_type":"audio"}]}"#;
        assert_eq!(read(song), Ok(Filmed::default()));
        for nothing in [&b"{}"[..], br#"{"streams":[{"codec_type":"data"}]}"#, b"", b"[]"] {
            assert_eq!(read(nothing), Err(AttachmentFault::Unreadable));
        }
    }
}
