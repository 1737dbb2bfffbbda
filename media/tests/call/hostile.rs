//! What strangers and broken clients send: each datagram is dropped under its reason, and nobody else notices.

use std::time::Duration;

use parlor_media::client::Frame;
use parlor_media::drop::Drop;
use parlor_media::sdp::Kind;
use parlor_media::{CallId, Event, Input, OfferError, OfferedTrack, ParticipantId, Path, Source, TrackId};
use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};

use crate::publisher::Publisher;
use crate::world::{CALL, CLEAN, World};

struct Scene {
    world: World,
    from: usize,
    to: usize,
}

impl Scene {
    /// A call of two, of whom one publishes.
    fn new(seed: u64) -> Scene {
        let mut world = World::new(seed);
        let from = world.join(&["q", "h", "f"], 2, CLEAN);
        let to = world.join(&[], 2, CLEAN);
        world.publish(from, Publisher::new(1, 3, world.now));
        world.run(Duration::from_secs(1));
        Scene { world, from, to }
    }

    /// Hands the server a datagram, as if from the publisher's address or from a stranger's.
    fn throw(&mut self, stranger: bool, bytes: &[u8]) {
        let remote =
            if stranger { "10.9.9.9:999".parse().expect("an address") } else { self.world.people[self.from].address };
        let from = Path::udp(remote);
        self.world.shard.handle(self.world.now, Input::Datagram { from, bytes: &mut bytes.to_vec() });
    }

    fn dropped(&self, reason: Drop) -> u64 {
        self.world.shard.stats().drops[reason as usize]
    }

    /// A datagram that the publisher seals now, kept from the server.
    fn sealed(&mut self) -> Vec<u8> {
        let person = &mut self.world.people[self.from];
        while person.client.poll_transmit().is_some() {}
        let payload = [0x90, 0xe0, 0x80, 1, 1, 0, 0x11, 0, 0];
        person.client.send_rtp(1, 0, Frame { payload: &payload, ..Frame::default() }).expect("connected");
        person.client.poll_transmit().expect("a packet").1
    }

    /// The call goes on: the receiver gets frames without a pause or a break.
    fn assert_unharmed(&mut self) {
        let face = self.world.people[self.from].tracks[1];
        let before = self.world.people[self.to].showing(face).expect("shown").complete_frames().len();
        self.world.run(Duration::from_secs(1));
        let video = self.world.people[self.to].showing(face).expect("shown");
        assert!(video.complete_frames().len() >= before + 28, "frames go on");
        video.assert_continuous();
    }
}

#[test]
fn media_from_an_unknown_address_is_dropped() {
    let mut scene = Scene::new(101);
    let good = scene.sealed();
    scene.throw(true, &good);
    scene.throw(true, &[0x80, 200, 0, 1, 0, 0, 0, 1]);
    scene.throw(true, &[22, 254, 253, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0]);
    assert_eq!(scene.dropped(Drop::UnknownAddress), 3);
    scene.throw(false, &good);
    assert_eq!(scene.dropped(Drop::UnknownAddress), 3);
}

#[test]
fn a_replayed_packet_is_dropped() {
    let mut scene = Scene::new(102);
    let packet = scene.sealed();
    scene.throw(false, &packet);
    scene.throw(false, &packet);
    assert_eq!(scene.dropped(Drop::SrtpReplay), 1);
}

#[test]
fn truncated_packets_and_lying_lengths_are_dropped() {
    let mut scene = Scene::new(103);
    let packet = scene.sealed();
    for len in 0..packet.len() {
        scene.throw(false, &packet[..len]);
    }
    // An extension and contributing sources that reach beyond the packet.
    let mut lying = packet.clone();
    lying[0] |= 0x1f;
    lying[14] = 0xff;
    scene.throw(false, &lying);
    let stats = scene.world.shard.stats();
    assert_eq!(stats.drops.iter().sum::<u64>(), packet.len() as u64 + 1, "each was dropped and counted: {stats:?}");
    assert!(
        scene.dropped(Drop::RtpMalformed) > 0 && scene.dropped(Drop::SrtpAuth) > 0 && scene.dropped(Drop::Unknown) > 0
    );
    scene.assert_unharmed();
}

