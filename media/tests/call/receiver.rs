//! What a browser's receiver would see of one slot: it asks again for what is missing, and checks that the stream is continuous.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::time::{Duration, Instant};

use parlor_media::client::{Client, Slot, Tag, numbers};
use parlor_media::rtp::Header;
use parlor_media::sdp::Kind;

use crate::publisher::Content;

const REORDER: Duration = Duration::from_millis(10);
const RETRY: Duration = Duration::from_millis(80);
const MOST_TRIES: u32 = 12;

/// A packet as it came.
#[derive(Debug, Clone)]
pub struct Got {
    pub timestamp: u32,
    pub marker: bool,
    pub payload_type: u8,
    /// The VP8 content; `None` for everything else.
    pub content: Option<Content>,
    /// What a picture in layers says of itself.
    pub tag: Option<Tag>,
    /// Who sent the audio.
    pub who: u8,
    /// The payload of audio, and of pictures in layers.
    pub sound: Vec<u8>,
    pub at: Instant,
}

/// One slot's receiver.
pub struct Receiver {
    pub video: bool,
    /// By sequence number with the rollovers counted.
    pub packets: BTreeMap<u64, Got>,
    pub asked: u64,
    pub repaired: u64,
    pub ssrc: u32,
    rtx_ssrc: Option<u32>,
    highest: Option<u64>,
    /// The first number, and the packets of the stream itself that came since; and both as of the last report.
    first: u64,
    arrived: u64,
    told: (u64, u64),
    missing: HashMap<u64, (Instant, u32)>,
    /// No key frame has begun yet, so that nothing can be decoded: when to ask for one.
    wants_keyframe: Option<Instant>,
    decodes: bool,
}

impl Receiver {
    pub fn new(slot: &Slot) -> Receiver {
        Receiver {
            video: slot.kind == Kind::Video,
            packets: BTreeMap::new(),
            asked: 0,
            repaired: 0,
            ssrc: slot.ssrc,
            rtx_ssrc: slot.rtx_ssrc,
            highest: None,
            first: 0,
            arrived: 0,
            told: (0, 0),
            missing: HashMap::new(),
            wants_keyframe: None,
            decodes: slot.kind != Kind::Video,
        }
    }

    /// Takes a packet if it is this slot's.
    pub fn take(&mut self, now: Instant, header: &Header, payload: &[u8]) {
        if header.ssrc == self.ssrc {
            self.keep(now, header.sequence, header, payload, false);
        } else if Some(header.ssrc) == self.rtx_ssrc && payload.len() > 2 {
            // What is shorter is padding: a probe.
            let original = u16::from_be_bytes([payload[0], payload[1]]);
            self.keep(now, original, header, &payload[2..], true);
        }
    }

    /// Lets a packet pass unread: only its number is known then, and nothing before it is asked for.
    pub fn pass_over(&mut self, header: &Header) {
        if header.ssrc == self.ssrc {
            let index = self.index_of(header.sequence);
            self.highest = self.highest.max(Some(index));
        }
    }

    /// The number of a packet with the rollovers counted.
    fn index_of(&mut self, sequence: u16) -> u64 {
        let highest = self.highest.unwrap_or_else(|| {
            self.first = u64::from(sequence) + 65_536;
            self.first
        });
        highest.wrapping_add_signed(i64::from(sequence.wrapping_sub(highest as u16) as i16))
    }

    fn keep(&mut self, now: Instant, sequence: u16, header: &Header, payload: &[u8], repaired: bool) {
        let index = self.index_of(sequence);
        let highest = self.highest.unwrap_or(index);
        self.arrived += u64::from(!repaired);
        if index > highest && self.video {
            self.missing.extend((highest + 1..index).map(|index| (index, (now + REORDER, 0))));
        }
        self.highest = Some(highest.max(index));
        self.missing.remove(&index);
        // Padding fills the place of what was left out.
        if payload.is_empty() {
            return;
        }
        let is_vp8 = matches!(header.payload_type, numbers::VP8 | numbers::RTX);
        let tag = Tag::read(payload);
        let content = (is_vp8 && tag.is_none()).then(|| Content::read(payload).expect("a payload of the test"));
        let (timestamp, marker, payload_type) = (header.timestamp, header.marker, header.payload_type);
        let sound = if self.video && tag.is_none() { Vec::new() } else { payload.to_vec() };
        let got = Got { timestamp, marker, payload_type, content, tag, who: payload[0], sound, at: now };
        if let Some(before) = self.packets.get(&index) {
            assert_eq!(
                (before.timestamp, before.content, before.marker),
                (got.timestamp, got.content, got.marker),
                "a number names one packet"
            );
            return;
        }
        self.decodes |=
            tag.is_some() || !is_vp8 || content.is_some_and(|content| content.keyframe && content.part == 0);
        self.wants_keyframe = if self.decodes { None } else { self.wants_keyframe.or(Some(now + RETRY)) };
        self.repaired += u64::from(repaired);
        self.packets.insert(index, got);
    }

