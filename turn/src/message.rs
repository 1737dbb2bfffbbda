//! STUN messages: read in place, written into a buffer that is used again (RFC 8489 section 5).

use ring::hmac;

use crate::attributes::{
    ERROR_CODE, FINGERPRINT, MAGIC_COOKIE, MESSAGE_INTEGRITY, MESSAGE_INTEGRITY_SHA256, XorAddress,
};

/// The length of a message without attributes.
pub const HEADER_BYTES: usize = 20;

const SHA1_BYTES: usize = 20;
/// MESSAGE-INTEGRITY-SHA256 may be cut down to this (RFC 8489 section 14.6).
const LEAST_SHA256_BYTES: usize = 16;
const SHA256_BYTES: usize = 32;
/// What the CRC is XORed with (RFC 8489 section 14.7).
const FINGERPRINT_XOR: u32 = 0x5354_554e;

/// What a message is for (RFC 8489 section 3, RFC 8656 section 17).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Method {
    /// What is my address?
    Binding,
    /// Give me a relay.
    Allocate,
    /// Let me keep the relay, or take it back.
    Refresh,
    /// A datagram for a peer.
    Send,
    /// A datagram of a peer.
    Data,
    /// Let these peers send to me.
    CreatePermission,
    /// A short name for a peer.
    ChannelBind,
}

impl Method {
    const ALL: [(Self, u16); 7] = [
        (Self::Binding, 1),
        (Self::Allocate, 3),
        (Self::Refresh, 4),
        (Self::Send, 6),
        (Self::Data, 7),
        (Self::CreatePermission, 8),
        (Self::ChannelBind, 9),
    ];

    fn number(self) -> u16 {
        Self::ALL.iter().find(|(method, _)| *method == self).map_or(0, |(_, number)| *number)
    }
}

/// Who speaks, and how.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Class {
    /// Wants an answer.
    Request,
    /// Wants none.
    Indication,
    /// It was done.
    Success,
    /// It was not done.
    Error,
}

impl Class {
    const ALL: [Self; 4] = [Self::Request, Self::Indication, Self::Success, Self::Error];
}

/// The first two bytes of a message: four bits of the method, a bit of the class, three of the method, and so on.
fn kind(class: Class, method: Method) -> u16 {
    let (class, method) = (class as u16, method.number());
    ((method & 0xF80) << 2) | ((method & 0x70) << 1) | (method & 0xF) | ((class & 2) << 7) | ((class & 1) << 4)
}

/// Not a STUN message: wrong lengths, no magic cookie, a wrong FINGERPRINT.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Malformed;

/// With which hash a message is signed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Integrity {
    /// MESSAGE-INTEGRITY.
    Sha1,
    /// MESSAGE-INTEGRITY-SHA256.
    Sha256,
}

impl Integrity {
    /// The HMAC's algorithm.
    fn algorithm(self) -> hmac::Algorithm {
        match self {
            Self::Sha1 => hmac::HMAC_SHA1_FOR_LEGACY_USE_ONLY,
            Self::Sha256 => hmac::HMAC_SHA256,
        }
    }
}

/// A message that was read: every length in it is right, and so is its FINGERPRINT if it has one.
#[derive(Clone, Copy, Debug)]
pub struct Message<'a> {
    raw: &'a [u8],
    /// Request, or whatever else.
    pub class: Class,
    /// The method; `None` for one that we do not know.
    pub method: Option<Method>,
    /// What the answer repeats.
    pub transaction: [u8; 12],
    /// Where the attributes end that count: those behind an integrity do not (RFC 8489 section 14.5).
    end: usize,
    /// Where its MESSAGE-INTEGRITY begins.
    sha1: Option<usize>,
    /// Where its MESSAGE-INTEGRITY-SHA256 begins.
    sha256: Option<usize>,
    /// It has a FINGERPRINT.
    pub fingerprint: bool,
}

