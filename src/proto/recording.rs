//! Frames about recordings.

use serde::{Deserialize, Serialize};

use crate::domain::{
    RecordingId, Time, UserId,
    recording::{Composed, RecordingStop},
};

/// Data of `recording.starting`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(test, derive(ts_rs::TS))]
#[serde(rename_all = "camelCase")]
pub struct RecordingStarting {
    /// Which recording.
    pub recording_id: RecordingId,
    /// How long until something is written.
    pub starts_in_ms: u64,
    /// Who wanted it.
    pub started_by: UserId,
}

/// Data of `recording.started`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(test, derive(ts_rs::TS))]
#[serde(rename_all = "camelCase")]
pub struct RecordingStarted {
    /// Which recording.
    pub recording_id: RecordingId,
    /// When it began.
    pub started_at: Time,
}

/// Data of `recording.stopped`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(test, derive(ts_rs::TS))]
#[serde(rename_all = "camelCase")]
pub struct RecordingStopped {
    /// Which recording.
    pub recording_id: RecordingId,
    /// Why.
    pub reason: RecordingStop,
}

/// Data of `recording.composed`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(test, derive(ts_rs::TS))]
#[serde(rename_all = "camelCase")]
pub struct RecordingComposed {
    /// Of which recording.
    pub recording_id: RecordingId,
    /// How far the one file of all is.
    #[serde(flatten)]
    pub composed: Composed,
}
