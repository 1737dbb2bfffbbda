//! Pictures that people send: looked at before they are believed, freed of notes, made small.

use std::io::Cursor;
use std::panic::{AssertUnwindSafe, catch_unwind};

use image::codecs::gif::GifDecoder;
use image::codecs::jpeg::{JpegDecoder, JpegEncoder};
use image::codecs::png::{PngDecoder, PngEncoder};
use image::codecs::webp::{WebPDecoder, WebPEncoder};
use image::metadata::Orientation;
use image::{DynamicImage, ImageDecoder, ImageEncoder as _, Limits, RgbImage};

use super::strip;
use crate::domain::attachment::AttachmentFault;

/// Pixels of a side at most: what JPEG can say.
const MOST_SIDE: u32 = 65_535;
/// Bytes for each pixel that a decoder may need at most: four channels of 16 bits, twice.
const PIXEL_BYTES: u64 = 16;
/// The side of the square into which a small picture fits.
pub(super) const THUMBNAIL_SIDE: u32 = 400;
/// Of 100; a picture that is turned is seen large, a small one is not.
const QUALITY: u8 = 92;
const THUMBNAIL_QUALITY: u8 = 80;

/// What became of a picture.
#[derive(Debug)]
pub(super) struct Pictured {
    /// The picture as it is kept: upright, without notes.
    pub(super) bytes: Vec<u8>,
    /// Width and height, as it is shown.
    pub(super) dimensions: (u32, u32),
    /// The small one (JPEG).
    pub(super) thumbnail: Vec<u8>,
}

/// Looks at a picture of that type.
///
/// # Errors
/// What is wrong with it.
pub(super) fn look(media_type: &str, bytes: &[u8], most_pixels: u32) -> Result<Pictured, AttachmentFault> {
    // A decoder that panics on a stranger's bytes has a bug; it shall cost that file, not the worker.
    let looked = catch_unwind(AssertUnwindSafe(|| look_closely(media_type, bytes, most_pixels)));
    looked.unwrap_or(Err(AttachmentFault::Unreadable))
}

fn look_closely(media_type: &str, bytes: &[u8], most_pixels: u32) -> Result<Pictured, AttachmentFault> {
    let source = || Cursor::new(bytes);
    match media_type {
        "image/jpeg" => with(media_type, JpegDecoder::new(source()).map_err(unreadable)?, bytes, most_pixels),
        "image/png" => with(media_type, PngDecoder::new(source()).map_err(unreadable)?, bytes, most_pixels),
        "image/gif" => with(media_type, GifDecoder::new(source()).map_err(unreadable)?, bytes, most_pixels),
        "image/webp" => with(media_type, WebPDecoder::new(source()).map_err(unreadable)?, bytes, most_pixels),
        // The operator takes types that nothing here can look at.
        _ => Err(AttachmentFault::TypeNotAllowed),
    }
}

#[expect(clippy::needless_pass_by_value, reason = "what map_err calls")]
fn unreadable(error: image::ImageError) -> AttachmentFault {
    match error {
        image::ImageError::Limits(_) => AttachmentFault::TooManyPixels,
        _ => AttachmentFault::Unreadable,
    }
}

/// The header is read; nothing is decoded before its size is known and within bounds.
fn with(
    media_type: &str,
    mut decoder: impl ImageDecoder,
    bytes: &[u8],
    most_pixels: u32,
) -> Result<Pictured, AttachmentFault> {
    let (width, height) = decoder.dimensions();
    if width == 0 || height == 0 {
        return Err(AttachmentFault::Unreadable);
    }
    if width > MOST_SIDE || height > MOST_SIDE || u64::from(width) * u64::from(height) > u64::from(most_pixels) {
        return Err(AttachmentFault::TooManyPixels);
    }
    let mut limits = Limits::default();
    limits.max_alloc = Some(u64::from(most_pixels) * PIXEL_BYTES);
    decoder.set_limits(limits).map_err(unreadable)?;
    let orientation = decoder.orientation().unwrap_or(Orientation::NoTransforms);
    let profile = decoder.icc_profile().ok().flatten();
    let mut picture = DynamicImage::from_decoder(decoder).map_err(unreadable)?;
    let bytes = if orientation == Orientation::NoTransforms {
        strip::stripped(media_type, bytes).ok_or(AttachmentFault::Unreadable)?
    } else {
        picture.apply_orientation(orientation);
        encode(media_type, &picture, profile).map_err(unreadable)?
    };
    let thumbnail = thumbnail(&picture).map_err(unreadable)?;
    Ok(Pictured { bytes, dimensions: (picture.width(), picture.height()), thumbnail })
}

/// A turned picture in its own format, with its colours' profile.
fn encode(media_type: &str, picture: &DynamicImage, profile: Option<Vec<u8>>) -> image::ImageResult<Vec<u8>> {
    let mut out = Vec::new();
    match media_type {
        "image/jpeg" => {
            let mut encoder = JpegEncoder::new_with_quality(&mut out, QUALITY);
            if let Some(profile) = profile {
                encoder.set_icc_profile(profile).ok();
            }
            encoder.encode_image(&picture.to_rgb8())?;
        }
        "image/webp" => {
            DynamicImage::from(picture.to_rgba8()).write_with_encoder(WebPEncoder::new_lossless(&mut out))?;
        }
        _ => {
            let mut encoder = PngEncoder::new(&mut out);
            if let Some(profile) = profile {
                encoder.set_icc_profile(profile).ok();
            }
            picture.write_with_encoder(encoder)?;
        }
    }
    Ok(out)
}

