//! The core, driven from outside: datagrams, commands and the time go in, datagrams and events come out.
//!
//! A shard owns its calls alone. `handle` takes what happened, `poll` is called until it has nothing more to say:
//! the packets of a whole batch are decrypted and kept first, and then written out receiver by receiver, so that
//! each receiver's packets of a tick leave in one system call.

use std::collections::{HashMap, VecDeque};
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};
use slab::Slab;

use crate::agenda::Agenda;
use crate::call::Call;
use crate::demux::{self, Kind as Protocol};
use crate::drop::Drop;
use crate::dtls::Certificate;
use crate::event::Event;
use crate::fault::{Step, Work};
use crate::id::{CallId, ParticipantId, TrackId};
use crate::outbox::{Address, Outbox, Path};
use crate::peer::{Peer, View};
use crate::relay::{Link, Relay};
use crate::sdp::CodecName;
use crate::stats::Stats;
use crate::tap::Recorder;
use crate::track::{Kind, PeerKey, Track, TrackKey};

/// The settings of a shard.
#[derive(Debug, Clone)]
pub struct Config {
    /// Which of the server's shards this is. The first letter of its user names for ICE says it ([`crate::ice::shard_of`]).
    pub number: u8,
    /// The addresses that answers offer to clients.
    pub candidates: Vec<SocketAddr>,
    /// The addresses where connections over TCP are taken (RFC 6544), for clients whose network blocks UDP.
    pub tcp_candidates: Vec<SocketAddr>,
    /// A connection without a valid connectivity check for this long is given up (RFC 7675 asks for 30 s at most).
    pub ice_timeout: Duration,
    /// Participants of one call. A bound for the core's own sake: rooms have their own, lower one.
    pub most_participants: usize,
    /// Microphones that everybody hears at once: the loudest speakers.
    pub audio_speakers: usize,
    /// How often a key frame of each camera and screen is told ([`Event::Sampled`]); `None`: never.
    pub sample_every: Option<Duration>,
    /// Choose what is sent to each receiver by what its line bears; else by its tiles alone.
    pub estimation: bool,
    /// Spread what is sent to each receiver over time, where its line is known.
    pub pacing: bool,
    /// The codecs of pictures that are taken. Each is shown to those who can see it.
    pub codecs: Vec<CodecName>,
}

impl Default for Config {
    fn default() -> Self {
        Config {
            number: 0,
            candidates: Vec::new(),
            tcp_candidates: Vec::new(),
            ice_timeout: Duration::from_secs(20),
            most_participants: 4_096,
            audio_speakers: 4,
            sample_every: None,
            estimation: true,
            pacing: true,
            codecs: CodecName::PICTURES.to_vec(),
        }
    }
}

/// What happens to a shard.
#[derive(Debug)]
pub enum Input<'a> {
    /// A datagram came. Its bytes are decrypted in place.
    Datagram {
        /// Who sent it, and to which address of ours.
        from: Path,
        /// What it is.
        bytes: &'a mut [u8],
    },
    /// A batch of another shard of a call came ([`Relay`]).
    Relay {
        /// The shard's number.
        from: u8,
        /// The batch.
        bytes: &'a [u8],
    },
    /// The time of [`Shard::poll_timeout`] has come.
    Timeout,
}

/// Datagrams for one address, one behind the other, all `segment` bytes long but for the last, which may be shorter.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Transmit<'a> {
    /// Where to.
    pub to: Path,
    /// The datagrams' bytes.
    pub bytes: &'a [u8],
    /// Length of each datagram.
    pub segment: usize,
}

/// What [`Shard::poll`] answers.
#[derive(Debug)]
pub enum Output<'a> {
    /// Datagrams to send.
    Transmit(Transmit<'a>),
    /// A batch for another shard. Its buffer may come back, see [`Shard::give_back`].
    Relay(Relay),
    /// Something to tell.
    Event(Event),
}

/// How often repairs and feedback are looked after while anybody publishes.
pub(crate) const TICK_US: u64 = 10_000;
/// How often everything else is looked after.
pub(crate) const SECOND_US: u64 = 1_000_000;

