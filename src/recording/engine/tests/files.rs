//! Which file a track goes to, and when a file is over.

use super::*;
use crate::domain::recording::Container;

fn push(take: &mut Take, files: &mut Files, sent: Vec<Sent>) {
    let mut steps = Vec::new();
    for batch in batches(sent) {
        files.take_in(take, &batch, &mut steps);
    }
}

fn say(take: &mut Take, files: &mut Files, event: RecordedEvent) {
    let mut steps = Vec::new();
    take.push(&Recorded { call: CallId::new(), events: vec![event], bytes: Vec::new() });
    take.tick(take.heard_us(), &mut steps);
    files.carry_out(&mut steps);
}

fn end(take: Take, files: &mut Files) {
    let mut steps = Vec::new();
    take.end(&mut steps);
    files.carry_out(&mut steps);
}

#[test]
fn a_camera_that_is_switched_on_later_joins_the_file() {
    let (who, dice) = (ParticipantId::new(), &mut Dice::new(1));
    let (mut take, mut files) = (Take::new(ZERO_US), Files::default());
    let microphone = Line::new(who, TrackSource::Microphone);
    let (sent, _) = sounds(&microphone, 0, 1_500, CALM, dice);
    let (early, late): (Vec<_>, _) = sent.into_iter().partition(|sent| sent.packet.arrived_us < ZERO_US + 10_000_000);
    push(&mut take, &mut files, early);
    let only_sound = files.head(0).encode(None);
    assert!(!contains(&only_sound, b"V_VP8") && contains(&only_sound, b"A_OPUS"));
    let camera = Line::new(who, TrackSource::Camera);
    let (mut sent, first) = pictures(&camera, (10_000_000, 33_333), 150, 60, CALM, dice);
    sent.extend(late);
    // It is switched off and, as another track, on again.
    let again = Line { track: TrackId::new(), ..camera.clone() };
    let (more, second) = pictures(&again, (18_000_000, 33_333), 150, 60, CALM, dice);
    let (before, after): (Vec<_>, _) = sent.into_iter().partition(|sent| sent.packet.arrived_us < ZERO_US + 16_000_000);
    push(&mut take, &mut files, before);
    say(&mut take, &mut files, RecordedEvent::Ended(camera.track));
    push(&mut take, &mut files, after.into_iter().chain(more).collect());
    end(take, &mut files);
    let both = files.head(0).encode(None);
    assert!(contains(&both, b"V_VP8") && contains(&both, b"A_OPUS"));
    let blocks = files.blocks();
    let seen = of(VIDEO, &blocks);
    assert_eq!(seen.len(), first.len() + second.len());
    assert!((9_900..10_100).contains(&seen[0].time_ms) && (17_900..18_100).contains(&seen[150].time_ms));
    assert_eq!(of(AUDIO, &blocks).len(), 1_500);
    assert_eq!((files.head(0).container, files.closed.len()), (Container::WebM, 1));
}

#[test]
fn a_screen_and_its_sound_have_a_file_of_their_own() {
    let (who, dice) = (ParticipantId::new(), &mut Dice::new(2));
    let mut sent = Vec::new();
    for source in TrackSource::ALL {
        let line = Line::new(who, source);
        let more = match source {
            TrackSource::Microphone => sounds(&line, 0, 100, CALM, dice).0,
            TrackSource::ScreenAudio => sounds(&line, 0, 70, CALM, dice).0,
            TrackSource::Camera | TrackSource::Screen => pictures(&line, (0, 100_000), 20, 10, CALM, dice).0,
        };
        sent.extend(more);
    }
    let files = record(sent);
    let mut kinds: Vec<_> =
        (0..2).map(|at| (files.head(at).label.kind.as_str(), blocks(&files.bytes[&files.order[at]]).len())).collect();
    kinds.sort_unstable();
    assert_eq!(kinds, [("participant", 120), ("screen", 90)]);
    assert_eq!(files.head(0).label.participant, who);
}

