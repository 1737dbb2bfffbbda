//! Table `passkeys`: credentials by which accounts log in without a code, or without a password.

use sqlx::FromRow;
use uuid::Uuid;

use super::{
    Error, Store,
    accounts::drop_loose_codes,
    pool::{execute, execute_now, on_pool},
};
use crate::domain::{PasskeyId, Time, UserId};

/// Passkeys that one person can have.
pub const PASSKEYS: usize = 20;

/// A passkey.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PasskeyRecord {
    /// Which.
    pub id: PasskeyId,
    /// Whose.
    pub user: UserId,
    /// The authenticator's own name for it.
    pub credential_id: Vec<u8>,
    /// What its owner calls it.
    pub name: String,
    /// Public key and counter, as the library writes them (JSON).
    pub credential: String,
    /// Since when.
    pub created_at: Time,
    /// When somebody last came by it.
    pub last_used_at: Option<Time>,
}

#[derive(FromRow)]
struct PasskeyRow {
    id: Uuid,
    user_id: Uuid,
    credential_id: Vec<u8>,
    name: String,
    credential: String,
    created_at: i64,
    last_used_at: Option<i64>,
}

impl From<PasskeyRow> for PasskeyRecord {
    fn from(row: PasskeyRow) -> Self {
        Self {
            id: PasskeyId::from_uuid(row.id),
            user: UserId::from_uuid(row.user_id),
            credential_id: row.credential_id,
            name: row.name,
            credential: row.credential,
            created_at: Time::from_ms(row.created_at),
            last_used_at: row.last_used_at.map(Time::from_ms),
        }
    }
}

impl Store {
    /// Keeps a passkey. `false`: it is known already, here or with somebody else.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn add_passkey(&self, new: &PasskeyRecord) -> Result<bool, Error> {
        const SQL: &str = "insert into passkeys (id, user_id, credential_id, name, credential, created_at) \
            values ($1, $2, $3, $4, $5, $6) on conflict do nothing";
        // A secret that was asked for before is none of somebody's who has shown this one.
        const WANTED: &str = "update accounts set totp_secret = null where user_id = $1 and totp_since is null";
        let mut tx = self.write.begin().await?;
        let added = execute!(
            &mut tx,
            sqlx::query(SQL)
                .bind(new.id.as_uuid())
                .bind(new.user.as_uuid())
                .bind(&new.credential_id[..])
                .bind(&new.name)
                .bind(&new.credential)
                .bind(new.created_at.as_ms())
        )?;
        if added > 0 {
            execute!(&mut tx, sqlx::query(WANTED).bind(new.user.as_uuid()))?;
        }
        tx.commit().await?;
        Ok(added > 0)
    }

    /// Somebody's passkeys, the oldest first.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn passkeys(&self, user: UserId) -> Result<Vec<PasskeyRecord>, Error> {
        const SQL: &str = "select * from passkeys where user_id = $1 order by id limit $2";
        let rows: Vec<PasskeyRow> = on_pool!(&self.read, db => sqlx::query_as(SQL)
            .bind(user.as_uuid()).bind(PASSKEYS as i64).fetch_all(db))?;
        Ok(rows.into_iter().map(PasskeyRecord::from).collect())
    }

    /// A passkey was used: its counter may have moved.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn used_passkey(&self, id: PasskeyId, credential: &str, at: Time) -> Result<(), Error> {
        const SQL: &str = "update passkeys set credential = $2, last_used_at = $3 where id = $1";
        execute_now!(&self.write, sqlx::query(SQL).bind(id.as_uuid()).bind(credential).bind(at.as_ms()))?;
        Ok(())
    }

    /// Forgets a passkey of somebody's. `false`: they have no such.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn remove_passkey(&self, user: UserId, id: PasskeyId) -> Result<bool, Error> {
        const SQL: &str = "delete from passkeys where id = $1 and user_id = $2";
        let mut tx = self.write.begin().await?;
        let removed = execute!(&mut tx, sqlx::query(SQL).bind(id.as_uuid()).bind(user.as_uuid()))?;
        drop_loose_codes(&mut tx, user).await?;
        tx.commit().await?;
        Ok(removed > 0)
    }
}
