//! SRTP and SRTCP (RFC 3711, RFC 7714) in place: no allocation, no hashing and no state per packet on the RTP path.
//!
//! The caller keeps the rollover counter of each outgoing SSRC, and a [`RolloverWindow`] for each incoming one, because it
//! has a record per SSRC anyway. SRTCP keeps its own, bounded.

mod cipher;
mod window;

use ring::aead;

use self::cipher::{CM_TAG_LEN, Cipher, session_ciphers};
pub use self::window::RolloverWindow;
use self::window::RtcpWindow;
use crate::drop::Drop;

/// An SRTP protection profile that Parlor negotiates (RFC 5764 §4.1.2, RFC 7714 §14.2).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Profile {
    /// `SRTP_AEAD_AES_128_GCM`, preferred: one pass and hardware on every server.
    AeadAes128Gcm,
    /// `SRTP_AES128_CM_HMAC_SHA1_80`, which every WebRTC client has.
    AesCm128HmacSha1_80,
}

impl Profile {
    /// Bytes that sealing adds to an RTP packet.
    #[must_use]
    pub const fn tag_len(self) -> usize {
        match self {
            Self::AeadAes128Gcm => 16,
            Self::AesCm128HmacSha1_80 => 10,
        }
    }

    /// Bytes of the master salt.
    #[must_use]
    pub const fn salt_len(self) -> usize {
        match self {
            Self::AeadAes128Gcm => 12,
            Self::AesCm128HmacSha1_80 => 14,
        }
    }

    /// Bytes that sealing adds to a compound RTCP packet: the tag and the index word.
    #[must_use]
    pub const fn rtcp_overhead(self) -> usize {
        self.tag_len() + INDEX_LEN
    }
}

/// The most that sealing adds to an RTP packet, whatever the profile.
pub const MAX_TAG_LEN: usize = 16;

/// Bytes of an SRTP master key.
pub const KEY_LEN: usize = 16;

/// The master keys of one DTLS association. Salts use their first [`Profile::salt_len`] bytes.
#[derive(Clone)]
pub struct Keys {
    /// The profile that the handshake chose.
    pub profile: Profile,
    /// Seals what we send.
    pub local_key: [u8; KEY_LEN],
    /// Goes with `local_key`.
    pub local_salt: [u8; 14],
    /// Opens what the peer sends.
    pub remote_key: [u8; KEY_LEN],
    /// Goes with `remote_key`.
    pub remote_salt: [u8; 14],
}

impl Keys {
    /// The same keys as the other end of the association holds them.
    #[must_use]
    pub fn swapped(&self) -> Self {
        Self {
            profile: self.profile,
            local_key: self.remote_key,
            local_salt: self.remote_salt,
            remote_key: self.local_key,
            remote_salt: self.local_salt,
        }
    }
}

/// Bytes of the word that carries the SRTCP index and the E flag.
const INDEX_LEN: usize = 4;
/// The fixed part of an RTCP packet that SRTCP leaves readable: header and sender SSRC.
const RTCP_CLEAR_LEN: usize = 8;
const E_FLAG: u32 = 1 << 31;
/// How many SSRCs of one peer may send RTCP. Another one's packets are dropped: a browser uses one per section it sends.
pub const MAX_RTCP_SSRCS: usize = 64;

/// Protects what we send to one peer.
pub struct Sealer {
    rtp: Cipher,
    rtcp: Cipher,
    /// One counter for all our SSRCs: RFC 3711 asks for one per SSRC, and this one is unique and growing for each of them.
    rtcp_index: u32,
}

impl Sealer {
    /// Derives the session keys of the outgoing direction.
    #[must_use]
    pub fn new(keys: &Keys) -> Self {
        let (rtp, rtcp) = session_ciphers(keys.profile, &keys.local_key, &keys.local_salt);
        Self { rtp, rtcp, rtcp_index: 0 }
    }

    /// Bytes that [`Self::seal_rtp`] needs behind the payload.
    #[must_use]
    pub fn tag_len(&self) -> usize {
        self.rtp.tag_len()
    }

