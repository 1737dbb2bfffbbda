//! The other end of the wire: a client without sockets, clock or threads, for tests and for the load generator.
//!
//! It makes an offer, takes the answer, shakes hands and then seals what it sends and opens what it gets. It decodes nothing,
//! and it is small: thousands fit into a process. It says `a=setup:active`, checks connectivity as the controlling side,
//! and keeps its consent fresh.

mod connect;
mod feedback;
mod layers;
pub mod numbers;
mod offer;
mod stream;

use std::collections::{HashMap, VecDeque};
use std::net::SocketAddr;
use std::time::Instant;

use rtc_dtls::endpoint::Endpoint;

pub use self::connect::Identity;
use self::connect::{CHECK_EVERY, CONSENT_EVERY, Checks};
pub use self::feedback::Feedback;
use self::feedback::Telling;
pub use self::layers::{Layers, Part, Tag};
use self::offer::RemoteAnswer;
pub use self::offer::{Line, Slot};
use self::stream::SendStream;
pub use self::stream::{Frame, Sent};
use crate::demux::{self, Kind as Protocol};
use crate::drop::Drop;
use crate::dtls::{Handshakes, REMOTE};
use crate::ice;
use crate::rtp::Header;
use crate::sdp::SdpError;
use crate::srtp::{Keys, Opener, Profile, RolloverWindow, Sealer};
pub use crate::twcc::Arrivals;

/// What a client offers.
#[derive(Debug, Clone)]
pub struct Plan {
    /// The sections it sends on, which come first, as mids `0`, `1` and so on.
    pub lines: Vec<Line>,
    /// Receive-only audio sections behind them.
    pub audio_slots: usize,
    /// Receive-only video sections behind those.
    pub video_slots: usize,
    /// The video slots take H.264 as well as VP8.
    pub sees_h264: bool,
    /// How it tells the server what arrived in its slots.
    pub feedback: Feedback,
    /// The video slots take VP9 and AV1 too, and dependency descriptors.
    pub sees_layers: bool,
    /// The audio slots take redundant audio as well as Opus.
    pub takes_redundant: bool,
    /// The SRTP profile to get. AES-CM is offered alone, since the server prefers the other one; else both are, in Chromium's
    /// order.
    pub profile: Profile,
    /// How many packets of each stream it can send again. 0 keeps none.
    pub history: usize,
    /// Where its names and SSRCs come from: equal seeds make equal clients.
    pub seed: u64,
}

impl Default for Plan {
    fn default() -> Self {
        let lines = vec![Line::Audio, Line::simulcast(&["q", "h", "f"]), Line::video()];
        Self {
            lines,
            audio_slots: 4,
            video_slots: 9,
            sees_h264: false,
            feedback: Feedback::Automatic,
            sees_layers: false,
            takes_redundant: false,
            profile: Profile::AeadAes128Gcm,
            history: 0,
            seed: 1,
        }
    }
}

/// What a datagram was to the client.
#[derive(Debug, PartialEq, Eq)]
pub enum Event<'a> {
    /// Handshake done: media can flow. Tell the server that you are ready.
    Connected,
    /// The server ended the association.
    Closed,
    /// A media packet, opened.
    Rtp {
        /// Its header.
        header: Header,
        /// The whole packet without the tag: header and plain payload.
        packet: &'a [u8],
    },
    /// A media packet that was not opened, as [`Client::open_every`] wants it.
    Sealed {
        /// Its header, which is not protected from being read.
        header: Header,
        /// The packet as it came.
        packet: &'a [u8],
    },
    /// A compound RTCP packet, opened; [`crate::rtcp::read`] reads it.
    Rtcp(&'a [u8]),
}

