//! Table `rooms`.

use sqlx::{FromRow, QueryBuilder};
use uuid::Uuid;

use super::{
    Error, Pin, Store,
    pool::{Tx, execute, execute_now, on_pool, on_tx},
};
use crate::domain::{
    CallId, ContentLevel, Door, Epoch, Permits, Role, Room, RoomId, RoomKind, Settings, Time, Trust, UserId, Visibility,
};

/// A room with what only the server needs to know of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RoomRecord {
    /// The room.
    pub room: Room,
    /// Its call, should one take place.
    pub call: CallId,
    /// Who made it.
    pub created_by: UserId,
    /// Who may come in, as its hosts want it.
    pub door: Door,
}

#[derive(FromRow)]
pub(super) struct RoomRow {
    id: Uuid,
    kind: String,
    name: String,
    visibility: String,
    max_participants: i64,
    call_id: Uuid,
    created_by: Uuid,
    created_at: i64,
    locked: bool,
    waiting_room: bool,
    slug: Option<String>,
    description: String,
    category: Option<String>,
    content_level: String,
    retention: String,
    slow_mode_s: i64,
    min_trust_to_join: String,
    min_trust_to_post: String,
    join_requests: bool,
    pin_hash: Option<String>,
    least_post: Option<String>,
    least_call: Option<String>,
    least_share: Option<String>,
    least_record: Option<String>,
    least_invite: Option<String>,
    archived_at: Option<i64>,
    revision: i64,
}

impl RoomRow {
    fn settings(&self, kind: RoomKind) -> Result<Settings, Error> {
        let unreadable = |text: &str| Error::Unreadable(text.to_owned());
        let trust = |name: &str| Trust::parse(name).ok_or_else(|| unreadable(name));
        let role = |name: &Option<String>, or: Role| match name {
            Some(name) => Role::parse(name).ok_or_else(|| unreadable(name)),
            None => Ok(or),
        };
        let usual = Permits::of(kind);
        Ok(Settings {
            description: self.description.clone(),
            category: self.category.clone(),
            content_level: ContentLevel::parse(&self.content_level).ok_or_else(|| unreadable(&self.content_level))?,
            retention: self.retention.parse().map_err(Error::Unreadable)?,
            slow_mode_s: u32::try_from(self.slow_mode_s).unwrap_or(0),
            min_trust_to_join: trust(&self.min_trust_to_join)?,
            min_trust_to_post: trust(&self.min_trust_to_post)?,
            join_requests: self.join_requests,
            has_pin: self.pin_hash.is_some(),
            permits: Permits {
                post: role(&self.least_post, usual.post)?,
                call: role(&self.least_call, usual.call)?,
                share: role(&self.least_share, usual.share)?,
                record: role(&self.least_record, usual.record)?,
                invite: role(&self.least_invite, usual.invite)?,
            },
        })
    }
}

impl TryFrom<RoomRow> for RoomRecord {
    type Error = Error;

    fn try_from(row: RoomRow) -> Result<Self, Error> {
        let kind = RoomKind::parse(&row.kind).ok_or_else(|| Error::Unreadable(row.kind.clone()))?;
        let settings = row.settings(kind)?;
        Ok(Self {
            room: Room {
                id: RoomId::from_uuid(row.id),
                kind,
                slug: row.slug,
                archived_at: row.archived_at.map(Time::from_ms),
                revision: u32::try_from(row.revision).unwrap_or(u32::MAX),
                settings,
                name: row.name,
                visibility: Visibility::parse(&row.visibility).ok_or(Error::Unreadable(row.visibility))?,
                max_participants: u32::try_from(row.max_participants).unwrap_or(u32::MAX),
                created_at: Time::from_ms(row.created_at),
            },
            call: CallId::from_uuid(row.call_id),
            created_by: UserId::from_uuid(row.created_by),
            door: Door { locked: row.locked, waiting_room: row.waiting_room },
        })
    }
}

