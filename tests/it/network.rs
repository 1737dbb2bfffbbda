//! What a network does to a call: loss is repaired, and what strangers and meddlers send is counted and dropped.

use std::net::SocketAddr;

use tokio::net::UdpSocket;

use crate::call::{continuous, whole};
use crate::figures::figure;
use crate::harness::{Server, until};
use crate::peer::{Arrival, Caller, Kind, Mischief, Way, meet};

/// Two people in a call; the second one's packets go that way.
async fn call_of_two(server: &Server, way: Way) -> (Caller, Caller) {
    let olga = server.enter("olga").await;
    let room = olga.create_room("call", "public").await;
    let olga = Caller::join(&olga, &room, 1, 2).await;
    let ada = Caller::join_by(way, &server.enter("ada").await, &room, 2, 2).await;
    meet(&olga, &ada).await;
    (olga, ada)
}

/// Waits until a reason for drops has been counted that often. Nobody else in these tests gives such reasons.
async fn dropped(server: &Server, reason: &str, least: f64) {
    let name = format!("parlor_media_drops_total{{reason=\"{reason}\"}}");
    until(&name, async || (figure(&server.base, &name).await? >= least).then_some(())).await;
}

/// The packets that have not arrived, of those between the first and the 200th after it.
fn missing(arrivals: &[Arrival]) -> Vec<u32> {
    let Some(first) = arrivals.iter().map(|arrival| arrival.counter).min() else { return vec![0] };
    let there: std::collections::HashSet<u32> = arrivals.iter().map(|arrival| arrival.counter).collect();
    (first..first + 200).filter(|counter| !there.contains(counter)).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn lost_pictures_are_sent_again_both_ways() {
    let server = Server::start().await;
    let (olga, ada) = call_of_two(&server, Way::through(Mischief::Loses(5))).await;
    // Five in a hundred are lost between ada and the server, and every picture arrives all the same.
    for (receiver, publisher) in [(&olga, 2), (&ada, 1)] {
        let complete = async || missing(&receiver.peer.arrivals(Kind::Video, publisher)).is_empty().then_some(());
        until("no part of a picture is missing", complete).await;
        // Sound is not repaired: the gap stays, where the publisher's packet would have been.
        let heard = async || {
            let sound = receiver.peer.arrivals(Kind::Audio, publisher);
            let lost = sound.windows(2).any(|pair| pair[1].counter > pair[0].counter + 1);
            (lost && sound.len() > 50).then_some(sound)
        };
        continuous(&until("some sound is lost", heard).await);
    }
    for direction in ["in", "out"] {
        let name = format!("parlor_media_nacks_total{{direction=\"{direction}\"}}");
        until(&name, async || (figure(&server.base, &name).await? >= 1.0).then_some(())).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn replayed_cut_and_forged_packets_change_nothing() {
    let server = Server::start().await;
    let (olga, ada) = call_of_two(&server, Way::through(Mischief::Meddles)).await;
    for reason in ["srtp_replay", "srtp_auth", "srtp_short"] {
        dropped(&server, reason, 3.0).await;
    }
    meet(&olga, &ada).await;
    for kind in [Kind::Audio, Kind::Video] {
        whole(&olga.peer.arrivals(kind, 2));
        whole(&ada.peer.arrivals(kind, 1));
    }
}

/// Where the server takes media, and its name for the connection, from an answer.
fn media_address(caller: &Caller) -> (SocketAddr, String) {
    let sdp = caller.answer["sdp"].as_str().expect("an answer has SDP");
    let value = |name: &str| sdp.lines().find_map(|line| line.strip_prefix(name)).expect("the line is there");
    let words: Vec<&str> = value("a=candidate:").split(' ').collect();
    let address = format!("{}:{}", words[4], words[5]).parse().expect("an address");
    (address, value("a=ice-ufrag:").to_owned())
}

/// A connectivity check in the name of somebody whose password is not known.
fn forged_check(name: &str) -> Vec<u8> {
    let attribute = |kind: u16, value: &[u8]| {
        let padding = vec![0; value.len().next_multiple_of(4) - value.len()];
        [&kind.to_be_bytes()[..], &(value.len() as u16).to_be_bytes(), value, &padding].concat()
    };
    // USERNAME, USE-CANDIDATE, MESSAGE-INTEGRITY.
    let body = [attribute(0x0006, name.as_bytes()), attribute(0x0025, &[]), attribute(0x0008, &[7; 20])].concat();
    [&[0, 1][..], &(body.len() as u16).to_be_bytes(), &[0x21, 0x12, 0xa4, 0x42], &[9; 12], &body].concat()
}

#[tokio::test(flavor = "multi_thread")]
async fn datagrams_of_strangers_are_counted_and_dropped() {
    let server = Server::start().await;
    let (olga, ada) = call_of_two(&server, Way::direct()).await;
    let (address, ufrag) = media_address(&olga);
    let stranger = UdpSocket::bind("127.0.0.1:0").await.expect("a free port");
    stranger.connect(address).await.expect("it is an address");
    let sound = [&[0x80, 111, 0, 1, 0, 0, 0, 1, 0, 0, 3, 0xe9][..], &[7; 100]].concat();
    let report = [0x80, 200, 0, 6, 0, 0, 3, 0xe9, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12];
    let handshake = [22, 254, 253, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0];
    let user_name = format!("{ufrag}:{}", olga.peer.ice_ufrag().await);
    let datagrams: [&[u8]; 7] = [
        &sound,
        &report,
        &handshake,
        b"GET / HTTP/1.1\r\n\r\n",
        &[0, 1, 0, 200, 1, 2, 3, 4, 5, 6, 7, 8],
        &forged_check(&user_name),
        &forged_check("nobody:here"),
    ];
    for _ in 0..50 {
        for datagram in datagrams {
            stranger.send(datagram).await.expect("loopback takes it");
        }
    }
    for (reason, times) in [
        ("unknown_address", 150.0),
        ("unknown", 50.0),
        ("stun_malformed", 50.0),
        ("stun_integrity", 50.0),
        ("stun_unknown_ufrag", 50.0),
    ] {
        dropped(&server, reason, times).await;
    }
    meet(&olga, &ada).await;
    for kind in [Kind::Audio, Kind::Video] {
        whole(&olga.peer.arrivals(kind, 2));
        whole(&ada.peer.arrivals(kind, 1));
    }
}
