//! Changes of a room itself, as events of its stream: what its owners settle, who owns it, who has no voice in it.

use sqlx::QueryBuilder;
use uuid::Uuid;

use super::{
    Error, Store, Written,
    pool::{Tx, execute, on_tx},
    rooms::{RoomRow, push_cell, settled},
    writer::Change,
};
use crate::domain::{Fact, Origin, Refusal, Role, Room, RoomId, Time, UserId};

/// A change of a room itself.
#[derive(Clone, Debug)]
pub(super) enum HouseChange {
    /// Its owners settle something else. The revision is the one that they saw.
    Settle(Box<Room>, Pin),
    /// It is put away, or taken out again.
    Archive(Option<Time>),
    /// A member has no voice until then, or has one again.
    Mute(UserId, Option<Time>),
    /// A member owns it from now on; who did is an admin.
    Own(UserId),
}

/// What becomes of a room's PIN.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Pin {
    /// It stays.
    #[default]
    Same,
    /// There is none from now on.
    Gone,
    /// The hash of another.
    New(String),
}

impl Store {
    /// Keeps what the owners of a room have settled, if its revision is still that of `room`.
    ///
    /// # Errors
    /// `precondition_failed` (another revision), `conflict` (the slug), `not_found`, `internal`.
    pub async fn settle_room(&self, room: Room, pin: Pin, origin: Option<Origin>) -> Written {
        self.change(room.id, origin, Change::House(HouseChange::Settle(Box::new(room), pin))).await
    }

    /// Puts a room away, or takes it out again (`None`).
    ///
    /// # Errors
    /// `not_found`, `internal`.
    pub async fn archive_room(&self, room: RoomId, at: Option<Time>, origin: Option<Origin>) -> Written {
        self.change(room, origin, Change::House(HouseChange::Archive(at))).await
    }

    /// Takes a member's voice until then, or gives it back (`None`).
    ///
    /// # Errors
    /// `not_found` (no such member), `internal`.
    pub async fn mute_member(
        &self,
        room: RoomId,
        user: UserId,
        until: Option<Time>,
        origin: Option<Origin>,
    ) -> Written {
        self.change(room, origin, Change::House(HouseChange::Mute(user, until))).await
    }

    /// Makes a member the owner of a room. Who was is an admin from now on.
    ///
    /// # Errors
    /// `not_found` (no such member), `internal`.
    pub async fn give_room(&self, room: RoomId, to: UserId, origin: Option<Origin>) -> Written {
        self.change(room, origin, Change::House(HouseChange::Own(to))).await
    }
}

/// Does a change in the writer's transaction.
pub(super) async fn apply(
    tx: &mut Tx,
    room: RoomId,
    change: &HouseChange,
) -> Result<Result<Fact, Refusal>, sqlx::Error> {
    match change {
        HouseChange::Settle(new, pin) => settle(tx, new, pin).await,
        HouseChange::Archive(at) => {
            const SQL: &str = "update rooms set archived_at = $2, revision = revision + 1 where id = $1";
            execute!(tx, sqlx::query(SQL).bind(room.as_uuid()).bind(at.map(Time::as_ms)))?;
            updated(tx, room).await
        }
        HouseChange::Mute(user, until) => {
            const SQL: &str = "update members set muted_until = $3 where room_id = $1 and user_id = $2 returning 1";
            let row: Option<i32> = on_tx!(tx, db => sqlx::query_scalar(SQL)
                .bind(room.as_uuid()).bind(user.as_uuid()).bind(until.map(Time::as_ms)).fetch_optional(db))?;
            // What was left of an earlier membership holds no more: this is the last word.
            const EARLIER: &str = "delete from mutes where room_id = $1 and user_id = $2";
            execute!(tx, sqlx::query(EARLIER).bind(room.as_uuid()).bind(user.as_uuid()))?;
            Ok(row.map(|_| Fact::MemberMuted { user: *user, until: *until }).ok_or(Refusal::NotFound))
        }
        HouseChange::Own(to) => own(tx, room, *to).await,
    }
}

async fn settle(tx: &mut Tx, new: &Room, pin: &Pin) -> Result<Result<Fact, Refusal>, sqlx::Error> {
    const SLUG: &str = "select id from rooms where slug = $1 and id <> $2";
    let id = new.id.as_uuid();
    if let Some(slug) = &new.slug {
        let other: Option<Uuid> = on_tx!(tx, db => sqlx::query_scalar(SLUG).bind(slug).bind(id).fetch_optional(db))?;
        if other.is_some() {
            return Ok(Err(Refusal::Taken("Another room has this slug.")));
        }
    }
    let row: Option<i32> = on_tx!(tx, db => {
        let mut query = QueryBuilder::new("update rooms set revision = revision + 1");
        for (column, cell) in settled(new) {
            query.push(", ").push(column).push(" = ");
            push_cell!(query, cell);
        }
        query.push(" where id = ").push_bind(id).push(" and revision = ").push_bind(i64::from(new.revision));
        query.push(" returning 1");
        async move { query.build_query_scalar().fetch_optional(db).await }
    })?;
    if row.is_none() {
        return Ok(Err(Refusal::Outdated));
    }
    let hash = match pin {
        Pin::Same => return updated(tx, new.id).await,
        Pin::Gone => None,
        Pin::New(hash) => Some(hash.as_str()),
    };
    execute!(tx, sqlx::query("update rooms set pin_hash = $2 where id = $1").bind(id).bind(hash))?;
    updated(tx, new.id).await
}

async fn own(tx: &mut Tx, room: RoomId, to: UserId) -> Result<Result<Fact, Refusal>, sqlx::Error> {
    const FORMER: &str =
        "update members set role = $2 where room_id = $1 and role = $3 and user_id <> $4 returning user_id";
    if !super::members::set_role(tx, room, to, Role::Owner).await? {
        return Ok(Err(Refusal::NotFound));
    }
    let former: Option<Uuid> = on_tx!(tx, db => sqlx::query_scalar(FORMER).bind(room.as_uuid())
        .bind(Role::Admin.as_str()).bind(Role::Owner.as_str()).bind(to.as_uuid()).fetch_optional(db))?;
    Ok(Ok(Fact::RoomOwner { user: to, former: former.map(UserId::from_uuid) }))
}

/// The room as it is now.
async fn updated(tx: &mut Tx, room: RoomId) -> Result<Result<Fact, Refusal>, sqlx::Error> {
    let row: Option<RoomRow> = on_tx!(tx, db => sqlx::query_as("select * from rooms where id = $1")
        .bind(room.as_uuid()).fetch_optional(db))?;
    let Some(row) = row else { return Ok(Err(Refusal::NotFound)) };
    let record =
        super::RoomRecord::try_from(row).map_err(|error: Error| sqlx::Error::Decode(error.to_string().into()))?;
    Ok(Ok(Fact::RoomUpdated(Box::new(record.room))))
}
