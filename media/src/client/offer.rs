//! The offer that a client makes, and the answer it gets.

use std::fmt::Write;
use std::net::SocketAddr;

use super::feedback::Feedback;
use super::stream::SendStream;
use super::{Plan, numbers};
use crate::dtls::Fingerprint;
use crate::sdp::{Kind, SdpError, read_sections};

/// One section that a client sends on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Line {
    /// Opus.
    Audio,
    /// Opus in its redundant form (RFC 2198).
    Redundant,
    /// VP8 in as many simulcast layers as there are rids, or in one stream where there are none.
    Video {
        /// Up to 16 letters or digits each.
        rids: Vec<String>,
    },
    /// H.264 in one stream, and nothing else.
    H264,
    /// VP9 in one stream, whatever its layers, and VP8 behind it.
    Vp9,
    /// AV1 in one stream with dependency descriptors, and VP8 behind it.
    Av1,
}

impl Line {
    /// VP8 in one stream.
    #[must_use]
    pub fn video() -> Self {
        Self::Video { rids: Vec::new() }
    }

    /// VP8 in layers, lowest first.
    #[must_use]
    pub fn simulcast(rids: &[&str]) -> Self {
        Self::Video { rids: rids.iter().map(|rid| (*rid).to_owned()).collect() }
    }
}

/// A slot as the answer announces it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Slot {
    /// The section.
    pub mid: String,
    /// Audio or video.
    pub kind: Kind,
    /// What the server will send as.
    pub ssrc: u32,
    /// What it will send retransmissions as.
    pub rtx_ssrc: Option<u32>,
}

pub(super) struct RemoteAnswer {
    pub(super) ice_ufrag: String,
    pub(super) ice_pwd: String,
    pub(super) fingerprint: Fingerprint,
    pub(super) candidates: Vec<SocketAddr>,
    pub(super) slots: Vec<Slot>,
}

pub(super) fn write(plan: &Plan, streams: &[Vec<SendStream>], ice: (&str, &str), fingerprint: Fingerprint) -> String {
    let count = plan.lines.len() + plan.audio_slots + plan.video_slots;
    let mids: Vec<String> = (0..count).map(|mid| mid.to_string()).collect();
    let mut sdp = format!("v=0\r\no=- {} 1 IN IP4 127.0.0.1\r\ns=-\r\nt=0 0\r\n", plan.seed);
    line(&mut sdp, format_args!("a=group:BUNDLE {}", mids.join(" ")));
    line(&mut sdp, format_args!("a=ice-ufrag:{}\r\na=ice-pwd:{}", ice.0, ice.1));
    line(&mut sdp, format_args!("a=fingerprint:{fingerprint}\r\na=setup:active"));
    for (streams, what) in streams.iter().zip(&plan.lines) {
        let (kind, codecs): (Kind, &[Codec]) = match what {
            Line::Audio => (Kind::Audio, &[]),
            Line::Redundant => (Kind::Audio, &[RED]),
            Line::H264 => (Kind::Video, &[H264]),
            Line::Vp9 => (Kind::Video, &[VP9, VP8]),
            Line::Av1 => (Kind::Video, &[AV1, VP8]),
            Line::Video { .. } => (Kind::Video, &[VP8]),
        };
        section(&mut sdp, (kind, codecs), &streams[0].mid, "sendonly", true);
        announce(&mut sdp, streams);
    }
    let kinds = std::iter::repeat_n(Kind::Audio, plan.audio_slots);
    let kinds = kinds.chain(std::iter::repeat_n(Kind::Video, plan.video_slots));
    for (kind, mid) in kinds.zip(&mids[plan.lines.len()..]) {
        let codecs: &[Codec] = match kind {
            Kind::Audio if plan.takes_redundant => &[RED],
            Kind::Audio => &[],
            _ if plan.sees_layers => &[VP8, VP9, H264, AV1],
            _ if plan.sees_h264 => &[VP8, H264],
            _ => &[VP8],
        };
        section(&mut sdp, (kind, codecs), mid, "recvonly", plan.feedback != Feedback::None);
    }
    sdp
}

fn line(sdp: &mut String, text: std::fmt::Arguments<'_>) {
    write!(sdp, "{text}\r\n").expect("a String takes all text");
}

/// Redundant audio, and the codec that it repeats.
const RED: Codec = (numbers::RED, numbers::OPUS, "red", None);
/// A video codec: its payload type, that of its retransmissions, its name, its parameters.
type Codec = (u8, u8, &'static str, Option<&'static str>);
const VP8: Codec = (numbers::VP8, numbers::RTX, "VP8", None);
const H264_PARAMETERS: &str = "level-asymmetry-allowed=1;packetization-mode=1;profile-level-id=42e01f";
const VP9: Codec = (numbers::VP9, numbers::VP9_RTX, "VP9", Some("profile-id=0"));
const AV1: Codec = (numbers::AV1, numbers::AV1_RTX, "AV1", Some("level-idx=5;profile=0;tier=0"));
const H264: Codec = (numbers::H264, numbers::H264_RTX, "H264", Some(H264_PARAMETERS));

