//! Several shards of one world, and the queues between them.

use std::net::SocketAddr;
use std::time::Instant;

use rand::RngExt;
use rand::rngs::StdRng;

use parlor_media::{CallId, Config, Event, Input, OfferedTrack, Output, ParticipantId, Relay, Shard};

use crate::world::World;

/// Changes some bytes, mostly behind the head; now and then what is there comes twice, or is cut.
fn damage(random: &mut StdRng, bytes: &mut Vec<u8>) {
    const HEAD_LEN: usize = 30;
    for _ in 0..random.random_range(1..8) {
        let least = if random.random_ratio(1, 16) { 0 } else { HEAD_LEN.min(bytes.len() - 1) };
        let at = random.random_range(least..bytes.len());
        match random.random_range(0..12) {
            0 => bytes.truncate(at + 1),
            1 => bytes.extend_from_within(HEAD_LEN.min(bytes.len())..),
            2 => bytes[at] = 0,
            3 => bytes[at] = 0xff,
            4..8 => bytes[at] ^= 1 << random.random_range(0..8),
            _ => bytes[at] = random.random_range(0..16),
        }
    }
}

impl World {
    /// One more shard.
    pub fn add_spoke(&mut self) {
        let number = self.spokes.len() as u8 + 1;
        let config = Config { number, ..self.config.clone() };
        self.spokes.push(Shard::new(config, self.certificate.clone(), self.now, [number; 32]));
    }

    /// The shard of that number begins anew: all that was in it is gone.
    pub fn begin_anew(&mut self, number: usize) {
        let config = Config { number: number as u8, ..self.config.clone() };
        let anew = Shard::new(config, self.certificate.clone(), self.now, [number as u8 + 100; 32]);
        *self.at(number) = anew;
    }

    /// The shard of that number, of which the first one is 0.
    pub fn at(&mut self, number: usize) -> &mut Shard {
        if number == 0 { &mut self.shard } else { &mut self.spokes[number - 1] }
    }

    /// The same, to look at.
    pub fn peek(&self, number: usize) -> &Shard {
        if number == 0 { &self.shard } else { &self.spokes[number - 1] }
    }

    /// Somebody's offer to one of the shards; answers the description.
    pub fn offer(
        &mut self,
        shard: usize,
        call: CallId,
        id: ParticipantId,
        sdp: &str,
        tracks: &[OfferedTrack],
    ) -> String {
        let now = self.now;
        let core = self.at(shard);
        let answer = core.offer(now, call, id, sdp, tracks).expect("a good offer").sdp;
        if shard > 0 {
            core.relay_from(call, 0);
            core.rest();
        }
        answer
    }

    /// When the next of the shards wants its turn.
    pub fn next_timeout(&self) -> Option<Instant> {
        (0..=self.spokes.len()).filter_map(|number| self.peek(number).poll_timeout()).min()
    }

    pub fn handle_timeouts(&mut self) {
        let now = self.now;
        for number in 0..=self.spokes.len() {
            if self.peek(number).poll_timeout().is_some_and(|due| due <= now) {
                self.at(number).handle(now, Input::Timeout);
            }
        }
    }

    /// Takes what all shards have to say, and hands batches over; false when there were none.
    pub fn drain(&mut self, outgoing: &mut Vec<(SocketAddr, Vec<u8>)>) -> bool {
        let mut relays = Vec::new();
        for number in 0..=self.spokes.len() {
            let mut events = Vec::new();
            while let Some(output) = self.at(number).poll() {
                match output {
                    Output::Transmit(transmit) => {
                        let datagrams = transmit.bytes.chunks(transmit.segment);
                        outgoing.extend(datagrams.map(|bytes| (transmit.to.remote, bytes.to_vec())));
                    }
                    Output::Relay(relay) => relays.push((number, relay)),
                    Output::Event(event) => events.push(event),
                }
            }
            events.into_iter().for_each(|event| self.hear(number, event));
        }
        let any = !relays.is_empty();
        relays.into_iter().for_each(|(from, relay)| self.hand_over(from, relay));
        any
    }

    fn hear(&mut self, number: usize, event: Event) {
        if let Event::Slots { participant, slots, .. } = &event
            && let Some(person) = self.people.iter_mut().find(|person| person.id == *participant)
        {
            person.slots.extend(slots.iter().map(|slot| (slot.mid.clone(), slot.clone())));
        }
        if number > 0 {
            self.told_by_spokes.push(event.clone());
        }
        self.told.push(event);
    }

    fn hand_over(&mut self, from: usize, mut relay: Relay) {
        if self.relays_lost > 0 {
            self.relays_lost -= 1;
            return;
        }
        if let Some(random) = self.damages.as_mut()
            && random.random_ratio(1, 4)
        {
            damage(random, &mut relay.bytes);
        }
        let (now, to) = (self.now, usize::from(relay.to));
        *self.crossed.entry((from, to)).or_default() += u64::from(relay.packets);
        let shard = self.at(to);
        shard.handle(now, Input::Relay { from: from as u8, bytes: &relay.bytes });
        shard.give_back(relay.bytes);
    }
}
