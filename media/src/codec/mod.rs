//! What a payload says of its frame, codec by codec, as far as a forwarder must know it: where key frames begin, which layer a
//! packet belongs to, who needs it, and the counters that are rewritten so that a receiver sees one continuous stream.

pub mod av1;
mod bits;
pub mod dependency;
pub mod h264;
pub mod vp8;
pub mod vp9;

pub use crate::track::Codec;

/// Spatial layers of one stream: RFC 9628 §4.2 has room for eight, encoders for calls make three.
pub const MOST_SPATIAL: u8 = 4;
/// Temporal layers of one stream: encoders for calls make three.
pub const MOST_TEMPORAL: u8 = 4;

/// What one packet says of its frame: small, for it lies in the ring's table.
///
/// Layers are numbered from 0, the lowest; a stream without layers has 0 alone.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Descriptor {
    /// The first packet of a key frame. With spatial layers: of the lowest layer's.
    pub keyframe_start: bool,
    /// Spatial layer.
    pub spatial: u8,
    /// Temporal layer.
    pub temporal: u8,
    /// The first packet of its frame. A picture has a frame for each spatial layer.
    pub frame_start: bool,
    /// The last packet of its frame.
    pub frame_end: bool,
    /// Who has the picture's lower spatial layers may go up to this frame's: it refers to nothing else. True of key frames.
    pub spatial_switch: bool,
    /// The picture id, for AV1 the frame number, as sent; 0 when there is none.
    pub picture_id: u16,
    /// The index of the last frame of the temporal base layer, as sent.
    pub tl0: u8,
    /// Width and height of the frame's spatial layer in pixels, where the packet tells.
    pub dimensions: Option<(u16, u16)>,
    /// Bit `spatial · 4 + temporal`: who wants these layers needs the frame.
    needed: u16,
    /// Bit `temporal`: see [`Descriptor::lifts_to`].
    lifts: u8,
    /// Where the picture id lies: an offset in the payload, for AV1 in the dependency descriptor.
    picture_id_at: u8,
    picture_id_width: Width,
    /// Offset of TL0PICIDX in the payload, 0 when there is none.
    tl0_at: u8,
}

/// How a counter is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Width {
    /// There is none.
    None,
    /// One byte whose highest bit is 0.
    Bits7,
    /// Two bytes whose highest bit is 1.
    Bits15,
    /// The two bytes of a frame number in the dependency descriptor.
    Extension,
}

impl Descriptor {
    /// The descriptor of a packet that has none, such as an audio packet: everybody needs it.
    pub const EMPTY: Descriptor = Descriptor {
        keyframe_start: false,
        spatial: 0,
        temporal: 0,
        frame_start: false,
        frame_end: false,
        spatial_switch: false,
        picture_id: 0,
        tl0: 0,
        dimensions: None,
        needed: u16::MAX,
        lifts: 0,
        picture_id_at: 0,
        picture_id_width: Width::None,
        tl0_at: 0,
    };

    /// Whether a receiver of the layers up to `spatial` and `temporal` needs the packet. What it does not need may be left out.
    #[must_use]
    pub fn is_needed(&self, spatial: u8, temporal: u8) -> bool {
        let (spatial, temporal) = (spatial.min(MOST_SPATIAL - 1), temporal.min(MOST_TEMPORAL - 1));
        self.needed >> (spatial * MOST_TEMPORAL + temporal) & 1 == 1
    }

    /// Whether those whose highest spatial layer is this frame's, in whatever temporal layer, may receive all frames up to `temporal`
    /// from this one on. True of key frames for every layer.
    #[must_use]
    pub fn lifts_to(&self, temporal: u8) -> bool {
        self.lifts >> temporal.min(MOST_TEMPORAL - 1) & 1 == 1
    }

    /// Writes the counters that the receiver of a slot expects into a copy of the payload.
    pub fn rewrite(&self, payload: &mut [u8], picture_id: u16, tl0: u8) {
        let at = usize::from(self.picture_id_at);
        match self.picture_id_width {
            Width::None | Width::Extension => {}
            Width::Bits7 => payload[at] = picture_id as u8 & 0x7f,
            Width::Bits15 => payload[at..at + 2].copy_from_slice(&(0x8000 | picture_id).to_be_bytes()),
        }
        if self.tl0_at != 0 {
            payload[usize::from(self.tl0_at)] = tl0;
        }
    }

    /// Writes the frame number that the receiver of a slot expects into a copy of the dependency descriptor.
    pub fn rewrite_dependency(&self, dependency: &mut [u8], number: u16) {
        let at = usize::from(self.picture_id_at);
        if self.picture_id_width == Width::Extension
            && let Some(place) = dependency.get_mut(at..at + 2)
        {
            place.copy_from_slice(&number.to_be_bytes());
        }
    }

    /// The frame is needed by receivers of its own temporal layer and those above.
    fn needed_from_temporal(&mut self) {
        let row = 0x0f << self.temporal.min(MOST_TEMPORAL - 1) & 0x0f;
        self.needed = row * 0x1111;
    }
}

/// What is known of a stream's layers: as of its last key frame, or by what has come so far.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Structure {
    /// How many spatial layers there are, 1 at least.
    pub spatial_layers: u8,
    /// How many temporal layers there are, 1 at least.
    pub temporal_layers: u8,
    /// Width and height of each spatial layer in pixels, lowest first; 0 where not known.
    pub sizes: [(u16, u16); MOST_SPATIAL as usize],
    /// What dependency descriptors refer to.
    templates: Option<Box<dependency::Templates>>,
}

impl Default for Structure {
    fn default() -> Structure {
        Structure { spatial_layers: 1, temporal_layers: 1, sizes: [(0, 0); MOST_SPATIAL as usize], templates: None }
    }
}

impl Structure {
    /// Takes note of a packet's layers.
    fn saw(&mut self, descriptor: &Descriptor) {
        self.spatial_layers = self.spatial_layers.max(descriptor.spatial.min(MOST_SPATIAL - 1) + 1);
        self.temporal_layers = self.temporal_layers.max(descriptor.temporal.min(MOST_TEMPORAL - 1) + 1);
        if let Some(size) = descriptor.dimensions {
            self.sizes[usize::from(descriptor.spatial.min(MOST_SPATIAL - 1))] = size;
        }
    }
}

/// Reads what a packet says of its frame; `None` when the payload is none of its codec. `dependency` is the dependency descriptor
/// among the header extensions, empty where the packet has none; `structure` belongs to the stream.
pub fn describe(
    codec: Codec,
    marker: bool,
    payload: &[u8],
    dependency: &[u8],
    structure: &mut Structure,
) -> Option<Descriptor> {
    let mut descriptor = match codec {
        Codec::Opus => return Some(Descriptor::EMPTY),
        Codec::Vp8 => vp8::describe(payload)?,
        Codec::H264 => h264::describe(payload),
        Codec::Vp9 => return vp9::describe(payload, marker, structure),
        Codec::Av1 => return av1::describe(payload, marker, dependency, structure),
    };
    descriptor.frame_end = marker;
    structure.saw(&descriptor);
    Some(descriptor)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_descriptor_is_small_and_an_empty_one_is_for_all() {
        assert!(size_of::<Descriptor>() <= 32);
        for layer in 0..16 {
            assert!(Descriptor::EMPTY.is_needed(layer / 4, layer % 4));
        }
    }
}
