//! How many more bits Chromium sends because key frames are asked of it for samples.

use std::path::Path;
use std::process::{Command, Stdio};

use anyhow::{Context as _, ensure};
use serde_json::Value;

use crate::bench::{Figure, Options};
use crate::forward::median;
use crate::server::{Server, own_address};
use crate::signal::Signal;

/// Seconds that each page sends while its bytes are counted.
const SECONDS: &str = "30";
/// Pages without and with samples, by turns.
const TURNS: usize = 3;

/// Runs `bitrate/bitrate.mjs` by turns against servers that look at no picture and that look at one every five seconds.
pub(crate) fn measure(options: &Options, signal: &Signal) -> anyhow::Result<Vec<Figure>> {
    let (mut offs, mut ons) = (Vec::new(), Vec::new());
    for _ in 0..TURNS {
        offs.push(kbps(options, signal, "0")?);
        ons.push(kbps(options, signal, "5000")?);
    }
    eprintln!("bitrate: without samples {offs:.0?} kbit/s, with {ons:.0?} kbit/s");
    let (off, on) = (median(offs), median(ons));
    Ok(vec![
        Figure::new("sampling_extra_bitrate_pct", (on / off - 1.0) * 100.0, "%"),
        Figure::new("sampling_bitrate_kbps", on, "kbit/s"),
    ])
}

fn kbps(options: &Options, signal: &Signal, sample_every_ms: &str) -> anyhow::Result<f64> {
    let settings = [("PARLOR_SAMPLE_EVERY_MS", sample_every_ms)];
    let server = Server::start_with(&options.server(), signal, own_address(), &settings)?;
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("bitrate/bitrate.mjs");
    let output = Command::new("node")
        .arg(script)
        .args([&format!("http://{}", server.address), SECONDS])
        .stderr(Stdio::inherit())
        .output()
        .context("node cannot be started: install the Debian package nodejs")?;
    ensure!(output.status.success(), "bitrate.mjs failed; the server said:\n{}", server.log());
    let seen: Value = serde_json::from_slice(&output.stdout).context("bitrate.mjs printed no numbers")?;
    let layers = seen["layers"].as_u64().unwrap_or(0);
    ensure!(layers == 3, "Chromium sent {layers} layers instead of three");
    let keyframes = seen["keyframes"].as_u64().unwrap_or(0);
    eprintln!("bitrate: {} kbit/s, {keyframes} key frames, samples every {sample_every_ms} ms", seen["kbps"]);
    seen["kbps"].as_f64().context("no bitrate")
}
