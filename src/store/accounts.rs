//! Tables `accounts` and `recovery_codes`: people with a name and a password, and their codes.

use sqlx::FromRow;
use uuid::Uuid;

use super::{
    Error, Store,
    pool::{Tx, execute, execute_now, on_pool, on_tx},
};
use crate::domain::{
    SiteRole, Time, UserId,
    cluster::ClusterId,
    user::{AgeLevel, Username},
};

/// An account, as the server keeps it.
#[derive(Clone, PartialEq, Eq)]
pub struct Account {
    /// Whose.
    pub user: UserId,
    /// The name to log in with.
    pub username: String,
    /// The password's hash: Argon2id, or bcrypt of an import.
    pub password_hash: String,
    /// Where letters go.
    pub email: Option<String>,
    /// Since when.
    pub created_at: Time,
    /// The sealed secret of the codes, wanted or in force.
    pub totp_secret: Option<Vec<u8>>,
    /// Since when codes are in force.
    pub totp_since: Option<Time>,
    /// When the secret was asked for, if its codes are not in force yet.
    pub totp_wanted_at: Option<Time>,
}

/// An account that is to be kept.
pub struct NewAccount<'a> {
    /// Whose. Somebody new, unless `upgraded`.
    pub user: UserId,
    /// The name to log in with, and to be seen by.
    pub username: &'a Username,
    /// The password's hash.
    pub password_hash: &'a str,
    /// Where letters go.
    pub email: Option<&'a str>,
    /// The person exists and goes on under this name.
    pub upgraded: bool,
    /// When.
    pub at: Time,
}

#[derive(FromRow)]
struct AccountRow {
    user_id: Uuid,
    username: String,
    password_hash: String,
    email: Option<String>,
    created_at: i64,
    totp_secret: Option<Vec<u8>>,
    totp_since: Option<i64>,
    totp_wanted_at: Option<i64>,
}

impl From<AccountRow> for Account {
    fn from(row: AccountRow) -> Self {
        Self {
            user: UserId::from_uuid(row.user_id),
            username: row.username,
            password_hash: row.password_hash,
            email: row.email,
            created_at: Time::from_ms(row.created_at),
            totp_secret: row.totp_secret,
            totp_since: row.totp_since.map(Time::from_ms),
            totp_wanted_at: row.totp_wanted_at.map(Time::from_ms),
        }
    }
}

