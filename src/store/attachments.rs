//! Table `attachments`: the files of messages, from the first byte to their deletion.

use std::time::Duration;

use sqlx::{FromRow, QueryBuilder};
use uuid::Uuid;

use super::{
    Error, Store,
    pool::{Tx, execute, execute_now, on_pool, on_tx},
};
use crate::domain::{
    FileId, MessageId, RoomId, Time, UserId,
    attachment::{Attachment, AttachmentFault, AttachmentKind, AttachmentRecord, AttachmentState},
};

/// How far back it is looked for messages that were deleted without a word about their files.
const DELETED_SINCE: Duration = Duration::from_secs(48 * 3600);

/// A file whose upload begins.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewUpload {
    /// Which.
    pub id: FileId,
    /// Whose.
    pub by: UserId,
    /// What its uploader says that it is.
    pub kind: AttachmentKind,
    /// Its name.
    pub name: String,
    /// The media type that its uploader names.
    pub media_type: String,
    /// Its size.
    pub size_bytes: u64,
    /// When it begins.
    pub at: Time,
    /// When it goes, if no message takes it.
    pub expires_at: Time,
}

/// What one person may have here.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Quota {
    /// Bytes of all their files.
    pub bytes: u64,
    /// Uploads that are not finished.
    pub unfinished: u64,
}

/// What became of a wish to upload.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reserved {
    /// It may begin.
    Made,
    /// Too many of their uploads are not finished.
    TooMany,
    /// Their files would have too many bytes.
    Full,
}

/// What is known of a file once it was looked at and found clean.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Seen {
    /// What it is.
    pub kind: AttachmentKind,
    /// By its bytes.
    pub media_type: String,
    /// As it is kept.
    pub size_bytes: u64,
    /// Of what is kept.
    pub sha256: String,
    /// Width and height of its picture.
    pub dimensions: Option<(u32, u32)>,
    /// How long it plays.
    pub duration_ms: Option<u64>,
    /// Whether there is a small picture.
    pub thumbnail: bool,
}

#[derive(FromRow)]
struct Row {
    id: Uuid,
    uploader_id: Option<Uuid>,
    state: String,
    fault: Option<String>,
    kind: String,
    name: String,
    media_type: String,
    size_bytes: i64,
    received_bytes: i64,
    sha256: Option<String>,
    width: Option<i64>,
    height: Option<i64>,
    duration_ms: Option<i64>,
    thumbnail: bool,
    created_at: i64,
    expires_at: i64,
    room_id: Option<Uuid>,
    message_id: Option<Uuid>,
    doomed: bool,
}

fn read<T>(parsed: Option<T>, text: String) -> Result<T, Error> {
    parsed.ok_or(Error::Unreadable(text))
}

impl TryFrom<Row> for AttachmentRecord {
    type Error = Error;

    fn try_from(row: Row) -> Result<Self, Error> {
        let number = |side: Option<i64>| side.and_then(|side| u32::try_from(side).ok());
        let attachment = Attachment {
            file_id: FileId::from_uuid(row.id),
            kind: read(AttachmentKind::parse(&row.kind), row.kind)?,
            name: row.name,
            media_type: row.media_type,
            size_bytes: row.size_bytes.unsigned_abs(),
            state: read(AttachmentState::parse(&row.state), row.state)?,
            fault: row.fault.map(|text| read(AttachmentFault::parse(&text), text)).transpose()?,
            sha256: row.sha256,
            width: number(row.width),
            height: number(row.height),
            duration_ms: row.duration_ms.map(i64::unsigned_abs),
            thumbnail: row.thumbnail,
            created_at: Time::from_ms(row.created_at),
        };
        Ok(Self {
            attachment,
            uploader: row.uploader_id.map(UserId::from_uuid),
            room: row.room_id.map(RoomId::from_uuid),
            message: row.message_id.map(MessageId::from_uuid),
            received_bytes: row.received_bytes.unsigned_abs(),
            expires_at: Time::from_ms(row.expires_at),
            doomed: row.doomed,
        })
    }
}

