//! Calls that ring, in rooms and direct messages: who may ring whom, and who is told.
//!
//! What rings is in memory, on the node that took the call; the record is kept as it changes. Whoever comes back on another socket is
//! told all that still rings for them.

use std::collections::{HashMap, HashSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::{Notify, mpsc};

use super::{
    Rooms,
    lobby::Lobby,
    ring::{Happening, NoRing, Ring},
    rung::RingsElsewhere,
};
use crate::bus::Bus;
use crate::domain::{
    Action, CallId, Caller, Notice, Refusal, RoomId, RoomKind, Session, SessionId, Time, Told, UserId,
    feature::Feature,
    message::Author,
    peer::PeerWord,
    ring::{CallRecord, CallType, RingState, Rung},
};
use crate::store::{Membership, RoomRecord};

/// In what time [`super::Config::calls_per_hour`] counts.
const HOUR: Duration = Duration::from_secs(3600);
/// How often a server says which calls it still has.
const SEEN_EVERY: Duration = Duration::from_secs(60);
/// A call of which no server has said anything for so long is lost: three times it was silent.
const LOST_AFTER: Duration = Duration::from_secs(3 * 60);
/// How long the records of calls are kept.
const KEPT: Duration = Duration::from_secs(90 * 24 * 3600);

/// Whom somebody wants to call.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Calling {
    /// Where the call is to take place.
    pub room: RoomId,
    /// With what it begins.
    pub kind: CallType,
    /// Whom to ring; `None`: everybody else in a direct room.
    pub participants: Option<Vec<UserId>>,
}

/// Calls that ring or go on.
pub(super) struct Rings {
    all: Mutex<HashMap<CallId, Live>>,
    /// Told when time may have something to do earlier than was thought.
    stirred: Notify,
    /// Records that are to be kept, in the order in which they changed. Unbounded, yet each costs somebody a request that is limited.
    changed: mpsc::UnboundedSender<(CallRecord, CallId)>,
    to_keep: Mutex<Option<mpsc::UnboundedReceiver<(CallRecord, CallId)>>>,
}

pub(super) struct Live {
    pub(super) ring: Ring,
    /// The session that started it: its end ends the ringing.
    starter: SessionId,
}

impl Default for Rings {
    fn default() -> Self {
        let (changed, to_keep) = mpsc::unbounded_channel();
        Self { all: Mutex::default(), stirred: Notify::new(), changed, to_keep: Mutex::new(Some(to_keep)) }
    }
}

impl Rings {
    pub(super) fn all(&self) -> MutexGuard<'_, HashMap<CallId, Live>> {
        self.all.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Lets something happen to the calls for which that holds, and tells it.
    fn happen(&self, bus: &Bus, holds: impl Fn(&Live) -> bool, happening: impl Fn(&Ring) -> Option<Happening>) {
        let (mut all, now) = (self.all(), Time::now());
        for live in all.values_mut().filter(|live| holds(live)) {
            if let Some(happening) = happening(&live.ring)
                && live.ring.take(happening, now) == Ok(true)
            {
                self.tell(bus, &live.ring);
            }
        }
        all.retain(|_, live| !live.ring.is_over());
    }

    /// Tells everybody concerned how it stands. Under the lock, so that all are told in one order.
    fn tell(&self, bus: &Bus, ring: &Ring) {
        for user in ring.told() {
            bus.notify(&Notice::to_user(user, Told::CallRing(Box::new(ring.record.clone()))));
        }
        // Without a keeper (a test that does not ask for it) nothing is kept.
        let _ = self.changed.send((ring.record.clone(), ring.room_call));
        self.stirred.notify_one();
    }
}

impl Rooms {
    /// Rings people, so that they come into a room's call. Who is in another call is busy and not rung. When one of those who are to
    /// be rung is ringing oneself right now, this answers them. How it stands is told to all concerned; this is the first of it.
    ///
    /// # Errors
    /// `forbidden`, `rate_limited`, `not_found` (no such room, or whom a block stands in the way of), `removed`, `not_in_room`,
    /// `bad_request` (`roomId`: nobody can be rung there; `participants`), `taken` (it rings there already, all are there, or one
    /// rings or answers elsewhere), `internal`.
    pub async fn start_call(&self, session: &Arc<Session>, calling: Calling) -> Result<CallRecord, Refusal> {
        let caller = &session.caller;
        let seat = self.visit(caller, calling.room).await?;
        if seat.role.is_none() {
            return Err(Refusal::NotInRoom);
        }
        let record = self.record(calling.room).await?;
        self.check_pair(&record, caller.user.id).await?;
        seat.permit(Action::JoinCall)?;
        caller.demand(if calling.kind == CallType::Video { Feature::Video } else { Feature::Voice })?;
        let whom = self.whom_to_ring(caller, &record, calling.participants).await?;
        self.check_hourly(caller).await?;
        let mut hidden = Vec::new();
        for (user, _) in &whom {
            if self.0.store.are_blocked(caller.user.id, *user).await? {
                hidden.push(*user);
            }
        }
        let taken = match self.rings_elsewhere(caller.user.id, calling.room, &whom).await? {
            RingsElsewhere::Answered(record) => return Ok(*record),
            RingsElsewhere::Takes(taken) => taken,
        };
        self.ring(session, &record, calling.kind, whom, (hidden, taken))
    }

