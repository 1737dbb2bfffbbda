//! Gives the media core its clock, sockets and threads: one operating system thread and one UDP port for each shard.
//!
//! A call lives on one shard from its first participant to its last. Commands reach the shard over a bounded queue and a waker;
//! what the shard has to tell comes up as [`CallEvent`]s over a bounded channel.

mod socket;
mod tap;
mod thread;
mod watch;

use std::net::{IpAddr, SocketAddr};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::{SyncSender, TrySendError};
use std::sync::{Arc, PoisonError};
use std::time::Duration;

use parlor_media::dtls::Certificate;
use parlor_media::sdp::{CodecName, SdpError};
use parlor_media::{OfferError as MediaOfferError, Source, Stats};
pub use tap::{Codec, Recorded, RecordedEvent, RecordedPacket, Sampled, Taps, codec, h264_dimensions};

use serde::Deserialize;
use tokio::sync::{mpsc, oneshot};

use crate::domain::call::{TrackSource, View};
use crate::domain::{CallId, ParticipantId, TrackId};

/// Commands that wait for a shard at most. A shard that is this far behind answers `Unavailable`.
const MOST_COMMANDS: usize = 4096;
/// Commands that may not get lost and wait beside the full queue at most: beyond it the machine is past help.
const MOST_OVERFLOW: usize = 65_536;
/// Events that wait for the layers above at most; beyond them a shard keeps its own backlog.
const MOST_EVENTS: usize = 16_384;
/// Shards at most: one for each core of a large machine.
const MOST_SHARDS: usize = 64;

/// Settings of the media side (`PARLOR_SFU__…`).
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Config {
    /// Event loops, each with a thread and a UDP port; 0: one for each core.
    pub shards: usize,
    /// The time without a connectivity check after which a connection is given up, in milliseconds.
    pub ice_timeout_ms: u64,
    /// How often a picture of each camera and screen is looked at, in milliseconds; 0: never. From `PARLOR_SAMPLE_EVERY_MS`.
    #[serde(skip)]
    pub sample_every_ms: u64,
}

impl Default for Config {
    fn default() -> Self {
        Self { shards: 0, ice_timeout_ms: 20_000, sample_every_ms: 5_000 }
    }
}

/// The media side does not start; the text is for people.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// A media port cannot be opened.
    #[error("UDP port {port} for media cannot be opened: {error}")]
    Port {
        /// The port.
        port: u16,
        /// Why.
        error: std::io::Error,
    },
    /// The certificate of the media side cannot be made.
    #[error("the certificate for media cannot be made: {0}")]
    Certificate(String),
    /// A thread cannot be started, or the machine's addresses cannot be read.
    #[error("the media side cannot start: {0}")]
    System(#[from] std::io::Error),
}

/// Why an offer has no answer.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum OfferError {
    /// Not an offer that can be read.
    #[error("{0}")]
    BadSdp(String),
    /// No ICE credentials.
    #[error("the offer has no ICE credentials")]
    NoIce,
    /// No certificate fingerprint.
    #[error("the offer has no certificate fingerprint")]
    NoFingerprint,
    /// More media sections than are answered.
    #[error("the offer has too many media sections")]
    TooManyMedia,
    /// None of the codecs that are forwarded.
    #[error("the offer has neither Opus nor VP8")]
    UnsupportedCodecs,
    /// The call has all the participants that it can have.
    #[error("the call is full")]
    Full,
    /// The shard is overloaded or gone.
    #[error("the media side is not available")]
    Unavailable,
}

impl From<MediaOfferError> for OfferError {
    fn from(error: MediaOfferError) -> Self {
        match error {
            MediaOfferError::Sdp(SdpError::Bad(text)) => Self::BadSdp(text.to_owned()),
            MediaOfferError::Sdp(SdpError::NoIce) => Self::NoIce,
            MediaOfferError::Sdp(SdpError::NoFingerprint) => Self::NoFingerprint,
            MediaOfferError::Sdp(SdpError::TooManyMedia) => Self::TooManyMedia,
            MediaOfferError::Sdp(SdpError::UnsupportedCodecs) => Self::UnsupportedCodecs,
            MediaOfferError::Full(_) => Self::Full,
        }
    }
}

/// An offer's answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Offered {
    /// The description.
    pub sdp: String,
    /// Which connection this is. The same number as before: the connection goes on.
    pub connection: u64,
    /// The connection begins with this answer; an earlier one of the participant, with its tracks and slots, is gone.
    pub fresh: bool,
}

