//! The two ciphers, and the derivation of their keys.

use aes::Aes128Enc;
use aes::cipher::{KeyInit, KeyIvInit, StreamCipher, StreamCipherCore};
use ctr::cipher::InnerIvInit;
use hmac::{Hmac, Mac};
use ring::aead;
use sha1::Sha1;

use super::{KEY_LEN, Profile};
use crate::drop::Drop;

pub(super) enum Cipher {
    Gcm(Box<Gcm>),
    Cm(Box<Cm>),
}

impl Cipher {
    pub(super) fn tag_len(&self) -> usize {
        match self {
            Self::Gcm(_) => aead::MAX_TAG_LEN,
            Self::Cm(_) => CM_TAG_LEN,
        }
    }
}

/// AES-128-GCM (RFC 7714).
pub(super) struct Gcm {
    key: aead::LessSafeKey,
    salt: [u8; aead::NONCE_LEN],
}

impl Gcm {
    fn new(key: &[u8; KEY_LEN], salt: &[u8; 14]) -> Self {
        let key = aead::UnboundKey::new(&aead::AES_128_GCM, key).expect("an AES-128 key has 16 bytes");
        let mut nonce_salt = [0; aead::NONCE_LEN];
        nonce_salt.copy_from_slice(&salt[..aead::NONCE_LEN]);
        Self { key: aead::LessSafeKey::new(key), salt: nonce_salt }
    }

    /// RFC 7714 §8.1: two zero octets, SSRC, rollover counter and sequence number, all XOR the salt.
    pub(super) fn rtp_nonce(&self, ssrc: u32, index: u64) -> aead::Nonce {
        let mut nonce = [0; aead::NONCE_LEN];
        nonce[2..6].copy_from_slice(&ssrc.to_be_bytes());
        nonce[6..].copy_from_slice(&index.to_be_bytes()[2..]);
        self.salted(nonce)
    }

    /// RFC 7714 §9.1: two zero octets, SSRC, two zero octets, the SRTCP index, all XOR the salt.
    pub(super) fn rtcp_nonce(&self, ssrc: u32, index: u32) -> aead::Nonce {
        let mut nonce = [0; aead::NONCE_LEN];
        nonce[2..6].copy_from_slice(&ssrc.to_be_bytes());
        nonce[8..].copy_from_slice(&index.to_be_bytes());
        self.salted(nonce)
    }

    fn salted(&self, mut nonce: [u8; aead::NONCE_LEN]) -> aead::Nonce {
        for (octet, salt) in nonce.iter_mut().zip(self.salt) {
            *octet ^= salt;
        }
        aead::Nonce::assume_unique_for_key(nonce)
    }

    pub(super) fn seal(&self, nonce: aead::Nonce, aad: &[u8], payload: &mut [u8]) -> aead::Tag {
        self.key
            .seal_in_place_separate_tag(nonce, aead::Aad::from(aad), payload)
            .expect("a datagram is far below the limit of GCM")
    }

    pub(super) fn open(&self, nonce: aead::Nonce, aad: &[u8], sealed: &mut [u8]) -> Result<usize, Drop> {
        match self.key.open_in_place(nonce, aead::Aad::from(aad), sealed) {
            Ok(plain) => Ok(plain.len()),
            Err(_) => Err(Drop::SrtpAuth),
        }
    }
}

pub(super) const CM_TAG_LEN: usize = 10;

/// AES-128 in counter mode with HMAC-SHA1-80 (RFC 3711 §4.1.1, §4.2.1).
pub(super) struct Cm {
    cipher: Aes128Enc,
    mac: Hmac<Sha1>,
    salt: [u8; 14],
}

impl Cm {
    fn new(key: &[u8; KEY_LEN], salt: [u8; 14], auth: &[u8; 20]) -> Self {
        let mac = <Hmac<Sha1> as Mac>::new_from_slice(auth).expect("HMAC takes a key of any length");
        Self { cipher: Aes128Enc::new(key.into()), mac, salt }
    }

    /// RFC 3711 §4.1.1: IV = (salt · 2¹⁶) XOR (SSRC · 2⁶⁴) XOR (index · 2¹⁶).
    pub(super) fn apply_keystream(&self, ssrc: u32, index: u64, payload: &mut [u8]) {
        let mut iv = [0; 16];
        iv[4..8].copy_from_slice(&ssrc.to_be_bytes());
        iv[8..14].copy_from_slice(&index.to_be_bytes()[2..]);
        for (octet, salt) in iv.iter_mut().zip(self.salt) {
            *octet ^= salt;
        }
        let core = ctr::CtrCore::<_, ctr::flavors::Ctr128BE>::inner_iv_init(self.cipher.clone(), (&iv).into());
        core.apply_keystream_partial(payload.into());
    }

