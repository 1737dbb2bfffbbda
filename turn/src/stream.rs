//! Messages in a stream of bytes (RFC 8656 sections 3.1 and 12.5): STUN and ChannelData say their own length.

use crate::attributes::MAGIC_COOKIE;
use crate::message::HEADER_BYTES;
use crate::server::CHANNEL_HEADER_BYTES;

/// The longest message on a stream, in bytes. No network that carries calls has longer datagrams, jumbo frames included; who
/// announces a longer one only wants our memory.
pub const MAX_FRAME_BYTES: usize = 9216;

/// The stream holds something that is no message, or a longer one than [`MAX_FRAME_BYTES`]. Where the next one would begin is
/// not known.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BadFrame;

/// Cuts a stream into messages.
#[derive(Debug, Default)]
pub struct Frames {
    bytes: Vec<u8>,
    read: usize,
}

impl Frames {
    /// Takes what came.
    pub fn push(&mut self, bytes: &[u8]) {
        if self.read > 0 {
            self.bytes.drain(..self.read);
            self.read = 0;
        }
        self.bytes.extend_from_slice(bytes);
    }

    /// The next message that is whole. ChannelData comes without its padding.
    ///
    /// # Errors
    /// [`BadFrame`]: the connection is of no more use.
    pub fn next_frame(&mut self) -> Result<Option<&[u8]>, BadFrame> {
        let rest = &self.bytes[self.read..];
        let [kind, _, high, low, ..] = rest else { return Ok(None) };
        let declared = usize::from(u16::from_be_bytes([*high, *low]));
        let (frame, taken) = match kind {
            0..=0x3F => {
                let cookie = rest.get(4..8);
                if cookie.is_some_and(|cookie| cookie != MAGIC_COOKIE) {
                    return Err(BadFrame);
                }
                (HEADER_BYTES + declared, HEADER_BYTES + declared)
            }
            0x40..=0x7F => {
                let frame = CHANNEL_HEADER_BYTES + declared;
                (frame, frame.next_multiple_of(4))
            }
            _ => return Err(BadFrame),
        };
        if taken > MAX_FRAME_BYTES {
            return Err(BadFrame);
        }
        if rest.len() < taken {
            return Ok(None);
        }
        let start = self.read;
        self.read += taken;
        Ok(Some(&self.bytes[start..start + frame]))
    }

    /// Gives memory back when nothing waits.
    pub fn shrink(&mut self) {
        if self.read == self.bytes.len() {
            (self.bytes, self.read) = (Vec::new(), 0);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn channel(len: usize) -> Vec<u8> {
        let mut frame = vec![0x40, 0, (len >> 8) as u8, len as u8];
        frame.extend((0..len).map(|at| at as u8));
        frame.resize(frame.len().next_multiple_of(4), 0);
        frame
    }

    #[test]
    fn messages_come_out_whole_however_they_came_in() {
        let binding = [&[0, 1, 0, 4, 0x21, 0x12, 0xA4, 0x42][..], &[7; 16]].concat();
        let stream = [&channel(5)[..], &binding, &channel(0), &channel(1200)].concat();
        for step in [1, 3, 7, 100, stream.len()] {
            let mut frames = Frames::default();
            let mut lengths = Vec::new();
            for piece in stream.chunks(step) {
                frames.push(piece);
                while let Some(frame) = frames.next_frame().unwrap() {
                    lengths.push(frame.len());
                }
            }
            assert_eq!(lengths, [9, 24, 4, 1204], "in pieces of {step}");
        }
    }

    #[test]
    fn what_is_no_message_or_too_long_ends_the_stream() {
        for bad in [
            b"GET / HTTP/1.1\r\n".to_vec(),
            vec![0x80; 4],
            vec![0x16, 3, 1, 2, 0, 1, 0, 1],
            vec![0x40, 0, 0xFF, 0xFF],
            vec![0, 1, 0x30, 0],
        ] {
            let mut frames = Frames::default();
            frames.push(&bad);
            // "GET " reads as ChannelData of 0x5420 bytes, a TLS ClientHello as STUN with a wrong cookie.
            assert_eq!(frames.next_frame(), Err(BadFrame), "{bad:02x?}");
        }
        let mut frames = Frames::default();
        frames.push(&channel(MAX_FRAME_BYTES - CHANNEL_HEADER_BYTES));
        assert!(frames.next_frame().unwrap().is_some());
    }
}
