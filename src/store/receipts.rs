//! Tables `reads` and `mentions`: how far people have read, and what is meant for them.

use std::collections::{BTreeMap, BTreeSet};

use sqlx::{FromRow, QueryBuilder};
use tokio::sync::{mpsc, oneshot};
use uuid::Uuid;

use super::{
    Error, Store,
    pool::{Pool, Tx, execute, execute_now, on_pool, on_tx},
};
use crate::domain::{
    Message, MessageId, Refusal, RoomId, Time, UserId,
    reading::{NotifyLevel, Receipt, Unread},
};

/// Of the messages after a pointer so many are looked at, newest first: a count costs no more, however long somebody was away.
const COUNTED: i64 = 1_000;
/// Pointers that may wait to be written. Whoever comes when it is full waits with their request.
const QUEUE: usize = 4_096;
/// Pointers that one transaction takes.
const BATCH: usize = 256;
/// Whoever is mentioned when everybody in the room is.
pub(super) const EVERYBODY: UserId = UserId::from_uuid(Uuid::nil());

/// A pointer that is to move.
struct Mark {
    room: RoomId,
    user: UserId,
    offset: i64,
    message: MessageId,
    at: Time,
    reply: oneshot::Sender<Result<bool, Refusal>>,
}

/// The way to the one who writes pointers: those that come at once share a commit, so that a busy room with many readers costs the
/// messages' own writer little.
#[derive(Clone)]
pub(super) struct Marker(mpsc::Sender<Mark>);

#[derive(FromRow)]
struct PointerRow {
    room_id: Uuid,
    joined_at: i64,
    read_offset: Option<i64>,
    message_id: Option<Uuid>,
    level: Option<String>,
    muted_until: Option<i64>,
}

#[derive(FromRow)]
struct ReceiptRow {
    user_id: Uuid,
    message_id: Uuid,
    read_at: i64,
}

impl Marker {
    pub(super) fn start(pool: Pool) -> Self {
        let (marks, mut inbox) = mpsc::channel(QUEUE);
        tokio::spawn(async move {
            let mut batch = Vec::with_capacity(BATCH);
            while inbox.recv_many(&mut batch, BATCH).await > 0 {
                write(&pool, std::mem::take(&mut batch)).await;
            }
        });
        Self(marks)
    }
}

impl Store {
    /// Somebody has read a room up to that message, if not further. Whether the pointer has moved.
    ///
    /// # Errors
    /// `not_found` (no such message in that room), `internal`.
    pub async fn mark_read(&self, room: RoomId, user: UserId, message: MessageId, at: Time) -> Result<bool, Refusal> {
        let gone = || Refusal::Internal("nobody writes pointers any more".to_owned());
        if self.memory.is_open(room) {
            return self.message(room, message).await?.map(|_| false).ok_or(Refusal::NotFound);
        }
        let offset = self.place_of(room, message).await?.ok_or(Refusal::NotFound)?;
        let (reply, answer) = oneshot::channel();
        self.marks.0.send(Mark { room, user, offset, message, at, reply }).await.map_err(|_| gone())?;
        answer.await.map_err(|_| gone())?
    }

    /// Somebody wants that message, and all after it, to count as not read.
    ///
    /// # Errors
    /// `not_found` (no such message in that room), `internal`.
    pub async fn mark_unread(&self, room: RoomId, user: UserId, message: MessageId, at: Time) -> Result<(), Refusal> {
        const BEFORE: &str =
            "select id from messages where room_id = $1 and event_offset < $2 order by event_offset desc limit 1";
        const SQL: &str = "insert into reads (room_id, user_id, read_offset, message_id, read_at) values ($1, $2, $3, $4, $5) \
            on conflict (room_id, user_id) do update set read_offset = excluded.read_offset, message_id = excluded.message_id";
        if self.memory.is_open(room) {
            return self.message(room, message).await?.map(|_| ()).ok_or(Refusal::NotFound);
        }
        let offset = self.place_of(room, message).await?.ok_or(Refusal::NotFound)?;
        let (room, user) = (room.as_uuid(), user.as_uuid());
        let before: Option<Uuid> =
            on_pool!(&self.read, db => sqlx::query_scalar(BEFORE).bind(room).bind(offset).fetch_optional(db))
                .map_err(Error::from)?;
        execute_now!(
            &self.write,
            sqlx::query(SQL).bind(room).bind(user).bind(offset - 1).bind(before).bind(at.as_ms())
        )
        .map_err(Error::from)?;
        Ok(())
    }

