//! What happens to a simulated world: people come, go, die and come back, networks fail, strangers and guests send nonsense.

use std::time::Duration;

use parlor_media::{Config, TrackId, View};
use rand::RngExt;

use crate::content::LEAST_LEN;
use crate::encoder::{CAMERA, SCREEN};
use crate::guest::Tag;
use crate::network::Line;
use crate::world::{Account, Offer, World};

/// Calls of a world, and people in all of them at once at most.
const CALLS: usize = 3;
const MOST_PEOPLE: usize = 14;
/// After the last fault: enough for every time-out, reconnection and estimate.
const CALM: Duration = Duration::from_secs(30);

/// A whole run: chaos for so long, calm, and everybody's leaving. Without estimation every line bears what is asked of it.
pub fn run(seed: u64, time: Duration, estimation: bool) -> Account {
    run_on(0, seed, time, estimation)
}

/// The same with so many further shards, on which guests come by turns.
pub fn run_on(spokes: u8, seed: u64, time: Duration, estimation: bool) -> Account {
    let config = Config { estimation, ..Config::default() };
    let mut world = World::spread(seed, config.clone(), spokes);
    if world.random.random_ratio(1, 3) {
        let sample_every = Some(Duration::from_secs(2));
        world = World::spread(seed, Config { sample_every, ..config }, spokes);
    }
    let people = world.random.random_range(3..9);
    for _ in 0..people {
        come(&mut world);
    }
    let end = world.now + time;
    while world.now < end {
        let pause = world.random.random_range(20..600);
        world.run(Duration::from_millis(pause));
        happen(&mut world);
    }
    calm(&mut world);
    everybody_leaves(&mut world);
    world.account
}

fn some_offer(world: &mut World) -> Offer {
    Offer {
        layers: if world.random.random_ratio(1, 2) { 3 } else { 1 },
        screen: world.random.random_ratio(1, 4),
        video_slots: world.random.random_range(0..6),
    }
}

fn come(world: &mut World) {
    let (call, offer) = (world.random.random_range(0..CALLS), some_offer(world));
    let place = world.join(call, offer);
    world.guests[place].up = Line::some(&mut world.random);
    world.guests[place].down = Line::some(&mut world.random);
}

fn any(world: &mut World, holds: impl Fn(&World, usize) -> bool) -> Option<usize> {
    let places: Vec<usize> = (0..world.guests.len()).filter(|place| holds(world, *place)).collect();
    (!places.is_empty()).then(|| places[world.random.random_range(0..places.len())])
}

fn is_here(world: &World, place: usize) -> bool {
    world.guests[place].seat.is_some() && !world.guests[place].silent
}

/// One thing happens.
fn happen(world: &mut World) {
    let present = (0..world.guests.len()).filter(|place| is_here(world, *place)).count();
    let kind = world.random.random_range(0..100);
    let Some(place) = any(world, is_here).filter(|_| kind >= 8) else {
        if present < MOST_PEOPLE {
            come(world);
        }
        return;
    };
    world.say(|| format!("kind {kind} happens to guest {place}"));
    match kind {
        8..14 => world.leave(place),
        14..18 => die(world, place),
        18..26 => come_back(world),
        26..30 => hang_up(world, place),
        30..34 => world.move_guest(place),
        34..38 => restart_ice(world, place),
        38..42 => more_slots(world, place),
        42..52 => change_view(world, place),
        52..62 => change_mute(world, place),
        62..74 => change_encoder(world, place),
        74..82 => change_line(world, place),
        82..88 => forge(world, place),
        88..96 => misbehave(world, place),
        96 => {
            let time = Duration::from_millis(world.random.random_range(50..3_000));
            world.leap(time);
        }
        97 if world.random.random_ratio(1, 4) => {
            let time = Duration::from_secs(world.random.random_range(5..60));
            world.leap(time);
        }
        98 => break_call(world, place),
        _ => {
            let (call, on) = (world.random.random_range(0..CALLS), world.random.random());
            world.shard.record(parlor_media::CallId(1 + call as u128), on);
            world.shard.rest();
        }
    }
}

/// The cable is pulled.
fn die(world: &mut World, place: usize) {
    world.guests[place].silent = true;
    world.guests[place].outbox.clear();
}

/// Somebody who was given up, died or was thrown out offers anew, under the same name.
fn come_back(world: &mut World) {
    let left = |world: &World, place: usize| world.guests[place].silent || world.guests[place].seat.is_none();
    let offer = some_offer(world);
    if let Some(place) = any(world, left) {
        world.rejoin(place, offer);
    }
}

/// The connection is ended by the guest, perhaps in the middle of its handshake.
fn hang_up(world: &mut World, place: usize) {
    let (now, guest) = (world.now, &mut world.guests[place]);
    guest.client.close(now);
    guest.drain(Tag::Other);
    if let Some(seat) = guest.seat.as_mut() {
        seat.closed_at = Some(now);
    }
}

