//! What it costs to record a packet, beside what it costs to forward one, in the same call.

use std::sync::atomic::Ordering;
use std::time::Duration;

use anyhow::ensure;
use parlor_media::client::Identity;
use parlor_media::dtls::Certificate;
use serde_json::json;

use crate::bench::{Figure, Options};
use crate::forward::{median, wait};
use crate::peer::Place;
use crate::process::cpu_time;
use crate::publisher::Publisher;
use crate::server::{LOOPBACK, Server};
use crate::signal::Signal;
use crate::subscribers::Subscribers;
use crate::workload::Workload;

/// One publisher of 4,000 packets a second, in frames of 20 packets: as much as 30 cameras of 1.2 Mbit/s.
const CAMERA: Workload = Workload::Bursts { per_s: 200, packets: 20, payload_bytes: 1160 };
const PACKETS_PER_S: f64 = 4_000.0;
const VIEWERS: usize = 5;
const WARM_UP: Duration = Duration::from_secs(2);
/// Three seconds of notice, and the first clusters.
const BEGINS: Duration = Duration::from_secs(6);

/// The same call without and with a recording, some times; the difference is the recording's.
pub(crate) fn measure(options: &Options, signal: &Signal) -> anyhow::Result<Vec<Figure>> {
    let (mut records, mut forwards) = (Vec::new(), Vec::new());
    for run in 1..=options.runs {
        let (forward, record) = record_run(options, signal)?;
        eprintln!("recording: run {run}: {forward:.3} µs a packet forwarded, {record:.3} µs a packet recorded");
        forwards.push(forward);
        records.push(record);
    }
    let (forward, record) = (median(forwards), median(records));
    Ok(vec![
        Figure::new("record_cpu_vs_forward", record / forward, "x"),
        Figure::new("record_us", record, "us"),
        Figure::new("forward_us_recorded", forward, "us"),
    ])
}

fn record_run(options: &Options, signal: &Signal) -> anyhow::Result<(f64, f64)> {
    let settings = [("PARLOR_SAMPLE_EVERY_MS", "0")];
    let server = Server::start_with(&options.server(), signal, LOOPBACK, &settings)?;
    let identity = Identity::new(&Certificate::generate()?)?;
    let (place, socket) = Place::make(&server.address, signal, VIEWERS + 1)?;
    let publisher = Publisher::join(socket, &place, &identity)?;
    let reading = Subscribers::join(VIEWERS, signal, &place, &identity)?.start();
    let publishing = publisher.start(&CAMERA)?;
    wait(|| reading.seen.receiving.load(Ordering::Relaxed) == VIEWERS as u64)?;
    std::thread::sleep(WARM_UP);
    let window = options.window();
    let look = || -> anyhow::Result<(f64, f64)> {
        let before = (cpu_time(server.pid())?, reading.seen.received.load(Ordering::Relaxed));
        std::thread::sleep(window);
        let cpu = cpu_time(server.pid())? - before.0;
        let packets = reading.seen.received.load(Ordering::Relaxed) - before.1;
        Ok((cpu.as_secs_f64() * 1e6, packets as f64))
    };
    let (alone_us, forwarded) = look()?;
    let call = signal.get(&format!("http://{}/api/v1/rooms/{}/call", place.server, place.room), &place.token)?;
    let call = call["callId"].as_str().unwrap_or_default();
    signal.post(&format!("http://{}/api/v1/calls/{call}/recording", place.server), Some(&place.token), &json!({}))?;
    std::thread::sleep(BEGINS);
    let before = Written::of(&server, signal)?;
    let (recorded_us, with) = look()?;
    let written = Written::of(&server, signal)?.since(&before);
    drop(publishing);
    reading.finish()?;
    let forward = alone_us / forwarded;
    let sent = window.as_secs_f64() * PACKETS_PER_S;
    ensure!(written.frames > 0.0, "no frame was written");
    let share = written.packets / sent;
    ensure!((0.9..1.1).contains(&share), "{} packets were put in order, {sent} were sent", written.packets);
    Ok((forward, (recorded_us - forward * with) / written.packets))
}

/// What the recorder has counted. The counts are a few seconds old, so that a window's ends are not exactly its own.
struct Written {
    packets: f64,
    frames: f64,
}

impl Written {
    fn of(server: &Server, signal: &Signal) -> anyhow::Result<Self> {
        let text = signal.text(&format!("http://{}/metrics", server.address))?;
        let count = |name: &str| {
            let value = text.lines().find_map(|line| line.strip_prefix(name));
            value.and_then(|value| value.trim().parse().ok()).unwrap_or(0.0)
        };
        Ok(Self {
            packets: count("parlor_recording_packets_total{result=\"ordered\"}"),
            frames: count("parlor_recording_frames_total{result=\"written\"}"),
        })
    }

    fn since(&self, before: &Self) -> Self {
        Self { packets: self.packets - before.packets, frames: self.frames - before.frames }
    }
}
