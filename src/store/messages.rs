//! Table `messages`: what is read of it, and how rows come in. What changes them is in [`super::changes`].

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use sqlx::{FromRow, QueryBuilder};
use uuid::Uuid;

use super::{
    Error, Store,
    pool::{Tx, execute, on_pool, on_tx},
};
use crate::domain::{
    FileId, Message, MessageId, RoomId, Time, UserId,
    attachment::Attachment,
    message::{Author, Content, ContentType, ForwardedFrom, Mentions, Poll, System, Thread},
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
    /// What it says. Its attachments come from `files`.
    pub content: Content,
    /// The message that it answers.
    pub reply_to: Option<MessageId>,
    /// The files that it takes, which must be clean, the sender's and unused.
    pub files: Vec<FileId>,
    /// The message that it says again.
    pub forward: Option<MessageId>,
    /// After how many seconds it goes.
    pub expires_in_s: Option<u32>,
    /// Whether its sender may write in locked threads.
    pub opens_locks: bool,
    /// When.
    pub at: Time,
}

impl NewMessage {
    /// Words and nothing else, written now.
    pub fn plain(room: RoomId, sender: Author, client_id: &str, text: &str) -> Self {
        Self {
            id: MessageId::new(),
            room,
            sender,
            client_id: client_id.to_owned(),
            content: Content::text(text),
            reply_to: None,
            files: Vec::new(),
            forward: None,
            expires_in_s: None,
            opens_locks: false,
            at: Time::now(),
        }
    }

    /// What the server says of something that somebody did.
    pub fn system(room: RoomId, by: Author, system: System) -> Self {
        let text = system.sentence(&by);
        let content = Content { kind: ContentType::System, text, system: Some(system), ..Content::default() };
        // A name that no client gives.
        let client_id = format!("system:{}", Uuid::now_v7());
        Self { content, ..Self::plain(room, by, &client_id, "") }
    }

    /// The message as everybody will see it.
    pub fn message(&self) -> Message {
        Message {
            id: self.id,
            room_id: self.room,
            sender: self.sender.clone(),
            client_id: self.client_id.clone(),
            content: self.content.clone(),
            reply_to: self.reply_to,
            created_at: self.at,
            edited_at: None,
            deleted: false,
            reactions: BTreeMap::new(),
            pinned_at: None,
            thread: None,
            expires_at: self.expires_at(),
        }
    }

    /// When it goes by itself.
    pub fn expires_at(&self) -> Option<Time> {
        let span = |seconds: u32| std::time::Duration::from_secs(seconds.into());
        self.expires_in_s.map(|seconds| self.at.after(span(seconds)))
    }

    /// What tells the same content from another one: what was asked for, not what became of it. Of words and nothing else it is
    /// what it has always been, so that rows of earlier versions compare.
    pub(super) fn content_hash(&self) -> Vec<u8> {
        let mut hash = ring::digest::Context::new(&ring::digest::SHA256);
        hash.update(self.reply_to.map_or(Uuid::nil(), MessageId::as_uuid).as_bytes());
        let text = if self.forward.is_some() { "" } else { &self.content.text };
        hash.update(text.as_bytes());
        let Content { kind, mentions, poll, thread_id, .. } = &self.content;
        let rest = (kind, mentions, poll, thread_id, &self.files, self.forward, self.expires_in_s);
        let plain = (&ContentType::Text, &Mentions::default(), &None, &None, &Vec::new(), None, None);
        if rest != plain && self.forward.is_none() {
            // No text has this character.
            hash.update(b"\0");
            hash.update(&serde_json::to_vec(&rest).expect("it is plain data"));
        } else if let Some(forward) = self.forward {
            hash.update(b"\0");
            hash.update(forward.as_uuid().as_bytes());
            hash.update(&serde_json::to_vec(&(thread_id, self.expires_in_s)).expect("it is plain data"));
        }
        hash.finish().as_ref().to_vec()
    }

