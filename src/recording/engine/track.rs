//! One recorded track: from packets as they arrive to frames that have their time in the recording.

use std::collections::VecDeque;

use super::clock::{AudioClock, PublisherClock, VideoClock};
use super::frames::{Assembler, Meta, Whole};
use super::opus;
use super::reorder::{Arrival, Reorder};
use super::webm::{self, Picture};
use crate::domain::{ParticipantId, TrackSource};
use crate::sfu::{Codec, RecordedPacket};

/// How long a track's first frames wait for its first sender report. Then arrival counts until the report comes.
const HOLD_US: i64 = 1_000_000;
/// A frame that would be this much later than its own arrival has a senseless time and is dropped.
const AHEAD_US: i64 = 1_000_000;
/// Bytes of frames that a track may have waiting: more than two seconds at 20 Mbit/s.
const MOST_GATHERED: usize = 8 * 1024 * 1024;
/// A track that cannot be decoded asks for a key frame this often.
const ASK_EVERY_US: i64 = 1_000_000;
/// A picture without a key frame for so long asks for one: one jumps only to key frames.
const JUMP_EVERY_US: i64 = 30_000_000;
/// A track without packets for this long is asked nothing.
const SILENT_US: i64 = 2_000_000;
/// The clock of pictures' timestamps (RFC 7741 §6, RFC 6184 §8.2.1).
const VIDEO_HZ: i64 = 90_000;

/// What a track has seen.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Packets that came.
    pub packets: u64,
    /// Packets that came again, or too late.
    pub late: u64,
    /// Packets that never came.
    pub lost: u64,
    /// Frames that were written.
    pub frames: u64,
    /// Frames that were begun and came to nothing.
    pub dropped: u64,
}

/// A whole frame at the front of those that wait to be written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Frame {
    /// Its time in the recording; `None`: not known yet, or it is to be left out.
    pub time_us: Option<i64>,
    /// Its length.
    pub bytes: usize,
    /// Whether decoding can begin with it.
    pub key: bool,
    /// When its last packet came.
    pub arrived_us: i64,
    ticks: i64,
    first: Meta,
    duration_us: i64,
}

/// A recorded track.
#[derive(Debug)]
pub struct Track {
    /// Who publishes it.
    pub participant: ParticipantId,
    /// What it shows.
    pub source: TrackSource,
    /// No more packets come.
    pub ended: bool,
    /// When the last packet came.
    pub heard_us: i64,
    codec: Codec,
    stream: Option<u64>,
    reorder: Reorder,
    assembler: Assembler,
    pace: Pace,
    /// The last frame's timestamp with its rollovers.
    ticks: Option<i64>,
    /// The track's own timestamps as a clock, for as long as no sender report says more.
    arrivals: PublisherClock,
    by_report: bool,
    /// Frames get their times as they come.
    timed: bool,
    /// The frames' bytes, and at their end those of the frame that is being put together.
    gathered: Vec<u8>,
    frames: VecDeque<Frame>,
    /// So many of the frames have been given their times.
    placed: usize,
    last_us: Option<i64>,
    asked_us: Option<i64>,
    key_us: i64,
    now_us: i64,
    whole: Vec<Whole>,
    counts: Counts,
}

#[derive(Debug)]
enum Pace {
    Video(VideoClock),
    Audio(AudioClock),
}

impl Track {
    /// The track that this packet belongs to.
    pub fn new(packet: &RecordedPacket, now_us: i64) -> Track {
        let audio = packet.codec == Codec::Opus;
        Track {
            participant: packet.participant,
            source: packet.source,
            ended: false,
            heard_us: now_us,
            codec: packet.codec,
            stream: None,
            reorder: Reorder::default(),
            assembler: Assembler::new(packet.codec),
            pace: if audio { Pace::Audio(AudioClock::default()) } else { Pace::Video(VideoClock::default()) },
            ticks: None,
            arrivals: PublisherClock::default(),
            by_report: false,
            timed: false,
            gathered: Vec::new(),
            frames: VecDeque::new(),
            placed: 0,
            last_us: None,
            asked_us: None,
            key_us: now_us,
            now_us,
            whole: Vec::new(),
            counts: Counts::default(),
        }
    }

    /// The number that the file gives it.
    pub fn number(&self) -> u8 {
        if self.codec == Codec::Opus { webm::AUDIO } else { webm::VIDEO }
    }

