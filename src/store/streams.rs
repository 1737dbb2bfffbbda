//! Tables `room_streams` and `events`: the durable stream of each room.

use std::collections::{BTreeMap, BTreeSet};

use sqlx::{FromRow, QueryBuilder};
use uuid::Uuid;

use super::{
    Error, Store,
    messages::newest_messages,
    pool::{Pool, Tx, execute, on_pool, on_tx},
};
use crate::domain::{Epoch, Event, Fact, Message, MessageId, Position, RoomId};

/// Messages that a fresh state shows.
pub const STATE_MESSAGES: u32 = 50;
/// Missed events that a resume replays at most; who missed more gets a fresh state.
pub const RESUME_LIMIT: u64 = 300;

/// A room's stream at one moment, for somebody who comes in.
#[derive(Clone, Debug, PartialEq)]
pub struct Recovery {
    /// The last event of that moment.
    pub position: Position,
    /// Whether the events missed since the given position follow; `None` when none was given.
    pub recovered: Option<bool>,
    /// The last messages, oldest first; empty when recovered.
    pub messages: Vec<Message>,
    /// The missed events, in order; empty unless recovered.
    pub missed: Vec<Event>,
}

#[derive(FromRow)]
struct StreamRow {
    epoch: Uuid,
    last_offset: i64,
}

#[derive(FromRow)]
struct EventRow {
    event_offset: i64,
    body: String,
}

impl Store {
    /// The room's stream as it is now, for somebody who knows it up to `known`. `None`: no such room.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn recover(&self, room: RoomId, known: Option<Position>) -> Result<Option<Recovery>, Error> {
        const SQL: &str = "select epoch, last_offset from room_streams where room_id = $1";
        if let Some(recovery) = self.memory.recover(room, known) {
            return Ok(Some(recovery));
        }
        let mut tx = self.read.snapshot().await?;
        let stream: Option<StreamRow> =
            on_tx!(&mut tx, db => sqlx::query_as(SQL).bind(room.as_uuid()).fetch_optional(db))?;
        let Some(stream) = stream else { return Ok(None) };
        let epoch = Epoch::from_uuid(stream.epoch);
        let position = Position { epoch, offset: stream.last_offset.cast_unsigned() };
        if let Some(known) = known
            && let Some(missed) = missed_events(&mut tx, room, known, position).await?
        {
            return Ok(Some(Recovery { position, recovered: Some(true), messages: Vec::new(), missed }));
        }
        let mut messages = newest_messages(&mut tx, room, STATE_MESSAGES, i64::MAX).await?;
        messages.reverse();
        let recovered = known.map(|_| false);
        Ok(Some(Recovery { position, recovered, messages, missed: Vec::new() }))
    }
}

/// The events after `known` up to `last`, or `None` when they cannot be told: another epoch, a position ahead of the stream,
/// too many, or some are kept no more.
async fn missed_events(
    tx: &mut Tx,
    room: RoomId,
    known: Position,
    last: Position,
) -> Result<Option<Vec<Event>>, Error> {
    const SQL: &str = "select event_offset, body from events \
        where room_id = $1 and event_offset > $2 and event_offset <= $3 order by event_offset";
    let Some(count) = last.offset.checked_sub(known.offset) else { return Ok(None) };
    if known.epoch != last.epoch || count > RESUME_LIMIT {
        return Ok(None);
    }
    let rows: Vec<EventRow> = on_tx!(tx, db => sqlx::query_as(SQL)
        .bind(room.as_uuid()).bind(known.offset.cast_signed()).bind(last.offset.cast_signed()).fetch_all(db))?;
    if rows.len() as u64 != count {
        return Ok(None);
    }
    let event = |row: EventRow| {
        let fact: Fact = serde_json::from_str(&row.body).map_err(|error| Error::Unreadable(error.to_string()))?;
        let position = Position { epoch: last.epoch, offset: row.event_offset.cast_unsigned() };
        Ok(Event { position: Some(position), ..Event::ephemeral(room, fact) })
    };
    rows.into_iter().map(event).collect::<Result<_, Error>>().map(Some)
}

