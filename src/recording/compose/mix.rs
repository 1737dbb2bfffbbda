//! All voices in one line of samples, on the recording's clock.
//!
//! A voice has gaps (somebody is muted for an hour), and ffmpeg's own filters fill a gap with silence in memory. So each voice is
//! decoded by itself, with its times, and added where it belongs to a file of samples in which nothing is written for a gap.

use std::io::SeekFrom;
use std::path::Path;

use tokio::fs::File;
use tokio::io::{AsyncReadExt as _, AsyncSeekExt as _, AsyncWriteExt as _};

use super::ffmpeg::{Failure, Ffmpeg, Run, input};

/// Samples a second: the highest rate for which FLV, the simplest container with times, has a number.
pub(super) const RATE: u32 = 44_100;
/// A block that begins this close to where the last one ended goes on there: FLV's times are whole milliseconds.
const TOLERANCE: i64 = RATE as i64 / 50;
/// Samples that are added at once: a second.
const ADDED: usize = RATE as usize;
/// The longest block that is believed, in bytes. ffmpeg writes some kilobytes.
const BLOCK_LIMIT: usize = 1024 * 1024;
/// Bytes of a sample in the file: 32-bit floating point, so that many loud voices are not cut off.
const SAMPLE: i64 = 4;
/// What stands before the first tag of an FLV file.
const FLV_HEADER: usize = 13;
/// What stands before a tag's content, and behind it.
const TAG_HEADER: usize = 11;
const TAG_TRAILER: usize = 4;
/// The tag of sound, and the first byte of its content: PCM, 44.1 kHz, 16 bits, one channel.
const AUDIO_TAG: u8 = 8;
const PCM_MONO: u8 = 0x3e;

/// Adds a file's voice, which begins at that moment of the recording, and tells how far it is, in milliseconds of the file.
pub(super) async fn add(
    ffmpeg: &Ffmpeg,
    voice: &Path,
    starts_at_ms: i64,
    mix: &mut File,
    mut progress: impl FnMut(i64),
) -> Result<(), Failure> {
    let arguments = ["-map", "0:a:0", "-ac", "1", "-ar", "44100", "-c:a", "pcm_s16le", "-f", "flv", "pipe:1"];
    let mut command = ffmpeg.command();
    command.args(["-copyts", "-i"]).arg(input(voice)).args(arguments);
    let mut decoder = Run::start(command)?;
    let mut line = Line { next: None, begins: 0, samples: Vec::with_capacity(ADDED * 2) };
    let mut header = [0; FLV_HEADER];
    if decoder.fill(&mut header).await? {
        while let Some((at_ms, block)) = tag(&mut decoder).await? {
            progress(at_ms);
            let at = (starts_at_ms + at_ms).saturating_mul(i64::from(RATE)) / 1_000;
            line.push(at, &block, mix).await?;
        }
        line.flush(mix).await?;
    }
    decoder.end().await
}

/// The next block of sound: its time and its content.
async fn tag(decoder: &mut Run) -> Result<Option<(i64, Vec<u8>)>, Failure> {
    loop {
        let mut header = [0; TAG_HEADER];
        if !decoder.fill(&mut header).await? {
            return Ok(None);
        }
        let [kind, s2, s1, s0, t2, t1, t0, t3, ..] = header;
        let size = u32::from_be_bytes([0, s2, s1, s0]) as usize;
        let at_ms = i64::from(u32::from_be_bytes([t3, t2, t1, t0]));
        if size > BLOCK_LIMIT {
            return Err(Failure::Failed("it wrote something that is no sound".to_owned()));
        }
        let mut content = vec![0; size + TAG_TRAILER];
        if !decoder.fill(&mut content).await? {
            return Ok(None);
        }
        content.truncate(size);
        if kind == AUDIO_TAG && content.first() == Some(&PCM_MONO) {
            content.remove(0);
            return Ok(Some((at_ms, content)));
        }
    }
}

