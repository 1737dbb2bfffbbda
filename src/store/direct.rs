//! Tables `direct_rooms` and `direct_people`, and from whom somebody takes direct messages.

use sqlx::FromRow;
use uuid::Uuid;

use super::{
    Error, RoomRecord, Store,
    pool::{Tx, execute, execute_now, on_pool, on_tx},
};
use crate::domain::{
    Epoch, Role, RoomId, Time, UserId,
    direct::{DirectFrom, DirectPerson, DirectStanding, Stirred},
};

/// Somebody who is to be in a new direct room.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Invited {
    /// Who.
    pub user: UserId,
    /// Whether they take part at once, or are asked to.
    pub standing: DirectStanding,
    /// Who brought them; `None`: they made the room.
    pub by: Option<UserId>,
}

#[derive(FromRow)]
struct StirredRow {
    room_id: Uuid,
    stirred_at: i64,
}

#[derive(FromRow)]
struct PersonRow {
    user_id: Uuid,
    nickname: String,
    standing: String,
}

impl Store {
    /// Keeps a new direct room with its people. For a pair there is one, whoever is first on whatever node: its id.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn create_direct(
        &self,
        record: &RoomRecord,
        pair: Option<[UserId; 2]>,
        people: &[Invited],
    ) -> Result<RoomId, Error> {
        const STREAM: &str = "insert into room_streams (room_id, epoch, last_offset) values ($1, $2, 0)";
        const DIRECT: &str =
            "insert into direct_rooms (room_id, user_a, user_b) values ($1, $2, $3) on conflict do nothing";
        let (id, at) = (record.room.id, record.room.created_at);
        let sorted = pair.map(sorted);
        let [one, other] = sorted.map_or([None; 2], |pair| pair.map(|user| Some(user.as_uuid())));
        let mut tx = self.write.begin().await?;
        super::rooms::insert_room(&mut tx, record).await?;
        execute!(&mut tx, sqlx::query(STREAM).bind(id.as_uuid()).bind(Epoch::new().as_uuid()))?;
        let made = execute!(&mut tx, sqlx::query(DIRECT).bind(id.as_uuid()).bind(one).bind(other))?;
        if made == 0 {
            // Somebody was first. What was begun here goes with the transaction.
            drop(tx);
            let existing = match sorted {
                Some(pair) => self.direct_of_on(&self.write, pair).await?,
                None => None,
            };
            return existing.ok_or_else(|| Error::Unreadable("a pair without a room".to_owned()));
        }
        for person in people {
            insert_person(&mut tx, id, *person, at).await?;
        }
        tx.commit().await?;
        Ok(id)
    }

    /// The direct room of two people.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn direct_of(&self, pair: [UserId; 2]) -> Result<Option<RoomId>, Error> {
        self.direct_of_on(&self.read, sorted(pair)).await
    }

    async fn direct_of_on(&self, pool: &super::pool::Pool, [one, other]: [UserId; 2]) -> Result<Option<RoomId>, Error> {
        const SQL: &str = "select room_id from direct_rooms where user_a = $1 and user_b = $2";
        let room: Option<Uuid> = on_pool!(pool, db => sqlx::query_scalar(SQL)
            .bind(one.as_uuid()).bind(other.as_uuid()).fetch_optional(db))?;
        Ok(room.map(RoomId::from_uuid))
    }

    /// What somebody is to a direct room. `None`: nothing.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn direct_standing(&self, room: RoomId, user: UserId) -> Result<Option<DirectStanding>, Error> {
        const SQL: &str = "select standing from direct_people where room_id = $1 and user_id = $2";
        let standing: Option<String> = on_pool!(&self.read, db => sqlx::query_scalar(SQL)
            .bind(room.as_uuid()).bind(user.as_uuid()).fetch_optional(db))?;
        standing.map(|it| DirectStanding::parse(&it).ok_or(Error::Unreadable(it))).transpose()
    }

    /// Who brought somebody into a direct room.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn direct_inviter(&self, room: RoomId, user: UserId) -> Result<Option<UserId>, Error> {
        const SQL: &str = "select invited_by from direct_people where room_id = $1 and user_id = $2";
        let by: Option<Option<Uuid>> = on_pool!(&self.read, db => sqlx::query_scalar(SQL)
            .bind(room.as_uuid()).bind(user.as_uuid()).fetch_optional(db))?;
        Ok(by.flatten().map(UserId::from_uuid))
    }

    /// Everybody in a direct room who has not left it, by name, and what each is to it.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn direct_people(&self, room: RoomId) -> Result<Vec<(DirectPerson, DirectStanding)>, Error> {
        const SQL: &str = "select user_id, nickname, standing from direct_people join users on users.id = user_id \
            where room_id = $1 and standing <> 'left' order by nickname, user_id";
        let rows: Vec<PersonRow> = on_pool!(&self.read, db => sqlx::query_as(SQL).bind(room.as_uuid()).fetch_all(db))?;
        let person = |row: PersonRow| {
            let standing = DirectStanding::parse(&row.standing).ok_or(Error::Unreadable(row.standing))?;
            let (user_id, accepted) = (UserId::from_uuid(row.user_id), standing == DirectStanding::Accepted);
            Ok((DirectPerson { user_id, nickname: row.nickname, accepted }, standing))
        };
        rows.into_iter().map(person).collect()
    }

    /// Somebody is something else to a direct room, if they are one of `from`; who has accepted is a member. Whether it was so.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn set_direct_standing(
        &self,
        room: RoomId,
        user: UserId,
        from: &[DirectStanding],
        to: DirectStanding,
        at: Time,
    ) -> Result<bool, Error> {
        const SQL: &str = "update direct_people set standing = $3, changed_at = $4 \
            where room_id = $1 and user_id = $2 and standing = $5";
        const JOIN: &str = "insert into members (room_id, user_id, role, joined_at) values ($1, $2, $3, $4) \
            on conflict (room_id, user_id) do nothing";
        const QUIT: &str = "delete from members where room_id = $1 and user_id = $2";
        let (room, user, at_ms) = (room.as_uuid(), user.as_uuid(), at.as_ms());
        let mut tx = self.write.begin().await?;
        let mut changed = 0;
        for from in from {
            changed += execute!(
                &mut tx,
                sqlx::query(SQL).bind(room).bind(user).bind(to.as_str()).bind(at_ms).bind(from.as_str())
            )?;
        }
        if changed > 0 {
            if to == DirectStanding::Accepted {
                let role = Role::Member.as_str();
                execute!(&mut tx, sqlx::query(JOIN).bind(room).bind(user).bind(role).bind(at_ms))?;
            } else {
                execute!(&mut tx, sqlx::query(QUIT).bind(room).bind(user))?;
            }
        }
        tx.commit().await?;
        Ok(changed > 0)
    }

    /// Brings somebody into a group, unless it has `limit` people or they are in it already. Whether they are new.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn add_to_direct(
        &self,
        room: RoomId,
        new: Invited,
        limit: usize,
        at: Time,
    ) -> Result<Option<bool>, Error> {
        // The room's row is the lock: two who bring somebody at once wait for each other.
        const LOCK: &str = "update direct_rooms set user_a = user_a where room_id = $1";
        const COUNT: &str = "select count(*) from direct_people where room_id = $1 and standing <> 'left'";
        const THERE: &str = "select standing from direct_people where room_id = $1 and user_id = $2";
        const GONE: &str = "delete from direct_people where room_id = $1 and user_id = $2";
        let (id, user) = (room.as_uuid(), new.user.as_uuid());
        let mut tx = self.write.begin().await?;
        execute!(&mut tx, sqlx::query(LOCK).bind(id))?;
        let there: Option<String> =
            on_tx!(&mut tx, db => sqlx::query_scalar(THERE).bind(id).bind(user).fetch_optional(db))?;
        match there.as_deref() {
            Some("left") => {
                execute!(&mut tx, sqlx::query(GONE).bind(id).bind(user))?;
            }
            Some(_) => return Ok(Some(false)),
            None => {}
        }
        let count: i64 = on_tx!(&mut tx, db => sqlx::query_scalar(COUNT).bind(id).fetch_one(db))?;
        if usize::try_from(count).unwrap_or(usize::MAX) >= limit {
            return Ok(None);
        }
        insert_person(&mut tx, room, new, at).await?;
        tx.commit().await?;
        Ok(Some(true))
    }

    /// Gives a direct room another name, if it is still of the revision `seen`, should one be named. `false`: it is not.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn rename_direct(&self, room: RoomId, name: &str, seen: Option<u32>) -> Result<bool, Error> {
        const SQL: &str = "update rooms set name = $2, revision = revision + 1 \
            where id = $1 and revision = coalesce($3, revision)";
        let seen = seen.map(i64::from);
        let renamed = execute_now!(&self.write, sqlx::query(SQL).bind(room.as_uuid()).bind(name).bind(seen))?;
        Ok(renamed > 0)
    }

    /// The direct rooms to which somebody is that, those stirred last first; those behind `after`, if it is given.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn directs(
        &self,
        user: UserId,
        standing: DirectStanding,
        after: Option<Stirred>,
        limit: u32,
    ) -> Result<Vec<Stirred>, Error> {
        const SQL: &str = "select room_id, stirred_at from (select p.room_id as room_id, coalesce( \
            (select m.created_at from messages m where m.room_id = r.id order by m.event_offset desc limit 1), \
            r.created_at) as stirred_at from direct_people p join rooms r on r.id = p.room_id \
            where p.user_id = $1 and p.standing = $2) as stirred \
            where stirred_at < $3 or (stirred_at = $3 and room_id < $4) \
            order by stirred_at desc, room_id desc limit $5";
        let (at_ms, room) = after.map_or((i64::MAX, Uuid::max()), |it| (it.at.as_ms(), it.room.as_uuid()));
        let rows: Vec<StirredRow> = on_pool!(&self.read, db => sqlx::query_as(SQL)
            .bind(user.as_uuid()).bind(standing.as_str()).bind(at_ms).bind(room).bind(i64::from(limit)).fetch_all(db))?;
        let stirred =
            |row: StirredRow| Stirred { at: Time::from_ms(row.stirred_at), room: RoomId::from_uuid(row.room_id) };
        Ok(rows.into_iter().map(stirred).collect())
    }

    /// Declines all requests that somebody has. The rooms.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn decline_all(&self, user: UserId, at: Time) -> Result<u64, Error> {
        const SQL: &str = "update direct_people set standing = 'declined', changed_at = $2 \
            where user_id = $1 and standing = 'pending'";
        Ok(execute_now!(&self.write, sqlx::query(SQL).bind(user.as_uuid()).bind(at.as_ms()))?)
    }

    /// Whether somebody else than its author has yet to accept the direct room, and nobody but the author has: what they write
    /// there is a request. `false` for all other rooms.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn is_request_of(&self, room: RoomId, author: UserId) -> Result<bool, Error> {
        const SQL: &str =
            "select count(*) from direct_people where room_id = $1 and user_id <> $2 and standing = 'accepted'";
        let others: i64 = on_pool!(&self.read, db => sqlx::query_scalar(SQL)
            .bind(room.as_uuid()).bind(author.as_uuid()).fetch_one(db))?;
        Ok(others == 0)
    }

    /// Messages that somebody has written in a room, but not the one that they call `client_id`, nor what the server has told of them.
    /// Counts up to `limit`.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn count_messages_of(
        &self,
        room: RoomId,
        author: UserId,
        client_id: &str,
        limit: u32,
    ) -> Result<u32, Error> {
        const SQL: &str = "select count(*) from (select 1 from messages \
            where room_id = $1 and sender_id = $2 and client_id <> $3 and content_type <> 'system' limit $4) as counted";
        let count: i64 = on_pool!(&self.read, db => sqlx::query_scalar(SQL)
            .bind(room.as_uuid()).bind(author.as_uuid()).bind(client_id).bind(i64::from(limit)).fetch_one(db))?;
        Ok(u32::try_from(count).unwrap_or(u32::MAX))
    }

    /// Requests that somebody has made since then and that nobody has accepted.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn requests_since(&self, by: UserId, since: Time) -> Result<(u32, Option<Time>), Error> {
        const SQL: &str = "select count(*), min(changed_at) from direct_people \
            where invited_by = $1 and changed_at > $2 and standing in ('pending', 'declined')";
        let (number, first): (i64, Option<i64>) = on_pool!(&self.read, db => sqlx::query_as(SQL)
            .bind(by.as_uuid()).bind(since.as_ms()).fetch_one(db))?;
        Ok((u32::try_from(number).unwrap_or(u32::MAX), first.map(Time::from_ms)))
    }

    /// Whether two people share a room where people know of each other: not one into which chance has put them.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn share_a_room(&self, one: UserId, other: UserId) -> Result<bool, Error> {
        const SQL: &str = "select count(*) from (select 1 from members o join members m on m.room_id = o.room_id \
            join rooms r on r.id = o.room_id where m.user_id = $1 and o.user_id = $2 and r.kind <> 'match' limit 1) as shared";
        let count: i64 = on_pool!(&self.read, db => sqlx::query_scalar(SQL)
            .bind(one.as_uuid()).bind(other.as_uuid()).fetch_one(db))?;
        Ok(count > 0)
    }

    /// From whom somebody takes direct messages. `None`: no such person.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn direct_from(&self, user: UserId) -> Result<Option<DirectFrom>, Error> {
        const SQL: &str = "select direct_from from users where id = $1";
        let from: Option<String> =
            on_pool!(&self.read, db => sqlx::query_scalar(SQL).bind(user.as_uuid()).fetch_optional(db))?;
        from.map(|it| DirectFrom::parse(&it).ok_or(Error::Unreadable(it))).transpose()
    }

    /// Somebody takes direct messages from others from now on.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn set_direct_from(&self, user: UserId, from: DirectFrom) -> Result<(), Error> {
        const SQL: &str = "update users set direct_from = $2 where id = $1";
        execute_now!(&self.write, sqlx::query(SQL).bind(user.as_uuid()).bind(from.as_str()))?;
        Ok(())
    }
}

/// The lesser id first, as the index has them.
fn sorted([one, other]: [UserId; 2]) -> [UserId; 2] {
    if one < other { [one, other] } else { [other, one] }
}

async fn insert_person(tx: &mut Tx, room: RoomId, person: Invited, at: Time) -> Result<(), sqlx::Error> {
    const PERSON: &str = "insert into direct_people (room_id, user_id, standing, invited_by, changed_at) \
        values ($1, $2, $3, $4, $5)";
    const MEMBER: &str = "insert into members (room_id, user_id, role, joined_at) values ($1, $2, $3, $4) \
        on conflict (room_id, user_id) do nothing";
    let (room, user, at_ms) = (room.as_uuid(), person.user.as_uuid(), at.as_ms());
    let by = person.by.map(UserId::as_uuid);
    execute!(tx, sqlx::query(PERSON).bind(room).bind(user).bind(person.standing.as_str()).bind(by).bind(at_ms))?;
    if person.standing == DirectStanding::Accepted {
        execute!(tx, sqlx::query(MEMBER).bind(room).bind(user).bind(Role::Member.as_str()).bind(at_ms))?;
    }
    Ok(())
}