impl<'a> Message<'a> {
    /// Reads one message that fills `raw`.
    ///
    /// # Errors
    /// [`Malformed`].
    pub fn read(raw: &'a [u8]) -> Result<Self, Malformed> {
        let Some((header, attributes)) = raw.split_first_chunk::<HEADER_BYTES>() else { return Err(Malformed) };
        let declared = usize::from(u16::from_be_bytes([header[2], header[3]]));
        if header[0] & 0xC0 != 0 || header[4..8] != MAGIC_COOKIE || declared != attributes.len() || declared % 4 != 0 {
            return Err(Malformed);
        }
        let bits = u16::from_be_bytes([header[0], header[1]]);
        let class = Class::ALL[usize::from(((bits >> 7) & 2) | ((bits >> 4) & 1))];
        let method = Method::ALL.iter().map(|(method, _)| *method).find(|method| kind(class, *method) == bits);
        let mut transaction = [0; 12];
        transaction.copy_from_slice(&header[8..]);
        let mut message =
            Self { raw, class, method, transaction, end: raw.len(), sha1: None, sha256: None, fingerprint: false };
        message.find_marks()?;
        Ok(message)
    }

    /// Walks over all attributes once: are their lengths right, where are integrity and fingerprint?
    fn find_marks(&mut self) -> Result<(), Malformed> {
        let mut at = HEADER_BYTES;
        while at < self.raw.len() {
            let Some((kind, value)) = attribute(self.raw, at) else { return Err(Malformed) };
            let mark = match kind {
                MESSAGE_INTEGRITY if self.sha1.is_none() && self.sha256.is_none() => {
                    self.sha1 = Some(at);
                    value.len() == SHA1_BYTES
                }
                MESSAGE_INTEGRITY_SHA256 if self.sha256.is_none() => {
                    self.sha256 = Some(at);
                    (LEAST_SHA256_BYTES..=SHA256_BYTES).contains(&value.len()) && value.len() % 4 == 0
                }
                FINGERPRINT => {
                    self.fingerprint = true;
                    at + 8 == self.raw.len() && value == fingerprint(&self.raw[..at]).to_be_bytes()
                }
                _ => {
                    at += 4 + value.len().next_multiple_of(4);
                    continue;
                }
            };
            if !mark {
                return Err(Malformed);
            }
            self.end = self.end.min(at);
            at += 4 + value.len();
        }
        Ok(())
    }

    /// The attributes that count, in order: number and value.
    pub fn attributes(&self) -> impl Iterator<Item = (u16, &'a [u8])> + use<'a> {
        let (raw, mut at) = (&self.raw[..self.end], HEADER_BYTES);
        std::iter::from_fn(move || {
            let (kind, value) = attribute(raw, at)?;
            at += 4 + value.len().next_multiple_of(4);
            Some((kind, value))
        })
    }

    /// The first attribute of that number. Another one of the same number does not count (RFC 8489 section 14).
    #[must_use]
    pub fn attribute(&self, wanted: u16) -> Option<&'a [u8]> {
        self.attributes().find(|(kind, _)| *kind == wanted).map(|(_, value)| value)
    }

    /// The first attribute of that number, as an XORed address; `Some(None)` if it is none.
    pub(crate) fn address(&self, wanted: u16) -> Option<Option<std::net::SocketAddr>> {
        self.attribute(wanted).map(|value| XorAddress::read(value, &self.transaction))
    }

    /// With what it is signed; the stronger one, if with both.
    #[must_use]
    pub fn integrity(&self) -> Option<Integrity> {
        let sha1 = self.sha1.map(|_| Integrity::Sha1);
        self.sha256.map(|_| Integrity::Sha256).or(sha1)
    }

    /// Is it signed with this key?
    #[must_use]
    pub fn is_signed_with(&self, key: &[u8]) -> bool {
        let Some(integrity) = self.integrity() else { return false };
        let at = match integrity {
            Integrity::Sha1 => self.sha1,
            Integrity::Sha256 => self.sha256,
        };
        let Some((at, (_, claimed))) = at.and_then(|at| Some((at, attribute(self.raw, at)?))) else { return false };
        let tag = sign(integrity, key, &self.raw[..at], 4 + claimed.len());
        let differing = tag.as_ref().iter().zip(claimed).fold(0, |differing, (a, b)| differing | (a ^ b));
        differing == 0
    }
}

