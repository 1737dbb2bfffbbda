//! What one change does to a room's messages, within the writer's transaction. Nothing is written before it is certain that the
//! change is not refused: the transaction is shared with others.

use super::{
    NewMessage,
    attachments::{release_attachments, take_attachments},
    messages::{Extra, MessageRow, message_row, set_thread, thread},
    modlog::insert_entry,
    polls::{check_choices, choices_of, recount, set_vote},
    pool::{Tx, execute, on_tx},
    reactions::{check_kinds, count, reacts, set_counts, set_reaction},
    streams::empty_events,
    versions::{insert_version, version_of},
    writer::{Change, EditOf},
};
use crate::domain::{
    Deed, Event, Fact, LogEntry, Message, MessageId, Refusal, RoomId, Time, UserId,
    message::{ContentType, Thread},
};

/// Pinned messages of one room: as many as somebody looks through.
pub const PINS: u32 = 50;

/// What a change comes to.
pub(super) enum Applied {
    /// It happened, and something with it.
    Happened(Fact, Option<Box<Fact>>),
    /// It was so already.
    Already(Option<Box<Message>>),
    /// It is not to be.
    Refused(Refusal),
}

impl Applied {
    fn fact(fact: Fact) -> Result<Self, sqlx::Error> {
        Ok(Self::Happened(fact, None))
    }

    fn refused(refusal: Refusal) -> Result<Self, sqlx::Error> {
        Ok(Self::Refused(refusal))
    }
}

/// Any change but a new message. A message that is changed here was stored by an earlier batch: nobody knows its id before.
/// `batch` holds the events of this transaction that are not stored yet; `offset` is the one that the change will have.
pub(super) async fn apply(
    tx: &mut Tx,
    room: RoomId,
    change: &Change,
    batch: &mut [Event],
    offset: u64,
) -> Result<Applied, sqlx::Error> {
    let id = match change {
        Change::Send(_) => unreachable!("messages are taken together"),
        Change::Role { user, role } => {
            return super::members::set_role(tx, room, *user, *role).await.map(|known| match known {
                true => Applied::Happened(Fact::MemberRole { user: *user, role: *role }, None),
                false => Applied::Refused(Refusal::NotFound),
            });
        }
        Change::House(change) => {
            return super::house::apply(tx, room, change).await.map(|done| match done {
                Ok(fact) => Applied::Happened(fact, None),
                Err(refusal) => Applied::Refused(refusal),
            });
        }
        Change::Edit(EditOf { message, .. })
        | Change::Delete { message, .. }
        | Change::React { message, .. }
        | Change::Pin { message, .. }
        | Change::Vote { message, .. }
        | Change::Lock { message, .. } => *message,
    };
    let Some(row) = message_row(tx, room, id).await? else { return Applied::refused(Refusal::NotFound) };
    if let Change::Delete { by, anybodys, erase, .. } = change {
        return delete(tx, row, *by, *anybodys, *erase, batch).await;
    }
    if row.deleted_at.is_some() {
        return Applied::refused(Refusal::NotFound);
    }
    match change {
        Change::Edit(edit_of) => edit(tx, row, edit_of).await,
        Change::React { user, emoji, on, .. } => react(tx, row.into(), *user, emoji, *on, offset).await,
        Change::Pin { by, pinned, .. } => pin(tx, row.into(), *by, *pinned).await,
        Change::Vote { user, choices, .. } => vote(tx, row.into(), *user, choices).await,
        Change::Lock { locked, .. } => lock(tx, row.into(), *locked).await,
        Change::Send(_) | Change::Delete { .. } | Change::Role { .. } | Change::House(_) => {
            unreachable!("they are taken above")
        }
    }
}