/// One client.
pub struct Client {
    plan: Plan,
    identity: Identity,
    random: Random,
    ufrag: String,
    pwd: String,
    streams: Vec<Vec<SendStream>>,
    transport_sequence: u16,
    telling: Telling,
    answer: Option<RemoteAnswer>,
    remote: Option<SocketAddr>,
    checks: Checks,
    dtls: Option<Box<Endpoint>>,
    handshakes: Handshakes,
    last_repeat: Option<Instant>,
    media: Option<Media>,
    stage: Stage,
    transmits: VecDeque<(SocketAddr, Vec<u8>)>,
    spare: Vec<Vec<u8>>,
    /// Of this many media packets one is opened; the others come as [`Event::Sealed`]. 1 opens all.
    pub open_every: u32,
    until_open: u32,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Stage {
    New,
    Checking,
    Handshaking,
    Connected,
    Closed,
}

struct Media {
    keys: Keys,
    sealer: Sealer,
    opener: Opener,
    windows: HashMap<u32, RolloverWindow>,
    rtcp: Vec<u8>,
}

impl Client {
    /// A client that has not started.
    #[must_use]
    pub fn new(plan: Plan, identity: &Identity) -> Self {
        let mut random = Random(plan.seed);
        let ufrag = random.name(8);
        let pwd = random.name(24);
        let streams = plan.lines.iter().enumerate().map(|(at, line)| stream::of(at, line, &mut random)).collect();
        Self {
            identity: identity.clone(),
            ufrag,
            pwd,
            streams,
            random,
            plan,
            transport_sequence: 0,
            telling: Telling::default(),
            answer: None,
            remote: None,
            checks: Checks::default(),
            dtls: None,
            handshakes: Handshakes::default(),
            last_repeat: None,
            media: None,
            stage: Stage::New,
            transmits: VecDeque::new(),
            spare: Vec::new(),
            open_every: 1,
            until_open: 1,
        }
    }

    /// The offer.
    #[must_use]
    pub fn offer(&self) -> String {
        offer::write(&self.plan, &self.streams, (&self.ufrag, &self.pwd), self.identity.certificate.fingerprint())
    }

    /// Takes the answer; the first check is due at once. The first UDP candidate is the remote address; see
    /// [`Self::set_remote`].
    ///
    /// # Errors
    ///
    /// [`SdpError`] when the answer lacks credentials, fingerprint or candidates, or is none.
    pub fn accept(&mut self, now: Instant, answer: &str) -> Result<(), SdpError> {
        let answer = offer::read_answer(answer)?;
        self.remote = self.remote.or(answer.candidates.first().copied());
        if self.remote.is_none() {
            return Err(SdpError::Bad("the answer has no candidate"));
        }
        self.checks.mac = Some(ice::keyed(&answer.ice_pwd));
        self.answer = Some(answer);
        if self.stage == Stage::New {
            self.stage = Stage::Checking;
        }
        self.checks.next = Some(now);
        Ok(())
    }

    /// Sends to this address instead of the answer's first candidate.
    pub fn set_remote(&mut self, remote: SocketAddr) {
        self.remote = Some(remote);
    }

    /// The slots of the answer, in the order of the offer. An inactive or refused one is left out.
    #[must_use]
    pub fn slots(&self) -> &[Slot] {
        self.answer.as_ref().map_or(&[], |answer| &answer.slots)
    }

    /// Media can flow.
    #[must_use]
    pub fn is_connected(&self) -> bool {
        self.stage == Stage::Connected
    }

    /// The client has hung up.
    #[must_use]
    pub fn is_closed(&self) -> bool {
        self.stage == Stage::Closed
    }

    /// The profile that the handshake chose.
    #[must_use]
    pub fn profile(&self) -> Option<Profile> {
        self.media.as_ref().map(|media| media.keys.profile)
    }

    /// The server answered a check at this time last.
    #[must_use]
    pub fn last_consent(&self) -> Option<Instant> {
        self.checks.answered
    }

    /// Takes one datagram of the server; media is opened in place.
    ///
    /// # Errors
    ///
    /// Why it was of no use.
    pub fn handle<'a>(&'a mut self, now: Instant, datagram: &'a mut [u8]) -> Result<Option<Event<'a>>, Drop> {
        match demux::classify(datagram).ok_or(Drop::Unknown)? {
            Protocol::Stun => self.handle_stun(now, datagram).map(|()| None),
            Protocol::Dtls => self.handle_dtls(now, datagram),
            Protocol::Rtp => self.handle_rtp(now, datagram).map(Some),
            Protocol::Rtcp => {
                let media = self.media.as_mut().ok_or(Drop::NoKeys)?;
                media.rtcp.clear();
                media.opener.open_rtcp(datagram, &mut media.rtcp)?;
                Ok(Some(Event::Rtcp(&media.rtcp)))
            }
        }
    }

