//! The thread: waits for sockets, asks the core what to do, does it.

use std::io;
use std::sync::atomic::Ordering;
use std::sync::{Arc, PoisonError};
use std::time::{Duration, Instant};

use mio::{Events, Poll, Registry, Token};

use super::Shared;
use super::connection::{Connection, Read};
use super::ground::Watched;
use super::lines::Lines;
use super::streams::MOST_ACCEPTS;
use super::udp::Buffers;
use crate::allocation::Client;
use crate::counts::DropReason;
use crate::server::{Action, Now, Server};

pub(super) const WAKER: Token = Token(0);
pub(super) const UDP: usize = 1;
pub(super) const LISTENERS: usize = 8;
pub(super) const STREAMS: usize = 1 << 20;
pub(super) const RELAYS: usize = 1 << 24;

/// Reads from one socket before the others have their turn.
const MOST_READS: usize = 8;
/// Events taken at once.
const MOST_EVENTS: usize = 1024;
/// Bytes read from a connection at once: a TLS record and a little.
const SCRATCH_BYTES: usize = 32 * 1024;

pub(super) struct Thread {
    poll: Poll,
    registry: Option<Registry>,
    core: Server,
    lines: Lines,
    ground: Watched,
    buffers: Buffers,
    scratch: Vec<u8>,
    /// Sockets that had their turn and may have more.
    again: Vec<Token>,
    shared: Arc<Shared>,
}

/// What becomes of a connection after its turn.
enum Fate {
    Keep,
    Again,
    Close(Option<DropReason>),
}

impl Thread {
    pub(super) fn new(poll: Poll, core: Server, lines: Lines, ground: Watched, shared: Arc<Shared>) -> Self {
        let registry = poll.registry().try_clone().ok();
        let (buffers, scratch) = (Buffers::new(), vec![0; SCRATCH_BYTES]);
        Self { poll, registry, core, lines, ground, buffers, scratch, again: Vec::new(), shared }
    }

    pub(super) fn run(mut self) {
        let mut events = Events::with_capacity(MOST_EVENTS);
        let mut ready: Vec<Token> = Vec::new();
        while !self.shared.stopped.load(Ordering::Acquire) {
            let wait = if self.again.is_empty() { self.wait() } else { Some(Duration::ZERO) };
            match self.poll.poll(&mut events, wait) {
                Err(error) if error.kind() != io::ErrorKind::Interrupted => return,
                _ => {}
            }
            let now = Now::read();
            gather(&mut ready, &mut self.again, events.iter().map(mio::event::Event::token));
            for token in &ready {
                self.turn(now, *token);
            }
            self.lines.flush();
            self.expire(now);
            self.publish();
        }
    }

    fn wait(&self) -> Option<Duration> {
        let due = [self.core.poll_timeout(), self.lines.streams.poll_timeout(), Some(self.ground.poll_timeout())];
        let due = due.into_iter().flatten().min();
        due.map(|at| at.saturating_duration_since(Instant::now()))
    }

    fn turn(&mut self, now: Now, token: Token) {
        match token.0 {
            RELAYS.. => self.read_relay(now, token.0 - RELAYS),
            STREAMS.. => self.read_stream(now, token.0 - STREAMS),
            LISTENERS.. => {
                self.make_room(now);
                let Some(registry) = &self.registry else { return };
                if self.lines.streams.accept(now.instant, token.0 - LISTENERS, registry) {
                    self.again.push(token);
                }
            }
            UDP.. => self.read_clients(now, token.0 - UDP),
            _ => {}
        }
    }

    /// When the places for connections run out, whoever has waited longest without an allocation goes: to hold a place costs nothing,
    /// and those who come now would all be sent away.
    fn make_room(&mut self, now: Now) {
        for _ in 0..MOST_ACCEPTS {
            let Some(place) = self.lines.streams.oldest_waiting() else { return };
            let Some(connection) = self.lines.streams.take_out(place) else { continue };
            if self.core.serves(connection.client()) {
                self.lines.streams.put_back(connection);
            } else {
                self.core.count(DropReason::IdleConnection);
                self.core.gone(now.instant, connection.client());
                self.lines.streams.close(connection);
            }
        }
    }

    /// Datagrams of clients.
    fn read_clients(&mut self, now: Now, index: usize) {
        for _ in 0..MOST_READS {
            let Some(port) = self.lines.udp.get(index) else { return };
            let count = match port.receive(&mut self.buffers) {
                Ok(count) => count,
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return,
                // An ICMP error of an earlier answer is reported on the next read; it concerns nobody here.
                Err(_) => continue,
            };
            for datagrams in self.buffers.received(count) {
                let from = Client::Udp { remote: datagrams.from, local: datagrams.to };
                for bytes in datagrams.bytes.chunks(datagrams.stride) {
                    act(&mut self.core, &mut self.lines, now, from, bytes, |lines, answer| {
                        lines.answer(datagrams.from, datagrams.to, answer);
                    });
                }
            }
            self.lines.flush();
        }
        self.again.push(Token(UDP + index));
    }

