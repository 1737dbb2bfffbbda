//! Streams: who publishes or watches by HTTP alone (WHIP, WHEP), and the keys that let programs do so.

use serde::{Deserialize, Serialize};

use super::{RoomId, StreamKeyId, Time, case::Named};

/// What a stream does in a room's call.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "camelCase")]
pub enum StreamKind {
    /// It sends (WHIP, RFC 9725).
    Publish,
    /// It receives (WHEP, draft-ietf-wish-whep).
    Watch,
}

/// A key that lets a program publish into a room's call, or watch it, in the name of who made it. Its secret is told once.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, utoipa::ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct StreamKey {
    /// Which.
    pub key_id: StreamKeyId,
    /// For which room.
    pub room_id: RoomId,
    /// What its publisher is called in the call.
    pub name: String,
    /// What it lets do.
    pub kind: StreamKind,
    /// Who answers for what comes by it.
    pub created_by: Named,
    /// Since when.
    pub created_at: Time,
    /// Until when; `null`: until it is revoked.
    pub expires_at: Option<Time>,
}

impl StreamKind {
    /// The name that the database and the wire use.
    pub const fn as_str(self) -> &'static str {
        match self {
            StreamKind::Publish => "publish",
            StreamKind::Watch => "watch",
        }
    }

    /// The kind of that name.
    pub fn parse(name: &str) -> Option<Self> {
        [StreamKind::Publish, StreamKind::Watch].into_iter().find(|it| it.as_str() == name)
    }
}

impl StreamKey {
    /// Whether it lets nobody in any more at that time.
    pub fn is_over(&self, at: Time) -> bool {
        self.expires_at.is_some_and(|until| until <= at)
    }
}
