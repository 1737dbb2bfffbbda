//! Tables `members` and `removals`: who belongs to a room, and who may not come back.

use sqlx::FromRow;
use uuid::Uuid;

use super::{
    Error, Store,
    pool::{Tx, execute, execute_now, on_pool, on_tx},
};
use crate::domain::{Role, Room, RoomId, SiteRole, Time, User, UserId, trust::Conduct, user::AgeLevel};

/// What somebody is to a room.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Membership {
    /// Nothing yet.
    None,
    /// A member, of that role.
    Member(Role),
    /// They were removed and may not come back.
    Removed,
}

#[derive(FromRow)]
struct StandingRow {
    role: Option<String>,
    removed_at: Option<i64>,
}

/// What of a person sets how far they may go in a room, besides their role.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Footing {
    /// Until when they are muted there; what is over counts no more.
    pub muted_until: Option<Time>,
    /// What their trust is computed from.
    pub conduct: Conduct,
}

#[derive(FromRow)]
struct FootingRow {
    known_since: i64,
    messages: i64,
    upheld_at: Option<i64>,
    muted_until: Option<i64>,
}

impl From<FootingRow> for Footing {
    fn from(row: FootingRow) -> Self {
        let conduct = Conduct {
            known_since: Time::from_ms(row.known_since),
            messages: row.messages.cast_unsigned(),
            upheld_at: row.upheld_at.map(Time::from_ms),
        };
        Self { muted_until: row.muted_until.map(Time::from_ms), conduct }
    }
}

