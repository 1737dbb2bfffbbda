//! One offer, one answer (RFC 8829, RFC 3264): what a client wants to send and receive, and what the server says to that.
//!
//! The line grammar is read here and not by `rtc-sdp`: that crate insists on the order of lines, copies each of the 4,000 lines
//! of a large offer twice, and leaves rids, simulcast and extensions as text anyway.

mod answer;
mod parse;

pub use self::answer::{Answer, SlotLine};
#[cfg(feature = "client")]
pub(crate) use self::parse::read_sections;
use crate::dtls::Fingerprint;

/// The most media sections of an offer: own tracks and slots together.
pub const MAX_MEDIA: usize = 64;
/// The longest offer, in bytes. A Chromium offer with 25 video sections and all codecs has 130 KB.
pub const MAX_SDP_LEN: usize = 256 * 1024;
/// The most simulcast layers of a section; the answer leaves out further ones.
pub const MAX_RIDS: usize = 4;
/// The most SSRCs and FID groups read from a section; further ones are ignored.
pub const MAX_SSRCS: usize = 16;

/// Why an offer cannot be answered.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum SdpError {
    /// Not an offer as RFC 8829 wants it; the text says what is wrong.
    #[error("{0}")]
    Bad(&'static str),
    /// No `a=ice-ufrag` and `a=ice-pwd`.
    #[error("the offer has no ICE credentials")]
    NoIce,
    /// No `a=fingerprint` with a hash of the SHA-2 family.
    #[error("the offer has no certificate fingerprint with sha-256, sha-384 or sha-512")]
    NoFingerprint,
    /// More than [`MAX_MEDIA`] sections.
    #[error("the offer has more than {MAX_MEDIA} media sections")]
    TooManyMedia,
    /// No section has Opus, or a codec for pictures that the server takes.
    #[error(
        "the offer has none of the codecs that this server takes: Opus, VP8, and where it allows them VP9 (profile 0), H.264 (baseline, packetization mode 1) and AV1 (profile 0)"
    )]
    UnsupportedCodecs,
}

/// A client's offer, checked: it can be answered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Offer {
    /// The client's ICE user name fragment.
    pub ice_ufrag: String,
    /// The client's ICE password. A lite agent only answers, so nothing is signed with it.
    pub ice_pwd: String,
    /// The certificate that the client will show.
    pub fingerprint: Fingerprint,
    /// The session id of the `o=` line, which a connection keeps over all its offers (RFC 8829 §5.2.1). At most 64 characters.
    pub session: String,
    /// The sections in the offer's order, refused ones included: the answer has the same.
    pub media: Vec<OfferedMedia>,
    /// `a=extmap-allow-mixed`: one-byte and two-byte header extensions may be mixed.
    pub mixed_extensions: bool,
}

impl Offer {
    /// Reads and checks an offer.
    ///
    /// # Errors
    ///
    /// See [`SdpError`].
    pub fn parse(sdp: &str) -> Result<Self, SdpError> {
        parse::offer(sdp)
    }

    /// The offer as if its pictures came in no other codecs than these, for a server that looks at them and cannot decode all.
    ///
    /// # Errors
    ///
    /// [`SdpError::UnsupportedCodecs`] when nothing is left.
    pub fn allowing(mut self, pictures: &[CodecName]) -> Result<Self, SdpError> {
        for media in &mut self.media {
            media.codecs.retain(|codec| codec.name == CodecName::Opus || pictures.contains(&codec.name));
        }
        if self.media.iter().any(OfferedMedia::is_accepted) { Ok(self) } else { Err(SdpError::UnsupportedCodecs) }
    }

    /// The answer: SDP with lines ended by CRLF.
    #[must_use]
    pub fn answer(&self, answer: &Answer) -> String {
        answer::write(self, answer)
    }

    /// The sections on which the client sends, with their index in [`Self::media`].
    pub fn senders(&self) -> impl Iterator<Item = (usize, &OfferedMedia)> {
        self.media.iter().enumerate().filter(|(_, media)| media.is_sender())
    }

    /// The sections on which the client only receives, with their index: the slots, in the order of [`Answer::slots`].
    pub fn slots(&self) -> impl Iterator<Item = (usize, &OfferedMedia)> {
        self.media.iter().enumerate().filter(|(_, media)| media.is_slot())
    }
}

/// What a section carries.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// `m=audio`.
    Audio,
    /// `m=video`.
    Video,
    /// Anything else, such as the data channels of `m=application`: always refused.
    Other,
}

/// Who sends on a section, from the client's point of view.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Direction {
    /// The client sends.
    SendOnly,
    /// The client receives: a slot.
    RecvOnly,
    /// The client would do both. The answer lets it send: what it receives comes on slots.
    SendRecv,
    /// Neither, for now.
    Inactive,
}

/// The codecs that Parlor forwards.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CodecName {
    /// RFC 7587.
    Opus,
    /// RFC 7741.
    Vp8,
    /// RFC 9628, profile 0.
    Vp9,
    /// RFC 6184, baseline, packetization mode 1.
    H264,
    /// The AV1 RTP specification, profile 0.
    Av1,
}

