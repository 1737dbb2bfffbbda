//! Table `blocks`: who does not want to meet whom.

use sqlx::FromRow;
use uuid::Uuid;

use super::{
    Error, Store,
    pool::{execute_now, on_pool},
};
use crate::domain::{RoomId, Time, UserId};

/// People that one person can block.
pub const BLOCKS: usize = 1_000;
/// Of those who block somebody, or are blocked by them, so many are told at once; two that are about to meet are looked at on their
/// own anyway.
const EITHER_WAY: i64 = 10_000;

/// Somebody whom one blocks.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Block {
    /// Whom.
    pub user: UserId,
    /// The name they chose.
    pub nickname: String,
    /// Since when.
    pub at: Time,
}

#[derive(FromRow)]
struct BlockRow {
    blocked_id: Uuid,
    nickname: String,
    created_at: i64,
}

impl Store {
    /// Somebody blocks somebody else, once more or for the first time. `false`: they block too many already.
    ///
    /// # Errors
    /// When the database fails, also because one of the two does not exist.
    pub async fn block(&self, user: UserId, other: UserId, at: Time) -> Result<bool, Error> {
        const COUNT: &str = "select count(*) from blocks where user_id = $1 and blocked_id <> $2";
        const SQL: &str = "insert into blocks (user_id, blocked_id, created_at) values ($1, $2, $3) \
            on conflict (user_id, blocked_id) do nothing";
        let (user, other) = (user.as_uuid(), other.as_uuid());
        let count: i64 = on_pool!(&self.read, db => sqlx::query_scalar(COUNT).bind(user).bind(other).fetch_one(db))?;
        if count >= BLOCKS as i64 {
            return Ok(false);
        }
        execute_now!(&self.write, sqlx::query(SQL).bind(user).bind(other).bind(at.as_ms()))?;
        Ok(true)
    }

    /// Somebody blocks somebody else no more.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn unblock(&self, user: UserId, other: UserId) -> Result<(), Error> {
        const SQL: &str = "delete from blocks where user_id = $1 and blocked_id = $2";
        execute_now!(&self.write, sqlx::query(SQL).bind(user.as_uuid()).bind(other.as_uuid()))?;
        Ok(())
    }

    /// Whom somebody blocks, the latest first.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn blocks(&self, user: UserId) -> Result<Vec<Block>, Error> {
        const SQL: &str = "select blocked_id, nickname, blocks.created_at as created_at from blocks \
            join users on users.id = blocked_id where user_id = $1 order by blocks.created_at desc, blocked_id limit $2";
        let rows: Vec<BlockRow> = on_pool!(&self.read, db => sqlx::query_as(SQL)
            .bind(user.as_uuid()).bind(BLOCKS as i64).fetch_all(db))?;
        let block = |row: BlockRow| Block {
            user: UserId::from_uuid(row.blocked_id),
            nickname: row.nickname,
            at: Time::from_ms(row.created_at),
        };
        Ok(rows.into_iter().map(block).collect())
    }

    /// Whether one of the two blocks the other. People of two clusters are to each other as if they did.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn are_blocked(&self, one: UserId, other: UserId) -> Result<bool, Error> {
        const SQL: &str = "select case when exists (select 1 from blocks \
            where user_id = $1 and blocked_id = $2 or user_id = $2 and blocked_id = $1) \
            or (select count(distinct cluster_id) from users where id in ($1, $2)) > 1 then 1 else 0 end";
        let are: i32 = on_pool!(&self.read, db => sqlx::query_scalar(SQL)
            .bind(one.as_uuid()).bind(other.as_uuid()).fetch_one(db))?;
        Ok(are > 0)
    }

    /// The members of a room between whom and somebody there is a block, in order.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn blocked_in(&self, room: RoomId, user: UserId) -> Result<Vec<UserId>, Error> {
        // Whom they have a block with are few; the members of a room may be many.
        const SQL: &str = "select m.user_id from members m where m.room_id = $1 and m.user_id in ( \
            select blocked_id from blocks where user_id = $2 union select user_id from blocks where blocked_id = $2) \
            order by m.user_id limit $3";
        let rows: Vec<Uuid> = on_pool!(&self.read, db => sqlx::query_scalar(SQL)
            .bind(room.as_uuid()).bind(user.as_uuid()).bind(EITHER_WAY).fetch_all(db))?;
        Ok(rows.into_iter().map(UserId::from_uuid).collect())
    }

    /// Those whom somebody blocks, and those who block them; the latest of them, if they are very many.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn blocked_either_way(&self, user: UserId) -> Result<Vec<UserId>, Error> {
        const SQL: &str = "select blocked_id as other, created_at from blocks where user_id = $1 \
            union all select user_id as other, created_at from blocks where blocked_id = $1 \
            order by created_at desc limit $2";
        let rows: Vec<(Uuid, i64)> = on_pool!(&self.read, db => sqlx::query_as(SQL)
            .bind(user.as_uuid()).bind(EITHER_WAY).fetch_all(db))?;
        Ok(rows.into_iter().map(|(other, _)| UserId::from_uuid(other)).collect())
    }
}
