//! Publisher and subscribers against the media core itself, without a server around it.

use std::net::{Ipv4Addr, UdpSocket};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use parlor_media::client::Identity;
use parlor_media::dtls::Certificate;
use parlor_media::{CallId, Config, Input, OfferedTrack, Output, ParticipantId, Path, Shard, Source, TrackId};
use std::sync::mpsc;

use crate::drain::{Reader, Sockets};
use crate::peer::{Peer, connect_last};
use crate::publisher::Publisher;
use crate::subscribers::{Subscribers, Viewer};

type Command = Box<dyn FnOnce(&mut Shard) + Send>;

/// One shard on one socket, with one system call for each packet.
struct Forwarder {
    commands: mpsc::Sender<Command>,
    stop: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Drop for Forwarder {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        let ended = self.thread.take().unwrap().join();
        assert!(ended.is_ok() || std::thread::panicking(), "the forwarder broke down");
    }
}

impl Forwarder {
    fn start() -> Self {
        let socket = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        socket.set_read_timeout(Some(Duration::from_millis(5))).unwrap();
        let config = Config { candidates: vec![socket.local_addr().unwrap()], ..Config::default() };
        let mut shard = Shard::new(config, Certificate::generate().unwrap(), Instant::now(), [1; 32]);
        let (commands, inbox) = mpsc::channel::<Command>();
        let stop = Arc::new(AtomicBool::new(false));
        let stopped = Arc::clone(&stop);
        let thread = std::thread::spawn(move || {
            let mut buffer = [0; 2048];
            while !stopped.load(Ordering::Relaxed) {
                inbox.try_iter().for_each(|command| command(&mut shard));
                if let Ok((len, remote)) = socket.recv_from(&mut buffer) {
                    let from = Path::udp(remote);
                    shard.handle(Instant::now(), Input::Datagram { from, bytes: &mut buffer[..len] });
                }
                let now = Instant::now();
                if shard.poll_timeout().is_some_and(|due| due <= now) {
                    shard.handle(now, Input::Timeout);
                }
                while let Some(output) = shard.poll() {
                    let Output::Transmit(run) = output else { continue };
                    for datagram in run.bytes.chunks(run.segment) {
                        socket.send_to(datagram, run.to.remote).unwrap();
                    }
                }
            }
        });
        Self { commands, stop, thread: Some(thread) }
    }

    fn ask<T: Send + 'static>(&self, question: impl FnOnce(&mut Shard) -> T + Send + 'static) -> T {
        let (answer, answered) = mpsc::channel();
        self.commands.send(Box::new(move |shard| answer.send(question(shard)).unwrap())).unwrap();
        answered.recv_timeout(Duration::from_secs(5)).unwrap()
    }

    /// What REST and WebSocket do elsewhere.
    fn join(&self, participant: u128, peer: &mut Peer, tracks: Vec<OfferedTrack>) {
        let offer = peer.client.offer();
        let answer = self.ask(move |shard| {
            shard.offer(Instant::now(), CallId(1), ParticipantId(participant), &offer, &tracks).unwrap().sdp
        });
        peer.client.accept(Instant::now(), &answer).unwrap();
    }
}

#[test]
fn viewers_receive_what_the_publisher_sends() {
    const VIEWERS: usize = 3;
    let forwarder = Forwarder::start();
    let identity = Identity::new(&Certificate::generate().unwrap()).unwrap();

    let mut publisher = Publisher::new(&identity, Ipv4Addr::LOCALHOST).unwrap();
    let track = OfferedTrack { mid: "0".into(), source: Source::Camera, track: TrackId(1), muted: false };
    forwarder.join(1, &mut publisher.peer, vec![track]);
    connect_last(&mut [&mut publisher.peer], &mut Reader::new(Arc::clone(&publisher.sockets))).unwrap();
    forwarder.ask(|shard| shard.ready(ParticipantId(1)));

    let sockets = Sockets::bind(VIEWERS).unwrap();
    let mut reader = Reader::new(Arc::clone(&sockets));
    let mut peers: Vec<Peer> = Vec::new();
    for index in 0..VIEWERS {
        let participant = 2 + index as u128;
        let mut peer = Viewer::peer(&identity, &sockets, index);
        forwarder.join(participant, &mut peer, Vec::new());
        peers.push(peer);
        connect_last(&mut peers.iter_mut().collect::<Vec<_>>(), &mut reader).unwrap();
        forwarder.ask(move |shard| shard.ready(ParticipantId(participant)));
    }

    let reading = Subscribers::over(peers, sockets).unwrap().start();
    let publishing = publisher.start(&"bursts:20:20:1160".parse().unwrap()).unwrap();
    let start = Instant::now();
    while reading.seen.received.load(Ordering::Relaxed) < 1000 {
        assert!(start.elapsed() < Duration::from_secs(40), "only {:?} packets came", reading.seen.received);
        std::thread::sleep(Duration::from_millis(5));
    }
    drop(publishing);
    assert_eq!(reading.seen.receiving.load(Ordering::Relaxed), VIEWERS as u64);
    let outcome = reading.finish().unwrap();
    assert_eq!(outcome.lost, 0);
    // One in 97 is opened; some of those are of the probes that find out what a line bears.
    assert!(outcome.delays.len() >= 1000 / 97 / 2, "{}", outcome.delays.len());
    assert!(outcome.delays.iter().all(|(_, delay_ns)| (1..5_000_000_000).contains(delay_ns)));
}
