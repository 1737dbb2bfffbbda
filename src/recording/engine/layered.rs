//! VP9 (RFC 9628) and AV1 (its RTP specification): all layers of a picture come in one stream and go into the file as one frame,
//! of which a decoder shows the highest.

use super::webm::{Coding, MOST_PRIVATE, Picture};
use crate::sfu::Codec;
use crate::sfu::codec::{self, Descriptor, MOST_TEMPORAL, Structure, av1, vp9};

/// Declared where the key frame does not tell; decoders look for themselves.
const UNTOLD_SIZE: (u16, u16) = (640, 360);
/// Frames of a superframe: their number has three bits (VP9 bitstream specification, annex B).
const MOST_FRAMES: usize = 8;

/// Reads the packets of one stream in their order.
#[derive(Debug, Default)]
pub struct Parser {
    structure: Structure,
    /// The picture's frames, one for each spatial layer of VP9: where they begin, and what they are.
    frames: Vec<(usize, Descriptor)>,
    /// The highest spatial layer of the last picture of VP9.
    highest: u8,
    /// The picture's OBUs so far, for AV1.
    units: av1::Assembly,
}

impl Parser {
    /// Takes what a packet carries; false: it makes no sense. Answers nothing else before the picture's end.
    pub fn append(&mut self, codec: Codec, payload: &[u8], gathered: &mut Vec<u8>) -> bool {
        if codec == Codec::Av1 {
            return self.units.push(payload);
        }
        let (Some(part), Some(frame)) = (vp9::frame_of(payload), self.describe(codec, payload)) else { return false };
        if frame.frame_start {
            self.frames.push((gathered.len(), frame));
        }
        gathered.extend_from_slice(part);
        self.frames.len() <= MOST_FRAMES
    }

    /// Whether a frame begins with this packet; `None`: it makes no sense.
    pub fn begins(&mut self, codec: Codec, payload: &[u8]) -> Option<bool> {
        self.describe(codec, payload).map(|frame| frame.frame_start)
    }

    fn describe(&mut self, codec: Codec, payload: &[u8]) -> Option<Descriptor> {
        let codec = if codec == Codec::Av1 { codec::Codec::Av1 } else { codec::Codec::Vp9 };
        codec::describe(codec, false, payload, &[], &mut self.structure)
    }

    /// Bytes that wait outside of what was gathered.
    pub fn waiting(&self) -> usize {
        self.units.len()
    }

    /// The picture is over: its bytes are behind the others. False: it is not whole.
    pub fn end(&mut self, codec: Codec, gathered: &mut Vec<u8>) -> bool {
        if codec == Codec::Av1 {
            return self.units.take(gathered);
        }
        let frames = std::mem::take(&mut self.frames);
        let Some(highest) = frames.iter().map(|(_, frame)| frame.spatial).max() else { return false };
        let before = std::mem::replace(&mut self.highest, highest);
        if highest < before && !frames[0].1.keyframe_start {
            // It refers to frames that were left out below a layer that has ceased.
            return false;
        }
        leave_out_lower(&frames, highest, gathered);
        true
    }

    /// What the head of a file declares of a key picture, which begins with these bytes.
    pub fn picture(&self, codec: Codec, key: &[u8]) -> Picture {
        if codec == Codec::Av1 {
            let configuration = self.units.configuration().filter(|it| it.len() <= MOST_PRIVATE).unwrap_or_default();
            let size = self.units.sequence().map(|sequence| (sequence.width, sequence.height));
            return Picture { coding: Coding::Av1(configuration), size: size.unwrap_or(UNTOLD_SIZE) };
        }
        let highest = self.structure.sizes[usize::from(self.structure.spatial_layers.max(1)) - 1];
        let size = Some(highest).filter(|(width, height)| *width > 0 && *height > 0).or_else(|| vp9::dimensions(key));
        Picture { coding: Coding::Vp9, size: size.unwrap_or(UNTOLD_SIZE) }
    }

    /// Packets are missing.
    pub fn lose(&mut self) {
        self.frames.clear();
        self.units.lose();
    }

    /// The first so many of the gathered bytes are gone.
    pub fn shift(&mut self, bytes: usize) {
        self.frames.iter_mut().for_each(|(start, _)| *start -= bytes);
    }
}

