//! The ways into a room: joining, links, asking, the PIN.

use ring::{
    digest,
    rand::{SecureRandom as _, SystemRandom},
};

use super::{LIST_LIMIT, Listed, Rooms, pins, settings::check_limit, telling::author};
use crate::domain::{
    Action, Caller, InviteId, Notice, Refusal, Role, RoomId, Seat, Time, Told, UserId, Visibility, can,
    case::Named,
    invite::{Invite, JoinRequest},
    message::System,
};
use crate::limit::Rule;
use crate::store::{Accepted, After, Asked, INVITES, Membership, RoomRecord};

/// The longest life of a link that ends, in milliseconds: a year.
const LONGEST_MS: i64 = 366 * 24 * 3600 * 1000;
/// The longest note with a request, in characters.
const NOTE_LIMIT: usize = 300;
/// How long somebody who was denied waits before they may ask again, in milliseconds: a day.
const AGAIN_MS: i64 = 24 * 3600 * 1000;

/// What somebody who wants in brings along.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Key<'a> {
    /// Nothing, or a PIN.
    Pin(Option<&'a str>),
    /// An invitation.
    Invited,
}

impl Rooms {
    /// Makes somebody a member of a room, by its PIN if it has one.
    ///
    /// # Errors
    /// `rate_limited`, `not_found`, `room_private`, `removed`, `room_archived`, `pin_required`, `pin_wrong`, `approval_required`,
    /// `trust_too_low`, `underage`, `internal`.
    pub async fn join_by(&self, caller: &Caller, room: RoomId, pin: Option<&str>) -> Result<Listed, Refusal> {
        self.0.limits.check(Rule::JoinRoom, caller)?;
        let (record, role, is_new) = self.admit_by(caller, room, Key::Pin(pin)).await?;
        if is_new && self.0.store.add_member(room, caller.user.id, role, Time::now()).await? {
            self.tell_of_member(room, record.room.kind, author(&caller.user), System::Joined).await;
        }
        let members = self.0.store.member_count(room).await?;
        Ok(self.lobby().listed(record.room, members))
    }

    /// Makes somebody a member of a room that has no PIN.
    ///
    /// # Errors
    /// As [`Self::join_by`].
    pub async fn join(&self, caller: &Caller, room: RoomId) -> Result<Listed, Refusal> {
        self.join_by(caller, room, None).await
    }

    /// Whether somebody may come into a room, and as what: the role that they have or would have, and whether they are new to it.
    pub(super) async fn admit_by(
        &self,
        caller: &Caller,
        id: RoomId,
        key: Key<'_>,
    ) -> Result<(RoomRecord, Role, bool), Refusal> {
        let record = self.record(id).await?;
        self.check_cluster(caller, &record.room).await?;
        let is_known = match self.0.store.membership(id, caller.user.id).await? {
            Membership::Removed => return Err(Refusal::Removed),
            Membership::Member(role) => Some(role),
            Membership::None => None,
        };
        let settings = &record.room.settings;
        if self.0.store.is_too_young(&record.room, &caller.user).await? {
            return Err(Refusal::AgeUnverified);
        }
        if let Some(role) = is_known {
            self.check_pair(&record, caller.user.id).await?;
            return Ok((record, role, false));
        }
        if record.room.kind.is_direct() {
            return Err(Refusal::NotFound);
        }
        let invited = key == Key::Invited;
        if record.room.visibility == Visibility::Private && !invited {
            let asks = settings.join_requests;
            return Err(if asks { Refusal::ApprovalRequired } else { Refusal::RoomPrivate });
        }
        if record.room.archived_at.is_some() {
            return Err(Refusal::RoomArchived);
        }
        self.demand_trust(caller, settings.min_trust_to_join).await?;
        let exempt = invited || can(caller.standing(), Action::PassLimits);
        if settings.join_requests && !exempt {
            return Err(Refusal::ApprovalRequired);
        }
        if settings.has_pin && !exempt {
            let Key::Pin(pin) = key else { return Err(Refusal::PinRequired) };
            self.try_pin(caller, id, pin).await?;
        }
        Ok((record, Role::Member, true))
    }

    async fn try_pin(&self, caller: &Caller, room: RoomId, pin: Option<&str>) -> Result<(), Refusal> {
        let pin = pin.ok_or(Refusal::PinRequired)?;
        self.0.limits.check(Rule::Pin, caller)?;
        let Some(hash) = self.0.store.pin_hash(room).await? else { return Ok(()) };
        if pins::is_right(room, pin.to_owned(), hash).await? { Ok(()) } else { Err(Refusal::PinWrong) }
    }

