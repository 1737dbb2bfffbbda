//! Handshakes with `rtc-dtls`' client over a network that loses, repeats, cuts and reorders.

use std::time::Duration;

use parlor_media::client::{Event, Frame, Plan};
use parlor_media::drop::Drop;
use parlor_media::dtls::{Certificate, Dtls, Fingerprint};
use parlor_media::srtp::Profile;
use proptest::prelude::*;

use crate::server::{Pair, Side, instant};

const HANDSHAKE: u8 = 22;

fn is_dtls(datagram: &[u8]) -> bool {
    (20..64).contains(&datagram[0])
}

#[test]
fn both_ends_get_the_same_keys_of_the_preferred_profile() {
    for profile in [Profile::AeadAes128Gcm, Profile::AesCm128HmacSha1_80] {
        let mut pair = Pair::new(Plan { profile, ..Plan::default() });
        pair.connect();
        assert_eq!(pair.client.profile(), Some(profile));
        assert!(pair.server.dtls.take_keys().is_none(), "the keys are given once");
        assert_eq!(pair.server.drops, []);

        pair.client.send_rtp(0, 0, Frame { payload: b"hello", ..Frame::default() }).unwrap();
        let (_, mut packet) = pair.client.poll_transmit().unwrap();
        let (sealer, opener) = pair.server.media.as_mut().unwrap();
        let header = parlor_media::rtp::Header::parse(&packet).unwrap();
        let len = opener.open_rtp(&mut packet, header.len, header.sequence.into()).unwrap();
        assert_eq!(&packet[header.len..len], b"hello");

        let mut report = Vec::new();
        sealer.seal_rtcp(&[0x80, 201, 0, 1, 0, 0, 0, 1], &mut report);
        let event = pair.client.handle(pair.now, &mut report).unwrap();
        assert_eq!(event, Some(Event::Rtcp(&[0x80, 201, 0, 1, 0, 0, 0, 1])));
    }
}

#[test]
fn another_certificate_than_the_offers_gets_no_keys() {
    let mut pair = Pair::with(Plan::default(), |mut offer| {
        offer.fingerprint = Fingerprint::sha_256_of(b"another certificate");
        offer
    });
    pair.run(|_, _, datagram| vec![datagram], |pair| pair.server.dtls.is_failed());
    assert!(pair.server.dtls.is_failed() && !pair.server.dtls.is_established());
    assert!(pair.server.media.is_none());
    assert!(pair.server.drops.contains(&Drop::DtlsFingerprint));
}

#[test]
fn one_lost_datagram_of_either_side_only_costs_time() {
    for side in [Side::Client, Side::Server] {
        for lost in 1..12 {
            let mut pair = Pair::new(Plan::default());
            let start = pair.now;
            let pass = |of: Side, number: usize, datagram: Vec<u8>| {
                if of == side && number == lost { vec![] } else { vec![datagram] }
            };
            assert!(pair.run(pass, Pair::is_connected), "{side:?} {lost}");
            assert!(pair.now < start + Duration::from_secs(4), "{side:?} {lost}: {:?}", pair.now - start);
        }
    }
}

#[test]
fn repeated_datagrams_change_nothing() {
    let mut pair = Pair::new(Plan::default());
    assert!(pair.run(|_, _, datagram| vec![datagram.clone(), datagram.clone(), datagram], Pair::is_connected));
    assert!(pair.sent[1] < 60, "{:?}", pair.sent);
}

#[test]
fn a_client_that_repeats_its_hello_gets_the_flight_again_at_once() {
    let mut pair = Pair::new(Plan::default());
    let mut hello = None;
    // The server's answer to the second hello is lost, and the client repeats the hello long before our timer is due.
    let flight = std::cell::Cell::new(0);
    let lose_flight_four = |side: Side, _: usize, datagram: Vec<u8>| {
        if side == Side::Client && is_dtls(&datagram) {
            hello = Some(datagram.clone());
        }
        if side == Side::Server && is_dtls(&datagram) {
            // HelloVerifyRequest is message type 3.
            if datagram[13] != 3 {
                flight.set(flight.get() + 1);
                return vec![];
            }
        }
        vec![datagram]
    };
    pair.run(lose_flight_four, |_| flight.get() > 0);
    let now = pair.now + Duration::from_millis(50);
    pair.now = now;
    pair.server.handle(now, &hello.unwrap());
    assert!(pair.server.poll_transmit().is_some(), "the flight is not repeated");
    assert!(pair.server.dtls.poll_timeout().is_some(), "the timer is gone");
    assert!(pair.run(|_, _, datagram| vec![datagram], Pair::is_connected));
}

/// Cuts each unprotected handshake record into records with fragments of at most `len` bytes; each has its own datagram, and
/// they come in reverse order if so wished.
fn cut(datagram: &[u8], len: usize, reversed: bool, sequence: &mut u64) -> Vec<Vec<u8>> {
    let mut out = Vec::new();
    let mut rest = datagram;
    while rest.len() > 13 {
        let record_len = 13 + usize::from(u16::from_be_bytes([rest[11], rest[12]]));
        let (record, tail) = rest.split_at(record_len);
        rest = tail;
        if record[0] != HANDSHAKE || record[3..5] != [0, 0] {
            out.push(record.to_vec());
            continue;
        }
        let (header, body) = (&record[13..25], &record[25..]);
        for (at, piece) in body.chunks(len).enumerate() {
            let mut cut = record[..5].to_vec();
            cut.extend_from_slice(&sequence.to_be_bytes()[2..]);
            *sequence += 1;
            cut.extend_from_slice(&((12 + piece.len()) as u16).to_be_bytes());
            cut.extend_from_slice(&header[..6]);
            cut.extend_from_slice(&((at * len) as u32).to_be_bytes()[1..]);
            cut.extend_from_slice(&(piece.len() as u32).to_be_bytes()[1..]);
            cut.extend_from_slice(piece);
            out.push(cut);
        }
    }
    if reversed {
        out.reverse();
    }
    out
}

