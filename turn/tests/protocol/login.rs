//! Who may use the relay (RFC 8489 section 9.2).

use parlor_turn::message::{Class, Integrity, Message, Method, Writer};
use parlor_turn::{Credentials, Refusal, Secret};
use ring::digest;

use crate::scene::{Caller, NONCE, REALM, REQUESTED_TRANSPORT, Scene, USERNAME, XOR_RELAYED_ADDRESS, mapped, secret};

const PASSWORD_ALGORITHM: u16 = 0x001D;
const PASSWORD_ALGORITHMS: u16 = 0x8002;
const OFFER: [u8; 8] = [0, 2, 0, 0, 0, 1, 0, 0];

#[test]
fn who_knows_the_password_gets_a_relay() {
    let mut scene = Scene::new();
    let mut ada = Caller::new(&mut scene, "203.0.113.9:4000", "ada");
    let answer = ada.allocate(&mut scene);
    answer.succeeded();
    assert!(answer.is_signed(&ada.signing_key()), "an answer is signed as its request");
    assert_eq!(mapped(&answer), "203.0.113.9:4000".parse().unwrap());
    let relayed = answer.address(XOR_RELAYED_ADDRESS);
    assert_eq!(relayed.ip().to_string(), "192.0.2.1");
    assert_eq!(scene.open.iter().map(|(_, port)| *port).collect::<Vec<_>>(), [relayed.port()]);
    assert!((28_000..=28_999).contains(&relayed.port()));
    assert_eq!(answer.lifetime_s(), 600);
}

#[test]
fn a_challenge_says_what_is_needed_and_is_not_signed() {
    let mut scene = Scene::new();
    let mut bytes = Vec::new();
    Writer::new(&mut bytes, Class::Request, Method::Allocate, &[3; 12]).add(REQUESTED_TRANSPORT, &[17, 0, 0, 0]);
    let answer = scene.say(crate::scene::udp("203.0.113.9:4000"), &bytes).unwrap();
    answer.refused(Refusal::Unauthenticated);
    assert_eq!(answer.text(REALM).as_deref(), Some("parlor"));
    assert!(answer.text(NONCE).unwrap().starts_with("obMatJos2"));
    assert_eq!(answer.attribute(PASSWORD_ALGORITHMS).as_deref(), Some(&OFFER[..]));
    assert!(answer.attribute(0x0008).is_none() && answer.attribute(0x8028).is_none());
    assert_eq!(answer.message.transaction_id.0, [3; 12]);
}

#[test]
fn wrong_credentials_are_refused() {
    let mut scene = Scene::new();
    let good = Caller::new(&mut scene, "203.0.113.9:4000", "ada");
    let other_secret = Secret::from(String::from("south"));
    let now_s = scene.now.unix_s;
    let old = Credentials::make(&secret(), "ada", now_s - 3600, 3600);
    let wrong: [(&str, Caller); 6] = [
        ("realm", Caller { realm: "another".into(), ..good.clone() }),
        ("secret", Caller { credentials: Credentials::make(&other_secret, "ada", now_s, 3600), ..good.clone() }),
        ("expired", Caller { credentials: old.clone(), ..good.clone() }),
        ("prolonged", {
            let username = good.credentials.username.clone();
            Caller { credentials: Credentials { username, ..old }, ..good.clone() }
        }),
        ("another user's", {
            let username = good.credentials.username.replace("ada", "bob");
            Caller { credentials: Credentials { username, ..good.credentials.clone() }, ..good.clone() }
        }),
        ("no time", Caller { credentials: Credentials::make(&secret(), "ada", u64::MAX, 0), ..good.clone() }),
    ];
    for (what, mut caller) in wrong {
        if what == "no time" {
            caller.credentials.username = "ada".into();
        }
        let answer = caller.allocate(&mut scene);
        assert_eq!(answer.code(), Some(401), "{what}");
        assert!(answer.text(NONCE).is_some(), "{what}");
    }
    assert_eq!(scene.counts().refused(Refusal::Unauthenticated), 7);
    assert!(scene.open.is_empty());
    good.clone().allocate(&mut scene).succeeded();
}

#[test]
fn nonces_grow_stale() {
    let mut scene = Scene::new();
    let mut ada = Caller::new(&mut scene, "203.0.113.9:4000", "ada");
    ada.allocate(&mut scene).succeeded();
    scene.later(599);
    ada.ask(&mut scene, Method::Refresh, &[]).succeeded();
    scene.later(1);
    let answer = ada.ask(&mut scene, Method::Refresh, &[]);
    answer.refused(Refusal::StaleNonce);
    assert_eq!(answer.text(REALM).as_deref(), Some("parlor"));
    ada.nonce = answer.text(NONCE).unwrap();
    ada.ask(&mut scene, Method::Refresh, &[]).succeeded();
    // Somebody else's nonce, and one that nobody made.
    let bob = Caller::new(&mut scene, "203.0.113.10:4000", "bob");
    for nonce in [bob.nonce, "obMatJos2gAAA".into(), "x".repeat(500)] {
        Caller { nonce, ..ada.clone() }.ask(&mut scene, Method::Refresh, &[]).refused(Refusal::StaleNonce);
    }
}

