//! Calls that rang, as their people see them later; and those that ring on another node.

use std::collections::HashSet;

use super::{
    Rooms,
    ring::{Happening, is_to_come},
};
use crate::domain::{
    CallId, Caller, Controls, Refusal, RoomId, SiteRole, Time, Told, UserId,
    call::Call,
    peer::{PeerWord, call_of},
    ring::{CallInvite, CallRecord, RingAct, RingState, Rung},
};

/// Records of calls that one page has at most.
pub const CALLS_LIMIT: u32 = 100;

/// What of calls that ring on other nodes concerns somebody who wants to ring.
pub(super) enum RingsElsewhere {
    /// Whom they wanted to ring is ringing them: that is answered, and so it stood.
    Answered(Box<CallRecord>),
    /// Who is taken up by one.
    Takes(HashSet<UserId>),
}

impl Rooms {
    /// Looks whether what rings on other nodes stands in the way of ringing people in a room.
    ///
    /// # Errors
    /// `taken` (it rings there already, by another node), `not_found` (it has just ended), `internal`.
    pub(super) async fn rings_elsewhere(
        &self,
        caller: UserId,
        room: RoomId,
        whom: &[(UserId, String)],
    ) -> Result<RingsElsewhere, Refusal> {
        let (mut taken, now) = (HashSet::new(), Time::now());
        if self.0.bus.node().is_none() {
            return Ok(RingsElsewhere::Takes(taken));
        }
        for user in whom.iter().map(|(user, _)| *user).chain([caller]) {
            for record in self.0.store.open_calls_of(user).await? {
                let is_here = self.0.rings.all().contains_key(&record.call_id);
                if is_here || self.is_hidden(&record, user).await? {
                    continue;
                }
                let rings = |user| {
                    let rung = |it: &Rung| it.state == RingState::Ringing && it.user_id == user;
                    record.participants.iter().any(rung)
                };
                if record.room_id == room && user == caller && rings(caller) {
                    // They call each other at the same moment, or nearly.
                    self.act_on_call(caller, record.call_id, RingAct::Accept).await?;
                    return Ok(RingsElsewhere::Answered(Box::new(record)));
                }
                let rings_at_all = record.participants.iter().any(|it| it.state == RingState::Ringing);
                if record.room_id == room && rings_at_all && !rings(caller) {
                    return Err(Refusal::Taken("It rings in this room already."));
                }
                let calls = record.initiator.id == user;
                let accepted = |it: &Rung| it.state == RingState::Accepted && it.user_id == user;
                let comes = || is_to_come(&record, now) && (calls || record.participants.iter().any(accepted));
                if rings(user) || calls && rings_at_all || comes() {
                    taken.insert(user);
                }
            }
        }
        Ok(RingsElsewhere::Takes(taken))
    }

    /// Whether a room's call lives on another node. While that is not known it is to be supposed.
    pub(super) async fn is_call_elsewhere(&self, room: RoomId) -> bool {
        let Some(node) = self.0.bus.node() else { return false };
        match self.0.store.seat_of(&call_of(room)).await {
            Ok(home) => home.is_some_and(|home| home != node),
            Err(error) => {
                tracing::warn!(%error, "where a call lives could not be looked up");
                true
            }
        }
    }

    /// Somebody says yes or no to a call that rings for them, and on all their devices it rings no more; or rings no more themselves,
    /// whereby what was answered goes on. On which node the call is does not matter.
    ///
    /// # Errors
    /// `not_found` (no such call, or it does not ring for them, or no more), `internal`.
    pub async fn act_on_call(&self, user: UserId, call: CallId, act: RingAct) -> Result<(), Refusal> {
        if let Some(done) = self.act_here(user, call, act) {
            return done;
        }
        if self.0.bus.node().is_none() {
            return Err(Refusal::NotFound);
        }
        let record = self.0.store.call_record(call).await?.ok_or(Refusal::NotFound)?;
        let rings = record.participants.iter().any(|rung| rung.state == RingState::Ringing && rung.user_id == user);
        let may = if act == RingAct::Cancel { record.initiator.id == user } else { rings };
        if record.outcome.is_some() || !may || self.is_hidden(&record, user).await? {
            return Err(Refusal::NotFound);
        }
        // The node that has it tells what came of it.
        self.0.bus.tell_nodes(|| PeerWord::Ring { call, user, act });
        Ok(())
    }

    /// The same where the call is here. `None`: it is not.
    pub(super) fn act_here(&self, user: UserId, call: CallId, act: RingAct) -> Option<Result<(), Refusal>> {
        self.let_ring(call, |ring| match act {
            RingAct::Accept => Some(Happening::Accept(user)),
            RingAct::Decline => Some(Happening::Decline(user)),
            RingAct::Cancel => (ring.record.initiator.id == user && ring.rings()).then_some(Happening::Cancel),
        })
    }

