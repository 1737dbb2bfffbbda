//! The shards of a world, what is handed from one to another, and what becomes of a panic in one of them.

use std::net::SocketAddr;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};

use parlor_media::drop::Drop;
use parlor_media::{CallId, Event, Holdings, Input, Output, ParticipantId, Path, Relay, Shard};

use crate::guest::Tag;
use crate::world::World;

/// What a shard has to say, taken out of its buffers.
enum Said {
    Datagrams(SocketAddr, Vec<Vec<u8>>),
    Relay(Relay),
    Event(Event),
}

impl World {
    /// The number of the shard that a guest is on.
    pub fn number_of(&self, place: usize) -> usize {
        place % (self.spokes.len() + 1)
    }

    fn at(&mut self, number: usize) -> &mut Shard {
        if number == 0 { &mut self.shard } else { &mut self.spokes[number - 1] }
    }

    pub fn shards(&self) -> impl Iterator<Item = &Shard> {
        std::iter::once(&self.shard).chain(&self.spokes)
    }

    /// What is left in any of the shards.
    pub fn held(&self) -> Option<Holdings> {
        self.shards().map(Shard::holdings).find(|held| *held != Holdings::default())
    }

    /// Lets a core do something; a panic that was ordered ends the call that ordered it.
    pub fn drive<R>(&mut self, number: usize, step: impl FnOnce(&mut Shard) -> R) -> Option<R> {
        let shard = self.at(number);
        let panic = match catch_unwind(AssertUnwindSafe(|| step(shard))) {
            Ok(result) => {
                self.at(number).rest();
                return Some(result);
            }
            Err(panic) => panic,
        };
        let Some(ordered) = self.ordered.take() else { resume_unwind(panic) };
        let call = self.guests[ordered].call;
        let id = CallId(1 + call as u128);
        let culprit = self.at(number).culprit();
        if culprit != Some(id) {
            self.fail(&format!("the culprit is {culprit:?}, not {id:?}"));
        }
        let mut gone: Vec<ParticipantId> = self.at(number).break_off(id).into_iter().map(|(who, _)| who).collect();
        let mut seated: Vec<ParticipantId> = Vec::new();
        for place in 0..self.guests.len() {
            let is_there = self.number_of(place) == number;
            let guest = &mut self.guests[place];
            // What was to be sent to others is lost.
            guest.laws.values_mut().for_each(crate::law::Law::forgive);
            if is_there && guest.call == call && guest.seat.take().is_some() {
                seated.push(guest.id);
                self.just_gone.push(place);
            }
        }
        gone.sort_unstable();
        seated.sort_unstable();
        if gone != seated {
            self.fail(&format!("{gone:?} are told that their call broke, where {seated:?} were in it"));
        }
        self.account.broken += 1;
        None
    }

    pub fn handle_timeouts(&mut self) {
        for number in 0..=self.spokes.len() {
            let now = self.now;
            if self.at(number).poll_timeout().is_some_and(|due| due <= now) {
                self.drive(number, |shard| shard.handle(now, Input::Timeout));
            }
        }
    }

    /// Hands the server a datagram; whether it was of use.
    pub fn throw(&mut self, from: SocketAddr, bytes: &mut [u8]) -> bool {
        let dropped = |shard: &Shard| {
            let drops = shard.stats().drops;
            drops.iter().sum::<u64>() - drops[Drop::Muted as usize]
        };
        let number = self.addresses.get(&from).map_or(0, |place| self.number_of(*place));
        let before = dropped(self.at(number));
        let now = self.now;
        self.drive(number, |shard| shard.handle(now, Input::Datagram { from: Path::udp(from), bytes }));
        dropped(self.at(number)) == before
    }

    /// Takes everything that the server has to say.
    pub fn collect(&mut self) {
        let mut relayed = true;
        while std::mem::take(&mut relayed) {
            for number in 0..=self.spokes.len() {
                relayed |= self.collect_of(number);
            }
        }
        self.look_at_what_was_told();
        self.arrived.settle(self.now);
        // What recorders would take.
        while self.shard.poll_recorded().is_some() {}
    }

    /// The same of one shard; whether another one was given something.
    fn collect_of(&mut self, number: usize) -> bool {
        let mut relayed = false;
        loop {
            let said = self.drive(number, |shard| {
                shard.poll().map(|output| match output {
                    Output::Transmit(transmit) => {
                        let datagrams = transmit.bytes.chunks(transmit.segment).map(<[u8]>::to_vec).collect();
                        Said::Datagrams(transmit.to.remote, datagrams)
                    }
                    Output::Relay(relay) => Said::Relay(relay),
                    Output::Event(event) => Said::Event(event),
                })
            });
            match said {
                Some(Some(Said::Datagrams(to, datagrams))) => {
                    let Some(place) = self.addresses.get(&to).copied() else {
                        self.account.to_strangers += datagrams.len() as u64;
                        continue;
                    };
                    for bytes in datagrams {
                        self.observe(place, &bytes);
                        self.fly(place, false, Tag::Other, &bytes);
                    }
                }
                Some(Some(Said::Relay(relay))) => {
                    relayed = true;
                    let (now, from) = (self.now, number as u8);
                    let input = Input::Relay { from, bytes: &relay.bytes };
                    self.drive(usize::from(relay.to), |shard| shard.handle(now, input));
                }
                Some(Some(Said::Event(event))) => self.hear(event),
                // It broke, and goes on with the others.
                None => {}
                Some(None) => return relayed,
            }
        }
    }
}
