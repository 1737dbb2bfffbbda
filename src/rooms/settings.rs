//! What the owners of a room settle: making it, changing it, giving it away, putting it away, deleting it.

use super::{LIST_LIMIT, Listed, NAME_LIMIT, NewRoom, Rooms, lobby::Lobby, pins, telling::author, to_its_end};
use crate::domain::{
    Action, CallId, Caller, ContentLevel, Door, Event, Fact, Refusal, Retention, Role, Room, RoomId, RoomKind, Seat,
    SiteRole, Time, Trust, UserId, Visibility, can, message::System, peer::PeerWord, room::LeftReason, trust::Earned,
    user::AgeLevel,
};
use crate::limit::Rule;
use crate::store::{Membership, Pin, RoomRecord, Wanted};

/// The longest description, in characters.
const DESCRIPTION_LIMIT: usize = 1_000;
/// Characters of a slug.
const SLUG: std::ops::RangeInclusive<usize> = 3..=64;
/// The slowest slow mode: six hours. Slower than that nobody waits.
const SLOWEST_S: u32 = 6 * 3600;
/// The longest text to look for, in characters.
const QUERY_LIMIT: usize = 100;

/// What somebody wants a room to be like; `None` leaves what is.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RoomChange {
    /// Its name.
    pub name: Option<String>,
    /// Its name in addresses; `Some(None)`: none.
    pub slug: Option<Option<String>>,
    /// Who finds it and who may come in.
    pub visibility: Option<Visibility>,
    /// How many people at once.
    pub max_participants: Option<u32>,
    /// What it is about.
    pub description: Option<String>,
    /// One of the categories of this server; `Some(None)`: none.
    pub category: Option<Option<String>>,
    /// What is shown and said there.
    pub content_level: Option<ContentLevel>,
    /// How long messages are kept.
    pub retention: Option<Retention>,
    /// Seconds between two messages of one person.
    pub slow_mode_s: Option<u32>,
    /// How much trust it takes to become a member.
    pub min_trust_to_join: Option<Trust>,
    /// How much trust it takes to write.
    pub min_trust_to_post: Option<Trust>,
    /// Whether whoever wants to join asks first.
    pub join_requests: Option<bool>,
    /// The PIN; `Some(None)`: none.
    pub pin: Option<Option<String>>,
    /// Who writes.
    pub post: Option<Role>,
    /// Who takes part in the call.
    pub call: Option<Role>,
    /// Who shows their screen.
    pub share: Option<Role>,
    /// Who records.
    pub record: Option<Role>,
    /// Who invites.
    pub invite: Option<Role>,
}

impl Rooms {
    /// Makes a room; its maker is its owner.
    ///
    /// # Errors
    /// `forbidden`, `rate_limited`, `trust_too_low` (forums), `bad_request` (`kind` and whatever a change may name), `conflict` (the
    /// slug), `internal`.
    pub async fn create_with(&self, caller: &Caller, new: NewRoom, change: RoomChange) -> Result<Room, Refusal> {
        if !can(caller.standing(), Action::CreateRoom) {
            return Err(Refusal::Forbidden { action: Action::CreateRoom });
        }
        self.0.limits.check(Rule::CreateRoom, caller)?;
        if !new.kind.is_made_by_people() {
            let why = "Rooms of the kinds \"group\", \"forum\", \"broadcast\", \"live\" and \"call\" can be made.";
            return Err(Refusal::bad_request("kind", why));
        }
        caller.cluster.features.demand_kind(new.kind)?;
        if new.kind == RoomKind::Forum {
            self.demand_trust(caller, Trust::Established).await?;
        }
        let most = self.most_participants(new.kind);
        let mut room = Room::new(new.kind, String::new(), new.visibility, most);
        let change = RoomChange {
            name: Some(new.name),
            max_participants: new.max_participants.or(change.max_participants),
            ..change
        };
        let pin = self.apply(caller, &mut room, change).await?;
        let record =
            RoomRecord { room: room.clone(), call: CallId::new(), created_by: caller.user.id, door: Door::default() };
        if !self.0.store.create_room_with(&record, pin).await? {
            return Err(Refusal::Taken("Another room has this slug."));
        }
        let has_pin = self.0.store.pin_hash(room.id).await?.is_some();
        room.settings.has_pin = has_pin;
        Ok(room)
    }

