//! Everything that the thread reads from and writes to.

use std::io;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::Arc;

use mio::{Registry, Token};
use rustls::ServerConfig;

use super::families;
use super::streams::{MOST_CONNECTIONS, Streams};
use super::thread::{RELAYS, UDP};
use super::udp::{Datagrams, UdpPort};
use crate::allocation::{AllocationId, Client};
use crate::attributes::Family;
use crate::counts::DropReason;
use crate::server::Envelope;

/// The kernel's buffers of the port that all clients send to, bytes.
const LISTEN_BUFFER: usize = 4 * 1024 * 1024;
/// Those of a relay port: a key frame and what comes with it.
const RELAY_BUFFER: usize = 512 * 1024;
/// Datagrams that wait to leave in one run, in bytes: what one system call takes.
const MOST_RUN_BYTES: usize = 60_000;

/// All sockets.
pub(super) struct Lines {
    registry: Registry,
    /// One for each family that is listened on.
    pub(super) udp: Vec<UdpPort>,
    /// The relay ports, by the place of their allocation.
    relays: Vec<Option<(AllocationId, UdpPort)>>,
    pub(super) streams: Streams,
    run: Run,
    out: Vec<u8>,
    drops: [u64; DropReason::ALL.len()],
}

/// Datagrams from one allocation to one peer that came together.
#[derive(Default)]
struct Run {
    road: Option<(AllocationId, SocketAddr)>,
    segment: usize,
    bytes: Vec<u8>,
}

impl Lines {
    /// Without any line yet. `of_source`: allocations that one source may have.
    pub(super) fn new(registry: Registry, of_source: u32) -> Self {
        Self {
            registry,
            udp: Vec::new(),
            relays: Vec::new(),
            streams: Streams::new(MOST_CONNECTIONS, of_source),
            run: Run::default(),
            out: Vec::new(),
            drops: [0; DropReason::ALL.len()],
        }
    }

    /// Listens for datagrams; the address with its real port.
    pub(super) fn listen_udp(&mut self, at: SocketAddr) -> io::Result<SocketAddr> {
        listen(at, |address| {
            let token = Token(UDP + self.udp.len());
            let port = UdpPort::open(address, LISTEN_BUFFER, &self.registry, token)?;
            let address = port.address()?;
            self.udp.push(port);
            Ok(address)
        })
    }

    /// Listens for connections; the address with its real port.
    pub(super) fn listen_tcp(&mut self, at: SocketAddr, tls: Option<&Arc<ServerConfig>>) -> io::Result<SocketAddr> {
        listen(at, |address| self.streams.listen(address, tls, &self.registry))
    }

    /// Opens the relay port of an allocation.
    pub(super) fn open(&mut self, id: AllocationId, family: Family, port: u16) -> bool {
        let address = match family {
            Family::V4 => SocketAddr::from((Ipv4Addr::UNSPECIFIED, port)),
            Family::V6 => SocketAddr::from((Ipv6Addr::UNSPECIFIED, port)),
        };
        let place = id.place as usize;
        let Ok(port) = UdpPort::open(address, RELAY_BUFFER, &self.registry, Token(RELAYS + place)) else {
            return false;
        };
        if self.relays.len() <= place {
            self.relays.resize_with(place + 1, || None);
        }
        self.relays[place] = Some((id, port));
        true
    }

    /// Closes it.
    pub(super) fn close(&mut self, id: AllocationId) {
        if let Some(place) = self.relays.get_mut(id.place as usize)
            && place.as_ref().is_some_and(|(known, _)| *known == id)
        {
            *place = None;
        }
    }

    /// Takes a relay port out, to read from it; [`Lines::put_back`] follows.
    pub(super) fn take_relay(&mut self, place: usize) -> Option<(AllocationId, UdpPort)> {
        self.relays.get_mut(place)?.take()
    }

