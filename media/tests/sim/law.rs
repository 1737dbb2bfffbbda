//! What must hold of each slot's stream, looked at where it leaves the server, in the clear and before the network.

use std::collections::{BTreeMap, BTreeSet, HashMap, VecDeque};
use std::time::{Duration, Instant};

use parlor_media::client::Slot;
use parlor_media::rtp::Header;
use parlor_media::sdp::Kind;
use parlor_media::srtp::RolloverWindow;

use crate::content::{Content, StreamId};

/// Packets of a stream that are remembered to compare what is sent again with.
const REMEMBERED: usize = 4_096;
/// A packet waits so long to be sent at most.
const PACED: Duration = Duration::from_millis(600);
/// The clock of a slot may be this far ahead of what has passed, when it goes over to another source.
const SLACK: Duration = Duration::from_millis(1_500);

/// Which packets of each published stream the server has taken.
#[derive(Default)]
pub struct Arrived {
    before: HashMap<StreamId, BTreeSet<u32>>,
    /// What came of late: it is forwarded in the order in which it came, and may wait to be paced.
    of_late: VecDeque<(Instant, StreamId, u32)>,
}

impl Arrived {
    pub fn add(&mut self, now: Instant, stream: StreamId, number: u32) {
        self.of_late.push_back((now, stream, number));
    }

    /// What has come a while ago must have been forwarded.
    pub fn settle(&mut self, now: Instant) {
        while self.of_late.front().is_some_and(|(at, ..)| *at + PACED <= now) {
            let Some((_, stream, number)) = self.of_late.pop_front() else { return };
            let numbers = self.before.entry(stream).or_default();
            numbers.insert(number);
            while numbers.len() > 2 * REMEMBERED {
                numbers.pop_first();
            }
        }
    }

    /// Forgets what a guest published in an earlier life.
    pub fn forget(&mut self, who: u16) {
        self.before.retain(|stream, _| stream.who != who);
        self.of_late.retain(|(_, stream, _)| stream.who != who);
    }

    /// Whether a packet was there before this moment.
    pub fn has(&self, now: Instant, stream: StreamId, number: u32) -> bool {
        self.before.get(&stream).is_some_and(|numbers| numbers.contains(&number))
            || self.of_late.iter().any(|(at, known, other)| *at < now && (*known, *other) == (stream, number))
    }

    /// How many packets between two (exclusive) have not arrived.
    fn missing(&self, stream: StreamId, after: u32, before: u32) -> u64 {
        let between = u64::from(before.saturating_sub(after).saturating_sub(1));
        let come = self.before.get(&stream).map_or(0, |numbers| numbers.range(after + 1..before).count() as u64);
        between.saturating_sub(come)
    }
}

/// A packet of a slot as it left the server.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Sent {
    pub index: u64,
    pub timestamp: u32,
    pub picture: u16,
    /// `None` for what the server made itself.
    pub content: Option<Content>,
    pub at: Instant,
    pub again: bool,
}

/// One slot's outbound stream.
pub struct Law {
    pub is_video: bool,
    pub ssrc: u32,
    pub rtx_ssrc: Option<u32>,
    pub packets: u64,
    pub resent: u64,
    window: RolloverWindow,
    rtx_window: RolloverWindow,
    highest: Option<Sent>,
    remembered: BTreeMap<u64, Sent>,
    /// Frames of which something was forwarded, and from which to which frame a stream flowed; if they are kept.
    pub frames: BTreeSet<(StreamId, u32)>,
    pub spans: Vec<(StreamId, std::ops::RangeInclusive<u32>)>,
    /// What was sent again before it was sent.
    anticipated: BTreeMap<u64, Sent>,
    begun: Instant,
    /// Packets may have been numbered and thrown away: a call on the same shard broke.
    forgiven: bool,
    keeps_frames: bool,
}

impl Law {
    pub fn new(slot: &Slot, now: Instant, keeps_frames: bool) -> Law {
        Law {
            is_video: slot.kind == Kind::Video,
            ssrc: slot.ssrc,
            rtx_ssrc: slot.rtx_ssrc,
            packets: 0,
            resent: 0,
            window: RolloverWindow::default(),
            rtx_window: RolloverWindow::default(),
            highest: None,
            remembered: BTreeMap::new(),
            frames: BTreeSet::new(),
            spans: Vec::new(),
            anticipated: BTreeMap::new(),
            begun: now,
            keeps_frames,
            forgiven: false,
        }
    }

    /// The furthest packet so far.
    pub fn last(&self) -> Option<Sent> {
        self.highest
    }

    /// The index of a packet under its own number, for opening it.
    pub fn index(&self, header: &Header) -> Option<u64> {
        if header.ssrc == self.ssrc {
            Some(self.window.estimate(header.sequence))
        } else {
            (Some(header.ssrc) == self.rtx_ssrc).then(|| self.rtx_window.estimate(header.sequence))
        }
    }

