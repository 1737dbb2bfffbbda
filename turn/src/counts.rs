//! What the server counts. Nothing from the network is an error; it is dropped or refused, and counted here by its reason.

/// Why something from a client or a peer got neither an answer nor any further.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DropReason {
    /// Longer than a request may be.
    TooLong,
    /// Neither STUN nor ChannelData, lying lengths, or a wrong FINGERPRINT.
    Malformed,
    /// STUN, but nothing that a server is asked: answering answers makes loops.
    NotRequest,
    /// This source has had its share of answers without showing who it is.
    RateLimited,
    /// From port 0, or from no single host.
    BadSource,
    /// Data without an allocation, or on a channel that is not bound.
    NoRelay,
    /// A peer without a permission, or one that may not be reached.
    NoPermission,
    /// The user sends faster than the quota.
    OverQuota,
    /// The kernel had no room, or no road.
    Unsent,
    /// The client's connection takes data more slowly than it comes.
    SlowClient,
    /// A connection over the limits: of all, of one address, or too many a second.
    TooManyConnections,
    /// A connection without an allocation that used up its time.
    IdleConnection,
    /// A connection that spoke no TLS where it should.
    BadTls,
    /// A connection that the system did not give, mostly for want of open files: accepting pauses for a moment.
    NotAccepted,
    /// An allocation that was ended for one from where fewer are, when all were taken.
    Displaced,
}

impl DropReason {
    /// Every reason, in the order of [`DropReason::index`].
    pub const ALL: [Self; 15] = [
        Self::TooLong,
        Self::Malformed,
        Self::NotRequest,
        Self::RateLimited,
        Self::BadSource,
        Self::NoRelay,
        Self::NoPermission,
        Self::OverQuota,
        Self::Unsent,
        Self::SlowClient,
        Self::TooManyConnections,
        Self::IdleConnection,
        Self::BadTls,
        Self::NotAccepted,
        Self::Displaced,
    ];

    /// The reason's place in [`DropReason::ALL`], for a table of counters.
    #[must_use]
    pub fn index(self) -> usize {
        self as usize
    }

    /// The reason as a metric's label.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::TooLong => "too_long",
            Self::Malformed => "malformed",
            Self::NotRequest => "not_request",
            Self::RateLimited => "rate_limited",
            Self::BadSource => "bad_source",
            Self::NoRelay => "no_relay",
            Self::NoPermission => "no_permission",
            Self::OverQuota => "over_quota",
            Self::Unsent => "unsent",
            Self::SlowClient => "slow_client",
            Self::TooManyConnections => "too_many_connections",
            Self::IdleConnection => "idle_connection",
            Self::BadTls => "bad_tls",
            Self::NotAccepted => "not_accepted",
            Self::Displaced => "displaced",
        }
    }
}

/// Why a request was refused: the codes of RFC 8489 section 14.8 and RFC 8656 section 19 that this server says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// 400: it lacks something, or contradicts itself.
    BadRequest,
    /// 401: no credentials, wrong ones, or expired ones.
    Unauthenticated,
    /// 403: that peer is not reached from here.
    Forbidden,
    /// 420: an attribute that we do not know.
    UnknownAttribute,
    /// 437: there is no allocation, or there is one already.
    Mismatch,
    /// 438: the nonce is too old.
    StaleNonce,
    /// 440: no relay address of that family.
    FamilyNotSupported,
    /// 441: another user made the allocation.
    WrongCredentials,
    /// 442: the relay speaks UDP alone.
    TransportNotSupported,
    /// 443: the peer's family is not that of the allocation.
    FamilyMismatch,
    /// 486: this user, or where it comes from, has all the allocations that one may have.
    Quota,
    /// 508: no ports, no permissions, no channels left; or a thing that this server does not do.
    Capacity,
}

impl Refusal {
    /// Every refusal, in the order of its place in [`Counts::refusals`].
    pub const ALL: [Self; 12] = [
        Self::BadRequest,
        Self::Unauthenticated,
        Self::Forbidden,
        Self::UnknownAttribute,
        Self::Mismatch,
        Self::StaleNonce,
        Self::FamilyNotSupported,
        Self::WrongCredentials,
        Self::TransportNotSupported,
        Self::FamilyMismatch,
        Self::Quota,
        Self::Capacity,
    ];

