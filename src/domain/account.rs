//! What logging in with an account may ask for besides a password.

use serde::{Deserialize, Serialize};

/// Something that shows, besides the password, that it is the account's owner.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "camelCase")]
pub enum SecondFactor {
    /// A code of six digits from an app (RFC 6238).
    Totp,
    /// One of the codes that were given out for the day on which the app is lost.
    RecoveryCode,
    /// A passkey (WebAuthn).
    Passkey,
}

/// The password was right; this goes on from there, once and soon.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, utoipa::ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct MfaTicket {
    /// A secret.
    pub ticket: String,
    /// By what to go on.
    pub methods: Vec<SecondFactor>,
    /// For how long it is good, in seconds.
    pub expires_in_s: u64,
}

/// A riddle that costs a machine a moment and a spammer a fleet (as ALTCHA has it): the number from 0 to `maxnumber` for which the
/// SHA-256 of `salt` and the number, in decimal, is `challenge`, in hexadecimal.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, utoipa::ToSchema)]
pub struct ProofChallenge {
    /// Always `SHA-256`.
    pub algorithm: &'static str,
    /// The hash to be met.
    pub challenge: String,
    /// What stands in front of the number; until when it is good stands in it.
    pub salt: String,
    /// The largest number that it may be.
    pub maxnumber: u64,
    /// That it is ours.
    pub signature: String,
}

/// A solved [`ProofChallenge`].
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, utoipa::ToSchema)]
pub struct Proof {
    /// As it was given.
    pub challenge: String,
    /// As it was given.
    pub salt: String,
    /// As it was given.
    pub signature: String,
    /// The number that was found.
    pub number: u64,
}
