//! Tables `calls` and `call_people`: calls that rang, and what came of them.

use sqlx::FromRow;
use uuid::Uuid;

use super::{
    Error, Store,
    pool::{Tx, execute, execute_now, on_pool, on_tx},
};
use crate::domain::{
    CallId, RoomId, Time, UserId,
    message::Author,
    ring::{CallOutcome, CallRecord, CallType, RingState, Rung},
};

#[derive(FromRow)]
struct CallRow {
    id: Uuid,
    room_id: Uuid,
    initiator_id: Uuid,
    nickname: String,
    kind: String,
    started_at: i64,
    answered_at: Option<i64>,
    ended_at: Option<i64>,
    outcome: Option<String>,
}

#[derive(FromRow)]
struct RungRow {
    user_id: Uuid,
    nickname: String,
    answer: String,
}

impl TryFrom<RungRow> for Rung {
    type Error = Error;

    fn try_from(row: RungRow) -> Result<Self, Error> {
        let state = RingState::parse(&row.answer).ok_or(Error::Unreadable(row.answer))?;
        Ok(Self { user_id: UserId::from_uuid(row.user_id), nickname: row.nickname, state })
    }
}

impl Store {
    /// Keeps a call that rings, or how it goes on. `room_call` is the call of its room.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn keep_call(&self, record: &CallRecord, room_call: CallId, seen_at: Time) -> Result<(), Error> {
        const CALL: &str = "insert into calls (id, room_id, call_id, initiator_id, kind, started_at, answered_at, ended_at, \
            outcome, seen_at) values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10) on conflict (id) do update set \
            answered_at = excluded.answered_at, ended_at = excluded.ended_at, outcome = excluded.outcome, \
            seen_at = excluded.seen_at";
        let mut tx = self.write.begin().await?;
        execute!(
            &mut tx,
            sqlx::query(CALL)
                .bind(record.call_id.as_uuid())
                .bind(record.room_id.as_uuid())
                .bind(room_call.as_uuid())
                .bind(record.initiator.id.as_uuid())
                .bind(record.kind.as_str())
                .bind(record.started_at.as_ms())
                .bind(record.answered_at.map(Time::as_ms))
                .bind(record.ended_at.map(Time::as_ms))
                .bind(record.outcome.map(CallOutcome::as_str))
                .bind(seen_at.as_ms())
        )?;
        for rung in &record.participants {
            keep_answer(&mut tx, record.call_id, rung).await?;
        }
        tx.commit().await?;
        Ok(())
    }

    /// One call that rang.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn call_record(&self, call: CallId) -> Result<Option<CallRecord>, Error> {
        const SQL: &str =
            "select calls.*, nickname from calls join users on users.id = initiator_id where calls.id = $1";
        let row: Option<CallRow> =
            on_pool!(&self.read, db => sqlx::query_as(SQL).bind(call.as_uuid()).fetch_optional(db))?;
        match row {
            Some(row) => self.with_people(row).await.map(Some),
            None => Ok(None),
        }
    }

    /// The calls that somebody made or was rung for, the latest first; those before `before`, if it is given. Not those of whom a
    /// block keeps from them.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn calls_of(&self, user: UserId, before: Option<CallId>, limit: u32) -> Result<Vec<CallRecord>, Error> {
        // Ids are UUIDv7: their order is that of time. Of both kinds the latest are found by an index.
        const SQL: &str = "select calls.*, nickname from calls join users on users.id = initiator_id \
            where calls.id in (\
            select id from (select id from calls where initiator_id = $1 and id < $2 order by id desc limit $3) made \
            union select id from (select c.id from call_people p join calls c on c.id = p.call_id \
            where p.user_id = $1 and p.call_id < $2 and not exists (select 1 from blocks b \
            where b.user_id = $1 and b.blocked_id = c.initiator_id or b.user_id = c.initiator_id and b.blocked_id = $1) \
            order by p.call_id desc limit $3) rung) order by calls.id desc limit $3";
        let before = before.map_or(Uuid::max(), CallId::as_uuid);
        let rows: Vec<CallRow> = on_pool!(&self.read, db => sqlx::query_as(SQL)
            .bind(user.as_uuid()).bind(before).bind(i64::from(limit)).fetch_all(db))?;
        let mut records = Vec::with_capacity(rows.len());
        for row in rows {
            records.push(self.with_people(row).await?);
        }
        Ok(records)
    }

    /// The calls that ring or go on, and that somebody made or is rung for.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn open_calls_of(&self, user: UserId) -> Result<Vec<CallRecord>, Error> {
        const SQL: &str = "select calls.*, nickname from calls join users on users.id = initiator_id \
            where ended_at is null and calls.id in (\
            select id from calls where initiator_id = $1 and ended_at is null \
            union select call_id from call_people where user_id = $1) order by calls.id";
        let rows: Vec<CallRow> = on_pool!(&self.read, db => sqlx::query_as(SQL).bind(user.as_uuid()).fetch_all(db))?;
        let mut records = Vec::with_capacity(rows.len());
        for row in rows {
            records.push(self.with_people(row).await?);
        }
        Ok(records)
    }

    /// How many calls somebody has made since then, and when the first of them was.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn calls_since(&self, user: UserId, since: Time) -> Result<(u32, Option<Time>), Error> {
        const SQL: &str = "select count(*), min(started_at) from calls \
            where initiator_id = $1 and started_at > $2";
        let (number, first): (i64, Option<i64>) = on_pool!(&self.read, db => sqlx::query_as(SQL)
            .bind(user.as_uuid()).bind(since.as_ms()).fetch_one(db))?;
        Ok((u32::try_from(number).unwrap_or(u32::MAX), first.map(Time::from_ms)))
    }

    /// These calls ring or go on still.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn calls_seen(&self, calls: &[CallId], at: Time) -> Result<(), Error> {
        const SQL: &str = "update calls set seen_at = $2 where id = $1 and ended_at is null";
        let mut tx = self.write.begin().await?;
        for call in calls {
            execute!(&mut tx, sqlx::query(SQL).bind(call.as_uuid()).bind(at.as_ms()))?;
        }
        tx.commit().await?;
        Ok(())
    }

    /// Ends, on paper, the calls of which no server has said anything since then: theirs stopped without a word.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn end_lost_calls(&self, since: Time, at: Time) -> Result<Vec<CallRecord>, Error> {
        const PEOPLE: &str = "update call_people set answer = 'missed' where answer = 'ringing' \
            and call_id in (select id from calls where ended_at is null and seen_at < $1)";
        const CALLS: &str =
            "update calls set ended_at = $2, outcome = 'lost' where ended_at is null and seen_at < $1 returning id";
        let mut tx = self.write.begin().await?;
        execute!(&mut tx, sqlx::query(PEOPLE).bind(since.as_ms()))?;
        let ended: Vec<Uuid> = on_tx!(&mut tx, db => sqlx::query_scalar(CALLS)
            .bind(since.as_ms()).bind(at.as_ms()).fetch_all(db))?;
        tx.commit().await?;
        let mut records = Vec::with_capacity(ended.len());
        for call in ended {
            records.extend(self.call_record(CallId::from_uuid(call)).await?);
        }
        Ok(records)
    }

    /// Forgets calls that ended before then. How many.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn sweep_calls(&self, before: Time) -> Result<u64, Error> {
        const SQL: &str = "delete from calls where ended_at < $1";
        Ok(execute_now!(&self.write, sqlx::query(SQL).bind(before.as_ms()))?)
    }

    async fn with_people(&self, row: CallRow) -> Result<CallRecord, Error> {
        const SQL: &str = "select user_id, nickname, answer from call_people join users on users.id = user_id \
            where call_id = $1 order by nickname, user_id";
        let people: Vec<RungRow> = on_pool!(&self.read, db => sqlx::query_as(SQL).bind(row.id).fetch_all(db))?;
        let outcome = row.outcome.map(|it| CallOutcome::parse(&it).ok_or(Error::Unreadable(it))).transpose()?;
        Ok(CallRecord {
            call_id: CallId::from_uuid(row.id),
            room_id: RoomId::from_uuid(row.room_id),
            initiator: Author { id: UserId::from_uuid(row.initiator_id), nickname: row.nickname },
            kind: CallType::parse(&row.kind).ok_or(Error::Unreadable(row.kind))?,
            participants: people.into_iter().map(Rung::try_from).collect::<Result<_, _>>()?,
            started_at: Time::from_ms(row.started_at),
            answered_at: row.answered_at.map(Time::from_ms),
            ended_at: row.ended_at.map(Time::from_ms),
            outcome,
        })
    }
}

async fn keep_answer(tx: &mut Tx, call: CallId, rung: &Rung) -> Result<(), sqlx::Error> {
    const SQL: &str = "insert into call_people (call_id, user_id, answer) values ($1, $2, $3) \
        on conflict (call_id, user_id) do update set answer = excluded.answer";
    execute!(tx, sqlx::query(SQL).bind(call.as_uuid()).bind(rung.user_id.as_uuid()).bind(rung.state.as_str()))?;
    Ok(())
}
