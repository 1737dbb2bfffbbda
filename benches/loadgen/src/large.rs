//! The figures of many people: a meeting of fifty, a broadcast to five hundred, and whether a packet costs the same everywhere.

use std::sync::atomic::Ordering;
use std::time::Duration;

use anyhow::{Context as _, ensure};
use parlor_media::client::Identity;
use parlor_media::dtls::Certificate;

use crate::bench::{Figure, Options};
use crate::echo::Echo;
use crate::forward::whole;
use crate::outcome::Outcome;
use crate::peer::Place;
use crate::process::{cpu_time, cpu_time_of};
use crate::publisher::Publisher;
use crate::run::{Plan, own_server};
use crate::scenario::Scenario;
use crate::server::{LOOPBACK, Server as OwnServer};
use crate::session::Server;
use crate::signal::Signal;
use crate::subscribers::Subscribers;
use crate::workload::Workload;

/// Measured seconds of a meeting and of a broadcast.
const WINDOW_S: f64 = 20.0;
/// Viewers of the broadcast, and the packets that each is to get in a second.
const VIEWERS: usize = 500;
const PACKETS_PER_VIEWER: f64 = 187.0;
/// A broadcast that loses more has not been carried.
const MOST_LOSS_PERCENT: f64 = 0.1;

/// Fifty people, each on a client of ours, and a bare echo beside them that the same thread asks and reads.
pub(crate) fn meeting(options: &Options, signal: &Signal) -> anyhow::Result<Vec<Figure>> {
    let mut scenario = Scenario::find("meeting-50")?;
    (scenario.people.real, scenario.people.cheap) = (0, scenario.participants());
    scenario.duration_s = WINDOW_S;
    let echo = Echo::start()?;
    let server = own_server(&options.server(), signal, &scenario, &[])?;
    let outcome = play("meeting-50", scenario, &server, Some(&echo)).with_context(|| server.log())?;
    let refused = outcome.server.drops.get("send_refused").copied().unwrap_or(0);
    let lost = refused + outcome.server.receive_queue_drops.context("the server's sockets are known")?;
    let echo = outcome.echo_us.and_then(|echo| echo.p99).context("no echo came back")?;
    let p99 = outcome.latency_us.p99.context("no packet was opened")?;
    let percent = outcome.server.cpu_percent.context("the server's time is known")?;
    Ok(vec![
        Figure::new("meeting50_server_loss", lost as f64, "packets"),
        Figure::new("meeting50_p99_vs_echo", p99 / echo, "x"),
        Figure::new("meeting50_p99_us", p99, "us"),
        Figure::new("meeting50_echo_p99_us", echo, "us"),
        Figure::new("meeting50_packets_per_s", outcome.packets.received_per_s, "/s"),
        Figure::new("meeting50_sink_loss_pct", outcome.packets.loss_percent, "%"),
        Figure::new("meeting50_cpu_pct", percent, "%"),
    ])
}

/// One camera of 187 packets a second, and 500 who watch it.
pub(crate) fn broadcast(options: &Options, signal: &Signal) -> anyhow::Result<Vec<Figure>> {
    let carried = carry(options, signal, &[])?;
    Ok(vec![
        Figure::new("broadcast_viewers_per_core", carried.viewers / carried.cores, "viewers"),
        Figure::new("broadcast_us", carried.us_per_packet, "us"),
        Figure::new("broadcast_loss_pct", carried.loss_percent, "%"),
    ])
}

/// The same broadcast on one shard, and over two: what passing it on costs, and how evenly it lies.
pub(crate) fn spread(options: &Options, signal: &Signal) -> anyhow::Result<Vec<Figure>> {
    let alone = carry(options, signal, &[("PARLOR_SFU__SHARDS", "1")])?;
    let shared = carry(options, signal, &[("PARLOR_SFU__SHARDS", "2"), ("PARLOR_SFU__SPREAD_AFTER", "1")])?;
    let [one, other] = shared.shards.map(|time| time.as_secs_f64());
    Ok(vec![
        Figure::new("broadcast_spread_vs_one", shared.us_per_packet / alone.us_per_packet, "x"),
        Figure::new("broadcast_spread_busiest_pct", one.max(other) / (one + other) * 100.0, "%"),
        Figure::new("broadcast_us_one", alone.us_per_packet, "us"),
        Figure::new("broadcast_us_spread", shared.us_per_packet, "us"),
    ])
}

/// What carrying the broadcast came to.
struct Carried {
    viewers: f64,
    cores: f64,
    us_per_packet: f64,
    loss_percent: f64,
    /// The time of the first two shards' threads.
    shards: [Duration; 2],
}

fn carry(options: &Options, signal: &Signal, settings: &[(&str, &str)]) -> anyhow::Result<Carried> {
    let mut scenario = Scenario::find(&format!("broadcast-{VIEWERS}"))?;
    (scenario.people.real, scenario.people.cheap) = (0, scenario.participants());
    scenario.duration_s = WINDOW_S;
    let server = own_server(&options.server(), signal, &scenario, settings)?;
    let outcome = play("broadcast", scenario, &server, None).with_context(|| server.log())?;
    let loss_percent = outcome.packets.loss_percent;
    ensure!(loss_percent < MOST_LOSS_PERCENT, "{loss_percent:.3} % of the broadcast was lost");
    Ok(Carried {
        // Whoever gets less counts for less.
        viewers: (outcome.packets.received_per_s / PACKETS_PER_VIEWER).min(VIEWERS as f64),
        cores: outcome.server.cpu_percent.context("the server's time is known")? / 100.0,
        us_per_packet: outcome.server.cpu_us_per_packet.context("the server's time is known")?,
        loss_percent,
        shards: [cpu_time_of(server.pid(), "shard-0")?, cpu_time_of(server.pid(), "shard-1")?],
    })
}

