//! Fifty viewers in one thread: each has its own ICE, DTLS and SRTP keys, reads every packet, opens one in [`OPEN_EVERY`], and
//! answers with reports and (by the client itself) transport-wide feedback.

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use anyhow::{Context as _, ensure};
use parlor_media::client::{Event, Identity, Plan};
use parlor_media::sdp::Kind;
use serde_json::json;

use crate::drain::{Reader, Sockets, clock_ns};
use crate::peer::{Peer, Place, connect_last};
use crate::publisher::STAMP;
use crate::signal::Signal;

/// About one packet in a hundred; a prime, so that every place within a burst has its turn.
const OPEN_EVERY: u32 = 97;
/// How often timers are looked at.
const TICK: Duration = Duration::from_millis(20);
/// How often each subscriber reports what it received (RFC 3550 section 6.2).
const REPORT_EVERY: Duration = Duration::from_secs(1);

/// Subscribers that are in the call.
pub(crate) struct Subscribers {
    viewers: Vec<Viewer>,
    sockets: Arc<Sockets>,
}

/// One of them.
pub(crate) struct Viewer {
    peer: Peer,
    /// The stream of its video slot.
    ssrc: u32,
    /// First sequence number, highest one with rollovers, and how many came.
    seen: Option<(u64, u64, u64)>,
    report_due: Instant,
}

/// What the subscribers see while they read.
#[derive(Default)]
pub(crate) struct Seen {
    /// Packets of video slots, all subscribers together.
    pub received: AtomicU64,
    /// Subscribers that have received anything.
    pub receiving: AtomicU64,
    stop: AtomicBool,
}

/// What they have seen when they stop.
pub(crate) struct Outcome {
    /// When a packet was sent (by [`clock_ns`]) and how long it took to be read, in nanoseconds: those that were opened.
    pub delays: Vec<(u64, u64)>,
    /// Sequence numbers that never came.
    pub lost: u64,
}

/// Subscribers that read on a thread of their own.
pub(crate) struct Reading {
    pub seen: Arc<Seen>,
    /// How many they are.
    pub count: usize,
    thread: JoinHandle<anyhow::Result<Outcome>>,
}

impl Reading {
    pub(crate) fn finish(self) -> anyhow::Result<Outcome> {
        self.seen.stop.store(true, Ordering::Relaxed);
        self.thread.join().expect("the reader does not panic")
    }
}

impl Subscribers {
    /// Brings `count` of them into the call, one after the other.
    pub(crate) fn join(count: usize, signal: &Signal, place: &Place, identity: &Identity) -> anyhow::Result<Self> {
        let mut index = 0;
        let enter = |peer: &mut Peer| {
            index += 1;
            let (mut socket, _) = signal.enter(&place.server, &format!("viewer-{index}"))?;
            peer.offer(&mut socket, place, &json!([]))?;
            Ok(socket)
        };
        Self::join_by(count, place.local, identity, enter, |peer, socket| peer.ready(socket, place))
    }

    /// The same into any call: `enter` agrees on a connection with the server, `ready` tells it that media can come.
    pub(crate) fn join_by<Seat>(
        count: usize,
        local: Ipv4Addr,
        identity: &Identity,
        mut enter: impl FnMut(&mut Peer) -> anyhow::Result<Seat>,
        mut ready: impl FnMut(&mut Peer, Seat) -> anyhow::Result<()>,
    ) -> anyhow::Result<Self> {
        let sockets = Sockets::bind_to(local, count)?;
        let mut reader = Reader::new(Arc::clone(&sockets));
        let mut viewers: Vec<Viewer> = Vec::with_capacity(count);
        for index in 0..count {
            let mut join = || {
                let mut peer = Viewer::peer(identity, &sockets, index);
                let seat = enter(&mut peer)?;
                let others = viewers.iter_mut().map(|viewer| &mut viewer.peer);
                connect_last(&mut others.chain([&mut peer]).collect::<Vec<_>>(), &mut reader)?;
                ready(&mut peer, seat)?;
                Viewer::over(peer)
            };
            let viewer = join().with_context(|| format!("subscriber {index}"))?;
            viewers.push(viewer);
        }
        Ok(Self { viewers, sockets })
    }

    /// Connected peers of these sockets, in their order.
    #[cfg(test)]
    pub(crate) fn over(peers: Vec<Peer>, sockets: Arc<Sockets>) -> anyhow::Result<Self> {
        let viewers = peers.into_iter().map(Viewer::over).collect::<anyhow::Result<_>>()?;
        Ok(Self { viewers, sockets })
    }