impl Store {
    /// Begins an upload, if that person's quota has room for it. Of two that begin at once the second sees the first.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn reserve_upload(&self, new: &NewUpload, quota: Quota) -> Result<Reserved, Error> {
        // A row lock in words that both databases know: whoever reserves for the same person waits here.
        const LOCK: &str = "update users set nickname = nickname where id = $1";
        const UNFINISHED: &str = "select count(*) from attachments where uploader_id = $1 and state = 'uploading' \
            and not doomed and expires_at > $2";
        const BYTES: &str = "select cast(coalesce(sum(size_bytes), 0) as bigint) from attachments \
            where uploader_id = $1 and not doomed";
        const SQL: &str = "insert into attachments (id, uploader_id, state, kind, name, media_type, size_bytes, created_at, \
            expires_at) values ($1, $2, $3, $4, $5, $6, $7, $8, $9)";
        let by = new.by.as_uuid();
        let mut tx = self.write.begin().await?;
        execute!(&mut tx, sqlx::query(LOCK).bind(by))?;
        let unfinished: i64 = on_tx!(&mut tx, db => sqlx::query_scalar(UNFINISHED)
            .bind(by).bind(new.at.as_ms()).fetch_one(db))?;
        if unfinished.unsigned_abs() >= quota.unfinished {
            return Ok(Reserved::TooMany);
        }
        let bytes: i64 = on_tx!(&mut tx, db => sqlx::query_scalar(BYTES).bind(by).fetch_one(db))?;
        if bytes.unsigned_abs().saturating_add(new.size_bytes) > quota.bytes {
            return Ok(Reserved::Full);
        }
        execute!(
            &mut tx,
            sqlx::query(SQL)
                .bind(new.id.as_uuid())
                .bind(by)
                .bind(AttachmentState::Uploading.as_str())
                .bind(new.kind.as_str())
                .bind(&new.name)
                .bind(&new.media_type)
                .bind(new.size_bytes.cast_signed())
                .bind(new.at.as_ms())
                .bind(new.expires_at.as_ms())
        )?;
        tx.commit().await?;
        Ok(Reserved::Made)
    }

    /// The file of that id.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn attachment(&self, id: FileId) -> Result<Option<AttachmentRecord>, Error> {
        Ok(self.attachments(&[id]).await?.pop())
    }

    /// The files of those ids, in that order; those that there are.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn attachments(&self, ids: &[FileId]) -> Result<Vec<AttachmentRecord>, Error> {
        if ids.is_empty() {
            return Ok(Vec::new());
        }
        let rows: Vec<Row> = on_pool!(&self.read, db => {
            let mut query = QueryBuilder::new("select * from attachments where id in (");
            let mut list = query.separated(", ");
            for id in ids {
                list.push_bind(id.as_uuid());
            }
            query.push(")");
            async move { query.build_query_as().fetch_all(db).await }
        })?;
        let mut found = rows.into_iter().map(AttachmentRecord::try_from).collect::<Result<Vec<_>, _>>()?;
        found.sort_by_key(|record| ids.iter().position(|id| *id == record.attachment.file_id));
        Ok(found)
    }

    /// Somebody's files, the oldest first, behind one of them.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn files_of(
        &self,
        user: UserId,
        after: Option<FileId>,
        limit: u32,
    ) -> Result<Vec<AttachmentRecord>, Error> {
        const SQL: &str =
            "select * from attachments where uploader_id = $1 and id > $2 and not doomed order by id limit $3";
        let after = after.map_or(Uuid::nil(), FileId::as_uuid);
        let rows: Vec<Row> = on_pool!(&self.read, db => sqlx::query_as(SQL)
            .bind(user.as_uuid()).bind(after).bind(i64::from(limit)).fetch_all(db))?;
        rows.into_iter().map(AttachmentRecord::try_from).collect()
    }

    /// The bytes of all files that count for that person.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn attachment_bytes(&self, user: UserId) -> Result<u64, Error> {
        const SQL: &str = "select cast(coalesce(sum(size_bytes), 0) as bigint) from attachments \
            where uploader_id = $1 and not doomed";
        let bytes: i64 = on_pool!(&self.read, db => sqlx::query_scalar(SQL).bind(user.as_uuid()).fetch_one(db))?;
        Ok(bytes.unsigned_abs())
    }

    /// Everything has arrived: from now on it waits to be looked at. `false`: it is uploaded no more.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn finish_upload(&self, id: FileId, size_bytes: u64, at: Time) -> Result<bool, Error> {
        const SQL: &str = "update attachments set state = 'scanning', size_bytes = $2, due_at = $3 \
            where id = $1 and state = 'uploading' and received_bytes = $2 and not doomed";
        let done = execute_now!(
            &self.write,
            sqlx::query(SQL).bind(id.as_uuid()).bind(size_bytes.cast_signed()).bind(at.as_ms())
        )?;
        Ok(done == 1)
    }

    /// Takes a file that is due to be looked at, for this run of this process, until then. `None`: there is none.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn claim_scan(&self, by: Uuid, now: Time, until: Time) -> Result<Option<AttachmentRecord>, Error> {
        const NEXT: &str = "select id from attachments where state = 'scanning' and due_at <= $1 and busy_until <= $1 \
            and not doomed order by due_at limit 1";
        const CLAIM: &str = "update attachments set busy_until = $3, busy_by = $4 \
            where id = $1 and state = 'scanning' and busy_until <= $2 and not doomed returning *";
        loop {
            let next: Option<Uuid> =
                on_pool!(&self.read, db => sqlx::query_scalar(NEXT).bind(now.as_ms()).fetch_optional(db))?;
            let Some(id) = next else { return Ok(None) };
            let row: Option<Row> = on_pool!(&self.write, db => sqlx::query_as(CLAIM)
                .bind(id).bind(now.as_ms()).bind(until.as_ms()).bind(by).fetch_optional(db))?;
            // Somebody else was faster: there may be another.
            if let Some(row) = row {
                return row.try_into().map(Some);
            }
        }
    }

    /// Keeps a claim for longer. `false`: it is somebody else's, or the file is gone.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn keep_scan(&self, id: FileId, by: Uuid, until: Time) -> Result<bool, Error> {
        const SQL: &str = "update attachments set busy_until = $3 where id = $1 and busy_by = $2 and not doomed";
        let kept = execute_now!(&self.write, sqlx::query(SQL).bind(id.as_uuid()).bind(by).bind(until.as_ms()))?;
        Ok(kept == 1)
    }

    /// Gives back whatever this run of this process has claimed: others, or its next run, go on with it.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn release_scans(&self, by: Uuid) -> Result<(), Error> {
        const SQL: &str =
            "update attachments set busy_until = 0, busy_by = null where busy_by = $1 and state = 'scanning'";
        execute_now!(&self.write, sqlx::query(SQL).bind(by))?;
        Ok(())
    }

    /// How often a file could not be looked at.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn attachment_tries(&self, id: FileId) -> Result<u32, Error> {
        const SQL: &str = "select tries from attachments where id = $1";
        let tries: Option<i64> =
            on_pool!(&self.read, db => sqlx::query_scalar(SQL).bind(id.as_uuid()).fetch_optional(db))?;
        Ok(tries.and_then(|tries| u32::try_from(tries).ok()).unwrap_or_default())
    }

    /// A claimed file cannot be looked at now: later.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn postpone_scan(&self, id: FileId, by: Uuid, due_at: Time) -> Result<(), Error> {
        const SQL: &str = "update attachments set busy_until = 0, busy_by = null, due_at = $3, tries = tries + 1 \
            where id = $1 and busy_by = $2";
        execute_now!(&self.write, sqlx::query(SQL).bind(id.as_uuid()).bind(by).bind(due_at.as_ms()))?;
        Ok(())
    }

    /// A claimed file is clean: from now on a message may take it. `None`: the claim was lost.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn pass_scan(
        &self,
        id: FileId,
        by: Uuid,
        name: &str,
        seen: &Seen,
    ) -> Result<Option<AttachmentRecord>, Error> {
        const SQL: &str = "update attachments set state = 'clean', busy_by = null, kind = $3, media_type = $4, \
            size_bytes = $5, sha256 = $6, width = $7, height = $8, duration_ms = $9, thumbnail = $10, name = $11 \
            where id = $1 and busy_by = $2 and state = 'scanning' and not doomed returning *";
        let (width, height) = seen.dimensions.unzip();
        let row: Option<Row> = on_pool!(&self.write, db => sqlx::query_as(SQL)
            .bind(id.as_uuid()).bind(by).bind(seen.kind.as_str()).bind(&seen.media_type)
            .bind(seen.size_bytes.cast_signed()).bind(&seen.sha256).bind(width.map(i64::from)).bind(height.map(i64::from))
            .bind(seen.duration_ms.map(u64::cast_signed)).bind(seen.thumbnail).bind(name).fetch_optional(db))?;
        row.map(AttachmentRecord::try_from).transpose()
    }

    /// A claimed file is not to be shown: it keeps its row for its uploader, and its bytes count no more. `None`: the claim was lost.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn fail_scan(
        &self,
        id: FileId,
        by: Uuid,
        state: AttachmentState,
        fault: Option<AttachmentFault>,
    ) -> Result<Option<AttachmentRecord>, Error> {
        const SQL: &str = "update attachments set state = $3, fault = $4, busy_by = null, size_bytes = 0 \
            where id = $1 and busy_by = $2 and state = 'scanning' returning *";
        let fault = fault.map(AttachmentFault::as_str);
        let row: Option<Row> = on_pool!(&self.write, db => sqlx::query_as(SQL)
            .bind(id.as_uuid()).bind(by).bind(state.as_str()).bind(fault).fetch_optional(db))?;
        row.map(AttachmentRecord::try_from).transpose()
    }

    /// Has a file deleted that no message has taken. `false`: one has, or there is no such file of that person.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn doom_attachment(&self, id: FileId, by: UserId) -> Result<bool, Error> {
        const SQL: &str = "update attachments set doomed = true where id = $1 and uploader_id = $2 and message_id is null \
            and not doomed";
        let done = execute_now!(&self.write, sqlx::query(SQL).bind(id.as_uuid()).bind(by.as_uuid()))?;
        Ok(done == 1)
    }

    /// Has all files of a person deleted.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn doom_attachments_of(&self, user: UserId) -> Result<(), Error> {
        const SQL: &str = "update attachments set doomed = true where uploader_id = $1";
        execute_now!(&self.write, sqlx::query(SQL).bind(user.as_uuid()))?;
        Ok(())
    }

    /// Has everything deleted whose time is over: what no message took, what was taken by messages that are gone or were deleted.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn doom_due_attachments(&self, now: Time) -> Result<u64, Error> {
        const LOOSE: &str = "update attachments set doomed = true where not doomed and message_id is null \
            and (expires_at <= $1 or room_id is not null)";
        const DELETED: &str = "update attachments set doomed = true where not doomed \
            and message_id in (select id from messages where deleted_at > $1)";
        let since = now.as_ms() - i64::try_from(DELETED_SINCE.as_millis()).unwrap_or(i64::MAX);
        let loose = execute_now!(&self.write, sqlx::query(LOOSE).bind(now.as_ms()))?;
        Ok(loose + execute_now!(&self.write, sqlx::query(DELETED).bind(since))?)
    }

    /// Files that are to be deleted, so many at most, after that one.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn doomed_attachments(&self, after: Option<FileId>, limit: u32) -> Result<Vec<FileId>, Error> {
        const SQL: &str = "select id from attachments where doomed and id > $1 order by id limit $2";
        let after = after.map_or(Uuid::nil(), FileId::as_uuid);
        let ids: Vec<Uuid> = on_pool!(&self.read, db => sqlx::query_scalar(SQL)
            .bind(after).bind(i64::from(limit)).fetch_all(db))?;
        Ok(ids.into_iter().map(FileId::from_uuid).collect())
    }

    /// Forgets a file whose bytes are deleted.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn forget_attachment(&self, id: FileId) -> Result<(), Error> {
        execute_now!(&self.write, sqlx::query("delete from attachments where id = $1 and doomed").bind(id.as_uuid()))?;
        Ok(())
    }

    /// Whether a file's message can still be read: it is there and was not deleted.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn is_message_there(&self, message: MessageId) -> Result<bool, Error> {
        const SQL: &str = "select count(*) from messages where id = $1 and deleted_at is null";
        let count: i64 = on_pool!(&self.read, db => sqlx::query_scalar(SQL).bind(message.as_uuid()).fetch_one(db))?;
        Ok(count > 0)
    }
}

