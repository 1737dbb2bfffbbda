//! `parlor-loadgen run`: a scenario against a server, from the first one who comes to the last one who goes.

use std::net::{IpAddr, SocketAddr, ToSocketAddrs as _, UdpSocket};
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::AtomicUsize;
use std::time::{Duration, Instant};

use anyhow::{Context as _, bail, ensure};
use parlor_media::client::Identity;
use parlor_media::dtls::Certificate;
use tokio::sync::{Semaphore, watch};
use tokio::task::JoinSet;
use tokio::time::{sleep, sleep_until, timeout};

use crate::field::Field;
use crate::guest::{Guest, Party};
use crate::meter::{Meter, Readings};
use crate::outcome::{Outcome, Watched};
use crate::scenario::{BUILT_IN, Scenario};
use crate::server::{LOOPBACK, Server as OwnServer};
use crate::session::{Server, Session};
use crate::signal::Signal;

/// Joins at the same time.
const DOORS: usize = 8;
/// Nobody new for so long: the others will not come.
const NOBODY_COMES: Duration = Duration::from_secs(30);
/// Between the last join and the window.
const SETTLE: Duration = Duration::from_secs(1);
/// The server reads its own counts every five seconds.
const COUNTED: Duration = Duration::from_secs(6);
/// Leaving takes a moment; then it is cut short.
const LEAVE: Duration = Duration::from_secs(15);

/// What `parlor-loadgen run` is told.
#[derive(clap::Args)]
pub(crate) struct Options {
    /// A scenario file, or the name of one that comes with the program (`parlor-loadgen scenarios` lists them).
    scenario: String,
    /// The server, as http://HOST:PORT. Its PARLOR_LIMIT_EXEMPT has to name this machine. Left out, one of its own is started.
    #[arg(long)]
    server: Option<String>,
    /// The server's process id, where it runs on this machine: its CPU time and memory are then in the result.
    #[arg(long)]
    pid: Option<u32>,
    /// The binary of a server of its own; the one beside this program unless named.
    #[arg(long)]
    binary: Option<PathBuf>,
    /// Takes any certificate, as of a server that signs its own.
    #[arg(long)]
    insecure: bool,
    /// Where SSRCs, speech and losses come from: equal seeds make equal runs, as far as a network does.
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// Seconds of the measured window, instead of the scenario's.
    #[arg(long)]
    duration: Option<f64>,
    /// People of each room, instead of the scenario's.
    #[arg(long)]
    participants: Option<usize>,
    /// Of these, peer connections of the `webrtc` crate.
    #[arg(long)]
    real: Option<usize>,
    /// Rooms, instead of the scenario's.
    #[arg(long)]
    rooms: Option<usize>,
    /// Seconds between two lines of progress on standard error.
    #[arg(long, default_value_t = 2.0)]
    progress: f64,
}

/// Prints the scenarios that come with the program.
pub(crate) fn list() -> anyhow::Result<()> {
    for (name, text) in BUILT_IN {
        println!("{name:12} {}", Scenario::parse(text)?.about);
    }
    Ok(())
}

/// Runs, with progress on standard error, and prints the result as one JSON object on standard output.
pub(crate) fn run(options: &Options) -> anyhow::Result<()> {
    let mut scenario = Scenario::find(&options.scenario)?;
    override_with(&mut scenario, options)?;
    ensure!(options.progress >= 0.1, "--progress: {} is less than a tenth of a second", options.progress);
    let signal = Signal::new()?;
    let own = match &options.server {
        Some(_) => None,
        None => {
            let binary = options.binary.clone().unwrap_or_else(crate::default_server);
            Some(own_server(&binary, &signal, &scenario, &[])?)
        }
    };
    let url = match (&options.server, &own) {
        (Some(url), _) => url.clone(),
        (None, own) => own.as_ref().map(|own| format!("http://{}", own.address)).unwrap_or_default(),
    };
    let plan = Plan {
        name: options.scenario.clone(),
        scenario,
        seed: options.seed,
        pid: options.pid.or(own.as_ref().map(OwnServer::pid)),
        progress: Some(Duration::from_secs_f64(options.progress)),
        echo: None,
        waits_for_counts: false,
    };
    let outcome = plan.run(&Server::at(&url, options.insecure)?)?;
    println!("{}", serde_json::to_string_pretty(&outcome)?);
    Ok(())
}

fn override_with(scenario: &mut Scenario, options: &Options) -> anyhow::Result<()> {
    if let Some(participants) = options.participants {
        scenario.set_participants(participants).context("--participants")?;
    }
    if let Some(real) = options.real {
        let all = scenario.participants();
        ensure!(real <= all, "--real: {real} is more than the {all} people of a room");
        (scenario.people.real, scenario.people.cheap) = (real, all - real);
    }
    scenario.people.rooms = options.rooms.unwrap_or(scenario.people.rooms);
    scenario.duration_s = options.duration.unwrap_or(scenario.duration_s);
    scenario.check()
}

