//! Floods and lies, from strangers and from guests: each is dropped under its reason, nobody is answered who has shown nothing, and
//! nobody else's call is moved. That the others' streams keep every law meanwhile is looked at packet by packet.

use std::net::SocketAddr;
use std::time::Duration;

use parlor_media::drop::Drop;
use parlor_media::rtp::write_header;
use parlor_media::srtp::Sealer;
use parlor_media::{CallId, Config, OfferError, ParticipantId};

use crate::guest::Tag;
use crate::world::{Offer, World};

const ONE: Offer = Offer { layers: 3, screen: false, video_slots: 2 };

/// Two in one call and two in another, all of whom send and see.
fn two_calls(seed: u64) -> World {
    crate::hush();
    let mut world = World::new(seed, Config { estimation: false, ..Config::default() });
    for call in [0, 0, 1, 1] {
        world.join(call, ONE);
    }
    world.run(Duration::from_secs(3));
    world
}

fn dropped(world: &World, reason: Drop) -> u64 {
    world.shard.stats().drops[reason as usize]
}

/// Everybody gets whole frames, as many as are sent.
fn goes_on(world: &mut World) {
    let whole = |world: &World| -> Vec<u64> {
        let videos = |place: usize| world.guests[place].receivers.values().filter(|it| it.is_video);
        (0..4).map(|place| videos(place).map(|receiver| receiver.whole).sum()).collect()
    };
    let before = whole(world);
    world.run(Duration::from_secs(1));
    for (place, (before, after)) in before.into_iter().zip(whole(world)).enumerate() {
        assert!(after >= before + 23, "guest {place} got {} frames in a second", after - before);
    }
}

fn stranger(number: u32) -> SocketAddr {
    let [_, a, b, c] = number.to_be_bytes();
    SocketAddr::from(([100, a, b, c], 1_024 + (number % 60_000) as u16))
}

/// A STUN request with this user name and nothing that proves it.
fn check(username: &str) -> Vec<u8> {
    let mut check = vec![0, 1, 0, 0, 0x21, 0x12, 0xa4, 0x42];
    check.extend_from_slice(&[7; 12]);
    check.extend_from_slice(&[0, 6, 0, username.len() as u8]);
    check.extend_from_slice(username.as_bytes());
    check.resize(check.len().next_multiple_of(4), 0);
    check.extend_from_slice(&[0, 8, 0, 20]);
    check.extend_from_slice(&[9; 20]);
    let body = (check.len() - 20) as u16;
    check[2..4].copy_from_slice(&body.to_be_bytes());
    check
}

#[test]
fn a_flood_of_checks_is_not_answered_and_leaves_nothing() {
    let mut world = two_calls(201);
    let (held, answered) = (world.shard.holdings().names, world.account.to_strangers);
    let answer = world.guests[0].answer.clone();
    let ufrag =
        answer.split("a=ice-ufrag:").nth(1).and_then(|rest| rest.split_whitespace().next()).expect("an answer has one");
    let known = format!("{ufrag}:{}", "abcd");
    for number in 0..10_000 {
        let username = if number % 2 == 0 { "AAAAAAAA:abcd" } else { &known };
        world.throw(stranger(number), &mut check(username));
    }
    world.run(Duration::from_millis(10));
    assert!(dropped(&world, Drop::StunUnknownUfrag) + dropped(&world, Drop::StunIntegrity) >= 10_000);
    assert_eq!(world.account.to_strangers, answered, "nobody is answered");
    assert_eq!(world.shard.holdings().names, held, "nobody is remembered");
    goes_on(&mut world);
}

#[test]
fn a_flood_of_handshakes_from_unknown_addresses_is_dropped_before_any_work() {
    let mut world = two_calls(202);
    let (held, answered) = (world.shard.holdings().names, world.account.to_strangers);
    let mut hello = vec![22, 0xfe, 0xff, 0, 0, 0, 0, 0, 0, 0, 0, 0, 60, 1, 0, 0, 48, 0, 0, 0, 0, 0, 0, 0, 48];
    hello.resize(25 + 48, 3);
    for number in 0..10_000 {
        world.throw(stranger(number), &mut hello.clone());
    }
    world.run(Duration::from_millis(10));
    assert_eq!(dropped(&world, Drop::UnknownAddress), 10_000);
    assert_eq!((world.account.to_strangers, world.shard.holdings().names), (answered, held));
    goes_on(&mut world);
}

