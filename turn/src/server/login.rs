//! Who asks: the long-term credential mechanism (RFC 8489 section 9.2) over time-limited credentials.

use super::requests::MOST_AGE;
use super::{Now, Server};
use crate::allocation::Client;
use crate::attributes::{NONCE, PASSWORD_ALGORITHM, PASSWORD_ALGORITHMS, REALM, USERNAME};
use crate::counts::Refusal;
use crate::credentials::{PasswordAlgorithm, key, read_username};
use crate::message::{Integrity, Message};

/// The longest user name that RFC 8489 allows, in bytes.
const MAX_USERNAME_BYTES: usize = 508;

/// Somebody who has shown the password.
pub(super) struct Login<'a> {
    pub(super) username: &'a str,
    /// The part behind the time.
    pub(super) user: &'a str,
    pub(super) signature: Signature,
}

/// How answers to this request are signed: as the request was.
#[derive(Clone)]
pub(super) struct Signature {
    pub(super) integrity: Integrity,
    pub(super) key: Vec<u8>,
}

impl Server {
    /// Checks integrity, nonce, realm and time; the refusal, if one of them is wrong.
    pub(super) fn login<'a>(&self, now: Now, from: Client, message: &Message<'a>) -> Result<Login<'a>, Refusal> {
        let rules = self.rules.as_ref().ok_or(Refusal::Unauthenticated)?;
        let integrity = message.integrity().ok_or(Refusal::Unauthenticated)?;
        let text = |kind| message.attribute(kind).and_then(|value| std::str::from_utf8(value).ok());
        let (Some(username), Some(realm), Some(nonce)) = (text(USERNAME), text(REALM), message.attribute(NONCE)) else {
            return Err(Refusal::BadRequest);
        };
        if username.len() > MAX_USERNAME_BYTES {
            return Err(Refusal::BadRequest);
        }
        // Before the password: it is cheap, and only who is really there has a nonce that is fresh.
        if !self.nonces.is_fresh(now.instant, from.remote(), nonce) {
            return Err(Refusal::StaleNonce);
        }
        if realm != rules.realm {
            return Err(Refusal::Unauthenticated);
        }
        let algorithm = algorithm(message)?;
        let (expiry, user) = read_username(username).ok_or(Refusal::Unauthenticated)?;
        // A call may last longer than a credential. Who made the allocation in time may keep it.
        let is_holder = || {
            let held = self.clients.get(&from).and_then(|id| self.allocations.at(*id));
            held.is_some_and(|allocation| &*allocation.username == username && now.instant < allocation.made + MOST_AGE)
        };
        if expiry <= now.unix_s && !is_holder() {
            return Err(Refusal::Unauthenticated);
        }
        let key = key(&rules.secret, username, realm, algorithm);
        if !message.is_signed_with(&key) {
            return Err(Refusal::Unauthenticated);
        }
        Ok(Login { username, user, signature: Signature { integrity, key } })
    }
}

/// Which hash makes the key. A client that knows of them repeats our offer, so that nobody in between can weaken it.
fn algorithm(message: &Message<'_>) -> Result<PasswordAlgorithm, Refusal> {
    match (message.attribute(PASSWORD_ALGORITHMS), message.attribute(PASSWORD_ALGORITHM)) {
        (None, None) => Ok(PasswordAlgorithm::Md5),
        (Some(offer), Some(chosen)) if offer == PasswordAlgorithm::OFFER => {
            PasswordAlgorithm::read(chosen).ok_or(Refusal::BadRequest)
        }
        _ => Err(Refusal::BadRequest),
    }
}
