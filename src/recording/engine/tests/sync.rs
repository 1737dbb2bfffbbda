//! Lips and voices: what was captured together is written together, whatever clocks and networks do.

use super::*;

const LOSSY: Network =
    Network { delay_us: 30_000, jitter_us: 30_000, lost: 3, recovered: 100, recovery_us: 600_000, twice: 1 };

/// A camera and a microphone of one person, with clocks that have nothing in common.
fn person(seed: u64) -> (Line, Line) {
    let (who, dice) = (ParticipantId::new(), &mut Dice::new(seed));
    let mut camera = Line::new(who, TrackSource::Camera);
    let mut microphone = Line::new(who, TrackSource::Microphone);
    for line in [&mut camera, &mut microphone] {
        line.clock_off_us = 7_654_321_000;
        line.first_timestamp = dice.next() as u32;
        line.first_index = dice.below(1_000_000);
    }
    (camera, microphone)
}

/// The greatest difference between when something was captured and when it is shown, over pictures and sounds from a moment on.
fn spread_ms(files: &Files, pictures: &[Original], sounds: &[Original], from_us: i64) -> i64 {
    let blocks = files.blocks();
    let (seen, heard) = (of(VIDEO, &blocks), of(AUDIO, &blocks));
    let mut late = Vec::new();
    for (originals, blocks) in [(pictures, &seen), (sounds, &heard)] {
        let times: HashMap<_, _> = blocks.iter().map(|block| (&block.frame, block.time_ms)).collect();
        let counted = originals.iter().filter(|original| original.captured_us >= from_us);
        let found = counted.filter_map(|original| Some(times.get(&original.bytes)? - original.captured_us / 1_000));
        let before = late.len();
        late.extend(found);
        assert!(late.len() - before > 20, "only {} were written", late.len() - before);
    }
    late.iter().max().unwrap() - late.iter().min().unwrap()
}

#[test]
fn a_flash_and_a_beep_stay_together_under_loss() {
    for seed in 0..8 {
        let (camera, microphone) = person(seed);
        let dice = &mut Dice::new(seed);
        let (mut sent, pictures) = pictures(&camera, (500_000, 33_333), 400, 60, LOSSY, dice);
        let (more, sounds) = sounds(&microphone, 500_000, 700, LOSSY, dice);
        sent.extend(more);
        let files = record(sent);
        let apart_ms = spread_ms(&files, &pictures, &sounds, 0);
        assert!(apart_ms <= 5, "seed {seed}: {apart_ms} ms apart");
        let blocks = files.blocks();
        assert_eq!(of(VIDEO, &blocks).len(), pictures.len(), "recovered late, written all the same");
        // One that was overtaken by the first one that came is not waited for.
        assert!(of(AUDIO, &blocks).len() >= sounds.len() - 2);
        assert_gap_free(&of(AUDIO, &blocks), 0);
    }
}

#[test]
fn trembling_reports_do_not_shake_the_sound() {
    for seed in 0..4 {
        let (mut camera, mut microphone) = person(seed);
        (camera.tremble_us, microphone.tremble_us, microphone.report_every_us) = (2_000, 8_000, 5_000_000);
        let dice = &mut Dice::new(seed);
        let (mut sent, pictures) = pictures(&camera, (0, 33_333), 1_800, 60, LOSSY, dice);
        let (more, sounds) = sounds(&microphone, 0, 3_000, LOSSY, dice);
        sent.extend(more);
        let files = record(sent);
        let apart_ms = spread_ms(&files, &pictures, &sounds, 0);
        assert!(apart_ms <= 20, "seed {seed}: {apart_ms} ms apart");
        assert_gap_free(&of(AUDIO, &files.blocks()), 12);
    }
}

#[test]
fn an_hour_of_drift_is_followed() {
    let (mut camera, mut microphone) = person(1);
    (camera.drift_ppm, microphone.drift_ppm) = (-80, 120);
    let dice = &mut Dice::new(1);
    let network = Network { jitter_us: 10_000, ..CALM };
    let (mut sent, pictures) = pictures(&camera, (0, 1_000_000), 3_600, 30, network, dice);
    let (more, sounds) = sounds(&microphone, 0, 180_000, network, dice);
    sent.extend(more);
    let files = record(sent);
    let apart_ms = spread_ms(&files, &pictures, &sounds, 0);
    assert!(apart_ms <= 20, "{apart_ms} ms apart in an hour");
    let blocks = files.blocks();
    // 120 ppm of an hour are 432 ms: corrected by one at a time.
    assert_gap_free(&of(AUDIO, &blocks), 460);
    assert_eq!(of(AUDIO, &blocks).len(), 180_000);
}

