//! One function for each thing that a stranger can send. The fuzzer calls them with what it invents, and the test
//! `tests/it/corpus.rs` with what is kept in `corpus/`.
//!
//! A function returns when all is well and panics when it is not: by itself, or by one of the promises it checks.

mod estimator;
mod layers;
mod packets;
mod relay;
mod turn;

pub use estimator::feedback;
pub use layers::{av1_stream, vp9_payload};
pub use packets::{rtp_header, series, stun, vp8_payload};
pub use relay::relay;
pub use turn::turn_message;

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use parlor::moderation::vision::{Coding, FrameError, MOST_PIXELS, MOST_SIDE, measure, picture_file};
use parlor::proto::ClientFrame;
use parlor_media::client::{Client, Event, Identity, Line, Plan};
use parlor_media::drop::Drop;
use parlor_media::dtls::Certificate;
use parlor_media::red;
use parlor_media::rtp::Header;
use parlor_media::srtp::{RolloverWindow, Sealer};
use parlor_media::{CallId, Config, Input, OfferedTrack, Output, ParticipantId, Path, Shard, Source, TrackId};

const CALL: CallId = CallId(1);
const PUBLISHER: ParticipantId = ParticipantId(1);
const VIEWER: ParticipantId = ParticipantId(2);

/// One text frame of a WebSocket. What can be read can be written and read again.
pub fn client_frame(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else { return };
    for logged_in in [false, true] {
        let Ok(frame) = ClientFrame::parse(text, logged_in) else { continue };
        let written = serde_json::to_string(&frame.body).expect("what was read can be written");
        let again = ClientFrame::parse(&written, true).expect("what was written can be read");
        assert_eq!(again.body, frame.body, "{written}");
    }
}

/// A VP8 key frame, as the sampler gets it. What can be decoded is within bounds, and its file says the same size.
pub fn key_frame(data: &[u8]) {
    match measure(Coding::Vp8, data) {
        Ok((width, height)) => {
            assert!(width <= MOST_SIDE && height <= MOST_SIDE && width * height <= MOST_PIXELS);
            let file = picture_file(Coding::Vp8, data).expect("what can be decoded can be shown");
            assert_eq!((file.width, file.height), (width, height));
        }
        Err(error) => assert!(!matches!(error, FrameError::NoDecoder), "VP8 needs nothing else"),
    }
}

/// The SDP of an offer. An answer has the offer's sections, and the same offer again gets an answer again.
pub fn sdp_offer(data: &[u8]) {
    let Ok(sdp) = std::str::from_utf8(data) else { return };
    let mut scene = Scene::new();
    let tracks = [(0, Source::Microphone), (1, Source::Camera), (2, Source::Screen)]
        .map(|(mid, source)| OfferedTrack { mid: mid.to_string(), source, track: TrackId(10 + mid), muted: false });
    let Ok(answer) = scene.shard.offer(scene.now, CALL, PUBLISHER, sdp, &tracks) else { return };
    let sections = |text: &str| text.split(['\r', '\n']).filter(|line| line.starts_with("m=")).count();
    assert_eq!(sections(&answer.sdp), sections(sdp), "{}", answer.sdp);
    scene.shard.offer(scene.now, CALL, PUBLISHER, sdp, &tracks).expect("an offer that was good is good");
    scene.turn();
    scene.shard.leave(PUBLISHER);
    scene.turn();
    assert_eq!(scene.shard.stats().participants, 0);
}

/// A payload of redundant audio behind the payload type that it should hold. What can be read can be forwarded under another
/// number: its newest frame is where it was, and no frame has changed.
pub fn redundant_audio(data: &[u8]) {
    let Some((payload_type, payload)) = data.split_first() else { return };
    let mut forwarded = payload.to_vec();
    red::rename(&mut forwarded, 42);
    let Some(at) = red::primary_at(payload, *payload_type) else { return };
    assert!(at < payload.len());
    assert_eq!(red::primary_at(&forwarded, 42), Some(at));
    let changed = payload.iter().zip(&forwarded).filter(|(before, after)| before != after).count();
    assert!(changed <= 16 && payload[at..] == forwarded[at..]);
}

/// Compound RTCP of a connected participant, in the clear: it is read by itself, and then sealed and sent.
pub fn rtcp(data: &[u8]) {
    let _ = parlor_media::rtcp::read(data, |_| {});
    let mut scene = Scene::connected();
    scene.publish(3);
    for part in data.chunks(1200).take(4) {
        scene.viewer_says(part);
    }
    scene.turn();
    scene.publish(1);
}

