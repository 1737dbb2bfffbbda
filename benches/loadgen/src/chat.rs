//! The chat core under load: sockets that only stay open, a room of a thousand, and the store's append.

pub(crate) mod append;
pub(crate) mod fanout;
pub(crate) mod idle;
mod line;
pub(crate) mod peers;
mod people;
mod postgres;
pub(crate) mod rules;