impl Store {
    /// Keeps an account. `false`: the name is taken, or the person has one already; then nothing is kept.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn create_account(&self, new: &NewAccount<'_>) -> Result<bool, Error> {
        self.create_account_in(new, &ClusterId::default()).await
    }

    /// The same; somebody new belongs to that cluster.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn create_account_in(&self, new: &NewAccount<'_>, cluster: &ClusterId) -> Result<bool, Error> {
        const ACCOUNT: &str = "insert into accounts (user_id, username, name_key, password_hash, email, created_at, \
            password_at) values ($1, $2, $3, $4, $5, $6, $6) on conflict do nothing";
        let mut tx = self.write.begin().await?;
        if !keep_person(&mut tx, new, cluster).await? {
            return Ok(false);
        }
        let kept = execute!(
            &mut tx,
            sqlx::query(ACCOUNT)
                .bind(new.user.as_uuid())
                .bind(new.username.as_str())
                .bind(new.username.key())
                .bind(new.password_hash)
                .bind(new.email)
                .bind(new.at.as_ms())
        )?;
        if kept == 0 {
            // Dropped without a commit: the person is not kept either.
            return Ok(false);
        }
        tx.commit().await?;
        Ok(true)
    }

    /// The account of that name, whatever its case and look-alikes.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn account_of_name(&self, key: &str) -> Result<Option<Account>, Error> {
        const SQL: &str = "select * from accounts where name_key = $1";
        let row: Option<AccountRow> = on_pool!(&self.read, db => sqlx::query_as(SQL).bind(key).fetch_optional(db))?;
        Ok(row.map(Account::from))
    }

    /// Somebody's account, if they have one.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn account(&self, user: UserId) -> Result<Option<Account>, Error> {
        const SQL: &str = "select * from accounts where user_id = $1";
        let row: Option<AccountRow> =
            on_pool!(&self.read, db => sqlx::query_as(SQL).bind(user.as_uuid()).fetch_optional(db))?;
        Ok(row.map(Account::from))
    }

    /// Puts another hash in the place of the one that `old` says. `false`: it was another meanwhile.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn set_password(&self, user: UserId, old: &str, new: &str, at: Time) -> Result<bool, Error> {
        const SQL: &str =
            "update accounts set password_hash = $3, password_at = $4 where user_id = $1 and password_hash = $2";
        let set =
            execute_now!(&self.write, sqlx::query(SQL).bind(user.as_uuid()).bind(old).bind(new).bind(at.as_ms()))?;
        Ok(set > 0)
    }

    /// Keeps the sealed secret of codes that are not in force yet. `false`: others are.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn want_totp(&self, user: UserId, sealed: &[u8], at: Time) -> Result<bool, Error> {
        const SQL: &str = "update accounts set totp_secret = $2, totp_step = 0, totp_wanted_at = $3 \
            where user_id = $1 and totp_since is null";
        Ok(execute_now!(&self.write, sqlx::query(SQL).bind(user.as_uuid()).bind(sealed).bind(at.as_ms()))? > 0)
    }

    /// Forgets secrets that were asked for before then and whose codes nobody put in force. How many.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn sweep_wanted_totp(&self, before: Time) -> Result<u64, Error> {
        const SQL: &str = "update accounts set totp_secret = null, totp_wanted_at = null \
            where totp_since is null and totp_secret is not null and coalesce(totp_wanted_at, 0) < $1";
        Ok(execute_now!(&self.write, sqlx::query(SQL).bind(before.as_ms()))?)
    }

    /// Counts a wrong code. How many there have been since the last login.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn count_wrong_code(&self, user: UserId, at: Time) -> Result<u64, Error> {
        const SQL: &str = "update accounts set wrong_codes = wrong_codes + 1, wrong_code_at = $2 where user_id = $1 \
            returning wrong_codes";
        let count: Option<i64> = on_pool!(&self.write, db => sqlx::query_scalar(SQL)
            .bind(user.as_uuid()).bind(at.as_ms()).fetch_optional(db))?;
        Ok(count.and_then(|count| u64::try_from(count).ok()).unwrap_or(0))
    }

    /// How many wrong codes there have been since the last login, and when the last was; from now on there are none.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn take_wrong_codes(&self, user: UserId) -> Result<Option<(u64, Time)>, Error> {
        const SQL: &str = "select wrong_codes, wrong_code_at from accounts where user_id = $1 and wrong_codes > 0";
        const TAKE: &str = "update accounts set wrong_codes = 0, wrong_code_at = null where user_id = $1";
        let mut tx = self.write.begin().await?;
        let row: Option<(i64, Option<i64>)> =
            on_tx!(&mut tx, db => sqlx::query_as(SQL).bind(user.as_uuid()).fetch_optional(db))?;
        let Some((count, at)) = row else { return Ok(None) };
        execute!(&mut tx, sqlx::query(TAKE).bind(user.as_uuid()))?;
        tx.commit().await?;
        Ok(Some((u64::try_from(count).unwrap_or(0), Time::from_ms(at.unwrap_or(0)))))
    }

    /// Puts fresh recovery codes in the place of those that there were.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn replace_recovery_codes(&self, user: UserId, hashes: &[Vec<u8>]) -> Result<(), Error> {
        let mut tx = self.write.begin().await?;
        replace_codes(&mut tx, user, hashes).await?;
        Ok(tx.commit().await?)
    }

    /// Puts the codes in force, whose code of `step` was shown, with the hashes of fresh recovery codes. `false`: they are.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn begin_totp(&self, user: UserId, step: u64, hashes: &[Vec<u8>], at: Time) -> Result<bool, Error> {
        const SQL: &str = "update accounts set totp_since = $3, totp_step = $2, totp_wanted_at = null \
            where user_id = $1 and totp_since is null and totp_secret is not null";
        let mut tx = self.write.begin().await?;
        let begun = execute!(&mut tx, sqlx::query(SQL).bind(user.as_uuid()).bind(as_step(step)).bind(at.as_ms()))?;
        if begun == 0 {
            return Ok(false);
        }
        replace_codes(&mut tx, user, hashes).await?;
        tx.commit().await?;
        Ok(true)
    }

    /// Uses up the code of that step. `false`: it, or a later one, was used.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn use_totp(&self, user: UserId, step: u64) -> Result<bool, Error> {
        const SQL: &str =
            "update accounts set totp_step = $2 where user_id = $1 and totp_step < $2 and totp_since is not null";
        Ok(execute_now!(&self.write, sqlx::query(SQL).bind(user.as_uuid()).bind(as_step(step)))? > 0)
    }

    /// Codes are asked for no more. The recovery codes go with the last second factor.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn end_totp(&self, user: UserId) -> Result<(), Error> {
        const SQL: &str = "update accounts set totp_secret = null, totp_since = null, totp_step = 0 where user_id = $1";
        let mut tx = self.write.begin().await?;
        execute!(&mut tx, sqlx::query(SQL).bind(user.as_uuid()))?;
        drop_loose_codes(&mut tx, user).await?;
        tx.commit().await?;
        Ok(())
    }

    /// Uses up the recovery code of that hash. `false`: there is none, or it was used.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn use_recovery_code(&self, user: UserId, hash: &[u8], at: Time) -> Result<bool, Error> {
        const SQL: &str = "update recovery_codes set used_at = $3 where user_id = $1 and hash = $2 and used_at is null";
        let used = execute_now!(&self.write, sqlx::query(SQL).bind(user.as_uuid()).bind(hash).bind(at.as_ms()))?;
        Ok(used > 0)
    }

    /// How many recovery codes somebody has left.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn recovery_codes_left(&self, user: UserId) -> Result<u64, Error> {
        const SQL: &str = "select count(*) from recovery_codes where user_id = $1 and used_at is null";
        let count: i64 = on_pool!(&self.read, db => sqlx::query_scalar(SQL).bind(user.as_uuid()).fetch_one(db))?;
        Ok(u64::try_from(count).unwrap_or(0))
    }

    /// What somebody's age is known by. `None`: no such person.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn age_level(&self, user: UserId) -> Result<Option<AgeLevel>, Error> {
        const SQL: &str = "select age_level from users where id = $1";
        let name: Option<String> =
            on_pool!(&self.read, db => sqlx::query_scalar(SQL).bind(user.as_uuid()).fetch_optional(db))?;
        name.map(|name| AgeLevel::parse(&name).ok_or(Error::Unreadable(name))).transpose()
    }

    /// Says by what somebody's age is known. `false`: no such person.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn set_age_level(&self, user: UserId, level: AgeLevel) -> Result<bool, Error> {
        const SQL: &str = "update users set age_level = $2 where id = $1 and erased_at is null";
        Ok(execute_now!(&self.write, sqlx::query(SQL).bind(user.as_uuid()).bind(level.as_str()))? > 0)
    }

    /// Takes a proof of work. `false`: it was taken before.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn spend_proof(&self, hash: &[u8], expires_at: Time) -> Result<bool, Error> {
        const SQL: &str = "insert into spent_proofs (hash, expires_at) values ($1, $2) on conflict do nothing";
        Ok(execute_now!(&self.write, sqlx::query(SQL).bind(hash).bind(expires_at.as_ms()))? > 0)
    }

    /// Forgets proofs that nobody could bring again. How many.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn sweep_proofs(&self, before: Time) -> Result<u64, Error> {
        const SQL: &str = "delete from spent_proofs where expires_at < $1";
        Ok(execute_now!(&self.write, sqlx::query(SQL).bind(before.as_ms()))?)
    }
}