    /// How somebody wants to hear of a room from now on.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn set_notify(
        &self,
        room: RoomId,
        user: UserId,
        level: NotifyLevel,
        muted_until: Option<Time>,
        at: Time,
    ) -> Result<(), Error> {
        const SQL: &str = "insert into reads (room_id, user_id, read_at, level, muted_until) values ($1, $2, $3, $4, $5) \
            on conflict (room_id, user_id) do update set level = excluded.level, muted_until = excluded.muted_until";
        if self.memory.is_open(room) {
            return Ok(());
        }
        let (room, user, muted_until) = (room.as_uuid(), user.as_uuid(), muted_until.map(Time::as_ms));
        execute_now!(
            &self.write,
            sqlx::query(SQL).bind(room).bind(user).bind(at.as_ms()).bind(level.as_str()).bind(muted_until)
        )?;
        Ok(())
    }

    /// What a member has not read in a room. `None`: no member of it.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn unread(&self, room: RoomId, user: UserId) -> Result<Option<Unread>, Error> {
        const SQL: &str = "select m.room_id, m.joined_at, r.read_offset, r.message_id, r.level, r.muted_until from members m \
            left join reads r on r.room_id = m.room_id and r.user_id = m.user_id where m.room_id = $1 and m.user_id = $2";
        let mut tx = self.read.snapshot().await?;
        let row: Option<PointerRow> = on_tx!(&mut tx, db => sqlx::query_as(SQL)
            .bind(room.as_uuid()).bind(user.as_uuid()).fetch_optional(db))?;
        match row {
            Some(row) => Ok(Some(count(&mut tx, user, row).await?)),
            None => Ok(None),
        }
    }

    /// What somebody has not read in their rooms, in the order of the rooms' ids, after `after`; in those for adults only with
    /// `all_levels`.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn all_unread(
        &self,
        user: UserId,
        all_levels: bool,
        after: Option<RoomId>,
        limit: u32,
    ) -> Result<Vec<Unread>, Error> {
        const SQL: &str = "select m.room_id, m.joined_at, r.read_offset, r.message_id, r.level, r.muted_until from members m \
            left join reads r on r.room_id = m.room_id and r.user_id = m.user_id join rooms on rooms.id = m.room_id \
            where m.user_id = $1 and m.room_id > $2 and ($4 or rooms.content_level not in ('adult', 'extreme')) \
            and not exists (select 1 from removals x where x.room_id = m.room_id and x.user_id = m.user_id \
            and (x.until is null or x.until > $5)) order by m.room_id limit $3";
        let after = after.map_or(Uuid::nil(), RoomId::as_uuid);
        let mut tx = self.read.snapshot().await?;
        let rows: Vec<PointerRow> = on_tx!(&mut tx, db => sqlx::query_as(SQL)
            .bind(user.as_uuid()).bind(after).bind(i64::from(limit)).bind(all_levels).bind(Time::now().as_ms())
            .fetch_all(db))?;
        let mut all = Vec::with_capacity(rows.len());
        for row in rows {
            all.push(count(&mut tx, user, row).await?);
        }
        Ok(all)
    }

    /// How far the members of a room have read who let others know and want to be seen. `None`: the room has more than `most`
    /// members, or is of a kind in which nobody is told.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn receipts(&self, room: RoomId, most: u32) -> Result<Option<Vec<Receipt>>, Error> {
        const SIZE: &str = "select count(*) from (select 1 from members m join rooms r on r.id = m.room_id \
            where m.room_id = $1 and r.kind in ('dm', 'groupDm', 'group') limit $2) as it";
        const SQL: &str = "select r.user_id, r.message_id, r.read_at from reads r \
            join members m on m.room_id = r.room_id and m.user_id = r.user_id \
            left join presences p on p.user_id = r.user_id \
            where r.room_id = $1 and r.message_id is not null and coalesce(p.private_receipts, false) = false \
            and coalesce(p.status, 'online') <> 'invisible' \
            order by r.user_id";
        let mut tx = self.read.snapshot().await?;
        let size: i64 = on_tx!(&mut tx, db => sqlx::query_scalar(SIZE)
            .bind(room.as_uuid()).bind(i64::from(most) + 1).fetch_one(db))?;
        if size == 0 || size > i64::from(most) {
            return Ok(None);
        }
        let rows: Vec<ReceiptRow> = on_tx!(&mut tx, db => sqlx::query_as(SQL).bind(room.as_uuid()).fetch_all(db))?;
        let receipt = |row: ReceiptRow| Receipt {
            user_id: UserId::from_uuid(row.user_id),
            message_id: MessageId::from_uuid(row.message_id),
            at: Time::from_ms(row.read_at),
        };
        Ok(Some(rows.into_iter().map(receipt).collect()))
    }

    async fn place_of(&self, room: RoomId, message: MessageId) -> Result<Option<i64>, Error> {
        const SQL: &str = "select event_offset from messages where room_id = $1 and id = $2";
        Ok(on_pool!(&self.read, db => sqlx::query_scalar(SQL)
            .bind(room.as_uuid()).bind(message.as_uuid()).fetch_optional(db))?)
    }
}