/// Datagrams, in records of a kind, a length (16 bits) and that many bytes: from strangers and from the participants'
/// own addresses, in the clear and sealed with their keys, with time going by in between.
pub fn demux(data: &[u8]) {
    let connected = data.first().is_some_and(|kind| kind & 0x80 != 0);
    let mut scene = if connected { Scene::connected() } else { Scene::new() };
    let mut rest = data;
    // More records find no more: they only make each try slow.
    for _ in 0..64 {
        let [kind, high, low, tail @ ..] = rest else { break };
        let len = usize::from(u16::from_be_bytes([*high, *low])).min(tail.len());
        let (record, tail) = tail.split_at(len);
        rest = tail;
        match kind & 7 {
            0 => scene.datagram(STRANGER, record),
            1 => scene.datagram(PUBLISHER_ADDRESS, record),
            2 => scene.datagram(VIEWER_ADDRESS, record),
            3 | 4 => scene.publisher_sends(record),
            5 => scene.viewer_says(record),
            6 => scene.publish(len % 8),
            // Up to eleven minutes, so that timeouts of every kind are reached.
            _ => scene.later(
                Duration::from_millis(record.first_chunk().map_or(10, |time| u16::from_be_bytes(*time)).into()) * 10,
            ),
        }
        scene.turn();
    }
}

const STRANGER: SocketAddr = address(1);
const PUBLISHER_ADDRESS: SocketAddr = address(2);
const VIEWER_ADDRESS: SocketAddr = address(3);
const SERVER: SocketAddr = address(4);

const fn address(host: u8) -> SocketAddr {
    SocketAddr::V4(std::net::SocketAddrV4::new(std::net::Ipv4Addr::new(192, 0, 2, host), 4000))
}

fn path(remote: SocketAddr) -> Path {
    Path::udp(remote)
}

/// A shard, and for some targets a call in it: a publisher of sound and video, and a viewer.
struct Scene {
    shard: Shard,
    now: Instant,
    publisher: Client,
    viewer: Client,
    /// The rollover counter that the shard will guess for what the publisher's keys seal.
    windows: Vec<(u32, RolloverWindow)>,
}

impl Scene {
    fn new() -> Self {
        let now = Instant::now();
        // One certificate for all tries: making one takes longer than a try.
        static IDENTITY: std::sync::OnceLock<(Certificate, Identity)> = std::sync::OnceLock::new();
        let (certificate, identity) = IDENTITY.get_or_init(|| {
            let certificate = Certificate::generate().expect("the system has random numbers");
            let identity = Identity::new(&certificate).expect("the certificate is good");
            (certificate, identity)
        });
        let config = Config { candidates: vec![SERVER], ..Config::default() };
        let shard = Shard::new(config, certificate.clone(), now, [7; 32]);
        let publishes =
            Plan { lines: vec![Line::Audio, Line::video()], audio_slots: 0, video_slots: 0, ..Plan::default() };
        let views = Plan { lines: Vec::new(), audio_slots: 1, video_slots: 1, seed: 2, ..Plan::default() };
        let (publisher, viewer) = (Client::new(publishes, identity), Client::new(views, identity));
        Self { shard, now, publisher, viewer, windows: Vec::new() }
    }

    fn connected() -> Self {
        let mut scene = Self::new();
        let tracks = [("0", Source::Microphone, 10), ("1", Source::Camera, 11)].map(|(mid, source, track)| {
            OfferedTrack { mid: mid.to_owned(), source, track: TrackId(track), muted: false }
        });
        let offers = [(PUBLISHER, scene.publisher.offer(), &tracks[..]), (VIEWER, scene.viewer.offer(), &[])];
        let answers = offers.map(|(participant, offer, tracks)| {
            scene.shard.offer(scene.now, CALL, participant, &offer, tracks).expect("our own offer is good").sdp
        });
        scene.publisher.accept(scene.now, &answers[0]).expect("our own answer is good");
        scene.viewer.accept(scene.now, &answers[1]).expect("our own answer is good");
        for _ in 0..20 {
            scene.turn();
            scene.later(Duration::from_millis(10));
        }
        assert!(scene.publisher.is_connected() && scene.viewer.is_connected(), "nothing was in the way");
        scene.shard.ready(PUBLISHER);
        scene.shard.ready(VIEWER);
        scene.turn();
        scene
    }

    fn datagram(&mut self, from: SocketAddr, bytes: &[u8]) {
        self.shard.handle(self.now, Input::Datagram { from: path(from), bytes: &mut bytes.to_vec() });
    }

    fn later(&mut self, time: Duration) {
        self.now += time;
        if self.shard.poll_timeout().is_some_and(|due| due <= self.now) {
            self.shard.handle(self.now, Input::Timeout);
        }
        for client in [&mut self.publisher, &mut self.viewer] {
            if client.poll_timeout().is_some_and(|due| due <= self.now) {
                client.handle_timeout(self.now);
            }
        }
    }

