//! Ways into a room: links, and asking.

use serde::{Deserialize, Serialize};

use super::{InviteId, RoomId, Time, case::Named};

/// A link by which people come into a room. The code in it is told once.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, utoipa::ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct Invite {
    /// Which.
    pub invite_id: InviteId,
    /// Into which room.
    pub room_id: RoomId,
    /// Who made it.
    pub created_by: Named,
    /// When.
    pub created_at: Time,
    /// Until when; `null`: until it is revoked.
    #[schema(required)]
    pub expires_at: Option<Time>,
    /// For how many people; `null`: for as many as there are.
    #[schema(required)]
    pub max_uses: Option<u32>,
    /// How many have come by it.
    pub uses: u32,
}

/// Somebody who asks to be let in.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[cfg_attr(test, derive(ts_rs::TS))]
#[serde(rename_all = "camelCase")]
pub struct JoinRequest {
    /// Who.
    pub user: Named,
    /// What they say.
    #[schema(required)]
    pub note: Option<String>,
    /// Since when.
    pub created_at: Time,
}