#[test]
fn who_leaves_leaves_a_whole_file() {
    let (who, dice) = (ParticipantId::new(), &mut Dice::new(3));
    let (mut take, mut files) = (Take::new(ZERO_US), Files::default());
    let line = Line::new(who, TrackSource::Microphone);
    let (sent, _) = sounds(&line, 0, 100, CALM, dice);
    push(&mut take, &mut files, sent);
    say(&mut take, &mut files, RecordedEvent::Ended(line.track));
    // Everything is written at once; the file waits for a moment whether something comes back.
    assert_eq!(files.blocks().len(), 100);
    assert!(files.closed.is_empty());
    let (late, _) = sounds(&line, 2_100_000, 10, CALM, dice);
    push(&mut take, &mut files, late);
    assert_eq!(files.blocks().len(), 100, "a track that is over does not begin anew");
    let mut steps = Vec::new();
    take.tick(take.heard_us() + 6_000_000, &mut steps);
    take.tick(take.heard_us() + 6_000_000, &mut steps);
    files.carry_out(&mut steps);
    assert_eq!(files.closed, files.order);
    // Back again: another file.
    let (more, _) = sounds(&Line::new(who, TrackSource::Microphone), 20_000_000, 100, CALM, dice);
    push(&mut take, &mut files, more);
    end(take, &mut files);
    assert_eq!((files.order.len(), files.closed.len()), (2, 2));
}

#[test]
fn another_codec_is_another_file() {
    let (who, dice) = (ParticipantId::new(), &mut Dice::new(4));
    let camera = Line::new(who, TrackSource::Camera);
    let (mut sent, _) = pictures(&camera, (0, 33_333), 90, 30, CALM, dice);
    let h264 = Line { codec: Codec::H264, ..camera };
    for at in 0..90u64 {
        let captured_us = 3_000_000 + at as i64 * 33_333;
        for (part, payload) in
            [&[0x67, 0x42, 0xc0, 0x1f, 0x8c][..], &[0x68, 0xce, 0x3c], &[0x65, 1, 2]].into_iter().enumerate()
        {
            deliver(
                &h264,
                captured_us,
                500 + at * 3 + part as u64,
                part == 2,
                part == 0,
                payload,
                CALM,
                dice,
                &mut sent,
            );
        }
    }
    let files = record(sent);
    assert_eq!(files.order.len(), 2);
    assert_eq!((files.head(0).container, files.head(1).container), (Container::WebM, Container::Matroska));
    assert_eq!(
        blocks(&files.bytes[&files.order[1]])[0].frame,
        [&[0, 0, 0, 5, 0x67, 0x42, 0xc0, 0x1f, 0x8c][..], &[0, 0, 0, 3, 0x68, 0xce, 0x3c], &[0, 0, 0, 3, 0x65, 1, 2]]
            .concat()
    );
}

#[test]
fn nothing_is_taken_that_came_before_the_start() {
    let (dice, line) = (&mut Dice::new(5), Line::new(ParticipantId::new(), TrackSource::Microphone));
    let (sent, _) = sounds(&line, -1_000_000, 100, CALM, dice);
    let files = record(sent);
    let heard = files.blocks();
    assert!((49..=52).contains(&heard.len()), "{} sounds", heard.len());
    assert_eq!(files.head(0).label.starts_at_ms, 0);
    // A track without a single whole frame makes no file.
    let camera = Line::new(ParticipantId::new(), TrackSource::Camera);
    let (sent, _) = pictures(&camera, (0, 33_333), 10, 100, CALM, dice);
    let files = record(sent.into_iter().filter(|sent| !sent.packet.keyframe_start).collect());
    assert!(files.order.is_empty() && files.closed.is_empty());
}

fn contains(haystack: &[u8], needle: &[u8]) -> bool {
    haystack.windows(needle.len()).any(|window| window == needle)
}
