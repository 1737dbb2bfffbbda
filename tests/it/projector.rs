//! A participant that plays films: the media core's own client, whose packets have the times that the test gave them.

use std::net::UdpSocket;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use parlor_media::client::{Client, Event, Frame, Identity, Line, Plan};
use parlor_media::dtls::Certificate;
use parlor_media::rtcp::{self, Part};
use serde_json::{Value, json};

use crate::film::Film;
use crate::harness::{PATIENCE, Person, Socket};

/// How often somebody who only listens looks at the socket.
const LOOK: Duration = Duration::from_millis(2);
/// Sender reports go out this often.
const REPORT_EVERY_US: u64 = 500_000;
/// Seconds from 1900, where NTP begins, to 1970.
const NTP_TO_UNIX_S: u64 = 2_208_988_800;

/// What is played, and how badly.
#[derive(Clone)]
pub(crate) struct Show {
    pub(crate) sound: Option<Film>,
    pub(crate) picture: Option<Film>,
    /// The picture is H.264.
    pub(crate) is_h264: bool,
    /// What `tracks` calls it: `camera` or `screen`.
    pub(crate) source: &'static str,
    /// So many of a thousand packets are lost on their first way.
    pub(crate) loss_pm: u32,
    /// How far the publisher's clock is ahead of ours, in microseconds.
    pub(crate) clock_ahead_us: i64,
    /// Begin anew when the film is over.
    pub(crate) again: bool,
    /// Receive-only sections of each kind.
    pub(crate) slots: usize,
}

impl Default for Show {
    fn default() -> Self {
        Self {
            sound: None,
            picture: None,
            is_h264: false,
            source: "camera",
            loss_pm: 0,
            clock_ahead_us: 0,
            again: true,
            slots: 1,
        }
    }
}

/// A connection that is to play a show.
pub(crate) struct Prepared {
    client: Client,
    show: Show,
}

/// A connection that plays a show until dropped.
pub(crate) struct Playing {
    stop: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Playing {
    /// A connection in no call yet.
    pub(crate) fn prepare(show: Show) -> Prepared {
        let sound = show.sound.iter().map(|_| Line::Audio);
        let picture = show.picture.iter().map(|_| if show.is_h264 { Line::H264 } else { Line::video() });
        let lines = sound.chain(picture).collect();
        let seed = uuid::Uuid::now_v7().as_u128() as u64;
        let plan = Plan {
            lines,
            audio_slots: show.slots,
            video_slots: show.slots,
            sees_h264: true,
            history: 512,
            seed,
            ..Plan::default()
        };
        let identity = Identity::new(&Certificate::generate().expect("the system has randomness")).expect("it is good");
        Prepared { client: Client::new(plan, &identity), show }
    }
}

impl Prepared {
    /// What its lines carry, in order; line n has the mid n.
    pub(crate) fn sources(&self) -> Vec<&'static str> {
        let sound = self.show.sound.iter().map(|_| "microphone");
        sound.chain(self.show.picture.iter().map(|_| self.show.source)).collect()
    }

    pub(crate) fn offer(&self) -> String {
        self.client.offer()
    }

    /// Connects, and begins to play as soon as it has.
    pub(crate) async fn start(mut self, answer: &str) -> Playing {
        self.client.accept(Instant::now(), answer).expect("a good answer");
        let stop = Arc::new(AtomicBool::new(false));
        let stopped = Arc::clone(&stop);
        let (connected, wait) = tokio::sync::oneshot::channel();
        let thread = std::thread::spawn(move || {
            let udp = UdpSocket::bind("127.0.0.1:0").expect("a free port");
            udp.set_read_timeout(Some(LOOK)).expect("a time-out");
            let mut player = Player::new(self.client, udp, self.show);
            let mut connected = Some(connected);
            while !stopped.load(Ordering::Relaxed) {
                player.round();
                if player.client.is_connected()
                    && let Some(connected) = connected.take()
                {
                    // Who does not wait any more has failed already.
                    let _ = connected.send(());
                }
            }
        });
        tokio::time::timeout(PATIENCE, wait).await.expect("it connects").expect("the player lives");
        Playing { stop, thread: Some(thread) }
    }
}

