//! Table `matches`: which strangers met, and when; and the rooms that they met in, whose streams are in memory alone.

use uuid::Uuid;

use super::{
    Error, RoomRecord, Store,
    pool::{execute, execute_now, on_pool},
};
use crate::domain::{
    MatchId, Role, RoomId, RoomKind, Time, UserId,
    matching::{AgeBand, MatchMode},
};

/// Meetings that are read at once: more than half an hour of them on a very busy evening.
const MEETINGS: i64 = 100_000;

/// Two who met.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Meeting {
    /// Which match.
    pub id: MatchId,
    /// How they met.
    pub mode: MatchMode,
    /// The two.
    pub users: [UserId; 2],
    /// Where.
    pub room: RoomId,
    /// Since when.
    pub started_at: Time,
}

/// How a match ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ending {
    /// When.
    pub at: Time,
    /// What the one did who ended it.
    pub reason: &'static str,
    /// Who that was; `None`: nobody in particular.
    pub by: Option<UserId>,
}

impl Store {
    /// Keeps the room of two strangers, who are its members. Its stream begins, in memory.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn create_match_room(&self, record: &RoomRecord, users: [UserId; 2]) -> Result<(), Error> {
        const MEMBER: &str = "insert into members (room_id, user_id, role, joined_at) values ($1, $2, $3, $4)";
        let (id, at_ms) = (record.room.id, record.room.created_at.as_ms());
        let mut tx = self.write.begin().await?;
        super::rooms::insert_room(&mut tx, record).await?;
        for user in users {
            let role = Role::Member.as_str();
            execute!(&mut tx, sqlx::query(MEMBER).bind(id.as_uuid()).bind(user.as_uuid()).bind(role).bind(at_ms))?;
        }
        tx.commit().await?;
        self.memory.open(id);
        Ok(())
    }

    /// The room of two strangers is over: from now on there is no such room, and what was written in it is soon forgotten.
    pub fn close_match_room(&self, room: RoomId) {
        self.memory.close(room);
    }

    /// Forgets what was written in rooms of strangers that have been over for long enough.
    pub fn forget_closed_rooms(&self) {
        self.memory.forget();
    }

    /// Keeps that two have met. Whether this or their end is told first does not matter.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn begin_match(&self, met: &Meeting) -> Result<(), Error> {
        self.keep_match(met, None).await
    }

    /// Keeps how a match ended.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn end_match(&self, met: &Meeting, ending: Ending) -> Result<(), Error> {
        self.keep_match(met, Some(ending)).await
    }

    async fn keep_match(&self, met: &Meeting, ending: Option<Ending>) -> Result<(), Error> {
        const SQL: &str = "insert into matches (id, mode, user_a, user_b, room_id, started_at, ended_at, reason, ended_by) \
            values ($1, $2, $3, $4, $5, $6, $7, $8, $9) on conflict (id) do update set \
            ended_at = coalesce(excluded.ended_at, matches.ended_at), reason = coalesce(excluded.reason, matches.reason), \
            ended_by = coalesce(excluded.ended_by, matches.ended_by)";
        let [one, other] = met.users.map(UserId::as_uuid);
        execute_now!(
            &self.write,
            sqlx::query(SQL)
                .bind(met.id.as_uuid())
                .bind(met.mode.as_str())
                .bind(one)
                .bind(other)
                .bind(met.room.as_uuid())
                .bind(met.started_at.as_ms())
                .bind(ending.map(|it| it.at.as_ms()))
                .bind(ending.map(|it| it.reason))
                .bind(ending.and_then(|it| it.by).map(UserId::as_uuid))
        )?;
        Ok(())
    }

    /// How a match ended, if it has.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn match_ending(&self, id: MatchId) -> Result<Option<(String, Option<UserId>)>, Error> {
        const SQL: &str = "select reason, ended_by from matches where id = $1 and ended_at is not null";
        let row: Option<(String, Option<Uuid>)> =
            on_pool!(&self.read, db => sqlx::query_as(SQL).bind(id.as_uuid()).fetch_optional(db))?;
        Ok(row.map(|(reason, by)| (reason, by.map(UserId::from_uuid))))
    }

    /// Ends, on paper, matches whose server stopped without a word.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn end_lost_matches(&self, at: Time) -> Result<u64, Error> {
        const SQL: &str = "update matches set ended_at = $1, reason = 'server_stopped' where ended_at is null";
        Ok(execute_now!(&self.write, sqlx::query(SQL).bind(at.as_ms()))?)
    }

    /// Who has met whom since then, the first first.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn recent_matches(&self, since: Time) -> Result<Vec<([UserId; 2], Time)>, Error> {
        const SQL: &str =
            "select user_a, user_b, started_at from matches where started_at >= $1 order by started_at desc limit $2";
        let rows: Vec<(Uuid, Uuid, i64)> =
            on_pool!(&self.read, db => sqlx::query_as(SQL).bind(since.as_ms()).bind(MEETINGS).fetch_all(db))?;
        let met = |(one, other, at)| ([one, other].map(UserId::from_uuid), Time::from_ms(at));
        Ok(rows.into_iter().rev().map(met).collect())
    }

    /// The age band that somebody was given at their entry. `None`: no such person.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn age_band(&self, user: UserId) -> Result<Option<AgeBand>, Error> {
        const SQL: &str = "select age_band from users where id = $1";
        let band: Option<String> =
            on_pool!(&self.read, db => sqlx::query_scalar(SQL).bind(user.as_uuid()).fetch_optional(db))?;
        band.map(|band| AgeBand::parse(&band).ok_or(Error::Unreadable(band))).transpose()
    }

    /// Gives somebody another age band. `false`: no such person.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn set_age_band(&self, user: UserId, band: AgeBand) -> Result<bool, Error> {
        const SQL: &str = "update users set age_band = $2 where id = $1";
        Ok(execute_now!(&self.write, sqlx::query(SQL).bind(user.as_uuid()).bind(band.as_str()))? > 0)
    }

    /// Forgets matches that began before `matches`, and rooms of strangers that were made before `rooms`; not a room whose
    /// recordings are kept. How many of both.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn sweep_matches(&self, matches: Time, rooms: Time) -> Result<u64, Error> {
        const MATCHES: &str = "delete from matches where started_at < $1";
        const ROOMS: &str = "delete from rooms where kind = $1 and created_at < $2 \
            and not exists (select 1 from recordings where recordings.room_id = rooms.id)";
        let old = execute_now!(&self.write, sqlx::query(MATCHES).bind(matches.as_ms()))?;
        let kind = RoomKind::Match.as_str();
        Ok(old + execute_now!(&self.write, sqlx::query(ROOMS).bind(kind).bind(rooms.as_ms()))?)
    }
}