    /// Lets all datagrams arrive, there and back, until nobody has more to say.
    fn turn(&mut self) {
        for _ in 0..16 {
            for (client, from) in [(&mut self.publisher, PUBLISHER_ADDRESS), (&mut self.viewer, VIEWER_ADDRESS)] {
                while let Some((_, mut bytes)) = client.poll_transmit() {
                    self.shard.handle(self.now, Input::Datagram { from: path(from), bytes: &mut bytes });
                }
            }
            if !self.deliver() {
                return;
            }
        }
    }

    fn deliver(&mut self) -> bool {
        let mut any = false;
        // A NACK asks for 256 packets at most, and there are only a few receivers.
        for _ in 0..4096 {
            let Some(output) = self.shard.poll() else { return any };
            let Output::Transmit(transmit) = output else { continue };
            any = true;
            assert!(transmit.segment > 0 && !transmit.bytes.is_empty(), "an empty run");
            let client = match transmit.to.remote {
                PUBLISHER_ADDRESS => &mut self.publisher,
                VIEWER_ADDRESS => &mut self.viewer,
                _ => continue,
            };
            for datagram in transmit.bytes.chunks(transmit.segment) {
                let mut datagram = datagram.to_vec();
                let answer = client.handle(self.now, &mut datagram);
                let sealed = matches!(answer, Err(Drop::SrtpAuth | Drop::SrtpReplay));
                assert!(!sealed, "the server sealed something that its client cannot open: {:?}", answer.err());
                if let Ok(Some(Event::Rtp { header, packet })) = answer {
                    assert!(header.payload(packet).is_ok(), "the server sent a packet that lies");
                }
            }
        }
        panic!("the shard never has enough");
    }

    /// A packet of the publisher, in the clear: it is sealed if it has a header, else sent as it is.
    fn publisher_sends(&mut self, plain: &[u8]) {
        let (Some(keys), Ok(header)) = (self.publisher.keys(), Header::parse(plain)) else {
            return self.datagram(PUBLISHER_ADDRESS, plain);
        };
        let mut sealer = Sealer::new(keys);
        let mut packet = plain.to_vec();
        // The fuzzer should not have to guess our SSRCs: small ones stand for them.
        if let (1 | 2, Some(ssrc)) = (header.ssrc, self.publisher.ssrc((header.ssrc as usize).wrapping_sub(1), 0)) {
            packet[8..12].copy_from_slice(&ssrc.to_be_bytes());
        }
        let ssrc = u32::from_be_bytes([packet[8], packet[9], packet[10], packet[11]]);
        let at = self.windows.iter().position(|(known, _)| *known == ssrc).unwrap_or_else(|| {
            self.windows.push((ssrc, RolloverWindow::default()));
            self.windows.len() - 1
        });
        let window = &mut self.windows[at].1;
        let index = window.estimate(header.sequence);
        window.accept(index);
        packet.resize(packet.len() + sealer.tag_len(), 0);
        sealer.seal_rtp(&mut packet, header.len, (index >> 16) as u32);
        self.datagram(PUBLISHER_ADDRESS, &packet);
    }

    fn viewer_says(&mut self, compound: &[u8]) {
        if compound.len() >= 8 {
            // As with the publisher's SSRCs: a media SSRC of 1 or 2 stands for the slot's own.
            let mut compound = compound.to_vec();
            let ssrcs: Vec<u32> = self.viewer.slots().iter().map(|slot| slot.ssrc).collect();
            for word in compound.chunks_exact_mut(4).skip(1) {
                let slot = match *word {
                    [0, 0, 0, slot @ (1 | 2)] => usize::from(slot) - 1,
                    _ => continue,
                };
                if let Some(ssrc) = ssrcs.get(slot) {
                    word.copy_from_slice(&ssrc.to_be_bytes());
                }
            }
            self.viewer.send_rtcp(&compound);
        }
    }

    /// The publisher sends frames as it should, so that there is something to disturb.
    fn publish(&mut self, frames: usize) {
        use parlor_media::client::Frame;
        for _ in 0..frames {
            // The descriptor with a picture id, and the header of a key frame of 64×64.
            let payload = [0x90, 0x80, 0x81, 0x02, 0x10, 0, 0, 0x9d, 0x01, 0x2a, 64, 0, 64, 0, 1, 2, 3, 4];
            self.publisher.send_rtp(
                1,
                0,
                Frame { timestamp: 3000, marker: true, payload: &payload, ..Frame::default() },
            );
            let sound = Frame {
                timestamp: 960,
                marker: false,
                payload: &[1; 40],
                audio_level: Some((30, true)),
                ..Frame::default()
            };
            self.publisher.send_rtp(0, 0, sound);
            self.turn();
            self.later(Duration::from_millis(20));
        }
    }
}
