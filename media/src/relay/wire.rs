//! What goes over a link: batches of records, in network byte order.
//!
//! A batch is [`HEAD_LEN`] bytes of head and records behind it, each a kind, its length in 16 bits, and that many bytes. Nothing
//! that is read here is believed: every length is checked, what cannot be is `None`. A kind that is not known is passed over, so that
//! repair requests between nodes, which shards of one machine do not need, find a place without another version.

use crate::id::{CallId, ParticipantId, TrackId};
use crate::track::{Codec, MOST_LAYERS, Source};

/// The format's version, a batch's first byte.
pub const VERSION: u8 = 1;
/// Bytes of a batch's head.
pub const HEAD_LEN: usize = 30;
/// The temporal layers that a track's figures are told of.
pub const RATES: usize = 4;
/// Voices that one choice may name: places are a handful, those who speak beside them a few more.
pub const MOST_VOICES: usize = 64;
/// The head's flag that the link is over.
const OVER: u8 = 1;

/// A batch's head.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Head {
    /// Of which call.
    pub call: CallId,
    /// The sender's end of the link, by a number that it has used for no other; never 0.
    pub mine: u32,
    /// The receiver's end as the sender knows it; 0 while it does not.
    pub yours: u32,
    /// The batches of a link are numbered, so that a lost one is noticed.
    pub number: u32,
    /// The sender's end is no more.
    pub over: bool,
}

/// What is known of one simulcast layer, whether it crosses or not.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct LayerFigures {
    /// Width of the picture in pixels; 0 where not known.
    pub width: u16,
    /// Temporal layers.
    pub temporal_layers: u8,
    /// What it costs up to each temporal layer, bit/s; 0 where not known.
    pub bps: [u32; RATES],
}

/// A track that the sender of the record has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Announced {
    /// What the records of this link call it.
    pub name: u64,
    /// Its own name.
    pub track: TrackId,
    /// Whose.
    pub participant: ParticipantId,
    /// What it shows.
    pub source: Source,
    /// What its payloads are.
    pub codec: Codec,
    /// Packets arrive.
    pub active: bool,
    /// They are dropped.
    pub muted: bool,
    /// The layers that its publisher sends, a bit each, and those that it would send.
    pub sent: u8,
    pub offered: u8,
    /// How many layers there are, 1 at least.
    pub layers: u8,
    /// What is known of each; nothing of sound.
    pub figures: [LayerFigures; MOST_LAYERS],
}

/// The stream that a packet or a report is of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Of {
    /// The track, as it was announced.
    pub name: u64,
    /// The simulcast layer.
    pub layer: u8,
    /// Another number: the layer began anew.
    pub epoch: u32,
}

/// A media packet.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Media<'a> {
    /// Of which stream.
    pub of: Of,
    /// Sequence number with the rollovers counted.
    pub index: u64,
    /// RTP timestamp as published.
    pub timestamp: u32,
    /// Marker bit as published.
    pub marker: bool,
    /// Loudness of sound in −dBov.
    pub level: u8,
    /// Where the newest frame of redundant audio begins.
    pub primary_at: u16,
    /// The dependency descriptor; empty: none.
    pub dependency: &'a [u8],
    /// The payload.
    pub payload: &'a [u8],
}

/// One of the voices that the hub chose, or that speaks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Voiced {
    /// Whose microphone.
    pub track: TrackId,
    /// In dBov.
    pub level: i8,
    /// Everybody gets it.
    pub chosen: bool,
    /// It speaks now.
    pub speaks: bool,
}

/// The voices of a [`Record::Choice`], read as they are asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Voices<'a>(&'a [u8]);

const VOICED_LEN: usize = 18;

impl Voices<'_> {
    /// Each of them, loudest speaker first.
    pub fn iter(&self) -> impl Iterator<Item = Voiced> + '_ {
        self.0.chunks_exact(VOICED_LEN).take(MOST_VOICES).filter_map(|bytes| {
            let mut from = Reader(bytes);
            let (track, level, flags) = (TrackId(from.u128()?), from.u8()? as i8, from.u8()?);
            Some(Voiced { track, level, chosen: flags & 1 != 0, speaks: flags & 2 != 0 })
        })
    }
}

