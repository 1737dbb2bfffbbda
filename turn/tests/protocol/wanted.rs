//! What an Allocate may ask for (RFC 8656 section 7.2).

use parlor_turn::message::Method;
use parlor_turn::{Peers, Refusal};

use crate::scene::{Caller, LIFETIME, REQUESTED_TRANSPORT, Scene, XOR_RELAYED_ADDRESS, rules};

type Attributes<'a> = [(u16, &'a [u8])];

const TRANSPORT: (u16, &[u8]) = (REQUESTED_TRANSPORT, &[17, 0, 0, 0]);
const FAMILY: u16 = 0x0017;
const EVEN_PORT: u16 = 0x0018;
const DONT_FRAGMENT: u16 = 0x001A;
const RESERVATION_TOKEN: u16 = 0x0022;
const ADDITIONAL_FAMILY: u16 = 0x8000;
const ADDRESS_ERROR_CODE: u16 = 0x8001;

#[test]
fn what_cannot_be_given_is_refused_with_its_code() {
    let mut scene = Scene::new();
    let mut ada = Caller::new(&mut scene, "203.0.113.9:4000", "ada");
    let token = (RESERVATION_TOKEN, &[7; 8][..]);
    let cases: [(&Attributes<'_>, Refusal); 12] = [
        (&[], Refusal::BadRequest),
        (&[(REQUESTED_TRANSPORT, &[])], Refusal::BadRequest),
        (&[(REQUESTED_TRANSPORT, &[6, 0, 0, 0])], Refusal::TransportNotSupported),
        (&[TRANSPORT, (FAMILY, &[2, 0, 0, 0])], Refusal::FamilyNotSupported),
        (&[TRANSPORT, (FAMILY, &[3, 0, 0, 0])], Refusal::FamilyNotSupported),
        (&[TRANSPORT, (FAMILY, &[])], Refusal::BadRequest),
        (&[TRANSPORT, (EVEN_PORT, &[0x80])], Refusal::Capacity),
        (&[TRANSPORT, token], Refusal::Capacity),
        (&[TRANSPORT, token, (EVEN_PORT, &[0])], Refusal::BadRequest),
        (&[TRANSPORT, (FAMILY, &[1, 0, 0, 0]), (ADDITIONAL_FAMILY, &[2, 0, 0, 0])], Refusal::BadRequest),
        (&[TRANSPORT, (EVEN_PORT, &[0x80]), (ADDITIONAL_FAMILY, &[2, 0, 0, 0])], Refusal::BadRequest),
        (&[TRANSPORT, (LIFETIME, &[1, 2])], Refusal::BadRequest),
    ];
    for (attributes, refusal) in cases {
        let answer = ada.ask(&mut scene, Method::Allocate, attributes);
        assert_eq!(answer.code(), Some(refusal.code()), "{attributes:02x?}");
    }
    assert!(scene.open.is_empty());
}

#[test]
fn what_can_be_given_is() {
    let mut scene = Scene::new();
    for port in 1..=4 {
        let mut ada = Caller::new(&mut scene, &format!("203.0.113.9:{port}"), "ada");
        let wishes = [TRANSPORT, (EVEN_PORT, &[0][..]), (DONT_FRAGMENT, &[])];
        let answer = ada.ask(&mut scene, Method::Allocate, &wishes);
        assert_eq!(answer.succeeded().address(XOR_RELAYED_ADDRESS).port() % 2, 0);
    }
    let mut bob = Caller::new(&mut scene, "203.0.113.9:5", "bob");
    let answer = bob.ask(&mut scene, Method::Allocate, &[TRANSPORT, (ADDITIONAL_FAMILY, &[2, 0, 0, 0])]);
    assert!(answer.succeeded().address(XOR_RELAYED_ADDRESS).is_ipv4());
    assert_eq!(answer.attribute(ADDRESS_ERROR_CODE).unwrap()[..4], [2, 0, 4, 40]);
}

#[test]
fn ipv6_is_had_where_the_server_has_it() {
    let mut own = rules();
    own.relay_v6 = Some("2606:4700::7".parse().unwrap());
    own.peers = Peers::new(&parlor_turn::Ground { public: true, ..Default::default() });
    let mut scene = Scene::with(own);
    let mut ada = Caller::new(&mut scene, "203.0.113.9:4000", "ada");
    let answer = ada.ask(&mut scene, Method::Allocate, &[TRANSPORT, (FAMILY, &[2, 0, 0, 0])]);
    assert_eq!(answer.succeeded().address(XOR_RELAYED_ADDRESS).ip().to_string(), "2606:4700::7");
    ada.permit(&mut scene, "8.8.8.8:53").refused(Refusal::FamilyMismatch);
    ada.bind(&mut scene, 0x4000, "8.8.8.8:53").refused(Refusal::FamilyMismatch);
    ada.permit(&mut scene, "[2a00::1]:53").succeeded();
    ada.ask(&mut scene, Method::Refresh, &[(FAMILY, &[1, 0, 0, 0])]).refused(Refusal::FamilyMismatch);
    ada.ask(&mut scene, Method::Refresh, &[(FAMILY, &[2, 0, 0, 0])]).succeeded();
}
