//! Members: who they are, what those who keep order do to them, and acting in a room without a socket.

use std::sync::Arc;

use super::{Rooms, telling::author, to_its_end};
use crate::domain::{
    Action, Caller, Event, Fact, Member, Refusal, Role, RoomId, Seat, Session, SiteRole, Standing, Time, UserId,
    Visibility, message::System, peer::PeerWord, room::LeftReason,
};
use crate::store::{Footing, Membership};

/// The longest reason that a moderator may give, in characters.
const REASON_LIMIT: usize = 500;

impl Rooms {
    /// A seat for one request without a socket, for a member or a moderator of the site.
    ///
    /// # Errors
    /// `not_found` (no such room, or a private one of others), `removed`, `not_in_room`, `age_unverified`, `waiting`, `internal`.
    pub async fn visit(&self, caller: &Caller, room: RoomId) -> Result<Seat, Refusal> {
        let record = self.record(room).await?;
        self.check_cluster(caller, &record.room).await?;
        let role = match self.0.store.membership(room, caller.user.id).await? {
            Membership::Removed => return Err(Refusal::Removed),
            Membership::Member(role) => Some(role),
            Membership::None if caller.user.role >= SiteRole::Moderator => None,
            Membership::None if record.room.visibility == Visibility::Private => return Err(Refusal::NotFound),
            Membership::None => return Err(Refusal::NotInRoom),
        };
        if self.0.store.is_too_young(&record.room, &caller.user).await? {
            return Err(Refusal::AgeUnverified);
        }
        self.look_in(caller, &record, role)?;
        let session = Arc::new(Session::of_request(caller.clone()));
        let online = self.lobby().online(room);
        let Footing { muted_until, conduct } = self.0.store.footing(room, caller.user.id).await?;
        let (rules, earned) = (record.room.rules(), conduct.earned(Time::now()));
        Ok(Seat { session, room, kind: record.room.kind, role, online, rules, earned, muted_until })
    }

    /// Who is in a room now, up to 100 of them, first come first.
    ///
    /// # Errors
    /// `not_found` (no such room, or a private one of others), `removed`, `waiting`, `internal`.
    pub async fn members(&self, caller: &Caller, room: RoomId) -> Result<Vec<Member>, Refusal> {
        self.open_to(caller, room).await?;
        Ok(self.lobby().members(room))
    }

    /// Ends somebody's membership; their sockets leave the room. The owner stays owner.
    ///
    /// # Errors
    /// `not_found` (no such room, or a private one of others), `removed`, `internal`.
    pub async fn quit(&self, caller: &Caller, room: RoomId) -> Result<(), Refusal> {
        let kind = self.visible(caller, room).await?.room.kind;
        if kind.is_direct() {
            return self.leave_group(caller, room).await;
        }
        let (rooms, user, by) = (self.clone(), caller.user.id, author(&caller.user));
        to_its_end(async move {
            let has_left = rooms.0.store.end_membership(room, user).await?;
            {
                let mut lobby = rooms.lobby();
                rooms.ring_no_more(room, user);
                for session in lobby.sessions_of(room, user) {
                    rooms.rise_in(&mut lobby, session, room, LeftReason::Left);
                }
                rooms.0.bus.tell_nodes(|| PeerWord::PutOut { room, user, reason: LeftReason::Left });
            }
            if has_left {
                rooms.tell_of_member(room, kind, by, System::Left).await;
            }
            Ok(())
        })
        .await
    }

    /// Puts a member out of the room for good.
    ///
    /// # Errors
    /// `forbidden` (also for whom one does not outrank), `bad_request` (`userId`: oneself; `reason`), `not_found`,
    /// `internal`.
    pub async fn remove_member(&self, seat: &Seat, user: UserId, reason: Option<String>) -> Result<(), Refusal> {
        self.ban_member(seat, user, reason, None).await
    }

    /// Puts somebody out, as was found to be right.
    pub(super) async fn expel(
        &self,
        room: RoomId,
        user: UserId,
        by: UserId,
        reason: Option<String>,
    ) -> Result<(), Refusal> {
        self.expel_until(room, user, by, reason, None).await
    }