/// Takes the streams of these rooms for this transaction: nobody else appends until it ends. A room that is not there is left out. Rows are
/// locked in the order of their ids, so that the writers of two nodes never wait for each other in a circle; SQLite has one writer.
pub(super) async fn lock_streams(
    tx: &mut Tx,
    rooms: &BTreeSet<RoomId>,
) -> Result<BTreeMap<RoomId, Position>, sqlx::Error> {
    const SQL: &str = "select room_id, epoch, last_offset from room_streams where room_id in (";
    let end = match tx {
        Tx::Sqlite(_) => ")",
        Tx::Postgres(_) => ") order by room_id for no key update",
    };
    let rows: Vec<(Uuid, Uuid, i64)> = on_tx!(tx, db => {
        let mut query = QueryBuilder::new(SQL);
        let mut ids = query.separated(", ");
        for room in rooms {
            ids.push_bind(room.as_uuid());
        }
        query.push(end);
        async move { query.build_query_as().fetch_all(db).await }
    })?;
    let locked = rows.into_iter().map(|(room, epoch, last)| {
        let last = Position { epoch: Epoch::from_uuid(epoch), offset: last.cast_unsigned() };
        (RoomId::from_uuid(room), last)
    });
    Ok(locked.collect())
}

/// Says up to where these streams go now.
pub(super) async fn advance_streams(tx: &mut Tx, last: &BTreeMap<RoomId, Position>) -> Result<(), sqlx::Error> {
    if last.is_empty() {
        return Ok(());
    }
    on_tx!(tx, db => {
        let mut query = QueryBuilder::new("with moved (id, place) as (");
        query.push_values(last, |mut row, (room, at)| {
            row.push_bind(room.as_uuid()).push_bind(at.offset.cast_signed());
        });
        query.push(") update room_streams set last_offset = moved.place from moved where room_id = moved.id");
        async move { query.build().execute(db).await.map(|_| ()) }
    })
}

/// Appends events that have their positions.
pub(super) async fn insert_events(tx: &mut Tx, events: &[Event]) -> Result<(), sqlx::Error> {
    if events.is_empty() {
        return Ok(());
    }
    on_tx!(tx, db => {
        let mut query = QueryBuilder::new("insert into events (room_id, event_offset, kind, message_id, body) ");
        query.push_values(events, |mut row, it| {
            let offset = it.position.map_or(0, |at| at.offset.cast_signed());
            let (kind, message) = kind_of(&it.fact);
            row.push_bind(it.room.as_uuid()).push_bind(offset).push_bind(kind)
                .push_bind(message.map(MessageId::as_uuid)).push_bind(body(&it.fact));
        });
        async move { query.build().execute(db).await.map(|_| ()) }
    })
}

/// Whether this very event has its place in the stream.
pub(super) async fn is_stored(pool: &Pool, event: &Event) -> Result<bool, sqlx::Error> {
    const SQL: &str = "select body from events where room_id = $1 and event_offset = $2";
    let offset = event.position.map_or(0, |at| at.offset.cast_signed());
    let found: Option<String> = on_pool!(pool, db => sqlx::query_scalar(SQL)
        .bind(event.room.as_uuid()).bind(offset).fetch_optional(db))?;
    Ok(found.is_some_and(|found| found == body(&event.fact)))
}

/// Takes the text of a deleted message out of the events that told it, so that no replay tells it again.
pub(super) async fn empty_events(tx: &mut Tx, emptied: &Message) -> Result<(), sqlx::Error> {
    const SQL: &str = "update events set body = case kind when 'sent' then $2 else $3 end \
        where message_id = $1 and kind in ('sent', 'edited')";
    let (sent, edited) =
        (body(&Fact::MessageSent(Box::new(emptied.clone()))), body(&Fact::MessageEdited(Box::new(emptied.clone()))));
    execute!(tx, sqlx::query(SQL).bind(emptied.id.as_uuid()).bind(sent).bind(edited))?;
    Ok(())
}

fn kind_of(fact: &Fact) -> (&'static str, Option<MessageId>) {
    match fact {
        Fact::MessageSent(message) => ("sent", Some(message.id)),
        Fact::MessageEdited(message) => ("edited", Some(message.id)),
        Fact::MessageDeleted { message, .. } => ("deleted", Some(*message)),
        Fact::MessageReacted { message, .. } => ("reacted", Some(*message)),
        Fact::MessagePinned { message, .. } => ("pinned", Some(*message)),
        Fact::PollVoted { message, .. } => ("voted", Some(*message)),
        Fact::ThreadChanged { message, .. } => ("thread", Some(*message)),
        _ => ("other", None),
    }
}

fn body(fact: &Fact) -> String {
    serde_json::to_string(fact).expect("facts have string keys and no value that JSON lacks")
}