/// Counts what stands after a pointer.
async fn count(tx: &mut Tx, user: UserId, row: PointerRow) -> Result<Unread, Error> {
    const UNREAD: &str = "select count(*) from (select sender_id, deleted_at, created_at, content_type from messages \
        where room_id = $1 and event_offset > $2 order by event_offset desc limit $5) as newest \
        where sender_id <> $3 and deleted_at is null and created_at > $4 and content_type <> 'system' \
        and not exists (select 1 from blocks b where b.user_id = $3 and b.blocked_id = newest.sender_id)";
    const MENTIONS: &str = "select count(distinct newest.event_offset) from (select event_offset, message_id from mentions \
        where room_id = $1 and event_offset > $2 and user_id in ($3, $6) order by event_offset desc limit $5) as newest \
        join messages m on m.id = newest.message_id \
        where m.sender_id <> $3 and m.deleted_at is null and m.created_at > $4 \
        and not exists (select 1 from blocks b where b.user_id = $3 and b.blocked_id = m.sender_id)";
    // Who has no pointer has read what was there before they came.
    let (offset, since) = row.read_offset.map_or((0, row.joined_at), |offset| (offset, i64::MIN));
    let (room, id, everybody) = (row.room_id, user.as_uuid(), EVERYBODY.as_uuid());
    let unread: i64 = on_tx!(tx, db => sqlx::query_scalar(UNREAD)
        .bind(room).bind(offset).bind(id).bind(since).bind(COUNTED).fetch_one(db))?;
    let mentions: i64 = on_tx!(tx, db => sqlx::query_scalar(MENTIONS)
        .bind(room).bind(offset).bind(id).bind(since).bind(COUNTED).bind(everybody).fetch_one(db))?;
    let level = row.level.map_or(Some(NotifyLevel::default()), |name| NotifyLevel::parse(&name));
    Ok(Unread {
        room_id: RoomId::from_uuid(room),
        unread: u32::try_from(unread).unwrap_or(u32::MAX),
        mentions: u32::try_from(mentions).unwrap_or(u32::MAX),
        read_up_to: row.message_id.map(MessageId::from_uuid),
        level: level.ok_or_else(|| Error::Unreadable("a level of notices".to_owned()))?,
        muted_until: row.muted_until.map(Time::from_ms),
    })
}

