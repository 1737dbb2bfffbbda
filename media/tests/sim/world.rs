//! The shard, its guests, the network and the clock; and the laws that hold at every moment.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BinaryHeap};
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use parlor_media::client::{Client, Feedback, Identity, Line as OfferLine, Plan};
use parlor_media::dtls::Certificate;
use parlor_media::{CallId, Config, Event, OfferedTrack, ParticipantId, Shard, Source, TrackId, View};
use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};

use crate::encoder::Encoder;
use crate::guest::{Guest, Seat, Tag, Told};
use crate::law::Arrived;
use crate::network::Line;

const TICK: Duration = Duration::from_millis(1);
pub const ICE_TIMEOUT: Duration = Duration::from_secs(20);

/// What somebody offers.
#[derive(Debug, Clone, Copy)]
pub struct Offer {
    pub layers: usize,
    pub screen: bool,
    pub video_slots: usize,
}

struct Flight {
    due: Instant,
    order: u64,
    to_server: bool,
    guest: usize,
    life: u8,
    /// The guest's address when it was sent.
    address: SocketAddr,
    tag: Tag,
    bytes: Vec<u8>,
}

impl PartialEq for Flight {
    fn eq(&self, other: &Self) -> bool {
        self.order == other.order
    }
}
impl Eq for Flight {}
impl PartialOrd for Flight {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}
impl Ord for Flight {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        (self.due, self.order).cmp(&(other.due, other.order))
    }
}

/// What a run came to.
#[derive(Debug, Default, Clone)]
pub struct Account {
    pub forwarded: u64,
    pub resent: u64,
    pub joins: u64,
    pub lost: u64,
    pub broken: u64,
    /// Datagrams to addresses that are nobody's.
    pub to_strangers: u64,
    /// A fingerprint of all that happened, for comparing runs of one seed.
    pub print: u64,
}

pub struct World {
    pub seed: u64,
    pub shard: Shard,
    /// Further shards of the same calls, whose hub the first one is.
    pub spokes: Vec<Shard>,
    pub now: Instant,
    pub begun: Instant,
    pub random: StdRng,
    pub guests: Vec<Guest>,
    pub muted: BTreeMap<TrackId, Instant>,
    /// Who lost the seat in this turn: other shards may not have heard of it.
    pub just_gone: Vec<usize>,
    pub account: Account,
    /// A guest has ordered a panic in its call.
    pub ordered: Option<usize>,
    pub keeps_frames: bool,
    pub arrived: Arrived,
    identity: Identity,
    lines: StdRng,
    flights: BinaryHeap<Reverse<Flight>>,
    pub addresses: BTreeMap<SocketAddr, usize>,
    /// Packets of this turn whose slots must have been told of their tracks: guest, SSRC, whose, which line.
    pub to_be_told: Vec<(usize, u32, usize, u8)>,
    order: u64,
    next_id: u128,
    next_look: Instant,
    pub traced: bool,
}

impl World {
    pub fn new(seed: u64, config: Config) -> World {
        World::spread(seed, config, 0)
    }

    /// A world whose calls are on so many further shards; guests come to them by turns.
    pub fn spread(seed: u64, config: Config, spokes: u8) -> World {
        let certificate = Certificate::generate().expect("the system has randomness");
        // The one reading of the clock: an origin for simulated time, which no result depends on.
        #[expect(clippy::disallowed_methods, reason = "an Instant cannot be made otherwise")]
        let begun = Instant::now();
        let config = Config {
            candidates: vec!["10.0.0.1:10000".parse().expect("an address")],
            ice_timeout: ICE_TIMEOUT,
            ..config
        };
        let mut key = [0; 32];
        key[..8].copy_from_slice(&seed.to_be_bytes());
        let spoke = |number| {
            let mut key = key;
            key[31] = number;
            Shard::new(Config { number, ..config.clone() }, certificate.clone(), begun, key)
        };
        World {
            seed,
            spokes: (1..=spokes).map(spoke).collect(),
            shard: Shard::new(config.clone(), certificate.clone(), begun, key),
            now: begun,
            begun,
            random: StdRng::seed_from_u64(seed),
            guests: Vec::new(),
            muted: BTreeMap::new(),
            just_gone: Vec::new(),
            account: Account::default(),
            ordered: None,
            keeps_frames: false,
            arrived: Arrived::default(),
            identity: Identity::new(&certificate).expect("a good certificate"),
            lines: StdRng::seed_from_u64(seed ^ 0x5eed),
            flights: BinaryHeap::new(),
            addresses: BTreeMap::new(),
            to_be_told: Vec::new(),
            order: 0,
            next_id: 1_000,
            next_look: begun,
            traced: std::env::var_os("SIM_TRACE").is_some(),
        }
    }