/// One record of a batch.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Record<'a> {
    /// A track is there, or something of it has changed.
    Track(Announced),
    /// A track of the sender is no more.
    Gone(u64),
    /// The layers of the receiver's track that the sender of this wants to have, and those that somebody watches there.
    Wanted {
        name: u64,
        layers: u8,
        watched: u8,
    },
    /// The layers of the receiver's track that somebody cannot go on with.
    Keyframe {
        name: u64,
        layers: u8,
    },
    /// A packet.
    Media(Media<'a>),
    /// So many packets from an index on carry nothing: they are not missing.
    LeftOut {
        of: Of,
        first: u64,
        count: u32,
    },
    /// The publisher's sender report: its clock, the stream's timestamp then, and what its clock shows now, in µs, if that is known.
    Report {
        of: Of,
        ntp: u64,
        timestamp: u32,
        clock_us: Option<i64>,
    },
    /// Whom everybody hears, who speaks, and who is to be seen before others: from the hub.
    Choice {
        spotlight: Option<ParticipantId>,
        voices: Voices<'a>,
    },
    /// Something was lost: tell everything again.
    Refresh,
    /// Everything follows, and here it ends: what was not named in between is no more.
    Begin,
    End,
}

const TRACK: u8 = 1;
const GONE: u8 = 2;
const WANTED: u8 = 3;
const KEYFRAME: u8 = 4;
const MEDIA: u8 = 5;
const LEFT_OUT: u8 = 6;
const REPORT: u8 = 7;
const CHOICE: u8 = 8;
const REFRESH: u8 = 9;
const BEGIN: u8 = 10;
const END: u8 = 11;

impl Head {
    /// Reads the head of a batch and answers what is behind it.
    #[must_use]
    pub fn read(batch: &[u8]) -> Option<(Head, &[u8])> {
        let (head, records) = batch.split_at_checked(HEAD_LEN)?;
        let mut from = Reader(head);
        if from.u8()? != VERSION {
            return None;
        }
        let over = from.u8()? & OVER != 0;
        let (call, mine, yours, number) = (CallId(from.u128()?), from.u32()?, from.u32()?, from.u32()?);
        (mine != 0).then_some((Head { call, mine, yours, number, over }, records))
    }

    /// Writes the head into the first bytes of a batch, which are kept for it.
    pub fn write(&self, batch: &mut [u8]) {
        batch[0] = VERSION;
        batch[1] = if self.over { OVER } else { 0 };
        batch[2..18].copy_from_slice(&self.call.0.to_be_bytes());
        batch[18..22].copy_from_slice(&self.mine.to_be_bytes());
        batch[22..26].copy_from_slice(&self.yours.to_be_bytes());
        batch[26..30].copy_from_slice(&self.number.to_be_bytes());
    }
}

/// The records of a batch. One that cannot be read is `None`, and the last one when its length lies.
pub fn records(bytes: &[u8]) -> impl Iterator<Item = Option<Record<'_>>> {
    let mut rest = Some(bytes);
    std::iter::from_fn(move || {
        loop {
            let mut from = Reader(rest.take().filter(|rest| !rest.is_empty())?);
            let (Some(kind), Some(len)) = (from.u8(), from.u16()) else { return Some(None) };
            let Some((body, behind)) = from.0.split_at_checked(usize::from(len)) else { return Some(None) };
            rest = Some(behind);
            if (TRACK..=END).contains(&kind) {
                return Some(read(kind, body));
            }
        }
    })
}

fn read(kind: u8, body: &[u8]) -> Option<Record<'_>> {
    let mut from = Reader(body);
    Some(match kind {
        TRACK => Record::Track(track(&mut from)?),
        GONE => Record::Gone(from.u64()?),
        WANTED => Record::Wanted { name: from.u64()?, layers: from.u8()?, watched: from.u8()? },
        KEYFRAME => Record::Keyframe { name: from.u64()?, layers: from.u8()? },
        MEDIA => Record::Media(media(&mut from)?),
        LEFT_OUT => Record::LeftOut { of: of(&mut from)?, first: from.index()?, count: from.u32()? },
        REPORT => {
            let (of, ntp, timestamp, known, clock_us) =
                (of(&mut from)?, from.u64()?, from.u32()?, from.u8()?, from.u64()? as i64);
            Record::Report { of, ntp, timestamp, clock_us: (known != 0).then_some(clock_us) }
        }
        CHOICE => {
            let (some, spotlight) = (from.u8()?, from.u128()?);
            Record::Choice { spotlight: (some != 0).then_some(ParticipantId(spotlight)), voices: Voices(from.0) }
        }
        REFRESH => Record::Refresh,
        BEGIN => Record::Begin,
        _ => Record::End,
    })
}

