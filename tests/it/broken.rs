//! A call that breaks down, or stalls its shard, ends alone: its people are told, and the others of the shard go on.

use std::net::{IpAddr, Ipv4Addr, UdpSocket};
use std::time::{Duration, Instant};

use parlor::domain::{CallId, ParticipantId, TrackId, TrackSource};
use parlor::sfu::{self, CallEvent, OfferError, OfferedTrack, Sfu};
use parlor_media::client::{Client, Event, Frame, Identity, Line, Plan};
use parlor_media::dtls::Certificate;
use tokio::sync::mpsc::Receiver;

use crate::harness::PATIENCE;

/// Steps of the core that a fault can be ordered for, see `media/src/fault.rs`.
const PACKET: u8 = 0;
const FORWARD: u8 = 4;
/// Turns of an ordered stall, in millions: some hundreds of milliseconds.
const STALL: u16 = 600;

/// Somebody in a call, who speaks and listens.
struct Caller {
    id: ParticipantId,
    client: Client,
    socket: UdpSocket,
    heard: u64,
    spoken: u32,
}

impl Caller {
    async fn join(sfu: &Sfu, call: CallId, identity: &Identity) -> Caller {
        let id = ParticipantId::new();
        let seed = uuid::Uuid::now_v7().as_u128() as u64;
        let plan = Plan { lines: vec![Line::Audio], audio_slots: 2, video_slots: 0, seed, ..Plan::default() };
        let mut client = Client::new(plan, identity);
        let track =
            OfferedTrack { mid: "0".into(), source: TrackSource::Microphone, track: TrackId::new(), muted: false };
        let answer = sfu.offer(call, id, client.offer(), vec![track]).await.expect("a good offer");
        client.accept(Instant::now(), &answer.sdp).expect("a good answer");
        let socket = UdpSocket::bind("127.0.0.1:0").expect("loopback has free ports");
        socket.set_nonblocking(true).expect("a socket can");
        let mut caller = Caller { id, client, socket, heard: 0, spoken: 0 };
        let deadline = Instant::now() + PATIENCE;
        while !caller.client.is_connected() {
            assert!(Instant::now() < deadline, "nobody answers");
            caller.turn().await;
        }
        sfu.ready(call, id);
        caller
    }

    /// What is due, and then a moment for the others.
    async fn turn(&mut self) {
        let now = Instant::now();
        if self.client.poll_timeout().is_some_and(|due| due <= now) {
            self.client.handle_timeout(now);
        }
        let mut buffer = [0; 2_048];
        while let Ok(len) = self.socket.recv(&mut buffer) {
            if let Ok(Some(Event::Rtp { .. })) = self.client.handle(Instant::now(), &mut buffer[..len]) {
                self.heard += 1;
            }
        }
        if self.client.is_connected() {
            self.spoken += 1;
            let frame = Frame {
                timestamp: 960 * self.spoken,
                audio_level: Some((20, true)),
                payload: &[0x78; 60],
                ..Frame::default()
            };
            self.client.send_rtp(0, 0, frame);
        }
        while let Some((to, bytes)) = self.client.poll_transmit() {
            // A server that is gone refuses; the test sees it by what does not come.
            let _ = self.socket.send_to(&bytes, to);
        }
        tokio::time::sleep(Duration::from_millis(2)).await;
    }

    /// Orders a fault in a step of the own call: a panic, or so many million turns of a loop.
    fn order(&mut self, step: u8, turns: u16) {
        let [high, low] = turns.to_be_bytes();
        self.client.send_rtcp(&[0x80, 204, 0, 3, 0, 0, 0, 1, b'F', b'A', b'L', b'T', step, 0, high, low]);
    }
}

async fn media() -> (Sfu, Receiver<CallEvent>, Identity) {
    let config = sfu::Config { shards: 1, sample_every_ms: 0, ..sfu::Config::default() };
    let (sfu, events, _) =
        Sfu::start(0, &[IpAddr::from(Ipv4Addr::LOCALHOST)], &config).expect("loopback has free ports");
    let identity = Identity::new(&Certificate::generate().expect("the system has randomness")).expect("it is good");
    (sfu, events, identity)
}

/// Everybody turns until both of the broken call are told; nobody else is.
async fn both_are_told(all: &mut [Caller; 4], events: &mut Receiver<CallEvent>, broken: CallId) {
    let deadline = Instant::now() + PATIENCE;
    let mut told = Vec::new();
    while told.len() < 2 {
        assert!(Instant::now() < deadline, "{} are told", told.len());
        for caller in &mut *all {
            caller.turn().await;
        }
        while let Ok(event) = events.try_recv() {
            match event {
                CallEvent::Broke { call, participant, .. } => {
                    assert_eq!(call, broken);
                    told.push(participant);
                }
                CallEvent::Lost { .. } => panic!("{event:?}"),
                _ => {}
            }
        }
    }
    assert!(told.contains(&all[0].id) && told.contains(&all[1].id));
}

