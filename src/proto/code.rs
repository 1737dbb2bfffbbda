use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

use crate::domain::{Refusal, case::Taken};

pub use super::close::{CloseAction, CloseCode};

/// How long to wait until a request that goes on is done, in milliseconds: most take less.
const ONCE_AGAIN_MS: u64 = 1_000;

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
    /// The name or the password is wrong, or the code, or the passkey.
    BadCredentials,
    /// The name is taken, or looks like one that is.
    UsernameTaken,
    /// The password is easily guessed; the message says why.
    PasswordWeak,
    /// Show a second factor: go on with `detail.ticket` by one of `detail.methods`; without a ticket, the login has to pass one first.
    MfaRequired,
    /// Solve `detail.challenge` and send it as `proof`.
    ProofRequired,
    /// The role does not allow it; `detail.action`.
    Forbidden,
    /// The key lacks a scope; `detail.scope`.
    ScopeMissing,
    /// You have no voice in the room for now; `detail.until`.
    Muted,
    /// You have not shown enough of yourself; `detail.needed`, `detail.have`.
    TrustTooLow,
    /// The room is for those whose age is verified.
    AgeUnverified,
    /// The room is archived: it can only be read.
    RoomArchived,
    /// The room opens by a PIN.
    PinRequired,
    /// The PIN is another.
    PinWrong,
    /// Ask to join: somebody of the room lets people in.
    ApprovalRequired,
    /// The invitation is over, used up or revoked.
    InviteOver,
    /// No such thing, or not for you.
    NotFound,
    /// Under 18, or no attestation.
    Underage,
    /// Nobody comes in from that country.
    GeoBlocked,
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
    /// Nobody has accepted the message request yet; `detail.limit`.
    RequestPending,
    /// Nobody writes in this thread any more.
    ThreadLocked,
    /// There are as many as may be; `detail.limit`.
    TooMany,
    /// The same `clientId` was used with other content.
    Conflict,
    /// Something else was asked under the same `Idempotency-Key`.
    IdempotencyMismatch,
    /// The same request is being done right now; ask again after `retryAfterMs`.
    IdempotencyInProgress,
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
    /// `If-Match` names another ICE session, or another state of what is to be changed, than the one there is.
    PreconditionFailed,
    /// Say with `If-Match` which ICE session, or which state of what is to be changed, is meant.
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
    /// You have as many files here as you may; `detail.what` (`bytes` or `unfinishedUploads`), `detail.limit`.
    QuotaFull,
    /// No room for a recording.
    DiskFull,
    /// Composed files need the program `ffmpeg` on the server.
    FfmpegMissing,
    /// A part that this needs does not answer now; try again.
    Unavailable,
    /// What this needs lives on another node, which does not answer now: try again after `retryAfterMs`.
    NodeUnavailable,
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
            Refusal::BadCredentials => Self::BadCredentials,
            Refusal::UsernameTaken => Self::UsernameTaken,
            Refusal::PasswordWeak { .. } => Self::PasswordWeak,
            Refusal::MfaRequired { .. } => Self::MfaRequired,
            Refusal::ProofRequired { .. } => Self::ProofRequired,
            Refusal::Forbidden { .. } => Self::Forbidden,
            Refusal::ScopeMissing { .. } => Self::ScopeMissing,
            Refusal::Muted { .. } => Self::Muted,
            Refusal::TrustTooLow { .. } => Self::TrustTooLow,
            Refusal::AgeUnverified => Self::AgeUnverified,
            Refusal::RoomArchived => Self::RoomArchived,
            Refusal::PinRequired => Self::PinRequired,
            Refusal::PinWrong => Self::PinWrong,
            Refusal::ApprovalRequired => Self::ApprovalRequired,
            Refusal::InviteOver => Self::InviteOver,
            Refusal::Outdated => Self::PreconditionFailed,
            Refusal::NotFound => Self::NotFound,
            Refusal::Underage | Refusal::TooYoung { .. } => Self::Underage,
            Refusal::GeoBlocked => Self::GeoBlocked,
            Refusal::RoomFull { .. } | Refusal::WaitingRoomFull { .. } => Self::RoomFull,
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
            Refusal::ThreadLocked => Self::ThreadLocked,
            Refusal::TooMany { .. } => Self::TooMany,
            Refusal::RequestPending { .. } => Self::RequestPending,
            Refusal::Conflict | Refusal::Taken(_) | Refusal::CaseTaken { .. } => Self::Conflict,
            Refusal::OnceMismatch => Self::IdempotencyMismatch,
            Refusal::OnceInProgress => Self::IdempotencyInProgress,
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
            Refusal::TooLarge { .. } => Self::TooLarge,
            Refusal::QuotaFull { .. } => Self::QuotaFull,
            Refusal::TypeNotTaken { .. } => Self::UnsupportedMediaType,
            Refusal::DiskFull => Self::DiskFull,
            Refusal::FfmpegMissing => Self::FfmpegMissing,
            Refusal::Unavailable { .. } | Refusal::Crowded { .. } => Self::Unavailable,
            Refusal::NodeUnavailable { .. } => Self::NodeUnavailable,
            Refusal::RangeNotSatisfiable { .. } => Self::RangeNotSatisfiable,
            Refusal::NotInMatch => Self::NotInMatch,
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
            Refusal::ScopeMissing { scope } => body.with("scope", scope.as_str()),
            Refusal::MfaRequired { ticket: Some(it) } => {
                let body = body.with("ticket", it.ticket.as_str()).with("methods", json!(it.methods));
                body.with("expiresInS", it.expires_in_s)
            }
            Refusal::ProofRequired { challenge } => body.with("challenge", json!(challenge)),
            Refusal::Muted { until } => body.with("until", json!(until)),
            Refusal::TrustTooLow { needed: it, earned } => {
                body.with("needed", json!(it.needs())).with("have", json!(earned))
            }
            Refusal::Banned { reason, until } => body.with("reason", reason.as_str()).with("until", json!(until)),
            Refusal::CaseTaken { by } => match &**by {
                Taken::Claimed(claim) => body.with("claimedBy", json!(claim)),
                Taken::Decided(decision) => body.with("decision", json!(decision)),
            },
            Refusal::FeatureOff { feature } => body.with("feature", *feature),
            Refusal::TooYoung { years } => body.with("minAge", *years),
            Refusal::TooLarge { limit_bytes } => body.with("limitBytes", *limit_bytes),
            Refusal::QuotaFull { what, limit } => body.with("what", *what).with("limit", *limit),
            Refusal::TypeNotTaken { media_type } => body.with("mediaType", *media_type),
            Refusal::RangeNotSatisfiable { size_bytes } => body.with("sizeBytes", *size_bytes),
            Refusal::RoomFull { limit } | Refusal::WaitingRoomFull { limit } | Refusal::RequestPending { limit } => {
                body.with("limit", *limit)
            }
            Refusal::TooMany { limit, .. } => body.with("limit", *limit),
            Refusal::OnceInProgress => Self { retry_after_ms: Some(ONCE_AGAIN_MS), ..body },
            Refusal::MessageTooLong { limit, length } => body.with("limit", *limit).with("length", *length),
            Refusal::RateLimited { limit, retry_after_ms } => {
                Self { retry_after_ms: Some(*retry_after_ms), ..body.with("limit", *limit) }
            }
            Refusal::Crowded { retry_after_ms: ms }
            | Refusal::Denied { retry_after_ms: ms }
            | Refusal::NodeUnavailable { retry_after_ms: ms } => Self { retry_after_ms: Some(*ms), ..body },
            _ => body,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::{
        Action, Time, UserId,
        account::{MfaTicket, ProofChallenge, SecondFactor},
        case::{Claim, Named},
        trust::{Earned, Trust},
    };

    fn taken() -> Taken {
        let by = Named { user_id: UserId::from_uuid(uuid::Uuid::nil()), nickname: "mo".to_owned() };
        Taken::Claimed(Claim { by, until: Time::from_ms(0) })
    }

    fn mfa_ticket() -> MfaTicket {
        MfaTicket { ticket: "5e".to_owned(), methods: vec![SecondFactor::Totp], expires_in_s: 300 }
    }

    fn riddle() -> ProofChallenge {
        let word = |word: &str| word.to_owned();
        let (challenge, salt, signature) = (word("c0"), word("5a?expires=0&"), word("51"));
        ProofChallenge { algorithm: "SHA-256", challenge, salt, maxnumber: 100_000, signature }
    }

    #[test]
    fn every_refusal_has_its_code_and_its_numbers() {
        let refusals = [
            Refusal::bad_request("nickname", "A nickname has 2 to 50 letters, digits, _ or -."),
            Refusal::Unauthenticated,
            Refusal::TokenInvalid,
            Refusal::TokenExpired,
            Refusal::TokenReused,
            Refusal::BadCredentials,
            Refusal::UsernameTaken,
            Refusal::PasswordWeak { why: "A password has 8 to 128 characters.".to_owned() },
            Refusal::MfaRequired { ticket: None },
            Refusal::MfaRequired { ticket: Some(Box::new(mfa_ticket())) },
            Refusal::ProofRequired { challenge: Box::new(riddle()) },
            Refusal::Forbidden { action: Action::RemoveMember },
            Refusal::ScopeMissing { scope: crate::domain::Scope::MessagesWrite },
            Refusal::Muted { until: Time::from_ms(0) },
            Refusal::TrustTooLow { needed: Trust::Established, earned: Earned::default() },
            Refusal::AgeUnverified,
            Refusal::RoomArchived,
            Refusal::PinRequired,
            Refusal::PinWrong,
            Refusal::ApprovalRequired,
            Refusal::InviteOver,
            Refusal::Outdated,
            Refusal::NotFound,
            Refusal::Underage,
            Refusal::TooYoung { years: 21 },
            Refusal::GeoBlocked,
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
            Refusal::RequestPending { limit: 5 },
            Refusal::Conflict,
            Refusal::OnceMismatch,
            Refusal::OnceInProgress,
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
            Refusal::TooLarge { limit_bytes: 104_857_600 },
            Refusal::QuotaFull { what: "bytes", limit: 1_073_741_824 },
            Refusal::TypeNotTaken { media_type: "text/html" },
            Refusal::DiskFull,
            Refusal::FfmpegMissing,
            Refusal::Unavailable { what: "The recordings" },
            Refusal::RangeNotSatisfiable { size_bytes: 1_000 },
            Refusal::NotInMatch,
            Refusal::Crowded { retry_after_ms: 2_000 },
            Refusal::NodeUnavailable { retry_after_ms: 1_000 },
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
