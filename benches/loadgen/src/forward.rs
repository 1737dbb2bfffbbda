//! The forwarding figures: CPU time of a sending process for each packet that its 50 receivers got.

use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use anyhow::{Context as _, ensure};

use parlor_media::client::Identity;
use parlor_media::dtls::Certificate;

use crate::bench::{Figure, Options};
use crate::drain::{Reader, Sockets, clock_ns};
use crate::floor;
use crate::peer::Place;
use crate::process::cpu_time;
use crate::publisher::Publisher;
use crate::server::{LOOPBACK, Server};
use crate::signal::Signal;
use crate::subscribers::{Reading, Subscribers};
use crate::workload::Workload;

/// Caches, branch predictors and clock frequency settle before a window opens.
const WARM_UP: Duration = Duration::from_secs(2);

/// A server that probes for a subscriber's bandwidth takes some seconds until everything comes.
const WHOLE: Duration = Duration::from_secs(30);
/// The share of what is sent that is everything.
const NEARLY_ALL: f64 = 0.95;

/// What was seen in one window.
pub(crate) struct Window {
    cpu: Duration,
    packets: u64,
}

impl Window {
    /// Looks at a process for `length` while others count what they receive.
    fn open(pid: u32, received: &AtomicU64, length: Duration) -> anyhow::Result<Self> {
        let start = (cpu_time(pid)?, received.load(Ordering::Relaxed));
        std::thread::sleep(length);
        let end = (cpu_time(pid)?, received.load(Ordering::Relaxed));
        ensure!(end.1 > start.1, "nothing was received");
        Ok(Self { cpu: end.0 - start.0, packets: end.1 - start.1 })
    }

    pub(crate) fn us_per_packet(&self) -> f64 {
        self.cpu.as_secs_f64() * 1e6 / self.packets as f64
    }
}

/// Floor and server by turns, so that a slower minute of the machine meets both.
pub(crate) fn measure(
    name: &str,
    workload: &Workload,
    options: &Options,
    signal: &Signal,
) -> anyhow::Result<Vec<Figure>> {
    let (mut floors, mut servers, mut p50s, mut p99s) = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
    for run in 1..=options.runs {
        let floor = floor_run(workload, options)?;
        eprintln!("{name}: run {run}: floor  {:.3} µs, {} packets", floor.us_per_packet(), floor.packets);
        let mut server = server_run(workload, options, signal, &[])?;
        eprintln!("{name}: run {run}: server {server}");
        floors.push(floor.us_per_packet());
        servers.push(server.window.us_per_packet());
        p50s.push(percentile(&mut server.delays_ns, 50));
        p99s.push(percentile(&mut server.delays_ns, 99));
    }
    let (floor, server) = (median(floors), median(servers));
    let mut figures = vec![
        Figure::new(format!("forward_vs_floor_{name}"), server / floor, "x"),
        Figure::new(format!("forward_us_{name}"), server, "us"),
        Figure::new(format!("floor_us_{name}"), floor, "us"),
    ];
    if name == "20k" {
        figures.push(Figure::new("forward_p50_us", median(p50s), "us"));
        figures.push(Figure::new("forward_p99_us", median(p99s), "us"));
    }
    Ok(figures)
}

/// Runs of each side of [`measure_full`].
const MOST_FULL_RUNS: usize = 3;
/// Everything that the server does for a subscriber, but that packets wait for nothing.
const FULL: &[(&str, &str)] = &[("PARLOR_SFU__PACING", "false")];
/// The same, and packets leave at the rate that the subscriber's line bears.
const PACED: &[(&str, &str)] = &[("PARLOR_SFU__PACING", "true")];

/// Floor, server and server with its pacer by turns: retransmission ring, sender reports, transport-wide numbers and the estimator
/// are at work, and the subscribers answer with feedback.
pub(crate) fn measure_full(workload: &Workload, options: &Options, signal: &Signal) -> anyhow::Result<Vec<Figure>> {
    let (mut floors, mut fulls, mut paceds) = (Vec::new(), Vec::new(), Vec::new());
    for run in 1..=options.runs.min(MOST_FULL_RUNS) {
        floors.push(floor_run(workload, options)?.us_per_packet());
        for (name, settings, costs) in [("full", FULL, &mut fulls), ("paced", PACED, &mut paceds)] {
            let server = server_run(workload, options, signal, settings)?;
            eprintln!("{name}: run {run}: {server}");
            costs.push(server.window.us_per_packet());
        }
    }
    let (floor, full, paced) = (median(floors), median(fulls), median(paceds));
    Ok(vec![
        Figure::new("forward_full_vs_floor_80k", full / floor, "x"),
        Figure::new("forward_paced_vs_floor_80k", paced / floor, "x"),
        Figure::new("forward_full_us_80k", full, "us"),
        Figure::new("forward_paced_us_80k", paced, "us"),
    ])
}

/// What one call of one publisher showed.
pub(crate) struct Measured {
    pub window: Window,
    /// Of packets sent within the window.
    delays_ns: Vec<u64>,
    lost: u64,
}

impl std::fmt::Display for Measured {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let delays = &mut self.delays_ns.clone();
        let (p50, p99) = (percentile(delays, 50), percentile(delays, 99));
        write!(
            f,
            "{:.3} µs, {} packets, {} lost, delay p50 {p50:.0} µs p99 {p99:.0} µs of {}",
            self.window.us_per_packet(),
            self.window.packets,
            self.lost,
            delays.len()
        )
    }
}

