//! Requests that are to be done once, however often they arrive (draft-ietf-httpapi-idempotency-key-header).
//!
//! The database gets neither what was asked nor what was answered in clear: hashes and seals have a key that grows out of the
//! server's secret and of the name that the client gave, and of that name the database has a hash alone. So an answer may hold what
//! is told but once: the secret of a key, the code of an invitation.

use std::time::Duration;

use ring::{
    aead::{self, AES_256_GCM, Aad, LessSafeKey, Nonce, UnboundKey},
    hmac,
    rand::{SecureRandom as _, SystemRandom},
};

use super::Auth;
use crate::{
    domain::{Refusal, Time, UserId},
    store::{ONCE, OnceFound, OnceRow},
};

/// How long an answer is kept: a client that was away for longer looks what became of its request.
const KEPT: Duration = Duration::from_secs(24 * 3600);
/// How long a request may take before whoever did it counts as gone: longer than any request is given, the longest of which is an upload.
const DONE_WITHIN: Duration = Duration::from_secs(120);
/// The longest name of a request, in bytes; a UUID has 36.
const ONCE_KEY_BYTES: usize = 255;

/// A request that somebody named.
#[derive(Debug)]
pub struct Once {
    row: OnceRow,
    seal: LessSafeKey,
}

/// What there is to do about it.
#[derive(Debug)]
pub enum Begun {
    /// To do it, and to say what came of it.
    First(Box<Once>),
    /// To answer what was answered.
    Again(Vec<u8>),
}

impl Auth {
    /// Begins a request of somebody under the name that they gave it; `asked` is all that makes it what it is.
    ///
    /// # Errors
    /// `bad_request` (`Idempotency-Key`), `idempotency_mismatch` (something else was asked by that name), `idempotency_in_progress`,
    /// `too_many`, `internal`.
    pub async fn begin_once(&self, user: UserId, name: &str, asked: &[&[u8]]) -> Result<Begun, Refusal> {
        let is_name = (1..=ONCE_KEY_BYTES).contains(&name.len()) && name.bytes().all(|byte| byte.is_ascii_graphic());
        if !is_name {
            let why = format!("A request's name has 1 to {ONCE_KEY_BYTES} visible ASCII characters.");
            return Err(Refusal::bad_request("Idempotency-Key", why));
        }
        let once = Once::new(&self.0.keys.once(user, name), user, asked);
        let now = once.row.begun_at;
        match self.0.store.begin_once(&once.row, ago(now, KEPT), ago(now, DONE_WITHIN)).await? {
            OnceFound::New => Ok(Begun::First(Box::new(once))),
            OnceFound::Done { same: true, answer } => Ok(Begun::Again(once.open(&answer)?)),
            OnceFound::Begun { same: true } => Err(Refusal::OnceInProgress),
            OnceFound::Begun { same: false } | OnceFound::Done { same: false, .. } => Err(Refusal::OnceMismatch),
            OnceFound::TooMany => Err(Refusal::TooMany { what: "requests with a name of yours", limit: ONCE as u32 }),
        }
    }

    /// Keeps what the request was answered, for a day.
    ///
    /// # Errors
    /// `internal`.
    pub async fn finish_once(&self, once: &Once, answer: &[u8]) -> Result<(), Refusal> {
        Ok(self.0.store.finish_once(&once.row, &once.seal(answer)).await?)
    }

    /// The request was refused: nothing was done, and its name is free again.
    ///
    /// # Errors
    /// `internal`.
    pub async fn forget_once(&self, once: &Once) -> Result<(), Refusal> {
        Ok(self.0.store.forget_once(&once.row).await?)
    }

    /// Forgets what was answered more than a day ago.
    pub(super) async fn sweep_once(&self, now: Time) -> Result<u64, Refusal> {
        Ok(self.0.store.sweep_once(ago(now, KEPT)).await?)
    }
}

fn ago(now: Time, span: Duration) -> Time {
    Time::from_ms(now.as_ms().saturating_sub(i64::try_from(span.as_millis()).unwrap_or(i64::MAX)))
}

impl Once {
    fn new(key: &hmac::Key, user: UserId, asked: &[&[u8]]) -> Self {
        let mut request = hmac::Context::with_key(key);
        request.update(b"request");
        for part in asked {
            request.update(&(part.len() as u64).to_be_bytes());
            request.update(part);
        }
        let seal = UnboundKey::new(&AES_256_GCM, hmac::sign(key, b"seal").as_ref()).expect("32 bytes are a key");
        let row = OnceRow {
            user,
            key_hash: hmac::sign(key, b"name").as_ref().to_vec(),
            request_hash: request.sign().as_ref().to_vec(),
            begun_at: Time::now(),
        };
        Self { row, seal: LessSafeKey::new(seal) }
    }

    fn seal(&self, plain: &[u8]) -> Vec<u8> {
        let mut nonce = [0; aead::NONCE_LEN];
        SystemRandom::new().fill(&mut nonce).expect("the operating system has randomness");
        let mut sealed = plain.to_vec();
        self.seal
            .seal_in_place_append_tag(Nonce::assume_unique_for_key(nonce), self.bound_to(), &mut sealed)
            .expect("an answer is short");
        [&nonce[..], &sealed].concat()
    }

    fn open(&self, sealed: &[u8]) -> Result<Vec<u8>, Refusal> {
        let unreadable = || Refusal::Internal("what a request was answered does not open".to_owned());
        let (nonce, text) = sealed.split_at_checked(aead::NONCE_LEN).ok_or_else(unreadable)?;
        let nonce = Nonce::try_assume_unique_for_key(nonce).map_err(|_| unreadable())?;
        let mut text = text.to_vec();
        let plain = self.seal.open_in_place(nonce, self.bound_to(), &mut text).map_err(|_| unreadable())?;
        Ok(plain.to_vec())
    }

    fn bound_to(&self) -> Aad<&[u8]> {
        Aad::from(self.row.request_hash.as_slice())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::auth::keys::Keys;

    fn once(secret: &[u8], user: UserId, name: &str, asked: &[&[u8]]) -> Once {
        Once::new(&Keys::new(secret).once(user, name), user, asked)
    }

    #[test]
    fn an_answer_opens_for_the_same_request_of_the_same_person_alone() {
        let (ada, bea) = (UserId::new(), UserId::new());
        let asked: &[&[u8]] = &[b"POST", b"/rooms", b"{}"];
        let first = once(b"secret", ada, "k-1", asked);
        let sealed = first.seal(b"the code is 1234");
        assert!(!sealed.windows(4).any(|part| part == b"1234"));
        assert_eq!(once(b"secret", ada, "k-1", asked).open(&sealed).unwrap(), b"the code is 1234");
        for other in [
            once(b"other", ada, "k-1", asked),
            once(b"secret", bea, "k-1", asked),
            once(b"secret", ada, "k-2", asked),
            once(b"secret", ada, "k-1", &[b"POST", b"/rooms{}", b""]),
        ] {
            assert!(other.open(&sealed).is_err());
            assert_ne!((&other.row.key_hash, &other.row.request_hash), (&first.row.key_hash, &first.row.request_hash));
        }
        assert!(first.open(b"short").is_err());
    }
}
