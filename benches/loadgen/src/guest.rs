//! One person of a run, from entering to leaving: the socket, and a peer of either kind for the media.

use std::future::pending;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::Sender;
use std::time::{Duration, Instant};

use anyhow::{Context as _, anyhow, bail};
use parlor_media::client::{Client, Identity, Line, Plan};
use serde_json::{Value, json};
use tokio::sync::{Semaphore, mpsc, watch};
use tokio::time::{sleep_until, timeout};

use crate::cheap::{Cheap, Told};
use crate::field::Order;
use crate::meter::Meter;
use crate::real::Real;
use crate::scenario::Scenario;
use crate::session::{PATIENCE, Server, Session};
use crate::sources::Source;
use crate::tiles::Tiles;

/// Changes of what there is to see are collected for so long before they are told: joins come in bunches.
const VIEW_AFTER: Duration = Duration::from_millis(300);
/// Packets of each stream that a cheap peer can send again.
const HISTORY: usize = 128;
const RIDS: [&[&str]; 3] = [&[], &["q", "h"], &["q", "h", "f"]];

/// What all people of a run share.
pub(crate) struct Party {
    pub server: Server,
    pub scenario: Scenario,
    pub seed: u64,
    pub meter: Arc<Meter>,
    pub orders: Sender<Order>,
    pub identity: Identity,
    /// Where this machine sends to the server from.
    pub local: IpAddr,
    /// So many come in at the same time.
    pub doors: Semaphore,
    /// Sockets of the cheap peers that are taken.
    pub taken: AtomicUsize,
    /// Turns true when the run is over.
    pub over: watch::Receiver<bool>,
}

/// One of its people.
#[derive(Clone, Copy)]
pub(crate) struct Guest {
    /// Counts all of a run.
    pub number: usize,
    /// Among the people of the room.
    pub place: usize,
    pub is_real: bool,
    /// `None` stays to the end.
    pub stays: Option<Duration>,
    /// Comes and goes besides those who stay.
    pub is_visitor: bool,
}

/// What it sends, in the order of its lines.
pub(crate) struct Sends {
    pub lines: Vec<Line>,
    pub names: Vec<&'static str>,
    pub sources: Vec<Source>,
}

enum Media {
    Cheap { peer: usize, orders: Sender<Order>, told: mpsc::UnboundedReceiver<Told> },
    Real(Box<Real>),
}

impl Guest {
    fn sends(&self, party: &Party) -> Sends {
        let Scenario { microphone, camera, screen, churn, people, .. } = &party.scenario;
        let everybody = people.real + people.cheap;
        let may = |publishers: Option<usize>| {
            if self.is_visitor {
                // Visitors take no place of those who stay.
                publishers.is_none() && churn.is_some_and(|churn| churn.publish)
            } else {
                self.place < publishers.unwrap_or(everybody)
            }
        };
        let now = Instant::now();
        let seed = |line: usize| party.seed ^ (self.number as u64) << 8 ^ line as u64;
        let mut sends = Sends { lines: Vec::new(), names: Vec::new(), sources: Vec::new() };
        if let Some(microphone) = microphone.filter(|it| may(it.publishers)) {
            sends.push(Line::Audio, "microphone", |line| Source::voice(line, microphone, now, seed(line)));
        }
        for (name, pictures) in [("camera", camera), ("screen", screen)] {
            if let Some(pictures) = pictures.as_ref().filter(|it| may(it.publishers)) {
                let line = Line::simulcast(RIDS[pictures.layers.len() - 1]);
                sends.push(line, name, |line| Source::pictures(line, pictures, now, seed(line)));
            }
        }
        sends
    }

    /// Attends from entering to leaving; failures are counted.
    /// `session` is there when somebody has entered for it.
    pub(crate) async fn attend(self, party: Arc<Party>, room: String, session: Option<Session>) {
        if let Err(error) = self.be_there(&party, &room, session).await {
            party.meter.fail(&error);
        }
    }

    async fn be_there(self, party: &Party, room: &str, session: Option<Session>) -> anyhow::Result<()> {
        let door = party.doors.acquire().await?;
        let start = Instant::now();
        let mut session = match session {
            Some(session) => session,
            None => party.server.enter(&format!("guest-{}", self.number)).await?,
        };
        session.request("join_room", &json!({"roomId": room, "epoch": null, "offset": null})).await?;
        let sends = self.sends(party);
        let names = sends.names.clone();
        let (mut media, answer) = match self.is_real {
            true => self.join_real(party, room, sends, &mut session).await?,
            false => self.join_cheap(party, room, sends, &mut session).await?,
        };
        media.connected().await?;
        session.request("call.ready", &json!({"roomId": room})).await?;
        media.ready();
        party.meter.join(start.elapsed());
        drop(door);
        let stayed = stay(self, party, room, &mut session, &mut media, &names, &answer).await;
        // Both ends of it are told, whatever happened before.
        let left = session.request("leave_room", &json!({"roomId": room})).await;
        media.leave().await;
        stayed?;
        left?;
        session.close().await;
        party.meter.leave();
        Ok(())
    }

