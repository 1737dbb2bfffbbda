//! What several nodes count together: each tells the others what it has let through, and counts what they have. A limit
//! holds across nodes but for what two of them let through within the milliseconds that a word takes; without Redis each node
//! counts for itself.

use tokio::sync::mpsc;

use super::{Key, Limits, Rule};
use crate::domain::peer::Spent;

/// Deeds that wait to be told to other nodes; beyond, they are counted here alone.
const WAITING: usize = 4_096;
/// The furthest ahead that a meter is set for what others tell, in nanoseconds: an hour. No limit of ours makes anybody wait longer,
/// but for uploads.
const FURTHEST_NS: u64 = 3_600_000_000_000;

impl Limits {
    /// From now on: what this node has let through and the others are to count too. For whoever asks first.
    pub fn spent(&self) -> mpsc::Receiver<Spent> {
        let (sender, receiver) = mpsc::channel(WAITING);
        // Whoever asks later hears nothing.
        let _ = self.0.told.set(sender);
        receiver
    }

    /// Counts what another node has let through.
    pub fn count_elsewhere(&self, spent: Spent) {
        let Ok(key) = serde_json::from_value::<Key>(spent.key) else { return };
        let now_ns = self.now_ns();
        let mut shard = self.shard_of(&key);
        let due_ns = shard.get(&key).copied().unwrap_or(0).max(now_ns);
        super::put(&mut shard, key, due_ns.saturating_add(spent.cost_ns).min(now_ns + FURTHEST_NS), now_ns);
    }

    pub(super) fn tell_spent(&self, key: Key, cost_ns: u64) {
        if let Some(told) = self.0.told.get()
            && key.rule.is_shared()
            && let Ok(key) = serde_json::to_value(key)
        {
            // What finds no room is counted here alone.
            let _ = told.try_send(Spent { key, cost_ns });
        }
    }
}

impl Rule {
    /// Whether it is counted across nodes: not what each node bears by itself and what comes too often to be told.
    const fn is_shared(self) -> bool {
        !matches!(self, Rule::Frame | Rule::Request | Rule::Typing | Rule::View)
    }
}

#[cfg(test)]
mod tests {
    use super::super::{Config, Rate};
    use super::*;
    use crate::domain::UserId;

    #[tokio::test]
    async fn what_one_node_lets_through_another_counts() {
        let config = Config { join_room: Rate { per_minute: 1, burst: 4 }, ..Config::default() };
        let (one, other) = (Limits::new(config.clone()), Limits::new(config));
        let (mut told, user) = (one.spent(), UserId::new());
        let address = "192.0.2.1".parse().unwrap();
        for _ in 0..2 {
            one.check_user(Rule::JoinRoom, user, address).unwrap();
            // For the person, and for the address.
            for _ in 0..2 {
                other.count_elsewhere(told.recv().await.unwrap());
            }
            other.check_user(Rule::JoinRoom, user, address).unwrap();
        }
        assert!(other.check_user(Rule::JoinRoom, user, address).is_err(), "two of each make four");
        one.check_user(Rule::Frame, user, address).unwrap();
        assert!(told.try_recv().is_err(), "frames are each node's own");
    }
}
