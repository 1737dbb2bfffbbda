//! Peers that come over TCP (RFC 6544), because their network blocks UDP: each datagram is a frame, two bytes of length and the
//! datagram (RFC 4571). The door ([`super::door`]) has read the first frame and found the shard; from then on the connection is
//! the shard's.

use std::collections::{HashMap, VecDeque};
use std::io::{self, Read, Write};
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use mio::net::TcpStream;
use mio::{Interest, Registry, Token};
use parlor_media::demux::{Kind, classify};
use parlor_media::{Path, Transmit, Via};

use super::door::Seat;

/// Tokens of connections begin here; the connection's number is added.
pub(super) const FIRST_TOKEN: usize = 1 << 32;
/// Bytes of a frame that a client may send: its packets have 1,200 or so. A longer one ends the connection, since nothing behind
/// it could be found.
pub(super) const MOST_FRAME: usize = 2_048;
/// Bytes of length in front of a frame.
pub(super) const HEAD: usize = 2;
/// Bytes that wait for a client at most, 0.8 s at 2.5 Mbit/s. What finds no room is dropped, whole packets only, and counted.
const MOST_QUEUED: usize = 256 * 1024;
/// Media is dropped beyond this, so that checks, handshakes and reports still find room.
const MOST_QUEUED_MEDIA: usize = 224 * 1024;
/// A queue that was this long gives its memory back once it is empty.
const CALM_QUEUE: usize = 64 * 1024;
/// Bytes taken from a connection before others have their turn: eight packets of media, or a few hundred of the smallest.
const MOST_READ: usize = 8 * 1024;
/// Connections read in one round, before what came by UDP has its turn.
pub(super) const MOST_A_ROUND: usize = 32;
/// The core has had no answer for the client for this long: nobody is there. Browsers check every few seconds.
const IDLE: Duration = Duration::from_secs(30);
/// How often idle connections are closed.
const SWEEP_EVERY: Duration = Duration::from_secs(5);

/// A connection whose first frame names this shard.
pub(super) struct Arrival {
    pub stream: TcpStream,
    pub remote: SocketAddr,
    /// No connection of this process has the same.
    pub number: u32,
    pub seat: Seat,
    /// What was read so far: the first frame, and perhaps more.
    pub bytes: Vec<u8>,
}

struct Connection {
    stream: TcpStream,
    path: Path,
    /// A frame whose end has not come.
    partial: Vec<u8>,
    /// What waits to be sent, from `sent` on.
    queue: Vec<u8>,
    sent: usize,
    /// When the core last had something to say to it.
    answered: Option<Instant>,
    /// It waits to be read: it has its one place among those that do.
    is_ready: bool,
    /// The connection is broken, and closed with the next sweep of the round.
    broken: bool,
    /// Gives the place back when the connection is dropped.
    _seat: Seat,
}

/// A shard's connections.
pub(super) struct Connections {
    by_number: HashMap<u32, Connection>,
    /// Those with something to read, each once, in the order in which they have their turn.
    ready: VecDeque<u32>,
    broken: Vec<u32>,
    swept: Instant,
    /// Packets that a connection had no room for, or that had no connection any more.
    pub dropped: u64,
}

impl Default for Connections {
    fn default() -> Self {
        Self {
            by_number: HashMap::new(),
            ready: VecDeque::new(),
            broken: Vec::new(),
            swept: Instant::now(),
            dropped: 0,
        }
    }
}

impl Connections {
    pub fn len(&self) -> usize {
        self.by_number.len()
    }

    /// Takes a connection over.
    ///
    /// # Errors
    /// When the system cannot wait for it.
    pub fn take(&mut self, mut arrival: Arrival, registry: &Registry) -> io::Result<u32> {
        let token = Token(FIRST_TOKEN + arrival.number as usize);
        registry.register(&mut arrival.stream, token, Interest::READABLE | Interest::WRITABLE)?;
        let connection = Connection {
            stream: arrival.stream,
            path: Path { remote: arrival.remote, local: None, via: Via::Tcp(arrival.number) },
            partial: arrival.bytes,
            queue: Vec::new(),
            sent: 0,
            answered: None,
            is_ready: false,
            broken: false,
            _seat: arrival.seat,
        };
        self.by_number.insert(arrival.number, connection);
        Ok(arrival.number)
    }

