//! H.264 by OpenH264, compiled from its source. It knows the profiles that browsers send (baseline to high, progressive).

use openh264::decoder::Decoder;
use openh264::formats::YUVSource as _;

use super::FrameError;
use super::decode::{Picture, undecodable, within_bounds};

/// NAL unit types (H.264, table 7-1).
const IDR_SLICE: u8 = 5;
const SEQUENCE_PARAMETERS: u8 = 7;
const PICTURE_PARAMETERS: u8 = 8;

/// Decodes one key frame in Annex B form. Each has a decoder of its own: in a used one a frame without parameters would be
/// decoded with those of somebody else's picture. OpenH264 itself refuses pictures of more than 36,864 macroblocks (level 5.2)
/// before it allocates them.
pub(super) fn decode(frame: &[u8], picture: &mut Picture) -> Result<(), FrameError> {
    let kinds = unit_kinds(frame);
    if [SEQUENCE_PARAMETERS, PICTURE_PARAMETERS, IDR_SLICE].iter().any(|kind| kinds & 1 << kind == 0) {
        return Err(FrameError::NotKeyFrame);
    }
    let mut decoder = Decoder::new().map_err(undecodable)?;
    let decoded = decoder.decode(frame).map_err(undecodable)?;
    let decoded = decoded.ok_or_else(|| FrameError::Undecodable("it ends before its picture does".into()))?;
    let (width, height) = decoded.dimensions();
    let (width, height) = (u32::try_from(width).unwrap_or(u32::MAX), u32::try_from(height).unwrap_or(u32::MAX));
    within_bounds(width, height)?;
    picture.resize(width, height);
    decoded.write_rgb8(&mut picture.rgb);
    Ok(())
}

/// The types of NAL units between start codes, a bit for each.
fn unit_kinds(frame: &[u8]) -> u32 {
    let starts = frame.windows(4).filter(|window| window[..3] == [0, 0, 1]);
    starts.fold(0, |kinds, window| kinds | 1 << (window[3] & 0x1f))
}