    /// Datagrams of peers.
    fn read_relay(&mut self, now: Now, place: usize) {
        let Some((id, port)) = self.lines.take_relay(place) else { return };
        let mut reads = 0;
        while reads < MOST_READS {
            reads += 1;
            let count = match port.receive(&mut self.buffers) {
                Ok(count) => count,
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => break,
                Err(_) => continue,
            };
            for datagrams in self.buffers.received(count) {
                let (bytes, number) = (datagrams.bytes.len(), datagrams.bytes.len().div_ceil(datagrams.stride).max(1));
                if let Ok(envelope) = self.core.relayed(now.instant, id, datagrams.from, number, bytes) {
                    self.lines.deliver(&envelope, &datagrams);
                }
            }
        }
        if reads == MOST_READS {
            self.again.push(Token(RELAYS + place));
        }
        self.lines.put_back((id, port));
    }

    /// A connection's bytes, in and out.
    fn read_stream(&mut self, now: Now, place: usize) {
        let Some(mut connection) = self.lines.streams.take_out(place) else { return };
        let fate = self.converse(now, &mut connection);
        self.lines.flush();
        match fate {
            Fate::Keep => self.lines.streams.put_back(connection),
            Fate::Again => {
                self.again.push(Token(STREAMS + place));
                self.lines.streams.put_back(connection);
            }
            Fate::Close(reason) => {
                if let Some(reason) = reason {
                    self.core.count(reason);
                }
                self.core.gone(now.instant, connection.client());
                self.lines.streams.close(connection);
            }
        }
    }

    fn converse(&mut self, now: Now, connection: &mut Connection) -> Fate {
        if connection.flush().is_err() {
            return Fate::Close(None);
        }
        for _ in 0..MOST_READS {
            let read = connection.read(&mut self.scratch);
            let from = connection.client();
            // Whole messages of before are served even at the end.
            loop {
                let (frames, mut answered) = (&mut connection.frames, Vec::new());
                match frames.next_frame() {
                    Ok(Some(frame)) => {
                        act(&mut self.core, &mut self.lines, now, from, frame, |_, answer| answered.extend(answer));
                    }
                    Ok(None) => break,
                    Err(_) => return Fate::Close(Some(DropReason::Malformed)),
                }
                if !answered.is_empty()
                    && let Err(reason) = connection.answer(&answered)
                {
                    return Fate::Close(Some(reason));
                }
            }
            connection.frames.shrink();
            match read {
                Read::Some => {}
                Read::Dry => return Fate::Keep,
                Read::End => return Fate::Close(None),
                Read::BadTls => return Fate::Close(Some(DropReason::BadTls)),
            }
        }
        Fate::Again
    }

    /// Ends what has had its time.
    fn expire(&mut self, now: Now) {
        if self.core.poll_timeout().is_some_and(|at| at <= now.instant) {
            self.core.handle_timeout(now.instant);
        }
        while let Some((id, client)) = self.core.poll_closed() {
            self.lines.close(id);
            if let Client::Stream { connection, .. } = client {
                self.lines.streams.wait_again(now.instant, connection);
            }
        }
        while let Some(place) = self.lines.streams.poll_due(now.instant) {
            let Some(connection) = self.lines.streams.take_out(place) else { continue };
            if self.core.serves(connection.client()) {
                self.lines.streams.put_back(connection);
            } else {
                self.core.count(DropReason::IdleConnection);
                self.lines.streams.close(connection);
            }
        }
        if let Some(peers) = self.ground.look(now.instant) {
            self.core.replace_peers(peers);
        }
        let listeners = self.lines.streams.resume(now.instant);
        self.again.extend((0..listeners).map(|index| Token(LISTENERS + index)));
    }

    fn publish(&self) {
        let mut counts = self.core.counts();
        for (count, more) in counts.drops.iter_mut().zip(self.lines.drops()) {
            *count += more;
        }
        (counts.connections, counts.tls_connections) = self.lines.streams.open();
        *self.shared.counts.lock().unwrap_or_else(PoisonError::into_inner) = counts;
    }
}

/// Whose turn it is: of those who had more and of those who are heard of now, each once. Who is always busy would have one turn more
/// with each round otherwise.
fn gather(ready: &mut Vec<Token>, again: &mut Vec<Token>, events: impl Iterator<Item = Token>) {
    ready.clear();
    ready.append(again);
    ready.extend(events);
    ready.sort_unstable();
    ready.dedup();
}

/// Asks the core about one message, and does what it says.
fn act(
    core: &mut Server,
    lines: &mut Lines,
    now: Now,
    from: Client,
    bytes: &[u8],
    answer: impl FnOnce(&mut Lines, &[u8]),
) {
    let mut action = core.handle(now, from, bytes);
    loop {
        match action {
            Some(Action::Answer(bytes)) => return answer(lines, bytes),
            Some(Action::Relay { allocation, to, payload }) => return lines.relay(allocation, to, payload),
            Some(Action::Open { allocation, family, port }) => {
                let opened = lines.open(allocation, family, port);
                action = core.opened(now, allocation, opened);
            }
            None => return,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_is_always_busy_has_one_turn_in_each_round() {
        let (mut ready, mut again) = (Vec::new(), Vec::new());
        for _ in 0..100 {
            // A port that is never read empty, and of which the system tells again.
            gather(&mut ready, &mut again, [Token(RELAYS), Token(STREAMS), Token(UDP)].into_iter());
            assert_eq!(ready, [Token(UDP), Token(STREAMS), Token(RELAYS)]);
            again.extend(ready.iter().filter(|token| token.0 == UDP));
        }
    }
}
