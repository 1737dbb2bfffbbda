use std::{
    net::IpAddr,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
};

use super::{FamilyId, Role, RoomId, RoomKind, SessionId, SiteRole, Standing, Time, User, UserId, user::Trust};

/// Somebody who asks for something, as the token proved.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Caller {
    /// Who.
    pub user: User,
    /// Since when the server knows them.
    pub known_since: Time,
    /// By which login.
    pub family: FamilyId,
    /// From where they ask, as the edge saw it.
    pub address: IpAddr,
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
}

/// What became of a session whose socket changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SessionChange {
    /// The socket is gone; the session waits for another.
    Lost(SessionId),
    /// Another socket took the session up.
    Resumed(SessionId),
    /// The session is over: nobody came in time, or it was closed for good.
    Ended(SessionId),
}

impl Caller {
    /// Their standing outside of any room.
    pub fn standing(&self) -> Standing {
        Standing { room: None, site: self.user.role }
    }
}

/// What became of logins and of those who have them.
#[derive(Clone, Debug, PartialEq, Eq)]
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
        Standing { room: self.role, site: self.session.caller.user.role }
    }

    /// Who sits here.
    pub fn user(&self) -> &User {
        &self.session.caller.user
    }

    /// How much this person has shown of themselves, here.
    pub fn trust(&self) -> Trust {
        const A_WEEK_MS: i64 = 7 * 24 * 3600 * 1000;
        if self.role >= Some(Role::Trusted) {
            Trust::Trusted
        } else if Time::now().as_ms() - self.session.caller.known_since.as_ms() >= A_WEEK_MS {
            Trust::Established
        } else {
            Trust::New
        }
    }
}
