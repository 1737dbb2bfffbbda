use std::{
    net::IpAddr,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
};

use serde::{Deserialize, Serialize};

use super::{
    Action, FamilyId, Refusal, Role, RoomId, RoomKind, Rules, SessionId, SiteRole, Standing, Time, User, UserId,
    cluster::Tenant,
    feature::Feature,
    permit,
    trust::{Earned, Trust},
};

/// Somebody who asks for something, as the token proved.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Caller {
    /// Who.
    pub user: User,
    /// Since when the server knows them.
    pub known_since: Time,
    /// By which login.
    pub family: FamilyId,
    /// From where they ask, as the edge saw it.
    pub address: IpAddr,
    /// What their cluster means for what they ask for.
    #[serde(default)]
    pub cluster: Tenant,
}

/// A socket's session.
#[derive(Clone, Debug)]
pub struct Session {
    /// Which.
    pub id: SessionId,
    /// Which of its sockets, counted from 1: what an old one still does must not befall the one that replaced it.
    pub socket: u64,
    /// Whose.
    pub caller: Caller,
    /// Set when the session ends, by whoever keeps sessions; all copies share it.
    over: Arc<AtomicBool>,
}

/// Proof that somebody may act in a room, and as what: they are in it, or the request came without a socket from somebody who
/// could be.
#[derive(Clone, Debug)]
pub struct Seat {
    /// Which session.
    pub session: Arc<Session>,
    /// Where.
    pub room: RoomId,
    /// What the room is for.
    pub kind: RoomKind,
    /// As what. `None`: a moderator of the site who is no member.
    pub role: Option<Role>,
    /// How many people are there.
    pub online: u32,
    /// What the room goes by.
    pub rules: Rules,
    /// What they have earned on the site.
    pub earned: Earned,
    /// Until when they have no voice there; what is over counts no more.
    pub muted_until: Option<Time>,
}

/// What became of a session whose socket changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum SessionChange {
    /// The socket is gone; the session waits for another.
    Lost(SessionId),
    /// Another socket took the session up.
    Resumed(SessionId),
    /// The session is over: nobody came in time, or it was closed for good.
    Ended(SessionId),
}

impl SessionChange {
    /// Whose session it was.
    pub fn session(self) -> SessionId {
        let (Self::Lost(session) | Self::Resumed(session) | Self::Ended(session)) = self;
        session
    }
}

impl Caller {
    /// Their standing outside of any room.
    pub fn standing(&self) -> Standing {
        Standing::of(None, self.user.role)
    }

    /// Refuses (`feature_off`) what their cluster does not offer.
    ///
    /// # Errors
    /// `feature_off`.
    pub fn demand(&self, feature: Feature) -> Result<(), Refusal> {
        self.cluster.features.demand(feature)
    }
}

/// What became of logins and of those who have them.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum LoginChange {
    /// A login is over before its time: nothing that it opened may go on.
    Revoked(FamilyId),
    /// Somebody is kept out of the site: nothing that any login of theirs opened may go on.
    Banned {
        /// Who.
        user: UserId,
        /// Why.
        reason: String,
        /// Until when; `None`: for good.
        until: Option<Time>,
    },
    /// A ban of another binds a device that this person has come from: nothing may go on that others came by in their name.
    Reached(UserId),
    /// A token of a login of somebody's came twice: it is over, and they are told wherever else they are.
    Reused {
        /// Whose.
        user: UserId,
        /// What the device said of itself, in words.
        device: Option<String>,
    },
    /// Codes for somebody's account were wrong so often since its last login, the third time and each third time after that.
    Guessed {
        /// Whose.
        user: UserId,
        /// How often.
        count: u64,
    },
    /// Somebody has another role on the site.
    SiteRole(UserId, SiteRole),
}

impl Session {
    /// A session with a socket.
    pub fn new(id: SessionId, socket: u64, caller: Caller, over: Arc<AtomicBool>) -> Self {
        Self { id, socket, caller, over }
    }

    /// A session for one request without a socket: nobody listens to it.
    pub fn of_request(caller: Caller) -> Self {
        Self::new(SessionId::new(), 0, caller, Arc::default())
    }

    /// The same session with what a fresh token says of its owner.
    #[must_use]
    pub fn renewed(&self, caller: Caller) -> Self {
        Self { caller, ..self.clone() }
    }

    /// Whether the session has ended.
    pub fn is_over(&self) -> bool {
        self.over.load(Ordering::Acquire)
    }
}

impl Seat {
    /// The standing in this seat's room.
    pub fn standing(&self) -> Standing {
        Standing { muted_until: self.muted_until, ..Standing::of(self.role, self.session.caller.user.role) }
    }

    /// Who sits here.
    pub fn user(&self) -> &User {
        &self.session.caller.user
    }

    /// Whether they may do that here: by the table, by what the room narrows, and by what they have shown of themselves.
    ///
    /// # Errors
    /// `forbidden`, `muted`, `room_archived`, `trust_too_low`.
    pub fn permit(&self, action: Action) -> Result<(), Refusal> {
        permit(self.standing(), action, self.rules.permits)?;
        if self.rules.archived && action.changes_room() {
            return Err(Refusal::RoomArchived);
        }
        let writes = matches!(action, Action::SendMessage | Action::Upload | Action::MakePoll);
        let needed = self.rules.min_trust_to_post;
        if writes && self.earned.level < needed && !self.is_exempt() {
            return Err(Refusal::TrustTooLow { needed, earned: self.earned });
        }
        Ok(())
    }

    /// Whether neither slow mode nor the demand for trust holds for them: the room or the site trusts them.
    pub fn is_exempt(&self) -> bool {
        self.role >= Some(Role::Trusted) || self.session.caller.user.role >= SiteRole::Moderator
    }

    /// How much this person has shown of themselves, here.
    pub fn trust(&self) -> Trust {
        if self.is_exempt() { Trust::Trusted } else { self.earned.level }
    }
}