fn track(from: &mut Reader<'_>) -> Option<Announced> {
    let (name, track, participant) = (from.u64()?, TrackId(from.u128()?), ParticipantId(from.u128()?));
    let (source, codec) = (source_of(from.u8()?)?, codec_of(from.u8()?)?);
    if (codec == Codec::Opus) != (source.kind() == crate::track::Kind::Audio) {
        return None;
    }
    let (flags, sent, offered, layers) = (from.u8()?, from.u8()?, from.u8()?, from.u8()?);
    if !(1..=MOST_LAYERS).contains(&usize::from(layers)) {
        return None;
    }
    let mut figures = [LayerFigures::default(); MOST_LAYERS];
    if codec != Codec::Opus {
        for figures in &mut figures[..usize::from(layers)] {
            (figures.width, figures.temporal_layers) = (from.u16()?, from.u8()?);
            for bps in &mut figures.bps {
                *bps = from.u32()?;
            }
        }
    }
    let (active, muted) = (flags & 1 != 0, flags & 2 != 0);
    Some(Announced { name, track, participant, source, codec, active, muted, sent, offered, layers, figures })
}

fn of(from: &mut Reader<'_>) -> Option<Of> {
    let of = Of { name: from.u64()?, layer: from.u8()?, epoch: from.u32()? };
    (usize::from(of.layer) < MOST_LAYERS).then_some(of)
}

fn media<'a>(from: &mut Reader<'a>) -> Option<Media<'a>> {
    let (of, index, timestamp) = (of(from)?, from.index()?, from.u32()?);
    let (marker, level, primary_at, dependency) = (from.u8()? != 0, from.u8()?, from.u16()?, from.u8()?);
    let (dependency, payload) = from.0.split_at_checked(usize::from(dependency))?;
    // Redundant audio has its newest frame behind its head.
    if payload.is_empty() || usize::from(primary_at) >= payload.len() {
        return None;
    }
    Some(Media { of, index, timestamp, marker, level, primary_at, dependency, payload })
}

impl Record<'_> {
    /// Adds the record to a batch. A record that is too long for its length is left out: none of ours is.
    pub fn write(&self, batch: &mut Vec<u8>) {
        let start = batch.len();
        batch.extend_from_slice(&[0; 3]);
        let kind = self.write_body(batch);
        match u16::try_from(batch.len() - start - 3) {
            Ok(len) => {
                batch[start] = kind;
                batch[start + 1..start + 3].copy_from_slice(&len.to_be_bytes());
            }
            Err(_) => batch.truncate(start),
        }
    }

    fn write_body(&self, batch: &mut Vec<u8>) -> u8 {
        match self {
            Record::Track(track) => {
                write_track(track, batch);
                TRACK
            }
            Record::Gone(name) => {
                batch.extend_from_slice(&name.to_be_bytes());
                GONE
            }
            Record::Wanted { name, layers, watched } => {
                batch.extend_from_slice(&name.to_be_bytes());
                batch.extend_from_slice(&[*layers, *watched]);
                WANTED
            }
            Record::Keyframe { name, layers } => {
                batch.extend_from_slice(&name.to_be_bytes());
                batch.push(*layers);
                KEYFRAME
            }
            Record::Media(media) => {
                write_of(media.of, batch);
                batch.extend_from_slice(&media.index.to_be_bytes());
                batch.extend_from_slice(&media.timestamp.to_be_bytes());
                batch.extend_from_slice(&[u8::from(media.marker), media.level]);
                batch.extend_from_slice(&media.primary_at.to_be_bytes());
                // What the ring keeps of a descriptor is shorter than this byte can tell.
                batch.push(media.dependency.len() as u8);
                batch.extend_from_slice(media.dependency);
                batch.extend_from_slice(media.payload);
                MEDIA
            }
            Record::LeftOut { of, first, count } => {
                write_of(*of, batch);
                batch.extend_from_slice(&first.to_be_bytes());
                batch.extend_from_slice(&count.to_be_bytes());
                LEFT_OUT
            }
            Record::Report { of, ntp, timestamp, clock_us } => {
                write_of(*of, batch);
                batch.extend_from_slice(&ntp.to_be_bytes());
                batch.extend_from_slice(&timestamp.to_be_bytes());
                batch.push(u8::from(clock_us.is_some()));
                batch.extend_from_slice(&clock_us.unwrap_or(0).to_be_bytes());
                REPORT
            }
            Record::Choice { spotlight, voices } => {
                batch.push(u8::from(spotlight.is_some()));
                batch.extend_from_slice(&spotlight.map_or(0, |it| it.0).to_be_bytes());
                batch.extend_from_slice(voices.0);
                CHOICE
            }
            Record::Refresh => REFRESH,
            Record::Begin => BEGIN,
            Record::End => END,
        }
    }
}

