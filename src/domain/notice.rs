//! What concerns a person or one of their sessions outside of any room.

use serde::{Deserialize, Serialize};

use super::{
    RecordingId, RoomId, SessionId, SiteRole, Time, UserId, WebhookId,
    attachment::Attachment,
    direct::{Direct, DirectMessage},
    invite::JoinRequest,
    matching::MatchNews,
    presence::Shown,
    reading::Unread,
    recording::Composed,
    ring::{CallInvite, CallRecord},
    webhook::DisabledReason,
};

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
    /// A token of a login of theirs came twice: somebody may have had it, and that login is over.
    LoginReused {
        /// What its device said of itself, in words.
        device: Option<String>,
    },
    /// Codes for their account were wrong so often since its last login: somebody may know the password.
    CodesGuessed {
        /// How often.
        count: u64,
    },
    /// How far the composed file is that they asked for.
    RecordingComposed {
        /// Of which recording.
        recording: RecordingId,
        /// How far.
        composed: Composed,
    },
    /// What became of a file that they uploaded.
    File(Box<Attachment>),
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
    /// Somebody asks to be let into a room; they are one of those who decide.
    JoinRequest {
        /// Where.
        room: RoomId,
        /// Who, and with what words.
        request: Box<JoinRequest>,
    },
    /// Such a request is answered.
    JoinAnswered {
        /// Where.
        room: RoomId,
        /// Who asked.
        user: UserId,
        /// Who answered.
        by: UserId,
        /// Whether they are let in.
        lets_in: bool,
    },
    /// What they have not read in a room, changed by another device of theirs.
    Unread(Unread),
    /// Somebody they know is seen as something else.
    Presence(Shown),
    /// What became of their search for a stranger.
    Match(MatchNews),
    /// A direct room of theirs is new or has changed.
    Direct(Box<Direct>),
    /// Somebody wrote in a direct room of theirs.
    DirectMessage(Box<DirectMessage>),
    /// They block somebody, or no more: to their other devices.
    Block {
        /// Whom.
        user: UserId,
        /// From now on, or no more.
        blocked: bool,
    },
    /// Nothing is sent any more to a webhook that they keep.
    WebhookDisabled {
        /// To which.
        webhook: WebhookId,
        /// Of which room; `None`: of all.
        room: Option<RoomId>,
        /// Why.
        reason: DisabledReason,
    },
    /// Somebody rings them.
    CallInvite(Box<CallInvite>),
    /// How a call stands that they ring or are rung for.
    CallRing(Box<CallRecord>),
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