#[test]
fn a_forged_packet_makes_no_stream_and_ends_none() {
    let mut scene = Scene::new(104);
    let packet = scene.sealed();
    for ssrc in 0..1_000u32 {
        let mut forged = packet.clone();
        forged[8..12].copy_from_slice(&ssrc.to_be_bytes());
        scene.throw(false, &forged);
    }
    let mut flipped = packet;
    *flipped.last_mut().expect("bytes") ^= 1;
    scene.throw(false, &flipped);
    assert_eq!(scene.dropped(Drop::SrtpAuth) + scene.dropped(Drop::UnknownSsrc), 1_001);
    scene.assert_unharmed();
}

#[test]
fn a_check_without_the_password_changes_nothing() {
    let mut scene = Scene::new(105);
    let person = &mut scene.world.people[scene.from];
    // The publisher's own next consent check, caught on its way.
    while person.client.poll_transmit().is_some() {}
    let check = loop {
        let due = person.client.poll_timeout().expect("a consent check is due");
        person.client.handle_timeout(due);
        // Feedback may be due before it.
        if let Some((_, sent)) = person.client.poll_transmit().filter(|(_, sent)| sent[0] < 4) {
            break sent;
        }
    };
    let mut forged = check.clone();
    forged[30] ^= 1;
    scene.throw(true, &forged);
    let mut wrong = check.clone();
    let at = wrong.len() - 20;
    wrong[at] ^= 1;
    scene.throw(true, &wrong);
    assert_eq!(scene.dropped(Drop::StunIntegrity) + scene.dropped(Drop::StunUnknownUfrag), 2);
    for len in 8..check.len() {
        scene.throw(true, &check[..len]);
    }
    scene.assert_unharmed();
}

#[test]
fn nonsense_in_rtcp_is_dropped_or_ignored() {
    let mut scene = Scene::new(106);
    let mut random = StdRng::seed_from_u64(7);
    let before = scene.world.shard.stats();
    for round in 0..500u32 {
        let mut compound =
            vec![0x80 | (random.random::<u8>() & 0x1f), 200 + (round % 8) as u8, 0, random.random_range(0..12)];
        compound.extend((0..random.random_range(4..60)).map(|_| random.random::<u8>()));
        let person = &mut scene.world.people[scene.to];
        person.client.send_rtcp(&compound);
    }
    // A storm of requests for packets that were never sent, and for key frames.
    for _ in 0..200 {
        let person = &mut scene.world.people[scene.to];
        let ssrc = person.client.slots().last().expect("a slot").ssrc.to_be_bytes();
        let mut storm = vec![0x81, 205, 0, 66, 0, 0, 0, 1, ssrc[0], ssrc[1], ssrc[2], ssrc[3]];
        for _ in 0..64 {
            storm.extend_from_slice(&[random.random(), random.random(), 0xff, 0xff]);
        }
        storm.extend_from_slice(&[0x81, 206, 0, 2, 0, 0, 0, 1, ssrc[0], ssrc[1], ssrc[2], ssrc[3]]);
        person.client.send_rtcp(&storm);
    }
    scene.world.run(Duration::from_millis(100));
    let after = scene.world.shard.stats();
    assert!(after.drops[Drop::RtcpMalformed as usize] > before.drops[Drop::RtcpMalformed as usize]);
    assert!(after.plis_out <= before.plis_out + 3, "a storm of requests is few requests to the publisher");
    assert!(after.resent <= before.resent + 4_000, "what was never sent is not sent again");
    scene.assert_unharmed();
}

