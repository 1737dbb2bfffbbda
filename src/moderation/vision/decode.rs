//! Key frames become pictures. What arrives here was written by a stranger: nothing is allocated before its size is known and
//! within bounds, and nothing that is wrong with it is more than an error.

use std::io::Cursor;
use std::panic::{AssertUnwindSafe, catch_unwind};

use image::ImageDecoder as _;
use image::codecs::jpeg::JpegEncoder;
use image::codecs::webp::WebPDecoder;

use super::{Coding, FrameError, PictureFile};

/// Bytes of a key frame at most: the tap copies no longer ones.
pub const MOST_FRAME_BYTES: usize = 1 << 20;
/// Pixels of a side at most: twice what browsers send of a large screen.
pub const MOST_SIDE: u32 = 8192;
/// Pixels of a picture at most. It bounds what one frame may cost: 48 MiB of RGB and a third of a second.
pub const MOST_PIXELS: u32 = 1 << 24;
/// Memory that stays with a worker between frames; what a larger picture took is given back.
const KEPT_BYTES: usize = 8 << 20;
/// Bytes before a VP8 key frame's data: frame tag, start code, width, height (RFC 6386, section 9.1).
const VP8_HEADER_BYTES: usize = 10;
/// Of 100: evidence has to show what the sampler saw, not to be small.
const JPEG_QUALITY: u8 = 90;

/// Rows of red, green and blue, without padding.
#[derive(Debug, Default)]
pub(super) struct Picture {
    pub(super) width: usize,
    pub(super) height: usize,
    pub(super) rgb: Vec<u8>,
}

impl Picture {
    /// Decodes a key frame into this picture's memory.
    pub(super) fn decode(&mut self, coding: Coding, frame: &[u8]) -> Result<(), FrameError> {
        if self.rgb.capacity() > KEPT_BYTES {
            self.rgb = Vec::new();
        }
        if frame.len() > MOST_FRAME_BYTES {
            return Err(FrameError::TooLong { bytes: frame.len() });
        }
        // A decoder that panics on a stranger's bytes has a bug; it shall cost that frame, not the worker.
        let decoded = catch_unwind(AssertUnwindSafe(|| match coding {
            Coding::Vp8 => self.decode_vp8(frame),
            Coding::H264 => self.decode_h264(frame),
        }));
        decoded.unwrap_or_else(|_| Err(FrameError::Undecodable("the decoder failed on it".into())))
    }

    fn decode_vp8(&mut self, frame: &[u8]) -> Result<(), FrameError> {
        let (width, height) = vp8_size(frame)?;
        self.resize(width, height);
        let decoder = WebPDecoder::new(Cursor::new(webp_of(frame))).map_err(undecodable)?;
        // A lossy picture without an alpha chunk is RGB, of the size in its header; anything else is not what was wrapped.
        if decoder.total_bytes() != self.rgb.len() as u64 {
            return Err(FrameError::Undecodable("it is not the picture its header announces".into()));
        }
        decoder.read_image(&mut self.rgb).map_err(undecodable)
    }

    #[cfg(feature = "h264")]
    fn decode_h264(&mut self, frame: &[u8]) -> Result<(), FrameError> {
        super::h264::decode(frame, self)
    }

    #[cfg(not(feature = "h264"))]
    #[expect(clippy::unused_self, reason = "the build with a decoder needs it")]
    fn decode_h264(&mut self, _frame: &[u8]) -> Result<(), FrameError> {
        Err(FrameError::NoDecoder)
    }

    /// Takes this size, which was checked.
    pub(super) fn resize(&mut self, width: u32, height: u32) {
        (self.width, self.height) = (width as usize, height as usize);
        self.rgb.resize(self.width * self.height * 3, 0);
    }
}

/// Decodes a key frame, and throws the picture away: its width and height in pixels.
///
/// # Errors
/// When it cannot be decoded.
pub fn measure(coding: Coding, frame: &[u8]) -> Result<(u32, u32), FrameError> {
    let mut picture = Picture::default();
    picture.decode(coding, frame)?;
    Ok((picture.width as u32, picture.height as u32))
}