fn play(name: &str, scenario: Scenario, server: &OwnServer, echo: Option<&Echo>) -> anyhow::Result<Outcome> {
    let plan = Plan {
        name: name.to_owned(),
        scenario,
        seed: 1,
        pid: Some(server.pid()),
        progress: Some(Duration::from_secs(5)),
        echo: echo.map(|echo| echo.address),
        waits_for_counts: echo.is_some(),
    };
    let outcome = plan.run(&Server::at(&format!("http://{}", server.address), false)?)?;
    if let Some(failure) = outcome.failures.first() {
        anyhow::bail!("{} of {name} failed: {}", failure.count, failure.what);
    }
    let packets = outcome.packets;
    eprintln!(
        "{name}: {:.0} packets/s sent, {:.0} received, {} lost, {} dropped here, {:.3} µs a packet, p99 {:.0} µs",
        packets.sent_per_s,
        packets.received_per_s,
        packets.lost,
        packets.dropped_here,
        outcome.server.cpu_us_per_packet.unwrap_or(f64::NAN),
        outcome.latency_us.p99.unwrap_or(f64::NAN),
    );
    Ok(outcome)
}

/// Rooms, subscribers of each: from ten to five hundred, from one room to fifty.
const SPREADS: [(usize, usize); 5] = [(1, 10), (1, 50), (1, 500), (10, 10), (50, 10)];
/// Packets a second out of the server, the same everywhere.
const PACKETS_PER_S: usize = 40_000;
/// Packets of a burst, the same everywhere.
const BURST: usize = 20;
const FLAT_WINDOW: Duration = Duration::from_secs(8);
const WARM_UP: Duration = Duration::from_secs(2);
/// The less disturbed of so many counts.
const ROUNDS: usize = 2;

/// The same number of packets to few subscribers and to many, in one room and in fifty: the dearest ÷ the cheapest, as the server
/// runs, and without the pacer.
pub(crate) fn flatness(options: &Options, signal: &Signal) -> anyhow::Result<Vec<Figure>> {
    let paced = costs(options, signal, ROUNDS, &[])?;
    let unpaced = costs(options, signal, 1, &[("PARLOR_SFU__PACING", "false")])?;
    let mut figures = vec![
        Figure::new("cost_flatness", ratio(&paced), "x"),
        Figure::new("cost_flatness_unpaced", ratio(&unpaced), "x"),
    ];
    for ((rooms, subscribers), us) in SPREADS.into_iter().zip(paced) {
        figures.push(Figure::new(format!("cost_us_{rooms}x{subscribers}"), us, "us"));
    }
    Ok(figures)
}

fn ratio(costs: &[f64]) -> f64 {
    let (most, least) = costs.iter().fold((0.0_f64, f64::MAX), |(most, least), us| (most.max(*us), least.min(*us)));
    most / least
}

fn costs(
    options: &Options,
    signal: &Signal,
    rounds: usize,
    settings: &[(&str, &str)],
) -> anyhow::Result<[f64; SPREADS.len()]> {
    let mut costs = [f64::MAX; SPREADS.len()];
    for round in 1..=rounds {
        for ((rooms, subscribers), cost) in SPREADS.into_iter().zip(&mut costs) {
            let us = spread_us(options, signal, (rooms, subscribers), settings)
                .with_context(|| format!("{rooms} rooms of {subscribers}"))?;
            eprintln!("cost: round {round}: {rooms} rooms of {subscribers}: {us:.3} µs");
            *cost = cost.min(us);
        }
    }
    Ok(costs)
}

fn spread_us(
    options: &Options,
    signal: &Signal,
    (rooms, subscribers): (usize, usize),
    more: &[(&str, &str)],
) -> anyhow::Result<f64> {
    let seats = (subscribers + 1).to_string();
    let mut settings = vec![("PARLOR_SAMPLE_EVERY_MS", "0"), ("PARLOR_ROOMS__MAX_PARTICIPANTS", seats.as_str())];
    settings.extend_from_slice(more);
    let server = OwnServer::start_with(&options.server(), signal, LOOPBACK, &settings)?;
    let identity = Identity::new(&Certificate::generate()?)?;
    let per_s = u32::try_from(PACKETS_PER_S / BURST / rooms / subscribers)?;
    let workload = Workload::Bursts { per_s, packets: BURST, payload_bytes: 1160 };
    let (mut readings, mut publishings) = (Vec::new(), Vec::new());
    for _ in 0..rooms {
        let (place, socket) = Place::make(&server.address, signal, subscribers + 1)?;
        let publisher = Publisher::join(socket, &place, &identity)?;
        readings.push(Subscribers::join(subscribers, signal, &place, &identity)?.start());
        publishings.push(publisher.start(&workload)?);
    }
    for reading in &readings {
        whole(reading, &workload)?;
    }
    std::thread::sleep(WARM_UP);
    let received = || readings.iter().map(|reading| reading.seen.received.load(Ordering::Relaxed)).sum::<u64>();
    let start = (cpu_time(server.pid())?, received());
    std::thread::sleep(FLAT_WINDOW);
    let (cpu, packets) = (cpu_time(server.pid())? - start.0, received() - start.1);
    drop(publishings);
    for reading in readings {
        reading.finish()?;
    }
    Ok(cpu.as_secs_f64() * 1e6 / packets as f64)
}