/// A send line of an offer, with the name that its track gets.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OfferedTrack {
    /// The section's `a=mid`.
    pub mid: String,
    /// What it carries.
    pub source: TrackSource,
    /// The track's name.
    pub track: TrackId,
}

/// What one receive slot of a participant carries.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SlotState {
    /// The section's `a=mid`.
    pub mid: String,
    /// Audio, else video.
    pub audio: bool,
    /// Whose track, if any.
    pub source: Option<(ParticipantId, TrackId)>,
    /// The simulcast layer that flows, 0 is the lowest.
    pub layer: Option<u8>,
    /// RTP timestamp of the track's first frame in the slot, once it is sent.
    pub rtp_timestamp: Option<u32>,
}

/// What the media side tells.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum CallEvent {
    /// A participant's connection is there.
    Connected {
        /// The call.
        call: CallId,
        /// The participant.
        participant: ParticipantId,
        /// Which connection: an event of an older one than the last answer's is out of date.
        connection: u64,
    },
    /// A participant's connection is given up.
    Lost {
        /// The call.
        call: CallId,
        /// The participant.
        participant: ParticipantId,
        /// Which connection: an event of an older one than the last answer's is out of date.
        connection: u64,
    },
    /// A participant's call broke down here and is over; it may offer again.
    Broke {
        /// The call.
        call: CallId,
        /// The participant.
        participant: ParticipantId,
        /// Which connection: an event of an older one than the last answer's is out of date.
        connection: u64,
    },
    /// Slots of a participant carry something else.
    Slots {
        /// The call.
        call: CallId,
        /// The participant.
        participant: ParticipantId,
        /// The slots that changed.
        slots: Vec<SlotState>,
    },
    /// Packets of a track began to arrive, or ceased.
    Track {
        /// The call.
        call: CallId,
        /// The track.
        track: TrackId,
        /// Whether packets arrive.
        active: bool,
    },
    /// Who speaks, loudest first, in dBov.
    Speakers {
        /// The call.
        call: CallId,
        /// Participants and levels.
        speakers: Vec<(ParticipantId, i8)>,
    },
}

/// The figures of one shard.
#[derive(Clone, Debug, Default)]
pub struct ShardStats {
    /// What the core counted.
    pub media: Stats,
    /// The longest that the loop took for one round since the last reading.
    pub loop_lag: Duration,
    /// System calls that refused to take datagrams: unreachable networks, and full buffers once the backlog was full too.
    pub send_errors: u64,
    /// Events that nobody took and that were dropped.
    pub events_lost: u64,
    /// Calls that were ended because a step for them panicked, or stalled the shard again and again.
    pub broken_calls: u64,
    /// Batches, and single steps, that took the shard too long.
    pub stalls: u64,
    /// Key frames that nobody had room to look at.
    pub samples_lost: u64,
    /// Recorded packets that nobody had room for.
    pub recorded_lost: u64,
}

impl ShardStats {
    /// Dropped packets by the name of their reason, every reason once.
    pub fn drops(&self) -> impl Iterator<Item = (&'static str, u64)> + '_ {
        parlor_media::drop::Drop::ALL.into_iter().map(|reason| (reason.name(), self.media.drops[reason as usize]))
    }
}

enum Command {
    Offer {
        call: CallId,
        participant: ParticipantId,
        sdp: String,
        tracks: Vec<OfferedTrack>,
        reply: oneshot::Sender<Result<Offered, OfferError>>,
    },
    Ready(ParticipantId),
    Leave(ParticipantId),
    View(ParticipantId, Vec<View>),
    Mute(TrackId, bool),
    Spotlight(CallId, Option<ParticipantId>),
    Record(CallId, bool),
    Keyframe(TrackId),
    SampleEvery(TrackId, Option<Duration>),
    SampleNow(TrackId),
    Stats(oneshot::Sender<ShardStats>),
}

/// What the handle of a shard and its thread share beside the queue.
#[derive(Default)]
struct Shared {
    /// Commands that may not get lost and found the queue full: leaving and muting. Participants can be that many at most.
    overflow: std::sync::Mutex<Vec<Command>>,
    stopped: std::sync::atomic::AtomicBool,
}

struct ShardHandle {
    commands: SyncSender<Command>,
    shared: Arc<Shared>,
    waker: Arc<mio::Waker>,
    port: u16,
}

impl ShardHandle {
    /// Answers false when the shard is too far behind, or gone.
    fn send(&self, command: Command) -> bool {
        let sent = match command {
            Command::Leave(_) | Command::Mute(..) | Command::Record(..) => self.send_for_sure(command),
            command => self.commands.try_send(command).is_ok(),
        };
        // A waker that fails means that the shard's poll is gone, and the shard with it.
        self.waker.wake().is_ok() && sent
    }