impl Drop for Playing {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

/// Somebody in a room's call who plays a show until dropped.
pub(crate) struct Projector {
    pub(crate) socket: Socket,
    /// The data of `call.answer`.
    pub(crate) answer: Value,
    playing: Playing,
}

impl Projector {
    /// Joins the room's call and begins to play.
    pub(crate) async fn start(person: &Person, room: &str, show: Show) -> Self {
        let (socket, _) = person.connect_to(room).await;
        Self::start_on(socket, room, show).await
    }

    /// The same in a room that the socket is in.
    pub(crate) async fn start_on(mut socket: Socket, room: &str, show: Show) -> Self {
        let prepared = Playing::prepare(show);
        let sources = prepared.sources().into_iter().enumerate();
        let tracks: Vec<Value> =
            sources.map(|(mid, source)| json!({"mid": mid.to_string(), "source": source})).collect();
        let offer = json!({"roomId": room, "sdp": prepared.offer(), "tracks": tracks, "acceptRecording": true});
        let reply = socket.ask("call.offer", offer).await;
        assert_eq!(reply["type"], "call.answer", "{reply}");
        let answer = reply["data"].clone();
        let playing = prepared.start(answer["sdp"].as_str().expect("an answer has SDP")).await;
        let reply = socket.ask("call.ready", json!({"roomId": room})).await;
        assert_eq!(reply["type"], "ok", "{reply}");
        Self { socket, answer, playing }
    }

    /// The name of the track on that line.
    pub(crate) fn track(&self, line: usize) -> &str {
        self.answer["tracks"][line]["trackId"].as_str().expect("an answer names the tracks")
    }

    /// Its name in the call.
    pub(crate) fn participant(&self) -> &str {
        self.answer["participantId"].as_str().expect("an answer names the participant")
    }

    /// Ends the connection but keeps the socket.
    pub(crate) fn stop_playing(self) -> Socket {
        drop(self.playing);
        self.socket
    }
}

/// One film on its way.
struct Reel {
    line: usize,
    film: Film,
    next: usize,
    /// RTP ticks at the film's beginning.
    origin: u32,
    rounds: u64,
    packets: u32,
    octets: u32,
}

struct Player {
    client: Client,
    udp: UdpSocket,
    show: Show,
    reels: Vec<Reel>,
    begun: Option<Instant>,
    reported_us: Option<u64>,
    random: u64,
}

impl Player {
    fn new(client: Client, udp: UdpSocket, show: Show) -> Self {
        let films = [show.sound.clone(), show.picture.clone()].into_iter().flatten();
        let reels = films.enumerate().map(|(line, film)| Reel {
            line,
            film,
            next: 0,
            // Each stream counts from where it likes.
            origin: 1_000_000 * (line as u32 + 3),
            rounds: 0,
            packets: 0,
            octets: 0,
        });
        let reels = reels.collect();
        Self { client, udp, show, reels, begun: None, reported_us: None, random: 0x9e37_79b9_7f4a_7c15 }
    }

    fn round(&mut self) {
        let now = Instant::now();
        if self.client.poll_timeout().is_some_and(|due| due <= now) {
            self.client.handle_timeout(now);
        }
        if self.client.is_connected() {
            let begun = *self.begun.get_or_insert(now);
            let elapsed_us = now.duration_since(begun).as_micros() as u64;
            self.play(elapsed_us);
            self.report(begun, elapsed_us);
        }
        self.flush(false);
        self.listen();
        self.flush(false);
    }