/// What a new message does beside being stored: it takes its files, and its thread goes on. `Err` within: it is refused.
pub(super) async fn admit(tx: &mut Tx, new: &mut NewMessage) -> Result<Result<Option<Fact>, Refusal>, sqlx::Error> {
    let mut root = None;
    if let Some(id) = new.content.thread_id {
        let found: Option<Message> = message_row(tx, new.room, id).await?.map(Message::from);
        match open_thread(found, new) {
            Ok(found) => root = Some(found),
            Err(refusal) => return Ok(Err(refusal)),
        }
    }
    if !new.files.is_empty() {
        match take_attachments(tx, &new.files, new.sender.id, new.room, new.id).await? {
            Some(attachments) => new.content.attachments = attachments,
            None => {
                give_back(tx, new.id).await?;
                let why = "A file that comes with a message is your own, has been looked at, and comes with no other.";
                return Ok(Err(Refusal::bad_request("content.attachments", why)));
            }
        }
    }
    let Some(root) = root else { return Ok(Ok(None)) };
    let thread = continued(root.thread, new.at);
    set_thread(tx, root.id, &thread).await?;
    Ok(Ok(Some(Fact::ThreadChanged { message: root.id, thread: Some(thread) })))
}

/// The message with which a thread begins, if the new one may go into it.
pub(super) fn open_thread(root: Option<Message>, new: &NewMessage) -> Result<Message, Refusal> {
    let root = root.filter(|root| !root.deleted && root.content.thread_id.is_none());
    let Some(root) = root else {
        return Err(Refusal::bad_request("content.threadId", "No thread can begin with that message."));
    };
    if root.thread.is_some_and(|thread| thread.locked) && !new.opens_locks {
        return Err(Refusal::ThreadLocked);
    }
    Ok(root)
}

/// A thread with one reply more.
pub(super) fn continued(thread: Option<Thread>, at: Time) -> Thread {
    let thread = thread.unwrap_or(Thread { replies: 0, last_reply_at: None, locked: false });
    Thread { replies: thread.replies + 1, last_reply_at: thread.last_reply_at.max(Some(at)), ..thread }
}

/// Nobody took these files after all.
async fn give_back(tx: &mut Tx, message: MessageId) -> Result<(), sqlx::Error> {
    const SQL: &str = "update attachments set room_id = null, message_id = null, place = 0 where message_id = $1";
    execute!(tx, sqlx::query(SQL).bind(message.as_uuid()))?;
    Ok(())
}

/// Refuses an edit of what is not one's own words. `false`: it says so already.
pub(super) fn is_edit(message: &Message, edit: &EditOf) -> Result<bool, Refusal> {
    if message.deleted || message.sender.id != edit.by || message.content.kind == ContentType::System {
        return Err(Refusal::NotFound);
    }
    if message.content.forwarded_from.is_some() {
        return Err(Refusal::bad_request("messageId", "What somebody else has said stays as they said it."));
    }
    let is_bare = message.content.poll.is_none() && message.content.attachments.is_empty();
    if edit.text.trim().is_empty() && is_bare {
        return Err(Refusal::MessageEmpty);
    }
    let differs = message.content.text != edit.text || message.content.mentions != edit.mentions;
    if differs && edit.seen.is_some_and(|seen| seen != message.edited_at) {
        return Err(Refusal::Outdated);
    }
    Ok(differs)
}

async fn edit(tx: &mut Tx, row: MessageRow, edit: &EditOf) -> Result<Applied, sqlx::Error> {
    const SQL: &str = "update messages set text = $2, extra = $3, edited_at = $4 where id = $1";
    let mut message = Message::from(row);
    match is_edit(&message, edit) {
        Ok(true) => {}
        Ok(false) => return Ok(Applied::Already(Some(Box::new(message)))),
        Err(refusal) => return Applied::refused(refusal),
    }
    insert_version(tx, message.id, &version_of(&message)).await?;
    revise(&mut message, edit);
    let content = message.content.clone();
    let extra = Extra {
        attachments: content.attachments,
        mentions: content.mentions,
        hashtags: content.hashtags,
        forwarded_from: content.forwarded_from,
        system: content.system,
    };
    execute!(
        tx,
        sqlx::query(SQL)
            .bind(message.id.as_uuid())
            .bind(&message.content.text)
            .bind(extra.stored())
            .bind(message.edited_at.map(Time::as_ms))
    )?;
    Applied::fact(Fact::MessageEdited(Box::new(message)))
}

