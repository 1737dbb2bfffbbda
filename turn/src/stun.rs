//! The STUN responder without a socket: one datagram in, at most one out (RFC 8489, the Binding method alone).
//!
//! A client learns from it the address that its NAT shows to the world, and nothing else: no authentication, no
//! SOFTWARE, no alternate server. Two rules keep it useless to those who forge source addresses. An answer is at most
//! 24 bytes longer than its request, the least that RFC 8489 allows for an IPv6 address; and each source gets
//! [`BURST`] answers, then [`ANSWERS_PER_S`] a second.

use std::hash::{BuildHasher, RandomState};
use std::net::{IpAddr, SocketAddr};
use std::time::{Duration, Instant};

use rtc_stun::attributes::{
    ATTR_ERROR_CODE, ATTR_FINGERPRINT, ATTR_MESSAGE_INTEGRITY, ATTR_NONCE, ATTR_REALM, ATTR_UNKNOWN_ATTRIBUTES,
    ATTR_USERNAME, AttrType,
};
use rtc_stun::fingerprint::FINGERPRINT;
use rtc_stun::message::{
    BINDING_ERROR, BINDING_REQUEST, BINDING_SUCCESS, Message, MessageType, Setter, is_stun_message,
};
use rtc_stun::xoraddr::XorMappedAddress;

/// Answers that a source gets at once: a few hundred people behind one NAT may open the page in the same minute.
pub const BURST: u32 = 100;
/// Answers a second that a source gets after its burst. A forged victim receives less than 1.5 kB/s.
pub const ANSWERS_PER_S: u32 = 20;
/// A longer datagram is dropped unread: no Binding request of a browser is longer than 100 bytes.
pub const MAX_REQUEST_BYTES: usize = 548;

const HEADER_BYTES: usize = 20;
/// So many unknown attributes are named in a 420 answer; naming more would answer a request with something longer.
const MAX_UNKNOWN: usize = 4;

/// Why a datagram got no answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DropReason {
    /// Longer than [`MAX_REQUEST_BYTES`].
    TooLong,
    /// Not STUN, lying lengths, or a wrong FINGERPRINT.
    Malformed,
    /// STUN, but no Binding request: answering answers makes loops.
    NotBindingRequest,
    /// This source has had its share.
    RateLimited,
    /// From port 0, or from no single host.
    BadSource,
}

impl DropReason {
    /// Every reason, in the order of [`DropReason::index`].
    pub const ALL: [Self; 5] =
        [Self::TooLong, Self::Malformed, Self::NotBindingRequest, Self::RateLimited, Self::BadSource];

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
            Self::NotBindingRequest => "not_binding_request",
            Self::RateLimited => "rate_limited",
            Self::BadSource => "bad_source",
        }
    }
}

/// Answers Binding requests, within a budget for each source.
pub struct Responder {
    budgets: Budgets,
}

impl Responder {
    /// A responder whose clock starts at `now`.
    #[must_use]
    pub fn new(now: Instant) -> Self {
        Self { budgets: Budgets::new(now) }
    }

    /// The bytes to send back to `from`, which is the address as the socket saw it.
    ///
    /// # Errors
    /// The reason for which the datagram gets no answer.
    pub fn answer(&mut self, now: Instant, from: SocketAddr, datagram: &[u8]) -> Result<Vec<u8>, DropReason> {
        // A dual-stack socket shows IPv4 clients as ::ffff:a.b.c.d, which they would not recognise as theirs.
        let from = SocketAddr::new(from.ip().to_canonical(), from.port());
        if from.port() == 0 || from.ip().is_multicast() || from.ip().is_unspecified() {
            return Err(DropReason::BadSource);
        }
        if datagram.len() > MAX_REQUEST_BYTES {
            return Err(DropReason::TooLong);
        }
        if !is_stun_message(datagram) || datagram[0] & 0xC0 != 0 || declared_bytes(datagram) != datagram.len() {
            return Err(DropReason::Malformed);
        }
        let mut kind = MessageType::default();
        kind.read_value(u16::from_be_bytes([datagram[0], datagram[1]]));
        if kind != BINDING_REQUEST {
            return Err(DropReason::NotBindingRequest);
        }
        if !self.budgets.take(now, from.ip()) {
            return Err(DropReason::RateLimited);
        }
        reply(from, datagram).ok_or(DropReason::Malformed)
    }
}

fn declared_bytes(datagram: &[u8]) -> usize {
    HEADER_BYTES + usize::from(u16::from_be_bytes([datagram[2], datagram[3]]))
}

