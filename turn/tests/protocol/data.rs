//! Datagrams to peers and from them, and who may be one.

use parlor_turn::message::Method;
use parlor_turn::{DropReason, Flow, Refusal};

use crate::scene::{CHANNEL_NUMBER, Caller, Scene, XOR_PEER_ADDRESS, channel_data, data_indication, udp, xored};

fn relayed() -> (Scene, Caller) {
    let mut scene = Scene::new();
    let mut ada = Caller::new(&mut scene, "203.0.113.9:4000", "ada");
    ada.allocate(&mut scene).succeeded();
    (scene, ada)
}

#[test]
fn indications_go_both_ways() {
    let (mut scene, mut ada) = relayed();
    assert_eq!(scene.send(ada.at, &ada.indication("8.8.8.8:4000", b"out")), None, "nobody may without a permission");
    assert_eq!(scene.peer_sends("8.8.8.8:4000", b"in"), Err(DropReason::NoPermission));
    ada.permit(&mut scene, "8.8.8.8:1").succeeded();
    let sent = scene.send(ada.at, &ada.indication("8.8.8.8:4000", b"out"));
    assert_eq!(sent, Some(("8.8.8.8:4000".parse().unwrap(), b"out".to_vec())));
    let (from, data) = data_indication(&scene.peer_sends("8.8.8.8:5", b"inward").unwrap());
    assert_eq!((from, &data[..]), ("8.8.8.8:5".parse().unwrap(), &b"inward"[..]));
    assert_eq!(scene.peer_sends("8.8.4.4:4000", b"in"), Err(DropReason::NoPermission));
    assert_eq!(scene.dropped(DropReason::NoPermission), 3);
    let counts = scene.counts();
    assert_eq!((counts.to_peers, counts.to_clients), (Flow { packets: 1, bytes: 3 }, Flow { packets: 1, bytes: 6 }));
}

#[test]
fn channels_go_both_ways() {
    let (mut scene, mut ada) = relayed();
    ada.bind(&mut scene, 0x4001, "8.8.8.8:4000").succeeded();
    let sent = scene.send(ada.at, &channel_data(0x4001, b"out"));
    assert_eq!(sent, Some(("8.8.8.8:4000".parse().unwrap(), b"out".to_vec())));
    let mut padded = channel_data(0x4001, b"out");
    padded.push(0);
    assert_eq!(scene.send(ada.at, &padded).unwrap().1, b"out");
    assert_eq!(scene.send(ada.at, &channel_data(0x4001, b"")).unwrap().1, b"");
    assert_eq!(scene.peer_sends("8.8.8.8:4000", b"inward").unwrap(), channel_data(0x4001, b"inward"));
    // Another port of the same host has the permission, but not the channel.
    assert!(data_indication(&scene.peer_sends("8.8.8.8:4001", b"in").unwrap()).0.port() == 4001);
    // A channel is kept by binding it again, and is nobody else's.
    ada.bind(&mut scene, 0x4001, "8.8.8.8:4000").succeeded();
    ada.bind(&mut scene, 0x4001, "8.8.4.4:4000").refused(Refusal::BadRequest);
    ada.bind(&mut scene, 0x4002, "8.8.8.8:4000").refused(Refusal::BadRequest);
}

#[test]
fn on_a_stream_channel_data_is_padded() {
    let (mut scene, mut ada) = relayed();
    ada.bind(&mut scene, 0x4001, "8.8.8.8:4000").succeeded();
    assert_eq!(scene.peer_sends("8.8.8.8:4000", b"inward").unwrap().len(), 10, "datagrams need no padding");
    let mut scene = Scene::new();
    let mut bob = Caller::new(&mut scene, "203.0.113.9:4000", "bob");
    bob.at = parlor_turn::Client::Stream { remote: "203.0.113.9:4000".parse().unwrap(), connection: 1 };
    bob.allocate(&mut scene).succeeded();
    bob.bind(&mut scene, 0x4001, "8.8.8.8:4000").succeeded();
    let framed = scene.peer_sends("8.8.8.8:4000", b"inward").unwrap();
    assert_eq!(framed, [&channel_data(0x4001, b"inward")[..], &[0, 0]].concat());
}

