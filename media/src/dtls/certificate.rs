//! Our certificate, and fingerprints of certificates (RFC 8122).

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use ring::digest;
use rtc_dtls::cipher_suite::CipherSuiteId;
use rtc_dtls::config::{ClientAuthType, ConfigBuilder, ExtendedMasterSecretType, HandshakeConfig};
use rtc_dtls::extension::extension_use_srtp::SrtpProtectionProfile;
use rtc_shared::error::Error;

use crate::srtp::Profile;

/// Datagrams of a handshake are no longer than this, so that they pass wherever media does.
const MTU: usize = 1200;

/// A self-signed certificate with its key: ECDSA on P-256, made anew at each start. Clones share it.
#[derive(Clone)]
pub struct Certificate {
    inner: Arc<Inner>,
}

struct Inner {
    fingerprint: Fingerprint,
    aead: Arc<HandshakeConfig>,
    aes_cm: Arc<HandshakeConfig>,
    #[cfg(feature = "client")]
    dtls: rtc_dtls::crypto::Certificate,
}

/// No certificate could be made: the system gave no randomness.
#[derive(Debug, thiserror::Error)]
#[error("cannot make a DTLS certificate: {0}")]
pub struct CertificateError(String);

impl Certificate {
    /// Makes a key pair and a certificate for it.
    ///
    /// # Errors
    ///
    /// When the system's random generator fails.
    pub fn generate() -> Result<Self, CertificateError> {
        let made = || {
            let provider = crypto()?;
            let dtls =
                rtc_dtls::crypto::Certificate::generate_self_signed(vec!["parlor".to_owned()], provider.crypto())?;
            Ok::<_, Error>(Inner {
                fingerprint: Fingerprint::sha_256_of(&dtls.certificate[0]),
                aead: server_config(&dtls, SrtpProtectionProfile::Srtp_Aead_Aes_128_Gcm)?,
                aes_cm: server_config(&dtls, SrtpProtectionProfile::Srtp_Aes128_Cm_Hmac_Sha1_80)?,
                #[cfg(feature = "client")]
                dtls,
            })
        };
        let inner = made().map_err(|error| CertificateError(error.to_string()))?;
        Ok(Self { inner: Arc::new(inner) })
    }

    /// What an answer says of this certificate.
    #[must_use]
    pub fn fingerprint(&self) -> Fingerprint {
        self.inner.fingerprint
    }

    /// The SHA-256 digest of the certificate.
    #[must_use]
    pub fn fingerprint_sha256(&self) -> [u8; 32] {
        let mut sha_256 = [0; 32];
        sha_256.copy_from_slice(self.inner.fingerprint.digest());
        sha_256
    }

    pub(super) fn server_config(&self, profile: Profile) -> Arc<HandshakeConfig> {
        match profile {
            Profile::AeadAes128Gcm => self.inner.aead.clone(),
            Profile::AesCm128HmacSha1_80 => self.inner.aes_cm.clone(),
        }
    }

    /// How a client with this certificate shakes hands, offering `profiles` in this order.
    #[cfg(feature = "client")]
    pub(crate) fn client_config(
        &self,
        profiles: Vec<SrtpProtectionProfile>,
    ) -> Result<Arc<HandshakeConfig>, CertificateError> {
        builder(&self.inner.dtls, profiles)
            .and_then(|builder| builder.with_server_name("parlor".to_owned()).build(true, None))
            .map(Arc::new)
            .map_err(|error| CertificateError(error.to_string()))
    }
}

fn crypto() -> Result<Arc<dyn rtc_crypto::RTCCryptoProvider>, Error> {
    rtc_crypto::default_provider().map_err(|error| Error::Crypto(error.to_string()))
}

fn server_config(
    certificate: &rtc_dtls::crypto::Certificate,
    profile: SrtpProtectionProfile,
) -> Result<Arc<HandshakeConfig>, Error> {
    let builder = builder(certificate, vec![profile])?.with_client_auth(ClientAuthType::RequireAnyClientCert);
    Ok(Arc::new(builder.build(false, None)?))
}

/// What both ends have in common. The extended master secret is required: `rtc-dtls` does not compare the client's
/// Finished with the transcript, and the secret binds the keys to it (RFC 7627). Every browser has it.
fn builder(
    certificate: &rtc_dtls::crypto::Certificate,
    profiles: Vec<SrtpProtectionProfile>,
) -> Result<ConfigBuilder, Error> {
    Ok(ConfigBuilder::default()
        .with_crypto_provider(crypto()?)
        .with_certificates(vec![certificate.clone()])
        // The suite that RFC 8827 §6.5 makes mandatory.
        .with_cipher_suites(vec![CipherSuiteId::Tls_Ecdhe_Ecdsa_With_Aes_128_Gcm_Sha256])
        .with_srtp_protection_profiles(profiles)
        .with_extended_master_secret(ExtendedMasterSecretType::Require)
        // Self-signed on both sides: the fingerprint of the SDP is the check.
        .with_insecure_skip_verify(true)
        .with_mtu(MTU))
}

