//! What was written, for those who may read it.

use super::{Chat, HISTORY_LIMIT, emoji};
use crate::domain::{
    Action, Caller, Message, MessageId, Refusal, RoomId, Seat, UserId,
    message::{Author, Version},
};
use crate::store::Stretch;

impl Chat {
    /// Messages of a room, or of one of its threads, newest first. `limit` is at most [`HISTORY_LIMIT`].
    ///
    /// # Errors
    /// `removed`, `not_in_room` (never joined), `not_found` (no such room, or a private one), `bad_request` (`limit`,
    /// `before`, `after`, `around`), `internal`.
    pub async fn history(
        &self,
        caller: &Caller,
        room: RoomId,
        limit: u32,
        stretch: Stretch,
        thread: Option<MessageId>,
    ) -> Result<Vec<Message>, Refusal> {
        check_limit(limit)?;
        self.reader(caller, room).await?;
        let page = self.0.store.stretch(room, limit, stretch, thread).await?;
        let field = match stretch {
            Stretch::Newest | Stretch::Before(_) => "before",
            Stretch::After(_) => "after",
            Stretch::Around(_) => "around",
        };
        page.ok_or_else(|| Refusal::bad_request(field, "The message to start from is not in this room."))
    }

    /// One message.
    ///
    /// # Errors
    /// `removed`, `not_in_room`, `not_found` (also: no such message), `internal`.
    pub async fn message(&self, caller: &Caller, room: RoomId, message: MessageId) -> Result<Message, Refusal> {
        self.reader(caller, room).await?;
        self.0.store.message(room, message).await?.ok_or(Refusal::NotFound)
    }

    /// All that a message has said, oldest first; for those who keep order.
    ///
    /// # Errors
    /// `forbidden`, `not_found` (no such message), `internal`.
    pub async fn versions(&self, seat: &Seat, message: MessageId) -> Result<Vec<Version>, Refusal> {
        seat.permit(Action::ReadVersions)?;
        self.0.store.versions(seat.room, message).await?.ok_or(Refusal::NotFound)
    }

    /// Who reacted to a message with an emoji, first come first, those after `after`.
    ///
    /// # Errors
    /// As [`Self::message`], and `bad_request` (`emoji`, `limit`).
    pub async fn reactors(
        &self,
        caller: &Caller,
        room: RoomId,
        message: MessageId,
        emoji: &str,
        after: Option<UserId>,
        limit: u32,
    ) -> Result<Vec<Author>, Refusal> {
        check_limit(limit)?;
        let emoji = emoji::checked(emoji)?;
        self.message(caller, room, message).await?;
        Ok(self.0.store.reactors(room, message, &emoji, after, limit).await?)
    }

    /// What somebody chose in a poll, and the message that asks.
    ///
    /// # Errors
    /// As [`Self::message`], and `bad_request` (`messageId`: it asks nothing).
    pub async fn choices(
        &self,
        caller: &Caller,
        room: RoomId,
        message: MessageId,
    ) -> Result<(Message, Vec<u32>), Refusal> {
        let found = self.message(caller, room, message).await?;
        if found.content.poll.is_none() {
            return Err(Refusal::bad_request("messageId", "This message asks nothing."));
        }
        let choices = self.0.store.choices(room, message, caller.user.id).await?;
        Ok((found, choices))
    }

    /// Pinned messages, the last pinned first.
    ///
    /// # Errors
    /// `removed`, `not_in_room`, `not_found`, `internal`.
    pub async fn pins(&self, caller: &Caller, room: RoomId) -> Result<Vec<Message>, Refusal> {
        self.reader(caller, room).await?;
        Ok(self.0.store.pinned_messages(room).await?)
    }
}

fn check_limit(limit: u32) -> Result<(), Refusal> {
    if (1..=HISTORY_LIMIT).contains(&limit) {
        return Ok(());
    }
    Err(Refusal::bad_request("limit", format!("A page has 1 to {HISTORY_LIMIT} entries.")))
}
