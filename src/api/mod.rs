//! The edge: the only module that knows HTTP and WebSocket. A file per resource; handlers parse, call a verb, and answer.

mod client;
mod error;
mod headers;
mod listen;
mod pages;
mod tls;
