//! The media core of Parlor.

pub mod drop;
pub mod dtls;
pub mod ice;
pub mod sdp;
pub mod srtp;
