//! Direct messages: rooms of two or a few people, which nobody else finds.
//!
//! A stranger's is a request: until it is accepted, whom it is for has no seat in the room, so that nothing shows whether they are
//! there, read or type, and nobody can ring them. No refusal tells a block from a setting or from a name that nobody has.

use std::time::Duration;

use super::{Rooms, telling::author, to_its_end};
use crate::domain::{
    Action, CallId, Caller, Door, Notice, Refusal, Room, RoomId, RoomKind, Time, Told, Trust, UserId, Visibility, can,
    direct::{Direct, DirectFrom, DirectRequest, DirectStanding, REQUEST_MESSAGES, Stirred},
    feature::Feature,
    message::System,
    peer::PeerWord,
    room::LeftReason,
};
use crate::limit::Rule;
use crate::store::{Invited, RoomRecord};

/// People in a group, oneself included.
const GROUP_LIMIT: usize = 10;
/// The longest name of a group, in characters.
const NAME_LIMIT: usize = 100;
/// Direct rooms that one page has at most.
pub const DIRECTS_LIMIT: u32 = 100;
/// In what time requests are counted.
const DAY: Duration = Duration::from_secs(24 * 3600);
/// Requests a day that nobody has accepted, of new people: enough to find company, too few to advertise.
const REQUESTS_NEW: u32 = 5;
/// The same for everybody else.
const REQUESTS_KNOWN: u32 = 30;

impl Rooms {
    /// The direct room of the caller and somebody else: made if there is none. Whether it is new. Whoever had a request of the other
    /// one accepts it by this.
    ///
    /// # Errors
    /// `forbidden`, `rate_limited`, `bad_request` (`userId`: oneself), `not_found` (nobody of that name, or nobody whom the caller
    /// may write to), `internal`.
    pub async fn open_direct(&self, caller: &Caller, other: UserId) -> Result<(Direct, bool), Refusal> {
        let (store, user) = (&self.0.store, caller.user.id);
        if user == other {
            return Err(Refusal::bad_request("userId", "You cannot write to yourself."));
        }
        self.permit_direct(caller)?;
        if store.are_blocked(user, other).await? {
            return Err(Refusal::NotFound);
        }
        if let Some(room) = store.direct_of([user, other]).await? {
            self.take_up(room, user).await?;
            return Ok((self.direct(caller, room).await?, false));
        }
        let standing = self.standing_for(caller, other).await?;
        let record = direct_room(RoomKind::Dm, String::new(), 2, user);
        let (mine, theirs) = (itself(user), Invited { user: other, standing, by: Some(user) });
        let (rooms, made) = (self.clone(), record.room.id);
        let room =
            to_its_end(
                async move { Ok(rooms.0.store.create_direct(&record, Some([user, other]), &[mine, theirs]).await?) },
            )
            .await?;
        if room != made {
            // The other one was first.
            self.take_up(room, user).await?;
        }
        Ok((self.direct(caller, room).await?, room == made))
    }

    /// Makes a group. Who does not know the caller is asked first.
    ///
    /// # Errors
    /// `forbidden`, `rate_limited`, `bad_request` (`name`, `userIds`), `not_found` (nobody of that name among them, or nobody whom
    /// the caller may write to), `internal`.
    pub async fn create_group(
        &self,
        caller: &Caller,
        name: Option<String>,
        mut others: Vec<UserId>,
    ) -> Result<Direct, Refusal> {
        let (store, user) = (&self.0.store, caller.user.id);
        self.permit_direct(caller)?;
        let name = checked_name(name.as_deref().unwrap_or_default())?;
        others.retain(|other| *other != user);
        others.sort_unstable();
        others.dedup();
        if !(1..GROUP_LIMIT).contains(&others.len()) {
            let why = format!("A group has 2 to {GROUP_LIMIT} people, and you are one of them.");
            return Err(Refusal::bad_request("userIds", why));
        }
        let mut people = vec![itself(user)];
        for other in others {
            if store.are_blocked(user, other).await? {
                return Err(Refusal::NotFound);
            }
            let standing = self.standing_for(caller, other).await?;
            people.push(Invited { user: other, standing, by: Some(user) });
        }
        let record = direct_room(RoomKind::GroupDm, name, GROUP_LIMIT, user);
        let room = record.room.id;
        let rooms = self.clone();
        to_its_end(async move { Ok(rooms.0.store.create_direct(&record, None, &people).await?) }).await?;
        self.tell_group(room).await?;
        self.direct(caller, room).await
    }

