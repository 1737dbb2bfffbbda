//! The program as a whole: servers in this process, on free ports, each with a folder of its own. One file per behaviour.

mod harness;

mod api;
mod check;
mod page;
mod socket;
mod tidy;
mod tls;
