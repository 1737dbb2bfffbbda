//! The making of one composed file.

use std::ffi::OsString;
use std::io::{self, Read as _};
use std::path::{Path, PathBuf};

use ring::digest;

use super::ffmpeg::{Failure, Ffmpeg, MAX_PIXELS, Probed, input};
use super::mix;
use super::plan::{self, Input};
use super::{Ending, Job};
use crate::domain::{
    FileId, RecordingId, Refusal,
    recording::{ComposedState, Container, FileKind, FileState, RecordedFile, Recording},
};
use crate::files::{self, Key};
use crate::recording::{Config, Recordings, speakers};

/// Files that one composed file is made of at most: each is a decoder with pictures of its own.
const INPUTS_LIMIT: usize = 120;
/// The folder of jobs beside those of the recordings.
const FOLDER: &str = "composing";
/// How much of a job is looking into the files …
const LOOKING_PART: f64 = 0.05;
/// … giving pictures one size …
const EVEN_PART: f64 = 0.1;
/// … adding up the voices …
const MIX_PART: f64 = 0.1;
/// … and making the whole.
const MAIN_PART: f64 = 0.75;
/// Fonts that Debian's packages install (fonts-dejavu-core, fonts-liberation, fonts-freefont-ttf, fonts-noto-core).
const FONTS: [&str; 4] = [
    "/usr/share/fonts/truetype/dejavu/DejaVuSans.ttf",
    "/usr/share/fonts/truetype/liberation/LiberationSans-Regular.ttf",
    "/usr/share/fonts/truetype/freefont/FreeSans.ttf",
    "/usr/share/fonts/truetype/noto/NotoSans-Regular.ttf",
];
/// What is said of a file that was made without names.
const NO_NAMES: &str = "There is no font on the server, so the file shows no names.";

impl From<Failure> for Ending {
    fn from(failure: Failure) -> Self {
        Self::Failed(format!("{failure}."))
    }
}

impl From<files::Error> for Ending {
    fn from(error: files::Error) -> Self {
        tracing::error!(%error, "files could not be composed");
        Self::Failed("The stored files cannot be reached.".to_owned())
    }
}

impl From<io::Error> for Ending {
    fn from(error: io::Error) -> Self {
        tracing::error!(%error, "files could not be composed");
        Self::Failed("The server's disk did not take the file.".to_owned())
    }
}

impl From<crate::store::Error> for Ending {
    fn from(error: crate::store::Error) -> Self {
        tracing::error!(%error, "files could not be composed");
        Self::Failed("The server's database failed.".to_owned())
    }
}

/// A file on its way into the composed one.
struct Source {
    file: RecordedFile,
    /// Where it is on this machine.
    original: PathBuf,
    /// Where its picture is, once that has one size.
    picture: PathBuf,
    probed: Probed,
}

/// How the picture and the sound are written.
struct Form {
    container: Container,
    video: &'static [&'static str],
    audio: &'static str,
}

impl Recordings {
    /// Makes a recording's composed file. A remark on it, if there is one.
    pub(super) async fn make(&self, job: &Job) -> Result<Option<String>, Ending> {
        self.advance(job, 0.0);
        self.0.ground.store.keep_composed(job.recording, ComposedState::Running, None, job.by).await?;
        let recording = self.0.ground.store.recording(job.recording).await?.ok_or(Ending::Cancelled)?;
        let folder = self.0.folder.join(FOLDER);
        tokio::fs::create_dir_all(&folder).await?;
        // From the next step on it is done: nothing may come between a file and its row.
        let made = tokio::select! {
            () = job.cancel.cancelled() => Err(Ending::Cancelled),
            made = self.write(job, &recording, &folder) => made,
            () = self.until_full() => Err(Ending::Failed("The server's disk is full.".to_owned())),
        };
        let (draft, form, total_ms, note) = made?;
        self.take_in(&recording, &draft, &form, total_ms).await?;
        Ok(note)
    }

    /// Returns when the disk has less free space than is to be kept free.
    async fn until_full(&self) {
        while self.check_space().await != Err(Refusal::DiskFull) {
            tokio::time::sleep(std::time::Duration::from_secs(1)).await;
        }
    }