    /// The number on the wire.
    #[must_use]
    pub fn code(self) -> u16 {
        match self {
            Self::BadRequest => 400,
            Self::Unauthenticated => 401,
            Self::Forbidden => 403,
            Self::UnknownAttribute => 420,
            Self::Mismatch => 437,
            Self::StaleNonce => 438,
            Self::FamilyNotSupported => 440,
            Self::WrongCredentials => 441,
            Self::TransportNotSupported => 442,
            Self::FamilyMismatch => 443,
            Self::Quota => 486,
            Self::Capacity => 508,
        }
    }

    /// The reason phrase of the registry.
    pub(crate) fn phrase(self) -> &'static str {
        match self {
            Self::BadRequest => "Bad Request",
            Self::Unauthenticated => "Unauthenticated",
            Self::Forbidden => "Forbidden",
            Self::UnknownAttribute => "Unknown Attribute",
            Self::Mismatch => "Allocation Mismatch",
            Self::StaleNonce => "Stale Nonce",
            Self::FamilyNotSupported => "Address Family not Supported",
            Self::WrongCredentials => "Wrong Credentials",
            Self::TransportNotSupported => "Unsupported Transport Protocol",
            Self::FamilyMismatch => "Peer Address Family Mismatch",
            Self::Quota => "Allocation Quota Reached",
            Self::Capacity => "Insufficient Capacity",
        }
    }

    /// The code as a metric's label.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::BadRequest => "400",
            Self::Unauthenticated => "401",
            Self::Forbidden => "403",
            Self::UnknownAttribute => "420",
            Self::Mismatch => "437",
            Self::StaleNonce => "438",
            Self::FamilyNotSupported => "440",
            Self::WrongCredentials => "441",
            Self::TransportNotSupported => "442",
            Self::FamilyMismatch => "443",
            Self::Quota => "486",
            Self::Capacity => "508",
        }
    }
}

/// Datagrams and their bytes, without the relay's own framing.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Flow {
    /// Datagrams.
    pub packets: u64,
    /// Their payload.
    pub bytes: u64,
}

impl Flow {
    pub(crate) fn add(&mut self, packets: u64, bytes: u64) {
        self.packets += packets;
        self.bytes += bytes;
    }
}

/// Everything that is counted since the start; the last three are of now.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Binding requests answered.
    pub answered: u64,
    /// Dropped, in the order of [`DropReason::ALL`].
    pub drops: [u64; DropReason::ALL.len()],
    /// Refused, in the order of [`Refusal::ALL`].
    pub refusals: [u64; Refusal::ALL.len()],
    /// Allocations made, over UDP and over streams.
    pub allocated: [u64; 2],
    /// From clients to peers.
    pub to_peers: Flow,
    /// From peers to clients.
    pub to_clients: Flow,
    /// Allocations of now.
    pub allocations: u64,
    /// TCP connections of now, TLS ones included.
    pub connections: u64,
    /// TLS connections of now.
    pub tls_connections: u64,
}

impl Counts {
    /// Dropped so far for this reason.
    #[must_use]
    pub fn dropped(&self, reason: DropReason) -> u64 {
        self.drops[reason.index()]
    }

    /// Refused so far with this code.
    #[must_use]
    pub fn refused(&self, refusal: Refusal) -> u64 {
        self.refusals[refusal as usize]
    }

    pub(crate) fn drop(&mut self, reason: DropReason) {
        self.drops[reason.index()] += 1;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tables_are_in_order() {
        assert!(DropReason::ALL.iter().enumerate().all(|(at, reason)| reason.index() == at));
        assert!(Refusal::ALL.iter().enumerate().all(|(at, refusal)| *refusal as usize == at));
        assert!(Refusal::ALL.iter().all(|refusal| refusal.code().to_string() == refusal.name()));
    }
}