/// One event loop's share of the calls.
pub struct Shard {
    pub(crate) config: Config,
    pub(crate) certificate: Certificate,
    pub(crate) rng: StdRng,
    start: Instant,
    pub(crate) peers: Slab<Box<Peer>>,
    pub(crate) tracks: Slab<Track>,
    pub(crate) calls: Slab<Call>,
    pub(crate) by_call: HashMap<CallId, usize>,
    pub(crate) by_participant: HashMap<ParticipantId, PeerKey>,
    pub(crate) by_ufrag: HashMap<String, PeerKey>,
    pub(crate) by_address: HashMap<Address, PeerKey>,
    pub(crate) by_track: HashMap<TrackId, TrackKey>,
    pub(crate) out: Outbox,
    /// Links to other shards, those with something to say, what is said over those that are no more, and empty buffers.
    pub(crate) links: Slab<Link>,
    pub(crate) batches: Agenda,
    pub(crate) last_words: Vec<Relay>,
    pub(crate) spare: Vec<Vec<u8>>,
    /// Tracks of which another shard may have to send something else than before.
    pub(crate) unasked: Agenda,
    /// Tracks with packets of this tick, and the next receiver of the last of them.
    pub(crate) dirty: Agenda,
    pub(crate) cursor: usize,
    /// Per place of a peer, until when a tick has nothing to do for it. A packet from it, a command for it and new slots end that.
    pub(crate) calm_until_us: Vec<u64>,
    /// Peers for whose lines something waits, and when they are looked at next.
    pub(crate) pacing: Agenda,
    pub(crate) pace_us: u64,
    /// The time of what is being handled.
    pub(crate) now_us: u64,
    /// Peers whose slots must be looked at again.
    pub(crate) unsettled: Agenda,
    /// Peers that must be told of their slots.
    pub(crate) untold: Agenda,
    pub(crate) events: VecDeque<Event>,
    /// Recorded calls, and what was copied of them: a handful.
    pub(crate) recorders: Vec<Recorder>,
    pub(crate) stats: Stats,
    pub(crate) scratch: Vec<u8>,
    pub(crate) sealed: Vec<u8>,
    /// Names given so far to connections and layers, so that none is ever mistaken for a later one in its place.
    pub(crate) epochs: u64,
    /// When repairs are looked after next; 0 for as soon as can be.
    pub(crate) tick_us: u64,
    second_us: u64,
    /// Whose call is worked for.
    pub(crate) work: Work,
}

impl Shard {
    /// A shard without calls. Everything random in it but the cryptographic keys comes from `seed`.
    #[must_use]
    pub fn new(config: Config, certificate: Certificate, now: Instant, seed: [u8; 32]) -> Shard {
        let number = config.number;
        Shard {
            config,
            certificate,
            rng: StdRng::from_seed(seed),
            start: now,
            peers: Slab::new(),
            tracks: Slab::new(),
            calls: Slab::new(),
            by_call: HashMap::new(),
            by_participant: HashMap::new(),
            by_ufrag: HashMap::new(),
            by_address: HashMap::new(),
            by_track: HashMap::new(),
            out: Outbox::default(),
            links: Slab::new(),
            batches: Agenda::default(),
            last_words: Vec::new(),
            spare: Vec::new(),
            unasked: Agenda::default(),
            dirty: Agenda::default(),
            cursor: 0,
            calm_until_us: Vec::new(),
            pacing: Agenda::default(),
            pace_us: u64::MAX,
            now_us: 0,
            unsettled: Agenda::default(),
            untold: Agenda::default(),
            events: VecDeque::new(),
            recorders: Vec::new(),
            stats: Stats::default(),
            scratch: Vec::new(),
            sealed: Vec::new(),
            // Connections of different shards have different numbers.
            epochs: u64::from(number) << 48,
            tick_us: 0,
            second_us: 0,
            work: Work::default(),
        }
    }

    /// Takes in what happened at `now`.
    pub fn handle(&mut self, now: Instant, input: Input<'_>) {
        let now_us = self.us(now);
        self.now_us = now_us;
        match input {
            Input::Datagram { from, bytes } => {
                self.stats.packets_in += 1;
                self.stats.bytes_in += bytes.len() as u64;
                if let Err(reason) = self.datagram(now, now_us, from, bytes) {
                    self.stats.drops[reason as usize] += 1;
                }
            }
            Input::Relay { from, bytes } => {
                if let Err(reason) = self.on_relay(now_us, from, bytes) {
                    self.stats.drops[reason as usize] += 1;
                }
            }
            Input::Timeout => self.timeout(now, now_us),
        }
        self.rest();
    }

    fn datagram(&mut self, now: Instant, now_us: u64, from: Path, bytes: &mut [u8]) -> Result<(), Drop> {
        match demux::classify(bytes).ok_or(Drop::Unknown)? {
            Protocol::Stun => self.on_stun(now_us, from, bytes),
            Protocol::Dtls => self.on_dtls(now, now_us, from, bytes),
            Protocol::Rtp => self.on_rtp(now_us, from.address(), bytes),
            Protocol::Rtcp => self.on_rtcp(now_us, from.address(), bytes),
        }
    }

    fn timeout(&mut self, now: Instant, now_us: u64) {
        // What came in this very tick has its turn first.
        if now_us >= self.pace_us && self.dirty.is_empty() {
            self.pace_us = u64::MAX;
            self.pace();
        }
        if now_us >= self.tick_us {
            self.tick_us = now_us + TICK_US;
            self.repair(now, now_us);
            if !self.links.is_empty() {
                self.ask_over_links(now_us);
            }
        }
        if now_us >= self.second_us {
            self.second_us = now_us + SECOND_US / 4;
            self.look_after(now_us);
        }
    }

