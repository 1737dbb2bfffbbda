//! Table `upkeep`: messages that were stored before there was an index of words get into it, the newest first, in small steps.
//!
//! Their places in the index are below 0, so that whatever was written later stays above them; and each step is one transaction with the
//! mark of how far it has come, so that a stop, or another node, costs nothing.

use sqlx::FromRow;
use uuid::Uuid;

use super::{
    Error, Store,
    messages::MessageRow,
    pool::{Pool, Tx, execute, execute_now, on_pool, on_tx},
    receipts, search,
};
use crate::domain::{Message, Time};

/// What the work is called in its table.
const TASK: &str = "search_index";

#[derive(FromRow)]
struct UpkeepRow {
    before_id: Option<Uuid>,
    place: i64,
}

impl Store {
    /// Takes one step: looks at up to `limit` messages and indexes those that are not yet. `false`: there are none any more.
    ///
    /// # Errors
    /// When the database fails, also when somebody changes one of these messages right now: try again later.
    pub async fn index_older(&self, limit: u32) -> Result<bool, Error> {
        const BEGIN: &str =
            "insert into upkeep (task, before_id, place) values ($1, $2, 0) on conflict (task) do nothing";
        const DONE: &str = "select 1 from upkeep where task = $1 and done_at is not null";
        const GO_ON: &str = "update upkeep set before_id = $2, place = $3, done_at = $4 where task = $1";
        let done: Option<i32> = on_pool!(&self.read, db => sqlx::query_scalar(DONE).bind(TASK).fetch_optional(db))?;
        if done.is_some() {
            return Ok(false);
        }
        execute_now!(&self.write, sqlx::query(BEGIN).bind(TASK).bind(Uuid::max()))?;
        let mut tx = self.write.begin().await?;
        let Some(UpkeepRow { before_id: Some(before), place }) = progress(&mut tx, &self.write).await? else {
            return Ok(false);
        };
        let ids = older_ids(&mut tx, before, limit).await?;
        let Some(last) = ids.last().copied() else {
            let now = Time::now().as_ms();
            execute!(&mut tx, sqlx::query(GO_ON).bind(TASK).bind(None::<Uuid>).bind(place).bind(now))?;
            tx.commit().await?;
            return Ok(false);
        };
        let missing = missing(&mut tx, before, last).await?;
        let (mut place, mut placed) = (place, Vec::with_capacity(missing.len()));
        for row in missing {
            place -= 1;
            placed.push((row, place));
        }
        let offsets: Vec<i64> = placed.iter().map(|(row, _)| row.event_offset).collect();
        let messages: Vec<(Message, i64)> =
            placed.into_iter().map(|(row, place)| (Message::from(row.message), place)).collect();
        search::insert_at(&mut tx, &messages).await?;
        let told = messages.into_iter().zip(offsets).map(|((message, _), offset)| (message, offset));
        receipts::insert_mentions(&mut tx, &told.collect::<Vec<_>>()).await?;
        execute!(&mut tx, sqlx::query(GO_ON).bind(TASK).bind(Some(last)).bind(place).bind(None::<i64>))?;
        tx.commit().await?;
        Ok(true)
    }
}

/// How far it has come, kept from other nodes until the end of the transaction. `None`: it is done.
async fn progress(tx: &mut Tx, pool: &Pool) -> Result<Option<UpkeepRow>, sqlx::Error> {
    const SQLITE: &str = "select before_id, place from upkeep where task = $1 and done_at is null";
    const POSTGRES: &str = "select before_id, place from upkeep where task = $1 and done_at is null for update";
    let sql = if matches!(pool, Pool::Postgres(_)) { POSTGRES } else { SQLITE };
    on_tx!(tx, db => sqlx::query_as(sql).bind(TASK).fetch_optional(db))
}

/// The ids of messages before one, the newest first.
async fn older_ids(tx: &mut Tx, before: Uuid, limit: u32) -> Result<Vec<Uuid>, sqlx::Error> {
    const SQL: &str = "select id from messages where id < $1 order by id desc limit $2";
    on_tx!(tx, db => sqlx::query_scalar(SQL).bind(before).bind(i64::from(limit)).fetch_all(db))
}

#[derive(FromRow)]
struct OldRow {
    #[sqlx(flatten)]
    message: MessageRow,
    event_offset: i64,
}

/// Messages from `last` up to `before` that are not in the index and belong there, the newest first. On PostgreSQL nobody changes them
/// until the end of the transaction; and it waits for nobody, so that no writer waits for this in a circle.
async fn missing(tx: &mut Tx, before: Uuid, last: Uuid) -> Result<Vec<OldRow>, sqlx::Error> {
    const SQLITE: &str = "select * from messages m where id < $1 and id >= $2 and deleted_at is null \
        and content_type <> 'system' and not exists (select 1 from searchable s where s.message_id = m.id) order by id desc";
    const POSTGRES: &str = "select * from messages m where id < $1 and id >= $2 and deleted_at is null \
        and content_type <> 'system' and not exists (select 1 from searchable s where s.message_id = m.id) \
        order by id desc for no key update nowait";
    match tx {
        Tx::Sqlite(tx) => sqlx::query_as(SQLITE).bind(before).bind(last).fetch_all(&mut **tx).await,
        Tx::Postgres(tx) => sqlx::query_as(POSTGRES).bind(before).bind(last).fetch_all(&mut **tx).await,
    }
}
