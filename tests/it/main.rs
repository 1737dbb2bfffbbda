//! The program as a whole: servers in this process, on free ports, each with a folder of its own. One file per behaviour.
#![expect(clippy::unwrap_used, reason = "a test that finds nothing to unwrap has failed, and says where")]

mod harness;

mod api;
mod bans;
mod broken;
mod call;
mod cases_store;
mod chat;
mod check;
mod compose;
mod connection;
mod corpus;
mod figures;
mod files;
mod film;
mod hosts;
mod looked_at;
mod matching;
mod moderation;
mod network;
mod offers;
mod one_port;
mod over_tcp;
mod page;
mod peer;
mod postgres;
mod process;
mod program;
mod projector;
mod recorded;
mod recording;
mod relay;
mod reports;
mod socket;
mod store;
mod store_recordings;
mod store_wires;
mod strangers_store;
mod taps;
mod tidy;
mod tls;
mod tunnel;
mod vision;
mod watched;
