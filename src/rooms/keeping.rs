//! Keeping order among those who belong to a room: who they are, kicks, mutes, bans that end.

use super::{Rooms, members::check_reason, settings::check_limit, telling::author, to_its_end};
use crate::domain::{Action, Caller, Refusal, Role, RoomId, Seat, Time, UserId, can, message::System, peer::PeerWord};
use crate::store::{After, Belonging, Membership, Outcast};

/// The longest mute: four weeks. Longer is a matter for a ban.
const LONGEST_MUTE_MS: i64 = 28 * 24 * 3600 * 1000;

impl Rooms {
    /// Who belongs to a room, there or not, in the order in which they joined; and who of them is there now. Of an audience only those
    /// who keep order see more than who else does. `limit` is at most 100.
    ///
    /// # Errors
    /// `forbidden`, `bad_request` (`limit`), `internal`.
    pub async fn roster(
        &self,
        seat: &Seat,
        after: Option<After>,
        limit: u32,
    ) -> Result<Vec<(Belonging, bool)>, Refusal> {
        seat.permit(Action::ListMembers)?;
        check_limit(limit)?;
        let store = &self.0.store;
        let found = if seat.kind.is_for_an_audience() && !can(seat.standing(), Action::KickMember) {
            store.keepers(seat.room, after, limit).await?
        } else {
            store.roster(seat.room, after, limit).await?
        };
        let lobby = self.lobby();
        Ok(found.into_iter().map(|it| (lobby.is_seen(seat.room, it.user), it)).map(|(seen, it)| (it, seen)).collect())
    }

    /// Puts a member out, who may come back as anybody may.
    ///
    /// # Errors
    /// `forbidden` (also for whom one does not outrank), `bad_request` (`userId`: oneself; `reason`), `not_found`, `internal`.
    pub async fn kick(&self, seat: &Seat, user: UserId, reason: Option<String>) -> Result<(), Refusal> {
        self.permit_on(seat, user, Action::KickMember).await?;
        check_reason(reason.as_deref())?;
        let (rooms, room, kind, by) = (self.clone(), seat.room, seat.kind, author(seat.user()));
        to_its_end(async move {
            let has_left = rooms.0.store.end_membership(room, user).await?;
            rooms.turn_out(&mut rooms.lobby(), room, user, reason);
            if has_left && let Some(user) = rooms.author(user).await? {
                rooms.tell(room, kind, by, System::Kicked { user }).await;
            }
            Ok(())
        })
        .await
    }

    /// Takes a member's voice until then, or gives it back (`None`). Who is in the call leaves it.
    ///
    /// # Errors
    /// `forbidden` (also for whom one does not outrank), `bad_request` (`userId`: oneself; `until`), `not_found`, `internal`.
    pub async fn mute_member(&self, seat: &Seat, user: UserId, until: Option<Time>) -> Result<(), Refusal> {
        self.permit_on(seat, user, Action::MuteMember).await?;
        let now = Time::now();
        let fits = |at: &Time| *at > now && at.as_ms() - now.as_ms() <= LONGEST_MUTE_MS;
        if !until.as_ref().is_none_or(fits) {
            return Err(Refusal::bad_request("until", "A mute is over within four weeks."));
        }
        let (rooms, room) = (self.clone(), seat.room);
        to_its_end(async move {
            rooms.0.store.mute_member(room, user, until, None).await?;
            let mut lobby = rooms.lobby();
            lobby.role_changes += 1;
            if let Some(presence) = lobby.rooms.get_mut(&room).and_then(|room| room.people.get_mut(&user)) {
                presence.standing.muted_until = until;
                rooms.end_what_they_may_not(&mut lobby, room, user);
            }
            rooms.0.bus.tell_nodes(|| PeerWord::Role { room, user });
            Ok(())
        })
        .await
    }

    /// Keeps somebody out of the room until then, or for good (`None`).
    ///
    /// # Errors
    /// `forbidden` (also for whom one does not outrank), `bad_request` (`userId`: oneself; `reason`, `until`), `not_found`, `internal`.
    pub async fn ban_member(
        &self,
        seat: &Seat,
        user: UserId,
        reason: Option<String>,
        until: Option<Time>,
    ) -> Result<(), Refusal> {
        self.permit_on(seat, user, Action::RemoveMember).await?;
        check_reason(reason.as_deref())?;
        if until.is_some_and(|at| at <= Time::now()) {
            return Err(Refusal::bad_request("until", "This time is over already."));
        }
        let (rooms, room, kind, by) = (self.clone(), seat.room, seat.kind, author(seat.user()));
        // Of somebody who was not there the room learns nothing, not even a name.
        let was_there = matches!(self.0.store.membership(room, user).await?, Membership::Member(_));
        to_its_end(async move {
            rooms.expel_until(room, user, by.id, reason, until).await?;
            if was_there && let Some(user) = rooms.author(user).await? {
                rooms.tell(room, kind, by, System::Banned { user }).await;
            }
            Ok(())
        })
        .await
    }

    /// Who may not come back to a room now, the last first. `limit` is at most 100.
    ///
    /// # Errors
    /// `forbidden`, `bad_request` (`limit`), `internal`.
    pub async fn outcasts(&self, seat: &Seat, after: Option<After>, limit: u32) -> Result<Vec<Outcast>, Refusal> {
        seat.permit(Action::RemoveMember)?;
        check_limit(limit)?;
        Ok(self.0.store.outcasts(seat.room, after, limit).await?)
    }

    /// Lets somebody come back.
    ///
    /// # Errors
    /// `forbidden`, `not_found` (nobody kept them out), `internal`.
    pub async fn readmit(&self, seat: &Seat, user: UserId) -> Result<(), Refusal> {
        seat.permit(Action::RemoveMember)?;
        if self.0.store.readmit(seat.room, user).await? { Ok(()) } else { Err(Refusal::NotFound) }
    }

    /// What somebody is in a room; `None`: nothing.
    ///
    /// # Errors
    /// `not_found` (no such room, or a private one of others), `removed`, `internal`.
    pub async fn role_in(&self, caller: &Caller, room: RoomId) -> Result<Option<Role>, Refusal> {
        self.found(caller, room).await.map(|(_, role)| role)
    }
}
