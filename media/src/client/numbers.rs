//! Payload types and extension ids of a client's offer; Chromium has the same.

/// Opus.
pub const OPUS: u8 = 111;
/// Opus in its redundant form.
pub const RED: u8 = 63;
/// VP8.
pub const VP8: u8 = 96;
/// Retransmissions of VP8.
pub const RTX: u8 = 97;
/// VP9, profile 0.
pub const VP9: u8 = 98;
/// Retransmissions of VP9.
pub const VP9_RTX: u8 = 99;
/// H.264, baseline, packetization mode 1.
pub const H264: u8 = 106;
/// Retransmissions of H.264.
pub const H264_RTX: u8 = 107;
/// AV1, profile 0.
pub const AV1: u8 = 45;
/// Retransmissions of AV1.
pub const AV1_RTX: u8 = 46;
/// `urn:ietf:params:rtp-hdrext:ssrc-audio-level`.
pub const AUDIO_LEVEL: u8 = 1;
/// Transport-wide sequence numbers.
pub const TRANSPORT_CC: u8 = 3;
/// `urn:ietf:params:rtp-hdrext:sdes:mid`.
pub const MID: u8 = 4;
/// `urn:ietf:params:rtp-hdrext:sdes:rtp-stream-id`.
pub const RID: u8 = 10;
/// `urn:ietf:params:rtp-hdrext:sdes:repaired-rtp-stream-id`.
pub const REPAIRED_RID: u8 = 11;
/// The dependency descriptor of AV1.
pub const DEPENDENCY_DESCRIPTOR: u8 = 13;