/// Lets a message say something else from now on.
pub(super) fn revise(message: &mut Message, edit: &EditOf) {
    message.content.text.clone_from(&edit.text);
    message.content.mentions.clone_from(&edit.mentions);
    message.content.hashtags.clone_from(&edit.hashtags);
    // Two changes never are of one moment: by it they are told apart.
    let later = message.edited_at.map_or(i64::MIN, |before| before.as_ms() + 1);
    message.edited_at = Some(Time::from_ms(Time::now().as_ms().max(later)));
}

/// Marks a message as deleted. What it said stays for those who have to judge it, and is served to nobody else; unless its time was
/// over, which its author has settled beforehand: then it is gone.
async fn delete(
    tx: &mut Tx,
    row: MessageRow,
    by: UserId,
    anybodys: bool,
    erase: bool,
    batch: &mut [Event],
) -> Result<Applied, sqlx::Error> {
    const DELETE: &str =
        "update messages set deleted_at = $2, deleted_by = $3, reactions = null, pinned_at = null where id = $1";
    let sender = UserId::from_uuid(row.sender_id);
    let is_own = sender == by && !row.is_system();
    if !anybodys && !is_own {
        return Applied::refused(Refusal::NotFound);
    }
    if row.deleted_at.is_some() {
        if erase {
            forget(tx, MessageId::from_uuid(row.id)).await?;
        }
        return Ok(Applied::Already(None));
    }
    let emptied = Message::from(row).emptied();
    let (id, room, now) = (emptied.id, emptied.room_id, Time::now());
    execute!(tx, sqlx::query(DELETE).bind(id.as_uuid()).bind(now.as_ms()).bind(by.as_uuid()))?;
    for sql in ["delete from reactions where message_id = $1", "delete from poll_votes where message_id = $1"] {
        execute!(tx, sqlx::query(sql).bind(id.as_uuid()))?;
    }
    if erase {
        forget(tx, id).await?;
    } else if sender != by {
        let entry = LogEntry::by(by, Deed::DeleteMessage).about(sender).because(format!("message {id}"));
        insert_entry(tx, &LogEntry { room: Some(room), ..entry }).await?;
    }
    release_attachments(tx, id).await?;
    empty_events(tx, &emptied).await?;
    for event in batch {
        if let Fact::MessageEdited(edited) = &mut event.fact
            && edited.id == id
        {
            edited.as_mut().clone_from(&emptied);
        }
    }
    let mut shortened = None;
    if let Some(root) = emptied.content.thread_id {
        shortened = shorten(tx, room, root).await?;
    }
    Ok(Applied::Happened(Fact::MessageDeleted { message: id, by }, shortened.map(Box::new)))
}

/// Keeps nothing of what a deleted message has said.
async fn forget(tx: &mut Tx, id: MessageId) -> Result<(), sqlx::Error> {
    const ERASE: &str = "update messages set text = '', extra = null, poll = null where id = $1";
    const VERSIONS: &str = "delete from message_versions where message_id = $1";
    execute!(tx, sqlx::query(ERASE).bind(id.as_uuid()))?;
    execute!(tx, sqlx::query(VERSIONS).bind(id.as_uuid()))?;
    Ok(())
}

/// A thread has one reply less.
async fn shorten(tx: &mut Tx, room: RoomId, root: MessageId) -> Result<Option<Fact>, sqlx::Error> {
    let found: Option<Message> = message_row(tx, room, root).await?.map(Message::from);
    let Some(thread) = found.and_then(|root| root.thread) else { return Ok(None) };
    let thread = Thread { replies: thread.replies.saturating_sub(1), ..thread };
    set_thread(tx, root, &thread).await?;
    Ok(Some(Fact::ThreadChanged { message: root, thread: Some(thread) }))
}

