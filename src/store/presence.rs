//! Table `presences`: what people want to be seen as, and who may see it.

use sqlx::FromRow;
use uuid::Uuid;

use super::{
    Error, Store,
    pool::{execute_now, on_pool},
};
use crate::domain::{
    Time, UserId,
    presence::{Status, Wish},
};

/// What is known of somebody.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Kept {
    /// What they want to be seen as.
    pub wish: Wish,
    /// Whether nobody is told what they have read.
    pub private_receipts: bool,
    /// The day on which they were last seen.
    pub last_seen: Option<Time>,
}

#[derive(FromRow)]
struct KeptRow {
    status: String,
    words: Option<String>,
    words_until: Option<i64>,
    private_receipts: bool,
    last_seen: Option<i64>,
}

impl Store {
    /// What is known of somebody.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn presence(&self, user: UserId) -> Result<Kept, Error> {
        const SQL: &str =
            "select status, words, words_until, private_receipts, last_seen from presences where user_id = $1";
        let row: Option<KeptRow> =
            on_pool!(&self.read, db => sqlx::query_as(SQL).bind(user.as_uuid()).fetch_optional(db))?;
        let Some(row) = row else { return Ok(Kept::default()) };
        let status = Status::parse(&row.status).ok_or(Error::Unreadable(row.status))?;
        Ok(Kept {
            wish: Wish { status, text: row.words, text_until: row.words_until.map(Time::from_ms) },
            private_receipts: row.private_receipts,
            last_seen: row.last_seen.map(Time::from_ms),
        })
    }

    /// What somebody wants to be seen as from now on.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn keep_wish(&self, user: UserId, wish: &Wish) -> Result<(), Error> {
        const SQL: &str = "insert into presences (user_id, status, words, words_until) values ($1, $2, $3, $4) \
            on conflict (user_id) do update set status = excluded.status, words = excluded.words, \
            words_until = excluded.words_until";
        let (user, until) = (user.as_uuid(), wish.text_until.map(Time::as_ms));
        execute_now!(&self.write, sqlx::query(SQL).bind(user).bind(wish.status.as_str()).bind(&wish.text).bind(until))?;
        Ok(())
    }

    /// The same if what they wanted until now is what was seen. `false`: it is not.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn replace_wish(&self, user: UserId, seen: &Wish, wish: &Wish) -> Result<bool, Error> {
        const CHANGE: &str = "update presences set status = $2, words = $3, words_until = $4 where user_id = $1 \
            and status = $5 and words is not distinct from $6 and words_until is not distinct from $7";
        const BEGIN: &str = "insert into presences (user_id, status, words, words_until) values ($1, $2, $3, $4) \
            on conflict (user_id) do nothing";
        let (user, until) = (user.as_uuid(), wish.text_until.map(Time::as_ms));
        let (status, seen_until) = (wish.status.as_str(), seen.text_until.map(Time::as_ms));
        let changed = execute_now!(
            &self.write,
            sqlx::query(CHANGE)
                .bind(user)
                .bind(status)
                .bind(&wish.text)
                .bind(until)
                .bind(seen.status.as_str())
                .bind(&seen.text)
                .bind(seen_until)
        )?;
        if changed > 0 || *seen != Wish::default() {
            return Ok(changed > 0);
        }
        let begun = execute_now!(&self.write, sqlx::query(BEGIN).bind(user).bind(status).bind(&wish.text).bind(until))?;
        Ok(begun > 0)
    }

    /// Whether anybody is told what somebody has read.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn keep_receipts_private(&self, user: UserId, private: bool) -> Result<(), Error> {
        const SQL: &str = "insert into presences (user_id, private_receipts) values ($1, $2) \
            on conflict (user_id) do update set private_receipts = excluded.private_receipts";
        execute_now!(&self.write, sqlx::query(SQL).bind(user.as_uuid()).bind(private))?;
        Ok(())
    }

    /// Somebody was there on that day.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn keep_last_seen(&self, user: UserId, day: Time) -> Result<(), Error> {
        // A day that is known already costs no write.
        const SQL: &str = "insert into presences (user_id, last_seen) select $1, $2 \
            where exists (select 1 from users where id = $1) \
            on conflict (user_id) do update set last_seen = excluded.last_seen \
            where presences.last_seen is null or presences.last_seen < excluded.last_seen";
        execute_now!(&self.write, sqlx::query(SQL).bind(user.as_uuid()).bind(day.as_ms()))?;
        Ok(())
    }

    /// Those who are told what becomes of somebody: who shares a room of up to `size` members with them and is not blocked by either;
    /// up to `most` of them.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn acquaintances(&self, user: UserId, size: u32, most: u32) -> Result<Vec<UserId>, Error> {
        const SQL: &str = "select distinct o.user_id from members mine \
            join members o on o.room_id = mine.room_id and o.user_id <> mine.user_id \
            where mine.user_id = $1 and mine.room_id in (select m.room_id from members m join rooms r on r.id = m.room_id \
                where m.user_id = $1 and r.kind <> 'match' \
                and (select count(*) from (select 1 from members c where c.room_id = m.room_id limit $2) as it) < $2 \
                order by m.joined_at desc limit $3) \
            and not exists (select 1 from blocks b where (b.user_id = $1 and b.blocked_id = o.user_id) \
                or (b.user_id = o.user_id and b.blocked_id = $1)) \
            limit $4";
        let rows: Vec<Uuid> = on_pool!(&self.read, db => sqlx::query_scalar(SQL)
            .bind(user.as_uuid()).bind(i64::from(size) + 1).bind(i64::from(size)).bind(i64::from(most)).fetch_all(db))?;
        Ok(rows.into_iter().map(UserId::from_uuid).collect())
    }

    /// Whether two people share a room other than one of strangers, and neither blocks the other.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn know_each_other(&self, one: UserId, other: UserId) -> Result<bool, Error> {
        const SQL: &str = "select count(*) from (select 1 from members a \
            join members b on b.room_id = a.room_id and b.user_id = $2 join rooms r on r.id = a.room_id \
            where a.user_id = $1 and r.kind <> 'match' and not exists (select 1 from blocks x \
                where (x.user_id = $1 and x.blocked_id = $2) or (x.user_id = $2 and x.blocked_id = $1)) limit 1) as it";
        let count: i64 = on_pool!(&self.read, db => sqlx::query_scalar(SQL)
            .bind(one.as_uuid()).bind(other.as_uuid()).fetch_one(db))?;
        Ok(count > 0)
    }
}
