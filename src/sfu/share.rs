//! A shard's part in calls that it shares with others: batches there and back, and who is with it.

use std::sync::atomic::Ordering;
use std::time::Instant;

use parlor_media::{Input, Relay};

use super::thread::Shard;
use super::{Command, ShardHandle};
use crate::domain::{CallId, ParticipantId};

/// Batches of other shards that wait at most, and their bytes. What finds no room is lost, noticed by the next batch's number, and
/// told anew.
const MOST_RELAYS: usize = 1024;
const MOST_RELAY_BYTES: usize = 32 * 1024 * 1024;

impl ShardHandle {
    /// Gives the shard a batch of another one; false when it has too much already.
    fn relay(&self, from: u8, bytes: Vec<u8>) -> bool {
        let len = bytes.len();
        let [batches, waiting] = &self.shared.relays;
        let queued = (batches.fetch_add(1, Ordering::Relaxed), waiting.fetch_add(len, Ordering::Relaxed));
        let room = queued.0 < MOST_RELAYS && queued.1 + len <= MOST_RELAY_BYTES;
        if !(room && self.commands.try_send(Command::Relay(from, bytes)).is_ok()) {
            batches.fetch_sub(1, Ordering::Relaxed);
            waiting.fetch_sub(len, Ordering::Relaxed);
            return false;
        }
        // The shard is woken once for all that wait.
        self.shared.knocked.swap(true, Ordering::SeqCst) || self.waker.wake().is_ok()
    }
}

impl Shard {
    /// A batch for another shard.
    pub(super) fn hand_on(&mut self, relay: Relay) {
        let taken = self.shards.get(usize::from(relay.to)).is_some_and(|to| to.relay(self.config.number, relay.bytes));
        if !taken {
            self.relay_lost += u64::from(relay.packets);
        }
    }

    /// A batch of another shard.
    pub(super) fn take_relay(&mut self, from: u8, bytes: Vec<u8>) {
        let [batches, waiting] = &self.inbox.shared.relays;
        batches.fetch_sub(1, Ordering::Relaxed);
        waiting.fetch_sub(bytes.len(), Ordering::Relaxed);
        self.core.handle(Instant::now(), Input::Relay { from, bytes: &bytes });
        self.core.give_back(bytes);
    }

    /// A participant is with this shard. A call whose home is another one is relayed from there.
    pub(super) fn settle(&mut self, call: CallId, participant: ParticipantId, connection: u64) {
        self.members.insert(participant, (call, connection));
        self.spread.settle(call, participant, usize::from(self.config.number));
        let home = self.spread.home(call);
        if home != usize::from(self.config.number) {
            self.core.relay_from(parlor_media::CallId(call.as_u128()), home as u8);
        }
    }

    /// A participant's offer has no answer: unless it has a connection already, it is nowhere.
    pub(super) fn turned_away(&mut self, call: CallId, participant: ParticipantId) {
        if !self.members.contains_key(&participant) {
            self.spread.forget(call, participant, usize::from(self.config.number));
        }
    }

    /// A participant's connection is over.
    pub(super) fn forget(&mut self, participant: ParticipantId) {
        if let Some((call, _)) = self.members.remove(&participant) {
            self.spread.forget(call, participant, usize::from(self.config.number));
        }
    }
}
