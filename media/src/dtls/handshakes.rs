//! What the other side sends before there are keys, in whole messages.
//!
//! `rtc-dtls` reassembles messages itself, but before it does, somebody has to read the whole ClientHello (see
//! [`Hello`]), and what it does with fragments is not fit for strangers: it recurses once per fragment, keeps empty and
//! repeated fragments for ever, takes a record's rest for the fragment where another message follows, and a repeated
//! ClientHello stops its retransmission timer. Here every one of its records is rebuilt: a message a record, in order, once.

use crate::drop::Drop;

const RECORD_HEADER_LEN: usize = 13;
const MESSAGE_HEADER_LEN: usize = 12;

const CHANGE_CIPHER_SPEC: u8 = 20;
const ALERT: u8 = 21;
const HANDSHAKE: u8 = 22;
const APPLICATION_DATA: u8 = 23;

const CLIENT_HELLO: u8 = 1;
const SERVER_HELLO: u8 = 2;
const HELLO_VERIFY_REQUEST: u8 = 3;
const WARNING: u8 = 1;

/// The longest message taken. A ClientHello of Chromium has 1.5 KiB, a certificate with an RSA key about 1 KiB.
const MAX_MESSAGE_LEN: usize = 8 * 1024;
/// Fragments that wait for their message to be complete; more are dropped, and the client repeats them.
const MAX_FRAGMENTS: usize = 32;
const MAX_WAITING_LEN: usize = 2 * MAX_MESSAGE_LEN;
/// How many records may wait in `rtc-dtls` for their keys. A flight has two: ChangeCipherSpec and Finished.
const MAX_EARLY_RECORDS: usize = 16;
/// A handshake has five or six messages of either side. Beyond this it is none.
const MAX_MESSAGES: u16 = 16;

/// One DTLS record in a datagram.
pub(super) struct Record<'a> {
    kind: u8,
    pub(super) epoch: u16,
    pub(super) bytes: &'a [u8],
}

impl<'a> Record<'a> {
    pub(super) fn is_handshake(&self) -> bool {
        self.kind == HANDSHAKE
    }

    fn body(&self) -> &'a [u8] {
        &self.bytes[RECORD_HEADER_LEN..]
    }
}

/// The records of a datagram; a `None` ends them where one is malformed.
pub(super) fn records(datagram: &[u8]) -> impl Iterator<Item = Option<Record<'_>>> {
    let mut rest = datagram;
    std::iter::from_fn(move || {
        if rest.is_empty() {
            return None;
        }
        let record = first_record(rest);
        rest = record.as_ref().map_or(&[], |record| &rest[record.bytes.len()..]);
        Some(record)
    })
}

fn first_record(bytes: &[u8]) -> Option<Record<'_>> {
    let header = bytes.first_chunk::<RECORD_HEADER_LEN>()?;
    let kind = header[0];
    // DTLS 1.0 stands in the records of a ClientHello. An empty record is of no use, and `rtc-dtls` refuses its datagram.
    let known = (CHANGE_CIPHER_SPEC..=APPLICATION_DATA).contains(&kind) && matches!(header[1..3], [0xfe, 0xfd | 0xff]);
    let len = usize::from(u16::from_be_bytes([header[11], header[12]]));
    if !known || len == 0 {
        return None;
    }
    let bytes = bytes.get(..RECORD_HEADER_LEN + len)?;
    Some(Record { kind, epoch: u16::from_be_bytes([header[3], header[4]]), bytes })
}

/// The part of a ClientHello that must be known before the handshake is configured.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Hello {
    pub(super) aead_aes_128_gcm: bool,
    pub(super) aes_cm_128_hmac_sha1_80: bool,
}

/// What of a datagram the handshake should see.
#[derive(Default)]
pub(crate) struct Seen {
    /// Records for `rtc-dtls`: whole messages, and what needs keys.
    pub(crate) records: Vec<u8>,
    /// Of the ClientHello, when it is complete now.
    pub(super) hello: Option<Hello>,
    /// A message came that was there already: the other side misses our flight.
    pub(crate) repeated: bool,
}

/// The unprotected side of one handshake.
#[derive(Default)]
pub(crate) struct Handshakes {
    fragments: Vec<Fragment>,
    /// The sequence number of the next message.
    next: u16,
    /// Our own sequence numbers for the records handed on: with one each, none is taken for a replay.
    records: u64,
    early_records: usize,
}