#[test]
fn a_stream_that_nobody_offered_is_dropped() {
    let mut world = World::new(107);
    // The offer names the section; what the server was told of tracks does not.
    let place = world.join(&[], 2, CLEAN);
    let offer = world.people[place].client.offer();
    let other = ParticipantId(9_999);
    let unknown = [OfferedTrack { mid: "77".into(), source: Source::Camera, track: TrackId(1), muted: false }];
    world.shard.offer(world.now, CALL, other, &offer, &unknown).expect("an answer without tracks");
    // A microphone's section cannot be a camera.
    let swapped = [OfferedTrack { mid: "0".into(), source: Source::Camera, track: TrackId(2), muted: false }];
    world.shard.offer(world.now, CALL, ParticipantId(9_998), &offer, &swapped).expect("an answer without tracks");
    // Nobody takes another's track by naming it.
    let stolen =
        [OfferedTrack { mid: "1".into(), source: Source::Camera, track: world.people[place].tracks[1], muted: false }];
    world.shard.offer(world.now, CALL, ParticipantId(9_997), &offer, &stolen).expect("an answer without tracks");
    world.publish(place, Publisher::new(1, 1, world.now));
    world.run(Duration::from_secs(1));
    assert_eq!(world.shard.stats().tracks, [1, 1, 0, 0]);
}

#[test]
fn garbage_offers_change_nothing() {
    let mut scene = Scene::new(108);
    let offer = scene.world.people[scene.to].client.offer();
    let without = |what: &str| {
        offer.lines().filter(|line| !line.starts_with(what)).map(|line| format!("{line}\r\n")).collect::<String>()
    };
    let sections: String = (0..200)
        .map(|mid| format!("m=audio 9 UDP/TLS/RTP/SAVPF 111\r\na=mid:{mid}\r\na=rtpmap:111 opus/48000/2\r\n"))
        .collect();
    let many = format!("{}{sections}", offer.split("m=").next().expect("a head"));
    let strange = offer.replace("opus", "g722").replace("VP8", "theora").replace("rtx", "xtr");
    for bad in [
        String::new(),
        "\u{0}".repeat(9),
        "v=0\r\n".into(),
        without("a=ice-ufrag"),
        without("a=fingerprint"),
        many,
        strange,
    ] {
        let answer = scene.world.shard.offer(scene.world.now, CALL, ParticipantId(5_000), &bad, &[]);
        assert!(matches!(answer, Err(OfferError::Sdp(_))), "{answer:?}");
    }
    assert_eq!(scene.world.shard.stats().participants, 2);
    scene.assert_unharmed();
}

/// A sealed packet of the publisher's lowest layer with this payload.
fn sealed_with(scene: &mut Scene, payload: &[u8]) -> Vec<u8> {
    let person = &mut scene.world.people[scene.from];
    while person.client.poll_transmit().is_some() {}
    person.client.send_rtp(1, 0, Frame { payload, ..Frame::default() }).expect("connected");
    person.client.poll_transmit().expect("a packet").1
}

#[test]
fn a_packet_too_large_to_be_one_is_dropped() {
    let mut scene = Scene::new(109);
    for len in [1_401, 17_000, 33_000, 60_000] {
        let packet = sealed_with(&mut scene, &vec![0x11; len]);
        scene.throw(false, &packet);
    }
    assert_eq!(scene.dropped(Drop::Payload), 4);
    scene.world.run(Duration::from_secs(1));
    assert_eq!(scene.world.shard.stats().participants, 2);
}

#[test]
fn a_request_for_old_numbers_never_reaches_another_call() {
    let mut scene = Scene::new(110);
    let spy = scene.to;
    let slot = scene.world.people[spy].showing(scene.world.people[scene.from].tracks[1]).expect("shown");
    let numbers: Vec<u16> = slot.packets.keys().map(|index| *index as u16).collect();
    let ssrc =
        scene.world.people[spy].client.slots().iter().find(|slot| slot.kind == Kind::Video).expect("a slot").ssrc;
    // The publisher leaves, and somebody else's track takes its place in the shard.
    scene.world.leave(scene.from);
    let victim = scene.world.join_call(CallId(2), &[], 2, CLEAN);
    scene.world.publish(victim, Publisher::new(9, 1, scene.world.now));
    scene.world.run(Duration::from_secs(1));
    let before = scene.world.shard.stats().resent;
    for chunk in numbers.chunks(60) {
        let ssrc = ssrc.to_be_bytes();
        let mut compound = vec![0x81, 205, 0, (2 + chunk.len()) as u8, 0, 0, 0, 1, ssrc[0], ssrc[1], ssrc[2], ssrc[3]];
        for number in chunk {
            compound.extend_from_slice(&number.to_be_bytes());
            compound.extend_from_slice(&[0xff, 0xff]);
        }
        scene.world.people[spy].client.send_rtcp(&compound);
    }
    scene.world.run(Duration::from_millis(200));
    assert_eq!(scene.world.shard.stats().resent, before, "what is gone is not sent again, least of all from elsewhere");
}