    async fn join_cheap(
        self,
        party: &Party,
        room: &str,
        sends: Sends,
        session: &mut Session,
    ) -> anyhow::Result<(Media, Value)> {
        let watch = party.scenario.watch;
        let plan = Plan {
            lines: sends.lines,
            audio_slots: watch.audio_slots,
            video_slots: watch.video_slots,
            history: HISTORY,
            seed: party.seed.wrapping_mul(0x1_0001).wrapping_add(1 + self.number as u64),
            ..Plan::default()
        };
        let mut client = Client::new(plan, &party.identity);
        client.open_every = open_every(watch.open_percent);
        let mids: Vec<String> = (0..sends.names.len()).map(|mid| mid.to_string()).collect();
        let answer = offer(session, room, &client.offer(), &sends.names, &mids).await?;
        let sdp = answer["sdp"].as_str().context("an answer without SDP")?;
        client.accept(Instant::now(), sdp).context("the answer cannot be read")?;
        // The sockets are of IPv4.
        client.set_remote(candidate(sdp).context("the server announces no address of IPv4 for UDP")?);
        let peer = party.taken.fetch_add(1, Ordering::Relaxed);
        let (tell, told) = mpsc::unbounded_channel();
        let cheap = Cheap::new(client, sends.sources, tell, Instant::now());
        let orders = party.orders.clone();
        let joined = orders.send(Order::Join(peer, Box::new(cheap)));
        joined.map_err(|_| anyhow!("the thread of the cheap peers has ended"))?;
        Ok((Media::Cheap { peer, orders, told }, answer))
    }

    async fn join_real(
        self,
        party: &Party,
        room: &str,
        sends: Sends,
        session: &mut Session,
    ) -> anyhow::Result<(Media, Value)> {
        let names = sends.names.clone();
        let mut real = Real::new(self.number, sends, party).await?;
        let (sdp, mids) = real.offer().await?;
        let answer = offer(session, room, &sdp, &names, &mids).await?;
        real.accept(answer["sdp"].as_str().context("an answer without SDP")?).await?;
        Ok((Media::Real(Box::new(real)), answer))
    }
}

impl Sends {
    fn push(&mut self, line: Line, name: &'static str, source: impl FnOnce(usize) -> Source) {
        self.sources.push(source(self.lines.len()));
        self.lines.push(line);
        self.names.push(name);
    }
}

impl Media {
    async fn connected(&mut self) -> anyhow::Result<()> {
        let connected = async {
            match self {
                Self::Cheap { told, .. } => match told.recv().await {
                    Some(Told::Connected) => Ok(()),
                    _ => bail!("the server hung up"),
                },
                Self::Real(real) => real.connected().await,
            }
        };
        timeout(PATIENCE, connected)
            .await
            .context("ICE or DTLS did not complete; are the server's UDP ports reachable?")?
    }

    fn ready(&mut self) {
        match self {
            Self::Cheap { peer, orders, .. } => drop(orders.send(Order::Ready(*peer))),
            Self::Real(real) => real.ready(),
        }
    }

    fn switch(&mut self, line: usize, on: Vec<bool>) {
        match self {
            Self::Cheap { peer, orders, .. } => drop(orders.send(Order::Switch { peer: *peer, line, on })),
            Self::Real(real) => real.switch(line, on),
        }
    }

    /// Comes back when the connection is over.
    async fn closed(&mut self) {
        match self {
            Self::Cheap { told, .. } => while matches!(told.recv().await, Some(Told::Connected)) {},
            Self::Real(real) => real.closed().await,
        }
    }

    async fn leave(self) {
        match self {
            Self::Cheap { peer, orders, .. } => drop(orders.send(Order::Leave(peer))),
            Self::Real(real) => real.leave().await,
        }
    }
}

