//! Whatever the network does: what is written is whole, in order, and can be decoded.

use proptest::prelude::*;

use super::*;

/// Every written picture is one that was sent, in order, and after one that is missing comes a key frame.
fn assert_decodable(written: &[Block], sent: &[Original]) {
    let mut last = None::<usize>;
    for block in written {
        let at = sent
            .iter()
            .position(|original| original.bytes == block.frame)
            .expect("a frame that was never sent like this");
        assert_eq!(sent[at].key, block.key);
        let follows = last.is_some_and(|last| at == last + 1);
        assert!(block.key || follows, "picture {at} follows {last:?}");
        assert!(last.is_none_or(|last| at > last));
        last = Some(at);
    }
}

fn assert_increasing(written: &[Block]) {
    for pair in written.windows(2) {
        assert!(pair[1].time_ms > pair[0].time_ms, "{} ms after {} ms", pair[1].time_ms, pair[0].time_ms);
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 60, ..ProptestConfig::default() })]

    #[test]
    fn only_whole_frames_in_order(
        seed in any::<u64>(),
        lost in 0u64..20,
        recovered in 0u64..=100,
        jitter_us in 1u64..200_000,
        recovery_us in 1u64..1_500_000,
        twice in 0u64..10,
    ) {
        let dice = &mut Dice::new(seed);
        let network = Network { delay_us: 20_000, jitter_us, lost, recovered, recovery_us, twice };
        let who = ParticipantId::new();
        let (camera, microphone) = (Line::new(who, TrackSource::Camera), Line::new(who, TrackSource::Microphone));
        let (mut sent, pictures) = pictures(&camera, (0, 33_333), 120, 30, network, dice);
        let (more, sounds) = sounds(&microphone, 0, 200, network, dice);
        sent.extend(more);
        let files = record(sent);
        let blocks = files.blocks();
        let (seen, heard) = (of(VIDEO, &blocks), of(AUDIO, &blocks));
        assert_decodable(&seen, &pictures);
        assert_increasing(&seen);
        assert_increasing(&heard);
        prop_assert!(heard.iter().all(|block| sounds.iter().any(|sound| sound.bytes == block.frame)));
        prop_assert!(heard.windows(2).all(|pair| pair[0].frame < pair[1].frame));
        assert_gap_free(&heard, 3);
        // What is recovered in time is written: nothing else may be missing but what came before the first packet that arrived.
        if lost == 0 && jitter_us < 20_000 {
            prop_assert_eq!((seen.len(), heard.len()), (120, 200));
        }
    }

    #[test]
    fn senseless_packets_do_no_harm(seed in any::<u64>()) {
        let dice = &mut Dice::new(seed);
        let (mut take, mut files, mut steps) = (Take::new(ZERO_US), Files::default(), Vec::new());
        let lines: Vec<_> = (0..3)
            .flat_map(|_| [TrackSource::Microphone, TrackSource::Camera, TrackSource::Screen].map(|source| Line::new(ParticipantId::new(), source)))
            .collect();
        for round in 0..60 {
            let (mut events, mut bytes) = (Vec::new(), Vec::new());
            for _ in 0..dice.below(40) {
                let line = &lines[dice.below(lines.len() as u64) as usize];
                let start = bytes.len();
                bytes.extend((0..dice.below(30)).map(|_| dice.next() as u8));
                let wild = |dice: &mut Dice| match dice.below(4) { 0 => dice.next(), 1 => dice.below(3), _ => round * 10 + dice.below(20) };
                events.push(RecordedEvent::Packet(RecordedPacket {
                    participant: line.participant,
                    track: line.track,
                    source: line.source,
                    codec: [Codec::Opus, Codec::Vp8, Codec::H264, line.codec, line.codec, line.codec][dice.below(6) as usize],
                    stream: dice.below(20) / 18,
                    index: wild(dice),
                    timestamp: wild(dice) as u32,
                    marker: dice.chance(50),
                    keyframe_start: dice.chance(20),
                    arrived_us: ZERO_US + round as i64 * 50_000 + if dice.chance(2) { dice.next() as i64 >> dice.below(60) } else { 0 },
                    captured_us: dice.chance(60).then(|| wild(dice) as i64),
                    payload: if dice.chance(2) { start..usize::MAX } else { start..bytes.len() },
                }));
            }
            if dice.chance(5) {
                events.push(RecordedEvent::Ended(lines[dice.below(lines.len() as u64) as usize].track));
            }
            take.push(&Recorded { call: CallId::new(), events, bytes });
        take.tick(take.heard_us(), &mut steps);
            files.carry_out(&mut steps);
        }
        take.end(&mut steps);
        files.carry_out(&mut steps);
        for file in &files.order {
            let blocks = blocks(&files.bytes[file]);
            assert_increasing(&of(VIDEO, &blocks));
            assert_increasing(&of(AUDIO, &blocks));
        }
        let mut closed = files.closed.clone();
        closed.sort();
        closed.dedup();
        prop_assert_eq!(closed.len(), files.order.len());
    }
}

