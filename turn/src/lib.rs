//! What lets a browser behind a NAT or a firewall reach a call: a STUN and TURN server, and time-limited credentials for it and
//! for others.
//!
//! [`Config`] is what the operator writes. [`IceServers`] is what a client is told: addresses, and for TURN a [`Credentials`]
//! pair that our own server, and coturn (`coturn/turnserver.conf`), check with nothing but a shared secret. [`server::Server`] is
//! the protocol without sockets and clock; [`serve`] gives it both, on one thread.

mod allocation;
mod attributes;
mod budget;
mod config;
mod counts;
mod credentials;
mod ice_servers;
pub mod message;
mod nonce;
mod peers;
mod quota;
mod serve;
pub mod server;
mod stream;

pub use allocation::{AllocationId, CHANNEL_LIFE, Client, MOST_CHANNELS, MOST_PERMISSIONS, PERMISSION_LIFE};
pub use attributes::Family;
pub use budget::{ANSWERS_PER_S, BURST, REFILL};
pub use config::{Config, ConfigError, Listen, PortRange, Secret};
pub use counts::{Counts, DropReason, Flow, Refusal};
pub use credentials::Credentials;
pub use ice_servers::{Directory, IceServer, IceServers, Listening};
pub use nonce::NONCE_LIFE;
pub use peers::{Ground, Peers};
pub use quota::LEAST_BYTES;
pub use serve::{Surroundings, TurnServer, Unopened, serve, unopened};
pub use stream::{BadFrame, Frames, MAX_FRAME_BYTES};
