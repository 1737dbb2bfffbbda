//! A call on several shards: nobody notices.

use std::collections::BTreeSet;
use std::net::{IpAddr, Ipv4Addr};

use parlor::domain::{CallId, ParticipantId, TrackId, TrackSource};
use parlor::sfu::{self, OfferedTrack, RecordedEvent, Sampled, Sfu};

use crate::call::whole;
use crate::figures::figure;
use crate::film::Film;
use crate::harness::{PATIENCE, Server, until};
use crate::peer::{Caller, Kind, meet};
use crate::projector::{Playing, Show};

/// The letter of the shard that answered somebody's offer.
fn shard_of(sdp: &str) -> String {
    let ufrag = sdp.lines().find_map(|line| line.strip_prefix("a=ice-ufrag:")).expect("an answer has credentials");
    ufrag[..1].to_owned()
}

fn shard(caller: &Caller) -> String {
    shard_of(caller.answer["sdp"].as_str().expect("an answer has SDP"))
}

async fn room_on_two_shards(one_port: bool) {
    let server = Server::start_with(|config| {
        config.sfu.shards = 2;
        config.sfu.spread_after = 1;
        config.media_one_port = one_port;
    })
    .await;
    let olga = server.enter("olga").await;
    let room = olga.create_room("call", "public").await;
    let mut callers = vec![Caller::join(&olga, &room, 1, 3).await];
    for (nickname, tag) in [("ada", 2), ("bob", 3), ("cleo", 4)] {
        callers.push(Caller::join(&server.enter(nickname).await, &room, tag, 3).await);
    }
    let shards: Vec<String> = callers.iter().map(shard).collect();
    assert_eq!(shards.iter().collect::<BTreeSet<_>>().len(), 2, "two shards have the call: {shards:?}");
    for (at, one) in callers.iter().enumerate() {
        for other in &callers[..at] {
            meet(one, other).await;
        }
    }
    for one in &callers {
        assert!(one.peer.arrivals(Kind::Audio, one.peer.tag).is_empty(), "nobody gets what they sent");
        for other in callers.iter().filter(|other| other.peer.tag != one.peer.tag) {
            whole(&one.peer.arrivals(Kind::Video, other.peer.tag));
        }
    }
    // A restart keeps the shard, and everybody sees on.
    let at = shards.iter().position(|shard| *shard != shards[0]).expect("somebody is on the other shard");
    callers[at].peer.restart_ice().await;
    callers[at].offer().await;
    assert_eq!(shard(&callers[at]), shards[at]);
    meet(&callers[at], &callers[0]).await;
    let read = async |name: &str| figure(&server.base, name).await.filter(|count| *count > 0.0);
    for name in
        ["parlor_media_relay_packets_total{direction=\"in\"}", "parlor_media_relay_packets_total{direction=\"out\"}"]
    {
        until("relayed packets are counted", async || read(name).await).await;
    }
    assert_eq!(figure(&server.base, "parlor_media_relay_dropped_total").await, Some(0.0));
    // Who is gone is gone everywhere, and makes room where he was.
    let left = callers.remove(at);
    left.close().await;
    let dora = Caller::join(&server.enter("dora").await, &room, 5, 3).await;
    assert_eq!(shard(&dora), shards[at], "the shard that he left has the fewest");
    meet(&dora, &callers[0]).await;
    callers.push(dora);
    for caller in callers {
        caller.close().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_room_on_two_shards_is_one_room() {
    room_on_two_shards(false).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_room_on_two_shards_of_one_port_is_one_room() {
    room_on_two_shards(true).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn who_is_on_another_shard_is_sampled_and_recorded_once() {
    let config = sfu::Config { shards: 2, spread_after: 1, sample_every_ms: 500, ..sfu::Config::default() };
    let (sfu, _events, mut taps) =
        Sfu::start(0, &[IpAddr::from(Ipv4Addr::LOCALHOST)], &config).expect("loopback has free ports");
    let call = CallId::new();
    sfu.record(call, true);
    let mut playing = Vec::new();
    for _ in 0..2 {
        let show = Show { picture: Some(Film::vp8("testsrc2=size=320x180", 20, 4, 20)), ..Show::default() };
        let (participant, prepared, track) = (ParticipantId::new(), Playing::prepare(show), TrackId::new());
        let offered = vec![OfferedTrack { mid: "0".to_owned(), source: TrackSource::Camera, track, muted: false }];
        let answer = sfu.offer(call, participant, prepared.offer(), offered).await.expect("a good offer");
        playing.push((shard_of(&answer.sdp), track, prepared.start(&answer.sdp).await));
    }
    assert_ne!(playing[0].0, playing[1].0, "they are on two shards");
    let mut sampled = BTreeSet::new();
    while sampled.len() < 2 {
        match tokio::time::timeout(PATIENCE, taps.samples.recv()).await.expect("samples come") {
            Some(Sampled::Frame { track, .. }) => sampled.insert(track),
            other => panic!("{other:?}"),
        };
    }
    let mut indexes: [Vec<u64>; 2] = Default::default();
    while indexes.iter().any(|indexes| indexes.len() < 200) {
        let batch = tokio::time::timeout(PATIENCE, taps.recorded.recv()).await.expect("batches come");
        for event in batch.expect("it lives").events {
            let RecordedEvent::Packet(packet) = event else { panic!("{event:?}") };
            let at = playing.iter().position(|(_, track, _)| *track == packet.track).expect("a track of theirs");
            indexes[at].push(packet.index);
        }
    }
    for indexes in indexes {
        assert!(indexes.windows(2).all(|pair| pair[1] == pair[0] + 1), "each packet is recorded once");
    }
    drop(playing);
    sfu.stop();
}
