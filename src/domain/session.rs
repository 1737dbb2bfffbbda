use std::{net::IpAddr, sync::Arc};

use super::{Role, RoomId, RoomKind, SessionId, Standing, Time, User, user::Trust};

/// Somebody who asks for something, as the token proved.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Caller {
    /// Who.
    pub user: User,
    /// Since when the server knows them.
    pub known_since: Time,
    /// From where they ask, as the edge saw it.
    pub address: IpAddr,
}

/// A socket's session.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Session {
    /// Which.
    pub id: SessionId,
    /// Whose.
    pub caller: Caller,
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

impl Session {
    /// The same session with what a fresh token says of its owner.
    #[must_use]
    pub fn renewed(&self, caller: Caller) -> Self {
        Self { id: self.id, caller }
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