    /// Changes what a room is like. `revision` is the one that the caller saw. It holds at once, also for those who are there.
    ///
    /// # Errors
    /// `forbidden`, `room_archived`, `precondition_failed` (somebody was first), `bad_request`, `conflict` (the slug), `internal`.
    pub async fn edit(&self, seat: &Seat, revision: u32, change: RoomChange) -> Result<Room, Refusal> {
        seat.permit(Action::EditRoom)?;
        let mut room = self.record(seat.room).await?.room;
        if !room.kind.is_made_by_people() {
            return Err(Refusal::Forbidden { action: Action::EditRoom });
        }
        if room.revision != revision {
            return Err(Refusal::Outdated);
        }
        let former = room.name.clone();
        let pin = self.apply(&seat.session.caller, &mut room, change).await?;
        let (rooms, id, by) = (self.clone(), seat.room, author(seat.user()));
        to_its_end(async move {
            rooms.0.store.settle_room(room, pin, None).await?;
            let room = rooms.reread(id).await?;
            if room.name != former {
                rooms.tell(id, room.kind, by, System::Renamed { name: room.name.clone() }).await;
            }
            Ok(room)
        })
        .await
    }

    /// Puts a room away, or takes it out again.
    ///
    /// # Errors
    /// `forbidden`, `conflict` (it is so already), `not_found`, `internal`.
    pub async fn archive(&self, seat: &Seat, archived: bool) -> Result<Room, Refusal> {
        seat.permit(Action::ArchiveRoom)?;
        if !seat.kind.is_made_by_people() {
            return Err(Refusal::Forbidden { action: Action::ArchiveRoom });
        }
        if seat.rules.archived == archived {
            return Err(Refusal::Taken("This room is so already."));
        }
        let (rooms, id) = (self.clone(), seat.room);
        let at = archived.then(Time::now);
        to_its_end(async move {
            rooms.0.store.archive_room(id, at, None).await?;
            rooms.reread(id).await
        })
        .await
    }

    /// Makes a member the owner in one's place; one is an admin after that.
    ///
    /// # Errors
    /// `forbidden`, `bad_request` (`userId`: they are it already), `not_found` (no such member), `internal`.
    pub async fn transfer(&self, seat: &Seat, to: UserId) -> Result<(), Refusal> {
        seat.permit(Action::TransferRoom)?;
        if !seat.kind.is_made_by_people() {
            return Err(Refusal::Forbidden { action: Action::TransferRoom });
        }
        match self.0.store.membership(seat.room, to).await? {
            Membership::Member(Role::Owner) => {
                return Err(Refusal::bad_request("userId", "This person owns the room already."));
            }
            Membership::Member(_) => {}
            _ => return Err(Refusal::NotFound),
        }
        let (rooms, room, kind, by) = (self.clone(), seat.room, seat.kind, author(seat.user()));
        to_its_end(async move {
            rooms.give(room, to).await?;
            if let Some(user) = rooms.author(to).await? {
                rooms.tell(room, kind, by, System::OwnerChanged { user }).await;
            }
            Ok(())
        })
        .await
    }

    /// Deletes a room with all that is in it. Whoever is there is put out.
    ///
    /// # Errors
    /// `forbidden`, `conflict` (it has recordings: they have to be deleted first), `internal`.
    pub async fn delete(&self, seat: &Seat) -> Result<(), Refusal> {
        seat.permit(Action::DeleteRoom)?;
        if !seat.kind.is_made_by_people() {
            return Err(Refusal::Forbidden { action: Action::DeleteRoom });
        }
        self.raze(seat.room).await
    }

    /// Finds heirs for the rooms of somebody who goes for good: the highest in rank, and of those the first to join. A room that nobody
    /// else belongs to is deleted; with recordings it is put away.
    ///
    /// # Errors
    /// `internal`.
    pub async fn bequeath(&self, owner: UserId) -> Result<(), Refusal> {
        for (room, heir) in self.0.store.heirs(owner).await? {
            match heir {
                Some(heir) => self.give(room, heir).await?,
                None => match self.raze(room).await {
                    Err(Refusal::Taken(_)) => {
                        self.0.store.archive_room(room, Some(Time::now()), None).await?;
                    }
                    other => other?,
                },
            }
        }
        Ok(())
    }

