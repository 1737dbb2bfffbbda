//! The program `ffmpeg`, as a child that is bounded in time and output and ends when its job does.

use std::io;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use tokio::io::{AsyncBufReadExt as _, AsyncReadExt as _, BufReader};
use tokio::process::{Child, ChildStdout, Command};

/// In front of each input: a picture of more pixels than 4096 × 4096 is no camera's, and would cost a gigabyte.
pub(super) const MAX_PIXELS: [&str; 2] = ["-max_pixels", "16777216"];
/// How long a child may be silent: it tells its progress twice a second.
const SILENCE: Duration = Duration::from_secs(120);
/// What is kept of what it says to people, in bytes.
const TAIL_BYTES: u64 = 16 * 1024;

/// Why the program did not do it.
#[derive(Debug, thiserror::Error)]
pub(super) enum Failure {
    /// It is not there.
    #[error("ffmpeg is not installed")]
    Missing,
    /// It ended with an error; the text is its own.
    #[error("ffmpeg failed: {0}")]
    Failed(String),
    /// It said nothing for too long.
    #[error("ffmpeg made no progress for {} seconds", SILENCE.as_secs())]
    Stuck,
    /// The system did not let us.
    #[error("ffmpeg could not be run: {0}")]
    Io(#[from] io::Error),
}

/// What an input has in it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Probed {
    /// Whether there is a picture.
    pub(super) has_video: bool,
    /// Whether there is sound.
    pub(super) has_audio: bool,
    /// Whether the picture has more than one size: encoders change it with the bandwidth.
    pub(super) changes_size: bool,
}

/// The two programs.
#[derive(Clone, Debug)]
pub(super) struct Ffmpeg {
    ffmpeg: PathBuf,
}

impl Ffmpeg {
    pub(super) fn new(ffmpeg: &Path) -> Self {
        Self { ffmpeg: ffmpeg.to_owned() }
    }

    fn ffprobe(&self) -> PathBuf {
        self.ffmpeg.with_file_name("ffprobe")
    }

    /// Whether both programs are there.
    pub(super) async fn is_there(&self) -> bool {
        for program in [&self.ffmpeg, &self.ffprobe()] {
            let mut command = Command::new(program);
            command.arg("-version").stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).kill_on_drop(true);
            if !command.status().await.is_ok_and(|status| status.success()) {
                return false;
            }
        }
        true
    }

    /// What the program can: the lines that it prints about encoders or filters.
    pub(super) async fn can(&self, what: &str, name: &str) -> bool {
        let mut command = Command::new(&self.ffmpeg);
        command.args(["-hide_banner", what]).stdin(Stdio::null()).stderr(Stdio::null()).kill_on_drop(true);
        let Ok(output) = command.output().await else { return false };
        let listed = String::from_utf8_lossy(&output.stdout).into_owned();
        listed.lines().any(|line| line.split_whitespace().nth(1) == Some(name))
    }

    /// Looks into a file.
    pub(super) async fn probe(&self, file: &Path) -> Result<Probed, Failure> {
        let streams = self.ask(&["-show_entries", "stream=codec_type"], file).await?;
        let has_audio = streams.iter().any(|line| line == "audio");
        // The size changes with key frames only, so nothing else is decoded.
        let sizes = ["-select_streams", "v:0", "-skip_frame", "nokey", "-show_entries", "frame=width,height"];
        let sizes = if streams.iter().any(|line| line == "video") { self.ask(&sizes, file).await? } else { Vec::new() };
        Ok(Probed { has_video: !sizes.is_empty(), has_audio, changes_size: sizes.len() > 1 })
    }

    /// The different lines of an answer of `ffprobe`, up to three.
    async fn ask(&self, entries: &[&str], file: &Path) -> Result<Vec<String>, Failure> {
        let mut command = nice(&self.ffprobe());
        command.args(["-v", "error", "-of", "csv=p=0"]).args(entries).args(MAX_PIXELS).arg(input(file));
        let mut run = Run::start(command)?;
        let mut different = Vec::new();
        while let Some(line) = run.line().await? {
            let line = line.trim_end_matches(',').to_owned();
            if !line.is_empty() && !different.contains(&line) && different.len() < 3 {
                different.push(line);
            }
        }
        run.end().await?;
        Ok(different)
    }

    /// ffmpeg at a low priority, silent but for errors.
    pub(super) fn command(&self) -> Command {
        let mut command = nice(&self.ffmpeg);
        command.args(["-nostdin", "-hide_banner", "-nostats", "-v", "error", "-y"]);
        command
    }

    /// Runs ffmpeg in a folder, and tells how much it has written, in milliseconds of the result.
    pub(super) async fn run(
        &self,
        folder: &Path,
        arguments: &[std::ffi::OsString],
        mut progress: impl FnMut(i64),
    ) -> Result<(), Failure> {
        let mut command = self.command();
        command.current_dir(folder).args(["-progress", "pipe:1"]).args(arguments);
        let mut run = Run::start(command)?;
        while let Some(line) = run.line().await? {
            if let Some(us) = line.strip_prefix("out_time_us=").and_then(|us| us.parse::<i64>().ok()) {
                progress(us / 1000);
            }
        }
        run.end().await
    }
}

