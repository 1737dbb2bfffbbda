//! From what the server decided to the text of the answer.
//!
//! Each rule here was needed by a browser: every accepted section has its own fingerprint, credentials and role (Firefox's tab
//! crashes without), the payload types and extension ids are the offer's, and slots announce their SSRCs (Firefox recovers
//! nothing by retransmission without).

use std::fmt::Write;
use std::net::SocketAddr;

use super::{Codec, CodecName, Direction, Kind, Offer, OfferedMedia};
use crate::dtls::Fingerprint;

pub(super) const MID_URI: &str = "urn:ietf:params:rtp-hdrext:sdes:mid";
pub(super) const RID_URI: &str = "urn:ietf:params:rtp-hdrext:sdes:rtp-stream-id";
pub(super) const REPAIRED_RID_URI: &str = "urn:ietf:params:rtp-hdrext:sdes:repaired-rtp-stream-id";
pub(super) const TRANSPORT_CC_URI: &str = "http://www.ietf.org/id/draft-holmer-rmcat-transport-wide-cc-extensions-01";
pub(super) const AUDIO_LEVEL_URI: &str = "urn:ietf:params:rtp-hdrext:ssrc-audio-level";
pub(super) const DEPENDENCY_DESCRIPTOR_URI: &str =
    "https://aomediacodec.github.io/av1-rtp-spec/#dependency-descriptor-rtp-header-extension";

/// What the server puts into an answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Answer {
    /// Counts the answers of one connection, from 1.
    pub version: u64,
    /// Our ICE user name fragment for this client.
    pub ice_ufrag: String,
    /// Our ICE password for this client.
    pub ice_pwd: String,
    /// Our certificate.
    pub fingerprint: Fingerprint,
    /// The addresses of our media port, best first; the client tries them all.
    pub candidates: Vec<SocketAddr>,
    /// The addresses where we take ICE over TCP (RFC 6544), best first; all worse than UDP.
    pub tcp_candidates: Vec<SocketAddr>,
    /// What [`Offer::slots`] will carry, in that order. Slots beyond are answered as inactive.
    pub slots: Vec<SlotLine>,
}

/// The announcement of one slot.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SlotLine {
    /// The SSRC of all that the slot will ever carry.
    pub ssrc: u32,
    /// The SSRC of its retransmissions, for video.
    pub rtx_ssrc: Option<u32>,
    /// The media stream that a browser puts it into. Tracks of one stream are kept in step.
    pub stream: String,
    /// The track's name.
    pub track: String,
}

pub(super) fn write(offer: &Offer, answer: &Answer) -> String {
    let mut sdp = Sdp(String::with_capacity(512 + 768 * offer.media.len()));
    sdp.line(format_args!("v=0"));
    sdp.line(format_args!("o=- 1 {} IN IP4 0.0.0.0", answer.version));
    sdp.line(format_args!("s=-"));
    sdp.line(format_args!("t=0 0"));
    sdp.line(format_args!("a=ice-lite"));
    let mids: Vec<&str> =
        offer.media.iter().filter(|it| it.is_accepted() && !it.unnamed).map(|media| media.mid.as_str()).collect();
    if !mids.is_empty() {
        sdp.line(format_args!("a=group:BUNDLE {}", mids.join(" ")));
    }
    sdp.line(format_args!("a=msid-semantic:WMS *"));
    if offer.mixed_extensions {
        sdp.line(format_args!("a=extmap-allow-mixed"));
    }
    let mut slots = answer.slots.iter();
    let mut candidates_are_due = true;
    for media in &offer.media {
        if !media.is_accepted() {
            refuse(&mut sdp, media);
            continue;
        }
        let slot = if media.is_slot() { slots.next() } else { None };
        accept(&mut sdp, media);
        if std::mem::take(&mut candidates_are_due) {
            candidates(&mut sdp, answer);
        }
        transport(&mut sdp, media, answer);
        extensions(&mut sdp, media);
        sdp.line(format_args!("a={}", direction(media, slot.is_some())));
        media.taken().iter().for_each(|codec| formats(&mut sdp, media, codec));
        layers(&mut sdp, media);
        if let Some(slot) = slot {
            announce(&mut sdp, slot);
        }
    }
    sdp.0
}

struct Sdp(String);

impl Sdp {
    fn line(&mut self, line: std::fmt::Arguments<'_>) {
        self.0.write_fmt(line).expect("a String takes all text");
        self.0.push_str("\r\n");
    }
}