    fn ring(
        &self,
        session: &Session,
        record: &RoomRecord,
        kind: CallType,
        whom: Vec<(UserId, String)>,
        (hidden, taken): (Vec<UserId>, HashSet<UserId>),
    ) -> Result<CallRecord, Refusal> {
        let (caller, now, rings) = (&session.caller.user, Time::now(), &self.0.rings);
        let (mut here, mut elsewhere) = (Vec::new(), Vec::new());
        {
            let lobby = self.lobby();
            for (user, _) in &whom {
                match lobby.call_of(*user, record.room.id) {
                    Some(room) if room == record.room.id => here.push(*user),
                    Some(_) => elsewhere.push(*user),
                    None => {}
                }
            }
        }
        let mut all = rings.all();
        if session.is_over() {
            // Its end has been told already, and would not be told again.
            return Err(Refusal::NotFound);
        }
        for live in all.values_mut().filter(|live| live.ring.record.room_id == record.room.id) {
            if live.ring.take(Happening::Accept(caller.id), now) == Ok(true) {
                // They call each other at the same moment.
                rings.tell(&self.0.bus, &live.ring);
                return Ok(live.ring.record.clone());
            }
            if live.ring.rings() {
                return Err(Refusal::Taken("It rings in this room already."));
            }
        }
        let is_taken = |user| taken.contains(&user) || all.values().any(|live| live.ring.occupies(user, now));
        if is_taken(caller.id) {
            return Err(Refusal::Taken("You are about to talk to somebody else."));
        }
        let rung = |(user_id, nickname): (UserId, String)| {
            // Who is hidden seems to be there and does not answer.
            let is_busy = !hidden.contains(&user_id) && (elsewhere.contains(&user_id) || is_taken(user_id));
            Rung { user_id, nickname, state: if is_busy { RingState::Busy } else { RingState::Ringing } }
        };
        let participants: Vec<_> = whom.into_iter().filter(|(user, _)| !here.contains(user)).map(rung).collect();
        if participants.is_empty() {
            return Err(Refusal::Taken("They are in the call already."));
        }
        let call = CallRecord {
            call_id: CallId::new(),
            room_id: record.room.id,
            initiator: Author { id: caller.id, nickname: caller.nickname.clone() },
            kind,
            participants,
            started_at: now,
            answered_at: None,
            ended_at: None,
            outcome: None,
        };
        let ring = Ring::new(call, record.call, self.0.config.ring_ms, hidden);
        for user in ring.told() {
            if let Some(invite) = ring.invite(user, now) {
                self.0.bus.notify(&Notice::to_user(user, Told::CallInvite(Box::new(invite))));
            }
        }
        rings.tell(&self.0.bus, &ring);
        let call = ring.record.clone();
        if !ring.is_over() {
            all.insert(call.call_id, Live { ring, starter: session.id });
        }
        Ok(call)
    }

    /// Lets something happen to a call, and tells it. `None`: the call is not here.
    pub(super) fn let_ring(
        &self,
        call: CallId,
        happening: impl Fn(&Ring) -> Option<Happening>,
    ) -> Option<Result<(), Refusal>> {
        let rings = &self.0.rings;
        let (mut all, now) = (rings.all(), Time::now());
        let live = all.get_mut(&call)?;
        let Some(happening) = happening(&live.ring) else { return Some(Err(Refusal::NotFound)) };
        match live.ring.take(happening, now) {
            Ok(true) => rings.tell(&self.0.bus, &live.ring),
            Ok(false) => {}
            Err(NoRing) => return Some(Err(Refusal::NotFound)),
        }
        if live.ring.is_over() {
            all.remove(&call);
        }
        Some(Ok(()))
    }

