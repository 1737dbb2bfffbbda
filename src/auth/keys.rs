//! Keys that grow out of the server's secret, one for each use.

use ring::{
    aead::{self, AES_256_GCM, Aad, LessSafeKey, Nonce, UnboundKey},
    hmac,
    rand::{SecureRandom, SystemRandom},
    signature::{Ed25519KeyPair, KeyPair as _},
};

use crate::domain::{Refusal, UserId};

/// The keys of identity.
pub(super) struct Keys {
    seal: LessSafeKey,
    /// Signs riddles.
    pub(super) proof: hmac::Key,
    receipt: Ed25519KeyPair,
    once: hmac::Key,
}

impl Keys {
    pub(super) fn new(secret: &[u8]) -> Self {
        let seal = UnboundKey::new(&AES_256_GCM, &derived(secret, b"parlor: secrets of second factors"));
        Self {
            seal: LessSafeKey::new(seal.expect("32 bytes are a key")),
            proof: hmac::Key::new(hmac::HMAC_SHA256, &derived(secret, b"parlor: proofs of work")),
            receipt: Ed25519KeyPair::from_seed_unchecked(&derived(secret, b"parlor: receipts"))
                .expect("32 bytes are a seed"),
            once: hmac::Key::new(hmac::HMAC_SHA256, &derived(secret, b"parlor: requests that are done once")),
        }
    }

    /// A secret of somebody's, as the database may have it.
    pub(super) fn seal(&self, user: UserId, plain: &[u8]) -> Vec<u8> {
        let mut nonce = [0; aead::NONCE_LEN];
        SystemRandom::new().fill(&mut nonce).expect("the operating system has randomness");
        let mut sealed = plain.to_vec();
        self.seal
            .seal_in_place_append_tag(Nonce::assume_unique_for_key(nonce), bound_to(user), &mut sealed)
            .expect("a secret is short");
        [&nonce[..], &sealed].concat()
    }

    /// The secret again. Another person's, or one of another server's, does not open.
    pub(super) fn open(&self, user: UserId, sealed: &[u8]) -> Result<Vec<u8>, Refusal> {
        let unreadable = || Refusal::Internal("the secret of a second factor does not open".to_owned());
        let (nonce, text) = sealed.split_at_checked(aead::NONCE_LEN).ok_or_else(unreadable)?;
        let nonce = Nonce::try_assume_unique_for_key(nonce).map_err(|_| unreadable())?;
        let mut text = text.to_vec();
        let plain = self.seal.open_in_place(nonce, bound_to(user), &mut text).map_err(|_| unreadable())?;
        Ok(plain.to_vec())
    }

    /// The key of one request, by the name that somebody gave it.
    pub(super) fn once(&self, user: UserId, name: &str) -> hmac::Key {
        let mut context = hmac::Context::with_key(&self.once);
        context.update(user.as_uuid().as_bytes());
        context.update(name.as_bytes());
        hmac::Key::new(hmac::HMAC_SHA256, context.sign().as_ref())
    }

    /// Signs a receipt: Ed25519 (RFC 8032), in hexadecimal.
    pub(super) fn sign(&self, text: &str) -> String {
        hex(self.receipt.sign(text.as_bytes()).as_ref())
    }

    /// What receipts are verified with, in hexadecimal.
    pub(super) fn receipt_key(&self) -> String {
        hex(self.receipt.public_key().as_ref())
    }
}

fn bound_to(user: UserId) -> Aad<[u8; 16]> {
    Aad::from(*user.as_uuid().as_bytes())
}

fn derived(secret: &[u8], label: &[u8]) -> [u8; 32] {
    let tag = hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, secret), label);
    tag.as_ref().try_into().expect("SHA-256 has 32 bytes")
}

/// Bytes in lower-case hexadecimal.
pub(super) fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::with_capacity(bytes.len() * 2), |mut text, byte| {
        for digit in [byte >> 4, byte & 15] {
            text.push(char::from_digit(u32::from(digit), 16).expect("it is below 16"));
        }
        text
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sealed_secret_opens_for_its_owner_here_alone() {
        let (keys, ada, bea) = (Keys::new(b"secret"), UserId::new(), UserId::new());
        let sealed = keys.seal(ada, b"twenty bytes of it..");
        assert_eq!(keys.open(ada, &sealed).unwrap(), b"twenty bytes of it..");
        assert_ne!(keys.seal(ada, b"twenty bytes of it.."), sealed);
        assert!(!sealed.windows(6).any(|part| part == b"twenty"));
        assert!(keys.open(bea, &sealed).is_err() && Keys::new(b"other").open(ada, &sealed).is_err());
        assert!(keys.open(ada, &sealed[1..]).is_err() && keys.open(ada, b"short").is_err());
    }

    #[test]
    fn a_receipt_is_verified_by_the_key() {
        let keys = Keys::new(b"secret");
        let bytes = |text: &str| -> Vec<u8> {
            (0..text.len() / 2).map(|at| u8::from_str_radix(&text[2 * at..2 * at + 2], 16).unwrap()).collect()
        };
        let key = ring::signature::UnparsedPublicKey::new(&ring::signature::ED25519, bytes(&keys.receipt_key()));
        key.verify(b"all gone", &bytes(&keys.sign("all gone"))).unwrap();
        assert!(key.verify(b"not all", &bytes(&keys.sign("all gone"))).is_err());
        assert_eq!(Keys::new(b"secret").receipt_key(), keys.receipt_key());
    }
}