    /// A connection can be read or written again.
    pub fn wake(&mut self, token: Token, readable: bool, writable: bool) {
        let number = (token.0 - FIRST_TOKEN) as u32;
        let Some(connection) = self.by_number.get_mut(&number) else { return };
        if writable && connection.write().is_err() {
            self.broken.push(number);
        }
        if readable {
            self.again(number);
        }
    }

    /// The next connection with something to read.
    pub fn next_ready(&mut self) -> Option<u32> {
        while let Some(number) = self.ready.pop_front() {
            // One that was closed meanwhile is passed over.
            if let Some(connection) = self.by_number.get_mut(&number) {
                connection.is_ready = false;
                return Some(number);
            }
        }
        None
    }

    /// To be read, after all others that wait for it. However often it is said, the connection is read once for it.
    pub fn again(&mut self, number: u32) {
        if let Some(connection) = self.by_number.get_mut(&number).filter(|connection| !connection.is_ready) {
            connection.is_ready = true;
            self.ready.push_back(number);
        }
    }

    /// Whether anything waits to be read.
    pub fn has_ready(&self) -> bool {
        !self.ready.is_empty()
    }

    /// Reads whole frames of a connection, by `buffer`, and gives each to `take`. Answers whether more may wait.
    pub fn receive(&mut self, number: u32, buffer: &mut [u8], mut take: impl FnMut(Path, &mut [u8])) -> bool {
        let Some(connection) = self.by_number.get_mut(&number) else { return false };
        match connection.receive(buffer, &mut take) {
            Ok(()) => true,
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => false,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => true,
            Err(_) => {
                self.broken.push(number);
                false
            }
        }
    }

    /// Gives the frames that the door has read to `take`.
    pub fn first_frames(&mut self, number: u32, mut take: impl FnMut(Path, &mut [u8])) {
        let Some(connection) = self.by_number.get_mut(&number) else { return };
        let mut bytes = std::mem::take(&mut connection.partial);
        if connection.frames(&mut bytes, &mut take).is_err() {
            self.broken.push(number);
        }
    }

    /// A connection whose first frames showed no credentials is nobody's, whatever else the core answered.
    pub fn expect_known(&mut self, number: u32, knows: impl Fn(&Path) -> bool) {
        if self.by_number.get(&number).is_some_and(|connection| !knows(&connection.path)) {
            self.broken.push(number);
        }
    }

    /// Queues datagrams for a client, and sends what the kernel takes.
    pub fn send(&mut self, number: u32, transmit: &Transmit<'_>) {
        let Some(connection) = self.by_number.get_mut(&number) else {
            self.dropped += transmit.bytes.len().div_ceil(transmit.segment.max(1)) as u64;
            return;
        };
        connection.answered = Some(Instant::now());
        for datagram in transmit.bytes.chunks(transmit.segment.max(1)) {
            self.dropped += u64::from(!connection.queue(datagram));
        }
        if !connection.broken && connection.write().is_err() {
            connection.broken = true;
            self.broken.push(number);
        }
    }

    /// When idle connections are looked for next; `None` while there are none.
    pub fn due(&self) -> Option<Instant> {
        (!self.by_number.is_empty()).then(|| self.swept + SWEEP_EVERY)
    }

    /// Closes what is broken, and from time to time what is idle or nobody's any more.
    pub fn sweep(&mut self, knows: impl Fn(&Path) -> bool) {
        for number in self.broken.drain(..) {
            // Dropping it closes it, and that ends its registration.
            self.by_number.remove(&number);
        }
        if self.swept.elapsed() >= SWEEP_EVERY {
            self.swept = Instant::now();
            let is_alive = |it: &Connection| it.answered.is_some_and(|last| last.elapsed() < IDLE) && knows(&it.path);
            self.by_number.retain(|_, connection| is_alive(connection));
        }
    }
}

