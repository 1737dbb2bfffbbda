//! Who is heard in a large room, what silence costs, and how sound ends and resumes.

use std::collections::BTreeSet;
use std::time::Duration;

use parlor_media::client::{Frame, numbers};
use parlor_media::{Event, ParticipantId, RecordedEvent, red};

use crate::receiver::Got;
use crate::world::{CALL, CLEAN, World};
use crate::{Publisher, RIDS, one_to, secs};

/// Opus: a frame of 20 ms in SILK's wide band.
const HEAD: u8 = 0x48;
const PACKET_MS: u64 = 20;
const PACKET_TICKS: u32 = 960;

/// Somebody's microphone.
struct Voice {
    place: usize,
    /// −dBov; none: the client tells no level.
    level: Option<u8>,
    /// Bytes of a packet; 0: it sends nothing.
    bytes: usize,
    timestamp: u32,
}

impl Voice {
    fn new(place: usize) -> Voice {
        Voice { place, level: Some(90), bytes: 60, timestamp: 7_000 }
    }
}

/// So many with a microphone and so many audio slots each; nobody speaks.
fn room(world: &mut World, count: usize, audio_slots: usize) -> Vec<Voice> {
    (0..count).map(|_| Voice::new(world.join_hearing(audio_slots, CLEAN))).collect()
}

/// Everybody sends for so long.
fn talk(world: &mut World, voices: &mut [Voice], ms: u64) {
    for _ in 0..ms / PACKET_MS {
        for voice in &mut *voices {
            voice.timestamp = voice.timestamp.wrapping_add(PACKET_TICKS);
            if voice.bytes == 0 {
                continue;
            }
            let mut payload = vec![0; voice.bytes];
            payload[0] = HEAD;
            if let Some(who) = payload.get_mut(1) {
                *who = voice.place as u8;
            }
            let audio_level = voice.level.map(|level| (level, level < 60));
            let frame =
                Frame { timestamp: voice.timestamp, marker: false, audio_level, payload: &payload, ..Frame::default() };
            world.people[voice.place].client.send_rtp(0, 0, frame).expect("connected");
        }
        world.run(Duration::from_millis(PACKET_MS));
    }
}

/// Whose voices a person's slots carry now.
fn heard_by(world: &World, place: usize) -> BTreeSet<ParticipantId> {
    let slots = world.people[place].slots.values();
    slots.filter_map(|slot| slot.source.map(|(who, _)| who)).collect()
}

/// What a slot got, in order.
fn sound_of(world: &World, listener: usize, speaker: usize) -> Vec<&Got> {
    let receiver = world.people[listener].showing(world.people[speaker].tracks[0]).expect("a slot carries the voice");
    receiver.packets.values().collect()
}

fn changes_of_slots(world: &World) -> usize {
    world.told.iter().filter(|event| matches!(event, Event::Slots { .. })).count()
}

#[test]
fn a_room_of_fifty_hears_the_same_four_without_churn() {
    let mut world = World::new(901);
    let mut voices = room(&mut world, 50, 5);
    talk(&mut world, &mut voices, 1_000);
    // Four hold a conversation: turns of two seconds, with gaps between words, and everybody else's rooms hum.
    let talkers = [11, 22, 33, 44];
    let mut settled = 0;
    for turn in 0..16 {
        let level = |voices: &mut [Voice], level| voices[talkers[turn % 4]].level = Some(level);
        for word in 0..5 {
            level(&mut voices, 30 + word);
            talk(&mut world, &mut voices, 300);
            level(&mut voices, 90);
            talk(&mut world, &mut voices, 100);
        }
        if turn == 3 {
            settled = changes_of_slots(&world);
        }
    }
    let expected: BTreeSet<_> = talkers.iter().map(|place| world.people[*place].id).collect();
    for place in 0..50 {
        let mut others = expected.clone();
        others.remove(&world.people[place].id);
        assert_eq!(heard_by(&world, place), others, "{place} hears the four, and not itself");
    }
    assert_eq!(changes_of_slots(&world), settled, "once all four have spoken nothing changes any more");
    let told = world.told.iter().filter(|event| matches!(event, Event::Speakers { .. })).count();
    assert!((16..=4 * 34).contains(&told), "speakers are told with each turn, at most four times a second: {told}");
}