    /// Seals one RTP packet in place: `packet` is the header, the payload and [`Profile::tag_len`] spare bytes. `roc` counts
    /// how often the sequence numbers of this SSRC have wrapped.
    ///
    /// # Panics
    ///
    /// When `packet` is shorter than `header_len` (at least 12) and the tag together, which is the caller's mistake.
    pub fn seal_rtp(&mut self, packet: &mut [u8], header_len: usize, roc: u32) {
        let seq = u16::from_be_bytes([packet[2], packet[3]]);
        let ssrc = word(packet, 8);
        let index = u64::from(roc) << 16 | u64::from(seq);
        match &self.rtp {
            Cipher::Gcm(gcm) => {
                let payload_end = packet.len() - aead::MAX_TAG_LEN;
                let (sealed, tag_space) = packet.split_at_mut(payload_end);
                let (header, payload) = sealed.split_at_mut(header_len);
                let tag = gcm.seal(gcm.rtp_nonce(ssrc, index), header, payload);
                tag_space.copy_from_slice(tag.as_ref());
            }
            Cipher::Cm(cm) => {
                let payload_end = packet.len() - CM_TAG_LEN;
                cm.apply_keystream(ssrc, index, &mut packet[header_len..payload_end]);
                let (sealed, tag_space) = packet.split_at_mut(payload_end);
                tag_space.copy_from_slice(&cm.tag(sealed, &roc.to_be_bytes())[..CM_TAG_LEN]);
            }
        }
    }

    /// Seals the compound RTCP packet `plain` and appends it to `out`. A packet without a sender SSRC (under 8 bytes) is
    /// not RTCP: nothing is appended.
    pub fn seal_rtcp(&mut self, plain: &[u8], out: &mut Vec<u8>) {
        if plain.len() < RTCP_CLEAR_LEN {
            return;
        }
        // At a packet each millisecond the 31 bits last 24 days, and GCM must never see an index twice: stop instead.
        if self.rtcp_index == E_FLAG - 1 {
            return;
        }
        self.rtcp_index += 1;
        let index = self.rtcp_index;
        let index_word = (E_FLAG | index).to_be_bytes();
        let ssrc = word(plain, 4);
        let start = out.len();
        out.extend_from_slice(plain);
        match &self.rtcp {
            Cipher::Gcm(gcm) => {
                let mut aad = [0; RTCP_CLEAR_LEN + INDEX_LEN];
                aad[..RTCP_CLEAR_LEN].copy_from_slice(&plain[..RTCP_CLEAR_LEN]);
                aad[RTCP_CLEAR_LEN..].copy_from_slice(&index_word);
                let tag = gcm.seal(gcm.rtcp_nonce(ssrc, index), &aad, &mut out[start + RTCP_CLEAR_LEN..]);
                out.extend_from_slice(tag.as_ref());
                out.extend_from_slice(&index_word);
            }
            Cipher::Cm(cm) => {
                cm.apply_keystream(ssrc, u64::from(index), &mut out[start + RTCP_CLEAR_LEN..]);
                out.extend_from_slice(&index_word);
                let tag = cm.tag(&out[start..], &[]);
                out.extend_from_slice(&tag[..CM_TAG_LEN]);
            }
        }
    }
}

/// Opens what one peer sends.
pub struct Opener {
    rtp: Cipher,
    rtcp: Cipher,
    /// Only authenticated packets get an entry; at most [`MAX_RTCP_SSRCS`].
    rtcp_windows: Vec<(u32, RtcpWindow)>,
}

impl Opener {
    /// Derives the session keys of the incoming direction.
    #[must_use]
    pub fn new(keys: &Keys) -> Self {
        let (rtp, rtcp) = session_ciphers(keys.profile, &keys.remote_key, &keys.remote_salt);
        Self { rtp, rtcp, rtcp_windows: Vec::new() }
    }

    /// Bytes that a sealed RTP packet has behind its payload.
    #[must_use]
    pub fn tag_len(&self) -> usize {
        self.rtp.tag_len()
    }