    async fn write(
        &self,
        job: &Job,
        recording: &Recording,
        folder: &Path,
    ) -> Result<(PathBuf, Form, i64, Option<String>), Ending> {
        let ffmpeg = Ffmpeg::new(&self.0.config.ffmpeg);
        let form = form(&ffmpeg).await?;
        let mut sources = self.gather(&ffmpeg, recording, folder).await?;
        self.advance(job, LOOKING_PART);
        let inputs: Vec<Input> = sources.iter().map(input_of).collect();
        let tiles = plan::tiles(&inputs);
        let uneven: Vec<usize> = (0..sources.len()).filter(|n| sources[*n].probed.changes_size).collect();
        for (before, n) in uneven.iter().enumerate() {
            let tile = tiles.iter().find(|tile| tile.inputs.contains(n));
            let area = tile.map(|tile| tile.area).unwrap_or_default();
            let length_ms = inputs[*n].duration_ms.max(1) as f64;
            let progress = |ms: i64| {
                let done = before as f64 + (ms as f64 / length_ms).clamp(0.0, 1.0);
                self.advance(job, LOOKING_PART + EVEN_PART * done / uneven.len() as f64);
            };
            sources[*n].picture = even_out(&ffmpeg, folder, *n, &sources[*n], area, progress).await?;
        }
        let mix = self.mix(job, &ffmpeg, &sources, folder).await?;
        self.advance(job, 1.0 - MAIN_PART);
        let with_names = self.prepare_names(&ffmpeg, folder, &tiles, &sources).await?;
        let spans = self.spans(recording.recording_id).await?;
        tokio::fs::write(folder.join(plan::COMMANDS), plan::commands(&tiles, &spans)).await?;
        let draft = folder.join("composed.part");
        let total_ms = plan::total_ms(&inputs);
        let arguments =
            arguments(&sources, mix.as_deref(), &plan::graph(&inputs, &tiles, with_names), &form, total_ms, &draft);
        let progress = |ms: i64| {
            self.advance(job, 1.0 - MAIN_PART + MAIN_PART * (ms as f64 / total_ms as f64).clamp(0.0, 1.0));
        };
        ffmpeg.run(folder, &arguments, progress).await?;
        Ok((draft, form, total_ms, (!with_names).then(|| NO_NAMES.to_owned())))
    }

    /// All voices in one file of samples; `None`: nobody speaks.
    async fn mix(
        &self,
        job: &Job,
        ffmpeg: &Ffmpeg,
        sources: &[Source],
        folder: &Path,
    ) -> Result<Option<PathBuf>, Ending> {
        let voices: Vec<_> = sources.iter().filter(|source| source.probed.has_audio).collect();
        if voices.is_empty() {
            return Ok(None);
        }
        let path = folder.join("mix");
        let mut options = tokio::fs::OpenOptions::new();
        let mut file = options.create(true).truncate(true).read(true).write(true).open(&path).await?;
        for (before, voice) in voices.iter().enumerate() {
            let length_ms = voice.file.duration_ms.unwrap_or_default().max(1) as f64;
            let progress = |ms: i64| {
                let done = before as f64 + (ms as f64 / length_ms).clamp(0.0, 1.0);
                self.advance(job, LOOKING_PART + EVEN_PART + MIX_PART * done / voices.len() as f64);
            };
            mix::add(ffmpeg, &voice.original, voice.file.starts_at_ms, &mut file, progress).await?;
        }
        Ok((file.metadata().await?.len() > 0).then_some(path))
    }

    /// The recording's files on this machine, with what is in them. Those with nothing in them are left out.
    async fn gather(&self, ffmpeg: &Ffmpeg, recording: &Recording, folder: &Path) -> Result<Vec<Source>, Ending> {
        let is_part = |file: &&RecordedFile| file.kind != FileKind::Composed && file.state == FileState::Ready;
        let files: Vec<_> = recording.files.iter().filter(is_part).cloned().collect();
        if files.len() > INPUTS_LIMIT {
            return Err(Ending::Failed(format!(
                "This recording has {} files; one can be made of up to {INPUTS_LIMIT}.",
                files.len()
            )));
        }
        let mut sources = Vec::new();
        for (n, file) in files.into_iter().enumerate() {
            let key = Key::Recording(recording.recording_id, file.file_id);
            let path = match self.0.ground.files.path(key) {
                Some(path) => path,
                None => {
                    let copy = folder.join(format!("input-{n}"));
                    self.0.ground.files.fetch(key, &copy).await?;
                    copy
                }
            };
            let probed = ffmpeg.probe(&path).await?;
            if probed.has_video || probed.has_audio {
                sources.push(Source { file, original: path.clone(), picture: path, probed });
            }
        }
        if sources.is_empty() {
            return Err(Ending::Failed("There is neither sound nor picture in this recording.".to_owned()));
        }
        Ok(sources)
    }