    /// Brings somebody into a group. Who does not know the caller is asked first.
    ///
    /// # Errors
    /// `forbidden`, `rate_limited`, `bad_request` (`roomId`: a dm stays one; `userId`: the group is full), `not_found` (no such
    /// group, or nobody whom the caller may write to), `internal`.
    pub async fn add_to_group(&self, caller: &Caller, room: RoomId, other: UserId) -> Result<Direct, Refusal> {
        self.permit_direct(caller)?;
        self.group(caller, room).await?;
        let store = &self.0.store;
        if store.are_blocked(caller.user.id, other).await? {
            return Err(Refusal::NotFound);
        }
        let already = store.direct_standing(room, other).await?.is_some_and(|it| it != DirectStanding::Left);
        if !already {
            // Who has left a group is asked before they are in it again.
            let left = store.direct_standing(room, other).await?.is_some();
            let standing = self.standing_for(caller, other).await?;
            let standing = if left { DirectStanding::Pending } else { standing };
            let new = Invited { user: other, standing, by: Some(caller.user.id) };
            if store.add_to_direct(room, new, GROUP_LIMIT, Time::now()).await?.is_none() {
                return Err(Refusal::bad_request("userId", format!("A group has up to {GROUP_LIMIT} people.")));
            }
            // Who is asked first says so by joining.
            if standing == DirectStanding::Accepted
                && let Some(user) = self.author(other).await?
            {
                self.tell(room, RoomKind::GroupDm, author(&caller.user), System::Added { user }).await;
            }
            self.tell_group(room).await?;
        }
        self.direct(caller, room).await
    }

    /// Gives a group another name. `seen`: its revision, as whoever asks saw it; `None`: whatever it is.
    ///
    /// # Errors
    /// `feature_off`, `bad_request` (`roomId`: a dm has no name; `name`), `not_found`, `precondition_failed` (somebody was first),
    /// `internal`.
    pub async fn rename_group(
        &self,
        caller: &Caller,
        room: RoomId,
        name: &str,
        seen: Option<u32>,
    ) -> Result<Direct, Refusal> {
        caller.demand(Feature::DirectMessages)?;
        let former = self.group(caller, room).await?.room.name;
        let name = checked_name(name)?;
        if !self.0.store.rename_direct(room, &name, seen).await? {
            return Err(Refusal::Outdated);
        }
        if name != former {
            self.tell(room, RoomKind::GroupDm, author(&caller.user), System::Renamed { name }).await;
        }
        self.tell_group(room).await?;
        self.direct(caller, room).await
    }

    /// Leaves a group. A dm cannot be left: who wants to hear no more of somebody blocks them.
    ///
    /// # Errors
    /// `bad_request` (`roomId`: a dm), `not_found`, `internal`.
    pub async fn leave_group(&self, caller: &Caller, room: RoomId) -> Result<(), Refusal> {
        self.group(caller, room).await?;
        let (rooms, user, by) = (self.clone(), caller.user.id, author(&caller.user));
        to_its_end(async move {
            let from = [DirectStanding::Accepted];
            let left = DirectStanding::Left;
            let has_left = rooms.0.store.set_direct_standing(room, user, &from, left, Time::now()).await?;
            rooms.take_seats(room, user);
            if has_left {
                rooms.tell_of_member(room, RoomKind::GroupDm, by, System::Left).await;
            }
            rooms.tell_group(room).await
        })
        .await
    }

    /// The direct rooms that somebody takes part in, those stirred last first; those behind `after`, if it is given.
    ///
    /// # Errors
    /// `bad_request` (`limit`), `internal`.
    pub async fn directs(
        &self,
        caller: &Caller,
        after: Option<Stirred>,
        limit: u32,
    ) -> Result<(Vec<Direct>, Option<Stirred>), Refusal> {
        let (page, next) = self.page(caller, DirectStanding::Accepted, after, limit).await?;
        let mut directs = Vec::with_capacity(page.len());
        for stirred in page {
            // It may have gone since.
            if let Some(direct) = self.found_direct(caller.user.id, stirred.room).await? {
                directs.push(direct);
            }
        }
        Ok((directs, next))
    }

