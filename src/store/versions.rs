//! Table `message_versions`: what messages said before they were changed.

use super::{
    Error, Store,
    messages::MessageRow,
    pool::{Tx, execute, on_tx},
};
use crate::domain::{Message, MessageId, RoomId, Time, message::Version};

/// Versions that are kept of one message, beside what it says now: the first, and the latest of the others.
pub const VERSIONS: u32 = 50;

impl Store {
    /// All that a message has said, oldest first, the last being what it says (or said when it was deleted). `None`: no such message.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn versions(&self, room: RoomId, id: MessageId) -> Result<Option<Vec<Version>>, Error> {
        const NOW: &str = "select * from messages where room_id = $1 and id = $2";
        const BEFORE: &str = "select text, written_at from message_versions where message_id = $1 order by version";
        if self.memory.is_open(room) {
            return Ok(self.memory.versions(room, id));
        }
        let mut tx = self.read.snapshot().await?;
        let now: Option<MessageRow> = on_tx!(&mut tx, db => sqlx::query_as(NOW)
            .bind(room.as_uuid()).bind(id.as_uuid()).fetch_optional(db))?;
        let Some(now) = now else { return Ok(None) };
        let rows: Vec<(String, i64)> = on_tx!(&mut tx, db => sqlx::query_as(BEFORE).bind(id.as_uuid()).fetch_all(db))?;
        let before = rows.into_iter().map(|(text, at)| Version { text, written_at: Time::from_ms(at) });
        Ok(Some(before.chain([version_of(&now.unabridged())]).collect()))
    }
}

/// What a message says now.
pub(super) fn version_of(message: &Message) -> Version {
    let written_at = message.edited_at.unwrap_or(message.created_at);
    Version { text: message.content.text.clone(), written_at }
}

/// Keeps what a message has said so far.
pub(super) async fn insert_version(tx: &mut Tx, id: MessageId, version: &Version) -> Result<(), sqlx::Error> {
    const SQL: &str = "insert into message_versions (message_id, version, text, written_at) values ($1, \
        (select coalesce(max(version), 0) + 1 from message_versions where message_id = $1), $2, $3)";
    const TRIM: &str = "delete from message_versions where message_id = $1 and version > 1 and version <= \
        (select max(version) from message_versions where message_id = $1) - $2";
    let id = id.as_uuid();
    execute!(tx, sqlx::query(SQL).bind(id).bind(&version.text).bind(version.written_at.as_ms()))?;
    execute!(tx, sqlx::query(TRIM).bind(id).bind(i64::from(VERSIONS) - 1))?;
    Ok(())
}