    /// What still rings or goes on and concerns somebody: for whoever has just come, or come back.
    ///
    /// # Errors
    /// `internal`.
    pub async fn rings_for(&self, user: UserId) -> Result<Vec<Told>, Refusal> {
        let mut told = self.rings_here(user);
        if self.0.bus.node().is_none() {
            return Ok(told);
        }
        for record in self.0.store.open_calls_of(user).await? {
            let is_here = self.0.rings.all().contains_key(&record.call_id);
            if is_here || self.is_hidden(&record, user).await? {
                continue;
            }
            told.extend(self.invite_of(&record, user).map(|invite| Told::CallInvite(Box::new(invite))));
            told.push(Told::CallRing(Box::new(record)));
        }
        Ok(told)
    }

    fn rings_here(&self, user: UserId) -> Vec<Told> {
        let (all, now) = (self.0.rings.all(), Time::now());
        let told = all.values().filter(|live| live.ring.tells(user)).flat_map(|live| {
            let invite = live.ring.invite(user, now).map(|invite| Told::CallInvite(Box::new(invite)));
            invite.into_iter().chain([Told::CallRing(Box::new(live.ring.record.clone()))])
        });
        told.collect()
    }

    /// The invitation to a call that rings on another node. `None`: it does not ring for them.
    fn invite_of(&self, record: &CallRecord, user: UserId) -> Option<CallInvite> {
        let rings = record.participants.iter().any(|it| it.user_id == user && it.state == RingState::Ringing);
        let rung_ms = u64::try_from(Time::now().as_ms() - record.started_at.as_ms()).unwrap_or(0);
        let expires_in_ms = self.0.config.ring_ms.checked_sub(rung_ms).filter(|_| rings)?;
        Some(CallInvite {
            call_id: record.call_id,
            room_id: record.room_id,
            initiator: record.initiator.clone(),
            kind: record.kind,
            participants: record.participants.clone(),
            expires_in_ms,
        })
    }

    /// The record of a call that rang, for whoever called or was rung, and for moderators. `None`: no such call, or not for them.
    ///
    /// # Errors
    /// `internal`.
    pub async fn call_record(&self, caller: &Caller, call: CallId) -> Result<Option<CallRecord>, Refusal> {
        let live = self.0.rings.all().get(&call).map(|live| live.ring.record.clone());
        let record = match live {
            Some(record) => Some(record),
            None => self.0.store.call_record(call).await?,
        };
        let user = caller.user.id;
        let concerns = |record: &CallRecord| {
            // Who was in another call, or is kept from the initiator, was not rung; in their own list it is one that they missed.
            record.initiator.id == user || record.participants.iter().any(|rung| rung.user_id == user)
        };
        let is_moderator = caller.user.role >= SiteRole::Moderator;
        match record {
            Some(record) if is_moderator => Ok(Some(record)),
            Some(record) if concerns(&record) && !self.is_hidden(&record, user).await? => Ok(Some(record)),
            Some(_) | None => Ok(None),
        }
    }

    /// What goes on now in the room of a call that rang: nothing once it is over, or for whoever may not see it.
    ///
    /// # Errors
    /// `internal`.
    pub async fn call_of_record(&self, caller: &Caller, record: &CallRecord) -> Result<Call, Refusal> {
        let nothing = Call {
            call_id: record.call_id,
            participants: Vec::new(),
            viewers: 0,
            recording: None,
            controls: Controls::default(),
        };
        if record.outcome.is_some() {
            return Ok(nothing);
        }
        match self.open_to(caller, record.room_id).await {
            Ok(found) => Ok(Call { call_id: record.call_id, ..self.lobby().call(record.room_id, found.call) }),
            Err(Refusal::Internal(why)) => Err(Refusal::Internal(why)),
            Err(_) => Ok(nothing),
        }
    }

    /// The calls that somebody made or was rung for, the latest first: for themselves, and for moderators.
    ///
    /// # Errors
    /// `not_found` (somebody else's), `bad_request` (`limit`), `internal`.
    pub async fn calls_of(
        &self,
        caller: &Caller,
        user: UserId,
        before: Option<CallId>,
        limit: u32,
    ) -> Result<Vec<CallRecord>, Refusal> {
        if !(1..=CALLS_LIMIT).contains(&limit) {
            return Err(Refusal::bad_request("limit", format!("A page has 1 to {CALLS_LIMIT} calls.")));
        }
        let is_own = caller.user.id == user;
        if !is_own && caller.user.role < SiteRole::Moderator {
            return Err(Refusal::NotFound);
        }
        Ok(self.0.store.calls_of(user, before, limit).await?)
    }

    /// Whether a block stands between whoever called and somebody whom they rang.
    async fn is_hidden(&self, record: &CallRecord, user: UserId) -> Result<bool, Refusal> {
        Ok(record.initiator.id != user && self.0.store.are_blocked(record.initiator.id, user).await?)
    }
}