    /// The requests that somebody has not answered, those stirred last first; those behind `after`, if it is given. Not those of whom
    /// a block keeps from them.
    ///
    /// # Errors
    /// `bad_request` (`limit`), `internal`.
    pub async fn requests(
        &self,
        caller: &Caller,
        after: Option<Stirred>,
        limit: u32,
    ) -> Result<(Vec<DirectRequest>, Option<Stirred>), Refusal> {
        let (page, next) = self.page(caller, DirectStanding::Pending, after, limit).await?;
        let (store, user) = (&self.0.store, caller.user.id);
        let mut requests = Vec::with_capacity(page.len());
        for stirred in page {
            let Some(direct) = self.found_direct(user, stirred.room).await? else { continue };
            let Some(from) = store.direct_inviter(stirred.room, user).await? else { continue };
            if store.are_blocked(user, from).await? {
                continue;
            }
            let messages = store.messages(stirred.room, REQUEST_MESSAGES, None).await?.unwrap_or_default();
            let Direct { room, people, stirred_at, .. } = direct;
            requests.push(DirectRequest { room, from, people, messages, stirred_at });
        }
        Ok((requests, next))
    }

    /// A direct room, for whoever takes part in it or is asked to.
    ///
    /// # Errors
    /// `feature_off`, `not_found`, `internal`.
    pub async fn direct(&self, caller: &Caller, room: RoomId) -> Result<Direct, Refusal> {
        caller.demand(Feature::DirectMessages)?;
        self.found_direct(caller.user.id, room).await?.ok_or(Refusal::NotFound)
    }

    /// Somebody accepts a request: they take part from now on.
    ///
    /// # Errors
    /// `feature_off`, `not_found` (no such request), `internal`.
    pub async fn accept_request(&self, caller: &Caller, room: RoomId) -> Result<Direct, Refusal> {
        caller.demand(Feature::DirectMessages)?;
        let user = caller.user.id;
        let from = self.0.store.direct_inviter(room, user).await?.ok_or(Refusal::NotFound)?;
        if self.0.store.are_blocked(user, from).await? {
            return Err(Refusal::NotFound);
        }
        if !self.accept(room, user, &[DirectStanding::Pending]).await? {
            return Err(Refusal::NotFound);
        }
        self.direct(caller, room).await
    }

    /// Somebody declines a request; nobody is told. Who asked.
    ///
    /// # Errors
    /// `not_found` (no such request), `internal`.
    pub async fn decline_request(&self, caller: &Caller, room: RoomId) -> Result<UserId, Refusal> {
        let (store, user, from) = (&self.0.store, caller.user.id, [DirectStanding::Pending]);
        let by = store.direct_inviter(room, user).await?.ok_or(Refusal::NotFound)?;
        if !store.set_direct_standing(room, user, &from, DirectStanding::Declined, Time::now()).await? {
            return Err(Refusal::NotFound);
        }
        Ok(by)
    }

    /// Who asks with a request that somebody has not answered.
    ///
    /// # Errors
    /// `not_found` (no such request), `internal`.
    pub async fn asks(&self, caller: &Caller, room: RoomId) -> Result<UserId, Refusal> {
        let user = caller.user.id;
        if self.0.store.direct_standing(room, user).await? != Some(DirectStanding::Pending) {
            return Err(Refusal::NotFound);
        }
        self.0.store.direct_inviter(room, user).await?.ok_or(Refusal::NotFound)
    }

    /// Somebody declines all requests that they have. How many.
    ///
    /// # Errors
    /// `internal`.
    pub async fn decline_all(&self, caller: &Caller) -> Result<u64, Refusal> {
        Ok(self.0.store.decline_all(caller.user.id, Time::now()).await?)
    }

    /// From whom somebody takes direct messages.
    ///
    /// # Errors
    /// `not_found`, `internal`.
    pub async fn direct_from(&self, caller: &Caller) -> Result<DirectFrom, Refusal> {
        self.0.store.direct_from(caller.user.id).await?.ok_or(Refusal::NotFound)
    }

