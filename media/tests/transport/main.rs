//! Everything between the wire and the media: SRTP, ICE, DTLS and SDP, against independent implementations and against nonsense.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod client;
mod dtls;
mod ice;
mod sdp;
mod server;
mod srtp;