#[test]
fn a_storm_of_requests_is_answered_within_the_credit() {
    let mut scene = Scene::new(111);
    let face = scene.world.people[scene.from].tracks[1];
    let numbers: Vec<u16> =
        scene.world.people[scene.to].showing(face).expect("shown").packets.keys().map(|index| *index as u16).collect();
    let ssrc =
        scene.world.people[scene.to].client.slots().iter().find(|slot| slot.kind == Kind::Video).expect("a slot").ssrc;
    let before = scene.world.shard.stats().resent;
    for _ in 0..300 {
        let ssrc = ssrc.to_be_bytes();
        let mut compound =
            vec![0x81, 205, 0, (2 + numbers.len()) as u8, 0, 0, 0, 1, ssrc[0], ssrc[1], ssrc[2], ssrc[3]];
        for number in &numbers {
            compound.extend_from_slice(&number.to_be_bytes());
            compound.extend_from_slice(&[0, 0]);
        }
        scene.world.people[scene.to].client.send_rtcp(&compound);
    }
    scene.world.run(Duration::from_millis(100));
    let resent = scene.world.shard.stats().resent - before;
    assert!(resent <= 512 + 10 * 32, "{resent} packets were sent again");
    scene.assert_unharmed();
}

#[test]
fn a_layer_that_begins_anew_goes_on_for_its_receivers() {
    let mut scene = Scene::new(112);
    let face = scene.world.people[scene.from].tracks[1];
    scene.world.view(scene.to, &[(face, 300)]);
    scene.world.run(Duration::from_secs(1));
    for _ in 0..3 {
        // The encoder is made anew: another SSRC, another series, another clock.
        scene.world.people[scene.from].client.restart_streams(1);
        scene.world.people[scene.from].publisher.as_mut().expect("it publishes").begin_anew();
        scene.world.run(Duration::from_secs(2));
        scene.assert_unharmed();
    }
}

#[test]
fn nobody_takes_an_address_that_is_in_use() {
    let mut scene = Scene::new(113);
    let person = &mut scene.world.people[scene.to];
    while person.client.poll_transmit().is_some() {}
    let check = loop {
        let due = person.client.poll_timeout().expect("a consent check is due");
        person.client.handle_timeout(due);
        // Feedback may be due before it.
        if let Some((_, sent)) = person.client.poll_transmit().filter(|(_, sent)| sent[0] < 4) {
            break sent;
        }
    };
    // The receiver's own valid check, but from the publisher's address.
    scene.throw(false, &check);
    assert_eq!(scene.dropped(Drop::AddressTaken), 1);
    scene.assert_unharmed();
}

#[test]
fn whoever_ends_the_connection_may_offer_another() {
    let mut scene = Scene::new(114);
    let id = scene.world.people[scene.from].id;
    let now = scene.world.now;
    scene.world.people[scene.from].publisher = None;
    scene.world.people[scene.from].client.close(now);
    scene.world.run(Duration::from_secs(5));
    let lost = |world: &World| {
        world.told.iter().any(|event| matches!(event, Event::Lost { participant, .. } if *participant == id))
    };
    assert!(!lost(&scene.world), "the seat waits");
    scene.world.run(Duration::from_secs(12));
    assert!(lost(&scene.world), "but not for ever");
    assert_eq!(scene.world.shard.stats().participants, 1);
}
