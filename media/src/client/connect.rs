//! How a client gets through: connectivity checks as the controlling side, and the active end of DTLS.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::BytesMut;
use hmac::Hmac;
use rtc_dtls::config::HandshakeConfig;
use rtc_dtls::endpoint::{Endpoint, EndpointEvent};
use rtc_dtls::extension::extension_use_srtp::SrtpProtectionProfile;
use rtc_shared::TransportProtocol;
use sha1::Sha1;

use super::{Client, Event, Media, Stage};
use crate::drop::Drop;
use crate::dtls::{Certificate, CertificateError, REMOTE, REPEAT_EVERY, expire, exported_keys};
use crate::ice::{self, attribute};
use crate::srtp::{Opener, Profile, Sealer};

/// Checks until the first answer come this often.
pub(super) const CHECK_EVERY: Duration = Duration::from_millis(50);
/// Checks that keep the consent fresh (RFC 7675 §5.1) come this often.
pub(super) const CONSENT_EVERY: Duration = Duration::from_millis(2500);

/// A certificate and the handshake made with it. Clones share both, so a thousand clients make one key.
#[derive(Clone)]
pub struct Identity {
    pub(super) certificate: Certificate,
    both: Arc<HandshakeConfig>,
    aes_cm: Arc<HandshakeConfig>,
}

impl Identity {
    /// Makes an identity of a certificate.
    ///
    /// # Errors
    ///
    /// When no handshake can be made with it.
    pub fn new(certificate: &Certificate) -> Result<Self, CertificateError> {
        let (aead, aes_cm) =
            (SrtpProtectionProfile::Srtp_Aead_Aes_128_Gcm, SrtpProtectionProfile::Srtp_Aes128_Cm_Hmac_Sha1_80);
        Ok(Self {
            certificate: certificate.clone(),
            both: certificate.client_config(vec![aes_cm, aead])?,
            aes_cm: certificate.client_config(vec![aes_cm])?,
        })
    }
}

#[derive(Default)]
pub(super) struct Checks {
    pub(super) mac: Option<Hmac<Sha1>>,
    pub(super) next: Option<Instant>,
    transaction: [u8; 12],
    pub(super) answered: Option<Instant>,
}

impl Client {
    pub(super) fn check(&mut self) {
        let (Some(answer), Some(mac), Some(remote)) = (&self.answer, &self.checks.mac, self.remote) else { return };
        // The first check is repeated as it is, so that an answer counts however long it takes.
        if self.stage != Stage::Checking || self.checks.transaction == [0; 12] {
            for chunk in self.checks.transaction.chunks_mut(4) {
                chunk.copy_from_slice(&(self.random.next() as u32).to_be_bytes());
            }
        }
        let mut check = self.spare.pop().unwrap_or_default();
        ice::begin_request(&mut check, self.checks.transaction);
        ice::push(&mut check, attribute::USERNAME, format!("{}:{}", answer.ice_ufrag, self.ufrag).as_bytes());
        ice::push(&mut check, attribute::ICE_CONTROLLING, &self.plan.seed.to_be_bytes());
        ice::push(&mut check, attribute::PRIORITY, &0x6eff_ffffu32.to_be_bytes());
        ice::push(&mut check, attribute::USE_CANDIDATE, &[]);
        ice::finish(&mut check, mac);
        self.transmits.push_back((remote, check));
    }

    pub(super) fn handle_stun(&mut self, now: Instant, datagram: &[u8]) -> Result<(), Drop> {
        let mac = self.checks.mac.as_ref().ok_or(Drop::StunUnknownUfrag)?;
        if !ice::is_stun(datagram) {
            return Err(Drop::StunMalformed);
        }
        if datagram[..2] != ice::BINDING_SUCCESS.to_be_bytes() || datagram[8..20] != self.checks.transaction {
            return Err(Drop::StunMalformed);
        }
        let integrity = ice::attributes(datagram).find(|found| found.kind == attribute::MESSAGE_INTEGRITY);
        if !integrity.is_some_and(|found| ice::integrity_holds(mac, datagram, found.at)) {
            return Err(Drop::StunIntegrity);
        }
        self.checks.answered = Some(now);
        if self.stage == Stage::Checking {
            self.stage = Stage::Handshaking;
            self.checks.next = Some(now + CONSENT_EVERY);
            let config = match self.plan.profile {
                Profile::AeadAes128Gcm => &self.identity.both,
                Profile::AesCm128HmacSha1_80 => &self.identity.aes_cm,
            };
            let mut dtls = Endpoint::new(REMOTE, TransportProtocol::UDP, None);
            dtls.connect(now, REMOTE, config.clone(), None).map_err(|_| Drop::DtlsClosed)?;
            self.dtls = Some(Box::new(dtls));
        }
        Ok(())
    }

    pub(super) fn handle_dtls(&mut self, now: Instant, datagram: &[u8]) -> Result<Option<Event<'static>>, Drop> {
        let dtls = self.dtls.as_mut().ok_or(Drop::DtlsClosed)?;
        let mut records = BytesMut::from(datagram);
        if self.stage == Stage::Handshaking {
            let seen = self.handshakes.take(datagram)?;
            if seen.records.is_empty() {
                if seen.repeated && self.last_repeat.is_none_or(|last| now >= last + REPEAT_EVERY) {
                    self.last_repeat = Some(now);
                    expire(dtls, now).map_err(|_| Drop::DtlsClosed)?;
                }
                return Ok(None);
            }
            records = BytesMut::from(&seen.records[..]);
        }
        let events = dtls.read(now, REMOTE, None, records).map_err(|_| Drop::DtlsMalformed)?;
        for event in events {
            match event {
                EndpointEvent::HandshakeComplete => return self.connect().map(Some),
                EndpointEvent::PeerClosed => {
                    self.close(now);
                    return Ok(Some(Event::Closed));
                }
                _ => {}
            }
        }
        Ok(None)
    }

    fn connect(&mut self) -> Result<Event<'static>, Drop> {
        let state = self.dtls.as_ref().and_then(|dtls| dtls.get_connection_state(REMOTE)).ok_or(Drop::DtlsClosed)?;
        let known = match (&self.answer, state.peer_certificates.first()) {
            (Some(answer), Some(der)) => answer.fingerprint.matches(der),
            _ => false,
        };
        if !known {
            self.stage = Stage::Closed;
            return Err(Drop::DtlsFingerprint);
        }
        let keys = exported_keys(state).ok_or(Drop::DtlsClosed)?;
        self.media = Some(Media {
            sealer: Sealer::new(&keys),
            opener: Opener::new(&keys),
            keys,
            windows: HashMap::new(),
            rtcp: Vec::new(),
        });
        self.stage = Stage::Connected;
        Ok(Event::Connected)
    }
}
