//! Table `moderation_log`: what those who keep order did, and what the server did in their place.

use sqlx::FromRow;
use uuid::Uuid;

use super::{
    Error, Store,
    pool::{Tx, execute, on_pool},
};
use crate::domain::{CaseId, Deed, EvidenceId, LogEntry, LogId, RoomId, Time, UserId, case::Named, deed::Logged};

#[derive(FromRow)]
struct EntryRow {
    id: Uuid,
    at: i64,
    actor_id: Option<Uuid>,
    actor_name: Option<String>,
    action: String,
    case_id: Option<Uuid>,
    user_id: Option<Uuid>,
    user_name: Option<String>,
    room_id: Option<Uuid>,
    evidence_id: Option<Uuid>,
    reason: Option<String>,
    duration_s: Option<i64>,
}

macro_rules! select {
    ($rest:literal) => {
        concat!(
            "select l.*, a.nickname as actor_name, u.nickname as user_name from moderation_log l \
             left join users a on a.id = l.actor_id left join users u on u.id = l.user_id ",
            $rest
        )
    };
}

impl TryFrom<EntryRow> for Logged {
    type Error = Error;

    fn try_from(row: EntryRow) -> Result<Self, Error> {
        let named = |id: Option<Uuid>, name: Option<String>| {
            id.map(|id| Named { user_id: UserId::from_uuid(id), nickname: name.unwrap_or_default() })
        };
        Ok(Self {
            entry_id: LogId::from_uuid(row.id),
            at: Time::from_ms(row.at),
            by: named(row.actor_id, row.actor_name),
            action: Deed::parse(&row.action).ok_or(Error::Unreadable(row.action))?,
            subject: named(row.user_id, row.user_name),
            case_id: row.case_id.map(CaseId::from_uuid),
            room_id: row.room_id.map(RoomId::from_uuid),
            evidence_id: row.evidence_id.map(EvidenceId::from_uuid),
            reason: row.reason,
            duration_s: row.duration_s.map(i64::cast_unsigned),
        })
    }
}

impl Store {
    /// Writes a line into the log.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn log(&self, entry: &LogEntry) -> Result<(), Error> {
        let mut tx = self.write.begin().await?;
        insert_entry(&mut tx, entry).await?;
        tx.commit().await?;
        Ok(())
    }

    /// Lines of the log, newest first; those before `before`, if it is given.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn log_entries(&self, limit: u32, before: Option<LogId>) -> Result<Vec<Logged>, Error> {
        // Ids are UUIDv7: their order is that of time.
        const SQL: &str = select!("where l.id < $1 order by l.id desc limit $2");
        let before = before.map_or(Uuid::max(), LogId::as_uuid);
        let rows: Vec<EntryRow> = on_pool!(&self.read, db => sqlx::query_as(SQL)
            .bind(before).bind(i64::from(limit)).fetch_all(db))?;
        rows.into_iter().map(Logged::try_from).collect()
    }

    /// The lines of one case, oldest first.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn log_of_case(&self, case: CaseId, limit: u32) -> Result<Vec<Logged>, Error> {
        const SQL: &str = select!("where l.case_id = $1 order by l.id limit $2");
        let rows: Vec<EntryRow> = on_pool!(&self.read, db => sqlx::query_as(SQL)
            .bind(case.as_uuid()).bind(i64::from(limit)).fetch_all(db))?;
        rows.into_iter().map(Logged::try_from).collect()
    }
}

/// Writes a line in this transaction: what was done and that it was done are stored together.
pub(super) async fn insert_entry(tx: &mut Tx, entry: &LogEntry) -> Result<(), sqlx::Error> {
    const SQL: &str = "insert into moderation_log \
        (id, at, actor_id, action, case_id, user_id, room_id, evidence_id, reason, duration_s) \
        values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)";
    execute!(
        tx,
        sqlx::query(SQL)
            .bind(LogId::new().as_uuid())
            .bind(entry.at.as_ms())
            .bind(entry.by.map(UserId::as_uuid))
            .bind(entry.deed.as_str())
            .bind(entry.case.map(CaseId::as_uuid))
            .bind(entry.user.map(UserId::as_uuid))
            .bind(entry.room.map(RoomId::as_uuid))
            .bind(entry.evidence.map(EvidenceId::as_uuid))
            .bind(&entry.reason)
            .bind(entry.duration_s.map(u64::cast_signed))
    )?;
    Ok(())
}