    pub(super) fn put_back(&mut self, relay: (AllocationId, UdpPort)) {
        let place = relay.0.place as usize;
        self.relays[place] = Some(relay);
    }

    /// Answers a client that sends datagrams.
    pub(super) fn answer(&mut self, remote: SocketAddr, local: Option<std::net::IpAddr>, bytes: &[u8]) {
        let unsent = udp_of(&self.udp, remote).map_or(1, |port| port.send(remote, local, bytes.len(), bytes));
        self.drops[DropReason::Unsent.index()] += unsent as u64;
    }

    /// Sends from a relay port, together with what follows for the same peer. [`Lines::flush`] ends it.
    pub(super) fn relay(&mut self, id: AllocationId, to: SocketAddr, payload: &[u8]) {
        let fits = self.run.road == Some((id, to))
            && payload.len() <= self.run.segment
            && self.run.bytes.len() + payload.len() <= MOST_RUN_BYTES;
        if !fits {
            self.flush();
            self.run.road = Some((id, to));
            self.run.segment = payload.len();
        }
        self.run.bytes.extend_from_slice(payload);
        // A shorter one can only be the last. An empty one cannot be part of a run at all.
        if payload.len() < self.run.segment || payload.is_empty() {
            self.flush();
        }
    }

    /// Sends what waits.
    pub(super) fn flush(&mut self) {
        let Some((id, to)) = self.run.road.take() else { return };
        let port = self.relays.get(id.place as usize).and_then(Option::as_ref).filter(|(known, _)| *known == id);
        let datagrams = self.run.bytes.len().div_ceil(self.run.segment.max(1)).max(1);
        let unsent = match port {
            // A run without bytes is one empty datagram.
            Some((_, port)) if self.run.bytes.is_empty() => port.send_empty(to),
            Some((_, port)) => port.send(to, None, self.run.segment, &self.run.bytes),
            None => datagrams,
        };
        self.drops[DropReason::Unsent.index()] += unsent as u64;
        self.run.bytes.clear();
    }

    /// Brings a peer's datagrams to their client.
    pub(super) fn deliver(&mut self, envelope: &Envelope, datagrams: &Datagrams<'_>) {
        self.out.clear();
        let mut pieces = datagrams.bytes.chunks(datagrams.stride);
        // An empty datagram is one too.
        envelope.write(pieces.next().unwrap_or_default(), &mut self.out);
        let segment = self.out.len();
        for piece in pieces {
            envelope.write(piece, &mut self.out);
        }
        match envelope.client {
            Client::Udp { remote, local } => {
                let unsent = udp_of(&self.udp, remote).map_or(1, |port| port.send(remote, local, segment, &self.out));
                self.drops[DropReason::Unsent.index()] += unsent as u64;
            }
            Client::Stream { connection, .. } => {
                if !self.streams.send(connection, &self.out) {
                    let datagrams = datagrams.bytes.len().div_ceil(datagrams.stride).max(1);
                    self.drops[DropReason::SlowClient.index()] += datagrams as u64;
                }
            }
        }
    }

    /// What was dropped here, in the order of [`DropReason::ALL`].
    pub(super) fn drops(&self) -> [u64; DropReason::ALL.len()] {
        std::array::from_fn(|at| self.drops[at] + self.streams.drops[at])
    }
}

fn udp_of(udp: &[UdpPort], remote: SocketAddr) -> Option<&UdpPort> {
    udp.iter().find(|port| port.is_v4 == remote.is_ipv4())
}

/// Opens each family's socket on one port. The first must succeed; a machine without IPv6 does without it.
fn listen(at: SocketAddr, mut open: impl FnMut(SocketAddr) -> io::Result<SocketAddr>) -> io::Result<SocketAddr> {
    let mut families = families(at).into_iter();
    let first = open(families.next().unwrap_or(at))?;
    let second = families.next().map(|second| open(SocketAddr::new(second.ip(), first.port())));
    Ok(second.and_then(Result::ok).unwrap_or(first))
}
