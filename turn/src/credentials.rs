//! TURN credentials that a TURN server checks without asking us.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use md5::{Digest as _, Md5};
use ring::{digest, hmac};

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
        let credential = password(secret, &username);
        Self { username, credential }
    }
}

/// The password of a user name.
fn password(secret: &Secret, username: &str) -> String {
    // SHA-1 is the draft's, and what coturn computes; as an HMAC it is still sound.
    let key = hmac::Key::new(hmac::HMAC_SHA1_FOR_LEGACY_USE_ONLY, secret.as_bytes());
    STANDARD.encode(hmac::sign(&key, username.as_bytes()))
}

/// What a user name says: until when it is good (seconds since 1970), and whose it is. The draft also has names that are a
/// time alone.
pub(crate) fn read_username(username: &str) -> Option<(u64, &str)> {
    let (expiry, user) = username.split_once(':').unwrap_or((username, ""));
    let is_number = !expiry.is_empty() && expiry.bytes().all(|byte| byte.is_ascii_digit());
    Some((is_number.then(|| expiry.parse().ok())??, user))
}

/// How the key is made of the password (RFC 8489 section 18.5).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum PasswordAlgorithm {
    Md5,
    Sha256,
}

impl PasswordAlgorithm {
    /// The value of PASSWORD-ALGORITHMS: both, the stronger first; numbers and parameter lengths.
    pub(crate) const OFFER: [u8; 8] = [0, 2, 0, 0, 0, 1, 0, 0];

    /// Reads PASSWORD-ALGORITHM.
    pub(crate) fn read(value: &[u8]) -> Option<Self> {
        match value {
            [0, 1, 0, 0] => Some(Self::Md5),
            [0, 2, 0, 0] => Some(Self::Sha256),
            _ => None,
        }
    }
}

impl Credentials {
    /// The key that signs a client's requests in this realm (RFC 8489 section 9.2.2, MD5).
    #[must_use]
    pub fn key(&self, realm: &str) -> Vec<u8> {
        Md5::digest(format!("{}:{realm}:{}", self.username, self.credential).as_bytes()).to_vec()
    }
}

/// The key of the long-term credential that this user name has (RFC 8489 section 9.2.2).
pub(crate) fn key(secret: &Secret, username: &str, realm: &str, algorithm: PasswordAlgorithm) -> Vec<u8> {
    let line = format!("{username}:{realm}:{}", password(secret, username));
    match algorithm {
        PasswordAlgorithm::Md5 => Md5::digest(line.as_bytes()).to_vec(),
        PasswordAlgorithm::Sha256 => digest::digest(&digest::SHA256, line.as_bytes()).as_ref().to_vec(),
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

    #[test]
    fn user_names_say_until_when() {
        assert_eq!(read_username("4600:ada"), Some((4600, "ada")));
        assert_eq!(read_username("4600:a:b"), Some((4600, "a:b")));
        assert_eq!(read_username("4600"), Some((4600, "")));
        for bad in ["", ":ada", "ada", "+5:ada", "-1:ada", " 5:ada", "99999999999999999999:ada"] {
            assert_eq!(read_username(bad), None, "{bad}");
        }
    }
}
