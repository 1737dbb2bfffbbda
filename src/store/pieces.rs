//! Table `upload_pieces`: what has arrived of files whose upload goes on.

use uuid::Uuid;

use super::{
    Error, Store,
    pool::{execute, execute_now, on_pool},
};
use crate::domain::{FileId, Time};

impl Store {
    /// Notes a piece that is about to be kept, so that it can be found and deleted whatever happens next. `false`: there are so
    /// many already, or the file is uploaded no more.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn begin_piece(&self, upload: FileId, piece: Uuid, offset: u64, most: u32) -> Result<bool, Error> {
        const SQL: &str = "insert into upload_pieces (id, attachment_id, start_offset) \
            select $1, id, $3 from attachments where id = $2 and state = 'uploading' and not doomed \
            and (select count(*) from upload_pieces where attachment_id = $2) < $4";
        let made = execute_now!(
            &self.write,
            sqlx::query(SQL).bind(piece).bind(upload.as_uuid()).bind(offset.cast_signed()).bind(i64::from(most))
        )?;
        Ok(made == 1)
    }

    /// A piece is kept: the upload stands behind it now. `false`: it did not stand where the piece begins any more, and the piece is
    /// to be deleted.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn commit_piece(
        &self,
        upload: FileId,
        piece: Uuid,
        offset: u64,
        size_bytes: u64,
        expires_at: Time,
    ) -> Result<bool, Error> {
        const ADVANCE: &str = "update attachments set received_bytes = $3, expires_at = $4 \
            where id = $1 and received_bytes = $2 and state = 'uploading' and size_bytes >= $3 and not doomed";
        const KEEP: &str = "update upload_pieces set size_bytes = $2 where id = $1";
        let (from, to) = (offset.cast_signed(), (offset + size_bytes).cast_signed());
        let mut tx = self.write.begin().await?;
        let id = upload.as_uuid();
        let advanced = execute!(&mut tx, sqlx::query(ADVANCE).bind(id).bind(from).bind(to).bind(expires_at.as_ms()))?;
        if advanced == 1 {
            execute!(&mut tx, sqlx::query(KEEP).bind(piece).bind(size_bytes.cast_signed()))?;
            tx.commit().await?;
        }
        Ok(advanced == 1)
    }

    /// The pieces of an upload: where each begins, and its size. Those without a size are to be deleted, not read.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn pieces(&self, upload: FileId) -> Result<Vec<(Uuid, u64, Option<u64>)>, Error> {
        const SQL: &str = "select id, start_offset, size_bytes from upload_pieces where attachment_id = $1 \
            order by start_offset, id";
        let rows: Vec<(Uuid, i64, Option<i64>)> =
            on_pool!(&self.read, db => sqlx::query_as(SQL).bind(upload.as_uuid()).fetch_all(db))?;
        let read = |(id, at, size): (Uuid, i64, Option<i64>)| (id, at.unsigned_abs(), size.map(i64::unsigned_abs));
        Ok(rows.into_iter().map(read).collect())
    }

    /// Files that were looked at and whose pieces are still there: a crash came between.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn leftover_pieces(&self, limit: u32) -> Result<Vec<FileId>, Error> {
        const SQL: &str = "select distinct a.id from upload_pieces p join attachments a on a.id = p.attachment_id \
            where a.state in ('clean', 'infected', 'failed') limit $1";
        let ids: Vec<Uuid> = on_pool!(&self.read, db => sqlx::query_scalar(SQL).bind(i64::from(limit)).fetch_all(db))?;
        Ok(ids.into_iter().map(FileId::from_uuid).collect())
    }

    /// Forgets a piece that is deleted.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn forget_piece(&self, piece: Uuid) -> Result<(), Error> {
        execute_now!(&self.write, sqlx::query("delete from upload_pieces where id = $1").bind(piece))?;
        Ok(())
    }
}
