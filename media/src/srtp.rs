//! SRTP and SRTCP (RFC 3711, RFC 7714) in place: no allocation, no hashing and no state per packet on the RTP path.
//!
//! The caller keeps the rollover counter of each outgoing SSRC, and a [`RolloverWindow`] for each incoming one, because it
//! has a record per SSRC anyway. SRTCP keeps its own, bounded.

use aes::Aes128Enc;
use aes::cipher::{KeyInit, KeyIvInit, StreamCipher, StreamCipherCore};
use ctr::cipher::InnerIvInit;
use hmac::{Hmac, Mac};
use ring::aead;
use sha1::Sha1;

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

/// Sequence numbers of one incoming SSRC: the rollover counter (RFC 3711 §3.3.1) and the replay window (§3.3.2), 1,024
/// packets wide, because a retransmission on the original SSRC may come late.
#[derive(Debug, Clone)]
pub struct RolloverWindow {
    /// The highest index accepted, `None` before the first packet.
    highest: Option<u64>,
    /// Bit `index % 1024`, valid for the last 1,024 indices up to `highest`.
    seen: [u64; WINDOW_WORDS],
}

const WINDOW_WORDS: usize = 16;
const WINDOW: u64 = WINDOW_WORDS as u64 * 64;

impl Default for RolloverWindow {
    fn default() -> Self {
        Self { highest: None, seen: [0; WINDOW_WORDS] }
    }
}

impl RolloverWindow {
    /// The 48-bit packet index (rollover counter · 2¹⁶ + sequence number) closest to the highest one seen.
    #[must_use]
    pub fn estimate(&self, seq: u16) -> u64 {
        let Some(highest) = self.highest else { return u64::from(seq) };
        let roc = highest >> 16;
        let ahead = i64::from(seq) - (highest & 0xffff) as i64;
        let roc = if ahead > 0x8000 {
            // Before the first wrap there is no round to go back to.
            roc.saturating_sub(1)
        } else if ahead < -0x8000 {
            roc + 1
        } else {
            roc
        };
        roc << 16 | u64::from(seq)
    }

    /// Whether a packet with this index may still come.
    ///
    /// # Errors
    ///
    /// [`Drop::SrtpReplay`] when it came already or is older than the window.
    pub fn check(&self, index: u64) -> Result<(), Drop> {
        let Some(highest) = self.highest else { return Ok(()) };
        if index > highest {
            return Ok(());
        }
        if highest - index >= WINDOW || self.seen[word_of(index)] & bit_of(index) != 0 {
            return Err(Drop::SrtpReplay);
        }
        Ok(())
    }

    /// Notes an index that passed [`Self::check`] and whose packet was authentic.
    pub fn accept(&mut self, index: u64) {
        match self.highest {
            Some(highest) if index <= highest => {}
            Some(highest) if index - highest < WINDOW => {
                for skipped in highest + 1..=index {
                    self.seen[word_of(skipped)] &= !bit_of(skipped);
                }
                self.highest = Some(index);
            }
            _ => {
                self.seen = [0; WINDOW_WORDS];
                self.highest = Some(index);
            }
        }
        self.seen[word_of(index)] |= bit_of(index);
    }

    /// The highest index accepted so far.
    #[must_use]
    pub fn highest(&self) -> Option<u64> {
        self.highest
    }
}

fn word_of(index: u64) -> usize {
    (index % WINDOW / 64) as usize
}

fn bit_of(index: u64) -> u64 {
    1 << (index % 64)
}

/// The replay window of one SRTCP sender, 64 packets wide.
#[derive(Default)]
struct RtcpWindow {
    highest: u32,
    /// Bit n: index `highest - n` came.
    seen: u64,
}

impl RtcpWindow {
    fn check(&self, index: u32) -> Result<(), Drop> {
        if index > self.highest || self.seen == 0 {
            return Ok(());
        }
        let age = self.highest - index;
        if age >= 64 || self.seen >> age & 1 == 1 { Err(Drop::SrtpReplay) } else { Ok(()) }
    }

    fn accept(&mut self, index: u32) {
        if index > self.highest || self.seen == 0 {
            let ahead = index - self.highest;
            self.seen = if self.seen == 0 || ahead >= 64 { 0 } else { self.seen << ahead };
            self.highest = index;
        }
        self.seen |= 1 << (self.highest - index);
    }
}

fn word(bytes: &[u8], at: usize) -> u32 {
    u32::from_be_bytes([bytes[at], bytes[at + 1], bytes[at + 2], bytes[at + 3]])
}

enum Cipher {
    Gcm(Gcm),
    Cm(Box<Cm>),
}

impl Cipher {
    fn tag_len(&self) -> usize {
        match self {
            Self::Gcm(_) => aead::MAX_TAG_LEN,
            Self::Cm(_) => CM_TAG_LEN,
        }
    }
}

/// AES-128-GCM (RFC 7714).
struct Gcm {
    key: aead::LessSafeKey,
    salt: [u8; aead::NONCE_LEN],
}