    /// A neighbour's call broke in the middle of a tick: what was numbered may not have been sent.
    pub fn forgive(&mut self) {
        self.forgiven = true;
    }

    /// Takes note of an opened packet.
    ///
    /// # Errors
    /// The law that it breaks, in words. `Ok(None)`: padding.
    pub fn note(
        &mut self,
        now: Instant,
        header: &Header,
        index: u64,
        payload: &[u8],
        arrived: &Arrived,
    ) -> Result<Option<Sent>, String> {
        if Some(header.ssrc) == self.rtx_ssrc {
            return self.note_again(header, index, payload);
        }
        if let Some(before) = self.remembered.get(&index) {
            // What fills a number that was left out has no other packet to be sent again in.
            let fills = payload.is_empty() && before.content.is_none() && before.timestamp == header.timestamp;
            return if fills { Ok(None) } else { Err(format!("number {index} is given twice")) };
        }
        self.window.accept(index);
        let read = Content::read(payload, self.is_video);
        if self.is_video && read.is_none() && !payload.is_empty() {
            return Err(format!("a payload of {} bytes that nobody published", payload.len()));
        }
        let (content, picture) = read.map_or((None, 0), |(content, picture)| (Some(content), picture));
        let sent = Sent { index, timestamp: header.timestamp, picture, content, at: now, again: false };
        if let Some(before) = self.anticipated.remove(&index)
            && (before.timestamp, before.picture, before.content) != (sent.timestamp, sent.picture, sent.content)
        {
            return Err(format!("number {index} was {before:?} and is now {sent:?}"));
        }
        match self.highest {
            Some(before) if index > before.index => self.follows(&before, &sent, arrived)?,
            Some(before) => self.fills(&before, &sent)?,
            None => {
                if let Some(content) = content.filter(|_| self.is_video)
                    && !(content.keyframe && content.part == 0)
                {
                    return Err(format!("a picture begins without a key frame: {content:?}"));
                }
            }
        }
        self.packets += 1;
        if self.highest.is_none_or(|before| index > before.index) {
            self.highest = Some(sent);
        }
        if let Some(content) = content {
            self.keep_span(&content);
        }
        self.remembered.insert(index, sent);
        if self.remembered.len() > REMEMBERED {
            self.remembered.pop_first();
        }
        Ok(Some(sent))
    }

    fn keep_span(&mut self, content: &Content) {
        let (stream, frame) = (content.stream, content.frame);
        if self.frames.len() < 100_000 && self.keeps_frames {
            self.frames.insert((stream, frame));
            match self.spans.last_mut() {
                Some((known, span)) if *known == stream => {
                    *span = *span.start().min(&frame)..=*span.end().max(&frame);
                }
                _ => self.spans.push((stream, frame..=frame)),
            }
        }
    }

    fn note_again(&mut self, header: &Header, index: u64, payload: &[u8]) -> Result<Option<Sent>, String> {
        if let Some(highest) = self.rtx_window.highest()
            && index != highest + 1
            && !self.forgiven
        {
            return Err(format!("retransmissions go from {highest} to {index}"));
        }
        self.rtx_window.accept(index);
        let Some((original, rest)) = payload.split_at_checked(2) else { return Ok(None) };
        let sequence = u16::from_be_bytes([original[0], original[1]]);
        let highest = self.highest.map_or(0, |highest| highest.index);
        let original = highest.wrapping_add_signed(i64::from(sequence.wrapping_sub(highest as u16) as i16));
        let now_read = Content::read(rest, self.is_video);
        let Some(first) = self.remembered.get(&original) else {
            return self.anticipate(original, highest, header, now_read);
        };
        if (first.timestamp, first.content.map(|content| (content, first.picture))) != (header.timestamp, now_read) {
            return Err(format!("number {original} was {first:?} and is now {:?} at {}", now_read, header.timestamp));
        }
        self.resent += 1;
        Ok(Some(Sent { again: true, ..*first }))
    }

    /// A hole that is asked for in the very turn in which its packet comes is filled by the answer first.
    fn anticipate(
        &mut self,
        index: u64,
        highest: u64,
        header: &Header,
        read: Option<(Content, u16)>,
    ) -> Result<Option<Sent>, String> {
        let Some((content, picture)) = read.filter(|_| index < highest) else {
            return Err(format!("number {index} is sent again, but never was (the highest is {highest})"));
        };
        let timestamp = header.timestamp;
        let sent = Sent {
            index,
            timestamp,
            picture,
            content: Some(content),
            at: self.highest.map_or(self.begun, |it| it.at),
            again: true,
        };
        if let Some(highest) = self.highest {
            self.fills(&highest, &sent)?;
        }
        self.anticipated.insert(index, sent);
        if self.anticipated.len() > REMEMBERED {
            self.anticipated.pop_first();
        }
        self.resent += 1;
        Ok(Some(sent))
    }