    /// Makes a link by which others come in. The code is told now and never again.
    ///
    /// # Errors
    /// `forbidden`, `room_archived`, `rate_limited`, `bad_request` (`roomId`, `expiresAt`, `maxUses`), `conflict` (too many),
    /// `internal`.
    pub async fn invite(
        &self,
        seat: &Seat,
        expires_at: Option<Time>,
        max_uses: Option<u32>,
    ) -> Result<(Invite, String), Refusal> {
        seat.permit(Action::Invite)?;
        if !seat.kind.is_made_by_people() {
            return Err(Refusal::bad_request("roomId", "Nobody can be invited into such a room."));
        }
        self.0.limits.check(Rule::Invite, &seat.session.caller)?;
        let now = Time::now();
        let fits = |at: &Time| *at > now && at.as_ms() - now.as_ms() <= LONGEST_MS;
        if !expires_at.as_ref().is_none_or(fits) {
            return Err(Refusal::bad_request("expiresAt", "A link that ends does so within a year from now."));
        }
        if max_uses == Some(0) {
            return Err(Refusal::bad_request("maxUses", "A link is good for one person at least."));
        }
        let maker = seat.user();
        let invite = Invite {
            invite_id: InviteId::new(),
            room_id: seat.room,
            created_by: Named { user_id: maker.id, nickname: maker.nickname.clone() },
            created_at: now,
            expires_at,
            max_uses,
            uses: 0,
        };
        let code = new_code()?;
        if !self.0.store.add_invite(&invite, &hash_of(&code)).await? {
            return Err(Refusal::Taken("This room has as many invitations as a room can have: revoke one first."));
        }
        tracing::info!(room = %seat.room, invite = %invite.invite_id, by = %maker.id, most = INVITES, "an invitation is made");
        Ok((invite, code))
    }

    /// The links of a room, newest first: all of them for who keeps order, one's own for others.
    ///
    /// # Errors
    /// `forbidden`, `internal`.
    pub async fn invites(&self, seat: &Seat) -> Result<Vec<Invite>, Refusal> {
        Ok(self.0.store.invites(seat.room, whose(seat)?).await?)
    }

    /// Revokes a link. Who came by it stays.
    ///
    /// # Errors
    /// `forbidden`, `not_found`, `internal`.
    pub async fn revoke_invite(&self, seat: &Seat, id: InviteId) -> Result<(), Refusal> {
        let known = self.0.store.remove_invite(seat.room, id, whose(seat)?).await?;
        if known { Ok(()) } else { Err(Refusal::NotFound) }
    }

    /// Makes somebody a member by a link.
    ///
    /// # Errors
    /// `rate_limited`, `not_found` (no such link), `invite_over`, `removed`, `room_archived`, `trust_too_low`, `internal`.
    pub async fn accept_invite(&self, caller: &Caller, code: &str) -> Result<Listed, Refusal> {
        self.0.limits.check(Rule::JoinRoom, caller)?;
        let hash = hash_of(code);
        let Some(room) = self.0.store.invited_to(&hash).await? else {
            self.0.limits.check(Rule::Pin, caller)?;
            return Err(Refusal::NotFound);
        };
        let (record, _, is_new) = self.admit_by(caller, room, Key::Invited).await?;
        if is_new {
            match self.0.store.accept_invite(&hash, room, caller.user.id, Time::now()).await? {
                Accepted::Over => return Err(Refusal::InviteOver),
                Accepted::Already => {}
                Accepted::Joined => {
                    self.tell_of_member(room, record.room.kind, author(&caller.user), System::Joined).await;
                }
            }
        }
        let members = self.0.store.member_count(room).await?;
        Ok(self.lobby().listed(record.room, members))
    }

