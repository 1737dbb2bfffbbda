//! The passive end of a DTLS 1.2 association (RFC 6347), which only exists to agree on SRTP keys (RFC 5764).
//!
//! `rtc-dtls` does the cryptography and the flights. What a peer sends reaches it through [`Handshakes`], which hands over
//! whole messages only: see there.

mod certificate;
mod handshakes;

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::time::{Duration, Instant};

use bytes::BytesMut;
use rtc_dtls::endpoint::{Endpoint, EndpointEvent};
use rtc_dtls::state::State;
use rtc_shared::TransportProtocol;
use rtc_shared::error::Error;

pub use self::certificate::{Certificate, CertificateError, Fingerprint, FingerprintError};
pub(crate) use self::handshakes::Handshakes;
use self::handshakes::{Hello, Seen};
use crate::drop::Drop;
use crate::srtp::{KEY_LEN, Keys, Profile};

/// The endpoint sorts associations by address; ours has one, whose address changes under ICE. So it sees this one.
pub(crate) const REMOTE: SocketAddr = SocketAddr::new(IpAddr::V4(Ipv4Addr::new(192, 0, 2, 1)), 9);
const LOCAL: SocketAddr = SocketAddr::new(IpAddr::V4(Ipv4Addr::UNSPECIFIED), 0);

/// How many protected handshake records an association takes: one Finished, and its repetitions when ours got lost. More are
/// dropped, since `rtc-dtls` keeps each of them.
const MAX_PROTECTED_HANDSHAKES: usize = 16;
/// A repeated flight asks for ours again, but not more often than this: the second datagram of a repetition is no new loss.
pub(crate) const REPEAT_EVERY: Duration = Duration::from_millis(40);
/// How often we repeat a flight because the client did; then only our timer does. A client doubles its interval each time.
const MAX_REPEATS: usize = 16;

/// One association, from its first datagram to its end. The server is always passive (`a=setup:passive`).
pub struct Dtls {
    certificate: Certificate,
    expected: Fingerprint,
    /// `None` until the ClientHello is complete, and again after [`Dtls::shrink`] or a failure.
    endpoint: Option<Box<Endpoint>>,
    /// `None` once the handshake is over.
    handshakes: Option<Box<Handshakes>>,
    stage: Stage,
    keys: Option<Keys>,
    protected_handshakes: usize,
    repeats: usize,
    last_repeat: Option<Instant>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Stage {
    Handshaking,
    Established,
    /// The peer said goodbye.
    Closed,
    Failed,
}

impl Dtls {
    /// Waits for a client whose certificate has the fingerprint `expected`, which its offer named.
    #[must_use]
    pub fn new(certificate: &Certificate, expected: Fingerprint) -> Self {
        Self {
            certificate: certificate.clone(),
            expected,
            endpoint: None,
            handshakes: Some(Box::default()),
            stage: Stage::Handshaking,
            keys: None,
            protected_handshakes: 0,
            repeats: 0,
            last_repeat: None,
        }
    }

    /// Takes one datagram. Then [`Self::poll_transmit`] may have some to send, and [`Self::take_keys`] the keys.
    ///
    /// # Errors
    ///
    /// [`Drop::DtlsMalformed`]: not understood, and nothing has changed. [`Drop::DtlsFingerprint`] and [`Drop::DtlsClosed`]: the
    /// association is over, see [`Self::is_failed`].
    pub fn handle(&mut self, now: Instant, datagram: &[u8]) -> Result<(), Drop> {
        match self.stage {
            Stage::Handshaking => self.handshake(now, datagram),
            Stage::Established => self.after_handshake(now, datagram),
            Stage::Closed | Stage::Failed => Err(Drop::DtlsClosed),
        }
    }

    /// The next datagram to send, at most 1,200 bytes.
    pub fn poll_transmit(&mut self) -> Option<BytesMut> {
        Some(self.endpoint.as_mut()?.poll_transmit()?.message)
    }

    /// When [`Self::handle_timeout`] is due.
    #[must_use]
    pub fn poll_timeout(&self) -> Option<Instant> {
        match self.stage {
            Stage::Handshaking => self.endpoint.as_ref()?.poll_timeout(&REMOTE),
            _ => None,
        }
    }

