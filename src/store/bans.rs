//! Tables `bans`, `ban_devices` and `ban_addresses`: who is kept out, and what else a ban binds.

use std::time::Duration;

use sqlx::FromRow;
use uuid::Uuid;

use super::{
    Error, Store,
    modlog::insert_entry,
    pool::{Tx, execute, execute_now, on_pool, on_tx},
};
use crate::domain::{
    BanId, CaseId, FamilyId, SiteRole, Time, UserId,
    ban::{Ban, Sentence},
    case::Named,
    deed::LogEntry,
};

/// For how long it is known where a login came from, and for how long a ban binds an address at most.
pub const ADDRESS_KEPT: Duration = Duration::from_secs(24 * 3600);

/// A ban that is to begin.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewBan {
    /// Which.
    pub id: BanId,
    /// Who is kept out.
    pub user: UserId,
    /// Why.
    pub reason: String,
    /// In which case.
    pub case: Option<CaseId>,
    /// Who decided that.
    pub by: UserId,
    /// When.
    pub at: Time,
    /// Until when; `None`: for good.
    pub until: Option<Time>,
}

/// Whom else a ban has reached, by the devices that it binds; those who keep order are none of them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Reached {
    /// Their logins from there, which it ended.
    pub logins: Vec<FamilyId>,
    /// Who has come from there, with a login that holds or one that was over already.
    pub people: Vec<UserId>,
}

/// What may be bound by a ban.
#[derive(Clone, Copy, Debug, Default)]
pub struct Bound<'a> {
    /// Who.
    pub user: Option<UserId>,
    /// The hash of the device's cookie.
    pub device: Option<&'a [u8]>,
    /// The keyed hash of the address.
    pub address: Option<&'a [u8]>,
}

#[derive(FromRow)]
struct BanRow {
    id: Uuid,
    user_id: Uuid,
    nickname: String,
    reason: String,
    case_id: Option<Uuid>,
    banned_by: Uuid,
    banned_by_nickname: String,
    created_at: i64,
    until: Option<i64>,
    lifted_at: Option<i64>,
}

impl From<BanRow> for Ban {
    fn from(row: BanRow) -> Self {
        let named = |id, nickname| Named { user_id: UserId::from_uuid(id), nickname };
        Self {
            ban_id: BanId::from_uuid(row.id),
            user: named(row.user_id, row.nickname),
            reason: row.reason,
            by: named(row.banned_by, row.banned_by_nickname),
            at: Time::from_ms(row.created_at),
            until: row.until.map(Time::from_ms),
            case_id: row.case_id.map(CaseId::from_uuid),
            lifted_at: row.lifted_at.map(Time::from_ms),
        }
    }
}

macro_rules! select {
    ($rest:literal) => {
        concat!(
            "select b.id, b.user_id, u.nickname, b.reason, b.case_id, b.banned_by, m.nickname as banned_by_nickname, \
             b.created_at, b.until, b.lifted_at \
             from bans b join users u on u.id = b.user_id join users m on m.id = b.banned_by ",
            $rest
        )
    };
}

