//! What a subscriber costs in resident memory while nothing is said.

use std::time::Duration;

use parlor_media::client::Identity;
use parlor_media::dtls::Certificate;

use crate::bench::{Figure, Options};
use crate::peer::Place;
use crate::process::resident_bytes;
use crate::publisher::Publisher;
use crate::server::{LOOPBACK, Server};
use crate::signal::Signal;
use crate::subscribers::Subscribers;

/// Handshakes are over and what they allocated is given back, as far as it is.
const IDLE: Duration = Duration::from_secs(10);

/// The growth of the server from a room with its publisher to the same room with every subscriber in it, connected and
/// idle; sockets, sessions and everything else that a subscriber brings are included.
pub(crate) fn measure(options: &Options, signal: &Signal) -> anyhow::Result<Vec<Figure>> {
    let server = Server::start(&options.server(), signal, LOOPBACK)?;
    let identity = Identity::new(&Certificate::generate()?)?;
    let (place, socket) = Place::make(&server.address, signal, options.subscribers + 1)?;
    let _publisher = Publisher::join(socket, &place, &identity)?;
    let before = resident_bytes(server.pid())?;
    let reading = Subscribers::join(options.subscribers, signal, &place, &identity)?.start();
    std::thread::sleep(IDLE);
    let after = resident_bytes(server.pid())?;
    reading.finish()?;
    let per_peer = after.saturating_sub(before) as f64 / options.subscribers as f64 / 1000.0;
    eprintln!("memory: {before} bytes before, {after} with {} subscribers", options.subscribers);
    Ok(vec![Figure::new("peer_kb", per_peer, "kB")])
}
