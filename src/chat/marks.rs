//! What people do to messages that are there: reactions, votes, pins, locked threads.

use super::{Chat, Done, emoji, origin};
use crate::domain::{
    Action, MessageId, Refusal, RoomId, Seat, Time,
    message::{Author, System},
};
use crate::limit::Rule;
use crate::store::{NewMessage, Written};

impl Chat {
    /// Reacts to a message, or takes that back.
    ///
    /// # Errors
    /// `forbidden`, `muted`, `rate_limited`, `bad_request` (`emoji`), `not_found` (no such message, deleted, or a block), `too_many`,
    /// `internal`.
    pub async fn react(
        &self,
        seat: &Seat,
        message: MessageId,
        emoji: &str,
        on: bool,
        request: Option<String>,
    ) -> Result<Done, Refusal> {
        seat.permit(Action::React)?;
        self.0.limits.check(Rule::Request, &seat.session.caller)?;
        self.0.limits.check_here(Rule::Mark, seat)?;
        self.check_pair(seat).await?;
        let emoji = emoji::checked(emoji)?;
        done(self.0.store.react(seat.room, message, seat.user().id, emoji, on, Some(origin(seat, request))).await)
    }

    /// Chooses answers of a poll, in the place of what was chosen before; none takes a vote back.
    ///
    /// # Errors
    /// `forbidden`, `muted`, `rate_limited`, `not_found` (no such message, or deleted), `bad_request` (`messageId`, `options`),
    /// `conflict` (the poll is closed), `internal`.
    pub async fn vote(
        &self,
        seat: &Seat,
        message: MessageId,
        options: Vec<u32>,
        request: Option<String>,
    ) -> Result<Done, Refusal> {
        seat.permit(Action::Vote)?;
        self.0.limits.check(Rule::Request, &seat.session.caller)?;
        self.0.limits.check_here(Rule::Mark, seat)?;
        self.check_pair(seat).await?;
        done(self.0.store.vote(seat.room, message, seat.user().id, options, Some(origin(seat, request))).await)
    }

    /// Pins a message, or no more. Where people live in a room, it is told by a message too.
    ///
    /// # Errors
    /// `forbidden`, `rate_limited`, `not_found` (no such message, or deleted), `too_many`, `internal`.
    pub async fn pin(
        &self,
        seat: &Seat,
        message: MessageId,
        pinned: bool,
        request: Option<String>,
    ) -> Result<Done, Refusal> {
        seat.permit(Action::PinMessage)?;
        self.0.limits.check(Rule::Request, &seat.session.caller)?;
        let by = seat.user();
        let written = self.0.store.pin(seat.room, message, by.id, pinned, Some(origin(seat, request))).await;
        let done = done(written)?;
        if done == Done::Now && pinned && seat.kind.is_lived_in() {
            let by = Author { id: by.id, nickname: by.nickname.clone() };
            if let Err(refusal) = self.tell_pin(seat.room, by, message).await {
                tracing::warn!(%refusal, "a pin could not be told by a message");
            }
        }
        Ok(done)
    }

    /// Tells that somebody has pinned a message, unless they do it all the time.
    async fn tell_pin(&self, room: RoomId, by: Author, message_id: MessageId) -> Result<(), Refusal> {
        let store = &self.0.store;
        if store.may_be_told(room, by.id, Time::now()).await? {
            store.send_message(NewMessage::system(room, by, System::Pinned { message_id }), None).await?;
        }
        Ok(())
    }

    /// Lets nobody write any more in the thread that begins with a message, or again.
    ///
    /// # Errors
    /// `forbidden`, `rate_limited`, `not_found` (no such message, or deleted), `bad_request` (`messageId`: it is within a thread),
    /// `internal`.
    pub async fn lock_thread(
        &self,
        seat: &Seat,
        message: MessageId,
        locked: bool,
        request: Option<String>,
    ) -> Result<Done, Refusal> {
        seat.permit(Action::LockThread)?;
        self.0.limits.check(Rule::Request, &seat.session.caller)?;
        done(self.0.store.lock_thread(seat.room, message, locked, Some(origin(seat, request))).await)
    }
}

fn done(written: Written) -> Result<Done, Refusal> {
    written.map(Done::from)
}