fn refuse(sdp: &mut Sdp, media: &OfferedMedia) {
    sdp.line(format_args!("m={} 0 {} {}", media.line.media, media.line.protocol, media.line.format));
    sdp.line(format_args!("c=IN IP4 0.0.0.0"));
    name(sdp, media);
    sdp.line(format_args!("a=inactive"));
}

/// Only what has a name in the offer has one in the answer (RFC 5888 §9.1).
fn name(sdp: &mut Sdp, media: &OfferedMedia) {
    if !media.unnamed {
        sdp.line(format_args!("a=mid:{}", media.mid));
    }
}

fn accept(sdp: &mut Sdp, media: &OfferedMedia) {
    let (kind, protocol) = (&media.line.media, &media.line.protocol);
    let numbers = media.taken().iter().flat_map(|codec| {
        let red = codec.red_payload_type;
        [
            red.filter(|_| codec.red_first),
            Some(codec.payload_type),
            codec.rtx_payload_type,
            red.filter(|_| !codec.red_first),
        ]
    });
    let numbers: Vec<String> = numbers.flatten().map(|number| number.to_string()).collect();
    sdp.line(format_args!("m={kind} 9 {protocol} {}", numbers.join(" ")));
    sdp.line(format_args!("c=IN IP4 0.0.0.0"));
}

/// The type preferences of RFC 8445 §5.1.2.2 for host candidates, and lower for those over TCP (RFC 6544 §4.2).
const UDP_PREFERENCE: u32 = 126;
const TCP_PREFERENCE: u32 = 90;

fn candidates(sdp: &mut Sdp, answer: &Answer) {
    let priority = |preference: u32, at: usize| preference << 24 | (65_535 - at.min(65_535) as u32) << 8 | 255;
    for (at, address) in answer.candidates.iter().enumerate() {
        let (ip, port, priority) = (address.ip().to_canonical(), address.port(), priority(UDP_PREFERENCE, at));
        sdp.line(format_args!("a=candidate:{} 1 udp {priority} {ip} {port} typ host", at + 1));
    }
    for (at, address) in answer.tcp_candidates.iter().enumerate() {
        let (ip, port, priority) = (address.ip().to_canonical(), address.port(), priority(TCP_PREFERENCE, at));
        let foundation = answer.candidates.len() + at + 1;
        sdp.line(format_args!("a=candidate:{foundation} 1 tcp {priority} {ip} {port} typ host tcptype passive"));
    }
    sdp.line(format_args!("a=end-of-candidates"));
}

fn transport(sdp: &mut Sdp, media: &OfferedMedia, answer: &Answer) {
    sdp.line(format_args!("a=ice-ufrag:{}", answer.ice_ufrag));
    sdp.line(format_args!("a=ice-pwd:{}", answer.ice_pwd));
    sdp.line(format_args!("a=fingerprint:{}", answer.fingerprint));
    sdp.line(format_args!("a=setup:passive"));
    name(sdp, media);
    sdp.line(format_args!("a=rtcp-mux"));
    if media.reduced_size {
        sdp.line(format_args!("a=rtcp-rsize"));
    }
}

fn extensions(sdp: &mut Sdp, media: &OfferedMedia) {
    let offered = &media.extensions;
    let (slot, audio) = (media.is_slot(), media.kind == Kind::Audio);
    // Not for VP8: Chromium leaves picture ids and temporal layers out of its payloads where it may say them there.
    let layered = media.taken().iter().any(|codec| codec.name == CodecName::Av1);
    let answered = [
        (true, offered.mid, MID_URI),
        (true, offered.transport_cc, TRANSPORT_CC_URI),
        (!slot && audio, offered.audio_level, AUDIO_LEVEL_URI),
        (!slot && !audio, offered.rid, RID_URI),
        (!slot && !audio, offered.repaired_rid, REPAIRED_RID_URI),
        (layered, offered.dependency_descriptor, DEPENDENCY_DESCRIPTOR_URI),
    ];
    for (taken, id, uri) in answered {
        let Some(id) = id.filter(|_| taken) else { continue };
        let direction = match (media.one_way_extensions.contains(&id), slot) {
            (false, _) => "",
            (true, false) => "/recvonly",
            (true, true) => "/sendonly",
        };
        sdp.line(format_args!("a=extmap:{id}{direction} {uri}"));
    }
}

