//! A live room at its busiest: five hundred messages a second from two hundred people, with all that is done about each.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Context as _, bail, ensure};
use serde_json::json;

use super::line::Line;
use super::people;
use crate::bench::{Figure, Options};
use crate::process::cpu_time;
use crate::server::{LOOPBACK, Server};
use crate::session;
use crate::signal::Signal;

const PEOPLE: usize = 200;
const MESSAGES_PER_S: f64 = 500.0;
const WARM_UP: Duration = Duration::from_secs(2);
/// What people write to a stream: short, some of it loud.
const LINES: [&str; 8] = [
    "hello everyone",
    "LETS GOOOO!!!",
    "how long have you been playing this?",
    "lol that was close",
    "first time here, great stream",
    "can you say hi to my sister please",
    "no way no way no way",
    "where is that song from? it is stuck in my head",
];

/// CPU of the server as a share of one core.
pub(crate) fn measure(options: &Options, signal: &Signal) -> anyhow::Result<Vec<Figure>> {
    let settings = [("PARLOR_ROOMS__MAX_PARTICIPANTS", "2000"), ("PARLOR_SAMPLE_EVERY_MS", "0")];
    let server = Server::start_with(&options.server(), signal, LOOPBACK, &settings)?;
    let (address, pid) = (server.address.clone(), server.pid());
    let window = options.window();
    signal.runtime.block_on(async {
        let http = session::Server::at(&format!("http://{address}"), false)?;
        let tokens = people::enter(&http, PEOPLE).await?;
        let room = people::room(&http, "live", &tokens[0], PEOPLE).await?;
        let heard = Arc::new(AtomicU64::new(0));
        let mut tasks = Vec::new();
        for (number, token) in tokens.iter().enumerate() {
            let line = people::join(&address, token, &room).await.with_context(|| format!("person {number}"))?;
            let (room, heard) = (room.clone(), heard.clone());
            tasks.push(tokio::spawn(async move { talk(line, number, &room, &heard).await }));
        }
        tokio::time::sleep(WARM_UP).await;
        let count = || heard.load(Ordering::Relaxed);
        let (start, before, cpu) = (Instant::now(), count(), cpu_time(pid)?);
        tokio::time::sleep(window).await;
        let (wall, deliveries) = (start.elapsed().as_secs_f64(), count() - before);
        let cpu = cpu_time(pid)?.saturating_sub(cpu).as_secs_f64();
        for task in tasks {
            if task.is_finished() {
                task.await??;
            } else {
                task.abort();
            }
        }
        let messages_per_s = deliveries as f64 / PEOPLE as f64 / wall;
        eprintln!("live: {messages_per_s:.0} messages/s to {PEOPLE} people, {:.1} % of a core", 100.0 * cpu / wall);
        ensure!(messages_per_s > 0.97 * MESSAGES_PER_S, "only {messages_per_s:.0} messages a second came through");
        Ok(vec![Figure::new("rules_500_cpu_pct", 100.0 * cpu / wall, "%")])
    })
}

/// Says something at each turn, and hears the others, until it is refused.
async fn talk(mut line: Line, number: usize, room: &str, heard: &AtomicU64) -> anyhow::Result<()> {
    let mut turns = tokio::time::interval(Duration::from_secs_f64(PEOPLE as f64 / MESSAGES_PER_S));
    let mut said = 0;
    let hear = |frame: &[u8]| {
        if frame.starts_with(b"{\"type\":\"new_message\"") {
            heard.fetch_add(1, Ordering::Relaxed);
        }
        frame.starts_with(b"{\"type\":\"error\"").then(|| String::from_utf8_lossy(frame).into_owned())
    };
    loop {
        tokio::select! {
            _ = turns.tick() => {
                said += 1;
                let text = LINES[(number + said) % LINES.len()];
                let data = json!({"roomId": room, "clientId": said.to_string(), "content": {"text": text}});
                line.say(&json!({"type": "send_message", "data": data}).to_string()).await?;
            }
            refused = line.read(hear) => bail!("refused: {}", refused?),
        }
    }
}
