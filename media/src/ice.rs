//! ICE-lite (RFC 8445 §2.5) over STUN (RFC 8489): answers connectivity checks, starts none.
//!
//! Read and written by hand, because the demultiplexer looks at every check before it knows the peer, and an answer must cost
//! neither an allocation nor a copy of the request.

use std::net::{IpAddr, SocketAddr};

use hmac::{Hmac, Mac};
use sha1::Sha1;

use crate::drop::Drop;

/// RFC 8489 §5.
const MAGIC_COOKIE: u32 = 0x2112_A442;
const HEADER_LEN: usize = 20;
/// Longer datagrams are no check: a browser's has about 110 bytes.
const MAX_LEN: usize = 1024;
const INTEGRITY_LEN: usize = 20;
/// RFC 8489 §14.7.
const FINGERPRINT_XOR: u32 = 0x5354_554e;

pub(crate) const BINDING_REQUEST: u16 = 0x0001;
pub(crate) const BINDING_SUCCESS: u16 = 0x0101;
const BINDING_ERROR: u16 = 0x0111;

pub(crate) mod attribute {
    pub(crate) const USERNAME: u16 = 0x0006;
    pub(crate) const MESSAGE_INTEGRITY: u16 = 0x0008;
    pub(crate) const ERROR_CODE: u16 = 0x0009;
    pub(crate) const UNKNOWN_ATTRIBUTES: u16 = 0x000A;
    pub(crate) const XOR_MAPPED_ADDRESS: u16 = 0x0020;
    pub(crate) const PRIORITY: u16 = 0x0024;
    pub(crate) const USE_CANDIDATE: u16 = 0x0025;
    pub(crate) const FINGERPRINT: u16 = 0x8028;
    pub(crate) const ICE_CONTROLLED: u16 = 0x8029;
    pub(crate) const ICE_CONTROLLING: u16 = 0x802A;
}

/// Attributes below this number must be understood or refused (RFC 8489 §14).
const OPTIONAL_FROM: u16 = 0x8000;

/// Whether a datagram is a STUN message: type, magic cookie and length.
#[must_use]
pub fn is_stun(datagram: &[u8]) -> bool {
    datagram.len() >= HEADER_LEN
        && datagram[0] < 4
        && datagram[4..8] == MAGIC_COOKIE.to_be_bytes()
        && HEADER_LEN + usize::from(half(datagram, 2)) == datagram.len()
        && datagram.len().is_multiple_of(4)
}

/// The part of USERNAME that names the receiver: for a connectivity check, the ufrag of the answer. Nothing is verified yet.
#[must_use]
pub fn local_ufrag(datagram: &[u8]) -> Option<&str> {
    if !is_stun(datagram) || datagram.len() > MAX_LEN {
        return None;
    }
    let username = attributes(datagram).find(|found| found.kind == attribute::USERNAME)?;
    let (local, _) = std::str::from_utf8(username.value).ok()?.split_once(':')?;
    Some(local)
}

/// The characters of ICE credentials (RFC 8839 §5.4): as many as there can be shards.
pub(crate) const LETTERS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

/// The number of the shard that a check is for: the first letter of the user name that its answer gave. Nothing is verified yet.
#[must_use]
pub fn shard_of(datagram: &[u8]) -> Option<u8> {
    let first = *local_ufrag(datagram)?.as_bytes().first()?;
    LETTERS.iter().position(|letter| *letter == first).map(|number| number as u8)
}

/// What an authentic check said.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Check {
    /// The client uses this pair from now on: media goes to the check's source address.
    pub nominated: bool,
    /// False when the answer written is an error: the check then counts for nothing.
    pub accepted: bool,
}

/// The ICE agent of one peer: its credentials, and nothing that a check could make grow.
#[derive(Clone)]
pub struct Agent {
    /// Ours, in the answer: the client's checks carry it first in USERNAME.
    pub local_ufrag: String,
    /// Ours, in the answer: keys the MESSAGE-INTEGRITY of checks and of our responses.
    pub local_pwd: String,
    /// The client's, from its offer.
    pub remote_ufrag: String,
    /// HMAC with `local_pwd`, keyed once.
    mac: Hmac<Sha1>,
}

impl Agent {
    /// An agent with our credentials of the answer and the client's ufrag of the offer.
    #[must_use]
    pub fn new(local_ufrag: String, local_pwd: String, remote_ufrag: String) -> Self {
        let mac = keyed(&local_pwd);
        Self { local_ufrag, local_pwd, remote_ufrag, mac }
    }