    /// Public rooms as somebody looks for them, newest first. `limit` is at most [`LIST_LIMIT`].
    ///
    /// # Errors
    /// `bad_request` (`limit`, `query`), `internal`.
    pub async fn directory(&self, caller: &Caller, wanted: Wanted, limit: u32) -> Result<Vec<Listed>, Refusal> {
        check_limit(limit)?;
        if wanted.query.as_ref().is_some_and(|text| text.chars().count() > QUERY_LIMIT || text.contains('\0')) {
            let why = format!("What is looked for has up to {QUERY_LIMIT} characters.");
            return Err(Refusal::bad_request("query", why));
        }
        let query = wanted.query.map(|text| text.trim().to_owned()).filter(|text| !text.is_empty());
        if wanted.category.as_ref().is_some_and(|it| !self.0.config.categories.contains(it)) {
            return Ok(Vec::new());
        }
        let (named, wanted) = (self.0.config.clusters.are_named(), Wanted { query, ..wanted });
        let found = self.0.store.directory_of(&caller.cluster, named, &wanted, limit).await?;
        let lobby = self.lobby();
        Ok(found.into_iter().map(|(room, members)| lobby.listed(room, members)).collect())
    }

    /// The rooms that somebody belongs to, newest first, and what they are there. `limit` is at most [`LIST_LIMIT`].
    ///
    /// # Errors
    /// `bad_request` (`limit`), `internal`.
    pub async fn mine(
        &self,
        caller: &Caller,
        before: Option<RoomId>,
        limit: u32,
    ) -> Result<Vec<(Listed, Role)>, Refusal> {
        check_limit(limit)?;
        let found = self.0.store.rooms_of(caller.user.id, before, limit).await?;
        let lobby = self.lobby();
        Ok(found.into_iter().map(|(room, role, members)| (lobby.listed(room, members), role)).collect())
    }

    /// The categories of this server.
    pub fn categories(&self) -> &[String] {
        &self.0.config.categories
    }

    /// A room as it stands in the database, made known to those who are there. For other nodes it is read again there.
    pub(super) async fn reread(&self, id: RoomId) -> Result<Room, Refusal> {
        let room = self.reread_here(id).await?;
        self.0.bus.tell_nodes(|| PeerWord::Door(id));
        Ok(room)
    }

    /// The same for this node alone.
    pub(super) async fn reread_here(&self, id: RoomId) -> Result<Room, Refusal> {
        let record = self.record(id).await?;
        if self.settle_live(&record.room) {
            self.put_out_the_young(&record.room).await?;
        }
        Ok(record.room)
    }

    /// A room with people inside is like that from now on. Whether it is for adults and was not before.
    fn settle_live(&self, room: &Room) -> bool {
        let mut lobby = self.lobby();
        let live = lobby.rooms.get_mut(&room.id).filter(|live| live.record.room.revision <= room.revision);
        let Some(live) = live else { return false };
        let is_for_adults = |room: &Room| room.settings.content_level.is_for_adults();
        let was_for_adults = is_for_adults(&live.record.room);
        live.record.room = room.clone();
        let present: Vec<UserId> = live.people.keys().copied().collect();
        for user in present {
            self.end_what_they_may_not(&mut lobby, room.id, user);
        }
        is_for_adults(room) && !was_for_adults
    }

    /// A room is for adults now: whoever is not known as one leaves it, and comes back when they are.
    async fn put_out_the_young(&self, room: &Room) -> Result<(), Refusal> {
        let young = self.0.store.unverified_members(room.id).await?;
        let mut lobby = self.lobby();
        for user in young {
            if lobby.standing_of(room.id, user).is_some_and(|standing| standing.site < SiteRole::Moderator) {
                self.turn_out_here(&mut lobby, room.id, user, Some("This room is for adults now.".to_owned()));
            }
        }
        Ok(())
    }

    /// Refuses (`trust_too_low`) who has not earned that much. Moderators of the site need not.
    pub(super) async fn demand_trust(&self, caller: &Caller, needed: Trust) -> Result<(), Refusal> {
        if needed == Trust::New || can(caller.standing(), Action::PassLimits) {
            return Ok(());
        }
        let conduct = self.0.store.conduct(caller.user.id).await?.ok_or(Refusal::NotFound)?;
        let earned = conduct.earned(Time::now());
        if earned.level < needed { Err(Refusal::TrustTooLow { needed, earned }) } else { Ok(()) }
    }