#[test]
fn half_a_login_is_a_bad_request() {
    let mut scene = Scene::new();
    let ada = Caller::new(&mut scene, "203.0.113.9:4000", "ada");
    for missing in [USERNAME, REALM, NONCE] {
        let mut bytes = Vec::new();
        let mut message = Writer::new(&mut bytes, Class::Request, Method::Allocate, &[4; 12]);
        let attributes = [(USERNAME, &ada.credentials.username), (REALM, &ada.realm), (NONCE, &ada.nonce)];
        for (kind, value) in attributes.into_iter().filter(|(kind, _)| *kind != missing) {
            message.add(kind, value.as_bytes());
        }
        message.sign(Integrity::Sha1, &ada.signing_key());
        scene.say(ada.at, &bytes).unwrap().refused(Refusal::BadRequest);
    }
}

#[test]
fn sha256_is_answered_with_sha256() {
    let mut scene = Scene::new();
    let mut ada = Caller::new(&mut scene, "203.0.113.9:4000", "ada");
    ada.integrity = Integrity::Sha256;
    let answer = ada.allocate(&mut scene);
    answer.succeeded();
    let read = Message::read(&answer.raw).unwrap();
    assert_eq!(read.integrity(), Some(Integrity::Sha256));
    assert!(read.is_signed_with(&ada.signing_key()) && !read.is_signed_with(b"another key"));
    // And the password hashed with it, which a client may choose that repeats the offer.
    let mut bob = Caller::new(&mut scene, "203.0.113.10:4000", "bob");
    let line = format!("{}:parlor:{}", bob.credentials.username, bob.credentials.credential);
    bob.key = Some(digest::digest(&digest::SHA256, line.as_bytes()).as_ref().to_vec());
    bob.integrity = Integrity::Sha256;
    let transport = (REQUESTED_TRANSPORT, &[17, 0, 0, 0][..]);
    let chosen = (PASSWORD_ALGORITHM, &[0, 2, 0, 0][..]);
    // Who weakened the offer on the way is found out.
    let weakened = (PASSWORD_ALGORITHMS, &[0, 1, 0, 0][..]);
    bob.ask(&mut scene, Method::Allocate, &[transport, weakened, chosen]).refused(Refusal::BadRequest);
    bob.ask(&mut scene, Method::Allocate, &[transport, chosen]).refused(Refusal::BadRequest);
    let unknown = (PASSWORD_ALGORITHM, &[0, 3, 0, 0][..]);
    bob.ask(&mut scene, Method::Allocate, &[transport, (PASSWORD_ALGORITHMS, &OFFER), unknown])
        .refused(Refusal::BadRequest);
    bob.ask(&mut scene, Method::Allocate, &[transport, (PASSWORD_ALGORITHMS, &OFFER), chosen]).succeeded();
}

#[test]
fn unknown_attributes_that_must_be_understood_are_named() {
    let mut scene = Scene::new();
    let mut ada = Caller::new(&mut scene, "203.0.113.9:4000", "ada");
    let transport = (REQUESTED_TRANSPORT, &[17, 0, 0, 0][..]);
    let answer = ada.ask(&mut scene, Method::Allocate, &[transport, (0x7001, b"what"), (0x7002, b"")]);
    answer.refused(Refusal::UnknownAttribute);
    assert_eq!(answer.attribute(0x000A).unwrap(), [0x70, 1, 0x70, 2]);
    assert!(answer.is_signed(&ada.signing_key()));
    ada.ask(&mut scene, Method::Allocate, &[transport, (0xC001, b"optional")]).succeeded();
}

#[test]
fn an_allocation_belongs_to_its_user() {
    let mut scene = Scene::new();
    let mut ada = Caller::new(&mut scene, "203.0.113.9:4000", "ada");
    ada.allocate(&mut scene).succeeded();
    let mut bob = Caller { credentials: Credentials::make(&secret(), "bob", scene.now.unix_s, 60), ..ada.clone() };
    bob.ask(&mut scene, Method::Refresh, &[]).refused(Refusal::WrongCredentials);
    bob.permit(&mut scene, "8.8.8.8:53").refused(Refusal::WrongCredentials);
    bob.bind(&mut scene, 0x4000, "8.8.8.8:53").refused(Refusal::WrongCredentials);
    // A renewed credential of the same user is as good.
    let mut renewed = Caller { credentials: Credentials::make(&secret(), "ada", scene.now.unix_s, 99), ..ada };
    renewed.ask(&mut scene, Method::Refresh, &[]).succeeded();
}
