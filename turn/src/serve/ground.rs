//! This machine's addresses, which change: a lease ends, a network is plugged in. What is ours must not be reached as if it were
//! somebody else's.

use std::net::{IpAddr, SocketAddr};
use std::time::{Duration, Instant};

use super::Surroundings;
use crate::config::Config;
use crate::peers::{Ground, Peers};

/// How often the addresses are read: some microseconds of system calls.
const LOOK_EVERY: Duration = Duration::from_secs(5);

/// The ground that the relay stands on, and when it is looked at next.
pub(super) struct Watched {
    ground: Ground,
    read: fn() -> Vec<IpAddr>,
    next: Instant,
}

impl Watched {
    pub(super) fn new(config: &Config, surroundings: &Surroundings) -> Self {
        let Surroundings { announced, media_ports, machine, .. } = surroundings;
        let media = announced.iter().flat_map(|ip| media_ports.iter().map(|port| SocketAddr::new(*ip, *port)));
        let ground = Ground {
            allowed: config.allow_peers.clone(),
            public: config.public_peers,
            media: media.collect(),
            machine: machine(),
        };
        Self { ground, read: *machine, next: Instant::now() + LOOK_EVERY }
    }

    pub(super) fn peers(&self) -> Peers {
        Peers::new(&self.ground)
    }

    pub(super) fn poll_timeout(&self) -> Instant {
        self.next
    }

    /// Looks, if it is time; whom the relay reaches from now on, if that has changed.
    pub(super) fn look(&mut self, now: Instant) -> Option<Peers> {
        if now < self.next {
            return None;
        }
        self.next = now + LOOK_EVERY;
        let machine = (self.read)();
        // A system that cannot say them now has them still.
        if machine.is_empty() || machine == self.ground.machine {
            return None;
        }
        self.ground.machine = machine;
        Some(self.peers())
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicBool, Ordering};

    use super::*;
    use crate::config::Secret;

    static MOVED: AtomicBool = AtomicBool::new(false);

    fn machine() -> Vec<IpAddr> {
        vec![if MOVED.load(Ordering::SeqCst) { [8, 8, 4, 4] } else { [10, 0, 0, 5] }.into()]
    }

    #[test]
    fn a_new_address_of_ours_is_ours() {
        let config = Config { public_peers: true, ..Config::default() };
        let announced = vec![IpAddr::from([10, 0, 0, 5])];
        let secret = Secret::from(String::from("north"));
        let surroundings = Surroundings { secret, tls: None, announced, media_ports: vec![10_000], machine };
        let mut watched = Watched::new(&config, &surroundings);
        let (peer, media) = (SocketAddr::from(([8, 8, 4, 4], 22)), SocketAddr::from(([10, 0, 0, 5], 10_000)));
        assert_eq!((watched.peers().road(peer), watched.peers().road(media)), (Some(peer), Some(media)));
        let due = watched.poll_timeout();
        assert!(watched.look(due).is_none(), "nothing has changed");
        MOVED.store(true, Ordering::SeqCst);
        assert!(watched.look(due).is_none(), "it is not time");
        let peers = watched.look(watched.poll_timeout()).expect("it has moved");
        assert_eq!(peers.road(peer), None, "our own ports are closed");
        // The told address is not one of this machine any more: its media is reached over loopback.
        assert_eq!(peers.road(media), Some(SocketAddr::from(([127, 0, 0, 1], 10_000))));
    }
}
