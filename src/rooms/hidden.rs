//! People who are in rooms and whom nobody is to know of.
//!
//! They hold their seats and hear everything; lists, counts and joins leave them out. In a call they are seen like everybody: a call
//! has no hidden ears.

use std::collections::HashSet;

use super::{Rooms, lobby::Lobby};
use crate::domain::{Event, Fact, UserId, peer::PeerWord, room::LeftReason};

/// People that are remembered as hidden. Beyond, those who sit nowhere are forgotten; they are told anew when they come.
const REMEMBERED: usize = 65_536;

impl Rooms {
    /// Somebody is hidden from now on, or no more. Their rooms see them go, or come.
    pub fn hide(&self, user: UserId, hidden: bool) {
        let mut lobby = self.lobby();
        if !lobby.remember_hidden(user, hidden) {
            return;
        }
        let rooms: HashSet<_> = lobby.seats_of(user).into_iter().map(|(_, room)| room).collect();
        for id in rooms {
            let Some(room) = lobby.rooms.get_mut(&id) else { continue };
            let told_before = room.tells_of(user);
            room.set_hidden(user, hidden);
            let tells = room.tells_of(user);
            let Some(presence) = room.people.get(&user) else { continue };
            let member = &presence.member;
            if hidden {
                self.0.bus.tell_nodes(|| PeerWord::Went { room: id, user, reason: LeftReason::Left });
            } else {
                self.0.bus.tell_nodes(|| PeerWord::Came { room: id, member: member.clone() });
            }
            if told_before && !tells {
                // A stay that is none of theirs: their own sockets are not told, for nothing is over for them.
                let left = Fact::MemberLeft { user, reason: LeftReason::Left, stay: 0 };
                self.0.bus.publish_here(&Event::ephemeral(id, left));
            } else if tells && !told_before {
                self.0.bus.publish_here(&Event::ephemeral(id, Fact::MemberJoined(member.clone())));
            }
        }
    }
}

impl Lobby {
    /// `false`: it was so already.
    fn remember_hidden(&mut self, user: UserId, hidden: bool) -> bool {
        if !hidden {
            return self.hidden.remove(&user);
        }
        if self.hidden.len() >= REMEMBERED {
            let here: HashSet<UserId> = self.rooms.values().flat_map(|room| room.people.keys().copied()).collect();
            self.hidden.retain(|user| here.contains(user));
        }
        self.hidden.insert(user)
    }
}
