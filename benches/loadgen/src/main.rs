//! Load generator and benchmarks of Parlor: `parlor-loadgen bench` measures the figures of `docs/benchmarks.md`.

mod bench;
mod bitrate;
mod drain;
mod floor;
mod forward;
mod join;
mod looks;
mod memory;
mod peer;
mod process;
mod publisher;
mod recorded;
mod sampled;
mod server;
mod signal;
mod strangers;
mod subscribers;
#[cfg(test)]
mod tests;
mod workload;

use std::path::PathBuf;

use clap::{Parser, Subcommand};

#[derive(Parser)]
#[command(version, about = "Load generator and benchmarks of Parlor")]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Measure the figures; the last lines are `figure NAME VALUE UNIT`.
    Bench(bench::Options),
    /// The floor's sending process; `bench` starts it by itself.
    #[command(hide = true)]
    Floor(floor::Options),
}

fn main() -> anyhow::Result<()> {
    match Arguments::parse().command {
        Command::Bench(options) => bench::run(&options),
        Command::Floor(options) => floor::run(&options),
    }
}

/// The server binary: beside this one unless named.
fn default_server() -> PathBuf {
    std::env::current_exe().unwrap_or_default().with_file_name("parlor")
}
