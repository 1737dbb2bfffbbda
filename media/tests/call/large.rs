//! A room of fifty: everybody sends, sees a page of tiles and hears who speaks.

use std::collections::BTreeSet;
use std::time::Duration;

use parlor_media::client::{Line, Plan};
use parlor_media::{Kind, Source, TrackId};

use crate::publisher::Publisher;
use crate::world::{CALL, CLEAN, World};
use crate::{RIDS, secs};

const PEOPLE: usize = 50;
const TILES: usize = 25;
const VOICES: usize = 4;
/// Who speaks. The first byte of a voice is its sender's number, which Opus reads as one frame of 20 ms or so.
const SPEAKERS: [usize; VOICES] = [11, 15, 19, 23];

fn join(world: &mut World, sources: [Source; 2]) -> usize {
    let camera = if sources[1] == Source::Screen { Line::video() } else { Line::simulcast(&RIDS) };
    let lines = vec![Line::Audio, camera];
    let plan = Plan { lines, audio_slots: VOICES, video_slots: TILES, history: 512, ..Plan::default() };
    world.join_planned(CALL, plan, sources, CLEAN)
}

/// The tracks of a kind that somebody's slots carry now.
fn shown(world: &World, place: usize, kind: Kind) -> BTreeSet<TrackId> {
    let slots = world.people[place].slots.values().filter(|slot| slot.kind == kind);
    slots.filter_map(|slot| slot.source.map(|(_, track)| track)).collect()
}

#[test]
fn fifty_see_pages_of_tiles_and_hear_the_same_voices() {
    let mut world = World::estimating(301);
    let sources = |place| [Source::Microphone, if place == 0 { Source::Screen } else { Source::Camera }];
    let everybody: Vec<usize> = (0..PEOPLE).map(|place| join(&mut world, sources(place))).collect();
    for place in &everybody {
        let layers = if *place == 0 { 1 } else { 3 };
        let mut publisher = Publisher::new(*place as u8 + 1, layers, world.now);
        // Four speak, the others are in the room.
        publisher.audio_level = if SPEAKERS.contains(place) { 30 + *place as u8 } else { 90 };
        // Small pictures: a page of tiles asks for no others.
        publisher.layers = 1;
        world.publish(*place, publisher);
    }
    let faces: Vec<TrackId> = world.people.iter().map(|person| person.tracks[1]).collect();
    let page = |place: usize, from: usize| -> Vec<(TrackId, u16)> {
        let others = (from..from + PEOPLE).map(|at| at % PEOPLE).filter(|at| *at != place && *at != 0);
        let screen = (place != 0).then_some((faces[0], 1280));
        screen.into_iter().chain(others.map(|at| (faces[at], 240))).take(TILES).collect()
    };
    for place in &everybody {
        world.view(*place, &page(*place, *place + 1));
    }
    world.run(secs(2));
    let voices: BTreeSet<TrackId> = SPEAKERS.iter().map(|place| world.people[*place].tracks[0]).collect();
    for place in &everybody {
        let wanted: BTreeSet<TrackId> = page(*place, *place + 1).into_iter().map(|(track, _)| track).collect();
        assert_eq!(shown(&world, *place, Kind::Video), wanted, "{place} sees its page");
        let heard = voices.iter().copied().filter(|voice| *voice != world.people[*place].tracks[0]).collect();
        assert_eq!(shown(&world, *place, Kind::Audio), heard, "{place} hears who speaks, and not itself");
    }
    // Leafing to another page shows it within a moment, for one key frame each.
    let asked = world.shard.stats().plis_out;
    let (reader, next) = (everybody[5], page(5, 31));
    world.view(reader, &next);
    let first = |world: &World, track: TrackId| world.people[reader].showing(track).is_some();
    world.run_until("the next page", secs(2), |world| next.iter().all(|(track, _)| first(world, *track)));
    world.run(secs(1));
    let asked = world.shard.stats().plis_out - asked;
    assert!(asked <= 2 * TILES as u64, "{asked} key frames were asked for");
    // Whoever comes now sees the first pictures at the next key frames, and disturbs nobody.
    world.leave(everybody[49]);
    let late = join(&mut world, [Source::Microphone, Source::Camera]);
    let came = world.now;
    world.view(late, &page(late, 1));
    world.run_until("the first picture", secs(2), |world| world.people[late].video().next().is_some());
    assert!(world.now - came < Duration::from_millis(700), "it took {:?}", world.now - came);
    world.run(secs(1));
    assert_eq!(shown(&world, late, Kind::Video).len(), TILES);
    for place in &everybody[..49] {
        world.people[*place].video().for_each(|video| video.assert_continuous());
    }
    assert_eq!(world.shard.stats().overruns, 0, "no line was overrun");
}
