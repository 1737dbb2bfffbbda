//! The send arena: sealed packets lie where the kernel will read them, those of one receiver and one size one behind the other as a
//! run, which one system call sends (UDP GSO). Nothing is allocated once the arena has grown to the size of a tick.

use std::net::{IpAddr, SocketAddr};
use std::ops::Range;

/// Packets in one run: the kernel's limit (UDP_MAX_SEGMENTS is 64 up to Linux 6.8).
const MOST_SEGMENTS: usize = 64;
/// Bytes in one run: a UDP datagram's length field, less the largest IP header.
const MOST_RUN_BYTES: usize = 65_000;
/// An arena that a storm has made larger than this is given back once it is empty.
const CALM_ARENA: usize = 8 * 1024 * 1024;

/// A way to a peer: its address, and the address of ours that it knows us by, where there is a choice.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Path {
    /// The peer's address.
    pub remote: SocketAddr,
    /// Our address to send from; `None` leaves it to the system.
    pub local: Option<IpAddr>,
    /// What carries it.
    pub via: Via,
}

/// What carries the datagrams of a path.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Via {
    /// UDP.
    Udp,
    /// A TCP connection (RFC 6544), by the number that its owner gave it. No number is given twice.
    Tcp(u32),
}

/// What tells one sender from another: UDP and each TCP connection count their ports apart.
pub(crate) type Address = (SocketAddr, Via);

impl Path {
    /// The way over UDP to a peer, from whichever address of ours the system takes.
    #[must_use]
    pub const fn udp(remote: SocketAddr) -> Path {
        Path { remote, local: None, via: Via::Udp }
    }

    pub(crate) fn address(&self) -> Address {
        (self.remote, self.via)
    }
}

/// Datagrams of equal size for one address, one behind the other; the last may be shorter.
#[derive(Debug, Clone)]
pub(crate) struct Run {
    pub to: Path,
    pub segment: usize,
    pub bytes: Range<usize>,
    /// No further datagram may follow: the last one was shorter, or is no media.
    closed: bool,
}

/// The send arena of a shard and the runs in it.
#[derive(Debug, Default)]
pub(crate) struct Outbox {
    arena: Vec<u8>,
    /// Bytes of the arena in use. What lies behind is left from earlier ticks, so that room need not be zeroed first.
    end: usize,
    runs: Vec<Run>,
    taken: usize,
}

impl Outbox {
    /// Appends one datagram that is no media.
    pub fn datagram(&mut self, to: Path, bytes: &[u8]) {
        if bytes.is_empty() {
            return;
        }
        let start = self.reserve(bytes.len());
        self.arena[start..self.end].copy_from_slice(bytes);
        self.runs.push(Run { to, segment: bytes.len(), bytes: start..self.end, closed: true });
    }

    fn reserve(&mut self, len: usize) -> usize {
        let start = self.end;
        self.end += len;
        if self.end > self.arena.len() {
            self.arena.resize(self.end.next_power_of_two(), 0);
        }
        start
    }

    /// Room for one media packet of `len` bytes behind the last one.
    pub fn packet(&mut self, to: Path, len: usize) -> &mut [u8] {
        let start = self.reserve(len);
        let open = self.taken < self.runs.len();
        match self.runs.last_mut() {
            Some(run)
                if open
                    && !run.closed
                    && run.to == to
                    && len <= run.segment
                    && run.bytes.len() / run.segment < MOST_SEGMENTS
                    && run.bytes.len() + len <= MOST_RUN_BYTES =>
            {
                run.bytes.end += len;
                run.closed = len < run.segment;
            }
            _ => self.runs.push(Run { to, segment: len, bytes: start..start + len, closed: false }),
        }
        &mut self.arena[start..start + len]
    }

    /// Ends the current run: what follows belongs to something else.
    pub fn close_run(&mut self) {
        if let Some(run) = self.runs.last_mut() {
            run.closed = true;
        }
    }

    /// The next run; once all are taken the arena is empty again.
    pub fn take(&mut self) -> Option<Run> {
        let run = self.runs.get(self.taken).cloned();
        match run {
            Some(_) => self.taken += 1,
            None => {
                self.end = 0;
                if self.arena.len() > CALM_ARENA {
                    self.arena = Vec::new();
                }
                self.runs.clear();
                self.taken = 0;
            }
        }
        run
    }

    /// Forgets the runs that were not taken.
    pub fn discard(&mut self) {
        self.runs.truncate(self.taken);
    }

    pub fn bytes(&self, range: Range<usize>) -> &[u8] {
        &self.arena[range]
    }
}
