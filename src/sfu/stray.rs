//! What lands on the wrong shard in one-port mode. Anybody can send it, so a source has few, all together have a bound, and what is
//! beyond is dropped after one hash, before it costs another shard anything.

use std::hash::{BuildHasher as _, RandomState};
use std::net::IpAddr;
use std::time::{Duration, Instant};

use parlor_media::Path;

use super::door::net_of;

/// Checks of one address that are handed over at once: an office whose people all join in the same moment.
const BURST: u32 = 512;
/// Those of one address in a second after its burst: each costs some microseconds, so this is a thousandth of a core.
const PER_S: u32 = 256;
/// Checks that one shard hands over at once, and in a second, whoever sent them: a flood with forged addresses costs the others no
/// more than this. In the tests of one-port mode a client needs one.
const BURST_OF_ALL: u32 = 2_048;
const PER_S_OF_ALL: u32 = 4_096;
/// Addresses that fall on the same place share a budget, and no flood makes the table grow: 8 KiB.
const PLACES: usize = 1_024;

/// A datagram that landed on another shard than its own.
pub(super) struct Stray {
    pub path: Path,
    pub bytes: Vec<u8>,
}

/// A leaky bucket (GCRA): when its next one would be due at the steady rate, in µs since the start.
fn take(due_us: &mut u64, now_us: u64, burst: u32, per_s: u32) -> bool {
    let step_us = 1_000_000 / u64::from(per_s);
    let at = (*due_us).max(now_us);
    let has = at - now_us <= step_us * u64::from(burst - 1);
    if has {
        *due_us = at + step_us;
    }
    has
}

/// What may be handed over.
pub(super) struct Strays {
    start: Instant,
    hash: RandomState,
    of_address: Box<[u64; PLACES]>,
    of_all: u64,
}

impl Default for Strays {
    fn default() -> Self {
        Self { start: Instant::now(), hash: RandomState::new(), of_address: Box::new([0; PLACES]), of_all: 0 }
    }
}

impl Strays {
    /// Takes one out of this source's budget and of that of all, if there is one.
    pub fn admit(&mut self, now: Instant, from: IpAddr) -> bool {
        let now_us = now.saturating_duration_since(self.start).min(Duration::from_secs(u64::from(u32::MAX)));
        let now_us = u64::try_from(now_us.as_micros()).unwrap_or(u64::MAX / 2);
        let place = self.hash.hash_one(net_of(from)) as usize % PLACES;
        take(&mut self.of_address[place], now_us, BURST, PER_S)
            && take(&mut self.of_all, now_us, BURST_OF_ALL, PER_S_OF_ALL)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::sync::atomic::Ordering;

    use super::super::{MOST_STRAYS, ShardHandle};
    use super::*;

    #[test]
    fn a_source_has_few_and_others_have_theirs() {
        let (mut strays, now) = (Strays::default(), Instant::now());
        let (eve, ada) = (IpAddr::from([192, 0, 2, 1]), IpAddr::from([198, 51, 100, 1]));
        let admitted = (0..10_000).filter(|_| strays.admit(now, eve)).count();
        assert_eq!(admitted, BURST as usize);
        // One chance in a thousand that both fall on one place; another address is then free.
        assert!(strays.admit(now, ada) || strays.admit(now, [198, 51, 100, 2].into()));
        let later = now + Duration::from_secs(1);
        assert_eq!((0..10_000).filter(|_| strays.admit(later, eve)).count(), PER_S as usize);
    }

    #[test]
    fn a_shard_is_woken_once_for_all_that_wait() {
        let poll = mio::Poll::new().unwrap();
        let waker = Arc::new(mio::Waker::new(poll.registry(), mio::Token(0)).unwrap());
        let (commands, inbox) = std::sync::mpsc::sync_channel(MOST_STRAYS * 2);
        let shard = ShardHandle { commands, shared: Arc::default(), waker, port: 0 };
        let stray = || {
            let path = Path { remote: ([192, 0, 2, 1], 4_000).into(), local: None, via: parlor_media::Via::Udp };
            Stray { path, bytes: vec![1; 100] }
        };
        let knocked = || shard.shared.knocked.load(Ordering::SeqCst);
        assert!(!knocked() && shard.hand_over(stray()) && knocked());
        // Nothing is lost without a wake: the thread takes note before it looks into the queue.
        assert_eq!((0..MOST_STRAYS * 2).filter(|_| shard.hand_over(stray())).count(), MOST_STRAYS - 1);
        assert_eq!(inbox.try_iter().count(), MOST_STRAYS);
        assert_eq!(shard.shared.strays.load(Ordering::SeqCst), MOST_STRAYS, "the thread counts them off");
    }

    #[test]
    fn forged_addresses_have_a_bound_too() {
        let (mut strays, now) = (Strays::default(), Instant::now());
        let forged = (0..100_000_u32).map(|number| IpAddr::from((0x0b00_0000 + number).to_be_bytes()));
        assert_eq!(forged.filter(|from| strays.admit(now, *from)).count(), BURST_OF_ALL as usize);
    }
}
