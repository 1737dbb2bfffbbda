//! What comes in by a shard's sockets beside the batches of its UDP port: by the sockets of single peers, over TCP, and from shards
//! of the same port.

use std::io;
use std::time::Instant;

use mio::Events;
use parlor_media::{Input, Path, ice};

use super::lane;
use super::socket::Buffers;
use super::stray::Stray;
use super::tcp::{self, Arrival};
use super::thread::{MOST_BATCHES, Shard};

/// First bytes of STUN (RFC 7983) are below this.
const STUN_BELOW: u8 = 4;

impl Shard {
    /// Keeps in mind which sockets and connections have something.
    pub(super) fn note(&mut self, events: &Events) {
        for event in events {
            let token = event.token();
            if token.0 >= lane::FIRST_TOKEN {
                if let Some(lanes) = self.sockets.lanes.as_mut() {
                    lanes.wake(token);
                }
            } else if token.0 >= tcp::FIRST_TOKEN {
                self.sockets.tcp.wake(token, event.is_readable(), event.is_writable());
            } else {
                self.sockets.wake(token);
            }
        }
    }

    /// Takes in a datagram of the UDP port.
    pub(super) fn take(&mut self, now: Instant, from: Path, bytes: &mut [u8]) {
        // Only a check tells whose it is, and only before its sender has a socket of its own.
        let check = self.sockets.lanes.is_some() && bytes.first().is_some_and(|first| *first < STUN_BELOW);
        if check && self.is_stray(now, from, bytes) {
            return;
        }
        self.core.handle(now, Input::Datagram { from, bytes });
        self.watch.step(|| self.core.worked_for());
        if check {
            self.give_lane(now, from);
        }
    }

    /// Hands a check for another shard over to it. It is lost when too many come from there, or that one has no room; the client
    /// repeats it.
    fn is_stray(&mut self, now: Instant, from: Path, bytes: &[u8]) -> bool {
        let Some(shard) =
            ice::shard_of(bytes).map(usize::from).filter(|shard| *shard != usize::from(self.config.number))
        else {
            return false;
        };
        let Some(neighbour) = self.neighbours.get(shard) else { return false };
        let became = if self.strays.admit(now, from.remote.ip()) {
            usize::from(!neighbour.hand_over(Stray { path: from, bytes: bytes.to_vec() }))
        } else {
            2
        };
        self.handed_over[became] += 1;
        true
    }

    /// A check of this shard that landed on another.
    pub(super) fn take_stray(&mut self, mut stray: Stray) {
        let now = Instant::now();
        self.core.handle(now, Input::Datagram { from: stray.path, bytes: &mut stray.bytes });
        self.give_lane(now, stray.path);
    }

    /// Before the check is answered, so that whatever follows the answer comes by the lane.
    fn give_lane(&mut self, now: Instant, path: Path) {
        if let Some(lanes) = self.sockets.lanes.as_mut()
            && let Some(holder) = self.core.holder(&path)
        {
            let held = |path: &Path| self.core.holder(path) == Some(holder);
            lanes.open(now, (path, holder), self.poll.registry(), held);
        }
    }

    /// Takes in what came by sockets of single peers; answers whether more waits.
    pub(super) fn receive_lanes(&mut self, buffers: &mut Buffers) -> bool {
        let mut again = Vec::new();
        while let Some(token) = self.sockets.lanes.as_mut().and_then(lane::Lanes::next_ready) {
            let begun = Instant::now();
            self.watch.begin(begun);
            let mut emptied = false;
            for _ in 0..MOST_BATCHES {
                let Some(lane) = self.sockets.lanes.as_mut().and_then(|lanes| lanes.lane(token)) else { break };
                match lane.receive(buffers) {
                    Ok(datagrams) => {
                        for (from, bytes) in datagrams {
                            self.take(begun, from, bytes);
                        }
                    }
                    Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                        emptied = true;
                        break;
                    }
                    // The peer's system refused an earlier datagram.
                    Err(_) => self.send_errors += 1,
                }
            }
            self.flush();
            self.watch.end(begun);
            if !emptied {
                again.push(token);
            }
        }
        let more = !again.is_empty();
        if let Some(lanes) = self.sockets.lanes.as_mut() {
            again.into_iter().for_each(|token| lanes.wake(mio::Token(token)));
        }
        more
    }

    /// Takes in what came over TCP; answers whether more waits.
    pub(super) fn receive_tcp(&mut self, buffers: &mut Buffers) -> bool {
        let mut again = Vec::new();
        for _ in 0..tcp::MOST_A_ROUND {
            let Some(number) = self.sockets.tcp.next_ready() else { break };
            let begun = Instant::now();
            self.watch.begin(begun);
            let (core, watch) = (&mut self.core, &mut self.watch);
            let more = self.sockets.tcp.receive(number, &mut buffers.bytes, |from, bytes| {
                core.handle(begun, Input::Datagram { from, bytes });
                watch.step(|| core.worked_for());
            });
            self.flush();
            self.watch.end(begun);
            if more {
                again.push(number);
            }
        }
        again.into_iter().for_each(|number| self.sockets.tcp.again(number));
        self.sockets.tcp.has_ready()
    }

    /// Takes over a connection whose first frame is for this shard. Unless the core answers that, the connection is nobody's.
    pub(super) fn arrive(&mut self, arrival: Arrival) {
        let Ok(number) = self.sockets.tcp.take(arrival, self.poll.registry()) else {
            self.send_errors += 1;
            return;
        };
        let (core, now) = (&mut self.core, Instant::now());
        self.sockets.tcp.first_frames(number, |from, bytes| core.handle(now, Input::Datagram { from, bytes }));
        self.flush();
        let core = &self.core;
        self.sockets.tcp.expect_known(number, |path| core.knows(path));
        // What came after the door has read makes no edge.
        self.sockets.tcp.again(number);
    }

    /// Closes what is nobody's any more.
    pub(super) fn sweep(&mut self) {
        let core = &self.core;
        self.sockets.tcp.sweep(|path| core.knows(path));
        if let Some(lanes) = self.sockets.lanes.as_mut() {
            lanes.sweep(self.poll.registry(), |path| self.core.knows(path));
        }
    }
}