/// At every moment, what came more than two seconds ago is in a cluster.
#[test]
fn a_dying_process_loses_two_seconds_at_most() {
    for seed in 0..10 {
        let dice = &mut Dice::new(seed);
        let network = Network { lost: 3, recovered: 80, recovery_us: 900_000, jitter_us: 40_000, ..CALM };
        let who = ParticipantId::new();
        let (camera, mut microphone) = (Line::new(who, TrackSource::Camera), Line::new(who, TrackSource::Microphone));
        // The microphone has no report in time.
        microphone.reports_from_us = Some(3_000_000);
        let (mut sent, pictures) = pictures(&camera, (0, 33_333), 300, 15, network, dice);
        let (more, sounds) = sounds(&microphone, 0, 500, network, dice);
        sent.extend(more);
        let (mut take, mut files, mut steps) = (Take::new(ZERO_US), Files::default(), Vec::new());
        for batch in batches(sent) {
            files.take_in(&mut take, &batch, &mut steps);
            let now_us = take.heard_us();
            if now_us % 500_000 > 60_000 || now_us < 2_000_000 {
                continue;
            }
            let blocks = files.blocks();
            let is_old = |original: &&Original| original.arrived_us.is_some_and(|at_us| at_us < now_us - 2_000_000);
            let missing = sounds.iter().filter(is_old).filter(|sound| time_of(sound, &blocks).is_none()).count();
            // A repair that took longer than the wait came too late.
            let late =
                sounds.iter().filter(|sound| sound.arrived_us.is_some_and(|at_us| at_us > sound.captured_us + 950_000));
            assert!(missing <= late.count() + 1, "{missing} sounds at {now_us} µs are not in the file");
            if let Some(last) = pictures.iter().rev().filter(is_old).find(|picture| picture.key) {
                assert!(time_of(last, &blocks).is_some(), "a key frame is not in the file at {now_us} µs: {last:?}");
            }
        }
    }
}

/// A microphone that says nothing holds nothing up.
#[test]
fn a_silent_track_is_not_waited_for() {
    let (who, dice) = (ParticipantId::new(), &mut Dice::new(2));
    let (camera, microphone) = (Line::new(who, TrackSource::Camera), Line::new(who, TrackSource::Microphone));
    let (mut sent, pictures) = pictures(&camera, (0, 33_333), 180, 60, CALM, dice);
    sent.extend(sounds(&microphone, 0, 50, CALM, dice).0);
    let (mut take, mut files, mut steps) = (Take::new(ZERO_US), Files::default(), Vec::new());
    for batch in batches(sent) {
        files.take_in(&mut take, &batch, &mut steps);
    }
    let blocks = files.blocks();
    let old = pictures.iter().filter(|picture| picture.captured_us < take.heard_us() - 2_000_000);
    assert!(old.clone().count() > 100 && old.clone().all(|picture| time_of(picture, &blocks).is_some()));
}

