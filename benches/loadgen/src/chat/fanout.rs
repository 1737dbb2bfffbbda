//! One room of a thousand: what it costs a server to tell each of them what somebody says, and how long that takes.
//!
//! The client is the same for all servers: lines that count frames. Sixteen people write, each the next message when their
//! last one has come back to them, so that the server decides how fast it goes; the rest listens.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use anyhow::{Context as _, ensure};
use serde_json::json;
use tokio::task::JoinHandle;

use super::line::Line;
use super::peers::Peer;
use super::people;
use crate::bench::{Figure, Options};
use crate::forward::median;
use crate::process::cpu_time;
use crate::server::{LOOPBACK, Server};
use crate::session;
use crate::signal::Signal;

/// Everybody in the room.
const PEOPLE: usize = 1_000;
/// How many of them write.
const WRITERS: usize = 16;
/// Characters of a message.
const TEXT: usize = 100;
/// Before a window begins: queues and buffers have grown as far as they do.
const WARM_UP: Duration = Duration::from_secs(2);
/// Rounds over all servers; the medians count.
const MOST_ROUNDS: usize = 3;
/// How often the echo is asked.
const ECHO_EVERY: Duration = Duration::from_millis(5);
/// What begins a message of ours in whatever a server makes of it; a number of 16 digits follows.
const MARK: &[u8] = b"~t";
const DIGITS: usize = 16;

/// `fanout_vs_…`: deliveries per CPU second of the server ÷ those of the others, by turns.
pub(crate) fn measure(options: &Options, signal: &Signal) -> anyhow::Result<Vec<Figure>> {
    let (mut ours, mut node, mut nchan) = (Vec::new(), Vec::new(), Vec::new());
    for round in 1..=options.runs.min(MOST_ROUNDS) {
        let parlor = Place::parlor(options, signal)?;
        let full = parlor.run(options, signal, None)?;
        // The others carry frames of the same size.
        let frame_bytes = full.frame_bytes;
        let other = |peer: Peer, path: &'static str| Place::peer(peer, path, frame_bytes).run(options, signal, None);
        let (theirs, nginx) = (other(Peer::node()?, "/")?, other(Peer::nchan()?, "/room")?);
        eprintln!("fanout, round {round}: Parlor {full}; node ws {theirs}; nchan {nginx}");
        ours.push(full.per_cpu_s());
        node.push(theirs.per_cpu_s());
        nchan.push(nginx.per_cpu_s());
    }
    let (ours, node, nchan) = (median(ours), median(node), median(nchan));
    Ok(vec![
        Figure::new("fanout_vs_node_ws", ours / node, "x"),
        Figure::new("fanout_vs_nchan", ours / nchan, "x"),
        Figure::new("fanout_per_cpu_s", ours, "1/s"),
        Figure::new("fanout_node_ws_per_cpu_s", node, "1/s"),
        Figure::new("fanout_nchan_per_cpu_s", nchan, "1/s"),
    ])
}

/// `fanout_p99_vs_echo`: at half of the rate that the server reaches, the 99th percentile of a delivery ÷ that of an echo.
pub(crate) fn measure_delay(options: &Options, signal: &Signal) -> anyhow::Result<Vec<Figure>> {
    let full = Place::parlor(options, signal)?.run(options, signal, None)?;
    let echo = Peer::echo()?;
    let place = Place::parlor(options, signal)?;
    let asking = signal.runtime.spawn(ask(echo.address.clone(), full.frame_bytes));
    let half = place.run(options, signal, Some(full.messages_per_s() / 2.0))?;
    asking.abort();
    let echoes = ECHOES.lock().unwrap_or_else(PoisonError::into_inner).split_off(0);
    let (delivery_us, echo_us) = (percentile(half.delays_us.clone()), percentile(echoes));
    eprintln!(
        "fanout, half of {:.0} messages/s: {half}; p99 {delivery_us:.0} µs, echo {echo_us:.0} µs",
        full.messages_per_s()
    );
    Ok(vec![
        Figure::new("fanout_p99_vs_echo", delivery_us / echo_us, "x"),
        Figure::new("fanout_p99_us", delivery_us, "us"),
        Figure::new("fanout_echo_p99_us", echo_us, "us"),
    ])
}

/// A server with a room, or with what is one to it.
struct Place {
    server: Serving,
    path: &'static str,
    /// Of a frame that a listener gets; what a peer is sent is made as long.
    frame_bytes: usize,
}

enum Serving {
    Parlor { server: Server, tokens: Vec<String>, room: String },
    Peer(Peer),
}

