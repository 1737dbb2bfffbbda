//! What the media side copies out for those who look and those who record: lossy, bounded, and never in the way of forwarding.

use std::collections::{HashMap, HashSet, VecDeque};
use std::ops::Range;
use std::time::{Duration, Instant};

use parlor_media::{Recorded as CoreRecorded, RecordedEvent as CoreEvent};
pub use parlor_media::{codec, h264_dimensions};
use tokio::sync::mpsc::error::TrySendError;
use tokio::sync::mpsc::{self, Receiver, Sender};

use crate::domain::{CallId, ParticipantId, Time, TrackId, TrackSource};

/// Key frames that wait for whoever looks at them. A shard tells of those that find no room as unsampled.
const MOST_SAMPLES: usize = 256;
/// Batches of recorded packets that wait for the recorder: at 20 batches a second and call, seconds of a stalled disk.
const MOST_BATCHES: usize = 512;
/// How long recorded packets gather before they are handed over …
const GATHER: Duration = Duration::from_millis(50);
/// … unless they are as many bytes as this.
const GATHER_BYTES: usize = 256 * 1024;
/// Small words about tracks that a shard keeps while nobody takes them. More tracks than that no shard carries.
const MOST_WORDS: usize = 65_536;

/// What a payload is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Codec {
    /// Sound.
    Opus,
    /// Pictures that every browser knows.
    Vp8,
    /// Pictures in layers, of clients that chose it.
    Vp9,
    /// Pictures of clients that have nothing else.
    H264,
    /// Pictures in layers, of clients that chose it.
    Av1,
}

/// The two taps of the media side.
#[derive(Debug)]
pub struct Taps {
    /// For whoever looks at what is shown.
    pub samples: Receiver<Sampled>,
    /// For whoever records.
    pub recorded: Receiver<Recorded>,
}

/// What is told of the pictures that are shown.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Sampled {
    /// One whole key frame, up to 1 MiB that nobody has looked into yet.
    Frame {
        /// The call.
        call: CallId,
        /// Who publishes it.
        participant: ParticipantId,
        /// The track.
        track: TrackId,
        /// The simulcast layer that it is of, 0 is the lowest.
        layer: u8,
        /// What the frame is.
        codec: Codec,
        /// When it was whole.
        taken_at: Time,
        /// VP8's bitstream, or H.264 in Annex B with its parameter sets.
        frame: Vec<u8>,
    },
    /// Three requests for a key frame and two seconds brought nothing.
    Unsampled {
        /// The call.
        call: CallId,
        /// Who publishes it.
        participant: ParticipantId,
        /// The track.
        track: TrackId,
    },
    /// There was a frame, but whoever looks has been too slow for it.
    Missed {
        /// The call.
        call: CallId,
        /// The track.
        track: TrackId,
    },
    /// The track is over.
    Ended {
        /// The call.
        call: CallId,
        /// The track.
        track: TrackId,
    },
}

/// What was recorded of a call in the last moment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Recorded {
    /// The call.
    pub call: CallId,
    /// What happened, in order.
    pub events: Vec<RecordedEvent>,
    /// The packets' payloads, named by their ranges.
    pub bytes: Vec<u8>,
}

/// What a recorder is told.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RecordedEvent {
    /// A packet came.
    Packet(RecordedPacket),
    /// The track is over.
    Ended(TrackId),
    /// So many packets of this call were dropped because nobody took them.
    Dropped(u64),
}

/// A packet of a recorded track, in the order of arrival: gaps are filled within about a second, or never.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RecordedPacket {
    /// Who publishes it.
    pub participant: ParticipantId,
    /// The track.
    pub track: TrackId,
    /// What the track shows.
    pub source: TrackSource,
    /// What the payload is.
    pub codec: Codec,
    /// Another number is another stream (a layer, a restarted encoder, an end of muting) with indexes and timestamps of its own; video begins with
    /// the first packet of a key frame.
    pub stream: u64,
    /// Sequence number with the rollovers counted.
    pub index: u64,
    /// RTP timestamp.
    pub timestamp: u32,
    /// RTP marker.
    pub marker: bool,
    /// The first packet of a key frame.
    pub keyframe_start: bool,
    /// Arrival, µs since 1970 of the server's clock.
    pub arrived_us: i64,
    /// Capture, µs of the publisher's clock, the same for all its tracks; `None` before its first sender report.
    pub captured_us: Option<i64>,
    /// The payload, in the batch's bytes. Empty for padding, which only says that its index is not missing.
    pub payload: Range<usize>,
}

/// A shard's ends of the taps. A clone is for another shard.
#[derive(Clone)]
pub(super) struct Spouts {
    samples: Sender<Sampled>,
    recorded: Sender<Recorded>,
}

/// What a shard has for the taps and could not hand over yet.
pub(super) struct Tapping {
    spouts: Spouts,
    /// What must not be lost: it is told once there is room.
    words: VecDeque<Sampled>,
    /// What the next batch of a call begins with, because an earlier one found no room.
    missed: HashMap<CallId, Vec<RecordedEvent>>,
    /// The calls that are recorded.
    recorded_calls: HashSet<CallId>,
    gathered: Instant,
    /// The shard's clock began then, µs since 1970.
    began_us: i64,
    /// Key frames that found no room.
    pub samples_lost: u64,
    /// Recorded packets that found no room.
    pub recorded_lost: u64,
}

pub(super) fn taps() -> (Spouts, Taps) {
    let (samples, samples_taken) = mpsc::channel(MOST_SAMPLES);
    let (recorded, recorded_taken) = mpsc::channel(MOST_BATCHES);
    (Spouts { samples, recorded }, Taps { samples: samples_taken, recorded: recorded_taken })
}

