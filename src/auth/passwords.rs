//! Passwords: what is one, and hashing them without giving the machine away.

use std::sync::Arc;

use argon2::{
    Algorithm, Argon2, Params, Version,
    password_hash::{PasswordHasher as _, PasswordVerifier as _, phc::PasswordHash},
};
use tokio::sync::Semaphore;
use unicode_normalization::UnicodeNormalization as _;

use crate::domain::Refusal;

/// Of a password, in characters: NIST SP 800-63B wants 8 at least and 64 or more at most.
const SHORTEST: usize = 8;
const LONGEST: usize = 128;
/// Memory of one hash in KiB, and passes: OWASP's first choice for Argon2id.
const MEMORY_KIB: u32 = 19 * 1024;
const PASSES: u32 = 2;
/// How our own hashes begin. Others are replaced at their owner's next login.
const OURS: &str = "$argon2id$v=19$m=19456,t=2,p=1$";
/// Hashes that wait for their turn; further ones are refused. At 50 ms each the last waits for some seconds.
const QUEUE: usize = 128;
/// The dearest bcrypt hash that is verified, as the logarithm of its rounds: an import must not stall logins.
const DEAREST_BCRYPT: u32 = 14;
/// What everybody tries first.
const COMMONEST: [&str; 24] = [
    "password",
    "passwort",
    "12345678",
    "123456789",
    "1234567890",
    "qwertyui",
    "qwerty123",
    "qwertyuiop",
    "iloveyou",
    "password1",
    "password123",
    "11111111",
    "00000000",
    "abc12345",
    "abcd1234",
    "1q2w3e4r",
    "1qaz2wsx",
    "letmein1",
    "welcome1",
    "sunshine",
    "princess",
    "football",
    "baseball",
    "trustno1",
];

/// Hashes passwords, a few at once.
pub(super) struct Passwords {
    turns: Arc<Semaphore>,
    queue: Semaphore,
}

/// How a password compares with a hash.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Match {
    Wrong,
    Right,
    /// It is right, and the hash is none that we would make now.
    Stale,
}

impl Passwords {
    pub(super) fn new(at_once: usize) -> Self {
        Self { turns: Arc::new(Semaphore::new(at_once.max(1))), queue: Semaphore::new(QUEUE) }
    }

    /// A hash of a password.
    ///
    /// # Errors
    /// `unavailable` (too many at once), `internal`.
    pub(super) async fn hash(&self, password: &str) -> Result<String, Refusal> {
        let password = normal(password);
        self.run(move || hashed(&password)).await?
    }

    /// Whether a password is that of a hash. Without one it takes as long, and is wrong.
    ///
    /// # Errors
    /// `unavailable` (too many at once), `internal`.
    pub(super) async fn compare(&self, password: &str, hash: Option<String>) -> Result<Match, Refusal> {
        if password.chars().count() > LONGEST {
            return Ok(Match::Wrong);
        }
        let password = password.to_owned();
        self.run(move || match hash {
            Some(hash) => Ok(compared(&password, &hash)),
            None => hashed(&password).map(|_| Match::Wrong),
        })
        .await?
    }

    async fn run<T: Send + 'static>(&self, work: impl FnOnce() -> T + Send + 'static) -> Result<T, Refusal> {
        let full = |_| Refusal::Unavailable { what: "The login" };
        let _waiting = self.queue.try_acquire().map_err(full)?;
        let turn = Arc::clone(&self.turns).acquire_owned().await.expect("the semaphore is never closed");
        let done = tokio::task::spawn_blocking(move || {
            // Held to the end of the work, even if nobody waits for it any more.
            let _turn = turn;
            work()
        });
        done.await.map_err(|error| Refusal::Internal(error.to_string()))
    }
}

