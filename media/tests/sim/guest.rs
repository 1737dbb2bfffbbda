//! One simulated participant: a client of the media core, what it publishes, and what it makes of what it gets.

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use parlor_media::client::{Client, Event as ClientEvent, Frame, numbers};
use parlor_media::drop::Drop;
use parlor_media::rtcp::{self, Part};
use parlor_media::srtp::Opener;
use parlor_media::{ParticipantId, TrackId};

use crate::content::StreamId;
use crate::encoder::{CAMERA, Encoder, MICROPHONE, SCREEN};
use crate::law::Law;
use crate::network::Line;
use crate::receiver::Receiver;

/// Feedback on transport-wide numbers, and reports, are sent this often.
const FEEDBACK_EVERY: Duration = Duration::from_millis(100);
const REPORT_EVERY: Duration = Duration::from_secs(1);
/// The publishers' clock begins here, NTP seconds.
const NTP_ORIGIN: u64 = 3_900_000_000;

/// What the server knows of a guest.
#[derive(Debug, Clone)]
pub struct Seat {
    pub connection: u64,
    pub joined_at: Instant,
    pub connected_at: Option<Instant>,
    /// When the server took a check of the guest last.
    pub heard_at: Instant,
    pub closed_at: Option<Instant>,
    pub ready: bool,
}

/// What a datagram of a guest was.
#[derive(Debug, Clone, Copy)]
pub enum Tag {
    Media(StreamId, u32),
    /// The same, sent again.
    Again(StreamId, u32),
    Check,
    Other,
}

/// What the server said of a slot, and from when to when it was so.
pub struct Told {
    pub from: Instant,
    pub until: Option<Instant>,
    pub source: Option<(ParticipantId, TrackId)>,
}

pub struct Guest {
    pub who: u16,
    pub call: usize,
    pub id: ParticipantId,
    pub life: u8,
    pub client: Client,
    /// The last answer.
    pub answer: String,
    pub address: SocketAddr,
    pub up: Line,
    pub down: Line,
    /// By line; none: it does not offer the line.
    pub tracks: Vec<TrackId>,
    pub has_screen: bool,
    pub encoder: Encoder,
    pub seat: Option<Seat>,
    /// Its cable is pulled: it neither sends nor hears.
    pub silent: bool,
    pub receivers: BTreeMap<u32, Receiver>,
    pub laws: BTreeMap<u32, Law>,
    pub told: BTreeMap<String, Vec<Told>>,
    pub opener: Option<Opener>,
    pub outbox: VecDeque<(Tag, Vec<u8>)>,
    /// What the packets were that it sent, by SSRC and number; and how often the server asked for each.
    pub sent: HashMap<(u32, u16), (StreamId, u32)>,
    pub asked: HashMap<(u32, u16), u8>,
    pub plis: VecDeque<Instant>,
    pub plis_got: u64,
    pub nacks_got: u64,
    pub resent: u64,
    /// Pictures' packets lost on the way up and down, those not counted that were sent again.
    pub lost: [u64; 2],
    /// Every picture published, if they are kept: when, its first packet's number, and how many there are.
    pub published: BTreeMap<(StreamId, u32), (Instant, u32, u8)>,
    pub keeps_frames: bool,
    arrivals: parlor_media::client::Arrivals,
    next_feedback: Instant,
    next_report: Instant,
    begun: Instant,
    /// The last sender report of each slot: the middle of its NTP time, and when it came.
    reports: BTreeMap<u32, (u32, Instant)>,
}

impl Guest {
    pub fn new(who: u16, call: usize, id: ParticipantId, client: Client, now: Instant, encoder: Encoder) -> Guest {
        let begun = now;
        Guest {
            who,
            call,
            id,
            life: 0,
            client,
            answer: String::new(),
            address: SocketAddr::from(([10, 1, (who >> 8) as u8, who as u8], 2_000)),
            up: Line::clean(),
            down: Line::clean(),
            tracks: Vec::new(),
            has_screen: false,
            encoder,
            seat: None,
            silent: false,
            receivers: BTreeMap::new(),
            laws: BTreeMap::new(),
            told: BTreeMap::new(),
            opener: None,
            outbox: VecDeque::new(),
            sent: HashMap::new(),
            asked: HashMap::new(),
            plis: VecDeque::new(),
            plis_got: 0,
            nacks_got: 0,
            resent: 0,
            lost: [0; 2],
            published: BTreeMap::new(),
            keeps_frames: false,
            arrivals: parlor_media::client::Arrivals::default(),
            next_feedback: now,
            next_report: now,
            begun,
            reports: BTreeMap::new(),
        }
    }

