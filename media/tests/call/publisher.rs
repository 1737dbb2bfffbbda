//! Sends frames as a browser does: VP8 in layers of different sizes with their own timestamps and picture ids, and Opus.

use std::time::{Duration, Instant};

use parlor_media::client::{Client, Frame};
use parlor_media::rtcp::{self, Part};

const FRAME_EVERY: Duration = Duration::from_millis(33);
/// Payload bytes behind the descriptor, by layer.
const LAYER_BYTES: [usize; 3] = [300, 1_500, 4_000];
const PACKET_BYTES: usize = 1_000;
/// Width and height by layer.
const LAYER_SIZE: [(u16, u16); 3] = [(320, 180), (640, 360), (1280, 720)];

/// What is in a payload: who sent it, in which layer, which frame, which packet of how many.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Content {
    pub who: u8,
    pub layer: u8,
    pub frame: u32,
    pub part: u8,
    pub parts: u8,
    pub keyframe: bool,
    pub picture_id: u16,
    pub tl0: u8,
}

impl Content {
    /// Reads a video payload back.
    pub fn read(payload: &[u8]) -> Option<Content> {
        let [head, 0xe0, high, low, tl0, _, ..] = *payload else { return None };
        let at = if payload[6] == 0x10 || payload[6] == 0x11 { 16 } else { return None };
        let &[who, layer, a, b, c, d, part, parts] = payload.get(at..at + 8)? else { return None };
        Some(Content {
            who,
            layer,
            frame: u32::from_be_bytes([a, b, c, d]),
            part,
            parts,
            keyframe: head & 0x10 != 0 && payload[6] == 0x10,
            picture_id: u16::from_be_bytes([high & 0x7f, low]),
            tl0,
        })
    }
}

/// A camera and a microphone.
pub struct Publisher {
    pub next_at: Instant,
    pub frames: u32,
    /// Layers sent now; fewer than offered, as browsers do for small pictures.
    pub layers: usize,
    pub keyframes: u32,
    pub audio_level: u8,
    /// It does what key frame requests ask for.
    pub obeys: bool,
    /// Its pictures are sent so long after they were captured, as slow encoders do; its sound is not.
    pub late_ms: u32,
    /// Only the highest of its layers ever has key frames.
    pub top_keyframes_only: bool,
    who: u8,
    keyframe_due: bool,
    begun: Instant,
}

impl Publisher {
    pub fn new(who: u8, layers: usize, now: Instant) -> Publisher {
        Publisher {
            next_at: now,
            frames: 0,
            layers,
            keyframes: 0,
            audio_level: 40,
            obeys: true,
            late_ms: 0,
            top_keyframes_only: false,
            who,
            keyframe_due: true,
            begun: now,
        }
    }

    /// The encoder is made anew: picture ids begin elsewhere, with a key frame.
    pub fn begin_anew(&mut self) {
        self.frames += 5_000;
        self.keyframe_due = true;
    }

    /// Sends the frame that is due.
    pub fn act(&mut self, now: Instant, client: &mut Client) {
        if now < self.next_at {
            return;
        }
        self.next_at += FRAME_EVERY;
        self.frames += 1;
        let elapsed_ms = u32::try_from((now - self.begun).as_millis()).expect("a short test");
        let keyframe = std::mem::take(&mut self.keyframe_due);
        self.keyframes += u32::from(keyframe);
        for (layer, bytes) in LAYER_BYTES.into_iter().enumerate().take(self.layers) {
            // Each layer counts from its own origin, as encoders do.
            let timestamp = (90 * elapsed_ms + 1_000_000 * (layer as u32 + 1)).wrapping_sub(90 * self.late_ms);
            let parts = bytes.div_ceil(PACKET_BYTES);
            for part in 0..parts {
                let keyframe = keyframe && !(self.top_keyframes_only && layer + 1 < self.layers);
                let payload = self.payload(layer, part, parts, keyframe);
                let frame = Frame { timestamp, marker: part + 1 == parts, payload: &payload, ..Frame::default() };
                client.send_rtp(1, layer, frame).expect("connected");
            }
        }
        let opus = [self.who, (self.frames >> 8) as u8, self.frames as u8];
        let level = Some((self.audio_level, self.audio_level < 100));
        client
            .send_rtp(
                0,
                0,
                Frame {
                    timestamp: 48 * elapsed_ms,
                    marker: false,
                    audio_level: level,
                    payload: &opus,
                    ..Frame::default()
                },
            )
            .expect("connected");
        if self.frames % 30 == 1 {
            self.report(elapsed_ms, client);
        }
    }

    fn payload(&self, layer: usize, part: usize, parts: usize, keyframe: bool) -> Vec<u8> {
        let picture_id = (self.frames as u16).wrapping_add(7_000 * layer as u16) & 0x7fff;
        let starts = if part == 0 { 0x10 } else { 0 };
        let mut payload =
            vec![0x80 | starts, 0xe0, 0x80 | (picture_id >> 8) as u8, picture_id as u8, self.frames as u8, 0];
        let (width, height) = LAYER_SIZE[layer];
        payload.extend_from_slice(&[if keyframe { 0x10 } else { 0x11 }, 0, 0, 0x9d, 0x01, 0x2a]);
        payload.extend_from_slice(&width.to_le_bytes());
        payload.extend_from_slice(&height.to_le_bytes());
        payload.extend_from_slice(&[self.who, layer as u8]);
        payload.extend_from_slice(&self.frames.to_be_bytes());
        payload.extend_from_slice(&[part as u8, parts as u8]);
        payload.resize(payload.len() + LAYER_BYTES[layer].min(PACKET_BYTES) - 24, 0xaa);
        payload
    }

    /// A sender report for each stream.
    fn report(&self, elapsed_ms: u32, client: &mut Client) {
        let mut compound = Vec::new();
        let mut push = |ssrc: u32, timestamp: u32| {
            compound.extend_from_slice(&[0x80, 200, 0, 6]);
            compound.extend_from_slice(&ssrc.to_be_bytes());
            let ntp = ((3_900_000_000u64 + u64::from(elapsed_ms) / 1_000) << 32)
                | ((u64::from(elapsed_ms % 1_000) << 32) / 1_000);
            compound.extend_from_slice(&ntp.to_be_bytes());
            compound.extend_from_slice(&timestamp.to_be_bytes());
            compound.extend_from_slice(&[0; 8]);
        };
        for layer in 0..self.layers {
            push(client.ssrc(1, layer).expect("a stream"), 90 * elapsed_ms + 1_000_000 * (layer as u32 + 1));
        }
        push(client.ssrc(0, 0).expect("a stream"), 48 * elapsed_ms);
        client.send_rtcp(&compound);
    }

    /// Answers what the server asks for: packets again, key frames.
    pub fn obey(&mut self, compound: &[u8], client: &mut Client) {
        let mut asked = Vec::new();
        let _ = rtcp::read(compound, |part| match part {
            Part::KeyframeRequest { .. } => self.keyframe_due |= self.obeys,
            Part::Nack { ssrc, pairs } => asked.extend(rtcp::sequences(pairs).map(|sequence| (ssrc, sequence))),
            _ => {}
        });
        for (ssrc, sequence) in asked {
            if let Some((line, layer)) = client.find(ssrc) {
                client.resend(line, layer, sequence);
            }
        }
    }
}
