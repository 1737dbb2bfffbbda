//! Table `told_of`: whom messages of the server tell of, so that they go with the person.

use std::time::Duration;

use sqlx::QueryBuilder;
use uuid::Uuid;

use super::{
    Error, NewMessage, OwnMessage, Store,
    erasure::OwnRow,
    pool::{Tx, on_pool, on_tx},
};
use crate::domain::{MessageId, RoomId, Time, UserId};

/// What one person does is told to one room so often …
const TOLD: u32 = 20;
/// … in this time: enough for an evening's moderation, too few to fill the room.
const TOLD_IN: Duration = Duration::from_secs(10 * 60);

/// What was told of somebody and is deleted is emptied, and names nobody any more. What is not deleted keeps its row until it is.
pub(super) const FORGET_TOLD: &[&str] = &[
    "update messages set text = '', extra = null where deleted_at is not null \
        and id in (select message_id from told_of where user_id = $1)",
    "delete from told_of where user_id = $1 and message_id in (select id from messages where deleted_at is not null)",
];

impl Store {
    /// Whether one thing more that somebody does may be told to a room.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn may_be_told(&self, room: RoomId, by: UserId, now: Time) -> Result<bool, Error> {
        let since = Time::from_ms(now.as_ms() - i64::try_from(TOLD_IN.as_millis()).unwrap_or(i64::MAX));
        Ok(self.told_of(room, by, since).await? < TOLD)
    }

    /// How many messages of the server have told a room since then what somebody did.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn told_of(&self, room: RoomId, by: UserId, since: Time) -> Result<u32, Error> {
        const SQL: &str = "select count(*) from messages where sender_id = $1 and room_id = $2 and id > $3 \
            and content_type = 'system'";
        // Ids are UUIDv7: those of a moment begin with it.
        let since = Uuid::from_u128(u128::from(since.as_ms().unsigned_abs()) << 80);
        let count: i64 = on_pool!(&self.read, db => sqlx::query_scalar(SQL)
            .bind(by.as_uuid()).bind(room.as_uuid()).bind(since).fetch_one(db))?;
        Ok(u32::try_from(count).unwrap_or(u32::MAX))
    }

    /// Messages of the server that tell of somebody and are not deleted, the oldest first, behind one of them.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn messages_about(
        &self,
        user: UserId,
        after: Option<MessageId>,
        limit: u32,
    ) -> Result<Vec<OwnMessage>, Error> {
        const SQL: &str = "select m.* from told_of t join messages m on m.id = t.message_id \
            where t.user_id = $1 and t.message_id > $2 and m.deleted_at is null order by t.message_id limit $3";
        let after = after.map_or(Uuid::nil(), MessageId::as_uuid);
        let rows: Vec<OwnRow> = on_pool!(&self.read, db => sqlx::query_as(SQL)
            .bind(user.as_uuid()).bind(after).bind(i64::from(limit)).fetch_all(db))?;
        Ok(rows.into_iter().map(OwnMessage::from).collect())
    }
}

/// Keeps whom new messages of the server tell of.
pub(super) async fn insert_subjects(tx: &mut Tx, new: &[(NewMessage, i64)]) -> Result<(), sqlx::Error> {
    let subject = |new: &NewMessage| new.content.system.as_ref().and_then(|system| system.subject());
    let told: Vec<_> = new.iter().filter_map(|(new, _)| Some((new.id, subject(new)?))).collect();
    if told.is_empty() {
        return Ok(());
    }
    on_tx!(tx, db => {
        let mut query = QueryBuilder::new("insert into told_of (message_id, user_id) ");
        query.push_values(told, |mut row, (message, user)| {
            row.push_bind(message.as_uuid()).push_bind(user.as_uuid());
        });
        async move { query.build().execute(db).await.map(|_| ()) }
    })
}
