//! Writing in rooms: permission, limit, form, store. What is stored comes back to everybody over the bus; the sender's own copy
//! is the acknowledgement.

mod content;
mod direct;
mod emoji;
mod expiry;
mod finding;
mod hashtags;
mod history;
mod marks;
mod retention;
mod text;
mod typing;
mod unread;

pub use finding::{Found, FoundPage, Order, SEARCH_LIMIT};
pub use unread::{Reading, UNREAD_LIMIT};

use std::sync::Arc;

use tokio::sync::Notify;

use crate::bus::Bus;
use crate::domain::{
    Action, Caller, Message, MessageId, Origin, Refusal, RoomId, Seat, Standing, Time, Visibility, can,
    message::{Author, Content, ContentType, Forward, ForwardedFrom, NewContent},
};
use crate::limit::{Limits, Rule};
use crate::store::{Committed, EditOf, Membership, NewMessage, RoomRecord, Store};

pub use crate::store::Stretch;

/// The longest name that a client may give a message, in characters.
const CLIENT_ID_LIMIT: usize = 64;
/// Messages that one page of history has at most.
pub const HISTORY_LIMIT: u32 = 100;
/// Messages that are deleted by one request at most.
pub const BULK_LIMIT: usize = 100;
/// How long a message that goes by itself may be there, in seconds: long enough to be read, at most a month.
const EXPIRY_S: std::ops::RangeInclusive<u32> = 5..=30 * 24 * 3600;

/// Writing in rooms. Clones share it.
#[derive(Clone)]
pub struct Chat(Arc<Inner>);

struct Inner {
    store: Store,
    bus: Bus,
    limits: Limits,
    /// Told of each message that goes by itself.
    expiring: Notify,
}

/// A message that somebody wants to send.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Draft {
    /// Their own name for it.
    pub client_id: String,
    /// What it says.
    pub content: NewContent,
    /// The message that it answers.
    pub reply_to: Option<MessageId>,
    /// The message that it says again, in the place of a content of its own.
    pub forward: Option<Forward>,
    /// After how many seconds it goes by itself.
    pub expires_in_s: Option<u32>,
}

/// What became of a draft.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Sent {
    /// It is stored; the sender gets it like everybody else, with the id of the request.
    Fresh(Box<Message>),
    /// It had been sent before; nobody else is told again.
    Again(Box<Message>),
}

/// What became of a change.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Done {
    /// It happens now; whoever asked is told like everybody else, with the id of the request.
    Now,
    /// It was so already.
    Already,
}

impl From<Committed> for Done {
    fn from(committed: Committed) -> Self {
        match committed {
            Committed::Fresh(..) => Self::Now,
            Committed::Already(_) => Self::Already,
        }
    }
}

impl Chat {
    /// Chat over this store and bus.
    pub fn new(store: Store, bus: Bus, limits: Limits) -> Self {
        Self(Arc::new(Inner { store, bus, limits, expiring: Notify::new() }))
    }

    /// Sends a message.
    ///
    /// # Errors
    /// `forbidden`, `muted`, `room_archived`, `trust_too_low`, `rate_limited`, `feature_off`, `bad_request` (`clientId`,
    /// `content…`, `replyTo`, `forward`, `expiresInS`), `message_empty`, `message_too_long`, `thread_locked`, `conflict`, `internal`.
    pub async fn send(&self, seat: &Seat, draft: Draft, request: Option<String>) -> Result<Sent, Refusal> {
        self.permit(seat, Action::SendMessage)?;
        let mut new = drafted(seat, draft.clone())?;
        if seat.kind.is_direct() {
            let is_plain = new.forward.is_none() && new.files.is_empty() && new.content.kind == ContentType::Text;
            self.permit_direct(seat, &new.client_id, is_plain).await?;
        }
        // What was sent before takes no turn of slow mode.
        let is_slowed = seat.rules.slow_mode_s > 0 && !seat.is_exempt();
        if (is_slowed || new.forward.is_some() || !new.files.is_empty())
            && let Some(message) = self.0.store.sent_before(&new).await?
        {
            return Ok(Sent::Again(Box::new(message)));
        }
        if let Some(target) = new.reply_to
            && self.0.store.message(seat.room, target).await?.is_none()
        {
            return Err(Refusal::bad_request("replyTo", "The message that this one answers is not in this room."));
        }
        if let Some(forward) = draft.forward {
            let thread_id = new.content.thread_id;
            new.content = Content { thread_id, ..self.said_again(seat, forward).await? };
        }
        self.0.limits.check_slow(seat)?;
        let (expires, mut fresh) = (new.expires_in_s.is_some(), Box::new(new.message()));
        let sent = match self.0.store.send_message(new, Some(origin(seat, request))).await? {
            Committed::Already(Some(message)) => Sent::Again(message),
            Committed::Already(None) => Sent::Fresh(fresh),
            Committed::Fresh(_, taken) => {
                fresh.content.attachments = taken;
                if seat.kind.is_direct() {
                    self.tell_direct(seat, &fresh).await;
                }
                Sent::Fresh(fresh)
            }
        };
        if expires {
            self.0.expiring.notify_one();
        }
        Ok(sent)
    }

