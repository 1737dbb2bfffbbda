//! Opening: ports, threads, and how they know of each other.

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::AtomicUsize;
use std::thread::JoinHandle;
use std::time::Duration;

use parlor_media::dtls::Certificate;
use parlor_media::sdp::CodecName;
use serde::Deserialize;
use tokio::sync::mpsc;

use super::door::{self, Bounds, Door, DoorHandle};
use super::spread::Spread;
use super::{CallEvent, Command, Inner, MOST_COMMANDS, Sfu, ShardHandle, Shared, Taps, lane, socket, tap, thread};

/// Events that wait for the layers above at most; beyond them a shard keeps its own backlog.
const MOST_EVENTS: usize = 16_384;
/// Shards at most: one for each core of a large machine, and a letter for each.
const MOST_SHARDS: usize = 64;

/// Settings of the media side (`PARLOR_SFU__…`).
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Config {
    /// Event loops, each with a thread and a UDP port; 0: one for each core.
    pub shards: usize,
    /// The time without a connectivity check after which a connection is given up, in milliseconds.
    pub ice_timeout_ms: u64,
    /// Microphones of a call that everybody hears at once: the loudest speakers. Clients need as many audio slots.
    pub audio_speakers: usize,
    /// Participants of one call on its home shard before further ones go to the other shards as well.
    pub spread_after: usize,
    /// Choose what is sent to each participant by what its line bears; else by its tiles alone.
    pub estimation: bool,
    /// Spread what is sent to each participant over time, so that a key frame does not overrun its line.
    pub pacing: bool,
    /// Connections over TCP at most; further ones are closed at once.
    pub tcp_connections: usize,
    /// Connections over TCP from one IPv4 address or IPv6 /64. Browsers make one for each address of ours.
    pub tcp_connections_per_address: usize,
    /// The time a new connection over TCP has for its first connectivity check, in milliseconds.
    pub tcp_first_check_ms: u64,
    /// The TCP port of media, 0 for any free one; `None`: media goes by UDP alone. From `PARLOR_MEDIA_TCP_PORT`.
    #[serde(skip)]
    pub tcp_port: Option<u16>,
    /// All shards share one UDP port. From `PARLOR_MEDIA_ONE_PORT`.
    #[serde(skip)]
    pub one_port: bool,
    /// How often a picture of each camera and screen is looked at, in milliseconds; 0: never. From `PARLOR_SAMPLE_EVERY_MS`.
    #[serde(skip)]
    pub sample_every_ms: u64,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            shards: 0,
            ice_timeout_ms: 20_000,
            audio_speakers: 4,
            // A core forwards to some hundreds. Below this, relaying to another one costs more than it takes off the first.
            spread_after: 64,
            estimation: true,
            pacing: true,
            tcp_connections: 4096,
            // A school or an office behind one address, each with a connection for two addresses of ours.
            tcp_connections_per_address: 256,
            tcp_first_check_ms: 10_000,
            tcp_port: None,
            one_port: false,
            sample_every_ms: 5_000,
        }
    }
}

/// The media side does not start; the text is for people.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// A media port cannot be opened.
    #[error("UDP port {port} for media cannot be opened: {error}")]
    Port {
        /// The port.
        port: u16,
        /// Why.
        error: std::io::Error,
    },
    /// The TCP port cannot be opened.
    #[error("TCP port {port} for media cannot be opened: {error} (PARLOR_MEDIA_TCP_PORT names another one, or off)")]
    TcpPort {
        /// The port.
        port: u16,
        /// Why.
        error: std::io::Error,
    },
    /// The certificate of the media side cannot be made.
    #[error("the certificate for media cannot be made: {0}")]
    Certificate(String),
    /// A thread cannot be started, or the machine's addresses cannot be read.
    #[error("the media side cannot start: {0}")]
    System(#[from] std::io::Error),
}

/// How many shards, and so how many UDP ports from the first on, a configuration asks for on this machine. In one-port mode they
/// share one; where the system cannot do that, it is one shard.
#[must_use]
pub fn shard_count(config: &Config) -> usize {
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    if config.shards == 0 { cores.min(MOST_SHARDS) } else { config.shards.min(MOST_SHARDS) }
}

/// How many files the connections of a configuration can be at most: those over TCP, and one for each client in one-port mode.
#[must_use]
pub fn most_files(config: &Config) -> u64 {
    let tcp = if config.tcp_port.is_some() { config.tcp_connections + door::MOST_NEWCOMERS } else { 0 };
    let lanes = if config.one_port { shard_count(config) * lane::MOST_LANES } else { 0 };
    (tcp + lanes) as u64
}

