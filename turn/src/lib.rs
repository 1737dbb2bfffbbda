//! What lets a browser behind a NAT reach a call: a STUN responder, and time-limited credentials for a TURN fleet.
//!
//! Three nouns. [`Config`] is what the operator writes. [`IceServers`] is what a client is told: addresses, and for TURN a
//! [`Credentials`] pair that coturn (`coturn/turnserver.conf`) checks with nothing but the shared secret. [`StunServer`]
//! answers Binding requests on a UDP port; [`stun::Responder`] is the same without a socket.

mod config;
mod credentials;
mod ice_servers;
mod serve;
pub mod stun;

pub use config::{Config, ConfigError, Secret};
pub use credentials::Credentials;
pub use ice_servers::{IceServer, IceServers};
pub use serve::{StunServer, serve_stun};