fn reply(from: SocketAddr, datagram: &[u8]) -> Option<Vec<u8>> {
    let mut request = Message::new();
    request.unmarshal_binary(datagram).ok()?;
    let fingerprint = request.contains(ATTR_FINGERPRINT);
    if fingerprint && FINGERPRINT.check(&request).is_err() {
        return None;
    }
    let unknown: Vec<u8> = request
        .attributes
        .0
        .iter()
        .filter(|attribute| !is_known(attribute.typ))
        .take(MAX_UNKNOWN)
        .flat_map(|attribute| attribute.typ.value().to_be_bytes())
        .collect();
    let kind = if unknown.is_empty() { BINDING_SUCCESS } else { BINDING_ERROR };
    let mut answer = Message::new();
    answer.build(&[Box::new(kind), Box::new(request.transaction_id)]).ok()?;
    if unknown.is_empty() {
        XorMappedAddress { ip: from.ip(), port: from.port() }.add_to(&mut answer).ok()?;
    } else {
        // 420 without a reason phrase, which would only make the answer longer (RFC 8489 section 14.8).
        answer.add(ATTR_ERROR_CODE, &[0, 0, 4, 20]);
        answer.add(ATTR_UNKNOWN_ATTRIBUTES, &unknown);
    }
    if fingerprint {
        FINGERPRINT.add_to(&mut answer).ok()?;
    }
    Some(answer.raw)
}

/// Attributes a Binding request may carry without a 420. Credentials are ignored: this server wants none.
fn is_known(kind: AttrType) -> bool {
    kind.optional() || [ATTR_USERNAME, ATTR_MESSAGE_INTEGRITY, ATTR_REALM, ATTR_NONCE].contains(&kind)
}

/// A leaky bucket per source (GCRA) in a table of fixed size: sources that fall on the same place share a budget, and no
/// flood makes the table grow.
struct Budgets {
    start: Instant,
    hash: RandomState,
    /// For each place, when its next answer would be due at the steady rate, in µs since `start`.
    due_us: Box<[u64; PLACES]>,
}

/// 32 KiB. With a full house of 1,000 sources within five seconds, one in five shares its budget with another.
const PLACES: usize = 4096;

impl Budgets {
    fn new(start: Instant) -> Self {
        Self { start, hash: RandomState::new(), due_us: Box::new([0; PLACES]) }
    }

    fn take(&mut self, now: Instant, ip: IpAddr) -> bool {
        const STEP_US: u64 = 1_000_000 / ANSWERS_PER_S as u64;
        const AHEAD_US: u64 = STEP_US * (BURST as u64 - 1);
        let now_us = u64::try_from(now.saturating_duration_since(self.start).as_micros()).unwrap_or(u64::MAX / 2);
        let place = self.hash.hash_one(source(ip)) as usize % PLACES;
        let due_us = self.due_us[place].max(now_us);
        if due_us - now_us > AHEAD_US {
            return false;
        }
        self.due_us[place] = due_us + STEP_US;
        true
    }
}

/// Who counts as one source: an IPv4 address, or an IPv6 /64, which is what one household or one machine gets.
fn source(ip: IpAddr) -> u128 {
    match ip {
        IpAddr::V4(ip) => u128::from(u32::from(ip)),
        IpAddr::V6(ip) => u128::from(ip) >> 64 << 64,
    }
}

/// How long a source that used up its burst waits until it has all of it back.
pub const REFILL: Duration = Duration::from_secs(BURST as u64 / ANSWERS_PER_S as u64);

#[cfg(test)]
mod tests {
    use super::*;
    use rtc_stun::attributes::{ATTR_SOFTWARE, ATTR_XORMAPPED_ADDRESS};
    use rtc_stun::message::{Getter, TransactionId};

    fn v4() -> SocketAddr {
        "192.0.2.1:40000".parse().unwrap()
    }

    fn request(extra: &[(AttrType, &[u8])], fingerprint: bool) -> Message {
        let mut message = Message::new();
        message.build(&[Box::new(BINDING_REQUEST), Box::new(TransactionId::new())]).unwrap();
        for (kind, value) in extra {
            message.add(*kind, value);
        }
        if fingerprint {
            FINGERPRINT.add_to(&mut message).unwrap();
        }
        message
    }

    fn ask(from: SocketAddr, datagram: &[u8]) -> Result<Message, DropReason> {
        let now = Instant::now();
        let raw = Responder::new(now).answer(now, from, datagram)?;
        let mut message = Message::new();
        message.unmarshal_binary(&raw).unwrap();
        Ok(message)
    }