    /// What the shard wants done next; call until `None`.
    pub fn poll(&mut self) -> Option<Output<'_>> {
        loop {
            if let Some(run) = self.out.take() {
                let (to, segment) = (run.to, run.segment);
                self.rest();
                return Some(Output::Transmit(Transmit { to, segment, bytes: self.out.bytes(run.bytes) }));
            }
            if !self.forward_next() && !self.settle_next() && !self.tell_next() && !self.ask_next() {
                break;
            }
        }
        if let Some(relay) = self.next_batch() {
            self.rest();
            return Some(Output::Relay(relay));
        }
        self.rest();
        self.events.pop_front().map(Output::Event)
    }

    /// When [`Input::Timeout`] is due; `None` while nobody is here.
    #[must_use]
    pub fn poll_timeout(&self) -> Option<Instant> {
        if self.peers.is_empty() && self.links.is_empty() {
            return None;
        }
        let busy = !self.tracks.is_empty() || self.peers.iter().any(|(_, peer)| !peer.connected);
        let due_us = if busy { self.tick_us.min(self.second_us) } else { self.second_us };
        Some(self.start + Duration::from_micros(due_us.min(self.pace_us)))
    }

    /// What was counted so far.
    #[must_use]
    pub fn stats(&self) -> Stats {
        let mut stats = self.stats.clone();
        stats.calls = self.calls.iter().filter(|(_, call)| call.hub.is_none()).count() as u64;
        stats.participants = self.peers.len() as u64;
        for (_, track) in self.tracks.iter().filter(|(_, track)| track.active && track.link().is_none()) {
            match track.source.kind() {
                Kind::Audio => stats.tracks[0] += 1,
                Kind::Video => {
                    let sent = (0..track.layers.len()).filter(|layer| track.is_sent(*layer)).count();
                    stats.tracks[sent.clamp(1, 3)] += 1;
                }
            }
        }
        stats
    }

    /// Whether an address has shown a peer's credentials.
    #[must_use]
    pub fn knows(&self, path: &Path) -> bool {
        self.by_address.contains_key(&path.address())
    }

    /// Who has shown the credentials of its connection from there.
    #[must_use]
    pub fn holder(&self, path: &Path) -> Option<ParticipantId> {
        self.by_address.get(&path.address()).and_then(|key| self.peers.get(*key)).map(|peer| peer.participant)
    }

    /// The participant can take media now.
    pub fn ready(&mut self, participant: ParticipantId) {
        if let Some(&key) = self.by_participant.get(&participant) {
            self.work_for_peer(key, Step::Command);
            self.peers[key].ready = true;
            self.unsettle(key);
        }
    }

    /// What the participant wants to see from now on.
    pub fn view(&mut self, participant: ParticipantId, view: Vec<View>) {
        if let Some(&key) = self.by_participant.get(&participant) {
            self.work_for_peer(key, Step::Command);
            self.peers[key].view = Some(view);
            self.unsettle(key);
        }
    }

    /// Shows one participant before all others to those who say nothing of what they want to see; or nobody any more.
    pub fn spotlight(&mut self, call: CallId, participant: Option<ParticipantId>) {
        let Some(&at) = self.by_call.get(&call) else { return };
        self.calls[at].spotlight = participant;
        self.unsettle_call(at);
    }

    /// Drops a track's packets from now on, or forwards them again.
    pub fn mute(&mut self, track: TrackId, muted: bool) {
        let Some(&key) = self.by_track.get(&track) else { return };
        self.work_for_track(key, Step::Command);
        let track = &mut self.tracks[key];
        if track.muted != muted {
            track.muted = muted;
            // What came in this very tick must not pass any more, and what is missing must not come later: pictures begin anew.
            track.fresh.clear();
            track.layers.iter_mut().for_each(|layer| layer.nacks.forget());
            track.copying = None;
            if let Some(sampling) = track.sampling.as_mut() {
                sampling.rest();
                sampling.hurry(0);
            }
            let call = track.call;
            if muted {
                self.calls[call].speakers.leave(key);
            }
            self.announce(key);
            self.unsettle_call(call);
        }
    }

    /// The participant leaves its call.
    pub fn leave(&mut self, participant: ParticipantId) {
        if let Some(&key) = self.by_participant.get(&participant) {
            self.work_for_peer(key, Step::Command);
            self.remove(key);
        }
    }

    pub(crate) fn us(&self, now: Instant) -> u64 {
        now.saturating_duration_since(self.start).as_micros() as u64
    }

    pub(crate) fn random_u32(&mut self) -> u32 {
        self.rng.random()
    }

    pub(crate) fn unsettle(&mut self, key: PeerKey) {
        self.unsettled.note(key);
    }

    pub(crate) fn unsettle_call(&mut self, call: usize) {
        self.note_choice(call);
        for at in 0..self.calls[call].peers.len() {
            let key = self.calls[call].peers[at];
            self.unsettle(key);
        }
    }
}