    /// Checks one STUN datagram from `from` and writes the response into `out`, which is cleared first. `out` stays empty for
    /// what deserves no response: indications, responses, forgeries.
    ///
    /// # Errors
    ///
    /// [`Drop::StunMalformed`], [`Drop::StunUnknownUfrag`], [`Drop::StunIntegrity`]. An authentic request that cannot be granted
    /// is no error: its response says 420 or 487, and [`Check::accepted`] is false.
    pub fn handle(&self, from: SocketAddr, datagram: &[u8], out: &mut Vec<u8>) -> Result<Check, Drop> {
        out.clear();
        let request = Request::parse(datagram)?;
        let (local, remote) = request.username.and_then(|name| name.split_once(':')).ok_or(Drop::StunUnknownUfrag)?;
        if local != self.local_ufrag || remote != self.remote_ufrag {
            return Err(Drop::StunUnknownUfrag);
        }
        let integrity_at = request.integrity_at.ok_or(Drop::StunIntegrity)?;
        if !integrity_holds(&self.mac, datagram, integrity_at) {
            return Err(Drop::StunIntegrity);
        }

        if let Some(unknown) = request.unknown {
            begin(out, BINDING_ERROR, datagram);
            push_error(out, 420, "Unknown Attribute");
            push(out, attribute::UNKNOWN_ATTRIBUTES, &unknown.to_be_bytes());
            finish(out, &self.mac);
            return Ok(Check { nominated: false, accepted: false });
        }
        // RFC 8445 §7.3.1.1: a lite agent is controlled, so a client that says the same has to switch.
        if request.controlled {
            begin(out, BINDING_ERROR, datagram);
            push_error(out, 487, "Role Conflict");
            finish(out, &self.mac);
            return Ok(Check { nominated: false, accepted: false });
        }
        begin(out, BINDING_SUCCESS, datagram);
        push_xor_mapped_address(out, from);
        finish(out, &self.mac);
        Ok(Check { nominated: request.use_candidate, accepted: true })
    }
}

/// Answers a binding request without USERNAME like any public STUN server (RFC 8489 §6.3.1), so that clients can learn their
/// address from the media port. Writes the response into `out`, cleared first; false when the datagram is no such request.
pub fn plain_binding_response(from: SocketAddr, datagram: &[u8], out: &mut Vec<u8>) -> bool {
    out.clear();
    let Ok(request) = Request::parse(datagram) else { return false };
    if request.username.is_some() || request.integrity_at.is_some() {
        return false;
    }
    // The response must not be longer than the request by much: this is what a spoofed source would get.
    begin(out, BINDING_SUCCESS, datagram);
    push_xor_mapped_address(out, from);
    push_fingerprint(out);
    true
}

/// A binding request whose attributes have been walked once.
struct Request<'a> {
    username: Option<&'a str>,
    /// Where the MESSAGE-INTEGRITY attribute begins.
    integrity_at: Option<usize>,
    use_candidate: bool,
    controlled: bool,
    /// The first attribute that must be understood and is not.
    unknown: Option<u16>,
}

impl<'a> Request<'a> {
    fn parse(datagram: &'a [u8]) -> Result<Self, Drop> {
        if !is_stun(datagram) || datagram.len() > MAX_LEN || half(datagram, 0) != BINDING_REQUEST {
            return Err(Drop::StunMalformed);
        }
        let mut request =
            Request { username: None, integrity_at: None, use_candidate: false, controlled: false, unknown: None };
        let mut walked = attributes(datagram);
        for Attribute { kind, at, value } in walked.by_ref() {
            if kind == attribute::FINGERPRINT {
                let expected = crc32fast::hash(&datagram[..at]) ^ FINGERPRINT_XOR;
                // RFC 8489 §14.7: it is the last attribute.
                if value != expected.to_be_bytes() || at + 8 != datagram.len() {
                    return Err(Drop::StunIntegrity);
                }
                continue;
            }
            // RFC 8489 §14.5: what follows MESSAGE-INTEGRITY is not protected, so it does not count.
            if request.integrity_at.is_some() {
                continue;
            }
            match kind {
                attribute::USERNAME => {
                    request.username = Some(std::str::from_utf8(value).map_err(|_| Drop::StunMalformed)?);
                }
                attribute::MESSAGE_INTEGRITY if value.len() == INTEGRITY_LEN => request.integrity_at = Some(at),
                attribute::MESSAGE_INTEGRITY => return Err(Drop::StunMalformed),
                attribute::USE_CANDIDATE => request.use_candidate = true,
                attribute::ICE_CONTROLLED => request.controlled = true,
                attribute::PRIORITY | attribute::ICE_CONTROLLING => {}
                kind if kind < OPTIONAL_FROM => request.unknown = request.unknown.or(Some(kind)),
                _ => {}
            }
        }
        if walked.at != datagram.len() { Err(Drop::StunMalformed) } else { Ok(request) }
    }
}

pub(crate) struct Attribute<'a> {
    pub(crate) kind: u16,
    /// Where the attribute's header begins in the datagram.
    pub(crate) at: usize,
    pub(crate) value: &'a [u8],
}

pub(crate) struct Attributes<'a> {
    datagram: &'a [u8],
    at: usize,
}

/// Walks the attributes of a datagram that [`is_stun`], up to the first one that does not fit.
pub(crate) fn attributes(datagram: &[u8]) -> Attributes<'_> {
    Attributes { datagram, at: HEADER_LEN }
}

impl<'a> Iterator for Attributes<'a> {
    type Item = Attribute<'a>;

