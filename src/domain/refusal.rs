use super::{
    Action, Scope, Time,
    account::{MfaTicket, ProofChallenge},
    case::Taken,
    trust::{Earned, Trust},
};

/// Why something that somebody asked for was not done. Its text is a sentence for that person; the edge gives each
/// variant its stable code.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// A field is missing or out of range.
    #[error("{why}")]
    BadRequest {
        /// Which, as the wire spells it.
        field: &'static str,
        /// What would be right.
        why: String,
    },
    /// No token came along.
    #[error("Log in first.")]
    Unauthenticated,
    /// The token or ticket is none of ours, or was revoked.
    #[error("This login is not valid. Log in again.")]
    TokenInvalid,
    /// The token's time is over.
    #[error("This login has expired. Refresh it or log in again.")]
    TokenExpired,
    /// A refresh token came a second time: all that grew out of the same login is revoked.
    #[error("This login was used twice and is no longer valid. Log in again.")]
    TokenReused,
    /// The name or the password is wrong, or the code, or the passkey.
    #[error("This is not right. Check the name and the password, or the code.")]
    BadCredentials,
    /// Somebody has the name, or one that looks like it.
    #[error("This name is taken, or looks too much like one that is.")]
    UsernameTaken,
    /// The password is easily guessed.
    #[error("{why}")]
    PasswordWeak {
        /// Why.
        why: String,
    },
    /// A second factor has to be shown first.
    #[error("{}", second_factor(ticket.is_some()))]
    MfaRequired {
        /// With what a login goes on; `None`: this login has not passed one, and the role on the site rests until it has.
        ticket: Option<Box<MfaTicket>>,
    },
    /// A proof of work has to be shown first.
    #[error("Many come from where you are. Your device has to solve a small riddle first.")]
    ProofRequired {
        /// The riddle.
        challenge: Box<ProofChallenge>,
    },
    /// The role does not allow it.
    #[error("Your role does not allow this.")]
    Forbidden {
        /// What.
        action: Action,
    },
    /// The key that came along is not for this.
    #[error("This key may not do that: it lacks the scope {}.", scope.as_str())]
    ScopeMissing {
        /// What it lacks.
        scope: Scope,
    },
    /// They have no voice in this room for now.
    #[error("You are muted in this room for now.")]
    Muted {
        /// Until when.
        until: Time,
    },
    /// They have not shown enough of themselves.
    #[error("{}", too_new(*needed, earned))]
    TrustTooLow {
        /// What it takes.
        needed: Trust,
        /// What they have.
        earned: Earned,
    },
    /// The room is for those whose age is verified.
    #[error("This room is for people whose age is verified.")]
    AgeUnverified,
    /// The room is put away.
    #[error("This room is archived: it can be read, and nothing else.")]
    RoomArchived,
    /// The room opens by a PIN that they did not say.
    #[error("This room has a PIN. Say it to come in.")]
    PinRequired,
    /// The PIN is another.
    #[error("This is not the room's PIN.")]
    PinWrong,
    /// Somebody of the room has to let them in first.
    #[error("Ask to join: a moderator of this room lets people in.")]
    ApprovalRequired,
    /// The link is over, used up or revoked.
    #[error("This invitation is not valid any more.")]
    InviteOver,
    /// What they want to change has changed since they looked.
    #[error("This has changed since you looked. Look again.")]
    Outdated,
    /// No such thing, or not for this person.
    #[error("There is no such thing, or it is not for you.")]
    NotFound,
    /// Under 18, or no attestation.
    #[error("You must be 18 or older to enter.")]
    Underage,
    /// Younger than their cluster asks for.
    #[error("You must be {years} or older to enter here.")]
    TooYoung {
        /// How old one has to be.
        years: u8,
    },
    /// The operator lets nobody in from where they are.
    #[error("This place cannot be entered from the country that you are in.")]
    GeoBlocked,
    /// A moderator of the site keeps them out.
    #[error("You are banned from this server. The reason: {reason}")]
    Banned {
        /// What the moderator said.
        reason: String,
        /// Until when; `None`: for good.
        until: Option<Time>,
    },
    /// The call is recorded, and they have not said that they agree.
    #[error("This call is being recorded. Join once you agree to that.")]
    RecordingConsent,
    /// A host lets nobody new in.
    #[error("This room is locked. Nobody new can come in.")]
    RoomLocked,
    /// A host lets people in one by one.
    #[error("Wait here: a host lets you in.")]
    Waiting,
    /// More people wait than a call lets wait.
    #[error("{limit} people wait for this call already. Try again later.")]
    WaitingRoomFull {
        /// How many may.
        limit: u32,
    },
    /// A host did not let them in.
    #[error("The host did not let you in.")]
    Denied {
        /// When they may knock again, in milliseconds from now.
        retry_after_ms: u64,
    },
    /// A host holds their microphone, or what else it is, muted.
    #[error("A host has muted you.")]
    MutedByHost,
    /// A host does not let them send from there.
    #[error("A host does not let you use that now.")]
    DisabledByHost,
    /// No seat is free.
    #[error("This room is full: it has {limit} seats.")]
    RoomFull {
        /// How many seats there are.
        limit: u32,
    },
    /// The room needs an invitation.
    #[error("This room is private. You need an invitation.")]
    RoomPrivate,
    /// They were removed from this room.
    #[error("You were removed from this room.")]
    Removed,
    /// They are not in this room.
    #[error("Join the room first.")]
    NotInRoom,
    /// They are not in this room's call.
    #[error("Join the call first.")]
    NotInCall,
    /// More text than the room takes.
    #[error("This message is too long: {length} characters, and {limit} are allowed.")]
    MessageTooLong {
        /// Unicode scalars allowed.
        limit: usize,
        /// Unicode scalars it has.
        length: usize,
    },
    /// No text.
    #[error("This message is empty.")]
    MessageEmpty,
    /// Nobody writes in this thread any more.
    #[error("This thread is locked.")]
    ThreadLocked,
    /// There are as many as may be.
    #[error("There are {limit} {what} already, and no more are allowed.")]
    TooMany {
        /// Of what, as the sentence needs it.
        what: &'static str,
        /// How many may be.
        limit: u32,
    },
    /// Something else was asked under the same `Idempotency-Key`.
    #[error("Something else was asked for under this Idempotency-Key. Take another one.")]
    OnceMismatch,
    /// The same request is being done right now.
    #[error("The same request is being done right now. Ask again in a moment.")]
    OnceInProgress,
    /// Nobody has accepted their message request yet.
    #[error("Wait until this is accepted: a request has up to {limit} messages, of text alone.")]
    RequestPending {
        /// How many messages it may have.
        limit: u32,
    },
    /// The client id was used with other content.
    #[error("This message id was used for another message.")]
    Conflict,
    /// Too much in too little time.
    #[error("You are doing this too fast. Try again in {}.", seconds(*retry_after_ms))]
    RateLimited {
        /// Which limit.
        limit: &'static str,
        /// When it would be allowed, in milliseconds from now.
        retry_after_ms: u64,
    },
    /// The SDP could not be read.
    #[error("The call could not be set up: the offer is malformed ({0}).")]
    BadSdp(String),
    /// The SDP has no ICE credentials.
    #[error("The call could not be set up: the offer has no ICE credentials.")]
    NoIce,
    /// The SDP has no DTLS fingerprint.
    #[error("The call could not be set up: the offer has no fingerprint.")]
    NoFingerprint,
    /// The SDP has more m-lines than the server takes.
    #[error("The call could not be set up: the offer has too many media lines.")]
    TooManyMedia,
    /// The SDP has no codec that the server takes.
    #[error("The call could not be set up: your browser offers no codec that this server knows.")]
    UnsupportedCodecs,
    /// No media port, or the call's part of the server broke down.
    #[error("Calls are not available right now.")]
    CallUnavailable,
    /// Somebody was first, or it is not the time for this: what runs, or what was decided, stands.
    #[error("{0}")]
    Taken(&'static str),
    /// Somebody else has taken the case, or has decided it.
    #[error("{}", taken(by))]
    CaseTaken {
        /// Who, and what.
        by: Box<Taken>,
    },
    /// The operator has switched this off.
    #[error("This server does not offer that: {feature} is switched off.")]
    FeatureOff {
        /// What.
        feature: &'static str,
    },
    /// The file is larger than its kind may be, or than was announced.
    #[error("This file is too large: {limit_bytes} bytes are allowed.")]
    TooLarge {
        /// How many bytes are.
        limit_bytes: u64,
    },
    /// They have as much here as one person may.
    #[error("You have as many files here as you may. Delete some, or wait until those that are unfinished have gone.")]
    QuotaFull {
        /// Of what: `bytes` or `unfinishedUploads`.
        what: &'static str,
        /// How much that is.
        limit: u64,
    },
    /// Files of this type are not taken.
    #[error("Files of this type ({media_type}) are not taken here.")]
    TypeNotTaken {
        /// The type, by the file's bytes.
        media_type: &'static str,
    },
    /// No room for a recording.
    #[error("There is no room on the server's disk for a recording.")]
    DiskFull,
    /// The program `ffmpeg` is not there.
    #[error("The server has no ffmpeg, which this needs.")]
    FfmpegMissing,
    /// A part that this needs does not answer now.
    #[error("{what} cannot be reached right now. Try again in a moment.")]
    Unavailable {
        /// Which part, as a sentence begins with it.
        what: &'static str,
    },
    /// What this needs lives on another node, which does not answer now.
    #[error("A part of this server cannot be reached right now. Try again in {}.", seconds(*retry_after_ms))]
    NodeUnavailable {
        /// When to try again, in milliseconds from now.
        retry_after_ms: u64,
    },
    /// Nothing of what was asked for lies within the file.
    #[error("The file is shorter than that: it has {size_bytes} bytes.")]
    RangeNotSatisfiable {
        /// The file's size.
        size_bytes: u64,
    },
    /// They are in no such match, or it is over.
    #[error("This match is over.")]
    NotInMatch,
    /// Too many people do the same right now.
    #[error("Too many people search right now. Try again in {}.", seconds(*retry_after_ms))]
    Crowded {
        /// When to try again, in milliseconds from now.
        retry_after_ms: u64,
    },
    /// Our fault. What it was is for the log, not for people.
    #[error("Something went wrong on our side.")]
    Internal(String),
}

