use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

use crate::domain::{Refusal, case::Taken};

/// What went wrong, for programs. A code never changes its meaning.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, utoipa::ToSchema)]
#[cfg_attr(test, derive(ts_rs::TS))]
#[serde(rename_all = "snake_case")]
pub enum ErrorCode {
    /// The frame is not JSON.
    BadJson,
    /// The frame is not of the shape that its type demands.
    BadFrame,
    /// No frame has this type.
    UnknownType,
    /// A field is missing or out of range; `detail.field` names it.
    BadRequest,
    /// No token came along.
    Unauthenticated,
    /// The token is none of ours, or was revoked.
    TokenInvalid,
    /// The token's time is over.
    TokenExpired,
    /// A refresh token came a second time.
    TokenReused,
    /// The role does not allow it; `detail.action`.
    Forbidden,
    /// No such thing, or not for you.
    NotFound,
    /// Under 18, or no attestation.
    Underage,
    /// The room has no free seat; `detail.limit`.
    RoomFull,
    /// A host lets nobody new in.
    RoomLocked,
    /// A host lets people in one by one: wait for `call.admitted`.
    Waiting,
    /// A host did not let you in; wait `retryAfterMs`.
    Denied,
    /// A host holds this source muted.
    MutedByHost,
    /// A host does not let you send from this source.
    DisabledByHost,
    /// The room needs an invitation.
    RoomPrivate,
    /// You were removed from the room.
    Removed,
    /// Join the room first.
    NotInRoom,
    /// Join the call first.
    NotInCall,
    /// `detail.limit`, `detail.length` in Unicode scalars.
    MessageTooLong,
    /// The message has no text.
    MessageEmpty,
    /// The same `clientId` was used with other content.
    Conflict,
    /// Wait `retryAfterMs`.
    RateLimited,
    /// A body or a frame over its limit.
    TooLarge,
    /// This address does not take that method.
    MethodNotAllowed,
    /// What would be answered is not among what `Accept` names.
    NotAcceptable,
    /// The body is of another type than what is taken here.
    UnsupportedMediaType,
    /// `If-Match` names another ICE session than the one there is.
    PreconditionFailed,
    /// Say with `If-Match` which ICE session is meant.
    PreconditionRequired,
    /// The offer is malformed.
    BadSdp,
    /// The offer has no ICE credentials.
    NoIce,
    /// The offer has no fingerprint.
    NoFingerprint,
    /// The offer has too many m-lines.
    TooManyMedia,
    /// The offer has no codec that the server takes.
    UnsupportedCodecs,
    /// No media port, or the call's room broke down.
    CallUnavailable,
    /// The call is recorded: offer again with `acceptRecording: true` once the person has agreed.
    RecordingConsent,
    /// You are banned; `detail.reason`, `detail.until` (`null`: for good).
    Banned,
    /// The operator has switched this off; `detail.feature`.
    FeatureOff,
    /// No room for a recording.
    DiskFull,
    /// Composed files need the program `ffmpeg` on the server.
    FfmpegMissing,
    /// A part that this needs does not answer now; try again.
    Unavailable,
    /// The file is shorter; `detail.sizeBytes`.
    RangeNotSatisfiable,
    /// No such match, or it is over.
    NotInMatch,
    /// Our fault; `detail.requestId` is in the server's log.
    Internal,
}

/// The data of an `error` frame.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(test, derive(ts_rs::TS))]
#[serde(rename_all = "camelCase")]
pub struct ErrorBody {
    /// For programs.
    pub code: ErrorCode,
    /// For people: a sentence.
    pub message: String,
    /// How long to wait, where waiting helps.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[cfg_attr(test, ts(optional))]
    pub retry_after_ms: Option<u64>,
    /// Numbers and names that go with the code.
    #[cfg_attr(test, ts(type = "Record<string, unknown>"))]
    pub detail: Map<String, Value>,
}

/// Why the server closed the socket.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum CloseCode {
    /// All is said.
    Normal,
    /// A frame over its limit.
    TooBig,
    /// Our fault, or too much at once: try again later.
    Internal,
    /// The client does not speak this protocol.
    BadClient,
    /// No login in time, or a bad token.
    Unauthenticated,
    /// The access token expired and no other came.
    TokenExpired,
    /// Removed or banned.
    Removed,
    /// No byte for too long.
    Idle,
    /// The session connected again.
    Replaced,
    /// The queue for this socket was full.
    TooSlow,
    /// The server stops.
    GoingAway,
}

