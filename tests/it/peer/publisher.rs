//! What a peer publishes: sound and picture that say whose they are.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use rtc::media_stream::MediaStreamTrack;
use rtc::peer_connection::configuration::media_engine::{MIME_TYPE_OPUS, MIME_TYPE_RTX, MIME_TYPE_VP8};
use rtc::rtp;
use rtc::rtp::extension::HeaderExtension;
use rtc::rtp::extension::audio_level_extension::AudioLevelExtension;
use rtc::rtp_transceiver::rtp_sender::{
    RTCRtpCodec, RTCRtpCodecParameters, RTCRtpCodingParameters, RTCRtpEncodingParameters,
    RTCRtpHeaderExtensionCapability, RtpCodecKind,
};
use webrtc::media_stream::track_local::static_rtp::TrackLocalStaticRTP;
use webrtc::peer_connection::MediaEngine;

use super::keyframes::Requests;
use super::{Kind, Shared, payload};

const OPUS: u8 = 111;
const VP8: u8 = 96;
const VP8_RTX: u8 = 97;
const AUDIO_LEVEL_URI: &str = "urn:ietf:params:rtp-hdrext:ssrc-audio-level";
const MID_URI: &str = "urn:ietf:params:rtp-hdrext:sdes:mid";
/// A packet of sound each; a picture every second time.
const TICK: Duration = Duration::from_millis(20);

/// Opus and VP8 with RTX, and the header extensions that the server reads.
pub(super) fn engine() -> MediaEngine {
    let mut engine = MediaEngine::default();
    let rtx = RTCRtpCodec {
        mime_type: MIME_TYPE_RTX.to_owned(),
        clock_rate: 90_000,
        sdp_fmtp_line: format!("apt={VP8}"),
        ..RTCRtpCodec::default()
    };
    for (codec, payload_type, kind) in [
        (codec(Kind::Audio), OPUS, RtpCodecKind::Audio),
        (codec(Kind::Video), VP8, RtpCodecKind::Video),
        (rtx, VP8_RTX, RtpCodecKind::Video),
    ] {
        let codec = RTCRtpCodecParameters { rtp_codec: codec, payload_type };
        engine.register_codec(codec, kind).expect("the codec is new");
    }
    for uri in [AUDIO_LEVEL_URI, MID_URI] {
        let extension = RTCRtpHeaderExtensionCapability { uri: uri.to_owned() };
        engine.register_header_extension(extension, RtpCodecKind::Audio, None).expect("there is room for it");
    }
    engine
}

fn codec(kind: Kind) -> RTCRtpCodec {
    let (mime_type, clock_rate, channels) = match kind {
        Kind::Audio => (MIME_TYPE_OPUS, 48_000, 2),
        Kind::Video => (MIME_TYPE_VP8, 90_000, 0),
    };
    RTCRtpCodec { mime_type: mime_type.to_owned(), clock_rate, channels, ..RTCRtpCodec::default() }
}

fn local_ssrc(tag: u32, kind: Kind) -> u32 {
    1000 * tag + kind as u32 + 1
}

pub(super) fn local_track(tag: u32, kind: Kind) -> MediaStreamTrack {
    let rtp_kind = match kind {
        Kind::Audio => RtpCodecKind::Audio,
        Kind::Video => RtpCodecKind::Video,
    };
    let encoding = RTCRtpEncodingParameters {
        rtp_coding_parameters: RTCRtpCodingParameters { ssrc: Some(local_ssrc(tag, kind)), ..Default::default() },
        codec: codec(kind),
        ..Default::default()
    };
    MediaStreamTrack::new(
        format!("of-{tag}"),
        format!("{kind:?}-of-{tag}"),
        format!("{kind:?}"),
        rtp_kind,
        vec![encoding],
    )
}

/// Sound every 20 ms and a picture of two packets every 40 ms, until it is stopped.
pub(super) async fn publish(
    tag: u32,
    [audio, video]: [Arc<TrackLocalStaticRTP>; 2],
    shared: Arc<Shared>,
    requests: Requests,
) {
    let mut ticks = tokio::time::interval(TICK);
    ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    let mut picture = 0_u16;
    for tick in 0_u32.. {
        ticks.tick().await;
        // The first to come is the loudest, so that nobody takes another's place.
        let level = HeaderExtension::AudioLevel(AudioLevelExtension { level: 10 + 2 * tag.min(50) as u8, voice: true });
        let sound = packet(tag, Kind::Audio, &shared, tick * 960, true, payload::opus);
        if audio.write_rtp_with_extensions(sound, &[level]).await.is_err() {
            return;
        }
        if tick % 2 == 1 {
            continue;
        }
        let keyframe = picture == 0 || requests.take();
        for first in [true, false] {
            let body = |mark: &_| payload::vp8(picture, keyframe, first, mark);
            let part = packet(tag, Kind::Video, &shared, tick * 1800, !first, body);
            if video.write_rtp_with_extensions(part, &[]).await.is_err() {
                return;
            }
        }
        picture = (picture + 1) % 0x8000;
    }
}

/// The next packet of a kind; it counts as sent.
fn packet(
    tag: u32,
    kind: Kind,
    shared: &Shared,
    timestamp: u32,
    marker: bool,
    body: impl FnOnce(&payload::Mark) -> bytes::Bytes,
) -> rtp::Packet {
    let counter = shared.sent[kind as usize].fetch_add(1, Ordering::SeqCst) as u32;
    let payload_type = if kind == Kind::Audio { OPUS } else { VP8 };
    let header = rtp::Header {
        version: 2,
        marker,
        payload_type,
        sequence_number: counter as u16,
        timestamp,
        ssrc: local_ssrc(tag, kind),
        ..rtp::Header::default()
    };
    rtp::Packet { header, payload: body(&payload::mark(tag, counter)) }
}
