//! Tables `families` and `refresh_tokens`: logins, and the chain of one-time tokens of each.

use std::time::Duration;

use sqlx::FromRow;
use uuid::Uuid;

use super::{
    Error, Person, Store,
    pool::{Tx, execute, on_pool, on_tx},
    users::PersonRow,
};
use crate::domain::{FamilyId, Time, UserId};

/// What became of a refresh token that somebody brought.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Redeemed {
    /// It was good, and is used up now.
    Good(Refreshed),
    /// No such token.
    Unknown,
    /// Its family was revoked.
    Revoked(FamilyId),
    /// Its time was over.
    Expired,
    /// It had been used before: the whole family is revoked now.
    Reused(FamilyId),
}

/// Whose login goes on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refreshed {
    /// The login.
    pub family: FamilyId,
    /// Whose.
    pub person: Person,
    /// They have an account.
    pub is_account: bool,
    /// It has passed a second factor.
    pub second_factor: bool,
}

/// How long a login waits for its owner, who has an account or not.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Idle {
    /// Without an account.
    pub anonymous: Duration,
    /// With one.
    pub account: Duration,
}

impl From<Duration> for Idle {
    fn from(both: Duration) -> Self {
        Self { anonymous: both, account: both }
    }
}

impl Idle {
    /// For whom.
    pub fn of(self, is_account: bool) -> Duration {
        if is_account { self.account } else { self.anonymous }
    }
}

/// A login that holds, and whose it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Login {
    /// Whose.
    pub person: Person,
    /// They have an account.
    pub is_account: bool,
    /// It has passed a second factor.
    pub second_factor: bool,
}

/// A login as its owner sees it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LoginRecord {
    /// Which.
    pub id: FamilyId,
    /// What the device said of itself, in words.
    pub device_name: Option<String>,
    /// Since when.
    pub created_at: Time,
    /// When it was last gone on with.
    pub last_used_at: Time,
    /// It has passed a second factor.
    pub second_factor: bool,
}

/// A login that ended because one of its tokens came twice.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reuse {
    /// What the device said of itself, in words.
    pub device_name: Option<String>,
    /// When the second came.
    pub at: Time,
}

/// Where a login comes from, as far as it is kept.
#[derive(Clone, Copy, Debug, Default)]
pub struct Trace<'a> {
    /// The hash of the device's cookie.
    pub device: Option<&'a [u8]>,
    /// The keyed hash of the address.
    pub address: Option<&'a [u8]>,
}

#[derive(FromRow)]
struct TokenRow {
    family_id: Uuid,
    expires_at: i64,
    used_at: Option<i64>,
    revoked_at: Option<i64>,
    is_account: bool,
    second_factor: bool,
    #[sqlx(flatten)]
    person: PersonRow,
}

#[derive(FromRow)]
pub(super) struct LoginRow {
    pub(super) is_account: bool,
    pub(super) second_factor: bool,
    #[sqlx(flatten)]
    pub(super) person: PersonRow,
}

#[derive(FromRow)]
pub(super) struct RecordRow {
    pub(super) id: Uuid,
    pub(super) device_name: Option<String>,
    pub(super) created_at: i64,
    pub(super) last_used_at: Option<i64>,
    pub(super) second_factor_at: Option<i64>,
}

impl Store {
    /// Begins a login with its first refresh token.
    ///
    /// # Errors
    /// When the database fails, or the person is none any more: a token without a login is not kept.
    pub async fn create_family(
        &self,
        id: FamilyId,
        user: UserId,
        token_hash: &[u8],
        trace: Trace<'_>,
        at: Time,
        idle: Duration,
    ) -> Result<(), Error> {
        let mut tx = self.write.begin().await?;
        let expires_at = at.after(idle);
        execute!(
            &mut tx,
            sqlx::query(
                "insert into families (id, user_id, created_at, expires_at, device_hash, address_hash, address_at) \
                 select $1, id, $3, $4, $5, $6, $7 from users where id = $2 and erased_at is null"
            )
            .bind(id.as_uuid())
            .bind(user.as_uuid())
            .bind(at.as_ms())
            .bind(expires_at.as_ms())
            .bind(trace.device)
            .bind(trace.address)
            .bind(trace.address.map(|_| at.as_ms()))
        )?;
        insert_token(&mut tx, id, token_hash, expires_at).await?;
        tx.commit().await?;
        Ok(())
    }