    /// Takes a packet, in whatever order it comes.
    pub fn take(&mut self, packet: &RecordedPacket, meta: Meta, payload: &[u8], publisher: &mut PublisherClock) {
        self.counts.packets += 1;
        self.heard_us = self.heard_us.max(meta.arrived_us);
        self.now_us = self.now_us.max(meta.arrived_us);
        if self.stream != Some(packet.stream) {
            self.begin_stream(publisher);
            self.stream = Some(packet.stream);
        }
        self.compare(&meta, publisher);
        match self.reorder.offer(packet.index, &meta, payload) {
            Arrival::Next => {
                self.feed(meta, false, payload, publisher);
                self.drain(publisher);
            }
            Arrival::Kept => self.drain(publisher),
            Arrival::Useless => self.counts.late += 1,
        }
    }

    /// Time has passed: gives up what has been waited for long enough.
    pub fn tick(&mut self, now_us: i64, publisher: &PublisherClock) {
        self.now_us = self.now_us.max(now_us);
        self.drain(publisher);
        self.place(self.is_full(), publisher);
    }

    /// No more packets come: what is here is all.
    pub fn end(&mut self, now_us: i64, publisher: &PublisherClock) {
        self.now_us = self.now_us.max(now_us);
        self.finish_stream(publisher);
        self.ended = true;
    }

    /// Notes what the packet tells of the clocks.
    fn compare(&mut self, meta: &Meta, publisher: &mut PublisherClock) {
        let ticks = self.count_rollovers(meta.timestamp);
        self.ticks.get_or_insert(ticks);
        match meta.captured_us {
            Some(captured_us) => publisher.note(meta.arrived_us, captured_us),
            None => self.arrivals.note(meta.arrived_us, self.us(ticks)),
        }
    }

    fn count_rollovers(&self, timestamp: u32) -> i64 {
        self.ticks.map_or(i64::from(timestamp), |last| {
            last.wrapping_add(i64::from(timestamp.wrapping_sub(last as u32) as i32))
        })
    }

    fn begin_stream(&mut self, publisher: &PublisherClock) {
        self.finish_stream(publisher);
        self.reorder.begin_anew();
        match &mut self.pace {
            Pace::Video(clock) => clock.rejoin(),
            Pace::Audio(clock) => clock.rejoin(),
        }
        (self.ticks, self.timed, self.arrivals) = (None, false, PublisherClock::default());
        // A stream begins with a key frame; it has yet to come in whole.
        self.asked_us = Some(self.now_us);
    }

    /// Everything that the stream has left, as good as it gets.
    fn finish_stream(&mut self, publisher: &PublisherClock) {
        while let Some(kept) = self.reorder.pop_anyway() {
            self.feed(kept.meta, kept.after_loss, &kept.payload, publisher);
        }
        self.assembler.lose(&mut self.gathered);
        self.place(true, publisher);
    }

    fn drain(&mut self, publisher: &PublisherClock) {
        while let Some(kept) = self.reorder.pop(self.now_us) {
            self.feed(kept.meta, kept.after_loss, &kept.payload, publisher);
        }
    }

    /// The next packet in order.
    fn feed(&mut self, meta: Meta, after_loss: bool, payload: &[u8], publisher: &PublisherClock) {
        let mut whole = std::mem::take(&mut self.whole);
        self.assembler.take(meta, after_loss, payload, &mut self.gathered, &mut whole);
        for frame in whole.drain(..) {
            self.queue(&frame, publisher);
        }
        self.whole = whole;
    }

    fn queue(&mut self, whole: &Whole, publisher: &PublisherClock) {
        let ticks = self.count_rollovers(whole.first.timestamp);
        self.ticks = Some(ticks);
        if whole.key {
            (self.asked_us, self.key_us) = (None, whole.arrived_us);
        }
        let Whole { first, arrived_us, bytes, key, duration_us } = *whole;
        self.frames.push_back(Frame { time_us: None, bytes, key, arrived_us, ticks, first, duration_us });
        self.place(false, publisher);
    }

    fn clock_hz(&self) -> i64 {
        if self.codec == Codec::Opus { i64::from(opus::CLOCK_HZ) } else { VIDEO_HZ }
    }

    fn us(&self, ticks: i64) -> i64 {
        ticks.saturating_mul(1_000_000) / self.clock_hz()
    }

    /// Gives frames their times, once it is known where the stream stands, or has to be guessed.
    fn place(&mut self, force: bool, publisher: &PublisherClock) {
        if !self.timed {
            let Some(first) = self.frames.get(self.placed) else { return };
            let reported =
                self.frames.range(self.placed..).find_map(|frame| Some((frame.ticks, frame.first.captured_us?)));
            let known = reported.is_some() && publisher.is_settled(self.now_us);
            if !known && !force && self.now_us < first.arrived_us + HOLD_US {
                return;
            }
            self.timed = true;
            if let Some((ticks, captured_us)) = reported {
                self.date_back(ticks, captured_us);
            }
        }
        while let Some(frame) = self.frames.get(self.placed).copied() {
            let time_us = self.time_of(&frame, publisher);
            // A time that makes no sense: nothing is drawn from it, and a picture that is left out is missed by those that follow.
            let time_us = time_us.filter(|time_us| *time_us <= frame.arrived_us.saturating_add(AHEAD_US));
            match time_us {
                Some(_) => self.last_us = time_us,
                None => {
                    self.counts.dropped += 1;
                    if self.codec != Codec::Opus {
                        self.assembler.lose(&mut self.gathered);
                    }
                }
            }
            self.frames[self.placed].time_us = time_us;
            self.placed += 1;
        }
    }

