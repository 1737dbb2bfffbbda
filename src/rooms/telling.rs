//! What happened to a room and to those who belong to it, told by messages of the server: where people live, they find it there later.

use std::collections::HashSet;
use std::time::Duration;

use super::Rooms;
use crate::domain::{
    CallId, RoomId, RoomKind, Time, User, UserId,
    message::{Author, System},
    ring::{CallOutcome, CallRecord},
};
use crate::store::NewMessage;

/// In rooms with more members nobody is told who joins and leaves: it would be all that is said there.
const TOLD_AMONG: u32 = 100;
/// Who comes and goes is told so often …
const COMINGS: u32 = 4;
/// … in this time.
const COMINGS_IN: Duration = Duration::from_secs(10 * 60);

impl Rooms {
    /// Tells what somebody did, unless they do it all the time; in a group that nobody else has accepted, nothing: what strangers see of
    /// it is what was written to them. That it cannot be told undoes nothing.
    pub(super) async fn tell(&self, room: RoomId, kind: RoomKind, by: Author, system: System) {
        if !kind.is_lived_in() {
            return;
        }
        let found = async {
            let store = &self.0.store;
            let is_request = kind == RoomKind::GroupDm && store.is_request_of(room, by.id).await?;
            Ok::<_, crate::store::Error>(!is_request && store.may_be_told(room, by.id, Time::now()).await?)
        };
        if is_due(found.await) {
            self.tell_as(NewMessage::system(room, by, system)).await;
        }
    }

    /// Tells that somebody belongs to a room from now on, or no more.
    pub(super) async fn tell_of_member(&self, room: RoomId, kind: RoomKind, by: Author, system: System) {
        if !kind.is_lived_in() || kind == RoomKind::Dm {
            return;
        }
        if is_due(self.is_worth_telling(room, by.id).await) {
            self.tell(room, kind, by, system).await;
        }
    }

    async fn is_worth_telling(&self, room: RoomId, by: UserId) -> Result<bool, crate::store::Error> {
        let since = Time::from_ms(Time::now().as_ms() - i64::try_from(COMINGS_IN.as_millis()).unwrap_or(i64::MAX));
        let store = &self.0.store;
        Ok(store.member_count(room).await? <= TOLD_AMONG && store.told_of(room, by, since).await? < COMINGS)
    }

    /// Tells that people are rung, once, and what came of it. `started` has the calls of which the first was told.
    pub(super) async fn tell_of_call(&self, record: &CallRecord, started: &mut HashSet<CallId>) {
        let CallRecord { call_id, kind: call, .. } = *record;
        let (what, system) = match record.outcome {
            None if started.insert(call_id) => ("started", System::CallStarted { call_id, call }),
            None => return,
            Some(outcome) => {
                started.remove(&call_id);
                ("ended", System::CallEnded { call_id, call, outcome, duration_s: duration_s(record, outcome) })
            }
        };
        let kind = match self.0.store.room(record.room_id).await {
            Ok(Some(record)) => record.room.kind,
            // The room is gone, and with it those who would read this.
            Ok(None) => return,
            Err(error) => return tracing::warn!(%error, "a call could not be told by a message"),
        };
        if kind.is_lived_in() {
            let told = NewMessage::system(record.room_id, record.initiator.clone(), system);
            // By this name it is told once, whichever server does it.
            self.tell_as(NewMessage { client_id: format!("system:{call_id}:{what}"), ..told }).await;
        }
    }

    async fn tell_as(&self, told: NewMessage) {
        if let Err(refusal) = self.0.store.send_message(told, None).await {
            tracing::warn!(%refusal, "what happened in a room could not be told by a message");
        }
    }

    /// Somebody by the name that they have now.
    pub(super) async fn author(&self, user: UserId) -> Result<Option<Author>, crate::store::Error> {
        Ok(self.0.store.user(user).await?.map(|person| author(&person.user)))
    }
}

/// What cannot be found out is left untold.
fn is_due(found: Result<bool, crate::store::Error>) -> bool {
    found.unwrap_or_else(|error| {
        tracing::warn!(%error, "whether a message of the server is due could not be found out");
        false
    })
}

/// Somebody as whoever did something.
pub(super) fn author(user: &User) -> Author {
    Author { id: user.id, nickname: user.nickname.clone() }
}

/// How long a call that was answered went on, in seconds.
fn duration_s(record: &CallRecord, outcome: CallOutcome) -> u32 {
    match (outcome, record.answered_at, record.ended_at) {
        (CallOutcome::Answered | CallOutcome::Lost, Some(from), Some(to)) => {
            u32::try_from((to.as_ms() - from.as_ms()) / 1_000).unwrap_or(0)
        }
        _ => 0,
    }
}