    /// A new connection of the same person: nothing of the old one is left.
    pub fn begin_anew(&mut self, client: Client, tracks: Vec<TrackId>, encoder: Encoder) {
        self.life = self.life.wrapping_add(1);
        (self.client, self.tracks, self.encoder) = (client, tracks, encoder);
        self.receivers.clear();
        self.laws.clear();
        self.told.clear();
        (self.opener, self.silent) = (None, false);
        self.outbox.clear();
        self.sent.clear();
        self.asked.clear();
        self.reports.clear();
        self.arrivals = parlor_media::client::Arrivals::default();
        self.address.set_port(self.address.port() + 1);
    }

    /// Takes note of slots that the answer announces.
    pub fn learn_slots(&mut self, now: Instant) {
        for slot in self.client.slots() {
            self.receivers.entry(slot.ssrc).or_insert_with(|| Receiver::new(slot, self.keeps_frames));
            self.laws.entry(slot.ssrc).or_insert_with(|| Law::new(slot, now, self.keeps_frames));
        }
    }

    /// Does what is due: checks, media, requests, feedback.
    pub fn act(&mut self, now: Instant) {
        if self.silent {
            return;
        }
        if self.client.poll_timeout().is_some_and(|due| due <= now) {
            self.client.handle_timeout(now);
        }
        self.drain(Tag::Other);
        if !self.client.is_connected() {
            return;
        }
        if self.opener.is_none() {
            self.opener = self.client.keys().map(Opener::new);
        }
        self.publish(now);
        self.give_feedback(now);
    }

    fn publish(&mut self, now: Instant) {
        let call = self.call as u8;
        for made in self.encoder.make(now, self.who, self.life, call, self.has_screen) {
            let frame = Frame {
                timestamp: made.timestamp,
                marker: made.marker,
                audio_level: made.level,
                payload: &made.payload,
                ..Frame::default()
            };
            let Some(sent) = self.client.send_rtp(made.line, made.layer, frame) else { return };
            self.sent.insert((sent.ssrc, sent.sequence), (made.stream, made.number));
            self.asked.remove(&(sent.ssrc, sent.sequence));
            if self.keeps_frames && made.line != MICROPHONE {
                let frame = self.published.entry((made.stream, self.encoder.frame));
                frame.or_insert((now, made.number, 0)).2 += 1;
            }
            self.drain(Tag::Media(made.stream, made.number));
        }
    }

    fn give_feedback(&mut self, now: Instant) {
        for receiver in self.receivers.values_mut() {
            if let Some(compound) = receiver.ask(now) {
                self.client.send_rtcp(&compound);
            }
        }
        if now >= self.next_feedback {
            self.next_feedback = now + FEEDBACK_EVERY;
            let mut compound = Vec::new();
            if !self.arrivals.is_empty() {
                self.arrivals.feedback(1, 0, &mut compound);
                self.client.send_rtcp(&compound);
            }
        }
        if now >= self.next_report {
            self.next_report = now + REPORT_EVERY;
            self.report(now);
        }
        self.drain(Tag::Other);
    }

    /// A sender report for each stream, and a receiver report for the slots.
    fn report(&mut self, now: Instant) {
        let mut compound = Vec::new();
        let elapsed_ms = (now - self.begun).as_millis() as u64;
        for (line, layers) in [(MICROPHONE, 1), (CAMERA, self.encoder.layers), (SCREEN, usize::from(self.has_screen))] {
            for layer in 0..layers {
                let Some(ssrc) = self.client.ssrc(line, layer) else { continue };
                compound.extend_from_slice(&[0x80, 200, 0, 6]);
                compound.extend_from_slice(&ssrc.to_be_bytes());
                let ntp = ((NTP_ORIGIN + elapsed_ms / 1_000) << 32) | (((elapsed_ms % 1_000) << 32) / 1_000);
                compound.extend_from_slice(&ntp.to_be_bytes());
                compound.extend_from_slice(&self.encoder.timestamp(now, line, layer).to_be_bytes());
                compound.extend_from_slice(&[0; 8]);
            }
        }
        let blocks: Vec<(u32, u32, Instant)> =
            self.reports.iter().take(20).map(|(ssrc, (ntp, at))| (*ssrc, *ntp, *at)).collect();
        compound.extend_from_slice(&[0x80 | blocks.len() as u8, 201, 0, (1 + 6 * blocks.len()) as u8, 0, 0, 0, 1]);
        for (ssrc, ntp, at) in blocks {
            compound.extend_from_slice(&ssrc.to_be_bytes());
            compound.extend_from_slice(&[0; 12]);
            compound.extend_from_slice(&ntp.to_be_bytes());
            let delay = ((now - at).as_micros() * 65_536 / 1_000_000) as u32;
            compound.extend_from_slice(&delay.to_be_bytes());
        }
        self.client.send_rtcp(&compound);
    }