    /// The next datagram to send, and whereto.
    pub fn poll_transmit(&mut self) -> Option<(SocketAddr, Vec<u8>)> {
        if let (Some(dtls), Some(remote)) = (self.dtls.as_mut(), self.remote) {
            while let Some(transmit) = dtls.poll_transmit() {
                self.transmits.push_back((remote, transmit.message.to_vec()));
            }
        }
        self.transmits.pop_front()
    }

    /// Gives a sent datagram's buffer back, so that the next one needs no allocation.
    pub fn recycle(&mut self, mut buffer: Vec<u8>) {
        if self.spare.len() < 16 {
            buffer.clear();
            self.spare.push(buffer);
        }
    }

    /// When [`Self::handle_timeout`] is due.
    #[must_use]
    pub fn poll_timeout(&self) -> Option<Instant> {
        let handshake = match (&self.dtls, self.stage) {
            (Some(dtls), Stage::Handshaking) => dtls.poll_timeout(&REMOTE),
            _ => None,
        };
        [self.checks.next, handshake, self.telling.due].into_iter().flatten().min()
    }

    /// Sends the check and repeats the flight that are due.
    pub fn handle_timeout(&mut self, now: Instant) {
        if self.checks.next.is_some_and(|due| due <= now) && self.stage != Stage::Closed {
            self.check();
            let connected = matches!(self.stage, Stage::Handshaking | Stage::Connected);
            self.checks.next = Some(now + if connected { CONSENT_EVERY } else { CHECK_EVERY });
        }
        if self.telling.due.is_some_and(|due| due <= now) {
            while let Some(feedback) = self.telling.next() {
                self.send_rtcp(&feedback);
            }
        }
        if self.stage == Stage::Handshaking {
            let failed = self.dtls.as_mut().is_some_and(|dtls| dtls.handle_timeout(REMOTE, now).is_err());
            if failed {
                self.close(now);
            }
        }
    }

    /// Sends one media packet of line `line`, layer `layer` (0 where the line has no layers), and says how it was numbered.
    /// `None` before [`Event::Connected`].
    ///
    /// # Panics
    ///
    /// When the plan has no such line or layer.
    pub fn send_rtp(&mut self, line: usize, layer: usize, frame: Frame<'_>) -> Option<Sent> {
        let (media, remote) = (self.media.as_mut()?, self.remote?);
        let mut packet = self.spare.pop().unwrap_or_default();
        let stream = &mut self.streams[line][layer];
        let sent = stream.write(frame, &mut self.transport_sequence, self.plan.history, &mut packet);
        seal(&mut media.sealer, &mut packet, sent.header_len, sent.roc);
        self.transmits.push_back((remote, packet));
        Some(sent)
    }

    /// Sends a packet again as retransmission (RFC 4588) on the layer's second SSRC. False when its history has it no more.
    ///
    /// # Panics
    ///
    /// When the plan has no such line or layer.
    pub fn resend(&mut self, line: usize, layer: usize, sequence: u16) -> bool {
        let (Some(media), Some(remote)) = (self.media.as_mut(), self.remote) else { return false };
        let mut packet = self.spare.pop().unwrap_or_default();
        let stream = &mut self.streams[line][layer];
        let Some(sent) = stream.rewrite(sequence, &mut self.transport_sequence, &mut packet) else { return false };
        seal(&mut media.sealer, &mut packet, sent.header_len, sent.roc);
        self.transmits.push_back((remote, packet));
        true
    }

    /// The line and layer that send as `ssrc`.
    #[must_use]
    pub fn find(&self, ssrc: u32) -> Option<(usize, usize)> {
        self.streams
            .iter()
            .enumerate()
            .find_map(|(line, layers)| layers.iter().position(|stream| stream.ssrc == ssrc).map(|layer| (line, layer)))
    }

    /// Changes its ICE credentials: the next offer restarts ICE (RFC 8445 §9), and its answer is to be accepted.
    pub fn restart_ice(&mut self) {
        (self.ufrag, self.pwd) = (self.random.name(8), self.random.name(24));
    }

    /// More video slots in the next offer, behind the others.
    pub fn add_video_slots(&mut self, count: usize) {
        self.plan.video_slots += count;
    }

