//! What people have read, what they have not, and who is told.

use std::collections::{HashMap, HashSet};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::sync::Semaphore;

use super::typing::Typists;
use crate::bus::Bus;
use crate::domain::{
    Action, Caller, Event, Fact, MessageId, Notice, Refusal, RoomId, Seat, Time, Told, UserId,
    reading::{NotifyLevel, Receipt, Unread},
};
use crate::limit::{Limits, Rule};
use crate::presence::Presence;
use crate::store::Store;

/// Rooms that one page of what is unread has at most: each is counted on its own.
pub const UNREAD_LIMIT: u32 = 50;
/// In rooms with more members nobody is told what others have read.
const RECEIPTS_ROOM: u32 = 100;
/// How long receipts of a room wait for each other, so that a busy room tells one list and not each of them.
const COALESCED: Duration = Duration::from_secs(1);
/// The longest that somebody can mute a room: a year. Whoever wants more chooses the level `none`.
const MUTED_FOR: Duration = Duration::from_secs(366 * 24 * 3600);
/// Searches that run at once; others wait, so that they never take all connections.
const SEARCHES: usize = 4;

/// Reading in rooms: pointers, receipts, search, and who types. Clones share it.
#[derive(Clone)]
pub struct Reading(pub(super) Arc<Inner>);

pub(super) struct Inner {
    pub(super) store: Store,
    pub(super) bus: Bus,
    pub(super) limits: Limits,
    pub(super) presence: Presence,
    pub(super) typists: Typists,
    pub(super) searches: Semaphore,
    /// Whose receipts are still to be told, by room.
    waiting: Mutex<HashMap<RoomId, HashSet<UserId>>>,
}

impl Reading {
    /// Reading over this store and bus.
    pub fn new(store: Store, bus: Bus, limits: Limits, presence: Presence) -> Self {
        let (typists, waiting, searches) = (Typists::default(), Mutex::default(), Semaphore::new(SEARCHES));
        Self(Arc::new(Inner { store, bus, limits, presence, typists, searches, waiting }))
    }

    /// What a member has not read in a room. `None`: they are no member.
    ///
    /// # Errors
    /// `internal`.
    pub async fn unread(&self, room: RoomId, user: UserId) -> Result<Option<Unread>, Refusal> {
        Ok(self.0.store.unread(room, user).await?)
    }

    /// The same for whoever sits there.
    ///
    /// # Errors
    /// `not_in_room`, `internal`.
    pub async fn unread_here(&self, seat: &Seat) -> Result<Unread, Refusal> {
        self.unread(seat.room, seat.user().id).await?.ok_or(Refusal::NotInRoom)
    }

    /// What somebody has not read in all their rooms, in the order of the rooms' ids, after `after`. `limit` is at most
    /// [`UNREAD_LIMIT`].
    ///
    /// # Errors
    /// `bad_request` (`limit`), `internal`.
    pub async fn all_unread(&self, caller: &Caller, after: Option<RoomId>, limit: u32) -> Result<Vec<Unread>, Refusal> {
        if !(1..=UNREAD_LIMIT).contains(&limit) {
            return Err(Refusal::bad_request("limit", format!("A page has 1 to {UNREAD_LIMIT} rooms.")));
        }
        let all_levels = self.0.store.sees_all_levels(&caller.user).await?;
        Ok(self.0.store.all_unread(caller.user.id, all_levels, after, limit).await?)
    }

    /// Somebody has read a room up to that message. The pointer never goes back by this; others are told where that is done and the
    /// person wants it, and their own devices in any case.
    ///
    /// # Errors
    /// `forbidden`, `not_in_room`, `rate_limited`, `bad_request` (`messageId`), `internal`.
    pub async fn mark_read(&self, seat: &Seat, message: MessageId) -> Result<Unread, Refusal> {
        let user = self.permitted(seat)?;
        let moved = self.0.store.mark_read(seat.room, user, message, Time::now()).await.map_err(named)?;
        if moved {
            self.tell_receipt(seat.room, user);
        }
        self.told(seat, moved).await
    }

    /// Somebody wants that message, and those after it, to count as not read.
    ///
    /// # Errors
    /// `forbidden`, `not_in_room`, `rate_limited`, `bad_request` (`messageId`), `internal`.
    pub async fn mark_unread(&self, seat: &Seat, message: MessageId) -> Result<Unread, Refusal> {
        let user = self.permitted(seat)?;
        self.0.store.mark_unread(seat.room, user, message, Time::now()).await.map_err(named)?;
        self.told(seat, true).await
    }