/// A file as an argument: no name is taken for an option or a protocol.
pub(super) fn input(file: &Path) -> std::ffi::OsString {
    let mut argument = std::ffi::OsString::from("file:");
    argument.push(file);
    argument
}

/// The program at a low priority, where that can be asked for: calls come first.
fn nice(program: &Path) -> Command {
    let nice = Path::new("/usr/bin/nice");
    if nice.exists() {
        let mut command = Command::new(nice);
        command.args(["-n", "10"]).arg(program);
        command
    } else {
        Command::new(program)
    }
}

/// A child that runs. It is killed when this is dropped.
pub(super) struct Run {
    child: Child,
    output: BufReader<ChildStdout>,
    said: tokio::task::JoinHandle<String>,
}

impl Run {
    pub(super) fn start(mut command: Command) -> Result<Self, Failure> {
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).kill_on_drop(true);
        let mut child = command.spawn().map_err(|error| match error.kind() {
            io::ErrorKind::NotFound => Failure::Missing,
            _ => Failure::Io(error),
        })?;
        let closed = || Failure::Io(io::Error::other("a pipe is missing"));
        let output = BufReader::new(child.stdout.take().ok_or_else(closed)?);
        let mut errors = child.stderr.take().ok_or_else(closed)?;
        let said = tokio::spawn(async move {
            let mut text = Vec::new();
            // A child that is told nothing blocks once its pipe is full, so the rest is read too.
            (&mut errors).take(TAIL_BYTES).read_to_end(&mut text).await.ok();
            tokio::io::copy(&mut errors, &mut tokio::io::sink()).await.ok();
            String::from_utf8_lossy(&text).into_owned()
        });
        Ok(Self { child, output, said })
    }

    async fn line(&mut self) -> Result<Option<String>, Failure> {
        let mut line = String::new();
        match tokio::time::timeout(SILENCE, self.output.read_line(&mut line)).await {
            Ok(read) => Ok((read? > 0).then(|| line.trim_end().to_owned())),
            Err(_) => Err(Failure::Stuck),
        }
    }

    /// The next bytes of its output, as many as there is room for. `false`: it has come to its end.
    pub(super) async fn fill(&mut self, bytes: &mut [u8]) -> Result<bool, Failure> {
        match tokio::time::timeout(SILENCE, self.output.read_exact(bytes)).await {
            Ok(Ok(_)) => Ok(true),
            Ok(Err(error)) if error.kind() == io::ErrorKind::UnexpectedEof => Ok(false),
            Ok(Err(error)) => Err(error.into()),
            Err(_) => Err(Failure::Stuck),
        }
    }

    pub(super) async fn end(mut self) -> Result<(), Failure> {
        let status = self.child.wait().await?;
        if status.success() {
            return Ok(());
        }
        let said = self.said.await.unwrap_or_default();
        tracing::warn!(%status, said, "ffmpeg failed");
        let last = said.lines().rfind(|line| !line.trim().is_empty()).unwrap_or("it did not say why").to_owned();
        Err(if status.code() == Some(127) { Failure::Missing } else { Failure::Failed(last) })
    }
}
