//! Who is in rooms by other nodes. Each node tells what it knows of its own people; whoever is told of no more is gone.
//!
//! Who joins and who leaves every node tells its own sockets, from what it knows of all nodes: so somebody who goes from
//! one node to another neither leaves nor joins, and nobody is told twice.

use std::collections::HashMap;
use std::time::{Duration, Instant};

use super::{
    Rooms,
    lobby::{LiveRoom, Lobby},
};
use crate::domain::{Event, Fact, Member, NodeId, Refusal, Role, RoomId, UserId, peer::PeerWord, room::LeftReason};

/// Members that one word names at most, so that no word is long.
const NAMED_AT_ONCE: usize = 500;

/// Who is in which room by other nodes.
#[derive(Default)]
pub(super) struct Elsewhere(HashMap<RoomId, HashMap<UserId, Distant>>);

/// Somebody who is there by one or more other nodes.
struct Distant {
    member: Member,
    /// By which, and when that was told last.
    nodes: HashMap<NodeId, Instant>,
}

impl Elsewhere {
    pub(super) fn is_in(&self, room: RoomId, user: UserId) -> bool {
        self.0.get(&room).is_some_and(|people| people.contains_key(&user))
    }

    /// How many of a room are not here too: for who asks often.
    pub(super) fn number_besides(&self, room: RoomId, here: Option<&LiveRoom>) -> usize {
        let number = self.0.get(&room).map_or(0, HashMap::len);
        number.saturating_sub(here.map_or(0, |here| here.twice))
    }

    /// Those of a room who are not here too.
    pub(super) fn besides<'a>(&'a self, room: RoomId, here: Option<&'a LiveRoom>) -> impl Iterator<Item = &'a Member> {
        let people = self.0.get(&room).into_iter().flat_map(HashMap::values);
        let is_here = move |user: &UserId| here.is_some_and(|room| room.people.contains_key(user));
        people.map(|distant| &distant.member).filter(move |member| !is_here(&member.user_id))
    }

    /// Whether that is news of somebody who was nowhere.
    fn came(&mut self, node: NodeId, room: RoomId, member: Member) -> bool {
        let people = self.0.entry(room).or_default();
        let is_new = !people.contains_key(&member.user_id);
        let new = || Distant { member: member.clone(), nodes: HashMap::new() };
        let distant = people.entry(member.user_id).or_insert_with(new);
        distant.member = member;
        distant.nodes.insert(node, Instant::now());
        is_new
    }

    /// Forgets what does not hold any more; who is nowhere now.
    fn retain(&mut self, mut holds: impl FnMut(RoomId, UserId, NodeId, Instant) -> bool) -> Vec<(RoomId, UserId)> {
        let mut gone = Vec::new();
        self.0.retain(|room, people| {
            people.retain(|user, distant| {
                distant.nodes.retain(|node, told| holds(*room, *user, *node, *told));
                if distant.nodes.is_empty() {
                    gone.push((*room, *user));
                }
                !distant.nodes.is_empty()
            });
            !people.is_empty()
        });
        gone
    }

    fn went(&mut self, node: NodeId, room: RoomId, user: UserId) -> bool {
        let Some(people) = self.0.get_mut(&room) else { return false };
        let Some(distant) = people.get_mut(&user) else { return false };
        distant.nodes.remove(&node);
        if !distant.nodes.is_empty() {
            return false;
        }
        people.remove(&user);
        if people.is_empty() {
            self.0.remove(&room);
        }
        true
    }
}

