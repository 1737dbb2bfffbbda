//! Deleting all that is somebody's, and giving it out: over all tables.

use std::collections::BTreeSet;

use sqlx::FromRow;
use uuid::Uuid;

use super::{
    Error, Store,
    messages::{Extra, MessageRow},
    pool::{execute, execute_now, on_pool, on_tx},
    streams::{empty_events, lock_streams},
    subjects::FORGET_TOLD,
    writer::Written,
};
use crate::domain::{FamilyId, Message, MessageId, Refusal, Role, RoomId, Time, UserId, user::AgeLevel};

/// By what name somebody goes who had everything deleted.
const NOBODY: &str = "deleted";

/// Other rows that are somebody's and nobody else's. The other one of a pair keeps the conversation, with somebody without a name.
const THEIRS: &[&str] = &[
    "delete from reactions where user_id = $1",
    "delete from poll_votes where user_id = $1",
    "delete from presences where user_id = $1",
    "delete from reads where user_id = $1",
    "delete from mentions where user_id = $1",
    "delete from join_requests where user_id = $1",
    "delete from invites where created_by = $1",
    "delete from mutes where user_id = $1",
    "delete from families where id in (select id from api_keys where user_id = $1)",
    "delete from webhooks where created_by = $1",
    "delete from refresh_tokens where family_id in (select id from families where user_id = $1)",
    "update recording_files set nickname = 'deleted' where user_id = $1 and nickname is not null",
    "update reports set reporter_nickname = 'deleted', description = null where reporter_id = $1",
    "delete from calls where initiator_id = $1",
    "delete from call_people where user_id = $1",
    "delete from requests_once where user_id = $1",
    "update cases set nickname = 'deleted' where user_id = $1",
    "update users set direct_from = 'nobody', message_count = 0 where id = $1",
    "update direct_people set standing = 'left', invited_by = null where user_id = $1 \
        and room_id in (select room_id from direct_rooms where user_a is null)",
];
/// Where an id without a name stays, because what it stands in is others' or has an end of its own; a receipt names all of them.
pub const ID_STAYS: &[&str] = &[
    "api_keys.created_by",
    "bans.banned_by",
    "bans.lifted_by",
    "bans.user_id",
    "cases.claimed_by",
    "cases.decided_by",
    "cases.user_id",
    "direct_people.invited_by",
    "direct_people.user_id",
    "direct_rooms.user_a",
    "direct_rooms.user_b",
    "events.body",
    "evidence",
    "families.user_id",
    "matches.ended_by",
    "matches.user_a",
    "matches.user_b",
    "messages.deleted_by",
    "messages.extra",
    "messages.sender_id",
    "moderation_log",
    "recording_files.user_id",
    "recordings.composed_by",
    "recordings.started_by",
    "removals.removed_by",
    "removals.user_id",
    "reports.reporter_id",
    "reports.user_id",
    "rooms.created_by",
    "users.id",
];
/// Marks that are taken back between two looks.
const MARKS: u32 = 100;

/// What was somebody's besides their messages and files, counted as it went.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Belongings {
    /// Logins.
    pub logins: u64,
    /// Passkeys.
    pub passkeys: u64,
    /// Blocks, both ways.
    pub blocks: u64,
    /// Stream keys.
    pub stream_keys: u64,
    /// Memberships.
    pub memberships: u64,
    /// They had an account.
    pub account: bool,
}

/// A message of somebody's, as they get it back.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OwnMessage {
    /// Which.
    pub id: MessageId,
    /// Where.
    pub room: RoomId,
    /// What it says.
    pub text: String,
    /// When.
    pub at: Time,
}

/// A room of somebody's, as they get it back.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OwnRoom {
    /// Which.
    pub id: RoomId,
    /// Its name.
    pub name: String,
    /// As what they are there.
    pub role: Role,
    /// Since when.
    pub joined_at: Time,
}

#[derive(FromRow)]
pub(super) struct OwnRow {
    id: Uuid,
    room_id: Uuid,
    text: String,
    created_at: i64,
}

