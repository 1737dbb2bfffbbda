//! Tables `searchable` and `search_words` (FTS5) or the column `words` (tsvector): what messages are found by.
//!
//! Both databases get the same tokens, made by us, and no text. Beside the words stand marks: the room, the sender, what the message
//! has, whom it mentions; so whatever narrows a search narrows it within the index, and permission is a part of the query.
//! A transaction of the writer, however many messages it has, costs one statement more on PostgreSQL and two on SQLite.

use std::fmt::Write as _;
use std::time::{Duration, Instant};

use sqlx::{FromRow, QueryBuilder};
use uuid::Uuid;

use super::{
    Error, Store,
    pool::{Pool, Tx, execute, on_tx},
    receipts,
};
use crate::domain::{
    Event, Fact, Message, MessageId, RoomId, Time, UserId,
    cluster::Tenant,
    feature::Feature,
    search::{Has, Term, said},
    words::words,
};

/// How long one search may take. Beyond, the query is too wide.
const PATIENCE: Duration = Duration::from_secs(2);
/// Steps of SQLite's machine between two looks at the clock.
const STEPS: i32 = 50_000;
/// From here on the parts of FTS5's index say which of their rows are gone: 2^16 parts of 2^37 pages lie below.
const TOMBSTONES: i64 = 1 << 53;
/// Merges of the words of one deletion, of about two megabytes each: more than any database of one machine has.
const MERGES: u32 = 4_096;

/// What is searched for.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Sought {
    /// In one of these rooms; none: nothing is found.
    pub rooms: Vec<RoomId>,
    /// With all of these words.
    pub terms: Vec<Term>,
    /// By one of these, if there are any.
    pub from: Vec<Sender>,
    /// With all of these.
    pub has: Vec<Has>,
    /// Written before.
    pub before: Option<Time>,
    /// Written then or later.
    pub after: Option<Time>,
    /// Mentions this person.
    pub mentions: Option<UserId>,
    /// By nobody whom this person blocks.
    pub blocks_of: Option<UserId>,
}

/// Whose messages.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Sender {
    /// A person's.
    User(UserId),
    /// Those of whoever had that name, without case.
    Nickname(String),
}

/// A message that was found, by its place in the index: later ones are higher.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FoundAt {
    /// Its place.
    pub place: i64,
    /// Where.
    pub room: RoomId,
    /// Which.
    pub message: MessageId,
}

#[derive(FromRow)]
struct FoundRow {
    place: i64,
    room_id: Uuid,
    message_id: Uuid,
}