#[test]
fn a_newcomer_is_heard_within_300_ms_and_a_cough_is_not() {
    let mut world = World::new(902);
    let mut voices = room(&mut world, 8, 4);
    talk(&mut world, &mut voices, 1_000);
    let before = changes_of_slots(&world);
    voices[6].level = Some(12);
    talk(&mut world, &mut voices, 140);
    voices[6].level = Some(90);
    talk(&mut world, &mut voices, 1_000);
    assert_eq!(changes_of_slots(&world), before, "a cough moves nobody");

    let begun = world.now;
    voices[7].level = Some(30);
    talk(&mut world, &mut voices, 400);
    let first = sound_of(&world, 0, 7).first().expect("packets").at;
    assert!(first - begun <= Duration::from_millis(300), "heard after {:?}", first - begun);
}

#[test]
fn digital_silence_costs_nothing_and_ends_in_comfort_noise() {
    let mut world = World::new(903);
    let mut voices = room(&mut world, 3, 3);
    voices[0].level = Some(30);
    talk(&mut world, &mut voices, 1_000);
    let silent_since = voices[0].timestamp;
    for voice in &mut voices {
        voice.level = Some(127);
    }
    talk(&mut world, &mut voices, 400);
    let before = (world.shard.stats().packets_out, sound_of(&world, 1, 0).len());
    talk(&mut world, &mut voices, 10_000);
    assert_eq!(world.shard.stats().packets_out, before.0, "nothing is sent while there is nothing");
    let resumed_at = voices[0].timestamp + PACKET_TICKS;
    voices[0].level = Some(30);
    talk(&mut world, &mut voices, 200);

    let got = sound_of(&world, 1, 0);
    let (silent, resumed) = (got[before.1 - 1], got[before.1]);
    assert_eq!(silent.sound, [HEAD], "a pause is the last thing sent");
    assert!(resumed.marker, "a talkspurt begins with the marker");
    // The pause came with the tenth silent packet.
    let ticks = resumed_at - (silent_since + 10 * PACKET_TICKS);
    assert_eq!(resumed.timestamp.wrapping_sub(silent.timestamp), ticks, "timestamps know how long the silence was");
    let receiver = world.people[1].showing(world.people[0].tracks[0]).expect("heard");
    let numbers: Vec<u64> = receiver.packets.keys().copied().collect();
    assert!(numbers.windows(2).all(|pair| pair[1] == pair[0] + 1), "no number is missing");
}

#[test]
fn an_encoders_own_pauses_pass_as_they_are() {
    let mut world = World::new(904);
    let mut voices = room(&mut world, 2, 2);
    voices[0].level = Some(30);
    talk(&mut world, &mut voices, 400);
    world.run(Duration::from_millis(100));
    let before = sound_of(&world, 1, 0).len();
    // DTX: one byte each 400 ms, and nothing in between.
    for _ in 0..10 {
        (voices[0].bytes, voices[0].level) = (1, Some(80));
        talk(&mut world, &mut voices, 20);
        voices[0].bytes = 0;
        talk(&mut world, &mut voices, 380);
    }
    let got = sound_of(&world, 1, 0);
    let pauses = &got[before..];
    assert_eq!(pauses.len(), 10, "each comfort noise packet came");
    assert!(pauses.windows(2).all(|pair| pair[1].timestamp.wrapping_sub(pair[0].timestamp) == 20 * PACKET_TICKS));
}

