//! What a sample costs: a key frame decoded, squashed and classified, beside the classification alone.

use std::path::Path;
use std::time::Duration;

use anyhow::{Context as _, ensure};
use nix::time::{ClockId, clock_gettime};
use parlor::moderation::vision::{Classifier, Coding};

use crate::bench::{Figure, Options};
use crate::forward::median;
use crate::signal::Signal;

/// Key frames of 320×180, each behind the 12 bytes of IVF; `frames/make` makes them.
const FRAMES: &[u8] = include_bytes!("../frames/320x180.ivf");
/// Samples before those that count: allocators, caches and the runtime's arena have settled then.
const WARM_UP: usize = 60;
/// Samples of which each half, with and without decoding, takes the median.
const SAMPLES: usize = 1500;

/// One thread, one session, by turns: all of a sample, then the model alone on the same picture, so that whatever else the
/// machine does falls on both.
pub(crate) fn measure(_options: &Options, _signal: &Signal) -> anyhow::Result<Vec<Figure>> {
    let models = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../models");
    let mut eye = Classifier::open(&models)?.eye()?;
    let frames = frames();
    ensure!(!frames.is_empty(), "there is no frame to look at");
    let (mut samples, mut inferences) = (Vec::with_capacity(SAMPLES), Vec::with_capacity(SAMPLES));
    for (number, frame) in frames.iter().cycle().take(WARM_UP + SAMPLES).enumerate() {
        let start = thread_time()?;
        let seen = eye.look(Coding::Vp8, frame)?;
        let looked = thread_time()?;
        eye.classify()?;
        let classified = thread_time()?;
        ensure!((seen.width, seen.height) == (320, 180), "a frame of another size");
        if number >= WARM_UP {
            samples.push((looked - start).as_secs_f64());
            inferences.push((classified - looked).as_secs_f64());
        }
    }
    let per_core = samples.len() as f64 / samples.iter().sum::<f64>();
    let (sample, inference) = (median(samples), median(inferences));
    eprintln!("samples: {:.2} ms each, {:.2} ms of it inference", sample * 1e3, inference * 1e3);
    Ok(vec![
        Figure::new("samples_vs_inference", sample / inference, "x"),
        Figure::new("samples_per_core_s", per_core, "1/s"),
        Figure::new("inference_ms", inference * 1e3, "ms"),
    ])
}

/// CPU time of this thread, user and system: the model runs on it too.
fn thread_time() -> anyhow::Result<Duration> {
    clock_gettime(ClockId::CLOCK_THREAD_CPUTIME_ID).map(Duration::from).context("no clock of the thread's CPU time")
}

fn frames() -> Vec<&'static [u8]> {
    let mut rest = &FRAMES[32..];
    std::iter::from_fn(|| {
        let (head, tail) = rest.split_first_chunk::<12>()?;
        let len = u32::from_le_bytes([head[0], head[1], head[2], head[3]]) as usize;
        let (frame, after) = tail.split_at(len);
        rest = after;
        Some(frame)
    })
    .collect()
}
