//! What is said of people's lines: how good they are, why, and that it is said calmly.

use std::time::Duration;

use parlor_media::Event;
use parlor_media::quality::{Direction, Level, Reason, Report};

use crate::publisher::Publisher;
use crate::world::{CLEAN, Link, World};
use crate::{RIDS, one_to, secs};

/// Lets so much time pass while everybody reports each second what came, as browsers do.
fn run(world: &mut World, time: Duration) {
    let end = world.now + time;
    while world.now < end {
        world.run(secs(1));
        for person in &mut world.people {
            let (last_report, delay) = person.dated.map_or((0, 0), |(last_report, at)| {
                (last_report, ((world.now - at).as_micros() * 65_536 / 1_000_000) as u32)
            });
            let mut compound = vec![0x80, 201, 0, 0, 0, 0, 0, 1];
            for receiver in person.receivers.values_mut() {
                let Some(fraction_lost) = receiver.fraction_lost() else { continue };
                compound[0] += 1;
                compound.extend_from_slice(&receiver.ssrc.to_be_bytes());
                compound.extend_from_slice(&[fraction_lost, 0, 0, 0]);
                for word in [0, 0, last_report, delay] {
                    compound.extend_from_slice(&u32::to_be_bytes(word));
                }
            }
            compound[3] = (compound.len() / 4 - 1) as u8;
            person.client.send_rtcp(&compound);
        }
    }
}

fn run_until(world: &mut World, what: &str, most: Duration, holds: impl Fn(&World) -> bool) {
    let end = world.now + most;
    while !holds(world) {
        assert!(world.now < end, "waited {most:?} for {what}");
        run(world, secs(1));
    }
}

/// All that was said of somebody's line, the latest last.
fn reports(world: &World, place: usize) -> Vec<Report> {
    let id = world.people[place].id;
    let told = world.told.iter().filter_map(|event| match event {
        Event::Quality { participant, report, .. } if *participant == id => Some(*report),
        _ => None,
    });
    told.collect()
}

fn said(world: &World, place: usize) -> Option<(Level, Option<(Reason, Direction)>)> {
    reports(world, place).last().map(|report| (report.level, report.cause))
}

/// The levels that somebody had, one after the other.
fn levels(world: &World, place: usize) -> Vec<Level> {
    let mut levels: Vec<Level> = reports(world, place).iter().map(|report| report.level).collect();
    levels.dedup();
    levels
}

const FINE: Option<(Level, Option<(Reason, Direction)>)> = Some((Level::Excellent, None));

#[test]
fn nothing_is_wrong_with_good_lines() {
    let mut world = World::new(301);
    let (from, to) = one_to(&mut world, 3, 2, CLEAN);
    run(&mut world, secs(60));
    for place in [from, to[0], to[1]] {
        assert_eq!(levels(&world, place), [Level::Excellent]);
        let regular = reports(&world, place).iter().filter(|report| report.regular).count();
        assert!((5..=6).contains(&regular), "one every ten seconds: {regular}");
    }
    let report = reports(&world, to[0]).pop().expect("told");
    assert!(report.rtt_ms.is_some_and(|rtt_ms| (35..=60).contains(&rtt_ms)), "{report:?}");
    assert_eq!((report.down.loss_pm, report.down.freezes, report.up.loss_pm), (Some(0), 0, None), "{report:?}");
    let report = reports(&world, from).pop().expect("told");
    assert_eq!((report.up.loss_pm, report.rtt_ms), (Some(0), None), "nothing is sent to them: {report:?}");
}

#[test]
fn what_is_lost_on_the_way_up_is_the_publishers_alone() {
    for seed in [302, 303] {
        let mut world = World::new(seed);
        let (from, to) = one_to(&mut world, 3, 2, CLEAN);
        run(&mut world, secs(10));
        world.people[from].loses[0] = 200;
        run(&mut world, secs(10));
        assert_eq!(said(&world, from), Some((Level::Poor, Some((Reason::Loss, Direction::Up)))));
        let loss_pm = reports(&world, from).last().and_then(|report| report.up.loss_pm).expect("it sends");
        assert!((130..270).contains(&loss_pm), "{loss_pm} of a thousand");
        run(&mut world, secs(30));
        for place in &to {
            assert_eq!(levels(&world, *place), [Level::Excellent], "seed {seed}: who only gets what is left of it");
        }
        world.people[from].loses[0] = 0;
        run_until(&mut world, "a good line", secs(20), |world| said(world, from) == FINE);
    }
}

