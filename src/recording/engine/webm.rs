//! The files: WebM, or Matroska (RFC 9559) where a track is none of WebM's.
//!
//! ```text
//! EBML · Segment (unknown size) ┬ [SeekHead] Info Tracks Tags Void   together HEAD_BYTES, rewritten as one
//!                               ├ Cluster … Cluster                  appended, each by one write
//!                               └ Cues                               when the file is finished
//! ```
//!
//! The head has a place of fixed length: a track that begins later is declared there, and finishing puts duration, size and the
//! place of the cues into it. Nothing else is ever written twice, so a file can be cut off after any cluster.

use super::ebml;
use super::opus;
use crate::domain::ParticipantId;
use crate::domain::recording::{Container, FileKind};

/// What the head has for itself at the file's beginning: one page, so that rewriting it cannot be torn by a dying process.
pub const HEAD_BYTES: usize = 4096;
/// Codec configuration that has room in the head: H.264's parameter sets are a few dozen bytes.
pub const MOST_PRIVATE: usize = 1024;
/// The picture's track number.
pub const VIDEO: u8 = 1;
/// The sound's track number.
pub const AUDIO: u8 = 2;
/// What a picture counts for at the file's end, where no further one says how long it is shown.
const PICTURE_MS: u64 = 33;
/// Without pictures, one can jump to a cluster at this interval.
const AUDIO_CUE_MS: u64 = 5_000;
/// Entries of the cues: a key frame in each half second of a day.
const MOST_CUES: usize = 172_800;
/// What Opus decoders need before a jump's aim (RFC 7845 §4.6).
const SEEK_PRE_ROLL_NS: u64 = 80_000_000;
/// From Matroska's epoch (2001-01-01) back to 1970, in seconds.
const EPOCH_S: i64 = 978_307_200;

/// Identifiers of elements (RFC 9559 §5.1), with their length markers.
mod id {
    pub const EBML: u32 = 0x1a45_dfa3;
    pub const EBML_VERSION: u32 = 0x4286;
    pub const EBML_READ_VERSION: u32 = 0x42f7;
    pub const EBML_MAX_ID: u32 = 0x42f2;
    pub const EBML_MAX_SIZE: u32 = 0x42f3;
    pub const DOC_TYPE: u32 = 0x4282;
    pub const DOC_TYPE_VERSION: u32 = 0x4287;
    pub const DOC_TYPE_READ_VERSION: u32 = 0x4285;
    pub const VOID: u32 = 0xec;
    pub const SEGMENT: u32 = 0x1853_8067;
    pub const SEEK_HEAD: u32 = 0x114d_9b74;
    pub const SEEK: u32 = 0x4dbb;
    pub const SEEK_ID: u32 = 0x53ab;
    pub const SEEK_POSITION: u32 = 0x53ac;
    pub const INFO: u32 = 0x1549_a966;
    pub const TIMESTAMP_SCALE: u32 = 0x2a_d7b1;
    pub const DURATION: u32 = 0x4489;
    pub const DATE: u32 = 0x4461;
    pub const MUXING_APP: u32 = 0x4d80;
    pub const WRITING_APP: u32 = 0x5741;
    pub const TRACKS: u32 = 0x1654_ae6b;
    pub const TRACK: u32 = 0xae;
    pub const TRACK_NUMBER: u32 = 0xd7;
    pub const TRACK_UID: u32 = 0x73c5;
    pub const TRACK_TYPE: u32 = 0x83;
    pub const FLAG_LACING: u32 = 0x9c;
    pub const LANGUAGE: u32 = 0x22_b59c;
    pub const CODEC_ID: u32 = 0x86;
    pub const CODEC_PRIVATE: u32 = 0x63a2;
    pub const CODEC_DELAY: u32 = 0x56aa;
    pub const SEEK_PRE_ROLL: u32 = 0x56bb;
    pub const VIDEO: u32 = 0xe0;
    pub const PIXEL_WIDTH: u32 = 0xb0;
    pub const PIXEL_HEIGHT: u32 = 0xba;
    pub const AUDIO: u32 = 0xe1;
    pub const SAMPLING_FREQUENCY: u32 = 0xb5;
    pub const CHANNELS: u32 = 0x9f;
    pub const TAGS: u32 = 0x1254_c367;
    pub const TAG: u32 = 0x7373;
    pub const TARGETS: u32 = 0x63c0;
    pub const SIMPLE_TAG: u32 = 0x67c8;
    pub const TAG_NAME: u32 = 0x45a3;
    pub const TAG_STRING: u32 = 0x4487;
    pub const CLUSTER: u32 = 0x1f43_b675;
    pub const TIMESTAMP: u32 = 0xe7;
    pub const SIMPLE_BLOCK: u32 = 0xa3;
    pub const CUES: u32 = 0x1c53_bb6b;
    pub const CUE_POINT: u32 = 0xbb;
    pub const CUE_TIME: u32 = 0xb3;
    pub const CUE_TRACK_POSITIONS: u32 = 0xb7;
    pub const CUE_TRACK: u32 = 0xf7;
    pub const CUE_CLUSTER_POSITION: u32 = 0xf1;
}

