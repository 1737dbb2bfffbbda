//! Which shards a call's people are on, and so whom a command is for.
//!
//! A call has a home shard by its id. Everybody comes there until there are [`super::Config::spread_after`]; who comes then goes to the
//! shard that has the fewest of the call, and stays there for as long as the connection lasts. The home shard relays to the
//! others what their people need.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::oneshot;

use super::{Command, OfferError, Offered, OfferedTrack, Sfu};
use crate::domain::call::View;
use crate::domain::{CallId, ParticipantId, TrackId};

/// Who is where. Looked at when somebody joins, leaves or says something; never for a packet.
pub(super) struct Spread {
    shards: usize,
    after: usize,
    calls: Mutex<HashMap<CallId, Places>>,
}

/// Where the people of one call are.
#[derive(Default)]
struct Places {
    of: HashMap<ParticipantId, usize>,
    /// How many are on each shard.
    counts: Vec<usize>,
}

impl Spread {
    /// Nobody yet. With one shard there is nothing to know.
    pub fn new(shards: usize, after: usize) -> Spread {
        Spread { shards, after, calls: Mutex::default() }
    }

    /// A call's home follows from its id, so that nobody needs to keep a table. The low bits of a UUIDv7 are random.
    pub fn home(&self, call: CallId) -> usize {
        (call.as_u128() % self.shards as u128) as usize
    }

    fn calls(&self) -> MutexGuard<'_, HashMap<CallId, Places>> {
        self.calls.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The shard of a participant who offers: the one it is on, else the one that it comes to; and whether it comes.
    pub fn place(&self, call: CallId, participant: ParticipantId) -> (usize, bool) {
        let home = self.home(call);
        if self.shards == 1 {
            return (home, false);
        }
        let mut calls = self.calls();
        let places = calls.entry(call).or_default();
        places.counts.resize(self.shards, 0);
        if let Some(shard) = places.of.get(&participant) {
            return (*shard, false);
        }
        // Who is at home costs no relaying.
        let fewest = |shard: &usize| (places.counts[*shard], *shard != home);
        let is_spread = places.of.len() >= self.after.max(1);
        let shard = if is_spread { (0..self.shards).min_by_key(fewest).unwrap_or(home) } else { home };
        places.of.insert(participant, shard);
        places.counts[shard] += 1;
        (shard, true)
    }

    /// The shard that a participant is on; its call's home when nobody knows.
    pub fn shard_of(&self, call: CallId, participant: ParticipantId) -> usize {
        if self.shards == 1 {
            return 0;
        }
        let known = self.calls().get(&call).and_then(|places| places.of.get(&participant).copied());
        known.unwrap_or_else(|| self.home(call))
    }

    /// The shards that have somebody of a call, and its home.
    pub fn shards_of(&self, call: CallId) -> Vec<usize> {
        let home = self.home(call);
        if self.shards == 1 {
            return vec![home];
        }
        let calls = self.calls();
        let counts = calls.get(&call).map_or(&[][..], |places| &places.counts);
        let others = counts.iter().enumerate().filter(|(shard, count)| **count > 0 && *shard != home);
        std::iter::once(home).chain(others.map(|(shard, _)| shard)).collect()
    }

    /// A shard has answered a participant's offer: that is where it is, whatever was known.
    pub fn settle(&self, call: CallId, participant: ParticipantId, shard: usize) {
        if self.shards == 1 {
            return;
        }
        let mut calls = self.calls();
        let places = calls.entry(call).or_default();
        places.counts.resize(self.shards, 0);
        if let Some(before) = places.of.insert(participant, shard) {
            places.counts[before] -= 1;
        }
        places.counts[shard] += 1;
    }

    /// A participant's connection on that shard is over.
    pub fn forget(&self, call: CallId, participant: ParticipantId, shard: usize) {
        if self.shards == 1 {
            return;
        }
        let mut calls = self.calls();
        let Some(places) = calls.get_mut(&call) else { return };
        if places.of.get(&participant) == Some(&shard) {
            places.of.remove(&participant);
            places.counts[shard] -= 1;
        }
        if places.of.is_empty() {
            calls.remove(&call);
        }
    }
}

impl Sfu {
    /// Answers a participant's offer. The same participant may offer again, for more slots or from a new connection.
    ///
    /// # Errors
    /// When the offer cannot be answered, see [`OfferError`].
    pub async fn offer(
        &self,
        call: CallId,
        participant: ParticipantId,
        sdp: String,
        tracks: Vec<OfferedTrack>,
    ) -> Result<Offered, OfferError> {
        let (shard, comes) = self.0.spread.place(call, participant);
        let home = self.0.spread.home(call);
        if !comes || shard == home {
            return self.offer_to(shard, comes, (call, participant), sdp, tracks).await;
        }
        // A shard that takes nobody has the fewest of the call for as long as it does: home may have room.
        match self.offer_to(shard, true, (call, participant), sdp.clone(), tracks.clone()).await {
            Err(OfferError::Unavailable) => {
                self.0.spread.settle(call, participant, home);
                self.offer_to(home, true, (call, participant), sdp, tracks).await
            }
            answer => answer,
        }
    }