    /// A removal, a mute or an end of recording that was acknowledged is enforced, however busy the shard is; and in order.
    fn send_for_sure(&self, command: Command) -> bool {
        let mut overflow = self.shared.overflow.lock().unwrap_or_else(PoisonError::into_inner);
        let command = if overflow.is_empty() {
            match self.commands.try_send(command) {
                Ok(()) => return true,
                Err(TrySendError::Disconnected(_)) => return false,
                Err(TrySendError::Full(command)) => command,
            }
        } else {
            command
        };
        let room = overflow.len() < MOST_OVERFLOW;
        if room {
            overflow.push(command);
        }
        room
    }
}

struct Inner {
    shards: Vec<ShardHandle>,
    addresses: Vec<IpAddr>,
    threads: std::sync::Mutex<Vec<std::thread::JoinHandle<()>>>,
    lost_commands: AtomicUsize,
}

/// The codecs of pictures that are taken: where somebody looks at them, those that can be decoded here.
fn codecs(sampled: bool) -> Vec<CodecName> {
    let decodes = |codec: &CodecName| match codec {
        CodecName::H264 => cfg!(feature = "h264"),
        codec => *codec == CodecName::Vp8,
    };
    CodecName::PICTURES.into_iter().filter(|codec| !sampled || decodes(codec)).collect()
}

/// The handle of the media side; a clone is the same one.
#[derive(Clone)]
pub struct Sfu(Arc<Inner>);

impl Sfu {
    /// Opens the ports and starts the threads. What the shards tell comes by the receiver, what they copy out by the taps. Shard n listens on `media_port` + n (0: any free ports); answers offer the
    /// `announced` addresses, or those of this machine when there are none.
    ///
    /// # Errors
    /// When a port is taken, or the system refuses.
    pub fn start(
        media_port: u16,
        announced: &[IpAddr],
        config: &Config,
    ) -> Result<(Self, mpsc::Receiver<CallEvent>, Taps), StartError> {
        let certificate = Certificate::generate().map_err(|error| StartError::Certificate(error.to_string()))?;
        let addresses = if announced.is_empty() { socket::own_addresses()? } else { announced.to_vec() };
        let count = shard_count(config);
        let (events, receiver) = mpsc::channel(MOST_EVENTS);
        let (spouts, taps) = tap::taps();
        let sample_every = (config.sample_every_ms > 0).then(|| Duration::from_millis(config.sample_every_ms));
        let (mut shards, mut threads) = (Vec::new(), Vec::new());
        for number in 0..count {
            let wanted = if media_port == 0 { 0 } else { media_port.saturating_add(number as u16) };
            let sockets = socket::Sockets::open(wanted).map_err(|error| StartError::Port { port: wanted, error })?;
            let port = sockets.port();
            let reachable = addresses.iter().filter(|address| address.is_ipv4() || sockets.has_v6());
            let media = parlor_media::Config {
                candidates: reachable.map(|address| SocketAddr::new(*address, port)).collect(),
                ice_timeout: Duration::from_millis(config.ice_timeout_ms),
                sample_every,
                // Who looks at pictures must be able to decode them.
                codecs: codecs(sample_every.is_some()),
                ..parlor_media::Config::default()
            };
            let (commands, inbox) = std::sync::mpsc::sync_channel(MOST_COMMANDS);
            let shared = Arc::new(Shared::default());
            let queue = thread::Inbox { commands: inbox, shared: shared.clone() };
            let (thread, waker) =
                thread::Shard::new(media, certificate.clone(), sockets, queue, (events.clone(), spouts.clone()))?;
            threads.push(std::thread::Builder::new().name(format!("shard-{number}")).spawn(move || thread.run())?);
            shards.push(ShardHandle { commands, shared, waker, port });
        }
        let inner =
            Inner { shards, addresses, threads: std::sync::Mutex::new(threads), lost_commands: AtomicUsize::new(0) };
        Ok((Self(Arc::new(inner)), receiver, taps))
    }

    /// The UDP ports that media comes in on, a shard each.
    #[must_use]
    pub fn ports(&self) -> Vec<u16> {
        self.0.shards.iter().map(|shard| shard.port).collect()
    }

    /// The addresses that answers offer: the announced ones, or this machine's.
    #[must_use]
    pub fn addresses(&self) -> &[IpAddr] {
        &self.0.addresses
    }