#[test]
fn a_slot_that_falls_silent_says_so() {
    for (what, seed) in [("mute", 905), ("leave", 906), ("unplug", 911)] {
        let mut world = World::new(seed);
        let mut voices = room(&mut world, 2, 2);
        voices[0].level = Some(30);
        talk(&mut world, &mut voices, 400);
        let voice = world.people[0].tracks[0];
        let ssrc = world.people[1].showing(voice).expect("heard").ssrc;
        match what {
            "mute" => world.shard.mute(voice, true),
            "leave" => world.leave(0),
            _ => {}
        }
        world.run(secs(1));
        let last = world.people[1].receivers[&ssrc].packets.values().next_back().expect("packets");
        assert_eq!(last.sound, [HEAD], "{what}: a pause is the last thing sent");
        if what == "unplug" {
            talk(&mut world, &mut voices, 400);
            let got = sound_of(&world, 1, 0);
            let (pause, resumed) = got
                .windows(2)
                .rev()
                .find_map(|pair| (pair[0].sound == [HEAD]).then(|| (pair[0], pair[1])))
                .expect("it goes on");
            let elapsed = resumed.timestamp.wrapping_sub(pause.timestamp) / 48;
            assert!((900..1_100).contains(&elapsed), "timestamps know how long nothing came: {elapsed} ms");
        }
    }
}

#[test]
fn who_is_muted_holds_no_place() {
    let mut world = World::new(907);
    let mut voices = room(&mut world, 7, 6);
    for voice in &mut voices[..5] {
        voice.level = Some(30);
    }
    talk(&mut world, &mut voices, 1_000);
    let voices_of = |world: &World| heard_by(world, 6);
    assert_eq!(voices_of(&world).len(), 4);
    assert!(!voices_of(&world).contains(&world.people[4].id), "the fifth found no place");
    world.shard.mute(world.people[2].tracks[0], true);
    talk(&mut world, &mut voices, 100);
    assert!(voices_of(&world).contains(&world.people[4].id), "now it has one");
    assert!(!voices_of(&world).contains(&world.people[2].id));
}

#[test]
fn a_microphone_without_levels_is_heard_all_the_same() {
    let mut world = World::new(908);
    let mut voices = room(&mut world, 7, 4);
    for voice in &mut voices {
        (voice.level, voice.bytes) = (None, 6);
    }
    talk(&mut world, &mut voices, 1_000);
    voices[6].bytes = 80;
    talk(&mut world, &mut voices, 400);
    assert!(heard_by(&world, 0).contains(&world.people[6].id));
}

#[test]
fn the_sound_of_a_screen_goes_to_who_sees_the_screen() {
    let mut world = World::new(909);
    let mut voices = room(&mut world, 6, 2);
    let sharer = world.join_sharing(CLEAN);
    let [screen, sound] = [1, 0].map(|at| world.people[sharer].tracks[at]);
    for voice in &mut voices {
        voice.level = Some(30);
    }
    world.publish(sharer, Publisher::new(9, 1, world.now));
    world.view(0, &[(screen, 1280)]);
    world.view(1, &[]);
    talk(&mut world, &mut voices, 1_000);
    assert!(
        world.people[0].showing(sound).is_some(),
        "who sees the screen hears it, even with two slots for four voices"
    );
    assert_eq!(heard_by(&world, 0).len(), 2, "one voice is left");
    assert!(world.people[1].showing(sound).is_none(), "who does not see it does not hear it");
    let sharer = world.people[sharer].id;
    let speakers = world.told.iter().filter_map(|event| match event {
        Event::Speakers { speakers, .. } => Some(speakers),
        _ => None,
    });
    assert!(speakers.flatten().all(|(who, _)| *who != sharer), "it is no speaker");
    world.view(0, &[]);
    world.run(secs(1));
    assert!(world.people[0].showing(sound).is_none(), "it goes with the screen");
}

/// A frame of 40 bytes behind the one before it, as Chromium sends it.
fn redundant(turn: u8) -> Vec<u8> {
    let header = [0x80 | numbers::OPUS, (PACKET_TICKS >> 6) as u8, (PACKET_TICKS << 2) as u8, 30, numbers::OPUS];
    let (older, newest) = ([HEAD, turn - 1].repeat(15), [HEAD, turn].repeat(20));
    [&header[..], &older, &newest].concat()
}

