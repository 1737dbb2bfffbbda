//! The one writer of room streams: whatever waits is committed together.
//!
//! While one transaction waits for the disk, the next ones queue up and then go as one: alone, a message waits for nobody;
//! under load, hundreds share one commit. A row that the database refuses fails alone: its batch is repeated one by one.

use std::collections::{BTreeSet, HashMap};
use std::time::{Duration, Instant};

use tokio::sync::{mpsc, oneshot};

use super::{
    NewMessage, Store,
    changes::{Applied, admit, apply},
    house::HouseChange,
    messages::{insert_messages, known_messages},
    pool::{Pool, Tx},
    streams::{advance_streams, insert_events, is_stored, lock_streams},
    subjects::insert_subjects,
    users::count_messages,
};
use crate::domain::{
    Event, Fact, Message, MessageId, Origin, Position, Refusal, Role, RoomId, Time, UserId, attachment::Attachment,
    message::Mentions,
};
use crate::metrics::{COMMIT_ROWS, COMMIT_SECONDS, MESSAGES};

/// Changes that may wait for the writer. Whoever comes when it is full waits with their request.
const QUEUE: usize = 4_096;
/// Changes that one transaction takes: enough to share a commit, few enough to keep it short (and far below the 32,766
/// parameters that SQLite allows in one statement).
const BATCH: usize = 256;
/// How often it is looked for a commit whose answer was lost …
const LOOKS: u32 = 60;
/// … and how long between.
const LOOK_EVERY: Duration = Duration::from_millis(500);
/// Committed events that may wait for the bus. The writer waits when it is full.
pub(super) const COMMITTED: usize = 4_096;

/// What became of a change.
#[derive(Clone, Debug, PartialEq)]
pub enum Committed {
    /// It is stored and has its place; everybody in the room is told. A new message has taken these files.
    Fresh(Position, Vec<Attachment>),
    /// It was so already; nobody is told.
    Already(Option<Box<Message>>),
}

/// The answer of the writer.
pub type Written = Result<Committed, Refusal>;

/// A change of a room's stream.
#[derive(Clone, Debug)]
pub(super) enum Change {
    Send(Box<NewMessage>),
    Edit(EditOf),
    Delete { message: MessageId, by: UserId, anybodys: bool, erase: bool },
    React { message: MessageId, user: UserId, emoji: String, on: bool },
    Pin { message: MessageId, by: UserId, pinned: bool },
    Vote { message: MessageId, user: UserId, choices: Vec<u32> },
    Lock { message: MessageId, locked: bool },
    Role { user: UserId, role: Role },
    House(HouseChange),
}

/// What somebody wants a message of theirs to say from now on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EditOf {
    /// Which.
    pub message: MessageId,
    /// Who wants it.
    pub by: UserId,
    /// What it is to say.
    pub text: String,
    /// Whom it is to call.
    pub mentions: Mentions,
    /// The hashtags of the text.
    pub hashtags: Vec<String>,
    /// When it was changed last, as they saw it; `None`: whenever that was.
    pub seen: Option<Option<Time>>,
}

struct Job {
    room: RoomId,
    origin: Option<Origin>,
    change: Change,
    reply: oneshot::Sender<Written>,
}

enum Order {
    Write(Job),
    Stop(oneshot::Sender<()>),
}

/// The way to the writer.
#[derive(Clone)]
pub(super) struct Writer(mpsc::Sender<Order>);

impl Writer {
    /// What it commits it gives to `committed`.
    pub(super) fn start(pool: Pool, committed: mpsc::Sender<Event>) -> Self {
        let (orders, inbox) = mpsc::channel(QUEUE);
        tokio::spawn(run(pool, inbox, committed));
        Self(orders)
    }

    /// Returns once all that was queued before is written.
    pub(super) async fn stop(&self) {
        let (done, wait) = oneshot::channel();
        if self.0.send(Order::Stop(done)).await.is_ok() {
            // An error says that the writer is gone, which is what we want.
            let _ = wait.await;
        }
    }

    async fn write(&self, room: RoomId, origin: Option<Origin>, change: Change) -> Written {
        self.queue(room, origin, change).await.await.unwrap_or_else(|_| {
            // It is gone, and the change with it.
            Err(Refusal::Internal("the writer has stopped".to_owned()))
        })
    }

    /// Puts a change behind all that wait; what comes of it.
    async fn queue(&self, room: RoomId, origin: Option<Origin>, change: Change) -> oneshot::Receiver<Written> {
        let (reply, answer) = oneshot::channel();
        // A writer that is gone drops it, which its answer says.
        let _ = self.0.send(Order::Write(Job { room, origin, change, reply })).await;
        answer
    }
}