impl Store {
    /// Keeps a new room, its empty stream, and its maker as its owner.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn create_room(&self, record: &RoomRecord) -> Result<(), Error> {
        self.create_room_with(record, Pin::Same).await.map(|_| ())
    }

    /// The same for a room with a PIN. `false`: another room has its slug.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn create_room_with(&self, record: &RoomRecord, pin: Pin) -> Result<bool, Error> {
        const SLUG: &str = "select 1 from rooms where slug = $1";
        const PIN: &str = "update rooms set pin_hash = $2 where id = $1";
        const STREAM: &str = "insert into room_streams (room_id, epoch, last_offset) values ($1, $2, 0)";
        const OWNER: &str = "insert into members (room_id, user_id, role, joined_at) values ($1, $2, $3, $4)";
        let room = &record.room;
        let (id, owner, at_ms) = (room.id.as_uuid(), record.created_by.as_uuid(), room.created_at.as_ms());
        let mut tx = self.write.begin().await?;
        if let Some(slug) = &room.slug {
            let other: Option<i32> = on_tx!(&mut tx, db => sqlx::query_scalar(SLUG).bind(slug).fetch_optional(db))?;
            if other.is_some() {
                return Ok(false);
            }
        }
        insert_room(&mut tx, record).await?;
        if let Pin::New(hash) = pin {
            execute!(&mut tx, sqlx::query(PIN).bind(id).bind(hash))?;
        }
        execute!(&mut tx, sqlx::query(STREAM).bind(id).bind(Epoch::new().as_uuid()))?;
        execute!(&mut tx, sqlx::query(OWNER).bind(id).bind(owner).bind(Role::Owner.as_str()).bind(at_ms))?;
        tx.commit().await?;
        Ok(true)
    }

    /// The room of that id.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn room(&self, id: RoomId) -> Result<Option<RoomRecord>, Error> {
        let row: Option<RoomRow> = on_pool!(&self.read, db => sqlx::query_as("select * from rooms where id = $1")
            .bind(id.as_uuid()).fetch_optional(db))?;
        row.map(RoomRecord::try_from).transpose().map(|record| self.if_open(record))
    }

    /// The room of that call.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn room_of_call(&self, call: CallId) -> Result<Option<RoomRecord>, Error> {
        let row: Option<RoomRow> = on_pool!(&self.read, db => sqlx::query_as("select * from rooms where call_id = $1")
            .bind(call.as_uuid()).fetch_optional(db))?;
        row.map(RoomRecord::try_from).transpose().map(|record| self.if_open(record))
    }

    /// Locks a room, or unlocks it.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn lock_room(&self, id: RoomId, locked: bool) -> Result<(), Error> {
        const SQL: &str = "update rooms set locked = $2 where id = $1";
        execute_now!(&self.write, sqlx::query(SQL).bind(id.as_uuid()).bind(locked))?;
        Ok(())
    }

    /// Lets people wait before a room, or no more.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn set_waiting_room(&self, id: RoomId, enabled: bool) -> Result<(), Error> {
        const SQL: &str = "update rooms set waiting_room = $2 where id = $1";
        execute_now!(&self.write, sqlx::query(SQL).bind(id.as_uuid()).bind(enabled))?;
        Ok(())
    }

    /// A room of strangers is there as long as its stream is, which is in memory.
    fn if_open(&self, record: Option<RoomRecord>) -> Option<RoomRecord> {
        record.filter(|record| record.room.kind != RoomKind::Match || self.memory.is_open(record.room.id))
    }
}

/// What a column of a room holds.
pub(super) enum Cell {
    Text(Option<String>),
    Number(i64),
    Flag(bool),
}

/// Binds what a column is to hold.
macro_rules! push_cell {
    ($query:expr, $cell:expr) => {
        match $cell {
            $crate::store::rooms::Cell::Text(text) => $query.push_bind(text),
            $crate::store::rooms::Cell::Number(number) => $query.push_bind(number),
            $crate::store::rooms::Cell::Flag(flag) => $query.push_bind(flag),
        }
    };
}

pub(super) use push_cell;

/// Keeps a new room.
pub(super) async fn insert_room(tx: &mut Tx, record: &RoomRecord) -> Result<(), sqlx::Error> {
    let (room, cells) = (&record.room, settled(&record.room));
    on_tx!(tx, db => {
        let mut query = QueryBuilder::new("insert into rooms (id, kind, call_id, created_by, created_at");
        for (column, _) in &cells {
            query.push(", ").push(column);
        }
        query.push(") values (").push_bind(room.id.as_uuid());
        query.push(", ").push_bind(room.kind.as_str());
        query.push(", ").push_bind(record.call.as_uuid());
        query.push(", ").push_bind(record.created_by.as_uuid());
        query.push(", ").push_bind(room.created_at.as_ms());
        for (_, cell) in cells {
            query.push(", ");
            push_cell!(query, cell);
        }
        query.push(")");
        async move { query.build().execute(db).await.map(|_| ()) }
    })
}

/// What is settled of a room, by column: the one list for rooms that are made and for those that are changed. Of the permits only what is
/// narrowed is written: what a kind has is for the program to say.
pub(super) fn settled(room: &Room) -> [(&'static str, Cell); 17] {
    let text = |text: &str| Cell::Text(Some(text.to_owned()));
    let maybe = |text: Option<&str>| Cell::Text(text.map(str::to_owned));
    let unless = |role: Role, usual: Role| maybe((role != usual).then_some(role.as_str()));
    let (settings, permits, usual) = (&room.settings, &room.settings.permits, Permits::of(room.kind));
    [
        ("name", text(&room.name)),
        ("visibility", text(room.visibility.as_str())),
        ("max_participants", Cell::Number(room.max_participants.into())),
        ("slug", maybe(room.slug.as_deref())),
        ("description", text(&settings.description)),
        ("category", maybe(settings.category.as_deref())),
        ("content_level", text(settings.content_level.as_str())),
        ("retention", text(&settings.retention.to_string())),
        ("slow_mode_s", Cell::Number(settings.slow_mode_s.into())),
        ("min_trust_to_join", text(settings.min_trust_to_join.as_str())),
        ("min_trust_to_post", text(settings.min_trust_to_post.as_str())),
        ("join_requests", Cell::Flag(settings.join_requests)),
        ("least_post", unless(permits.post, usual.post)),
        ("least_call", unless(permits.call, usual.call)),
        ("least_share", unless(permits.share, usual.share)),
        ("least_record", unless(permits.record, usual.record)),
        ("least_invite", unless(permits.invite, usual.invite)),
    ]
}