    /// Somebody is not to be rung in a room any more: they are no longer in it.
    pub(super) fn ring_no_more(&self, room: RoomId, user: UserId) {
        let concerned = |live: &Live| live.ring.record.room_id == room;
        self.0.rings.happen(&self.0.bus, concerned, |ring| Some(left(ring, user)));
    }

    /// Nobody is rung in a room any more: it is gone.
    pub(super) fn ring_nobody(&self, room: RoomId) {
        self.0.rings.happen(&self.0.bus, |live| live.ring.record.room_id == room, |_| Some(Happening::Cancel));
    }

    /// Two people are kept from each other: neither rings the other any more.
    pub(super) fn ring_not_each_other(&self, one: UserId, other: UserId) {
        let calls =
            |ring: &Ring, by: UserId, whom: UserId| ring.record.initiator.id == by && ring.state_of(whom).is_some();
        let concerned = |live: &Live| calls(&live.ring, one, other) || calls(&live.ring, other, one);
        let whom = |ring: &Ring| if ring.record.initiator.id == one { other } else { one };
        self.0.rings.happen(&self.0.bus, concerned, |ring| Some(Happening::Drop(whom(ring))));
    }

    /// The last one has left a room's call.
    pub(super) fn call_is_empty(&self, room: RoomId) {
        // A call lives on one node, and may ring on another.
        self.0.bus.tell_nodes(|| PeerWord::Emptied(room));
        self.call_is_empty_elsewhere(room);
    }

    /// The same, as the node tells where the call lives.
    pub(super) fn call_is_empty_elsewhere(&self, room: RoomId) {
        self.0.rings.happen(&self.0.bus, |live| live.ring.record.room_id == room, |_| Some(Happening::Emptied));
    }

    /// A session is over: what it rings, rings no more.
    pub(super) fn starter_is_gone(&self, session: SessionId) {
        self.0.rings.happen(&self.0.bus, |live| live.starter == session, |_| Some(Happening::Cancel));
    }

    /// Lets time pass for calls that ring, and keeps their records, for as long as it is polled.
    pub async fn tend_rings(self) {
        let rings = &self.0.rings;
        let to_keep = rings.to_keep.lock().unwrap_or_else(PoisonError::into_inner).take();
        let Some(mut to_keep) = to_keep else { return };
        let keep = async {
            let mut started = HashSet::new();
            while let Some((record, room_call)) = to_keep.recv().await {
                if let Err(error) = self.0.store.keep_call(&record, room_call, Time::now()).await {
                    tracing::error!(%error, "the record of a call could not be kept");
                }
                self.tell_of_call(&record, &mut started).await;
            }
        };
        let time = async {
            loop {
                let due = rings.all().values().filter_map(|live| live.ring.due()).min();
                let left_ms = due.map(|due| due.as_ms().saturating_sub(Time::now().as_ms()));
                let wait = left_ms.map_or(SEEN_EVERY, |ms| Duration::from_millis(u64::try_from(ms).unwrap_or(0)));
                tokio::select! {
                    () = tokio::time::sleep(wait) => self.ring_on().await,
                    () = rings.stirred.notified() => {}
                }
            }
        };
        tokio::join!(keep, time, self.say_what_rings());
    }

    async fn ring_on(&self) {
        let now = Time::now();
        let is_due = |live: &&Live| live.ring.due().is_some_and(|due| due <= now);
        let rooms: Vec<_> = self.0.rings.all().values().filter(is_due).map(|live| live.ring.record.room_id).collect();
        let mut in_calls: HashMap<RoomId, usize> = {
            let lobby = self.lobby();
            rooms.into_iter().map(|room| (room, lobby.people_in_call(room))).collect()
        };
        for (room, people) in in_calls.iter_mut().filter(|(_, people)| **people == 0) {
            // The node where it lives says itself when the last one has left.
            *people = usize::from(self.is_call_elsewhere(*room).await);
        }
        let tick = |ring: &Ring| in_calls.get(&ring.record.room_id).copied().map(Happening::Tick);
        self.0.rings.happen(&self.0.bus, |_| true, tick);
    }

    /// Says in the database which calls this server still has, and ends those of servers that say nothing any more.
    async fn say_what_rings(&self) {
        let store = &self.0.store;
        let ago = |time: Duration| {
            Time::from_ms(Time::now().as_ms().saturating_sub(i64::try_from(time.as_millis()).unwrap_or(i64::MAX)))
        };
        loop {
            let calls: Vec<_> = self.0.rings.all().keys().copied().collect();
            let done = async {
                store.calls_seen(&calls, Time::now()).await?;
                for record in store.end_lost_calls(ago(LOST_AFTER), Time::now()).await? {
                    self.tell_of_call(&record, &mut HashSet::new()).await;
                }
                store.sweep_calls(ago(KEPT)).await
            };
            if let Err(error) = done.await {
                tracing::warn!(%error, "the records of calls could not be tended");
            }
            tokio::time::sleep(SEEN_EVERY).await;
        }
    }

