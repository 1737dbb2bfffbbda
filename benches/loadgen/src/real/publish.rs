//! What a real peer sends on one line.

use std::sync::Arc;

use anyhow::Context as _;
use bytes::Bytes;
use parlor_media::client::{Frame, Line};
use rtc::media_stream::MediaStreamTrack;
use rtc::peer_connection::configuration::media_engine::{MIME_TYPE_OPUS, MIME_TYPE_RTX, MIME_TYPE_VP8};
use rtc::rtp;
use rtc::rtp_transceiver::rtp_sender::{
    RTCRtpCodec, RTCRtpCodecParameters, RTCRtpCodingParameters, RTCRtpEncodingParameters,
    RTCRtpHeaderExtensionCapability, RtpCodecKind,
};
use tokio::sync::mpsc::UnboundedReceiver;
use tokio::time::sleep_until;
use webrtc::media_stream::track_local::TrackLocal as _;
use webrtc::media_stream::track_local::static_rtp::TrackLocalStaticRTP;
use webrtc::peer_connection::MediaEngine;

use super::requests::Requests;
use crate::meter::Meter;
use crate::sources::Source;
use crate::tally::Counts;

const OPUS: u8 = 111;
const VP8: u8 = 96;
const VP8_RTX: u8 = 97;
const AUDIO_LEVEL_URI: &str = "urn:ietf:params:rtp-hdrext:ssrc-audio-level";
const MID_URI: &str = "urn:ietf:params:rtp-hdrext:sdes:mid";
const RID_URI: &str = "urn:ietf:params:rtp-hdrext:sdes:rtp-stream-id";
const REPAIRED_RID_URI: &str = "urn:ietf:params:rtp-hdrext:sdes:repaired-rtp-stream-id";
/// Packets at the beginning of a stream that name their section and layer, as browsers do.
const NAMED_PACKETS: u32 = 50;

/// Opus and VP8 with RTX, and the header extensions that the server reads.
pub(super) fn engine() -> anyhow::Result<MediaEngine> {
    let mut engine = MediaEngine::default();
    let rtx = RTCRtpCodec {
        mime_type: MIME_TYPE_RTX.to_owned(),
        clock_rate: 90_000,
        sdp_fmtp_line: format!("apt={VP8}"),
        ..RTCRtpCodec::default()
    };
    for (rtp_codec, payload_type, kind) in [
        (codec(true), OPUS, RtpCodecKind::Audio),
        (codec(false), VP8, RtpCodecKind::Video),
        (rtx, VP8_RTX, RtpCodecKind::Video),
    ] {
        engine.register_codec(RTCRtpCodecParameters { rtp_codec, payload_type }, kind)?;
    }
    for (uri, kind) in [
        (AUDIO_LEVEL_URI, RtpCodecKind::Audio),
        (MID_URI, RtpCodecKind::Audio),
        (MID_URI, RtpCodecKind::Video),
        (RID_URI, RtpCodecKind::Video),
        (REPAIRED_RID_URI, RtpCodecKind::Video),
    ] {
        let extension = RTCRtpHeaderExtensionCapability { uri: uri.to_owned() };
        engine.register_header_extension(extension, kind, None)?;
    }
    Ok(engine)
}

fn codec(is_audio: bool) -> RTCRtpCodec {
    let (mime_type, clock_rate, channels) =
        if is_audio { (MIME_TYPE_OPUS, 48_000, 2) } else { (MIME_TYPE_VP8, 90_000, 0) };
    RTCRtpCodec { mime_type: mime_type.to_owned(), clock_rate, channels, ..RTCRtpCodec::default() }
}

/// The numbers of header extensions in an offer, and the section's own name.
#[derive(Default)]
pub(super) struct Names {
    level: Option<u8>,
    mid: Option<u8>,
    rid: Option<u8>,
    section: Bytes,
}

impl Names {
    /// Those of the section with that `a=mid`.
    pub(super) fn of(sdp: &str, mid: &str) -> Self {
        let named = format!("a=mid:{mid}");
        let section = sdp.split("\nm=").skip(1).find(|section| section.lines().any(|line| line.trim_end() == named));
        let number = |uri: &str| {
            let mut lines = section?.lines().filter_map(|line| line.trim_end().strip_prefix("a=extmap:"));
            let line = lines.find(|line| line.ends_with(uri))?;
            line.split([' ', '/']).next()?.parse().ok()
        };
        Self {
            level: number(AUDIO_LEVEL_URI),
            mid: number(MID_URI),
            rid: number(RID_URI),
            section: Bytes::copy_from_slice(mid.as_bytes()),
        }
    }
}

/// One send line.
pub(super) struct Outlet {
    pub(super) track: Arc<TrackLocalStaticRTP>,
    pub(super) names: Names,
    source: Source,
    payload_type: u8,
    layers: Vec<Stream>,
}