impl Store {
    /// Stores a message. The same room, sender and client id again: the same content gives [`Committed::Already`].
    ///
    /// # Errors
    /// `conflict` (other content), `not_found` (no such room), `internal`.
    pub async fn send_message(&self, message: NewMessage, origin: Option<Origin>) -> Written {
        self.change(message.room, origin, Change::Send(Box::new(message))).await
    }

    /// Stores messages of rooms that are kept in the database, in their order; what came of each.
    pub async fn send_messages(&self, messages: Vec<NewMessage>) -> Vec<Written> {
        let mut answers = Vec::with_capacity(messages.len());
        for message in messages {
            answers.push(self.writer.queue(message.room, None, Change::Send(Box::new(message))).await);
        }
        let mut written = Vec::with_capacity(answers.len());
        for answer in answers {
            let gone = |_| Err(Refusal::Internal("the writer has stopped".to_owned()));
            written.push(answer.await.unwrap_or_else(gone));
        }
        written
    }

    /// Gives a message another text, for its author. What it says already is [`Committed::Already`].
    ///
    /// # Errors
    /// `not_found` (no such message, deleted, or somebody else's), `bad_request` (forwarded), `message_empty`, `internal`.
    pub async fn edit_message(&self, room: RoomId, edit: EditOf, origin: Option<Origin>) -> Written {
        self.change(room, origin, Change::Edit(edit)).await
    }

    /// Deletes a message: its author's own, or, with `anybodys`, whosever it is. Taking somebody else's away is written into the
    /// moderation log.
    ///
    /// # Errors
    /// `not_found` (no such message, or somebody else's), `internal`.
    pub async fn delete_message(
        &self,
        room: RoomId,
        message: MessageId,
        by: UserId,
        anybodys: bool,
        origin: Option<Origin>,
    ) -> Written {
        self.change(room, origin, Change::Delete { message, by, anybodys, erase: false }).await
    }

    /// Deletes a message whose time is over, and keeps nothing of it.
    ///
    /// # Errors
    /// `not_found`, `internal`.
    pub async fn expire_message(&self, room: RoomId, message: MessageId, sender: UserId) -> Written {
        self.change(room, None, Change::Delete { message, by: sender, anybodys: true, erase: true }).await
    }

    /// Keeps a reaction, or takes it back.
    ///
    /// # Errors
    /// `not_found` (no such message, or deleted), `too_many`, `internal`.
    pub async fn react(
        &self,
        room: RoomId,
        message: MessageId,
        user: UserId,
        emoji: String,
        on: bool,
        origin: Option<Origin>,
    ) -> Written {
        self.change(room, origin, Change::React { message, user, emoji, on }).await
    }

    /// Pins a message, or no more.
    ///
    /// # Errors
    /// `not_found` (no such message, or deleted), `too_many`, `internal`.
    pub async fn pin(
        &self,
        room: RoomId,
        message: MessageId,
        by: UserId,
        pinned: bool,
        origin: Option<Origin>,
    ) -> Written {
        self.change(room, origin, Change::Pin { message, by, pinned }).await
    }

    /// Keeps what somebody chooses in a poll, in the place of what they chose before.
    ///
    /// # Errors
    /// `not_found` (no such message, or deleted), `bad_request`, `conflict` (closed), `internal`.
    pub async fn vote(
        &self,
        room: RoomId,
        message: MessageId,
        user: UserId,
        choices: Vec<u32>,
        origin: Option<Origin>,
    ) -> Written {
        self.change(room, origin, Change::Vote { message, user, choices }).await
    }

    /// Locks the thread that begins with a message, or unlocks it.
    ///
    /// # Errors
    /// `not_found` (no such message, or deleted), `bad_request` (it is within a thread), `internal`.
    pub async fn lock_thread(&self, room: RoomId, message: MessageId, locked: bool, origin: Option<Origin>) -> Written {
        self.change(room, origin, Change::Lock { message, locked }).await
    }

    /// Gives a member of a room a role.
    ///
    /// # Errors
    /// `not_found` (no such member), `internal`.
    pub async fn set_member_role(&self, room: RoomId, user: UserId, role: Role, origin: Option<Origin>) -> Written {
        self.change(room, origin, Change::Role { user, role }).await
    }

    /// By the memory, for rooms whose stream is there; by the writer otherwise.
    pub(super) async fn change(&self, room: RoomId, origin: Option<Origin>, change: Change) -> Written {
        match self.memory.change(room, origin.as_ref(), &change).await {
            Some(written) => written,
            None => self.writer.write(room, origin, change).await,
        }
    }
}

