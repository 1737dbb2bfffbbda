//! Pictures without what was written into them beside the picture: where and when it was taken, by whom, and what else a program
//! noted. The picture's own data is copied as it is. All that follows its end goes, too.

mod gif;
mod jpeg;
mod png;
mod webp;

/// The same picture with nothing but what showing it needs. `None`: it is not built as pictures of its type are.
pub(super) fn stripped(media_type: &str, bytes: &[u8]) -> Option<Vec<u8>> {
    match media_type {
        "image/jpeg" => jpeg::stripped(bytes),
        "image/png" => png::stripped(bytes),
        "image/gif" => gif::stripped(bytes),
        "image/webp" => webp::stripped(bytes),
        _ => None,
    }
}

/// So many bytes from there on.
fn take(bytes: &[u8], at: usize, length: usize) -> Option<&[u8]> {
    bytes.get(at..at.checked_add(length)?)
}

#[cfg(test)]
mod tests {
    use std::io::Cursor;

    use image::{DynamicImage, ImageFormat, Rgb, RgbImage};
    use proptest::prelude::*;

    use super::*;

    const TYPES: [(&str, ImageFormat); 4] = [
        ("image/jpeg", ImageFormat::Jpeg),
        ("image/png", ImageFormat::Png),
        ("image/gif", ImageFormat::Gif),
        ("image/webp", ImageFormat::WebP),
    ];

    fn picture(format: ImageFormat) -> Vec<u8> {
        let picture = RgbImage::from_fn(32, 24, |x, y| Rgb([(x * 8) as u8, (y * 10) as u8, 90]));
        let mut bytes = Cursor::new(Vec::new());
        DynamicImage::from(picture).write_to(&mut bytes, format).unwrap();
        bytes.into_inner()
    }

    fn pixels(bytes: &[u8], format: ImageFormat) -> Vec<u8> {
        image::load_from_memory_with_format(bytes, format).unwrap().to_rgb8().into_raw()
    }

    fn has(bytes: &[u8], word: &[u8]) -> bool {
        bytes.windows(word.len()).any(|window| window == word)
    }

    /// The picture with a note in it, wherever its format lets one be written.
    fn noted(media_type: &str, picture: &[u8]) -> Vec<u8> {
        let exif = b"Exif\0\0MM\0*\0\0\0\x08GPS-NOTE";
        let mut noted = Vec::new();
        match media_type {
            "image/jpeg" => {
                noted.extend([0xff, 0xd8]);
                for (marker, note) in
                    [(0xe1, &exif[..]), (0xe1, b"http://ns.adobe.com/xap/1.0/\0GPS-NOTE"), (0xfe, b"GPS-NOTE")]
                {
                    noted.extend([0xff, marker]);
                    noted.extend(u16::try_from(note.len() + 2).unwrap().to_be_bytes());
                    noted.extend(note);
                }
                noted.extend(&picture[2..]);
            }
            "image/png" => {
                noted.extend(&picture[..33]);
                for kind in [b"tEXt", b"eXIf", b"iTXt", b"prVt"] {
                    noted.extend(8_u32.to_be_bytes());
                    noted.extend(kind);
                    noted.extend(b"GPS-NOTE");
                    noted.extend([0; 4]);
                }
                noted.extend(&picture[33..]);
            }
            "image/gif" => {
                let table = 13 + if picture[10] & 0x80 != 0 { 3 << ((picture[10] & 7) + 1) } else { 0 };
                noted.extend(&picture[..table]);
                noted.extend(b"\x21\xfe\x08GPS-NOTE\0");
                noted.extend(b"\x21\xff\x0bXMP DataXMP\x08GPS-NOTE\0");
                noted.extend(&picture[table..]);
            }
            _ => {
                noted.extend(picture);
                for kind in [b"EXIF", b"XMP "] {
                    noted.extend(kind);
                    noted.extend(8_u32.to_le_bytes());
                    noted.extend(b"GPS-NOTE");
                }
                let size = u32::try_from(noted.len() - 8).unwrap();
                noted[4..8].copy_from_slice(&size.to_le_bytes());
            }
        }
        noted.extend(b"PK\x03\x04 GPS-NOTE behind the end");
        noted
    }

    #[test]
    fn notes_go_and_pictures_stay() {
        for (media_type, format) in TYPES {
            let plain = picture(format);
            let noted = noted(media_type, &plain);
            assert!(has(&noted, b"GPS-NOTE"));
            let stripped = stripped(media_type, &noted).unwrap_or_else(|| panic!("{media_type} is readable"));
            assert!(!has(&stripped, b"GPS-NOTE"), "{media_type}");
            assert_eq!(pixels(&stripped, format), pixels(&plain, format), "{media_type}");
            assert_eq!(super::stripped(media_type, &stripped).unwrap(), stripped, "{media_type}: nothing more goes");
        }
    }

    #[test]
    fn what_is_no_picture_is_refused() {
        for (media_type, _) in TYPES {
            for bytes in [&b""[..], b"\xff\xd8", b"\x89PNG\r\n\x1a\n", b"GIF89a", b"RIFF\x04\0\0\0WEBP", b"<html>"] {
                assert!(stripped(media_type, bytes).is_none_or(|it| it.len() < 16), "{media_type}");
            }
        }
        assert_eq!(stripped("image/svg+xml", b"<svg/>"), None);
    }

    proptest! {
        #[test]
        fn damage_is_no_more_than_an_error(
            which in 0_usize..4,
            at in 0_usize..400,
            with in proptest::collection::vec(any::<u8>(), 0..40),
            cut in 0_usize..600,
        ) {
            let (media_type, format) = TYPES[which];
            let mut bytes = noted(media_type, &picture(format));
            for (byte, other) in bytes.iter_mut().skip(at).zip(with) {
                *byte = other;
            }
            bytes.truncate(cut.max(1));
            if let Some(stripped) = stripped(media_type, &bytes) {
                prop_assert!(stripped.len() <= bytes.len() + 16);
            }
        }

        #[test]
        fn any_bytes_are_read_to_their_end(which in 0_usize..4, bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
            stripped(TYPES[which].0, &bytes);
        }
    }
}