    /// Somebody takes direct messages from others from now on. What they have accepted stays.
    ///
    /// # Errors
    /// `internal`.
    pub async fn set_direct_from(&self, caller: &Caller, from: DirectFrom) -> Result<(), Refusal> {
        Ok(self.0.store.set_direct_from(caller.user.id, from).await?)
    }

    /// Two people are kept from each other from now on: neither sits in their dm any more, or rings the other. The other devices of
    /// whoever wanted it are told.
    ///
    /// # Errors
    /// `internal`.
    pub async fn part(&self, by: UserId, other: UserId) -> Result<(), Refusal> {
        self.ring_not_each_other(by, other);
        if let Some(room) = self.0.store.direct_of([by, other]).await? {
            for user in [by, other] {
                self.take_seats(room, user);
            }
        }
        self.0.bus.notify(&Notice::to_user(by, Told::Block { user: other, blocked: true }));
        Ok(())
    }

    /// Somebody blocks somebody else no more; their other devices are told.
    pub fn reconcile(&self, by: UserId, other: UserId) {
        self.0.bus.notify(&Notice::to_user(by, Told::Block { user: other, blocked: false }));
    }

    /// Refuses (`not_found`) somebody whom a block keeps from the other one of a dm.
    pub(super) async fn check_pair(&self, record: &RoomRecord, user: UserId) -> Result<(), Refusal> {
        if record.room.kind != RoomKind::Dm {
            return Ok(());
        }
        for (person, _) in self.0.store.direct_people(record.room.id).await? {
            if person.user_id != user && self.0.store.are_blocked(user, person.user_id).await? {
                return Err(Refusal::NotFound);
            }
        }
        Ok(())
    }

    fn permit_direct(&self, caller: &Caller) -> Result<(), Refusal> {
        if !can(caller.standing(), Action::CreateRoom) {
            return Err(Refusal::Forbidden { action: Action::CreateRoom });
        }
        caller.demand(Feature::DirectMessages)?;
        self.0.limits.check(Rule::CreateRoom, caller)
    }

    /// What somebody whom the caller writes to is to the room: they take part if they know the caller, else they are asked.
    async fn standing_for(&self, caller: &Caller, other: UserId) -> Result<DirectStanding, Refusal> {
        let store = &self.0.store;
        let from = store.direct_from(other).await?.ok_or(Refusal::NotFound)?;
        let knows = from != DirectFrom::Nobody && store.share_a_room(caller.user.id, other).await?;
        match from {
            DirectFrom::Everyone | DirectFrom::SharesRoom if knows => Ok(DirectStanding::Accepted),
            DirectFrom::Everyone => {
                self.check_daily(caller).await?;
                Ok(DirectStanding::Pending)
            }
            DirectFrom::SharesRoom | DirectFrom::Nobody => Err(Refusal::NotFound),
        }
    }

    /// So many requests a day, on all nodes together.
    async fn check_daily(&self, caller: &Caller) -> Result<(), Refusal> {
        if self.0.limits.are_not_for(caller) {
            return Ok(());
        }
        let (now_ms, day_ms) = (Time::now().as_ms(), i64::try_from(DAY.as_millis()).unwrap_or(i64::MAX));
        let conduct = self.0.store.conduct(caller.user.id).await?.ok_or(Refusal::NotFound)?;
        let limit = match conduct.earned(Time::now()).level {
            Trust::New => REQUESTS_NEW,
            Trust::Established | Trust::Trusted => REQUESTS_KNOWN,
        };
        let (number, first) = self.0.store.requests_since(caller.user.id, Time::from_ms(now_ms - day_ms)).await?;
        if number < limit {
            return Ok(());
        }
        let free_ms = first.map_or(day_ms, |first| first.as_ms() + day_ms - now_ms);
        Err(Refusal::RateLimited { limit: "messageRequest", retry_after_ms: u64::try_from(free_ms).unwrap_or(0) })
    }

    /// Somebody writes to whom they had a request of, whether they declined it before or not.
    async fn take_up(&self, room: RoomId, user: UserId) -> Result<(), Refusal> {
        self.accept(room, user, &[DirectStanding::Pending, DirectStanding::Declined]).await.map(drop)
    }

