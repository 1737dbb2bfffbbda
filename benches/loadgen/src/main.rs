//! Load generator and benchmarks of Parlor: `parlor-loadgen run` plays a scenario against a server (`docs/loadgen.md`), and
//! `parlor-loadgen bench` measures the figures of `docs/benchmarks.md`.

mod bench;
mod bitrate;
mod chat;
mod cheap;
mod drain;
mod echo;
mod field;
mod floor;
mod forward;
mod guest;
mod janus;
mod join;
mod large;
mod looks;
mod memory;
mod meter;
mod outcome;
mod peer;
mod process;
mod publisher;
mod real;
mod recorded;
mod relay;
mod run;
mod sampled;
mod scenario;
mod server;
mod session;
mod signal;
mod simulated;
mod sources;
mod strangers;
mod subscribers;
mod tally;
#[cfg(test)]
mod tests;
mod tiles;
mod trust;
mod workload;

use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Parser, Subcommand};

#[derive(Parser)]
#[command(version, about = "Load generator and benchmarks of Parlor")]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Play a scenario against a server; the result is one JSON object.
    Run(Box<run::Options>),
    /// List the scenarios that come with the program.
    Scenarios,
    /// Measure the figures; the last lines are `figure NAME VALUE UNIT`.
    Bench(bench::Options),
    /// The floor's sending process; `bench` starts it by itself.
    #[command(hide = true)]
    Floor(floor::Options),
    /// The echo's process; `bench` starts it by itself.
    #[command(hide = true)]
    Echo,
    /// The WebSocket echo's process; `bench` starts it by itself.
    #[command(hide = true)]
    SocketEcho,
    /// The comparison with Janus, inside its own network; `bench` starts it by itself.
    #[command(hide = true)]
    Janus(bench::Options),
}

fn main() -> ExitCode {
    let done = match Arguments::parse().command {
        Command::Run(options) => run::run(&options),
        Command::Scenarios => run::list(),
        Command::Bench(options) => bench::run(&options),
        Command::Floor(options) => floor::run(&options),
        Command::Echo => echo::run(),
        Command::SocketEcho => chat::peers::run_echo(),
        Command::Janus(options) => janus::run(&options),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("parlor-loadgen: {error:#}");
            ExitCode::FAILURE
        }
    }
}

/// The server binary: beside this one unless named.
fn default_server() -> PathBuf {
    std::env::current_exe().unwrap_or_default().with_file_name("parlor")
}