/// What one window brought.
struct Window {
    deliveries: u64,
    cpu: Duration,
    wall: Duration,
    frame_bytes: usize,
    delays_us: Vec<u32>,
}

impl std::fmt::Display for Window {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let share = 100.0 * self.cpu.as_secs_f64() / self.wall.as_secs_f64();
        write!(
            f,
            "{:.0} deliveries/CPU s ({:.0} messages/s, {share:.0} % CPU)",
            self.per_cpu_s(),
            self.messages_per_s()
        )
    }
}

impl Window {
    fn per_cpu_s(&self) -> f64 {
        self.deliveries as f64 / self.cpu.as_secs_f64()
    }

    fn messages_per_s(&self) -> f64 {
        self.deliveries as f64 / self.wall.as_secs_f64() / PEOPLE as f64
    }
}

/// What the listeners have heard.
#[derive(Default)]
struct Heard {
    deliveries: AtomicU64,
    bytes: AtomicU64,
    /// Whether delays are noted, of one delivery in sixteen.
    measures: AtomicBool,
    delays_us: Mutex<Vec<u32>>,
}

impl Heard {
    /// Takes a frame in, if it is a message of ours; its mark.
    fn take(&self, frame: &[u8]) -> Option<u64> {
        let at = frame.windows(MARK.len()).position(|two| two == MARK)? + MARK.len();
        let mark = std::str::from_utf8(frame.get(at..at + DIGITS)?).ok()?.parse::<u64>().ok()?;
        let number = self.deliveries.fetch_add(1, Ordering::Relaxed);
        self.bytes.store(frame.len() as u64, Ordering::Relaxed);
        if number.is_multiple_of(16) && self.measures.load(Ordering::Relaxed) {
            let delay_us = u32::try_from(now_us().saturating_sub(mark)).unwrap_or(u32::MAX);
            self.delays_us.lock().unwrap_or_else(PoisonError::into_inner).push(delay_us);
        }
        Some(mark)
    }
}

impl Place {
    fn parlor(options: &Options, signal: &Signal) -> anyhow::Result<Self> {
        let settings = [("PARLOR_ROOMS__MAX_PARTICIPANTS", "2000"), ("PARLOR_SAMPLE_EVERY_MS", "0")];
        let server = Server::start_with(&options.server(), signal, LOOPBACK, &settings)?;
        let (tokens, room) = signal.runtime.block_on(async {
            let http = session::Server::at(&format!("http://{}", server.address), false)?;
            let tokens = people::enter(&http, PEOPLE).await?;
            let room = people::room(&http, "call", &tokens[0], PEOPLE).await?;
            anyhow::Ok((tokens, room))
        })?;
        Ok(Self { server: Serving::Parlor { server, tokens, room }, path: "/ws", frame_bytes: 0 })
    }

    fn peer(peer: Peer, path: &'static str, frame_bytes: usize) -> Self {
        Self { server: Serving::Peer(peer), path, frame_bytes }
    }

    fn cpu_time(&self) -> anyhow::Result<Duration> {
        match &self.server {
            Serving::Parlor { server, .. } => cpu_time(server.pid()),
            Serving::Peer(peer) => peer.cpu_time(),
        }
    }

    async fn line(&self, number: usize) -> anyhow::Result<Line> {
        match &self.server {
            Serving::Parlor { server, tokens, room } => people::join(&server.address, &tokens[number], room).await,
            Serving::Peer(peer) => Line::open(&peer.address, self.path).await,
        }
    }

    /// What somebody writes so that everybody hears it; `mark` is in it.
    fn saying(&self, writer: usize, mark: u64) -> String {
        let text = format!("~t{mark:0DIGITS$}{writer:04}{:x<1$}", "", TEXT - MARK.len() - DIGITS - 4);
        match &self.server {
            Serving::Parlor { room, .. } => {
                let data = json!({"roomId": room, "clientId": format!("{writer}-{mark}"), "content": {"text": text}});
                json!({"type": "send_message", "data": data}).to_string()
            }
            Serving::Peer(_) => format!("{text:x<width$}", width = self.frame_bytes),
        }
    }

