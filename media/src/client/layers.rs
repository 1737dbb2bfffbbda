//! Pictures in layers, as an encoder for calls makes them, without pictures: descriptors that are right, and content that says
//! which frame it is.

use crate::track::Codec;

/// Temporal layers of the pictures of a round, for one, two and three layers.
const ROUNDS: [&[u8]; 3] = [&[0], &[0, 1], &[0, 2, 1, 2]];
/// Decode target indications (AV1 RTP specification, table A.1).
const NOT_PRESENT: u32 = 0;
const DISCARDABLE: u32 = 1;
const SWITCH: u32 = 2;

/// A stream of pictures. Spatial layers refer to each other in key pictures alone (`L3T3_KEY`), for VP9 and AV1.
#[derive(Debug, Clone)]
pub struct Layers {
    codec: Codec,
    spatial: u8,
    temporal: u8,
    /// The place in the round, from the last key picture on.
    turn: usize,
    picture_id: u16,
    frame_number: u16,
    tl0: u8,
    picture: u32,
}

/// A packet of a picture.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Part {
    /// The payload: the codec's descriptor, and then [`Tag`].
    pub payload: Vec<u8>,
    /// The dependency descriptor; empty but for AV1.
    pub dependency: Vec<u8>,
    /// The last packet of its picture.
    pub marker: bool,
    /// What the packet belongs to.
    pub tag: Tag,
}

/// Which packet of a stream's it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Tag {
    /// The picture, counted from 0.
    pub picture: u32,
    /// Its spatial layer.
    pub spatial: u8,
    /// Its temporal layer.
    pub temporal: u8,
    /// A key picture's.
    pub key: bool,
    /// Which packet of its frame.
    pub part: u8,
    /// How many its frame has.
    pub parts: u8,
}

/// What stands before a tag in a payload. No descriptor ends so.
const TAG_MARK: [u8; 4] = [0xfa, 0xce, 0xb0, 0x0c];
const TAG_LEN: usize = 12;

impl Tag {
    /// Finds the tag in a payload that [`Layers`] made, whatever was rewritten in front of it.
    #[must_use]
    pub fn read(payload: &[u8]) -> Option<Tag> {
        let at = payload.windows(4).position(|bytes| bytes == TAG_MARK)? + 4;
        let bytes = payload.get(at..at + TAG_LEN - 4)?;
        let (layers, key) = (bytes[4], bytes[5] == 1);
        let picture = u32::from_be_bytes([bytes[0], bytes[1], bytes[2], bytes[3]]);
        Some(Tag { picture, spatial: layers >> 4, temporal: layers & 0x0f, key, part: bytes[6], parts: bytes[7] })
    }

    fn write(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(&TAG_MARK);
        out.extend_from_slice(&self.picture.to_be_bytes());
        out.extend_from_slice(&[self.spatial << 4 | self.temporal, u8::from(self.key), self.part, self.parts]);
    }
}

impl Layers {
    /// A stream with so many layers, 1 to 3 of each kind; VP8 has one spatial layer.
    #[must_use]
    pub fn new(codec: Codec, spatial: u8, temporal: u8) -> Layers {
        let spatial = if codec == Codec::Vp8 { 1 } else { spatial.clamp(1, 3) };
        let temporal = temporal.clamp(1, 3);
        Layers { codec, spatial, temporal, turn: 0, picture_id: 0x7ff0, frame_number: 0xfff0, tl0: 250, picture: 0 }
    }

    /// The packets of the next picture, each of about `bytes`, so many for each frame.
    pub fn next(&mut self, key: bool, parts: u8, bytes: usize) -> Vec<Part> {
        if key {
            self.turn = 0;
        }
        let round = ROUNDS[usize::from(self.temporal) - 1];
        let temporal = round[self.turn % round.len()];
        if temporal == 0 {
            self.tl0 = self.tl0.wrapping_add(1);
        }
        let mut packets = Vec::new();
        for spatial in 0..self.spatial {
            for part in 0..parts {
                let tag = Tag { picture: self.picture, spatial, temporal, key, part, parts };
                let mut payload = self.descriptor(&tag);
                tag.write(&mut payload);
                payload.resize(payload.len().max(bytes), 0);
                let dependency = if self.codec == Codec::Av1 { self.dependency(&tag) } else { Vec::new() };
                let marker = spatial + 1 == self.spatial && part + 1 == parts;
                packets.push(Part { payload, dependency, marker, tag });
            }
            self.frame_number = self.frame_number.wrapping_add(1);
        }
        self.turn += 1;
        self.picture += 1;
        self.picture_id = self.picture_id.wrapping_add(1) & 0x7fff;
        packets
    }

