//! Table `messages`.

use sqlx::{FromRow, QueryBuilder};
use uuid::Uuid;

use super::{
    Error, Store,
    pool::{Tx, execute, on_pool, on_tx},
};
use crate::domain::{
    Message, MessageId, RoomId, Time, UserId,
    message::{Author, Content},
};

/// A message that is to be stored.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewMessage {
    /// The id that it will have.
    pub id: MessageId,
    /// Where.
    pub room: RoomId,
    /// Who writes.
    pub sender: Author,
    /// The sender's own name for it.
    pub client_id: String,
    /// What it says.
    pub text: String,
    /// The message that it answers.
    pub reply_to: Option<MessageId>,
    /// When.
    pub at: Time,
}

impl NewMessage {
    /// The message as everybody will see it.
    pub fn message(&self) -> Message {
        Message {
            id: self.id,
            room_id: self.room,
            sender: self.sender.clone(),
            client_id: self.client_id.clone(),
            content: Content { text: self.text.clone() },
            reply_to: self.reply_to,
            created_at: self.at,
            edited_at: None,
            deleted: false,
        }
    }

    /// What tells the same content from another one.
    pub(super) fn content_hash(&self) -> Vec<u8> {
        let mut hash = ring::digest::Context::new(&ring::digest::SHA256);
        hash.update(self.reply_to.map_or(Uuid::nil(), MessageId::as_uuid).as_bytes());
        hash.update(self.text.as_bytes());
        hash.finish().as_ref().to_vec()
    }
}

#[derive(FromRow)]
pub(super) struct MessageRow {
    id: Uuid,
    room_id: Uuid,
    pub(super) sender_id: Uuid,
    sender_nickname: String,
    client_id: String,
    pub(super) content_hash: Vec<u8>,
    text: String,
    reply_to: Option<Uuid>,
    created_at: i64,
    edited_at: Option<i64>,
    pub(super) deleted_at: Option<i64>,
}

impl MessageRow {
    /// The message with its text, though it be deleted: for those who have to judge it.
    pub(super) fn unabridged(self) -> Message {
        let row = self;
        Message {
            id: MessageId::from_uuid(row.id),
            room_id: RoomId::from_uuid(row.room_id),
            sender: Author { id: UserId::from_uuid(row.sender_id), nickname: row.sender_nickname },
            client_id: row.client_id,
            content: Content { text: row.text },
            reply_to: row.reply_to.map(MessageId::from_uuid),
            created_at: Time::from_ms(row.created_at),
            edited_at: row.edited_at.map(Time::from_ms),
            deleted: row.deleted_at.is_some(),
        }
    }
}

impl From<MessageRow> for Message {
    fn from(row: MessageRow) -> Self {
        let message = row.unabridged();
        if message.deleted { message.emptied() } else { message }
    }
}

impl Store {
    /// The message of that id in that room.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn message(&self, room: RoomId, id: MessageId) -> Result<Option<Message>, Error> {
        const SQL: &str = "select * from messages where room_id = $1 and id = $2";
        if let Some(message) = self.memory.message(room, id) {
            return Ok(message);
        }
        let row: Option<MessageRow> = on_pool!(&self.read, db => sqlx::query_as(SQL)
            .bind(room.as_uuid()).bind(id.as_uuid()).fetch_optional(db))?;
        Ok(row.map(Message::from))
    }

    /// Messages of a room, newest first; those before `before`, if it is given. `None`: the room has no message `before`.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn messages(
        &self,
        room: RoomId,
        limit: u32,
        before: Option<MessageId>,
    ) -> Result<Option<Vec<Message>>, Error> {
        const PLACE: &str = "select event_offset from messages where room_id = $1 and id = $2";
        if let Some(messages) = self.memory.messages(room, limit, before) {
            return Ok(messages);
        }
        let mut tx = self.read.snapshot().await?;
        let mut below = i64::MAX;
        if let Some(before) = before {
            let place: Option<i64> = on_tx!(&mut tx, db => sqlx::query_scalar(PLACE)
                .bind(room.as_uuid()).bind(before.as_uuid()).fetch_optional(db))?;
            let Some(place) = place else { return Ok(None) };
            below = place;
        }
        Ok(Some(newest_messages(&mut tx, room, limit, below).await?))
    }
}

