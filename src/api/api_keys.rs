//! Keys for programs: `/api/v1/api-keys`, and bots: `/api/v1/bots`.

use axum::Json;
use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse as _, Response};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use super::Shared;
use super::access::Known;
use super::error::{Body, Error, Path, Problem, Query};
use crate::auth::{BOTS_LIMIT, NewApiKey};
use crate::domain::api_key::ApiKey;
use crate::domain::{ApiKeyId, Scope, Time, User, UserId};

/// A key to be made.
#[derive(Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct WantedApiKey {
    /// What you call it: 1 to 50 characters.
    #[schema(example = "Weather bot", min_length = 1, max_length = 50)]
    name: String,
    /// What it is for, at least one; never `account`.
    #[schema(example = json!(["messages:read", "messages:write"]), min_items = 1)]
    scopes: Vec<Scope>,
    /// Until when; until it is revoked when it is not named.
    #[serde(default)]
    expires_at: Option<Time>,
    /// For which bot; for yourself when none is named. Administrators.
    #[serde(default)]
    user_id: Option<UserId>,
}

/// A key, without its secret.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct SeenApiKey {
    /// Which.
    key_id: ApiKeyId,
    /// In whose name the program acts.
    user_id: UserId,
    /// What its owner calls it.
    name: String,
    /// How its secret begins.
    #[schema(example = "prl_5f0c12ab")]
    prefix: String,
    /// What it is for.
    scopes: Vec<Scope>,
    /// Since when.
    created_at: Time,
    /// Until when; `null`: until it is revoked.
    expires_at: Option<Time>,
    /// When it was last used, to a minute.
    last_used_at: Option<Time>,
}

impl From<ApiKey> for SeenApiKey {
    fn from(key: ApiKey) -> Self {
        Self {
            key_id: key.id,
            user_id: key.user,
            name: key.name,
            prefix: key.prefix,
            scopes: key.scopes.iter().collect(),
            created_at: key.created_at,
            expires_at: key.expires_at,
            last_used_at: key.last_used_at,
        }
    }
}

/// A key that was just made.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct NewSecret {
    #[serde(flatten)]
    key: SeenApiKey,
    /// The bearer token to give to the program. It is told now and never again.
    #[schema(example = "prl_5f0c12ab…")]
    secret: String,
}

/// Keys.
#[derive(Serialize, ToSchema)]
pub(crate) struct ApiKeyList {
    /// Oldest first, all of them.
    items: Vec<SeenApiKey>,
}

/// Whose keys.
#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(rename_all = "camelCase")]
pub(crate) struct OfWhom {
    /// Which bot's; your own when none is named.
    user_id: Option<UserId>,
}

/// Make a key for a program that acts in your name, or in a bot's (administrators). It may do what its scopes name, of what its owner may,
/// and goes on until it is revoked, expires, or its owner ends all other logins.
#[utoipa::path(post, path = "/api-keys", tag = "programs", security(("bearer" = [])), request_body = WantedApiKey,
    responses((status = 201, body = NewSecret), (status = "default", body = Problem, content_type = "application/problem+json")))]
pub(crate) async fn create(
    State(shared): State<Shared>,
    known: Known,
    Body(WantedApiKey { name, scopes, expires_at, user_id }): Body<WantedApiKey>,
) -> Result<Response, Error> {
    let new = NewApiKey { name, scopes, expires_at, bot: user_id };
    let (key, secret) = shared.auth.create_api_key(&known.0, new).await?;
    let made = NewSecret { key: key.into(), secret };
    Ok((StatusCode::CREATED, [(header::CACHE_CONTROL, "no-store")], Json(made)).into_response())
}

/// List your keys, or a bot's, without their secrets.
#[utoipa::path(get, path = "/api-keys", tag = "programs", security(("bearer" = [])), params(OfWhom),
    responses((status = 200, body = ApiKeyList), (status = "default", body = Problem, content_type = "application/problem+json")))]
pub(crate) async fn list(
    State(shared): State<Shared>,
    known: Known,
    Query(of): Query<OfWhom>,
) -> Result<Json<ApiKeyList>, Error> {
    let keys = shared.auth.api_keys(&known.0, of.user_id).await?;
    Ok(Json(ApiKeyList { items: keys.into_iter().map(SeenApiKey::from).collect() }))
}

/// Revoke a key. What it has opened closes at once.
#[utoipa::path(delete, path = "/api-keys/{keyId}", tag = "programs", security(("bearer" = [])),
    params(("keyId" = ApiKeyId, Path)),
    responses((status = 204), (status = "default", body = Problem, content_type = "application/problem+json")))]
pub(crate) async fn revoke(
    State(shared): State<Shared>,
    known: Known,
    Path(key): Path<ApiKeyId>,
) -> Result<StatusCode, Error> {
    shared.auth.revoke_api_key(&known.0, key).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// A bot to be made.
#[derive(Deserialize, ToSchema)]
pub(crate) struct WantedBot {
    /// 2–50 characters of `a-z A-Z 0-9 _ -`; no account may have the name.
    #[schema(example = "weather", min_length = 2, max_length = 50)]
    nickname: String,
}

/// A bot.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Bot {
    /// Which.
    user_id: UserId,
    /// What it is called.
    nickname: String,
    /// Since when.
    created_at: Time,
}

/// Bots.
#[derive(Serialize, ToSchema)]
pub(crate) struct BotList {
    /// Oldest first.
    items: Vec<Bot>,
    /// Where the next page begins; `null`: there is none.
    next: Option<UserId>,
}

/// Which bots.
#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(crate) struct WhichBots {
    /// `next` of the page before.
    after: Option<UserId>,
}

/// Make a bot: somebody who is no person and comes by keys alone. Administrators.
#[utoipa::path(post, path = "/bots", tag = "programs", security(("bearer" = [])), request_body = WantedBot,
    responses((status = 201, body = User), (status = "default", body = Problem, content_type = "application/problem+json")))]
pub(crate) async fn create_bot(
    State(shared): State<Shared>,
    known: Known,
    Body(WantedBot { nickname }): Body<WantedBot>,
) -> Result<(StatusCode, Json<User>), Error> {
    Ok((StatusCode::CREATED, Json(shared.auth.create_bot(&known.0, &nickname).await?)))
}

/// List the bots. Administrators.
#[utoipa::path(get, path = "/bots", tag = "programs", security(("bearer" = [])), params(WhichBots),
    responses((status = 200, body = BotList), (status = "default", body = Problem, content_type = "application/problem+json")))]
pub(crate) async fn list_bots(
    State(shared): State<Shared>,
    known: Known,
    Query(which): Query<WhichBots>,
) -> Result<Json<BotList>, Error> {
    let found = shared.auth.bots(&known.0, which.after, BOTS_LIMIT).await?;
    let next = found.last().filter(|_| found.len() >= BOTS_LIMIT as usize).map(|(id, ..)| *id);
    let items = found.into_iter().map(|(user_id, nickname, created_at)| Bot { user_id, nickname, created_at });
    Ok(Json(BotList { items: items.collect(), next }))
}