    fn next(&mut self) -> Option<Attribute<'a>> {
        let at = self.at;
        let head = self.datagram.get(at..at + 4)?;
        let len = usize::from(half(head, 2));
        let value = self.datagram.get(at + 4..at + 4 + len)?;
        let next = at + 4 + len.next_multiple_of(4);
        if next > self.datagram.len() {
            return None;
        }
        self.at = next;
        Some(Attribute { kind: half(head, 0), at, value })
    }
}

pub(crate) fn keyed(password: &str) -> Hmac<Sha1> {
    <Hmac<Sha1> as Mac>::new_from_slice(password.as_bytes()).expect("HMAC takes a key of any length")
}

/// RFC 8489 §14.5: the HMAC covers the message up to the attribute, with a length that ends behind it.
pub(crate) fn integrity_holds(mac: &Hmac<Sha1>, datagram: &[u8], integrity_at: usize) -> bool {
    let end = integrity_at + 4 + INTEGRITY_LEN;
    let Some(tag) = datagram.get(integrity_at + 4..end) else { return false };
    let mut mac = mac.clone();
    mac.update(&datagram[..2]);
    mac.update(&((end - HEADER_LEN) as u16).to_be_bytes());
    mac.update(&datagram[4..integrity_at]);
    mac.verify_slice(tag).is_ok()
}

/// Starts a response: its header, with the transaction of the request.
fn begin(out: &mut Vec<u8>, kind: u16, request: &[u8]) {
    out.clear();
    out.extend_from_slice(&kind.to_be_bytes());
    out.extend_from_slice(&[0, 0]);
    out.extend_from_slice(&request[4..HEADER_LEN]);
}

/// Starts a request of our own, for the client.
#[cfg_attr(not(feature = "client"), expect(dead_code, reason = "an ICE-lite agent asks nothing"))]
pub(crate) fn begin_request(out: &mut Vec<u8>, transaction: [u8; 12]) {
    out.clear();
    out.extend_from_slice(&BINDING_REQUEST.to_be_bytes());
    out.extend_from_slice(&[0, 0]);
    out.extend_from_slice(&MAGIC_COOKIE.to_be_bytes());
    out.extend_from_slice(&transaction);
}

/// Appends one attribute, padded by zeros.
pub(crate) fn push(out: &mut Vec<u8>, kind: u16, value: &[u8]) {
    out.extend_from_slice(&kind.to_be_bytes());
    out.extend_from_slice(&(value.len() as u16).to_be_bytes());
    out.extend_from_slice(value);
    out.resize(out.len().next_multiple_of(4), 0);
    set_len(out, 0);
}

fn push_error(out: &mut Vec<u8>, code: u16, reason: &str) {
    let mut value = [0; 4 + 32];
    let len = 4 + reason.len().min(32);
    value[2] = (code / 100) as u8;
    value[3] = (code % 100) as u8;
    value[4..len].copy_from_slice(&reason.as_bytes()[..len - 4]);
    push(out, attribute::ERROR_CODE, &value[..len]);
}

fn push_xor_mapped_address(out: &mut Vec<u8>, address: SocketAddr) {
    let mut value = [0; 20];
    value[2..4].copy_from_slice(&(address.port() ^ (MAGIC_COOKIE >> 16) as u16).to_be_bytes());
    // A dual-stack socket shows IPv4 sources as mapped IPv6 addresses; the client knows itself by the former.
    let len = match address.ip().to_canonical() {
        IpAddr::V4(ip) => {
            value[1] = 1;
            value[4..8].copy_from_slice(&ip.octets());
            8
        }
        IpAddr::V6(ip) => {
            value[1] = 2;
            value[4..20].copy_from_slice(&ip.octets());
            20
        }
    };
    // The key is the cookie and the transaction, as they stand in the header.
    for (octet, key) in value[4..len].iter_mut().zip(&out[4..HEADER_LEN]) {
        *octet ^= key;
    }
    push(out, attribute::XOR_MAPPED_ADDRESS, &value[..len]);
}

/// Appends MESSAGE-INTEGRITY and FINGERPRINT.
pub(crate) fn finish(out: &mut Vec<u8>, mac: &Hmac<Sha1>) {
    set_len(out, 4 + INTEGRITY_LEN);
    let mut mac = mac.clone();
    mac.update(out);
    push(out, attribute::MESSAGE_INTEGRITY, &mac.finalize().into_bytes());
    push_fingerprint(out);
}

fn push_fingerprint(out: &mut Vec<u8>) {
    set_len(out, 8);
    let fingerprint = crc32fast::hash(out) ^ FINGERPRINT_XOR;
    push(out, attribute::FINGERPRINT, &fingerprint.to_be_bytes());
}

fn set_len(out: &mut [u8], coming: usize) {
    let len = (out.len() - HEADER_LEN + coming) as u16;
    out[2..4].copy_from_slice(&len.to_be_bytes());
}

fn half(bytes: &[u8], at: usize) -> u16 {
    u16::from_be_bytes([bytes[at], bytes[at + 1]])
}
