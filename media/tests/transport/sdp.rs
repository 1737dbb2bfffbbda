//! Real offers of browsers, and what they get.

use std::fmt::Write as _;

use parlor_media::client::{Client, Identity, Plan};
use parlor_media::dtls::Certificate;
use parlor_media::sdp::{Answer, CodecName, Direction, Kind, MAX_MEDIA, Offer, OfferedMedia, SdpError};
use proptest::prelude::*;

use crate::server;

const OFFERS: [(&str, &str); 9] = [
    ("chromium-call", include_str!("../../fixtures/offers/chromium-call.sdp")),
    ("chromium-all-codecs", include_str!("../../fixtures/offers/chromium-all-codecs.sdp")),
    ("chromium-add-track", include_str!("../../fixtures/offers/chromium-add-track.sdp")),
    ("firefox-call", include_str!("../../fixtures/offers/firefox-call.sdp")),
    ("firefox-all-codecs", include_str!("../../fixtures/offers/firefox-all-codecs.sdp")),
    ("firefox-add-track", include_str!("../../fixtures/offers/firefox-add-track.sdp")),
    ("safari-call", include_str!("../../fixtures/offers/safari-call.sdp")),
    ("obs-whip", include_str!("../../fixtures/offers/obs-whip.sdp")),
    ("gstreamer-whip", include_str!("../../fixtures/offers/gstreamer-whip.sdp")),
];

fn offer(name: &str) -> Offer {
    Offer::parse(text(name)).unwrap()
}

fn text(name: &str) -> &'static str {
    OFFERS.iter().find(|(known, _)| *known == name).unwrap().1
}

fn answer(offer: &Offer) -> Answer {
    let mut answer = server::answer(offer, &Certificate::generate().unwrap());
    answer.fingerprint = format!("sha-256 {}", ["AB"; 32].join(":")).parse().unwrap();
    answer
}

/// What was understood, one line a section.
fn outline(offer: &Offer) -> String {
    let mut outline = format!("ice {} {}\n", offer.ice_ufrag, offer.fingerprint);
    for OfferedMedia { mid, kind, direction, codecs, extensions, send_rids, ssrcs, fid, .. } in &offer.media {
        let codecs = codecs.iter().map(|codec| {
            let (name, fmtp) = (codec.name, &codec.fmtp);
            let more = codec.rtx_payload_type.or(codec.red_payload_type);
            format!("{name:?} {} {more:?} {} [{fmtp}]", codec.payload_type, codec.clock_rate)
        });
        let codecs = codecs.collect::<Vec<_>>().join(", ");
        let parlor_media::sdp::Extensions {
            mid: m,
            rid,
            repaired_rid,
            transport_cc,
            audio_level,
            dependency_descriptor,
        } = extensions;
        let ids = [m, rid, repaired_rid, transport_cc, audio_level, dependency_descriptor]
            .map(|id| id.map_or("-".into(), |id| id.to_string()));
        let ids = ids.join(" ");
        writeln!(outline, "{mid} {kind:?} {direction:?} | {codecs} | {ids} | {send_rids:?} | {ssrcs:?} {fid:?}")
            .unwrap();
    }
    outline
}

#[test]
fn who_sends_two_channels_is_told_that_they_are_wanted() {
    let parameters = |text: &str| {
        let offer = Offer::parse(text).unwrap();
        let answer = offer.answer(&answer(&offer));
        let first = answer.lines().find(|line| line.contains("useinbandfec")).unwrap();
        first.split_once(' ').unwrap().1.trim().to_owned()
    };
    let plain = text("chromium-call");
    let stereo = plain.replace("useinbandfec=1", "useinbandfec=1; stereo=1; sprop-stereo=1");
    assert_eq!(parameters(plain), "minptime=10;useinbandfec=1;usedtx=1");
    assert_eq!(parameters(&stereo), "minptime=10;useinbandfec=1;usedtx=1;stereo=1");
}

#[test]
fn the_offers_of_browsers_are_understood() {
    for (name, text) in OFFERS {
        insta::assert_snapshot!(format!("{name}-offer"), outline(&Offer::parse(text).unwrap()));
    }
}

#[test]
fn the_offers_of_browsers_are_answered() {
    for (name, text) in OFFERS {
        let offer = Offer::parse(text).unwrap();
        insta::assert_snapshot!(format!("{name}-answer"), offer.answer(&answer(&offer)).replace('\r', ""));
    }
}