#[test]
fn a_handshake_begun_again_and_again_on_a_living_connection_ends_nothing() {
    let mut world = two_calls(203);
    let address = world.guests[0].address;
    let mut hello = vec![22, 0xfe, 0xfd, 0, 0, 0, 0, 0, 0, 0, 0, 0, 60, 1, 0, 0, 48, 0, 0, 0, 0, 0, 0, 0, 48];
    hello.resize(25 + 48, 3);
    for number in 0..2_000u32 {
        hello[7..11].copy_from_slice(&number.to_be_bytes());
        world.throw(address, &mut hello.clone());
    }
    goes_on(&mut world);
    assert!(world.guests.iter().all(|guest| guest.seat.is_some()));
}

/// A packet under a guest's keys that names its section and layer as it likes.
fn spoof(world: &mut World, place: usize, payload_type: u8, ssrc: u32, mid: &str, rid: &str) {
    let guest = &world.guests[place];
    let mut sealer = Sealer::new(guest.client.keys().expect("connected"));
    let mut packet = vec![0; 12];
    write_header(&mut packet, payload_type, false, 5, 9_000, ssrc);
    packet[0] |= 0x10;
    packet.extend_from_slice(&[0xbe, 0xde, 0, 0]);
    for (id, name) in [(4u8, mid), (10, rid)].into_iter().filter(|(_, name)| !name.is_empty()) {
        packet.push(id << 4 | (name.len() - 1) as u8);
        packet.extend_from_slice(name.as_bytes());
    }
    packet.resize(packet.len().next_multiple_of(4), 0);
    let words = ((packet.len() - 16) / 4) as u16;
    packet[14..16].copy_from_slice(&words.to_be_bytes());
    let header_len = packet.len();
    packet.extend_from_slice(&[0x55; 60]);
    packet.resize(packet.len() + sealer.tag_len(), 0);
    sealer.seal_rtp(&mut packet, header_len, 0);
    let address = world.guests[place].address;
    world.throw(address, &mut packet);
}

#[test]
fn nobody_publishes_under_a_name_that_is_not_offered() {
    let mut world = two_calls(204);
    let unknown = dropped(&world, Drop::UnknownSsrc);
    for ssrc in 1..=100 {
        spoof(&mut world, 0, 96, ssrc, "99", "q");
        spoof(&mut world, 0, 96, ssrc, "1", "zz");
        spoof(&mut world, 0, 96, ssrc, "1", "");
    }
    assert_eq!(dropped(&world, Drop::UnknownSsrc) - unknown, 300);
    spoof(&mut world, 0, 96, 500, "0", "");
    spoof(&mut world, 0, 77, 501, "1", "q");
    assert_eq!(dropped(&world, Drop::Payload), 2, "a payload type of another section, and one of none");
    goes_on(&mut world);
}

#[test]
fn equal_ssrcs_of_two_participants_do_not_meet() {
    let mut world = two_calls(205);
    let victim = world.guests[0].client.ssrc(0, 0).expect("a microphone");
    // The neighbour in the same call, and somebody in another, take the victim's SSRC for their own microphones.
    for place in [1, 2] {
        spoof(&mut world, place, 111, victim, "0", "");
    }
    // And one uses its own microphone's SSRC for its camera as well.
    let own = world.guests[3].client.ssrc(0, 0).expect("a microphone");
    spoof(&mut world, 3, 96, own, "1", "q");
    goes_on(&mut world);
    assert!(world.guests.iter().all(|guest| guest.seat.is_some()));
}