/// A small picture on white.
fn thumbnail(picture: &DynamicImage) -> image::ImageResult<Vec<u8>> {
    let is_small = picture.width() <= THUMBNAIL_SIDE && picture.height() <= THUMBNAIL_SIDE;
    let small =
        if is_small { picture.to_rgba8() } else { picture.thumbnail(THUMBNAIL_SIDE, THUMBNAIL_SIDE).to_rgba8() };
    let on_white = RgbImage::from_fn(small.width(), small.height(), |x, y| {
        let [red, green, blue, alpha] = small.get_pixel(x, y).0.map(u32::from);
        image::Rgb([red, green, blue].map(|colour| ((colour * alpha + 255 * (255 - alpha)) / 255) as u8))
    });
    let mut out = Vec::new();
    JpegEncoder::new_with_quality(&mut out, THUMBNAIL_QUALITY).encode_image(&on_white)?;
    Ok(out)
}

#[cfg(test)]
mod tests {
    use image::ImageFormat;

    use super::*;

    const PIXELS: u32 = 1_000_000;

    /// Red on its left half, blue on its right.
    fn picture(width: u32, height: u32, format: ImageFormat) -> Vec<u8> {
        let halves =
            RgbImage::from_fn(width, height, |x, _| image::Rgb(if x < width / 2 { [250, 0, 0] } else { [0, 0, 250] }));
        let mut out = Cursor::new(Vec::new());
        DynamicImage::from(halves).write_to(&mut out, format).unwrap();
        out.into_inner()
    }

    /// A JPEG that says: turn me by a quarter, and this is where I was taken.
    fn turned(jpeg: &[u8]) -> Vec<u8> {
        let exif = b"Exif\0\0MM\0*\0\0\0\x08\0\x01\x01\x12\0\x03\0\0\0\x01\0\x06\0\0\0\0\0\0GPS-NOTE";
        let mut out = vec![0xff, 0xd8, 0xff, 0xe1];
        out.extend(u16::try_from(exif.len() + 2).unwrap().to_be_bytes());
        out.extend(exif);
        out.extend(&jpeg[2..]);
        out
    }

    #[test]
    fn a_turned_picture_is_kept_upright_and_says_nothing_of_its_place() {
        let looked = look("image/jpeg", &turned(&picture(64, 32, ImageFormat::Jpeg)), PIXELS).unwrap();
        assert_eq!(looked.dimensions, (32, 64));
        assert!(!looked.bytes.windows(8).any(|it| it == b"GPS-NOTE"));
        let upright = image::load_from_memory(&looked.bytes).unwrap().to_rgb8();
        let (top, bottom) = (upright.get_pixel(16, 8), upright.get_pixel(16, 56));
        assert!(top[0] > 200 && bottom[2] > 200, "what was left is above: {top:?} {bottom:?}");
        let again = look("image/jpeg", &looked.bytes, PIXELS).unwrap();
        assert_eq!(again.dimensions, (32, 64));
    }

    #[test]
    fn small_pictures_fit_and_keep_their_shape() {
        for (media_type, format) in [
            ("image/jpeg", ImageFormat::Jpeg),
            ("image/png", ImageFormat::Png),
            ("image/gif", ImageFormat::Gif),
            ("image/webp", ImageFormat::WebP),
        ] {
            let looked = look(media_type, &picture(1_000, 500, format), PIXELS).unwrap();
            assert_eq!(looked.dimensions, (1_000, 500), "{media_type}");
            let small = image::load_from_memory_with_format(&looked.thumbnail, ImageFormat::Jpeg).unwrap();
            assert_eq!((small.width(), small.height()), (400, 200), "{media_type}");
        }
    }

    #[test]
    fn a_bomb_is_told_by_its_header() {
        // A PNG that announces 30,000 × 30,000 pixels in a few bytes.
        let mut bomb = picture(1, 1, ImageFormat::Png);
        bomb[16..20].copy_from_slice(&30_000_u32.to_be_bytes());
        bomb[20..24].copy_from_slice(&30_000_u32.to_be_bytes());
        let sum = crc32(&bomb[12..29]);
        bomb[29..33].copy_from_slice(&sum.to_be_bytes());
        assert_eq!(look("image/png", &bomb, 40_000_000).unwrap_err(), AttachmentFault::TooManyPixels);
        let mut gif = picture(4, 4, ImageFormat::Gif);
        gif[6..10].copy_from_slice(&[0xff; 4]);
        assert_eq!(look("image/gif", &gif, 40_000_000).unwrap_err(), AttachmentFault::TooManyPixels);
        assert_eq!(
            look("image/jpeg", &picture(1_001, 1_000, ImageFormat::Jpeg), PIXELS).unwrap_err(),
            AttachmentFault::TooManyPixels
        );
    }

    #[test]
    fn what_only_looks_like_a_picture_is_refused() {
        let png = picture(20, 20, ImageFormat::Png);
        for (media_type, bytes) in [
            ("image/jpeg", &png[..]),
            ("image/png", &png[..png.len() / 2]),
            ("image/png", b"\x89PNG\r\n\x1a\n<script>alert(1)</script>"),
            ("image/gif", b"GIF89a<html>"),
            ("image/webp", b"RIFF\x04\0\0\0WEBP"),
        ] {
            assert_eq!(look(media_type, bytes, PIXELS).unwrap_err(), AttachmentFault::Unreadable, "{media_type}");
        }
        assert_eq!(look("image/tiff", &png, PIXELS).unwrap_err(), AttachmentFault::TypeNotAllowed);
    }

    fn crc32(bytes: &[u8]) -> u32 {
        let step = |sum: u32, byte: &u8| {
            (0..8).fold(sum ^ u32::from(*byte), |sum, _| (sum >> 1) ^ (0xedb8_8320 & (sum & 1).wrapping_neg()))
        };
        !bytes.iter().fold(u32::MAX, step)
    }
}