async fn react(
    tx: &mut Tx,
    mut message: Message,
    user: UserId,
    emoji: &str,
    on: bool,
    offset: u64,
) -> Result<Applied, sqlx::Error> {
    if reacts(tx, message.id, user, emoji).await? == on {
        return Ok(Applied::Already(None));
    }
    if on && let Err(refusal) = check_kinds(&message.reactions, emoji) {
        return Applied::refused(refusal);
    }
    set_reaction(tx, message.id, user, emoji, on, offset).await?;
    let count = count(&mut message.reactions, emoji, on);
    set_counts(tx, message.id, &message.reactions).await?;
    let emoji = emoji.to_owned();
    Applied::fact(Fact::MessageReacted { message: message.id, emoji, user, added: on, count })
}

async fn pin(tx: &mut Tx, message: Message, by: UserId, pinned: bool) -> Result<Applied, sqlx::Error> {
    const SQL: &str = "update messages set pinned_at = $2 where id = $1";
    const COUNT: &str = "select count(*) from messages where room_id = $1 and pinned_at is not null";
    if message.pinned_at.is_some() == pinned {
        return Ok(Applied::Already(None));
    }
    if pinned {
        let count: i64 = on_tx!(tx, db => sqlx::query_scalar(COUNT).bind(message.room_id.as_uuid()).fetch_one(db))?;
        if count >= i64::from(PINS) {
            return Applied::refused(too_many_pins());
        }
    }
    let pinned_at = pinned.then(Time::now);
    execute!(tx, sqlx::query(SQL).bind(message.id.as_uuid()).bind(pinned_at.map(Time::as_ms)))?;
    Applied::fact(Fact::MessagePinned { message: message.id, pinned_at, by })
}

pub(super) fn too_many_pins() -> Refusal {
    Refusal::TooMany { what: "pinned messages in this room", limit: PINS }
}

async fn vote(tx: &mut Tx, message: Message, user: UserId, choices: &[u32]) -> Result<Applied, sqlx::Error> {
    let choices = match check_choices(&message.content, choices, Time::now()) {
        Ok(choices) => choices,
        Err(refusal) => return Applied::refused(refusal),
    };
    let before = choices_of(tx, message.id, user).await?;
    let Some(mut poll) = message.content.poll.filter(|_| before != choices) else { return Ok(Applied::Already(None)) };
    recount(&mut poll, &before, &choices);
    set_vote(tx, message.id, user, &choices, &poll).await?;
    let votes = poll.options.iter().map(|option| option.votes).collect();
    Applied::fact(Fact::PollVoted { message: message.id, votes, voters: poll.voters })
}

/// Whether a thread can be locked or unlocked, and how it is then. The outer `None`: it is so already.
pub(super) fn locked(message: &Message, locked: bool) -> Result<Option<(Thread, Option<Thread>)>, Refusal> {
    if message.content.thread_id.is_some() {
        return Err(Refusal::bad_request("messageId", "No thread begins with that message."));
    }
    let now = message.thread.unwrap_or(Thread { replies: 0, last_reply_at: None, locked: false });
    if now.locked == locked {
        return Ok(None);
    }
    let Thread { replies, last_reply_at, .. } = now;
    Ok(Some((Thread { locked, ..now }, thread(replies, last_reply_at, locked))))
}

async fn lock(tx: &mut Tx, message: Message, locks: bool) -> Result<Applied, sqlx::Error> {
    let (kept, shown) = match locked(&message, locks) {
        Ok(Some(it)) => it,
        Ok(None) => return Ok(Applied::Already(None)),
        Err(refusal) => return Applied::refused(refusal),
    };
    set_thread(tx, message.id, &kept).await?;
    Applied::fact(Fact::ThreadChanged { message: message.id, thread: shown })
}
