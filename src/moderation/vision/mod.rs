//! Looks at pictures: a key frame goes in, five probabilities come out. No I/O but the model's files, no clock, no queue; what
//! a hit means is decided elsewhere.
//!
//! The folder `models` (the setting `models_dir`) holds what `models/prepare` made: `manifest.toml`, which says what
//! the files must be, the model as ONNX, and the ONNX runtime's library. [`Classifier::open`] reads and checks them once;
//! each worker thread then gets an [`Eye`] of its own.
//!
//! ```no_run
//! # use parlor::domain::evidence::Label;
//! # use parlor::moderation::vision::{Classifier, Coding};
//! # let key_frame = Vec::new();
//! let classifier = Classifier::open("models".as_ref())?;
//! let mut eye = classifier.eye()?;
//! let seen = eye.look(Coding::Vp8, &key_frame)?;
//! println!("{}×{}, {}", seen.width, seen.height, seen.scores.of(Label::Drawing));
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod classifier;
mod decode;
#[cfg(feature = "h264")]
mod h264;
mod manifest;
mod probabilities;
mod resize;

pub use classifier::{Classifier, Eye};
pub use decode::{MOST_FRAME_BYTES, MOST_PIXELS, MOST_SIDE, measure, picture_file};
pub use probabilities::probabilities;

use std::path::PathBuf;

use crate::domain::evidence::Scores;

/// What a key frame is coded in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Coding {
    /// A VP8 key frame's bitstream, as in RTP after the payload descriptor (RFC 6386).
    Vp8,
    /// H.264 in Annex B form: start codes, SPS, PPS and an IDR picture. Needs the feature `h264`.
    H264,
}

/// What was seen in a key frame.
#[derive(Clone, Debug, PartialEq)]
pub struct Seen {
    /// Pixels.
    pub width: u32,
    /// Pixels.
    pub height: u32,
    /// What it probably shows.
    pub scores: Scores,
}

/// A key frame as a file that any browser shows: evidence.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PictureFile {
    /// The file.
    pub bytes: Vec<u8>,
    /// `image/webp` or `image/jpeg`.
    pub media_type: &'static str,
    /// Pixels.
    pub width: u32,
    /// Pixels.
    pub height: u32,
}

/// Why a frame was not classified: because of the frame, whose sender must not gain by it, or because of our own side.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum LookError {
    /// The frame is unusable; another one may be better.
    #[error(transparent)]
    Frame(#[from] FrameError),
    /// Classifying does not work, whatever the frame.
    #[error(transparent)]
    Model(#[from] ModelError),
}

/// What is wrong with a key frame.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum FrameError {
    /// More than [`MOST_FRAME_BYTES`].
    #[error("the frame has {bytes} bytes; {MOST_FRAME_BYTES} are the most")]
    TooLong {
        /// Its length.
        bytes: usize,
    },
    /// More than [`MOST_SIDE`] or [`MOST_PIXELS`] pixels; nothing was decoded.
    #[error("the frame says it is {width}×{height} pixels, which is too large")]
    TooLarge {
        /// What its header says.
        width: u32,
        /// What its header says.
        height: u32,
    },
    /// It needs other frames to be decoded.
    #[error("the frame is no key frame")]
    NotKeyFrame,
    /// Truncated, garbage, or a lie about its size.
    #[error("the frame cannot be decoded: {0}")]
    Undecodable(String),
    /// H.264, in a build without the feature `h264`.
    #[error("this build has no decoder for the frame")]
    NoDecoder,
}

/// Why pictures cannot be classified. Each is a sentence for the log, with paths; [`ModelError::reason`] is one without.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ModelError {
    /// A file of the folder `models` does not exist.
    #[error("{} is missing: run models/prepare", path.display())]
    Missing {
        /// Which.
        what: Part,
        /// Where it should be.
        path: PathBuf,
    },
    /// A file is there, but cannot be read.
    #[error("{} cannot be read: {error}", path.display())]
    Unreadable {
        /// Which.
        what: Part,
        /// Where it is.
        path: PathBuf,
        /// Why.
        error: String,
    },
    /// A file is not the one that the manifest names, by its SHA-256.
    #[error("{} is not the file that manifest.toml names (its sha256 is {sha256}): run models/prepare", path.display())]
    Mismatch {
        /// Which.
        what: Part,
        /// Where it is.
        path: PathBuf,
        /// What it is instead.
        sha256: String,
    },
    /// The manifest cannot be parsed, or describes a model that this version does not know how to ask.
    #[error("{} cannot be used: {why}", path.display())]
    Manifest {
        /// Where it is.
        path: PathBuf,
        /// Why.
        why: String,
    },
    /// The manifest names no ONNX runtime for this kind of processor.
    #[error("manifest.toml names no ONNX runtime for {machine}")]
    NoRuntime {
        /// Such as `riscv64`.
        machine: &'static str,
    },
    /// The library is the right one, but does not load or does not take the model.
    #[error("the ONNX runtime does not work: {0}")]
    Runtime(String),
    /// What came out of the model are no probabilities: not five, not finite, not between 0 and 1, or not 1 together.
    #[error("the model's output is no set of probabilities: {0}")]
    BadOutput(String),
}

/// A file of the folder `models`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Part {
    /// `manifest.toml`.
    Manifest,
    /// The model as ONNX.
    Model,
    /// The ONNX runtime's library.
    Runtime,
}

impl ModelError {
    /// The same in a sentence that anybody may read: it names no path.
    pub fn reason(&self) -> &'static str {
        match self {
            Self::Missing { what: Part::Manifest, .. } => "the model's manifest is missing",
            Self::Missing { what: Part::Model, .. } => "the model is missing",
            Self::Missing { what: Part::Runtime, .. } => "the ONNX runtime is missing",
            Self::Unreadable { what: Part::Manifest, .. } => "the model's manifest cannot be read",
            Self::Unreadable { what: Part::Model, .. } => "the model cannot be read",
            Self::Unreadable { what: Part::Runtime, .. } => "the ONNX runtime cannot be read",
            Self::Mismatch { what: Part::Runtime, .. } => "the ONNX runtime is not the one that the manifest names",
            Self::Mismatch { .. } => "the model is not the one that the manifest names",
            Self::Manifest { .. } => "the model's manifest cannot be used",
            Self::NoRuntime { .. } => "there is no ONNX runtime for this kind of processor",
            Self::Runtime(_) => "the ONNX runtime does not work",
            Self::BadOutput(_) => "the model gives no probabilities",
        }
    }
}