impl Store {
    /// What of a person sets how far they may go in a room. Somebody whom nobody knows has shown nothing.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn footing(&self, room: RoomId, user: UserId) -> Result<Footing, Error> {
        const SQL: &str = "select u.created_at as known_since, u.message_count as messages, \
            (select max(decided_at) from cases where user_id = u.id and status = 'resolved') as upheld_at, \
            coalesce((select muted_until from members where room_id = $2 and user_id = u.id), \
                (select until from mutes where room_id = $2 and user_id = u.id)) as muted_until \
            from users u where u.id = $1";
        let row: Option<FootingRow> = on_pool!(&self.read, db => sqlx::query_as(SQL)
            .bind(user.as_uuid()).bind(room.as_uuid()).fetch_optional(db))?;
        let nothing = FootingRow { known_since: Time::now().as_ms(), messages: 0, upheld_at: None, muted_until: None };
        Ok(row.unwrap_or(nothing).into())
    }

    /// What somebody's trust is computed from. `None`: nobody of that name.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn conduct(&self, user: UserId) -> Result<Option<Conduct>, Error> {
        const SQL: &str = "select u.created_at as known_since, u.message_count as messages, \
            (select max(decided_at) from cases where user_id = u.id and status = 'resolved') as upheld_at, \
            cast(null as bigint) as muted_until from users u where u.id = $1";
        let row: Option<FootingRow> =
            on_pool!(&self.read, db => sqlx::query_as(SQL).bind(user.as_uuid()).fetch_optional(db))?;
        Ok(row.map(|row| Footing::from(row).conduct))
    }

    /// What somebody is to a room.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn membership(&self, room: RoomId, user: UserId) -> Result<Membership, Error> {
        const SQL: &str = "select (select role from members where room_id = $1 and user_id = $2) as role, \
            (select created_at from removals where room_id = $1 and user_id = $2 and (until is null or until > $3)) \
            as removed_at";
        let row: StandingRow = on_pool!(&self.read, db => sqlx::query_as(SQL)
            .bind(room.as_uuid()).bind(user.as_uuid()).bind(Time::now().as_ms()).fetch_one(db))?;
        match row {
            StandingRow { removed_at: Some(_), .. } => Ok(Membership::Removed),
            StandingRow { role: Some(role), .. } => {
                Role::parse(&role).map(Membership::Member).ok_or(Error::Unreadable(role))
            }
            StandingRow { .. } => Ok(Membership::None),
        }
    }

    /// Whether a room is for adults and this person is none who is known as one. Moderators of the site look everywhere.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn is_too_young(&self, room: &Room, user: &User) -> Result<bool, Error> {
        Ok(room.settings.content_level.is_for_adults() && !self.sees_all_levels(user).await?)
    }

    /// Whether somebody may see what is for adults.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn sees_all_levels(&self, user: &User) -> Result<bool, Error> {
        Ok(user.role >= SiteRole::Moderator || self.age_level(user.id).await? >= Some(AgeLevel::Verified))
    }

    /// The members of a room who are not known as adults by a proof.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn unverified_members(&self, room: RoomId) -> Result<Vec<UserId>, Error> {
        const SQL: &str = "select m.user_id from members m join users u on u.id = m.user_id \
            where m.room_id = $1 and u.age_level <> $2";
        let rows: Vec<Uuid> = on_pool!(&self.read, db => sqlx::query_scalar(SQL)
            .bind(room.as_uuid()).bind(AgeLevel::Verified.as_str()).fetch_all(db))?;
        Ok(rows.into_iter().map(UserId::from_uuid).collect())
    }

    /// Who owns a room. `None`: nobody, as in a direct one.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn owner_of(&self, room: RoomId) -> Result<Option<UserId>, Error> {
        const SQL: &str = "select user_id from members where room_id = $1 and role = $2";
        let owner: Option<Uuid> = on_pool!(&self.read, db => sqlx::query_scalar(SQL)
            .bind(room.as_uuid()).bind(Role::Owner.as_str()).fetch_optional(db))?;
        Ok(owner.map(UserId::from_uuid))
    }

    /// Makes somebody a member. `false`: they are one.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn add_member(&self, room: RoomId, user: UserId, role: Role, at: Time) -> Result<bool, Error> {
        const SQL: &str = "insert into members (room_id, user_id, role, joined_at) values ($1, $2, $3, $4) \
            on conflict (room_id, user_id) do nothing";
        let new = execute_now!(
            &self.write,
            sqlx::query(SQL).bind(room.as_uuid()).bind(user.as_uuid()).bind(role.as_str()).bind(at.as_ms())
        )?;
        Ok(new > 0)
    }

    /// Ends a membership. The owner's stays: the room would be nobody's. A mute goes on, for whoever comes back. `false`: they were
    /// no member, or own it.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn end_membership(&self, room: RoomId, user: UserId) -> Result<bool, Error> {
        const SQL: &str = "delete from members where room_id = $1 and user_id = $2 and role <> $3";
        let mut tx = self.write.begin().await?;
        keep_mute(&mut tx, room, user).await?;
        let ended =
            execute!(&mut tx, sqlx::query(SQL).bind(room.as_uuid()).bind(user.as_uuid()).bind(Role::Owner.as_str()))?;
        tx.commit().await?;
        Ok(ended > 0)
    }

    /// Removes somebody for good.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn remove_member(
        &self,
        room: RoomId,
        user: UserId,
        by: UserId,
        reason: Option<&str>,
        at: Time,
    ) -> Result<(), Error> {
        self.ban_member(room, user, by, reason, at, None).await
    }

    /// Keeps somebody out until then, or for good (`None`). The last word holds.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn ban_member(
        &self,
        room: RoomId,
        user: UserId,
        by: UserId,
        reason: Option<&str>,
        at: Time,
        until: Option<Time>,
    ) -> Result<(), Error> {
        const REMOVAL: &str = "insert into removals (room_id, user_id, removed_by, reason, created_at, until) \
            values ($1, $2, $3, $4, $5, $6) on conflict (room_id, user_id) do update set removed_by = excluded.removed_by, \
            reason = excluded.reason, created_at = excluded.created_at, until = excluded.until";
        let mut tx = self.write.begin().await?;
        keep_mute(&mut tx, room, user).await?;
        let (room, user) = (room.as_uuid(), user.as_uuid());
        execute!(
            &mut tx,
            sqlx::query(REMOVAL)
                .bind(room)
                .bind(user)
                .bind(by.as_uuid())
                .bind(reason)
                .bind(at.as_ms())
                .bind(until.map(Time::as_ms))
        )?;
        execute!(
            &mut tx,
            sqlx::query("delete from members where room_id = $1 and user_id = $2").bind(room).bind(user)
        )?;
        tx.commit().await?;
        Ok(())
    }
}

/// Writes down until when somebody is muted whose membership ends; and forgets what is over.
async fn keep_mute(tx: &mut Tx, room: RoomId, user: UserId) -> Result<(), sqlx::Error> {
    const OVER: &str = "delete from mutes where room_id = $1 and until <= $2";
    const KEEP: &str = "insert into mutes (room_id, user_id, until) select room_id, user_id, muted_until from members \
        where room_id = $1 and user_id = $2 and muted_until > $3 \
        on conflict (room_id, user_id) do update set until = excluded.until";
    let (room, user, now_ms) = (room.as_uuid(), user.as_uuid(), Time::now().as_ms());
    execute!(tx, sqlx::query(OVER).bind(room).bind(now_ms))?;
    execute!(tx, sqlx::query(KEEP).bind(room).bind(user).bind(now_ms))?;
    Ok(())
}

/// Gives a member a role. `false`: no such member.
pub(super) async fn set_role(tx: &mut Tx, room: RoomId, user: UserId, role: Role) -> Result<bool, sqlx::Error> {
    const SQL: &str = "update members set role = $3 where room_id = $1 and user_id = $2 returning 1";
    let row: Option<i32> = on_tx!(tx, db => sqlx::query_scalar(SQL)
        .bind(room.as_uuid()).bind(user.as_uuid()).bind(role.as_str()).fetch_optional(db))?;
    Ok(row.is_some())
}
