//! Why a packet was not used. A bad packet is not an error: it is dropped and counted by its reason.

macro_rules! reasons {
    ($($(#[$doc:meta])* $variant:ident = $name:literal,)*) => {
        /// The reason a datagram or a packet was dropped.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
        pub enum Drop {
            $($(#[$doc])* $variant,)*
        }

        impl Drop {
            /// Every reason, in the order of their discriminants.
            pub const ALL: [Self; [$($name),*].len()] = [$(Self::$variant),*];

            /// The name in metrics.
            #[must_use]
            pub const fn name(self) -> &'static str {
                match self { $(Self::$variant => $name,)* }
            }
        }
    };
}

reasons! {
    /// Not a STUN binding request that can be read.
    StunMalformed = "stun_malformed",
    /// MESSAGE-INTEGRITY or FINGERPRINT is missing or wrong.
    StunIntegrity = "stun_integrity",
    /// The USERNAME names no peer here, or another one than the credentials belong to.
    StunUnknownUfrag = "stun_unknown_ufrag",
    /// Not a DTLS datagram that can be read, or more than a handshake needs.
    DtlsMalformed = "dtls_malformed",
    /// The peer's certificate is not the one that its offer named.
    DtlsFingerprint = "dtls_fingerprint",
    /// The DTLS handshake failed or the association is closed.
    DtlsClosed = "dtls_closed",
    /// The authentication tag is wrong.
    SrtpAuth = "srtp_auth",
    /// The packet came already, or is older than the replay window.
    SrtpReplay = "srtp_replay",
    /// Too short for its header and tag.
    SrtpShort = "srtp_short",
    /// More RTCP senders than a peer may have.
    SrtcpSsrcs = "srtcp_ssrcs",
    /// Not an RTP packet.
    RtpMalformed = "rtp_malformed",
    /// Not an RTCP packet.
    RtcpMalformed = "rtcp_malformed",
    /// Transport-wide feedback that cannot be read, or on packets that were never sent, or with times that cannot be.
    Feedback = "feedback",
    /// Nothing that the port carries.
    Unknown = "unknown",
    /// From an address that has shown no credentials.
    UnknownAddress = "unknown_address",
    /// From an address that somebody else holds.
    AddressTaken = "address_taken",
    /// Media before the keys for it.
    NoKeys = "no_keys",
    /// A stream that no section of the offer announces.
    UnknownSsrc = "unknown_ssrc",
    /// More streams than a peer may have.
    TooManySsrcs = "too_many_ssrcs",
    /// A payload type or a descriptor that was not negotiated.
    Payload = "payload",
    /// The track is muted, by its owner or by a moderator.
    Muted = "muted",
    /// The packet is here already, by a retransmission or twice.
    Duplicate = "duplicate",
    /// Padding without content.
    Padding = "padding",
    /// More key frames asked for than a picture can need.
    TooManyRequests = "too_many_requests",
    /// A retransmission of nothing that was ever missing.
    UselessRtx = "useless_rtx",
    /// Of another shard: not a batch or a record that can be read.
    RelayMalformed = "relay_malformed",
    /// Of another shard: no such link, track or stream.
    RelayUnknown = "relay_unknown",
    /// Of another shard: nobody here wants it any more.
    RelayUnwanted = "relay_unwanted",
}
