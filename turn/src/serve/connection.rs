//! One TCP connection of a client, with TLS or without.

use std::io::{self, Read as _, Write as _};
use std::net::SocketAddr;

use mio::net::TcpStream;
use rustls::ServerConnection;

use crate::allocation::Client;
use crate::counts::DropReason;
use crate::stream::Frames;

/// Answers that wait for a client who does not read, in bytes; beyond them it gets none.
const MOST_WAITING: usize = 64 * 1024;

/// What reading brought.
pub(super) enum Read {
    /// Bytes; there may be more.
    Some,
    /// Nothing now.
    Dry,
    /// The end, orderly or not.
    End,
    /// Something that is no TLS.
    BadTls,
}

pub(super) struct Connection {
    /// Never used again.
    pub(super) number: u64,
    pub(super) remote: SocketAddr,
    pub(super) stream: TcpStream,
    pub(super) tls: Option<Box<ServerConnection>>,
    pub(super) frames: Frames,
    /// What the kernel had no room for, without TLS.
    waiting: Vec<u8>,
    /// Bytes given to TLS since it was last rid of all.
    given: usize,
}

impl Connection {
    pub(super) fn new(number: u64, remote: SocketAddr, stream: TcpStream, tls: Option<Box<ServerConnection>>) -> Self {
        Self { number, remote, stream, tls, frames: Frames::default(), waiting: Vec::new(), given: 0 }
    }

    pub(super) fn client(&self) -> Client {
        Client::Stream { remote: self.remote, connection: self.number }
    }

    /// Reads once into [`Connection::frames`].
    pub(super) fn read(&mut self, scratch: &mut [u8]) -> Read {
        let read = match &mut self.tls {
            None => self.stream.read(scratch).inspect(|read| self.frames.push(&scratch[..*read])),
            Some(tls) => tls.read_tls(&mut self.stream),
        };
        match read {
            Ok(0) => return Read::End,
            Ok(_) => {}
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Read::Dry,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => return Read::Some,
            Err(_) => return Read::End,
        }
        let Some(tls) = &mut self.tls else { return Read::Some };
        let Ok(plain) = tls.process_new_packets() else {
            // The alert says why, if the client still listens.
            let _ = tls.write_tls(&mut self.stream);
            return Read::BadTls;
        };
        let mut left = plain.plaintext_bytes_to_read();
        while left > 0 {
            let piece = left.min(scratch.len());
            let Ok(read @ 1..) = tls.reader().read(&mut scratch[..piece]) else { break };
            self.frames.push(&scratch[..read]);
            left -= read;
        }
        // Its part of the handshake.
        if self.flush().is_err() || plain.peer_has_closed() { Read::End } else { Read::Some }
    }

    /// The kernel takes no more now.
    pub(super) fn is_stalled(&self) -> bool {
        !self.waiting.is_empty() || (self.given > 0 && self.tls.as_ref().is_some_and(|tls| tls.wants_write()))
    }

    /// Sends messages of peers, all or none: a client that reads too slowly loses them, as a line without room would.
    pub(super) fn send(&mut self, bytes: &[u8]) -> Result<(), DropReason> {
        if self.is_stalled() {
            return Err(DropReason::SlowClient);
        }
        self.write(bytes);
        Ok(())
    }

    /// Sends an answer, behind what waits.
    pub(super) fn answer(&mut self, bytes: &[u8]) -> Result<(), DropReason> {
        if self.is_stalled() && self.waiting.len() + self.given + bytes.len() > MOST_WAITING {
            return Err(DropReason::SlowClient);
        }
        self.write(bytes);
        Ok(())
    }

    fn write(&mut self, bytes: &[u8]) {
        match &mut self.tls {
            Some(tls) => {
                self.given += bytes.len();
                // Its buffer has no bound of its own: `is_stalled` is the bound.
                let _ = tls.writer().write_all(bytes);
            }
            None => self.waiting.extend_from_slice(bytes),
        }
        // An error shows again when the connection is read.
        let _ = self.flush();
    }

    /// Gives the kernel what it takes.
    pub(super) fn flush(&mut self) -> io::Result<()> {
        let (stream, waiting) = (&mut self.stream, &mut self.waiting);
        let result = match &mut self.tls {
            Some(tls) => loop {
                if !tls.wants_write() {
                    self.given = 0;
                    break Ok(0);
                }
                if let Err(error) = tls.write_tls(stream) {
                    break Err(error);
                }
            },
            None => loop {
                if waiting.is_empty() {
                    break Ok(0);
                }
                match stream.write(waiting) {
                    Ok(written) => drop(waiting.drain(..written)),
                    Err(error) => break Err(error),
                }
            },
        };
        match result {
            Err(error) if error.kind() != io::ErrorKind::WouldBlock => Err(error),
            _ => Ok(()),
        }
    }
}