impl Store {
    /// Begins a ban: binds the devices and the addresses that the person's logins came from, and ends those logins; and the logins
    /// of others from these devices, which are that. `entry` goes into the log with it. Whom else it has reached.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn ban(&self, new: &NewBan, entry: Option<&LogEntry>) -> Result<Reached, Error> {
        let mut tx = self.write.begin().await?;
        execute!(
            &mut tx,
            sqlx::query(
                "insert into bans (id, user_id, reason, case_id, banned_by, created_at, until) \
                 values ($1, $2, $3, $4, $5, $6, $7)"
            )
            .bind(new.id.as_uuid())
            .bind(new.user.as_uuid())
            .bind(&new.reason)
            .bind(new.case.map(CaseId::as_uuid))
            .bind(new.by.as_uuid())
            .bind(new.at.as_ms())
            .bind(new.until.map(Time::as_ms))
        )?;
        bind(&mut tx, new).await?;
        let reached = end_logins(&mut tx, new).await?;
        if let Some(entry) = entry {
            insert_entry(&mut tx, entry).await?;
        }
        tx.commit().await?;
        Ok(reached)
    }

    /// Ends a ban before its time. `entry` goes into the log with it. `false`: there is no such ban in force.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn lift_ban(&self, id: BanId, by: UserId, reason: &str, entry: &LogEntry) -> Result<bool, Error> {
        const SQL: &str = "update bans set lifted_at = $2, lifted_by = $3, lift_reason = $4 \
            where id = $1 and lifted_at is null and (until is null or until > $2)";
        let mut tx = self.write.begin().await?;
        let lifted = execute!(
            &mut tx,
            sqlx::query(SQL).bind(id.as_uuid()).bind(entry.at.as_ms()).bind(by.as_uuid()).bind(reason)
        )?;
        if lifted == 0 {
            return Ok(false);
        }
        insert_entry(&mut tx, entry).await?;
        tx.commit().await?;
        Ok(true)
    }

    /// One ban, in force or not.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn ban_of_id(&self, id: BanId) -> Result<Option<Ban>, Error> {
        const SQL: &str = select!("where b.id = $1");
        let row: Option<BanRow> =
            on_pool!(&self.read, db => sqlx::query_as(SQL).bind(id.as_uuid()).fetch_optional(db))?;
        Ok(row.map(Ban::from))
    }

    /// The bans in force, newest first; those before `before`, if it is given.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn bans_in_force(&self, at: Time, limit: u32, before: Option<BanId>) -> Result<Vec<Ban>, Error> {
        // Ids are UUIDv7: their order is that of time.
        const SQL: &str = select!(
            "where b.lifted_at is null and (b.until is null or b.until > $1) and b.id < $2 order by b.id desc limit $3"
        );
        let before = before.map_or(Uuid::max(), BanId::as_uuid);
        let rows: Vec<BanRow> = on_pool!(&self.read, db => sqlx::query_as(SQL)
            .bind(at.as_ms()).bind(before).bind(i64::from(limit)).fetch_all(db))?;
        Ok(rows.into_iter().map(Ban::from).collect())
    }

    /// All bans of one person, newest first.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn bans_of(&self, user: UserId, limit: u32) -> Result<Vec<Ban>, Error> {
        const SQL: &str = select!("where b.user_id = $1 order by b.id desc limit $2");
        let rows: Vec<BanRow> = on_pool!(&self.read, db => sqlx::query_as(SQL)
            .bind(user.as_uuid()).bind(i64::from(limit)).fetch_all(db))?;
        Ok(rows.into_iter().map(Ban::from).collect())
    }

    /// What keeps somebody out who comes like that; the longest, if there are several.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn sentence(&self, bound: Bound<'_>, at: Time) -> Result<Option<Sentence>, Error> {
        const SQL: &str = "select b.reason, b.until from bans b \
            where b.user_id = $1 and b.lifted_at is null and (b.until is null or b.until > $4) \
            union all select b.reason, b.until from ban_devices d join bans b on b.id = d.ban_id \
            where d.device_hash = $2 and b.lifted_at is null and (b.until is null or b.until > $4) \
            union all select b.reason, a.until from ban_addresses a join bans b on b.id = a.ban_id \
            where a.address_hash = $3 and a.until > $4 and b.lifted_at is null";
        let rows: Vec<(String, Option<i64>)> = on_pool!(&self.read, db => sqlx::query_as(SQL)
            .bind(bound.user.map(UserId::as_uuid)).bind(bound.device).bind(bound.address).bind(at.as_ms()).fetch_all(db))?;
        Ok(longest(rows))
    }

    /// What keeps the owner of a login out, or the device that it came from.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn sentence_of_login(&self, family: FamilyId, at: Time) -> Result<Option<Sentence>, Error> {
        const SQL: &str = "select user_id, device_hash from families where id = $1";
        let row: Option<(Uuid, Option<Vec<u8>>)> =
            on_pool!(&self.read, db => sqlx::query_as(SQL).bind(family.as_uuid()).fetch_optional(db))?;
        let Some((user, device)) = row else { return Ok(None) };
        let user = Some(UserId::from_uuid(user));
        self.sentence(Bound { user, device: device.as_deref(), address: None }, at).await
    }

    /// What keeps somebody out who lets others in by what they made, such as a stream key: a ban of theirs, or one that binds a device
    /// from which they have come. The longest, if there are several. Those who keep order are kept out by a ban of theirs alone.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn sentence_of_maker(&self, user: UserId, at: Time) -> Result<Option<Sentence>, Error> {
        const SQL: &str = "select b.reason, b.until from bans b \
            where b.user_id = $1 and b.lifted_at is null and (b.until is null or b.until > $2) \
            union all select b.reason, b.until from families f join users u on u.id = f.user_id \
            join ban_devices d on d.device_hash = f.device_hash join bans b on b.id = d.ban_id \
            where f.user_id = $1 and u.site_role = $3 and b.lifted_at is null and (b.until is null or b.until > $2)";
        let rows: Vec<(String, Option<i64>)> = on_pool!(&self.read, db => sqlx::query_as(SQL)
            .bind(user.as_uuid()).bind(at.as_ms()).bind(SiteRole::Member.as_str()).fetch_all(db))?;
        Ok(longest(rows))
    }

    /// Forgets where logins came from and which addresses were bound, once that is long enough ago. How many.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn forget_addresses(&self, now: Time) -> Result<u64, Error> {
        const SEEN: &str = "update families set address_hash = null, address_at = null where address_at <= $1";
        const BOUND: &str = "delete from ban_addresses where until <= $1";
        let seen = execute_now!(&self.write, sqlx::query(SEEN).bind(before(now).as_ms()))?;
        let bound = execute_now!(&self.write, sqlx::query(BOUND).bind(now.as_ms()))?;
        Ok(seen + bound)
    }
}