    /// Reads from now on.
    pub(crate) fn start(mut self) -> Reading {
        let seen = Arc::new(Seen::default());
        let (shared, count) = (Arc::clone(&seen), self.viewers.len());
        let thread = std::thread::spawn(move || {
            let mut reader = Reader::new(Arc::clone(&self.sockets));
            let mut delays = Vec::with_capacity(1 << 16);
            let mut tick_due = Instant::now();
            while !shared.stop.load(Ordering::Relaxed) {
                let mut received = 0;
                reader.read(TICK, |index, from, datagram| {
                    received += self.viewers[index].take(from, datagram, &shared, &mut delays);
                })?;
                shared.received.fetch_add(received, Ordering::Relaxed);
                let now = Instant::now();
                if now >= tick_due {
                    tick_due = now + TICK;
                    self.viewers.iter_mut().for_each(|viewer| viewer.tick(now));
                }
            }
            Ok(Outcome { delays, lost: self.viewers.iter().map(Viewer::lost).sum() })
        });
        Reading { seen, count, thread }
    }
}

impl Viewer {
    /// A peer with one slot for sound and one for video.
    pub(crate) fn peer(identity: &Identity, sockets: &Arc<Sockets>, index: usize) -> Peer {
        // It is the tie-breaker too: a server that would rather be in control gives way to the larger (RFC 8445 section 7.3.1.1).
        let seed = u64::MAX - index as u64;
        let plan = Plan { lines: Vec::new(), audio_slots: 1, video_slots: 1, seed, ..Plan::default() };
        let mut peer = Peer::new(plan, identity, sockets, index);
        peer.client.open_every = OPEN_EVERY;
        peer
    }

    /// A viewer of a connected peer.
    fn over(peer: Peer) -> anyhow::Result<Self> {
        let slot = peer.client.slots().iter().find(|slot| slot.kind == Kind::Video);
        let ssrc = slot.context("the answer has no video slot")?.ssrc;
        ensure!(
            peer.client.profile() == Some(parlor_media::srtp::Profile::AeadAes128Gcm),
            "the server did not choose AEAD_AES_128_GCM"
        );
        Ok(Self { peer, ssrc, seen: None, report_due: Instant::now() })
    }

    /// Takes one datagram; 1 when it is a packet of the video slot.
    fn take(&mut self, from: SocketAddr, datagram: &mut [u8], shared: &Seen, delays: &mut Vec<(u64, u64)>) -> u64 {
        if self.peer.answer_check(from, datagram) {
            return 0;
        }
        let header = match self.peer.client.handle(Instant::now(), datagram) {
            Ok(Some(Event::Sealed { header, .. })) => header,
            Ok(Some(Event::Rtp { header, packet })) => {
                if let Some(stamp) = packet[header.len..].get(STAMP)
                    && header.ssrc == self.ssrc
                {
                    let sent_ns = u64::from_be_bytes(stamp.try_into().expect("the stamp has 8 bytes"));
                    delays.push((sent_ns, clock_ns().saturating_sub(sent_ns)));
                }
                header
            }
            _ => {
                self.peer.flush();
                return 0;
            }
        };
        if header.ssrc != self.ssrc {
            return 0;
        }
        if self.seen.is_none() {
            shared.receiving.fetch_add(1, Ordering::Relaxed);
        }
        let (first, highest, count) = self.seen.unwrap_or_else(|| {
            let sequence = u64::from(header.sequence) + (1 << 16);
            (sequence, sequence, 0)
        });
        // The number that lies nearest to the highest one.
        let ahead = header.sequence.wrapping_sub(highest as u16) as i16;
        let sequence = highest.wrapping_add_signed(i64::from(ahead));
        self.seen = Some((first.min(sequence), highest.max(sequence), count + 1));
        1
    }

    fn lost(&self) -> u64 {
        self.seen.map_or(0, |(first, highest, count)| (highest - first + 1).saturating_sub(count))
    }

    fn tick(&mut self, now: Instant) {
        self.peer.tick(now);
        if now < self.report_due {
            return;
        }
        self.report_due = now + REPORT_EVERY;
        if let Some((_, highest, _)) = self.seen {
            self.peer.client.send_rtcp(&receiver_report(self.ssrc, highest as u32));
            self.peer.flush();
        }
    }
}

/// A receiver report with one block that complains of nothing.
fn receiver_report(ssrc: u32, highest: u32) -> [u8; 32] {
    let mut report = [0; 32];
    report[..4].copy_from_slice(&[0x81, 201, 0, 7]);
    report[4..8].copy_from_slice(&1_u32.to_be_bytes());
    report[8..12].copy_from_slice(&ssrc.to_be_bytes());
    report[16..20].copy_from_slice(&highest.to_be_bytes());
    report
}