    /// One line of what happens, for those who look into a seed (SIM_TRACE=1).
    pub fn say(&self, what: impl FnOnce() -> String) {
        if self.traced {
            println!("{:>6} {}", (self.now - self.begun).as_millis(), what());
        }
    }

    #[track_caller]
    pub fn fail(&self, what: &str) -> ! {
        panic!("seed {} at {} ms: {what}", self.seed, (self.now - self.begun).as_millis());
    }

    fn plan(&mut self, offer: Offer) -> Plan {
        let camera = if offer.layers == 1 { OfferLine::video() } else { OfferLine::simulcast(&["q", "h", "f"]) };
        let mut lines = vec![OfferLine::Audio, camera];
        lines.extend(offer.screen.then(OfferLine::video));
        let (audio_slots, video_slots) = (3, offer.video_slots);
        let (feedback, seed) = (Feedback::ByCaller, self.random.random());
        Plan { lines, audio_slots, video_slots, history: 512, feedback, seed, ..Plan::default() }
    }

    /// Somebody new joins a call; answers their place.
    pub fn join(&mut self, call: usize, offer: Offer) -> usize {
        let client = Client::new(self.plan(offer), &self.identity);
        let who = u16::try_from(self.guests.len()).expect("not so many people");
        self.next_id += 100;
        let encoder = Encoder::new(self.now, offer.layers, &mut self.random);
        let mut guest = Guest::new(who, call, ParticipantId(self.next_id), client, self.now, encoder);
        (guest.has_screen, guest.keeps_frames) = (offer.screen, self.keeps_frames);
        self.guests.push(guest);
        self.offer_first(usize::from(who), offer);
        usize::from(who)
    }

    /// Somebody who was here offers from a new connection.
    pub fn rejoin(&mut self, place: usize, offer: Offer) {
        let client = Client::new(self.plan(offer), &self.identity);
        let encoder = Encoder::new(self.now, offer.layers, &mut self.random);
        self.addresses.remove(&self.guests[place].address);
        self.arrived.forget(self.guests[place].who);
        self.guests[place].begin_anew(client, Vec::new(), encoder);
        self.guests[place].has_screen = offer.screen;
        self.offer_first(place, offer);
    }

    fn offer_first(&mut self, place: usize, offer: Offer) {
        let count = if offer.screen { 3 } else { 2 };
        self.next_id += 100;
        let id = self.next_id;
        self.guests[place].tracks = (0..count).map(|line| TrackId(id + line)).collect();
        self.addresses.insert(self.guests[place].address, place);
        self.account.joins += 1;
        self.offer(place);
    }

    /// The guest's offer of this moment, and its answer.
    pub fn offer(&mut self, place: usize) {
        let guest = &self.guests[place];
        let sources = [Source::Microphone, Source::Camera, Source::Screen];
        let offered: Vec<OfferedTrack> = guest
            .tracks
            .iter()
            .zip(sources)
            .enumerate()
            .map(|(mid, (track, source))| OfferedTrack { mid: mid.to_string(), source, track: *track, muted: false })
            .collect();
        let (call, id, sdp) = (CallId(1 + guest.call as u128), guest.id, guest.client.offer());
        let now = self.now;
        let number = self.number_of(place);
        let answer = self.drive(number, |shard| {
            let answer = shard.offer(now, call, id, &sdp, &offered);
            if number > 0 {
                shard.relay_from(call, 0);
            }
            answer
        });
        let Some(answer) = answer else { return };
        let answer = match answer {
            Ok(answer) => answer,
            Err(error) => self.fail(&format!("a good offer is refused: {error}")),
        };
        let guest = &mut self.guests[place];
        if answer.fresh {
            let (joined_at, connection) = (now, answer.connection);
            guest.seat =
                Some(Seat { connection, joined_at, connected_at: None, heard_at: now, closed_at: None, ready: false });
        } else if guest.seat.as_ref().is_none_or(|seat| seat.connection != answer.connection) {
            self.fail("a connection goes on that nobody has");
        }
        let guest = &mut self.guests[place];
        guest.client.accept(now, &answer.sdp).expect("a good answer");
        guest.answer = answer.sdp;
        guest.learn_slots(now);
    }