/// A server with room for a scenario.
pub(crate) fn own_server(
    binary: &std::path::Path,
    signal: &Signal,
    scenario: &Scenario,
    more: &[(&str, &str)],
) -> anyhow::Result<OwnServer> {
    let seats = seats(scenario).to_string();
    let mut settings = vec![("PARLOR_SAMPLE_EVERY_MS", "0"), ("PARLOR_ROOMS__MAX_PARTICIPANTS", seats.as_str())];
    settings.extend_from_slice(more);
    OwnServer::start_with(binary, signal, LOOPBACK, &settings)
}

/// Of each room: those who stay, and as many visitors as there could ever be at once.
fn seats(scenario: &Scenario) -> usize {
    scenario.participants() + scenario.visitors().div_ceil(scenario.people.rooms)
}

/// A run that is going to be.
pub(crate) struct Plan {
    pub name: String,
    pub scenario: Scenario,
    pub seed: u64,
    pub pid: Option<u32>,
    /// How often it says how it is getting on.
    pub progress: Option<Duration>,
    /// A bare echo to compare with.
    pub echo: Option<SocketAddr>,
    /// Everybody stays a while longer, until the server's own counts are those of the whole window.
    pub waits_for_counts: bool,
}

impl Plan {
    pub(crate) fn run(&self, server: &Server) -> anyhow::Result<Outcome> {
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build()?;
        runtime.block_on(self.be_run(server))
    }

    async fn be_run(&self, server: &Server) -> anyhow::Result<Outcome> {
        server.is_ready().await?;
        let scenario = &self.scenario;
        let meter = Arc::new(Meter::default());
        let cheap = scenario.people.cheap * scenario.people.rooms + scenario.visitors();
        let field = Field::start(cheap, scenario.road, self.echo, self.seed, Arc::clone(&meter))?;
        let (end, over) = watch::channel(false);
        let party = Arc::new(Party {
            server: server.clone(),
            scenario: scenario.clone(),
            seed: self.seed,
            meter: Arc::clone(&meter),
            orders: field.orders.clone(),
            identity: Identity::new(&Certificate::generate()?)?,
            local: local_address(&server.base)?,
            doors: Semaphore::new(DOORS),
            taken: AtomicUsize::new(0),
            over,
        });
        let before = Watched::read(server, self.pid).await?;
        let mut house = House { plan: self, party, rooms: Vec::new(), people: JoinSet::new(), number: 0 };
        house.fill().await?;
        let window = house.look().await?;
        // Nobody listens when everybody has failed.
        let _ = end.send(true);
        house.empty().await;
        field.stop()?;
        Ok(window.outcome(self, &before, &meter.read()))
    }
}

/// The rooms of a run, and who is in them.
struct House<'a> {
    plan: &'a Plan,
    party: Arc<Party>,
    rooms: Vec<String>,
    people: JoinSet<()>,
    number: usize,
}

/// What was seen while the window was open.
pub(crate) struct Window {
    pub length: Duration,
    pub start: (Readings, Watched),
    pub end: (Readings, Watched),
}

