//! Calls: who takes part, what they publish, and what a receiver's slots show.

use serde::{Deserialize, Serialize};

use super::quality::Quality;
use super::{CallId, Controls, ParticipantId, RecordingId, Time, TrackId, UserId};

/// A room's call and everybody in it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[cfg_attr(test, derive(ts_rs::TS))]
#[serde(rename_all = "camelCase")]
pub struct Call {
    /// Which.
    pub call_id: CallId,
    /// Everybody in it, first come first; of a live room's only who publishes.
    pub participants: Vec<Participant>,
    /// How many watch a live room's call: they are not named. 0 in others.
    pub viewers: u32,
    /// The recording that runs, or is about to.
    pub recording: Option<CallRecording>,
    /// What its hosts have settled.
    pub controls: Controls,
}

/// That a call is recorded.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[cfg_attr(test, derive(ts_rs::TS))]
#[serde(rename_all = "camelCase")]
pub struct CallRecording {
    /// Which recording.
    pub recording_id: RecordingId,
    /// Whether it has begun.
    pub state: RecordingPhase,
    /// Since when; `null` until it begins.
    pub started_at: Option<Time>,
    /// Who started it.
    pub started_by: UserId,
}

/// Whether a recording has begun.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[cfg_attr(test, derive(ts_rs::TS))]
#[serde(rename_all = "camelCase")]
pub enum RecordingPhase {
    /// It is announced; nothing is written yet.
    Starting,
    /// What is published is written.
    Running,
}

/// One connection of one person in a call.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[cfg_attr(test, derive(ts_rs::TS))]
#[serde(rename_all = "camelCase")]
pub struct Participant {
    /// Which connection.
    pub participant_id: ParticipantId,
    /// Whose.
    pub user_id: UserId,
    /// The name they chose.
    pub nickname: String,
    /// How far it has come.
    pub state: ParticipantState,
    /// What it publishes.
    pub tracks: Vec<Track>,
    /// What a host does not let this person send.
    pub disabled: Vec<TrackSource>,
    /// What its line is like; `null` until it has been measured for five seconds.
    pub quality: Option<Quality>,
}

/// How far a participant's connection has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[cfg_attr(test, derive(ts_rs::TS))]
#[serde(rename_all = "camelCase")]
pub enum ParticipantState {
    /// The offer is answered, media is not yet connected.
    Joining,
    /// Media flows.
    Connected,
    /// The socket is lost; the seat is kept for a moment.
    Lost,
}

/// What a participant publishes from one source.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[cfg_attr(test, derive(ts_rs::TS))]
#[serde(rename_all = "camelCase")]
pub struct Track {
    /// Which.
    pub track_id: TrackId,
    /// From where.
    pub source: TrackSource,
    /// Whether packets arrive.
    pub active: bool,
    /// Whether the publisher muted it.
    pub muted: bool,
    /// Whether a moderator muted or stopped it.
    pub muted_by_host: bool,
    /// Whether it may be seen: in match rooms not before the server has looked at it.
    pub cleared: bool,
}

/// Where a track comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, utoipa::ToSchema)]
#[cfg_attr(test, derive(ts_rs::TS))]
#[serde(rename_all = "camelCase")]
pub enum TrackSource {
    /// Audio.
    Microphone,
    /// Video of a person, in up to three layers.
    Camera,
    /// Video of a screen, in one layer.
    Screen,
    /// The sound of what is shared: a tab or the whole system. No voice.
    ScreenAudio,
}

/// A send line of an offer: which m-line carries which source.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(ts_rs::TS))]
pub struct OfferedSource {
    /// The m-line's `a=mid`.
    pub mid: String,
    /// What it carries.
    pub source: TrackSource,
}

/// A send line of an answered offer: the id that its track has from now on.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(ts_rs::TS))]
#[serde(rename_all = "camelCase")]
pub struct AnsweredTrack {
    /// The m-line's `a=mid`.
    pub mid: String,
    /// The track on it.
    pub track_id: TrackId,
}