    fn play(&mut self, elapsed_us: u64) {
        for at in 0..self.reels.len() {
            loop {
                let reel = &mut self.reels[at];
                let length_us = reel.film.length_us() + 20_000;
                let Some(shot) = reel.film.shots.get(reel.next) else {
                    if !self.show.again {
                        break;
                    }
                    (reel.next, reel.rounds) = (0, reel.rounds + 1);
                    continue;
                };
                let due_us = reel.rounds * length_us + shot.at_us;
                if due_us > elapsed_us {
                    break;
                }
                let before = (reel.rounds * length_us * u64::from(reel.film.clock_hz) / 1_000_000) as u32;
                let timestamp = reel.origin.wrapping_add(before).wrapping_add(shot.ticks);
                let audio_level = (reel.film.clock_hz == 48_000).then_some((20, true));
                let frame =
                    Frame { timestamp, marker: shot.marker, audio_level, payload: &shot.payload, dependency: &[] };
                let sent = self.client.send_rtp(reel.line, 0, frame);
                assert!(sent.is_some(), "a connected client sends");
                (reel.packets, reel.octets) = (reel.packets + 1, reel.octets + shot.payload.len() as u32);
                reel.next += 1;
                self.flush(true);
            }
        }
    }

    /// A sender report for each stream: the moment of its film on the publisher's clock.
    fn report(&mut self, begun: Instant, elapsed_us: u64) {
        if self.reported_us.is_some_and(|reported_us| elapsed_us < reported_us + REPORT_EVERY_US) {
            return;
        }
        self.reported_us = Some(elapsed_us);
        let since_begun = SystemTime::now() - begun.elapsed();
        let unix_us = since_begun.duration_since(UNIX_EPOCH).expect("it is later").as_micros() as u64 + elapsed_us;
        let clock_us = unix_us.saturating_add_signed(self.show.clock_ahead_us);
        let (seconds, rest_us) = (clock_us / 1_000_000 + NTP_TO_UNIX_S, clock_us % 1_000_000);
        let ntp = (seconds << 32) | ((rest_us << 32) / 1_000_000);
        let mut compound = Vec::new();
        for reel in &self.reels {
            let ticks = (elapsed_us * u64::from(reel.film.clock_hz) / 1_000_000) as u32;
            compound.extend_from_slice(&[0x80, 200, 0, 6]);
            compound.extend_from_slice(&self.client.ssrc(reel.line, 0).expect("a stream").to_be_bytes());
            compound.extend_from_slice(&ntp.to_be_bytes());
            for number in [reel.origin.wrapping_add(ticks), reel.packets, reel.octets] {
                compound.extend_from_slice(&number.to_be_bytes());
            }
        }
        if !compound.is_empty() {
            self.client.send_rtcp(&compound);
        }
    }

    fn flush(&mut self, may_be_lost: bool) {
        while let Some((to, datagram)) = self.client.poll_transmit() {
            // xorshift: the same packets are lost in each run.
            self.random ^= self.random << 13;
            self.random ^= self.random >> 7;
            self.random ^= self.random << 17;
            let lost = may_be_lost && self.random % 1_000 < u64::from(self.show.loss_pm);
            if !lost {
                self.udp.send_to(&datagram, to).expect("loopback takes it");
            }
            self.client.recycle(datagram);
        }
    }

    /// Takes what came, and sends again what was asked for.
    fn listen(&mut self) {
        let mut buffer = [0; 2048];
        let Ok((length, _)) = self.udp.recv_from(&mut buffer) else { return };
        let mut asked = Vec::new();
        if let Ok(Some(Event::Rtcp(compound))) = self.client.handle(Instant::now(), &mut buffer[..length]) {
            let _ = rtcp::read(compound, |part| {
                if let Part::Nack { ssrc, pairs } = part {
                    asked.extend(rtcp::sequences(pairs).map(|sequence| (ssrc, sequence)));
                }
            });
        }
        for (ssrc, sequence) in asked {
            if let Some((line, layer)) = self.client.find(ssrc) {
                self.client.resend(line, layer, sequence);
            }
        }
    }
}