    pub fn leave(&mut self, place: usize) {
        let id = self.guests[place].id;
        self.drive(self.number_of(place), |shard| shard.leave(id));
        let guest = &mut self.guests[place];
        (guest.seat, guest.silent) = (None, true);
    }

    pub fn mute(&mut self, track: TrackId, muted: bool) {
        for number in 0..=self.spokes.len() {
            self.drive(number, |shard| shard.mute(track, muted));
        }
        if muted {
            let now = self.now;
            self.muted.entry(track).or_insert(now);
        } else {
            self.muted.remove(&track);
        }
    }

    pub fn view(&mut self, place: usize, view: Vec<View>) {
        let id = self.guests[place].id;
        self.drive(self.number_of(place), |shard| shard.view(id, view));
    }

    /// Lets simulated time pass.
    pub fn run(&mut self, time: Duration) {
        let end = self.now + time;
        while self.now < end {
            self.now += TICK;
            self.turn();
        }
    }

    /// The clock leaps, as when the machine has slept.
    pub fn leap(&mut self, time: Duration) {
        self.now += time;
    }

    /// One millisecond.
    pub fn turn(&mut self) {
        self.just_gone.clear();
        while self.flights.peek().is_some_and(|flight| flight.0.due <= self.now) {
            let Some(Reverse(flight)) = self.flights.pop() else { break };
            self.land(flight);
        }
        self.handle_timeouts();
        self.collect();
        for place in 0..self.guests.len() {
            self.guests[place].act(self.now);
            self.get_ready(place);
            while let Some((tag, bytes)) = self.guests[place].outbox.pop_front() {
                self.fly(place, true, tag, &bytes);
            }
        }
        if self.now >= self.next_look {
            self.next_look = self.now + Duration::from_millis(250);
            self.look_at_seats();
        }
    }

    fn get_ready(&mut self, place: usize) {
        let guest = &mut self.guests[place];
        if let Some(seat) = guest.seat.as_mut()
            && guest.client.is_connected()
            && !seat.ready
        {
            seat.ready = true;
            let id = guest.id;
            self.drive(self.number_of(place), |shard| shard.ready(id));
        }
    }

    fn land(&mut self, mut flight: Flight) {
        if !flight.to_server {
            let guest = &mut self.guests[flight.guest];
            if guest.address == flight.address && guest.life == flight.life {
                let taken = guest.take(self.now, flight.bytes);
                if let Err(what) = taken {
                    self.fail(&format!("guest {}: {what}", flight.guest));
                }
                let place = flight.guest;
                while let Some((tag, bytes)) = self.guests[place].outbox.pop_front() {
                    self.fly(place, true, tag, &bytes);
                }
            }
            return;
        }
        let taken = self.throw(flight.address, &mut flight.bytes);
        if let Tag::Media(stream, number) | Tag::Again(stream, number) = flight.tag {
            self.say(|| format!("from {stream:?} {number} {taken}"));
        }
        if taken {
            match flight.tag {
                Tag::Media(stream, number) | Tag::Again(stream, number) => self.arrived.add(self.now, stream, number),
                Tag::Check if self.guests[flight.guest].life == flight.life => {
                    if let Some(seat) = self.guests[flight.guest].seat.as_mut() {
                        seat.heard_at = self.now;
                    }
                }
                Tag::Check | Tag::Other => {}
            }
        }
    }

