//! Tables `invites` and `join_requests`, and the PINs of rooms: the ways in.

use sqlx::FromRow;
use uuid::Uuid;

use super::{
    Error, Store,
    pool::{execute, on_pool, on_tx},
};
use crate::domain::{
    InviteId, Role, RoomId, Time, UserId,
    case::Named,
    invite::{Invite, JoinRequest},
};

/// Links that one room can have at a time; people make them by hand.
pub const INVITES: u32 = 200;

/// What became of an invitation that somebody accepts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Accepted {
    /// They are a member now.
    Joined,
    /// They were one already; nothing is used up.
    Already,
    /// The link is over or used up.
    Over,
}

/// What became of a request to join.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Asked {
    /// It waits for an answer.
    Waits,
    /// It has waited before; only its note is another.
    StillWaits,
    /// Somebody has said no at that time; it is too early to ask again.
    Denied(Time),
}

#[derive(FromRow)]
struct InviteRow {
    id: Uuid,
    room_id: Uuid,
    created_by: Uuid,
    nickname: String,
    created_at: i64,
    expires_at: Option<i64>,
    max_uses: Option<i64>,
    uses: i64,
}

impl From<InviteRow> for Invite {
    fn from(row: InviteRow) -> Self {
        let count = |n: i64| u32::try_from(n).unwrap_or(u32::MAX);
        Self {
            invite_id: InviteId::from_uuid(row.id),
            room_id: RoomId::from_uuid(row.room_id),
            created_by: Named { user_id: UserId::from_uuid(row.created_by), nickname: row.nickname },
            created_at: Time::from_ms(row.created_at),
            expires_at: row.expires_at.map(Time::from_ms),
            max_uses: row.max_uses.map(count),
            uses: count(row.uses),
        }
    }
}

#[derive(FromRow)]
struct RequestRow {
    user_id: Uuid,
    nickname: String,
    note: Option<String>,
    created_at: i64,
}