    /// What somebody has earned.
    ///
    /// # Errors
    /// `not_found`, `internal`.
    pub async fn earned(&self, user: UserId) -> Result<Earned, Refusal> {
        let conduct = self.0.store.conduct(user).await?.ok_or(Refusal::NotFound)?;
        Ok(conduct.earned(Time::now()))
    }

    async fn give(&self, room: RoomId, to: UserId) -> Result<(), Refusal> {
        let rooms = self.clone();
        to_its_end(async move {
            // One after the other: whoever owned it is known when the next one gives it away.
            let _one = rooms.0.doors.lock().await;
            let former = rooms.0.store.owner_of(room).await?;
            rooms.0.store.give_room(room, to, None).await?;
            for user in former.into_iter().chain([to]) {
                rooms.role_changed(room, user).await?;
            }
            Ok(())
        })
        .await
    }

    /// Somebody's role in a room is read again, by whatever node they are there.
    async fn role_changed(&self, room: RoomId, user: UserId) -> Result<(), Refusal> {
        self.lobby().role_changes += 1;
        self.0.bus.tell_nodes(|| PeerWord::Role { room, user });
        match self.settle_role(room, user).await {
            Ok(()) | Err(Refusal::NotInRoom | Refusal::Removed) => Ok(()),
            Err(refusal) => Err(refusal),
        }
    }

    async fn raze(&self, id: RoomId) -> Result<(), Refusal> {
        let (rooms, call) = (self.clone(), self.record(id).await?.call);
        to_its_end(async move {
            if !rooms.0.store.delete_room(id).await? {
                return Err(Refusal::Taken("This room has recordings. Delete them first."));
            }
            rooms.room_is_gone(id);
            rooms.lobby().orders.remove(&call);
            // Other nodes see that there is none.
            rooms.0.bus.tell_nodes(|| PeerWord::Door(id));
            Ok(())
        })
        .await
    }

    /// There is no such room any more: whoever is there is put out.
    pub(super) fn room_is_gone(&self, id: RoomId) {
        let mut lobby = self.lobby();
        self.ring_nobody(id);
        let Some(live) = lobby.rooms.get(&id) else { return };
        let call = live.record.call;
        let present: Vec<UserId> = live.people.keys().copied().collect();
        for user in present {
            self.turn_out_here(&mut lobby, id, user, Some("The room was deleted.".to_owned()));
        }
        lobby.orders.remove(&call);
    }

    /// Puts somebody out of a room where they sit by this node, and tells them so first.
    fn turn_out_here(&self, lobby: &mut Lobby, room: RoomId, user: UserId, reason: Option<String>) {
        self.0.bus.publish_here(&Event::to_user(room, user, Fact::Removed { reason }));
        for session in lobby.sessions_of(room, user) {
            self.rise_in(lobby, session, room, LeftReason::Removed);
        }
    }

    /// Puts somebody out of a room where they sit, and tells them so first: after this it is over for them.
    pub(super) fn turn_out(&self, lobby: &mut Lobby, room: RoomId, user: UserId, reason: Option<String>) {
        self.ring_no_more(room, user);
        self.0.bus.publish(&Event::to_user(room, user, Fact::Removed { reason }));
        for session in lobby.sessions_of(room, user) {
            self.rise_in(lobby, session, room, LeftReason::Removed);
        }
        self.0.bus.tell_nodes(|| PeerWord::PutOut { room, user, reason: LeftReason::Removed });
    }

    fn most_participants(&self, kind: RoomKind) -> u32 {
        let config = &self.0.config;
        if kind == RoomKind::Call { config.max_participants } else { config.max_present }
    }

