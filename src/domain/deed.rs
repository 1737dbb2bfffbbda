//! What those who keep order do, and what the server does in their place: one line of the log each.

use serde::Serialize;

use super::case::{Named, names};
use super::{CaseId, EvidenceId, LogId, RoomId, Time, UserId, case::Measure};

names! {
    /// Something that is written into the moderation log.
    Deed {
        /// A case began.
        Opened = "opened",
        /// The server blurs a picture until somebody has decided.
        Held = "held",
        /// The server stopped a track by itself, as the policy says.
        Stopped = "stopped",
        /// A moderator took a case.
        Claimed = "claimed",
        /// A moderator gave a case back.
        Released = "released",
        /// A moderator looked at evidence.
        EvidenceViewed = "evidenceViewed",
        /// [`Measure::Dismiss`].
        Dismiss = "dismiss",
        /// [`Measure::StopTrack`].
        StopTrack = "stopTrack",
        /// [`Measure::Remove`].
        Remove = "remove",
        /// [`Measure::Ban`], or a ban without a case.
        Ban = "ban",
        /// [`Measure::Escalate`].
        Escalate = "escalate",
        /// What was decided could not be done, and the case waits again.
        Reopened = "reopened",
        /// A ban was lifted.
        LiftBan = "liftBan",
        /// Somebody got another role on the site.
        SetSiteRole = "setSiteRole",
        /// Somebody's age is known by something else.
        SetAgeLevel = "setAgeLevel",
        /// Evidence expired and was deleted.
        EvidenceExpired = "evidenceExpired",
        /// A moderator took somebody else's message away.
        DeleteMessage = "deleteMessage",
        /// A moderator of the site started a recording in somebody else's room.
        StartRecording = "startRecording",
        /// A moderator of the site stopped a recording in somebody else's room.
        StopRecording = "stopRecording",
        /// A moderator of the site fetched somebody else's recording.
        ViewRecording = "viewRecording",
        /// A moderator of the site deleted somebody else's recording.
        DeleteRecording = "deleteRecording",
    }
}

/// A line that is to be written: `LogEntry::by(moderator, Deed::LiftBan).about(user).because(reason)`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LogEntry {
    /// When.
    pub at: Time,
    /// Who; `None`: the server.
    pub by: Option<UserId>,
    /// What.
    pub deed: Deed,
    /// In which case.
    pub case: Option<CaseId>,
    /// To whom.
    pub user: Option<UserId>,
    /// Where.
    pub room: Option<RoomId>,
    /// With which evidence.
    pub evidence: Option<EvidenceId>,
    /// Why.
    pub reason: Option<String>,
    /// For how long, in seconds.
    pub duration_s: Option<u64>,
}

/// A line of the log.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, utoipa::ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct Logged {
    /// Which.
    pub entry_id: LogId,
    /// When.
    pub at: Time,
    /// Who; `null`: the server.
    pub by: Option<Named>,
    /// What.
    pub action: Deed,
    /// To whom.
    pub subject: Option<Named>,
    /// In which case.
    pub case_id: Option<CaseId>,
    /// Where.
    pub room_id: Option<RoomId>,
    /// With which evidence.
    pub evidence_id: Option<EvidenceId>,
    /// Why.
    pub reason: Option<String>,
    /// For how long, in seconds.
    pub duration_s: Option<u64>,
}

impl LogEntry {
    /// Somebody does something, now.
    pub fn by(who: UserId, deed: Deed) -> Self {
        Self { by: Some(who), ..Self::by_server(deed) }
    }

    /// The server does something by itself, now.
    pub fn by_server(deed: Deed) -> Self {
        Self {
            at: Time::now(),
            by: None,
            deed,
            case: None,
            user: None,
            room: None,
            evidence: None,
            reason: None,
            duration_s: None,
        }
    }

    /// To whom.
    #[must_use]
    pub fn about(self, user: UserId) -> Self {
        Self { user: Some(user), ..self }
    }

    /// In which case.
    #[must_use]
    pub fn in_case(self, case: CaseId) -> Self {
        Self { case: Some(case), ..self }
    }

    /// Where.
    #[must_use]
    pub fn in_room(self, room: Option<RoomId>) -> Self {
        Self { room, ..self }
    }

    /// With which evidence.
    #[must_use]
    pub fn with(self, evidence: EvidenceId) -> Self {
        Self { evidence: Some(evidence), ..self }
    }

    /// Why.
    #[must_use]
    pub fn because(self, reason: impl Into<String>) -> Self {
        Self { reason: Some(reason.into()), ..self }
    }

    /// For how long.
    #[must_use]
    pub fn lasting(self, duration_s: Option<u64>) -> Self {
        Self { duration_s, ..self }
    }
}

impl From<Measure> for Deed {
    fn from(measure: Measure) -> Self {
        match measure {
            Measure::Dismiss => Self::Dismiss,
            Measure::StopTrack => Self::StopTrack,
            Measure::Remove => Self::Remove,
            Measure::Ban => Self::Ban,
            Measure::Escalate => Self::Escalate,
        }
    }
}
