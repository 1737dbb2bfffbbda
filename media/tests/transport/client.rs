//! What the client of tests and load sends, as a server sees it.

use std::collections::BTreeMap;
use std::time::Duration;

use parlor_media::client::{Event, Frame, Plan, Sent, numbers};
use parlor_media::drop::Drop;
use parlor_media::rtp::Header;
use parlor_media::srtp::RolloverWindow;

use crate::server::Pair;

fn connected(plan: Plan) -> Pair {
    let mut pair = Pair::new(plan);
    pair.connect();
    pair
}

/// The next media packet of the client, opened: its header and all of its bytes without the tag.
fn opened(pair: &mut Pair) -> (Header, Vec<u8>) {
    let (_, mut packet) = pair.client.poll_transmit().unwrap();
    let header = Header::parse(&packet).unwrap();
    let (_, opener) = pair.server.media.as_mut().unwrap();
    let len = opener.open_rtp(&mut packet, header.len, header.sequence.into()).unwrap();
    packet.truncate(len);
    (header, packet)
}

#[test]
fn a_layer_names_itself_on_its_first_packets_and_numbers_them_all() {
    let mut pair = connected(Plan::default());
    let mut last: Option<Sent> = None;
    for at in 0..60u32 {
        let sent =
            pair.client.send_rtp(1, 2, Frame { timestamp: at, marker: true, payload: b"vp8", ..Frame::default() });
        let sent = sent.unwrap();
        let (header, packet) = opened(&mut pair);
        assert_eq!((header.ssrc, header.sequence, header.payload_type), (sent.ssrc, sent.sequence, numbers::VP8));
        assert_eq!(header.extension(&packet, numbers::TRANSPORT_CC), Some(&sent.transport_sequence.to_be_bytes()[..]));
        let named = (header.extension(&packet, numbers::MID), header.extension(&packet, numbers::RID));
        assert_eq!(named, if at < 50 { (Some(&b"1"[..]), Some(&b"f"[..])) } else { (None, None) }, "{at}");
        assert_eq!(header.payload(&packet).unwrap(), b"vp8");
        if let Some(last) = last {
            assert_eq!(sent.sequence, last.sequence + 1);
            assert_eq!(sent.transport_sequence, last.transport_sequence + 1);
        }
        last = Some(sent);
    }
    let ssrc = pair.client.ssrc(1, 2).unwrap();
    assert_eq!(pair.client.find(ssrc), Some((1, 2)));
    assert_eq!(pair.client.find(1), None);
}

#[test]
fn audio_says_how_loud_it_is() {
    let mut pair = connected(Plan::default());
    let frame = Frame { audio_level: Some((31, true)), payload: b"opus", ..Frame::default() };
    pair.client.send_rtp(0, 0, frame).unwrap();
    let (header, packet) = opened(&mut pair);
    assert_eq!(header.extension(&packet, numbers::AUDIO_LEVEL), Some(&[0x80 | 31][..]));
}

#[test]
fn a_packet_is_sent_again_as_long_as_it_is_kept() {
    let mut pair = connected(Plan { history: 2, ..Plan::default() });
    let sent: Vec<Sent> = [&b"one"[..], b"two", b"three"]
        .into_iter()
        .map(|payload| pair.client.send_rtp(1, 0, Frame { timestamp: 7, payload, ..Frame::default() }).unwrap())
        .collect();
    while pair.client.poll_transmit().is_some() {}
    assert!(!pair.client.resend(1, 0, sent[0].sequence), "forgotten");
    assert!(pair.client.resend(1, 0, sent[1].sequence));
    let (header, packet) = opened(&mut pair);
    assert_eq!((header.payload_type, header.timestamp), (numbers::RTX, 7));
    assert_ne!(header.ssrc, sent[1].ssrc);
    assert_eq!(header.extension(&packet, numbers::REPAIRED_RID), Some(&b"q"[..]));
    assert_eq!(header.payload(&packet).unwrap(), [&sent[1].sequence.to_be_bytes()[..], b"two"].concat());
}

#[test]
fn the_rollover_counter_survives_what_is_not_opened() {
    let mut pair = connected(Plan::default());
    pair.client.open_every = 100;
    let (sealer, _) = pair.server.media.as_mut().unwrap();
    let mut seen = BTreeMap::new();
    for index in 0..140_000u32 {
        let mut packet = vec![0; 12 + 4 + sealer.tag_len()];
        parlor_media::rtp::write_header(&mut packet, 96, false, index as u16, 0, 1_004);
        packet[12..16].copy_from_slice(b"slot");
        sealer.seal_rtp(&mut packet, 12, index >> 16);
        let what = match pair.client.handle(pair.now, &mut packet).unwrap() {
            Some(Event::Rtp { packet, .. }) => {
                assert_eq!(&packet[12..], b"slot");
                "opened"
            }
            Some(Event::Sealed { .. }) => "sealed",
            other => panic!("{other:?}"),
        };
        *seen.entry(what).or_insert(0) += 1;
    }
    assert_eq!(seen, BTreeMap::from([("opened", 1_400), ("sealed", 138_600)]));
}

#[test]
fn a_packet_is_opened_once() {
    let mut pair = connected(Plan::default());
    let (sealer, _) = pair.server.media.as_mut().unwrap();
    let mut packet = vec![0; 12 + 4 + sealer.tag_len()];
    parlor_media::rtp::write_header(&mut packet, 111, false, 9, 0, 1_000);
    sealer.seal_rtp(&mut packet, 12, 0);
    assert!(matches!(pair.client.handle(pair.now, &mut packet.clone()), Ok(Some(Event::Rtp { .. }))));
    assert_eq!(pair.client.handle(pair.now, &mut packet.clone()), Err(Drop::SrtpReplay));
    // Beside it, without replay protection.
    let (header, len) = pair.client.open_rtp(&mut packet).unwrap();
    assert_eq!((header.ssrc, len), (1_000, 16));
}

#[test]
fn the_consent_is_kept_fresh() {
    let mut pair = connected(Plan::default());
    let start = pair.now;
    let first = pair.client.last_consent().unwrap();
    pair.run(|_, _, datagram| vec![datagram], |pair| pair.now > start + Duration::from_secs(10));
    assert!(pair.client.last_consent().unwrap() > first + Duration::from_secs(7));
    assert!(pair.server.drops.is_empty());
}

#[test]
fn equal_seeds_make_equal_clients() {
    let names = |seed: u64| {
        let pair = Pair::new(Plan { seed, ..Plan::default() });
        (pair.client.ssrc(0, 0), pair.server.agent.remote_ufrag.clone())
    };
    assert_eq!(names(5), names(5));
    assert_ne!(names(5), names(6));
}

#[test]
fn the_wrap_of_a_long_stream_is_sealed_under_the_next_round() {
    let mut pair = connected(Plan::default());
    let mut window = RolloverWindow::default();
    for _ in 0..70_000 {
        pair.client.send_rtp(0, 0, Frame { payload: b"o", ..Frame::default() }).unwrap();
        let (_, mut packet) = pair.client.poll_transmit().unwrap();
        let header = Header::parse(&packet).unwrap();
        let index = window.estimate(header.sequence);
        let (_, opener) = pair.server.media.as_mut().unwrap();
        opener.open_rtp(&mut packet, header.len, index).unwrap();
        window.accept(index);
        pair.client.recycle(packet);
    }
    assert!(window.highest().unwrap() > 65_536);
}