    /// The share of the packets since the last report that did not come by themselves, in 256ths; none if there were no packets.
    pub fn fraction_lost(&mut self) -> Option<u8> {
        let now = (self.highest? + 1 - self.first, self.arrived);
        let (expected, arrived) = (now.0 - self.told.0, now.1 - self.told.1);
        self.told = now;
        (expected > 0).then(|| (expected.saturating_sub(arrived) * 256 / expected).min(255) as u8)
    }

    pub fn next_ask(&self) -> Option<Instant> {
        let missing = self.missing.values().filter(|(_, tries)| *tries < MOST_TRIES).map(|(due, _)| *due);
        missing.chain(self.wants_keyframe).min()
    }

    /// Sends the NACK and the key frame request that are due.
    pub fn ask(&mut self, now: Instant, client: &mut Client) {
        if self.wants_keyframe.is_some_and(|due| due <= now) {
            self.wants_keyframe = Some(now + 2 * RETRY);
            let mut request = vec![0x81, 206, 0, 2, 0, 0, 0, 1];
            request.extend_from_slice(&self.ssrc.to_be_bytes());
            client.send_rtcp(&request);
        }
        let mut due: Vec<u64> = Vec::new();
        for (index, (at, tries)) in &mut self.missing {
            if *at <= now && *tries < MOST_TRIES {
                *at = now + RETRY;
                *tries += 1;
                due.push(*index);
            }
        }
        if due.is_empty() {
            return;
        }
        due.sort_unstable();
        self.asked += due.len() as u64;
        let mut compound = vec![0x81, 205, 0, (2 + due.len()) as u8];
        compound.extend_from_slice(&1u32.to_be_bytes());
        compound.extend_from_slice(&self.ssrc.to_be_bytes());
        for index in due {
            compound.extend_from_slice(&(index as u16).to_be_bytes());
            compound.extend_from_slice(&[0, 0]);
        }
        client.send_rtcp(&compound);
    }

    /// Numbers that never came, but for those of the last moment.
    pub fn holes(&self, until: Instant) -> Vec<u64> {
        let Some((first, last)) =
            self.packets.keys().next().zip(self.packets.iter().rev().find(|(_, got)| got.at <= until))
        else {
            return Vec::new();
        };
        (*first..*last.0).filter(|index| !self.packets.contains_key(index)).collect()
    }

    /// The frames of which every packet came: who, layer, frame.
    pub fn complete_frames(&self) -> BTreeSet<(u8, u8, u32)> {
        let mut parts: HashMap<(u8, u8, u32), (u8, BTreeSet<u8>)> = HashMap::new();
        for content in self.packets.values().filter_map(|got| got.content) {
            let entry =
                parts.entry((content.who, content.layer, content.frame)).or_insert((content.parts, BTreeSet::new()));
            entry.1.insert(content.part);
        }
        parts.into_iter().filter(|(_, (count, got))| got.len() == usize::from(*count)).map(|(frame, _)| frame).collect()
    }

    /// Checks what a decoder relies on, in the order of numbers: one frame after the other, timestamps and picture ids that
    /// go on without a jump, and a key frame wherever the source changes.
    pub fn assert_continuous(&self) {
        assert!(self.decodes, "a stream has a key frame");
        let mut before: Option<&Got> = None;
        let mut last_index = 0;
        for (index, got) in self.packets.iter() {
            let (Some(content), Some(last)) = (got.content, before) else {
                // What came before the first key frame was lost on the way is of no use to anybody.
                if got.content.is_some_and(|content| content.keyframe && content.part == 0) {
                    (before, last_index) = (Some(got), *index);
                }
                continue;
            };
            let old = last.content.expect("video");
            let whole = *index == last_index + 1;
            // A track that was muted meanwhile resumes in the same way as a new one begins.
            let resumed = content.keyframe && content.frame.wrapping_sub(old.frame) > 1;
            if (old.who, old.layer) != (content.who, content.layer) || resumed {
                assert!(content.keyframe, "a source changes with a key frame, at {index}: {old:?} → {content:?}");
                if whole {
                    assert_eq!(content.part, 0, "a source changes with the start of a frame");
                    assert_eq!(content.picture_id, (old.picture_id + 1) & 0x7fff, "picture ids continue over a change");
                }
                let ticks = got.timestamp.wrapping_sub(last.timestamp) as i32;
                assert!((1..900_000).contains(&ticks), "timestamps go on over a change, by {ticks} ticks");
            } else if whole {
                let frames = content.frame.wrapping_sub(old.frame);
                assert!(frames <= 1, "no frame is left out between {old:?} and {content:?}");
                let ticks = got.timestamp.wrapping_sub(last.timestamp);
                assert_eq!(ticks == 0, frames == 0, "a frame has one timestamp");
                assert!(ticks <= 2 * 3_060, "timestamps go on evenly, not by {ticks}");
                let ids = content.picture_id.wrapping_sub(old.picture_id) & 0x7fff;
                assert_eq!(u32::from(ids), frames, "picture ids count frames");
                assert_eq!(content.tl0.wrapping_sub(old.tl0), frames as u8, "so do the base layer's");
            }
            (before, last_index) = (Some(got), *index);
        }
    }
}
