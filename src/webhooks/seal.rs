//! What events are signed with: told once, and sealed in the database with a key that grows out of the server's secret.

use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use ring::aead::{self, AES_256_GCM, Aad, LessSafeKey, Nonce, UnboundKey};
use ring::hmac;
use ring::rand::{SecureRandom as _, SystemRandom};

use crate::domain::{Refusal, Time, WebhookId};
use crate::store::SealedWebhook;

/// How secrets begin, as the specification wants it.
const SECRET_PREFIX: &str = "whsec_";
/// What a secret has, in bytes; the specification wants 24 to 64.
const SECRET_BYTES: usize = 32;
/// How long the former secret signs as well after another was made.
pub(super) const OVERLAP: Duration = Duration::from_secs(24 * 3600);

/// Seals secrets, and opens them.
pub(super) struct Seal(LessSafeKey);

impl Seal {
    /// `secret` is the server's.
    pub(super) fn new(secret: &[u8]) -> Self {
        let tag = hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, secret), b"parlor: secrets of webhooks");
        Self(LessSafeKey::new(UnboundKey::new(&AES_256_GCM, tag.as_ref()).expect("32 bytes are a key")))
    }

    /// A secret, as the database may have it.
    pub(super) fn sealed(&self, id: WebhookId, secret: &[u8]) -> Vec<u8> {
        let mut nonce = [0; aead::NONCE_LEN];
        SystemRandom::new().fill(&mut nonce).expect("the operating system has randomness");
        let mut text = secret.to_vec();
        let aad = Aad::from(*id.as_uuid().as_bytes());
        let key = Nonce::assume_unique_for_key(nonce);
        self.0.seal_in_place_append_tag(key, aad, &mut text).expect("a secret is short");
        [&nonce[..], &text].concat()
    }

    /// What signs at that moment: the secret, and the former one until its end. `None`: it was sealed by another server's secret.
    pub(super) fn secrets(&self, sealed: &SealedWebhook, now: Time) -> Option<Vec<Vec<u8>>> {
        let id = sealed.webhook.id;
        let mut secrets = vec![self.opened(id, &sealed.secret)?];
        let former = sealed.former.as_ref().filter(|(_, until)| *until > now);
        secrets.extend(former.and_then(|(secret, _)| self.opened(id, secret)));
        Some(secrets)
    }

    fn opened(&self, id: WebhookId, sealed: &[u8]) -> Option<Vec<u8>> {
        let (nonce, text) = sealed.split_at_checked(aead::NONCE_LEN)?;
        let nonce = Nonce::try_assume_unique_for_key(nonce).ok()?;
        let mut text = text.to_vec();
        let aad = Aad::from(*id.as_uuid().as_bytes());
        self.0.open_in_place(nonce, aad, &mut text).ok().map(|plain| plain.to_vec())
    }
}

pub(super) fn new_secret() -> Result<Vec<u8>, Refusal> {
    let mut secret = vec![0; SECRET_BYTES];
    let random = SystemRandom::new().fill(&mut secret);
    random.map(|()| secret).map_err(|_| Refusal::Internal("no random numbers".to_owned()))
}

/// A secret as its owner gets it.
pub(super) fn told(secret: &[u8]) -> String {
    format!("{SECRET_PREFIX}{}", STANDARD.encode(secret))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::{UserId, webhook::Webhook};

    fn webhook() -> Webhook {
        Webhook {
            id: WebhookId::new(),
            room: None,
            created_by: UserId::new(),
            url: "https://example.org/".to_owned(),
            events: Vec::new(),
            created_at: Time::from_ms(0),
            failing_since: None,
            disabled: None,
            revision: 1,
        }
    }

    #[test]
    fn a_former_secret_signs_until_its_day_is_over() {
        let (seal, webhook) = (Seal::new(b"of the server"), webhook());
        let (former, secret) = (new_secret().unwrap(), new_secret().unwrap());
        let rotated_at = Time::from_ms(1_717_243_200_000);
        let until = rotated_at.after(OVERLAP);
        let sealed = SealedWebhook {
            secret: seal.sealed(webhook.id, &secret),
            former: Some((seal.sealed(webhook.id, &former), until)),
            webhook,
        };
        let at = |ms| seal.secrets(&sealed, Time::from_ms(ms)).unwrap();
        assert_eq!(until.as_ms() - rotated_at.as_ms(), 24 * 3600 * 1000);
        assert_eq!(at(rotated_at.as_ms()), [secret.clone(), former.clone()]);
        assert_eq!(at(until.as_ms() - 1), [secret.clone(), former]);
        assert_eq!(at(until.as_ms()), [secret], "from then on the new one alone");
    }

    #[test]
    fn a_secret_opens_for_its_own_webhook_and_server_alone() {
        let (seal, webhook) = (Seal::new(b"of the server"), webhook());
        let secret = new_secret().unwrap();
        let text = seal.sealed(webhook.id, &secret);
        assert!(!text.windows(8).any(|part| part == &secret[..8]));
        let of = |webhook: &Webhook| SealedWebhook { webhook: webhook.clone(), secret: text.clone(), former: None };
        assert_eq!(seal.secrets(&of(&webhook), Time::now()), Some(vec![secret]));
        assert_eq!(Seal::new(b"of another").secrets(&of(&webhook), Time::now()), None);
        let other = Webhook { id: WebhookId::new(), ..webhook };
        assert_eq!(seal.secrets(&of(&other), Time::now()), None);
    }
}