    /// Answers an offer to one shard. Who comes to it and is not taken is nowhere.
    async fn offer_to(
        &self,
        shard: usize,
        comes: bool,
        (call, participant): (CallId, ParticipantId),
        sdp: String,
        tracks: Vec<OfferedTrack>,
    ) -> Result<Offered, OfferError> {
        let (reply, answer) = oneshot::channel();
        let sent = self.0.shards[shard].send(Command::Offer { call, participant, sdp, tracks, reply });
        let answer = if sent { answer.await.ok() } else { None };
        answer.unwrap_or_else(|| {
            if comes {
                self.0.spread.forget(call, participant, shard);
            }
            Err(OfferError::Unavailable)
        })
    }

    /// The participant can take media from now on.
    pub fn ready(&self, call: CallId, participant: ParticipantId) {
        self.tell(self.0.spread.shard_of(call, participant), Command::Ready(participant));
    }

    /// The participant leaves.
    pub fn leave(&self, call: CallId, participant: ParticipantId) {
        self.tell(self.0.spread.shard_of(call, participant), Command::Leave(participant));
    }

    /// What the participant wants to see, most important first.
    pub fn view(&self, call: CallId, participant: ParticipantId, views: Vec<View>) {
        self.tell(self.0.spread.shard_of(call, participant), Command::View(participant, views));
    }

    /// Drops a track's packets, or forwards them again.
    pub fn mute(&self, call: CallId, track: TrackId, muted: bool) {
        for shard in self.0.spread.shards_of(call) {
            self.tell(shard, Command::Mute(track, muted));
        }
    }

    /// Shows one participant before all others to whoever says nothing of what they want to see; or nobody any more.
    pub fn spotlight(&self, call: CallId, participant: Option<ParticipantId>) {
        self.tell_home(call, Command::Spotlight(call, participant));
    }

    /// Copies all of a call's tracks, also those to come, to whoever records; or ceases to.
    pub fn record(&self, call: CallId, on: bool) {
        self.tell_home(call, Command::Record(call, on));
    }

    /// Asks for a key frame of what is recorded of a track. Many wishes become few requests.
    pub fn keyframe(&self, call: CallId, track: TrackId) {
        self.tell_home(call, Command::Keyframe(track));
    }

    /// Looks at a track at another interval from now on; `None`: at the configured one.
    pub fn sample_every(&self, call: CallId, track: TrackId, every: Option<Duration>) {
        self.tell_home(call, Command::SampleEvery(track, every));
    }

    /// Looks at a track as soon as it can be.
    pub fn sample_now(&self, call: CallId, track: TrackId) {
        self.tell_home(call, Command::SampleNow(track));
    }

    /// The home shard of a call chooses, samples and records for all of them.
    fn tell_home(&self, call: CallId, command: Command) {
        self.tell(self.0.spread.home(call), command);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn people(count: usize) -> Vec<ParticipantId> {
        (0..count).map(|_| ParticipantId::new()).collect()
    }

    #[test]
    fn a_small_call_stays_at_home_and_a_large_one_is_spread_evenly() {
        let (spread, call, people) = (Spread::new(3, 4), CallId::new(), people(40));
        let home = spread.home(call);
        assert!(people[..4].iter().all(|who| spread.place(call, *who).0 == home));
        let placed: Vec<usize> = people.iter().map(|who| spread.place(call, *who).0).collect();
        assert!(placed[4..8].iter().all(|shard| *shard != home), "the others have fewer");
        for shard in 0..3 {
            let count = placed.iter().filter(|other| **other == shard).count();
            assert!((13..=14).contains(&count), "{count} on shard {shard}");
        }
        assert_eq!(
            people.iter().map(|who| spread.place(call, *who).0).collect::<Vec<_>>(),
            placed,
            "who is there stays"
        );
        assert_eq!(people.iter().map(|who| spread.shard_of(call, *who)).collect::<Vec<_>>(), placed);
        assert_eq!((spread.shards_of(call).len(), spread.shards_of(call)[0]), (3, home));
    }

    #[test]
    fn who_is_gone_is_forgotten_and_a_call_with_them() {
        let (spread, call, people) = (Spread::new(2, 1), CallId::new(), people(2));
        let (home, other) = (spread.home(call), 1 - spread.home(call));
        assert_eq!((spread.place(call, people[0]), spread.place(call, people[1])), ((home, true), (other, true)));
        // What another shard says of a connection that was replaced changes nothing.
        spread.forget(call, people[1], home);
        assert_eq!(spread.shard_of(call, people[1]), other);
        spread.forget(call, people[1], other);
        assert_eq!((spread.shard_of(call, people[1]), spread.shards_of(call)), (home, vec![home]));
        spread.settle(call, people[0], other);
        assert_eq!(spread.shards_of(call), [home, other]);
        spread.forget(call, people[0], other);
        assert!(spread.calls().is_empty());
    }
}
