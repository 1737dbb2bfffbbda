//! Table `requests_once`: what somebody asked for under a name of their own, and was answered.

use sqlx::FromRow;

use super::{
    Error, Store,
    pool::{execute_now, on_pool},
};
use crate::domain::{Time, UserId};

/// Requests of one person that are remembered at once: a program that names each of seven a minute for a day.
pub const ONCE: usize = 10_000;
/// Rows that one sweep forgets at a time, so that it holds up nobody.
const BATCH: i64 = 500;

/// A request, as the database may know it: hashes whose key it does not have.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OnceRow {
    /// Whose.
    pub user: UserId,
    /// The name that they gave it.
    pub key_hash: Vec<u8>,
    /// What they asked for.
    pub request_hash: Vec<u8>,
    /// When.
    pub begun_at: Time,
}

/// What is known of a request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum OnceFound {
    /// Nothing: it is noted now, and whoever asked is the one to do it.
    New,
    /// It is being done.
    Begun {
        /// Whether what is being done is the same.
        same: bool,
    },
    /// It was done.
    Done {
        /// Whether what was done is the same.
        same: bool,
        /// What was answered, sealed.
        answer: Vec<u8>,
    },
    /// The person has as many as may be.
    TooMany,
}

#[derive(FromRow)]
struct Kept {
    request_hash: Vec<u8>,
    answer: Option<Vec<u8>>,
}

impl Store {
    /// Notes that a request is being done, unless it is or was already. What began before `kept_since` counts no more, and neither
    /// does what began before `done_since` and has no answer: who did it is gone.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn begin_once(&self, row: &OnceRow, kept_since: Time, done_since: Time) -> Result<OnceFound, Error> {
        const COUNT: &str = "select count(*) from (select 1 as one from requests_once \
            where user_id = $1 and begun_at >= $2 and key_hash <> $3 limit $4) as theirs";
        const BEGIN: &str = "insert into requests_once (user_id, key_hash, request_hash, begun_at) values ($1, $2, $3, $4) \
            on conflict (user_id, key_hash) do update \
            set request_hash = excluded.request_hash, begun_at = excluded.begun_at, answer = null \
            where requests_once.begun_at < $5 or (requests_once.answer is null and requests_once.begun_at < $6)";
        const FIND: &str = "select request_hash, answer from requests_once where user_id = $1 and key_hash = $2";
        let (user, key) = (row.user.as_uuid(), row.key_hash.as_slice());
        let most = i64::try_from(ONCE).unwrap_or(i64::MAX);
        let count: i64 = on_pool!(&self.read, db => sqlx::query_scalar(COUNT)
            .bind(user).bind(kept_since.as_ms()).bind(key).bind(most).fetch_one(db))?;
        if count >= most {
            return Ok(OnceFound::TooMany);
        }
        let begun = execute_now!(
            &self.write,
            sqlx::query(BEGIN)
                .bind(user)
                .bind(key)
                .bind(row.request_hash.as_slice())
                .bind(row.begun_at.as_ms())
                .bind(kept_since.as_ms())
                .bind(done_since.as_ms())
        )?;
        if begun > 0 {
            return Ok(OnceFound::New);
        }
        let kept: Option<Kept> =
            on_pool!(&self.write, db => sqlx::query_as(FIND).bind(user).bind(key).fetch_optional(db))?;
        Ok(match kept {
            Some(Kept { request_hash, answer: Some(answer) }) => {
                OnceFound::Done { same: request_hash == row.request_hash, answer }
            }
            Some(Kept { request_hash, answer: None }) => OnceFound::Begun { same: request_hash == row.request_hash },
            // It was refused between the two looks: whoever asks again does it.
            None => OnceFound::Begun { same: true },
        })
    }

    /// Keeps what a request was answered, if it is still the one that was begun.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn finish_once(&self, row: &OnceRow, answer: &[u8]) -> Result<(), Error> {
        const SQL: &str = "update requests_once set answer = $4 \
            where user_id = $1 and key_hash = $2 and begun_at = $3 and answer is null";
        execute_now!(
            &self.write,
            sqlx::query(SQL)
                .bind(row.user.as_uuid())
                .bind(row.key_hash.as_slice())
                .bind(row.begun_at.as_ms())
                .bind(answer)
        )?;
        Ok(())
    }

    /// Forgets a request that was refused: nothing was done.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn forget_once(&self, row: &OnceRow) -> Result<(), Error> {
        const SQL: &str = "delete from requests_once \
            where user_id = $1 and key_hash = $2 and begun_at = $3 and answer is null";
        execute_now!(
            &self.write,
            sqlx::query(SQL).bind(row.user.as_uuid()).bind(row.key_hash.as_slice()).bind(row.begun_at.as_ms())
        )?;
        Ok(())
    }

    /// Forgets requests that began before then; how many.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn sweep_once(&self, before: Time) -> Result<u64, Error> {
        const SQL: &str = "delete from requests_once where (user_id, key_hash) in \
            (select user_id, key_hash from requests_once where begun_at < $1 order by begun_at limit $2)";
        let mut swept = 0;
        loop {
            let gone = execute_now!(&self.write, sqlx::query(SQL).bind(before.as_ms()).bind(BATCH))?;
            swept += gone;
            if gone < BATCH.unsigned_abs() {
                return Ok(swept);
            }
        }
    }
}
