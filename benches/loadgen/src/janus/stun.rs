//! Answers to connectivity checks. Parlor is ICE-lite and sends none; Janus is a full agent and does.

use std::net::{IpAddr, SocketAddr};

use ring::hmac;

const COOKIE: [u8; 4] = [0x21, 0x12, 0xa4, 0x42];
const HEADER_BYTES: usize = 20;
const BINDING_REQUEST: [u8; 2] = [0, 1];
const BINDING_SUCCESS: [u8; 2] = [1, 1];
const MESSAGE_INTEGRITY: [u8; 2] = [0, 8];
const XOR_MAPPED_ADDRESS: [u8; 2] = [0, 0x20];
const INTEGRITY_BYTES: usize = 20;
const FINGERPRINT: [u8; 2] = [0x80, 0x28];
const FINGERPRINT_XOR: u32 = 0x5354_554e;

/// What answers the checks of one peer.
pub(crate) struct Responder(hmac::Key);

impl Responder {
    /// For the password in a client's offer.
    pub(crate) fn of_offer(offer: &str) -> Option<Self> {
        let pwd = offer.lines().find_map(|line| line.strip_prefix("a=ice-pwd:"))?;
        Some(Self(hmac::Key::new(hmac::HMAC_SHA1_FOR_LEGACY_USE_ONLY, pwd.trim_end().as_bytes())))
    }

    /// The answer to a datagram, if it is a check (RFC 8489 section 6.3.1). Who asks is not verified: this is a load generator.
    pub(crate) fn answer(&self, from: SocketAddr, datagram: &[u8]) -> Option<Vec<u8>> {
        let header = datagram.first_chunk::<HEADER_BYTES>()?;
        let IpAddr::V4(ip) = from.ip() else { return None };
        if header[..2] != BINDING_REQUEST || header[4..8] != COOKIE {
            return None;
        }
        let mut answer = Vec::with_capacity(64);
        answer.extend_from_slice(&BINDING_SUCCESS);
        // The length counts what the integrity covers, and the integrity itself (section 14.5).
        answer.extend_from_slice(&[0, 12 + 4 + INTEGRITY_BYTES as u8]);
        answer.extend_from_slice(&header[4..]);
        answer.extend_from_slice(&XOR_MAPPED_ADDRESS);
        answer.extend_from_slice(&[0, 8, 0, 1]);
        let xored = |bytes: &[u8]| bytes.iter().zip(COOKIE).map(|(byte, key)| byte ^ key).collect::<Vec<u8>>();
        answer.extend(xored(&from.port().to_be_bytes()));
        answer.extend(xored(&ip.octets()));
        let integrity = hmac::sign(&self.0, &answer);
        answer.extend_from_slice(&MESSAGE_INTEGRITY);
        answer.extend_from_slice(&[0, INTEGRITY_BYTES as u8]);
        answer.extend_from_slice(integrity.as_ref());
        // Full agents read no answer without a fingerprint (section 14.7); it counts in the length that it covers.
        answer[3] += 8;
        let fingerprint = crc32(&answer) ^ FINGERPRINT_XOR;
        answer.extend_from_slice(&FINGERPRINT);
        answer.extend_from_slice(&[0, 4]);
        answer.extend_from_slice(&fingerprint.to_be_bytes());
        Some(answer)
    }
}

/// The checksum of Ethernet and zip, a bit at a time: there are few checks.
fn crc32(bytes: &[u8]) -> u32 {
    let step = |crc: u32| (crc >> 1) ^ (0xedb8_8320 & (crc & 1).wrapping_neg());
    !bytes.iter().fold(!0, |crc, byte| (0..8).fold(crc ^ u32::from(*byte), |crc, _| step(crc)))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// RFC 5769 section 2.2 has the same address and key, but SOFTWARE before it and a fingerprint behind; the parts agree.
    #[test]
    fn a_check_is_answered_under_its_own_name() {
        let responder = Responder::of_offer("v=0\r\na=ice-pwd:VOkJxbRl1RmTxUk/WvJxBt\r\n").unwrap();
        let mut check = vec![0, 1, 0, 0];
        check.extend(COOKIE);
        check.extend([0xb7, 0xe7, 0xa7, 0x01, 0xbc, 0x34, 0xd6, 0x86, 0xfa, 0x87, 0xdf, 0xae]);
        let answer = responder.answer("192.0.2.1:32853".parse().unwrap(), &check).unwrap();
        assert_eq!(answer[..4], [1, 1, 0, 44]);
        assert_eq!(answer[4..20], check[4..20]);
        assert_eq!(answer[20..32], [0, 0x20, 0, 8, 0, 1, 0xa1, 0x47, 0xe1, 0x12, 0xa6, 0x43]);
        assert_eq!(answer.len(), 20 + 44);
        let key = hmac::Key::new(hmac::HMAC_SHA1_FOR_LEGACY_USE_ONLY, b"VOkJxbRl1RmTxUk/WvJxBt");
        let covered = [&answer[..3], &[36], &answer[4..32]].concat();
        hmac::verify(&key, &covered, &answer[36..56]).unwrap();
        assert_eq!(answer[56..60], [0x80, 0x28, 0, 4]);
        assert_eq!(crc32(b"123456789"), 0xcbf4_3926, "the checksum's own example");
        assert!(responder.answer("192.0.2.1:32853".parse().unwrap(), &answer).is_none(), "an answer is no check");
        assert!(responder.answer("192.0.2.1:1".parse().unwrap(), &[0x80; 40]).is_none());
    }
}
