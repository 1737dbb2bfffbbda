//! Links to one file, for players that cannot send a token.

use std::time::Duration;

use ring::hmac;
use serde::{Deserialize, Serialize};

use super::{Found, Recordings, Seen};
use crate::domain::{Caller, FileId, RecordingId, Refusal, Time, UserId, ban::Sentence};
use crate::store::Bound;

/// How long a link is good.
const VALID: Duration = Duration::from_secs(3600);
/// What tells this use of the server's secret from any other.
const PURPOSE: &[u8] = b"parlor: links to recorded files";

/// What proves that somebody was given a link to a file.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Link {
    /// To whom it was given.
    pub user: UserId,
    /// Until when it is good, in seconds since 1970.
    pub expires: i64,
    /// The signature of all that, and of the file, in hexadecimal.
    pub signature: String,
}

/// A link that was made just now.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Linked {
    /// What goes into the address.
    pub link: Link,
    /// Until when it is good.
    pub expires_at: Time,
}

pub(super) struct Signer(hmac::Key);

impl Signer {
    pub(super) fn new(secret: &[u8]) -> Self {
        let derived = hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, secret), PURPOSE);
        Self(hmac::Key::new(hmac::HMAC_SHA256, derived.as_ref()))
    }

    fn sign(&self, recording: RecordingId, file: FileId, user: UserId, expires: i64) -> Link {
        let tag = hmac::sign(&self.0, text(recording, file, user, expires).as_bytes());
        let signature = tag.as_ref().iter().map(|byte| format!("{byte:02x}")).collect();
        Link { user, expires, signature }
    }

    fn is_signed(&self, recording: RecordingId, file: FileId, link: &Link) -> bool {
        let Some(signature) = bytes_of(&link.signature) else { return false };
        let text = text(recording, file, link.user, link.expires);
        hmac::verify(&self.0, text.as_bytes(), &signature).is_ok()
    }
}

fn text(recording: RecordingId, file: FileId, user: UserId, expires: i64) -> String {
    format!("{recording}/{file}/{user}/{expires}")
}

fn bytes_of(hexadecimal: &str) -> Option<Vec<u8>> {
    let (pairs, rest) = hexadecimal.as_bytes().as_chunks::<2>();
    let byte = |pair: &[u8; 2]| u8::from_str_radix(std::str::from_utf8(pair).ok()?, 16).ok();
    if rest.is_empty() && pairs.len() == hmac::HMAC_SHA256.digest_algorithm().output_len() {
        pairs.iter().map(byte).collect()
    } else {
        None
    }
}

impl Recordings {
    /// A link to a file that somebody may see.
    ///
    /// # Errors
    /// As [`Recordings::file`].
    pub async fn link(&self, caller: &Caller, recording: RecordingId, file: FileId) -> Result<Linked, Refusal> {
        self.file(caller, recording, file).await?;
        let expires_at = Time::from_ms(Time::now().after(VALID).as_s() * 1000);
        let link = self.0.signer.sign(recording, file, caller.user.id, expires_at.as_s());
        Ok(Linked { link, expires_at })
    }

    /// The file of a link. Whom it was given to must still be allowed to see it.
    ///
    /// # Errors
    /// `token_invalid` (not signed by us), `token_expired`, `banned`, `not_found`, `unavailable` (not ready), `internal`.
    pub async fn linked(&self, recording: RecordingId, file: FileId, link: &Link) -> Result<Found, Refusal> {
        if !self.0.signer.is_signed(recording, file, link) {
            return Err(Refusal::TokenInvalid);
        }
        if link.expires <= Time::now().as_s() {
            return Err(Refusal::TokenExpired);
        }
        let person = self.0.ground.store.user(link.user).await?.ok_or(Refusal::NotFound)?;
        // Nobody is kept in by a link who is kept out.
        let bound = Bound { user: Some(link.user), ..Bound::default() };
        if let Some(Sentence { reason, until }) = self.0.ground.store.sentence(bound, Time::now()).await? {
            return Err(Refusal::Banned { reason, until });
        }
        let Seen { recording, .. } = self.see(&person.user, recording).await?;
        super::look::find(&recording, file)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_link_is_good_for_its_file_and_its_reader_alone() {
        let signer = Signer::new(b"a secret of thirty-two bytes here");
        let (recording, file, user) = (RecordingId::new(), FileId::new(), UserId::new());
        let link = signer.sign(recording, file, user, 1_000);
        assert!(signer.is_signed(recording, file, &link));
        assert!(!signer.is_signed(recording, FileId::new(), &link));
        assert!(!signer.is_signed(RecordingId::new(), file, &link));
        assert!(!signer.is_signed(recording, file, &Link { expires: 2_000, ..link.clone() }));
        assert!(!signer.is_signed(recording, file, &Link { user: UserId::new(), ..link.clone() }));
        for signature in ["", "00", "zz", &"é".repeat(32), &format!("{}00", link.signature), &"0".repeat(64)] {
            assert!(!signer.is_signed(recording, file, &Link { signature: signature.to_owned(), ..link.clone() }));
        }
        assert!(!Signer::new(b"another secret").is_signed(recording, file, &link));
    }
}