impl CloseCode {
    /// Every code, in the order of their numbers.
    pub const ALL: [CloseCode; 11] = [
        CloseCode::Normal,
        CloseCode::TooBig,
        CloseCode::Internal,
        CloseCode::BadClient,
        CloseCode::Unauthenticated,
        CloseCode::TokenExpired,
        CloseCode::Removed,
        CloseCode::Idle,
        CloseCode::Replaced,
        CloseCode::TooSlow,
        CloseCode::GoingAway,
    ];

    /// The number on the wire (RFC 6455, section 7.4; from 4000 on they are ours).
    pub const fn number(self) -> u16 {
        match self {
            CloseCode::Normal => 1000,
            CloseCode::TooBig => 1009,
            CloseCode::Internal => 1011,
            CloseCode::BadClient => 4400,
            CloseCode::Unauthenticated => 4401,
            CloseCode::TokenExpired => 4402,
            CloseCode::Removed => 4403,
            CloseCode::Idle => 4408,
            CloseCode::Replaced => 4409,
            CloseCode::TooSlow => 4429,
            CloseCode::GoingAway => 4503,
        }
    }

    /// The reason text that goes with it.
    pub const fn reason(self) -> &'static str {
        match self {
            CloseCode::Normal => "normal",
            CloseCode::TooBig => "too big",
            CloseCode::Internal => "internal",
            CloseCode::BadClient => "bad client",
            CloseCode::Unauthenticated => "login timeout or bad token",
            CloseCode::TokenExpired => "token expired",
            CloseCode::Removed => "removed or banned",
            CloseCode::Idle => "idle",
            CloseCode::Replaced => "replaced",
            CloseCode::TooSlow => "too slow",
            CloseCode::GoingAway => "going away",
        }
    }
}

impl ErrorBody {
    /// An error without numbers.
    pub fn new(code: ErrorCode, message: impl Into<String>) -> Self {
        Self { code, message: message.into(), retry_after_ms: None, detail: Map::new() }
    }

    /// The same with one more entry in `detail`.
    #[must_use]
    pub fn with(mut self, name: &str, value: impl Into<Value>) -> Self {
        self.detail.insert(name.to_owned(), value.into());
        self
    }
}

impl From<&Refusal> for ErrorCode {
    fn from(refusal: &Refusal) -> Self {
        match refusal {
            Refusal::BadRequest { .. } => Self::BadRequest,
            Refusal::Unauthenticated => Self::Unauthenticated,
            Refusal::TokenInvalid => Self::TokenInvalid,
            Refusal::TokenExpired => Self::TokenExpired,
            Refusal::TokenReused => Self::TokenReused,
            Refusal::Forbidden { .. } => Self::Forbidden,
            Refusal::NotFound => Self::NotFound,
            Refusal::Underage => Self::Underage,
            Refusal::RoomFull { .. } => Self::RoomFull,
            Refusal::WaitingRoomFull { .. } => Self::RoomFull,
            Refusal::RoomLocked => Self::RoomLocked,
            Refusal::Waiting => Self::Waiting,
            Refusal::Denied { .. } => Self::Denied,
            Refusal::MutedByHost => Self::MutedByHost,
            Refusal::DisabledByHost => Self::DisabledByHost,
            Refusal::RoomPrivate => Self::RoomPrivate,
            Refusal::Removed => Self::Removed,
            Refusal::NotInRoom => Self::NotInRoom,
            Refusal::NotInCall => Self::NotInCall,
            Refusal::MessageTooLong { .. } => Self::MessageTooLong,
            Refusal::MessageEmpty => Self::MessageEmpty,
            Refusal::Conflict | Refusal::Taken(_) | Refusal::CaseTaken { .. } => Self::Conflict,
            Refusal::RateLimited { .. } => Self::RateLimited,
            Refusal::BadSdp(_) => Self::BadSdp,
            Refusal::NoIce => Self::NoIce,
            Refusal::NoFingerprint => Self::NoFingerprint,
            Refusal::TooManyMedia => Self::TooManyMedia,
            Refusal::UnsupportedCodecs => Self::UnsupportedCodecs,
            Refusal::CallUnavailable => Self::CallUnavailable,
            Refusal::RecordingConsent => Self::RecordingConsent,
            Refusal::Banned { .. } => Self::Banned,
            Refusal::FeatureOff { .. } => Self::FeatureOff,
            Refusal::DiskFull => Self::DiskFull,
            Refusal::FfmpegMissing => Self::FfmpegMissing,
            Refusal::Unavailable { .. } => Self::Unavailable,
            Refusal::RangeNotSatisfiable { .. } => Self::RangeNotSatisfiable,
            Refusal::NotInMatch => Self::NotInMatch,
            Refusal::Crowded { .. } => Self::Unavailable,
            Refusal::Internal(_) => Self::Internal,
        }
    }
}

