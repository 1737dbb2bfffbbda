use std::{
    collections::HashMap,
    sync::{Mutex, OnceLock, PoisonError},
    time::{Duration, Instant},
};

use super::{Auth, new_secret};
use crate::domain::NodeId;

/// Stands between the name of the node and the rest of the secret.
const OF_NODE: char = '.';

/// Things that wait at most. Each costs a password or a request that is limited, so only an attack by very many comes here; then all
/// are forgotten, and honest people begin again.
const MOST: usize = 16_384;

/// What waits for somebody's answer, each found by a secret, once and soon. In memory: a restart costs one more try.
pub(super) struct Pending<T> {
    life: Duration,
    waiting: Mutex<HashMap<String, (T, Instant)>>,
    /// The node on which it waits, where there are several: the secret says it, so that others know where to ask.
    node: OnceLock<NodeId>,
}

impl Auth {
    /// This is that node of several: what waits for somebody's answer here says so.
    pub fn name_node(&self, node: NodeId) {
        // It has one name for as long as it runs.
        let _ = self.0.waiting.node.set(node);
        let _ = self.0.asked.node.set(node);
    }

    /// The node on which waits what a ticket or challenge of a login stands for, if that is said.
    pub fn node_of(secret: &str) -> Option<NodeId> {
        secret.split_once(OF_NODE)?.0.parse().ok()
    }
}

impl<T> Pending<T> {
    pub(super) fn new(life: Duration) -> Self {
        Self { life, waiting: Mutex::default(), node: OnceLock::new() }
    }

    pub(super) fn life(&self) -> Duration {
        self.life
    }

    pub(super) fn keep(&self, what: T) -> String {
        let secret = match self.node.get() {
            Some(node) => format!("{node}{OF_NODE}{}", new_secret()),
            None => new_secret(),
        };
        self.keep_until(secret.clone(), what, Instant::now() + self.life);
        secret
    }

    /// Takes it out, and until when it would have waited.
    pub(super) fn take(&self, secret: &str) -> Option<(T, Instant)> {
        let (what, until) = self.waiting.lock().unwrap_or_else(PoisonError::into_inner).remove(secret)?;
        (until > Instant::now()).then_some((what, until))
    }

    /// Lets it wait on, after a try that failed.
    pub(super) fn keep_until(&self, secret: String, what: T, until: Instant) {
        let now = Instant::now();
        let mut waiting = self.waiting.lock().unwrap_or_else(PoisonError::into_inner);
        if waiting.len() >= MOST {
            waiting.retain(|_, (_, until)| *until > now);
            if waiting.len() >= MOST {
                waiting.clear();
            }
        }
        waiting.insert(secret, (what, until));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn where_it_waits_is_said_where_there_are_several_nodes() {
        let (pending, node) = (Pending::new(Duration::from_secs(60)), NodeId::new());
        assert_eq!(Auth::node_of(&pending.keep(1)), None);
        pending.node.set(node).unwrap();
        let secret = pending.keep(2);
        assert_eq!(Auth::node_of(&secret), Some(node));
        assert_eq!(pending.take(&secret).map(|(what, _)| what), Some(2));
    }

    #[test]
    fn it_is_found_once_and_soon() {
        let pending = Pending::new(Duration::from_secs(60));
        let secret = pending.keep(7);
        assert!(pending.take("another").is_none());
        let (what, until) = pending.take(&secret).unwrap();
        assert!(pending.take(&secret).is_none());
        pending.keep_until(secret.clone(), what, until);
        assert_eq!(pending.take(&secret), Some((7, until)));
        let late = Pending::new(Duration::ZERO);
        let secret = late.keep(7);
        assert!(late.take(&secret).is_none());
    }
}