impl Store {
    /// The messages that fit, newest first; those whose place is below `below`. `None`: it takes too long.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn search(&self, wanted: &Sought, below: i64, limit: u32) -> Result<Option<Vec<FoundAt>>, Error> {
        if wanted.rooms.is_empty() {
            return Ok(Some(Vec::new()));
        }
        let rows = match &self.read {
            Pool::Sqlite(_) => self.search_sqlite(wanted, below, limit).await,
            Pool::Postgres(_) => self.search_postgres(wanted, below, limit).await,
        };
        let found = |row: FoundRow| FoundAt {
            place: row.place,
            room: RoomId::from_uuid(row.room_id),
            message: MessageId::from_uuid(row.message_id),
        };
        match rows {
            Ok(rows) => Ok(Some(rows.into_iter().map(found).collect())),
            Err(error) if is_interrupted(&error) => Ok(None),
            Err(error) => Err(error.into()),
        }
    }

    async fn search_sqlite(&self, wanted: &Sought, below: i64, limit: u32) -> Result<Vec<FoundRow>, sqlx::Error> {
        const SQL: &str = "select s.id as place, m.room_id, m.id as message_id from search_words \
            cross join searchable s on s.id = search_words.rowid cross join messages m on m.id = s.message_id \
            where search_words match $1 and search_words.rowid < $2 and s.created_at < $3 and s.created_at >= $4 \
            and m.deleted_at is null \
            and not exists (select 1 from blocks b where b.user_id = $6 and b.blocked_id = m.sender_id) order by search_words.rowid desc limit $5";
        let Pool::Sqlite(pool) = &self.read else { return Ok(Vec::new()) };
        let (pool, (before, after), by) = (pool.clone(), wanted.span(), wanted.blocker());
        let wanted = wanted.for_sqlite();
        // A task of its own comes to its end though nobody waits for it: a connection that goes back with this handler would refuse
        // whatever it is asked from then on.
        let search = tokio::spawn(async move {
            let mut connection = pool.acquire().await?;
            let started = Instant::now();
            connection.lock_handle().await?.set_progress_handler(STEPS, move || started.elapsed() < PATIENCE);
            let query = sqlx::query_as(SQL).bind(wanted).bind(below).bind(before).bind(after);
            let rows = query.bind(i64::from(limit)).bind(by).fetch_all(&mut *connection).await;
            connection.lock_handle().await?.remove_progress_handler();
            rows
        });
        search.await.unwrap_or(Err(sqlx::Error::WorkerCrashed))
    }

    async fn search_postgres(&self, wanted: &Sought, below: i64, limit: u32) -> Result<Vec<FoundRow>, sqlx::Error> {
        const SQL: &str = "select s.id as place, m.room_id, m.id as message_id from searchable s \
            join messages m on m.id = s.message_id where s.words @@ $1::tsquery and s.id < $2 and s.created_at < $3 \
            and s.created_at >= $4 and m.deleted_at is null \
            and not exists (select 1 from blocks b where b.user_id = $6 and b.blocked_id = m.sender_id) order by s.id desc limit $5";
        let mut tx = self.read.snapshot().await?;
        let patience = format!("set local statement_timeout = {}", PATIENCE.as_millis());
        execute!(&mut tx, sqlx::query(sqlx::AssertSqlSafe(patience.clone())))?;
        let (before, after) = wanted.span();
        let (by, wanted, limit) = (wanted.blocker(), wanted.for_postgres(), i64::from(limit));
        on_tx!(&mut tx, db => sqlx::query_as(SQL)
            .bind(&wanted).bind(below).bind(before).bind(after).bind(limit).bind(by).fetch_all(db))
    }

    /// The rooms that somebody may search, with their names: those that they are a member of, the latest first, up to `limit`; those for
    /// adults only with `all_levels`.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn searched_rooms(
        &self,
        user: UserId,
        all_levels: bool,
        limit: u32,
    ) -> Result<Vec<(RoomId, String)>, Error> {
        self.searched_rooms_of(&Tenant::default(), user, all_levels, limit).await
    }

    /// The same for somebody of a cluster: rooms up to its level, of kinds that it offers.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn searched_rooms_of(
        &self,
        tenant: &Tenant,
        user: UserId,
        all_levels: bool,
        limit: u32,
    ) -> Result<Vec<(RoomId, String)>, Error> {
        const SQL: &str = "select r.id, r.name from members m join rooms r on r.id = m.room_id \
            where m.user_id = $1 and r.kind <> 'match' and ($4 or r.content_level not in ('adult', 'extreme')) \
            and case r.content_level when 'general' then 0 when 'mature' then 1 when 'adult' then 2 else 3 end <= $5 \
            and (r.kind <> 'forum' or $6) and (r.kind not in ('dm', 'groupDm') or $7) and not exists (select 1 from removals x where x.room_id = m.room_id and x.user_id = m.user_id \
            and (x.until is null or x.until > $3)) order by m.joined_at desc, r.id desc limit $2";
        let rows: Vec<(Uuid, String)> = super::pool::on_pool!(&self.read, db => sqlx::query_as(SQL)
            .bind(user.as_uuid()).bind(i64::from(limit)).bind(Time::now().as_ms()).bind(all_levels)
            .bind(tenant.max_content_level as i32).bind(tenant.features.is_on(Feature::Forums))
            .bind(tenant.features.is_on(Feature::DirectMessages)).fetch_all(db))?;
        Ok(rows.into_iter().map(|(id, name)| (RoomId::from_uuid(id), name)).collect())
    }

    /// Lets SQLite forget the words of messages that are gone: FTS5 only marks them as gone until its parts are merged. PostgreSQL
    /// forgets them with their row.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn forget_words(&self) -> Result<(), Error> {
        const CHANGES: &str = "select total_changes()";
        // The negative number begins a merge of all parts (FTS5, section 6.7), the other one goes on with it.
        let mut merge = "insert into search_words (search_words, rank) values ('merge', -500)";
        for _ in 0..MERGES {
            let mut tx = self.write.begin().await?;
            let Tx::Sqlite(db) = &mut tx else { return Ok(()) };
            let before: i64 = sqlx::query_scalar(CHANGES).fetch_one(&mut **db).await?;
            sqlx::query(merge).execute(&mut **db).await?;
            let after: i64 = sqlx::query_scalar(CHANGES).fetch_one(&mut **db).await?;
            tx.commit().await?;
            if after - before < 2 {
                break;
            }
            merge = "insert into search_words (search_words, rank) values ('merge', 500)";
        }
        Ok(())
    }

    /// Lets SQLite forget words of messages that are gone, and of what they said before: FTS5 only marks them as gone until its parts
    /// are merged, which it does by itself where many are. At most so many merges of about 400 KB each, between which others write.
    /// Whether no such words are left. PostgreSQL forgets them with their row.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn forget_some_words(&self, merges: u32) -> Result<bool, Error> {
        const ARE_LEFT: &str = "select exists (select 1 from search_words_data where id >= $1)";
        const CHANGES: &str = "select total_changes()";
        // The one goes on with a merge that has begun; the negative number begins one of all parts (FTS5, section 6.7).
        const GO_ON: &str = "insert into search_words (search_words, rank) values ('merge', 100)";
        const BEGIN: &str = "insert into search_words (search_words, rank) values ('merge', -100)";
        for _ in 0..merges {
            let mut tx = self.write.begin().await?;
            let Tx::Sqlite(db) = &mut tx else { return Ok(true) };
            let are_left: bool = sqlx::query_scalar(ARE_LEFT).bind(TOMBSTONES).fetch_one(&mut **db).await?;
            if !are_left {
                return Ok(true);
            }
            let before: i64 = sqlx::query_scalar(CHANGES).fetch_one(&mut **db).await?;
            sqlx::query(GO_ON).execute(&mut **db).await?;
            let after: i64 = sqlx::query_scalar(CHANGES).fetch_one(&mut **db).await?;
            if after - before < 2 {
                sqlx::query(BEGIN).execute(&mut **db).await?;
            }
            tx.commit().await?;
        }
        Ok(false)
    }
}