/// The two of the other call go on hearing each other.
async fn others_go_on(all: &mut [Caller; 4]) {
    let (before, deadline) = ([all[2].heard, all[3].heard], Instant::now() + PATIENCE);
    while all[2].heard < before[0] + 50 || all[3].heard < before[1] + 50 {
        assert!(Instant::now() < deadline, "they hear nothing more");
        for caller in &mut *all {
            caller.turn().await;
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_call_that_breaks_again_and_again_is_refused_and_its_neighbour_goes_on() {
    let (sfu, mut events, identity) = media().await;
    let [broken, other] = [CallId::new(), CallId::new()];
    let mut all = [
        Caller::join(&sfu, broken, &identity).await,
        Caller::join(&sfu, broken, &identity).await,
        Caller::join(&sfu, other, &identity).await,
        Caller::join(&sfu, other, &identity).await,
    ];
    others_go_on(&mut all).await;
    for (round, step) in [PACKET, FORWARD, PACKET].into_iter().enumerate() {
        if round > 0 {
            // Whoever was in it may offer anew.
            for place in [0, 1] {
                all[place] = Caller::join(&sfu, broken, &identity).await;
            }
        }
        all[0].order(step, 0);
        both_are_told(&mut all, &mut events, broken).await;
        others_go_on(&mut all).await;
    }
    let plan = Plan { lines: Vec::new(), audio_slots: 1, video_slots: 0, ..Plan::default() };
    let offer = Client::new(plan, &identity).offer();
    let refused = sfu.offer(broken, ParticipantId::new(), offer.clone(), Vec::new()).await;
    assert_eq!(refused.map(|answer| answer.sdp), Err(OfferError::Unavailable));
    sfu.offer(other, ParticipantId::new(), offer, Vec::new()).await.expect("the other call is open");
    let stats = sfu.stats().await;
    assert_eq!((stats[0].broken_calls, stats[0].media.calls), (3, 1));
    sfu.stop();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_call_that_stalls_its_shard_again_and_again_is_ended() {
    let (sfu, mut events, identity) = media().await;
    let [slow, other] = [CallId::new(), CallId::new()];
    let mut all = [
        Caller::join(&sfu, slow, &identity).await,
        Caller::join(&sfu, slow, &identity).await,
        Caller::join(&sfu, other, &identity).await,
        Caller::join(&sfu, other, &identity).await,
    ];
    // The first stall begins the close watch; three that it sees are too many.
    for round in 1..=4 {
        all[0].order(PACKET, STALL);
        let deadline = Instant::now() + PATIENCE;
        while sfu.stats().await[0].stalls < round {
            assert!(Instant::now() < deadline, "stall {round} is not noticed");
            for caller in &mut all {
                caller.turn().await;
            }
        }
    }
    both_are_told(&mut all, &mut events, slow).await;
    others_go_on(&mut all).await;
    assert_eq!(sfu.stats().await[0].broken_calls, 1);
    sfu.stop();
}

/// Everybody turns until so many are told that their call broke; answers who.
async fn told(all: &mut Vec<Caller>, events: &mut Receiver<CallEvent>, count: usize) -> Vec<ParticipantId> {
    let (mut told, deadline) = (Vec::new(), Instant::now() + PATIENCE);
    while told.len() < count {
        assert!(Instant::now() < deadline, "{} are told", told.len());
        for caller in &mut *all {
            caller.turn().await;
        }
        while let Ok(event) = events.try_recv() {
            if let CallEvent::Broke { participant, .. } = event {
                told.push(participant);
            }
        }
    }
    told
}

/// A media side whose calls use both of its shards from the second participant on, and who the callers are.
fn two_shards() -> (Sfu, Receiver<CallEvent>, Identity) {
    let config = sfu::Config { shards: 2, spread_after: 1, sample_every_ms: 0, ..sfu::Config::default() };
    let (sfu, events, _) =
        Sfu::start(0, &[IpAddr::from(Ipv4Addr::LOCALHOST)], &config).expect("loopback has free ports");
    let identity = Identity::new(&Certificate::generate().expect("the system has randomness")).expect("it is good");
    (sfu, events, identity)
}

/// Everybody hears somebody.
async fn hear(all: &mut Vec<Caller>) {
    let (before, deadline) = (all.iter().map(|caller| caller.heard).collect::<Vec<_>>(), Instant::now() + PATIENCE);
    while all.iter().zip(&before).any(|(caller, before)| caller.heard < before + 50) {
        assert!(Instant::now() < deadline, "somebody hears nothing");
        for caller in &mut *all {
            caller.turn().await;
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_breaks_at_the_home_of_a_call_ends_it_on_all_shards_and_elsewhere_only_there() {
    let (sfu, mut events, identity) = two_shards();
    let call = CallId::new();
    // By turns: the first and the last are at home.
    let mut all = Vec::new();
    for _ in 0..3 {
        all.push(Caller::join(&sfu, call, &identity).await);
    }
    hear(&mut all).await;
    let abroad = all[1].id;
    all[1].order(FORWARD, 0);
    assert_eq!(told(&mut all, &mut events, 1).await, [abroad]);
    all[1] = Caller::join(&sfu, call, &identity).await;
    hear(&mut all).await;
    let everybody: std::collections::BTreeSet<ParticipantId> = all.iter().map(|caller| caller.id).collect();
    all[0].order(FORWARD, 0);
    assert_eq!(told(&mut all, &mut events, 3).await.into_iter().collect::<std::collections::BTreeSet<_>>(), everybody);
    sfu.stop();
}

#[tokio::test(flavor = "multi_thread")]
async fn who_comes_to_a_shard_that_refuses_the_call_is_taken_at_home() {
    let (sfu, mut events, identity) = two_shards();
    let call = CallId::new();
    let mut all = vec![Caller::join(&sfu, call, &identity).await];
    for _ in 0..3 {
        all.push(Caller::join(&sfu, call, &identity).await);
        hear(&mut all).await;
        let abroad = all[1].id;
        all[1].order(FORWARD, 0);
        assert_eq!(told(&mut all, &mut events, 1).await, [abroad]);
        all.truncate(1);
    }
    for _ in 0..2 {
        all.push(Caller::join(&sfu, call, &identity).await);
    }
    hear(&mut all).await;
    let stats = sfu.stats().await;
    assert_eq!(stats.iter().map(|shard| shard.media.participants).max(), Some(3), "all of them are at home");
    sfu.stop();
}