    /// Puts the names and the font where the graph finds them. `false`: there is no font, or ffmpeg cannot write.
    async fn prepare_names(
        &self,
        ffmpeg: &Ffmpeg,
        folder: &Path,
        tiles: &[plan::Tile],
        sources: &[Source],
    ) -> Result<bool, Ending> {
        let Some(font) = font(&self.0.config) else { return Ok(false) };
        if !ffmpeg.can("-filters", "drawtext").await {
            return Ok(false);
        }
        tokio::fs::copy(&font, folder.join(plan::FONT)).await?;
        for (n, tile) in tiles.iter().enumerate() {
            let source = tile.inputs.first().map(|input| &sources[*input].file);
            let name = source.and_then(|file| file.nickname.as_deref()).unwrap_or("?");
            let label = if tile.kind == FileKind::Screen { format!("{name}: screen") } else { name.to_owned() };
            tokio::fs::write(folder.join(plan::label_file(n)), label).await?;
        }
        Ok(true)
    }

    async fn spans(&self, recording: RecordingId) -> Result<Vec<speakers::Span>, Ending> {
        match self.0.ground.files.bytes(Key::Speakers(recording)).await {
            Ok(file) => Ok(speakers::decode(&file)),
            Err(files::Error::Missing) => Ok(Vec::new()),
            Err(error) => Err(error.into()),
        }
    }

    /// Makes the new file one of the recording's, in the place of an older one.
    async fn take_in(&self, recording: &Recording, draft: &Path, form: &Form, total_ms: i64) -> Result<(), Ending> {
        let measured = {
            let draft = draft.to_owned();
            tokio::task::spawn_blocking(move || measure(&draft)).await.map_err(io::Error::other)?
        };
        let (size_bytes, sha256) = measured?;
        let id = recording.recording_id;
        // Somebody deletes it.
        let _alone = self.alone(id).ok_or(Ending::Cancelled)?;
        let store = &self.0.ground.store;
        // It may have been deleted meanwhile.
        let recording = store.recording(id).await?.ok_or(Ending::Cancelled)?;
        let file = RecordedFile {
            file_id: FileId::new(),
            kind: FileKind::Composed,
            user_id: None,
            nickname: None,
            state: FileState::Ready,
            interrupted: false,
            container: form.container,
            starts_at_ms: 0,
            duration_ms: Some(total_ms),
            size_bytes: Some(size_bytes),
            sha256: Some(sha256),
        };
        self.0.ground.files.put_file(Key::Recording(id, file.file_id), draft).await?;
        store.keep_recorded_file(id, &file).await?;
        for old in recording.files.iter().filter(|file| file.kind == FileKind::Composed) {
            self.0.ground.files.delete(Key::Recording(id, old.file_id)).await?;
            store.forget_recorded_file(old.file_id).await?;
        }
        Ok(())
    }
}

/// The font of the names.
pub(super) fn font(config: &Config) -> Option<PathBuf> {
    let known = FONTS.iter().map(PathBuf::from);
    config.font.iter().cloned().chain(known).find(|font| font.is_file())
}

fn input_of(source: &Source) -> Input {
    let RecordedFile { user_id: user, kind, starts_at_ms, duration_ms, .. } = source.file;
    let has_video = source.probed.has_video;
    Input { user, kind, starts_at_ms, duration_ms: duration_ms.unwrap_or_default(), has_video }
}