impl Sfu {
    /// Opens the ports and starts the threads. What the shards tell comes by the receiver, what they copy out by the taps. Shard n listens on `media_port` + n (0: any free ports), in one-port mode all
    /// on `media_port`; answers offer the `announced` addresses, or those of this machine when there are none.
    ///
    /// # Errors
    /// When a port is taken, or the system refuses.
    pub fn start(
        media_port: u16,
        announced: &[IpAddr],
        config: &Config,
    ) -> Result<(Self, mpsc::Receiver<CallEvent>, Taps), StartError> {
        let certificate = Certificate::generate().map_err(|error| StartError::Certificate(error.to_string()))?;
        let addresses = if announced.is_empty() { socket::own_addresses()? } else { announced.to_vec() };
        let (count, shared_port) = plan(config);
        let sockets = open_sockets(media_port, count, shared_port)?;
        let door = config.tcp_port.map(|port| open_door(port, config)).transpose()?;
        let (events, receiver) = mpsc::channel(MOST_EVENTS);
        let (spouts, taps) = tap::taps();
        let media = media_config(config);
        let tcp_candidates = door.as_ref().map_or_else(Vec::new, |(_, door)| {
            let reachable = addresses.iter().filter(|address| address.is_ipv4() || door.has_v6);
            reachable.map(|address| SocketAddr::new(*address, door.port)).collect()
        });
        let (mut shards, mut threads) = (Vec::new(), Vec::new());
        let spread = Arc::new(Spread::new(count, config.spread_after));
        let mut candidates = [Vec::new(), tcp_candidates.clone()];
        for (number, sockets) in sockets.into_iter().enumerate() {
            let port = sockets.port();
            let reachable = addresses.iter().filter(|address| address.is_ipv4() || sockets.has_v6());
            let media = parlor_media::Config {
                number: number as u8,
                candidates: reachable.map(|address| SocketAddr::new(*address, port)).collect(),
                tcp_candidates: tcp_candidates.clone(),
                ..media.clone()
            };
            if number == 0 || !shared_port {
                candidates[0].extend(&media.candidates);
            }
            let (commands, inbox) = std::sync::mpsc::sync_channel(MOST_COMMANDS);
            let shared = Arc::new(Shared::default());
            let queue = thread::Inbox { commands: inbox, shared: shared.clone() };
            let (thread, waker) = thread::Shard::new(
                media,
                certificate.clone(),
                sockets,
                queue,
                (events.clone(), spouts.clone()),
                spread.clone(),
            )?;
            threads.push(spawn(format!("shard-{number}"), move || thread.run())?);
            shards.push(ShardHandle { commands, shared, waker, port });
        }
        for shard in shards.iter().filter(|_| count > 1) {
            shard.send(Command::Shards(shards.clone()));
        }
        if shared_port {
            for shard in &shards {
                // A shard that has just begun has room for a command.
                shard.send(Command::Neighbours(shards.clone()));
            }
        }
        let door = match door {
            Some((door, handle)) => {
                let shards = shards.clone();
                threads.push(spawn("media-door".to_owned(), move || door.run(shards))?);
                Some(handle)
            }
            None => None,
        };
        let threads = std::sync::Mutex::new(threads);
        let inner = Inner { shards, spread, addresses, door, candidates, threads, lost_commands: AtomicUsize::new(0) };
        Ok((Self(Arc::new(inner)), receiver, taps))
    }
}

/// How many shards there are, and whether they share a port.
fn plan(config: &Config) -> (usize, bool) {
    let count = shard_count(config);
    if !config.one_port || count == 1 {
        return (count, false);
    }
    if lane::works() {
        return (count, true);
    }
    tracing::warn!(
        "this system does not share a UDP port between sockets as one-port mode needs it: one shard serves all"
    );
    (1, false)
}

fn open_sockets(first: u16, count: usize, shared_port: bool) -> Result<Vec<socket::Sockets>, StartError> {
    let mut opened = Vec::<socket::Sockets>::new();
    for number in 0..count {
        let wanted = match opened.first() {
            Some(first) if shared_port => first.port(),
            _ if first == 0 || shared_port => first,
            _ => first.saturating_add(number as u16),
        };
        let sockets = socket::Sockets::open(wanted, shared_port);
        opened.push(sockets.map_err(|error| StartError::Port { port: wanted, error })?);
    }
    Ok(opened)
}

fn open_door(port: u16, config: &Config) -> Result<(Door, DoorHandle), StartError> {
    let bounds = Bounds {
        connections: config.tcp_connections,
        per_address: config.tcp_connections_per_address,
        first_check: Duration::from_millis(config.tcp_first_check_ms),
    };
    Door::open(port, bounds).map_err(|error| StartError::TcpPort { port, error })
}

fn media_config(config: &Config) -> parlor_media::Config {
    let sample_every = (config.sample_every_ms > 0).then(|| Duration::from_millis(config.sample_every_ms));
    parlor_media::Config {
        ice_timeout: Duration::from_millis(config.ice_timeout_ms),
        audio_speakers: config.audio_speakers,
        estimation: config.estimation,
        pacing: config.pacing,
        sample_every,
        // Who looks at pictures must be able to decode them.
        codecs: codecs(sample_every.is_some()),
        ..parlor_media::Config::default()
    }
}

fn spawn(name: String, run: impl FnOnce() + Send + 'static) -> std::io::Result<JoinHandle<()>> {
    std::thread::Builder::new().name(name).spawn(run)
}

/// The codecs of pictures that are taken: where somebody looks at them, those that can be decoded here.
fn codecs(sampled: bool) -> Vec<CodecName> {
    let decodes = |codec: &CodecName| match codec {
        CodecName::H264 => cfg!(feature = "h264"),
        codec => *codec == CodecName::Vp8,
    };
    CodecName::PICTURES.into_iter().filter(|codec| !sampled || decodes(codec)).collect()
}