impl From<&Refusal> for ErrorBody {
    fn from(refusal: &Refusal) -> Self {
        let body = Self::new(refusal.into(), refusal.to_string());
        match refusal {
            Refusal::BadRequest { field, .. } => body.with("field", *field),
            Refusal::Forbidden { action } => body.with("action", json!(action)),
            Refusal::Banned { reason, until } => body.with("reason", reason.as_str()).with("until", json!(until)),
            Refusal::CaseTaken { by } => match &**by {
                Taken::Claimed(claim) => body.with("claimedBy", json!(claim)),
                Taken::Decided(decision) => body.with("decision", json!(decision)),
            },
            Refusal::FeatureOff { feature } => body.with("feature", *feature),
            Refusal::RangeNotSatisfiable { size_bytes } => body.with("sizeBytes", *size_bytes),
            Refusal::RoomFull { limit } | Refusal::WaitingRoomFull { limit } => body.with("limit", *limit),
            Refusal::MessageTooLong { limit, length } => body.with("limit", *limit).with("length", *length),
            Refusal::RateLimited { limit, retry_after_ms } => {
                Self { retry_after_ms: Some(*retry_after_ms), ..body.with("limit", *limit) }
            }
            Refusal::Crowded { retry_after_ms } | Refusal::Denied { retry_after_ms } => {
                Self { retry_after_ms: Some(*retry_after_ms), ..body }
            }
            _ => body,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::{
        Action, Time, UserId,
        case::{Claim, Named},
    };

    fn taken() -> Taken {
        let by = Named { user_id: UserId::from_uuid(uuid::Uuid::nil()), nickname: "mo".to_owned() };
        Taken::Claimed(Claim { by, until: Time::from_ms(0) })
    }

    #[test]
    fn every_refusal_has_its_code_and_its_numbers() {
        let refusals = [
            Refusal::bad_request("nickname", "A nickname has 2 to 50 letters, digits, _ or -."),
            Refusal::Unauthenticated,
            Refusal::TokenInvalid,
            Refusal::TokenExpired,
            Refusal::TokenReused,
            Refusal::Forbidden { action: Action::RemoveMember },
            Refusal::NotFound,
            Refusal::Underage,
            Refusal::RoomFull { limit: 50 },
            Refusal::RoomLocked,
            Refusal::Waiting,
            Refusal::WaitingRoomFull { limit: 200 },
            Refusal::Denied { retry_after_ms: 60_000 },
            Refusal::MutedByHost,
            Refusal::DisabledByHost,
            Refusal::RoomPrivate,
            Refusal::Removed,
            Refusal::NotInRoom,
            Refusal::NotInCall,
            Refusal::MessageTooLong { limit: 4_000, length: 4_001 },
            Refusal::MessageEmpty,
            Refusal::Conflict,
            Refusal::RateLimited { limit: "message", retry_after_ms: 2_500 },
            Refusal::BadSdp("line 3".to_owned()),
            Refusal::NoIce,
            Refusal::NoFingerprint,
            Refusal::TooManyMedia,
            Refusal::UnsupportedCodecs,
            Refusal::CallUnavailable,
            Refusal::RecordingConsent,
            Refusal::Banned { reason: "spam".to_owned(), until: Some(Time::from_ms(0)) },
            Refusal::Taken("This call is being recorded already."),
            Refusal::CaseTaken { by: Box::new(taken()) },
            Refusal::FeatureOff { feature: "recording" },
            Refusal::DiskFull,
            Refusal::FfmpegMissing,
            Refusal::Unavailable { what: "The recordings" },
            Refusal::RangeNotSatisfiable { size_bytes: 1_000 },
            Refusal::NotInMatch,
            Refusal::Crowded { retry_after_ms: 2_000 },
            Refusal::Internal("disk on fire".to_owned()),
        ];
        let bodies: Vec<_> = refusals.iter().map(|it| serde_json::to_string(&ErrorBody::from(it)).unwrap()).collect();
        insta::assert_snapshot!(bodies.join("\n"));
    }

    #[test]
    fn close_codes() {
        let page: Vec<_> = CloseCode::ALL.iter().map(|code| format!("{} {}", code.number(), code.reason())).collect();
        insta::assert_snapshot!(page.join("\n"));
    }
}