    /// So many calls an hour, on all nodes together.
    async fn check_hourly(&self, caller: &Caller) -> Result<(), Refusal> {
        if self.0.limits.are_not_for(caller) {
            return Ok(());
        }
        let (now, hour_ms) = (Time::now(), i64::try_from(HOUR.as_millis()).unwrap_or(i64::MAX));
        let since = Time::from_ms(now.as_ms() - hour_ms);
        let (number, first) = self.0.store.calls_since(caller.user.id, since).await?;
        if number < self.0.config.calls_per_hour {
            return Ok(());
        }
        let free_ms = first.map_or(hour_ms, |first| first.as_ms() + hour_ms - now.as_ms());
        Err(Refusal::RateLimited { limit: "call", retry_after_ms: u64::try_from(free_ms).unwrap_or(0) })
    }

    /// Whom a call rings: members of the room, and not whoever calls.
    async fn whom_to_ring(
        &self,
        caller: &Caller,
        record: &RoomRecord,
        wanted: Option<Vec<UserId>>,
    ) -> Result<Vec<(UserId, String)>, Refusal> {
        let (store, room, user) = (&self.0.store, record.room.id, caller.user.id);
        let limit = self.0.config.max_participants as usize;
        let bad = |why: String| Err(Refusal::bad_request("participants", why));
        if !record.room.kind.rings() {
            return Err(Refusal::bad_request("roomId", "Nobody is rung in a room of this kind."));
        }
        if record.room.kind.is_direct() {
            let people = store.direct_people(room).await?.into_iter().map(|(person, _)| person);
            let there: Vec<_> = people.filter(|it| it.accepted && it.user_id != user).collect();
            if there.is_empty() {
                return Err(Refusal::bad_request("roomId", "Nobody else has come into this conversation yet."));
            }
            if wanted.iter().flatten().any(|wanted| there.iter().all(|it| it.user_id != *wanted)) {
                return bad("Not all of them are in this conversation.".to_owned());
            }
            let is_wanted = |it: &UserId| wanted.as_ref().is_none_or(|wanted| wanted.contains(it));
            let whom = there.into_iter().filter(|it| is_wanted(&it.user_id));
            return match whom.map(|it| (it.user_id, it.nickname)).collect::<Vec<_>>() {
                whom if whom.is_empty() => bad("Name somebody to call.".to_owned()),
                whom => Ok(whom),
            };
        }
        let mut wanted = wanted.unwrap_or_default();
        wanted.sort_unstable();
        wanted.dedup();
        if !(1..=limit).contains(&wanted.len()) || wanted.contains(&user) {
            return bad(format!("Name 1 to {limit} others to call."));
        }
        let mut whom = Vec::with_capacity(wanted.len());
        for user in wanted {
            let person = store.user(user).await?;
            match (person, store.membership(room, user).await?) {
                (Some(person), Membership::Member(_)) => whom.push((user, person.user.nickname)),
                _ => return bad("Not all of them are members of this room.".to_owned()),
            }
        }
        Ok(whom)
    }
}

/// What it is for a call that somebody has left its room.
fn left(ring: &Ring, user: UserId) -> Happening {
    if ring.record.initiator.id == user { Happening::Cancel } else { Happening::Drop(user) }
}

impl Lobby {
    /// In which room's call somebody takes part: in `first`, if they do there.
    fn call_of(&self, user: UserId, first: RoomId) -> Option<RoomId> {
        let takes_part =
            |room: &super::lobby::LiveRoom| room.call.joined.iter().any(|it| it.participant.user_id == user);
        if self.rooms.get(&first).is_some_and(takes_part) {
            return Some(first);
        }
        // Who only watches a live room can be called.
        let others = self.rooms.iter().filter(|(_, room)| room.record.room.kind != RoomKind::Live);
        others.filter(|(_, room)| room.people.contains_key(&user)).find(|(_, room)| takes_part(room)).map(|(id, _)| *id)
    }

    fn people_in_call(&self, room: RoomId) -> usize {
        self.rooms.get(&room).map_or(0, |room| room.call.joined.len())
    }
}