impl Connection {
    fn receive(&mut self, buffer: &mut [u8], take: &mut impl FnMut(Path, &mut [u8])) -> io::Result<()> {
        let kept = self.partial.len();
        let most = (kept + MOST_READ).min(buffer.len());
        let read = self.stream.read(&mut buffer[kept..most])?;
        if read == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        buffer[..kept].copy_from_slice(&self.partial);
        self.partial.clear();
        self.frames(&mut buffer[..kept + read], take)
    }

    /// Gives whole frames away and keeps the rest.
    fn frames(&mut self, mut bytes: &mut [u8], take: &mut impl FnMut(Path, &mut [u8])) -> io::Result<()> {
        while let Some(end) = frame_end(bytes)? {
            let (frame, rest) = bytes.split_at_mut(end);
            // A frame without content keeps a connection open (RFC 4571 §2).
            if end > HEAD {
                take(self.path, &mut frame[HEAD..]);
            }
            bytes = rest;
        }
        self.partial.extend_from_slice(bytes);
        Ok(())
    }

    /// False when there is no room for the datagram.
    fn queue(&mut self, datagram: &[u8]) -> bool {
        let most = if classify(datagram) == Some(Kind::Rtp) { MOST_QUEUED_MEDIA } else { MOST_QUEUED };
        let Ok(len) = u16::try_from(datagram.len()) else { return false };
        if self.queue.len() - self.sent + HEAD + datagram.len() > most {
            return false;
        }
        self.queue.extend_from_slice(&len.to_be_bytes());
        self.queue.extend_from_slice(datagram);
        true
    }

