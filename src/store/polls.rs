//! Table `poll_votes`: who chose what.

use sqlx::QueryBuilder;

use super::{
    Error, Store,
    messages::json,
    pool::{Tx, execute, on_pool, on_tx},
};
use crate::domain::{
    MessageId, Refusal, RoomId, Time, UserId,
    message::{Content, Poll},
};

impl Store {
    /// What somebody chose in a poll.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn choices(&self, room: RoomId, message: MessageId, user: UserId) -> Result<Vec<u32>, Error> {
        if let Some(choices) = self.memory.choices(room, message, user) {
            return Ok(choices);
        }
        let rows: Vec<i64> = on_pool!(&self.read, db => sqlx::query_scalar(CHOICES)
            .bind(message.as_uuid()).bind(user.as_uuid()).fetch_all(db))?;
        Ok(rows.into_iter().filter_map(|choice| u32::try_from(choice).ok()).collect())
    }
}

const CHOICES: &str = "select choice from poll_votes where message_id = $1 and user_id = $2 order by choice";

/// What somebody wants to choose, in order and once each, if the poll takes it. None at all takes a vote back.
pub(super) fn check_choices(content: &Content, choices: &[u32], now: Time) -> Result<Vec<u32>, Refusal> {
    let Some(poll) = &content.poll else {
        return Err(Refusal::bad_request("messageId", "This message asks nothing."));
    };
    if poll.closes_at.is_some_and(|closes_at| closes_at <= now) {
        return Err(Refusal::Taken("This poll is closed."));
    }
    let mut choices = choices.to_vec();
    choices.sort_unstable();
    choices.dedup();
    if choices.last().is_some_and(|last| *last as usize >= poll.options.len()) {
        return Err(Refusal::bad_request("options", "This poll has no such answer."));
    }
    if choices.len() > 1 && !poll.multiple {
        return Err(Refusal::bad_request("options", "One answer of this poll can be chosen."));
    }
    Ok(choices)
}

/// Counts a vote that takes the place of another.
pub(super) fn recount(poll: &mut Poll, before: &[u32], after: &[u32]) {
    for (index, option) in (0_u32..).zip(&mut poll.options) {
        let (had, has) = (before.contains(&index), after.contains(&index));
        option.votes = (option.votes + u32::from(has)).saturating_sub(u32::from(had));
    }
    let (had, has) = (!before.is_empty(), !after.is_empty());
    poll.voters = (poll.voters + u32::from(has)).saturating_sub(u32::from(had));
}

/// What somebody chose so far.
pub(super) async fn choices_of(tx: &mut Tx, message: MessageId, user: UserId) -> Result<Vec<u32>, sqlx::Error> {
    let rows: Vec<i64> = on_tx!(tx, db => sqlx::query_scalar(CHOICES)
        .bind(message.as_uuid()).bind(user.as_uuid()).fetch_all(db))?;
    Ok(rows.into_iter().filter_map(|choice| u32::try_from(choice).ok()).collect())
}

/// Keeps a vote in the place of what the same person chose before, and the poll as it is then.
pub(super) async fn set_vote(
    tx: &mut Tx,
    message: MessageId,
    user: UserId,
    choices: &[u32],
    poll: &Poll,
) -> Result<(), sqlx::Error> {
    const FORGET: &str = "delete from poll_votes where message_id = $1 and user_id = $2";
    const POLL: &str = "update messages set poll = $2 where id = $1";
    execute!(tx, sqlx::query(FORGET).bind(message.as_uuid()).bind(user.as_uuid()))?;
    if !choices.is_empty() {
        on_tx!(tx, db => {
            let mut query = QueryBuilder::new("insert into poll_votes (message_id, user_id, choice) ");
            query.push_values(choices, |mut row, choice| {
                row.push_bind(message.as_uuid()).push_bind(user.as_uuid()).push_bind(i64::from(*choice));
            });
            async move { query.build().execute(db).await.map(|_| ()) }
        })?;
    }
    execute!(tx, sqlx::query(POLL).bind(message.as_uuid()).bind(json(poll)))?;
    Ok(())
}