/// Messages of a room whose offset is below a limit, newest first.
pub(super) async fn newest_messages(
    tx: &mut Tx,
    room: RoomId,
    limit: u32,
    below: i64,
) -> Result<Vec<Message>, sqlx::Error> {
    const SQL: &str =
        "select * from messages where room_id = $1 and event_offset < $2 order by event_offset desc limit $3";
    let rows: Vec<MessageRow> = on_tx!(tx, db => sqlx::query_as(SQL)
        .bind(room.as_uuid()).bind(below).bind(i64::from(limit)).fetch_all(db))?;
    Ok(rows.into_iter().map(Message::from).collect())
}

/// Of the messages that are to be stored, those whose room, sender and client id are taken already.
pub(super) async fn known_messages(tx: &mut Tx, new: &[&NewMessage]) -> Result<Vec<MessageRow>, sqlx::Error> {
    const SQL: &str = "select * from messages where (room_id, sender_id, client_id) in (";
    if new.is_empty() {
        return Ok(Vec::new());
    }
    on_tx!(tx, db => {
        let mut query = QueryBuilder::new(SQL);
        query.push_values(new, |mut row, it| {
            row.push_bind(it.room.as_uuid()).push_bind(it.sender.id.as_uuid()).push_bind(&it.client_id);
        });
        query.push(")");
        async move { query.build_query_as().fetch_all(db).await }
    })
}

/// Stores messages, each with the offset of its event.
pub(super) async fn insert_messages(tx: &mut Tx, new: &[(&NewMessage, i64)]) -> Result<(), sqlx::Error> {
    const SQL: &str = "insert into messages (id, room_id, sender_id, sender_nickname, client_id, content_hash, text, \
        reply_to, event_offset, created_at) ";
    if new.is_empty() {
        return Ok(());
    }
    on_tx!(tx, db => {
        let mut query = QueryBuilder::new(SQL);
        query.push_values(new, |mut row, (it, offset)| {
            row.push_bind(it.id.as_uuid()).push_bind(it.room.as_uuid()).push_bind(it.sender.id.as_uuid())
                .push_bind(&it.sender.nickname).push_bind(&it.client_id).push_bind(it.content_hash())
                .push_bind(&it.text).push_bind(it.reply_to.map(MessageId::as_uuid)).push_bind(*offset)
                .push_bind(it.at.as_ms());
        });
        async move { query.build().execute(db).await.map(|_| ()) }
    })
}

/// One message of a room, to be changed in this transaction.
pub(super) async fn message_row(tx: &mut Tx, room: RoomId, id: MessageId) -> Result<Option<MessageRow>, sqlx::Error> {
    const SQL: &str = "select * from messages where room_id = $1 and id = $2";
    on_tx!(tx, db => sqlx::query_as(SQL).bind(room.as_uuid()).bind(id.as_uuid()).fetch_optional(db))
}

/// Gives a message another text.
pub(super) async fn edit_message(tx: &mut Tx, id: MessageId, text: &str, at: Time) -> Result<(), sqlx::Error> {
    const SQL: &str = "update messages set text = $2, edited_at = $3 where id = $1";
    execute!(tx, sqlx::query(SQL).bind(id.as_uuid()).bind(text).bind(at.as_ms()))?;
    Ok(())
}

/// Marks a message as deleted. Its text stays for those who have to judge it, and is served to nobody else.
pub(super) async fn delete_message(tx: &mut Tx, id: MessageId, by: UserId, at: Time) -> Result<(), sqlx::Error> {
    const SQL: &str = "update messages set deleted_at = $2, deleted_by = $3 where id = $1";
    execute!(tx, sqlx::query(SQL).bind(id.as_uuid()).bind(at.as_ms()).bind(by.as_uuid()))?;
    Ok(())
}
