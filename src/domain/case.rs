//! What people have to judge: cases, what was reported, and what was decided.

use serde::{Deserialize, Serialize};

use super::{CallId, CaseId, MessageId, ParticipantId, ReportId, RoomId, Time, TrackId, TrackSource, UserId};

/// Enums whose names the database and the wire share.
macro_rules! names {
    ($($(#[$doc:meta])* $name:ident { $($(#[$of:meta])* $variant:ident = $text:tt,)* })*) => {$(
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize, serde::Deserialize, utoipa::ToSchema)]
        pub enum $name { $($(#[$of])* #[serde(rename = $text)] $variant,)* }

        impl $name {
            /// Every one.
            pub const ALL: &'static [Self] = &[$(Self::$variant),*];

            /// The name that the database and the wire use.
            pub const fn as_str(self) -> &'static str {
                match self { $(Self::$variant => $text),* }
            }

            /// The one of that name.
            pub fn parse(name: &str) -> Option<Self> {
                Self::ALL.iter().copied().find(|it| it.as_str() == name)
            }
        }
    )*};
}

pub(super) use names;

names! {
    /// How far a case has come.
    CaseStatus {
        /// Nobody has taken it.
        Pending = "pending",
        /// A moderator has taken it, for a few minutes.
        Reviewing = "reviewing",
        /// Something was done.
        Resolved = "resolved",
        /// There was nothing to do.
        Dismissed = "dismissed",
        /// It waits for an administrator. Its evidence does not expire meanwhile.
        Escalated = "escalated",
    }

    /// Which cases a list shows.
    CaseFilter {
        /// Those that wait for a decision, taken or not.
        Open = "open",
        /// [`CaseStatus::Pending`].
        Pending = "pending",
        /// [`CaseStatus::Reviewing`].
        Reviewing = "reviewing",
        /// [`CaseStatus::Resolved`].
        Resolved = "resolved",
        /// [`CaseStatus::Dismissed`].
        Dismissed = "dismissed",
        /// [`CaseStatus::Escalated`].
        Escalated = "escalated",
    }

    /// How much a case presses; later ones go first.
    Priority {
        /// Whenever there is time.
        Low = "low",
        /// As they come.
        Medium = "medium",
        /// Before others.
        High = "high",
        /// At once.
        Critical = "critical",
    }

    /// Who brought a case.
    CaseSource {
        /// The classifier saw something.
        Sampler = "sampler",
        /// A track whose pictures cannot be had.
        Unsampled = "unsampled",
        /// People.
        Report = "report",
    }

    /// What a moderator does about a case.
    Measure {
        /// Nothing: it is harmless.
        Dismiss = "dismiss",
        /// Lets the track through no more, for as long as the call lasts.
        StopTrack = "stopTrack",
        /// Puts the person out of the room.
        Remove = "remove",
        /// Keeps the person out of the site.
        Ban = "ban",
        /// Leaves it to an administrator.
        Escalate = "escalate",
    }

    /// Why somebody reports somebody.
    ReportReason {
        /// Insults, stalking.
        Harassment = "harassment",
        /// Hatred of a group.
        HateSpeech = "hateSpeech",
        /// Nakedness.
        Nudity = "nudity",
        /// Anything else that does not belong here.
        InappropriateContent = "inappropriateContent",
        /// Advertising, floods.
        Spam = "spam",
        /// Threats of violence.
        Threats = "threats",
        /// Somebody seems to be under 18.
        Underage = "underage",
        /// Sexual abuse of children.
        Csam = "csam",
        /// Somebody plays somebody else.
        Impersonation = "impersonation",
        /// Somebody may hurt themselves.
        SelfHarm = "selfHarm",
        /// What no other reason says.
        Other = "other",
    }

    /// What a report is about.
    TargetKind {
        /// A person.
        User = "user",
        /// A message.
        Message = "message",
    }
}

/// Something that a moderator has to decide.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, utoipa::ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct Case {
    /// Which.
    pub case_id: CaseId,
    /// How far it has come.
    pub status: CaseStatus,
    /// How much it presses.
    pub priority: Priority,
    /// Who brought it.
    pub source: CaseSource,
    /// What the classifier saw, or the gravest reason of a report; `null` for a track without pictures.
    #[schema(example = "Drawing")]
    pub label: Option<String>,
    /// Whom it is about.
    pub subject: Named,
    /// Where it happened.
    #[serde(flatten)]
    pub place: Place,
    /// The room's name, while the room exists.
    pub room_name: Option<String>,
    /// Whether the track, or any picture of the person, runs at this moment.
    pub live: bool,
    /// How many people reported it.
    pub report_count: u32,
    /// Since when.
    pub created_at: Time,
    /// When something last changed.
    pub updated_at: Time,
    /// Who has taken it, and until when.
    pub claimed_by: Option<Claim>,
    /// What was decided.
    pub decision: Option<Decision>,
}