/// The attribute that begins there, padding excluded. Its end, padding included, is within `raw`.
fn attribute(raw: &[u8], at: usize) -> Option<(u16, &[u8])> {
    let [k0, k1, l0, l1, rest @ ..] = raw.get(at..)? else { return None };
    let len = usize::from(u16::from_be_bytes([*l0, *l1]));
    rest.get(..len.next_multiple_of(4))?;
    Some((u16::from_be_bytes([*k0, *k1]), &rest[..len]))
}

/// The HMAC over a message up to its integrity, with the length that it has when it ends behind it.
fn sign(integrity: Integrity, key: &[u8], before: &[u8], own_bytes: usize) -> hmac::Tag {
    let mut context = hmac::Context::with_key(&hmac::Key::new(integrity.algorithm(), key));
    let length = (before.len() - HEADER_BYTES + own_bytes) as u16;
    context.update(&before[..2]);
    context.update(&length.to_be_bytes());
    context.update(&before[4..]);
    context.sign()
}

/// The FINGERPRINT of a message that has everything else. Its length must count the fingerprint already.
fn fingerprint(before: &[u8]) -> u32 {
    crc32fast::hash(before) ^ FINGERPRINT_XOR
}

/// Writes one message at the end of a buffer.
pub struct Writer<'a> {
    out: &'a mut Vec<u8>,
    start: usize,
}

impl<'a> Writer<'a> {
    /// Begins a message.
    pub fn new(out: &'a mut Vec<u8>, class: Class, method: Method, transaction: &[u8; 12]) -> Self {
        let start = out.len();
        out.extend_from_slice(&kind(class, method).to_be_bytes());
        out.extend_from_slice(&[0; 2]);
        out.extend_from_slice(&MAGIC_COOKIE);
        out.extend_from_slice(transaction);
        Self { out, start }
    }

    /// Adds an attribute. The value is short: a message has at most 64 KiB.
    pub fn add(&mut self, kind: u16, value: &[u8]) {
        self.out.extend_from_slice(&kind.to_be_bytes());
        self.out.extend_from_slice(&(value.len() as u16).to_be_bytes());
        self.out.extend_from_slice(value);
        let padding = value.len().next_multiple_of(4) - value.len();
        self.out.extend_from_slice(&[0; 3][..padding]);
        self.set_length(0);
    }

    pub(crate) fn add_address(&mut self, kind: u16, address: std::net::SocketAddr) {
        let mut transaction = [0; 12];
        transaction.copy_from_slice(&self.out[self.start + 8..self.start + HEADER_BYTES]);
        self.add(kind, XorAddress::write(address, &transaction).as_bytes());
    }

    /// Adds ERROR-CODE with its reason.
    pub fn add_error(&mut self, code: u16, reason: &str) {
        let mut value = [0; 64];
        value[2] = (code / 100) as u8;
        value[3] = (code % 100) as u8;
        let len = reason.len().min(value.len() - 4);
        value[4..4 + len].copy_from_slice(&reason.as_bytes()[..len]);
        self.add(ERROR_CODE, &value[..4 + len]);
    }

    /// Signs what is written so far.
    pub fn sign(&mut self, integrity: Integrity, key: &[u8]) {
        let (kind, bytes) = match integrity {
            Integrity::Sha1 => (MESSAGE_INTEGRITY, SHA1_BYTES),
            Integrity::Sha256 => (MESSAGE_INTEGRITY_SHA256, SHA256_BYTES),
        };
        let tag = sign(integrity, key, &self.out[self.start..], 4 + bytes);
        self.add(kind, tag.as_ref());
    }

    /// Adds FINGERPRINT; nothing may follow.
    pub fn add_fingerprint(&mut self) {
        self.set_length(8);
        let crc = fingerprint(&self.out[self.start..]);
        self.add(FINGERPRINT, &crc.to_be_bytes());
    }

    fn set_length(&mut self, more: usize) {
        let length = (self.out.len() - self.start - HEADER_BYTES + more) as u16;
        self.out[self.start + 2..self.start + 4].copy_from_slice(&length.to_be_bytes());
    }
}