    fn extra(&self) -> Option<String> {
        let Content { attachments, mentions, hashtags, forwarded_from, system, .. } = self.content.clone();
        Extra { attachments, mentions, hashtags, forwarded_from, system }.stored()
    }
}

/// What few messages have beside their text: one column.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub(super) struct Extra {
    pub(super) attachments: Vec<Attachment>,
    pub(super) mentions: Mentions,
    pub(super) hashtags: Vec<String>,
    pub(super) forwarded_from: Option<ForwardedFrom>,
    pub(super) system: Option<System>,
}

impl Extra {
    pub(super) fn stored(&self) -> Option<String> {
        (*self != Self::default()).then(|| json(self))
    }
}

/// A value as a column holds it.
pub(super) fn json<T: Serialize>(value: &T) -> String {
    serde_json::to_string(value).expect("these values have string keys and nothing that JSON lacks")
}

#[derive(FromRow)]
pub(super) struct MessageRow {
    pub(super) id: Uuid,
    pub(super) room_id: Uuid,
    pub(super) sender_id: Uuid,
    sender_nickname: String,
    client_id: String,
    pub(super) content_hash: Vec<u8>,
    pub(super) text: String,
    reply_to: Option<Uuid>,
    created_at: i64,
    edited_at: Option<i64>,
    pub(super) deleted_at: Option<i64>,
    content_type: String,
    pub(super) extra: Option<String>,
    poll: Option<String>,
    reactions: Option<String>,
    pub(super) thread_id: Option<Uuid>,
    thread_replies: i64,
    thread_last_at: Option<i64>,
    thread_locked: bool,
    pinned_at: Option<i64>,
    expires_at: Option<i64>,
}

impl MessageRow {
    /// The message with its text, though it be deleted: for those who have to judge it.
    pub(super) fn unabridged(self) -> Message {
        // Nobody else writes these columns; should one be unreadable all the same, the message is still shown.
        let Extra { attachments, mentions, hashtags, forwarded_from, system } = read(self.extra.as_deref());
        let poll: Option<Poll> = read(self.poll.as_deref());
        let thread = self.thread();
        let row = self;
        let content = Content {
            kind: ContentType::parse(&row.content_type).unwrap_or_default(),
            text: row.text,
            attachments,
            mentions,
            hashtags,
            poll,
            forwarded_from,
            thread_id: row.thread_id.map(MessageId::from_uuid),
            system,
        };
        Message {
            id: MessageId::from_uuid(row.id),
            room_id: RoomId::from_uuid(row.room_id),
            sender: Author { id: UserId::from_uuid(row.sender_id), nickname: row.sender_nickname },
            client_id: row.client_id,
            content,
            reply_to: row.reply_to.map(MessageId::from_uuid),
            created_at: Time::from_ms(row.created_at),
            edited_at: row.edited_at.map(Time::from_ms),
            deleted: row.deleted_at.is_some(),
            reactions: read(row.reactions.as_deref()),
            pinned_at: row.pinned_at.map(Time::from_ms),
            thread,
            expires_at: row.expires_at.map(Time::from_ms),
        }
    }

    /// Whether the server wrote it.
    pub(super) fn is_system(&self) -> bool {
        self.content_type == ContentType::System.as_str()
    }

    fn thread(&self) -> Option<Thread> {
        let last_reply_at = self.thread_last_at.map(Time::from_ms);
        let replies = u32::try_from(self.thread_replies).unwrap_or_default();
        thread(replies, last_reply_at, self.thread_locked)
    }
}

/// A thread, where there is one: somebody has written in it, or it is locked.
pub(super) fn thread(replies: u32, last_reply_at: Option<Time>, locked: bool) -> Option<Thread> {
    (last_reply_at.is_some() || locked).then_some(Thread { replies, last_reply_at, locked })
}

fn read<T: Default + for<'a> Deserialize<'a>>(column: Option<&str>) -> T {
    column.and_then(|text| serde_json::from_str(text).ok()).unwrap_or_default()
}

