//! From packets in their order to whole frames. A frame of which anything is missing is never whole.

use super::webm::{Coding, Picture};
use super::{h264, layered, opus, vp8};
use crate::sfu::{Codec, RecordedPacket};

/// The largest picture that is put together. A key frame in 4K has a quarter of it.
const MOST_FRAME: usize = 4 * 1024 * 1024;

/// What a packet says besides its payload.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Meta {
    /// RTP timestamp.
    pub timestamp: u32,
    /// RTP marker.
    pub marker: bool,
    /// The first packet of a key frame.
    pub keyframe_start: bool,
    /// Arrival, µs of the recording.
    pub arrived_us: i64,
    /// Capture, µs of the publisher's clock.
    pub captured_us: Option<i64>,
}

impl Meta {
    /// What this packet says, on a recording that began at `zero_us`.
    pub fn of(packet: &RecordedPacket, zero_us: i64) -> Meta {
        Meta {
            timestamp: packet.timestamp,
            marker: packet.marker,
            keyframe_start: packet.keyframe_start,
            arrived_us: packet.arrived_us.saturating_sub(zero_us),
            captured_us: packet.captured_us,
        }
    }
}

/// A frame that has come to its end, at the end of the bytes that were gathered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Whole {
    /// What its first packet said.
    pub first: Meta,
    /// When the packet came that completed it, µs of the recording.
    pub arrived_us: i64,
    /// How many bytes it has.
    pub bytes: usize,
    /// Whether decoding can begin with it.
    pub key: bool,
    /// How long it plays; 0 for pictures.
    pub duration_us: i64,
}

/// Puts the frames of one stream together.
#[derive(Debug)]
pub struct Assembler {
    codec: Codec,
    building: Option<Building>,
    /// A key frame was whole, and nothing has been missing since.
    synced: bool,
    h264: h264::Parser,
    layered: layered::Parser,
    picture: Option<Picture>,
    /// Frames that came to nothing.
    pub dropped: u64,
}

/// A picture that is not whole yet.
#[derive(Clone, Copy, Debug)]
struct Building {
    start: usize,
    first: Meta,
    arrived_us: i64,
    key: bool,
}

impl Assembler {
    /// One for a track of this codec, at its beginning.
    pub fn new(codec: Codec) -> Assembler {
        let synced = codec == Codec::Opus;
        let (h264, layered) = (h264::Parser::default(), layered::Parser::default());
        Assembler { codec, building: None, synced, h264, layered, picture: None, dropped: 0 }
    }

    /// Takes the next packet. What it carries goes to the end of `gathered`; frames that are whole with it, to `whole`. `after_loss`:
    /// packets before it never came.
    pub fn take(
        &mut self,
        meta: Meta,
        after_loss: bool,
        payload: &[u8],
        gathered: &mut Vec<u8>,
        whole: &mut Vec<Whole>,
    ) {
        if after_loss {
            self.lose(gathered);
        }
        if payload.is_empty() {
            return;
        }
        match self.codec {
            Codec::Opus => sound(meta, payload, gathered, whole, &mut self.dropped),
            Codec::Vp8 => self.take_vp8(meta, payload, gathered, whole),
            Codec::H264 => self.take_h264(meta, payload, gathered, whole),
            Codec::Vp9 | Codec::Av1 => self.take_layered(meta, payload, gathered, whole),
        }
    }

    /// Something is missing: pictures make sense again from the next key frame on.
    pub fn lose(&mut self, gathered: &mut Vec<u8>) {
        self.abandon(gathered);
        if self.codec != Codec::Opus {
            self.synced = false;
        }
        self.h264.lose();
        self.layered.lose();
    }

    /// Whether nothing can be written until a key frame comes.
    pub fn is_lost(&self) -> bool {
        !self.synced
    }

    /// What the head of a file declares; `None` before the first key frame.
    pub fn picture(&self) -> Option<&Picture> {
        self.picture.as_ref()
    }

    /// The first so many of the gathered bytes are gone.
    pub fn shift(&mut self, bytes: usize) {
        if let Some(building) = self.building.as_mut() {
            building.start -= bytes;
        }
        self.h264.shift(bytes);
        self.layered.shift(bytes);
    }

    fn abandon(&mut self, gathered: &mut Vec<u8>) {
        if let Some(building) = self.building.take() {
            gathered.truncate(building.start);
            self.dropped += 1;
        }
    }

    fn take_vp8(&mut self, meta: Meta, payload: &[u8], gathered: &mut Vec<u8>, whole: &mut Vec<Whole>) {
        let Some((starts, part)) = vp8::part(payload) else { return self.lose(gathered) };
        let goes_on = self.building.is_some_and(|building| building.first.timestamp == meta.timestamp && !starts);
        if !goes_on {
            // The frame before had no marker.
            self.complete_vp8(gathered, whole);
            if !starts {
                // The middle of a frame that is not being put together: without a key frame there is no use for it.
                self.synced = false;
                return;
            }
            let key = vp8::is_key(part);
            if !key && !self.synced {
                self.dropped += 1;
                return;
            }
            self.building = Some(Building { start: gathered.len(), first: meta, arrived_us: meta.arrived_us, key });
        }
        gathered.extend_from_slice(part);
        self.note(meta, gathered);
        if meta.marker {
            self.complete_vp8(gathered, whole);
        }
    }