fn restart_ice(world: &mut World, place: usize) {
    world.guests[place].client.restart_ice();
    if world.random.random() {
        world.move_guest(place);
    }
    world.offer(place);
}

fn more_slots(world: &mut World, place: usize) {
    let count = world.random.random_range(1..4);
    world.guests[place].client.add_video_slots(count);
    world.offer(place);
}

fn change_view(world: &mut World, place: usize) {
    let mut tracks: Vec<TrackId> = world.guests.iter().flat_map(|guest| guest.tracks.iter().copied()).collect();
    tracks.push(TrackId(77));
    let views = (0..world.random.random_range(0..8))
        .map(|_| View {
            track: tracks[world.random.random_range(0..tracks.len())],
            width: [0, 100, 320, 640, 1_280, u16::MAX][world.random.random_range(0..6)],
            visible: world.random.random_ratio(4, 5),
        })
        .collect();
    world.view(place, views);
}

fn change_mute(world: &mut World, place: usize) {
    let tracks = &world.guests[place].tracks;
    let track = tracks[world.random.random_range(0..tracks.len())];
    let muted = !world.muted.contains_key(&track);
    world.mute(track, muted);
}

fn change_encoder(world: &mut World, place: usize) {
    let guest = &mut world.guests[place];
    let encoder = &mut guest.encoder;
    let random = &mut world.random;
    match random.random_range(0..9) {
        0..3 if guest.client.ssrc(CAMERA, 2).is_some() => encoder.layers = random.random_range(1..=3),
        3 => encoder.set_camera(!encoder.camera),
        4 => encoder.set_screen(!encoder.screen),
        5 => encoder.microphone = !encoder.microphone,
        6 => encoder.obeys = !encoder.obeys,
        7 => {
            let line = if guest.has_screen && random.random() { SCREEN } else { CAMERA };
            guest.client.restart_streams(line);
            encoder.restart(line, random);
        }
        _ => encoder.level = random.random_range(10..128),
    }
}

fn change_line(world: &mut World, place: usize) {
    let random = &mut world.random;
    let mut line = Line::some(random);
    if random.random_ratio(1, 3) {
        line.down_until = Some(world.now + Duration::from_millis(random.random_range(100..24_000)));
    }
    let guest = &mut world.guests[place];
    if random.random() { guest.up = line } else { guest.down = line }
}

/// Nonsense without keys, from a stranger or under a guest's address.
fn forge(world: &mut World, place: usize) {
    for _ in 0..world.random.random_range(1..40) {
        let from = if world.random.random() {
            "203.0.113.9:999".parse().expect("an address")
        } else {
            world.guests[place].address
        };
        let len = world.random.random_range(0..200);
        let mut bytes: Vec<u8> = (0..len).map(|_| world.random.random()).collect();
        if let Some(first) = bytes.first_mut() {
            *first = [0, 1, 22, 20, 0x80, 0x81, 0x90, *first][world.random.random_range(0..8)];
        }
        if bytes.len() > 20 && bytes[0] < 2 {
            let body = u16::try_from(bytes.len() - 20).expect("short");
            bytes[2..4].copy_from_slice(&body.to_be_bytes());
            bytes[4..8].copy_from_slice(&0x2112_a442u32.to_be_bytes());
        }
        world.throw(from, &mut bytes);
    }
}

/// Nonsense under a guest's own keys.
fn misbehave(world: &mut World, place: usize) {
    let kind = world.random.random_range(0..6);
    let guest = &mut world.guests[place];
    let ssrcs: Vec<u32> = guest.client.slots().iter().map(|slot| slot.ssrc).collect();
    let ssrc = if ssrcs.is_empty() { 7 } else { ssrcs[world.random.random_range(0..ssrcs.len())] };
    let mut compound = Vec::new();
    match kind {
        // Requests for what was never sent, and key frames without end.
        0 => {
            compound.extend_from_slice(&[0x81, 205, 0, 66, 0, 0, 0, 1]);
            compound.extend_from_slice(&ssrc.to_be_bytes());
            compound.extend((0..64 * 4).map(|_| world.random.random::<u8>()));
        }
        1 => {
            for _ in 0..90 {
                compound.extend_from_slice(&[0x81, 206, 0, 2, 0, 0, 0, 1]);
                compound.extend_from_slice(&ssrc.to_be_bytes());
            }
        }
        // REMB of 0 (draft-alvestrand-rmcat-remb-03 §2.2).
        2 => {
            compound.extend_from_slice(&[0x8f, 206, 0, 5, 0, 0, 0, 1, 0, 0, 0, 0]);
            compound.extend_from_slice(b"REMB\x01\x00\x00\x00");
            compound.extend_from_slice(&ssrc.to_be_bytes());
        }
        // Transport feedback that makes no sense.
        3 => {
            let words = world.random.random_range(3..30u8);
            compound.extend_from_slice(&[0x8f, 205, 0, words]);
            compound.extend((0..usize::from(words) * 4).map(|_| world.random.random::<u8>()));
        }
        // Sender reports from another age.
        4 => {
            let ssrc = guest.client.ssrc(CAMERA, 0).unwrap_or(1);
            compound.extend_from_slice(&[0x80, 200, 0, 6]);
            compound.extend_from_slice(&ssrc.to_be_bytes());
            compound.extend((0..20).map(|_| world.random.random::<u8>()));
        }
        _ => {
            let words = world.random.random_range(1..20u8);
            compound.extend_from_slice(&[0x80 | world.random.random_range(0..32u8), 200 + words % 8, 0, words]);
            compound.extend((0..usize::from(words) * 4).map(|_| world.random.random::<u8>()));
        }
    }
    guest.client.send_rtcp(&compound);
    guest.drain(Tag::Other);
}

