//! Who does not want to meet whom.

use tokio::sync::mpsc;

use super::Matching;
use super::meeting::{Act, After};
use crate::domain::{Caller, Refusal, Time, UserId, peer::PeerWord};
use crate::store::{BLOCKS, Block};

impl Matching {
    /// Somebody does not want to meet somebody else from now on. Should the two be in a match, it is over; the other one is
    /// not told why.
    ///
    /// # Errors
    /// `bad_request` (`userId`: oneself, or too many), `not_found`, `internal`.
    pub async fn block(&self, caller: &Caller, other: UserId) -> Result<(), Refusal> {
        let user = caller.user.id;
        if user == other {
            return Err(Refusal::bad_request("userId", "You cannot block yourself."));
        }
        let store = &self.0.store;
        let person = store.user(other).await?.ok_or(Refusal::NotFound)?;
        if person.cluster != caller.cluster.id {
            return Err(Refusal::NotFound);
        }
        if !store.block(user, other, Time::now()).await? {
            return Err(Refusal::bad_request("userId", format!("You can block up to {BLOCKS} people.")));
        }
        self.0.bus.tell_nodes(|| PeerWord::Apart { by: user, whom: other, blocked: true });
        self.set_apart(user, other);
        Ok(())
    }

    /// Somebody may meet somebody else again, unless they are blocked by them.
    ///
    /// # Errors
    /// `internal`.
    pub async fn unblock(&self, caller: &Caller, other: UserId) -> Result<(), Refusal> {
        let (user, store) = (caller.user.id, &self.0.store);
        store.unblock(user, other).await?;
        if store.are_blocked(user, other).await? {
            return Ok(());
        }
        self.0.bus.tell_nodes(|| PeerWord::Reconciled([user, other]));
        self.reconcile(user, other);
        Ok(())
    }

    /// Whom somebody blocks, the latest first.
    ///
    /// # Errors
    /// `internal`.
    pub async fn blocks(&self, caller: &Caller) -> Result<Vec<Block>, Refusal> {
        Ok(self.0.store.blocks(caller.user.id).await?)
    }

    fn set_apart(&self, user: UserId, other: UserId) {
        let mut desk = self.desk();
        for (one, whom) in [(user, other), (other, user)] {
            if let Some(person) = desk.people.get_mut(&one) {
                person.standing.blocked.insert(whom);
            }
        }
        desk.matcher.forbid(user, other);
        if let Some(id) = desk.meeting_between(user, other) {
            self.part(&mut desk, id, user, Act::Blocked, After::Stops);
        }
        self.turn(&mut desk);
    }

    fn reconcile(&self, user: UserId, other: UserId) {
        let mut desk = self.desk();
        for (one, whom) in [(user, other), (other, user)] {
            if let Some(person) = desk.people.get_mut(&one) {
                person.standing.blocked.remove(&whom);
            }
        }
        desk.matcher.permit(user, other);
        self.turn(&mut desk);
    }

    /// Takes what other nodes tell of who does not want to meet whom, until they tell no more.
    pub async fn follow_nodes(self, mut words: mpsc::UnboundedReceiver<PeerWord>) {
        while let Some(word) = words.recv().await {
            match word {
                PeerWord::Apart { by, whom, blocked: true } => self.set_apart(by, whom),
                PeerWord::Apart { by, whom, blocked: false } => self.part_reported(by, whom),
                PeerWord::Reconciled([one, other]) => self.reconcile(one, other),
                _ => {}
            }
        }
    }
}