async fn run(pool: Pool, mut inbox: mpsc::Receiver<Order>, committed: mpsc::Sender<Event>) {
    let mut orders = Vec::with_capacity(BATCH);
    while inbox.recv_many(&mut orders, BATCH).await > 0 {
        let (mut jobs, mut stop) = (Vec::new(), None);
        for order in orders.drain(..) {
            match order {
                Order::Write(job) => jobs.push(job),
                Order::Stop(done) => stop = Some(done),
            }
        }
        write_batch(&pool, jobs, &committed).await;
        if let Some(done) = stop {
            // Nobody waits any more: nothing to tell.
            let _ = done.send(());
            return;
        }
    }
}

/// Commits the jobs together or, if the database refuses that, one by one.
async fn write_batch(pool: &Pool, jobs: Vec<Job>, committed: &mpsc::Sender<Event>) {
    if jobs.is_empty() {
        return;
    }
    let started = Instant::now();
    match commit(pool, &jobs).await {
        Ok(batch) => {
            metrics::histogram!(COMMIT_ROWS).record(batch.events.len() as f64);
            metrics::histogram!(COMMIT_SECONDS).record(started.elapsed().as_secs_f64());
            finish(jobs, batch, committed).await;
        }
        Err(Failure::Refused(error)) if jobs.len() > 1 || is_circle(&error) => {
            tracing::warn!(%error, jobs = jobs.len(), "a batch failed; repeating its changes one by one");
            for job in jobs {
                Box::pin(write_batch(pool, vec![job], committed)).await;
            }
        }
        Err(Failure::Refused(error) | Failure::Unreached(error)) => {
            let refusal = Refusal::Internal(format!("the database did not take a change: {error}"));
            let answers = jobs.iter().map(|_| Err(refusal.clone())).collect();
            finish(jobs, Batch { answers, events: Vec::new() }, committed).await;
        }
        Err(Failure::Unknown(error, batch)) => settle(pool, jobs, batch, &error, committed).await,
    }
}

/// Whether PostgreSQL has ended this one of those who waited for each other (40P01): the others go on, and then it is our turn.
fn is_circle(error: &sqlx::Error) -> bool {
    error.as_database_error().and_then(|error| error.code()).is_some_and(|code| code == "40P01")
}

/// The connection broke while the commit was under way. Those who asked are told that it failed (asking again is safe), and
/// once the database answers again, what it did commit is told to the rooms: nothing else would ever tell it.
async fn settle(pool: &Pool, jobs: Vec<Job>, batch: Batch, error: &sqlx::Error, committed: &mpsc::Sender<Event>) {
    tracing::warn!(%error, "the answer to a commit was lost; looking whether it took place");
    let refusal = Refusal::Internal("the answer of the database was lost".to_owned());
    for job in jobs {
        // Whoever asked may have gone.
        let _ = job.reply.send(Err(refusal.clone()));
    }
    let Some(event) = batch.events.first() else { return };
    for _ in 0..LOOKS {
        match is_stored(pool, event).await {
            Ok(true) => return finish(Vec::new(), Batch { answers: Vec::new(), ..batch }, committed).await,
            Ok(false) => return,
            Err(error) => tracing::warn!(%error, "the database still does not answer"),
        }
        tokio::time::sleep(LOOK_EVERY).await;
    }
    // The next event of each room shows a gap, and clients that see one join again with their position.
    tracing::error!(events = batch.events.len(), "whether these events are stored could not be found out");
}

/// Tells the bus first, then those who asked: an answer says that the event is on its way.
async fn finish(jobs: Vec<Job>, batch: Batch, committed: &mpsc::Sender<Event>) {
    for event in batch.events {
        if matches!(event.fact, Fact::MessageSent(_)) {
            metrics::counter!(MESSAGES).increment(1);
        }
        // Without a receiver (a tool that only writes) there is nobody to tell.
        let _ = committed.send(event).await;
    }
    for (job, answer) in jobs.into_iter().zip(batch.answers) {
        // Whoever asked may have gone; what they asked for is done all the same.
        let _ = job.reply.send(answer);
    }
}

/// What a transaction brought: an answer per job, and the events in the order of their offsets.
struct Batch {
    answers: Vec<Written>,
    events: Vec<Event>,
}

/// Why a transaction did not do what it should.
enum Failure {
    /// The database said no.
    Refused(sqlx::Error),
    /// The database could not be asked; nothing has happened.
    Unreached(sqlx::Error),
    /// Everything was said, and nobody knows whether the last word was heard.
    Unknown(sqlx::Error, Batch),
}

