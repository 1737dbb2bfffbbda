//! Table `families` as its owner sees it: logins by device, and ending them.

use std::time::Duration;

use uuid::Uuid;

use super::{
    Error, Login, LoginRecord, Person, Reuse, Store,
    families::{LoginRow, RecordRow},
    pool::{execute, execute_now, on_pool},
};
use crate::domain::{FamilyId, Time, UserId};

impl Store {
    /// A login that is not revoked, and whose it is.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn login(&self, id: FamilyId) -> Result<Option<Login>, Error> {
        const SQL: &str = "select u.id as user_id, u.nickname, u.site_role, u.created_at, u.bot, u.cluster_id, \
            a.user_id is not null as is_account, f.second_factor_at is not null as second_factor \
            from families f join users u on u.id = f.user_id left join accounts a on a.user_id = u.id \
            where f.id = $1 and f.revoked_at is null";
        let row: Option<LoginRow> =
            on_pool!(&self.read, db => sqlx::query_as(SQL).bind(id.as_uuid()).fetch_optional(db))?;
        let Some(row) = row else { return Ok(None) };
        let person = Person::try_from(row.person)?;
        Ok(Some(Login { person, is_account: row.is_account, second_factor: row.second_factor }))
    }

    /// Keeps what a login's device says of itself, in words.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn name_login(&self, id: FamilyId, device_name: &str) -> Result<(), Error> {
        const SQL: &str = "update families set device_name = $2 where id = $1";
        execute_now!(&self.write, sqlx::query(SQL).bind(id.as_uuid()).bind(device_name))?;
        Ok(())
    }

    /// A login has passed a second factor.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn pass_second_factor(&self, id: FamilyId, at: Time) -> Result<(), Error> {
        const SQL: &str = "update families set second_factor_at = $2 where id = $1";
        execute_now!(&self.write, sqlx::query(SQL).bind(id.as_uuid()).bind(at.as_ms()))?;
        Ok(())
    }

    /// A login lasts until then from now on: its owner has an account now.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn prolong_login(&self, id: FamilyId, at: Time, idle: Duration) -> Result<(), Error> {
        let until = at.after(idle).as_ms();
        let mut tx = self.write.begin().await?;
        const FAMILY: &str = "update families set expires_at = $2 where id = $1";
        const TOKENS: &str = "update refresh_tokens set expires_at = $2 where family_id = $1 and used_at is null";
        execute!(&mut tx, sqlx::query(FAMILY).bind(id.as_uuid()).bind(until))?;
        execute!(&mut tx, sqlx::query(TOKENS).bind(id.as_uuid()).bind(until))?;
        tx.commit().await?;
        Ok(())
    }

    /// Somebody's logins that hold, the latest first; at most `limit`.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn logins(&self, user: UserId, now: Time, limit: u32) -> Result<Vec<LoginRecord>, Error> {
        const SQL: &str = "select id, device_name, created_at, last_used_at, second_factor_at from families \
            where user_id = $1 and revoked_at is null and expires_at > $2 \
            and not exists (select 1 from api_keys k where k.id = families.id) order by id desc limit $3";
        let rows: Vec<RecordRow> = on_pool!(&self.read, db => sqlx::query_as(SQL)
            .bind(user.as_uuid()).bind(now.as_ms()).bind(i64::from(limit)).fetch_all(db))?;
        Ok(rows.into_iter().map(LoginRecord::from).collect())
    }

    /// Ends one login of somebody's. `false`: they have no such.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn revoke_login(&self, user: UserId, id: FamilyId, at: Time) -> Result<bool, Error> {
        const SQL: &str = "update families set revoked_at = $3 where id = $1 and user_id = $2 and revoked_at is null";
        let ended =
            execute_now!(&self.write, sqlx::query(SQL).bind(id.as_uuid()).bind(user.as_uuid()).bind(at.as_ms()))?;
        Ok(ended > 0)
    }

    /// Ends all logins of somebody's but that one. Which.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn revoke_logins(&self, user: UserId, but: Option<FamilyId>, at: Time) -> Result<Vec<FamilyId>, Error> {
        const SQL: &str = "update families set revoked_at = $3 \
            where user_id = $1 and id <> $2 and revoked_at is null returning id";
        let but = but.map_or(Uuid::nil(), FamilyId::as_uuid);
        let ended: Vec<Uuid> = on_pool!(&self.write, db => sqlx::query_scalar(SQL)
            .bind(user.as_uuid()).bind(but).bind(at.as_ms()).fetch_all(db))?;
        Ok(ended.into_iter().map(FamilyId::from_uuid).collect())
    }

    /// Whose login this is or was, and what its device said of itself.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn owner_of_login(&self, id: FamilyId) -> Result<Option<(UserId, Option<String>)>, Error> {
        const SQL: &str = "select user_id, device_name from families where id = $1";
        let row: Option<(Uuid, Option<String>)> =
            on_pool!(&self.write, db => sqlx::query_as(SQL).bind(id.as_uuid()).fetch_optional(db))?;
        Ok(row.map(|(user, name)| (UserId::from_uuid(user), name)))
    }

    /// The logins of somebody's that ended because a token came twice, of which they were not told; now they are.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn take_reuses(&self, user: UserId, at: Time) -> Result<Vec<Reuse>, Error> {
        const SQL: &str = "update families set reuse_told_at = $2 where user_id = $1 and reused_at is not null \
            and reuse_told_at is null returning device_name, reused_at";
        let rows: Vec<(Option<String>, i64)> = on_pool!(&self.write, db => sqlx::query_as(SQL)
            .bind(user.as_uuid()).bind(at.as_ms()).fetch_all(db))?;
        Ok(rows.into_iter().map(|(device_name, at)| Reuse { device_name, at: Time::from_ms(at) }).collect())
    }

    /// How many people without an account are logged in on a device.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn identities_of_device(&self, device: &[u8], now: Time) -> Result<u64, Error> {
        const SQL: &str = "select count(distinct f.user_id) from families f left join accounts a on a.user_id = f.user_id \
            where f.device_hash = $1 and f.revoked_at is null and f.expires_at > $2 and a.user_id is null";
        let count: i64 = on_pool!(&self.read, db => sqlx::query_scalar(SQL)
            .bind(device).bind(now.as_ms()).fetch_one(db))?;
        Ok(u64::try_from(count).unwrap_or(0))
    }
}

impl From<RecordRow> for LoginRecord {
    fn from(row: RecordRow) -> Self {
        Self {
            id: FamilyId::from_uuid(row.id),
            device_name: row.device_name,
            created_at: Time::from_ms(row.created_at),
            last_used_at: Time::from_ms(row.last_used_at.unwrap_or(row.created_at)),
            second_factor: row.second_factor_at.is_some(),
        }
    }
}