impl From<MessageRow> for Message {
    fn from(row: MessageRow) -> Self {
        let message = row.unabridged();
        if message.deleted { message.emptied() } else { message }
    }
}

/// Which messages of a room.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stretch {
    /// The last ones.
    Newest,
    /// Those just before that one.
    Before(MessageId),
    /// Those just after that one.
    After(MessageId),
    /// That one in the middle of others.
    Around(MessageId),
}

impl Stretch {
    /// The message that it starts from.
    pub fn from(self) -> Option<MessageId> {
        match self {
            Stretch::Newest => None,
            Stretch::Before(id) | Stretch::After(id) | Stretch::Around(id) => Some(id),
        }
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
        self.stretch(room, limit, before.map_or(Stretch::Newest, Stretch::Before), None).await
    }

    /// Messages of a room, or of one of its threads, newest first, up to `limit`. `None`: the room has no message to start from.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn stretch(
        &self,
        room: RoomId,
        limit: u32,
        stretch: Stretch,
        thread: Option<MessageId>,
    ) -> Result<Option<Vec<Message>>, Error> {
        const PLACE: &str = "select event_offset from messages where room_id = $1 and id = $2";
        if let Some(messages) = self.memory.messages(room, limit, stretch, thread) {
            return Ok(messages);
        }
        let mut tx = self.read.snapshot().await?;
        let mut place = i64::MAX;
        if let Some(from) = stretch.from() {
            let found: Option<i64> = on_tx!(&mut tx, db => sqlx::query_scalar(PLACE)
                .bind(room.as_uuid()).bind(from.as_uuid()).fetch_optional(db))?;
            let Some(found) = found else { return Ok(None) };
            place = found;
        }
        Ok(Some(match stretch {
            Stretch::Newest | Stretch::Before(_) => older(&mut tx, room, thread, place, limit).await?,
            Stretch::After(_) => newer(&mut tx, room, thread, place, limit).await?,
            Stretch::Around(_) => {
                let mut found = newer(&mut tx, room, thread, place, limit / 2).await?;
                let rest = limit.saturating_sub(u32::try_from(found.len()).unwrap_or(limit));
                found.extend(older(&mut tx, room, thread, place.saturating_add(1), rest).await?);
                found
            }
        }))
    }

    /// Whether what is said in a room is kept in memory and nowhere else.
    pub fn is_in_memory(&self, room: RoomId) -> bool {
        self.memory.is_open(room)
    }

    /// What somebody has sent to a room under that name, if it is the same content. A draft whose means are used up by the first
    /// time (files, a message to forward that is gone) is found by this.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn sent_before(&self, new: &NewMessage) -> Result<Option<Message>, Error> {
        if self.memory.is_open(new.room) {
            return Ok(None);
        }
        let mut tx = self.read.snapshot().await?;
        let rows = known_messages(&mut tx, &[new]).await?;
        let hash = new.content_hash();
        Ok(rows.into_iter().find(|row| row.content_hash == hash).map(Message::from))
    }

    /// Pinned messages of a room, the last pinned first.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn pinned_messages(&self, room: RoomId) -> Result<Vec<Message>, Error> {
        const SQL: &str = "select * from messages where room_id = $1 and pinned_at is not null \
            order by pinned_at desc, id desc";
        if let Some(messages) = self.memory.pinned(room) {
            return Ok(messages);
        }
        let rows: Vec<MessageRow> = on_pool!(&self.read, db => sqlx::query_as(SQL).bind(room.as_uuid()).fetch_all(db))?;
        Ok(rows.into_iter().map(Message::from).collect())
    }
}