/// Keeps the new person, or gives the one that there is the account's name. `false`: they had everything deleted meanwhile.
async fn keep_person(tx: &mut Tx, new: &NewAccount<'_>, cluster: &ClusterId) -> Result<bool, sqlx::Error> {
    const RENAME: &str = "update users set nickname = $2 where id = $1 and erased_at is null";
    const PERSON: &str =
        "insert into users (id, nickname, site_role, created_at, cluster_id) values ($1, $2, $3, $4, $5)";
    let (id, name) = (new.user.as_uuid(), new.username.as_str());
    if new.upgraded {
        Ok(execute!(tx, sqlx::query(RENAME).bind(id).bind(name))? > 0)
    } else {
        let role = SiteRole::Member.as_str();
        let (at, cluster) = (new.at.as_ms(), cluster.as_str());
        Ok(execute!(tx, sqlx::query(PERSON).bind(id).bind(name).bind(role).bind(at).bind(cluster))? > 0)
    }
}

/// Deletes recovery codes that stand in for nothing: no second factor is left.
pub(super) async fn drop_loose_codes(tx: &mut Tx, user: UserId) -> Result<(), sqlx::Error> {
    const SQL: &str = "delete from recovery_codes where user_id = $1 \
        and not exists (select 1 from passkeys where user_id = $1) \
        and not exists (select 1 from accounts where user_id = $1 and totp_since is not null)";
    execute!(tx, sqlx::query(SQL).bind(user.as_uuid()))?;
    Ok(())
}

async fn replace_codes(tx: &mut Tx, user: UserId, hashes: &[Vec<u8>]) -> Result<(), sqlx::Error> {
    const SQL: &str = "insert into recovery_codes (user_id, hash) values ($1, $2)";
    execute!(tx, sqlx::query("delete from recovery_codes where user_id = $1").bind(user.as_uuid()))?;
    for hash in hashes {
        execute!(tx, sqlx::query(SQL).bind(user.as_uuid()).bind(&hash[..]))?;
    }
    Ok(())
}

/// A step of 30 s since 1970: it fits for longer than the sun burns.
fn as_step(step: u64) -> i64 {
    i64::try_from(step).unwrap_or(i64::MAX)
}