#[test]
fn an_answer_keeps_the_rules_that_browsers_need() {
    for (name, text) in OFFERS {
        let offer = Offer::parse(text).unwrap();
        let sdp = offer.answer(&answer(&offer));
        assert!(
            sdp.lines().all(|line| line.len() > 2) && sdp.split("\r\n").count() == sdp.lines().count() + 1,
            "{name}"
        );
        let mut sections = sdp.split("\r\nm=");
        let session = sections.next().unwrap();
        assert!(session.contains("a=ice-lite"), "{name}");
        let sections: Vec<&str> = sections.collect();
        assert_eq!(sections.len(), offer.media.len(), "{name}");
        let mut candidates = 0;
        for (section, media) in sections.iter().zip(&offer.media) {
            assert!(
                section.contains(&format!("a=mid:{}\r\n", media.mid))
                    || section.contains(&format!("a=mid:{}", media.mid))
            );
            let port = section.split(' ').nth(1).unwrap();
            assert_eq!(port == "0", !media.is_accepted(), "{name} {section}");
            candidates += section.matches("a=end-of-candidates").count();
            if media.is_accepted() {
                for needed in
                    ["a=fingerprint:sha-256 AB:", "a=ice-ufrag:server", "a=ice-pwd:", "a=setup:passive", "a=rtcp-mux"]
                {
                    assert_eq!(section.matches(needed).count(), 1, "{name} {needed} in {section}");
                }
            }
            let sends_video = media.is_slot() && media.kind == Kind::Video;
            assert_eq!(section.contains("a=ssrc-group:FID"), sends_video, "{name} {section}");
            assert_eq!(section.contains("a=msid:slot"), media.is_slot(), "{name} {section}");
            assert_eq!(
                section.contains("a=simulcast:recv"),
                media.is_sender() && !media.send_rids.is_empty(),
                "{name}"
            );
            assert!(!section.contains("goog-remb"), "{name}: who counts packets need not guess");
            let counts = media.is_accepted() && media.codecs.iter().all(|codec| codec.feedback.transport_cc);
            assert_eq!(section.contains("rtcp-fb") && section.contains(" transport-cc"), counts, "{name}");
            assert!(!section.contains("abs-send-time"), "{name}");
        }
        assert_eq!(candidates, 1, "{name}: one candidate list");
    }
}

#[test]
fn the_camera_of_a_call_is_simulcast_in_the_offers_order() {
    for name in ["chromium-call", "firefox-call", "safari-call"] {
        let offer = offer(name);
        let camera = &offer.media[1];
        assert_eq!(camera.send_rids, ["q", "h", "f"], "{name}");
        assert_eq!(camera.direction, Direction::SendOnly, "{name}");
        assert_eq!(camera.codec().unwrap().name, CodecName::Vp8, "{name}");
        assert!(camera.codec().unwrap().rtx_payload_type.is_some(), "{name}");
        assert_eq!(offer.senders().count(), 3, "{name}");
        assert_eq!(offer.slots().count(), 13, "{name}");
        let answer = offer.answer(&answer(&offer));
        assert!(answer.contains("a=rid:q recv\r\na=rid:h recv\r\na=rid:f recv\r\na=simulcast:recv q;h;f"), "{name}");
    }
}

#[test]
fn a_clients_own_offer_survives_the_round() {
    let identity = Identity::new(&Certificate::generate().unwrap()).unwrap();
    let mut client = Client::new(Plan::default(), &identity);
    let offer = Offer::parse(&client.offer()).unwrap();
    assert_eq!((offer.senders().count(), offer.slots().count()), (3, 13));
    assert_eq!(offer.media[2].ssrcs.len(), 2);
    assert_eq!(offer.media[2].fid.len(), 1);
    client.accept(server::instant(), &offer.answer(&answer(&offer))).unwrap();
    let slots = client.slots();
    assert_eq!(slots.len(), 13);
    assert_eq!((slots[0].kind, slots[0].ssrc, slots[0].rtx_ssrc), (Kind::Audio, 1_000, None));
    assert_eq!((slots[4].kind, slots[4].ssrc, slots[4].rtx_ssrc), (Kind::Video, 1_004, Some(2_004)));
}

#[test]
fn a_slot_that_the_server_does_not_announce_is_inactive() {
    let offer = offer("chromium-call");
    let mut few = answer(&offer);
    few.slots.truncate(1);
    let sdp = offer.answer(&few);
    assert_eq!(sdp.matches("a=sendonly").count(), 1);
    assert_eq!(sdp.matches("a=inactive").count(), 12);
}

#[test]
fn data_channels_and_given_up_sections_are_refused_and_keep_their_place() {
    let offer = offer("chromium-all-codecs");
    let last = offer.media.last().unwrap();
    assert_eq!((last.kind, last.is_accepted()), (Kind::Other, false));
    assert!(offer.answer(&answer(&offer)).contains("m=application 0 UDP/DTLS/SCTP webrtc-datachannel"));

    let stopped = text("chromium-call").replacen("m=video 9", "m=video 0", 1);
    let offer = Offer::parse(&stopped).unwrap();
    assert!(offer.media[1].rejected && !offer.media[1].is_accepted());
    let sdp = offer.answer(&answer(&offer));
    assert!(sdp.contains("m=video 0 UDP/TLS/RTP/SAVPF 96"));
    assert!(sdp.contains("a=group:BUNDLE 0 2 3"));
}