struct Fragment {
    sequence: u16,
    kind: u8,
    total: usize,
    offset: usize,
    body: Vec<u8>,
}

impl Handshakes {
    /// Walks the records of a datagram.
    ///
    /// # Errors
    ///
    /// [`Drop::DtlsMalformed`] where a record or a fragment lies about its length and nothing useful came before it.
    pub(crate) fn take(&mut self, datagram: &[u8]) -> Result<Seen, Drop> {
        let mut seen = Seen::default();
        match self.walk(datagram, &mut seen) {
            Err(drop) if seen.records.is_empty() => Err(drop),
            _ => Ok(seen),
        }
    }

    fn walk(&mut self, datagram: &[u8], seen: &mut Seen) -> Result<(), Drop> {
        for record in records(datagram) {
            let record = record.ok_or(Drop::DtlsMalformed)?;
            match (record.epoch, record.kind) {
                (0, HANDSHAKE) => self.take_fragments(record.body(), seen)?,
                (0, CHANGE_CIPHER_SPEC) if self.is_early_welcome() => {
                    let rebuilt = self.record(CHANGE_CIPHER_SPEC, record.body());
                    seen.records.extend_from_slice(&rebuilt);
                }
                // A warning ends nothing, but `rtc-dtls` would end the handshake.
                (0, ALERT) if record.body()[0] != WARNING => {
                    let rebuilt = self.record(ALERT, record.body());
                    seen.records.extend_from_slice(&rebuilt);
                }
                (1, _) if self.is_early_welcome() => seen.records.extend_from_slice(record.bytes),
                _ => {}
            }
        }
        Ok(())
    }

    fn is_early_welcome(&mut self) -> bool {
        if self.next == 0 || self.early_records == MAX_EARLY_RECORDS {
            return false;
        }
        self.early_records += 1;
        true
    }

    /// While only the first ClientHello has come: an empty handshake record, which makes `rtc-dtls` answer it again.
    pub(super) fn hello_nudge(&mut self) -> Option<Vec<u8>> {
        (self.next == 1).then(|| self.record(HANDSHAKE, &[CLIENT_HELLO, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0]))
    }

    fn take_fragments(&mut self, mut body: &[u8], seen: &mut Seen) -> Result<(), Drop> {
        while !body.is_empty() {
            let header = body.first_chunk::<MESSAGE_HEADER_LEN>().ok_or(Drop::DtlsMalformed)?;
            let (total, offset, len) = (length(header, 1), length(header, 6), length(header, 9));
            let sequence = u16::from_be_bytes([header[4], header[5]]);
            let fragment = body.get(MESSAGE_HEADER_LEN..MESSAGE_HEADER_LEN + len).ok_or(Drop::DtlsMalformed)?;
            body = &body[MESSAGE_HEADER_LEN + len..];
            if total > MAX_MESSAGE_LEN || offset + len > total || sequence >= MAX_MESSAGES {
                return Err(Drop::DtlsMalformed);
            }
            if sequence < self.next {
                seen.repeated = true;
                continue;
            }
            self.keep(Fragment { sequence, kind: header[0], total, offset, body: fragment.to_vec() });
        }
        while let Some((kind, message)) = self.assemble() {
            match (self.next, kind) {
                (0, CLIENT_HELLO) => seen.hello = Some(parse_hello(&message).ok_or(Drop::DtlsMalformed)?),
                (0, SERVER_HELLO | HELLO_VERIFY_REQUEST) | (1.., _) => {}
                (0, _) => return Err(Drop::DtlsMalformed),
            }
            let rebuilt = self.rebuild(kind, &message);
            self.next += 1;
            seen.records.extend_from_slice(&rebuilt);
        }
        Ok(())
    }

    fn keep(&mut self, fragment: Fragment) {
        let waiting: usize = self.fragments.iter().map(|waiting| waiting.body.len()).sum();
        if self.fragments.len() >= MAX_FRAGMENTS || waiting + fragment.body.len() > MAX_WAITING_LEN {
            return;
        }
        let repeated = self.fragments.iter().any(|waiting| {
            (waiting.sequence, waiting.offset, waiting.body.len())
                == (fragment.sequence, fragment.offset, fragment.body.len())
        });
        if !repeated {
            self.fragments.push(fragment);
        }
    }

