//! A call in simulated time: the shard, native clients, and a network between them that loses, delays and reorders by a seed.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BinaryHeap, HashMap};
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use parlor_media::client::{Client, Event as ClientEvent, Identity, Line, Plan};
use parlor_media::dtls::Certificate;
use parlor_media::rtcp::{self, Part};
use parlor_media::rtp::Header;
use parlor_media::{
    CallId, Config, Event, Input, OfferedTrack, ParticipantId, Path, RecordedEvent, RecordedPacket, Shard, SlotState,
    Source, TrackId, View,
};
use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};

use crate::publisher::Publisher;
use crate::receiver::Receiver;

/// The one call of a world.
pub const CALL: CallId = CallId(1);
const SERVER: &str = "10.0.0.1:10000";

/// What the network does to each datagram, the same in both directions.
#[derive(Clone, Copy)]
pub struct Link {
    /// Share of media datagrams lost, in thousandths. Handshakes pass: what is tested lies behind them.
    pub loss_pm: u32,
    /// One way.
    pub delay: Duration,
    /// Added at random, so that datagrams overtake each other.
    pub jitter: Duration,
}

/// A queue on the way holds this much; what comes then is lost.
const LONGEST_QUEUE: Duration = Duration::from_millis(400);

/// A good network.
pub const CLEAN: Link = Link { loss_pm: 0, delay: Duration::from_millis(20), jitter: Duration::ZERO };

struct Flight {
    due: Instant,
    order: u64,
    /// Toward the server, else toward the client at this address.
    to_server: bool,
    client: SocketAddr,
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

/// One simulated participant.
pub struct Person {
    pub id: ParticipantId,
    /// Which shard serves it.
    pub shard: usize,
    pub client: Client,
    pub address: SocketAddr,
    /// The tracks it publishes: microphone and camera, or a screen's sound and the screen.
    pub tracks: [TrackId; 2],
    pub publisher: Option<Publisher>,
    /// What arrived in each slot, by its SSRC.
    pub receivers: HashMap<u32, Receiver>,
    /// What the server last said of each slot.
    pub slots: BTreeMap<String, SlotState>,
    pub link: Link,
    /// What is lost besides, toward the server and from it, in thousandths.
    pub loses: [u32; 2],
    /// The middle of the last sender report's NTP time, and when it came.
    pub dated: Option<(u32, Instant)>,
    /// The last sender report of each slot: NTP time and RTP timestamp.
    pub reports: HashMap<u32, (u64, u32)>,
    /// What its line carries toward it, bit/s, and since when it is free again; what would wait too long is lost.
    pub capacity_bps: Option<u64>,
    /// Packets that found no room on that line.
    pub lost: usize,
    free_at: Instant,
}

impl Person {
    /// The receivers of the slots that show this track now.
    pub fn showing(&self, track: TrackId) -> Option<&Receiver> {
        let state = self.slots.values().find(|slot| slot.source.is_some_and(|(_, shown)| shown == track))?;
        let slot = self.client.slots().iter().find(|slot| slot.mid == state.mid)?;
        self.receivers.get(&slot.ssrc)
    }

    /// Every video slot's receiver that ever got a packet.
    pub fn video(&self) -> impl Iterator<Item = &Receiver> {
        self.receivers.values().filter(|receiver| receiver.video && !receiver.packets.is_empty())
    }
}

/// The shard, the people, the network and the clock.
pub struct World {
    pub shard: Shard,
    /// Further shards of the same calls, whose hub the first one is, and how they are made.
    pub spokes: Vec<Shard>,
    pub config: Config,
    pub certificate: Certificate,
    /// The shard that who joins comes to.
    pub on: usize,
    /// Media packets that went from one shard to another.
    pub crossed: BTreeMap<(usize, usize), u64>,
    /// So many of the next batches between shards are lost.
    pub relays_lost: usize,
    /// Some of them are damaged on the way, by chance.
    pub damages: Option<StdRng>,
    /// Nobody reads what arrives.
    pub deaf: bool,
    pub now: Instant,
    pub people: Vec<Person>,
    pub told: Vec<Event>,
    /// What the spokes told of it.
    pub told_by_spokes: Vec<Event>,
    /// What was copied for the recorder.
    pub recorded: Vec<RecordedEvent>,
    pub recorded_bytes: Vec<u8>,
    /// Tracks are muted from their offer on.
    pub joins_muted: bool,
    /// The recorder has stalled.
    pub nobody_takes: bool,
    /// Datagrams that the server has sent, by client.
    pub sent: u64,
    identity: Identity,
    flights: BinaryHeap<Reverse<Flight>>,
    random: StdRng,
    order: u64,
    next_id: u128,
}

impl World {
    pub fn new(seed: u64) -> World {
        World::sampling(seed, None)
    }

