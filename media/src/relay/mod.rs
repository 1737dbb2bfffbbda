//! Calls that several shards share: what crosses between them, and how little of it.
//!
//! A call's home shard is its hub; each other shard that has people of the call is a spoke, with one link to the hub. Both ends of a
//! link do the same: they announce the tracks that they have from elsewhere than this very link, ask for the layers that
//! somebody behind them needs, and send the packets of those layers, each once. A track that came over a link is kept like one that
//! came from a publisher, in a ring of its own, so that slots, layers and repairs of receivers know no difference; key frame
//! requests, and which layers are watched, find their way back to the shard that has the publisher.
//!
//! Only the hub chooses who is heard, samples and records. Links have no I/O: a batch of records for each link and tick goes out
//! ([`Relay`]) and comes in, in whatever way. What gets lost on it is noticed by the batches' numbers, and told again; lost packets stay
//! missing, until a key frame. Repair over a link is for links that lose: it has a place in the format, and is not there yet.

mod packets;
mod tracks;
pub(crate) mod wire;

use std::collections::HashMap;

use self::wire::{HEAD_LEN, Head, Of, Record};
use crate::call::Call;
use crate::drop::Drop;
use crate::event::Event;
use crate::fault::Step;
use crate::id::CallId;
use crate::shard::{SECOND_US, Shard};
use crate::track::{MOST_LAYERS, Origin, TrackKey};

/// Place of a link in its shard.
pub(crate) type LinkKey = usize;

/// Links of one shard: more calls that it shares are refused. A machine has a core for each shard, and no time for more.
const MOST_LINKS: usize = 16_384;
/// Tracks that one link may bring: as many participants as a call may have, with a microphone, a camera and a screen each.
const MOST_TRACKS: usize = 3 * 4_096;
/// Bytes of one batch: a tick of ten milliseconds of 3 Gbit/s. Packets beyond it are dropped and counted; the rest passes.
const MOST_BATCH: usize = 4 * 1024 * 1024;
/// A link over which nothing came when it was looked at so often, four times a second, is over: its other end says something as often.
/// Turns, and no time: who has slept himself has heard nobody meanwhile.
const MOST_SILENT: u32 = 20;
/// What was lost is asked for again this often until it is there.
const ASK_AGAIN_US: u64 = SECOND_US / 2;
/// Key frames are wished for this often after losses, then after twice and four times as long.
const WISH_US: u64 = 2 * SECOND_US;
const MOST_DOUBLED: u32 = 2;
/// And everything is told again, asked or not, after so many turns: ten seconds. What was told wrongly holds no longer than that.
const TELL_AGAIN: u32 = 40;
/// Empty buffers that are kept.
const MOST_SPARE: usize = 32;

/// Records for another shard of the same call.
#[derive(Debug, PartialEq, Eq)]
pub struct Relay {
    /// The number of the shard ([`crate::Config::number`]).
    pub to: u8,
    /// The batch.
    pub bytes: Vec<u8>,
    /// How many media packets are in it.
    pub packets: u32,
}

/// What a track has to do with a link behind which it is needed.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Relaying {
    pub link: LinkKey,
    /// The layers that are sent over it, and those that somebody watches behind it.
    pub wanted: u8,
    pub watched: u8,
    /// Indexes up to these came before the layers were wanted.
    from: [u64; MOST_LAYERS],
    /// Indexes without content that have not been told yet: of which stream, the first, and how many.
    left_out: Option<(Of, u64, u32)>,
    /// When everything was told, it was asked for the last time.
    telling: u32,
}

/// One end of a link.
#[derive(Debug)]
pub(crate) struct Link {
    /// The place of the call.
    pub call: usize,
    /// The shard at the other end.
    pub to: u8,
    /// This end is the hub's.
    pub is_hub: bool,
    /// This end, and the other one as soon as it is known.
    mine: u32,
    yours: u32,
    /// The batch that grows, with room for its head in front; empty when there is nothing to say.
    batch: Vec<u8>,
    packets: u32,
    /// The number of the next batch, and of the next one from the other end.
    number: u32,
    expected: u32,
    /// How often it was looked at since something came.
    silent: u32,
    /// The tracks from the other end, by what it calls them.
    names: HashMap<u64, TrackKey>,
    /// Something was lost: when it is asked for next.
    unsure_us: Option<u64>,
    /// When key frames are wished for next after a loss, and how often in a row they were.
    wished: (u64, u32),
    /// Counts the times that everything was told: what was not named the last time is no more.
    telling: u32,
    /// Turns since everything was told to the other end.
    told: u32,
}