impl Refusal {
    /// A field is missing or out of range.
    pub fn bad_request(field: &'static str, why: impl Into<String>) -> Self {
        Self::BadRequest { field, why: why.into() }
    }
}

fn too_new(needed: Trust, earned: &Earned) -> String {
    let needs = needed.needs();
    let (days, messages) = (earned.age_days, earned.messages);
    let of = |n: u64, thing: &str| if n == 1 { format!("{n} {thing}") } else { format!("{n} {thing}s") };
    format!(
        "This takes more trust than you have yet: {} here and {} ({needed}). You have been here for {} and wrote {}.",
        of(needs.age_days.into(), "day"),
        of(needs.messages, "message"),
        of(days.into(), "day"),
        of(messages, "message"),
        needed = needed.as_str(),
    )
}

fn taken(by: &Taken) -> String {
    match by {
        Taken::Claimed(claim) => format!("{} has taken this case.", claim.by.nickname),
        Taken::Decided(decision) => format!("{} has decided this case.", decision.by.nickname),
    }
}

fn second_factor(is_login: bool) -> &'static str {
    if is_login {
        "One more step: show your second factor."
    } else {
        "Your role rests until this login has passed a second factor."
    }
}

fn seconds(ms: u64) -> String {
    match ms.div_ceil(1000) {
        0 | 1 => "a second".to_owned(),
        s if s < 120 => format!("{s} seconds"),
        s => format!("{} minutes", s.div_ceil(60)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waiting_is_told_in_words() {
        let sentence = |retry_after_ms| Refusal::RateLimited { limit: "message", retry_after_ms }.to_string();
        assert_eq!(sentence(1), "You are doing this too fast. Try again in a second.");
        assert_eq!(sentence(2_001), "You are doing this too fast. Try again in 3 seconds.");
        assert_eq!(sentence(125_000), "You are doing this too fast. Try again in 3 minutes.");
    }
}
