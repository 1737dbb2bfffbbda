//! The cheap peers of a run, on one thread: it reads all their sockets, sends what is due, and takes orders from those who
//! speak for them. Each peer's line may lose and delay packets; that happens here, between the client and its socket.

use std::cmp::Reverse;
use std::collections::{BinaryHeap, VecDeque};
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, Sender, TryRecvError, channel};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use anyhow::{Context as _, anyhow};

use crate::cheap::{Cheap, Seen, delay_ns};
use crate::drain::{Reader, Sockets, clock_ns};
use crate::meter::Meter;
use crate::publisher::STAMP;
use crate::scenario::Road;
use crate::sources::Random;

/// How often timers and orders are looked at, at least.
const TICK: Duration = Duration::from_millis(10);
/// How often an echo is asked for, and how long such a packet is.
const ECHO_EVERY: Duration = Duration::from_millis(5);
const ECHO_BYTES: usize = 1000;

/// What a thread of peers is told.
pub(crate) enum Order {
    /// A peer that has its answer; its number from now on.
    Join(usize, Box<Cheap>),
    /// It may send.
    Ready(usize),
    /// These layers of a line are watched, lowest first.
    Switch {
        peer: usize,
        line: usize,
        on: Vec<bool>,
    },
    Leave(usize),
    Stop,
}

/// The thread, while it runs.
pub(crate) struct Field {
    pub orders: Sender<Order>,
    thread: Option<JoinHandle<anyhow::Result<()>>>,
}

impl Field {
    /// Room for `most` peers over the whole run. An echo is asked for at an address, if there is one.
    ///
    /// # Errors
    /// When there are not so many sockets.
    pub(crate) fn start(
        most: usize,
        road: Road,
        echo: Option<SocketAddr>,
        seed: u64,
        meter: Arc<Meter>,
    ) -> anyhow::Result<Self> {
        let sockets = Sockets::bind_any(most + usize::from(echo.is_some()))
            .with_context(|| format!("{most} sockets cannot be opened (ulimit -n is the most)"))?;
        let (orders, inbox) = channel();
        let thread = std::thread::Builder::new().name("peers".into()).spawn(move || {
            let mut peers = Vec::new();
            peers.resize_with(most, || None);
            let echo = echo.map(|to| Echo { to, socket: most, due: Instant::now() });
            let random = Random(seed);
            let line = Line { sockets: Arc::clone(&sockets), road, random, on_the_way: VecDeque::new() };
            let mut work = Work { peers, line, due: BinaryHeap::new(), echo, seen: Seen::default(), meter };
            work.run(&inbox, &mut Reader::new(sockets))
        })?;
        Ok(Self { orders, thread: Some(thread) })
    }

    /// Ends the thread; what it could not do any more.
    pub(crate) fn stop(mut self) -> anyhow::Result<()> {
        // Ended already: its result says why.
        let _ = self.orders.send(Order::Stop);
        let ended = self.thread.take().expect("it is stopped once").join();
        ended.map_err(|_| anyhow!("the thread of the cheap peers broke down"))?
    }
}

struct Work {
    peers: Vec<Option<Box<Cheap>>>,
    line: Line,
    /// When, which peer, which of its sources.
    due: BinaryHeap<Reverse<(Instant, usize, usize)>>,
    echo: Option<Echo>,
    seen: Seen,
    meter: Arc<Meter>,
}

struct Echo {
    to: SocketAddr,
    socket: usize,
    due: Instant,
}

/// All peers' lines.
struct Line {
    sockets: Arc<Sockets>,
    road: Road,
    random: Random,
    /// All take the same time, so they arrive in this order.
    on_the_way: VecDeque<(Instant, usize, Travelling)>,
}

enum Travelling {
    Out(SocketAddr, Vec<u8>),
    In(Vec<u8>),
}

impl Line {
    fn loses(&mut self) -> bool {
        self.random.share() * 100.0 < self.road.loss_percent
    }

    fn take(&mut self, now: Instant, peer: usize, what: Travelling) {
        if !self.loses() {
            self.on_the_way.push_back((now + Duration::from_millis(self.road.delay_ms), peer, what));
        }
    }

    fn arrived(&mut self, now: Instant) -> Option<(usize, Travelling)> {
        if self.on_the_way.front().is_none_or(|(due, ..)| *due > now) {
            return None;
        }
        self.on_the_way.pop_front().map(|(_, peer, what)| (peer, what))
    }

    /// Sends what a client has to say.
    fn flush(&mut self, now: Instant, peer: usize, cheap: &mut Cheap) {
        while let Some((to, datagram)) = cheap.client.poll_transmit() {
            if self.road.is_perfect() {
                self.sockets.send(peer, to, &datagram);
                cheap.client.recycle(datagram);
            } else {
                self.take(now, peer, Travelling::Out(to, datagram));
            }
        }
    }
}

impl Work {
    fn run(&mut self, inbox: &Receiver<Order>, reader: &mut Reader) -> anyhow::Result<()> {
        let mut tick_due = Instant::now();
        loop {
            let now = Instant::now();
            if !self.obey(inbox, now) {
                return Ok(());
            }
            self.fire(now);
            self.deliver(now);
            if now >= tick_due {
                tick_due = now + TICK;
                self.tick(now);
            }
            let next = self.due.peek().map(|Reverse((due, ..))| *due);
            let travelling = self.line.on_the_way.front().map(|(due, ..)| *due);
            let wake = [next, travelling].into_iter().flatten().fold(tick_due, Instant::min);
            self.read(reader, wake.saturating_duration_since(Instant::now()))?;
        }
    }

