//! A WebSocket that costs its own side as little as it can: frames are counted, not read.

use std::io::ErrorKind;

use anyhow::{Context as _, bail, ensure};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::time::timeout;

use crate::session::PATIENCE;

/// What one read takes in, in bytes.
const READ: usize = 16 * 1024;
/// Any mask will do: nobody stands between us and the server.
const MASK: [u8; 4] = [0x37, 0xfa, 0x21, 0x3d];

/// An open socket.
pub(crate) struct Line {
    stream: TcpStream,
    /// What has been read and is not a whole frame yet.
    buffer: Vec<u8>,
}

impl Line {
    /// Opens a socket at `/path` of `HOST:PORT`.
    pub(crate) async fn open(address: &str, path: &str) -> anyhow::Result<Self> {
        timeout(PATIENCE, Self::shake_hands(address, path)).await.context("the WebSocket does not open")?
    }

    async fn shake_hands(address: &str, path: &str) -> anyhow::Result<Self> {
        let mut stream = TcpStream::connect(address).await?;
        stream.set_nodelay(true)?;
        let head = format!(
            "GET {path} HTTP/1.1\r\nHost: {address}\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\
             Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
        );
        stream.write_all(head.as_bytes()).await?;
        let mut buffer = Vec::new();
        let end = loop {
            if let Some(at) = buffer.windows(4).position(|four| four == b"\r\n\r\n") {
                break at + 4;
            }
            ensure!(stream.read_buf(&mut buffer).await? > 0, "the server closed the connection");
        };
        ensure!(buffer.starts_with(b"HTTP/1.1 101"), "no socket: {}", String::from_utf8_lossy(&buffer[..end]));
        buffer.drain(..end);
        Ok(Self { stream, buffer })
    }

    /// Sends a text.
    pub(crate) async fn say(&mut self, text: &str) -> anyhow::Result<()> {
        self.send(0x81, text.as_bytes()).await
    }

    async fn send(&mut self, first: u8, payload: &[u8]) -> anyhow::Result<()> {
        let mut frame = vec![first];
        match u16::try_from(payload.len()) {
            Ok(short @ ..126) => frame.push(0x80 | short.to_be_bytes()[1]),
            Ok(long) => {
                frame.push(0x80 | 126);
                frame.extend(long.to_be_bytes());
            }
            Err(_) => bail!("nobody sends that much here"),
        }
        frame.extend(MASK);
        frame.extend(payload.iter().zip(MASK.iter().cycle()).map(|(byte, mask)| byte ^ mask));
        Ok(self.stream.write_all(&frame).await?)
    }

    /// Reads until `take` has had enough of the texts that come; it says so by `Some`.
    pub(crate) async fn read<T>(&mut self, mut take: impl FnMut(&[u8]) -> Option<T>) -> anyhow::Result<T> {
        loop {
            let (mut at, mut got, mut ping) = (0, None, None);
            while let Some((first, payload, end)) = frame(&self.buffer[at..]) {
                let text = &self.buffer[at + payload..at + end];
                match first & 0x0f {
                    0x1 => got = take(text),
                    0x8 => {
                        bail!("the server closed the socket: {}", String::from_utf8_lossy(text.get(2..).unwrap_or(b"")))
                    }
                    0x9 => ping = Some(text.to_vec()),
                    _ => {}
                }
                at += end;
                if got.is_some() {
                    break;
                }
            }
            self.buffer.drain(..at);
            if let Some(payload) = ping {
                self.send(0x8a, &payload).await?;
            }
            if let Some(got) = got {
                return Ok(got);
            }
            self.buffer.reserve(READ);
            match self.stream.read_buf(&mut self.buffer).await {
                Ok(0) => bail!("the server closed the connection"),
                Ok(_) => {}
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => return Err(error.into()),
            }
        }
    }

    /// Gives back what a burst needed, before the socket stays idle.
    pub(crate) fn shrink(&mut self) {
        self.buffer.shrink_to_fit();
    }
}

/// The first whole frame of a server: its first byte, and where its payload begins and ends.
fn frame(bytes: &[u8]) -> Option<(u8, usize, usize)> {
    let (&first, rest) = bytes.split_first()?;
    let (&length, rest) = rest.split_first()?;
    let (payload, length) = match length {
        126 => (4, usize::from(u16::from_be_bytes(*rest.first_chunk()?))),
        127 => (10, usize::try_from(u64::from_be_bytes(*rest.first_chunk()?)).ok()?),
        short => (2, usize::from(short)),
    };
    (bytes.len() >= payload + length).then_some((first, payload, payload + length))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn frames_are_found_when_they_are_whole() {
        assert_eq!(frame(b"\x81\x02hix"), Some((0x81, 2, 4)));
        assert_eq!(frame(b"\x81\x03hi"), None);
        let long = [&[0x81, 126, 1, 0][..], &[b'x'; 256]].concat();
        assert_eq!(frame(&long), Some((0x81, 4, 260)));
        assert_eq!((frame(&long[..259]), frame(&long[..3])), (None, None));
    }
}