impl House<'_> {
    /// Makes the rooms, and brings everybody in who stays.
    async fn fill(&mut self) -> anyhow::Result<()> {
        let scenario = &self.plan.scenario;
        let seats = seats(scenario);
        for room in 0..scenario.people.rooms {
            let owner = self.party.server.enter(&format!("owner-{room}")).await?;
            self.rooms.push(self.party.server.create_room(&owner.token, seats).await?);
            let mut owner = Some(owner);
            for place in 0..scenario.participants() {
                // Real ones come first: they are among those who send.
                let is_real = place < scenario.people.real;
                self.admit(room, Guest { number: 0, place, is_real, stays: None, is_visitor: false }, owner.take());
            }
        }
        self.all_there().await
    }

    fn admit(&mut self, room: usize, guest: Guest, session: Option<Session>) {
        let guest = Guest { number: self.number, ..guest };
        self.number += 1;
        self.people.spawn(guest.attend(Arc::clone(&self.party), self.rooms[room].clone(), session));
    }

    async fn all_there(&mut self) -> anyhow::Result<()> {
        let (wanted, meter) = (self.number as u64, Arc::clone(&self.party.meter));
        let (mut came, mut last) = (0, Instant::now());
        let mut told = Instant::now();
        while meter.joined() + meter.failed() < wanted {
            sleep(Duration::from_millis(20)).await;
            if meter.joined() != came {
                (came, last) = (meter.joined(), Instant::now());
            }
            ensure!(last.elapsed() < NOBODY_COMES, "{came} of {wanted} have come, and nobody follows");
            if let Some(every) = self.plan.progress.filter(|every| told.elapsed() >= *every) {
                told += every;
                eprintln!("joining: {came} of {wanted} people are in");
            }
        }
        if meter.joined() == 0 {
            let why = meter.read().failures().first().map(|failure| failure.what.clone());
            bail!("Nobody could join: {}", why.unwrap_or_default());
        }
        Ok(())
    }

    /// Opens the window, lets visitors come and go, and closes it.
    async fn look(&mut self) -> anyhow::Result<Window> {
        sleep(SETTLE).await;
        let meter = Arc::clone(&self.party.meter);
        meter.forget_delays();
        let begun = Instant::now();
        let start = (meter.read(), Watched::read(&self.party.server, self.plan.pid).await?);
        let end = begun + self.plan.scenario.duration();
        let churn = self.plan.scenario.churn;
        let visit_every = churn.map(|churn| Duration::from_secs_f64(1.0 / churn.joins_per_s));
        let mut visit_due = visit_every.map(|every| begun + every);
        let mut progress = Progress::new(self.plan.progress, &start.0, begun);
        loop {
            let next = [visit_due, progress.due].into_iter().flatten().fold(end, Instant::min);
            sleep_until(next.into()).await;
            let now = Instant::now();
            if now >= end {
                break;
            }
            if visit_due.is_some_and(|due| due <= now) {
                visit_due = visit_due.zip(visit_every).map(|(due, every)| due + every);
                let stays = churn.map(|churn| Duration::from_secs_f64(churn.stay_s));
                for room in 0..self.rooms.len() {
                    self.admit(room, Guest { number: 0, place: 0, is_real: false, stays, is_visitor: true }, None);
                }
            }
            progress.tell(&meter, now);
        }
        let length = begun.elapsed();
        let mut end = (meter.read(), Watched::read(&self.party.server, self.plan.pid).await?);
        if self.plan.waits_for_counts {
            sleep(COUNTED).await;
            end.1.count_later(Watched::read(&self.party.server, self.plan.pid).await?);
        }
        Ok(Window { length, start, end })
    }

    /// Everybody goes, or is put out.
    async fn empty(&mut self) {
        let all = async { while self.people.join_next().await.is_some() {} };
        if timeout(LEAVE, all).await.is_err() {
            self.people.abort_all();
        }
    }
}

/// A line every few seconds.
struct Progress {
    every: Option<Duration>,
    due: Option<Instant>,
    begun: Instant,
    last: (Instant, crate::tally::Counts),
}

impl Progress {
    fn new(every: Option<Duration>, readings: &Readings, begun: Instant) -> Self {
        Self { every, due: every.map(|every| begun + every), begun, last: (begun, readings.counts) }
    }

    fn tell(&mut self, meter: &Meter, now: Instant) {
        let (Some(due), Some(every)) = (self.due, self.every) else { return };
        if now < due {
            return;
        }
        self.due = Some(due + every);
        let readings = meter.read();
        let counts = readings.counts.since(self.last.1);
        let length = (now - self.last.0).as_secs_f64();
        let rate = |count: u64| (count as f64 / length).round();
        let lost = 100.0 * counts.lost() as f64 / counts.expected.max(1) as f64;
        let p99_ms =
            readings.delays.percentile_us(99.0).map_or_else(String::new, |us| format!(", p99 {:.1} ms", us / 1000.0));
        eprintln!(
            "{:.0} s: {} people, {} packets/s sent, {} received, {lost:.2} % lost{p99_ms}, {} failures",
            (now - self.begun).as_secs_f64(),
            readings.joins.count() - readings.left.min(readings.joins.count()),
            rate(counts.sent),
            rate(counts.received),
            readings.failures.values().sum::<u64>(),
        );
        self.last = (now, readings.counts);
    }
}

/// Where this machine would send to the server from. Nothing is sent to find it.
fn local_address(base: &str) -> anyhow::Result<IpAddr> {
    let url = reqwest::Url::parse(base)?;
    let host = url.host_str().context("the URL has no host")?.trim_matches(['[', ']']);
    let addresses = (host, 9).to_socket_addrs().with_context(|| format!("{host} is not known"))?;
    let address = addresses.into_iter().find(SocketAddr::is_ipv4).with_context(|| format!("{host} has no IPv4"))?;
    let socket = UdpSocket::bind("0.0.0.0:0")?;
    socket.connect(address)?;
    Ok(socket.local_addr()?.ip())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_server_on_this_machine_is_met_on_loopback() {
        assert_eq!(local_address("http://127.0.0.1:3003").unwrap(), LOOPBACK);
        assert!(local_address("http://no.such.host.invalid:1").is_err());
    }

    #[test]
    fn visitors_have_seats() {
        assert_eq!(seats(&Scenario::find("churn").unwrap()), 100);
        assert_eq!(seats(&Scenario::find("meeting-50").unwrap()), 50);
    }
}