    /// A packet was added to the frame.
    fn note(&mut self, meta: Meta, gathered: &mut Vec<u8>) {
        let Some(building) = self.building.as_mut() else { return };
        building.arrived_us = building.arrived_us.max(meta.arrived_us);
        if gathered.len() - building.start + self.layered.waiting() > MOST_FRAME {
            self.lose(gathered);
        }
    }

    fn complete_vp8(&mut self, gathered: &mut Vec<u8>, whole: &mut Vec<Whole>) {
        let Some(building) = self.building else { return };
        if building.key {
            let Some(size) = vp8::dimensions(&gathered[building.start..]) else { return self.lose(gathered) };
            self.picture.get_or_insert(Picture { coding: Coding::Vp8, size });
        }
        self.complete(building, gathered, whole);
    }

    fn take_h264(&mut self, meta: Meta, payload: &[u8], gathered: &mut Vec<u8>, whole: &mut Vec<Whole>) {
        let begins = self.h264.begins(&meta);
        if begins {
            self.complete_h264(gathered, whole);
        }
        if self.building.is_none() {
            if !begins && !meta.keyframe_start {
                // The rest of a frame whose beginning never came.
                self.h264.pass(&meta);
                return;
            }
            let (start, arrived_us) = (gathered.len(), meta.arrived_us);
            self.building = Some(Building { start, first: meta, arrived_us, key: false });
        }
        if !self.h264.append(payload, gathered) {
            return self.lose(gathered);
        }
        self.h264.pass(&meta);
        self.note(meta, gathered);
        if meta.marker {
            self.complete_h264(gathered, whole);
        }
    }

    fn complete_h264(&mut self, gathered: &mut Vec<u8>, whole: &mut Vec<Whole>) {
        let Some(mut building) = self.building else { return };
        let unit = self.h264.end();
        if unit.is_torn {
            return self.lose(gathered);
        }
        if !unit.has_picture {
            // Parameter sets alone: they are remembered.
            gathered.truncate(building.start);
            self.building = None;
            return;
        }
        building.key = unit.is_key;
        if building.key {
            let Some(picture) = self.h264.picture() else { return self.lose(gathered) };
            self.picture.get_or_insert(picture);
            if !unit.has_parameters {
                self.h264.insert_parameters(building.start, gathered);
            }
        }
        if !building.key && !self.synced {
            return self.abandon(gathered);
        }
        self.complete(building, gathered, whole);
    }

    fn take_layered(&mut self, meta: Meta, payload: &[u8], gathered: &mut Vec<u8>, whole: &mut Vec<Whole>) {
        if self.building.is_none_or(|building| building.first.timestamp != meta.timestamp) {
            // The picture before had no marker.
            self.complete_layered(gathered, whole);
            match self.layered.begins(self.codec, payload) {
                Some(true) => {}
                Some(false) => {
                    self.synced = false;
                    return;
                }
                None => return self.lose(gathered),
            }
            if !meta.keyframe_start && !self.synced {
                self.dropped += 1;
                return;
            }
            let (start, arrived_us, key) = (gathered.len(), meta.arrived_us, meta.keyframe_start);
            self.building = Some(Building { start, first: meta, arrived_us, key });
        }
        if !self.layered.append(self.codec, payload, gathered) {
            return self.lose(gathered);
        }
        self.note(meta, gathered);
        if meta.marker {
            self.complete_layered(gathered, whole);
        }
    }

    fn complete_layered(&mut self, gathered: &mut Vec<u8>, whole: &mut Vec<Whole>) {
        let Some(building) = self.building else { return };
        if !self.layered.end(self.codec, gathered) {
            return self.lose(gathered);
        }
        if building.key && self.picture.is_none() {
            self.picture = Some(self.layered.picture(self.codec, &gathered[building.start..]));
        }
        self.complete(building, gathered, whole);
    }

    fn complete(&mut self, building: Building, gathered: &[u8], whole: &mut Vec<Whole>) {
        self.building = None;
        self.synced = true;
        let Building { start, first, arrived_us, key } = building;
        whole.push(Whole { first, arrived_us, bytes: gathered.len() - start, key, duration_us: 0 });
    }
}

fn sound(meta: Meta, payload: &[u8], gathered: &mut Vec<u8>, whole: &mut Vec<Whole>, dropped: &mut u64) {
    let Some(duration_us) = opus::duration_us(payload) else {
        *dropped += 1;
        return;
    };
    gathered.extend_from_slice(payload);
    let (bytes, duration_us) = (payload.len(), duration_us as i64);
    whole.push(Whole { first: meta, arrived_us: meta.arrived_us, bytes, key: true, duration_us });
}