impl Link {
    fn new(call: usize, to: u8, is_hub: bool, mine: u32) -> Link {
        Link {
            call,
            to,
            is_hub,
            mine,
            yours: 0,
            batch: Vec::new(),
            packets: 0,
            number: 0,
            expected: 0,
            wished: (0, 0),
            silent: 0,
            names: HashMap::new(),
            unsure_us: None,
            telling: 0,
            told: 0,
        }
    }
}

impl Shard {
    /// From now on this shard has a part of the call only, and the shard of that number its hub. Nothing changes when that is known.
    pub fn relay_from(&mut self, call: CallId, hub: u8) {
        let Some(&at) = self.by_call.get(&call) else { return };
        if hub == self.config.number || self.calls[at].hub.is_some() || !self.calls[at].links.is_empty() {
            return;
        }
        self.work_for(at, Step::Command);
        let key = self.open_link(at, hub, false);
        self.calls[at].hub = Some(key);
        self.tell_everything(key);
    }

    /// Takes an empty buffer back, for another batch.
    pub fn give_back(&mut self, mut buffer: Vec<u8>) {
        if self.spare.len() < MOST_SPARE && buffer.capacity() <= MOST_BATCH {
            buffer.clear();
            self.spare.push(buffer);
        }
    }

    fn open_link(&mut self, call: usize, to: u8, is_hub: bool) -> LinkKey {
        // Chance tells a shard that began anew from the one before it.
        let mine = self.random_u32().max(1);
        let key = self.links.insert(Link::new(call, to, is_hub, mine));
        self.calls[call].links.push(key);
        key
    }

    /// Adds a record to what goes over a link next.
    fn push(&mut self, key: LinkKey, record: &Record<'_>) {
        record.write(self.batch(key));
    }

    /// The batch of a link.
    fn batch(&mut self, key: LinkKey) -> &mut Vec<u8> {
        let link = &mut self.links[key];
        if link.batch.is_empty() {
            if link.batch.capacity() == 0 {
                link.batch = self.spare.pop().unwrap_or_default();
            }
            link.batch.resize(HEAD_LEN, 0);
            self.batches.note(key);
        }
        &mut link.batch
    }

    /// The next batch that wants to be sent.
    pub(crate) fn next_batch(&mut self) -> Option<Relay> {
        if let Some(relay) = self.last_words.pop() {
            return Some(relay);
        }
        loop {
            let key = self.batches.pop()?;
            let Some(link) = self.links.get(key).filter(|link| !link.batch.is_empty()) else { continue };
            let call = link.call;
            self.work_for(call, Step::Forward);
            if std::mem::take(&mut self.calls[call].chosen_anew) {
                for at in 0..self.calls[call].links.len() {
                    let other = self.calls[call].links[at];
                    self.tell_choice(other);
                }
            }
            let id = self.calls[call].id;
            let link = &mut self.links[key];
            let head = Head { call: id, mine: link.mine, yours: link.yours, number: link.number, over: false };
            link.number = link.number.wrapping_add(1);
            head.write(&mut link.batch);
            let packets = std::mem::take(&mut link.packets);
            self.stats.relayed_out += u64::from(packets);
            return Some(Relay { to: link.to, bytes: std::mem::take(&mut link.batch), packets });
        }
    }

    /// Takes in a batch of another shard. Who may send batches, and as which shard, is settled above.
    ///
    /// # Errors
    /// `RelayMalformed` when the head cannot be read, `RelayUnknown` when there is no such link.
    pub(crate) fn on_relay(&mut self, now_us: u64, from: u8, batch: &[u8]) -> Result<(), Drop> {
        let (head, records) = Head::read(batch).ok_or(Drop::RelayMalformed)?;
        let known = self.by_call.get(&head.call).copied();
        let link = known.and_then(|call| self.link_to(call, from));
        if let Some(call) = known {
            self.work_for(call, Step::Packet);
        }
        if let (Some(key), true) = (link, head.over) {
            // The other end may have begun anew, and then knows no more than which end of ours it means.
            if self.links[key].mine == head.yours {
                self.cut(key);
            }
            return Ok(());
        }
        let key = match link {
            Some(key) if self.is_for(key, &head) => key,
            Some(key) => self.replace(key, &head)?,
            None => self.admit_link(known, from, &head)?,
        };
        let link = &mut self.links[key];
        link.yours = head.mine;
        link.silent = 0;
        let lost = head.number.wrapping_sub(link.expected);
        link.expected = head.number.wrapping_add(1);
        if lost != 0 {
            self.stats.relay_lost += u64::from(lost.min(u32::from(u16::MAX)));
            self.note_loss(key, now_us);
        }
        for record in wire::records(records) {
            // A batch can end its own link, in that it brings too much.
            if !self.links.contains(key) {
                break;
            }
            let taken = record.ok_or(Drop::RelayMalformed).and_then(|record| self.take_record(key, record, now_us));
            if let Err(reason) = taken {
                self.stats.drops[reason as usize] += 1;
                if matches!(reason, Drop::RelayMalformed | Drop::RelayUnknown)
                    && let Some(link) = self.links.get_mut(key)
                {
                    link.unsure_us.get_or_insert(now_us + ASK_AGAIN_US);
                }
            }
        }
        Ok(())
    }