impl From<OwnRow> for OwnMessage {
    fn from(row: OwnRow) -> Self {
        Self {
            id: MessageId::from_uuid(row.id),
            room: RoomId::from_uuid(row.room_id),
            text: row.text,
            at: Time::from_ms(row.created_at),
        }
    }
}

#[derive(FromRow)]
struct RoomRow {
    id: Uuid,
    name: String,
    role: String,
    joined_at: i64,
}

impl Store {
    /// Begins to delete somebody: they can log in no more, and what is left of them goes even if the server stops now. Their logins.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn begin_erasure(&self, user: UserId, at: Time) -> Result<Vec<FamilyId>, Error> {
        const MARK: &str =
            "update users set erased_at = $2, nickname = $3, site_role = 'member', age_level = $4 where id = $1";
        const LOGINS: &str =
            "update families set revoked_at = $2 where user_id = $1 and revoked_at is null returning id";
        let mut tx = self.write.begin().await?;
        execute!(
            &mut tx,
            sqlx::query(MARK).bind(user.as_uuid()).bind(at.as_ms()).bind(NOBODY).bind(AgeLevel::None.as_str())
        )?;
        let ended: Vec<Uuid> = on_tx!(&mut tx, db => sqlx::query_scalar(LOGINS)
            .bind(user.as_uuid()).bind(at.as_ms()).fetch_all(db))?;
        // Before anybody is told to end what came by them.
        execute!(&mut tx, sqlx::query("delete from stream_keys where created_by = $1").bind(user.as_uuid()))?;
        tx.commit().await?;
        Ok(ended.into_iter().map(FamilyId::from_uuid).collect())
    }

    /// Takes back what somebody has reacted and voted, as events of the rooms: the counts are those of the others from then on. What
    /// they chose in a poll that is closed stays counted, by nobody's name, once their belongings are deleted.
    ///
    /// # Errors
    /// `internal`; what has been taken back stays so.
    pub async fn take_marks_back(&self, user: UserId) -> Result<(), Refusal> {
        let mut after = (Uuid::nil(), String::new());
        loop {
            let marks = self.reactions_of(user, &after).await?;
            let Some((_, message, emoji)) = marks.last() else { break };
            after = (*message, emoji.clone());
            for (room, message, emoji) in marks {
                let message = MessageId::from_uuid(message);
                is_done(self.react(RoomId::from_uuid(room), message, user, emoji, false, None).await)?;
            }
        }
        let mut after = Uuid::nil();
        loop {
            let marks = self.votes_of(user, after).await?;
            let Some((_, message)) = marks.last() else { return Ok(()) };
            after = *message;
            for (room, message) in marks {
                let message = MessageId::from_uuid(message);
                is_done(self.vote(RoomId::from_uuid(room), message, user, Vec::new(), None).await)?;
            }
        }
    }

    async fn reactions_of(
        &self,
        user: UserId,
        (message, emoji): &(Uuid, String),
    ) -> Result<Vec<(Uuid, Uuid, String)>, Error> {
        const SQL: &str = "select m.room_id, r.message_id, r.emoji from reactions r join messages m on m.id = r.message_id \
            where r.user_id = $1 and (r.message_id, r.emoji) > ($2, $3) order by r.message_id, r.emoji limit $4";
        Ok(on_pool!(&self.write, db => sqlx::query_as(SQL)
            .bind(user.as_uuid()).bind(message).bind(emoji).bind(i64::from(MARKS)).fetch_all(db))?)
    }

    async fn votes_of(&self, user: UserId, after: Uuid) -> Result<Vec<(Uuid, Uuid)>, Error> {
        const SQL: &str = "select distinct m.room_id, v.message_id from poll_votes v join messages m on m.id = v.message_id \
            where v.user_id = $1 and v.message_id > $2 order by v.message_id limit $3";
        Ok(on_pool!(&self.write, db => sqlx::query_as(SQL)
            .bind(user.as_uuid()).bind(after).bind(i64::from(MARKS)).fetch_all(db))?)
    }

    /// Deletes what is somebody's and nobody else's.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn erase_belongings(&self, user: UserId) -> Result<Belongings, Error> {
        // The hashes of devices and addresses stay until their usual end: whoever had everything deleted is no less bound by a ban.
        const LOGINS: &str =
            "update families set device_name = null, revoked_at = coalesce(revoked_at, $2) where user_id = $1";
        let mut tx = self.write.begin().await?;
        let mut gone = Belongings::default();
        let id = user.as_uuid();
        execute!(&mut tx, sqlx::query("delete from recovery_codes where user_id = $1").bind(id))?;
        gone.passkeys = execute!(&mut tx, sqlx::query("delete from passkeys where user_id = $1").bind(id))?;
        gone.account = execute!(&mut tx, sqlx::query("delete from accounts where user_id = $1").bind(id))? > 0;
        gone.logins = execute!(&mut tx, sqlx::query(LOGINS).bind(id).bind(Time::now().as_ms()))?;
        gone.blocks =
            execute!(&mut tx, sqlx::query("delete from blocks where user_id = $1 or blocked_id = $1").bind(id))?;
        gone.stream_keys = execute!(&mut tx, sqlx::query("delete from stream_keys where created_by = $1").bind(id))?;
        for sql in THEIRS.iter().chain(FORGET_TOLD).copied() {
            execute!(&mut tx, sqlx::query(sql).bind(id))?;
        }
        gone.memberships = execute!(&mut tx, sqlx::query("delete from members where user_id = $1").bind(id))?;
        tx.commit().await?;
        Ok(gone)
    }

    /// Forgets of which messages of the server somebody was told of, where those are gone.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn forget_tales(&self, user: UserId) -> Result<(), Error> {
        const SQL: &str = "delete from told_of where user_id = $1 \
            and message_id in (select id from messages where deleted_at is not null)";
        execute_now!(&self.write, sqlx::query(SQL).bind(user.as_uuid()))?;
        Ok(())
    }

    /// All that was somebody's is gone, and nothing comes any more.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn end_erasure(&self, user: UserId, at: Time) -> Result<(), Error> {
        const SQL: &str = "update users set erasure_done_at = $2 where id = $1";
        const TOLD: &str = "delete from told_of where user_id = $1";
        execute_now!(&self.write, sqlx::query(TOLD).bind(user.as_uuid()))?;
        execute_now!(&self.write, sqlx::query(SQL).bind(user.as_uuid()).bind(at.as_ms()))?;
        Ok(())
    }

    /// Whose deletion has begun and not come to its end: at most `limit`.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn unfinished_erasures(&self, before: Time, limit: u32) -> Result<Vec<UserId>, Error> {
        const SQL: &str = "select id from users where erased_at < $1 and erasure_done_at is null limit $2";
        let ids: Vec<Uuid> = on_pool!(&self.read, db => sqlx::query_scalar(SQL)
            .bind(before.as_ms()).bind(i64::from(limit)).fetch_all(db))?;
        Ok(ids.into_iter().map(UserId::from_uuid).collect())
    }

    /// Somebody's messages that are not deleted, the oldest first, behind one of them.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn own_messages(
        &self,
        user: UserId,
        after: Option<MessageId>,
        limit: u32,
    ) -> Result<Vec<OwnMessage>, Error> {
        const SQL: &str = "select id, room_id, text, created_at from messages \
            where sender_id = $1 and id > $2 and deleted_at is null order by id limit $3";
        let after = after.map_or(Uuid::nil(), MessageId::as_uuid);
        let rows: Vec<OwnRow> = on_pool!(&self.read, db => sqlx::query_as(SQL)
            .bind(user.as_uuid()).bind(after).bind(i64::from(limit)).fetch_all(db))?;
        Ok(rows.into_iter().map(OwnMessage::from).collect())
    }

    /// What somebody has written and is not deleted, the oldest first, behind one of them; without what the server has told of them.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn written_by(&self, user: UserId, after: Option<MessageId>, limit: u32) -> Result<Vec<Message>, Error> {
        const SQL: &str = "select * from messages where sender_id = $1 and id > $2 and deleted_at is null \
            and content_type <> 'system' order by id limit $3";
        let after = after.map_or(Uuid::nil(), MessageId::as_uuid);
        let rows: Vec<MessageRow> = on_pool!(&self.read, db => sqlx::query_as(SQL)
            .bind(user.as_uuid()).bind(after).bind(i64::from(limit)).fetch_all(db))?;
        Ok(rows.into_iter().map(Message::from).collect())
    }

    /// Overwrites what is kept of somebody's deleted messages for those who judge them: all that they say and have said, and the name. What a case rests on has a copy
    /// of its own, with its own end.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn empty_messages(&self, user: UserId) -> Result<(), Error> {
        const VERSIONS: &str =
            "delete from message_versions where message_id in (select id from messages where sender_id = $1)";
        const SQL: &str = "update messages set text = '', extra = null, poll = null, content_hash = $2, \
            sender_nickname = $3 where sender_id = $1";
        let mut tx = self.write.begin().await?;
        execute!(&mut tx, sqlx::query(VERSIONS).bind(user.as_uuid()))?;
        execute!(&mut tx, sqlx::query(SQL).bind(user.as_uuid()).bind(&[0_u8; 32][..]).bind(NOBODY))?;
        tx.commit().await?;
        self.empty_events_of(user).await
    }

    /// Takes somebody's name out of what others have said again of theirs, which stays: it is the others' word. Where it came from is
    /// told no more.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn unname_forwards(&self, user: UserId) -> Result<(), Error> {
        const SQL: &str = "select * from messages where extra like $1 and id > $2 order by id limit $3";
        const UPDATE: &str = "update messages set extra = $2 where id = $1";
        let pattern = format!("%forwarded_from%{user}%");
        let mut after = Uuid::nil();
        loop {
            let mut tx = self.write.begin().await?;
            let rows: Vec<MessageRow> = on_tx!(&mut tx, db => sqlx::query_as(SQL)
                .bind(&pattern).bind(after).bind(i64::from(MARKS)).fetch_all(db))?;
            let Some(last) = rows.last().map(|row| row.id) else { return Ok(()) };
            // What is written back must be what stands there: whoever changes a message has the stream of its room.
            let rooms: BTreeSet<RoomId> = rows.iter().map(|row| RoomId::from_uuid(row.room_id)).collect();
            lock_streams(&mut tx, &rooms).await?;
            let rows: Vec<MessageRow> = on_tx!(&mut tx, db => sqlx::query_as(SQL)
                .bind(&pattern).bind(after).bind(i64::from(MARKS)).fetch_all(db))?;
            after = last;
            for mut row in rows.into_iter().filter(|row| row.id <= last) {
                let mut extra: Extra =
                    row.extra.as_deref().and_then(|it| serde_json::from_str(it).ok()).unwrap_or_default();
                let Some(from) = extra.forwarded_from.as_mut().filter(|from| from.sender.id == user) else { continue };
                NOBODY.clone_into(&mut from.sender.nickname);
                (from.room_id, from.message_id) = (None, None);
                row.extra = extra.stored();
                execute!(&mut tx, sqlx::query(UPDATE).bind(row.id).bind(row.extra.as_deref()))?;
                empty_events(&mut tx, &Message::from(row)).await?;
            }
            tx.commit().await?;
        }
    }

    /// Takes somebody's name out of the events that told their messages, which are deleted by now.
    async fn empty_events_of(&self, user: UserId) -> Result<(), Error> {
        const SQL: &str =
            "select * from messages where sender_id = $1 and id > $2 and deleted_at is not null order by id limit $3";
        let mut after = Uuid::nil();
        loop {
            let mut tx = self.write.begin().await?;
            let rows: Vec<MessageRow> = on_tx!(&mut tx, db => sqlx::query_as(SQL)
                .bind(user.as_uuid()).bind(after).bind(i64::from(MARKS)).fetch_all(db))?;
            let Some(last) = rows.last() else { return Ok(()) };
            after = last.id;
            for row in rows {
                empty_events(&mut tx, &Message::from(row).emptied()).await?;
            }
            tx.commit().await?;
        }
    }

    /// How many stream keys somebody has made.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn count_stream_keys_of(&self, user: UserId) -> Result<u64, Error> {
        const SQL: &str = "select count(*) from stream_keys where created_by = $1";
        let count: i64 = on_pool!(&self.read, db => sqlx::query_scalar(SQL).bind(user.as_uuid()).fetch_one(db))?;
        Ok(u64::try_from(count).unwrap_or(0))
    }

    /// How many logins of somebody's have ended and are not forgotten, and when the last of them is.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn ended_logins_of(&self, user: UserId) -> Result<(u64, Option<Time>), Error> {
        const SQL: &str = "select count(*), max(expires_at) from families where user_id = $1";
        let (count, until): (i64, Option<i64>) =
            on_pool!(&self.write, db => sqlx::query_as(SQL).bind(user.as_uuid()).fetch_one(db))?;
        Ok((u64::try_from(count).unwrap_or(0), until.map(Time::from_ms)))
    }

    /// Somebody's rooms, behind one of them.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn own_rooms(&self, user: UserId, after: Option<RoomId>, limit: u32) -> Result<Vec<OwnRoom>, Error> {
        const SQL: &str = "select r.id, r.name, m.role, m.joined_at from members m join rooms r on r.id = m.room_id \
            where m.user_id = $1 and r.id > $2 order by r.id limit $3";
        let after = after.map_or(Uuid::nil(), RoomId::as_uuid);
        let rows: Vec<RoomRow> = on_pool!(&self.read, db => sqlx::query_as(SQL)
            .bind(user.as_uuid()).bind(after).bind(i64::from(limit)).fetch_all(db))?;
        let room = |row: RoomRow| {
            Ok(OwnRoom {
                id: RoomId::from_uuid(row.id),
                name: row.name,
                role: Role::parse(&row.role).ok_or(Error::Unreadable(row.role))?,
                joined_at: Time::from_ms(row.joined_at),
            })
        };
        rows.into_iter().map(room).collect()
    }

    /// Who is to own a room after its owner: the highest role below, for the longest time. `None`: nobody keeps order there.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn heir_of_room(&self, room: RoomId, owner: UserId) -> Result<Option<UserId>, Error> {
        const SQL: &str = "select user_id from members where room_id = $1 and user_id <> $2 and role in ('owner', 'admin') \
            order by case role when 'owner' then 0 else 1 end, joined_at limit 1";
        let heir: Option<Uuid> = on_pool!(&self.read, db => sqlx::query_scalar(SQL)
            .bind(room.as_uuid()).bind(owner.as_uuid()).fetch_optional(db))?;
        Ok(heir.map(UserId::from_uuid))
    }

    /// Puts a room away for good that nobody owns any more.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn orphan_room(&self, room: RoomId, at: Time) -> Result<(), Error> {
        const SQL: &str =
            "update rooms set archived_at = $2, revision = revision + 1 where id = $1 and archived_at is null";
        execute_now!(&self.write, sqlx::query(SQL).bind(room.as_uuid()).bind(at.as_ms()))?;
        Ok(())
    }

    /// How many files somebody has sent.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn count_files_of(&self, user: UserId) -> Result<u64, Error> {
        const SQL: &str = "select count(*) from attachments where uploader_id = $1";
        let count: i64 = on_pool!(&self.read, db => sqlx::query_scalar(SQL).bind(user.as_uuid()).fetch_one(db))?;
        Ok(u64::try_from(count).unwrap_or(0))
    }

    /// How much evidence there is in cases about somebody, and when the last of it expires.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn evidence_about(&self, user: UserId) -> Result<(u64, Option<Time>), Error> {
        const SQL: &str =
            "select count(*), max(e.expires_at) from evidence e join cases c on c.id = e.case_id where c.user_id = $1";
        let (count, until): (i64, Option<i64>) =
            on_pool!(&self.read, db => sqlx::query_as(SQL).bind(user.as_uuid()).fetch_one(db))?;
        Ok((u64::try_from(count).unwrap_or(0), until.map(Time::from_ms)))
    }
}

/// A message that is gone meanwhile has no marks, and those of a poll that is closed are not changed.
fn is_done(written: Written) -> Result<(), Refusal> {
    match written {
        Ok(_) | Err(Refusal::NotFound | Refusal::Taken(_)) => Ok(()),
        Err(refusal) => Err(refusal),
    }
}