/// SQLite says that it was interrupted (9), PostgreSQL that the statement was cancelled (57014).
fn is_interrupted(error: &sqlx::Error) -> bool {
    let code = error.as_database_error().and_then(|error| error.code());
    code.is_some_and(|code| code == "9" || code == "57014")
}

impl Sought {
    fn blocker(&self) -> Uuid {
        self.blocks_of.map_or(Uuid::nil(), UserId::as_uuid)
    }

    fn span(&self) -> (i64, i64) {
        (self.before.map_or(i64::MAX, Time::as_ms), self.after.map_or(i64::MIN, Time::as_ms))
    }

    /// Lists of marks; of each list one is to be there.
    fn marks(&self) -> Vec<Vec<String>> {
        let mut all = vec![self.rooms.iter().map(|room| room_mark(*room)).collect::<Vec<_>>()];
        if !self.from.is_empty() {
            all.push(self.from.iter().map(Sender::mark).collect());
        }
        all.extend(self.has.iter().map(|has| vec![has_mark(*has)]));
        all.extend(self.mentions.map(|user| vec![mention_mark(user), mention_mark(receipts::EVERYBODY)]));
        all
    }

    /// The query as FTS5 reads it. It is made of tokens alone, and each of them is quoted.
    fn for_sqlite(&self) -> String {
        let mut text = String::new();
        for any in self.marks() {
            let any: Vec<_> = any.iter().map(|mark| format!("\"{mark}\"")).collect();
            let and = if text.is_empty() { "" } else { " AND " };
            write!(text, "{and}(marks : ({}))", any.join(" OR ")).expect("a string takes all");
        }
        for term in &self.terms {
            let star = if term.begins { " *" } else { "" };
            write!(text, " AND (words : \"{}\"{star})", term.tokens.join(" ")).expect("a string takes all");
        }
        text
    }