/// A voice on its way into the mix.
struct Line {
    /// Where the next block belongs if it follows the last.
    next: Option<i64>,
    /// Where `samples` begin.
    begins: i64,
    samples: Vec<f32>,
}

impl Line {
    async fn push(&mut self, at: i64, block: &[u8], mix: &mut File) -> Result<(), Failure> {
        let follows = self.next.filter(|next| (at - next).abs() <= TOLERANCE);
        if follows.is_none() || self.samples.len() >= ADDED {
            self.flush(mix).await?;
            self.begins = follows.unwrap_or(at);
        }
        let (samples, _) = block.as_chunks::<2>();
        self.samples.extend(samples.iter().map(|sample| f32::from(i16::from_le_bytes(*sample)) / 32_768.0));
        self.next = Some(self.begins + self.samples.len() as i64);
        Ok(())
    }

    /// Adds what has gathered to what is there.
    async fn flush(&mut self, mix: &mut File) -> Result<(), Failure> {
        // Before the recording's beginning there is nothing.
        let early = usize::try_from(-self.begins).unwrap_or(0).min(self.samples.len());
        let samples = &mut self.samples[early..];
        if !samples.is_empty() {
            let at = (self.begins + early as i64) * SAMPLE;
            let at = SeekFrom::Start(u64::try_from(at).unwrap_or_default());
            let mut bytes = Vec::with_capacity(samples.len() * SAMPLE as usize);
            mix.seek(at).await?;
            (&mut *mix).take((samples.len() as i64 * SAMPLE) as u64).read_to_end(&mut bytes).await?;
            for (sample, there) in samples.iter_mut().zip(bytes.as_chunks::<4>().0) {
                *sample += f32::from_le_bytes(*there);
            }
            bytes.clear();
            bytes.extend(samples.iter().flat_map(|sample| sample.to_le_bytes()));
            mix.seek(at).await?;
            mix.write_all(&bytes).await?;
            mix.flush().await?;
        }
        self.samples.clear();
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The mix after these blocks of a voice: where, how many samples, how loud.
    async fn mixed(voices: &[&[(i64, usize, i16)]]) -> Vec<f32> {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("mix");
        let mut options = tokio::fs::OpenOptions::new();
        let mut mix = options.create(true).truncate(true).read(true).write(true).open(&path).await.unwrap();
        for voice in voices {
            let mut line = Line { next: None, begins: 0, samples: Vec::new() };
            for (at, count, level) in *voice {
                line.push(*at, &level.to_le_bytes().repeat(*count), &mut mix).await.unwrap();
            }
            line.flush(&mut mix).await.unwrap();
        }
        let bytes = std::fs::read(path).unwrap();
        bytes.as_chunks::<4>().0.iter().map(|sample| f32::from_le_bytes(*sample)).collect()
    }

    #[tokio::test]
    async fn voices_add_up_where_they_belong() {
        const HALF: i16 = 16_384;
        let second = ADDED as i64;
        // The second block of the first voice is a little late by its time, and follows the first all the same.
        let first: &[(i64, usize, i16)] = &[(0, 1_000, HALF), (1_040, 1_000, HALF), (3 * second, 10, HALF)];
        let second_voice: &[(i64, usize, i16)] = &[(-5, 10, HALF), (1_999, 2, HALF)];
        let mix = mixed(&[first, second_voice]).await;
        assert_eq!(mix.len(), 3 * ADDED + 10);
        assert_eq!((mix[0], mix[4], mix[5], mix[1_998]), (1.0, 1.0, 0.5, 0.5));
        assert_eq!((mix[1_999], mix[2_000], mix[2_001], mix[3 * ADDED]), (1.0, 0.5, 0.0, 0.5));
        assert!(mix[2_001..3 * ADDED].iter().all(|sample| *sample == 0.0));
        // More than a second goes into the file in parts.
        let long: Vec<(i64, usize, i16)> = (0..30).map(|n| (n * 10_000, 10_000, HALF)).collect();
        let mix = mixed(&[&long, &long]).await;
        assert!(mix.len() == 300_000 && mix.iter().all(|sample| *sample == 1.0));
    }
}