#[test]
fn what_is_lost_on_the_way_down_is_the_receivers_alone() {
    let mut world = World::new(304);
    let (from, to) = one_to(&mut world, 3, 2, CLEAN);
    run(&mut world, secs(10));
    world.people[to[0]].loses[1] = 200;
    run(&mut world, secs(15));
    assert_eq!(said(&world, to[0]), Some((Level::Poor, Some((Reason::Loss, Direction::Down)))));
    let loss_pm = reports(&world, to[0]).last().and_then(|report| report.down.loss_pm).expect("it gets something");
    assert!((130..270).contains(&loss_pm), "{loss_pm} of a thousand");
    assert_eq!([from, to[1]].map(|place| levels(&world, place)), [[Level::Excellent], [Level::Excellent]]);
    world.people[to[0]].loses[1] = 0;
    run_until(&mut world, "a good line", secs(20), |world| said(world, to[0]) == FINE);
}

#[test]
fn a_long_way_is_told_as_one() {
    let mut world = World::new(305);
    let (_, to) = one_to(&mut world, 1, 2, CLEAN);
    world.people[to[0]].link.delay = Duration::from_millis(250);
    run(&mut world, secs(20));
    assert_eq!(said(&world, to[0]), Some((Level::Good, Some((Reason::Rtt, Direction::Down)))));
    assert_eq!(said(&world, to[1]), FINE);
    let rtt_ms = reports(&world, to[0]).last().and_then(|report| report.rtt_ms).expect("measured");
    assert!((480..=540).contains(&rtt_ms), "{rtt_ms} ms");
}

#[test]
fn a_narrow_line_is_told_as_one() {
    let mut world = World::estimating(306);
    let (from, to) = (world.join(&RIDS, 4, CLEAN), world.join(&[], 4, CLEAN));
    world.publish(from, Publisher::new(1, 3, world.now));
    let face = world.people[from].tracks[1];
    world.view(to, &[(face, 1280)]);
    run(&mut world, secs(15));
    assert_eq!(said(&world, to), FINE);
    world.people[to].capacity_bps = Some(200_000);
    let narrow = |world: &World| {
        said(world, to)
            .is_some_and(|(level, cause)| level <= Level::Good && cause == Some((Reason::Bandwidth, Direction::Down)))
    };
    run_until(&mut world, "a narrow line", secs(40), narrow);
    assert_eq!(said(&world, from), FINE);
    let share_pct = reports(&world, to).last().and_then(|report| report.share_pct).expect("estimated");
    assert!(share_pct < 50, "it bears {share_pct} % of what the tile asks for");
    world.people[to].capacity_bps = None;
    run_until(&mut world, "a wide line", secs(40), |world| said(world, to) == FINE);
}

#[test]
fn who_is_not_heard_is_lost_and_comes_back() {
    let mut world = World::new(307);
    let (from, to) = one_to(&mut world, 1, 1, CLEAN);
    run(&mut world, secs(10));
    // The cable is pulled.
    world.people[from].link.delay = secs(100_000);
    run(&mut world, secs(11));
    assert_eq!(said(&world, from), Some((Level::Lost, Some((Reason::Silent, Direction::Up)))));
    world.people[from].link = CLEAN;
    run_until(&mut world, "them", secs(20), |world| said(world, from) == FINE);
    let [excellent, poor, lost] = [Level::Excellent, Level::Poor, Level::Lost];
    assert_eq!(levels(&world, from), [excellent, poor, lost, poor, excellent]);
    assert_eq!(
        levels(&world, to[0]),
        [Level::Excellent],
        "whose picture stands still for want of packets loses nothing"
    );
}

#[test]
fn one_percent_of_loss_changes_nothing_in_a_minute() {
    for seed in 308..311 {
        let mut world = World::new(seed);
        let link = Link { loss_pm: 10, delay: Duration::from_millis(40), jitter: Duration::from_millis(10) };
        let (from, to) = one_to(&mut world, 3, 2, link);
        run(&mut world, secs(65));
        for place in [from, to[0], to[1]] {
            assert_eq!(levels(&world, place), [Level::Excellent], "seed {seed}");
        }
    }
}