/// One call on a server of its own, with these settings.
fn server_run(
    workload: &Workload,
    options: &Options,
    signal: &Signal,
    settings: &[(&str, &str)],
) -> anyhow::Result<Measured> {
    let mut all = vec![("PARLOR_SAMPLE_EVERY_MS", "0")];
    all.extend_from_slice(settings);
    let server = Server::start_with(&options.server(), signal, LOOPBACK, &all)?;
    let identity = Identity::new(&Certificate::generate()?)?;
    let (place, socket) = Place::make(&server.address, signal, options.subscribers + 1)?;
    let publisher = Publisher::join(socket, &place, &identity)?;
    let subscribers = Subscribers::join(options.subscribers, signal, &place, &identity)?;
    let measured = measure_call(publisher, subscribers, server.pid(), workload, options.window());
    measured.with_context(|| server.log())
}

/// Sends the workload to subscribers who are there, and looks at the process that forwards it.
pub(crate) fn measure_call(
    publisher: Publisher,
    subscribers: Subscribers,
    pid: u32,
    workload: &Workload,
    length: Duration,
) -> anyhow::Result<Measured> {
    let reading = subscribers.start();
    let publishing = publisher.start(workload)?;
    whole(&reading, workload)?;
    std::thread::sleep(WARM_UP);
    let start_ns = clock_ns();
    let window = Window::open(pid, &reading.seen.received, length)?;
    let end_ns = clock_ns();
    drop(publishing);
    let outcome = reading.finish()?;
    let within = outcome.delays.iter().filter(|(sent_ns, _)| (start_ns..end_ns).contains(sent_ns));
    let delays_ns = within.map(|(_, delay_ns)| *delay_ns).collect();
    Ok(Measured { window, delays_ns, lost: outcome.lost })
}

/// Waits until every subscriber gets nearly all that is sent.
pub(crate) fn whole(reading: &Reading, workload: &Workload) -> anyhow::Result<()> {
    let receiving = || reading.seen.receiving.load(Ordering::Relaxed);
    let expected_per_s = workload.packets_per_s()? * reading.count as f64;
    let start = Instant::now();
    loop {
        let before = (Instant::now(), reading.seen.received.load(Ordering::Relaxed));
        std::thread::sleep(Duration::from_millis(500));
        let came = reading.seen.received.load(Ordering::Relaxed) - before.1;
        let per_s = came as f64 / before.0.elapsed().as_secs_f64();
        if receiving() == reading.count as u64 && per_s >= expected_per_s * NEARLY_ALL {
            return Ok(());
        }
        ensure!(
            start.elapsed() < WHOLE,
            "{} of {} subscribers receive, {per_s:.0} packets a second of {expected_per_s:.0}",
            receiving(),
            reading.count
        );
    }
}

/// Reads sockets on a thread of its own and counts RTP packets.
struct Counter {
    received: Arc<AtomicU64>,
    stop: Arc<AtomicBool>,
    thread: Option<JoinHandle<anyhow::Result<()>>>,
}

impl Counter {
    fn start(sockets: Arc<Sockets>) -> Self {
        let (received, stop) = (Arc::new(AtomicU64::new(0)), Arc::new(AtomicBool::new(false)));
        let (count, stopped) = (Arc::clone(&received), Arc::clone(&stop));
        let thread = std::thread::spawn(move || {
            let mut reader = Reader::new(sockets);
            while !stopped.load(Ordering::Relaxed) {
                let mut batch = 0;
                reader.read(Duration::from_millis(100), |_, _, _| batch += 1)?;
                count.fetch_add(batch, Ordering::Relaxed);
            }
            Ok(())
        });
        Self { received, stop, thread: Some(thread) }
    }

    fn finish(mut self) -> anyhow::Result<()> {
        self.stop.store(true, Ordering::Relaxed);
        self.thread.take().expect("finished once").join().expect("the reader does not panic")
    }
}

fn floor_run(workload: &Workload, options: &Options) -> anyhow::Result<Window> {
    let sockets = Sockets::bind(options.subscribers)?;
    let arguments = floor::Options::arguments(workload, &sockets.addresses()?);
    let counter = Counter::start(sockets);
    let child = Command::new(std::env::current_exe()?).args(arguments).stdin(Stdio::null()).spawn()?;
    let child = Killed(child);
    wait(|| counter.received.load(Ordering::Relaxed) > 0).context("the floor sends nothing")?;
    std::thread::sleep(WARM_UP);
    let window = Window::open(child.0.id(), &counter.received, options.window());
    drop(child);
    counter.finish()?;
    window
}

pub(crate) fn wait(reached: impl Fn() -> bool) -> anyhow::Result<()> {
    let start = Instant::now();
    while !reached() {
        ensure!(start.elapsed() < Duration::from_secs(10), "nothing more happens");
        std::thread::sleep(Duration::from_millis(10));
    }
    Ok(())
}

/// A child process that ends with its owner.
struct Killed(Child);

impl Drop for Killed {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

pub(crate) fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}

/// The given percentile in µs.
fn percentile(delays_ns: &mut [u64], percent: usize) -> f64 {
    delays_ns.sort_unstable();
    let at = (delays_ns.len() * percent / 100).min(delays_ns.len().saturating_sub(1));
    delays_ns.get(at).map_or(f64::NAN, |ns| *ns as f64 / 1000.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_middle_and_the_tail() {
        assert!((median(vec![3.0, 1.0, 2.0]) - 2.0).abs() < f64::EPSILON);
        let mut delays: Vec<u64> = (0..100).rev().map(|n| n * 1000).collect();
        assert!((percentile(&mut delays, 99) - 99.0).abs() < f64::EPSILON);
        assert!(percentile(&mut [], 99).is_nan());
    }
}