    /// A world in which pictures are looked at so often.
    pub fn sampling(seed: u64, sample_every: Option<Duration>) -> World {
        World::with(seed, sample_every, false)
    }

    /// A world in which what is sent follows what lines bear.
    pub fn estimating(seed: u64) -> World {
        World::with(seed, None, true)
    }

    fn with(seed: u64, sample_every: Option<Duration>, estimation: bool) -> World {
        let certificate = Certificate::generate().expect("the system has randomness");
        // The one reading of the clock: an origin for simulated time, which no result depends on.
        #[expect(clippy::disallowed_methods, reason = "an Instant cannot be made otherwise")]
        let begun = Instant::now();
        let config = Config {
            candidates: vec![SERVER.parse().expect("an address")],
            sample_every,
            estimation,
            ..Config::default()
        };
        World {
            shard: Shard::new(config.clone(), certificate.clone(), begun, [seed as u8; 32]),
            spokes: Vec::new(),
            config,
            on: 0,
            crossed: BTreeMap::new(),
            relays_lost: 0,
            damages: None,
            deaf: false,
            now: begun,
            people: Vec::new(),
            told: Vec::new(),
            told_by_spokes: Vec::new(),
            recorded: Vec::new(),
            recorded_bytes: Vec::new(),
            joins_muted: false,
            nobody_takes: false,
            sent: 0,
            identity: Identity::new(&certificate).expect("a good certificate"),
            certificate,
            flights: BinaryHeap::new(),
            random: StdRng::seed_from_u64(seed),
            order: 0,
            next_id: 100,
        }
    }

    /// Somebody joins with a microphone and a camera of these rids (none: a single layer) and so many video slots; answers
    /// their place. They are connected when this returns.
    pub fn join(&mut self, rids: &[&str], video_slots: usize, link: Link) -> usize {
        self.join_call(CALL, rids, video_slots, link)
    }

    /// The same in another call.
    pub fn join_call(&mut self, call: CallId, rids: &[&str], video_slots: usize, link: Link) -> usize {
        let camera = if rids.is_empty() { Line::video() } else { Line::simulcast(rids) };
        self.join_with(call, camera, false, video_slots, link)
    }

    /// The same with another camera, and with slots that take H.264 as well.
    pub fn join_with(&mut self, call: CallId, camera: Line, sees_h264: bool, video_slots: usize, link: Link) -> usize {
        let plan = Plan {
            sees_h264,
            lines: vec![Line::Audio, camera],
            audio_slots: 3,
            video_slots,
            history: 512,
            ..Plan::default()
        };
        self.join_planned(call, plan, [Source::Microphone, Source::Camera], link)
    }

    /// Somebody with a microphone joins who hears as many at once as there are slots.
    pub fn join_hearing(&mut self, audio_slots: usize, link: Link) -> usize {
        let plan = Plan { lines: vec![Line::Audio, Line::video()], audio_slots, video_slots: 1, ..Plan::default() };
        self.join_planned(CALL, plan, [Source::Microphone, Source::Camera], link)
    }

    /// Somebody with a microphone joins who sends, or takes, redundant audio.
    pub fn join_redundant(&mut self, sends: bool, takes_redundant: bool, link: Link) -> usize {
        let voice = if sends { Line::Redundant } else { Line::Audio };
        let plan = Plan { lines: vec![voice, Line::video()], takes_redundant, video_slots: 1, ..Plan::default() };
        self.join_planned(CALL, plan, [Source::Microphone, Source::Camera], link)
    }

    /// Somebody joins who shares a screen with its sound.
    pub fn join_sharing(&mut self, link: Link) -> usize {
        let plan = Plan { lines: vec![Line::Audio, Line::video()], history: 512, ..Plan::default() };
        self.join_planned(CALL, plan, [Source::ScreenAudio, Source::Screen], link)
    }

