//! What is said of a call's tracks, slots and lines.

use serde::{Deserialize, Serialize};

use crate::domain::{
    TrackId, UserId,
    call::{Slot, Speaker, StopReason, TrackSource},
    quality::Rated,
};

/// Data of `slots`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(test, derive(ts_rs::TS))]
pub struct Slots {
    /// Those that changed.
    pub slots: Vec<Slot>,
}

/// Data of `call.layers`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(test, derive(ts_rs::TS))]
#[serde(rename_all = "camelCase")]
pub struct Layers {
    /// Which track.
    pub track_id: TrackId,
    /// Whether anybody watches the layer, the smallest first. The others' encoders may rest.
    pub layers: Vec<bool>,
}

/// Data of `call.speakers`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(test, derive(ts_rs::TS))]
pub struct Speakers {
    /// Loudest first.
    pub speakers: Vec<Speaker>,
}

/// Data of `track.stopped`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(test, derive(ts_rs::TS))]
#[serde(rename_all = "camelCase")]
pub struct TrackStopped {
    /// Which.
    pub track_id: TrackId,
    /// From where.
    pub source: TrackSource,
    /// Why.
    pub reason: StopReason,
    /// Which host did it; `null`: the site's moderation.
    pub by: Option<UserId>,
    /// Whether you may open it again yourself.
    pub may_unmute: bool,
}

/// Data of `call.quality`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(test, derive(ts_rs::TS))]
pub struct QualityChanged {
    /// Those whose line is another than it was.
    pub participants: Vec<Rated>,
}
