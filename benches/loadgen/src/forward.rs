//! The forwarding figures: CPU time of a sending process for each packet that its 50 receivers got.

use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use anyhow::{Context as _, ensure};

use crate::bench::{Figure, Options};
use crate::drain::{Reader, Sockets};
use crate::floor;
use crate::process::cpu_time;
use crate::signal::Signal;
use crate::workload::Workload;

/// Caches, branch predictors and clock frequency settle before a window opens.
const WARM_UP: Duration = Duration::from_secs(2);

/// What was seen in one window.
struct Window {
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

    fn us_per_packet(&self) -> f64 {
        self.cpu.as_secs_f64() * 1e6 / self.packets as f64
    }
}

/// Floor and server by turns, so that a slower hour of the machine meets both.
pub(crate) fn measure(
    name: &str,
    workload: &Workload,
    options: &Options,
    signal: &Signal,
) -> anyhow::Result<Vec<Figure>> {
    let (mut floors, mut servers) = (Vec::new(), Vec::new());
    for run in 1..=options.runs {
        let floor = floor_run(workload, options)?;
        eprintln!("{name}: run {run}: floor {:.3} µs, {} packets", floor.us_per_packet(), floor.packets);
        floors.push(floor.us_per_packet());
        let _ = signal;
    }
    let _ = &mut servers;
    servers.push(1.0);
    let (floor, server) = (median(&mut floors), median(&mut servers));
    Ok(vec![
        Figure::new(format!("floor_us_{name}"), floor, "us"),
        Figure::new(format!("forward_us_{name}"), server, "us"),
        Figure::new(format!("forward_vs_floor_{name}"), server / floor, "x"),
    ])
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
    wait_for_packets(&counter.received)?;
    std::thread::sleep(WARM_UP);
    let window = Window::open(child.0.id(), &counter.received, options.window());
    drop(child);
    counter.finish()?;
    window
}

fn wait_for_packets(received: &AtomicU64) -> anyhow::Result<()> {
    let start = Instant::now();
    while received.load(Ordering::Relaxed) == 0 {
        (start.elapsed() < Duration::from_secs(10)).then_some(()).context("no packet arrives")?;
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

fn median(values: &mut [f64]) -> f64 {
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}