    /// The query as PostgreSQL reads it.
    fn for_postgres(&self) -> String {
        let quoted = |token: &String| format!("'{token}'");
        let marks = self.marks().into_iter().map(|any| any.iter().map(quoted).collect::<Vec<_>>().join(" | "));
        let terms = self.terms.iter().map(|term| {
            let star = if term.begins { ":*" } else { "" };
            term.tokens.iter().map(quoted).collect::<Vec<_>>().join(" <-> ") + star
        });
        marks.chain(terms).map(|part| format!("({part})")).collect::<Vec<_>>().join(" & ")
    }
}

impl Sender {
    fn mark(&self) -> String {
        match self {
            Sender::User(user) => format!("_f{}", user.as_uuid().simple()),
            Sender::Nickname(name) => nickname_mark(name),
        }
    }
}

fn room_mark(room: RoomId) -> String {
    format!("_r{}", room.as_uuid().simple())
}

fn has_mark(has: Has) -> String {
    format!("_h{}", has.as_str())
}

fn mention_mark(user: UserId) -> String {
    format!("_m{}", user.as_uuid().simple())
}

/// A nickname may hold signs that end a token, so its bytes are spelled out.
fn nickname_mark(name: &str) -> String {
    let mut mark = "_n".to_owned();
    for byte in name.to_ascii_lowercase().bytes() {
        write!(mark, "{byte:02x}").expect("a string takes all");
    }
    mark
}

fn marks_of(message: &Message) -> Vec<String> {
    let mut marks = vec![
        room_mark(message.room_id),
        Sender::User(message.sender.id).mark(),
        nickname_mark(&message.sender.nickname),
    ];
    marks.extend(Has::of(message).into_iter().map(has_mark));
    marks.extend(receipts::mentioned(message).into_iter().map(mention_mark));
    marks
}

/// The words of a message with a blank between them, for FTS5.
fn spaced(message: &Message) -> String {
    words(said(message)).into_iter().map(|word| word.token).collect::<Vec<_>>().join(" ")
}

/// The words and marks of a message as a tsvector is written.
fn vector(message: &Message) -> String {
    let words = words(said(message)).into_iter().map(|word| word.token);
    // Places beyond the last that PostgreSQL knows (section 8.11.1) are that one.
    let placed = words.enumerate().map(|(at, token)| format!("{token}:{}", (at + 1).min(16_383)));
    placed.chain(marks_of(message)).collect::<Vec<_>>().join(" ")
}

/// Keeps the index, and whom messages mention, as these events say. In the transaction of the events.
pub(super) async fn follow(tx: &mut Tx, events: &[Event]) -> Result<(), sqlx::Error> {
    let sent = |event: &Event| match (&event.fact, event.position) {
        // What the server says is read where it stands, and looked for by nobody.
        (Fact::MessageSent(message), Some(at)) if message.content.system.is_none() => {
            Some((message.as_ref().clone(), at.offset.cast_signed()))
        }
        _ => None,
    };
    let new: Vec<(Message, i64)> = events.iter().filter_map(sent).collect();
    insert(tx, &new).await?;
    receipts::insert_mentions(tx, &new).await?;
    for event in events {
        match &event.fact {
            Fact::MessageEdited(message) if message.deleted => {}
            Fact::MessageEdited(message) => {
                update(tx, message).await?;
                receipts::replace_mentions(tx, message).await?;
            }
            Fact::MessageDeleted { message, .. } => {
                forget(tx, *message).await?;
                receipts::forget_mentions(tx, *message).await?;
            }
            _ => {}
        }
    }
    Ok(())
}