    /// What somebody else has said elsewhere, to be said again.
    async fn said_again(&self, seat: &Seat, forward: Forward) -> Result<Content, Refusal> {
        let gone = || Refusal::bad_request("forward", "There is no such message, or it is not for you.");
        let caller = &seat.session.caller;
        self.reader(caller, forward.room_id).await.map_err(|refusal| match refusal {
            Refusal::Internal(_) => refusal,
            _ => gone(),
        })?;
        if self.0.store.is_in_memory(forward.room_id) {
            return Err(Refusal::bad_request("forward", "What is said in that room is kept nowhere."));
        }
        let said = self.0.store.message(forward.room_id, forward.message_id).await?;
        let said = said.filter(|said| !said.deleted && said.content.system.is_none()).ok_or_else(gone)?;
        if said.content.poll.is_some() || !said.content.attachments.is_empty() || said.expires_at.is_some() {
            return Err(Refusal::bad_request(
                "forward",
                "Only words can be forwarded, and not those that will be gone.",
            ));
        }
        let text = text::checked(&said.content.text, seat.kind)?;
        // What was forwarded before still comes from who said it first.
        let mut from = said.content.forwarded_from.unwrap_or(ForwardedFrom {
            sender: said.sender,
            created_at: said.created_at,
            room_id: Some(forward.room_id),
            message_id: Some(forward.message_id),
        });
        if let Some(room) = from.room_id
            && !self.may_be_named(room, seat).await?
        {
            (from.room_id, from.message_id) = (None, None);
        }
        let forwarded_from = Some(from);
        Ok(Content {
            kind: said.content.kind,
            hashtags: hashtags::of(&text),
            text,
            forwarded_from,
            ..Content::default()
        })
    }

    /// Whether those who read here may know of a room: it is this one, or open to all now.
    async fn may_be_named(&self, room: RoomId, seat: &Seat) -> Result<bool, Refusal> {
        if room == seat.room {
            return Ok(true);
        }
        let record = self.0.store.room(room).await?;
        Ok(record.is_some_and(|record| record.room.visibility == Visibility::Public))
    }

    /// Gives a message of one's own another text. [`Sent::Again`]: it says that already. `seen`: when it was changed last, as its
    /// author saw it; `None`: whenever that was.
    ///
    /// # Errors
    /// `forbidden` (also who may not write here now), `muted`, `room_archived`, `trust_too_low`, `rate_limited`, `bad_request`
    /// (`content…`, `messageId`: it was forwarded), `message_empty`, `message_too_long`, `thread_locked`, `not_found` (no such
    /// message, deleted, or somebody else's), `precondition_failed` (it was changed since it was seen), `internal`.
    pub async fn edit(
        &self,
        seat: &Seat,
        message: MessageId,
        new: NewContent,
        seen: Option<Option<Time>>,
        request: Option<String>,
    ) -> Result<Option<Message>, Refusal> {
        seat.permit(Action::SendMessage)?;
        self.permit(seat, Action::EditOwnMessage)?;
        self.check_pair(seat).await?;
        self.check_thread(seat, message).await?;
        // What has a poll or files may do without words; the store knows whether this one has.
        let is_blank = new.text.trim().is_empty();
        let text = if is_blank { String::new() } else { text::checked(&new.text, seat.kind)? };
        let mentions = content::called(new.mentions, seat)?;
        let edit = EditOf { message, by: seat.user().id, hashtags: hashtags::of(&text), text, mentions, seen };
        match self.0.store.edit_message(seat.room, edit, Some(origin(seat, request))).await? {
            Committed::Fresh(..) => Ok(None),
            Committed::Already(message) => Ok(message.map(|it| *it)),
        }
    }

    /// Refuses (`thread_locked`) to change what stands in a thread where nobody writes any more.
    async fn check_thread(&self, seat: &Seat, message: MessageId) -> Result<(), Refusal> {
        if seat.permit(Action::LockThread).is_ok() {
            return Ok(());
        }
        let said = self.0.store.message(seat.room, message).await?;
        let Some(root) = said.and_then(|said| said.content.thread_id) else { return Ok(()) };
        let root = self.0.store.message(seat.room, root).await?;
        let is_locked = root.and_then(|root| root.thread).is_some_and(|thread| thread.locked);
        if is_locked { Err(Refusal::ThreadLocked) } else { Ok(()) }
    }

