//! The media core of Parlor: a selective forwarding unit without sockets, clock, threads or locks.
//!
//! [`Shard`] is the whole of it, driven from outside: datagrams, commands and the time go in, datagrams and events come out.
//! Inside, a datagram finds its way by its first byte ([`demux`]) to [`ice`], [`dtls`], [`rtp`] or [`rtcp`]; media is opened
//! in place ([`srtp`]), kept once in its layer's ring, and written out receiver by receiver.

mod agenda;
mod allocate;
mod audio;
pub mod bwe;
mod call;
#[cfg(feature = "client")]
pub mod client;
pub mod codec;
mod congestion;
pub mod demux;
pub mod drop;
pub mod dtls;
mod event;
mod fault;
mod forward;
mod holdings;
pub mod ice;
mod id;
mod inbound;
mod keyframe;
mod ladder;
mod layer;
mod line;
mod nack;
mod offer;
mod opus;
mod outbox;
mod pace;
mod peer;
pub mod quality;
mod rate;
pub mod red;
mod relay;
mod reports;
mod ring;
pub mod rtcp;
pub mod rtp;
pub mod sdp;
pub mod seqmap;
mod shard;
mod slots;
mod speaker;
pub mod srtp;
mod stats;
mod tap;
mod track;
mod twcc;
mod watch;

pub use codec::h264::dimensions as h264_dimensions;
pub use event::{Event, SlotState};
pub use holdings::Holdings;
pub use id::{CallId, ParticipantId, TrackId};
pub use offer::{Answered, OfferError, OfferedTrack};
pub use outbox::{Path, Via};
pub use peer::View;
pub use relay::Relay;
pub use shard::{Config, Input, Output, Shard, Transmit};
pub use stats::Stats;
pub use tap::{Recorded, RecordedEvent, RecordedPacket};
pub use track::{Codec, Kind, Source};