/// Where something happened, as far as it is known.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct Place {
    /// In which room.
    pub room_id: Option<RoomId>,
    /// In which call.
    pub call_id: Option<CallId>,
    /// By which connection.
    pub participant_id: Option<ParticipantId>,
    /// In which track.
    pub track_id: Option<TrackId>,
    /// From where that track comes.
    pub track_source: Option<TrackSource>,
    /// In which message.
    pub message_id: Option<MessageId>,
}

/// Somebody, by the name they have or had.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[cfg_attr(test, derive(ts_rs::TS))]
#[serde(rename_all = "camelCase")]
pub struct Named {
    /// Who.
    pub user_id: UserId,
    /// Their name.
    pub nickname: String,
}

/// Who has taken a case.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct Claim {
    /// Who.
    #[serde(flatten)]
    pub by: Named,
    /// For how long nobody else gets it.
    pub until: Time,
}

/// What was decided about a case.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct Decision {
    /// What is done.
    pub action: Measure,
    /// Why.
    pub reason: String,
    /// By whom.
    pub by: Named,
    /// When.
    pub at: Time,
    /// For how long, in seconds: for a ban that ends.
    pub duration_s: Option<u64>,
}

/// What somebody reported.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, utoipa::ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct Report {
    /// Which.
    pub report_id: ReportId,
    /// By whom.
    pub reporter: Named,
    /// Why.
    pub reason: ReportReason,
    /// In their words.
    pub description: Option<String>,
    /// When.
    pub at: Time,
}

/// What somebody else did about a case before: why one's own claim or decision was not taken.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Taken {
    /// They have taken it.
    Claimed(Claim),
    /// They have decided it.
    Decided(Decision),
}

impl ReportReason {
    /// Whether a report of this kind is never throttled, goes first, and hides at once what strangers see.
    pub const fn is_critical(self) -> bool {
        matches!(self, Self::Csam | Self::Underage | Self::Threats)
    }

    /// How much a case presses that has a report of this kind and no other.
    pub const fn priority(self) -> Priority {
        match self {
            Self::Csam | Self::Underage | Self::Threats => Priority::Critical,
            Self::SelfHarm => Priority::High,
            Self::Spam | Self::Impersonation => Priority::Low,
            _ => Priority::Medium,
        }
    }
}

impl Measure {
    /// What becomes of the case.
    pub const fn outcome(self) -> CaseStatus {
        match self {
            Self::Dismiss => CaseStatus::Dismissed,
            Self::Escalate => CaseStatus::Escalated,
            Self::StopTrack | Self::Remove | Self::Ban => CaseStatus::Resolved,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_those_of_the_wire() {
        for reason in ReportReason::ALL {
            assert_eq!(serde_json::to_string(reason).unwrap(), format!("\"{}\"", reason.as_str()));
            assert_eq!(ReportReason::parse(reason.as_str()), Some(*reason));
        }
        assert_eq!(CaseStatus::parse("open"), None);
        assert!(Priority::Critical > Priority::High && Priority::Medium > Priority::Low);
    }

    #[test]
    fn critical_reasons_are_three() {
        let critical: Vec<_> = ReportReason::ALL.iter().filter(|it| it.is_critical()).collect();
        assert_eq!(critical, [&ReportReason::Threats, &ReportReason::Underage, &ReportReason::Csam]);
        assert!(ReportReason::ALL.iter().all(|it| it.is_critical() == (it.priority() == Priority::Critical)));
    }
}