struct Stream {
    ssrc: u32,
    rid: Bytes,
    next: u16,
    named: u32,
}

impl Outlet {
    /// `number` is the peer's: no two have the same SSRCs.
    pub(super) fn new(number: usize, line: &Line, source: Source) -> Self {
        let (is_audio, rids) = match line {
            Line::Video { rids } if !rids.is_empty() => (false, rids.clone()),
            Line::Audio => (true, vec![String::new()]),
            _ => (false, vec![String::new()]),
        };
        let ssrc = |layer: usize| (0x0100_0000 + number * 64 + source.line * 8 + layer) as u32;
        let stream = |(layer, rid): (usize, &String)| Stream {
            ssrc: ssrc(layer),
            rid: Bytes::copy_from_slice(rid.as_bytes()),
            next: 0,
            named: 0,
        };
        let layers: Vec<Stream> = rids.iter().enumerate().map(stream).collect();
        let encoding = |(layer, rid): (usize, &String)| RTCRtpEncodingParameters {
            rtp_coding_parameters: RTCRtpCodingParameters {
                ssrc: Some(ssrc(layer)),
                rid: rid.clone(),
                ..Default::default()
            },
            codec: codec(is_audio),
            ..Default::default()
        };
        let encodings = rids.iter().enumerate().map(encoding).collect();
        let kind = if is_audio { RtpCodecKind::Audio } else { RtpCodecKind::Video };
        let name = format!("{number}-{}", source.line);
        let track = MediaStreamTrack::new(format!("of-{number}"), name.clone(), name, kind, encodings);
        let payload_type = if is_audio { OPUS } else { VP8 };
        Self { track: Arc::new(TrackLocalStaticRTP::new(track)), names: Names::default(), source, payload_type, layers }
    }

    /// Sends until the connection is over.
    pub(super) async fn publish(
        mut self,
        mut switches: UnboundedReceiver<Vec<bool>>,
        requests: Requests,
        meter: Arc<Meter>,
    ) {
        let mut answered = 0;
        loop {
            sleep_until(self.source.due().into()).await;
            while let Ok(on) = switches.try_recv() {
                self.source.switch(&on);
            }
            let asked = requests.count();
            if asked != answered {
                meter.add(Counts { keyframe_requests: (asked - answered) as u64, ..Counts::default() }, &[], &[]);
                answered = asked;
                self.source.make_key();
            }
            let Ok(packets) = self.packets().context("a packet of ours is too long") else { return };
            let sent = packets.len() as u64;
            for packet in packets {
                if self.track.write_rtp(packet).await.is_err() {
                    return;
                }
            }
            meter.add(Counts { sent, ..Counts::default() }, &[], &[]);
        }
    }

    fn packets(&mut self) -> anyhow::Result<Vec<rtp::Packet>> {
        let Self { source, layers, names, payload_type, .. } = self;
        let mut packets = Vec::new();
        source.fire(std::time::Instant::now(), |layer, frame| {
            packets.push(layers[layer].packet(names, *payload_type, &frame));
        });
        packets.into_iter().collect()
    }
}

impl Stream {
    fn packet(&mut self, names: &Names, payload_type: u8, frame: &Frame<'_>) -> anyhow::Result<rtp::Packet> {
        let mut header = rtp::Header {
            version: 2,
            marker: frame.marker,
            payload_type,
            sequence_number: self.next,
            timestamp: frame.timestamp,
            ssrc: self.ssrc,
            ..rtp::Header::default()
        };
        self.next = self.next.wrapping_add(1);
        if let (Some(id), Some((level, voice))) = (names.level, frame.audio_level) {
            header.set_extension(id, Bytes::copy_from_slice(&[level & 0x7f | u8::from(voice) << 7]))?;
        }
        if self.named < NAMED_PACKETS {
            self.named += 1;
            if let Some(id) = names.mid {
                header.set_extension(id, names.section.clone())?;
            }
            if let Some(id) = names.rid.filter(|_| !self.rid.is_empty()) {
                header.set_extension(id, self.rid.clone())?;
            }
        }
        Ok(rtp::Packet { header, payload: Bytes::copy_from_slice(frame.payload) })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn extensions_are_those_of_the_section() {
        let sdp = "v=0\r\nm=audio 9 UDP\r\na=mid:0\r\na=extmap:3 urn:ietf:params:rtp-hdrext:ssrc-audio-level\r\n\
                   m=video 9 UDP\r\na=mid:1\r\na=extmap:7/sendonly urn:ietf:params:rtp-hdrext:sdes:rtp-stream-id\r\n\
                   a=extmap:8 urn:ietf:params:rtp-hdrext:sdes:repaired-rtp-stream-id\r\n";
        let names = Names::of(sdp, "1");
        assert_eq!((names.level, names.mid, names.rid), (None, None, Some(7)));
        assert_eq!(Names::of(sdp, "0").level, Some(3));
    }
}
