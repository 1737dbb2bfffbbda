//! Access tokens: JWT (RFC 7519), HS256.

use std::sync::Once;
use std::time::Duration;

use jsonwebtoken::{
    Algorithm, DecodingKey, EncodingKey, Header, Validation,
    crypto::{CryptoProvider, JwtSigner, JwtVerifier, KeyUtils},
    errors::{Error, ErrorKind, Result},
    signature::{self, Signer, Verifier},
};
use ring::hmac;
use serde::{Deserialize, Serialize};

use crate::domain::{FamilyId, Refusal, Time, UserId};

/// Who gives our tokens, and whom they are for: other servers that share the secret by mistake refuse them.
const ISSUER: &str = "parlor";

/// What an access token says.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Claims {
    /// Who.
    pub(super) sub: UserId,
    /// By which login.
    pub(super) sid: FamilyId,
    /// When it was given, in seconds since 1970.
    iat: i64,
    /// When its time is over, in seconds since 1970.
    pub(super) exp: i64,
}

#[derive(Serialize)]
struct Signed {
    #[serde(flatten)]
    claims: Claims,
    iss: &'static str,
    aud: &'static str,
}

/// Makes and reads access tokens.
pub(super) struct Tokens {
    encoding: EncodingKey,
    decoding: DecodingKey,
    validation: Validation,
}

impl Tokens {
    pub(super) fn new(secret: &[u8]) -> Self {
        static INSTALLED: Once = Once::new();
        // Only we use this library, so whatever is installed already is this.
        INSTALLED.call_once(|| {
            let _ = RING.install_default();
        });
        let mut validation = Validation::new(Algorithm::HS256);
        validation.set_required_spec_claims(&["exp", "iss", "aud", "sub"]);
        validation.set_issuer(&[ISSUER]);
        validation.set_audience(&[ISSUER]);
        validation.leeway = 0;
        Self { encoding: EncodingKey::from_secret(secret), decoding: DecodingKey::from_secret(secret), validation }
    }

    /// A token for this login that is good for `life`.
    pub(super) fn make(&self, user: UserId, family: FamilyId, at: Time, life: Duration) -> String {
        let claims = Claims { sub: user, sid: family, iat: at.as_s(), exp: at.after(life).as_s() };
        let signed = Signed { claims, iss: ISSUER, aud: ISSUER };
        jsonwebtoken::encode(&Header::new(Algorithm::HS256), &signed, &self.encoding)
            .expect("claims are plain JSON and HMAC takes any key")
    }

    /// What a token says, if it is ours and its time is not over.
    pub(super) fn read(&self, token: &str) -> std::result::Result<Claims, Refusal> {
        match jsonwebtoken::decode::<Claims>(token, &self.decoding, &self.validation) {
            Ok(token) if token.claims.iat <= token.claims.exp => Ok(token.claims),
            Ok(_) => Err(Refusal::TokenInvalid),
            Err(error) if *error.kind() == ErrorKind::ExpiredSignature => Err(Refusal::TokenExpired),
            Err(_) => Err(Refusal::TokenInvalid),
        }
    }
}

/// HS256 by ring, which the TLS side brings along anyway. No other algorithm exists here, so none can be smuggled in.
static RING: CryptoProvider = CryptoProvider {
    signer_factory: |algorithm, key| Ok(Box::new(Hs256::new(*algorithm, key.as_bytes())?)),
    verifier_factory: |algorithm, key| Ok(Box::new(Hs256::new(*algorithm, key.try_get_as_bytes()?)?)),
    key_utils: KeyUtils::new_unimplemented(),
};

struct Hs256(hmac::Key);

impl Hs256 {
    fn new(algorithm: Algorithm, secret: &[u8]) -> Result<Self> {
        match algorithm {
            Algorithm::HS256 => Ok(Self(hmac::Key::new(hmac::HMAC_SHA256, secret))),
            _ => Err(Error::from(ErrorKind::InvalidAlgorithm)),
        }
    }
}

impl Signer<Vec<u8>> for Hs256 {
    fn try_sign(&self, text: &[u8]) -> std::result::Result<Vec<u8>, signature::Error> {
        Ok(hmac::sign(&self.0, text).as_ref().to_vec())
    }
}

impl Verifier<Vec<u8>> for Hs256 {
    fn verify(&self, text: &[u8], signature: &Vec<u8>) -> std::result::Result<(), signature::Error> {
        hmac::verify(&self.0, text, signature).map_err(|_| signature::Error::new())
    }
}

impl JwtSigner for Hs256 {
    fn algorithm(&self) -> Algorithm {
        Algorithm::HS256
    }
}

impl JwtVerifier for Hs256 {
    fn algorithm(&self) -> Algorithm {
        Algorithm::HS256
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIFE: Duration = Duration::from_secs(900);

    fn claims() -> (UserId, FamilyId) {
        (UserId::new(), FamilyId::new())
    }

    #[test]
    fn a_token_says_who_and_by_which_login() {
        let (user, family) = claims();
        let tokens = Tokens::new(b"a secret of the test");
        let read = tokens.read(&tokens.make(user, family, Time::now(), LIFE)).unwrap();
        assert_eq!((read.sub, read.sid, read.exp - read.iat), (user, family, 900));
    }

    #[test]
    fn only_our_own_tokens_are_good_and_only_in_time() {
        let (user, family) = claims();
        let tokens = Tokens::new(b"a secret of the test");
        let good = tokens.make(user, family, Time::now(), LIFE);
        let [header, body, signature] = good.split('.').collect::<Vec<_>>()[..] else { panic!("three parts") };
        // {"alg":"none","typ":"JWT"} and {"alg":"HS512","typ":"JWT"}
        let none = "eyJhbGciOiJub25lIiwidHlwIjoiSldUIn0";
        let hs512 = "eyJhbGciOiJIUzUxMiIsInR5cCI6IkpXVCJ9";
        let foreign = Tokens::new(b"another secret").make(user, family, Time::now(), LIFE);
        let sign = |claims: serde_json::Value| {
            jsonwebtoken::encode(&Header::new(Algorithm::HS256), &claims, &tokens.encoding).unwrap()
        };
        let (iat, exp) = (Time::now().as_s(), Time::now().as_s() + 900);
        let claim = |iss: &str, aud: &str| {
            sign(serde_json::json!({"sub": user, "sid": family, "iat": iat, "exp": exp, "iss": iss, "aud": aud}))
        };
        assert!(tokens.read(&claim("parlor", "parlor")).is_ok());
        for bad in [
            String::new(),
            "a.b.c".to_owned(),
            foreign,
            format!("{none}.{body}."),
            format!("{none}.{body}.{signature}"),
            format!("{hs512}.{body}.{signature}"),
            format!("{header}.{body}."),
            format!("{header}.{body}x.{signature}"),
            claim("parlor", "another"),
            claim("another", "parlor"),
            sign(serde_json::json!({"sub": user, "sid": family, "iat": iat, "iss": "parlor", "aud": "parlor"})),
            sign(
                serde_json::json!({"sub": "x", "sid": family, "iat": iat, "exp": exp, "iss": "parlor", "aud": "parlor"}),
            ),
        ] {
            assert_eq!(tokens.read(&bad), Err(Refusal::TokenInvalid), "{bad}");
        }
        let old = tokens.make(user, family, Time::from_ms(Time::now().as_ms() - 901_000), LIFE);
        assert_eq!(tokens.read(&old), Err(Refusal::TokenExpired));
    }
}
