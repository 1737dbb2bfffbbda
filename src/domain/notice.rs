//! What concerns a person or one of their sessions outside of any room.

use serde::{Deserialize, Serialize};

use super::{RecordingId, RoomId, SessionId, SiteRole, Time, UserId, matching::MatchNews, recording::Composed};

/// Something that somebody is told, wherever they are. Ephemeral: whoever has no socket at that moment is not told later.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Notice {
    /// Whom.
    pub to: Addressee,
    /// What.
    pub told: Told,
}

/// Whom a notice is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Addressee {
    /// One session.
    Session(SessionId),
    /// All sessions of one person.
    User(UserId),
}

/// What a notice says.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Told {
    /// They are banned: their sockets close after this.
    Banned {
        /// What the moderator said.
        reason: String,
        /// Until when; `None`: for good.
        until: Option<Time>,
    },
    /// How far the composed file is that they asked for.
    RecordingComposed {
        /// Of which recording.
        recording: RecordingId,
        /// How far.
        composed: Composed,
    },
    /// They are something else on the site from now on.
    SiteRole {
        /// What.
        role: SiteRole,
    },
    /// A host lets them in.
    Admitted {
        /// Where.
        room: RoomId,
    },
    /// A host does not let them in.
    Denied {
        /// Where.
        room: RoomId,
        /// When they may knock again, in milliseconds from now.
        retry_after_ms: u64,
    },
    /// What became of their search for a stranger.
    Match(MatchNews),
}

impl Notice {
    /// A notice for one session.
    pub fn to_session(session: SessionId, told: Told) -> Self {
        Self { to: Addressee::Session(session), told }
    }

    /// A notice for all sessions of one person.
    pub fn to_user(user: UserId, told: Told) -> Self {
        Self { to: Addressee::User(user), told }
    }
}
