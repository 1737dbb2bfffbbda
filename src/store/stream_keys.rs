//! Table `stream_keys`: what lets programs publish and watch.

use sqlx::FromRow;
use uuid::Uuid;

use super::{
    Error, Store,
    pool::{execute_now, on_pool},
};
use crate::domain::{
    RoomId, StreamKeyId, Time, UserId,
    case::Named,
    stream::{StreamKey, StreamKind},
};

/// Keys that one room can have: a person makes them by hand.
pub const STREAM_KEYS: usize = 50;

#[derive(FromRow)]
struct KeyRow {
    id: Uuid,
    room_id: Uuid,
    name: String,
    kind: String,
    created_by: Uuid,
    nickname: String,
    created_at: i64,
    expires_at: Option<i64>,
}

impl TryFrom<KeyRow> for StreamKey {
    type Error = Error;

    fn try_from(row: KeyRow) -> Result<Self, Error> {
        let kind = StreamKind::parse(&row.kind).ok_or(Error::Unreadable(row.kind))?;
        Ok(Self {
            key_id: StreamKeyId::from_uuid(row.id),
            room_id: RoomId::from_uuid(row.room_id),
            name: row.name,
            kind,
            created_by: Named { user_id: UserId::from_uuid(row.created_by), nickname: row.nickname },
            created_at: Time::from_ms(row.created_at),
            expires_at: row.expires_at.map(Time::from_ms),
        })
    }
}

impl Store {
    /// Keeps a new key. `false`: the room has too many already.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn add_stream_key(&self, key: &StreamKey, secret_hash: &[u8]) -> Result<bool, Error> {
        const COUNT: &str = "select count(*) from stream_keys where room_id = $1";
        const SQL: &str = "insert into stream_keys \
            (id, room_id, name, kind, secret_hash, created_by, created_at, expires_at) \
            values ($1, $2, $3, $4, $5, $6, $7, $8)";
        let room = key.room_id.as_uuid();
        let count: i64 = on_pool!(&self.read, db => sqlx::query_scalar(COUNT).bind(room).fetch_one(db))?;
        if count >= STREAM_KEYS as i64 {
            return Ok(false);
        }
        execute_now!(
            &self.write,
            sqlx::query(SQL)
                .bind(key.key_id.as_uuid())
                .bind(room)
                .bind(&key.name)
                .bind(key.kind.as_str())
                .bind(secret_hash)
                .bind(key.created_by.user_id.as_uuid())
                .bind(key.created_at.as_ms())
                .bind(key.expires_at.map(Time::as_ms))
        )?;
        Ok(true)
    }

    /// The keys of a room, oldest first.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn stream_keys(&self, room: RoomId) -> Result<Vec<StreamKey>, Error> {
        const SQL: &str = "select k.id, k.room_id, k.name, k.kind, k.created_by, u.nickname, k.created_at, k.expires_at \
            from stream_keys k join users u on u.id = k.created_by where k.room_id = $1 order by k.id limit $2";
        let rows: Vec<KeyRow> = on_pool!(&self.read, db => sqlx::query_as(SQL)
            .bind(room.as_uuid()).bind(2 * STREAM_KEYS as i64).fetch_all(db))?;
        rows.into_iter().map(StreamKey::try_from).collect()
    }

    /// The key whose secret has that hash.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn stream_key(&self, secret_hash: &[u8]) -> Result<Option<StreamKey>, Error> {
        const SQL: &str = "select k.id, k.room_id, k.name, k.kind, k.created_by, u.nickname, k.created_at, k.expires_at \
            from stream_keys k join users u on u.id = k.created_by where k.secret_hash = $1";
        let row: Option<KeyRow> = on_pool!(&self.read, db => sqlx::query_as(SQL).bind(secret_hash).fetch_optional(db))?;
        row.map(StreamKey::try_from).transpose()
    }

    /// Whether a key is still there.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn has_stream_key(&self, id: StreamKeyId) -> Result<bool, Error> {
        const SQL: &str = "select count(*) from stream_keys where id = $1";
        let count: i64 = on_pool!(&self.read, db => sqlx::query_scalar(SQL).bind(id.as_uuid()).fetch_one(db))?;
        Ok(count > 0)
    }

    /// Forgets a key of a room. `false`: there is no such key.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn remove_stream_key(&self, room: RoomId, id: StreamKeyId) -> Result<bool, Error> {
        const SQL: &str = "delete from stream_keys where room_id = $1 and id = $2 returning id";
        let row: Option<Uuid> = on_pool!(&self.write, db => sqlx::query_scalar(SQL)
            .bind(room.as_uuid()).bind(id.as_uuid()).fetch_optional(db))?;
        Ok(row.is_some())
    }
}
