//! Writing in rooms: permission, limit, form, store. What is stored comes back to everybody over the bus; the sender's own copy
//! is the acknowledgement.

mod text;

use std::sync::Arc;

use crate::bus::Bus;
use crate::domain::{
    Action, Caller, Event, Fact, Message, MessageId, Origin, Refusal, RoomId, RoomKind, Seat, Standing, Time,
    Visibility, can, message::Author, user::Trust,
};
use crate::limit::{Limits, Rule};
use crate::store::{Committed, Membership, NewMessage, Store};

/// The longest name that a client may give a message, in characters.
const CLIENT_ID_LIMIT: usize = 64;
/// Messages that one page of history has at most.
pub const HISTORY_LIMIT: u32 = 100;
/// With more people than this nobody is told who types.
const TYPING_LIMIT: u32 = 100;

/// Writing in rooms. Clones share it.
#[derive(Clone)]
pub struct Chat(Arc<Inner>);

struct Inner {
    store: Store,
    bus: Bus,
    limits: Limits,
}

/// A message that somebody wants to send.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Draft {
    /// Their own name for it.
    pub client_id: String,
    /// What it says.
    pub text: String,
    /// The message that it answers.
    pub reply_to: Option<MessageId>,
}

/// What became of a draft.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Sent {
    /// It is stored; the sender gets it like everybody else, with the id of the request.
    Fresh(Box<Message>),
    /// It had been sent before; nobody else is told again.
    Again(Box<Message>),
}

/// What became of a message that was to go.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Gone {
    /// It goes now; whoever asked is told like everybody else, with the id of the request.
    Now,
    /// It was gone already.
    Already,
}

impl Chat {
    /// Chat over this store and bus.
    pub fn new(store: Store, bus: Bus, limits: Limits) -> Self {
        Self(Arc::new(Inner { store, bus, limits }))
    }

    /// Sends a message.
    ///
    /// # Errors
    /// `forbidden`, `rate_limited`, `bad_request` (`clientId`, `content.text`, `replyTo`), `message_empty`,
    /// `message_too_long`, `conflict`, `internal`.
    pub async fn send(&self, seat: &Seat, draft: Draft, request: Option<String>) -> Result<Sent, Refusal> {
        self.permit(seat, Action::SendMessage)?;
        if !(1..=CLIENT_ID_LIMIT).contains(&draft.client_id.chars().count()) || draft.client_id.contains('\0') {
            return Err(Refusal::bad_request("clientId", "A message's own name has 1 to 64 characters."));
        }
        let text = text::checked(&draft.text, seat.kind)?;
        if let Some(target) = draft.reply_to
            && self.0.store.message(seat.room, target).await?.is_none()
        {
            return Err(Refusal::bad_request("replyTo", "The message that this one answers is not in this room."));
        }
        let (id, author) = (MessageId::new(), seat.user());
        let sender = Author { id: author.id, nickname: author.nickname.clone() };
        let Draft { client_id, reply_to, .. } = draft;
        let new = NewMessage { id, room: seat.room, sender, client_id, text, reply_to, at: Time::now() };
        let fresh = Box::new(new.message());
        match self.0.store.send_message(new, Some(origin(seat, request))).await? {
            Committed::Already(Some(message)) => Ok(Sent::Again(Box::new(message))),
            Committed::Fresh(_) | Committed::Already(None) => Ok(Sent::Fresh(fresh)),
        }
    }

    /// Gives a message of one's own another text.
    ///
    /// # Errors
    /// `forbidden`, `rate_limited`, `bad_request` (`content.text`), `message_empty`, `message_too_long`, `not_found` (no such
    /// message, deleted, or somebody else's), `internal`.
    pub async fn edit(
        &self,
        seat: &Seat,
        message: MessageId,
        text: &str,
        request: Option<String>,
    ) -> Result<(), Refusal> {
        self.permit(seat, Action::EditOwnMessage)?;
        let text = text::checked(text, seat.kind)?;
        self.0.store.edit_message(seat.room, message, seat.user().id, text, Some(origin(seat, request))).await?;
        Ok(())
    }

    /// Takes a message back or, as a moderator, away.
    ///
    /// # Errors
    /// `forbidden`, `rate_limited`, `not_found` (no such message, or somebody else's), `internal`.
    pub async fn delete(&self, seat: &Seat, message: MessageId, request: Option<String>) -> Result<Gone, Refusal> {
        self.permit(seat, Action::DeleteOwnMessage)?;
        let anybodys = can(seat.standing(), Action::DeleteAnyMessage);
        let origin = Some(origin(seat, request));
        match self.0.store.delete_message(seat.room, message, seat.user().id, anybodys, origin).await? {
            Committed::Fresh(_) => Ok(Gone::Now),
            Committed::Already(_) => Ok(Gone::Already),
        }
    }

    /// Shows the room that somebody types, or stopped. Nobody is told where too many are to care.
    ///
    /// # Errors
    /// `forbidden`, `rate_limited`.
    pub fn typing(&self, seat: &Seat, typing: bool) -> Result<(), Refusal> {
        if !can(seat.standing(), Action::Type) {
            return Err(Refusal::Forbidden { action: Action::Type });
        }
        self.0.limits.check(Rule::Typing, &seat.session.caller)?;
        if seat.online <= TYPING_LIMIT && seat.kind != RoomKind::Live {
            let user = seat.user();
            let fact = Fact::Typing { user: user.id, nickname: user.nickname.clone(), typing };
            let origin = Some(origin(seat, None));
            self.0.bus.publish(&Event { origin, ..Event::ephemeral(seat.room, fact) });
        }
        Ok(())
    }

    /// Messages of a room, newest first; those before `before`, if it is given. `limit` is at most [`HISTORY_LIMIT`].
    ///
    /// # Errors
    /// `removed`, `not_in_room` (never joined), `not_found` (no such room, or a private one), `bad_request` (`limit`,
    /// `before`), `internal`.
    pub async fn history(
        &self,
        caller: &Caller,
        room: RoomId,
        limit: u32,
        before: Option<MessageId>,
    ) -> Result<Vec<Message>, Refusal> {
        if !(1..=HISTORY_LIMIT).contains(&limit) {
            return Err(Refusal::bad_request("limit", format!("A page has 1 to {HISTORY_LIMIT} messages.")));
        }
        let record = self.0.store.room(room).await?.ok_or(Refusal::NotFound)?;
        let role = match self.0.store.membership(room, caller.user.id).await? {
            Membership::Removed => return Err(Refusal::Removed),
            Membership::Member(role) => Some(role),
            Membership::None => None,
        };
        if !can(Standing { room: role, ..caller.standing() }, Action::ReadHistory) {
            let hidden = record.room.visibility == Visibility::Private;
            return Err(if hidden { Refusal::NotFound } else { Refusal::NotInRoom });
        }
        let page = self.0.store.messages(room, limit, before).await?;
        page.ok_or_else(|| Refusal::bad_request("before", "The message to page back from is not in this room."))
    }

    /// Permission first, then the limit.
    fn permit(&self, seat: &Seat, action: Action) -> Result<(), Refusal> {
        if !can(seat.standing(), action) {
            return Err(Refusal::Forbidden { action });
        }
        // People in a call talk faster than strangers who have just come to a forum.
        let trust = if seat.kind == RoomKind::Call { seat.trust().max(Trust::Established) } else { seat.trust() };
        self.0.limits.check(Rule::Message(trust), &seat.session.caller)
    }
}

fn origin(seat: &Seat, request: Option<String>) -> Origin {
    Origin { session: seat.session.id, request }
}