impl Store {
    /// Gives files to a message that is stored already. `None`: see [`take_attachments`]; then nothing is taken.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn attach(
        &self,
        ids: &[FileId],
        by: UserId,
        room: RoomId,
        message: MessageId,
    ) -> Result<Option<Vec<Attachment>>, Error> {
        let mut tx = self.write.begin().await?;
        let taken = take_attachments(&mut tx, ids, by, room, message).await?;
        if taken.is_some() {
            tx.commit().await?;
        }
        Ok(taken)
    }

    /// Has a message's files deleted.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn release_attachments(&self, message: MessageId) -> Result<(), Error> {
        let mut tx = self.write.begin().await?;
        release_attachments(&mut tx, message).await?;
        Ok(tx.commit().await?)
    }
}

/// Gives files to a message, in the transaction that stores it (before or after the message's own row). `None`: one of them is not
/// clean, not that person's, or was taken before; then the message must not be stored.
pub(super) async fn take_attachments(
    tx: &mut Tx,
    ids: &[FileId],
    by: UserId,
    room: RoomId,
    message: MessageId,
) -> Result<Option<Vec<Attachment>>, sqlx::Error> {
    const SQL: &str = "update attachments set room_id = $3, message_id = $4, place = $5 where id = $1 and uploader_id = $2 \
        and state = 'clean' and room_id is null and message_id is null and not doomed returning *";
    let mut taken = Vec::with_capacity(ids.len());
    for (place, id) in ids.iter().enumerate() {
        let row: Option<Row> = on_tx!(tx, db => sqlx::query_as(SQL)
            .bind(id.as_uuid()).bind(by.as_uuid()).bind(room.as_uuid()).bind(message.as_uuid())
            .bind(i64::try_from(place).unwrap_or(i64::MAX)).fetch_optional(db))?;
        let Some(record) = row.and_then(|row| AttachmentRecord::try_from(row).ok()) else { return Ok(None) };
        taken.push(record.attachment);
    }
    Ok(Some(taken))
}

/// Has a message's files deleted, in the transaction that deletes it.
pub(super) async fn release_attachments(tx: &mut Tx, message: MessageId) -> Result<(), sqlx::Error> {
    const SQL: &str = "update attachments set doomed = true where message_id = $1";
    execute!(tx, sqlx::query(SQL).bind(message.as_uuid()))?;
    Ok(())
}