/// Writes pointers together or, if the database refuses that, one by one: a room may have gone meanwhile.
async fn write(pool: &Pool, marks: Vec<Mark>) {
    match advance(pool, &marks).await {
        Ok(moved) => {
            for mark in marks {
                let has_moved = moved.contains(&(mark.room.as_uuid(), mark.user.as_uuid()));
                // Whoever asked may have gone.
                let _ = mark.reply.send(Ok(has_moved));
            }
        }
        Err(_) if marks.len() > 1 => {
            for mark in marks {
                Box::pin(write(pool, vec![mark])).await;
            }
        }
        Err(error) => {
            let refusal = Refusal::from(Error::from(error));
            for mark in marks {
                let _ = mark.reply.send(Err(refusal.clone()));
            }
        }
    }
}

/// Moves pointers forward, never back; the rooms and people whose pointer has moved.
async fn advance(pool: &Pool, marks: &[Mark]) -> Result<Vec<(Uuid, Uuid)>, sqlx::Error> {
    const SQL: &str = " on conflict (room_id, user_id) do update set read_offset = excluded.read_offset, \
        message_id = excluded.message_id, read_at = excluded.read_at \
        where reads.read_offset is null or reads.read_offset < excluded.read_offset returning room_id, user_id";
    // One statement must not touch a row twice; and in one order, so that two nodes never wait for each other in a circle.
    let mut furthest = BTreeMap::new();
    for mark in marks {
        let known = furthest.entry((mark.room, mark.user)).or_insert(mark);
        if mark.offset > known.offset {
            *known = mark;
        }
    }
    let mut tx = pool.begin().await?;
    let moved = on_tx!(&mut tx, db => {
        let mut query = QueryBuilder::new("insert into reads (room_id, user_id, read_offset, message_id, read_at) ");
        query.push_values(furthest.values(), |mut row, it| {
            row.push_bind(it.room.as_uuid()).push_bind(it.user.as_uuid()).push_bind(it.offset)
                .push_bind(it.message.as_uuid()).push_bind(it.at.as_ms());
        });
        query.push(SQL);
        async move { query.build_query_as().fetch_all(db).await }
    })?;
    tx.commit().await?;
    Ok(moved)
}

/// Whom a message mentions.
pub(super) fn mentioned(message: &Message) -> Vec<UserId> {
    let mentions = &message.content.mentions;
    let everybody = mentions.room.then_some(EVERYBODY);
    mentions.users.iter().copied().chain(everybody).collect::<BTreeSet<_>>().into_iter().collect()
}

/// Keeps whom new messages mention, each message with the offset of its event.
pub(super) async fn insert_mentions(tx: &mut Tx, new: &[(Message, i64)]) -> Result<(), sqlx::Error> {
    let each = |(message, offset): &(Message, i64)| {
        let (room, id, offset) = (message.room_id, message.id, *offset);
        mentioned(message).into_iter().map(move |user| (user, room, offset, id))
    };
    let rows: Vec<_> = new.iter().flat_map(each).collect();
    for rows in rows.chunks(1_000) {
        on_tx!(tx, db => {
            let mut query = QueryBuilder::new("insert into mentions (user_id, room_id, event_offset, message_id) ");
            query.push_values(rows, |mut row, (user, room, offset, message)| {
                row.push_bind(user.as_uuid()).push_bind(room.as_uuid()).push_bind(*offset).push_bind(message.as_uuid());
            });
            query.push(" on conflict (user_id, room_id, event_offset) do nothing");
            async move { query.build().execute(db).await.map(|_| ()) }
        })?;
    }
    Ok(())
}

/// Keeps whom a message mentions now.
pub(super) async fn replace_mentions(tx: &mut Tx, message: &Message) -> Result<(), sqlx::Error> {
    const SQL: &str = "select event_offset from messages where id = $1";
    forget_mentions(tx, message.id).await?;
    let offset: Option<i64> = on_tx!(tx, db => sqlx::query_scalar(SQL).bind(message.id.as_uuid()).fetch_optional(db))?;
    match offset {
        Some(offset) => insert_mentions(tx, &[(message.clone(), offset)]).await,
        None => Ok(()),
    }
}

/// Nobody is mentioned any more.
pub(super) async fn forget_mentions(tx: &mut Tx, message: MessageId) -> Result<(), sqlx::Error> {
    execute!(tx, sqlx::query("delete from mentions where message_id = $1").bind(message.as_uuid()))?;
    Ok(())
}
