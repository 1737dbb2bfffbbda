//! What is copied out of the stream, one way: a key frame for whoever looks at a track every now and then, and every packet for
//! whoever records the call. Forwarding never waits for either.

mod record;
mod sample;

pub(crate) use record::{Copying, Recorder};
pub use record::{Recorded, RecordedEvent, RecordedPacket};
pub(crate) use sample::Sampling;

use crate::codec::{h264, vp8};
use crate::track::Codec;

/// Appends what a packet carries of its frame: VP8 as one bitstream, H.264 in Annex B. False when the payload makes no sense.
fn append_frame(codec: Codec, payload: &[u8], frame: &mut Vec<u8>) -> bool {
    match codec {
        // Nobody here can look at VP9 and AV1: they are not negotiated where somebody would.
        Codec::Opus | Codec::Vp9 | Codec::Av1 => false,
        Codec::Vp8 => vp8::frame_of(payload).map(|part| frame.extend_from_slice(part)).is_some(),
        Codec::H264 => h264::append_annex_b(payload, frame),
    }
}
