//! Parlor wires its modules here, bottom first.

pub mod auth;
pub mod bus;
pub mod domain;
pub mod hub;
pub mod limit;
pub mod metrics;
pub mod proto;
pub mod sfu;
pub mod store;