impl Tapping {
    pub fn new(spouts: Spouts) -> Self {
        Self {
            spouts,
            words: VecDeque::new(),
            missed: HashMap::new(),
            recorded_calls: HashSet::new(),
            gathered: Instant::now(),
            began_us: Time::now().as_ms() * 1000,
            samples_lost: 0,
            recorded_lost: 0,
        }
    }

    /// The shard has another core, whose clock begins now. What was recorded goes on being so.
    pub fn begin_anew(&mut self, core: &mut parlor_media::Shard) {
        self.began_us = Time::now().as_ms() * 1000;
        for call in &self.recorded_calls {
            core.record(parlor_media::CallId(call.as_u128()), true);
        }
    }

    /// A call is recorded from now on, or no more.
    pub fn note_recording(&mut self, call: CallId, on: bool) {
        if on {
            self.recorded_calls.insert(call);
        } else {
            self.recorded_calls.remove(&call);
            self.missed.remove(&call);
        }
    }

    /// Hands a sample over, or what is left of it to tell.
    pub fn sampled(&mut self, sampled: Sampled) {
        self.offer_words();
        if self.words.is_empty() {
            match self.spouts.samples.try_send(sampled) {
                Err(TrySendError::Full(sampled)) => self.keep(sampled),
                Ok(()) | Err(TrySendError::Closed(_)) => {}
            }
        } else {
            self.keep(sampled);
        }
    }

    fn keep(&mut self, sampled: Sampled) {
        let word = match sampled {
            Sampled::Frame { call, track, .. } => {
                self.samples_lost += 1;
                Sampled::Missed { call, track }
            }
            word => word,
        };
        if self.words.len() < MOST_WORDS {
            self.words.push_back(word);
        }
    }

    /// Offers what waits, and hands over what has gathered.
    pub fn offer(&mut self, core: &mut parlor_media::Shard) {
        self.offer_words();
        let Some(bytes) = core.recorded_bytes() else { return };
        if bytes < GATHER_BYTES && self.gathered.elapsed() < GATHER {
            return;
        }
        self.gathered = Instant::now();
        while let Some(recorded) = core.poll_recorded() {
            self.hand_over(recorded);
        }
    }

    fn offer_words(&mut self) {
        while let Some(word) = self.words.pop_front() {
            if let Err(TrySendError::Full(word)) = self.spouts.samples.try_send(word) {
                self.words.push_front(word);
                return;
            }
        }
    }

    /// For how long the shard may sleep at most; `None`: as long as it likes.
    pub fn wait(&self, core: &parlor_media::Shard) -> Option<Duration> {
        let gathering = core.recorded_bytes().map(|_| GATHER.saturating_sub(self.gathered.elapsed()));
        let offering = (!self.words.is_empty()).then_some(GATHER);
        gathering.into_iter().chain(offering).min()
    }

    fn hand_over(&mut self, recorded: CoreRecorded) {
        let call = CallId::from(recorded.call.0);
        let mut events = self.missed.remove(&call).unwrap_or_default();
        events.reserve(recorded.events.len());
        let began_us = self.began_us;
        events.extend(recorded.events.into_iter().map(|event| event_of(event, began_us)));
        let batch = Recorded { call, events, bytes: recorded.bytes };
        if let Err(TrySendError::Full(batch)) = self.spouts.recorded.try_send(batch) {
            let packets = |event: &RecordedEvent| u64::from(matches!(event, RecordedEvent::Packet(_)));
            let before = |event: &RecordedEvent| if let RecordedEvent::Dropped(count) = event { *count } else { 0 };
            let lost: u64 = batch.events.iter().map(packets).sum();
            let dropped = lost + batch.events.iter().map(before).sum::<u64>();
            self.recorded_lost += lost;
            let ended = batch.events.into_iter().filter(|event| matches!(event, RecordedEvent::Ended(_)));
            let missed: Vec<_> = ended.chain([RecordedEvent::Dropped(dropped)]).collect();
            self.missed.insert(call, missed);
        }
    }
}

pub(super) fn codec_of(codec: parlor_media::Codec) -> Codec {
    match codec {
        parlor_media::Codec::Opus => Codec::Opus,
        parlor_media::Codec::Vp8 => Codec::Vp8,
        parlor_media::Codec::Vp9 => Codec::Vp9,
        parlor_media::Codec::H264 => Codec::H264,
        parlor_media::Codec::Av1 => Codec::Av1,
    }
}

fn event_of(event: CoreEvent, began_us: i64) -> RecordedEvent {
    match event {
        CoreEvent::Packet(packet) => RecordedEvent::Packet(RecordedPacket {
            participant: ParticipantId::from(packet.participant.0),
            track: TrackId::from(packet.track.0),
            source: match packet.source {
                parlor_media::Source::Microphone => TrackSource::Microphone,
                parlor_media::Source::Camera => TrackSource::Camera,
                parlor_media::Source::Screen => TrackSource::Screen,
                parlor_media::Source::ScreenAudio => TrackSource::ScreenAudio,
            },
            codec: codec_of(packet.codec),
            stream: packet.stream,
            index: packet.index,
            timestamp: packet.timestamp,
            marker: packet.marker,
            keyframe_start: packet.keyframe_start,
            arrived_us: began_us.saturating_add_unsigned(packet.arrived_us),
            captured_us: packet.captured_us,
            payload: packet.payload,
        }),
        CoreEvent::Ended(track) => RecordedEvent::Ended(TrackId::from(track.0)),
        CoreEvent::Dropped(count) => RecordedEvent::Dropped(count),
    }
}