    /// Takes the next message out of the waiting fragments if they cover it all.
    fn assemble(&mut self) -> Option<(u8, Vec<u8>)> {
        let first = self.fragments.iter().find(|fragment| fragment.sequence == self.next)?;
        let (kind, total) = (first.kind, first.total);
        let mut message = Vec::with_capacity(total);
        while message.len() < total {
            let have = message.len();
            let fragment = self.fragments.iter().find(|fragment| {
                fragment.sequence == self.next
                    && (fragment.kind, fragment.total) == (kind, total)
                    && fragment.offset <= have
                    && fragment.offset + fragment.body.len() > have
            })?;
            message.extend_from_slice(&fragment.body[have - fragment.offset..]);
        }
        self.fragments.retain(|fragment| fragment.sequence > self.next);
        Some((kind, message))
    }

    fn rebuild(&mut self, kind: u8, message: &[u8]) -> Vec<u8> {
        let len = (message.len() as u32).to_be_bytes();
        let mut body = Vec::with_capacity(MESSAGE_HEADER_LEN + message.len());
        body.push(kind);
        body.extend_from_slice(&len[1..]);
        body.extend_from_slice(&self.next.to_be_bytes());
        body.extend_from_slice(&[0, 0, 0]);
        body.extend_from_slice(&len[1..]);
        body.extend_from_slice(message);
        self.record(HANDSHAKE, &body)
    }

    /// A record of epoch 0 under our own sequence number.
    fn record(&mut self, kind: u8, body: &[u8]) -> Vec<u8> {
        let mut record = Vec::with_capacity(RECORD_HEADER_LEN + body.len());
        record.extend_from_slice(&[kind, 0xfe, 0xfd, 0, 0]);
        record.extend_from_slice(&self.records.to_be_bytes()[2..]);
        record.extend_from_slice(&(body.len() as u16).to_be_bytes());
        record.extend_from_slice(body);
        self.records += 1;
        record
    }
}

fn length(header: &[u8; MESSAGE_HEADER_LEN], at: usize) -> usize {
    usize::from(header[at]) << 16 | usize::from(header[at + 1]) << 8 | usize::from(header[at + 2])
}

const USE_SRTP: u16 = 14;
const SRTP_AES128_CM_HMAC_SHA1_80: [u8; 2] = [0, 1];
const SRTP_AEAD_AES_128_GCM: [u8; 2] = [0, 7];

/// Reads use_srtp (RFC 5764 §4.1.1) out of a ClientHello (RFC 5246 §7.4.1.2, with the cookie of RFC 6347 §4.2.1).
fn parse_hello(message: &[u8]) -> Option<Hello> {
    let mut rest = Reader(message);
    rest.take(2 + 32)?; // version, random
    rest.take_short()?; // session id
    rest.take_short()?; // cookie
    rest.take_long()?; // cipher suites
    rest.take_short()?; // compression methods
    let mut extensions = Reader(rest.take_long()?);
    let mut hello = Hello::default();
    while !extensions.0.is_empty() {
        let kind = extensions.take(2)?;
        let value = extensions.take_long()?;
        if kind == USE_SRTP.to_be_bytes() {
            for profile in Reader(value).take_long()?.chunks_exact(2) {
                hello.aead_aes_128_gcm |= profile == SRTP_AEAD_AES_128_GCM;
                hello.aes_cm_128_hmac_sha1_80 |= profile == SRTP_AES128_CM_HMAC_SHA1_80;
            }
        }
    }
    Some(hello)
}

struct Reader<'a>(&'a [u8]);

impl<'a> Reader<'a> {
    fn take(&mut self, len: usize) -> Option<&'a [u8]> {
        let (taken, rest) = self.0.split_at_checked(len)?;
        self.0 = rest;
        Some(taken)
    }

    /// A vector behind one byte of length.
    fn take_short(&mut self) -> Option<&'a [u8]> {
        let len = self.take(1)?[0];
        self.take(usize::from(len))
    }

    /// A vector behind two bytes of length.
    fn take_long(&mut self) -> Option<&'a [u8]> {
        let len = self.take(2)?;
        self.take(usize::from(u16::from_be_bytes([len[0], len[1]])))
    }
}
