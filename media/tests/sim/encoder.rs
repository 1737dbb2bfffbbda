//! What a guest publishes: Opus, a camera in layers with two temporal layers, and a screen; with everything that encoders do
//! to those who forward them.

use std::time::{Duration, Instant};

use rand::RngExt;
use rand::rngs::StdRng;

use crate::content::{Content, LEAST_LEN, StreamId};

const FRAME_EVERY: Duration = Duration::from_millis(40);
/// Bytes of a frame, by layer. A key frame has three times as many.
const LAYER_BYTES: [usize; 3] = [400, 1_600, 4_200];
const SCREEN_BYTES: usize = 3_000;
const PACKET_BYTES: usize = 1_050;
/// The lines of the offer.
pub const MICROPHONE: usize = 0;
pub const CAMERA: usize = 1;
pub const SCREEN: usize = 2;

/// A packet to be sent on a line and a layer.
pub struct Made {
    pub line: usize,
    pub layer: usize,
    pub timestamp: u32,
    pub marker: bool,
    pub level: Option<(u8, bool)>,
    pub stream: StreamId,
    pub number: u32,
    pub payload: Vec<u8>,
}

pub struct Encoder {
    pub next_at: Instant,
    pub frame: u32,
    /// Layers of the camera that are sent now.
    pub layers: usize,
    pub camera: bool,
    pub screen: bool,
    pub microphone: bool,
    pub level: u8,
    pub stints: [u8; 3],
    pub keyframes: u32,
    /// It does what key frame requests ask for.
    pub obeys: bool,
    keyframe_due: [bool; 3],
    numbers: [[u32; 3]; 3],
    pictures: [u16; 3],
    begun: Instant,
    origin: u32,
}

impl Encoder {
    pub fn new(now: Instant, layers: usize, random: &mut StdRng) -> Encoder {
        Encoder {
            next_at: now,
            frame: 0,
            layers,
            camera: true,
            screen: false,
            microphone: true,
            level: random.random_range(20..127),
            stints: [0; 3],
            keyframes: 0,
            obeys: true,
            keyframe_due: [true; 3],
            numbers: [[0; 3]; 3],
            pictures: std::array::from_fn(|_| random.random::<u16>() & 0x7fff),
            begun: now,
            origin: random.random(),
        }
    }

    pub fn want_keyframe(&mut self, line: usize) {
        self.keyframe_due[line] |= self.obeys;
    }

    /// The encoder of a line is made anew: other SSRCs, numbers and picture ids.
    pub fn restart(&mut self, line: usize, random: &mut StdRng) {
        self.stints[line] += 1;
        self.numbers[line] = [0; 3];
        self.keyframe_due[line] = true;
        self.pictures[line] = random.random::<u16>() & 0x7fff;
    }

    pub fn set_screen(&mut self, on: bool) {
        self.keyframe_due[SCREEN] |= on && !self.screen;
        self.screen = on;
    }

    pub fn set_camera(&mut self, on: bool) {
        self.keyframe_due[CAMERA] |= on && !self.camera;
        self.camera = on;
    }

    /// Timestamps of a stream at a moment.
    pub fn timestamp(&self, now: Instant, line: usize, layer: usize) -> u32 {
        let elapsed_us = (now - self.begun).as_micros();
        let per_ms = if line == MICROPHONE { 48 } else { 90 };
        let ticks = (elapsed_us * per_ms / 1_000) as u32;
        ticks.wrapping_add(self.origin).wrapping_add(1_000_000 * (3 * line + layer) as u32)
    }

    /// The packets of the frame that is due.
    pub fn make(&mut self, now: Instant, who: u16, life: u8, call: u8, has_screen: bool) -> Vec<Made> {
        if now < self.next_at {
            return Vec::new();
        }
        // Whoever was stopped for a while does not catch up.
        self.next_at = now + FRAME_EVERY;
        self.frame += 1;
        let mut made = Vec::new();
        if self.camera {
            let keyframe = self.take_keyframe(CAMERA);
            for (layer, bytes) in LAYER_BYTES.into_iter().enumerate().take(self.layers) {
                self.picture((CAMERA, layer), bytes, keyframe, (who, life, call), now, &mut made);
            }
            self.pictures[CAMERA] = (self.pictures[CAMERA] + 1) & 0x7fff;
        }
        if self.screen && has_screen && self.frame.is_multiple_of(3) {
            let keyframe = self.take_keyframe(SCREEN);
            self.picture((SCREEN, 0), SCREEN_BYTES, keyframe, (who, life, call), now, &mut made);
            self.pictures[SCREEN] = (self.pictures[SCREEN] + 1) & 0x7fff;
        }
        if self.microphone {
            for half in 0..2 {
                let at = now + FRAME_EVERY / 2 * half;
                let timestamp = self.timestamp(at, MICROPHONE, 0);
                let mut content = self.content((MICROPHONE, 0), (who, life, call), timestamp, false);
                content.frame = 2 * self.frame + half;
                let level = Some((self.level, self.level < 100));
                made.push(made_of(&content, content.opus(), level, false));
            }
        }
        made
    }

    fn take_keyframe(&mut self, line: usize) -> bool {
        let due = std::mem::take(&mut self.keyframe_due[line]);
        self.keyframes += u32::from(due);
        due
    }

    fn picture(
        &mut self,
        (line, layer): (usize, usize),
        bytes: usize,
        keyframe: bool,
        whose: (u16, u8, u8),
        now: Instant,
        made: &mut Vec<Made>,
    ) {
        let bytes = if keyframe { 3 * bytes } else { bytes };
        let parts = bytes.div_ceil(PACKET_BYTES);
        let timestamp = self.timestamp(now, line, layer);
        for part in 0..parts {
            let mut content = self.content((line, layer), whose, timestamp, keyframe);
            (content.part, content.parts) = (part as u8, parts as u8);
            content.picture = self.pictures[line].wrapping_add(7_000 * layer as u16) & 0x7fff;
            content.temporal = u8::from(!keyframe && self.frame % 2 == 1);
            let payload = content.vp8((self.frame / 2) as u8, (bytes / parts).max(LEAST_LEN));
            made.push(made_of(&content, payload, None, part + 1 == parts));
        }
    }

    fn content(
        &mut self,
        (line, layer): (usize, usize),
        (who, life, call): (u16, u8, u8),
        timestamp: u32,
        keyframe: bool,
    ) -> Content {
        let number = &mut self.numbers[line][layer];
        *number += 1;
        let stream = StreamId { who, life, line: line as u8, layer: layer as u8, stint: self.stints[line] };
        Content {
            stream,
            call,
            keyframe,
            temporal: 0,
            frame: self.frame,
            part: 0,
            parts: 1,
            number: *number,
            timestamp,
            picture: 0,
        }
    }
}

fn made_of(content: &Content, payload: Vec<u8>, level: Option<(u8, bool)>, marker: bool) -> Made {
    Made {
        line: usize::from(content.stream.line),
        layer: usize::from(content.stream.layer),
        timestamp: content.timestamp,
        marker,
        level,
        stream: content.stream,
        number: content.number,
        payload,
    }
}
