use std::{fmt, str::FromStr};

use serde::{Deserialize, Serialize};
use uuid::Uuid;

macro_rules! ids {
    ($($(#[$doc:meta])* $name:ident;)*) => {$(
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, utoipa::ToSchema)]
        #[cfg_attr(test, derive(ts_rs::TS), ts(type = "string"))]
        #[schema(value_type = String, format = Uuid)]
        #[serde(transparent)]
        pub struct $name(Uuid);

        impl $name {
            /// A fresh id. UUIDv7: ids made later on one node sort later.
            #[expect(clippy::new_without_default, reason = "each call makes another value, which Default does not suggest")]
            pub fn new() -> Self {
                Self(Uuid::now_v7())
            }

            /// The id of a value that exists already, as the database or the wire gave it.
            pub const fn from_uuid(uuid: Uuid) -> Self {
                Self(uuid)
            }

            /// The id as the database takes it.
            pub const fn as_uuid(self) -> Uuid {
                self.0
            }

            /// The id as a number, for code that knows nothing of UUIDs (the media core).
            pub const fn as_u128(self) -> u128 {
                self.0.as_u128()
            }
        }

        impl From<u128> for $name {
            fn from(number: u128) -> Self {
                Self(Uuid::from_u128(number))
            }
        }

        impl FromStr for $name {
            type Err = uuid::Error;

            fn from_str(text: &str) -> Result<Self, Self::Err> {
                Uuid::from_str(text).map(Self)
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.fmt(f)
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, concat!(stringify!($name), "({})"), self.0)
            }
        }
    )*};
}

ids! {
    /// A person, for as long as the server knows them.
    UserId;
    /// A room.
    RoomId;
    /// A message.
    MessageId;
    /// The one call of a room of kind `call`; it stays the same for the room's life.
    CallId;
    /// One connection of one person in a call: the same person in two tabs is two participants.
    ParticipantId;
    /// What one participant publishes from one source.
    TrackId;
    /// One socket's session; it outlives the socket by the time that a seat is kept.
    SessionId;
    /// A login and all refresh tokens that grew out of it.
    FamilyId;
    /// One ban of one person.
    BanId;
    /// Something that a moderator has to decide.
    CaseId;
    /// A picture or messages that a case rests on.
    EvidenceId;
    /// What one person reported about another.
    ReportId;
    /// A line of the moderation log.
    LogId;
    /// One recording of a call, from its start to its stop.
    RecordingId;
    /// One file of a recording.
    FileId;
    /// One search for a stranger.
    TicketId;
    /// Two strangers whom the server put together.
    MatchId;
    /// A key with which a program publishes into a room, or watches it.
    StreamKeyId;
    /// A key with which a program acts in somebody's name. It is a login, and this is its id as well.
    ApiKeyId;
    /// Where events of rooms are sent to.
    WebhookId;
    /// An event that did not arrive there.
    DeliveryId;
    /// A passkey of an account.
    PasskeyId;
    /// A link into a room.
    InviteId;
    /// One process that serves.
    NodeId;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_survives_text_and_number() {
        let id = RoomId::new();
        assert_eq!(id.to_string().parse::<RoomId>().unwrap(), id);
        assert_eq!(RoomId::from(id.as_u128()), id);
        assert_eq!(serde_json::to_string(&id).unwrap(), format!("\"{id}\""));
    }

    #[test]
    fn later_ids_sort_later() {
        let ids: Vec<_> = (0..1000).map(|_| MessageId::new()).collect();
        assert!(ids.is_sorted());
    }
}
