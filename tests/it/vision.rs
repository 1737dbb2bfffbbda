//! Key frames are decoded, squashed and classified as nsfwjs would, and what is wrong with them costs nobody anything.

mod files;
mod pictures;

use std::path::{Path, PathBuf};
use std::process::Command;

use parlor::domain::evidence::{Label, Scores};
use parlor::moderation::vision::{
    Classifier, Coding, Eye, FrameError, LookError, MOST_FRAME_BYTES, Seen, measure, picture_file,
};
use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};
use serde_json::Value;

use self::pictures::{RECIPES, chequers, drawing, h264_key_frame, vp8_frames, vp8_key_frames};

/// How far a probability may be from nsfwjs's.
const PARITY: f32 = 1e-3;

fn models() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("models")
}

fn eye() -> Eye {
    let classifier = Classifier::open(&models()).unwrap_or_else(|error| panic!("{error}"));
    assert_eq!(classifier.model().name, "nsfwjs-mobilenet-v2");
    assert!(!classifier.thresholds().contains_key(&Label::Drawing), "a drawing is no hit unless a policy says so");
    classifier.eye().unwrap()
}

fn top(scores: &Scores) -> Label {
    let mut labels = Label::ALL.to_vec();
    labels.sort_by(|a, b| scores.of(*a).total_cmp(&scores.of(*b)));
    labels[labels.len() - 1]
}

/// What nsfwjs says of WebP files: label → probability, for each.
fn nsfwjs(files: &[PathBuf]) -> Vec<Value> {
    let parity = models().join("parity");
    assert!(parity.join("node_modules").exists(), "nsfwjs is not installed: run models/prepare parity");
    let output = Command::new("node").arg(parity.join("nsfwjs.mjs")).args(files).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let lines = String::from_utf8(output.stdout).unwrap();
    lines.lines().map(|line| serde_json::from_str(line).unwrap_or_else(|error| panic!("{error}: {line}"))).collect()
}

/// The whole path of a VP8 frame (our decoder, our resize, our runtime) beside nsfwjs on tfjs, which gets the evidence file and
/// decodes it with libwebp.
#[test]
fn probabilities_are_those_of_nsfwjs() {
    let (folder, mut eye) = (tempfile::tempdir().unwrap(), eye());
    let (mut files, mut ours) = (Vec::new(), Vec::new());
    // Smaller than the model's input, odd, and much larger.
    for (width, height) in [(320, 180), (639, 361), (800, 450)] {
        let frames = vp8_key_frames(width, height, &RECIPES.map(|(_, recipe)| recipe));
        for (frame, (name, _)) in frames.iter().zip(RECIPES) {
            let seen = eye.look(Coding::Vp8, frame).unwrap();
            assert_eq!((seen.width, seen.height), (width, height));
            let file = folder.path().join(format!("{name}-{width}.webp"));
            std::fs::write(&file, picture_file(Coding::Vp8, frame).unwrap().bytes).unwrap();
            files.push(file);
            ours.push(seen);
        }
    }
    let theirs = nsfwjs(&files);
    assert_eq!(theirs.len(), ours.len());
    let mut furthest = 0.0_f32;
    for ((seen, theirs), file) in ours.iter().zip(&theirs).zip(&files) {
        assert_eq!(
            (theirs["width"].as_u64(), theirs["height"].as_u64()),
            (Some(seen.width.into()), Some(seen.height.into()))
        );
        let theirs = Label::ALL.iter().map(|label| theirs["probabilities"][label.as_str()].as_f64().unwrap() as f32);
        let theirs = Scores::checked(theirs.collect::<Vec<_>>().try_into().unwrap()).unwrap();
        for label in Label::ALL {
            let away = (seen.scores.of(*label) - theirs.of(*label)).abs();
            assert!(away <= PARITY, "{}: {label:?} is {away} away: {:?}, not {theirs:?}", file.display(), seen.scores);
            furthest = furthest.max(away);
        }
        assert_eq!(top(&seen.scores), top(&theirs), "{}", file.display());
    }
    println!("furthest from nsfwjs: {furthest:e}");
}

#[test]
fn a_drawing_is_seen_in_every_coding_and_size() {
    let mut eye = eye();
    for (width, height) in [(320, 180), (640, 360)] {
        let [drawn, plain] = &vp8_key_frames(width, height, &[drawing, chequers])[..] else { panic!("two frames") };
        let seen = eye.look(Coding::Vp8, drawn).unwrap();
        assert!(seen.scores.of(Label::Drawing) >= 0.9, "{width}: {seen:?}");
        let seen = eye.look(Coding::Vp8, plain).unwrap();
        assert!(seen.scores.of(Label::Drawing) < 0.3, "{width}: {seen:?}");
        // Asking again is asking about the same picture.
        assert_eq!(eye.classify().unwrap(), seen.scores);
    }
}