/// Voices as a choice carries them, written into `bytes`.
pub fn voices(bytes: &mut Vec<u8>, voiced: impl Iterator<Item = Voiced>) -> Voices<'_> {
    bytes.clear();
    for voice in voiced.take(MOST_VOICES) {
        bytes.extend_from_slice(&voice.track.0.to_be_bytes());
        bytes.extend_from_slice(&[voice.level as u8, u8::from(voice.chosen) | u8::from(voice.speaks) << 1]);
    }
    Voices(bytes)
}

fn write_of(of: Of, batch: &mut Vec<u8>) {
    batch.extend_from_slice(&of.name.to_be_bytes());
    batch.push(of.layer);
    batch.extend_from_slice(&of.epoch.to_be_bytes());
}

fn write_track(track: &Announced, batch: &mut Vec<u8>) {
    batch.extend_from_slice(&track.name.to_be_bytes());
    batch.extend_from_slice(&track.track.0.to_be_bytes());
    batch.extend_from_slice(&track.participant.0.to_be_bytes());
    let flags = u8::from(track.active) | u8::from(track.muted) << 1;
    let (source, codec) = (source_byte(track.source), codec_byte(track.codec));
    batch.extend_from_slice(&[source, codec, flags, track.sent, track.offered, track.layers]);
    if track.codec != Codec::Opus {
        for figures in track.figures.iter().take(usize::from(track.layers)) {
            batch.extend_from_slice(&figures.width.to_be_bytes());
            batch.push(figures.temporal_layers);
            figures.bps.iter().for_each(|bps| batch.extend_from_slice(&bps.to_be_bytes()));
        }
    }
}

fn source_byte(source: Source) -> u8 {
    match source {
        Source::Microphone => 0,
        Source::Camera => 1,
        Source::Screen => 2,
        Source::ScreenAudio => 3,
    }
}

fn source_of(byte: u8) -> Option<Source> {
    [Source::Microphone, Source::Camera, Source::Screen, Source::ScreenAudio].get(usize::from(byte)).copied()
}

fn codec_byte(codec: Codec) -> u8 {
    match codec {
        Codec::Opus => 0,
        Codec::Vp8 => 1,
        Codec::Vp9 => 2,
        Codec::H264 => 3,
        Codec::Av1 => 4,
    }
}

fn codec_of(byte: u8) -> Option<Codec> {
    [Codec::Opus, Codec::Vp8, Codec::Vp9, Codec::H264, Codec::Av1].get(usize::from(byte)).copied()
}

/// Reads numbers from the front, as long as there are bytes.
struct Reader<'a>(&'a [u8]);

impl Reader<'_> {
    fn bytes<const N: usize>(&mut self) -> Option<[u8; N]> {
        let (bytes, rest) = self.0.split_first_chunk()?;
        self.0 = rest;
        Some(*bytes)
    }

    fn u8(&mut self) -> Option<u8> {
        self.bytes::<1>().map(|[byte]| byte)
    }

    fn u16(&mut self) -> Option<u16> {
        self.bytes().map(u16::from_be_bytes)
    }

    fn u32(&mut self) -> Option<u32> {
        self.bytes().map(u32::from_be_bytes)
    }

    fn u64(&mut self) -> Option<u64> {
        self.bytes().map(u64::from_be_bytes)
    }

    fn u128(&mut self) -> Option<u128> {
        self.bytes().map(u128::from_be_bytes)
    }

    /// A sequence number with its rollovers: 48 bits (RFC 3711 §3.3.1).
    fn index(&mut self) -> Option<u64> {
        self.u64().filter(|index| *index < 1 << 48)
    }
}

#[cfg(test)]
mod tests;
