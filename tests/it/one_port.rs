//! One-port mode: every shard on one UDP port.

use std::collections::BTreeSet;

use crate::call::whole;
use crate::figures::figure;
use crate::harness::{Server, until};
use crate::peer::{Caller, Kind, Way, meet};

/// Rooms, and as many pairs of people. Four shards leave a room alone on one with a chance of 4⁻⁷.
const ROOMS: u32 = 8;

/// The value of a line of an answer.
fn value<'a>(caller: &'a Caller, name: &str) -> &'a str {
    let sdp = caller.answer["sdp"].as_str().expect("an answer has SDP");
    sdp.lines().find_map(|line| line.strip_prefix(name)).expect("the line is there")
}

#[tokio::test(flavor = "multi_thread")]
async fn peers_of_several_shards_meet_on_one_port() {
    let server = Server::start_with(|config| {
        config.sfu.shards = 4;
        config.media_one_port = true;
        config.announced_address = vec!["127.0.0.1".parse().unwrap(), "::1".parse().unwrap()];
    })
    .await;
    let mut pairs = Vec::new();
    for number in 0..ROOMS {
        let olga = server.enter("olga").await;
        let room = olga.create_room("call", "public").await;
        let olga = Caller::join(&olga, &room, 2 * number + 1, 2).await;
        // Half of the others come over IPv6.
        let way = if number % 2 == 0 { Way { from: "[::1]:0", ..Way::direct() } } else { Way::direct() };
        let ada = Caller::join_by(way, &server.enter("ada").await, &room, 2 * number + 2, 2).await;
        pairs.push((olga, ada));
    }
    let everybody = || pairs.iter().flat_map(|(olga, ada)| [olga, ada]);
    let ports: BTreeSet<&str> =
        everybody().map(|caller| value(caller, "a=candidate:1 ").split(' ').nth(4).expect("a port")).collect();
    assert_eq!(ports.len(), 1, "all have the same port: {ports:?}");
    let shards: BTreeSet<&str> = everybody().map(|caller| &value(caller, "a=ice-ufrag:")[..1]).collect();
    assert!(shards.len() > 1, "several shards have calls: {shards:?}");
    for (olga, ada) in &pairs {
        meet(olga, ada).await;
    }
    // Nothing is lost on the way, and nothing but first checks goes round by another shard.
    for (olga, ada) in &pairs {
        for kind in [Kind::Audio, Kind::Video] {
            whole(&olga.peer.arrivals(kind, ada.peer.tag));
            whole(&ada.peer.arrivals(kind, olga.peer.tag));
        }
    }
    let read = async |name: &str| figure(&server.base, name).await;
    let lanes = async || read("parlor_media_lanes").await.filter(|lanes| *lanes >= f64::from(2 * ROOMS));
    let lanes = until("everybody has a socket of their own", lanes).await;
    let counted = async || read("parlor_media_handed_over_total{result=\"handed_over\"}").await;
    let handed_over = until("datagrams are counted", counted).await;
    let packets =
        until("packets are counted", async || read("parlor_media_packets_total{direction=\"in\"}").await).await;
    println!(
        "one port, {} peers on {} shards: {lanes} sockets, {handed_over} of {packets} datagrams handed over",
        2 * ROOMS,
        shards.len()
    );
    assert!(handed_over >= 1.0, "some first check lands on another shard");
    assert!(handed_over <= f64::from(2 * ROOMS * 8), "{handed_over} were handed over: more than first checks");
    assert_eq!(read("parlor_media_handed_over_total{result=\"lost\"}").await, Some(0.0));
    for (mut olga, ada) in pairs {
        // A restart keeps the socket; what leaves frees its own.
        olga.peer.restart_ice().await;
        olga.offer().await;
        meet(&olga, &ada).await;
        olga.close().await;
        ada.close().await;
    }
    let none = async || read("parlor_media_lanes").await.filter(|lanes| *lanes == 0.0);
    until("the sockets of those who left are closed", none).await;
}
