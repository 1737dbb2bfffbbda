//! What a subscriber costs in resident memory, in a call that runs and in one in which nothing is sent.

use std::time::Duration;

use parlor_media::client::Identity;
use parlor_media::dtls::Certificate;

use crate::bench::{Figure, Options};
use crate::forward::whole;
use crate::peer::Place;
use crate::process::resident_bytes;
use crate::publisher::Publisher;
use crate::server::{LOOPBACK, Server};
use crate::signal::Signal;
use crate::subscribers::Subscribers;
use crate::workload::Workload;

/// Handshakes are over, what they allocated is given back as far as it is, and what grows with the rate has grown.
const LATER: Duration = Duration::from_secs(10);
/// A camera of 187 packets a second.
const CAMERA: Workload = Workload::Bursts { per_s: 17, packets: 11, payload_bytes: 1160 };

/// The growth of the server from a room with its publisher to the same room with every subscriber in it; sockets, sessions,
/// estimators and everything else that a subscriber brings are included.
pub(crate) fn measure(options: &Options, signal: &Signal) -> anyhow::Result<Vec<Figure>> {
    let idle = kb_per_peer(options, signal, false)?;
    let all = kb_per_peer(options, signal, true)?;
    Ok(vec![Figure::new("peer_kb", all, "kB"), Figure::new("peer_idle_kb", idle, "kB")])
}

fn kb_per_peer(options: &Options, signal: &Signal, sends: bool) -> anyhow::Result<f64> {
    let server = Server::start(&options.server(), signal, LOOPBACK)?;
    let identity = Identity::new(&Certificate::generate()?)?;
    let (place, socket) = Place::make(&server.address, signal, options.subscribers + 1)?;
    let mut publisher = Some(Publisher::join(socket, &place, &identity)?);
    let publishing = if sends { publisher.take().map(|it| it.start(&CAMERA)).transpose()? } else { None };
    // What a publisher brings is no subscriber's: its ring is full.
    std::thread::sleep(LATER);
    let before = resident_bytes(server.pid())?;
    let reading = Subscribers::join(options.subscribers, signal, &place, &identity)?.start();
    if sends {
        whole(&reading, &CAMERA)?;
    }
    std::thread::sleep(LATER);
    let after = resident_bytes(server.pid())?;
    drop((publishing, publisher));
    reading.finish()?;
    let what = if sends { "with media" } else { "idle" };
    eprintln!("memory, {what}: {before} bytes before, {after} with {} subscribers", options.subscribers);
    Ok(after.saturating_sub(before) as f64 / options.subscribers as f64 / 1000.0)
}