/// What ffmpeg can write: WebM, or what every ffmpeg has.
async fn form(ffmpeg: &Ffmpeg) -> Result<Form, Ending> {
    const VP8: &[&str] = &[
        "libvpx",
        "-deadline",
        "realtime",
        "-cpu-used",
        "4",
        "-b:v",
        "2500k",
        "-crf",
        "10",
        "-g",
        "125",
        "-threads",
        "2",
    ];
    const MPEG4: &[&str] = &["mpeg4", "-q:v", "4"];
    if ffmpeg.can("-encoders", "libvpx").await && ffmpeg.can("-encoders", "libopus").await {
        return Ok(Form { container: Container::WebM, video: VP8, audio: "libopus" });
    }
    if ffmpeg.can("-encoders", "mpeg4").await && ffmpeg.can("-encoders", "aac").await {
        return Ok(Form { container: Container::Matroska, video: MPEG4, audio: "aac" });
    }
    Err(Ending::Failed("This ffmpeg has no encoder that can be used here.".to_owned()))
}

/// Gives a picture that changes its size one size: in the large graph a change would begin everything anew.
async fn even_out(
    ffmpeg: &Ffmpeg,
    folder: &Path,
    number: usize,
    source: &Source,
    area: plan::Area,
    progress: impl FnMut(i64),
) -> Result<PathBuf, Ending> {
    let plan::Area { width, height, .. } = area;
    let path = folder.join(format!("even-{number}.mkv"));
    let filter = format!(
        "scale={width}:{height}:force_original_aspect_ratio=decrease,pad={width}:{height}:(ow-iw)/2:(oh-ih)/2,setsar=1"
    );
    let mut arguments: Vec<OsString> = vec!["-copyts".into()];
    arguments.extend(MAX_PIXELS.into_iter().chain(["-i"]).map(OsString::from));
    arguments.push(input(&source.original));
    arguments.extend(["-map", "0:v:0", "-fps_mode", "vfr", "-vf"].map(OsString::from));
    arguments.push(filter.into());
    let written = ["-c:v", "mpeg4", "-q:v", "2", "-f", "matroska"];
    arguments.extend(written.map(OsString::from));
    arguments.push(input(&path));
    ffmpeg.run(folder, &arguments, progress).await?;
    Ok(path)
}

fn arguments(
    sources: &[Source],
    mix: Option<&Path>,
    graph: &str,
    form: &Form,
    total_ms: i64,
    draft: &Path,
) -> Vec<OsString> {
    let mut arguments: Vec<OsString> = vec!["-copyts".into()];
    for source in sources {
        arguments.extend(MAX_PIXELS.into_iter().chain(["-threads", "1", "-i"]).map(OsString::from));
        arguments.push(input(&source.picture));
    }
    if let Some(mix) = mix {
        let rate = mix::RATE.to_string();
        arguments.extend(["-f", "f32le", "-ar", &rate, "-ac", "1", "-i"].map(OsString::from));
        arguments.push(input(mix));
    }
    arguments.extend(["-filter_complex", graph, "-map", "[picture]", "-c:v"].map(OsString::from));
    arguments.extend(form.video.iter().map(OsString::from));
    if mix.is_some() {
        let line = format!("{}:a:0", sources.len());
        // Several loud voices together are held below what a file can hold.
        let limited = ["-af", "alimiter=limit=0.95:level=0", "-c:a", form.audio, "-ar", "48000", "-b:a", "96k"];
        arguments.extend(["-map", &line].into_iter().chain(limited).map(OsString::from));
    }
    arguments.push("-t".into());
    arguments.push(format!("{}.{:03}", total_ms / 1000, total_ms % 1000).into());
    arguments.push("-f".into());
    arguments.push(form.container.as_str().into());
    arguments.push(input(draft));
    arguments
}

/// A file's size and SHA-256.
fn measure(file: &Path) -> io::Result<(i64, String)> {
    let mut source = std::fs::File::open(file)?;
    let (mut hash, mut size) = (digest::Context::new(&digest::SHA256), 0_i64);
    let mut piece = vec![0; 64 * 1024];
    loop {
        let read = source.read(&mut piece)?;
        if read == 0 {
            break;
        }
        hash.update(&piece[..read]);
        size += i64::try_from(read).unwrap_or_default();
    }
    let sha256 = hash.finish().as_ref().iter().map(|byte| format!("{byte:02x}")).collect();
    Ok((size, sha256))
}

/// Removes what jobs leave behind, in the folder of all recordings.
pub(super) async fn remove_leftovers(folder: &Path) {
    let left = folder.join(FOLDER);
    if let Err(error) = crate::recording::keep::remove_folder(&left).await {
        tracing::warn!(%error, "what a composed file left behind could not be removed");
    }
}