    /// The same for a time.
    pub(super) async fn expel_until(
        &self,
        room: RoomId,
        user: UserId,
        by: UserId,
        reason: Option<String>,
        until: Option<Time>,
    ) -> Result<(), Refusal> {
        let rooms = self.clone();
        to_its_end(async move {
            rooms.0.store.ban_member(room, user, by, reason.as_deref(), Time::now(), until).await?;
            let call = rooms.0.store.room(room).await?.map(|record| record.call);
            let mut lobby = rooms.lobby();
            if let Some(call) = call {
                rooms.keep_out(&mut lobby, room, call, user);
            }
            rooms.ring_no_more(room, user);
            // First the one whom it concerns: after this the room is over for them.
            rooms.0.bus.publish(&Event::to_user(room, user, Fact::Removed { reason }));
            for session in lobby.sessions_of(room, user) {
                rooms.rise_in(&mut lobby, session, room, LeftReason::Removed);
            }
            rooms.0.bus.tell_nodes(|| PeerWord::PutOut { room, user, reason: LeftReason::Removed });
            Ok(())
        })
        .await
    }

    /// Gives a member another role.
    ///
    /// # Errors
    /// `forbidden` (also for a role that is not below one's own, and for whom one does not outrank), `bad_request` (`userId`:
    /// oneself; `role`: owner), `not_found`, `internal`.
    pub async fn set_member_role(&self, seat: &Seat, user: UserId, role: Role) -> Result<(), Refusal> {
        const ACTION: Action = Action::SetMemberRole;
        self.permit_on(seat, user, ACTION).await?;
        if role == Role::Owner {
            return Err(Refusal::bad_request("role", "A room has one owner: who made it."));
        }
        if !seat.standing().outranks(Standing::of(Some(role), SiteRole::Member)) {
            return Err(Refusal::Forbidden { action: ACTION });
        }
        let (rooms, room, kind, by) = (self.clone(), seat.room, seat.kind, author(seat.user()));
        let is_new = self.0.store.membership(room, user).await? != Membership::Member(role);
        to_its_end(async move {
            rooms.0.store.set_member_role(room, user, role, None).await?;
            {
                let mut lobby = rooms.lobby();
                lobby.role_changes += 1;
                rooms.0.bus.tell_nodes(|| PeerWord::Role { room, user });
                if let Some(presence) = lobby.rooms.get_mut(&room).and_then(|room| room.people.get_mut(&user)) {
                    presence.set_role(role);
                    rooms.role_has_changed(&mut lobby, room, user);
                }
            }
            if is_new && let Some(user) = rooms.author(user).await? {
                rooms.tell(room, kind, by, System::RoleChanged { user, role }).await;
            }
            Ok(())
        })
        .await
    }

    /// Whether the one may do this to the other.
    pub(super) async fn permit_on(&self, seat: &Seat, user: UserId, action: Action) -> Result<(), Refusal> {
        let actor = seat.standing();
        seat.permit(action)?;
        if seat.kind.is_direct() {
            // Nobody is more than the others there.
            return Err(Refusal::Forbidden { action });
        }
        if user == seat.user().id {
            return Err(Refusal::bad_request("userId", "You cannot do this to yourself."));
        }
        let role = match self.0.store.membership(seat.room, user).await? {
            Membership::Member(role) => Some(role),
            // Who has just quit is not to come back either.
            Membership::None if action == Action::RemoveMember => None,
            Membership::None | Membership::Removed => return Err(Refusal::NotFound),
        };
        let person = self.0.store.user(user).await?.ok_or(Refusal::NotFound)?;
        if !actor.outranks(Standing::of(role, person.user.role)) {
            return Err(Refusal::Forbidden { action });
        }
        Ok(())
    }
}

/// Refuses (`bad_request`, field `reason`) what nobody would read.
pub(super) fn check_reason(reason: Option<&str>) -> Result<(), Refusal> {
    if reason.is_some_and(|text| text.chars().count() > REASON_LIMIT || text.contains('\0')) {
        return Err(Refusal::bad_request("reason", format!("A reason has up to {REASON_LIMIT} characters.")));
    }
    Ok(())
}
