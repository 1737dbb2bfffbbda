//! A published track: its layers, who receives it, and what arrived in this tick.

use crate::id::{ParticipantId, TrackId};
use crate::keyframe::KeyframeRequests;
use crate::layer::Layer;
use crate::opus::Gate;
use crate::relay::{LinkKey, Relaying};
use crate::ring::Packet;
use crate::tap::{Copying, Sampling};
use crate::watch::Watch;

/// Simulcast layers of a track: browsers send three at most.
pub const MOST_LAYERS: usize = 3;

/// Audio or video.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Kind {
    /// Opus, a clock of 48 kHz.
    Audio,
    /// VP8, a clock of 90 kHz.
    Video,
}

impl Kind {
    /// Ticks of the RTP timestamp in a second.
    #[must_use]
    pub fn clock_hz(self) -> u32 {
        match self {
            Kind::Audio => 48_000,
            Kind::Video => 90_000,
        }
    }
}

/// What a payload is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Codec {
    /// RFC 7587.
    Opus,
    /// RFC 7741.
    Vp8,
    /// RFC 9628.
    Vp9,
    /// RFC 6184.
    H264,
    /// The AV1 RTP specification.
    Av1,
}

/// What a track shows, as its publisher says.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Source {
    /// A voice.
    Microphone,
    /// A face.
    Camera,
    /// A shared screen.
    Screen,
    /// The sound of a shared screen.
    ScreenAudio,
}

impl Source {
    /// The kind of media that such a track carries.
    #[must_use]
    pub fn kind(self) -> Kind {
        match self {
            Source::Microphone | Source::ScreenAudio => Kind::Audio,
            Source::Camera | Source::Screen => Kind::Video,
        }
    }
}

/// Place of a peer in its shard.
pub(crate) type PeerKey = usize;
/// Place of a track in its shard.
pub(crate) type TrackKey = usize;

/// Where a track's packets come from.
#[derive(Debug)]
pub(crate) enum Origin {
    /// Its publisher, who is here.
    Peer(PeerKey),
    /// Another shard of the same call.
    Link(Box<Elsewhere>),
}

/// What is known of a track whose publisher is elsewhere.
#[derive(Debug)]
pub(crate) struct Elsewhere {
    /// The link that it comes over, and what that calls it.
    pub link: LinkKey,
    pub name: u64,
    /// Its packets are dropped there.
    pub muted: bool,
    /// The layers that its publisher sends, a bit each, and those that it would send.
    pub sent: u8,
    pub offered: u8,
    /// The layers that were asked for, and those that were said to be watched here.
    pub asked: (u8, u8),
    /// The other shard's number of the stream that comes of each layer; none before its first packet.
    pub epochs: [Option<u32>; MOST_LAYERS],
    /// The stream that each layer's last sender report was of.
    pub reported: [Option<u32>; MOST_LAYERS],
    /// From its publisher's clock to the shard's, µs.
    pub shift_us: Option<i64>,
    /// When everything was told, it was named the last time.
    pub telling: u32,
}

impl Elsewhere {
    /// A track of which no more is known.
    pub fn new(link: LinkKey, name: u64) -> Elsewhere {
        let (muted, sent, offered, asked, telling) = (false, 0, 0, (0, 0), 0);
        let (epochs, reported) = ([None; MOST_LAYERS], [None; MOST_LAYERS]);
        Elsewhere { link, name, muted, sent, offered, asked, epochs, reported, shift_us: None, telling }
    }
}

/// A layer counts as gone when another layer of its track has gone on this much longer. Browsers stop the top layers
/// for small pictures and narrow links.
const GONE_US: u64 = 1_500_000;
/// A track counts as silent after this long without a packet. Opus with DTX still sends one every 400 ms.
pub(crate) const SILENT_US: u64 = 5_000_000;
/// A packet of this tick that has not been forwarded yet.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Fresh {
    pub layer: u8,
    pub padding: bool,
    pub index: u64,
}

