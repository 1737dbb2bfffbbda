//! Janus's VideoRoom under the same client and the same workload: `janus_vs_parlor_cpu`.
//!
//! Janus gathers no candidate on loopback. So that both servers have the same network, the comparison runs in a network namespace
//! of its own, in which a veth pair has an address that both are told; what is sent there does not leave the machine.

mod stun;
mod videoroom;

use std::net::{IpAddr, Ipv4Addr};
use std::process::{Command, Stdio};
use std::time::Duration;

use anyhow::{Context as _, ensure};

pub(crate) use self::stun::Responder;
use self::videoroom::Janus;
use crate::bench::{Figure, Options as Bench};
use crate::forward::{Measured, measure_call, median};
use crate::peer::Place;
use crate::publisher::Publisher;
use crate::server::Server;
use crate::signal::Signal;
use crate::subscribers::Subscribers;
use crate::workload::Workload;
use parlor_media::client::Identity;
use parlor_media::dtls::Certificate;

/// The address of the veth pair, and its name.
const ADDRESS: Ipv4Addr = Ipv4Addr::new(10, 210, 0, 1);
const DEVICE: &str = "parlor-a";
const OTHER_DEVICE: &str = "parlor-b";
/// 20,000 packets a second for fifty subscribers: what Janus bears on a core.
const WORKLOAD: Workload = Workload::Bursts { per_s: 20, packets: 20, payload_bytes: 1160 };
/// Runs of each; the median counts.
const MOST_RUNS: usize = 3;
/// Measured seconds of each.
const WINDOW: Duration = Duration::from_secs(10);

/// Starts the comparison in a namespace of its own, and reads its figures.
pub(crate) fn measure(options: &Bench, _: &Signal) -> anyhow::Result<Vec<Figure>> {
    ensure!(
        Command::new("janus").arg("--version").stdout(Stdio::null()).stderr(Stdio::null()).status().is_ok(),
        "janus cannot be started: install the Debian package janus"
    );
    let mut unshare = Command::new("unshare");
    unshare.arg("--net");
    if !nix::unistd::geteuid().is_root() {
        unshare.args(["--user", "--map-root-user"]);
    }
    let output = unshare
        .arg(std::env::current_exe()?)
        .arg("janus")
        .args(options.arguments())
        .stderr(Stdio::inherit())
        .output()
        .context("unshare cannot be started: install the Debian package util-linux")?;
    ensure!(output.status.success(), "the comparison with Janus failed: see above");
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    let figures: Vec<Figure> = text.lines().filter_map(|line| line.parse().ok()).collect();
    ensure!(!figures.is_empty(), "the comparison with Janus gave no figures");
    Ok(figures)
}

/// The comparison itself, inside the namespace.
pub(crate) fn run(options: &Bench) -> anyhow::Result<()> {
    for command in [
        "link set lo up",
        &format!("link add {DEVICE} type veth peer name {OTHER_DEVICE}"),
        &format!("address add {ADDRESS}/24 dev {DEVICE}"),
        &format!("link set {DEVICE} up"),
        &format!("link set {OTHER_DEVICE} up"),
    ] {
        let status = Command::new("ip").args(command.split(' ')).status().context("ip cannot be started")?;
        ensure!(status.success(), "ip {command} failed");
    }
    let signal = Signal::new()?;
    let (mut januses, mut parlors) = (Vec::new(), Vec::new());
    for run in 1..=options.runs.min(MOST_RUNS) {
        let parlor = parlor_run(options, &signal)?;
        eprintln!("janus: run {run}: Parlor {parlor}");
        let janus = janus_run(options, &signal)?;
        eprintln!("janus: run {run}: Janus  {janus}");
        parlors.push(parlor.window.us_per_packet());
        januses.push(janus.window.us_per_packet());
    }
    let (janus, parlor) = (median(januses), median(parlors));
    println!("{}", Figure::new("janus_vs_parlor_cpu", janus / parlor, "x"));
    println!("{}", Figure::new("janus_us_20k", janus, "us"));
    println!("{}", Figure::new("parlor_us_20k_veth", parlor, "us"));
    Ok(())
}

fn parlor_run(options: &Bench, signal: &Signal) -> anyhow::Result<Measured> {
    let server = Server::start(&options.server(), signal, IpAddr::V4(ADDRESS))?;
    let identity = Identity::new(&Certificate::generate()?)?;
    let (place, socket) = Place::make(&server.address, signal, options.subscribers + 1)?;
    let place = Place { local: ADDRESS, ..place };
    let publisher = Publisher::join(socket, &place, &identity)?;
    let subscribers = Subscribers::join(options.subscribers, signal, &place, &identity)?;
    measure_call(publisher, subscribers, server.pid(), &WORKLOAD, WINDOW).with_context(|| server.log())
}

fn janus_run(options: &Bench, signal: &Signal) -> anyhow::Result<Measured> {
    let mut janus = Janus::start(signal, ADDRESS, DEVICE)?;
    let identity = Identity::new(&Certificate::generate()?)?;
    let (publisher, feed) = janus.publisher(&identity)?;
    let subscribers = Subscribers::join_by(
        options.subscribers,
        ADDRESS,
        &identity,
        |peer| janus.subscribe(feed, peer),
        |_, ()| Ok(()),
    );
    let subscribers = subscribers.with_context(|| janus.log())?;
    measure_call(publisher, subscribers, janus.pid(), &WORKLOAD, WINDOW).with_context(|| janus.log())
}
