//! Searching what was written, in rooms that the person may read.

use std::time::Duration;

use super::unread::Reading;
use crate::domain::{
    Caller, ContentLevel, Message, Refusal, RoomId, SiteRole,
    search::{Query, Snippet},
};
use crate::store::{FoundAt, Sender, Sought};

/// Messages that one page of a search has at most.
pub const SEARCH_LIMIT: u32 = 50;
/// Rooms that are searched: those that somebody joined last.
const ROOMS: u32 = 500;
/// Messages of old that are looked at in one go: few enough that what people write meanwhile does not wait …
const INDEXED: u32 = 200;
/// … and how long until the next go …
const INDEX_EVERY: Duration = Duration::from_millis(100);
/// … or after one that failed.
const INDEX_AGAIN: Duration = Duration::from_secs(5);
/// Of what fits so many are put in order by how well they do, the newest.
const RANKED: u32 = 200;

/// In which order messages are found.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Order {
    /// The newest first.
    #[default]
    Newest,
    /// The best of the newest 200 first.
    Rank,
}

/// A message that was found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Found {
    /// The message.
    pub message: Message,
    /// The part of it that shows why.
    pub snippet: Snippet,
}

/// A page of what was found.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct FoundPage {
    /// In the order asked for.
    pub items: Vec<Found>,
    /// Where the next page begins; `None`: there is none.
    pub next: Option<String>,
}

impl Reading {
    /// Puts what was written before there was an index into it, once, in the background.
    pub async fn index_all(self) {
        loop {
            match self.0.store.index_older(INDEXED).await {
                Ok(false) => return,
                Ok(true) => tokio::time::sleep(INDEX_EVERY).await,
                Err(error) => {
                    tracing::warn!(%error, "messages of old could not be indexed; it is tried again");
                    tokio::time::sleep(INDEX_AGAIN).await;
                }
            }
        }
    }

    /// Searches. `cursor` is where the page before ended; `limit` is at most [`SEARCH_LIMIT`].
    ///
    /// # Errors
    /// `bad_request` (`q`, also for what takes too long; `cursor`, `limit`), `internal`.
    pub async fn search(
        &self,
        caller: &Caller,
        text: &str,
        order: Order,
        cursor: Option<&str>,
        limit: u32,
    ) -> Result<FoundPage, Refusal> {
        if !(1..=SEARCH_LIMIT).contains(&limit) {
            return Err(Refusal::bad_request("limit", format!("A page has 1 to {SEARCH_LIMIT} messages.")));
        }
        // What was written before there was an index has places below 0.
        let cursor: Option<i64> = match cursor.map(str::parse) {
            Some(Ok(cursor)) if cursor >= 0 || order == Order::Newest => Some(cursor),
            None => None,
            Some(_) => return Err(Refusal::bad_request("cursor", "This is not where a page of a search ended.")),
        };
        let query = Query::parse(text)?;
        let wanted = self.wanted(caller, &query).await?;
        let _turn = self.0.searches.acquire().await.map_err(|error| Refusal::Internal(error.to_string()))?;
        let page = match order {
            Order::Newest => self.newest(&wanted, cursor, limit).await?,
            Order::Rank => self.ranked(&wanted, &query, cursor, limit).await?,
        };
        let (messages, next) = page;
        let found = |message| Found { snippet: query.snippet(&message), message };
        Ok(FoundPage { items: messages.into_iter().map(found).collect(), next: next.map(|at| at.to_string()) })
    }

    /// One page, and where the next one begins.
    async fn newest(
        &self,
        wanted: &Sought,
        below: Option<i64>,
        limit: u32,
    ) -> Result<(Vec<Message>, Option<i64>), Refusal> {
        let found = self.find(wanted, below.unwrap_or(i64::MAX), limit).await?;
        let next = found.last().filter(|_| found.len() == limit as usize).map(|last| last.place);
        Ok((self.messages(&found).await?, next))
    }

    /// The same, best first: the cursor counts those that were shown.
    async fn ranked(
        &self,
        wanted: &Sought,
        query: &Query,
        shown: Option<i64>,
        limit: u32,
    ) -> Result<(Vec<Message>, Option<i64>), Refusal> {
        let found = self.find(wanted, i64::MAX, RANKED).await?;
        let mut messages = self.messages(&found).await?;
        // What is equally good stays in its order: the newest first.
        messages.sort_by_cached_key(|message| std::cmp::Reverse(query.score(message)));
        let shown = usize::try_from(shown.unwrap_or(0)).unwrap_or(usize::MAX);
        let end = shown.saturating_add(limit as usize);
        let next = (end < messages.len()).then(|| i64::try_from(end).unwrap_or(i64::MAX));
        Ok((messages.into_iter().skip(shown).take(limit as usize).collect(), next))
    }

    async fn find(&self, wanted: &Sought, below: i64, limit: u32) -> Result<Vec<FoundAt>, Refusal> {
        let found = self.0.store.search(wanted, below, limit).await?;
        found.ok_or_else(|| Refusal::bad_request("q", "This search takes too long. Say more words, or name a room."))
    }

    async fn messages(&self, found: &[FoundAt]) -> Result<Vec<Message>, Refusal> {
        let mut messages = Vec::with_capacity(found.len());
        for at in found {
            // Whatever is gone meanwhile is not shown.
            messages.extend(self.0.store.message(at.room, at.message).await?.filter(|message| !message.deleted));
        }
        Ok(messages)
    }

    /// The query with what its names stand for.
    async fn wanted(&self, caller: &Caller, query: &Query) -> Result<Sought, Refusal> {
        let user = caller.user.id;
        let all_levels = self.0.store.sees_all_levels(&caller.user).await?;
        let mut cluster = caller.cluster.clone();
        if caller.user.role >= SiteRole::Moderator {
            // Who keeps order sees every level.
            cluster.max_content_level = ContentLevel::Extreme;
        }
        let rooms = self.0.store.searched_rooms_of(&cluster, user, all_levels, ROOMS).await?;
        let is_named = |(id, name): &(RoomId, String)| {
            let (id, name) = (id.to_string(), name.to_lowercase());
            query.rooms.is_empty() || query.rooms.iter().any(|room| *room == id || *room == name)
        };
        let from = query.from.iter().map(|name| match name.parse() {
            Ok(id) => Sender::User(id),
            Err(_) if name == "me" => Sender::User(user),
            Err(_) => Sender::Nickname(name.clone()),
        });
        Ok(Sought {
            rooms: rooms.into_iter().filter(is_named).map(|(id, _)| id).collect(),
            terms: query.terms.clone(),
            from: from.collect(),
            has: query.has.clone(),
            before: query.before,
            after: query.after,
            mentions: query.mentions_me.then_some(user),
            blocks_of: Some(user),
        })
    }
}