    /// Repeats the last flight when the client has not answered it in time, and fails after the seventh time.
    pub fn handle_timeout(&mut self, now: Instant) {
        if self.stage != Stage::Handshaking {
            return;
        }
        let Some(endpoint) = self.endpoint.as_mut() else { return };
        if endpoint.handle_timeout(REMOTE, now).is_err() {
            self.stage = Stage::Failed;
            self.handshakes = None;
        }
    }

    /// The SRTP keys, once: after the handshake, and only if the client's certificate is the one of its offer.
    pub fn take_keys(&mut self) -> Option<Keys> {
        self.keys.take()
    }

    /// The handshake is complete and the client is the one of the offer.
    #[must_use]
    pub fn is_established(&self) -> bool {
        self.stage == Stage::Established
    }

    /// The client ended the association by close_notify or a fatal alert after the handshake.
    #[must_use]
    pub fn is_closed(&self) -> bool {
        self.stage == Stage::Closed
    }

    /// The handshake failed: no keys will come.
    #[must_use]
    pub fn is_failed(&self) -> bool {
        self.stage == Stage::Failed
    }

    /// Frees what is left of the handshake, about 11 KB. Call it, if at all, when the first SRTP packet was authentic, which
    /// proves that the client has our last flight. Then a close_notify goes unnoticed.
    pub fn shrink(&mut self) {
        if self.stage == Stage::Established {
            self.endpoint = None;
        }
    }

    fn handshake(&mut self, now: Instant, datagram: &[u8]) -> Result<(), Drop> {
        let handshakes = self.handshakes.as_mut().ok_or(Drop::DtlsClosed)?;
        let Seen { records, hello, repeated } = handshakes.take(datagram)?;
        if self.endpoint.is_none() {
            let Some(hello) = hello else { return Ok(()) };
            let Some(profile) = hello.best_profile() else {
                self.stage = Stage::Failed;
                return Err(Drop::DtlsClosed);
            };
            let config = self.certificate.server_config(profile);
            self.endpoint = Some(Box::new(Endpoint::new(LOCAL, TransportProtocol::UDP, Some(config))));
        }
        if records.is_empty() {
            if repeated {
                self.repeat_flight(now);
            }
            return Ok(());
        }
        self.feed(now, &records)
    }

    /// The client repeats messages that we have: our flight got lost.
    fn repeat_flight(&mut self, now: Instant) {
        if self.repeats >= MAX_REPEATS || self.last_repeat.is_some_and(|last| now < last + REPEAT_EVERY) {
            return;
        }
        self.repeats += 1;
        self.last_repeat = Some(now);
        let (Some(endpoint), Some(handshakes)) = (self.endpoint.as_mut(), self.handshakes.as_mut()) else { return };
        if let Some(nudge) = handshakes.hello_nudge() {
            // Only a handshake record makes `rtc-dtls` repeat its HelloVerifyRequest.
            let _ = self.feed(now, &nudge);
        } else if expire(endpoint, now).is_err() {
            self.stage = Stage::Failed;
        }
    }

    fn feed(&mut self, now: Instant, records: &[u8]) -> Result<(), Drop> {
        let Some(endpoint) = self.endpoint.as_mut() else { return Err(Drop::DtlsClosed) };
        match endpoint.read(now, REMOTE, None, BytesMut::from(records)) {
            Ok(events) => {
                for event in events {
                    match event {
                        EndpointEvent::HandshakeComplete => self.establish(now)?,
                        EndpointEvent::PeerClosed => self.close(),
                        // Data channels are refused in the answer, so there is nobody to read it.
                        _ => {}
                    }
                }
                Ok(())
            }
            Err(_) if self.stage == Stage::Handshaking => {
                self.stage = Stage::Failed;
                self.handshakes = None;
                Err(Drop::DtlsClosed)
            }
            Err(Error::ErrAlertFatalOrClose) => {
                self.close();
                Err(Drop::DtlsClosed)
            }
            Err(_) => Err(Drop::DtlsMalformed),
        }
    }

