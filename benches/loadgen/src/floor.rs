//! The floor: the least that any server on this machine can spend on a forwarded packet, which is to encrypt it and to
//! hand it to the kernel in the largest pieces that GSO takes. No receiving, no copying, no bookkeeping.
//!
//! It is a process of its own, so that its CPU time is read in the same way as the server's.

use std::io::IoSlice;
use std::net::{SocketAddr, UdpSocket};
use std::os::fd::AsRawFd as _;
use std::time::Instant;

use nix::sys::socket::sockopt::SndBuf;
use nix::sys::socket::{ControlMessage, MsgFlags, SockaddrStorage, sendmsg, setsockopt};
use ring::aead::{AES_128_GCM, Aad, LessSafeKey, Nonce, UnboundKey};

use crate::workload::{Pacer, Shape, Workload};

/// Packets of one GSO send.
const RUN: usize = 10;
const RTP_HEADER_BYTES: usize = 12;
const TAG_BYTES: usize = 16;

/// What the floor's process is told.
#[derive(clap::Args)]
pub(crate) struct Options {
    /// What to send.
    #[arg(long)]
    workload: Workload,
    /// Where to: a comma-separated list of addresses, each of which gets every packet.
    #[arg(long, value_delimiter = ',')]
    to: Vec<SocketAddr>,
}

impl Options {
    /// The command line that [`run`] is started with.
    pub(crate) fn arguments(workload: &Workload, to: &[SocketAddr]) -> Vec<String> {
        let to: Vec<String> = to.iter().map(SocketAddr::to_string).collect();
        vec!["floor".into(), format!("--workload={workload}"), format!("--to={}", to.join(","))]
    }
}

struct Receiver {
    address: SockaddrStorage,
    key: LessSafeKey,
    sequence: u64,
}

/// Sends until it is killed.
pub(crate) fn run(options: &Options) -> anyhow::Result<()> {
    let socket = UdpSocket::bind("127.0.0.1:0")?;
    setsockopt(&socket, SndBuf, &(4 << 20))?;
    let mut receivers = Vec::with_capacity(options.to.len());
    for (i, address) in options.to.iter().enumerate() {
        let key = UnboundKey::new(&AES_128_GCM, &[i as u8; 16]).expect("16 bytes are a key of AES-128");
        receivers.push(Receiver { address: (*address).into(), key: LessSafeKey::new(key), sequence: 0 });
    }
    let mut arena = vec![0; RUN * 2048];
    let mut pacer = Pacer::start(&options.workload)?;
    loop {
        std::thread::sleep(pacer.due().saturating_duration_since(Instant::now()));
        let round = pacer.take();
        for receiver in &mut receivers {
            for run in runs(round) {
                receiver.send(&socket, run, &mut arena)?;
            }
        }
    }
}

impl Receiver {
    fn send(&mut self, socket: &UdpSocket, run: &[Shape], arena: &mut [u8]) -> anyhow::Result<()> {
        let mut end = 0;
        for shape in run {
            let bytes = RTP_HEADER_BYTES + shape.payload_bytes + TAG_BYTES;
            self.seal(shape, &mut arena[end..end + bytes]);
            end += bytes;
        }
        let segment = (RTP_HEADER_BYTES + run[0].payload_bytes + TAG_BYTES) as u16;
        let gso = [ControlMessage::UdpGsoSegments(&segment)];
        let control = if run.len() > 1 { &gso[..] } else { &[] };
        sendmsg(socket.as_raw_fd(), &[IoSlice::new(&arena[..end])], control, MsgFlags::empty(), Some(&self.address))?;
        Ok(())
    }

    /// Writes the RTP header and encrypts whatever the arena holds as the payload (RFC 7714).
    fn seal(&mut self, shape: &Shape, packet: &mut [u8]) {
        let (header, rest) = packet.split_at_mut(RTP_HEADER_BYTES);
        let (payload, tag) = rest.split_at_mut(shape.payload_bytes);
        header[0] = 0x80;
        header[1] = 96 | u8::from(shape.marker) << 7;
        header[2..4].copy_from_slice(&(self.sequence as u16).to_be_bytes());
        header[4..12].copy_from_slice(&[1; 8]);
        let mut nonce = [0; 12];
        nonce[4..].copy_from_slice(&self.sequence.to_be_bytes());
        let sealed = self
            .key
            .seal_in_place_separate_tag(Nonce::assume_unique_for_key(nonce), Aad::from(&*header), payload)
            .expect("a packet is far below the limit of GCM");
        tag.copy_from_slice(sealed.as_ref());
        self.sequence += 1;
    }
}

/// Cuts a round into runs that one GSO send can carry: at most [`RUN`] packets of equal size, the last one may be shorter.
fn runs(round: &[Shape]) -> impl Iterator<Item = &[Shape]> {
    let mut rest = round;
    std::iter::from_fn(move || {
        let first = rest.first()?.payload_bytes;
        let equal = rest.iter().take(RUN).take_while(|shape| shape.payload_bytes == first).count();
        let shorter = rest.get(equal).is_some_and(|shape| equal < RUN && shape.payload_bytes < first);
        let (run, after) = rest.split_at(equal + usize::from(shorter));
        rest = after;
        Some(run)
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::drain::{Reader, Sockets};
    use std::time::Duration;

    #[test]
    fn runs_keep_the_rules_of_gso() {
        let cut = |sizes: &[usize]| {
            let round: Vec<Shape> = sizes.iter().map(|n| Shape { payload_bytes: *n, marker: false }).collect();
            runs(&round).map(<[Shape]>::len).collect::<Vec<_>>()
        };
        assert_eq!(cut(&[9; 20]), [10, 10]);
        assert_eq!(cut(&[8, 9, 9, 9, 7]), [1, 4]);
        assert_eq!(cut(&[9, 9, 7, 7]), [3, 1]);
        assert_eq!(cut(&[9; 11]), [10, 1]);
        assert_eq!(cut(&[]), [0; 0]);
    }

    #[test]
    fn each_receiver_gets_every_packet_sealed() {
        let sockets = Sockets::bind(2).unwrap();
        let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
        let round = [Shape { payload_bytes: 1160, marker: false }; 20];
        for (i, address) in sockets.addresses().unwrap().into_iter().enumerate() {
            let key = LessSafeKey::new(UnboundKey::new(&AES_128_GCM, &[i as u8; 16]).unwrap());
            let mut receiver = Receiver { address: address.into(), key, sequence: 0 };
            let mut arena = vec![0; RUN * 2048];
            runs(&round).for_each(|run| receiver.send(&socket, run, &mut arena).unwrap());
        }
        let mut reader = Reader::new(sockets);
        let mut next = [0; 2];
        while next != [20; 2] {
            reader
                .read(Duration::from_secs(5), |socket, _, packet| {
                    assert_eq!(packet.len(), 12 + 1160 + 16);
                    assert_eq!(u16::from_be_bytes([packet[2], packet[3]]), next[socket]);
                    let key = LessSafeKey::new(UnboundKey::new(&AES_128_GCM, &[socket as u8; 16]).unwrap());
                    let mut nonce = [0; 12];
                    nonce[10..].copy_from_slice(&next[socket].to_be_bytes());
                    let (header, sealed) = packet.split_at_mut(12);
                    assert!(
                        key.open_in_place(Nonce::assume_unique_for_key(nonce), Aad::from(&*header), sealed).is_ok()
                    );
                    next[socket] += 1;
                })
                .unwrap();
        }
    }
}
