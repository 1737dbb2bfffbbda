//! The server without sockets: what it answers, what it refuses, what it forgets and when.

#![expect(clippy::unwrap_used, reason = "a test stops where it goes wrong")]

mod binding;
mod data;
mod hostile;
mod lifetime;
mod login;
mod quota;
mod scene;
mod wanted;
