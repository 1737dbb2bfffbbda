//! What the media side copies out of a real connection: key frames that decode, and every packet for a recording.

use std::net::{IpAddr, Ipv4Addr};
use std::time::Duration;

use parlor::domain::{CallId, ParticipantId, TrackId, TrackSource};
use parlor::moderation::vision::{Coding, picture_file};
use parlor::sfu::{self, Codec, OfferedTrack, RecordedEvent, RecordedPacket, Sampled, Sfu, Taps};

use crate::film::Film;
use crate::harness::PATIENCE;
use crate::projector::{Playing, Show};

/// A media side that looks at pictures twice a second.
fn media() -> (Sfu, Taps) {
    let config = sfu::Config { shards: 1, sample_every_ms: 500, ..sfu::Config::default() };
    let (sfu, _, taps) = Sfu::start(0, &[IpAddr::from(Ipv4Addr::LOCALHOST)], &config).expect("loopback has free ports");
    (sfu, taps)
}

/// Somebody plays a show in a call of that media side.
async fn play(sfu: &Sfu, call: CallId, show: Show) -> (Playing, ParticipantId, Vec<TrackId>) {
    let (participant, playing) = (ParticipantId::new(), Playing::prepare(show));
    let sources = playing.sources();
    let tracks: Vec<_> = sources.iter().map(|_| TrackId::new()).collect();
    let offered = sources.iter().zip(&tracks).enumerate().map(|(mid, (source, track))| OfferedTrack {
        mid: mid.to_string(),
        source: match *source {
            "microphone" => TrackSource::Microphone,
            "camera" => TrackSource::Camera,
            _ => TrackSource::Screen,
        },
        track: *track,
        muted: false,
    });
    let answer = sfu.offer(call, participant, playing.offer(), offered.collect()).await.expect("a good offer");
    let playing = playing.start(&answer.sdp).await;
    (playing, participant, tracks)
}