/// What pictures are, with the configuration that their decoder needs from the head.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Coding {
    /// Nothing more.
    Vp8,
    /// Nothing more.
    Vp9,
    /// H.264's configuration record.
    Avc(Vec<u8>),
    /// The content of an `av1C` box.
    Av1(Vec<u8>),
}

/// The picture's track, as the head declares it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Picture {
    /// What it is.
    pub coding: Coding,
    /// Width and height of the first key frame in pixels. Players follow the key frames themselves.
    pub size: (u16, u16),
}

/// Whose file it is, kept in the file itself: a crash may come before anybody else has written it down.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Label {
    /// Who is in it.
    pub participant: ParticipantId,
    /// What of them.
    pub kind: FileKind,
    /// Its beginning on the recording's clock.
    pub starts_at_ms: i64,
}

/// What stands at a file's beginning.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Head {
    /// WebM or Matroska.
    pub container: Container,
    /// When it began, µs since 1970.
    pub began_us: i64,
    /// Whose it is.
    pub label: Label,
    /// The encoded declaration of its tracks.
    tracks: Vec<u8>,
}

/// What is known of a file once it is whole.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ending {
    /// How long it plays.
    pub duration_ms: u64,
    /// Where the cues begin, if there are any.
    pub cues_at: Option<u64>,
    /// Where the file ends.
    pub end: u64,
}

impl Head {
    /// The head of a file with these tracks. A codec configuration longer than [`MOST_PRIVATE`] does not fit.
    pub fn new(label: Label, began_us: i64, picture: Option<&Picture>, sound: bool) -> Head {
        let matroska = picture.is_some_and(|picture| matches!(picture.coding, Coding::Avc(_)));
        let mut tracks = Vec::new();
        if let Some(picture) = picture {
            ebml::master(id::TRACK, &mut tracks, |out| picture_track(picture, out));
        }
        if sound {
            ebml::master(id::TRACK, &mut tracks, sound_track);
        }
        Head { container: if matroska { Container::Matroska } else { Container::WebM }, began_us, label, tracks }
    }

    /// The file's first [`HEAD_BYTES`].
    pub fn encode(&self, ending: Option<&Ending>) -> Vec<u8> {
        let mut out = self.opening();
        let segment_at = self.segment_at();
        match ending {
            Some(ending) => out.extend_from_slice(&ebml::wide_size(ending.end - segment_at)),
            None => out.extend_from_slice(&ebml::UNKNOWN_SIZE),
        }
        let parts = [(id::INFO, self.information(ending)), (id::TRACKS, self.tracks.clone()), (id::TAGS, self.tags())];
        if let Some(ending) = ending {
            seek_head(&parts, ending.cues_at.map(|at| at - segment_at), &mut out);
        }
        for (name, content) in &parts {
            ebml::binary(*name, content, &mut out);
        }
        // A size of two bytes, whatever is left.
        let left = HEAD_BYTES.saturating_sub(out.len() + 3);
        ebml::id(id::VOID, &mut out);
        out.extend_from_slice(&(left as u16 | 0x4000).to_be_bytes());
        out.resize(HEAD_BYTES, 0);
        out
    }

    /// Everything before the segment's size.
    fn opening(&self) -> Vec<u8> {
        let mut out = Vec::with_capacity(HEAD_BYTES);
        ebml::master(id::EBML, &mut out, |out| {
            ebml::uint(id::EBML_VERSION, 1, out);
            ebml::uint(id::EBML_READ_VERSION, 1, out);
            ebml::uint(id::EBML_MAX_ID, 4, out);
            ebml::uint(id::EBML_MAX_SIZE, 8, out);
            ebml::text(id::DOC_TYPE, self.container.as_str(), out);
            ebml::uint(id::DOC_TYPE_VERSION, 4, out);
            ebml::uint(id::DOC_TYPE_READ_VERSION, 2, out);
        });
        ebml::id(id::SEGMENT, &mut out);
        out
    }

