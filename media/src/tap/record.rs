//! Recording: every packet of the microphones and of each picture's highest layer, as it arrived.
//!
//! Packets are copied behind one another, a batch for each call, and taken away some times a second. A batch that nobody takes
//! stops to grow; what it misses is counted.

use std::ops::Range;

use crate::id::{CallId, ParticipantId, TrackId};
use crate::ring::Packet;
use crate::shard::Shard;
use crate::track::{Codec, Kind, Source, Track, TrackKey};

/// Payload bytes that a batch has at most: a quarter of a second of 50 cameras at 1.5 Mbit/s. What comes beyond it is dropped.
const MOST_BATCH: usize = 4 * 1024 * 1024;
/// Events that a batch has at most: as many packets of a hundred bytes.
const MOST_EVENTS: usize = 40_000;

/// What was copied of a call since the last time.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Recorded {
    /// Which call.
    pub call: CallId,
    /// What happened, in order.
    pub events: Vec<RecordedEvent>,
    /// The payloads, named by their ranges.
    pub bytes: Vec<u8>,
}

/// What a recorder is told.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum RecordedEvent {
    /// A packet came.
    Packet(RecordedPacket),
    /// The track is over.
    Ended(TrackId),
    /// So many packets found no room.
    Dropped(u64),
}

/// A packet of a recorded track. Packets come in the order of their arrival.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RecordedPacket {
    /// Whose.
    pub participant: ParticipantId,
    /// Of which track.
    pub track: TrackId,
    /// What the track shows.
    pub source: Source,
    /// What the payload is.
    pub codec: Codec,
    /// Which stream of the track: another number (a layer, a restarted encoder, an end of muting) begins with a key frame, with
    /// indexes and timestamps of its own.
    pub stream: u64,
    /// Sequence number with the rollovers counted.
    pub index: u64,
    /// RTP timestamp.
    pub timestamp: u32,
    /// RTP marker.
    pub marker: bool,
    /// The first packet of a key frame.
    pub keyframe_start: bool,
    /// Arrival, µs since the shard began.
    pub arrived_us: u64,
    /// Capture, µs of the publisher's clock, which all its tracks share; `None` before its first sender report.
    pub captured_us: Option<i64>,
    /// The payload, in the batch's bytes. Empty for padding, which only says that its index is not missing.
    pub payload: Range<usize>,
}

/// A recorded call's batch.
#[derive(Debug)]
pub(crate) struct Recorder {
    call: CallId,
    events: Vec<RecordedEvent>,
    bytes: Vec<u8>,
    dropped: u64,
    /// No more packets come; what is here still wants to be taken.
    over: bool,
}

/// Which stream of a track is being copied, and from which packet on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Copying {
    layer: u8,
    epoch: u64,
    from: u64,
    /// What the recorder calls it.
    stream: u64,
}

impl Recorder {
    fn new(call: CallId) -> Recorder {
        Recorder { call, events: Vec::new(), bytes: Vec::new(), dropped: 0, over: false }
    }

    fn is_empty(&self) -> bool {
        self.events.is_empty() && self.dropped == 0
    }

    fn take(&mut self) -> Recorded {
        // The next batch will be about as long.
        let room = (self.events.len(), self.bytes.len());
        let mut events = std::mem::replace(&mut self.events, Vec::with_capacity(room.0));
        let bytes = std::mem::replace(&mut self.bytes, Vec::with_capacity(room.1));
        if self.dropped > 0 {
            events.push(RecordedEvent::Dropped(std::mem::take(&mut self.dropped)));
        }
        Recorded { call: self.call, events, bytes }
    }
}

impl Shard {
    /// Copies all tracks of a call from now on, also those to come, or ceases to. The call may be one that has not begun.
    pub fn record(&mut self, call: CallId, on: bool) {
        let known = self.recorders.iter().position(|recorder| recorder.call == call && !recorder.over);
        match (known, on) {
            (None, true) => self.recorders.push(Recorder::new(call)),
            (Some(at), false) => self.recorders[at].over = true,
            (Some(_), true) | (None, false) => return,
        }
        let Some(&key) = self.by_call.get(&call) else { return };
        self.work_for(key, crate::fault::Step::Command);
        self.calls[key].recorded = on;
        for at in 0..self.calls[key].tracks.len() {
            let track = self.calls[key].tracks[at];
            self.tracks[track].copying = None;
            self.look_after_recording(track);
        }
    }

    /// Whether a call is to be recorded.
    pub(crate) fn is_recorded(&self, call: CallId) -> bool {
        self.recorders.iter().any(|recorder| recorder.call == call && !recorder.over)
    }

    /// What was copied since the last time, call by call, until `None`.
    pub fn poll_recorded(&mut self) -> Option<Recorded> {
        let recorded = self.recorders.iter_mut().find(|recorder| !recorder.is_empty()).map(Recorder::take);
        if recorded.is_none() {
            self.recorders.retain(|recorder| !recorder.over);
        }
        recorded
    }