    fn link_to(&self, call: usize, to: u8) -> Option<LinkKey> {
        self.calls[call].links.iter().copied().find(|key| self.links[*key].to == to)
    }

    /// Whether a batch is of the link's two ends as they are known.
    fn is_for(&self, key: LinkKey, head: &Head) -> bool {
        let link = &self.links[key];
        let known = link.yours == 0 || link.yours == head.mine;
        known && (head.yours == link.mine || head.yours == 0)
    }

    /// The other end is another one than before. A spoke's replaces the old one; without its hub a spoke is over.
    fn replace(&mut self, key: LinkKey, head: &Head) -> Result<LinkKey, Drop> {
        let link = &self.links[key];
        let (call, to) = (link.call, link.to);
        let begins = head.yours == 0;
        match link.is_hub {
            true if begins => {
                let new = self.open_link(call, to, true);
                self.close_link(key);
                self.tell_everything(new);
                Ok(new)
            }
            // Of one that is over already.
            true => Err(Drop::RelayUnknown),
            false => {
                if head.yours == link.mine || begins {
                    self.cut(key);
                }
                Err(Drop::RelayUnknown)
            }
        }
    }

    /// A batch of a link that is not known: a spoke's first one, or one of the past, whose sender must know.
    fn admit_link(&mut self, known: Option<usize>, from: u8, head: &Head) -> Result<LinkKey, Drop> {
        let is_spoke = known.is_some_and(|call| self.calls[call].hub.is_some());
        let begins = head.yours == 0 && !head.over && !is_spoke && from != self.config.number;
        if !begins || self.links.len() >= MOST_LINKS {
            if !head.over {
                let mine = self.random_u32().max(1);
                self.say_over(head.call, from, (mine, head.mine));
            }
            return Err(Drop::RelayUnknown);
        }
        let call = known.unwrap_or_else(|| {
            let call = self.calls.insert(Call::new(head.call, self.is_recorded(head.call), self.config.audio_speakers));
            self.by_call.insert(head.call, call);
            call
        });
        self.work_for(call, Step::Packet);
        let key = self.open_link(call, from, true);
        self.tell_everything(key);
        Ok(key)
    }

    /// Tells another shard that this end of a link is no more.
    pub(crate) fn say_over(&mut self, call: CallId, to: u8, (mine, yours): (u32, u32)) {
        if self.last_words.len() >= MOST_LINKS {
            return;
        }
        let mut bytes = self.spare.pop().unwrap_or_default();
        bytes.resize(HEAD_LEN, 0);
        Head { call, mine, yours, number: 0, over: true }.write(&mut bytes);
        self.last_words.push(Relay { to, bytes, packets: 0 });
    }

    /// The other end is gone. A hub goes on without it; the people of a spoke must come again.
    fn cut(&mut self, key: LinkKey) {
        let link = &self.links[key];
        let (call, is_hub) = (link.call, link.is_hub);
        if is_hub {
            self.close_link(key);
            self.end_if_empty(call);
            return;
        }
        let id = self.calls[call].id;
        for peer_key in self.calls[call].peers.clone() {
            let peer = &self.peers[peer_key];
            let (participant, connection) = (peer.participant, peer.connection);
            self.events.push_back(Event::Broke { call: id, participant, connection });
            self.remove(peer_key);
        }
    }

    /// Forgets a link with what it brought.
    fn close_link(&mut self, key: LinkKey) {
        let call = self.links[key].call;
        self.calls[call].links.retain(|known| *known != key);
        let tracks: Vec<TrackKey> =
            self.calls[call].tracks.iter().copied().filter(|track| self.tracks[*track].link() == Some(key)).collect();
        for track in tracks {
            self.forget_track(track);
        }
        for at in 0..self.calls[call].tracks.len() {
            let track = self.calls[call].tracks[at];
            self.tracks[track].links.retain(|relaying| relaying.link != key);
            self.unasked.note(track);
        }
        let link = self.links.remove(key);
        self.unsettle_call(call);
        self.give_back(link.batch);
    }

