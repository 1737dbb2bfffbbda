//! What is read before anything is known of its sender: STUN and RTP headers; payloads of VP8; and the numbers that slots give.

use std::collections::HashMap;
use std::net::SocketAddr;

use parlor_media::Codec;
use parlor_media::codec::{Structure, describe, vp8};
use parlor_media::ice::{Agent, is_stun, local_ufrag, plain_binding_response};
use parlor_media::rtp::Header;
use parlor_media::seqmap::SeqMap;

/// A STUN message of a stranger. Nobody is let in without the password, and no answer is much longer than the request.
pub fn stun(data: &[u8]) {
    let from: SocketAddr = "192.0.2.1:4000".parse().expect("an address");
    let mut out = Vec::new();
    let agent = Agent::new("ours".into(), "a password of ours that is long".into(), "theirs".into());
    if local_ufrag(data).is_some() {
        assert!(is_stun(data));
    }
    assert!(agent.handle(from, data, &mut out).is_err(), "nobody knows the password");
    assert!(out.is_empty(), "who shows nothing gets nothing");
    let answered = plain_binding_response(from, data, &mut out);
    assert_eq!(answered, !out.is_empty());
    assert!(!answered || is_stun(&out) && out.len() <= data.len() + 32);
}

/// An RTP header with its extensions: nothing that is read of it lies outside of the packet.
pub fn rtp_header(data: &[u8]) {
    let Ok(header) = Header::parse(data) else { return };
    assert!(header.len <= data.len());
    for id in 0..=u8::MAX {
        if let Some(value) = header.extension(data, id) {
            assert!(value.len() < header.len);
        }
    }
    if let Ok(payload) = header.payload(data) {
        assert!(payload.len() <= data.len() - header.len);
    }
}

/// A payload of VP8. Other counters in it change nothing else.
pub fn vp8_payload(data: &[u8]) {
    let mut structure = Structure::default();
    let Some(frame) = describe(Codec::Vp8, false, data, &[], &mut structure) else { return };
    assert!(!frame.keyframe_start || frame.frame_start);
    let mut rewritten = data.to_vec();
    frame.rewrite(&mut rewritten, 0x2a2a, 42);
    assert_eq!(rewritten.len(), data.len());
    let again = describe(Codec::Vp8, false, &rewritten, &[], &mut structure).expect("what was written can be read");
    assert_eq!(
        (again.keyframe_start, again.frame_start, again.temporal, again.dimensions),
        (frame.keyframe_start, frame.frame_start, frame.temporal, frame.dimensions)
    );
    assert_eq!(vp8::frame_of(&rewritten), vp8::frame_of(data), "the frame itself is as it was");
}

/// Steps of a slot: changes of source, packets in any order, packets left out. No number is given twice, and those of late are
/// found again.
pub fn series(data: &[u8]) {
    let mut map = SeqMap::new(65_000);
    let (mut source, mut index) = (0u32, 10_000u64);
    map.switch(source, index);
    let mut given: HashMap<u64, (u32, u64)> = HashMap::new();
    let mut forwarded = std::collections::HashSet::new();
    for step in data.iter().take(2_000) {
        let (kind, by) = (step & 7, u64::from(step >> 3));
        match kind {
            0 => {
                source += 1;
                index += 100_000;
                map.switch(source, index);
            }
            1 => {
                index += 1;
                map.leave_out(index);
                forwarded.insert((source, index));
            }
            2 => index += 100 * by,
            _ => {
                // Ahead, or late.
                let at = if kind < 6 { index + 1 + by % 4 } else { index.saturating_sub(by) };
                index = index.max(at);
                if !forwarded.insert((source, at)) {
                    continue;
                }
                let Some((out, found)) = map.forward(at) else { continue };
                assert_eq!(found, source);
                assert!(given.insert(out, (source, at)).is_none(), "number {out} is given twice");
                assert!(out < map.next_out());
                if let Some((found, from, back)) = map.source_of(out as u16).filter(|(_, _, back)| *back == out) {
                    assert_eq!((found, from, back), (source, at, out));
                }
            }
        }
    }
}