    /// Where the segment's content begins: positions inside the file are counted from there.
    pub fn segment_at(&self) -> u64 {
        self.opening().len() as u64 + 8
    }

    fn information(&self, ending: Option<&Ending>) -> Vec<u8> {
        let mut out = Vec::new();
        ebml::uint(id::TIMESTAMP_SCALE, 1_000_000, &mut out);
        ebml::text(id::MUXING_APP, "parlor", &mut out);
        ebml::text(id::WRITING_APP, concat!("parlor ", env!("CARGO_PKG_VERSION")), &mut out);
        ebml::int(id::DATE, (self.began_us.saturating_sub(EPOCH_S * 1_000_000)).saturating_mul(1_000), &mut out);
        if let Some(ending) = ending {
            ebml::float(id::DURATION, ending.duration_ms as f64, &mut out);
        }
        out
    }

    fn tags(&self) -> Vec<u8> {
        let mut out = Vec::new();
        ebml::master(id::TAG, &mut out, |out| {
            ebml::binary(id::TARGETS, &[], out);
            let starts_at = self.label.starts_at_ms.to_string();
            let participant = self.label.participant.to_string();
            for (name, value) in
                [("PARTICIPANT", &*participant), ("KIND", self.label.kind.as_str()), ("STARTS_AT_MS", &starts_at)]
            {
                ebml::master(id::SIMPLE_TAG, out, |out| {
                    ebml::text(id::TAG_NAME, name, out);
                    ebml::text(id::TAG_STRING, value, out);
                });
            }
        });
        out
    }

    /// Reads a head that [`Head::encode`] wrote; `None`: it is none.
    pub fn parse(bytes: &[u8]) -> Option<Head> {
        let bytes = bytes.get(..HEAD_BYTES)?;
        let ebml_head = ebml::opening(bytes).filter(|opening| opening.id == id::EBML)?;
        let inside = usize::try_from(ebml_head.size?).ok()?;
        let (facts, rest) = bytes[ebml_head.bytes..].split_at_checked(inside)?;
        let doc_type = std::str::from_utf8(ebml::find(id::DOC_TYPE, facts)?).ok()?;
        let container = Container::parse(doc_type)?;
        let segment = ebml::opening(rest).filter(|opening| opening.id == id::SEGMENT)?;
        let parts = &rest[segment.bytes..];
        let date_ns = ebml::as_int(ebml::find(id::DATE, ebml::find(id::INFO, parts)?)?)?;
        let label = parse_label(ebml::find(id::TAG, ebml::find(id::TAGS, parts)?)?)?;
        let tracks = ebml::find(id::TRACKS, parts)?.to_vec();
        let began_us = date_ns / 1_000 + EPOCH_S * 1_000_000;
        // What was written fits, so what was read does too; anything longer would push the clusters away.
        (tracks.len() <= HEAD_BYTES / 2).then_some(Head { container, began_us, label, tracks })
    }
}

fn parse_label(tag: &[u8]) -> Option<Label> {
    let value = |wanted: &str| {
        let tags = ebml::elements(tag).flatten().filter(|(id, _)| *id == id::SIMPLE_TAG);
        let mut named = tags.filter(|(_, tag)| ebml::find(id::TAG_NAME, tag) == Some(wanted.as_bytes()));
        let (_, tag) = named.next()?;
        std::str::from_utf8(ebml::find(id::TAG_STRING, tag)?).ok()
    };
    Some(Label {
        participant: value("PARTICIPANT")?.parse().ok()?,
        kind: FileKind::parse(value("KIND")?)?,
        starts_at_ms: value("STARTS_AT_MS")?.parse().ok()?,
    })
}

fn picture_track(picture: &Picture, out: &mut Vec<u8>) {
    track(VIDEO, 1, out);
    let (name, private) = match &picture.coding {
        Coding::Vp8 => ("V_VP8", None),
        Coding::Vp9 => ("V_VP9", None),
        Coding::Avc(record) => ("V_MPEG4/ISO/AVC", Some(record)),
        Coding::Av1(configuration) => ("V_AV1", Some(configuration)),
    };
    ebml::text(id::CODEC_ID, name, out);
    if let Some(private) = private {
        ebml::binary(id::CODEC_PRIVATE, private, out);
    }
    ebml::master(id::VIDEO, out, |out| {
        ebml::uint(id::PIXEL_WIDTH, u64::from(picture.size.0), out);
        ebml::uint(id::PIXEL_HEIGHT, u64::from(picture.size.1), out);
    });
}