#[test]
fn a_hello_in_pieces_is_put_together() {
    for reversed in [false, true] {
        for len in [1_000, 100, 60] {
            let mut sequence = 0;
            let mut pair = Pair::new(Plan::default());
            let pass = |side: Side, _: usize, datagram: Vec<u8>| match side {
                Side::Client if is_dtls(&datagram) => cut(&datagram, len, reversed, &mut sequence),
                _ => vec![datagram],
            };
            assert!(pair.run(pass, Pair::is_connected), "{len} {reversed}");
            assert_eq!(pair.client.profile(), Some(Profile::AeadAes128Gcm), "{len} {reversed}");
        }
    }
}

#[test]
fn a_goodbye_ends_the_association() {
    let mut pair = Pair::new(Plan::default());
    pair.connect();
    pair.client.close(pair.now);
    assert!(pair.run(|_, _, datagram| vec![datagram], |pair| pair.server.dtls.is_closed()));
    assert_eq!(pair.server.dtls.handle(pair.now, &[22; 40]), Err(Drop::DtlsClosed));
}

#[test]
fn a_shrunk_association_ignores_what_comes() {
    let mut pair = Pair::new(Plan::default());
    pair.connect();
    pair.server.dtls.shrink();
    pair.client.close(pair.now);
    pair.run(|_, _, datagram| vec![datagram], |_| false);
    assert!(pair.server.dtls.is_established());
    assert_eq!(pair.server.dtls.poll_timeout(), None);
}

#[test]
fn after_the_handshake_nobody_without_keys_ends_it() {
    let mut pair = Pair::new(Plan::default());
    let mut seen = Vec::new();
    let pass = |side: Side, _: usize, datagram: Vec<u8>| {
        if side == Side::Client && is_dtls(&datagram) {
            seen.push(datagram.clone());
        }
        vec![datagram]
    };
    assert!(pair.run(pass, Pair::is_connected));
    let fatal_alert = [21, 0xfe, 0xfd, 0, 0, 0, 0, 0, 0, 1, 0, 0, 2, 2, 40];
    let forged_alert = [21, 0xfe, 0xfd, 0, 1, 0, 0, 0, 0, 1, 0, 0, 2, 2, 40];
    for datagram in [&fatal_alert[..], &forged_alert, &[23; 64], &[22, 0xfe, 0xfd, 0, 0, 0]] {
        let _ = pair.server.dtls.handle(pair.now, datagram);
    }
    for _ in 0..50 {
        for datagram in &seen {
            let _ = pair.server.dtls.handle(pair.now, datagram);
        }
    }
    let mut repeated = 0;
    while pair.server.poll_transmit().is_some() {
        repeated += 1;
    }
    assert!(repeated <= 8, "{repeated} datagrams for replayed ones");
    assert!(pair.server.dtls.is_established());
}

#[test]
fn a_silent_client_is_given_up() {
    let mut pair = Pair::new(Plan::default());
    let cell = std::cell::Cell::new(false);
    pair.run(
        |side, _, datagram| {
            if side == Side::Client && cell.get() {
                return vec![];
            }
            // After flight 4 the client is gone.
            cell.set(cell.get() || side == Side::Server && is_dtls(&datagram) && datagram[13] == 2);
            vec![datagram]
        },
        |pair| pair.server.dtls.is_failed(),
    );
    assert!(pair.server.dtls.is_failed());
}

#[test]
fn the_loss_of_every_fourth_datagram_is_survived() {
    for seed in 0..100u64 {
        let mut state = seed;
        let mut pair = Pair::new(Plan::default());
        let pass = |_: Side, _: usize, datagram: Vec<u8>| {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            if (state >> 33).is_multiple_of(4) { vec![] } else { vec![datagram] }
        };
        assert!(pair.run(pass, Pair::is_connected), "seed {seed}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn no_bytes_make_it_panic(
        datagrams in proptest::collection::vec((20u8..24, proptest::collection::vec(any::<u8>(), 0..120)), 1..12),
    ) {
        let mut dtls = fresh();
        for (kind, body) in datagrams {
            let len = (body.len() as u16).to_be_bytes();
            let mut record = vec![kind, 0xfe, 0xfd, 0, body.first().copied().unwrap_or(0) & 1, 0, 0, 0, 0, 0, 1, len[0], len[1]];
            record.extend_from_slice(&body);
            let _ = dtls.handle(instant(), &record);
            let _ = dtls.handle(instant(), &body);
            while dtls.poll_transmit().is_some() {}
        }
    }

    #[test]
    fn no_change_of_a_handshake_makes_it_panic(
        edits in proptest::collection::vec((1usize..8, any::<prop::sample::Index>(), any::<u8>()), 1..6),
    ) {
        let mut pair = Pair::new(Plan::default());
        let pass = |side: Side, number: usize, mut datagram: Vec<u8>| {
            if side == Side::Client && is_dtls(&datagram) {
                for (of, at, value) in &edits {
                    if *of == number {
                        let at = at.index(datagram.len());
                        datagram[at] = *value;
                    }
                }
                // A stranger's bytes are DTLS only if they look so.
                datagram[0] = datagram[0].clamp(20, 63);
            }
            vec![datagram]
        };
        pair.run(pass, |pair| pair.is_connected() || pair.server.dtls.is_failed());
    }
}

fn fresh() -> Dtls {
    Dtls::new(&Certificate::generate().unwrap(), Fingerprint::sha_256_of(b""))
}
