//! What it costs the media threads that somebody looks at a picture of each camera every five seconds.

use std::sync::atomic::Ordering;
use std::time::Duration;

use parlor_media::client::Identity;
use parlor_media::dtls::Certificate;

use crate::bench::{Figure, Options};
use crate::forward::{median, wait};
use crate::peer::Place;
use crate::process::cpu_time_of;
use crate::publisher::Publisher;
use crate::server::{LOOPBACK, Server};
use crate::signal::Signal;
use crate::subscribers::Subscribers;
use crate::workload::Workload;

/// Calls at once, each of a publisher and its viewers.
const CALLS: usize = 10;
const VIEWERS: usize = 10;
/// A camera of about 1.1 Mbit/s: 30 frames a second of four packets.
const CAMERA: Workload = Workload::Bursts { per_s: 30, packets: 4, payload_bytes: 1160 };
/// A key frame has so many times the packets of another frame.
const KEY_FACTOR: usize = 5;
/// Joins, first key frames and first samples are over.
const WARM_UP: Duration = Duration::from_secs(3);

/// Looking off and on by turns, so that a slower minute of the machine meets both. The frames are none that could be decoded, so
/// that the server is given no model: it takes each sample as the media threads hand it over, and counts it.
pub(crate) fn measure(options: &Options, signal: &Signal) -> anyhow::Result<Vec<Figure>> {
    let (mut offs, mut ons) = (Vec::new(), Vec::new());
    for run in 1..=options.runs + 2 {
        let off = media_us(options, signal, "0")?;
        let on = media_us(options, signal, "5000")?;
        eprintln!("sampling: run {run}: {off:.3} µs a packet without, {on:.3} µs with");
        offs.push(off);
        ons.push(on);
    }
    let spread =
        (offs.iter().copied().fold(0.0, f64::max) / offs.iter().copied().fold(f64::MAX, f64::min) - 1.0) * 100.0;
    let percent = (median(ons) / median(offs) - 1.0) * 100.0;
    Ok(vec![Figure::new("sampling_media_cpu_pct", percent, "%"), Figure::new("sampling_media_noise_pct", spread, "%")])
}

/// CPU time of the media threads for each packet that a viewer would have got without samples: key frames asked for are extra.
fn media_us(options: &Options, signal: &Signal, sample_every_ms: &str) -> anyhow::Result<f64> {
    let settings = [("PARLOR_SAMPLE_EVERY_MS", sample_every_ms), ("PARLOR_MODELS_DIR", "/nonexistent")];
    let server = Server::start_with(&options.server(), signal, LOOPBACK, &settings)?;
    let identity = Identity::new(&Certificate::generate()?)?;
    let (mut readings, mut publishings) = (Vec::new(), Vec::new());
    for _ in 0..CALLS {
        let (place, socket) = Place::make(&server.address, signal, VIEWERS + 1)?;
        let publisher = Publisher { key_factor: KEY_FACTOR, ..Publisher::join(socket, &place, &identity)? };
        readings.push(Subscribers::join(VIEWERS, signal, &place, &identity)?.start());
        publishings.push(publisher.start(&CAMERA)?);
    }
    wait(|| readings.iter().all(|reading| reading.seen.receiving.load(Ordering::Relaxed) == VIEWERS as u64))?;
    std::thread::sleep(WARM_UP);
    let before = cpu_time_of(server.pid(), "shard-")?;
    std::thread::sleep(options.window());
    let spent = cpu_time_of(server.pid(), "shard-")? - before;
    drop(publishings);
    for reading in readings {
        reading.finish()?;
    }
    // The cameras' own packets, the same in both cases: what samples add is a cost, not a yield.
    let packets = options.window().as_secs_f64() * 120.0 * (CALLS * VIEWERS) as f64;
    Ok(spent.as_secs_f64() * 1e6 / packets)
}
