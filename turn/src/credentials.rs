//! TURN credentials that a TURN server checks without asking us.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use ring::hmac;

use crate::config::Secret;

/// A user name and password for TURN, good until the time written in the name (draft-uberti-behave-turn-rest).
#[derive(Clone, PartialEq, Eq)]
pub struct Credentials {
    /// `expiry:user`, the expiry in seconds since 1970.
    pub username: String,
    /// base64(HMAC-SHA1(secret, username)).
    pub credential: String,
}

impl Credentials {
    /// Makes the pair for `user`, valid from `now_unix_s` for `ttl_s` seconds. `user` is any text; it appears in the logs
    /// of the TURN server, so give it an id, not a name.
    #[must_use]
    pub fn make(secret: &Secret, user: &str, now_unix_s: u64, ttl_s: u32) -> Self {
        let expiry = now_unix_s.saturating_add(u64::from(ttl_s));
        let username = format!("{expiry}:{user}");
        // SHA-1 is the draft's, and what coturn computes; as an HMAC it is still sound.
        let key = hmac::Key::new(hmac::HMAC_SHA1_FOR_LEGACY_USE_ONLY, secret.as_bytes());
        let credential = STANDARD.encode(hmac::sign(&key, username.as_bytes()));
        Self { username, credential }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// `printf 4600:ada | openssl dgst -sha1 -hmac north -binary | base64`
    #[test]
    fn matches_openssl() {
        let pair = Credentials::make(&Secret::from(String::from("north")), "ada", 1000, 3600);
        assert_eq!(pair.username, "4600:ada");
        assert_eq!(pair.credential, "0JJtCRGEP3odSXCX4I+WMiRVGmw=");
    }

    #[test]
    fn user_and_secret_change_the_password() {
        let of =
            |secret: &str, user: &str| Credentials::make(&Secret::from(String::from(secret)), user, 0, 60).credential;
        assert_ne!(of("north", "ada"), of("south", "ada"));
        assert_ne!(of("north", "ada"), of("north", "bob"));
    }
}
