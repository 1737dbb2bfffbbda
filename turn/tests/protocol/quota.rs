//! Nobody takes everything.

use parlor_turn::{BURST, DropReason, MOST_CHANNELS, MOST_PERMISSIONS, Refusal};

use crate::scene::{Caller, Scene, channel_data, rules};

#[test]
fn a_user_has_a_share_of_allocations() {
    let mut scene = Scene::new();
    let mut callers: Vec<Caller> =
        (1..=5).map(|port| Caller::new(&mut scene, &format!("203.0.113.9:{port}"), "ada")).collect();
    for caller in &mut callers[..4] {
        caller.allocate(&mut scene).succeeded();
    }
    callers[4].allocate(&mut scene).refused(Refusal::Quota);
    Caller::new(&mut scene, "203.0.113.9:6", "bob").allocate(&mut scene).succeeded();
    // One that ends makes room.
    let end = &[(crate::scene::LIFETIME, &[0; 4][..])];
    callers[0].ask(&mut scene, parlor_turn::message::Method::Refresh, end).succeeded();
    callers[4].allocate(&mut scene).succeeded();
}

#[test]
fn all_users_together_have_a_share() {
    let mut scene = Scene::new();
    let mut refused = 0;
    for number in 0..110_u16 {
        let at = format!("203.0.{number}.9:4000");
        let answer = Caller::new(&mut scene, &at, &number.to_string()).allocate(&mut scene);
        refused += usize::from(answer.code() == Some(508));
    }
    assert_eq!((scene.open.len(), refused), (100, 10));
}

#[test]
fn a_range_without_a_free_port_is_told() {
    let mut own = rules();
    own.ports = (28_000, 28_000);
    let mut scene = Scene::with(own);
    Caller::new(&mut scene, "203.0.113.9:1", "ada").allocate(&mut scene).succeeded();
    let mut bob = Caller::new(&mut scene, "203.0.113.9:2", "bob");
    bob.allocate(&mut scene).refused(Refusal::Capacity);
    // It left nothing behind.
    assert_eq!((scene.counts().allocations, scene.counts().allocated), (1, [1, 0]));
    scene.later(600);
    bob.ask_nonce(&mut scene);
    bob.allocate(&mut scene).succeeded();
}

#[test]
fn permissions_and_channels_are_counted() {
    let mut scene = Scene::new();
    let mut ada = Caller::new(&mut scene, "203.0.113.9:4000", "ada");
    ada.allocate(&mut scene).succeeded();
    for number in 0..MOST_PERMISSIONS {
        ada.permit(&mut scene, &format!("8.8.8.{number}:1")).succeeded();
    }
    ada.permit(&mut scene, "8.8.4.4:1").refused(Refusal::Capacity);
    ada.permit(&mut scene, "8.8.8.7:1").succeeded();
    for number in 0..MOST_CHANNELS as u16 {
        ada.bind(&mut scene, 0x4000 + number, &format!("8.8.8.8:{}", 1000 + number)).succeeded();
    }
    ada.bind(&mut scene, 0x4FFF, "8.8.8.8:99").refused(Refusal::Capacity);
    scene.later(300);
    ada.permit(&mut scene, "8.8.4.4:1").succeeded();
}

#[test]
fn who_sends_too_fast_loses_packets_and_nobody_else_does() {
    let mut scene = Scene::new();
    let mut ada = Caller::new(&mut scene, "203.0.113.9:4000", "ada");
    let mut bob = Caller::new(&mut scene, "203.0.113.9:4001", "bob");
    for caller in [&mut ada, &mut bob] {
        caller.allocate(&mut scene).succeeded();
        caller.bind(&mut scene, 0x4000, "8.8.8.8:4000").succeeded();
    }
    let packet = channel_data(0x4000, &[1; 1000]);
    let sent = (0..3000).filter(|_| scene.send(ada.at, &packet).is_some()).count();
    assert!((900..=1000).contains(&sent), "a second's worth at once: {sent}");
    assert_eq!(scene.dropped(DropReason::OverQuota), 3000 - sent as u64);
    assert!(scene.send(bob.at, &packet).is_some());
    scene.later(1);
    let sent = (0..3000).filter(|_| scene.send(ada.at, &packet).is_some()).count();
    assert!((900..=1001).contains(&sent), "{sent}");
    assert_eq!(scene.counts().to_peers.bytes, scene.counts().to_peers.packets * 1000);
}

#[test]
fn a_flood_without_credentials_is_answered_sparingly() {
    let mut scene = Scene::new();
    let mut ada = Caller::new(&mut scene, "203.0.113.9:4000", "ada");
    ada.allocate(&mut scene).succeeded();
    let mut bad = Caller { nonce: "old".into(), ..Caller::new(&mut scene, "203.0.113.9:4001", "eve") };
    let requests: Vec<Vec<u8>> = (0..500).map(|_| bad.write(parlor_turn::message::Method::Allocate, &[])).collect();
    let answers = requests.iter().filter(|request| scene.say(bad.at, request).is_some()).count();
    assert!(answers <= BURST as usize, "{answers}");
    assert_eq!(scene.dropped(DropReason::RateLimited), 500 - answers as u64);
    // Who has an allocation is not held up by others behind the same address.
    ada.ask(&mut scene, parlor_turn::message::Method::Refresh, &[]).succeeded();
    // Nor is anybody elsewhere.
    Caller::new(&mut scene, "203.0.114.9:4000", "bob").allocate(&mut scene).succeeded();
}