    /// Takes a message back or, as a moderator, away.
    ///
    /// # Errors
    /// `forbidden`, `rate_limited`, `not_found` (no such message, or somebody else's), `internal`.
    pub async fn delete(&self, seat: &Seat, message: MessageId, request: Option<String>) -> Result<Done, Refusal> {
        self.permit(seat, Action::DeleteOwnMessage)?;
        let anybodys = seat.permit(Action::DeleteAnyMessage).is_ok();
        let origin = Some(origin(seat, request));
        self.0.store.delete_message(seat.room, message, seat.user().id, anybodys, origin).await.map(Done::from)
    }

    /// Takes many messages away, as a moderator; each is written into the moderation log. Gives those that were there.
    ///
    /// # Errors
    /// `forbidden`, `rate_limited`, `bad_request` (`messageIds`), `internal`.
    pub async fn delete_many(&self, seat: &Seat, messages: Vec<MessageId>) -> Result<Vec<MessageId>, Refusal> {
        self.permit(seat, Action::DeleteAnyMessage)?;
        if !(1..=BULK_LIMIT).contains(&messages.len()) {
            let why = format!("1 to {BULK_LIMIT} messages are deleted at once.");
            return Err(Refusal::bad_request("messageIds", why));
        }
        let mut gone = Vec::with_capacity(messages.len());
        for message in messages {
            let origin = Some(origin(seat, None));
            match self.0.store.delete_message(seat.room, message, seat.user().id, true, origin).await {
                Ok(Committed::Fresh(..)) => gone.push(message),
                Ok(Committed::Already(_)) | Err(Refusal::NotFound) => {}
                Err(refusal) => return Err(refusal),
            }
        }
        Ok(gone)
    }

    /// The room, if somebody may read what was written there.
    async fn reader(&self, caller: &Caller, room: RoomId) -> Result<RoomRecord, Refusal> {
        let record = self.0.store.room(room).await?.ok_or(Refusal::NotFound)?;
        let role = match self.0.store.membership(room, caller.user.id).await? {
            Membership::Removed => return Err(Refusal::Removed),
            Membership::Member(role) => Some(role),
            Membership::None => None,
        };
        if !can(Standing { room: role, ..caller.standing() }, Action::ReadHistory) {
            let hidden = record.room.visibility == Visibility::Private
                || self.0.store.cluster_of_room(room).await?.is_none_or(|cluster| cluster != caller.cluster.id);
            return Err(if hidden { Refusal::NotFound } else { Refusal::NotInRoom });
        }
        // Members are of the room's cluster.
        caller.cluster.admit(
            caller.user.role,
            &caller.cluster.id,
            record.room.kind,
            record.room.settings.content_level,
        )?;
        if self.0.store.is_too_young(&record.room, &caller.user).await? {
            return Err(Refusal::AgeUnverified);
        }
        Ok(record)
    }

    /// Permission first, then the limit.
    fn permit(&self, seat: &Seat, action: Action) -> Result<(), Refusal> {
        seat.permit(action)?;
        self.0.limits.check(Rule::of_message(seat), &seat.session.caller)
    }
}

/// A draft as it would be stored; what it says again is still to be found.
fn drafted(seat: &Seat, draft: Draft) -> Result<NewMessage, Refusal> {
    let Draft { client_id, content: new, reply_to, forward, expires_in_s } = draft;
    // A name with a colon in front of it is the server's own.
    let is_name = (1..=CLIENT_ID_LIMIT).contains(&client_id.chars().count()) && !client_id.contains('\0');
    if !is_name || client_id.starts_with("system:") {
        return Err(Refusal::bad_request("clientId", "A message's own name has 1 to 64 characters."));
    }
    if expires_in_s.is_some_and(|seconds| !EXPIRY_S.contains(&seconds)) {
        let why = format!("A message goes by itself after {} to {} seconds.", EXPIRY_S.start(), EXPIRY_S.end());
        return Err(Refusal::bad_request("expiresInS", why));
    }
    let (content, files) = match forward {
        None => content::checked(new, seat)?,
        Some(_) => {
            let NewContent { thread_id, .. } = new;
            if new != (NewContent { thread_id, ..NewContent::default() }) {
                return Err(Refusal::bad_request("content", "A forwarded message has no other content than its own."));
            }
            (Content { thread_id, ..Content::default() }, Vec::new())
        }
    };
    let user = seat.user();
    let sender = Author { id: user.id, nickname: user.nickname.clone() };
    Ok(NewMessage {
        id: MessageId::new(),
        room: seat.room,
        sender,
        client_id,
        content,
        reply_to,
        files,
        forward: forward.map(|it| it.message_id),
        expires_in_s,
        opens_locks: seat.permit(Action::LockThread).is_ok(),
        at: Time::now(),
    })
}

fn origin(seat: &Seat, request: Option<String>) -> Origin {
    Origin { session: seat.session.id, request }
}