impl Store {
    /// Keeps a new invitation. `false`: the room has too many already.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn add_invite(&self, invite: &Invite, code_hash: &[u8]) -> Result<bool, Error> {
        const COUNT: &str = "select count(*) from invites where room_id = $1";
        const SQL: &str = "insert into invites (id, room_id, code_hash, created_by, created_at, expires_at, max_uses) \
            values ($1, $2, $3, $4, $5, $6, $7)";
        let room = invite.room_id.as_uuid();
        let mut tx = self.write.begin().await?;
        let count: i64 = on_tx!(&mut tx, db => sqlx::query_scalar(COUNT).bind(room).fetch_one(db))?;
        if count >= i64::from(INVITES) {
            return Ok(false);
        }
        execute!(
            &mut tx,
            sqlx::query(SQL)
                .bind(invite.invite_id.as_uuid())
                .bind(room)
                .bind(code_hash)
                .bind(invite.created_by.user_id.as_uuid())
                .bind(invite.created_at.as_ms())
                .bind(invite.expires_at.map(Time::as_ms))
                .bind(invite.max_uses.map(i64::from))
        )?;
        tx.commit().await?;
        Ok(true)
    }

    /// The invitations of a room, newest first; those of one person alone, if it is given.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn invites(&self, room: RoomId, by: Option<UserId>) -> Result<Vec<Invite>, Error> {
        const SQL: &str = "select i.id, i.room_id, i.created_by, u.nickname, i.created_at, i.expires_at, i.max_uses, i.uses \
            from invites i join users u on u.id = i.created_by where i.room_id = $1 and ($2 or i.created_by = $3) \
            order by i.id desc limit $4";
        let (all, who) = (by.is_none(), by.map_or(Uuid::nil(), UserId::as_uuid));
        let rows: Vec<InviteRow> = on_pool!(&self.read, db => sqlx::query_as(SQL)
            .bind(room.as_uuid()).bind(all).bind(who).bind(i64::from(INVITES)).fetch_all(db))?;
        Ok(rows.into_iter().map(Invite::from).collect())
    }

    /// Forgets an invitation; that of one person alone, if it is given. `false`: there is no such.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn remove_invite(&self, room: RoomId, id: InviteId, by: Option<UserId>) -> Result<bool, Error> {
        const SQL: &str = "delete from invites where room_id = $1 and id = $2 and ($3 or created_by = $4) returning 1";
        let (all, who) = (by.is_none(), by.map_or(Uuid::nil(), UserId::as_uuid));
        let row: Option<i32> = on_pool!(&self.write, db => sqlx::query_scalar(SQL)
            .bind(room.as_uuid()).bind(id.as_uuid()).bind(all).bind(who).fetch_optional(db))?;
        Ok(row.is_some())
    }

    /// The room that a code leads into.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn invited_to(&self, code_hash: &[u8]) -> Result<Option<RoomId>, Error> {
        const SQL: &str = "select room_id from invites where code_hash = $1";
        let row: Option<Uuid> = on_pool!(&self.read, db => sqlx::query_scalar(SQL).bind(code_hash).fetch_optional(db))?;
        Ok(row.map(RoomId::from_uuid))
    }

    /// Makes somebody a member by an invitation, which counts that, however many come at once and by whatever node.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn accept_invite(
        &self,
        code_hash: &[u8],
        room: RoomId,
        user: UserId,
        at: Time,
    ) -> Result<Accepted, Error> {
        const MEMBER: &str = "insert into members (room_id, user_id, role, joined_at) values ($1, $2, $3, $4) \
            on conflict (room_id, user_id) do nothing";
        const USE: &str = "update invites set uses = uses + 1 where code_hash = $1 and room_id = $2 \
            and (expires_at is null or expires_at > $3) and (max_uses is null or uses < max_uses) returning 1";
        let mut tx = self.write.begin().await?;
        let (room, user) = (room.as_uuid(), user.as_uuid());
        let new =
            execute!(&mut tx, sqlx::query(MEMBER).bind(room).bind(user).bind(Role::Member.as_str()).bind(at.as_ms()))?;
        if new == 0 {
            return Ok(Accepted::Already);
        }
        let used: Option<i32> = on_tx!(&mut tx, db => sqlx::query_scalar(USE)
            .bind(code_hash).bind(room).bind(at.as_ms()).fetch_optional(db))?;
        if used.is_none() {
            // What was done in this transaction goes with it.
            return Ok(Accepted::Over);
        }
        execute!(
            &mut tx,
            sqlx::query("delete from join_requests where room_id = $1 and user_id = $2").bind(room).bind(user)
        )?;
        tx.commit().await?;
        Ok(Accepted::Joined)
    }

    /// Keeps that somebody asks to be let in. Who was denied after `again` cannot ask yet.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn ask_to_join(
        &self,
        room: RoomId,
        user: UserId,
        note: Option<&str>,
        at: Time,
        again: Time,
    ) -> Result<Asked, Error> {
        const SQL: &str = "insert into join_requests (room_id, user_id, note, created_at) values ($1, $2, $3, $4) \
            on conflict (room_id, user_id) do update set note = excluded.note, denied_at = null, \
            created_at = case when join_requests.denied_at is null then join_requests.created_at else excluded.created_at end \
            where join_requests.denied_at is null or join_requests.denied_at <= $5 returning created_at";
        const DENIED: &str = "select denied_at from join_requests where room_id = $1 and user_id = $2";
        let (room, user) = (room.as_uuid(), user.as_uuid());
        let since: Option<i64> = on_pool!(&self.write, db => sqlx::query_scalar(SQL)
            .bind(room).bind(user).bind(note).bind(at.as_ms()).bind(again.as_ms()).fetch_optional(db))?;
        if let Some(since) = since {
            return Ok(if since == at.as_ms() { Asked::Waits } else { Asked::StillWaits });
        }
        let denied: Option<Option<i64>> =
            on_pool!(&self.read, db => sqlx::query_scalar(DENIED).bind(room).bind(user).fetch_optional(db))?;
        Ok(denied.flatten().map_or(Asked::Waits, |at| Asked::Denied(Time::from_ms(at))))
    }

    /// Who asks to be let in, first come first.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn join_requests(
        &self,
        room: RoomId,
        after: Option<super::After>,
        limit: u32,
    ) -> Result<Vec<JoinRequest>, Error> {
        const SQL: &str = "select j.user_id, u.nickname, j.note, j.created_at from join_requests j \
            join users u on u.id = j.user_id where j.room_id = $1 and j.denied_at is null \
            and (j.created_at, j.user_id) > ($2, $3) order by j.created_at, j.user_id limit $4";
        let (at, user) = after.map_or((i64::MIN, Uuid::nil()), |(at, user)| (at.as_ms(), user.as_uuid()));
        let rows: Vec<RequestRow> = on_pool!(&self.read, db => sqlx::query_as(SQL)
            .bind(room.as_uuid()).bind(at).bind(user).bind(i64::from(limit)).fetch_all(db))?;
        let request = |row: RequestRow| JoinRequest {
            user: Named { user_id: UserId::from_uuid(row.user_id), nickname: row.nickname },
            note: row.note,
            created_at: Time::from_ms(row.created_at),
        };
        Ok(rows.into_iter().map(request).collect())
    }

    /// Lets in who asked, or not. `false`: they do not ask.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn answer_request(&self, room: RoomId, user: UserId, lets_in: bool, at: Time) -> Result<bool, Error> {
        const DENY: &str = "update join_requests set denied_at = $3 where room_id = $1 and user_id = $2 \
            and denied_at is null returning 1";
        const TAKE: &str =
            "delete from join_requests where room_id = $1 and user_id = $2 and denied_at is null returning 1";
        const MEMBER: &str = "insert into members (room_id, user_id, role, joined_at) values ($1, $2, $3, $4) \
            on conflict (room_id, user_id) do nothing";
        let (room, user) = (room.as_uuid(), user.as_uuid());
        let mut tx = self.write.begin().await?;
        let asked: Option<i32> = if lets_in {
            on_tx!(&mut tx, db => sqlx::query_scalar(TAKE).bind(room).bind(user).fetch_optional(db))?
        } else {
            on_tx!(&mut tx, db => sqlx::query_scalar(DENY).bind(room).bind(user).bind(at.as_ms()).fetch_optional(db))?
        };
        if asked.is_none() {
            return Ok(false);
        }
        if lets_in {
            let role = Role::Member.as_str();
            execute!(&mut tx, sqlx::query(MEMBER).bind(room).bind(user).bind(role).bind(at.as_ms()))?;
        }
        tx.commit().await?;
        Ok(true)
    }

    /// The hash of a room's PIN.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn pin_hash(&self, room: RoomId) -> Result<Option<String>, Error> {
        const SQL: &str = "select pin_hash from rooms where id = $1";
        let row: Option<Option<String>> =
            on_pool!(&self.read, db => sqlx::query_scalar(SQL).bind(room.as_uuid()).fetch_optional(db))?;
        Ok(row.flatten())
    }
}
