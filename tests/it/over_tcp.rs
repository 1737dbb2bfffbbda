//! Media over TCP, for those whose network blocks UDP.

use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};

use crate::call::{continuous, whole};
use crate::figures::figure;
use crate::harness::{PATIENCE, Server, until};
use crate::peer::{Caller, Kind, Way, meet};

/// A server that takes media over TCP as well.
async fn server(change: impl FnOnce(&mut parlor::config::Config)) -> Server {
    Server::start_with(|config| {
        config.media_tcp_port = None;
        change(config);
    })
    .await
}

/// The address for TCP in an answer.
fn door_of(caller: &Caller) -> SocketAddr {
    let sdp = caller.answer["sdp"].as_str().expect("an answer has SDP");
    let line = sdp.lines().find(|line| line.ends_with("tcptype passive")).expect("the answer lists the port");
    let words: Vec<&str> = line.split(' ').collect();
    format!("{}:{}", words[4], words[5]).parse().expect("an address")
}

#[tokio::test(flavor = "multi_thread")]
async fn who_cannot_use_udp_is_in_the_call_all_the_same() {
    let server = server(|config| config.sfu.shards = 4).await;
    // Rooms lie on whichever shard their names fall: each connection finds its own.
    for _ in 0..4 {
        let olga = server.enter("olga").await;
        let room = olga.create_room("call", "public").await;
        let olga = Caller::join(&olga, &room, 1, 2).await;
        let ada = Caller::join_by(Way::tcp(), &server.enter("ada").await, &room, 2, 2).await;
        let bob = Caller::join_by(Way::tcp(), &server.enter("bob").await, &room, 3, 2).await;
        for (one, other) in [(&olga, &ada), (&olga, &bob), (&ada, &bob)] {
            meet(one, other).await;
        }
        for kind in [Kind::Audio, Kind::Video] {
            continuous(&ada.peer.arrivals(kind, 3));
            continuous(&olga.peer.arrivals(kind, 2));
            whole(&bob.peer.arrivals(kind, 1));
        }
        for caller in [olga, ada, bob] {
            caller.close().await;
        }
    }
    // Each was handed to one shard of four, and closed when its owner was gone.
    let connections = async || figure(&server.base, "parlor_media_tcp_connections").await.filter(|now| *now == 0.0);
    until("connections end with their owners", connections).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_connection_over_tcp_is_restarted_on_another() {
    let server = server(|_| {}).await;
    let olga = server.enter("olga").await;
    let room = olga.create_room("call", "public").await;
    let olga = Caller::join(&olga, &room, 1, 2).await;
    let mut ada = Caller::join_by(Way::tcp(), &server.enter("ada").await, &room, 2, 2).await;
    meet(&olga, &ada).await;
    let participant = ada.participant().to_owned();
    ada.peer.restart_ice().await;
    ada.offer().await;
    assert_eq!(ada.participant(), participant);
    meet(&olga, &ada).await;
}

/// A connection of somebody who is no browser.
struct Stranger(TcpStream);

impl Stranger {
    fn come(address: SocketAddr) -> Self {
        let stream = TcpStream::connect(address).expect("the port is open");
        stream.set_read_timeout(Some(PATIENCE)).expect("it is no zero");
        Self(stream)
    }

    fn show(address: SocketAddr, bytes: &[u8]) -> Self {
        let mut stranger = Self::come(address);
        stranger.0.write_all(bytes).expect("the kernel takes it");
        stranger
    }

    /// Waits until the server closes.
    fn sees_the_end(mut self) {
        let mut rest = Vec::new();
        // A connection with unread bytes is reset rather than ended.
        match self.0.read_to_end(&mut rest) {
            Ok(_) => assert!(rest.is_empty(), "nothing is said to strangers: {rest:?}"),
            Err(error) => assert_eq!(error.kind(), std::io::ErrorKind::ConnectionReset),
        }
    }
}

fn framed(datagram: &[u8]) -> Vec<u8> {
    [&(datagram.len() as u16).to_be_bytes()[..], datagram].concat()
}

fn binding(attributes: &[u8]) -> Vec<u8> {
    let len = (attributes.len() as u16).to_be_bytes();
    [&[0, 1][..], &len, &[0x21, 0x12, 0xa4, 0x42], &[7; 12], attributes].concat()
}

/// USERNAME of a check for somebody.
fn user_name(name: &str) -> Vec<u8> {
    assert!(name.len().is_multiple_of(4), "no padding here");
    [&[0, 6][..], &(name.len() as u16).to_be_bytes(), name.as_bytes()].concat()
}

#[tokio::test(flavor = "multi_thread")]
async fn strangers_are_sent_away() {
    let server = server(|config| config.sfu.tcp_first_check_ms = 1_500).await;
    let (olga, ada) = (server.enter("olga").await, server.enter("ada").await);
    let room = olga.create_room("call", "public").await;
    let olga = Caller::join(&olga, &room, 1, 2).await;
    let ada = Caller::join_by(Way::tcp(), &ada, &room, 2, 2).await;
    meet(&olga, &ada).await;
    let door = door_of(&olga);
    let sdp = olga.answer["sdp"].as_str().expect("an answer has SDP");
    let ours = sdp.lines().find_map(|line| line.strip_prefix("a=ice-ufrag:")).expect("an answer has it");
    let strange = [
        b"GET / HTTP/1.1\r\nHost: here\r\n\r\n".to_vec(),
        framed(&[22, 254, 253, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0]),
        framed(&[0x80, 111, 0, 1, 0, 0, 0, 1, 0, 0, 3, 0xe9]),
        // The name of nobody; of somebody, without the password; of a shard that there is not.
        framed(&binding(&user_name("AAAAAAAA:bbb"))),
        framed(&binding(&user_name(&format!("{ours}:bbb")))),
        framed(&binding(&user_name("/AAAAAAA:bbb"))),
    ];
    tokio::task::spawn_blocking(move || {
        let silent = [Stranger::come(door), Stranger::show(door, &[0]), Stranger::show(door, &[0, 20, 0, 1])];
        for bytes in strange {
            Stranger::show(door, &bytes).sees_the_end();
        }
        silent.into_iter().for_each(Stranger::sees_the_end);
        // Whoever only asks for an address is told, a few times.
        let mut curious = Stranger::come(door);
        for _ in 0..4 {
            curious.0.write_all(&framed(&binding(&[]))).expect("the kernel takes it");
            let mut head = [0; 4];
            curious.0.read_exact(&mut head).expect("an answer");
            let mut rest = vec![0; usize::from(u16::from_be_bytes([head[0], head[1]])) - 2];
            curious.0.read_exact(&mut rest).expect("the rest of it");
            assert_eq!(head[2..], [1, 1], "a binding success");
        }
        curious.0.write_all(&framed(&binding(&[]))).expect("the kernel takes it");
        curious.sees_the_end();
        // A check that names a shard but nobody there, and a question behind it: no seat for that, answered or not.
        let both = [framed(&binding(&user_name("AAAAAAAA:bbb"))), framed(&binding(&[]))].concat();
        let mut sly = Stranger::show(door, &both).0;
        let mut told = Vec::new();
        if let Err(error) = sly.read_to_end(&mut told) {
            assert_eq!(error.kind(), std::io::ErrorKind::ConnectionReset, "it is closed");
        }
    })
    .await
    .expect("nobody was let in");
    for (reason, least) in [("silent", 3.0), ("strange", 3.0)] {
        let name = format!("parlor_media_tcp_refused_total{{reason=\"{reason}\"}}");
        until(&name, async || (figure(&server.base, &name).await? >= least).then_some(())).await;
    }
    meet(&olga, &ada).await;
    for kind in [Kind::Audio, Kind::Video] {
        whole(&olga.peer.arrivals(kind, 2));
        whole(&ada.peer.arrivals(kind, 1));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn who_shows_nothing_takes_nobodys_place() {
    let server = server(|config| config.sfu.tcp_connections_per_address = 3).await;
    let olga = server.enter("olga").await;
    let room = olga.create_room("call", "public").await;
    let olga = Caller::join(&olga, &room, 1, 2).await;
    let door = door_of(&olga);
    let waiting = tokio::task::spawn_blocking(move || {
        let mut waiting: Vec<_> = (0..3).map(|_| Stranger::show(door, &[0])).collect();
        // One more of the same address: who has waited longest goes, long before its time is over.
        waiting.push(Stranger::show(door, &[0]));
        waiting.remove(0).sees_the_end();
        waiting
    });
    let waiting = waiting.await.expect("the first is sent away");
    // They wait still, and somebody who has something to show comes in all the same.
    let ada = Caller::join_by(Way::tcp(), &server.enter("ada").await, &room, 2, 2).await;
    meet(&olga, &ada).await;
    drop(waiting);
    let crowded = "parlor_media_tcp_refused_total{reason=\"crowded\"}";
    until(crowded, async || figure(&server.base, crowded).await.filter(|count| *count >= 2.0)).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn one_address_gets_so_many_connections_and_no_more() {
    let server = server(|config| config.sfu.tcp_connections_per_address = 1).await;
    let olga = server.enter("olga").await;
    let room = olga.create_room("call", "public").await;
    let ada = Caller::join_by(Way::tcp(), &olga, &room, 1, 2).await;
    let door = door_of(&ada);
    let sdp = ada.answer["sdp"].as_str().expect("an answer has SDP");
    let ours = sdp.lines().find_map(|line| line.strip_prefix("a=ice-ufrag:")).expect("an answer has it").to_owned();
    let check = framed(&binding(&user_name(&format!("{ours}:bbb"))));
    let second = tokio::task::spawn_blocking(move || Stranger::show(door, &check).sees_the_end());
    second.await.expect("the second is sent away");
    let full = "parlor_media_tcp_refused_total{reason=\"full\"}";
    until(full, async || figure(&server.base, full).await.filter(|count| *count >= 1.0)).await;
    // The place is free again when its owner is gone.
    ada.close().await;
    let none = async || figure(&server.base, "parlor_media_tcp_connections").await.filter(|now| *now == 0.0);
    until("it is closed", none).await;
    Caller::join_by(Way::tcp(), &server.enter("bob").await, &room, 2, 2).await;
}