/// One published track.
#[derive(Debug)]
pub(crate) struct Track {
    pub id: TrackId,
    pub participant: ParticipantId,
    /// The place of its call.
    pub call: usize,
    pub origin: Origin,
    /// The epoch of its first layer in the beginning: no other track had it.
    pub first_epoch: u64,
    pub source: Source,
    pub codec: Codec,
    /// Lowest first.
    pub layers: Vec<Layer>,
    pub fresh: Vec<Fresh>,
    /// The peer and the slot of each receiver.
    pub subscribers: Vec<(PeerKey, u16)>,
    /// The links behind which somebody needs it.
    pub links: Vec<Relaying>,
    /// Which layers were said to be sent, and to be had, over links; and when.
    pub told: (u8, u8),
    pub told_us: u64,
    pub keyframes: KeyframeRequests,
    /// Holds its silence back.
    pub gate: Gate,
    pub muted: bool,
    /// Packets came within [`SILENT_US`].
    pub active: bool,
    /// When it is looked at; none until it must be.
    pub sampling: Option<Sampling>,
    /// Which of its layers is being recorded.
    pub copying: Option<Copying>,
    /// Which of its layers anybody watches.
    pub watch: Watch,
}

impl Track {
    /// A track that nothing has come of yet; its layers take the epochs from `epoch` on.
    pub fn new(
        id: TrackId,
        participant: ParticipantId,
        (call, origin): (usize, Origin),
        source: Source,
        codec: Codec,
        layers: usize,
        epoch: u64,
    ) -> Track {
        let clock_hz = source.kind().clock_hz();
        Track {
            id,
            participant,
            call,
            origin,
            first_epoch: epoch,
            source,
            codec,
            layers: (0..layers.clamp(1, MOST_LAYERS) as u64).map(|layer| Layer::new(clock_hz, epoch + layer)).collect(),
            fresh: Vec::new(),
            subscribers: Vec::new(),
            links: Vec::new(),
            told: (0, 0),
            told_us: 0,
            keyframes: KeyframeRequests::default(),
            gate: Gate::default(),
            muted: false,
            active: false,
            sampling: None,
            copying: None,
            watch: Watch::default(),
        }
    }

    /// Keeps a packet and marks it to be forwarded in this tick.
    pub fn receive(&mut self, layer: usize, packet: Packet, payload: &[u8]) {
        self.receive_with(layer, packet, &[], payload);
    }

    /// The same with the dependency descriptor that the packet had among its header extensions; empty: none.
    pub fn receive_with(&mut self, layer: usize, packet: Packet, dependency: &[u8], payload: &[u8]) {
        if packet.frame.keyframe_start {
            self.keyframes.arrived(layer);
        }
        self.fresh.push(Fresh { layer: layer as u8, padding: false, index: packet.index });
        self.layers[layer].receive_with(packet, dependency, payload);
    }

    /// When the last packet of any layer came.
    pub fn last_us(&self) -> u64 {
        self.layers.iter().map(|layer| layer.last_us).max().unwrap_or(0)
    }

    /// Whether this layer is being sent, compared with the others of the track.
    pub fn is_sent(&self, layer: usize) -> bool {
        if let Origin::Link(elsewhere) = &self.origin {
            return elsewhere.sent >> layer & 1 == 1;
        }
        let layer = &self.layers[layer];
        layer.packets > 0 && layer.last_us + GONE_US >= self.last_us()
    }

    /// Whether its packets are dropped, here or where they come from.
    pub fn is_muted(&self) -> bool {
        self.muted || matches!(&self.origin, Origin::Link(elsewhere) if elsewhere.muted)
    }

    /// The highest layer that is being sent.
    pub fn highest_sent(&self) -> Option<usize> {
        (0..self.layers.len()).rev().find(|layer| self.is_sent(*layer))
    }
}