    pub fn hear(&mut self, event: Event) {
        self.say(|| format!("{event:?}").chars().take(4000).collect());
        let now = self.now;
        let place = |world: &World, id: ParticipantId| world.guests.iter().position(|guest| guest.id == id);
        match event {
            Event::Connected { participant, connection, .. } => {
                let Some(place) = place(self, participant) else { self.fail("a stranger is connected") };
                if let Some(seat) = self.guests[place].seat.as_mut().filter(|seat| seat.connection == connection) {
                    (seat.connected_at, seat.heard_at) = (Some(now), now);
                }
            }
            Event::Lost { participant, connection, .. } => {
                let Some(place) = place(self, participant) else { self.fail("a stranger is lost") };
                let Some(seat) = self.guests[place].seat.clone().filter(|seat| seat.connection == connection) else {
                    return;
                };
                let fresh = now < seat.heard_at + ICE_TIMEOUT;
                if seat.connected_at.is_some() && seat.closed_at.is_none() && fresh {
                    self.fail(&format!("guest {place} is given up, but was heard {:?} ago", now - seat.heard_at));
                }
                self.guests[place].seat = None;
                self.just_gone.push(place);
                self.account.lost += 1;
            }
            Event::Broke { participant, connection, .. } => {
                let Some(place) = place(self, participant) else { self.fail("a stranger's call broke") };
                self.just_gone.push(place);
                let seat = self.guests[place].seat.take();
                if seat.is_none_or(|seat| seat.connection != connection) {
                    self.fail(&format!("guest {place} is told that its call broke, and has no seat in it"));
                }
            }
            Event::Slots { participant, slots, .. } => {
                let Some(place) = place(self, participant) else { self.fail("a stranger has slots") };
                let guest = &mut self.guests[place];
                for slot in slots {
                    let source = slot.source;
                    let ssrc = guest.client.slots().iter().find(|known| known.mid == slot.mid).map(|known| known.ssrc);
                    let told = guest.told.entry(slot.mid).or_default();
                    if told.last().is_some_and(|last| last.source == source) {
                        continue;
                    }
                    if let Some(last) = told.last_mut() {
                        last.until = Some(now);
                    }
                    told.push(Told { from: now, until: None, source });
                    if let Some(receiver) = ssrc.and_then(|ssrc| guest.receivers.get_mut(&ssrc)) {
                        receiver.begin_anew(now, source.is_some());
                    }
                }
            }
            _ => {}
        }
    }

    pub fn fly(&mut self, place: usize, to_server: bool, tag: Tag, bytes: &[u8]) {
        let guest = &mut self.guests[place];
        let line = if to_server { &mut guest.up } else { &mut guest.down };
        let passes = line.pass(self.now, bytes, &mut self.lines);
        if passes == [None; 2] {
            let is_picture = match tag {
                Tag::Media(stream, _) => stream.line > 0,
                Tag::Other if !to_server && bytes[0] >= 128 && bytes.len() >= 12 => {
                    let ssrc = u32::from_be_bytes([bytes[8], bytes[9], bytes[10], bytes[11]]);
                    guest.laws.get(&ssrc).is_some_and(|law| law.is_video)
                }
                _ => false,
            };
            guest.lost[usize::from(!to_server)] += u64::from(is_picture);
        }
        for due in passes.into_iter().flatten() {
            self.order += 1;
            let (order, life, address) = (self.order, guest.life, guest.address);
            let bytes = bytes.to_vec();
            self.flights.push(Reverse(Flight { due, order, to_server, guest: place, life, address, tag, bytes }));
        }
    }

    /// Another address for a guest: its NAT forgot it, or it took another network.
    pub fn move_guest(&mut self, place: usize) {
        let guest = &mut self.guests[place];
        // The old address is nobody's: what is sent there is lost.
        guest.address.set_port(guest.address.port() + 1);
        self.addresses.insert(guest.address, place);
    }

    /// Nothing that was ordered happens any more.
    pub fn disarm(&mut self) {
        self.shard.forget_faults();
        self.spokes.iter_mut().for_each(Shard::forget_faults);
    }

    /// All lines are good from now on.
    pub fn heal(&mut self) {
        for guest in &mut self.guests {
            (guest.up, guest.down) = (Line::clean(), Line::clean());
        }
    }
}