    pub fn join_planned(&mut self, call: CallId, plan: Plan, sources: [Source; 2], link: Link) -> usize {
        let plan = Plan { seed: self.random.random(), ..plan };
        self.next_id += 10;
        let id = ParticipantId(self.next_id);
        let tracks = [TrackId(self.next_id + 1), TrackId(self.next_id + 2)];
        let mut client = Client::new(plan, &self.identity);
        let offered = [("0", sources[0], tracks[0]), ("1", sources[1], tracks[1])]
            .map(|(mid, source, track)| OfferedTrack { mid: mid.into(), source, track, muted: self.joins_muted });
        let shard = self.on;
        let answer = self.offer(shard, call, id, &client.offer(), &offered);
        client.accept(self.now, &answer).expect("a good answer");
        let address = SocketAddr::from(([10, 0, 1, u8::try_from(self.people.len()).expect("few people") + 1], 5000));
        let receivers = client.slots().iter().map(|slot| (slot.ssrc, Receiver::new(slot))).collect();
        let (publisher, slots) = (None, BTreeMap::new());
        self.people.push(Person {
            id,
            shard,
            client,
            address,
            tracks,
            publisher,
            receivers,
            slots,
            link,
            loses: [0; 2],
            dated: None,
            reports: HashMap::new(),
            capacity_bps: None,
            lost: 0,
            free_at: self.now,
        });
        let place = self.people.len() - 1;
        self.run_until("a connection", Duration::from_secs(5), |world| world.people[place].client.is_connected());
        self.at(shard).ready(id);
        place
    }

    /// The person begins to send what the publisher makes.
    pub fn publish(&mut self, place: usize, publisher: Publisher) {
        self.people[place].publisher = Some(publisher);
    }

    pub fn view(&mut self, place: usize, views: &[(TrackId, u16)]) {
        let view = views.iter().map(|(track, width)| View { track: *track, width: *width, visible: true }).collect();
        let (id, shard) = (self.people[place].id, self.people[place].shard);
        self.at(shard).view(id, view);
    }

    pub fn leave(&mut self, place: usize) {
        let (id, shard) = (self.people[place].id, self.people[place].shard);
        self.at(shard).leave(id);
        self.people[place].publisher = None;
    }

    /// Lets simulated time pass.
    pub fn run(&mut self, time: Duration) {
        let end = self.now + time;
        while self.step(end) {}
        self.now = end;
    }

    /// Lets time pass until something holds.
    pub fn run_until(&mut self, what: &str, most: Duration, holds: impl Fn(&World) -> bool) {
        let end = self.now + most;
        while !holds(self) {
            assert!(self.step(end), "waited {most:?} for {what}");
        }
    }

    /// Lets the next thing happen if it does before `end`.
    fn step(&mut self, end: Instant) -> bool {
        self.collect();
        let flight = self.flights.peek().map(|flight| flight.0.due);
        let people = self.people.iter().flat_map(|person| {
            let frames = person.publisher.as_ref().map(|publisher| publisher.next_at);
            let asks = person.receivers.values().filter_map(Receiver::next_ask).min();
            [person.client.poll_timeout(), frames, asks].into_iter().flatten()
        });
        let Some(next) = people.chain(flight).chain(self.next_timeout()).min().filter(|next| *next <= end) else {
            return false;
        };
        self.now = self.now.max(next);
        while let Some(flight) = self.flights.pop_if_due(self.now) {
            self.land(flight);
        }
        self.handle_timeouts();
        for place in 0..self.people.len() {
            self.act(place);
        }
        true
    }

    fn act(&mut self, place: usize) {
        let person = &mut self.people[place];
        if person.client.poll_timeout().is_some_and(|due| due <= self.now) {
            person.client.handle_timeout(self.now);
        }
        if let Some(publisher) = person.publisher.as_mut() {
            publisher.act(self.now, &mut person.client);
        }
        for receiver in person.receivers.values_mut() {
            receiver.ask(self.now, &mut person.client);
        }
    }