/// A key frame as a file that any browser shows: VP8 as the WebP that it is inside, bit for bit; H.264 as a JPEG.
///
/// # Errors
/// When it cannot be decoded. Of VP8 only the header is read.
pub fn picture_file(coding: Coding, frame: &[u8]) -> Result<PictureFile, FrameError> {
    if frame.len() > MOST_FRAME_BYTES {
        return Err(FrameError::TooLong { bytes: frame.len() });
    }
    match coding {
        Coding::Vp8 => {
            let (width, height) = vp8_size(frame)?;
            Ok(PictureFile { bytes: webp_of(frame), media_type: "image/webp", width, height })
        }
        Coding::H264 => {
            let mut picture = Picture::default();
            picture.decode(coding, frame)?;
            let (width, height) = (picture.width as u32, picture.height as u32);
            let mut bytes = Vec::new();
            JpegEncoder::new_with_quality(&mut bytes, JPEG_QUALITY)
                .encode(&picture.rgb, width, height, image::ExtendedColorType::Rgb8)
                .map_err(undecodable)?;
            Ok(PictureFile { bytes, media_type: "image/jpeg", width, height })
        }
    }
}

/// Width and height that a VP8 key frame announces (RFC 6386, section 9.1), within bounds.
fn vp8_size(frame: &[u8]) -> Result<(u32, u32), FrameError> {
    let broken = |why: &str| Err(FrameError::Undecodable(why.to_owned()));
    let Some(header) = frame.first_chunk::<VP8_HEADER_BYTES>() else {
        return broken("it is shorter than a key frame's header");
    };
    let [tag0, tag1, tag2, start0, start1, start2, width0, width1, height0, height1] = *header;
    if tag0 & 1 != 0 {
        return Err(FrameError::NotKeyFrame);
    }
    if [start0, start1, start2] != [0x9d, 0x01, 0x2a] {
        return broken("it has no start code");
    }
    let first_partition = u32::from_le_bytes([tag0, tag1, tag2, 0]) >> 5;
    if first_partition as usize > frame.len() - VP8_HEADER_BYTES {
        return broken("it ends before its first partition does");
    }
    // The two high bits ask the viewer to scale, which nobody does.
    let side = |low: u8, high: u8| u32::from(u16::from_le_bytes([low, high]) & 0x3fff);
    let (width, height) = (side(width0, width1), side(height0, height1));
    within_bounds(width, height)?;
    Ok((width, height))
}

/// # Errors
/// When a picture is too large, or has no pixels.
pub(super) fn within_bounds(width: u32, height: u32) -> Result<(), FrameError> {
    if width == 0 || height == 0 {
        return Err(FrameError::Undecodable("it has no pixels".into()));
    }
    // Both sides are at most 2^32, their product is exact.
    if width > MOST_SIDE || height > MOST_SIDE || u64::from(width) * u64::from(height) > u64::from(MOST_PIXELS) {
        return Err(FrameError::TooLarge { width, height });
    }
    Ok(())
}

/// The WebP file of a VP8 key frame: a lossy WebP is just that, in a RIFF container (RFC 9649, sections 2.3 to 2.5).
fn webp_of(frame: &[u8]) -> Vec<u8> {
    let padding = frame.len() % 2;
    let mut file = Vec::with_capacity(20 + frame.len() + padding);
    file.extend_from_slice(b"RIFF");
    file.extend_from_slice(&riff_size(4 + 8 + frame.len() + padding));
    file.extend_from_slice(b"WEBPVP8 ");
    file.extend_from_slice(&riff_size(frame.len()));
    file.extend_from_slice(frame);
    file.extend_from_slice(&[0][..padding]);
    file
}

fn riff_size(bytes: usize) -> [u8; 4] {
    u32::try_from(bytes).expect("a frame is at most a megabyte").to_le_bytes()
}

/// What a decoder says of a frame, for the log.
pub(super) fn undecodable(error: impl std::fmt::Display) -> FrameError {
    FrameError::Undecodable(error.to_string())
}