/// A fault is ordered: the guest's call ends, and no other.
fn break_call(world: &mut World, place: usize) {
    let step = world.random.random_range(0..6u8);
    order_fault(world, place, step);
    // Over a bad line it takes its time.
    for _ in 0..4 {
        world.run(Duration::from_millis(400));
        if world.ordered.is_none() {
            break;
        }
    }
    if world.ordered.take().is_some() {
        // The order was lost on its way, or that step is never taken. It must not strike later unheard.
        world.disarm();
    }
}

/// Has the guest order a panic in its call's next step of a kind.
pub fn order_fault(world: &mut World, place: usize, step: u8) {
    world.ordered = Some(place);
    let guest = &mut world.guests[place];
    guest.client.send_rtcp(&[0x80, 204, 0, 3, 0, 0, 0, 1, b'F', b'A', b'L', b'T', step, 0, 0, 0]);
    guest.drain(Tag::Other);
}

/// The faults cease: everybody comes back, and sees and hears what there is.
fn calm(world: &mut World) {
    world.heal();
    for place in 0..world.guests.len() {
        world.guests[place].encoder.obeys = true;
    }
    let waiting = Duration::from_secs(1);
    let end = world.now + CALM;
    while world.now < end {
        for place in 0..world.guests.len() {
            // A page that was told that it is lost, or that has hung up, offers anew.
            let guest = &world.guests[place];
            if !guest.silent && (guest.seat.is_none() || guest.client.is_closed()) && world.now + waiting * 15 < end {
                let offer = some_offer(world);
                world.rejoin(place, offer);
            }
        }
        world.run(waiting);
    }
    everybody_sees(world);
}

/// After the calm: each slot that carries a track has had a whole frame of it just now.
fn everybody_sees(world: &World) {
    let of_late = world.now - Duration::from_secs(3);
    for (place, guest) in world.guests.iter().enumerate().filter(|(place, _)| is_here(world, *place)) {
        if !guest.client.is_connected() {
            world.fail(&format!("guest {place} is not connected after the calm"));
        }
        for slot in guest.client.slots() {
            let Some(Some((id, track))) = guest.told_at(slot.ssrc, world.now).last() else { continue };
            let Some(publisher) = world.guests.iter().find(|guest| guest.id == id) else {
                world.fail(&format!("guest {place} is shown somebody unknown"));
            };
            let line = publisher.tracks.iter().position(|known| *known == track);
            let encoder = &publisher.encoder;
            let sends = match line {
                Some(0) => encoder.microphone && encoder.level < 90,
                Some(1) => encoder.camera,
                Some(2) => encoder.screen,
                _ => world.fail(&format!("guest {place} is shown a track of an earlier life")),
            };
            if !sends || world.muted.contains_key(&track) {
                continue;
            }
            let receiver = &guest.receivers[&slot.ssrc];
            let whole = receiver.last_whole.filter(|(at, _)| *at > of_late);
            if whole.is_none_or(|(_, content)| usize::from(content.stream.who) != usize::from(publisher.who)) {
                let last = receiver.last_whole.map(|(at, content)| (world.now - at, content));
                let media = receiver.last_media.map(|at| world.now - at);
                let sent = guest.laws[&slot.ssrc].last().map(|sent| (world.now - sent.at, sent.content));
                world.fail(&format!(
                    "guest {place} sees nothing of guest {} (line {line:?}) in its slot {}: whole {last:?}, media {media:?}, sent {sent:?}",
                    publisher.who, slot.mid
                ));
            }
        }
    }
}

fn everybody_leaves(world: &mut World) {
    for place in 0..world.guests.len() {
        world.leave(place);
    }
    world.run(Duration::from_millis(50));
    if let Some(held) = world.held() {
        world.fail(&format!("everybody has left, and this is left: {held:?}"));
    }
    if world.shards().any(|shard| shard.poll_timeout().is_some()) {
        world.fail("an empty shard does not sleep");
    }
    const { assert!(LEAST_LEN < 100) };
}