    /// Answers a participant's offer. The same participant may offer again, for more slots or from a new connection.
    ///
    /// # Errors
    /// When the offer cannot be answered, see [`OfferError`].
    pub async fn offer(
        &self,
        call: CallId,
        participant: ParticipantId,
        sdp: String,
        tracks: Vec<OfferedTrack>,
    ) -> Result<Offered, OfferError> {
        let (reply, answer) = oneshot::channel();
        if !self.shard(call).send(Command::Offer { call, participant, sdp, tracks, reply }) {
            return Err(OfferError::Unavailable);
        }
        answer.await.unwrap_or(Err(OfferError::Unavailable))
    }

    /// The participant can take media from now on.
    pub fn ready(&self, call: CallId, participant: ParticipantId) {
        self.tell(call, Command::Ready(participant));
    }

    /// The participant leaves.
    pub fn leave(&self, call: CallId, participant: ParticipantId) {
        self.tell(call, Command::Leave(participant));
    }

    /// What the participant wants to see, most important first.
    pub fn view(&self, call: CallId, participant: ParticipantId, views: Vec<View>) {
        self.tell(call, Command::View(participant, views));
    }

    /// Drops a track's packets, or forwards them again.
    pub fn mute(&self, call: CallId, track: TrackId, muted: bool) {
        self.tell(call, Command::Mute(track, muted));
    }

    /// Shows one participant before all others to whoever says nothing of what they want to see; or nobody any more.
    pub fn spotlight(&self, call: CallId, participant: Option<ParticipantId>) {
        self.tell(call, Command::Spotlight(call, participant));
    }

    /// Copies all of a call's tracks, also those to come, to whoever records; or ceases to.
    pub fn record(&self, call: CallId, on: bool) {
        self.tell(call, Command::Record(call, on));
    }

    /// Asks for a key frame of what is recorded of a track. Many wishes become few requests.
    pub fn keyframe(&self, call: CallId, track: TrackId) {
        self.tell(call, Command::Keyframe(track));
    }

    /// Looks at a track at another interval from now on; `None`: at the configured one.
    pub fn sample_every(&self, call: CallId, track: TrackId, every: Option<Duration>) {
        self.tell(call, Command::SampleEvery(track, every));
    }

    /// Looks at a track as soon as it can be.
    pub fn sample_now(&self, call: CallId, track: TrackId) {
        self.tell(call, Command::SampleNow(track));
    }

    /// The figures of every shard that answers.
    pub async fn stats(&self) -> Vec<ShardStats> {
        let mut all = Vec::with_capacity(self.0.shards.len());
        for shard in &self.0.shards {
            let (reply, stats) = oneshot::channel();
            if shard.send(Command::Stats(reply))
                && let Ok(stats) = stats.await
            {
                all.push(stats);
            }
        }
        all
    }

    /// Ends the threads and closes the ports.
    pub fn stop(&self) {
        for shard in &self.0.shards {
            shard.shared.stopped.store(true, Ordering::Release);
            // A waker that fails means that the thread has ended already.
            let _ = shard.waker.wake();
        }
        let threads = std::mem::take(&mut *self.0.threads.lock().unwrap_or_else(PoisonError::into_inner));
        for thread in threads {
            // A shard that panicked has said so in the log.
            let _ = thread.join();
        }
    }

    /// Whether every shard's thread runs.
    #[must_use]
    pub fn is_alive(&self) -> bool {
        let threads = self.0.threads.lock().unwrap_or_else(PoisonError::into_inner);
        threads.len() == self.0.shards.len() && threads.iter().all(|thread| !thread.is_finished())
    }

    /// Commands that a shard was too busy to take.
    #[must_use]
    pub fn lost_commands(&self) -> usize {
        self.0.lost_commands.load(Ordering::Relaxed)
    }

    fn tell(&self, call: CallId, command: Command) {
        if !self.shard(call).send(command) {
            self.0.lost_commands.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// A call's shard follows from its id, so that nobody needs to keep a table. The low bits of a UUIDv7 are random.
    fn shard(&self, call: CallId) -> &ShardHandle {
        &self.0.shards[(call.as_u128() % self.0.shards.len() as u128) as usize]
    }
}

/// How many shards, and so how many UDP ports from the first on, a configuration asks for on this machine.
#[must_use]
pub fn shard_count(config: &Config) -> usize {
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    if config.shards == 0 { cores.min(MOST_SHARDS) } else { config.shards.min(MOST_SHARDS) }
}

fn media_source(source: TrackSource) -> Source {
    match source {
        TrackSource::Microphone => Source::Microphone,
        TrackSource::Camera => Source::Camera,
        TrackSource::Screen => Source::Screen,
        TrackSource::ScreenAudio => Source::ScreenAudio,
    }
}
