//! The Binding method: what is my address? (RFC 8489)

use parlor_turn::message::{Class, Method, Writer};
use parlor_turn::server::MAX_BINDING_BYTES;
use parlor_turn::{ANSWERS_PER_S, BURST, Client, DropReason, REFILL};

use crate::scene::{Answer, Scene, USERNAME, mapped, udp};

fn request(extra: &[(u16, &[u8])], fingerprint: bool) -> Vec<u8> {
    let mut bytes = Vec::new();
    let mut message = Writer::new(&mut bytes, Class::Request, Method::Binding, &[6; 12]);
    for (kind, value) in extra {
        message.add(*kind, value);
    }
    if fingerprint {
        message.add_fingerprint();
    }
    bytes
}

fn ask(bytes: &[u8]) -> Result<Answer, DropReason> {
    let mut scene = Scene::new();
    let answer = scene.say(udp("192.0.2.1:40000"), bytes);
    answer.ok_or_else(|| DropReason::ALL.into_iter().find(|reason| scene.dropped(*reason) == 1).expect("one reason"))
}

#[test]
fn a_client_learns_its_address() {
    let mut scene = Scene::new();
    for address in ["192.0.2.1:40000", "[2001:db8::1]:40000"] {
        for fingerprint in [false, true] {
            let request = request(&[], fingerprint);
            let answer = scene.say(udp(address), &request).unwrap();
            assert_eq!(mapped(&answer), address.parse().unwrap());
            assert_eq!(answer.raw[..2], [1, 1]);
            assert_eq!(answer.attribute(0x8028).is_some(), fingerprint);
            assert!(answer.attribute(0x8022).is_none(), "nobody needs to know the program");
            assert!(answer.raw.len() <= request.len() + 24, "of no use to those who forge addresses");
        }
    }
    assert_eq!(scene.counts().answered, 4);
}

#[test]
fn without_rules_it_is_all_there_is() {
    let mut scene = Scene::new();
    scene.server = parlor_turn::server::Server::new(None, scene.now.instant, &[0; 32]);
    assert!(scene.say(udp("192.0.2.1:1"), &request(&[], true)).is_some());
    for method in [Method::Allocate, Method::Refresh, Method::CreatePermission, Method::ChannelBind] {
        let mut bytes = Vec::new();
        Writer::new(&mut bytes, Class::Request, method, &[6; 12]).add_fingerprint();
        assert!(scene.say(udp("192.0.2.1:1"), &bytes).is_none());
    }
    assert_eq!(scene.dropped(DropReason::NotRequest), 4);
}

#[test]
fn unknown_required_attributes_are_named() {
    let answer = ask(&request(&[(0x0003, &[0; 4])], true)).unwrap();
    assert_eq!(answer.code(), Some(420));
    assert_eq!(answer.attribute(0x000A).unwrap(), [0, 3]);
    // Many of them make no long answer.
    let many: Vec<(u16, &[u8])> = (0x0030..0x0050).map(|kind| (kind, &[][..])).collect();
    let request = request(&many, false);
    assert!(ask(&request).unwrap().raw.len() <= request.len());
}

#[test]
fn credentials_are_ignored() {
    assert_eq!(ask(&request(&[(USERNAME, b"ada"), (0x0008, &[0; 20])], false)).unwrap().code(), None);
}

#[test]
fn bad_datagrams_are_dropped_with_a_reason() {
    let good = request(&[], true);
    let changed = |change: &dyn Fn(&mut Vec<u8>)| {
        let mut bytes = good.clone();
        change(&mut bytes);
        bytes
    };
    let mut lying_attribute = request(&[(USERNAME, b"ada.")], false);
    lying_attribute[23] = 200;
    let cases = [
        (Vec::new(), DropReason::Malformed),
        (good[..19].to_vec(), DropReason::Malformed),
        (changed(&|bytes| *bytes.last_mut().unwrap() ^= 1), DropReason::Malformed),
        (changed(&|bytes| bytes[3] += 4), DropReason::Malformed),
        (changed(&|bytes| bytes[4] = 0), DropReason::Malformed),
        (lying_attribute, DropReason::Malformed),
        (request(&[(0x8022, &[b'x'; MAX_BINDING_BYTES])], false), DropReason::TooLong),
        (vec![0x80; 40], DropReason::Malformed),
    ];
    for (bytes, reason) in cases {
        assert_eq!(ask(&bytes).err(), Some(reason), "{bytes:02x?}");
    }
    for class in [Class::Indication, Class::Success, Class::Error] {
        let mut bytes = Vec::new();
        Writer::new(&mut bytes, class, Method::Binding, &[6; 12]).add_fingerprint();
        assert_eq!(ask(&bytes).err(), Some(DropReason::NotRequest));
    }
    let mut scene = Scene::new();
    for source in ["192.0.2.1:0", "224.0.0.1:4000", "0.0.0.0:4000"] {
        assert!(scene.say(Client::Udp { remote: source.parse().unwrap(), local: None }, &good).is_none());
    }
    assert_eq!(scene.dropped(DropReason::BadSource), 3);
}

#[test]
fn a_source_has_a_budget_and_others_keep_theirs() {
    let mut scene = Scene::new();
    let request = request(&[], false);
    let answers = |scene: &mut Scene, from: &str, n: u32| {
        (0..n).filter(|_| scene.say(udp(from), &request).is_some()).count() as u32
    };
    assert_eq!(answers(&mut scene, "[2001:db8::1]:1", 500), BURST);
    assert_eq!(answers(&mut scene, "[2001:db8::2]:2", 9), 0, "the same /64 is the same source");
    // Another source shares the place with a chance of 1 in 4096; of ten, most must not.
    let others = (1..=10).filter(|i| answers(&mut scene, &format!("192.0.2.{i}:1"), 1) == 1).count();
    assert!(others >= 8, "{others}");
    scene.later(1);
    assert_eq!(answers(&mut scene, "[2001:db8::1]:1", 500), ANSWERS_PER_S);
    scene.later(REFILL.as_secs());
    assert_eq!(answers(&mut scene, "[2001:db8::1]:1", 500), BURST);
}
