//! Checks as browsers send them, read and answered; the responses read by `rtc-stun`.

use std::net::SocketAddr;

use parlor_media::drop::Drop;
use parlor_media::ice::{self, Agent, Check};
use proptest::prelude::*;
use rtc_stun::attributes::{ATTR_ERROR_CODE, ATTR_UNKNOWN_ATTRIBUTES, ATTR_USERNAME, AttrType};
use rtc_stun::fingerprint::FINGERPRINT;
use rtc_stun::integrity::MessageIntegrity;
use rtc_stun::message::{
    BINDING_ERROR, BINDING_REQUEST, BINDING_SUCCESS, Getter, Message, MessageType, Setter, TransactionId,
};
use rtc_stun::textattrs::TextAttribute;
use rtc_stun::xoraddr::XorMappedAddress;

const ICE_CONTROLLED: AttrType = AttrType(0x8029);
const ICE_CONTROLLING: AttrType = AttrType(0x802a);
const USE_CANDIDATE: AttrType = AttrType(0x25);
const PRIORITY: AttrType = AttrType(0x24);

fn agent() -> Agent {
    Agent::new("local".into(), "local password of 22+ characters".into(), "remote".into())
}

fn from() -> SocketAddr {
    "192.0.2.7:40000".parse().unwrap()
}

struct Attribute(AttrType, &'static [u8]);

impl Setter for Attribute {
    fn add_to(&self, message: &mut Message) -> rtc_shared::error::Result<()> {
        message.add(self.0, self.1);
        Ok(())
    }
}

/// A check with these attributes between USERNAME and MESSAGE-INTEGRITY.
fn check(username: &str, password: &str, attributes: &[Attribute]) -> Vec<u8> {
    let mut message = Message::new();
    let provider = rtc_crypto::default_provider().unwrap();
    let mut setters: Vec<Box<dyn Setter + '_>> = vec![
        Box::new(BINDING_REQUEST),
        Box::new(TransactionId::new()),
        Box::new(TextAttribute::new(ATTR_USERNAME, username.to_owned())),
    ];
    setters
        .extend(attributes.iter().map(|Attribute(kind, value)| Box::new(Attribute(*kind, value)) as Box<dyn Setter>));
    let password = password.to_owned();
    setters.push(Box::new(MessageIntegrity::new_short_term_integrity_with_provider(password, provider.crypto())));
    setters.push(Box::new(FINGERPRINT));
    message.build(&setters).unwrap();
    message.raw
}

fn controlling(nominating: bool) -> Vec<Attribute> {
    let mut attributes = vec![Attribute(ICE_CONTROLLING, &[1; 8]), Attribute(PRIORITY, &[0x6e, 0xff, 0xff, 0xff])];
    if nominating {
        attributes.push(Attribute(USE_CANDIDATE, &[]));
    }
    attributes
}

fn read(response: &[u8]) -> Message {
    let mut message = Message::new();
    message.raw = response.to_vec();
    message.decode().unwrap();
    message
}

fn assert_is_signed(response: &Message, kind: MessageType) {
    assert_eq!(response.typ, kind);
    let provider = rtc_crypto::default_provider().unwrap();
    let password = agent().local_pwd.into_bytes();
    MessageIntegrity::check(&mut response.clone(), &password, provider.crypto()).unwrap();
    FINGERPRINT.check(response).unwrap();
}

#[test]
fn an_authentic_check_is_answered_with_the_address_it_came_from() {
    for from in [from(), "[2001:db8::7]:40000".parse().unwrap()] {
        for nominating in [false, true] {
            let request = check("local:remote", &agent().local_pwd, &controlling(nominating));
            assert!(ice::is_stun(&request));
            assert_eq!(ice::local_ufrag(&request), Some("local"));
            let mut out = vec![1, 2, 3];
            let taken = agent().handle(from, &request, &mut out).unwrap();
            assert_eq!(taken, Check { nominated: nominating, accepted: true });
            let response = read(&out);
            assert_is_signed(&response, BINDING_SUCCESS);
            assert_eq!(response.transaction_id, read(&request).transaction_id);
            let mut mapped = XorMappedAddress::default();
            mapped.get_from(&response).unwrap();
            assert_eq!(SocketAddr::new(mapped.ip, mapped.port), from);
        }
    }
}

#[test]
fn a_mapped_source_is_told_its_ipv4_address() {
    let request = check("local:remote", &agent().local_pwd, &controlling(true));
    let mut out = Vec::new();
    agent().handle("[::ffff:192.0.2.7]:40000".parse().unwrap(), &request, &mut out).unwrap();
    let mut mapped = XorMappedAddress::default();
    mapped.get_from(&read(&out)).unwrap();
    assert_eq!(SocketAddr::new(mapped.ip, mapped.port), from());
}

#[test]
fn forgeries_get_no_answer() {
    let password = agent().local_pwd;
    let mut flipped = check("local:remote", &password, &controlling(true));
    let length = flipped.len();
    flipped[40] ^= 1;
    let mut unsigned = Message::new();
    unsigned
        .build(&[
            Box::new(BINDING_REQUEST),
            Box::new(TransactionId::new()),
            Box::new(TextAttribute::new(ATTR_USERNAME, "local:remote".into())),
        ])
        .unwrap();
    let cases = [
        (check("local:other", &password, &controlling(true)), Drop::StunUnknownUfrag),
        (check("other:remote", &password, &controlling(true)), Drop::StunUnknownUfrag),
        (check("localremote", &password, &controlling(true)), Drop::StunUnknownUfrag),
        (check("local:remote", "another password", &controlling(true)), Drop::StunIntegrity),
        (flipped.clone(), Drop::StunIntegrity),
        (unsigned.raw, Drop::StunIntegrity),
        (flipped[..length - 4].to_vec(), Drop::StunMalformed),
        (b"\0\x01\0\0not a cookie   ".to_vec(), Drop::StunMalformed),
    ];
    for (at, (datagram, reason)) in cases.into_iter().enumerate() {
        let mut out = vec![1];
        assert_eq!(agent().handle(from(), &datagram, &mut out), Err(reason), "case {at}");
        assert!(out.is_empty(), "case {at}");
    }
}

