//! Messages that their rooms keep no longer: which those are, and up to where they are gone (table `room_upkeep`).

use std::time::Duration;

use sqlx::FromRow;
use uuid::Uuid;

use super::{
    Error, Store,
    pool::{execute_now, on_pool},
};
use crate::domain::{MessageId, Retention, RoomId, Time, UserId};

/// A message that is to go.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Stale {
    /// Which.
    pub message: MessageId,
    /// Whose.
    pub sender: UserId,
    /// The place of its event in the room's stream.
    pub offset: i64,
}

#[derive(FromRow)]
struct StaleRow {
    id: Uuid,
    sender_id: Uuid,
    event_offset: i64,
    created_at: i64,
}

impl Store {
    /// Rooms that keep their messages for a time, in the order of their ids, and for how long. `limit` of them, behind `after`.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn forgetful_rooms(&self, after: Option<RoomId>, limit: u32) -> Result<Vec<(RoomId, Duration)>, Error> {
        const SQL: &str = "select id, retention from rooms where retention not in ('none', 'forever') and id > $1 \
            order by id limit $2";
        let after = after.map_or(Uuid::nil(), RoomId::as_uuid);
        let rows: Vec<(Uuid, String)> = on_pool!(&self.read, db => sqlx::query_as(SQL)
            .bind(after).bind(i64::from(limit)).fetch_all(db))?;
        let mut rooms = Vec::with_capacity(rows.len());
        for (id, retention) in rows {
            let retention: Retention = retention.parse().map_err(Error::Unreadable)?;
            rooms.extend(retention.span().map(|span| (RoomId::from_uuid(id), span)));
        }
        Ok(rooms)
    }

    /// The oldest messages of a room that were written before then and have not been swept, up to `limit`.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn stale_messages(&self, room: RoomId, before: Time, limit: u32) -> Result<Vec<Stale>, Error> {
        const SQL: &str = "select id, sender_id, event_offset, created_at from messages where room_id = $1 \
            and event_offset > coalesce((select swept_offset from room_upkeep where room_id = $1), 0) \
            order by event_offset limit $2";
        let rows: Vec<StaleRow> = on_pool!(&self.read, db => sqlx::query_as(SQL)
            .bind(room.as_uuid()).bind(i64::from(limit)).fetch_all(db))?;
        // In the order of the stream, which is nearly that of time: what is younger is left for the next time, and all behind it.
        let stale = rows.into_iter().take_while(|row| row.created_at < before.as_ms());
        let stale = stale.map(|row| Stale {
            message: MessageId::from_uuid(row.id),
            sender: UserId::from_uuid(row.sender_id),
            offset: row.event_offset,
        });
        Ok(stale.collect())
    }

    /// The messages of a room are gone up to that place.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn keep_swept(&self, room: RoomId, offset: i64) -> Result<(), Error> {
        // The room may be gone by now.
        const SQL: &str = "insert into room_upkeep (room_id, swept_offset) select id, $2 from rooms where id = $1 \
            on conflict (room_id) do update set swept_offset = excluded.swept_offset";
        execute_now!(&self.write, sqlx::query(SQL).bind(room.as_uuid()).bind(offset))?;
        Ok(())
    }
}
