//! Table `rooms`.

use sqlx::FromRow;
use uuid::Uuid;

use super::{
    Error, Store,
    pool::{Tx, execute, execute_now, on_pool},
};
use crate::domain::{CallId, Door, Epoch, Role, Room, RoomId, RoomKind, Time, UserId, Visibility};

/// A room with what only the server needs to know of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RoomRecord {
    /// The room.
    pub room: Room,
    /// Its call, should one take place.
    pub call: CallId,
    /// Who made it.
    pub created_by: UserId,
    /// Who may come in, as its hosts want it.
    pub door: Door,
}

#[derive(FromRow)]
struct RoomRow {
    id: Uuid,
    kind: String,
    name: String,
    visibility: String,
    max_participants: i64,
    call_id: Uuid,
    created_by: Uuid,
    created_at: i64,
    locked: bool,
    waiting_room: bool,
}

impl TryFrom<RoomRow> for RoomRecord {
    type Error = Error;

    fn try_from(row: RoomRow) -> Result<Self, Error> {
        Ok(Self {
            room: Room {
                id: RoomId::from_uuid(row.id),
                kind: RoomKind::parse(&row.kind).ok_or(Error::Unreadable(row.kind))?,
                name: row.name,
                visibility: Visibility::parse(&row.visibility).ok_or(Error::Unreadable(row.visibility))?,
                max_participants: u32::try_from(row.max_participants).unwrap_or(u32::MAX),
                created_at: Time::from_ms(row.created_at),
            },
            call: CallId::from_uuid(row.call_id),
            created_by: UserId::from_uuid(row.created_by),
            door: Door { locked: row.locked, waiting_room: row.waiting_room },
        })
    }
}

impl Store {
    /// Keeps a new room, its empty stream, and its maker as its owner.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn create_room(&self, record: &RoomRecord) -> Result<(), Error> {
        const STREAM: &str = "insert into room_streams (room_id, epoch, last_offset) values ($1, $2, 0)";
        const OWNER: &str = "insert into members (room_id, user_id, role, joined_at) values ($1, $2, $3, $4)";
        let room = &record.room;
        let (id, owner, at_ms) = (room.id.as_uuid(), record.created_by.as_uuid(), room.created_at.as_ms());
        let mut tx = self.write.begin().await?;
        insert_room(&mut tx, record).await?;
        execute!(&mut tx, sqlx::query(STREAM).bind(id).bind(Epoch::new().as_uuid()))?;
        execute!(&mut tx, sqlx::query(OWNER).bind(id).bind(owner).bind(Role::Owner.as_str()).bind(at_ms))?;
        tx.commit().await?;
        Ok(())
    }

    /// The room of that id.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn room(&self, id: RoomId) -> Result<Option<RoomRecord>, Error> {
        let row: Option<RoomRow> = on_pool!(&self.read, db => sqlx::query_as("select * from rooms where id = $1")
            .bind(id.as_uuid()).fetch_optional(db))?;
        row.map(RoomRecord::try_from).transpose().map(|record| self.if_open(record))
    }

    /// The room of that call.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn room_of_call(&self, call: CallId) -> Result<Option<RoomRecord>, Error> {
        let row: Option<RoomRow> = on_pool!(&self.read, db => sqlx::query_as("select * from rooms where call_id = $1")
            .bind(call.as_uuid()).fetch_optional(db))?;
        row.map(RoomRecord::try_from).transpose().map(|record| self.if_open(record))
    }

    /// Locks a room, or unlocks it.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn lock_room(&self, id: RoomId, locked: bool) -> Result<(), Error> {
        const SQL: &str = "update rooms set locked = $2 where id = $1";
        execute_now!(&self.write, sqlx::query(SQL).bind(id.as_uuid()).bind(locked))?;
        Ok(())
    }

    /// Lets people wait before a room, or no more.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn set_waiting_room(&self, id: RoomId, enabled: bool) -> Result<(), Error> {
        const SQL: &str = "update rooms set waiting_room = $2 where id = $1";
        execute_now!(&self.write, sqlx::query(SQL).bind(id.as_uuid()).bind(enabled))?;
        Ok(())
    }

    /// Public rooms, newest first; those made before `before`, if it is given.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn public_rooms(&self, before: Option<RoomId>, limit: u32) -> Result<Vec<RoomRecord>, Error> {
        // Ids are UUIDv7: their order is that of time.
        const SQL: &str = "select * from rooms where visibility = 'public' and id < $1 order by id desc limit $2";
        let before = before.map_or(Uuid::max(), RoomId::as_uuid);
        let rows: Vec<RoomRow> = on_pool!(&self.read, db => sqlx::query_as(SQL)
            .bind(before).bind(i64::from(limit)).fetch_all(db))?;
        rows.into_iter().map(RoomRecord::try_from).collect()
    }

    /// A room of strangers is there as long as its stream is, which is in memory.
    fn if_open(&self, record: Option<RoomRecord>) -> Option<RoomRecord> {
        record.filter(|record| record.room.kind != RoomKind::Match || self.memory.is_open(record.room.id))
    }
}

/// Keeps a new room.
pub(super) async fn insert_room(tx: &mut Tx, record: &RoomRecord) -> Result<(), sqlx::Error> {
    const SQL: &str = "insert into rooms (id, kind, name, visibility, max_participants, call_id, created_by, created_at) \
        values ($1, $2, $3, $4, $5, $6, $7, $8)";
    let room = &record.room;
    execute!(
        tx,
        sqlx::query(SQL)
            .bind(room.id.as_uuid())
            .bind(room.kind.as_str())
            .bind(&room.name)
            .bind(room.visibility.as_str())
            .bind(i64::from(room.max_participants))
            .bind(record.call.as_uuid())
            .bind(record.created_by.as_uuid())
            .bind(room.created_at.as_ms())
    )?;
    Ok(())
}