impl Gcm {
    fn new(key: &[u8; KEY_LEN], salt: &[u8; 14]) -> Self {
        let key = aead::UnboundKey::new(&aead::AES_128_GCM, key).expect("an AES-128 key has 16 bytes");
        let mut nonce_salt = [0; aead::NONCE_LEN];
        nonce_salt.copy_from_slice(&salt[..aead::NONCE_LEN]);
        Self { key: aead::LessSafeKey::new(key), salt: nonce_salt }
    }

    /// RFC 7714 §8.1: two zero octets, SSRC, rollover counter and sequence number, all XOR the salt.
    fn rtp_nonce(&self, ssrc: u32, index: u64) -> aead::Nonce {
        let mut nonce = [0; aead::NONCE_LEN];
        nonce[2..6].copy_from_slice(&ssrc.to_be_bytes());
        nonce[6..].copy_from_slice(&index.to_be_bytes()[2..]);
        self.salted(nonce)
    }

    /// RFC 7714 §9.1: two zero octets, SSRC, two zero octets, the SRTCP index, all XOR the salt.
    fn rtcp_nonce(&self, ssrc: u32, index: u32) -> aead::Nonce {
        let mut nonce = [0; aead::NONCE_LEN];
        nonce[2..6].copy_from_slice(&ssrc.to_be_bytes());
        nonce[8..].copy_from_slice(&index.to_be_bytes());
        self.salted(nonce)
    }

    fn salted(&self, mut nonce: [u8; aead::NONCE_LEN]) -> aead::Nonce {
        for (octet, salt) in nonce.iter_mut().zip(self.salt) {
            *octet ^= salt;
        }
        aead::Nonce::assume_unique_for_key(nonce)
    }

    fn seal(&self, nonce: aead::Nonce, aad: &[u8], payload: &mut [u8]) -> aead::Tag {
        self.key
            .seal_in_place_separate_tag(nonce, aead::Aad::from(aad), payload)
            .expect("a datagram is far below the limit of GCM")
    }

    fn open(&self, nonce: aead::Nonce, aad: &[u8], sealed: &mut [u8]) -> Result<usize, Drop> {
        match self.key.open_in_place(nonce, aead::Aad::from(aad), sealed) {
            Ok(plain) => Ok(plain.len()),
            Err(_) => Err(Drop::SrtpAuth),
        }
    }
}

const CM_TAG_LEN: usize = 10;

/// AES-128 in counter mode with HMAC-SHA1-80 (RFC 3711 §4.1.1, §4.2.1).
struct Cm {
    cipher: Aes128Enc,
    mac: Hmac<Sha1>,
    salt: [u8; 14],
}

impl Cm {
    fn new(key: &[u8; KEY_LEN], salt: [u8; 14], auth: &[u8; 20]) -> Self {
        let mac = <Hmac<Sha1> as Mac>::new_from_slice(auth).expect("HMAC takes a key of any length");
        Self { cipher: Aes128Enc::new(key.into()), mac, salt }
    }

    /// RFC 3711 §4.1.1: IV = (salt · 2¹⁶) XOR (SSRC · 2⁶⁴) XOR (index · 2¹⁶).
    fn apply_keystream(&self, ssrc: u32, index: u64, payload: &mut [u8]) {
        let mut iv = [0; 16];
        iv[4..8].copy_from_slice(&ssrc.to_be_bytes());
        iv[8..14].copy_from_slice(&index.to_be_bytes()[2..]);
        for (octet, salt) in iv.iter_mut().zip(self.salt) {
            *octet ^= salt;
        }
        let core = ctr::CtrCore::<_, ctr::flavors::Ctr128BE>::inner_iv_init(self.cipher.clone(), (&iv).into());
        core.apply_keystream_partial(payload.into());
    }

    fn mac(&self, packet: &[u8], suffix: &[u8]) -> Hmac<Sha1> {
        let mut mac = self.mac.clone();
        mac.update(packet);
        mac.update(suffix);
        mac
    }

    fn tag(&self, packet: &[u8], suffix: &[u8]) -> [u8; 20] {
        self.mac(packet, suffix).finalize().into_bytes().into()
    }

    fn check(&self, packet: &[u8], suffix: &[u8], tag: &[u8]) -> Result<(), Drop> {
        self.mac(packet, suffix).verify_truncated_left(tag).map_err(|_| Drop::SrtpAuth)
    }
}

/// Labels of RFC 3711 §4.3.2; those of SRTCP are the same plus three.
const LABEL_ENCRYPTION: u8 = 0;
const LABEL_AUTHENTICATION: u8 = 1;
const LABEL_SALT: u8 = 2;
const SRTCP_LABELS: u8 = 3;

