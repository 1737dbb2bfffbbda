//! What the owners of a room settle: `PATCH /api/v1/rooms/{roomId}`, its owner, its archive, its end.

use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use axum::response::Response;
use serde::{Deserialize, Deserializer};
use utoipa::ToSchema;

use super::Shared;
use super::access::Known;
use super::error::{Body, Error, Path, Problem};
use super::etags::{demand, outdated, quoted, seen, tagged};
use crate::domain::{Action, ContentLevel, Refusal, Retention, Role, Room, RoomId, Trust, UserId, Visibility};
use crate::rooms::RoomChange;

/// What is to be different; what is not named stays.
#[derive(Default, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(super) struct Change {
    /// 1 to 100 characters.
    pub(super) name: Option<String>,
    /// 3 to 64 small letters, digits and dashes; `null`: none.
    #[serde(default, deserialize_with = "given")]
    #[schema(value_type = Option<String>, example = "friday")]
    pub(super) slug: Option<Option<String>>,
    /// Who finds it and who may come in.
    pub(super) visibility: Option<Visibility>,
    /// How many people may be inside at once.
    pub(super) max_participants: Option<u32>,
    /// Up to 1,000 characters.
    pub(super) description: Option<String>,
    /// One of the server's categories; `null`: none.
    #[serde(default, deserialize_with = "given")]
    #[schema(value_type = Option<String>, example = "music")]
    pub(super) category: Option<Option<String>>,
    /// What is shown and said there. `adult` and `extreme` are for those whose age is verified.
    pub(super) content_level: Option<ContentLevel>,
    /// How long messages are kept.
    pub(super) retention: Option<Retention>,
    /// Seconds between two messages of one person, up to 21,600; 0: no such limit.
    pub(super) slow_mode_s: Option<u32>,
    /// How much trust it takes to become a member.
    pub(super) min_trust_to_join: Option<Trust>,
    /// How much trust it takes to write.
    pub(super) min_trust_to_post: Option<Trust>,
    /// Whether whoever wants to join asks first.
    pub(super) join_requests: Option<bool>,
    /// 4 to 12 digits; `null`: none.
    #[serde(default, deserialize_with = "given")]
    #[schema(value_type = Option<String>, example = "2468")]
    pub(super) pin: Option<Option<String>>,
    /// The least role for what may be narrowed.
    pub(super) permits: Option<PermitsChange>,
}

/// The least roles; what is not named stays.
#[derive(Default, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(super) struct PermitsChange {
    /// Who writes.
    post: Option<Role>,
    /// Who takes part in the call.
    call: Option<Role>,
    /// Who shows their screen.
    share: Option<Role>,
    /// Who records; `moderator` at least.
    record: Option<Role>,
    /// Who invites.
    invite: Option<Role>,
}

/// Tells `null` from nothing.
fn given<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Option<String>>, D::Error> {
    Option::deserialize(deserializer).map(Some)
}

impl From<Change> for RoomChange {
    fn from(change: Change) -> Self {
        let PermitsChange { post, call, share, record, invite } = change.permits.unwrap_or_default();
        Self {
            name: change.name,
            slug: change.slug,
            visibility: change.visibility,
            max_participants: change.max_participants,
            description: change.description,
            category: change.category,
            content_level: change.content_level,
            retention: change.retention,
            slow_mode_s: change.slow_mode_s,
            min_trust_to_join: change.min_trust_to_join,
            min_trust_to_post: change.min_trust_to_post,
            join_requests: change.join_requests,
            pin: change.pin,
            post,
            call,
            share,
            record,
            invite,
        }
    }
}

/// Who owns the room from now on.
#[derive(Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(super) struct NewOwner {
    /// A member.
    user_id: UserId,
}

/// Whether the room is put away.
#[derive(Deserialize, ToSchema)]
pub(super) struct Archived {
    /// From now on.
    archived: bool,
}

/// Change what a room is like. Owner and admins; `If-Match` carries the `ETag` of what you saw.
#[utoipa::path(patch, path = "/rooms/{roomId}", tag = "rooms", security(("bearer" = [])),
    params(("roomId" = RoomId, Path), ("If-Match" = String, Header)), request_body = Change,
    responses((status = 200, body = Room, headers(("ETag" = String, description = "The room's revision."))),
        (status = "default", body = Problem, content_type = "application/problem+json")))]
pub(super) async fn edit(
    State(shared): State<Shared>,
    known: Known,
    Path(room): Path<RoomId>,
    headers: HeaderMap,
    Body(change): Body<Change>,
) -> Result<Response, Error> {
    let seat = shared.rooms.visit(known.caller(), room).await?;
    if let Err(refusal @ Refusal::Forbidden { .. }) = seat.permit(Action::EditRoom) {
        // Who may not change it is told so, and not what it is like now.
        return Err(refusal.into());
    }
    demand(&headers)?;
    let now = async || Ok(i64::from(shared.rooms.look(known.caller(), room).await?.room.revision));
    let edited = async {
        let seen = match seen(&headers, now()).await? {
            Some(number) => number,
            None => now().await?,
        };
        let revision = u32::try_from(seen).map_err(|_| Refusal::Outdated)?;
        shared.rooms.edit(&seat, revision, change.into()).await
    };
    match edited.await {
        Ok(room) => Ok(tagged(&room, &room)),
        Err(Refusal::Outdated) => Ok(outdated(quoted(now().await?))),
        Err(refusal) => Err(refusal.into()),
    }
}

/// Delete a room with all that is in it; recordings have to be deleted before. The owner.
#[utoipa::path(delete, path = "/rooms/{roomId}", tag = "rooms", security(("bearer" = [])), params(("roomId" = RoomId, Path)),
    responses((status = 204), (status = "default", body = Problem, content_type = "application/problem+json")))]
pub(super) async fn delete(
    State(shared): State<Shared>,
    known: Known,
    Path(room): Path<RoomId>,
) -> Result<StatusCode, Error> {
    let seat = shared.rooms.visit(known.caller(), room).await?;
    shared.rooms.delete(&seat).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Put a room away, to be read only and in no list, or take it out again. The owner.
#[utoipa::path(put, path = "/rooms/{roomId}/archived", tag = "rooms", security(("bearer" = [])),
    params(("roomId" = RoomId, Path)), request_body = Archived,
    responses((status = 200, body = Room, headers(("ETag" = String, description = "The room's revision."))), (status = "default", body = Problem, content_type = "application/problem+json")))]
pub(super) async fn archive(
    State(shared): State<Shared>,
    known: Known,
    Path(room): Path<RoomId>,
    Body(Archived { archived }): Body<Archived>,
) -> Result<Response, Error> {
    let seat = shared.rooms.visit(known.caller(), room).await?;
    let room = shared.rooms.archive(&seat, archived).await?;
    Ok(tagged(&room, &room))
}

/// Make a member the owner in your place. The owner; you are an admin after that.
#[utoipa::path(put, path = "/rooms/{roomId}/owner", tag = "rooms", security(("bearer" = [])),
    params(("roomId" = RoomId, Path)), request_body = NewOwner,
    responses((status = 204), (status = "default", body = Problem, content_type = "application/problem+json")))]
pub(super) async fn transfer(
    State(shared): State<Shared>,
    known: Known,
    Path(room): Path<RoomId>,
    Body(NewOwner { user_id }): Body<NewOwner>,
) -> Result<StatusCode, Error> {
    let seat = shared.rooms.visit(known.caller(), room).await?;
    shared.rooms.transfer(&seat, user_id).await?;
    Ok(StatusCode::NO_CONTENT)
}
