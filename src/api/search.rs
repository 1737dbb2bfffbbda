//! Searching what was written: `/api/v1/search`.

use std::collections::{HashMap, HashSet};

use axum::Json;
use axum::extract::State;
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use super::Shared;
use super::access::Known;
use super::error::{Error, Problem, Query};
use crate::chat::{Order, SEARCH_LIMIT};
use crate::domain::search::Snippet;
use crate::domain::{Message, RoomId};

/// Messages on a page when the client names no number.
const PAGE: u32 = 20;

/// What to search for.
#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(crate) struct Search {
    /// Words, `begin*`, `"several words"`; `from:` (a nickname, an id, `me`), `in:` (a room's id or name), `has:` (`link`, `image`, `video`,
    /// `audio`, `file`, `poll`), `before:` and `after:` (`2026-01-31` or a moment), `mentions:me`. Up to 256 characters and 16 parts.
    q: String,
    /// `newest` first, or by `rank` among the newest 200; `newest` when not named.
    #[param(inline)]
    order: Option<WhichOrder>,
    /// The `next` of the page before.
    cursor: Option<String>,
    /// How many, 1 to 50; 20 when not named.
    limit: Option<u32>,
}

/// In which order.
#[derive(Clone, Copy, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) enum WhichOrder {
    Newest,
    Rank,
}

/// A page of what was found.
#[derive(Serialize, ToSchema)]
pub(crate) struct SearchPage {
    /// In the order asked for. A page may hold fewer than its limit though another follows.
    items: Vec<FoundMessage>,
    /// The `cursor` of the next page; `null`: there is none.
    next: Option<String>,
}

/// A message that was found.
#[derive(Serialize, ToSchema)]
pub(crate) struct FoundMessage {
    message: Message,
    snippet: Snippet,
}

/// Search the messages of your rooms.
#[utoipa::path(get, path = "/search", tag = "reading", security(("bearer" = [])), params(Search),
    responses((status = 200, body = SearchPage), (status = "default", body = Problem, content_type = "application/problem+json")))]
pub(crate) async fn search(
    State(shared): State<Shared>,
    known: Known,
    Query(search): Query<Search>,
) -> Result<Json<SearchPage>, Error> {
    let order = match search.order {
        Some(WhichOrder::Rank) => Order::Rank,
        Some(WhichOrder::Newest) | None => Order::Newest,
    };
    let limit = search.limit.unwrap_or(PAGE.min(SEARCH_LIMIT));
    let page = shared.reading.search(known.caller(), &search.q, order, search.cursor.as_deref(), limit).await?;
    // Who may not read a room at this moment (they wait at its door, were put out meanwhile) sees nothing of it.
    let mut open: HashMap<RoomId, bool> = HashMap::new();
    for room in page.items.iter().map(|found| found.message.room_id).collect::<HashSet<_>>() {
        open.insert(room, shared.rooms.visit(known.caller(), room).await.is_ok());
    }
    let shown = page.items.into_iter().filter(|found| open.get(&found.message.room_id).is_some_and(|open| *open));
    let items = shown.map(|found| FoundMessage { message: found.message, snippet: found.snippet }).collect();
    Ok(Json(SearchPage { items, next: page.next }))
}