    /// Asks to be let into a room whose members decide that.
    ///
    /// # Errors
    /// `rate_limited`, `not_found`, `room_private` (it takes no requests), `removed`, `room_archived`, `trust_too_low`, `conflict`
    /// (one is a member, or needs not ask), `bad_request` (`note`), `denied`, `internal`.
    pub async fn ask_to_join(&self, caller: &Caller, room: RoomId, note: Option<String>) -> Result<(), Refusal> {
        self.0.limits.check(Rule::JoinRoom, caller)?;
        match self.admit_by(caller, room, Key::Pin(None)).await {
            Err(Refusal::ApprovalRequired) => {}
            Err(refusal) => return Err(refusal),
            Ok((_, _, false)) => return Err(Refusal::Taken("You are a member already.")),
            Ok(_) => return Err(Refusal::Taken("Nobody has to ask here: just join.")),
        }
        let record = self.record(room).await?;
        if record.room.archived_at.is_some() {
            return Err(Refusal::RoomArchived);
        }
        self.demand_trust(caller, record.room.settings.min_trust_to_join).await?;
        let note = note.map(|text| text.trim().to_owned()).filter(|text| !text.is_empty());
        if note.as_ref().is_some_and(|text| text.chars().count() > NOTE_LIMIT || text.contains('\0')) {
            return Err(Refusal::bad_request("note", format!("A note has up to {NOTE_LIMIT} characters.")));
        }
        let now = Time::now();
        let again = Time::from_ms(now.as_ms() - AGAIN_MS);
        match self.0.store.ask_to_join(room, caller.user.id, note.as_deref(), now, again).await? {
            Asked::Waits => {
                let user = Named { user_id: caller.user.id, nickname: caller.user.nickname.clone() };
                let request = Box::new(JoinRequest { user, note, created_at: now });
                self.tell_keepers(room, &Told::JoinRequest { room, request }).await;
                Ok(())
            }
            // They have been told.
            Asked::StillWaits => Ok(()),
            Asked::Denied(at) => {
                let wait_ms = at.as_ms() + AGAIN_MS - now.as_ms();
                Err(Refusal::Denied { retry_after_ms: u64::try_from(wait_ms).unwrap_or(0) })
            }
        }
    }

    /// Tells those who keep order in a room, wherever they are. Who is not told sees it in the list of requests.
    async fn tell_keepers(&self, room: RoomId, told: &Told) {
        match self.0.store.keepers(room, None, LIST_LIMIT).await {
            Ok(keepers) => {
                for keeper in keepers {
                    self.0.bus.notify(&Notice::to_user(keeper.user, told.clone()));
                }
            }
            Err(error) => tracing::warn!(%error, "those who keep order could not be told"),
        }
    }

    /// Who asks to be let in, first come first. `limit` is at most 100.
    ///
    /// # Errors
    /// `forbidden`, `bad_request` (`limit`), `internal`.
    pub async fn join_requests(
        &self,
        seat: &Seat,
        after: Option<After>,
        limit: u32,
    ) -> Result<Vec<JoinRequest>, Refusal> {
        seat.permit(Action::AnswerRequests)?;
        check_limit(limit)?;
        Ok(self.0.store.join_requests(seat.room, after, limit).await?)
    }

    /// Lets in who asked, or not; they are told where they are connected.
    ///
    /// # Errors
    /// `forbidden`, `room_archived`, `not_found` (they do not ask), `internal`.
    pub async fn answer_request(&self, seat: &Seat, user: UserId, lets_in: bool) -> Result<(), Refusal> {
        seat.permit(Action::AnswerRequests)?;
        let room = seat.room;
        let was = self.0.store.membership(room, user).await?;
        if lets_in && was == Membership::Removed {
            return Err(Refusal::NotFound);
        }
        if !self.0.store.answer_request(room, user, lets_in, Time::now()).await? {
            return Err(Refusal::NotFound);
        }
        if lets_in
            && was == Membership::None
            && let Some(by) = self.author(user).await?
        {
            self.tell_of_member(room, seat.kind, by, System::Joined).await;
        }
        self.tell_keepers(room, &Told::JoinAnswered { room, user, by: seat.user().id, lets_in }).await;
        let retry_after_ms = u64::try_from(AGAIN_MS).unwrap_or(u64::MAX);
        let told = if lets_in { Told::Admitted { room } } else { Told::Denied { room, retry_after_ms } };
        self.0.bus.notify(&Notice::to_user(user, told));
        Ok(())
    }
}

/// Whose links somebody sees: everybody's (`None`), or their own.
fn whose(seat: &Seat) -> Result<Option<UserId>, Refusal> {
    if can(seat.standing(), Action::SeeInvites) {
        return Ok(None);
    }
    // Who may invite no more still sees what they made, and can take it back.
    match seat.permit(Action::Invite) {
        Err(refusal @ Refusal::Forbidden { .. }) if seat.role.is_none() => Err(refusal),
        _ => Ok(Some(seat.user().id)),
    }
}

/// 128 random bits in hexadecimal.
fn new_code() -> Result<String, Refusal> {
    let mut bytes = [0; 16];
    SystemRandom::new().fill(&mut bytes).map_err(|_| Refusal::Internal("no random numbers".to_owned()))?;
    Ok(format!("{:032x}", u128::from_be_bytes(bytes)))
}

/// What the database keeps of a code. Codes are random, so a fast hash is enough.
fn hash_of(code: &str) -> Vec<u8> {
    digest::digest(&digest::SHA256, code.as_bytes()).as_ref().to_vec()
}
