//! Parlor wires its modules here, bottom first.

pub mod domain;
pub mod proto;
pub mod sfu;
