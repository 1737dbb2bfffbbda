//! Chance.

use ring::hmac;

/// Numbers that nobody can foresee, without asking the system for each.
pub(super) struct Random {
    key: hmac::Key,
    drawn: u64,
}

impl Random {
    pub(super) fn new(seed: &[u8; 32]) -> Self {
        Self { key: hmac::Key::new(hmac::HMAC_SHA256, seed), drawn: 0 }
    }

    fn bytes(&mut self) -> [u8; 32] {
        self.drawn += 1;
        let mut bytes = [0; 32];
        // The label keeps these apart from nonces, which have the same key.
        let mut context = hmac::Context::with_key(&self.key);
        context.update(b"random");
        context.update(&self.drawn.to_be_bytes());
        bytes.copy_from_slice(context.sign().as_ref());
        bytes
    }

    pub(super) fn transaction(&mut self) -> [u8; 12] {
        let mut transaction = [0; 12];
        transaction.copy_from_slice(&self.bytes()[..12]);
        transaction
    }

    /// One of those ports.
    pub(super) fn port(&mut self, (first, last): (u16, u16)) -> u16 {
        let bytes = self.bytes();
        let number = u32::from_be_bytes([bytes[0], bytes[1], bytes[2], bytes[3]]);
        first + (number % (u32::from(last.saturating_sub(first)) + 1)) as u16
    }
}