    /// Frames that came before the first report were captured before, too.
    fn date_back(&mut self, ticks: i64, captured_us: i64) {
        for at in self.placed..self.frames.len() {
            let frame = self.frames[at];
            if frame.first.captured_us.is_some() {
                break;
            }
            let before_us = self.us(ticks.wrapping_sub(frame.ticks));
            self.frames[at].first.captured_us = Some(captured_us.saturating_sub(before_us));
        }
    }

    fn time_of(&mut self, frame: &Frame, publisher: &PublisherClock) -> Option<i64> {
        let (arrived_us, hz) = (frame.first.arrived_us, self.clock_hz());
        let captured_us = frame.first.captured_us.filter(|_| publisher.is_settled(self.now_us));
        let reported = captured_us.and_then(|captured_us| publisher.place(arrived_us, captured_us));
        let aim_us = reported.or_else(|| self.arrivals.place(arrived_us, self.us(frame.ticks))).unwrap_or(arrived_us);
        let is_news = reported.is_some() && !std::mem::replace(&mut self.by_report, reported.is_some());
        match &mut self.pace {
            Pace::Video(clock) => Some(clock.place(frame.ticks, hz, aim_us)),
            Pace::Audio(clock) => clock.place(frame.ticks, hz, frame.duration_us, aim_us, is_news),
        }
    }

    /// Whether the publisher should be asked for a key frame now.
    pub fn wants_keyframe(&mut self, now_us: i64) -> bool {
        if self.codec == Codec::Opus || self.ended || now_us > self.heard_us + SILENT_US {
            return false;
        }
        let lost = self.assembler.is_lost();
        let wanted = lost || now_us > self.key_us + JUMP_EVERY_US;
        let patience_us = if lost { ASK_EVERY_US } else { JUMP_EVERY_US / 3 };
        let asked = self.asked_us.is_some_and(|asked_us| now_us < asked_us + patience_us);
        if wanted && !asked {
            self.asked_us = Some(now_us);
        }
        wanted && !asked
    }

    /// The frames that wait to be written, first one first.
    pub fn placed(&self) -> impl Iterator<Item = &Frame> {
        self.frames.iter().take(self.placed)
    }

    /// The same with their bytes.
    pub fn placed_bytes(&self) -> impl Iterator<Item = (&Frame, &[u8])> {
        let mut rest = &self.gathered[..];
        self.placed().map(move |frame| {
            let (bytes, behind) = rest.split_at(frame.bytes);
            rest = behind;
            (frame, bytes)
        })
    }

    /// The time of the last frame that has one.
    pub fn placed_until_us(&self) -> Option<i64> {
        self.last_us
    }

    /// Takes the first so many frames away: they are written.
    pub fn drop_front(&mut self, frames: usize) {
        let mut bytes = 0;
        for frame in self.frames.drain(..frames) {
            bytes += frame.bytes;
            self.counts.frames += u64::from(frame.time_us.is_some());
        }
        self.gathered.drain(..bytes);
        self.assembler.shift(bytes);
        self.placed -= frames;
    }

    /// Whether so much waits that it has to be written, in whatever order.
    pub fn is_full(&self) -> bool {
        self.gathered.len() > MOST_GATHERED
    }

    /// Whether nothing is left of an ended track.
    pub fn is_over(&self) -> bool {
        self.ended && self.frames.is_empty()
    }

    /// The picture's declaration, once there is a key frame.
    pub fn picture(&self) -> Option<&Picture> {
        self.assembler.picture()
    }

    /// Bytes that have come and are not written.
    #[cfg(test)]
    pub fn waiting_bytes(&self) -> usize {
        self.gathered.len() + self.reorder.bytes()
    }

    /// What was counted since the last time.
    pub fn take_counts(&mut self) -> Counts {
        let lost = std::mem::take(&mut self.reorder.lost);
        let torn = std::mem::take(&mut self.assembler.dropped);
        let counts = std::mem::take(&mut self.counts);
        Counts { lost, dropped: counts.dropped + torn, ..counts }
    }
}