impl CodecName {
    /// The codecs for pictures, in the order in which slots name them.
    pub const PICTURES: [CodecName; 4] = [CodecName::Vp8, CodecName::Vp9, CodecName::H264, CodecName::Av1];
}

/// A codec under the offer's numbers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Codec {
    /// Which one.
    pub name: CodecName,
    /// The RTP payload type.
    pub payload_type: u8,
    /// The payload type of its retransmissions (RFC 4588), if the client knows them.
    pub rtx_payload_type: Option<u8>,
    /// Units of the RTP timestamp a second.
    pub clock_rate: u32,
    /// For Opus, the payload type of its redundant form (RFC 2198), if the client knows that.
    pub red_payload_type: Option<u8>,
    /// The client names the redundant form before the plain one: it would send that.
    pub red_first: bool,
    /// The parameters as offered: what the client can receive. For H.264 only `profile-level-id`.
    pub fmtp: String,
    /// The RTCP feedback offered.
    pub feedback: Feedback,
}

/// Which RTCP feedback (RFC 4585, RFC 5104) a client understands for a codec.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Feedback {
    /// `nack`.
    pub nack: bool,
    /// `nack pli`.
    pub pli: bool,
    /// `ccm fir`.
    pub fir: bool,
    /// `transport-cc`.
    pub transport_cc: bool,
    /// `goog-remb` (draft-alvestrand-rmcat-remb).
    pub remb: bool,
}

/// The ids of the RTP header extensions (RFC 8285) that Parlor reads, where offered.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Extensions {
    /// `urn:ietf:params:rtp-hdrext:sdes:mid` (RFC 8843).
    pub mid: Option<u8>,
    /// `urn:ietf:params:rtp-hdrext:sdes:rtp-stream-id` (RFC 8852).
    pub rid: Option<u8>,
    /// `urn:ietf:params:rtp-hdrext:sdes:repaired-rtp-stream-id` (RFC 8852).
    pub repaired_rid: Option<u8>,
    /// Transport-wide sequence numbers (draft-holmer-rmcat-transport-wide-cc-extensions-01).
    pub transport_cc: Option<u8>,
    /// `urn:ietf:params:rtp-hdrext:ssrc-audio-level` (RFC 6464).
    pub audio_level: Option<u8>,
    /// The dependency descriptor (AV1 RTP specification, appendix A).
    pub dependency_descriptor: Option<u8>,
}

/// The names of a track in the browser.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Msid {
    /// The media stream, or `-` for none.
    pub stream: String,
    /// The track in it. Empty where the browser leaves it out.
    pub track: String,
}

/// One media section of an offer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OfferedMedia {
    /// Its name, unique in the offer; `0` for an only section without one.
    pub mid: String,
    /// What it carries.
    pub kind: Kind,
    /// Who sends.
    pub direction: Direction,
    /// The client itself has given it up (port 0 without `a=bundle-only`).
    pub rejected: bool,
    /// The codecs known to us, best first. The answer takes all of a slot and the first of a sender; without any it refuses the
    /// section. Best to send is VP8 where there is no reason for another: a client that names VP9 or AV1 first has one.
    pub codecs: Vec<Codec>,
    /// Header extensions.
    pub extensions: Extensions,
    /// The simulcast layers that the client sends, in the order of its `a=simulcast`, without `~`. Empty for a single stream.
    pub send_rids: Vec<String>,
    /// Announced SSRCs. Chromium announces none for rid simulcast.
    pub ssrcs: Vec<u32>,
    /// Announced pairs of an SSRC and its retransmissions.
    pub fid: Vec<(u32, u32)>,
    /// What the client's track is called.
    pub msid: Option<Msid>,
    /// The offer gives it no name, so the answer gives it none.
    unnamed: bool,
    /// `a=rtcp-rsize`.
    reduced_size: bool,
    /// The extensions that the client would only send, or only receive: the answer says the opposite (RFC 8285 §7).
    one_way_extensions: Vec<u8>,
    /// The words of the m-line that the answer repeats: media, protocol, first format.
    line: Line,
}

#[derive(Debug, Clone, PartialEq, Eq)]
struct Line {
    media: String,
    protocol: String,
    format: String,
}

impl OfferedMedia {
    /// The codec that the client is to send.
    #[must_use]
    pub fn codec(&self) -> Option<&Codec> {
        self.codecs.first()
    }

    /// The codecs that the answer takes: one, or for a slot as many as there are.
    fn taken(&self) -> &[Codec] {
        let most = if self.direction == Direction::RecvOnly { self.codecs.len() } else { 1 };
        &self.codecs[..most.min(self.codecs.len())]
    }

    /// Whether the answer takes this section.
    #[must_use]
    pub fn is_accepted(&self) -> bool {
        !self.rejected && !self.codecs.is_empty()
    }

    /// Whether the client sends on this section.
    #[must_use]
    pub fn is_sender(&self) -> bool {
        self.is_accepted() && matches!(self.direction, Direction::SendOnly | Direction::SendRecv)
    }

    /// Whether this section is a slot.
    #[must_use]
    pub fn is_slot(&self) -> bool {
        self.is_accepted() && self.direction == Direction::RecvOnly
    }
}