    #[test]
    fn a_client_learns_its_address() {
        for address in ["192.0.2.1:40000", "[2001:db8::1]:40000"] {
            let from: SocketAddr = address.parse().unwrap();
            for fingerprint in [false, true] {
                let request = request(&[], fingerprint);
                let answer = ask(from, &request.raw).unwrap();
                let mut mapped = XorMappedAddress::default();
                mapped.get_from(&answer).unwrap();
                assert_eq!(SocketAddr::new(mapped.ip, mapped.port), from);
                assert_eq!((answer.typ, answer.transaction_id), (BINDING_SUCCESS, request.transaction_id));
                assert_eq!(answer.contains(ATTR_FINGERPRINT), fingerprint);
                assert!(!answer.contains(ATTR_SOFTWARE));
                assert!(answer.raw.len() <= request.raw.len() + 24);
            }
        }
    }

    #[test]
    fn a_dual_stack_socket_names_the_ipv4_address() {
        let answer = ask("[::ffff:192.0.2.1]:40000".parse().unwrap(), &request(&[], false).raw).unwrap();
        assert_eq!(answer.get(ATTR_XORMAPPED_ADDRESS).unwrap().len(), 8);
    }

    #[test]
    fn unknown_required_attributes_are_named() {
        let change = AttrType(0x0003);
        let answer = ask(v4(), &request(&[(change, &[0; 4])], true).raw).unwrap();
        assert_eq!(answer.typ, BINDING_ERROR);
        assert_eq!(answer.get(ATTR_UNKNOWN_ATTRIBUTES).unwrap(), [0, 3]);
        assert!(FINGERPRINT.check(&answer).is_ok());
        // Many of them make no long answer.
        let many: Vec<(AttrType, &[u8])> = (0x0030..0x0050).map(|kind| (AttrType(kind), &[][..])).collect();
        let request = request(&many, false);
        assert!(ask(v4(), &request.raw).unwrap().raw.len() <= request.raw.len());
    }

    #[test]
    fn credentials_are_ignored() {
        let request = request(&[(ATTR_USERNAME, b"ada"), (ATTR_MESSAGE_INTEGRITY, &[0; 20])], false);
        assert_eq!(ask(v4(), &request.raw).unwrap().typ, BINDING_SUCCESS);
    }

    #[test]
    fn bad_datagrams_are_dropped_with_a_reason() {
        let good = request(&[], true).raw;
        let mut wrong_crc = good.clone();
        *wrong_crc.last_mut().unwrap() ^= 1;
        let mut lying = good.clone();
        lying[3] += 4;
        let mut long = good.clone();
        long.resize(MAX_REQUEST_BYTES + 1, 0);
        let mut response = good.clone();
        response[0] |= 1;
        let mut allocate = good.clone();
        allocate[1] = 3;
        let mut lying_attribute = request(&[(ATTR_USERNAME, b"ada.")], false).raw;
        lying_attribute[23] = 200;
        let cases: [(&[u8], DropReason); 8] = [
            (&[], DropReason::Malformed),
            (&good[..19], DropReason::Malformed),
            (&wrong_crc, DropReason::Malformed),
            (&lying, DropReason::Malformed),
            (&lying_attribute, DropReason::Malformed),
            (&long, DropReason::TooLong),
            (&response, DropReason::NotBindingRequest),
            (&allocate, DropReason::NotBindingRequest),
        ];
        for (datagram, reason) in cases {
            assert_eq!(ask(v4(), datagram).err(), Some(reason), "{datagram:02x?}");
        }
        assert_eq!(ask("192.0.2.1:0".parse().unwrap(), &good).err(), Some(DropReason::BadSource));
        assert!(DropReason::ALL.iter().enumerate().all(|(i, reason)| reason.index() == i));
    }

    #[test]
    fn a_source_has_a_budget_and_others_keep_theirs() {
        let start = Instant::now();
        let mut responder = Responder::new(start);
        let request = request(&[], false).raw;
        let mut answers = |after: Duration, from: &str, n: u32| {
            let from: SocketAddr = from.parse().unwrap();
            (0..n).filter(|_| responder.answer(start + after, from, &request).is_ok()).count() as u32
        };
        assert_eq!(answers(Duration::ZERO, "[2001:db8::1]:1", 500), BURST);
        assert_eq!(answers(Duration::ZERO, "[2001:db8::2]:2", 9), 0, "the same /64 is the same source");
        assert_eq!(answers(Duration::from_secs(1), "[2001:db8::1]:1", 500), ANSWERS_PER_S);
        assert_eq!(answers(Duration::from_secs(1) + REFILL, "[2001:db8::1]:1", 500), BURST);
        // Another source shares the place with a chance of 1 in 4096; of ten, most must not.
        let others = (1..=10).filter(|i| answers(Duration::ZERO, &format!("192.0.2.{i}:1"), 1) == 1).count();
        assert!(others >= 8, "{others}");
    }
}
