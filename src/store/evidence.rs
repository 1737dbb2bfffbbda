//! Table `evidence`: what cases rest on. The bytes themselves are files.

use sqlx::FromRow;
use uuid::Uuid;

use super::{
    Error, Store,
    messages::MessageRow,
    modlog::insert_entry,
    pool::{execute_now, on_pool, on_tx},
};
use crate::domain::{
    CaseId, EvidenceId, LogEntry, Message, MessageId, RoomId, Time, UserId,
    evidence::{Evidence, EvidenceKind, Model, Scores},
};

/// Pieces of evidence that one case keeps: the first ones tell what it is about.
const CASE_LIMIT: i64 = 20;

/// A piece of evidence that was looked up.
#[derive(Clone, Debug, PartialEq)]
pub struct Found {
    /// The evidence.
    pub evidence: Evidence,
    /// Of which case.
    pub case: CaseId,
    /// Whom that is about.
    pub user: UserId,
}

#[derive(FromRow)]
struct EvidenceRow {
    id: Uuid,
    case_id: Uuid,
    kind: String,
    media_type: String,
    sha256: String,
    size_bytes: i64,
    taken_at: i64,
    expires_at: i64,
    width: Option<i64>,
    height: Option<i64>,
    scores: Option<String>,
    threshold: Option<f64>,
    model_name: Option<String>,
    model_sha256: Option<String>,
}

impl TryFrom<EvidenceRow> for Evidence {
    type Error = Error;

    fn try_from(row: EvidenceRow) -> Result<Self, Error> {
        let scores = |text: String| -> Result<Scores, Error> {
            serde_json::from_str(&text).map_err(|error| Error::Unreadable(error.to_string()))
        };
        let pixels = |side: i64| u32::try_from(side).unwrap_or(u32::MAX);
        Ok(Self {
            evidence_id: EvidenceId::from_uuid(row.id),
            kind: EvidenceKind::parse(&row.kind).ok_or(Error::Unreadable(row.kind))?,
            media_type: row.media_type,
            sha256: row.sha256,
            size_bytes: row.size_bytes.cast_unsigned(),
            taken_at: Time::from_ms(row.taken_at),
            expires_at: Time::from_ms(row.expires_at),
            width: row.width.map(pixels),
            height: row.height.map(pixels),
            scores: row.scores.map(scores).transpose()?,
            threshold: row.threshold.map(|it| it as f32),
            model: row.model_name.zip(row.model_sha256).map(|(name, sha256)| Model { name, sha256 }),
        })
    }
}