#[test]
fn use_candidate_behind_the_integrity_does_not_count() {
    // RFC 8489 §14.5: an attacker on the way may append what it likes.
    let mut request = check("local:remote", &agent().local_pwd, &controlling(false));
    request.truncate(request.len() - 8);
    request.extend_from_slice(&[0, 0x25, 0, 0]);
    let len = (request.len() - 20) as u16;
    request[2..4].copy_from_slice(&len.to_be_bytes());
    let mut out = Vec::new();
    assert_eq!(agent().handle(from(), &request, &mut out), Ok(Check { nominated: false, accepted: true }));
}

#[test]
fn a_client_that_would_be_controlled_learns_of_the_conflict() {
    let request = check("local:remote", &agent().local_pwd, &[Attribute(ICE_CONTROLLED, &[1; 8])]);
    let mut out = Vec::new();
    assert_eq!(agent().handle(from(), &request, &mut out), Ok(Check { nominated: false, accepted: false }));
    let response = read(&out);
    assert_is_signed(&response, BINDING_ERROR);
    assert_eq!(response.get(ATTR_ERROR_CODE).unwrap()[..4], [0, 0, 4, 87]);
}

#[test]
fn an_attribute_that_must_be_understood_is_named() {
    let request = check("local:remote", &agent().local_pwd, &[Attribute(AttrType(0x0031), &[0; 4])]);
    let mut out = Vec::new();
    assert_eq!(agent().handle(from(), &request, &mut out), Ok(Check { nominated: false, accepted: false }));
    let response = read(&out);
    assert_is_signed(&response, BINDING_ERROR);
    assert_eq!(response.get(ATTR_ERROR_CODE).unwrap()[..4], [0, 0, 4, 20]);
    assert_eq!(response.get(ATTR_UNKNOWN_ATTRIBUTES).unwrap(), [0, 0x31]);
}

/// RFC 5769 §2.1.
const SAMPLE: &[u8] = b"\x00\x01\x00\x58\x21\x12\xa4\x42\xb7\xe7\xa7\x01\xbc\x34\xd6\x86\xfa\x87\xdf\xae\
    \x80\x22\x00\x10STUN test client\x00\x24\x00\x04\x6e\x00\x01\xff\x80\x29\x00\x08\x93\x2f\xf9\xb1\x51\x26\x3b\x36\
    \x00\x06\x00\x09\x65\x76\x74\x6a\x3a\x68\x36\x76\x59\x20\x20\x20\
    \x00\x08\x00\x14\x9a\xea\xa7\x0c\xbf\xd8\xcb\x56\x78\x1e\xf2\xb5\xb2\xd3\xf2\x49\xc1\xb5\x71\xa2\
    \x80\x28\x00\x04\xe5\x7a\x3b\xcf";

#[test]
fn the_sample_request_of_rfc_5769_is_authentic() {
    let agent = Agent::new("evtj".into(), "VOkJxbRl1RmTxUk/WvJxBt".into(), "h6vY".into());
    let mut out = Vec::new();
    // It is of a controlled client, which is the only thing wrong with it.
    assert_eq!(agent.handle(from(), SAMPLE, &mut out), Ok(Check { nominated: false, accepted: false }));
    assert_eq!(read(&out).get(ATTR_ERROR_CODE).unwrap()[..4], [0, 0, 4, 87]);
}

#[test]
fn a_plain_binding_request_is_answered_as_by_a_stun_server() {
    let mut request = Message::new();
    request.build(&[Box::new(BINDING_REQUEST), Box::new(TransactionId::new())]).unwrap();
    let mut out = Vec::new();
    assert!(ice::plain_binding_response(from(), &request.raw, &mut out));
    let response = read(&out);
    assert_eq!(response.typ, BINDING_SUCCESS);
    FINGERPRINT.check(&response).unwrap();
    let mut mapped = XorMappedAddress::default();
    mapped.get_from(&response).unwrap();
    assert_eq!(SocketAddr::new(mapped.ip, mapped.port), from());
    // No response provokes a response, and a check is another matter.
    assert!(!ice::plain_binding_response(from(), &out.clone(), &mut out));
    let check = check("local:remote", &agent().local_pwd, &controlling(true));
    assert!(!ice::plain_binding_response(from(), &check, &mut out));
    assert!(out.is_empty());
}

proptest! {
    #[test]
    fn no_bytes_make_it_panic(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
        try_all(&bytes);
    }

    #[test]
    fn no_change_of_a_check_makes_it_panic(
        edits in proptest::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..8),
        cut in 0usize..8,
    ) {
        let mut datagram = check("local:remote", &agent().local_pwd, &controlling(true));
        for (at, value) in edits {
            let at = at.index(datagram.len());
            datagram[at] = value;
        }
        datagram.truncate(datagram.len() - 4 * cut);
        let len = (datagram.len() - 20) as u16;
        try_all(&datagram);
        datagram[2..4].copy_from_slice(&len.to_be_bytes());
        try_all(&datagram);
    }
}

fn try_all(datagram: &[u8]) {
    let mut out = Vec::new();
    let _ = ice::is_stun(datagram);
    let _ = ice::local_ufrag(datagram);
    let _ = agent().handle(from(), datagram, &mut out);
    let _ = ice::plain_binding_response(from(), datagram, &mut out);
}