/// Keeps the frames that the highest layer needs, behind one another: each of the others would be shown by players that know
/// nothing of layers. If there are several, an index follows: the superframe of annex B.
fn leave_out_lower(frames: &[(usize, Descriptor)], highest: u8, gathered: &mut Vec<u8>) {
    let whole = gathered.len();
    let ends = frames[1..].iter().map(|(start, _)| *start).chain([whole]);
    let (mut at, mut lengths) = (frames[0].0, Vec::with_capacity(frames.len()));
    for ((start, frame), end) in frames.iter().zip(ends) {
        if frame.is_needed(highest, MOST_TEMPORAL - 1) {
            gathered.copy_within(*start..end, at);
            at += end - start;
            lengths.push(end - start);
        }
    }
    gathered.truncate(at);
    if lengths.len() > 1 {
        let head = 0b1100_0000 | 3 << 3 | (lengths.len() - 1) as u8;
        gathered.push(head);
        lengths.iter().for_each(|length| gathered.extend_from_slice(&(*length as u32).to_le_bytes()));
        gathered.push(head);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Flags with a picture id and layers, spatial layer, and content. The first of a key picture of two layers tells their sizes.
    fn packet(flags: u8, layer: u8, content: &[u8]) -> Vec<u8> {
        let mut payload = vec![0xa0 | flags, 5, layer << 1];
        if flags & 0x10 == 0 {
            payload.push(7);
        }
        if flags & 0x02 != 0 {
            payload.extend_from_slice(&[0x30, 1, 0x40, 0, 0xb4, 2, 0x80, 1, 0x68]);
        }
        payload.extend_from_slice(content);
        payload
    }

    #[test]
    fn the_layers_of_a_vp9_picture_are_one_superframe() {
        let (mut parser, mut gathered) = (Parser::default(), vec![9]);
        assert!(parser.append(Codec::Vp9, &packet(0x08 | 0x02, 0, &[1, 2]), &mut gathered));
        assert!(parser.append(Codec::Vp9, &packet(0x04, 0, &[3]), &mut gathered));
        assert!(parser.append(Codec::Vp9, &packet(0x08 | 0x04, 1, &[4]), &mut gathered));
        assert!(parser.end(Codec::Vp9, &mut gathered));
        assert_eq!(gathered, [9, 1, 2, 3, 4, 0xd9, 3, 0, 0, 0, 1, 0, 0, 0, 0xd9]);
        assert_eq!(parser.picture(Codec::Vp9, &gathered[1..]), Picture { coding: Coding::Vp9, size: (640, 360) });
        // A picture whose layers do not refer to each other: its highest frame alone.
        gathered.clear();
        assert!(parser.append(Codec::Vp9, &packet(0x40 | 0x08 | 0x04 | 0x01, 0, &[1, 2]), &mut gathered));
        assert!(parser.append(Codec::Vp9, &packet(0x40 | 0x08 | 0x04 | 0x01, 1, &[3]), &mut gathered));
        assert!(parser.end(Codec::Vp9, &mut gathered));
        assert_eq!(gathered, [3]);
        // Without that layer, the one below is missing what it refers to.
        assert!(parser.append(Codec::Vp9, &packet(0x40 | 0x08 | 0x04 | 0x01, 0, &[1, 2]), &mut gathered));
        assert!(!parser.end(Codec::Vp9, &mut gathered));
        assert!(!parser.append(Codec::Vp9, &[0x80], &mut gathered));
        parser.lose();
        assert!(!parser.end(Codec::Vp9, &mut gathered), "nothing has begun");
    }

    #[test]
    fn the_units_of_an_av1_picture_come_with_their_sizes_and_configuration() {
        let (mut parser, mut gathered) = (Parser::default(), vec![9]);
        let sequence = [0x08, 0, 0, 0, 0x0c, 0xc4, 0xff, 0x67, 0x36, 0xbe, 0x40, 0x10];
        let mut payload = vec![0x28, 12];
        payload.extend_from_slice(&sequence);
        payload.extend_from_slice(&[0x30, 1, 2]);
        assert_eq!(parser.begins(Codec::Av1, &payload), Some(true));
        assert!(parser.append(Codec::Av1, &payload, &mut gathered));
        assert_eq!((gathered.len(), parser.waiting()), (1, 17));
        assert!(parser.end(Codec::Av1, &mut gathered));
        let sized = [&[0x0a, 11][..], &sequence[1..]].concat();
        assert_eq!(gathered, [&[9][..], &sized, &[0x32, 2, 1, 2]].concat());
        let configuration = [&[0x81, 1, 0x0c, 0][..], &sized].concat();
        let expected = Picture { coding: Coding::Av1(configuration), size: (640, 360) };
        assert_eq!(parser.picture(Codec::Av1, &[]), expected);
        assert!(!parser.append(Codec::Av1, &[0x90, 1], &mut gathered), "it continues nothing");
        parser.lose();
        assert!(!parser.end(Codec::Av1, &mut gathered));
    }
}