fn longest(rows: Vec<(String, Option<i64>)>) -> Option<Sentence> {
    let longest = rows.into_iter().max_by_key(|(_, until)| until.unwrap_or(i64::MAX));
    longest.map(|(reason, until)| Sentence { reason, until: until.map(Time::from_ms) })
}

fn before(now: Time) -> Time {
    Time::from_ms(now.as_ms() - i64::try_from(ADDRESS_KEPT.as_millis()).expect("it is a day"))
}

/// Binds what the person's logins came from.
async fn bind(tx: &mut Tx, new: &NewBan) -> Result<(), sqlx::Error> {
    const DEVICES: &str = "insert into ban_devices (ban_id, device_hash) \
        select distinct $1, device_hash from families where user_id = $2 and device_hash is not null";
    const ADDRESSES: &str = "insert into ban_addresses (ban_id, address_hash, until) \
        select distinct $1, address_hash, $3 from families \
        where user_id = $2 and address_hash is not null and address_at > $4";
    let (id, user) = (new.id.as_uuid(), new.user.as_uuid());
    let day = new.at.after(ADDRESS_KEPT);
    let until = new.until.map_or(day, |until| until.min(day));
    execute!(tx, sqlx::query(DEVICES).bind(id).bind(user))?;
    let since = before(new.at).as_ms();
    execute!(tx, sqlx::query(ADDRESSES).bind(id).bind(user).bind(until.as_ms()).bind(since))?;
    Ok(())
}

/// Ends the person's logins, and those of others from the devices that are bound; those who keep order keep theirs.
async fn end_logins(tx: &mut Tx, new: &NewBan) -> Result<Reached, sqlx::Error> {
    const OWN: &str = "update families set revoked_at = $2 where user_id = $1 and revoked_at is null";
    const OTHERS: &str = "update families set revoked_at = $2 where revoked_at is null \
        and device_hash in (select device_hash from ban_devices where ban_id = $1) \
        and user_id in (select id from users where site_role = $3) returning id";
    const PEOPLE: &str = "select distinct f.user_id from families f \
        join ban_devices d on d.device_hash = f.device_hash join users u on u.id = f.user_id \
        where d.ban_id = $1 and f.user_id <> $2 and u.site_role = $3";
    execute!(tx, sqlx::query(OWN).bind(new.user.as_uuid()).bind(new.at.as_ms()))?;
    let logins: Vec<Uuid> = on_tx!(tx, db => sqlx::query_scalar(OTHERS)
        .bind(new.id.as_uuid()).bind(new.at.as_ms()).bind(SiteRole::Member.as_str()).fetch_all(db))?;
    let people: Vec<Uuid> = on_tx!(tx, db => sqlx::query_scalar(PEOPLE)
        .bind(new.id.as_uuid()).bind(new.user.as_uuid()).bind(SiteRole::Member.as_str()).fetch_all(db))?;
    Ok(Reached {
        logins: logins.into_iter().map(FamilyId::from_uuid).collect(),
        people: people.into_iter().map(UserId::from_uuid).collect(),
    })
}
