//! Open files: each connection is one, and systems give a program few of them until it asks for more.

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

use crate::config::Config;
use crate::sfu;

/// What the rest of the program holds open: the database, logs, models, recordings of a busy evening.
const ELSEWHERE: u64 = 512;
/// Sockets of the page on a busy evening: more than the bound on them would stop is not asked of every machine.
const BUSY: u64 = 4_096;

/// How many files the connections can be that the settings of media and relay allow, beside those of a busy evening.
#[must_use]
pub fn needed(config: &Config) -> u64 {
    ELSEWHERE + BUSY.min(config.http.max_connections as u64) + sfu::most_files(&config.sfu()) + config.turn.most_files()
}

/// The most that this program may have open: what the system lets it raise its limit to.
#[must_use]
pub fn most() -> u64 {
    getrlimit(Resource::Nofile).maximum.unwrap_or(u64::MAX)
}

/// A sentence for the person who runs the server, if the system gives less than the settings allow for.
#[must_use]
pub fn shortage(needed: u64, most: u64) -> Option<String> {
    (most < needed).then(|| {
        format!(
            "The settings let {needed} files be open at once, and the system lets this program have {most}: raise the hard limit \
             (ulimit -Hn, LimitNOFILE= of systemd, --ulimit nofile= of Docker), or lower PARLOR_SFU__TCP_CONNECTIONS and PARLOR_TURN__MAX_ALLOCATIONS."
        )
    })
}

/// Raises the limit to the most that the system allows, and says so if that is too little. Nothing here uses `select`, which is what
/// the lower limit is kept for.
pub(crate) fn raise(config: &Config) {
    let limit = getrlimit(Resource::Nofile);
    if let Err(error) = setrlimit(Resource::Nofile, Rlimit { current: limit.maximum, ..limit }) {
        tracing::warn!(%error, files = ?limit.current, "the limit of open files cannot be raised");
    }
    if let Some(sentence) = shortage(needed(config), most()) {
        tracing::warn!("{sentence}");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_needed_follows_the_settings() {
        let config = Config::default();
        let least = config.sfu.tcp_connections as u64 + u64::from(config.turn.max_allocations);
        assert!((least..100_000).contains(&needed(&config)), "{}", needed(&config));
        let mut few = Config { media_tcp_port: Some(0), ..Config::default() };
        few.turn.enabled = Some(false);
        assert_eq!(needed(&few), ELSEWHERE + BUSY);
        few.media_one_port = true;
        few.sfu.shards = 16;
        assert!(needed(&few) > 65_536, "each client is a file in one-port mode");
    }

    #[test]
    fn a_shortage_is_told_in_a_sentence() {
        assert_eq!(shortage(20_000, 20_000), None);
        let said = shortage(20_001, 20_000).unwrap();
        assert!(said.contains("20001 files") && said.contains("LimitNOFILE") && said.contains("ulimit"), "{said}");
    }

    #[test]
    fn the_limit_is_raised_to_what_is_allowed() {
        // Tests run in one process: to lower the soft limit harms nobody for a moment, and raising it harms nobody at all.
        let limit = getrlimit(Resource::Nofile);
        let low = limit.maximum.map_or(4_096, |most| most.min(4_096));
        setrlimit(Resource::Nofile, Rlimit { current: Some(low), ..limit }).unwrap();
        raise(&Config::default());
        assert_eq!(getrlimit(Resource::Nofile).current, limit.maximum);
    }
}