    /// A call without participants is over, unless other shards have some.
    pub(crate) fn end_if_empty(&mut self, call: usize) {
        let it = &self.calls[call];
        if !it.peers.is_empty() || it.hub.is_none() && !it.links.is_empty() {
            return;
        }
        let id = it.id;
        self.say_farewell(call);
        for key in self.calls[call].links.clone() {
            self.close_link(key);
        }
        self.calls.remove(call);
        self.by_call.remove(&id);
    }

    /// Tells the other ends of a call's links that this one is no more.
    pub(crate) fn say_farewell(&mut self, call: usize) {
        let id = self.calls[call].id;
        let ends: Vec<_> = self.links.iter().filter(|(_, link)| link.call == call).collect();
        let ends: Vec<_> = ends.into_iter().map(|(_, link)| (link.to, (link.mine, link.yours))).collect();
        for (to, ends) in ends {
            self.say_over(id, to, ends);
        }
    }

    /// Something of what the other end said is lost: it is to say everything again, and pictures begin again.
    fn note_loss(&mut self, key: LinkKey, now_us: u64) {
        let link = &mut self.links[key];
        link.unsure_us = Some(now_us);
        let (due_us, times) = link.wished;
        if now_us < due_us {
            return;
        }
        // A shard that has too much to do is not helped by key frames.
        let times = if now_us > due_us + (WISH_US << MOST_DOUBLED) { 0 } else { times + 1 };
        link.wished = (now_us + (WISH_US << times.min(MOST_DOUBLED)), times);
        for at in 0..self.calls[self.links[key].call].tracks.len() {
            let track = self.calls[self.links[key].call].tracks[at];
            let track = &mut self.tracks[track];
            if let Origin::Link(elsewhere) = &track.origin
                && elsewhere.link == key
            {
                let asked = elsewhere.asked.0;
                for layer in (0..track.layers.len()).filter(|layer| asked >> layer & 1 == 1) {
                    track.layers[layer].broke_us = now_us;
                    track.keyframes.want(layer);
                }
            }
        }
        self.tick_us = 0;
    }

    /// Who is heard, or to be seen, may have changed: the other shards are told with what goes out next.
    pub(crate) fn note_choice(&mut self, call: usize) {
        let it = &mut self.calls[call];
        if it.links.is_empty() || it.hub.is_some() {
            return;
        }
        it.chosen_anew = true;
        let first = it.links[0];
        self.batch(first);
    }

    /// Several times a second: links that are over, and a word over those that are not.
    pub(crate) fn look_after_links(&mut self, now_us: u64) {
        for key in 0..self.links.capacity() {
            let Some(link) = self.links.get_mut(key) else { continue };
            let call = link.call;
            (link.silent, link.told) = (link.silent + 1, link.told + 1);
            let tells = link.told > TELL_AGAIN;
            let (silent, asks) = (link.silent > MOST_SILENT, link.unsure_us.is_some_and(|due| now_us >= due));
            if asks {
                link.unsure_us = Some(now_us + ASK_AGAIN_US);
            }
            self.work_for(call, Step::LookAfter);
            if silent {
                self.cut(key);
                continue;
            }
            if asks {
                self.push(key, &Record::Refresh);
            }
            if tells {
                self.tell_everything(key);
            }
            self.batch(key);
        }
    }

    /// After a panic: links of what is there, and no others.
    pub(crate) fn mend_links(&mut self) {
        let (calls, tracks, links) = (&mut self.calls, &mut self.tracks, &mut self.links);
        links.retain(|_, link| calls.contains(link.call));
        for (_, link) in links.iter_mut() {
            link.names.retain(|_, key| tracks.contains(*key));
        }
        for (key, call) in calls.iter_mut() {
            call.links = links.iter().filter(|(_, link)| link.call == key).map(|(key, _)| key).collect();
            call.hub = call.hub.filter(|hub| links.contains(*hub));
            call.voices.retain(|voice| tracks.contains(voice.track));
        }
        for (_, track) in tracks.iter_mut() {
            track.links.retain(|relaying| links.contains(relaying.link));
        }
        self.batches.retain(|key| links.contains(key));
        self.unasked.retain(|key| tracks.contains(key));
    }
}