    /// Makes a room as wanted, if it may be so.
    async fn apply(&self, caller: &Caller, room: &mut Room, change: RoomChange) -> Result<Pin, Refusal> {
        if let Some(name) = change.name {
            let name = name.trim();
            if !(1..=NAME_LIMIT).contains(&name.chars().count()) || name.chars().any(char::is_control) {
                let why = format!("A room's name has 1 to {NAME_LIMIT} characters.");
                return Err(Refusal::bad_request("name", why));
            }
            name.clone_into(&mut room.name);
        }
        if let Some(seats) = change.max_participants {
            let most = self.most_participants(room.kind);
            if !(1..=most).contains(&seats) {
                return Err(Refusal::bad_request("maxParticipants", format!("Such a room has 1 to {most} seats.")));
            }
            room.max_participants = seats;
        }
        if let Some(slug) = change.slug {
            room.slug = slug.map(checked_slug).transpose()?;
        }
        room.visibility = change.visibility.unwrap_or(room.visibility);
        if let Some(category) = change.category {
            if category.as_ref().is_some_and(|it| !self.0.config.categories.contains(it)) {
                return Err(Refusal::bad_request("category", "This server has no such category."));
            }
            room.settings.category = category;
        }
        if let Some(level) = change.content_level {
            if !caller.cluster.shows(level) {
                let most = caller.cluster.max_content_level.as_str();
                return Err(Refusal::bad_request("contentLevel", format!("Rooms here go up to the level {most}.")));
            }
            if level.is_for_adults() && self.0.store.age_level(caller.user.id).await? < Some(AgeLevel::Verified) {
                let why = "Rooms of this level are for those whose age is verified, and made by them.";
                return Err(Refusal::bad_request("contentLevel", why));
            }
            room.settings.content_level = level;
        }
        settle_numbers(room, &change.description, change.retention, change.slow_mode_s)?;
        let settings = &mut room.settings;
        settings.min_trust_to_join = change.min_trust_to_join.unwrap_or(settings.min_trust_to_join);
        settings.min_trust_to_post = change.min_trust_to_post.unwrap_or(settings.min_trust_to_post);
        settings.join_requests = change.join_requests.unwrap_or(settings.join_requests);
        let permits = &mut settings.permits;
        permits.post = change.post.unwrap_or(permits.post);
        permits.call = change.call.unwrap_or(permits.call);
        permits.share = change.share.unwrap_or(permits.share);
        permits.invite = change.invite.unwrap_or(permits.invite);
        if let Some(role) = change.record {
            if role < Role::Moderator {
                let why = "Who records is a moderator of the room at least.";
                return Err(Refusal::bad_request("permits.record", why));
            }
            permits.record = role;
        }
        match change.pin {
            None => Ok(Pin::Same),
            Some(None) => Ok(Pin::Gone),
            Some(Some(pin)) => pins::hash(room.id, pin).await.map(Pin::New),
        }
    }
}

fn settle_numbers(
    room: &mut Room,
    description: &Option<String>,
    retention: Option<Retention>,
    slow_mode_s: Option<u32>,
) -> Result<(), Refusal> {
    if let Some(text) = description {
        let text = text.trim();
        if text.chars().count() > DESCRIPTION_LIMIT || text.contains('\0') {
            let why = format!("A description has up to {DESCRIPTION_LIMIT} characters.");
            return Err(Refusal::bad_request("description", why));
        }
        text.clone_into(&mut room.settings.description);
    }
    if let Some(retention) = retention {
        if retention == Retention::None {
            let why = "Only what strangers write in a match is never stored.";
            return Err(Refusal::bad_request("retention", why));
        }
        room.settings.retention = retention;
    }
    if let Some(seconds) = slow_mode_s {
        if seconds > SLOWEST_S {
            let why = format!("Slow mode has up to {SLOWEST_S} seconds.");
            return Err(Refusal::bad_request("slowModeS", why));
        }
        room.settings.slow_mode_s = seconds;
    }
    Ok(())
}

fn checked_slug(slug: String) -> Result<String, Refusal> {
    let plain = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
    if SLUG.contains(&slug.len()) && slug.bytes().all(plain) && !slug.starts_with('-') && !slug.ends_with('-') {
        return Ok(slug);
    }
    Err(Refusal::bad_request("slug", "A slug has 3 to 64 small letters, digits and dashes, no dash at its ends."))
}

/// Refuses (`bad_request`, field `limit`) pages that are too long.
pub(super) fn check_limit(limit: u32) -> Result<(), Refusal> {
    if (1..=LIST_LIMIT).contains(&limit) {
        return Ok(());
    }
    Err(Refusal::bad_request("limit", format!("A page has 1 to {LIST_LIMIT} entries.")))
}