async fn insert(tx: &mut Tx, new: &[(Message, i64)]) -> Result<(), sqlx::Error> {
    if new.is_empty() {
        return Ok(());
    }
    match tx {
        Tx::Sqlite(tx) => {
            let mut query = QueryBuilder::new("insert into searchable (message_id, created_at) ");
            query.push_values(new, |mut row, (message, _)| {
                row.push_bind(message.id.as_uuid()).push_bind(message.created_at.as_ms());
            });
            query.push(" returning id, message_id");
            let ids: Vec<(i64, Uuid)> = query.build_query_as().fetch_all(&mut **tx).await?;
            let ids: std::collections::HashMap<_, _> = ids.into_iter().map(|(id, message)| (message, id)).collect();
            let mut query = QueryBuilder::new("insert into search_words (rowid, words, marks) ");
            query.push_values(new, |mut row, (message, _)| {
                let id = ids.get(&message.id.as_uuid()).copied();
                row.push_bind(id).push_bind(spaced(message)).push_bind(marks_of(message).join(" "));
            });
            query.build().execute(&mut **tx).await?;
        }
        Tx::Postgres(tx) => {
            let mut query = QueryBuilder::new("insert into searchable (message_id, created_at, words) ");
            query.push_values(new, |mut row, (message, _)| {
                row.push_bind(message.id.as_uuid()).push_bind(message.created_at.as_ms());
                row.push_bind(vector(message)).push_unseparated("::tsvector");
            });
            query.build().execute(&mut **tx).await?;
        }
    }
    Ok(())
}

/// Puts messages of old into the index, each at a place of its own.
pub(super) async fn insert_at(tx: &mut Tx, old: &[(Message, i64)]) -> Result<(), sqlx::Error> {
    if old.is_empty() {
        return Ok(());
    }
    match tx {
        Tx::Sqlite(tx) => {
            let mut query = QueryBuilder::new("insert into searchable (id, message_id, created_at) ");
            query.push_values(old, |mut row, (message, place)| {
                row.push_bind(*place).push_bind(message.id.as_uuid()).push_bind(message.created_at.as_ms());
            });
            query.build().execute(&mut **tx).await?;
            let mut query = QueryBuilder::new("insert into search_words (rowid, words, marks) ");
            query.push_values(old, |mut row, (message, place)| {
                row.push_bind(*place).push_bind(spaced(message)).push_bind(marks_of(message).join(" "));
            });
            query.build().execute(&mut **tx).await?;
        }
        Tx::Postgres(tx) => {
            let mut query = QueryBuilder::new(
                "insert into searchable (id, message_id, created_at, words) overriding system value ",
            );
            query.push_values(old, |mut row, (message, place)| {
                row.push_bind(*place).push_bind(message.id.as_uuid()).push_bind(message.created_at.as_ms());
                row.push_bind(vector(message)).push_unseparated("::tsvector");
            });
            query.build().execute(&mut **tx).await?;
        }
    }
    Ok(())
}

async fn update(tx: &mut Tx, message: &Message) -> Result<(), sqlx::Error> {
    const WORDS: &str = "update search_words set words = $2, marks = $3 \
        where rowid = (select id from searchable where message_id = $1)";
    const VECTOR: &str = "update searchable set words = $2::tsvector where message_id = $1";
    let id = message.id.as_uuid();
    match tx {
        Tx::Sqlite(tx) => {
            let query = sqlx::query(WORDS).bind(id).bind(spaced(message)).bind(marks_of(message).join(" "));
            query.execute(&mut **tx).await?;
        }
        Tx::Postgres(tx) => {
            sqlx::query(VECTOR).bind(id).bind(vector(message)).execute(&mut **tx).await?;
        }
    }
    Ok(())
}

async fn forget(tx: &mut Tx, message: MessageId) -> Result<(), sqlx::Error> {
    execute!(tx, sqlx::query("delete from searchable where message_id = $1").bind(message.as_uuid()))?;
    Ok(())
}
