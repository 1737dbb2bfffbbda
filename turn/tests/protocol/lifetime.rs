//! Allocations, permissions and channels end.

use std::time::Duration;

use parlor_turn::message::Method;
use parlor_turn::server::{MOST_AGE, MOST_LIFETIME_S};
use parlor_turn::{CHANNEL_LIFE, DropReason, PERMISSION_LIFE, Refusal};

use crate::scene::{Caller, LIFETIME, REQUESTED_TRANSPORT, Scene, channel_data};

const TRANSPORT: (u16, &[u8]) = (REQUESTED_TRANSPORT, &[17, 0, 0, 0]);

#[test]
fn an_allocation_lives_as_long_as_it_is_told() {
    let mut scene = Scene::new();
    for (wanted, granted) in [(1_u32, 600), (700, 700), (1_000_000, MOST_LIFETIME_S)] {
        let mut ada = Caller::new(&mut scene, &format!("203.0.113.9:{}", wanted % 60_000 + 1), "ada");
        let answer = ada.ask(&mut scene, Method::Allocate, &[TRANSPORT, (LIFETIME, &wanted.to_be_bytes())]);
        assert_eq!(answer.succeeded().lifetime_s(), granted);
    }
    assert_eq!(scene.open.len(), 3);
    for (s, left) in [(599, 3), (1, 2), (100, 1), (2899, 1), (1, 0)] {
        scene.later(s);
        assert_eq!((scene.open.len(), scene.counts().allocations), (left, left as u64));
    }
    assert_eq!(scene.server.poll_timeout(), None, "nothing is left to do");
}

#[test]
fn a_refresh_keeps_it_and_a_refresh_to_nothing_ends_it() {
    let mut scene = Scene::new();
    let mut ada = Caller::new(&mut scene, "203.0.113.9:4000", "ada");
    ada.ask(&mut scene, Method::Refresh, &[]).refused(Refusal::Mismatch);
    ada.allocate(&mut scene).succeeded();
    for _ in 0..5 {
        scene.later(500);
        ada.ask_nonce_again(&mut scene);
        assert_eq!(ada.ask(&mut scene, Method::Refresh, &[]).succeeded().lifetime_s(), 600);
    }
    assert_eq!(scene.open.len(), 1);
    ada.ask(&mut scene, Method::Refresh, &[(LIFETIME, b"no")]).refused(Refusal::BadRequest);
    let answer = ada.ask(&mut scene, Method::Refresh, &[(LIFETIME, &[0; 4])]);
    assert_eq!(answer.succeeded().lifetime_s(), 0);
    assert!(scene.open.is_empty());
    ada.ask(&mut scene, Method::Refresh, &[(LIFETIME, &[0; 4])]).refused(Refusal::Mismatch);
    // The place is free for another one.
    ada.allocate(&mut scene).succeeded();
}

#[test]
fn a_lost_answer_is_said_again_and_a_second_allocation_is_refused() {
    let mut scene = Scene::new();
    let mut ada = Caller::new(&mut scene, "203.0.113.9:4000", "ada");
    let request = ada.write(Method::Allocate, &[TRANSPORT]);
    let first = scene.say(ada.at, &request).unwrap();
    first.succeeded();
    scene.later(3);
    let again = scene.say(ada.at, &request).unwrap();
    assert_eq!(first.raw, again.raw);
    ada.allocate(&mut scene).refused(Refusal::Mismatch);
    assert_eq!((scene.open.len(), scene.counts().allocated), (1, [1, 0]));
}

#[test]
fn a_call_outlives_its_credential() {
    let mut scene = Scene::new();
    let mut ada = Caller::new(&mut scene, "203.0.113.9:4000", "ada");
    ada.allocate(&mut scene).succeeded();
    let hour = &[(LIFETIME, &3600_u32.to_be_bytes()[..])];
    let mut age = Duration::ZERO;
    while age + Duration::from_secs(3000) < MOST_AGE {
        ada.ask_nonce_again(&mut scene);
        ada.ask(&mut scene, Method::Refresh, hour).succeeded();
        ada.permit(&mut scene, "8.8.8.8:53").succeeded();
        scene.later(3000);
        age += Duration::from_secs(3000);
    }
    // Not for ever, and not for another allocation.
    scene.later(3000);
    ada.ask_nonce_again(&mut scene);
    ada.ask(&mut scene, Method::Refresh, hour).refused(Refusal::Unauthenticated);
    ada.at = crate::scene::udp("203.0.113.9:4001");
    ada.ask_nonce(&mut scene);
    ada.allocate(&mut scene).refused(Refusal::Unauthenticated);
}

#[test]
fn permissions_last_five_minutes() {
    let mut scene = Scene::new();
    let mut ada = Caller::new(&mut scene, "203.0.113.9:4000", "ada");
    ada.allocate(&mut scene).succeeded();
    ada.permit(&mut scene, "8.8.8.8:1").succeeded();
    scene.later(PERMISSION_LIFE.as_secs() - 1);
    assert!(scene.peer_sends("8.8.8.8:4000", b"in").is_ok());
    scene.later(1);
    assert_eq!(scene.peer_sends("8.8.8.8:4000", b"in"), Err(DropReason::NoPermission));
    assert_eq!(scene.send(ada.at, &ada.indication("8.8.8.8:4000", b"out")), None);
    ada.permit(&mut scene, "8.8.8.8:1").succeeded();
    assert!(scene.send(ada.at, &ada.indication("8.8.8.8:4000", b"out")).is_some());
}

#[test]
fn channels_last_ten_minutes() {
    let mut scene = Scene::new();
    let mut ada = Caller::new(&mut scene, "203.0.113.9:4000", "ada");
    ada.ask(&mut scene, Method::Allocate, &[TRANSPORT, (LIFETIME, &3600_u32.to_be_bytes())]).succeeded();
    ada.bind(&mut scene, 0x4000, "8.8.8.8:4000").succeeded();
    scene.later(CHANNEL_LIFE.as_secs() - 1);
    assert!(scene.send(ada.at, &channel_data(0x4000, b"out")).is_some());
    scene.later(1);
    assert_eq!(scene.send(ada.at, &channel_data(0x4000, b"out")), None);
    assert_eq!(scene.dropped(DropReason::NoRelay), 1);
    // The number may now name another peer.
    ada.ask_nonce_again(&mut scene);
    ada.bind(&mut scene, 0x4000, "8.8.4.4:4000").succeeded();
}

#[test]
fn the_end_of_a_connection_ends_its_allocation() {
    let mut scene = Scene::new();
    let mut ada = Caller::new(&mut scene, "203.0.113.9:4000", "ada");
    ada.at = parlor_turn::Client::Stream { remote: "203.0.113.9:4000".parse().unwrap(), connection: 7 };
    ada.allocate(&mut scene).succeeded();
    assert_eq!(scene.counts().allocated, [0, 1]);
    scene.server.gone(scene.now.instant, ada.at);
    scene.later(0);
    assert!(scene.open.is_empty());
    ada.ask(&mut scene, Method::Refresh, &[]).refused(Refusal::Mismatch);
}