impl Rooms {
    /// Takes what another node tells of rooms. What concerns logins is taken by [`Rooms::login_changed`], what
    /// was spent by the limits, what people show by their presence.
    pub fn heard(&self, from: NodeId, word: PeerWord) {
        match word {
            PeerWord::Came { room, member } => self.came_elsewhere(&mut self.lobby(), from, room, member),
            PeerWord::Present(rooms) => {
                for (room, members) in rooms {
                    let mut lobby = self.lobby();
                    for member in members {
                        self.came_elsewhere(&mut lobby, from, room, member);
                    }
                }
            }
            PeerWord::Went { room, user, reason } => {
                let mut lobby = self.lobby();
                if lobby.elsewhere.went(from, room, user) {
                    lobby.is_twice(room, user, false);
                    self.tell_gone(&lobby, room, user, reason);
                }
            }
            PeerWord::Stopping => {
                let mut lobby = self.lobby();
                let gone = lobby.forget_elsewhere(|_, _, node, _| node != from);
                self.tell_all_gone(&lobby, gone);
            }
            PeerWord::PutOut { room, user, reason } => {
                self.ring_no_more(room, user);
                let mut lobby = self.lobby();
                for session in lobby.sessions_of(room, user) {
                    self.rise_in(&mut lobby, session, room, reason);
                }
            }
            PeerWord::Ring { call, user, act } => {
                // What it does not do there any more, whoever asked sees by the record.
                let _ = self.act_here(user, call, act);
            }
            PeerWord::Emptied(room) => self.call_is_empty_elsewhere(room),
            PeerWord::Role { room, user } => {
                self.lobby().role_changes += 1;
                let rooms = self.clone();
                tokio::spawn(async move {
                    if let Err(refusal) = rooms.settle_role(room, user).await {
                        tracing::debug!(%refusal, "somebody's role is that of nobody here");
                    }
                });
            }
            PeerWord::Door(room) => {
                let rooms = self.clone();
                tokio::spawn(async move {
                    if let Err(refusal) = rooms.learn_door(room).await {
                        tracing::warn!(%refusal, "the door of a room could not be read");
                    }
                });
            }
            // Others take these.
            PeerWord::Login(_) | PeerWord::Shown(_) | PeerWord::Wished(_) | PeerWord::Spent(_) => {}
            PeerWord::Errand { .. } | PeerWord::Outcome { .. } | PeerWord::Frames { .. } => {}
            PeerWord::Guest { .. } | PeerWord::Known { .. } => {}
            PeerWord::Apart { .. } | PeerWord::Reconciled(_) => {}
        }
    }

    /// Whom this node tells of: everybody in its rooms, in words of a moderate length.
    pub fn present(&self) -> Vec<PeerWord> {
        let (mut words, mut word, mut named) = (Vec::new(), Vec::new(), 0);
        let lobby = self.lobby();
        for (id, room) in &lobby.rooms {
            let members: Vec<Member> = room.seen().map(|presence| presence.member.clone()).collect();
            for part in members.chunks(NAMED_AT_ONCE) {
                word.push((*id, part.to_vec()));
                named += part.len();
                if named >= NAMED_AT_ONCE {
                    words.push(PeerWord::Present(std::mem::take(&mut word)));
                    named = 0;
                }
            }
        }
        drop(lobby);
        if !word.is_empty() {
            words.push(PeerWord::Present(word));
        }
        words
    }

    /// Forgets whom no node has told of for so long.
    pub fn forget_silent(&self, silent_for: Duration) {
        let mut lobby = self.lobby();
        let gone = lobby.forget_elsewhere(|_, _, _, told| told.elapsed() < silent_for);
        self.tell_all_gone(&lobby, gone);
    }

    /// Whether the other nodes can be heard; `None`: this is the only one.
    pub fn hears_other_nodes(&self) -> Option<bool> {
        self.0.bus.hears_others()
    }

    fn came_elsewhere(&self, lobby: &mut Lobby, from: NodeId, room: RoomId, member: Member) {
        let is_new = lobby.elsewhere.came(from, room, member.clone());
        if is_new {
            lobby.is_twice(room, member.user_id, true);
        }
        let Some(here) = lobby.rooms.get(&room).filter(|_| is_new) else { return };
        if !here.people.contains_key(&member.user_id) && here.tells_of_member(&member) {
            self.0.bus.publish_here(&Event::ephemeral(room, Fact::MemberJoined(member)));
        }
    }