/// The digest of a certificate, as SDP carries it: `sha-256 4A:AD:…`.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Fingerprint {
    hash: Hash,
    digest: [u8; 64],
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Hash {
    Sha256,
    Sha384,
    Sha512,
}

impl Hash {
    fn name(self) -> &'static str {
        match self {
            Self::Sha256 => "sha-256",
            Self::Sha384 => "sha-384",
            Self::Sha512 => "sha-512",
        }
    }

    fn algorithm(self) -> &'static digest::Algorithm {
        match self {
            Self::Sha256 => &digest::SHA256,
            Self::Sha384 => &digest::SHA384,
            Self::Sha512 => &digest::SHA512,
        }
    }
}

/// Why a fingerprint was not read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum FingerprintError {
    /// Its hash is none of SHA-256, SHA-384 and SHA-512.
    #[error("the fingerprint's hash is not sha-256, sha-384 or sha-512")]
    Hash,
    /// Its digest is not as many pairs of hexadecimal digits as the hash has bytes.
    #[error("the fingerprint's digest does not fit its hash")]
    Digest,
}

impl Fingerprint {
    /// The SHA-256 fingerprint of a DER-encoded certificate.
    #[must_use]
    pub fn sha_256_of(der: &[u8]) -> Self {
        Self::of(Hash::Sha256, der)
    }

    /// Whether `der` is the certificate that this fingerprint was taken of.
    #[must_use]
    pub fn matches(&self, der: &[u8]) -> bool {
        *self == Self::of(self.hash, der)
    }

    /// The digest's bytes.
    #[must_use]
    pub fn digest(&self) -> &[u8] {
        &self.digest[..self.hash.algorithm().output_len()]
    }

    fn of(hash: Hash, der: &[u8]) -> Self {
        let mut digest = [0; 64];
        let computed = digest::digest(hash.algorithm(), der);
        digest[..computed.as_ref().len()].copy_from_slice(computed.as_ref());
        Self { hash, digest }
    }
}

impl FromStr for Fingerprint {
    type Err = FingerprintError;

    /// Reads the value of `a=fingerprint`; the hash's name and the digits in either case.
    fn from_str(value: &str) -> Result<Self, FingerprintError> {
        let (name, digits) = value.trim().split_once(' ').ok_or(FingerprintError::Digest)?;
        let hash = [Hash::Sha256, Hash::Sha384, Hash::Sha512]
            .into_iter()
            .find(|hash| hash.name().eq_ignore_ascii_case(name))
            .ok_or(FingerprintError::Hash)?;
        let mut digest = [0; 64];
        let mut pairs = digits.trim().split(':');
        for octet in &mut digest[..hash.algorithm().output_len()] {
            let pair = pairs.next().ok_or(FingerprintError::Digest)?;
            if pair.len() != 2 || !pair.bytes().all(|digit| digit.is_ascii_hexdigit()) {
                return Err(FingerprintError::Digest);
            }
            *octet = u8::from_str_radix(pair, 16).map_err(|_| FingerprintError::Digest)?;
        }
        if pairs.next().is_some() { Err(FingerprintError::Digest) } else { Ok(Self { hash, digest }) }
    }
}

impl fmt::Display for Fingerprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.hash.name())?;
        for (at, octet) in self.digest().iter().enumerate() {
            write!(f, "{}{octet:02X}", if at == 0 { ' ' } else { ':' })?;
        }
        Ok(())
    }
}

impl fmt::Debug for Fingerprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Fingerprint({self})")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_fingerprint_reads_what_it_writes() {
        for hash in [Hash::Sha256, Hash::Sha384, Hash::Sha512] {
            let fingerprint = Fingerprint::of(hash, b"a certificate");
            assert_eq!(fingerprint.to_string().parse(), Ok(fingerprint));
            assert_eq!(fingerprint.to_string().to_lowercase().parse(), Ok(fingerprint));
            assert!(fingerprint.matches(b"a certificate") && !fingerprint.matches(b"another"));
        }
        assert_eq!("sha-1 AA:BB".parse::<Fingerprint>(), Err(FingerprintError::Hash));
        assert_eq!("sha-256 AA:BB".parse::<Fingerprint>(), Err(FingerprintError::Digest));
        assert_eq!("sha-256".parse::<Fingerprint>(), Err(FingerprintError::Digest));
        let long = Fingerprint::sha_256_of(b"").to_string() + ":00";
        assert_eq!(long.parse::<Fingerprint>(), Err(FingerprintError::Digest));
    }
}