#[test]
fn the_first_accepted_section_has_the_candidates() {
    let stopped = text("chromium-call").replacen("m=audio 9", "m=audio 0", 1);
    let offer = Offer::parse(&stopped).unwrap();
    let sdp = offer.answer(&answer(&offer));
    let second = sdp.split("\r\nm=").nth(2).unwrap();
    assert!(second.contains("a=candidate:1 1 udp 2130706431 192.0.2.1 40000 typ host\r\n"));
    assert!(second.contains("a=candidate:2 1 udp 2130706175 2001:db8::1 40000 typ host\r\n"));
    assert!(second.contains("192.0.2.1 40001 typ host tcptype passive\r\na=end-of-candidates"));
}

#[test]
fn an_offer_that_cannot_be_answered_says_why() {
    let call = text("firefox-call");
    let without = |line: &str| -> String {
        call.lines().filter(|found| !found.contains(line)).map(|found| format!("{found}\r\n")).collect()
    };
    let bad = |sdp: &str| match Offer::parse(sdp) {
        Err(SdpError::Bad(why)) => why.to_owned(),
        other => panic!("{other:?}"),
    };
    assert_eq!(Offer::parse(&without("a=ice-pwd")), Err(SdpError::NoIce));
    assert_eq!(Offer::parse(&without("a=fingerprint")), Err(SdpError::NoFingerprint));
    assert_eq!(Offer::parse(&call.replace("sha-256", "sha-1")), Err(SdpError::NoFingerprint));
    let other_codecs = call.replace("VP8", "VP7").replace("opus/48000/2", "opus/48000/1");
    assert_eq!(Offer::parse(&other_codecs), Err(SdpError::UnsupportedCodecs));
    let mut many = call.to_owned();
    for mid in 100..100 + MAX_MEDIA {
        write!(many, "m=audio 9 UDP/TLS/RTP/SAVPF 109\r\na=mid:{mid}\r\n").unwrap();
    }
    assert_eq!(Offer::parse(&many), Err(SdpError::TooManyMedia));
    insta::assert_snapshot!(
        [
            bad(""),
            bad("v=0\r\ns=-\r\n"),
            bad("v=0\r\nnonsense\r\n"),
            bad("v=0\r\nm=audio\r\n"),
            bad(&without("a=mid")),
            bad(&without("a=group:BUNDLE")),
            bad(&without("a=rtcp-mux")),
            bad(&call.replace("a=mid:1\r\n", "a=mid:0\r\n")),
            bad(&call.replace("actpass", "passive")),
            bad(&call.replace("3F:49", "3F:4")),
            bad(&call.replace("a=ice-pwd:", "a=ice-pwd: ")),
            bad(&format!("v=0\r\n{}", " ".repeat(300 * 1024))),
        ]
        .join("\n")
    );
}

#[test]
fn layers_are_taken_in_the_order_of_the_simulcast_line_and_bounded() {
    let rids = |lines: &str| {
        let plain = text("chromium-call");
        let sdp = plain.replace("a=simulcast:send q;h;f\r\n", lines);
        Offer::parse(&sdp).unwrap().media[1].send_rids.clone()
    };
    assert_eq!(rids("a=simulcast:send f;~h;q\r\n"), ["f", "h", "q"]);
    assert_eq!(rids("a=simulcast:send q,h;f\r\n"), ["q", "f"]);
    assert_eq!(rids("a=simulcast:recv x send q;q;nobody\r\n"), ["q"]);
    assert_eq!(rids(""), ["q", "h", "f"]);
    let five: String = ["a", "b", "c"].map(|rid| format!("a=rid:{rid} send\r\n")).concat();
    assert_eq!(rids(&format!("{five}a=simulcast:send q;h;f;a;b;c\r\n")), ["q", "h", "f", "a"]);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(256))]

    #[test]
    fn no_change_of_an_offer_makes_it_panic(
        which in 0..OFFERS.len(),
        edits in proptest::collection::vec((any::<prop::sample::Index>(), 0usize..40, "[ -~\r\n=:;/é]{0,12}"), 1..6),
    ) {
        let mut sdp = OFFERS[which].1.to_owned();
        for (at, remove, insert) in edits {
            let start = sdp.floor_char_boundary(at.index(sdp.len()));
            let end = sdp.floor_char_boundary(sdp.len().min(start + remove)).max(start);
            sdp.replace_range(start..end, &insert);
        }
        if let Ok(offer) = Offer::parse(&sdp) {
            let answer = offer.answer(&answer(&offer));
            prop_assert!(answer.lines().all(|line| line.as_bytes().get(1) == Some(&b'=')), "{}", answer);
        }
    }

    #[test]
    fn no_text_makes_it_panic(text in "(v=0\r\n)?([amcot]=[ -~]{0,40}\r?\n){0,20}") {
        let _ = Offer::parse(&text);
    }
}