    fn mac(&self, packet: &[u8], suffix: &[u8]) -> Hmac<Sha1> {
        let mut mac = self.mac.clone();
        mac.update(packet);
        mac.update(suffix);
        mac
    }

    pub(super) fn tag(&self, packet: &[u8], suffix: &[u8]) -> [u8; 20] {
        self.mac(packet, suffix).finalize().into_bytes().into()
    }

    pub(super) fn check(&self, packet: &[u8], suffix: &[u8], tag: &[u8]) -> Result<(), Drop> {
        self.mac(packet, suffix).verify_truncated_left(tag).map_err(|_| Drop::SrtpAuth)
    }
}

/// Labels of RFC 3711 §4.3.2; those of SRTCP are the same plus three.
const LABEL_ENCRYPTION: u8 = 0;
const LABEL_AUTHENTICATION: u8 = 1;
const LABEL_SALT: u8 = 2;
const SRTCP_LABELS: u8 = 3;

/// The session ciphers for RTP and RTCP. A key derivation rate of 0: they serve the association's whole life.
pub(super) fn session_ciphers(profile: Profile, key: &[u8; KEY_LEN], salt: &[u8; 14]) -> (Cipher, Cipher) {
    let mut padded = [0; 14];
    padded[..profile.salt_len()].copy_from_slice(&salt[..profile.salt_len()]);
    let cipher = |labels: u8| {
        let session_key = derive(key, &padded, labels + LABEL_ENCRYPTION);
        let session_salt = derive(key, &padded, labels + LABEL_SALT);
        match profile {
            Profile::AeadAes128Gcm => Cipher::Gcm(Box::new(Gcm::new(&session_key, &session_salt))),
            Profile::AesCm128HmacSha1_80 => {
                let auth = derive(key, &padded, labels + LABEL_AUTHENTICATION);
                Cipher::Cm(Box::new(Cm::new(&session_key, session_salt, &auth)))
            }
        }
    };
    (cipher(0), cipher(SRTCP_LABELS))
}

/// RFC 3711 §4.3.1 and §4.3.3; RFC 7714 §11 uses it with its 96-bit salt padded by zeros.
fn derive<const N: usize>(key: &[u8; KEY_LEN], salt: &[u8; 14], label: u8) -> [u8; N] {
    let mut iv = [0; 16];
    iv[..14].copy_from_slice(salt);
    iv[7] ^= label;
    let mut derived = [0; N];
    ctr::Ctr128BE::<Aes128Enc>::new(key.into(), (&iv).into()).apply_keystream(&mut derived);
    derived
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bytes<const N: usize>(hex: &str) -> [u8; N] {
        let mut out = [0; N];
        for (at, octet) in out.iter_mut().enumerate() {
            *octet = u8::from_str_radix(&hex[2 * at..2 * at + 2], 16).unwrap();
        }
        out
    }

    #[test]
    fn derives_the_session_keys_of_rfc_3711_b_3() {
        let key = bytes("e1f97a0d3e018be0d64fa32c06de4139");
        let salt = bytes("0ec675ad498afeebb6960b3aabe6");
        assert_eq!(derive(&key, &salt, LABEL_ENCRYPTION), bytes::<16>("c61e7a93744f39ee10734afe3ff7a087"));
        assert_eq!(derive(&key, &salt, LABEL_SALT), bytes::<14>("30cbbc08863d8c85d49db34a9ae1"));
        assert_eq!(derive(&key, &salt, LABEL_AUTHENTICATION), bytes::<20>("cebe321f6ff7716b6fd4ab49af256a156d38baa4"));
    }

    #[test]
    fn seals_the_packet_of_rfc_7714_16_1_1() {
        let gcm = Gcm::new(&bytes("000102030405060708090a0b0c0d0e0f"), &bytes("517569642070726f2071756f0000"));
        let header: [u8; 12] = bytes("8040f17b8041f8d35501a0b2");
        let mut payload = *b"Gallia est omnis divisa in partes tres";
        let tag = gcm.seal(gcm.rtp_nonce(0x5501_a0b2, 0xf17b), &header, &mut payload);
        assert_eq!(payload, bytes("f24de3a3fb34de6cacba861c9d7e4bcabe633bd50d294e6f42a5f47a51c7d19b36de3adf8833"));
        assert_eq!(tag.as_ref(), bytes::<16>("899d7f27beb16a9152cf765ee4390cce"));
    }
}