#[test]
fn a_report_that_comes_late_is_glided_to() {
    let (mut camera, mut microphone) = person(3);
    (camera.reports_from_us, microphone.reports_from_us) = (Some(700_000), Some(2_600_000));
    let dice = &mut Dice::new(3);
    // The camera's way is longer than the microphone's: arrival alone would put them apart.
    let slow = Network { delay_us: 90_000, ..CALM };
    let (mut sent, pictures) = pictures(&camera, (0, 33_333), 600, 60, slow, dice);
    let (more, sounds) = sounds(&microphone, 0, 1_000, CALM, dice);
    sent.extend(more);
    let files = record(sent);
    assert!(spread_ms(&files, &pictures, &sounds, 0) <= 110);
    let apart_ms = spread_ms(&files, &pictures, &sounds, 15_000_000);
    assert!(apart_ms <= 20, "{apart_ms} ms apart after a while");
    assert_gap_free(&of(AUDIO, &files.blocks()), 120);
}

#[test]
fn without_reports_arrival_counts() {
    let (mut camera, mut microphone) = person(4);
    (camera.reports_from_us, microphone.reports_from_us) = (None, None);
    microphone.drift_ppm = 100;
    let dice = &mut Dice::new(4);
    let (mut sent, pictures) = pictures(&camera, (0, 100_000), 3_000, 60, CALM, dice);
    let (more, sounds) = sounds(&microphone, 0, 15_000, CALM, dice);
    sent.extend(more);
    let files = record(sent);
    let apart_ms = spread_ms(&files, &pictures, &sounds, 0);
    assert!(apart_ms <= 40, "{apart_ms} ms apart");
    assert_gap_free(&of(AUDIO, &files.blocks()), 60);
}

#[test]
fn another_stream_goes_on_in_step() {
    let (camera, microphone) = person(5);
    let dice = &mut Dice::new(5);
    let (mut sent, mut originals) = pictures(&camera, (0, 33_333), 150, 60, LOSSY, dice);
    // A higher layer, with indexes and timestamps of its own, begins while the lower one still runs and has holes.
    let mut higher = Line { stream: 9, first_timestamp: 77, first_index: 3, ..camera };
    let (more, others) = pictures(&higher, (4_900_000, 33_333), 150, 60, CALM, dice);
    sent.extend(more);
    originals.extend(others);
    // And an encoder that begins anew before its first report.
    (higher.stream, higher.first_timestamp, higher.reports_from_us) = (10, 4_000_000_000, Some(10_500_000));
    let (more, last) = pictures(&higher, (10_000_000, 33_333), 150, 60, CALM, dice);
    sent.extend(more);
    let (more, sounds) = sounds(&microphone, 0, 750, LOSSY, dice);
    sent.extend(more);
    sent.retain(|sent| {
        sent.packet.stream != camera.stream
            || sent.packet.arrived_us < ZERO_US + 4_900_000
            || sent.packet.source == TrackSource::Microphone
    });
    let files = record(sent);
    let apart_ms = spread_ms(&files, &originals, &sounds, 0);
    assert!(apart_ms <= 20, "{apart_ms} ms apart");
    // The last stream was dated by arrival at first: no further off than a packet's way.
    assert!(spread_ms(&files, &last, &sounds, 0) <= 60);
    let seen = of(VIDEO, &files.blocks());
    assert!(seen.windows(2).all(|pair| pair[1].time_ms > pair[0].time_ms));
    let streams = |stream: u8| seen.iter().filter(|block| block.frame[14] == stream).count();
    assert!(
        streams(1) > 130 && streams(9) == 150 && streams(10) == 150,
        "{} {} {}",
        streams(1),
        streams(9),
        streams(10)
    );
}

#[test]
fn a_clock_that_is_set_costs_no_sync() {
    let (camera, microphone) = person(6);
    let dice = &mut Dice::new(6);
    let (mut sent, pictures) = pictures(&camera, (0, 33_333), 600, 60, CALM, dice);
    let (more, sounds) = sounds(&microphone, 0, 1_000, CALM, dice);
    sent.extend(more);
    // The publisher's clock is set back by an hour; the camera's reports say so two seconds before the microphone's.
    for sent in &mut sent {
        let set_us = if sent.packet.source == TrackSource::Camera { 8_000_000 } else { 10_000_000 };
        if sent.packet.arrived_us >= ZERO_US + set_us {
            sent.packet.captured_us = sent.packet.captured_us.map(|us| us - 3_600_000_000);
        }
    }
    let files = record(sent);
    let apart_ms = spread_ms(&files, &pictures, &sounds, 0);
    assert!(apart_ms <= 60, "{apart_ms} ms apart");
    assert_gap_free(&of(AUDIO, &files.blocks()), 30);
}