    /// How somebody wants to hear of a room from now on.
    ///
    /// # Errors
    /// `forbidden`, `not_in_room`, `rate_limited`, `bad_request` (`mutedUntil`), `internal`.
    pub async fn set_notify(
        &self,
        seat: &Seat,
        level: NotifyLevel,
        muted_until: Option<Time>,
    ) -> Result<Unread, Refusal> {
        let (user, now) = (self.permitted(seat)?, Time::now());
        if muted_until.is_some_and(|until| until > now.after(MUTED_FOR)) {
            return Err(Refusal::bad_request("mutedUntil", "A room can be muted for a year at most."));
        }
        let muted_until = muted_until.filter(|until| *until > now);
        self.0.store.set_notify(seat.room, user, level, muted_until, now).await?;
        self.told(seat, true).await
    }

    /// How far the members of a small room have read; empty in others. Those who keep it to themselves, are invisible, or have
    /// blocked the person or are blocked by them, are not among them.
    ///
    /// # Errors
    /// `forbidden`, `internal`.
    pub async fn receipts(&self, seat: &Seat) -> Result<Vec<Receipt>, Refusal> {
        seat.permit(Action::ReadHistory)?;
        let mut receipts = self.public_receipts(seat.room).await?;
        let blocked: HashSet<UserId> = self.0.store.blocked_either_way(seat.user().id).await?.into_iter().collect();
        receipts.retain(|receipt| !blocked.contains(&receipt.user_id));
        Ok(receipts)
    }

    /// Whether others are told what somebody has read, from now on.
    ///
    /// # Errors
    /// `internal`.
    pub async fn keep_receipts_private(&self, caller: &Caller, private: bool) -> Result<(), Refusal> {
        Ok(self.0.store.keep_receipts_private(caller.user.id, private).await?)
    }

    /// Whether others are told what somebody has read.
    ///
    /// # Errors
    /// `internal`.
    pub async fn are_receipts_private(&self, caller: &Caller) -> Result<bool, Refusal> {
        Ok(self.0.store.presence(caller.user.id).await?.private_receipts)
    }

    /// Permission first, then the limit. Who it is.
    fn permitted(&self, seat: &Seat) -> Result<UserId, Refusal> {
        if seat.role.is_none() {
            return Err(Refusal::NotInRoom);
        }
        seat.permit(Action::ReadHistory)?;
        self.0.limits.check(Rule::Request, &seat.session.caller)?;
        Ok(seat.user().id)
    }

    /// What is unread now; the person's devices are told if it has changed.
    async fn told(&self, seat: &Seat, changed: bool) -> Result<Unread, Refusal> {
        let unread = self.unread_here(seat).await?;
        if changed {
            self.0.bus.notify(&Notice::to_user(seat.user().id, Told::Unread(unread.clone())));
        }
        Ok(unread)
    }

    /// Others are told soon, together with whatever else is read there meanwhile.
    fn tell_receipt(&self, room: RoomId, user: UserId) {
        let mut waiting = self.0.waiting.lock().unwrap_or_else(PoisonError::into_inner);
        let of_room = waiting.entry(room).or_default();
        if !of_room.insert(user) || of_room.len() > 1 {
            return;
        }
        let reading = self.clone();
        tokio::spawn(async move {
            tokio::time::sleep(COALESCED).await;
            let waiting = reading.0.waiting.lock().unwrap_or_else(PoisonError::into_inner).remove(&room);
            if let Err(error) = reading.tell_receipts(room, &waiting.unwrap_or_default()).await {
                tracing::warn!(?error, "receipts were not told");
            }
        });
    }

    async fn tell_receipts(&self, room: RoomId, of: &HashSet<UserId>) -> Result<(), Refusal> {
        let mut receipts = self.public_receipts(room).await?;
        receipts.retain(|receipt| of.contains(&receipt.user_id));
        // Whose receipts not everybody is to see come on their own, so that a session is asked of one list and no more.
        let mut to_all = Vec::with_capacity(receipts.len());
        for receipt in receipts {
            let unseen_by = self.0.store.blocked_in(room, receipt.user_id).await?;
            if unseen_by.is_empty() {
                to_all.push(receipt);
            } else {
                self.0.bus.publish(&Event { unseen_by, ..Event::ephemeral(room, Fact::Receipts(vec![receipt])) });
            }
        }
        if !to_all.is_empty() {
            self.0.bus.publish(&Event::ephemeral(room, Fact::Receipts(to_all)));
        }
        Ok(())
    }

    async fn public_receipts(&self, room: RoomId) -> Result<Vec<Receipt>, Refusal> {
        let mut receipts = self.0.store.receipts(room, RECEIPTS_ROOM).await?.unwrap_or_default();
        receipts.retain(|receipt| !self.0.presence.is_invisible(receipt.user_id));
        Ok(receipts)
    }
}

/// A message that is not there is the client's mistake in that field.
fn named(refusal: Refusal) -> Refusal {
    match refusal {
        Refusal::NotFound => Refusal::bad_request("messageId", "There is no such message in this room."),
        other => other,
    }
}