#[test]
fn feedback_that_lies_slows_nobody_else() {
    for (seed, estimation) in [(206, false), (207, true)] {
        let mut world = World::new(seed, Config { estimation, ..Config::default() });
        crate::hush();
        for call in [0, 0, 0, 1] {
            world.join(call, ONE);
        }
        world.run(Duration::from_secs(8));
        let liar = 1;
        for round in 0..200u32 {
            let guest = &mut world.guests[liar];
            // A bandwidth of nothing, and feedback on packets that were never sent.
            guest.client.send_rtcp(b"\x8f\xce\0\x05\0\0\0\x01\0\0\0\0REMB\x01\0\0\0\0\0\0\x07");
            let mut nonsense = vec![0x8f, 205, 0, 9, 0, 0, 0, 1, 0, 0, 0, 0];
            nonsense.extend((0..28u32).map(|at| (round.wrapping_mul(31) ^ at.wrapping_mul(97)) as u8));
            guest.client.send_rtcp(&nonsense);
            guest.drain(Tag::Other);
            world.run(Duration::from_millis(10));
        }
        let whole = |world: &World, place: usize| -> u64 {
            world.guests[place].receivers.values().filter(|it| it.is_video).map(|it| it.whole).sum()
        };
        let before = [whole(&world, 0), whole(&world, 2)];
        world.run(Duration::from_secs(1));
        for (place, before) in [0, 2].into_iter().zip(before) {
            let got = whole(&world, place) - before;
            assert!(got >= 46, "guest {place} still sees two people, estimation {estimation}: {got} frames");
        }
        // Whoever ceases to lie sees again.
        world.run(Duration::from_secs(12));
        let before = whole(&world, liar);
        world.run(Duration::from_secs(1));
        assert!(whole(&world, liar) >= before + 40, "estimation {estimation}");
    }
}

#[test]
fn oversized_descriptions_are_refused_or_cost_no_more_than_others() {
    let mut world = two_calls(208);
    let (held, now) = (world.shard.holdings(), world.now);
    let good = world.guests[0].client.offer();
    let sections = |count: usize| -> String {
        (0..count)
            .map(|mid| {
                format!("m=video 9 UDP/TLS/RTP/SAVPF 96\r\na=mid:x{mid}\r\na=rtpmap:96 VP8/90000\r\na=recvonly\r\n")
            })
            .collect()
    };
    let head = good.split("m=").next().expect("a head").to_owned();
    for bad in [format!("{head}{}", sections(5_000)), "a=b\r\n".repeat(200_000), "x".repeat(1 << 20)] {
        let answer = world.shard.offer(now, CallId(9), ParticipantId(9), &bad, &[]);
        assert!(matches!(answer, Err(OfferError::Sdp(_))), "{} bytes", bad.len());
    }
    assert_eq!(world.shard.holdings(), held, "nothing is left of them");
    // Attributes that mean nothing are read over, however many they are.
    let long = good.replacen("a=mid:0\r\n", &format!("a=mid:0\r\n{}", "a=x:y\r\n".repeat(50_000)), 1);
    let _ = world.shard.offer(now, CallId(9), ParticipantId(9), &long, &[]);
    assert!(world.shard.holdings().places <= held.places + 2);
    world.shard.leave(ParticipantId(9));
    world.shard.rest();
    goes_on(&mut world);
}

#[test]
fn a_panic_ends_one_call_and_no_neighbour_notices() {
    for step in 0..6 {
        let mut world = two_calls(210 + u64::from(step));
        crate::chaos::order_fault(&mut world, 0, step);
        if step == 1 {
            // A command of somebody in the same call.
            world.run(Duration::from_millis(100));
            let track = world.guests[1].tracks[0];
            world.mute(track, true);
        }
        world.run(Duration::from_millis(600));
        if step == 5 && world.ordered.is_some() {
            world.view(1, Vec::new());
            world.run(Duration::from_millis(10));
        }
        assert_eq!(world.account.broken, 1, "step {step} struck");
        let seats: Vec<bool> = world.guests.iter().map(|guest| guest.seat.is_some()).collect();
        assert_eq!(seats, [false, false, true, true], "step {step}");
        // The neighbours go on, and those who were thrown out may come back at once.
        let whole = |world: &World| -> u64 {
            world.guests[2].receivers.values().filter(|it| it.is_video).map(|it| it.whole).sum()
        };
        let before = whole(&world);
        world.run(Duration::from_secs(1));
        assert!(whole(&world) >= before + 23, "step {step}: the neighbours get {}", whole(&world) - before);
        world.rejoin(0, ONE);
        world.rejoin(1, ONE);
        world.run(Duration::from_secs(2));
        goes_on(&mut world);
    }
}