#[cfg(feature = "h264")]
#[test]
fn h264_is_seen_as_vp8_is() {
    let mut eye = eye();
    for recipe in [drawing as pictures::Recipe, chequers] {
        let frame = h264_key_frame(320, 180, recipe);
        let seen = eye.look(Coding::H264, &frame).unwrap();
        let vp8 = eye.look(Coding::Vp8, &vp8_key_frames(320, 180, &[recipe])[0]).unwrap();
        assert_eq!((seen.width, seen.height), (320, 180));
        for label in Label::ALL {
            let away = (seen.scores.of(*label) - vp8.scores.of(*label)).abs();
            assert!(away < 0.1, "{label:?}: {seen:?}, by VP8 {vp8:?}");
        }
        let file = picture_file(Coding::H264, &frame).unwrap();
        assert_eq!((file.media_type, file.width, file.height), ("image/jpeg", 320, 180));
        let shown = image::load_from_memory_with_format(&file.bytes, image::ImageFormat::Jpeg).unwrap().to_rgb8();
        let close = |x: u32, y: u32| {
            let wanted = recipe(x as f32 / 180.0, y as f32 / 180.0);
            shown.get_pixel(x, y).0.iter().zip(wanted).all(|(seen, wanted)| seen.abs_diff(wanted) < 25)
        };
        // In the middle of what the pictures show there.
        assert!([(4, 4), (313, 13), (161, 166)].into_iter().all(|(x, y)| close(x, y)), "the JPEG shows something else");
    }
}

/// What is kept as evidence is what was sent, bit for bit.
#[test]
fn evidence_of_vp8_is_the_frame_itself() {
    let frames = vp8_key_frames(320, 180, &[drawing, chequers]);
    for frame in frames.iter().cloned().chain(frames.iter().map(|frame| [&frame[..], &[0]].concat())) {
        let file = picture_file(Coding::Vp8, &frame).unwrap();
        assert_eq!((file.media_type, file.width, file.height), ("image/webp", 320, 180));
        assert_eq!(file.bytes[20..20 + frame.len()], frame);
        assert_eq!(file.bytes.len() % 2, 0, "chunks of RIFF have an even length");
        let size = u32::from_le_bytes(*file.bytes[4..].first_chunk().unwrap()) as usize;
        assert_eq!(size + 8, file.bytes.len());
    }
}

/// Frames that lie, each with what is said of it; the next good frame is seen as if nothing had been.
#[test]
fn a_bad_frame_is_an_error_and_no_more() {
    let good = vp8_key_frames(320, 180, &[drawing]).remove(0);
    let resized = |width: u16, height: u16| {
        let mut frame = good.clone();
        frame[6..8].copy_from_slice(&width.to_le_bytes());
        frame[8..10].copy_from_slice(&height.to_le_bytes());
        frame
    };
    type Wanted = fn(&FrameError) -> bool;
    let undecodable: Wanted = |error| matches!(error, FrameError::Undecodable(_));
    let too_large: Wanted = |error| matches!(error, FrameError::TooLarge { .. });
    let bad: Vec<(&str, Vec<u8>, Wanted)> = vec![
        ("empty", Vec::new(), undecodable),
        ("one byte", vec![0x10], undecodable),
        ("a header alone", good[..10].to_vec(), undecodable),
        ("half of it", good[..good.len() / 2].to_vec(), undecodable),
        ("all but some bytes", good[..good.len() - 40].to_vec(), undecodable),
        ("garbage", (0..4000_u32).map(|i| (i.wrapping_mul(0x9e37_79b9) >> 24) as u8 & 0xfe).collect(), undecodable),
        ("a lie: twice as wide", resized(640, 360), undecodable),
        ("a lie: as large as may be", resized(4096, 4096), undecodable),
        ("a lie: larger than anything", resized(16383, 16383), too_large),
        ("a lie: long and thin", resized(16383, 1), too_large),
        ("a lie: no pixels", resized(0, 180), undecodable),
        (
            "too long",
            [good.clone(), vec![0; MOST_FRAME_BYTES]].concat(),
            |error| matches!(error, FrameError::TooLong { bytes } if *bytes > MOST_FRAME_BYTES),
        ),
    ];
    let mut eye = eye();
    let before = eye.look(Coding::Vp8, &good).unwrap();
    for (name, frame, wanted) in bad {
        for coding in [Coding::Vp8, Coding::H264] {
            let seen = eye.look(coding, &frame);
            let Err(LookError::Frame(error)) = &seen else { panic!("{name} as {coding:?}: {seen:?}") };
            assert!(coding == Coding::H264 || wanted(error), "{name}: {error}");
        }
        let evidence = picture_file(Coding::Vp8, &frame);
        assert!(evidence.is_err() || frame.len() > 10, "{name}: {evidence:?}");
    }
    assert_eq!(eye.look(Coding::Vp8, &good).unwrap(), before);
}