/// The next sample, which is a frame.
async fn frame(taps: &mut Taps) -> (TrackId, Codec, Vec<u8>) {
    match tokio::time::timeout(PATIENCE, taps.samples.recv()).await.expect("a sample comes") {
        Some(Sampled::Frame { track, codec, frame, .. }) => (track, codec, frame),
        other => panic!("{other:?}"),
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn key_frames_of_both_codecs_come_whole() {
    for (is_h264, codec, coding) in [(false, Codec::Vp8, Coding::Vp8), (true, Codec::H264, Coding::H264)] {
        let (sfu, mut taps) = media();
        let make = if is_h264 { Film::h264 } else { Film::vp8 };
        let picture = Some(make("testsrc2=size=320x180", 20, 4, 5));
        let (playing, _, tracks) =
            play(&sfu, CallId::new(), Show { picture, is_h264, loss_pm: 30, ..Show::default() }).await;
        for _ in 0..4 {
            let (track, found, frame) = frame(&mut taps).await;
            assert_eq!((track, found), (tracks[0], codec));
            let file = picture_file(coding, &frame).expect("the frame is whole");
            assert_eq!((file.width, file.height), (320, 180), "{codec:?}");
        }
        drop(playing);
        sfu.stop();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_recording_has_every_packet_of_sound_and_picture_and_their_clock() {
    let (sfu, mut taps) = media();
    let call = CallId::new();
    sfu.record(call, true);
    let (sound, picture) = (Film::opus("sine=frequency=440", 4), Film::vp8("testsrc2=size=320x180", 20, 4, 20));
    let sent = [sound.shots.clone(), picture.shots.clone()];
    let show = Show { sound: Some(sound), picture: Some(picture), loss_pm: 20, ..Show::default() };
    let (playing, participant, tracks) = play(&sfu, call, show).await;
    let mut packets: Vec<(RecordedPacket, Vec<u8>)> = Vec::new();
    let of = |packets: &[(RecordedPacket, Vec<u8>)], track| packets.iter().filter(|(it, _)| it.track == track).count();
    // Sound is not repaired, and a film's very last packet is missed by nobody: the film goes on, and it is its first round that
    // is waited for.
    let whole = |packets: &[(RecordedPacket, Vec<u8>)]| {
        let mut indexes: Vec<_> =
            packets.iter().filter(|(it, _)| it.track == tracks[1]).map(|(it, _)| it.index).collect();
        indexes.sort_unstable();
        indexes.get(sent[1].len() - 1).is_some_and(|last| last - indexes[0] == sent[1].len() as u64 - 1)
    };
    while !whole(&packets) {
        let batch =
            tokio::time::timeout(PATIENCE, taps.recorded.recv()).await.expect("batches come").expect("it lives");
        assert_eq!(batch.call, call);
        for event in batch.events {
            match event {
                RecordedEvent::Packet(packet) => {
                    let payload = batch.bytes[packet.payload.clone()].to_vec();
                    packets.push((packet, payload));
                }
                other => panic!("{other:?}"),
            }
        }
    }
    assert!(packets.iter().all(|(packet, _)| packet.participant == participant));
    let mut video: Vec<_> = packets.iter().filter(|(packet, _)| packet.track == tracks[1]).collect();
    video.sort_by_key(|(packet, _)| packet.index);
    assert!(video[0].0.keyframe_start);
    for ((packet, payload), shot) in video.iter().zip(&sent[1]) {
        assert_eq!((payload, packet.marker), (&shot.payload, shot.marker));
        assert_eq!(packet.timestamp.wrapping_sub(video[0].0.timestamp), shot.ticks);
    }
    let heard = of(&packets, tracks[0]);
    assert!(heard > sent[0].len() * 9 / 10, "{heard} of {} packets of sound", sent[0].len());
    // Sound and picture that are shown at one moment have one time, though their time stamps have nothing in common.
    let origin = |track: TrackId, hz: i64| {
        let film = if hz == 48_000 { &sent[0] } else { &sent[1] };
        let theirs = || packets.iter().filter(|(packet, _)| packet.track == track);
        let first = theirs().map(|(packet, _)| packet.index).min().expect("there are some");
        // Of the film's first round alone: the rounds of sound and picture are not equally long.
        let dated =
            theirs().filter(|(packet, _)| packet.index - first < film.len() as u64).filter_map(|(packet, payload)| {
                let shot = film.iter().find(|shot| shot.payload == *payload)?;
                Some(packet.captured_us? - i64::from(shot.ticks) * 1_000_000 / hz)
            });
        dated.reduce(|_, last| last).expect("reports came")
    };
    let apart_us = origin(tracks[0], 48_000) - origin(tracks[1], 90_000);
    assert!(apart_us.abs() < 2_000, "{apart_us} µs");
    sfu.record(call, false);
    drop(playing);
    sfu.stop();
}

#[tokio::test(flavor = "multi_thread")]
async fn who_never_answers_is_told_of_and_the_end_of_a_track_too() {
    let (sfu, mut taps) = media();
    // One key frame, and no other whatever is asked.
    let picture = Some(Film::vp8("testsrc2=size=160x90", 20, 30, 600));
    let (playing, participant, tracks) = play(&sfu, CallId::new(), Show { picture, ..Show::default() }).await;
    frame(&mut taps).await;
    let told = tokio::time::timeout(PATIENCE, taps.samples.recv()).await.expect("it is told").expect("it lives");
    let Sampled::Unsampled { track, participant: whose, call } = told else { panic!("{told:?}") };
    assert_eq!((track, whose), (tracks[0], participant));
    sfu.leave(call, participant);
    let told = tokio::time::timeout(PATIENCE, taps.samples.recv()).await.expect("it is told").expect("it lives");
    assert_eq!(told, Sampled::Ended { call, track });
    drop(playing);
    sfu.stop();
    assert!(PATIENCE > Duration::from_secs(5), "three requests and two seconds fit into it");
}
