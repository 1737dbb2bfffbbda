//! How good people's lines are in a call, as the server measures it.

use serde::{Deserialize, Serialize};

use super::{CallId, ParticipantId, Time, UserId};

/// How good a line is, best first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, utoipa::ToSchema)]
#[cfg_attr(test, derive(ts_rs::TS))]
#[serde(rename_all = "camelCase")]
#[schema(as = QualityLevel)]
#[cfg_attr(test, ts(rename = "QualityLevel"))]
pub enum Level {
    /// Nothing is wrong.
    Excellent,
    /// Not everything that was asked for, but nobody is disturbed.
    Good,
    /// The others notice, or the participant does.
    Poor,
    /// Nothing is heard of the participant.
    Lost,
}

/// What is wrong with a line.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, utoipa::ToSchema)]
#[cfg_attr(test, derive(ts_rs::TS))]
#[serde(rename_all = "camelCase")]
#[schema(as = QualityReason)]
#[cfg_attr(test, ts(rename = "QualityReason"))]
pub enum Reason {
    /// Packets are lost.
    Loss,
    /// Packets come unevenly.
    Jitter,
    /// The way there and back takes long.
    Rtt,
    /// Pictures stand still.
    Freezes,
    /// The line bears less than what is asked for.
    Bandwidth,
    /// Nothing is heard.
    Silent,
}

/// Which way.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, utoipa::ToSchema)]
#[cfg_attr(test, derive(ts_rs::TS))]
#[serde(rename_all = "camelCase")]
#[schema(as = QualityDirection)]
#[cfg_attr(test, ts(rename = "QualityDirection"))]
pub enum Direction {
    /// From the participant to the server: what all the others notice.
    Up,
    /// From the server to the participant: what they notice alone.
    Down,
}

/// A line in a word, and why it is not better.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[cfg_attr(test, derive(ts_rs::TS))]
#[serde(rename_all = "camelCase")]
pub struct Quality {
    /// How good it is.
    pub level: Level,
    /// What is wrong most; `null` while the level is `excellent`.
    pub reason: Option<Reason>,
    /// Which way; `null` with `reason`.
    pub direction: Option<Direction>,
}

/// Whose line.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(ts_rs::TS))]
#[serde(rename_all = "camelCase")]
pub struct Rated {
    /// The participant.
    pub participant_id: ParticipantId,
    /// What their line is like from now on.
    pub quality: Quality,
}

/// One direction of a line.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = QualityFlow)]
pub struct Flow {
    /// Of a thousand packets, those that were lost on their first way, repaired or not; `null`: none were sent.
    pub loss_per_mille: Option<u16>,
    /// The worst interarrival jitter of its streams (RFC 3550), in milliseconds.
    pub jitter_ms: u16,
    /// Times that a picture could not go on without a key frame.
    pub freezes: u16,
}

/// What the media side says of a participant's line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Report {
    /// In a word.
    pub quality: Quality,
    /// The last five seconds on the scale of the E-model, 0–93.
    pub score: u8,
    /// There and back, in milliseconds, where it could be measured.
    pub rtt_ms: Option<u16>,
    /// Toward the server.
    pub up: Flow,
    /// Toward the participant.
    pub down: Flow,
    /// What the line bears of what the tiles ask for, in percent, where that is known.
    pub share_pct: Option<u8>,
    /// One of those that come every ten seconds, rather than because something changed.
    pub regular: bool,
}

/// What a line was like in a stretch of time: the worst of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = QualityPoint)]
pub struct Point {
    /// The stretch's end.
    pub at: Time,
    /// In a word.
    #[serde(flatten)]
    pub quality: Quality,
    /// On the scale of the E-model (ITU-T G.107), 0–93: 80 and more is `excellent`, below 60 `poor`.
    pub score: u8,
    /// There and back, in milliseconds; `null`: nothing was sent to the participant that could tell.
    pub rtt_ms: Option<u16>,
    /// Toward the server.
    pub up: Flow,
    /// Toward the participant.
    pub down: Flow,
    /// What the line bore of what the tiles asked for, in percent; `null` where that is not known.
    pub bandwidth_percent: Option<u8>,
}

/// One participant's part of a call's history.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = QualityLine)]
pub struct Line {
    /// Who.
    pub participant_id: ParticipantId,
    /// Whose connection it is.
    pub user_id: UserId,
    /// The name they chose.
    pub nickname: String,
    /// How long a stretch each point stands for, in seconds.
    pub every_s: u32,
    /// Oldest first.
    pub points: Vec<Point>,
}

/// What the lines of a call were like.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = QualityHistory)]
pub struct History {
    /// Which call.
    pub call_id: CallId,
    /// In the order in which they were first measured.
    pub participants: Vec<Line>,
}

impl Level {
    /// The name that the wire and the figures use.
    pub const fn as_str(self) -> &'static str {
        match self {
            Level::Excellent => "excellent",
            Level::Good => "good",
            Level::Poor => "poor",
            Level::Lost => "lost",
        }
    }
}

impl Reason {
    /// The name that the wire and the figures use.
    pub const fn as_str(self) -> &'static str {
        match self {
            Reason::Loss => "loss",
            Reason::Jitter => "jitter",
            Reason::Rtt => "rtt",
            Reason::Freezes => "freezes",
            Reason::Bandwidth => "bandwidth",
            Reason::Silent => "silent",
        }
    }
}

impl Point {
    /// What a report says, of the time up to `at`.
    pub fn new(at: Time, report: &Report) -> Self {
        let Report { quality, score, rtt_ms, up, down, share_pct, .. } = *report;
        Self { at, quality, score, rtt_ms, up, down, bandwidth_percent: share_pct }
    }

    /// The worst of two reports of the same stretch. Freezes are counted on from the stretch's beginning.
    #[must_use]
    pub fn or_worse(self, later: Self) -> Self {
        self.with(later, u16::max)
    }

    /// The worst of this stretch and the one behind it.
    #[must_use]
    pub fn and(self, next: Self) -> Self {
        self.with(next, u16::saturating_add)
    }

    fn with(self, later: Self, freezes: fn(u16, u16) -> u16) -> Self {
        let flow = |one: Flow, other: Flow| Flow {
            loss_per_mille: one.loss_per_mille.max(other.loss_per_mille),
            jitter_ms: one.jitter_ms.max(other.jitter_ms),
            freezes: freezes(one.freezes, other.freezes),
        };
        let least = |one: Option<u8>, other: Option<u8>| one.into_iter().chain(other).min();
        Self {
            at: later.at,
            quality: if self.quality.level > later.quality.level { self.quality } else { later.quality },
            score: self.score.min(later.score),
            rtt_ms: self.rtt_ms.max(later.rtt_ms),
            up: flow(self.up, later.up),
            down: flow(self.down, later.down),
            bandwidth_percent: least(self.bandwidth_percent, later.bandwidth_percent),
        }
    }
}