    /// Moves what the client wants to send to the outbox.
    pub fn drain(&mut self, tag: Tag) {
        while let Some((_, bytes)) = self.client.poll_transmit() {
            let tag = match (tag, bytes.first()) {
                (_, Some(0..=3)) => Tag::Check,
                (tag, _) => tag,
            };
            self.outbox.push_back((tag, bytes));
        }
    }

    /// Takes a datagram of the server.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn take(&mut self, now: Instant, mut bytes: Vec<u8>) -> Result<(), String> {
        if self.silent {
            return Ok(());
        }
        let rtcp = match self.client.handle(now, &mut bytes) {
            Ok(Some(ClientEvent::Rtp { header, packet })) => {
                if let Some(&[high, low]) = header.extension(packet, numbers::TRANSPORT_CC) {
                    let us = (now - self.begun).as_micros() as u64;
                    self.arrivals.record(u16::from_be_bytes([high, low]), us);
                }
                let payload = header.payload(packet).map_err(|_| "padding that lies".to_owned())?;
                let receiver = self
                    .receivers
                    .values_mut()
                    .find(|slot| slot.ssrc == header.ssrc || slot.rtx_ssrc == Some(header.ssrc));
                let receiver = receiver.ok_or_else(|| format!("a stream of no slot: {}", header.ssrc))?;
                receiver.take(now, &header, payload);
                return Ok(());
            }
            Ok(Some(ClientEvent::Rtcp(compound))) => compound.to_vec(),
            Err(Drop::SrtpAuth) => return Err("the server sealed what its client cannot open".to_owned()),
            Ok(_) | Err(_) => return Ok(()),
        };
        self.obey(now, &rtcp);
        Ok(())
    }

    fn obey(&mut self, now: Instant, compound: &[u8]) {
        let (mut asked, mut wanted) = (Vec::new(), Vec::new());
        let reports = &mut self.reports;
        let _ = rtcp::read(compound, |part| match part {
            Part::KeyframeRequest { ssrc } => wanted.push(ssrc),
            Part::Nack { ssrc, pairs } => asked.extend(rtcp::sequences(pairs).map(|sequence| (ssrc, sequence))),
            Part::SenderReport { ssrc, ntp, .. } => {
                reports.insert(ssrc, ((ntp >> 16) as u32, now));
            }
            _ => {}
        });
        for ssrc in wanted {
            if let Some((line, _)) = self.client.find(ssrc) {
                self.encoder.want_keyframe(line);
            }
        }
        for (ssrc, sequence) in asked {
            let known = self.sent.get(&(ssrc, sequence)).copied();
            if let (Some((line, layer)), Some((stream, number))) = (self.client.find(ssrc), known)
                && self.client.resend(line, layer, sequence)
            {
                self.resent += 1;
                self.drain(Tag::Again(stream, number));
            }
        }
    }

    /// Asks for a key frame in every video slot, needed or not.
    pub fn want_keyframes(&mut self) {
        let mut compound = Vec::new();
        for receiver in self.receivers.values().filter(|receiver| receiver.is_video) {
            compound.extend_from_slice(&[0x81, 206, 0, 2, 0, 0, 0, 1]);
            compound.extend_from_slice(&receiver.ssrc.to_be_bytes());
        }
        self.client.send_rtcp(&compound);
        self.drain(Tag::Other);
    }

    /// What the slot with this SSRC was told to be, at a moment: all that it may have been.
    pub fn told_at(&self, ssrc: u32, at: Instant) -> impl Iterator<Item = Option<(ParticipantId, TrackId)>> + '_ {
        let mid = self.client.slots().iter().find(|slot| slot.ssrc == ssrc).map(|slot| slot.mid.clone());
        let told = mid.and_then(|mid| self.told.get(&mid)).map_or(&[][..], Vec::as_slice);
        told.iter()
            .filter(move |told| told.from <= at && told.until.is_none_or(|until| at <= until))
            .map(|told| told.source)
    }
}
