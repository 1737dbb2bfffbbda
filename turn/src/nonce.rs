//! Nonces that the server can check without having kept them.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use ring::hmac;

/// How long a nonce is good; then the client gets 438 and a fresh one. As coturn's `stale-nonce` is usually set.
pub const NONCE_LIFE: Duration = Duration::from_secs(600);

/// "There are security features", and which: the first bit, password algorithms (RFC 8489 sections 9.2 and 18.1).
const COOKIE: &str = "obMatJos2gAAA";
/// Bytes of the HMAC that stand in a nonce. 80 bits cannot be guessed while it lives.
const TAG_BYTES: usize = 10;
/// The length of a nonce, in characters.
const NONCE_CHARS: usize = COOKIE.len() + 8 + 2 * TAG_BYTES;

/// Makes and checks nonces: the second at which one ends, and an HMAC over that and the client's address. So a nonce that comes
/// back right shows that the client really is at its address.
pub(crate) struct Nonces {
    key: hmac::Key,
    start: Instant,
}

impl Nonces {
    pub(crate) fn new(start: Instant, seed: &[u8; 32]) -> Self {
        Self { key: hmac::Key::new(hmac::HMAC_SHA256, seed), start }
    }

    pub(crate) fn make(&self, now: Instant, client: SocketAddr) -> String {
        self.write(self.second(now) + NONCE_LIFE.as_secs(), client)
    }

    /// Is it one of ours, for this client, and not too old?
    pub(crate) fn is_fresh(&self, now: Instant, client: SocketAddr, nonce: &[u8]) -> bool {
        let end = nonce.get(COOKIE.len()..COOKIE.len() + 8).and_then(|hex| std::str::from_utf8(hex).ok());
        let Some(end) = end.and_then(|hex| u64::from_str_radix(hex, 16).ok()) else { return false };
        let ours = self.write(end, client);
        let differing = ours.as_bytes().iter().zip(nonce).fold(0, |differing, (a, b)| differing | (a ^ b));
        nonce.len() == NONCE_CHARS && differing == 0 && self.second(now) < end
    }

    fn second(&self, now: Instant) -> u64 {
        now.saturating_duration_since(self.start).as_secs()
    }

    fn write(&self, end: u64, client: SocketAddr) -> String {
        use std::fmt::Write as _;
        let mut context = hmac::Context::with_key(&self.key);
        context.update(&end.to_be_bytes());
        match client {
            SocketAddr::V4(address) => context.update(&address.ip().octets()),
            SocketAddr::V6(address) => context.update(&address.ip().octets()),
        }
        context.update(&client.port().to_be_bytes());
        let tag = context.sign();
        let mut text = String::with_capacity(NONCE_CHARS);
        text.push_str(COOKIE);
        let numbers = (end as u32).to_be_bytes();
        for byte in numbers.iter().chain(&tag.as_ref()[..TAG_BYTES]) {
            let _ = write!(text, "{byte:02x}");
        }
        text
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_nonce_is_good_for_its_client_for_a_while() {
        let start = Instant::now();
        let nonces = Nonces::new(start, &[3; 32]);
        let ada: SocketAddr = "192.0.2.1:4000".parse().unwrap();
        let nonce = nonces.make(start, ada);
        assert_eq!(nonce.len(), NONCE_CHARS);
        assert!(nonces.is_fresh(start, ada, nonce.as_bytes()));
        assert!(nonces.is_fresh(start + NONCE_LIFE - Duration::from_secs(1), ada, nonce.as_bytes()));
        assert!(!nonces.is_fresh(start + NONCE_LIFE, ada, nonce.as_bytes()));
        for other in ["192.0.2.1:4001", "192.0.2.2:4000", "[2001:db8::1]:4000"] {
            assert!(!nonces.is_fresh(start, other.parse().unwrap(), nonce.as_bytes()), "{other}");
        }
        assert!(!Nonces::new(start, &[4; 32]).is_fresh(start, ada, nonce.as_bytes()));
    }

    #[test]
    fn nonsense_and_prolonged_nonces_are_not_fresh() {
        let start = Instant::now();
        let nonces = Nonces::new(start, &[3; 32]);
        let ada: SocketAddr = "192.0.2.1:4000".parse().unwrap();
        let nonce = nonces.make(start, ada);
        let prolonged = nonce.replace("00000258", "0000ffff");
        assert_ne!(nonce, prolonged);
        for bad in ["", "obMatJos2", &nonce[..nonce.len() - 1], &format!("{nonce}0"), &prolonged, &"ä".repeat(20)] {
            assert!(!nonces.is_fresh(start, ada, bad.as_bytes()), "{bad}");
        }
    }
}