    /// Everybody comes, and a window is measured: at `rate` messages a second, or as fast as it goes.
    fn run(self, options: &Options, signal: &Signal, rate: Option<f64>) -> anyhow::Result<Window> {
        let place = Arc::new(self);
        let heard = Arc::new(Heard::default());
        let window = options.window();
        signal.runtime.block_on(async {
            let mut tasks: Vec<JoinHandle<anyhow::Result<()>>> = Vec::new();
            // Who writes comes last: nobody comes into a room where as much is said as it bears.
            for number in (WRITERS..PEOPLE).chain(0..WRITERS) {
                let line = place.line(number).await.with_context(|| format!("person {number}"))?;
                let (place, heard) = (place.clone(), heard.clone());
                tasks.push(if number < WRITERS {
                    tokio::spawn(async move { write(line, &place, &heard, number, rate).await })
                } else {
                    tokio::spawn(async move { listen(line, &heard).await })
                });
            }
            heard.measures.store(false, Ordering::Relaxed);
            tokio::time::sleep(WARM_UP).await;
            heard.measures.store(true, Ordering::Relaxed);
            ECHOES.lock().unwrap_or_else(PoisonError::into_inner).clear();
            let (start, before, cpu) = (Instant::now(), heard.deliveries.load(Ordering::Relaxed), place.cpu_time()?);
            tokio::time::sleep(window).await;
            let (wall, deliveries) = (start.elapsed(), heard.deliveries.load(Ordering::Relaxed) - before);
            let cpu = place.cpu_time()?.saturating_sub(cpu);
            for task in tasks {
                if task.is_finished() {
                    task.await.context("a line broke")??;
                } else {
                    task.abort();
                }
            }
            ensure!(deliveries > 0, "nothing was heard");
            let delays_us = heard.delays_us.lock().unwrap_or_else(PoisonError::into_inner).split_off(0);
            let frame_bytes = usize::try_from(heard.bytes.load(Ordering::Relaxed)).unwrap_or(0);
            Ok(Window { deliveries, cpu, wall, frame_bytes, delays_us })
        })
    }
}

async fn listen(mut line: Line, heard: &Heard) -> anyhow::Result<()> {
    line.read(|frame| {
        heard.take(frame);
        None
    })
    .await
}

/// Writes when the last message has come back, or, at a rate, when it is time.
async fn write(mut line: Line, place: &Place, heard: &Heard, writer: usize, rate: Option<f64>) -> anyhow::Result<()> {
    let Some(rate) = rate else {
        loop {
            let mark = now_us();
            line.say(&place.saying(writer, mark)).await?;
            line.read(|frame| (heard.take(frame) == Some(mark) && is_of(frame, writer)).then_some(())).await?;
        }
    };
    // Open loop: a slow server makes nobody wait with the next one, and the time counts from when it was due.
    let mut turns = tokio::time::interval(Duration::from_secs_f64(WRITERS as f64 / rate));
    loop {
        tokio::select! {
            due = turns.tick() => {
                let late_us = u64::try_from(due.elapsed().as_micros()).unwrap_or(0);
                line.say(&place.saying(writer, now_us() - late_us)).await?;
            }
            // Cancel safe: what was read stays in the line.
            done = line.read(|frame| { heard.take(frame); None::<()> }) => done?,
        }
    }
}

/// Whether the message in the frame is of that writer.
fn is_of(frame: &[u8], writer: usize) -> bool {
    let at = frame.windows(MARK.len()).position(|two| two == MARK).unwrap_or(0) + MARK.len() + DIGITS;
    frame.get(at..at + 4).is_some_and(|digits| digits == format!("{writer:04}").as_bytes())
}

/// What the echo took; of the one run that has one.
static ECHOES: Mutex<Vec<u32>> = Mutex::new(Vec::new());

async fn ask(address: String, frame_bytes: usize) -> anyhow::Result<()> {
    let mut line = Line::open(&address, "/").await?;
    let mut turns = tokio::time::interval(ECHO_EVERY);
    loop {
        turns.tick().await;
        let asked = Instant::now();
        line.say(&"x".repeat(frame_bytes)).await?;
        line.read(|_| Some(())).await?;
        let took_us = u32::try_from(asked.elapsed().as_micros()).unwrap_or(u32::MAX);
        ECHOES.lock().unwrap_or_else(PoisonError::into_inner).push(took_us);
    }
}

/// This process's clock in µs; all lines are in it.
fn now_us() -> u64 {
    static START: std::sync::OnceLock<Instant> = std::sync::OnceLock::new();
    // A day is added so that a message that was due before the first look is no problem.
    u64::try_from(START.get_or_init(Instant::now).elapsed().as_micros()).unwrap_or(0) + 86_400_000_000
}

/// The 99th percentile.
fn percentile(mut values: Vec<u32>) -> f64 {
    values.sort_unstable();
    values.get(values.len() * 99 / 100).copied().map_or(f64::NAN, f64::from)
}
