//! Lists of rooms and of those who belong to them.

use std::collections::BTreeSet;

use sqlx::FromRow;
use uuid::Uuid;

use super::{
    Error, RoomRecord, Store,
    pool::{Tx, execute, on_pool, on_tx},
    rooms::RoomRow,
    streams::lock_streams,
};
use crate::domain::{Role, Room, RoomId, RoomKind, Time, UserId, cluster::Tenant, feature::Feature};

/// Which public rooms.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Wanted {
    /// Those whose name, slug or description has this, whatever the case.
    pub query: Option<String>,
    /// Those of this category.
    pub category: Option<String>,
    /// Those of this kind.
    pub kind: Option<RoomKind>,
    /// Those made before this one.
    pub before: Option<RoomId>,
}

/// Somebody who belongs to a room, there or not.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Belonging {
    /// Who.
    pub user: UserId,
    /// The name they chose.
    pub nickname: String,
    /// What they may do.
    pub role: Role,
    /// Since when.
    pub joined_at: Time,
    /// Until when they have no voice.
    pub muted_until: Option<Time>,
}

/// Somebody who may not come back.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Outcast {
    /// Who.
    pub user: UserId,
    /// The name they chose.
    pub nickname: String,
    /// Who decided it.
    pub by: UserId,
    /// What they said.
    pub reason: Option<String>,
    /// Since when.
    pub at: Time,
    /// Until when; `None`: for good.
    pub until: Option<Time>,
}

/// A place in a list that is ordered by time: the last of the page before.
pub type After = (Time, UserId);

#[derive(FromRow)]
struct CountedRow {
    #[sqlx(flatten)]
    room: RoomRow,
    member_count: i64,
}

#[derive(FromRow)]
struct BelongingRow {
    user_id: Uuid,
    nickname: String,
    role: String,
    joined_at: i64,
    muted_until: Option<i64>,
}

#[derive(FromRow)]
struct OutcastRow {
    user_id: Uuid,
    nickname: String,
    removed_by: Uuid,
    reason: Option<String>,
    created_at: i64,
    until: Option<i64>,
}

impl TryFrom<CountedRow> for (Room, u32) {
    type Error = Error;

    fn try_from(row: CountedRow) -> Result<Self, Error> {
        let members = u32::try_from(row.member_count).unwrap_or(u32::MAX);
        Ok((RoomRecord::try_from(row.room)?.room, members))
    }
}