fn section(sdp: &mut String, (kind, codecs): (Kind, &[Codec]), mid: &str, direction: &str, numbered: bool) {
    use numbers::{AUDIO_LEVEL, DEPENDENCY_DESCRIPTOR, MID, OPUS, RED as RED_NUMBER, REPAIRED_RID, RID, TRANSPORT_CC};
    match kind {
        Kind::Audio if codecs.is_empty() => line(sdp, format_args!("m=audio 9 UDP/TLS/RTP/SAVPF {OPUS}")),
        Kind::Audio => line(sdp, format_args!("m=audio 9 UDP/TLS/RTP/SAVPF {RED_NUMBER} {OPUS}")),
        _ => {
            let numbers: Vec<String> = codecs.iter().map(|(number, rtx, ..)| format!("{number} {rtx}")).collect();
            line(sdp, format_args!("m=video 9 UDP/TLS/RTP/SAVPF {}", numbers.join(" ")));
        }
    }
    line(sdp, format_args!("c=IN IP4 0.0.0.0\r\na=mid:{mid}\r\na={direction}\r\na=rtcp-mux\r\na=rtcp-rsize"));
    line(sdp, format_args!("a=extmap:{MID} urn:ietf:params:rtp-hdrext:sdes:mid"));
    if numbered {
        line(
            sdp,
            format_args!(
                "a=extmap:{TRANSPORT_CC} http://www.ietf.org/id/draft-holmer-rmcat-transport-wide-cc-extensions-01"
            ),
        );
    }
    if kind == Kind::Audio {
        line(sdp, format_args!("a=extmap:{AUDIO_LEVEL} urn:ietf:params:rtp-hdrext:ssrc-audio-level"));
        line(sdp, format_args!("a=rtpmap:{OPUS} opus/48000/2\r\na=rtcp-fb:{OPUS} transport-cc"));
        line(sdp, format_args!("a=fmtp:{OPUS} minptime=10;useinbandfec=1"));
        for (red, opus, name, _) in codecs {
            line(sdp, format_args!("a=rtpmap:{red} {name}/48000/2\r\na=fmtp:{red} {opus}/{opus}"));
        }
    } else {
        if codecs.contains(&AV1) {
            let uri = "https://aomediacodec.github.io/av1-rtp-spec/#dependency-descriptor-rtp-header-extension";
            line(sdp, format_args!("a=extmap:{DEPENDENCY_DESCRIPTOR} {uri}"));
        }
        line(sdp, format_args!("a=extmap:{RID} urn:ietf:params:rtp-hdrext:sdes:rtp-stream-id"));
        line(sdp, format_args!("a=extmap:{REPAIRED_RID} urn:ietf:params:rtp-hdrext:sdes:repaired-rtp-stream-id"));
        for (number, rtx, name, parameters) in codecs {
            line(sdp, format_args!("a=rtpmap:{number} {name}/90000"));
            line(sdp, format_args!("a=rtpmap:{rtx} rtx/90000\r\na=fmtp:{rtx} apt={number}"));
            if let Some(parameters) = parameters {
                line(sdp, format_args!("a=fmtp:{number} {parameters}"));
            }
            for feedback in ["transport-cc", "nack", "nack pli", "ccm fir"] {
                line(sdp, format_args!("a=rtcp-fb:{number} {feedback}"));
            }
        }
    }
}

/// Layers are announced by their rids alone, as Chromium does; a single stream by its SSRCs.
fn announce(sdp: &mut String, streams: &[SendStream]) {
    let rids: Vec<&str> = streams.iter().filter_map(|stream| stream.rid.as_deref()).collect();
    for rid in &rids {
        line(sdp, format_args!("a=rid:{rid} send"));
    }
    if !rids.is_empty() {
        line(sdp, format_args!("a=simulcast:send {}", rids.join(";")));
        return;
    }
    for SendStream { ssrc, rtx_ssrc, .. } in streams {
        if let Some(rtx) = rtx_ssrc {
            line(sdp, format_args!("a=ssrc-group:FID {ssrc} {rtx}\r\na=ssrc:{rtx} cname:client"));
        }
        line(sdp, format_args!("a=ssrc:{ssrc} cname:client"));
    }
}

/// Reads what this client needs of an answer.
pub(super) fn read_answer(sdp: &str) -> Result<RemoteAnswer, SdpError> {
    let sections = read_sections(sdp)?;
    let first = sections.iter().find(|section| section.port != "0").ok_or(SdpError::UnsupportedCodecs)?;
    let word = |name: &str| first.attribute(name).map(str::to_owned);
    let (Some(ice_ufrag), Some(ice_pwd)) = (word("ice-ufrag"), word("ice-pwd")) else { return Err(SdpError::NoIce) };
    let fingerprint = word("fingerprint").and_then(|value| value.parse().ok()).ok_or(SdpError::NoFingerprint)?;
    let candidates = first.attributes("candidate").filter_map(udp_candidate).collect();
    let slots = sections.iter().filter(|section| section.has("sendonly")).filter_map(|section| {
        let group = section.attribute("ssrc-group").and_then(|value| value.strip_prefix("FID "));
        let pair = group.and_then(|pair| pair.split_once(' '));
        let announced = section.attribute("ssrc")?.split(' ').next()?;
        Some(Slot {
            mid: section.attribute("mid")?.to_owned(),
            kind: if section.media == "audio" { Kind::Audio } else { Kind::Video },
            ssrc: pair.map_or(announced, |(ssrc, _)| ssrc).parse().ok()?,
            rtx_ssrc: pair.and_then(|(_, rtx)| rtx.parse().ok()),
        })
    });
    Ok(RemoteAnswer { ice_ufrag, ice_pwd, fingerprint, candidates, slots: slots.collect() })
}

/// `1 1 udp PRIORITY ADDRESS PORT typ host`.
fn udp_candidate(value: &str) -> Option<SocketAddr> {
    let words: Vec<&str> = value.split_ascii_whitespace().collect();
    let [_, _, protocol, _, ip, port, ..] = words[..] else { return None };
    if !protocol.eq_ignore_ascii_case("udp") {
        return None;
    }
    Some(SocketAddr::new(ip.parse().ok()?, port.parse().ok()?))
}