    /// Begins the streams of a line anew, under other SSRCs and numbers, as a browser does that makes a new encoder.
    pub fn restart_streams(&mut self, line: usize) {
        if let (Some(streams), Some(plan)) = (self.streams.get_mut(line), self.plan.lines.get(line)) {
            *streams = stream::of(line, plan, &mut self.random);
        }
    }

    /// The SSRC of a line's layer, if the plan has it.
    #[must_use]
    pub fn ssrc(&self, line: usize, layer: usize) -> Option<u32> {
        Some(self.streams.get(line)?.get(layer)?.ssrc)
    }

    /// Sends a compound RTCP packet. False before [`Event::Connected`].
    pub fn send_rtcp(&mut self, plain: &[u8]) -> bool {
        let (Some(media), Some(remote)) = (self.media.as_mut(), self.remote) else { return false };
        let mut packet = self.spare.pop().unwrap_or_default();
        media.sealer.seal_rtcp(plain, &mut packet);
        self.transmits.push_back((remote, packet));
        true
    }

    /// Sends any datagram as it is: for tests of what a stranger may send.
    pub fn send_raw(&mut self, datagram: Vec<u8>) {
        if let Some(remote) = self.remote {
            self.transmits.push_back((remote, datagram));
        }
    }

    /// The keys of both directions, for those who seal and open beside this client.
    #[must_use]
    pub fn keys(&self) -> Option<&Keys> {
        self.media.as_ref().map(|media| &media.keys)
    }

    /// Opens one media packet in place, beside [`Self::handle`] and without replay protection: for those who open a few of
    /// many. Returns the header and the plain packet's length.
    ///
    /// # Errors
    ///
    /// [`Drop::NoKeys`], [`Drop::RtpMalformed`], [`Drop::SrtpShort`], [`Drop::SrtpAuth`].
    pub fn open_rtp(&mut self, packet: &mut [u8]) -> Result<(Header, usize), Drop> {
        let media = self.media.as_mut().ok_or(Drop::NoKeys)?;
        let header = Header::parse(packet)?;
        let window = media.windows.entry(header.ssrc).or_default();
        let index = window.estimate(header.sequence);
        let len = media.opener.open_rtp(packet, header.len, index)?;
        window.accept(index);
        Ok((header, len))
    }

    /// Says goodbye: close_notify, and then silence.
    pub fn close(&mut self, now: Instant) {
        if let Some(dtls) = self.dtls.as_mut() {
            dtls.stop(now, REMOTE);
        }
        self.stage = Stage::Closed;
        self.checks.next = None;
        self.media = None;
    }

    fn handle_rtp<'a>(&mut self, now: Instant, packet: &'a mut [u8]) -> Result<Event<'a>, Drop> {
        let header = Header::parse(packet)?;
        if self.plan.feedback == Feedback::Automatic {
            self.telling.note(now, &header, packet);
        }
        self.until_open -= 1;
        if self.until_open > 0 {
            // The rollover counter must not lose a round meanwhile.
            if let Some(media) = self.media.as_mut() {
                let window = media.windows.entry(header.ssrc).or_default();
                window.accept(window.estimate(header.sequence));
            }
            return Ok(Event::Sealed { header, packet });
        }
        self.until_open = self.open_every.max(1);
        let media = self.media.as_mut().ok_or(Drop::NoKeys)?;
        let window = media.windows.entry(header.ssrc).or_default();
        let index = window.estimate(header.sequence);
        window.check(index)?;
        let len = media.opener.open_rtp(packet, header.len, index)?;
        window.accept(index);
        Ok(Event::Rtp { header, packet: &packet[..len] })
    }
}

fn seal(sealer: &mut Sealer, packet: &mut Vec<u8>, header_len: usize, roc: u32) {
    packet.resize(packet.len() + sealer.tag_len(), 0);
    sealer.seal_rtp(packet, header_len, roc);
}

/// SplitMix64: small, seeded, and good enough for names and SSRCs of tests.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ mixed >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ mixed >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ mixed >> 31
    }

    fn name(&mut self, len: usize) -> String {
        const LETTERS: &[u8; 32] = b"abcdefghijklmnopqrstuvwxyz234567";
        (0..len).map(|_| char::from(LETTERS[(self.next() % 32) as usize])).collect()
    }
}