/// Refuses (`password_weak`) what is easily guessed.
pub(super) fn check(password: &str, username: &str) -> Result<(), Refusal> {
    let weak = |why: &str| Err(Refusal::PasswordWeak { why: why.to_owned() });
    let length = password.chars().count();
    if !(SHORTEST..=LONGEST).contains(&length) {
        return weak(&format!("A password has {SHORTEST} to {LONGEST} characters."));
    }
    let lower = password.to_lowercase();
    let first = lower.chars().next();
    if lower.chars().all(|letter| Some(letter) == first) || COMMONEST.contains(&lower.as_str()) {
        return weak("This password is among the first that anybody tries.");
    }
    if lower.contains(&username.to_lowercase()) && length < username.chars().count() + SHORTEST {
        return weak("This password is hardly more than the username.");
    }
    Ok(())
}

/// The same password, however a keyboard composes its letters (NIST SP 800-63B, section 5.1.1.2).
fn normal(password: &str) -> String {
    password.nfkc().collect()
}

fn argon() -> Argon2<'static> {
    let params = Params::new(MEMORY_KIB, PASSES, 1, None).expect("OWASP's parameters are good");
    Argon2::new(Algorithm::Argon2id, Version::V0x13, params)
}

fn hashed(password: &str) -> Result<String, Refusal> {
    let hash = argon().hash_password(password.as_bytes()).map_err(|error| Refusal::Internal(error.to_string()))?;
    Ok(hash.to_string())
}

fn compared(password: &str, hash: &str) -> Match {
    if hash.starts_with("$2") {
        let cost = hash.get(4..6).and_then(|cost| cost.parse::<u32>().ok());
        let bearable = cost.is_some_and(|cost| cost <= DEAREST_BCRYPT);
        // bcrypt knows 72 bytes and no normal form.
        let right = bearable && bcrypt::verify(password, hash).unwrap_or(false);
        return if right { Match::Stale } else { Match::Wrong };
    }
    let Ok(parsed) = PasswordHash::new(hash) else { return Match::Wrong };
    match argon().verify_password(normal(password).as_bytes(), &parsed) {
        Ok(()) if hash.starts_with(OURS) => Match::Right,
        Ok(()) => Match::Stale,
        Err(_) => Match::Wrong,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_password_is_that_of_its_hash_alone() {
        let passwords = Passwords::new(1);
        let hash = passwords.hash("correct horse ｂattery").await.unwrap();
        assert!(hash.starts_with(OURS), "{hash}");
        assert_ne!(hash, passwords.hash("correct horse ｂattery").await.unwrap());
        let compare = |password| passwords.compare(password, Some(hash.clone()));
        assert_eq!(compare("correct horse battery").await.unwrap(), Match::Right);
        assert_eq!(compare("correct horse").await.unwrap(), Match::Wrong);
        assert_eq!(passwords.compare("correct horse battery", None).await.unwrap(), Match::Wrong);
        assert_eq!(passwords.compare("x", Some("nonsense".to_owned())).await.unwrap(), Match::Wrong);
    }

    #[tokio::test]
    async fn hashes_of_an_import_are_right_and_stale() {
        let passwords = Passwords::new(2);
        let imported = bcrypt::hash("an old password", 4).unwrap();
        assert_eq!(passwords.compare("an old password", Some(imported.clone())).await.unwrap(), Match::Stale);
        assert_eq!(passwords.compare("another", Some(imported.clone())).await.unwrap(), Match::Wrong);
        let endless = imported.replacen("$04$", "$31$", 1);
        assert_eq!(passwords.compare("an old password", Some(endless)).await.unwrap(), Match::Wrong);
    }

    #[test]
    fn what_is_easily_guessed_is_weak() {
        for good in ["correct horse battery", "zzzzzzzy", "adalovescake"] {
            check(good, "ada").unwrap();
        }
        for weak in ["short", "", "aaaaaaaaaa", "Password123", "ada12345", &"x".repeat(129)] {
            assert!(matches!(check(weak, "ada"), Err(Refusal::PasswordWeak { .. })), "{weak}");
        }
    }
}