    fn tell_all_gone(&self, lobby: &Lobby, gone: Vec<(RoomId, UserId)>) {
        for (room, user) in gone {
            self.tell_gone(lobby, room, user, LeftReason::Lost);
        }
    }

    /// Tells whoever is in a room here that somebody is in it nowhere.
    fn tell_gone(&self, lobby: &Lobby, room: RoomId, user: UserId, reason: LeftReason) {
        // Of an audience nobody was told that they came; to tell that they went harms nobody, and is not told either.
        let Some(here) = lobby.rooms.get(&room) else { return };
        if !here.people.contains_key(&user) && !here.record.room.kind.is_for_an_audience() {
            self.0.bus.publish_here(&Event::ephemeral(room, Fact::MemberLeft { user, reason, stay: 0 }));
        }
    }

    /// Another node has changed a room's door, or deleted the room.
    async fn learn_door(&self, room: RoomId) -> Result<(), Refusal> {
        loop {
            let seen = self.lobby().door_changes;
            let Some(record) = self.0.store.room(room).await? else {
                self.room_is_gone(room);
                return Ok(());
            };
            let is_fresh = {
                let mut lobby = self.lobby();
                let is_fresh = lobby.door_changes == seen;
                if is_fresh {
                    lobby.door_changes += 1;
                    lobby.orders_of(record.call).hosted.set_door(record.door);
                }
                is_fresh
            };
            if is_fresh {
                // What its owners have settled comes by the same word.
                return self.reread_here(room).await.map(|_| ());
            }
        }
    }
}

impl Lobby {
    /// How many people are in a room, by whatever node.
    pub(super) fn online(&self, id: RoomId) -> u32 {
        let here = self.rooms.get(&id);
        let besides = self.elsewhere.number_besides(id, here);
        here.map_or(0, LiveRoom::online).saturating_add(u32::try_from(besides).unwrap_or(u32::MAX))
    }

    /// Whether somebody is in a room by whatever node, and others may know of it.
    pub(super) fn is_seen(&self, id: RoomId, user: UserId) -> bool {
        self.rooms.get(&id).is_some_and(|room| room.sees(user)) || self.elsewhere.is_in(id, user)
    }

    /// Somebody is in a room by another node from now on, or by none any more; if they are here, that is to be counted.
    fn is_twice(&mut self, id: RoomId, user: UserId, twice: bool) {
        let Some(here) = self.rooms.get_mut(&id).filter(|here| here.people.contains_key(&user)) else { return };
        here.twice = if twice { here.twice + 1 } else { here.twice.saturating_sub(1) };
    }

    /// Forgets what of other nodes does not hold any more; who is by none of them now.
    fn forget_elsewhere(
        &mut self,
        holds: impl FnMut(RoomId, UserId, NodeId, Instant) -> bool,
    ) -> Vec<(RoomId, UserId)> {
        let gone = self.elsewhere.retain(holds);
        for (room, user) in &gone {
            self.is_twice(*room, *user, false);
        }
        gone
    }

    /// Who is in a room, by whatever node: up to 100, those of this node first.
    pub(super) fn members(&self, id: RoomId) -> Vec<Member> {
        let here = self.rooms.get(&id);
        let mut members = here.map(LiveRoom::members).unwrap_or_default();
        let tells = |member: &&Member| here.is_none_or(|room| room.tells_of_member(member));
        let besides = self.elsewhere.besides(id, here).filter(tells).take(super::lobby::NAMED - members.len());
        members.extend(besides.cloned());
        members
    }
}

impl LiveRoom {
    /// Whether the room is told when somebody comes or goes by another node.
    fn tells_of_member(&self, member: &Member) -> bool {
        // A moderator of the site who is no host by their role in the room is counted, as anybody else is.
        !self.record.room.kind.is_for_an_audience() || member.role >= Role::Moderator
    }
}
