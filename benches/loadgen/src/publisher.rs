//! One sender of VP8-looking packets, in one layer, paced by a workload.
//!
//! It sends each packet with a system call of its own, those of a round back to back, as browsers do.

use std::net::Ipv4Addr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use parlor_media::client::{Client, Event, Frame, Identity, Line, Plan};
use parlor_media::rtcp::{self, Part};
use serde_json::json;

use crate::drain::{Reader, Sockets, clock_ns};
use crate::peer::{Peer, Place, connect_last};
use crate::signal::Socket;
use crate::workload::{Pacer, Shape, Workload};

/// Where in the payload of a packet the time of its sending stands, in nanoseconds, big-endian.
pub(crate) const STAMP: std::ops::Range<usize> = 16..24;
/// Descriptor, then the frame's own header; the stamp lies behind both.
const DESCRIPTOR_BYTES: usize = 4;
const CLOCK_HZ: f64 = 90_000.0;

/// A publisher that is in the call.
pub(crate) struct Publisher {
    pub peer: Peer,
    pub sockets: Arc<Sockets>,
    /// How many times as many packets a key frame has as another frame.
    pub key_factor: usize,
}

/// A publisher that sends; dropping it ends that.
pub(crate) struct Publishing {
    stop: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Drop for Publishing {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

impl Publisher {
    pub(crate) fn join(mut socket: Socket<'_>, place: &Place, identity: &Identity) -> anyhow::Result<Self> {
        let mut publisher = Self::new(identity, place.local)?;
        publisher.peer.offer(&mut socket, place, &json!([{"mid": "0", "source": "camera"}]))?;
        connect_last(&mut [&mut publisher.peer], &mut Reader::new(Arc::clone(&publisher.sockets)))?;
        publisher.peer.ready(socket, place)?;
        Ok(publisher)
    }

    /// A publisher that is in no call yet.
    pub(crate) fn new(identity: &Identity, local: Ipv4Addr) -> anyhow::Result<Self> {
        let sockets = Sockets::bind_to(local, 1)?;
        let plan = Plan { lines: vec![Line::video()], audio_slots: 0, video_slots: 0, seed: 1, ..Plan::default() };
        Ok(Self { peer: Peer::new(plan, identity, &sockets, 0), sockets, key_factor: 1 })
    }

    /// Sends the workload from a thread of its own, beginning with a key frame.
    pub(crate) fn start(self, workload: &Workload) -> anyhow::Result<Publishing> {
        let pacer = Pacer::start(workload)?;
        let stop = Arc::new(AtomicBool::new(false));
        let stopped = Arc::clone(&stop);
        let thread = std::thread::spawn(move || {
            let Self { mut peer, sockets, key_factor } = self;
            let mut reader = Reader::new(sockets);
            let start = Instant::now();
            let mut source = Source { pacer, start, picture: 0, first: true, want_key: true, key_factor };
            while !stopped.load(Ordering::Relaxed) {
                source.wait(&mut peer, &mut reader);
                source.send_round(&mut peer);
            }
        });
        Ok(Publishing { stop, thread: Some(thread) })
    }
}

struct Source {
    pacer: Pacer,
    start: Instant,
    /// VP8's number of the current picture, 15 bits.
    picture: u16,
    /// The next packet is the first of its picture.
    first: bool,
    want_key: bool,
    key_factor: usize,
}

impl Source {
    /// Answers the server until the next round is due.
    fn wait(&mut self, peer: &mut Peer, reader: &mut Reader) {
        loop {
            let left = self.pacer.due().saturating_duration_since(Instant::now());
            if left < Duration::from_millis(2) {
                // The reader waits whole milliseconds.
                std::thread::sleep(left);
                return;
            }
            peer.tick(Instant::now());
            let want_key = &mut self.want_key;
            let read = reader.read(left - Duration::from_millis(1), |_, from, datagram| {
                if peer.answer_check(from, datagram) {
                    return;
                }
                if let Ok(Some(Event::Rtcp(compound))) = peer.client.handle(Instant::now(), datagram) {
                    let _ = rtcp::read(compound, |part| *want_key |= matches!(part, Part::KeyframeRequest { .. }));
                }
            });
            peer.flush();
            if read.is_err() {
                return;
            }
        }
    }

    fn send_round(&mut self, peer: &mut Peer) {
        let timestamp = (self.start.elapsed().as_secs_f64() * CLOCK_HZ) as u64 as u32;
        let round = self.pacer.take();
        let mut payload = [0; 1500];
        for shape in round {
            // A key frame once asked for begins with the next picture.
            let key = self.first && std::mem::take(&mut self.want_key);
            write_vp8(&mut payload, self.picture, self.first, key);
            let more = if key { (self.key_factor - 1) * round.len() } else { 0 };
            for packet in 0..=more {
                let shape = Shape { marker: shape.marker && packet == more, ..*shape };
                send(&mut peer.client, &shape, timestamp, &mut payload);
                peer.flush();
                write_vp8(&mut payload, self.picture, false, false);
            }
            self.first = shape.marker;
            self.picture = self.picture.wrapping_add(u16::from(shape.marker)) & 0x7fff;
        }
    }
}

fn send(client: &mut Client, shape: &Shape, timestamp: u32, payload: &mut [u8; 1500]) {
    if shape.payload_bytes >= STAMP.end {
        payload[STAMP].copy_from_slice(&clock_ns().to_be_bytes());
    }
    let payload = &payload[..shape.payload_bytes];
    client.send_rtp(0, 0, Frame { timestamp, marker: shape.marker, payload, ..Frame::default() });
}

/// The VP8 payload descriptor with a 15-bit picture id (RFC 7741 section 4.2) and, on a picture's first packet, the frame
/// header (RFC 6386 section 9.1): a forwarder looks at these and at nothing behind them.
fn write_vp8(payload: &mut [u8; 1500], picture: u16, first: bool, key: bool) {
    const EXTENDED: u8 = 0x80;
    const START_OF_PARTITION: u8 = 0x10;
    const HAS_PICTURE_ID: u8 = 0x80;
    let [high, low] = picture.to_be_bytes();
    let start = if first { START_OF_PARTITION } else { 0 };
    payload[..DESCRIPTOR_BYTES].copy_from_slice(&[EXTENDED | start, HAS_PICTURE_ID, 0x80 | high, low]);
    let frame = &mut payload[DESCRIPTOR_BYTES..STAMP.start];
    frame.fill(0);
    if first {
        const SHOWN: u8 = 0x10;
        const INTER: u8 = 0x01;
        frame[0] = SHOWN | if key { 0 } else { INTER };
        if key {
            frame[3..6].copy_from_slice(&[0x9d, 0x01, 0x2a]);
            frame[6..8].copy_from_slice(&1280_u16.to_le_bytes());
            frame[8..10].copy_from_slice(&720_u16.to_le_bytes());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_forwarder_sees_key_frames_and_picture_ids() {
        let mut payload = [0xff; 1500];
        write_vp8(&mut payload, 0x1234, true, true);
        // Extended with start of partition 0, picture id of 15 bits; then a shown key frame of 1280×720.
        assert_eq!(payload[..4], [0x90, 0x80, 0x92, 0x34]);
        assert_eq!(payload[4..14], [0x10, 0, 0, 0x9d, 0x01, 0x2a, 0x00, 0x05, 0xd0, 0x02]);
        write_vp8(&mut payload, 0x1234, true, false);
        assert_eq!(payload[4], 0x11, "an inter frame");
        write_vp8(&mut payload, 0x1234, false, false);
        assert_eq!(payload[0], 0x80, "a packet in the middle of a picture");
    }
}