    /// How many pictures before this one the one is that it refers to, in its own spatial layer.
    fn difference(&self, temporal: u8) -> u16 {
        match (self.temporal, temporal) {
            (3, 0) => 4,
            (2, 0) | (3, 1) => 2,
            _ => 1,
        }
    }

    /// Whether no picture before the base layer's last one matters to this one.
    fn synchronises(&self, temporal: u8) -> bool {
        self.turn < ROUNDS[usize::from(self.temporal) - 1].len() && temporal > 0
    }

    fn descriptor(&self, tag: &Tag) -> Vec<u8> {
        let [high, low] = (0x8000 | self.picture_id).to_be_bytes();
        let (first, last) = (tag.part == 0, tag.part + 1 == tag.parts);
        match self.codec {
            Codec::Vp9 => {
                let flags = 0xb0
                    | if tag.key { 0 } else { 0x40 }
                    | if first { 0x08 } else { 0 }
                    | if last { 0x04 } else { 0 }
                    | u8::from(!tag.key || tag.spatial + 1 == self.spatial);
                let structure = tag.key && first && tag.spatial == 0;
                let flags = flags | if structure { 0x02 } else { 0 };
                let layers = tag.temporal << 5 | 0x10 | tag.spatial << 1 | u8::from(tag.key && tag.spatial > 0);
                let mut descriptor = vec![flags, high, low, layers];
                if !tag.key {
                    descriptor.push((self.difference(tag.temporal) as u8) << 1);
                }
                if structure {
                    descriptor.push((self.spatial - 1) << 5 | 0x10);
                    for layer in 0..self.spatial {
                        let (width, height) = self.size(layer);
                        descriptor.extend_from_slice(&width.to_be_bytes());
                        descriptor.extend_from_slice(&height.to_be_bytes());
                    }
                }
                descriptor
            }
            Codec::Av1 => {
                // One element; the first of a new sequence is marked. Its OBU is a frame with an extension header.
                let starts = if tag.key && first && tag.spatial == 0 { 0x08 } else { 0 };
                let mut descriptor = vec![0x10 | starts | if first { 0 } else { 0x80 } | if last { 0 } else { 0x40 }];
                if first {
                    descriptor.extend_from_slice(&[6 << 3 | 4, tag.temporal << 5 | tag.spatial << 3]);
                }
                descriptor
            }
            _ => {
                let sync = if self.synchronises(tag.temporal) { 0x20 } else { 0 };
                let mut descriptor = vec![0x80 | if first { 0x10 } else { 0 }, 0xe0, high, low, self.tl0];
                descriptor.push(tag.temporal << 6 | sync);
                if first {
                    let (width, height) = self.size(0);
                    let [[w0, w1], [h0, h1]] = [width.to_le_bytes(), height.to_le_bytes()];
                    descriptor.extend_from_slice(&[u8::from(!tag.key), 0, 0, 0x9d, 0x01, 0x2a, w0, w1, h0, h1]);
                }
                descriptor
            }
        }
    }

    fn size(&self, layer: u8) -> (u16, u16) {
        (320 << layer, 180 << layer)
    }

    /// Templates stand in the order of spatial layers: each one's key frame, then its temporal layers.
    fn dependency(&self, tag: &Tag) -> Vec<u8> {
        let per_layer = u32::from(self.temporal) + 1;
        let template = u32::from(tag.spatial) * per_layer + if tag.key { 0 } else { u32::from(tag.temporal) + 1 };
        let mut bits = BitWriter::default();
        bits.put(u32::from(tag.part == 0), 1).put(u32::from(tag.part + 1 == tag.parts), 1);
        bits.put(template, 6).put(u32::from(self.frame_number), 16);
        if tag.key && tag.spatial == 0 && tag.part == 0 {
            bits.put(0b1_0000, 5);
            self.structure(&mut bits);
        }
        bits.bytes()
    }