/// Ours, to the client's.
fn direction(media: &OfferedMedia, slot: bool) -> &'static str {
    match media.direction {
        Direction::SendOnly | Direction::SendRecv => "recvonly",
        Direction::RecvOnly if slot => "sendonly",
        Direction::RecvOnly | Direction::Inactive => "inactive",
    }
}

fn formats(sdp: &mut Sdp, media: &OfferedMedia, codec: &Codec) {
    let payload_type = codec.payload_type;
    match codec.name {
        CodecName::Opus => {
            sdp.line(format_args!("a=rtpmap:{payload_type} opus/48000/2"));
            // What a sender should know of its listeners: forward error correction helps them.
            // Who sends need not send its silence (RFC 7587 §3.1.3); what a slot carries is up to who sends it.
            let pauses = if media.is_slot() { "" } else { ";usedtx=1" };
            // Who says that its sound has two channels sends them where they are wanted (RFC 7587 §7.1).
            let stereo = codec.fmtp.split(';').any(|it| it.trim() == "sprop-stereo=1");
            let stereo = if stereo { ";stereo=1" } else { "" };
            sdp.line(format_args!("a=fmtp:{payload_type} minptime=10;useinbandfec=1{pauses}{stereo}"));
            if let Some(red) = codec.red_payload_type {
                sdp.line(format_args!("a=rtpmap:{red} red/48000/2"));
                sdp.line(format_args!("a=fmtp:{red} {payload_type}/{payload_type}"));
            }
        }
        CodecName::Vp8 => sdp.line(format_args!("a=rtpmap:{payload_type} VP8/90000")),
        CodecName::Vp9 => {
            sdp.line(format_args!("a=rtpmap:{payload_type} VP9/90000"));
            sdp.line(format_args!("a=fmtp:{payload_type} profile-id=0"));
        }
        CodecName::Av1 => {
            sdp.line(format_args!("a=rtpmap:{payload_type} AV1/90000"));
            // The parameters are what the receiver can do at most: the answer repeats what the client can itself.
            if !codec.fmtp.is_empty() {
                sdp.line(format_args!("a=fmtp:{payload_type} {}", codec.fmtp));
            }
        }
        CodecName::H264 => {
            sdp.line(format_args!("a=rtpmap:{payload_type} H264/90000"));
            let level = &codec.fmtp;
            sdp.line(format_args!(
                "a=fmtp:{payload_type} level-asymmetry-allowed=1;packetization-mode=1;profile-level-id={level}"
            ));
        }
    }
    let offered = codec.feedback;
    let transport_cc = offered.transport_cc && media.extensions.transport_cc.is_some();
    // Clients that count no packets say themselves what their line bears; one of the two is enough.
    let remb = offered.remb && media.is_slot() && !transport_cc;
    // A lost packet of audio would come too late, and a picture loss is a matter of video.
    let video = codec.name != CodecName::Opus;
    let feedback = [
        (transport_cc, "transport-cc"),
        (remb, "goog-remb"),
        (video && offered.nack, "nack"),
        (video && offered.pli, "nack pli"),
        (video && offered.fir, "ccm fir"),
    ];
    for (answered, name) in feedback {
        if answered {
            sdp.line(format_args!("a=rtcp-fb:{payload_type} {name}"));
        }
    }
    if let Some(rtx) = codec.rtx_payload_type {
        sdp.line(format_args!("a=rtpmap:{rtx} rtx/90000"));
        sdp.line(format_args!("a=fmtp:{rtx} apt={payload_type}"));
    }
}

fn layers(sdp: &mut Sdp, media: &OfferedMedia) {
    if !media.is_sender() || media.send_rids.is_empty() {
        return;
    }
    for rid in &media.send_rids {
        sdp.line(format_args!("a=rid:{rid} recv"));
    }
    sdp.line(format_args!("a=simulcast:recv {}", media.send_rids.join(";")));
}

fn announce(sdp: &mut Sdp, slot: &SlotLine) {
    let SlotLine { ssrc, stream, track, .. } = slot;
    sdp.line(format_args!("a=msid:{stream} {track}"));
    if let Some(rtx) = slot.rtx_ssrc {
        sdp.line(format_args!("a=ssrc-group:FID {ssrc} {rtx}"));
    }
    for ssrc in [Some(*ssrc), slot.rtx_ssrc].into_iter().flatten() {
        sdp.line(format_args!("a=ssrc:{ssrc} cname:{stream}"));
    }
}