    /// Takes a refresh token and puts the next one in its place, in one transaction: of two that bring the same token at
    /// once, one succeeds and the other revokes the family. `address` is the keyed hash of where it came from.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn redeem_refresh_token(
        &self,
        hash: &[u8],
        next_hash: &[u8],
        address: Option<&[u8]>,
        at: Time,
        idle: impl Into<Idle>,
    ) -> Result<Redeemed, Error> {
        const USE: &str =
            "update refresh_tokens set used_at = $2 where hash = $1 and used_at is null returning expires_at";
        let mut tx = self.write.begin().await?;
        let fresh: Option<i64> = on_tx!(&mut tx, db => sqlx::query_scalar(USE)
            .bind(hash).bind(at.as_ms()).fetch_optional(db))?;
        let Some(row) = token(&mut tx, hash).await? else {
            return Ok(Redeemed::Unknown);
        };
        let family = FamilyId::from_uuid(row.family_id);
        if row.revoked_at.is_some() {
            return Ok(Redeemed::Revoked(family));
        }
        if fresh.is_none() && row.used_at.is_some() {
            revoke(&mut tx, family, at).await?;
            const REUSED: &str = "update families set reused_at = $2 where id = $1 and reused_at is null";
            execute!(&mut tx, sqlx::query(REUSED).bind(family.as_uuid()).bind(at.as_ms()))?;
            tx.commit().await?;
            return Ok(Redeemed::Reused(family));
        }
        if row.expires_at <= at.as_ms() {
            return Ok(Redeemed::Expired);
        }
        let (is_account, second_factor) = (row.is_account, row.second_factor);
        let expires_at = at.after(idle.into().of(is_account));
        insert_token(&mut tx, family, next_hash, expires_at).await?;
        execute!(
            &mut tx,
            sqlx::query(
                "update families set expires_at = $2, address_hash = $3, address_at = $4, last_used_at = $5 where id = $1"
            )
            .bind(family.as_uuid())
            .bind(expires_at.as_ms())
            .bind(address)
            .bind(address.map(|_| at.as_ms()))
            .bind(at.as_ms())
        )?;
        tx.commit().await?;
        Ok(Redeemed::Good(Refreshed { family, person: row.person.try_into()?, is_account, second_factor }))
    }

    /// Whose login this is, as long as it is not revoked.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn family(&self, id: FamilyId) -> Result<Option<Person>, Error> {
        const SQL: &str = "select u.id as user_id, u.nickname, u.site_role, u.created_at, u.cluster_id from families f \
            join users u on u.id = f.user_id where f.id = $1 and f.revoked_at is null";
        let row: Option<PersonRow> =
            on_pool!(&self.read, db => sqlx::query_as(SQL).bind(id.as_uuid()).fetch_optional(db))?;
        row.map(Person::try_from).transpose()
    }

    /// Ends a login: none of its tokens is good any more.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn revoke_family(&self, id: FamilyId, at: Time) -> Result<(), Error> {
        let mut tx = self.write.begin().await?;
        revoke(&mut tx, id, at).await?;
        tx.commit().await?;
        Ok(())
    }

    /// Ends the login that a refresh token belongs to, if there is one; that login.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn revoke_family_of_token(&self, hash: &[u8], at: Time) -> Result<Option<FamilyId>, Error> {
        let mut tx = self.write.begin().await?;
        let family = token(&mut tx, hash).await?.map(|row| FamilyId::from_uuid(row.family_id));
        if let Some(family) = family {
            revoke(&mut tx, family, at).await?;
        }
        tx.commit().await?;
        Ok(family)
    }

    /// Forgets logins that nobody can refresh any more. Which.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn sweep_families(&self, before: Time) -> Result<Vec<FamilyId>, Error> {
        const SQL: &str = "delete from families where expires_at < $1 returning id";
        let swept: Vec<Uuid> = on_pool!(&self.write, db => sqlx::query_scalar(SQL).bind(before.as_ms()).fetch_all(db))?;
        Ok(swept.into_iter().map(FamilyId::from_uuid).collect())
    }
}

async fn token(tx: &mut Tx, hash: &[u8]) -> Result<Option<TokenRow>, sqlx::Error> {
    const SQL: &str = "select t.family_id, t.expires_at, t.used_at, f.revoked_at, \
        u.id as user_id, u.nickname, u.site_role, u.created_at, u.cluster_id, \
        a.user_id is not null as is_account, f.second_factor_at is not null as second_factor from refresh_tokens t \
        join families f on f.id = t.family_id join users u on u.id = f.user_id \
        left join accounts a on a.user_id = u.id where t.hash = $1";
    on_tx!(tx, db => sqlx::query_as(SQL).bind(hash).fetch_optional(db))
}

async fn insert_token(tx: &mut Tx, family: FamilyId, hash: &[u8], expires_at: Time) -> Result<(), sqlx::Error> {
    const SQL: &str = "insert into refresh_tokens (hash, family_id, expires_at) values ($1, $2, $3)";
    execute!(tx, sqlx::query(SQL).bind(hash).bind(family.as_uuid()).bind(expires_at.as_ms()))?;
    Ok(())
}

async fn revoke(tx: &mut Tx, family: FamilyId, at: Time) -> Result<(), sqlx::Error> {
    const SQL: &str = "update families set revoked_at = $2 where id = $1 and revoked_at is null";
    execute!(tx, sqlx::query(SQL).bind(family.as_uuid()).bind(at.as_ms()))?;
    Ok(())
}
