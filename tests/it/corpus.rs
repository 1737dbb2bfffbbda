//! The inputs that the fuzzer starts from, and those that once broke something, through the same functions as there.

use std::path::Path;

#[path = "../../fuzz/src/lib.rs"]
mod targets;

/// Every file of these folders of the source tree.
fn each(folders: &[&str], target: fn(&[u8])) {
    let mut tried = 0;
    for folder in folders {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join(folder);
        for entry in std::fs::read_dir(&folder).unwrap_or_else(|error| panic!("{}: {error}", folder.display())) {
            let file = entry.expect("a folder that can be read").path();
            let input = std::fs::read(&file).unwrap_or_else(|error| panic!("{}: {error}", file.display()));
            // A panic says where; this says with what.
            eprintln!("{}", file.display());
            target(&input);
            tried += 1;
        }
    }
    assert!(tried > 0, "{folders:?} hold nothing");
}

#[test]
fn stun_of_strangers() {
    each(&["fuzz/corpus/stun"], targets::stun);
}

#[test]
fn rtp_headers() {
    each(&["fuzz/corpus/rtp_header"], targets::rtp_header);
}

#[test]
fn vp8_payloads() {
    each(&["fuzz/corpus/vp8_payload"], targets::vp8_payload);
}

#[test]
fn series_of_numbers() {
    each(&["fuzz/corpus/series"], targets::series);
}

#[test]
fn datagrams() {
    each(&["fuzz/corpus/demux"], targets::demux);
}

#[test]
fn offers() {
    each(&["fuzz/corpus/sdp_offer", "media/fixtures/offers"], targets::sdp_offer);
}

#[test]
fn rtcp_compounds() {
    each(&["fuzz/corpus/rtcp"], targets::rtcp);
}

#[test]
fn feedback_on_a_line() {
    each(&["fuzz/corpus/feedback"], targets::feedback);
}

#[test]
fn redundant_audio() {
    each(&["fuzz/corpus/redundant_audio"], targets::redundant_audio);
}

#[test]
fn payloads_of_vp9() {
    each(&["fuzz/corpus/vp9_payload"], targets::vp9_payload);
}

#[test]
fn streams_of_av1() {
    each(&["fuzz/corpus/av1_stream"], targets::av1_stream);
}

#[test]
fn client_frames() {
    each(&["fuzz/corpus/client_frame"], targets::client_frame);
}

#[test]
fn key_frames() {
    each(&["fuzz/corpus/key_frame"], targets::key_frame);
}

#[test]
fn messages_to_the_relay() {
    each(&["fuzz/corpus/turn_message"], targets::turn_message);
}

#[test]
fn batches_of_other_shards() {
    each(&["fuzz/corpus/relay"], targets::relay);
}
