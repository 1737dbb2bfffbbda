//! Messages of table `messages` that go by themselves.

use uuid::Uuid;

use super::{Error, Store, pool::on_pool};
use crate::domain::{MessageId, RoomId, Time, UserId};

impl Store {
    /// Messages whose time is over, up to `limit`, and whose they are.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn expired_messages(&self, now: Time, limit: u32) -> Result<Vec<(RoomId, MessageId, UserId)>, Error> {
        const SQL: &str = "select room_id, id, sender_id from messages \
            where expires_at is not null and deleted_at is null and expires_at <= $1 order by expires_at limit $2";
        let rows: Vec<(Uuid, Uuid, Uuid)> = on_pool!(&self.read, db => sqlx::query_as(SQL)
            .bind(now.as_ms()).bind(i64::from(limit)).fetch_all(db))?;
        let ids = rows
            .into_iter()
            .map(|(room, id, sender)| (RoomId::from_uuid(room), MessageId::from_uuid(id), UserId::from_uuid(sender)));
        let mut found: Vec<_> = ids.collect();
        found.extend(self.memory.expired(now));
        Ok(found)
    }

    /// When the next message's time is over.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn next_expiry(&self) -> Result<Option<Time>, Error> {
        const SQL: &str = "select min(expires_at) from messages where expires_at is not null and deleted_at is null";
        let stored: Option<i64> = on_pool!(&self.read, db => sqlx::query_scalar(SQL).fetch_one(db))?;
        let times = [stored.map(Time::from_ms), self.memory.next_expiry()];
        Ok(times.into_iter().flatten().min())
    }
}