    fn read(&mut self, reader: &mut Reader, timeout: Duration) -> anyhow::Result<()> {
        let Self { peers, line, echo, seen, meter, .. } = self;
        reader.read(timeout, |socket, _, datagram| {
            let now = Instant::now();
            if echo.as_ref().is_some_and(|echo| echo.socket == socket) {
                seen.echoes_ns.extend(delay_ns(datagram));
            } else if !line.road.is_perfect() {
                line.take(now, socket, Travelling::In(datagram.to_vec()));
            } else if let Some(Some(cheap)) = peers.get_mut(socket) {
                cheap.take(now, datagram, seen, meter);
                line.flush(now, socket, cheap);
            }
        })
    }

    /// What was on the way long enough.
    fn deliver(&mut self, now: Instant) {
        while let Some((peer, what)) = self.line.arrived(now) {
            match what {
                Travelling::Out(to, datagram) => {
                    self.line.sockets.send(peer, to, &datagram);
                    if let Some(cheap) = &mut self.peers[peer] {
                        cheap.client.recycle(datagram);
                    }
                }
                Travelling::In(mut datagram) => {
                    if let Some(cheap) = &mut self.peers[peer] {
                        cheap.take(now, &mut datagram, &mut self.seen, &self.meter);
                        self.line.flush(now, peer, cheap);
                    }
                }
            }
        }
    }

    fn fire(&mut self, now: Instant) {
        while let Some(&Reverse((due, peer, source))) = self.due.peek()
            && due <= now
        {
            self.due.pop();
            let Some(cheap) = &mut self.peers[peer] else { continue };
            cheap.fire(source, now, &mut self.seen);
            self.line.flush(now, peer, cheap);
            self.due.push(Reverse((cheap.sources[source].due(), peer, source)));
        }
        if let Some(echo) = self.echo.as_mut().filter(|echo| echo.due <= now) {
            echo.due = now + ECHO_EVERY;
            let mut packet = [0; ECHO_BYTES];
            packet[STAMP].copy_from_slice(&clock_ns().to_be_bytes());
            self.line.sockets.send(echo.socket, echo.to, &packet);
        }
    }

    fn tick(&mut self, now: Instant) {
        for (peer, cheap) in self.peers.iter_mut().enumerate() {
            if let Some(cheap) = cheap {
                cheap.tick(now, &mut self.seen);
                self.line.flush(now, peer, cheap);
            }
        }
        let seen = std::mem::take(&mut self.seen);
        self.meter.add(seen.counts, &seen.delays_ns, &seen.echoes_ns);
    }

    /// Takes orders; false when it is to stop.
    fn obey(&mut self, inbox: &Receiver<Order>, now: Instant) -> bool {
        loop {
            match inbox.try_recv() {
                Ok(Order::Join(peer, mut cheap)) => {
                    self.line.flush(now, peer, &mut cheap);
                    self.peers[peer] = Some(cheap);
                }
                Ok(Order::Ready(peer)) => {
                    if let Some(cheap) = &mut self.peers[peer] {
                        cheap.ready(now);
                        let sources = cheap.sources.iter().enumerate();
                        self.due.extend(sources.map(|(at, source)| Reverse((source.due(), peer, at))));
                    }
                }
                Ok(Order::Switch { peer, line, on }) => {
                    let sources = self.peers[peer].iter_mut().flat_map(|cheap| &mut cheap.sources);
                    sources.filter(|source| source.line == line).for_each(|source| source.switch(&on));
                }
                Ok(Order::Leave(peer)) => {
                    if let Some(mut cheap) = self.peers[peer].take() {
                        cheap.client.close(now);
                        self.line.flush(now, peer, &mut cheap);
                    }
                }
                Ok(Order::Stop) | Err(TryRecvError::Disconnected) => return false,
                Err(TryRecvError::Empty) => return true,
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line(loss_percent: f64, delay_ms: u64) -> Line {
        let sockets = Sockets::bind(1).unwrap();
        Line { sockets, road: Road { loss_percent, delay_ms }, random: Random(1), on_the_way: VecDeque::new() }
    }

    #[test]
    fn a_line_loses_its_share_and_takes_its_time() {
        let mut line = line(2.0, 50);
        assert!(!line.road.is_perfect());
        let now = Instant::now();
        (0..10_000).for_each(|_| line.take(now, 0, Travelling::In(Vec::new())));
        let lost = 10_000 - line.on_the_way.len();
        assert!((150..250).contains(&lost), "{lost} of 10,000 are lost, 200 wanted");
        assert!(line.arrived(now + Duration::from_millis(49)).is_none());
        assert!(line.arrived(now + Duration::from_millis(50)).is_some());
    }

    #[test]
    fn a_thread_that_is_told_to_stop_stops() {
        let meter = Arc::new(Meter::default());
        let field = Field::start(2, Road::default(), None, 1, Arc::clone(&meter)).unwrap();
        field.stop().unwrap();
        assert_eq!(meter.read().counts.received, 0);
    }
}