/// Looks at what there is to see until it is time to go.
async fn stay(
    guest: Guest,
    party: &Party,
    room: &str,
    session: &mut Session,
    media: &mut Media,
    names: &[&str],
    answer: &Value,
) -> anyhow::Result<()> {
    let watch = party.scenario.watch;
    let own: Vec<(String, &str)> = answer["tracks"].as_array().into_iter().flatten().zip(names).map(named).collect();
    let mut tiles = Tiles::new(watch, answer);
    let mut over = party.over.clone();
    let now = Instant::now();
    let leaves = guest.stays.map(|stays| now + stays);
    let page_every = Some(Duration::from_secs_f64(watch.page_every_s)).filter(|every| !every.is_zero());
    let mut page_due = page_every.map(|every| now + every);
    let mut view_due = Some(now);
    loop {
        tokio::select! {
            () = ends(&mut over) => return Ok(()),
            () = at(leaves) => return Ok(()),
            () = media.closed() => bail!("the server ended the connection"),
            () = at(page_due) => {
                page_due = page_every.map(|every| Instant::now() + every);
                tiles.turn();
                view_due = Some(Instant::now());
            }
            () = at(view_due) => {
                view_due = None;
                if let Some(tracks) = tiles.view() {
                    session.request("view", &json!({"roomId": room, "tracks": tracks})).await?;
                }
            }
            event = session.event() => {
                let event = event?;
                if tiles.take(&event) {
                    view_due = view_due.or_else(|| Some(Instant::now() + VIEW_AFTER));
                }
                if event["type"] == "call.layers" && let Some((line, on)) = layers(&event["data"], &own) {
                    media.switch(line, on);
                }
                if event["type"] == "call.ended" {
                    bail!("the server ended the call: {}", event["data"]["reason"]);
                }
            }
        }
    }
}

fn named<'a>((track, name): (&Value, &&'a str)) -> (String, &'a str) {
    (track["trackId"].as_str().unwrap_or_default().to_owned(), *name)
}

/// The line of one's own track, and which of its layers anybody watches.
fn layers(data: &Value, own: &[(String, &str)]) -> Option<(usize, Vec<bool>)> {
    let line = own.iter().position(|(track, _)| data["trackId"] == track.as_str())?;
    Some((line, data["layers"].as_array()?.iter().map(|on| on.as_bool().unwrap_or(true)).collect()))
}

/// The run is over, or nobody runs it any more.
async fn ends(over: &mut watch::Receiver<bool>) {
    while !*over.borrow_and_update() && over.changed().await.is_ok() {}
}

async fn at(due: Option<Instant>) {
    match due {
        Some(due) => sleep_until(due.into()).await,
        None => pending().await,
    }
}

async fn offer(session: &mut Session, room: &str, sdp: &str, names: &[&str], mids: &[String]) -> anyhow::Result<Value> {
    let track = |(mid, source): (&String, &&str)| json!({"mid": mid, "source": source});
    let tracks: Vec<Value> = mids.iter().zip(names).map(track).collect();
    session.request("call.offer", &json!({"roomId": room, "sdp": sdp, "tracks": tracks})).await
}

/// The first address of IPv4 that an answer gives for UDP.
pub(crate) fn candidate(sdp: &str) -> Option<SocketAddr> {
    let words = sdp.lines().filter_map(|line| line.strip_prefix("a=candidate:"));
    words.map(|line| line.split(' ').collect::<Vec<_>>()).find_map(|words| match words[..] {
        [_, _, protocol, _, ip, port, ..] if protocol.eq_ignore_ascii_case("udp") => {
            let address = SocketAddr::new(ip.parse().ok()?, port.parse().ok()?);
            address.is_ipv4().then_some(address)
        }
        _ => None,
    })
}

/// Of so many packets one is opened: a prime near to the wanted share, so that every place within a burst has its turn.
fn open_every(percent: f64) -> u32 {
    let wanted = (100.0 / percent).round().max(1.0) as u32;
    let is_prime = |n: u32| (2..n).take_while(|d| d * d <= n).all(|d| !n.is_multiple_of(d));
    (1..=wanted).rev().find(|n| is_prime(*n)).unwrap_or(1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn about_one_in_a_hundred_is_opened() {
        assert_eq!([1.0, 100.0, 10.0, 50.0].map(open_every), [97, 1, 7, 2]);
    }

    #[test]
    fn the_address_of_ip_4_is_found() {
        let sdp = "v=0\r\na=candidate:1 1 udp 1 ::1 4000 typ host\r\na=candidate:2 1 udp 1 127.0.0.1 4001 typ host\r\n\
                   a=candidate:3 1 tcp 1 127.0.0.2 4002 typ host tcptype passive\r\n";
        assert_eq!(candidate(sdp), Some("127.0.0.1:4001".parse().unwrap()));
        assert_eq!(candidate("v=0\r\n"), None);
    }

    #[test]
    fn layers_are_those_of_ones_own_line() {
        let own = [("a".to_owned(), "microphone"), ("b".to_owned(), "camera")];
        let told = json!({"trackId": "b", "layers": [true, false]});
        assert_eq!(layers(&told, &own), Some((1, vec![true, false])));
        assert_eq!(layers(&json!({"trackId": "c", "layers": [true]}), &own), None);
    }
}
