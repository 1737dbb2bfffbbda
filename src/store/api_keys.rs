//! Table `api_keys`: what programs act by. A key is a login without refresh tokens.

use sqlx::FromRow;
use uuid::Uuid;

use super::{
    Error, Store,
    pool::{execute, execute_now, on_pool, on_tx},
};
use crate::domain::{
    ApiKeyId, FamilyId, Time, UserId,
    api_key::{ApiKey, Scopes},
    user::Nickname,
};

/// Keys that one person can have: they make them by hand.
pub const API_KEYS: usize = 50;
/// The end of a key that has none, in milliseconds since 1970: in the year 2286.
const NEVER_MS: i64 = 9_999_999_999_999;
/// How exactly it is kept when a key was used last, in milliseconds.
const USED_WITHIN_MS: i64 = 60_000;

#[derive(FromRow)]
struct KeyRow {
    id: Uuid,
    user_id: Uuid,
    name: String,
    prefix: String,
    scopes: String,
    created_at: i64,
    expires_at: Option<i64>,
    last_used_at: Option<i64>,
}

impl From<KeyRow> for ApiKey {
    fn from(row: KeyRow) -> Self {
        Self {
            id: ApiKeyId::from_uuid(row.id),
            user: UserId::from_uuid(row.user_id),
            name: row.name,
            prefix: row.prefix,
            scopes: Scopes::parse(&row.scopes),
            created_at: Time::from_ms(row.created_at),
            expires_at: row.expires_at.map(Time::from_ms),
            last_used_at: row.last_used_at.map(Time::from_ms),
        }
    }
}

impl Store {
    /// Keeps a new key, and the login that it is. `second_factor`: the login that made it has passed one. `false`: its owner has too
    /// many already, or is none any more.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn add_api_key(
        &self,
        key: &ApiKey,
        secret_hash: &[u8],
        by: UserId,
        second_factor: bool,
    ) -> Result<bool, Error> {
        const COUNT: &str = "select count(*) from api_keys k join families f on f.id = k.id \
            where k.user_id = $1 and f.revoked_at is null";
        const LOGIN: &str = "insert into families (id, user_id, created_at, expires_at, device_name, second_factor_at) \
            select $1, id, $3, $4, $5, $6 from users where id = $2 and erased_at is null";
        const KEY: &str = "insert into api_keys \
            (id, user_id, name, prefix, secret_hash, scopes, created_by, created_at, expires_at) \
            values ($1, $2, $3, $4, $5, $6, $7, $8, $9)";
        let (id, user, at) = (key.id.as_uuid(), key.user.as_uuid(), key.created_at.as_ms());
        let expires_at = key.expires_at.map(Time::as_ms);
        let mut tx = self.write.begin().await?;
        let count: i64 = on_tx!(&mut tx, db => sqlx::query_scalar(COUNT).bind(user).fetch_one(db))?;
        if count >= API_KEYS as i64 {
            return Ok(false);
        }
        let made = execute!(
            &mut tx,
            sqlx::query(LOGIN)
                .bind(id)
                .bind(user)
                .bind(at)
                .bind(expires_at.unwrap_or(NEVER_MS))
                .bind(&key.name)
                .bind(second_factor.then_some(at))
        )?;
        if made == 0 {
            return Ok(false);
        }
        execute!(
            &mut tx,
            sqlx::query(KEY)
                .bind(id)
                .bind(user)
                .bind(&key.name)
                .bind(&key.prefix)
                .bind(secret_hash)
                .bind(key.scopes.to_string())
                .bind(by.as_uuid())
                .bind(at)
                .bind(expires_at)
        )?;
        tx.commit().await?;
        Ok(true)
    }

    /// The keys of somebody that hold, oldest first.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn api_keys(&self, user: UserId) -> Result<Vec<ApiKey>, Error> {
        const SQL: &str = "select k.* from api_keys k join families f on f.id = k.id \
            where k.user_id = $1 and f.revoked_at is null order by k.id limit $2";
        let rows: Vec<KeyRow> = on_pool!(&self.read, db => sqlx::query_as(SQL)
            .bind(user.as_uuid()).bind(2 * API_KEYS as i64).fetch_all(db))?;
        Ok(rows.into_iter().map(ApiKey::from).collect())
    }

    /// One key, whosever it is.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn api_key(&self, id: ApiKeyId) -> Result<Option<ApiKey>, Error> {
        const SQL: &str = "select k.* from api_keys k join families f on f.id = k.id \
            where k.id = $1 and f.revoked_at is null";
        let row: Option<KeyRow> =
            on_pool!(&self.read, db => sqlx::query_as(SQL).bind(id.as_uuid()).fetch_optional(db))?;
        Ok(row.map(ApiKey::from))
    }

    /// The key whose secret has that hash, revoked or not.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn api_key_of(&self, secret_hash: &[u8]) -> Result<Option<ApiKey>, Error> {
        const SQL: &str = "select * from api_keys where secret_hash = $1";
        let row: Option<KeyRow> = on_pool!(&self.read, db => sqlx::query_as(SQL).bind(secret_hash).fetch_optional(db))?;
        Ok(row.map(ApiKey::from))
    }

    /// A key is used now. Kept to a minute, so that a busy program does not write each time.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn use_api_key(&self, key: &ApiKey, now: Time) -> Result<(), Error> {
        const SQL: &str = "update api_keys set last_used_at = $2 where id = $1";
        if key.last_used_at.is_some_and(|last| now.as_ms() - last.as_ms() < USED_WITHIN_MS) {
            return Ok(());
        }
        execute_now!(&self.write, sqlx::query(SQL).bind(key.id.as_uuid()).bind(now.as_ms()))?;
        Ok(())
    }

    /// Ends a key, and the login that it is. `false`: it is over already.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn revoke_api_key(&self, id: ApiKeyId, at: Time) -> Result<bool, Error> {
        const SQL: &str = "update families set revoked_at = $2, expires_at = $2 where id = $1 and revoked_at is null";
        let family = FamilyId::from_uuid(id.as_uuid());
        Ok(execute_now!(&self.write, sqlx::query(SQL).bind(family.as_uuid()).bind(at.as_ms()))? > 0)
    }

    /// Keeps a new bot.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn create_bot(&self, id: UserId, nickname: &Nickname, at: Time) -> Result<(), Error> {
        const SQL: &str =
            "insert into users (id, nickname, site_role, created_at, bot) values ($1, $2, 'member', $3, true)";
        execute_now!(&self.write, sqlx::query(SQL).bind(id.as_uuid()).bind(nickname.as_str()).bind(at.as_ms()))?;
        Ok(())
    }

    /// Who is a program, oldest first, behind one of them.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn bots(&self, after: Option<UserId>, limit: u32) -> Result<Vec<(UserId, String, Time)>, Error> {
        const SQL: &str = "select id, nickname, created_at from users \
            where bot and erased_at is null and id > $1 order by id limit $2";
        let after = after.map_or(Uuid::nil(), UserId::as_uuid);
        let rows: Vec<(Uuid, String, i64)> =
            on_pool!(&self.read, db => sqlx::query_as(SQL).bind(after).bind(i64::from(limit)).fetch_all(db))?;
        Ok(rows.into_iter().map(|(id, name, at)| (UserId::from_uuid(id), name, Time::from_ms(at))).collect())
    }
}