#[test]
fn frames_that_need_others_are_no_key_frames() {
    let frames = vp8_frames(320, 180, &[drawing, drawing]);
    assert_eq!(measure(Coding::Vp8, &frames[0]), Ok((320, 180)));
    assert_eq!(measure(Coding::Vp8, &frames[1]), Err(FrameError::NotKeyFrame));
    let whole = if cfg!(feature = "h264") { FrameError::NotKeyFrame } else { FrameError::NoDecoder };
    let frame = h264_key_frame(64, 48, chequers);
    // Without its parameters: those of the picture before must not be taken for it.
    let idr = frame.windows(4).rposition(|window| window[..3] == [0, 0, 1] && window[3] & 0x1f == 5).unwrap();
    let mut eye = eye();
    let _: Result<Seen, LookError> = eye.look(Coding::H264, &frame);
    assert_eq!(eye.look(Coding::H264, &frame[idr..]), Err(LookError::Frame(whole)));
}

#[cfg(feature = "h264")]
#[test]
fn h264_of_senseless_size_is_refused() {
    // Sequence parameters of baseline, level 5.2: no reordering, and 1,023 × 1,023 macroblocks (Exp-Golomb: nine zeros, ten ones).
    let bits = "1 1 011 1 0 0000000001111111111 0000000001111111111 1 1 0 0 1".replace(' ', "");
    let packed = bits.as_bytes().chunks(8).map(|byte| {
        let bit = |(at, bit): (usize, &u8)| u8::from(*bit == b'1') << (7 - at);
        byte.iter().enumerate().map(bit).sum::<u8>()
    });
    let mut frame = vec![0, 0, 0, 1, 0x67, 0x42, 0x00, 0x34];
    frame.extend(packed);
    // The rest of a picture that is in order.
    let good = h264_key_frame(64, 48, chequers);
    let parameters = good.windows(4).position(|window| window[..3] == [0, 0, 1] && window[3] & 0x1f == 8).unwrap();
    frame.extend_from_slice(&good[parameters..]);
    let error = measure(Coding::H264, &frame).unwrap_err();
    assert!(matches!(error, FrameError::Undecodable(_) | FrameError::TooLarge { .. }), "{error}");
}

/// Whatever comes, decoding ends in a picture or an error.
#[test]
fn no_bytes_break_the_decoders() {
    let vp8 = vp8_key_frames(64, 48, &[drawing, chequers]);
    let h264 = vec![h264_key_frame(64, 48, drawing)];
    let changes = prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 0..8);
    let flipped = (any::<prop::sample::Index>(), changes, any::<prop::sample::Index>(), prop::bool::weighted(0.25));
    let header = [0x10, 0x02, 0x00, 0x9d, 0x01, 0x2a, 64, 0, 48, 0];
    // A seed that broke something goes to proptest-regressions by itself.
    let mut runner = TestRunner::new(Config { cases: 2000, source_file: Some(file!()), ..Config::default() });
    for (coding, frames) in [(Coding::Vp8, vp8), (Coding::H264, h264)] {
        runner
            .run(&flipped, |(which, changes, end, cut)| {
                let mut frame = which.get(&frames).clone();
                for (at, byte) in changes {
                    let at = at.index(frame.len());
                    frame[at] ^= byte;
                }
                if cut {
                    frame.truncate(end.index(frame.len()));
                }
                tried(coding, &frame)
            })
            .unwrap();
        runner
            .run(&prop::collection::vec(any::<u8>(), 0..600), |bytes| {
                tried(coding, &bytes)?;
                tried(coding, &[&header[..], &bytes].concat())
            })
            .unwrap();
    }
}

fn tried(coding: Coding, frame: &[u8]) -> Result<(), TestCaseError> {
    match measure(coding, frame) {
        // A decoder that panics is caught, but it is a bug all the same.
        Err(FrameError::Undecodable(why)) => prop_assert!(!why.contains("the decoder failed"), "{why}"),
        Ok((width, height)) => prop_assert!(width > 0 && height > 0),
        Err(_) => {}
    }
    Ok(())
}