    /// A packet ahead of all others.
    fn follows(&self, before: &Sent, sent: &Sent, arrived: &Arrived) -> Result<(), String> {
        let missing = if self.forgiven { 0 } else { sent.index - before.index - 1 };
        let ticks = sent.timestamp.wrapping_sub(before.timestamp) as i32;
        let (Some(old), Some(new)) = (before.content, sent.content) else {
            // Before or behind what the server made itself.
            return if ticks >= 0 { Ok(()) } else { Err(format!("the clock goes back by {ticks}")) };
        };
        let pictures = sent.picture.wrapping_sub(before.picture) & 0x7fff;
        if old.stream == new.stream && old.number < new.number {
            let lost = arrived.missing(old.stream, old.number, new.number);
            // Silence that overtook itself on the way leaves the numbers that were kept for it.
            let lost = if self.is_video { lost } else { u64::from(new.number - old.number - 1) };
            if missing > lost {
                return Err(format!(
                    "{missing} numbers are left out where {lost} packets are missing: {old:?} → {new:?}"
                ));
            }
            let frames = new.frame - old.frame;
            if (ticks == 0) != (frames == 0) {
                return Err(format!("{frames} frames are {ticks} ticks: {old:?} → {new:?}"));
            }
            let expected = new.timestamp.wrapping_sub(old.timestamp) as i32;
            if ticks == expected && ticks >= 0 {
                return self.pictures_follow(frames, pictures, lost, (&old, &new));
            }
            // A stream may be left and taken up again meanwhile; then its clock is continued.
            if !(new.keyframe && frames > 0) && self.is_video {
                return Err(format!("the clock goes on by {ticks}, not {expected}: {old:?} → {new:?}"));
            }
            self.pictures_follow(frames, pictures, lost, (&old, &new))?;
        } else {
            if missing > 0 {
                return Err(format!("{missing} numbers are left out at a change of source: {old:?} → {new:?}"));
            }
            if self.is_video && !(new.keyframe && new.part == 0) {
                return Err(format!("a source begins without a key frame: {old:?} → {new:?}"));
            }
            if self.is_video && pictures != 1 && !self.forgiven {
                return Err(format!("the picture id goes on by {pictures}: {old:?} → {new:?}"));
            }
        }
        let hz = if self.is_video { 90_000.0 } else { 48_000.0 };
        let most = ((sent.at - before.at + SLACK).as_secs_f64() * hz) as i64;
        if ticks < 0 || i64::from(ticks) > most {
            return Err(format!("the clock goes on by {ticks} ticks, of {most} at most: {old:?} → {new:?}"));
        }
        Ok(())
    }

    /// A picture id stands for each frame that goes to the receiver, and for each of which nothing had come yet: what comes of those
    /// later may be left out all the same.
    fn pictures_follow(
        &self,
        frames: u32,
        pictures: u16,
        lost: u64,
        (old, new): (&Content, &Content),
    ) -> Result<(), String> {
        if self.is_video && !self.forgiven && u64::from(pictures) > 1 + lost {
            return Err(format!("{pictures} picture ids where {lost} packets are missing: {old:?} → {new:?}"));
        }
        if self.is_video && (u32::from(pictures) > frames || (frames > 0) != (pictures > 0)) {
            return Err(format!("{frames} frames are {pictures} picture ids: {old:?} → {new:?}"));
        }
        Ok(())
    }

    /// A packet behind the highest, which came late.
    fn fills(&self, highest: &Sent, sent: &Sent) -> Result<(), String> {
        if sent.timestamp.wrapping_sub(highest.timestamp) as i32 > 0 {
            return Err(format!("a late packet is dated after the highest: {sent:?}, {highest:?}"));
        }
        let Some(content) = sent.content else { return Ok(()) };
        let neighbours = self.remembered.range(..sent.index).next_back().into_iter();
        for (_, other) in neighbours.chain(self.remembered.range(sent.index..).next()) {
            let Some(known) = other.content.filter(|known| known.stream == content.stream) else { continue };
            if (known.frame == content.frame) != (other.timestamp == sent.timestamp) {
                return Err(format!("a late packet has another date than its frame: {sent:?}, {other:?}"));
            }
            if (known.number < content.number) != (other.index < sent.index) {
                return Err(format!("a late packet is out of order: {sent:?}, {other:?}"));
            }
            if self.is_video && known.frame == content.frame && other.picture != sent.picture {
                return Err(format!("a late packet has another picture id than its frame: {sent:?}, {other:?}"));
            }
        }
        Ok(())
    }
}