#[test]
fn redundant_audio_goes_to_who_takes_it_and_the_newest_frame_to_everybody() {
    let mut world = World::new(912);
    let speaker = world.join_redundant(true, true, CLEAN);
    let takes = world.join_redundant(false, true, CLEAN);
    let takes_not = world.join_redundant(false, false, CLEAN);
    world.shard.record(CALL, true);
    let mut timestamp = 5_000;
    for turn in 1..=50 {
        timestamp += PACKET_TICKS;
        let payload = redundant(turn);
        let frame =
            Frame { timestamp, marker: false, audio_level: Some((30, true)), payload: &payload, ..Frame::default() };
        world.people[speaker].client.send_rtp(0, 0, frame).expect("connected");
        world.run(Duration::from_millis(PACKET_MS));
    }
    world.run(Duration::from_millis(100));
    let newest = |got: &Got| got.sound[got.sound.len() - 40..].to_vec();
    for (listener, payload_type, len) in [(takes, numbers::RED, 75), (takes_not, numbers::OPUS, 40)] {
        let got = sound_of(&world, listener, speaker);
        assert!(got.len() > 40);
        for got in &got {
            assert_eq!((got.payload_type, got.sound.len()), (payload_type, len));
            let at = if payload_type == numbers::RED { red::primary_at(&got.sound, numbers::OPUS) } else { Some(0) };
            assert_eq!(at, Some(len - 40), "what is forwarded can be read");
        }
        assert!(got.windows(2).all(|pair| newest(pair[1])[1] == newest(pair[0])[1] + 1), "frame after frame");
    }
    let frames = world.recorded.iter().filter_map(|event| match event {
        RecordedEvent::Packet(packet) => Some(&world.recorded_bytes[packet.payload.clone()]),
        _ => None,
    });
    let frames: Vec<&[u8]> = frames.collect();
    assert_eq!(frames.len(), 50);
    assert!(frames.iter().all(|frame| frame.len() == 40 && frame[0] == HEAD), "a file gets plain Opus");
}

#[test]
fn redundant_audio_that_lies_is_dropped() {
    let mut world = World::new(913);
    let speaker = world.join_redundant(true, true, CLEAN);
    let listener = world.join_redundant(false, true, CLEAN);
    let long = [0x80 | numbers::OPUS, 0, 3, 0xff, numbers::OPUS, 1, 2];
    let other = [0x80 | 9, 0, 0, 1, 9, 1, 2];
    for payload in [&redundant(1)[..], &redundant(2), &long, &other, &[0xff; 60], &[numbers::OPUS], &redundant(3)] {
        let frame =
            Frame { timestamp: 9_000, marker: false, audio_level: Some((30, true)), payload, ..Frame::default() };
        world.people[speaker].client.send_rtp(0, 0, frame).expect("connected");
        world.run(Duration::from_millis(PACKET_MS));
    }
    world.run(Duration::from_millis(100));
    // The very first packet only shows that there is a voice.
    assert_eq!(sound_of(&world, listener, speaker).len(), 2);
    assert_eq!(world.shard.stats().drops[parlor_media::drop::Drop::Payload as usize], 4);
}

#[test]
fn faces_and_voices_share_a_number() {
    let mut world = World::new(910);
    let (from, to) = one_to(&mut world, RIDS.len(), 1, CLEAN);
    world.run(secs(1));
    let me = &world.people[to[0]];
    let number_of = |track| {
        let slot =
            me.slots.values().find(|slot| slot.source.is_some_and(|(_, shown)| shown == track)).expect("carried");
        let mut slots =
            me.client.slots().iter().filter(|known| {
                (known.kind == parlor_media::sdp::Kind::Audio) == (slot.kind == parlor_media::Kind::Audio)
            });
        slots.position(|known| known.mid == slot.mid)
    };
    let [voice, face] = world.people[from].tracks;
    assert_eq!(number_of(face), number_of(voice));
}