#[test]
fn a_loss_asks_for_a_key_frame_until_one_comes() {
    let dice = &mut Dice::new(1);
    let camera = Line::new(ParticipantId::new(), TrackSource::Camera);
    let (sent, _) = pictures(&camera, (0, 33_333), 240, 10_000, CALM, dice);
    let lost = camera.first_index + 40;
    let files = record(sent.into_iter().filter(|sent| sent.packet.index != lost).collect());
    // For two seconds before the wait is over nothing is asked; then once a second.
    assert!((4..=7).contains(&files.wanted.len()), "asked {} times", files.wanted.len());
    assert!(files.wanted.iter().all(|track| *track == camera.track));
    let blocks = files.blocks();
    assert!(blocks.len() < 40, "{} pictures without their predecessors", blocks.len());
    // Without a loss, for the sake of jumping, every half minute.
    let (sent, _) = pictures(&camera, (0, 100_000), 650, 10_000, CALM, dice);
    assert!((1..=6).contains(&record(sent).wanted.len()));
}

#[test]
fn memory_has_an_end() {
    // A network of 200 Mbit/s and a first packet that never comes.
    let camera = Line::new(ParticipantId::new(), TrackSource::Camera);
    let (mut take, mut steps) = (Take::new(ZERO_US), Vec::new());
    let mut written = 0;
    for round in 0..200u64 {
        let (mut events, mut bytes) = (Vec::new(), Vec::new());
        for at in 0..900 {
            let index = round * 900 + at + u64::from(round * 900 + at > 0);
            let payload = bytes.len()..bytes.len() + 1_400;
            bytes.resize(payload.end, 1);
            bytes[payload.start] = 0x10;
            bytes[payload.start + 1..payload.start + 11]
                .copy_from_slice(&[0x10, 0, 0, 0x9d, 0x01, 0x2a, 0x40, 0x01, 0xb4, 0x00]);
            events.push(RecordedEvent::Packet(RecordedPacket {
                participant: camera.participant,
                track: camera.track,
                source: camera.source,
                codec: Codec::Vp8,
                stream: 1,
                index,
                timestamp: (round * 4_500) as u32,
                marker: false,
                keyframe_start: true,
                arrived_us: ZERO_US + round as i64 * 50_000,
                captured_us: None,
                payload,
            }));
        }
        take.push(&Recorded { call: CallId::new(), events, bytes });
        take.tick(take.heard_us(), &mut steps);
        for step in steps.drain(..) {
            if let Step::Append { bytes, .. } = step {
                written += bytes.len();
            }
        }
        assert!(take.waiting_bytes() < 16 * 1024 * 1024, "{} bytes wait", take.waiting_bytes());
    }
    assert!(written > 0);
}

/// However many come and go, whoever comes next is recorded.
#[test]
fn who_has_left_takes_nobodys_place() {
    let (mut take, mut steps, dice) = (Take::new(ZERO_US), Vec::new(), &mut Dice::new(5));
    let mut written = 0;
    for round in 0..5_000i64 {
        let microphone = Line::new(ParticipantId::new(), TrackSource::Microphone);
        let (mut sent, _) = sounds(&microphone, 0, 2, CALM, dice);
        for sent in &mut sent {
            sent.packet.arrived_us += round * 2_000_000;
        }
        for mut batch in batches(sent) {
            batch.events.push(RecordedEvent::Ended(microphone.track));
            take.push(&batch);
        }
        // Long enough for the files of those before to be closed.
        take.tick(take.heard_us() + 1_900_000, &mut steps);
        written += steps.drain(..).filter(|step| matches!(step, Step::Append { .. })).count();
    }
    assert!(written >= 5_000, "{written} clusters of 5,000 people");
}