#[test]
fn a_busy_publishers_sound_keeps_up() {
    // The machine is busy: for a third of a second it captures no sound, and its timestamps stand still.
    let (camera, microphone) = person(9);
    let dice = &mut Dice::new(9);
    let (mut sent, pictures) = pictures(&camera, (0, 33_333), 450, 60, CALM, dice);
    let (before, mut sounds_sent) = sounds(&microphone, 0, 350, CALM, dice);
    sent.extend(before);
    let stalled = Line { first_timestamp: microphone.first_timestamp.wrapping_sub(330 * 48), ..microphone };
    let (after, more) = sounds(&stalled, 7_330_000, 350, CALM, dice);
    let renumbered = |mut sent: Sent| {
        sent.packet.index += 350;
        // Until the next report the media side knows no better.
        if sent.packet.arrived_us < ZERO_US + 8_000_000 {
            sent.packet.captured_us = sent.packet.captured_us.map(|us| us - 330_000);
        }
        sent.payload[1] = 1;
        sent
    };
    sent.extend(after.into_iter().map(renumbered));
    let files = record(sent);
    let mut more = more;
    more.iter_mut().for_each(|sound| sound.bytes[1] = 1);
    sounds_sent.retain(|sound| sound.captured_us < 7_000_000);
    assert!(spread_ms(&files, &pictures, &sounds_sent, 0) <= 20);
    let apart_ms = spread_ms(&files, &pictures, &more, 8_100_000);
    assert!(apart_ms <= 20, "{apart_ms} ms apart after the gap");
}

#[test]
fn silence_keeps_its_length() {
    // Discontinuous transmission: half a second of sound, a second and a half of silence.
    let (_, microphone) = person(7);
    let dice = &mut Dice::new(7);
    let (sent, sounds) = sounds(&microphone, 0, 1_000, CALM, dice);
    let speaks = |index: u64| (index - microphone.first_index) % 100 < 25;
    let files = record(
        sent.into_iter()
            .filter(|sent| speaks(sent.packet.index))
            .map(|mut sent| {
                // Its sequence numbers have no holes.
                let at = sent.packet.index - microphone.first_index;
                sent.packet.index = microphone.first_index + at / 100 * 25 + at % 100;
                sent
            })
            .collect(),
    );
    let heard = of(AUDIO, &files.blocks());
    assert_eq!(heard.len(), 250);
    let late: Vec<_> = heard
        .iter()
        .map(|block| {
            let sound = sounds.iter().find(|sound| sound.bytes == block.frame).unwrap();
            block.time_ms - sound.captured_us / 1_000
        })
        .collect();
    assert!(late.iter().max().unwrap() - late.iter().min().unwrap() <= 2, "{late:?}");
}

#[test]
fn different_people_share_the_recordings_clock() {
    let dice = &mut Dice::new(8);
    let mut sent = Vec::new();
    let mut all = Vec::new();
    for (person, clock_off_us) in [-50_000_000_000, 0, 123_456_789].into_iter().enumerate() {
        let mut line = Line::new(ParticipantId::new(), TrackSource::Microphone);
        line.clock_off_us = clock_off_us;
        let from_us = 1_000_000 + person as i64 * 700_000;
        let (more, sounds) = sounds(&line, from_us, 300, CALM, dice);
        sent.extend(more);
        all.push((line.participant, sounds));
    }
    let files = record(sent);
    assert_eq!(files.order.len(), 3);
    for at in 0..3 {
        let head = files.head(at);
        let (_, sounds) = all.iter().find(|(who, _)| *who == head.label.participant).unwrap();
        let starts_at_ms = head.label.starts_at_ms;
        // The way of a packet is all that the recording cannot know.
        assert!((0..=25).contains(&(starts_at_ms - sounds[0].captured_us / 1_000)), "starts at {starts_at_ms} ms");
        assert!((head.began_us - ZERO_US - starts_at_ms * 1_000).abs() <= 500);
    }
}
