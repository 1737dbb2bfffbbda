//! Nobody takes everything.

use parlor_turn::{BURST, DropReason, Ground, LEAST_BYTES, MOST_CHANNELS, MOST_PERMISSIONS, Peers, Refusal};

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

/// Guests who allocate from such an address as long as they get something; how many they got.
fn take_all(scene: &mut Scene, address: &str, guests: u32) -> usize {
    let before = scene.open.len();
    for guest in 0..guests {
        let mut callers = (1..=4).map(|port| (format!("{address}:{}", 4 * guest + port), format!("{address}-{guest}")));
        while let Some((at, user)) = callers.next()
            && Caller::new(scene, &at, &user).allocate(scene).code().is_none()
        {}
        // A source makes so many at once, and so many a second.
        scene.later(1);
    }
    scene.open.len() - before
}

#[test]
fn however_many_guests_one_address_has_a_share() {
    let mut scene = Scene::new();
    assert_eq!(take_all(&mut scene, "203.0.113.9", 20), 30, "the bound of an address");
    // The /64 of one household is one, whatever its devices call themselves.
    let mut callers = (1..=60).map(|number| format!("[2001:db8:1:1::{number:x}]:4000"));
    let made = callers.by_ref().take_while(|at| {
        scene.later(1);
        Caller::new(&mut scene, at, at).allocate(&mut scene).code().is_none()
    });
    let made = made.count();
    assert!((20..=30).contains(&made), "{made}");
}

#[test]
fn when_all_are_taken_the_greediest_makes_room() {
    let mut scene = Scene::new();
    // Somebody who is in a call, behind the same address as those who hoard.
    let mut ada = Caller::new(&mut scene, "203.0.1.9:9", "ada");
    ada.allocate(&mut scene).succeeded();
    ada.bind(&mut scene, 0x4000, "8.8.8.8:4000").succeeded();
    for number in 1..100 {
        let at = format!("203.0.{}.9:{}", number / 29 + 1, 4000 + number);
        Caller::new(&mut scene, &at, &number.to_string()).allocate(&mut scene).succeeded();
        scene.later(1);
    }
    assert!(scene.send(ada.at, &channel_data(0x4000, b"on")).is_some());
    // Ten others come, each from elsewhere: none is kept out, and who is in a call stays there.
    for number in 0..10 {
        let at = format!("198.51.{number}.9:4000");
        let mut late = Caller::new(&mut scene, &at, &at);
        late.allocate(&mut scene).succeeded();
    }
    assert_eq!((scene.open.len(), scene.dropped(DropReason::Displaced)), (100, 10));
    assert!(scene.send(ada.at, &channel_data(0x4000, b"still")).is_some());
    // The greedy get no more.
    Caller::new(&mut scene, "203.0.2.9:8", "eve").allocate(&mut scene).refused(Refusal::Capacity);
}

#[test]
fn an_address_has_a_rate_for_all_its_users() {
    let mut scene = Scene::new();
    let mut guest = |number: u16| {
        let at = format!("203.0.113.9:{}", 4000 + number);
        let mut guest = Caller::new(&mut scene, &at, &number.to_string());
        guest.allocate(&mut scene).succeeded();
        guest.bind(&mut scene, 0x4000, "8.8.8.8:4000").succeeded();
        guest.at
    };
    let guests: Vec<_> = (0..10).map(&mut guest).collect();
    let packet = channel_data(0x4000, &[1; 1000]);
    let of = |scene: &mut Scene, at| (0..1000).filter(|_| scene.send(at, &packet).is_some()).count();
    let sent: usize = guests.iter().map(|at| of(&mut scene, *at)).sum();
    assert!((2_500..=3_000).contains(&sent), "a second's worth of the address: {sent}");
    let mut other = Caller::new(&mut scene, "203.0.114.9:4000", "other");
    other.allocate(&mut scene).succeeded();
    other.bind(&mut scene, 0x4000, "8.8.8.8:4000").succeeded();
    assert!(of(&mut scene, other.at) > 900, "nobody elsewhere loses by it");
}

#[test]
fn empty_datagrams_cost_something_too() {
    let mut scene = Scene::new();
    let mut ada = Caller::new(&mut scene, "203.0.113.9:4000", "ada");
    ada.allocate(&mut scene).succeeded();
    ada.bind(&mut scene, 0x4000, "8.8.8.8:4000").succeeded();
    let most = 1_000_000 / LEAST_BYTES as usize + 1;
    let sent = (0..2 * most).filter(|_| scene.send(ada.at, &channel_data(0x4000, &[])).is_some()).count();
    assert!((most - 200..=most).contains(&sent), "a second's worth at once: {sent}");
    scene.later(1);
    let arrived = (0..2 * most).filter(|_| scene.peer_sends("8.8.8.8:4000", &[]).is_ok()).count();
    assert!((most - 200..=most).contains(&arrived), "in the other direction: {arrived}");
}

#[test]
fn an_address_that_becomes_ours_is_closed_at_once() {
    let mut scene = Scene::new();
    let mut ada = Caller::new(&mut scene, "203.0.113.9:4000", "ada");
    ada.allocate(&mut scene).succeeded();
    ada.bind(&mut scene, 0x4000, "8.8.8.8:22").succeeded();
    let packet = channel_data(0x4000, &[1; 10]);
    assert!(scene.send(ada.at, &packet).is_some());
    let machine = vec!["8.8.8.8".parse().unwrap()];
    scene.server.replace_peers(Peers::new(&Ground { public: true, machine, ..Ground::default() }));
    assert!(scene.send(ada.at, &packet).is_none());
    ada.bind(&mut scene, 0x4000, "8.8.8.8:22").refused(Refusal::Forbidden);
}