impl Store {
    /// Public rooms that are not put away, newest first, and how many belong to each.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn directory(&self, wanted: &Wanted, limit: u32) -> Result<Vec<(Room, u32)>, Error> {
        self.directory_of(&Tenant::default(), false, wanted, limit).await
    }

    /// The same as somebody of a cluster sees it: rooms of its own, if clusters are `named`, up to its level, of kinds that it offers.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn directory_of(
        &self,
        tenant: &Tenant,
        named: bool,
        wanted: &Wanted,
        limit: u32,
    ) -> Result<Vec<(Room, u32)>, Error> {
        const SQL: &str = "select r.*, (select count(*) from members m where m.room_id = r.id) as member_count \
            from rooms r where r.visibility = 'public' and r.archived_at is null and r.id < $1 \
            and (cast($2 as text) is null or r.kind = $2) and (cast($3 as text) is null or r.category = $3) \
            and (cast($4 as text) is null or lower(r.name) like $4 escape '!' or lower(r.description) like $4 escape '!' \
            or r.slug like $4 escape '!') and (cast($6 as text) is null \
            or exists (select 1 from users u where u.id = r.created_by and u.cluster_id = $6)) \
            and case r.content_level when 'general' then 0 when 'mature' then 1 when 'adult' then 2 else 3 end <= $7 \
            and (r.kind <> 'forum' or $8) order by r.id desc limit $5";
        let before = wanted.before.map_or(Uuid::max(), RoomId::as_uuid);
        let query = wanted.query.as_ref().map(|text| pattern(text));
        let rows: Vec<CountedRow> = on_pool!(&self.read, db => sqlx::query_as(SQL)
            .bind(before).bind(wanted.kind.map(RoomKind::as_str)).bind(wanted.category.as_deref()).bind(query)
            .bind(i64::from(limit)).bind(named.then(|| tenant.id.as_str())).bind(tenant.max_content_level as i32)
            .bind(tenant.features.is_on(Feature::Forums)).fetch_all(db))?;
        rows.into_iter().map(TryFrom::try_from).collect()
    }

    /// The rooms that somebody belongs to, newest first, and how many belong to each; archived ones too.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn rooms_of(
        &self,
        user: UserId,
        before: Option<RoomId>,
        limit: u32,
    ) -> Result<Vec<(Room, Role, u32)>, Error> {
        #[derive(FromRow)]
        struct Row {
            #[sqlx(flatten)]
            counted: CountedRow,
            own_role: String,
        }
        const SQL: &str = "select r.*, o.role as own_role, \
            (select count(*) from members m where m.room_id = r.id) as member_count \
            from members o join rooms r on r.id = o.room_id where o.user_id = $1 and r.id < $2 \
            and r.kind not in ('match', 'dm', 'groupDm') order by r.id desc limit $3";
        let before = before.map_or(Uuid::max(), RoomId::as_uuid);
        let rows: Vec<Row> = on_pool!(&self.read, db => sqlx::query_as(SQL)
            .bind(user.as_uuid()).bind(before).bind(i64::from(limit)).fetch_all(db))?;
        let own = |row: Row| {
            let role = Role::parse(&row.own_role).ok_or(Error::Unreadable(row.own_role))?;
            let (room, members) = row.counted.try_into()?;
            Ok((room, role, members))
        };
        rows.into_iter().map(own).collect()
    }

    /// How many belong to a room.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn member_count(&self, room: RoomId) -> Result<u32, Error> {
        const SQL: &str = "select count(*) from members where room_id = $1";
        let count: i64 = on_pool!(&self.read, db => sqlx::query_scalar(SQL).bind(room.as_uuid()).fetch_one(db))?;
        Ok(u32::try_from(count).unwrap_or(u32::MAX))
    }

    /// Who belongs to a room, in the order in which they joined.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn roster(&self, room: RoomId, after: Option<After>, limit: u32) -> Result<Vec<Belonging>, Error> {
        self.belonging(room, false, after, limit).await
    }

    /// Who keeps order in a room, in the order in which they joined.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn keepers(&self, room: RoomId, after: Option<After>, limit: u32) -> Result<Vec<Belonging>, Error> {
        self.belonging(room, true, after, limit).await
    }

    async fn belonging(
        &self,
        room: RoomId,
        keepers: bool,
        after: Option<After>,
        limit: u32,
    ) -> Result<Vec<Belonging>, Error> {
        const SQL: &str = "select m.user_id, u.nickname, m.role, m.joined_at, \
            coalesce(m.muted_until, e.until) as muted_until from members m join users u on u.id = m.user_id \
            left join mutes e on e.room_id = m.room_id and e.user_id = m.user_id \
            where m.room_id = $1 and (m.joined_at, m.user_id) > ($2, $3) \
            and (not $5 or m.role in ('owner', 'admin', 'moderator')) order by m.joined_at, m.user_id limit $4";
        let (at, user) = after.map_or((i64::MIN, Uuid::nil()), |(at, user)| (at.as_ms(), user.as_uuid()));
        let rows: Vec<BelongingRow> = on_pool!(&self.read, db => sqlx::query_as(SQL)
            .bind(room.as_uuid()).bind(at).bind(user).bind(i64::from(limit)).bind(keepers).fetch_all(db))?;
        let belonging = |row: BelongingRow| {
            Ok(Belonging {
                user: UserId::from_uuid(row.user_id),
                nickname: row.nickname,
                role: Role::parse(&row.role).ok_or(Error::Unreadable(row.role))?,
                joined_at: Time::from_ms(row.joined_at),
                muted_until: row.muted_until.map(Time::from_ms),
            })
        };
        rows.into_iter().map(belonging).collect()
    }

    /// Who may not come back to a room now, the last first.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn outcasts(&self, room: RoomId, after: Option<After>, limit: u32) -> Result<Vec<Outcast>, Error> {
        const SQL: &str = "select r.user_id, u.nickname, r.removed_by, r.reason, r.created_at, r.until from removals r \
            join users u on u.id = r.user_id where r.room_id = $1 and (r.until is null or r.until > $2) \
            and (r.created_at, r.user_id) < ($3, $4) order by r.created_at desc, r.user_id desc limit $5";
        let (at, user) = after.map_or((i64::MAX, Uuid::max()), |(at, user)| (at.as_ms(), user.as_uuid()));
        let rows: Vec<OutcastRow> = on_pool!(&self.read, db => sqlx::query_as(SQL)
            .bind(room.as_uuid()).bind(Time::now().as_ms()).bind(at).bind(user).bind(i64::from(limit)).fetch_all(db))?;
        let outcast = |row: OutcastRow| Outcast {
            user: UserId::from_uuid(row.user_id),
            nickname: row.nickname,
            by: UserId::from_uuid(row.removed_by),
            reason: row.reason,
            at: Time::from_ms(row.created_at),
            until: row.until.map(Time::from_ms),
        };
        Ok(rows.into_iter().map(outcast).collect())
    }

    /// Lets somebody come back. `false`: nobody kept them out.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn readmit(&self, room: RoomId, user: UserId) -> Result<bool, Error> {
        const SQL: &str = "delete from removals where room_id = $1 and user_id = $2 returning 1";
        let row: Option<i32> = on_pool!(&self.write, db => sqlx::query_scalar(SQL)
            .bind(room.as_uuid()).bind(user.as_uuid()).fetch_optional(db))?;
        Ok(row.is_some())
    }

    /// Who would own each room of this person after them: the highest in rank, and of those the first to join. `None`: nobody else
    /// belongs to it.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn heirs(&self, owner: UserId) -> Result<Vec<(RoomId, Option<UserId>)>, Error> {
        const SQL: &str = "select o.room_id, (select m.user_id from members m where m.room_id = o.room_id and m.user_id <> $1 \
            order by case m.role when 'admin' then 0 when 'moderator' then 1 when 'trusted' then 2 else 3 end, \
            m.joined_at, m.user_id limit 1) as heir from members o join rooms r on r.id = o.room_id \
            where o.user_id = $1 and o.role = 'owner' and r.kind <> 'match' order by o.room_id";
        let rows: Vec<(Uuid, Option<Uuid>)> =
            on_pool!(&self.read, db => sqlx::query_as(SQL).bind(owner.as_uuid()).fetch_all(db))?;
        Ok(rows.into_iter().map(|(room, heir)| (RoomId::from_uuid(room), heir.map(UserId::from_uuid))).collect())
    }

    /// Deletes a room with all that is in it. `false`: it has recordings, whose files would be forgotten; they have to go first.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn delete_room(&self, room: RoomId) -> Result<bool, Error> {
        let mut tx = self.write.begin().await?;
        // The stream first, as writers do: who has it needs the room, so whoever has the room must not want the stream.
        lock_streams(&mut tx, &BTreeSet::from([room])).await?;
        if has_recordings(&mut tx, room).await? {
            return Ok(false);
        }
        execute!(&mut tx, sqlx::query("delete from rooms where id = $1").bind(room.as_uuid()))?;
        tx.commit().await?;
        Ok(true)
    }
}

async fn has_recordings(tx: &mut Tx, room: RoomId) -> Result<bool, sqlx::Error> {
    const SQL: &str = "select 1 from recordings where room_id = $1 limit 1";
    let row: Option<i32> = on_tx!(tx, db => sqlx::query_scalar(SQL).bind(room.as_uuid()).fetch_optional(db))?;
    Ok(row.is_some())
}

/// What `like` finds a text by, whatever stands in it.
fn pattern(text: &str) -> String {
    let mut pattern = "%".to_owned();
    for letter in text.to_lowercase().chars() {
        if matches!(letter, '%' | '_' | '!') {
            pattern.push('!');
        }
        pattern.push(letter);
    }
    pattern.push('%');
    pattern
}
