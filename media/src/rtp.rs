//! The RTP header (RFC 3550 §5.1) and its one-byte and two-byte extensions (RFC 8285), read in place.

use crate::drop::Drop;

/// Length of the fixed header.
pub const FIXED_LEN: usize = 12;

/// A header's fields, read without copying the packet.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Header {
    /// Last packet of a frame, for video.
    pub marker: bool,
    /// Payload type.
    pub payload_type: u8,
    /// Sequence number.
    pub sequence: u16,
    /// Timestamp in units of the codec's clock.
    pub timestamp: u32,
    /// Synchronisation source.
    pub ssrc: u32,
    /// Whole header length: fixed part, contributing sources and extensions.
    pub len: usize,
    padded: bool,
    extension_at: usize,
    extension_profile: u16,
}

impl Header {
    /// Reads the header of `packet` and checks every length in it against the packet's own.
    ///
    /// # Errors
    /// `RtpMalformed` when a length lies or the version is not 2.
    pub fn parse(packet: &[u8]) -> Result<Header, Drop> {
        if packet.len() < FIXED_LEN || packet[0] >> 6 != 2 {
            return Err(Drop::RtpMalformed);
        }
        let csrc_count = usize::from(packet[0] & 0x0f);
        let mut len = FIXED_LEN + 4 * csrc_count;
        let mut extension_at = 0;
        let mut extension_profile = 0;
        if packet[0] & 0x10 != 0 {
            let Some(head) = packet.get(len..len + 4) else { return Err(Drop::RtpMalformed) };
            extension_profile = u16::from_be_bytes([head[0], head[1]]);
            extension_at = len + 4;
            len = extension_at + 4 * usize::from(u16::from_be_bytes([head[2], head[3]]));
        }
        if packet.len() < len {
            return Err(Drop::RtpMalformed);
        }
        Ok(Header {
            marker: packet[1] & 0x80 != 0,
            payload_type: packet[1] & 0x7f,
            sequence: u16::from_be_bytes([packet[2], packet[3]]),
            timestamp: u32::from_be_bytes([packet[4], packet[5], packet[6], packet[7]]),
            ssrc: u32::from_be_bytes([packet[8], packet[9], packet[10], packet[11]]),
            len,
            padded: packet[0] & 0x20 != 0,
            extension_at,
            extension_profile,
        })
    }

    /// The extension element with this id, if the packet carries it.
    #[must_use]
    pub fn extension<'a>(&self, packet: &'a [u8], id: u8) -> Option<&'a [u8]> {
        if self.extension_at == 0 || id == 0 {
            return None;
        }
        let mut rest = packet.get(self.extension_at..self.len)?;
        let two_byte = match self.extension_profile {
            0xbede => false,
            profile if profile & 0xfff0 == 0x1000 => true,
            _ => return None,
        };
        while let Some((&head, tail)) = rest.split_first() {
            if head == 0 {
                rest = tail;
                continue;
            }
            let (found, len, tail) = if two_byte {
                let (&len, tail) = tail.split_first()?;
                (head, usize::from(len), tail)
            } else {
                // Id 15 ends the list (RFC 8285 §4.2).
                if head >> 4 == 15 {
                    return None;
                }
                (head >> 4, usize::from(head & 0x0f) + 1, tail)
            };
            if tail.len() < len {
                return None;
            }
            if found == id {
                return Some(&tail[..len]);
            }
            rest = &tail[len..];
        }
        None
    }

    /// The payload of a decrypted packet, its padding taken off; empty for a packet of padding alone.
    ///
    /// # Errors
    /// `RtpMalformed` when the padding is longer than the payload.
    pub fn payload<'a>(&self, packet: &'a [u8]) -> Result<&'a [u8], Drop> {
        let payload = packet.get(self.len..).ok_or(Drop::RtpMalformed)?;
        if !self.padded {
            return Ok(payload);
        }
        let padding = usize::from(*payload.last().ok_or(Drop::RtpMalformed)?);
        if padding == 0 || padding > payload.len() {
            return Err(Drop::RtpMalformed);
        }
        Ok(&payload[..payload.len() - padding])
    }
}

/// Writes a header without contributing sources or extensions into the first 12 bytes of `out`.
pub fn write_header(out: &mut [u8], payload_type: u8, marker: bool, sequence: u16, timestamp: u32, ssrc: u32) {
    out[0] = 0x80;
    out[1] = payload_type | if marker { 0x80 } else { 0 };
    out[2..4].copy_from_slice(&sequence.to_be_bytes());
    out[4..8].copy_from_slice(&timestamp.to_be_bytes());
    out[8..12].copy_from_slice(&ssrc.to_be_bytes());
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn reads_both_kinds_of_extension() {
        let mut packet = vec![0u8; 12];
        write_header(&mut packet, 96, true, 7, 90_000, 0xdead_beef);
        packet[0] |= 0x10;
        let one_byte = [0xbe, 0xde, 0, 2, 0x10, b'0', 0x31, 1, 2, 0, 0, 0];
        let mut first = packet.clone();
        first.extend_from_slice(&one_byte);
        let header = Header::parse(&first).unwrap();
        assert_eq!(header.extension(&first, 1), Some(&b"0"[..]));
        assert_eq!(header.extension(&first, 3), Some(&[1u8, 2][..]));
        assert_eq!(header.extension(&first, 9), None);
        assert_eq!((header.marker, header.payload_type, header.sequence), (true, 96, 7));

        let two_byte = [0x10, 0, 0, 2, 1, 1, b'0', 0, 20, 2, 5, 6];
        let mut second = packet;
        second.extend_from_slice(&two_byte);
        let header = Header::parse(&second).unwrap();
        assert_eq!(header.extension(&second, 20), Some(&[5u8, 6][..]));
    }

    #[test]
    fn padding_is_taken_off_and_must_fit() {
        let mut packet = vec![0u8; 12];
        write_header(&mut packet, 96, false, 1, 1, 1);
        packet[0] |= 0x20;
        packet.extend_from_slice(&[9, 9, 0, 2]);
        let header = Header::parse(&packet).unwrap();
        assert_eq!(header.payload(&packet).unwrap(), &[9, 9]);
        *packet.last_mut().unwrap() = 5;
        assert_eq!(header.payload(&packet), Err(Drop::RtpMalformed));
    }

    proptest! {
        #[test]
        fn no_bytes_make_it_panic(bytes in proptest::collection::vec(any::<u8>(), 0..64), id in 0u8..=255) {
            if let Ok(header) = Header::parse(&bytes) {
                let _ = header.extension(&bytes, id);
                let _ = header.payload(&bytes);
            }
        }
    }
}