impl Store {
    /// Keeps what is known of a piece of evidence. `false`: the case has the very same already, or as much as it may have.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn add_evidence(&self, case: CaseId, new: &Evidence) -> Result<bool, Error> {
        const SQL: &str = "insert into evidence (id, case_id, kind, media_type, sha256, size_bytes, taken_at, expires_at, \
            width, height, scores, threshold, model_name, model_sha256) \
            select $1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14 \
            where (select count(*) from evidence where case_id = $2) < $15 \
            and not exists (select 1 from evidence where case_id = $2 and sha256 = $5)";
        let scores = new.scores.map(|it| serde_json::to_string(&it).expect("a map of numbers is JSON"));
        let added = execute_now!(
            &self.write,
            sqlx::query(SQL)
                .bind(new.evidence_id.as_uuid())
                .bind(case.as_uuid())
                .bind(new.kind.as_str())
                .bind(&new.media_type)
                .bind(&new.sha256)
                .bind(new.size_bytes.cast_signed())
                .bind(new.taken_at.as_ms())
                .bind(new.expires_at.as_ms())
                .bind(new.width.map(i64::from))
                .bind(new.height.map(i64::from))
                .bind(scores)
                .bind(new.threshold.map(f64::from))
                .bind(new.model.as_ref().map(|it| it.name.clone()))
                .bind(new.model.as_ref().map(|it| it.sha256.clone()))
                .bind(CASE_LIMIT)
        )?;
        Ok(added > 0)
    }

    /// The piece of evidence of that id.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn evidence(&self, id: EvidenceId) -> Result<Option<Found>, Error> {
        const SQL: &str = "select * from evidence where id = $1";
        let row: Option<EvidenceRow> =
            on_pool!(&self.read, db => sqlx::query_as(SQL).bind(id.as_uuid()).fetch_optional(db))?;
        let Some(row) = row else { return Ok(None) };
        let case = CaseId::from_uuid(row.case_id);
        let user: Uuid = on_pool!(&self.read, db => sqlx::query_scalar("select user_id from cases where id = $1")
            .bind(row.case_id).fetch_one(db))?;
        Ok(Some(Found { evidence: row.try_into()?, case, user: UserId::from_uuid(user) }))
    }

    /// What a case rests on, oldest first.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn evidence_of(&self, case: CaseId) -> Result<Vec<Evidence>, Error> {
        const SQL: &str = "select * from evidence where case_id = $1 order by taken_at, id";
        let rows: Vec<EvidenceRow> =
            on_pool!(&self.read, db => sqlx::query_as(SQL).bind(case.as_uuid()).fetch_all(db))?;
        rows.into_iter().map(Evidence::try_from).collect()
    }

    /// Evidence whose time is over, longest first. What administrators have to decide keeps its own.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn expired_evidence(&self, now: Time, limit: u32) -> Result<Vec<EvidenceId>, Error> {
        const SQL: &str = "select e.id from evidence e join cases c on c.id = e.case_id \
            where e.expires_at <= $1 and c.status <> 'escalated' order by e.expires_at limit $2";
        let ids: Vec<Uuid> = on_pool!(&self.read, db => sqlx::query_scalar(SQL)
            .bind(now.as_ms()).bind(i64::from(limit)).fetch_all(db))?;
        Ok(ids.into_iter().map(EvidenceId::from_uuid).collect())
    }

    /// Forgets a piece of evidence whose file is gone; `entry` is what the log says of it, if anything.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn forget_evidence(&self, id: EvidenceId, entry: Option<&LogEntry>) -> Result<(), Error> {
        let mut tx = self.write.begin().await?;
        let case: Option<Uuid> = on_tx!(&mut tx, db => sqlx::query_scalar(
            "delete from evidence where id = $1 returning case_id").bind(id.as_uuid()).fetch_optional(db))?;
        if let Some((case, entry)) = case.zip(entry) {
            insert_entry(&mut tx, &entry.clone().in_case(CaseId::from_uuid(case))).await?;
        }
        tx.commit().await?;
        Ok(())
    }

    /// A message and up to `around` others before and as many after it, in order, as they are now; deleted ones with the text that
    /// they had. A room of strangers remembers them while it is open, and for two minutes after. `None`: the room has no such
    /// message.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn messages_around(
        &self,
        room: RoomId,
        message: MessageId,
        around: u32,
    ) -> Result<Option<Vec<Message>>, Error> {
        const ONE: &str = "select * from messages where room_id = $1 and id = $2";
        const BEFORE: &str = "select * from messages where room_id = $1 and event_offset < \
            (select event_offset from messages where room_id = $1 and id = $2) order by event_offset desc limit $3";
        const AFTER: &str = "select * from messages where room_id = $1 and event_offset > \
            (select event_offset from messages where room_id = $1 and id = $2) order by event_offset limit $3";
        if let Some(found) = self.memory.around(room, message, around) {
            return Ok(Some(found));
        }
        let mut tx = self.read.snapshot().await?;
        let one: Option<MessageRow> = on_tx!(&mut tx, db => sqlx::query_as(ONE)
            .bind(room.as_uuid()).bind(message.as_uuid()).fetch_optional(db))?;
        let Some(one) = one else { return Ok(None) };
        let mut found: Vec<MessageRow> = on_tx!(&mut tx, db => sqlx::query_as(BEFORE)
            .bind(room.as_uuid()).bind(message.as_uuid()).bind(i64::from(around)).fetch_all(db))?;
        let after: Vec<MessageRow> = on_tx!(&mut tx, db => sqlx::query_as(AFTER)
            .bind(room.as_uuid()).bind(message.as_uuid()).bind(i64::from(around)).fetch_all(db))?;
        found.reverse();
        found.push(one);
        found.extend(after);
        Ok(Some(found.into_iter().map(MessageRow::unabridged).collect()))
    }
}