    /// Opens one RTP packet in place and returns its length without the tag. `index` comes from
    /// [`RolloverWindow::estimate`]; replay is the window's business.
    ///
    /// # Errors
    ///
    /// [`Drop::SrtpShort`] when header and tag do not fit, [`Drop::SrtpAuth`] when the tag is wrong; the packet's bytes are then
    /// undefined.
    pub fn open_rtp(&mut self, packet: &mut [u8], header_len: usize, index: u64) -> Result<usize, Drop> {
        if header_len < 12 || packet.len() < header_len + self.rtp.tag_len() {
            return Err(Drop::SrtpShort);
        }
        let ssrc = word(packet, 8);
        match &self.rtp {
            Cipher::Gcm(gcm) => {
                let (header, sealed) = packet.split_at_mut(header_len);
                let plain_len = gcm.open(gcm.rtp_nonce(ssrc, index), header, sealed)?;
                Ok(header_len + plain_len)
            }
            Cipher::Cm(cm) => {
                let payload_end = packet.len() - CM_TAG_LEN;
                let (sealed, tag) = packet.split_at_mut(payload_end);
                let roc = ((index >> 16) as u32).to_be_bytes();
                cm.check(sealed, &roc, tag)?;
                cm.apply_keystream(ssrc, index, &mut sealed[header_len..]);
                Ok(payload_end)
            }
        }
    }

    /// Opens one SRTCP packet and appends the compound RTCP packet to `out`, which an error leaves as it was.
    ///
    /// # Errors
    ///
    /// [`Drop::SrtpShort`], [`Drop::SrtpAuth`] (also for an unencrypted packet, which WebRTC never sends),
    /// [`Drop::SrtpReplay`], and [`Drop::SrtcpSsrcs`] for the 65th sender.
    pub fn open_rtcp(&mut self, packet: &[u8], out: &mut Vec<u8>) -> Result<(), Drop> {
        if packet.len() < RTCP_CLEAR_LEN + self.rtcp.tag_len() + INDEX_LEN {
            return Err(Drop::SrtpShort);
        }
        let ssrc = word(packet, 4);
        let index_at = match &self.rtcp {
            Cipher::Gcm(_) => packet.len() - INDEX_LEN,
            Cipher::Cm(_) => packet.len() - CM_TAG_LEN - INDEX_LEN,
        };
        let index_word = word(packet, index_at);
        if index_word & E_FLAG == 0 {
            return Err(Drop::SrtpAuth);
        }
        let index = index_word & !E_FLAG;
        let known = self.rtcp_windows.iter().position(|(of, _)| *of == ssrc);
        match known {
            Some(at) => self.rtcp_windows[at].1.check(index)?,
            None if self.rtcp_windows.len() >= MAX_RTCP_SSRCS => return Err(Drop::SrtcpSsrcs),
            None => {}
        }

        let start = out.len();
        match &self.rtcp {
            Cipher::Gcm(gcm) => {
                let mut aad = [0; RTCP_CLEAR_LEN + INDEX_LEN];
                aad[..RTCP_CLEAR_LEN].copy_from_slice(&packet[..RTCP_CLEAR_LEN]);
                aad[RTCP_CLEAR_LEN..].copy_from_slice(&packet[index_at..]);
                out.extend_from_slice(&packet[..index_at]);
                match gcm.open(gcm.rtcp_nonce(ssrc, index), &aad, &mut out[start + RTCP_CLEAR_LEN..]) {
                    Ok(plain_len) => out.truncate(start + RTCP_CLEAR_LEN + plain_len),
                    Err(drop) => {
                        out.truncate(start);
                        return Err(drop);
                    }
                }
            }
            Cipher::Cm(cm) => {
                let (sealed, tag) = packet.split_at(packet.len() - CM_TAG_LEN);
                cm.check(sealed, &[], tag)?;
                out.extend_from_slice(&packet[..index_at]);
                cm.apply_keystream(ssrc, u64::from(index), &mut out[start + RTCP_CLEAR_LEN..]);
            }
        }

        let at = known.unwrap_or_else(|| {
            self.rtcp_windows.push((ssrc, RtcpWindow::default()));
            self.rtcp_windows.len() - 1
        });
        self.rtcp_windows[at].1.accept(index);
        Ok(())
    }
}

fn word(bytes: &[u8], at: usize) -> u32 {
    u32::from_be_bytes([bytes[at], bytes[at + 1], bytes[at + 2], bytes[at + 3]])
}