impl From<sqlx::Error> for Failure {
    fn from(error: sqlx::Error) -> Self {
        if matches!(error, sqlx::Error::Database(_)) { Self::Refused(error) } else { Self::Unreached(error) }
    }
}

async fn commit(pool: &Pool, jobs: &[Job]) -> Result<Batch, Failure> {
    let mut tx = pool.begin().await?;
    let batch = apply_all(&mut tx, jobs).await?;
    match tx.commit().await {
        Ok(()) => Ok(batch),
        Err(error @ sqlx::Error::Database(_)) => Err(Failure::Refused(error)),
        Err(error) => Err(Failure::Unknown(error, batch)),
    }
}

async fn apply_all(tx: &mut Tx, jobs: &[Job]) -> Result<Batch, sqlx::Error> {
    let mut streams = lock_streams(tx, &jobs.iter().map(|job| job.room).collect()).await?;
    let mut sends = Sends::of(tx, jobs).await?;
    let (mut answers, mut events) = (Vec::with_capacity(jobs.len()), Vec::<Event>::with_capacity(jobs.len()));
    for job in jobs {
        let Some(last) = streams.get_mut(&job.room) else {
            answers.push(Err(Refusal::NotFound));
            continue;
        };
        let applied = match &job.change {
            Change::Send(new) => sends.take(tx, new, last.offset + 1).await?,
            other => apply(tx, job.room, other, &mut events, last.offset + 1).await?,
        };
        let (fact, and) = match applied {
            Applied::Happened(fact, and) => (fact, and.map(|it| *it)),
            Applied::Already(message) => {
                answers.push(Ok(Committed::Already(message)));
                continue;
            }
            Applied::Refused(refusal) => {
                answers.push(Err(refusal));
                continue;
            }
        };
        // The answer is the place of what was asked for; what came of it follows.
        let taken = match &fact {
            Fact::MessageSent(message) => message.content.attachments.clone(),
            _ => Vec::new(),
        };
        answers.push(Ok(Committed::Fresh(Position { offset: last.offset + 1, ..*last }, taken)));
        let origins = [job.origin.clone(), None];
        for (fact, origin) in [Some(fact), and].into_iter().flatten().zip(origins) {
            last.offset += 1;
            let position = Some(*last);
            events.push(Event { position, origin, ..Event::ephemeral(job.room, fact) });
        }
    }
    insert_messages(tx, &sends.new).await?;
    insert_subjects(tx, &sends.new).await?;
    count_messages(tx, &sends.new).await?;
    insert_events(tx, &events).await?;
    super::search::follow(tx, &events).await?;
    let told: BTreeSet<RoomId> = events.iter().map(|event| event.room).collect();
    streams.retain(|room, _| told.contains(room));
    advance_streams(tx, &streams).await?;
    Ok(Batch { answers, events })
}

/// The messages of a batch: which are new, and which were sent before.
struct Sends {
    known: HashMap<(RoomId, UserId, String), (Vec<u8>, Message)>,
    new: Vec<(NewMessage, i64)>,
}

impl Sends {
    async fn of(tx: &mut Tx, jobs: &[Job]) -> Result<Self, sqlx::Error> {
        let sends = jobs.iter().filter_map(|job| match &job.change {
            Change::Send(new) => Some(new.as_ref()),
            _ => None,
        });
        let rows = known_messages(tx, &sends.collect::<Vec<_>>()).await?;
        let known = rows.into_iter().map(|row| {
            let hash = row.content_hash.clone();
            let message = Message::from(row);
            ((message.room_id, message.sender.id, message.client_id.clone()), (hash, message))
        });
        Ok(Self { known: known.collect(), new: Vec::new() })
    }

    async fn take(&mut self, tx: &mut Tx, new: &NewMessage, offset: u64) -> Result<Applied, sqlx::Error> {
        let key = (new.room, new.sender.id, new.client_id.clone());
        match self.known.get(&key) {
            Some((hash, message)) if *hash == new.content_hash() => {
                return Ok(Applied::Already(Some(Box::new(message.clone()))));
            }
            Some(_) => return Ok(Applied::Refused(Refusal::Conflict)),
            None => {}
        }
        let mut new = new.clone();
        let and = match admit(tx, &mut new).await? {
            Ok(and) => and,
            Err(refusal) => return Ok(Applied::Refused(refusal)),
        };
        let message = new.message();
        self.known.insert(key, (new.content_hash(), message.clone()));
        self.new.push((new, offset.cast_signed()));
        Ok(Applied::Happened(Fact::MessageSent(Box::new(message)), and.map(Box::new)))
    }
}