    fn close(&mut self) {
        self.stage = if self.stage == Stage::Established { Stage::Closed } else { Stage::Failed };
        self.handshakes = None;
    }

    fn establish(&mut self, now: Instant) -> Result<(), Drop> {
        self.handshakes = None;
        let Some(endpoint) = self.endpoint.as_mut() else { return Err(Drop::DtlsClosed) };
        let Some(state) = endpoint.get_connection_state(REMOTE) else {
            self.stage = Stage::Failed;
            return Err(Drop::DtlsClosed);
        };
        let known = state.peer_certificates.first().is_some_and(|der| self.expected.matches(der));
        let keys = if known { server_keys(state) } else { None };
        let Some(keys) = keys else {
            self.stage = Stage::Failed;
            endpoint.stop(now, REMOTE);
            return Err(if known { Drop::DtlsClosed } else { Drop::DtlsFingerprint });
        };
        self.keys = Some(keys);
        self.stage = Stage::Established;
        Ok(())
    }

    /// Only protected records count now: repetitions of the client's last flight, and alerts.
    fn after_handshake(&mut self, now: Instant, datagram: &[u8]) -> Result<(), Drop> {
        if self.endpoint.is_none() {
            return Ok(());
        }
        let mut feed = Vec::new();
        for record in handshakes::records(datagram) {
            let record = record.ok_or(Drop::DtlsMalformed)?;
            if record.epoch != 1 {
                continue;
            }
            if record.is_handshake() {
                self.protected_handshakes += 1;
                if self.protected_handshakes > MAX_PROTECTED_HANDSHAKES {
                    continue;
                }
            }
            feed.extend_from_slice(record.bytes);
        }
        if feed.is_empty() { Ok(()) } else { self.feed(now, &feed) }
    }
}

/// Makes the flight go out again now. A repeated message of the other side would make `rtc-dtls` forget its timer without
/// repeating its flight, and the handshake would hang. So it does not see it: its timer runs out instead.
pub(crate) fn expire(endpoint: &mut Endpoint, now: Instant) -> Result<(), Error> {
    match endpoint.poll_timeout(&REMOTE) {
        Some(due) => endpoint.handle_timeout(REMOTE, due.max(now)),
        None => Ok(()),
    }
}

impl Hello {
    /// `rtc-dtls` follows the client's order, and Chromium lists AES-CM first; so the choice is made here.
    fn best_profile(self) -> Option<Profile> {
        if self.aead_aes_128_gcm {
            Some(Profile::AeadAes128Gcm)
        } else if self.aes_cm_128_hmac_sha1_80 {
            Some(Profile::AesCm128HmacSha1_80)
        } else {
            None
        }
    }
}

/// RFC 5764 §4.2, seen from the server.
fn server_keys(state: &State) -> Option<Keys> {
    Some(exported_keys(state)?.swapped())
}

/// RFC 5764 §4.2, seen from the client: its key and salt are the local ones.
pub(crate) fn exported_keys(state: &State) -> Option<Keys> {
    use rtc_dtls::extension::extension_use_srtp::SrtpProtectionProfile as Negotiated;
    let profile = match state.srtp_protection_profile() {
        Negotiated::Srtp_Aead_Aes_128_Gcm => Profile::AeadAes128Gcm,
        Negotiated::Srtp_Aes128_Cm_Hmac_Sha1_80 => Profile::AesCm128HmacSha1_80,
        _ => return None,
    };
    let salt_len = profile.salt_len();
    let material =
        state.export_keying_material("EXTRACTOR-dtls_srtp", &[], 2 * (KEY_LEN + salt_len)).ok()?.into_bytes();
    let (local_key, rest) = material.split_first_chunk::<KEY_LEN>()?;
    let (remote_key, salts) = rest.split_first_chunk::<KEY_LEN>()?;
    let (mut local_salt, mut remote_salt) = ([0; 14], [0; 14]);
    local_salt[..salt_len].copy_from_slice(salts.get(..salt_len)?);
    remote_salt[..salt_len].copy_from_slice(salts.get(salt_len..2 * salt_len)?);
    Some(Keys { profile, local_key: *local_key, local_salt, remote_key: *remote_key, remote_salt })
}
