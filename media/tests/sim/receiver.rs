//! What a browser's receiver does with one slot: asks again for what is missing, for a key frame when it cannot decode, and counts
//! the frames that are whole.

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

use parlor_media::client::Slot;
use parlor_media::rtp::Header;
use parlor_media::sdp::Kind;

use crate::content::{Content, StreamId};

/// A packet may be this late before it is asked for.
const REORDER: Duration = Duration::from_millis(12);
/// Before anything was answered, it is asked again after this long.
const FIRST_RETRY: Duration = Duration::from_millis(260);
const MOST_TRIES: u32 = 8;
/// Nobody waits for a picture longer.
const USELESS: Duration = Duration::from_secs(1);
/// Without a frame that can be shown, a key frame is asked for this often.
const PLI_EVERY: Duration = Duration::from_millis(400);
/// Holes that are followed at once.
const MOST_MISSING: usize = 1_000;

struct Missing {
    since: Instant,
    asked: Option<Instant>,
    tries: u32,
}

/// A frame and when each of its packets was there.
pub struct Frame {
    pub parts: u8,
    pub got: BTreeSet<u8>,
    pub whole_at: Option<Instant>,
}

pub struct Receiver {
    pub is_video: bool,
    pub ssrc: u32,
    pub rtx_ssrc: Option<u32>,
    /// Frames by stream and number, when they are kept.
    pub frames: BTreeMap<(StreamId, u32), Frame>,
    pub keeps_frames: bool,
    pub last_media: Option<Instant>,
    /// When the last whole frame of each publisher was complete, and how many came.
    pub whole: u64,
    pub last_whole: Option<(Instant, Content)>,
    pub asked: u64,
    /// Packets that came only by being sent again.
    pub repaired: u64,
    /// Packets sent again that were there already.
    pub useless: u64,
    highest: Option<u64>,
    missing: BTreeMap<u64, Missing>,
    retry: Duration,
    wants_keyframe: Option<Instant>,
}

impl Receiver {
    pub fn new(slot: &Slot, keeps_frames: bool) -> Receiver {
        Receiver {
            is_video: slot.kind == Kind::Video,
            ssrc: slot.ssrc,
            rtx_ssrc: slot.rtx_ssrc,
            frames: BTreeMap::new(),
            keeps_frames,
            last_media: None,
            whole: 0,
            last_whole: None,
            asked: 0,
            repaired: 0,
            useless: 0,
            highest: None,
            missing: BTreeMap::new(),
            retry: FIRST_RETRY,
            wants_keyframe: None,
        }
    }

    /// Takes a packet of this slot, opened.
    pub fn take(&mut self, now: Instant, header: &Header, payload: &[u8]) {
        let again = Some(header.ssrc) == self.rtx_ssrc;
        let (sequence, payload) = match payload.split_at_checked(2) {
            Some((original, rest)) if again => (u16::from_be_bytes([original[0], original[1]]), rest),
            // Probes on the retransmission stream have no content.
            None if again => return,
            _ => (header.sequence, payload),
        };
        let highest = self.highest.unwrap_or(u64::from(sequence) + 65_536);
        let index = highest.wrapping_add_signed(i64::from(sequence.wrapping_sub(highest as u16) as i16));
        let known = self.highest.is_some() && index <= highest && !self.missing.contains_key(&index);
        if index > highest && self.highest.is_some() && self.is_video {
            for index in highest + 1..index {
                self.missing.insert(index, Missing { since: now, asked: None, tries: 0 });
            }
            while self.missing.len() > MOST_MISSING {
                self.missing.pop_first();
                self.wants_keyframe = self.wants_keyframe.or(Some(now));
            }
        }
        self.highest = Some(highest.max(index));
        if let Some(missing) = self.missing.remove(&index)
            && again
        {
            self.repaired += 1;
            if let (Some(asked), 1) = (missing.asked, missing.tries) {
                let answer = now - asked;
                self.retry = (self.retry * 3 + answer * 5 / 4) / 4;
            }
        } else if again {
            self.useless += 1;
        }
        if known {
            return;
        }
        self.last_media = Some(now);
        if let Some((content, _)) = Content::read(payload, self.is_video) {
            self.count(now, content);
        }
    }

    fn count(&mut self, now: Instant, content: Content) {
        let frame = self.frames.entry((content.stream, content.frame)).or_insert_with(|| Frame {
            parts: content.parts,
            got: BTreeSet::new(),
            whole_at: None,
        });
        frame.got.insert(content.part);
        if frame.got.len() == usize::from(frame.parts) && frame.whole_at.is_none() {
            frame.whole_at = Some(now);
            self.whole += 1;
            self.last_whole = Some((now, content));
            self.wants_keyframe = None;
        }
        if !self.keeps_frames && self.frames.len() > 128 {
            self.frames.retain(|(stream, frame), _| *stream == content.stream && *frame + 64 > content.frame);
        }
    }

    /// The slot is empty from now on, or has another source: what is missing of the old one is of no use.
    pub fn begin_anew(&mut self, now: Instant, shown: bool) {
        self.wants_keyframe = (shown && self.is_video).then_some(now + PLI_EVERY);
    }

    /// What to ask for now: a compound, or nothing.
    pub fn ask(&mut self, now: Instant) -> Option<Vec<u8>> {
        let mut compound = Vec::new();
        if self.wants_keyframe.is_some_and(|due| due <= now) {
            self.wants_keyframe = Some(now + PLI_EVERY);
            compound.extend_from_slice(&[0x81, 206, 0, 2, 0, 0, 0, 1]);
            compound.extend_from_slice(&self.ssrc.to_be_bytes());
        }
        let retry = self.retry;
        let mut due = Vec::new();
        self.missing.retain(|index, missing| {
            if now >= missing.since + USELESS {
                return false;
            }
            let is_due = match missing.asked {
                None => now >= missing.since + REORDER,
                Some(asked) => now >= asked + retry && missing.tries < MOST_TRIES,
            };
            if is_due && due.len() < 60 {
                (missing.asked, missing.tries) = (Some(now), missing.tries + 1);
                due.push(*index as u16);
            }
            true
        });
        if !due.is_empty() {
            self.asked += due.len() as u64;
            compound.extend_from_slice(&[0x81, 205, 0, (2 + due.len()) as u8, 0, 0, 0, 1]);
            compound.extend_from_slice(&self.ssrc.to_be_bytes());
            for sequence in due {
                compound.extend_from_slice(&sequence.to_be_bytes());
                compound.extend_from_slice(&[0, 0]);
            }
        }
        (!compound.is_empty()).then_some(compound)
    }
}