fn sound_track(out: &mut Vec<u8>) {
    track(AUDIO, 2, out);
    ebml::text(id::CODEC_ID, "A_OPUS", out);
    ebml::binary(id::CODEC_PRIVATE, &opus::HEAD, out);
    ebml::uint(id::CODEC_DELAY, opus::DELAY_NS, out);
    ebml::uint(id::SEEK_PRE_ROLL, SEEK_PRE_ROLL_NS, out);
    ebml::master(id::AUDIO, out, |out| {
        ebml::float(id::SAMPLING_FREQUENCY, f64::from(opus::CLOCK_HZ), out);
        ebml::uint(id::CHANNELS, u64::from(opus::CHANNELS), out);
    });
}

fn track(number: u8, kind: u64, out: &mut Vec<u8>) {
    ebml::uint(id::TRACK_NUMBER, u64::from(number), out);
    ebml::uint(id::TRACK_UID, u64::from(number), out);
    ebml::uint(id::TRACK_TYPE, kind, out);
    ebml::uint(id::FLAG_LACING, 0, out);
    ebml::text(id::LANGUAGE, "und", out);
}

/// Where the parts that follow stand, counted from the segment's content.
fn seek_head(parts: &[(u32, Vec<u8>)], cues_at: Option<u64>, out: &mut Vec<u8>) {
    // Positions have eight bytes, so that the length does not depend on them.
    let entry = |name: u32, at: u64, out: &mut Vec<u8>| {
        ebml::master(id::SEEK, out, |out| {
            ebml::binary(id::SEEK_ID, &name.to_be_bytes(), out);
            ebml::binary(id::SEEK_POSITION, &at.to_be_bytes(), out);
        });
    };
    let mut blank = Vec::new();
    let entries = parts.len() + usize::from(cues_at.is_some());
    ebml::master(id::SEEK_HEAD, &mut blank, |out| (0..entries).for_each(|_| entry(id::INFO, 0, out)));
    let mut at = blank.len() as u64;
    ebml::master(id::SEEK_HEAD, out, |out| {
        for (name, content) in parts {
            entry(*name, at, out);
            let mut whole = Vec::new();
            ebml::binary(*name, content, &mut whole);
            at += whole.len() as u64;
        }
        if let Some(at) = cues_at {
            entry(id::CUES, at, out);
        }
    });
}

/// A cluster in the making: blocks of less than 32 s.
pub struct Cluster {
    bytes: Vec<u8>,
    facts: ClusterFacts,
}

/// What the cues and the duration need of a cluster.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ClusterFacts {
    /// When it begins.
    pub begins_ms: u64,
    /// When its last block ends.
    pub ends_ms: u64,
    /// When its first key frame is shown.
    pub key_ms: Option<u64>,
    /// Whether it has pictures.
    pub has_video: bool,
}

impl Cluster {
    /// An empty cluster with room for so many bytes of frames.
    pub fn begin(begins_ms: u64, blocks: usize, bytes: usize) -> Cluster {
        // Ten bytes before each block's frame, twenty-odd before them all.
        let mut out = Vec::with_capacity(bytes + 10 * blocks + 32);
        ebml::id(id::CLUSTER, &mut out);
        out.extend_from_slice(&ebml::UNKNOWN_SIZE);
        ebml::uint(id::TIMESTAMP, begins_ms, &mut out);
        Cluster { bytes: out, facts: ClusterFacts { begins_ms, ends_ms: begins_ms, ..ClusterFacts::default() } }
    }

    /// Appends a frame.
    pub fn block(&mut self, track: u8, time_ms: u64, key: bool, frame: &[u8]) {
        let relative = time_ms.saturating_sub(self.facts.begins_ms).min(i16::MAX as u64) as i16;
        ebml::id(id::SIMPLE_BLOCK, &mut self.bytes);
        ebml::size(frame.len() as u64 + 4, &mut self.bytes);
        let [high, low] = relative.to_be_bytes();
        self.bytes.extend_from_slice(&[0x80 | track, high, low, if key { 0x80 } else { 0 }]);
        self.bytes.extend_from_slice(frame);
        self.facts.note(track, time_ms, key, frame);
    }

    /// The whole element.
    pub fn end(mut self) -> (Vec<u8>, ClusterFacts) {
        let content = self.bytes.len() as u64 - 12;
        self.bytes[4..12].copy_from_slice(&ebml::wide_size(content));
        (self.bytes, self.facts)
    }
}

