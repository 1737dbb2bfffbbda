//! Tells the protocols on one UDP port apart by their first bytes (RFC 7983, RFC 5761 §4).

/// What a datagram claims to be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// A STUN message: a connectivity check or a plain binding request.
    Stun,
    /// A DTLS record.
    Dtls,
    /// An SRTP packet.
    Rtp,
    /// An SRTCP packet.
    Rtcp,
}

/// The shortest datagram that any of the protocols allows: an RTCP header with an SSRC.
const SHORTEST: usize = 8;

/// Classifies a datagram, or `None` when it is none of ours.
#[must_use]
pub fn classify(datagram: &[u8]) -> Option<Kind> {
    if datagram.len() < SHORTEST {
        return None;
    }
    match datagram[0] {
        0..=3 => Some(Kind::Stun),
        20..=63 => Some(Kind::Dtls),
        // RTCP packet types 192–223 stand where RTP has its marker bit and payload types 64–95.
        128..=191 => Some(if (192..=223).contains(&datagram[1]) { Kind::Rtcp } else { Kind::Rtp }),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn first_bytes_tell_the_protocols_apart() {
        let with = |first: u8, second: u8| {
            let mut datagram = [0u8; 20];
            datagram[0] = first;
            datagram[1] = second;
            classify(&datagram)
        };
        assert_eq!(with(0, 1), Some(Kind::Stun));
        assert_eq!(with(22, 254), Some(Kind::Dtls));
        assert_eq!(with(0x80, 96), Some(Kind::Rtp));
        assert_eq!(with(0x80, 0x80 | 96), Some(Kind::Rtp));
        assert_eq!(with(0x80, 200), Some(Kind::Rtcp));
        assert_eq!(with(0x81, 206), Some(Kind::Rtcp));
        assert_eq!(with(70, 0), None);
        assert_eq!(classify(&[0x80, 96, 0]), None);
    }
}