    fn write(&mut self) -> io::Result<()> {
        while self.sent < self.queue.len() {
            match self.stream.write(&self.queue[self.sent..]) {
                Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
                Ok(written) => self.sent += written,
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                    // What has left makes room in front.
                    if self.sent > CALM_QUEUE {
                        self.queue.drain(..std::mem::take(&mut self.sent));
                    }
                    return Ok(());
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        self.queue.clear();
        self.sent = 0;
        if self.queue.capacity() > CALM_QUEUE {
            self.queue = Vec::new();
        }
        Ok(())
    }
}

/// Where the first frame of the bytes ends, once it is whole.
///
/// # Errors
/// When it is longer than any that we take.
pub(super) fn frame_end(bytes: &[u8]) -> io::Result<Option<usize>> {
    let [high, low, rest @ ..] = bytes else { return Ok(None) };
    let len = usize::from(u16::from_be_bytes([*high, *low]));
    if len > MOST_FRAME {
        return Err(io::ErrorKind::InvalidData.into());
    }
    Ok((rest.len() >= len).then_some(HEAD + len))
}

#[cfg(test)]
mod tests {
    use std::net::{Ipv4Addr, TcpListener};

    use super::*;

    /// A connection, and its other end.
    fn pair() -> (Connections, u32, std::net::TcpStream) {
        let mut connections = Connections::default();
        let client = connect(&mut connections, 7);
        (connections, 7, client)
    }

    /// The other end of one more connection.
    fn connect(connections: &mut Connections, number: u32) -> std::net::TcpStream {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let client = std::net::TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        let (stream, remote) = listener.accept().unwrap();
        stream.set_nonblocking(true).unwrap();
        let poll = mio::Poll::new().unwrap();
        let (stream, seat) = (TcpStream::from_std(stream), Seat::alone());
        connections.take(Arrival { stream, remote, number, seat, bytes: Vec::new() }, poll.registry()).unwrap();
        client
    }

    #[test]
    fn whoever_is_often_heard_of_waits_once_and_all_have_their_turn() {
        let mut connections = Connections::default();
        let most = MOST_A_ROUND as u32 + 8;
        let clients: Vec<_> = (0..most).map(|number| connect(&mut connections, number)).collect();
        let mut turns = HashMap::new();
        // In each round all have something again, and who was read may have more.
        for _ in 0..100 {
            for number in 0..most {
                connections.wake(Token(FIRST_TOKEN + number as usize), true, false);
            }
            assert!(connections.ready.len() <= clients.len(), "{} wait", connections.ready.len());
            let read: Vec<u32> = (0..MOST_A_ROUND).map_while(|_| connections.next_ready()).collect();
            read.iter().for_each(|number| connections.again(*number));
            read.into_iter().for_each(|number| *turns.entry(number).or_insert(0_usize) += 1);
        }
        let fair = 100 * MOST_A_ROUND / clients.len();
        assert!(turns.len() == clients.len() && turns.values().all(|turns| turns.abs_diff(fair) <= 1), "{turns:?}");
        // Who has nothing more is not asked, nor who was closed.
        connections.by_number.remove(&0);
        while let Some(number) = connections.next_ready() {
            assert_ne!(number, 0, "it is closed");
        }
        assert!(!connections.has_ready());
    }

    fn run(first: u8, count: usize) -> Vec<u8> {
        let mut datagram = vec![9; 1_000];
        datagram[..2].copy_from_slice(&[first, 100]);
        datagram.repeat(count)
    }

    #[test]
    fn a_slow_client_loses_whole_packets_of_media_first() {
        let (mut connections, number, mut client) = pair();
        let to = Path { remote: client.local_addr().unwrap(), local: None, via: Via::Tcp(number) };
        let send = |connections: &mut Connections, bytes: &[u8]| {
            connections.send(number, &Transmit { to, bytes, segment: 1_000 });
        };
        let (media, handshake) = (run(0x80, 64), run(22, 1));
        let mut sent = 0;
        while connections.dropped == 0 {
            send(&mut connections, &media);
            sent += 64;
            assert!(sent < 100_000, "the queue has an end");
        }
        let queued = connections.by_number[&number].queue.len();
        assert!(queued <= MOST_QUEUED_MEDIA + CALM_QUEUE, "{queued} bytes wait");
        // A handshake still finds room, until there is none for anybody.
        let lost = connections.dropped;
        send(&mut connections, &handshake);
        assert_eq!(connections.dropped, lost);
        for _ in 0..100 {
            send(&mut connections, &handshake);
        }
        assert!(connections.dropped > lost);
        let arrives = sent as u64 + 101 - connections.dropped;
        let reader = std::thread::spawn(move || {
            let mut handshakes = 0;
            for _ in 0..arrives {
                let mut head = [0; HEAD];
                client.read_exact(&mut head).unwrap();
                let mut frame = vec![0; usize::from(u16::from_be_bytes(head))];
                client.read_exact(&mut frame).unwrap();
                assert!(frame.len() == 1_000 && frame[2..].iter().all(|byte| *byte == 9), "whole packets only");
                handshakes += u64::from(frame[0] == 22);
            }
            handshakes
        });
        while !reader.is_finished() {
            connections.wake(Token(FIRST_TOKEN + number as usize), false, true);
            std::thread::yield_now();
        }
        assert!(reader.join().unwrap() >= 1);
        assert_eq!(connections.by_number[&number].queue.capacity(), 0, "its memory is given back");
    }

    #[test]
    fn frames_are_put_together_and_lies_end_the_connection() {
        let (mut connections, number, mut client) = pair();
        let mut buffer = vec![0; MOST_READ * 2];
        let mut frames: Vec<Vec<u8>> = Vec::new();
        let mut read = |connections: &mut Connections, frames: &mut Vec<Vec<u8>>, until: usize| {
            while frames.len() < until && connections.broken.is_empty() {
                connections.receive(number, &mut buffer, |path, bytes| {
                    assert_eq!(path.via, Via::Tcp(number));
                    frames.push(bytes.to_vec());
                });
            }
        };
        client.set_nodelay(true).unwrap();
        // In pieces, several in one, and one without content.
        for piece in [&[0][..], &[3, 1], &[2, 3, 0, 2, 4, 5, 0, 0, 0, 1, 6, 0]] {
            client.write_all(piece).unwrap();
        }
        read(&mut connections, &mut frames, 3);
        assert_eq!(frames, [&[1, 2, 3][..], &[4, 5], &[6]]);
        client.write_all(&[2, 7, 7, 8]).unwrap();
        read(&mut connections, &mut frames, 4);
        assert_eq!(frames[3], [7, 7], "the start of a frame was kept");
        client.write_all(&[0xff]).unwrap();
        read(&mut connections, &mut frames, 5);
        connections.sweep(|_| true);
        assert_eq!(connections.len(), 0, "2,049 bytes and more are no frame of ours");
    }
}
