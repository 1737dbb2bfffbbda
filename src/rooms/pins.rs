//! PINs of rooms. A PIN is short, and no hash makes it long: what keeps it are the limits on tries; the hash keeps a copy of the
//! database from telling it at a glance.

use std::num::NonZeroU32;

use ring::pbkdf2::{self, PBKDF2_HMAC_SHA256};

use crate::domain::{Refusal, RoomId};

/// Digits of a PIN.
const DIGITS: std::ops::RangeInclusive<usize> = 4..=12;
/// Rounds of PBKDF2 (RFC 8018): some tens of milliseconds.
const ROUNDS: NonZeroU32 = NonZeroU32::new(100_000).expect("it is not zero");
/// Bytes of the hash.
const LENGTH: usize = 32;

/// What the database keeps of a PIN.
///
/// # Errors
/// `bad_request` (`pin`), `internal`.
pub(super) async fn hash(room: RoomId, pin: String) -> Result<String, Refusal> {
    if !is_pin(&pin) {
        return Err(Refusal::bad_request("pin", "A PIN has 4 to 12 digits."));
    }
    run(move || {
        let mut hash = [0; LENGTH];
        pbkdf2::derive(PBKDF2_HMAC_SHA256, ROUNDS, room.as_uuid().as_bytes(), pin.as_bytes(), &mut hash);
        written(&hash)
    })
    .await
}

/// Whether that is the PIN of the hash.
///
/// # Errors
/// `internal`.
pub(super) async fn is_right(room: RoomId, pin: String, hash: String) -> Result<bool, Refusal> {
    if !is_pin(&pin) {
        return Ok(false);
    }
    run(move || {
        let Some(known) = read(&hash) else { return false };
        pbkdf2::verify(PBKDF2_HMAC_SHA256, ROUNDS, room.as_uuid().as_bytes(), pin.as_bytes(), &known).is_ok()
    })
    .await
}

fn is_pin(pin: &str) -> bool {
    DIGITS.contains(&pin.len()) && pin.bytes().all(|byte| byte.is_ascii_digit())
}

async fn run<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> Result<T, Refusal> {
    tokio::task::spawn_blocking(work).await.map_err(|error| Refusal::Internal(error.to_string()))
}

fn written(bytes: &[u8]) -> String {
    use std::fmt::Write as _;
    bytes.iter().fold(String::new(), |mut text, byte| {
        write!(text, "{byte:02x}").expect("a String takes all text");
        text
    })
}

fn read(text: &str) -> Option<Vec<u8>> {
    (0..text.len()).step_by(2).map(|at| u8::from_str_radix(text.get(at..at + 2)?, 16).ok()).collect()
}