#[test]
fn channel_numbers_and_peers_out_of_range_are_refused() {
    let (mut scene, mut ada) = relayed();
    for number in [0, 0x3FFF, 0x8000, 0xFFFF] {
        ada.bind(&mut scene, number, "8.8.8.8:4000").refused(Refusal::BadRequest);
    }
    ada.bind(&mut scene, 0x4000, "8.8.8.8:0").refused(Refusal::BadRequest);
    ada.ask(&mut scene, Method::ChannelBind, &[(CHANNEL_NUMBER, &[0x40, 0, 0, 0])]).refused(Refusal::BadRequest);
    let address = ada.xored("8.8.8.8:4000");
    ada.ask(&mut scene, Method::ChannelBind, &[(XOR_PEER_ADDRESS, &address)]).refused(Refusal::BadRequest);
    ada.ask(&mut scene, Method::CreatePermission, &[]).refused(Refusal::BadRequest);
    ada.ask(&mut scene, Method::CreatePermission, &[(XOR_PEER_ADDRESS, &[0, 1, 2])]).refused(Refusal::BadRequest);
    let many: Vec<(u16, &[u8])> = vec![(XOR_PEER_ADDRESS, &[0, 1, 1, 1, 1, 1, 1, 1]); 17];
    ada.ask(&mut scene, Method::CreatePermission, &many).refused(Refusal::BadRequest);
    ada.bind(&mut scene, 0x4000, "8.8.8.8:4000").succeeded();
    ada.bind(&mut scene, 0x7FFF, "8.8.8.8:4001").succeeded();
}

#[test]
fn peers_that_are_not_public_are_forbidden() {
    let (mut scene, mut ada) = relayed();
    let private = [
        "10.0.0.1:80",
        "100.64.0.1:80",
        "127.0.0.1:80",
        "169.254.169.254:80",
        "172.20.0.1:80",
        "192.168.1.1:80",
        "198.51.100.1:80",
        "224.0.0.1:80",
        "255.255.255.255:80",
        "0.0.0.0:80",
    ];
    for peer in private {
        ada.permit(&mut scene, peer).refused(Refusal::Forbidden);
        ada.bind(&mut scene, 0x4000, peer).refused(Refusal::Forbidden);
        assert_eq!(scene.send(ada.at, &ada.indication(peer, b"out")), None);
        assert!(scene.peer_sends(peer, b"in").is_err());
    }
    // IPv4 addresses in disguise are IPv6 addresses, which this allocation cannot have at all.
    for peer in ["[::ffff:127.0.0.1]:80", "[64:ff9b::7f00:1]:80", "[2002:7f00:1::]:80", "[::1]:80"] {
        ada.permit(&mut scene, peer).refused(Refusal::FamilyMismatch);
    }
    // All or none: one bad address spoils the list.
    let (good, bad) = (ada.xored("8.8.8.8:1"), ada.xored("10.0.0.1:1"));
    let both = [(XOR_PEER_ADDRESS, &good[..]), (XOR_PEER_ADDRESS, &bad[..])];
    ada.ask(&mut scene, Method::CreatePermission, &both).refused(Refusal::Forbidden);
    assert_eq!(scene.send(ada.at, &ada.indication("8.8.8.8:1", b"out")), None);
}

#[test]
fn of_the_server_itself_media_is_reached_and_nothing_else() {
    let (mut scene, mut ada) = relayed();
    ada.permit(&mut scene, "192.0.2.1:10000").succeeded();
    assert!(scene.send(ada.at, &ada.indication("192.0.2.1:10000", b"out")).is_some());
    assert_eq!(scene.send(ada.at, &ada.indication("192.0.2.1:53", b"out")), None);
    ada.bind(&mut scene, 0x4000, "192.0.2.1:53").refused(Refusal::Forbidden);
    ada.bind(&mut scene, 0x4000, "192.0.2.1:10000").succeeded();
    assert!(scene.peer_sends("192.0.2.1:10000", b"in").is_ok());
    assert_eq!(scene.peer_sends("192.0.2.1:53", b"in"), Err(DropReason::NoPermission));
}

#[test]
fn data_without_an_allocation_goes_nowhere() {
    let (mut scene, mut ada) = relayed();
    ada.bind(&mut scene, 0x4000, "8.8.8.8:4000").succeeded();
    let stranger = udp("203.0.113.66:4000");
    assert_eq!(scene.send(stranger, &channel_data(0x4000, b"out")), None);
    assert_eq!(scene.send(stranger, &ada.indication("8.8.8.8:4000", b"out")), None);
    assert_eq!(scene.send(ada.at, &channel_data(0x4001, b"out")), None);
    assert_eq!(scene.dropped(DropReason::NoRelay), 3);
    // An indication with something that must be understood, and one without data.
    let mut strange = ada.indication("8.8.8.8:4000", b"out!");
    strange.extend([0x70, 0, 0, 0]);
    strange[3] += 4;
    assert_eq!(scene.send(ada.at, &strange), None);
    let mut empty = Vec::new();
    parlor_turn::message::Writer::new(&mut empty, parlor_turn::message::Class::Indication, Method::Send, &[8; 12])
        .add(XOR_PEER_ADDRESS, &xored("8.8.8.8:4000", &[8; 12]));
    assert_eq!(scene.send(ada.at, &empty), None);
    assert_eq!(scene.dropped(DropReason::Malformed), 2);
}