/// The session ciphers for RTP and RTCP. A key derivation rate of 0: they serve the association's whole life.
fn session_ciphers(profile: Profile, key: &[u8; KEY_LEN], salt: &[u8; 14]) -> (Cipher, Cipher) {
    let mut padded = [0; 14];
    padded[..profile.salt_len()].copy_from_slice(&salt[..profile.salt_len()]);
    let cipher = |labels: u8| {
        let session_key = derive(key, &padded, labels + LABEL_ENCRYPTION);
        let session_salt = derive(key, &padded, labels + LABEL_SALT);
        match profile {
            Profile::AeadAes128Gcm => Cipher::Gcm(Gcm::new(&session_key, &session_salt)),
            Profile::AesCm128HmacSha1_80 => {
                let auth = derive(key, &padded, labels + LABEL_AUTHENTICATION);
                Cipher::Cm(Box::new(Cm::new(&session_key, session_salt, &auth)))
            }
        }
    };
    (cipher(0), cipher(SRTCP_LABELS))
}

/// RFC 3711 §4.3.1 and §4.3.3; RFC 7714 §11 uses it with its 96-bit salt padded by zeros.
fn derive<const N: usize>(key: &[u8; KEY_LEN], salt: &[u8; 14], label: u8) -> [u8; N] {
    let mut iv = [0; 16];
    iv[..14].copy_from_slice(salt);
    iv[7] ^= label;
    let mut derived = [0; N];
    ctr::Ctr128BE::<Aes128Enc>::new(key.into(), (&iv).into()).apply_keystream(&mut derived);
    derived
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bytes<const N: usize>(hex: &str) -> [u8; N] {
        let mut out = [0; N];
        for (at, octet) in out.iter_mut().enumerate() {
            *octet = u8::from_str_radix(&hex[2 * at..2 * at + 2], 16).unwrap();
        }
        out
    }

    #[test]
    fn derives_the_session_keys_of_rfc_3711_b_3() {
        let key = bytes("e1f97a0d3e018be0d64fa32c06de4139");
        let salt = bytes("0ec675ad498afeebb6960b3aabe6");
        assert_eq!(derive(&key, &salt, LABEL_ENCRYPTION), bytes::<16>("c61e7a93744f39ee10734afe3ff7a087"));
        assert_eq!(derive(&key, &salt, LABEL_SALT), bytes::<14>("30cbbc08863d8c85d49db34a9ae1"));
        assert_eq!(derive(&key, &salt, LABEL_AUTHENTICATION), bytes::<20>("cebe321f6ff7716b6fd4ab49af256a156d38baa4"));
    }

    #[test]
    fn seals_the_packet_of_rfc_7714_16_1_1() {
        let gcm = Gcm::new(&bytes("000102030405060708090a0b0c0d0e0f"), &bytes("517569642070726f2071756f0000"));
        let header: [u8; 12] = bytes("8040f17b8041f8d35501a0b2");
        let mut payload = *b"Gallia est omnis divisa in partes tres";
        let tag = gcm.seal(gcm.rtp_nonce(0x5501_a0b2, 0xf17b), &header, &mut payload);
        assert_eq!(payload, bytes("f24de3a3fb34de6cacba861c9d7e4bcabe633bd50d294e6f42a5f47a51c7d19b36de3adf8833"));
        assert_eq!(tag.as_ref(), bytes::<16>("899d7f27beb16a9152cf765ee4390cce"));
    }

    #[test]
    fn the_index_follows_the_sequence_number_over_its_wrap() {
        let mut window = RolloverWindow::default();
        assert_eq!(window.estimate(65_000), 65_000);
        window.accept(65_000);
        assert_eq!(window.estimate(100), 65_536 + 100);
        window.accept(65_536 + 100);
        assert_eq!(window.estimate(65_535), 65_535, "late from before the wrap");
        assert_eq!(window.estimate(101), 65_536 + 101);

        let mut early = RolloverWindow::default();
        early.accept(3);
        assert_eq!(early.estimate(65_000), 65_000, "there is no round before the first");
    }

    #[test]
    fn an_index_is_accepted_once_and_only_within_the_window() {
        let mut window = RolloverWindow::default();
        for index in [5_000, 5_002, 6_000] {
            assert_eq!(window.check(index), Ok(()));
            window.accept(index);
            assert_eq!(window.check(index), Err(Drop::SrtpReplay));
        }
        assert_eq!(window.check(5_001), Ok(()), "late, but never seen");
        window.accept(5_001);
        assert_eq!(window.check(5_001), Err(Drop::SrtpReplay));
        assert_eq!(window.check(6_000 - WINDOW), Err(Drop::SrtpReplay), "older than the window");
        window.accept(60_000);
        assert_eq!(window.check(60_000 - 1), Ok(()), "a jump leaves no stale marks");
        assert_eq!(window.highest(), Some(60_000));
    }

    #[test]
    fn an_rtcp_index_is_accepted_once() {
        let mut window = RtcpWindow::default();
        for index in [0, 1, 70, 69, 133] {
            assert_eq!(window.check(index), Ok(()), "{index}");
            window.accept(index);
            assert_eq!(window.check(index), Err(Drop::SrtpReplay), "{index}");
        }
        assert_eq!(window.check(69), Err(Drop::SrtpReplay));
        assert_eq!(window.check(71), Ok(()));
    }
}