    fn structure(&self, bits: &mut BitWriter) {
        let (spatial, temporal) = (u32::from(self.spatial), u32::from(self.temporal));
        bits.put(0, 6).put(spatial * temporal - 1, 5);
        let templates: Vec<(u32, Option<u32>)> = (0..spatial)
            .flat_map(|layer| std::iter::once((layer, None)).chain((0..temporal).map(move |rate| (layer, Some(rate)))))
            .collect();
        for (at, (layer, rate)) in templates.iter().enumerate() {
            let next = templates.get(at + 1).map_or(3, |(next_layer, next_rate)| {
                if next_layer != layer { 2 } else { u32::from(rate.unwrap_or(0) != next_rate.unwrap_or(0)) }
            });
            bits.put(next, 2);
        }
        for (layer, rate) in &templates {
            for target in 0..spatial * temporal {
                let (its_layer, its_rate) = (target / temporal, target % temporal);
                let indication = match rate {
                    None if its_layer >= *layer => SWITCH,
                    Some(rate) if its_layer == *layer && its_rate == *rate && *rate > 0 => DISCARDABLE,
                    Some(rate) if its_layer == *layer && its_rate >= *rate => SWITCH,
                    _ => NOT_PRESENT,
                };
                bits.put(indication, 2);
            }
        }
        for (layer, rate) in &templates {
            let difference = rate.map_or(*layer.min(&1), |rate| u32::from(self.difference(rate as u8)) * spatial);
            if difference > 0 {
                bits.put(1, 1).put(difference - 1, 4);
            }
            bits.put(0, 1);
        }
        // No chains; then the sizes.
        bits.below(0, spatial * temporal + 1).put(1, 1);
        for layer in 0..self.spatial {
            let (width, height) = self.size(layer);
            bits.put(u32::from(width) - 1, 16).put(u32::from(height) - 1, 16);
        }
    }
}

/// Writes bits, highest first.
#[derive(Default)]
struct BitWriter(Vec<bool>);

impl BitWriter {
    fn put(&mut self, value: u32, count: u32) -> &mut Self {
        self.0.extend((0..count).rev().map(|bit| value >> bit & 1 == 1));
        self
    }

    /// `ns(n)` of the AV1 specification §4.10.7, for numbers that take the short form.
    fn below(&mut self, value: u32, n: u32) -> &mut Self {
        self.put(value, n.ilog2())
    }

    fn bytes(&self) -> Vec<u8> {
        let byte = |bits: &[bool]| bits.iter().enumerate().fold(0, |byte, (at, bit)| byte | u8::from(*bit) << (7 - at));
        self.0.chunks(8).map(byte).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::codec::{Structure, describe};

    #[test]
    fn what_it_writes_is_what_the_server_reads() {
        for (codec, spatial) in [(Codec::Vp8, 1), (Codec::Vp9, 3), (Codec::Av1, 3)] {
            for temporal in 1..=3 {
                let (mut layers, mut structure) = (Layers::new(codec, spatial, temporal), Structure::default());
                for picture in 0..20 {
                    for part in layers.next(picture % 10 == 0, 2, 100) {
                        let frame = describe(codec, part.marker, &part.payload, &part.dependency, &mut structure)
                            .expect("a packet of ours");
                        let Tag { spatial: layer, temporal: rate, key, part: at, .. } = part.tag;
                        assert_eq!(Tag::read(&part.payload), Some(part.tag));
                        assert_eq!((frame.spatial, frame.temporal), (layer, rate), "{codec:?}");
                        assert_eq!((frame.frame_start, frame.frame_end || at == 0), (at == 0, true), "{codec:?}");
                        assert_eq!(frame.keyframe_start, key && layer == 0 && at == 0);
                        assert_eq!(frame.spatial_switch, key && at == 0, "{codec:?} {:?}", part.tag);
                        for wanted in 0..spatial {
                            let below = if key { layer <= wanted } else { layer == wanted };
                            assert_eq!(frame.is_needed(wanted, 2), below, "{codec:?} {:?}", part.tag);
                            assert_eq!(frame.is_needed(wanted, 0), below && rate == 0, "{codec:?} {:?}", part.tag);
                        }
                    }
                }
                assert_eq!((structure.spatial_layers, structure.temporal_layers), (spatial, temporal));
                assert_eq!(structure.sizes[usize::from(spatial) - 1], (320 << (spatial - 1), 180 << (spatial - 1)));
            }
        }
    }
}