    /// Payload bytes that wait to be taken; `None` when nothing does.
    #[must_use]
    pub fn recorded_bytes(&self) -> Option<usize> {
        let waiting = self.recorders.iter().filter(|recorder| !recorder.is_empty());
        waiting.map(|recorder| recorder.bytes.len()).reduce(|one, other| one + other)
    }

    /// Asks for a key frame of what is recorded of a track.
    pub fn want_keyframe(&mut self, track: TrackId) {
        let Some(&key) = self.by_track.get(&track) else { return };
        let track = &mut self.tracks[key];
        let copied = track.copying.map(|copying| usize::from(copying.layer));
        if let Some(layer) = copied.or_else(|| track.highest_sent())
            && track.source.kind() == Kind::Video
        {
            track.keyframes.want(layer);
        }
    }

    /// A packet of a recorded call's track has been kept.
    pub(crate) fn copy(&mut self, key: TrackKey, place: usize, index: u64) {
        let track = &mut self.tracks[key];
        let layer = &track.layers[place];
        let here = (place as u8, layer.epoch);
        let goes_on = track.copying.filter(|it| (it.layer, it.epoch) == here);
        let last = match goes_on {
            Some(copying) if index < copying.from => return,
            Some(_) => index,
            None => {
                let begins = layer.ring.find(index).is_some_and(|(packet, _)| packet.frame.keyframe_start);
                if track.source.kind() == Kind::Video && !(begins && track.highest_sent() == Some(place)) {
                    return;
                }
                self.epochs += 1;
                let (layer, epoch) = here;
                track.copying = Some(Copying { layer, epoch, from: index, stream: self.epochs });
                let layer = &track.layers[place];
                // Packets of the key frame that have overtaken its first one.
                layer.highest()
            }
        };
        for index in index..=last {
            self.copy_one(key, place, index);
        }
    }

    /// An index of a recorded call's track has come without content.
    pub(crate) fn copy_padding(&mut self, key: TrackKey, place: usize, packet: &Packet) {
        let track = &self.tracks[key];
        let here = (place as u8, track.layers[place].epoch);
        if track.copying.is_some_and(|it| (it.layer, it.epoch) == here && packet.index >= it.from) {
            let call = self.calls[track.call].id;
            append(&mut self.recorders, call, track, place, packet, &[]);
        }
    }

    fn copy_one(&mut self, key: TrackKey, place: usize, index: u64) {
        let track = &self.tracks[key];
        let Some((packet, payload)) = track.layers[place].ring.find(index) else { return };
        let call = self.calls[track.call].id;
        self.stats.recorded += u64::from(append(&mut self.recorders, call, track, place, packet, payload));
    }

    /// Several times a second: a recorded picture is to be in its highest layer.
    pub(crate) fn look_after_recording(&mut self, key: TrackKey) {
        let track = &mut self.tracks[key];
        if track.source.kind() != Kind::Video || !track.active || track.is_muted() {
            return;
        }
        let Some(highest) = track.highest_sent() else { return };
        let epoch = track.layers[highest].epoch;
        if track.copying.is_none_or(|it| (usize::from(it.layer), it.epoch) != (highest, epoch)) {
            track.keyframes.want(highest);
        }
    }

    /// A track is over.
    pub(crate) fn end_recording(&mut self, call: CallId, track: TrackId) {
        let mut recorders = self.recorders.iter_mut();
        if let Some(recorder) = recorders.find(|recorder| recorder.call == call && !recorder.over) {
            recorder.events.push(RecordedEvent::Ended(track));
        }
    }
}

/// Puts a packet behind the others of its call; false when there is no room or nobody records.
fn append(
    recorders: &mut [Recorder],
    call: CallId,
    track: &Track,
    place: usize,
    packet: &Packet,
    payload: &[u8],
) -> bool {
    let recorder = recorders.iter_mut().find(|recorder| recorder.call == call && !recorder.over);
    let (Some(recorder), Some(copying)) = (recorder, track.copying) else { return false };
    if recorder.bytes.len() + payload.len() > MOST_BATCH || recorder.events.len() >= MOST_EVENTS {
        recorder.dropped += 1;
        return false;
    }
    let start = recorder.bytes.len();
    // Redundant audio is what the network needs: a file gets the frames as they came.
    recorder.bytes.extend_from_slice(&payload[usize::from(packet.primary_at)..]);
    recorder.events.push(RecordedEvent::Packet(RecordedPacket {
        participant: track.participant,
        track: track.id,
        source: track.source,
        codec: track.codec,
        stream: copying.stream,
        index: packet.index,
        timestamp: packet.timestamp,
        marker: packet.marker,
        keyframe_start: packet.frame.keyframe_start,
        arrived_us: packet.arrived_us,
        captured_us: track.layers[place].captured_us(packet.timestamp),
        payload: start..recorder.bytes.len(),
    }));
    true
}