/// The answer to an offer.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(ts_rs::TS))]
#[serde(rename_all = "camelCase")]
pub struct Answer {
    /// The call.
    pub call_id: CallId,
    /// Who the offerer is in it.
    pub participant_id: ParticipantId,
    /// The SDP answer.
    pub sdp: String,
    /// The offerer's own tracks.
    pub tracks: Vec<AnsweredTrack>,
    /// Everybody in the call, the offerer too.
    pub participants: Vec<Participant>,
    /// What the call's hosts have settled.
    pub controls: Controls,
}

/// A track that a receiver wants to see.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(ts_rs::TS))]
#[serde(rename_all = "camelCase")]
pub struct View {
    /// Which.
    pub track_id: TrackId,
    /// The tile's width in device pixels.
    pub width: u16,
    /// Whether it is on the screen now.
    pub visible: bool,
}

/// What one receive slot shows now.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(ts_rs::TS))]
#[serde(rename_all = "camelCase")]
pub struct Slot {
    /// The slot's m-line.
    pub mid: String,
    /// What it can carry.
    pub kind: SlotKind,
    /// Whose track it carries; `null` when it is silent.
    pub participant_id: Option<ParticipantId>,
    /// The track it carries.
    pub track_id: Option<TrackId>,
    /// The simulcast layer, 0 the smallest; `null` where there are no layers.
    pub layer: Option<u8>,
    /// RTP timestamp of the track's first frame in this slot; `null` until that is sent.
    pub rtp_timestamp: Option<u32>,
    /// The line to this participant does not carry the track now; its picture comes back by itself.
    pub paused: bool,
}

/// What a slot can carry.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[cfg_attr(test, derive(ts_rs::TS))]
#[serde(rename_all = "camelCase")]
pub enum SlotKind {
    /// Sound.
    Audio,
    /// Picture.
    Video,
}

/// Somebody who is heard now.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(ts_rs::TS))]
#[serde(rename_all = "camelCase")]
pub struct Speaker {
    /// Who.
    pub participant_id: ParticipantId,
    /// How loud, in dBov: 0 is the loudest, −127 silence.
    pub level: i8,
}

impl TrackSource {
    /// Whether it is of a shared screen.
    pub const fn is_screen(self) -> bool {
        matches!(self, TrackSource::Screen | TrackSource::ScreenAudio)
    }

    /// Every one.
    pub const ALL: [TrackSource; 4] =
        [TrackSource::Microphone, TrackSource::Camera, TrackSource::Screen, TrackSource::ScreenAudio];

    /// The name that the database and the wire use.
    pub const fn as_str(self) -> &'static str {
        match self {
            TrackSource::Microphone => "microphone",
            TrackSource::Camera => "camera",
            TrackSource::Screen => "screen",
            TrackSource::ScreenAudio => "screenAudio",
        }
    }

    /// The source of that name.
    pub fn parse(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|source| source.as_str() == name)
    }

    /// Whether it is seen rather than heard.
    pub const fn is_picture(self) -> bool {
        matches!(self, TrackSource::Camera | TrackSource::Screen)
    }
}

impl Participant {
    /// Its track of that id.
    pub fn track_mut(&mut self, id: TrackId) -> Option<&mut Track> {
        self.tracks.iter_mut().find(|track| track.track_id == id)
    }
}

/// Why the server stopped a track.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(ts_rs::TS))]
#[serde(rename_all = "snake_case")]
pub enum StopReason {
    /// A host muted it.
    MutedByHost,
    /// A host does not let this person, or anybody, send from there.
    DisabledByHost,
    /// A moderator of the site stopped it for as long as the call lasts.
    Moderation,
}

/// Why the server ended a participant's part in a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(ts_rs::TS))]
#[serde(rename_all = "snake_case")]
pub enum EndReason {
    /// No ICE check came for too long: offer again.
    IceTimeout,
    /// A host put them out.
    RemovedByHost,
    /// A host ended the call for all.
    EndedByHost,
    /// The call broke down in the server and is over for everybody in it: offer again.
    Broken,
}
