//! Gives the media core its clock, sockets and threads: one operating system thread and one UDP port for each shard.
//!
//! A call has a home shard, which relays to the other shards what their people of the call need (`spread.rs`). Commands reach the shard over a bounded queue and a waker;
//! what the shard has to tell comes up as [`CallEvent`]s over a bounded channel.

mod crowd;
mod door;
mod intake;
mod lane;
mod open;
mod quality;
mod sections;
mod share;
mod socket;
mod spread;
mod stray;
mod tap;
mod tcp;
mod thread;
mod told;
mod watch;

use std::net::IpAddr;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::{SyncSender, TrySendError};
use std::sync::{Arc, PoisonError};
use std::time::Duration;

pub use open::{Config, StartError, most_files, shard_count};
use parlor_media::sdp::SdpError;
use parlor_media::{OfferError as MediaOfferError, Source, Stats};
pub use sections::{Section, sections};
pub use tap::{Codec, Recorded, RecordedEvent, RecordedPacket, Sampled, Taps, codec, h264_dimensions};
use tokio::sync::oneshot;

use crate::domain::call::{TrackSource, View};
use crate::domain::{CallId, ParticipantId, TrackId};

/// Commands that wait for a shard at most. A shard that is this far behind answers `Unavailable`.
const MOST_COMMANDS: usize = 4096;
/// Commands that may not get lost and wait beside the full queue at most: beyond it the machine is past help.
const MOST_OVERFLOW: usize = 65_536;
/// Checks from other shards of one port that wait at most. What finds no room is lost; clients repeat their checks.
const MOST_STRAYS: usize = 1024;

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
    #[error("the call is full: it has {0} participants")]
    Full(u32),
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
            MediaOfferError::Full(most) => Self::Full(u32::try_from(most).unwrap_or(u32::MAX)),
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
    /// It begins muted: not one packet of it passes.
    pub muted: bool,
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
    /// The participant's line does not carry the track now.
    pub paused: bool,
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
    /// A participant's client has ended its connection. It may offer another one; else [`CallEvent::Lost`] follows.
    Closed {
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
    /// Layers of a track are watched now, or are no more.
    Watched {
        /// The call.
        call: CallId,
        /// The track.
        track: TrackId,
        /// Whether anybody watches the layer, the lowest first.
        layers: Vec<bool>,
    },
    /// What a participant's line is like: when that changes, and every ten seconds.
    Quality {
        /// The call.
        call: CallId,
        /// The participant.
        participant: ParticipantId,
        /// All there is to say.
        report: crate::domain::quality::Report,
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
    /// Peers that come over TCP now.
    pub tcp_connections: usize,
    /// Packets that a connection over TCP had no room for.
    pub tcp_dropped: u64,
    /// Datagrams that landed here and were handed to another shard of the same port, those that found no room there, and those of
    /// which too many came.
    pub handed_over: [u64; 3],
    /// Peers that have a socket of their own on the shared port now, and those that got none.
    pub lanes: (usize, u64),
    /// Key frames that nobody had room to look at.
    pub samples_lost: u64,
    /// Recorded packets that nobody had room for.
    pub recorded_lost: u64,
    /// Media packets for other shards that found no room in their queues.
    pub relay_lost: u64,
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
    Arrive(Box<tcp::Arrival>),
    Stray(stray::Stray),
    /// A batch of the shard of that number.
    Relay(u8, Vec<u8>),
    /// All shards, this one included.
    Shards(Vec<ShardHandle>),
    /// The shards of one port, this one included.
    Neighbours(Vec<ShardHandle>),
}

/// What the handle of a shard and its thread share beside the queue.
#[derive(Default)]
struct Shared {
    /// Commands that may not get lost and found the queue full: leaving and muting. Participants can be that many at most.
    overflow: std::sync::Mutex<Vec<Command>>,
    stopped: std::sync::atomic::AtomicBool,
    /// How many of the commands that wait are strays.
    strays: AtomicUsize,
    /// How many of them are batches of other shards, and how many bytes those have.
    relays: [AtomicUsize; 2],
    /// The thread was woken for strays and has not looked since.
    knocked: std::sync::atomic::AtomicBool,
}

#[derive(Clone)]
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

    /// Hands a datagram to the shard that it is for; false when that one has too many already. However many come, the shard is woken
    /// once for all that wait.
    fn hand_over(&self, stray: stray::Stray) -> bool {
        let room = self.shared.strays.fetch_add(1, Ordering::Relaxed) < MOST_STRAYS;
        let sent = room && self.commands.try_send(Command::Stray(stray)).is_ok();
        if !sent {
            self.shared.strays.fetch_sub(1, Ordering::Relaxed);
            return false;
        }
        self.shared.knocked.swap(true, Ordering::SeqCst) || self.waker.wake().is_ok()
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
    spread: Arc<spread::Spread>,
    addresses: Vec<IpAddr>,
    door: Option<door::DoorHandle>,
    candidates: [Vec<std::net::SocketAddr>; 2],
    threads: std::sync::Mutex<Vec<std::thread::JoinHandle<()>>>,
    lost_commands: AtomicUsize,
}

impl Inner {
    fn end_threads(&self) {
        for shard in &self.shards {
            shard.shared.stopped.store(true, Ordering::Release);
            // A waker that fails means that the thread has ended already.
            let _ = shard.waker.wake();
        }
        if let Some(door) = &self.door {
            door.close();
        }
    }
}

/// The door and the shards of one port hold handles of each other: nobody else would end them.
impl Drop for Inner {
    fn drop(&mut self) {
        self.end_threads();
    }
}

/// The handle of the media side; a clone is the same one.
#[derive(Clone)]
pub struct Sfu(Arc<Inner>);

impl Sfu {
    /// The UDP ports that media comes in on, a shard each; all the same in one-port mode.
    #[must_use]
    pub fn ports(&self) -> Vec<u16> {
        self.0.shards.iter().map(|shard| shard.port).collect()
    }

    /// What answers offer: addresses for UDP, and for TCP.
    #[must_use]
    pub fn candidates(&self) -> &[Vec<std::net::SocketAddr>; 2] {
        &self.0.candidates
    }

    /// The TCP port for those whose network blocks UDP.
    #[must_use]
    pub fn tcp_port(&self) -> Option<u16> {
        self.0.door.as_ref().map(|door| door.port)
    }

    /// Connections over TCP that were sent away, by the reason: no place, nothing shown in time, something else shown.
    #[must_use]
    pub fn sent_away(&self) -> [(&'static str, u64); 4] {
        self.0.door.as_ref().map_or_else(|| door::Counts::default().sent_away(), |door| door.counts.sent_away())
    }

    /// The addresses that answers offer: the announced ones, or this machine's.
    #[must_use]
    pub fn addresses(&self) -> &[IpAddr] {
        &self.0.addresses
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
        self.0.end_threads();
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
        threads.len() >= self.0.shards.len() && threads.iter().all(|thread| !thread.is_finished())
    }

    /// Commands that a shard was too busy to take.
    #[must_use]
    pub fn lost_commands(&self) -> usize {
        self.0.lost_commands.load(Ordering::Relaxed)
    }

    fn tell(&self, shard: usize, command: Command) {
        if !self.0.shards[shard].send(command) {
            self.0.lost_commands.fetch_add(1, Ordering::Relaxed);
        }
    }
}

fn media_source(source: TrackSource) -> Source {
    match source {
        TrackSource::Microphone => Source::Microphone,
        TrackSource::Camera => Source::Camera,
        TrackSource::Screen => Source::Screen,
        TrackSource::ScreenAudio => Source::ScreenAudio,
    }
}
