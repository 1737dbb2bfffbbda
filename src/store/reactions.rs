//! Table `reactions`: who reacted to which message with what.

use std::collections::BTreeMap;

use uuid::Uuid;

use super::{
    Error, Store,
    messages::json,
    pool::{Tx, execute, on_pool, on_tx},
};
use crate::domain::{MessageId, Refusal, RoomId, UserId, message::Author};

/// Kinds of reactions that one message takes: a row of them stays readable, and its JSON short.
pub const REACTION_KINDS: usize = 20;

impl Store {
    /// Who reacted to a message with an emoji, first come first, up to `limit`; those after `after`, if it is given.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn reactors(
        &self,
        room: RoomId,
        message: MessageId,
        emoji: &str,
        after: Option<UserId>,
        limit: u32,
    ) -> Result<Vec<Author>, Error> {
        const PLACE: &str = "select event_offset from reactions where message_id = $1 and emoji = $2 and user_id = $3";
        const SQL: &str = "select r.user_id, u.nickname from reactions r join users u on u.id = r.user_id \
            where r.message_id = $1 and r.emoji = $2 and r.event_offset > $3 order by r.event_offset limit $4";
        let ids = self.memory.reactors(room, message, emoji);
        if let Some(ids) = ids {
            let from = after.and_then(|after| ids.iter().position(|id| *id == after)).map_or(0, |at| at + 1);
            return self.named(ids.into_iter().skip(from).take(limit as usize)).await;
        }
        let mut place = 0;
        if let Some(after) = after {
            let found: Option<i64> = on_pool!(&self.read, db => sqlx::query_scalar(PLACE)
                .bind(message.as_uuid()).bind(emoji).bind(after.as_uuid()).fetch_optional(db))?;
            place = found.unwrap_or(i64::MAX);
        }
        let rows: Vec<(Uuid, String)> = on_pool!(&self.read, db => sqlx::query_as(SQL)
            .bind(message.as_uuid()).bind(emoji).bind(place).bind(i64::from(limit)).fetch_all(db))?;
        Ok(rows.into_iter().map(|(id, nickname)| Author { id: UserId::from_uuid(id), nickname }).collect())
    }

    /// The names of people; those who are gone are left out.
    async fn named(&self, ids: impl Iterator<Item = UserId>) -> Result<Vec<Author>, Error> {
        let mut people = Vec::new();
        for id in ids {
            people.extend(self.user(id).await?.map(|person| Author { id, nickname: person.user.nickname }));
        }
        Ok(people)
    }
}

/// Refuses one kind too many.
pub(super) fn check_kinds(counts: &BTreeMap<String, u32>, emoji: &str) -> Result<(), Refusal> {
    if counts.contains_key(emoji) || counts.len() < REACTION_KINDS {
        return Ok(());
    }
    let limit = u32::try_from(REACTION_KINDS).expect("it is small");
    Err(Refusal::TooMany { what: "different reactions to this message", limit })
}

/// Counts one reaction more or less, and gives how many there are then.
pub(super) fn count(counts: &mut BTreeMap<String, u32>, emoji: &str, on: bool) -> u32 {
    let before = counts.get(emoji).copied().unwrap_or(0);
    let after = if on { before.saturating_add(1) } else { before.saturating_sub(1) };
    if after == 0 {
        counts.remove(emoji);
    } else {
        counts.insert(emoji.to_owned(), after);
    }
    after
}

/// Keeps a reaction, or takes it back. `false`: it was so.
pub(super) async fn set_reaction(
    tx: &mut Tx,
    message: MessageId,
    user: UserId,
    emoji: &str,
    on: bool,
    offset: u64,
) -> Result<bool, sqlx::Error> {
    const ON: &str = "insert into reactions (message_id, emoji, user_id, event_offset) values ($1, $2, $3, $4) \
        on conflict (message_id, emoji, user_id) do nothing";
    const OFF: &str = "delete from reactions where message_id = $1 and emoji = $2 and user_id = $3";
    let (message, user) = (message.as_uuid(), user.as_uuid());
    let touched = if on {
        execute!(tx, sqlx::query(ON).bind(message).bind(emoji).bind(user).bind(offset.cast_signed()))?
    } else {
        execute!(tx, sqlx::query(OFF).bind(message).bind(emoji).bind(user))?
    };
    Ok(touched > 0)
}

/// Whether somebody reacts so.
pub(super) async fn reacts(tx: &mut Tx, message: MessageId, user: UserId, emoji: &str) -> Result<bool, sqlx::Error> {
    const SQL: &str = "select 1 from reactions where message_id = $1 and emoji = $2 and user_id = $3";
    let row: Option<i32> = on_tx!(tx, db => sqlx::query_scalar(SQL)
        .bind(message.as_uuid()).bind(emoji).bind(user.as_uuid()).fetch_optional(db))?;
    Ok(row.is_some())
}

/// Keeps the counts with their message.
pub(super) async fn set_counts(
    tx: &mut Tx,
    message: MessageId,
    counts: &BTreeMap<String, u32>,
) -> Result<(), sqlx::Error> {
    const SQL: &str = "update messages set reactions = $2 where id = $1";
    let column = (!counts.is_empty()).then(|| json(counts));
    execute!(tx, sqlx::query(SQL).bind(message.as_uuid()).bind(column))?;
    Ok(())
}