/// Messages of a room or thread whose offset is below a limit, newest first.
async fn older(
    tx: &mut Tx,
    room: RoomId,
    thread: Option<MessageId>,
    below: i64,
    limit: u32,
) -> Result<Vec<Message>, sqlx::Error> {
    const SQL: &str = "select * from messages where room_id = $1 and thread_id = $2 and event_offset < $3 \
        order by event_offset desc limit $4";
    let Some(thread) = thread else { return newest_messages(tx, room, limit, below).await };
    let rows: Vec<MessageRow> = on_tx!(tx, db => sqlx::query_as(SQL)
        .bind(room.as_uuid()).bind(thread.as_uuid()).bind(below).bind(i64::from(limit)).fetch_all(db))?;
    Ok(rows.into_iter().map(Message::from).collect())
}

/// Messages of a room or thread just after an offset, newest first.
async fn newer(
    tx: &mut Tx,
    room: RoomId,
    thread: Option<MessageId>,
    above: i64,
    limit: u32,
) -> Result<Vec<Message>, sqlx::Error> {
    const ROOM: &str = "select * from messages where room_id = $1 and event_offset > $2 order by event_offset limit $3";
    const THREAD: &str = "select * from messages where room_id = $1 and event_offset > $2 and thread_id = $4 \
        order by event_offset limit $3";
    let rows: Vec<MessageRow> = match thread {
        None => on_tx!(tx, db => sqlx::query_as(ROOM)
            .bind(room.as_uuid()).bind(above).bind(i64::from(limit)).fetch_all(db))?,
        Some(thread) => on_tx!(tx, db => sqlx::query_as(THREAD)
            .bind(room.as_uuid()).bind(above).bind(i64::from(limit)).bind(thread.as_uuid()).fetch_all(db))?,
    };
    Ok(rows.into_iter().rev().map(Message::from).collect())
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
pub(super) async fn insert_messages(tx: &mut Tx, new: &[(NewMessage, i64)]) -> Result<(), sqlx::Error> {
    const SQL: &str = "insert into messages (id, room_id, sender_id, sender_nickname, client_id, content_hash, text, \
        reply_to, event_offset, created_at, content_type, extra, poll, thread_id, expires_at) ";
    if new.is_empty() {
        return Ok(());
    }
    on_tx!(tx, db => {
        let mut query = QueryBuilder::new(SQL);
        query.push_values(new, |mut row, (it, offset)| {
            row.push_bind(it.id.as_uuid()).push_bind(it.room.as_uuid()).push_bind(it.sender.id.as_uuid())
                .push_bind(&it.sender.nickname).push_bind(&it.client_id).push_bind(it.content_hash())
                .push_bind(&it.content.text).push_bind(it.reply_to.map(MessageId::as_uuid)).push_bind(*offset)
                .push_bind(it.at.as_ms()).push_bind(it.content.kind.as_str()).push_bind(it.extra())
                .push_bind(it.content.poll.as_ref().map(json))
                .push_bind(it.content.thread_id.map(MessageId::as_uuid))
                .push_bind(it.expires_at().map(Time::as_ms));
        });
        async move { query.build().execute(db).await.map(|_| ()) }
    })
}

/// One message of a room, to be changed in this transaction.
pub(super) async fn message_row(tx: &mut Tx, room: RoomId, id: MessageId) -> Result<Option<MessageRow>, sqlx::Error> {
    const SQL: &str = "select * from messages where room_id = $1 and id = $2";
    on_tx!(tx, db => sqlx::query_as(SQL).bind(room.as_uuid()).bind(id.as_uuid()).fetch_optional(db))
}

/// Sets what a thread's first message says of it.
pub(super) async fn set_thread(tx: &mut Tx, root: MessageId, thread: &Thread) -> Result<(), sqlx::Error> {
    const SQL: &str = "update messages set thread_replies = $2, thread_last_at = $3, thread_locked = $4 where id = $1";
    execute!(
        tx,
        sqlx::query(SQL)
            .bind(root.as_uuid())
            .bind(i64::from(thread.replies))
            .bind(thread.last_reply_at.map(Time::as_ms))
            .bind(thread.locked)
    )?;
    Ok(())
}