    async fn accept(&self, room: RoomId, user: UserId, from: &[DirectStanding]) -> Result<bool, Refusal> {
        let accepted = DirectStanding::Accepted;
        let is_new = self.0.store.set_direct_standing(room, user, from, accepted, Time::now()).await?;
        if is_new {
            let kind = self.0.store.room(room).await?.map(|record| record.room.kind);
            if let Some((kind, by)) = kind.zip(self.author(user).await?) {
                self.tell_of_member(room, kind, by, System::Joined).await;
            }
            self.tell_group(room).await?;
        }
        Ok(is_new)
    }

    /// The caller's group.
    async fn group(&self, caller: &Caller, room: RoomId) -> Result<RoomRecord, Refusal> {
        let record = self.0.store.room(room).await?.ok_or(Refusal::NotFound)?;
        let standing = self.0.store.direct_standing(room, caller.user.id).await?;
        match record.room.kind {
            _ if standing != Some(DirectStanding::Accepted) => Err(Refusal::NotFound),
            RoomKind::GroupDm => Ok(record),
            _ => Err(Refusal::bad_request("roomId", "A conversation of two stays what it is.")),
        }
    }

    /// Takes all seats of somebody in a direct room, and rings them there no more.
    fn take_seats(&self, room: RoomId, user: UserId) {
        self.ring_no_more(room, user);
        self.0.bus.tell_nodes(|| PeerWord::PutOut { room, user, reason: LeftReason::Left });
        let mut lobby = self.lobby();
        for session in lobby.sessions_of(room, user) {
            self.rise_in(&mut lobby, session, room, LeftReason::Left);
        }
    }

    async fn page(
        &self,
        caller: &Caller,
        standing: DirectStanding,
        after: Option<Stirred>,
        limit: u32,
    ) -> Result<(Vec<Stirred>, Option<Stirred>), Refusal> {
        caller.demand(Feature::DirectMessages)?;
        if !(1..=DIRECTS_LIMIT).contains(&limit) {
            return Err(Refusal::bad_request("limit", format!("A page has 1 to {DIRECTS_LIMIT} conversations.")));
        }
        let page = self.0.store.directs(caller.user.id, standing, after, limit).await?;
        let is_full = page.len() == limit as usize;
        let next = page.last().copied().filter(|_| is_full);
        Ok((page, next))
    }

    async fn found_direct(&self, user: UserId, room: RoomId) -> Result<Option<Direct>, Refusal> {
        let store = &self.0.store;
        let request = match store.direct_standing(room, user).await? {
            Some(DirectStanding::Accepted) => false,
            Some(DirectStanding::Pending) => true,
            Some(DirectStanding::Declined | DirectStanding::Left) | None => return Ok(None),
        };
        let Some(record) = store.room(room).await? else { return Ok(None) };
        let people = store.direct_people(room).await?.into_iter().map(|(person, _)| person).collect();
        let last_message = store.messages(room, 1, None).await?.unwrap_or_default().pop();
        let stirred_at = last_message.as_ref().map_or(record.room.created_at, |last| last.created_at);
        Ok(Some(Direct { room: record.room, people, request, last_message, stirred_at }))
    }

    /// Tells everybody who takes part in a direct room, or is asked to, what it looks like now.
    async fn tell_group(&self, room: RoomId) -> Result<(), Refusal> {
        for (person, standing) in self.0.store.direct_people(room).await? {
            if standing != DirectStanding::Declined
                && let Some(direct) = self.found_direct(person.user_id, room).await?
            {
                self.0.bus.notify(&Notice::to_user(person.user_id, Told::Direct(Box::new(direct))));
            }
        }
        Ok(())
    }
}

fn itself(user: UserId) -> Invited {
    Invited { user, standing: DirectStanding::Accepted, by: None }
}

fn direct_room(kind: RoomKind, name: String, seats: usize, created_by: UserId) -> RoomRecord {
    let seats = u32::try_from(seats).unwrap_or(u32::MAX);
    let room = Room::new(kind, name, Visibility::Private, seats);
    RoomRecord { room, call: CallId::new(), created_by, door: Door::default() }
}

fn checked_name(name: &str) -> Result<String, Refusal> {
    let name = name.trim();
    if name.chars().count() > NAME_LIMIT || name.chars().any(char::is_control) {
        return Err(Refusal::bad_request("name", format!("A group's name has up to {NAME_LIMIT} characters.")));
    }
    Ok(name.to_owned())
}