    fn land(&mut self, mut flight: Flight) {
        if flight.to_server {
            let from = Path::udp(flight.client);
            let person = self.people.iter().find(|person| person.address == flight.client);
            let (now, shard) = (self.now, person.map_or(self.on, |person| person.shard));
            self.at(shard).handle(now, Input::Datagram { from, bytes: &mut flight.bytes });
            return;
        }
        let Some(person) = self.people.iter_mut().find(|person| person.address == flight.client) else { return };
        let mut rtcp = Vec::new();
        let over = person.client.is_closed();
        match person.client.handle(self.now, &mut flight.bytes) {
            Ok(Some(ClientEvent::Rtp { header, packet })) => {
                let payload = header.payload(packet).expect("the server sends no broken padding").to_vec();
                self.take(flight.client, header, &payload);
                return;
            }
            Ok(Some(ClientEvent::Rtcp(compound))) => rtcp.extend_from_slice(compound),
            Ok(_) => {}
            // Who has hung up does not listen.
            Err(_) if over => {}
            Err(reason) => panic!("a client could not use a datagram of the server: {}", reason.name()),
        }
        let _ = rtcp::read(&rtcp, |part| {
            if let Part::SenderReport { ssrc, ntp, timestamp } = part {
                person.reports.insert(ssrc, (ntp, timestamp));
                person.dated = Some(((ntp >> 16) as u32, self.now));
            }
        });
        let Some(publisher) = person.publisher.as_mut() else { return };
        publisher.obey(&rtcp, &mut person.client);
    }

    fn take(&mut self, client: SocketAddr, header: Header, payload: &[u8]) {
        let Some(person) = self.people.iter_mut().find(|person| person.address == client) else { return };
        for receiver in person.receivers.values_mut() {
            if self.deaf {
                receiver.pass_over(&header);
            } else {
                receiver.take(self.now, &header, payload);
            }
        }
    }

    /// Puts everything that wants to be sent on its way.
    fn collect(&mut self) {
        let mut outgoing = Vec::new();
        while self.drain(&mut outgoing) {}
        while let Some(recorded) = (!self.nobody_takes).then(|| self.shard.poll_recorded()).flatten() {
            let shift = self.recorded_bytes.len();
            self.recorded_bytes.extend_from_slice(&recorded.bytes);
            self.recorded.extend(recorded.events.into_iter().map(|event| match event {
                RecordedEvent::Packet(packet) => {
                    let payload = packet.payload.start + shift..packet.payload.end + shift;
                    RecordedEvent::Packet(RecordedPacket { payload, ..packet })
                }
                event => event,
            }));
        }
        self.sent += outgoing.len() as u64;
        for (client, bytes) in outgoing {
            self.fly(client, false, bytes);
        }
        for place in 0..self.people.len() {
            while let Some((_, bytes)) = self.people[place].client.poll_transmit() {
                self.fly(self.people[place].address, true, bytes);
            }
        }
    }

    fn fly(&mut self, client: SocketAddr, to_server: bool, bytes: Vec<u8>) {
        let Some(person) = self.people.iter_mut().find(|person| person.address == client) else { return };
        let link = person.link;
        let mut waits = Duration::ZERO;
        if let (Some(capacity_bps), false) = (person.capacity_bps, to_server) {
            person.free_at =
                person.free_at.max(self.now) + Duration::from_micros(bytes.len() as u64 * 8_000_000 / capacity_bps);
            waits = person.free_at - self.now;
            if waits > LONGEST_QUEUE {
                person.lost += 1;
                person.free_at -= Duration::from_micros(bytes.len() as u64 * 8_000_000 / capacity_bps);
                return;
            }
        }
        let is_media = bytes[0] >= 128;
        let loss_pm = link.loss_pm + person.loses[usize::from(!to_server)];
        if is_media && self.random.random_range(0..1000) < loss_pm {
            return;
        }
        let jitter = if is_media { link.jitter.mul_f64(self.random.random()) } else { Duration::ZERO };
        self.order += 1;
        self.flights.push(Reverse(Flight {
            due: self.now + link.delay + waits + jitter,
            order: self.order,
            to_server,
            client,
            bytes,
        }));
    }
}

trait Due {
    fn pop_if_due(&mut self, now: Instant) -> Option<Flight>;
}

impl Due for BinaryHeap<Reverse<Flight>> {
    fn pop_if_due(&mut self, now: Instant) -> Option<Flight> {
        (self.peek()?.0.due <= now).then(|| self.pop()).flatten().map(|flight| flight.0)
    }
}