/// No recording lasts for a thousand years: a later cluster is none of ours, and times can be added without a look.
const MOST_MS: u64 = 1 << 45;

impl ClusterFacts {
    fn note(&mut self, track: u8, time_ms: u64, key: bool, frame: &[u8]) {
        let lasts_ms = if track == AUDIO { opus::duration_us(frame).unwrap_or(0) / 1_000 } else { PICTURE_MS };
        self.ends_ms = self.ends_ms.max(time_ms + lasts_ms);
        if track == VIDEO {
            self.has_video = true;
            if key && self.key_ms.is_none() {
                self.key_ms = Some(time_ms);
            }
        }
    }

    /// Reads the content of a cluster that [`Cluster`] wrote, to its last byte; `None`: it is torn.
    pub fn parse(content: &[u8]) -> Option<ClusterFacts> {
        let mut elements = ebml::elements(content);
        let (name, begins) = elements.next()??;
        let begins_ms = ebml::as_uint(begins).filter(|ms| name == id::TIMESTAMP && *ms < MOST_MS)?;
        let mut facts = ClusterFacts { begins_ms, ends_ms: begins_ms, ..ClusterFacts::default() };
        for element in elements {
            let (name, block) = element?;
            let (&[track, high, low, flags], frame) = block.split_first_chunk::<4>()?;
            let relative = u64::try_from(i16::from_be_bytes([high, low])).ok()?;
            if name != id::SIMPLE_BLOCK || ![0x80 | VIDEO, 0x80 | AUDIO].contains(&track) || flags & 0x7f != 0 {
                return None;
            }
            facts.note(track & 0x7f, begins_ms.checked_add(relative)?, flags != 0, frame);
        }
        Some(facts)
    }

    /// If a cluster begins here: the length of what stands before its content, and of that.
    pub fn opening(bytes: &[u8]) -> Option<(usize, u64)> {
        ebml::opening(bytes).filter(|opening| opening.id == id::CLUSTER).and_then(|it| Some((it.bytes, it.size?)))
    }
}

/// What a file's clusters amount to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Index {
    /// Where the last whole cluster ends.
    pub end: u64,
    /// When the last block ends.
    pub ends_ms: u64,
    cues: Vec<Cue>,
    has_video: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Cue {
    time_ms: u64,
    track: u8,
    cluster_at: u64,
}

impl Default for Index {
    fn default() -> Self {
        Self { end: HEAD_BYTES as u64, ends_ms: 0, cues: Vec::new(), has_video: false }
    }
}

impl Index {
    /// Takes note of a cluster at the file's present end.
    pub fn append(&mut self, facts: &ClusterFacts, bytes: u64) {
        let cluster_at = self.end;
        self.end += bytes;
        self.ends_ms = self.ends_ms.max(facts.ends_ms);
        self.has_video |= facts.has_video;
        let last_ms = self.cues.last().map(|cue| cue.time_ms);
        let cue = match facts.key_ms {
            Some(time_ms) => Some(Cue { time_ms, track: VIDEO, cluster_at }),
            None if self.has_video || last_ms.is_some_and(|last_ms| facts.begins_ms < last_ms + AUDIO_CUE_MS) => None,
            None => Some(Cue { time_ms: facts.begins_ms, track: AUDIO, cluster_at }),
        };
        // Cues stand in the order of time.
        let cue = cue.filter(|cue| last_ms.is_none_or(|last_ms| cue.time_ms >= last_ms));
        if self.cues.len() < MOST_CUES {
            self.cues.extend(cue);
        }
    }

    /// Whether there is nothing in the file.
    pub fn is_empty(&self) -> bool {
        self.end == HEAD_BYTES as u64
    }

    /// The cues' element, for a segment whose content begins there; `None`: there is nowhere to jump to.
    pub fn encode_cues(&self, segment_at: u64) -> Option<Vec<u8>> {
        if self.cues.is_empty() {
            return None;
        }
        let mut out = Vec::new();
        ebml::master(id::CUES, &mut out, |out| {
            for cue in &self.cues {
                ebml::master(id::CUE_POINT, out, |out| {
                    ebml::uint(id::CUE_TIME, cue.time_ms, out);
                    ebml::master(id::CUE_TRACK_POSITIONS, out, |out| {
                        ebml::uint(id::CUE_TRACK, u64::from(cue.track), out);
                        ebml::uint(id::CUE_CLUSTER_POSITION, cue.cluster_at - segment_at, out);
                    });
                });
            }
        });
        Some(out)
    }
}
